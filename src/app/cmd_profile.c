/* SPDX-License-Identifier: MIT
 * weir profile: where each byte of a step goes, and each millisecond. Knows neither how runs are
 * timed nor how they are printed. */
#include "app/command.h"

#include "app/loaded.h"
#include "app/machine.h"
#include "app/profile_points.h"
#include "app/profile_report.h"
#include "app/profile_run.h"
#include "app/profile_sums.h"
#include "app/shipped.h"
#include "base/cpu.h"
#include "base/err.h"
#include "base/mem.h"

enum { MODEL_TEXT_MAX = 128 };

static const struct profile_writer *const forms[] = {
    [PROFILE_TABLE] = &profile_table, [PROFILE_JSON] = &profile_json,
    [PROFILE_CSV] = &profile_csv,     [PROFILE_HTML] = &profile_page,
    [PROFILE_TRACE] = &profile_trace, [PROFILE_FOLDED] = &profile_folded,
};

struct profiling {
    const struct call *call;
    const struct profile_options *options;
    struct loaded loaded;
    struct weir_engine_options engine;
    struct weir_session **sessions; /* [engine.sessions_max]; the first is that of `loaded` */
    struct profile_progress progress;
    struct counters counters; /* opened with the engine, if they are asked for */
    const struct profile_writer *form;
    bool is_total;
    uint64_t points, points_done; /* of all numbers of threads */
    char model[MODEL_TEXT_MAX];
    char shipped[SHIPPED_PATH_MAX]; /* the model that is opened if none is named */
    bool is_dry;
    struct output output;
    struct profile_report report;
};

/* ---- the model ------------------------------------------------------------------------------- */

/* Bytes as they come. */
struct header {
    uint8_t *data;
    uint64_t size, capacity;
    enum weir_status status;
    struct weir_error *err;
};

static void header_put(void *user, const char *text, size_t length)
{
    struct header *header = user;
    if (header->status == WEIR_OK)
        header->status =
            mem_grow(&header->data, &header->capacity, header->size + length, 1, header->err);
    if (header->status != WEIR_OK)
        return;
    for (size_t i = 0; i < length; i++)
        header->data[header->size++] = (uint8_t)text[i];
}

/* The header that weir synth would write is all that a profile without running needs. */
static enum weir_status open_size(struct profiling *p, struct weir_error *err)
{
    struct header header = {.err = err};
    struct weir_synth_options synth;
    enum weir_status status;
    weir_synth_options_init(&synth);
    synth.size = p->options->size;
    if (p->options->type != NULL)
        synth.type = p->options->type;
    synth.output_type = p->options->output_type;
    TRY(weir_synth_header(&synth, header_put, &header, err));
    TRY(header.status);
    const struct weir_model_options model = loaded_model_options(p->call->options, p->call->log);
    TRY(weir_model_open_header(&p->loaded.model, header.data, header.size, p->options->size, &model,
                               err));
out:
    mem_free(header.data);
    return status;
}

/* A model that only the environment names gives way to --size. */
static enum weir_status check_source(const struct profiling *p, struct weir_error *err)
{
    const struct profile_options *options = p->options;
    const char *file = p->call->options->model;
    const bool is_named = args_given(p->call->given, COMMAND_PROFILE, "--model") == GIVEN_BY_WORD;
    if (is_named && options->size != NULL)
        return err_set(err, WEIR_ERR_ARGUMENT, "--size is of a model that is not there, but %s is",
                       file);
    if (args_given(p->call->given, COMMAND_PROFILE, "--tolerance") == GIVEN_BY_WORD)
        return err_set(err, WEIR_ERR_ARGUMENT, "--tolerance belongs to --diff");
    if (options->size == NULL && (options->type != NULL || options->output_type != NULL))
        return err_set(err, WEIR_ERR_ARGUMENT, "--type and --output-type belong to --size");
    return WEIR_OK;
}

static enum weir_status open_model(struct profiling *p, struct weir_error *err)
{
    struct weir_model_info info;
    enum weir_status status;
    if (p->options->size != NULL) {
        TRY(open_size(p, err));
    } else {
        TRY(shipped_choose(p->shipped, p->call->options, p->call->log, err));
        TRY(loaded_open_model(&p->loaded, p->call->options, p->call->log, err));
    }
    weir_model_info(p->loaded.model, &info);
    snprintf(p->model, sizeof p->model, "%s %s %s%s", info.architecture, info.size,
             info.is_type_guessed ? "(guessed) " : "", info.file_type);
    p->report.context_trained = info.context_trained;
out:
    return status;
}

/* ---- what is profiled ------------------------------------------------------------------------ */

static uint32_t runs_of(const struct profile_options *options, enum profile_mode mode)
{
    static const uint32_t usual[] = {
        [PROFILE_DECODE] = 64, [PROFILE_PREFILL] = 6, [PROFILE_VERIFY] = 16};
    return options->repetitions > 0 ? (uint32_t)options->repetitions : usual[mode];
}

static enum weir_status choose_form(struct profiling *p, struct weir_error *err)
{
    const struct number_list *by = &p->options->by;
    for (uint64_t i = 0; i < by->count; i++)
        p->is_total = p->is_total || by->items[i] == PROFILE_BY_TOTAL;
    if (p->is_total && by->count > 1)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "--by total is one table of all profiles, and stands alone");
    if (p->options->check &&
        (p->is_total || (p->options->form != PROFILE_TABLE && p->options->form != PROFILE_JSON)))
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "what --check counts is printed by tables of ops and by json alone");
    p->form = forms[p->options->form];
    if (p->is_total && p->form == &profile_table)
        p->form = &profile_total_table;
    if (p->is_total && p->form == &profile_csv)
        p->form = &profile_total_csv;
    return WEIR_OK;
}

/* A length that no mode has is a mistake about the mode, as runs are where nothing runs. */
static enum weir_status check_idle(const struct profiling *p, struct weir_error *err)
{
    static const struct {
        const char *flag, *mode;
        enum profile_mode of;
    } lengths[] = {{"--n-prompt", "prefill", PROFILE_PREFILL},
                   {"--drafts", "verify", PROFILE_VERIFY}};
    const struct number_list *modes = &p->options->modes;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        bool is_used =
            args_given(p->call->given, COMMAND_PROFILE, lengths[i].flag) != GIVEN_BY_WORD;
        for (uint64_t j = 0; j < modes->count; j++)
            is_used |= modes->items[j] == lengths[i].of;
        if (!is_used)
            return err_set(err, WEIR_ERR_ARGUMENT,
                           "%s belongs to --mode %s, which is not asked for", lengths[i].flag,
                           lengths[i].mode);
    }
    if (p->is_dry && p->options->repetitions > 0)
        return err_set(err, WEIR_ERR_ARGUMENT, "--repetitions counts runs, but nothing is run");
    return WEIR_OK;
}

static enum weir_status check_form(const struct profiling *p, struct weir_error *err)
{
    if (p->is_total && p->form != &profile_total_table && p->form != &profile_total_csv)
        return err_set(
            err, WEIR_ERR_ARGUMENT,
            "--by total is printed as table or csv; other forms have all profiles anyway");
    if (p->options->by.count > 0 && !p->is_total && p->form != &profile_table)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "--by chooses sums of tables; other forms have every op or all sums");
    const bool needs_times = p->form == &profile_trace || p->form == &profile_folded;
    if (needs_times && p->is_dry)
        return err_set(err, WEIR_ERR_ARGUMENT, "-o %s shows when ops ran, but with %s nothing runs",
                       p->form == &profile_trace ? "trace" : "folded",
                       p->options->size != NULL ? "--size" : "--dry-run");
    return WEIR_OK;
}

static enum weir_status choose_points(struct profiling *p, struct weir_error *err)
{
    struct profile_options *options = &p->call->options->profile;
    enum weir_status status;
    p->is_dry = p->call->options->dry_run || options->size != NULL;
    if (p->is_dry && options->check)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "--check counts while steps run, but nothing is run");
    TRY(profile_points_fill(options, p->call->options->engine.step_rows_max, err));
    TRY(check_idle(p, err));
    if (p->is_dry && options->threads.count > 1)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "-t names %llu numbers of threads, but nothing is run: bytes are the same "
                       "for all",
                       (unsigned long long)options->threads.count);
    p->points = profile_points_count(options) * options->threads.count;
    p->engine = p->call->options->engine;
    p->engine.progress = profile_progress_ask;
    p->engine.progress_user = &p->progress;
    TRY(profile_points_size(options, p->is_dry ? 0 : PROFILE_DRIFT, &p->engine, err));
out:
    return status;
}

/* ---- the engine ------------------------------------------------------------------------------ */

static enum weir_status open_sessions(struct profiling *p, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    p->sessions = mem_alloc(p->engine.sessions_max, sizeof *p->sessions, err);
    if (p->sessions == NULL)
        return WEIR_ERR_MEMORY;
    p->sessions[0] = p->loaded.session;
    for (uint32_t i = 1; i < p->engine.sessions_max && status == WEIR_OK; i++)
        status = weir_session_open(&p->sessions[i], p->loaded.engine, err);
    return status;
}

static void close_engine(struct profiling *p)
{
    for (uint32_t i = 1; p->sessions != NULL && i < p->engine.sessions_max; i++)
        weir_session_close(p->sessions[i]);
    mem_free(p->sessions);
    p->sessions = NULL;
    loaded_close_engine(&p->loaded);
    counters_close(&p->counters);
}

static bool shows_peak(const struct profiling *p)
{
    switch ((enum profile_form)p->options->form) {
    case PROFILE_TABLE:
    case PROFILE_JSON:
    case PROFILE_HTML: return true;
    case PROFILE_CSV: return p->is_total;
    case PROFILE_TRACE:
    case PROFILE_FOLDED: break;
    }
    return false;
}

/* A bandwidth that is given is another machine's, or a better knowledge of this one. */
static enum weir_status find_peak(struct profiling *p, struct weir_error *err)
{
    struct probe *probe = &p->report.probe;
    p->report.peak = p->options->bandwidth;
    if (p->is_dry || p->options->bandwidth > 0 || !shows_peak(p))
        return WEIR_OK;
    const enum weir_status status = machine_probe(probe, cpu_cores(), p->call->log, err);
    if (status == WEIR_OK) {
        p->report.peak = probe_read_rate(probe, weir_engine_threads(p->loaded.engine));
        p->report.is_measured = true;
    }
    return status;
}

/* Before the engine makes its threads, which are then counted too. */
static void open_counters(struct profiling *p)
{
    if (!p->options->check)
        return;
    counters_open(&p->counters, NULL, "");
    if (p->counters.source == COUNTERS_NONE)
        log_print(p->call->log, WEIR_LOG_INFO, "--check: there are no hardware counters: %s",
                  p->counters.why);
}

static enum weir_status open_engine(struct profiling *p, uint32_t threads, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    p->engine.threads = threads;
    if (!p->is_dry) {
        open_counters(p);
        TRY(loaded_open_engine(&p->loaded, &p->engine, p->call->log, err));
        TRY(open_sessions(p, err));
        p->report.backend = weir_engine_backend(p->loaded.engine);
    }
    TRY(find_peak(p, err));
out:
    return status;
}

/* ---- profiles -------------------------------------------------------------------------------- */

static void show_progress(const struct profiling *p, const struct profile_point *point)
{
    const struct weir_profile_shape *shape = &point->shape;
    if (p->is_dry || p->points == 1)
        return;
    log_print(p->call->log, WEIR_LOG_INFO,
              "weir profile: %llu of %llu: %s, %u token%s behind %u, sequences: %u, threads: %u",
              (unsigned long long)p->points_done + 1, (unsigned long long)p->points,
              profile_mode_name(point->mode), shape->rows, shape->rows == 1 ? "" : "s",
              shape->cached, shape->sequences, weir_engine_threads(p->loaded.engine));
}

static enum weir_status put_result(struct profiling *p, const struct profile_result *result,
                                   struct weir_error *err)
{
    struct profile_report *report = &p->report;
    enum weir_status status;
    if (report->results == 0 && p->form->begin != NULL)
        p->form->begin(report);
    TRY(p->form->put(report, result, err));
    report->results++;
    output_flush(&p->output);
    TRY(output_failed(&p->output, err));
out:
    return status;
}

static enum weir_status run_point(struct profiling *p, struct profile_result *result,
                                  struct weir_profile **profile, const struct profile_point *point,
                                  struct weir_error *err)
{
    const struct counters *counters = p->counters.source == COUNTERS_NONE ? NULL : &p->counters;
    const struct profile_bench bench = {p->loaded.engine, p->sessions, &p->progress, counters};
    const uint32_t runs = runs_of(p->options, point->mode);
    const enum weir_status status =
        weir_profile_open_engine(profile, p->loaded.engine, &point->shape, runs, err);
    return status == WEIR_OK ? profile_run(result, *profile, &bench, runs, err) : status;
}

static enum weir_status profile_point(struct profiling *p, const struct profile_point *point,
                                      struct weir_error *err)
{
    struct weir_profile *profile = NULL;
    struct profile_result result = {.mode = point->mode};
    enum weir_status status;
    show_progress(p, point);
    if (p->is_dry)
        TRY(weir_profile_open(&profile, p->loaded.model, &p->engine, &point->shape, err));
    else
        TRY(run_point(p, &result, &profile, point, err));
    result.profile = profile;
    TRY(put_result(p, &result, err));
    p->points_done++;
out:
    weir_profile_close(profile);
    return status;
}

static enum weir_status profile_threads(struct profiling *p, uint32_t threads,
                                        struct weir_error *err)
{
    const uint64_t count = profile_points_count(p->options);
    enum weir_status status;
    TRY(open_engine(p, threads, err));
    for (uint64_t i = 0; i < count; i++) {
        struct profile_point point = profile_points_take(p->options, i);
        profile_points_mark(&point, &p->engine);
        TRY(profile_point(p, &point, err));
    }
out:
    close_engine(p);
    return status;
}

static enum weir_status profile_all(struct profiling *p, struct weir_error *err)
{
    const struct number_list *threads = &p->options->threads;
    enum weir_status status;
    TRY(output_open(&p->output, NULL, err));
    p->report.output = &p->output;
    p->report.options = p->options;
    p->report.model = p->model;
    for (uint64_t i = 0; i < threads->count; i++)
        TRY(profile_threads(p, (uint32_t)threads->items[i], err));
    if (p->form->end != NULL)
        p->form->end(&p->report);
    TRY(output_finish(&p->output, err));
out:
    return status;
}

enum weir_status command_profile(const struct call *call, struct weir_error *err)
{
    struct profiling p = {
        .call = call, .options = &call->options->profile, .progress = {.log = call->log}};
    enum weir_status status;
    if (p.options->diff.count > 0)
        return profile_compare_run(call, err);
    TRY(choose_form(&p, err));
    TRY(check_source(&p, err));
    TRY(choose_points(&p, err));
    TRY(check_form(&p, err));
    TRY(open_model(&p, err));
    TRY(profile_all(&p, err));
out:
    output_abandon(&p.output);
    loaded_close(&p.loaded);
    return status;
}
