/* SPDX-License-Identifier: MIT
 * weir bench --probe: what was measured of the machine, and what is kept of it. Knows no model. */
#include "app/bench_probe.h"

#include <string.h>

#include "app/machine.h"
#include "app/output.h"
#include "base/cpu.h"
#include "base/err.h"

enum { PROCESSOR_BYTES = 128 };

/* The rate that was kept before, or NULL. */
static const struct probe_rate *read_before(const struct machine_measured *measured,
                                            uint32_t threads)
{
    for (uint32_t i = 0; measured->has_before && i < measured->before.reads_count; i++) {
        if (measured->before.reads[i].threads == threads)
            return &measured->before.reads[i].rate;
    }
    return NULL;
}

static const struct probe_rate *peak_before(const struct machine_measured *measured,
                                            const struct probe_peak *peak)
{
    for (uint32_t i = 0; measured->has_before && i < measured->before.peaks_count; i++) {
        const struct probe_peak *before = &measured->before.peaks[i];
        if (strcmp(before->type, peak->type) == 0 && strcmp(before->name, peak->name) == 0)
            return &before->rate;
    }
    return NULL;
}

/* "read plain", "int8 AVX2": so many threads, the rate, and what was kept before. */
static void print_rate(struct output *output, const char *first, const char *second,
                       uint32_t threads, const char *unit, const struct probe_rate *rate,
                       const struct probe_rate *before)
{
    char what[2 * PROBE_NAME_MAX], kept[32] = "";
    snprintf(what, sizeof what, "%s %s", first, second);
    if (before != NULL)
        snprintf(kept, sizeof kept, "%.2f", before->median);
    output_print(output, "| %-18s | %7u | %10.2f | %-6s | %6.1f%% | %11s |\n", what, threads,
                 rate->median, unit, rate->spread, kept);
}

static void print_rates(struct output *output, const struct machine_measured *measured)
{
    const struct probe *now = &measured->now;
    output_print(output, "| %-18s | %7s | %10s | %-6s | %7s | %11s |\n", "what", "threads", "now",
                 "unit", "spread", "kept before");
    output_print(output, "| ------------------ | ------: | ---------: | ------ | ------: | "
                         "----------: |\n");
    for (uint32_t i = 0; i < now->reads_count; i++) {
        const struct probe_read *read = &now->reads[i];
        print_rate(output, "read", probe_way_name(read->way), read->threads, "GB/s", &read->rate,
                   read_before(measured, read->threads));
    }
    for (uint32_t i = 0; i < now->peaks_count; i++) {
        const struct probe_peak *peak = &now->peaks[i];
        print_rate(output, peak->type, peak->name, now->threads, "Gop/s", &peak->rate,
                   peak_before(measured, peak));
    }
}

/* Which of the two later commands compare with. */
static void print_what_is_kept(struct output *output, const struct machine_measured *measured)
{
    if (measured->is_kept)
        output_print(output, "\nkept from now on: what was measured now, in %s\n", measured->path);
    else if (measured->is_busy && measured->has_before)
        output_print(output,
                     "\nkept as before: %s; other work took %.1f%% of the processors' time, and "
                     "only what is measured beside at most %d%% replaces it\n",
                     measured->path, 100 * measured->others, MACHINE_IDLE_PERCENT);
    else if (measured->has_before) /* a warning said why nothing could be written */
        output_print(output, "\nkept as before: %s\n", measured->path);
    else
        output_print(output, "\nnot kept\n");
}

enum weir_status bench_probe(const struct call *call, struct weir_error *err)
{
    struct output output = {0};
    struct machine_measured measured;
    char processor[PROCESSOR_BYTES];
    enum weir_status status;
    if (call->options->bench.models.count > 0)
        return err_set(err, WEIR_ERR_ARGUMENT, "--probe measures the machine and takes no model");
    TRY(machine_measure(&measured, cpu_cores(), call->log, err));
    TRY(output_open(&output, NULL, err));
    cpu_name(processor, sizeof processor);
    output_print(&output, "%s, %u cores\n\n", processor, measured.now.threads);
    print_rates(&output, &measured);
    print_what_is_kept(&output, &measured);
    TRY(output_finish(&output, err));
out:
    output_abandon(&output);
    return status;
}
