/* SPDX-License-Identifier: MIT
 * The largest of some 250,000 logits, which is looked for once a draft: block by block, in loops
 * that become vector code. */
#include "run/draft_pick.h"

#include <math.h>

enum {
    BLOCK = 256,
    LANES = 16, /* independent maxima, so that a block is not one chain of latencies */
    LIKELY = 10,
};

static float block_max(const float *logits, uint32_t count)
{
    float max[LANES], most = -INFINITY;
    for (uint32_t lane = 0; lane < LANES; lane++)
        max[lane] = -INFINITY;
    uint32_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        for (uint32_t lane = 0; lane < LANES; lane++) {
            const float a = logits[i + lane], b = max[lane];
            max[lane] = a > b ? a : b;
        }
    }
    for (; i < count; i++)
        most = logits[i] > most ? logits[i] : most;
    for (uint32_t lane = 0; lane < LANES; lane++)
        most = max[lane] > most ? max[lane] : most;
    return most;
}

static uint32_t block_count(uint32_t first, uint32_t count)
{
    return count - first < BLOCK ? count - first : BLOCK;
}

int32_t draft_pick(const float *logits, uint32_t count)
{
    uint32_t best = 0;
    float most = -INFINITY;
    for (uint32_t first = 0; first < count; first += BLOCK) {
        const float max = block_max(logits + first, block_count(first, count));
        if (max > most) {
            most = max;
            best = first;
        }
    }
    while (best < count && logits[best] < most)
        best++;
    return (int32_t)best;
}

/* Keeps the largest numbers, ascending. */
static void likely_add(float likely[LIKELY], float logit)
{
    uint32_t at = 0;
    for (; at + 1 < LIKELY && likely[at + 1] < logit; at++)
        likely[at] = likely[at + 1];
    likely[at] = logit;
}

float draft_probability(const float *logits, uint32_t count, int32_t id)
{
    float likely[LIKELY], sum = 0;
    for (uint32_t i = 0; i < LIKELY; i++)
        likely[i] = -INFINITY;
    for (uint32_t first = 0; first < count; first += BLOCK) {
        const uint32_t length = block_count(first, count);
        if (block_max(logits + first, length) <= likely[0])
            continue;
        for (uint32_t i = first; i < first + length; i++) {
            if (logits[i] > likely[0])
                likely_add(likely, logits[i]);
        }
    }
    for (uint32_t i = 0; i < LIKELY; i++)
        sum += expf(likely[i] - logits[id]);
    return 1 / sum;
}
