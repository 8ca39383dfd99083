/* SPDX-License-Identifier: MIT
 * The inside of a call: parameters, which become the arguments, one JSON object. */
#ifndef CHAT_CALL_H
#define CHAT_CALL_H

#include "base/bytes.h"
#include "chat/marks.h"
#include "json/json.h"

enum call_step {
    CALL_WAITS, /* more text decides */
    CALL_GOES_ON,
    CALL_ENDS,   /* its arguments are complete */
    CALL_BREAKS, /* here stands what does not belong to a call */
};

/* Set to zero to begin. */
struct call {
    const struct json *parameters; /* schema of the tool's parameters, borrowed; may be NULL */
    bool has_parameters;           /* some were read */
    bool is_in_value, is_at_begin; /* of a value: a newline here is not part of it */
    bool is_behind_newline;        /* nothing was read of the value but that newline */
    bool is_held;                  /* the value's JSON depends on all of it */
    unsigned types;                /* enum value_type: what the value may be */
    struct bytes value;            /* one that is held */
    struct bytes *arguments;       /* where arguments are written to, borrowed */
};

/* Begins another call. */
void call_begin(struct call *call, const struct json *parameters, struct bytes *arguments);
void call_release(struct call *call);

/* Reads a part of the text, *consumed bytes of it. If the text is final, never waits. */
enum call_step call_read(struct call *call, struct rest rest, size_t *consumed);

/* The text has ended within the call: writes what there is of a value that was held. */
void call_cut(struct call *call);

#endif
