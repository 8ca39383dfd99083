/* SPDX-License-Identifier: MIT
 * Tests of the reader of JSON. Run alone: build/tests/weir-test json_ */
#include "alloc.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/rng.h"
#include "json/json.h"
#include "json_peer.h"

static struct json_document *read(const char *text)
{
    struct json_document *document;
    struct weir_error err = {0};
    CHECK_OK(json_open(&document, text, strlen(text), "text", &err), &err);
    return document;
}

/* ---- what is read ---------------------------------------------------------------------------- */

TEST(json_keeps_what_was_written)
{
    struct json_document *document =
        read(" {\"b\": 1.0, \"a\\u0062\" :[12345678901234567890, {}, \"x\"] ,\"b\":-0e+5}\n");
    const struct json *root = json_root(document);
    CHECK_INT(root->kind, JSON_OBJECT);
    CHECK_INT(root->count, 3);
    CHECK(json_text_equals(root->keys[0], "b") && json_text_equals(root->keys[1], "ab"));
    CHECK(json_text_equals(root->items[0].text, "1.0"));
    CHECK(json_text_equals(json_get(root, "b")->text, "-0e+5"));
    const struct json *list = json_get(root, "ab");
    CHECK_INT(list->kind, JSON_ARRAY);
    CHECK_INT(list->count, 3);
    CHECK(json_text_equals(list->source, "[12345678901234567890, {}, \"x\"]"));
    CHECK(json_text_equals(list->items[0].text, "12345678901234567890"));
    CHECK_INT(list->items[1].kind, JSON_OBJECT);
    CHECK_INT(list->items[1].count, 0);
    CHECK(json_is(&list->items[2], "x") && !json_is(&list->items[2], "xy"));
    CHECK(json_text_equals(list->items[2].source, "\"x\""));
    CHECK(json_get(root, "c") == NULL && json_get(list, "b") == NULL &&
          json_get(NULL, "b") == NULL);
    CHECK(!json_is(NULL, "") && !json_is(list, ""));
    json_close(document);
    json_close(NULL);
}

TEST(json_decodes_strings)
{
    static const struct {
        const char *text, *decoded;
        size_t length;
    } cases[] = {
        {"\"\"", "", 0},
        {"\"a\\\"\\\\\\/\\b\\f\\n\\r\\tz\"", "a\"\\/\b\f\n\r\tz", 10},
        {"\"\\u0000\\u001F\\u007f\"", "\0\x1f\x7f", 3},
        {"\"\\u00e9\\u20AC\"", "\xc3\xa9\xe2\x82\xac", 5},
        {"\"\\ud83d\\ude00\\uD834\\uDD1E\"", "\xf0\x9f\x98\x80\xf0\x9d\x84\x9e", 8},
        {"\"\xc3\xa9\xf0\x9f\x98\x80\x7f\"", "\xc3\xa9\xf0\x9f\x98\x80\x7f", 7},
        {"\"\\ufffe\\ue000\\ud7ff\"", "\xef\xbf\xbe\xee\x80\x80\xed\x9f\xbf", 9},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct json_document *document = read(cases[i].text);
        const struct json *root = json_root(document);
        CHECK_INT(root->kind, JSON_STRING);
        CHECK_INT(root->text.length, cases[i].length);
        CHECK(memcmp(root->text.bytes, cases[i].decoded, cases[i].length) == 0);
        json_close(document);
    }
}

TEST(json_refusals_say_where)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "line 1, column 1: the text ends here: no value"},
        {" \n [1,\n2 x", "line 3, column 3: no comma and no ] behind an element"},
        {"{\"a\":1 \"b\"}", "line 1, column 8: no comma and no } behind a member"},
        {"[1,]", "line 1, column 4: no value"},
        {"{\"a\":1,}", "line 1, column 8: no key"},
        {"{a:1}", "line 1, column 2: no key"},
        {"{\"a\" 1}", "line 1, column 6: no colon behind a key"},
        {"[1}", "line 1, column 3: no comma and no ] behind an element"},
        {"1 2", "line 1, column 3: more behind the value"},
        {"\"\xc3\xa9\" x", "line 1, column 5: more behind the value"},
        {"01", "line 1, column 2: more behind the value"},
        {"-", "line 1, column 2: the text ends here: a number without digits"},
        {"+1", "line 1, column 1: no value"},
        {".5", "line 1, column 1: no value"},
        {"1.", "line 1, column 3: the text ends here: a number without digits behind its point"},
        {"1e+", "line 1, column 4: the text ends here: a number without digits in its exponent"},
        {"nul", "line 1, column 1: no value"},
        {"True", "line 1, column 1: no value"},
        {"'a'", "line 1, column 1: no value"},
        {"\"a", "line 1, column 3: the text ends here: the string does not end"},
        {"\"a\\", "line 1, column 4: the text ends here: the string does not end"},
        {"\"\\x\"", "line 1, column 2: no such escape"},
        {"\"\\u12g4\"", "line 1, column 2: \\u without four hexadecimal digits"},
        {"\"\\ud800\"", "line 1, column 2: the first half of a surrogate pair without the second"},
        {"\"\\ud800\\u0041\"",
         "line 1, column 2: the first half of a surrogate pair without the second"},
        {"\"\\udc00\"", "line 1, column 2: the second half of a surrogate pair without the first"},
        {"\"a\nb\"", "line 1, column 3: a control character in a string"},
        {"\"\xff\"", "line 1, column 2: a byte that is no UTF-8"},
        {"\"\xed\xa0\x80\"", "line 1, column 2: a byte that is no UTF-8"},
        {"\xef\xbb\xbf{}", "line 1, column 1: no value"},
        {"[1] // no", "line 1, column 5: more behind the value"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct json_document *document;
        struct weir_error err = {0};
        char expected[256];
        const size_t length = strlen(cases[i].text);
        CHECK_INT(json_open(&document, cases[i].text, length, "f.json", &err), WEIR_ERR_FORMAT);
        snprintf(expected, sizeof expected, "f.json: %s", cases[i].message);
        CHECK_TEXT(err.text, expected);
        CHECK(document == NULL && !json_check(cases[i].text, length, NULL));
    }
}

TEST(json_depth_is_limited)
{
    char text[2 * JSON_DEPTH_MAX + 2];
    memset(text, '[', JSON_DEPTH_MAX);
    memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    CHECK(json_check(text, 2 * JSON_DEPTH_MAX, NULL));
    CHECK(!json_check_part(text, 2 * JSON_DEPTH_MAX, NULL));
    const size_t outside = JSON_DEPTH_MAX - JSON_PART_DEPTH_MAX;
    CHECK_INT(outside, 32);
    CHECK(json_check_part(text + outside, (size_t)(2 * JSON_PART_DEPTH_MAX), NULL));
    CHECK(!json_check_part(text + outside - 1, (size_t)(2 * JSON_PART_DEPTH_MAX + 2), NULL));
    memset(text, '[', JSON_DEPTH_MAX + 1);
    memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    struct json_document *document;
    struct weir_error err = {0};
    CHECK_INT(json_open(&document, text, sizeof text, "text", &err), WEIR_ERR_FORMAT);
    CHECK_TEXT(err.text, "text: line 1, column 129: too many arrays and objects within each other");
}

TEST(json_open_kind_refuses_other_kinds)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"{\"a\": 1}", ""},
        {"[]", "T: expected an object, found an array"},
        {"null", "T: expected an object, found null"},
        {"{", "T: line 1, column 2: the text ends here: no key"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct json_document *document;
        struct weir_error err = {0};
        const enum weir_status status =
            json_open_kind(&document, JSON_OBJECT, cases[i].text, strlen(cases[i].text), "T", &err);
        CHECK_INT(status, i == 0 ? WEIR_OK : WEIR_ERR_ARGUMENT);
        CHECK_TEXT(err.text, cases[i].error);
        CHECK_INT(document == NULL, i != 0);
        json_close(document);
    }
}

TEST(json_check_allocates_nothing)
{
    static const char text[] = " {\"a\\n\": [1, true, {\"b\": null}]} ";
    enum json_kind kind = JSON_NULL;
    CHECK_NO_ALLOC(CHECK(json_check(text, sizeof text - 1, &kind)));
    CHECK_INT(kind, JSON_OBJECT);
    CHECK(json_check("-1", 2, &kind) && kind == JSON_NUMBER);
}

TEST(json_escape_is_minimal)
{
    struct bytes out = {0};
    static const char text[] = "a\"b\\c/<\xc3\xa9>\n\r\t\b\f\x1f\x7f&\0";
    json_escape((struct printer){bytes_sink, &out}, text, sizeof text);
    CHECK_TEXT(out.data, "a\\\"b\\\\c/<\xc3\xa9>\\n\\r\\t\\b\\f\\u001f\x7f&\\u0000\\u0000");
    bytes_release(&out);
}

/* ---- what is looked for ---------------------------------------------------------------------- */

/* Members that lie sorted are found as by looking through them: the last with the key. */
TEST(json_finds_members_among_many)
{
    enum { MEMBERS = 400, KEYS = 300 };
    struct bytes text = {0};
    struct weir_error err = {0};
    struct json_document *document;
    int32_t last[KEYS];
    char item[32], key[16];
    for (int i = 0; i < KEYS; i++)
        last[i] = -1;
    for (int i = 0; i < MEMBERS; i++) {
        const int number = (int)(rng_bits(test_seed(), 1, (uint64_t)i) % KEYS);
        snprintf(item, sizeof item, "%s\"\\u006b%d\":%d", i == 0 ? "{" : ",", number, i);
        bytes_add_text(&text, item);
        last[number] = i;
    }
    bytes_add_text(&text, "}");
    CHECK_OK(json_open(&document, text.data, text.length, "text", &err), &err);
    const struct json *root = json_root(document);
    CHECK(root->sorted != NULL);
    for (int i = 0; i < KEYS; i++) {
        snprintf(key, sizeof key, "k%d", i);
        const struct json *found = json_get(root, key);
        CHECK(found == (last[i] < 0 ? NULL : &root->items[last[i]]));
        snprintf(item, sizeof item, "#/%%6b%d", i);
        CHECK(json_resolve(root, (struct json_text){item, strlen(item)}) == found);
    }
    CHECK(json_get(root, "") == NULL && json_get(root, "k") == NULL && json_get(root, "z") == NULL);
    json_close(document);
    bytes_release(&text);
}

/* The pointers of RFC 6901, 5 and 6, and some that are none. */
TEST(json_resolves_references)
{
    static const struct {
        const char *reference, *expected; /* as it was written; NULL: nothing */
    } cases[] = {
        {"#/foo", "[\"bar\", \"baz\"]"},
        {"#/foo/0", "\"bar\""},
        {"#/", "0"},
        {"#/a~1b", "1"},
        {"#/c%25d", "2"},
        {"#/e%5Ef", "3"},
        {"#/g%7Ch", "4"},
        {"#/i%5Cj", "5"},
        {"#/k%22l", "6"},
        {"#/%20", "7"},
        {"#/m~0n", "8"},
        {"#/m%7e0n", "8"},
        {"#/foo/1", "\"baz\""},
        {"#/foo/2", NULL},
        {"#/foo/-", NULL},
        {"#/foo/", NULL},
        {"#/foo/00", NULL},
        {"#/foo/99999999999999999999", NULL},
        {"#/foo/0/0", NULL},
        {"#/m~1n", NULL},
        {"#/c%2", NULL},
        {"#foo", NULL},
        {"/foo", NULL},
        {"", NULL},
    };
    struct json_document *document =
        read("{\"foo\": [\"bar\", \"baz\"], \"\": 0, \"a/b\": 1, \"c%d\": 2, \"e^f\": 3, "
             "\"g|h\": 4, \"i\\\\j\": 5, \"k\\\"l\": 6, \" \": 7, \"m~n\": 8}");
    const struct json *root = json_root(document);
    CHECK(json_resolve(root, (struct json_text){"#", 1}) == root);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *text = cases[i].reference;
        const struct json *found = json_resolve(root, (struct json_text){text, strlen(text)});
        if ((found == NULL) != (cases[i].expected == NULL))
            test_fail(__FILE__, __LINE__, "%s is %sfound", text, found == NULL ? "not " : "");
        CHECK(found == NULL || json_text_equals(found->source, cases[i].expected));
    }
    json_close(document);
}

/* ---- properties ------------------------------------------------------------------------------ */

struct draw {
    uint64_t stream, index;
};

static uint64_t draw(struct draw *draw, uint64_t below)
{
    return rng_bits(test_seed(), draw->stream, draw->index++) % below;
}

static void add_space(struct bytes *out, struct draw *choices)
{
    static const char *const spaces[] = {"", "", "", " ", "\n", "\t\r "};
    bytes_add_text(out, spaces[draw(choices, 6)]);
}

static void add_string(struct bytes *out, struct draw *choices)
{
    static const char *const pieces[] = {
        "a", "\\n", "\\\"", "\\u00e9", "\xc3\xa9", "\\ud83d\\ude00",
        "]", "{",   ",",    ":",       "\\\\",     "\\/"};
    bytes_add_text(out, "\"");
    for (uint64_t n = draw(choices, 4); n > 0; n--)
        bytes_add_text(out, pieces[draw(choices, sizeof pieces / sizeof pieces[0])]);
    bytes_add_text(out, "\"");
}

/* Writes a value and, without its spaces, the same to `tight`. At most `depth` deep. */
static void add_value(struct bytes *out, struct draw *choices, int depth)
{
    static const char *const scalars[] = {"null", "true", "false", "0", "-1.50", "2e+10", "1E-2"};
    const uint64_t kind = draw(choices, depth > 0 ? 4 : 2);
    if (kind == 0)
        bytes_add_text(out, scalars[draw(choices, sizeof scalars / sizeof scalars[0])]);
    if (kind == 1)
        add_string(out, choices);
    if (kind < 2)
        return;
    bytes_add_text(out, kind == 2 ? "[" : "{");
    add_space(out, choices);
    const uint64_t count = draw(choices, 4);
    for (uint64_t i = 0; i < count; i++) {
        bytes_add_text(out, i == 0 ? "" : ",");
        add_space(out, choices);
        if (kind == 3) {
            add_string(out, choices);
            add_space(out, choices);
            bytes_add_text(out, ":");
            add_space(out, choices);
        }
        add_value(out, choices, depth - 1);
        add_space(out, choices);
    }
    bytes_add_text(out, kind == 2 ? "]" : "}");
}

/* Texts that are JSON, and such with a byte or two changed: jansson takes the same ones. */
TEST(json_is_what_another_reader_takes)
{
    static const char bytes[] = "\"\\[]{},:0-.eun \n\xc3\xa9\xff";
    int accepted = 0, refused = 0;
    for (uint64_t stream = 0; stream < 20000; stream++) {
        struct draw choices = {.stream = stream};
        struct bytes text = {0};
        bool is_sure;
        add_value(&text, &choices, 4);
        CHECK(json_check(text.data, text.length, NULL));
        for (uint64_t edits = draw(&choices, 3); edits > 0; edits--)
            text.data[draw(&choices, text.length)] = bytes[draw(&choices, sizeof bytes - 1)];
        const bool is_json = json_check(text.data, text.length, NULL);
        const bool expected = json_peer_reads(text.data, text.length, &is_sure);
        if (is_sure && is_json != expected)
            test_fail(__FILE__, __LINE__, "%s: %d", text.data, is_json);
        accepted += is_json;
        refused += !is_json;
        bytes_release(&text);
    }
    CHECK(accepted > 5000 && refused > 5000);
}

static void open_all(void *argument)
{
    struct json_document *document;
    struct weir_error err = {0};
    const char *text = argument;
    const enum weir_status status = json_open(&document, text, strlen(text), "text", &err);
    CHECK_INT(status, alloc_failed() ? WEIR_ERR_MEMORY : WEIR_OK);
    CHECK((document != NULL) == (status == WEIR_OK));
    json_close(document);
}

TEST(json_open_under_failing_allocations)
{
    static char text[] =
        "{\"a\\n\": [1, true, {\"b\": null}], \"1\":1,\"2\":1,\"3\":1,\"4\":1,\"5\":1,\"6\":1,"
        "\"7\":1,\"8\":1,\"9\":1,\"10\":1,\"11\":1,\"12\":1,\"13\":1,\"14\":1,\"15\":1,\"16\":1}";
    alloc_test(open_all, text);
}
