/* SPDX-License-Identifier: MIT
 * JSON as it was written: keys in their order, numbers as their text. */
#ifndef JSON_JSON_H
#define JSON_JSON_H

#include "base/err.h"
#include "base/text.h"

/* Objects and arrays within each other; fewer in what becomes a part of a larger text, which is to
 * be readable as well. */
enum { JSON_DEPTH_MAX = 128, JSON_PART_DEPTH_MAX = JSON_DEPTH_MAX - 32 };

enum { JSON_FEW = 16 }; /* members that are looked through one by one */

enum json_kind {
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
};

/* Not zero-terminated; a string of JSON may hold zeros. */
struct json_text {
    const char *bytes;
    size_t length;
};

struct json {
    enum json_kind kind;
    uint32_t count;               /* elements of an ARRAY, members of an OBJECT */
    struct json_text text;        /* NUMBER: as it was written; STRING: decoded, UTF-8 */
    struct json_text source;      /* of any kind: the bytes that were read as this value */
    const struct json_text *keys; /* OBJECT: [count], decoded; equal ones may occur */
    const struct json *items;     /* ARRAY, OBJECT: [count] */
    /* OBJECT of more than JSON_FEW: its keys in order of their bytes, equal ones as written; else
     * NULL */
    const struct json_text *const *sorted;
};

/* A tree, and the copy of its text that it points into. */
struct json_document;

/* Reads one value, strictly by RFC 8259; a string is UTF-8, and no half of a surrogate pair stands
 * alone. WEIR_ERR_FORMAT names `name`, line and column. The text is not borrowed. */
enum weir_status json_open(struct json_document **out, const char *text, size_t length,
                           const char *name, struct weir_error *err);
/* The same of a text that may not be a friend's: a value takes up to 90 times the two bytes that it
 * is written with. WEIR_ERR_UNSUPPORTED for more than so many. */
enum weir_status json_open_few(struct json_document **out, const char *text, size_t length,
                               uint64_t values_max, const char *name, struct weir_error *err);
/* The same as json_open for what a caller hands over: WEIR_ERR_ARGUMENT for what is no JSON. */
enum weir_status json_open_given(struct json_document **out, const char *text, size_t length,
                                 const char *name, struct weir_error *err);
/* The same for a value of this kind: WEIR_ERR_ARGUMENT for another one. */
enum weir_status json_open_kind(struct json_document **out, enum json_kind kind, const char *text,
                                size_t length, const char *name, struct weir_error *err);
void json_close(struct json_document *document);
/* The value, borrowed as all that it leads to. */
const struct json *json_root(const struct json_document *document);

/* What may stand between tokens: blank, tab, newline, carriage return. */
bool json_is_white(char c);
/* What it takes of memory, about. */
uint64_t json_bytes(const struct json_document *document);

/* Would json_open read this? Allocates nothing. *kind (may be NULL) is that of the value. */
bool json_check(const char *text, size_t length, enum json_kind *kind);
/* The same for a part of a larger text: JSON_PART_DEPTH_MAX. */
bool json_check_part(const char *text, size_t length, enum json_kind *kind);

/* A member's value, the last of those with this key; NULL if there is none, if `object` is none,
 * and if it is NULL. */
const struct json *json_get(const struct json *object, const char *key);
/* The same for a key that is not zero-terminated. */
const struct json *json_find(const struct json *object, struct json_text key);

/* What a reference within a document leads to, a JSON pointer as a fragment of a URI (RFC 6901, 6):
 * "#/a/0"; NULL if that is nothing, or if it is no such reference. */
const struct json *json_resolve(const struct json *root, struct json_text reference);

/* True for a STRING of exactly this text; `value` may be NULL. */
bool json_is(const struct json *value, const char *text);
bool json_text_equals(struct json_text text, const char *other);
/* The order of their bytes: less than, equal to or greater than 0. */
int json_text_compare(struct json_text a, struct json_text b);

/* Do both mean the same? Members may stand in another order, and numbers of up to 15 characters,
 * but no zeros, be written otherwise (1.0 and 1). Of keys that stand twice it may deny it. */
bool json_alike(const struct json *a, const struct json *b);

/* "an object": how an error calls a kind. */
const char *json_kind_name(enum json_kind kind);

/* Whether a number that was read has no fraction: 3 and 3.0, but not what has an exponent. */
bool json_number_is_integer(struct json_text number);

/* Writes text as the inside of a string: a backslash before quotes and backslashes, control
 * characters as \n \r \t \b \f or \u00XX, all else as it is. */
void json_escape(struct printer out, const char *text, size_t length);

#endif
