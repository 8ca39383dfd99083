/* SPDX-License-Identifier: MIT
 * Counts by hardware beside counts by the plan. Knows no op. */
#include "app/profile_counted.h"

/* Keeps the first reason. */
static void check(struct profile_counting *counting, bool is_done, const char *why)
{
    if (!is_done && counting->why == NULL)
        counting->why = why;
}

static void read_all(struct profile_counting *counting, uint64_t *read, uint64_t *written)
{
    check(counting, counters_read(counting->counters, read, written),
          "the system refused to read them, or gave them no time");
}

void profile_counting_begin(struct profile_counting *counting, const struct counters *counters)
{
    *counting = (struct profile_counting){.counters = counters};
    if (counters != NULL)
        read_all(counting, &counting->read, &counting->written);
}

void profile_counting_start(struct profile_counting *counting)
{
    if (counting->counters != NULL)
        check(counting, counters_start(counting->counters), "the system refused to start them");
}

void profile_counting_stop(struct profile_counting *counting)
{
    if (counting->counters != NULL)
        check(counting, counters_stop(counting->counters), "the system refused to stop them");
}

struct profile_counted profile_counting_end(struct profile_counting *counting, uint32_t runs)
{
    const struct counters *counters = counting->counters;
    uint64_t read = 0, written = 0;
    if (counters == NULL || runs == 0)
        return (struct profile_counted){.source = COUNTERS_NONE};
    read_all(counting, &read, &written);
    if (counting->why != NULL)
        return (struct profile_counted){.source = COUNTERS_NONE, .why = counting->why};
    /* What was scaled up for a time without a counter may have been scaled up too far before. */
    return (struct profile_counted){
        .source = counters->source,
        .read = read > counting->read ? (read - counting->read) / runs : 0,
        .written = written > counting->written ? (written - counting->written) / runs : 0};
}

static void put_difference(struct output *output, uint64_t counted, uint64_t touched)
{
    if (touched > 0)
        output_print(output, " (%+.1f%%)", 100 * ((double)counted / (double)touched - 1));
}

void profile_counted_print(const struct profile_counted *counted, uint64_t read, uint64_t written,
                           struct output *output)
{
    if (counted->why != NULL)
        output_print(output, "counters counted nothing: %s\n", counted->why);
    if (counted->source == COUNTERS_NONE)
        return;
    output_print(output, "counted by %s: %.3f MB read", counters_name(counted->source),
                 (double)counted->read / 1e6);
    put_difference(output, counted->read, read);
    if (counted->source == COUNTERS_CONTROLLERS) {
        output_print(output, ", %.3f MB written", (double)counted->written / 1e6);
        put_difference(output, counted->written, written);
    }
    output_print(output, "; touched: %.3f MB read, %.3f MB written\n", (double)read / 1e6,
                 (double)written / 1e6);
}

void profile_counted_json(const struct profile_counted *counted, struct output *output)
{
    if (counted->source == COUNTERS_NONE) {
        output_print(output, "null");
        return;
    }
    const bool has_both = counted->source == COUNTERS_CONTROLLERS;
    output_print(output, "{\"source\": \"%s\", \"read_bytes\": %llu, \"write_bytes\": ",
                 has_both ? "controllers" : "misses", (unsigned long long)counted->read);
    if (has_both)
        output_print(output, "%llu}", (unsigned long long)counted->written);
    else
        output_print(output, "null}");
}
