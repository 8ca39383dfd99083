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
