/* SPDX-License-Identifier: MIT
 * Where prompts are cut. Pure functions of tokens. */
#include "serve/prompt_cuts.h"

enum {
    KEPT_EVERY = 8192, /* tokens of a long text */
    FEW = 16,          /* tokens at the beginning that nobody minds to read again */
};

uint32_t cuts_next(const int32_t *ids, uint32_t count, uint32_t from, int32_t message_begin)
{
    const uint32_t left = KEPT_EVERY - from % KEPT_EVERY;
    const uint32_t end = count - from > left ? from + left : count;
    for (uint32_t i = from; i < end && message_begin >= 0; i++) {
        if (ids[i] == message_begin)
            return i + 1;
    }
    return end;
}

uint32_t cuts_step_end(uint32_t from, uint32_t cut, uint32_t rows)
{
    if (cut - from <= rows)
        return cut;
    const uint32_t most =
        cut - CUT_ROWS_FEW - 1 < from + rows ? cut - CUT_ROWS_FEW - 1 : from + rows;
    const uint32_t end = most / CUT_ALIGNMENT * CUT_ALIGNMENT;
    return end > from + CUT_ROWS_FEW ? end : from;
}

static void add(struct cuts_kept *kept, uint32_t position)
{
    if (position > 0 && (kept->count == 0 || kept->at[kept->count - 1] < position))
        kept->at[kept->count++] = position;
}

struct cuts_kept cuts_kept(const int32_t *ids, uint32_t count, int32_t message_begin)
{
    uint32_t shared = 0, question = 0, reply = 0;
    struct cuts_kept kept = {.count = 0};
    for (uint32_t at = 1; at < count; at++) {
        if (message_begin < 0 || ids[at - 1] != message_begin)
            continue;
        question = reply;
        reply = at;
        if (shared == 0 && at > FEW)
            shared = at;
    }
    if (reply == 0) {
        add(&kept, (count - 1) / CUT_ALIGNMENT * CUT_ALIGNMENT);
        return kept;
    }
    add(&kept, shared);
    add(&kept, question > FEW ? question : 0);
    add(&kept, reply);
    return kept;
}

bool cuts_keep(const struct cuts_kept *kept, uint32_t position)
{
    for (uint32_t i = 0; i < kept->count; i++) {
        if (kept->at[i] == position)
            return true;
    }
    return position > 0 && position % KEPT_EVERY == 0;
}
