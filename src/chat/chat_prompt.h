/* SPDX-License-Identifier: MIT
 * The text of a conversation, and which of it the template has written. */
#ifndef CHAT_CHAT_PROMPT_H
#define CHAT_CHAT_PROMPT_H

#include "base/bytes.h"
#include "jinja/jinja.h"

/* Takes over what the output holds, also if it fails. */
enum weir_status chat_prompt_open(struct weir_prompt **out, struct jinja_output *output,
                                  struct weir_error *err);
/* The tools that the template was given, a JSON array; taken over. */
void chat_prompt_set_tools(struct weir_prompt *prompt, struct bytes *tools);
/* What weir_prompt_in_reasoning says, where the text does not end with what the template wrote. */
void chat_prompt_set_in_reasoning(struct weir_prompt *prompt, bool in_reasoning);

#endif
