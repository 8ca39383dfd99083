/* SPDX-License-Identifier: MIT
 * The prefix cache, in memory and in a folder: the longest prefix, budgets, and what damage and
 * want of memory leave. Run alone: build/tests/weir-test cache_ */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "base/rng.h"
#include "folder.h"
#include "run/snapshot.h"
#include "unit/cache_room.h"

/* ---- file systems with coarse times ---------------------------------------------------------- */

static bool is_coarse; /* times of files are whole seconds */

/* The linker's names, as in alloc.c. */
int __wrap_utimensat(int folder, const char *path, const struct timespec times[2], int flags);
int __real_utimensat(int folder, const char *path, const struct timespec times[2], int flags);

int __wrap_utimensat(int folder, const char *path, const struct timespec times[2], int flags)
{
    struct timespec rounded[2] = {times[0], times[1]};
    for (int i = 0; i < 2 && is_coarse; i++)
        rounded[i].tv_nsec = 0;
    return __real_utimensat(folder, path, rounded, flags);
}

/* ---- prefixes -------------------------------------------------------------------------------- */

static const uint32_t ends[] = {10, 25, 60, 0};

static void check_prefixes(struct room *room)
{
    int32_t edited[ROOM_TEXT];
    room_put_text(room, ends);
    room_check_held(room, room_text, ROOM_TEXT, 60);
    room_check_held(room, room_text, 61, 60);
    room_check_held(room, room_text, 60, 25); /* one token must be left */
    room_check_held(room, room_text, 25, 10);
    room_check_held(room, room_text, 10, 0);
    memcpy(edited, room_text, sizeof room_text);
    edited[40] ^= 1;
    room_check_held(room, edited, ROOM_TEXT, 25);
    edited[10] ^= 1;
    room_check_held(room, edited, ROOM_TEXT, 10);
    edited[9] ^= 1;
    room_check_held(room, edited, ROOM_TEXT, 0);
    CHECK_INT(room->warnings, 0);
}

TEST(cache_begins_with_the_longest_prefix)
{
    const char *dir = folder_fresh("cache.prefixes");
    struct room room;
    struct weir_cache_stats stats;
    room_open(&room, NANO, 1 << 30, NULL, 0);
    check_prefixes(&room);
    weir_cache_stats(room.cache, &stats);
    CHECK_INT(stats.snapshots, 3);
    CHECK_INT(stats.lookups, 8);
    CHECK_INT(stats.hits, 6);
    CHECK_INT(stats.tokens_held, 60 + 60 + 25 + 10 + 25 + 10);
    room_close(&room);
    room_open(&room, NANO, 0, dir, 1 << 30);
    check_prefixes(&room);
    CHECK_INT(folder_files(dir), 3);
    room_close(&room);
    room_open(&room, NANO, 0, dir, 1 << 30); /* another process, later */
    room_check_held(&room, room_text, ROOM_TEXT, 60);
    check_prefixes(&room);
    CHECK_INT(folder_files(dir), 3);
    room_close(&room);
}

/* Looking for a text writes it where the session's own tokens stood, also if it is not found. */
TEST(cache_ends_checkpoints)
{
    static const int32_t other[20] = {1, 2, 3};
    struct weir_checkpoint *checkpoint;
    struct weir_error err = {0};
    struct room room;
    room_open(&room, NANO, 1 << 30, NULL, 0);
    CHECK_OK(weir_checkpoint_open(&checkpoint, room.fixture.session, &err), &err);
    room_eval(&room, room_text, 20);
    weir_checkpoint_take(checkpoint);
    CHECK_INT(weir_checkpoint_position(checkpoint), 20);
    CHECK_INT(room_get(&room, other, 20), 0);
    CHECK_INT(weir_checkpoint_position(checkpoint), -1);
    CHECK_INT(weir_checkpoint_return(checkpoint, NULL), WEIR_ERR_ARGUMENT);
    weir_checkpoint_close(checkpoint);
    room_close(&room);
}

/* Each row of the caches is held once: three snapshots are as large as one and two more states. */
TEST(cache_holds_rows_once)
{
    static const uint32_t one[] = {60, 0};
    struct room room;
    room_open(&room, NANO, 1 << 30, NULL, 0);
    room_put_text(&room, one);
    const uint64_t whole = room_memory_bytes(&room);
    weir_cache_close(room.cache);
    room_open_cache(&room, 1 << 30, NULL, 0);
    room_put_text(&room, ends);
    const uint64_t chain = room_memory_bytes(&room);
    struct weir_memory memory;
    struct weir_error err = {0};
    struct weir_engine_options options;
    fixture_options(&options);
    options.backend = "ref";
    CHECK_OK(weir_memory_estimate(room.fixture.model, &options, &memory, &err), &err);
    const uint64_t heads = 2 * (96 + 3 * 16) + (10 + 25) * sizeof(int32_t);
    CHECK_INT(chain - whole, 2 * memory.state_session + heads);
    /* a branch stands on what both have */
    room_text[30] ^= 1;
    CHECK_INT(room_get(&room, room_text, ROOM_TEXT), 25);
    room_eval(&room, room_text + 25, 35);
    room_put(&room);
    CHECK(room_memory_bytes(&room) - chain < whole - 25 * memory.kv_per_token + 1);
    room_check_held(&room, room_text, ROOM_TEXT, 60);
    room_close(&room);
}

/* Rows that were computed apart, or came from a file, are found to be the same. */
static void check_rows_once(const char *model, uint64_t bytes_max, const char *dir)
{
    const char *path = test_scratch("cache.session");
    struct weir_session *other;
    struct weir_error err = {0};
    struct room room;
    room_open(&room, model, bytes_max, dir, 1 << 30);
    room_put_text(&room, ends);
    const uint64_t once = dir == NULL ? room_memory_bytes(&room) : room_folder_bytes(dir);
    CHECK_OK(weir_session_save(room.fixture.session, path, &err), &err);
    CHECK_OK(weir_session_open(&other, room.fixture.engine, &err), &err);
    CHECK_OK(weir_session_load(other, path, &err), &err);
    CHECK_OK(weir_cache_put(room.cache, other, 0, &err), &err); /* is there */
    CHECK_INT(dir == NULL ? room_memory_bytes(&room) : room_folder_bytes(dir), once);
    CHECK_OK(weir_session_eval(other, room_text + 60, 20, WEIR_LOGITS_LAST, &err), &err);
    CHECK_OK(weir_cache_put(room.cache, other, 0, &err), &err);
    const uint64_t longer = dir == NULL ? room_memory_bytes(&room) : room_folder_bytes(dir);
    weir_session_reset(room.fixture.session);
    room_eval(&room, room_text, 60);
    room_eval(&room, room_text + 60, 30);
    room_put(&room);
    const uint64_t apart = dir == NULL ? room_memory_bytes(&room) : room_folder_bytes(dir);
    const uint64_t row_bytes = snapshot_shape_make(room.fixture.engine).row_bytes;
    CHECK_INT(apart - longer, longer - once + 10 * sizeof(int32_t) - 10 * row_bytes);
    weir_session_close(other);
    room_check_held(&room, room_text, ROOM_TEXT, 90);
    room_check_held(&room, room_text, 90, 80);
    room_close(&room);
}

TEST(cache_finds_rows_that_it_has)
{
    check_rows_once(NANO, 1 << 30, NULL);
    check_rows_once(NANO, 0, folder_fresh("cache.once"));
    check_rows_once(NANOMOE, 1 << 30, NULL);
}

/* Texts of one salt are not found with another, nor without, in memory nor in the folder. */
static void check_salts(uint64_t bytes_max, const char *dir)
{
    static const uint64_t salts[] = {0, 7, 8};
    struct room room;
    struct weir_error err = {0};
    uint32_t held;
    room_open(&room, NANO, bytes_max, dir, dir == NULL ? 0 : 1 << 30);
    room_eval(&room, room_text, 20);
    CHECK_OK(weir_cache_put(room.cache, room.fixture.session, 7, &err), &err);
    room_eval(&room, room_text + 20, 20);
    CHECK_OK(weir_cache_put(room.cache, room.fixture.session, 8, &err), &err);
    for (int i = 0; i < 3; i++) {
        weir_session_reset(room.fixture.session);
        CHECK_OK(weir_cache_get(room.cache, room.fixture.session, salts[i], room_text, ROOM_TEXT,
                                &held, &err),
                 &err);
        CHECK_INT(held, i * 20);
    }
    room_close(&room);
}

TEST(cache_keeps_salts_apart)
{
    check_salts(1 << 30, NULL);
    check_salts(0, folder_fresh("cache.salts"));
}

/* A conversation: each turn is kept, restored by the next, and stands on the one before. */
TEST(cache_follows_a_conversation)
{
    const char *dir = folder_fresh("cache.turns");
    struct room room;
    for (uint32_t turn = 1; turn <= 5; turn++) {
        room_open(&room, NANOMOE, 0, dir, 1 << 30);
        room_check_held(&room, room_text, turn * 20, turn == 1 ? 0 : turn * 20 - 20);
        room_put(&room);
        room_put(&room); /* again is nothing */
        CHECK_INT(folder_files(dir), turn);
        CHECK_INT(room.warnings, 0);
        room_close(&room);
    }
}

/* ---- budgets --------------------------------------------------------------------------------- */

/* Texts that differ from the first token on, each kept at 5 and 10 tokens. */
static void put_texts(struct room *room, int count)
{
    static const uint32_t two[] = {5, 10, 0};
    for (int i = 0; i < count; i++) {
        room_text[0] = i;
        room_put_text(room, two);
    }
}

static uint32_t held_of(struct room *room, int32_t number)
{
    room_text[0] = number;
    return room_get(room, room_text, 20);
}

TEST(cache_in_memory_keeps_its_budget)
{
    struct room room;
    const uint64_t bytes = room_bytes_of(NANO, 10);
    room_open(&room, NANO, 7 * bytes, NULL, 0);
    for (int texts = 1; texts <= 6; texts++) {
        put_texts(&room, texts);
        CHECK(room_memory_bytes(&room) <= 7 * bytes);
    }
    /* those used last are there, in whole; of the oldest that is left, the longer went first */
    CHECK_INT(held_of(&room, 5), 10);
    CHECK_INT(held_of(&room, 4), 10);
    CHECK_INT(held_of(&room, 3), 10);
    CHECK_INT(held_of(&room, 2), 5);
    CHECK_INT(held_of(&room, 1), 0);
    /* a use makes young: text 3 was used after text 5 */
    held_of(&room, 3);
    room_text[0] = 6;
    room_put_text(&room, (const uint32_t[]){5, 10, 0});
    CHECK_INT(held_of(&room, 3), 10);
    CHECK(held_of(&room, 5) < 10);
    CHECK_INT(room.warnings, 0);
    room_close(&room);
    /* what does not fit is not kept, and nothing goes for it */
    room_open(&room, NANO, bytes - 1, NULL, 0);
    room_put_text(&room, (const uint32_t[]){5, 0});
    const uint64_t before = room_memory_bytes(&room);
    weir_session_reset(room.fixture.session);
    room_eval(&room, room_text + 20, 40);
    room_put(&room);
    CHECK_INT(room_memory_bytes(&room), before);
    room_close(&room);
}

TEST(cache_folder_keeps_its_budget)
{
    const char *dir = folder_fresh("cache.budget");
    struct room room;
    const uint64_t bytes = room_bytes_of(NANO, 10);
    room_open(&room, NANO, 0, dir, 7 * bytes);
    for (int texts = 1; texts <= 6; texts++) {
        put_texts(&room, texts);
        CHECK(room_folder_bytes(dir) <= 7 * bytes);
    }
    CHECK_INT(held_of(&room, 5), 10);
    CHECK_INT(held_of(&room, 4), 10);
    CHECK_INT(held_of(&room, 3), 10);
    CHECK_INT(held_of(&room, 2), 5);
    CHECK_INT(held_of(&room, 1), 0);
    room_text[0] = 6;
    room_put_text(&room, (const uint32_t[]){5, 10, 0});
    CHECK_INT(held_of(&room, 3), 10);
    CHECK(held_of(&room, 5) < 10);
    CHECK_INT(room.warnings, 0);
    room_close(&room);
}

/* What a new snapshot stands on is not what goes for it, even if it looks as old as before. */
TEST(cache_folder_may_have_coarse_times)
{
    const char *dir = folder_fresh("cache.coarse");
    const uint32_t ten[] = {10, 0};
    struct room room;
    room_open(&room, NANO, 0, dir, 1 << 30);
    is_coarse = true;
    room_put_text(&room, ten);
    weir_cache_close(room.cache);
    room_open_cache(&room, 0, dir, room_folder_bytes(dir) * 3 / 2);
    room_eval(&room, room_text + 10, 2);
    room_put(&room);
    is_coarse = false;
    CHECK_INT(folder_files(dir), 1);
    room_check_held(&room, room_text, ROOM_TEXT, 10);
    room_close(&room);
}

/* ---- damage ---------------------------------------------------------------------------------- */

static void change_byte(const char *path, uint64_t at)
{
    uint8_t byte;
    const int fd = open(path, O_RDWR);
    CHECK(fd >= 0);
    CHECK_INT(pread(fd, &byte, 1, (off_t)at), 1);
    byte ^= 0x10;
    CHECK_INT(pwrite(fd, &byte, 1, (off_t)at), 1);
    close(fd);
}

/* A damaged file is never used, said once, and gone; those it stood on serve. */
TEST(cache_ignores_damaged_files)
{
    const char *dir = folder_fresh("cache.damaged");
    char path[4096];
    size_t size;
    struct room room;
    room_open(&room, NANO, 0, dir, 1 << 30);
    room_put_text(&room, ends);
    snprintf(path, sizeof path, "%s", room_file(dir, 60));
    uint8_t *bytes = test_read_file(path, &size);
    for (int i = 0; i < 60; i++) {
        const uint64_t draw = rng_bits(test_seed(), 5, (uint64_t)i);
        const uint64_t at = i < 20 ? draw % 120 : draw % size;
        room.warnings = 0;
        if (i % 3 == 0)
            CHECK_INT(truncate(path, (off_t)at), 0);
        else
            change_byte(path, at);
        CHECK_INT(room_get(&room, room_text, ROOM_TEXT), 25);
        CHECK_INT(room.warnings, 1);
        CHECK(strstr(room.warning, ": ignored") != NULL);
        CHECK_INT(folder_files(dir), 2);
        CHECK_INT(room_get(&room, room_text, ROOM_TEXT), 25);
        CHECK_INT(room.warnings, 1);
        folder_write(dir, strrchr(path, '/') + 1, bytes, size);
        CHECK_INT(room_get(&room, room_text, ROOM_TEXT), 60);
    }
    free(bytes);
    room_check_held(&room, room_text, ROOM_TEXT, 60);
    /* damage in the rows that the longest stands on */
    change_byte(room_file(dir, 25), 96 + 25 * sizeof *room_text + 16 + 5);
    room.warnings = 0;
    room_check_held(&room, room_text, ROOM_TEXT, 10);
    CHECK_INT(room.warnings, 1);
    room_check_held(&room, room_text, ROOM_TEXT, 10);
    CHECK_INT(room.warnings, 1);
    room_put_text(&room, ends);
    room_check_held(&room, room_text, ROOM_TEXT, 60);
    room_close(&room);
}

/* What was read from the folder is kept there, and not once more on top of itself. */
TEST(cache_in_memory_and_a_folder_is_one)
{
    const char *dir = folder_fresh("cache.both");
    struct room room;
    room_open(&room, NANO, 1 << 30, dir, 1 << 30);
    room_put_text(&room, ends);
    room_close(&room);
    room_open(&room, NANO, 1 << 30, dir, 1 << 30);
    CHECK_INT(room_get(&room, room_text, 40), 25);
    room_put(&room);
    room_eval(&room, room_text + 25, 35);
    room_put(&room);
    room_check_held(&room, room_text, ROOM_TEXT, 60);
    room_check_held(&room, room_text, 40, 25);
    CHECK_INT(room.warnings, 0);
    room_close(&room);
}

/* Of an engine with records and the block, which this one has not: of use to that one. */
TEST(cache_leaves_what_another_engine_can_use)
{
    const char *dir = folder_fresh("cache.records");
    struct weir_engine_options options;
    struct weir_error err = {0};
    struct room room;
    room_open(&room, NANO, 0, NULL, 0);
    weir_cache_close(room.cache);
    fixture_close(&room.fixture);
    fixture_options(&options);
    options.backend = "ref";
    options.threads = 1;
    options.context = ROOM_TEXT;
    options.rewind_max = 4;
    fixture_open(&room.fixture, test_data(NANO), &options);
    room_open_cache(&room, 0, dir, 1 << 30);
    room_eval(&room, room_text, 10);
    CHECK_OK(weir_session_mark(room.fixture.session, &err), &err);
    room_eval(&room, room_text + 10, 3);
    room_put(&room);
    room_close(&room);
    room_open(&room, NANO, 0, dir, 1 << 30);
    CHECK_INT(room_get(&room, room_text, ROOM_TEXT), 0);
    CHECK_INT(room.warnings, 1);
    CHECK(access(room_file(dir, 13), R_OK) == 0);
    room_close(&room);
}

TEST(cache_ignores_what_is_not_its_own)
{
    const char *dir = folder_fresh("cache.foreign");
    char name[4096];
    struct room room;
    room_open(&room, NANO, 0, dir, 1 << 30);
    room_put_text(&room, ends);
    snprintf(name, sizeof name, "%s", strrchr(room_file(dir, 60), '/') + 1);
    room_close(&room);
    folder_write(dir, "notes.txt", "x", 1);
    folder_write(dir, "0123456789abcdef-0000000a-0123456789abcdef0123456789abcdef.snap", "x", 1);
    folder_write(dir, "0123456789abcdef-0000000a-0123456789abcdef0123456789abcde.snap", "x", 1);
    CHECK_INT(mkdir(folder_file(dir, "folder.snap"), 0700), 0);
    room_open(&room, "golden/nano-q8_0.gguf", 0, dir, 1 << 30);
    room_check_held(&room, room_text, ROOM_TEXT, 0);
    room_put_text(&room, ends);
    room_check_held(&room, room_text, ROOM_TEXT, 60);
    CHECK_INT(room.warnings, 0);
    room_close(&room);
    /* another snapshot, of either model, under a name of ours */
    room_open(&room, NANO, 0, dir, 1 << 30);
    room_check_held(&room, room_text, ROOM_TEXT, 60);
    size_t size;
    uint8_t *bytes = test_read_file(room_file(dir, 25), &size);
    folder_write(dir, name, bytes, size);
    free(bytes);
    room.warnings = 0;
    CHECK_INT(room_get(&room, room_text, ROOM_TEXT), 25);
    CHECK_INT(room.warnings, 1);
    CHECK_INT(rmdir(folder_file(dir, "folder.snap")), 0);
    room_close(&room);
}

/* The parent was made anew, and in another way: without the hidden state of its last token. */
TEST(cache_never_joins_what_was_computed_apart)
{
    const char *dir = folder_fresh("cache.apart");
    const uint32_t two[] = {10, 25, 0};
    struct weir_session *other;
    struct weir_error err = {0};
    struct room room;
    room_open(&room, NANOMOE, 0, dir, 1 << 30);
    room_put_text(&room, two);
    CHECK_INT(unlink(room_file(dir, 10)), 0);
    CHECK_OK(weir_session_open(&other, room.fixture.engine, &err), &err);
    weir_session_reset(room.fixture.session);
    room_eval(&room, room_text, 10);
    CHECK_OK(weir_session_eval(other, room_text, 1, WEIR_LOGITS_NONE, &err), &err);
    room_put(&room);
    weir_session_close(other);
    room_check_held(&room, room_text, ROOM_TEXT, 10);
    CHECK_INT(folder_files(dir), 1);
    CHECK_INT(room.warnings, 0);
    room_close(&room);
}

/* ---- want of memory -------------------------------------------------------------------------- */

static void use_cache(void *argument)
{
    struct room *room = argument;
    const struct weir_cache_options options = {
        .bytes_max = 1 << 20, .dir = folder_fresh("cache.alloc"), .dir_bytes_max = 1 << 30};
    struct weir_session *session = room->fixture.session;
    struct weir_cache *cache = NULL;
    struct weir_error err = {0};
    uint32_t held = 0;
    weir_session_reset(session);
    room_eval(room, room_text, 10);
    enum weir_status status = weir_cache_open(&cache, room->fixture.engine, &options, &err);
    if (status == WEIR_OK)
        status = weir_cache_put(cache, session, 0, &err);
    room_eval(room, room_text + 10, 10);
    if (status == WEIR_OK)
        status = weir_cache_put(cache, session, 0, &err);
    weir_session_reset(session);
    if (status == WEIR_OK)
        status = weir_cache_get(cache, session, 0, room_text, 30, &held, &err);
    CHECK_INT(weir_session_position(session), held);
    weir_cache_close(cache);
    if (!alloc_failed())
        CHECK_INT(held, 20);
    if (!alloc_failed())
        CHECK_OK(status, &err);
    else
        CHECK(status == WEIR_OK || status == WEIR_ERR_MEMORY || status == WEIR_ERR_IO);
}

TEST(cache_alloc_failures_leave_nothing)
{
    struct room room;
    room_open(&room, NANO, 0, NULL, 0);
    alloc_test(use_cache, &room);
    room_close(&room);
}
