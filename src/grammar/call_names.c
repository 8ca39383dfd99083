/* SPDX-License-Identifier: MIT
 * Names as a tree of characters, which names that are not known leave. Knows no schemas. */
#include "grammar/call_names.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "chat/marks.h"
#include "grammar/code_set.h"

enum {
    CHARACTERS_MAX = 64, /* of a name that is not known: as many bytes as a name may have */
    CONTROL_LAST = 0x1f,
    DELETE = 0x7f,
};
static_assert(4 * CHARACTERS_MAX <= MARK_NAME_MAX, "characters have up to four bytes");

bool call_name_can_be(struct json_text name)
{
    for (size_t i = 0; i < name.length; i++) {
        const char c = name.bytes[i];
        if (c == '<' || c == '>' || is_control_byte(c))
            return false;
    }
    return name.length > 0 && name.length <= MARK_NAME_MAX;
}

static int compare_names(const void *a, const void *b)
{
    return json_text_compare(*(const struct json_text *)a, *(const struct json_text *)b);
}

/* Sorted names that begin with the same characters, which lead to a node. */
struct branch {
    uint64_t first, end;
    size_t bytes;
    uint32_t characters, node;
};

struct tree {
    struct rules_builder *builder;
    const struct json_text *names;
    struct branch *branches; /* those behind the ones that are done wait */
    uint64_t count, capacity;
    uint32_t others[CHARACTERS_MAX + 1]; /* behind so many characters, and by them none of these */
    uint32_t to;
};

static enum weir_status add_branch(struct tree *tree, struct branch branch, struct weir_error *err)
{
    const enum weir_status status =
        mem_grow(&tree->branches, &tree->capacity, tree->count + 1, sizeof branch, err);
    if (status == WEIR_OK)
        tree->branches[tree->count++] = branch;
    return status;
}

/* Characters that no name has. */
static enum weir_status add_unnamed(struct code_set *set, struct weir_error *err)
{
    enum weir_status status;
    TRY(code_set_add(set, 0, CONTROL_LAST, err));
    TRY(code_set_add(set, DELETE, DELETE, err));
    TRY(code_set_add(set, '<', '<', err));
    TRY(code_set_add(set, '>', '>', err));
out:
    return status;
}

/* All but these characters, and but those that no name has. */
static enum weir_status emit_but(struct rules_builder *builder, struct code_set *set, uint32_t from,
                                 uint32_t to, struct weir_error *err)
{
    enum weir_status status;
    TRY(add_unnamed(set, err));
    TRY(code_set_close(set, true, err));
    TRY(rules_set(builder, from, to, set, err));
out:
    return status;
}

/* Each character that goes on in a name leads to a branch of its own, the others leave the tree. */
static enum weir_status emit_branch(struct tree *tree, struct branch branch, struct weir_error *err)
{
    const struct json_text *names = tree->names;
    struct code_set known = {0};
    enum weir_status status = WEIR_OK;
    uint64_t i = branch.first;
    if (branch.characters == CHARACTERS_MAX)
        return WEIR_OK;
    if (i < branch.end && names[i].length == branch.bytes)
        i++;
    else if (branch.characters > 0)
        TRY(rules_free(tree->builder, branch.node, tree->to, err));
    while (i < branch.end) {
        const char *text = names[i].bytes + branch.bytes;
        struct branch next = {.first = i, .characters = branch.characters + 1};
        uint32_t code;
        const size_t bytes = code_read(text, names[i].length - branch.bytes, &code);
        next.bytes = branch.bytes + bytes;
        while (i < branch.end && names[i].length >= next.bytes &&
               memcmp(names[i].bytes + branch.bytes, text, bytes) == 0)
            i++;
        next.end = i;
        TRY(rules_node(tree->builder, &next.node, err));
        TRY(rules_bytes(tree->builder, branch.node, next.node, text, bytes, err));
        TRY(code_set_add(&known, code, code, err));
        TRY(add_branch(tree, next, err));
    }
    TRY(emit_but(tree->builder, &known, branch.node, tree->others[branch.characters + 1], err));
out:
    code_set_release(&known);
    return status;
}

static enum weir_status emit_others(struct tree *tree, struct weir_error *err)
{
    struct rules_builder *builder = tree->builder;
    const uint32_t current = builder->rule;
    struct code_set none = {0};
    uint32_t rule;
    enum weir_status status;
    TRY(rules_add(builder, "character", 9, &rule, err));
    TRY(emit_but(builder, &none, builder->rules[rule].start, builder->rules[rule].end, err));
    builder->rule = current;
    for (int i = 1; i <= CHARACTERS_MAX; i++) {
        TRY(rules_node(builder, &tree->others[i], err));
        TRY(rules_free(builder, tree->others[i], tree->to, err));
        if (i > 1)
            TRY(rules_call(builder, tree->others[i - 1], tree->others[i], rule, err));
    }
out:
    code_set_release(&none);
    return status;
}

enum weir_status call_name_other(struct rules_builder *builder, struct json_text *names,
                                 uint64_t count, uint32_t from, uint32_t to, struct weir_error *err)
{
    struct tree tree = {.builder = builder, .names = names, .to = to};
    enum weir_status status;
    if (count > 0)
        qsort(names, count, sizeof *names, compare_names);
    TRY(emit_others(&tree, err));
    TRY(add_branch(&tree, (struct branch){.end = count, .node = from}, err));
    for (uint64_t i = 0; i < tree.count; i++)
        TRY(emit_branch(&tree, tree.branches[i], err));
out:
    mem_free(tree.branches);
    return status;
}
