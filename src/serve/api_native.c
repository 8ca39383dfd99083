/* SPDX-License-Identifier: MIT
 * The form of llama-server's own completions: an event for each token, and the whole. Knows neither
 * jobs nor who reads it. */
#include "serve/response.h"

#include <string.h>

#include "serve/generation_settings.h"
#include "serve/respond.h"

static void put_list(struct bytes *out, const char *key, const struct bytes *elements)
{
    put_open(out, key, '[');
    if (elements->length > 0)
        put_json(out, NULL, elements->data, elements->length);
    put_close(out, ']');
}

static const char *stop_type(enum job_end end)
{
    switch (end) {
    case JOB_STOP_TOKEN: return "eos";
    case JOB_STOP_TEXT: return "word";
    case JOB_LENGTH:
    case JOB_FULL: return "limit";
    case JOB_TIMEOUT:
    case JOB_CANCELLED:
    case JOB_FAILED: break;
    }
    return "none";
}

/* How many tokens the slot holds: all but the last one, which was not evaluated. */
static int64_t tokens_held(const struct job_timings *timings)
{
    return (int64_t)timings->prompt_tokens + timings->tokens - (timings->tokens > 0);
}

static void put_end(const struct response *response, const struct choice *choice, struct bytes *out)
{
    const struct bytes *content = &choice->said.content;
    put_settings(out, "generation_settings", response->request, true);
    put_string(out, "prompt", choice->prompt, choice->prompt_length);
    put_bool(out, "has_new_line",
             content->length > 0 && memchr(content->data, '\n', content->length) != NULL);
    put_bool(out, "truncated", choice->end == JOB_FULL);
    put_text(out, "stop_type", stop_type(choice->end));
    put_string(out, "stopping_word", choice->stop.data, choice->stop.length);
    put_integer(out, "tokens_cached", tokens_held(&choice->timings));
    put_timings(out, "timings", &choice->timings);
}

/* The object of a choice that is over, with what a stream has told already or without. */
static void put_result(const struct response *response, const struct choice *choice, bool is_told,
                       struct bytes *out)
{
    const struct bytes none = {0};
    const struct bytes *content = is_told ? &none : &choice->said.content;
    const bool has_tokens = !is_told && response->request->wants_tokens;
    put_open(out, NULL, '{');
    put_integer(out, "index", choice->index);
    put_string(out, "content", content->data, content->length);
    put_list(out, "tokens", has_tokens ? &choice->tokens : &none);
    put_integer(out, "id_slot", choice->slot);
    put_bool(out, "stop", true);
    put_text(out, "model", response->model);
    put_integer(out, "tokens_predicted", choice->timings.tokens);
    put_integer(out, "tokens_evaluated", choice->timings.prompt_tokens);
    put_end(response, choice, out);
    if (!is_told && response->request->wants_logprobs)
        put_list(out, "completion_probabilities", &choice->logprobs);
    put_close(out, '}');
}

/* ---- the fields that were asked for ---------------------------------------------------------- */

/* The value at a path "a/b"; NULL if there is none. */
static const struct json *value_at(const struct json *object, struct json_text path)
{
    while (object != NULL && path.length > 0) {
        const char *slash = memchr(path.bytes, '/', path.length);
        const size_t length = slash != NULL ? (size_t)(slash - path.bytes) : path.length;
        object = json_find(object, (struct json_text){path.bytes, length});
        const size_t taken = slash != NULL ? length + 1 : length;
        path.bytes += taken;
        path.length -= taken;
    }
    return object;
}

static void put_selected(const struct json *names, const struct json *all, struct bytes *out)
{
    put_open(out, NULL, '{');
    for (uint32_t i = 0; i < names->count; i++) {
        const struct json_text name = names->items[i].text;
        const struct json *value = value_at(all, name);
        if (value != NULL)
            put_member(out, name, value->source);
    }
    put_close(out, '}');
}

static void put_wanted(const struct response *response, const struct choice *choice, bool is_told,
                       struct bytes *out)
{
    const struct json *names = response->request->response_fields;
    struct json_document *document = NULL;
    struct bytes whole = {0};
    if (names == NULL) {
        put_result(response, choice, is_told, out);
        return;
    }
    put_result(response, choice, is_told, &whole);
    if (!whole.has_failed &&
        json_open(&document, whole.data, whole.length, "response", NULL) == WEIR_OK)
        put_selected(names, json_root(document), out);
    else
        out->has_failed = true;
    json_close(document);
    bytes_release(&whole);
}

/* ---- the stream and the whole ---------------------------------------------------------------- */

static struct bytes *chunk_open(struct response *response, const struct choice *choice,
                                const char *text, size_t length)
{
    struct bytes *out = response->out;
    event_open(out, NULL);
    put_open(out, NULL, '{');
    put_integer(out, "index", choice->index);
    put_string(out, "content", text, length);
    put_list(out, "tokens", &choice->tokens);
    put_bool(out, "stop", false);
    put_integer(out, "id_slot", choice->slot);
    put_integer(out, "tokens_predicted", choice->timings.tokens);
    put_integer(out, "tokens_evaluated", choice->timings.prompt_tokens);
    return out;
}

static void native_progress(struct response *response, struct choice *choice)
{
    struct bytes *out = chunk_open(response, choice, "", 0);
    put_progress(choice, out);
    put_close(out, '}');
    event_close(out);
}

static void native_text(struct response *response, struct choice *choice, const char *text,
                        size_t length)
{
    struct bytes *out = chunk_open(response, choice, text, length);
    if (response->request->wants_timings)
        put_timings(out, "timings", &choice->timings);
    if (choice->logprobs.length > 0)
        put_list(out, "completion_probabilities", &choice->logprobs);
    put_close(out, '}');
    event_close(out);
    bytes_clear(&choice->tokens);
    bytes_clear(&choice->logprobs);
}

static void native_over(struct response *response, struct choice *choice)
{
    event_open(response->out, NULL);
    put_wanted(response, choice, true, response->out);
    event_close(response->out);
}

static void native_whole(struct response *response, struct bytes *out)
{
    const bool is_list = response->choices_count > 1;
    if (is_list)
        put_open(out, NULL, '[');
    for (uint32_t i = 0; i < response->choices_count; i++)
        put_wanted(response, &response->choices[i], false, out);
    if (is_list)
        put_close(out, ']');
}

const struct form form_native = {
    .shape = SHAPE_OPENAI,
    .tells_tokens = true,
    .progress = native_progress,
    .text = native_text,
    .over = native_over,
    .whole = native_whole,
    .ping = ":\n\n",
};
