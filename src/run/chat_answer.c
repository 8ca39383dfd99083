/* SPDX-License-Identifier: MIT
 * Generates a reply: rounds of tokens, their text, the end. Knows no message before it. */
#include "run/chat_answer.h"

#include <string.h>

#include "base/mem.h"
#include "base/think_marks.h"
#include "run/constraint.h"

/* ---- open and close -------------------------------------------------------------------------- */

static void take_event(void *user, const struct weir_reply_event *event)
{
    struct chat_answer *answer = user;
    const struct weir_chat_options *options = &answer->settings->options;
    message_add(&answer->message, event);
    if (options->event != NULL)
        options->event(options->user, event);
}

static enum weir_status open_reply(struct chat_answer *answer,
                                   const struct chat_answer_begin *begin, struct weir_error *err)
{
    const struct weir_chat_options *options = &answer->settings->options;
    struct weir_reply_options reply;
    weir_reply_options_init(&reply);
    reply.tools = options->tools;
    reply.tools_length = options->tools == NULL ? 0 : strlen(options->tools);
    reply.in_reasoning = answer->in_reasoning;
    reply.may_reason = begin->may_reason;
    reply.format = options->reasoning_format;
    reply.event = take_event;
    reply.event_user = answer;
    return weir_reply_open(&answer->reply, &reply, err);
}

/* Room for what is held back, and for any token behind it. */
static enum weir_status open_text(struct chat_answer *answer, size_t piece_max,
                                  struct weir_error *err)
{
    const struct weir_chat_options *options = &answer->settings->options;
    uint64_t bytes = 3 * (uint64_t)piece_max + WEIR_DETOKENIZER_SLACK;
    size_t longest = 0;
    for (uint32_t i = 0; i < options->stops_count; i++) {
        const size_t length = strlen(options->stops[i]);
        longest = length > longest ? length : longest;
    }
    if (!size_add(bytes, longest, &bytes))
        return err_set(err, WEIR_ERR_MEMORY, "the texts to stop at are too long");
    answer->text = mem_alloc(bytes, 1, err);
    return answer->text != NULL ? WEIR_OK : WEIR_ERR_MEMORY;
}

enum weir_status chat_answer_open(struct chat_answer *answer, const struct chat_settings *settings,
                                  struct weir_session *session,
                                  const struct weir_tokenizer *tokenizer,
                                  const struct chat_answer_begin *begin, struct weir_error *err)
{
    const struct weir_chat_options *options = &settings->options;
    struct weir_sampler_options sampler = options->sampler;
    enum weir_status status;
    *answer = (struct chat_answer){
        .settings = settings,
        .session = session,
        .tokenizer = tokenizer,
        .in_reasoning = begin->in_reasoning,
        .left = options->reply_tokens_max == 0 ? UINT32_MAX : options->reply_tokens_max,
        .last = -1,
    };
    sampler.seed = begin->seed;
    TRY(stop_open(&answer->stop, options->stops, options->stops_count, err));
    TRY(open_text(answer, begin->piece_max, err));
    TRY(open_reply(answer, begin, err));
    TRY(weir_sampler_open(&answer->sampler, &sampler, weir_engine_vocab(session->engine),
                          weir_engine_context(session->engine), tokenizer, err));
out:
    return status;
}

void chat_answer_close(struct chat_answer *answer)
{
    weir_sampler_close(answer->sampler);
    weir_reply_close(answer->reply);
    message_release(&answer->message);
    stop_close(&answer->stop);
    mem_free(answer->text);
    *answer = (struct chat_answer){.settings = NULL};
}

/* ---- text ------------------------------------------------------------------------------------ */

static void end_with(struct chat_answer *answer, enum weir_chat_end end)
{
    answer->is_over = true;
    answer->end = end;
}

/* The text of a token, of which so much is told as can be no part of a stop text. */
static enum weir_status say(struct chat_answer *answer, int32_t id, struct weir_error *err)
{
    size_t length, used;
    const char *piece = weir_tokenizer_piece(answer->tokenizer, id, false, &length);
    char *begin = answer->text + answer->held;
    const size_t ready = weir_detokenizer_push(&answer->detokenizer, piece, length, begin);
    const bool is_found = stop_feed(&answer->stop, begin, ready, &used);
    const size_t all = answer->held + used;
    const size_t kept = is_found ? answer->stop.found : stop_held(&answer->stop);
    const enum weir_status status = weir_reply_push(answer->reply, answer->text, all - kept, err);
    memmove(answer->text, answer->text + (all - kept), kept);
    answer->held = kept;
    if (is_found) {
        answer->held = 0;
        answer->detokenizer = (struct weir_detokenizer){.pending_length = 0};
        end_with(answer, WEIR_CHAT_STOP);
    }
    return status;
}

/* What was held back, and what is left of a character. A reply that was cut short shows no half
 * of a mark. */
static enum weir_status say_rest(struct chat_answer *answer, struct weir_error *err)
{
    const size_t rest = weir_detokenizer_finish(&answer->detokenizer, answer->text + answer->held);
    enum weir_status status;
    TRY(weir_reply_push(answer->reply, answer->text, answer->held + rest, err));
    TRY(answer->end == WEIR_CHAT_STOP ? weir_reply_finish(answer->reply, err)
                                      : weir_reply_cut(answer->reply, err));
out:
    return status;
}

/* ---- rounds ---------------------------------------------------------------------------------- */

/* The sampler knows the prompt; behind it the rules of the reply begin. */
static enum weir_status prepare_sampler(struct chat_answer *answer, struct weir_error *err)
{
    const struct weir_chat_options *options = &answer->settings->options;
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < answer->session->position; i++)
        weir_sampler_accept(answer->sampler, answer->session->tokens[i]);
    if (answer->settings->constraint != NULL)
        TRY(weir_sampler_constrain(answer->sampler, answer->settings->constraint,
                                   answer->in_reasoning ? MARK_THINK_END : NULL, err));
    if (answer->in_reasoning && options->reasoning_budget >= 0)
        TRY(weir_sampler_limit_reasoning(answer->sampler, (uint32_t)options->reasoning_budget,
                                         MARK_THINK_END, options->reasoning_closing, err));
out:
    return status;
}

/* Up to one that ends the reply. */
static enum weir_status take_tokens(struct chat_answer *answer, const int32_t *ids, uint32_t count,
                                    struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < count && !answer->is_over; i++) {
        answer->last = ids[i];
        answer->tokens++;
        answer->left--;
        if (weir_tokenizer_ends_generation(answer->tokenizer, ids[i])) {
            end_with(answer, WEIR_CHAT_STOP);
            return WEIR_OK;
        }
        TRY(say(answer, ids[i], err));
        if (answer->left == 0 && !answer->is_over)
            end_with(answer, WEIR_CHAT_LENGTH);
    }
out:
    return status;
}

/* Whether another round can and should be. */
static bool goes_on(struct chat_answer *answer)
{
    const struct weir_chat_options *options = &answer->settings->options;
    if (answer->is_over)
        return false;
    if (answer->session->position >= weir_engine_context(answer->session->engine))
        end_with(answer, WEIR_CHAT_LENGTH);
    else if (options->proceed != NULL && !options->proceed(options->user))
        end_with(answer, WEIR_CHAT_STOPPED);
    return !answer->is_over;
}

static bool has_calls(const struct message *message)
{
    for (uint64_t i = 0; i < message->calls_count; i++) {
        if (message->calls[i].is_complete)
            return true;
    }
    return false;
}

/* A text that had to end before it was complete is no reply. */
static enum weir_status check_is_whole(const struct chat_answer *answer, struct weir_error *err)
{
    if (!weir_sampler_is_cut(answer->sampler))
        return WEIR_OK;
    return err_set(err, WEIR_ERR_UNSUPPORTED,
                   "the grammar became too ambiguous after %u tokens of the reply",
                   answer->tokens - 1);
}

enum weir_status chat_answer_generate(struct chat_answer *answer, struct weir_error *err)
{
    int32_t ids[WEIR_ROUND_TOKENS_MAX];
    uint32_t count = 1;
    enum weir_status status;
    TRY(prepare_sampler(answer, err));
    ids[0] = weir_sampler_pick(answer->sampler, weir_session_logits(answer->session, 0));
    weir_sampler_accept(answer->sampler, ids[0]);
    TRY(take_tokens(answer, ids, count, err));
    while (goes_on(answer)) {
        TRY(weir_speculator_round(answer->settings->speculator, answer->sampler, ids[count - 1],
                                  answer->left, ids, &count, err));
        TRY(take_tokens(answer, ids, count, err));
    }
    TRY(check_is_whole(answer, err));
    TRY(say_rest(answer, err));
    TRY(message_check(&answer->message, err));
    if (answer->end == WEIR_CHAT_STOP && has_calls(&answer->message))
        answer->end = WEIR_CHAT_CALLS;
out:
    return status;
}
