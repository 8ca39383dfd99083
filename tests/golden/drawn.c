/* SPDX-License-Identifier: MIT
 * Whole models of any shape that the loader takes, under any options. Steps of several sequences
 * give each row what it gets alone, from an engine of one thread and plain options, to the bit: one
 * by one if the sequence has up to 16 rows of the step, else as many at once. And what they give is
 * what the reference does, as near as the level's rounding lets it be. Run alone:
 * build/tests/weir-test drawn_; longer: make long. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/sort.h"
#include "golden/drawn_model.h"
#include "golden/engines.h"
#include "golden/fixture.h"
#include "golden/rounding_reference.h"
#include "run/engine.h"

enum {
    SEQUENCES = 24, /* more than rows that are computed in other ways than many */
    FEW_SEQUENCES = 4,
    LENGTH_MAX = 420, /* more than what products take at a time, in one step */
    EXACT = 16,       /* cpu/kernels.h, EXACT_ROWS */
    CHUNK_ROWS = 64,  /* likewise */
    STEPS_TEXT_MAX = 2048,
};
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { MODELS = 4 };
#else
enum { MODELS = 40 };
#endif

/* A sequence, and the logits of its rows that had some. */
struct sequence {
    struct weir_session *session, *alone;
    int32_t tokens[LENGTH_MAX];
    bool has_logits[LENGTH_MAX];
    bool is_many[LENGTH_MAX]; /* rows of a step in which it had more than EXACT */
    uint32_t length, done;
    float *logits; /* [length, vocab] */
};

struct drawn_trial {
    struct drawn_model model;
    struct weir_engine_options options, plain;
    struct fixture tried, other;
    struct sequence sequences[SEQUENCES];
    uint32_t count, width;
    char steps[STEPS_TEXT_MAX];
};

/* ---- messages -------------------------------------------------------------------------------- */

static void note(struct drawn_trial *t, const char *format, uint32_t a, uint32_t b)
    __attribute__((format(printf, 2, 0)));

/* For who has to find out why it failed. */
static void note(struct drawn_trial *t, const char *format, uint32_t a, uint32_t b)
{
    const size_t length = strlen(t->steps);
    snprintf(t->steps + length, STEPS_TEXT_MAX - length, format, a, b);
}

static void print_trial(const struct drawn_trial *t)
{
    const struct weir_engine_options *o = &t->options;
    printf("%s\n%s %s, %u threads, %u rows of a step, %u with logits, caches of types %d and %d, "
           "%u to go back%s%s%s%s%s%s%s\nsteps%s\n",
           t->model.text, o->backend, o->isa == NULL ? "" : o->isa, o->threads, o->step_rows_max,
           o->logits_rows_max, (int)o->cache_k, (int)o->cache_v, o->rewind_max,
           o->no_repack ? ", as in the file" : "", o->repack_late ? ", packed late" : "",
           o->fuse == WEIR_OFF ? ", not fused" : "",
           o->fused_gdn == WEIR_OFF ? ", rule not fused" : "",
           o->load == WEIR_LOAD_READ ? ", read" : "", o->mtp ? ", with the block" : "",
           o->collect != WEIR_COLLECT_NOTHING ? ", collecting" : "", t->steps);
}

_Noreturn static void fail(const struct drawn_trial *t, const char *what, uint32_t sequence,
                           uint32_t position, double value)
{
    print_trial(t);
    test_fail(__FILE__, __LINE__, "model %llu, sequence %u, token %u: %s (%g)",
              (unsigned long long)t->model.stream, sequence, position, what, value);
}

static void expect_ok(const struct drawn_trial *t, enum weir_status status,
                      const struct weir_error *err)
{
    if (status != WEIR_OK)
        fail(t, err->text, 0, 0, (double)status);
}

/* ---- options --------------------------------------------------------------------------------- */

static enum weir_cache_type draw_cache(struct drawn_model *model)
{
    const bool has_blocks = model->config.head_width % 32 == 0;
    if (drawn_once_in(model, 3))
        return WEIR_CACHE_F32;
    return (enum weir_cache_type)drawn_below(model,
                                             (has_blocks ? WEIR_CACHE_Q4_0 : WEIR_CACHE_BF16) + 1);
}

static void draw_options(struct drawn_trial *t)
{
    static const uint32_t rows[] = {1,   2,   7,   16,  17,  40,  64,  100,
                                    150, 200, 300, 512, 512, 512, 512, 512};
    struct weir_engine_options *o = &t->options;
    struct drawn_model *m = &t->model;
    const uint32_t engine = drawn_below(m, ENGINES_ALL);
    fixture_options(o);
    engines_choose(o, engine);
    o->context = LENGTH_MAX;
    o->threads = drawn_between(m, 1, drawn_once_in(m, 8) ? 24 : 5);
    o->step_rows_max = rows[drawn_below(m, sizeof rows / sizeof rows[0])];
    o->logits_rows_max = drawn_between(m, 1, o->step_rows_max < 64 ? o->step_rows_max : 64);
    o->sessions_max = t->count;
    o->no_repack = drawn_once_in(m, 4);
    o->repack_late = drawn_once_in(m, 3);
    o->load = drawn_once_in(m, 4) ? WEIR_LOAD_READ : WEIR_LOAD_MAP;
    o->cache_k = draw_cache(m);
    o->cache_v = draw_cache(m);
    o->fuse = drawn_once_in(m, 5) ? WEIR_OFF : WEIR_ON;
    o->fused_gdn = drawn_once_in(m, 5) ? WEIR_OFF : WEIR_ON;
    o->rewind_max = o->fused_gdn == WEIR_OFF ? 0 : drawn_below(m, WEIR_REWIND_MAX + 1);
    o->mtp = m->has_mtp && !drawn_once_in(m, 3);
    o->mtp_vocab = drawn_once_in(m, 2) ? drawn_below(m, m->config.vocab) : 0;
    o->collect =
        (enum weir_collect)(drawn_once_in(m, 8) ? drawn_between(m, 1, WEIR_COLLECT_ALL) : 0);
}

/* What gives the same bits. Floats that are never packed have another order, each type of cache its
 * own rounding, and a head of more than 512 rows in BF16 meets many rows in halves, a part of it
 * may not. */
static void choose_plain(struct drawn_trial *t)
{
    struct weir_engine_options *o = &t->plain;
    fixture_options(o);
    o->backend = t->options.backend;
    o->isa = t->options.isa;
    o->context = o->step_rows_max = o->logits_rows_max = LENGTH_MAX;
    o->threads = 1;
    o->sessions_max = t->count;
    o->no_repack = t->options.no_repack;
    o->cache_k = t->options.cache_k;
    o->cache_v = t->options.cache_v;
    o->mtp = t->options.mtp;
    o->mtp_vocab = t->options.mtp_vocab;
    o->collect = t->options.collect;
}

/* ---- bits ------------------------------------------------------------------------------------ */

static void check_bits(const struct drawn_trial *t, uint32_t number, uint32_t position,
                       const float *actual, const float *expected, uint32_t width)
{
    if (actual == NULL || expected == NULL)
        fail(t, "a row is not there", number, position, 0);
    if (memcmp(actual, expected, width * sizeof *actual) != 0)
        fail(t, "other bits than alone, NMSE", number, position,
             test_nmse(actual, expected, width));
}

/* Behind a step of the other engine: `rows` rows of the item from row `first` on. */
static void check_rows(struct drawn_trial *t, uint32_t number, const struct weir_step_item *item,
                       uint32_t first, uint32_t rows, enum weir_logits logits)
{
    struct sequence *s = &t->sequences[number];
    const uint32_t vocab = t->tried.vocab, outs = engine_outs(logits, rows);
    const uint32_t silent = item->count - engine_outs(item->logits, item->count);
    for (uint32_t i = 0; i < rows && t->options.mtp; i++)
        check_bits(t, number, s->done + first + i, weir_session_hidden(s->session, first + i),
                   weir_session_hidden(s->alone, i), t->width);
    for (uint32_t i = 0; i < outs; i++) {
        const uint32_t row = first + rows - outs + i, position = s->done + row;
        if (row < silent)
            continue;
        const float *actual = weir_session_logits(s->session, row - silent);
        check_bits(t, number, position, actual, weir_session_logits(s->alone, i), vocab);
        memcpy(s->logits + (size_t)position * vocab, actual, vocab * sizeof *actual);
        s->has_logits[position] = true;
    }
}

/* Where many rows behind `position` may be cut into two steps of many, which does not show: at a
 * multiple of CHUNK_ROWS positions. 0: nowhere, or it is not wanted. */
static uint32_t draw_cut(struct drawn_model *model, uint32_t position, uint32_t rows)
{
    const uint32_t first = (position + EXACT) / CHUNK_ROWS + 1;
    const uint32_t end = (position + rows - EXACT - 1) / CHUNK_ROWS;
    if (first > end || drawn_once_in(model, 2))
        return 0;
    return drawn_between(model, first, end) * CHUNK_ROWS - position;
}

/* The same tokens by the other engine: a few by steps of any size up to EXACT. */
static void follow_item(struct drawn_trial *t, uint32_t number, const struct weir_step_item *item)
{
    struct sequence *s = &t->sequences[number];
    struct weir_error err = {0};
    const bool is_many = item->count > EXACT;
    const uint32_t cut = is_many ? draw_cut(&t->model, s->done, item->count) : 0;
    const uint32_t few = drawn_between(&t->model, 1, EXACT);
    for (uint32_t at = 0, rows; at < item->count; at += rows) {
        const uint32_t left = item->count - at, most = is_many ? left : few;
        rows = at < cut ? cut : most < left ? most : left;
        enum weir_logits logits = is_many ? item->logits : WEIR_LOGITS_ALL;
        if (at < cut && logits == WEIR_LOGITS_LAST)
            logits = WEIR_LOGITS_NONE;
        expect_ok(t, weir_session_eval(s->alone, item->tokens + at, rows, logits, &err), &err);
        check_rows(t, number, item, at, rows, logits);
    }
    for (uint32_t i = 0; i < item->count; i++)
        s->is_many[s->done + i] = is_many;
    s->done += item->count;
}

/* ---- steps ----------------------------------------------------------------------------------- */

/* Rows of a step, more often as many as there can be than any other number. */
static uint32_t draw_rows(struct drawn_model *model, uint32_t most)
{
    static const uint32_t kinds[] = {1,  2,  5,   EXACT,      EXACT + 1,
                                     40, 64, 133, LENGTH_MAX, LENGTH_MAX};
    const uint32_t kind = kinds[drawn_below(model, sizeof kinds / sizeof kinds[0])];
    const uint32_t end = kind < most ? kind : most;
    return drawn_once_in(model, 2) ? end : drawn_between(model, 1, end);
}

/* All rows, the last, or none, as there is room for. */
static enum weir_logits draw_logits(struct drawn_model *model, uint32_t rows, uint32_t outs)
{
    if (rows <= outs && !drawn_once_in(model, 4))
        return WEIR_LOGITS_ALL;
    return outs > 0 ? WEIR_LOGITS_LAST : WEIR_LOGITS_NONE;
}

/* Some tokens of some of the sequences, in the first step often all, since that is the only one for
 * which weights may be late; returns how many items that are. */
static uint32_t draw_items(struct drawn_trial *t, struct weir_step_item *items, uint32_t *of)
{
    struct drawn_model *m = &t->model;
    uint32_t used = 0, rows = t->options.step_rows_max, outs = t->options.logits_rows_max;
    const bool takes_all = t->steps[0] == 0 && drawn_once_in(m, 2);
    note(t, ";", 0, 0);
    for (uint32_t i = 0; i < t->count; i++) {
        const struct sequence *s = &t->sequences[i];
        const uint32_t left = s->length - s->done, most = left < rows ? left : rows;
        if (most == 0 || (t->count > 1 && !takes_all && drawn_once_in(m, 3)))
            continue;
        const uint32_t count = takes_all ? most : draw_rows(m, most);
        const enum weir_logits logits = draw_logits(m, count, outs);
        rows -= count;
        outs -= engine_outs(logits, count);
        of[used] = i;
        items[used++] = (struct weir_step_item){s->session, s->tokens + s->done, count, logits};
        note(t, " %u+%u", i, count);
    }
    return used;
}

static bool is_done(const struct drawn_trial *t)
{
    for (uint32_t i = 0; i < t->count; i++) {
        if (t->sequences[i].done < t->sequences[i].length)
            return false;
    }
    return true;
}

/* A session goes on as another engine's, which has other options, and has saved it. */
static void exchange(struct drawn_trial *t, uint32_t number)
{
    struct sequence *s = &t->sequences[number];
    const bool is_back = drawn_once_in(&t->model, 2);
    struct weir_session *from = is_back ? s->session : s->alone;
    struct weir_session *to = is_back ? s->alone : s->session;
    struct weir_error err = {0};
    const char *path = test_scratch("drawn.session");
    expect_ok(t, weir_session_save(from, path, &err), &err);
    weir_session_reset(to);
    expect_ok(t, weir_session_load(to, path, &err), &err);
    note(t, is_back ? " %u to the other" : " %u from the other", number, 0);
}

static void take_steps(struct drawn_trial *t)
{
    while (!is_done(t)) {
        struct weir_step_item items[SEQUENCES];
        uint32_t of[SEQUENCES];
        struct weir_error err = {0};
        const uint32_t used = draw_items(t, items, of);
        if (used == 0)
            continue;
        expect_ok(t, weir_engine_step(t->tried.engine, items, used, &err), &err);
        for (uint32_t i = 0; i < used; i++)
            follow_item(t, of[i], &items[i]);
        if (drawn_once_in(&t->model, 8))
            exchange(t, of[0]);
    }
}

/* ---- the reference --------------------------------------------------------------------------- */

/* Rows of logits, or of those of them that have some. */
struct compared {
    const float *actual;
    const bool *has_logits; /* NULL: all */
    uint32_t width;
};

static bool is_compared(const struct compared *compared, uint32_t row)
{
    return compared->has_logits == NULL || compared->has_logits[row];
}

static uint32_t count_compared(const struct compared *compared, uint32_t rows)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < rows; i++)
        count += is_compared(compared, i);
    return count;
}

/* Of the rows that are compared, half are off by no more than errors[0], three quarters by no more
 * than errors[1]. */
static void find_errors(const struct compared *compared, const float *actual, const float *expected,
                        uint32_t rows, double errors[2])
{
    double all[LENGTH_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < rows; i++) {
        const size_t at = (size_t)i * compared->width;
        if (!is_compared(compared, i))
            continue;
        all[count] = test_nmse(actual + at, expected + at, compared->width);
        CHECK(!isnan(all[count]));
        count++;
    }
    sort_f64(all, count);
    errors[0] = all[count / 2];
    errors[1] = all[count * 3 / 4];
}

/* The level's own rounding is in `run`, so errors are those of sums in another order, 1e-8 and less
 * in these models, and where such a one makes a rounding fall the other way, of that. So the larger
 * part of the rows is no further off than rounding, that of caches too, moves the reference at all.
 * A row whose experts are others because of it may be anything, so no single row decides. */
static void check_near(const struct drawn_trial *t, struct reference_run run, uint32_t number,
                       const struct compared *compared)
{
    enum { ROWS_MIN = 8, TIMES = 8 };
    const double floor = t->options.isa == NULL ? 0 : 1e-8;
    struct weir_engine_options exact = t->options;
    double errors[2], usual[2];
    if (count_compared(compared, run.count) < ROWS_MIN)
        return;
    run.isa = t->options.isa;
    float *rounded = reference_run(&run);
    find_errors(compared, compared->actual, rounded, run.count, errors);
    if (!(errors[1] <= floor)) {
        run.isa = NULL;
        run.options = &exact;
        exact.cache_k = exact.cache_v = WEIR_CACHE_F32;
        float *plain = reference_run(&run);
        find_errors(compared, plain, rounded, run.count, usual);
        free(plain);
        for (uint32_t i = 0; i < 2; i++) {
            if (!(errors[i] <= floor + TIMES * usual[i]))
                fail(t, "the rows up to it are not the reference's, NMSE", number, run.count,
                     errors[i]);
        }
    }
    free(rounded);
}

static void check_reference(const struct drawn_trial *t, uint32_t number)
{
    const struct sequence *s = &t->sequences[number];
    const struct compared compared = {s->logits, s->has_logits, t->tried.vocab};
    const struct reference_run run = {.model = t->model.path,
                                      .options = &t->options,
                                      .tokens = s->tokens,
                                      .count = s->length,
                                      .is_many = s->is_many};
    check_near(t, run, number, &compared);
}

/* ---- the block of multi-token prediction ----------------------------------------------------- */

static void put_block(const struct drawn_trial *t, struct weir_session *session,
                      const struct reference_run *run, uint32_t at, uint32_t rows, float *logits)
{
    struct weir_error err = {0};
    const uint32_t vocab = weir_engine_mtp_vocab(session->engine);
    expect_ok(t,
              weir_session_mtp_eval(session, run->tokens + at, run->hidden + (size_t)at * t->width,
                                    rows, WEIR_LOGITS_ALL, &err),
              &err);
    for (uint32_t i = 0; i < rows; i++)
        memcpy(logits + (size_t)(at + i) * vocab, weir_session_mtp_logits(session, i),
               vocab * sizeof *logits);
}

/* Fills both arrays by steps that are the same if they have more rows than EXACT. */
static void run_block(struct drawn_trial *t, const struct reference_run *run, float *logits,
                      float *alone, bool *is_many)
{
    const struct sequence *s = &t->sequences[0];
    for (uint32_t at = 0, rows; at < run->count; at += rows) {
        const uint32_t left = run->count - at, most = t->options.logits_rows_max;
        rows = draw_rows(&t->model, left < most ? left : most);
        put_block(t, s->session, run, at, rows, logits);
        const uint32_t single = rows > EXACT ? rows : 1;
        for (uint32_t i = 0; i < rows; i += single)
            put_block(t, s->alone, run, at + i, single, alone);
        for (uint32_t i = 0; i < rows; i++)
            is_many[at + i] = rows > EXACT;
        note(t, " %u", rows, 0);
    }
}

static float *floats(size_t count)
{
    float *data = calloc(count, sizeof *data);
    CHECK(data != NULL);
    return data;
}

/* Hidden states that no model gives do as well. */
static void check_block(struct drawn_trial *t)
{
    enum { ROWS = 70 };
    const struct sequence *s = &t->sequences[0];
    const uint32_t rows = s->length < ROWS ? s->length : ROWS;
    const uint32_t all = weir_engine_mtp_vocab(t->other.engine);
    const uint32_t part = weir_engine_mtp_vocab(t->tried.engine);
    bool is_many[ROWS];
    float *hidden = floats((size_t)rows * t->width);
    float *logits = floats((size_t)rows * part), *alone = floats((size_t)rows * all);
    for (size_t i = 0; i < (size_t)rows * t->width; i++)
        hidden[i] = (float)((int)(rng_bits(t->model.seed, t->model.stream, i) % 401) - 200) / 100;
    const struct reference_run run = {.model = t->model.path,
                                      .options = &t->options,
                                      .tokens = s->tokens,
                                      .count = rows,
                                      .hidden = hidden,
                                      .is_many = is_many};
    note(t, "; block", 0, 0);
    run_block(t, &run, logits, alone, is_many);
    for (uint32_t i = 0; i < rows; i++)
        check_bits(t, 0, i, logits + (size_t)i * part, alone + (size_t)i * all, part);
    const struct compared compared = {logits, NULL, part};
    check_near(t, run, 0, &compared);
    free(hidden);
    free(logits);
    free(alone);
}

/* ---- sums for importance matrices ------------------------------------------------------------ */

/* Writes what the engine has summed up. */
static struct gguf *take_sums(const struct drawn_trial *t, struct weir_engine *engine)
{
    struct weir_imatrix *imatrix;
    struct gguf *gguf;
    struct weir_error err = {0};
    const char *path = test_scratch("drawn.imatrix");
    expect_ok(t, weir_imatrix_open(&imatrix, &err), &err);
    expect_ok(t, weir_imatrix_take(imatrix, engine, 1, &err), &err);
    expect_ok(t, weir_imatrix_save(imatrix, path, "drawn", &err), &err);
    weir_imatrix_close(imatrix);
    expect_ok(t, gguf_open(&gguf, path, &err), &err);
    return gguf;
}

/* The same rows were added up, in another order; of the head, only those that had logits, which are
 * not the same. */
static void check_sums(const struct drawn_trial *t)
{
    struct gguf *actual = take_sums(t, t->tried.engine);
    struct gguf *expected = take_sums(t, t->other.engine);
    CHECK_INT(actual->tensor_count, expected->tensor_count);
    for (uint64_t i = 0; i < actual->tensor_count; i++) {
        const struct gguf_tensor *a = &actual->tensors[i], *b = &expected->tensors[i];
        CHECK_TEXT(a->name, b->name);
        CHECK_INT(a->bytes, b->bytes);
        const double nmse = test_nmse(gguf_tensor_data(actual, a), gguf_tensor_data(expected, b),
                                      a->bytes / sizeof(float));
        if (strncmp(a->name, "blk.", 4) == 0 && !(nmse <= 1e-10))
            fail(t, a->name, 0, 0, nmse);
    }
    gguf_close(actual);
    gguf_close(expected);
}

/* ---- trials ---------------------------------------------------------------------------------- */

static void open_sequence(struct drawn_trial *t, struct sequence *s)
{
    struct drawn_model *m = &t->model;
    struct weir_error err = {0};
    const uint32_t most = t->count <= FEW_SEQUENCES && drawn_once_in(m, 2) ? LENGTH_MAX : 40;
    s->length = drawn_between(m, 1, most);
    for (uint32_t i = 0; i < s->length; i++)
        s->tokens[i] = (int32_t)drawn_below(m, t->tried.vocab);
    s->logits = floats((size_t)s->length * t->tried.vocab);
    expect_ok(t, weir_session_open(&s->session, t->tried.engine, &err), &err);
    expect_ok(t, weir_session_open(&s->alone, t->other.engine, &err), &err);
}

static void close_sequence(struct sequence *s)
{
    weir_session_close(s->session);
    weir_session_close(s->alone);
    free(s->logits);
}

static bool open_engine(struct drawn_trial *t, struct fixture *fixture,
                        const struct weir_engine_options *options)
{
    struct weir_error err = {0};
    expect_ok(t, weir_model_open(&fixture->model, t->model.path, NULL, &err), &err);
    expect_ok(t, weir_engine_open(&fixture->engine, fixture->model, options, &err), &err);
    fixture->vocab = weir_engine_vocab(fixture->engine);
    return options->isa == NULL || strcmp(weir_engine_isa(fixture->engine), options->isa) == 0;
}

static void try_model(struct drawn_trial *t)
{
    open_engine(t, &t->other, &t->plain);
    t->width = weir_engine_width(t->tried.engine);
    for (uint32_t i = 0; i < t->count; i++)
        open_sequence(t, &t->sequences[i]);
    take_steps(t);
    for (uint32_t i = 0, rows = 0; i < t->count && rows < LENGTH_MAX; i++) {
        check_reference(t, i); /* not all: it takes the most time */
        rows += t->sequences[i].length;
    }
    if (t->options.mtp)
        check_block(t);
    if (t->options.collect != WEIR_COLLECT_NOTHING)
        check_sums(t);
    for (uint32_t i = 0; i < t->count; i++)
        close_sequence(&t->sequences[i]);
    fixture_close(&t->other);
}

/* Returns whether the level is here. */
static bool run_trial(uint64_t stream)
{
    struct drawn_trial *t = calloc(1, sizeof *t);
    CHECK(t != NULL);
    t->model.seed = test_seed();
    t->model.stream = stream;
    drawn_model_write(&t->model, "drawn.gguf");
    t->count = drawn_between(&t->model, 1, drawn_once_in(&t->model, 8) ? SEQUENCES : FEW_SEQUENCES);
    draw_options(t);
    choose_plain(t);
    const bool is_here = open_engine(t, &t->tried, &t->options);
    if (is_here)
        try_model(t);
    fixture_close(&t->tried);
    free(t);
    return is_here;
}

TEST(drawn_models_compute_what_they_should)
{
    uint64_t stream = 0;
    for (uint32_t tried = 0; tried < MODELS; tried += run_trial(stream++))
        ;
}
