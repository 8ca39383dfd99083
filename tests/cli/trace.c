/* SPDX-License-Identifier: MIT
 * What weir profile writes for other programs to draw: traces event by event against the spans of
 * their profile, folded stacks against its times, and both as the program prints them. No time is
 * judged by its length. Run alone: build/tests/weir-test tracing_ */
#include "cli/program.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/profile_report.h"
#include "cli/json.h"
#include "golden/fixture.h"

#define MODEL test_data("golden/nanomoe-f32.gguf")

enum { THREADS = 3, PROFILES = 3, STEP_ROWS = 64, RUNS = 3 };

/* A token, a prompt in three steps, a token and its drafts. */
static const struct profiled {
    struct weir_profile_shape shape;
    enum profile_mode mode;
    const char *subject;
} profiled[PROFILES] = {
    {{.cached = 100, .rows = 1, .logits = WEIR_LOGITS_LAST},
     PROFILE_DECODE,
     "m: decode, 1 token behind 100, 3 threads"},
    {{.cached = 30, .rows = 150, .logits = WEIR_LOGITS_LAST},
     PROFILE_PREFILL,
     "m: prefill, 150 tokens behind 30, 3 threads"},
    {{.cached = 0, .rows = 5, .logits = WEIR_LOGITS_ALL},
     PROFILE_VERIFY,
     "m: verify, 5 tokens behind 0, 3 threads"},
};

/* The profiles, run, and what a writer makes of them. */
struct drawing {
    struct weir_profile *profiles[PROFILES];
    char *text;
};

static void run_profile(struct weir_profile **out, const struct fixture *fixture,
                        const struct weir_profile_shape *shape, const int32_t *tokens)
{
    struct weir_error err = {0};
    CHECK_OK(weir_profile_open_engine(out, fixture->engine, shape, RUNS, &err), &err);
    for (int run = 0; run < RUNS; run++) {
        weir_session_reset(fixture->session);
        if (shape->cached > 0)
            CHECK_OK(
                weir_session_eval(fixture->session, tokens, shape->cached, WEIR_LOGITS_NONE, &err),
                &err);
        CHECK_OK(weir_profile_run(*out, fixture->session, tokens + shape->cached, &err), &err);
    }
}

static char *write_all(struct weir_profile *const *profiles, const struct profile_writer *writer)
{
    const char *path = test_scratch("drawing");
    struct output output;
    struct profile_report report = {.output = &output, .model = "m"};
    struct weir_error err = {0};
    size_t size;
    CHECK_OK(output_open(&output, path, &err), &err);
    if (writer->begin != NULL)
        writer->begin(&report);
    for (int i = 0; i < PROFILES; i++, report.results++) {
        const struct profile_result result = {.profile = profiles[i], .mode = profiled[i].mode};
        CHECK_OK(writer->put(&report, &result, &err), &err);
    }
    if (writer->end != NULL)
        writer->end(&report);
    CHECK_OK(output_finish(&output, &err), &err);
    return (char *)test_read_file(path, &size);
}

static void draw(struct drawing *drawing, const struct profile_writer *writer)
{
    struct weir_engine_options options;
    struct fixture fixture;
    uint32_t count;
    int32_t *tokens = fixture_tokens(test_data("golden/tokens300.txt"), &count);
    fixture_options(&options);
    options.threads = THREADS;
    options.step_rows_max = STEP_ROWS;
    fixture_open(&fixture, MODEL, &options);
    for (int i = 0; i < PROFILES; i++)
        run_profile(&drawing->profiles[i], &fixture, &profiled[i].shape, tokens);
    fixture_close(&fixture);
    free(tokens);
    drawing->text = write_all(drawing->profiles, writer);
}

static void drawing_close(struct drawing *drawing)
{
    for (int i = 0; i < PROFILES; i++)
        weir_profile_close(drawing->profiles[i]);
    free(drawing->text);
}

/* "L03 fa", as the layer of an op may be called. */
static void check_layer(const char *name, const struct weir_profile *profile, uint32_t number)
{
    char expected[16];
    struct weir_profile_op op;
    weir_profile_op(profile, number, &op);
    snprintf(expected, sizeof expected, "L%02d ", op.layer);
    if (op.layer < 0)
        CHECK_TEXT(name, number == 0 ? "embedding" : "head");
    else
        CHECK(strncmp(name, expected, 4) == 0 &&
              (strcmp(name + 4, "la") == 0 || strcmp(name + 4, "fa") == 0));
}

/* ---- json ------------------------------------------------------------------------------------ */

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    if (text == NULL)
        test_fail(__FILE__, __LINE__, "no text %s", name);
    return text;
}

static uint64_t number_of(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    CHECK(json_is_integer(value) && json_integer_value(value) >= 0);
    return (uint64_t)json_integer_value(value);
}

/* From microseconds. */
static uint64_t ns_of(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    CHECK(json_is_real(value) && json_real_value(value) >= 0);
    return (uint64_t)llround(json_real_value(value) * 1000);
}

/* ---- traces ---------------------------------------------------------------------------------- */

/* The events of a trace, read one behind the other. */
struct reader {
    const json_t *events;
    size_t next;
    double end; /* of the last slice, as viewers add it up, in microseconds */
};

static const json_t *read_event(struct reader *reader)
{
    const json_t *event = json_array_get(reader->events, reader->next++);
    CHECK(event != NULL);
    return event;
}

static const json_t *read_about(struct reader *reader, const char *name, uint64_t process,
                                uint64_t thread)
{
    const json_t *event = read_event(reader);
    json_check_keys(event, "name ph pid tid args");
    CHECK_TEXT(text_of(event, "name"), name);
    CHECK_TEXT(text_of(event, "ph"), "M");
    CHECK_INT(number_of(event, "pid"), process);
    CHECK_INT(number_of(event, "tid"), thread);
    return json_object_get(event, "args");
}

/* A slice that begins at *now, which it moves to its end. */
static const json_t *read_slice(struct reader *reader, const char *category, uint64_t process,
                                uint64_t thread, uint64_t *now)
{
    const json_t *event = read_event(reader);
    json_check_keys(event, "name cat ph pid tid ts dur args");
    CHECK_TEXT(text_of(event, "cat"), category);
    CHECK_TEXT(text_of(event, "ph"), "X");
    CHECK_INT(number_of(event, "pid"), process);
    CHECK_INT(number_of(event, "tid"), thread);
    CHECK_INT(ns_of(event, "ts"), *now);
    const double begin = json_real_value(json_object_get(event, "ts"));
    CHECK(begin >= reader->end);
    reader->end = begin + json_real_value(json_object_get(event, "dur"));
    *now += ns_of(event, "dur");
    return event;
}

static void read_wait(struct reader *reader, const char *name, uint64_t process, uint64_t thread,
                      uint32_t step, uint64_t *now, uint64_t end)
{
    if (*now == end)
        return;
    const json_t *event = read_slice(reader, "wait", process, thread, now);
    const json_t *args = json_object_get(event, "args");
    json_check_keys(args, "step");
    CHECK_TEXT(text_of(event, "name"), name);
    CHECK_INT(number_of(args, "step"), step);
    CHECK_INT(*now, end);
}

static void check_op(const json_t *event, const struct weir_profile *profile, uint32_t number,
                     uint32_t step, const struct weir_profile_span *span)
{
    const json_t *args = json_object_get(event, "args");
    struct weir_profile_op op;
    char name[64];
    weir_profile_op(profile, number, &op);
    snprintf(name, sizeof name, "%s %s", op.kind, op.role);
    CHECK_TEXT(text_of(event, "name"), name);
    json_check_keys(args, "step layer role read_bytes write_bytes");
    check_layer(text_of(args, "layer"), profile, number);
    CHECK_TEXT(text_of(args, "role"), op.role);
    CHECK_INT(number_of(args, "step"), step);
    CHECK_INT(number_of(args, "read_bytes"), span->read);
    CHECK_INT(number_of(args, "write_bytes"), span->written);
}

/* The slices of a thread fill a step from its begin to its end. */
static void check_track(struct reader *reader, const struct weir_profile *profile, uint64_t process,
                        uint32_t thread, uint32_t step)
{
    struct weir_profile_info info;
    struct weir_profile_span whole, span;
    weir_profile_info(profile, &info);
    weir_profile_step_span(profile, step, &whole);
    uint64_t now = whole.begin;
    reader->end = step == 0 ? 0 : reader->end;
    for (uint32_t i = 0; i < info.ops; i++) {
        weir_profile_op_span(profile, step, thread, i, &span);
        read_wait(reader, i == 0 ? "wake" : "wait", process, process + thread, step, &now,
                  span.begin);
        check_op(read_slice(reader, "op", process, process + thread, &now), profile, i, step,
                 &span);
        CHECK_INT(now, span.end);
    }
    read_wait(reader, "wait", process, process + thread, step, &now, whole.end);
}

static void check_process(struct reader *reader, const struct weir_profile *profile,
                          uint64_t process, const char *subject)
{
    struct weir_profile_info info;
    weir_profile_info(profile, &info);
    CHECK_INT(info.span_steps, info.steps);
    const json_t *args = read_about(reader, "process_name", process, process);
    json_check_keys(args, "name");
    CHECK_TEXT(text_of(args, "name"), subject);
    args = read_about(reader, "process_sort_index", process, process);
    json_check_keys(args, "sort_index");
    CHECK_INT(number_of(args, "sort_index"), process);
    for (uint32_t thread = 0; thread < THREADS; thread++) {
        char name[16];
        snprintf(name, sizeof name, "thread %u", thread);
        args = read_about(reader, "thread_name", process, process + thread);
        CHECK_TEXT(text_of(args, "name"), name);
        args = read_about(reader, "thread_sort_index", process, process + thread);
        CHECK_INT(number_of(args, "sort_index"), thread);
        for (uint32_t step = 0; step < info.steps; step++)
            check_track(reader, profile, process, thread, step);
    }
}

TEST(tracing_slices_are_the_spans_of_the_last_run)
{
    struct drawing drawing;
    draw(&drawing, &profile_trace);
    json_t *root = json_of(drawing.text);
    struct reader reader = {.events = json_object_get(root, "traceEvents")};
    json_check_keys(root, "displayTimeUnit otherData traceEvents");
    CHECK_TEXT(text_of(root, "displayTimeUnit"), "ns");
    CHECK_TEXT(text_of(json_object_get(root, "otherData"), "model"), "m");
    for (int i = 0; i < PROFILES; i++)
        check_process(&reader, drawing.profiles[i], 10000 * ((uint64_t)i + 1), profiled[i].subject);
    CHECK_INT(reader.next, json_array_size(reader.events));
    json_decref(root);
    drawing_close(&drawing);
}

/* ---- folded stacks --------------------------------------------------------------------------- */

/* A line "SUBJECT;LAYER;KIND ROLE[;wait] NS", cut at its signs. */
struct stack {
    char *subject, *layer, *op;
    bool is_wait;
    uint64_t ns;
};

static char *cut(char *text, char sign)
{
    char *at = strchr(text, sign);
    CHECK(at != NULL);
    *at = 0;
    return at + 1;
}

static struct stack read_stack(char *line)
{
    struct stack stack = {.subject = line};
    char *number = strrchr(line, ' '), *end;
    CHECK(number != NULL);
    *number++ = 0;
    stack.ns = strtoull(number, &end, 10);
    CHECK(*end == 0 && stack.ns > 0);
    stack.layer = cut(stack.subject, ';');
    stack.op = cut(stack.layer, ';');
    char *wait = strchr(stack.op, ';');
    if (wait != NULL) {
        *wait = 0;
        CHECK_TEXT(wait + 1, "wait");
        stack.is_wait = true;
    }
    return stack;
}

/* What the ops of a stack took together, by their profile. */
static uint64_t stack_ns(const struct stack *stack, const struct weir_profile *profile)
{
    uint64_t ns = 0;
    struct weir_profile_info info;
    weir_profile_info(profile, &info);
    for (uint32_t i = 0; i < info.ops; i++) {
        struct weir_profile_op op;
        char name[64], layer[16];
        weir_profile_op(profile, i, &op);
        snprintf(name, sizeof name, "%s %s", op.kind, op.role);
        snprintf(layer, sizeof layer, "L%02d ", op.layer);
        if (op.layer < 0)
            snprintf(layer, sizeof layer, "%s", i == 0 ? "embedding" : "head");
        if (strcmp(name, stack->op) == 0 && strncmp(stack->layer, layer, strlen(layer)) == 0)
            ns += stack->is_wait ? op.gap_ns : op.ns - op.gap_ns;
    }
    return ns;
}

/* A line for each stack, so that the lines of a profile add up to the time of its median run. */
TEST(tracing_folded_stacks_add_up_to_the_step)
{
    struct drawing drawing;
    uint64_t ns[PROFILES] = {0}, waits[PROFILES] = {0};
    int place = 0;
    draw(&drawing, &profile_folded);
    for (char *line = drawing.text, *next; *line != 0; line = next) {
        next = cut(line, '\n');
        const struct stack stack = read_stack(line);
        while (strcmp(stack.subject, profiled[place].subject) != 0)
            CHECK(++place < PROFILES);
        CHECK_INT(stack.ns, stack_ns(&stack, drawing.profiles[place]));
        ns[place] += stack.ns;
        waits[place] += stack.is_wait;
    }
    for (int i = 0; i < PROFILES; i++) {
        struct weir_profile_info info;
        weir_profile_info(drawing.profiles[i], &info);
        CHECK_INT(ns[i], info.ns);
        CHECK(waits[i] > 0);
    }
    drawing_close(&drawing);
}

/* ---- the program ----------------------------------------------------------------------------- */

static const char *output_of(const struct program_call *call)
{
    const struct program_result *result = run_program(call);
    if (result->status != 0)
        test_fail(__FILE__, __LINE__, "status %d: %s", result->status, result->err);
    return result->out;
}

#define PROFILE(...) output_of(&(struct program_call){.words = {"profile", __VA_ARGS__}})

TEST(tracing_program_draws_each_context)
{
    static const char *const subjects[] = {": decode, 1 token behind 5, 2 threads",
                                           ": decode, 1 token behind 0, 2 threads"};
    json_t *root = json_of(PROFILE(MODEL, "-o", "trace", "--ctx", "5,0", "-t", "2", "-r", "2"));
    const json_t *events = json_object_get(root, "traceEvents");
    size_t processes = 0, slices = 0;
    for (size_t i = 0; i < json_array_size(events); i++) {
        const json_t *event = json_array_get(events, i);
        const json_t *category = json_object_get(event, "cat");
        slices += category != NULL && strcmp(json_string_value(category), "op") == 0;
        if (strcmp(text_of(event, "name"), "process_name") == 0) {
            CHECK(processes < 2);
            CHECK_HAS(text_of(json_object_get(event, "args"), "name"), subjects[processes++]);
        }
    }
    CHECK_INT(processes, 2);
    CHECK(slices > 0 && slices % 4 == 0);
    json_decref(root);
    const char *text = PROFILE(MODEL, "-o", "folded", "--ctx", "5,0", "-t", "2", "-r", "2");
    CHECK_HAS(text, "behind 5, 2 threads;embedding;EMBED embed ");
    CHECK_HAS(text, "behind 0, 2 threads;L03 fa;ATTEND ");
}

TEST(tracing_refuses_what_does_not_run)
{
    CHECK_REFUSED(RUN_PROGRAM("profile", "--size", "9B", "-o", "trace"),
                  "-o trace shows when ops ran, but with --size nothing runs");
    CHECK_REFUSED(RUN_PROGRAM("profile", "none.gguf", "--dry-run", "-o", "folded"),
                  "-o folded shows when ops ran, but with --dry-run nothing runs");
}
