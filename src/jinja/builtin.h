/* SPDX-License-Identifier: MIT
 * Filters, tests, functions and methods: one row each, of the tables that files of this room hold.
 */
#ifndef JINJA_BUILTIN_H
#define JINJA_BUILTIN_H

#include "jinja/value.h"

enum { BUILTIN_PARAMETERS_MAX = 4 };

struct named_value {
    struct string name;
    struct value value;
};

/* A call: `self` is what a filter or a test stands behind, or whose method is called. */
struct call {
    const struct builtin *builtin; /* NULL: of a macro */
    struct value self;
    const struct value *items; /* arguments by place */
    uint32_t count;
    const struct named_value *named;
    uint32_t named_count;
    /* Of a builtin: the arguments by its parameters; undefined where there is none. */
    struct value arguments[BUILTIN_PARAMETERS_MAX];
};

typedef enum weir_status builtin_fn(struct run *run, const struct call *call, struct value *out);

struct builtin {
    const char *name;
    builtin_fn *run;
    uint32_t required; /* parameters without a default */
    bool takes_all;    /* any arguments, which the function looks at itself */
    uint32_t kinds;    /* of a method: bits of the kinds of values that have it */
    const char *parameters[BUILTIN_PARAMETERS_MAX];
    int variant; /* tells rows with one function apart */
};

/* Tables; each ends with a row without name. */
extern const struct builtin filters_of_text[], filters_of_lists[], value_tests[], text_methods[],
    container_methods[], functions[];

/* NULL if there is none of that name. */
const struct builtin *builtin_filter(struct string name);
const struct builtin *builtin_test(struct string name);
const struct builtin *builtin_function(struct string name);
const struct builtin *builtin_method(struct string name, enum value_kind kind);

/* Binds the arguments of the call to the parameters of its builtin and runs it. */
enum weir_status builtin_call(struct run *run, struct call *call, struct value *out);

#endif
