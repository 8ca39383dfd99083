/* SPDX-License-Identifier: MIT
 * Walks over two values of JSON side by side. Knows no API. */
#include "serve/shapes.h"

#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 256 };

static bool ends_with(const char *text, const char *end)
{
    const size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

void shapes_report(struct shapes *shapes, const char *path, const char *what)
{
    for (size_t i = 0; i < shapes->differences_count; i++) {
        const struct difference *difference = &shapes->differences[i];
        const bool is_capture =
            difference->capture == NULL || strcmp(difference->capture, shapes->capture) == 0;
        if (is_capture && ends_with(path, difference->path)) {
            shapes->is_used[i] = true;
            return;
        }
    }
    bytes_add_text(&shapes->report, shapes->capture);
    bytes_add_text(&shapes->report, ": ");
    bytes_add_text(&shapes->report, path);
    bytes_add_text(&shapes->report, ": ");
    bytes_add_text(&shapes->report, what);
    bytes_add_text(&shapes->report, "\n");
}

static bool is_truth(enum json_kind kind)
{
    return kind == JSON_TRUE || kind == JSON_FALSE;
}

/* Texts that do not come from a model. */
static bool is_word(const char *path)
{
    static const char *const words[] = {".object",      ".type",   ".role",    ".finish_reason",
                                        ".stop_reason", ".status", ".message", ".stop_type"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (ends_with(path, words[i]))
            return true;
    return false;
}

static void compare_texts(struct shapes *shapes, struct json_text expected, struct json_text got,
                          const char *path)
{
    char what[512];
    if (!is_word(path) ||
        (expected.length == got.length && memcmp(expected.bytes, got.bytes, got.length) == 0))
        return;
    snprintf(what, sizeof what, "\"%.*s\", recorded \"%.*s\"", (int)got.length, got.bytes,
             (int)expected.length, expected.bytes);
    shapes_report(shapes, path, what);
}

/* Numbers that do not come from a model. */
static void compare_numbers(struct shapes *shapes, struct json_text expected, struct json_text got,
                            const char *path)
{
    static const char *const names[] = {".code", ".index", ".n_ctx"};
    char what[128];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!ends_with(path, names[i]) || json_text_compare(expected, got) == 0)
            continue;
        snprintf(what, sizeof what, "%.*s, recorded %.*s", (int)got.length, got.bytes,
                 (int)expected.length, expected.bytes);
        shapes_report(shapes, path, what);
    }
}

static void member_path(char out[PATH_BYTES], const char *path, struct json_text key)
{
    snprintf(out, PATH_BYTES, "%s.%.*s", path, (int)key.length, key.bytes);
}

/* The place of a member; count if it is not there. */
static uint32_t find_member(const struct json *object, struct json_text key)
{
    uint32_t i = 0;
    while (i < object->count && !(object->keys[i].length == key.length &&
                                  memcmp(object->keys[i].bytes, key.bytes, key.length) == 0))
        i++;
    return i;
}

static void compare_objects(struct shapes *shapes, const struct json *expected,
                            const struct json *got, const char *path)
{
    char place[PATH_BYTES];
    uint32_t last = 0;
    for (uint32_t i = 0; i < expected->count; i++) {
        const uint32_t at = find_member(got, expected->keys[i]);
        member_path(place, path, expected->keys[i]);
        if (at == got->count) {
            shapes_report(shapes, place, "not there");
            continue;
        }
        if (at < last)
            shapes_report(shapes, place, "in another order");
        last = at;
        shapes_compare(shapes, &expected->items[i], &got->items[at], place);
    }
    for (uint32_t i = 0; i < got->count; i++) {
        if (find_member(expected, got->keys[i]) < expected->count)
            continue;
        member_path(place, path, got->keys[i]);
        shapes_report(shapes, place, "not recorded");
    }
}

void shapes_compare(struct shapes *shapes, const struct json *expected, const struct json *got,
                    const char *path)
{
    char place[PATH_BYTES];
    const bool is_same =
        expected->kind == got->kind || (is_truth(expected->kind) && is_truth(got->kind));
    if (!is_same) {
        snprintf(place, sizeof place, "%s, recorded %s", json_kind_name(got->kind),
                 json_kind_name(expected->kind));
        shapes_report(shapes, path, place);
        return;
    }
    switch (expected->kind) {
    case JSON_STRING: compare_texts(shapes, expected->text, got->text, path); break;
    case JSON_OBJECT: compare_objects(shapes, expected, got, path); break;
    case JSON_ARRAY:
        snprintf(place, sizeof place, "%s[]", path);
        if (expected->count > 0 && got->count > 0)
            shapes_compare(shapes, &expected->items[0], &got->items[0], place);
        else if (expected->count != got->count)
            shapes_report(shapes, place, got->count == 0 ? "empty" : "recorded as empty");
        break;
    case JSON_NULL:
    case JSON_FALSE:
    case JSON_TRUE: break;
    case JSON_NUMBER: compare_numbers(shapes, expected->text, got->text, path); break;
    }
}
