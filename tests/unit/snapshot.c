/* SPDX-License-Identifier: MIT
 * Sessions in files: what is loaded goes on to the bits of what was never left, and no damaged byte
 * gets by. Run alone: build/tests/weir-test snapshot_ */
#include "run/snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "base/rng.h"
#include "golden/fixture.h"

#define NANO    "golden/nano-q4_0.gguf"
#define NANOMOE "golden/nanomoe-f32.gguf" /* with the MTP block */

enum { LENGTH = 200, CONTEXT = 256 };

static int32_t text[LENGTH];

static void make_text(uint32_t vocab)
{
    for (uint32_t i = 0; i < LENGTH; i++)
        text[i] = (int32_t)(rng_bits(test_seed(), 1, i) % vocab);
}

/* ---- saved and loaded ------------------------------------------------------------------------ */

struct variant {
    const char *name, *model, *backend;
    enum weir_cache_type cache;
    bool mtp;
    uint32_t rewind_max;
};

static const struct variant variants[] = {
    {"ref", NANO, "ref", WEIR_CACHE_F32, false, 0},
    {"cpu, F16", NANO, "cpu", WEIR_CACHE_F16, false, 0},
    {"cpu, Q8_0", NANO, "cpu", WEIR_CACHE_Q8_0, false, 0},
    {"ref, MTP", NANOMOE, "ref", WEIR_CACHE_F16, true, 0},
    {"cpu, MTP", NANOMOE, "cpu", WEIR_CACHE_F16, true, 0},
    {"ref, pending", NANO, "ref", WEIR_CACHE_F16, false, 6},
    {"cpu, pending, MTP", NANOMOE, "cpu", WEIR_CACHE_F16, true, 6},
};
enum { VARIANTS = sizeof variants / sizeof variants[0] };

static void variant_options(struct weir_engine_options *options, const struct variant *variant)
{
    fixture_options(options);
    options->backend = variant->backend;
    options->cache_k = options->cache_v = variant->cache;
    options->mtp = variant->mtp;
    options->rewind_max = variant->rewind_max;
    options->context = CONTEXT;
    options->sessions_max = 2;
}

static void open_variant(struct fixture *fixture, const struct variant *variant)
{
    struct weir_engine_options options;
    variant_options(&options, variant);
    fixture_open(fixture, test_data(variant->model), &options);
    make_text(fixture->vocab);
}

static void eval(struct weir_session *session, uint32_t first, uint32_t count,
                 enum weir_logits logits)
{
    struct weir_error err = {0};
    CHECK_OK(weir_session_eval(session, text + first, count, logits, &err), &err);
}

/* The MTP block on tokens [first, first + count), with the same hidden state before each. */
static void eval_mtp(struct weir_session *session, uint32_t first, uint32_t count,
                     const float *hidden)
{
    struct weir_error err = {0};
    for (uint32_t i = first; i < first + count; i++)
        CHECK_OK(weir_session_mtp_eval(session, text + i, hidden, 1, WEIR_LOGITS_LAST, &err), &err);
}

/* A session of 75 tokens, by steps of all sizes and, where sessions can, over a detour. */
static void begin(const struct fixture *fixture, const struct variant *variant)
{
    struct weir_error err = {0};
    const uint32_t width = weir_engine_width(fixture->engine);
    struct weir_session *session = fixture->session;
    float *hidden = calloc(width, sizeof *hidden);
    CHECK(hidden != NULL);
    eval(session, 0, 70, WEIR_LOGITS_NONE);
    eval(session, 70, 1, WEIR_LOGITS_NONE);
    if (variant->mtp)
        eval_mtp(session, 0, 60, hidden);
    if (variant->rewind_max > 0)
        CHECK_OK(weir_session_mark(session, &err), &err);
    if (variant->rewind_max > 0) {
        const int32_t detour[6] = {text[71], text[72], text[73], text[74], text[3], text[4]};
        CHECK_OK(weir_session_eval(session, detour, 6, WEIR_LOGITS_LAST, &err), &err);
        CHECK_OK(weir_session_rewind(session, 75, &err), &err);
        CHECK_INT(session->position - session->settled, 4);
    } else {
        eval(session, 71, 4, WEIR_LOGITS_LAST);
    }
    free(hidden);
}

/* The last hidden state, copied; NULL without the block. */
static float *hidden_of(const struct fixture *fixture, const struct variant *variant, uint32_t row)
{
    const size_t bytes = weir_engine_width(fixture->engine) * sizeof(float);
    float *copy = NULL;
    if (variant->mtp) {
        const float *hidden = weir_session_hidden(fixture->session, row);
        CHECK(hidden != NULL);
        copy = malloc(bytes);
        CHECK(copy != NULL);
        memcpy(copy, hidden, bytes);
    }
    return copy;
}

static void check_same(const char *variant, const char *what, const float *a, const float *b,
                       uint64_t count)
{
    CHECK(a != NULL && b != NULL);
    if (memcmp(a, b, count * sizeof *a) != 0)
        test_fail(__FILE__, __LINE__, "%s: %s are not the same", variant, what);
}

/* Both go on from 75 tokens. */
static void check_goes_on(const struct fixture *stayed, const struct fixture *loaded,
                          const struct variant *variant, const float *hidden)
{
    const uint32_t vocab = stayed->vocab, width = weir_engine_width(stayed->engine);
    CHECK_INT(weir_session_position(loaded->session), 75);
    CHECK(memcmp(weir_session_tokens(loaded->session), text, 75 * sizeof *text) == 0);
    if (variant->mtp) {
        CHECK_INT(weir_session_mtp_position(loaded->session), 60);
        check_same(variant->name, "hidden states", hidden, weir_session_hidden(loaded->session, 0),
                   width);
        CHECK(weir_session_hidden(loaded->session, 1) == NULL);
        eval_mtp(stayed->session, 60, 3, hidden);
        eval_mtp(loaded->session, 60, 3, hidden);
        check_same(variant->name, "logits of the block",
                   weir_session_mtp_logits(stayed->session, 0),
                   weir_session_mtp_logits(loaded->session, 0), vocab);
    }
    weir_session_unmark(stayed->session);
    for (uint32_t at = 75, rows = 1; at + rows <= LENGTH; at += rows, rows *= 2) {
        const enum weir_logits logits = rows <= 64 ? WEIR_LOGITS_ALL : WEIR_LOGITS_LAST;
        eval(stayed->session, at, rows, logits);
        eval(loaded->session, at, rows, logits);
        for (uint32_t row = 0; row < (rows <= 64 ? rows : 1); row++)
            check_same(variant->name, "logits", weir_session_logits(stayed->session, row),
                       weir_session_logits(loaded->session, row), vocab);
    }
}

static void check_variant(const struct variant *variant)
{
    const char *path = test_scratch("snapshot.session");
    struct fixture stayed, loaded;
    struct weir_error err = {0};
    open_variant(&stayed, variant);
    begin(&stayed, variant);
    float *hidden = hidden_of(&stayed, variant, 3);
    CHECK_OK(weir_session_save(stayed.session, path, &err), &err);
    open_variant(&loaded, variant);
    /* another place than the one it was saved from, and not the only session */
    struct weir_session *other = loaded.session;
    CHECK_OK(weir_session_open(&loaded.session, loaded.engine, &err), &err);
    CHECK_OK(weir_session_eval(other, text + 50, 40, WEIR_LOGITS_LAST, &err), &err);
    CHECK_OK(weir_session_load(loaded.session, path, &err), &err);
    check_goes_on(&stayed, &loaded, variant, hidden);
    free(hidden);
    weir_session_close(other);
    fixture_close(&loaded);
    fixture_close(&stayed);
}

TEST(snapshot_loaded_sessions_go_on_as_if_never_left)
{
    for (int i = 0; i < VARIANTS; i++)
        check_variant(&variants[i]);
}

/* A loaded session that is saved at once gives the same file. */
TEST(snapshot_of_a_loaded_session_is_the_same_file)
{
    const struct variant *variant = &variants[VARIANTS - 1];
    const char *paths[2] = {test_scratch("snapshot.one"), test_scratch("snapshot.two")};
    struct weir_error err = {0};
    struct fixture first, second;
    size_t sizes[2];
    open_variant(&first, variant);
    begin(&first, variant);
    CHECK_OK(weir_session_save(first.session, paths[0], &err), &err);
    open_variant(&second, variant);
    CHECK_OK(weir_session_load(second.session, paths[0], &err), &err);
    CHECK_OK(weir_session_save(second.session, paths[1], &err), &err);
    uint8_t *one = test_read_file(paths[0], &sizes[0]), *two = test_read_file(paths[1], &sizes[1]);
    CHECK_INT(sizes[0], sizes[1]);
    CHECK(memcmp(one, two, sizes[0]) == 0);
    free(one);
    free(two);
    fixture_close(&second);
    fixture_close(&first);
}

/* ---- what is refused ------------------------------------------------------------------------- */

static void check_refused_by(const char *model, const struct weir_engine_options *options,
                             const char *path, enum weir_status status, const char *part)
{
    struct weir_error err = {0};
    struct fixture fixture;
    fixture_open(&fixture, model, options);
    CHECK(weir_session_load(fixture.session, path, &err) != WEIR_OK);
    fixture_check_says(&err, status, part);
    CHECK_INT(weir_session_position(fixture.session), 0);
    fixture_close(&fixture);
}

static void check_load_refused(const struct variant *variant, const char *path,
                               enum weir_status status, const char *part)
{
    struct weir_engine_options options;
    variant_options(&options, variant);
    check_refused_by(test_data(variant->model), &options, path, status, part);
}

TEST(snapshot_of_another_engine_is_refused)
{
    const char *path = test_scratch("snapshot.other"), *part = "a session of another model";
    const struct variant variant = variants[1],
                         pending = {.name = "", .model = NANO, .backend = "ref", .rewind_max = 6};
    struct variant other;
    struct weir_error err = {0};
    struct fixture fixture;
    open_variant(&fixture, &variant);
    begin(&fixture, &variant);
    CHECK_OK(weir_session_save(fixture.session, path, &err), &err);
    CHECK(weir_session_load(fixture.session, path, &err) != WEIR_OK);
    fixture_check_says(&err, WEIR_ERR_ARGUMENT, "holds 75 tokens, expected an empty one");
    err = (struct weir_error){0};
    weir_session_reset(fixture.session);
    CHECK(weir_session_save(fixture.session, path, &err) != WEIR_OK);
    fixture_check_says(&err, WEIR_ERR_ARGUMENT, "an empty session");
    fixture_close(&fixture);
    check_load_refused((other = variant, other.model = "golden/nano-q8_0.gguf", &other), path,
                       WEIR_ERR_FORMAT, part);
    check_load_refused((other = variant, other.backend = "ref", &other), path, WEIR_ERR_FORMAT,
                       part);
    check_load_refused((other = variant, other.cache = WEIR_CACHE_Q8_0, &other), path,
                       WEIR_ERR_FORMAT, part);
    check_load_refused(&variant, test_scratch("snapshot.none"), WEIR_ERR_IO, "cannot open");
    check_load_refused(&variant, test_data(NANO), WEIR_ERR_FORMAT, "not a saved session of weir");
    open_variant(&fixture, &pending);
    begin(&fixture, &pending);
    err = (struct weir_error){0};
    CHECK_OK(weir_session_save(fixture.session, path, &err), &err);
    fixture_close(&fixture);
    check_load_refused((other = pending, other.rewind_max = 3, &other), path, WEIR_ERR_UNSUPPORTED,
                       "can go back 4 tokens, expected at most 3");
}

/* A copy of the model of which one weight is another. */
static const char *changed_model(void)
{
    const char *path = test_scratch("snapshot.gguf");
    size_t size;
    uint8_t *bytes = test_read_file(test_data(NANO), &size);
    bytes[size - 1] ^= 1;
    FILE *stream = fopen(path, "wb");
    CHECK(stream != NULL);
    CHECK_INT(fwrite(bytes, 1, size, stream), size);
    CHECK_INT(fclose(stream), 0);
    free(bytes);
    return path;
}

static void save_tokens(const char *path, uint32_t count)
{
    struct weir_engine_options options;
    struct weir_error err = {0};
    struct fixture fixture;
    fixture_options(&options);
    fixture_open(&fixture, test_data(NANO), &options);
    make_text(fixture.vocab);
    eval(fixture.session, 0, count, WEIR_LOGITS_NONE);
    CHECK_OK(weir_session_save(fixture.session, path, &err), &err);
    fixture_close(&fixture);
}

TEST(snapshot_of_another_rotary_embedding_or_weight_is_refused)
{
    const char *path = test_scratch("snapshot.rope"), *part = "a session of another model";
    struct weir_engine_options options;
    fixture_options(&options);
    save_tokens(path, 3);
    check_refused_by(changed_model(), &options, path, WEIR_ERR_FORMAT, part);
    options.rope_base = 12345;
    check_refused_by(test_data(NANO), &options, path, WEIR_ERR_FORMAT, part);
}

TEST(snapshot_longer_than_the_context_is_refused)
{
    const char *path = test_scratch("snapshot.long");
    struct weir_engine_options options;
    fixture_options(&options);
    save_tokens(path, 20);
    options.context = 19;
    check_refused_by(test_data(NANO), &options, path, WEIR_ERR_FULL,
                     "20 tokens, but the context holds 19");
}

/* ---- damage ---------------------------------------------------------------------------------- */

struct damaged {
    struct fixture fixture;
    struct snapshot_shape shape;
    uint8_t *bytes, *copy;
    uint64_t size;
};

static void damaged_open(struct damaged *damaged)
{
    const struct variant *variant = &variants[4];
    struct weir_error err = {0};
    struct digest link;
    open_variant(&damaged->fixture, variant);
    eval(damaged->fixture.session, 0, 3, WEIR_LOGITS_NONE);
    damaged->shape = snapshot_shape_make(damaged->fixture.engine);
    const struct snapshot_head head =
        snapshot_head_make(damaged->fixture.session, &damaged->shape, (struct origin){0});
    damaged->size = snapshot_bytes(&head, &damaged->shape);
    damaged->bytes = malloc(damaged->size);
    damaged->copy = malloc(damaged->size);
    CHECK(damaged->bytes != NULL && damaged->copy != NULL);
    CHECK_OK(snapshot_write(damaged->fixture.session, &head,
                            (struct snapshot_sink){.memory = damaged->bytes}, &link, &err),
             &err);
    weir_session_reset(damaged->fixture.session);
}

static void damaged_close(struct damaged *damaged)
{
    free(damaged->bytes);
    free(damaged->copy);
    fixture_close(&damaged->fixture);
}

static enum weir_status read_damaged(struct damaged *damaged, const uint8_t *bytes, uint64_t size)
{
    const struct snapshot_source source = {.memory = bytes, .size = size, .name = "memory"};
    struct snapshot_head head;
    struct digest link;
    return snapshot_read(damaged->fixture.session, &damaged->shape, &source, SNAPSHOT_ALL, &head,
                         &link, NULL);
}

/* All of what is small, and of the rest a byte here and there, another with each seed. */
static bool is_tried(const struct damaged *damaged, uint64_t at)
{
    return at < 200 || damaged->size - at < 40 || rng_bits(test_seed(), 2, at) % 64 == 0;
}

TEST(snapshot_with_a_changed_byte_is_refused)
{
    struct damaged damaged;
    damaged_open(&damaged);
    CHECK_INT(read_damaged(&damaged, damaged.bytes, damaged.size), WEIR_OK);
    memcpy(damaged.copy, damaged.bytes, damaged.size);
    for (uint64_t at = 0; at < damaged.size; at++) {
        if (!is_tried(&damaged, at))
            continue;
        damaged.copy[at] ^= (uint8_t)(1u << rng_bits(test_seed(), 3, at) % 8);
        const enum weir_status status = read_damaged(&damaged, damaged.copy, damaged.size);
        if (status != WEIR_ERR_FORMAT && status != WEIR_ERR_FULL)
            test_fail(__FILE__, __LINE__, "byte %llu: status %d", (unsigned long long)at,
                      (int)status);
        damaged.copy[at] = damaged.bytes[at];
    }
    CHECK_INT(read_damaged(&damaged, damaged.copy, damaged.size), WEIR_OK);
    damaged_close(&damaged);
}

TEST(snapshot_of_another_length_is_refused)
{
    struct damaged damaged;
    damaged_open(&damaged);
    for (uint64_t size = 0; size < damaged.size; size++) {
        if (is_tried(&damaged, size))
            CHECK_INT(read_damaged(&damaged, damaged.bytes, size), WEIR_ERR_FORMAT);
    }
    uint8_t *longer = calloc(1, damaged.size + 1);
    CHECK(longer != NULL);
    memcpy(longer, damaged.bytes, damaged.size);
    CHECK_INT(read_damaged(&damaged, longer, damaged.size + 1), WEIR_ERR_FORMAT);
    free(longer);
    damaged_close(&damaged);
}

/* ---- want of memory -------------------------------------------------------------------------- */

static void save_and_load(void *argument)
{
    struct fixture *fixture = argument;
    const char *path = test_scratch("snapshot.alloc");
    struct weir_error err = {0};
    eval(fixture->session, 0, 3, WEIR_LOGITS_NONE);
    enum weir_status status = weir_session_save(fixture->session, path, &err);
    weir_session_reset(fixture->session);
    if (status == WEIR_OK)
        status = weir_session_load(fixture->session, path, &err);
    CHECK_INT(weir_session_position(fixture->session), status == WEIR_OK ? 3 : 0);
    weir_session_reset(fixture->session);
    if (!alloc_failed())
        CHECK_OK(status, &err);
    else
        CHECK(status == WEIR_ERR_MEMORY || status == WEIR_ERR_IO);
}

TEST(snapshot_alloc_failures_leave_nothing)
{
    struct fixture fixture;
    open_variant(&fixture, &variants[1]);
    alloc_test(save_and_load, &fixture);
    fixture_close(&fixture);
}
