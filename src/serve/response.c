/* SPDX-License-Identifier: MIT
 * Builds up the choices of an answer from events. Knows no form of an API. */
#include "serve/response.h"

#include <float.h>
#include <math.h>

#include "base/mem.h"
#include "serve/respond.h"

/* ---- opening --------------------------------------------------------------------------------- */

enum weir_status response_open(struct response *response, uint32_t choices, struct weir_error *err)
{
    response->choices = mem_alloc(choices, sizeof *response->choices, err);
    if (response->choices == NULL)
        return WEIR_ERR_MEMORY;
    response->choices_count = choices;
    for (uint32_t i = 0; i < choices; i++)
        response->choices[i] =
            (struct choice){.response = response, .index = i, .places = {.next = TOKEN_TEXT}};
    return WEIR_OK;
}

void response_release(struct response *response)
{
    for (uint32_t i = 0; i < response->choices_count; i++) {
        struct choice *choice = &response->choices[i];
        weir_reply_close(choice->reply);
        message_release(&choice->said);
        bytes_release(&choice->logprobs);
        token_lists_release(&choice->lists);
        bytes_release(&choice->part_logprobs);
        reply_tokens_close(&choice->places);
        bytes_release(&choice->tokens);
        bytes_release(&choice->stop);
        bytes_release(&choice->items);
    }
    mem_free(response->choices);
    bytes_release(&response->unsent);
    *response = (struct response){0};
}

/* ---- text ------------------------------------------------------------------------------------ */

static void on_reply(void *user, const struct weir_reply_event *event)
{
    struct choice *choice = user;
    struct response *response = choice->response;
    if (event->kind == WEIR_REPLY_CALL)
        reply_tokens_end_reasoning(&choice->places);
    if (response->out != NULL && response->form->said != NULL)
        response->form->said(response, choice, event);
    message_add(&choice->said, event);
}

enum weir_status response_parse(struct response *response, struct choice *choice,
                                const struct chat_options *chat, struct weir_error *err)
{
    struct weir_reply_options options;
    if ((chat->in_reasoning || chat->may_reason) &&
        reply_tokens_open(&choice->places, !chat->in_reasoning, err) != WEIR_OK)
        return WEIR_ERR_MEMORY;
    weir_reply_options_init(&options);
    options.tools = chat->tools;
    options.tools_length = chat->tools_length;
    options.in_reasoning = chat->in_reasoning;
    options.may_reason = chat->may_reason;
    options.calls_first = response->request->language == LANGUAGE_SCHEMA;
    options.format = response->request->reasoning_format;
    options.event = on_reply;
    options.event_user = choice;
    return weir_reply_open(&choice->reply, &options, err);
}

static void fail(struct response *response, enum api_error failure, const char *text)
{
    if (response->has_failed)
        return;
    response->has_failed = true;
    response->failure = failure;
    err_set(&response->err, WEIR_ERR_CANCELLED, "%s", text);
}

static void take_text(struct response *response, struct choice *choice, const char *text,
                      size_t length)
{
    struct weir_error err = {0};
    if (choice->reply == NULL) {
        bytes_add(&choice->said.content, text, length);
        if (response->out != NULL && response->form->text != NULL)
            response->form->text(response, choice, text, length);
        return;
    }
    if (weir_reply_push(choice->reply, text, length, &err) != WEIR_OK)
        fail(response, API_INTERNAL, err.text);
}

/* ---- tokens ---------------------------------------------------------------------------------- */

/* A token with its probability, or the logarithm of it; the likeliest ones are lists of these. */
static void put_token(struct bytes *out, const struct response *response, int32_t id, float logprob)
{
    const struct weir_tokenizer *tokenizer = response->tokenizer;
    size_t length = 0;
    const char *piece = weir_tokenizer_piece(tokenizer, id, true, &length);
    put_open(out, NULL, '{');
    put_integer(out, "id", id);
    put_string(out, "token", piece, length);
    put_open(out, "bytes", '[');
    for (size_t i = 0; i < length; i++)
        put_integer(out, NULL, (uint8_t)piece[i]);
    put_close(out, ']');
    if (response->request->wants_chances)
        put_float(out, "prob", expf(logprob));
    else
        put_float(out, "logprob", logprob < -FLT_MAX ? -FLT_MAX : logprob); // JSON has no infinity
}

/* With the likeliest ones in its place. */
static void add_logprobs(struct response *response, struct choice *choice,
                         const struct job_event *event)
{
    if (response->form->tells_lists)
        token_lists_add(&choice->lists, response->tokenizer, event);
    put_token(&choice->logprobs, response, event->id, event->logprob);
    put_open(&choice->logprobs, response->request->wants_chances ? "top_probs" : "top_logprobs",
             '[');
    for (uint32_t i = 0; i < event->likeliest_count; i++) {
        const struct job_logprob *likely = &event->likeliest[i];
        put_token(&choice->logprobs, response, likely->id, likely->logprob);
        put_close(&choice->logprobs, '}');
    }
    put_close(&choice->logprobs, ']');
    put_close(&choice->logprobs, '}');
}

static void add_token(struct response *response, struct choice *choice,
                      const struct job_event *event)
{
    size_t length;
    const char *piece = weir_tokenizer_piece(response->tokenizer, event->id, false, &length);
    const enum token_place place = reply_tokens_take(&choice->places, piece, length);
    if (response->form->tells_tokens)
        put_integer(&choice->tokens, NULL, event->id);
    if (response->request->wants_logprobs && (!response->form->tells_text || place == TOKEN_TEXT))
        add_logprobs(response, choice, event);
}

/* In a stream at once: a prompt may be long. */
static void add_prompt_token(struct response *response, struct choice *choice,
                             const struct job_event *event)
{
    add_logprobs(response, choice, event);
    if (response->out != NULL && response->form->text != NULL)
        response->form->text(response, choice, "", 0);
}

/* ---- events ---------------------------------------------------------------------------------- */

bool response_tells_prompts(const struct response *response)
{
    const struct request *request = response->request;
    return response->form->tells_lists && request->wants_echo && request->wants_logprobs;
}

bool choice_is_cut(const struct choice *choice)
{
    if (!choice->is_over)
        return false;
    switch (choice->end) {
    case JOB_STOP_TOKEN:
    case JOB_STOP_TEXT: return false;
    case JOB_LENGTH:
    case JOB_FULL:
    case JOB_TIMEOUT:
    case JOB_CANCELLED:
    case JOB_FAILED: break;
    }
    return true;
}

static void begin(struct response *response, struct choice *choice)
{
    if (choice->has_started)
        return;
    choice->has_started = true;
    if (response->request->wants_echo && !response_tells_prompts(response))
        token_lists_skip(&choice->lists, choice->prompt, choice->prompt_length);
    if (response->out != NULL && response->form->begin != NULL)
        response->form->begin(response, choice);
}

/* Half a mark is nothing that a model would have said. */
static void end_text(struct response *response, struct choice *choice)
{
    struct weir_error err = {0};
    if (choice->reply == NULL)
        return;
    const enum weir_status status = choice_is_cut(choice) ? weir_reply_cut(choice->reply, &err)
                                                          : weir_reply_finish(choice->reply, &err);
    if (status != WEIR_OK)
        fail(response, API_INTERNAL, err.text);
}

static void end(struct response *response, struct choice *choice, const struct job_event *event)
{
    if (event->length > 0)
        take_text(response, choice, event->text, event->length);
    choice->end = event->end;
    choice->is_over = true;
    end_text(response, choice);
    if (event->end == JOB_STOP_TEXT && event->stop != NULL)
        bytes_add_text(&choice->stop, event->stop);
    if (choice->end == JOB_CANCELLED)
        fail(response, API_UNAVAILABLE, "The server is about to end");
    if (choice->end == JOB_TIMEOUT)
        fail(response, API_TIMEOUT, "The request takes longer than this server allows");
    if (event->end == JOB_FAILED)
        fail(response, API_INTERNAL, event->error != NULL ? event->error : "the job has failed");
    if (response->out == NULL || response->has_failed)
        return;
    if (response->form->over != NULL)
        response->form->over(response, choice);
    if (response_is_over(response) && response->form->end != NULL)
        response->form->end(response);
}

void response_take(struct response *response, struct choice *choice, const struct job_event *event,
                   struct bytes *out)
{
    response->out = out == NULL && response->form->keeps_items ? &response->unsent : out;
    choice->slot = event->slot;
    if (event->kind != JOB_STARTED)
        choice->timings = event->timings;
    if (event->kind != JOB_STARTED || !response->form->begins_late)
        begin(response, choice);
    switch (event->kind) {
    case JOB_STARTED: break;
    case JOB_PROMPT: add_prompt_token(response, choice, event); break;
    case JOB_PROGRESS:
        choice->done = event->done;
        if (response->out != NULL && response->form->progress != NULL &&
            response->request->wants_progress)
            response->form->progress(response, choice);
        break;
    case JOB_TEXT:
        add_token(response, choice, event);
        take_text(response, choice, event->text, event->length);
        break;
    case JOB_END: end(response, choice, event); break;
    }
    response->out = NULL;
    bytes_clear(&response->unsent);
}

bool response_is_over(const struct response *response)
{
    for (uint32_t i = 0; i < response->choices_count; i++)
        if (!response->choices[i].is_over)
            return response->has_failed;
    return true;
}

void response_put_failure(struct response *response, struct bytes *out)
{
    const struct refusal refusal = {.error = response->failure, .text = response->err.text};
    if (response->form->failed != NULL) {
        response->out = out;
        response->form->failed(response, &refusal);
        response->out = NULL;
        return;
    }
    event_open(out, response->form->shape == SHAPE_ANTHROPIC ? "error" : NULL);
    put_refusal(out, response->form->shape, &refusal);
    event_close(out);
}

enum weir_status response_check(const struct response *response, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < response->choices_count; i++) {
        const struct choice *choice = &response->choices[i];
        TRY(message_check(&choice->said, err));
        TRY(bytes_check(&choice->logprobs, err));
        TRY(token_lists_check(&choice->lists, err));
        TRY(bytes_check(&choice->part_logprobs, err));
        TRY(bytes_check(&choice->tokens, err));
        TRY(bytes_check(&choice->stop, err));
        TRY(bytes_check(&choice->items, err));
    }
out:
    return status;
}

/* ---- what forms share ------------------------------------------------------------------------ */

void event_open(struct bytes *out, const char *name)
{
    if (name != NULL) {
        bytes_add_text(out, "event: ");
        bytes_add_text(out, name);
        bytes_add_text(out, "\n");
    }
    bytes_add_text(out, "data: ");
}

void event_close(struct bytes *out)
{
    bytes_add_text(out, "\n\n");
}

static bool has_whole_call(const struct message *said)
{
    for (uint64_t i = 0; i < said->calls_count; i++)
        if (said->calls[i].is_complete)
            return true;
    return false;
}

const char *choice_finish(const struct choice *choice)
{
    if (choice_is_cut(choice))
        return "length";
    return has_whole_call(&choice->said) ? "tool_calls" : "stop";
}

static double ms(uint64_t ns)
{
    return (double)(ns / 1000) / 1000; // as llama-server, whole microseconds
}

/* A part of the timings: how many tokens, how long they took, each and by second. */
static void put_rate(struct bytes *out, const char *const names[4], uint32_t tokens, uint64_t ns)
{
    put_integer(out, names[0], tokens);
    put_number(out, names[1], ms(ns));
    put_number(out, names[2], ms(ns) / tokens);
    put_number(out, names[3], 1000.0 * tokens / ms(ns));
}

void put_timings(struct bytes *out, const char *key, const struct job_timings *timings)
{
    static const char *const prompt[] = {"prompt_n", "prompt_ms", "prompt_per_token_ms",
                                         "prompt_per_second"};
    static const char *const predicted[] = {"predicted_n", "predicted_ms", "predicted_per_token_ms",
                                            "predicted_per_second"};
    uint64_t sum = 0;
    put_open(out, key, '{');
    put_integer(out, "cache_n", timings->cached_tokens);
    put_rate(out, prompt, timings->read_tokens, timings->prompt_ns);
    put_rate(out, predicted, timings->tokens, timings->reply_ns);
    if (timings->drafts > 0) {
        put_integer(out, "draft_n", timings->drafts);
        put_integer(out, "draft_n_accepted", timings->accepted);
    }
    put_open(out, "bytes", '{');
    for (int i = 0; i < WEIR_TRAFFIC_CLASSES; i++) {
        put_integer(out, weir_traffic_class_name((enum weir_traffic_class)i),
                    (int64_t)timings->bytes[i]);
        sum += timings->bytes[i];
    }
    put_close(out, '}');
    put_number(out, "bytes_per_token", (double)sum / timings->tokens);
    put_close(out, '}');
}

struct job_timings response_timings(const struct response *response)
{
    struct job_timings sum = {0};
    for (uint32_t i = 0; i < response->choices_count; i++) {
        const struct job_timings *timings = &response->choices[i].timings;
        sum.prompt_tokens += timings->prompt_tokens;
        sum.cached_tokens += timings->cached_tokens;
        sum.read_tokens += timings->read_tokens;
        sum.tokens += timings->tokens;
        sum.wait_ns += timings->wait_ns;
        sum.prompt_ns += timings->prompt_ns;
        sum.reply_ns += timings->reply_ns;
        sum.drafts += timings->drafts;
        sum.accepted += timings->accepted;
        for (int k = 0; k < WEIR_TRAFFIC_CLASSES; k++)
            sum.bytes[k] += timings->bytes[k];
    }
    return sum;
}

struct usage response_usage(const struct response *response)
{
    struct usage usage = {0};
    for (uint32_t i = 0; i < response->choices_count; i++) {
        const struct choice *choice = &response->choices[i];
        usage.reply += choice->timings.tokens;
        usage.reasoning += choice->places.reasoning;
        if (i % response->request->choices == 0) {
            usage.prompt += choice->timings.prompt_tokens;
            usage.cached += choice->timings.cached_tokens;
        }
    }
    return usage;
}

static void put_detail(struct bytes *out, const char *key, const char *name, uint64_t tokens)
{
    put_open(out, key, '{');
    put_integer(out, name, (int64_t)tokens);
    put_close(out, '}');
}

void put_usage_details(const struct usage *usage, const char *prompt, const char *reply,
                       struct bytes *out)
{
    put_integer(out, "total_tokens", (int64_t)(usage->prompt + usage->reply));
    put_detail(out, prompt, "cached_tokens", usage->cached);
    put_detail(out, reply, "reasoning_tokens", usage->reasoning);
}

void put_usage(const struct response *response, struct bytes *out)
{
    const struct usage usage = response_usage(response);
    put_open(out, "usage", '{');
    put_integer(out, "completion_tokens", (int64_t)usage.reply);
    put_integer(out, "prompt_tokens", (int64_t)usage.prompt);
    put_usage_details(&usage, "prompt_tokens_details", "completion_tokens_details", out);
    put_close(out, '}');
}

void put_finish(const char *finish, struct bytes *out)
{
    if (finish == NULL)
        put_null(out, "finish_reason");
    else
        put_text(out, "finish_reason", finish);
}

void put_tail(const struct response *response, const char *object, const char *prefix, bool is_last,
              struct bytes *out)
{
    const struct job_timings timings = response_timings(response);
    put_integer(out, "created", response->created);
    put_text(out, "model", response->model);
    put_text(out, "system_fingerprint", "weir-" WEIR_VERSION);
    put_text(out, "object", object);
    if (is_last)
        put_usage(response, out);
    put_id(out, "id", prefix, response->seed, 0);
    if (is_last)
        put_timings(out, "timings", &timings);
}

void put_progress(const struct choice *choice, struct bytes *out)
{
    const struct job_timings *timings = &choice->timings;
    put_open(out, "prompt_progress", '{');
    put_integer(out, "total", timings->prompt_tokens);
    put_integer(out, "cache", timings->cached_tokens);
    put_integer(out, "processed", choice->done);
    put_integer(out, "time_ms", (int64_t)(timings->prompt_ns / 1000000));
    put_close(out, '}');
}

void put_call_id(const struct response *response, const struct choice *choice, uint64_t call,
                 const char *key, const char *prefix, struct bytes *out)
{
    put_id(out, key, prefix, response->seed, ((uint64_t)choice->index << 32) + call + 1);
}
