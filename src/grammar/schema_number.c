/* SPDX-License-Identifier: MIT
 * Numbers of JSON, between bounds. Knows no other type.
 *
 * A number is compared with its bounds digit by digit, from the left: it has been equal to the
 * lower one so far or is above it, and likewise with the upper one. So a number with n digits
 * before the point is a path over at most 4 nodes for each digit. */
#include <stdlib.h>
#include <string.h>

#include "grammar/schema.h"

enum {
    DIGITS_MAX = 16, /* before and behind the point, as many as a double tells apart */
    BOUND_DIGITS = 32,
};

/* ---- without bounds -------------------------------------------------------------------------- */

static enum weir_status add_digit(struct rules_builder *builder, uint32_t from, uint32_t to,
                                  char first, char last, struct weir_error *err)
{
    const struct code_range range = {(uint8_t)first, (uint8_t)last};
    return rules_range(builder, from, to, range, err);
}

/* Up to `most` digits. */
static enum weir_status add_digits(struct rules_builder *builder, uint32_t from, uint32_t to,
                                   uint32_t most, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < most; i++) {
        uint32_t next;
        TRY(rules_free(builder, from, to, err));
        TRY(rules_node(builder, &next, err));
        TRY(add_digit(builder, from, next, '0', '9', err));
        from = next;
    }
    TRY(rules_free(builder, from, to, err));
out:
    return status;
}

/* 0, or digits that do not begin with it. */
static enum weir_status add_whole(struct rules_builder *builder, uint32_t from, uint32_t to,
                                  struct weir_error *err)
{
    uint32_t next;
    enum weir_status status;
    TRY(rules_bytes(builder, from, to, "0", 1, err));
    TRY(rules_node(builder, &next, err));
    TRY(add_digit(builder, from, next, '1', '9', err));
    TRY(add_digits(builder, next, to, DIGITS_MAX - 1, err));
out:
    return status;
}

static enum weir_status add_exponent(struct schema *schema, uint32_t from, uint32_t to,
                                     struct weir_error *err)
{
    struct rules_builder *builder = &schema->builder;
    uint32_t sign, digits;
    enum weir_status status;
    TRY(rules_node(builder, &sign, err));
    TRY(rules_node(builder, &digits, err));
    TRY(rules_bytes(builder, from, sign, "e", 1, err));
    TRY(rules_bytes(builder, from, sign, "E", 1, err));
    TRY(rules_free(builder, sign, digits, err));
    TRY(rules_bytes(builder, sign, digits, "+", 1, err));
    TRY(rules_bytes(builder, sign, digits, "-", 1, err));
    TRY(add_whole(builder, digits, to, err));
out:
    return status;
}

enum weir_status schema_emit_any_number(struct schema *schema, bool integer, uint32_t from,
                                        uint32_t to, struct weir_error *err)
{
    struct rules_builder *builder = &schema->builder;
    uint32_t begin, whole, fraction, digits;
    enum weir_status status;
    TRY(rules_node(builder, &begin, err));
    TRY(rules_free(builder, from, begin, err));
    TRY(rules_bytes(builder, from, begin, "-", 1, err));
    if (integer)
        return add_whole(builder, begin, to, err);
    TRY(rules_node(builder, &whole, err));
    TRY(rules_node(builder, &fraction, err));
    TRY(add_whole(builder, begin, whole, err));
    TRY(rules_free(builder, whole, fraction, err));
    digits = whole;
    TRY(schema_put(schema, &digits, ".", err));
    uint32_t next;
    TRY(rules_node(builder, &next, err));
    TRY(add_digit(builder, digits, next, '0', '9', err));
    TRY(add_digits(builder, next, fraction, DIGITS_MAX - 1, err));
    TRY(rules_free(builder, fraction, to, err));
    TRY(add_exponent(schema, fraction, to, err));
out:
    return status;
}

/* ---- bounds ---------------------------------------------------------------------------------- */

/* A decimal number: digits before the point, without leading zeros but for the only one, and behind
 * it, without trailing ones. */
struct decimal {
    bool is_negative, is_zero;
    uint32_t whole_count, fraction_count;
    char whole[BOUND_DIGITS], fraction[BOUND_DIGITS];
};

struct bound {
    bool is_there, excluded;
    struct decimal number;
    const struct json *at;
};

/* The digits of a number's text, and how many of them stand before the point. False if there are
 * too many. */
static bool read_digits(struct json_text text, char *digits, uint32_t *count, int *point)
{
    size_t i = text.length > 0 && text.bytes[0] == '-';
    bool behind = false;
    *count = 0;
    *point = 0;
    for (; i < text.length && (text.bytes[i] | 0x20) != 'e'; i++) {
        const char c = text.bytes[i];
        if (c == '.') {
            behind = true;
            continue;
        }
        if (*count == BOUND_DIGITS)
            return false;
        digits[(*count)++] = c;
        *point += !behind;
    }
    if (i == text.length)
        return true;
    char exponent[8] = {0};
    const size_t length = text.length - i - 1;
    if (length >= sizeof exponent)
        return false;
    memcpy(exponent, text.bytes + i + 1, length);
    *point += (int)strtol(exponent, NULL, 10);
    return true;
}

/* False if the number has too many digits. */
static bool read_decimal(struct json_text text, struct decimal *out)
{
    char digits[BOUND_DIGITS];
    uint32_t count;
    int point;
    *out = (struct decimal){.is_zero = true};
    if (!read_digits(text, digits, &count, &point) || point > BOUND_DIGITS ||
        (int)count - point > BOUND_DIGITS)
        return false;
    for (int place = point < 0 ? point : 0; place < (int)count || place < point; place++) {
        const char digit = place >= 0 && place < (int)count ? digits[place] : '0';
        out->is_zero = out->is_zero && digit == '0';
        if (place >= point)
            out->fraction[out->fraction_count++] = digit;
        else if (out->whole_count > 0 || digit != '0')
            out->whole[out->whole_count++] = digit;
    }
    while (out->fraction_count > 0 && out->fraction[out->fraction_count - 1] == '0')
        out->fraction_count--;
    if (out->whole_count == 0)
        out->whole[out->whole_count++] = '0';
    out->is_negative = text.bytes[0] == '-' && !out->is_zero;
    return true;
}

static int compare_sizes(const struct decimal *a, const struct decimal *b)
{
    if (a->whole_count != b->whole_count)
        return a->whole_count < b->whole_count ? -1 : 1;
    const int order = memcmp(a->whole, b->whole, a->whole_count);
    if (order != 0)
        return order;
    const uint32_t common =
        a->fraction_count < b->fraction_count ? a->fraction_count : b->fraction_count;
    const int behind = memcmp(a->fraction, b->fraction, common);
    return behind != 0 ? behind : (int)a->fraction_count - (int)b->fraction_count;
}

static int compare(const struct decimal *a, const struct decimal *b)
{
    if (a->is_negative != b->is_negative)
        return a->is_negative ? -1 : 1;
    return a->is_negative ? compare_sizes(b, a) : compare_sizes(a, b);
}

static const struct {
    const char *keyword;
    bool upper, excluded;
} bound_keywords[] = {
    {"minimum", false, false},
    {"maximum", true, false},
    {"exclusiveMinimum", false, true},
    {"exclusiveMaximum", true, true},
};

/* Takes the narrower bound. */
static void narrow(struct bound *bound, const struct bound *other, bool upper)
{
    const int order = bound->is_there ? compare(&other->number, &bound->number) : 0;
    if (!bound->is_there || (upper ? order < 0 : order > 0) || (order == 0 && other->excluded))
        *bound = *other;
}

static enum weir_status read_bounds(struct schema *schema, const struct schema_list *list,
                                    struct bound *low, struct bound *high, struct weir_error *err)
{
    for (uint64_t i = 0; i < list->count; i++) {
        for (size_t k = 0; k < sizeof bound_keywords / sizeof bound_keywords[0]; k++) {
            const char *keyword = bound_keywords[k].keyword;
            const struct json *value = schema_get(&list->items[i], keyword);
            if (value == NULL)
                continue;
            struct bound bound = {
                .is_there = true, .excluded = bound_keywords[k].excluded, .at = value};
            if (value->kind != JSON_NUMBER)
                return schema_refuse(schema, WEIR_ERR_ARGUMENT, value, err, "%s is not a number",
                                     keyword);
            if (!read_decimal(value->text, &bound.number))
                return schema_refuse(schema, WEIR_ERR_UNSUPPORTED, value, err,
                                     "%s has more than %d digits", keyword, BOUND_DIGITS);
            narrow(bound_keywords[k].upper ? high : low, &bound, bound_keywords[k].upper);
        }
    }
    return WEIR_OK;
}

/* ---- between bounds -------------------------------------------------------------------------- */

/* Sizes, without sign, between two bounds of which each may be missing. */
struct span_of_sizes {
    const struct bound *low, *high;
    bool integer;
};

/* Which bounds the digits so far are equal to. */
struct tight {
    bool low, high;
};

static char digit_of(const char *digits, uint32_t count, uint32_t place)
{
    return place < count ? digits[place] : '0';
}

static bool zeros_from(const struct decimal *number, uint32_t place)
{
    return place >= number->fraction_count; /* trailing zeros are not kept */
}

/* Whether a number may end before place `place` behind the point. */
static bool may_end(const struct span_of_sizes *span, struct tight tight, uint32_t place)
{
    if (tight.low && (!zeros_from(&span->low->number, place) || span->low->excluded))
        return false;
    return !tight.high || !zeros_from(&span->high->number, place) || !span->high->excluded;
}

/* The nodes of the numbers with so many digits read: by tight.low + 2 * tight.high. */
struct places {
    uint32_t node[4];
};

static uint32_t *place_of(struct places *places, struct tight tight)
{
    return &places->node[tight.low + 2 * tight.high];
}

/* Adds the ways over one digit, between the bounds' digits where the number is equal to them. */
static enum weir_status add_tight_digit(struct rules_builder *builder, struct places *from,
                                        struct places *to, char least, char low, char high,
                                        struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < 4; i++) {
        const struct tight tight = {(i & 1) != 0, (i & 2) != 0};
        for (char digit = least; digit <= '9' && from->node[i] != RULES_NONE; digit++) {
            const struct tight next = {tight.low && digit == low, tight.high && digit == high};
            if ((tight.low && digit < low) || (tight.high && digit > high))
                continue;
            uint32_t *node = place_of(to, next);
            if (*node == RULES_NONE)
                TRY(rules_node(builder, node, err));
            TRY(add_digit(builder, from->node[i], *node, digit, digit, err));
        }
    }
out:
    return status;
}

static enum weir_status add_ends(struct rules_builder *builder, const struct span_of_sizes *span,
                                 const struct places *places, uint32_t place, uint32_t to,
                                 struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < 4; i++) {
        const struct tight tight = {(i & 1) != 0, (i & 2) != 0};
        if (places->node[i] != RULES_NONE && may_end(span, tight, place))
            TRY(rules_free(builder, places->node[i], to, err));
    }
out:
    return status;
}

static enum weir_status add_fraction(struct schema *schema, const struct span_of_sizes *span,
                                     struct places places, uint32_t to, struct weir_error *err)
{
    static const struct decimal zero = {.is_zero = true};
    const struct decimal *low = span->low != NULL ? &span->low->number : &zero;
    const struct decimal *high = span->high != NULL ? &span->high->number : &zero;
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < 4; i++) {
        if (places.node[i] != RULES_NONE)
            TRY(schema_put(schema, &places.node[i], ".", err));
    }
    for (uint32_t place = 0; place < DIGITS_MAX; place++) {
        struct places next = {{0}};
        TRY(add_tight_digit(&schema->builder, &places, &next, '0',
                            digit_of(low->fraction, low->fraction_count, place),
                            digit_of(high->fraction, high->fraction_count, place), err));
        TRY(add_ends(&schema->builder, span, &next, place + 1, to, err));
        places = next;
    }
out:
    return status;
}

/* Sizes with `count` digits before the point, which both bounds allow. */
static enum weir_status add_of_length(struct schema *schema, const struct span_of_sizes *span,
                                      uint32_t count, uint32_t from, uint32_t to,
                                      struct weir_error *err)
{
    const struct decimal *low = span->low != NULL ? &span->low->number : NULL;
    const struct decimal *high = span->high != NULL ? &span->high->number : NULL;
    const struct tight tight = {low != NULL && low->whole_count == count,
                                high != NULL && high->whole_count == count};
    struct places places = {{0}};
    enum weir_status status = WEIR_OK;
    *place_of(&places, tight) = from;
    for (uint32_t i = 0; i < count; i++) {
        struct places next = {{0}};
        TRY(add_tight_digit(&schema->builder, &places, &next, i == 0 && count > 1 ? '1' : '0',
                            tight.low ? low->whole[i] : '0', tight.high ? high->whole[i] : '0',
                            err));
        places = next;
    }
    TRY(add_ends(&schema->builder, span, &places, 0, to, err));
    if (!span->integer)
        TRY(add_fraction(schema, span, places, to, err));
out:
    return status;
}

static enum weir_status add_sizes(struct schema *schema, const struct span_of_sizes *span,
                                  uint32_t from, uint32_t to, struct weir_error *err)
{
    const uint32_t least = span->low != NULL ? span->low->number.whole_count : 1;
    const uint32_t usual = least > DIGITS_MAX ? least : DIGITS_MAX;
    const uint32_t most = span->high != NULL ? span->high->number.whole_count : usual;
    enum weir_status status = WEIR_OK;
    for (uint32_t count = least; count <= most; count++)
        TRY(add_of_length(schema, span, count, from, to, err));
out:
    return status;
}

/* Numbers with a minus have sizes between the bounds' sizes, the other way round. */
static enum weir_status add_bounded(struct schema *schema, const struct bound *low,
                                    const struct bound *high, bool integer, uint32_t from,
                                    uint32_t to, struct weir_error *err)
{
    const bool has_low = low->is_there, has_high = high->is_there;
    const bool low_negative = has_low && low->number.is_negative;
    const bool high_negative = has_high && high->number.is_negative;
    enum weir_status status = WEIR_OK;
    if (!high_negative && !(has_high && high->number.is_zero && high->excluded)) {
        const struct span_of_sizes sizes = {has_low && !low_negative ? low : NULL,
                                            has_high ? high : NULL, integer};
        TRY(add_sizes(schema, &sizes, from, to, err));
    }
    if (!has_low || low_negative) {
        const struct bound zero = {.excluded = true,
                                   .number = {.is_zero = true, .whole_count = 1, .whole = {'0'}}};
        const struct span_of_sizes sizes = {high_negative ? high : &zero, has_low ? low : NULL,
                                            integer};
        uint32_t at = from;
        TRY(schema_put(schema, &at, "-", err));
        TRY(add_sizes(schema, &sizes, at, to, err));
    }
out:
    return status;
}

static enum weir_status emit_number(struct schema *schema, const struct schema_list *list,
                                    bool integer, uint32_t from, uint32_t to,
                                    struct weir_error *err)
{
    struct bound low = {0}, high = {0};
    enum weir_status status;
    TRY(read_bounds(schema, list, &low, &high, err));
    if (!low.is_there && !high.is_there)
        return rules_call(&schema->builder, from, to, integer ? schema->integer : schema->number,
                          err);
    const int order = low.is_there && high.is_there ? compare(&low.number, &high.number) : -1;
    if (order > 0 || (order == 0 && (low.excluded || high.excluded)))
        return schema_nothing(schema, low.at, "the least number is above the greatest");
    TRY(add_bounded(schema, &low, &high, integer, from, to, err));
out:
    return status;
}

enum weir_status schema_emit_integer(struct schema *schema, const struct schema_list *list,
                                     uint32_t from, uint32_t to, struct weir_error *err)
{
    return emit_number(schema, list, true, from, to, err);
}

enum weir_status schema_emit_number(struct schema *schema, const struct schema_list *list,
                                    uint32_t from, uint32_t to, struct weir_error *err)
{
    return emit_number(schema, list, false, from, to, err);
}
