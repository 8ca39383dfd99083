/* SPDX-License-Identifier: MIT
 * The form of OpenAI's completions of text: chunks of a stream, and the whole. Knows neither jobs
 * nor who reads it. */
#include "serve/response.h"

#include "serve/respond.h"

/* As llama-server tells them, and as OpenAI's clients read them. */
static void put_logprobs(const struct choice *choice, struct bytes *out)
{
    if (choice->logprobs.length == 0) {
        put_null(out, "logprobs");
        return;
    }
    put_open(out, "logprobs", '{');
    put_open(out, "content", '[');
    put_json(out, NULL, choice->logprobs.data, choice->logprobs.length);
    put_close(out, ']');
    token_lists_put(&choice->lists, out);
    put_close(out, '}');
}

static void put_choice(struct choice *choice, const char *text, size_t length, const char *finish,
                       struct bytes *out)
{
    put_open(out, NULL, '{');
    put_string(out, "text", text, length);
    put_integer(out, "index", choice->index);
    put_logprobs(choice, out);
    put_finish(finish, out);
    put_close(out, '}');
}

static const char object[] = "text_completion", prefix[] = "cmpl-";

static void put_chunk(struct response *response, struct choice *choice, const char *text,
                      size_t length, const char *finish)
{
    struct bytes *out = response->out;
    const bool is_last = finish != NULL && response_is_over(response);
    event_open(out, NULL);
    put_open(out, NULL, '{');
    put_open(out, "choices", '[');
    put_choice(choice, text, length, finish, out);
    put_close(out, ']');
    put_tail(response, object, prefix, is_last, out);
    if (!is_last && response->request->wants_timings)
        put_timings(out, "timings", &choice->timings);
    put_close(out, '}');
    event_close(out);
    bytes_clear(&choice->logprobs);
    token_lists_clear(&choice->lists);
}

static void completion_begin(struct response *response, struct choice *choice)
{
    if (response->request->wants_echo)
        put_chunk(response, choice, choice->prompt, choice->prompt_length, NULL);
}

static void completion_progress(struct response *response, struct choice *choice)
{
    struct bytes *out = response->out;
    event_open(out, NULL);
    put_open(out, NULL, '{');
    put_open(out, "choices", '[');
    put_choice(choice, "", 0, NULL, out);
    put_close(out, ']');
    put_tail(response, object, prefix, false, out);
    put_progress(choice, out);
    put_close(out, '}');
    event_close(out);
}

static void completion_text(struct response *response, struct choice *choice, const char *text,
                            size_t length)
{
    if (length > 0 || choice->logprobs.length > 0)
        put_chunk(response, choice, text, length, NULL);
}

static void completion_over(struct response *response, struct choice *choice)
{
    put_chunk(response, choice, "", 0, choice_finish(choice));
}

static void completion_end(struct response *response)
{
    bytes_add_text(response->out, "data: [DONE]\n\n");
}

static void put_whole_choice(const struct response *response, struct choice *choice,
                             struct bytes *out)
{
    const struct bytes *content = &choice->said.content;
    struct bytes text = {0};
    if (response->request->wants_echo)
        bytes_add(&text, choice->prompt, choice->prompt_length);
    if (content->length > 0)
        bytes_add(&text, content->data, content->length);
    put_choice(choice, text.data, text.length, choice_finish(choice), out);
    out->has_failed = out->has_failed || text.has_failed;
    bytes_release(&text);
}

static void completion_whole(struct response *response, struct bytes *out)
{
    put_open(out, NULL, '{');
    put_open(out, "choices", '[');
    for (uint32_t i = 0; i < response->choices_count; i++)
        put_whole_choice(response, &response->choices[i], out);
    put_close(out, ']');
    put_tail(response, object, prefix, true, out);
    put_close(out, '}');
}

const struct form form_completion = {
    .shape = SHAPE_OPENAI,
    .tells_lists = true,
    .begin = completion_begin,
    .progress = completion_progress,
    .text = completion_text,
    .over = completion_over,
    .end = completion_end,
    .whole = completion_whole,
    .ping = ":\n\n",
};
