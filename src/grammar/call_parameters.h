/* SPDX-License-Identifier: MIT
 * The parameters of a tool, as the schema of all of them says: names, schemas, which are required,
 * whether there may be others. */
#ifndef GRAMMAR_CALL_PARAMETERS_H
#define GRAMMAR_CALL_PARAMETERS_H

#include "base/names.h"
#include "grammar/schema.h"

struct call_parameter {
    struct json_text key;
    struct schema_list schemas;      /* all apply to it */
    struct schema_list alternatives; /* any of them does; no one if there is none */
    bool is_required;
    bool is_free; /* it has schemas, but they cannot be kept */
    bool is_any;  /* an alternative allows all */
    uint32_t rule;
};

/* Set to zero to begin. */
struct call_parameters {
    struct names names;
    struct call_parameter *items;
    uint64_t count, capacity;
    struct schema_list others; /* what applies to parameters without a name here */
    bool has_others;
    bool is_free; /* no call can have what is required: all is allowed, and nothing listed */
};

/* Reads schema->root. `tool` is for messages. A failed call leaves it to the release. */
enum weir_status call_parameters_read(struct call_parameters *parameters, struct schema *schema,
                                      struct json_text tool, struct weir_error *err);
void call_parameters_release(struct call_parameters *parameters);

/* {"anyOf": alternatives}, which the list of schemas borrows from *out: an array of its own, for
 * mem_free once the schema is released. */
enum weir_status call_parameter_join(struct call_parameter *parameter, struct json **out,
                                     struct weir_error *err);

#endif
