/* SPDX-License-Identifier: MIT
 * What tests of the prefix cache share: an engine with one session and a cache, and a text. */
#include "unit/cache_room.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/rng.h"

int32_t room_text[ROOM_TEXT];

static void note_warning(void *user, enum weir_log_level level, const char *line)
{
    struct room *room = user;
    room->warnings += level == WEIR_LOG_WARNING;
    snprintf(room->warning, sizeof room->warning, "%s", line);
}

void room_open_cache(struct room *room, uint64_t bytes_max, const char *dir, uint64_t dir_bytes_max)
{
    const struct weir_cache_options options = {.bytes_max = bytes_max,
                                               .dir = dir,
                                               .dir_bytes_max = dir_bytes_max,
                                               .log = note_warning,
                                               .log_user = room};
    struct weir_error err = {0};
    CHECK_OK(weir_cache_open(&room->cache, room->fixture.engine, &options, &err), &err);
}

void room_open(struct room *room, const char *model, uint64_t bytes_max, const char *dir,
               uint64_t dir_bytes_max)
{
    struct weir_engine_options options;
    *room = (struct room){.warnings = 0};
    fixture_options(&options);
    options.backend = "ref";
    options.threads = 1;
    options.bind = WEIR_OFF;
    options.context = ROOM_TEXT;
    options.sessions_max = 2;
    options.mtp = strcmp(model, NANOMOE) == 0;
    fixture_open(&room->fixture, test_data(model), &options);
    for (uint32_t i = 0; i < ROOM_TEXT; i++)
        room_text[i] = (int32_t)(rng_bits(test_seed(), 1, i) % room->fixture.vocab);
    room_open_cache(room, bytes_max, dir, dir_bytes_max);
}

void room_close(struct room *room)
{
    weir_cache_close(room->cache);
    fixture_close(&room->fixture);
}

void room_eval(struct room *room, const int32_t *tokens, uint32_t count)
{
    struct weir_error err = {0};
    CHECK_OK(weir_session_eval(room->fixture.session, tokens, count, WEIR_LOGITS_LAST, &err), &err);
}

void room_put(struct room *room)
{
    struct weir_error err = {0};
    CHECK_OK(weir_cache_put(room->cache, room->fixture.session, 0, &err), &err);
}

void room_put_text(struct room *room, const uint32_t *ends)
{
    uint32_t at = 0;
    weir_session_reset(room->fixture.session);
    for (; *ends > 0; at = *ends++) {
        room_eval(room, room_text + at, *ends - at);
        room_put(room);
    }
}

uint32_t room_get(struct room *room, const int32_t *tokens, uint32_t count)
{
    struct weir_error err = {0};
    uint32_t held;
    weir_session_reset(room->fixture.session);
    CHECK_OK(weir_cache_get(room->cache, room->fixture.session, 0, tokens, count, &held, &err),
             &err);
    CHECK_INT(weir_session_position(room->fixture.session), held);
    return held;
}

void room_check_held(struct room *room, const int32_t *tokens, uint32_t count, uint32_t held)
{
    struct weir_session *other;
    struct weir_error err = {0};
    CHECK_INT(room_get(room, tokens, count), held);
    room_eval(room, tokens + held, count - held);
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

uint64_t room_memory_bytes(const struct room *room)
{
    struct weir_cache_stats stats;
    weir_cache_stats(room->cache, &stats);
    return stats.bytes;
}

const char *room_file(const char *dir, uint32_t position)
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

uint64_t room_folder_bytes(const char *dir)
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

uint64_t room_bytes_of(const char *model, uint32_t count)
{
    struct room room;
    const uint32_t one[] = {count, 0};
    room_open(&room, model, 1 << 30, NULL, 0);
    room_put_text(&room, one);
    const uint64_t bytes = room_memory_bytes(&room);
    room_close(&room);
    return bytes;
}
