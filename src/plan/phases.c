/* SPDX-License-Identifier: MIT
 * Phases of a plan, op by op: an op stays in the phase of the op before it if what it reads of that
 * phase is the thread's own. Knows the ops by their letters. */
#include "plan/phases.h"

#include <string.h>

const char *share_name(enum share share)
{
    static const char *const names[] = {
        [SHARE_UNITS] = "units",     [SHARE_EACH] = "each",       [SHARE_ROWS] = "rows",
        [SHARE_COLUMNS] = "columns", [SHARE_WIDTH] = "width",     [SHARE_GROUPS] = "heads",
        [SHARE_POSITIONS] = "cache", [SHARE_EXPERTS] = "experts",
    };
    return names[share];
}

/* A plan being cut into phases. */
struct cutting {
    const struct plan *plan;
    struct turn *turns;
    bool repeat;
    uint32_t first;    /* op of the phase being filled */
    uint32_t families; /* of its groups so far; 0: none */
};

static const char *shares_of(const struct op *op)
{
    return op_info(op->kind)->shares;
}

static char letter_of(const struct op *op, uint32_t operand)
{
    return op_info(op->kind)->operands[operand];
}

static bool letter_reads(char letter)
{
    return strchr("xgilhcsaur", letter) != NULL;
}

static enum share share_of(char letter)
{
    switch (letter) {
    case 'c': return SHARE_COLUMNS;
    case 'w': return SHARE_WIDTH;
    case 'e': return SHARE_EXPERTS;
    case 'g': return SHARE_GROUPS;
    case 'p': return SHARE_POSITIONS;
    }
    return SHARE_ROWS;
}

/* Products read all columns of what they multiply. */
static bool op_is_product(const struct op *op)
{
    return op->kind == OP_MATMUL || op->kind == OP_EXPERT_MATMUL;
}

uint32_t op_result(const struct plan *plan, const struct op *op)
{
    uint32_t result = 0;
    bool is_found = false;
    for (uint32_t i = 0; i < op_operands(op); i++) {
        const bool is_written = letter_writes(letter_of(op, i));
        if (is_written && (!is_found || buf_is_activation(plan_buf(plan, op->operand[i])))) {
            result = i;
            is_found = true;
        }
    }
    return result;
}

static const struct buf *result_of(const struct plan *plan, const struct op *op)
{
    return plan_buf(plan, op->operand[op_result(plan, op)]);
}

/* The number of the op's operand that shows buffer `base`, if it writes that. */
static bool writes_base(const struct plan *plan, const struct op *op, uint16_t base,
                        uint16_t *number)
{
    for (uint32_t i = 0; i < op_operands(op); i++) {
        if (letter_writes(letter_of(op, i)) && plan_buf(plan, op->operand[i])->base == base) {
            *number = op->operand[i];
            return true;
        }
    }
    return false;
}

/* The op of the phase that wrote what buffer `number` shows, in parts; false if none did. */
static bool find_part_writer(const struct cutting *cut, uint32_t before, uint16_t number,
                             uint32_t *writer, uint16_t *written)
{
    const uint16_t base = plan_buf(cut->plan, number)->base;
    for (uint32_t i = before; i-- > cut->first;) {
        if (writes_base(cut->plan, &cut->plan->ops[i], base, written)) {
            *writer = i;
            return cut->turns[i].share != SHARE_EACH;
        }
    }
    return false;
}

/* The families of the phase if an op on `groups` groups joins it; 0 if it cannot. */
static uint32_t joined_families(uint32_t families, uint32_t groups)
{
    if (families == 0 || families % groups == 0)
        return groups;
    return groups % families == 0 ? families : 0;
}

/* True if a thread that computes its part of the op by `share` reads of operand `i`, which was
 * written as buffer `written` by the same share, its own part alone. */
static bool is_own_part(const struct cutting *cut, const struct op *op, uint32_t i,
                        enum share share, uint16_t written)
{
    const struct buf *operand = plan_buf(cut->plan, op->operand[i]);
    const struct buf *result = result_of(cut->plan, op);
    if (letter_of(op, i) != 'x' || op_is_product(op))
        return false;
    switch (share) {
    case SHARE_ROWS: return operand->extent == result->extent;
    case SHARE_COLUMNS:
        return op->operand[i] == written && buf_columns(operand) == buf_columns(result);
    case SHARE_WIDTH: return op->operand[i] == written && operand->width == result->width;
    case SHARE_GROUPS:
        return op->operand[i] == written && joined_families(cut->families, operand->groups) != 0;
    case SHARE_UNITS:
    case SHARE_EACH:
    case SHARE_POSITIONS:
    case SHARE_EXPERTS: break;
    }
    return false;
}

/* True if the op can run in the phase by `share`, its operands being what they are. */
static bool share_fits(const struct cutting *cut, uint32_t number, enum share share)
{
    const struct op *op = &cut->plan->ops[number];
    const struct buf *result = result_of(cut->plan, op);
    if (share == SHARE_GROUPS &&
        (result->groups == 1 || joined_families(cut->families, result->groups) == 0))
        return false;
    for (uint32_t i = 0; i < op_operands(op); i++) {
        uint32_t writer;
        uint16_t written;
        if (!letter_reads(letter_of(op, i)) ||
            !find_part_writer(cut, number, op->operand[i], &writer, &written))
            continue;
        if (cut->turns[writer].share != share || !is_own_part(cut, op, i, share, written))
            return false;
    }
    return true;
}

/* True if nothing but activations of the step is written: what each thread may have for itself. */
static bool can_repeat(const struct cutting *cut, const struct op *op)
{
    if (strchr(shares_of(op), 'r') == NULL)
        return false;
    for (uint32_t i = 0; i < op_operands(op); i++) {
        const struct buf *buf = plan_buf(cut->plan, op->operand[i]);
        if (letter_writes(letter_of(op, i)) && (!buf_is_activation(buf) || buf->kind == BUF_LOGITS))
            return false;
    }
    return true;
}

/* True if the op reads whole rows: products do, and what can be shared by rows alone. */
static bool reads_whole_rows(const struct plan *plan, const struct op *op)
{
    const char *shares = shares_of(op);
    const bool has_groups = result_of(plan, op)->groups > 1;
    return op_is_product(op) || strcmp(shares, "r") == 0 ||
           (!has_groups && strcmp(shares, "gr") == 0);
}

/* True if an op behind needs the results whole. */
static bool is_needed_whole(const struct plan *plan, uint32_t number)
{
    const struct op *op = &plan->ops[number];
    for (uint32_t i = 0; i < op_operands(op); i++) {
        if (!letter_writes(letter_of(op, i)))
            continue;
        for (uint32_t k = number + 1; k < plan->op_count; k++) {
            const struct op *reader = &plan->ops[k];
            for (uint32_t j = 0; reads_whole_rows(plan, reader) && j < op_operands(reader); j++) {
                if (letter_reads(letter_of(reader, j)) &&
                    plan_buf(plan, reader->operand[j])->base ==
                        plan_buf(plan, op->operand[i])->base)
                    return true;
            }
        }
    }
    return false;
}

static bool reads_parts(const struct cutting *cut, uint32_t number)
{
    const struct op *op = &cut->plan->ops[number];
    uint32_t writer;
    uint16_t written;
    for (uint32_t i = 0; i < op_operands(op); i++) {
        if (letter_reads(letter_of(op, i)) &&
            find_part_writer(cut, number, op->operand[i], &writer, &written))
            return true;
    }
    return false;
}

/* The best share by which the op fits into the phase. False if there is none. */
static bool choose_share(const struct cutting *cut, uint32_t number, enum share *share)
{
    const struct op *op = &cut->plan->ops[number];
    if (!reads_parts(cut, number)) {
        *share = SHARE_EACH;
        if (cut->repeat && can_repeat(cut, op) && is_needed_whole(cut->plan, number))
            return true;
        *share = SHARE_UNITS;
        if (shares_of(op)[0] == 0)
            return true;
    }
    for (const char *letter = shares_of(op); *letter != 0; letter++) {
        *share = share_of(*letter);
        if ((*share != SHARE_EXPERTS || !cut->repeat) && share_fits(cut, number, *share))
            return true;
    }
    return false;
}

/* What is known of the phase only now that it is full: of its heads. */
static void close_phase(const struct cutting *cut, uint32_t end)
{
    uint8_t head_map = HEAD_MAP_GROUPED;
    for (uint32_t i = cut->first; i < end; i++) {
        const uint8_t kind = cut->plan->ops[i].kind;
        if (kind == OP_DELTA_RULE || kind == OP_DELTA_RULE_INPLACE ||
            kind == OP_DELTA_RULE_RECORDED)
            head_map = cut->plan->ops[i].head_map;
    }
    for (uint32_t i = cut->first; i < end; i++) {
        cut->turns[i].head_map = head_map;
        cut->turns[i].families = (uint16_t)cut->families;
        cut->turns[i].is_loose = cut->turns[i].share == SHARE_COLUMNS;
    }
    for (uint32_t i = cut->first; i < end; i++) {
        for (uint32_t k = 0; k < op_operands(&cut->plan->ops[i]); k++) {
            uint32_t writer;
            uint16_t written;
            if (letter_reads(letter_of(&cut->plan->ops[i], k)) &&
                find_part_writer(cut, i, cut->plan->ops[i].operand[k], &writer, &written))
                cut->turns[writer].is_loose = false;
        }
    }
}

static void add_op(struct cutting *cut, uint32_t number, enum share share)
{
    const struct op *op = &cut->plan->ops[number];
    cut->turns[number].share = (uint8_t)share;
    for (uint32_t i = 0; share == SHARE_GROUPS && i < op_operands(op); i++) {
        const struct buf *buf = plan_buf(cut->plan, op->operand[i]);
        if (buf_is_activation(buf) && buf->groups > 1)
            cut->families = joined_families(cut->families, buf->groups);
    }
}

uint32_t plan_phases(const struct plan *plan, bool repeat, struct turn *turns)
{
    struct cutting cut = {.plan = plan, .turns = turns, .repeat = repeat};
    uint32_t phase = 0;
    for (uint32_t i = 0; i < plan->op_count; i++) {
        enum share share = SHARE_UNITS;
        if (!choose_share(&cut, i, &share)) {
            close_phase(&cut, i);
            cut.first = i;
            cut.families = 0;
            phase++;
            if (!choose_share(&cut, i, &share))
                share = SHARE_UNITS;
        }
        turns[i] = (struct turn){.phase = (uint16_t)phase};
        add_op(&cut, i, share);
    }
    close_phase(&cut, plan->op_count);
    return plan->op_count == 0 ? 0 : phase + 1;
}
