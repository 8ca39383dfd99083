/* SPDX-License-Identifier: MIT
 * Rounds of speculation: a draft, the caller's step, and what the sampler makes of its logits. Owns
 * who is asked for drafts and for how many; knows not how they are made. */
#include "run/speculate.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "run/lookup.h"

_Static_assert((int)WEIR_ROUND_TOKENS_MAX <= (int)WEIR_REWIND_MAX, "a round can be taken back");

struct weir_speculator {
    struct weir_speculator_options options;
    struct weir_session *session;
    const struct draft_source *source; /* NULL: no drafts */
    void *source_state;
    struct draft_length length;
    /* the round that is going on; rows 0: none is */
    int32_t tokens[WEIR_ROUND_TOKENS_MAX];
    uint32_t rows;
    uint32_t wanted;
    bool is_chosen;    /* how many drafts it has was chosen here */
    uint32_t position; /* of the session when it began */
    uint64_t draft_ns;
    struct weir_speculator_info info;
};

/* ---- drafts by n-grams ----------------------------------------------------------------------- */

struct ngram {
    struct weir_session *session;
    uint32_t size;
};

/* `last` is put where the next step will write it, so that the text lies in one piece. */
static enum weir_status ngram_draft(void *state, int32_t last, uint32_t wanted, int32_t *drafts,
                                    uint32_t *count, struct weir_error *err)
{
    const struct ngram *ngram = state;
    struct weir_session *session = ngram->session;
    (void)err;
    session_overwrite(session);
    session->tokens[session->position] = last;
    *count = lookup_draft(session->tokens, session->position + 1, ngram->size, drafts, wanted);
    return WEIR_OK;
}

static void ngram_close(void *state)
{
    mem_free(state);
}

static const struct draft_source draft_ngram = {ngram_draft, NULL, ngram_close};

static enum weir_status draft_ngram_open(void **state, struct weir_session *session, uint32_t size,
                                         struct weir_error *err)
{
    *state = NULL;
    if (size == 0)
        return err_set(err, WEIR_ERR_ARGUMENT, "n-grams of 0 tokens, expected at least 1");
    struct ngram *ngram = mem_alloc(1, sizeof *ngram, err);
    if (ngram == NULL)
        return WEIR_ERR_MEMORY;
    *ngram = (struct ngram){session, size};
    *state = ngram;
    return WEIR_OK;
}

/* ---- open and close -------------------------------------------------------------------------- */

void weir_speculator_options_init(struct weir_speculator_options *options)
{
    *options = (struct weir_speculator_options){
        .kind = WEIR_DRAFT_NONE,
        .drafts_max = 3,
        .ngram_size = 12,
    };
}

/* Drafts of a round that the engine has room for. */
static uint32_t engine_drafts_max(const struct weir_engine *engine)
{
    const struct plan_limits *limits = &engine->blueprint.limits;
    const uint32_t rewind = engine->options.rewind_max;
    const uint32_t rows = limits->rows < limits->outs ? limits->rows : limits->outs;
    return rewind == 0 ? 0 : (rewind < rows ? rewind : rows) - 1;
}

static enum weir_status check_options(const struct weir_session *session,
                                      const struct weir_speculator_options *options,
                                      struct weir_error *err)
{
    const uint32_t most = engine_drafts_max(session->engine);
    if (options->drafts_max < 1 || options->drafts_max > WEIR_DRAFTS_MAX)
        return err_set(err, WEIR_ERR_ARGUMENT, "drafts of %u tokens, expected 1 to %d",
                       options->drafts_max, WEIR_DRAFTS_MAX);
    if (options->drafts_min > options->drafts_max)
        return err_set(err, WEIR_ERR_ARGUMENT, "drafts of at least %u tokens, expected at most %u",
                       options->drafts_min, options->drafts_max);
    if (!(options->p_min >= 0 && options->p_min <= 1))
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "the least probability of a draft is %g, expected 0 to 1",
                       (double)options->p_min);
    if (options->drafts_max > most)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "drafts of %u tokens, but a round of this engine has room for %u",
                       options->drafts_max, most);
    return WEIR_OK;
}

enum weir_status speculator_open(struct weir_speculator **out, struct weir_session *session,
                                 const struct weir_speculator_options *options,
                                 const struct draft_source *source, void *state,
                                 struct weir_error *err)
{
    *out = NULL;
    enum weir_status status = source == NULL ? WEIR_OK : check_options(session, options, err);
    struct weir_speculator *speculator =
        status == WEIR_OK ? mem_alloc(1, sizeof *speculator, err) : NULL;
    if (speculator == NULL) {
        if (source != NULL)
            source->close(state);
        return status == WEIR_OK ? WEIR_ERR_MEMORY : status;
    }
    speculator->options = *options;
    speculator->session = session;
    speculator->source = source;
    speculator->source_state = state;
    draft_length_init(&speculator->length);
    *out = speculator;
    return WEIR_OK;
}

enum weir_status weir_speculator_open(struct weir_speculator **out, struct weir_session *session,
                                      const struct weir_speculator_options *options,
                                      struct weir_error *err)
{
    const struct draft_source *source = NULL;
    void *state = NULL;
    enum weir_status status = WEIR_OK;
    *out = NULL;
    switch (options->kind) {
    case WEIR_DRAFT_NONE: break;
    case WEIR_DRAFT_MTP:
        source = &draft_mtp;
        status = draft_mtp_open(&state, session, options->p_min, err);
        break;
    case WEIR_DRAFT_NGRAM:
        source = &draft_ngram;
        status = draft_ngram_open(&state, session, options->ngram_size, err);
        break;
    case WEIR_DRAFT_MODEL:
        source = &draft_model;
        status = draft_model_open(&state, session, options, err);
        break;
    }
    return status == WEIR_OK ? speculator_open(out, session, options, source, state, err) : status;
}

void weir_speculator_close(struct weir_speculator *speculator)
{
    if (speculator == NULL)
        return;
    if (speculator->source != NULL)
        speculator->source->close(speculator->source_state);
    mem_free(speculator);
}

void weir_speculator_info(const struct weir_speculator *speculator,
                          struct weir_speculator_info *out)
{
    *out = speculator->info;
}

/* ---- rounds ---------------------------------------------------------------------------------- */

static void tell_taken(void *user, const int32_t *tokens, uint32_t count)
{
    const struct weir_speculator *speculator = user;
    if (speculator->source != NULL && speculator->source->taken != NULL)
        speculator->source->taken(speculator->source_state, tokens, count);
}

/* Who is told of a step behind the source of drafts. */
struct listener {
    struct weir_speculator *speculator;
    session_stepped_fn *stepped;
    void *user;
};

static void tell_both(void *user, const int32_t *tokens, uint32_t count)
{
    const struct listener *listener = user;
    tell_taken(listener->speculator, tokens, count);
    listener->stepped(listener->user, tokens, count);
}

enum weir_status speculator_prompt(struct weir_speculator *speculator, const int32_t *tokens,
                                   uint32_t count, enum weir_logits logits,
                                   session_stepped_fn *stepped, void *user, struct weir_error *err)
{
    struct listener listener = {speculator, stepped, user};
    weir_session_unmark(speculator->session);
    return session_eval(speculator->session, tokens, count, logits, tell_both, &listener, err);
}

enum weir_status weir_speculator_prompt(struct weir_speculator *speculator, const int32_t *tokens,
                                        uint32_t count, enum weir_logits logits,
                                        struct weir_error *err)
{
    weir_session_unmark(speculator->session);
    return session_eval(speculator->session, tokens, count, logits, tell_taken, speculator, err);
}

enum weir_status weir_speculator_taken(struct weir_speculator *speculator, const int32_t *tokens,
                                       uint32_t count, struct weir_error *err)
{
    const struct weir_session *session = speculator->session;
    const struct results *results = &session->results;
    const bool is_last = results->rows == count && results->step == session->engine->step_count &&
                         results->first + count == session->position;
    if (!is_last || memcmp(tokens, session->tokens + results->first, count * sizeof *tokens) != 0)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "%u tokens that the engine's last step did not evaluate in this session",
                       count);
    tell_taken(speculator, tokens, count);
    return WEIR_OK;
}

/* How many drafts there is use and room for. */
static uint32_t drafts_limit(const struct weir_speculator *speculator, uint32_t most)
{
    const struct weir_session *session = speculator->session;
    const uint32_t room = weir_engine_context(session->engine) - session->position;
    uint32_t limit = speculator->source == NULL ? 0 : speculator->options.drafts_max;
    limit = most < limit + 1 ? most - 1 : limit;
    return room < limit + 1 ? (room > 0 ? room - 1 : 0) : limit;
}

static uint32_t choose_wanted(const struct weir_speculator *speculator, uint32_t most)
{
    const uint32_t limit = drafts_limit(speculator, most), least = speculator->options.drafts_min;
    if (speculator->options.fixed)
        return limit;
    const uint32_t wanted = draft_length_choose(&speculator->length, limit);
    return wanted > 0 && wanted < least && least <= limit ? least : wanted;
}

static bool ends_generation(const struct weir_speculator *speculator, int32_t id)
{
    const struct weir_tokenizer *tokenizer = speculator->options.tokenizer;
    return tokenizer != NULL && weir_tokenizer_ends_generation(tokenizer, id);
}

/* Drafts behind one that ends generation are of no use, nor are fewer than are asked for, unless a
 * caller has said how many. */
static uint32_t useful_drafts(const struct weir_speculator *speculator, const int32_t *drafts,
                              uint32_t count)
{
    uint32_t useful = 0;
    while (useful < count && (useful == 0 || !ends_generation(speculator, drafts[useful - 1])))
        useful++;
    return speculator->is_chosen && useful < speculator->options.drafts_min ? 0 : useful;
}

/* Drafts are a help and no need: a source that fails is asked no more, and the text goes on. */
static enum weir_status make_drafts(struct weir_speculator *speculator, int32_t last,
                                    uint32_t *count, struct weir_error *err)
{
    struct weir_error inner = {0};
    const enum weir_status status = speculator->source->draft(
        speculator->source_state, last, speculator->wanted, speculator->tokens + 1, count, &inner);
    if (status == WEIR_OK)
        return status;
    *count = 0;
    if (status == WEIR_ERR_CANCELLED || status == WEIR_ERR_MEMORY)
        return err_set(err, status, "%s", inner.text);
    speculator->options.drafts_max = 0;
    return WEIR_OK;
}

/* Begins a round that wants speculator->wanted drafts. */
static enum weir_status begin_round(struct weir_speculator *speculator, int32_t last,
                                    const int32_t **tokens, uint32_t *count, struct weir_error *err)
{
    struct weir_session *session = speculator->session;
    const uint64_t begin = clock_ns();
    uint32_t drafts = 0;
    enum weir_status status = WEIR_OK;
    speculator->rows = 0;
    speculator->tokens[0] = last;
    if (speculator->wanted > 0)
        TRY(make_drafts(speculator, last, &drafts, err));
    drafts = useful_drafts(speculator, speculator->tokens + 1, drafts);
    weir_session_unmark(session);
    if (drafts > 0)
        TRY(weir_session_mark(session, err));
    speculator->draft_ns = clock_ns() - begin;
    speculator->position = session->position;
    speculator->rows = 1 + drafts;
    *tokens = speculator->tokens;
    *count = speculator->rows;
out:
    return status;
}

enum weir_status weir_speculator_draft(struct weir_speculator *speculator, int32_t last,
                                       uint32_t most, const int32_t **tokens, uint32_t *count,
                                       struct weir_error *err)
{
    if (most == 0)
        return err_set(err, WEIR_ERR_ARGUMENT, "a round of no tokens, expected at least 1");
    speculator->wanted = choose_wanted(speculator, most);
    speculator->is_chosen = true;
    return begin_round(speculator, last, tokens, count, err);
}

enum weir_status weir_speculator_draft_exactly(struct weir_speculator *speculator, int32_t last,
                                               uint32_t drafts, const int32_t **tokens,
                                               uint32_t *count, struct weir_error *err)
{
    const uint32_t most = drafts < WEIR_DRAFTS_MAX ? drafts : WEIR_DRAFTS_MAX;
    speculator->wanted = drafts_limit(speculator, most + 1);
    speculator->is_chosen = false;
    return begin_round(speculator, last, tokens, count, err);
}

static enum weir_status check_round(const struct weir_speculator *speculator,
                                    struct weir_error *err)
{
    const uint32_t rows = speculator->rows;
    const struct weir_session *session = speculator->session;
    if (rows == 0 || session->position != speculator->position + rows ||
        weir_session_logits(session, rows - 1) == NULL)
        return err_set(
            err, WEIR_ERR_ARGUMENT,
            "no step to accept a draft of: expected one of the tokens of the round, with "
            "all logits, and none behind it");
    return WEIR_OK;
}

/* The sampler's choices, as long as they are the drafts. */
static uint32_t choose_tokens(const struct weir_speculator *speculator,
                              struct weir_sampler *sampler, int32_t *out)
{
    uint32_t count = 0;
    for (;;) {
        const int32_t id =
            weir_sampler_pick(sampler, weir_session_logits(speculator->session, count));
        weir_sampler_accept(sampler, id);
        out[count++] = id;
        if (count == speculator->rows || id != speculator->tokens[count] ||
            ends_generation(speculator, id))
            return count;
    }
}

static void count_round(struct weir_speculator *speculator, const struct draft_round *round)
{
    struct weir_speculator_info *info = &speculator->info;
    if (speculator->is_chosen)
        draft_length_learn(&speculator->length, speculator->wanted, round);
    info->rounds++;
    info->tokens += round->accepted + 1;
    info->drafts += round->drafts;
    info->accepted += round->accepted;
    info->rounds_of[round->drafts]++;
    info->draft_ns += round->draft_ns;
    info->step_ns += round->step_ns;
    for (uint32_t i = 0; i < round->drafts; i++) {
        info->made_at[i]++;
        info->accepted_at[i] += i < round->accepted;
    }
}

enum weir_status weir_speculator_accept(struct weir_speculator *speculator,
                                        struct weir_sampler *sampler, uint64_t step_ns,
                                        int32_t *out, uint32_t *count, struct weir_error *err)
{
    enum weir_status status;
    TRY(check_round(speculator, err));
    const uint32_t rows = speculator->rows, taken = choose_tokens(speculator, sampler, out);
    const struct draft_round round = {.drafts = rows - 1,
                                      .accepted = taken - 1,
                                      .step_ns = step_ns,
                                      .draft_ns = speculator->draft_ns};
    if (taken < rows)
        TRY(weir_session_rewind(speculator->session, speculator->position + taken, err));
    tell_taken(speculator, speculator->tokens, taken);
    count_round(speculator, &round);
    speculator->rows = 0;
    *count = taken;
out:
    return status;
}

enum weir_status weir_speculator_round(struct weir_speculator *speculator,
                                       struct weir_sampler *sampler, int32_t last, uint32_t most,
                                       int32_t *out, uint32_t *count, struct weir_error *err)
{
    const int32_t *tokens;
    uint32_t rows;
    enum weir_status status;
    TRY(weir_speculator_draft(speculator, last, most, &tokens, &rows, err));
    const uint64_t begin = clock_ns();
    TRY(weir_session_eval(speculator->session, tokens, rows, WEIR_LOGITS_ALL, err));
    TRY(weir_speculator_accept(speculator, sampler, clock_ns() - begin, out, count, err));
out:
    return status;
}
