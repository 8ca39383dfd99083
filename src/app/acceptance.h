/* SPDX-License-Identifier: MIT
 * The part of weir eval that counts how many drafts of the MTP block the model itself would have
 * chosen. */
#ifndef APP_ACCEPTANCE_H
#define APP_ACCEPTANCE_H

#include "app/command.h"

enum { ACCEPTANCE_DRAFTS_MAX = 16 };

/* Continues each line of --tokens greedily, and prints for each draft of --mtp-acceptance how often
 * it and those before it were what came. */
enum weir_status acceptance_run(const struct call *call, struct weir_error *err);

#endif
