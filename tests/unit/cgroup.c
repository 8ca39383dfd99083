/* SPDX-License-Identifier: MIT
 * Limits of control groups, read from made-up trees of files. Run alone: build/tests/weir-test
 * cgroup_ */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cgroup.h"

enum { PATH_BYTES = 4096 };

/* Writes a file of the tree and the folders above it. */
static void put(const char *root, const char *name, const char *text)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s%s", root, name);
    for (char *slash = strchr(path + strlen(root) + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *stream = fopen(path, "w");
    CHECK(stream != NULL && fputs(text, stream) >= 0 && fclose(stream) == 0);
}

static const char *tree(const char *name)
{
    const char *root = test_scratch(name);
    mkdir(root, 0700);
    return root;
}

TEST(cgroup_without_files_sets_no_limit)
{
    const char *root = tree("none");
    CHECK(cgroup_memory_free(root) == UINT64_MAX);
    put(root, "/proc/self/cgroup", "0::/user.slice\nnonsense\n5:cpu\n:::\n");
    CHECK(cgroup_memory_free(root) == UINT64_MAX);
}

TEST(cgroup_of_version_2_counts_what_is_not_of_files)
{
    const char *root = tree("two");
    put(root, "/proc/self/cgroup", "0::/a/b\n");
    put(root, "/sys/fs/cgroup/a/b/memory.max", "max\n");
    put(root, "/sys/fs/cgroup/a/b/memory.current", "400\n");
    CHECK(cgroup_memory_free(root) == UINT64_MAX);
    put(root, "/sys/fs/cgroup/a/b/memory.max", "1000\n");
    CHECK(cgroup_memory_free(root) == 600);
    put(root, "/sys/fs/cgroup/a/b/memory.stat", "anon 300\nactive_file 30\ninactive_file 70\n");
    CHECK(cgroup_memory_free(root) == 700);
    put(root, "/sys/fs/cgroup/a/memory.max", "900\n"); /* contains it, and has others */
    put(root, "/sys/fs/cgroup/a/memory.current", "850\n");
    CHECK(cgroup_memory_free(root) == 50);
    put(root, "/sys/fs/cgroup/a/memory.current", "950\n");
    CHECK(cgroup_memory_free(root) == 0);
}

TEST(cgroup_of_version_1_is_that_of_memory)
{
    const char *root = tree("one");
    put(root, "/proc/self/cgroup", "7:cpu,cpuacct:/c\n4:hugetlb,memory:/m\n3:memoryx:/x\n");
    put(root, "/sys/fs/cgroup/memory/m/memory.limit_in_bytes", "9223372036854771712\n");
    put(root, "/sys/fs/cgroup/memory/m/memory.usage_in_bytes", "5000\n");
    put(root, "/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "10\n");
    put(root, "/sys/fs/cgroup/memory/x/memory.usage_in_bytes", "10\n");
    CHECK(cgroup_memory_free(root) == UINT64_MAX);
    put(root, "/sys/fs/cgroup/memory/m/memory.limit_in_bytes", "8000\n");
    put(root, "/sys/fs/cgroup/memory/m/memory.stat",
        "inactive_file 1\ntotal_inactive_file 600\ntotal_active_file 400\n");
    CHECK(cgroup_memory_free(root) == 4000);
}

/* A container whose own group is mounted as the root, with the host's name of it in /proc. */
TEST(cgroup_named_from_outside_is_found_at_the_root)
{
    const char *root = tree("inside");
    put(root, "/proc/self/cgroup", "0::/docker/0123\n");
    put(root, "/sys/fs/cgroup/memory.max", "2000\n");
    put(root, "/sys/fs/cgroup/memory.current", "500\n");
    CHECK(cgroup_memory_free(root) == 1500);
}
