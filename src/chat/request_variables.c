/* SPDX-License-Identifier: MIT
 * The spellings of reasoning that APIs have, and further variables. Knows no message. */
#include "chat/request_variables.h"

#include <string.h>

#include "chat/fields.h"
#include "chat/template_variables.h"

static const char kwargs[] = "chat_template_kwargs";

/* ---- reasoning ------------------------------------------------------------------------------- */

/* "reasoning_effort", or "effort" of "reasoning". */
static enum weir_status read_effort(const struct json *request, const struct json **out,
                                    struct weir_error *err)
{
    const struct json *reasoning, *inner = NULL;
    enum weir_status status;
    TRY(field_get(request, "reasoning", JSON_OBJECT, &reasoning, err));
    if (reasoning != NULL)
        TRY(field_get(reasoning, "effort", JSON_STRING, &inner, err));
    TRY(field_get(request, "reasoning_effort", JSON_STRING, out, err));
    *out = *out != NULL ? *out : inner;
out:
    return status;
}

/* "enabled" of "reasoning", as OpenRouter has it, and "think", as Ollama does, where it says no
 * more than whether. */
static enum weir_status read_enabled(const struct json *request, enum weir_switch *out,
                                     struct weir_error *err)
{
    const struct json *reasoning = field_find(request, "reasoning");
    const struct json *think = field_find(request, "think");
    enum weir_status status = WEIR_OK;
    *out = WEIR_AUTO;
    if (reasoning != NULL)
        TRY(field_get_switch(reasoning, "enabled", out, err));
    if (think != NULL && think->kind != JSON_STRING) /* a text is an effort of other models */
        TRY(field_get_switch(request, "think", out, err));
out:
    return status;
}

/* A budget of no tokens is no reasoning; others are for whoever counts tokens. */
static enum weir_switch by_budget(const struct json *request)
{
    static const char *const keys[] = {"reasoning_budget", "reasoning_budget_tokens",
                                       "thinking_budget", "thinking_budget_tokens"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const struct json *budget = field_find(request, keys[i]);
        if (budget != NULL && budget->kind == JSON_NUMBER && json_text_equals(budget->text, "0"))
            return WEIR_OFF;
    }
    return WEIR_AUTO;
}

/* "thinking": {"type": WORD}. */
static enum weir_status read_thinking(const struct json *request, enum weir_switch *out,
                                      struct weir_error *err)
{
    static const struct {
        const char *word;
        enum weir_switch meaning;
    } words[] = {{"enabled", WEIR_ON}, {"disabled", WEIR_OFF}, {"adaptive", WEIR_AUTO}};
    const struct json *thinking, *type = NULL;
    enum weir_status status;
    *out = WEIR_AUTO;
    TRY(field_get(request, "thinking", JSON_OBJECT, &thinking, err));
    if (thinking == NULL)
        return WEIR_OK;
    TRY(field_get(thinking, "type", JSON_STRING, &type, err));
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (type != NULL && json_is(type, words[i].word)) {
            *out = words[i].meaning;
            return WEIR_OK;
        }
    }
    return err_set(err, WEIR_ERR_ARGUMENT,
                   "Field 'thinking': expected a type that is enabled, disabled or adaptive");
out:
    return status;
}

/* Of several spellings the one that says it most directly holds. */
static enum weir_status write_reasoning(const struct json *request, struct bytes *out,
                                        struct weir_error *err)
{
    const struct json *effort;
    enum weir_switch is_enabled, by_thinking, by_name;
    enum weir_status status;
    TRY(read_effort(request, &effort, err));
    TRY(read_enabled(request, &is_enabled, err));
    TRY(read_thinking(request, &by_thinking, err));
    TRY(field_get_switch(request, VARIABLE_THINKING, &by_name, err));
    const bool is_none = effort != NULL && json_is(effort, "none");
    template_variables_write_switch(VARIABLE_THINKING, is_none ? WEIR_OFF : WEIR_AUTO, out);
    template_variables_write_switch(VARIABLE_THINKING, by_budget(request), out);
    template_variables_write_switch(VARIABLE_THINKING, is_enabled, out);
    template_variables_write_switch(VARIABLE_THINKING, by_thinking, out);
    template_variables_write_switch(VARIABLE_THINKING, by_name, out);
    if (effort != NULL && !is_none) {
        bytes_add_text(out, "\"reasoning_effort\": ");
        bytes_add(out, effort->source.bytes, effort->source.length);
        bytes_add_text(out, ", ");
    }
out:
    return status;
}

/* ---- all variables --------------------------------------------------------------------------- */

static enum weir_status write_options(const struct weir_request_options *options, struct bytes *out,
                                      struct weir_error *err)
{
    const char *variables = options->variables;
    enum weir_status status = WEIR_OK;
    if (variables != NULL) {
        TRY(template_variables_check(variables, strlen(variables), "variables of the template",
                                     err));
        template_variables_write(variables, strlen(variables), out);
    }
    template_variables_write_switch(VARIABLE_THINKING, options->reasoning, out);
    template_variables_write_switch(VARIABLE_PRESERVE,
                                    options->reasoning_preserve ? WEIR_ON : WEIR_AUTO, out);
out:
    return status;
}

/* Those of chat_template_kwargs. "thinking" is how templates of others name what is
 * "enable_thinking" here. A text where true or false is meant would be true to a template. */
static enum weir_status write_kwargs(const struct json *request, struct bytes *out,
                                     struct weir_error *err)
{
    const struct json *variables;
    struct weir_error problem = {0};
    enum weir_switch thinking = WEIR_AUTO;
    enum weir_status status;
    TRY(field_get(request, kwargs, JSON_OBJECT, &variables, err));
    if (variables == NULL)
        return WEIR_OK;
    TRY(template_variables_check_names(variables, kwargs, err));
    status = field_get_switch(variables, VARIABLE_THINKING, &thinking, &problem);
    if (status != WEIR_OK)
        return err_set(err, status, "%s: %s", kwargs, problem.text);
    if (thinking == WEIR_AUTO)
        field_get_switch(variables, "thinking", &thinking, NULL); /* or something else: theirs */
    template_variables_write_switch(VARIABLE_THINKING, thinking, out);
    template_variables_write(variables->source.bytes, variables->source.length, out);
out:
    return status;
}

enum weir_status request_variables_write(const struct json *request,
                                         const struct weir_request_options *options,
                                         struct bytes *out, struct weir_error *err)
{
    enum weir_switch preserve;
    enum weir_status status;
    if (options != NULL)
        TRY(write_options(options, out, err));
    TRY(write_reasoning(request, out, err));
    TRY(field_get_switch(request, VARIABLE_PRESERVE, &preserve, err));
    template_variables_write_switch(VARIABLE_PRESERVE, preserve, out);
    TRY(write_kwargs(request, out, err));
out:
    return status;
}
