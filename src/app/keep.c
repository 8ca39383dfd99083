/* SPDX-License-Identifier: MIT
 * Keeping and restoring sessions of weir run. Knows when, not how. */
#include "app/keep.h"

#include <string.h>

#include "app/session_hold.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"

enum {
    ALIGNMENT = 64,      /* tokens: where chunks are cut, see DESIGN.md, "The CPU backend" */
    STOP_DISTANCE = 256, /* tokens that are worth the room of a state */
    CHUNK = 2048,        /* tokens of a text without messages */
    FEW = 16,            /* tokens that are computed otherwise than many: none such behind a stop */
};

static enum weir_status open_cache(struct keep *keep, const struct loaded *loaded,
                                   struct weir_error *err)
{
    const struct weir_cache_options options = {
        .dir = keep->options->cache_dir,
        .dir_bytes_max = keep->options->cache_bytes,
        .log = log_sink,
        .log_user = keep->log,
    };
    struct weir_error inner = {0};
    const enum weir_status status = weir_cache_open(&keep->cache, loaded->engine, &options, &inner);
    if (status == WEIR_ERR_IO)
        log_print(keep->log, WEIR_LOG_WARNING, "warning: no cache: %s", inner.text);
    else if (status != WEIR_OK)
        return err_set(err, status, "%s", inner.text);
    return WEIR_OK;
}

static enum weir_status open_session(struct keep *keep, struct weir_error *err)
{
    const char *path = keep->options->session;
    const uint64_t begin = clock_ns();
    enum weir_status status = WEIR_OK;
    if (file_exists(path))
        TRY(weir_session_load(keep->session, path, err));
    keep->loaded = weir_session_position(keep->session);
    keep->restore_ns = clock_ns() - begin;
out:
    return status;
}

enum weir_status keep_check_size(const struct call *call, enum command_id command,
                                 struct weir_error *err)
{
    if (call->options->cache_dir != NULL ||
        args_given(call->given, command, "--cache-size") == GIVEN_NOT)
        return WEIR_OK;
    return err_set(err, WEIR_ERR_ARGUMENT, "--cache-size needs --cache-dir%s",
                   command == COMMAND_SERVE ? "; --cache-ram bounds what is kept in memory" : "");
}

enum weir_status keep_hold(struct keep *keep, const struct call *call, struct weir_error *err)
{
    const struct options *options = call->options;
    enum weir_status status;
    TRY(keep_check_size(call, COMMAND_RUN, err));
    if (options->session == NULL)
        return WEIR_OK;
    TRY(prompt_check_target(options, options->session, err));
    status = session_hold(&keep->lock, options->session, "run", err);
out:
    return status;
}

enum weir_status keep_open(struct keep *keep, const struct options *options,
                           const struct loaded *loaded, struct log *log, struct weir_error *err)
{
    static const char begin[] = "<|im_start|>";
    enum weir_status status = WEIR_OK;
    keep->options = options;
    keep->log = log;
    keep->session = loaded->session;
    keep->context = weir_engine_context(loaded->engine);
    keep->message_begin = loaded->tokenizer == NULL
                              ? -1
                              : weir_tokenizer_find(loaded->tokenizer, begin, sizeof begin - 1);
    if (options->cache_dir != NULL)
        TRY(open_cache(keep, loaded, err));
    if (options->session != NULL)
        TRY(open_session(keep, err));
out:
    return status;
}

enum weir_status keep_take_back(struct keep *keep, struct ids *prompt, struct weir_error *err)
{
    const int32_t *tokens = weir_session_tokens(keep->session);
    enum weir_status status = WEIR_OK;
    if (keep->loaded == 0)
        return err_set(err, WEIR_ERR_ARGUMENT, "%s: holds no tokens, and no prompt is given",
                       keep->options->session);
    for (uint32_t i = 0; i < keep->loaded && status == WEIR_OK; i++)
        status = ids_add(prompt, tokens[i], err);
    weir_session_reset(keep->session);
    keep->loaded = 0;
    return status;
}

static void close_cache(struct keep *keep)
{
    weir_cache_close(keep->cache);
    keep->cache = NULL;
}

void keep_close(struct keep *keep)
{
    close_cache(keep);
    file_lock_release(&keep->lock);
}

enum weir_status keep_restore(struct keep *keep, const struct ids *prompt, struct weir_error *err)
{
    if (keep->cache == NULL || keep->loaded > 0)
        return WEIR_OK;
    const uint64_t begin = clock_ns();
    const enum weir_status status = weir_cache_get(keep->cache, keep->session, 0, prompt->items,
                                                   (uint32_t)prompt->count, &keep->restored, err);
    keep->restore_ns = clock_ns() - begin;
    return status;
}

uint64_t keep_next_stop(const struct keep *keep, const struct ids *prompt, uint64_t at)
{
    const uint64_t before = keep->loaded; /* positions are counted from the session's begin */
    for (uint64_t i = at + 1; keep->cache != NULL && i <= prompt->count; i++) {
        const uint64_t stop = (before + i) / ALIGNMENT * ALIGNMENT;
        const bool is_boundary = i < prompt->count && prompt->items[i] == keep->message_begin;
        if ((is_boundary || stop % CHUNK == 0) && stop >= before + at + STOP_DISTANCE &&
            stop + FEW < before + prompt->count)
            return stop - before;
    }
    return prompt->count;
}

void keep_put(struct keep *keep)
{
    struct weir_error inner = {0};
    if (keep->cache == NULL || weir_cache_put(keep->cache, keep->session, 0, &inner) == WEIR_OK)
        return;
    log_print(keep->log, WEIR_LOG_WARNING, "warning: no more snapshots: %s", inner.text);
    close_cache(keep);
}

void keep_print(const struct keep *keep, uint64_t prompt)
{
    const double ms = (double)keep->restore_ns / 1e6;
    if (keep->loaded > 0)
        log_print(keep->log, WEIR_LOG_INFO, "weir:     restore time = %10.2f ms / %5u tokens of %s",
                  ms, keep->loaded, keep->options->session);
    if (keep->restored > 0)
        log_print(keep->log, WEIR_LOG_INFO,
                  "weir:     restore time = %10.2f ms / %5u tokens of %llu of the prompt, from %s",
                  ms, keep->restored, (unsigned long long)prompt, keep->options->cache_dir);
}

/* Evaluates those of its tokens that the session does not hold yet, at least the last, outside of
 * a mark: then the session holds what was said and no more, and nothing is pending in it. Where the
 * context is full there is no place for the last token. */
static enum weir_status settle(struct keep *keep, uint32_t first, const struct ids *said,
                               struct weir_error *err)
{
    const uint32_t all = first + (uint32_t)said->count;
    const uint32_t end = all < keep->context ? all : keep->context;
    struct weir_error ignored = {0}; /* without a mark nothing is pending, nor is it too far */
    enum weir_status status = WEIR_OK;
    if (said->count == 0)
        return WEIR_OK;
    if (weir_session_position(keep->session) >= end)
        weir_session_rewind(keep->session, end - 1, &ignored);
    weir_session_unmark(keep->session);
    const uint32_t position = weir_session_position(keep->session);
    if (position < end)
        TRY(weir_session_eval(keep->session, said->items + (position - first), end - position,
                              WEIR_LOGITS_NONE, err));
    /* drafts begin anew: what the block held was about a part of the text */
    status = weir_session_mtp_rewind(keep->session, 0, err);
out:
    return status;
}

enum weir_status keep_end(struct keep *keep, uint32_t first, const struct ids *said,
                          struct weir_error *err)
{
    if (keep->cache == NULL && keep->options->session == NULL)
        return WEIR_OK;
    struct weir_error inner = {0};
    enum weir_status status = settle(keep, first, said, &inner);
    if (status != WEIR_OK)
        return err_set(err, status, "%s", inner.text);
    keep_put(keep);
    if (keep->options->session != NULL)
        status = weir_session_save(keep->session, keep->options->session, err);
    return status;
}
