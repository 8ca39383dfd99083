/* SPDX-License-Identifier: MIT
 * Fuzzes JSON schemas: up to a zero the schema, behind it a text. What a schema takes is JSON. */
#include "fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "json/json.h"

static void expect(bool condition)
{
    if (!condition)
        abort();
}

int fuzz_schema(const uint8_t *data, size_t size)
{
    const uint8_t *zero = size > 0 ? memchr(data, 0, size) : NULL;
    const size_t length = zero != NULL ? (size_t)(zero - data) : size;
    struct weir_error err = {0};
    struct weir_grammar *grammar;
    enum weir_match result;
    const enum weir_status status =
        weir_grammar_open_schema(&grammar, (const char *)data, length, &err);
    expect((status == WEIR_OK) == (err.text[0] == 0) && (status == WEIR_OK) == (grammar != NULL));
    if (grammar != NULL && zero != NULL) {
        const char *text = (const char *)zero + 1;
        const size_t text_length = size - length - 1;
        if (weir_grammar_match(grammar, text, text_length, &result, NULL) == WEIR_OK &&
            result == WEIR_MATCH_WHOLE)
            expect(json_check(text, text_length, NULL));
    }
    weir_grammar_close(grammar);
    return 0;
}
