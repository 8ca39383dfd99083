/* SPDX-License-Identifier: MIT
 * Perplexity of a text, by the method of llama-perplexity: the text is cut into windows of the
 * context's length, and in each the second half is predicted from all that stands before it. */
#include "app/command.h"

#include <math.h>

#include "app/interrupt.h"
#include "app/loaded.h"
#include "app/output.h"
#include "app/prompt.h"
#include "base/err.h"
#include "base/mem.h"

enum { PERPLEXITY_CONTEXT = 512, PERPLEXITY_CONTEXT_MIN = 4, PERPLEXITY_ROWS_MAX = 64 };

struct perplexity {
    const struct call *call;
    struct loaded loaded;
    struct output output;
    struct ids ids;
    int32_t bos;       /* stands at the head of each window; -1: none */
    uint32_t context;  /* tokens of a window */
    uint32_t rows_max; /* rows of logits of one step */
    uint32_t windows;
    double nll, nll_squares; /* sums of -ln p and of its square */
    uint64_t count;
};

/* -ln of the probability that softmax(logits) gives to `id`. */
static double negative_log(const float *logits, uint32_t vocab, int32_t id)
{
    float max = logits[0];
    for (uint32_t i = 1; i < vocab; i++)
        max = logits[i] > max ? logits[i] : max;
    double sum = 0;
    for (uint32_t i = 0; i < vocab; i++)
        sum += (double)expf(logits[i] - max);
    return (double)max + log(sum) - (double)logits[id];
}

/* Evaluates `rows` tokens and scores the token behind each. */
static enum weir_status score_rows(struct perplexity *perplexity, const int32_t *tokens,
                                   uint32_t rows, struct weir_error *err)
{
    struct weir_session *session = perplexity->loaded.session;
    const enum weir_status status = weir_session_eval(session, tokens, rows, WEIR_LOGITS_ALL, err);
    if (status != WEIR_OK)
        return status;
    const uint32_t vocab = weir_engine_vocab(perplexity->loaded.engine);
    for (uint32_t row = 0; row < rows; row++) {
        const double nll = negative_log(weir_session_logits(session, row), vocab, tokens[row + 1]);
        perplexity->nll += nll;
        perplexity->nll_squares += nll * nll;
    }
    perplexity->count += rows;
    return WEIR_OK;
}

static enum weir_status score_window(struct perplexity *perplexity, int32_t *tokens,
                                     struct weir_error *err)
{
    struct weir_session *session = perplexity->loaded.session;
    const uint32_t first = perplexity->context / 2, last = perplexity->context - 1;
    const int32_t head = tokens[0];
    if (perplexity->bos >= 0)
        tokens[0] = perplexity->bos;
    weir_session_reset(session);
    enum weir_status status = weir_session_eval(session, tokens, first, WEIR_LOGITS_NONE, err);
    tokens[0] = head;
    for (uint32_t at = first; at < last && status == WEIR_OK;) {
        if (interrupt_requested())
            return WEIR_ERR_CANCELLED;
        const uint32_t left = last - at;
        const uint32_t rows = left < perplexity->rows_max ? left : perplexity->rows_max;
        status = score_rows(perplexity, tokens + at, rows, err);
        at += rows;
    }
    return status;
}

static enum weir_status score_text(struct perplexity *perplexity, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    struct output *output = &perplexity->output;
    for (uint32_t i = 0; i < perplexity->windows; i++) {
        TRY(score_window(perplexity, perplexity->ids.items + (uint64_t)i * perplexity->context,
                         err));
        output_print(output, "[%u]%.4f,", i + 1, exp(perplexity->nll / (double)perplexity->count));
        output_flush(output);
        TRY(output_failed(output, err));
    }
    const double count = (double)perplexity->count;
    const double mean = perplexity->nll / count;
    const double variance = perplexity->nll_squares / count - mean * mean;
    const double deviation = variance > 0 && count > 1 ? sqrt(variance / (count - 1)) : 0;
    output_print(output, "\nFinal estimate: PPL = %.4f +/- %.5f\n", exp(mean),
                 deviation * exp(mean));
out:
    return status;
}

/* The token that the model wants at the head of a text is the one that encoding adds to nothing,
 * if it then also leads the text. */
static enum weir_status find_bos(struct perplexity *perplexity, struct weir_error *err)
{
    int32_t added[2];
    size_t count;
    const enum weir_status status = weir_tokenizer_encode(
        perplexity->loaded.tokenizer, "", 0, WEIR_ENCODE_ADD_SPECIAL, added, 2, &count, err);
    const bool leads = status == WEIR_OK && count > 0 && perplexity->ids.count > 0 &&
                       added[0] == perplexity->ids.items[0];
    perplexity->bos = leads ? added[0] : -1;
    return status;
}

static enum weir_status read_text(struct perplexity *perplexity, struct weir_error *err)
{
    char *text = NULL;
    size_t length;
    struct options exact = *perplexity->call->options;
    exact.escape = false;
    enum weir_status status;
    TRY(weir_tokenizer_open(&perplexity->loaded.tokenizer, perplexity->loaded.model, err));
    TRY(prompt_read_text(&exact, true, &text, &length, err));
    TRY(prompt_encode(&perplexity->ids, perplexity->loaded.tokenizer, text, length,
                      WEIR_ENCODE_ADD_SPECIAL, err));
    TRY(find_bos(perplexity, err));
    const uint64_t windows = perplexity->ids.count / perplexity->context;
    const int32_t wanted = perplexity->call->options->chunks;
    perplexity->windows =
        wanted >= 0 && (uint64_t)wanted < windows ? (uint32_t)wanted : (uint32_t)windows;
    if (windows < 2)
        status = err_set(err, WEIR_ERR_ARGUMENT,
                         "%s: holds %llu tokens, but two windows of --ctx-size %u are needed",
                         exact.prompt_file, (unsigned long long)perplexity->ids.count,
                         perplexity->context);
out:
    mem_free(text);
    return status;
}

enum weir_status perplexity_run(const struct call *call, struct weir_error *err)
{
    const struct options *options = call->options;
    const uint32_t context =
        options->engine.context == 0 ? PERPLEXITY_CONTEXT : options->engine.context;
    if (context < PERPLEXITY_CONTEXT_MIN)
        return err_set(err, WEIR_ERR_ARGUMENT, "--ctx-size: a window needs %d tokens or more",
                       PERPLEXITY_CONTEXT_MIN);
    if (options->chunks == 0)
        return err_set(err, WEIR_ERR_ARGUMENT, "--chunks: 0 windows have no perplexity");
    struct perplexity perplexity = {.call = call, .context = context};
    struct weir_engine_options engine =
        loaded_engine_options(options, PERPLEXITY_ROWS_MAX, call->log);
    engine.context = context;
    perplexity.rows_max = engine.logits_rows_max;
    enum weir_status status;
    TRY(loaded_open_model(&perplexity.loaded, options, call->log, err));
    TRY(read_text(&perplexity, err));
    TRY(loaded_open_engine(&perplexity.loaded, &engine, call->log, err));
    call->log->progress_muted = true;
    TRY(output_open(&perplexity.output, NULL, err));
    TRY(score_text(&perplexity, err));
    TRY(output_finish(&perplexity.output, err));
out:
    output_abandon(&perplexity.output);
    loaded_close(&perplexity.loaded);
    mem_free(perplexity.ids.items);
    return status;
}
