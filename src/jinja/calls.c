/* SPDX-License-Identifier: MIT
 * Calls: arguments, macros, and how rows of the tables of builtins are found and run. Knows no
 * builtin by name. */
#include "jinja/interpreter.h"

#include <string.h>

/* ---- tables ---------------------------------------------------------------------------------- */

static const struct builtin *find(const struct builtin *table, struct string name, uint32_t kinds)
{
    for (; table->name != NULL; table++) {
        if ((kinds == 0 || (table->kinds & kinds) != 0) && string_is(name, table->name))
            return table;
    }
    return NULL;
}

const struct builtin *builtin_filter(struct string name)
{
    const struct builtin *found = find(filters_of_text, name, 0);
    return found != NULL ? found : find(filters_of_lists, name, 0);
}

const struct builtin *builtin_test(struct string name)
{
    return find(value_tests, name, 0);
}

const struct builtin *builtin_function(struct string name)
{
    return find(functions, name, 0);
}

const struct builtin *builtin_method(struct string name, enum value_kind kind)
{
    const struct builtin *found = find(text_methods, name, 1u << kind);
    return found != NULL ? found : find(container_methods, name, 1u << kind);
}

/* ---- builtins -------------------------------------------------------------------------------- */

static enum weir_status bind_named(struct run *run, struct call *call,
                                   const struct named_value *named, bool given[])
{
    const struct builtin *builtin = call->builtin;
    for (int i = 0; i < BUILTIN_PARAMETERS_MAX && builtin->parameters[i] != NULL; i++) {
        if (!string_is(named->name, builtin->parameters[i]))
            continue;
        call->arguments[i] = named->value;
        given[i] = true;
        return WEIR_OK;
    }
    return run_fail(run, WEIR_ERR_FORMAT, "%s has no parameter '%.*s'", builtin->name,
                    (int)(named->name.length < 40 ? named->name.length : 40), named->name.bytes);
}

static enum weir_status bind(struct run *run, struct call *call)
{
    const struct builtin *builtin = call->builtin;
    bool given[BUILTIN_PARAMETERS_MAX] = {false};
    uint32_t parameters = 0;
    while (parameters < BUILTIN_PARAMETERS_MAX && builtin->parameters[parameters] != NULL)
        parameters++;
    if (call->count > parameters)
        return run_fail(run, WEIR_ERR_FORMAT, "%s takes %u arguments at most, found %u",
                        builtin->name, parameters, call->count);
    for (uint32_t i = 0; i < call->count; i++) {
        call->arguments[i] = call->items[i];
        given[i] = true;
    }
    for (uint32_t i = 0; i < call->named_count; i++) {
        const enum weir_status status = bind_named(run, call, &call->named[i], given);
        if (status != WEIR_OK)
            return status;
    }
    for (uint32_t i = 0; i < builtin->required; i++) {
        if (!given[i])
            return run_fail(run, WEIR_ERR_FORMAT, "%s needs an argument '%s'", builtin->name,
                            builtin->parameters[i]);
    }
    return WEIR_OK;
}

enum weir_status builtin_call(struct run *run, struct call *call, struct value *out)
{
    enum weir_status status = WEIR_OK;
    for (int i = 0; i < BUILTIN_PARAMETERS_MAX; i++)
        call->arguments[i] = value_undefined("argument");
    if (!call->builtin->takes_all)
        TRY(bind(run, call));
    *out = value_undefined(call->builtin->name);
    TRY(run_enter(run));
    TRY(call->builtin->run(run, call, out));
    run_leave(run);
out:
    return status;
}

/* ---- macros ---------------------------------------------------------------------------------- */

static const struct value *argument_named(const struct call *call, struct string name)
{
    for (uint32_t i = 0; i < call->named_count; i++) {
        if (string_equals(call->named[i].name, name))
            return &call->named[i].value;
    }
    return NULL;
}

/* Sets the parameters in the macro's new scope, where defaults may use those before them. */
static enum weir_status bind_parameters(struct run *run, const struct macro *macro,
                                        const struct call *call)
{
    uint32_t place = 0, used = 0;
    enum weir_status status = WEIR_OK;
    for (const struct node *parameter = macro->node->a; parameter != NULL;
         parameter = parameter->next, place++) {
        const struct value *named = argument_named(call, parameter->text);
        struct value value = {.kind = VALUE_UNDEFINED, .string = parameter->text};
        used += named != NULL;
        if (place < call->count)
            value = call->items[place];
        else if (named != NULL)
            value = *named;
        else if (parameter->a != NULL)
            TRY(evaluate(run, parameter->a, &value));
        TRY(scope_set(run, run->scope, parameter->text, &value));
    }
    const struct value *caller = argument_named(call, string_from("caller"));
    if (caller != NULL)
        TRY(scope_set(run, run->scope, string_from("caller"), caller));
    if (call->count > place || used + (caller != NULL) < call->named_count)
        TRY(run_fail(run, WEIR_ERR_FORMAT, "the macro '%.*s' does not take these arguments",
                     (int)(macro->node->text.length < 40 ? macro->node->text.length : 40),
                     macro->node->text.bytes));
out:
    return status;
}

static enum weir_status call_macro(struct run *run, const struct macro *macro,
                                   const struct call *call, struct value *out)
{
    struct scope *const outer = run->scope;
    struct scope *scope = run_take(run, 1, sizeof *scope);
    enum weir_status status;
    if (scope == NULL)
        return run->err.status;
    scope->parent = macro->scope;
    run->scope = scope;
    TRY(bind_parameters(run, macro, call));
    TRY(execute_captured(run, macro->node->c, scope, out));
out:
    run->scope = outer;
    return status;
}

/* ---- calls ----------------------------------------------------------------------------------- */

enum weir_status value_call(struct run *run, const struct value *callee, struct call *call,
                            struct value *out)
{
    if (callee->kind == VALUE_MACRO)
        return call_macro(run, callee->macro, call, out);
    if (callee->kind == VALUE_FUNCTION) {
        call->builtin = callee->function;
        return builtin_call(run, call, out);
    }
    if (callee->kind == VALUE_JOINER) {
        *out = value_string(callee->joiner->is_used ? callee->joiner->separator : string_from(""));
        callee->joiner->is_used = true;
        return run_step(run, 0);
    }
    if (callee->kind == VALUE_UNDEFINED)
        return run_fail(run, WEIR_ERR_FORMAT, "'%.*s' is undefined",
                        (int)(callee->string.length < 80 ? callee->string.length : 80),
                        callee->string.bytes);
    return run_fail(run, WEIR_ERR_FORMAT, "%s cannot be called", value_kind_name(callee->kind));
}

/* Evaluates the arguments of the list; room for one more name is left. */
static enum weir_status evaluate_arguments(struct run *run, const struct node *arguments,
                                           struct call *call)
{
    uint32_t count = 1;
    enum weir_status status = WEIR_OK;
    for (const struct node *argument = arguments; argument != NULL; argument = argument->next)
        count++;
    struct value *items = run_take(run, count, sizeof *items);
    struct named_value *named = run_take(run, count, sizeof *named);
    if (items == NULL || named == NULL)
        return run->err.status;
    for (const struct node *argument = arguments; argument != NULL; argument = argument->next) {
        struct value value;
        TRY(evaluate(run, argument->a, &value));
        if (argument->text.length > 0)
            named[call->named_count++] = (struct named_value){argument->text, value};
        else
            items[call->count++] = value;
    }
    call->items = items;
    call->named = named;
out:
    return status;
}

static enum weir_status add_caller(struct run *run, struct call *call, const struct value *caller)
{
    struct named_value *named = run_take(run, (uint64_t)call->named_count + 1, sizeof *named);
    if (named == NULL)
        return run->err.status;
    if (call->named_count > 0)
        memcpy(named, call->named, call->named_count * sizeof *named);
    named[call->named_count++] = (struct named_value){string_from("caller"), *caller};
    call->named = named;
    return WEIR_OK;
}

/* What is called: a method of the object before the last point, if it has one of that name; else a
 * value. */
static enum weir_status evaluate_callee(struct run *run, const struct node *node, struct call *call,
                                        struct value *callee)
{
    enum weir_status status;
    if (node->kind != NODE_ATTRIBUTE)
        return evaluate(run, node, callee);
    TRY(evaluate(run, node->a, &call->self));
    call->builtin = builtin_method(node->text, call->self.kind);
    run->at = node->at;
    if (call->builtin == NULL)
        TRY(value_attribute(run, &call->self, node->text, callee));
out:
    return status;
}

enum weir_status evaluate_call(struct run *run, const struct node *node, const struct value *caller,
                               struct value *out)
{
    struct call call = {.builtin = node->builtin};
    struct value callee;
    enum weir_status status;
    if (node->kind == NODE_CALL)
        TRY(evaluate_callee(run, node->a, &call, &callee));
    else
        TRY(evaluate(run, node->a, &call.self));
    TRY(evaluate_arguments(run, node->b, &call));
    run->at = node->at;
    if (caller != NULL)
        TRY(add_caller(run, &call, caller));
    TRY(call.builtin != NULL ? builtin_call(run, &call, out)
                             : value_call(run, &callee, &call, out));
out:
    return status;
}

enum weir_status evaluate_filter(struct run *run, const struct node *node,
                                 const struct value *piped, struct value *out)
{
    struct call call = {.builtin = node->builtin};
    enum weir_status status;
    TRY(run_enter(run));
    if (node->a == NULL)
        call.self = *piped;
    else if (node->a->kind == NODE_FILTER)
        TRY(evaluate_filter(run, node->a, piped, &call.self));
    else
        TRY(evaluate(run, node->a, &call.self));
    TRY(evaluate_arguments(run, node->b, &call));
    run->at = node->at;
    TRY(builtin_call(run, &call, out));
    run_leave(run);
out:
    return status;
}
