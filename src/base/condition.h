/* SPDX-License-Identifier: MIT
 * Conditions of threads whose waits end at moments of clock_ns. */
#ifndef BASE_CONDITION_H
#define BASE_CONDITION_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* False for want of memory: nothing is open then. pthread_cond_destroy ends it. */
bool condition_open(pthread_cond_t *condition);

/* Waits, with `mutex` held, until the condition is told or clock_ns is `until_ns`; may return for
 * no reason. */
void condition_wait_until(pthread_cond_t *condition, pthread_mutex_t *mutex, uint64_t until_ns);

#endif
