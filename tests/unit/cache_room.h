/* SPDX-License-Identifier: MIT
 * What tests of the prefix cache share: an engine with one session and a cache, and a text. */
#ifndef TESTS_UNIT_CACHE_ROOM_H
#define TESTS_UNIT_CACHE_ROOM_H

#include "golden/fixture.h"

#define NANO    "golden/nano-q4_0.gguf"
#define NANOMOE "golden/nanomoe-f32.gguf" /* with the MTP block */

enum { ROOM_TEXT = 120 };

/* The text that is kept: random tokens, anew with each room. */
extern int32_t room_text[ROOM_TEXT];

struct room {
    struct fixture fixture;
    struct weir_cache *cache;
    int warnings;
    char warning[WEIR_ERROR_TEXT_MAX];
};

/* One thread and the reference backend, so that a child of fork can use the engine too. */
void room_open(struct room *room, const char *model, uint64_t bytes_max, const char *dir,
               uint64_t dir_bytes_max);
void room_close(struct room *room);

/* A cache of the room's engine in place of the one that it has, which stays open. */
void room_open_cache(struct room *room, uint64_t bytes_max, const char *dir,
                     uint64_t dir_bytes_max);

void room_eval(struct room *room, const int32_t *tokens, uint32_t count);
void room_put(struct room *room);
/* Evaluates room_text[0, ends[..]) and keeps each end; the last is 0. */
void room_put_text(struct room *room, const uint32_t *ends);

/* What the cache has of these tokens, in an empty session. */
uint32_t room_get(struct room *room, const int32_t *tokens, uint32_t count);
/* Gets the tokens, evaluates the rest, and compares with a session that evaluates all. */
void room_check_held(struct room *room, const int32_t *tokens, uint32_t count, uint32_t held);

/* Bytes of a snapshot of `count` tokens that stands on nothing. */
uint64_t room_bytes_of(const char *model, uint32_t count);

uint64_t room_memory_bytes(const struct room *room);
uint64_t room_folder_bytes(const char *dir);
/* The first file of so many tokens, "" if there is none; static. */
const char *room_file(const char *dir, uint32_t position);

#endif
