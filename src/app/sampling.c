/* SPDX-License-Identifier: MIT
 * Choosing how to sample by the flags and the model. Knows not how a sampler does it. */
#include "app/sampling.h"

#include <stddef.h>
#include <string.h>

/* The model's recommendation is for what nobody asked for. */
static void adopt_recommended(struct options *options, const enum given *given,
                              const struct weir_model *model)
{
    const size_t first = offsetof(struct options, sampler);
    struct weir_sampler_options adopted = options->sampler;
    weir_sampler_options_from_model(&adopted, model);
    for (uint32_t i = 0; i < flag_count; i++) {
        const struct flag *flag = &flag_table[i];
        const bool sampling =
            flag->offset >= first && flag->offset + flag->size <= first + sizeof adopted;
        if (given[i] && sampling)
            memcpy((uint8_t *)&adopted + (flag->offset - first),
                   (const uint8_t *)options + flag->offset, flag->size);
    }
    options->sampler = adopted;
}

void sampling_choose(struct options *options, const enum given *given,
                     const struct weir_model *model)
{
    adopt_recommended(options, given, model);
    struct weir_sampler_options *sampling = &options->sampler;
    sampling->biases = options->biases.items;
    sampling->biases_count = (uint32_t)options->biases.count;
    if (!options->breakers_given)
        return;
    sampling->dry_breakers_count = (uint32_t)options->breakers.count;
    for (uint32_t i = 0; i < sampling->dry_breakers_count; i++)
        sampling->dry_breakers[i] = options->breakers.items[i];
}
