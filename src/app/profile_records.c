/* SPDX-License-Identifier: MIT
 * A profile as records for programs: JSON of the schema weir.profile/1, and CSV. weir-profile(1)
 * describes both. Knows ops one by one, and no sums but those of all. */
#include <stdio.h>
#include <string.h>

#include "app/profile_file.h"
#include "app/profile_report.h"
#include "app/profile_sums.h"

/* A number of what runs, or where nothing ran `none`. */
static void put_count(struct output *output, uint32_t count, const char *none)
{
    if (count > 0)
        output_print(output, "%u", count);
    else
        output_print(output, "%s", none);
}

/* "12.345678", or where nothing ran `none`. */
static void put_ms(struct output *output, bool is_known, uint64_t ns, const char *none)
{
    if (is_known)
        output_print(output, "%.6f", (double)ns / 1e6);
    else
        output_print(output, "%s", none);
}

/* GB/s or the like, or null if it is not known. */
static void put_rate(struct output *output, double rate)
{
    if (rate > 0)
        output_print(output, "%.4f", rate);
    else
        output_print(output, "null");
}

/* ---- json ------------------------------------------------------------------------------------ */

/* The best of the ways to multiply a type. */
static double compute_rate(const struct probe *probe, const char *type)
{
    double best = 0;
    for (uint32_t i = 0; i < probe->peaks_count; i++) {
        const struct probe_peak *peak = &probe->peaks[i];
        if (strcmp(peak->type, type) == 0 && peak->rate.median > best)
            best = peak->rate.median;
    }
    return best;
}

static void json_measured(struct output *output, const struct probe *probe)
{
    static const char *const types[] = {"int8", "bf16", "f32"};
    output_print(output, "    \"threads\": %u,\n    \"reads\": [", probe->threads);
    for (uint32_t i = 0; i < probe->reads_count; i++)
        output_print(output, "%s{\"threads\": %u, \"gb_s\": %.4f}", i == 0 ? "" : ", ",
                     probe->reads[i].threads, probe->reads[i].rate.median);
    output_print(output, "],\n    \"compute_gop_s\": {");
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        output_print(output, "%s\"%s\": ", i == 0 ? "" : ", ", types[i]);
        put_rate(output, compute_rate(probe, types[i]));
    }
    output_print(output, "}\n");
}

static void json_machine(const struct profile_report *report)
{
    struct output *output = report->output;
    output_print(output, "  \"machine\": {\n    \"read_gb_s\": ");
    put_rate(output, report->peak);
    output_print(output, ",\n");
    if (report->is_measured)
        json_measured(output, &report->probe);
    else
        output_print(output,
                     "    \"threads\": null,\n    \"reads\": null,\n    \"compute_gop_s\": null\n");
    output_print(output, "  },\n");
}

static void json_begin(struct profile_report *report)
{
    output_print(report->output, "{\n  \"schema\": \"" PROFILE_SCHEMA "\",\n  \"model\": ");
    output_json_text(report->output, report->model);
    output_print(report->output, ",\n");
    json_machine(report);
    output_print(report->output, "  \"steps\": [");
}

static void json_bytes(struct output *output, uint64_t read, uint64_t written)
{
    output_print(output, "\"read_bytes\": %llu, \"write_bytes\": %llu", (unsigned long long)read,
                 (unsigned long long)written);
}

static void json_totals(struct output *output, const struct weir_traffic *traffic)
{
    const uint64_t read = profile_sum_classes(traffic->read);
    const uint64_t written = profile_sum_classes(traffic->written);
    output_print(output, "      \"totals\": {\n        ");
    json_bytes(output, read, written);
    output_print(output, ",\n        \"by_class\": {");
    for (int class = 0; class < WEIR_TRAFFIC_CLASSES; class ++) {
        output_print(output, "%s\n          \"%s\": {", class == 0 ? "" : ",",
                     weir_traffic_class_name((enum weir_traffic_class) class));
        json_bytes(output, traffic->read[class], traffic->written[class]);
        output_print(output, "}");
    }
    output_print(output, "\n        }\n      },\n");
}

/* The classes that it touches. */
static void json_classes(struct output *output, const struct weir_traffic *traffic)
{
    const char *before = "";
    output_print(output, ", \"by_class\": {");
    for (int class = 0; class < WEIR_TRAFFIC_CLASSES; class ++) {
        if (traffic->read[class] + traffic->written[class] == 0)
            continue;
        output_print(output, "%s\"%s\": {", before,
                     weir_traffic_class_name((enum weir_traffic_class) class));
        json_bytes(output, traffic->read[class], traffic->written[class]);
        output_print(output, "}");
        before = ", ";
    }
    output_print(output, "}");
}

static void json_op(struct output *output, const struct weir_profile_op *op, bool has_times)
{
    const uint64_t read = profile_sum_classes(op->traffic.read);
    const uint64_t written = profile_sum_classes(op->traffic.written);
    output_print(output, "        {\"kind\": \"%s\", \"role\": \"%s\", \"layer\": ", op->kind,
                 op->role);
    if (op->layer < 0)
        output_print(output, "null");
    else
        output_print(output, "%d", (int)op->layer);
    output_print(output, ", \"calls\": %u, ", op->calls);
    json_bytes(output, read, written);
    output_print(output, ", \"operand_bytes\": %llu, \"flops\": %llu, \"ms\": ",
                 (unsigned long long)op->operand_bytes, (unsigned long long)op->flops);
    put_ms(output, has_times, op->ns, "null");
    output_print(output, ", \"wait_ms\": ");
    put_ms(output, has_times, op->wait_ns, "null");
    output_print(output, ", \"ms_low\": ");
    put_ms(output, has_times, op->ns_low, "null");
    output_print(output, ", \"ms_high\": ");
    put_ms(output, has_times, op->ns_high, "null");
    json_classes(output, &op->traffic);
    output_print(output, "}");
}

/* What step it is, and its time. */
static void json_step(struct output *output, enum profile_mode mode,
                      const struct weir_profile_info *info)
{
    const struct {
        const char *name;
        uint64_t ns;
    } times[] = {{"ms", info->ns},
                 {"ms_min", info->ns_min},
                 {"ms_max", info->ns_max},
                 {"ms_low", info->ns_low},
                 {"ms_high", info->ns_high}};
    output_print(output, "      \"context\": %u,\n      \"mode\": \"%s\",\n", info->shape.cached,
                 profile_mode_name(mode));
    output_print(output, "      \"rows\": %u,\n      \"sequences\": %u,\n      \"threads\": ",
                 info->shape.rows * info->shape.sequences, info->shape.sequences);
    put_count(output, info->threads, "null");
    output_print(output, ",\n      \"runs\": %u,\n", info->runs);
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        output_print(output, "      \"%s\": ", times[i].name);
        put_ms(output, info->runs > 0, times[i].ns, "null");
        output_print(output, ",\n");
    }
}

/* What follows from the bytes: the least time that the machine can take for them, and the length at
 * which those of caches are as many as those of weights. */
static void json_bounds(const struct profile_report *report, const struct profile_result *result,
                        const struct weir_profile_info *info)
{
    struct output *output = report->output;
    const struct profile_sum all = profile_sum_all(result->profile);
    const uint64_t crossing = profile_crossing(result->profile, result->mode);
    const double tokens = (double)info->shape.rows * info->shape.sequences;
    if (report->peak > 0) {
        const double ms = profile_floor_ms(profile_sum_bytes(&all), report->peak);
        output_print(output, "      \"floor_ms\": %.6f,\n      \"floor_tokens_per_s\": %.4f,\n", ms,
                     tokens * 1e3 / ms);
    } else {
        output_print(output, "      \"floor_ms\": null,\n      \"floor_tokens_per_s\": null,\n");
    }
    if (crossing > 0)
        output_print(output, "      \"crossing_tokens\": %llu,\n", (unsigned long long)crossing);
    else
        output_print(output, "      \"crossing_tokens\": null,\n");
}

static void json_clocks(struct output *output, const struct profile_result *result)
{
    if (result->without_ns == 0)
        output_print(output, "      \"clocks\": null,\n");
    else
        output_print(output,
                     "      \"clocks\": {\"without_ms\": %.6f, \"low_ms\": %.6f, "
                     "\"high_ms\": %.6f},\n",
                     profile_ms(result->without_ns), (double)result->clocks_low_ns / 1e6,
                     (double)result->clocks_high_ns / 1e6);
}

static enum weir_status json_put(struct profile_report *report, const struct profile_result *result,
                                 struct weir_error *err)
{
    (void)err;
    struct output *output = report->output;
    const struct weir_traffic traffic = profile_traffic(result->profile);
    struct weir_profile_info info;
    weir_profile_info(result->profile, &info);
    output_print(output, "%s\n    {\n", report->results == 0 ? "" : ",");
    json_step(output, result->mode, &info);
    json_bounds(report, result, &info);
    json_clocks(output, result);
    json_totals(output, &traffic);
    if (report->options->check) {
        output_print(output, "      \"counted\": ");
        profile_counted_json(&result->counted, output);
        output_print(output, ",\n");
    }
    output_print(output, "      \"ops\": [\n");
    for (uint32_t i = 0; i < info.ops; i++) {
        struct weir_profile_op op;
        weir_profile_op(result->profile, i, &op);
        json_op(output, &op, info.runs > 0);
        output_print(output, i + 1 < info.ops ? ",\n" : "\n");
    }
    output_print(output, "      ]\n    }");
    return WEIR_OK;
}

static void json_end(struct profile_report *report)
{
    output_print(report->output, "\n  ]\n}\n");
}

const struct profile_writer profile_json = {json_begin, json_put, json_end};

/* ---- csv ------------------------------------------------------------------------------------- */

static void csv_begin(struct profile_report *report)
{
    output_print(report->output,
                 "context,mode,rows,sequences,threads,kind,role,layer,calls,read_bytes,write_bytes,"
                 "operand_bytes,flops,ms,wait_ms,ms_low,ms_high\n");
}

/* What step it is: the same for all its ops. */
static void csv_step(struct output *output, enum profile_mode mode,
                     const struct weir_profile_info *info)
{
    output_print(output, "%u,%s,%u,%u,", info->shape.cached, profile_mode_name(mode),
                 info->shape.rows * info->shape.sequences, info->shape.sequences);
    put_count(output, info->threads, "");
    output_print(output, ",");
}

static void csv_op(struct output *output, const struct weir_profile_op *op, bool has_times)
{
    const uint64_t read = profile_sum_classes(op->traffic.read);
    const uint64_t written = profile_sum_classes(op->traffic.written);
    char layer[16] = "";
    if (op->layer >= 0)
        snprintf(layer, sizeof layer, "%d", (int)op->layer);
    output_print(output, "%s,%s,%s,%u,%llu,%llu,%llu,%llu,", op->kind, op->role, layer, op->calls,
                 (unsigned long long)read, (unsigned long long)written,
                 (unsigned long long)op->operand_bytes, (unsigned long long)op->flops);
    put_ms(output, has_times, op->ns, "");
    output_print(output, ",");
    put_ms(output, has_times, op->wait_ns, "");
    output_print(output, ",");
    put_ms(output, has_times, op->ns_low, "");
    output_print(output, ",");
    put_ms(output, has_times, op->ns_high, "");
    output_print(output, "\n");
}

static enum weir_status csv_put(struct profile_report *report, const struct profile_result *result,
                                struct weir_error *err)
{
    (void)err;
    struct weir_profile_info info;
    weir_profile_info(result->profile, &info);
    for (uint32_t i = 0; i < info.ops; i++) {
        struct weir_profile_op op;
        weir_profile_op(result->profile, i, &op);
        csv_step(report->output, result->mode, &info);
        csv_op(report->output, &op, info.runs > 0);
    }
    return WEIR_OK;
}

const struct profile_writer profile_csv = {.begin = csv_begin, .put = csv_put};
