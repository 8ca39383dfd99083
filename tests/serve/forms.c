/* SPDX-License-Identifier: MIT
 * What is streamed, put together, is what is told as a whole: every form, fed with the events of
 * replies that are cut into tokens at random. Run alone: build/tests/weir-test forms_ */
#include "alloc.h"
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "serve/response.h"

#define MODEL test_data("../../models/" WEIR_SHIPPED)

/* ---- replies as events ----------------------------------------------------------------------- */

struct script {
    struct json_text text; /* what is said */
    struct json_text tools;
    bool in_reasoning, may_reason;
    uint64_t seed; /* of where it is cut, and how it ends */
    bool is_cut;   /* it ends by its length */
};

/* The next piece of the text: whole characters, often none. */
static size_t piece_length(const struct script *script, size_t at, uint64_t number)
{
    size_t length = rng_bits(script->seed, 1, number) % 8;
    length = length > script->text.length - at ? script->text.length - at : length;
    while (at + length < script->text.length &&
           ((uint8_t)script->text.bytes[at + length] & 0xc0) == 0x80)
        length++;
    return length;
}

static enum job_end end_of(const struct script *script)
{
    static const enum job_end ends[] = {JOB_STOP_TOKEN, JOB_STOP_TEXT, JOB_LENGTH, JOB_FULL};
    if (script->is_cut)
        return JOB_LENGTH;
    return ends[rng_bits(script->seed, 2, 0) % (sizeof ends / sizeof ends[0])];
}

/* Lets a choice hear the script. The last bytes come with the end, as what was held back does. */
static void play(struct response *response, struct choice *choice, const struct script *script,
                 struct bytes *out)
{
    static const struct job_logprob likeliest[] = {{7, -0.5f}, {70, -1.5f}};
    struct job_event event = {.kind = JOB_STARTED, .slot = 1};
    struct job_timings timings = {.prompt_tokens = 9, .cached_tokens = 4, .reply_ns = 12345678};
    size_t at = 0;
    uint64_t number = 0;
    response_take(response, choice, &event, out);
    for (uint32_t i = 0; i < 2 && response_tells_prompts(response); i++) {
        event = (struct job_event){.kind = JOB_PROMPT,
                                   .slot = 1,
                                   .done = i,
                                   .id = 100 + (int32_t)i,
                                   .logprob = i == 0 ? NAN : -0.5f,
                                   .likeliest = likeliest,
                                   .likeliest_count = 2 * i,
                                   .timings = timings};
        response_take(response, choice, &event, out);
    }
    while (at + 3 < script->text.length) {
        const size_t length = piece_length(script, at, number);
        timings.tokens++;
        event = (struct job_event){
            .kind = JOB_TEXT,
            .slot = 1,
            .id = (int32_t)(rng_bits(script->seed, 3, number) % 2000),
            .logprob = -0.25f * (float)number,
            .likeliest = likeliest,
            .likeliest_count = 2,
            .text = script->text.bytes + at,
            .length = length,
            .timings = timings,
        };
        response_take(response, choice, &event, out);
        at += length;
        number++;
    }
    event = (struct job_event){.kind = JOB_END,
                               .slot = 1,
                               .text = script->text.bytes + at,
                               .length = script->text.length - at,
                               .end = end_of(script),
                               .stop = "STOP",
                               .timings = timings};
    response_take(response, choice, &event, out);
}

/* ---- what was streamed, put together --------------------------------------------------------- */

enum { LISTS = 4 };
static const char *const lists[LISTS] = {"tokens", "token_logprobs", "top_logprobs", "text_offset"};

/* An answer, whatever its form was, in one text. */
struct account {
    struct bytes reasoning, content, calls, logprobs, tokens, items;
    struct bytes lists[LISTS]; /* of the older form of logprobs */
    uint64_t input; /* of the items: where the open call's input begins; 0: no call is open */
    char end[64];
};

static void account_release(struct account *account)
{
    bytes_release(&account->reasoning);
    bytes_release(&account->content);
    bytes_release(&account->calls);
    bytes_release(&account->logprobs);
    bytes_release(&account->tokens);
    bytes_release(&account->items);
    for (int i = 0; i < LISTS; i++)
        bytes_release(&account->lists[i]);
}

static void add(struct bytes *to, const struct json *text)
{
    if (text != NULL && text->kind == JSON_STRING)
        bytes_add(to, text->text.bytes, text->text.length);
}

static void add_source(struct bytes *to, const struct json *list)
{
    for (uint32_t i = 0; list != NULL && i < list->count; i++) {
        bytes_add(to, list->items[i].source.bytes, list->items[i].source.length);
        bytes_add_text(to, ";");
    }
}

static void add_logprobs(struct account *account, const struct json *logprobs)
{
    const struct json *content = json_get(logprobs, "content");
    add_source(&account->logprobs, content);
    for (int i = 0; i < LISTS; i++) {
        const struct json *list = json_get(logprobs, lists[i]);
        CHECK(list == NULL || list->count == content->count);
        add_source(&account->lists[i], list);
    }
}

static void set_end(struct account *account, const struct json *word)
{
    if (word != NULL && word->kind == JSON_STRING)
        snprintf(account->end, sizeof account->end, "%.*s", (int)word->text.length,
                 word->text.bytes);
}

/* A call that begins has a name and an id; both before its arguments. */
static void add_calls(struct account *account, const struct json *calls)
{
    for (uint32_t i = 0; calls != NULL && i < calls->count; i++) {
        const struct json *function = json_get(&calls->items[i], "function");
        if (json_get(function, "name") != NULL) {
            bytes_add_text(&account->calls, "\n");
            add(&account->calls, json_get(function, "name"));
            bytes_add_text(&account->calls, " ");
            add(&account->calls, json_get(&calls->items[i], "id"));
            bytes_add_text(&account->calls, " ");
        }
        add(&account->calls, json_get(function, "arguments"));
    }
}

/* A delta of a chunk, or the message of the whole. */
static void add_message(struct account *account, const struct json *message)
{
    add(&account->reasoning, json_get(message, "reasoning_content"));
    add(&account->content, json_get(message, "content"));
    add_calls(account, json_get(message, "tool_calls"));
}

static void add_chat(struct account *account, const struct json *root)
{
    const struct json *choices = json_get(root, "choices");
    for (uint32_t i = 0; choices != NULL && i < choices->count; i++) {
        const struct json *choice = &choices->items[i];
        add_message(account, json_get(choice, "delta"));
        add_message(account, json_get(choice, "message"));
        add(&account->content, json_get(choice, "text"));
        add_logprobs(account, json_get(choice, "logprobs"));
        set_end(account, json_get(choice, "finish_reason"));
    }
}

static void add_native(struct account *account, const struct json *root)
{
    add(&account->content, json_get(root, "content"));
    add_source(&account->tokens, json_get(root, "tokens"));
    add_source(&account->logprobs, json_get(root, "completion_probabilities"));
    set_end(account, json_get(root, "stop_type"));
}

/* Blocks as a client of Anthropic's puts them together: "thinking TEXT", "text TEXT", "tool_use
 * NAME ID INPUT", a line each. */
static void add_block(struct bytes *items, const struct json *block)
{
    bytes_add_text(items, "\n");
    add(items, json_get(block, "type"));
    bytes_add_text(items, " ");
    add(items, json_get(block, "name"));
    add(items, json_get(block, "id"));
    add(items, json_get(block, "thinking"));
    add(items, json_get(block, "text"));
}

/* The input of a call that was cut off is no JSON: as a whole it is told as {}. */
static void end_input(struct account *account)
{
    const char *input = account->items.data + account->input;
    const uint64_t length = account->items.length - account->input;
    if (json_check(input, length, NULL))
        return;
    account->items.length = account->input;
    bytes_add_text(&account->items, "{}");
}

static void add_messages(struct account *account, const struct json *root)
{
    const struct json *content = json_get(root, "content"), *delta = json_get(root, "delta");
    if (json_is(json_get(root, "type"), "content_block_start")) {
        const struct json *block = json_get(root, "content_block");
        add_block(&account->items, block);
        account->input = json_get(block, "input") != NULL ? account->items.length : 0;
    }
    if (json_is(json_get(root, "type"), "content_block_stop") && account->input > 0)
        end_input(account);
    add(&account->items, json_get(delta, "thinking"));
    add(&account->items, json_get(delta, "text"));
    add(&account->items, json_get(delta, "partial_json"));
    for (uint32_t i = 0; content != NULL && i < content->count; i++) {
        const struct json *input = json_get(&content->items[i], "input");
        add_block(&account->items, &content->items[i]);
        if (input != NULL)
            bytes_add(&account->items, input->source.bytes, input->source.length);
    }
    set_end(account, json_get(root, "stop_reason"));
    set_end(account, json_get(delta, "stop_reason"));
}

/* Items by their deltas, which the items that are done must repeat. */
static void add_responses(struct account *account, const struct json *root)
{
    const struct json *output = json_get(root, "output");
    const struct json *type = json_get(root, "type"), *item = json_get(root, "item");
    if (json_is(type, "response.output_item.added"))
        add_block(&account->items, item);
    add(&account->items, json_get(root, "delta"));
    if (json_is(type, "response.output_text.delta"))
        add_source(&account->logprobs, json_get(root, "logprobs"));
    for (uint32_t i = 0; output != NULL && i < output->count; i++) {
        const struct json *content = json_get(&output->items[i], "content");
        add_block(&account->items, &output->items[i]);
        if (content != NULL && content->count > 0) {
            add(&account->items, json_get(&content->items[0], "text"));
            add_source(&account->logprobs, json_get(&content->items[0], "logprobs"));
        }
        add(&account->items, json_get(&output->items[i], "arguments"));
    }
    const struct json *response = json_get(root, "response");
    set_end(account, json_get(response != NULL ? response : root, "status"));
}

typedef void add_event(struct account *account, const struct json *root);

static const struct {
    const char *name;
    const struct form *form;
    add_event *add;
    bool is_chat;
} forms[] = {
    {"chat", &form_chat, add_chat, true},
    {"completion", &form_completion, add_chat, false},
    {"native", &form_native, add_native, false},
    {"messages", &form_messages, add_messages, true},
    {"responses", &form_responses, add_responses, true},
};

static void account_take(struct account *account, add_event *take, const char *text, size_t length)
{
    struct json_document *document;
    struct weir_error err = {0};
    CHECK_OK(json_open(&document, text, length, "told", &err), &err);
    take(account, json_root(document));
    json_close(document);
}

static void account_take_stream(struct account *account, add_event *take, const char *stream)
{
    for (const char *at = strstr(stream, "data: "); at != NULL; at = strstr(at, "\ndata: ")) {
        at += *at == '\n' ? 7 : 6;
        const size_t length = strcspn(at, "\n");
        if (*at == '{')
            account_take(account, take, at, length);
    }
}

static void check_same(const char *form, const char *what, const struct bytes *streamed,
                       const struct bytes *whole)
{
    if (streamed->length != whole->length ||
        (whole->length > 0 && memcmp(streamed->data, whole->data, whole->length) != 0))
        test_fail(__FILE__, __LINE__, "%s: streamed %s \"%s\", whole \"%s\"", form, what,
                  streamed->data, whole->data);
}

/* ---- tests ----------------------------------------------------------------------------------- */

struct stage {
    struct weir_tokenizer *tokenizer;
    struct request request;
};

static void open_response(struct response *response, const struct stage *stage,
                          const struct script *script, size_t form)
{
    struct weir_error err = {0};
    *response = (struct response){.form = forms[form].form,
                                  .request = &stage->request,
                                  .tokenizer = stage->tokenizer,
                                  .model = "m",
                                  .seed = script->seed};
    CHECK_OK(response_open(response, 1, &err), &err);
    response->choices[0].prompt = "p";
    response->choices[0].prompt_length = 1;
    if (forms[form].is_chat)
        CHECK_OK(response_parse(response, &response->choices[0],
                                &(struct chat_options){script->tools.bytes, script->tools.length,
                                                       script->in_reasoning, script->may_reason},
                                &err),
                 &err);
}

static void check_script(const struct stage *stage, const struct script *script, size_t form)
{
    struct response response;
    struct bytes stream = {0}, body = {0};
    struct account streamed = {0}, whole = {0};
    open_response(&response, stage, script, form);
    play(&response, &response.choices[0], script, &stream);
    CHECK(response_is_over(&response) && !response.has_failed);
    response_release(&response);
    open_response(&response, stage, script, form);
    play(&response, &response.choices[0], script, NULL);
    response.form->whole(&response, &body);
    response_release(&response);
    account_take_stream(&streamed, forms[form].add, stream.data);
    account_take(&whole, forms[form].add, body.data, body.length);
    check_same(forms[form].name, "reasoning", &streamed.reasoning, &whole.reasoning);
    check_same(forms[form].name, "content", &streamed.content, &whole.content);
    check_same(forms[form].name, "calls", &streamed.calls, &whole.calls);
    check_same(forms[form].name, "logprobs", &streamed.logprobs, &whole.logprobs);
    check_same(forms[form].name, "tokens", &streamed.tokens, &whole.tokens);
    for (int i = 0; i < LISTS; i++)
        check_same(forms[form].name, lists[i], &streamed.lists[i], &whole.lists[i]);
    check_same(forms[form].name, "items", &streamed.items, &whole.items);
    CHECK_TEXT(streamed.end, whole.end);
    account_release(&whole);
    account_release(&streamed);
    bytes_release(&body);
    bytes_release(&stream);
}

static void open_stage(struct stage *stage)
{
    struct weir_model *model;
    struct weir_error err = {0};
    *stage = (struct stage){0};
    CHECK_OK(weir_model_open(&model, MODEL, NULL, &err), &err);
    CHECK_OK(weir_tokenizer_open(&stage->tokenizer, model, &err), &err);
    weir_model_close(model);
    const struct request_defaults defaults = {.tokenizer = stage->tokenizer, .slots = 1};
    static const char body[] = "{\"n_probs\":2,\"return_tokens\":true,\"echo\":true}";
    CHECK_OK(request_read(&stage->request, body, sizeof body - 1, REQUEST_NATIVE, &defaults, &err),
             &err);
}

/* The replies of the vectors of the parser, with and without calls, whole and malformed. */
TEST(forms_streamed_is_whole)
{
    struct json_document *document;
    struct weir_error err = {0};
    struct stage stage;
    size_t size;
    uint8_t *text = test_read_file(test_data("chat/parse.json"), &size);
    CHECK_OK(json_open(&document, (char *)text, size, "parse.json", &err), &err);
    free(text);
    open_stage(&stage);
    const struct json *cases = json_get(json_root(document), "cases");
    for (uint32_t i = 0; i < cases->count; i++) {
        const struct json *vector = &cases->items[i];
        const struct json *tools = json_get(vector, "tools");
        struct script script = {.text = json_get(vector, "output")->text,
                                .in_reasoning =
                                    json_get(vector, "enable_thinking")->kind == JSON_TRUE};
        if (tools->kind == JSON_ARRAY)
            script.tools = tools->source;
        for (uint64_t round = 0; round < 4; round++) {
            script.seed = test_seed() + 100 * i + round;
            script.may_reason = round % 2 == 1;
            for (size_t form = 0; form < sizeof forms / sizeof forms[0]; form++)
                check_script(&stage, &script, form);
        }
    }
    request_release(&stage.request);
    weir_tokenizer_close(stage.tokenizer);
    json_close(document);
}

/* Clients show content to people: half a mark of a call is none, neither streamed nor whole. */
TEST(forms_cut_off_tell_no_half_marks)
{
    static const char text[] = "well\n<tool_call>\n<func";
    static const char tools[] = "[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]";
    static const char *const ends[] = {"length", NULL, NULL, "max_tokens", "incomplete"};
    struct stage stage;
    open_stage(&stage);
    for (uint64_t seed = 0; seed < 20; seed++) {
        const struct script script = {.text = {text, sizeof text - 1},
                                      .tools = {tools, sizeof tools - 1},
                                      .seed = test_seed() + seed,
                                      .is_cut = true};
        for (size_t form = 0; form < sizeof forms / sizeof forms[0]; form++) {
            struct response response;
            struct bytes body = {0};
            if (!forms[form].is_chat)
                continue;
            check_script(&stage, &script, form);
            open_response(&response, &stage, &script, form);
            play(&response, &response.choices[0], &script, NULL);
            CHECK_INT(response.choices[0].said.content.length, 4);
            response.form->whole(&response, &body);
            CHECK(strstr(body.data, "well\"") != NULL && strchr(body.data, '<') == NULL);
            CHECK(strstr(body.data, ends[form]) != NULL);
            response_release(&response);
            bytes_release(&body);
        }
    }
    request_release(&stage.request);
    weir_tokenizer_close(stage.tokenizer);
}

/* ---- want of memory -------------------------------------------------------------------------- */

struct telling {
    const struct stage *stage;
    size_t form;
    bool is_streamed;
};

static void tell(void *argument)
{
    static const char text[] = "why</think>\n\nwell<tool_call>\n<function=f>\n<parameter=a>\n1\n"
                               "</parameter>\n</function>\n</tool_call>";
    static const char tools[] = "[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]";
    const struct telling *telling = argument;
    const struct script script = {.text = {text, sizeof text - 1},
                                  .tools = {tools, sizeof tools - 1},
                                  .in_reasoning = true,
                                  .seed = 1};
    struct response response = {.form = forms[telling->form].form,
                                .request = &telling->stage->request,
                                .tokenizer = telling->stage->tokenizer,
                                .model = "m"};
    struct bytes out = {0};
    enum weir_status status = response_open(&response, 1, NULL);
    if (status == WEIR_OK && forms[telling->form].is_chat)
        status = response_parse(
            &response, &response.choices[0],
            &(struct chat_options){tools, sizeof tools - 1, .in_reasoning = true}, NULL);
    if (status == WEIR_OK) {
        play(&response, &response.choices[0], &script, telling->is_streamed ? &out : NULL);
        if (!telling->is_streamed)
            response.form->whole(&response, &out);
        status = response_check(&response, NULL);
        if (response.has_failed || out.has_failed || response.unsent.has_failed)
            status = WEIR_ERR_MEMORY; // what is not sent may also be lost: it is not missed
    }
    response_release(&response);
    bytes_release(&out);
    CHECK_INT(status, alloc_failed() ? WEIR_ERR_MEMORY : WEIR_OK);
}

TEST(forms_survive_want_of_memory)
{
    struct stage stage;
    open_stage(&stage);
    for (size_t form = 0; form < sizeof forms / sizeof forms[0]; form++) {
        alloc_test(tell, &(struct telling){&stage, form, false});
        alloc_test(tell, &(struct telling){&stage, form, true});
    }
    request_release(&stage.request);
    weir_tokenizer_close(stage.tokenizer);
}
