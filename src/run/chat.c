/* SPDX-License-Identifier: MIT
 * Conversations: messages, the prompt that a template makes of them, and the reply. Knows not how a
 * session comes to the end of a prompt, nor how text becomes events. */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "run/chat_answer.h"
#include "run/chat_messages.h"
#include "run/chat_place.h"
#include "run/chat_settings.h"

struct weir_chat {
    struct weir_session *session;
    const struct weir_tokenizer *tokenizer;
    const struct weir_template *chat_template;
    struct chat_settings settings;
    struct chat_messages messages;
    struct chat_place place;
    int32_t *ids; /* [context]: of a prompt */
    size_t piece_max;
    uint64_t replies; /* given so far, or loaded: draws go on as if there had been no file */
};

/* ---- open and close -------------------------------------------------------------------------- */

enum weir_status weir_chat_open(struct weir_chat **out, struct weir_session *session,
                                const struct weir_tokenizer *tokenizer,
                                const struct weir_template *chat_template,
                                const struct weir_chat_options *options, struct weir_error *err)
{
    enum weir_status status;
    *out = NULL;
    struct weir_chat *chat = mem_alloc(1, sizeof *chat, err);
    if (chat == NULL)
        return WEIR_ERR_MEMORY;
    chat->session = session;
    chat->tokenizer = tokenizer;
    chat->chat_template = chat_template;
    chat->piece_max = weir_tokenizer_piece_max(tokenizer);
    chat_place_init(&chat->place, session, tokenizer);
    chat->ids = mem_alloc(weir_engine_context(session->engine), sizeof *chat->ids, err);
    status = chat->ids != NULL ? WEIR_OK : WEIR_ERR_MEMORY;
    if (status == WEIR_OK)
        status = weir_chat_set(chat, options, err);
    if (status == WEIR_OK)
        *out = chat;
    else
        weir_chat_close(chat);
    return status;
}

void weir_chat_close(struct weir_chat *chat)
{
    if (chat == NULL)
        return;
    chat_place_release(&chat->place);
    chat_messages_release(&chat->messages);
    chat_settings_close(&chat->settings);
    mem_free(chat->ids);
    mem_free(chat);
}

enum weir_status weir_chat_set(struct weir_chat *chat, const struct weir_chat_options *options,
                               struct weir_error *err)
{
    struct chat_settings settings;
    enum weir_status status =
        chat_settings_open(&settings, chat->session, chat->tokenizer, options, err);
    if (status != WEIR_OK)
        return status;
    const uint64_t before = chat->messages.count;
    if (options->system != NULL)
        TRY(chat_messages_add(&chat->messages, "system", options->system, strlen(options->system),
                              err));
    TRY(chat_place_resize(&chat->place, options->checkpoints_max, err)); /* cannot be undone */
    if (options->system != NULL)
        chat_messages_lead(&chat->messages);
out:
    if (status != WEIR_OK) {
        chat_messages_cut(&chat->messages, before);
        chat_settings_close(&settings);
        return status;
    }
    chat_settings_close(&chat->settings);
    chat->settings = settings;
    return WEIR_OK;
}

/* ---- messages -------------------------------------------------------------------------------- */

enum weir_status weir_chat_add(struct weir_chat *chat, const char *role, const char *text,
                               size_t length, struct weir_error *err)
{
    return chat_messages_add(&chat->messages, role, text, length, err);
}

bool weir_chat_undo(struct weir_chat *chat, const char *role)
{
    for (uint64_t i = chat->messages.count; i-- > 0;) {
        if (chat_messages_is(&chat->messages, i, role)) {
            chat_messages_cut(&chat->messages, i);
            return true;
        }
    }
    return false;
}

void weir_chat_clear(struct weir_chat *chat)
{
    chat_messages_cut(&chat->messages, chat_messages_is(&chat->messages, 0, "system") ? 1 : 0);
}

enum weir_status weir_chat_save(const struct weir_chat *chat, weir_write_fn *write, void *user,
                                struct weir_error *err)
{
    (void)err; /* what cannot be written, `write` knows */
    chat_messages_write(&chat->messages, (struct printer){write, user});
    return WEIR_OK;
}

enum weir_status weir_chat_load(struct weir_chat *chat, const char *json, size_t length,
                                struct weir_error *err)
{
    struct chat_messages messages = {0};
    const enum weir_status status = chat_messages_read(&messages, json, length, err);
    if (status != WEIR_OK)
        return status;
    chat_messages_release(&chat->messages);
    chat->messages = messages;
    const uint64_t replies = chat_messages_count(&messages, "assistant");
    chat->replies = replies > chat->replies ? replies : chat->replies;
    return WEIR_OK;
}

/* ---- replies --------------------------------------------------------------------------------- */

/* What the messages are for the model. */
struct prompt {
    uint32_t count; /* of chat->ids */
    uint32_t same;  /* of them, those that the session or a checkpoint knows */
    bool in_reasoning, may_reason;
};

static enum weir_status render(const struct weir_chat *chat, struct weir_prompt **out,
                               struct weir_error *err)
{
    struct bytes request = {0};
    enum weir_status status;
    *out = NULL;
    bytes_add_text(&request, "{");
    chat_settings_write(&chat->settings, &request);
    bytes_add_text(&request, "\"messages\": ");
    chat_messages_write(&chat->messages, (struct printer){bytes_sink, &request});
    bytes_add_text(&request, "}");
    TRY(bytes_check(&request, err));
    TRY(weir_template_render(chat->chat_template, out, request.data, (size_t)request.length, err));
out:
    bytes_release(&request);
    return status;
}

static enum weir_status make_prompt(const struct weir_chat *chat, struct prompt *prompt,
                                    struct weir_error *err)
{
    const uint32_t context = weir_engine_context(chat->session->engine);
    struct weir_prompt *text;
    size_t count, same;
    uint32_t known_count;
    enum weir_status status;
    TRY(render(chat, &text, err));
    const int32_t *known = chat_place_tokens(&chat->place, &known_count);
    TRY(weir_prompt_tokens(text, chat->tokenizer, known, known_count, chat->ids, context, &count,
                           &same, err));
    if (count == 0)
        TRY(err_set(err, WEIR_ERR_ARGUMENT, "the template makes no text of the messages"));
    if (count > context)
        TRY(err_set(err, WEIR_ERR_FULL,
                    "the conversation has %llu tokens, but the context holds %u",
                    (unsigned long long)count, context));
    *prompt = (struct prompt){.count = (uint32_t)count,
                              .same = (uint32_t)same,
                              .in_reasoning = weir_prompt_in_reasoning(text),
                              .may_reason = weir_prompt_may_reason(text)};
out:
    weir_prompt_close(text);
    return status;
}

/* Each reply has draws of its own, or another try would be the same again. In the range of random
 * seeds of samplers. */
static uint64_t seed_of_reply(const struct weir_chat *chat)
{
    const uint64_t seed = chat->settings.options.sampler.seed;
    return seed == WEIR_SEED_RANDOM || chat->replies == 0 ? seed
                                                          : rng_bits(seed, 0, chat->replies) >> 33;
}

static enum weir_status check_can_reply(const struct chat_messages *messages,
                                        struct weir_error *err)
{
    if (messages->count > 0 && !chat_messages_is(messages, messages->count - 1, "assistant"))
        return WEIR_OK;
    return err_set(err, WEIR_ERR_ARGUMENT, "there is no message to reply to");
}

/* Evaluates the prompt and generates behind it. */
static enum weir_status run(struct weir_chat *chat, const struct prompt *prompt,
                            struct chat_answer *answer, struct weir_chat_info *info,
                            struct weir_error *err)
{
    const uint64_t begin = clock_ns();
    enum weir_status status;
    TRY(chat_place_go(&chat->place, chat->settings.speculator, chat->ids, prompt->count,
                      prompt->same, &info->reused_tokens, err));
    const uint64_t middle = clock_ns();
    TRY(chat_answer_generate(answer, err));
    info->prompt_ns = middle - begin;
    info->reply_ns = clock_ns() - middle;
out:
    return status;
}

static void tell(const struct weir_chat *chat, const struct prompt *prompt,
                 const struct chat_answer *answer, struct weir_chat_info *info)
{
    info->end = answer->end;
    info->prompt_tokens = prompt->count;
    info->reply_tokens = answer->tokens;
    info->context_tokens = prompt->count + answer->tokens;
    info->seed = weir_sampler_seed(answer->sampler);
    weir_speculator_info(chat->settings.speculator, &info->rounds);
}

enum weir_status weir_chat_reply(struct weir_chat *chat, struct weir_chat_info *out,
                                 struct weir_error *err)
{
    struct chat_answer answer = {.settings = NULL};
    struct prompt prompt;
    enum weir_status status;
    *out = (struct weir_chat_info){.end = WEIR_CHAT_STOP};
    TRY(check_can_reply(&chat->messages, err));
    TRY(make_prompt(chat, &prompt, err));
    const struct chat_answer_begin begin = {
        .in_reasoning = prompt.in_reasoning,
        .may_reason = prompt.may_reason,
        .seed = seed_of_reply(chat),
        .piece_max = chat->piece_max,
    };
    TRY(chat_answer_open(&answer, &chat->settings, chat->session, chat->tokenizer, &begin, err));
    TRY(run(chat, &prompt, &answer, out, err));
    TRY(chat_messages_add_reply(&chat->messages, &answer.message,
                                chat->settings.options.reasoning_format == WEIR_REASONING_BOTH,
                                err));
    /* the last token is evaluated with the next prompt: nobody waits for a step of its own */
    chat_place_end(&chat->place, prompt.count + answer.tokens - 1, answer.last);
    tell(chat, &prompt, &answer, out);
    chat->replies++;
out:
    chat_answer_close(&answer);
    return status;
}

/* Any next message parts from what was said where an empty one does, or behind. */
enum weir_status weir_chat_settle(struct weir_chat *chat, struct weir_error *err)
{
    const uint64_t messages = chat->messages.count;
    struct prompt prompt;
    enum weir_status status;
    TRY(chat_messages_add(&chat->messages, "user", "", 0, err));
    TRY(make_prompt(chat, &prompt, err));
    chat_place_seek(&chat->place, prompt.same);
out:
    chat_messages_cut(&chat->messages, messages);
    return status;
}
