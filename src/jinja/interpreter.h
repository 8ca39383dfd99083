/* SPDX-License-Identifier: MIT
 * One rendering: its memory, its limits, where it stands, and what it has written. */
#ifndef JINJA_INTERPRETER_H
#define JINJA_INTERPRETER_H

#include "jinja/arena.h"
#include "jinja/builder.h"
#include "jinja/builtin.h"
#include "jinja/syntax.h"

/* Limits of a rendering. A step is a node, or STEP_BYTES bytes that are looked at or copied. */
enum {
    STEPS_MAX = 10 * 1000 * 1000,
    STEP_BYTES = 32,
    RUN_DEPTH_MAX = 1000,      /* nodes and calls within each other: less than 1 MiB of stack */
    OUTPUT_MORE_MAX = 1 << 20, /* bytes beyond those of the request */
    MEMORY_MAX = 1 << 27,      /* bytes, and MEMORY_FACTOR for each byte of the request */
    MEMORY_FACTOR = 256,
};

struct binding {
    struct string name;
    struct value value;
};

/* Variables of a block; what it does not have its parents may have. */
struct scope {
    struct scope *parent;
    struct binding *bindings;
    uint32_t count, capacity;
};

struct macro {
    const struct node *node; /* MACRO */
    struct scope *scope;     /* where it was defined */
};

/* A text of JSON that was read on the way; values point into it. */
struct parsed {
    struct parsed *next;
    struct json_document *document;
};

/* Why statements are left. */
enum leaving { LEAVING_NOT, LEAVING_ITERATION, LEAVING_LOOP };

struct run {
    struct arena arena;
    struct weir_error err; /* the first one, which ends the rendering */
    const struct source *source;
    uint32_t at; /* the node that is evaluated, for errors */
    uint32_t depth;
    uint64_t steps;
    struct scope *globals, *scope;
    struct builder *output;
    enum leaving leaving;
    struct parsed *parsed;
    const uint8_t *of_input; /* origins of any string of the request */
    int64_t now;             /* seconds, for strftime_now */
};

/* Refuses, with the place of the node that is evaluated. */
enum weir_status run_fail(struct run *run, enum weir_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Counts a step and `bytes` of work. */
enum weir_status run_step(struct run *run, uint64_t bytes);
enum weir_status run_enter(struct run *run);
void run_leave(struct run *run);
/* Memory of the rendering; NULL: run->err says why. */
void *run_take(struct run *run, uint64_t count, uint64_t size);
/* Doubles the room of an array of the arena until `count` objects fit. */
enum weir_status run_grow(struct run *run, void *array, uint32_t *capacity, uint64_t count,
                          uint64_t size);

/* NULL if the name is not defined. Counts steps for what is compared. */
enum weir_status scope_find(struct run *run, const struct scope *scope, struct string name,
                            const struct value **out);
/* Defines or redefines it in this scope. */
enum weir_status scope_set(struct run *run, struct scope *scope, struct string name,
                           const struct value *value);

enum weir_status evaluate(struct run *run, const struct node *node, struct value *out);
enum weir_status evaluate_operation(struct run *run, enum operation operation,
                                    const struct value *a, const struct value *b,
                                    struct value *out);
enum weir_status evaluate_slice(struct run *run, const struct value *object,
                                const struct value bounds[3], struct value *out);
/* A list of statements; run->leaving tells whether they were left before their end. */
enum weir_status execute(struct run *run, const struct node *statements);
/* The same in a scope of its own, and the output as a string. */
enum weir_status execute_captured(struct run *run, const struct node *statements,
                                  struct scope *scope, struct value *out);
/* Calls a macro, a function or a joiner. */
enum weir_status value_call(struct run *run, const struct value *callee, struct call *call,
                            struct value *out);
/* A NODE_CALL, FILTER or TEST; with `caller` the macro that the callee knows by this name. */
enum weir_status evaluate_call(struct run *run, const struct node *node, const struct value *caller,
                               struct value *out);
enum weir_status evaluate_filter(struct run *run, const struct node *node,
                                 const struct value *piped, struct value *out);
/* An attribute of a value; undefined if it has none. */
enum weir_status value_attribute(struct run *run, const struct value *object, struct string name,
                                 struct value *out);
enum weir_status value_subscript(struct run *run, const struct value *object,
                                 const struct value *key, struct value *out);

#endif
