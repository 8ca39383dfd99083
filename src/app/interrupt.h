/* SPDX-License-Identifier: MIT
 * Ctrl+C: noticed once and asked for politely; a second one ends the program at once. */
#ifndef APP_INTERRUPT_H
#define APP_INTERRUPT_H

#include <stdbool.h>
#include <stdint.h>
#include <termios.h>

/* From now on the first of SIGTERM, SIGINT and SIGHUP only raises a mark, and the second, whichever
 * it is, ends the program; those that a terminal sends stay ignored if they were. And a write to a
 * closed pipe or beyond the limit of file sizes fails with an error instead of ending the program.
 */
void interrupt_install(void);

bool interrupt_requested(void);

/* Forgets a Ctrl+C, so that the next one is the first. False if there was none, or if it was a
 * signal by which others end the program: that stays. */
bool interrupt_forgive(void);

/* A terminal in which keys are read as they are pressed. */
struct interrupt_terminal {
    struct termios plain, edited;     /* as other programs have it, and as this one does */
    const char *to_plain, *to_edited; /* what else it is sent; static */
};

/* From now on a signal that ends the program at once, or Ctrl+Z, leaves the terminal plain first,
 * and when the program goes on it is edited again; NULL: no more. It is that of standard input, and
 * a copy is kept. */
void interrupt_hold_terminal(const struct interrupt_terminal *terminal);
/* The time that Ctrl+Z has taken since the program began, while a terminal was held. */
uint64_t interrupt_stopped_ns(void);
/* Whether it was stopped and went on since this was asked last. */
bool interrupt_went_on(void);

#endif
