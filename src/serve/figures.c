/* SPDX-License-Identifier: MIT
 * Sums and histograms. Knows neither who counts nor how it is told. */
#include "serve/figures.h"

const double histogram_bounds[HISTOGRAM_BOUNDS] = {
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120,
};

void histogram_add(struct histogram *histogram, uint64_t ns, uint32_t times)
{
    const double seconds = (double)ns / 1e9;
    uint32_t bound = 0;
    while (bound < HISTOGRAM_BOUNDS && seconds > histogram_bounds[bound])
        bound++;
    histogram->counts[bound] += times;
    histogram->count += times;
    histogram->sum += seconds * times;
}

void figures_share(uint64_t bytes[WEIR_TRAFFIC_CLASSES], const struct weir_traffic *traffic,
                   uint32_t rows, uint32_t all)
{
    const double share = (double)rows / all;
    for (int i = 0; i < WEIR_TRAFFIC_CLASSES; i++)
        bytes[i] += (uint64_t)((double)(traffic->read[i] + traffic->written[i]) * share + 0.5);
}

void figures_add_round(struct scheduler_figures *figures, uint32_t drafts, uint32_t accepted)
{
    figures->rounds_with_drafts += drafts > 0;
    figures->drafts += drafts;
    figures->accepted += accepted;
    for (uint32_t i = 0; i < drafts && i < WEIR_DRAFTS_MAX; i++) {
        figures->made_at[i]++;
        figures->accepted_at[i] += i < accepted;
    }
}

void figures_add_job(struct scheduler_figures *figures, const struct job_timings *timings,
                     enum job_end end)
{
    figures->prompt_ns += timings->prompt_ns;
    figures->reply_ns += timings->reply_ns;
    figures->jobs[end]++;
}
