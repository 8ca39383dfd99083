/* SPDX-License-Identifier: MIT
 * What weir profile runs: all combinations of the lists that the flags give. Knows neither how a
 * point is timed nor how it is printed. */
#ifndef APP_PROFILE_POINTS_H
#define APP_PROFILE_POINTS_H

#include "app/options.h"

struct profile_point {
    enum profile_mode mode;
    struct weir_profile_shape shape;
};

/* Fills the lists that no flag has filled; prompts so that those of a step are at most `rows_max`
 * tokens. */
enum weir_status profile_points_fill(struct profile_options *options, uint32_t rows_max,
                                     struct weir_error *err);

/* The points of one number of threads, and one of them. The last list turns fastest: modes,
 * contexts, sequences, then prompts or drafts. */
uint64_t profile_points_count(const struct profile_options *options);
struct profile_point profile_points_take(const struct profile_options *options, uint64_t number);
/* Makes a verification a round of speculation, if sessions of such an engine go back so far. */
void profile_points_mark(struct profile_point *point, const struct weir_engine_options *engine);

/* Sizes an engine on which all points can be run, each session with room for `drift` tokens more.
 * Refuses what is more than a step of options->step_rows_max tokens, or than any context. */
enum weir_status profile_points_size(const struct profile_options *options, uint32_t drift,
                                     struct weir_engine_options *engine, struct weir_error *err);

#endif
