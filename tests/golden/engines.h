/* SPDX-License-Identifier: MIT
 * What whole models are computed by: the reference, each level of the CPU backend, and behind these
 * the levels that are for tests alone (ops/test_levels.c). A level that this processor has not is
 * that below it. Knows no model. */
#ifndef TESTS_GOLDEN_ENGINES_H
#define TESTS_GOLDEN_ENGINES_H

#include "weir.h"

static const struct {
    const char *backend, *isa;
} engines[] = {
    {"ref", NULL},
#define LEVEL(id, features) {"cpu", #id},
#include "cpu/levels.def"
#if defined(__x86_64__)
    {"cpu", "emulated"},
    {"cpu", "vnni_256"},
#endif
};

#if defined(__x86_64__)
enum { ENGINES_FOR_TESTS = 2 };
#else
enum { ENGINES_FOR_TESTS = 0 };
#endif

enum {
    ENGINES_ALL = sizeof engines / sizeof engines[0],
    ENGINES = ENGINES_ALL - ENGINES_FOR_TESTS, /* without those */
};

static inline void engines_choose(struct weir_engine_options *options, uint32_t engine)
{
    options->backend = engines[engine].backend;
    options->isa = engines[engine].isa;
}

#endif
