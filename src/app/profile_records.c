/* SPDX-License-Identifier: MIT
 * A profile as records for programs: JSON of the schema weir.profile/1, and CSV. weir-profile(1)
 * describes both. Knows ops one by one, and no sums but those of all. */
#include <stdio.h>

#include "app/profile_report.h"
#include "app/profile_sums.h"

/* "12.345678", or where nothing ran `none`. */
static void put_ms(struct output *output, bool is_known, uint64_t ns, const char *none)
{
    if (is_known)
        output_print(output, "%.6f", (double)ns / 1e6);
    else
        output_print(output, "%s", none);
}

static void sum_traffic(const struct weir_traffic *traffic, uint64_t *read, uint64_t *written)
{
    *read = *written = 0;
    for (int class = 0; class < WEIR_TRAFFIC_CLASSES; class ++) {
        *read += traffic->read[class];
        *written += traffic->written[class];
    }
}

/* ---- json ------------------------------------------------------------------------------------ */

static void json_begin(struct profile_report *report)
{
    output_print(report->output, "{\n  \"schema\": \"weir.profile/1\",\n  \"model\": ");
    output_json_text(report->output, report->model);
    output_print(report->output, ",\n  \"steps\": [");
}

static void json_bytes(struct output *output, uint64_t read, uint64_t written)
{
    output_print(output, "\"read_bytes\": %llu, \"write_bytes\": %llu", (unsigned long long)read,
                 (unsigned long long)written);
}

static void json_totals(struct output *output, const struct weir_traffic *traffic)
{
    uint64_t read, written;
    sum_traffic(traffic, &read, &written);
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

static void json_op(struct output *output, const struct weir_profile_op *op, bool has_times)
{
    uint64_t read, written;
    sum_traffic(&op->traffic, &read, &written);
    output_print(output, "        {\"kind\": \"%s\", \"role\": \"%s\", \"layer\": ", op->kind,
                 op->role);
    if (op->layer < 0)
        output_print(output, "null");
    else
        output_print(output, "%d", (int)op->layer);
    output_print(output, ", \"calls\": %u, ", op->calls);
    json_bytes(output, read, written);
    output_print(output,
                 ", \"operand_bytes\": %llu, \"ms\": ", (unsigned long long)op->operand_bytes);
    put_ms(output, has_times, op->ns, "null");
    output_print(output, "}");
}

static enum weir_status json_put(struct profile_report *report, const struct profile_result *result,
                                 struct weir_error *err)
{
    (void)err;
    struct output *output = report->output;
    const struct weir_traffic traffic = profile_traffic(result->profile);
    struct weir_profile_info info;
    weir_profile_info(result->profile, &info);
    output_print(output, "%s\n    {\n      \"context\": %u,\n      \"ms\": ",
                 report->results == 0 ? "" : ",", info.shape.cached);
    put_ms(output, info.runs > 0, info.ns, "null");
    output_print(output, ",\n");
    json_totals(output, &traffic);
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
                 "context,kind,role,layer,calls,read_bytes,write_bytes,operand_bytes,ms\n");
}

static void csv_op(struct output *output, uint32_t context, const struct weir_profile_op *op,
                   bool has_times)
{
    uint64_t read, written;
    char layer[16] = "";
    sum_traffic(&op->traffic, &read, &written);
    if (op->layer >= 0)
        snprintf(layer, sizeof layer, "%d", (int)op->layer);
    output_print(output, "%u,%s,%s,%s,%u,%llu,%llu,%llu,", context, op->kind, op->role, layer,
                 op->calls, (unsigned long long)read, (unsigned long long)written,
                 (unsigned long long)op->operand_bytes);
    put_ms(output, has_times, op->ns, "");
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
        csv_op(report->output, info.shape.cached, &op, info.runs > 0);
    }
    return WEIR_OK;
}

const struct profile_writer profile_csv = {.begin = csv_begin, .put = csv_put};
