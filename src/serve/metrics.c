/* SPDX-License-Identifier: MIT
 * What the scheduler has counted, as text for Prometheus: under the names of llama-server, so that
 * its dashboards work, and what weir alone knows. */
#include "serve/service.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const ends[] = {
    [JOB_STOP_TOKEN] = "stop_token", [JOB_STOP_TEXT] = "stop_text", [JOB_LENGTH] = "length",
    [JOB_FULL] = "context_full",     [JOB_TIMEOUT] = "timeout",     [JOB_CANCELLED] = "cancelled",
    [JOB_FAILED] = "failed",
};

/* ---- lines ----------------------------------------------------------------------------------- */

static void put_head(struct printer out, const char *name, const char *kind, const char *help)
{
    print(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

static void put_whole(struct printer out, const char *name, const char *kind, const char *help,
                      uint64_t value)
{
    put_head(out, name, kind, help);
    print(out, "%s %" PRIu64 "\n", name, value);
}

static void put_count(struct printer out, const char *name, const char *help, uint64_t value)
{
    put_whole(out, name, "counter", help, value);
}

static double seconds(uint64_t ns)
{
    return (double)ns / 1e9;
}

static void put_value(struct printer out, const char *name, const char *kind, const char *help,
                      double value)
{
    put_head(out, name, kind, help);
    print(out, "%s %.6g\n", name, value);
}

/* A sum of times, which goes on for weeks: to the nanosecond, or rates of it would be steps. */
static void put_seconds(struct printer out, const char *name, const char *help, uint64_t ns)
{
    put_head(out, name, "counter", help);
    print(out, "%s %.9f\n", name, seconds(ns));
}

static double ratio(double of, double to)
{
    return to > 0 ? of / to : 0;
}

/* Buckets add up: each counts what is at most its bound. */
static void put_histogram(struct printer out, const char *name, const char *help,
                          const struct histogram *histogram)
{
    uint64_t sum = 0;
    put_head(out, name, "histogram", help);
    for (uint32_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
        sum += histogram->counts[i];
        print(out, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name, histogram_bounds[i], sum);
    }
    print(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, histogram->count);
    print(out, "%s_sum %.9f\n%s_count %" PRIu64 "\n", name, histogram->sum, name, histogram->count);
}

/* ---- llama-server's -------------------------------------------------------------------------- */

static void put_drafts(struct printer out, const struct scheduler_figures *figures)
{
    static const char name[] = "llamacpp:spec_decode_num_accepted_tokens_per_pos_total";
    put_count(out, "llamacpp:spec_decode_num_draft_tokens_total", "Total draft tokens generated",
              figures->drafts);
    put_count(out, "llamacpp:spec_decode_num_accepted_tokens_total",
              "Total draft tokens accepted by the target model", figures->accepted);
    put_count(out, "llamacpp:spec_decode_num_drafts_total",
              "Total speculative decoding verification steps", figures->rounds_with_drafts);
    uint32_t places = 0;
    while (places < WEIR_DRAFTS_MAX && figures->made_at[places] > 0)
        places++;
    if (places > 0)
        put_head(out, name, "counter", "Accepted draft tokens by their place in the draft");
    for (uint32_t i = 0; i < places; i++)
        print(out, "%s{position=\"%u\"} %" PRIu64 "\n", name, i, figures->accepted_at[i]);
}

static void put_llama(struct printer out, const struct scheduler_figures *figures)
{
    put_count(out, "llamacpp:prompt_tokens_total", "Number of prompt tokens processed.",
              figures->prompt_tokens);
    put_seconds(out, "llamacpp:prompt_seconds_total", "Prompt process time", figures->prompt_ns);
    put_count(out, "llamacpp:tokens_predicted_total", "Number of generation tokens processed.",
              figures->tokens);
    put_seconds(out, "llamacpp:tokens_predicted_seconds_total", "Predict process time",
                figures->reply_ns);
    put_count(out, "llamacpp:n_decode_total", "Total number of llama_decode() calls",
              figures->steps);
    put_count(out, "llamacpp:n_tokens_max", "Largest observed n_tokens.", figures->tokens_max);
    put_drafts(out, figures);
    put_value(out, "llamacpp:prompt_tokens_seconds", "gauge",
              "Average prompt throughput in tokens/s.",
              ratio((double)figures->prompt_tokens, seconds(figures->prompt_ns)));
    put_value(out, "llamacpp:predicted_tokens_seconds", "gauge",
              "Average generation throughput in tokens/s.",
              ratio((double)figures->tokens, seconds(figures->reply_ns)));
    put_value(out, "llamacpp:requests_processing", "gauge", "Number of requests processing.",
              figures->running);
    put_value(out, "llamacpp:requests_deferred", "gauge", "Number of requests deferred.",
              figures->waiting);
    put_value(out, "llamacpp:n_busy_slots_per_decode", "gauge",
              "Average number of busy slots per llama_decode() call",
              ratio((double)figures->busy_slots, (double)figures->steps));
}

/* ---- weir's ---------------------------------------------------------------------------------- */

/* Returns their sum. */
static uint64_t put_classes(struct printer out, const char *name, const char *help,
                            const uint64_t bytes[WEIR_TRAFFIC_CLASSES])
{
    uint64_t sum = 0;
    put_head(out, name, "counter", help);
    for (int i = 0; i < WEIR_TRAFFIC_CLASSES; i++) {
        sum += bytes[i];
        print(out, "%s{class=\"%s\"} %" PRIu64 "\n", name,
              weir_traffic_class_name((enum weir_traffic_class)i), bytes[i]);
    }
    return sum;
}

static void put_bytes(struct printer out, const struct scheduler_figures *figures)
{
    const uint64_t sum =
        put_classes(out, "weir:touched_bytes_total",
                    "Bytes touched by steps, by class of what they belong to.", figures->bytes);
    put_classes(out, "weir:reply_touched_bytes_total",
                "Of them those of answers, without their prompts: the sum of their timings.",
                figures->reply_bytes);
    put_seconds(out, "weir:step_seconds_total", "Time of all steps.", figures->step_ns);
    put_value(out, "weir:bytes_per_token", "gauge",
              "Bytes touched by token, of prompts or generated.",
              ratio((double)sum, (double)(figures->prompt_tokens + figures->tokens)));
    put_value(out, "weir:achieved_bytes_per_second", "gauge",
              "Bytes touched by steps in the time they took.",
              ratio((double)sum, seconds(figures->step_ns)));
}

static void put_requests(struct printer out, const struct scheduler_figures *figures,
                         uint64_t refused)
{
    put_head(out, "weir:requests_total", "counter", "Answers that have ended, by how.");
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        print(out, "weir:requests_total{end=\"%s\"} %" PRIu64 "\n", ends[i], figures->jobs[i]);
    put_count(out, "weir:requests_refused_total", "Answers for which the queue was full.",
              figures->refused);
    put_count(out, "weir:connections_refused_total", "Connections beyond the limits of them.",
              refused);
    put_value(out, "weir:queue_depth", "gauge", "Answers that wait for a slot.", figures->waiting);
    put_value(out, "weir:kv_cache_usage_ratio", "gauge",
              "Share of the tokens that all slots can hold which they hold.",
              ratio((double)figures->held, (double)figures->room));
    put_histogram(out, "weir:time_to_first_token_seconds",
                  "From the arrival of a job to its first token.", &figures->first_token);
    put_histogram(out, "weir:inter_token_seconds", "Between two tokens of an answer.",
                  &figures->between_tokens);
}

static void put_cache(struct printer out, const struct scheduler_figures *figures)
{
    put_count(out, "weir:cached_prompt_tokens_total",
              "Tokens of prompts that were not evaluated again.", figures->cached_tokens);
    put_count(out, "weir:cache_lookups_total", "Prompts that were looked for in the prefix cache.",
              figures->cache.lookups);
    put_count(out, "weir:cache_hits_total", "Prompts of which it held a beginning.",
              figures->cache.hits);
    put_count(out, "weir:cache_hit_tokens_total", "Tokens that it held of them.",
              figures->cache.tokens_held);
    put_whole(out, "weir:cache_snapshots", "gauge", "Snapshots of it in memory.",
              figures->cache.snapshots);
    put_whole(out, "weir:cache_bytes", "gauge", "Their bytes.", figures->cache.bytes);
}

static void put_places(struct printer out, const struct scheduler_figures *figures)
{
    uint32_t places = 0;
    while (places < WEIR_DRAFTS_MAX && figures->made_at[places] > 0)
        places++;
    if (places > 0)
        put_head(out, "weir:draft_acceptance", "gauge",
                 "Drafts that were accepted, by their place, of those that were made.");
    for (uint32_t i = 0; i < places; i++)
        print(out, "weir:draft_acceptance{position=\"%u\"} %.6g\n", i,
              ratio((double)figures->accepted_at[i], (double)figures->made_at[i]));
}

void serve_metrics(struct server *server, struct http_exchange *exchange)
{
    struct bytes body = {0};
    struct scheduler_figures figures;
    const struct printer out = {bytes_sink, &body};
    char started[24];
    if (!server->options.metrics) {
        refuse(exchange, SHAPE_OPENAI,
               &(struct refusal){.error = API_NOT_SUPPORTED,
                                 .text = "This server does not support metrics endpoint. Start it "
                                         "with `--metrics`"});
        return;
    }
    scheduler_figures(server->scheduler, &figures);
    put_llama(out, &figures);
    put_bytes(out, &figures);
    put_requests(out, &figures, http_refused(server->http));
    put_cache(out, &figures);
    put_places(out, &figures);
    snprintf(started, sizeof started, "%" PRId64, server->started);
    http_add_header(exchange, "Process-Start-Time-Unix", started);
    http_reply(exchange, body.has_failed ? 500 : 200, "text/plain; version=0.0.4",
               body.has_failed ? "" : body.data, body.has_failed ? 0 : body.length);
    bytes_release(&body);
}
