/* SPDX-License-Identifier: MIT
 * Every allocation fails once: the test program's side of the linker's --wrap. Counts and, on
 * request, refuses what the library and the tests take from the system: heap blocks, mappings,
 * streams and threads. What the C library and other shared libraries take themselves is not seen.
 *
 * A test of a function that allocates is one line, alloc_test(scenario, argument). */
#ifndef TESTS_ALLOC_H
#define TESTS_ALLOC_H

#include <stdbool.h>
#include <stdint.h>

/* What is taken and not given back. */
struct alloc_live {
    uint64_t blocks;  /* malloc, calloc, realloc */
    uint64_t mapped;  /* bytes of mmap, in whole pages */
    uint64_t streams; /* fopen */
    uint64_t threads; /* pthread_create without pthread_join */
    uint64_t files;   /* open file descriptors, whoever opened them */
};

struct alloc_live alloc_live(void);

/* Allocations asked for since the program started, failed ones included. */
uint64_t alloc_count(void);

/* From now on the n-th allocation fails, and only that one; n = 1 is the next, 0 is none. Also
 * resets alloc_failed. The runner calls it with 0 before each test. */
void alloc_fail_after(uint64_t n);

/* True if the failure that was asked for has happened. */
bool alloc_failed(void);

/* Runs the scenario with its first allocation failing, then with its second, and so on until it
 * runs to its end without a failure. Each run must give back all that it took. The scenario checks
 * its own results, with alloc_failed() telling which to expect:
 *     CHECK_INT(status, alloc_failed() ? WEIR_ERR_MEMORY : WEIR_OK); */
void alloc_test(void (*scenario)(void *argument), void *argument);

/* Checks that a statement allocates nothing. */
#define CHECK_NO_ALLOC(statement)                                                                  \
    do {                                                                                           \
        const uint64_t alloc_before_ = alloc_count();                                              \
        statement;                                                                                 \
        CHECK_INT(alloc_count() - alloc_before_, 0);                                               \
    } while (0)

#endif
