/* SPDX-License-Identifier: MIT
 * Regular expressions as `pattern` writes them: a graph of characters. Knows nothing of JSON.
 *
 * Of ECMA-262: literals, escapes, classes, groups, alternatives, repetitions, and ^ and $ at the
 * beginning and end of an alternative that stands in no group. A text matches if a part of it does,
 * so the graph has loops over any character where ^ or $ is missing. */
#ifndef GRAMMAR_REGEX_H
#define GRAMMAR_REGEX_H

#include "grammar/code_set.h"

/* What makes nodes makes at most two edges for each: what has more has empty alternatives. */
enum { REGEX_NODES_MAX = 1 << 14, REGEX_EDGES_MAX = 4 * REGEX_NODES_MAX };
#define REGEX_FREE UINT32_MAX /* of an edge: reads nothing */

struct regex_edge {
    uint32_t from, to;
    uint32_t set; /* index, or REGEX_FREE */
};

/* Set to zero to begin. */
struct regex {
    struct code_set *sets;
    struct regex_edge *edges;
    uint64_t sets_count, sets_capacity;
    uint64_t edges_count, edges_capacity;
    uint32_t nodes_count;
    uint32_t start, end;
};

/* WEIR_ERR_UNSUPPORTED for what is no such expression, with a reason but no place. */
enum weir_status regex_read(struct regex *regex, const char *text, size_t length,
                            struct weir_error *err);
/* The same of an expression that the whole text must match, as if it had ^ and $. */
enum weir_status regex_read_whole(struct regex *regex, const char *text, size_t length,
                                  struct weir_error *err);
void regex_release(struct regex *regex);

#endif
