/* SPDX-License-Identifier: MIT
 * The prefix cache, in memory and in a folder: the longest prefix, budgets, what damage, other
 * programs, full disks and kill -9 leave. Run alone: build/tests/weir-test cache_ */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "base/rng.h"
#include "folder.h"
#include "golden/fixture.h"
#include "run/snapshot.h"

#define NANO    "golden/nano-q4_0.gguf"
#define NANOMOE "golden/nanomoe-f32.gguf" /* with the MTP block */

enum { LENGTH = 120 };

static int32_t text[LENGTH];

/* ---- a cache and what it says ---------------------------------------------------------------- */

struct room {
    struct fixture fixture;
    struct weir_cache *cache;
    int warnings;
    char warning[WEIR_ERROR_TEXT_MAX];
};

static void note_warning(void *user, enum weir_log_level level, const char *line)
{
    struct room *room = user;
    room->warnings += level == WEIR_LOG_WARNING;
    snprintf(room->warning, sizeof room->warning, "%s", line);
}

static void open_cache(struct room *room, uint64_t bytes_max, const char *dir,
                       uint64_t dir_bytes_max)
{
    const struct weir_cache_options options = {.bytes_max = bytes_max,
                                               .dir = dir,
                                               .dir_bytes_max = dir_bytes_max,
                                               .log = note_warning,
                                               .log_user = room};
    struct weir_error err = {0};
    CHECK_OK(weir_cache_open(&room->cache, room->fixture.engine, &options, &err), &err);
}

/* One thread and the reference backend, so that a child of fork can use the engine too. */
static void room_open(struct room *room, const char *model, uint64_t bytes_max, const char *dir,
                      uint64_t dir_bytes_max)
{
    struct weir_engine_options options;
    *room = (struct room){.warnings = 0};
    fixture_options(&options);
    options.backend = "ref";
    options.threads = 1;
    options.bind = WEIR_OFF;
    options.context = LENGTH;
    options.sessions_max = 2;
    options.mtp = strcmp(model, NANOMOE) == 0;
    fixture_open(&room->fixture, test_data(model), &options);
    for (uint32_t i = 0; i < LENGTH; i++)
        text[i] = (int32_t)(rng_bits(test_seed(), 1, i) % room->fixture.vocab);
    open_cache(room, bytes_max, dir, dir_bytes_max);
}

static void room_close(struct room *room)
{
    weir_cache_close(room->cache);
    fixture_close(&room->fixture);
}

static void eval(struct room *room, const int32_t *tokens, uint32_t count)
{
    struct weir_error err = {0};
    CHECK_OK(weir_session_eval(room->fixture.session, tokens, count, WEIR_LOGITS_LAST, &err), &err);
}

static void put(struct room *room)
{
    struct weir_error err = {0};
    CHECK_OK(weir_cache_put(room->cache, room->fixture.session, &err), &err);
}

/* Evaluates text[0, ends[..]) and keeps each end; the last is 0. */
static void put_text(struct room *room, const uint32_t *ends)
{
    uint32_t at = 0;
    weir_session_reset(room->fixture.session);
    for (; *ends > 0; at = *ends++) {
        eval(room, text + at, *ends - at);
        put(room);
    }
}

/* What the cache has of these tokens, in an empty session. */
static uint32_t get(struct room *room, const int32_t *tokens, uint32_t count)
{
    struct weir_error err = {0};
    uint32_t held;
    weir_session_reset(room->fixture.session);
    CHECK_OK(weir_cache_get(room->cache, room->fixture.session, tokens, count, &held, &err), &err);
    CHECK_INT(weir_session_position(room->fixture.session), held);
    return held;
}

/* Gets the tokens, evaluates the rest, and compares with a session that evaluates all. */
static void check_held(struct room *room, const int32_t *tokens, uint32_t count, uint32_t held)
{
    struct weir_session *other;
    struct weir_error err = {0};
    CHECK_INT(get(room, tokens, count), held);
    eval(room, tokens + held, count - held);
    float *logits = malloc(room->fixture.vocab * sizeof *logits);
    CHECK(logits != NULL);
    memcpy(logits, weir_session_logits(room->fixture.session, 0),
           room->fixture.vocab * sizeof *logits);
    CHECK_OK(weir_session_open(&other, room->fixture.engine, &err), &err);
    CHECK_OK(weir_session_eval(other, tokens, count, WEIR_LOGITS_LAST, &err), &err);
    CHECK(memcmp(weir_session_logits(other, 0), logits, room->fixture.vocab * sizeof *logits) == 0);
    weir_session_close(other);
    free(logits);
}

static uint64_t memory_bytes(const struct room *room)
{
    struct weir_cache_stats stats;
    weir_cache_stats(room->cache, &stats);
    return stats.bytes;
}

static const char *kept_path(const char *dir, uint32_t position)
{
    static char path[4096];
    char part[16];
    struct dirent **entries;
    path[0] = 0;
    snprintf(part, sizeof part, "-%08x-", position);
    const int count = scandir(dir, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        if (strstr(entries[i]->d_name, part) != NULL && path[0] == 0)
            snprintf(path, sizeof path, "%s/%s", dir, entries[i]->d_name);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return path;
}

static uint64_t folder_bytes(const char *dir)
{
    struct dirent **entries;
    uint64_t sum = 0;
    const int count = scandir(dir, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char path[4096];
        struct stat info;
        snprintf(path, sizeof path, "%s/%s", dir, entries[i]->d_name);
        CHECK_INT(stat(path, &info), 0);
        sum += S_ISREG(info.st_mode) ? (uint64_t)info.st_size : 0;
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return sum;
}

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
    int32_t edited[LENGTH];
    put_text(room, ends);
    check_held(room, text, LENGTH, 60);
    check_held(room, text, 61, 60);
    check_held(room, text, 60, 25); /* one token must be left */
    check_held(room, text, 25, 10);
    check_held(room, text, 10, 0);
    memcpy(edited, text, sizeof text);
    edited[40] ^= 1;
    check_held(room, edited, LENGTH, 25);
    edited[10] ^= 1;
    check_held(room, edited, LENGTH, 10);
    edited[9] ^= 1;
    check_held(room, edited, LENGTH, 0);
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
    check_held(&room, text, LENGTH, 60);
    check_prefixes(&room);
    CHECK_INT(folder_files(dir), 3);
    room_close(&room);
}

/* Each row of the caches is held once: three snapshots are as large as one and two more states. */
TEST(cache_holds_rows_once)
{
    static const uint32_t one[] = {60, 0};
    struct room room;
    room_open(&room, NANO, 1 << 30, NULL, 0);
    put_text(&room, one);
    const uint64_t whole = memory_bytes(&room);
    weir_cache_close(room.cache);
    open_cache(&room, 1 << 30, NULL, 0);
    put_text(&room, ends);
    const uint64_t chain = memory_bytes(&room);
    struct weir_memory memory;
    struct weir_error err = {0};
    struct weir_engine_options options;
    fixture_options(&options);
    options.backend = "ref";
    CHECK_OK(weir_memory_estimate(room.fixture.model, &options, &memory, &err), &err);
    const uint64_t heads = 2 * (96 + 3 * 16) + (10 + 25) * sizeof(int32_t);
    CHECK_INT(chain - whole, 2 * memory.state_session + heads);
    /* a branch stands on what both have */
    text[30] ^= 1;
    CHECK_INT(get(&room, text, LENGTH), 25);
    eval(&room, text + 25, 35);
    put(&room);
    CHECK(memory_bytes(&room) - chain < whole - 25 * memory.kv_per_token + 1);
    check_held(&room, text, LENGTH, 60);
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
    put_text(&room, ends);
    const uint64_t once = dir == NULL ? memory_bytes(&room) : folder_bytes(dir);
    CHECK_OK(weir_session_save(room.fixture.session, path, &err), &err);
    CHECK_OK(weir_session_open(&other, room.fixture.engine, &err), &err);
    CHECK_OK(weir_session_load(other, path, &err), &err);
    CHECK_OK(weir_cache_put(room.cache, other, &err), &err); /* is there */
    CHECK_INT(dir == NULL ? memory_bytes(&room) : folder_bytes(dir), once);
    CHECK_OK(weir_session_eval(other, text + 60, 20, WEIR_LOGITS_LAST, &err), &err);
    CHECK_OK(weir_cache_put(room.cache, other, &err), &err);
    const uint64_t longer = dir == NULL ? memory_bytes(&room) : folder_bytes(dir);
    weir_session_reset(room.fixture.session);
    eval(&room, text, 60);
    eval(&room, text + 60, 30);
    put(&room);
    const uint64_t apart = dir == NULL ? memory_bytes(&room) : folder_bytes(dir);
    const uint64_t row_bytes = snapshot_shape_make(room.fixture.engine).row_bytes;
    CHECK_INT(apart - longer, longer - once + 10 * sizeof(int32_t) - 10 * row_bytes);
    weir_session_close(other);
    check_held(&room, text, LENGTH, 90);
    check_held(&room, text, 90, 80);
    room_close(&room);
}

TEST(cache_finds_rows_that_it_has)
{
    check_rows_once(NANO, 1 << 30, NULL);
    check_rows_once(NANO, 0, folder_fresh("cache.once"));
    check_rows_once(NANOMOE, 1 << 30, NULL);
}

/* A conversation: each turn is kept, restored by the next, and stands on the one before. */
TEST(cache_follows_a_conversation)
{
    const char *dir = folder_fresh("cache.turns");
    struct room room;
    for (uint32_t turn = 1; turn <= 5; turn++) {
        room_open(&room, NANOMOE, 0, dir, 1 << 30);
        check_held(&room, text, turn * 20, turn == 1 ? 0 : turn * 20 - 20);
        put(&room);
        put(&room); /* again is nothing */
        CHECK_INT(folder_files(dir), turn);
        CHECK_INT(room.warnings, 0);
        room_close(&room);
    }
}

/* ---- budgets --------------------------------------------------------------------------------- */

/* Bytes of a snapshot of `count` tokens that stands on nothing. */
static uint64_t bytes_of(const char *model, uint32_t count)
{
    struct room room;
    const uint32_t one[] = {count, 0};
    room_open(&room, model, 1 << 30, NULL, 0);
    put_text(&room, one);
    const uint64_t bytes = memory_bytes(&room);
    room_close(&room);
    return bytes;
}

/* Texts that differ from the first token on, each kept at 5 and 10 tokens. */
static void put_texts(struct room *room, int count)
{
    static const uint32_t two[] = {5, 10, 0};
    for (int i = 0; i < count; i++) {
        text[0] = i;
        put_text(room, two);
    }
}

static uint32_t held_of(struct room *room, int32_t number)
{
    text[0] = number;
    return get(room, text, 20);
}

TEST(cache_in_memory_keeps_its_budget)
{
    struct room room;
    const uint64_t bytes = bytes_of(NANO, 10);
    room_open(&room, NANO, 7 * bytes, NULL, 0);
    for (int texts = 1; texts <= 6; texts++) {
        put_texts(&room, texts);
        CHECK(memory_bytes(&room) <= 7 * bytes);
    }
    /* those used last are there, in whole; of the oldest that is left, the longer went first */
    CHECK_INT(held_of(&room, 5), 10);
    CHECK_INT(held_of(&room, 4), 10);
    CHECK_INT(held_of(&room, 3), 10);
    CHECK_INT(held_of(&room, 2), 5);
    CHECK_INT(held_of(&room, 1), 0);
    /* a use makes young: text 3 was used after text 5 */
    held_of(&room, 3);
    text[0] = 6;
    put_text(&room, (const uint32_t[]){5, 10, 0});
    CHECK_INT(held_of(&room, 3), 10);
    CHECK(held_of(&room, 5) < 10);
    CHECK_INT(room.warnings, 0);
    room_close(&room);
    /* what does not fit is not kept, and nothing goes for it */
    room_open(&room, NANO, bytes - 1, NULL, 0);
    put_text(&room, (const uint32_t[]){5, 0});
    const uint64_t before = memory_bytes(&room);
    weir_session_reset(room.fixture.session);
    eval(&room, text + 20, 40);
    put(&room);
    CHECK_INT(memory_bytes(&room), before);
    room_close(&room);
}

TEST(cache_folder_keeps_its_budget)
{
    const char *dir = folder_fresh("cache.budget");
    struct room room;
    const uint64_t bytes = bytes_of(NANO, 10);
    room_open(&room, NANO, 0, dir, 7 * bytes);
    for (int texts = 1; texts <= 6; texts++) {
        put_texts(&room, texts);
        CHECK(folder_bytes(dir) <= 7 * bytes);
    }
    CHECK_INT(held_of(&room, 5), 10);
    CHECK_INT(held_of(&room, 4), 10);
    CHECK_INT(held_of(&room, 3), 10);
    CHECK_INT(held_of(&room, 2), 5);
    CHECK_INT(held_of(&room, 1), 0);
    text[0] = 6;
    put_text(&room, (const uint32_t[]){5, 10, 0});
    CHECK_INT(held_of(&room, 3), 10);
    CHECK(held_of(&room, 5) < 10);
    CHECK_INT(room.warnings, 0);
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
/* What a new snapshot stands on is not what goes for it, even if it looks as old as before. */
TEST(cache_folder_may_have_coarse_times)
{
    const char *dir = folder_fresh("cache.coarse");
    const uint32_t ten[] = {10, 0};
    struct room room;
    room_open(&room, NANO, 0, dir, 1 << 30);
    is_coarse = true;
    put_text(&room, ten);
    weir_cache_close(room.cache);
    open_cache(&room, 0, dir, folder_bytes(dir) * 3 / 2);
    eval(&room, text + 10, 2);
    put(&room);
    is_coarse = false;
    CHECK_INT(folder_files(dir), 1);
    check_held(&room, text, LENGTH, 10);
    room_close(&room);
}

TEST(cache_ignores_damaged_files)
{
    const char *dir = folder_fresh("cache.damaged");
    char path[4096];
    size_t size;
    struct room room;
    room_open(&room, NANO, 0, dir, 1 << 30);
    put_text(&room, ends);
    snprintf(path, sizeof path, "%s", kept_path(dir, 60));
    uint8_t *bytes = test_read_file(path, &size);
    for (int i = 0; i < 60; i++) {
        const uint64_t draw = rng_bits(test_seed(), 5, (uint64_t)i);
        const uint64_t at = i < 20 ? draw % 120 : draw % size;
        room.warnings = 0;
        if (i % 3 == 0)
            CHECK_INT(truncate(path, (off_t)at), 0);
        else
            change_byte(path, at);
        CHECK_INT(get(&room, text, LENGTH), 25);
        CHECK_INT(room.warnings, 1);
        CHECK(strstr(room.warning, ": ignored") != NULL);
        CHECK_INT(folder_files(dir), 2);
        CHECK_INT(get(&room, text, LENGTH), 25);
        CHECK_INT(room.warnings, 1);
        folder_write(dir, strrchr(path, '/') + 1, bytes, size);
        CHECK_INT(get(&room, text, LENGTH), 60);
    }
    free(bytes);
    check_held(&room, text, LENGTH, 60);
    /* damage in the rows that the longest stands on */
    change_byte(kept_path(dir, 25), 96 + 25 * sizeof *text + 16 + 5);
    room.warnings = 0;
    check_held(&room, text, LENGTH, 10);
    CHECK_INT(room.warnings, 1);
    check_held(&room, text, LENGTH, 10);
    CHECK_INT(room.warnings, 1);
    put_text(&room, ends);
    check_held(&room, text, LENGTH, 60);
    room_close(&room);
}

/* What was read from the folder is kept there, and not once more on top of itself. */
TEST(cache_in_memory_and_a_folder_is_one)
{
    const char *dir = folder_fresh("cache.both");
    struct room room;
    room_open(&room, NANO, 1 << 30, dir, 1 << 30);
    put_text(&room, ends);
    room_close(&room);
    room_open(&room, NANO, 1 << 30, dir, 1 << 30);
    CHECK_INT(get(&room, text, 40), 25);
    put(&room);
    eval(&room, text + 25, 35);
    put(&room);
    check_held(&room, text, LENGTH, 60);
    check_held(&room, text, 40, 25);
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
    options.context = LENGTH;
    options.rewind_max = 4;
    fixture_open(&room.fixture, test_data(NANO), &options);
    open_cache(&room, 0, dir, 1 << 30);
    eval(&room, text, 10);
    CHECK_OK(weir_session_mark(room.fixture.session, &err), &err);
    eval(&room, text + 10, 3);
    put(&room);
    room_close(&room);
    room_open(&room, NANO, 0, dir, 1 << 30);
    CHECK_INT(get(&room, text, LENGTH), 0);
    CHECK_INT(room.warnings, 1);
    CHECK(access(kept_path(dir, 13), R_OK) == 0);
    room_close(&room);
}

TEST(cache_ignores_what_is_not_its_own)
{
    const char *dir = folder_fresh("cache.foreign");
    char name[4096];
    struct room room;
    room_open(&room, NANO, 0, dir, 1 << 30);
    put_text(&room, ends);
    snprintf(name, sizeof name, "%s", strrchr(kept_path(dir, 60), '/') + 1);
    room_close(&room);
    folder_write(dir, "notes.txt", "x", 1);
    folder_write(dir, "0123456789abcdef-0000000a-0123456789abcdef0123456789abcdef.snap", "x", 1);
    folder_write(dir, "0123456789abcdef-0000000a-0123456789abcdef0123456789abcde.snap", "x", 1);
    CHECK_INT(mkdir(folder_file(dir, "folder.snap"), 0700), 0);
    room_open(&room, "golden/nano-q8_0.gguf", 0, dir, 1 << 30);
    check_held(&room, text, LENGTH, 0);
    put_text(&room, ends);
    check_held(&room, text, LENGTH, 60);
    CHECK_INT(room.warnings, 0);
    room_close(&room);
    /* another snapshot, of either model, under a name of ours */
    room_open(&room, NANO, 0, dir, 1 << 30);
    check_held(&room, text, LENGTH, 60);
    size_t size;
    uint8_t *bytes = test_read_file(kept_path(dir, 25), &size);
    folder_write(dir, name, bytes, size);
    free(bytes);
    room.warnings = 0;
    CHECK_INT(get(&room, text, LENGTH), 25);
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
    put_text(&room, two);
    CHECK_INT(unlink(kept_path(dir, 10)), 0);
    CHECK_OK(weir_session_open(&other, room.fixture.engine, &err), &err);
    weir_session_reset(room.fixture.session);
    eval(&room, text, 10);
    CHECK_OK(weir_session_eval(other, text, 1, WEIR_LOGITS_NONE, &err), &err);
    put(&room);
    weir_session_close(other);
    check_held(&room, text, LENGTH, 10);
    CHECK_INT(folder_files(dir), 1);
    CHECK_INT(room.warnings, 0);
    room_close(&room);
}

/* ---- several programs, and their ends -------------------------------------------------------- */

TEST(cache_folder_can_be_shared)
{
    const char *dir = folder_fresh("cache.shared");
    struct room one, two;
    room_open(&one, NANO, 0, dir, 1 << 30);
    room_open(&two, NANO, 0, dir, 1 << 30);
    put_text(&one, ends);
    check_held(&two, text, LENGTH, 60);
    CHECK_INT(unlink(kept_path(dir, 60)), 0);
    check_held(&one, text, LENGTH, 25);
    CHECK_INT(unlink(kept_path(dir, 25)), 0);
    CHECK_INT(unlink(kept_path(dir, 10)), 0);
    put(&one); /* stood on what is gone, so it stands alone */
    check_held(&two, text, LENGTH, 0);
    CHECK_INT(folder_files(dir), 1);
    CHECK_INT(one.warnings + two.warnings, 0);
    room_close(&one);
    room_close(&two);
}

/* Two caches of one engine on one folder; the first has memory too. Returns the first; the room has
 * the second. */
static struct weir_cache *open_two(struct room *room, const char *dir)
{
    room_open(room, NANOMOE, 1 << 30, dir, 1 << 30);
    struct weir_cache *first = room->cache;
    open_cache(room, 0, dir, 1 << 30);
    return first;
}

/* The room has that one from now on. */
static void close_other(struct room *room, struct weir_cache *cache)
{
    weir_cache_close(room->cache);
    room->cache = cache;
}

/* The same text in memory and in the folder, computed in two ways: with and without the hidden
 * state of its last token. What stands on the folder's is not lost for what memory has. */
TEST(cache_in_memory_hides_nothing_of_the_folder)
{
    const char *dir = folder_fresh("cache.hidden");
    struct weir_session *other;
    struct weir_error err = {0};
    struct room room;
    struct weir_cache *first = open_two(&room, dir);
    CHECK_OK(weir_session_open(&other, room.fixture.engine, &err), &err);
    CHECK_OK(weir_session_eval(other, text, 10, WEIR_LOGITS_NONE, &err), &err);
    eval(&room, text, 10);
    put(&room);
    CHECK_OK(weir_cache_put(first, other, &err), &err);
    eval(&room, text + 10, 15);
    put(&room);
    weir_session_close(other);
    close_other(&room, first);
    check_held(&room, text, LENGTH, 25);
    check_held(&room, text, 25, 10);
    CHECK_INT(folder_files(dir), 2);
    CHECK_INT(room.warnings, 0);
    room_close(&room);
}

/* A cache that has no room for more. */
static void reopen(struct room *room, const char *dir, uint64_t dir_bytes_max)
{
    weir_cache_close(room->cache);
    open_cache(room, 0, dir, dir_bytes_max);
}

/* A few tokens of another text, for which one has to go. */
static void put_another(struct room *room)
{
    weir_session_reset(room->fixture.session);
    eval(room, text + 1, 10);
    put(room);
}

/* What a snapshot stands on is used with it, in the folder too where it was read from memory. */
TEST(cache_folder_keeps_what_others_stand_on)
{
    const char *dir = folder_fresh("cache.stood_on");
    struct room room;
    struct weir_cache *first = open_two(&room, dir), *second = room.cache;
    room.cache = first;
    eval(&room, text, 10);
    put(&room);
    room.cache = second;
    eval(&room, text + 10, 15);
    put(&room);
    room.cache = first;
    CHECK_INT(get(&room, text, LENGTH), 25);
    room.cache = second;
    reopen(&room, dir, folder_bytes(dir));
    put_another(&room);
    CHECK_INT(folder_files(dir), 2);
    check_held(&room, text, LENGTH, 10);
    CHECK_INT(room.warnings, 0);
    close_other(&room, first);
    room_close(&room);
}

/* A text that is there already, from another way to it, is used with what it stands on. */
TEST(cache_folder_keeps_what_the_same_text_stands_on)
{
    const char *dir = folder_fresh("cache.same");
    const uint32_t two[] = {10, 25, 0};
    struct weir_session *other;
    struct weir_error err = {0};
    struct room room;
    room_open(&room, NANOMOE, 0, dir, 1 << 30);
    put_text(&room, two);
    CHECK_OK(weir_session_open(&other, room.fixture.engine, &err), &err);
    CHECK_OK(weir_session_eval(other, text, 25, WEIR_LOGITS_NONE, &err), &err);
    CHECK_OK(weir_cache_put(room.cache, other, &err), &err);
    weir_session_close(other);
    reopen(&room, dir, folder_bytes(dir));
    put_another(&room);
    CHECK_INT(folder_files(dir), 2);
    check_held(&room, text, LENGTH, 10);
    CHECK_INT(room.warnings, 0);
    room_close(&room);
}

/* Keeps texts for ever. */
static void keep_texts(struct room *room)
{
    for (int32_t i = 0;; i = (i + 1) % 50) {
        text[0] = i;
        weir_session_reset(room->fixture.session);
        if (weir_session_eval(room->fixture.session, text, 4, WEIR_LOGITS_NONE, NULL) != WEIR_OK ||
            weir_cache_put(room->cache, room->fixture.session, NULL) != WEIR_OK)
            _exit(1);
    }
}

/* However slow the other program is: for a minute at most. */
static void wait_for_file(const char *dir)
{
    const struct timespec ms = {.tv_nsec = 1000000};
    for (int i = 0; i < 60000 && folder_files(dir) == 0; i++)
        nanosleep(&ms, NULL);
}

TEST(cache_survives_kill_9)
{
    enum { ROUNDS = 12, TEXTS = 50 };
    const char *dir = folder_fresh("cache.killed");
    struct room room;
    int status, found = 0;
    room_open(&room, NANO, 0, dir, 20 * bytes_of(NANO, 4));
    for (uint64_t i = 0; i < ROUNDS; i++) {
        const pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0)
            keep_texts(&room);
        const struct timespec pause = {.tv_nsec = (long)(rng_bits(test_seed(), 6, i) % 10000000)};
        wait_for_file(dir);
        nanosleep(&pause, NULL);
        CHECK_INT(kill(child, SIGKILL), 0);
        CHECK_INT(waitpid(child, &status, 0), child);
        CHECK(WIFSIGNALED(status));
    }
    for (int32_t i = 0; i < TEXTS; i++) {
        text[0] = i;
        const uint32_t held = get(&room, text, 10);
        CHECK(held == 0 || held == 4);
        found += held > 0;
        if (held > 0 && i % 10 == 0)
            check_held(&room, text, 10, 4);
    }
    CHECK(found > 0);
    CHECK_INT(room.warnings, 0); /* nothing half-written has a name that is looked for */
    room_close(&room);
}

TEST(cache_removes_what_was_left_over)
{
    const char *name = "0123456789abcdef-0000000a-0123456789abcdef0123456789abcdef.snap.tmp";
    const char *dir = folder_fresh("cache.left");
    char old[128], fresh[128];
    struct room room;
    room_open(&room, NANO, 0, dir, 1 << 30);
    room_close(&room);
    snprintf(old, sizeof old, "%s12", name);
    snprintf(fresh, sizeof fresh, "%s13", name);
    folder_write(dir, old, "x", 1);
    folder_write(dir, fresh, "x", 1);
    const struct timespec times[2] = {{.tv_sec = 1000000}, {.tv_sec = 1000000}};
    CHECK_INT(utimensat(AT_FDCWD, folder_file(dir, old), times, 0), 0);
    room_open(&room, NANO, 0, dir, 1 << 30);
    CHECK_INT(folder_files(dir), 1);
    room_close(&room);
}

TEST(cache_goes_on_when_the_disk_is_full)
{
    const char *dir = folder_fresh("cache.full");
    struct weir_error err = {0};
    struct rlimit limit, before;
    struct room room;
    room_open(&room, NANO, 0, dir, 1 << 30);
    put_text(&room, (const uint32_t[]){10, 0});
    eval(&room, text + 10, 50);
    CHECK_INT(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 1000;
    signal(SIGXFSZ, SIG_IGN);
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &limit), 0);
    const enum weir_status status = weir_cache_put(room.cache, room.fixture.session, &err);
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_DFL);
    CHECK(status != WEIR_OK);
    fixture_check_says(&err, WEIR_ERR_IO, "cannot write");
    CHECK_INT(folder_files(dir), 1);
    check_held(&room, text, LENGTH, 10);
    put(&room);
    CHECK_INT(folder_files(dir), 2);
    room_close(&room);
}

static void check_open_refused(const struct room *room, const char *dir, const char *part)
{
    const struct weir_cache_options options = {.dir = dir, .dir_bytes_max = 1};
    struct weir_cache *cache;
    struct weir_error err = {0};
    CHECK(weir_cache_open(&cache, room->fixture.engine, &options, &err) != WEIR_OK);
    CHECK(cache == NULL);
    fixture_check_says(&err, WEIR_ERR_IO, part);
}

TEST(cache_refuses_a_folder_that_is_none)
{
    struct weir_error err = {0};
    struct room room, other;
    uint32_t held;
    room_open(&room, NANO, 0, NULL, 0);
    check_open_refused(&room, test_data(NANO), "not a folder");
    check_open_refused(&room, "/nowhere/at/all", "cannot make the folder");
    if (geteuid() != 0) {
        const char *dir = folder_fresh("cache.closed");
        CHECK_INT(mkdir(dir, 0500), 0);
        check_open_refused(&room, dir, "cannot write there");
    }
    check_held(&room, text, LENGTH, 0); /* neither memory nor folder: keeps nothing */
    put(&room);
    check_held(&room, text, LENGTH, 0);
    CHECK(weir_cache_get(room.cache, room.fixture.session, text, 5, &held, &err) != WEIR_OK);
    fixture_check_says(&err, WEIR_ERR_ARGUMENT, "holds 120 tokens, expected none");
    room_open(&other, NANO, 0, NULL, 0);
    err = (struct weir_error){0};
    CHECK(weir_cache_put(room.cache, other.fixture.session, &err) != WEIR_OK);
    fixture_check_says(&err, WEIR_ERR_ARGUMENT, "another engine");
    room_close(&other);
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
    eval(room, text, 10);
    enum weir_status status = weir_cache_open(&cache, room->fixture.engine, &options, &err);
    if (status == WEIR_OK)
        status = weir_cache_put(cache, session, &err);
    eval(room, text + 10, 10);
    if (status == WEIR_OK)
        status = weir_cache_put(cache, session, &err);
    weir_session_reset(session);
    if (status == WEIR_OK)
        status = weir_cache_get(cache, session, text, 30, &held, &err);
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
