/* SPDX-License-Identifier: MIT
 * Makes operands, lets the reference and the kernels work on them, compares. Knows the layouts of
 * the CPU backend: packed matrices, 8 bits, states in strips. */
#include "ops/kernel_trial.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/rng.h"
#include "base/sort.h"
#include "cpu/attend.h"
#include "cpu/pack.h"
#include "cpu/scratch.h"
#include "format/codec.h"
#include "ops/tile_traps.h"
#include "plan/phases.h"
#include "quant/encode.h"
#include "ref/ref.h"

/* Bytes of a canary: as numbers they are not finite, so that who reads them gives himself away. */
enum { CANARY = 0xff, CANARY_BYTES = 256 };
/* Rows of a matrix that are encoded, and numbers that are drawn, blocks of 8 bits times a prime;
 * behind them they come again. */
enum { DISTINCT_ROWS = 19, DISTINCT_NUMBERS = 251 * QUANT_COLUMNS, SOURCE_WEIGHTS = 64 };
/* What processors have no cache for; the copies of a matrix that is timed have so many bytes. */
enum { COLD_BYTES = 256 << 20, COPIES_MAX = 64, SAMPLES = 7, SAMPLE_NS = 2000000 };

/* That share attention where it is shared. */
enum { TEAM = 5 };

/* Memory with canaries before and behind. */
struct guarded {
    uint8_t *data;
    uint64_t bytes;
};

struct operand {
    struct guarded memory;
    uint8_t *before;   /* what it holds before each run; of the same size */
    uint8_t *expected; /* what the reference leaves, if the op writes it */
    uint8_t *whole;    /* what the kernel on the whole op left */
    bool is_written;
};

struct trial {
    struct kernel_case of;
    enum dtype dtype;
    uint64_t seed;
    struct plan *plan;
    const struct op *op;
    struct step step;
    struct step_seq seqs[STEP_SEQS_MAX];
    int32_t *tokens;
    uint32_t *out_rows;
    struct plan_limits limits;
    struct operand at[OP_OPERANDS_MAX];
    uint32_t result; /* operand */
    struct guarded packed, quants, gathered, scratch, parts;
    struct attend_team team;
    struct attend_place places[TEAM];
    uint8_t *copies[COPIES_MAX];
    uint32_t copies_count;
    struct cpu_call call;
};

/* ---- memory ---------------------------------------------------------------------------------- */

static void *take(uint64_t bytes)
{
    void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (memory == NULL)
        abort();
    return memory;
}

static struct guarded guard(uint64_t bytes)
{
    uint8_t *memory = take(bytes + 2 * CANARY_BYTES);
    memset(memory, CANARY, bytes + 2 * CANARY_BYTES);
    return (struct guarded){memory + CANARY_BYTES, bytes};
}

static void unguard(struct guarded *memory)
{
    if (memory->data != NULL)
        free(memory->data - CANARY_BYTES);
}

static bool is_intact(const struct guarded *memory)
{
    if (memory->data == NULL)
        return true;
    const uint8_t *before = memory->data - CANARY_BYTES, *behind = memory->data + memory->bytes;
    for (uint64_t i = 0; i < CANARY_BYTES; i++) {
        if (before[i] != CANARY || behind[i] != CANARY)
            return false;
    }
    return true;
}

static uint8_t *copy_of(const struct guarded *memory)
{
    uint8_t *copy = take(memory->bytes);
    memcpy(copy, memory->data, memory->bytes);
    return copy;
}

/* ---- the plan -------------------------------------------------------------------------------- */

/* Activations that are read begin behind a gap and have it between their groups. */
static uint16_t add_rows(struct trial *t, uint32_t groups, uint32_t width, bool is_view)
{
    const uint32_t gap = t->of.gap;
    if (gap == 0 || !is_view)
        return plan_act(t->plan, EXTENT_ROWS, groups, width);
    const uint16_t base = plan_act(t->plan, EXTENT_ROWS, 1, gap + groups * (width + gap));
    return plan_view(t->plan, base, gap, groups, width, width + gap);
}

static uint16_t add_frequencies(struct trial *t, uint32_t count)
{
    double frequency[HEAD_WIDTH_MAX];
    for (uint32_t i = 0; i < count; i++)
        frequency[i] = pow(1e6, -(double)i / count);
    return plan_const(t->plan, frequency, count);
}

static uint16_t add_operand(struct trial *t, uint32_t i)
{
    const struct kernel_case *c = &t->of;
    struct plan *plan = t->plan;
    const uint32_t source = SOURCE_WEIGHTS + i;
    const uint32_t state_rows = c->A * c->B;
    const bool is_view = op_info(c->kind)->operands[i] == 'x';
    switch (kernel_forms(c->kind)[i].shape) {
    case SHAPE_NONE: break;
    case SHAPE_ROWS: return add_rows(t, c->G, c->W, is_view);
    case SHAPE_ROWS_FLAT: return plan_act(plan, EXTENT_ROWS, 1, c->G * c->W);
    case SHAPE_ROWS_INPUT: return add_rows(t, c->shares_input ? 1 : c->G, c->W, is_view);
    case SHAPE_ROWS_A: return plan_act(plan, EXTENT_ROWS, 1, c->A);
    case SHAPE_ROWS_A_OF_W: return add_rows(t, c->A, c->W, is_view);
    case SHAPE_ROWS_A_OF_B: return add_rows(t, c->A, c->B, is_view);
    case SHAPE_ROWS_G_OF_A: return add_rows(t, c->G, c->A, is_view);
    case SHAPE_ROWS_G: return plan_act(plan, EXTENT_ROWS, 1, c->G);
    case SHAPE_ROWS_ONE: return plan_act(plan, EXTENT_ROWS, 1, 1);
    case SHAPE_ROWS_JOINED: return plan_act(plan, EXTENT_ROWS, 1, c->G * c->W + c->A);
    case SHAPE_OUTS: return plan_act(plan, EXTENT_OUTS, 1, c->W);
    case SHAPE_ROUTING_A: return plan_routing(plan, EXTENT_ROWS, c->A);
    case SHAPE_ROUTING_G: return plan_routing(plan, EXTENT_ROWS, c->G);
    case SHAPE_VECTOR: return plan_weight(plan, "w", 0, DTYPE_F32, 1, c->W, source);
    case SHAPE_VECTOR_FLAT: return plan_weight(plan, "w", 0, DTYPE_F32, 1, c->G * c->W, source);
    case SHAPE_NUMBER: return plan_weight(plan, "w", 0, DTYPE_F32, 1, 1, source);
    case SHAPE_MATRIX: return plan_weight(plan, "w", 0, t->dtype, c->A, c->W, source);
    case SHAPE_TAPS: return plan_weight(plan, "w", 0, DTYPE_F32, c->W, c->A, source);
    case SHAPE_EXPERTS: return plan_experts(plan, "w", 0, t->dtype, c->B, c->A, c->W, source);
    case SHAPE_SCALES: return plan_experts(plan, "w", 0, DTYPE_F32, c->B, 1, 1, source);
    case SHAPE_FREQUENCIES: return add_frequencies(t, c->A);
    case SHAPE_STATE: return plan_state(plan, "s", 0, state_rows, c->W);
    case SHAPE_STATE_COPY: return plan_state_copy(plan, plan_state(plan, "s", 0, state_rows, c->W));
    case SHAPE_RING: return plan_ring(plan, "r", 0, c->A - 1, c->rewind, c->W);
    case SHAPE_RECORDS: return plan_records(plan, "r", 0, STEP_REWIND, c->A, c->W, c->B);
    case SHAPE_CACHE: return plan_kv(plan, "c", 0, t->dtype, c->G, c->W);
    case SHAPE_SUMS: return plan_sum(plan, "a", 0, 1, c->G * c->W, source);
    case SHAPE_EXPERT_SUMS: return plan_sum(plan, "a", 0, c->B, c->W, source);
    }
    return BUF_NONE;
}

static void make_plan(struct trial *t)
{
    struct weir_error err = {0};
    struct op_spec spec = {.kind = t->of.kind,
                           .role = "trial",
                           .layer = 0,
                           .eps = 1e-6f,
                           .scale = 0.3f,
                           .head_map = t->of.head_map};
    const char *letters = op_info(t->of.kind)->operands;
    if (plan_open(&t->plan, &err) != WEIR_OK)
        abort();
    for (uint32_t i = 0; letters[i] != 0; i++)
        spec.operand[i] = add_operand(t, i);
    plan_op(t->plan, &spec);
    if (t->plan->status != WEIR_OK)
        abort();
    t->op = &t->plan->ops[0];
    t->result = op_result(t->plan, t->op);
}

static void make_step(struct trial *t)
{
    const struct step_shape_info *info = kernel_case_step(&t->of);
    uint32_t context = 0;
    memcpy(t->seqs, info->seq, sizeof t->seqs);
    for (uint32_t i = 0; i < info->seqs; i++) {
        const uint32_t end = t->seqs[i].cached + t->seqs[i].rows;
        context = end > context ? end : context;
    }
    t->tokens = take(info->rows * sizeof *t->tokens);
    t->out_rows = take(info->rows * sizeof *t->out_rows);
    for (uint32_t i = 0; i < info->rows; i++)
        t->tokens[i] = (int32_t)(rng_bits(t->seed, 100, i) % (t->of.A == 0 ? 1 : t->of.A));
    t->step = (struct step){.rows = info->rows,
                            .token = t->tokens,
                            .seqs = info->seqs,
                            .seq = t->seqs,
                            .out_row = t->out_rows};
    for (uint32_t i = 0; i < info->rows; i += 1 + i % 2) /* some and not others */
        t->out_rows[t->step.outs++] = i;
    t->limits = (struct plan_limits){.rows = info->rows,
                                     .outs = info->rows,
                                     .seqs = info->seqs,
                                     .slots = STEP_SLOTS,
                                     .context = context};
}

/* ---- what operands begin with ---------------------------------------------------------------- */

/* Numbers of which 8 bits lose nothing: in each 32 of them one has the largest code. */
static float number_of_bytes(const struct trial *t, uint32_t stream, uint64_t i)
{
    const uint64_t block = i / QUANT_COLUMNS, bits = rng_bits(t->seed, stream, i);
    const int code = i % QUANT_COLUMNS == block % QUANT_COLUMNS ? 127 : (int)(bits % 255) - 127;
    return ldexpf((float)code, (int)(rng_bits(t->seed, stream + 50, block) % 4) - 8);
}

static void fill_numbers(const struct trial *t, uint32_t operand, float *x, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        if (i >= DISTINCT_NUMBERS) {
            x[i] = x[i - DISTINCT_NUMBERS];
            continue;
        }
        const double normal = rng_normal(t->seed, operand, i);
        switch (kernel_forms(t->of.kind)[operand].fill) {
        case FILL_KEYS:
        case FILL_NORMAL: x[i] = (float)normal; break;
        case FILL_BYTES:
            x[i] = t->of.is_fine ? (float)normal : number_of_bytes(t, operand, i);
            break;
        case FILL_DECAY: x[i] = (float)(-normal * normal / 4); break;
        case FILL_SHARE: x[i] = (float)rng_uniform(t->seed, operand, i); break;
        }
    }
}

/* Groups of length 1, as the rule's keys and queries are. */
static void normalize_groups(const struct trial *t, const struct buf *buf, uint8_t *rows)
{
    for (uint64_t row = 0; row < t->step.rows; row++) {
        for (uint32_t group = 0; group < buf->groups; group++) {
            float *x = (float *)(void *)(rows + row * buf_row_bytes(&t->plan->bufs[buf->base])) +
                       buf->offset + (uint64_t)group * buf->stride;
            double squares = 1e-6;
            for (uint32_t i = 0; i < buf->width; i++)
                squares += (double)x[i] * x[i];
            for (uint32_t i = 0; i < buf->width; i++)
                x[i] = (float)(x[i] / sqrt(squares));
        }
    }
}

/* Rows of different experts, in an order of their own. */
static void fill_routing(const struct trial *t, int32_t *routing)
{
    for (uint32_t row = 0; row < t->step.rows; row++) {
        const uint64_t first = rng_bits(t->seed, 101, row);
        const uint32_t experts = t->of.B;
        for (uint32_t j = 0; j < t->of.G; j++)
            routing[row * t->of.G + j] = (int32_t)((first + (uint64_t)j * (experts - 1)) % experts);
    }
}

static void fill_matrix(const struct trial *t, const struct buf *buf, uint8_t *rows)
{
    const uint64_t row_bytes = dtype_row_bytes(buf->dtype, buf->width);
    float *values = take(buf->width * sizeof *values), *ones = take(buf->width * sizeof *ones);
    for (uint32_t i = 0; i < buf->width; i++)
        ones[i] = 1;
    for (uint32_t row = 0; row < buf->rows; row++) {
        if (row >= DISTINCT_ROWS) {
            memcpy(rows + row * row_bytes, rows + (row % DISTINCT_ROWS) * row_bytes, row_bytes);
            continue;
        }
        for (uint32_t i = 0; i < buf->width; i++)
            values[i] = (float)rng_normal(t->seed, 102, (uint64_t)row * buf->width + i);
        encode_row(buf->dtype, values, ones, rows + row * row_bytes, buf->width);
    }
    free(values);
    free(ones);
}

static void fill_cache(const struct trial *t, uint32_t operand, const struct buf *buf,
                       struct guarded *memory)
{
    const uint64_t count = memory->bytes / buf_row_bytes(buf) * buf_columns(buf);
    float *values = take(count * sizeof *values);
    fill_numbers(t, operand, values, count);
    encode_row(buf->dtype, values, NULL, memory->data, count);
    free(values);
}

static uint64_t operand_bytes(const struct trial *t, const struct buf *buf)
{
    const uint64_t row_bytes = buf_row_bytes(plan_buf(t->plan, buf->base));
    uint64_t rows = buf_rows(buf, &t->step);
    if (buf->extent == EXTENT_SLOT)
        rows *= t->limits.slots;
    if (buf->extent == EXTENT_CONTEXT)
        rows *= (uint64_t)t->limits.slots * t->limits.context;
    return rows * row_bytes;
}

static void fill_operand(struct trial *t, uint32_t i, const struct buf *buf)
{
    struct guarded *memory = &t->at[i].memory;
    const struct operand_form form = kernel_forms(t->of.kind)[i];
    if (strchr("yo", op_info(t->of.kind)->operands[i]) != NULL)
        return; /* stays as canary */
    if (buf->kind == BUF_CONST)
        memcpy(memory->data, t->plan->consts + buf->source, memory->bytes);
    else if (buf->dtype == DTYPE_I32)
        fill_routing(t, (int32_t *)(void *)memory->data);
    else if (buf->kind == BUF_KV)
        fill_cache(t, i, buf, memory);
    else if (form.shape == SHAPE_MATRIX || form.shape == SHAPE_EXPERTS)
        fill_matrix(t, buf, memory->data);
    else
        fill_numbers(t, i, (float *)(void *)memory->data, memory->bytes / sizeof(float));
    if (form.fill == FILL_KEYS)
        normalize_groups(t, buf, memory->data);
}

static void make_operands(struct trial *t)
{
    const char *letters = op_info(t->of.kind)->operands;
    for (uint32_t i = 0; letters[i] != 0; i++) {
        const struct buf *buf = plan_buf(t->plan, t->op->operand[i]);
        struct operand *operand = &t->at[i];
        const uint64_t bytes =
            buf->kind == BUF_CONST ? buf->width * sizeof(double) : operand_bytes(t, buf);
        operand->memory = guard(bytes);
        operand->is_written = letter_writes(letters[i]);
        fill_operand(t, i, buf);
        operand->before = copy_of(&operand->memory);
    }
}

/* ---- calls ----------------------------------------------------------------------------------- */

/* Operands as a plan's that was bound to this memory would be. */
static void bind_call(struct trial *t)
{
    uint8_t *address[2 * OP_OPERANDS_MAX];
    float *vectors[2 * OP_OPERANDS_MAX] = {0};
    uint64_t slot_bytes[2 * OP_OPERANDS_MAX] = {0};
    struct host_bound bound = {
        .plan = t->plan, .address = address, .slot_bytes = slot_bytes, .vectors = vectors};
    t->call = (struct cpu_call){.op = t->op, .step = &t->step};
    for (uint32_t i = 0; i < op_operands(t->op); i++) {
        const uint16_t number = t->op->operand[i];
        const struct buf *buf = plan_buf(t->plan, number);
        address[number] = t->at[i].memory.data + dtype_row_bytes(buf->dtype, buf->offset);
        if (buf->extent == EXTENT_SLOT || buf->extent == EXTENT_CONTEXT)
            slot_bytes[number] = t->at[i].memory.bytes / t->limits.slots;
        t->call.at[i] = host_operand(&bound, t->op, i, &t->step);
    }
}

static bool has_matrix(const struct trial *t)
{
    const enum operand_shape shape = kernel_forms(t->of.kind)[0].shape;
    return shape == SHAPE_MATRIX || shape == SHAPE_EXPERTS;
}

/* The operand that products multiply; 0 for other ops. */
static uint32_t multiplied(const struct trial *t)
{
    if (t->of.kind == OP_MATMUL)
        return 1;
    return t->of.kind == OP_EXPERT_MATMUL ? 2 : 0;
}

/* The matrix as the backend holds it, expert by expert, and 8 bits for what meets it. */
static void hold_matrix(struct trial *t)
{
    const struct buf *w = plan_buf(t->plan, t->op->operand[0]);
    const uint32_t rows = w->rows / w->stack;
    const uint64_t held = cpu_backend.held_bytes(w->dtype, rows, w->width);
    const uint64_t bytes = rows * dtype_row_bytes(w->dtype, w->width);
    if (held == 0)
        return;
    t->packed = guard(w->stack * held);
    for (uint32_t e = 0; e < w->stack; e++)
        cpu_backend.hold(w->dtype, t->at[0].memory.data + e * bytes, 0, rows, w->width,
                         t->packed.data + e * held);
    t->call.at[0].data = t->packed.data;
    t->call.is_packed = true;
    const uint32_t x = multiplied(t);
    if (x == 0 || !pack_has_codes(w->dtype))
        return;
    const uint32_t columns = buf_columns(plan_buf(t->plan, t->op->operand[x]));
    t->quants = guard(t->step.rows * quants_row_bytes(columns));
    t->call.quants = (struct quants){
        .codes = (int8_t *)t->quants.data, .pitch = quants_row_bytes(columns), .columns = columns};
}

/* Rows of the step by expert, as behind the routing. */
static void gather(const struct trial *t, struct cpu_call *call)
{
    uint32_t *counts = take(t->of.B * sizeof *counts);
    call->gathered = gather_at(t->gathered.data, call->step->rows, t->of.G);
    gather_routed(&call->gathered, &call->at[1], t->of.B, counts);
    free(counts);
}

/* Attention shares itself among the threads of a team: at first there is one. */
static void make_team(struct trial *t)
{
    if (t->of.kind != OP_ATTEND)
        return;
    t->team = (struct attend_team){
        .threads = 1, .places = t->places, .parts_count = scratch_parts(t->plan)};
    t->parts = guard(TEAM * t->team.parts_count * sizeof(float));
    t->team.parts = (float *)(void *)t->parts.data;
    t->call.team = &t->team;
}

/* What the op's kernel gets as its whole part. */
static struct part whole_part(const struct trial *t)
{
    const struct host_operand *result = &t->call.at[t->result];
    const struct buf *buf = plan_buf(t->plan, t->op->operand[t->result]);
    struct part part = {.row_end = t->call.at[buf_is_activation(buf) ? t->result : 0].rows,
                        .column_end = result->groups * result->width};
    if (t->of.kind == OP_EXPERT_MATMUL) {
        part.column_end = result->width;
        part.expert_end = *t->call.gathered.count;
    }
    return part;
}

static void reset(struct trial *t)
{
    for (uint32_t i = 0; i < op_operands(t->op); i++) {
        if (t->at[i].is_written)
            memcpy(t->at[i].memory.data, t->at[i].before, t->at[i].memory.bytes);
    }
    memset(t->scratch.data, CANARY, t->scratch.bytes);
}

static void quantize(struct trial *t, const struct kernels *kernels)
{
    const uint32_t x = multiplied(t);
    if (t->call.quants.codes == NULL)
        return;
    memset(t->quants.data, CANARY, t->quants.bytes);
    for (uint32_t at = t->call.quants.columns; at > 0;) { /* in two parts, the second first */
        const uint32_t first = at > QUANT_COLUMNS ? QUANT_COLUMNS : 0;
        const struct part part = {0, t->step.rows, first, at};
        kernels->quantize(&t->call.at[x], &t->call.quants, &part);
        at = first;
    }
}

/* ---- the reference --------------------------------------------------------------------------- */

/* True for a state that the rule works on, which the reference has value by value. */
static bool is_turned(const struct trial *t, uint32_t i)
{
    const enum operand_shape shape = kernel_forms(t->of.kind)[i].shape;
    const bool is_rule = t->of.kind == OP_DELTA_RULE || t->of.kind == OP_DELTA_RULE_INPLACE ||
                         t->of.kind == OP_DELTA_RULE_RECORDED;
    return is_rule && (shape == SHAPE_STATE || shape == SHAPE_STATE_COPY);
}

/* Where a head's state has a value of a key: in strips of RULE_STRIP values, then in the rest. */
static uint64_t held_at(uint32_t value, uint32_t key, uint32_t values, uint32_t keys)
{
    const uint32_t whole = values - values % RULE_STRIP;
    const uint32_t first = value < whole ? value - value % RULE_STRIP : whole;
    const uint32_t side = value < whole ? RULE_STRIP : values - whole;
    return (uint64_t)first * keys + (uint64_t)key * side + (value - first);
}

/* Each head's matrix as the reference has it, or back as the backend holds it. */
static void turn_heads(struct guarded *memory, uint32_t values, uint32_t keys, bool to_reference)
{
    const uint64_t head_bytes = (uint64_t)values * keys * sizeof(float);
    float *head = take(head_bytes);
    for (uint64_t at = 0; at + head_bytes <= memory->bytes; at += head_bytes) {
        float *x = (float *)(void *)(memory->data + at);
        memcpy(head, x, head_bytes);
        for (uint32_t i = 0; i < values * keys; i++) {
            const uint64_t held = held_at(i / keys, i % keys, values, keys);
            x[to_reference ? i : held] = head[to_reference ? held : i];
        }
    }
    free(head);
}

static void expect(struct trial *t)
{
    struct ref_call call = {.op = t->op, .step = &t->step};
    const struct kernel_case *c = &t->of;
    float *scratch = take(((uint64_t)t->limits.context + c->W + c->A + c->B) * sizeof *scratch);
    memcpy(call.at, t->call.at, sizeof call.at);
    const uint32_t last = op_operands(t->op) - 1;
    const struct buf *buf = plan_buf(t->plan, t->op->operand[last]);
    call.rows = call.at[buf_is_activation(buf) ? last : 0].rows;
    call.scratch = scratch;
    for (uint32_t i = 0; i <= last; i++) {
        if (is_turned(t, i))
            turn_heads(&t->at[i].memory, c->B, c->W, true);
    }
    ref_run_op(&call);
    for (uint32_t i = 0; i <= last; i++) {
        if (is_turned(t, i))
            turn_heads(&t->at[i].memory, c->B, c->W, false);
        if (t->at[i].is_written)
            t->at[i].expected = copy_of(&t->at[i].memory);
    }
    free(scratch);
}

/* ---- opening --------------------------------------------------------------------------------- */

struct trial *trial_open(const struct kernel_case *of, enum dtype dtype, uint64_t seed,
                         bool is_timed)
{
    struct trial *t = take(sizeof *t);
    *t = (struct trial){.of = *of, .dtype = dtype, .seed = seed};
    if (is_timed && of->timed > 0)
        t->of.A = of->timed;
    make_plan(t);
    make_step(t);
    make_operands(t);
    bind_call(t);
    if (!is_timed)
        expect(t);
    t->scratch = guard(scratch_floats(t->plan) * sizeof(float));
    t->call.scratch = (float *)(void *)t->scratch.data;
    make_team(t);
    if (has_matrix(t))
        hold_matrix(t);
    if (t->of.kind == OP_EXPERT_MATMUL) {
        t->gathered = guard(t->step.rows * gather_row_bytes(t->of.G));
        gather(t, &t->call);
    }
    return t;
}

void trial_close(struct trial *t)
{
    for (uint32_t i = 0; i < OP_OPERANDS_MAX; i++) {
        unguard(&t->at[i].memory);
        free(t->at[i].before);
        free(t->at[i].expected);
        free(t->at[i].whole);
    }
    for (uint32_t i = 0; i < t->copies_count; i++)
        free(t->copies[i]);
    unguard(&t->packed);
    unguard(&t->quants);
    unguard(&t->gathered);
    unguard(&t->scratch);
    unguard(&t->parts);
    plan_close(t->plan);
    free(t->tokens);
    free(t->out_rows);
    free(t);
}

/* ---- comparing ------------------------------------------------------------------------------- */

static void fault(struct trial_result *result, const char *text)
{
    if (result->fault[0] == 0)
        snprintf(result->fault, sizeof result->fault, "%s", text);
}

/* Rows that the reference left alone must be as they were; the error of the others. */
static void compare_operand(const struct trial *t, uint32_t i, struct trial_result *result)
{
    const struct operand *o = &t->at[i];
    const struct buf *buf = plan_buf(t->plan, t->op->operand[i]);
    const uint64_t row_bytes = buf_row_bytes(buf), count = buf_columns(buf);
    double error = 0, power = 0;
    float *actual = take(count * sizeof *actual), *expected = take(count * sizeof *expected);
    for (uint64_t at = 0; at < o->memory.bytes; at += row_bytes) {
        const bool is_kept = memcmp(o->expected + at, o->before + at, row_bytes) == 0;
        const bool is_equal = memcmp(o->memory.data + at, o->expected + at, row_bytes) == 0;
        if (is_equal && is_kept)
            continue;
        if (is_kept || (buf->dtype == DTYPE_I32 && !is_equal)) {
            fault(result, is_kept ? "changes what is not its own" : "chooses other experts");
            continue;
        }
        codec_decode_row(buf->dtype == DTYPE_I32 ? DTYPE_F32 : buf->dtype, o->memory.data + at,
                         actual, count);
        codec_decode_row(buf->dtype == DTYPE_I32 ? DTYPE_F32 : buf->dtype, o->expected + at,
                         expected, count);
        for (uint64_t j = 0; j < count; j++) {
            const double d = (double)actual[j] - expected[j];
            error += is_equal ? 0 : d * d;
            power += is_equal ? 0 : (double)expected[j] * expected[j];
        }
    }
    free(actual);
    free(expected);
    error = error > 0 || isnan(error) ? error / (power > 0 ? power : 1) : 0;
    if (!(error <= result->nmse))
        result->nmse = error;
}

static void check_around(const struct trial *t, struct trial_result *result)
{
    for (uint32_t i = 0; i < op_operands(t->op); i++) {
        const struct operand *o = &t->at[i];
        if (!is_intact(&o->memory))
            fault(result, "writes beyond an operand");
        if (!o->is_written && memcmp(o->memory.data, o->before, o->memory.bytes) != 0)
            fault(result, "writes what it may only read");
    }
    if (!is_intact(&t->scratch) || !is_intact(&t->parts) || !is_intact(&t->gathered))
        fault(result, "writes beyond its scratch");
    if (!is_intact(&t->quants) || !is_intact(&t->packed))
        fault(result, "writes beyond packed matrix or 8 bits");
    const char *invalid = tile_traps_fault();
    if (invalid != NULL)
        fault(result, invalid);
}

static void compare_with_whole(const struct trial *t, struct trial_result *result, const char *text)
{
    for (uint32_t i = 0; i < op_operands(t->op); i++) {
        if (t->at[i].is_written &&
            memcmp(t->at[i].memory.data, t->at[i].whole, t->at[i].memory.bytes) != 0)
            fault(result, text);
    }
    check_around(t, result);
}

/* ---- parts ----------------------------------------------------------------------------------- */

/* Cuts what ends at `last` into parts of 1, 2, 3 ... units: where the last of them begins. */
static uint64_t cut_before(uint64_t last, uint64_t unit)
{
    uint64_t at = 0;
    for (uint64_t size = unit; at + size < last; size += unit)
        at += size;
    return at;
}

/* One thread after the other, the last one first. */
static void run_team(struct trial *t, const struct kernels *kernels)
{
    const struct part part = whole_part(t);
    t->team.threads = TEAM;
    for (uint32_t left = TEAM; left > 0; left--) {
        t->call.thread = left - 1;
        kernels->op[t->of.kind](&t->call, &part);
    }
    t->team.threads = 1;
}

static void run_rows(struct trial *t, const struct kernels *kernels)
{
    struct part part = whole_part(t);
    for (; part.row_end > 0; part.row_end = part.row) {
        part.row = cut_before(part.row_end, 1);
        kernels->op[t->of.kind](&t->call, &part);
    }
}

/* Columns [base, base + end); what the first call puts into scratch serves the others. */
static void run_columns(struct trial *t, const struct kernels *kernels, uint32_t base, uint32_t end,
                        uint32_t unit)
{
    struct part part = whole_part(t);
    for (uint32_t last = end; last > 0; last = part.column - base) {
        part.column = base + (uint32_t)cut_before(last, unit);
        part.column_end = base + last;
        kernels->op[t->of.kind](&t->call, &part);
        part.is_further = true;
    }
}

static void run_width(struct trial *t, const struct kernels *kernels)
{
    const struct host_operand *result = &t->call.at[t->result];
    const uint32_t groups = t->of.kind == OP_EXPERT_MATMUL ? 1 : result->groups;
    for (uint32_t group = groups; group > 0; group--)
        run_columns(t, kernels, (group - 1) * result->width, result->width, BACKEND_ROWS_UNIT);
}

/* Experts by threads, the last thread first. */
static void run_experts(struct trial *t, const struct kernels *kernels)
{
    for (uint32_t left = TEAM; left > 0; left--) {
        struct part part = whole_part(t);
        struct gather_walk walk = gather_begin(&t->call.gathered, part.column_end, left - 1, TEAM);
        while (gather_next(&walk, &part.expert, &part.column, &part.column_end)) {
            part.expert_end = part.expert + 1;
            kernels->op[t->of.kind](&t->call, &part);
        }
    }
}

/* One way to share the op, a letter of ops.def. */
static void run_shared(struct trial *t, const struct kernels *kernels, char share)
{
    const struct part whole = whole_part(t);
    switch (share) {
    case 'r': run_rows(t, kernels); break;
    case 'p': run_team(t, kernels); break;
    case 'c': run_columns(t, kernels, 0, whole.column_end, BACKEND_ROWS_UNIT); break;
    case 'g': run_columns(t, kernels, 0, whole.column_end, t->call.at[t->result].width); break;
    case 'w': run_width(t, kernels); break;
    case 'e': run_experts(t, kernels); break;
    }
}

/* ---- without company ------------------------------------------------------------------------- */

/* What is left of the sequence from its row `row` on: the rows before it are records that are
 * pending now, or were applied. */
static struct step_seq seq_from(const struct step_seq *seq, uint32_t row, uint32_t rows)
{
    struct step_seq rest = *seq;
    rest.row_first = 0;
    rest.rows = rows;
    rest.cached += row;
    if (row > 0) {
        rest.pending = seq->is_recorded ? seq->pending - seq->settle + row : 0;
        rest.settle = 0;
    }
    return rest;
}

/* `rows` rows of sequence `s` from its row `row` on, as a step of their own. */
static void run_alone(struct trial *t, const struct kernels *kernels, uint32_t s, uint32_t row,
                      uint32_t rows)
{
    struct trial alone = *t;
    const struct step_seq *seq = &t->seqs[s];
    const uint32_t first = seq->row_first + row;
    alone.seqs[0] = seq_from(seq, row, rows);
    alone.step.seq = alone.seqs;
    alone.step.seqs = 1;
    alone.step.rows = rows;
    alone.step.token = t->tokens + first;
    alone.call.step = &alone.step;
    alone.call.quants.codes =
        t->call.quants.codes == NULL ? NULL : quants_codes(&t->call.quants, first);
    for (uint32_t i = 0; i < op_operands(t->op); i++) {
        const struct buf *buf = plan_buf(t->plan, t->op->operand[i]);
        struct host_operand *at = &alone.call.at[i];
        if (buf->extent == EXTENT_ROWS)
            at->data += first * at->pitch;
        if (buf->extent == EXTENT_SEQS)
            at->data += (uint64_t)s * buf->rows * at->pitch;
        at->rows = buf_rows(buf, &alone.step);
    }
    if (t->of.kind == OP_EXPERT_MATMUL)
        gather(t, &alone.call);
    const struct part part = whole_part(&alone);
    kernels->op[t->of.kind](&alone.call, &part);
}

/* Rows of logits belong to the step, sums to all steps; a copy of a state is read and written by
 * the whole sequence. */
static void run_without_company(struct trial *t, const struct kernels *kernels)
{
    const bool is_copied = t->of.kind == OP_DELTA_RULE;
    for (uint32_t s = 0; s < t->step.seqs; s++) {
        const uint32_t rows = t->seqs[s].rows;
        const bool is_exact = rows <= EXACT_ROWS && !is_copied;
        for (uint32_t row = 0; row < rows; row += is_exact ? 1 : rows)
            run_alone(t, kernels, s, row, is_exact ? 1 : rows);
    }
}

/* ---- as in the file -------------------------------------------------------------------------- */

/* With a matrix that is not held packed, in parts. */
static void run_unpacked(struct trial *t, const struct kernels *kernels)
{
    t->call.at[0].data = t->at[0].memory.data;
    t->call.is_packed = false;
    t->call.is_repacked = true;
    run_shared(t, kernels, t->of.kind == OP_MATMUL ? 'c' : 'w');
    t->call.at[0].data = t->packed.data;
    t->call.is_packed = true;
    t->call.is_repacked = false;
}

/* ---- bits ------------------------------------------------------------------------------------ */

/* FNV-1a, 64 bits, of what the kernel left. */
static uint64_t digest_of(const struct trial *t)
{
    uint64_t digest = 0xcbf29ce484222325;
    for (uint32_t i = 0; i < op_operands(t->op); i++) {
        for (uint64_t at = 0; t->at[i].is_written && at < t->at[i].memory.bytes; at++)
            digest = (digest ^ t->at[i].whole[at]) * 0x100000001b3;
    }
    return digest;
}

/* ---- trying ---------------------------------------------------------------------------------- */

void trial_check(struct trial *t, const struct kernels *kernels, struct trial_result *result)
{
    const struct part whole = whole_part(t);
    *result = (struct trial_result){0};
    quantize(t, kernels);
    reset(t);
    kernels->op[t->of.kind](&t->call, &whole);
    check_around(t, result);
    for (uint32_t i = 0; i < op_operands(t->op); i++) {
        if (!t->at[i].is_written)
            continue;
        compare_operand(t, i, result);
        free(t->at[i].whole);
        t->at[i].whole = copy_of(&t->at[i].memory);
    }
    result->digest = digest_of(t);
    if (!(result->nmse <= kernel_case_bound(&t->of, t->dtype, kernels->level)))
        fault(result, "is not what the reference computes");
    for (const char *share = op_info(t->of.kind)->shares; *share != 0; share++) {
        reset(t);
        run_shared(t, kernels, *share);
        compare_with_whole(t, result, "gives other bits in parts");
    }
    if (t->call.is_packed && multiplied(t) != 0) {
        reset(t);
        run_unpacked(t, kernels);
        compare_with_whole(t, result, "gives other bits if the matrix is not packed");
    }
    if (t->of.kind == OP_SELECT || strpbrk(op_info(t->of.kind)->operands, "au") != NULL)
        return;
    reset(t);
    run_without_company(t, kernels);
    if (t->of.kind == OP_EXPERT_MATMUL)
        gather(t, &t->call);
    compare_with_whole(t, result, "gives other bits without company");
}

/* ---- timing ---------------------------------------------------------------------------------- */

/* Copies of a large matrix that are read in turn, so that it comes from memory. */
static void copy_matrix(struct trial *t)
{
    const struct guarded *matrix = t->call.is_packed ? &t->packed : &t->at[0].memory;
    t->copies_count = (uint32_t)(COLD_BYTES / (matrix->bytes + 1) + 1);
    if (t->copies_count > COPIES_MAX)
        t->copies_count = COPIES_MAX;
    for (uint32_t i = 0; i < t->copies_count; i++)
        t->copies[i] = copy_of(matrix);
}

static double seconds_of(struct trial *t, const struct kernels *kernels, uint64_t runs)
{
    const struct part whole = whole_part(t);
    const uint64_t began = clock_ns();
    for (uint64_t i = 0; i < runs; i++) {
        if (t->copies_count > 0)
            t->call.at[0].data = t->copies[i % t->copies_count];
        kernels->op[t->of.kind](&t->call, &whole);
    }
    return (double)(clock_ns() - began) * 1e-9;
}

double trial_time(struct trial *t, const struct kernels *kernels)
{
    double ns[SAMPLES];
    uint64_t runs = 1;
    if (has_matrix(t) && t->copies_count == 0)
        copy_matrix(t);
    quantize(t, kernels);
    reset(t);
    while (seconds_of(t, kernels, runs) * 1e9 < SAMPLE_NS)
        runs *= 2;
    for (uint32_t i = 0; i < SAMPLES; i++)
        ns[i] = seconds_of(t, kernels, runs) * 1e9 / (double)runs;
    sort_f64(ns, SAMPLES);
    return ns[SAMPLES / 2];
}

double trial_bytes(const struct trial *t)
{
    struct traffic sum = {0};
    uint64_t bytes = 0;
    op_traffic(t->plan, t->op, &t->step, &t->limits, &sum);
    for (int class = 0; class < TRAFFIC_CLASSES; class ++)
        bytes += sum.read[class] + sum.written[class];
    return (double)bytes;
}

/* Query times key and weight times value, for each head and each position that a row sees. */
static double attention_operations(const struct trial *t)
{
    double pairs = 0;
    for (uint32_t s = 0; s < t->step.seqs; s++) {
        for (uint32_t i = 1; i <= t->seqs[s].rows; i++)
            pairs += t->seqs[s].cached + i;
    }
    return 4.0 * pairs * t->of.A * t->of.W;
}

double trial_operations(const struct trial *t)
{
    const double rows = t->step.rows, area = (double)t->of.A * t->of.W;
    switch (t->of.kind) {
    case OP_MATMUL: return 2 * rows * area;
    case OP_EXPERT_MATMUL: return 2 * rows * area * t->of.G;
    case OP_ATTEND: return attention_operations(t);
    case OP_DELTA_RULE: /* decay 1, predict 2, correct 2, read 2 */
    case OP_DELTA_RULE_RECORDED:
    case OP_DELTA_RULE_INPLACE: return 7 * rows * area * t->of.B;
    default: return 0;
    }
}

/* ---- levels ---------------------------------------------------------------------------------- */

#if defined(__x86_64__)
extern const struct kernels kernels_emulated, kernels_vnni_256;
#endif

/* Those of the program, and behind them those that stand for one on machines without it
 * (src/cpu/meson.build). */
static const struct {
    const struct kernels *kernels;
    const char *needs; /* a level of the program */
    uint32_t features; /* of levels.def */
} levels[] = {
#define LEVEL(id, features) {&kernels_##id, #id, features},
#include "cpu/levels.def"
#if defined(__x86_64__)
    {&kernels_emulated, "v4", 0},
    {&kernels_vnni_256, "v4", 0},
#endif
};

static bool has_level(const char *level)
{
    const struct kernels *best;
    return cpu_select(&best, level, &(struct weir_error){0}) == WEIR_OK &&
           strcmp(best->level, level) == 0;
}

const struct kernels *trial_level(uint32_t number, enum level_presence *presence)
{
    const uint32_t tiles = CPU_AMX_BF16 | CPU_AMX_INT8;
    if (number >= sizeof levels / sizeof levels[0])
        return NULL;
    const uint32_t missing = levels[number].features & ~cpu_features();
    const bool lacks_tiles = (missing & tiles) != 0 && (missing & ~tiles) == 0;
    *presence = has_level(levels[number].needs) || missing == CPU_QUICK_BF16 ? LEVEL_PRESENT
                : lacks_tiles && tile_traps_open()                           ? LEVEL_TRAPPED
                                                                             : LEVEL_ABSENT;
    return levels[number].kernels;
}
