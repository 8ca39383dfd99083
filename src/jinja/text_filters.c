/* SPDX-License-Identifier: MIT
 * Filters of strings and numbers. Knows not how they are called. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jinja/strings.h"
#include "jinja/variables.h"

/* ---- as text --------------------------------------------------------------------------------- */

static enum weir_status filter_string(struct run *run, const struct call *call, struct value *out)
{
    struct string string;
    const enum weir_status status = value_show(run, &call->self, &string);
    *out = value_string(string);
    return status;
}

/* As the chat templates of Hugging Face know it. */
static enum weir_status filter_tojson(struct run *run, const struct call *call, struct value *out)
{
    struct builder builder = {0};
    int64_t indent;
    enum weir_status status;
    for (int i = 0; i < BUILTIN_PARAMETERS_MAX; i++) {
        if (i != 1 && value_truth(&call->arguments[i]))
            return run_fail(run, WEIR_ERR_UNSUPPORTED, "tojson with '%s' is not known here",
                            call->builtin->parameters[i]);
    }
    TRY(argument_integer(run, call, 1, -1, &indent));
    TRY(builder_add_json(run, &builder, &call->self,
                         indent < 0    ? -1
                         : indent > 64 ? 64
                                       : (int32_t)indent));
    *out = value_string(builder_string(&builder));
out:
    return status;
}

/* As in HTML. The result is a string like others: escaped again, it is escaped twice. */
static enum weir_status filter_escape(struct run *run, const struct call *call, struct value *out)
{
    static const struct {
        char character;
        const char *name;
    } rows[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&#34;"}, {'\'', "&#39;"}};
    struct builder builder = {0};
    struct string string;
    uint32_t from = 0;
    enum weir_status status;
    TRY(value_show(run, &call->self, &string));
    for (uint32_t i = 0; i < string.length; i++) {
        for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
            if (string.bytes[i] != rows[row].character)
                continue;
            TRY(builder_add(run, &builder, string_part(string, from, i)));
            TRY(builder_add(run, &builder, string_from(rows[row].name)));
            from = i + 1;
        }
    }
    TRY(builder_add(run, &builder, string_part(string, from, string.length)));
    *out = value_string(builder_string(&builder));
out:
    return status;
}

static enum weir_status filter_from_json(struct run *run, const struct call *call,
                                         struct value *out)
{
    struct string text;
    enum weir_status status;
    TRY(value_show(run, &call->self, &text));
    TRY(run_step(run, text.length));
    TRY(variable_parse(run, text, out));
out:
    return status;
}

static enum weir_status filter_length(struct run *run, const struct call *call, struct value *out)
{
    const struct value *self = &call->self;
    int64_t length = 0;
    if (self->kind == VALUE_STRING)
        length = string_characters(self->string);
    else if (value_is_sequence(self))
        length = self->list->count;
    else if (self->kind == VALUE_DICT)
        length = self->dict->count;
    else if (self->kind != VALUE_UNDEFINED)
        return run_fail(run, WEIR_ERR_FORMAT, "%s has no length", value_kind_name(self->kind));
    *out = value_integer(length);
    return run_step(run, self->kind == VALUE_STRING ? self->string.length : 0);
}

/* A newline instead of the end of a line, of whom that is. */
static enum weir_status add_newline(struct run *run, struct builder *builder,
                                    struct string line_end)
{
    const struct string newline = {"\n", line_end.origins, 1};
    return builder_add(run, builder, newline);
}

/* Lines behind the first begin with white space; empty ones only with `blank`. They end with a
 * newline, whatever they ended with; a last "\r" is none, as jinja2 has it. */
static enum weir_status filter_indent(struct run *run, const struct call *call, struct value *out)
{
    const struct value *width = &call->arguments[0];
    const bool first = value_truth(&call->arguments[1]), blank = value_truth(&call->arguments[2]);
    struct value space = value_string(string_from("    "));
    struct builder builder = {0};
    struct string string;
    uint32_t from = 0;
    enum weir_status status;
    TRY(value_show(run, &call->self, &string));
    if (width->kind == VALUE_STRING) {
        space = *width;
    } else if (width->kind != VALUE_UNDEFINED) {
        const struct value one = value_string(string_from(" "));
        TRY(evaluate_operation(run, OPERATION_MULTIPLY, &one, width, &space));
    }
    if (first)
        TRY(builder_add(run, &builder, space.string));
    if (string.length > 0 && string.bytes[string.length - 1] == '\r')
        string = string_part(string, 0, string.length - 1);
    for (uint32_t i = 0; i < string.length; i++) {
        const uint32_t end = string_line_end(string, i);
        if (end == 0)
            continue;
        TRY(builder_add(run, &builder, string_part(string, from, i)));
        TRY(add_newline(run, &builder, string_part(string, i, i + end)));
        from = i + end;
        i = from - 1;
        if (blank || (from < string.length && string_line_end(string, from) == 0))
            TRY(builder_add(run, &builder, space.string));
    }
    TRY(builder_add(run, &builder, string_part(string, from, string.length)));
    *out = value_string(builder_string(&builder));
out:
    return status;
}

/* ---- as numbers ------------------------------------------------------------------------------ */

enum { NUMBER_BYTES_MAX = 64 };
#define INTEGERS_END 0x1p63 /* the first that 64 bits do not hold */

/* The string without white space around it, as strtod reads it; false: too long, or no decimal
 * number. */
static bool number_text(struct string string, char out[NUMBER_BYTES_MAX])
{
    for (uint32_t bytes = 1; bytes > 0; string = string_part(string, bytes, string.length))
        bytes = space_first(string.bytes, string.length);
    for (uint32_t bytes = 1; bytes > 0; string = string_part(string, 0, string.length - bytes))
        bytes = space_last(string.bytes, string.length);
    if (string.length == 0 || string.length >= NUMBER_BYTES_MAX)
        return false;
    memcpy(out, string.bytes, string.length);
    out[string.length] = 0;
    return strspn(out, "0123456789+-.eE") == string.length;
}

static bool read_real(const struct value *value, double *out)
{
    char text[NUMBER_BYTES_MAX], *end = text;
    if (value_is_number(value)) {
        *out = value_get_real(value);
        return true;
    }
    if (value->kind != VALUE_STRING || !number_text(value->string, text))
        return false;
    *out = strtod(text, &end);
    return *end == 0;
}

/* Digits alone with a sign; what has a point is cut off behind it. */
static bool read_integer(const struct value *value, int64_t *out)
{
    char text[NUMBER_BYTES_MAX], *end = text;
    double real;
    if (value_get_integer(value, out))
        return true;
    if (value->kind == VALUE_STRING && number_text(value->string, text)) {
        errno = 0;
        *out = strtoll(text, &end, 10);
        if (end > text && *end == 0 && errno == 0)
            return true;
    }
    if (!read_real(value, &real) || !(fabs(real) < INTEGERS_END))
        return false;
    *out = (int64_t)real;
    return true;
}

/* White space around a number may be long. */
static enum weir_status step_number(struct run *run, const struct value *value)
{
    return run_step(run, value->kind == VALUE_STRING ? value->string.length : 0);
}

static enum weir_status filter_int(struct run *run, const struct call *call, struct value *out)
{
    int64_t integer;
    double real;
    *out = call->arguments[0].kind == VALUE_UNDEFINED ? value_integer(0) : call->arguments[0];
    if (read_integer(&call->self, &integer))
        *out = value_integer(integer);
    else if (call->self.kind == VALUE_HUGE)
        *out = call->self;
    else if (read_real(&call->self, &real) && fabs(real) >= INTEGERS_END)
        return run_fail(run, WEIR_ERR_UNSUPPORTED, "a number is too large to compute with");
    return step_number(run, &call->self);
}

static enum weir_status filter_float(struct run *run, const struct call *call, struct value *out)
{
    double real;
    *out = call->arguments[0].kind == VALUE_UNDEFINED ? value_float(0) : call->arguments[0];
    if (read_real(&call->self, &real))
        *out = value_float(real);
    return step_number(run, &call->self);
}

static enum weir_status filter_abs(struct run *run, const struct call *call, struct value *out)
{
    const struct value zero = value_integer(0);
    struct value is_negative;
    enum weir_status status;
    *out = call->self;
    TRY(evaluate_operation(run, OPERATION_LESS, &call->self, &zero, &is_negative));
    if (value_truth(&is_negative))
        TRY(evaluate_operation(run, OPERATION_NEGATE, &call->self, &zero, out));
out:
    return status;
}

/* To a number of decimal places: common (to the nearest, ties to even), ceil or floor. The nearest
 * to an integer is itself; the others make floats of integers as well. */
static enum weir_status filter_round(struct run *run, const struct call *call, struct value *out)
{
    enum { PLACES_MAX = 20, TEXT_BYTES = 400 };
    int64_t places, integer;
    struct string method;
    char text[TEXT_BYTES];
    enum weir_status status;
    TRY(argument_integer(run, call, 0, 0, &places));
    TRY(argument_string(run, call, 1, "common", &method));
    if (!value_is_number(&call->self) || places < 0 || places > PLACES_MAX)
        return run_fail(run, WEIR_ERR_FORMAT, "%s is not rounded to %lld places",
                        value_kind_name(call->self.kind), (long long)places);
    const double real = value_get_real(&call->self), scale = pow(10, (double)places);
    if (string_is(method, "ceil")) {
        *out = value_float(ceil(real * scale) / scale);
    } else if (string_is(method, "floor")) {
        *out = value_float(floor(real * scale) / scale);
    } else if (string_is(method, "common") && call->self.kind != VALUE_FLOAT) {
        *out = call->self;
        if (value_get_integer(&call->self, &integer))
            *out = value_integer(integer); /* of a boolean too */
    } else if (string_is(method, "common")) {
        snprintf(text, sizeof text, "%.*f", (int)places, real); /* exact, so ties are real ones */
        *out = value_float(strtod(text, NULL));
    } else {
        TRY(run_fail(run, WEIR_ERR_FORMAT, "round knows common, ceil and floor"));
    }
out:
    return status;
}

const struct builtin filters_of_text[] = {
    {"tojson", filter_tojson, .parameters = {"ensure_ascii", "indent", "separators", "sort_keys"}},
    {"from_json", filter_from_json},
    {"string", filter_string},
    {"safe", filter_string},
    {"escape", filter_escape},
    {"e", filter_escape},
    {"trim", string_strip, .parameters = {"chars"}, .variant = STRIP_LEFT | STRIP_RIGHT},
    {"length", filter_length},
    {"count", filter_length},
    {"replace", string_replace, 2, .parameters = {"old", "new", "count"}},
    {"upper", string_change_case, .variant = CASE_UPPER},
    {"lower", string_change_case, .variant = CASE_LOWER},
    {"capitalize", string_change_case, .variant = CASE_CAPITALIZE},
    {"title", string_change_case, .variant = CASE_WORDS},
    {"format", string_format, .takes_all = true},
    {"indent", filter_indent, .parameters = {"width", "first", "blank"}},
    {"int", filter_int, .parameters = {"default"}},
    {"float", filter_float, .parameters = {"default"}},
    {"abs", filter_abs},
    {"round", filter_round, .parameters = {"precision", "method"}},
    {0},
};
