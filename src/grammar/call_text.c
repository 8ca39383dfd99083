/* SPDX-License-Identifier: MIT
 * Texts with marks as deterministic machines: a place is how much of a mark was just read. Knows
 * neither tools nor schemas.
 *
 * A mark begins with an angle bracket and has no other one, so where it breaks off, at most a new
 * one has begun. */
#include "grammar/call_text.h"

#include <string.h>

#include "chat/marks.h"
#include "grammar/code_set.h"

/* ---- places ---------------------------------------------------------------------------------- */

enum { WAYS_MAX = 24, DELETE = 0x7f, CONTROL_LAST = 0x1f };

/* Where each character leads from a place: to what is named, or, all others, to one place. */
struct ways {
    struct way {
        char c;
        uint32_t to; /* RULES_NONE: it must not come */
    } items[WAYS_MAX];
    uint32_t count;
    uint32_t others;
    bool is_json; /* control characters must not come */
};

/* The first that is said of a character counts. */
static void add_way(struct ways *ways, char c, uint32_t to)
{
    for (uint32_t i = 0; i < ways->count; i++) {
        if (ways->items[i].c == c)
            return;
    }
    ways->items[ways->count++] = (struct way){c, to};
}

static void add_ways(struct ways *ways, const char *characters, uint32_t to)
{
    for (; *characters != 0; characters++)
        add_way(ways, *characters, to);
}

static enum weir_status emit_ways(struct rules_builder *builder, uint32_t from,
                                  const struct ways *ways, struct weir_error *err)
{
    struct code_set named = {0};
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < ways->count; i++) {
        const struct way *way = &ways->items[i];
        TRY(code_set_add(&named, (uint8_t)way->c, (uint8_t)way->c, err));
        if (way->to != RULES_NONE)
            TRY(rules_bytes(builder, from, way->to, &way->c, 1, err));
    }
    if (ways->is_json) {
        TRY(code_set_add(&named, 0, CONTROL_LAST, err));
        TRY(code_set_add(&named, DELETE, DELETE, err));
    }
    TRY(code_set_close(&named, true, err));
    TRY(rules_set(builder, from, ways->others, &named, err));
out:
    code_set_release(&named);
    return status;
}

/* ---- words ----------------------------------------------------------------------------------- */

enum { WORDS_MAX = 4, WORD_MAX = 16 };

/* Words that are looked for, as a tree. */
struct words {
    const char *items[WORDS_MAX];
    uint32_t whole[WORDS_MAX];           /* where each leads; RULES_NONE: it must not come */
    uint32_t nodes[WORDS_MAX][WORD_MAX]; /* behind so many bytes of it, from 1 on */
    uint32_t count;
};

static void add_word(struct words *words, const char *word, uint32_t whole)
{
    words->items[words->count] = word;
    words->whole[words->count++] = whole;
}

/* The first word that begins with the same bytes. */
static uint32_t first_like(const struct words *words, uint32_t word, size_t length)
{
    uint32_t i = 0;
    while (strncmp(words->items[i], words->items[word], length) != 0)
        i++;
    return i;
}

static enum weir_status make_words(struct rules_builder *builder, struct words *words,
                                   struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    for (uint32_t w = 0; w < words->count; w++) {
        const size_t length = strlen(words->items[w]);
        for (size_t i = 1; i < length; i++) {
            const uint32_t like = first_like(words, w, i);
            if (like == w)
                TRY(rules_node(builder, &words->nodes[w][i], err));
            else
                words->nodes[w][i] = words->nodes[like][i];
        }
    }
out:
    return status;
}

/* Where words go on behind so many bytes of one of them. */
static void add_word_ways(struct ways *ways, const struct words *words, uint32_t word, size_t at)
{
    for (uint32_t w = 0; w < words->count; w++) {
        const char *text = words->items[w];
        if (strncmp(text, words->items[word], at) == 0)
            add_way(ways, text[at], text[at + 1] == 0 ? words->whole[w] : words->nodes[w][at + 1]);
    }
}

/* Within the words: what does not go on in one goes where `breaks` say. */
static enum weir_status emit_words(struct rules_builder *builder, const struct words *words,
                                   const struct ways *breaks, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    for (uint32_t w = 0; w < words->count; w++) {
        const size_t length = strlen(words->items[w]);
        for (size_t i = 1; i < length; i++) {
            struct ways ways = {.others = breaks->others, .is_json = breaks->is_json};
            if (first_like(words, w, i) != w)
                continue;
            add_word_ways(&ways, words, w, i);
            for (uint32_t k = 0; k < breaks->count; k++)
                add_way(&ways, breaks->items[k].c, breaks->items[k].to);
            TRY(emit_ways(builder, words->nodes[w][i], &ways, err));
        }
    }
out:
    return status;
}

/* ---- content --------------------------------------------------------------------------------- */

enum weir_status call_text_content(struct rules_builder *builder, uint32_t from, uint32_t to,
                                   uint32_t call, uint32_t function, struct weir_error *err)
{
    struct words marks = {.count = 0};
    struct ways ways = {.count = 0};
    uint32_t plain;
    enum weir_status status;
    add_word(&marks, MARK_CALL, call);
    add_word(&marks, MARK_FUNCTION, function);
    TRY(make_words(builder, &marks, err));
    TRY(rules_node(builder, &plain, err));
    TRY(rules_free(builder, from, plain, err));
    ways.others = plain;
    add_word_ways(&ways, &marks, 0, 0);
    TRY(emit_ways(builder, plain, &ways, err));
    TRY(emit_words(builder, &marks, &ways, err));
    TRY(rules_free(builder, plain, to, err));
    for (uint32_t w = 0; w < marks.count; w++) {
        for (size_t i = 1; marks.items[w][i] != 0; i++)
            TRY(rules_free(builder, marks.nodes[w][i], to, err));
    }
out:
    return status;
}

/* ---- values ---------------------------------------------------------------------------------- */

static const char white[] = " \t\r"; /* beside newlines, as mark_white has it */

/* A mark that ends parameters ends this one if it has a line for itself, or if a mark that goes on
 * with the call follows: the former is how the text ends, the latter must not come. So places
 * differ by whether a newline was read last, and whether such a mark and white space were. */
struct value_places {
    uint32_t text[2][2];      /* [behind a newline][behind a mark] */
    uint32_t behind[2];       /* directly behind a mark, that stands [behind a newline] */
    struct words marks[2][2]; /* that begin in `text` */
};

static enum weir_status make_places(struct rules_builder *builder, struct value_places *places,
                                    struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    *places = (struct value_places){.behind = {0}};
    for (int line = 0; line < 2; line++) {
        TRY(rules_node(builder, &places->behind[line], err));
        for (int mark = 0; mark < 2; mark++) {
            struct words *marks = &places->marks[line][mark];
            TRY(rules_node(builder, &places->text[line][mark], err));
            add_word(marks, MARK_PARAMETER_END, places->behind[line]);
            if (mark == 1) {
                add_word(marks, MARK_PARAMETER, RULES_NONE);
                add_word(marks, MARK_FUNCTION_END, RULES_NONE);
                add_word(marks, MARK_CALL_END, RULES_NONE);
            }
            TRY(make_words(builder, marks, err));
        }
    }
out:
    return status;
}

/* The ways of text in which no mark was begun. */
static struct ways text_ways(const struct value_places *places, int line, int mark)
{
    struct ways ways = {.others = places->text[0][0]};
    add_word_ways(&ways, &places->marks[line][mark], 0, 0);
    add_way(&ways, '\n', places->text[1][mark]);
    if (mark == 1)
        add_ways(&ways, white, places->text[0][1]);
    return ways;
}

static enum weir_status emit_places(struct rules_builder *builder,
                                    const struct value_places *places, uint32_t to,
                                    struct weir_error *err)
{
    const struct ways breaks = text_ways(places, 0, 0);
    enum weir_status status = WEIR_OK;
    for (int line = 0; line < 2; line++) {
        struct ways behind = {.count = 0};
        if (line == 1)
            add_way(&behind, '\n', to);
        const struct ways further = text_ways(places, 0, 1);
        behind.others = further.others;
        for (uint32_t i = 0; i < further.count; i++)
            add_way(&behind, further.items[i].c, further.items[i].to);
        TRY(emit_ways(builder, places->behind[line], &behind, err));
        for (int mark = 0; mark < 2; mark++) {
            const struct ways ways = text_ways(places, line, mark);
            TRY(emit_ways(builder, places->text[line][mark], &ways, err));
            TRY(emit_words(builder, &places->marks[line][mark], &breaks, err));
        }
    }
out:
    return status;
}

size_t call_text_firsts(unsigned nots, char firsts[16])
{
    static const struct {
        unsigned bit;
        const char *firsts;
    } rows[] = {
        {CALL_TEXT_NOT_NUMBER, "-0123456789"},
        {CALL_TEXT_NOT_STRING, "\""},
        {CALL_TEXT_NOT_ARRAY, "["},
        {CALL_TEXT_NOT_OBJECT, "{"},
    };
    size_t count = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (const char *c = rows[i].firsts; (nots & rows[i].bit) != 0 && *c != 0; c++)
            firsts[count++] = *c;
    }
    firsts[count] = 0;
    return count;
}

/* The beginning of a value that must not be JSON of some kinds: behind white space no character
 * that such begins with; behind a word that is such JSON more than white space, where a new line
 * does not begin with a mark. */
static enum weir_status emit_beginning(struct rules_builder *builder,
                                       const struct value_places *places, unsigned nots,
                                       uint32_t from, struct weir_error *err)
{
    const struct ways breaks = text_ways(places, 0, 0);
    char firsts[16];
    uint32_t blank[2], behind[2];
    struct words words = {.count = 0};
    enum weir_status status = WEIR_OK;
    call_text_firsts(nots, firsts);
    for (int line = 0; line < 2; line++) {
        TRY(rules_node(builder, &blank[line], err));
        TRY(rules_node(builder, &behind[line], err));
    }
    TRY(rules_free(builder, from, blank[1], err));
    if ((nots & CALL_TEXT_NOT_NULL) != 0)
        add_word(&words, "null", behind[0]);
    if ((nots & CALL_TEXT_NOT_BOOLEAN) != 0) {
        add_word(&words, "true", behind[0]);
        add_word(&words, "false", behind[0]);
    }
    TRY(make_words(builder, &words, err));
    TRY(emit_words(builder, &words, &breaks, err));
    for (int line = 0; line < 2; line++) {
        struct ways begin = {.others = places->text[0][0]}, end = begin;
        add_ways(&begin, firsts, RULES_NONE);
        add_way(&begin, '\n', blank[1]);
        add_ways(&begin, white, blank[0]);
        if (words.count > 0)
            add_word_ways(&begin, &words, 0, 0);
        add_word_ways(&begin, &places->marks[line][0], 0, 0);
        TRY(emit_ways(builder, blank[line], &begin, err));
        add_way(&end, '\n', behind[1]);
        add_ways(&end, white, behind[0]);
        add_way(&end, '<', line == 1 ? RULES_NONE : places->marks[0][0].nodes[0][1]);
        TRY(emit_ways(builder, behind[line], &end, err));
    }
out:
    return status;
}

enum weir_status call_text_value(struct rules_builder *builder, unsigned nots, uint32_t from,
                                 uint32_t to, struct weir_error *err)
{
    struct value_places places;
    enum weir_status status;
    TRY(make_places(builder, &places, err));
    TRY(emit_places(builder, &places, to, err));
    if (nots == 0)
        TRY(rules_free(builder, from, places.text[1][0], err)); /* behind the key's newline */
    else
        TRY(emit_beginning(builder, &places, nots, from, err));
out:
    return status;
}

bool call_text_has_mark(struct json_text text)
{
    const size_t length = strlen(MARK_PARAMETER_END);
    for (size_t i = 0; i + length <= text.length; i++) {
        if (memcmp(text.bytes + i, MARK_PARAMETER_END, length) == 0)
            return true;
    }
    return false;
}

/* ---- strings --------------------------------------------------------------------------------- */

enum weir_status call_text_string(struct schema *schema, uint32_t from, uint32_t to,
                                  struct weir_error *err)
{
    struct rules_builder *builder = &schema->builder;
    struct words marks = {.count = 0};
    struct ways ways = {.is_json = true};
    uint32_t plain, escape;
    enum weir_status status;
    add_word(&marks, MARK_PARAMETER_END, RULES_NONE);
    TRY(make_words(builder, &marks, err));
    TRY(rules_node(builder, &plain, err));
    TRY(rules_node(builder, &escape, err));
    TRY(rules_free(builder, from, plain, err));
    TRY(schema_emit_escape(schema, escape, plain, err));
    ways.others = plain;
    add_way(&ways, '"', to);
    add_way(&ways, '\\', escape);
    add_word_ways(&ways, &marks, 0, 0);
    TRY(emit_ways(builder, plain, &ways, err));
    TRY(emit_words(builder, &marks, &ways, err));
out:
    return status;
}
