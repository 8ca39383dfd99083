/* SPDX-License-Identifier: MIT
 * The work of others, from /proc/stat and this process's own clock. */
#include "app/other_work.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* user nice system idle iowait irq softirq steal; what follows is counted in those already. What a
 * machine beneath takes away (steal) is work of others. */
enum { FIELDS = 8, IDLE = 3, IOWAIT = 4 };

bool other_work_parse(const char *line, struct other_work_ticks *out)
{
    unsigned long long ticks[FIELDS];
    *out = (struct other_work_ticks){0, 0};
    if (strncmp(line, "cpu ", 4) != 0 ||
        sscanf(line, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &ticks[0], &ticks[1], &ticks[2],
               &ticks[3], &ticks[4], &ticks[5], &ticks[6], &ticks[7]) != FIELDS)
        return false;
    for (int i = 0; i < FIELDS; i++) {
        out->all += ticks[i];
        out->busy += i == IDLE || i == IOWAIT ? 0 : ticks[i];
    }
    return true;
}

double other_work_between(const struct other_work *start, const struct other_work *end,
                          long ticks_per_second)
{
    const double all = (double)end->ticks.all - (double)start->ticks.all;
    const double busy = (double)end->ticks.busy - (double)start->ticks.busy;
    const double own = (double)(end->own_ns - start->own_ns) / 1e9 * (double)ticks_per_second;
    if (start->ticks.all == 0 || all <= 0 || busy <= own)
        return 0;
    return busy - own < all ? (busy - own) / all : 1;
}

struct other_work other_work_start(void)
{
    struct other_work now = {{0, 0}, 0};
    struct timespec own;
    char line[512];
    FILE *stream = fopen("/proc/stat", "re");
    if (stream != NULL) {
        if (fgets(line, sizeof line, stream) == NULL || !other_work_parse(line, &now.ticks))
            now.ticks = (struct other_work_ticks){0, 0};
        fclose(stream);
    }
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own) == 0)
        now.own_ns = (uint64_t)own.tv_sec * 1000000000 + (uint64_t)own.tv_nsec;
    return now;
}

double other_work_since(const struct other_work *start)
{
    const struct other_work end = other_work_start();
    return other_work_between(start, &end, sysconf(_SC_CLK_TCK));
}
