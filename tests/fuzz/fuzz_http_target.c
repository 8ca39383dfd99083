/* SPDX-License-Identifier: MIT
 * Fuzzes what first lines of requests ask for, and whom. A path is one or is empty, whatever it was
 * written as; with all its bytes escaped, and in the form for proxies, it is the same. A name is
 * known or not whatever port stands behind it. */
#include "fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "serve/http_access.h"
#include "serve/http_target.h"

static void expect(bool condition)
{
    if (!condition)
        abort();
}

static struct http_target read_text(const char *text)
{
    struct http_target target = {0};
    expect(http_target_read(&target, text, NULL) == WEIR_OK);
    expect(target.path[0] == '/' || (target.path[0] == 0 && (target.is_bad || target.is_long)));
    expect(strlen(target.path) <= strlen(text) + 1);
    expect(target.authority == NULL || strpbrk(target.authority, "/?@% \r\n") == NULL);
    return target;
}

static void check_again(const char *path, const char *text, const char *authority)
{
    struct http_target target = read_text(text);
    expect(!target.is_bad && strcmp(target.path, path) == 0);
    expect(authority == NULL ? target.authority == NULL : strcmp(target.authority, authority) == 0);
    http_target_release(&target);
}

static void check_name(const char *text)
{
    struct http_access access = {.keys = NULL};
    const struct http_options options = {
        .host = "127.0.0.1", .allowed_hosts = "a, b.c", .cors_origins = "http://[::1]:1"};
    struct bytes with_port = {0};
    expect(http_access_init(&access, &options, NULL) == WEIR_OK);
    http_access_watch(&access, true);
    bytes_add_text(&with_port, text);
    bytes_add_text(&with_port, ":80");
    expect(strchr(text, ':') != NULL || http_access_is_strange(&access, text) ==
                                            http_access_is_strange(&access, with_port.data));
    bytes_release(&with_port);
    http_access_release(&access);
}

int fuzz_http_target(const uint8_t *data, size_t size)
{
    struct bytes text = {0}, escaped = {0};
    bytes_add(&text, data, size);
    struct http_target target = read_text(text.data);
    check_name(text.data);
    const bool is_short = strlen(target.path) < HTTP_TARGET_MAX / 4;
    if (!target.is_bad && !target.is_long && is_short) {
        bytes_add_text(&escaped, "HTTP://[::1]:80/");
        for (const char *c = target.path + 1; *c != 0; c++) {
            char code[4];
            snprintf(code, sizeof code, "%%%02X", (unsigned)(uint8_t)*c);
            bytes_add_text(&escaped, code);
        }
        expect(!escaped.has_failed);
        check_again(target.path, escaped.data, "[::1]:80");
        check_again(target.path, escaped.data + strlen("HTTP://[::1]:80"), NULL);
    }
    http_target_release(&target);
    bytes_release(&escaped);
    bytes_release(&text);
    return 0;
}
