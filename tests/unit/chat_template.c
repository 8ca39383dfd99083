/* SPDX-License-Identifier: MIT
 * Tests of chat templates: the family's, where they are at hand, our own, and what a model file
 * says. Run alone: build/tests/weir-test chat_template_ */
#include "alloc.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chat/template.h"
#include "chat_cases.h"

static void check_prompt(const struct weir_template *chat_template, const struct json *item)
{
    struct json_text request = {"{}", 2};
    const struct json *given = json_get(item, "request");
    given = given != NULL ? given : json_get(item, "context");
    if (given != NULL)
        request = given->source;
    const struct json *expected = json_get(item, "expected"), *refused = json_get(item, "error");
    const struct json_text wanted = (expected != NULL ? expected : refused)->text;
    const struct json_text name = json_get(item, "name")->text;
    struct weir_prompt *prompt;
    struct weir_error err = {0};
    const enum weir_status status =
        weir_template_render(chat_template, &prompt, request.bytes, request.length, &err);
    size_t length = strlen(err.text);
    const char *text = status == WEIR_OK ? weir_prompt_text(prompt, &length) : err.text;
    CHECK_INT(status, expected != NULL ? WEIR_OK : WEIR_ERR_ARGUMENT);
    if (length != wanted.length || memcmp(text, wanted.bytes, length) != 0)
        test_fail(__FILE__, __LINE__, "%.*s\n    gives:    %.*s\n    expected: %.*s",
                  (int)name.length, name.bytes, (int)length, text, (int)wanted.length,
                  wanted.bytes);
    weir_prompt_close(prompt);
}

/* 63 conversations with the templates of the public models: what jinja2 makes of them. */
TEST(chat_template_renders_the_family)
{
    struct json_document *file = chat_cases_read(test_shared("vectors/chat/render.json"));
    const struct json *cases = json_get(json_root(file), "cases");
    CHECK_INT(cases->count, 63);
    for (uint32_t i = 0; i < cases->count; i++) {
        char path[128];
        const struct json_text name = json_get(&cases->items[i], "template")->text;
        snprintf(path, sizeof path, "vectors/chat/templates/%.*s", (int)name.length, name.bytes);
        struct weir_template *chat_template = chat_cases_template(test_shared(path));
        check_prompt(chat_template, &cases->items[i]);
        weir_template_close(chat_template);
    }
    json_close(file);
}

static void check_own_chats(const struct weir_template *chat_template)
{
    struct json_document *file = chat_cases_read(test_data("chat/own.json"));
    const struct json *cases = json_get(json_root(file), "cases");
    CHECK(cases->count >= 36);
    for (uint32_t i = 0; i < cases->count; i++)
        check_prompt(chat_template, &cases->items[i]);
    json_close(file);
}

/* The text that a model learns is written by a program without templates. */
TEST(chat_template_renders_what_our_model_learned)
{
    struct weir_template *chat_template = chat_cases_own_template();
    check_own_chats(chat_template);
    weir_template_close(chat_template);
}

static struct weir_model *open_shipped(const char *override)
{
    struct weir_model *model;
    struct weir_error err = {0};
    const struct weir_model_options options = {.overrides = &override,
                                               .overrides_count = override != NULL ? 1 : 0};
    CHECK_OK(weir_model_open(&model, test_data("../../models/" WEIR_SHIPPED), &options, &err),
             &err);
    return model;
}

TEST(chat_template_of_the_shipped_model)
{
    struct weir_model *model = open_shipped(NULL);
    struct weir_template *chat_template;
    struct weir_error err = {0};
    CHECK_OK(weir_template_open_model(&chat_template, model, &err), &err);
    weir_model_close(model);
    check_own_chats(chat_template);
    weir_template_close(chat_template);
}

/* The texts of bos and eos are the model's, so their bytes count as the template's. */
TEST(chat_template_knows_tokens_of_the_model)
{
    struct weir_model *model = open_shipped(
        "tokenizer.chat_template=str:{{ eos_token }}|{{ bos_token is defined }}|{{ x }}");
    struct weir_template *chat_template;
    struct weir_error err = {0};
    size_t length;
    CHECK_OK(weir_template_open_model(&chat_template, model, &err), &err);
    struct weir_prompt *prompt =
        chat_cases_render(chat_template, (struct json_text){"{\"x\": \"y\"}", 10});
    CHECK_TEXT(weir_prompt_text(prompt, &length), "<|im_end|>|False|y");
    weir_prompt_close(prompt);
    weir_template_close(chat_template);
    weir_model_close(model);
}

/* They may be any bytes, of which a prompt has none that are not UTF-8. */
TEST(chat_template_repairs_tokens_of_the_model)
{
    static const char source[] = "{{ bos_token }}{{ eos_token }}{{ eos_token[0] }}";
    const struct template_tokens tokens = {.bos = {(const uint8_t *)"<\xe4\xb8", 3},
                                           .eos = {(const uint8_t *)"\xa9>\xc3\xa9", 4}};
    struct weir_template *chat_template;
    struct weir_error err = {0};
    size_t length;
    CHECK_OK(template_open(&chat_template, span_from(source), "T", &tokens, &err), &err);
    struct weir_prompt *prompt = chat_cases_render(chat_template, (struct json_text){"{}", 2});
    CHECK_TEXT(weir_prompt_text(prompt, &length),
               "<\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd>\xc3\xa9\xef\xbf\xbd");
    weir_prompt_close(prompt);
    weir_template_close(chat_template);
}

TEST(chat_template_of_a_model_is_refused_with_the_place)
{
    struct weir_model *model = open_shipped("tokenizer.chat_template=str:{{ a }}{% b %}");
    struct weir_template *chat_template;
    struct weir_error err = {0};
    CHECK_INT(weir_template_open_model(&chat_template, model, &err), WEIR_ERR_UNSUPPORTED);
    CHECK(chat_template == NULL);
    CHECK(strstr(err.text, ": chat template:1:11: the tag 'b' is not known here") != NULL);
    weir_model_close(model);

    err = (struct weir_error){0};
    CHECK_OK(weir_model_open(&model, test_data("golden/nano-f32.gguf"), NULL, &err), &err);
    CHECK_INT(weir_template_open_model(&chat_template, model, &err), WEIR_ERR_ARGUMENT);
    CHECK(strstr(err.text, "key tokenizer.chat_template is missing") != NULL);
    weir_model_close(model);
}

/* ---- requests -------------------------------------------------------------------------------- */

static void check_text(const char *source, const char *request, const char *expected)
{
    struct weir_template *chat_template;
    struct weir_error err = {0};
    size_t length;
    CHECK_OK(weir_template_open(&chat_template, source, strlen(source), "T", &err), &err);
    struct weir_prompt *prompt =
        chat_cases_render(chat_template, (struct json_text){request, strlen(request)});
    CHECK_TEXT(weir_prompt_text(prompt, &length), expected);
    CHECK_INT(length, strlen(expected));
    weir_prompt_close(prompt);
    weir_template_close(chat_template);
}

TEST(chat_template_has_defaults)
{
    const char *source = "{{ tools }} {{ add_generation_prompt }} {{ messages is defined }}";
    check_text(source, "{}", "None True False");
    check_text(source, "{\"tools\": [1], \"add_generation_prompt\": false, \"messages\": []}",
               "[1] False True");
}

TEST(chat_template_builtins_have_names)
{
    const char *const *names = weir_template_builtins();
    for (; *names != NULL; names++)
        CHECK(weir_template_builtin(*names) != NULL);
    CHECK(weir_template_builtin("nothing") == NULL);
    const char *chatml = weir_template_builtin("chatml");
    check_text(chatml,
               "{\"messages\": [{\"role\": \"system\", \"content\": \" a\\n\"}, {\"role\": "
               "\"user\", \"content\": [{\"type\": \"text\", \"text\": \"b\"}, {\"text\": \"c\"}]},"
               "{\"role\": \"assistant\", \"content\": null}]}",
               "<|im_start|>system\n a\n<|im_end|>\n<|im_start|>user\nbc<|im_end|>\n"
               "<|im_start|>assistant\n<|im_end|>\n<|im_start|>assistant\n");
    check_text(chatml, "{\"messages\": [], \"add_generation_prompt\": false}", "");
}

TEST(chat_template_refuses_what_is_no_request)
{
    static const struct {
        const char *request, *text;
    } cases[] = {
        {"[]", "request: expected an object, found an array"},
        {"{\"a\": }", "request"},
        {"", "request"},
    };
    struct weir_template *chat_template = chat_cases_own_template();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct weir_prompt *prompt;
        struct weir_error err = {0};
        CHECK_INT(weir_template_render(chat_template, &prompt, cases[i].request,
                                       strlen(cases[i].request), &err),
                  WEIR_ERR_ARGUMENT);
        CHECK(prompt == NULL && strstr(err.text, cases[i].text) != NULL);
    }
    weir_template_close(chat_template);
}

/* As a prompt says where its reply begins. */
enum begins { IN_CONTENT, IN_REASONING, IN_EITHER };

static void check_begins(const char *source, const char *request, enum begins expected)
{
    struct weir_template *chat_template;
    struct weir_error err = {0};
    CHECK_OK(weir_template_open(&chat_template, source, strlen(source), "T", &err), &err);
    struct weir_prompt *prompt =
        chat_cases_render(chat_template, (struct json_text){request, strlen(request)});
    CHECK_INT(weir_prompt_in_reasoning(prompt), expected == IN_REASONING);
    CHECK_INT(weir_prompt_may_reason(prompt), expected == IN_EITHER);
    weir_prompt_close(prompt);
    weir_template_close(chat_template);
}

TEST(chat_template_knows_whether_reasoning_is_open)
{
    check_begins("a{{ '<think>\\n' }}", "{}", IN_REASONING);
    check_begins("{{ '<think>\\n\\n</think>\\n\\n' }}", "{}", IN_CONTENT);
    check_begins("{{ '</think>' }}", "{}", IN_CONTENT);
    check_begins("{{ '<think>' }}", "{}", IN_EITHER);
    check_begins("{{ x }}a\n", "{\"x\": \"</think>\"}", IN_EITHER);
    check_begins("a{{ x }}", "{\"x\": \"b\"}", IN_CONTENT);
    check_begins("{{ x }}", "{\"x\": \"<think>\\n\"}", IN_CONTENT);
    check_begins("{{ '<thi' + x + '\\n' }}", "{\"x\": \"nk>\"}", IN_EITHER);
    check_begins("", "{}", IN_CONTENT);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void alloc_scenario(void *argument)
{
    const struct weir_model *model = argument;
    static const char request[] = "{\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}]}";
    struct weir_template *chat_template;
    struct weir_prompt *prompt = NULL;
    enum weir_status status = weir_template_open_model(&chat_template, model, NULL);
    if (status == WEIR_OK)
        status = weir_template_render(chat_template, &prompt, request, sizeof request - 1, NULL);
    CHECK_INT(status, alloc_failed() ? WEIR_ERR_MEMORY : WEIR_OK);
    weir_prompt_close(prompt);
    weir_template_close(chat_template);
}

TEST(alloc_chat_template)
{
    struct weir_model *model = open_shipped(NULL);
    alloc_test(alloc_scenario, model);
    weir_model_close(model);
}

TEST(chat_template_knows_its_source)
{
    const char *source = weir_template_builtin("chatml");
    struct weir_template *chat_template;
    struct weir_error err = {0};
    CHECK_OK(weir_template_open(&chat_template, source, strlen(source), "chatml", &err), &err);
    CHECK_TEXT(weir_template_source(chat_template), source);
    weir_template_close(chat_template);
}
