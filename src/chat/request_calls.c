/* SPDX-License-Identifier: MIT
 * Brings tools and calls into one form, whatever form of OpenAI's they come in. Arguments and
 * schemas are copied as they were written. Knows not what a template prints of them. */
#include "chat/request_calls.h"

#include "chat/fields.h"

enum { TOOLS_MAX = 1024 };

/* The object that names a function: the member "function", or the tool or call itself. */
static enum weir_status find_function(const struct json *object, const struct json **function,
                                      const struct json **name, struct weir_error *err)
{
    const struct json *type;
    enum weir_status status;
    if (object->kind != JSON_OBJECT)
        return err_set(err, WEIR_ERR_ARGUMENT, "expected an object, found %s",
                       json_kind_name(object->kind));
    TRY(field_get(object, "type", JSON_STRING, &type, err));
    if (type != NULL && !json_is(type, "function"))
        return err_set(err, WEIR_ERR_ARGUMENT, "Field 'type': expected function, found '%.*s'",
                       field_shown(type->text), type->text.bytes);
    TRY(field_get(object, "function", JSON_OBJECT, function, err));
    if (*function == NULL)
        *function = object;
    TRY(field_get(*function, "name", JSON_STRING, name, err));
    if (*name == NULL || (*name)->text.length == 0)
        return err_set(err, WEIR_ERR_ARGUMENT, "Field 'name': it is missing");
out:
    return status;
}

/* `before`, and a value as it was written or, if there is none, this text. */
static void add_member(struct bytes *out, const char *before, const struct json *value,
                       const char *missing)
{
    bytes_add_text(out, before);
    if (value != NULL)
        bytes_add(out, value->source.bytes, value->source.length);
    else
        bytes_add_text(out, missing);
}

/* ---- calls ----------------------------------------------------------------------------------- */

static bool is_blank(struct json_text text)
{
    size_t i = 0;
    while (i < text.length && json_is_white(text.bytes[i]))
        i++;
    return i == text.length;
}

/* Arguments are an object, or the text of one. */
static enum weir_status write_arguments(const struct json *function, struct bytes *out,
                                        struct weir_error *err)
{
    const struct json *arguments = field_find(function, "arguments");
    const bool is_text = arguments != NULL && arguments->kind == JSON_STRING;
    enum json_kind kind;
    bytes_add_text(out, ", \"arguments\": ");
    if (arguments == NULL || (is_text && is_blank(arguments->text))) {
        bytes_add_text(out, "{}");
        return WEIR_OK;
    }
    const struct json_text text = is_text ? arguments->text : arguments->source;
    if (!json_check_part(text.bytes, text.length, &kind) || kind != JSON_OBJECT)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "Field 'arguments': expected a JSON object or the text of one");
    bytes_add(out, text.bytes, text.length);
    return WEIR_OK;
}

static enum weir_status write_call(const struct json *call, struct bytes *out,
                                   struct weir_error *err)
{
    const struct json *function, *name, *id = field_find(call, "id");
    enum weir_status status;
    TRY(find_function(call, &function, &name, err));
    bytes_add_text(out, "{");
    if (id != NULL)
        add_member(out, "\"id\": ", id, "");
    add_member(out,
               id != NULL ? ", \"type\": \"function\", \"function\": {\"name\": "
                          : "\"type\": \"function\", \"function\": {\"name\": ",
               name, "");
    TRY(write_arguments(function, out, err));
    bytes_add_text(out, "}}");
out:
    return status;
}

/* The list of calls, or the one that the API had before there were lists. */
static enum weir_status find_calls(const struct json *message, const struct json **items,
                                   uint32_t *count, struct weir_error *err)
{
    const struct json *calls, *single;
    enum weir_status status;
    *items = NULL;
    *count = 0;
    TRY(field_get(message, "tool_calls", JSON_ARRAY, &calls, err));
    TRY(field_get(message, "function_call", JSON_OBJECT, &single, err));
    const bool is_list = calls != NULL && calls->count > 0;
    *items = is_list ? calls->items : single;
    *count = is_list ? calls->count : single != NULL;
out:
    return status;
}

enum weir_status request_has_calls(const struct json *message, bool *out, struct weir_error *err)
{
    const struct json *items;
    uint32_t count;
    const enum weir_status status = find_calls(message, &items, &count, err);
    *out = count > 0;
    return status;
}

enum weir_status request_calls_write(const struct json *message, struct bytes *out,
                                     struct weir_error *err)
{
    const struct json *items;
    uint32_t count;
    enum weir_status status = find_calls(message, &items, &count, err);
    if (status != WEIR_OK || count == 0)
        return status;
    bytes_add_text(out, ", \"tool_calls\": [");
    for (uint32_t i = 0; i < count; i++) {
        struct weir_error problem = {0};
        if (i > 0)
            bytes_add_text(out, ", ");
        status = write_call(&items[i], out, &problem);
        if (status != WEIR_OK)
            return err_set(err, status, "tool_calls[%u]: %s", i, problem.text);
    }
    bytes_add_text(out, "]");
    return WEIR_OK;
}

/* ---- tools ----------------------------------------------------------------------------------- */

/* "parameters", or "input_schema" as Anthropic names them; NULL: none. */
static enum weir_status find_parameters(const struct json *function, const struct json *name,
                                        const struct json **out, struct weir_error *err)
{
    static const char *const keys[] = {"parameters", "input_schema"};
    struct weir_error problem = {0};
    *out = NULL;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0] && *out == NULL; i++) {
        const enum weir_status status = field_get(function, keys[i], JSON_OBJECT, out, &problem);
        if (status != WEIR_OK)
            return err_set(err, status, "tool '%.*s': %s", field_shown(name->text),
                           name->text.bytes, problem.text);
    }
    return WEIR_OK;
}

/* Three members in this order and no others: what templates print of a tool is how models have
 * seen tools. */
static enum weir_status write_tool(const struct json *tool, struct bytes *out,
                                   struct weir_error *err)
{
    const struct json *function, *name, *description, *parameters;
    enum weir_status status;
    TRY(find_function(tool, &function, &name, err));
    TRY(field_get(function, "description", JSON_STRING, &description, err));
    TRY(find_parameters(function, name, &parameters, err));
    add_member(out, "{\"type\": \"function\", \"function\": {\"name\": ", name, "");
    add_member(out, ", \"description\": ", description, "\"\"");
    add_member(out, ", \"parameters\": ", parameters, "{\"type\": \"object\", \"properties\": {}}");
    bytes_add_text(out, "}}");
out:
    return status;
}

enum weir_status request_tools_write(const struct json *request, struct bytes *out,
                                     struct weir_error *err)
{
    const struct json *tools, *functions;
    enum weir_status status;
    TRY(field_get(request, "tools", JSON_ARRAY, &tools, err));
    TRY(field_get(request, "functions", JSON_ARRAY, &functions, err));
    const bool has_tools = tools != NULL && tools->count > 0;
    const char *name = has_tools ? "tools" : "functions";
    tools = has_tools ? tools : functions;
    if (tools == NULL || tools->count == 0)
        return WEIR_OK;
    if (tools->count > TOOLS_MAX)
        return err_set(err, WEIR_ERR_ARGUMENT, "Field '%s': %u tools, expected at most %d", name,
                       tools->count, TOOLS_MAX);
    bytes_add_text(out, "[");
    for (uint32_t i = 0; i < tools->count; i++) {
        struct weir_error problem = {0};
        if (i > 0)
            bytes_add_text(out, ", ");
        status = write_tool(&tools->items[i], out, &problem);
        if (status != WEIR_OK)
            return err_set(err, status, "%s[%u]: %s", name, i, problem.text);
    }
    bytes_add_text(out, "]");
    TRY(bytes_check(out, err));
out:
    return status;
}
