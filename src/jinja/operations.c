/* SPDX-License-Identifier: MIT
 * Arithmetic, comparison and slices, as Python does them. Integers have 64 bits here, so what would
 * need more is an error. Knows no node: operands are values. */
#include "jinja/interpreter.h"

#include <math.h>

static enum weir_status no_operation(struct run *run, const char *verb, const struct value *a,
                                     const struct value *b)
{
    if (a->kind == VALUE_UNDEFINED || b->kind == VALUE_UNDEFINED) {
        const struct string name = a->kind == VALUE_UNDEFINED ? a->string : b->string;
        return run_fail(run, WEIR_ERR_FORMAT, "'%.*s' is undefined",
                        (int)(name.length < 80 ? name.length : 80), name.bytes);
    }
    return run_fail(run, WEIR_ERR_FORMAT, "cannot %s %s and %s", verb, value_kind_name(a->kind),
                    value_kind_name(b->kind));
}

static enum weir_status overflow(struct run *run)
{
    return run_fail(run, WEIR_ERR_UNSUPPORTED, "a number is too large to compute with");
}

/* ---- numbers --------------------------------------------------------------------------------- */

static enum weir_status power(struct run *run, int64_t base, int64_t exponent, struct value *out)
{
    int64_t product = 1;
    if (exponent < 0) {
        *out = value_float(pow((double)base, (double)exponent));
        return WEIR_OK;
    }
    for (; exponent > 0 && base != 1; exponent--) {
        if (base == 0 || base == -1) { /* nothing grows, so the exponent may be any */
            product = base == 0 ? 0 : exponent % 2 == 0 ? product : -product;
            break;
        }
        if (__builtin_mul_overflow(product, base, &product))
            return overflow(run);
    }
    *out = value_integer(product);
    return WEIR_OK;
}

static enum weir_status integer_operation(struct run *run, enum operation operation, int64_t a,
                                          int64_t b, struct value *out)
{
    int64_t result = 0;
    bool overflows = false;
    const bool divides = operation == OPERATION_FLOOR || operation == OPERATION_MODULO;
    if (divides && b == 0)
        return run_fail(run, WEIR_ERR_FORMAT, "division by zero");
    if (operation == OPERATION_POWER)
        return power(run, a, b, out);
    if (divides && b == -1) { /* the one quotient that may not fit */
        overflows = operation == OPERATION_FLOOR && __builtin_sub_overflow(0, a, &result);
    } else if (operation == OPERATION_ADD) {
        overflows = __builtin_add_overflow(a, b, &result);
    } else if (operation == OPERATION_SUBTRACT) {
        overflows = __builtin_sub_overflow(a, b, &result);
    } else if (operation == OPERATION_MULTIPLY) {
        overflows = __builtin_mul_overflow(a, b, &result);
    } else {
        const int64_t rest = a % b;
        const bool is_above = rest != 0 && (rest < 0) != (b < 0); /* of the floor */
        result = operation == OPERATION_MODULO ? rest + (is_above ? b : 0) : a / b - is_above;
    }
    *out = value_integer(result);
    return overflows ? overflow(run) : WEIR_OK;
}

/* The whole quotient of floats and what is left, which has the sign of `b`. The rest is exact, and
 * the quotient goes by it: 1 // 0.1 is 9, though 1 / 0.1 is rounded to 10. */
static void divide_reals(double a, double b, double *quotient, double *rest)
{
    *rest = fmod(a, b);
    *quotient = (a - *rest) / b;
    if (*rest != 0 && (*rest < 0) != (b < 0)) {
        *rest += b;
        *quotient -= 1;
    }
    *quotient = *quotient == 0 ? copysign(0, a / b) : round(*quotient);
    *rest = *rest == 0 ? copysign(0, b) : *rest;
}

static enum weir_status real_operation(struct run *run, enum operation operation, double a,
                                       double b, struct value *out)
{
    const bool divides = operation == OPERATION_DIVIDE || operation == OPERATION_FLOOR ||
                         operation == OPERATION_MODULO;
    double result = 0, rest;
    if (divides && b == 0)
        return run_fail(run, WEIR_ERR_FORMAT, "division by zero");
    if (operation == OPERATION_ADD)
        result = a + b;
    else if (operation == OPERATION_SUBTRACT)
        result = a - b;
    else if (operation == OPERATION_MULTIPLY)
        result = a * b;
    else if (operation == OPERATION_DIVIDE)
        result = a / b;
    else if (operation == OPERATION_FLOOR)
        divide_reals(a, b, &result, &rest);
    else if (operation == OPERATION_POWER)
        result = pow(a, b);
    else
        divide_reals(a, b, &rest, &result);
    *out = value_float(result);
    return WEIR_OK;
}

static enum weir_status number_operation(struct run *run, enum operation operation,
                                         const struct value *a, const struct value *b,
                                         struct value *out)
{
    int64_t left, right;
    if (a->kind == VALUE_HUGE || b->kind == VALUE_HUGE)
        return overflow(run);
    if (operation != OPERATION_DIVIDE && value_get_integer(a, &left) &&
        value_get_integer(b, &right))
        return integer_operation(run, operation, left, right, out);
    return real_operation(run, operation, value_get_real(a), value_get_real(b), out);
}

/* ---- strings and lists ----------------------------------------------------------------------- */

static enum weir_status concatenate(struct run *run, const struct value *a, const struct value *b,
                                    struct value *out)
{
    struct builder builder = {0};
    enum weir_status status;
    if (a->kind == VALUE_STRING && b->kind == VALUE_STRING)
        TRY(builder_reserve(run, &builder, (uint64_t)a->string.length + b->string.length));
    TRY(builder_add_value(run, &builder, a));
    TRY(builder_add_value(run, &builder, b));
    *out = value_string(builder_string(&builder));
out:
    return status;
}

static enum weir_status add_lists(struct run *run, const struct value *a, const struct value *b,
                                  struct value *out)
{
    const struct value left = *a;
    struct list *list;
    enum weir_status status;
    TRY(list_new(run, 0, &list));
    for (uint32_t i = 0; i < a->list->count; i++)
        TRY(list_add(run, list, &a->list->items[i]));
    for (uint32_t i = 0; i < b->list->count; i++)
        TRY(list_add(run, list, &b->list->items[i]));
    *out = (struct value){.kind = left.kind, .list = list};
out:
    return status;
}

static enum weir_status repeat(struct run *run, struct string string, int64_t count,
                               struct value *out)
{
    struct builder builder = {0};
    enum weir_status status = WEIR_OK;
    for (int64_t i = 0; string.length > 0 && i < count; i++)
        TRY(builder_add(run, &builder, string));
    *out = value_string(builder_string(&builder));
out:
    return status;
}

/* "..." % value: the filter format with what a tuple holds, or with one value. */
static enum weir_status format(struct run *run, const struct value *text,
                               const struct value *values, struct value *out)
{
    const bool is_tuple = values->kind == VALUE_TUPLE;
    struct call call = {.builtin = builtin_filter(string_from("format")),
                        .self = *text,
                        .items = is_tuple ? values->list->items : values,
                        .count = is_tuple ? values->list->count : 1};
    return builtin_call(run, &call, out);
}

static enum weir_status arithmetic(struct run *run, enum operation operation, const char *verb,
                                   const struct value *a, const struct value *b, struct value *out)
{
    int64_t count;
    const bool adds = operation == OPERATION_ADD;
    if (value_is_number(a) && value_is_number(b))
        return number_operation(run, operation, a, b, out);
    if (adds && a->kind == VALUE_STRING && b->kind == VALUE_STRING)
        return concatenate(run, a, b, out);
    if (adds && a->kind == b->kind && value_is_sequence(a))
        return add_lists(run, a, b, out);
    if (operation == OPERATION_MULTIPLY && a->kind == VALUE_STRING && value_get_integer(b, &count))
        return repeat(run, a->string, count, out);
    if (operation == OPERATION_MULTIPLY && b->kind == VALUE_STRING && value_get_integer(a, &count))
        return repeat(run, b->string, count, out);
    if (operation == OPERATION_MODULO && a->kind == VALUE_STRING)
        return format(run, a, b, out);
    return no_operation(run, verb, a, b);
}

static enum weir_status sign(struct run *run, enum operation operation, const struct value *a,
                             struct value *out)
{
    const struct value zero = value_integer(0);
    if (!value_is_number(a))
        return no_operation(run, "negate", a, &zero);
    if (operation == OPERATION_NEGATE && a->kind == VALUE_FLOAT) {
        *out = value_float(-a->number.real);
        return WEIR_OK;
    }
    const bool negates = operation == OPERATION_NEGATE;
    return number_operation(run, negates ? OPERATION_SUBTRACT : OPERATION_ADD, &zero, a, out);
}

/* ---- all operators --------------------------------------------------------------------------- */

static enum weir_status order(struct run *run, enum operation operation, const struct value *a,
                              const struct value *b, struct value *out)
{
    int order;
    enum weir_status status;
    TRY(value_order(run, a, b, &order));
    *out = value_boolean(operation == OPERATION_LESS         ? order < 0
                         : operation == OPERATION_LESS_EQUAL ? order <= 0
                         : operation == OPERATION_GREATER    ? order > 0
                                                             : order >= 0);
out:
    return status;
}

enum weir_status evaluate_operation(struct run *run, enum operation operation,
                                    const struct value *a, const struct value *b, struct value *out)
{
    bool truth = false;
    enum weir_status status = WEIR_OK;
    switch (operation) {
    case OPERATION_ADD: return arithmetic(run, operation, "add", a, b, out);
    case OPERATION_SUBTRACT: return arithmetic(run, operation, "subtract", a, b, out);
    case OPERATION_MULTIPLY: return arithmetic(run, operation, "multiply", a, b, out);
    case OPERATION_DIVIDE:
    case OPERATION_FLOOR:
    case OPERATION_MODULO: return arithmetic(run, operation, "divide", a, b, out);
    case OPERATION_POWER: return arithmetic(run, operation, "raise", a, b, out);
    case OPERATION_CONCATENATE: return concatenate(run, a, b, out);
    case OPERATION_LESS:
    case OPERATION_LESS_EQUAL:
    case OPERATION_GREATER:
    case OPERATION_GREATER_EQUAL: return order(run, operation, a, b, out);
    case OPERATION_NEGATE:
    case OPERATION_PLUS: return sign(run, operation, a, out);
    case OPERATION_NOT: truth = !value_truth(a); break;
    case OPERATION_EQUAL:
    case OPERATION_NOT_EQUAL: TRY(value_equal(run, a, b, &truth)); break;
    case OPERATION_IN:
    case OPERATION_NOT_IN: TRY(value_contains(run, b, a, &truth)); break;
    }
    *out =
        value_boolean(truth != (operation == OPERATION_NOT_EQUAL || operation == OPERATION_NOT_IN));
out:
    return status;
}

/* ---- slices ---------------------------------------------------------------------------------- */

/* A bound of a slice in `count` things: counted from the end if negative, kept within [low, high].
 */
static int64_t clamp(int64_t bound, int64_t count, int64_t low, int64_t high)
{
    bound = bound < 0 ? bound + count : bound;
    return bound < low ? low : bound > high ? high : bound;
}

struct slice {
    int64_t from, to, step;
};

static enum weir_status find_slice(struct run *run, const struct value bounds[3], int64_t count,
                                   struct slice *out)
{
    int64_t numbers[3] = {0};
    bool given[3];
    for (int i = 0; i < 3; i++) {
        given[i] = bounds[i].kind != VALUE_NONE;
        if (given[i] && !value_get_integer(&bounds[i], &numbers[i]))
            return run_fail(run, WEIR_ERR_FORMAT, "a slice takes integers, not %s",
                            value_kind_name(bounds[i].kind));
    }
    const int64_t step = given[2] ? numbers[2] : 1;
    if (step == 0 || step == INT64_MIN)
        return run_fail(run, WEIR_ERR_FORMAT, "this step of a slice leads nowhere");
    const int64_t low = step < 0 ? -1 : 0, high = step < 0 ? count - 1 : count;
    out->from = given[0] ? clamp(numbers[0], count, low, high) : step < 0 ? high : low;
    out->to = given[1] ? clamp(numbers[1], count, low, high) : step < 0 ? low : high;
    out->step = step;
    return WEIR_OK;
}

/* The items of the slice; strings go as lists of their characters. */
static enum weir_status slice_items(struct run *run, const struct list *list, struct slice slice,
                                    struct list **out)
{
    enum weir_status status;
    TRY(list_new(run, 0, out));
    const int64_t distance = slice.step > 0 ? slice.to - slice.from : slice.from - slice.to;
    const int64_t stride = slice.step > 0 ? slice.step : -slice.step;
    for (int64_t i = 0; i<distance; i = stride> distance - i ? distance : i + stride)
        TRY(list_add(run, *out, &list->items[slice.from + (slice.step > 0 ? i : -i)]));
out:
    return status;
}

static enum weir_status slice_string(struct run *run, struct string string,
                                     const struct value bounds[3], struct value *out)
{
    const struct value whole = value_string(string);
    struct list *characters;
    struct builder builder = {0};
    struct slice slice;
    enum weir_status status;
    TRY(run_step(run, string.length));
    TRY(find_slice(run, bounds, string_characters(string), &slice));
    if (slice.step == 1) {
        const uint32_t from = string_offset(string, (uint32_t)slice.from);
        const uint32_t to = string_offset(string, (uint32_t)slice.to);
        *out = value_string(string_part(string, from, to > from ? to : from));
        goto out;
    }
    TRY(value_items(run, &whole, &characters));
    TRY(slice_items(run, characters, slice, &characters));
    for (uint32_t i = 0; i < characters->count; i++)
        TRY(builder_add(run, &builder, characters->items[i].string));
    *out = value_string(builder_string(&builder));
out:
    return status;
}

enum weir_status evaluate_slice(struct run *run, const struct value *object,
                                const struct value bounds[3], struct value *out)
{
    struct slice slice;
    struct list *list;
    enum weir_status status;
    if (object->kind == VALUE_STRING)
        return slice_string(run, object->string, bounds, out);
    if (!value_is_sequence(object))
        return run_fail(run, WEIR_ERR_FORMAT, "%s has no slices", value_kind_name(object->kind));
    TRY(find_slice(run, bounds, object->list->count, &slice));
    TRY(slice_items(run, object->list, slice, &list));
    *out = (struct value){.kind = object->kind, .list = list};
out:
    return status;
}
