/* SPDX-License-Identifier: MIT
 * Windows of tokens. Knows not what is found from their logits. */
#include "app/windows.h"

#include "app/interrupt.h"
#include "base/err.h"
#include "base/mem.h"

enum { WINDOW_DEFAULT = 512 };

/* ---- input ----------------------------------------------------------------------------------- */

/* The token that the model wants at the head of a text is the one that encoding adds to nothing,
 * if it then also leads the text. */
static enum weir_status find_head(struct windows *windows, struct weir_error *err)
{
    int32_t added[2];
    size_t count;
    const enum weir_status status = weir_tokenizer_encode(
        windows->loaded.tokenizer, "", 0, WEIR_ENCODE_ADD_SPECIAL, added, 2, &count, err);
    const bool leads = status == WEIR_OK && count > 0 && windows->ids.count > 0 &&
                       added[0] == windows->ids.items[0];
    windows->head = leads ? added[0] : -1;
    return status;
}

static enum weir_status read_text(struct windows *windows, uint32_t least, struct weir_error *err)
{
    char *text = NULL;
    size_t length;
    struct options exact = *windows->call->options;
    exact.escape = false;
    enum weir_status status;
    TRY(weir_tokenizer_open(&windows->loaded.tokenizer, windows->loaded.model, err));
    TRY(prompt_read_text(&exact, true, &text, &length, err));
    TRY(prompt_encode(&windows->ids, windows->loaded.tokenizer, text, length,
                      WEIR_ENCODE_ADD_SPECIAL, err));
    TRY(find_head(windows, err));
    windows->length = exact.engine.context == 0 ? WINDOW_DEFAULT : exact.engine.context;
    if (windows->ids.count / windows->length < least)
        status = err_set(err, WEIR_ERR_ARGUMENT,
                         "%s: holds %llu tokens, expected at least %u windows of --ctx-size %u",
                         exact.prompt_file, (unsigned long long)windows->ids.count, least,
                         windows->length);
out:
    mem_free(text);
    return status;
}

/* Fewer ids than the default window are a window of their own. */
static enum weir_status read_tokens(struct windows *windows, struct weir_error *err)
{
    const struct options *options = windows->call->options;
    const enum weir_status status = prompt_read_tokens(&windows->ids, options->tokens, err);
    if (status != WEIR_OK)
        return status;
    const uint64_t count = windows->ids.count;
    const uint32_t length = options->engine.context;
    windows->head = -1;
    windows->length = length > 0               ? length
                      : count < WINDOW_DEFAULT ? (uint32_t)count
                                               : (uint32_t)WINDOW_DEFAULT;
    if (count < windows->length || count < WINDOWS_LENGTH_MIN)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "%s: holds %llu tokens, but a window of %u is needed", options->tokens,
                       (unsigned long long)count, length > 0 ? length : WINDOWS_LENGTH_MIN);
    return WEIR_OK;
}

enum weir_status windows_read(struct windows *windows, const struct call *call, uint32_t least,
                              struct weir_error *err)
{
    const struct options *options = call->options;
    const uint32_t length = options->engine.context;
    if (length > 0 && length < WINDOWS_LENGTH_MIN)
        return err_set(err, WEIR_ERR_ARGUMENT, "--ctx-size: a window needs %d tokens or more",
                       WINDOWS_LENGTH_MIN);
    if (options->chunks == 0)
        return err_set(err, WEIR_ERR_ARGUMENT, "--chunks: 0 windows leave nothing to measure");
    windows->call = call;
    enum weir_status status;
    TRY(loaded_open_model(&windows->loaded, options, call->log, err));
    TRY(options->tokens != NULL ? read_tokens(windows, err) : read_text(windows, least, err));
    const uint64_t count = windows->ids.count / windows->length;
    const int32_t wanted = options->chunks;
    windows->count = wanted >= 0 && (uint64_t)wanted < count ? (uint32_t)wanted : (uint32_t)count;
    windows->first = windows->length / 2;
out:
    return status;
}

/* ---- engine ---------------------------------------------------------------------------------- */

enum weir_status windows_check_tokens(const struct windows *windows, struct weir_error *err)
{
    const uint32_t vocab = weir_engine_vocab(windows->loaded.engine);
    for (uint64_t i = 0; i < windows->ids.count; i++) {
        const int32_t id = windows->ids.items[i];
        if (id < 0 || (uint32_t)id >= vocab)
            return err_set(err, WEIR_ERR_ARGUMENT, "token %llu is %d, but the model has %u tokens",
                           (unsigned long long)i, id, vocab);
    }
    return WEIR_OK;
}

enum weir_status windows_open_engine(struct windows *windows, enum weir_collect collect,
                                     struct weir_error *err)
{
    struct log *log = windows->call->log;
    const uint32_t rows = collect == WEIR_COLLECT_BLOCKS ? 1 : WINDOWS_ROWS_MAX;
    struct weir_engine_options engine = loaded_engine_options(windows->call->options, rows, log);
    engine.context = windows->length;
    engine.collect = collect;
    enum weir_status status;
    if (collect != WEIR_COLLECT_NOTHING)
        TRY(weir_model_has_mtp(windows->loaded.model, &engine.mtp, err));
    TRY(loaded_open_engine(&windows->loaded, &engine, log, err));
    TRY(pool_open(&windows->pool, weir_engine_threads(windows->loaded.engine), err));
    log->progress_muted = true;
out:
    return status;
}

void windows_close(struct windows *windows)
{
    pool_close(windows->pool);
    loaded_close(&windows->loaded);
    mem_free(windows->ids.items);
    *windows = (struct windows){.call = NULL};
}

/* ---- scoring --------------------------------------------------------------------------------- */

/* The rows of one step. */
struct step {
    const struct windows *windows;
    const struct windows_scorer *scorer;
    const int32_t *next;
    uint32_t rows;
};

static void score_rows(void *job, uint32_t thread)
{
    const struct step *step = job;
    const struct windows_scorer *scorer = step->scorer;
    const uint32_t threads = pool_threads(step->windows->pool);
    for (uint32_t slot = thread; slot < step->rows; slot += threads)
        scorer->score(scorer->user, slot, weir_session_logits(step->windows->loaded.session, slot),
                      step->next[slot]);
}

static enum weir_status score_step(struct windows *windows, const int32_t *tokens, uint32_t rows,
                                   const struct windows_scorer *scorer, struct weir_error *err)
{
    struct step step = {windows, scorer, tokens + 1, rows};
    enum weir_status status;
    TRY(weir_session_eval(windows->loaded.session, tokens, rows, WEIR_LOGITS_ALL, err));
    pool_run(windows->pool, score_rows, &step);
    TRY(scorer->take(scorer->user, rows, err));
out:
    return status;
}

enum weir_status windows_score(struct windows *windows, uint32_t number,
                               const struct windows_scorer *scorer, struct weir_error *err)
{
    const struct options *options = windows->call->options;
    const uint32_t rows_max =
        loaded_engine_options(options, WINDOWS_ROWS_MAX, windows->call->log).logits_rows_max;
    struct weir_session *session = windows->loaded.session;
    int32_t *tokens = windows->ids.items + (uint64_t)number * windows->length;
    const int32_t own = tokens[0];
    if (windows->head >= 0)
        tokens[0] = windows->head;
    weir_session_reset(session);
    enum weir_status status =
        weir_session_eval(session, tokens, windows->first, WEIR_LOGITS_NONE, err);
    tokens[0] = own;
    const uint32_t end = windows->length - 1;
    for (uint32_t at = windows->first; at < end && status == WEIR_OK;) {
        if (interrupt_requested())
            return WEIR_ERR_CANCELLED;
        const uint32_t rows = end - at < rows_max ? end - at : rows_max;
        status = score_step(windows, tokens + at, rows, scorer, err);
        at += rows;
    }
    return status;
}
