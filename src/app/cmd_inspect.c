/* SPDX-License-Identifier: MIT
 * weir inspect: prints metadata, weights, the plan and the memory of a model that is not loaded. */
#include "app/command.h"

#include "app/loaded.h"
#include "app/output.h"
#include "app/shipped.h"
#include "app/speculation.h"
#include "base/err.h"

static void print_bytes(struct output *output, const char *name, uint64_t bytes)
{
    output_print(output, "%-24s %16llu %12.2f MiB\n", name, (unsigned long long)bytes,
                 (double)bytes / (1 << 20));
}

/* Weights that are mapped need not be free: the system may drop and read them again. */
static void print_verdict(struct output *output, const struct weir_memory *memory)
{
    const double mib = 1 << 20;
    const bool is_known = memory->available != 0;
    const bool fits = memory->needed <= memory->available;
    output_print(output, "%sneeds %.2f MiB, ",
                 !is_known ? ""
                 : fits    ? "fits: "
                           : "does not fit: ",
                 (double)memory->needed / mib);
    if (is_known)
        output_print(output, "%.2f MiB are free\n", (double)memory->available / mib);
    else
        output_print(output, "and how much is free is unknown\n");
}

/* Adds what rounds of drafts need, as weir run makes them. */
static void add_drafts(struct weir_engine_options *engine, const struct call *call)
{
    const struct spec_options *spec = &call->options->spec;
    const struct weir_engine_options without = *engine;
    struct weir_speculator_options drafts;
    speculation_options(&drafts, spec);
    drafts.kind = (enum weir_draft_kind)spec->kind;
    speculation_count(&drafts, spec, engine->step_rows_max);
    speculation_size_engine(&drafts, spec, engine);
    engine->mtp |= without.mtp;
    if (args_given(call->given, COMMAND_INSPECT, "--spec-draft-vocab") != GIVEN_NOT)
        engine->mtp_vocab = without.mtp_vocab;
    if (engine->logits_rows_max < without.logits_rows_max)
        engine->logits_rows_max = without.logits_rows_max;
}

static enum weir_status print_memory(struct output *output, const struct loaded *loaded,
                                     const struct weir_engine_options *engine,
                                     struct weir_error *err)
{
    struct weir_memory memory;
    const enum weir_status status = weir_memory_estimate(loaded->model, engine, &memory, err);
    if (status != WEIR_OK)
        return status;
    const struct {
        const char *name;
        uint64_t bytes;
    } rows[] = {
        {"weights", memory.weights},
        {"  in the mapped file", memory.mapped},
        {"kv cache", memory.kv},
        {"  of one token", memory.kv_per_token},
        {"recurrent state", memory.state},
        {"  of one sequence", memory.state_session},
        {"activations", memory.activations},
        {"logits", memory.logits},
        {"scratch", memory.scratch},
        {"total", memory.total},
        {"needed", memory.needed},
        {"available", memory.available},
    };
    output_print(output, "context %u tokens, %u sequences, %u rows a step\n", memory.context,
                 engine->sessions_max, engine->step_rows_max);
    output_print(output, "%-24s %16s %16s\n", "what", "bytes", "");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        print_bytes(output, rows[i].name, rows[i].bytes);
    print_verdict(output, &memory);
    return WEIR_OK;
}

/* A step of the wanted shape has to fit the engine that is planned. */
static enum weir_status fit_shape(struct weir_engine_options *engine,
                                  const struct weir_plan_shape *shape, struct weir_error *err)
{
    const uint64_t rows = (uint64_t)shape->rows * shape->sequences;
    const uint64_t held = (uint64_t)shape->rows + shape->cached;
    if (rows > INT32_MAX || held > INT32_MAX)
        return err_set(err, WEIR_ERR_ARGUMENT, "--rows, --sequences and --cached are too large");
    if (engine->context != 0 && held > engine->context)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "--cached and --rows need a context of %llu, but --ctx-size is %u",
                       (unsigned long long)held, engine->context);
    if (engine->step_rows_max < rows)
        engine->step_rows_max = (uint32_t)rows;
    if (engine->context == 0)
        engine->context = (uint32_t)held;
    engine->logits_rows_max = shape->sequences;
    return WEIR_OK;
}

static enum weir_status print_plan(struct output *output, const struct loaded *loaded,
                                   struct weir_engine_options engine,
                                   const struct weir_plan_shape *shape, struct weir_error *err)
{
    const enum weir_status status = fit_shape(&engine, shape, err);
    if (status != WEIR_OK)
        return status;
    return weir_model_print_plan(loaded->model, &engine, shape, output_sink, output, err);
}

static enum weir_status print_parts(struct output *output, const struct loaded *loaded,
                                    const struct call *call, struct weir_error *err)
{
    const struct options *options = call->options;
    struct weir_engine_options engine =
        loaded_engine_options(options, options->shape.sequences, call->log);
    engine.sessions_max = options->shape.sequences;
    enum weir_status status = WEIR_OK;
    if (!options->weights && !options->plan && !options->memory)
        TRY(weir_model_print_metadata(loaded->model, output_sink, output, err));
    if (options->weights)
        TRY(weir_model_print_weights(loaded->model, output_sink, output, err));
    if (options->plan)
        TRY(print_plan(output, loaded, engine, &options->shape, err));
    add_drafts(&engine, call);
    if (options->memory)
        TRY(print_memory(output, loaded, &engine, err));
out:
    return status;
}

enum weir_status command_inspect(const struct call *call, struct weir_error *err)
{
    struct loaded loaded = {0};
    struct output output = {0};
    char shipped[SHIPPED_PATH_MAX];
    enum weir_status status;
    TRY(shipped_choose(shipped, call->options, call->log, err));
    TRY(loaded_open_model(&loaded, call->options, call->log, err));
    TRY(output_open(&output, NULL, err));
    TRY(print_parts(&output, &loaded, call, err));
    TRY(output_finish(&output, err));
out:
    output_abandon(&output);
    loaded_close(&loaded);
    return status;
}
