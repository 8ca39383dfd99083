/* SPDX-License-Identifier: MIT
 * Finds out what a chat template makes use of: gives it conversations that have something, and
 * looks for that in their texts. Knows neither models nor requests. */
#include "serve/template_caps.h"

#include <string.h>

#include "serve/respond.h"

#define ASKED "{\"role\":\"user\",\"content\":\"u\"}"
#define CALL(name, arguments)                                                                      \
    "{\"type\":\"function\",\"id\":\"i\",\"function\":{\"name\":\"" name                           \
    "\",\"arguments\":" arguments "}}"
#define CALLED(calls) "{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[" calls "]}"
#define TOOLS                                                                                      \
    ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"qtool\",\"description\":\"d\","   \
    "\"parameters\":{\"type\":\"object\",\"properties\":{}}}}]"
#define MESSAGES(messages, others) "{\"messages\":[" messages "]" others "}"

/* In the order of llama-server. A template has it if all the words are in the text, and `without`
 * is not: the name of a member that nobody asks for is there where a list is printed as it is
 * written, and no template has it in words of its own. */
static const struct {
    const char *name, *request, *words[2], *without;
} caps[TEMPLATE_CAPS] = {
    {"supports_object_arguments",
     MESSAGES(ASKED "," CALLED(CALL("qtool", "{\"qkey\":\"qvalue\"}")) "," ASKED, TOOLS),
     {"qkey", "qvalue"}},
    {"supports_parallel_tool_calls",
     MESSAGES(ASKED "," CALLED(CALL("qone", "{}") "," CALL("qtwo", "{}")) "," ASKED, TOOLS),
     {"qone", "qtwo"}},
    {"supports_preserve_reasoning",
     MESSAGES(ASKED
              ",{\"role\":\"assistant\",\"content\":\"a\",\"reasoning_content\":\"qwhy\"}," ASKED,
              ""),
     {"qwhy", ""}},
    {"supports_string_content",
     MESSAGES("{\"role\":\"user\",\"content\":\"qtext\"}", ""),
     {"qtext", ""}},
    {"supports_system_role",
     MESSAGES("{\"role\":\"system\",\"content\":\"qrule\"}," ASKED, ""),
     {"qrule", ""}},
    {"supports_tool_calls",
     MESSAGES(ASKED "," CALLED(CALL("qcall", "{}")) "," ASKED, TOOLS),
     {"qcall", ""}},
    {"supports_tools", MESSAGES(ASKED, TOOLS), {"qtool", ""}},
    {"supports_typed_content",
     MESSAGES("{\"role\":\"user\",\"content\":"
              "[{\"type\":\"text\",\"text\":\"qpart\",\"qmember\":true}]}",
              ""),
     {"qpart", ""},
     "qmember"},
};

static bool has_words(const char *text, size_t length, size_t cap)
{
    const char *without = caps[cap].without;
    for (int i = 0; i < 2; i++)
        if (memmem(text, length, caps[cap].words[i], strlen(caps[cap].words[i])) == NULL)
            return false;
    return without == NULL || memmem(text, length, without, strlen(without)) == NULL;
}

/* What the template refuses, or fails at, it makes no use of. */
static enum weir_status find_cap(bool *out, const struct weir_template *chat_template, size_t cap,
                                 struct weir_error *err)
{
    struct weir_prompt *prompt = NULL;
    size_t length = 0;
    const char *request = caps[cap].request;
    *out = false;
    const enum weir_status status =
        weir_template_render(chat_template, &prompt, request, strlen(request), err);
    if (status == WEIR_ERR_MEMORY)
        return status;
    if (status != WEIR_OK)
        return WEIR_OK;
    const char *text = weir_prompt_text(prompt, &length);
    *out = has_words(text, length, cap);
    weir_prompt_close(prompt);
    return WEIR_OK;
}

enum weir_status template_caps_find(struct template_caps *out,
                                    const struct weir_template *chat_template,
                                    struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    *out = (struct template_caps){.has_template = chat_template != NULL};
    for (size_t i = 0; chat_template != NULL && status == WEIR_OK && i < TEMPLATE_CAPS; i++)
        status = find_cap(&out->has[i], chat_template, i, err);
    return status;
}

void put_template_caps(struct bytes *out, const struct template_caps *found)
{
    put_open(out, "chat_template_caps", '{');
    for (size_t i = 0; found->has_template && i < TEMPLATE_CAPS; i++)
        put_bool(out, caps[i].name, found->has[i]);
    put_close(out, '}');
}
