/* SPDX-License-Identifier: MIT
 * A job in its slot, from its beginning to its end. On the scheduler's thread, without the lock. */
#ifndef SERVE_RUNNING_H
#define SERVE_RUNNING_H

#include "serve/scheduler_room.h"

/* A job gets this slot, or another one that is free and nearer to its prompt. */
void running_begin(struct scheduler *scheduler, struct slot *slot, struct job *job);
/* Ends the slot's job; FAILED says why in job->err. */
void running_end(struct scheduler *scheduler, struct slot *slot, enum job_end end,
                 const char *stop);
void running_fail(struct scheduler *scheduler, struct slot *slot, const struct weir_error *err);
/* Ends a job that never ran. Under the lock. */
void running_refuse(struct scheduler *scheduler, struct job *job, enum job_end end);

/* Behind a step with the slot's part of its prompt, or with its round: `alone_ns` is what the step
 * took if it held this slot alone, else 0. */
void running_take_part(struct scheduler *scheduler, struct slot *slot);
void running_take_round(struct scheduler *scheduler, struct slot *slot, uint64_t alone_ns);

#endif
