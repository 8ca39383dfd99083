/* SPDX-License-Identifier: MIT
 * weir bench --spec-type: that the numbers of its rounds agree with each other and with the plan,
 * its forms, and what it refuses. Run alone: build/tests/weir-test bench_rounds_ */
#include "cli/program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/json.h"
#include "golden/fixture.h"

#define MODEL test_data("golden/nano-f32.gguf")

enum { RUNS = 2, DEPTH = 40, TOKENS = 24, DRAFTS = 3, LENGTHS = DRAFTS + 2 };

static const char field_names[] =
    "build_commit build_number cpu_info gpu_info backends model_filename model_type model_size "
    "model_n_params n_batch n_ubatch n_threads cpu_mask cpu_strict poll type_k type_v n_gpu_layers "
    "n_cpu_moe split_mode main_gpu no_kv_offload flash_attn devices tensor_split "
    "tensor_buft_overrides load_mode embeddings no_op_offload no_host fit_target fit_min_ctx "
    "n_prompt n_gen n_depth test_time avg_ns stddev_ns avg_ts stddev_ts spec_type n_draft rounds "
    "n_drafted n_accepted tokens_per_round accepted_by_place token_bytes draft_ms verify_ms "
    "samples_ns samples_ts";

static json_t *records_of(const struct program_result *result)
{
    if (result->status != 0)
        test_fail(__FILE__, __LINE__, "status %d: %s", result->status, result->err);
    json_t *records = json_of(result->out);
    CHECK_INT(json_array_size(records), LENGTHS);
    return records;
}

static double real_of(const json_t *record, const char *name)
{
    const json_t *value = json_object_get(record, name);
    CHECK(json_is_number(value));
    return json_number_value(value);
}

/* A round gives the drafts that it accepts and one token more; its drafts and its step take no
 * longer than all of it. */
static void check_rounds(const json_t *record, const char *kind, int drafts)
{
    const int64_t rounds = json_integer_of(record, "rounds");
    const int64_t drafted = json_integer_of(record, "n_drafted");
    const int64_t accepted = json_integer_of(record, "n_accepted");
    json_check_keys(record, field_names);
    CHECK_TEXT(json_string_value(json_object_get(record, "spec_type")), kind);
    CHECK_INT((int64_t)real_of(record, "n_draft"), drafts);
    CHECK_INT(rounds + accepted, RUNS * TOKENS);
    CHECK(accepted <= drafted && drafted <= rounds * (drafts < 0 ? DRAFTS : drafts));
    const double each = (double)(RUNS * TOKENS) / (double)rounds;
    CHECK(real_of(record, "tokens_per_round") > each - 1e-5);
    CHECK(real_of(record, "tokens_per_round") < each + 1e-5);
    const double parts = real_of(record, "draft_ms") + real_of(record, "verify_ms");
    CHECK(real_of(record, "verify_ms") > 0);
    CHECK(parts * (double)rounds * 1e6 <= RUNS * (real_of(record, "avg_ns") + 1) * (1 + 1e-3));
}

static const struct program_result *run_rounds(const char *model, const char *kind)
{
    return RUN_PROGRAM("bench", model, "-d", "40", "-n", "24", "-r", "2", "-t", "2", "--spec-type",
                       kind, "-o", "json");
}

TEST(bench_rounds_agree_with_each_other)
{
    static const char *const kinds[] = {"draft-mtp", "ngram-simple"};
    for (int k = 0; k < 2; k++) {
        json_t *records = records_of(run_rounds(MODEL, kinds[k]));
        for (int i = 0; i < LENGTHS; i++)
            check_rounds(json_array_get(records, (size_t)i), kinds[k], i == LENGTHS - 1 ? -1 : i);
        json_decref(records);
    }
}

static uint64_t bytes_of(const struct weir_traffic *sum)
{
    uint64_t bytes = 0;
    for (int i = 0; i < WEIR_TRAFFIC_CLASSES; i++)
        bytes += sum->read[i] + sum->written[i];
    return bytes;
}

/* Without drafts a token is one evaluation. One draft of a round is one step of the block, which
 * also gets what the round before gave: at most two tokens, whose bytes but for the weights are
 * few. */
TEST(bench_rounds_touch_what_the_plan_says)
{
    struct weir_engine_options options;
    struct weir_error err = {0};
    struct weir_traffic token = {{0}, {0}}, draft = {{0}, {0}}, verify = {{0}, {0}};
    struct fixture fixture;
    json_t *records = records_of(run_rounds(MODEL, "draft-mtp"));
    weir_engine_options_init(&options);
    options.mtp = true;
    fixture_open(&fixture, MODEL, &options);
    const uint32_t cached = DEPTH + TOKENS / 2;
    CHECK_OK(weir_engine_traffic(fixture.engine, cached, 1, WEIR_LOGITS_LAST, &token, &err), &err);
    CHECK_OK(weir_engine_traffic(fixture.engine, cached, 2, WEIR_LOGITS_ALL, &verify, &err), &err);
    CHECK_OK(weir_engine_mtp_traffic(fixture.engine, cached, 1, WEIR_LOGITS_LAST, &draft, &err),
             &err);
    fixture_close(&fixture);
    const json_t *none = json_array_get(records, 0), *one = json_array_get(records, 1);
    CHECK(real_of(none, "token_bytes") >= 0.99 * (double)bytes_of(&token));
    CHECK(real_of(none, "token_bytes") <= 1.01 * (double)bytes_of(&token));
    const double rounds = real_of(one, "rounds") / (RUNS * TOKENS);
    const double least = rounds * (double)(bytes_of(&verify) + bytes_of(&draft));
    CHECK(real_of(one, "token_bytes") >= 0.9 * least);
    CHECK(real_of(one, "token_bytes") <= 1.2 * least);
    json_decref(records);
}

/* The model that ships drafts its own text well, and the text is what --file names. */
TEST(bench_rounds_of_a_text)
{
    const struct program_call call = {
        .words = {"bench", test_data("../../models/" WEIR_SHIPPED), "-n", "24", "-r", "2",
                  "--spec-type", "draft-mtp", "-f", "-", "-o", "json"},
        .input = "Once upon a time there was a miller named Flora.\n",
    };
    json_t *records = records_of(run_program(&call));
    for (int i = 0; i < LENGTHS; i++) {
        const json_t *record = json_array_get(records, (size_t)i);
        CHECK_INT(json_integer_of(record, "n_depth"), 10);
        check_rounds(record, "draft-mtp", i == LENGTHS - 1 ? -1 : i);
        if (i >= 1 && i <= DRAFTS)
            CHECK(json_integer_of(record, "n_accepted") >= json_integer_of(record, "rounds") / 2);
    }
    json_decref(records);
}

TEST(bench_rounds_table)
{
    const struct program_result *result =
        RUN_PROGRAM("bench", MODEL, "-p", "0", "-n", "2", "-r", "1", "--spec-type", "draft-mtp",
                    "--spec-draft-n-max", "1", "--spec-draft-vocab", "64");
    CHECK_INT(result->status, 0);
    CHECK_HAS(result->out, "|            test | drafts         |                  t/s | t/round | "
                           " MB/token | draft ms | verify ms | accepted by place, % |\n");
    CHECK_HAS(result->out, "|             tg2 | none 0         |");
    CHECK_HAS(result->out, "|             tg2 | draft-mtp 1    |");
    CHECK_HAS(result->out, "|             tg2 | draft-mtp auto |");
}

/* Fewer tokens than a round may have. */
TEST(bench_rounds_of_few_tokens)
{
    const struct program_result *result =
        RUN_PROGRAM("bench", MODEL, "-n", "1,2,4", "-r", "1", "--spec-type", "draft-mtp",
                    "--spec-draft-n-max", "15", "-o", "csv");
    CHECK_INT(result->status, 0);
}

TEST(bench_rounds_refuse_what_they_have_no_place_for)
{
    const char *plain = test_data("golden/nano-q4_0.gguf");
    static const char place[] =
        "--spec-type measures generation: -p and -pg have no place, -d and --file say what it "
        "continues";
    char text[256];
    CHECK_REFUSED(RUN_PROGRAM("bench", MODEL, "--spec-type", "none", "-p", "0,8"), place);
    CHECK_REFUSED(RUN_PROGRAM("bench", MODEL, "--spec-type", "none", "-pg", "8,8"), place);
    CHECK_REFUSED(RUN_PROGRAM("bench", MODEL, "--spec-type", "none", "-d", "8", "-f", MODEL),
                  "only one of -d and --file may be given");
    CHECK_REFUSED(RUN_PROGRAM("bench", MODEL, "-f", MODEL), "--file is for --spec-type alone");
    CHECK_REFUSED(RUN_PROGRAM("bench", MODEL, "--spec-type", "draft-mtp", "-f", "-"),
                  "-: has no text to continue");
    snprintf(text, sizeof text,
             "%s: has no block of multi-token prediction, expected nextn_predict_layers 1", plain);
    CHECK_REFUSED(RUN_PROGRAM("bench", plain, "--spec-type", "draft-mtp"), text);
}
