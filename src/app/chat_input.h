/* SPDX-License-Identifier: MIT
 * Messages made of lines. */
#ifndef APP_CHAT_INPUT_H
#define APP_CHAT_INPUT_H

#include "app/terminal.h"

/* Set to zero to begin. */
struct chat_input {
    struct terminal *terminal;
    bool is_multiline; /* a message goes on until a line ends in a backslash */
    struct bytes text; /* the message, without the newline behind it */
    bool is_quoted;    /* it stood between three double quotes: it is no command */
};

void chat_input_release(struct chat_input *input);

/* Reads a message into input->text: one line, or several, of which all but the last end in a
 * backslash; or what stands between two times three double quotes. A line that begins as a command
 * is a message by itself. What is not complete at the end of the input is a message too. */
enum weir_status chat_input_read(struct chat_input *input, const char *prompt,
                                 enum terminal_event *event, struct weir_error *err);

#endif
