/* SPDX-License-Identifier: MIT
 * The functions that a template may call by name. Knows not how they are called. */
#include <string.h>
#include <time.h>

#include "jinja/interpreter.h"
#include "jinja/jinja.h"

enum { RANGE_MAX = 100000, TIME_BYTES_MAX = 256, FORMAT_BYTES_MAX = 128 };

/* The whole error is the template's: clients see it. */
static enum weir_status raise_exception(struct run *run, const struct call *call, struct value *out)
{
    struct string text;
    enum weir_status status;
    TRY(value_show(run, &call->arguments[0], &text));
    status = err_set(&run->err, WEIR_ERR_ARGUMENT, "%.*s", (int)text.length, text.bytes);
    *out = value_string(text);
out:
    return status;
}

/* The named arguments, behind what a dict among the others holds. */
static enum weir_status make_dict(struct run *run, const struct call *call, struct value *out)
{
    struct dict *dict;
    enum weir_status status;
    TRY(dict_new(run, 0, &dict));
    for (uint32_t i = 0; i < call->count; i++) {
        const struct value *item = &call->items[i];
        if (item->kind != VALUE_DICT)
            TRY(run_fail(run, WEIR_ERR_FORMAT, "%s is no dict", value_kind_name(item->kind)));
        for (uint32_t k = 0; item->kind == VALUE_DICT && k < item->dict->count; k++)
            TRY(dict_put(run, dict, &item->dict->entries[k].key, &item->dict->entries[k].value));
    }
    for (uint32_t i = 0; i < call->named_count; i++) {
        const struct value key = value_string(call->named[i].name);
        TRY(dict_put(run, dict, &key, &call->named[i].value));
    }
    *out = (struct value){.kind = (enum value_kind)call->builtin->variant, .dict = dict};
out:
    return status;
}

static enum weir_status range(struct run *run, const struct call *call, struct value *out)
{
    int64_t numbers[3] = {0, 0, 1};
    struct list *list;
    enum weir_status status;
    for (uint32_t i = 0; i < 3; i++) {
        const struct value *argument = &call->arguments[i];
        if (argument->kind != VALUE_UNDEFINED && !value_get_integer(argument, &numbers[i]))
            return run_fail(run, WEIR_ERR_FORMAT, "a range takes integers, not %s",
                            value_kind_name(argument->kind));
    }
    if (call->arguments[1].kind == VALUE_UNDEFINED) {
        numbers[1] = numbers[0];
        numbers[0] = 0;
    }
    const int64_t step = numbers[2];
    if (step == 0)
        return run_fail(run, WEIR_ERR_FORMAT, "the step of a range is 0");
    TRY(list_new(run, 0, &list));
    for (int64_t i = numbers[0]; step > 0 ? i < numbers[1] : i > numbers[1];) {
        const struct value value = value_integer(i);
        if (list->count == RANGE_MAX)
            TRY(run_fail(run, WEIR_ERR_FULL, "a range has more than %d numbers", RANGE_MAX));
        TRY(list_add(run, list, &value));
        if (__builtin_add_overflow(i, step, &i))
            break;
    }
    *out = (struct value){.kind = VALUE_LIST, .list = list};
out:
    return status;
}

static bool is_of_input(struct string string)
{
    for (uint32_t i = 0; string.origins != NULL && i < string.length; i++) {
        if (string.origins[i] == JINJA_OF_INPUT)
            return true;
    }
    return false;
}

/* Which byte of the time comes from which of the format is not known: so all come from the request
 * where any of the format does. */
static enum weir_status strftime_now(struct run *run, const struct call *call, struct value *out)
{
    char format[FORMAT_BYTES_MAX], text[TIME_BYTES_MAX];
    struct string given;
    struct tm parts = {0};
    enum weir_status status;
    TRY(value_show(run, &call->arguments[0], &given));
    if (given.length >= sizeof format)
        TRY(run_fail(run, WEIR_ERR_FULL, "a format of time has more than %d bytes",
                     FORMAT_BYTES_MAX - 1));
    for (uint32_t i = 0; i < given.length; i++)
        format[i] = given.bytes[i];
    format[given.length] = 0;
    const time_t now = (time_t)run->now;
    localtime_r(&now, &parts);
    const size_t length = strftime(text, sizeof text, format, &parts);
    char *bytes = run_take(run, length + 1, 1);
    uint8_t *origins = run_take(run, length + 1, 1);
    if (bytes == NULL || origins == NULL)
        return run->err.status;
    memcpy(bytes, text, length);
    memset(origins, is_of_input(given) ? JINJA_OF_INPUT : JINJA_OF_TEMPLATE, length);
    *out = value_string((struct string){bytes, origins, (uint32_t)length});
out:
    return status;
}

static enum weir_status joiner(struct run *run, const struct call *call, struct value *out)
{
    struct joiner *made = run_take(run, 1, sizeof *made);
    if (made == NULL)
        return run->err.status;
    made->separator = string_from(", ");
    *out = (struct value){.kind = VALUE_JOINER, .joiner = made};
    if (call->arguments[0].kind == VALUE_UNDEFINED)
        return WEIR_OK;
    return value_show(run, &call->arguments[0], &made->separator);
}

const struct builtin functions[] = {
    {"raise_exception", raise_exception, 1, .parameters = {"message"}},
    {"namespace", make_dict, .takes_all = true, .variant = VALUE_NAMESPACE},
    {"dict", make_dict, .takes_all = true, .variant = VALUE_DICT},
    {"range", range, 1, .parameters = {"start", "stop", "step"}},
    {"strftime_now", strftime_now, 1, .parameters = {"format"}},
    {"joiner", joiner, 0, .parameters = {"sep"}},
    {0},
};
