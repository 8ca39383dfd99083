/* SPDX-License-Identifier: MIT
 * Signals. The mark is the program's one mutable global: a handler can reach nothing else. */
#include "app/interrupt.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t requested;

static void on_signal(int number)
{
    requested = number;
}

/* No SA_RESTART: a read from a terminal must return. */
static void catch_once(int number)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

void interrupt_install(void)
{
    static const int polite[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof polite / sizeof polite[0]; i++) {
        struct sigaction inherited;
        /* What nohup, or a shell in the background, has switched off stays off. */
        if (sigaction(polite[i], NULL, &inherited) == 0 && inherited.sa_handler != SIG_IGN)
            catch_once(polite[i]);
    }
    const struct sigaction action = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &action, NULL);
    sigaction(SIGXFSZ, &action, NULL);
}

bool interrupt_requested(void)
{
    return requested != 0;
}

bool interrupt_forgive(void)
{
    if (requested != SIGINT)
        return false;
    requested = 0;
    catch_once(SIGINT);
    return true;
}
