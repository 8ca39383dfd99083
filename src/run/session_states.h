/* SPDX-License-Identifier: MIT
 * The file of a session: snapshots one behind the other, each standing on the one before it; the
 * last is where the session stood. Knows which follow each other and whether all of them are whole,
 * not what becomes of them. */
#ifndef RUN_SESSION_STATES_H
#define RUN_SESSION_STATES_H

#include "run/snapshot.h"

struct session_state {
    struct snapshot_source source;
    struct snapshot_head head;
    struct digest link; /* as it was read; zero before */
};

/* In the order of their positions, at least one. */
struct session_states {
    struct session_state *items;
    uint64_t count, capacity;
};

/* Finds all snapshots of a source by their heads, of which nothing but counts is believed.
 * WEIR_ERR_FORMAT if one does not stand on the one before it, or is cut off. */
enum weir_status session_states_find(struct session_states *states,
                                     const struct snapshot_source *source,
                                     const struct snapshot_shape *shape, struct weir_error *err);
void session_states_release(struct session_states *states);

/* Whether the links that were read are those that the heads name. */
enum weir_status session_states_check_links(const struct session_states *states,
                                            struct weir_error *err);

/* Reads all of them and leaves the session as it is. */
enum weir_status session_states_check(struct session_states *states,
                                      const struct weir_session *session,
                                      const struct snapshot_shape *shape, struct weir_error *err);

#endif
