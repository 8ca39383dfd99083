/* SPDX-License-Identifier: MIT
 * Fuzzes grammars in GBNF, and the same bytes as a regular expression: up to a zero the grammar,
 * behind it a text. A text that belongs to the grammar has beginnings that do too, and the same is
 * found of it a second time. */
#include "fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "weir.h"

enum { PREFIXES = 16 };

static void expect(bool condition)
{
    if (!condition)
        abort();
}

/* The beginnings of a text that is no dead end are none either. */
static void check_prefixes(const struct weir_grammar *grammar, const char *text, size_t length)
{
    enum weir_match whole, part;
    if (weir_grammar_match(grammar, text, length, &whole, NULL) != WEIR_OK)
        return;
    for (size_t i = 0; i < length && i < PREFIXES; i++) {
        expect(weir_grammar_match(grammar, text, i, &part, NULL) == WEIR_OK);
        expect(whole == WEIR_MATCH_NOT || part != WEIR_MATCH_NOT);
        if (part == WEIR_MATCH_NOT)
            return;
    }
}

typedef enum weir_status open_grammar(struct weir_grammar **out, const char *text, size_t length,
                                      struct weir_error *err);

static void check_notation(open_grammar *open, const char *data, size_t length, size_t size)
{
    struct weir_error err = {0};
    struct weir_grammar *grammar;
    const enum weir_status status = open(&grammar, data, length, &err);
    expect((status == WEIR_OK) == (err.text[0] == 0) && (status == WEIR_OK) == (grammar != NULL));
    if (grammar != NULL && length < size)
        check_prefixes(grammar, data + length + 1, size - length - 1);
    weir_grammar_close(grammar);
}

int fuzz_gbnf(const uint8_t *data, size_t size)
{
    const uint8_t *zero = size > 0 ? memchr(data, 0, size) : NULL;
    const size_t length = zero != NULL ? (size_t)(zero - data) : size;
    check_notation(weir_grammar_open_gbnf, (const char *)data, length, size);
    check_notation(weir_grammar_open_pattern, (const char *)data, length, size);
    return 0;
}
