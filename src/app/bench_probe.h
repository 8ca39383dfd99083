/* SPDX-License-Identifier: MIT
 * The part of weir bench that measures the machine instead of a model. */
#ifndef APP_BENCH_PROBE_H
#define APP_BENCH_PROBE_H

#include "app/command.h"

/* Measures, and prints what came beside what was kept before, and which of the two is kept. */
enum weir_status bench_probe(const struct call *call, struct weir_error *err);

#endif
