/* SPDX-License-Identifier: MIT
 * What the control groups of a process (a container's, for one) leave it of the memory: Linux's, of
 * version 1 and 2. Knows nothing of what the memory is for. */
#ifndef BASE_CGROUP_H
#define BASE_CGROUP_H

#include <stdint.h>

/* Bytes that this process may still take before a limit of its group, or of one that contains it,
 * ends it; pages of files, which the system can drop, count as free. UINT64_MAX: no limit. `root`
 * is a path before /proc and /sys, "" outside of tests. */
uint64_t cgroup_memory_free(const char *root);

#endif
