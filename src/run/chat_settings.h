/* SPDX-License-Identifier: MIT
 * The options of a conversation, with all that they point to. */
#ifndef RUN_CHAT_SETTINGS_H
#define RUN_CHAT_SETTINGS_H

#include "base/bytes.h"

struct chat_settings {
    struct weir_chat_options options; /* whose texts and lists are these copies */
    struct chat_texts {
        char *tools, *variables, *closing, *only;
        char **stops, **breakers; /* [stops_count], [dry_breakers_count] */
        struct weir_logit_bias *biases;
    } own;
    bool has_tools;                     /* one at least */
    struct weir_grammar *calls;         /* of the tools; NULL: another one, or none */
    struct weir_constraint *constraint; /* NULL: none */
    struct weir_speculator *speculator;
};

/* Copies the options, checked as far as a reply has no other ways to fail by them than for want of
 * memory. The system message is none of these. */
enum weir_status chat_settings_open(struct chat_settings *settings, struct weir_session *session,
                                    const struct weir_tokenizer *tokenizer,
                                    const struct weir_chat_options *options,
                                    struct weir_error *err);
void chat_settings_close(struct chat_settings *settings);

/* Writes the members of a template's request that are not the messages, each with a comma behind:
 * variables first, so that all else wins. */
void chat_settings_write(const struct chat_settings *settings, struct bytes *request);

#endif
