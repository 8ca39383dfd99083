/* SPDX-License-Identifier: MIT
 * Reads JSON. Knows none of the records but the names of classes. */
#include "cli/json.h"

#include <stdio.h>

#include "test.h"

const char *const json_classes[JSON_CLASSES] = {"weights", "embedding",   "kv",    "state",
                                                "conv",    "activations", "logits"};

json_t *json_of(const char *text)
{
    json_error_t error;
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL)
        test_fail(__FILE__, __LINE__, "line %d: %s", error.line, error.text);
    return root;
}

void json_check_keys(const json_t *object, const char *names)
{
    char name[32];
    int used, count = 0;
    for (const char *at = names; sscanf(at, "%31s%n", name, &used) == 1; at += used, count++) {
        if (json_object_get(object, name) == NULL)
            test_fail(__FILE__, __LINE__, "no field %s", name);
    }
    CHECK_INT(json_object_size(object), count);
}

int64_t json_integer_of(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        test_fail(__FILE__, __LINE__, "no whole number %s", name);
    return json_integer_value(value);
}
