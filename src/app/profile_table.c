/* SPDX-License-Identifier: MIT
 * A profile as tables for a terminal, with the bill before and the advice behind. Knows sums, not
 * ops. */
#include <stdio.h>

#include "app/bill.h"
#include "app/profile_report.h"
#include "app/profile_sums.h"
#include "base/mem.h"

/* ---- rows ------------------------------------------------------------------------------------ */

static void put_heads(const struct profile_report *report, const char *what, bool has_times,
                      bool has_operand)
{
    struct output *output = report->output;
    output_print(output, "\n%-28s %7s %11s %11s", what, "calls", "read MB", "written MB");
    if (has_operand)
        output_print(output, " %11s", "operand MB");
    if (has_times)
        output_print(output, " %9s %8s", "ms", "GB/s");
    if (has_times && report->peak > 0)
        output_print(output, " %8s", "of peak");
    if (report->peak > 0)
        output_print(output, " %9s", "floor ms");
    if (has_times && report->peak > 0)
        output_print(output, " %9s", "lost ms");
    output_print(output, "\n");
}

/* An op that touches next to nothing has a time and hardly a rate. */
static void put_times(const struct profile_report *report, const struct profile_sum *sum)
{
    const double rate = sum->ns == 0 ? 0 : bill_rate(profile_sum_bytes(sum), (double)sum->ns);
    output_print(report->output, " %9.3f %8.2f", profile_ms(sum->ns), rate);
    if (report->peak > 0)
        output_print(report->output, " %7.1f%%", 100 * rate / report->peak);
}

static void put_row(const struct profile_report *report, const struct profile_sum *sum,
                    bool has_times, bool has_operand)
{
    struct output *output = report->output;
    const double floor_ms =
        report->peak > 0 ? profile_floor_ms(profile_sum_bytes(sum), report->peak) : 0;
    output_print(output, "%-28s %7llu %11.3f %11.3f", sum->name, (unsigned long long)sum->calls,
                 profile_mb(sum->read), profile_mb(sum->written));
    if (has_operand)
        output_print(output, " %11.3f", profile_mb(sum->operand));
    if (has_times)
        put_times(report, sum);
    if (report->peak > 0)
        output_print(output, " %9.3f", floor_ms);
    if (has_times && report->peak > 0)
        output_print(output, " %9.3f", profile_ms(sum->ns) - floor_ms);
    output_print(output, "\n");
}

static enum weir_status put_table(const struct profile_report *report,
                                  const struct weir_profile *profile, enum profile_by by,
                                  struct weir_error *err)
{
    static const char *const names[] = {"kind", "role", "layer", "class"};
    struct profile_sums sums;
    const enum weir_status status = profile_sum_by(&sums, profile, by, err);
    if (status != WEIR_OK)
        return status;
    const bool has_times = sums.all.ns > 0;
    const bool has_operand = report->options->operand_bytes && by != PROFILE_BY_CLASS;
    put_heads(report, names[by], has_times, has_operand);
    for (uint32_t i = 0; i < sums.count; i++)
        put_row(report, &sums.rows[i], has_times, has_operand);
    put_row(report, &sums.all, has_times, has_operand);
    mem_free(sums.rows);
    return WEIR_OK;
}

/* ---- around the tables ----------------------------------------------------------------------- */

static void put_subject(const struct profile_report *report, enum profile_mode mode,
                        const struct weir_profile_info *info)
{
    struct output *output = report->output;
    const struct weir_profile_shape *shape = &info->shape;
    output_print(output, "%s%s: %s, ", report->results == 0 ? "" : "\n", report->model,
                 profile_mode_name(mode));
    if (shape->sequences > 1)
        output_print(output, "%u sequences of ", shape->sequences);
    output_print(output, "%u token%s behind %u", shape->rows, shape->rows == 1 ? "" : "s",
                 shape->cached);
    if (info->steps > 1)
        output_print(output, " in %u steps", info->steps);
    if (info->runs == 0)
        output_print(output, "; nothing was run\n");
    else
        output_print(output, "; %s, %u thread%s, median of %u runs\n", report->backend,
                     info->threads, info->threads == 1 ? "" : "s", info->runs);
}

/* All that are evaluated. */
static double tokens_of(const struct weir_profile_info *info)
{
    return (double)info->shape.rows * info->shape.sequences;
}

static void put_measured(const struct profile_report *report, const struct profile_result *result,
                         const struct weir_profile_info *info, const struct profile_sum *all)
{
    struct output *output = report->output;
    output_print(output, "%.3f ms (%.3f to %.3f), %.2f tokens/s; waiting %.1f%% of all threads\n",
                 profile_ms(info->ns), profile_ms(info->ns_min), profile_ms(info->ns_max),
                 tokens_of(info) * 1e9 / (double)info->ns,
                 100 * (double)all->wait_ns / (double)info->ns / info->threads);
    output_print(output,
                 "with all around the ops %.3f ms, without clocks %.3f ms; "
                 "the clocks cost %+.2f%% to %+.2f%%\n",
                 profile_ms(result->with_ns), profile_ms(result->without_ns),
                 100 * (double)result->clocks_low_ns / (double)result->without_ns,
                 100 * (double)result->clocks_high_ns / (double)result->without_ns);
}

static void put_floor(const struct profile_report *report, const struct weir_profile_info *info,
                      const struct profile_sum *all)
{
    if (report->peak == 0)
        return;
    const double floor_ms = profile_floor_ms(profile_sum_bytes(all), report->peak);
    output_print(report->output, "floor %.3f ms, %.2f tokens/s: %.3f MB at %.2f GB/s, %s\n",
                 floor_ms, tokens_of(info) * 1e3 / floor_ms, profile_mb(profile_sum_bytes(all)),
                 report->peak, report->is_measured ? "which the machine can read" : "as given");
    if (all->usual_ns > 0 && profile_ms(all->usual_ns) < floor_ms)
        output_print(report->output, "faster than that floor: %s%s\n",
                     profile_beyond(report->is_measured),
                     report->is_measured ? "; weir bench --probe measures anew" : "");
}

static void put_crossing(const struct profile_report *report, const struct profile_result *result,
                         const struct weir_profile_info *info)
{
    const uint64_t tokens = profile_crossing(result->profile, result->mode);
    if (tokens == 0)
        return;
    output_print(report->output, "KV reads equal weight reads at %llu tokens%s",
                 (unsigned long long)tokens, info->shape.sequences > 1 ? " in each sequence" : "");
    if (report->context_trained > 0 && tokens > report->context_trained)
        output_print(report->output, ", of %u trained", report->context_trained);
    output_print(report->output, "\n");
}

static enum weir_status put_advice(const struct profile_report *report,
                                   const struct weir_profile *profile,
                                   const struct profile_sum *all, struct weir_error *err)
{
    struct profile_sum worst;
    const enum weir_status status = profile_sum_worst(&worst, profile, report->peak, err);
    if (status != WEIR_OK)
        return status;
    const uint64_t bytes = profile_sum_bytes(&worst);
    if (all->ns == 0 || report->peak == 0)
        output_print(report->output, "\nmost bytes: %s, %.1f%% of all\n", worst.name,
                     100 * (double)bytes / (double)profile_sum_bytes(all));
    else
        output_print(report->output,
                     "\nlargest loss: %s, %.3f of %.3f ms above its floor, %.1f%% of the step\n",
                     worst.name, profile_ms(worst.usual_ns) - profile_floor_ms(bytes, report->peak),
                     profile_ms(worst.usual_ns),
                     100 * (double)worst.usual_ns / (double)all->usual_ns);
    return WEIR_OK;
}

static enum weir_status table_put(struct profile_report *report,
                                  const struct profile_result *result, struct weir_error *err)
{
    static const int64_t usual[] = {PROFILE_BY_KIND, PROFILE_BY_CLASS};
    const struct number_list *by = &report->options->by;
    const uint64_t count = by->count > 0 ? by->count : sizeof usual / sizeof usual[0];
    const struct profile_sum all = profile_sum_all(result->profile);
    struct weir_profile_info info;
    enum weir_status status = WEIR_OK;
    weir_profile_info(result->profile, &info);
    put_subject(report, result->mode, &info);
    if (info.runs > 0)
        put_measured(report, result, &info, &all);
    put_floor(report, &info, &all);
    profile_counted_print(&result->counted, all.read, all.written, report->output);
    put_crossing(report, result, &info);
    for (uint64_t i = 0; i < count && status == WEIR_OK; i++)
        status = put_table(report, result->profile,
                           (enum profile_by)(by->count > 0 ? by->items[i] : usual[i]), err);
    return status == WEIR_OK ? put_advice(report, result->profile, &all, err) : status;
}

const struct profile_writer profile_table = {.put = table_put};
