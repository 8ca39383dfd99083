/* SPDX-License-Identifier: MIT
 * Reads regular expressions. Knows nothing of JSON. What is repeated is read again for each copy,
 * as in gbnf.c. */
#include "grammar/regex.h"

#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "grammar/cursor.h"

enum {
    REGEX_DEPTH_MAX = 50,     /* groups in groups */
    REGEX_WORK_MAX = 1 << 20, /* characters and members of classes, those of copies too */
};

struct reader {
    struct regex *regex;
    struct cursor in;
    uint32_t depth;
    uint32_t work;
    bool is_whole; /* ^ and $ may be missing */
};

static enum weir_status refuse(const struct reader *reader, const char *what,
                               struct weir_error *err)
{
    return err_set(err, WEIR_ERR_UNSUPPORTED, "pattern, byte %zu: %s", reader->in.at + 1, what);
}

/* ---- graph ----------------------------------------------------------------------------------- */

static enum weir_status add_node(struct reader *reader, uint32_t *node, struct weir_error *err)
{
    *node = 0;
    if (reader->regex->nodes_count == REGEX_NODES_MAX)
        return refuse(reader, "too many repetitions", err);
    *node = reader->regex->nodes_count++;
    return WEIR_OK;
}

static enum weir_status add_edge(struct reader *reader, uint32_t from, uint32_t to, uint32_t set,
                                 struct weir_error *err)
{
    struct regex *regex = reader->regex;
    if (regex->edges_count == REGEX_EDGES_MAX)
        return refuse(reader, "too many alternatives", err);
    const enum weir_status status = mem_grow(&regex->edges, &regex->edges_capacity,
                                             regex->edges_count + 1, sizeof *regex->edges, err);
    if (status == WEIR_OK)
        regex->edges[regex->edges_count++] = (struct regex_edge){from, to, set};
    return status;
}

static bool same_set(const struct code_set *a, const struct code_set *b)
{
    return a->count == b->count &&
           (a->count == 0 || memcmp(a->ranges, b->ranges, a->count * sizeof *a->ranges) == 0);
}

/* Adds an edge over a closed set, which it takes. */
static enum weir_status add_set(struct reader *reader, uint32_t from, uint32_t to,
                                struct code_set *set, struct weir_error *err)
{
    struct regex *regex = reader->regex;
    uint32_t index = 0;
    while (index < regex->sets_count && !same_set(&regex->sets[index], set))
        index++;
    if (index == regex->sets_count) {
        const enum weir_status status = mem_grow(&regex->sets, &regex->sets_capacity,
                                                 regex->sets_count + 1, sizeof *regex->sets, err);
        if (status != WEIR_OK)
            return status;
        regex->sets[regex->sets_count++] = *set;
        *set = (struct code_set){0};
    }
    return add_edge(reader, from, to, index, err);
}

/* ---- sets ------------------------------------------------------------------------------------ */

struct named_set {
    char letter;
    uint32_t count;
    struct code_range ranges[12];
};

/* ECMA-262, 22.2.2.9 CharacterClassEscape; the dot is any but the line terminators. */
static const struct named_set named_sets[] = {
    {'d', 1, {{'0', '9'}}},
    {'w', 4, {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}},
    {'s',
     10,
     {{'\t', '\r'},
      {' ', ' '},
      {0xa0, 0xa0},
      {0x1680, 0x1680},
      {0x2000, 0x200a},
      {0x2028, 0x2029},
      {0x202f, 0x202f},
      {0x205f, 0x205f},
      {0x3000, 0x3000},
      {0xfeff, 0xfeff}}},
    {'.', 3, {{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}}}, /* the others */
};

static const struct named_set *find_named(char letter)
{
    for (size_t i = 0; i < sizeof named_sets / sizeof named_sets[0]; i++) {
        if (named_sets[i].letter == letter)
            return &named_sets[i];
    }
    return NULL;
}

static enum weir_status add_ranges(struct code_set *set, const struct code_range *ranges,
                                   uint64_t count, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    for (uint64_t i = 0; i < count && status == WEIR_OK; i++)
        status = code_set_add(set, ranges[i].first, ranges[i].last, err);
    return status;
}

/* A capital letter names what the small one does not. */
static enum weir_status add_named(struct code_set *set, const struct named_set *named, bool others,
                                  struct weir_error *err)
{
    struct code_set own = {0};
    enum weir_status status;
    TRY(add_ranges(&own, named->ranges, named->count, err));
    TRY(code_set_close(&own, others, err));
    TRY(add_ranges(set, own.ranges, own.count, err));
out:
    code_set_release(&own);
    return status;
}

static enum weir_status read_hex(struct reader *reader, uint32_t digits, uint32_t *code,
                                 struct weir_error *err)
{
    *code = 0;
    for (uint32_t i = 0; i < digits; i++, reader->in.at++) {
        const int value = hex_value(cursor_peek(&reader->in, 0));
        if (value < 0)
            return refuse(reader, "expected a hexadecimal digit", err);
        *code = *code << 4 | (uint32_t)value;
    }
    if (code_is_surrogate(*code))
        return refuse(reader, "half of a surrogate pair", err);
    return WEIR_OK;
}

/* An escape that is one character. `in_class` makes a backspace of \b. */
static enum weir_status read_escape(struct reader *reader, bool in_class, uint32_t *code,
                                    struct weir_error *err)
{
    static const struct {
        char letter, code;
    } escapes[] = {{'t', '\t'}, {'n', '\n'}, {'v', '\v'}, {'f', '\f'}, {'r', '\r'}, {'0', 0}};
    const char letter = cursor_peek(&reader->in, 1);
    for (size_t i = 0; i < sizeof escapes / sizeof escapes[0]; i++) {
        if (letter == escapes[i].letter && reader->in.length - reader->in.at > 1) {
            reader->in.at += 2;
            *code = (uint8_t)escapes[i].code;
            return WEIR_OK;
        }
    }
    if (letter == 'x' || letter == 'u') {
        reader->in.at += 2;
        return read_hex(reader, letter == 'x' ? 2 : 4, code, err);
    }
    const bool is_letter = (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z');
    if ((is_letter && !(in_class && letter == 'b')) || letter <= ' ' ||
        (letter >= '1' && letter <= '9'))
        return refuse(reader, "an escape that is not known", err);
    reader->in.at += 2;
    *code = letter == 'b' ? '\b' : (uint8_t)letter;
    return WEIR_OK;
}

static enum weir_status read_code(struct reader *reader, bool in_class, uint32_t *code,
                                  struct weir_error *err)
{
    if (cursor_at_end(&reader->in))
        return refuse(reader, "ends too early", err);
    if (cursor_peek(&reader->in, 0) == '\\')
        return read_escape(reader, in_class, code, err);
    const size_t bytes =
        code_read(reader->in.text + reader->in.at, reader->in.length - reader->in.at, code);
    if (bytes == 0)
        return refuse(reader, "not UTF-8", err);
    reader->in.at += bytes;
    return WEIR_OK;
}

/* \d and the like; NULL if something else comes. The dot is none of them. */
static const struct named_set *next_named(const struct reader *reader, bool *others)
{
    const char letter = cursor_peek(&reader->in, 1);
    const bool is_small = letter >= 'a' && letter <= 'z';
    *others = letter >= 'A' && letter <= 'Z';
    if (cursor_peek(&reader->in, 0) != '\\' || !(is_small || *others))
        return NULL;
    return find_named((char)(letter | 0x20));
}

/* One member of a class: a set with a name, a character, or a range. */
static enum weir_status read_member(struct reader *reader, struct code_set *set,
                                    struct weir_error *err)
{
    bool others;
    uint32_t first, last;
    enum weir_status status;
    const struct named_set *named = next_named(reader, &others);
    if (++reader->work > REGEX_WORK_MAX)
        return refuse(reader, "too long with its repetitions", err);
    if (named != NULL) {
        reader->in.at += 2;
        return add_named(set, named, others, err);
    }
    TRY(read_code(reader, true, &first, err));
    last = first;
    if (cursor_peek(&reader->in, 0) == '-' && cursor_peek(&reader->in, 1) != ']') {
        reader->in.at++;
        if (next_named(reader, &others) != NULL)
            return refuse(reader, "a range to what is no character", err);
        TRY(read_code(reader, true, &last, err));
    }
    if (last < first)
        return refuse(reader, "a range that ends before it begins", err);
    TRY(code_set_add(set, first, last, err));
out:
    return status;
}

static enum weir_status read_class(struct reader *reader, uint32_t from, uint32_t to,
                                   struct weir_error *err)
{
    struct code_set set = {0};
    enum weir_status status = WEIR_OK;
    reader->in.at++;
    const bool negated = cursor_take(&reader->in, "^");
    while (cursor_peek(&reader->in, 0) != ']' || cursor_at_end(&reader->in))
        TRY(read_member(reader, &set, err));
    reader->in.at++;
    TRY(code_set_close(&set, negated, err));
    TRY(add_set(reader, from, to, &set, err));
out:
    code_set_release(&set);
    return status;
}

/* A character, a dot, or an escape. */
static enum weir_status read_character(struct reader *reader, uint32_t from, uint32_t to,
                                       struct weir_error *err)
{
    struct code_set set = {0};
    bool others;
    uint32_t code;
    enum weir_status status;
    const struct named_set *named = next_named(reader, &others);
    if (named != NULL) {
        reader->in.at += 2;
        TRY(add_named(&set, named, others, err));
    } else if (cursor_take(&reader->in, ".")) {
        TRY(add_named(&set, find_named('.'), true, err));
    } else {
        TRY(read_code(reader, false, &code, err));
        TRY(code_set_add(&set, code, code, err));
    }
    TRY(code_set_close(&set, false, err));
    TRY(add_set(reader, from, to, &set, err));
out:
    code_set_release(&set);
    return status;
}

/* ---- expressions ----------------------------------------------------------------------------- */

static enum weir_status read_alternatives(struct reader *reader, uint32_t from, uint32_t to,
                                          struct weir_error *err);

static enum weir_status read_group(struct reader *reader, uint32_t from, uint32_t to,
                                   struct weir_error *err)
{
    if (reader->depth == REGEX_DEPTH_MAX)
        return refuse(reader, "groups are nested too deeply", err);
    reader->in.at++;
    if (cursor_peek(&reader->in, 0) == '?' && !cursor_take(&reader->in, "?:"))
        return refuse(reader, "a group that looks around, or has a name", err);
    reader->depth++;
    const enum weir_status status = read_alternatives(reader, from, to, err);
    reader->depth--;
    if (status != WEIR_OK)
        return status;
    return cursor_take(&reader->in, ")") ? WEIR_OK : refuse(reader, "expected )", err);
}

static enum weir_status read_atom(struct reader *reader, uint32_t from, uint32_t to,
                                  struct weir_error *err)
{
    const char c = cursor_peek(&reader->in, 0);
    if (c == '(')
        return read_group(reader, from, to, err);
    if (c == '[')
        return read_class(reader, from, to, err);
    if (c != 0 && strchr("^$*+?{}]", c) != NULL)
        return refuse(reader, "^ or $ within, or a repetition of nothing", err);
    return read_character(reader, from, to, err);
}

static bool read_number(struct reader *reader, uint32_t *number)
{
    const size_t begin = reader->in.at;
    *number = 0;
    for (; cursor_peek(&reader->in, 0) >= '0' && cursor_peek(&reader->in, 0) <= '9';
         reader->in.at++) {
        if (*number <= REGEX_NODES_MAX)
            *number = *number * 10 + (uint32_t)(cursor_peek(&reader->in, 0) - '0');
    }
    return reader->in.at > begin;
}

/* {m}, {m,} or {m,n}, behind the first bracket. */
static enum weir_status read_counts(struct reader *reader, struct repeat *out,
                                    struct weir_error *err)
{
    bool right = read_number(reader, &out->least);
    out->most = out->least;
    if (right && cursor_take(&reader->in, ",") && !read_number(reader, &out->most))
        out->most = UINT32_MAX;
    right = right && cursor_take(&reader->in, "}") && out->least <= out->most;
    return right ? WEIR_OK : refuse(reader, "expected {m}, {m,} or {m,n}", err);
}

static enum weir_status read_repeat(struct reader *reader, struct repeat *out,
                                    struct weir_error *err)
{
    const bool is_mark = cursor_take_repeat(&reader->in, out);
    enum weir_status status = WEIR_OK;
    if (!is_mark && !cursor_take(&reader->in, "{"))
        return WEIR_OK;
    if (!is_mark)
        TRY(read_counts(reader, out, err));
    cursor_take(&reader->in, "?"); /* how much is taken first does not change what matches */
out:
    return status;
}

/* Goes from `from` over the copy from begin to end, and over further ones, read again at `atom`. */
static enum weir_status add_copies(struct reader *reader, size_t atom, struct repeat repeat,
                                   uint32_t from, uint32_t begin, uint32_t end, uint32_t to,
                                   struct weir_error *err)
{
    const bool endless = repeat.most == UINT32_MAX;
    const uint32_t copies = repeat_copies(repeat);
    enum weir_status status = WEIR_OK;
    if (repeat.least == 0)
        TRY(add_edge(reader, from, to, REGEX_FREE, err));
    for (uint32_t copy = 1; copy <= copies; copy++) {
        if (copy > 1) {
            TRY(add_node(reader, &begin, err));
            TRY(add_node(reader, &end, err));
            reader->in.at = atom;
            TRY(read_atom(reader, begin, end, err));
        }
        TRY(add_edge(reader, from, begin, REGEX_FREE, err));
        if (copy >= repeat.least)
            TRY(add_edge(reader, end, to, REGEX_FREE, err));
        from = end;
    }
    if (endless)
        TRY(add_edge(reader, end, begin, REGEX_FREE, err));
out:
    return status;
}

static enum weir_status read_item(struct reader *reader, uint32_t from, uint32_t to,
                                  struct weir_error *err)
{
    const size_t atom = reader->in.at;
    uint32_t begin, end;
    struct repeat repeat;
    enum weir_status status;
    TRY(add_node(reader, &begin, err));
    TRY(add_node(reader, &end, err));
    TRY(read_atom(reader, begin, end, err));
    TRY(read_repeat(reader, &repeat, err));
    const size_t behind = reader->in.at;
    TRY(add_copies(reader, atom, repeat, from, begin, end, to, err));
    reader->in.at = behind;
out:
    return status;
}

static bool ends_sequence(const struct reader *reader)
{
    const char c = cursor_peek(&reader->in, 0);
    return cursor_at_end(&reader->in) || c == '|' || c == ')' ||
           (c == '$' && reader->depth == 0 &&
            (reader->in.length - reader->in.at == 1 || cursor_peek(&reader->in, 1) == '|'));
}

/* Any text at all: what may stand before an expression without ^, and behind one without $. */
static enum weir_status add_anything(struct reader *reader, uint32_t from, uint32_t to,
                                     struct weir_error *err)
{
    struct code_set any = {0};
    uint32_t loop;
    enum weir_status status;
    TRY(add_node(reader, &loop, err));
    TRY(add_edge(reader, from, loop, REGEX_FREE, err));
    TRY(code_set_close(&any, true, err));
    TRY(add_set(reader, loop, loop, &any, err));
    TRY(add_edge(reader, loop, to, REGEX_FREE, err));
out:
    code_set_release(&any);
    return status;
}

static enum weir_status read_sequence(struct reader *reader, uint32_t from, uint32_t to,
                                      struct weir_error *err)
{
    const bool top = reader->depth == 0;
    uint32_t next;
    enum weir_status status = WEIR_OK;
    if (top && !cursor_take(&reader->in, "^") && !reader->is_whole) {
        TRY(add_node(reader, &next, err));
        TRY(add_anything(reader, from, next, err));
        from = next;
    }
    while (!ends_sequence(reader)) {
        TRY(add_node(reader, &next, err));
        TRY(read_item(reader, from, next, err));
        from = next;
    }
    if (top && !cursor_take(&reader->in, "$") && !reader->is_whole)
        TRY(add_anything(reader, from, to, err));
    else
        TRY(add_edge(reader, from, to, REGEX_FREE, err));
out:
    return status;
}

static enum weir_status read_alternatives(struct reader *reader, uint32_t from, uint32_t to,
                                          struct weir_error *err)
{
    enum weir_status status;
    do
        TRY(read_sequence(reader, from, to, err));
    while (cursor_take(&reader->in, "|"));
out:
    return status;
}

static enum weir_status read_all(struct reader *reader, struct weir_error *err)
{
    struct regex *regex = reader->regex;
    enum weir_status status;
    TRY(add_node(reader, &regex->start, err));
    TRY(add_node(reader, &regex->end, err));
    TRY(read_alternatives(reader, regex->start, regex->end, err));
    if (!cursor_at_end(&reader->in))
        status = refuse(reader, "a ) without its (", err);
out:
    return status;
}

enum weir_status regex_read(struct regex *regex, const char *text, size_t length,
                            struct weir_error *err)
{
    struct reader reader = {.regex = regex, .in = {.text = text, .length = length}};
    return read_all(&reader, err);
}

enum weir_status regex_read_whole(struct regex *regex, const char *text, size_t length,
                                  struct weir_error *err)
{
    struct reader reader = {
        .regex = regex, .in = {.text = text, .length = length}, .is_whole = true};
    return read_all(&reader, err);
}

void regex_release(struct regex *regex)
{
    for (uint64_t i = 0; i < regex->sets_count; i++)
        code_set_release(&regex->sets[i]);
    mem_free(regex->sets);
    mem_free(regex->edges);
    *regex = (struct regex){0};
}
