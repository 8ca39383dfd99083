/* SPDX-License-Identifier: MIT
 * Tokens in windows, evaluated to score a model, by the method of llama-perplexity: windows of
 * equally many tokens, in each of which the second half is predicted from all that stand before. */
#ifndef APP_WINDOWS_H
#define APP_WINDOWS_H

#include "app/command.h"
#include "app/loaded.h"
#include "app/prompt.h"
#include "base/pool.h"

enum { WINDOWS_LENGTH_MIN = 4 };
enum { WINDOWS_ROWS_MAX = 64 }; /* of one step: those of the largest vocabulary are 61 MiB */

/* Zeroed to begin; windows_close may follow a failure. */
struct windows {
    const struct call *call;
    struct loaded loaded;
    struct pool *pool;
    struct ids ids;
    uint32_t count;  /* windows */
    uint32_t length; /* tokens of a window */
    uint32_t first;  /* the tokens behind first to length - 2 are scored */
    int32_t head;    /* stands first in each window, in place of its own token; -1: none does */
};

/* Reads the windows that the flags name: --file, of which there must be `least`, or --tokens, cut
 * by --ctx-size and --chunks. Opens the model. */
enum weir_status windows_read(struct windows *windows, const struct call *call, uint32_t least,
                              struct weir_error *err);

/* Opens the engine for the windows. Its steps can have WINDOWS_ROWS_MAX rows of logits, or one if
 * only the layers are collected from. What is collected from includes the block of multi-token
 * prediction, where the model has one. */
enum weir_status windows_open_engine(struct windows *windows, enum weir_collect collect,
                                     struct weir_error *err);
/* Refuses tokens that are not of the engine's vocabulary: the last of a window is only looked up
 * in the logits, where nothing else would. */
enum weir_status windows_check_tokens(const struct windows *windows, struct weir_error *err);
void windows_close(struct windows *windows);

/* Who is given the rows of a step, at most WINDOWS_ROWS_MAX. */
struct windows_scorer {
    /* Row `slot` of the step, behind which the token `next` came. Called by several threads. */
    void (*score)(void *user, uint32_t slot, const float *logits, int32_t next);
    /* All `rows` of the step are scored; called by one thread, in the order of the rows. */
    enum weir_status (*take)(void *user, uint32_t rows, struct weir_error *err);
    void *user;
};

/* Evaluates window `number`. */
enum weir_status windows_score(struct windows *windows, uint32_t number,
                               const struct windows_scorer *scorer, struct weir_error *err);

#endif
