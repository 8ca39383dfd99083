/* SPDX-License-Identifier: MIT
 * Limits of control groups, as cgroups(7) and the kernel's documents describe their files. */
#include "base/cgroup.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 4096, LINE_BYTES = 4096 + 64 };

/* The names of the two versions. Of version 1 a number beside 2^63 stands for none. */
static const struct version {
    const char *mount, *limit, *usage;
    const char *files[2]; /* lines of memory.stat: pages of files, of the group and all in it */
} versions[] = {
    {"/sys/fs/cgroup/memory",
     "memory.limit_in_bytes",
     "memory.usage_in_bytes",
     {"total_inactive_file", "total_active_file"}},
    {"/sys/fs/cgroup", "memory.max", "memory.current", {"inactive_file", "active_file"}},
};

static FILE *open_file(const char *root, const struct version *version, const char *group,
                       const char *name)
{
    char path[3 * PATH_BYTES];
    snprintf(path, sizeof path, "%s%s%s/%s", root, version->mount, group, name);
    return fopen(path, "r");
}

/* The number that a file holds; false if it is missing or holds another text ("max"). */
static bool read_number(const char *root, const struct version *version, const char *group,
                        const char *name, uint64_t *out)
{
    FILE *stream = open_file(root, version, group, name);
    if (stream == NULL)
        return false;
    const bool is_read = fscanf(stream, "%" SCNu64, out) == 1;
    fclose(stream);
    return is_read;
}

/* Bytes of files' pages. */
static uint64_t read_files(const char *root, const struct version *version, const char *group)
{
    char line[LINE_BYTES], name[64];
    uint64_t sum = 0, bytes;
    FILE *stream = open_file(root, version, group, "memory.stat");
    if (stream == NULL)
        return 0;
    while (fgets(line, sizeof line, stream) != NULL) {
        if (sscanf(line, "%63s %" SCNu64, name, &bytes) == 2 &&
            (strcmp(name, version->files[0]) == 0 || strcmp(name, version->files[1]) == 0))
            sum += bytes;
    }
    fclose(stream);
    return sum;
}

static uint64_t free_of(const char *root, const struct version *version, const char *group)
{
    uint64_t limit, usage;
    if (!read_number(root, version, group, version->limit, &limit) || limit >= INT64_MAX / 2 ||
        !read_number(root, version, group, version->usage, &usage))
        return UINT64_MAX;
    const uint64_t files = read_files(root, version, group);
    const uint64_t taken = usage > files ? usage - files : 0;
    return limit > taken ? limit - taken : 0;
}

/* The least of the group and of those that contain it. A container may see its own group as the
 * root, or not see the groups above it at all: what is missing sets no limit. */
static uint64_t free_up_to_root(const char *root, const struct version *version, char *group)
{
    uint64_t least = UINT64_MAX;
    for (;;) {
        const uint64_t own = free_of(root, version, group);
        least = own < least ? own : least;
        char *slash = strrchr(group, '/');
        if (slash == NULL)
            return least;
        *slash = 0;
    }
}

/* Of lines "ID:CONTROLLERS:/GROUP": "memory" among those of version 1, none in version 2. */
static const struct version *version_of(char *line, char **group)
{
    char *controllers = strchr(line, ':');
    if (controllers == NULL || (*group = strchr(controllers + 1, ':')) == NULL)
        return NULL;
    *(*group)++ = 0;
    (*group)[strcspn(*group, "\n")] = 0;
    if (controllers[1] == 0)
        return &versions[1];
    for (const char *name = controllers + 1;; name++) {
        const size_t length = strcspn(name, ",");
        if (length == 6 && memcmp(name, "memory", length) == 0)
            return &versions[0];
        name += length;
        if (*name == 0)
            return NULL;
    }
}

uint64_t cgroup_memory_free(const char *root)
{
    char path[PATH_BYTES], line[LINE_BYTES], *group;
    uint64_t least = UINT64_MAX;
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *stream = fopen(path, "r");
    while (stream != NULL && fgets(line, sizeof line, stream) != NULL) {
        const struct version *version = version_of(line, &group);
        const uint64_t own = version == NULL ? UINT64_MAX : free_up_to_root(root, version, group);
        least = own < least ? own : least;
    }
    if (stream != NULL)
        fclose(stream);
    return least;
}
