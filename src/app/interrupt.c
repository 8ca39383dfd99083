/* SPDX-License-Identifier: MIT
 * Signals. The marks are the program's only mutable globals: a handler can reach nothing else. */
#include "app/interrupt.h"

#include <signal.h>
#include <stddef.h>
#include <unistd.h>

static volatile sig_atomic_t requested, stop_asked, went_on;

/* The second one, of whatever kind, ends the program as if nobody had caught it; the first process
 * of a container such a signal does not end, so it ends by itself. */
static void on_signal(int number)
{
    if (requested == 0) {
        requested = number;
        return;
    }
    const struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t this;
    sigemptyset(&this);
    sigaddset(&this, number);
    sigaction(number, &action, NULL);
    pthread_sigmask(SIG_UNBLOCK, &this, NULL);
    raise(number);
    _exit(128 + number);
}

static void on_stop(int number)
{
    (void)number;
    stop_asked = 1;
}

static void on_continue(int number)
{
    (void)number;
    went_on = 1;
}

/* No SA_RESTART: a read from a terminal must return. */
static void handle(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

void interrupt_install(void)
{
    static const int of_terminals[] = {SIGINT, SIGHUP};
    handle(SIGTERM, on_signal); /* nobody sends it by the way: who does wants an end in order */
    for (size_t i = 0; i < sizeof of_terminals / sizeof of_terminals[0]; i++) {
        struct sigaction inherited;
        /* What nohup, or a shell in the background, has switched off stays off. */
        if (sigaction(of_terminals[i], NULL, &inherited) == 0 && inherited.sa_handler != SIG_IGN)
            handle(of_terminals[i], on_signal);
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
    return true;
}

void interrupt_hold_stop(bool is_held)
{
    struct sigaction inherited;
    stop_asked = went_on = 0;
    handle(SIGCONT, is_held ? on_continue : SIG_DFL);
    /* a shell without control of jobs has it ignored */
    if (sigaction(SIGTSTP, NULL, &inherited) == 0 && inherited.sa_handler != SIG_IGN)
        handle(SIGTSTP, is_held ? on_stop : SIG_DFL);
}

bool interrupt_stop_asked(void)
{
    return stop_asked != 0;
}

void interrupt_stop(void)
{
    stop_asked = 0;
    handle(SIGTSTP, SIG_DFL);
    raise(SIGTSTP);
    handle(SIGTSTP, on_stop);
}

bool interrupt_went_on(void)
{
    const bool result = went_on != 0;
    went_on = 0;
    return result;
}
