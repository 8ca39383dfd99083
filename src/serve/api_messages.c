/* SPDX-License-Identifier: MIT
 * The form of Anthropic's messages: blocks, streamed and whole. Knows neither jobs nor who reads
 * it. */
#include "serve/response.h"

#include "serve/parts.h"
#include "serve/respond.h"

/* Events and objects have their name in a member too. */
static struct bytes *message_event(struct response *response, const char *type)
{
    event_open(response->out, type);
    put_open(response->out, NULL, '{');
    put_text(response->out, "type", type);
    return response->out;
}

static void message_event_end(struct bytes *out)
{
    put_close(out, '}');
    event_close(out);
}

static struct bytes *block_event(struct response *response, const struct choice *choice,
                                 const char *type)
{
    struct bytes *out = message_event(response, type);
    put_integer(out, "index", (int64_t)choice->parts.count - 1);
    return out;
}

/* ---- blocks ---------------------------------------------------------------------------------- */

static void put_call_head(const struct response *response, const struct choice *choice,
                          uint64_t call, struct json_text name, struct bytes *out)
{
    put_text(out, "type", "tool_use");
    put_call_id(response, choice, call, "id", "toolu_", out);
    put_string(out, "name", name.bytes, name.length);
}

static void block_open(struct response *response, struct choice *choice, struct json_text name)
{
    struct bytes *out = block_event(response, choice, "content_block_start");
    put_open(out, "content_block", '{');
    switch (choice->parts.open) {
    case PART_REASONING:
        put_text(out, "type", "thinking");
        put_text(out, "thinking", "");
        put_text(out, "signature", "");
        break;
    case PART_CALL:
        put_call_head(response, choice, choice->said.calls_count, name, out);
        put_open(out, "input", '{');
        put_close(out, '}');
        break;
    case PART_CONTENT:
    case PART_NONE:
        put_text(out, "type", "text");
        put_text(out, "text", "");
        break;
    }
    put_close(out, '}');
    message_event_end(out);
}

static void put_delta(struct response *response, struct choice *choice, const char *type,
                      const char *key, struct json_text text)
{
    struct bytes *out = block_event(response, choice, "content_block_delta");
    put_open(out, "delta", '{');
    put_text(out, "type", type);
    put_string(out, key, text.bytes, text.length);
    put_close(out, '}');
    message_event_end(out);
}

static void block_more(struct response *response, struct choice *choice, struct json_text text)
{
    switch (choice->parts.open) {
    case PART_REASONING: put_delta(response, choice, "thinking_delta", "thinking", text); break;
    case PART_CALL: put_delta(response, choice, "input_json_delta", "partial_json", text); break;
    case PART_CONTENT:
    case PART_NONE: put_delta(response, choice, "text_delta", "text", text); break;
    }
}

static void put_block(const struct response *response, struct choice *choice,
                      const struct part_end *end)
{
    struct bytes *out = &choice->items;
    put_open(out, NULL, '{');
    switch (choice->parts.open) {
    case PART_REASONING:
        put_text(out, "type", "thinking");
        put_string(out, "thinking", end->text.bytes, end->text.length);
        put_text(out, "signature", "");
        break;
    case PART_CALL:
        put_call_head(response, choice, end->call, end->name, out);
        if (end->is_whole)
            put_json(out, "input", end->text.bytes, end->text.length);
        else
            put_json(out, "input", "{}", 2);
        break;
    case PART_CONTENT:
    case PART_NONE:
        put_text(out, "type", "text");
        put_string(out, "text", end->text.bytes, end->text.length);
        break;
    }
    put_close(out, '}');
}

static void block_close(struct response *response, struct choice *choice,
                        const struct part_end *end)
{
    if (choice->parts.open == PART_REASONING)
        put_delta(response, choice, "signature_delta", "signature", (struct json_text){"", 0});
    message_event_end(block_event(response, choice, "content_block_stop"));
    put_block(response, choice, end);
}

static const struct part_form blocks = {block_open, block_more, block_close};

/* ---- the message ----------------------------------------------------------------------------- */

static void put_message_head(const struct response *response, struct bytes *out)
{
    put_id(out, "id", "msg_", response->seed, 0);
    put_text(out, "type", "message");
    put_text(out, "role", "assistant");
}

static void put_message_usage(const struct response *response, uint64_t reply, struct bytes *out)
{
    const struct usage usage = response_usage(response);
    put_open(out, "usage", '{');
    put_integer(out, "cache_read_input_tokens", (int64_t)usage.cached);
    put_integer(out, "input_tokens", (int64_t)(usage.prompt - usage.cached));
    put_integer(out, "output_tokens", (int64_t)reply);
    put_close(out, '}');
}

static const char *stop_reason(const struct choice *choice)
{
    const char *finish = choice_finish(choice);
    if (finish[0] == 't')
        return "tool_use";
    if (finish[0] == 'l')
        return "max_tokens";
    return choice->end == JOB_STOP_TEXT ? "stop_sequence" : "end_turn";
}

static void put_stop(const struct choice *choice, struct bytes *out)
{
    put_text(out, "stop_reason", stop_reason(choice));
    if (choice->end == JOB_STOP_TEXT)
        put_string(out, "stop_sequence", choice->stop.data, choice->stop.length);
    else
        put_null(out, "stop_sequence");
}

static void messages_begin(struct response *response, struct choice *choice)
{
    (void)choice;
    struct bytes *out = message_event(response, "message_start");
    put_open(out, "message", '{');
    put_message_head(response, out);
    put_open(out, "content", '[');
    put_close(out, ']');
    put_text(out, "model", response->model);
    put_null(out, "stop_reason");
    put_null(out, "stop_sequence");
    put_message_usage(response, 0, out);
    put_close(out, '}');
    message_event_end(out);
}

static void messages_said(struct response *response, struct choice *choice,
                          const struct weir_reply_event *event)
{
    parts_take(response, choice, event, &blocks);
}

static void messages_over(struct response *response, struct choice *choice)
{
    parts_end(response, choice, &blocks);
    struct bytes *out = message_event(response, "message_delta");
    put_open(out, "delta", '{');
    put_stop(choice, out);
    put_close(out, '}');
    put_open(out, "usage", '{');
    put_integer(out, "output_tokens", choice->timings.tokens);
    put_close(out, '}');
    message_event_end(out);
    message_event_end(message_event(response, "message_stop"));
}

static void messages_whole(struct response *response, struct bytes *out)
{
    const struct choice *choice = &response->choices[0];
    put_open(out, NULL, '{');
    put_message_head(response, out);
    put_open(out, "content", '[');
    if (choice->items.length > 0)
        put_json(out, NULL, choice->items.data, choice->items.length);
    put_close(out, ']');
    put_text(out, "model", response->model);
    put_stop(choice, out);
    put_message_usage(response, choice->timings.tokens, out);
    put_close(out, '}');
}

const struct form form_messages = {
    .shape = SHAPE_ANTHROPIC,
    .begins_late = true,
    .keeps_items = true,
    .begin = messages_begin,
    .said = messages_said,
    .over = messages_over,
    .whole = messages_whole,
    .ping = "event: ping\ndata: {\"type\":\"ping\"}\n\n",
};
