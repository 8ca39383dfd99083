/* SPDX-License-Identifier: MIT
 * Writes what requests of chat completions consist of. Knows not what they are made of. */
#include "serve/translate.h"

#include "serve/respond.h"

enum weir_status translate_open(struct json_document **out, const char *body, size_t length,
                                struct weir_error *err)
{
    const enum weir_status status =
        json_open_few(out, body, length, REQUEST_VALUES_MAX, "request", err);
    if (status != WEIR_OK)
        return status;
    const struct json *root = json_root(*out);
    if (root->kind == JSON_OBJECT)
        return WEIR_OK;
    const char *kind = json_kind_name(root->kind);
    json_close(*out);
    *out = NULL;
    return err_set(err, WEIR_ERR_ARGUMENT, "request: expected an object, found %s", kind);
}

enum weir_status translate_choices(const struct json *root, struct weir_error *err)
{
    static const char *const names[] = {"n", "n_cmpl"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct json *choices = request_member(root, names[i]);
        if (choices != NULL && !json_text_equals(choices->text, "1"))
            return err_set(err, WEIR_ERR_ARGUMENT, "Field '%s': there is one answer", names[i]);
    }
    return WEIR_OK;
}

static bool is_named(struct json_text key, const char *const *names)
{
    for (; *names != NULL; names++)
        if (json_text_equals(key, *names))
            return true;
    return false;
}

void translate_rest(struct bytes *out, const struct json *object, const char *const *others)
{
    for (uint32_t i = 0; i < object->count; i++)
        if (object->items[i].kind != JSON_NULL && !is_named(object->keys[i], others))
            put_member(out, object->keys[i], object->items[i].source);
}

static void put_if_there(struct bytes *out, const char *key, const struct json *value)
{
    if (value != NULL)
        put_json(out, key, value->source.bytes, value->source.length);
}

static void put_tool(struct bytes *out, const struct json *tool, const char *schema)
{
    put_open(out, NULL, '{');
    put_text(out, "type", "function");
    put_open(out, "function", '{');
    put_if_there(out, "name", request_member(tool, "name"));
    put_if_there(out, "description", request_member(tool, "description"));
    put_if_there(out, "parameters", request_member(tool, schema));
    put_close(out, '}');
    put_close(out, '}');
}

enum weir_status translate_tools(struct bytes *out, const struct json *root,
                                 bool (*is_clients)(const struct json *tool), const char *schema,
                                 struct weir_error *err)
{
    const struct json *tools = request_member(root, "tools");
    if (tools == NULL)
        return WEIR_OK;
    if (tools->kind != JSON_ARRAY)
        return request_refuse_kind("tools", "array", tools, err);
    put_open(out, "tools", '[');
    for (uint32_t i = 0; i < tools->count; i++)
        if (is_clients(&tools->items[i]))
            put_tool(out, &tools->items[i], schema);
    put_close(out, ']');
    return WEIR_OK;
}

void translate_call(struct bytes *out, const struct json *id, const struct json *name,
                    struct json_text arguments)
{
    put_open(out, NULL, '{');
    put_if_there(out, "id", id);
    put_text(out, "type", "function");
    put_open(out, "function", '{');
    put_if_there(out, "name", name);
    put_string(out, "arguments", arguments.bytes, arguments.length);
    put_close(out, '}');
    put_close(out, '}');
}

void translate_spoken(struct bytes *out, const struct bytes *reasoning, const struct bytes *calls)
{
    if (reasoning->length > 0)
        put_string(out, "reasoning_content", reasoning->data, reasoning->length);
    if (calls->length > 0) {
        put_open(out, "tool_calls", '[');
        put_json(out, NULL, calls->data, calls->length);
        put_close(out, ']');
    }
}

void translate_text(struct bytes *out, struct json_text text)
{
    put_open(out, NULL, '{');
    put_text(out, "type", "text");
    put_string(out, "text", text.bytes, text.length);
    put_close(out, '}');
}

void translate_image(struct bytes *out)
{
    put_open(out, NULL, '{');
    put_text(out, "type", "image_url");
    put_open(out, "image_url", '{');
    put_text(out, "url", "");
    put_close(out, '}');
    put_close(out, '}');
}
