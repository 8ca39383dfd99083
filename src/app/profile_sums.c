/* SPDX-License-Identifier: MIT
 * Sums of a profile's ops. Knows no kind, role or layer: what an op is called comes with it. */
#include "app/profile_sums.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* ---- a sum ----------------------------------------------------------------------------------- */

uint64_t profile_sum_classes(const uint64_t bytes[WEIR_TRAFFIC_CLASSES])
{
    uint64_t sum = 0;
    for (int class = 0; class < WEIR_TRAFFIC_CLASSES; class ++)
        sum += bytes[class];
    return sum;
}

static void add_op(struct profile_sum *sum, const struct weir_profile_op *op)
{
    sum->calls += op->calls;
    sum->operand += op->operand_bytes;
    sum->ns += op->ns;
    sum->wait_ns += op->wait_ns;
    sum->usual_ns += op->ns < op->ns_high ? op->ns : op->ns_high;
    sum->read += profile_sum_classes(op->traffic.read);
    sum->written += profile_sum_classes(op->traffic.written);
}

uint64_t profile_sum_bytes(const struct profile_sum *sum)
{
    return sum->read + sum->written;
}

const char *profile_beyond(bool is_measured)
{
    return is_measured
               ? "bytes came from caches, or the machine was busy when its memory was measured"
               : "bytes came from caches, or memory gives more than that";
}

double profile_floor_ms(uint64_t bytes, double peak)
{
    return (double)bytes / peak / 1e6;
}

struct profile_sum profile_sum_all(const struct weir_profile *profile)
{
    struct profile_sum all = {.name = "all"};
    struct weir_profile_info info;
    weir_profile_info(profile, &info);
    for (uint32_t i = 0; i < info.ops; i++) {
        struct weir_profile_op op;
        weir_profile_op(profile, i, &op);
        add_op(&all, &op);
    }
    return all;
}

struct weir_traffic profile_traffic(const struct weir_profile *profile)
{
    struct weir_traffic sum = {{0}, {0}};
    struct weir_profile_info info;
    weir_profile_info(profile, &info);
    for (uint32_t i = 0; i < info.ops; i++) {
        struct weir_profile_op op;
        weir_profile_op(profile, i, &op);
        for (int class = 0; class < WEIR_TRAFFIC_CLASSES; class ++) {
            sum.read[class] += op.traffic.read[class];
            sum.written[class] += op.traffic.written[class];
        }
    }
    return sum;
}

uint64_t profile_crossing(const struct weir_profile *profile, enum profile_mode mode)
{
    const struct weir_traffic traffic = profile_traffic(profile);
    struct weir_profile_info info;
    weir_profile_info(profile, &info);
    const uint64_t tokens = (uint64_t)info.shape.cached + info.shape.rows;
    const uint64_t per_token = traffic.read[WEIR_TRAFFIC_KV] / tokens;
    return mode == PROFILE_PREFILL || per_token == 0
               ? 0
               : traffic.read[WEIR_TRAFFIC_WEIGHTS] / per_token;
}

double profile_ms(uint64_t ns)
{
    return (double)ns / 1e6;
}

double profile_mb(uint64_t bytes)
{
    return (double)bytes / 1e6;
}

/* ---- names ----------------------------------------------------------------------------------- */

const char *profile_mode_name(enum profile_mode mode)
{
    static const char *const names[] = {
        [PROFILE_DECODE] = "decode", [PROFILE_PREFILL] = "prefill", [PROFILE_VERIFY] = "verify"};
    return names[mode];
}

/* What the ops of a layer say of it: with a KV cache it is one of full attention, with a recurrent
 * state one of linear attention. */
static const char *layer_kind(const struct weir_profile *profile, uint32_t ops, int32_t layer)
{
    for (uint32_t i = 0; i < ops; i++) {
        struct weir_profile_op op;
        weir_profile_op(profile, i, &op);
        if (op.layer != layer)
            continue;
        if (op.traffic.read[WEIR_TRAFFIC_KV] > 0)
            return " fa";
        if (op.traffic.read[WEIR_TRAFFIC_STATE] > 0)
            return " la";
    }
    return "";
}

const char *profile_no_layer_name(bool is_behind)
{
    return is_behind ? "head" : "embedding";
}

/* "L03 fa", or of no layer. */
void profile_layer_name(const struct weir_profile *profile, uint32_t number, char *out, size_t size)
{
    struct weir_profile_info info;
    struct weir_profile_op op;
    bool is_behind = false;
    weir_profile_info(profile, &info);
    weir_profile_op(profile, number, &op);
    if (op.layer >= 0) {
        snprintf(out, size, "L%02d%s", (int)op.layer, layer_kind(profile, info.ops, op.layer));
        return;
    }
    for (uint32_t i = 0; i < number && !is_behind; i++) {
        weir_profile_op(profile, i, &op);
        is_behind = op.layer >= 0;
    }
    snprintf(out, size, "%s", profile_no_layer_name(is_behind));
}

enum { BY_KIND_AND_ROLE = PROFILE_BY_TOTAL + 1 };

static void name_group(const struct weir_profile *profile, uint32_t number, int by, char *out,
                       size_t size)
{
    struct weir_profile_op op;
    weir_profile_op(profile, number, &op);
    if (by == PROFILE_BY_LAYER)
        profile_layer_name(profile, number, out, size);
    else if (by == BY_KIND_AND_ROLE)
        snprintf(out, size, "%s %s", op.kind, op.role);
    else
        snprintf(out, size, "%s", by == PROFILE_BY_KIND ? op.kind : op.role);
}

/* ---- groups ---------------------------------------------------------------------------------- */

/* The row of that name, a new one if there is none yet; as many rows as ops have room. */
static struct profile_sum *find_row(struct profile_sums *sums, const char *name)
{
    for (uint32_t i = 0; i < sums->count; i++) {
        if (strcmp(sums->rows[i].name, name) == 0)
            return &sums->rows[i];
    }
    struct profile_sum *row = &sums->rows[sums->count++];
    *row = (struct profile_sum){.calls = 0};
    snprintf(row->name, sizeof row->name, "%s", name);
    return row;
}

static int compare_rows(const void *left, const void *right)
{
    const struct profile_sum *a = left, *b = right;
    const uint64_t bytes_a = profile_sum_bytes(a), bytes_b = profile_sum_bytes(b);
    if (a->ns != b->ns)
        return a->ns < b->ns ? 1 : -1;
    if (bytes_a != bytes_b)
        return bytes_a < bytes_b ? 1 : -1;
    return strcmp(a->name, b->name);
}

static enum weir_status open_rows(struct profile_sums *sums, uint32_t rows, struct weir_error *err)
{
    *sums = (struct profile_sums){.rows = mem_alloc(rows, sizeof *sums->rows, err)};
    return sums->rows == NULL ? WEIR_ERR_MEMORY : WEIR_OK;
}

/* Adds what an op touches of each class, and its time in shares as large as the bytes, which add up
 * to the whole time. */
static void add_to_classes(struct profile_sum *rows, const struct weir_profile_op *op)
{
    const uint64_t all =
        profile_sum_classes(op->traffic.read) + profile_sum_classes(op->traffic.written);
    uint64_t touched = 0, shared = 0;
    for (int class = 0; class < WEIR_TRAFFIC_CLASSES; class ++) {
        struct profile_sum *row = &rows[class];
        const uint64_t read = op->traffic.read[class], written = op->traffic.written[class];
        if (read + written == 0)
            continue;
        touched += read + written;
        const uint64_t until = (uint64_t)((double)op->ns * ((double)touched / (double)all));
        row->calls += op->calls;
        row->read += read;
        row->written += written;
        row->ns += until - shared;
        shared = until;
    }
}

static enum weir_status sum_classes(struct profile_sums *sums, const struct weir_profile *profile,
                                    struct weir_error *err)
{
    struct weir_profile_info info;
    const enum weir_status status = open_rows(sums, WEIR_TRAFFIC_CLASSES, err);
    if (status != WEIR_OK)
        return status;
    for (int class = 0; class < WEIR_TRAFFIC_CLASSES; class ++)
        find_row(sums, weir_traffic_class_name((enum weir_traffic_class) class));
    weir_profile_info(profile, &info);
    for (uint32_t i = 0; i < info.ops; i++) {
        struct weir_profile_op op;
        weir_profile_op(profile, i, &op);
        add_to_classes(sums->rows, &op);
    }
    return WEIR_OK;
}

static enum weir_status sum_ops(struct profile_sums *sums, const struct weir_profile *profile,
                                int by, struct weir_error *err)
{
    struct weir_profile_info info;
    weir_profile_info(profile, &info);
    const enum weir_status status = open_rows(sums, info.ops, err);
    for (uint32_t i = 0; status == WEIR_OK && i < info.ops; i++) {
        struct weir_profile_op op;
        char name[sizeof sums->rows->name];
        name_group(profile, i, by, name, sizeof name);
        weir_profile_op(profile, i, &op);
        add_op(find_row(sums, name), &op);
    }
    return status;
}

enum weir_status profile_sum_by(struct profile_sums *sums, const struct weir_profile *profile,
                                enum profile_by by, struct weir_error *err)
{
    const enum weir_status status =
        by == PROFILE_BY_CLASS ? sum_classes(sums, profile, err) : sum_ops(sums, profile, by, err);
    if (status != WEIR_OK)
        return status;
    sums->all = profile_sum_all(profile);
    if (by != PROFILE_BY_LAYER)
        qsort(sums->rows, sums->count, sizeof *sums->rows, compare_rows);
    return WEIR_OK;
}

/* In ms of a profile that ran, beyond the floor; of another, or without a peak, in bytes. */
static double loss(const struct profile_sum *sum, bool has_times, double peak)
{
    const uint64_t bytes = profile_sum_bytes(sum);
    return !has_times || peak == 0 ? (double)bytes
                                   : profile_ms(sum->usual_ns) - profile_floor_ms(bytes, peak);
}

enum weir_status profile_sum_worst(struct profile_sum *out, const struct weir_profile *profile,
                                   double peak, struct weir_error *err)
{
    struct profile_sums sums;
    struct weir_profile_info info;
    weir_profile_info(profile, &info);
    const enum weir_status status = sum_ops(&sums, profile, BY_KIND_AND_ROLE, err);
    if (status != WEIR_OK)
        return status;
    *out = sums.rows[0];
    for (uint32_t i = 1; i < sums.count; i++) {
        if (loss(&sums.rows[i], info.runs > 0, peak) > loss(out, info.runs > 0, peak))
            *out = sums.rows[i];
    }
    mem_free(sums.rows);
    return WEIR_OK;
}
