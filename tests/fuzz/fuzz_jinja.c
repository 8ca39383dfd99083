/* SPDX-License-Identifier: MIT
 * Fuzzes templates: the source, a zero, a request of JSON. What is rendered is UTF-8 whose every
 * byte has an origin, comes out the same again, and holds no byte beyond ASCII from elsewhere. */
#include "fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "jinja/jinja.h"

enum { REQUEST_MAX = 1 << 12 };

static void expect(bool condition)
{
    if (!condition)
        abort();
}

static void check_output(const struct jinja_output *output)
{
    expect(utf8_repaired_length((const uint8_t *)output->bytes, output->length) == output->length);
    expect(output->bytes[output->length] == 0);
    for (size_t i = 0; i < output->length; i++)
        expect(output->origins[i] == JINJA_OF_TEMPLATE || output->origins[i] == JINJA_OF_INPUT);
}

/* Bytes of the request's kind, by a mark that stands nowhere in the template. */
static void check_origins(const struct jinja_output *output, const char *source, size_t length)
{
    if (memchr(source, '@', length) != NULL || memchr(source, '\\', length) != NULL)
        return;
    for (size_t i = 0; i < output->length; i++)
        expect(output->bytes[i] != '@' || output->origins[i] == JINJA_OF_INPUT);
}

int fuzz_jinja(const uint8_t *data, size_t size)
{
    const char *source = (const char *)data;
    const char *end = size == 0 ? NULL : memchr(source, 0, size);
    const size_t length = end == NULL ? size : (size_t)(end - source);
    struct jinja *jinja;
    struct json_document *document = NULL;
    struct jinja_output output = {0}, again = {0};
    struct weir_error err = {0};
    if (size > REQUEST_MAX || jinja_open(&jinja, source, length, "template", &err) != WEIR_OK)
        return 0;
    if (end != NULL)
        json_open(&document, end + 1, size - length - 1, "request", NULL);
    const struct json *root = document == NULL ? NULL : json_root(document);
    const struct jinja_input input = {.variables =
                                          root != NULL && root->kind == JSON_OBJECT ? root : NULL};
    const enum weir_status status = jinja_render(jinja, &input, &output, &err);
    expect((status == WEIR_OK) == (err.status == WEIR_OK));
    if (status == WEIR_OK) {
        check_output(&output);
        check_origins(&output, source, length);
        expect(jinja_render(jinja, &input, &again, NULL) == WEIR_OK);
        expect(again.length == output.length &&
               memcmp(again.bytes, output.bytes, output.length) == 0 &&
               memcmp(again.origins, output.origins, output.length) == 0);
    }
    jinja_output_release(&output);
    jinja_output_release(&again);
    json_close(document);
    jinja_close(jinja);
    return 0;
}
