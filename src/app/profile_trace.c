/* SPDX-License-Identifier: MIT
 * A profile for other programs to draw: its last run as trace events, a track for each thread, and
 * its median run as the folded stacks of a flame graph. weir-profile(1) describes both. Knows
 * nothing of the tables. */
#include <stdio.h>
#include <string.h>

#include "app/profile_report.h"
#include "app/profile_sums.h"
#include "base/mem.h"

enum { SUBJECT_MAX = 256 };

/* Processes are numbered 10000, 20000, ... and threads from the number of their process on: viewers
 * tell threads by their numbers alone, and 0 is none. An engine has at most 1024. */
enum { PROCESS_NUMBERS = 10000 };

/* What stands for a profile in other programs: one line, without the signs that folded stacks are
 * made of. */
static void name_subject(const struct profile_report *report, const struct profile_result *result,
                         char out[SUBJECT_MAX])
{
    struct weir_profile_info info;
    char sequences[32] = "";
    weir_profile_info(result->profile, &info);
    if (info.shape.sequences > 1)
        snprintf(sequences, sizeof sequences, "%u sequences of ", info.shape.sequences);
    snprintf(out, SUBJECT_MAX, "%s: %s, %s%u token%s behind %u, %u thread%s", report->model,
             profile_mode_name(result->mode), sequences, info.shape.rows,
             info.shape.rows == 1 ? "" : "s", info.shape.cached, info.threads,
             info.threads == 1 ? "" : "s");
}

struct layer_name {
    char text[PROFILE_LAYER_MAX];
};

/* What the layer of each op is called; free with mem_free. */
static struct layer_name *name_layers(const struct weir_profile *profile, uint32_t ops,
                                      struct weir_error *err)
{
    struct layer_name *layers = mem_alloc(ops, sizeof *layers, err);
    for (uint32_t i = 0; layers != NULL && i < ops; i++)
        profile_layer_name(profile, i, layers[i].text, sizeof layers[i].text);
    return layers;
}

/* ---- trace ----------------------------------------------------------------------------------- */

/* One thread in one step. */
struct track {
    struct output *output;
    const struct weir_profile *profile;
    const struct layer_name *layers;
    uint64_t process;
    uint32_t step, thread;
};

static void trace_begin(struct profile_report *report)
{
    output_print(report->output, "{\"displayTimeUnit\": \"ns\",\n\"otherData\": {\"model\": ");
    output_json_text(report->output, report->model);
    output_print(report->output, "},\n\"traceEvents\": [\n");
}

/* What describes a process or a thread stands before its slices; up to the value. */
static void put_about(struct output *output, const char *what, uint64_t process, uint32_t thread,
                      const char *field)
{
    output_print(output, "{\"name\": \"%s\", \"ph\": \"M\", \"pid\": %llu, \"tid\": %llu, ", what,
                 (unsigned long long)process, (unsigned long long)process + thread);
    output_print(output, "\"args\": {\"%s\": ", field);
}

static void put_process(struct output *output, uint64_t process, const char *subject)
{
    put_about(output, "process_name", process, 0, "name");
    output_json_text(output, subject);
    output_print(output, "}},\n");
    put_about(output, "process_sort_index", process, 0, "sort_index");
    output_print(output, "%llu}}", (unsigned long long)process);
}

static void put_thread(struct output *output, uint64_t process, uint32_t thread)
{
    output_print(output, ",\n");
    put_about(output, "thread_name", process, thread, "name");
    output_print(output, "\"thread %u\"}},\n", thread);
    put_about(output, "thread_sort_index", process, thread, "sort_index");
    output_print(output, "%u}}", thread);
}

/* In microseconds. Viewers add begin and length as floats, and take a slice for a part of the one
 * before if that sum is beyond its begin by a rounding. So a length is a picosecond short; who
 * rounds to nanoseconds, as Perfetto does, finds it whole. */
static void put_times(struct output *output, uint64_t begin, uint64_t end)
{
    const uint64_t ps = (end - begin) * 1000 - (end > begin);
    output_print(output, ", \"ts\": %llu.%03u, \"dur\": %llu.%06u",
                 (unsigned long long)(begin / 1000), (unsigned)(begin % 1000),
                 (unsigned long long)(ps / 1000000), (unsigned)(ps % 1000000));
}

/* Behind the name of a slice; its args stay open. */
static void put_slice(const struct track *track, const char *category, uint64_t begin, uint64_t end)
{
    output_print(track->output, "\", \"cat\": \"%s\", \"ph\": \"X\", \"pid\": %llu, \"tid\": %llu",
                 category, (unsigned long long)track->process,
                 (unsigned long long)track->process + track->thread);
    put_times(track->output, begin, end);
    output_print(track->output, ", \"args\": {\"step\": %u", track->step);
}

static void put_op(const struct track *track, uint32_t number, const struct weir_profile_span *span)
{
    struct weir_profile_op op;
    weir_profile_op(track->profile, number, &op);
    output_print(track->output, ",\n{\"name\": \"%s %s", op.kind, op.role);
    put_slice(track, "op", span->begin, span->end);
    output_print(track->output, ", \"layer\": \"%s\", \"role\": \"%s\"", track->layers[number].text,
                 op.role);
    output_print(track->output, ", \"read_bytes\": %llu, \"write_bytes\": %llu}}",
                 (unsigned long long)span->read, (unsigned long long)span->written);
}

static void put_wait(const struct track *track, const char *name, uint64_t begin, uint64_t end)
{
    if (begin == end)
        return;
    output_print(track->output, ",\n{\"name\": \"%s", name);
    put_slice(track, "wait", begin, end);
    output_print(track->output, "}}");
}

/* Slices follow each other without a gap, from the start of the step to its end. */
static void put_track(const struct track *track, uint32_t ops)
{
    struct weir_profile_span step, span;
    weir_profile_step_span(track->profile, track->step, &step);
    uint64_t now = step.begin;
    for (uint32_t i = 0; i < ops; i++) {
        weir_profile_op_span(track->profile, track->step, track->thread, i, &span);
        put_wait(track, i == 0 ? "wake" : "wait", now, span.begin);
        put_op(track, i, &span);
        now = span.end;
    }
    put_wait(track, "wait", now, step.end);
}

static enum weir_status trace_put(struct profile_report *report,
                                  const struct profile_result *result, struct weir_error *err)
{
    struct track track = {.output = report->output,
                          .profile = result->profile,
                          .process = ((uint64_t)report->results + 1) * PROCESS_NUMBERS};
    char subject[SUBJECT_MAX];
    struct weir_profile_info info;
    weir_profile_info(result->profile, &info);
    struct layer_name *layers = name_layers(result->profile, info.ops, err);
    if (layers == NULL)
        return WEIR_ERR_MEMORY;
    track.layers = layers;
    output_print(report->output, "%s", report->results == 0 ? "" : ",\n");
    name_subject(report, result, subject);
    put_process(report->output, track.process, subject);
    for (track.thread = 0; track.thread < info.threads; track.thread++) {
        put_thread(report->output, track.process, track.thread);
        for (track.step = 0; track.step < info.span_steps; track.step++)
            put_track(&track, info.ops);
    }
    mem_free(layers);
    return WEIR_OK;
}

static void trace_end(struct profile_report *report)
{
    output_print(report->output, "\n]}\n");
}

const struct profile_writer profile_trace = {trace_begin, trace_put, trace_end};

/* ---- folded stacks --------------------------------------------------------------------------- */

static bool is_same_stack(const struct weir_profile *profile, const struct layer_name *layers,
                          uint32_t left, uint32_t right)
{
    struct weir_profile_op a, b;
    weir_profile_op(profile, left, &a);
    weir_profile_op(profile, right, &b);
    return strcmp(layers[left].text, layers[right].text) == 0 && strcmp(a.kind, b.kind) == 0 &&
           strcmp(a.role, b.role) == 0;
}

/* All ops of the stack of op `first` together, in *sum; false if an earlier op has that stack. */
static bool sum_stack(const struct weir_profile *profile, const struct layer_name *layers,
                      uint32_t ops, uint32_t first, struct weir_profile_op *sum)
{
    weir_profile_op(profile, first, sum);
    for (uint32_t i = 0; i < ops; i++) {
        struct weir_profile_op op;
        if (i == first || !is_same_stack(profile, layers, i, first))
            continue;
        if (i < first)
            return false;
        weir_profile_op(profile, i, &op);
        sum->ns += op.ns;
        sum->gap_ns += op.gap_ns;
    }
    return true;
}

/* What took no time has no line. */
static void put_stack(struct output *output, const char *subject, const char *layer,
                      const struct weir_profile_op *sum)
{
    const struct {
        const char *frame;
        uint64_t ns;
    } parts[] = {{"", sum->ns - sum->gap_ns}, {";wait", sum->gap_ns}};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i].ns > 0)
            output_print(output, "%s;%s;%s %s%s %llu\n", subject, layer, sum->kind, sum->role,
                         parts[i].frame, (unsigned long long)parts[i].ns);
    }
}

static enum weir_status folded_put(struct profile_report *report,
                                   const struct profile_result *result, struct weir_error *err)
{
    char subject[SUBJECT_MAX];
    struct weir_profile_info info;
    weir_profile_info(result->profile, &info);
    struct layer_name *layers = name_layers(result->profile, info.ops, err);
    if (layers == NULL)
        return WEIR_ERR_MEMORY;
    name_subject(report, result, subject);
    for (uint32_t i = 0; i < info.ops; i++) {
        struct weir_profile_op sum;
        if (sum_stack(result->profile, layers, info.ops, i, &sum))
            put_stack(report->output, subject, layers[i].text, &sum);
    }
    mem_free(layers);
    return WEIR_OK;
}

const struct profile_writer profile_folded = {.put = folded_put};
