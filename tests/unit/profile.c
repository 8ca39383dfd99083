/* SPDX-License-Identifier: MIT
 * Tests of profiles: bytes against the sums of an evaluation and of the model specification, times
 * against each other, models that are only a header. No time is judged by its length.
 * Run alone: build/tests/weir-test profile_ */
#include "golden/fixture.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "run/blueprint.h"
#include "run/profile.h"

#define NANO    "golden/nano-f32.gguf"
#define NANOMOE "golden/nanomoe-f32.gguf"

static const char *const backends[] = {"ref", "cpu"};
static const char *const models[] = {NANO, NANOMOE};
enum { BACKENDS = 2, MODELS = 2 };

static struct weir_profile_op op_of(const struct weir_profile *profile, uint32_t i)
{
    struct weir_profile_op op;
    weir_profile_op(profile, i, &op);
    return op;
}

static struct weir_profile_info info_of(const struct weir_profile *profile)
{
    struct weir_profile_info info;
    weir_profile_info(profile, &info);
    return info;
}

static struct weir_traffic sum_of(const struct weir_profile *profile)
{
    struct weir_traffic sum = {{0}, {0}};
    for (uint32_t i = 0; i < info_of(profile).ops; i++) {
        const struct weir_profile_op op = op_of(profile, i);
        for (int class = 0; class < WEIR_TRAFFIC_CLASSES; class ++) {
            sum.read[class] += op.traffic.read[class];
            sum.written[class] += op.traffic.written[class];
        }
    }
    return sum;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static const struct weir_profile_shape shapes[] = {
    {0, 1, WEIR_LOGITS_LAST, 0},  {100, 1, WEIR_LOGITS_LAST, 1},  {33, 5, WEIR_LOGITS_ALL, 1},
    {7, 40, WEIR_LOGITS_NONE, 1}, {30, 150, WEIR_LOGITS_LAST, 0}, /* in three steps */
};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

/* Decodes, verifications and prompts of several sequences: one step each. */
static const struct weir_profile_shape joint_shapes[] = {
    {50, 1, WEIR_LOGITS_LAST, 3}, {12, 5, WEIR_LOGITS_ALL, 2},   {9, 2, WEIR_LOGITS_ALL, 3},
    {0, 21, WEIR_LOGITS_LAST, 3}, {33, 20, WEIR_LOGITS_NONE, 2}, {5, 18, WEIR_LOGITS_LAST, 1},
};
enum { JOINT_SHAPES = sizeof joint_shapes / sizeof joint_shapes[0], SEQUENCES_MAX = 3 };

static void joint_options(struct weir_engine_options *options)
{
    fixture_options(options);
    options->sessions_max = SEQUENCES_MAX;
    options->step_rows_max = 64;
}

TEST(profile_sums_are_those_of_the_evaluation)
{
    for (int i = 0; i < MODELS * SHAPES; i++) {
        const struct weir_profile_shape *shape = &shapes[i / MODELS];
        struct weir_engine_options options;
        struct fixture fixture;
        struct weir_error err = {0};
        struct weir_traffic expected = {{0}, {0}};
        struct weir_profile *profile;
        fixture_options(&options);
        options.step_rows_max = 64;
        fixture_open(&fixture, test_data(models[i % MODELS]), &options);
        CHECK_OK(weir_profile_open_engine(&profile, fixture.engine, shape, 1, &err), &err);
        CHECK_OK(weir_engine_traffic(fixture.engine, shape->cached, shape->rows, shape->logits,
                                     &expected, &err),
                 &err);
        const struct weir_traffic sum = sum_of(profile);
        CHECK(memcmp(&sum, &expected, sizeof sum) == 0);
        CHECK_INT(info_of(profile).steps, shape->rows > 64 ? 3 : 1);
        CHECK_INT(info_of(profile).runs, 0);
        weir_profile_close(profile);
        fixture_close(&fixture);
    }
}

/* What the ops of one step touch, its sequences in the places from the last to the first. */
static struct weir_traffic traffic_of_step(const struct blueprint *blueprint,
                                           const struct weir_profile_shape *shape)
{
    struct weir_traffic sum = {{0}, {0}};
    struct traffic touched = {0};
    struct step_seq seq[SEQUENCES_MAX];
    struct step step = {.seq = seq, .seqs = shape->sequences};
    for (uint32_t i = 0; i < shape->sequences; i++) {
        seq[i] = (struct step_seq){.slot = SEQUENCES_MAX - 1 - i,
                                   .cached = shape->cached,
                                   .row_first = step.rows,
                                   .rows = shape->rows};
        step.rows += shape->rows;
        step.outs += shape->logits == WEIR_LOGITS_ALL    ? shape->rows
                     : shape->logits == WEIR_LOGITS_LAST ? 1
                                                         : 0;
    }
    for (uint32_t i = 0; i < blueprint->plan->op_count; i++)
        op_traffic(blueprint->plan, &blueprint->plan->ops[i], &step, &blueprint->limits, &touched);
    for (int class = 0; class < WEIR_TRAFFIC_CLASSES; class ++) {
        sum.read[class] = touched.read[class];
        sum.written[class] = touched.written[class];
    }
    return sum;
}

static struct weir_traffic dry_sum(const struct weir_model *model,
                                   const struct weir_engine_options *options,
                                   const struct weir_profile_shape *shape)
{
    struct weir_profile *profile;
    struct weir_error err = {0};
    CHECK_OK(weir_profile_open(&profile, model, options, shape, &err), &err);
    CHECK_INT(info_of(profile).shape.sequences, shape->sequences);
    CHECK_INT(info_of(profile).steps, 1);
    const struct weir_traffic sum = sum_of(profile);
    weir_profile_close(profile);
    return sum;
}

/* Fused and unfused, each of both rewrites. */
TEST(profile_sums_of_sequences_are_those_of_their_step)
{
    for (int i = 0; i < MODELS * 4; i++) {
        struct weir_engine_options options;
        struct weir_model *model;
        struct blueprint blueprint;
        struct weir_error err = {0};
        joint_options(&options);
        options.fuse = i & 1 ? WEIR_ON : WEIR_OFF;
        options.fused_gdn = i & 2 ? WEIR_ON : WEIR_OFF;
        CHECK_OK(weir_model_open(&model, test_data(models[i / 4]), NULL, &err), &err);
        CHECK_OK(blueprint_open(&blueprint, model, &options, &err), &err);
        for (int k = 0; k < JOINT_SHAPES; k++) {
            const struct weir_traffic sum = dry_sum(model, &options, &joint_shapes[k]);
            const struct weir_traffic expected = traffic_of_step(&blueprint, &joint_shapes[k]);
            CHECK(memcmp(&sum, &expected, sizeof sum) == 0);
        }
        blueprint_close(&blueprint);
        weir_model_close(model);
    }
}

/* Of several sequences caches and states are touched by each, weights once: as often as by one
 * sequence that has the rows of all. */
TEST(profile_of_sequences_has_weights_once_and_each_state)
{
    static const enum weir_traffic_class own[] = {WEIR_TRAFFIC_KV, WEIR_TRAFFIC_STATE,
                                                  WEIR_TRAFFIC_CONV};
    for (int i = 0; i < MODELS * JOINT_SHAPES; i++) {
        const struct weir_profile_shape *shape = &joint_shapes[i / MODELS];
        struct weir_profile_shape single = *shape, long_one = *shape;
        struct weir_engine_options options;
        struct weir_model *model;
        struct weir_error err = {0};
        joint_options(&options);
        CHECK_OK(weir_model_open(&model, test_data(models[i % MODELS]), NULL, &err), &err);
        single.sequences = long_one.sequences = 1;
        long_one.rows *= shape->sequences;
        const struct weir_traffic all = dry_sum(model, &options, shape);
        const struct weir_traffic one = dry_sum(model, &options, &single);
        const struct weir_traffic rows = dry_sum(model, &options, &long_one);
        for (size_t k = 0; k < sizeof own / sizeof own[0]; k++) {
            CHECK_INT(all.read[own[k]], shape->sequences * one.read[own[k]]);
            CHECK_INT(all.written[own[k]], shape->sequences * one.written[own[k]]);
        }
        CHECK_INT(all.read[WEIR_TRAFFIC_EMBEDDING], rows.read[WEIR_TRAFFIC_EMBEDDING]);
        /* The last layer may have the rows of the logits alone, and so fewer experts. */
        if (shape->logits != WEIR_LOGITS_LAST || i % MODELS == 0)
            CHECK_INT(all.read[WEIR_TRAFFIC_WEIGHTS], rows.read[WEIR_TRAFFIC_WEIGHTS]);
        CHECK_INT(all.written[WEIR_TRAFFIC_LOGITS],
                  shape->sequences * one.written[WEIR_TRAFFIC_LOGITS]);
        weir_model_close(model);
    }
}

/* Ops of the head have rows in the last step alone. */
TEST(profile_counts_the_steps_in_which_an_op_has_rows)
{
    struct weir_engine_options options;
    struct weir_profile *profile;
    struct weir_model *model;
    struct weir_error err = {0};
    fixture_options(&options);
    options.step_rows_max = 64;
    CHECK_OK(weir_model_open(&model, test_data(NANO), NULL, &err), &err);
    CHECK_OK(weir_profile_open(&profile, model, &options, &shapes[4], &err), &err);
    const uint32_t ops = info_of(profile).ops;
    CHECK_INT(op_of(profile, 0).calls, 3);
    CHECK_INT(op_of(profile, 0).layer, -1);
    CHECK_TEXT(op_of(profile, 0).kind, "EMBED");
    CHECK_INT(op_of(profile, 1).layer, 0);
    CHECK_INT(op_of(profile, ops - 1).calls, 1);
    CHECK_INT(op_of(profile, ops - 1).layer, -1);
    weir_profile_close(profile);
    weir_model_close(model);
}

static void check_same_bytes(const struct weir_profile *a, const struct weir_profile *b)
{
    CHECK_INT(info_of(a).ops, info_of(b).ops);
    CHECK_INT(info_of(a).steps, info_of(b).steps);
    for (uint32_t i = 0; i < info_of(a).ops; i++) {
        const struct weir_profile_op left = op_of(a, i), right = op_of(b, i);
        CHECK_TEXT(left.kind, right.kind);
        CHECK_TEXT(left.role, right.role);
        CHECK_INT(left.layer, right.layer);
        CHECK_INT(left.calls, right.calls);
        CHECK_INT(left.operand_bytes, right.operand_bytes);
        CHECK(memcmp(&left.traffic, &right.traffic, sizeof left.traffic) == 0);
    }
}

/* Whatever the room that the engine has. */
TEST(profile_without_an_engine_has_the_same_bytes)
{
    for (int i = 0; i < MODELS * SHAPES; i++) {
        struct weir_engine_options options;
        struct fixture fixture;
        struct weir_error err = {0};
        struct weir_profile *loaded, *dry;
        fixture_options(&options);
        options.step_rows_max = 64;
        options.fuse = i % 2 == 0 ? WEIR_ON : WEIR_OFF;
        fixture_open(&fixture, test_data(models[i % MODELS]), &options);
        CHECK_OK(weir_profile_open_engine(&loaded, fixture.engine, &shapes[i / MODELS], 1, &err),
                 &err);
        options.context = 400;
        CHECK_OK(weir_profile_open(&dry, fixture.model, &options, &shapes[i / MODELS], &err), &err);
        check_same_bytes(loaded, dry);
        CHECK_INT(info_of(dry).threads, 0);
        weir_profile_close(dry);
        weir_profile_close(loaded);
        fixture_close(&fixture);
    }
}

/* ---- times ----------------------------------------------------------------------------------- */

/* Clocks that nobody filled in would make times wrap around. */
static void check_times(const struct weir_profile *profile, uint32_t runs)
{
    const struct weir_profile_info info = info_of(profile);
    uint64_t ns = 0, wait_ns = 0;
    CHECK_INT(info.runs, runs);
    CHECK(info.eval_ns >= info.ns_min);
    CHECK(info.ns_min <= info.ns_low && info.ns_low <= info.ns && info.ns > 0);
    CHECK(info.ns <= info.ns_high && info.ns_high <= info.ns_max);
    for (uint32_t i = 0; i < info.ops; i++) {
        const struct weir_profile_op op = op_of(profile, i);
        CHECK(op.ns <= info.ns);
        CHECK(op.ns_low <= op.ns_high && op.ns_high <= info.ns_max);
        CHECK(runs >= 6 || (op.ns_low <= op.ns && op.ns <= op.ns_high)); /* else the whole range */
        CHECK(op.gap_ns <= op.ns);
        CHECK(op.wait_ns <= info.ns * info.threads);
        ns += op.ns;
        wait_ns += op.wait_ns;
    }
    CHECK_INT(ns, info.ns);
    CHECK(wait_ns < info.ns * info.threads);
}

/* An engine of three threads with a session for each sequence. */
struct joint {
    struct fixture fixture;
    struct weir_session *sessions[SEQUENCES_MAX];
    struct weir_step_item items[SEQUENCES_MAX];
    int32_t *tokens;
};

static void joint_open(struct joint *joint, const char *model, const char *backend)
{
    struct weir_engine_options options;
    struct weir_error err = {0};
    uint32_t count;
    joint_options(&options);
    options.backend = backend;
    options.threads = 3;
    fixture_open(&joint->fixture, test_data(model), &options);
    joint->tokens = fixture_tokens(test_data("golden/tokens300.txt"), &count);
    joint->sessions[0] = joint->fixture.session;
    for (int i = 1; i < SEQUENCES_MAX; i++)
        CHECK_OK(weir_session_open(&joint->sessions[i], joint->fixture.engine, &err), &err);
}

static void joint_close(struct joint *joint)
{
    for (int i = 1; i < SEQUENCES_MAX; i++)
        weir_session_close(joint->sessions[i]);
    fixture_close(&joint->fixture);
    free(joint->tokens);
}

/* Each session to the shape's tokens, and an item for it. */
static void joint_stand(struct joint *joint, const struct weir_profile_shape *shape)
{
    struct weir_error err = {0};
    for (uint32_t i = 0; i < shape->sequences || i == 0; i++) {
        struct weir_session *session = joint->sessions[i];
        weir_session_reset(session);
        if (shape->cached > 0)
            CHECK_OK(
                weir_session_eval(session, joint->tokens, shape->cached, WEIR_LOGITS_NONE, &err),
                &err);
        joint->items[i] = (struct weir_step_item){.session = session,
                                                  .tokens = joint->tokens + shape->cached,
                                                  .count = shape->rows,
                                                  .logits = shape->logits};
    }
}

static enum weir_status joint_run(const struct joint *joint, struct weir_profile *profile,
                                  uint32_t sequences, struct weir_error *err)
{
    if (sequences > 1)
        return weir_profile_run_step(profile, joint->items, sequences, err);
    return weir_profile_run(profile, joint->items[0].session, joint->items[0].tokens, err);
}

/* What a thread did in a step of the last run: its ops one behind the other, and what it waited
 * behind each, added to `wait`. */
static void check_thread(const struct weir_profile *profile, uint32_t step, uint32_t thread,
                         uint64_t *wait)
{
    struct weir_profile_span whole, span, next;
    const uint32_t ops = info_of(profile).ops;
    weir_profile_step_span(profile, step, &whole);
    weir_profile_op_span(profile, step, thread, 0, &span);
    CHECK(whole.begin <= span.begin);
    for (uint32_t i = 0; i < ops; i++, span = next) {
        next.begin = whole.end;
        if (i + 1 < ops)
            weir_profile_op_span(profile, step, thread, i + 1, &next);
        CHECK(span.begin <= span.end && span.end <= next.begin);
        wait[i] += next.begin - span.end;
    }
}

static void check_steps(const struct weir_profile *profile, uint64_t *wait, uint64_t *ns)
{
    const struct weir_profile_info info = info_of(profile);
    struct weir_profile_span last = {0}, span;
    CHECK_INT(info.span_steps, info.steps);
    for (uint32_t step = 0; step < info.span_steps; step++, last = span) {
        weir_profile_step_span(profile, step, &span);
        CHECK(step == 0 ? span.begin == 0 : span.begin >= last.end);
        CHECK(span.begin < span.end);
        *ns += span.end - span.begin;
        for (uint32_t thread = 0; thread < info.threads; thread++)
            check_thread(profile, step, thread, wait);
    }
}

/* The bytes of an op in all steps are those of the evaluation. */
static void check_span_bytes(const struct weir_profile *profile, uint32_t i)
{
    const struct weir_profile_op op = op_of(profile, i);
    uint64_t bytes = 0;
    for (uint32_t step = 0; step < info_of(profile).steps; step++) {
        struct weir_profile_span span;
        weir_profile_op_span(profile, step, 0, i, &span);
        bytes += span.read + span.written;
    }
    for (int class = 0; class < WEIR_TRAFFIC_CLASSES; class ++)
        bytes -= op.traffic.read[class] + op.traffic.written[class];
    CHECK_INT(bytes, 0);
}

/* Of a profile with one run, which is the last one and the median. */
static void check_spans(const struct weir_profile *profile)
{
    const uint32_t ops = info_of(profile).ops;
    uint64_t *wait = calloc(ops, sizeof *wait), ns = 0;
    CHECK(wait != NULL);
    check_steps(profile, wait, &ns);
    CHECK_INT(ns, info_of(profile).ns);
    /* the steps lie in the evaluation, which another clock may have timed; an eighth is for what is
       not known of the rate of ticks */
    CHECK(ns <= info_of(profile).eval_ns * 9 / 8);
    for (uint32_t i = 0; i < ops; i++) {
        CHECK_INT(wait[i], op_of(profile, i).wait_ns);
        check_span_bytes(profile, i);
    }
    free(wait);
}

static void check_profile(const char *model, const char *backend,
                          const struct weir_profile_shape *shape)
{
    enum { RUNS = 4 };
    struct joint joint;
    struct weir_error err = {0};
    struct weir_profile *profile;
    joint_open(&joint, model, backend);
    CHECK_OK(weir_profile_open_engine(&profile, joint.fixture.engine, shape, RUNS, &err), &err);
    for (int i = 0; i < RUNS; i++) {
        joint_stand(&joint, shape);
        CHECK_NO_ALLOC(CHECK_OK(joint_run(&joint, profile, shape->sequences, &err), &err));
        check_times(profile, (uint32_t)i + 1);
        if (i == 0)
            check_spans(profile);
    }
    CHECK(joint_run(&joint, profile, shape->sequences, &err) != WEIR_OK);
    fixture_check_says(&err, WEIR_ERR_FULL, "it has room for 4 runs");
    joint_close(&joint);
    check_times(profile, RUNS);
    weir_profile_close(profile);
}

/* Two threads, three ops: a barrier behind the second one and at the end. */
static void check_charge(const struct op_clock *clocks, uint32_t threads,
                         const uint64_t expected[3], const uint64_t gaps[3])
{
    struct op_time times[3] = {{0}};
    profile_charge(clocks, threads, 3, 100, 200, times);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(times[i].ns, expected[i]);
        CHECK_INT(times[i].gap_ns, gaps[i]);
    }
    CHECK_INT(times[0].ns + times[1].ns + times[2].ns, 100);
}

TEST(profile_charges_what_others_waited_for)
{
    /* thread 1 is slow in op 0, and thread 0 waits behind op 1 */
    check_charge((struct op_clock[]){{101, 110},
                                     {110, 115},
                                     {152, 190}, /* thread 0 */
                                     {102, 140},
                                     {140, 150},
                                     {151, 180}}, /* thread 1 */
                 2, (uint64_t[]){40, 11, 49}, (uint64_t[]){2, 1, 11});
    /* thread 0 wakes late behind the barrier: that is no time of op 1 */
    check_charge(
        (struct op_clock[]){{101, 120}, {120, 150}, {180, 190}, {101, 125}, {125, 149}, {151, 160}},
        2, (uint64_t[]){20, 31, 49}, (uint64_t[]){1, 1, 39});
    /* one thread: each op until the next */
    check_charge((struct op_clock[]){{101, 120}, {121, 150}, {151, 190}}, 1,
                 (uint64_t[]){21, 30, 49}, (uint64_t[]){2, 1, 10});
}

TEST(profile_times_of_ops_add_up_to_the_step)
{
    for (int b = 0; b < BACKENDS; b++) {
        for (int i = 0; i < MODELS * SHAPES; i++)
            check_profile(models[i % MODELS], backends[b], &shapes[i / MODELS]);
        for (int i = 0; i < MODELS * JOINT_SHAPES; i++)
            check_profile(models[i % MODELS], backends[b], &joint_shapes[i / MODELS]);
    }
}

/* Steps end at multiples of 64, so where a session stands decides how many there are. */
TEST(profile_has_room_for_the_steps_of_any_position)
{
    const struct weir_profile_shape shape = {.cached = 30, .rows = 150};
    static const struct {
        uint32_t position, steps;
    } cases[] = {{30, 3}, {63, 4}, {64, 3}, {0, 3}, {106, 3}};
    struct weir_engine_options options;
    struct fixture fixture;
    struct weir_error err = {0};
    struct weir_profile *profile;
    uint32_t count;
    int32_t *tokens = fixture_tokens(test_data("golden/tokens300.txt"), &count);
    fixture_options(&options);
    options.step_rows_max = 64;
    fixture_open(&fixture, test_data(NANO), &options);
    CHECK_OK(weir_profile_open_engine(&profile, fixture.engine, &shape, 5, &err), &err);
    for (uint32_t i = 0; i < 5; i++) {
        weir_session_reset(fixture.session);
        if (cases[i].position > 0)
            CHECK_OK(weir_session_eval(fixture.session, tokens, cases[i].position, WEIR_LOGITS_NONE,
                                       &err),
                     &err);
        CHECK_OK(weir_profile_run(profile, fixture.session, tokens, &err), &err);
        CHECK_INT(info_of(profile).span_steps, cases[i].steps);
        check_times(profile, i + 1);
    }
    weir_profile_close(profile);
    fixture_close(&fixture);
    free(tokens);
}

TEST(profile_changes_no_logits)
{
    const struct weir_profile_shape shape = {.rows = 9, .logits = WEIR_LOGITS_ALL};
    for (int b = 0; b < BACKENDS; b++) {
        struct weir_engine_options options;
        struct fixture fixture;
        struct weir_error err = {0};
        struct weir_profile *profile;
        uint32_t count;
        int32_t *tokens = fixture_tokens(test_data("golden/tokens300.txt"), &count);
        fixture_options(&options);
        options.backend = backends[b];
        fixture_open(&fixture, test_data(NANO), &options);
        float *plain = fixture_logits(&fixture, tokens, shape.rows, false);
        weir_session_reset(fixture.session);
        CHECK_OK(weir_profile_open_engine(&profile, fixture.engine, &shape, 1, &err), &err);
        CHECK_OK(weir_profile_run(profile, fixture.session, tokens, &err), &err);
        for (uint32_t row = 0; row < shape.rows; row++)
            CHECK(memcmp(weir_session_logits(fixture.session, row), plain + row * fixture.vocab,
                         fixture.vocab * sizeof *plain) == 0);
        free(plain);
        free(tokens);
        weir_profile_close(profile);
        fixture_close(&fixture);
    }
}

/* ---- refusals -------------------------------------------------------------------------------- */

TEST(profile_refuses_what_an_evaluation_refuses)
{
    static const struct {
        struct weir_profile_shape shape;
        uint32_t runs;
        enum weir_status status;
        const char *says;
    } cases[] = {
        {{0, 0, WEIR_LOGITS_LAST, 0}, 1, WEIR_ERR_ARGUMENT, "no tokens"},
        {{500, 13, WEIR_LOGITS_LAST, 0}, 1, WEIR_ERR_FULL, "500 tokens and 13 more, it holds 512"},
        {{0, 65, WEIR_LOGITS_ALL, 0}, 1, WEIR_ERR_ARGUMENT, "expected at most 64"},
        {{0, 1, (enum weir_logits)7, 0}, 1, WEIR_ERR_ARGUMENT, "no such choice of logits: 7"},
        {{0, 1, WEIR_LOGITS_LAST, 0}, 0, WEIR_ERR_ARGUMENT, "0 runs, expected at least 1"},
        {{0, 1, WEIR_LOGITS_LAST, 4}, 1, WEIR_ERR_ARGUMENT, "of 4 sessions, expected 1 to 3"},
        {{0, 171, WEIR_LOGITS_LAST, 3},
         1,
         WEIR_ERR_ARGUMENT,
         "of 513 tokens, expected at most 512"},
        {{0, 22, WEIR_LOGITS_ALL, 3}, 1, WEIR_ERR_ARGUMENT, "66 rows of logits, expected at most"},
        {{512, 1, WEIR_LOGITS_LAST, 3}, 1, WEIR_ERR_FULL, "512 tokens and 1 more, it holds 512"},
        {{0, UINT32_MAX, WEIR_LOGITS_LAST, 3}, 1, WEIR_ERR_FULL, "4294967295 more, it holds 512"},
    };
    struct weir_engine_options options;
    struct fixture fixture;
    fixture_options(&options);
    options.sessions_max = SEQUENCES_MAX;
    fixture_open(&fixture, test_data(NANO), &options);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct weir_profile *profile = (void *)&fixture;
        struct weir_error err = {0};
        CHECK(weir_profile_open_engine(&profile, fixture.engine, &cases[i].shape, cases[i].runs,
                                       &err) != WEIR_OK);
        fixture_check_says(&err, cases[i].status, cases[i].says);
        CHECK(profile == NULL);
    }
    fixture_close(&fixture);
}

/* And changes nothing: the profile can be run behind it. */
TEST(profile_refuses_another_step_than_its_own)
{
    static const struct {
        uint32_t sequences, count; /* of the step, and of its last item */
        enum weir_logits logits;
        const char *says;
    } cases[] = {
        {1, 2, WEIR_LOGITS_ALL, "a profile of 2 sequences is run with 1"},
        {2, 1, WEIR_LOGITS_ALL, "item 1 of the step has 1 tokens and logits 2, expected 2 and 2"},
        {2, 2, WEIR_LOGITS_LAST, "item 1 of the step has 2 tokens and logits 1, expected 2 and 2"},
    };
    const struct weir_profile_shape shape = {3, 2, WEIR_LOGITS_ALL, 2};
    struct joint joint;
    struct weir_error err = {0};
    struct weir_profile *profile;
    joint_open(&joint, NANO, "ref");
    CHECK_OK(weir_profile_open_engine(&profile, joint.fixture.engine, &shape, 1, &err), &err);
    joint_stand(&joint, &shape);
    CHECK(weir_profile_run(profile, joint.sessions[0], joint.tokens, &err) != WEIR_OK);
    fixture_check_says(&err, WEIR_ERR_ARGUMENT, "a profile of 2 sequences is run with one");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct weir_error refusal = {0};
        joint.items[1].count = cases[i].count;
        joint.items[1].logits = cases[i].logits;
        CHECK(weir_profile_run_step(profile, joint.items, cases[i].sequences, &refusal) != WEIR_OK);
        fixture_check_says(&refusal, WEIR_ERR_ARGUMENT, cases[i].says);
    }
    joint_stand(&joint, &shape);
    CHECK_OK(weir_profile_run_step(profile, joint.items, 2, &err), &err);
    check_times(profile, 1);
    joint_close(&joint);
    weir_profile_close(profile);
}

static bool stop(void *user, enum weir_stage stage, uint64_t done, uint64_t total)
{
    (void)done, (void)total;
    return stage != WEIR_STAGE_PREFILL || *(bool *)user;
}

TEST(profile_keeps_nothing_of_a_run_that_was_cut_short)
{
    bool proceeds = false;
    const struct weir_profile_shape shape = {.rows = 3, .logits = WEIR_LOGITS_LAST};
    const int32_t tokens[] = {1, 2, 3};
    struct weir_engine_options options;
    struct fixture fixture, other;
    struct weir_error err = {0};
    struct weir_profile *profile;
    fixture_options(&options);
    fixture_open(&other, test_data(NANO), &options);
    options.progress = stop;
    options.progress_user = &proceeds;
    fixture_open(&fixture, test_data(NANO), &options);
    CHECK_OK(weir_profile_open_engine(&profile, fixture.engine, &shape, 2, &err), &err);
    CHECK_INT(weir_profile_run(profile, fixture.session, tokens, NULL), WEIR_ERR_CANCELLED);
    CHECK_INT(info_of(profile).runs, 0);
    CHECK_INT(info_of(profile).span_steps, 0);
    proceeds = true;
    CHECK_OK(weir_profile_run(profile, fixture.session, tokens, &err), &err);
    check_times(profile, 1);
    CHECK(weir_profile_run(profile, other.session, tokens, &err) != WEIR_OK);
    fixture_check_says(&err, WEIR_ERR_ARGUMENT, "not opened for this engine");
    weir_profile_close(profile);
    fixture_close(&fixture);
    fixture_close(&other);
}

/* ---- models that are not there --------------------------------------------------------------- */

TEST(profile_of_a_header_is_that_of_the_file)
{
    const char *path = test_scratch("profile-tiny.gguf");
    const struct weir_profile_shape shape = {100, 3, WEIR_LOGITS_ALL, 1};
    struct weir_synth_options synth;
    struct weir_profile *whole, *dry;
    struct fixture_header header = {NULL, 0};
    struct weir_model *file, *model;
    struct weir_engine *engine;
    struct weir_error err = {0};
    size_t size;
    weir_synth_options_init(&synth);
    CHECK_OK(weir_synth(path, &synth, &err), &err);
    CHECK_OK(weir_synth_header(&synth, fixture_header_put, &header, &err), &err);
    uint8_t *data = test_read_file(path, &size);
    CHECK(header.size < size && memcmp(header.data, data, header.size) == 0);
    free(data);
    CHECK_OK(weir_model_open(&file, path, NULL, &err), &err);
    CHECK_OK(weir_model_open_header(&model, header.data, header.size, "tiny", NULL, &err), &err);
    free(header.data);
    CHECK_OK(weir_profile_open(&whole, file, NULL, &shape, &err), &err);
    CHECK_OK(weir_profile_open(&dry, model, NULL, &shape, &err), &err);
    check_same_bytes(whole, dry);
    CHECK(weir_engine_open(&engine, model, NULL, &err) != WEIR_OK);
    fixture_check_says(&err, WEIR_ERR_UNSUPPORTED, "tiny: is only the header of a model");
    weir_profile_close(whole);
    weir_profile_close(dry);
    weir_model_close(model);
    weir_model_close(file);
}

TEST(profile_of_half_a_header_is_refused)
{
    struct weir_synth_options synth;
    struct fixture_header header = {NULL, 0};
    struct weir_model *model;
    struct weir_error err = {0};
    weir_synth_options_init(&synth);
    CHECK_OK(weir_synth_header(&synth, fixture_header_put, &header, &err), &err);
    CHECK(weir_model_open_header(&model, header.data, header.size / 2, "half", NULL, &err) !=
          WEIR_OK);
    fixture_check_says(&err, WEIR_ERR_FORMAT, "half: ");
    CHECK(model == NULL);
    free(header.data);
}

/* The tables of the model specification: weights read for a token in MB, then all bytes in GB at
 * five lengths, as published figures of these models are counted: no activations, no logits. */
static const struct published {
    const char *size, *type, *output_type;
    double weights;
    double all[5];
} published[] = {
    {"0.8B", "q4_0", "q6_k", 490.5, {0.533, 0.555, 0.631, 0.933, 3.751}},
    {"0.8B", "q8_0", "q8_0", 800.9, {0.844, 0.866, 0.941, 1.243, 4.062}},
    {"0.8B", "bf16", "bf16", 1505.8, {1.548, 1.570, 1.646, 1.948, 4.767}},
    {"4B", "q4_0", "q6_k", 2532.9, {2.645, 2.704, 2.905, 3.710, 11.227}},
    {"9B", "q4_0", "q6_k", 4730.3, {4.842, 4.901, 5.103, 5.908, 13.424}},
    {"9B", "q8_0", "q8_0", 8435.8, {8.548, 8.607, 8.808, 9.613, 17.130}},
    {"9B", "bf16", "bf16", 15875.5, {15.988, 16.046, 16.248, 17.053, 24.569}},
    {"27B", "q4_0", "q6_k", 14750.7, {15.077, 15.195, 15.597, 17.208, 32.240}},
    {"35B-A3B", "q4_0", "q6_k", 1864.8, {2.000, 2.037, 2.162, 2.666, 7.363}},
};
static const uint32_t lengths[] = {256, 2048, 8192, 32768, 262144};

static double class_bytes(const struct weir_traffic *sum, enum weir_traffic_class class)
{
    return (double)(sum->read[class] + sum->written[class]);
}

/* The published count of a cache is one row shorter: that of the new token is written, and here
 * also read. Figures are rounded in their last digit. */
static void check_published(const struct published *figures, const struct weir_model *model, int i)
{
    const struct weir_profile_shape shape = {lengths[i] - 1, 1, WEIR_LOGITS_LAST, 1};
    struct weir_engine_options options;
    struct weir_profile *profile;
    struct weir_error err = {0};
    weir_engine_options_init(&options);
    options.context = lengths[i];
    CHECK_OK(weir_profile_open(&profile, model, &options, &shape, &err), &err);
    const struct weir_traffic sum = sum_of(profile);
    const double weights =
        class_bytes(&sum, WEIR_TRAFFIC_WEIGHTS) + class_bytes(&sum, WEIR_TRAFFIC_EMBEDDING);
    const double row = (double)sum.written[WEIR_TRAFFIC_KV];
    const double all = weights + class_bytes(&sum, WEIR_TRAFFIC_KV) - row +
                       class_bytes(&sum, WEIR_TRAFFIC_STATE) + class_bytes(&sum, WEIR_TRAFFIC_CONV);
    if (fabs(weights / 1e6 - figures->weights) > 0.05 || fabs(all / 1e9 - figures->all[i]) > 0.0005)
        test_fail(__FILE__, __LINE__, "%s %s at %u: %.4f MB and %.6f GB, expected %.1f and %.3f",
                  figures->size, figures->type, lengths[i], weights / 1e6, all / 1e9,
                  figures->weights, figures->all[i]);
    weir_profile_close(profile);
}

TEST(profile_of_public_sizes_has_the_published_bytes)
{
    test_skip_if_sanitized();
    for (size_t m = 0; m < sizeof published / sizeof published[0]; m++) {
        struct weir_synth_options synth;
        weir_synth_options_init(&synth);
        synth.size = published[m].size;
        synth.type = published[m].type;
        synth.output_type = published[m].output_type;
        struct weir_model *model = fixture_shape(&synth);
        for (int i = 0; i < 5; i++)
            check_published(&published[m], model, i);
        weir_model_close(model);
    }
}

/* A decode of the header of a made-up model, all matrices of a type. */
static struct weir_profile *profile_of_type(const char *size, const char *type)
{
    const struct weir_profile_shape shape = {100, 1, WEIR_LOGITS_LAST, 1};
    struct weir_synth_options synth;
    struct weir_profile *profile;
    struct weir_error err = {0};
    weir_synth_options_init(&synth);
    synth.size = size;
    synth.type = type;
    synth.layers = 4;
    struct weir_model *model = fixture_shape(&synth);
    CHECK_OK(weir_profile_open(&profile, model, NULL, &shape, &err), &err);
    weir_model_close(model);
    return profile;
}

/* In blocks what is 4 bytes an element in F32: elements of matrices over those of a block, times
 * its bytes. What is no matrix stays. */
static void check_type(const struct weir_profile *f32, const struct dtype_info *type)
{
    char name[16];
    snprintf(name, sizeof name, "%s", type->name);
    for (char *c = name; *c != 0; c++)
        *c = (char)tolower((unsigned char)*c);
    struct weir_profile *profile = profile_of_type("35B-A3B", name);
    CHECK_INT(info_of(profile).ops, info_of(f32).ops);
    for (uint32_t i = 0; i < info_of(f32).ops; i++) {
        const struct weir_profile_op a = op_of(f32, i), b = op_of(profile, i);
        const enum weir_traffic_class class =
            strcmp(a.kind, "EMBED") == 0 ? WEIR_TRAFFIC_EMBEDDING : WEIR_TRAFFIC_WEIGHTS;
        const bool is_router = strstr(a.role, ".router") != NULL; /* stays F32 */
        const bool is_matrix =
            !is_router && (class == WEIR_TRAFFIC_EMBEDDING || strstr(a.kind, "MATMUL") != NULL);
        const uint64_t elements = a.traffic.read[class] / 4;
        CHECK_INT(b.traffic.read[class],
                  is_matrix ? elements / type->block * type->block_bytes : elements * 4);
    }
    weir_profile_close(profile);
}

TEST(profile_of_each_type_has_the_bytes_of_its_blocks)
{
    test_skip_if_sanitized();
    struct weir_profile *f32 = profile_of_type("35B-A3B", "f32");
    int types = 0;
    for (int dtype = 0; dtype < DTYPE_COUNT; dtype++) {
        const struct dtype_info *info = dtype_info((enum dtype)dtype);
        const bool is_weight =
            info->family == DTYPE_FAMILY_FLOAT || info->family == DTYPE_FAMILY_QUANT;
        if (is_weight)
            check_type(f32, info);
        types += is_weight;
    }
    CHECK_INT(types, 28);
    weir_profile_close(f32);
}

/* What a token of the 9B model moves besides weights, to the byte: 24 layers with 32 heads of a
 * state of 128 x 128 floats, in and out; rings of 3 rows of 8192 floats, of which one is written;
 * 8 layers with 4 heads of 256 keys and values in 2 bytes. Unfused, a state is gathered and
 * copied back: the copies are activations, read twice. */
TEST(profile_of_9b_moves_state_once)
{
    const uint64_t state = 24ull * 32 * 128 * 128 * 4, ring_row = 24ull * 8192 * 4;
    const uint64_t kv_row = 8ull * 2 * 4 * 256 * 2;
    const struct weir_profile_shape shape = {8191, 1, WEIR_LOGITS_LAST, 1};
    struct weir_synth_options synth;
    weir_synth_options_init(&synth);
    synth.size = "9B";
    struct weir_model *model = fixture_shape(&synth);
    for (int is_fused = 0; is_fused < 2; is_fused++) {
        struct weir_engine_options options;
        struct weir_profile *profile;
        struct weir_error err = {0};
        weir_engine_options_init(&options);
        options.context = 8192;
        options.fused_gdn = is_fused ? WEIR_ON : WEIR_OFF;
        CHECK_OK(weir_profile_open(&profile, model, &options, &shape, &err), &err);
        const struct weir_traffic sum = sum_of(profile);
        CHECK_INT(sum.read[WEIR_TRAFFIC_STATE], state);
        CHECK_INT(sum.written[WEIR_TRAFFIC_STATE], state);
        CHECK_INT(sum.read[WEIR_TRAFFIC_CONV], 3 * ring_row);
        CHECK_INT(sum.written[WEIR_TRAFFIC_CONV], ring_row);
        CHECK_INT(sum.read[WEIR_TRAFFIC_KV], 8192 * kv_row);
        CHECK_INT(sum.written[WEIR_TRAFFIC_KV], kv_row);
        CHECK((sum.read[WEIR_TRAFFIC_ACTIVATIONS] > 2 * state) == !is_fused);
        weir_profile_close(profile);
    }
    weir_model_close(model);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static uint64_t state_bytes(const struct weir_model *model, uint32_t rows, bool is_marked)
{
    const struct weir_profile_shape shape = {
        .cached = 2048, .rows = rows, .logits = WEIR_LOGITS_ALL, .is_marked = is_marked};
    struct weir_engine_options options;
    struct weir_profile *profile;
    struct weir_error err = {0};
    uint64_t bytes = 0;
    weir_engine_options_init(&options);
    options.rewind_max = is_marked ? rows : 0;
    CHECK_OK(weir_profile_open(&profile, model, &options, &shape, &err), &err);
    struct weir_profile_info info;
    weir_profile_info(profile, &info);
    for (uint32_t i = 0; i < info.ops; i++) {
        struct weir_profile_op op;
        weir_profile_op(profile, i, &op);
        bytes += op.traffic.read[WEIR_TRAFFIC_STATE] + op.traffic.written[WEIR_TRAFFIC_STATE];
    }
    weir_profile_close(profile);
    return bytes;
}

/* A round of 4 drafts that are all accepted: the state in and out, five records out and, next time,
 * in. Copies of the state for each draft would be 6 states and more. */
TEST(profile_of_a_round_moves_state_little_more_than_a_token)
{
    test_skip_if_sanitized();
    for (const char *const *size = weir_synth_sizes(); *size != NULL; size++) {
        struct weir_synth_options synth;
        weir_synth_options_init(&synth);
        synth.size = *size;
        if (strchr(*size, 'B') == NULL)
            continue; /* no public model: its heads are small, and a record is much of one */
        struct weir_model *model = fixture_shape(&synth);
        const double state = (double)state_bytes(model, 1, false) / 2;
        const double round = (double)state_bytes(model, 5, true) / state;
        if (!(round >= 2.15 && round <= 2.17))
            test_fail(__FILE__, __LINE__, "%s: a round moves %.3f states", *size, round);
        weir_model_close(model);
    }
}

TEST(profile_refuses_rounds_that_sessions_cannot_take_back)
{
    const struct weir_profile_shape shape = {
        .cached = 9, .rows = 5, .logits = WEIR_LOGITS_ALL, .is_marked = true};
    struct weir_synth_options synth;
    struct weir_engine_options options;
    struct weir_profile *profile;
    struct weir_error err = {0};
    weir_synth_options_init(&synth);
    weir_engine_options_init(&options);
    options.rewind_max = 4;
    struct weir_model *model = fixture_shape(&synth);
    CHECK(weir_profile_open(&profile, model, &options, &shape, &err) == WEIR_ERR_ARGUMENT);
    fixture_check_says(&err, WEIR_ERR_ARGUMENT, "5 tokens behind the mark of a session");
    weir_model_close(model);
}

static void profile_a_shape(void *argument)
{
    const struct weir_profile_shape shape = {5, 2, WEIR_LOGITS_LAST, 1};
    const struct fixture_header *header = argument;
    struct weir_model *model = NULL;
    struct weir_profile *profile = NULL;
    struct weir_error err = {0};
    enum weir_status status =
        weir_model_open_header(&model, header->data, header->size, "tiny", NULL, &err);
    if (status == WEIR_OK)
        status = weir_profile_open(&profile, model, NULL, &shape, &err);
    weir_profile_close(profile);
    weir_model_close(model);
    /* How much memory is free, and which processors are cores, may stay unknown. */
    if (!alloc_failed())
        CHECK_OK(status, &err);
    else if (status != WEIR_OK)
        CHECK_INT(status, WEIR_ERR_MEMORY);
}

static void ignore_bytes(void *user, const char *text, size_t length)
{
    (void)user, (void)text, (void)length;
}

static void describe_a_shape(void *argument)
{
    struct weir_error err = {0};
    const enum weir_status status = weir_synth_header(argument, ignore_bytes, NULL, &err);
    CHECK_INT(status, alloc_failed() ? WEIR_ERR_MEMORY : WEIR_OK);
}

TEST(profile_alloc_failures_leave_nothing)
{
    struct weir_synth_options synth;
    struct fixture_header header = {NULL, 0};
    struct weir_error err = {0};
    weir_synth_options_init(&synth);
    synth.vocab = 965;
    CHECK_OK(weir_synth_header(&synth, fixture_header_put, &header, &err), &err);
    alloc_test(profile_a_shape, &header);
    alloc_test(describe_a_shape, &synth);
    synth.type = "q4_k_m"; /* a mixture chooses types */
    alloc_test(describe_a_shape, &synth);
    free(header.data);
}

static void profile_an_engine(void *argument)
{
    const struct fixture *fixture = argument;
    const struct weir_profile_shape shape = {0, 2, WEIR_LOGITS_LAST, 1};
    const int32_t tokens[] = {1, 2};
    struct weir_profile *profile = NULL;
    struct weir_error err = {0};
    enum weir_status status = weir_profile_open_engine(&profile, fixture->engine, &shape, 3, &err);
    weir_session_reset(fixture->session);
    if (status == WEIR_OK)
        status = weir_profile_run(profile, fixture->session, tokens, &err);
    weir_profile_close(profile);
    CHECK_INT(status, alloc_failed() ? WEIR_ERR_MEMORY : WEIR_OK);
}

TEST(profile_alloc_failures_of_an_engine_leave_nothing)
{
    struct weir_engine_options options;
    struct fixture fixture;
    fixture_options(&options);
    fixture_open(&fixture, test_data(NANO), &options);
    alloc_test(profile_an_engine, &fixture);
    fixture_close(&fixture);
}
