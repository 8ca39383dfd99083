/* SPDX-License-Identifier: MIT
 * Lines that were typed, in this program and in others before and beside it. */
#ifndef APP_LINE_HISTORY_H
#define APP_LINE_HISTORY_H

#include "base/err.h"

struct history;

/* Set to zero to begin. */
struct line_history {
    struct history *lines; /* libedit's */
    char *path;            /* NULL: the history ends with the program */
};

/* With the newest lines of the file, if there is one. */
enum weir_status line_history_open(struct line_history *past, struct weir_error *err);
/* Also at the end of the file, at once, behind what other programs have put there. What cannot be
 * kept is lost without a word: it is worth none. */
void line_history_add(const struct line_history *past, const char *line);
void line_history_close(struct line_history *past);

#endif
