/* SPDX-License-Identifier: MIT
 * Monotonic time. Knows nothing of what is timed. */
#include "base/clock.h"

#include <time.h>
#if defined(__x86_64__)
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <x86intrin.h>
#endif

#include "base/cpu.h"

uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#if defined(__x86_64__)

/* Linux takes it for its clock if it has found no processor whose counter is behind another's. */
bool clock_has_ticks(void)
{
    static const char path[] = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    char name[4];
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return false;
    const bool is_it =
        read(file, name, sizeof name) == sizeof name && memcmp(name, "tsc\n", 4) == 0;
    close(file);
    return is_it && (cpu_features() & CPU_TSC_INVARIANT) != 0;
}

/* The instruction waits for all loads before it, as the system's own reading does. */
uint64_t clock_ticks(void)
{
    unsigned processor;
    return __rdtscp(&processor);
}

#else

bool clock_has_ticks(void)
{
    return false;
}

uint64_t clock_ticks(void)
{
    return clock_ns();
}

#endif

/* Of some readings the one that took least: a thread may lose its processor in one. */
struct clock_moment clock_moment(void)
{
    enum { READINGS = 5 };
    struct clock_moment moment = {0, 0};
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < READINGS; i++) {
        const uint64_t before = clock_ns(), ticks = clock_ticks(), took = clock_ns() - before;
        if (took < least)
            moment = (struct clock_moment){before + took / 2, ticks};
        least = took < least ? took : least;
    }
    return moment;
}

uint64_t clock_since(const struct clock_moment *first, const struct clock_moment *last,
                     uint64_t ticks)
{
    const double rate = (double)(last->ns - first->ns) / (double)(last->ticks - first->ticks);
    return (uint64_t)((double)(ticks - first->ticks) * rate);
}
