/* SPDX-License-Identifier: MIT
 * The combinations of the lists of weir profile, counted through like the digits of a number. */
#include "app/profile_points.h"

#include "base/err.h"

/* The longest context that the file of a model may name (model/config.c). */
enum { CONTEXT_MAX = 1 << 30 };

static enum weir_status fill(struct number_list *list, int64_t number, struct weir_error *err)
{
    return list->count > 0 ? WEIR_OK : number_list_add(list, number, err);
}

/* Who names prompts or drafts wants them profiled. */
static enum weir_status fill_modes(struct profile_options *options, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    if (options->modes.count > 0)
        return WEIR_OK;
    if (options->prompts.count > 0)
        TRY(number_list_add(&options->modes, PROFILE_PREFILL, err));
    if (options->drafts.count > 0)
        TRY(number_list_add(&options->modes, PROFILE_VERIFY, err));
    TRY(fill(&options->modes, PROFILE_DECODE, err));
out:
    return status;
}

static uint32_t largest(const struct number_list *list)
{
    int64_t result = 0;
    for (uint64_t i = 0; list != NULL && i < list->count; i++)
        result = list->items[i] > result ? list->items[i] : result;
    return (uint32_t)result;
}

/* Tokens of a prompt that is not named; of several sequences so many that all fit into a step. */
static int64_t usual_prompt(const struct profile_options *options, uint32_t rows_max)
{
    enum { USUAL = 512 };
    const uint32_t sequences = largest(&options->sequences), fitting = rows_max / sequences;
    return sequences == 1 || fitting == 0 || fitting > USUAL ? USUAL : fitting;
}

enum weir_status profile_points_fill(struct profile_options *options, uint32_t rows_max,
                                     struct weir_error *err)
{
    enum weir_status status;
    TRY(fill_modes(options, err));
    TRY(fill(&options->contexts, 256, err));
    TRY(fill(&options->sequences, 1, err));
    TRY(fill(&options->prompts, usual_prompt(options, rows_max), err));
    TRY(fill(&options->drafts, 4, err));
    TRY(fill(&options->threads, 0, err));
out:
    return status;
}

/* What the length of a mode's evaluation is listed in; NULL: it has but one. */
static const struct number_list *lengths_of(const struct profile_options *options,
                                            enum profile_mode mode)
{
    switch (mode) {
    case PROFILE_DECODE: return NULL;
    case PROFILE_PREFILL: return &options->prompts;
    case PROFILE_VERIFY: return &options->drafts;
    }
    return NULL;
}

/* Contexts, sequences and lengths of a mode. */
static uint64_t count_of_mode(const struct profile_options *options, enum profile_mode mode)
{
    const struct number_list *lengths = lengths_of(options, mode);
    return options->contexts.count * options->sequences.count *
           (lengths == NULL ? 1 : lengths->count); /* each at most NUMBER_LIST_MAX */
}

uint64_t profile_points_count(const struct profile_options *options)
{
    uint64_t count = 0;
    for (uint64_t i = 0; i < options->modes.count; i++)
        count += count_of_mode(options, (enum profile_mode)options->modes.items[i]);
    return count;
}

/* A sequence's evaluation of a length that the mode's list has. */
static struct profile_point point_of(enum profile_mode mode, uint32_t length)
{
    const struct weir_profile_shape shapes[] = {
        [PROFILE_DECODE] = {.rows = 1, .logits = WEIR_LOGITS_LAST},
        [PROFILE_PREFILL] = {.rows = length, .logits = WEIR_LOGITS_LAST},
        [PROFILE_VERIFY] = {.rows = length + 1, .logits = WEIR_LOGITS_ALL},
    };
    return (struct profile_point){.mode = mode, .shape = shapes[mode]};
}

static int64_t take_digit(const struct number_list *list, uint64_t *number)
{
    const uint64_t digit = *number % list->count;
    *number /= list->count;
    return list->items[digit];
}

struct profile_point profile_points_take(const struct profile_options *options, uint64_t number)
{
    uint64_t place = 0;
    enum profile_mode mode = (enum profile_mode)options->modes.items[0];
    while (number >= count_of_mode(options, mode)) {
        number -= count_of_mode(options, mode);
        mode = (enum profile_mode)options->modes.items[++place];
    }
    const struct number_list *lengths = lengths_of(options, mode);
    const int64_t length = lengths == NULL ? 0 : take_digit(lengths, &number);
    struct profile_point point = point_of(mode, (uint32_t)length);
    point.shape.sequences = (uint32_t)take_digit(&options->sequences, &number);
    point.shape.cached = (uint32_t)take_digit(&options->contexts, &number);
    return point;
}

/* ---- the engine ------------------------------------------------------------------------------ */

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static enum weir_status check_step(const struct weir_profile_shape *shape, uint32_t rows_max,
                                   struct weir_error *err)
{
    const uint64_t rows = (uint64_t)shape->rows * shape->sequences;
    const bool is_one_step = shape->logits == WEIR_LOGITS_ALL || shape->sequences > 1;
    if (!is_one_step || rows <= rows_max)
        return WEIR_OK;
    if (shape->sequences == 1)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "%u tokens are verified in one step, expected at most the %u of -ub",
                       shape->rows, rows_max);
    return err_set(err, WEIR_ERR_ARGUMENT,
                   "%u sequences of %u tokens are %llu in one step, expected at most the %u of -ub",
                   shape->sequences, shape->rows, (unsigned long long)rows, rows_max);
}

/* The largest point of a mode has the largest number of each list. */
static enum weir_status size_mode(const struct profile_options *options, enum profile_mode mode,
                                  struct weir_engine_options *engine, uint32_t *rows,
                                  struct weir_error *err)
{
    struct profile_point point = point_of(mode, largest(lengths_of(options, mode)));
    struct weir_profile_shape *shape = &point.shape;
    shape->sequences = engine->sessions_max;
    const enum weir_status status = check_step(shape, engine->step_rows_max, err);
    if (status != WEIR_OK)
        return status;
    const uint32_t outs = shape->logits == WEIR_LOGITS_ALL ? shape->rows : 1;
    engine->logits_rows_max = larger(engine->logits_rows_max, outs * shape->sequences);
    *rows = larger(*rows, shape->rows);
    return WEIR_OK;
}

/* Verifications are rounds of speculation, if sessions can go back so far. */
static uint32_t rewind_of(const struct profile_options *options,
                          const struct weir_engine_options *engine)
{
    uint32_t rewind = 0;
    for (uint64_t i = 0; i < options->drafts.count && engine->fused_gdn != WEIR_OFF; i++) {
        const int64_t rows = options->drafts.items[i] + 1;
        if (rows <= WEIR_REWIND_MAX)
            rewind = larger(rewind, (uint32_t)rows);
    }
    return rewind;
}

void profile_points_mark(struct profile_point *point, const struct weir_engine_options *engine)
{
    point->shape.is_marked =
        point->mode == PROFILE_VERIFY && point->shape.rows <= engine->rewind_max;
}

enum weir_status profile_points_size(const struct profile_options *options, uint32_t drift,
                                     struct weir_engine_options *engine, struct weir_error *err)
{
    uint32_t rows = 0;
    enum weir_status status = WEIR_OK;
    engine->sessions_max = largest(&options->sequences);
    engine->logits_rows_max = 1;
    for (uint64_t i = 0; i < options->modes.count; i++) {
        const enum profile_mode mode = (enum profile_mode)options->modes.items[i];
        TRY(size_mode(options, mode, engine, &rows, err));
        if (mode == PROFILE_VERIFY)
            engine->rewind_max = rewind_of(options, engine);
    }
    const uint32_t longest = largest(&options->contexts);
    const uint64_t held = (uint64_t)longest + rows + drift;
    if (held > CONTEXT_MAX)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "%u tokens and %u more are more than any context holds, expected at most %d",
                       longest, rows, CONTEXT_MAX);
    engine->context = (uint32_t)held;
out:
    return status;
}
