/* SPDX-License-Identifier: MIT
 * Bytes that pass between memory and processor, as the hardware counts them: Linux's perf events.
 * Knows nothing of what runs meanwhile. */
#ifndef BASE_COUNTERS_H
#define BASE_COUNTERS_H

#include <stdbool.h>
#include <stdint.h>

enum counters_source {
    COUNTERS_NONE,
    COUNTERS_CONTROLLERS, /* what the memory controllers read and wrote, for the whole machine */
    COUNTERS_MISSES,      /* lines that the last cache did not have, of this process alone: what is
                             read, and what is read before it is written */
};

/* What is asked of the system; tests put their own in its place. */
struct counters_calls {
    /* A stopped counter of an event, of a processor or (cpu -1) of this process and of threads that
     * it makes from now on; a negative errno. */
    int (*open)(uint32_t type, uint64_t config, int cpu);
    bool (*control)(int fd, bool is_on);
    /* The count, and the nanoseconds that it was on and that it really counted: fewer if more
     * events are on than the hardware has counters for. */
    bool (*read)(int fd, uint64_t values[3]);
    void (*close)(int fd);
};

enum { COUNTERS_MAX = 256 };

struct counter {
    int fd;
    bool is_write;
    double bytes; /* of a count */
};

struct counters {
    enum counters_source source;
    const struct counters_calls *calls;
    uint32_t count;
    struct counter items[COUNTERS_MAX];
    char why[128]; /* there are none: what the system said */
};

/* Opens the best that there is, stopped, or none. To be called before the threads are made that are
 * to be counted. `calls` NULL: the system's; `root` is a path before /sys, "" outside of tests. */
void counters_open(struct counters *counters, const struct counters_calls *calls, const char *root);
void counters_close(struct counters *counters);

/* False if the system refuses: what is counted is then of no use. */
bool counters_start(const struct counters *counters);
bool counters_stop(const struct counters *counters);

/* Bytes since they were opened, as far as counters were on; `written` is 0 for misses. False if the
 * system refuses, or has not counted for a moment. */
bool counters_read(const struct counters *counters, uint64_t *read, uint64_t *written);

/* "memory controllers of the whole machine", "misses of the last cache"; static. */
const char *counters_name(enum counters_source source);

#endif
