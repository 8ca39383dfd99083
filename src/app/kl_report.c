/* SPDX-License-Identifier: MIT
 * Statistics of compared rows, in double. Knows nothing of where they come from. */
#include "app/kl_report.h"

#include <math.h>

#include "base/mem.h"
#include "base/sort.h"

enum weir_status kl_rows_init(struct kl_rows *rows, uint64_t capacity, struct weir_error *err)
{
    double **const columns[] = {&rows->kl, &rows->surprise, &rows->surprise_base, &rows->change};
    rows->capacity = capacity;
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        *columns[i] = mem_alloc(capacity, sizeof **columns[i], err);
        if (*columns[i] == NULL)
            return WEIR_ERR_MEMORY;
    }
    return WEIR_OK;
}

void kl_rows_release(struct kl_rows *rows)
{
    mem_free(rows->kl);
    mem_free(rows->surprise);
    mem_free(rows->surprise_base);
    mem_free(rows->change);
    *rows = (struct kl_rows){.count = 0};
}

void kl_rows_add(struct kl_rows *rows, const struct row_distance *distance)
{
    const uint64_t i = rows->count++;
    rows->kl[i] = distance->kl;
    rows->surprise[i] = distance->surprise;
    rows->surprise_base[i] = distance->surprise_base;
    rows->change[i] = exp(-distance->surprise) - exp(-distance->surprise_base);
    rows->same_top += distance->same_top;
}

struct estimate estimate_mean(const double *values, uint64_t count)
{
    double sum = 0, squares = 0;
    for (uint64_t i = 0; i < count; i++)
        sum += values[i];
    const double mean = sum / (double)count;
    for (uint64_t i = 0; i < count; i++)
        squares += (values[i] - mean) * (values[i] - mean);
    const double error = count > 1 ? sqrt(squares / (double)(count - 1) / (double)count) : 0;
    return (struct estimate){mean, error};
}

double percentile(const double *sorted, uint64_t count, double at)
{
    const double place = at * (double)(count - 1);
    const uint64_t below = (uint64_t)place;
    if (below + 1 >= count)
        return sorted[count - 1];
    return sorted[below] + (place - (double)below) * (sorted[below + 1] - sorted[below]);
}

static void print_estimate(struct output *output, const char *name, struct estimate estimate)
{
    output_print(output, "%-20s %10.6f +/- %.6f\n", name, estimate.mean, estimate.error);
}

/* exp of a mean, with the error that follows from its own. */
static struct estimate estimate_exp(struct estimate of)
{
    return (struct estimate){exp(of.mean), exp(of.mean) * of.error};
}

static void print_perplexities(const struct kl_rows *rows, struct output *output)
{
    const struct estimate own = estimate_mean(rows->surprise, rows->count);
    const struct estimate base = estimate_mean(rows->surprise_base, rows->count);
    print_estimate(output, "PPL:", estimate_exp(own));
    print_estimate(output, "PPL of base:", estimate_exp(base));
    /* The errors of both are largely the same: that of the ratio is the error of differences. */
    for (uint64_t i = 0; i < rows->count; i++)
        rows->surprise[i] -= rows->surprise_base[i];
    print_estimate(output, "PPL ratio:", estimate_exp(estimate_mean(rows->surprise, rows->count)));
}

static void print_divergence(const struct kl_rows *rows, struct output *output)
{
    static const struct {
        const char *name;
        double at;
    } lines[] = {
        {"KL median:", 0.5}, {"KL 90%:", 0.9},     {"KL 95%:", 0.95},
        {"KL 99%:", 0.99},   {"KL 99.9%:", 0.999}, {"KL maximum:", 1},
    };
    print_estimate(output, "KL mean:", estimate_mean(rows->kl, rows->count));
    sort_f64(rows->kl, rows->count);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        output_print(output, "%-20s %10.6f\n", lines[i].name,
                     percentile(rows->kl, rows->count, lines[i].at));
}

/* The root of the mean square, with the error that follows from that of the mean. */
static struct estimate estimate_rms(double *values, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        values[i] *= values[i];
    const struct estimate square = estimate_mean(values, count);
    const double root = sqrt(square.mean);
    return (struct estimate){root, root > 0 ? square.error / (2 * root) : 0};
}

static void print_percents(struct output *output, const char *name, struct estimate estimate)
{
    output_print(output, "%-20s %7.3f %% +/- %.3f %%\n", name, 100 * estimate.mean,
                 100 * estimate.error);
}

static void print_changes(const struct kl_rows *rows, struct output *output)
{
    static const struct {
        const char *name;
        double at;
    } lines[] = {
        {"change of p 0.1%:", 0.001},  {"change of p 1%:", 0.01},  {"change of p 5%:", 0.05},
        {"change of p median:", 0.5},  {"change of p 95%:", 0.95}, {"change of p 99%:", 0.99},
        {"change of p 99.9%:", 0.999},
    };
    print_percents(output, "change of p mean:", estimate_mean(rows->change, rows->count));
    sort_f64(rows->change, rows->count);
    double values[sizeof lines / sizeof *lines];
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        values[i] = percentile(rows->change, rows->count, lines[i].at);
    print_percents(output, "change of p RMS:", estimate_rms(rows->change, rows->count));
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        output_print(output, "%-20s %7.3f %%\n", lines[i].name, 100 * values[i]);
}

static void print_same_top(const struct kl_rows *rows, struct output *output)
{
    const double count = (double)rows->count, share = (double)rows->same_top / count;
    const double error = rows->count > 1 ? sqrt(share * (1 - share) / (count - 1)) : 0;
    print_percents(output, "same top token:", (struct estimate){share, error});
}

void kl_report_print(struct kl_rows *rows, struct output *output)
{
    output_print(output, "%-20s %10llu\n", "rows:", (unsigned long long)rows->count);
    print_perplexities(rows, output);
    print_divergence(rows, output);
    print_changes(rows, output);
    print_same_top(rows, output);
}
