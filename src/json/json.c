/* SPDX-License-Identifier: MIT
 * Reads JSON into a tree. Knows nothing of what the values are for. */
#include "json/json.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "json/json_string.h"

struct json_document {
    uint64_t bytes;
    char *text;
    char *decoded; /* strings with escapes */
    struct json *nodes;
    struct json_text *keys;
    const struct json_text **sorted; /* beside the keys: of each object with many */
};

/* An array or object whose end was not read yet. */
struct frame {
    bool is_object;
    const char *begin;
    uint64_t nodes, keys; /* pending ones outside of it */
};

/* Nodes are pending until the end of what they stand in is read: then its elements move, in their
 * order, from the end of the pending ones (which fill the array from below) to the finished ones
 * (from above). So elements lie side by side and one array of all nodes suffices. Keys likewise. */
struct json_reader {
    const char *begin, *at, *end;
    const char *refused, *reason; /* the first thing that is wrong */
    struct frame frames[JSON_DEPTH_MAX];
    uint32_t depth, depth_max;
    enum json_kind kind; /* of the value that was read last */
    struct json *nodes;  /* NULL: the text is only checked */
    struct json_text *keys;
    const struct json_text **sorted;
    char *decoded;
    uint64_t nodes_pending, nodes_finished; /* finished: the first of them */
    uint64_t keys_pending, keys_finished;
};

static bool refuse(struct json_reader *reader, const char *at, const char *reason)
{
    reader->refused = at;
    reader->reason = reason;
    return false;
}

bool json_is_white(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_space(struct json_reader *reader)
{
    while (reader->at < reader->end && json_is_white(*reader->at))
        reader->at++;
}

static bool is_next(const struct json_reader *reader, char c)
{
    return reader->at < reader->end && *reader->at == c;
}

static bool take(struct json_reader *reader, char c)
{
    if (!is_next(reader, c))
        return false;
    reader->at++;
    return true;
}

/* ---- scalars --------------------------------------------------------------------------------- */

static void push(struct json_reader *reader, const char *begin, struct json value)
{
    reader->kind = value.kind;
    if (reader->nodes == NULL)
        return;
    assert(reader->nodes_pending < reader->nodes_finished);
    value.source = (struct json_text){begin, (size_t)(reader->at - begin)};
    reader->nodes[reader->nodes_pending++] = value;
}

/* At a quote. */
static bool read_text(struct json_reader *reader, struct json_text *text)
{
    const struct json_string string = json_string_read(reader->at, reader->end, reader->decoded);
    if (string.end == NULL)
        return refuse(reader, string.refused, string.reason);
    *text = (struct json_text){string.is_plain ? reader->at + 1 : reader->decoded, string.length};
    if (reader->decoded != NULL && !string.is_plain)
        reader->decoded += string.length;
    reader->at = string.end;
    return true;
}

static bool read_string(struct json_reader *reader)
{
    const char *const begin = reader->at;
    struct json value = {.kind = JSON_STRING};
    if (!read_text(reader, &value.text))
        return false;
    push(reader, begin, value);
    return true;
}

static bool skip_digits(struct json_reader *reader)
{
    const char *const begin = reader->at;
    while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9')
        reader->at++;
    return reader->at > begin;
}

static bool read_number(struct json_reader *reader)
{
    const char *const begin = reader->at;
    take(reader, '-');
    if (!take(reader, '0') && !skip_digits(reader))
        return refuse(reader, reader->at, "a number without digits");
    if (take(reader, '.') && !skip_digits(reader))
        return refuse(reader, reader->at, "a number without digits behind its point");
    if (take(reader, 'e') || take(reader, 'E')) {
        if (!take(reader, '+'))
            take(reader, '-');
        if (!skip_digits(reader))
            return refuse(reader, reader->at, "a number without digits in its exponent");
    }
    const struct json_text text = {begin, (size_t)(reader->at - begin)};
    push(reader, begin, (struct json){.kind = JSON_NUMBER, .text = text});
    return true;
}

static bool read_word(struct json_reader *reader)
{
    static const struct {
        const char *text;
        enum json_kind kind;
    } words[] = {{"null", JSON_NULL}, {"false", JSON_FALSE}, {"true", JSON_TRUE}};
    const char *const begin = reader->at;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        const size_t length = strlen(words[i].text);
        if ((size_t)(reader->end - begin) < length || memcmp(begin, words[i].text, length) != 0)
            continue;
        reader->at += length;
        push(reader, begin, (struct json){.kind = words[i].kind});
        return true;
    }
    return refuse(reader, begin, "no value");
}

static bool read_scalar(struct json_reader *reader)
{
    if (is_next(reader, '"'))
        return read_string(reader);
    const bool is_number = reader->at < reader->end &&
                           (*reader->at == '-' || (*reader->at >= '0' && *reader->at <= '9'));
    return is_number ? read_number(reader) : read_word(reader);
}

/* ---- arrays and objects ---------------------------------------------------------------------- */

static bool read_key(struct json_reader *reader)
{
    struct json_text key;
    skip_space(reader);
    if (!is_next(reader, '"'))
        return refuse(reader, reader->at, "no key");
    if (!read_text(reader, &key))
        return false;
    skip_space(reader);
    if (!take(reader, ':'))
        return refuse(reader, reader->at, "no colon behind a key");
    if (reader->nodes == NULL)
        return true;
    assert(reader->keys_pending < reader->keys_finished);
    reader->keys[reader->keys_pending++] = key;
    return true;
}

/* Behind a bracket that opens. */
static bool open_frame(struct json_reader *reader, bool is_object)
{
    if (reader->depth == reader->depth_max)
        return refuse(reader, reader->at - 1, "too many arrays and objects within each other");
    reader->frames[reader->depth++] =
        (struct frame){is_object, reader->at - 1, reader->nodes_pending, reader->keys_pending};
    return true;
}

static int compare_keys(const void *a_pointer, const void *b_pointer)
{
    const struct json_text *a = *(const struct json_text *const *)a_pointer;
    const struct json_text *b = *(const struct json_text *const *)b_pointer;
    const int order = json_text_compare(*a, *b);
    return order != 0 ? order : (a > b) - (a < b);
}

/* Members are looked for by key again and again, and who writes many of them may not be a friend:
 * so their order is found once. */
static void sort_keys(struct json_reader *reader, struct json *object)
{
    if (object->kind != JSON_OBJECT || object->count <= JSON_FEW)
        return;
    const struct json_text **sorted = reader->sorted + reader->keys_finished;
    for (uint32_t i = 0; i < object->count; i++)
        sorted[i] = &object->keys[i];
    qsort(sorted, object->count, sizeof *sorted, compare_keys);
    object->sorted = sorted;
}

/* Behind the bracket that closes the innermost frame, which becomes a value. */
static void close_frame(struct json_reader *reader)
{
    const struct frame *frame = &reader->frames[--reader->depth];
    struct json value = {.kind = frame->is_object ? JSON_OBJECT : JSON_ARRAY};
    const uint64_t count = reader->nodes_pending - frame->nodes;
    const uint64_t keys_count = reader->keys_pending - frame->keys;
    if (reader->nodes != NULL) {
        reader->nodes_finished -= count;
        reader->keys_finished -= keys_count;
        value.items = memmove(reader->nodes + reader->nodes_finished, reader->nodes + frame->nodes,
                              (size_t)count * sizeof *reader->nodes);
        value.keys = memmove(reader->keys + reader->keys_finished, reader->keys + frame->keys,
                             (size_t)keys_count * sizeof *reader->keys);
        value.count = (uint32_t)count;
        sort_keys(reader, &value);
        reader->nodes_pending = frame->nodes;
        reader->keys_pending = frame->keys;
    }
    push(reader, frame->begin, value);
}

static char closing(const struct json_reader *reader)
{
    return reader->frames[reader->depth - 1].is_object ? '}' : ']';
}

/* Reads up to the end of the next value that holds no other: a scalar, or what is empty. */
static bool read_innermost(struct json_reader *reader)
{
    for (;;) {
        skip_space(reader);
        const bool is_object = is_next(reader, '{');
        if (!is_object && !is_next(reader, '['))
            return read_scalar(reader);
        reader->at++;
        if (!open_frame(reader, is_object))
            return false;
        skip_space(reader);
        if (take(reader, closing(reader))) {
            close_frame(reader);
            return true;
        }
        if (is_object && !read_key(reader))
            return false;
    }
}

/* Closes what ends behind a value; stops behind the comma before the next, or when all is read. */
static bool read_ends(struct json_reader *reader)
{
    while (reader->depth > 0) {
        skip_space(reader);
        const bool is_object = reader->frames[reader->depth - 1].is_object;
        if (take(reader, ','))
            return !is_object || read_key(reader);
        if (!take(reader, closing(reader)))
            return refuse(reader, reader->at,
                          is_object ? "no comma and no } behind a member"
                                    : "no comma and no ] behind an element");
        close_frame(reader);
    }
    return true;
}

static bool read_document(struct json_reader *reader)
{
    do {
        if (!read_innermost(reader) || !read_ends(reader))
            return false;
    } while (reader->depth > 0);
    skip_space(reader);
    return reader->at == reader->end || refuse(reader, reader->at, "more behind the value");
}

/* ---- documents ------------------------------------------------------------------------------- */

static enum weir_status say_refused(const struct json_reader *reader, const char *name,
                                    struct weir_error *err)
{
    unsigned long long line = 1, column = 1;
    for (const char *at = reader->begin; at < reader->refused; at++) {
        const bool is_newline = *at == '\n';
        const bool continues = ((unsigned char)*at & 0xc0) == 0x80;
        line += is_newline;
        column = is_newline ? 1 : column + !continues;
    }
    return err_set(err, WEIR_ERR_FORMAT, "%s: line %llu, column %llu: %s%s", name, line, column,
                   reader->refused == reader->end ? "the text ends here: " : "", reader->reason);
}

/* At most so many nodes and keys are in the text: all but the first node stand behind one of three
 * characters, each key before a colon, and none of these within a string. */
static void count_at_most(const char *text, size_t length, uint64_t *nodes, uint64_t *keys)
{
    bool in_string = false;
    *nodes = 1;
    *keys = 0;
    for (size_t i = 0; i < length; i++) {
        const char c = text[i];
        if (in_string && c == '\\')
            i++; // what is behind it does not end the string
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string) {
            *nodes += c == '[' || c == '{' || c == ',';
            *keys += c == ':';
        }
    }
}

static enum weir_status document_alloc(struct json_document *document, struct json_reader *reader,
                                       const char *text, size_t length, uint64_t values_max,
                                       const char *name, struct weir_error *err)
{
    uint64_t nodes, keys;
    count_at_most(text, length, &nodes, &keys);
    if (nodes > values_max || keys > values_max)
        return err_set(err, WEIR_ERR_UNSUPPORTED, "%s: more than %llu values", name,
                       (unsigned long long)values_max);
    const bool has_escapes = length > 0 && memchr(text, '\\', length) != NULL;
    document->bytes = (has_escapes ? 2 : 1) * (uint64_t)length + nodes * sizeof *document->nodes +
                      keys * (sizeof *document->keys + sizeof *document->sorted);
    document->text = mem_copy_text(text, length, err);
    document->decoded = mem_alloc(has_escapes ? length : 0, 1, err);
    document->nodes = mem_alloc(nodes, sizeof *document->nodes, err);
    document->keys = mem_alloc(keys, sizeof *document->keys, err);
    document->sorted = mem_alloc(keys > JSON_FEW ? keys : 0, sizeof *document->sorted, err);
    if (document->text == NULL || document->decoded == NULL || document->nodes == NULL ||
        document->keys == NULL || document->sorted == NULL)
        return WEIR_ERR_MEMORY;
    *reader = (struct json_reader){
        .begin = document->text,
        .at = document->text,
        .end = document->text + length,
        .depth_max = JSON_DEPTH_MAX,
        .nodes = document->nodes,
        .keys = document->keys,
        .sorted = document->sorted,
        .decoded = has_escapes ? document->decoded : NULL,
        .nodes_finished = nodes,
        .keys_finished = keys,
    };
    return WEIR_OK;
}

enum weir_status json_open(struct json_document **out, const char *text, size_t length,
                           const char *name, struct weir_error *err)
{
    return json_open_few(out, text, length, UINT64_MAX, name, err);
}

enum weir_status json_open_few(struct json_document **out, const char *text, size_t length,
                               uint64_t values_max, const char *name, struct weir_error *err)
{
    *out = NULL;
    struct json_document *document = mem_alloc(1, sizeof *document, err);
    struct json_reader reader;
    enum weir_status status = WEIR_ERR_MEMORY;
    if (document == NULL)
        goto out;
    if (length > UINT32_MAX) {
        status = err_set(err, WEIR_ERR_UNSUPPORTED, "%s: more than 4 GiB of JSON", name);
        goto out;
    }
    TRY(document_alloc(document, &reader, text, length, values_max, name, err));
    TRY(read_document(&reader) ? WEIR_OK : say_refused(&reader, name, err));
    *out = document;
    document = NULL;
out:
    json_close(document);
    return status;
}

void json_close(struct json_document *document)
{
    if (document == NULL)
        return;
    mem_free(document->sorted);
    mem_free(document->keys);
    mem_free(document->nodes);
    mem_free(document->decoded);
    mem_free(document->text);
    mem_free(document);
}

enum weir_status json_open_given(struct json_document **out, const char *text, size_t length,
                                 const char *name, struct weir_error *err)
{
    struct weir_error problem = {0};
    const enum weir_status status = json_open(out, text, length, name, &problem);
    if (status == WEIR_OK)
        return WEIR_OK;
    return err_set(err, status == WEIR_ERR_FORMAT ? WEIR_ERR_ARGUMENT : status, "%s", problem.text);
}

enum weir_status json_open_kind(struct json_document **out, enum json_kind kind, const char *text,
                                size_t length, const char *name, struct weir_error *err)
{
    const enum weir_status status = json_open_given(out, text, length, name, err);
    if (status != WEIR_OK)
        return status;
    const enum json_kind found = json_root(*out)->kind;
    if (found == kind)
        return WEIR_OK;
    json_close(*out);
    *out = NULL;
    return err_set(err, WEIR_ERR_ARGUMENT, "%s: expected %s, found %s", name, json_kind_name(kind),
                   json_kind_name(found));
}

const struct json *json_root(const struct json_document *document)
{
    return document->nodes;
}

uint64_t json_bytes(const struct json_document *document)
{
    return document->bytes;
}

static bool check(const char *text, size_t length, uint32_t depth_max, enum json_kind *kind)
{
    struct json_reader reader = {
        .begin = text, .at = text, .end = text + length, .depth_max = depth_max};
    if (!read_document(&reader))
        return false;
    if (kind != NULL)
        *kind = reader.kind;
    return true;
}

bool json_check(const char *text, size_t length, enum json_kind *kind)
{
    return check(text, length, JSON_DEPTH_MAX, kind);
}

bool json_check_part(const char *text, size_t length, enum json_kind *kind)
{
    return check(text, length, JSON_PART_DEPTH_MAX, kind);
}
