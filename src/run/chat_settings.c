/* SPDX-License-Identifier: MIT
 * Copies and checks the options of a conversation. Knows no message. */
#include "run/chat_settings.h"

#include <string.h>

#include "base/mem.h"
#include "base/think_marks.h"
#include "base/utf8.h"
#include "chat/template_variables.h"
#include "run/engine.h"

void weir_chat_options_init(struct weir_chat_options *options)
{
    *options = (struct weir_chat_options){.reasoning_budget = -1, .checkpoints_max = 8};
    weir_sampler_options_init(&options->sampler);
    weir_speculator_options_init(&options->speculator);
}

/* ---- copies ---------------------------------------------------------------------------------- */

/* NULL stays NULL. */
static enum weir_status copy_text(char **out, const char *text, struct weir_error *err)
{
    *out = text == NULL ? NULL : mem_copy_text(text, strlen(text), err);
    return text != NULL && *out == NULL ? WEIR_ERR_MEMORY : WEIR_OK;
}

static enum weir_status copy_list(char ***out, const char *const *texts, uint32_t count,
                                  struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    *out = mem_alloc(count, sizeof **out, err);
    if (*out == NULL)
        return WEIR_ERR_MEMORY;
    for (uint32_t i = 0; i < count && status == WEIR_OK; i++)
        status = copy_text(&(*out)[i], texts[i], err);
    return status;
}

static void free_list(char **texts, uint32_t count)
{
    for (uint32_t i = 0; i < count && texts != NULL; i++)
        mem_free(texts[i]);
    mem_free(texts);
}

/* What ends reasoning, and a last sentence before it. */
static enum weir_status make_closing(char **out, const char *sentence, struct weir_error *err)
{
    struct bytes text = {0};
    bytes_add_text(&text, sentence == NULL ? "" : sentence);
    bytes_add_text(&text, THINK_END);
    *out = text.data;
    const enum weir_status status = bytes_check(&text, err);
    return status;
}

static enum weir_status copy_sampler(struct chat_settings *settings, struct weir_error *err)
{
    struct weir_sampler_options *sampler = &settings->options.sampler;
    struct chat_texts *own = &settings->own;
    enum weir_status status;
    if (sampler->dry_breakers_count > WEIR_DRY_BREAKERS_MAX)
        return err_set(err, WEIR_ERR_ARGUMENT, "%u breakers of DRY, expected at most %d",
                       sampler->dry_breakers_count, WEIR_DRY_BREAKERS_MAX);
    own->biases = mem_alloc(sampler->biases_count, sizeof *own->biases, err);
    if (own->biases == NULL)
        return WEIR_ERR_MEMORY;
    if (sampler->biases_count > 0)
        memcpy(own->biases, sampler->biases, sampler->biases_count * sizeof *own->biases);
    sampler->biases = own->biases;
    TRY(copy_list(&own->breakers, sampler->dry_breakers, sampler->dry_breakers_count, err));
    for (uint32_t i = 0; i < sampler->dry_breakers_count; i++)
        sampler->dry_breakers[i] = own->breakers[i];
out:
    return status;
}

static enum weir_status copy_texts(struct chat_settings *settings, struct weir_error *err)
{
    struct weir_chat_options *options = &settings->options;
    struct chat_texts *own = &settings->own;
    enum weir_status status;
    TRY(copy_text(&own->tools, options->tools, err));
    TRY(copy_text(&own->variables, options->variables, err));
    TRY(copy_text(&own->only, options->calls.only, err));
    TRY(make_closing(&own->closing, options->reasoning_closing, err));
    TRY(copy_list(&own->stops, options->stops, options->stops_count, err));
    TRY(copy_sampler(settings, err));
    options->system = NULL;
    options->tools = own->tools;
    options->variables = own->variables;
    options->calls.only = own->only;
    options->reasoning_closing = own->closing;
    options->stops = (const char *const *)own->stops;
out:
    return status;
}

/* ---- checks ---------------------------------------------------------------------------------- */

static enum weir_status check_tools(struct chat_settings *settings, struct weir_error *err)
{
    const char *text = settings->options.tools;
    struct json_document *document;
    enum weir_status status = WEIR_OK;
    if (text == NULL)
        return WEIR_OK;
    TRY(json_open_kind(&document, JSON_ARRAY, text, strlen(text), "tools", err));
    settings->has_tools = json_root(document)->count > 0;
    json_close(document);
out:
    return status;
}

static enum weir_status check_variables(const char *text, struct weir_error *err)
{
    if (text == NULL)
        return WEIR_OK;
    return template_variables_check(text, strlen(text), "variables of the template", err);
}

/* Text that may be cut where a stop text begins must be cut between characters. */
static enum weir_status check_stops(const struct weir_chat_options *options, struct weir_error *err)
{
    for (uint32_t i = 0; i < options->stops_count; i++) {
        const char *text = options->stops[i];
        const size_t length = strlen(text);
        const bool is_text =
            length > 0 && utf8_sequence((const uint8_t *)text, length).state == UTF8_COMPLETE;
        if (!is_text)
            return err_set(err, WEIR_ERR_ARGUMENT,
                           "text %u to stop at is empty or no UTF-8, expected some characters", i);
    }
    return WEIR_OK;
}

/* What would refuse the options of a reply is asked now. */
static enum weir_status check_parts(const struct chat_settings *settings,
                                    const struct weir_session *session,
                                    const struct weir_tokenizer *tokenizer, struct weir_error *err)
{
    const struct weir_chat_options *options = &settings->options;
    const struct weir_engine *engine = session->engine;
    struct weir_reply_options parts;
    struct weir_reply *reply = NULL;
    struct weir_sampler *sampler = NULL;
    enum weir_status status;
    weir_reply_options_init(&parts);
    parts.tools = options->tools;
    parts.tools_length = options->tools == NULL ? 0 : strlen(options->tools);
    TRY(weir_reply_open(&reply, &parts, err));
    TRY(weir_sampler_open(&sampler, &options->sampler, weir_engine_vocab(engine),
                          weir_engine_context(engine), tokenizer, err));
    if (options->reasoning_budget >= 0)
        TRY(weir_sampler_limit_reasoning(sampler, (uint32_t)options->reasoning_budget,
                                         MARK_THINK_END, options->reasoning_closing, err));
out:
    weir_sampler_close(sampler);
    weir_reply_close(reply);
    return status;
}

static enum weir_status check(struct chat_settings *settings, const struct weir_session *session,
                              const struct weir_tokenizer *tokenizer, struct weir_error *err)
{
    const struct weir_chat_options *options = &settings->options;
    enum weir_status status;
    if (options->reasoning_budget < -1)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "a reasoning budget of %d tokens, expected at least -1",
                       (int)options->reasoning_budget);
    TRY(check_tools(settings, err));
    TRY(check_variables(options->variables, err));
    TRY(check_stops(options, err));
    TRY(check_parts(settings, session, tokenizer, err));
out:
    return status;
}

/* ---- constraints ----------------------------------------------------------------------------- */

static enum weir_status constrain_calls(struct chat_settings *settings,
                                        const struct weir_tokenizer *tokenizer,
                                        struct weir_error *err)
{
    const struct weir_chat_options *options = &settings->options;
    enum weir_status status;
    TRY(weir_grammar_open_calls(&settings->calls, options->tools, strlen(options->tools),
                                &options->calls, err));
    TRY(weir_constraint_open(&settings->constraint, settings->calls, tokenizer, err));
out:
    return status;
}

/* Tools that make no grammar can be called all the same, unless calls are asked for by name. */
static enum weir_status open_constraint(struct chat_settings *settings,
                                        const struct weir_tokenizer *tokenizer,
                                        struct weir_error *err)
{
    const struct weir_chat_options *options = &settings->options;
    const bool is_asked_for = options->calls.required || options->calls.only != NULL;
    struct weir_error why = {0};
    if (options->grammar != NULL)
        return weir_constraint_open(&settings->constraint, options->grammar, tokenizer, err);
    if (options->calls_free)
        return WEIR_OK;
    if (!settings->has_tools)
        return is_asked_for
                   ? err_set(err, WEIR_ERR_ARGUMENT, "a call is asked for, but there is no tool")
                   : WEIR_OK;
    const enum weir_status status = constrain_calls(settings, tokenizer, &why);
    if (status == WEIR_OK || (status != WEIR_ERR_MEMORY && !is_asked_for))
        return WEIR_OK;
    return err_set(err, status, "%s", why.text);
}

/* ---- open and close -------------------------------------------------------------------------- */

enum weir_status chat_settings_open(struct chat_settings *settings, struct weir_session *session,
                                    const struct weir_tokenizer *tokenizer,
                                    const struct weir_chat_options *options, struct weir_error *err)
{
    struct weir_speculator_options rounds = options->speculator;
    enum weir_status status;
    *settings = (struct chat_settings){.options = *options};
    TRY(copy_texts(settings, err));
    TRY(check(settings, session, tokenizer, err));
    TRY(open_constraint(settings, tokenizer, err));
    rounds.tokenizer = tokenizer;
    TRY(weir_speculator_open(&settings->speculator, session, &rounds, err));
out:
    if (status != WEIR_OK)
        chat_settings_close(settings);
    return status;
}

void chat_settings_close(struct chat_settings *settings)
{
    struct chat_texts *own = &settings->own;
    weir_speculator_close(settings->speculator);
    weir_constraint_close(settings->constraint);
    weir_grammar_close(settings->calls);
    free_list(own->breakers, settings->options.sampler.dry_breakers_count);
    free_list(own->stops, settings->options.stops_count);
    mem_free(own->biases);
    mem_free(own->closing);
    mem_free(own->only);
    mem_free(own->variables);
    mem_free(own->tools);
    *settings = (struct chat_settings){.constraint = NULL};
}

/* ---- requests -------------------------------------------------------------------------------- */

void chat_settings_write(const struct chat_settings *settings, struct bytes *request)
{
    const struct weir_chat_options *options = &settings->options;
    if (options->variables != NULL)
        template_variables_write(options->variables, strlen(options->variables), request);
    if (options->tools != NULL) {
        bytes_add_text(request, "\"tools\": ");
        bytes_add_text(request, options->tools);
        bytes_add_text(request, ", ");
    }
    template_variables_write_switch(VARIABLE_THINKING, options->reasoning, request);
    template_variables_write_switch(VARIABLE_PRESERVE,
                                    options->reasoning_preserve ? WEIR_ON : WEIR_AUTO, request);
    bytes_add_text(request, "\"add_generation_prompt\": true, ");
}
