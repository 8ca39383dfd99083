/* SPDX-License-Identifier: MIT
 * A JSON schema on its way to rules, seen by the files that share the work. Knows no tokens.
 *
 * What a value must be is a list of schemas that all apply to it: a schema, those that it refers
 * to, those of its allOf, and one of each of its anyOf. A list becomes a rule once; rules to be
 * filled wait in a queue, so that schemas may refer to each other in circles. A list that allows
 * nothing becomes a rule without paths, which rules_finish removes with all that needs it. */
#ifndef GRAMMAR_SCHEMA_H
#define GRAMMAR_SCHEMA_H

#include "base/bytes.h"
#include "grammar/rules.h"
#include "json/json.h"

enum schema_type {
    SCHEMA_NULL = 1,
    SCHEMA_BOOLEAN = 2,
    SCHEMA_OBJECT = 4,
    SCHEMA_ARRAY = 8,
    SCHEMA_STRING = 16,
    SCHEMA_INTEGER = 32,
    SCHEMA_NUMBER = 64, /* beside integers: those that are none */
    SCHEMA_ANY = 127,
};

/* Keywords of a schema whose part in a list is done: what they lead to is in the list. */
enum {
    SCHEMA_DONE_REF = 1,
    SCHEMA_DONE_ALL_OF = 2,
    SCHEMA_DONE_ANY_OF = 4,
    SCHEMA_DONE_ONE_OF = 8,
};

struct schema_item {
    const struct json *schema;
    uint32_t done;
};

struct schema_list {
    struct schema_item *items;
    uint64_t count, capacity;
};

/* A list that has a rule. */
struct schema_part {
    struct schema_list list;
    uint32_t rule;
    uint64_t hash;
};

struct schema {
    const struct json *root;
    struct rules_builder builder;
    struct schema_part *parts;
    uint64_t parts_count, parts_capacity;
    uint32_t space, character, string, number, integer, value, object, array; /* rules for all */
    uint32_t escapes;      /* schema_string.c; RULES_NONE: not made yet */
    struct weir_error why; /* the first reason for which something allows nothing */
};

/* ---- lists (schema_list.c) ------------------------------------------------------------------- */

void schema_list_release(struct schema_list *list);
/* Adds a schema, unless it is there or allows all. */
enum weir_status schema_list_add(struct schema_list *list, struct schema_item item,
                                 struct weir_error *err);
/* Adds what the schemas of a list refer to and the schemas of their allOf. Refuses keywords that
 * cannot be kept. */
enum weir_status schema_list_complete(struct schema *schema, struct schema_list *list,
                                      struct weir_error *err);

/* A refusal that names the place of `at` in the schema: "schema, /properties/a: ...". */
enum weir_status schema_refuse(const struct schema *schema, enum weir_status status,
                               const struct json *at, struct weir_error *err, const char *format,
                               ...) __attribute__((format(printf, 5, 6)));
/* Remembers why something allows nothing; no failure. */
enum weir_status schema_nothing(struct schema *schema, const struct json *at, const char *format,
                                ...) __attribute__((format(printf, 3, 4)));

/* Keywords that speak of values of one type alone. Where no type is said, they imply it. */
struct schema_keyword {
    const char *keyword;
    unsigned types;
};
enum { SCHEMA_KEYWORDS = 14 };
extern const struct schema_keyword schema_keywords[SCHEMA_KEYWORDS];

/* The keyword of an item's schema, or NULL. */
static inline const struct json *schema_get(const struct schema_item *item, const char *keyword)
{
    return json_get(item->schema, keyword);
}

/* Reads a keyword that is a count; *count stays if it is not there. */
enum weir_status schema_count(const struct schema *schema, const struct schema_item *item,
                              const char *keyword, uint32_t *count, const struct json **at,
                              struct weir_error *err);
/* The types that all schemas of the list allow: as they say, or as their keywords imply. */
enum weir_status schema_types(const struct schema *schema, const struct schema_list *list,
                              unsigned *types, struct weir_error *err);

/* ---- rules (schema.c) ------------------------------------------------------------------------ */

/* The rule of a list, which is made if it is new; a list without schemas is any value. Takes the
 * list, also if it fails. */
enum weir_status schema_rule(struct schema *schema, struct schema_list *list, uint32_t *rule,
                             struct weir_error *err);

/* Each goes from *at on, and moves it to where that ends. */
enum weir_status schema_put(struct schema *schema, uint32_t *at, const char *text,
                            struct weir_error *err);
enum weir_status schema_put_call(struct schema *schema, uint32_t *at, uint32_t rule,
                                 struct weir_error *err);

/* ---- values ---------------------------------------------------------------------------------- */

/* Paths from one node to another, of what a complete list allows of a type. */
typedef enum weir_status schema_emit_fn(struct schema *schema, const struct schema_list *list,
                                        uint32_t from, uint32_t to, struct weir_error *err);

schema_emit_fn schema_emit_object, schema_emit_array;   /* schema_object.c, schema_array.c */
schema_emit_fn schema_emit_string;                      /* schema_string.c */
schema_emit_fn schema_emit_integer, schema_emit_number; /* schema_number.c */

/* Any one character of a string, as JSON writes it (schema_string.c). */
enum weir_status schema_emit_character(struct schema *schema, uint32_t from, uint32_t to,
                                       struct weir_error *err);
/* A string that is none of `names` (schema_string.c). */
enum weir_status schema_emit_other_string(struct schema *schema, const struct json_text *names,
                                          uint64_t count, uint32_t from, uint32_t to,
                                          struct weir_error *err);
/* Numbers without bounds (schema_number.c). */
enum weir_status schema_emit_any_number(struct schema *schema, bool integer, uint32_t from,
                                        uint32_t to, struct weir_error *err);

/* Writes a value without white space (schema_value.c). */
void schema_write_value(struct bytes *bytes, const struct json *value);
void schema_write_string(struct bytes *bytes, struct json_text text);
/* The values of enum and const of a list, those that all allow and that have one of the types
 * (schema_value.c). *found: there are such keywords. */
enum weir_status schema_emit_values(struct schema *schema, const struct schema_list *list,
                                    unsigned types, uint32_t from, uint32_t to, bool *found,
                                    struct weir_error *err);

#endif
