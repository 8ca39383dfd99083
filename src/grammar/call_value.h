/* SPDX-License-Identifier: MIT
 * Values of parameters as calls write them: a string is its text, all else is JSON. What such a
 * text becomes, chat/value_types.h decides by the schema; that is then what the schema allows. */
#ifndef GRAMMAR_CALL_VALUE_H
#define GRAMMAR_CALL_VALUE_H

#include "grammar/call_text.h"

/* The parameter that is filled, and rules that parameters share. */
struct call_value {
    unsigned read_types;            /* enum value_type: what its text may become */
    unsigned types;                 /* the same as enum schema_type */
    unsigned nots;                  /* enum call_text_not: JSON that is not always allowed */
    uint32_t texts[CALL_TEXT_NOTS]; /* by nots: any text, and what ends it; RULES_NONE: not made */
};

/* The rule of a parameter: its value, and what ends it. Where its schemas cannot be kept, that is
 * any text if it may be a string, else any JSON of its types. Takes the list of its schemas, also
 * if it fails; `read_types` is what value_types says. */
enum weir_status call_value_rule(struct schema *schema, struct schema_list *list,
                                 unsigned read_types, uint32_t *rule, struct weir_error *err);

/* That of a parameter of which nothing is kept: any text. */
enum weir_status call_value_any(struct schema *schema, uint32_t *rule, struct weir_error *err);

/* Paths over what a complete list without unions allows for the parameter that is filled. */
enum weir_status call_value_emit(struct schema *schema, const struct schema_list *list,
                                 uint32_t from, uint32_t to, struct weir_error *err);
/* The text of a string without a mark, if it is read back as that string; without what ends it. */
enum weir_status call_value_text(struct schema *schema, struct json_text text, uint32_t from,
                                 uint32_t to, struct weir_error *err);

#endif
