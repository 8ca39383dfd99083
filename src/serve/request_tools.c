/* SPDX-License-Identifier: MIT
 * Reads which tools a request has and which of them may be called. Knows no grammar. */
#include <math.h>

#include "base/mem.h"
#include "serve/request_lists.h"

/* ---- the choice ------------------------------------------------------------------------------ */

static enum weir_status read_choice_name(struct request *request, struct json_text name,
                                         struct weir_error *err)
{
    static const struct {
        const char *name;
        enum call_choice choice;
    } choices[] = {{"auto", CALLS_AUTO}, {"required", CALLS_REQUIRED}, {"none", CALLS_NONE}};
    for (size_t i = 0; i < sizeof choices / sizeof choices[0]; i++) {
        if (json_text_equals(name, choices[i].name)) {
            request->calls = choices[i].choice;
            return WEIR_OK;
        }
    }
    return err_set(err, WEIR_ERR_ARGUMENT, "Invalid tool_choice: %.*s",
                   (int)(name.length < 64 ? name.length : 64), name.bytes);
}

/* The name of a tool: its own, or that of its function. */
static const struct json *name_of(const struct json *tool)
{
    const struct json *function = request_member(tool, "function");
    const struct json *name = request_member(function != NULL ? function : tool, "name");
    return name != NULL && name->kind == JSON_STRING ? name : NULL;
}

/* {"type": "allowed_tools", "allowed_tools": {"mode", "tools"}}; responses have both members in the
 * outer object. */
static enum weir_status read_allowed(struct request *request, const struct json *choice,
                                     struct weir_error *err)
{
    const struct json *inner = request_member(choice, "allowed_tools");
    const struct json *allowed = inner != NULL ? inner : choice;
    const struct json *mode = request_member(allowed, "mode");
    const struct json *tools = request_member(allowed, "tools");
    if (!json_is(mode, "auto") && !json_is(mode, "required"))
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "tool_choice: expected the mode auto or required of allowed_tools");
    if (tools == NULL || tools->kind != JSON_ARRAY || tools->count == 0)
        return err_set(err, WEIR_ERR_ARGUMENT, "tool_choice: expected a list of allowed_tools");
    for (uint32_t i = 0; i < tools->count; i++)
        if (name_of(&tools->items[i]) == NULL)
            return err_set(err, WEIR_ERR_ARGUMENT,
                           "tool_choice: tools[%u] of allowed_tools is no function with a name", i);
    request->allowed = tools;
    return read_choice_name(request, mode->text, err);
}

/* {"type": "function", "function": {"name": N}}, and {"name": N} of the old API. */
static enum weir_status read_choice(struct request *request, const char *member,
                                    struct weir_error *err)
{
    const struct json *choice = request_member(request->root, member);
    if (choice == NULL)
        return WEIR_OK;
    if (choice->kind == JSON_STRING)
        return read_choice_name(request, choice->text, err);
    if (choice->kind != JSON_OBJECT)
        return request_refuse_kind(member, "string or object", choice, err);
    if (json_is(request_member(choice, "type"), "allowed_tools"))
        return read_allowed(request, choice, err);
    const struct json *name = name_of(choice);
    if (name == NULL)
        return err_set(err, WEIR_ERR_ARGUMENT, "Field '%s': expected the name of a function",
                       member);
    request->calls = CALLS_REQUIRED;
    return request_keep_text(request, member, name->text, &request->only, err);
}

enum weir_status request_read_tools(struct request *request, struct weir_error *err)
{
    static const char *const members[] = {"functions", "tools"};
    enum weir_status status;
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        const struct json *tools = request_member(request->root, members[i]);
        if (tools != NULL && tools->kind != JSON_ARRAY)
            return request_refuse_kind(members[i], "array", tools, err);
        request->has_tools = request->has_tools || (tools != NULL && tools->count > 0);
    }
    TRY(read_choice(request, "function_call", err));
    TRY(read_choice(request, "tool_choice", err));
    if ((request->calls == CALLS_REQUIRED || request->allowed != NULL) && !request->has_tools)
        TRY(err_set(err, WEIR_ERR_ARGUMENT, "tool_choice asks for a call, but there are no tools"));
    request->forbids_calls =
        request->calls == CALLS_NONE && request->parse_calls && request->has_tools;
    if (!request->parse_calls || !request->has_tools)
        request->calls = CALLS_NONE;
out:
    return status;
}

/* ---- what may be called ---------------------------------------------------------------------- */

static bool is_called(const struct json *tool, struct json_text name)
{
    const struct json *own = name_of(tool);
    return own != NULL && json_text_compare(own->text, name) == 0;
}

static bool is_any_called(const struct json *tools, struct json_text name)
{
    for (uint32_t i = 0; i < tools->count; i++)
        if (is_called(&tools->items[i], name))
            return true;
    return false;
}

/* Each is one of the tools, and there are no more of them. */
static enum weir_status check_allowed(const struct json *allowed, const struct json *tools,
                                      struct weir_error *err)
{
    if (allowed->count > tools->count)
        return err_set(err, WEIR_ERR_ARGUMENT, "tool_choice: %u allowed_tools of %u tools",
                       allowed->count, tools->count);
    for (uint32_t i = 0; i < allowed->count; i++) {
        const struct json_text name = name_of(&allowed->items[i])->text;
        if (!is_any_called(tools, name))
            return err_set(err, WEIR_ERR_ARGUMENT, "tool_choice: there is no tool '%.*s'",
                           (int)(name.length < 64 ? name.length : 64), name.bytes);
    }
    return WEIR_OK;
}

enum weir_status request_allowed_tools(const struct request *request, const char *tools,
                                       size_t length, struct bytes *out, struct weir_error *err)
{
    struct json_document *document = NULL;
    enum weir_status status;
    TRY(json_open(&document, tools, length, "tools", err));
    const struct json *all = json_root(document);
    TRY(check_allowed(request->allowed, all, err));
    for (uint32_t i = 0; i < all->count; i++) {
        if (!is_any_called(request->allowed, name_of(&all->items[i])->text))
            continue;
        bytes_add_text(out, out->length == 0 ? "[" : ",");
        bytes_add(out, all->items[i].source.bytes, all->items[i].source.length);
    }
    bytes_add_text(out, "]");
    status = bytes_check(out, err);
out:
    json_close(document);
    return status;
}

enum weir_status request_forbid_calls(struct request *request,
                                      const struct weir_tokenizer *tokenizer,
                                      struct weir_error *err)
{
    static const char mark[] = "<tool_call>";
    const int32_t id = weir_tokenizer_find(tokenizer, mark, sizeof mark - 1);
    if (!request->forbids_calls || request->language != LANGUAGE_ANY || id < 0)
        return WEIR_OK;
    const enum weir_status status =
        mem_grow(&request->biases, &request->biases_capacity, request->biases_count + 1,
                 sizeof *request->biases, err);
    if (status != WEIR_OK)
        return status;
    request->biases[request->biases_count++] = (struct weir_logit_bias){id, -INFINITY};
    request->sampler.biases = request->biases;
    request->sampler.biases_count = (uint32_t)request->biases_count;
    return WEIR_OK;
}
