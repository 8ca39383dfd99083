/* SPDX-License-Identifier: MIT
 * Reads recorded prompts and renders their requests. Knows not what is expected. */
#include "chat_cases.h"

#include <stdlib.h>

#include "test.h"

struct json_document *chat_cases_read(const char *path)
{
    size_t size;
    struct json_document *document;
    struct weir_error err = {0};
    char *text = (char *)test_read_file(path, &size);
    CHECK_OK(json_open(&document, text, size, path, &err), &err);
    free(text);
    return document;
}

struct weir_template *chat_cases_template(const char *path)
{
    size_t size;
    struct weir_template *chat_template;
    struct weir_error err = {0};
    char *text = (char *)test_read_file(path, &size);
    CHECK_OK(weir_template_open(&chat_template, text, size, path, &err), &err);
    free(text);
    return chat_template;
}

struct weir_template *chat_cases_own_template(void)
{
    return chat_cases_template(test_data("../../tools/train/chat_template.jinja"));
}

struct weir_prompt *chat_cases_render(const struct weir_template *chat_template,
                                      struct json_text request)
{
    struct weir_prompt *prompt;
    struct weir_error err = {0};
    CHECK_OK(weir_template_render(chat_template, &prompt, request.bytes, request.length, &err),
             &err);
    return prompt;
}
