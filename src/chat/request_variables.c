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
    enum weir_switch by_thinking, by_name;
    enum weir_status status;
    TRY(read_effort(request, &effort, err));
    TRY(read_thinking(request, &by_thinking, err));
    TRY(field_get_switch(request, VARIABLE_THINKING, &by_name, err));
    const bool is_none = effort != NULL && json_is(effort, "none");
    template_variables_write_switch(VARIABLE_THINKING, is_none ? WEIR_OFF : WEIR_AUTO, out);
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

enum weir_status request_variables_write(const struct json *request,
                                         const struct weir_request_options *options,
                                         struct bytes *out, struct weir_error *err)
{
    const struct json *variables;
    enum weir_switch preserve;
    enum weir_status status;
    if (options != NULL)
        TRY(write_options(options, out, err));
    TRY(write_reasoning(request, out, err));
    TRY(field_get_switch(request, VARIABLE_PRESERVE, &preserve, err));
    template_variables_write_switch(VARIABLE_PRESERVE, preserve, out);
    TRY(field_get(request, kwargs, JSON_OBJECT, &variables, err));
    if (variables != NULL) {
        TRY(template_variables_check_names(variables, kwargs, err));
        template_variables_write(variables->source.bytes, variables->source.length, out);
    }
out:
    return status;
}
