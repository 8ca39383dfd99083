/* SPDX-License-Identifier: MIT
 * The touched-byte proof: runs every op of a plan with each load and store of its operands
 * recorded, and compares the sets with what traffic.c derives from the record.
 *
 * The reference ops and the codecs of this program (weir-touched) are compiled with the
 * compiler's thread-sanitizer instrumentation, but linked with the recorder below instead of the
 * sanitizer: every memory access of theirs calls it. Run alone: build/tests/weir-touched */
#include "golden/fixture.h"
#include "golden/variants.h"

#include <stdlib.h>
#include <string.h>

#include "ref/ref.h"
#include "run/engine.h"

/* ---- recorder -------------------------------------------------------------------------------- */

/* One operand of the op that runs: where it lies, and one byte of flags for each of its bytes. */
struct watched {
    const struct host_operand *operand;
    uintptr_t first, bytes;
    bool has_gaps; /* between its elements lie those of another, whose view it is */
    uint8_t *flags;
};

enum { FLAG_READ = 1, FLAG_WRITTEN = 2 };

static struct {
    bool is_on;
    uint64_t strays; /* bytes accessed within an operand's rows that are no operand's elements */
    uint32_t count;
    struct watched at[OP_OPERANDS_MAX];
} recorder;

/* True if byte `offset` from the operand's start is one of its elements. */
static bool in_view(const struct watched *watched, uint64_t offset)
{
    const struct host_operand *operand = watched->operand;
    if (!watched->has_gaps)
        return true;
    const uint64_t column = offset % operand->pitch;
    const uint64_t width = dtype_row_bytes(operand->dtype, operand->width);
    if (operand->groups == 1)
        return column < width;
    const uint64_t stride = dtype_row_bytes(operand->dtype, operand->stride);
    return column / stride < operand->groups && column % stride < width;
}

/* The bytes of a piece of at most 64 that lie within the operand's rows, a bit for each; those of
 * its elements are flagged, and *elements has their bits. */
static uint64_t record_operand(struct watched *watched, uintptr_t first, uint64_t size,
                               uint8_t flag, uint64_t *elements)
{
    uint64_t near = 0;
    if (first + size <= watched->first || first >= watched->first + watched->bytes)
        return 0;
    for (uint64_t b = 0; b < size; b++) {
        const uintptr_t offset = first + b - watched->first; /* before it: beyond all its bytes */
        if (offset >= watched->bytes)
            continue;
        near |= UINT64_C(1) << b;
        if (in_view(watched, offset)) {
            *elements |= UINT64_C(1) << b;
            watched->flags[offset] |= flag;
        }
    }
    return near;
}

static void record(const void *address, uint64_t size, uint8_t flag)
{
    uintptr_t first = (uintptr_t)address;
    while (recorder.is_on && size > 0) {
        const uint64_t piece = size < 64 ? size : 64;
        uint64_t near = 0, elements = 0;
        for (uint32_t i = 0; i < recorder.count; i++)
            near |= record_operand(&recorder.at[i], first, piece, flag, &elements);
        recorder.strays += (uint64_t)__builtin_popcountll(near & ~elements);
        first += piece;
        size -= piece;
    }
}

/* What the instrumentation calls. The names are the compilers'. */
#define RECORD_ACCESS(size)                                                                        \
    void __tsan_read##size(void *address);                                                         \
    void __tsan_write##size(void *address);                                                        \
    void __tsan_unaligned_read##size(void *address);                                               \
    void __tsan_unaligned_write##size(void *address);                                              \
    void __tsan_read##size(void *address)                                                          \
    {                                                                                              \
        record(address, size, FLAG_READ);                                                          \
    }                                                                                              \
    void __tsan_write##size(void *address)                                                         \
    {                                                                                              \
        record(address, size, FLAG_WRITTEN);                                                       \
    }                                                                                              \
    void __tsan_unaligned_read##size(void *address)                                                \
    {                                                                                              \
        record(address, size, FLAG_READ);                                                          \
    }                                                                                              \
    void __tsan_unaligned_write##size(void *address)                                               \
    {                                                                                              \
        record(address, size, FLAG_WRITTEN);                                                       \
    }
RECORD_ACCESS(1)
RECORD_ACCESS(2)
RECORD_ACCESS(4)
RECORD_ACCESS(8)
RECORD_ACCESS(16)

void __tsan_init(void);
void __tsan_func_entry(void *caller);
void __tsan_func_exit(void);
void __tsan_read_range(void *address, uint64_t size);
void __tsan_write_range(void *address, uint64_t size);
uint32_t __tsan_atomic32_load(const volatile uint32_t *address, int order);
void __tsan_atomic32_store(volatile uint32_t *address, uint32_t value, int order);
void *__tsan_memcpy(void *to, const void *from, uint64_t size);
void *__tsan_memset(void *to, int value, uint64_t size);
void *__wrap_memcpy(void *to, const void *from, size_t size);
void *__real_memcpy(void *to, const void *from, size_t size);
void *__wrap_memset(void *to, int value, size_t size);
void *__real_memset(void *to, int value, size_t size);

void __tsan_init(void)
{
}

void __tsan_func_entry(void *caller)
{
    (void)caller;
}

void __tsan_func_exit(void)
{
}

void __tsan_read_range(void *address, uint64_t size)
{
    record(address, size, FLAG_READ);
}

void __tsan_write_range(void *address, uint64_t size)
{
    record(address, size, FLAG_WRITTEN);
}

/* Of the flag that ends a step, no operand: one thread, so plain accesses will do. */
uint32_t __tsan_atomic32_load(const volatile uint32_t *address, int order)
{
    (void)order;
    return *address;
}

void __tsan_atomic32_store(volatile uint32_t *address, uint32_t value, int order)
{
    (void)order;
    *address = value;
}

void *__wrap_memcpy(void *to, const void *from, size_t size)
{
    record(from, size, FLAG_READ);
    record(to, size, FLAG_WRITTEN);
    return __real_memcpy(to, from, size);
}

void *__wrap_memset(void *to, int value, size_t size)
{
    record(to, size, FLAG_WRITTEN);
    return __real_memset(to, value, size);
}

void *__tsan_memcpy(void *to, const void *from, uint64_t size)
{
    return __wrap_memcpy(to, from, (size_t)size);
}

void *__tsan_memset(void *to, int value, uint64_t size)
{
    return __wrap_memset(to, value, (size_t)size);
}

/* ---- one op ---------------------------------------------------------------------------------- */

static uint64_t operand_bytes(const struct host_operand *operand, uint32_t slots)
{
    return operand->slot_bytes != 0 ? operand->slot_bytes * slots : operand->rows * operand->pitch;
}

static void watch(const struct ref_call *call, uint32_t operands, uint32_t slots)
{
    recorder.count = operands;
    for (uint32_t i = 0; i < operands; i++) {
        struct watched *watched = &recorder.at[i];
        const struct host_operand *operand = &call->at[i];
        const uint64_t elements = (uint64_t)operand->groups * operand->width;
        watched->operand = operand;
        watched->first = (uintptr_t)operand->data;
        watched->bytes = operand_bytes(operand, slots);
        watched->has_gaps = dtype_row_bytes(operand->dtype, elements) != operand->pitch;
        watched->flags = calloc(1, watched->bytes + 1);
        CHECK(watched->flags != NULL);
    }
}

static uint64_t count_flag(const struct watched *watched, uint8_t flag)
{
    uint64_t count = 0;
    for (uint64_t i = 0; i < watched->bytes; i++)
        count += (watched->flags[i] & flag) != 0;
    return count;
}

/* An op may read back what it has just written (a sum it goes on with): such reads are of its own
 * making and no traffic, so they do not count for operands that are only written. */
static void compare(const struct plan *plan, const struct op *op, uint32_t i,
                    const struct step *step, const struct plan_limits *limits)
{
    const struct watched *watched = &recorder.at[i];
    const struct operand_traffic derived = op_operand_traffic(plan, op, i, step, limits);
    const char letter = op_info(op->kind)->operands[i];
    const uint64_t read = letter == 'y' || letter == 't' ? 0 : count_flag(watched, FLAG_READ);
    const uint64_t written = count_flag(watched, FLAG_WRITTEN);
    if (read != derived.read || written != derived.written)
        test_fail(
            __FILE__, __LINE__,
            "op %s (%s), operand %u (%c): touched %llu read, %llu written; derived %llu, %llu",
            op_info(op->kind)->name, plan->roles[op->role], i, letter, (unsigned long long)read,
            (unsigned long long)written, (unsigned long long)derived.read,
            (unsigned long long)derived.written);
}

/* How many experts the rows of an op that routes have chosen. */
static uint32_t count_chosen(const struct host_operand *routing)
{
    uint32_t count = 0;
    for (uint64_t i = 0; i < routing->rows * routing->width; i++) {
        const int32_t *chosen = (const int32_t *)(const void *)routing->data;
        uint64_t before = 0;
        while (chosen[before] != chosen[i])
            before++;
        count += before == i;
    }
    return count;
}

/* A prepared plan. */
struct proof {
    const struct plan *plan;
    const struct exec *exec;
    const struct plan_limits *limits;
    bool has_records;
};

/* Runs a step op by op; every operand of every op is compared. Returns the number of ops. */
static uint32_t prove_step(const struct proof *proof, const struct step *shape)
{
    enum { LAYERS_MAX = 8 };
    uint32_t experts[LAYERS_MAX] = {0}; /* chosen, as soon as the layer's routing has run */
    struct step step = *shape;
    step.experts = experts;
    for (uint32_t n = 0; n < proof->plan->op_count; n++) {
        struct ref_call call;
        ref_resolve(proof->exec, n, &step, &call);
        const uint32_t operands = op_operands(call.op);
        watch(&call, operands, proof->limits->slots);
        recorder.is_on = true;
        ref_run_op(&call);
        recorder.is_on = false;
        CHECK_INT(recorder.strays, 0);
        if (call.op->kind == OP_ROUTE) {
            CHECK(call.op->layer < LAYERS_MAX && call.at[1].pitch == call.at[1].width * 4);
            experts[call.op->layer] = count_chosen(&call.at[1]);
        }
        for (uint32_t i = 0; i < operands; i++)
            compare(proof->plan, call.op, i, &step, proof->limits);
        for (uint32_t i = 0; i < operands; i++)
            free(recorder.at[i].flags);
    }
    return proof->plan->op_count;
}

/* ---- steps ----------------------------------------------------------------------------------- */

enum { ROWS_MAX = 8, SEQUENCES_MAX = 3 };

/* A prompt; one token; two sequences of unlike length, one of them new; a prompt that fills a ring,
 * a token and a verification in one; a token of each of three; two that want no logits. */
static const struct shape {
    uint32_t seqs, rows, outs;
    struct step_seq seq[SEQUENCES_MAX]; /* slot, cached, row_first, rows, pending, settle */
    uint32_t out_row[ROWS_MAX];
} shapes[] = {
    {1, 5, 1, {{1, 0, 0, 5}}, {4}},
    {1, 1, 1, {{1, 5, 0, 1}}, {0}},
    {2, 5, 2, {{1, 6, 0, 2}, {0, 0, 2, 3}}, {1, 4}},
    {3, 8, 4, {{2, 0, 0, 4}, {0, 3, 4, 1}, {1, 8, 5, 3}}, {4, 5, 6, 7}},
    {3, 3, 3, {{1, 11, 0, 1}, {2, 4, 1, 1}, {0, 4, 2, 1}}, {0, 1, 2}},
    {2, 3, 0, {{0, 5, 0, 2}, {2, 5, 2, 1}}, {0}},
    /* of plans with records: a verification, a chain of drafts, and one, none, and two that are
     * applied to a state that is to be kept beside one that is not */
    {1, 5, 5, {{1, 6, 0, 5, 4, 3, true}}, {0, 1, 2, 3, 4}},
    {1, 1, 1, {{0, 9, 0, 1, 3, 0, true}}, {0}},
    {3, 7, 1, {{2, 5, 0, 3, 0, 0, true}, {0, 7, 3, 2, 2, 2, false}, {1, 8, 5, 2, 2, 2, true}}, {6}},
};

enum { SHAPES = sizeof shapes / sizeof shapes[0], SHAPES_PLAIN = SHAPES - 3 };

static void prove_plan(const struct proof *proof, const float *hidden)
{
    static const int32_t token[ROWS_MAX] = {5, 17, 29, 41, 53, 65, 77, 89};
    uint32_t ops = 0;
    for (int i = 0; i < (proof->has_records ? SHAPES : SHAPES_PLAIN); i++) {
        const struct step step = {.rows = shapes[i].rows,
                                  .token = token,
                                  .seqs = shapes[i].seqs,
                                  .seq = shapes[i].seq,
                                  .outs = shapes[i].outs,
                                  .out_row = shapes[i].out_row,
                                  .hidden = hidden};
        ops += prove_step(proof, &step);
    }
    CHECK(ops > 90);
}

/* The plan of the model and, if the engine has it, that of the MTP block. */
static void prove_model(const char *path, const struct weir_engine_options *options)
{
    struct fixture fixture;
    fixture_open(&fixture, path, options);
    const struct weir_engine *engine = fixture.engine;
    const struct blueprint *blueprint = &engine->blueprint;
    float *hidden = calloc(ROWS_MAX * (size_t)blueprint->config.width, sizeof *hidden);
    CHECK(hidden != NULL);
    for (size_t i = 0; i < ROWS_MAX * (size_t)blueprint->config.width; i++)
        hidden[i] = (float)(i % 7) - 3;
    const struct plan_limits *limits = &blueprint->limits;
    const bool has_records = options->rewind_max > 0;
    prove_plan(&(struct proof){blueprint->plan, engine->exec, limits, has_records}, NULL);
    if (options->mtp)
        prove_plan(&(struct proof){blueprint->mtp, engine->mtp_exec, limits, false}, hidden);
    free(hidden);
    fixture_close(&fixture);
}

static void proof_options(struct weir_engine_options *options)
{
    fixture_options(options);
    options->threads = 1;
    options->context = 16;
    options->sessions_max = SEQUENCES_MAX;
}

/* ---- plans ----------------------------------------------------------------------------------- */

/* What is done with a model and the options of its plan. */
typedef void model_fn(const char *path, const struct weir_engine_options *options);

/* Which of the four ways to rewrite the plan: bit 0 is the fusing of the state's ops, bit 1 that of
 * all others. */
enum rewrites { REWRITES_ALL = 1, REWRITES_NONE_AND_BOTH = 3 };

static void each_rewrite(model_fn *fn, const char *path, const struct weir_engine_options *options,
                         enum rewrites rewrites)
{
    struct weir_engine_options rewritten = *options;
    for (unsigned i = 0; i < 4; i += rewrites) {
        rewritten.fused_gdn = i & 1 ? WEIR_ON : WEIR_OFF;
        rewritten.fuse = i & 2 ? WEIR_ON : WEIR_OFF;
        fn(path, &rewritten);
    }
}

static void each_plan(model_fn *fn, const char *path, enum weir_cache_type cache, bool mtp,
                      enum rewrites rewrites)
{
    struct weir_engine_options options;
    proof_options(&options);
    options.mtp = mtp;
    options.cache_k = options.cache_v = cache;
    each_rewrite(fn, path, &options, rewrites);
}

static void each_dense(model_fn *fn)
{
    each_plan(fn, test_data("golden/nano-f32.gguf"), WEIR_CACHE_F16, true, REWRITES_ALL);
    each_plan(fn, test_data("golden/nano-q4_0.gguf"), WEIR_CACHE_F32, false,
              REWRITES_NONE_AND_BOTH);
    each_plan(fn, test_data("golden/nano-q8_0.gguf"), WEIR_CACHE_F32, false,
              REWRITES_NONE_AND_BOTH);
}

static void each_cache(model_fn *fn)
{
    struct weir_engine_options options;
    proof_options(&options);
    for (int type = WEIR_CACHE_BF16; type <= WEIR_CACHE_Q4_0; type++) {
        options.cache_k = options.cache_v = (enum weir_cache_type)type;
        fn(test_data("golden/nano-f32.gguf"), &options);
    }
}

static void each_with_experts(model_fn *fn)
{
    each_plan(fn, test_data("golden/nanomoe-f32.gguf"), WEIR_CACHE_F16, true, REWRITES_ALL);
    each_plan(fn, test_data("golden/nanomoe-q4_0.gguf"), WEIR_CACHE_F32, false,
              REWRITES_NONE_AND_BOTH);
}

static void each_layout(model_fn *fn)
{
    each_plan(fn, variant_next(VARIANT_SPLIT), WEIR_CACHE_F32, false, REWRITES_NONE_AND_BOTH);
    each_plan(fn, variant_next(VARIANT_LEGACY), WEIR_CACHE_F16, false, REWRITES_NONE_AND_BOTH);
    each_plan(fn, variant_gate_up(test_data("golden/nanomoe-f32.gguf")), WEIR_CACHE_F32, true,
              REWRITES_NONE_AND_BOTH);
    each_plan(fn, variant_scaled(test_data("golden/nanomoe-f32.gguf"), DTYPE_F32), WEIR_CACHE_F32,
              true, REWRITES_NONE_AND_BOTH);
}

/* Sums are about the rows of all sequences. */
static void each_collecting(model_fn *fn)
{
    struct weir_engine_options options;
    proof_options(&options);
    options.collect = WEIR_COLLECT_ALL;
    options.mtp = true;
    each_rewrite(fn, test_data("golden/nano-f32.gguf"), &options, REWRITES_NONE_AND_BOTH);
    each_rewrite(fn, test_data("golden/nanomoe-f32.gguf"), &options, REWRITES_NONE_AND_BOTH);
}

static void each_recording(model_fn *fn)
{
    struct weir_engine_options options;
    proof_options(&options);
    options.rewind_max = 5;
    fn(test_data("golden/nano-f32.gguf"), &options);
    fn(variant_next(VARIANT_SPLIT), &options);
}

/* ---- tests ----------------------------------------------------------------------------------- */

TEST(touched_bytes_of_dense_plans)
{
    each_dense(prove_model);
}

TEST(touched_bytes_of_smaller_caches)
{
    each_cache(prove_model);
}

TEST(touched_bytes_of_experts)
{
    each_with_experts(prove_model);
}

TEST(touched_bytes_of_other_layouts)
{
    each_layout(prove_model);
}

TEST(touched_bytes_of_collecting_plans)
{
    each_collecting(prove_model);
}

TEST(touched_bytes_of_records)
{
    each_recording(prove_model);
}

static bool is_proved[OP_COUNT];

static void mark_plan(const struct plan *plan)
{
    for (uint32_t i = 0; plan != NULL && i < plan->op_count; i++)
        is_proved[plan->ops[i].kind] = true;
}

static void mark_ops(const char *path, const struct weir_engine_options *options)
{
    struct weir_error err = {0};
    struct weir_model *model;
    struct blueprint blueprint;
    CHECK_OK(weir_model_open(&model, path, NULL, &err), &err);
    CHECK_OK(blueprint_open(&blueprint, model, options, &err), &err);
    mark_plan(blueprint.plan);
    mark_plan(blueprint.mtp);
    blueprint_close(&blueprint);
    weir_model_close(model);
}

TEST(touched_bytes_are_those_of_every_op)
{
    static void (*const groups[])(model_fn * fn) = {each_dense,  each_cache,      each_with_experts,
                                                    each_layout, each_collecting, each_recording};
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++)
        groups[i](mark_ops);
    for (int kind = 0; kind < OP_COUNT; kind++) {
        if (!is_proved[kind])
            test_fail(__FILE__, __LINE__, "no plan of these tests has %s",
                      op_info((enum op_kind)kind)->name);
    }
}
