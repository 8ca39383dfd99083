/* SPDX-License-Identifier: MIT
 * What this machine can do at best, measured once and kept in the user's cache folder. */
#ifndef APP_MACHINE_H
#define APP_MACHINE_H

#include "app/log.h"
#include "base/probe.h"

/* The peaks of this machine with so many threads: those that were kept, unless `anew`; else they
 * are measured, which takes some seconds, and kept. What was kept for another processor or number
 * of threads, or is not whole, does not count. Being unable to keep them is only a warning. */
enum weir_status machine_probe(struct probe *out, uint32_t threads, bool anew, struct log *log,
                               struct weir_error *err);

/* Those that were kept; false if there are none. */
bool machine_kept(struct probe *out, uint32_t threads);

#endif
