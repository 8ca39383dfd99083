/* SPDX-License-Identifier: MIT
 * The limits of a rendering, its memory and its variables. Knows no node by kind. */
#include "jinja/interpreter.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MESSAGE_MAX = 200 };

enum weir_status run_fail(struct run *run, enum weir_status status, const char *format, ...)
{
    char message[MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return source_fail(run->source, run->at, status, &run->err, "%s", message);
}

enum weir_status run_step(struct run *run, uint64_t bytes)
{
    run->steps += 1 + bytes / STEP_BYTES;
    if (run->steps > STEPS_MAX)
        return run_fail(run, WEIR_ERR_FULL, "the template takes more than %d steps", STEPS_MAX);
    return WEIR_OK;
}

enum weir_status run_enter(struct run *run)
{
    if (run->depth == RUN_DEPTH_MAX)
        return run_fail(run, WEIR_ERR_FULL, "the template goes more than %d levels deep",
                        RUN_DEPTH_MAX);
    run->depth++;
    return run_step(run, 0);
}

void run_leave(struct run *run)
{
    run->depth--;
}

void *run_take(struct run *run, uint64_t count, uint64_t size)
{
    struct weir_error problem = {0};
    void *memory = arena_take(&run->arena, count, size, &problem);
    if (memory == NULL && problem.status == WEIR_ERR_FULL)
        run_fail(run, WEIR_ERR_FULL, "the template takes more than %llu bytes of memory",
                 (unsigned long long)run->arena.taken_max);
    else if (memory == NULL)
        err_set(&run->err, problem.status, "%s", problem.text);
    return memory;
}

enum weir_status run_grow(struct run *run, void *array, uint32_t *capacity, uint64_t count,
                          uint64_t size)
{
    if (count <= *capacity)
        return WEIR_OK;
    uint64_t larger = *capacity < 4 ? 4 : (uint64_t)*capacity * 2;
    larger = larger < count ? count : larger;
    if (larger > INT32_MAX)
        return run_fail(run, WEIR_ERR_FULL, "more than %d items", INT32_MAX);
    void *moved = run_take(run, larger, size), *old;
    if (moved == NULL)
        return run->err.status;
    memcpy(&old, array, sizeof old);
    if (*capacity > 0)
        memcpy(moved, old, (size_t)(*capacity * size));
    memcpy(array, &moved, sizeof moved);
    *capacity = (uint32_t)larger;
    return WEIR_OK;
}

/* NULL if the name is not defined here. Counts a byte for each binding and those of names as long
 * as this one. */
static enum weir_status find_here(struct run *run, const struct scope *scope, struct string name,
                                  struct value **out)
{
    uint64_t compared = 0;
    *out = NULL;
    for (uint32_t i = scope->count; i > 0 && *out == NULL; i--) {
        struct binding *binding = &scope->bindings[i - 1];
        compared += 1 + (binding->name.length == name.length ? name.length : 0);
        if (string_equals(binding->name, name))
            *out = &binding->value;
    }
    return run_step(run, compared);
}

enum weir_status scope_find(struct run *run, const struct scope *scope, struct string name,
                            const struct value **out)
{
    struct value *found = NULL;
    enum weir_status status = WEIR_OK;
    for (; scope != NULL && found == NULL; scope = scope->parent)
        TRY(find_here(run, scope, name, &found));
out:
    *out = found;
    return status;
}

enum weir_status scope_set(struct run *run, struct scope *scope, struct string name,
                           const struct value *value)
{
    const struct binding binding = {name, *value};
    struct value *found;
    enum weir_status status;
    TRY(find_here(run, scope, name, &found));
    if (found != NULL) {
        *found = binding.value;
        return WEIR_OK;
    }
    TRY(run_grow(run, &scope->bindings, &scope->capacity, (uint64_t)scope->count + 1,
                 sizeof binding));
    scope->bindings[scope->count++] = binding;
out:
    return status;
}
