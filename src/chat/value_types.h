/* SPDX-License-Identifier: MIT
 * Which JSON a parameter's text may become, by the schemas of the tools. */
#ifndef CHAT_VALUE_TYPES_H
#define CHAT_VALUE_TYPES_H

#include "json/json.h"

/* One bit each. */
enum value_type {
    VALUE_NULL = 1,
    VALUE_BOOLEAN = 2,
    VALUE_INTEGER = 4,
    VALUE_FRACTION = 8, /* a number that is no integer */
    VALUE_STRING = 16,
    VALUE_ARRAY = 32,
    VALUE_OBJECT = 64,
    VALUE_ANY = 127,
};

/* Refuses what is no array of tools: {"type": "function", "function": {"name": ...}} or
 * {"name": ...}. */
enum weir_status tools_check(const struct json *tools, struct weir_error *err);

/* Of a tool the object that has the name and the parameters. */
const struct json *tools_function(const struct json *tool);

/* The schema of the parameters of a tool; NULL if the tool has none, or if there is no such. */
const struct json *tools_parameters(const struct json *tools, struct json_text name);

/* What the schema allows for a parameter, in any of the alternatives that know it. A parameter that
 * it does not know is a string; a key of NULL is one that no schema names. Adds what was looked at
 * to *steps, which may be NULL. */
unsigned value_types(const struct json *parameters, struct json_text key, uint64_t *steps);

/* Whether a text is to be taken as the JSON that it is. If not, or if it is too deep
 * to become a part of a message, it is a string. */
bool value_is_json(unsigned types, const char *text, size_t length);

#endif
