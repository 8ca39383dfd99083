/* SPDX-License-Identifier: MIT
 * What a template computes with. Values are small and copied; what they point to lies in the arena
 * of the rendering. */
#ifndef JINJA_VALUE_H
#define JINJA_VALUE_H

#include "base/err.h"

struct run; /* one rendering: interpreter.h */

/* Valid UTF-8 that knows where each of its bytes comes from: enum jinja_origin, one byte for each,
 * or NULL if all are the template's. Parts of strings point into the whole. */
struct string {
    const char *bytes;
    const uint8_t *origins;
    uint32_t length;
};

enum value_kind {
    VALUE_UNDEFINED, /* the string is what is not defined, for errors */
    VALUE_NONE,
    VALUE_BOOLEAN,
    VALUE_INTEGER,
    VALUE_HUGE, /* an integer of more than 64 bits, which can be written but not computed with */
    VALUE_FLOAT,
    VALUE_STRING,
    VALUE_LIST,
    VALUE_TUPLE,
    VALUE_DICT,
    VALUE_NAMESPACE,
    VALUE_LOOP,
    VALUE_MACRO,
    VALUE_FUNCTION,
    VALUE_JOINER,
};

struct number {
    union {
        int64_t integer;
        double real;
    };
    const struct string *written; /* as in the request; NULL: computed */
};

struct value {
    enum value_kind kind;
    union {
        bool truth;
        struct number number;
        struct string string;
        struct list *list; /* LIST, TUPLE */
        struct dict *dict; /* DICT, NAMESPACE */
        struct loop *loop;
        const struct macro *macro;
        const struct builtin *function;
        struct joiner *joiner;
    };
};

struct list {
    struct value *items;
    uint32_t count, capacity;
};

struct entry {
    struct value key, value;
};

/* In the order of insertion; keys are found one by one, which is counted as steps. */
struct dict {
    struct entry *entries;
    uint32_t count, capacity;
};

struct loop {
    const struct list *items;
    uint32_t index;       /* from 0 */
    struct value changed; /* the list of the last arguments of loop.changed */
};

struct joiner {
    struct string separator;
    bool is_used;
};

/* "string", "list" and so on, as Python calls its types. */
const char *value_kind_name(enum value_kind kind);

struct value value_undefined(const char *name);
struct value value_boolean(bool truth);
struct value value_integer(int64_t integer);
struct value value_float(double real);
struct value value_string(struct string string);

/* Of the template, borrowed. */
struct string string_from(const char *text);
struct string string_part(struct string string, uint64_t from, uint64_t to);
bool string_equals(struct string a, struct string b);
bool string_is(struct string string, const char *text);
/* Characters, and the bytes of the first `characters` ones. */
uint32_t string_characters(struct string string);
uint32_t string_offset(struct string string, uint32_t characters);
/* Where `part` begins in the string at `from` or behind it, or -1. Counts steps. */
enum weir_status string_find(struct run *run, struct string string, struct string part,
                             uint32_t from, int64_t *at);

bool value_is_number(const struct value *value); /* booleans are, as in Python */
bool value_is_sequence(const struct value *value);
bool value_truth(const struct value *value);
/* Booleans and integers. False for others, HUGE among them. */
bool value_get_integer(const struct value *value, int64_t *out);
/* All numbers. */
double value_get_real(const struct value *value);

enum weir_status list_new(struct run *run, uint32_t capacity, struct list **out);
enum weir_status list_add(struct run *run, struct list *list, const struct value *value);
enum weir_status dict_new(struct run *run, uint32_t capacity, struct dict **out);
/* The value of the key, or NULL. */
enum weir_status dict_find(struct run *run, const struct dict *dict, const struct value *key,
                           struct value **out);
enum weir_status dict_put(struct run *run, struct dict *dict, const struct value *key,
                          const struct value *value);

/* Python's ==. */
enum weir_status value_equal(struct run *run, const struct value *a, const struct value *b,
                             bool *out);
/* Negative, 0 or positive; an error for values that have no order. */
enum weir_status value_order(struct run *run, const struct value *a, const struct value *b,
                             int *out);
/* Python's in. */
enum weir_status value_contains(struct run *run, const struct value *whole,
                                const struct value *part, bool *out);
/* What a loop over the value goes through: items, keys, characters. Shares the items of a list, so
 * the result may be added to, but not changed in place. */
enum weir_status value_items(struct run *run, const struct value *value, struct list **out);

#endif
