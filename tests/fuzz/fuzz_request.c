/* SPDX-License-Identifier: MIT
 * Fuzzes requests of clients: a byte that chooses the template and the options, a request. A prompt
 * is UTF-8 and the same again, its tools are tools, and what is refused is refused for what the
 * client wrote: what is put together of it can always be read. */
#include "fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "json/json.h"
#include "weir.h"

enum { REQUEST_MAX = 1 << 12 };

static void expect(bool condition)
{
    if (!condition)
        abort();
}

/* Prompts that end in each way; the second and the third know parts and developers. */
static const char *const sources[] = {
    "{% for m in messages %}{{ m.role + m.content }}{% endfor %}{{ tools|tojson }}",
    "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}"
    "{{ m.content|map(attribute='text')|join }}{% endif %}{{ m|tojson }}{% endfor %}"
    "{{ '<think>\\n' if add_generation_prompt }}{{ '\\n</think>\\n\\n' if not enable_thinking }}",
    "{# developer <think> #}{{ messages|tojson }}{{ x }}",
};

static struct weir_prompt *render(const struct weir_template *chat_template, uint8_t choice,
                                  const char *request, size_t length, struct weir_error *err)
{
    const struct weir_request_options options = {
        .reasoning = (enum weir_switch)(choice / 4 % 3),
        .reasoning_preserve = (choice & 0x20) != 0,
        .variables = (choice & 0x40) != 0 ? " { \"x\" : 1 } " : NULL,
    };
    struct weir_prompt *prompt;
    const enum weir_status status =
        weir_template_render_request(chat_template, &prompt, request, length, &options, err);
    expect(status == err->status);
    expect((prompt != NULL) == (status == WEIR_OK));
    return prompt;
}

static void check_tools(const struct weir_prompt *prompt)
{
    struct weir_reply *reply;
    struct weir_reply_options options;
    weir_reply_options_init(&options);
    options.tools = weir_prompt_tools(prompt, &options.tools_length);
    expect((options.tools == NULL) == (options.tools_length == 0));
    expect(weir_reply_open(&reply, &options, NULL) == WEIR_OK);
    weir_reply_close(reply);
}

static void check_prompt(const struct weir_prompt *prompt, const struct weir_prompt *again)
{
    size_t length, again_length;
    const char *text = weir_prompt_text(prompt, &length);
    const char *again_text = weir_prompt_text(again, &again_length);
    expect(utf8_repaired_length((const uint8_t *)text, length) == length);
    expect(length == again_length && memcmp(text, again_text, length) == 0);
    if (weir_prompt_in_reasoning(prompt))
        expect(memmem(text, length, "<think>", strlen("<think>")) != NULL);
    expect(!weir_prompt_may_reason(prompt) || !weir_prompt_in_reasoning(prompt));
    check_tools(prompt);
}

/* "request: line ..." is said of what is no JSON. What is put together may nest one level deeper
 * than what came in. */
static void check_error(const struct weir_error *err, const char *request, size_t length)
{
    if (strncmp(err->text, "request: line ", strlen("request: line ")) != 0)
        return;
    expect(!json_check(request, length, NULL) || strstr(err->text, "within each other") != NULL);
}

int fuzz_request(const uint8_t *data, size_t size)
{
    struct weir_template *chat_template;
    struct weir_error err = {0}, again_err = {0};
    if (size < 1 || size > REQUEST_MAX)
        return 0;
    const char *source = sources[data[0] % (sizeof sources / sizeof sources[0])];
    const char *request = (const char *)data + 1;
    expect(weir_template_open(&chat_template, source, strlen(source), "T", NULL) == WEIR_OK);
    struct weir_prompt *prompt = render(chat_template, data[0], request, size - 1, &err);
    if (prompt == NULL) {
        check_error(&err, request, size - 1);
    } else {
        struct weir_prompt *again = render(chat_template, data[0], request, size - 1, &again_err);
        expect(again != NULL);
        check_prompt(prompt, again);
        weir_prompt_close(again);
    }
    weir_prompt_close(prompt);
    weir_template_close(chat_template);
    return 0;
}
