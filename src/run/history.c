/* SPDX-License-Identifier: MIT
 * The newest tokens of a text. Knows no sampler. */
#include "run/history.h"

#include <string.h>

#include "base/mem.h"

enum weir_status history_init(struct history *history, uint32_t tokens_max, struct weir_error *err)
{
    *history = (struct history){.tokens_max = tokens_max};
    history->ids = mem_alloc((uint64_t)tokens_max * 2, sizeof *history->ids, err);
    return history->ids == NULL ? WEIR_ERR_MEMORY : WEIR_OK;
}

void history_release(struct history *history)
{
    mem_free(history->ids);
    *history = (struct history){0};
}

void history_push(struct history *history, int32_t id)
{
    const uint64_t max = history->tokens_max;
    if (max == 0)
        return;
    if (history->end == 2 * max) {
        memcpy(history->ids, history->ids + max, max * sizeof *history->ids);
        history->end = max;
    }
    history->ids[history->end++] = id;
}

struct history_tail history_tail(const struct history *history, uint32_t count)
{
    if (count > history->tokens_max)
        count = history->tokens_max;
    if (count > history->end)
        count = (uint32_t)history->end;
    return (struct history_tail){history->ids + (history->end - count), count};
}
