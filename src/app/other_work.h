/* SPDX-License-Identifier: MIT
 * How much of the processors' time went to other work than this process's, by the ticks that Linux
 * counts. Knows nothing of what is measured meanwhile. */
#ifndef APP_OTHER_WORK_H
#define APP_OTHER_WORK_H

#include <stdbool.h>
#include <stdint.h>

/* Time of all processors since the system started. */
struct other_work_ticks {
    uint64_t busy, all;
};

/* A moment to measure from; `all` 0 where the system does not count. */
struct other_work {
    struct other_work_ticks ticks;
    uint64_t own_ns; /* of this process, all its threads */
};

/* Of the first line of /proc/stat; false unless it is one. */
bool other_work_parse(const char *line, struct other_work_ticks *out);

/* The share, 0 to 1, of all ticks between two moments that neither were idle nor are this
 * process's, of which there are so many a second. 0 where nothing was counted. */
double other_work_between(const struct other_work *start, const struct other_work *end,
                          long ticks_per_second);

/* Now, and the share since then. */
struct other_work other_work_start(void);
double other_work_since(const struct other_work *start);

#endif
