/* SPDX-License-Identifier: MIT
 * Ctrl+C: noticed once and asked for politely; a second one ends the program at once. */
#ifndef APP_INTERRUPT_H
#define APP_INTERRUPT_H

#include <stdbool.h>

/* From now on the first of SIGTERM, SIGINT and SIGHUP only raises a mark, and the second, whichever
 * it is, ends the program; those that a terminal sends stay ignored if they were. And a write to a
 * closed pipe or beyond the limit of file sizes fails with an error instead of ending the program.
 */
void interrupt_install(void);

bool interrupt_requested(void);

/* Forgets a Ctrl+C, so that the next one is the first. False if there was none, or if it was a
 * signal by which others end the program: that stays. */
bool interrupt_forgive(void);

/* While it is held, Ctrl+Z raises a mark in place of stopping the program, so that it can leave the
 * terminal in order. */
void interrupt_hold_stop(bool is_held);
bool interrupt_stop_asked(void);
/* Stops the program until it is told to go on; nothing is asked any more. */
void interrupt_stop(void);
/* Whether it was stopped and went on since this was asked last. */
bool interrupt_went_on(void);

#endif
