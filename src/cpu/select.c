/* SPDX-License-Identifier: MIT
 * Chooses the ISA level: the best that processor and system support. Knows what levels.def says. */
#include <stdio.h>
#include <string.h>

#include "base/cpu.h"
#include "base/err.h"
#include "cpu/kernels.h"

static const struct {
    const struct kernels *kernels;
    uint32_t features;
} levels[] = {
#define LEVEL(id, features) {&kernels_##id, features},
#include "cpu/levels.def"
};

enum { LEVELS = sizeof levels / sizeof levels[0], LIST_BYTES = 12 * LEVELS };

/* True if the system lets this process use what the level needs, and it computes as it should. */
static bool level_works(size_t level)
{
    const uint32_t needed = levels[level].features;
    if ((cpu_features() & needed) != needed)
        return false;
    if ((needed & (CPU_AMX_BF16 | CPU_AMX_INT8)) != 0 && !cpu_allow_amx())
        return false;
    return levels[level].kernels->works == NULL || levels[level].kernels->works();
}

/* All levels of this build, the least first, as a list for messages. */
static const char *list_levels(char out[LIST_BYTES])
{
    size_t length = 0;
    for (size_t i = LEVELS; i-- > 0;)
        length += (size_t)snprintf(out + length, LIST_BYTES - length, "%s%s",
                                   i == LEVELS - 1 ? ""
                                   : i == 0        ? " or "
                                                   : ", ",
                                   levels[i].kernels->level);
    return out;
}

enum weir_status cpu_select(const struct kernels **out, const char *best, struct weir_error *err)
{
    char list[LIST_BYTES];
    bool is_allowed = best == NULL;
    for (size_t i = 0; i < LEVELS; i++) {
        is_allowed |= best != NULL && strcmp(best, levels[i].kernels->level) == 0;
        if (is_allowed && level_works(i)) {
            *out = levels[i].kernels;
            return WEIR_OK;
        }
    }
    if (!is_allowed)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "--isa: \"%s\" is no level of instructions, expected %s", best,
                       list_levels(list));
    return err_set(err, WEIR_ERR_UNSUPPORTED,
                   "this processor lacks what level %s needs; backend ref does without",
                   levels[LEVELS - 1].kernels->level);
}
