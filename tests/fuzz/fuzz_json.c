/* SPDX-License-Identifier: MIT
 * Fuzzes the reader of JSON. Of what it reads, each value's bytes are that value again, and texts
 * are what they are after they were written and read once more. */
#include "fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/utf8.h"
#include "json/json.h"

static void expect(bool condition)
{
    if (!condition)
        abort();
}

static void check_text(struct json_text text)
{
    struct bytes written = {0};
    bytes_add_text(&written, "\"");
    json_escape((struct printer){bytes_sink, &written}, text.bytes, text.length);
    bytes_add_text(&written, "\"");
    expect(utf8_repaired_length((const uint8_t *)text.bytes, text.length) == text.length);
    struct json_document *document;
    expect(json_open(&document, written.data, written.length, "written", NULL) == WEIR_OK);
    const struct json *root = json_root(document);
    expect(root->kind == JSON_STRING && root->text.length == text.length);
    expect(text.length == 0 || memcmp(root->text.bytes, text.bytes, text.length) == 0);
    json_close(document);
    bytes_release(&written);
}

/* At most JSON_DEPTH_MAX deep, as the reader sees to it. */
static void check_value(const struct json *value, struct json_text within)
{
    const struct json_text source = value->source;
    enum json_kind kind;
    expect(source.bytes >= within.bytes);
    expect(source.bytes + source.length <= within.bytes + within.length);
    expect(json_check(source.bytes, source.length, &kind) && kind == value->kind);
    if (value->kind == JSON_STRING)
        check_text(value->text);
    if (value->kind == JSON_NUMBER)
        expect(value->text.bytes == source.bytes && value->text.length == source.length);
    const bool is_outer = value->kind == JSON_ARRAY || value->kind == JSON_OBJECT;
    expect(is_outer || value->count == 0);
    struct json_text rest = source;
    for (uint32_t i = 0; i < value->count; i++) {
        check_value(&value->items[i], rest);
        rest.bytes = value->items[i].source.bytes + value->items[i].source.length;
        rest.length = (size_t)(source.bytes + source.length - rest.bytes);
        if (value->kind == JSON_OBJECT) {
            check_text(value->keys[i]);
            expect(json_find(value, value->keys[i]) >= &value->items[i]);
        }
    }
}

int fuzz_json(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct json_document *document;
    struct weir_error err = {0};
    enum json_kind kind;
    const enum weir_status status = json_open(&document, text, size, "input", &err);
    expect(status == WEIR_OK || status == WEIR_ERR_FORMAT);
    expect((status == WEIR_OK) == (err.text[0] == 0));
    expect((status == WEIR_OK) == json_check(text, size, &kind));
    if (status == WEIR_OK) {
        const struct json *root = json_root(document);
        expect(root->kind == kind);
        check_value(root, (struct json_text){root->source.bytes, root->source.length});
    }
    json_close(document);
    return 0;
}
