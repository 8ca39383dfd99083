/* SPDX-License-Identifier: MIT
 * Times a profile: random tokens, nothing sampled, as weir bench does. Knows no form of output. */
#include "app/profile_run.h"

#include "app/interrupt.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/interval.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/sort.h"

enum { TOKEN_SEED = 1, PAIR_STREAM = 1 };

struct run {
    const struct profile_bench *bench;
    struct weir_profile *profile;
    struct weir_profile_shape shape;
    int32_t *tokens;              /* of each sequence: those before, then those of the shape */
    struct weir_step_item *items; /* of a step of several sequences: one for each */
    struct profile_counting counting;
};

bool profile_progress_ask(void *user, enum weir_stage stage, uint64_t done, uint64_t total)
{
    const struct profile_progress *progress = user;
    return progress->is_timed ? !interrupt_requested()
                              : log_progress(progress->log, stage, done, total);
}

/* ---- tokens ---------------------------------------------------------------------------------- */

static uint64_t tokens_of_sequence(const struct run *run)
{
    return (uint64_t)run->shape.cached + run->shape.rows;
}

/* Each sequence has tokens of its own: experts would not be asked as often by the same ones. */
static enum weir_status draw_tokens(struct run *run, struct weir_error *err)
{
    const uint32_t vocab = weir_engine_vocab(run->bench->engine);
    const uint64_t count = tokens_of_sequence(run);
    uint64_t all;
    if (!size_mul(count, run->shape.sequences, &all))
        return err_set(err, WEIR_ERR_MEMORY, "%u sequences of %llu tokens are too many",
                       run->shape.sequences, (unsigned long long)count);
    run->tokens = mem_alloc(all, sizeof *run->tokens, err);
    if (run->tokens == NULL)
        return WEIR_ERR_MEMORY;
    for (uint64_t i = 0; i < all; i++)
        run->tokens[i] = (int32_t)(rng_bits(TOKEN_SEED, 2 * (i / count), i % count) % vocab);
    return WEIR_OK;
}

static enum weir_status make_items(struct run *run, struct weir_error *err)
{
    run->items = mem_alloc(run->shape.sequences, sizeof *run->items, err);
    if (run->items == NULL)
        return WEIR_ERR_MEMORY;
    for (uint32_t i = 0; i < run->shape.sequences; i++)
        run->items[i] = (struct weir_step_item){
            .session = run->bench->sessions[i],
            .tokens = run->tokens + i * tokens_of_sequence(run) + run->shape.cached,
            .count = run->shape.rows,
            .logits = run->shape.logits};
    return WEIR_OK;
}

/* ---- runs ------------------------------------------------------------------------------------ */

static enum weir_status mark(const struct run *run, struct weir_session *session,
                             struct weir_error *err)
{
    weir_session_unmark(session);
    return run->shape.is_marked ? weir_session_mark(session, err) : WEIR_OK;
}

/* Brings a session to the tokens that stand before, unless it is there or, but for a prompt, a
 * little behind. */
static enum weir_status stand(const struct run *run, uint32_t sequence, struct weir_error *err)
{
    struct weir_session *session = run->bench->sessions[sequence];
    const uint32_t position = weir_session_position(session), cached = run->shape.cached;
    const bool is_prompt = run->shape.rows > 1 && run->shape.logits == WEIR_LOGITS_LAST;
    const uint64_t last = (uint64_t)cached + (is_prompt ? 0 : PROFILE_DRIFT);
    enum weir_status status = WEIR_OK;
    if (position >= cached && position + (uint64_t)run->shape.rows <= last)
        return mark(run, session, err);
    weir_session_reset(session);
    if (cached > 0)
        status = weir_session_eval(session, run->tokens + sequence * tokens_of_sequence(run),
                                   cached, WEIR_LOGITS_NONE, err);
    return status == WEIR_OK ? mark(run, session, err) : status;
}

static enum weir_status stand_all(const struct run *run, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < run->shape.sequences && status == WEIR_OK; i++)
        status = stand(run, i, err);
    return status;
}

/* One sequence may take several steps, several take one. */
static enum weir_status evaluate(const struct run *run, struct weir_profile *profile,
                                 struct weir_error *err)
{
    const struct weir_step_item *item = &run->items[0];
    const uint32_t count = run->shape.sequences;
    if (count > 1 && profile != NULL)
        return weir_profile_run_step(profile, run->items, count, err);
    if (count > 1)
        return weir_engine_step(run->bench->engine, run->items, count, err);
    if (profile != NULL)
        return weir_profile_run(profile, item->session, item->tokens, err);
    return weir_session_eval(item->session, item->tokens, item->count, item->logits, err);
}

/* What the last run took from outside; what the profile makes of its clocks is no part of it. */
static uint64_t clocked_ns(const struct weir_profile *profile)
{
    struct weir_profile_info info;
    weir_profile_info(profile, &info);
    return info.eval_ns;
}

/* One evaluation, with clocks if there is a profile; *ns, of all of it, the engine's work around
 * the steps included. */
static enum weir_status run_once(struct run *run, struct weir_profile *profile, uint64_t *ns,
                                 struct weir_error *err)
{
    enum weir_status status = stand_all(run, err);
    if (status != WEIR_OK)
        return status;
    run->bench->progress->is_timed = true;
    if (profile != NULL)
        profile_counting_start(&run->counting);
    const uint64_t begin = clock_ns();
    status = evaluate(run, profile, err);
    *ns = profile == NULL ? clock_ns() - begin : clocked_ns(profile);
    *ns += *ns == 0; /* a clock too coarse to see it */
    if (profile != NULL)
        profile_counting_stop(&run->counting);
    run->bench->progress->is_timed = false;
    return status;
}

static uint64_t median(uint64_t *ns, uint32_t count)
{
    sort_u64(ns, count);
    return ns[(count - 1) / 2];
}

/* Of what each run took beyond its twin: the two follow each other, so a machine that is slower for
 * a while is so in both, and their differences are steadier than those of medians. */
static void find_clocks(struct profile_result *result, const uint64_t *with,
                        const uint64_t *without, int64_t *differences, uint32_t count)
{
    const uint32_t rank = interval_rank(count), outside = rank == 0 ? 0 : rank - 1;
    for (uint32_t i = 0; i < count; i++)
        differences[i] = (int64_t)(with[i] - without[i]);
    sort_i64(differences, count);
    result->clocks_low_ns = differences[outside];
    result->clocks_high_ns = differences[count - 1 - outside];
}

/* Which of a pair comes first is drawn, so that neither always follows the tokens before. */
static enum weir_status run_pairs(struct run *run, uint32_t runs, uint64_t *with, uint64_t *without,
                                  struct weir_error *err)
{
    enum weir_status status;
    TRY(run_once(run, NULL, &without[0], err));
    for (uint32_t i = 0; i < runs; i++) {
        const bool is_clocked_first = rng_bits(TOKEN_SEED, PAIR_STREAM, i) % 2 == 0;
        TRY(run_once(run, is_clocked_first ? run->profile : NULL,
                     is_clocked_first ? &with[i] : &without[i], err));
        TRY(run_once(run, is_clocked_first ? NULL : run->profile,
                     is_clocked_first ? &without[i] : &with[i], err));
    }
out:
    return status;
}

static enum weir_status run_all(struct run *run, uint32_t runs, uint64_t *with, uint64_t *without,
                                struct weir_error *err)
{
    enum weir_status status;
    TRY(draw_tokens(run, err));
    TRY(make_items(run, err));
    for (uint32_t i = 0; i < run->shape.sequences; i++)
        weir_session_reset(run->bench->sessions[i]); /* it may stand behind another profile */
    TRY(run_pairs(run, runs, with, without, err));
out:
    mem_free(run->tokens);
    mem_free(run->items);
    return status;
}

enum weir_status profile_run(struct profile_result *result, struct weir_profile *profile,
                             const struct profile_bench *bench, uint32_t runs,
                             struct weir_error *err)
{
    struct run run = {.bench = bench, .profile = profile};
    struct weir_profile_info info;
    uint64_t *with = mem_alloc(runs, sizeof *with, err);
    uint64_t *without = mem_alloc(runs, sizeof *without, err);
    int64_t *differences = mem_alloc(runs, sizeof *differences, err);
    enum weir_status status = WEIR_ERR_MEMORY;
    weir_profile_info(profile, &info);
    run.shape = info.shape;
    if (with == NULL || without == NULL || differences == NULL)
        goto out;
    profile_counting_begin(&run.counting, bench->counters);
    TRY(run_all(&run, runs, with, without, err));
    result->counted = profile_counting_end(&run.counting, runs);
    find_clocks(result, with, without, differences, runs);
    result->with_ns = median(with, runs);
    result->without_ns = median(without, runs);
out:
    mem_free(with);
    mem_free(without);
    mem_free(differences);
    return status;
}
