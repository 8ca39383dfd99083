/* SPDX-License-Identifier: MIT
 * What the sampler's last choice was made from. Knows not how it was made. */
#include "run/sampler.h"

/* The guard has no other for this place until its token is accepted. */
static uint32_t tell_forced(int32_t picked, struct weir_chance *chances, uint32_t most)
{
    if (most > 0)
        chances[0] = (struct weir_chance){picked, 1};
    return most > 0;
}

uint32_t weir_sampler_chances(struct weir_sampler *sampler, int32_t picked, float *own,
                              struct weir_chance *chances, uint32_t most)
{
    struct candidates *set = &sampler->set;
    float probability = 1;
    uint32_t count;
    if (guard_forced(&sampler->guard) == picked) {
        count = tell_forced(picked, chances, most);
    } else {
        const struct softmax softmax = candidates_softmax(set);
        count = most < set->count ? most : set->count;
        if (count > 0)
            candidates_sort(set, count);
        probability = 0;
        for (uint32_t i = 0; i < set->count; i++)
            if (set->ids[i] == picked)
                probability = (float)softmax_p(softmax, set->logits[i]);
        for (uint32_t i = 0; i < count; i++)
            chances[i] =
                (struct weir_chance){set->ids[i], (float)softmax_p(softmax, set->logits[i])};
    }
    if (own != NULL)
        *own = probability;
    return count;
}
