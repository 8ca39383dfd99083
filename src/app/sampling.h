/* SPDX-License-Identifier: MIT
 * From flags to a sampler's options. */
#ifndef APP_SAMPLING_H
#define APP_SAMPLING_H

#include "app/args.h"

/* Completes options->sampler: the model's recommendation for each sampling flag that was not given,
 * and what the flags that may be repeated have listed, which is borrowed. */
void sampling_choose(struct options *options, const enum given *given,
                     const struct weir_model *model);

#endif
