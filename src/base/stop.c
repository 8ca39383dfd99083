/* SPDX-License-Identifier: MIT
 * Stop texts. Knows not where the stream comes from. */
#include "base/stop.h"

#include <string.h>

#include "base/mem.h"

enum weir_status stop_open(struct stop *stop, const char *const *texts, uint64_t count,
                           struct weir_error *err)
{
    *stop = (struct stop){.texts = texts, .count = count};
    stop->matched = mem_alloc(count, sizeof *stop->matched, err);
    return stop->matched == NULL ? WEIR_ERR_MEMORY : WEIR_OK;
}

void stop_close(struct stop *stop)
{
    mem_free(stop->matched);
    stop->matched = NULL;
}

/* The stream ended with the first `matched` bytes of `text`, which is not the whole of it, and now
 * goes on with `c`: how much of the text does it end with? What the stream ended with is a part of
 * the text itself, so nothing else has to be remembered. */
static size_t advance(const char *text, size_t matched, char c)
{
    for (size_t length = matched + 1; length > 0; length--) {
        const size_t before = length - 1;
        if (text[before] == c && memcmp(text, text + matched - before, before) == 0)
            return length;
    }
    return 0;
}

bool stop_feed(struct stop *stop, const char *bytes, size_t length, size_t *used)
{
    for (size_t i = 0; i < length; i++) {
        for (uint64_t t = 0; t < stop->count; t++) {
            const char *text = stop->texts[t];
            stop->matched[t] = advance(text, stop->matched[t], bytes[i]);
            if (text[stop->matched[t]] == 0) {
                stop->found = stop->matched[t];
                *used = i + 1;
                return true;
            }
        }
    }
    *used = length;
    return false;
}

size_t stop_held(const struct stop *stop)
{
    size_t held = 0;
    for (uint64_t t = 0; t < stop->count; t++)
        held = stop->matched[t] > held ? stop->matched[t] : held;
    return held;
}
