/* SPDX-License-Identifier: MIT
 * weir profile: where each byte of a step goes, and each millisecond. Knows neither how runs are
 * timed nor how they are printed. */
#include "app/command.h"

#include "app/loaded.h"
#include "app/machine.h"
#include "app/profile_report.h"
#include "app/profile_run.h"
#include "base/cpu.h"
#include "base/err.h"
#include "base/mem.h"

enum { MODEL_TEXT_MAX = 128 };

static const struct profile_writer *const forms[] = {
    [PROFILE_TABLE] = &profile_table,
    [PROFILE_JSON] = &profile_json,
    [PROFILE_CSV] = &profile_csv,
};

struct profiling {
    const struct call *call;
    const struct profile_options *options;
    struct loaded loaded;
    struct weir_profile_shape shape;
    struct weir_engine_options engine;
    char model[MODEL_TEXT_MAX];
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

static enum weir_status check_source(const struct profiling *p, struct weir_error *err)
{
    const struct profile_options *options = p->options;
    const bool has_file = p->call->options->model != NULL;
    if (has_file && options->size != NULL)
        return err_set(err, WEIR_ERR_ARGUMENT, "--size is of a model that is not there, but %s is",
                       p->call->options->model);
    if (!has_file && options->size == NULL)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "no model: name a GGUF file with --model or as first argument, or a public "
                       "one with --size");
    if (has_file && (options->type != NULL || options->output_type != NULL))
        return err_set(err, WEIR_ERR_ARGUMENT, "--type and --output-type belong to --size");
    return WEIR_OK;
}

static enum weir_status open_model(struct profiling *p, struct weir_error *err)
{
    struct weir_model_info info;
    enum weir_status status;
    TRY(check_source(p, err));
    if (p->options->size != NULL)
        TRY(open_size(p, err));
    else
        TRY(loaded_open_model(&p->loaded, p->call->options, p->call->log, err));
    weir_model_info(p->loaded.model, &info);
    snprintf(p->model, sizeof p->model, "%s %s %s%s", info.architecture, info.size,
             info.is_type_guessed ? "(guessed) " : "", info.file_type);
out:
    return status;
}

/* ---- what is profiled ------------------------------------------------------------------------ */

static struct weir_profile_shape shape_of(const struct profile_options *options)
{
    switch ((enum profile_mode)options->mode) {
    case PROFILE_DECODE: return (struct weir_profile_shape){.rows = 1, .logits = WEIR_LOGITS_LAST};
    case PROFILE_PREFILL:
        return (struct weir_profile_shape){.rows = (uint32_t)options->rows,
                                           .logits = WEIR_LOGITS_LAST};
    case PROFILE_VERIFY:
        return (struct weir_profile_shape){.rows = (uint32_t)options->drafts + 1,
                                           .logits = WEIR_LOGITS_ALL};
    }
    return (struct weir_profile_shape){.rows = 1};
}

static uint32_t runs_of(const struct profile_options *options)
{
    static const uint32_t usual[] = {
        [PROFILE_DECODE] = 64, [PROFILE_PREFILL] = 5, [PROFILE_VERIFY] = 16};
    return options->repetitions > 0 ? (uint32_t)options->repetitions : usual[options->mode];
}

static enum weir_status fill_contexts(struct profiling *p, struct weir_error *err)
{
    struct number_list *contexts = &p->call->options->profile.contexts;
    return contexts->count > 0 ? WEIR_OK : number_list_add(contexts, 256, err);
}

/* Room for the longest of the contexts, the profile's tokens and some to go on with. */
static enum weir_status size_engine(struct profiling *p, struct weir_error *err)
{
    const struct number_list *contexts = &p->options->contexts;
    int64_t longest = 0;
    for (uint64_t i = 0; i < contexts->count; i++)
        longest = contexts->items[i] > longest ? contexts->items[i] : longest;
    const int64_t held = longest + p->shape.rows + (p->is_dry ? 0 : PROFILE_DRIFT);
    if (held > 1 << 30)
        return err_set(
            err, WEIR_ERR_ARGUMENT,
            "%lld tokens and %u more are more than any context holds, expected at most %d",
            (long long)longest, p->shape.rows, 1 << 30);
    const uint32_t outs = p->shape.logits == WEIR_LOGITS_ALL ? p->shape.rows : 1;
    p->engine = p->call->options->engine;
    p->engine.context = (uint32_t)held;
    p->engine.logits_rows_max = outs;
    p->engine.progress = log_progress;
    p->engine.progress_user = p->call->log;
    if (p->engine.step_rows_max < outs)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "%u tokens are verified in one step, expected at most the %u of -ub",
                       p->shape.rows, p->engine.step_rows_max);
    return WEIR_OK;
}

/* ---- profiles -------------------------------------------------------------------------------- */

static enum weir_status put_result(struct profiling *p, const struct profile_result *result,
                                   struct weir_error *err)
{
    struct profile_report *report = &p->report;
    enum weir_status status;
    if (report->results == 0 && forms[p->options->form]->begin != NULL)
        forms[p->options->form]->begin(report);
    TRY(forms[p->options->form]->put(report, result, err));
    report->results++;
    output_flush(&p->output);
    TRY(output_failed(&p->output, err));
out:
    return status;
}

static enum weir_status profile_context(struct profiling *p, struct weir_error *err)
{
    struct weir_profile *profile = NULL;
    struct profile_result result = {.mode = (enum profile_mode)p->options->mode};
    const uint32_t runs = runs_of(p->options);
    enum weir_status status;
    if (p->is_dry) {
        TRY(weir_profile_open(&profile, p->loaded.model, &p->engine, &p->shape, err));
    } else {
        TRY(weir_profile_open_engine(&profile, p->loaded.engine, &p->shape, runs, err));
        TRY(profile_run(&result, profile, p->loaded.engine, p->loaded.session, runs, err));
    }
    result.profile = profile;
    TRY(put_result(p, &result, err));
out:
    weir_profile_close(profile);
    return status;
}

/* A bandwidth that is given is another machine's, or a better knowledge of this one. */
static enum weir_status find_peak(struct profiling *p, struct weir_error *err)
{
    struct probe probe;
    p->report.peak = p->options->bandwidth;
    if (p->is_dry || p->options->bandwidth > 0 || p->options->form != PROFILE_TABLE)
        return WEIR_OK;
    const enum weir_status status = machine_probe(&probe, cpu_cores(), false, p->call->log, err);
    if (status == WEIR_OK) {
        p->report.peak = probe_read_rate(&probe, weir_engine_threads(p->loaded.engine));
        p->report.is_measured = true;
    }
    return status;
}

static enum weir_status load(struct profiling *p, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    if (!p->is_dry) {
        TRY(loaded_open_engine(&p->loaded, &p->engine, p->call->log, err));
        p->report.backend = weir_engine_backend(p->loaded.engine);
    }
    TRY(find_peak(p, err));
out:
    return status;
}

static enum weir_status profile_all(struct profiling *p, struct weir_error *err)
{
    const struct number_list *contexts = &p->options->contexts;
    enum weir_status status;
    TRY(output_open(&p->output, NULL, err));
    p->report.output = &p->output;
    p->report.options = p->options;
    p->report.model = p->model;
    for (uint64_t i = 0; i < contexts->count; i++) {
        p->shape.cached = (uint32_t)contexts->items[i];
        TRY(profile_context(p, err));
    }
    if (forms[p->options->form]->end != NULL)
        forms[p->options->form]->end(&p->report);
    TRY(output_finish(&p->output, err));
out:
    return status;
}

enum weir_status command_profile(const struct call *call, struct weir_error *err)
{
    struct profiling p = {.call = call, .options = &call->options->profile};
    enum weir_status status;
    p.shape = shape_of(p.options);
    p.is_dry = call->options->dry_run || p.options->size != NULL;
    TRY(fill_contexts(&p, err));
    TRY(open_model(&p, err));
    TRY(size_engine(&p, err));
    TRY(load(&p, err));
    TRY(profile_all(&p, err));
out:
    output_abandon(&p.output);
    loaded_close(&p.loaded);
    return status;
}
