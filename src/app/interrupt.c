/* SPDX-License-Identifier: MIT
 * Signals. The mark is the program's one mutable global: a handler can reach nothing else. */
#include "app/interrupt.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t requested;

static void on_signal(int number)
{
    (void)number;
    requested = 1;
}

void interrupt_install(void)
{
    static const int polite[] = {SIGINT, SIGTERM, SIGHUP};
    /* No SA_RESTART: a read from a terminal must return. */
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof polite / sizeof polite[0]; i++) {
        struct sigaction inherited;
        /* What nohup, or a shell in the background, has switched off stays off. */
        if (sigaction(polite[i], NULL, &inherited) == 0 && inherited.sa_handler != SIG_IGN)
            sigaction(polite[i], &action, NULL);
    }
    action = (struct sigaction){.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &action, NULL);
    sigaction(SIGXFSZ, &action, NULL);
}

bool interrupt_requested(void)
{
    return requested != 0;
}
