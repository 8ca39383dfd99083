/* SPDX-License-Identifier: MIT
 * Ctrl+C: noticed once and asked for politely; a second one ends the program at once. */
#ifndef APP_INTERRUPT_H
#define APP_INTERRUPT_H

#include <stdbool.h>

/* From now on SIGINT and SIGTERM only raise a mark, and a write to a closed pipe fails with an
 * error instead of ending the program. */
void interrupt_install(void);

bool interrupt_requested(void);

#endif
