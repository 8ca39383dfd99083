/* SPDX-License-Identifier: MIT
 * Kernels of attention at every level of instructions: a row's bits against its own in other
 * company, shared by other numbers of threads, and numbers against the reference, for every type of
 * cache. Run alone: build/tests/weir-test attention_ */
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "cpu/attend.h"
#include "cpu/kernels.h"
#include "format/codec.h"
#include "quant/encode.h"
#include "ref/ref.h"

/* POSITIONS lie where the size of a chunk changes, so that a run of rows has two. */
enum { GROUPS = 2, HEADS = 6, WIDTH = 64, POSITIONS = 4120, SLOTS = 2, THREADS_MAX = 17 };
enum { COLUMNS = HEADS * WIDTH, CACHED = POSITIONS * GROUPS * WIDTH };

static const char *const levels[] = {
#define LEVEL(id, features) #id,
#include "cpu/levels.def"
};

struct attention {
    struct op op;
    struct host_operand q, k, v;
    float *queries; /* [POSITIONS][COLUMNS] */
    uint8_t *keys, *values;
    float *scratch, *parts;
    struct attend_place *places;
    const struct kernels *kernels;
};

static float *random_floats(uint64_t count, uint64_t stream)
{
    float *values = malloc(count * sizeof *values);
    CHECK(values != NULL);
    for (uint64_t i = 0; i < count; i++)
        values[i] = (float)rng_normal(test_seed(), stream, i);
    return values;
}

static struct host_operand heads_of(void *data, uint64_t rows, uint32_t groups, enum dtype dtype)
{
    return (struct host_operand){.data = data,
                                 .dtype = dtype,
                                 .rows = rows,
                                 .width = WIDTH,
                                 .groups = groups,
                                 .stride = WIDTH,
                                 .pitch = dtype_row_bytes(dtype, (uint64_t)groups * WIDTH),
                                 .slot_bytes = POSITIONS * dtype_row_bytes(dtype, GROUPS * WIDTH)};
}

/* Random numbers as a cache of some type has them, for two sequences. */
static uint8_t *random_cache(enum dtype dtype, uint64_t stream)
{
    float *floats = random_floats(SLOTS * CACHED, stream);
    uint8_t *cache = malloc(dtype_row_bytes(dtype, SLOTS * CACHED));
    CHECK(cache != NULL);
    encode_row(dtype, floats, NULL, cache, SLOTS * CACHED);
    free(floats);
    return cache;
}

static void attention_open(struct attention *a, enum dtype keys, enum dtype values)
{
    const uint64_t parts = attend_parts_count(HEADS / GROUPS, WIDTH);
    *a = (struct attention){.op = {.kind = OP_ATTEND, .scale = 0.125f}};
    a->queries = random_floats((uint64_t)POSITIONS * COLUMNS, 1);
    a->keys = random_cache(keys, 2);
    a->values = random_cache(values, 3);
    a->scratch = malloc(attend_scratch_floats(HEADS / GROUPS, WIDTH) * sizeof *a->scratch);
    a->parts = malloc(THREADS_MAX * parts * sizeof *a->parts);
    a->places = calloc(THREADS_MAX, sizeof *a->places);
    CHECK(a->scratch != NULL && a->parts != NULL && a->places != NULL);
    a->k = heads_of(a->keys, 1, GROUPS, keys);
    a->v = heads_of(a->values, 1, GROUPS, values);
}

static void attention_close(struct attention *a)
{
    free(a->queries);
    free(a->keys);
    free(a->values);
    free(a->scratch);
    free(a->parts);
    free(a->places);
}

/* The step's rows to `out`; row r of a sequence has the query of its position. One thread after the
 * other: the last one first if `reverse`. */
static void attend(const struct attention *a, const struct step *step, uint32_t threads,
                   bool reverse, float *out)
{
    float *queries = malloc((uint64_t)step->rows * COLUMNS * sizeof *queries);
    CHECK(queries != NULL);
    for (uint32_t s = 0; s < step->seqs; s++) {
        const struct step_seq *seq = &step->seq[s];
        memcpy(queries + (uint64_t)seq->row_first * COLUMNS,
               a->queries + (uint64_t)seq->cached * COLUMNS,
               (uint64_t)seq->rows * COLUMNS * sizeof *queries);
    }
    const struct attend_team team = {threads, a->places, a->parts,
                                     attend_parts_count(HEADS / GROUPS, WIDTH)};
    struct cpu_call call = {.op = &a->op, .step = step, .scratch = a->scratch, .team = &team};
    const struct part all = {0, step->rows, 0, COLUMNS};
    call.at[0] = heads_of(queries, step->rows, HEADS, DTYPE_F32);
    call.at[1] = a->k;
    call.at[2] = a->v;
    call.at[3] = heads_of(out, step->rows, HEADS, DTYPE_F32);
    memset(out, 0xff, (uint64_t)step->rows * COLUMNS * sizeof *out);
    for (uint32_t t = 0; t < threads; t++) {
        call.thread = reverse ? threads - 1 - t : t;
        a->kernels->op[OP_ATTEND](&call, &all);
    }
    free(queries);
}

/* ---- bits ------------------------------------------------------------------------------------ */

enum { ROWS = 45, FIRST = POSITIONS - ROWS };

/* Two sequences in a step: a few rows early in the second slot, then all ROWS of the first. */
static const struct step_seq company[] = {
    {.slot = 1, .cached = 700, .row_first = 0, .rows = 3},
    {.slot = 0, .cached = FIRST, .row_first = 3, .rows = ROWS},
};
static const struct step both = {.rows = 3 + ROWS, .seqs = 2, .seq = company};

/* The same beside rows of the first that are few. */
static const struct step_seq few_rows[] = {
    {.slot = 1, .cached = 700, .row_first = 0, .rows = 3},
    {.slot = 0,
     .cached = FIRST + ATTEND_KEYS - FIRST % ATTEND_KEYS,
     .row_first = 3,
     .rows = EXACT_ROWS},
};
static const struct step few = {.rows = 3 + EXACT_ROWS, .seqs = 2, .seq = few_rows};

/* Where a level computes many rows in pairs of BF16 (kernel_attend_pairs.c). */
static bool has_pairs(const struct attention *a)
{
    const char *level = a->kernels->level;
    return (strcmp(level, "amx") == 0 || strcmp(level, "v4_bf16") == 0) &&
           a->k.dtype != DTYPE_F32 && a->v.dtype != DTYPE_F32;
}

/* Rows [begin, end) of the first sequence, in steps of `rows`, have the bits of `expected`. */
static void check_steps(const struct attention *a, uint32_t begin, uint32_t end, uint32_t rows,
                        const float *expected)
{
    static float actual[ROWS * COLUMNS];
    for (uint32_t row = begin; row < end; row += rows) {
        const struct step_seq seq = {.cached = FIRST + row,
                                     .rows = end - row < rows ? end - row : rows};
        const struct step step = {.rows = seq.rows, .seqs = 1, .seq = &seq};
        attend(a, &step, 1 + row % 5, row % 2, actual);
        CHECK(memcmp(actual, expected + (row - begin) * COLUMNS,
                     (uint64_t)seq.rows * COLUMNS * sizeof *actual) == 0);
    }
}

/* In any company and with any number of threads. Many rows are what they are however a step is cut
 * at a multiple of ATTEND_KEYS positions, EXACT_ROWS at most also row by row. */
static void check_bits(struct attention *a, const char *level)
{
    enum { EDGE = ATTEND_KEYS - FIRST % ATTEND_KEYS };
    struct weir_error err = {0};
    static float expected[(3 + ROWS) * COLUMNS], actual[(3 + ROWS) * COLUMNS];
    const float *first = expected + 3 * COLUMNS; /* of the first sequence */
    CHECK_OK(cpu_select(&a->kernels, level, &err), &err);
    attend(a, &both, 1, false, expected);
    for (uint32_t threads = 2; threads <= THREADS_MAX; threads += 3) {
        attend(a, &both, threads, threads % 2, actual);
        CHECK(memcmp(actual, expected, sizeof expected) == 0);
    }
    check_steps(a, 0, ROWS, ROWS, first);
    check_steps(a, 0, EDGE, EDGE, first);
    check_steps(a, EDGE, ROWS, ROWS, first + EDGE * COLUMNS);
    if (!has_pairs(a))
        check_steps(a, 0, ROWS, 1, first);
    attend(a, &few, 2, false, expected);
    check_steps(a, EDGE, EDGE + EXACT_ROWS, 1, first);
}
_Static_assert((int)ROWS > (int)EXACT_ROWS + ATTEND_KEYS - FIRST % ATTEND_KEYS &&
                   ATTEND_KEYS - FIRST % ATTEND_KEYS > (int)EXACT_ROWS,
               "many rows on both sides of the edge");

/* With a sanitizer the cases of kernels do: they have the same op under it, at other shapes. */
TEST(attention_of_a_row_knows_no_company_and_no_threads)
{
    test_skip_if_sanitized();
    static const enum dtype types[] = {DTYPE_F32, DTYPE_F16, DTYPE_BF16, DTYPE_Q8_0};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct attention a;
        attention_open(&a, types[i], types[(i + 1) % 4]);
        for (size_t l = 0; l < sizeof levels / sizeof levels[0]; l++)
            check_bits(&a, levels[l]);
        attention_close(&a);
    }
}

/* ---- numbers --------------------------------------------------------------------------------- */

/* What the reference makes of the same rows, with the cache as floats. */
static float *expected_rows(const struct attention *a, const struct step *step)
{
    float *keys = malloc(CACHED * sizeof *keys), *values = malloc(CACHED * sizeof *values);
    float *out = malloc((uint64_t)step->rows * COLUMNS * sizeof *out), scratch[POSITIONS];
    struct ref_call call = {.op = &a->op, .step = step, .rows = step->rows, .scratch = scratch};
    CHECK(keys != NULL && values != NULL && out != NULL);
    codec_decode_row(a->k.dtype, a->keys, keys, CACHED);
    codec_decode_row(a->v.dtype, a->values, values, CACHED);
    call.at[0] =
        heads_of(a->queries + (uint64_t)step->seq->cached * COLUMNS, step->rows, HEADS, DTYPE_F32);
    call.at[1] = heads_of(keys, 1, GROUPS, DTYPE_F32);
    call.at[2] = heads_of(values, 1, GROUPS, DTYPE_F32);
    call.at[3] = heads_of(out, step->rows, HEADS, DTYPE_F32);
    ref_attend(&call, 0, ref_units(&call));
    free(keys);
    free(values);
    return out;
}

/* Both sum some 4000 products in F32, in other orders: about sqrt(4000) / 2^24 of their size, which
 * is 1e-11 squared. With pairs of BF16 it is 5e-6 for the scores, whose variance is 1, and as much
 * for what is weighed by them (kernel_case_bound). */
static void check_numbers(struct attention *a, const struct step *step)
{
    const uint64_t count = (uint64_t)step->rows * COLUMNS;
    float *expected = expected_rows(a, step), *actual = malloc(count * sizeof *actual);
    CHECK(actual != NULL);
    for (size_t l = 0; l < sizeof levels / sizeof levels[0]; l++) {
        struct weir_error err = {0};
        CHECK_OK(cpu_select(&a->kernels, levels[l], &err), &err);
        attend(a, step, 3, false, actual);
        const double nmse = test_nmse(actual, expected, count);
        if (!(nmse <= (has_pairs(a) ? 2e-5 : 1e-11)))
            test_fail(__FILE__, __LINE__, "%s and %s, level %s: NMSE %g",
                      dtype_info(a->k.dtype)->name, dtype_info(a->v.dtype)->name, a->kernels->level,
                      nmse);
    }
    free(expected);
    free(actual);
}

TEST(attention_over_every_type_of_cache)
{
    static const enum dtype types[] = {DTYPE_F32,  DTYPE_F16,    DTYPE_BF16, DTYPE_Q8_0, DTYPE_Q4_0,
                                       DTYPE_Q4_1, DTYPE_IQ4_NL, DTYPE_Q5_0, DTYPE_Q5_1};
    static const struct step_seq late = {.cached = FIRST, .rows = ROWS}, early = {.rows = 70};
    const struct step steps[] = {{.rows = ROWS, .seqs = 1, .seq = &late},
                                 {.rows = 70, .seqs = 1, .seq = &early}};
    test_skip_if_sanitized();
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct attention a;
        attention_open(&a, types[i], types[(i + 4) % 9]);
        check_numbers(&a, &steps[0]);
        check_numbers(&a, &steps[1]);
        attention_close(&a);
    }
}

/* ---- rotary embedding ------------------------------------------------------------------------ */

enum { PAIRS = 24, SPREAD = 1 << 24 };

/* Cosines and sines at a position: what becomes of pairs of 1 and 0. */
static void check_turns(const struct kernels *kernels, uint32_t position)
{
    double frequencies[PAIRS];
    float x[2 * PAIRS] = {0}, y[2 * PAIRS];
    const struct op op = {.kind = OP_ROPE, .scale = 1.0f};
    const struct step_seq seq = {.cached = position, .rows = 1};
    const struct step step = {.rows = 1, .seqs = 1, .seq = &seq};
    struct cpu_call call = {.op = &op, .step = &step};
    for (uint32_t i = 0; i < PAIRS; i++) {
        frequencies[i] = pow(1e7, -(double)i / PAIRS);
        x[i] = 1.0f;
    }
    call.at[0] = call.at[2] = (struct host_operand){.data = (uint8_t *)x,
                                                    .dtype = DTYPE_F32,
                                                    .rows = 1,
                                                    .width = 2 * PAIRS,
                                                    .groups = 1,
                                                    .stride = 2 * PAIRS,
                                                    .pitch = sizeof x};
    call.at[1] = (struct host_operand){.data = (uint8_t *)frequencies, .width = PAIRS};
    call.at[2].data = (uint8_t *)y;
    kernels->op[OP_ROPE](&call, &(struct part){0, 1, 0, 2 * PAIRS});
    for (uint32_t i = 0; i < PAIRS; i++) {
        const double angle = (double)position * frequencies[i];
        CHECK(fabs(y[i] - cos(angle)) <= 3.1e-8 && fabs(y[i + PAIRS] - sin(angle)) <= 3.1e-8);
    }
}

/* Half a unit of F32 below 1 is 2^-25, 3e-8. */
TEST(attention_turns_are_those_of_the_library)
{
    for (size_t l = 0; l < sizeof levels / sizeof levels[0]; l++) {
        const struct kernels *kernels;
        struct weir_error err = {0};
        CHECK_OK(cpu_select(&kernels, levels[l], &err), &err);
        for (uint32_t i = 0; i < 20000; i++) {
            check_turns(kernels, i);
            check_turns(kernels, (uint32_t)(rng_bits(test_seed(), 9, i) % SPREAD));
        }
        check_turns(kernels, (1u << 30) - 1);
    }
}
