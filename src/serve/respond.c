/* SPDX-License-Identifier: MIT
 * Writes JSON from front to back. Knows no API. */
#include "serve/respond.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/utf8.h"

static bool ends_with_value(const struct bytes *out)
{
    if (out->length == 0)
        return false;
    const char last = out->data[out->length - 1];
    return last == '}' || last == ']' || last == '"' || (last >= '0' && last <= '9') ||
           (last >= 'a' && last <= 'z');
}

static void begin(struct bytes *out, const char *key)
{
    if (ends_with_value(out))
        bytes_add_text(out, ",");
    if (key == NULL)
        return;
    bytes_add_text(out, "\"");
    bytes_add_text(out, key);
    bytes_add_text(out, "\":");
}

void put_open(struct bytes *out, const char *key, char bracket)
{
    begin(out, key);
    bytes_add(out, &bracket, 1);
}

void put_close(struct bytes *out, char bracket)
{
    bytes_add(out, &bracket, 1);
}

/* A text of which some bytes are none of UTF-8: names of files may be such. */
static void escape_repaired(struct bytes *out, const char *text, size_t length)
{
    const uint64_t repaired = utf8_repaired_length((const uint8_t *)text, length);
    char *copy = mem_alloc(repaired, 1, NULL);
    if (copy == NULL) {
        out->has_failed = true;
        return;
    }
    utf8_repair((const uint8_t *)text, length, (uint8_t *)copy);
    json_escape((struct printer){bytes_sink, out}, copy, repaired);
    mem_free(copy);
}

void put_string(struct bytes *out, const char *key, const char *text, size_t length)
{
    begin(out, key);
    bytes_add_text(out, "\"");
    if (length > 0 && utf8_repaired_length((const uint8_t *)text, length) != length)
        escape_repaired(out, text, length);
    else if (length > 0)
        json_escape((struct printer){bytes_sink, out}, text, length);
    bytes_add_text(out, "\"");
}

void put_text(struct bytes *out, const char *key, const char *text)
{
    put_string(out, key, text, strlen(text));
}

void put_bool(struct bytes *out, const char *key, bool value)
{
    begin(out, key);
    bytes_add_text(out, value ? "true" : "false");
}

void put_null(struct bytes *out, const char *key)
{
    begin(out, key);
    bytes_add_text(out, "null");
}

void put_integer(struct bytes *out, const char *key, int64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, value);
    begin(out, key);
    bytes_add_text(out, text);
}

/* With a point, as clients with types expect of a number that is none of a count. */
static void put_digits(struct bytes *out, const char *key, const char *digits)
{
    begin(out, key);
    bytes_add_text(out, digits);
    if (strpbrk(digits, ".e") == NULL)
        bytes_add_text(out, ".0");
}

enum { DIGITS_BYTES = 40 };

void put_number(struct bytes *out, const char *key, double value)
{
    if (!isfinite(value)) {
        put_null(out, key);
        return;
    }
    char digits[DIGITS_BYTES];
    for (int precision = 15; precision <= 17; precision++) { // 17 always suffice for a double
        snprintf(digits, sizeof digits, "%.*g", precision, value);
        if (strtod(digits, NULL) == value)
            break;
    }
    put_digits(out, key, digits);
}

void put_float(struct bytes *out, const char *key, float value)
{
    if (!isfinite(value)) {
        put_null(out, key);
        return;
    }
    char digits[DIGITS_BYTES];
    for (int precision = 6; precision <= 9; precision++) { // 9 always suffice for a float
        snprintf(digits, sizeof digits, "%.*g", precision, (double)value);
        if (strtof(digits, NULL) == value)
            break;
    }
    put_digits(out, key, digits);
}

void put_json(struct bytes *out, const char *key, const char *json, size_t length)
{
    begin(out, key);
    bytes_add(out, json, length);
}

void put_member(struct bytes *out, struct json_text key, struct json_text json)
{
    put_string(out, NULL, key.bytes, key.length);
    bytes_add_text(out, ":");
    bytes_add(out, json.bytes, json.length);
}

void id_print(char out[ID_LENGTH + 1], uint64_t seed, uint64_t number)
{
    static const char letters[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    for (uint32_t i = 0; i < ID_LENGTH; i++)
        out[i] = letters[rng_bits(seed, number, i) % (sizeof letters - 1)];
    out[ID_LENGTH] = 0;
}

void put_id(struct bytes *out, const char *key, const char *prefix, uint64_t seed, uint64_t number)
{
    char id[ID_LENGTH + 1];
    id_print(id, seed, number);
    begin(out, key);
    bytes_add_text(out, "\"");
    bytes_add_text(out, prefix);
    bytes_add_text(out, id);
    bytes_add_text(out, "\"");
}
