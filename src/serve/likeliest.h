/* SPDX-License-Identifier: MIT
 * Log-probabilities of a row of logits, as the model gave them: before biases, penalties, filters
 * and temperature. */
#ifndef SERVE_LIKELIEST_H
#define SERVE_LIKELIEST_H

#include "serve/scheduler.h"

/* The logarithm of the probability of `id`, and the `count` likeliest tokens, best first, of
 * equals the lowest id; all of the vocabulary if that is fewer. Returns their number. A probability
 * of 0 is -FLT_MAX. */
uint32_t likeliest_find(const float *logits, uint32_t vocab, int32_t id, float *logprob,
                        struct job_logprob *best, uint32_t count);

#endif
