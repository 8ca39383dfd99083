/* SPDX-License-Identifier: MIT
 * weir-kernels: every case of the table with every level of instructions, one line each, and how
 * long it takes. The test program runs the same cases op by op.
 *
 * weir-kernels [--time] [--level NAME] [--op NAME] [--seed N] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ops/kernel_trial.h"

struct options {
    bool helps, times;
    const char *level, *op; /* NULL: all */
    uint64_t seed;
};

struct counts {
    uint32_t passed, failed;
};

static void print_times(struct trial *trial, const struct kernels *kernels)
{
    const double ns = trial_time(trial, kernels), operations = trial_operations(trial);
    printf(" %12.0f ns %8.2f GB/s", ns, trial_bytes(trial) / ns);
    if (operations > 0)
        printf(" %8.2f GFLOP/s", operations / ns);
}

/* Times of traps would say nothing. */
static void print_case(struct trial *trial, struct trial *timed, const struct kernel_case *of,
                       enum dtype dtype, const struct kernels *kernels,
                       enum level_presence presence, struct counts *counts)
{
    struct trial_result result;
    char shape[64];
    trial_check(trial, kernels, &result);
    snprintf(shape, sizeof shape, "%u x %u, %u x %u", of->G, of->W,
             timed != NULL && of->timed > 0 ? of->timed : of->A, of->B);
    printf("%-18s %-20s %-12s %-22s %-7s %-9s %9.2g", op_info(of->kind)->name, of->name,
           kernel_step(of->step)->name, shape, dtype_info(dtype)->name, kernels->level,
           result.nmse);
    if (timed != NULL && presence == LEVEL_PRESENT)
        print_times(timed, kernels);
    printf("%s%s\n", result.fault[0] == 0 ? "" : " FAIL ", result.fault);
    counts->failed += result.fault[0] != 0;
    counts->passed += result.fault[0] == 0;
    fflush(stdout);
}

static void run_type(const struct options *options, const struct kernel_case *of, enum dtype dtype,
                     struct counts *counts)
{
    struct trial *trial = trial_open(of, dtype, options->seed, false);
    struct trial *timed = options->times ? trial_open(of, dtype, options->seed, true) : NULL;
    const struct kernels *kernels;
    enum level_presence presence;
    for (uint32_t i = 0; (kernels = trial_level(i, &presence)) != NULL; i++) {
        if (presence != LEVEL_ABSENT &&
            (options->level == NULL || strcmp(options->level, kernels->level) == 0))
            print_case(trial, timed, of, dtype, kernels, presence, counts);
    }
    trial_close(trial);
    if (timed != NULL)
        trial_close(timed);
}

static void run_cases(const struct options *options, struct counts *counts)
{
    for (uint32_t i = 0; i < kernel_cases_count; i++) {
        const struct kernel_case *of = &kernel_cases[i];
        enum dtype types[DTYPE_COUNT];
        if (options->op != NULL && strcasecmp(options->op, op_info(of->kind)->name) != 0)
            continue;
        const uint32_t count = kernel_case_types(of, types);
        for (uint32_t type = 0; type < count; type++)
            run_type(options, of, types[type], counts);
    }
}

/* ---- the program ----------------------------------------------------------------------------- */

static void print_usage(FILE *stream)
{
    static const char *const remarks[] = {
        [LEVEL_ABSENT] = " (not on this processor)",
        [LEVEL_PRESENT] = "",
        [LEVEL_TRAPPED] = " (its tiles are emulated, instruction by instruction: not timed)",
    };
    const struct kernels *kernels;
    enum level_presence presence;
    fprintf(stream,
            "usage: weir-kernels [--time] [--level NAME] [--op NAME] [--seed N]\n"
            "Compares every kernel of every level with the reference, a line for each case;\n"
            "--time also says how long it takes and how much it reads and multiplies.\n"
            "levels:");
    for (uint32_t i = 0; (kernels = trial_level(i, &presence)) != NULL; i++)
        fprintf(stream, " %s%s", kernels->level, remarks[presence]);
    fprintf(stream, "\nops:");
    for (int kind = 0; kind < OP_COUNT; kind++)
        fprintf(stream, " %s", op_info((enum op_kind)kind)->name);
    fprintf(stream, "\n");
}

static void print_head(const struct options *options)
{
    printf("%-18s %-20s %-12s %-22s %-7s %-9s %9s%s\n", "op", "case", "step", "G x W, A x B",
           "type", "level", "NMSE", options->times ? "         time" : "");
}

static bool parse_options(struct options *options, int argc, char **argv)
{
    *options = (struct options){.seed = 1};
    for (int i = 1; i < argc; i++) {
        const bool has_value = i + 1 < argc;
        if (strcmp(argv[i], "--help") == 0)
            options->helps = true;
        else if (strcmp(argv[i], "--time") == 0)
            options->times = true;
        else if (strcmp(argv[i], "--level") == 0 && has_value)
            options->level = argv[++i];
        else if (strcmp(argv[i], "--op") == 0 && has_value)
            options->op = argv[++i];
        else if (strcmp(argv[i], "--seed") == 0 && has_value &&
                 argv[i + 1][strspn(argv[i + 1], "0123456789")] == 0)
            options->seed = strtoull(argv[++i], NULL, 10);
        else
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct options options;
    struct counts counts = {0};
    if (!parse_options(&options, argc, argv)) {
        print_usage(stderr);
        return 1;
    }
    if (options.helps) {
        print_usage(stdout);
        return 0;
    }
    print_head(&options);
    run_cases(&options, &counts);
    if (counts.passed + counts.failed == 0)
        fprintf(stderr, "weir-kernels: no case of op %s for level %s of this processor\n",
                options.op == NULL ? "(any)" : options.op,
                options.level == NULL ? "(any)" : options.level);
    for (int kind = 0; kind < OP_COUNT; kind++) {
        uint32_t cases = 0;
        for (uint32_t i = 0; i < kernel_cases_count; i++)
            cases += kernel_cases[i].kind == (enum op_kind)kind;
        if (cases == 0)
            printf("FAIL %s has no case\n", op_info(kind)->name);
        counts.failed += cases == 0;
    }
    printf("%u passed, %u failed\n", counts.passed, counts.failed);
    return counts.failed > 0 || counts.passed == 0;
}
