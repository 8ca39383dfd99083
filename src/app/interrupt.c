/* SPDX-License-Identifier: MIT
 * Signals. What stands here is the program's only mutable globals: a handler can reach nothing
 * else. */
#include "app/interrupt.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

static volatile sig_atomic_t requested, went_on;
static volatile sig_atomic_t is_terminal_held;
static struct interrupt_terminal held; /* while it is, handlers read it alone */
static _Atomic uint64_t stopped_ns;

/* ---- the terminal, from handlers ------------------------------------------------------------- */

/* One that is not in front would be stopped for the try. */
static bool has_terminal(void)
{
    return is_terminal_held != 0 && tcgetpgrp(STDIN_FILENO) == getpgrp();
}

static void send_text(const char *text)
{
    const ssize_t sent = write(STDOUT_FILENO, text, strlen(text));
    (void)sent; /* there is nobody to tell */
}

static void leave_terminal(void)
{
    if (!has_terminal())
        return;
    send_text(held.to_plain);
    tcsetattr(STDIN_FILENO, TCSANOW, &held.plain);
}

static void enter_terminal(void)
{
    if (!has_terminal())
        return;
    tcsetattr(STDIN_FILENO, TCSANOW, &held.edited);
    send_text(held.to_edited);
}

/* ---- handlers -------------------------------------------------------------------------------- */

static void on_signal(int number);

/* A read of lines must return for what ends the program. Where keys are waited for by poll, which
 * returns in any case, nothing else should: a part of an answer that cannot be written would end
 * the program, where only the answer was to end. */
static void handle(int number, void (*handler)(int))
{
    const bool returns = handler == on_signal && !is_terminal_held;
    struct sigaction action = {.sa_handler = handler, .sa_flags = returns ? 0 : SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

static bool is_handled_by(int number, void (*handler)(int))
{
    struct sigaction present;
    return sigaction(number, NULL, &present) == 0 && present.sa_handler == handler;
}

/* As if nobody had caught it. */
static void raise_default(int number)
{
    sigset_t this;
    sigemptyset(&this);
    sigaddset(&this, number);
    handle(number, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &this, NULL);
    raise(number);
}

/* The first process of a container such a signal does not end, so it ends by itself. */
static void on_fault(int number)
{
    leave_terminal();
    raise_default(number);
    _exit(128 + number);
}

/* The second one, of whatever kind, ends the program. */
static void on_signal(int number)
{
    if (requested != 0)
        on_fault(number);
    requested = number;
}

static void on_continue(int number)
{
    const int error = errno;
    (void)number;
    enter_terminal();
    went_on = 1;
    errno = error;
}

static void on_stop(int number)
{
    const int error = errno;
    const uint64_t begin = clock_ns();
    leave_terminal();
    raise_default(number);
    stopped_ns += clock_ns() - begin;
    handle(number, on_stop);
    on_continue(SIGCONT); /* where no shell could go on with it, it was not stopped at all */
    errno = error;
}

/* ---- what they mean -------------------------------------------------------------------------- */

void interrupt_install(void)
{
    static const int of_terminals[] = {SIGINT, SIGHUP};
    handle(SIGTERM, on_signal); /* nobody sends it by the way: who does wants an end in order */
    for (size_t i = 0; i < sizeof of_terminals / sizeof of_terminals[0]; i++) {
        /* What nohup, or a shell in the background, has switched off stays off. */
        if (!is_handled_by(of_terminals[i], SIG_IGN))
            handle(of_terminals[i], on_signal);
    }
    handle(SIGPIPE, SIG_IGN);
    handle(SIGXFSZ, SIG_IGN);
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

void interrupt_hold_terminal(const struct interrupt_terminal *terminal)
{
    static const int of_ends[] = {SIGTERM, SIGINT, SIGHUP};
    static const int of_faults[] = {SIGQUIT, SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    const bool is_held = terminal != NULL;
    is_terminal_held = 0;
    atomic_signal_fence(memory_order_seq_cst); /* the others are no volatile stores */
    if (is_held)
        held = *terminal;
    atomic_signal_fence(memory_order_seq_cst);
    is_terminal_held = is_held;
    went_on = 0;
    for (size_t i = 0; i < sizeof of_ends / sizeof of_ends[0]; i++) {
        if (is_handled_by(of_ends[i], on_signal))
            handle(of_ends[i], on_signal); /* restarts what it comes upon, or no more */
    }
    handle(SIGCONT, is_held ? on_continue : SIG_DFL);
    if (!is_handled_by(SIGTSTP, SIG_IGN)) /* a shell without control of jobs has it so */
        handle(SIGTSTP, is_held ? on_stop : SIG_DFL);
    for (size_t i = 0; i < sizeof of_faults / sizeof of_faults[0]; i++) {
        if (is_handled_by(of_faults[i], is_held ? SIG_DFL : on_fault)) /* else a sanitizer's */
            handle(of_faults[i], is_held ? on_fault : SIG_DFL);
    }
}

uint64_t interrupt_stopped_ns(void)
{
    return stopped_ns;
}

bool interrupt_went_on(void)
{
    const bool result = went_on != 0;
    went_on = 0;
    return result;
}
