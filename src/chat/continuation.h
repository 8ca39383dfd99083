/* SPDX-License-Identifier: MIT
 * A message of the assistant that is to be continued. */
#ifndef CHAT_CONTINUATION_H
#define CHAT_CONTINUATION_H

#include "base/bytes.h"
#include "jinja/jinja.h"

/* Set to zero to begin. */
struct continuation {
    struct bytes reasoning, content;
    bool is_closed; /* the reasoning, also if there is no content yet */
};

/* Reads a message of a client's request. Where the template has reasoning, what stands before the
 * mark that ends it is such, also if no mark begins it: those begin in prompts. */
enum weir_status continuation_read(struct continuation *out, const struct json *message,
                                   bool has_reasoning, struct weir_error *err);
void continuation_release(struct continuation *continuation);

/* Writes the message's begin behind the prompt that the template ends before an answer. The marks
 * of reasoning count as the template's, if it has such, all else as the conversation's.
 * *in_reasoning tells whether reasoning is what goes on. */
enum weir_status continuation_write(const struct continuation *continuation, bool has_reasoning,
                                    struct jinja_output *output, bool *in_reasoning,
                                    struct weir_error *err);

#endif
