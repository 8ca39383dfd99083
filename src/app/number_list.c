/* SPDX-License-Identifier: MIT
 * Lists of numbers. Knows not what they mean. */
#include "app/number_list.h"

#include <stdlib.h>
#include <string.h>

#include "app/number.h"
#include "base/err.h"
#include "base/mem.h"

enum weir_status number_list_add(struct number_list *list, int64_t number, struct weir_error *err)
{
    if (list->count == NUMBER_LIST_MAX)
        return err_set(err, WEIR_ERR_ARGUMENT, "more than %d values", NUMBER_LIST_MAX);
    const enum weir_status status =
        mem_grow(&list->items, &list->capacity, list->count + 1, sizeof *list->items, err);
    if (status == WEIR_OK)
        list->items[list->count++] = number;
    return status;
}

/* FIRST, FIRST-LAST, FIRST-LAST+STEP or FIRST-LAST*FACTOR; a single number is a range of one. */
struct range {
    int64_t first, last, step;
    char sign; /* '+' or '*' */
};

/* Reads the decimal digits that *text begins with, and passes them. False if there are none, or
 * more than a number of 64 bits has. */
static bool read_digits(const char **text, int64_t *out)
{
    char digits[20] = "";
    const size_t length = strspn(*text, "0123456789");
    if (length == 0 || length >= sizeof digits)
        return false;
    memcpy(digits, *text, length);
    *text += length;
    return number_read_integer(digits, out);
}

static bool read_range(const char **text, struct range *range)
{
    if (!read_digits(text, &range->first))
        return false;
    *range = (struct range){range->first, range->first, 1, '+'};
    if (**text == '-') {
        (*text)++;
        if (!read_digits(text, &range->last))
            return false;
        if (**text == '+' || **text == '*') {
            range->sign = *(*text)++;
            if (!read_digits(text, &range->step))
                return false;
        }
    }
    return **text == 0 || **text == ',';
}

/* Whether the range is one that ends: upwards, and each step leads on. */
static bool range_ends(const struct range *range)
{
    const bool is_product = range->sign == '*';
    return range->first <= range->last && range->step >= (is_product ? 2 : 1) &&
           !(is_product && range->first == 0);
}

static enum weir_status add_range(struct number_list *list, const struct range *range,
                                  struct weir_error *err)
{
    int64_t number = range->first;
    for (;;) {
        const enum weir_status status = number_list_add(list, number, err);
        if (status != WEIR_OK)
            return status;
        const bool overflows = range->sign == '*'
                                   ? __builtin_mul_overflow(number, range->step, &number)
                                   : __builtin_add_overflow(number, range->step, &number);
        if (overflows || number > range->last)
            return WEIR_OK;
    }
}

enum weir_status number_list_read(struct number_list *list, const char *text, int64_t low,
                                  int64_t high, struct weir_error *err)
{
    const char *rest = text;
    for (;;) {
        struct range range;
        const bool is_range = read_range(&rest, &range) && range_ends(&range);
        if (!is_range || range.first < low || range.last > high)
            return err_set(err, WEIR_ERR_ARGUMENT,
                           "'%s' is not a list of numbers from %lld to %lld, or of ranges as 1-8, "
                           "1-9+2 or 1-64*2",
                           text, (long long)low, (long long)high);
        const enum weir_status status = add_range(list, &range, err);
        if (status != WEIR_OK)
            return status;
        if (*rest == 0)
            return WEIR_OK;
        rest++;
    }
}

/* The place of a word in "word|word"; -1 if it is none of them. */
static int64_t find_word(const char *words, const char *word, size_t length)
{
    int64_t place = 0;
    for (const char *at = words; *at != 0; place++) {
        const size_t at_length = strcspn(at, "|");
        if (at_length == length && memcmp(at, word, length) == 0)
            return place;
        at += at_length + (at[at_length] == '|');
    }
    return -1;
}

enum weir_status number_list_read_words(struct number_list *list, const char *text,
                                        const char *words, int64_t first, struct weir_error *err)
{
    const char *rest = text;
    for (;;) {
        const size_t length = strcspn(rest, ",");
        const int64_t place = find_word(words, rest, length);
        if (place < 0)
            return err_set(err, WEIR_ERR_ARGUMENT, "'%.*s' is not one of %s", (int)length, rest,
                           words);
        const enum weir_status status = number_list_add(list, first + place, err);
        if (status != WEIR_OK || rest[length] == 0)
            return status;
        rest += length + 1;
    }
}
