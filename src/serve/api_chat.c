/* SPDX-License-Identifier: MIT
 * The form of OpenAI's chat completions: chunks of a stream, and the whole. Knows neither jobs nor
 * who reads it. */
#include "serve/response.h"

#include "serve/respond.h"

static const char id_prefix[] = "chatcmpl-";

/* ---- what chunks and the whole share --------------------------------------------------------- */

static void put_logprobs(struct choice *choice, struct bytes *out)
{
    if (choice->logprobs.length == 0)
        return;
    put_open(out, "logprobs", '{');
    put_open(out, "content", '[');
    put_json(out, NULL, choice->logprobs.data, choice->logprobs.length);
    put_close(out, ']');
    put_close(out, '}');
}

/* ---- the stream ------------------------------------------------------------------------------ */

/* Opens a chunk up to its delta. */
static struct bytes *chunk_open(struct response *response, const struct choice *choice,
                                const char *finish)
{
    struct bytes *out = response->out;
    event_open(out, NULL);
    put_open(out, NULL, '{');
    put_open(out, "choices", '[');
    put_open(out, NULL, '{');
    put_finish(finish, out);
    put_integer(out, "index", choice->index);
    put_open(out, "delta", '{');
    return out;
}

static void put_chunk_head(const struct response *response, struct bytes *out)
{
    put_integer(out, "created", response->created);
    put_id(out, "id", id_prefix, response->seed, 0);
    put_text(out, "model", response->model);
    put_text(out, "system_fingerprint", "weir-" WEIR_VERSION);
    put_text(out, "object", "chat.completion.chunk");
}

/* Closes the delta and the choice. */
static void chunk_close(struct response *response, struct choice *choice)
{
    struct bytes *out = response->out;
    put_close(out, '}');
    put_logprobs(choice, out);
    bytes_clear(&choice->logprobs);
    put_close(out, '}');
    put_close(out, ']');
    put_chunk_head(response, out);
}

static void event_end(struct bytes *out)
{
    put_close(out, '}');
    event_close(out);
}

static void put_role(struct bytes *out)
{
    put_text(out, "role", "assistant");
    put_null(out, "content");
}

static void chat_begin(struct response *response, struct choice *choice)
{
    struct bytes *out = chunk_open(response, choice, NULL);
    put_role(out);
    chunk_close(response, choice);
    event_end(out);
}

static void chat_progress(struct response *response, struct choice *choice)
{
    struct bytes *out = chunk_open(response, choice, NULL);
    put_role(out);
    chunk_close(response, choice);
    if (response->request->wants_timings)
        put_timings(out, "timings", &choice->timings);
    put_progress(choice, out);
    event_end(out);
}

/* The call's name comes with its id, its arguments piece by piece behind it. */
static void put_call_delta(const struct response *response, const struct choice *choice,
                           const struct weir_reply_event *event, struct bytes *out)
{
    const bool begins = event->kind == WEIR_REPLY_CALL;
    put_open(out, "tool_calls", '[');
    put_open(out, NULL, '{');
    put_integer(out, "index", event->call);
    if (begins) {
        put_call_id(response, choice, event->call, "id", "", out);
        put_text(out, "type", "function");
    }
    put_open(out, "function", '{');
    if (begins)
        put_string(out, "name", event->text, event->length);
    put_string(out, "arguments", begins ? "" : event->text, begins ? 0 : event->length);
    put_close(out, '}');
    put_close(out, '}');
    put_close(out, ']');
}

static void chat_said(struct response *response, struct choice *choice,
                      const struct weir_reply_event *event)
{
    if (event->kind == WEIR_REPLY_CALL_END)
        return; // its arguments have told it
    struct bytes *out = chunk_open(response, choice, NULL);
    switch (event->kind) {
    case WEIR_REPLY_REASONING:
        put_string(out, "reasoning_content", event->text, event->length);
        break;
    case WEIR_REPLY_CONTENT: put_string(out, "content", event->text, event->length); break;
    case WEIR_REPLY_CALL:
    case WEIR_REPLY_ARGUMENTS: put_call_delta(response, choice, event, out); break;
    case WEIR_REPLY_CALL_END: break;
    }
    chunk_close(response, choice);
    if (response->request->wants_timings)
        put_timings(out, "timings", &choice->timings);
    event_end(out);
}

static void chat_over(struct response *response, struct choice *choice)
{
    const struct request *request = response->request;
    struct bytes *out = chunk_open(response, choice, choice_finish(choice));
    chunk_close(response, choice);
    if (!request->wants_usage || request->wants_timings)
        put_timings(out, "timings", &choice->timings);
    event_end(out);
}

static void chat_end(struct response *response)
{
    const struct job_timings timings = response_timings(response);
    struct bytes *out = response->out;
    if (response->request->wants_usage) {
        event_open(out, NULL);
        put_open(out, NULL, '{');
        put_open(out, "choices", '[');
        put_close(out, ']');
        put_chunk_head(response, out);
        put_usage(response, out);
        put_timings(out, "timings", &timings);
        event_end(out);
    }
    bytes_add_text(out, "data: [DONE]\n\n");
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void put_bytes(struct bytes *out, const char *key, const struct bytes *text)
{
    put_string(out, key, text->data, text->length);
}

static void put_calls(const struct response *response, const struct choice *choice,
                      struct bytes *out)
{
    const struct message *said = &choice->said;
    put_open(out, "tool_calls", '[');
    for (uint64_t i = 0; i < said->calls_count; i++) {
        put_open(out, NULL, '{');
        put_text(out, "type", "function");
        put_open(out, "function", '{');
        put_bytes(out, "name", &said->calls[i].name);
        put_bytes(out, "arguments", &said->calls[i].arguments);
        put_close(out, '}');
        put_call_id(response, choice, i, "id", "", out);
        put_close(out, '}');
    }
    put_close(out, ']');
}

static void put_choice(const struct response *response, struct choice *choice, struct bytes *out)
{
    put_open(out, NULL, '{');
    put_text(out, "finish_reason", choice_finish(choice));
    put_integer(out, "index", choice->index);
    put_open(out, "message", '{');
    put_text(out, "role", "assistant");
    put_bytes(out, "content", &choice->said.content);
    if (choice->said.reasoning.length > 0)
        put_bytes(out, "reasoning_content", &choice->said.reasoning);
    if (choice->said.calls_count > 0)
        put_calls(response, choice, out);
    put_close(out, '}');
    put_logprobs(choice, out);
    put_close(out, '}');
}

static void chat_whole(struct response *response, struct bytes *out)
{
    put_open(out, NULL, '{');
    put_open(out, "choices", '[');
    for (uint32_t i = 0; i < response->choices_count; i++)
        put_choice(response, &response->choices[i], out);
    put_close(out, ']');
    put_tail(response, "chat.completion", id_prefix, true, out);
    put_close(out, '}');
}

const struct form form_chat = {
    .shape = SHAPE_OPENAI,
    .begin = chat_begin,
    .progress = chat_progress,
    .said = chat_said,
    .over = chat_over,
    .end = chat_end,
    .whole = chat_whole,
    .ping = ":\n\n",
};
