/* SPDX-License-Identifier: MIT
 * Runs a prepared plan: every thread walks all ops, computes its part of each, and waits for the
 * others where a phase ends. Knows how ops are shared, not what they compute. */
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "cpu/exec.h"
#include "cpu/pack.h"

/* An op as one thread sees it. */
struct turn_call {
    const struct exec *exec;
    const struct program *program;
    const struct turn *turn;
    uint32_t thread, threads;
    uint32_t result; /* operand */
    struct cpu_call call;
};

/* ---- calls ----------------------------------------------------------------------------------- */

/* What lies behind the rows of the buffer that the operand shows. */
static uint8_t *extra_of(const struct turn_call *t, uint32_t operand)
{
    const uint16_t base = plan_buf(t->exec->plan, t->call.op->operand[operand])->base;
    return t->program->address[t->thread][base] +
           plan_place_extra(plan_buf(t->exec->plan, base), &t->program->limits);
}

static struct quants quants_of(const struct turn_call *t, uint32_t operand)
{
    const uint16_t base = plan_buf(t->exec->plan, t->call.op->operand[operand])->base;
    if (t->program->extra_bytes[base] == 0)
        return (struct quants){0};
    return (struct quants){
        .codes = (int8_t *)extra_of(t, operand),
        .pitch = t->program->extra_bytes[base],
        .columns = buf_columns(plan_buf(t->exec->plan, base)),
    };
}

/* Of the routing that is the op's operand 1. */
static struct gathered gathered_of(const struct turn_call *t)
{
    const struct host_operand *routing = &t->call.at[1];
    return gather_at(extra_of(t, 1), routing->rows, routing->width);
}

/* Codes that lie as in the file are packed on the way in any case; floats, whose sums have another
 * order in the packed form, only where that form is yet to come. */
static void find_form(struct cpu_call *call, enum weight_form form)
{
    call->is_packed = form == WEIGHT_HELD;
    call->is_repacked =
        form == WEIGHT_LATE || (form == WEIGHT_AS_FILE && pack_has_codes(call->at[0].dtype));
}

static void resolve(struct turn_call *t, uint32_t number)
{
    const struct exec *exec = t->exec;
    struct host_bound bound = t->program->bound;
    bound.address = t->program->address[t->thread];
    t->turn = &t->program->turns[number];
    t->call = (struct cpu_call){
        .op = &exec->plan->ops[number],
        .step = exec->step,
        .scratch = exec->scratch + t->thread * exec->scratch_count,
        .thread = t->thread,
        .team = &exec->team,
    };
    struct cpu_call *call = &t->call;
    for (uint32_t i = 0; i < op_operands(call->op); i++)
        call->at[i] = host_operand(&bound, call->op, i, exec->step);
    t->result = op_result(exec->plan, call->op);
    find_form(call, (enum weight_form)exec->form[call->op->operand[0]]);
    call->is_outs = plan_buf(exec->plan, call->op->operand[t->result])->extent == EXTENT_OUTS;
    if (call->op->kind == OP_MATMUL || call->op->kind == OP_EXPERT_MATMUL)
        call->quants = quants_of(t, call->op->kind == OP_MATMUL ? 1 : 2);
    if (call->op->kind == OP_EXPERT_MATMUL)
        call->gathered = gathered_of(t);
}

/* Rows of the op: of its result, or of what goes into what it keeps. */
static uint64_t rows_of(const struct turn_call *t)
{
    const uint16_t number = t->call.op->operand[t->result];
    return t->call.at[buf_is_activation(plan_buf(t->exec->plan, number)) ? t->result : 0].rows;
}

static void quantize_written(const struct turn_call *t, const struct part *part)
{
    const char *letters = op_info(t->call.op->kind)->operands;
    for (uint32_t i = 0; letters[i] != 0; i++) {
        const struct quants quants = letters[i] == 'y' ? quants_of(t, i) : (struct quants){0};
        if (quants.codes != NULL)
            t->exec->device->kernels->quantize(&t->call.at[i], &quants, part);
    }
}

/* What experts give and what attention does is not rounded here: the one has its parts in each
 * group, the other no parts. */
static void compute(const struct turn_call *t, const struct part *part)
{
    if (part->row >= part->row_end || part->column >= part->column_end)
        return;
    t->exec->device->kernels->op[t->call.op->kind](&t->call, part);
    if (t->turn->share != SHARE_POSITIONS && t->call.op->kind != OP_EXPERT_MATMUL)
        quantize_written(t, part);
}

/* ---- parts ----------------------------------------------------------------------------------- */

/* The thread's part of `count` things, in units of `unit`. */
static void share_of_thread(const struct turn_call *t, uint64_t count, uint32_t unit,
                            uint64_t *first, uint64_t *last)
{
    backend_share(count, unit, t->thread, t->threads, first, last);
}

/* Chunk `chunk` of the columns of thread `owner`; false if it has not so many. A share is some 16
 * chunks: enough that who is late is late by little, not so many that they cost. */
static bool find_chunk(const struct turn_call *t, uint32_t columns, uint32_t owner, uint32_t chunk,
                       struct part *part)
{
    enum { CHUNKS = 16, CHUNK_MIN = 64 };
    uint64_t first, last;
    backend_share(columns, BACKEND_ROWS_UNIT, owner, t->threads, &first, &last);
    const uint64_t even = size_align((last - first) / CHUNKS, BACKEND_ROWS_UNIT);
    const uint64_t size = even < CHUNK_MIN ? CHUNK_MIN : even, begin = first + chunk * size;
    if (begin >= last)
        return false;
    part->column = (uint32_t)begin;
    part->column_end = (uint32_t)(last - begin < size ? last : begin + size);
    return true;
}

/* Each thread computes its own share chunk by chunk, then what others have not come to yet: one
 * that is slow, or whose core has other work, does not hold up the phase. A number is the same
 * whoever computes it. */
static void compute_loose(const struct turn_call *t, struct part part)
{
    struct taken *taken = t->exec->taken + (t->call.op - t->exec->plan->ops) * t->threads;
    const uint32_t columns = part.column_end;
    for (uint32_t i = 0; i < t->threads; i++) {
        const uint32_t owner = (t->thread + i) % t->threads;
        while (find_chunk(t, columns, owner,
                          atomic_fetch_add_explicit(&taken[owner].chunks, 1, memory_order_relaxed),
                          &part)) {
            compute(t, &part);
            part.is_further = true;
        }
    }
}

static void compute_columns(const struct turn_call *t, struct part part)
{
    const bool is_small =
        t->program == &t->exec->program[PROGRAM_SMALL]; /* many rows: whole panels */
    if (t->turn->is_loose && t->call.op->kind == OP_MATMUL && is_small && t->threads > 1) {
        compute_loose(t, part);
        return;
    }
    uint64_t first, last;
    share_of_thread(t, part.column_end, BACKEND_ROWS_UNIT, &first, &last);
    part.column = (uint32_t)first;
    part.column_end = (uint32_t)last;
    compute(t, &part);
}

/* Columns within each group: a product of experts does all groups in one. */
static void compute_width(const struct turn_call *t, struct part part)
{
    const struct host_operand *result = &t->call.at[t->result];
    const bool is_routed = t->call.op->kind == OP_EXPERT_MATMUL;
    uint64_t first, last;
    share_of_thread(t, result->width, BACKEND_ROWS_UNIT, &first, &last);
    const uint32_t groups = is_routed ? 1 : result->groups;
    if (is_routed)
        part.expert_end = *t->call.gathered.count;
    for (uint32_t group = 0; group < groups; group++) {
        part.column = group * result->width + (uint32_t)first;
        part.column_end = group * result->width + (uint32_t)last;
        compute(t, &part);
    }
}

/* Experts with all their rows, so that what they multiply is made ready once. */
static void compute_experts(const struct turn_call *t, struct part part)
{
    struct gather_walk walk =
        gather_begin(&t->call.gathered, t->call.at[t->result].width, t->thread, t->threads);
    while (gather_next(&walk, &part.expert, &part.column, &part.column_end)) {
        part.expert_end = part.expert + 1;
        compute(t, &part);
    }
}

/* Families of heads. Of a buffer with more heads a family has several: side by side, or one of each
 * round. Blocks of 8 bits may not be shared by threads, nor begin within a round: heads that are
 * not made of whole ones are all one thread's, in one part. */
static void compute_groups(const struct turn_call *t, struct part part)
{
    const struct host_operand *result = &t->call.at[t->result];
    const uint32_t families = t->turn->families, per_family = result->groups / families;
    const bool is_whole = result->width % QUANT_COLUMNS == 0;
    const bool is_tiled = t->turn->head_map == HEAD_MAP_TILED && is_whole;
    const uint32_t rounds = is_tiled ? per_family : 1, side = is_tiled ? 1 : per_family;
    uint64_t first, last;
    share_of_thread(t, families, is_whole ? 1 : families, &first, &last);
    for (uint32_t round = 0; round < rounds; round++) {
        part.column = (round * families + (uint32_t)first * side) * result->width;
        part.column_end = (round * families + (uint32_t)last * side) * result->width;
        compute(t, &part);
    }
}

static void compute_rows(const struct turn_call *t, struct part part, uint64_t rows)
{
    share_of_thread(t, rows, 1, &part.row, &part.row_end);
    compute(t, &part);
}

static void compute_turn(const struct turn_call *t)
{
    const struct host_operand *result = &t->call.at[t->result];
    const struct part all = {.row_end = rows_of(t), .column_end = result->groups * result->width};
    switch ((enum share)t->turn->share) {
    case SHARE_EACH: compute(t, &all); break;
    case SHARE_ROWS: compute_rows(t, all, all.row_end); break;
    case SHARE_COLUMNS: compute_columns(t, all); break;
    case SHARE_WIDTH: compute_width(t, all); break;
    case SHARE_EXPERTS: compute_experts(t, all); break;
    case SHARE_GROUPS: compute_groups(t, all); break;
    case SHARE_POSITIONS: compute(t, &all); break; /* shares itself: attend.h */
    case SHARE_UNITS:
        if (t->thread == 0)
            compute(t, &all);
        break;
    }
}

/* Rows by expert, as soon as all are routed: where threads share the rows, by the last of them. */
static void gather(const struct turn_call *t)
{
    struct taken *taken = t->exec->taken + (t->call.op - t->exec->plan->ops) * t->threads;
    const struct host_operand *logits = &t->call.at[0];
    const bool is_last =
        t->turn->share == SHARE_EACH ||
        atomic_fetch_add_explicit(&taken->chunks, 1, memory_order_acq_rel) == t->threads - 1;
    const struct gathered gathered = gathered_of(t);
    if (is_last)
        gather_routed(&gathered, &t->call.at[1], logits->groups * logits->width,
                      (uint32_t *)(void *)t->call.scratch);
}

/* ---- running --------------------------------------------------------------------------------- */

/* Ends phase `phase`; false if the step ends here. */
static bool end_phase(struct exec *exec, uint32_t thread, uint32_t phase)
{
    const struct step *step = exec->step;
    if (thread == 0 && step->proceed != NULL && !step->proceed(step->proceed_user))
        exec->stop_at = phase;
    pool_barrier(exec->device->pool);
    return exec->stop_at != phase;
}

/* Asks for the first lines of what the thread multiplies in the next phase: they come while it
 * waits for the others. */
static void fetch_ahead(const struct exec *exec, uint32_t thread, uint32_t number)
{
    enum { AHEAD_BYTES = 4096, LINE_BYTES = 64 };
    const struct program *program = exec->last;
    const struct turn *turns = program->turns;
    const uint32_t next = turns[number].phase + 1;
    do
        number++;
    while (number < exec->plan->op_count && turns[number].phase == next &&
           exec->plan->ops[number].kind != OP_MATMUL);
    if (number == exec->plan->op_count || turns[number].phase != next)
        return;
    const uint16_t matrix = exec->plan->ops[number].operand[0];
    const struct buf *buf = plan_buf(exec->plan, matrix);
    uint64_t first, last;
    backend_share(buf->rows, BACKEND_ROWS_UNIT, thread, pool_threads(exec->device->pool), &first,
                  &last);
    if (exec->form[matrix] != WEIGHT_HELD || first == last)
        return;
    const uint8_t *group = program->address[thread][matrix] +
                           first / PACK_ROWS * pack_group_bytes(buf->dtype, buf->width);
    const uint64_t fields =
        pack_has_codes(buf->dtype) ? pack_field_bytes(buf->dtype, buf->width) : AHEAD_BYTES;
    for (uint32_t at = 0; at < AHEAD_BYTES; at += LINE_BYTES) {
        __builtin_prefetch(group + at, 0, 2);
        __builtin_prefetch(group + fields + at, 0, 2);
    }
}

/* Within a phase an op begins when the one before it ends: one reading is both. */
static void run_program(void *argument, uint32_t thread)
{
    struct exec *exec = argument;
    struct turn_call t = {
        .exec = exec,
        .program = exec->last,
        .thread = thread,
        .threads = pool_threads(exec->device->pool),
    };
    struct op_clock *clocks = backend_clocks(exec->plan, exec->step, thread);
    uint64_t begin = backend_time(exec->step);
    for (uint32_t i = 0; i < exec->plan->op_count; i++) {
        const uint32_t phase = t.program->turns[i].phase;
        if (i > 0 && phase != t.program->turns[i - 1].phase) {
            fetch_ahead(exec, thread, i - 1);
            if (!end_phase(exec, thread, phase - 1))
                return;
            begin = backend_time(exec->step);
        }
        resolve(&t, i);
        compute_turn(&t);
        if (t.call.op->kind == OP_ROUTE)
            gather(&t);
        const uint64_t end = backend_time(exec->step);
        if (clocks != NULL)
            clocks[i] = (struct op_clock){begin, end};
        begin = end;
    }
}

enum weir_status exec_run(struct exec *exec, const struct step *step, struct weir_error *err)
{
    const struct program *small = &exec->program[PROGRAM_SMALL];
    const bool is_small = step->rows <= small->limits.rows && step->seqs <= small->limits.seqs &&
                          step->outs <= small->limits.outs;
    exec->last = &exec->program[is_small ? PROGRAM_SMALL : PROGRAM_LARGE];
    exec->step = step;
    exec->stop_at = UINT32_MAX;
    memset(exec->taken, 0,
           exec->plan->op_count * pool_threads(exec->device->pool) * sizeof *exec->taken);
    pool_run(exec->device->pool, run_program, exec);
    exec->step = NULL;
    return exec->stop_at == UINT32_MAX ? WEIR_OK
                                       : err_set(err, WEIR_ERR_CANCELLED, "the step was cancelled");
}
