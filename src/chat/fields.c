/* SPDX-License-Identifier: MIT
 * Finds members and checks their kinds. Knows no member by name. */
#include "chat/fields.h"

#include "base/utf8.h"

enum { SHOWN_BYTES_MAX = 64 };

const struct json *field_find(const struct json *object, const char *key)
{
    const struct json *value = json_get(object, key);
    return value != NULL && value->kind != JSON_NULL ? value : NULL;
}

enum weir_status field_get(const struct json *object, const char *key, enum json_kind kind,
                           const struct json **out, struct weir_error *err)
{
    *out = field_find(object, key);
    if (*out == NULL || (*out)->kind == kind)
        return WEIR_OK;
    return err_set(err, WEIR_ERR_ARGUMENT, "Field '%s': expected %s, found %s", key,
                   json_kind_name(kind), json_kind_name((*out)->kind));
}

enum weir_status field_get_switch(const struct json *object, const char *key, enum weir_switch *out,
                                  struct weir_error *err)
{
    const struct json *value = field_find(object, key);
    *out = WEIR_AUTO;
    if (value == NULL)
        return WEIR_OK;
    if (value->kind != JSON_TRUE && value->kind != JSON_FALSE)
        return err_set(err, WEIR_ERR_ARGUMENT, "Field '%s': expected true or false, found %s", key,
                       json_kind_name(value->kind));
    *out = value->kind == JSON_TRUE ? WEIR_ON : WEIR_OFF;
    return WEIR_OK;
}

int field_shown(struct json_text text)
{
    size_t at = 0;
    while (at < text.length) {
        const struct utf8_sequence next =
            utf8_sequence((const uint8_t *)text.bytes + at, text.length - at);
        if (at + next.length > SHOWN_BYTES_MAX)
            break;
        at += next.length;
    }
    return (int)at;
}
