/* SPDX-License-Identifier: MIT
 * Round trips: a made-up checkpoint, converted, is the GGUF file that is made up directly.
 * Run alone: build/tests/weir-test convert_ */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "folder.h"
#include "format/codec.h"
#include "format/gguf.h"

enum { SEED = 7 };

static struct weir_synth_options synth_options(const char *size, const char *type, bool mtp)
{
    struct weir_synth_options options;
    weir_synth_options_init(&options);
    options.size = size;
    options.type = type;
    options.seed = SEED;
    options.mtp = mtp;
    return options;
}

static const char *make_checkpoint(const char *size, const char *type, bool mtp)
{
    const char *folder = folder_fresh("checkpoint");
    const struct weir_synth_options options = synth_options(size, type, mtp);
    struct weir_error err = {0};
    CHECK_OK(weir_synth_checkpoint(folder, &options, &err), &err);
    return folder;
}

static struct gguf *make_direct(const char *size, const char *type, bool mtp)
{
    const char *path = test_scratch("direct.gguf");
    const struct weir_synth_options options = synth_options(size, type, mtp);
    struct weir_error err = {0};
    struct gguf *gguf;
    CHECK_OK(weir_synth(path, &options, &err), &err);
    CHECK_OK(gguf_open(&gguf, path, &err), &err);
    return gguf;
}

static struct weir_convert_options convert_options(enum weir_convert_type type)
{
    struct weir_convert_options options;
    weir_convert_options_init(&options);
    options.type = type;
    return options;
}

static struct gguf *convert(const char *folder, const struct weir_convert_options *options)
{
    const char *path = test_scratch("converted.gguf");
    struct weir_error err = {0};
    struct gguf *gguf;
    CHECK_OK(weir_convert(folder, path, options, &err), &err);
    CHECK_OK(gguf_open(&gguf, path, &err), &err);
    return gguf;
}

/* ---- equality -------------------------------------------------------------------------------- */

/* ssm_a is -exp(A_log), and A_log = log(-ssm_a) was rounded to F32. Here |A_log| < 4, so it is off
 * by up to 2^-23, which changes the result by that factor; another 2^-24 is for its own rounding.
 * 2^-22 covers both, and what libm adds. */
static void check_decays(const float *found, const float *expected, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        if (fabsf(found[i] - expected[i]) > fabsf(expected[i]) * 0x1p-22f)
            test_fail(__FILE__, __LINE__, "ssm_a[%d] is %.9g, expected %.9g", (int)i,
                      (double)found[i], (double)expected[i]);
    }
}

/* The same metadata, tensor infos and data, byte for byte, but for ssm_a. Norms come back exactly:
 * w - 1 is exact for w from 1/2 to 2, and so is the sum. */
static void check_equal(const struct gguf *found, const struct gguf *expected)
{
    const uint64_t start = expected->splits[0].data_start;
    CHECK_INT(found->tensor_count, expected->tensor_count);
    CHECK_INT(found->splits[0].map.size, expected->splits[0].map.size);
    CHECK_INT(found->splits[0].data_start, start);
    CHECK(memcmp(found->splits[0].map.data, expected->splits[0].map.data, start) == 0);
    for (uint64_t i = 0; i < found->tensor_count; i++) {
        const struct gguf_tensor *a = &found->tensors[i], *b = &expected->tensors[i];
        const void *a_data = gguf_tensor_data(found, a), *b_data = gguf_tensor_data(expected, b);
        if (strstr(a->name, ".ssm_a") != NULL && a->dims == 1)
            check_decays(a_data, b_data, a->ne[0]);
        else if (memcmp(a_data, b_data, a->bytes) != 0)
            test_fail(__FILE__, __LINE__, "%s differs", a->name);
    }
}

static void check_round_trip(const char *size, const char *type, bool mtp)
{
    char name[64];
    snprintf(name, sizeof name, "synthetic %s %s seed %d", size, type, SEED);
    struct weir_convert_options options = convert_options(WEIR_CONVERT_AUTO);
    options.name = name;
    struct gguf *expected = make_direct(size, type, mtp);
    struct gguf *found = convert(make_checkpoint(size, type, mtp), &options);
    check_equal(found, expected);
    gguf_close(found);
    gguf_close(expected);
}

TEST(convert_round_trips)
{
    static const char *const sizes[] = {"nano", "nanomoe", "tiny", "tinymoe", "tinynext"};
    static const char *const types[] = {"f32", "f16", "bf16"};
    for (int s = 0; s < 5; s++) {
        for (int t = 0; t < 3; t++) {
            check_round_trip(sizes[s], types[t], true);
            if (t == 0)
                check_round_trip(sizes[s], types[t], false);
        }
    }
}

/* A checkpoint of F32 holds the drawn numbers themselves, which models of other types round. */
TEST(convert_rounds_to_types)
{
    static const struct {
        enum weir_convert_type type;
        const char *name;
    } types[] = {{WEIR_CONVERT_F16, "f16"}, {WEIR_CONVERT_BF16, "bf16"}, {WEIR_CONVERT_F32, "f32"}};
    const char *folder = make_checkpoint("tinymoe", "f32", true);
    for (int i = 0; i < 3; i++) {
        char name[64];
        snprintf(name, sizeof name, "synthetic tinymoe %s seed %d", types[i].name, SEED);
        struct weir_convert_options options = convert_options(types[i].type);
        options.name = name;
        struct gguf *expected = make_direct("tinymoe", types[i].name, true);
        struct gguf *found = convert(folder, &options);
        check_equal(found, expected);
        gguf_close(found);
        gguf_close(expected);
    }
}

TEST(convert_leaves_mtp_out)
{
    struct weir_convert_options options = convert_options(WEIR_CONVERT_AUTO);
    options.mtp = false;
    options.name = "synthetic nano bf16 seed 7";
    struct gguf *expected = make_direct("nano", "bf16", false);
    struct gguf *found = convert(make_checkpoint("nano", "bf16", true), &options);
    check_equal(found, expected);
    gguf_close(found);
    gguf_close(expected);
}

TEST(convert_reads_one_file_too)
{
    struct weir_convert_options options = convert_options(WEIR_CONVERT_AUTO);
    options.name = "synthetic tinynext bf16 seed 7";
    const char *folder = make_checkpoint("tinynext", "bf16", true);
    folder_join_shards(folder);
    CHECK_INT(folder_files(folder), 5);
    struct gguf *expected = make_direct("tinynext", "bf16", true);
    struct gguf *found = convert(folder, &options);
    check_equal(found, expected);
    gguf_close(found);
    gguf_close(expected);
}

/* ---- what a checkpoint may have besides ------------------------------------------------------ */

struct messages {
    char text[2000];
};

static void collect(void *user, enum weir_log_level level, const char *line)
{
    struct messages *messages = user;
    const size_t used = strlen(messages->text);
    snprintf(messages->text + used, sizeof messages->text - used, "%d %s\n", (int)level, line);
}

TEST(convert_says_what_it_leaves_out)
{
    static const uint8_t data[131080];
    struct messages messages = {0};
    struct weir_convert_options options = convert_options(WEIR_CONVERT_AUTO);
    options.mtp = false;
    options.log = collect;
    options.log_user = &messages;
    const char *folder = make_checkpoint("nano", "f32", true);
    folder_add_shard(folder,
                     "\"model.visual.a\": {\"dtype\": \"F8_E4M3\", \"shape\": [4], "
                     "\"data_offsets\": [0, 4]}, "
                     "\"model.visual.b\": {\"dtype\": \"F32\", \"shape\": [], "
                     "\"data_offsets\": [4, 8]}, "
                     "\"lm_head.weight\": {\"dtype\": \"F16\", \"shape\": [1024, 64], "
                     "\"data_offsets\": [8, 131080]}",
                     data, sizeof data);
    gguf_close(convert(folder, &options));
    CHECK(strstr(messages.text, "3 2 tensors of the vision part are left out\n") != NULL);
    CHECK(strstr(messages.text, "tensors of multi-token prediction are left out\n") != NULL);
    CHECK(strstr(messages.text, "3 lm_head.weight is left out: the embedding") != NULL);
}

TEST(convert_notices_that_mtp_is_missing)
{
    struct messages messages = {0};
    struct weir_convert_options options = convert_options(WEIR_CONVERT_AUTO);
    options.log = collect;
    options.log_user = &messages;
    const char *folder = make_checkpoint("nano", "f32", false);
    json_t *config = folder_read_json(folder, "config.json");
    json_object_set_new(json_object_get(config, "text_config"), "mtp_num_hidden_layers",
                        json_integer(1));
    folder_write_json(folder, "config.json", config);
    struct gguf *gguf = convert(folder, &options);
    CHECK(gguf_find(gguf, "qwen35.nextn_predict_layers") == NULL);
    gguf_close(gguf);
    CHECK(strstr(messages.text, "2 warning: config.json names a block of multi-token") != NULL);
}

TEST(convert_names_the_model_after_its_folder)
{
    struct weir_error err = {0};
    struct span name = {0};
    const char *folder = make_checkpoint("nano", "f32", false);
    char slashes[4200];
    snprintf(slashes, sizeof slashes, "%s//", folder);
    struct gguf *gguf = convert(slashes, NULL);
    CHECK_OK(gguf_get_text(gguf, "general.name", &name, &err), &err);
    CHECK(span_equals(name, "checkpoint"));
    gguf_close(gguf);
}

/* Numbers of 16 bits become F32 exactly, where a file must have F32. */
TEST(convert_widens_vectors)
{
    static const char taps[] = "model.language_model.layers.0.linear_attn.conv1d.weight";
    static const uint16_t from[512] = {0xc000, 0x3f80, 0x0001, 0xff7f, 0x8000};
    char header[200];
    snprintf(header, sizeof header,
             "\"%s\": {\"dtype\": \"BF16\", \"shape\": [128, 4], \"data_offsets\": [0, 1024]}",
             taps);
    const char *folder = make_checkpoint("nano", "bf16", false);
    folder_hide_tensor(folder, taps);
    folder_add_shard(folder, header, from, sizeof from);
    struct gguf *gguf = convert(folder, NULL);
    const struct gguf_tensor *tensor = gguf_find_tensor(gguf, "blk.0.ssm_conv1d.weight");
    CHECK(tensor != NULL && tensor->dtype == DTYPE_F32);
    for (int i = 0; i < 8; i++) {
        uint32_t bits;
        memcpy(&bits, (const uint8_t *)gguf_tensor_data(gguf, tensor) + 4 * i, sizeof bits);
        CHECK(bits == (uint32_t)from[i] << 16);
    }
    gguf_close(gguf);
}

/* ---- ending early ---------------------------------------------------------------------------- */

struct progress {
    uint64_t calls, calls_max, done, total;
};

static bool count_progress(void *user, enum weir_stage stage, uint64_t done, uint64_t total)
{
    struct progress *progress = user;
    CHECK(stage == WEIR_STAGE_WRITE && done >= progress->done && done <= total);
    progress->done = done;
    progress->total = total;
    return ++progress->calls < progress->calls_max;
}

TEST(convert_cancelled_leaves_nothing)
{
    const char *folder = make_checkpoint("nano", "bf16", false);
    const char *path = folder_file(folder, "out.gguf");
    const int files = folder_files(folder);
    struct progress progress = {.calls_max = 9};
    struct weir_convert_options options = convert_options(WEIR_CONVERT_AUTO);
    options.progress = count_progress;
    options.progress_user = &progress;
    struct weir_error err = {0};
    CHECK_INT(weir_convert(folder, path, &options, &err), WEIR_ERR_CANCELLED);
    CHECK_INT(folder_files(folder), files);
    progress = (struct progress){.calls_max = UINT64_MAX};
    err = (struct weir_error){0};
    CHECK_OK(weir_convert(folder, path, &options, &err), &err);
    CHECK(progress.done == progress.total && progress.total > 0);
    CHECK_INT(folder_files(folder), files + 1);
}

static void scenario_convert(void *argument)
{
    const char *path = test_scratch("scenario.gguf");
    const enum weir_status status = weir_convert(argument, path, NULL, NULL);
    /* A failed fopen is an error of its file. */
    if (alloc_failed())
        CHECK(status == WEIR_ERR_MEMORY || status == WEIR_ERR_IO);
    else
        CHECK_INT(status, WEIR_OK);
    unlink(path);
}

/* Allocations of the JSON library itself are not seen here. */
TEST(convert_survives_failed_allocations)
{
    char folder[4200];
    snprintf(folder, sizeof folder, "%s", make_checkpoint("nanomoe", "bf16", true));
    alloc_test(scenario_convert, folder);
}

static void scenario_synth(void *argument)
{
    const char *folder = folder_fresh("scenario");
    const enum weir_status status = weir_synth_checkpoint(folder, argument, NULL);
    if (alloc_failed())
        CHECK(status == WEIR_ERR_MEMORY || status == WEIR_ERR_IO);
    else
        CHECK_INT(status, WEIR_OK);
    CHECK((access(folder, F_OK) == 0) == (status == WEIR_OK));
}

TEST(convert_synth_survives_failed_allocations)
{
    struct weir_synth_options options = synth_options("tinynext", "f16", true);
    alloc_test(scenario_synth, &options);
}
