/* SPDX-License-Identifier: MIT
 * Tests of prompts of clients' requests. What a client writes in its own form must give the prompt
 * of the template's form. Run alone: build/tests/weir-test chat_request_ */
#include "alloc.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/utf8.h"
#include "chat_cases.h"
#include "toy_vocab.h"

static struct weir_template *open_template(const char *source)
{
    struct weir_template *chat_template;
    struct weir_error err = {0};
    CHECK_OK(weir_template_open(&chat_template, source, strlen(source), "T", &err), &err);
    return chat_template;
}

static enum weir_status render(const struct weir_template *chat_template, const char *request,
                               const struct weir_request_options *options, struct weir_prompt **out,
                               struct weir_error *err)
{
    *err = (struct weir_error){0};
    const enum weir_status status =
        weir_template_render_request(chat_template, out, request, strlen(request), options, err);
    CHECK_INT(err->status, status);
    CHECK_INT(*out == NULL, status != WEIR_OK);
    return status;
}

static void check_prompt(const struct weir_template *chat_template, const char *request,
                         const struct weir_request_options *options, const char *expected)
{
    struct weir_prompt *prompt;
    struct weir_error err;
    size_t length;
    CHECK_OK(render(chat_template, request, options, &prompt, &err), &err);
    const char *text = weir_prompt_text(prompt, &length);
    if (length != strlen(expected) || memcmp(text, expected, length) != 0)
        test_fail(__FILE__, __LINE__, "%s\n    gives:    %.*s\n    expected: %s", request,
                  (int)length, text, expected);
    weir_prompt_close(prompt);
}

static void check_refused(const struct weir_template *chat_template, const char *request,
                          enum weir_status status, const char *expected)
{
    struct weir_prompt *prompt;
    struct weir_error err;
    CHECK_INT(render(chat_template, request, NULL, &prompt, &err), status);
    CHECK_TEXT(err.text, expected);
}

/* ---- the form of clients --------------------------------------------------------------------- */

static void add_text(struct bytes *out, const char *text, size_t length)
{
    bytes_add_text(out, "\"");
    json_escape((struct printer){bytes_sink, out}, text, length);
    bytes_add_text(out, "\"");
}

static void add_source(struct bytes *out, const struct json *value)
{
    bytes_add(out, value->source.bytes, value->source.length);
}

/* Messages with the arguments of calls as text, as clients have got them. */
static void add_messages(struct bytes *out, const struct json *value)
{
    const bool is_object = value->kind == JSON_OBJECT;
    if (value->kind != JSON_ARRAY && !is_object) {
        add_source(out, value);
        return;
    }
    bytes_add_text(out, is_object ? "{" : "[");
    for (uint32_t i = 0; i < value->count; i++) {
        const struct json *item = &value->items[i];
        if (i > 0)
            bytes_add_text(out, ",");
        if (is_object) {
            add_text(out, value->keys[i].bytes, value->keys[i].length);
            bytes_add_text(out, ":");
        }
        if (is_object && json_text_equals(value->keys[i], "arguments") && item->kind == JSON_OBJECT)
            add_text(out, item->source.bytes, item->source.length);
        else
            add_messages(out, item);
    }
    bytes_add_text(out, is_object ? "}" : "]");
}

static bool is_member_of_requests(struct json_text key)
{
    return json_text_equals(key, "messages") || json_text_equals(key, "tools") ||
           json_text_equals(key, "add_generation_prompt");
}

/* What is no member of requests becomes a variable. */
static void add_request(struct bytes *out, const struct json *context)
{
    const char *separator = "";
    bytes_add_text(out, "{\"model\": \"x\", \"temperature\": 0, \"chat_template_kwargs\": {");
    for (uint32_t i = 0; i < context->count; i++) {
        if (is_member_of_requests(context->keys[i]))
            continue;
        bytes_add_text(out, separator);
        add_text(out, context->keys[i].bytes, context->keys[i].length);
        bytes_add_text(out, ":");
        add_source(out, &context->items[i]);
        separator = ",";
    }
    bytes_add_text(out, "}");
    for (uint32_t i = 0; i < context->count; i++) {
        if (!is_member_of_requests(context->keys[i]))
            continue;
        bytes_add_text(out, ", ");
        add_text(out, context->keys[i].bytes, context->keys[i].length);
        bytes_add_text(out, ":");
        add_messages(out, &context->items[i]);
    }
    bytes_add_text(out, "}");
}

/* Takes out what clients write and no template is given. */
static void remove_all(struct bytes *text, const char *part)
{
    const size_t length = strlen(part);
    for (;;) {
        char *at = memmem(text->data, (size_t)text->length, part, length);
        if (at == NULL)
            return;
        memmove(at, at + length, (size_t)(text->data + text->length - (at + length)) + 1);
        text->length -= length;
    }
}

/* Cases of which a client's form is meant to be something else, and what it is. */
static const struct {
    const char *name, *text;
} differences[] = {
    {"content_parts_image",
     "messages[0]: image parts are not supported: this model reads text alone"},
    {"content_parts_image_vision_id",
     "messages[0]: image parts are not supported: this model reads text alone"},
    {"err_system_image", "messages[0]: image parts are not supported: this model reads text alone"},
    {"err_item", "messages[0]: a part of the content is of type 'foo', expected text"},
    {"err_content_type",
     "messages[0]: Field 'content': expected a text or an array, found a number"},
    {"err_role", "System message must be at the beginning."},
    {"unsloth_string_arguments_ignored",
     "<|im_start|>user\ngo<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n<tool_call>\n"
     "<function=f>\n<parameter=x>\n1\n</parameter>\n</function>\n</tool_call><|im_end|>\n"
     "<|im_start|>user\n<tool_response>\nok\n</tool_response><|im_end|>\n<|im_start|>assistant\n"
     "<think>\n"},
};

/* The text or the error that a case leads to. */
static void find_expected(const struct json *item, struct bytes *out)
{
    const struct json *name = json_get(item, "name"), *expected = json_get(item, "expected");
    expected = expected != NULL ? expected : json_get(item, "error");
    for (size_t i = 0; i < sizeof differences / sizeof differences[0]; i++) {
        if (json_is(name, differences[i].name)) {
            bytes_add_text(out, differences[i].text);
            return;
        }
    }
    bytes_add(out, expected->text.bytes, expected->text.length);
    remove_all(out, ", \"strict\": false");
    remove_all(out, "\n<strict>False</strict>");
}

/* The prompts have the same tokens: the same of their bytes are the template's. */
static void check_tokens(const struct weir_prompt *prompt, const struct weir_prompt *other,
                         const struct weir_tokenizer *tokenizer)
{
    enum { IDS_MAX = 1 << 14 };
    static int32_t ids[2][IDS_MAX];
    const struct weir_prompt *prompts[2] = {prompt, other};
    size_t counts[2], reused;
    struct weir_error err = {0};
    for (size_t i = 0; i < 2; i++)
        CHECK_OK(weir_prompt_tokens(prompts[i], tokenizer, NULL, 0, ids[i], IDS_MAX, &counts[i],
                                    &reused, &err),
                 &err);
    CHECK(counts[0] > 0 && counts[0] <= IDS_MAX);
    CHECK_INT(counts[0], counts[1]);
    CHECK(memcmp(ids[0], ids[1], counts[0] * sizeof ids[0][0]) == 0);
    CHECK_INT(weir_prompt_in_reasoning(prompt), weir_prompt_in_reasoning(other));
}

/* Where both forms have the same text. */
static void check_other_form(const struct weir_prompt *prompt,
                             const struct weir_template *chat_template, const struct json *context,
                             const struct weir_tokenizer *tokenizer)
{
    struct weir_prompt *other = chat_cases_render(chat_template, context->source);
    size_t length, other_length;
    const char *text = weir_prompt_text(prompt, &length);
    const char *other_text = weir_prompt_text(other, &other_length);
    if (length == other_length && memcmp(text, other_text, length) == 0)
        check_tokens(prompt, other, tokenizer);
    weir_prompt_close(other);
}

static void check_case(const struct weir_template *chat_template, const struct json *item,
                       const struct weir_tokenizer *tokenizer)
{
    const struct json *context = json_get(item, "context");
    struct bytes request = {0}, expected = {0};
    struct weir_prompt *prompt;
    struct weir_error err;
    context = context != NULL ? context : json_get(item, "request");
    add_request(&request, context);
    find_expected(item, &expected);
    size_t length;
    const enum weir_status status = render(chat_template, request.data, NULL, &prompt, &err);
    const char *text = status == WEIR_OK ? weir_prompt_text(prompt, &length) : err.text;
    length = status == WEIR_OK ? length : strlen(text);
    if (length != expected.length || memcmp(text, expected.data, length) != 0)
        test_fail(__FILE__, __LINE__, "%s\n    gives:    %.*s\n    expected: %s", request.data,
                  (int)length, text, expected.data);
    if (status == WEIR_OK)
        check_other_form(prompt, chat_template, context, tokenizer);
    weir_prompt_close(prompt);
    bytes_release(&request);
    bytes_release(&expected);
}

static void check_cases(const char *path, const char *templates)
{
    struct json_document *file = chat_cases_read(path);
    const struct json *cases = json_get(json_root(file), "cases");
    static struct toy_vocab vocab;
    struct weir_tokenizer *tokenizer;
    struct weir_error err = {0};
    toy_vocab_usual(&vocab, PRETOKENIZER_QWEN35);
    CHECK_OK(tokenizer_open(&tokenizer, &vocab.source, &err), &err);
    CHECK(cases->count >= 36);
    for (uint32_t i = 0; i < cases->count; i++) {
        char name[128] = "";
        if (templates != NULL)
            snprintf(name, sizeof name, "%s/%.*s", templates,
                     (int)json_get(&cases->items[i], "template")->text.length,
                     json_get(&cases->items[i], "template")->text.bytes);
        struct weir_template *chat_template =
            templates == NULL ? chat_cases_own_template() : chat_cases_template(test_shared(name));
        check_case(chat_template, &cases->items[i], tokenizer);
        weir_template_close(chat_template);
    }
    weir_tokenizer_close(tokenizer);
    json_close(file);
}

TEST(chat_request_is_the_prompt_of_the_family)
{
    check_cases(test_shared("vectors/chat/render.json"), "vectors/chat/templates");
}

TEST(chat_request_is_the_prompt_that_our_model_learned)
{
    check_cases(test_data("chat/own.json"), NULL);
}

/* ---- what llama-server answers --------------------------------------------------------------- */

static const struct json *find_capture(const struct json *captures, const char *name)
{
    for (uint32_t i = 0; i < captures->count; i++) {
        if (json_is(json_get(&captures->items[i], "name"), name))
            return &captures->items[i];
    }
    test_fail(__FILE__, __LINE__, "no capture %s", name);
}

static void check_capture(const struct weir_template *chat_template, const struct json *captures,
                          const char *name)
{
    const struct json *capture = find_capture(captures, name);
    const struct json *body = json_get(json_get(capture, "request"), "body");
    const struct json *answer = json_get(json_get(capture, "response"), "json");
    const struct json *prompt = json_get(answer, "prompt");
    const struct json *message = json_get(json_get(answer, "error"), "message");
    struct bytes request = {0}, expected = {0};
    add_source(&request, body);
    bytes_add(&expected, (prompt != NULL ? prompt : message)->text.bytes,
              (prompt != NULL ? prompt : message)->text.length);
    if (prompt != NULL)
        check_prompt(chat_template, request.data, NULL, expected.data);
    else
        check_refused(chat_template, request.data, WEIR_ERR_ARGUMENT, expected.data);
    bytes_release(&request);
    bytes_release(&expected);
}

/* Prompts and errors that the specification does not mean to be different. */
TEST(chat_request_answers_as_recorded)
{
    static const char *const names[] = {"apply_template", "err_no_messages", "err_messages_type",
                                        "err_two_assistants"};
    struct json_document *file =
        chat_cases_read(test_shared("vectors/server/llama_server_captures.json"));
    struct weir_template *chat_template =
        chat_cases_template(test_shared("vectors/chat/templates/qwen3.5.jinja"));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        check_capture(chat_template, json_get(json_root(file), "captures"), names[i]);
    /* recorded as an error of the server, with the place in the template */
    check_refused(chat_template, "{\"messages\": [{\"role\": \"system\", \"content\": \"only\"}]}",
                  WEIR_ERR_ARGUMENT, "No user query found in messages.");
    weir_template_close(chat_template);
    json_close(file);
}

/* ---- variables ------------------------------------------------------------------------------- */

static const char shows_variables[] =
    "{{ [enable_thinking, preserve_thinking, reasoning_effort, x]|map('default', '-')|join(' ') }}";

/* The request has one message, and these members. */
static void check_variables(const char *members, const struct weir_request_options *options,
                            const char *expected)
{
    struct weir_template *chat_template = open_template(shows_variables);
    struct bytes request = {0};
    bytes_add_text(&request, "{\"messages\": [{\"role\": \"user\", \"content\": \"\"}]");
    bytes_add_text(&request, members);
    bytes_add_text(&request, "}");
    check_prompt(chat_template, request.data, options, expected);
    bytes_release(&request);
    weir_template_close(chat_template);
}

TEST(chat_request_has_spellings_of_reasoning)
{
    static const struct {
        const char *members, *expected;
    } cases[] = {
        {"", "- - - -"},
        {", \"enable_thinking\": true", "True - - -"},
        {", \"enable_thinking\": false", "False - - -"},
        {", \"enable_thinking\": null, \"thinking\": null, \"reasoning\": null", "- - - -"},
        {", \"reasoning_effort\": \"none\"", "False - - -"},
        {", \"reasoning_effort\": \"high\"", "- - high -"},
        {", \"reasoning\": {\"effort\": \"none\"}", "False - - -"},
        {", \"reasoning\": {\"effort\": \"low\", \"summary\": \"auto\"}", "- - low -"},
        {", \"reasoning\": {\"effort\": \"low\"}, \"reasoning_effort\": \"high\"", "- - high -"},
        {", \"thinking\": {\"type\": \"enabled\", \"budget_tokens\": 9}", "True - - -"},
        {", \"thinking\": {\"type\": \"disabled\"}", "False - - -"},
        {", \"thinking\": {\"type\": \"adaptive\"}", "- - - -"},
        {", \"reasoning\": {\"enabled\": false}", "False - - -"},
        {", \"reasoning\": {\"enabled\": true, \"effort\": \"low\"}", "True - low -"},
        {", \"think\": false", "False - - -"},
        {", \"think\": true", "True - - -"},
        {", \"think\": \"high\"", "- - - -"},
        {", \"reasoning_budget\": 0", "False - - -"},
        {", \"reasoning_budget_tokens\": 0", "False - - -"},
        {", \"thinking_budget\": 0", "False - - -"},
        {", \"thinking_budget_tokens\": 0", "False - - -"},
        {", \"reasoning_budget\": -1, \"thinking_budget\": 9", "- - - -"},
        {", \"chat_template_kwargs\": {\"thinking\": false}", "False - - -"},
        {", \"chat_template_kwargs\": {\"thinking\": \"x\"}", "- - - -"},
        {", \"preserve_thinking\": true", "- True - -"},
        {", \"chat_template_kwargs\": {}", "- - - -"},
        {", \"chat_template_kwargs\": { \"enable_thinking\": false , \"x\": 1.0 }",
         "False - - 1.0"},
        {", \"chat_template_kwargs\": {\"preserve_thinking\": false}", "- False - -"},
        /* the most direct one holds */
        {", \"reasoning_effort\": \"none\", \"thinking\": {\"type\": \"enabled\"}", "True - - -"},
        {", \"thinking\": {\"type\": \"enabled\"}, \"enable_thinking\": false", "False - - -"},
        {", \"enable_thinking\": false, \"chat_template_kwargs\": {\"enable_thinking\": true}",
         "True - - -"},
        {", \"reasoning_budget\": 0, \"reasoning\": {\"enabled\": true}", "True - - -"},
        {", \"think\": false, \"thinking\": {\"type\": \"enabled\"}", "True - - -"},
        {", \"enable_thinking\": true, \"chat_template_kwargs\": {\"thinking\": false}",
         "False - - -"},
        {", \"chat_template_kwargs\": {\"enable_thinking\": true, \"thinking\": false}",
         "True - - -"},
        /* members of requests are no variables */
        {", \"x\": 7, \"temperature\": 1", "- - - -"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_variables(cases[i].members, NULL, cases[i].expected);
}

TEST(chat_request_is_passed_on_with_options)
{
    struct weir_request_options options = {.variables = "{\"x\": 5, \"enable_thinking\": false}"};
    check_variables("", &options, "False - - 5");
    check_variables(", \"enable_thinking\": true", &options, "True - - 5");
    check_variables(", \"chat_template_kwargs\": {\"x\": [6]}", &options, "False - - [6]");
    options.reasoning_preserve = true;
    check_variables("", &options, "False True - 5");
    check_variables(", \"preserve_thinking\": false", &options, "False False - 5");
    options.reasoning = WEIR_ON;
    check_variables("", &options, "True True - 5");
    check_variables(", \"enable_thinking\": false", &options, "False True - 5");
    check_variables(", \"reasoning_effort\": \"none\"", &options, "False True - 5");
}

TEST(chat_request_options_are_no_conversation)
{
    static const struct {
        const char *variables, *text;
    } cases[] = {
        {"{\"messages\": []}", "variables of the template: 'messages' is a part of the "
                               "conversation, expected further variables"},
        {"[]", "variables of the template: expected an object, found an array"},
        {"{", "variables of the template: line 1, column 2: the text ends here: no key"},
    };
    struct weir_template *chat_template = open_template("");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct weir_request_options options = {.variables = cases[i].variables};
        struct weir_prompt *prompt;
        struct weir_error err;
        CHECK_INT(render(chat_template, "{\"messages\": []}", &options, &prompt, &err),
                  WEIR_ERR_ARGUMENT);
        CHECK_TEXT(err.text, cases[i].text);
    }
    weir_template_close(chat_template);
}

/* ---- messages and tools ---------------------------------------------------------------------- */

TEST(chat_request_names_roles_as_the_template_does)
{
    static const char request[] =
        "{\"messages\": [{\"role\": \"developer\", \"content\": \"a\"}, {\"role\": \"function\", "
        "\"content\": \"b\", \"name\": \"f\"}], \"add_generation_prompt\": false}";
    static const char prints[] =
        "{% for m in messages %}{{ m.role }}:{{ m.content }}:{{ m.name }} {% endfor %}";
    struct weir_template *chat_template = open_template(prints);
    check_prompt(chat_template, request, NULL, "system:a: tool:b:f ");
    weir_template_close(chat_template);
    struct bytes source = {0};
    bytes_add_text(&source, "{# the developer #}");
    bytes_add_text(&source, prints);
    chat_template = open_template(source.data);
    check_prompt(chat_template, request, NULL, "developer:a: tool:b:f ");
    weir_template_close(chat_template);
    bytes_release(&source);
}

/* Templates that know no lists get the texts, one behind the other. */
TEST(chat_request_passes_parts_to_templates_that_know_them)
{
    static const char request[] =
        "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": "
        "\"a\\u00e9\\n\"}, {\"type\": \"refusal\", \"refusal\": \"\\\"no\\\"\"}, {\"text\": "
        "\"c\"}]}, {\"role\": \"user\", \"content\": []}]}";
    static const struct {
        const char *source, *expected;
    } cases[] = {
        {"{% for m in messages %}{{ m.content }}|{% endfor %}", "a\xc3\xa9\n\"no\"c||"},
        {"{% for m in messages %}{{ '-' + m.content }}|{% endfor %}", "-a\xc3\xa9\n\"no\"c|-|"},
        {"{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}"
         "{{ m.content|map(attribute='text')|join('+') }}{% endif %}|{% endfor %}",
         "a\xc3\xa9\n+\"no\"+c||"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct weir_template *chat_template = open_template(cases[i].source);
        check_prompt(chat_template, request, NULL, cases[i].expected);
        weir_template_close(chat_template);
    }
}

TEST(chat_request_puts_messages_in_one_form)
{
    static const struct {
        const char *message, *expected;
    } cases[] = {
        {"\"content\": \"a\", \"reasoning\": \"b\"",
         "{\"role\": \"assistant\", \"content\": \"a\", \"reasoning_content\": \"b\"}"},
        {"\"thinking\": \"b\", \"extra\": [1.0]",
         "{\"role\": \"assistant\", \"content\": \"\", \"reasoning_content\": \"b\", "
         "\"extra\": [1.0]}"},
        {"\"reasoning\": \"b\", \"reasoning_content\": \"c\", \"content\": null",
         "{\"role\": \"assistant\", \"content\": \"\", \"reasoning_content\": \"c\"}"},
        {"\"tool_calls\": [{\"id\": \"i\", \"type\": \"function\", \"function\": {\"arguments\": "
         "\" {\\\"x\\\": 1.0, \\\"y\\\": 12345678901234567890} \", \"name\": \"f\"}}]",
         "{\"role\": \"assistant\", \"content\": \"\", \"tool_calls\": [{\"id\": \"i\", \"type\": "
         "\"function\", \"function\": {\"name\": \"f\", \"arguments\": {\"x\": 1.0, \"y\": "
         "12345678901234567890}}}]}"},
        {"\"tool_calls\": [{\"name\": \"f\"}, {\"name\": \"g\", \"arguments\": \" \\n\"}, "
         "{\"name\": \"h\", \"arguments\": {\"z\": 1e2}}]",
         "{\"role\": \"assistant\", \"content\": \"\", \"tool_calls\": [{\"type\": \"function\", "
         "\"function\": {\"name\": \"f\", \"arguments\": {}}}, {\"type\": \"function\", "
         "\"function\": {\"name\": \"g\", \"arguments\": {}}}, {\"type\": \"function\", "
         "\"function\": {\"name\": \"h\", \"arguments\": {\"z\": 1e2}}}]}"},
        {"\"function_call\": {\"name\": \"f\", \"arguments\": \"{}\"}",
         "{\"role\": \"assistant\", \"content\": \"\", \"tool_calls\": [{\"type\": \"function\", "
         "\"function\": {\"name\": \"f\", \"arguments\": {}}}]}"},
        {"\"content\": \"a\", \"tool_calls\": []", "{\"role\": \"assistant\", \"content\": \"a\"}"},
    };
    struct weir_template *chat_template = open_template("{{ messages[0]|tojson }}");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bytes request = {0};
        bytes_add_text(&request, "{\"continue_final_message\": false, \"messages\": [{\"role\": "
                                 "\"assistant\", ");
        bytes_add_text(&request, cases[i].message);
        bytes_add_text(&request, "}]}");
        check_prompt(chat_template, request.data, NULL, cases[i].expected);
        bytes_release(&request);
    }
    weir_template_close(chat_template);
}

TEST(chat_request_puts_tools_in_one_form)
{
    static const char whole[] =
        "[{\"type\": \"function\", \"function\": {\"name\": \"f\", \"description\": \"d\", "
        "\"parameters\": {\"type\": \"object\", \"b\": 1.0, \"a\": 2}}}]";
    static const char bare[] =
        "[{\"type\": \"function\", \"function\": {\"name\": \"f\", \"description\": \"\", "
        "\"parameters\": {\"type\": \"object\", \"properties\": {}}}}]";
    static const struct {
        const char *member, *expected;
    } cases[] = {
        {"\"tools\": [{\"function\": {\"strict\": true, \"parameters\": {\"type\": \"object\", "
         "\"b\": 1.0, \"a\": 2}, \"description\": \"d\", \"name\": \"f\"}, \"type\": "
         "\"function\"}]",
         whole},
        {"\"tools\": [{\"type\": \"function\", \"name\": \"f\", \"description\": \"d\", "
         "\"parameters\": {\"type\": \"object\", \"b\": 1.0, \"a\": 2}}]",
         whole},
        {"\"functions\": [{\"name\": \"f\", \"description\": \"d\", \"parameters\": {\"type\": "
         "\"object\", \"b\": 1.0, \"a\": 2}}]",
         whole},
        {"\"tools\": [{\"function\": {\"name\": \"f\", \"description\": null}}]", bare},
        {"\"tools\": [{\"name\": \"f\"}], \"functions\": [{\"name\": \"g\"}]", bare},
        {"\"tools\": [], \"functions\": [{\"name\": \"f\"}]", bare},
        {"\"tools\": [{\"name\": \"f\", \"description\": \"d\", \"input_schema\": {\"type\": "
         "\"object\", \"b\": 1.0, \"a\": 2}}]",
         whole},
        {"\"tools\": []", NULL},
        {"\"tools\": null", NULL},
    };
    struct weir_template *chat_template = open_template("{{ tools|tojson }}");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bytes request = {0};
        struct weir_prompt *prompt;
        struct weir_error err;
        size_t length;
        bytes_add_text(&request, "{\"messages\": [], ");
        bytes_add_text(&request, cases[i].member);
        bytes_add_text(&request, "}");
        check_prompt(chat_template, request.data, NULL,
                     cases[i].expected != NULL ? cases[i].expected : "null");
        CHECK_OK(render(chat_template, request.data, NULL, &prompt, &err), &err);
        const char *tools = weir_prompt_tools(prompt, &length);
        CHECK_INT(tools == NULL, cases[i].expected == NULL);
        if (tools != NULL)
            CHECK_TEXT(tools, cases[i].expected);
        CHECK_INT(length, tools == NULL ? 0 : strlen(tools));
        weir_prompt_close(prompt);
        bytes_release(&request);
    }
    weir_template_close(chat_template);
}

/* ---- refusals -------------------------------------------------------------------------------- */

#define USER "{\"role\": \"user\", \"content\": \"a\"}"

static const struct {
    const char *members, *text;
} refusals[] = {
    {"", "'messages' is required"},
    {"\"messages\": null", "'messages' is required"},
    {"\"messages\": {}", "Expected 'messages' to be an array"},
    {"\"messages\": [7]", "messages[0]: expected an object, found a number"},
    {"\"messages\": [" USER ", {}]", "messages[1]: Field 'role': it is missing"},
    {"\"messages\": [{\"role\": 7}]", "messages[0]: Field 'role': expected a text, found a number"},
    {"\"messages\": [" USER ", {\"role\": \"tool\"}]",
     "messages[1]: Field 'content': it is missing or null, expected a text or an array"},
    {"\"messages\": [{\"role\": \"user\", \"content\": true}]",
     "messages[0]: Field 'content': expected a text or an array, found true"},
    {"\"messages\": [{\"role\": \"user\", \"content\": [\"a\"]}]",
     "messages[0]: a part of the content is a text, expected an object with type and text"},
    {"\"messages\": [{\"role\": \"user\", \"content\": [{}]}]",
     "messages[0]: a part of the content has no type"},
    {"\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\"}]}]",
     "messages[0]: Field 'text': it is missing"},
    {"\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": 1}]}]",
     "messages[0]: Field 'text': expected a text, found a number"},
    {"\"messages\": [{\"role\": \"assistant\", \"reasoning\": 1}, " USER "]",
     "messages[0]: Field 'reasoning': expected a text, found a number"},
    {"\"messages\": [{\"role\": \"assistant\", \"tool_calls\": {}}, " USER "]",
     "messages[0]: Field 'tool_calls': expected an array, found an object"},
    {"\"messages\": [{\"role\": \"assistant\", \"tool_calls\": [1]}, " USER "]",
     "messages[0]: tool_calls[0]: expected an object, found a number"},
    {"\"messages\": [{\"role\": \"assistant\", \"tool_calls\": [{\"name\": \"f\"}, "
     "{\"function\": {}}]}, " USER "]",
     "messages[0]: tool_calls[1]: Field 'name': it is missing"},
    {"\"messages\": [{\"role\": \"assistant\", \"tool_calls\": [{\"name\": \"f\", "
     "\"arguments\": \"[1]\"}]}, " USER "]",
     "messages[0]: tool_calls[0]: Field 'arguments': expected a JSON object or the text of "
     "one"},
    {"\"messages\": [{\"role\": \"assistant\", \"tool_calls\": [{\"name\": \"f\", "
     "\"arguments\": \"{\\\"x\\\": 1\"}]}, " USER "]",
     "messages[0]: tool_calls[0]: Field 'arguments': expected a JSON object or the text of "
     "one"},
    {"\"messages\": [{\"role\": \"assistant\", \"tool_calls\": [{\"type\": \"custom\"}]}, " USER
     "]",
     "messages[0]: tool_calls[0]: Field 'type': expected function, found 'custom'"},
    {"\"messages\": [], \"tools\": {}", "Field 'tools': expected an array, found an object"},
    {"\"messages\": [], \"tools\": [{\"name\": \"f\"}, {\"type\": \"web_search\"}]",
     "tools[1]: Field 'type': expected function, found 'web_search'"},
    {"\"messages\": [], \"functions\": [{\"name\": \"\"}]",
     "functions[0]: Field 'name': it is missing"},
    {"\"messages\": [], \"tools\": [{\"name\": \"f\", \"parameters\": []}]",
     "tools[0]: tool 'f': Field 'parameters': expected an object, found an array"},
    {"\"messages\": [], \"tools\": [{\"name\": \"g\", \"input_schema\": 1}]",
     "tools[0]: tool 'g': Field 'input_schema': expected an object, found a number"},
    {"\"messages\": [], \"reasoning\": {\"enabled\": 0}",
     "Field 'enabled': expected true or false, found a number"},
    {"\"messages\": [], \"think\": 1", "Field 'think': expected true or false, found a number"},
    {"\"messages\": [], \"chat_template_kwargs\": {\"enable_thinking\": \"false\"}",
     "chat_template_kwargs: Field 'enable_thinking': expected true or false, found a text"},
    {"\"messages\": [], \"enable_thinking\": \"no\"",
     "Field 'enable_thinking': expected true or false, found a text"},
    {"\"messages\": [], \"reasoning_effort\": 1",
     "Field 'reasoning_effort': expected a text, found a number"},
    {"\"messages\": [], \"reasoning\": \"low\"",
     "Field 'reasoning': expected an object, found a text"},
    {"\"messages\": [], \"thinking\": {}",
     "Field 'thinking': expected a type that is enabled, disabled or adaptive"},
    {"\"messages\": [], \"thinking\": {\"type\": \"on\"}",
     "Field 'thinking': expected a type that is enabled, disabled or adaptive"},
    {"\"messages\": [], \"chat_template_kwargs\": \"{}\"",
     "Field 'chat_template_kwargs': expected an object, found a text"},
    {"\"messages\": [], \"chat_template_kwargs\": {\"tools\": []}",
     "chat_template_kwargs: 'tools' is a part of the conversation, expected further "
     "variables"},
    {"\"messages\": [], \"add_generation_prompt\": 1",
     "Field 'add_generation_prompt': expected true or false, found a number"},
    {"\"messages\": [" USER "], \"continue_final_message\": true",
     "Field 'continue_final_message': the last message is not one of the assistant"},
    {"\"messages\": [], \"continue_final_message\": true, \"add_generation_prompt\": true",
     "Cannot set both add_generation_prompt and continue_final_message to true."},
    {"\"messages\": [" USER ", {\"role\": \"assistant\"}, {\"role\": \"assistant\"}]",
     "Cannot have 2 or more assistant messages at the end of the list."},
    {"\"messages\": [" USER ", {\"role\": \"assistant\", \"tool_calls\": [{\"name\": "
     "\"f\"}]}]",
     "messages[1]: a message with calls of tools cannot be continued, expected their results"},
    {"\"messages\": [" USER ", {\"role\": \"assistant\", \"tool_calls\": \"x\"}]",
     "messages[1]: Field 'tool_calls': expected an array, found a text"},
    {"\"messages\": [" USER ", {\"role\": \"assistant\", \"tool_calls\": {}}]",
     "messages[1]: Field 'tool_calls': expected an array, found an object"},
    {"\"messages\": [" USER ", {\"role\": \"assistant\", \"content\": 7}]",
     "messages[1]: Field 'content': expected a text or an array, found a number"},
};

TEST(chat_request_refuses)
{
    struct weir_template *chat_template = open_template("");
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        struct bytes request = {0};
        bytes_add_text(&request, "{");
        bytes_add_text(&request, refusals[i].members);
        bytes_add_text(&request, "}");
        check_refused(chat_template, request.data, WEIR_ERR_ARGUMENT, refusals[i].text);
        bytes_release(&request);
    }
    check_refused(chat_template, "[]", WEIR_ERR_ARGUMENT,
                  "request: expected an object, found an array");
    check_refused(chat_template,
                  "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"input_audio\", "
                  "\"input_audio\": {}}]}]}",
                  WEIR_ERR_UNSUPPORTED,
                  "messages[0]: audio parts are not supported: this model reads text alone");
    weir_template_close(chat_template);
}

/* What is shown of a client's text is cut between characters. */
TEST(chat_request_refuses_in_characters)
{
    struct weir_template *chat_template = open_template("");
    struct bytes request = {0};
    bytes_add_text(&request, "{\"messages\": [], \"tools\": [{\"type\": \"x");
    for (int i = 0; i < 100; i++)
        bytes_add_text(&request, "\xc3\xa9");
    bytes_add_text(&request, "\"}]}");
    struct weir_prompt *prompt;
    struct weir_error err;
    CHECK_INT(render(chat_template, request.data, NULL, &prompt, &err), WEIR_ERR_ARGUMENT);
    const uint8_t *text = (const uint8_t *)err.text;
    CHECK_INT(utf8_repaired_length(text, strlen(err.text)), strlen(err.text));
    CHECK(strstr(err.text, "found 'x\xc3\xa9") != NULL);
    bytes_release(&request);
    weir_template_close(chat_template);
}

/* Arguments as text, of arrays within each other, come to lie deeper than they were written. */
static void check_depth(uint32_t depth, const char *expected)
{
    struct weir_template *chat_template =
        open_template("{{ messages[0].tool_calls[0].function.arguments|tojson|length }}");
    struct bytes request = {0};
    bytes_add_text(&request, "{\"continue_final_message\": false, \"messages\": [{\"role\": "
                             "\"assistant\", \"tool_calls\": [{\"name\": \"f\", \"arguments\": "
                             "\"{\\\"x\\\":");
    for (uint32_t i = 0; i < depth; i++)
        bytes_add_text(&request, "[");
    for (uint32_t i = 0; i < depth; i++)
        bytes_add_text(&request, "]");
    bytes_add_text(&request, "}\"}]}]}");
    if (depth < JSON_PART_DEPTH_MAX)
        check_prompt(chat_template, request.data, NULL, expected);
    else
        check_refused(chat_template, request.data, WEIR_ERR_ARGUMENT, expected);
    bytes_release(&request);
    weir_template_close(chat_template);
}

TEST(chat_request_takes_deep_arguments)
{
    check_depth(JSON_PART_DEPTH_MAX - 1, "197"); /* {"x": } and the brackets */
    check_depth(JSON_PART_DEPTH_MAX,
                "messages[0]: tool_calls[0]: Field 'arguments': expected a JSON object or the text "
                "of one");
}

static void check_limit(const char *begin, const char *item, uint32_t count, const char *expected)
{
    struct weir_template *chat_template = open_template("");
    struct bytes request = {0};
    bytes_add_text(&request, begin);
    for (uint32_t i = 0; i < count; i++) {
        bytes_add_text(&request, i > 0 ? "," : "[");
        bytes_add_text(&request, item);
    }
    bytes_add_text(&request, "]}");
    if (expected == NULL)
        check_prompt(chat_template, request.data, NULL, "");
    else
        check_refused(chat_template, request.data, WEIR_ERR_ARGUMENT, expected);
    bytes_release(&request);
    weir_template_close(chat_template);
}

TEST(chat_request_has_limits)
{
    static const char tools[] = "{\"messages\": [], \"tools\": ", tool[] = "{\"name\": \"f\"}";
    check_limit("{\"messages\": ", USER, 10000, NULL);
    check_limit("{\"messages\": ", USER, 10001,
                "Field 'messages': 10001 messages, expected at most 10000");
    check_limit(tools, tool, 1024, NULL);
    check_limit(tools, tool, 1025, "Field 'tools': 1025 tools, expected at most 1024");
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void alloc_scenario(void *argument)
{
    const struct weir_template *chat_template = argument;
    static const char request[] =
        "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": "
        "\"Hi\"}]}, {\"role\": \"assistant\", \"reasoning\": \"a\", \"content\": [{\"text\": "
        "\"b\"}]}], \"tools\": [{\"name\": \"f\"}], \"thinking\": {\"type\": \"enabled\"}}";
    const struct weir_request_options options = {.variables = "{\"x\": 1}"};
    struct weir_prompt *prompt;
    const enum weir_status status = weir_template_render_request(
        chat_template, &prompt, request, sizeof request - 1, &options, NULL);
    CHECK_INT(status, alloc_failed() ? WEIR_ERR_MEMORY : WEIR_OK);
    weir_prompt_close(prompt);
}

TEST(alloc_chat_request)
{
    struct weir_template *chat_template = chat_cases_own_template();
    alloc_test(alloc_scenario, chat_template);
    weir_template_close(chat_template);
}
