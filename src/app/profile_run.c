/* SPDX-License-Identifier: MIT
 * Times a profile: random tokens, nothing sampled, as weir bench does. Knows no form of output. */
#include "app/profile_run.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"

enum { TOKEN_SEED = 1 };

struct run {
    struct weir_profile *profile; /* NULL: without clocks */
    struct weir_profile_shape shape;
    struct weir_session *session;
    int32_t *tokens; /* those before, then those of the shape */
};

static enum weir_status draw_tokens(struct run *run, uint32_t vocab, struct weir_error *err)
{
    const uint64_t count = (uint64_t)run->shape.cached + run->shape.rows;
    run->tokens = mem_alloc(count, sizeof *run->tokens, err);
    if (run->tokens == NULL)
        return WEIR_ERR_MEMORY;
    for (uint64_t i = 0; i < count; i++)
        run->tokens[i] = (int32_t)(rng_bits(TOKEN_SEED, 0, i) % vocab);
    return WEIR_OK;
}

/* Brings the session to the tokens that stand before, unless it is there or, but for a prompt, a
 * little behind. */
static enum weir_status stand(const struct run *run, struct weir_error *err)
{
    const uint32_t position = weir_session_position(run->session), cached = run->shape.cached;
    const bool is_prompt = run->shape.rows > 1 && run->shape.logits == WEIR_LOGITS_LAST;
    const uint64_t last = (uint64_t)cached + (is_prompt ? 0 : PROFILE_DRIFT);
    if (position >= cached && position + (uint64_t)run->shape.rows <= last)
        return WEIR_OK;
    weir_session_reset(run->session);
    if (cached == 0)
        return WEIR_OK;
    return weir_session_eval(run->session, run->tokens, cached, WEIR_LOGITS_NONE, err);
}

/* One evaluation; *ns, of all of it, the caller's way included. */
static enum weir_status run_once(const struct run *run, struct weir_profile *profile, uint64_t *ns,
                                 struct weir_error *err)
{
    const int32_t *tokens = run->tokens + run->shape.cached;
    enum weir_status status = stand(run, err);
    if (status != WEIR_OK)
        return status;
    const uint64_t begin = clock_ns();
    if (profile != NULL)
        status = weir_profile_run(profile, run->session, tokens, err);
    else
        status = weir_session_eval(run->session, tokens, run->shape.rows, run->shape.logits, err);
    *ns = clock_ns() - begin;
    *ns += *ns == 0; /* a clock too coarse to see it */
    return status;
}

static int compare_ns(const void *left, const void *right)
{
    const uint64_t *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

static uint64_t median(uint64_t *ns, uint32_t count)
{
    qsort(ns, count, sizeof *ns, compare_ns);
    return ns[(count - 1) / 2];
}

/* Which of a pair comes first is drawn, so that neither always follows the tokens before. */
static enum weir_status run_pairs(const struct run *run, uint32_t runs, uint64_t *with,
                                  uint64_t *without, struct weir_error *err)
{
    enum weir_status status;
    TRY(run_once(run, NULL, &without[0], err));
    for (uint32_t i = 0; i < runs; i++) {
        const bool is_clocked_first = rng_bits(TOKEN_SEED, 1, i) % 2 == 0;
        TRY(run_once(run, is_clocked_first ? run->profile : NULL,
                     is_clocked_first ? &with[i] : &without[i], err));
        TRY(run_once(run, is_clocked_first ? NULL : run->profile,
                     is_clocked_first ? &without[i] : &with[i], err));
    }
out:
    return status;
}

enum weir_status profile_run(struct profile_result *result, struct weir_profile *profile,
                             const struct weir_engine *engine, struct weir_session *session,
                             uint32_t runs, struct weir_error *err)
{
    struct run run = {.profile = profile, .session = session};
    struct weir_profile_info info;
    uint64_t *with = mem_alloc(runs, sizeof *with, err);
    uint64_t *without = mem_alloc(runs, sizeof *without, err);
    enum weir_status status = WEIR_ERR_MEMORY;
    weir_profile_info(profile, &info);
    run.shape = info.shape;
    if (with == NULL || without == NULL)
        goto out;
    weir_session_reset(session); /* it may stand behind another profile */
    TRY(draw_tokens(&run, weir_engine_vocab(engine), err));
    TRY(run_pairs(&run, runs, with, without, err));
    result->with_ns = median(with, runs);
    result->without_ns = median(without, runs);
out:
    mem_free(run.tokens);
    mem_free(with);
    mem_free(without);
    return status;
}
