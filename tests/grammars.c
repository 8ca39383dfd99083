/* SPDX-License-Identifier: MIT
 * Reads grammars and texts; what fails ends the test. */
#include "grammars.h"

#include <string.h>

#include "test.h"

struct weir_grammar *grammars_open_gbnf(const char *text)
{
    struct weir_grammar *grammar;
    struct weir_error err = {0};
    CHECK_OK(weir_grammar_open_gbnf(&grammar, text, strlen(text), &err), &err);
    return grammar;
}

struct weir_grammar *grammars_open_schema(const char *text)
{
    struct weir_grammar *grammar;
    struct weir_error err = {0};
    CHECK_OK(weir_grammar_open_schema(&grammar, text, strlen(text), &err), &err);
    return grammar;
}

struct weir_grammar *grammars_open_pattern(const char *text)
{
    struct weir_grammar *grammar;
    struct weir_error err = {0};
    CHECK_OK(weir_grammar_open_pattern(&grammar, text, strlen(text), &err), &err);
    return grammar;
}

struct weir_grammar *grammars_open_calls(const char *tools,
                                         const struct weir_calls_options *options)
{
    struct weir_grammar *grammar;
    struct weir_error err = {0};
    CHECK_OK(weir_grammar_open_calls(&grammar, tools, strlen(tools), options, &err), &err);
    return grammar;
}

enum weir_match grammars_match(const struct weir_grammar *grammar, const char *text)
{
    enum weir_match result;
    struct weir_error err = {0};
    CHECK_OK(weir_grammar_match(grammar, text, strlen(text), &result, &err), &err);
    return result;
}
