/* SPDX-License-Identifier: MIT
 * Resolves options and a model into plan and sizes. Takes no memory that grows with the model. */
#include "run/blueprint.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/cpu.h"
#include "base/file.h"
#include "base/mem.h"
#include "run/loader.h"

enum {
    CONTEXT_STEP = 256, /* a context that was shrunk is a multiple of it */
    CONTEXT_SHRUNK_MIN = 4096,
    THREADS_MAX = 1024,
    SESSIONS_MAX = 4096,
    STEP_ROWS_MAX = 1 << 20,
};

static const struct backend *const backends[] = {
#define BACKEND(id) &id##_backend,
#include "backend/backends.def"
};

static enum weir_status find_backend(const char *name, const struct backend **out,
                                     struct weir_error *err)
{
    for (size_t i = 0; i < sizeof backends / sizeof backends[0]; i++) {
        if (name == NULL || strcmp(backends[i]->name, name) == 0) {
            *out = backends[i];
            return WEIR_OK;
        }
    }
    const size_t last = sizeof backends / sizeof backends[0] - 1;
    return err_set(err, WEIR_ERR_ARGUMENT, "backend \"%s\" is not in this build, expected %s%s%s",
                   name, last > 0 ? backends[0]->name : "", last > 0 ? " or " : "",
                   backends[last]->name);
}

static enum weir_status check_range(const char *what, uint64_t value, uint64_t low, uint64_t high,
                                    struct weir_error *err)
{
    if (value >= low && value <= high)
        return WEIR_OK;
    return err_set(err, WEIR_ERR_ARGUMENT, "%s is %llu, expected %llu to %llu", what,
                   (unsigned long long)value, (unsigned long long)low, (unsigned long long)high);
}

static enum weir_status check_options(const struct weir_engine_options *options,
                                      struct weir_error *err)
{
    enum weir_status status;
    TRY(check_range("the number of threads", options->threads, 0, THREADS_MAX, err));
    TRY(check_range("the number of sessions", options->sessions_max, 1, SESSIONS_MAX, err));
    TRY(check_range("the number of rows of a step", options->step_rows_max, 1, STEP_ROWS_MAX, err));
    TRY(check_range("the context", options->context, 0, 1u << 30, err));
    TRY(check_range("the number of rows of logits", options->logits_rows_max, 1,
                    options->step_rows_max, err));
    TRY(check_range("the choice of loading", options->load, 0, WEIR_LOAD_READ, err));
    TRY(check_range("the type of cached keys", options->cache_k, 0, WEIR_CACHE_Q4_0, err));
    TRY(check_range("the type of cached values", options->cache_v, 0, WEIR_CACHE_Q4_0, err));
    TRY(check_range("the choice of binding", options->bind, 0, WEIR_OFF, err));
    TRY(check_range("the choice of fusion", options->fuse, 0, WEIR_OFF, err));
    TRY(check_range("the choice of the delta rule", options->fused_gdn, 0, WEIR_OFF, err));
    TRY(check_range("the number of tokens to go back", options->rewind_max, 0, WEIR_REWIND_MAX,
                    err));
    if (options->rewind_max > 0 && options->fused_gdn == WEIR_OFF)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "sessions cannot go back with the delta rule unfused: expected one or the "
                       "other");
    TRY(check_range("the choice of collecting", options->collect, 0, WEIR_COLLECT_ALL, err));
    TRY(check_range("the RoPE scaling", options->rope_scaling, 0, WEIR_ROPE_SCALING_YARN, err));
    const bool is_bad_rope = !(options->rope_factor >= 0 && options->rope_base >= 0) ||
                             isinf(options->rope_factor) || isinf(options->rope_base);
    if (is_bad_rope)
        status =
            err_set(err, WEIR_ERR_ARGUMENT, "RoPE factor and base must be finite and positive");
out:
    return status;
}

/* What the caller says about RoPE replaces what the file says. */
static void apply_rope_options(struct rope_config *rope, const struct weir_engine_options *options)
{
    static const enum rope_scaling scalings[] = {
        [WEIR_ROPE_SCALING_NONE] = ROPE_NONE,
        [WEIR_ROPE_SCALING_LINEAR] = ROPE_LINEAR,
        [WEIR_ROPE_SCALING_YARN] = ROPE_YARN,
    };
    if (options->rope_scaling != WEIR_ROPE_SCALING_MODEL)
        rope->scaling = scalings[options->rope_scaling];
    if (options->rope_factor > 0)
        rope->factor = options->rope_factor;
    if (options->rope_base > 0)
        rope->base = options->rope_base;
    if (options->rope_original > 0)
        rope->original = options->rope_original;
    if (rope->scaling == ROPE_NONE)
        rope->factor = 1;
}

_Static_assert((int)WEIR_COLLECT_NOTHING == COLLECT_NOTHING &&
                   (int)WEIR_COLLECT_BLOCKS == COLLECT_BLOCKS &&
                   (int)WEIR_COLLECT_ALL == COLLECT_ALL,
               "one is converted to the other");

static enum dtype cache_dtype(enum weir_cache_type type)
{
    static const uint8_t dtypes[] = {
        [WEIR_CACHE_F32] = DTYPE_F32,   [WEIR_CACHE_F16] = DTYPE_F16,
        [WEIR_CACHE_BF16] = DTYPE_BF16, [WEIR_CACHE_Q8_0] = DTYPE_Q8_0,
        [WEIR_CACHE_Q5_1] = DTYPE_Q5_1, [WEIR_CACHE_Q5_0] = DTYPE_Q5_0,
        [WEIR_CACHE_Q4_1] = DTYPE_Q4_1, [WEIR_CACHE_Q4_0] = DTYPE_Q4_0,
    };
    return dtypes[type];
}

/* The rows of a cache are heads one after the other, whole blocks each. */
static enum weir_status check_cache(const char *path, uint32_t head_width, enum dtype dtype,
                                    struct weir_error *err)
{
    const struct dtype_info *info = dtype_info(dtype);
    if (head_width % info->block == 0)
        return WEIR_OK;
    return err_set(err, WEIR_ERR_UNSUPPORTED,
                   "%s: heads have a width of %u, expected a multiple of %u for a cache of type %s",
                   path, head_width, info->block, info->name);
}

static void mark_used(const struct plan *plan, bool *used)
{
    for (uint32_t i = 0; plan != NULL && i < plan->buf_count; i++) {
        if (plan->bufs[i].kind == BUF_WEIGHT)
            used[plan->bufs[i].source] = true;
    }
}

/* Vectors stay as they are in the file, and what is a matrix for some ops alone. */
static void drop_vectors(const struct plan *plan, uint64_t *held)
{
    for (uint32_t i = 0; plan != NULL && i < plan->op_count; i++) {
        const struct op *op = &plan->ops[i];
        for (uint32_t j = 0; !op_reads_matrices(op) && j < op_operands(op); j++) {
            const struct buf *buf = plan_buf(plan, op->operand[j]);
            if (buf->kind == BUF_WEIGHT)
                held[buf->source] = 0;
        }
    }
}

/* The matrices that the backend wants in a form of its own. */
static void find_held(struct blueprint *blueprint)
{
    const struct backend *backend = blueprint->backend;
    for (uint32_t i = 0; backend->held_bytes != NULL && i < blueprint->weights.count; i++) {
        const struct weight *w = &blueprint->weights.list[i];
        if (blueprint->used[i])
            blueprint->held[i] = w->experts * backend->held_bytes(w->dtype, w->rows, w->width);
    }
    drop_vectors(blueprint->plan, blueprint->held);
    drop_vectors(blueprint->mtp, blueprint->held);
}

/* A packed matrix begins with its first rows, so a part of it is one too, in whole units. */
static uint32_t mtp_vocab(const struct config *config, const struct weir_engine_options *options)
{
    const uint32_t asked = options->mtp_vocab, unit = BACKEND_ROWS_UNIT;
    const uint32_t missing = (unit - asked % unit) % unit;
    const bool is_part = asked > 0 && asked < config->vocab && missing < config->vocab - asked;
    return is_part ? asked + missing : config->vocab;
}

static enum weir_status build_plans(struct blueprint *blueprint, const char *path,
                                    const struct weir_engine_options *options,
                                    struct weir_error *err)
{
    const struct config *config = &blueprint->config;
    const struct weights *weights = &blueprint->weights;
    enum weir_status status;
    blueprint->rewind = options->rewind_max;
    const struct plan_choices choices = {
        .cache_k = cache_dtype(options->cache_k),
        .cache_v = cache_dtype(options->cache_v),
        .fuse = (options->fused_gdn != WEIR_OFF ? FUSE_DELTA_RULE : 0u) |
                (options->fuse != WEIR_OFF ? FUSE_OTHERS : 0u),
        .hidden = options->mtp,
        .collect = (enum collect)options->collect,
        .rewind = options->rewind_max,
        .mtp_vocab = mtp_vocab(config, options),
    };
    if (options->mtp && config->blocks == config->layers)
        return err_set(err, WEIR_ERR_UNSUPPORTED,
                       "%s: has no block of multi-token prediction, expected "
                       "nextn_predict_layers 1",
                       path);
    TRY(check_cache(path, config->head_width, choices.cache_k, err));
    TRY(check_cache(path, config->head_width, choices.cache_v, err));
    TRY(network_plan(&blueprint->plan, config, weights, &choices, err));
    if (options->mtp)
        TRY(network_mtp_plan(&blueprint->mtp, config, weights, &choices, err));
    blueprint->used = mem_alloc(weights->count, sizeof *blueprint->used, err);
    blueprint->held = mem_alloc(weights->count, sizeof *blueprint->held, err);
    if (blueprint->used == NULL || blueprint->held == NULL)
        return WEIR_ERR_MEMORY;
    mark_used(blueprint->plan, blueprint->used);
    mark_used(blueprint->mtp, blueprint->used);
    if (!options->no_repack)
        find_held(blueprint);
out:
    return status;
}

/* ---- sizes ----------------------------------------------------------------------------------- */

/* Adds the bytes that a plan keeps: for a session, for each token of it, and at all. */
static void count_kept(const struct plan *plan, struct weir_memory *memory)
{
    for (uint32_t i = 0; plan != NULL && i < plan->buf_count; i++) {
        const struct buf *buf = &plan->bufs[i];
        const uint64_t bytes = buf->rows * buf_row_bytes(buf);
        if (buf->kind == BUF_KV)
            memory->kv_per_token += bytes;
        if (buf->kind == BUF_STATE || buf->kind == BUF_RING || buf->kind == BUF_RECORD)
            memory->state_session += bytes;
        if (buf->kind == BUF_SUM)
            memory->activations += bytes;
    }
}

/* State and KV bytes; false on overflow. */
static bool measure_state(const struct blueprint *blueprint, struct weir_memory *memory)
{
    count_kept(blueprint->plan, memory);
    count_kept(blueprint->mtp, memory);
    return size_mul(memory->kv_per_token, blueprint->limits.context, &memory->kv) &&
           size_mul(memory->kv, blueprint->limits.slots, &memory->kv) &&
           size_mul(memory->state_session, blueprint->limits.slots, &memory->state);
}

/* Adds what the backend takes to run a plan. */
static enum weir_status measure_plan(const struct blueprint *blueprint, const struct plan *plan,
                                     struct weir_memory *memory, struct weir_error *err)
{
    struct backend_needs needs;
    if (plan == NULL)
        return WEIR_OK;
    const enum weir_status status =
        blueprint->backend->measure(plan, &blueprint->limits, blueprint->threads, &needs, err);
    if (status != WEIR_OK)
        return status;
    memory->activations += needs.activations;
    memory->logits += needs.logits;
    memory->scratch += needs.scratch;
    return WEIR_OK;
}

/* All of memory, and what is no mapped file; `copied` bytes of weights are not. False on
 * overflow. */
static bool sum_memory(struct weir_memory *memory, uint64_t copied)
{
    uint64_t sum = 0;
    return size_add(sum, memory->kv, &sum) && size_add(sum, memory->state, &sum) &&
           size_add(sum, memory->activations, &sum) && size_add(sum, memory->logits, &sum) &&
           size_add(sum, memory->scratch, &sum) && size_add(sum, memory->weights, &memory->total) &&
           size_add(sum, copied, &memory->needed);
}

/* Fills blueprint->memory for the limits as they are. */
static enum weir_status measure(struct blueprint *blueprint, enum weir_load load,
                                struct weir_error *err)
{
    struct weir_memory memory = {.context = blueprint->limits.context,
                                 .weights = weights_bytes(&blueprint->weights, blueprint->used),
                                 .available = pages_available()};
    enum weir_status status;
    TRY(measure_plan(blueprint, blueprint->plan, &memory, err));
    TRY(measure_plan(blueprint, blueprint->mtp, &memory, err));
    /* the hidden rows that a step of the MTP block begins with */
    if (blueprint->mtp != NULL)
        memory.activations +=
            (uint64_t)blueprint->limits.rows * blueprint->config.width * sizeof(float);
    const uint64_t copied =
        loader_copied_bytes(&blueprint->weights, blueprint->used, blueprint->held, load);
    memory.mapped =
        loader_mapped_bytes(&blueprint->weights, blueprint->used, blueprint->held, load);
    if (!measure_state(blueprint, &memory) || !sum_memory(&memory, copied))
        return err_set(err, WEIR_ERR_MEMORY, "a context of %u tokens does not fit in 64 bits",
                       blueprint->limits.context);
    blueprint->memory = memory;
out:
    return status;
}

/* Shrinks a context that was not asked for until it fits into the free memory, or to the least. */
static enum weir_status fit_context(struct blueprint *blueprint, const struct weir_model *model,
                                    const struct weir_engine_options *options,
                                    struct weir_error *err)
{
    struct plan_limits *limits = &blueprint->limits;
    const enum weir_status status = measure(blueprint, options->load, err);
    const uint64_t available = blueprint->memory.available;
    const bool fits = available == 0 || blueprint->memory.needed <= available;
    if (status != WEIR_OK || options->context != 0 || fits || limits->context <= CONTEXT_SHRUNK_MIN)
        return status;
    const uint64_t plans = blueprint->mtp != NULL ? 2 : 1; /* each with a scratch of its own */
    const uint64_t per_token =
        limits->slots * blueprint->memory.kv_per_token + plans * blueprint->threads * sizeof(float);
    const uint64_t dropped = (blueprint->memory.needed - available) / per_token + 1;
    const uint64_t left = dropped < limits->context ? limits->context - dropped : 0;
    const uint32_t fitting = (uint32_t)(left - left % CONTEXT_STEP);
    const uint32_t shrunk = fitting > CONTEXT_SHRUNK_MIN ? fitting : CONTEXT_SHRUNK_MIN;
    model_log(model, WEIR_LOG_WARNING, "context reduced from %u to %u tokens to fit into memory",
              limits->context, shrunk);
    limits->context = shrunk;
    return measure(blueprint, options->load, err);
}

enum weir_status blueprint_check_fits(const struct blueprint *blueprint,
                                      const struct weir_engine_options *options,
                                      struct weir_error *err)
{
    const struct weir_memory *memory = &blueprint->memory;
    if (memory->available == 0 || memory->needed <= memory->available)
        return WEIR_OK;
    const bool is_packed =
        options->load == WEIR_LOAD_MAP && !options->no_repack && memory->weights > memory->mapped;
    return err_set(
        err, WEIR_ERR_MEMORY,
        "a context of %u tokens in %u session%s needs %llu MiB, %llu of them for weights, "
        "but only %llu MiB are free%s",
        memory->context, blueprint->limits.slots, blueprint->limits.slots == 1 ? "" : "s",
        (unsigned long long)(memory->needed >> 20),
        (unsigned long long)((memory->weights - memory->mapped) >> 20),
        (unsigned long long)(memory->available >> 20),
        is_packed ? "; --no-repack leaves weights in the file" : "");
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* A thread for each core if no number is asked for. Where threads have no room, they are bound only
 * to processors that are named, and share them. */
static enum weir_status place_threads(struct blueprint *blueprint,
                                      const struct weir_engine_options *options,
                                      struct weir_error *err)
{
    struct cpu_places places;
    struct cpu_set set;
    static_assert(sizeof set == sizeof options->cpus, "a bit for each processor");
    memcpy(&set, options->cpus, sizeof set);
    bool is_any = true;
    for (uint32_t i = 0; i < WEIR_CPUS_MAX / 64; i++)
        is_any = is_any && set.bits[i] == 0;
    cpu_places(&places, is_any ? NULL : &set);
    if (!is_any && options->bind == WEIR_OFF)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "processors are named for threads that are not to be bound");
    if (!is_any && places.count == 0)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "none of the processors that are named for threads may be used");
    const uint32_t cores = places.cores != 0 ? places.cores : cpu_count();
    blueprint->threads = options->threads != 0 ? options->threads : cores;
    const bool has_room = blueprint->threads > 1 && blueprint->threads <= places.count;
    if (options->bind == WEIR_OFF || (is_any && !has_room))
        return WEIR_OK;
    blueprint->cpus = mem_alloc(blueprint->threads, sizeof *blueprint->cpus, err);
    if (blueprint->cpus == NULL)
        return WEIR_ERR_MEMORY;
    for (uint32_t i = 0; i < blueprint->threads; i++)
        blueprint->cpus[i] = places.cpu[i % places.count];
    return WEIR_OK;
}

static void set_limits(struct blueprint *blueprint, const struct weir_engine_options *options)
{
    const uint32_t context = options->context != 0 ? options->context : blueprint->config.context;
    blueprint->limits = (struct plan_limits){
        .rows = options->step_rows_max,
        .outs = options->logits_rows_max,
        .seqs = options->sessions_max,
        .slots = options->sessions_max,
        .context = context,
    };
}

/* Positions that the model has never seen are allowed, but not silently. */
static void warn_of_context(const struct blueprint *blueprint, const struct weir_model *model)
{
    const struct config *config = &blueprint->config;
    const double scaling = config->rope.factor > 1 ? (double)config->rope.factor : 1;
    if (blueprint->limits.context > config->context * scaling)
        model_log(model, WEIR_LOG_WARNING,
                  "a context of %u tokens, but the model was trained for %u",
                  blueprint->limits.context, config->context);
}

enum weir_status blueprint_open(struct blueprint *out, const struct weir_model *model,
                                const struct weir_engine_options *options, struct weir_error *err)
{
    *out = (struct blueprint){0};
    enum weir_status status;
    TRY(check_options(options, err));
    TRY(find_backend(options->backend, &out->backend, err));
    TRY(config_read(&out->config, model->gguf, err));
    apply_rope_options(&out->config.rope, options);
    TRY(weights_open(&out->weights, &out->config, model->gguf, err));
    weights_narrow(&out->weights, model->gguf);
    TRY(build_plans(out, gguf_path(model->gguf), options, err));
    TRY(place_threads(out, options, err));
    set_limits(out, options);
    warn_of_context(out, model);
    TRY(fit_context(out, model, options, err));
    return WEIR_OK;
out:
    blueprint_close(out);
    return status;
}

void blueprint_close(struct blueprint *blueprint)
{
    plan_close(blueprint->plan);
    plan_close(blueprint->mtp);
    mem_free(blueprint->used);
    mem_free(blueprint->held);
    mem_free(blueprint->cpus);
    weights_close(&blueprint->weights);
    *blueprint = (struct blueprint){0};
}
