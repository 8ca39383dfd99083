/* SPDX-License-Identifier: MIT
 * What a line that begins with a slash asks for. */
#ifndef APP_CHAT_COMMANDS_H
#define APP_CHAT_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>

#include "weir.h"

struct conversation;

/* A slash and letters, then nothing or a blank: "/help", but not "/usr/bin". */
bool chat_command_is(const char *line, size_t length);

/* Does what the line asks for. WEIR_ERR_ARGUMENT for a command that is not known. */
enum weir_status chat_command_run(struct conversation *conversation, const char *line,
                                  struct weir_error *err);

#endif
