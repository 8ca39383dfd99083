/* SPDX-License-Identifier: MIT
 * Lets tests of whole models ask for the levels that are for tests alone, as --isa would: the
 * linker has calls of cpu_select arrive here (tests/meson.build). Knows no kernel. */
#include <string.h>

#include "cpu/kernels.h"

enum weir_status __real_cpu_select(const struct kernels **out, const char *best,
                                   struct weir_error *err);
enum weir_status __wrap_cpu_select(const struct kernels **out, const char *best,
                                   struct weir_error *err);

#if defined(__x86_64__)
extern const struct kernels kernels_emulated, kernels_vnni_256;
static const struct kernels *const own[] = {&kernels_emulated, &kernels_vnni_256};
enum { OWN = sizeof own / sizeof own[0] };
#else
static const struct kernels *const own[] = {NULL};
enum { OWN = 0 };
#endif

/* Both stand for levels that need more, and run where `v4` does. */
enum weir_status __wrap_cpu_select(const struct kernels **out, const char *best,
                                   struct weir_error *err)
{
    for (int i = 0; i < OWN && best != NULL; i++) {
        if (strcmp(best, own[i]->level) != 0)
            continue;
        const enum weir_status status = __real_cpu_select(out, "v4", err);
        if (status == WEIR_OK && strcmp((*out)->level, "v4") == 0)
            *out = own[i];
        return status;
    }
    return __real_cpu_select(out, best, err);
}
