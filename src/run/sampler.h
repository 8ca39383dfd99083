/* SPDX-License-Identifier: MIT
 * The sampler from inside: options in force, the chain of steps, the state between tokens. Only
 * sampler_tokens.c knows the tokenizer. */
#ifndef RUN_SAMPLER_H
#define RUN_SAMPLER_H

#include "run/candidates.h"
#include "run/dry.h"
#include "run/guard.h"
#include "run/history.h"

/* One sampler at work on sampler->set. Does nothing when its options say "off". */
typedef void sampler_step_fn(struct weir_sampler *sampler);

/* ---- options (sampler_options.c) ------------------------------------------------------------- */

/* Refuses options that have no meaning, naming the option and the value. */
enum weir_status sampler_options_check(const struct weir_sampler_options *options,
                                       struct weir_error *err);

/* Mirostat replaces the chain by the temperature. */
bool sampler_chain_has(const struct weir_sampler_options *options, char letter);

/* How many tokens back penalties and DRY look; 0 if they are off. */
uint32_t sampler_penalty_window(const struct weir_sampler_options *options, uint32_t context);
uint32_t sampler_dry_window(const struct weir_sampler_options *options, uint32_t context);

/* ---- chain (sampler_chain.c) ----------------------------------------------------------------- */

struct sampler_kind {
    char letter;
    const char *names; /* separated by spaces, the usual one first */
    sampler_step_fn *step;
    bool adjusts; /* changes logits by what was said before, so it counts in greedy choice too */
};

/* NULL if there is no such sampler. */
const struct sampler_kind *sampler_kind_of_letter(char letter);
const struct sampler_kind *sampler_kind_of_name(const char *name, size_t length);

sampler_step_fn sampler_step_mirostat_1, sampler_step_mirostat_2;

/* ---- sampler (sampler.c) --------------------------------------------------------------------- */

enum { SAMPLER_STEPS_MAX = WEIR_SAMPLER_CHAIN_MAX + 1 };

/* Streams of random numbers; the index is the number of tokens drawn before. */
enum sampler_stream { SAMPLER_STREAM_DRAW, SAMPLER_STREAM_XTC };

/* A temperature below this is 0: the quotient with a logit would overflow, and the best token would
 * be drawn all the same long before. */
#define SAMPLER_TEMPERATURE_MIN 1e-30f

struct weir_sampler {
    struct weir_sampler_options options; /* its pointers are not used after open */
    uint64_t seed;
    uint64_t drawn; /* tokens picked so far */
    double mirostat_mu;
    sampler_step_fn *steps[SAMPLER_STEPS_MAX];
    uint32_t steps_count;
    uint32_t adjusting_count; /* steps at the beginning that take no token away */
    uint32_t best_count;      /* what follows them keeps so many of the best; 0: something else */

    struct weir_logit_bias *biases;
    uint64_t biases_count;
    int32_t *ends; /* banned until tokens_min are drawn */
    uint64_t ends_count;
    struct dry_breakers breakers;
    struct token_history history;
    struct guard guard;
    uint32_t penalty_window, dry_window;

    struct candidates set;
    struct candidates scores; /* typical_p only: indices into set, and minus their scores */
    uint32_t *marks;          /* [vocab], by id, all 0 between steps */
    uint32_t *dry_lengths;    /* [dry_window] */
};

/* All that a sampler knows of its tokenizer. */
struct sampler_tokens {
    struct dry_breakers breakers;
    int32_t *banned; /* because of ignore_eos */
    uint64_t banned_count, banned_capacity;
    int32_t *ends; /* that tokens_min speaks of */
    uint64_t ends_count, ends_capacity;
};

/* weir_sampler_open (sampler_tokens.c) with the tokenizer's part already read. Takes the breakers
 * and the ends, on success only, and copies the banned tokens. Checks the options. */
enum weir_status sampler_open(struct weir_sampler **out, const struct weir_sampler_options *options,
                              uint32_t vocab, uint32_t context, struct sampler_tokens *tokens,
                              struct weir_error *err);

/* What the biases, the guard and the chain leave of `logits`; borrowed until the next call. The
 * part of weir_sampler_pick before the draw. */
const struct candidates *sampler_filter(struct weir_sampler *sampler, const float *logits);

#endif
