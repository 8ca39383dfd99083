/* SPDX-License-Identifier: MIT
 * Runs statements: output, variables and their scopes, loops. Knows no operator. */
#include "jinja/interpreter.h"

static enum weir_status execute_node(struct run *run, const struct node *node);

enum weir_status execute(struct run *run, const struct node *statements)
{
    enum weir_status status;
    TRY(run_enter(run));
    for (const struct node *node = statements; node != NULL && run->leaving == LEAVING_NOT;
         node = node->next) {
        run->at = node->at;
        TRY(execute_node(run, node));
    }
    run_leave(run);
out:
    return status;
}

static enum weir_status scope_new(struct run *run, struct scope *parent, struct scope **out)
{
    *out = run_take(run, 1, sizeof **out);
    if (*out == NULL)
        return run->err.status;
    (*out)->parent = parent;
    return WEIR_OK;
}

enum weir_status execute_captured(struct run *run, const struct node *statements,
                                  struct scope *scope, struct value *out)
{
    struct builder *const output = run->output;
    struct scope *const outer = run->scope;
    struct builder builder = {0};
    run->output = &builder;
    run->scope = scope;
    const enum weir_status status = execute(run, statements);
    run->output = output;
    run->scope = outer;
    *out = value_string(builder_string(&builder));
    return status;
}

/* ---- variables ------------------------------------------------------------------------------- */

static enum weir_status assign(struct run *run, const struct node *target,
                               const struct value *value);

/* To as many targets as the value has items. */
static enum weir_status unpack(struct run *run, const struct node *target,
                               const struct value *value)
{
    struct list *items;
    uint32_t i = 0;
    enum weir_status status;
    TRY(value_items(run, value, &items));
    for (const struct node *part = target->a; part != NULL; part = part->next, i++) {
        if (i < items->count)
            TRY(assign(run, part->a, &items->items[i]));
    }
    run->at = target->at;
    if (i != items->count)
        TRY(run_fail(run, WEIR_ERR_FORMAT, "%u values for %u names", items->count, i));
out:
    return status;
}

static enum weir_status assign(struct run *run, const struct node *target,
                               const struct value *value)
{
    struct value object;
    enum weir_status status;
    if (target->kind == NODE_NAME)
        return scope_set(run, run->scope, target->text, value);
    if (target->kind == NODE_TUPLE)
        return unpack(run, target, value);
    TRY(evaluate(run, target->a, &object));
    run->at = target->at;
    if (object.kind != VALUE_NAMESPACE)
        TRY(run_fail(run, WEIR_ERR_FORMAT, "attributes of %s cannot be set, only of a namespace",
                     value_kind_name(object.kind)));
    const struct value key = value_string(target->text);
    TRY(dict_put(run, object.dict, &key, value));
out:
    return status;
}

static enum weir_status execute_set(struct run *run, const struct node *node)
{
    struct value value;
    enum weir_status status;
    TRY(evaluate(run, node->b, &value));
    TRY(assign(run, node->a, &value));
out:
    return status;
}

/* A body as a string, through the filter of the tag, if it has one. */
static enum weir_status captured_value(struct run *run, const struct node *node, struct value *out)
{
    struct scope *scope;
    struct value text;
    enum weir_status status;
    TRY(scope_new(run, run->scope, &scope));
    TRY(execute_captured(run, node->c, scope, out));
    text = *out;
    if (node->b != NULL && run->leaving == LEAVING_NOT)
        TRY(evaluate_filter(run, node->b, &text, out));
out:
    return status;
}

static enum weir_status execute_set_block(struct run *run, const struct node *node)
{
    struct value value;
    enum weir_status status;
    TRY(captured_value(run, node, &value));
    if (run->leaving == LEAVING_NOT)
        TRY(assign(run, node->a, &value));
out:
    return status;
}

static enum weir_status execute_filter_block(struct run *run, const struct node *node)
{
    struct value value;
    enum weir_status status;
    TRY(captured_value(run, node, &value));
    if (run->leaving == LEAVING_NOT)
        TRY(builder_add_value(run, run->output, &value));
out:
    return status;
}

/* The values belong to the block around it: one name does not see another. */
static enum weir_status execute_with(struct run *run, const struct node *node)
{
    struct scope *const outer = run->scope;
    struct scope *scope;
    enum weir_status status;
    TRY(scope_new(run, outer, &scope));
    for (const struct node *set = node->a; set != NULL; set = set->next) {
        struct value value;
        TRY(evaluate(run, set->b, &value));
        run->scope = scope;
        status = assign(run, set->a, &value);
        run->scope = outer;
        if (status != WEIR_OK)
            return status;
    }
    run->scope = scope;
    status = execute(run, node->c);
    run->scope = outer;
out:
    return status;
}

/* ---- loops ----------------------------------------------------------------------------------- */

/* The items for which the condition of the loop holds. */
static enum weir_status choose_items(struct run *run, const struct node *node,
                                     const struct list *items, struct list **out)
{
    struct scope *const outer = run->scope;
    struct scope *scope;
    enum weir_status status;
    TRY(scope_new(run, outer, &scope));
    TRY(list_new(run, 0, out));
    run->scope = scope;
    for (uint32_t i = 0; i < items->count; i++) {
        struct value condition;
        TRY(assign(run, node->a, &items->items[i]));
        TRY(evaluate(run, node->d, &condition));
        if (value_truth(&condition))
            TRY(list_add(run, *out, &items->items[i]));
    }
out:
    run->scope = outer;
    return status;
}

/* *is_done: one of them came to its end. */
static enum weir_status execute_iterations(struct run *run, const struct node *node,
                                           struct list *items, bool *is_done)
{
    struct scope *const outer = run->scope;
    struct loop *loop = run_take(run, 1, sizeof *loop);
    struct scope *scope;
    enum weir_status status;
    if (loop == NULL)
        return run->err.status;
    loop->items = items;
    const struct value value = {.kind = VALUE_LOOP, .loop = loop};
    TRY(scope_new(run, outer, &scope));
    run->scope = scope;
    for (; loop->index < items->count && run->leaving != LEAVING_LOOP; loop->index++) {
        scope->count = 0; /* what one iteration sets the next one does not see */
        TRY(assign(run, node->a, &items->items[loop->index]));
        TRY(scope_set(run, scope, string_from("loop"), &value));
        TRY(execute(run, node->c));
        *is_done = *is_done || run->leaving == LEAVING_NOT;
        if (run->leaving == LEAVING_ITERATION)
            run->leaving = LEAVING_NOT;
    }
    run->leaving = LEAVING_NOT;
out:
    run->scope = outer;
    return status;
}

/* As jinja2 has it, the else is for loops of which no iteration came to its end, be it that each
 * was left by break or continue. */
static enum weir_status execute_for(struct run *run, const struct node *node)
{
    struct value value;
    struct list *items;
    bool is_done = false;
    enum weir_status status;
    TRY(evaluate(run, node->b, &value));
    run->at = node->b->at;
    TRY(value_items(run, &value, &items));
    if (node->d != NULL)
        TRY(choose_items(run, node, items, &items));
    if (items->count > 0)
        TRY(execute_iterations(run, node, items, &is_done));
    if (!is_done && node->e != NULL) {
        struct scope *const outer = run->scope;
        TRY(scope_new(run, outer, &run->scope));
        TRY(execute(run, node->e));
        run->scope = outer;
    }
out:
    return status;
}

/* ---- other statements ------------------------------------------------------------------------ */

static enum weir_status execute_print(struct run *run, const struct node *node)
{
    struct value value;
    enum weir_status status;
    TRY(evaluate(run, node->a, &value));
    run->at = node->at;
    TRY(builder_add_value(run, run->output, &value));
out:
    return status;
}

/* Goes along the branches without going deeper. */
static enum weir_status execute_if(struct run *run, const struct node *node)
{
    enum weir_status status;
    for (;;) {
        struct value condition;
        TRY(evaluate(run, node->a, &condition));
        if (value_truth(&condition)) {
            TRY(execute(run, node->b));
            break;
        }
        const bool is_chain = node->c != NULL && node->c->kind == NODE_IF && node->c->next == NULL;
        if (!is_chain) {
            TRY(execute(run, node->c));
            break;
        }
        node = node->c;
    }
out:
    return status;
}

static enum weir_status define_macro(struct run *run, const struct node *node, struct value *out)
{
    struct macro *macro = run_take(run, 1, sizeof *macro);
    if (macro == NULL)
        return run->err.status;
    *macro = (struct macro){node, run->scope};
    *out = (struct value){.kind = VALUE_MACRO, .macro = macro};
    return WEIR_OK;
}

static enum weir_status execute_macro(struct run *run, const struct node *node)
{
    struct value value;
    enum weir_status status;
    TRY(define_macro(run, node, &value));
    TRY(scope_set(run, run->scope, node->text, &value));
out:
    return status;
}

static enum weir_status execute_call_block(struct run *run, const struct node *node)
{
    struct value caller, value;
    enum weir_status status;
    TRY(define_macro(run, node->b, &caller));
    TRY(evaluate_call(run, node->a, &caller, &value));
    TRY(builder_add_value(run, run->output, &value));
out:
    return status;
}

static enum weir_status execute_node(struct run *run, const struct node *node)
{
    switch (node->kind) {
    case NODE_TEXT: return builder_add(run, run->output, node->value.string);
    case NODE_PRINT: return execute_print(run, node);
    case NODE_IF: return execute_if(run, node);
    case NODE_FOR: return execute_for(run, node);
    case NODE_SET: return execute_set(run, node);
    case NODE_SET_BLOCK: return execute_set_block(run, node);
    case NODE_MACRO: return execute_macro(run, node);
    case NODE_CALL_BLOCK: return execute_call_block(run, node);
    case NODE_FILTER_BLOCK: return execute_filter_block(run, node);
    case NODE_WITH: return execute_with(run, node);
    case NODE_SCOPE: return execute(run, node->c);
    case NODE_BREAK: run->leaving = LEAVING_LOOP; return WEIR_OK;
    case NODE_CONTINUE: run->leaving = LEAVING_ITERATION; return WEIR_OK;
    case NODE_CONSTANT:
    case NODE_NAME:
    case NODE_LIST:
    case NODE_TUPLE:
    case NODE_DICT:
    case NODE_ATTRIBUTE:
    case NODE_SUBSCRIPT:
    case NODE_SLICE:
    case NODE_CALL:
    case NODE_FILTER:
    case NODE_TEST:
    case NODE_ARGUMENT:
    case NODE_UNARY:
    case NODE_BINARY:
    case NODE_COMPARE:
    case NODE_COMPARED:
    case NODE_AND:
    case NODE_OR:
    case NODE_IF_ELSE:
    case NODE_PARAMETER: break;
    }
    return run_fail(run, WEIR_ERR_FORMAT, "this is no statement");
}
