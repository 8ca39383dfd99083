/* SPDX-License-Identifier: MIT
 * The newest tokens of a text. Knows no sampler. */
#include "run/history.h"

#include <string.h>

#include "base/mem.h"

enum weir_status token_history_init(struct token_history *history, uint32_t tokens_max,
                                    struct weir_error *err)
{
    *history = (struct token_history){.tokens_max = tokens_max};
    history->ids = mem_alloc((uint64_t)tokens_max * 2, sizeof *history->ids, err);
    return history->ids == NULL ? WEIR_ERR_MEMORY : WEIR_OK;
}

void token_history_release(struct token_history *history)
{
    mem_free(history->ids);
    *history = (struct token_history){0};
}

void token_history_push(struct token_history *history, int32_t id)
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

struct token_history_tail token_history_tail(const struct token_history *history, uint32_t count)
{
    if (count > history->tokens_max)
        count = history->tokens_max;
    if (count > history->end)
        count = (uint32_t)history->end;
    return (struct token_history_tail){history->ids + (history->end - count), count};
}
