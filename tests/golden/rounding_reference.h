/* SPDX-License-Identifier: MIT
 * Logits by the definition of the ops, as they are and with what meets a matrix rounded as the CPU
 * backend rounds it. The second are so near to that backend's that a tenth of a percent shows; how
 * far they are from the first tells how much rounding does to a model at all. */
#ifndef TESTS_GOLDEN_ROUNDING_REFERENCE_H
#define TESTS_GOLDEN_ROUNDING_REFERENCE_H

#include "weir.h"

struct reference_run {
    const char *model;
    const struct weir_engine_options *options; /* caches count, and whether the block is there */
    const int32_t *tokens;                     /* of one sequence */
    uint32_t count;
    const float
        *hidden;     /* [count, width]: what the MTP block begins with; NULL: the model itself */
    const char *isa; /* as the kernels of this level round; NULL: as it is */
    const bool *is_many; /* [count]: rows of a step with more than EXACT_ROWS of them */
};

/* malloc [count, logits of a row]. */
float *reference_run(const struct reference_run *run);

#endif
