/* SPDX-License-Identifier: MIT
 * Targets of requests, by their texts alone (RFC 9112 3.2). Knows no connection. */
#include "serve/http_target.h"

#include <string.h>
#include <strings.h>

#include "base/mem.h"

static int digit_of(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c == 0 ? NULL : strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c);
    return at == NULL ? -1 : (int)(at - digits);
}

/* In place. False: what follows a % is no byte, or it is a zero, which would hide the rest. */
static bool decode(char *path)
{
    char *out = path;
    for (const char *at = path; *at != 0; at++) {
        *out = *at;
        if (*at == '%') {
            const int high = digit_of(at[1]);
            const int low = high < 0 ? -1 : digit_of(at[2]);
            if (low < 0 || high * 16 + low == 0)
                return false;
            *out = (char)(high * 16 + low);
            at += 2;
        }
        out++;
    }
    *out = 0;
    return true;
}

/* Bytes of what the absolute form has before its path; 0: it is another form. */
static size_t authority_at(const char *text)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        const size_t length = strlen(schemes[i]);
        if (strncasecmp(text, schemes[i], length) == 0)
            return length;
    }
    return 0;
}

/* A host and a port, without a user. */
static size_t authority_length(const char *text)
{
    return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789-._:[]");
}

/* As it was written; an absolute form may have no path at all. */
static enum weir_status copy(struct http_target *target, const char *text, struct weir_error *err)
{
    const size_t before = authority_at(text);
    const size_t length = before == 0 ? 0 : authority_length(text + before);
    const char *path = text + before + length;
    const bool is_empty = length > 0 && (path[0] == 0 || path[0] == '?');
    target->is_bad = (before > 0 && length == 0) || (path[0] != '/' && !is_empty);
    if (length > 0) {
        target->authority = mem_copy_text(text + before, length, err);
        if (target->authority == NULL)
            return WEIR_ERR_MEMORY;
    }
    target->path = is_empty ? mem_copy_text("/", 1, err)
                            : mem_copy_text(path, target->is_bad ? 0 : strcspn(path, "?"), err);
    return target->path == NULL ? WEIR_ERR_MEMORY : WEIR_OK;
}

enum weir_status http_target_read(struct http_target *target, const char *text,
                                  struct weir_error *err)
{
    target->is_long = strlen(text) > HTTP_TARGET_MAX;
    if (target->is_long) {
        target->path = mem_copy_text("", 0, err);
        return target->path == NULL ? WEIR_ERR_MEMORY : WEIR_OK;
    }
    const enum weir_status status = copy(target, text, err);
    if (status != WEIR_OK)
        return status;
    /* a zero in the query would hide what stands behind it, too */
    target->is_bad |= strstr(text, "%00") != NULL || !decode(target->path);
    if (target->is_bad)
        target->path[0] = 0;
    return WEIR_OK;
}

void http_target_release(struct http_target *target)
{
    mem_free(target->path);
    mem_free(target->authority);
    *target = (struct http_target){.path = NULL};
}
