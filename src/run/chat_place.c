/* SPDX-License-Identifier: MIT
 * Goes with a session to the end of a prompt by the shortest way, and keeps checkpoints on it.
 * Knows tokens alone. */
#include "run/chat_place.h"

#include <math.h>

#include "base/mem.h"
#include "run/session_checkpoint.h"
#include "run/speculate.h"

enum { FEW = 16 }; /* tokens that take about as long as one: not worth a step or a checkpoint */

/* ---- checkpoints ----------------------------------------------------------------------------- */

void chat_place_init(struct chat_place *place, struct weir_session *session,
                     const struct weir_tokenizer *tokenizer)
{
    static const char begin[] = "<|im_start|>";
    *place = (struct chat_place){.session = session, .last = -1};
    place->message_begin = weir_tokenizer_find(tokenizer, begin, sizeof begin - 1);
}

static void close_checkpoints(struct weir_checkpoint **checkpoints, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        weir_checkpoint_close(checkpoints[i]);
    mem_free(checkpoints);
}

void chat_place_release(struct chat_place *place)
{
    close_checkpoints(place->checkpoints, place->count);
    place->checkpoints = NULL;
    place->count = 0;
}

/* Tokens before a checkpoint that no other one saves from being read again. */
static uint64_t tokens_saved(const struct chat_place *place, int64_t position)
{
    int64_t before = 0;
    for (uint32_t i = 0; i < place->count; i++) {
        const int64_t other = weir_checkpoint_position(place->checkpoints[i]);
        before = other < position && other > before ? other : before;
    }
    return (uint64_t)(position - before);
}

/* The checkpoint to do without: one that holds nothing, or is of a text that goes on otherwise
 * behind `end`; else the one that is worth least. If ways back of d tokens are wanted in proportion
 * to 1/d, what they cost in all is least where checkpoints stand as far apart as the root of d. */
static uint32_t least_useful(const struct chat_place *place, int64_t end)
{
    uint32_t least = 0;
    double least_worth = INFINITY;
    for (uint32_t i = 0; i < place->count; i++) {
        const int64_t position = weir_checkpoint_position(place->checkpoints[i]);
        if (position < 0 || position > end)
            return i;
        const double saved = (double)tokens_saved(place, position);
        const double worth = saved * saved / (double)(end - position + 1);
        if (worth < least_worth) {
            least = i;
            least_worth = worth;
        }
    }
    return least;
}

static void take_checkpoint(struct chat_place *place)
{
    const int64_t position = place->session->position;
    for (uint32_t i = 0; i < place->count; i++) {
        if (weir_checkpoint_position(place->checkpoints[i]) == position)
            return;
    }
    if (place->count > 0 && position > 0)
        weir_checkpoint_take(place->checkpoints[least_useful(place, position)]);
}

enum weir_status chat_place_resize(struct chat_place *place, uint32_t checkpoints,
                                   struct weir_error *err)
{
    struct weir_checkpoint **more = mem_alloc(checkpoints, sizeof *more, err);
    enum weir_status status = WEIR_OK;
    uint32_t count = place->count;
    if (more == NULL)
        return WEIR_ERR_MEMORY;
    for (; count < checkpoints; count++)
        TRY(weir_checkpoint_open(&more[count], place->session, err));
    for (; place->count > checkpoints; place->count--) {
        struct weir_checkpoint **least =
            &place->checkpoints[least_useful(place, place->session->position)];
        weir_checkpoint_close(*least);
        *least = place->checkpoints[place->count - 1];
    }
    for (uint32_t i = 0; i < place->count; i++)
        more[i] = place->checkpoints[i];
    mem_free(place->checkpoints);
    place->checkpoints = more;
    place->count = checkpoints;
    return WEIR_OK;
out:
    for (uint32_t i = place->count; i < count; i++)
        weir_checkpoint_close(more[i]);
    mem_free(more);
    return status;
}

/* ---- there ----------------------------------------------------------------------------------- */

const int32_t *chat_place_tokens(const struct chat_place *place, uint32_t *count)
{
    struct weir_session *session = place->session;
    const bool has_last =
        place->last >= 0 && session->position < weir_engine_context(session->engine);
    *count = session->position;
    for (uint32_t i = 0; i < place->count; i++) {
        const int64_t position = weir_checkpoint_position(place->checkpoints[i]);
        *count = position > *count ? (uint32_t)position : *count;
    }
    /* where the next step will write it, so that the text lies in one piece */
    if (has_last && *count == session->position)
        session->tokens[(*count)++] = place->last;
    return session->tokens;
}

void chat_place_seek(struct chat_place *place, uint32_t most)
{
    const struct weir_checkpoint *best = NULL;
    int64_t position = place->session->position <= most ? (int64_t)place->session->position : -1;
    for (uint32_t i = 0; i < place->count; i++) {
        const int64_t other = weir_checkpoint_position(place->checkpoints[i]);
        if (other > position && other <= most) {
            best = place->checkpoints[i];
            position = other;
        }
    }
    if (position == place->session->position)
        return;
    place->last = -1;
    if (best == NULL)
        weir_session_reset(place->session);
    else
        weir_checkpoint_return(best, NULL); /* cannot fail: it is valid */
}

/* Where the last message before ids[end] begins; 0 if there is none. */
static uint32_t find_message(const struct chat_place *place, const int32_t *ids, uint32_t end)
{
    while (end > 0 && ids[end - 1] != place->message_begin)
        end--;
    return end > 0 ? end - 1 : 0;
}

/* A step that is cancelled half-way leaves nothing, so the state before it is kept: in the place of
 * what the checkpoint at the end of the steps would replace anyway. */
static void keep_step(void *user, const int32_t *tokens, uint32_t count)
{
    struct chat_place *place = user;
    const uint32_t position = place->session->position;
    (void)tokens;
    (void)count;
    if (place->count == 0 || position >= place->step_end)
        return;
    if (place->step == NULL)
        place->step = place->checkpoints[least_useful(place, position)];
    weir_checkpoint_take(place->step);
}

static enum weir_status evaluate(struct chat_place *place, struct weir_speculator *speculator,
                                 const int32_t *ids, uint32_t end, enum weir_logits logits,
                                 struct weir_error *err)
{
    const uint32_t position = place->session->position;
    place->step = NULL;
    place->step_end = end;
    const enum weir_status status = speculator_prompt(speculator, ids + position, end - position,
                                                      logits, keep_step, place, err);
    if (status == WEIR_OK && place->step != NULL)
        place->step->is_valid = false; /* it saves nothing any more */
    return status;
}

/* Evaluates up to `end`, if that is behind the session's position, and keeps the state there. */
static enum weir_status advance(struct chat_place *place, struct weir_speculator *speculator,
                                const int32_t *ids, uint32_t end, struct weir_error *err)
{
    const uint32_t position = place->session->position;
    enum weir_status status = WEIR_OK;
    if (end > position)
        status = evaluate(place, speculator, ids, end, WEIR_LOGITS_NONE, err);
    if (status == WEIR_OK && end >= position)
        take_checkpoint(place);
    return status;
}

enum weir_status chat_place_go(struct chat_place *place, struct weir_speculator *speculator,
                               const int32_t *ids, uint32_t count, uint32_t same, uint32_t *reused,
                               struct weir_error *err)
{
    struct weir_session *session = place->session;
    enum weir_status status;
    chat_place_seek(place, same < count ? same : count - 1);
    place->last = -1;
    *reused = session->position;
    take_checkpoint(place);
    /* the reply begins there, or with the last token of a text without messages */
    const bool has_messages = place->message_begin >= 0;
    const uint32_t reply = has_messages ? find_message(place, ids, count) : count - 1;
    const uint32_t question = has_messages ? find_message(place, ids, reply) : 0;
    if (question > *reused + FEW)
        TRY(advance(place, speculator, ids, question, err));
    TRY(advance(place, speculator, ids, reply, err));
    TRY(evaluate(place, speculator, ids, count, WEIR_LOGITS_LAST, err));
out:
    if (status == WEIR_ERR_CANCELLED)
        chat_place_seek(place, count);
    return status;
}

void chat_place_end(struct chat_place *place, uint32_t position, int32_t last)
{
    /* a round marks the session before it, and chooses at least one token behind the mark */
    if (place->session->position > position)
        weir_session_rewind(place->session, position, NULL);
    place->last = last;
}
