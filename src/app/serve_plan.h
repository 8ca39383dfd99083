/* SPDX-License-Identifier: MIT
 * How many slots a server has, of how many tokens, what memory that takes, and how many connections
 * there may be: before any of it is taken. */
#ifndef APP_SERVE_PLAN_H
#define APP_SERVE_PLAN_H

#include "app/log.h"
#include "serve/scheduler.h"

/* Sets sessions_max to the slots of -np, if it is given, and context to that of each: as
 * llama-server has it, -c counts all slots of -np together. */
enum weir_status serve_plan_divide(struct weir_engine_options *engine,
                                   const struct options *options, struct weir_error *err);

/* A model that drafts for the slots. Zeroed: there is none. */
struct serve_draft {
    const struct weir_model *model;
    struct weir_engine_options engine; /* but for context and sessions_max: those of the slots */
};

/* Completes slots, engine.context and cache_bytes_max of the scheduler, whose other options are
 * there, by the flags and the free memory, and tells so. Without -np each slot has -c.
 * WEIR_ERR_MEMORY if it does not fit. */
enum weir_status serve_plan(struct scheduler_options *scheduler, const struct serve_draft *draft,
                            const struct options *options, struct log *log, struct weir_error *err);

/* So many connections as wanted, or as the limit of open files, which is raised if it may be, has
 * room for; then it is told. */
uint32_t serve_plan_connections(uint32_t wanted, struct log *log);

#endif
