/* SPDX-License-Identifier: MIT
 * Fuzzes the readers of the heads of snapshots, one and one behind the other, against the size of
 * the input: what they let through stays within the engine's limits. */
#include "fuzz/fuzz.h"

#include <stdlib.h>

#include "run/session_states.h"

static void expect(bool condition)
{
    if (!condition)
        abort();
}

/* A small engine with the MTP block; its fingerprint is that of the corpus, all zeros. */
static const struct snapshot_shape shape = {
    .vocab = 100,
    .context = 64,
    .row_bytes = 16,
    .mtp_row_bytes = 8,
    .kept_bytes = 32,
    .record_bytes = 4,
    .pending_max = 4,
    .hidden_bytes = 12,
};

static void check_head(const struct snapshot_head *head, size_t size)
{
    expect(head->position > 0 && head->position <= shape.context);
    expect(head->parent.position < head->position);
    expect(head->mtp_position <= head->position);
    expect(head->parent.mtp_position <= head->mtp_position);
    expect(head->pending <= shape.pending_max && head->pending <= head->position);
    expect(snapshot_bytes(head, &shape) == size);
    expect(snapshot_link_offset(head, &shape) < size);
}

/* They fill the input, each begins where the one before it ends, and none lies before it. */
static void check_states(const struct snapshot_source *source)
{
    struct session_states states;
    struct weir_error err = {0};
    uint64_t end = 0;
    const enum weir_status status = session_states_find(&states, source, &shape, &err);
    expect((status == WEIR_OK) == (err.text[0] == 0));
    expect((status == WEIR_OK) == (states.count > 0));
    for (uint64_t i = 0; i < states.count; i++) {
        const struct session_state *state = &states.items[i];
        expect(state->source.begin == end);
        check_head(&state->head, state->source.size);
        expect(i == 0 || state->head.parent.position == state[-1].head.position);
        expect(state->head.goes_on == (i + 1 < states.count));
        end += state->source.size;
    }
    expect(status != WEIR_OK || end == source->size);
    session_states_release(&states);
}

int fuzz_snapshot(const uint8_t *data, size_t size)
{
    const struct snapshot_source source = {.memory = data, .size = size, .name = "input"};
    struct snapshot_head head;
    struct weir_error err = {0};
    check_states(&source);
    uint8_t link[DIGEST_BYTES];
    const enum weir_status status = snapshot_source_head(&source, &shape, &head, &err);
    expect((status == WEIR_OK) == (err.text[0] == 0));
    if (status != WEIR_OK)
        return 0;
    check_head(&head, size);
    expect(snapshot_source_read(&source, snapshot_link_offset(&head, &shape), link, sizeof link,
                                &err) == WEIR_OK);
    expect(snapshot_source_read(&source, size, link, 1, &err) == WEIR_ERR_FORMAT);
    expect(snapshot_source_read(&source, UINT64_MAX, link, 2, &err) == WEIR_ERR_FORMAT);
    return 0;
}
