/* SPDX-License-Identifier: MIT
 * Loops that do nothing but multiply and add, each in one kind of instructions. */
#ifndef BASE_PROBE_KERNELS_H
#define BASE_PROBE_KERNELS_H

#include <stdint.h>

enum { PROBE_RESULT_BYTES = 64 };

struct probe_kernel {
    const char *type;
    const char *name;
    uint32_t features; /* enum cpu_feature that it needs */
    uint32_t ops;      /* multiplications and additions of a round */
    /* Runs so many rounds. The result keeps them alive, and tells a test that they were run. */
    void (*run)(uint64_t rounds, uint8_t result[PROBE_RESULT_BYTES]);
};

/* All that this program was compiled with; the list ends with a kernel without a name. Where one
 * type has several, the first are the older instructions. */
const struct probe_kernel *probe_kernels(void);

#endif
