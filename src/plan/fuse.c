/* SPDX-License-Identifier: MIT
 * Fusion: a table of rewrites of a plan, and the one function that applies it. Knows nothing of
 * models or speed; that a fused plan computes the same is the reference backend's test.
 *
 * A rewrite matches ops in order of the plan. Letters are variables for buffers; a variable that
 * stands in `match` and not in `make` is a temporary that nothing else may use. The new op takes
 * the place of the last op matched, so no op between may read what it writes. */
#include "plan/plan.h"

#include <string.h>

enum { MATCH_MAX = 3, VARIABLES = 26 };
#define OP_NONE UINT32_MAX /* no op of the plan */

struct pattern {
    enum op_kind kind;
    const char *variables;
};

struct rewrite {
    enum fuse_set set;
    uint32_t count; /* of match */
    struct pattern match[MATCH_MAX];
    struct pattern make;
    uint32_t named_by; /* the matched op that gives role and layer */
};

static const struct rewrite rewrites[] = {
    {FUSE_DELTA_RULE,
     3,
     {{OP_STATE_LOAD, "sz"}, {OP_DELTA_RULE, "qkvdbzuy"}, {OP_STATE_STORE, "us"}},
     {OP_DELTA_RULE_INPLACE, "qkvdbsy"},
     1},
    {FUSE_OTHERS, 2, {{OP_CONV, "xwht"}, {OP_SILU, "ty"}}, {OP_CONV_SILU, "xwhy"}, 0},
    {FUSE_OTHERS,
     3,
     {{OP_ADD_WEIGHT, "xvt"}, {OP_SOFTPLUS, "tu"}, {OP_MUL_WEIGHT, "uwy"}},
     {OP_DECAY, "xvwy"},
     2},
    {FUSE_OTHERS,
     3,
     {{OP_RMS_NORM, "xwt"}, {OP_SILU, "zu"}, {OP_MUL, "tuy"}},
     {OP_GATED_NORM, "xwzy"},
     0},
    {FUSE_OTHERS, 2, {{OP_RMS_NORM, "xwt"}, {OP_ROPE, "tfy"}}, {OP_NORM_ROPE, "xwfy"}, 0},
    {FUSE_OTHERS, 2, {{OP_SIGMOID, "bt"}, {OP_MUL, "aty"}}, {OP_SIGMOID_MUL, "aby"}, 1},
    {FUSE_OTHERS,
     3,
     {{OP_SIGMOID, "ct"}, {OP_MUL_COLUMN, "btu"}, {OP_ADD, "auy"}},
     {OP_ADD_GATED, "abcy"},
     2},
    {FUSE_OTHERS, 2, {{OP_SILU, "at"}, {OP_MUL, "tby"}}, {OP_SWIGLU, "aby"}, 1},
    {FUSE_OTHERS, 2, {{OP_ADD, "abr"}, {OP_RMS_NORM, "rwy"}}, {OP_ADD_NORM, "abwry"}, 1},
};

/* A match being tried: which ops, and what each variable stands for. */
struct match {
    uint32_t op[MATCH_MAX];
    uint16_t variable[VARIABLES];
};

/* Binds the pattern's variables to the op's operands; false if one is bound otherwise already. */
static bool bind(const struct pattern *pattern, const struct op *op, struct match *match)
{
    if (op->kind != pattern->kind)
        return false;
    for (uint32_t i = 0; pattern->variables[i] != 0; i++) {
        uint16_t *bound = &match->variable[pattern->variables[i] - 'a'];
        if (*bound != BUF_NONE && *bound != op->operand[i])
            return false;
        *bound = op->operand[i];
    }
    return true;
}

/* The number of operands of all ops that are buffer `number` or share its base. */
static uint32_t count_uses(const struct plan *plan, uint16_t number)
{
    const uint16_t base = plan->bufs[number].base;
    uint32_t uses = 0;
    for (uint32_t i = 0; i < plan->op_count; i++) {
        const struct op *op = &plan->ops[i];
        for (uint32_t j = 0; j < op_operands(op); j++)
            uses += plan->bufs[op->operand[j]].base == base;
    }
    return uses;
}

/* A temporary is written and read once, both in the match: two operands in all. */
static bool temporaries_are_free(const struct plan *plan, const struct rewrite *rewrite,
                                 const struct match *match)
{
    for (int v = 0; v < VARIABLES; v++) {
        const uint16_t number = match->variable[v];
        if (number == BUF_NONE || strchr(rewrite->make.variables, 'a' + v) != NULL)
            continue;
        if (plan->bufs[number].kind != BUF_ACT || count_uses(plan, number) != 2)
            return false;
    }
    return true;
}

static bool op_is_matched(const struct rewrite *rewrite, const struct match *match, uint32_t op)
{
    for (uint32_t i = 0; i < rewrite->count; i++) {
        if (match->op[i] == op)
            return true;
    }
    return false;
}

static bool op_uses(const struct plan *plan, const struct op *op, uint16_t number)
{
    for (uint32_t i = 0; i < op_operands(op); i++) {
        if (plan->bufs[op->operand[i]].base == plan->bufs[number].base)
            return true;
    }
    return false;
}

/* True if an op that stands before the last one matched, and is not matched itself, uses what the
 * new op will write. */
static bool result_is_needed_early(const struct plan *plan, const struct rewrite *rewrite,
                                   const struct match *match)
{
    const char *letters = op_info(rewrite->make.kind)->operands;
    for (uint32_t i = 0; i < match->op[rewrite->count - 1]; i++) {
        if (op_is_matched(rewrite, match, i))
            continue;
        for (uint32_t k = 0; letters[k] != 0; k++) {
            const uint16_t made = match->variable[rewrite->make.variables[k] - 'a'];
            if (letters[k] == 'y' && op_uses(plan, &plan->ops[i], made))
                return true;
        }
    }
    return false;
}

/* The op before `before` that writes buffer `number`; OP_NONE if there is none. */
static uint32_t find_writer(const struct plan *plan, uint16_t number, uint32_t before)
{
    for (uint32_t i = before; i-- > 0;) {
        const char *letters = op_info(plan->ops[i].kind)->operands;
        for (uint32_t j = 0; letters[j] != 0; j++) {
            if (letters[j] == 'y' && plan->ops[i].operand[j] == number)
                return i;
        }
    }
    return OP_NONE;
}

/* Of what the pattern writes, the buffer that is bound already. */
static uint16_t bound_result(const struct pattern *pattern, const struct match *match)
{
    const char *letters = op_info(pattern->kind)->operands;
    for (uint32_t i = 0; letters[i] != 0; i++) {
        const uint16_t number = match->variable[pattern->variables[i] - 'a'];
        if (letters[i] == 'y' && number != BUF_NONE)
            return number;
    }
    return BUF_NONE;
}

/* Matches from the last op backwards: each earlier op of a rewrite writes what a later one uses. */
static bool find_match(const struct plan *plan, const struct rewrite *rewrite, uint32_t last,
                       struct match *match)
{
    memset(match->variable, 0xff, sizeof match->variable);
    match->op[rewrite->count - 1] = last;
    if (!bind(&rewrite->match[rewrite->count - 1], &plan->ops[last], match))
        return false;
    for (uint32_t i = rewrite->count - 1; i-- > 0;) {
        const uint16_t result = bound_result(&rewrite->match[i], match);
        match->op[i] = find_writer(plan, result, last);
        if (match->op[i] == OP_NONE || !bind(&rewrite->match[i], &plan->ops[match->op[i]], match))
            return false;
    }
    return temporaries_are_free(plan, rewrite, match) &&
           !result_is_needed_early(plan, rewrite, match);
}

/* Puts the new op in the place of the last one matched and takes the others out. */
static void rewrite_match(struct plan *plan, const struct rewrite *rewrite,
                          const struct match *match)
{
    struct op made = {.kind = (uint8_t)rewrite->make.kind};
    made.role = plan->ops[match->op[rewrite->named_by]].role;
    made.layer = plan->ops[match->op[rewrite->named_by]].layer;
    for (uint32_t i = 0; i < rewrite->count; i++) {
        const struct op *op = &plan->ops[match->op[i]];
        made.eps = op->eps != 0 ? op->eps : made.eps;
        made.scale = op->scale != 0 ? op->scale : made.scale;
        made.head_map |= op->head_map;
    }
    for (uint32_t i = 0; rewrite->make.variables[i] != 0; i++)
        made.operand[i] = match->variable[rewrite->make.variables[i] - 'a'];
    plan->ops[match->op[rewrite->count - 1]] = made;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < plan->op_count; i++) {
        bool is_gone = false;
        for (uint32_t j = 0; j + 1 < rewrite->count; j++)
            is_gone |= match->op[j] == i;
        if (!is_gone)
            plan->ops[kept++] = plan->ops[i];
    }
    plan->op_count = kept;
}

void plan_fuse(struct plan *plan, unsigned sets)
{
    if (plan->status != WEIR_OK)
        return;
    for (size_t r = 0; r < sizeof rewrites / sizeof rewrites[0]; r++) {
        if ((rewrites[r].set & sets) == 0)
            continue;
        for (uint32_t i = 0; i < plan->op_count; i++) {
            struct match match;
            if (!find_match(plan, &rewrites[r], i, &match))
                continue;
            rewrite_match(plan, &rewrites[r], &match);
            i -= rewrites[r].count - 1; /* the ops behind moved up */
        }
    }
}
