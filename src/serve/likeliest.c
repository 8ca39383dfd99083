/* SPDX-License-Identifier: MIT
 * The log-softmax of a row at some places. Knows no sampler and no job. */
#include "serve/likeliest.h"

#include <float.h>
#include <math.h>

static double log_sum(const float *logits, uint32_t vocab)
{
    float most = logits[0];
    double sum = 0;
    for (uint32_t i = 1; i < vocab; i++)
        most = logits[i] > most ? logits[i] : most;
    for (uint32_t i = 0; i < vocab; i++)
        sum += exp((double)logits[i] - (double)most);
    return (double)most + log(sum);
}

static float clean(double logprob)
{
    return logprob < -(double)FLT_MAX ? -FLT_MAX : (float)logprob;
}

/* Puts a token into the list, from the end on, behind those that are as likely. */
static void insert(struct job_logprob *best, uint32_t count, struct job_logprob token)
{
    uint32_t at = count;
    for (; at > 0 && best[at - 1].logprob < token.logprob; at--)
        best[at] = best[at - 1];
    best[at] = token;
}

uint32_t likeliest_find(const float *logits, uint32_t vocab, int32_t id, float *logprob,
                        struct job_logprob *best, uint32_t count)
{
    const double sum = log_sum(logits, vocab);
    uint32_t found = 0;
    count = count < vocab ? count : vocab;
    for (uint32_t i = 0; i < vocab && count > 0; i++) {
        if (found == count && !(logits[i] > best[count - 1].logprob))
            continue;
        found -= found == count;
        insert(best, found, (struct job_logprob){(int32_t)i, logits[i]});
        found++;
    }
    for (uint32_t i = 0; i < found; i++)
        best[i].logprob = clean((double)best[i].logprob - sum);
    *logprob = clean((double)logits[id] - sum);
    return found;
}
