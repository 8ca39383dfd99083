/* SPDX-License-Identifier: MIT
 * Conversations with the shipped model. Knows nothing of what they are to show. */
#include "talk.h"

#include <stdlib.h>
#include <string.h>

#define MODEL test_data("../../models/" WEIR_SHIPPED)

static void take_event(void *user, const struct weir_reply_event *event)
{
    struct talk *talk = user;
    if (event->kind == WEIR_REPLY_CONTENT)
        bytes_add(&talk->said, event->text, event->length);
    if (event->kind == WEIR_REPLY_REASONING)
        bytes_add(&talk->reasoning, event->text, event->length);
    talk->calls += event->kind == WEIR_REPLY_CALL_END;
}

static bool proceed(void *user)
{
    struct talk *talk = user;
    return ++talk->proceeds != talk->stop_after;
}

static bool progress(void *user, enum weir_stage stage, uint64_t done, uint64_t total)
{
    struct talk *talk = user;
    (void)stage;
    (void)done;
    (void)total;
    return talk->calls_left == 0 || --talk->calls_left != 0;
}

void talk_init(struct talk *talk)
{
    *talk = (struct talk){.template_path = NULL};
    weir_engine_options_init(&talk->engine_options);
    talk->engine_options.context = TALK_CONTEXT;
    talk->engine_options.threads = 2;
    talk->engine_options.sessions_max = 2;
    talk->engine_options.rewind_max = 4;
    talk->engine_options.mtp = true;
    talk->engine_options.progress = progress;
    talk->engine_options.progress_user = talk;
    weir_chat_options_init(&talk->options);
    talk->options.sampler.temperature = 0;
    talk->options.reply_tokens_max = 40;
    talk->options.event = take_event;
    talk->options.proceed = proceed;
    talk->options.user = talk;
}

static void open_template(struct talk *talk)
{
    struct weir_error err = {0};
    if (talk->template_name != NULL) {
        const char *source = weir_template_builtin(talk->template_name);
        CHECK_OK(weir_template_open(&talk->chat_template, source, strlen(source), "built-in", &err),
                 &err);
        return;
    }
    if (talk->template_path == NULL) {
        CHECK_OK(weir_template_open_model(&talk->chat_template, talk->model, &err), &err);
        return;
    }
    size_t size;
    uint8_t *source = test_read_file(talk->template_path, &size);
    CHECK_OK(weir_template_open(&talk->chat_template, (const char *)source, size,
                                talk->template_path, &err),
             &err);
    free(source);
}

void talk_open(struct talk *talk)
{
    struct weir_error err = {0};
    CHECK_OK(weir_model_open(&talk->model, MODEL, NULL, &err), &err);
    CHECK_OK(weir_tokenizer_open(&talk->tokenizer, talk->model, &err), &err);
    open_template(talk);
    CHECK_OK(weir_engine_open(&talk->engine, talk->model, &talk->engine_options, &err), &err);
    CHECK_OK(weir_session_open(&talk->session, talk->engine, &err), &err);
    CHECK_OK(weir_chat_open(&talk->chat, talk->session, talk->tokenizer, talk->chat_template,
                            &talk->options, &err),
             &err);
}

void talk_close(struct talk *talk)
{
    weir_chat_close(talk->chat);
    weir_session_close(talk->session);
    weir_engine_close(talk->engine);
    weir_template_close(talk->chat_template);
    weir_tokenizer_close(talk->tokenizer);
    weir_model_close(talk->model);
    bytes_release(&talk->said);
    bytes_release(&talk->reasoning);
}

enum weir_status talk_try(struct talk *talk, struct weir_error *err)
{
    bytes_clear(&talk->said);
    bytes_clear(&talk->reasoning);
    bytes_add_text(&talk->said, "");
    talk->calls = talk->proceeds = 0;
    return weir_chat_reply(talk->chat, &talk->info, err);
}

const char *talk_reply(struct talk *talk)
{
    struct weir_error err = {0};
    CHECK_OK(talk_try(talk, &err), &err);
    return talk->said.data == NULL ? "" : talk->said.data;
}

const char *talk_ask(struct talk *talk, const char *question)
{
    struct weir_error err = {0};
    CHECK_OK(weir_chat_add(talk->chat, "user", question, strlen(question), &err), &err);
    return talk_reply(talk);
}

void talk_set(struct talk *talk)
{
    struct weir_error err = {0};
    CHECK_OK(weir_chat_set(talk->chat, &talk->options, &err), &err);
}

uint32_t talk_evaluated(const struct talk *talk)
{
    return talk->info.prompt_tokens - talk->info.reused_tokens;
}

struct bytes talk_messages(const struct talk *talk)
{
    struct bytes json = {0};
    struct weir_error err = {0};
    CHECK_OK(weir_chat_save(talk->chat, bytes_sink, &json, &err), &err);
    CHECK_OK(bytes_check(&json, &err), &err);
    return json;
}
