/* SPDX-License-Identifier: MIT
 * The text of a conversation, and which of it the template has written. */
#ifndef CHAT_CHAT_PROMPT_H
#define CHAT_CHAT_PROMPT_H

#include "jinja/jinja.h"

/* Takes over what the output holds, also if it fails. */
enum weir_status chat_prompt_open(struct weir_prompt **out, struct jinja_output *output,
                                  struct weir_error *err);

#endif
