/* SPDX-License-Identifier: MIT
 * Tests of results as they are written: JSON within a page of HTML, which no text may end.
 * Run alone: build/tests/weir-test output_ */
#include "app/output.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "test.h"

static const char *const hostile[] = {
    "</script><script>alert(1)</script>",
    "<!-- <script>",
    "<",
    "<<",
    "a<b<c",
    "\"\\<\\",
    "&lt;",
    "]]>",
    "",
};
enum { HOSTILE = sizeof hostile / sizeof hostile[0] };

#define NONE "\xef\xbf\xbd" /* U+FFFD */

static char *written(const char *path)
{
    size_t size;
    return (char *)test_read_file(path, &size);
}

/* All of them as an array, which reads as what was written and has no "<". */
TEST(output_in_a_script_cannot_end_it)
{
    const char *path = test_scratch("output-script");
    struct weir_error err = {0};
    struct output output;
    CHECK_OK(output_open(&output, path, &err), &err);
    output_in_script(&output, true);
    for (int i = 0; i < HOSTILE; i++) {
        output_print(&output, i == 0 ? "[" : ",");
        output_json_text(&output, hostile[i]);
    }
    output_print(&output, "]");
    output_in_script(&output, false);
    output_print(&output, "</script>");
    CHECK_OK(output_finish(&output, &err), &err);
    char *text = written(path), *end = strchr(text, '<');
    CHECK_TEXT(end, "</script>");
    json_t *array = json_loadb(text, (size_t)(end - text), 0, NULL);
    CHECK_INT(json_array_size(array), HOSTILE);
    for (int i = 0; i < HOSTILE; i++)
        CHECK_TEXT(json_string_value(json_array_get(array, (size_t)i)), hostile[i]);
    json_decref(array);
    free(text);
}

TEST(output_elsewhere_is_written_as_it_is)
{
    const char *path = test_scratch("output-plain");
    struct weir_error err = {0};
    struct output output;
    CHECK_OK(output_open(&output, path, &err), &err);
    output_print(&output, "<%s>", hostile[0]);
    CHECK_OK(output_finish(&output, &err), &err);
    char *text = written(path);
    CHECK_TEXT(text, "<</script><script>alert(1)</script>>");
    free(text);
}

/* JSON is UTF-8: what is not, as in a path, would make all of it unreadable. The rest stays. */
TEST(output_of_json_text_is_utf8)
{
    static const char *const texts[][2] = {
        {"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
        {"\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf", "\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf"},
        {"caf\xe9.gguf", "caf" NONE ".gguf"},                        /* Latin-1 */
        {"\xc3", NONE},                                              /* cut off */
        {"\xe2\x82", NONE NONE},                                     /* the same */
        {"\xf0\x9f\x98", NONE NONE NONE},                            /* the same */
        {"\x80\xff\xfe", NONE NONE NONE},                            /* begin nothing */
        {"\xc0\x80\xc1\xbf", NONE NONE NONE NONE},                   /* overlong */
        {"\xe0\x9f\xbf", NONE NONE NONE},                            /* the same */
        {"\xf0\x8f\xbf\xbf", NONE NONE NONE NONE},                   /* the same */
        {"\xed\xa0\x80", NONE NONE NONE},                            /* a surrogate */
        {"\xf4\x90\x80\x80\xf5\x80", NONE NONE NONE NONE NONE NONE}, /* beyond U+10FFFF */
    };
    const char *path = test_scratch("output-utf8");
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct weir_error err = {0};
        struct output output;
        CHECK_OK(output_open(&output, path, &err), &err);
        output_json_text(&output, texts[i][0]);
        CHECK_OK(output_finish(&output, &err), &err);
        char *text = written(path);
        json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
        CHECK_TEXT(json_string_value(value), texts[i][1]);
        json_decref(value);
        free(text);
    }
}
