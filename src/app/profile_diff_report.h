/* SPDX-License-Identifier: MIT
 * What weir profile --diff prints. */
#ifndef APP_PROFILE_DIFF_REPORT_H
#define APP_PROFILE_DIFF_REPORT_H

#include "app/output.h"
#include "app/profile_diff.h"

/* Failures of the output stay with it. */
void profile_diff_table(const struct profile_diff *diff, struct output *output);
void profile_diff_json(const struct profile_diff *diff, struct output *output);
void profile_diff_csv(const struct profile_diff *diff, struct output *output);

#endif
