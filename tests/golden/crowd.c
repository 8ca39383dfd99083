/* SPDX-License-Identifier: MIT
 * Several sessions in one engine, each with an oracle that says what it should compute. */
#include "golden/crowd.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "golden/engines.h"

/* ---- choices and messages -------------------------------------------------------------------- */

uint32_t crowd_draw(struct crowd *crowd, uint32_t count)
{
    return (uint32_t)(rng_bits(test_seed(), crowd->stream, crowd->choices++) % count);
}

uint32_t crowd_draw_between(struct crowd *crowd, uint32_t least, uint32_t most)
{
    return least + crowd_draw(crowd, most - least + 1);
}

uint32_t crowd_number(const struct crowd *crowd, const struct place *place)
{
    return (uint32_t)(place - crowd->places);
}

static char *line_of(struct crowd *crowd)
{
    return crowd->lines[(crowd->actions - 1) % CROWD_LINES];
}

void crowd_begin(struct crowd *crowd)
{
    crowd->actions++;
    line_of(crowd)[0] = 0;
}

void crowd_say(struct crowd *crowd, const char *format, ...)
{
    char *line = line_of(crowd);
    const size_t length = strlen(line);
    va_list args;
    va_start(args, format);
    vsnprintf(line + length, CROWD_LINE_MAX - length, format, args);
    va_end(args);
}

void crowd_fail(const struct crowd *crowd, const char *format, ...)
{
    char text[WEIR_ERROR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    printf("%s\n%s%s%s, %u threads, %u to go back, %u rows of a step:\n", crowd->text,
           crowd->options.backend, crowd->options.isa == NULL ? "" : " ",
           crowd->options.isa == NULL ? "" : crowd->options.isa, crowd->options.threads,
           crowd->options.rewind_max, crowd->options.step_rows_max);
    const uint32_t end = crowd->actions;
    for (uint32_t i = end < CROWD_LINES ? 0 : end - CROWD_LINES; i < end; i++)
        printf("    %4u%s\n", i + 1, crowd->lines[i % CROWD_LINES]);
    test_fail(__FILE__, __LINE__, "stream %llu, action %u: %s", (unsigned long long)crowd->stream,
              crowd->actions, text);
}

void crowd_expect_ok(const struct crowd *crowd, enum weir_status status,
                     const struct weir_error *err)
{
    if (status != WEIR_OK)
        crowd_fail(crowd, "status %d: %s", (int)status, err->text);
}

/* ---- what a session should be ---------------------------------------------------------------- */

void place_empty(struct place *place)
{
    place->life.length = place->life.drafted = 0;
    place->life.is_drafted_apart = place->is_marked = false;
    place->next = 0;
}

void crowd_check_place(const struct crowd *crowd, const struct place *place)
{
    const struct life *life = &place->life;
    const uint32_t number = crowd_number(crowd, place);
    const uint32_t position = weir_session_position(place->session);
    const int32_t *tokens = weir_session_tokens(place->session);
    if (position != life->length)
        crowd_fail(crowd, "session %u holds %u tokens, expected %u", number, position,
                   life->length);
    for (uint32_t i = 0; i < position; i++) {
        if (tokens[i] != life->tokens[i].id)
            crowd_fail(crowd, "session %u: token %u is %d, expected %d", number, i, (int)tokens[i],
                       (int)life->tokens[i].id);
    }
    for (uint32_t i = 0; i < CROWD_KEPT; i++) {
        const struct kept *kept = &place->kept[i];
        const int64_t at = weir_checkpoint_position(kept->checkpoint);
        if (at != (kept->is_valid ? (int64_t)kept->length : -1))
            crowd_fail(crowd, "session %u: checkpoint %u is at %lld", number, i, (long long)at);
    }
    const uint32_t drafted = weir_session_mtp_position(place->session);
    if (drafted != life->drafted && !life->is_drafted_apart)
        crowd_fail(crowd, "session %u: the MTP block holds %u tokens, expected %u", number, drafted,
                   life->drafted);
}

void crowd_check_bits(const struct crowd *crowd, const struct place *place, const float *actual,
                      const float *expected, uint32_t count, const char *what, uint32_t position)
{
    if (actual == NULL || memcmp(actual, expected, count * sizeof *actual) != 0)
        crowd_fail(crowd, "session %u: %s behind token %u %s", crowd_number(crowd, place), what,
                   position, actual == NULL ? "are not there" : "differ");
}

static int32_t greatest(const float *logits, uint32_t count)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < count; i++)
        best = logits[i] > logits[best] ? i : best;
    return (int32_t)best;
}

void crowd_check_rows(const struct crowd *crowd, struct place *place, uint32_t rows, uint32_t outs)
{
    const struct weir_session *session = place->session;
    const uint32_t end = place->life.length;
    crowd_check_place(crowd, place);
    oracle_follow(&place->oracle, &place->life);
    for (uint32_t i = 0; i < outs; i++)
        crowd_check_bits(crowd, place, weir_session_logits(session, i),
                         oracle_logits(&place->oracle, end - outs + i), crowd->vocab, "logits",
                         end - outs + i);
    for (uint32_t i = 0; i < rows && crowd->options.mtp; i++)
        crowd_check_bits(crowd, place, weir_session_hidden(session, i),
                         oracle_hidden(&place->oracle, end - rows + i), crowd->width,
                         "hidden states", end - rows + i);
    if (weir_session_logits(session, outs) != NULL)
        crowd_fail(crowd, "session %u has logits that nobody wanted", crowd_number(crowd, place));
    if (outs != 0)
        place->next = greatest(weir_session_logits(session, outs - 1), crowd->vocab);
}

void crowd_check_hidden(const struct crowd *crowd, struct place *place)
{
    const float *hidden = weir_session_hidden(place->session, 0);
    const uint32_t last = place->life.length - 1;
    if (hidden == NULL)
        return;
    oracle_follow(&place->oracle, &place->life);
    crowd_check_bits(crowd, place, hidden, oracle_hidden(&place->oracle, last), crowd->width,
                     "the hidden state", last);
}

void crowd_check_drafts(const struct crowd *crowd, struct place *place, uint32_t count)
{
    const uint32_t begin = place->life.drafted - count;
    crowd_check_place(crowd, place);
    oracle_follow(&place->oracle, &place->life);
    for (uint32_t i = 0; i < count; i++)
        crowd_check_bits(crowd, place, weir_session_mtp_logits(place->session, i),
                         oracle_draft_logits(&place->oracle, begin + i), crowd->vocab,
                         "logits of the MTP block", begin + i);
}

/* ---- sessions -------------------------------------------------------------------------------- */

void crowd_forget_kept(struct crowd *crowd, struct place *place)
{
    struct weir_error err = {0};
    for (uint32_t i = 0; i < CROWD_KEPT; i++) {
        struct kept *kept = &place->kept[i];
        weir_checkpoint_close(kept->checkpoint);
        kept->is_valid = false;
        crowd_expect_ok(crowd, weir_checkpoint_open(&kept->checkpoint, place->session, &err), &err);
    }
}

void crowd_open_session(struct crowd *crowd, struct place *place)
{
    struct weir_error err = {0};
    crowd_expect_ok(crowd, weir_session_open(&place->session, crowd->engine, &err), &err);
    for (uint32_t i = 0; i < CROWD_KEPT; i++)
        place->kept[i].checkpoint = NULL;
    crowd_forget_kept(crowd, place);
}

void crowd_close_session(struct place *place)
{
    for (uint32_t i = 0; i < CROWD_KEPT && place->session != NULL; i++)
        weir_checkpoint_close(place->kept[i].checkpoint);
    weir_session_close(place->session);
    place->session = NULL;
}

void crowd_overwrite(struct place *place)
{
    for (uint32_t i = 0; i < CROWD_KEPT; i++)
        place->kept[i].is_valid &= place->kept[i].length <= place->life.length;
}

/* ---- the engine ------------------------------------------------------------------------------ */

static bool proceeds(void *user, enum weir_stage stage, uint64_t done, uint64_t total)
{
    struct crowd *crowd = user;
    (void)stage;
    CHECK(done <= total);
    return crowd->calls_left == 0 || --crowd->calls_left != 0;
}

uint32_t crowd_engines(void)
{
    return ENGINES_ALL;
}

static void draw_options(struct crowd *crowd, const struct crowd_model *model, uint32_t engine)
{
    static const uint32_t rewinds[] = {0, 1, 3, 8, 16, 16, 16, 16};
    const uint32_t caches = (model->has_odd_heads ? WEIR_CACHE_BF16 : WEIR_CACHE_Q4_0) + 1;
    struct weir_engine_options *options = &crowd->options;
    fixture_options(options);
    engines_choose(options, engine);
    options->mtp = model->has_mtp;
    options->context = LIFE_MAX;
    options->step_rows_max = crowd_draw_between(crowd, 40, 100);
    options->logits_rows_max = crowd_draw_between(crowd, LIFE_EXACT, 40);
    options->sessions_max = crowd->count;
    options->threads = crowd_draw_between(crowd, 1, 3);
    options->rewind_max = rewinds[crowd_draw(crowd, sizeof rewinds / sizeof rewinds[0])];
    options->cache_k = (enum weir_cache_type)crowd_draw(crowd, caches);
    options->cache_v = (enum weir_cache_type)crowd_draw(crowd, caches);
    options->fuse = crowd_draw(crowd, 4) == 0 ? WEIR_OFF : WEIR_ON;
    options->progress = proceeds;
    options->progress_user = crowd;
}

/* A level that the processor has not is that below it, which has its own turn. */
static bool is_level_here(const struct crowd *crowd)
{
    return crowd->options.isa == NULL ||
           strcmp(weir_engine_isa(crowd->engine), crowd->options.isa) == 0;
}

/* The same model, which is mostly right, or one that is mostly wrong. Of fewer tokens than the
 * sessions that it drafts for, so that it has to give up at last. */
static void open_drafter(struct crowd *crowd, const struct crowd_model *model)
{
    struct weir_engine_options options = crowd->options;
    options.mtp = false;
    options.threads = 1;
    options.context = LIFE_MAX * 3 / 4;
    options.rewind_max = WEIR_REWIND_MAX;
    options.sessions_max = CROWD_PLACES + 1;
    options.progress = NULL;
    const bool is_same = crowd_draw(crowd, 4) != 0;
    fixture_open(&crowd->drafter, is_same ? model->path : model->other, &options);
}

static void open_places(struct crowd *crowd, const char *path)
{
    crowd->vocab = weir_engine_vocab(crowd->engine);
    crowd->width = weir_engine_width(crowd->engine);
    for (uint32_t i = 0; i < crowd->count; i++) {
        struct place *place = &crowd->places[i];
        oracle_open(&place->oracle, path, &crowd->options);
        place->life.hidden = calloc((size_t)LIFE_MAX * crowd->width, sizeof(float));
        CHECK(place->life.hidden != NULL);
    }
}

bool crowd_open(struct crowd *crowd, const struct crowd_model *model, uint32_t engine)
{
    struct weir_error err = {0};
    crowd->text = model->text != NULL ? model->text : model->path;
    crowd->count = crowd_draw_between(crowd, 2, CROWD_PLACES);
    draw_options(crowd, model, engine);
    CHECK_OK(weir_model_open(&crowd->model, model->path, NULL, &err), &err);
    CHECK_OK(weir_engine_open(&crowd->engine, crowd->model, &crowd->options, &err), &err);
    if (is_level_here(crowd)) {
        open_places(crowd, model->path);
        open_drafter(crowd, model);
        keeper_open(crowd);
        return true;
    }
    weir_engine_close(crowd->engine);
    weir_model_close(crowd->model);
    return false;
}

void crowd_close(struct crowd *crowd)
{
    for (uint32_t i = 0; i < crowd->count; i++) {
        struct place *place = &crowd->places[i];
        speaker_close(place);
        crowd_close_session(place);
        oracle_close(&place->oracle);
        free(place->life.hidden);
    }
    keeper_close(&crowd->keeper);
    fixture_close(&crowd->drafter);
    weir_engine_close(crowd->engine);
    weir_model_close(crowd->model);
}
