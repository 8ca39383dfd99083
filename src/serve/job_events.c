/* SPDX-License-Identifier: MIT
 * The ring of a job's events. Knows not what they mean. */
#include "serve/job_events.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

enum { EVENTS_MAX = 128 }; /* then its slot waits */

enum weir_status job_events_open(struct job_events *events, size_t text_max, uint32_t likeliest_max,
                                 struct weir_error *err)
{
    uint64_t texts, likeliest;
    *events = (struct job_events){.text_max = text_max, .likeliest_max = likeliest_max};
    if (!size_mul(text_max, EVENTS_MAX, &texts) ||
        !size_mul((uint64_t)likeliest_max * EVENTS_MAX, sizeof *events->likeliest, &likeliest))
        return err_set(err, WEIR_ERR_MEMORY, "events of %llu bytes", (unsigned long long)text_max);
    events->items = mem_alloc(EVENTS_MAX, sizeof *events->items, err);
    events->texts = mem_alloc(texts, 1, err);
    events->likeliest = mem_alloc(likeliest, 1, err);
    return events->items == NULL || events->texts == NULL || events->likeliest == NULL
               ? WEIR_ERR_MEMORY
               : WEIR_OK;
}

void job_events_close(struct job_events *events)
{
    mem_free(events->items);
    mem_free(events->texts);
    mem_free(events->likeliest);
    *events = (struct job_events){.items = NULL};
}

uint32_t job_events_room(const struct job_events *events)
{
    return events->count < EVENTS_MAX - 1 ? EVENTS_MAX - 1 - events->count : 0;
}

/* The memory of texts was handed out as const: this is where it comes from. */
static char *text_of(const struct job_events *events, uint32_t index)
{
    return events->texts + index * events->text_max;
}

struct job_event *job_events_add(struct job_events *events, enum job_kind kind)
{
    assert(events->count < EVENTS_MAX);
    const uint32_t index = (events->first + events->count++) % EVENTS_MAX;
    events->items[index] = (struct job_event){
        .kind = kind,
        .text = text_of(events, index),
        .likeliest = events->likeliest + (size_t)index * events->likeliest_max,
    };
    return &events->items[index];
}

void job_events_set_text(struct job_events *events, struct job_event *event, const char *text,
                         size_t length)
{
    assert(length <= events->text_max);
    if (length > 0)
        memcpy(text_of(events, (uint32_t)(event - events->items)), text, length);
    event->length = length;
}

void job_events_set_likeliest(struct job_events *events, struct job_event *event,
                              const struct job_logprob *likeliest, uint32_t count)
{
    const size_t index = (size_t)(event - events->items);
    assert(count <= events->likeliest_max);
    if (count > 0)
        memcpy(events->likeliest + index * events->likeliest_max, likeliest,
               count * sizeof *likeliest);
    event->likeliest_count = count;
}

bool job_events_take(struct job_events *events, struct job_event *out)
{
    if (events->is_lent) {
        events->first = (events->first + 1) % EVENTS_MAX;
        events->count--;
        events->is_lent = false;
    }
    if (events->count == 0)
        return false;
    *out = events->items[events->first];
    events->is_lent = true;
    return true;
}
