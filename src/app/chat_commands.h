/* SPDX-License-Identifier: MIT
 * What a line that begins with a slash asks for. */
#ifndef APP_CHAT_COMMANDS_H
#define APP_CHAT_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>

#include "app/complete.h"

struct conversation;

/* A slash and letters, or "/?", then nothing or a blank: "/help", but not "/usr/bin". */
bool chat_command_is(const char *line, size_t length);

/* A terminal_complete_fn: names of commands, and of the files that some of them take. */
bool chat_command_complete(const char *line, size_t *begin, struct completion *out);

/* Does what the line asks for. WEIR_ERR_ARGUMENT for a command that is not known. */
enum weir_status chat_command_run(struct conversation *conversation, const char *line,
                                  struct weir_error *err);

#endif
