/* SPDX-License-Identifier: MIT
 * Requests that llama-server was asked, asked of our server: what differs from its answers, but for
 * what a model says, is in one table, each with a reason.
 * Run alone: build/tests/weir-test captures_ */
#include "serve/served.h"
#include "serve/shapes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const char absent[] = "an option of something that weir does not have";
static const char bytes_told[] = "what the reply has touched";
static const char counted[] = "clients of OpenAI's read it";
static const char numbered[] = "OpenAI's clients and Codex expect it";
static const char client_fault[] = "the client's fault, not the server's";
static const char other_context[] = "the server is another one";
static const char own_words[] = "where and what, in the words of our own reader";

static const struct difference differences[] = {
    {NULL, ".adaptive_target", absent},
    {NULL, ".adaptive_decay", absent},
    {NULL, ".chat_format", absent},
    {NULL, ".reasoning_in_content", absent},
    {NULL, ".generation_prompt", absent},
    {NULL, ".speculative.types", absent},
    {NULL, ".backend_sampling", absent},
    {NULL, ".lora", absent},
    {"props", ".media_marker", absent},
    {"props", ".ui_settings", absent},
    {"props", ".cors_proxy_enabled", absent},
    {NULL, ".meta.n_ctx", other_context},
    {NULL, ".default_generation_settings.n_ctx", other_context},
    {"slots_idle", ".n_ctx", other_context},
    {NULL, ".error.n_ctx", other_context},
    {NULL, "header.Access-Control-Allow-Headers", "an asterisk is never Authorization"},
    {NULL, ".timings.bytes", bytes_told},
    {NULL, ".timings.bytes_per_token", bytes_told},
    {NULL, ".usage.completion_tokens_details", counted},
    {"completions_logprobs", ".logprobs.tokens", counted},
    {"completions_logprobs", ".logprobs.token_logprobs", counted},
    {"completions_logprobs", ".logprobs.top_logprobs", counted},
    {"completions_logprobs", ".logprobs.text_offset", counted},
    {"chat_timings_per_token", "events", "the role comes before the prompt is read, not behind"},
    {"native_post_sampling_probs", ".stop_type", "another model ends its text by itself"},
    {"tokenize_pieces", ".tokens[].piece", "a token of another vocabulary"},
    {"messages_stream", ".content_block.signature", "Anthropic's have it"},
    /* responses */
    {NULL, ".usage.output_tokens_details", counted},
    {"responses", ".status", "cut off is not completed"},
    {"responses_stream", "events", "cut off is not completed"},
    {NULL, ".incomplete_details", "why it was cut off"},
    {"responses", "$.error", "OpenAI's have it"},
    {NULL, ".response.error", "OpenAI's have it"},
    {NULL, ".response.created_at", numbered},
    {NULL, ".response.model", numbered},
    {NULL, ".response.output", numbered},
    {NULL, ".sequence_number", numbered},
    {NULL, ".output_index", numbered},
    {NULL, ".content_index", numbered},
    {NULL, ".part.annotations", numbered},
    {NULL, ".part.logprobs", numbered},
    {NULL, ".delta.logprobs", numbered},
    {NULL, ".done.logprobs", numbered},
    {"responses", ".output[].type", "one order for all items"},
    {"responses_stream", ".item.id", "one order for all items"},
    {NULL, ".item.type", "one order for all items"},
    {"responses_tool_stream", ".delta.item_id", "one order for all events"},
    {"responses_tool_stream", "events", "the arguments are told done, as OpenAI does"},
    /* errors */
    {"err_bad_json", "status", client_fault},
    {"err_bad_json", ".error.code", client_fault},
    {"err_bad_json", ".error.message", own_words},
    {"err_bad_json", ".error.type", client_fault},
    {"err_temperature_type", ".error.message", own_words},
    {"err_response_format", ".error.message", "json_schema is a type too"},
    {"err_template", "status", client_fault},
    {"err_template", ".error.code", client_fault},
    {"err_template", ".error.message", "the text that the template raises, of another template"},
    {"err_template", ".error.type", client_fault},
    {"err_content_part", "status", client_fault},
    {"err_content_part", ".error.code", client_fault},
    {"err_content_part", ".error.message", own_words},
    {"err_content_part", ".error.type", client_fault},
    {"err_context", ".error.message", "another context"},
    {"err_context_stream", ".error.message", "another context"},
    {"err_grammar", ".error.message", own_words},
    {"err_embeddings", ".error.message", "there is no such flag"},
    {"err_not_found", ".error.code", "one order for all errors"},
    {"err_method", ".error.code", "one order for all errors"},
    {"slot_restore_missing", ".error.message", own_words},
    {"slot_bad_id", "status", "a slot that is not there is not another one"},
    {"slot_bad_id", "", "an error"},
};

enum { DIFFERENCES = sizeof differences / sizeof differences[0] };

/* ---- events ---------------------------------------------------------------------------------- */

enum { EVENTS_MAX = 128, KIND_BYTES = 256 };

struct event {
    char kind[KIND_BYTES];
    struct json_document *document; /* NULL: no JSON */
};

struct events {
    struct event items[EVENTS_MAX];
    uint32_t count;
};

static void add_keys(char kind[KIND_BYTES], const struct json *object)
{
    for (uint32_t i = 0; object != NULL && object->kind == JSON_OBJECT && i < object->count; i++) {
        const size_t length = strlen(kind);
        snprintf(kind + length, KIND_BYTES - length, " %.*s", (int)object->keys[i].length,
                 object->keys[i].bytes);
    }
}

/* What an event is about: its name, what its delta has, whether it is the last of a choice. */
static void set_kind(struct event *event, const char *name, size_t length)
{
    snprintf(event->kind, KIND_BYTES, "%.*s", (int)length, name);
    if (event->document == NULL)
        return;
    const struct json *root = json_root(event->document);
    const struct json *choices = json_get(root, "choices");
    if (choices != NULL && choices->count > 0) {
        const struct json *finish = json_get(&choices->items[0], "finish_reason");
        add_keys(event->kind, json_get(&choices->items[0], "delta"));
        if (finish != NULL && finish->kind == JSON_STRING)
            strcat(event->kind, " end");
    }
    if (json_get(root, "prompt_progress") != NULL)
        strcat(event->kind, " progress");
    if (json_get(root, "stop") != NULL)
        strcat(event->kind, json_get(root, "stop")->kind == JSON_TRUE ? " end" : " more");
}

/* The events of a stream; of neighbours of one kind the first. */
static void read_events(struct events *events, const char *stream)
{
    const char *name = "";
    size_t name_length = 0;
    events->count = 0;
    for (const char *line = stream; *line != 0;) {
        const size_t length = strcspn(line, "\n");
        struct event *event = &events->items[events->count];
        if (strncmp(line, "event: ", 7) == 0) {
            name = line + 7;
            name_length = length - 7;
        } else if (strncmp(line, "data: ", 6) == 0) {
            CHECK(events->count < EVENTS_MAX);
            if (json_open(&event->document, line + 6, length - 6, "event", NULL) != WEIR_OK)
                CHECK(strncmp(line, "data: [DONE]", length) == 0);
            set_kind(event, name, name_length);
            if (events->count > 0 && strcmp(event->kind, event[-1].kind) == 0)
                json_close(event->document);
            else
                events->count++;
        }
        line += length + (line[length] == '\n');
    }
}

static void close_events(struct events *events)
{
    for (uint32_t i = 0; i < events->count; i++)
        json_close(events->items[i].document);
}

static void compare_streams(struct shapes *shapes, const char *expected, const char *got)
{
    static struct events recorded, ours;
    char path[64];
    read_events(&recorded, expected);
    read_events(&ours, got);
    uint32_t i = 0;
    for (; i < recorded.count && i < ours.count; i++) {
        if (strcmp(recorded.items[i].kind, ours.items[i].kind) != 0)
            break;
        snprintf(path, sizeof path, "event%s", recorded.items[i].kind);
        if (recorded.items[i].document != NULL)
            shapes_compare(shapes, json_root(recorded.items[i].document),
                           json_root(ours.items[i].document), path);
    }
    if (i < recorded.count || i < ours.count) {
        char what[600];
        snprintf(what, sizeof what, "\"%s\", recorded \"%s\"",
                 i < ours.count ? ours.items[i].kind : "nothing",
                 i < recorded.count ? recorded.items[i].kind : "nothing");
        shapes_report(shapes, "events", what);
    }
    close_events(&recorded);
    close_events(&ours);
}

/* ---- requests -------------------------------------------------------------------------------- */

/* Captures name bodies that are too long to be written out. */
static char *body_of(const struct json *request)
{
    const struct json *raw = json_get(request, "raw_body"), *body = json_get(request, "body");
    if (raw != NULL)
        return mem_copy_text(raw->text.bytes, raw->text.length, NULL);
    if (body == NULL || body->kind == JSON_NULL)
        return NULL;
    const bool is_prompt = json_is(json_get(body, "prompt"), "(\"word \" 5000 times)");
    const bool is_messages = json_is(json_get(body, "messages"), "(5000 words)");
    if (!is_prompt && !is_messages)
        return mem_copy_text(body->source.bytes, body->source.length, NULL);
    struct bytes text = {0};
    bytes_add_text(&text, is_prompt ? "{\"max_tokens\":1,\"prompt\":\""
                                    : "{\"stream\":true,\"messages\":[{\"role\":\"user\","
                                      "\"content\":\"");
    for (int i = 0; i < 5000; i++)
        bytes_add_text(&text, "word ");
    bytes_add_text(&text, is_prompt ? "\"}" : "\"}]}");
    return text.data;
}

static void headers_of(const struct json *request, char *out, size_t size)
{
    const struct json *headers = json_get(request, "headers");
    out[0] = 0;
    for (uint32_t i = 0; i < headers->count; i++) {
        const size_t length = strlen(out);
        snprintf(out + length, size - length, "%.*s: %.*s\r\n", (int)headers->keys[i].length,
                 headers->keys[i].bytes, (int)headers->items[i].text.length,
                 headers->items[i].text.bytes);
    }
}

static void copy(char *out, size_t size, const struct json *text)
{
    CHECK(text != NULL && text->kind == JSON_STRING && text->text.length < size);
    snprintf(out, size, "%.*s", (int)text->text.length, text->text.bytes);
}

/* Of metrics, the lines that name and explain them, in their order. */
static void compare_lines(struct shapes *shapes, struct json_text expected, const char *got)
{
    char line[256];
    for (size_t at = 0; at < expected.length;) {
        const char *end = memchr(expected.bytes + at, '\n', expected.length - at);
        const size_t length =
            end == NULL ? expected.length - at : (size_t)(end - expected.bytes) - at;
        snprintf(line, sizeof line, "%.*s\n", (int)length, expected.bytes + at);
        const char *found = line[0] == '#' ? strstr(got, line) : got;
        if (found == NULL)
            shapes_report(shapes, line, "not there");
        got = found == NULL ? got : found;
        at += length + 1;
    }
}

static void compare_headers(struct shapes *shapes, const struct json *expected,
                            const struct http_response *got)
{
    const struct json *headers = json_get(expected, "headers");
    for (uint32_t i = 0; i < headers->count; i++) {
        const struct json_text recorded = headers->items[i].text;
        char name[64], path[80], what[256];
        snprintf(name, sizeof name, "%.*s", (int)headers->keys[i].length, headers->keys[i].bytes);
        const char *value = http_response_header(got, name);
        if (value != NULL && json_text_equals(recorded, value))
            continue;
        snprintf(path, sizeof path, "header.%s", name);
        snprintf(what, sizeof what, "%s, recorded %.*s", value == NULL ? "nothing" : value,
                 (int)recorded.length, recorded.bytes);
        shapes_report(shapes, path, what);
    }
}

static void compare_bodies(struct shapes *shapes, const struct json *expected,
                           const struct http_response *got)
{
    const struct json *json = json_get(expected, "json"), *sse = json_get(expected, "sse");
    const struct json *text = json_get(expected, "text");
    struct json_document *document = NULL;
    struct weir_error err = {0};
    if (sse != NULL) {
        char *stream = mem_copy_text(sse->text.bytes, sse->text.length, NULL);
        compare_streams(shapes, stream, got->body.data);
        mem_free(stream);
    }
    if (text != NULL && text->text.length > 0)
        compare_lines(shapes, text->text, got->body.data);
    if (json == NULL)
        return;
    CHECK_OK(json_open(&document, got->body.data, got->body.length, shapes->capture, &err), &err);
    shapes_compare(shapes, json, json_root(document), "$");
    json_close(document);
}

static void ask(struct shapes *shapes, const struct served *served, const struct json *capture)
{
    const struct json *request = json_get(capture, "request");
    const struct json *expected = json_get(capture, "response");
    char name[64], method[16], path[128], headers[512], status[64];
    copy(name, sizeof name, json_get(capture, "name"));
    copy(method, sizeof method, json_get(request, "method"));
    copy(path, sizeof path, json_get(request, "path"));
    headers_of(request, headers, sizeof headers);
    char *body = body_of(request);
    shapes->capture = name;
    struct http_response got = served_ask(served, method, path, headers, body);
    snprintf(status, sizeof status, "%.*s", (int)json_get(expected, "status")->text.length,
             json_get(expected, "status")->text.bytes);
    if (strtoul(status, NULL, 10) != got.status) {
        char what[128];
        snprintf(what, sizeof what, "%u, recorded %s", got.status, status);
        shapes_report(shapes, "status", what);
    }
    compare_headers(shapes, expected, &got);
    compare_bodies(shapes, expected, &got);
    http_response_release(&got);
    mem_free(body);
}

TEST(captures_differ_on_purpose_alone)
{
    struct json_document *document;
    struct weir_error err = {0};
    struct served served;
    static bool is_used[DIFFERENCES];
    size_t size;
    uint8_t *text = test_read_file(test_data("serve/captures.json"), &size);
    CHECK_OK(json_open(&document, (char *)text, size, "captures.json", &err), &err);
    free(text);
    const struct json *captures = json_get(json_root(document), "captures");
    CHECK_INT(captures->count, 71);
    served_init(&served);
    served.options.request.variables = "{\"enable_thinking\":true}";
    served.options.slot_save_path = test_scratch("");
    served_open(&served);
    struct shapes shapes = {
        .differences = differences, .differences_count = DIFFERENCES, .is_used = is_used};
    for (uint32_t i = 0; i < captures->count; i++)
        ask(&shapes, &served, &captures->items[i]);
    served_close(&served);
    json_close(document);
    if (shapes.report.length > 0)
        test_fail(__FILE__, __LINE__, "not in the table:\n%s", shapes.report.data);
    for (size_t i = 0; i < DIFFERENCES; i++)
        if (!is_used[i])
            test_fail(__FILE__, __LINE__, "no longer different: %s", differences[i].path);
    bytes_release(&shapes.report);
}
