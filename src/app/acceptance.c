/* SPDX-License-Identifier: MIT
 * What drafts are worth: the model continues prompts greedily, and behind each of its tokens the
 * block of multi-token prediction drafts a chain, as a round of speculation would there. A draft is
 * accepted if it and all before it are what the model then chooses. The text is the model's own, so
 * what it would choose behind accepted drafts is what it does choose next, and nothing is evaluated
 * twice. */
#include "app/acceptance.h"

#include "app/interrupt.h"
#include "app/logits_row.h"
#include "app/mtp_feed.h"
#include "app/output.h"
#include "app/prompt.h"
#include "base/err.h"
#include "base/mem.h"

enum { PROMPT_ROWS_MAX = 64 };

struct acceptance {
    const struct call *call;
    struct loaded loaded;
    struct mtp_feed feed;
    struct ids prompts, ends; /* of all lines, and where each ends */
    struct ids text;          /* what the model chose behind a prompt */
    struct ids drafts;        /* a chain behind each of these that was evaluated */
    uint32_t chain;
    uint32_t context, rows_max;
    uint64_t tried[ACCEPTANCE_DRAFTS_MAX], accepted[ACCEPTANCE_DRAFTS_MAX];
    uint64_t generated;
    uint64_t rounds, committed; /* had the drafts been used */
};

static int32_t model_choice(const struct acceptance *acceptance)
{
    const float *logits = weir_session_logits(acceptance->feed.session, 0);
    return (int32_t)row_top(logits, weir_engine_vocab(acceptance->loaded.engine));
}

static int32_t block_choice(const struct acceptance *acceptance)
{
    const float *logits = weir_session_mtp_logits(acceptance->feed.session, 0);
    return (int32_t)row_top(logits, weir_engine_mtp_vocab(acceptance->loaded.engine));
}

/* The chain behind the token that was evaluated last; leaves the block's cache as it was. */
static enum weir_status draft_chain(struct acceptance *acceptance, struct weir_error *err)
{
    struct weir_session *session = acceptance->feed.session;
    const uint32_t position = weir_session_mtp_position(session);
    int32_t token = block_choice(acceptance);
    enum weir_status status;
    TRY(ids_add(&acceptance->drafts, token, err));
    for (uint32_t i = 1; i < acceptance->chain; i++) {
        const float *before = weir_session_mtp_hidden(session, 0);
        TRY(weir_session_mtp_eval(session, &token, before, 1, WEIR_LOGITS_LAST, err));
        token = block_choice(acceptance);
        TRY(ids_add(&acceptance->drafts, token, err));
    }
    status = weir_session_mtp_rewind(session, position, err);
out:
    return status;
}

static enum weir_status read_prompt(struct acceptance *acceptance, const int32_t *tokens,
                                    uint64_t count, struct weir_error *err)
{
    mtp_feed_reset(&acceptance->feed);
    for (uint64_t done = 0; done < count;) {
        const uint64_t left = count - done;
        const uint32_t rows = left < acceptance->rows_max ? (uint32_t)left : acceptance->rows_max;
        const enum weir_status status = mtp_feed_step(&acceptance->feed, tokens + done, rows,
                                                      WEIR_LOGITS_LAST, WEIR_LOGITS_NONE, err);
        if (status != WEIR_OK)
            return status;
        done += rows;
    }
    return WEIR_OK;
}

static bool is_over(const struct acceptance *acceptance, int32_t token)
{
    const int32_t predict = acceptance->call->options->predict;
    const uint32_t position = weir_session_position(acceptance->feed.session);
    return weir_tokenizer_ends_generation(acceptance->loaded.tokenizer, token) ||
           (predict >= 0 && acceptance->text.count >= (uint64_t)predict) ||
           position + acceptance->chain >= acceptance->context;
}

static enum weir_status generate(struct acceptance *acceptance, struct weir_error *err)
{
    acceptance->text.count = acceptance->drafts.count = 0;
    enum weir_status status;
    for (;;) {
        const int32_t token = model_choice(acceptance);
        TRY(ids_add(&acceptance->text, token, err));
        if (is_over(acceptance, token))
            return WEIR_OK;
        if (interrupt_requested())
            return WEIR_ERR_CANCELLED;
        TRY(mtp_feed_step(&acceptance->feed, &token, 1, WEIR_LOGITS_LAST, WEIR_LOGITS_LAST, err));
        TRY(draft_chain(acceptance, err));
    }
out:
    return status;
}

/* How many drafts of the chain behind token `at` came; those behind the end of the text count
 * neither way. */
static uint32_t count_chain(struct acceptance *acceptance, uint64_t at)
{
    const int32_t *chain = acceptance->drafts.items + at * acceptance->chain;
    const int32_t *came = acceptance->text.items + at + 1;
    const uint64_t left = acceptance->text.count - at - 1;
    uint32_t good = 0;
    for (uint32_t i = 0; i < acceptance->chain && i < left; i++) {
        good += good == i && chain[i] == came[i];
        acceptance->tried[i]++;
        acceptance->accepted[i] += good > i;
    }
    return good;
}

/* Every token counts for the rates; rounds go on behind what they commit. */
static void count_text(struct acceptance *acceptance)
{
    const uint64_t evaluated = acceptance->drafts.count / acceptance->chain;
    uint64_t next_round = 0;
    for (uint64_t at = 0; at < evaluated; at++) {
        const uint32_t good = count_chain(acceptance, at);
        if (at < next_round)
            continue;
        acceptance->rounds++;
        acceptance->committed += good + 1;
        next_round = at + good + 1;
    }
    acceptance->generated += acceptance->text.count;
}

static enum weir_status print_counts(const struct acceptance *acceptance, struct weir_error *err)
{
    struct output output = {0};
    enum weir_status status;
    TRY(output_open(&output, NULL, err));
    output_print(&output, "%llu prompts, %llu tokens generated\n",
                 (unsigned long long)acceptance->ends.count,
                 (unsigned long long)acceptance->generated);
    for (uint32_t i = 0; i < acceptance->chain; i++) {
        const uint64_t tried = acceptance->tried[i], accepted = acceptance->accepted[i];
        output_print(&output, "draft %u: %llu of %llu accepted, %.1f%%\n", i + 1,
                     (unsigned long long)accepted, (unsigned long long)tried,
                     tried > 0 ? 100.0 * (double)accepted / (double)tried : 0.0);
    }
    if (acceptance->rounds > 0)
        output_print(&output, "a round of %u drafts commits %.2f tokens\n", acceptance->chain,
                     (double)acceptance->committed / (double)acceptance->rounds);
    TRY(output_finish(&output, err));
out:
    output_abandon(&output);
    return status;
}

static enum weir_status open_all(struct acceptance *acceptance, struct weir_error *err)
{
    const struct options *options = acceptance->call->options;
    struct log *log = acceptance->call->log;
    struct weir_engine_options engine = loaded_engine_options(options, 1, log);
    engine.mtp = true;
    if (engine.step_rows_max > PROMPT_ROWS_MAX)
        engine.step_rows_max = PROMPT_ROWS_MAX;
    acceptance->rows_max = engine.step_rows_max;
    enum weir_status status;
    TRY(prompt_read_token_lines(&acceptance->prompts, &acceptance->ends, options->tokens, err));
    TRY(loaded_open_model(&acceptance->loaded, options, log, err));
    TRY(weir_tokenizer_open(&acceptance->loaded.tokenizer, acceptance->loaded.model, err));
    TRY(loaded_open_engine(&acceptance->loaded, &engine, log, err));
    log->progress_muted = true;
    acceptance->context = weir_engine_context(acceptance->loaded.engine);
    TRY(mtp_feed_open(&acceptance->feed, &acceptance->loaded, acceptance->rows_max, err));
out:
    return status;
}

static void close_all(struct acceptance *acceptance)
{
    mtp_feed_close(&acceptance->feed);
    loaded_close(&acceptance->loaded);
    mem_free(acceptance->prompts.items);
    mem_free(acceptance->ends.items);
    mem_free(acceptance->text.items);
    mem_free(acceptance->drafts.items);
}

enum weir_status acceptance_run(const struct call *call, struct weir_error *err)
{
    struct acceptance acceptance = {.call = call, .chain = (uint32_t)call->options->mtp_drafts};
    enum weir_status status;
    TRY(open_all(&acceptance, err));
    int32_t first = 0;
    for (uint64_t i = 0; i < acceptance.ends.count; i++) {
        const int32_t end = acceptance.ends.items[i];
        TRY(read_prompt(&acceptance, acceptance.prompts.items + first, (uint64_t)(end - first),
                        err));
        TRY(generate(&acceptance, err));
        count_text(&acceptance);
        first = end;
    }
    TRY(print_counts(&acceptance, err));
out:
    close_all(&acceptance);
    return status;
}
