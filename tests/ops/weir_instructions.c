/* SPDX-License-Identifier: MIT
 * weir-instructions: how many instructions each op of a step takes, one thread, as callgrind counts
 * them. Runs under callgrind alone (tools/instructions.sh).
 *
 * weir-instructions MODEL COUNTS MADE_BY PROFILE... reads what `weir profile MODEL --dry-run -o
 * json` has printed, evaluates its steps, and prints it again, with "instructions" in each op and
 * MADE_BY as "made_by". COUNTS is the file of callgrind's dumps, one behind another.
 *
 * A profile asks for the time when an op begins, or the one before it ends, and when it ends. Here
 * the linker puts the function below in the place of the clock, and hides that there is a cheaper
 * one: each call dumps what was counted since the last one, and says the number of the call, so
 * that the times of the profile tell which dump is whose. So the product is as it is, and what lies
 * between phases is left out. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <valgrind/callgrind.h>

#include "base/clock.h"
#include "base/rng.h"
#include "weir.h"

enum { EXIT_SKIP = 77 };

/* Calls of the clock since recording began; the function that is called knows no other way. */
static bool is_recording;
static uint64_t calls;
static char name[32]; /* of the next dump; ready before, since what follows one is counted */

uint64_t __real_clock_ns(void);
uint64_t __wrap_clock_ns(void);
bool __wrap_clock_has_ticks(void);

bool __wrap_clock_has_ticks(void)
{
    return false;
}

uint64_t __wrap_clock_ns(void)
{
    if (!is_recording)
        return __real_clock_ns();
    CALLGRIND_DUMP_STATS_AT(name);
    snprintf(name, sizeof name, "clock %" PRIu64, ++calls);
    CALLGRIND_ZERO_STATS;
    return calls;
}

static _Noreturn void fail(int status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void fail(int status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "weir-instructions: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    exit(status);
}

static void check(enum weir_status status, const struct weir_error *err)
{
    if (status != WEIR_OK)
        fail(1, "%s", err->text);
}

/* ---- steps ----------------------------------------------------------------------------------- */

static int64_t integer_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value))
        fail(1, "no \"%s\" in a step", key);
    return json_integer_value(value);
}

static struct weir_profile_shape shape_of(const json_t *step)
{
    const char *mode = json_string_value(json_object_get(step, "mode"));
    if (integer_of(step, "sequences") != 1)
        fail(1, "a step of several sequences");
    return (struct weir_profile_shape){
        .cached = (uint32_t)integer_of(step, "context"),
        .rows = (uint32_t)integer_of(step, "rows"),
        .logits = mode != NULL && strcmp(mode, "verify") == 0 ? WEIR_LOGITS_ALL : WEIR_LOGITS_LAST,
    };
}

/* The first run finds what is found once, as functions of shared libraries; the second counts. */
static void run_twice(struct weir_engine *engine, struct weir_session *session,
                      const struct weir_profile_shape *shape, struct weir_profile *profile)
{
    struct weir_error err = {0};
    const uint32_t count = shape->cached + shape->rows;
    int32_t *tokens = malloc(count * sizeof *tokens);
    if (tokens == NULL)
        fail(1, "out of memory");
    for (uint32_t i = 0; i < count; i++)
        tokens[i] = (int32_t)(rng_bits(1, 0, i) % weir_engine_vocab(engine));
    for (int run = 0; run < 2; run++) {
        weir_session_reset(session);
        if (shape->cached > 0)
            check(weir_session_eval(session, tokens, shape->cached, WEIR_LOGITS_NONE, &err), &err);
        if (run == 1)
            CALLGRIND_START_INSTRUMENTATION;
        snprintf(name, sizeof name, "clock %" PRIu64, calls);
        is_recording = run == 1;
        check(weir_profile_run(profile, session, tokens + shape->cached, &err), &err);
        is_recording = false;
    }
    CALLGRIND_STOP_INSTRUMENTATION;
    free(tokens);
}

/* The call of the clock that ends each op, the first of the evaluation being number `first`. The
 * step begins with the one behind that. An op must begin with the call before: else the dump is not
 * of the op alone. */
static void note_calls(const struct weir_profile *profile, uint64_t first, json_t *ops)
{
    struct weir_profile_span span;
    for (uint32_t i = 0; i < json_array_size(ops); i++) {
        weir_profile_op_span(profile, 0, 0, i, &span);
        if (span.end != span.begin + 1)
            fail(1, "%" PRIu64 " calls of the clock in op %u, expected 1", span.end - span.begin,
                 i);
        json_object_set_new(json_array_get(ops, i), "instructions",
                            json_integer((json_int_t)(first + 1 + span.end)));
    }
}

/* Evaluates a step; each op gets the number of its call of the clock in place of its counts. */
static void count_step(struct weir_engine *engine, struct weir_session *session, json_t *step)
{
    json_t *ops = json_object_get(step, "ops");
    struct weir_error err = {0};
    struct weir_profile *profile;
    struct weir_profile_info info;
    const struct weir_profile_shape shape = shape_of(step);
    const uint64_t first = calls;
    check(weir_profile_open_engine(&profile, engine, &shape, 2, &err), &err);
    weir_profile_info(profile, &info);
    run_twice(engine, session, &shape, profile);
    if (info.ops != json_array_size(ops) || info.steps != 1)
        fail(1, "the engine has %u ops and %u steps, not those of the file", info.ops, info.steps);
    note_calls(profile, first, ops);
    weir_profile_close(profile);
}

/* ---- counts ---------------------------------------------------------------------------------- */

/* Of the dump of each call of the clock, what was counted since the one before: lines "desc:
 * Trigger: Client Request: clock N" and "totals: N" of a part. */
static uint64_t *read_counts(const char *path)
{
    char line[1024];
    uint64_t *counts = calloc(calls + 1, sizeof *counts), number = 0, found = 0, total;
    bool is_ours = false;
    FILE *stream = fopen(path, "r");
    if (stream == NULL || counts == NULL)
        fail(1, "%s: %s", path, strerror(errno));
    while (fgets(line, sizeof line, stream) != NULL) {
        if (strncmp(line, "desc: Trigger:", 14) == 0)
            is_ours = sscanf(line, "desc: Trigger: Client Request: clock %" SCNu64, &number) == 1;
        if (!is_ours || sscanf(line, "totals: %" SCNu64, &total) != 1 || number >= calls)
            continue;
        counts[number] = total;
        is_ours = false;
        found++;
    }
    fclose(stream);
    if (found != calls)
        fail(1, "%s: %" PRIu64 " dumps, expected %" PRIu64, path, found, calls);
    return counts;
}

static void put_counts(json_t *step, const uint64_t *counts)
{
    size_t i;
    json_t *op;
    json_array_foreach(json_object_get(step, "ops"), i, op)
    {
        json_t *call = json_object_get(op, "instructions");
        json_integer_set(call, (json_int_t)counts[json_integer_value(call)]);
    }
}

/* ---- files ----------------------------------------------------------------------------------- */

static json_t *load(const char *path)
{
    json_error_t error;
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL)
        fail(1, "%s: line %d: %s", path, error.line, error.text);
    return root;
}

/* All steps in the first file. */
static json_t *load_all(char **paths, int count)
{
    json_t *root = load(paths[0]);
    for (int i = 1; i < count; i++) {
        json_t *other = load(paths[i]);
        json_array_extend(json_object_get(root, "steps"), json_object_get(other, "steps"));
        json_decref(other);
    }
    return root;
}

/* An op a line. */
static void print(const json_t *root)
{
    char *text = json_dumps(root, 0);
    if (text == NULL)
        fail(1, "out of memory");
    for (const char *c = text; *c != 0; c++)
        putchar(*c == ' ' && c > text + 1 && (c[1] == '{' || c[1] == '[') ? '\n' : *c);
    putchar('\n');
    free(text);
    if (fflush(stdout) != 0 || ferror(stdout))
        fail(1, "cannot write: %s", strerror(errno));
}

static struct weir_engine *open_engine(struct weir_model *model)
{
    struct weir_error err = {0};
    struct weir_engine_options options;
    struct weir_engine *engine;
    weir_engine_options_init(&options);
    options.context = 512;
    options.threads = 1;
    options.isa = "v3";
    check(weir_engine_open(&engine, model, &options, &err), &err);
    if (strcmp(weir_engine_isa(engine), "v3") != 0)
        fail(EXIT_SKIP, "this processor has no AVX2 under callgrind, which the level v3 takes");
    return engine;
}

int main(int argc, char **argv)
{
    struct weir_error err = {0};
    struct weir_model *model;
    struct weir_session *session;
    if (argc < 5 || RUNNING_ON_VALGRIND == 0)
        fail(1, "usage: tools/instructions.sh");
    json_t *root = load_all(argv + 4, argc - 4), *steps = json_object_get(root, "steps");
    check(weir_model_open(&model, argv[1], NULL, &err), &err);
    struct weir_engine *engine = open_engine(model);
    check(weir_session_open(&session, engine, &err), &err);
    for (size_t i = 0; i < json_array_size(steps); i++)
        count_step(engine, session, json_array_get(steps, i));
    uint64_t *counts = read_counts(argv[2]);
    for (size_t i = 0; i < json_array_size(steps); i++)
        put_counts(json_array_get(steps, i), counts);
    json_object_set_new(root, "made_by", json_string(argv[3]));
    print(root);
    free(counts);
    weir_session_close(session);
    weir_engine_close(engine);
    weir_model_close(model);
    json_decref(root);
    return 0;
}
