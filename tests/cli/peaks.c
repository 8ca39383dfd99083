/* SPDX-License-Identifier: MIT
 * The file that app/machine.c keeps, written by hand. */
#include "cli/peaks.h"

#include <stdio.h>
#include <sys/stat.h>

#include "base/cpu.h"
#include "base/rng.h"
#include "test.h"

static char environment[512], path[400];

const char *peaks_environment(const char *name, double peak)
{
    char processor[128];
    const char *folder = test_scratch(name);
    uint64_t hash = cpu_cores();
    cpu_name(processor, sizeof processor);
    for (const char *c = processor; *c != 0; c++)
        hash = rng_mix(hash ^ (uint8_t)*c);
    CHECK(mkdir(folder, 0700) == 0);
    snprintf(path, sizeof path, "%s/weir", folder);
    CHECK(mkdir(path, 0700) == 0);
    snprintf(path, sizeof path, "%s/weir/probe-%08x.txt", folder, (unsigned)(hash >> 32));
    FILE *stream = peak > 0 ? fopen(path, "wb") : NULL;
    if (stream != NULL)
        fprintf(stream,
                "weir-probe 2\nprocessor %s\nthreads %u\nread 1 plain %.6f 1.0\n"
                "peak f32 128-bit 1 1\nend\n",
                processor, cpu_cores(), peak);
    CHECK(peak == 0 || (stream != NULL && fclose(stream) == 0));
    snprintf(environment, sizeof environment, "XDG_CACHE_HOME=%s", folder);
    return environment;
}

const char *peaks_path(void)
{
    return path;
}
