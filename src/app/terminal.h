/* SPDX-License-Identifier: MIT
 * Lines that a user types: by a line editor with a history on a terminal, else as they come. */
#ifndef APP_TERMINAL_H
#define APP_TERMINAL_H

#include "app/complete.h"
#include "app/interrupt.h"
#include "app/line_history.h"
#include "app/typed.h"
#include "base/bytes.h"

enum { TERMINAL_PROMPT_MAX = 160 };

struct editline;

/* What the end of a line can become: adds the names that the text from *begin on can. False if
 * there is nothing to complete in such a line. */
typedef bool terminal_complete_fn(const char *line, size_t *begin, struct completion *out);

/* Set to zero to begin. */
struct terminal {
    bool is_edited;  /* a person types and reads here: both ends are a terminal */
    bool has_colors; /* of standard output */

    struct editline *editor; /* NULL: lines are read as they come */
    struct line_history past;
    terminal_complete_fn *complete; /* NULL: a tab is a tab */
    char prompt[TERMINAL_PROMPT_MAX];
    bool is_interrupted, had_text; /* of the line that is being typed */
    struct interrupt_terminal modes;
    struct typed typed;
    uint32_t columns, rows;
    char *line; /* of getline */
    size_t line_capacity;
};

/* WEIR_AUTO colours a terminal, unless the environment has NO_COLOR. From here to its end what is
 * typed or pasted is shown by terminal_read alone: what comes earlier waits for it. */
enum weir_status terminal_open(struct terminal *terminal, enum weir_switch colors,
                               struct weir_error *err);
void terminal_close(struct terminal *terminal);

enum terminal_event {
    TERMINAL_LINE,
    TERMINAL_END,         /* of the input */
    TERMINAL_DISCARDED,   /* Ctrl+C behind some text, which is forgotten; so is the signal */
    TERMINAL_INTERRUPTED, /* Ctrl+C on an empty line, or a signal that ends programs */
};

/* The next line without its end, behind the prompt if there is a person to see it; valid until the
 * next call. */
enum terminal_event terminal_read(struct terminal *terminal, const char *prompt, const char **line,
                                  size_t *length);

#endif
