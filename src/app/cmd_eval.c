/* SPDX-License-Identifier: MIT
 * weir eval: the logits after each token of a file of ids. Perplexity is in perplexity.c, comparing
 * models in kl_compare.c, counting drafts in acceptance.c. */
#include "app/command.h"

#include "app/acceptance.h"
#include "app/eval_mtp.h"
#include "app/interrupt.h"
#include "app/shipped.h"
#include "app/windows.h"
#include "base/err.h"
#include "base/mem.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "logits are written as they lie");

static enum weir_status write_logits(const struct loaded *loaded, const struct ids *ids,
                                     uint32_t rows_max, struct output *output, struct log *log,
                                     struct weir_error *err)
{
    const size_t row_bytes = weir_engine_vocab(loaded->engine) * sizeof(float);
    enum weir_status status = WEIR_OK;
    for (uint64_t done = 0; done < ids->count && status == WEIR_OK;) {
        if (interrupt_requested())
            return WEIR_ERR_CANCELLED;
        const uint64_t left = ids->count - done;
        const uint32_t rows = left < rows_max ? (uint32_t)left : rows_max;
        TRY(weir_session_eval(loaded->session, ids->items + done, rows, WEIR_LOGITS_ALL, err));
        for (uint32_t row = 0; row < rows; row++)
            output_put(output, weir_session_logits(loaded->session, row), row_bytes);
        done += rows;
        log_progress_show(log, WEIR_STAGE_PREFILL, done, ids->count);
        status = output_failed(output, err);
    }
out:
    return status;
}

static enum weir_status eval_logits(const struct call *call, struct weir_error *err)
{
    const struct options *options = call->options;
    struct loaded loaded = {0};
    struct output output = {0};
    struct ids ids = {0};
    enum weir_status status;
    TRY(prompt_read_tokens(&ids, options->tokens, err));
    TRY(loaded_open_model(&loaded, options, call->log, err));
    struct weir_engine_options engine = loaded_engine_options(options, WINDOWS_ROWS_MAX, call->log);
    if (options->step)
        engine.logits_rows_max = 1;
    const uint32_t chain = options->mtp_chain >= 0 ? (uint32_t)options->mtp_chain : 0;
    engine.mtp = options->mtp_chain >= 0;
    if (engine.context == 0 && ids.count <= INT32_MAX - chain)
        engine.context = (uint32_t)ids.count + chain;
    TRY(loaded_open_engine(&loaded, &engine, call->log, err));
    call->log->progress_muted = true;
    TRY(output_open(&output, options->logits, err));
    const uint32_t rows_max = engine.logits_rows_max;
    if (engine.mtp)
        TRY(eval_mtp(&loaded, &ids, rows_max, chain, &output, call->log, err));
    else
        TRY(write_logits(&loaded, &ids, rows_max, &output, call->log, err));
    TRY(output_finish(&output, err));
out:
    output_abandon(&output);
    loaded_close(&loaded);
    mem_free(ids.items);
    return status;
}

/* A comparison has its tokens from the base. */
static void warn_of_input(const struct call *call)
{
    const struct options *options = call->options;
    const char *flag = options->tokens != NULL        ? "--tokens"
                       : options->prompt_file != NULL ? "--file"
                                                      : NULL;
    if (flag != NULL)
        log_print(call->log, WEIR_LOG_WARNING,
                  "warning: %s has no effect: a comparison reads the tokens of its base", flag);
}

static enum weir_status compare(const struct call *call, struct weir_error *err)
{
    const struct options *options = call->options;
    if (options->kl != NULL && options->kl_base != NULL)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "only one of --kl and --kl-divergence-base may be given");
    if (options->kl == NULL && options->kl_base == NULL)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "--kl-divergence needs --kl-divergence-base, the file of a base run");
    if (options->logits != NULL)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "only one of --logits and --kl-divergence may be given");
    warn_of_input(call);
    return kl_compare_run(call, err);
}

static enum weir_status count_drafts(const struct call *call, struct weir_error *err)
{
    const struct options *options = call->options;
    if (options->tokens == NULL || options->prompt_file != NULL)
        return err_set(err, WEIR_ERR_ARGUMENT, "--mtp-acceptance needs --tokens, and no --file");
    if (options->logits != NULL || options->kl_base != NULL)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "only one of --mtp-acceptance, --logits and --kl-divergence-base may be "
                       "given");
    return acceptance_run(call, err);
}

/* Of the text of --file or --tokens. */
static enum weir_status eval_text(const struct call *call, struct weir_error *err)
{
    const struct options *options = call->options;
    const enum weir_status status = prompt_check(options, "--file and --tokens", err);
    if (status != WEIR_OK)
        return status;
    if (options->logits != NULL && options->tokens == NULL)
        return err_set(err, WEIR_ERR_ARGUMENT, "--logits needs --tokens");
    if (options->mtp_chain >= 0 && options->logits == NULL)
        return err_set(err, WEIR_ERR_ARGUMENT, "--mtp needs --logits");
    if (options->logits != NULL && options->kl_base != NULL)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "only one of --logits and --kl-divergence-base may be given");
    return options->logits != NULL ? eval_logits(call, err) : perplexity_run(call, err);
}

enum weir_status command_eval(const struct call *call, struct weir_error *err)
{
    const struct options *options = call->options;
    char shipped[SHIPPED_PATH_MAX];
    const enum weir_status status = shipped_choose(shipped, call->options, call->log, err);
    if (status != WEIR_OK)
        return status;
    if (options->kl != NULL || options->kl_divergence)
        return compare(call, err);
    return options->mtp_drafts > 0 ? count_drafts(call, err) : eval_text(call, err);
}
