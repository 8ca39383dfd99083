/* SPDX-License-Identifier: MIT
 * JSON as values of a template. Numbers keep how they were written. Knows no
 * name that a template uses. */
#include "jinja/variables.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_BYTES_MAX = 64 };

/* All bytes of a request have one origin, so one array serves its longest string. */
static enum weir_status make_origins(struct run *run, uint64_t length)
{
    uint8_t *origins = run_take(run, length, 1);
    if (origins == NULL)
        return run->err.status;
    memset(origins, JINJA_OF_INPUT, length);
    run->of_input = origins;
    return WEIR_OK;
}

static struct string input_string(const struct run *run, struct json_text text)
{
    return (struct string){text.length == 0 ? "" : text.bytes, run->of_input,
                           (uint32_t)text.length};
}

/* A number that is written with a point or an exponent is a float, as in Python. */
static enum weir_status number_value(struct run *run, struct json_text text, struct value *out)
{
    char digits[NUMBER_BYTES_MAX];
    struct string *written = run_take(run, 1, sizeof *written);
    if (written == NULL)
        return run->err.status;
    *written = input_string(run, text);
    const size_t length = text.length < sizeof digits ? text.length : sizeof digits - 1;
    memcpy(digits, text.bytes, length);
    digits[length] = 0;
    const bool is_float = memchr(text.bytes, '.', text.length) != NULL ||
                          memchr(text.bytes, 'e', text.length) != NULL ||
                          memchr(text.bytes, 'E', text.length) != NULL;
    errno = 0;
    *out = is_float ? value_float(strtod(digits, NULL)) : value_integer(strtoll(digits, NULL, 10));
    if (is_float && !isfinite(out->number.real))
        return run_fail(run, WEIR_ERR_FORMAT, "a number of the request is too large");
    if (!is_float && (errno == ERANGE || length < text.length)) {
        out->kind = VALUE_HUGE;
        out->number.real = digits[0] == '-' ? -INFINITY : INFINITY;
    }
    out->number.written = written;
    return WEIR_OK;
}

static enum weir_status array_value(struct run *run, const struct json *json, struct value *out)
{
    struct list *list;
    enum weir_status status;
    TRY(list_new(run, json->count, &list));
    for (uint32_t i = 0; i < json->count; i++) {
        struct value item;
        TRY(variable_value(run, &json->items[i], &item));
        TRY(list_add(run, list, &item));
    }
    *out = (struct value){.kind = VALUE_LIST, .list = list};
out:
    return status;
}

static enum weir_status object_value(struct run *run, const struct json *json, struct value *out)
{
    struct dict *dict;
    enum weir_status status;
    TRY(dict_new(run, json->count, &dict));
    for (uint32_t i = 0; i < json->count; i++) {
        const struct value key = value_string(input_string(run, json->keys[i]));
        struct value item;
        TRY(variable_value(run, &json->items[i], &item));
        TRY(dict_put(run, dict, &key, &item));
    }
    *out = (struct value){.kind = VALUE_DICT, .dict = dict};
out:
    return status;
}

enum weir_status variable_value(struct run *run, const struct json *json, struct value *out)
{
    switch (json->kind) {
    case JSON_NULL: *out = (struct value){.kind = VALUE_NONE}; return WEIR_OK;
    case JSON_FALSE: *out = value_boolean(false); return WEIR_OK;
    case JSON_TRUE: *out = value_boolean(true); return WEIR_OK;
    case JSON_NUMBER: return number_value(run, json->text, out);
    case JSON_STRING: *out = value_string(input_string(run, json->text)); return WEIR_OK;
    case JSON_ARRAY: return array_value(run, json, out);
    case JSON_OBJECT: return object_value(run, json, out);
    }
    return WEIR_OK;
}

/* What is defined already is replaced. */
static enum weir_status define_members(struct run *run, const struct json *object,
                                       struct scope *scope)
{
    enum weir_status status = WEIR_OK;
    if (object == NULL)
        return WEIR_OK;
    if (object->source.length > INT32_MAX)
        return run_fail(run, WEIR_ERR_FULL, "a request of 2 GiB or more");
    TRY(make_origins(run, object->source.length));
    for (uint32_t i = 0; i < object->count; i++) {
        struct value value;
        TRY(variable_value(run, &object->items[i], &value));
        TRY(scope_set(run, scope, input_string(run, object->keys[i]), &value));
    }
out:
    return status;
}

enum weir_status variables_define(struct run *run, const struct jinja_input *input,
                                  struct scope *scope)
{
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < input->texts_count; i++) {
        const struct jinja_variable *text = &input->texts[i];
        const struct value value =
            value_string((struct string){text->text, NULL, (uint32_t)text->length});
        TRY(scope_set(run, scope, string_from(text->name), &value));
    }
    TRY(define_members(run, input->defaults, scope));
    TRY(define_members(run, input->variables, scope));
out:
    return status;
}

enum weir_status variable_parse(struct run *run, struct string text, struct value *out)
{
    struct weir_error problem = {0};
    struct parsed *parsed = run_take(run, 1, sizeof *parsed);
    enum weir_status status;
    if (parsed == NULL)
        return run->err.status;
    status = json_open(&parsed->document, text.bytes, text.length, "from_json", &problem);
    if (status == WEIR_ERR_FORMAT)
        return run_fail(run, status, "%s", problem.text);
    if (status != WEIR_OK)
        return err_set(&run->err, status, "%s", problem.text);
    parsed->next = run->parsed;
    run->parsed = parsed;
    TRY(make_origins(run, text.length));
    TRY(variable_value(run, json_root(parsed->document), out));
out:
    return status;
}

void variables_release(struct run *run)
{
    for (; run->parsed != NULL; run->parsed = run->parsed->next)
        json_close(run->parsed->document);
}
