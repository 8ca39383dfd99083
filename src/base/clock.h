/* SPDX-License-Identifier: MIT
 * Monotonic time: in nanoseconds, and in ticks of the processor's own counter, which are cheaper to
 * read. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Nanoseconds since some fixed moment. */
uint64_t clock_ns(void);

/* True if the system itself takes its time from the processor's counter, because that one never
 * stops, never changes its rate and is the same on all processors, and if it is cheaper to read
 * here than clock_ns: the time stamp counter of x86. */
bool clock_has_ticks(void);

/* Ticks since some fixed moment, in a rate that only clock_ns can tell. Where clock_has_ticks. */
uint64_t clock_ticks(void);

/* One moment on both clocks. */
struct clock_moment {
    uint64_t ns, ticks;
};
struct clock_moment clock_moment(void);

/* The nanoseconds since `first` of which the ticks are those, by the rate from there to `last`, a
 * later moment. Of more ticks never fewer. */
uint64_t clock_since(const struct clock_moment *first, const struct clock_moment *last,
                     uint64_t ticks);

#endif
