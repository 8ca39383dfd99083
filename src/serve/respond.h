/* SPDX-License-Identifier: MIT
 * JSON that is written from front to back: values behind each other, with the commas between them.
 * Knows no API. */
#ifndef SERVE_RESPOND_H
#define SERVE_RESPOND_H

#include "base/bytes.h"
#include "json/json.h"

/* Each adds a value: of an object with its key, which needs no escapes; of an array, or a text of
 * its own, with NULL. A comma is put before it where the value does not come first, which the last
 * byte tells: only values end with a letter, a digit, a quote or a closing bracket. */

/* An object or array begins, by '{' or '['; put_close ends it, by '}' or ']'. */
void put_open(struct bytes *out, const char *key, char bracket);
void put_close(struct bytes *out, char bracket);

/* Bytes that are no UTF-8 become U+FFFD. */
void put_string(struct bytes *out, const char *key, const char *text, size_t length);
void put_text(struct bytes *out, const char *key, const char *text);
void put_bool(struct bytes *out, const char *key, bool value);
void put_null(struct bytes *out, const char *key);
void put_integer(struct bytes *out, const char *key, int64_t value);
/* The shortest digits that are read as this value again; null for what is not finite. */
void put_number(struct bytes *out, const char *key, double value);
void put_float(struct bytes *out, const char *key, float value);
/* A value that is JSON already. */
void put_json(struct bytes *out, const char *key, const char *json, size_t length);

/* A member of which the key may need escapes. */
void put_member(struct bytes *out, struct json_text key, struct json_text json);

/* Letters and digits that name something in a response: the same of the same numbers. */
enum { ID_LENGTH = 32 };
void put_id(struct bytes *out, const char *key, const char *prefix, uint64_t seed, uint64_t number);
/* The same, of ID_LENGTH characters, and a zero behind them. */
void id_print(char out[ID_LENGTH + 1], uint64_t seed, uint64_t number);

#endif
