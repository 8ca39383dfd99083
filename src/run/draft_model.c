/* SPDX-License-Identifier: MIT
 * Drafts by another model with the same vocabulary, whose session follows: what both hold alike it
 * keeps, the rest it forgets or catches up with, so nobody has to tell it what was accepted. */
#include "run/speculate.h"

#include <string.h>

#include "base/mem.h"
#include "run/draft_pick.h"

struct follower {
    const struct weir_session *session;
    struct weir_session *own;
    float p_min;
};

/* Goes back to the tokens that both begin with; to none, if that is further than it can. */
static void go_back(const struct follower *follower)
{
    struct weir_session *own = follower->own;
    const uint32_t held = weir_session_position(own);
    const uint32_t position = weir_session_position(follower->session);
    const int32_t *ours = weir_session_tokens(own),
                  *theirs = weir_session_tokens(follower->session);
    uint32_t same = 0;
    while (same < held && same < position && ours[same] == theirs[same])
        same++;
    struct weir_error none = {0};
    if (weir_session_rewind(own, same, &none) != WEIR_OK)
        weir_session_reset(own);
}

/* All that it lacks, and the newest token. */
static enum weir_status catch_up(const struct follower *follower, int32_t last,
                                 struct weir_error *err)
{
    struct weir_session *own = follower->own;
    const uint32_t held = weir_session_position(own);
    const uint32_t lacks = weir_session_position(follower->session) - held;
    const int32_t *tokens = weir_session_tokens(follower->session) + held;
    enum weir_status status;
    weir_session_unmark(own);
    if (lacks > 1)
        TRY(weir_session_eval(own, tokens, lacks - 1, WEIR_LOGITS_NONE, err));
    const int32_t both[2] = {lacks > 0 ? tokens[lacks - 1] : last, last};
    TRY(weir_session_eval(own, both, lacks > 0 ? 2 : 1, WEIR_LOGITS_LAST, err));
out:
    return status;
}

static enum weir_status follower_draft(void *state, int32_t last, uint32_t wanted, int32_t *drafts,
                                       uint32_t *count, struct weir_error *err)
{
    const struct follower *follower = state;
    const struct weir_engine *engine = follower->own->engine;
    const uint64_t needed = (uint64_t)weir_session_position(follower->session) + 1 + wanted;
    enum weir_status status;
    *count = 0;
    if (needed > weir_engine_context(engine))
        return WEIR_OK;
    go_back(follower);
    TRY(catch_up(follower, last, err));
    TRY(weir_session_mark(follower->own, err));
    for (;;) {
        const float *logits = weir_session_logits(follower->own, 0);
        const int32_t id = draft_pick(logits, weir_engine_vocab(engine));
        if (follower->p_min > 0 &&
            draft_probability(logits, weir_engine_vocab(engine), id) < follower->p_min)
            return WEIR_OK;
        drafts[(*count)++] = id;
        if (*count == wanted)
            return WEIR_OK;
        TRY(weir_session_eval(follower->own, &id, 1, WEIR_LOGITS_LAST, err));
    }
out:
    return status;
}

/* ---- open and close -------------------------------------------------------------------------- */

static bool is_same_token(const struct weir_tokenizer *a, const struct weir_tokenizer *b,
                          int32_t id)
{
    size_t a_length, b_length;
    const char *a_text = weir_tokenizer_piece(a, id, true, &a_length);
    const char *b_text = weir_tokenizer_piece(b, id, true, &b_length);
    return a_length == b_length && memcmp(a_text, b_text, a_length) == 0;
}

static enum weir_status check_tokens(const struct weir_speculator_options *options,
                                     struct weir_error *err)
{
    const struct weir_tokenizer *a = options->tokenizer, *b = options->draft_tokenizer;
    if (a == NULL || b == NULL)
        return WEIR_OK;
    const uint32_t size = weir_tokenizer_size(a);
    if (weir_tokenizer_size(b) != size)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "the draft model's vocabulary has %u tokens, expected the model's %u",
                       weir_tokenizer_size(b), size);
    for (uint32_t id = 0; id < size; id++) {
        if (!is_same_token(a, b, (int32_t)id))
            return err_set(err, WEIR_ERR_ARGUMENT,
                           "token %u of the draft model is not that of the model, expected the "
                           "same vocabulary",
                           id);
    }
    return WEIR_OK;
}

static enum weir_status check_sessions(const struct weir_session *session,
                                       const struct weir_speculator_options *options,
                                       struct weir_error *err)
{
    const struct weir_session *own = options->draft_session;
    if (own == NULL || own->engine == session->engine)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "drafts by a model need a session of an engine of its own");
    if (own->engine->options.rewind_max < options->drafts_max)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "drafts of %u tokens need a draft model whose sessions go back as far, "
                       "these go back %u",
                       options->drafts_max, own->engine->options.rewind_max);
    const uint32_t vocab = weir_engine_vocab(session->engine);
    if (weir_engine_vocab(own->engine) != vocab)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "the draft model has logits of %u tokens, expected %u as the model has",
                       weir_engine_vocab(own->engine), vocab);
    return check_tokens(options, err);
}

static void follower_close(void *state)
{
    mem_free(state);
}

enum weir_status draft_model_open(void **state, struct weir_session *session,
                                  const struct weir_speculator_options *options,
                                  struct weir_error *err)
{
    *state = NULL;
    const enum weir_status status = check_sessions(session, options, err);
    if (status != WEIR_OK)
        return status;
    struct follower *follower = mem_alloc(1, sizeof *follower, err);
    if (follower == NULL)
        return WEIR_ERR_MEMORY;
    *follower = (struct follower){session, options->draft_session, options->p_min};
    *state = follower;
    return WEIR_OK;
}

const struct draft_source draft_model = {follower_draft, NULL, follower_close};
