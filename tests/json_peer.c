/* SPDX-License-Identifier: MIT
 * Asks jansson whether a text is JSON. Knows nothing of our reader. */
#include "json_peer.h"

#include <jansson.h>

enum { SURE_DEPTH = 100 };

/* Brackets within each other, those in strings included. */
static int depth_at_most(const char *text, size_t length)
{
    int opened = 0;
    for (size_t i = 0; i < length; i++)
        opened += text[i] == '[' || text[i] == '{';
    return opened;
}

bool json_peer_reads(const char *text, size_t length, bool *is_sure)
{
    json_error_t error;
    const size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL;
    json_t *value = json_loadb(text, length, flags, &error);
    const bool is_read = value != NULL;
    json_decref(value);
    *is_sure = depth_at_most(text, length) <= SURE_DEPTH &&
               (is_read || json_error_code(&error) != json_error_numeric_overflow);
    return is_read;
}
