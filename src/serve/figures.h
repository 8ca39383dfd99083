/* SPDX-License-Identifier: MIT
 * What the scheduler counts. Knows nothing of locks: who uses it holds the scheduler's. */
#ifndef SERVE_FIGURES_H
#define SERVE_FIGURES_H

#include "serve/scheduler.h"

/* Adds observations of so many ns. */
void histogram_add(struct histogram *histogram, uint64_t ns, uint32_t times);
/* Counts a step: its bytes by class, of which `rows` of `all` rows belong to a job (its share is
 * added to `bytes`). */
void figures_share(uint64_t bytes[WEIR_TRAFFIC_CLASSES], const struct weir_traffic *traffic,
                   uint32_t rows, uint32_t all);
/* A round of that many drafts, of which so many were accepted. */
void figures_add_round(struct scheduler_figures *figures, uint32_t drafts, uint32_t accepted);
/* A job that has ended. */
void figures_add_job(struct scheduler_figures *figures, const struct job_timings *timings,
                     enum job_end end);

#endif
