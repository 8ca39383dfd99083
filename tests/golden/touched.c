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
    const uint8_t *first;
    uint64_t bytes;
    uint8_t *flags;
};

enum { FLAG_READ = 1, FLAG_WRITTEN = 2 };

static struct {
    bool is_on;
    uint64_t strays; /* bytes accessed within an operand's rows that are no operand's elements */
    uint32_t count;
    struct watched at[OP_OPERANDS_MAX];
} recorder;

/* True if byte `offset` from the operand's start is one of its elements: a view has gaps. */
static bool in_view(const struct host_operand *operand, uint64_t offset)
{
    const uint64_t column = offset % operand->pitch;
    const uint64_t width = dtype_row_bytes(operand->dtype, operand->width);
    if (operand->groups == 1)
        return column < width;
    const uint64_t stride = dtype_row_bytes(operand->dtype, operand->stride);
    return column / stride < operand->groups && column % stride < width;
}

static void record(const void *address, uint64_t size, uint8_t flag)
{
    const uint8_t *first = address;
    for (uint64_t b = 0; recorder.is_on && b < size; b++) {
        bool is_near = false, is_element = false;
        for (uint32_t i = 0; i < recorder.count; i++) {
            struct watched *watched = &recorder.at[i];
            const uint64_t offset = (uint64_t)(first + b - watched->first);
            if (first + b < watched->first || offset >= watched->bytes)
                continue;
            is_near = true;
            if (in_view(watched->operand, offset)) {
                is_element = true;
                watched->flags[offset] |= flag;
            }
        }
        recorder.strays += is_near && !is_element;
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
        watched->operand = &call->at[i];
        watched->first = call->at[i].data;
        watched->bytes = operand_bytes(&call->at[i], slots);
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

/* Four steps: a prompt; one token; two sequences of unlike length, one of them new; a step that
 * wants no logits. Of the plan of the model and, if the engine has it, that of the MTP block. */
static void prove_model(const char *path, const struct weir_engine_options *options)
{
    enum { ROWS_MAX = 5 };
    static const int32_t token[] = {5, 17, 29, 41, 53, 65, 77, 89};
    static const uint32_t out_row[] = {4}, out_rows[] = {1, 4}, first_row[] = {0};
    const struct step_seq prompt[] = {{.slot = 1, .cached = 0, .row_first = 0, .rows = 5}};
    const struct step_seq single[] = {{.slot = 1, .cached = 5, .row_first = 0, .rows = 1}};
    const struct step_seq both[] = {{.slot = 1, .cached = 6, .row_first = 0, .rows = 2},
                                    {.slot = 0, .cached = 0, .row_first = 2, .rows = 3}};
    struct step steps[] = {
        {.rows = 5, .token = token, .seqs = 1, .seq = prompt, .outs = 1, .out_row = out_row},
        {.rows = 1, .token = token, .seqs = 1, .seq = single, .outs = 1, .out_row = first_row},
        {.rows = 5, .token = token, .seqs = 2, .seq = both, .outs = 2, .out_row = out_rows},
        {.rows = 1, .token = token, .seqs = 1, .seq = single, .outs = 0, .out_row = NULL},
    };
    struct fixture fixture;
    fixture_open(&fixture, path, options);
    const struct weir_engine *engine = fixture.engine;
    const struct blueprint *blueprint = &engine->blueprint;
    float *hidden = calloc(ROWS_MAX * (size_t)blueprint->config.width, sizeof *hidden);
    CHECK(hidden != NULL);
    for (size_t i = 0; i < ROWS_MAX * (size_t)blueprint->config.width; i++)
        hidden[i] = (float)(i % 7) - 3;
    uint32_t ops = 0;
    for (int mtp = 0; mtp <= options->mtp; mtp++) {
        const struct proof proof = {mtp ? blueprint->mtp : blueprint->plan,
                                    mtp ? engine->mtp_exec : engine->exec, &blueprint->limits};
        for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
            steps[i].hidden = mtp ? hidden : NULL;
            ops += prove_step(&proof, &steps[i]);
        }
    }
    CHECK(ops > 100);
    free(hidden);
    fixture_close(&fixture);
}

static void prove_options(const char *path, enum weir_switch fuse, enum weir_cache_type cache,
                          bool mtp)
{
    struct weir_engine_options options;
    fixture_options(&options);
    options.threads = 1;
    options.context = 16;
    options.sessions_max = 2;
    options.mtp = mtp;
    options.fuse = options.fused_gdn = fuse;
    options.cache_k = options.cache_v = cache;
    prove_model(path, &options);
}

TEST(touched_bytes_of_fused_plans)
{
    prove_options(test_data("golden/nano-f32.gguf"), WEIR_ON, WEIR_CACHE_F32, true);
    prove_options(test_data("golden/nano-q4_0.gguf"), WEIR_ON, WEIR_CACHE_F16, false);
}

TEST(touched_bytes_of_unfused_plans)
{
    prove_options(test_data("golden/nano-f32.gguf"), WEIR_OFF, WEIR_CACHE_F16, true);
    prove_options(test_data("golden/nano-q8_0.gguf"), WEIR_OFF, WEIR_CACHE_F32, false);
}

TEST(touched_bytes_of_smaller_caches)
{
    for (int type = WEIR_CACHE_BF16; type <= WEIR_CACHE_Q4_0; type++)
        prove_options(test_data("golden/nano-f32.gguf"), WEIR_ON, (enum weir_cache_type)type,
                      false);
}

TEST(touched_bytes_of_experts)
{
    prove_options(test_data("golden/nanomoe-f32.gguf"), WEIR_ON, WEIR_CACHE_F16, true);
    prove_options(test_data("golden/nanomoe-f32.gguf"), WEIR_OFF, WEIR_CACHE_F32, true);
    prove_options(test_data("golden/nanomoe-q4_0.gguf"), WEIR_ON, WEIR_CACHE_F32, false);
}

TEST(touched_bytes_of_other_layouts)
{
    prove_options(variant_next(VARIANT_SPLIT), WEIR_ON, WEIR_CACHE_F32, false);
    prove_options(variant_next(VARIANT_LEGACY), WEIR_ON, WEIR_CACHE_F32, false);
    prove_options(variant_next(VARIANT_LEGACY), WEIR_OFF, WEIR_CACHE_F16, false);
    prove_options(variant_gate_up(test_data("golden/nanomoe-f32.gguf")), WEIR_ON, WEIR_CACHE_F32,
                  true);
    prove_options(variant_scaled(test_data("golden/nanomoe-f32.gguf"), DTYPE_F32), WEIR_ON,
                  WEIR_CACHE_F32, true);
}
