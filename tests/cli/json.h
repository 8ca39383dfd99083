/* SPDX-License-Identifier: MIT
 * Reads the JSON that the program writes. Each failure is one of the test. */
#ifndef TESTS_CLI_JSON_H
#define TESTS_CLI_JSON_H

#include <jansson.h>
#include <stdint.h>

/* The names of the classes of bytes, as records write them. */
enum { JSON_CLASSES = 7 };
extern const char *const json_classes[JSON_CLASSES];

/* The text is one value, and no object in it has a key twice. The value is the caller's. */
json_t *json_of(const char *text);

/* The object's keys are these and no others: names between blanks. */
void json_check_keys(const json_t *object, const char *names);

/* A field that is a whole number of at least 0. */
int64_t json_integer_of(const json_t *object, const char *name);

#endif
