/* SPDX-License-Identifier: MIT
 * Tests of F32 matrices that are held in BF16: only where that loses nothing, and then the model
 * computes the same to the bit as from a file that has them in BF16, in half the bytes.
 * Run alone: build/tests/weir-test narrow_ */
#include "golden/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/codec.h"
#include "format/gguf.h"
#include "run/engine.h"

/* Writes `from` anew with the routers' numbers rounded to BF16: in F32, or in BF16. */
static void write_routers(const char *from, const char *path, enum dtype dtype)
{
    struct weir_error err = {0};
    struct gguf *gguf;
    struct gguf_writer *writer;
    CHECK_OK(gguf_open(&gguf, from, &err), &err);
    CHECK_OK(gguf_writer_open(&writer, path, &err), &err);
    for (uint64_t i = 0; i < gguf->kv_count; i++)
        CHECK_OK(gguf_writer_copy(writer, &gguf->kv[i], &err), &err);
    for (uint64_t i = 0; i < gguf->tensor_count; i++) {
        const struct gguf_tensor *tensor = &gguf->tensors[i];
        const bool is_router = strstr(tensor->name, "ffn_gate_inp.weight") != NULL;
        CHECK_OK(gguf_writer_tensor(writer, tensor->name, is_router ? dtype : tensor->dtype,
                                    tensor->ne, GGUF_DIMS_MAX, &err),
                 &err);
    }
    CHECK_OK(gguf_writer_begin(writer, &err), &err);
    for (uint64_t i = 0; i < gguf->tensor_count; i++) {
        const struct gguf_tensor *tensor = &gguf->tensors[i];
        const uint8_t *data = gguf_tensor_data(gguf, tensor);
        if (strstr(tensor->name, "ffn_gate_inp.weight") == NULL) {
            CHECK_OK(gguf_writer_put(writer, data, tensor->bytes, &err), &err);
            continue;
        }
        for (uint64_t at = 0; at < tensor->bytes; at += sizeof(float)) {
            float value;
            uint8_t encoded[sizeof(float)];
            memcpy(&value, data + at, sizeof value);
            value = codec_from_bf16(codec_to_bf16(value));
            codec_encode_floats(dtype, &value, encoded, 1);
            CHECK_OK(gguf_writer_put(writer, encoded, dtype_row_bytes(dtype, 1), &err), &err);
        }
    }
    CHECK_OK(gguf_writer_commit(writer, &err), &err);
    gguf_writer_close(writer);
    gguf_close(gguf);
}

/* Logits of the 24 tokens (malloc), and the bytes of the plan's weights. */
static float *evaluate(const char *path, enum weir_load load, uint64_t *weight_bytes, size_t *size)
{
    struct weir_engine_options options;
    struct fixture fixture;
    uint32_t count;
    fixture_options(&options);
    options.load = load;
    options.check_tensors = true;
    fixture_open(&fixture, path, &options);
    int32_t *tokens = fixture_tokens(test_data("golden/tokens24.txt"), &count);
    float *logits = fixture_logits(&fixture, tokens, count, false);
    *weight_bytes = plan_weight_bytes(fixture.engine->blueprint.plan);
    CHECK_INT(fixture.engine->blueprint.memory.weights, *weight_bytes);
    *size = (size_t)count * fixture.vocab * sizeof *logits;
    free(tokens);
    fixture_close(&fixture);
    return logits;
}

static void synth(char *path, size_t size)
{
    struct weir_synth_options options;
    struct weir_error err = {0};
    weir_synth_options_init(&options);
    options.size = "nanomoe";
    options.type = "q8_0";
    snprintf(path, size, "%s", test_scratch("moe.gguf"));
    CHECK_OK(weir_synth(path, &options, &err), &err);
}

TEST(narrow_matrices_compute_the_same)
{
    char from[512], wide[512], small[512];
    synth(from, sizeof from);
    snprintf(wide, sizeof wide, "%s", test_scratch("wide.gguf"));
    snprintf(small, sizeof small, "%s", test_scratch("small.gguf"));
    write_routers(from, wide, DTYPE_F32);
    write_routers(from, small, DTYPE_BF16);
    for (int load = WEIR_LOAD_MAP; load <= WEIR_LOAD_READ; load++) {
        uint64_t narrowed, plain, kept;
        size_t size;
        float *a = evaluate(wide, (enum weir_load)load, &narrowed, &size);
        float *b = evaluate(small, (enum weir_load)load, &plain, &size);
        CHECK(memcmp(a, b, size) == 0);
        CHECK_INT(narrowed, plain);
        free(evaluate(from, (enum weir_load)load, &kept, &size));
        CHECK_INT(kept - narrowed, 4 * 8 * 64 * 2); /* layers, experts, width: not lossless there */
        free(a);
        free(b);
    }
}

static void append_text(void *user, const char *text, size_t length)
{
    char *all = user;
    const size_t used = strlen(all);
    CHECK(used + length < 65536);
    memcpy(all + used, text, length);
    all[used + length] = 0;
}

TEST(narrow_matrices_are_told)
{
    char from[512], wide[512], text[65536] = "";
    struct weir_model *model;
    struct weir_error err = {0};
    const struct weir_plan_shape shape = {.rows = 1, .sequences = 1};
    synth(from, sizeof from);
    snprintf(wide, sizeof wide, "%s", test_scratch("wide.gguf"));
    write_routers(from, wide, DTYPE_F32);
    CHECK_OK(weir_model_open(&model, wide, NULL, &err), &err);
    CHECK_OK(weir_model_print_weights(model, append_text, text, &err), &err);
    CHECK(strstr(text, "held as BF16, the same numbers") != NULL);
    text[0] = 0;
    CHECK_OK(weir_model_print_plan(model, NULL, &shape, append_text, text, &err), &err);
    CHECK(strstr(text, "saved: F32 held as BF16                4096") != NULL);
    weir_model_close(model);
}
