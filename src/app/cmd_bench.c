/* SPDX-License-Identifier: MIT
 * weir bench: runs all combinations of the lists that the flags give, in the order of llama-bench.
 * Knows neither how a test is timed nor how it is printed. */
#include "app/command.h"

#include <time.h>

#include "app/bench_probe.h"
#include "app/bench_rounds.h"
#include "app/bench_table.h"
#include "app/interrupt.h"
#include "app/loaded.h"
#include "app/machine.h"
#include "app/profile_sums.h"
#include "app/prompt.h"
#include "app/shipped.h"
#include "app/speculation.h"
#include "base/cpu.h"
#include "base/err.h"
#include "base/mem.h"

/* What an engine is opened with: the outer loops, of which the last turns fastest. */
enum axis { AXIS_LOAD, AXIS_BATCH, AXIS_STEP_ROWS, AXIS_CACHE_K, AXIS_CACHE_V, AXIS_THREADS, AXES };

/* By place in the flags' words: whether it maps, and whether it locks. */
static const struct {
    const char *name;
    enum weir_load load;
    bool lock;
} loads[] = {
    {"none", WEIR_LOAD_READ, false},
    {"mmap", WEIR_LOAD_MAP, false},
    {"mlock", WEIR_LOAD_READ, true},
    {"mmap+mlock", WEIR_LOAD_MAP, true},
};

/* What is taken where no flag says otherwise, as llama-bench does. */
enum { USUAL_LOAD = 1, USUAL_BATCH = 2048, USUAL_STEP_ROWS = 512, USUAL_CACHE = WEIR_CACHE_F16 };

static const char *const cache_names[] = {
    [WEIR_CACHE_F32] = "f32",   [WEIR_CACHE_F16] = "f16",   [WEIR_CACHE_BF16] = "bf16",
    [WEIR_CACHE_Q8_0] = "q8_0", [WEIR_CACHE_Q5_1] = "q5_1", [WEIR_CACHE_Q5_0] = "q5_0",
    [WEIR_CACHE_Q4_1] = "q4_1", [WEIR_CACHE_Q4_0] = "q4_0",
};

/* A test of the inner loops. */
struct part {
    uint32_t prompt, generate, depth;
};

static const char *const draft_kinds[] = {
    [WEIR_DRAFT_NONE] = "none",
    [WEIR_DRAFT_MTP] = "draft-mtp",
    [WEIR_DRAFT_NGRAM] = "ngram-simple",
};

/* Of rounds: none, each number of drafts, as many as help. */
enum { LENGTHS_MAX = WEIR_DRAFTS_MAX + 2 };

static const double BEYOND = 1.05;

struct bench {
    const struct call *call;
    const struct bench_options *options;
    const char *const *models; /* [models_count] */
    uint64_t models_count;
    char shipped[SHIPPED_PATH_MAX]; /* the only one, if none is named */
    const struct number_list *axes[AXES];
    struct part *parts;
    uint64_t parts_count, parts_capacity;
    uint32_t context; /* that the longest of them needs */
    bool has_rounds;  /* generation goes by rounds of speculation */
    struct bench_drafts drafts;
    struct ids text; /* that they continue, if it is named; of the model that is measured */
    struct loaded loaded;
    char model[BENCH_TEXT_MAX];
    uint64_t *samples;
    struct output output, errors;
    struct probe probe;           /* once it is asked for */
    struct bench_table tables[2]; /* on standard output and on standard error */
    uint64_t tests, tests_done;
    double beyond; /* a peak that a test exceeded by more than a measurement varies; else 0 */
};

/* ---- what is to be done ---------------------------------------------------------------------- */

static enum weir_status choose_models(struct bench *bench, struct weir_error *err)
{
    const struct call *call = bench->call;
    const struct text_list *named = &call->options->bench.models;
    bench->models = (const char *const *)named->items;
    bench->models_count = named->count;
    if (named->count > 0)
        return WEIR_OK;
    bench->models = &call->options->model;
    bench->models_count = 1;
    return shipped_choose(bench->shipped, call->options, call->log, err);
}

static bool has_tokens(const struct number_list *list)
{
    for (uint64_t i = 0; i < list->count; i++) {
        if (list->items[i] > 0)
            return true;
    }
    return false;
}

/* Rounds are of generation alone; -p 0, as scripts for others say, asks for no more. */
static enum weir_status choose_rounds(struct bench *bench, struct weir_error *err)
{
    const struct options *options = bench->call->options;
    const bool has_prompts = has_tokens(&options->bench.prompts) || options->bench.pairs.count > 0;
    bench->has_rounds = args_given(bench->call->given, COMMAND_BENCH, "--spec-type") != GIVEN_NOT;
    if (!bench->has_rounds)
        return options->prompt_file == NULL
                   ? WEIR_OK
                   : err_set(err, WEIR_ERR_ARGUMENT, "--file is for --spec-type alone");
    if (has_prompts)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "--spec-type measures generation: -p and -pg have no place, -d and --file "
                       "say what it continues");
    if (options->prompt_file != NULL && options->bench.depths.count > 0)
        return err_set(err, WEIR_ERR_ARGUMENT, "only one of -d and --file may be given");
    speculation_options(&bench->drafts.options, &options->spec);
    bench->drafts.options.kind = (enum weir_draft_kind)options->spec.kind;
    return WEIR_OK;
}

/* The lists that no flag has filled get their default. */
static enum weir_status fill_defaults(struct bench_options *options, bool has_rounds,
                                      struct weir_error *err)
{
    const struct {
        struct number_list *list;
        int64_t value;
    } defaults[] = {
        {&options->prompts, has_rounds ? 0 : 512},
        {&options->generations, 128},
        {&options->depths, 0},
        {&options->loads, USUAL_LOAD},
        {&options->batches, USUAL_BATCH},
        {&options->step_rows, USUAL_STEP_ROWS},
        {&options->cache_k, USUAL_CACHE},
        {&options->cache_v, USUAL_CACHE},
        {&options->threads, cpu_cores()},
    };
    enum weir_status status = WEIR_OK;
    for (size_t i = 0; i < sizeof defaults / sizeof defaults[0] && status == WEIR_OK; i++) {
        if (defaults[i].list->count == 0)
            status = number_list_add(defaults[i].list, defaults[i].value, err);
    }
    return status;
}

/* Parts without tokens are none, as -p 0 asks. */
static enum weir_status add_part(struct bench *bench, int64_t prompt, int64_t generate,
                                 int64_t depth, struct weir_error *err)
{
    const int64_t held = prompt + generate + depth;
    if (prompt == 0 && generate == 0)
        return WEIR_OK;
    if (held > INT32_MAX)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "a test of %lld, %lld and %lld tokens is longer than any context",
                       (long long)depth, (long long)prompt, (long long)generate);
    const enum weir_status status = mem_grow(&bench->parts, &bench->parts_capacity,
                                             bench->parts_count + 1, sizeof *bench->parts, err);
    if (status != WEIR_OK)
        return status;
    bench->parts[bench->parts_count++] =
        (struct part){(uint32_t)prompt, (uint32_t)generate, (uint32_t)depth};
    /* a round begins behind a token of its own, and may be longer than what is asked for */
    const uint32_t context = (uint32_t)held + (bench->has_rounds ? 1 + WEIR_ROUND_TOKENS_MAX : 0);
    if (context > bench->context)
        bench->context = context;
    return WEIR_OK;
}

static enum weir_status add_parts(struct bench *bench, struct weir_error *err)
{
    const struct bench_options *options = bench->options;
    enum weir_status status = WEIR_OK;
    for (uint64_t d = 0; d < options->depths.count; d++) {
        const int64_t depth = options->depths.items[d];
        for (uint64_t i = 0; i < options->prompts.count; i++)
            TRY(add_part(bench, options->prompts.items[i], 0, depth, err));
        for (uint64_t i = 0; i < options->generations.count; i++)
            TRY(add_part(bench, 0, options->generations.items[i], depth, err));
        for (uint64_t i = 0; i < options->pairs.count; i += 2)
            TRY(add_part(bench, options->pairs.items[i], options->pairs.items[i + 1], depth, err));
    }
    if (bench->parts_count == 0)
        status =
            err_set(err, WEIR_ERR_ARGUMENT, "nothing to measure: -p, -n and -pg name no tokens");
out:
    return status;
}

static void name_axes(struct bench *bench)
{
    const struct bench_options *options = bench->options;
    bench->axes[AXIS_LOAD] = &options->loads;
    bench->axes[AXIS_BATCH] = &options->batches;
    bench->axes[AXIS_STEP_ROWS] = &options->step_rows;
    bench->axes[AXIS_CACHE_K] = &options->cache_k;
    bench->axes[AXIS_CACHE_V] = &options->cache_v;
    bench->axes[AXIS_THREADS] = &options->threads;
}

/* Rounds of no draft, of each number of them, and of as many as help. */
static int32_t count_lengths(const struct bench *bench)
{
    const struct weir_speculator_options *options = &bench->drafts.options;
    return options->kind == WEIR_DRAFT_NONE ? 1 : (int32_t)options->drafts_max + 2;
}

static uint64_t count_combinations(const struct bench *bench)
{
    uint64_t count = 1;
    for (int i = 0; i < AXES; i++) {
        if (!size_mul(count, bench->axes[i]->count, &count))
            return UINT64_MAX;
    }
    return count;
}

static void take_combination(const struct bench *bench, uint64_t number, int64_t values[AXES])
{
    for (int i = AXES - 1; i >= 0; i--) {
        values[i] = bench->axes[i]->items[number % bench->axes[i]->count];
        number /= bench->axes[i]->count;
    }
}

/* ---- printing -------------------------------------------------------------------------------- */

static bool varies(const struct number_list *list, int64_t usual)
{
    return list->count > 1 || list->items[0] != usual;
}

static struct bench_columns choose_columns(const struct bench *bench)
{
    const struct bench_options *options = bench->options;
    const struct weir_engine_options *engine = &bench->call->options->engine;
    return (struct bench_columns){
        .batch = varies(&options->batches, USUAL_BATCH),
        .step_rows = varies(&options->step_rows, USUAL_STEP_ROWS),
        .cache_k = varies(&options->cache_k, USUAL_CACHE),
        .cache_v = varies(&options->cache_v, USUAL_CACHE),
        .load = varies(&options->loads, USUAL_LOAD),
        .isa = engine->isa != NULL,
        .packed = engine->no_repack,
        .bound = engine->bind == WEIR_OFF,
        .drafts = bench->has_rounds,
    };
}

static enum weir_status open_tables(struct bench *bench, struct weir_error *err)
{
    const struct bench_options *options = bench->options;
    const enum weir_status status = output_open(&bench->output, NULL, err);
    if (status != WEIR_OK)
        return status;
    output_open_errors(&bench->errors);
    bench_table_init(&bench->tables[0], &bench->output, options->format);
    bench_table_init(&bench->tables[1], &bench->errors, options->format_errors);
    for (int i = 0; i < 2; i++) {
        bench->tables[i].columns = choose_columns(bench);
        bench->tables[i].bytes = options->bytes;
    }
    return WEIR_OK;
}

/* Only once there is a model to measure, since it may take seconds. */
static enum weir_status find_peaks(struct bench *bench, struct weir_error *err)
{
    if (!bench->options->bytes || bench->probe.reads_count > 0)
        return WEIR_OK;
    return machine_probe(&bench->probe, cpu_cores(), bench->call->log, err);
}

static enum weir_status put_result(struct bench *bench, const struct bench_result *result,
                                   struct weir_error *err)
{
    for (int i = 0; i < 2; i++)
        bench_table_row(&bench->tables[i], result);
    if (bench->options->bytes && bench_gigabytes(result) > BEYOND * bench->tables[0].peak)
        bench->beyond = bench->tables[0].peak;
    return output_failed(&bench->output, err);
}

/* ---- running --------------------------------------------------------------------------------- */

static void show_progress(void *user, uint32_t sample)
{
    const struct bench *bench = user;
    char what[32] = "warm-up";
    if (!bench->options->progress)
        return;
    if (sample > 0)
        snprintf(what, sizeof what, "run %u of %d", sample, (int)bench->options->repetitions);
    log_print(bench->call->log, WEIR_LOG_INFO, "weir bench: test %llu of %llu, %s",
              (unsigned long long)bench->tests_done + 1, (unsigned long long)bench->tests, what);
}

/* Lets the machine cool between tests, unless the user interrupts. */
static void pause_between(const struct bench *bench)
{
    const struct timespec pause = {.tv_sec = bench->options->delay};
    if (bench->tests_done > 0 && pause.tv_sec > 0 && !interrupt_requested())
        nanosleep(&pause, NULL);
}

static void note_what_is_beyond(const struct bench *bench)
{
    if (bench->beyond > 0)
        log_print(
            bench->call->log, WEIR_LOG_WARNING,
            "note: more than 100%% of what memory gives (%.2f GB/s): %s; --probe measures anew",
            bench->beyond, profile_beyond(true));
}

static enum weir_status run_test(struct bench *bench, const struct bench_test *test,
                                 struct weir_error *err)
{
    enum weir_status status;
    struct bench_result result = {.test = test,
                                  .samples_ns = bench->samples,
                                  .samples = (uint32_t)bench->options->repetitions};
    pause_between(bench);
    if (bench->options->bytes)
        TRY(bench_count_bytes(&result, bench->loaded.engine, err));
    TRY(bench_run(&result, bench->loaded.engine, bench->loaded.session, !bench->options->no_warmup,
                  show_progress, bench, err));
    TRY(put_result(bench, &result, err));
    bench->tests_done++;
out:
    return status;
}

/* The test, once for each length of rounds. */
static enum weir_status run_rounds(struct bench *bench, const struct bench_test *test,
                                   struct weir_error *err)
{
    const int32_t lengths = count_lengths(bench);
    const uint32_t samples = (uint32_t)bench->options->repetitions;
    struct bench_test tests[LENGTHS_MAX];
    struct bench_result results[LENGTHS_MAX];
    enum weir_status status;
    for (int32_t i = 0; i < lengths; i++) {
        tests[i] = *test;
        tests[i].draft_kind = draft_kinds[bench->drafts.options.kind];
        tests[i].drafts = i > 0 && i == lengths - 1 ? BENCH_DRAFTS_AUTO : i;
        results[i] = (struct bench_result){.test = &tests[i],
                                           .samples_ns = bench->samples + (size_t)i * samples,
                                           .samples = samples};
    }
    pause_between(bench);
    TRY(bench_run_rounds(results, (uint32_t)lengths, &bench->drafts, bench->loaded.engine,
                         bench->loaded.session, !bench->options->no_warmup, show_progress, bench,
                         err));
    for (int32_t i = 0; i < lengths; i++)
        TRY(put_result(bench, &results[i], err));
    bench->tests_done++;
out:
    return status;
}

static struct weir_engine_options engine_options(const struct bench *bench,
                                                 const int64_t values[AXES])
{
    struct weir_engine_options engine = bench->call->options->engine;
    const int64_t rows = values[AXIS_STEP_ROWS], batch = values[AXIS_BATCH];
    engine.load = loads[values[AXIS_LOAD]].load;
    engine.lock = loads[values[AXIS_LOAD]].lock;
    engine.step_rows_max = (uint32_t)(rows < batch ? rows : batch);
    engine.logits_rows_max = 1;
    engine.cache_k = (enum weir_cache_type)values[AXIS_CACHE_K];
    engine.cache_v = (enum weir_cache_type)values[AXIS_CACHE_V];
    engine.threads = (uint32_t)values[AXIS_THREADS];
    engine.context = bench->context + (uint32_t)bench->text.count;
    engine.progress = log_progress;
    engine.progress_user = bench->call->log;
    if (bench->has_rounds)
        speculation_size_engine(&bench->drafts.options, &bench->call->options->spec, &engine);
    return engine;
}

/* All tests on one engine. */
static enum weir_status run_combination(struct bench *bench, const int64_t values[AXES],
                                        struct weir_error *err)
{
    struct loaded *loaded = &bench->loaded;
    const struct weir_engine_options engine = engine_options(bench, values);
    struct weir_model_info info;
    enum weir_status status;
    weir_model_info(loaded->model, &info);
    TRY(weir_engine_open(&loaded->engine, loaded->model, &engine, err));
    TRY(weir_session_open(&loaded->session, loaded->engine, err));
    for (int i = 0; i < 2 && bench->options->bytes; i++)
        bench->tables[i].peak = probe_read_rate(&bench->probe, weir_engine_threads(loaded->engine));
    struct bench_test test = {
        .path = info.path,
        .backend = weir_engine_backend(loaded->engine),
        .model = bench->model,
        .model_bytes = info.tensor_bytes,
        .parameters = info.parameters,
        .batch = (uint32_t)values[AXIS_BATCH],
        .step_rows = (uint32_t)values[AXIS_STEP_ROWS],
        .threads = weir_engine_threads(loaded->engine),
        .cache_k = cache_names[values[AXIS_CACHE_K]],
        .cache_v = cache_names[values[AXIS_CACHE_V]],
        .load = loads[values[AXIS_LOAD]].name,
        .isa = weir_engine_isa(loaded->engine),
        .is_packed = !engine.no_repack,
        .is_bound = engine.bind != WEIR_OFF,
    };
    for (uint64_t i = 0; i < bench->parts_count; i++) {
        test.prompt = bench->parts[i].prompt;
        test.generate = bench->parts[i].generate;
        test.depth = bench->parts[i].depth;
        if (bench->text.count > 0)
            test.depth = (uint32_t)bench->text.count - 1;
        TRY(bench->has_rounds ? run_rounds(bench, &test, err) : run_test(bench, &test, err));
    }
out:
    weir_session_close(loaded->session);
    weir_engine_close(loaded->engine);
    loaded->session = NULL;
    loaded->engine = NULL;
    return status;
}

/* The tokens that the text of --file has in this model. */
static enum weir_status read_text(struct bench *bench, struct weir_error *err)
{
    struct weir_tokenizer *tokenizer = NULL;
    char *text = NULL;
    size_t length;
    enum weir_status status;
    if (bench->call->options->prompt_file == NULL)
        return WEIR_OK;
    bench->text.count = 0;
    TRY(prompt_read_text(bench->call->options, true, &text, &length, err));
    TRY(weir_tokenizer_open(&tokenizer, bench->loaded.model, err));
    TRY(prompt_encode(&bench->text, tokenizer, text, length,
                      WEIR_ENCODE_ADD_SPECIAL | WEIR_ENCODE_PARSE_SPECIAL, err));
    if (bench->text.count == 0)
        status = err_set(err, WEIR_ERR_ARGUMENT, "%s: has no text to continue",
                         bench->call->options->prompt_file);
    bench->drafts.text = bench->text.items;
out:
    weir_tokenizer_close(tokenizer);
    mem_free(text);
    return status;
}

static enum weir_status run_model(struct bench *bench, const char *path, struct weir_error *err)
{
    const uint64_t combinations = count_combinations(bench);
    struct weir_model_info info;
    int64_t values[AXES];
    enum weir_status status;
    bench->call->options->model = path;
    TRY(loaded_open_model(&bench->loaded, bench->call->options, bench->call->log, err));
    TRY(read_text(bench, err));
    TRY(find_peaks(bench, err));
    weir_model_info(bench->loaded.model, &info);
    snprintf(bench->model, sizeof bench->model, "%s %s %s%s", info.architecture, info.size,
             info.is_type_guessed ? "(guessed) " : "", info.file_type);
    for (uint64_t i = 0; i < combinations; i++) {
        take_combination(bench, i, values);
        TRY(run_combination(bench, values, err));
    }
out:
    loaded_close(&bench->loaded);
    return status;
}

static enum weir_status run_models(struct bench *bench, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    for (uint64_t i = 0; i < bench->models_count; i++)
        TRY(run_model(bench, bench->models[i], err));
    for (int i = 0; i < 2; i++)
        bench_table_end(&bench->tables[i]);
    TRY(output_finish(&bench->output, err));
    note_what_is_beyond(bench);
out:
    return status;
}

/* ---- the command ----------------------------------------------------------------------------- */

static enum weir_status bench_open(struct bench *bench, struct weir_error *err)
{
    struct bench_options *options = &bench->call->options->bench;
    enum weir_status status;
    TRY(choose_models(bench, err));
    TRY(choose_rounds(bench, err));
    TRY(fill_defaults(options, bench->has_rounds, err));
    name_axes(bench);
    TRY(add_parts(bench, err));
    const uint64_t lengths = bench->has_rounds ? (uint64_t)count_lengths(bench) : 1;
    const uint64_t tests = bench->parts_count * bench->models_count;
    if (!size_mul(count_combinations(bench), tests, &bench->tests))
        bench->tests = UINT64_MAX;
    bench->samples =
        mem_alloc((uint64_t)options->repetitions, lengths * sizeof *bench->samples, err);
    if (bench->samples == NULL)
        return WEIR_ERR_MEMORY;
    bench->call->log->progress_muted = true;
    TRY(open_tables(bench, err));
out:
    return status;
}

enum weir_status command_bench(const struct call *call, struct weir_error *err)
{
    struct bench bench = {.call = call, .options = &call->options->bench};
    enum weir_status status;
    if (call->options->bench.probe)
        return bench_probe(call, err);
    TRY(bench_open(&bench, err));
    TRY(run_models(&bench, err));
out:
    output_abandon(&bench.output);
    mem_free(bench.samples);
    mem_free(bench.parts);
    mem_free(bench.text.items);
    return status;
}
