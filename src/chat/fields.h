/* SPDX-License-Identifier: MIT
 * Members of what clients send, and the errors that they are told. */
#ifndef CHAT_FIELDS_H
#define CHAT_FIELDS_H

#include "json/json.h"

/* A member's value; null is as good as none: NULL. */
const struct json *field_find(const struct json *object, const char *key);
/* The same for a value that must be of this kind: "Field 'KEY': expected a text, found a number".
 */
enum weir_status field_get(const struct json *object, const char *key, enum json_kind kind,
                           const struct json **out, struct weir_error *err);
/* True or false; AUTO if there is none. */
enum weir_status field_get_switch(const struct json *object, const char *key, enum weir_switch *out,
                                  struct weir_error *err);

/* How much of a text from outside an error shows: whole characters, for "%.*s". */
int field_shown(struct json_text text);

#endif
