/* SPDX-License-Identifier: MIT
 * What the processor is, as Linux tells it. Knows nothing of the work. */
#include "base/cpu.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>

/* True if `cpu` is the first of the hyper-threads that share its core; also if that is unknown. */
static bool cpu_leads_core(int cpu)
{
    char path[128];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
    FILE *stream = fopen(path, "r");
    if (stream == NULL)
        return true;
    int first = cpu;
    const bool read = fscanf(stream, "%d", &first) == 1;
    fclose(stream);
    return !read || first == cpu;
}

uint32_t cpu_cores(void)
{
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return 1;
    uint32_t cores = 0, cpus = 0;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed))
            continue;
        cpus++;
        cores += cpu_leads_core(cpu);
    }
    if (cores == 0)
        cores = cpus; /* only second hyper-threads are ours */
    return cores == 0 ? 1 : cores;
}
