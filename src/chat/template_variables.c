/* SPDX-License-Identifier: MIT
 * Checks and writes variables of templates. Knows not who named them, nor what they do. */
#include "chat/template_variables.h"

/* What of a template's request is no variable of somebody's choice. */
static const char *const reserved[] = {"messages", "tools", "add_generation_prompt"};

enum weir_status template_variables_check_names(const struct json *object, const char *what,
                                                struct weir_error *err)
{
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++) {
        if (json_get(object, reserved[i]) != NULL)
            return err_set(err, WEIR_ERR_ARGUMENT,
                           "%s: '%s' is a part of the conversation, expected further variables",
                           what, reserved[i]);
    }
    return WEIR_OK;
}

enum weir_status template_variables_check(const char *text, size_t length, const char *what,
                                          struct weir_error *err)
{
    struct json_document *document;
    enum weir_status status = json_open_kind(&document, JSON_OBJECT, text, length, what, err);
    if (status != WEIR_OK)
        return status;
    status = template_variables_check_names(json_root(document), what, err);
    json_close(document);
    return status;
}

void template_variables_write(const char *text, size_t length, struct bytes *request)
{
    const char *begin = text, *end = text + length;
    while (json_is_white(end[-1]))
        end--;
    while (json_is_white(*begin))
        begin++;
    begin++; /* the braces */
    end--;
    while (begin < end && json_is_white(*begin))
        begin++;
    if (begin == end)
        return;
    bytes_add(request, begin, (size_t)(end - begin));
    bytes_add_text(request, ", ");
}

void template_variables_write_switch(const char *name, enum weir_switch value,
                                     struct bytes *request)
{
    if (value == WEIR_AUTO)
        return;
    bytes_add_text(request, "\"");
    bytes_add_text(request, name);
    bytes_add_text(request, value == WEIR_ON ? "\": true, " : "\": false, ");
}
