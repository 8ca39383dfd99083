/* SPDX-License-Identifier: MIT
 * Profiles of a sweep in one table, a row for each: for a terminal, and as CSV. Knows sums, not
 * ops. */
#include <stdio.h>

#include "app/profile_report.h"
#include "app/profile_sums.h"

/* What a row is made of. */
struct total {
    enum profile_mode mode;
    struct weir_profile_info info;
    struct weir_traffic traffic;
    uint64_t read, written;
    double tokens;   /* evaluated, all sequences together */
    double floor_ms; /* 0: no peak is known */
};

static struct total total_of(const struct profile_report *report,
                             const struct profile_result *result)
{
    const struct profile_sum all = profile_sum_all(result->profile);
    struct total total = {.mode = result->mode,
                          .traffic = profile_traffic(result->profile),
                          .read = all.read,
                          .written = all.written};
    weir_profile_info(result->profile, &total.info);
    total.tokens = (double)total.info.shape.rows * total.info.shape.sequences;
    if (report->peak > 0)
        total.floor_ms = profile_floor_ms(profile_sum_bytes(&all), report->peak);
    return total;
}

/* MB for each token that is evaluated. */
static double megabytes(const struct total *total, uint64_t bytes)
{
    return profile_mb(bytes) / total->tokens;
}

/* ---- table ----------------------------------------------------------------------------------- */

static void table_head(const struct profile_report *report, bool has_times)
{
    struct output *output = report->output;
    output_print(output, "%s: bytes are read and written, in MB for each token\n\n", report->model);
    output_print(output, "%-7s %7s %7s %9s %6s %6s", "mode", "ctx", "threads", "sequences",
                 "drafts", "rows");
    if (has_times)
        output_print(output, " %10s %9s", "ms", "tokens/s");
    for (int class = 0; class < WEIR_TRAFFIC_CLASSES; class ++)
        output_print(output, " %*s", class == WEIR_TRAFFIC_ACTIVATIONS ? 11 : 9,
                     weir_traffic_class_name((enum weir_traffic_class) class));
    output_print(output, " %9s %9s", "read", "written");
    if (report->peak > 0)
        output_print(output, " %10s %9s", "floor ms", "floor t/s");
    if (report->peak > 0 && has_times)
        output_print(output, " %8s", "of peak");
    output_print(output, "\n");
}

/* "-" for what there is none of. */
static void table_count(struct output *output, int width, bool is_known, uint32_t count)
{
    if (is_known)
        output_print(output, " %*u", width, count);
    else
        output_print(output, " %*s", width, "-");
}

static void table_point(struct output *output, const struct total *total)
{
    const struct weir_profile_shape *shape = &total->info.shape;
    output_print(output, "%-7s %7u", profile_mode_name(total->mode), shape->cached);
    table_count(output, 7, total->info.threads > 0, total->info.threads);
    table_count(output, 9, true, shape->sequences);
    table_count(output, 6, total->mode == PROFILE_VERIFY, shape->rows - 1);
    output_print(output, " %6.0f", total->tokens);
}

static void table_bytes(struct output *output, const struct total *total)
{
    for (int class = 0; class < WEIR_TRAFFIC_CLASSES; class ++)
        output_print(output, " %*.3f", class == WEIR_TRAFFIC_ACTIVATIONS ? 11 : 9,
                     megabytes(total, total->traffic.read[class] + total->traffic.written[class]));
    output_print(output, " %9.3f %9.3f", megabytes(total, total->read),
                 megabytes(total, total->written));
}

static enum weir_status table_put(struct profile_report *report,
                                  const struct profile_result *result, struct weir_error *err)
{
    (void)err;
    struct output *output = report->output;
    const struct total total = total_of(report, result);
    const double ms = profile_ms(total.info.ns);
    if (report->results == 0)
        table_head(report, ms > 0);
    table_point(output, &total);
    if (ms > 0)
        output_print(output, " %10.3f %9.2f", ms, total.tokens * 1e3 / ms);
    table_bytes(output, &total);
    if (report->peak > 0)
        output_print(output, " %10.3f %9.2f", total.floor_ms, total.tokens * 1e3 / total.floor_ms);
    if (report->peak > 0 && ms > 0)
        output_print(output, " %7.1f%%", 100 * total.floor_ms / ms);
    output_print(output, "\n");
    return WEIR_OK;
}

const struct profile_writer profile_total_table = {.put = table_put};

/* ---- csv ------------------------------------------------------------------------------------- */

static void csv_begin(struct profile_report *report)
{
    struct output *output = report->output;
    output_print(output, "context,mode,rows,sequences,threads,drafts,runs,ms,ms_min,ms_max,"
                         "tokens_per_s,read_bytes,write_bytes");
    for (int class = 0; class < WEIR_TRAFFIC_CLASSES; class ++) {
        const char *name = weir_traffic_class_name((enum weir_traffic_class) class);
        output_print(output, ",%s_read_mb,%s_write_mb", name, name);
    }
    output_print(output, ",peak_gb_per_s,floor_ms,of_peak\n");
}

/* A field that is empty where there is no such number. */
static void csv_real(struct output *output, bool is_known, double number)
{
    if (is_known)
        output_print(output, ",%.6f", number);
    else
        output_print(output, ",");
}

static void csv_count(struct output *output, bool is_known, uint32_t count)
{
    if (is_known)
        output_print(output, ",%u", count);
    else
        output_print(output, ",");
}

static void csv_point(struct output *output, const struct total *total)
{
    const struct weir_profile_info *info = &total->info;
    output_print(output, "%u,%s,%.0f,%u", info->shape.cached, profile_mode_name(total->mode),
                 total->tokens, info->shape.sequences);
    csv_count(output, info->threads > 0, info->threads);
    csv_count(output, total->mode == PROFILE_VERIFY, info->shape.rows - 1);
    csv_count(output, true, info->runs);
}

static void csv_times(struct output *output, const struct total *total)
{
    const struct weir_profile_info *info = &total->info;
    const bool has_times = info->runs > 0;
    csv_real(output, has_times, profile_ms(info->ns));
    csv_real(output, has_times, profile_ms(info->ns_min));
    csv_real(output, has_times, profile_ms(info->ns_max));
    csv_real(output, has_times, has_times ? total->tokens * 1e9 / (double)info->ns : 0);
}

static enum weir_status csv_put(struct profile_report *report, const struct profile_result *result,
                                struct weir_error *err)
{
    (void)err;
    struct output *output = report->output;
    const struct total total = total_of(report, result);
    const bool has_peak = report->peak > 0, has_times = total.info.runs > 0;
    csv_point(output, &total);
    csv_times(output, &total);
    output_print(output, ",%llu,%llu", (unsigned long long)total.read,
                 (unsigned long long)total.written);
    for (int class = 0; class < WEIR_TRAFFIC_CLASSES; class ++) {
        csv_real(output, true, megabytes(&total, total.traffic.read[class]));
        csv_real(output, true, megabytes(&total, total.traffic.written[class]));
    }
    csv_real(output, has_peak, report->peak);
    csv_real(output, has_peak, total.floor_ms);
    csv_real(output, has_peak && has_times,
             has_times ? total.floor_ms / profile_ms(total.info.ns) : 0);
    output_print(output, "\n");
    return WEIR_OK;
}

const struct profile_writer profile_total_csv = {.begin = csv_begin, .put = csv_put};
