/* SPDX-License-Identifier: MIT
 * What is found out of chat templates by their texts. Run alone: build/tests/weir-test
 * template_caps_ */
#include "serve/template_caps.h"

#include <string.h>

#include "alloc.h"
#include "test.h"

#define LOOP "{% for m in messages %}"
#define END  "{% endfor %}"
#define TEXT_OF_PARTS                                                                              \
    "{% if m.content is string %}{{ m.content }}{% else %}"                                        \
    "{% for part in m.content %}{{ part.text }}{% endfor %}{% endif %}"

static struct weir_template *open_template(const char *source)
{
    struct weir_template *chat_template = NULL;
    struct weir_error err = {0};
    CHECK_OK(weir_template_open(&chat_template, source, strlen(source), "T", &err), &err);
    return chat_template;
}

static void check_typed(const char *source, bool is_typed)
{
    struct weir_template *chat_template = open_template(source);
    struct template_caps found;
    struct weir_error err = {0};
    struct bytes text = {0};
    CHECK_OK(template_caps_find(&found, chat_template, &err), &err);
    put_template_caps(&text, &found);
    CHECK_OK(bytes_check(&text, &err), &err);
    const char *expected =
        is_typed ? "\"supports_typed_content\":true" : "\"supports_typed_content\":false";
    if (strstr(text.data, expected) == NULL)
        test_fail(__FILE__, __LINE__, "%s: no %s in %s", source, expected, text.data);
    bytes_release(&text);
    weir_template_close(chat_template);
}

/* Texts of parts, whatever else the template says; but a list that is printed is none of them. */
TEST(template_caps_tell_parts_from_a_list_that_is_printed)
{
    check_typed(LOOP TEXT_OF_PARTS END, true);
    check_typed("You type well. A \"type\" is 'type'." LOOP TEXT_OF_PARTS END, true);
    check_typed(LOOP "{{ m.content }}" END, false);
    check_typed(LOOP "{{ m.content | tojson }}" END, false);
    check_typed("{{ messages | tojson }}", false);
    check_typed(LOOP "{{ m.content + '' }}" END, false);
    check_typed("{{ raise_exception('never') }}", false);
}

TEST(template_caps_without_a_template_are_none)
{
    struct template_caps found;
    struct weir_error err = {0};
    struct bytes text = {0};
    CHECK_OK(template_caps_find(&found, NULL, &err), &err);
    put_template_caps(&text, &found);
    CHECK_TEXT(text.data, "\"chat_template_caps\":{}");
    bytes_release(&text);
}

/* No cap is false for want of memory. */
static void find_all(void *argument)
{
    const struct weir_template *chat_template = argument;
    struct template_caps found;
    const enum weir_status status = template_caps_find(&found, chat_template, NULL);
    CHECK_INT(status, alloc_failed() ? WEIR_ERR_MEMORY : WEIR_OK);
}

TEST(template_caps_fail_without_memory)
{
    struct weir_template *chat_template = open_template(LOOP TEXT_OF_PARTS END);
    alloc_test(find_all, chat_template);
    weir_template_close(chat_template);
}
