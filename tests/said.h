/* SPDX-License-Identifier: MIT
 * Takes a text apart as a reply, in pieces, and says what came out as one text that can be
 * compared. */
#ifndef TESTS_SAID_H
#define TESTS_SAID_H

#include "app/message.h"
#include "json/json.h"

struct said_options {
    const char *tools; /* zero-terminated JSON; NULL: none */
    bool in_reasoning, may_reason;
    enum weir_reasoning_format format;
    uint64_t piece; /* bytes of a push; 0: all in one; SAID_RANDOM: drawn, by the stream */
    uint64_t stream;
    bool is_cut; /* the text was, by a limit */
    bool calls_first;
};

#define SAID_RANDOM UINT64_MAX

/* Adds the events of the text to a message. Checks of each that it may come where it does. */
enum weir_status said_message(struct message *out, const char *text, size_t length,
                              const struct said_options *options, struct weir_error *err);

/* The message as JSON, with "cut" behind calls that are not complete. Freed with mem_free. */
char *said_text(const struct message *message);

/* Both in one. */
char *said_of(const char *text, size_t length, const struct said_options *options);

/* What a vector expects, in the same form but without "cut". */
char *said_expected(const struct json *expected);
/* Takes "cut" out. */
void said_forget_cuts(char *text);

#endif
