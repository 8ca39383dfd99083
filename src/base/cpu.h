/* SPDX-License-Identifier: MIT
 * What the processor is. */
#ifndef BASE_CPU_H
#define BASE_CPU_H

#include <stdint.h>

/* Physical cores that this process may run on, at least 1. */
uint32_t cpu_cores(void);

#endif
