/* SPDX-License-Identifier: MIT
 * The form of OpenAI's responses: items, streamed and whole. Knows neither jobs nor who
 * reads it. */
#include "serve/response.h"

#include <time.h>

#include "serve/parts.h"
#include "serve/respond.h"

/* ---- events ---------------------------------------------------------------------------------- */

static struct bytes *response_event(struct response *response, const char *type)
{
    event_open(response->out, type);
    put_open(response->out, NULL, '{');
    put_text(response->out, "type", type);
    put_integer(response->out, "sequence_number", response->sequence++);
    return response->out;
}

static void response_event_end(struct bytes *out)
{
    put_close(out, '}');
    event_close(out);
}

/* What an open item is called: letters and digits are those of the call's id. */
static void put_item_id(const struct response *response, const struct choice *choice,
                        const char *key, struct bytes *out)
{
    static const char *const prefixes[] = {
        [PART_NONE] = "", [PART_REASONING] = "rs_", [PART_CONTENT] = "msg_", [PART_CALL] = "fc_"};
    put_id(out, key, prefixes[choice->parts.open], response->seed, choice->parts.count);
}

static struct bytes *item_event(struct response *response, const struct choice *choice,
                                const char *type)
{
    struct bytes *out = response_event(response, type);
    put_item_id(response, choice, "item_id", out);
    put_integer(out, "output_index", (int64_t)choice->parts.count - 1);
    return out;
}

/* The same of the item's only content. */
static struct bytes *content_event(struct response *response, const struct choice *choice,
                                   const char *type)
{
    struct bytes *out = item_event(response, choice, type);
    put_integer(out, "content_index", 0);
    return out;
}

/* ---- items ----------------------------------------------------------------------------------- */

static void put_logprobs(const struct bytes *elements, struct bytes *out)
{
    put_open(out, "logprobs", '[');
    if (elements->length > 0)
        put_json(out, NULL, elements->data, elements->length);
    put_close(out, ']');
}

static void put_content(const struct choice *choice, const char *key, struct json_text text,
                        struct bytes *out)
{
    put_open(out, key, '{');
    if (choice->parts.open == PART_REASONING) {
        put_string(out, "text", text.bytes, text.length);
        put_text(out, "type", "reasoning_text");
    } else {
        put_text(out, "type", "output_text");
        put_open(out, "annotations", '[');
        put_close(out, ']');
        put_logprobs(&choice->part_logprobs, out);
        put_string(out, "text", text.bytes, text.length);
    }
    put_close(out, '}');
}

static void put_call_item(const struct response *response, const struct choice *choice,
                          const struct part_end *item, struct bytes *out)
{
    put_text(out, "type", "function_call");
    put_string(out, "arguments", item->text.bytes, item->text.length);
    put_id(out, "call_id", "call_", response->seed, choice->parts.count);
    put_string(out, "name", item->name.bytes, item->name.length);
}

/* An item, of which the content is complete or not there yet. */
static void put_item(const struct response *response, const struct choice *choice, const char *key,
                     const struct part_end *item, bool is_done, struct bytes *out)
{
    const enum part part = choice->parts.open;
    put_open(out, key, '{');
    put_item_id(response, choice, "id", out);
    if (part == PART_CALL) {
        put_call_item(response, choice, item, out);
    } else {
        put_text(out, "type", part == PART_REASONING ? "reasoning" : "message");
        put_open(out, "content", '[');
        if (is_done)
            put_content(choice, NULL, item->text, out);
        put_close(out, ']');
    }
    if (part == PART_REASONING) {
        put_open(out, "summary", '[');
        put_close(out, ']');
        put_text(out, "encrypted_content", "");
    }
    if (part == PART_CONTENT)
        put_text(out, "role", "assistant");
    put_text(out, "status", !is_done ? "in_progress" : item->is_whole ? "completed" : "incomplete");
    put_close(out, '}');
}

static void item_open(struct response *response, struct choice *choice, struct json_text name)
{
    const struct part_end item = {.text = {"", 0}, .name = name};
    bytes_clear(&choice->part_logprobs);
    struct bytes *out = response_event(response, "response.output_item.added");
    put_integer(out, "output_index", (int64_t)choice->parts.count - 1);
    put_item(response, choice, "item", &item, false, out);
    response_event_end(out);
    if (choice->parts.open == PART_CALL) {
        bytes_clear(&choice->logprobs); // they are not told of calls
        return;
    }
    out = content_event(response, choice, "response.content_part.added");
    put_content(choice, "part", item.text, out);
    response_event_end(out);
}

/* Tells the tokens of which the text is told now, and keeps them for the whole. */
static void put_new_logprobs(struct choice *choice, struct bytes *out)
{
    put_logprobs(&choice->logprobs, out);
    if (choice->logprobs.length == 0)
        return;
    if (choice->part_logprobs.length > 0)
        bytes_add_text(&choice->part_logprobs, ",");
    bytes_add(&choice->part_logprobs, choice->logprobs.data, choice->logprobs.length);
}

static void item_more(struct response *response, struct choice *choice, struct json_text text)
{
    static const char *const events[] = {[PART_NONE] = "",
                                         [PART_REASONING] = "response.reasoning_text.delta",
                                         [PART_CONTENT] = "response.output_text.delta",
                                         [PART_CALL] = "response.function_call_arguments.delta"};
    const enum part part = choice->parts.open;
    struct bytes *out = part == PART_CALL ? item_event(response, choice, events[part])
                                          : content_event(response, choice, events[part]);
    put_string(out, "delta", text.bytes, text.length);
    if (part == PART_CONTENT)
        put_new_logprobs(choice, out);
    bytes_clear(&choice->logprobs);
    response_event_end(out);
}

static void put_text_done(struct response *response, struct choice *choice,
                          const struct part_end *end)
{
    const bool is_reasoning = choice->parts.open == PART_REASONING;
    struct bytes *out =
        content_event(response, choice,
                      is_reasoning ? "response.reasoning_text.done" : "response.output_text.done");
    put_string(out, "text", end->text.bytes, end->text.length);
    if (!is_reasoning)
        put_logprobs(&choice->part_logprobs, out);
    response_event_end(out);
    out = content_event(response, choice, "response.content_part.done");
    put_content(choice, "part", end->text, out);
    response_event_end(out);
}

static void put_arguments_done(struct response *response, struct choice *choice,
                               const struct part_end *end)
{
    struct bytes *out = item_event(response, choice, "response.function_call_arguments.done");
    put_string(out, "name", end->name.bytes, end->name.length);
    put_string(out, "arguments", end->text.bytes, end->text.length);
    response_event_end(out);
}

static void item_close(struct response *response, struct choice *choice, const struct part_end *end)
{
    if (choice->parts.open == PART_CALL)
        put_arguments_done(response, choice, end);
    else
        put_text_done(response, choice, end);
    struct bytes *out = response_event(response, "response.output_item.done");
    put_integer(out, "output_index", (int64_t)choice->parts.count - 1);
    put_item(response, choice, "item", end, true, out);
    response_event_end(out);
    put_item(response, choice, NULL, end, true, &choice->items);
}

static const struct part_form items = {item_open, item_more, item_close};

/* ---- the response ---------------------------------------------------------------------------- */

static void put_response_usage(const struct response *response, struct bytes *out)
{
    const struct usage usage = response_usage(response);
    put_open(out, "usage", '{');
    put_integer(out, "input_tokens", (int64_t)usage.prompt);
    put_integer(out, "output_tokens", (int64_t)usage.reply);
    put_usage_details(&usage, "input_tokens_details", "output_tokens_details", out);
    put_close(out, '}');
}

static void put_incomplete(const struct choice *choice, struct bytes *out)
{
    if (!choice_is_cut(choice)) {
        put_null(out, "incomplete_details");
        return;
    }
    put_open(out, "incomplete_details", '{');
    put_text(out, "reason", "max_output_tokens");
    put_close(out, '}');
}

static void put_response(const struct response *response, const char *key, struct bytes *out)
{
    const struct choice *choice = &response->choices[0];
    put_open(out, key, '{');
    if (choice->is_over)
        put_integer(out, "completed_at", (int64_t)time(NULL));
    put_integer(out, "created_at", response->created);
    put_id(out, "id", "resp_", response->seed, 0);
    put_text(out, "model", response->model);
    put_text(out, "object", "response");
    put_open(out, "output", '[');
    if (choice->items.length > 0)
        put_json(out, NULL, choice->items.data, choice->items.length);
    put_close(out, ']');
    put_text(out, "status",
             !choice->is_over        ? "in_progress"
             : choice_is_cut(choice) ? "incomplete"
                                     : "completed");
    put_incomplete(choice, out);
    put_null(out, "error");
    if (choice->is_over)
        put_response_usage(response, out);
    put_close(out, '}');
}

static void responses_begin(struct response *response, struct choice *choice)
{
    static const char *const events[] = {"response.created", "response.in_progress"};
    (void)choice;
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        struct bytes *out = response_event(response, events[i]);
        put_response(response, "response", out);
        response_event_end(out);
    }
}

static void responses_said(struct response *response, struct choice *choice,
                           const struct weir_reply_event *event)
{
    parts_take(response, choice, event, &items);
}

static void responses_over(struct response *response, struct choice *choice)
{
    parts_end(response, choice, &items);
    struct bytes *out = response_event(response, choice_is_cut(choice) ? "response.incomplete"
                                                                       : "response.completed");
    put_response(response, "response", out);
    put_timings(out, "timings", &choice->timings);
    response_event_end(out);
}

static void responses_failed(struct response *response, const struct refusal *refusal)
{
    struct bytes *out = response_event(response, "error");
    put_text(out, "code", api_error_type(refusal->error));
    put_text(out, "message", refusal->text);
    put_null(out, "param");
    response_event_end(out);
}

static void responses_whole(struct response *response, struct bytes *out)
{
    put_response(response, NULL, out);
}

const struct form form_responses = {
    .shape = SHAPE_OPENAI,
    .tells_text = true,
    .keeps_items = true,
    .begin = responses_begin,
    .said = responses_said,
    .over = responses_over,
    .failed = responses_failed,
    .whole = responses_whole,
    .ping = ":\n\n",
};
