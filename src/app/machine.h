/* SPDX-License-Identifier: MIT
 * What this machine can do at best, measured once and kept in the user's cache folder. */
#ifndef APP_MACHINE_H
#define APP_MACHINE_H

#include "app/log.h"
#include "base/probe.h"

enum { MACHINE_PATH_BYTES = 4160 };

/* A measurement on purpose. */
struct machine_measured {
    struct probe now;
    struct probe before; /* what was kept until now, if has_before */
    bool has_before;
    bool is_kept;                  /* `now`, in place of `before` */
    bool is_busy;                  /* others took too much time for it to replace another */
    double others;                 /* share of all processors' time that went to other work */
    char path[MACHINE_PATH_BYTES]; /* of what is kept */
};

/* The share of the processors' time, in percent, up to which a machine is idle. */
enum { MACHINE_IDLE_PERCENT = 5 };

/* The peaks of this machine with so many threads: those that were kept; else they are measured,
 * which takes some seconds, and kept. What was kept for another processor or number of threads, or
 * is not whole, does not count. Being unable to keep them is only a warning. */
enum weir_status machine_probe(struct probe *out, uint32_t threads, struct log *log,
                               struct weir_error *err);

/* Measures them in any case, and keeps them if nothing was kept or the machine was idle meanwhile:
 * so neither a lucky sample nor other work lasts longer than the user wants. */
enum weir_status machine_measure(struct machine_measured *out, uint32_t threads, struct log *log,
                                 struct weir_error *err);

/* Those that were kept; false if there are none. */
bool machine_kept(struct probe *out, uint32_t threads);

#endif
