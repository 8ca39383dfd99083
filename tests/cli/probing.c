/* SPDX-License-Identifier: MIT
 * weir bench --probe: what it says that is kept is what is kept.
 * Run alone: build/tests/weir-test probing_ */
#include "cli/peaks.h"
#include "cli/program.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SPINNERS_MAX = 64 };

struct spinners {
    pthread_t threads[SPINNERS_MAX];
    int count;
    atomic_bool is_over;
};

static void *spin(void *user)
{
    struct spinners *spinners = user;
    while (!atomic_load(&spinners->is_over))
        continue;
    return NULL;
}

static void start_spinners(struct spinners *spinners, int count)
{
    spinners->count = count < SPINNERS_MAX ? count : SPINNERS_MAX;
    atomic_init(&spinners->is_over, false);
    for (int i = 0; i < spinners->count; i++)
        CHECK(pthread_create(&spinners->threads[i], NULL, spin, spinners) == 0);
}

static void end_spinners(struct spinners *spinners)
{
    atomic_store(&spinners->is_over, true);
    for (int i = 0; i < spinners->count; i++)
        pthread_join(spinners->threads[i], NULL);
}

static double seconds(clockid_t clock)
{
    struct timespec now;
    CHECK(clock_gettime(clock, &now) == 0);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Runs the probe beside so many threads that only take time. Returns the share of the processors'
 * time that they took. */
static double probe_beside(int threads, const char *environment,
                           const struct program_result **result)
{
    const struct program_call call = {.words = {"bench", "--probe"}, .environment = environment};
    struct spinners spinners;
    const double start = seconds(CLOCK_MONOTONIC), own = seconds(CLOCK_PROCESS_CPUTIME_ID);
    start_spinners(&spinners, threads);
    *result = run_program(&call);
    const double took = seconds(CLOCK_MONOTONIC) - start;
    const double share = (seconds(CLOCK_PROCESS_CPUTIME_ID) - own) / took;
    end_spinners(&spinners);
    CHECK_INT((*result)->status, 0);
    return share / (double)sysconf(_SC_NPROCESSORS_ONLN);
}

/* A rate that no machine has was kept before: a busy machine keeps it and says so, an idle one does
 * not, however much better it was. Which of the two this machine is while others' tests run, is
 * known for sure only if the test itself takes its time. */
TEST(probing_replaces_what_an_idle_machine_kept)
{
    test_skip_if_sanitized();
    const int processors = (int)sysconf(_SC_NPROCESSORS_ONLN);
    size_t size;
    for (int i = 0; i < 2; i++) {
        const char *environment = peaks_environment(i == 0 ? "probing-busy" : "probing", 40960);
        const struct program_result *result;
        char *before = (char *)test_read_file(peaks_path(), &size);
        const double share = probe_beside(i == 0 ? processors : 0, environment, &result);
        char *after = (char *)test_read_file(peaks_path(), &size);
        const bool is_replaced =
            strstr(result->out, "\nkept from now on: what was measured now, in ");
        CHECK_HAS(result->out, "|    40960.00 |\n"); /* of one thread, beside what came now */
        CHECK(strstr(result->out, "| 40960.00 ") == NULL);
        CHECK_HAS(result->out, peaks_path());
        CHECK((strstr(result->out, "\nkept as before: ") != NULL) != is_replaced);
        CHECK((strcmp(before, after) == 0) != is_replaced);
        CHECK((strstr(after, "read 1 plain 40960") == NULL) == is_replaced);
        CHECK((strstr(result->err, "warning: other work took ") != NULL) != is_replaced);
        CHECK(share < 0.1 || !is_replaced);
        free(before);
        free(after);
    }
}

/* Nothing was kept: what is measured is, and a busy machine is only told. */
TEST(probing_keeps_the_first_in_any_case)
{
    test_skip_if_sanitized();
    const char *environment = peaks_environment("probing-first", 0);
    const int processors = (int)sysconf(_SC_NPROCESSORS_ONLN);
    const struct program_result *result;
    char peak[64];
    size_t size;
    const double share = probe_beside(processors, environment, &result);
    char *kept = (char *)test_read_file(peaks_path(), &size);
    CHECK_HAS(result->out, "\nkept from now on: what was measured now, in ");
    CHECK(share < 0.1 || strstr(result->err, "warning: other work took ") != NULL);
    /* The rates of the table are those of the file, with two digits in place of four. */
    const char *line = strstr(kept, "\npeak f32 128-bit ");
    CHECK(line != NULL);
    snprintf(peak, sizeof peak, " %10.2f |", atof(line + strlen("\npeak f32 128-bit ")));
    CHECK_HAS(strstr(result->out, "| f32 128-bit "), peak);
    free(kept);
}
