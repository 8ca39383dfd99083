/* SPDX-License-Identifier: MIT
 * A session of a crowd that speaks, and what it should say. */
#include "golden/speaker.h"

#include "golden/crowd.h"

/* ---- who speaks ------------------------------------------------------------------------------ */

static const struct {
    enum weir_draft_kind kind;
    const char *name;
} kinds[] = {
    {WEIR_DRAFT_NONE, "none"},
    {WEIR_DRAFT_NGRAM, "n-grams"},
    {WEIR_DRAFT_MODEL, "a model"},
    {WEIR_DRAFT_MTP, "the MTP block"}, /* the last: not every engine has it */
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

static struct weir_speculator_options draw_speculation(struct crowd *crowd)
{
    const uint32_t room = crowd->options.rewind_max;
    const uint32_t kind = crowd_draw(crowd, crowd->options.mtp ? KINDS : KINDS - 1);
    struct weir_speculator_options options;
    weir_speculator_options_init(&options);
    options.fixed = crowd_draw(crowd, 2) == 0;
    options.ngram_size = crowd_draw_between(crowd, 1, 4);
    if (room > 1) {
        options.kind = kinds[kind].kind;
        options.drafts_max = crowd_draw_between(crowd, 1, room - 1);
    }
    if (crowd_draw(crowd, 4) == 0)
        options.drafts_min = crowd_draw_between(crowd, 0, options.drafts_max);
    if (crowd_draw(crowd, 4) == 0)
        options.p_min = 0.3f;
    crowd_say(crowd, ", %u drafts%s by %s", options.drafts_max, options.fixed ? "" : " at most",
              kinds[room > 1 ? kind : 0].name);
    return options;
}

/* Greedy or not. N-grams need a text that repeats, so of two tokens; others are chosen with all
 * that looks back at what was accepted. */
static void open_samplers(struct crowd *crowd, struct speaker *speaker)
{
    const struct weir_logit_bias few[] = {{crowd->vocab > 10 ? 10 : 0, 50},
                                          {crowd->vocab > 20 ? 20 : (int32_t)crowd->vocab - 1, 50}};
    struct weir_sampler_options options;
    struct weir_error err = {0};
    weir_sampler_options_init(&options);
    options.seed = crowd_draw(crowd, 1000);
    options.temperature = crowd_draw(crowd, 2) == 0 ? 0 : 1;
    if (speaker->kind == WEIR_DRAFT_NGRAM) {
        options.biases = few;
        options.biases_count = sizeof few / sizeof few[0];
    } else if (options.temperature != 0) {
        options.repeat_penalty = 1.2f;
        options.dry_multiplier = 0.8f;
    }
    crowd_say(crowd, ", temperature %g", (double)options.temperature);
    CHECK_OK(weir_sampler_open(&speaker->sampler, &options, crowd->vocab, LIFE_MAX, NULL, &err),
             &err);
    CHECK_OK(weir_sampler_open(&speaker->lone, &options, crowd->vocab, LIFE_MAX, NULL, &err), &err);
}

void speaker_open(struct crowd *crowd, struct place *place)
{
    struct speaker *speaker = &place->speaker;
    struct weir_error err = {0};
    speaker_close(place);
    struct weir_speculator_options options = draw_speculation(crowd);
    speaker->kind = options.kind;
    open_samplers(crowd, speaker);
    if (options.kind == WEIR_DRAFT_MODEL)
        CHECK_OK(weir_session_open(&speaker->drafter, crowd->drafter.engine, &err), &err);
    options.draft_session = speaker->drafter;
    crowd_expect_ok(
        crowd, weir_speculator_open(&speaker->speculator, place->session, &options, &err), &err);
}

void speaker_close(struct place *place)
{
    weir_speculator_close(place->speaker.speculator);
    weir_sampler_close(place->speaker.sampler);
    weir_sampler_close(place->speaker.lone);
    weir_session_close(place->speaker.drafter);
    place->speaker = (struct speaker){.speculator = NULL};
}

/* ---- rounds ---------------------------------------------------------------------------------- */

uint32_t speaker_draft(struct crowd *crowd, struct place *place, uint32_t most, int32_t *tokens)
{
    const struct speaker *speaker = &place->speaker;
    const int32_t *round;
    uint32_t rows;
    struct weir_error err = {0};
    crowd_expect_ok(
        crowd, weir_speculator_draft(speaker->speculator, place->next, most, &round, &rows, &err),
        &err);
    if (rows == 0 || rows > most || round[0] != place->next)
        crowd_fail(crowd, "a round of %u tokens from %d on, expected 1 to %u from %d on", rows,
                   (int)round[0], most, (int)place->next);
    for (uint32_t i = 0; i < rows; i++)
        tokens[i] = round[i];
    place->is_marked = rows > 1;
    place->mark = place->life.length;
    /* n-grams put the newest token behind the session's own, if anything is to be drafted */
    for (uint32_t i = 0; i < CROWD_KEPT && speaker->kind == WEIR_DRAFT_NGRAM; i++)
        place->kept[i].is_valid &= weir_checkpoint_position(place->kept[i].checkpoint) >= 0 ||
                                   place->kept[i].length <= place->life.length;
    if (speaker->kind == WEIR_DRAFT_MTP) {
        place->life.is_drafted_apart = true;
        place->life.drafted = weir_session_mtp_position(place->session);
    }
    return rows;
}

/* The rows behind tokens that were chosen are the oracle's, and it would have chosen them too. */
static void check_chosen(struct crowd *crowd, struct place *place, const int32_t *out,
                         uint32_t count)
{
    const uint32_t begin = place->life.length - count;
    crowd_check_place(crowd, place);
    oracle_follow(&place->oracle, &place->life);
    for (uint32_t i = 0; i < count; i++) {
        const float *expected = oracle_logits(&place->oracle, begin + i);
        crowd_check_bits(crowd, place, weir_session_logits(place->session, i), expected,
                         crowd->vocab, "logits of a round", begin + i);
        if (crowd->options.mtp)
            crowd_check_bits(crowd, place, weir_session_hidden(place->session, i),
                             oracle_hidden(&place->oracle, begin + i), crowd->width,
                             "hidden states of a round", begin + i);
        const int32_t id = weir_sampler_pick(place->speaker.lone, expected);
        weir_sampler_accept(place->speaker.lone, id);
        if (out[i] != id)
            crowd_fail(crowd, "session %u says %d behind token %u, expected %d",
                       crowd_number(crowd, place), (int)out[i], begin + i, (int)id);
    }
}

/* As many as were drafted right, and one more. */
static void check_count(const struct crowd *crowd, const int32_t *tokens, uint32_t rows,
                        const int32_t *out, uint32_t count)
{
    uint32_t right = 0;
    while (right + 1 < rows && right < count && out[right] == tokens[right + 1])
        right++;
    if (count != right + 1)
        crowd_fail(crowd, "%u tokens chosen, of which %u were drafted", count, right);
}

/* In place of a time: so long that the drafts, whose times are measured, weigh nothing, and no
 * schedule depends on the clock. */
static uint64_t draw_step_ns(struct crowd *crowd, uint32_t rows)
{
    const uint64_t step_ns = 1000000000000;
    return crowd_draw(crowd, 2) == 0 ? 0 : step_ns + rows * (step_ns / 50);
}

void speaker_accept(struct crowd *crowd, struct place *place, const int32_t *tokens, uint32_t rows)
{
    struct life *life = &place->life;
    const uint32_t begin = life->length;
    int32_t out[WEIR_ROUND_TOKENS_MAX];
    uint32_t count;
    struct weir_error err = {0};
    life_add(life, tokens, rows, WEIR_LOGITS_ALL);
    if (crowd_draw(crowd, 8) == 0)
        crowd_check_rows(crowd, place, rows, rows); /* those that will be refused too */
    const uint64_t step_ns = draw_step_ns(crowd, rows);
    crowd_expect_ok(crowd,
                    weir_speculator_accept(place->speaker.speculator, place->speaker.sampler,
                                           step_ns, out, &count, &err),
                    &err);
    check_count(crowd, tokens, rows, out, count);
    if (count < rows)
        life_cut(life, begin + count);
    check_chosen(crowd, place, out, count);
    place->next = out[count - 1];
    crowd->deeds->rounds++;
    crowd->deeds->accepted += count - 1;
    crowd->deeds->refused += rows - count;
}

void speaker_accept_nothing(const struct crowd *crowd, struct place *place)
{
    int32_t out[WEIR_ROUND_TOKENS_MAX];
    uint32_t count;
    struct weir_error err = {0};
    const enum weir_status status = weir_speculator_accept(
        place->speaker.speculator, place->speaker.sampler, 0, out, &count, &err);
    if (status != WEIR_ERR_ARGUMENT)
        crowd_fail(crowd, "status %d of a round without its step", (int)status);
}
