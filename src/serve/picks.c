/* SPDX-License-Identifier: MIT
 * Samplers at work, on as many threads as the engine has. Knows neither what goes into a step nor
 * what is told of what was chosen. */
#include "serve/picks.h"

#include <float.h>
#include <math.h>

#include "serve/likeliest.h"

static float logarithm(float probability)
{
    return probability > 0 ? logf(probability) : -FLT_MAX;
}

/* Behind the pick, and before its token is accepted. */
static void describe_draw(struct slot *slot, int32_t id)
{
    const struct job *job = slot->job;
    float own;
    const uint32_t count =
        weir_sampler_chances(job->sampler, id, &own, job->chances, job->options.logprobs);
    for (uint32_t i = 0; i < count; i++)
        job->likeliest[i] =
            (struct job_logprob){job->chances[i].id, logarithm(job->chances[i].probability)};
    slot->pick = (struct slot_pick){.id = id, .logprob = logarithm(own), .likeliest = count};
}

void pick_describe(struct slot *slot, uint32_t vocab, uint32_t row, int32_t id)
{
    const struct job *job = slot->job;
    if (job->options.wants_chances)
        return; // it was described when it was drawn
    slot->pick = (struct slot_pick){.id = id};
    if (job->options.wants_logprobs || job->options.logprobs > 0)
        slot->pick.likeliest =
            likeliest_find(weir_session_logits(slot->session, row), vocab, id, &slot->pick.logprob,
                           job->likeliest, job->options.logprobs);
}

void pick_first(struct slot *slot, uint32_t vocab, uint32_t row)
{
    struct weir_sampler *sampler = slot->job->sampler;
    const int32_t id = weir_sampler_pick(sampler, weir_session_logits(slot->session, row));
    if (slot->job->options.wants_chances)
        describe_draw(slot, id);
    weir_sampler_accept(sampler, id);
    pick_describe(slot, vocab, row, id);
}

static bool is_wanted(const struct slot *slot)
{
    return slot->phase == SLOT_REPLY && slot->rows > 0 && !slot->is_round;
}

/* Of those that no constraint holds, each thread takes every so-manieth. Several jobs may have the
 * same constraint, which is for one thread. */
static void pick_share(void *argument, uint32_t thread)
{
    const struct scheduler *scheduler = argument;
    const uint32_t vocab = weir_engine_vocab(scheduler->engine);
    const uint32_t threads = scheduler->picker == NULL ? 1 : pool_threads(scheduler->picker);
    uint32_t number = 0;
    for (uint32_t i = 0; i < scheduler->options.slots; i++) {
        struct slot *slot = &scheduler->slots[i];
        if (!is_wanted(slot))
            continue;
        const bool is_shared = slot->job->options.constraint == NULL;
        if ((is_shared ? number % threads : 0) == thread)
            pick_first(slot, vocab, 0);
        number += is_shared;
    }
}

void picks_take(struct scheduler *scheduler)
{
    uint32_t wanted = 0;
    for (uint32_t i = 0; i < scheduler->options.slots; i++)
        wanted += is_wanted(&scheduler->slots[i]);
    if (scheduler->picker == NULL || wanted < 2)
        pick_share(scheduler, 0);
    else
        pool_run(scheduler->picker, pick_share, scheduler);
}

enum weir_status picks_open(struct scheduler *scheduler, struct weir_error *err)
{
    const uint32_t threads = weir_engine_threads(scheduler->engine);
    const uint32_t slots = scheduler->options.slots;
    const uint32_t most = threads < slots ? threads : slots;
    return most < 2 ? WEIR_OK : pool_open(&scheduler->picker, most, err);
}
