/* SPDX-License-Identifier: MIT
 * Phases of the plans that the model room writes: no thread reads what another writes in the same
 * phase. What an op reads is said here once more, column by column, and not derived from its
 * letters. Run alone: build/tests/weir-test phases_ */
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "golden/variants.h"
#include "model/network.h"
#include "plan/phases.h"

enum { THREADS = 3, COLUMNS_MAX = 8192, UNIT = BACKEND_ROWS_UNIT };

/* Columns of a row of a buffer, views counted by their base. */
struct columns {
    bool has[COLUMNS_MAX];
};

struct walk {
    const struct plan *plan;
    const struct turn *turns;
    uint32_t thread;
};

/* ---- what a thread writes -------------------------------------------------------------------- */

static uint32_t flat_column(const struct buf *buf, uint32_t column)
{
    return buf->offset + column / buf->width * buf->stride + column % buf->width;
}

static bool is_in_share(const struct walk *walk, uint32_t count, uint32_t unit, uint32_t at)
{
    const uint32_t units = (count + unit - 1) / unit;
    return at / unit >= units * walk->thread / THREADS &&
           at / unit < units * (walk->thread + 1) / THREADS;
}

/* The family that a group of a buffer belongs to. */
static uint32_t family_of(const struct turn *turn, const struct buf *buf, uint32_t group)
{
    return turn->head_map == HEAD_MAP_TILED ? group % turn->families
                                            : group / (buf->groups / turn->families);
}

/* True if the thread computes the column of the op's result. */
static bool computes(const struct walk *walk, uint32_t op, const struct buf *buf, uint32_t column)
{
    const struct turn *turn = &walk->turns[op];
    switch ((enum share)turn->share) {
    case SHARE_COLUMNS: return is_in_share(walk, buf_columns(buf), UNIT, column);
    case SHARE_WIDTH: return is_in_share(walk, buf->width, UNIT, column % buf->width);
    case SHARE_GROUPS:
        return is_in_share(walk, turn->families, 1, family_of(turn, buf, column / buf->width));
    case SHARE_UNITS: return walk->thread == 0;
    case SHARE_EACH:
    case SHARE_ROWS:
    case SHARE_EXPERTS:
    case SHARE_POSITIONS: break;
    }
    return true;
}

/* ---- what an op reads ------------------------------------------------------------------------ */

static bool is_delta_rule(const struct op *op)
{
    return op->kind == OP_DELTA_RULE || op->kind == OP_DELTA_RULE_INPLACE ||
           op->kind == OP_DELTA_RULE_RECORDED;
}

/* True if column `from` of operand `i` is needed for column `column` of the result. */
static bool needs(const struct op *op, uint32_t i, const struct buf *operand, uint32_t from,
                  const struct buf *result, uint32_t column)
{
    const uint32_t head = column / result->width;
    switch (op->kind) {
    case OP_ADD:
    case OP_MUL:
    case OP_ADD_WEIGHT:
    case OP_MUL_WEIGHT:
    case OP_MUL_SCALAR:
    case OP_SILU:
    case OP_SIGMOID:
    case OP_SOFTPLUS:
    case OP_CONV:
    case OP_CONV_SILU:
    case OP_DECAY:
    case OP_SIGMOID_MUL:
    case OP_SWIGLU: return from == column;
    case OP_RMS_NORM:
    case OP_L2_NORM:
    case OP_NORM_ROPE:
    case OP_ROPE:
    case OP_GATED_NORM:
    case OP_KV_APPEND: return from / operand->width == head;
    case OP_EXPERT_SUM: return i == 1 || from % operand->width == column;
    case OP_EXPERT_SCALE: return i == 1 || from == column;
    default: break;
    }
    if (is_delta_rule(op) && i == 2)
        return from / operand->width == head;
    if (is_delta_rule(op) && (i == 3 || i == 4))
        return from == head;
    if (is_delta_rule(op) && i < 2)
        return from / operand->width == (op->head_map == HEAD_MAP_TILED
                                             ? head % operand->groups
                                             : head / (result->groups / operand->groups));
    return true;
}

/* ---- the check ------------------------------------------------------------------------------- */

/* The op of the same phase that writes the base of the operand in parts, and by which operand. */
static bool find_writer(const struct walk *walk, uint32_t op, uint16_t base, uint32_t *writer,
                        uint16_t *written)
{
    for (uint32_t k = op; k-- > 0 && walk->turns[k].phase == walk->turns[op].phase;) {
        const struct op *other = &walk->plan->ops[k];
        const char *letters = op_info(other->kind)->operands;
        for (uint32_t j = 0; letters[j] != 0; j++) {
            *written = other->operand[j];
            if (letter_writes(letters[j]) && plan_buf(walk->plan, *written)->base == base) {
                *writer = k;
                return walk->turns[k].share != SHARE_EACH;
            }
        }
    }
    return false;
}

static void check_operand(const struct walk *walk, uint32_t number, uint32_t i)
{
    const struct plan *plan = walk->plan;
    const struct op *op = &plan->ops[number];
    const struct buf *operand = plan_buf(plan, op->operand[i]);
    const struct buf *result = plan_buf(plan, op->operand[op_result(plan, op)]);
    static struct columns own;
    uint32_t writer;
    uint16_t written;
    if (!find_writer(walk, number, operand->base, &writer, &written))
        return;
    const enum share share = walk->turns[number].share;
    CHECK(op_info(op->kind)->operands[i] == 'x');
    CHECK(share == walk->turns[writer].share && share != SHARE_EACH && share != SHARE_EXPERTS);
    if (share == SHARE_ROWS)
        return;
    memset(&own, 0, sizeof own);
    const struct buf *made = plan_buf(plan, written);
    for (uint32_t c = 0; c < buf_columns(made); c++)
        own.has[flat_column(made, c)] = computes(walk, writer, made, c);
    for (uint32_t c = 0; c < buf_columns(result); c++) {
        for (uint32_t from = 0; computes(walk, number, result, c) && from < buf_columns(operand);
             from++)
            CHECK(!needs(op, i, operand, from, result, c) || own.has[flat_column(operand, from)]);
    }
}

/* What any thread may compute, nobody reads before the phase ends. */
static void check_loose(const struct plan *plan, const struct turn *turns, uint32_t number)
{
    const uint16_t written = plan->ops[number].operand[op_result(plan, &plan->ops[number])];
    const uint16_t base = plan_buf(plan, written)->base;
    CHECK(turns[number].share == SHARE_COLUMNS);
    for (uint32_t n = number + 1; n < plan->op_count && turns[n].phase == turns[number].phase; n++)
        for (uint32_t i = 0; i < op_operands(&plan->ops[n]); i++)
            CHECK(plan_buf(plan, plan->ops[n].operand[i])->base != base);
}

static uint32_t check_plan(const struct plan *plan, bool repeat)
{
    struct turn *turns = calloc(plan->op_count, sizeof *turns);
    CHECK(turns != NULL);
    const uint32_t phases = plan_phases(plan, repeat, turns);
    uint32_t loose = 0;
    for (uint32_t n = 0; n < plan->op_count; n++) {
        CHECK(n == 0 || turns[n].phase == turns[n - 1].phase ||
              turns[n].phase == turns[n - 1].phase + 1);
        CHECK(repeat || turns[n].share != SHARE_EACH);
        loose += turns[n].is_loose;
        if (turns[n].is_loose)
            check_loose(plan, turns, n);
        for (uint32_t i = 0; i < op_operands(&plan->ops[n]); i++) {
            for (uint32_t t = 0; t < THREADS; t++)
                check_operand(&(struct walk){plan, turns, t}, n, i);
        }
    }
    CHECK_INT(turns[plan->op_count - 1].phase, phases - 1);
    CHECK(loose > 0 && turns[plan->op_count - 1].is_loose); /* the head, for one */
    free(turns);
    return phases;
}

static uint32_t each_plan(const char *path, unsigned fuse, enum collect collect, bool repeat,
                          uint32_t rewind)
{
    struct weir_error err = {0};
    struct plan_choices choices = {.cache_k = DTYPE_F16,
                                   .cache_v = DTYPE_F16,
                                   .fuse = fuse,
                                   .hidden = true,
                                   .collect = collect,
                                   .rewind = rewind};
    struct gguf *gguf;
    struct config config;
    struct weights weights;
    struct plan *plan, *mtp;
    CHECK_OK(gguf_open(&gguf, path, &err), &err);
    CHECK_OK(config_read(&config, gguf, &err), &err);
    CHECK_OK(weights_open(&weights, &config, gguf, &err), &err);
    CHECK_OK(network_plan(&plan, &config, &weights, &choices, &err), &err);
    CHECK_OK(network_mtp_plan(&mtp, &config, &weights, &choices, &err), &err);
    const uint32_t phases = check_plan(plan, repeat);
    check_plan(mtp, repeat);
    plan_close(plan);
    plan_close(mtp);
    weights_close(&weights);
    gguf_close(gguf);
    return phases;
}

TEST(phases_never_mix_threads)
{
    char *const paths[] = {
        strdup(test_data("golden/nano-f32.gguf")), strdup(test_data("golden/nanomoe-f32.gguf")),
        strdup(variant_next(VARIANT_SPLIT)), strdup(variant_next(VARIANT_LEGACY))};
    for (unsigned i = 0; i < 4 * 4 * 2 * 2 * 2; i++)
        each_plan(paths[i % 4], i / 4 % 4, i / 16 % 2 ? COLLECT_ALL : COLLECT_NOTHING, i / 32 % 2,
                  i / 64 * 4);
    for (int i = 0; i < 4; i++)
        free(paths[i]);
}

/* Of the model that ships with weir: six layers of five phases, two of attention with six, and the
 * head. */
TEST(phases_of_a_token_are_few)
{
    CHECK_INT(each_plan(test_data("../../models/" WEIR_SHIPPED), FUSE_DELTA_RULE | FUSE_OTHERS,
                        COLLECT_NOTHING, true, 0),
              6 * 5 + 2 * 6 + 1);
    CHECK_INT(each_plan(test_data("../../models/" WEIR_SHIPPED), FUSE_DELTA_RULE | FUSE_OTHERS,
                        COLLECT_NOTHING, true, 4),
              6 * 5 + 2 * 6 + 1);
}
