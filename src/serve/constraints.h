/* SPDX-License-Identifier: MIT
 * Constraints by what they were made of: requests with the same schema or the same tools share one,
 * and what it has found out. Knows no request. */
#ifndef SERVE_CONSTRAINTS_H
#define SERVE_CONSTRAINTS_H

#include "json/json.h"

struct constraints;

enum constraint_kind { CONSTRAINT_GBNF, CONSTRAINT_SCHEMA, CONSTRAINT_PATTERN, CONSTRAINT_CALLS };

/* What a constraint is made of. */
struct constraint_source {
    enum constraint_kind kind;
    struct json_text text;           /* grammar, schema, expression, or tools */
    struct weir_calls_options calls; /* of CALLS */
};

/* The tokenizer is borrowed. */
enum weir_status constraints_open(struct constraints **out, const struct weir_tokenizer *tokenizer,
                                  struct weir_error *err);
/* All must have been let go. */
void constraints_close(struct constraints *constraints);

/* From any thread; the constraint stays until it is let go. Errors as of the grammar. */
enum weir_status constraints_hold(struct constraints *constraints,
                                  const struct constraint_source *source,
                                  struct weir_constraint **out, struct weir_error *err);
void constraints_let_go(struct constraints *constraints, struct weir_constraint *constraint);

#endif
