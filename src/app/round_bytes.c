/* SPDX-License-Identifier: MIT
 * Sums up what rounds touch, by the plans of those who make them. Knows no op and no flag. */
#include "app/round_bytes.h"

#include "base/err.h"

static void add_times(struct weir_traffic *sum, const struct weir_traffic *traffic, uint64_t times)
{
    for (int class = 0; class < WEIR_TRAFFIC_CLASSES; class ++) {
        sum->read[class] += times * traffic->read[class];
        sum->written[class] += times * traffic->written[class];
    }
}

/* Of a step of a session that was marked just before. */
static enum weir_status add_marked(struct weir_traffic *sum, const struct weir_engine *engine,
                                   uint32_t cached, uint32_t rows, enum weir_logits logits,
                                   struct weir_error *err)
{
    const struct weir_profile_shape shape = {
        .cached = cached, .rows = rows, .logits = logits, .is_marked = true};
    struct weir_profile *profile;
    struct weir_profile_info info;
    const enum weir_status status = weir_profile_open_engine(&profile, engine, &shape, 1, err);
    if (status != WEIR_OK)
        return status;
    weir_profile_info(profile, &info);
    for (uint32_t i = 0; i < info.ops; i++) {
        struct weir_profile_op op;
        weir_profile_op(profile, i, &op);
        add_times(sum, &op.traffic, 1);
    }
    weir_profile_close(profile);
    return WEIR_OK;
}

/* By the block: a step of what the round before gave, then one for each draft but the first. */
static enum weir_status add_block(struct weir_traffic *sum, const struct weir_engine *engine,
                                  uint32_t cached, uint32_t drafts, uint32_t given,
                                  struct weir_error *err)
{
    enum weir_status status;
    TRY(weir_engine_mtp_traffic(engine, cached, given, WEIR_LOGITS_LAST, sum, err));
    for (uint32_t i = 1; i < drafts; i++)
        TRY(weir_engine_mtp_traffic(engine, cached + i, 1, WEIR_LOGITS_LAST, sum, err));
out:
    return status;
}

/* By a model of its own: the same, but that it goes back to what was accepted, so its drafts leave
 * records. */
static enum weir_status add_model(struct weir_traffic *sum, const struct weir_engine *drafter,
                                  uint32_t cached, uint32_t drafts, uint32_t given,
                                  struct weir_error *err)
{
    enum weir_status status;
    TRY(weir_engine_traffic(drafter, cached, given, WEIR_LOGITS_LAST, sum, err));
    for (uint32_t i = 1; i < drafts; i++)
        TRY(add_marked(sum, drafter, cached + i, 1, WEIR_LOGITS_LAST, err));
out:
    return status;
}

static enum weir_status add_drafts(struct weir_traffic *sum, const struct round_makers *makers,
                                   uint32_t cached, uint32_t drafts, uint32_t given,
                                   struct weir_error *err)
{
    switch (makers->kind) {
    case WEIR_DRAFT_NONE:
    case WEIR_DRAFT_NGRAM: return WEIR_OK;
    case WEIR_DRAFT_MTP: return add_block(sum, makers->engine, cached, drafts, given, err);
    case WEIR_DRAFT_MODEL: return add_model(sum, makers->drafter, cached, drafts, given, err);
    }
    return WEIR_OK;
}

/* One round of so many drafts. */
static enum weir_status add_round(struct weir_traffic *sum, const struct round_makers *makers,
                                  uint32_t cached, uint32_t drafts, uint32_t given,
                                  struct weir_error *err)
{
    if (drafts == 0)
        return weir_engine_traffic(makers->engine, cached, 1, WEIR_LOGITS_ALL, sum, err);
    enum weir_status status;
    TRY(add_marked(sum, makers->engine, cached, 1 + drafts, WEIR_LOGITS_ALL, err));
    TRY(add_drafts(sum, makers, cached, drafts, given, err));
out:
    return status;
}

enum weir_status round_bytes_add(struct weir_traffic *sum, const struct round_makers *makers,
                                 uint32_t cached, const struct weir_speculator_info *rounds,
                                 struct weir_error *err)
{
    const uint32_t given = (uint32_t)((rounds->tokens + rounds->rounds / 2) / rounds->rounds);
    enum weir_status status = WEIR_OK;
    for (uint32_t drafts = 0; drafts < WEIR_ROUND_TOKENS_MAX; drafts++) {
        struct weir_traffic round = {{0}, {0}};
        if (rounds->rounds_of[drafts] == 0)
            continue;
        const uint32_t context = weir_engine_context(makers->engine);
        const uint32_t room = context > 1 + 2 * drafts ? context - (1 + 2 * drafts) : 0;
        TRY(add_round(&round, makers, cached < room ? cached : room, drafts, given, err));
        add_times(sum, &round, rounds->rounds_of[drafts]);
    }
out:
    return status;
}
