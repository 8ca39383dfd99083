/* SPDX-License-Identifier: MIT
 * Sessions in files with their ways back: from each of them, and from the end, a loaded session
 * goes on to the bits of the one that was saved, and what is no such file leaves a session as it
 * is. Run alone: build/tests/weir-test ways_ */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "base/rng.h"
#include "golden/fixture.h"
#include "run/engine.h"

#define NANO    "golden/nano-q4_0.gguf"
#define NANOMOE "golden/nanomoe-f32.gguf" /* with the MTP block */

enum { LENGTH = 200, CONTEXT = 256, WAYS = 4, BEHIND = 40 };

static int32_t text[LENGTH];

struct variant {
    const char *model, *backend;
    enum weir_cache_type cache;
    bool mtp;
    uint32_t rewind_max;
};

static const struct variant variants[] = {
    {NANO, "ref", WEIR_CACHE_F32, false, 0},
    {NANO, "cpu", WEIR_CACHE_Q8_0, false, 0},
    {NANO, "cpu", WEIR_CACHE_F16, false, 6},
    {NANOMOE, "cpu", WEIR_CACHE_F16, true, 6},
};
enum { VARIANTS = sizeof variants / sizeof variants[0] };

/* A session with ways back. */
struct held {
    struct fixture fixture;
    struct weir_session *session;
    struct weir_checkpoint *ways[WAYS];
    uint32_t count;
};

/* The session is the second of its engine, whose first one holds something else. */
static void held_open(struct held *held, const struct variant *variant, uint32_t count)
{
    struct weir_engine_options options;
    struct weir_error err = {0};
    fixture_options(&options);
    options.backend = variant->backend;
    options.cache_k = options.cache_v = variant->cache;
    options.mtp = variant->mtp;
    options.rewind_max = variant->rewind_max;
    options.context = CONTEXT;
    options.sessions_max = 2;
    fixture_open(&held->fixture, test_data(variant->model), &options);
    for (uint32_t i = 0; i < LENGTH; i++)
        text[i] = (int32_t)(rng_bits(test_seed(), 1, i) % held->fixture.vocab);
    CHECK_OK(weir_session_eval(held->fixture.session, text + 9, 20, WEIR_LOGITS_NONE, &err), &err);
    CHECK_OK(weir_session_open(&held->session, held->fixture.engine, &err), &err);
    held->count = count;
    for (uint32_t i = 0; i < count; i++)
        CHECK_OK(weir_checkpoint_open(&held->ways[i], held->session, &err), &err);
}

static void held_close(struct held *held)
{
    for (uint32_t i = 0; i < held->count; i++)
        weir_checkpoint_close(held->ways[i]);
    weir_session_close(held->session);
    fixture_close(&held->fixture);
}

static void eval(struct weir_session *session, uint32_t count, enum weir_logits logits)
{
    struct weir_error err = {0};
    const uint32_t from = weir_session_position(session);
    CHECK_OK(weir_session_eval(session, text + from, count, logits, &err), &err);
}

/* A few tokens that could be taken back: their state is not the stored one. */
static void eval_marked(struct weir_session *session, uint32_t count)
{
    struct weir_error err = {0};
    CHECK_OK(weir_session_mark(session, &err), &err);
    eval(session, count, WEIR_LOGITS_NONE);
    weir_session_unmark(session);
}

/* Parts of 1 to 30 tokens with a way back behind each but the last, in no order of their own. */
static void begin(struct held *held, const struct variant *variant, uint64_t round)
{
    for (uint32_t i = 0; i <= held->count; i++) {
        eval(held->session, 1 + (uint32_t)(rng_bits(test_seed(), 2 + round, i) % 30),
             WEIR_LOGITS_NONE);
        if (variant->rewind_max > 0)
            eval_marked(held->session, 1 + (uint32_t)(rng_bits(test_seed(), 3 + round, i) % 5));
        if (i < held->count)
            weir_checkpoint_take(held->ways[(i + round) % held->count]);
    }
    if (round % 3 == 2) /* a way back to where it stands, in place of the first */
        weir_checkpoint_take(held->ways[round % held->count]);
}

static void save(const struct held *held, const char *path)
{
    struct weir_error err = {0};
    CHECK_OK(weir_session_save_ways(held->session, held->ways, held->count, path, &err), &err);
}

static void load(struct held *held, const char *path)
{
    struct weir_error err = {0};
    CHECK_OK(weir_session_load_ways(held->session, held->ways, held->count, path, &err), &err);
}

/* Both stand at the same position and say the same behind it; both end where they began. */
static void check_goes_on(struct held *a, struct held *b)
{
    struct weir_checkpoint *here[2];
    struct weir_error err = {0};
    const uint32_t position = weir_session_position(a->session);
    CHECK_INT(weir_session_position(b->session), position);
    CHECK(memcmp(weir_session_tokens(a->session), weir_session_tokens(b->session),
                 position * sizeof *text) == 0);
    struct held *both[2] = {a, b};
    for (int i = 0; i < 2; i++) {
        CHECK_OK(weir_checkpoint_open(&here[i], both[i]->session, &err), &err);
        weir_checkpoint_take(here[i]);
        eval(both[i]->session, 1, WEIR_LOGITS_NONE);
        eval(both[i]->session, BEHIND, WEIR_LOGITS_LAST);
    }
    CHECK(memcmp(weir_session_logits(a->session, 0), weir_session_logits(b->session, 0),
                 a->fixture.vocab * sizeof(float)) == 0);
    for (int i = 0; i < 2; i++) {
        CHECK_OK(weir_checkpoint_return(here[i], &err), &err);
        weir_checkpoint_close(here[i]);
    }
}

/* The way back at a position; NULL: there is none. */
static struct weir_checkpoint *way_at(const struct held *held, int64_t position)
{
    for (uint32_t i = 0; i < held->count; i++) {
        if (weir_checkpoint_position(held->ways[i]) == position)
            return held->ways[i];
    }
    return NULL;
}

/* Of the last one first: a way back ends those behind it as soon as it is gone on from. */
static int64_t last_way(const struct held *held, int64_t before)
{
    int64_t last = -1;
    for (uint32_t i = 0; i < held->count; i++) {
        const int64_t at = weir_checkpoint_position(held->ways[i]);
        last = at < before && at > last ? at : last;
    }
    return last;
}

/* The newest `count` ways of a are those of b, and b has no other. */
static void check_ways(struct held *a, struct held *b, uint32_t count)
{
    struct weir_error err = {0};
    uint32_t found = 0;
    check_goes_on(a, b);
    for (int64_t at = last_way(b, CONTEXT), before = CONTEXT; at > 0; at = last_way(b, at)) {
        CHECK_INT(last_way(a, before), at);
        before = at;
        found++;
        CHECK_OK(weir_checkpoint_return(way_at(a, at), &err), &err);
        CHECK_OK(weir_checkpoint_return(way_at(b, at), &err), &err);
        check_goes_on(a, b);
    }
    CHECK_INT(found, count);
}

TEST(ways_loaded_sessions_go_on_as_if_never_left)
{
    const char *path = test_scratch("ways.session");
    for (int i = 0; i < 2 * VARIANTS; i++) {
        const struct variant *variant = &variants[i % VARIANTS];
        const uint32_t ways = i < VARIANTS ? WAYS : 2; /* as many as there are, or the newest */
        struct held stayed, loaded;
        held_open(&stayed, variant, WAYS);
        held_open(&loaded, variant, ways);
        begin(&stayed, variant, (uint64_t)i);
        save(&stayed, path);
        begin(&loaded, variant, (uint64_t)i + 100); /* what it holds is replaced */
        load(&loaded, path);
        check_ways(&stayed, &loaded, ways);
        held_close(&loaded);
        held_close(&stayed);
    }
}

TEST(ways_of_a_loaded_session_are_the_same_file)
{
    const char *paths[2] = {test_scratch("ways.one"), test_scratch("ways.two")};
    struct held first, second;
    size_t sizes[2];
    held_open(&first, &variants[2], WAYS);
    held_open(&second, &variants[2], WAYS);
    begin(&first, &variants[2], 0);
    save(&first, paths[0]);
    load(&second, paths[0]);
    save(&second, paths[1]);
    uint8_t *one = test_read_file(paths[0], &sizes[0]), *two = test_read_file(paths[1], &sizes[1]);
    CHECK_INT(sizes[0], sizes[1]);
    CHECK(memcmp(one, two, sizes[0]) == 0);
    free(one);
    free(two);
    held_close(&second);
    held_close(&first);
}

/* Each kind of file is read by each function. */
TEST(ways_and_files_without_are_of_one_kind)
{
    const char *path = test_scratch("ways.kinds");
    struct weir_error err = {0};
    struct held stayed, loaded;
    held_open(&stayed, &variants[1], WAYS);
    held_open(&loaded, &variants[1], WAYS);
    begin(&stayed, &variants[1], 0);
    save(&stayed, path);
    CHECK_OK(weir_session_load(loaded.session, path, &err), &err);
    check_goes_on(&stayed, &loaded);
    CHECK_INT(last_way(&loaded, CONTEXT), -1);
    CHECK_OK(weir_session_save(stayed.session, path, &err), &err);
    load(&loaded, path);
    check_ways(&stayed, &loaded, 0);
    CHECK(weir_session_save_ways(stayed.session, loaded.ways, WAYS, path, &err) != WEIR_OK);
    fixture_check_says(&err, WEIR_ERR_ARGUMENT, "a way back of another session");
    held_close(&loaded);
    held_close(&stayed);
}

/* ---- what is refused ------------------------------------------------------------------------- */

static void write_bytes(const char *path, const uint8_t *bytes, size_t size)
{
    FILE *stream = fopen(path, "wb");
    CHECK(stream != NULL);
    CHECK_INT(fwrite(bytes, 1, size, stream), size);
    CHECK_INT(fclose(stream), 0);
}

/* The session, and the way back that it has, are what they were. */
static void check_refused(struct held *held, const char *path, int64_t way)
{
    struct weir_error err = {0};
    const uint32_t position = weir_session_position(held->session);
    const enum weir_status status =
        weir_session_load_ways(held->session, held->ways, held->count, path, &err);
    if (status != WEIR_ERR_FORMAT && status != WEIR_ERR_FULL && status != WEIR_ERR_UNSUPPORTED)
        test_fail(__FILE__, __LINE__, "status %d: %s", (int)status, err.text);
    CHECK(err.text[0] != 0);
    CHECK_INT(weir_session_position(held->session), position);
    CHECK_INT(last_way(held, CONTEXT), way);
}

TEST(ways_in_a_damaged_file_leave_a_session_as_it_is)
{
    const char *path = test_scratch("ways.whole"), *damaged = test_scratch("ways.damaged");
    struct held stayed, loaded, same;
    size_t size;
    held_open(&stayed, &variants[3], 2);
    held_open(&loaded, &variants[3], 2);
    held_open(&same, &variants[3], 2);
    begin(&stayed, &variants[3], 0);
    begin(&loaded, &variants[3], 50);
    begin(&same, &variants[3], 50);
    save(&stayed, path);
    const int64_t way = last_way(&loaded, CONTEXT);
    uint8_t *bytes = test_read_file(path, &size);
    for (uint64_t i = 0; i < 200; i++) {
        const uint64_t at = rng_bits(test_seed(), 7, i) % size;
        bytes[at] ^= (uint8_t)(1u << rng_bits(test_seed(), 8, i) % 8);
        write_bytes(damaged, bytes, i % 2 == 0 ? size : at);
        check_refused(&loaded, damaged, way);
        bytes[at] ^= (uint8_t)(1u << rng_bits(test_seed(), 8, i) % 8);
    }
    check_refused(&loaded, test_data(NANO), way);
    check_ways(&same, &loaded, 2);
    write_bytes(damaged, bytes, size);
    load(&loaded, damaged);
    check_ways(&stayed, &loaded, 2);
    free(bytes);
    held_close(&same);
    held_close(&loaded);
    held_close(&stayed);
}

/* States of two texts, each whole: the second does not stand on the first. */
TEST(ways_of_two_texts_are_refused)
{
    const char *paths[2] = {test_scratch("ways.a"), test_scratch("ways.b")};
    const char *mixed = test_scratch("ways.mixed");
    uint8_t *bytes[2];
    size_t sizes[2];
    struct held held;
    for (int i = 0; i < 2; i++) {
        held_open(&held, &variants[1], 1);
        text[0] = i;
        eval(held.session, 20, WEIR_LOGITS_NONE);
        weir_checkpoint_take(held.ways[0]);
        eval(held.session, 20, WEIR_LOGITS_NONE);
        save(&held, paths[i]);
        bytes[i] = test_read_file(paths[i], &sizes[i]);
        if (i == 0)
            held_close(&held);
    }
    CHECK_INT(sizes[0], sizes[1]);
    size_t second = sizes[0] - 8;
    while (second > 0 && memcmp(bytes[0] + second, "weirsnap", 8) != 0)
        second--;
    CHECK(second > 0);
    memcpy(bytes[1] + second, bytes[0] + second, sizes[0] - second);
    write_bytes(mixed, bytes[1], sizes[1]);
    check_refused(&held, mixed, 20);
    write_bytes(mixed, bytes[0], sizes[0]);
    load(&held, mixed);
    held_close(&held);
    free(bytes[0]);
    free(bytes[1]);
}

/* ---- want of memory -------------------------------------------------------------------------- */

static void save_and_load(void *argument)
{
    struct held *held = argument;
    const char *path = test_scratch("ways.alloc");
    struct weir_error err = {0};
    const uint32_t position = weir_session_position(held->session);
    enum weir_status status =
        weir_session_save_ways(held->session, held->ways, held->count, path, &err);
    if (status == WEIR_OK)
        status = weir_session_load_ways(held->session, held->ways, held->count, path, &err);
    if (!alloc_failed())
        CHECK_OK(status, &err);
    else
        CHECK(status == WEIR_ERR_MEMORY || status == WEIR_ERR_IO);
    if (weir_session_position(held->session) == position)
        return;
    CHECK(status != WEIR_OK);
    CHECK_INT(weir_session_position(held->session), 0);
    CHECK_INT(last_way(held, CONTEXT), -1);
    begin(held, &variants[2], 0);
}

TEST(ways_alloc_failures_leave_a_session_as_it_is_or_empty)
{
    struct held held;
    held_open(&held, &variants[2], 2);
    begin(&held, &variants[2], 0);
    alloc_test(save_and_load, &held);
    held_close(&held);
}
