/* SPDX-License-Identifier: MIT
 * Messages as commands print them. */
#ifndef APP_MESSAGE_H
#define APP_MESSAGE_H

#include "app/output.h"
#include "base/reply_message.h"

/* As one line of JSON: reasoning_content, content, tool_calls. */
void message_print(const struct message *message, struct output *output);

#endif
