/* SPDX-License-Identifier: MIT
 * The values of expressions. Knows no filter or function by name. */
#include "jinja/interpreter.h"

#include <string.h>

/* ---- names and attributes -------------------------------------------------------------------- */

static enum weir_status undefined_used(struct run *run, struct string name)
{
    return run_fail(run, WEIR_ERR_FORMAT, "'%.*s' is undefined",
                    (int)(name.length < 80 ? name.length : 80), name.bytes);
}

static struct value undefined_named(struct string name)
{
    return (struct value){.kind = VALUE_UNDEFINED, .string = name};
}

static enum weir_status evaluate_name(struct run *run, struct string name, struct value *out)
{
    const struct value *found;
    enum weir_status status;
    TRY(scope_find(run, run->scope, name, &found));
    const struct builtin *function = found == NULL ? builtin_function(name) : NULL;
    *out = undefined_named(name);
    if (found != NULL)
        *out = *found;
    else if (function != NULL)
        *out = (struct value){.kind = VALUE_FUNCTION, .function = function};
out:
    return status;
}

/* What `loop` tells of an iteration. */
static bool loop_attribute(const struct loop *loop, struct string name, struct value *out)
{
    const int64_t index = loop->index, count = loop->items->count;
    const struct {
        const char *name;
        int64_t value;
    } numbers[] = {
        {"index0", index},
        {"index", index + 1},
        {"revindex0", count - index - 1},
        {"revindex", count - index},
        {"length", count},
        {"depth0", 0}, /* of loops that are recursive, which are refused */
        {"depth", 1},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (string_is(name, numbers[i].name)) {
            *out = value_integer(numbers[i].value);
            return true;
        }
    }
    if (string_is(name, "first"))
        *out = value_boolean(index == 0);
    else if (string_is(name, "last"))
        *out = value_boolean(index + 1 == count);
    else if (string_is(name, "previtem") && index > 0)
        *out = loop->items->items[index - 1];
    else if (string_is(name, "nextitem") && index + 1 < count)
        *out = loop->items->items[index + 1];
    else
        return false;
    return true;
}

enum weir_status value_attribute(struct run *run, const struct value *object, struct string name,
                                 struct value *out)
{
    const struct value key = value_string(name);
    struct value *found = NULL;
    enum weir_status status;
    const struct value source = *object; /* may be *out */
    *out = undefined_named(name);
    if (source.kind == VALUE_UNDEFINED)
        return undefined_used(run, source.string);
    if (source.kind == VALUE_LOOP)
        loop_attribute(source.loop, name, out);
    if (source.kind != VALUE_DICT && source.kind != VALUE_NAMESPACE)
        return run_step(run, 0);
    TRY(dict_find(run, source.dict, &key, &found));
    if (found != NULL)
        *out = *found;
out:
    return status;
}

/* The place of an index in `count` things, which may count from the end; false: there is none. */
static bool place_of(int64_t index, uint32_t count, uint32_t *out)
{
    index = index < 0 ? index + count : index;
    if (index < 0 || index >= count)
        return false;
    *out = (uint32_t)index;
    return true;
}

static enum weir_status character_at(struct run *run, struct string string, int64_t index,
                                     struct value *out)
{
    uint32_t place;
    if (place_of(index, string_characters(string), &place)) {
        const struct string rest = string_part(string, string_offset(string, place), string.length);
        *out = value_string(string_part(rest, 0, string_offset(rest, 1)));
    }
    return run_step(run, string.length);
}

enum weir_status value_subscript(struct run *run, const struct value *object,
                                 const struct value *key, struct value *out)
{
    const struct value source = *object; /* may be *out */
    int64_t index;
    uint32_t place;
    struct value *found = NULL;
    enum weir_status status = WEIR_OK;
    if (key->kind == VALUE_STRING && source.kind != VALUE_DICT)
        return value_attribute(run, &source, key->string, out);
    *out = value_undefined("item");
    if (source.kind == VALUE_UNDEFINED)
        return undefined_used(run, source.string);
    if (source.kind == VALUE_DICT) {
        TRY(dict_find(run, source.dict, key, &found));
        if (found != NULL)
            *out = *found;
        else if (key->kind == VALUE_STRING)
            *out = undefined_named(key->string);
    } else if (value_is_sequence(&source) && value_get_integer(key, &index)) {
        if (place_of(index, source.list->count, &place))
            *out = source.list->items[place];
    } else if (source.kind == VALUE_STRING && value_get_integer(key, &index)) {
        TRY(character_at(run, source.string, index, out));
    }
out:
    return status;
}

/* ---- literals -------------------------------------------------------------------------------- */

static enum weir_status evaluate_items(struct run *run, const struct node *node, struct value *out)
{
    struct list *list;
    enum weir_status status;
    TRY(list_new(run, 0, &list));
    for (const struct node *item = node->a; item != NULL; item = item->next) {
        struct value value;
        TRY(evaluate(run, item->a, &value));
        TRY(list_add(run, list, &value));
    }
    *out = (struct value){.kind = node->kind == NODE_LIST ? VALUE_LIST : VALUE_TUPLE, .list = list};
out:
    return status;
}

static enum weir_status evaluate_dict(struct run *run, const struct node *node, struct value *out)
{
    struct dict *dict;
    enum weir_status status;
    TRY(dict_new(run, 0, &dict));
    for (const struct node *item = node->a; item != NULL; item = item->next->next) {
        struct value key, value;
        TRY(evaluate(run, item->a, &key));
        TRY(evaluate(run, item->next->a, &value));
        TRY(dict_put(run, dict, &key, &value));
    }
    *out = (struct value){.kind = VALUE_DICT, .dict = dict};
out:
    return status;
}

/* ---- operators ------------------------------------------------------------------------------- */

static enum weir_status evaluate_attribute(struct run *run, const struct node *node,
                                           struct value *out)
{
    const enum weir_status status = evaluate(run, node->a, out);
    run->at = node->at;
    return status != WEIR_OK ? status : value_attribute(run, out, node->text, out);
}

static enum weir_status evaluate_subscript(struct run *run, const struct node *node,
                                           struct value *out)
{
    struct value object, key;
    enum weir_status status;
    TRY(evaluate(run, node->a, &object));
    TRY(evaluate(run, node->b, &key));
    run->at = node->at;
    TRY(value_subscript(run, &object, &key, out));
out:
    return status;
}

static enum weir_status evaluate_slice_node(struct run *run, const struct node *node,
                                            struct value *out)
{
    const struct node *const parts[3] = {node->b, node->c, node->d};
    struct value object, bounds[3];
    enum weir_status status;
    TRY(evaluate(run, node->a, &object));
    for (int i = 0; i < 3; i++) {
        bounds[i] = (struct value){.kind = VALUE_NONE};
        if (parts[i] != NULL)
            TRY(evaluate(run, parts[i], &bounds[i]));
    }
    run->at = node->at;
    TRY(evaluate_slice(run, &object, bounds, out));
out:
    return status;
}

static enum weir_status evaluate_binary(struct run *run, const struct node *node, struct value *out)
{
    struct value a, b = {.kind = VALUE_NONE};
    enum weir_status status;
    TRY(evaluate(run, node->a, &a));
    if (node->b != NULL)
        TRY(evaluate(run, node->b, &b));
    run->at = node->at;
    TRY(evaluate_operation(run, node->operation, &a, &b, out));
out:
    return status;
}

/* a < b < c is a < b and b < c. */
static enum weir_status evaluate_compare(struct run *run, const struct node *node,
                                         struct value *out)
{
    struct value left, right;
    enum weir_status status;
    TRY(evaluate(run, node->a, &left));
    *out = value_boolean(true);
    for (const struct node *next = node->b; next != NULL && value_truth(out); next = next->next) {
        TRY(evaluate(run, next->a, &right));
        run->at = next->at;
        TRY(evaluate_operation(run, next->operation, &left, &right, out));
        left = right;
    }
out:
    return status;
}

/* The operand that decides, as Python gives it. */
static enum weir_status evaluate_logic(struct run *run, const struct node *node, struct value *out)
{
    enum weir_status status;
    TRY(evaluate(run, node->a, out));
    if (value_truth(out) == (node->kind == NODE_AND))
        TRY(evaluate(run, node->b, out));
out:
    return status;
}

static enum weir_status evaluate_if_else(struct run *run, const struct node *node,
                                         struct value *out)
{
    struct value condition;
    enum weir_status status;
    TRY(evaluate(run, node->a, &condition));
    const struct node *chosen = value_truth(&condition) ? node->b : node->c;
    *out = value_undefined("the missing else");
    if (chosen != NULL)
        TRY(evaluate(run, chosen, out));
out:
    return status;
}

static enum weir_status evaluate_node(struct run *run, const struct node *node, struct value *out)
{
    switch (node->kind) {
    case NODE_CONSTANT: *out = node->value; return WEIR_OK;
    case NODE_NAME: return evaluate_name(run, node->text, out);
    case NODE_LIST:
    case NODE_TUPLE: return evaluate_items(run, node, out);
    case NODE_DICT: return evaluate_dict(run, node, out);
    case NODE_ATTRIBUTE: return evaluate_attribute(run, node, out);
    case NODE_SUBSCRIPT: return evaluate_subscript(run, node, out);
    case NODE_SLICE: return evaluate_slice_node(run, node, out);
    case NODE_CALL:
    case NODE_TEST: return evaluate_call(run, node, NULL, out);
    case NODE_FILTER: return evaluate_filter(run, node, NULL, out);
    case NODE_UNARY:
    case NODE_BINARY: return evaluate_binary(run, node, out);
    case NODE_COMPARE: return evaluate_compare(run, node, out);
    case NODE_AND:
    case NODE_OR: return evaluate_logic(run, node, out);
    case NODE_IF_ELSE: return evaluate_if_else(run, node, out);
    case NODE_ARGUMENT:
    case NODE_COMPARED:
    case NODE_TEXT:
    case NODE_PRINT:
    case NODE_IF:
    case NODE_FOR:
    case NODE_SET:
    case NODE_SET_BLOCK:
    case NODE_MACRO:
    case NODE_PARAMETER:
    case NODE_CALL_BLOCK:
    case NODE_FILTER_BLOCK:
    case NODE_WITH:
    case NODE_SCOPE:
    case NODE_BREAK:
    case NODE_CONTINUE: break;
    }
    return run_fail(run, WEIR_ERR_FORMAT, "this is no expression");
}

enum weir_status evaluate(struct run *run, const struct node *node, struct value *out)
{
    enum weir_status status;
    run->at = node->at;
    TRY(run_enter(run));
    TRY(evaluate_node(run, node, out));
    run_leave(run);
out:
    return status;
}
