/* SPDX-License-Identifier: MIT
 * What a sequence should compute, by an engine of its own. */
#include "golden/oracle.h"

#include <stdlib.h>
#include <string.h>

#include "run/engine.h"

/* ---- lives ----------------------------------------------------------------------------------- */

void life_add(struct life *life, const int32_t *tokens, uint32_t rows, enum weir_logits logits)
{
    const bool is_exact = rows <= LIFE_EXACT;
    const uint32_t begin = life->length;
    CHECK(rows <= LIFE_MAX - begin);
    for (uint32_t i = 0; i < rows; i++)
        life->tokens[life->length++] =
            (struct life_token){.id = tokens[i],
                                .step_begin = (uint16_t)(is_exact ? begin + i : begin),
                                .step_rows = (uint16_t)(is_exact ? 1 : rows),
                                .logits = (uint8_t)(is_exact ? WEIR_LOGITS_ALL : logits)};
}

void life_draft(struct life *life, const int32_t *tokens, const float *hidden, uint32_t count,
                uint32_t width)
{
    CHECK(count <= LIFE_MAX - life->drafted);
    memcpy(life->drafts + life->drafted, tokens, count * sizeof *tokens);
    memcpy(life->hidden + (size_t)life->drafted * width, hidden,
           (size_t)count * width * sizeof *hidden);
    life->drafted += count;
}

void life_cut(struct life *life, uint32_t length)
{
    life->length = length;
    if (life->drafted > length)
        life->drafted = length;
}

void life_copy(struct life *to, const struct life *from, uint32_t width)
{
    float *hidden = to->hidden;
    *to = *from;
    to->hidden = hidden;
    if (!from->is_drafted_apart)
        memcpy(hidden, from->hidden, (size_t)from->drafted * width * sizeof *hidden);
}

static bool is_same_token(const struct life_token *a, const struct life_token *b)
{
    return a->id == b->id && a->step_begin == b->step_begin && a->step_rows == b->step_rows &&
           a->logits == b->logits;
}

/* True if `b` holds all that `a` does, and perhaps more. */
static bool goes_on(const struct life *a, const struct life *b)
{
    if (a->length > b->length)
        return false;
    for (uint32_t i = 0; i < a->length; i++) {
        if (!is_same_token(&a->tokens[i], &b->tokens[i]))
            return false;
    }
    return true;
}

static bool drafts_go_on(const struct life *a, const struct life *b, uint32_t width)
{
    return a->drafted <= b->drafted &&
           memcmp(a->drafts, b->drafts, a->drafted * sizeof *a->drafts) == 0 &&
           memcmp(a->hidden, b->hidden, (size_t)a->drafted * width * sizeof *a->hidden) == 0;
}

/* ---- the oracle ------------------------------------------------------------------------------ */

static float *floats(size_t rows, size_t width)
{
    float *data = calloc(rows * width, sizeof *data);
    CHECK(data != NULL);
    return data;
}

void oracle_open(struct oracle *oracle, const char *model,
                 const struct weir_engine_options *options)
{
    struct weir_engine_options own = *options;
    own.threads = 1;
    own.sessions_max = 1;
    own.rewind_max = 0;
    own.progress = NULL;
    *oracle = (struct oracle){0};
    fixture_open(&oracle->fixture, model, &own);
    oracle->width = weir_engine_width(oracle->fixture.engine);
    oracle->path.hidden = floats(LIFE_MAX, oracle->width);
    oracle->logits = floats(LIFE_MAX, oracle->fixture.vocab);
    oracle->hidden = floats(LIFE_MAX, oracle->width);
    oracle->draft_logits = floats(LIFE_MAX, oracle->fixture.vocab);
}

void oracle_close(struct oracle *oracle)
{
    fixture_close(&oracle->fixture);
    free(oracle->path.hidden);
    free(oracle->logits);
    free(oracle->hidden);
    free(oracle->draft_logits);
}

static void keep_rows(float *rows, const float *from, uint32_t count, uint32_t width)
{
    if (from != NULL)
        memcpy(rows, from, (size_t)count * width * sizeof *from);
}

/* The next step of the life: one as it was, or up to LIFE_EXACT tokens of steps that do not matter.
 */
static void take_step(struct oracle *oracle, const struct life *life)
{
    struct weir_error err = {0};
    struct weir_session *session = oracle->fixture.session;
    int32_t tokens[LIFE_MAX];
    const uint32_t begin = oracle->path.length, vocab = oracle->fixture.vocab;
    const struct life_token *first = &life->tokens[begin];
    uint32_t rows = first->step_rows;
    CHECK_INT(first->step_begin, begin);
    while (first->step_rows == 1 && rows < LIFE_EXACT && begin + rows < life->length &&
           first[rows].step_rows == 1)
        rows++;
    CHECK(rows <= life->length - begin);
    for (uint32_t i = 0; i < rows; i++)
        tokens[i] = first[i].id;
    const enum weir_logits logits = (enum weir_logits)first->logits;
    CHECK_OK(weir_session_eval(session, tokens, rows, logits, &err), &err);
    const uint32_t outs = engine_outs(logits, rows);
    keep_rows(oracle->logits + (size_t)(begin + rows - outs) * vocab,
              weir_session_logits(session, 0), outs, vocab);
    keep_rows(oracle->hidden + (size_t)begin * oracle->width, weir_session_hidden(session, 0), rows,
              oracle->width);
    memcpy(oracle->path.tokens + begin, first, rows * sizeof *first);
    oracle->path.length += rows;
    oracle->evaluated += rows;
}

static void take_drafts(struct oracle *oracle, const struct life *life)
{
    struct weir_error err = {0};
    struct weir_session *session = oracle->fixture.session;
    const uint32_t begin = oracle->path.drafted, vocab = oracle->fixture.vocab;
    const uint32_t left = life->drafted - begin, rows = left < LIFE_EXACT ? left : LIFE_EXACT;
    const float *hidden = life->hidden + (size_t)begin * oracle->width;
    CHECK_OK(
        weir_session_mtp_eval(session, life->drafts + begin, hidden, rows, WEIR_LOGITS_ALL, &err),
        &err);
    keep_rows(oracle->draft_logits + (size_t)begin * vocab, weir_session_mtp_logits(session, 0),
              rows, vocab);
    life_draft(&oracle->path, life->drafts + begin, hidden, rows, oracle->width);
}

void oracle_follow(struct oracle *oracle, const struct life *life)
{
    struct weir_error err = {0};
    struct weir_session *session = oracle->fixture.session;
    if (!goes_on(&oracle->path, life)) {
        weir_session_reset(session);
        oracle->path.length = oracle->path.drafted = 0;
    }
    while (oracle->path.length < life->length)
        take_step(oracle, life);
    if (life->is_drafted_apart)
        return;
    if (!drafts_go_on(&oracle->path, life, oracle->width)) {
        CHECK_OK(weir_session_mtp_rewind(session, 0, &err), &err);
        oracle->path.drafted = 0;
    }
    while (oracle->path.drafted < life->drafted)
        take_drafts(oracle, life);
}

const float *oracle_logits(const struct oracle *oracle, uint32_t position)
{
    CHECK(position < oracle->path.length);
    return oracle->logits + (size_t)position * oracle->fixture.vocab;
}

const float *oracle_hidden(const struct oracle *oracle, uint32_t position)
{
    CHECK(position < oracle->path.length);
    return oracle->hidden + (size_t)position * oracle->width;
}

const float *oracle_draft_logits(const struct oracle *oracle, uint32_t position)
{
    CHECK(position < oracle->path.drafted);
    return oracle->draft_logits + (size_t)position * oracle->fixture.vocab;
}
