/* SPDX-License-Identifier: MIT
 * Rules being built: nodes and edges, and characters as the bytes of UTF-8. Knows not what makes a
 * grammar sound. */
#include "grammar/rules.h"

#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"

void rules_release(struct rules_builder *builder)
{
    for (uint64_t i = 0; i < builder->tokens_count; i++)
        mem_free(builder->tokens[i].text);
    mem_free(builder->tokens);
    mem_free(builder->edges);
    mem_free(builder->owners);
    mem_free(builder->rules);
    *builder = (struct rules_builder){0};
}

struct rules_mark rules_marked(const struct rules_builder *builder)
{
    return (struct rules_mark){builder->edges_count, builder->nodes_count, builder->rules_count};
}

void rules_back(struct rules_builder *builder, const struct rules_mark *mark)
{
    builder->edges_count = mark->edges_count;
    builder->nodes_count = mark->nodes_count;
    builder->rules_count = mark->rules_count;
    memset(builder->tails, 0, sizeof builder->tails);
    if (builder->tail_end >= mark->nodes_count)
        builder->tail_end = RULES_NONE;
}

/* ---- nodes and edges ------------------------------------------------------------------------- */

enum weir_status rules_node(struct rules_builder *builder, uint32_t *node, struct weir_error *err)
{
    if (builder->nodes_count == 0)
        builder->nodes_count = 1; /* 0 is none */
    if (builder->nodes_count >= RULES_NODES_MAX)
        return err_set(err, WEIR_ERR_UNSUPPORTED, "grammar: more than %d places",
                       RULES_NODES_MAX - 1);
    const enum weir_status status =
        mem_grow(&builder->owners, &builder->owners_capacity, builder->nodes_count + 1,
                 sizeof *builder->owners, err);
    if (status != WEIR_OK)
        return status;
    builder->owners[builder->nodes_count] = builder->rule;
    *node = (uint32_t)builder->nodes_count++;
    return WEIR_OK;
}

static enum weir_status add_edge(struct rules_builder *builder, uint32_t from,
                                 struct rules_edge edge, struct weir_error *err)
{
    const enum weir_status status = mem_grow(&builder->edges, &builder->edges_capacity,
                                             builder->edges_count + 1, sizeof *builder->edges, err);
    if (status != WEIR_OK)
        return status;
    if (builder->edges_count >= 4ull * RULES_NODES_MAX)
        return err_set(err, WEIR_ERR_UNSUPPORTED, "grammar: more than %d ways",
                       4 * RULES_NODES_MAX);
    builder->edges[builder->edges_count++] = (struct rules_built_edge){from, edge};
    return WEIR_OK;
}

enum weir_status rules_add(struct rules_builder *builder, const char *name, size_t name_length,
                           uint32_t *rule, struct weir_error *err)
{
    if (builder->rules_count == 0)
        builder->rules_count = 1; /* 0 is none */
    enum weir_status status = mem_grow(&builder->rules, &builder->rules_capacity,
                                       builder->rules_count + 1, sizeof *builder->rules, err);
    if (status != WEIR_OK)
        return status;
    struct rules_rule added = {.name = name, .name_length = name_length};
    builder->rule = (uint32_t)builder->rules_count;
    TRY(rules_node(builder, &added.start, err));
    TRY(rules_node(builder, &added.end, err));
    *rule = (uint32_t)builder->rules_count;
    builder->rules[builder->rules_count++] = added;
out:
    return status;
}

enum weir_status rules_free(struct rules_builder *builder, uint32_t from, uint32_t to,
                            struct weir_error *err)
{
    return add_edge(builder, from, (struct rules_edge){.target = to, .first = 1}, err);
}

enum weir_status rules_call(struct rules_builder *builder, uint32_t from, uint32_t to,
                            uint32_t rule, struct weir_error *err)
{
    const struct rules_edge edge = {.target = builder->rules[rule].start, .push = to, .first = 1};
    return add_edge(builder, from, edge, err);
}

enum weir_status rules_bytes(struct rules_builder *builder, uint32_t from, uint32_t to,
                             const char *text, size_t length, struct weir_error *err)
{
    if (length == 0)
        return rules_free(builder, from, to, err);
    enum weir_status status = WEIR_OK;
    for (size_t i = 0; i < length; i++) {
        const uint8_t byte = (uint8_t)text[i];
        uint32_t next = to;
        if (i + 1 < length)
            TRY(rules_node(builder, &next, err));
        TRY(add_edge(builder, from,
                     (struct rules_edge){.target = next, .first = byte, .last = byte}, err));
        from = next;
    }
out:
    return status;
}

static bool same_token(const struct rules_token *a, const struct rules_token *b)
{
    if (a->negated != b->negated || (a->text == NULL) != (b->text == NULL))
        return false;
    if (a->text == NULL)
        return a->id == b->id;
    return a->length == b->length && memcmp(a->text, b->text, a->length) == 0;
}

static enum weir_status find_token(struct rules_builder *builder, const struct rules_token *token,
                                   uint64_t *index, struct weir_error *err)
{
    for (*index = 0; *index < builder->tokens_count; (*index)++) {
        if (same_token(&builder->tokens[*index], token))
            return WEIR_OK;
    }
    if (builder->tokens_count >= RULES_TOKENS_MAX)
        return err_set(err, WEIR_ERR_UNSUPPORTED, "grammar: more than %d different tokens",
                       RULES_TOKENS_MAX);
    struct rules_token copy = *token;
    if (token->text != NULL)
        copy.text = mem_copy_text(token->text, token->length, err);
    if (token->text != NULL && copy.text == NULL)
        return WEIR_ERR_MEMORY;
    const enum weir_status status =
        mem_grow(&builder->tokens, &builder->tokens_capacity, builder->tokens_count + 1,
                 sizeof *builder->tokens, err);
    if (status == WEIR_OK)
        builder->tokens[builder->tokens_count++] = copy;
    else
        mem_free(copy.text);
    return status;
}

enum weir_status rules_token(struct rules_builder *builder, uint32_t from, uint32_t to,
                             const struct rules_token *token, struct weir_error *err)
{
    uint64_t index;
    const enum weir_status status = find_token(builder, token, &index, err);
    if (status != WEIR_OK)
        return status;
    const uint16_t symbol = (uint16_t)(RULES_SYMBOL_TOKEN + index);
    return add_edge(builder, from,
                    (struct rules_edge){.target = to, .first = symbol, .last = symbol}, err);
}

/* ---- characters ------------------------------------------------------------------------------ */

/* Characters whose n-th bytes are all those of [first[n], last[n]]. */
struct byte_ranges {
    uint8_t first[4], last[4];
    uint32_t length;
};

/* The last byte of a character leads here, where the node that was pushed takes over. */
static enum weir_status tail_end(struct rules_builder *builder, uint32_t *node,
                                 struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    if (builder->tail_end == RULES_NONE)
        status = rules_node(builder, &builder->tail_end, err);
    if (status == WEIR_OK)
        builder->owners[builder->tail_end] = RULES_NONE;
    *node = builder->tail_end;
    return status;
}

static bool same_tail(const struct rules_tail *tail, const struct byte_ranges *bytes, uint32_t from)
{
    const uint32_t length = bytes->length - from;
    return tail->length == length && memcmp(tail->first, bytes->first + from, length) == 0 &&
           memcmp(tail->last, bytes->last + from, length) == 0;
}

/* The node that reads the bytes from number `from` on, and ends. */
static enum weir_status find_tail(struct rules_builder *builder, const struct byte_ranges *bytes,
                                  uint32_t from, uint32_t *node, struct weir_error *err)
{
    for (uint32_t i = 0; i < RULES_TAILS; i++) {
        if (builder->tails[i].node != RULES_NONE && same_tail(&builder->tails[i], bytes, from)) {
            *node = builder->tails[i].node;
            return WEIR_OK;
        }
    }
    enum weir_status status;
    struct rules_tail tail = {.length = bytes->length - from};
    memcpy(tail.first, bytes->first + from, tail.length);
    memcpy(tail.last, bytes->last + from, tail.length);
    TRY(rules_node(builder, &tail.node, err));
    builder->owners[tail.node] = RULES_NONE;
    builder->tails[builder->tails_next++ % RULES_TAILS] = tail;
    *node = tail.node;
out:
    return status;
}

/* Makes the tail from its end to its beginning; what is known already is not made again. */
static enum weir_status make_tail(struct rules_builder *builder, const struct byte_ranges *bytes,
                                  uint32_t *node, struct weir_error *err)
{
    enum weir_status status;
    uint32_t next;
    TRY(tail_end(builder, &next, err));
    for (uint32_t from = bytes->length - 1; from > 0; from--) {
        const uint64_t known = builder->nodes_count;
        TRY(find_tail(builder, bytes, from, node, err));
        if (*node >= known)
            TRY(add_edge(builder, *node,
                         (struct rules_edge){.target = next,
                                             .first = bytes->first[from],
                                             .last = bytes->last[from]},
                         err));
        next = *node;
    }
out:
    return status;
}

static enum weir_status add_byte_ranges(struct rules_builder *builder, uint32_t from, uint32_t to,
                                        const struct byte_ranges *bytes, struct weir_error *err)
{
    struct rules_edge edge = {.target = to, .first = bytes->first[0], .last = bytes->last[0]};
    enum weir_status status = WEIR_OK;
    if (bytes->length > 1) {
        TRY(make_tail(builder, bytes, &edge.target, err));
        edge.push = to;
    }
    TRY(add_edge(builder, from, edge, err));
out:
    return status;
}

/* The last code point of the part of `range` that begins at its first and of which each byte is a
 * range of its own: the largest block of the last k bytes that fits. */
static uint32_t part_end(struct code_range range)
{
    static const uint32_t lasts[5] = {0, 0x7f, 0x7ff, 0xffff, 0x10ffff};
    uint32_t bytes = 1;
    while (range.first > lasts[bytes])
        bytes++;
    uint32_t last = range.last < lasts[bytes] ? range.last : lasts[bytes];
    if (range.first < 0x80)
        return last;
    for (uint32_t bits = 6; bits <= 18; bits += 6) {
        const uint32_t mask = (1u << bits) - 1;
        if (range.first >> bits == last >> bits)
            return last; /* they differ in the bytes of these bits alone */
        if ((range.first & mask) != 0)
            return range.first | mask;
        if ((last & mask) != mask)
            last = (last & ~mask) - 1;
    }
    return last;
}

enum weir_status rules_range(struct rules_builder *builder, uint32_t from, uint32_t to,
                             struct code_range range, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    while (range.first <= range.last) {
        const uint32_t last = part_end(range);
        struct byte_ranges bytes = {.length = 0};
        bytes.length = utf8_encode(range.first, bytes.first);
        utf8_encode(last, bytes.last);
        TRY(add_byte_ranges(builder, from, to, &bytes, err));
        range.first = last + 1;
    }
out:
    return status;
}
