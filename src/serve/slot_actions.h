/* SPDX-License-Identifier: MIT
 * Saving, restoring and erasing what a slot holds: asked for from any thread, done on the
 * scheduler's. */
#ifndef SERVE_SLOT_ACTIONS_H
#define SERVE_SLOT_ACTIONS_H

#include "serve/scheduler_room.h"

/* In the memory of who asks, and waits until it is done. */
struct slot_request {
    struct slot_request *next;
    const struct slot_wish *wish;
    struct slot_outcome outcome;
    enum weir_status status;
    struct weir_error err;
    bool is_done; /* under the scheduler's lock */
};

/* Does it; the slot is idle. */
void slot_request_do(struct scheduler *scheduler, struct slot_request *request);

#endif
