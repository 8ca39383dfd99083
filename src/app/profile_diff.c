/* SPDX-License-Identifier: MIT
 * Matches the steps and ops of two profiles and judges what changed. Knows neither how files are
 * read nor how a change is printed. */
#include "app/profile_diff.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app/profile_sums.h"
#include "base/mem.h"

uint64_t cost_by(const struct cost *cost, enum diff_measure measure)
{
    switch (measure) {
    case DIFF_TIME: return cost->ns;
    case DIFF_INSTRUCTIONS: return cost->instructions;
    case DIFF_BYTES: break;
    }
    return cost->read + cost->written; /* fits: profile_file.c adds up a step so */
}

/* ---- changes --------------------------------------------------------------------------------- */

static double percent_of(uint64_t before, uint64_t after)
{
    if (before == after)
        return 0;
    return before == 0 ? INFINITY : 100 * ((double)after / (double)before - 1);
}

struct diff_change diff_row_change(const struct diff_row *row, enum diff_measure measure)
{
    const struct cost *before = &row->before, *after = &row->after;
    struct diff_change change = {.is_known = row->in_old && row->in_new};
    change.percent = percent_of(cost_by(before, measure), cost_by(after, measure));
    change.low = change.high = change.percent;
    change.is_known &= isfinite(change.percent);
    change.has_interval = measure == DIFF_TIME && before->has_interval && after->has_interval;
    if (change.has_interval) {
        change.low = fmin(change.low, percent_of(before->ns_high, after->ns_low));
        change.high = fmax(change.high, percent_of(before->ns_low, after->ns_high));
    }
    return change;
}

static bool is_worth(const struct diff_row *row, const struct diff_row *all,
                     enum diff_measure measure)
{
    return (double)cost_by(&row->before, measure) >=
               DIFF_SHARE_MIN * (double)cost_by(&all->before, measure) ||
           (double)cost_by(&row->after, measure) >=
               DIFF_SHARE_MIN * (double)cost_by(&all->after, measure);
}

/* Ops whose times are looked at, and the step itself. */
static uint32_t count_judged(const struct diff_step *step)
{
    uint32_t count = 1;
    for (uint32_t i = 0; i < step->row_count; i++)
        count += is_worth(&step->rows[i], &step->all, DIFF_TIME);
    return count;
}

uint32_t diff_step_exempt(const struct diff_step *step)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < step->row_count; i++) {
        const struct diff_row *row = &step->rows[i];
        count += row->in_old && row->in_new && !is_worth(row, &step->all, step->measure) &&
                 !is_worth(row, &step->all, DIFF_BYTES);
    }
    return count;
}

/* The deviations from its mean beyond which a normal variable lies with this chance, above. */
static double deviations(double chance)
{
    double low = 0, high = 40;
    for (int i = 0; i < 60; i++) {
        const double middle = (low + high) / 2;
        if (erfc(middle / sqrt(2)) / 2 > chance)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* Of many changes that are none, some lie outside of their intervals. So that all of `count` lie
 * within as often as one did, each is as many times as wide (Bonferroni's correction, for medians
 * that are about normal). */
static double widening(uint32_t count)
{
    return deviations(0.025 / fmax(count, 1)) / deviations(0.025);
}

/* The least that a time has grown by, in percent, with intervals that many times as wide. */
static double least_growth(const struct diff_row *row, double times)
{
    const struct cost *before = &row->before, *after = &row->after;
    const double more = (times - 1) / 2;
    const double high = (double)before->ns_high + more * (double)(before->ns_high - before->ns_low);
    const double low = (double)after->ns_low - more * (double)(after->ns_high - after->ns_low);
    return high > 0 ? 100 * (low / high - 1) : INFINITY;
}

/* Without an interval a time says nothing: it may be any. */
static bool is_slower(const struct diff_row *row, const struct diff_step *step, double tolerance)
{
    const struct diff_change change = diff_row_change(row, DIFF_TIME);
    return change.has_interval && change.low > tolerance &&
           least_growth(row, widening(step->judged)) > tolerance;
}

static bool is_worse_by(const struct diff_row *row, const struct diff_step *step,
                        enum diff_measure measure, double tolerance)
{
    if (!row->in_old || !row->in_new || !is_worth(row, &step->all, measure))
        return false;
    return measure == DIFF_TIME ? is_slower(row, step, tolerance)
                                : diff_row_change(row, measure).low > tolerance;
}

static void judge(struct profile_diff *diff, const struct diff_step *step, struct diff_row *row)
{
    const bool is_worse = is_worse_by(row, step, step->measure, diff->tolerance);
    if (step->measure == DIFF_TIME && is_worse)
        row->worse |= DIFF_SLOWER;
    if (step->measure == DIFF_INSTRUCTIONS && is_worse)
        row->worse |= DIFF_MORE_INSTRUCTIONS;
    if (is_worse_by(row, step, DIFF_BYTES, diff->tolerance))
        row->worse |= DIFF_MORE_BYTES;
    diff->is_worse |= row->worse != 0;
}

/* ---- rows ------------------------------------------------------------------------------------ */

static int compare_keys(const struct diff_row *a, const struct diff_row *b)
{
    const int kind = strcmp(a->kind, b->kind), role = strcmp(a->role, b->role);
    const int layer = (a->layer > b->layer) - (a->layer < b->layer);
    const int number = (a->number > b->number) - (a->number < b->number);
    return layer != 0 ? layer : kind != 0 ? kind : role != 0 ? role : number;
}

static int compare_rows(const void *left, const void *right)
{
    return compare_keys(left, right);
}

/* An op as a row of its group, or of its own. */
static struct diff_row row_of(const struct profile_diff *diff, const struct file_op *op)
{
    struct diff_row row = {.kind = "", .role = "", .layer = LAYER_BEFORE};
    if (!diff->is_grouped)
        return (struct diff_row){
            .kind = op->kind, .role = op->role, .layer = op->layer, .number = op->number};
    if (diff->by == PROFILE_BY_KIND)
        row.kind = op->kind;
    else if (diff->by == PROFILE_BY_ROLE)
        row.role = op->role;
    else if (op->layer >= 0)
        row.layer = op->layer;
    else
        row.role = profile_no_layer_name(op->layer == LAYER_BEHIND);
    return row;
}

static void put_ops(const struct profile_diff *diff, const struct file_step *step, bool is_new,
                    struct diff_row *rows)
{
    for (uint32_t i = 0; i < step->op_count; i++) {
        rows[i] = row_of(diff, &step->ops[i]);
        rows[i].in_old = !is_new;
        rows[i].in_new = is_new;
        rows[i].before = is_new ? cost_none() : step->ops[i].cost;
        rows[i].after = is_new ? step->ops[i].cost : cost_none();
    }
}

/* Sums of sums that 64 bits hold, or the file would have been refused. */
static void join(struct diff_row *sum, const struct diff_row *row)
{
    cost_add(&sum->before, &row->before);
    cost_add(&sum->after, &row->after);
    sum->in_old |= row->in_old;
    sum->in_new |= row->in_new;
}

/* A file does not say whether ops are slow in the same runs, so nothing follows for their sum. */
static void drop_interval(struct cost *cost)
{
    cost->has_interval = false;
    cost->ns_low = cost->ns_high = 0;
}

static void drop_intervals(struct diff_row *rows, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        drop_interval(&rows[i].before);
        drop_interval(&rows[i].after);
    }
}

/* Rows of the same key become one. */
static uint32_t join_rows(struct diff_row *rows, uint32_t count)
{
    uint32_t kept = 0;
    qsort(rows, count, sizeof *rows, compare_rows);
    for (uint32_t i = 0; i < count; i++) {
        if (kept > 0 && compare_keys(&rows[kept - 1], &rows[i]) == 0)
            join(&rows[kept - 1], &rows[i]);
        else
            rows[kept++] = rows[i];
    }
    return kept;
}

static uint64_t distance(const struct diff_row *row, enum diff_measure measure)
{
    const uint64_t before = cost_by(&row->before, measure), after = cost_by(&row->after, measure);
    return before > after ? before - after : after - before;
}

/* For qsort, which hands on no measure: one for each. */
static int compare_by(const struct diff_row *a, const struct diff_row *b, enum diff_measure measure)
{
    const uint64_t by_a = distance(a, measure), by_b = distance(b, measure);
    return by_a != by_b ? (by_a < by_b) - (by_a > by_b) : compare_keys(a, b);
}

static int compare_times(const void *left, const void *right)
{
    return compare_by(left, right, DIFF_TIME);
}

static int compare_instructions(const void *left, const void *right)
{
    return compare_by(left, right, DIFF_INSTRUCTIONS);
}

static int compare_bytes(const void *left, const void *right)
{
    return compare_by(left, right, DIFF_BYTES);
}

/* ---- steps ----------------------------------------------------------------------------------- */

static bool is_same_number(int64_t a, int64_t b)
{
    return a < 0 || b < 0 || a == b;
}

static bool is_same_step(const struct file_step *a, const struct file_step *b)
{
    return a->context == b->context &&
           (a->mode == NULL || b->mode == NULL || strcmp(a->mode, b->mode) == 0) &&
           is_same_number(a->rows, b->rows) && is_same_number(a->sequences, b->sequences) &&
           is_same_number(a->threads, b->threads);
}

static enum diff_measure measure_of(const struct cost *before, const struct cost *after)
{
    if (before->has_times && after->has_times)
        return DIFF_TIME;
    return before->has_instructions && after->has_instructions ? DIFF_INSTRUCTIONS : DIFF_BYTES;
}

static enum weir_status fill_step(struct profile_diff *diff, struct diff_step *step,
                                  struct weir_error *err)
{
    static int (*const orders[])(const void *,
                                 const void *) = {[DIFF_TIME] = compare_times,
                                                  [DIFF_INSTRUCTIONS] = compare_instructions,
                                                  [DIFF_BYTES] = compare_bytes};
    const struct file_step *before = step->before, *after = step->after;
    step->rows = mem_alloc((uint64_t)before->op_count + after->op_count, sizeof *step->rows, err);
    if (step->rows == NULL)
        return WEIR_ERR_MEMORY;
    step->measure = measure_of(&before->cost, &after->cost);
    put_ops(diff, before, false, step->rows);
    put_ops(diff, after, true, step->rows + before->op_count);
    step->row_count = join_rows(step->rows, before->op_count + after->op_count);
    if (diff->is_grouped)
        drop_intervals(step->rows, step->row_count);
    qsort(step->rows, step->row_count, sizeof *step->rows, orders[step->measure]);
    step->all = (struct diff_row){.kind = "all",
                                  .role = "",
                                  .layer = LAYER_BEFORE,
                                  .in_old = true,
                                  .in_new = true,
                                  .before = before->cost,
                                  .after = after->cost};
    step->judged = count_judged(step);
    judge(diff, step, &step->all);
    for (uint32_t i = 0; i < step->row_count; i++)
        judge(diff, step, &step->rows[i]);
    return WEIR_OK;
}

/* The first step of the newer file that is the same and not taken yet. */
static const struct file_step *find_step(struct profile_diff *diff, const struct file_step *step)
{
    for (uint32_t i = 0; i < diff->after->step_count; i++) {
        if (!diff->is_matched[i] && is_same_step(step, &diff->after->steps[i])) {
            diff->is_matched[i] = true;
            return &diff->after->steps[i];
        }
    }
    return NULL;
}

enum weir_status profile_diff_make(struct profile_diff *diff, const struct profile_file *before,
                                   const struct profile_file *after, const enum profile_by *by,
                                   double tolerance, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    *diff = (struct profile_diff){
        .before = before, .after = after, .tolerance = tolerance, .is_grouped = by != NULL};
    diff->by = by != NULL ? (int32_t)*by : 0;
    diff->steps = mem_alloc(before->step_count, sizeof *diff->steps, err);
    diff->is_matched = mem_alloc(after->step_count, sizeof *diff->is_matched, err);
    if (diff->steps == NULL || diff->is_matched == NULL)
        return WEIR_ERR_MEMORY;
    for (uint32_t i = 0; i < before->step_count; i++) {
        const struct file_step *same = find_step(diff, &before->steps[i]);
        struct diff_step *step = &diff->steps[diff->step_count];
        if (same == NULL)
            continue;
        *step = (struct diff_step){.before = &before->steps[i], .after = same};
        diff->step_count++;
        TRY(fill_step(diff, step, err));
    }
    if (diff->step_count == 0)
        status = err_set(err, WEIR_ERR_ARGUMENT,
                         "%s and %s have no step in common: of the same mode, context, rows, "
                         "sequences and threads",
                         before->path, after->path);
out:
    return status;
}

void profile_diff_release(struct profile_diff *diff)
{
    for (uint32_t i = 0; i < diff->step_count; i++)
        mem_free(diff->steps[i].rows);
    mem_free(diff->steps);
    mem_free(diff->is_matched);
    *diff = (struct profile_diff){.before = NULL};
}
