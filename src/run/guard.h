/* SPDX-License-Identifier: MIT
 * What a sampler may choose at all: a constraint, from the beginning or behind a mark, and the end
 * of reasoning that has taken too long. Knows no logits. */
#ifndef RUN_GUARD_H
#define RUN_GUARD_H

#include "run/constraint.h"

enum { MARK_BYTES_MAX = 64, GUARD_BANNED_MAX = 16 };

/* Looks for a text in what it is given piece by piece (Knuth, Morris, Pratt: Fast pattern matching
 * in strings, 1977). */
struct mark {
    char text[MARK_BYTES_MAX];
    uint8_t back[MARK_BYTES_MAX + 1]; /* by length: the longest end that is also a beginning */
    uint32_t length;                  /* 0: looks for nothing */
    uint32_t matched;
};

/* Set to zero to begin. */
struct guard {
    const struct weir_tokenizer *tokenizer; /* of the sampler; may be NULL */
    struct constraint_cursor cursor;        /* attached if there is a constraint */
    struct mark behind;                     /* the constraint waits for this, if it has a length */
    int32_t banned[GUARD_BANNED_MAX];       /* tried in vain since the last token */
    uint32_t banned_count;

    struct mark reasoning; /* the natural end; has a length while the watch is on */
    struct mark call;      /* begins one, which is an end too: nothing may be put into a call */
    uint32_t budget;       /* tokens left */
    uint8_t character[4];  /* the beginning of one that is not complete */
    uint32_t character_length;
    int32_t *closing; /* tokens */
    uint32_t closing_count, closing_next;
    bool is_closing;
};

void guard_release(struct guard *guard);

enum weir_status guard_constrain(struct guard *guard, struct weir_constraint *constraint,
                                 const char *behind, struct weir_error *err);
enum weir_status guard_limit_reasoning(struct guard *guard, uint32_t budget, const char *mark,
                                       const char *closing, struct weir_error *err);

/* The rest allocates nothing. */

/* The only token that may be chosen, or -1. */
int32_t guard_forced(const struct guard *guard);
/* The allowed tokens, bits by id, or NULL: all, but those banned. */
const uint64_t *guard_mask(struct guard *guard, uint32_t *tokens);
/* Where the mask would have to be found: the constraint, to be asked for single tokens. Else
 * NULL. */
struct constraint_cursor *guard_unmasked(struct guard *guard);
/* Whether a token that the mask allows may be chosen. One that brings the mark and goes on with
 * what the constraint refuses may not; it is banned. */
bool guard_takes(struct guard *guard, int32_t id);
void guard_accept(struct guard *guard, int32_t id);

#endif
