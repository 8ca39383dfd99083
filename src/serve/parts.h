/* SPDX-License-Identifier: MIT
 * An answer as a row of parts that follow each other: reasoning, content, calls. For the forms of
 * APIs that have blocks or items of them; knows none. */
#ifndef SERVE_PARTS_H
#define SERVE_PARTS_H

#include "serve/response.h"

struct part_end {
    struct json_text text, name;
    uint64_t call; /* the calls before it */
    bool is_whole;
};

struct part_form {
    /* A part begins; `name` is that of a call. */
    void (*open)(struct response *response, struct choice *choice, struct json_text name);
    /* Some of its text. */
    void (*more)(struct response *response, struct choice *choice, struct json_text text);
    /* It has ended; all its text, and of a call its name and whether it is whole. */
    void (*close)(struct response *response, struct choice *choice, const struct part_end *end);
};

/* Takes an event of the choice's reply, before the choice has said it. */
void parts_take(struct response *response, struct choice *choice,
                const struct weir_reply_event *event, const struct part_form *form);
/* The choice is over. */
void parts_end(struct response *response, struct choice *choice, const struct part_form *form);

#endif
