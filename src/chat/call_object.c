/* SPDX-License-Identifier: MIT
 * Reads calls that are written as one JSON object. Knows nothing of replies. */
#include "chat/call_object.h"

#include <string.h>

#include "json/json.h"

/* Nothing of such a call is told before its end; a longer one is text. */
enum { OBJECT_BYTES_MAX = 1 << 22 };

/* Outside of strings an object has only these: so of two beginnings of objects, one lies in a
 * string of the other, a third in neither's, and no byte is looked at often. */
static bool may_be_outside(char c)
{
    static const char allowed[] = " \t\r\n,:[]{}+-.0123456789eE"
                                  "nultrfas";
    return c != 0 && strchr(allowed, c) != NULL;
}

/* False if no object goes on like this. */
static bool scan_byte(struct object_scan *scan, char c)
{
    if (scan->is_in_string) {
        scan->is_in_string = scan->is_escaped || c != '"';
        scan->is_escaped = !scan->is_escaped && c == '\\';
        return (unsigned char)c >= 0x20;
    }
    scan->is_in_string = c == '"';
    scan->depth += c == '{' || c == '[';
    scan->depth -= c == '}' || c == ']';
    return (c == '"' || may_be_outside(c)) && scan->depth <= JSON_PART_DEPTH_MAX;
}

enum mark_match object_scan_on(struct object_scan *scan, struct rest rest)
{
    while (scan->at < rest.length && scan->at < OBJECT_BYTES_MAX) {
        if (!scan_byte(scan, rest.text[scan->at]))
            return MARK_NOT;
        scan->at++;
        if (scan->depth == 0)
            return MARK_WHOLE;
    }
    return rest.is_final || scan->at == OBJECT_BYTES_MAX ? MARK_NOT : MARK_MAYBE;
}

static void add_arguments(struct bytes *out, const struct json *arguments)
{
    bytes_add_text(out, "{");
    for (uint32_t i = 0; arguments != NULL && i < arguments->count; i++) {
        const struct json_text source = arguments->items[i].source;
        bytes_add_text(out, i == 0 ? "\"" : ",\"");
        json_escape((struct printer){bytes_sink, out}, arguments->keys[i].bytes,
                    arguments->keys[i].length);
        bytes_add_text(out, "\":");
        bytes_add(out, source.bytes, source.length);
    }
    bytes_add_text(out, "}");
}

static bool is_name(const struct json *value)
{
    if (value == NULL || value->kind != JSON_STRING || value->text.length == 0)
        return false;
    for (size_t i = 0; i < value->text.length; i++) {
        if (is_control_byte(value->text.bytes[i]))
            return false;
    }
    return true;
}

static bool is_call_object(const struct json *object)
{
    const struct json *arguments = json_get(object, "arguments");
    if (object->kind != JSON_OBJECT || !is_name(json_get(object, "name")))
        return false;
    if (arguments == NULL)
        return object->count == 1;
    return object->count == 2 && arguments->kind == JSON_OBJECT;
}

enum weir_status call_object_read(const char *text, size_t length, bool *is_call,
                                  struct bytes *name, struct bytes *arguments,
                                  struct weir_error *err)
{
    struct json_document *document;
    *is_call = false;
    if (!json_check_part(text, length, NULL))
        return WEIR_OK;
    const enum weir_status status = json_open(&document, text, length, "call", err);
    if (status != WEIR_OK)
        return status;
    const struct json *object = json_root(document);
    *is_call = is_call_object(object);
    if (*is_call) {
        const struct json_text called = json_get(object, "name")->text;
        bytes_clear(name);
        bytes_add(name, called.bytes, called.length);
        add_arguments(arguments, json_get(object, "arguments"));
    }
    json_close(document);
    return WEIR_OK;
}
