/* SPDX-License-Identifier: MIT
 * Prefix caches that share a folder, and what other programs, full disks and kill -9 leave there.
 * Run alone: build/tests/weir-test cache_ */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/rng.h"
#include "folder.h"
#include "unit/cache_room.h"

/* ---- several programs, and their ends -------------------------------------------------------- */

TEST(cache_folder_can_be_shared)
{
    const char *dir = folder_fresh("cache.shared");
    const uint32_t ends[] = {10, 25, 60, 0};
    struct room one, two;
    room_open(&one, NANO, 0, dir, 1 << 30);
    room_open(&two, NANO, 0, dir, 1 << 30);
    room_put_text(&one, ends);
    room_check_held(&two, room_text, ROOM_TEXT, 60);
    CHECK_INT(unlink(room_file(dir, 60)), 0);
    room_check_held(&one, room_text, ROOM_TEXT, 25);
    CHECK_INT(unlink(room_file(dir, 25)), 0);
    CHECK_INT(unlink(room_file(dir, 10)), 0);
    room_put(&one); /* stood on what is gone, so it stands alone */
    room_check_held(&two, room_text, ROOM_TEXT, 0);
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
    room_open_cache(room, 0, dir, 1 << 30);
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
    CHECK_OK(weir_session_eval(other, room_text, 10, WEIR_LOGITS_NONE, &err), &err);
    room_eval(&room, room_text, 10);
    room_put(&room);
    CHECK_OK(weir_cache_put(first, other, 0, &err), &err);
    room_eval(&room, room_text + 10, 15);
    room_put(&room);
    weir_session_close(other);
    close_other(&room, first);
    room_check_held(&room, room_text, ROOM_TEXT, 25);
    room_check_held(&room, room_text, 25, 10);
    CHECK_INT(folder_files(dir), 2);
    CHECK_INT(room.warnings, 0);
    room_close(&room);
}

/* A cache that has no room for more. */
static void reopen(struct room *room, const char *dir, uint64_t dir_bytes_max)
{
    weir_cache_close(room->cache);
    room_open_cache(room, 0, dir, dir_bytes_max);
}

/* A few tokens of another text, for which one has to go. */
static void put_another(struct room *room)
{
    weir_session_reset(room->fixture.session);
    room_eval(room, room_text + 1, 10);
    room_put(room);
}

/* What a snapshot stands on is used with it, in the folder too where it was read from memory. */
TEST(cache_folder_keeps_what_others_stand_on)
{
    const char *dir = folder_fresh("cache.stood_on");
    struct room room;
    struct weir_cache *first = open_two(&room, dir), *second = room.cache;
    room.cache = first;
    room_eval(&room, room_text, 10);
    room_put(&room);
    room.cache = second;
    room_eval(&room, room_text + 10, 15);
    room_put(&room);
    room.cache = first;
    CHECK_INT(room_get(&room, room_text, ROOM_TEXT), 25);
    room.cache = second;
    reopen(&room, dir, room_folder_bytes(dir));
    put_another(&room);
    CHECK_INT(folder_files(dir), 2);
    room_check_held(&room, room_text, ROOM_TEXT, 10);
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
    room_put_text(&room, two);
    CHECK_OK(weir_session_open(&other, room.fixture.engine, &err), &err);
    CHECK_OK(weir_session_eval(other, room_text, 25, WEIR_LOGITS_NONE, &err), &err);
    CHECK_OK(weir_cache_put(room.cache, other, 0, &err), &err);
    weir_session_close(other);
    reopen(&room, dir, room_folder_bytes(dir));
    put_another(&room);
    CHECK_INT(folder_files(dir), 2);
    room_check_held(&room, room_text, ROOM_TEXT, 10);
    CHECK_INT(room.warnings, 0);
    room_close(&room);
}

/* Keeps texts for ever. */
static void keep_texts(struct room *room)
{
    for (int32_t i = 0;; i = (i + 1) % 50) {
        room_text[0] = i;
        weir_session_reset(room->fixture.session);
        if (weir_session_eval(room->fixture.session, room_text, 4, WEIR_LOGITS_NONE, NULL) !=
                WEIR_OK ||
            weir_cache_put(room->cache, room->fixture.session, 0, NULL) != WEIR_OK)
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
    room_open(&room, NANO, 0, dir, 20 * room_bytes_of(NANO, 4));
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
        room_text[0] = i;
        const uint32_t held = room_get(&room, room_text, 10);
        CHECK(held == 0 || held == 4);
        found += held > 0;
        if (held > 0 && i % 10 == 0)
            room_check_held(&room, room_text, 10, 4);
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

/* The linker's names, as in alloc.c; the second is the first with file offsets of 64 bits. */
int __wrap_statvfs(const char *path, struct statvfs *out);
int __real_statvfs(const char *path, struct statvfs *out);
int __wrap_statvfs64(const char *path, struct statvfs *out);
int __real_statvfs64(const char *path, struct statvfs *out);

static const char *disk;    /* a folder that is a disk of its own; NULL: there is none */
static uint64_t disk_bytes; /* of it */

static uint64_t folder_bytes(const char *folder)
{
    uint64_t bytes = 0;
    struct stat info;
    DIR *entries = opendir(folder);
    CHECK(entries != NULL);
    for (const struct dirent *entry; (entry = readdir(entries)) != NULL;)
        if (stat(folder_file(folder, entry->d_name), &info) == 0 && S_ISREG(info.st_mode))
            bytes += (uint64_t)info.st_size;
    closedir(entries);
    return bytes;
}

static void limit_disk(struct statvfs *out)
{
    if (disk == NULL)
        return;
    out->f_frsize = 1;
    out->f_bavail = disk_bytes - folder_bytes(disk);
}

int __wrap_statvfs(const char *path, struct statvfs *out)
{
    const int result = __real_statvfs(path, out);
    limit_disk(out);
    return result;
}

int __wrap_statvfs64(const char *path, struct statvfs *out)
{
    const int result = __real_statvfs64(path, out);
    limit_disk(out);
    return result;
}

/* The oldest make room on a disk that is smaller than the budget; what is larger than the disk
 * replaces nothing. */
TEST(cache_replaces_the_oldest_on_a_full_disk)
{
    const char *dir = folder_fresh("cache.disk");
    struct weir_error err = {0};
    struct room room;
    room_open(&room, NANO, 0, dir, 1 << 30);
    room_put_text(&room, (const uint32_t[]){60, 0});
    disk = dir;
    disk_bytes = folder_bytes(dir);
    room_check_held(&room, room_text, ROOM_TEXT, 60);
    weir_session_reset(room.fixture.session);
    room_eval(&room, room_text + 60, 50);
    room_put(&room);
    CHECK_INT(folder_files(dir), 1);
    CHECK_INT(room_get(&room, room_text, ROOM_TEXT), 0);
    CHECK_INT(room_get(&room, room_text + 60, 60), 50);
    room_eval(&room, room_text, 60);
    const enum weir_status status = weir_cache_put(room.cache, room.fixture.session, 0, &err);
    disk = NULL;
    CHECK(status != WEIR_OK);
    fixture_check_says(&err, WEIR_ERR_IO, "the disk has");
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
    room_put_text(&room, (const uint32_t[]){10, 0});
    room_eval(&room, room_text + 10, 50);
    CHECK_INT(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 1000;
    signal(SIGXFSZ, SIG_IGN);
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &limit), 0);
    const enum weir_status status = weir_cache_put(room.cache, room.fixture.session, 0, &err);
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_DFL);
    CHECK(status != WEIR_OK);
    fixture_check_says(&err, WEIR_ERR_IO, "cannot write");
    CHECK_INT(folder_files(dir), 1);
    room_check_held(&room, room_text, ROOM_TEXT, 10);
    room_put(&room);
    CHECK_INT(folder_files(dir), 2);
    room_close(&room);
}

/* Of a program with a larger budget before: the oldest go, with a word, and the newest stay. */
TEST(cache_folder_is_brought_to_its_budget)
{
    const char *dir = folder_fresh("cache.shrunk");
    const uint64_t bytes = room_bytes_of(NANO, 10);
    struct room room;
    room_open(&room, NANO, 0, dir, 1 << 30);
    for (int32_t i = 0; i < 5; i++) {
        weir_session_reset(room.fixture.session);
        room_text[0] = i;
        room_put_text(&room, (const uint32_t[]){10, 0});
    }
    CHECK_INT(room_folder_bytes(dir), 5 * bytes);
    weir_cache_close(room.cache);
    room_open_cache(&room, 0, dir, 5 * bytes);
    CHECK_INT(room.warnings, 0);
    weir_cache_close(room.cache);
    room_open_cache(&room, 0, dir, 2 * bytes + 1);
    CHECK_INT(room_folder_bytes(dir), 2 * bytes);
    CHECK_INT(room.warnings, 1);
    CHECK(strstr(room.warning, dir) != NULL && strstr(room.warning, "were removed") != NULL);
    for (int32_t i = 0; i < 5; i++) {
        weir_session_reset(room.fixture.session);
        room_text[0] = i;
        CHECK_INT(room_get(&room, room_text, 20), i < 3 ? 0 : 10);
    }
    room_close(&room);
}

TEST(cache_says_that_a_budget_is_too_small)
{
    const char *dir = folder_fresh("cache.small");
    const uint64_t least = room_bytes_of(NANO, 1);
    struct room room;
    room_open(&room, NANO, least, dir, least);
    CHECK_INT(room.warnings, 0);
    weir_cache_close(room.cache);
    room_open_cache(&room, least - 1, NULL, 0);
    CHECK_INT(room.warnings, 1);
    CHECK(strstr(room.warning, "nothing is kept in memory: at most 0.") != NULL);
    weir_cache_close(room.cache);
    room_open_cache(&room, 0, dir, least - 1);
    CHECK_INT(room.warnings, 2);
    CHECK(strstr(room.warning, dir) != NULL);
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
    room_check_held(&room, room_text, ROOM_TEXT, 0); /* neither memory nor folder: keeps nothing */
    room_put(&room);
    room_check_held(&room, room_text, ROOM_TEXT, 0);
    CHECK(weir_cache_get(room.cache, room.fixture.session, 0, room_text, 5, &held, &err) !=
          WEIR_OK);
    fixture_check_says(&err, WEIR_ERR_ARGUMENT, "holds 120 tokens, expected none");
    room_open(&other, NANO, 0, NULL, 0);
    err = (struct weir_error){0};
    CHECK(weir_cache_put(room.cache, other.fixture.session, 0, &err) != WEIR_OK);
    fixture_check_says(&err, WEIR_ERR_ARGUMENT, "another engine");
    room_close(&other);
    room_close(&room);
}
