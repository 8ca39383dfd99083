/* SPDX-License-Identifier: MIT
 * weir run: continues a prompt and streams the text. Knows no op and no format. */
#include "app/command.h"

#include "app/bill.h"
#include "app/constrained.h"
#include "app/interrupt.h"
#include "app/keep.h"
#include "app/loaded.h"
#include "app/output.h"
#include "app/prompt.h"
#include "app/sampling.h"
#include "app/shipped.h"
#include "app/speculation.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/stop.h"

struct run {
    const struct options *options;
    struct log *log;
    char shipped[SHIPPED_PATH_MAX]; /* options->model while the command runs, if none is named */
    struct loaded loaded;
    struct speculation speculation;
    struct constrained constrained;
    struct weir_sampler *sampler;
    struct ids prompt;
    struct ids said; /* what was generated and printed */
    struct keep keep;
    struct stop stop;

    struct output output;
    struct weir_detokenizer detokenizer;
    char *text; /* what a piece became */
    uint64_t text_capacity;
    char last; /* the last byte that was printed, or 0 */
    bool stopped;
    bool is_full; /* the context, before the text was over */

    uint64_t load_ns, prompt_ns, repack_ns, eval_ns, start_ns;
    bool is_late;          /* weights are repacked behind the first token */
    uint32_t step_rows;    /* the most of a step */
    uint32_t prompt_evals; /* tokens of the prompt that were evaluated */
    uint32_t first;        /* position of the first generated token */
    uint32_t evals;        /* generated tokens that were evaluated */
};

/* ---- preparing ------------------------------------------------------------------------------- */

static enum weir_status open_tokenizer(struct run *run, struct weir_error *err)
{
    struct weir_error inner = {0};
    const enum weir_status status =
        weir_tokenizer_open(&run->loaded.tokenizer, run->loaded.model, &inner);
    const bool optional =
        run->options->ids && run->options->tokens != NULL && status != WEIR_ERR_MEMORY;
    if (status == WEIR_OK)
        return WEIR_OK;
    if (!optional)
        return err_set(err, status, "%s", inner.text);
    log_print(run->log, WEIR_LOG_WARNING, "warning: no tokenizer, so nothing ends generation: %s",
              inner.text);
    return WEIR_OK;
}

/* Behind a session that goes on no tokens stand that begin a text. */
static enum weir_status read_prompt(struct run *run, bool goes_on, struct weir_error *err)
{
    const struct options *options = run->options;
    if (options->tokens != NULL)
        return prompt_read_tokens(&run->prompt, options->tokens, err);
    char *text = NULL;
    size_t length;
    enum weir_status status = prompt_read_text(options, true, &text, &length, err);
    if (status != WEIR_OK)
        return status;
    status =
        prompt_encode(&run->prompt, run->loaded.tokenizer, text, length,
                      (goes_on ? 0 : WEIR_ENCODE_ADD_SPECIAL) | WEIR_ENCODE_PARSE_SPECIAL, err);
    mem_free(text);
    if (status == WEIR_OK && run->prompt.count == 0)
        return err_set(err, WEIR_ERR_ARGUMENT, "the prompt is empty");
    return status;
}

static enum weir_status open_sampler(struct run *run, struct options *options,
                                     const enum given *given, struct weir_error *err)
{
    const struct weir_sampler_options *sampling = &options->sampler;
    sampling_choose(options, given, run->loaded.model);
    const enum weir_status status =
        weir_sampler_open(&run->sampler, sampling, weir_engine_vocab(run->loaded.engine),
                          weir_engine_context(run->loaded.engine), run->loaded.tokenizer, err);
    if (status == WEIR_OK)
        log_print(run->log, WEIR_LOG_INFO, "sampling: chain %s, temperature %g, seed %llu",
                  sampling->chain, (double)sampling->temperature,
                  (unsigned long long)weir_sampler_seed(run->sampler));
    return status;
}

/* Touches what a step needs once, so that the first measured one does not. */
static enum weir_status warm_up(struct run *run, struct weir_error *err)
{
    const int32_t any = 0;
    const enum weir_status status =
        weir_session_eval(run->loaded.session, &any, 1, WEIR_LOGITS_LAST, err);
    weir_session_reset(run->loaded.session);
    return status;
}

static enum weir_status run_open(struct run *run, const struct call *call, struct weir_error *err)
{
    struct options *options = call->options;
    enum weir_status status;
    const bool goes_on = options->session != NULL && file_exists(options->session);
    const bool is_alone = goes_on && !prompt_is_given(options);
    if (!is_alone)
        TRY(prompt_check(options, "--prompt, --file, --binary-file and --tokens", err));
    TRY(keep_hold(&run->keep, call, err));
    TRY(shipped_choose(run->shipped, options, run->log, err));
    TRY(loaded_open_model(&run->loaded, options, run->log, err));
    TRY(open_tokenizer(run, err));
    TRY(constrained_open(&run->constrained, options, run->loaded.tokenizer, err));
    if (!is_alone)
        TRY(read_prompt(run, goes_on, err));
    struct weir_engine_options engine = loaded_engine_options(options, 1, run->log);
    TRY(speculation_choose(&run->speculation, call, run->loaded.model, &engine, err));
    /* a first token can come of one step if the prompt is so short, or most of it is kept */
    run->step_rows = engine.step_rows_max;
    run->is_late = engine.repack_late =
        !options->warmup && (run->prompt.count <= run->step_rows || options->cache_dir != NULL);
    TRY(loaded_open_engine(&run->loaded, &engine, run->log, err));
    const uint32_t context = weir_engine_context(run->loaded.engine);
    if (run->prompt.count > context)
        return err_set(err, WEIR_ERR_FULL,
                       "the prompt has %llu tokens, but the context holds %u (see --ctx-size)",
                       (unsigned long long)run->prompt.count, context);
    TRY(speculation_open(&run->speculation, call, &run->loaded, err));
    TRY(open_sampler(run, options, call->given, err));
    if (options->warmup)
        TRY(warm_up(run, err));
    TRY(keep_open(&run->keep, options, &run->loaded, run->log, err));
    if (is_alone)
        TRY(keep_take_back(&run->keep, &run->prompt, err));
    if (run->prompt.count > context - run->keep.loaded)
        return err_set(err, WEIR_ERR_FULL,
                       "%s: %u tokens and %llu of the prompt, but the context holds %u (see "
                       "--ctx-size)",
                       options->session, run->keep.loaded, (unsigned long long)run->prompt.count,
                       context);
    TRY(stop_open(&run->stop, (const char *const *)options->stops.items, options->stops.count,
                  err));
    TRY(output_open(&run->output, options->output, err));
out:
    run->load_ns = clock_ns() - run->start_ns;
    return status;
}

/* ---- printing -------------------------------------------------------------------------------- */

static void put_text(struct run *run, size_t length)
{
    output_put(&run->output, run->text, length);
    if (length > 0)
        run->last = run->text[length - 1];
}

/* Prints a token of the prompt, or a generated one, which may complete a stop text. */
static enum weir_status put_token(struct run *run, int32_t id, bool generated,
                                  struct weir_error *err)
{
    if (run->options->ids) {
        output_print(&run->output, "%d\n", (int)id);
        return output_failed(&run->output, err);
    }
    size_t length;
    const char *piece =
        weir_tokenizer_piece(run->loaded.tokenizer, id, run->options->special, &length);
    const enum weir_status status = mem_grow(&run->text, &run->text_capacity,
                                             3 * (uint64_t)length + WEIR_DETOKENIZER_SLACK, 1, err);
    if (status != WEIR_OK)
        return status;
    size_t ready = weir_detokenizer_push(&run->detokenizer, piece, length, run->text);
    if (generated)
        run->stopped = stop_feed(&run->stop, run->text, ready, &ready);
    put_text(run, ready);
    return output_failed(&run->output, err);
}

static enum weir_status put_prompt(struct run *run, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    for (uint64_t i = 0; i < run->prompt.count && status == WEIR_OK; i++)
        status = put_token(run, run->prompt.items[i], false, err);
    output_flush(&run->output);
    return status == WEIR_OK ? output_failed(&run->output, err) : status;
}

/* Prints what the detokenizer holds back, and ends the last line. */
static void put_end(struct run *run)
{
    if (run->options->ids)
        return;
    char rest[WEIR_DETOKENIZER_SLACK];
    if (!run->stopped)
        output_put(&run->output, rest, weir_detokenizer_finish(&run->detokenizer, rest));
    if (run->last != 0 && run->last != '\n')
        output_put(&run->output, "\n", 1);
}

/* On standard output an interrupted run ends like a complete one, with what it has. A file appears
 * only when it is complete. */
static enum weir_status end_output(struct run *run, bool complete, struct weir_error *err)
{
    put_end(run);
    if (complete || !run->output.is_file)
        return output_finish(&run->output, err);
    output_abandon(&run->output);
    return WEIR_OK;
}

static double per(double amount, double unit)
{
    return unit > 0 ? amount / unit : 0;
}

/* The wording is that of llama-completion, which scripts look for. */
static void print_timings(const struct run *run)
{
    const double load = (double)run->load_ns / 1e6;
    const double prompt = (double)run->prompt_ns / 1e6;
    const double eval = (double)run->eval_ns / 1e6;
    const double total = (double)(clock_ns() - run->start_ns) / 1e6;
    const int tokens = (int)run->prompt_evals, runs = (int)run->evals;
    log_print(run->log, WEIR_LOG_INFO, "weir:        load time = %10.2f ms", load);
    keep_print(&run->keep, run->prompt.count);
    log_print(run->log, WEIR_LOG_INFO,
              "weir: prompt eval time = %10.2f ms / %5d tokens (%8.2f ms per token, %8.2f tokens "
              "per second)",
              prompt, tokens, per(prompt, tokens), per(1e3 * tokens, prompt));
    if (run->is_late && runs > 0)
        log_print(run->log, WEIR_LOG_INFO,
                  "weir:      repack time = %10.2f ms behind the first token",
                  (double)run->repack_ns / 1e6);
    log_print(run->log, WEIR_LOG_INFO,
              "weir:        eval time = %10.2f ms / %5d runs   (%8.2f ms per token, %8.2f tokens "
              "per second)",
              eval, runs, per(eval, runs), per(1e3 * runs, eval));
    log_print(run->log, WEIR_LOG_INFO, "weir:       total time = %10.2f ms / %5d tokens", total,
              tokens + runs);
}

/* Of the token in the middle of the answer, as if it had taken the mean time. What the plan says of
 * a token that was evaluated cannot fail. */
static void print_bill(const struct run *run)
{
    struct bill bill;
    struct weir_speculator_info rounds;
    const struct round_makers makers = {.engine = run->loaded.engine,
                                        .kind = run->speculation.options.kind,
                                        .drafter = run->speculation.draft.engine};
    weir_speculator_info(run->speculation.speculator, &rounds);
    if (run->evals > 0 && bill_make(&bill, &makers, run->first + (run->evals - 1) / 2, &rounds,
                                    (double)run->eval_ns / run->evals, NULL) == WEIR_OK)
        bill_print(&bill, run->log);
}

/* ---- generating ------------------------------------------------------------------------------ */

/* From stop to stop. */
static enum weir_status prefill_parts(struct run *run, struct weir_error *err)
{
    const struct ids *prompt = &run->prompt;
    enum weir_status status = WEIR_OK;
    for (uint64_t at = run->keep.restored, end; at < prompt->count; at = end) {
        end = keep_next_stop(&run->keep, prompt, at);
        run->log->prefill_done = at;
        run->log->prefill_total = prompt->count;
        TRY(weir_speculator_prompt(run->speculation.speculator, prompt->items + at,
                                   (uint32_t)(end - at),
                                   end < prompt->count ? WEIR_LOGITS_NONE : WEIR_LOGITS_LAST, err));
        if (end < prompt->count)
            keep_put(&run->keep);
    }
out:
    run->log->prefill_total = 0;
    return status;
}

/* More than one step wants the weights as kernels do: that is part of loading. */
static enum weir_status repack_for_steps(struct run *run, struct weir_error *err)
{
    const uint64_t at = run->keep.restored, count = run->prompt.count;
    if (!run->is_late ||
        (count - at <= run->step_rows && keep_next_stop(&run->keep, &run->prompt, at) == count))
        return WEIR_OK;
    const uint64_t begin = clock_ns();
    const enum weir_status status = weir_engine_repack(run->loaded.engine, err);
    run->load_ns += clock_ns() - begin;
    run->is_late = false;
    return status;
}

static enum weir_status prefill(struct run *run, struct weir_error *err)
{
    struct weir_session *session = run->loaded.session;
    enum weir_status status;
    TRY(keep_restore(&run->keep, &run->prompt, err));
    const uint32_t held = weir_session_position(session);
    TRY(repack_for_steps(run, err));
    const uint64_t begin = clock_ns();
    status = prefill_parts(run, err);
    run->prompt_ns = clock_ns() - begin;
    /* Finished steps alone if it was interrupted, or none if one was cut short. */
    run->first = weir_session_position(session);
    run->prompt_evals = run->first > held ? run->first - held : 0;
    for (uint32_t i = 0; i < run->first; i++)
        weir_sampler_accept(run->sampler, weir_session_tokens(session)[i]);
out:
    return status;
}

/* What the first token did not wait for. Its text stands on the terminal: no progress there. */
static enum weir_status repack(struct run *run, struct weir_error *err)
{
    if (run->evals > 0)
        return WEIR_OK;
    const uint64_t begin = clock_ns();
    run->log->progress_muted = true;
    const enum weir_status status = weir_engine_repack(run->loaded.engine, err);
    run->repack_ns = clock_ns() - begin;
    return status;
}

/* Generated tokens that are not yet printed. */
struct batch {
    int32_t ids[WEIR_ROUND_TOKENS_MAX];
    uint32_t count;
};

/* Evaluates the last of them, which gives the next ones, at most `most`. */
static enum weir_status generate_batch(struct run *run, struct batch *batch, uint32_t most,
                                       struct weir_error *err)
{
    enum weir_status status;
    if (interrupt_requested())
        return WEIR_ERR_CANCELLED;
    TRY(repack(run, err));
    const uint64_t begin = clock_ns();
    status =
        weir_speculator_round(run->speculation.speculator, run->sampler,
                              batch->ids[batch->count - 1], most, batch->ids, &batch->count, err);
    run->eval_ns += clock_ns() - begin;
    run->evals += status == WEIR_OK ? batch->count : 0;
out:
    return status;
}

/* Prints them up to one that ends generation; *left is how many more may come. */
static enum weir_status put_batch(struct run *run, const struct batch *batch, uint32_t *left,
                                  bool *is_over, struct weir_error *err)
{
    const struct weir_tokenizer *tokenizer = run->loaded.tokenizer;
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < batch->count && !*is_over && status == WEIR_OK; i++) {
        status = ids_add(&run->said, batch->ids[i], err);
        if (status == WEIR_OK)
            status = put_token(run, batch->ids[i], true, err);
        *left -= *left < UINT32_MAX;
        *is_over = run->stopped || *left == 0 ||
                   (tokenizer != NULL && weir_tokenizer_ends_generation(tokenizer, batch->ids[i]));
    }
    output_flush(&run->output);
    return status == WEIR_OK ? output_failed(&run->output, err) : status;
}

static enum weir_status generate(struct run *run, struct weir_error *err)
{
    const uint32_t context = weir_engine_context(run->loaded.engine);
    const int32_t limit = run->options->predict;
    uint32_t left = limit < 0 ? UINT32_MAX : (uint32_t)limit;
    if (left == 0)
        return WEIR_OK;
    struct batch batch = {.count = 1};
    bool is_over = false;
    run->log->uncut_max = UINT64_MAX;
    batch.ids[0] = weir_sampler_pick(run->sampler, weir_session_logits(run->loaded.session, 0));
    weir_sampler_accept(run->sampler, batch.ids[0]);
    for (;;) {
        enum weir_status status = put_batch(run, &batch, &left, &is_over, err);
        run->is_full = !is_over && weir_session_position(run->loaded.session) >= context;
        if (status != WEIR_OK || is_over || run->is_full)
            return status;
        status = generate_batch(run, &batch, left, err);
        if (status != WEIR_OK)
            return status;
    }
}

static enum weir_status run_prompt(struct run *run, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    /* The prompt is printed behind the prefill, whose progress has the terminal's line. */
    TRY(prefill(run, err));
    TRY(constrained_begin(&run->constrained, run->sampler, err));
    if (run->options->show_prompt && !run->options->ids)
        TRY(put_prompt(run, err));
    TRY(generate(run, err));
out:
    if (status == WEIR_OK || status == WEIR_ERR_CANCELLED) {
        const bool is_whole = status == WEIR_OK && !weir_sampler_is_cut(run->sampler);
        enum weir_status end = end_output(run, is_whole, err);
        if (end == WEIR_OK)
            end = keep_end(&run->keep, run->first, &run->said, err);
        if (run->is_full)
            log_print(run->log, WEIR_LOG_WARNING,
                      "warning: the text ends with the context, which holds %u tokens (see "
                      "--ctx-size)",
                      weir_engine_context(run->loaded.engine));
        if (run->options->show_timings) {
            print_timings(run);
            speculation_print(&run->speculation, run->log);
            print_bill(run);
        }
        if (end != WEIR_OK)
            status = end;
        else if (status == WEIR_OK)
            status = constrained_check(&run->constrained, run->sampler, run->log, err);
    }
    return status;
}

enum weir_status command_run(const struct call *call, struct weir_error *err)
{
    struct run run = {
        .options = call->options,
        .log = call->log,
        .start_ns = clock_ns(),
    };
    enum weir_status status;
    TRY(run_open(&run, call, err));
    TRY(run_prompt(&run, err));
out:
    output_abandon(&run.output);
    stop_close(&run.stop);
    weir_sampler_close(run.sampler);
    constrained_close(&run.constrained);
    speculation_close(&run.speculation);
    keep_close(&run.keep);
    loaded_close(&run.loaded);
    mem_free(run.prompt.items);
    mem_free(run.said.items);
    mem_free(run.text);
    return status;
}
