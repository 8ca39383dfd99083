/* SPDX-License-Identifier: MIT
 * Kernels against the reference on shapes, types and steps that are drawn: rows of the table of
 * cases with other numbers. Run alone: build/tests/weir-test kernels_drawn_; longer: make long. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "ops/kernel_trial.h"
#include "test.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { CASES = 60 };
#else
enum { CASES = 300 };
#endif
enum {
    TERMS_MAX = 8 << 20, /* products of two numbers in a case, more or less */
    ROWS_MAX = 600,      /* of a step */
};

/* The choices of a case are a function of the seed and its number. */
struct drawing {
    uint64_t stream, choices;
    struct kernel_case of;
    struct step_shape_info step;
    enum dtype dtype;
};

static uint32_t below(struct drawing *d, uint32_t count)
{
    return (uint32_t)(rng_bits(test_seed(), d->stream, d->choices++) % count);
}

static uint32_t between(struct drawing *d, uint32_t least, uint32_t most)
{
    return least + below(d, most - least + 1);
}

/* Small ones as likely as large ones, in units in which blocks and vectors are measured, or any. */
static uint32_t width(struct drawing *d, uint32_t most)
{
    static const uint32_t units[] = {256, 256, 128, 64, 32, 32, 16, 8, 1, 1};
    const uint32_t drawn = units[below(d, sizeof units / sizeof units[0])];
    const uint32_t unit = drawn > most ? 1 : drawn;
    const double share = below(d, 1 << 16) / 65536.0;
    const uint32_t count = (uint32_t)exp(log(most / unit + 1.0) * share);
    return unit * (count > 0 ? count : 1);
}

/* ---- steps ----------------------------------------------------------------------------------- */

static uint32_t draw_rows(struct drawing *d)
{
    static const uint32_t kinds[] = {1, 1, 4, 8, 15, 16, 17, 18, 33, 70, 133, 265, 530};
    const uint32_t most = kinds[below(d, sizeof kinds / sizeof kinds[0])];
    return below(d, 2) == 0 ? most : between(d, 1, most);
}

/* Some rows are recorded, and some tokens before them are pending: as many as records have room
 * for. */
static void draw_records(struct drawing *d, struct step_seq *seq)
{
    const uint32_t most = seq->cached < STEP_REWIND ? seq->cached : STEP_REWIND;
    seq->pending = seq->settle = below(d, most + 1);
    seq->is_recorded = seq->rows <= STEP_REWIND && below(d, 3) != 0;
    if (!seq->is_recorded)
        return;
    const uint32_t room = STEP_REWIND - seq->rows;
    const uint32_t kept = seq->pending < room ? seq->pending : room;
    seq->settle = seq->pending - below(d, kept + 1);
}

static void draw_step(struct drawing *d)
{
    struct step_shape_info *step = &d->step;
    const uint32_t seqs = between(d, 1, STEP_SEQS_MAX), first_slot = below(d, STEP_SLOTS);
    *step = (struct step_shape_info){.name = "drawn"};
    for (uint32_t i = 0; i < seqs; i++) {
        struct step_seq *seq = &step->seq[step->seqs];
        const uint32_t rows = draw_rows(d);
        *seq = (struct step_seq){.slot = (first_slot + 2 * i) % STEP_SLOTS,
                                 .cached = below(d, 3) == 0 ? 0 : width(d, 2000),
                                 .row_first = step->rows,
                                 .rows = rows};
        if (step->rows + rows > ROWS_MAX)
            break;
        if (d->of.kind == OP_DELTA_RULE_RECORDED)
            draw_records(d, seq);
        step->rows += rows;
        step->seqs++;
    }
    d->of.drawn = step;
}

/* ---- shapes ---------------------------------------------------------------------------------- */

/* Numbers of a case of that kind, as the row of the table uses them. */
static void draw_shape(struct drawing *d)
{
    struct kernel_case *of = &d->of;
    const uint32_t kept_groups = of->G;
    of->G = below(d, 3) == 0 ? 1 : between(d, 1, 12);
    of->W = width(d, 600);
    switch (of->kind) {
    case OP_MATMUL:
        of->G = 1;
        of->W = width(d, below(d, 8) == 0 ? 9000 : 1600);
        of->A = width(d, 700);
        break;
    case OP_EMBED:
        of->G = 1;
        of->A = between(d, 1, 50);
        break;
    case OP_SELECT: of->G = 1; break;
    case OP_EXPERT_MATMUL:
        of->A = width(d, 200);
        of->B = of->G + below(d, 20);
        break;
    case OP_EXPERT_SCALE:
    case OP_EXPERT_SQUARES: of->B = of->G + below(d, 20); break;
    case OP_EXPERT_SUM: of->A = of->W; break;
    case OP_CONCAT: of->A = width(d, 600); break;
    case OP_ROUTE:
        of->G = 1;
        of->A = between(d, 1, of->W < 12 ? of->W : 12);
        break;
    case OP_ROPE:
    case OP_NORM_ROPE:
        of->W += of->W == 1;
        of->A = between(d, 1, of->W / 2);
        break;
    case OP_ATTEND:
        of->W = width(d, 256);
        of->A = of->G * between(d, 1, 8);
        break;
    case OP_CONV:
    case OP_CONV_SILU:
        of->G = 1;
        of->A = below(d, 2) == 0 ? 4 : between(d, 2, 20);
        of->rewind = below(d, 2) == 0 ? 0 : between(d, 1, STEP_REWIND);
        break;
    case OP_STATE_LOAD:
    case OP_STATE_STORE:
    case OP_DELTA_RULE:
    case OP_DELTA_RULE_INPLACE:
    case OP_DELTA_RULE_RECORDED:
        of->G = between(d, 1, 4);
        of->A = of->G * between(d, 1, 4);
        of->W = width(d, 160);
        of->B = below(d, 2) == 0 ? of->W : width(d, 160);
        of->head_map = below(d, 2) == 0 ? HEAD_MAP_TILED : HEAD_MAP_GROUPED;
        break;
    default: of->G = kept_groups == 1 ? 1 : of->G; break;
    }
}

/* A gap is for kinds that some row of the table has with one. */
static bool takes_gap(enum op_kind kind)
{
    for (uint32_t i = 0; i < kernel_cases_count; i++) {
        if (kernel_cases[i].kind == kind && kernel_cases[i].gap > 0)
            return true;
    }
    return false;
}

static double terms(const struct drawing *d)
{
    const struct kernel_case *of = &d->of;
    const double rows = d->step.rows, area = (double)of->G * of->W;
    uint64_t pairs = 0;
    for (uint32_t i = 0; i < d->step.seqs; i++)
        pairs += (uint64_t)d->step.seq[i].rows * (d->step.seq[i].cached + d->step.seq[i].rows);
    switch (of->kind) {
    case OP_MATMUL:
    case OP_EXPERT_MATMUL: return rows * area * of->A;
    case OP_ATTEND: return (double)pairs * of->A * of->W * 2;
    case OP_DELTA_RULE:
    case OP_DELTA_RULE_INPLACE:
    case OP_DELTA_RULE_RECORDED: return 4 * rows * of->A * of->W * of->B;
    default: return rows * area;
    }
}

/* Of fewer numbers all may happen to be small beside their terms, and no bound holds. */
static bool has_results(const struct drawing *d)
{
    enum { RESULTS_MIN = 8 };
    const struct kernel_case *of = &d->of;
    const uint32_t columns = of->kind == OP_MATMUL          ? of->A
                             : of->kind == OP_EXPERT_MATMUL ? of->G * of->A
                                                            : of->G * of->W;
    return d->step.rows * columns >= RESULTS_MIN;
}

/* A row of the table with other numbers, and one of its types. */
static void draw_case(struct drawing *d)
{
    const struct kernel_case *from = &kernel_cases[below(d, kernel_cases_count)];
    enum dtype types[DTYPE_COUNT];
    uint32_t count;
    do {
        d->of = *from;
        d->of.name = "drawn";
        if (d->of.types == TYPES_COMMON)
            d->of.types = TYPES_WEIGHTS;
        draw_step(d);
        draw_shape(d);
        d->of.gap = takes_gap(d->of.kind) && below(d, 2) == 0 ? between(d, 1, 9) : 0;
        d->of.shares_input = from->kind == OP_EXPERT_MATMUL || from->kind == OP_EXPERT_SQUARES
                                 ? below(d, 2) == 0
                                 : from->shares_input;
        count = kernel_case_types(&d->of, types);
    } while (count == 0 || terms(d) > TERMS_MAX || !has_results(d));
    d->dtype = types[below(d, count)];
}

/* ---- trials ---------------------------------------------------------------------------------- */

_Noreturn static void fail(const struct drawing *d, const struct kernels *kernels,
                           const struct trial_result *result)
{
    const struct kernel_case *of = &d->of;
    printf("%s %s: G %u, W %u, A %u, B %u, gap %u, map %d, %u to go back%s%s; rows",
           op_info(of->kind)->name, dtype_info(d->dtype)->name, of->G, of->W, of->A, of->B, of->gap,
           (int)of->head_map, of->rewind, of->is_fine ? ", fine" : "",
           of->shares_input ? ", one input" : "");
    for (uint32_t i = 0; i < d->step.seqs; i++)
        printf(" %u behind %u (%u pending, %u settled%s)", d->step.seq[i].rows,
               d->step.seq[i].cached, d->step.seq[i].pending, d->step.seq[i].settle,
               d->step.seq[i].is_recorded ? ", recorded" : "");
    printf("\n");
    test_fail(__FILE__, __LINE__, "case %llu, level %s: NMSE %g, %s", (unsigned long long)d->stream,
              kernels->level, result->nmse, result->fault);
}

/* Levels whose tiles are trapped take too long: `emulated` has their bits (kernels.c). */
static void try_case(uint64_t stream)
{
    struct drawing d = {.stream = stream};
    const struct kernels *kernels;
    enum level_presence presence;
    draw_case(&d);
    struct trial *trial = trial_open(&d.of, d.dtype, test_seed() + stream, false);
    for (uint32_t i = 0; (kernels = trial_level(i, &presence)) != NULL; i++) {
        struct trial_result result;
        if (presence != LEVEL_PRESENT)
            continue;
        trial_check(trial, kernels, &result);
        if (result.fault[0] != 0)
            fail(&d, kernels, &result);
    }
    trial_close(trial);
}

TEST(kernels_drawn_cases_compute_what_the_reference_does)
{
    for (uint32_t i = 0; i < CASES; i++)
        try_case(i);
}
