/* SPDX-License-Identifier: MIT
 * A JSON schema on its way to rules, seen by the files that share the work. Knows no tokens.
 *
 * What a value must be is a list of schemas that all apply to it: a schema, those that it refers
 * to, those of its allOf, and one of each of its anyOf. A list becomes a rule once; rules to be
 * filled wait in a queue, so that schemas may refer to each other in circles. A list that allows
 * nothing becomes a rule without paths, which rules_finish removes with all that needs it.
 *
 * Within a call, values are nested at most SCHEMA_LEVELS deep: a list has a rule for each depth
 * that it is met at. A parameter itself may be text (call_value.h), what is in it is JSON. */
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
    SCHEMA_DONE_NULLABLE = 16, /* null is not meant: another list has it */
};

/* Of brackets within each other, in a call: fewer than JSON_PART_DEPTH_MAX, since what is deeper is
 * read as a string, and since each is a copy of what may recur. */
enum { SCHEMA_LEVELS = 32 };

struct schema_item {
    const struct json *schema;
    uint32_t done;
};

struct schema_list {
    struct schema_item *items;
    uint64_t count, capacity;
};

/* A list that has a rule, for values of a depth. */
struct schema_part {
    struct schema_list list;
    uint32_t rule;
    uint32_t depth;    /* brackets around it, which are counted in calls alone */
    bool is_parameter; /* the value itself, and what ends it: call_value.h */
    uint64_t hash;
};

/* Any value, by kind; at the last level there are no rules for what has brackets. */
struct schema_level {
    uint32_t value, object, array;
};

struct call_value;

struct schema {
    const struct json *root;
    struct rules_builder builder;
    struct schema_part *parts;
    uint64_t parts_count, parts_capacity;
    uint64_t parts_done;                                /* those that are filled */
    uint64_t items_count;                               /* of the lists of all parts */
    uint64_t work;                                      /* schema_charge */
    uint32_t space, character, string, number, integer; /* rules for all */
    struct schema_level levels[SCHEMA_LEVELS + 1];      /* of JSON alone the first is for all */
    uint32_t escapes;         /* schema_string.c; RULES_NONE: not made yet */
    bool in_call;             /* values are in a call, and hold no mark that could end it */
    uint32_t depth;           /* of the part that is filled */
    bool is_parameter;        /* that part */
    struct call_value *value; /* of the parameter that is filled; NULL without calls */
    struct weir_error why;    /* the first reason for which something allows nothing */
};

/* ---- lists (schema_list.c) ------------------------------------------------------------------- */

void schema_list_release(struct schema_list *list);
/* Adds a schema, unless it is there or allows all. */
enum weir_status schema_list_add(struct schema_list *list, struct schema_item item,
                                 struct weir_error *err);
/* Whether a schema allows all values by saying nothing. */
bool schema_allows_all(const struct json *schema);
/* Adds what the schemas of a list refer to and the schemas of their allOf. Refuses keywords that
 * cannot be kept. What is nullable waits until schema_next_nullable has been asked for it. */
enum weir_status schema_list_complete(struct schema *schema, struct schema_list *list,
                                      struct weir_error *err);
/* The same for the schemas of all parameters of a tool, of which only the properties are wanted:
 * what cannot be kept or found is left out. Fails for want of memory alone. */
enum weir_status schema_list_follow(struct schema *schema, struct schema_list *list,
                                    struct weir_error *err);

/* Accounts for steps of work, which for what was given up are not given back: a schema of a few
 * lines can ask for any amount. WEIR_ERR_UNSUPPORTED once it is too much. */
enum weir_status schema_charge(struct schema *schema, uint64_t steps, struct weir_error *err);
bool schema_is_spent(const struct schema *schema);

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

/* How many items or characters there may be, and where that is said. */
struct schema_bounds {
    uint32_t least, most; /* UINT32_MAX: any number */
    const struct json *least_at, *most_at;
};
/* Takes in what the two keywords of an item say. */
enum weir_status schema_narrow(const struct schema *schema, const struct schema_item *item,
                               const char *least, const char *most, struct schema_bounds *bounds,
                               struct weir_error *err);
/* Whether no number of `things` is within the bounds, which is remembered (schema_nothing). */
bool schema_is_nothing(struct schema *schema, const struct schema_bounds *bounds,
                       const char *things);
/* Refuses bounds up to which there are too many of `things` to be counted. */
enum weir_status schema_check_counted(const struct schema *schema,
                                      const struct schema_bounds *bounds, uint32_t counted_max,
                                      const char *things, struct weir_error *err);
/* The types that all schemas of the list allow: as they say, or as their keywords imply. */
enum weir_status schema_types(const struct schema *schema, const struct schema_list *list,
                              unsigned *types, struct weir_error *err);

/* ---- rules (schema.c) ------------------------------------------------------------------------ */

/* The rules that all schemas share; and the parts that wait. */
enum weir_status schema_begin(struct schema *schema, struct weir_error *err);
enum weir_status schema_fill_parts(struct schema *schema, struct weir_error *err);
/* All rules of a schema that stands for itself, schema->root; its texts are those of *rule. */
enum weir_status schema_whole(struct schema *schema, uint32_t *rule, struct weir_error *err);
/* The grammar, or why there is none in terms of the schema. */
enum weir_status schema_finish(struct schema *schema, struct weir_grammar **out, uint32_t root,
                               struct weir_error *err);
/* Takes away the parts behind the first so many. */
void schema_cut_parts(struct schema *schema, uint64_t count);
void schema_release(struct schema *schema);

/* Any value, object and array where the part that is filled is. */
static inline const struct schema_level *schema_level(const struct schema *schema)
{
    return &schema->levels[schema->depth];
}

/* The rule of a list for what stands within brackets of the part that is filled, which is made if
 * it is new; a list without schemas is any value. Takes the list, also if it fails. */
enum weir_status schema_rule(struct schema *schema, struct schema_list *list, uint32_t *rule,
                             struct weir_error *err);

/* Each goes from *at on, and moves it to where that ends. */
enum weir_status schema_put(struct schema *schema, uint32_t *at, const char *text,
                            struct weir_error *err);
enum weir_status schema_put_call(struct schema *schema, uint32_t *at, uint32_t rule,
                                 struct weir_error *err);

/* The same for a parameter, which waits like a part. */
enum weir_status schema_parameter_rule(struct schema *schema, struct schema_list *list,
                                       uint32_t *rule, struct weir_error *err);
/* JSON of some types that a complete list without unions allows. */
enum weir_status schema_emit_types(struct schema *schema, const struct schema_list *list,
                                   unsigned types, uint32_t from, uint32_t to,
                                   struct weir_error *err);
/* {"type": "null"}: what is nullable is its schema or this. */
extern const struct json schema_null;
/* The number of the first item that is nullable and of which it is still to be chosen whether it is
 * null; the list's count if there is none. */
uint64_t schema_next_nullable(const struct schema_list *list);
/* A copy of the list in which that item is null, or is not. */
enum weir_status schema_choose_null(struct schema_list *to, const struct schema_list *from,
                                    uint64_t index, bool is_null, struct weir_error *err);
/* The first keyword of which one schema is still to be chosen, marked as done; or NULL. */
const struct json *schema_next_union(struct schema_list *list);
enum weir_status schema_list_copy(struct schema_list *to, const struct schema_list *from,
                                  struct weir_error *err);

/* ---- values ---------------------------------------------------------------------------------- */

/* Paths from one node to another, of what a complete list allows of a type. */
typedef enum weir_status schema_emit_fn(struct schema *schema, const struct schema_list *list,
                                        uint32_t from, uint32_t to, struct weir_error *err);

schema_emit_fn schema_emit_object, schema_emit_array;   /* schema_object.c, schema_array.c */
schema_emit_fn schema_emit_string;                      /* schema_string.c */
schema_emit_fn schema_emit_integer, schema_emit_number; /* schema_number.c */

/* Any one character of a string, as JSON writes it; and what of it stands behind a backslash
 * (schema_string.c). */
enum weir_status schema_emit_character(struct schema *schema, uint32_t from, uint32_t to,
                                       struct weir_error *err);
enum weir_status schema_emit_escape(struct schema *schema, uint32_t from, uint32_t to,
                                    struct weir_error *err);
/* What is said of the characters of a string, and where (schema_string.c). */
struct schema_limits {
    struct schema_bounds length;   /* in characters */
    const struct json *pattern_at; /* NULL: no pattern */
    struct json_text pattern;
};
enum weir_status schema_read_limits(const struct schema *schema, const struct schema_list *list,
                                    struct schema_limits *limits, struct weir_error *err);
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
 * (schema_value.c). Strings of a parameter are texts. *found: there are such keywords. */
enum weir_status schema_emit_values(struct schema *schema, const struct schema_list *list,
                                    unsigned types, uint32_t from, uint32_t to, bool *found,
                                    struct weir_error *err);

#endif
