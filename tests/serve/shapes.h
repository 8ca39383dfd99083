/* SPDX-License-Identifier: MIT
 * Compares the shapes of JSON: names, their order, kinds of values, and texts that are words of the
 * API. What differs on purpose is said in a table. */
#ifndef TESTS_SERVE_SHAPES_H
#define TESTS_SERVE_SHAPES_H

#include "base/bytes.h"
#include "json/json.h"

/* A place where ours may differ, and why. */
struct difference {
    const char *capture; /* its name; NULL: any */
    const char *path;    /* ends of paths, as "message.content" */
    const char *reason;
};

struct shapes {
    const char *capture;
    const struct difference *differences;
    size_t differences_count;
    bool *is_used;       /* [differences_count] */
    struct bytes report; /* a line for each difference that is not in the table */
};

/* Compares what was recorded with what there is now. */
void shapes_compare(struct shapes *shapes, const struct json *expected, const struct json *got,
                    const char *path);
/* Reports a difference at a path, unless the table has it. */
void shapes_report(struct shapes *shapes, const char *path, const char *what);

#endif
