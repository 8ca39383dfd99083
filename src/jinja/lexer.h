/* SPDX-License-Identifier: MIT
 * The source of a template, cut into text and the words of its tags. */
#ifndef JINJA_LEXER_H
#define JINJA_LEXER_H

#include "base/err.h"

struct source {
    const char *name;  /* for errors */
    const char *bytes; /* lines end with "\n" alone; the last newline is gone */
    uint32_t length;
};

/* Refuses: "NAME:LINE:COLUMN: ..." for what stands at byte `at`. */
enum weir_status source_fail(const struct source *source, uint32_t at, enum weir_status status,
                             struct weir_error *err, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

enum lexeme_kind {
    LEX_END,
    LEX_TEXT,        /* outside of tags, white space taken away where tags ask for it */
    LEX_PRINT_BEGIN, /* {{ */
    LEX_PRINT_END,
    LEX_TAG_BEGIN, /* {% */
    LEX_TAG_END,
    LEX_NAME,
    LEX_INTEGER,
    LEX_FLOAT,
    LEX_STRING, /* with its quotes */
    LEX_SYMBOL,
};

struct lexeme {
    enum lexeme_kind kind;
    uint32_t at, length; /* in the source */
};

/* Where the next lexeme begins; may be copied to look ahead. Set `source` and zero the rest. */
struct lexer {
    const struct source *source;
    uint32_t at;
    uint32_t depth; /* of open brackets: "}}" within them ends no tag */
    char inside;    /* the second character of the tag: '{' or '%'; 0: in text */
};

enum weir_status lexer_next(struct lexer *lexer, struct lexeme *out, struct weir_error *err);

/* Whether the lexeme is exactly `text`: a name, a symbol. */
bool lexeme_is(const struct source *source, const struct lexeme *lexeme, const char *text);

/* White space as Python knows it, which is what is stripped. The length of the white space
 * character that the text begins with or ends with; 0: of none. */
uint32_t space_first(const char *text, uint64_t length);
uint32_t space_last(const char *text, uint64_t length);

#endif
