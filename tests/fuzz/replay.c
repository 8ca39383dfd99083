/* SPDX-License-Identifier: MIT
 * Runs the fuzz targets over their corpora and over seeded mutations of them, without libFuzzer.
 * Run alone: build/tests/weir-test gguf_fuzz */
#include "fuzz/fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "test.h"

typedef int fuzz_target_fn(const uint8_t *data, size_t size);

enum { MUTANTS = 1500, EDITS_MAX = 4 };

/* A counter-based stream of choices. */
struct choices {
    uint64_t seed, stream, index;
};

static uint64_t choose(struct choices *choices, uint64_t below)
{
    return rng_bits(choices->seed, choices->stream, choices->index++) % below;
}

/* One edit in place: a byte, an aligned-anywhere integer at a limit, a copied run, or a cut. */
static size_t mutate(struct choices *choices, uint8_t *data, size_t size)
{
    static const uint64_t limits[] = {0,          1,          0x7f,       0xff,       0xffff,
                                      1u << 30,   0x7fffffff, 0xffffffff, UINT64_MAX, INT64_MAX,
                                      1ull << 62, 8,          9,          13,         32};
    if (size < 8)
        return size;
    const size_t at = choose(choices, size);
    const size_t bytes = size - at < 8 ? size - at : 1 + choose(choices, 8);
    switch (choose(choices, 4)) {
    case 0: data[at] ^= (uint8_t)(1 << choose(choices, 8)); return size;
    case 1:
        memcpy(data + at, &limits[choose(choices, sizeof limits / sizeof *limits)], bytes);
        return size;
    case 2: memmove(data + at, data + choose(choices, size - bytes + 1), bytes); return size;
    default: return choose(choices, 4) == 0 ? at : size;
    }
}

/* Runs the target on an allocation of exactly the input's size, as libFuzzer does. */
static void run_exact(fuzz_target_fn *target, const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size > 0 ? size : 1);
    CHECK(exact != NULL);
    memcpy(exact, data, size);
    target(exact, size);
    free(exact);
}

static void replay_file(fuzz_target_fn *target, const char *path, uint64_t stream)
{
    size_t size;
    uint8_t *seed = test_read_file(path, &size);
    uint8_t *mutant = malloc(size + 1);
    CHECK(mutant != NULL);
    run_exact(target, seed, size);
    struct choices choices = {.seed = test_seed(), .stream = stream};
    for (int i = 0; i < MUTANTS; i++) {
        memcpy(mutant, seed, size);
        size_t mutant_size = size;
        for (uint64_t edits = 1 + choose(&choices, EDITS_MAX); edits > 0; edits--)
            mutant_size = mutate(&choices, mutant, mutant_size);
        run_exact(target, mutant, mutant_size);
    }
    free(mutant);
    free(seed);
}

/* Replays every file of the folder; there must be at least `count_min`. */
static void replay(fuzz_target_fn *target, const char *folder, uint64_t count_min)
{
    DIR *entries = opendir(folder);
    CHECK(entries != NULL);
    uint64_t count = 0;
    for (const struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries)) {
        if (entry->d_name[0] == '.')
            continue;
        char path[512];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        replay_file(target, path, ++count);
    }
    closedir(entries);
    CHECK(count >= count_min);
}

TEST(gguf_fuzz_replay)
{
    replay(fuzz_gguf, test_data("../fuzz/corpus/gguf"), 7);
}
