/* SPDX-License-Identifier: MIT
 * What weir run keeps beyond its end: the prefix cache of --cache-dir, the file of --session. */
#ifndef APP_KEEP_H
#define APP_KEEP_H

#include "app/command.h"
#include "app/loaded.h"
#include "app/prompt.h"
#include "base/lock.h"

/* Zeroed to begin. */
struct keep {
    const struct options *options;
    struct log *log;
    struct weir_session *session;
    uint32_t context;         /* tokens that it can hold */
    struct file_lock lock;    /* of the file of --session */
    struct weir_cache *cache; /* NULL: without */
    int32_t message_begin;    /* the token that every message begins with; -1: there is none */
    uint32_t loaded;          /* tokens from the file of --session */
    uint32_t restored;        /* tokens of the prompt that the cache had */
    uint64_t restore_ns;
};

/* Refuses --cache-size without --cache-dir, of which alone it tells. */
enum weir_status keep_check_size(const struct call *call, enum command_id command,
                                 struct weir_error *err);

/* Before a model is loaded: refuses flags that say nothing, and holds the file of --session. */
enum weir_status keep_hold(struct keep *keep, const struct call *call, struct weir_error *err);
/* Opens the cache, without which the run goes on if there is none to be had, and loads the session
 * if there is its file. */
enum weir_status keep_open(struct keep *keep, const struct options *options,
                           const struct loaded *loaded, struct log *log, struct weir_error *err);
void keep_close(struct keep *keep);

/* What goes on without a text behind it begins with what the session holds, as a prompt that is
 * read again: what follows its last token is not in the file. */
enum weir_status keep_take_back(struct keep *keep, struct ids *prompt, struct weir_error *err);

/* Begins an empty session with what the cache has of the prompt. */
enum weir_status keep_restore(struct keep *keep, const struct ids *prompt, struct weir_error *err);

/* Where an evaluation of the prompt that stands behind token `at` ends: behind the last token, or
 * where a snapshot is worth its place. Depends on the prompt alone, so that a run that begins from
 * the cache has the bits of the one that filled it; and on positions at which chunks of tokens are
 * cut anyway, so that both have those of a run without a cache. An answer is another matter: it was
 * computed token by token, and is no more when it is part of a prompt. */
uint64_t keep_next_stop(const struct keep *keep, const struct ids *prompt, uint64_t at);

/* Puts the session into the cache. What fails is said, and the run goes on without the cache. */
void keep_put(struct keep *keep);

/* A line of the timings: how much of a prompt of so many tokens was there already. */
void keep_print(const struct keep *keep, uint64_t prompt);

/* At the end of an answer: evaluates those of its tokens that the session does not hold yet, as
 * nobody needed what they give, takes back drafts that were not said, and keeps all. `said` are
 * those that were printed, from position `first` of the session on. */
enum weir_status keep_end(struct keep *keep, uint32_t first, const struct ids *said,
                          struct weir_error *err);

#endif
