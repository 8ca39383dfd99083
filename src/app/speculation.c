/* SPDX-License-Identifier: MIT
 * Choosing and opening a speculator by the flags. Knows not how drafts are made. */
#include "app/speculation.h"

#include "base/err.h"

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Drafts of a round by default: for n-grams as many as there is room for, since they cost none. */
static uint32_t drafts_by_kind(const struct spec_options *spec, enum weir_draft_kind kind)
{
    struct weir_speculator_options defaults;
    weir_speculator_options_init(&defaults);
    return kind == WEIR_DRAFT_NGRAM ? least((uint32_t)spec->ngram_drafts, WEIR_DRAFTS_MAX)
                                    : defaults.drafts_max;
}

/* What nobody asked for gives way to what somebody did. */
static enum weir_status default_kind(enum weir_draft_kind *kind, const struct options *options,
                                     const struct weir_model *model,
                                     const struct weir_engine_options *engine,
                                     struct weir_error *err)
{
    bool has_mtp = false;
    *kind = WEIR_DRAFT_NONE;
    if (options->spec.model != NULL) {
        *kind = WEIR_DRAFT_MODEL;
        return WEIR_OK;
    }
    const enum weir_status status = weir_model_has_mtp(model, &has_mtp, err);
    if (has_mtp && engine->fused_gdn != WEIR_OFF && engine->step_rows_max > 1)
        *kind = WEIR_DRAFT_MTP;
    return status;
}

/* What nobody asked for costs nobody a context. Where there is no engine without it either, who
 * opens it says why. */
static bool fits(const struct weir_model *model, const struct weir_engine_options *with,
                 const struct weir_engine_options *without)
{
    struct weir_memory more, less;
    if (weir_memory_estimate(model, without, &less, NULL) != WEIR_OK)
        return true;
    return weir_memory_estimate(model, with, &more, NULL) == WEIR_OK &&
           more.context == less.context && (more.available == 0 || more.needed <= more.available);
}

static enum weir_status choose_kind(enum weir_draft_kind *kind, const struct call *call,
                                    const struct weir_model *model,
                                    const struct weir_engine_options *engine,
                                    struct weir_error *err)
{
    const struct spec_options *spec = &call->options->spec;
    const bool is_given = args_given(call->given, COMMAND_RUN, "--spec-type") != GIVEN_NOT;
    if (!is_given)
        return default_kind(kind, call->options, model, engine, err);
    *kind = (enum weir_draft_kind)spec->kind;
    if ((*kind == WEIR_DRAFT_MODEL) != (spec->model != NULL))
        return err_set(err, WEIR_ERR_ARGUMENT,
                       spec->model != NULL
                           ? "--model-draft drafts as --spec-type draft-simple does, not as others"
                           : "--spec-type draft-simple needs a model: name it with --model-draft");
    return WEIR_OK;
}

void speculation_options(struct weir_speculator_options *options, const struct spec_options *spec)
{
    weir_speculator_options_init(options);
    if (spec->drafts_max >= 0)
        options->drafts_max = (uint32_t)spec->drafts_max;
    options->drafts_min = (uint32_t)spec->drafts_min;
    options->p_min = spec->p_min;
    options->ngram_size = (uint32_t)spec->ngram_size;
}

void speculation_count(struct weir_speculator_options *options, const struct spec_options *spec,
                       uint32_t step_rows)
{
    const bool is_given = spec->drafts_max >= 0;
    if (!is_given)
        options->drafts_max = drafts_by_kind(spec, options->kind);
    if (!is_given && step_rows > 1)
        options->drafts_max = least(options->drafts_max, step_rows - 1);
    if (options->drafts_max == 0)
        options->kind = WEIR_DRAFT_NONE;
}

void speculation_size_engine(const struct weir_speculator_options *options,
                             const struct spec_options *spec, struct weir_engine_options *engine)
{
    if (options->kind == WEIR_DRAFT_NONE)
        return;
    engine->mtp = options->kind == WEIR_DRAFT_MTP;
    engine->mtp_vocab = (uint32_t)spec->vocab;
    engine->rewind_max = 1 + options->drafts_max;
    engine->logits_rows_max = least(1 + options->drafts_max, engine->step_rows_max);
}

enum weir_status speculation_choose(struct speculation *speculation, const struct call *call,
                                    const struct weir_model *model,
                                    struct weir_engine_options *engine, struct weir_error *err)
{
    const struct spec_options *spec = &call->options->spec;
    struct weir_speculator_options *options = &speculation->options;
    speculation_options(options, spec);
    const enum weir_status status = choose_kind(&options->kind, call, model, engine, err);
    if (status != WEIR_OK)
        return status;
    speculation_count(options, spec, engine->step_rows_max);
    if (options->kind == WEIR_DRAFT_NONE)
        return WEIR_OK;
    const struct weir_engine_options without = *engine;
    speculation_size_engine(options, spec, engine);
    if (args_given(call->given, COMMAND_RUN, "--spec-type") == GIVEN_NOT &&
        options->kind == WEIR_DRAFT_MTP && !fits(model, engine, &without)) {
        log_print(call->log, WEIR_LOG_INFO, "no drafts: there is no memory for them");
        options->kind = WEIR_DRAFT_NONE;
        *engine = without;
    }
    return WEIR_OK;
}

enum weir_status speculation_open_draft(struct speculation *speculation, const struct call *call,
                                        const struct loaded *loaded, struct weir_error *err)
{
    struct loaded *draft = &speculation->draft;
    const struct weir_model_options model = {.log = log_sink, .log_user = call->log};
    struct weir_error inner = {0};
    enum weir_status status = WEIR_OK;
    if (speculation->options.kind != WEIR_DRAFT_MODEL || draft->model != NULL)
        return WEIR_OK;
    TRY(weir_model_open(&draft->model, call->options->spec.model, &model, &inner));
    if (loaded->tokenizer != NULL)
        TRY(weir_tokenizer_open(&draft->tokenizer, draft->model, &inner));
out:
    return status == WEIR_OK ? status : err_set(err, status, "--model-draft: %s", inner.text);
}

struct weir_engine_options speculation_draft_engine(const struct speculation *speculation,
                                                    const struct call *call, uint32_t context,
                                                    uint32_t sessions)
{
    struct weir_engine_options engine = loaded_engine_options(call->options, sessions, call->log);
    engine.context = context;
    engine.sessions_max = sessions;
    engine.rewind_max = speculation->options.drafts_max;
    return engine;
}

static enum weir_status load_draft(struct speculation *speculation, const struct call *call,
                                   const struct loaded *loaded, uint32_t context, uint32_t sessions,
                                   struct weir_error *err)
{
    const struct weir_engine_options engine =
        speculation_draft_engine(speculation, call, context, sessions);
    struct weir_error inner = {0};
    enum weir_status status = speculation_open_draft(speculation, call, loaded, err);
    if (status != WEIR_OK)
        return status;
    status = loaded_load_engine(&speculation->draft, &engine, call->log, &inner);
    return status == WEIR_OK ? status : err_set(err, status, "--model-draft: %s", inner.text);
}

enum weir_status speculation_prepare_slots(struct speculation *speculation, const struct call *call,
                                           const struct loaded *loaded, uint32_t context,
                                           uint32_t slots, struct weir_error *err)
{
    struct weir_speculator_options *options = &speculation->options;
    enum weir_status status = WEIR_OK;
    if (options->kind == WEIR_DRAFT_MODEL)
        TRY(load_draft(speculation, call, loaded, context, slots, err));
    options->tokenizer = loaded->tokenizer;
    options->draft_tokenizer = speculation->draft.tokenizer;
out:
    return status;
}

enum weir_status speculation_prepare(struct speculation *speculation, const struct call *call,
                                     const struct loaded *loaded, struct weir_error *err)
{
    struct loaded *draft = &speculation->draft;
    enum weir_status status;
    TRY(speculation_prepare_slots(speculation, call, loaded, weir_engine_context(loaded->engine), 1,
                                  err));
    if (draft->engine != NULL)
        TRY(weir_session_open(&draft->session, draft->engine, err));
    speculation->options.draft_session = draft->session;
out:
    return status;
}

enum weir_status speculation_open(struct speculation *speculation, const struct call *call,
                                  const struct loaded *loaded, struct weir_error *err)
{
    const enum weir_status status = speculation_prepare(speculation, call, loaded, err);
    return status != WEIR_OK ? status
                             : weir_speculator_open(&speculation->speculator, loaded->session,
                                                    &speculation->options, err);
}

void speculation_close(struct speculation *speculation)
{
    weir_speculator_close(speculation->speculator);
    loaded_close(&speculation->draft);
    *speculation = (struct speculation){.speculator = NULL};
}

/* Names as in the timings of llama-server. */
void speculation_print(const struct speculation *speculation, struct log *log)
{
    struct weir_speculator_info info;
    weir_speculator_info(speculation->speculator, &info);
    if (info.drafts == 0)
        return;
    log_print(log, WEIR_LOG_INFO,
              "weir: draft acceptance = %10.5f (%5llu accepted / %5llu generated), %.2f tokens a "
              "round",
              (double)info.accepted / (double)info.drafts, (unsigned long long)info.accepted,
              (unsigned long long)info.drafts, (double)info.tokens / (double)info.rounds);
}
