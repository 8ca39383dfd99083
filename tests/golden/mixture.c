/* SPDX-License-Identifier: MIT
 * Files that mix every type of weights: each matrix of a model in another type, dense and with
 * experts, gives to the bit the logits of the same numbers in F32.
 * Run alone: build/tests/weir-test mixture_ */
#include "golden/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/codec.h"
#include "format/gguf.h"
#include "quant/encode.h"

struct mixed {
    const struct gguf *from;
    enum dtype *dtype;           /* of each tensor in the mixed file */
    bool is_decoded;             /* all in F32 */
    uint32_t types[DTYPE_COUNT]; /* tensors of each type */
};

static bool is_matrix(const struct gguf_tensor *tensor)
{
    return tensor->ne[1] > 1 && strstr(tensor->name, "conv1d") == NULL;
}

/* Gives matrices the types in turn, each the next one that its rows are a multiple of. */
static void choose_types(struct mixed *mixed)
{
    uint32_t next = 0;
    for (uint64_t i = 0; i < mixed->from->tensor_count; i++) {
        const struct gguf_tensor *tensor = &mixed->from->tensors[i];
        mixed->dtype[i] = tensor->dtype;
        for (uint32_t tried = 0; is_matrix(tensor) && tried < DTYPE_COUNT; tried++) {
            const enum dtype dtype = (enum dtype)(next++ % DTYPE_COUNT);
            if (encode_support(dtype) == ENCODE_NOT ||
                tensor->ne[0] % dtype_info(dtype)->block != 0)
                continue;
            mixed->dtype[i] = dtype;
            break;
        }
        mixed->types[mixed->dtype[i]]++;
    }
}

/* Row after row: encoded, and in the decoded file decoded again. */
static void put_tensor(const struct mixed *mixed, uint64_t number, struct gguf_writer *writer)
{
    struct weir_error err = {0};
    const struct gguf_tensor *tensor = &mixed->from->tensors[number];
    const enum dtype dtype = mixed->dtype[number];
    const uint64_t width = tensor->ne[0], rows = tensor->ne[1] * tensor->ne[2];
    const float *values = gguf_tensor_data(mixed->from, tensor);
    float *importance = malloc(width * sizeof *importance), *row = malloc(width * sizeof *row);
    uint8_t *encoded = malloc(dtype_row_bytes(dtype, width));
    CHECK(importance != NULL && row != NULL && encoded != NULL);
    for (uint64_t i = 0; i < width; i++)
        importance[i] = 1 + (float)(i % 7);
    for (uint64_t r = 0; r < rows; r++) {
        encode_row(dtype, values + r * width, importance, encoded, width);
        codec_decode_row(dtype, encoded, row, width);
        CHECK_OK(mixed->is_decoded
                     ? gguf_writer_put(writer, row, width * sizeof *row, &err)
                     : gguf_writer_put(writer, encoded, dtype_row_bytes(dtype, width), &err),
                 &err);
    }
    free(importance);
    free(row);
    free(encoded);
}

static void write_mixed(const struct mixed *mixed, const char *path)
{
    struct weir_error err = {0};
    struct gguf_writer *writer;
    const struct gguf *from = mixed->from;
    CHECK_OK(gguf_writer_open(&writer, path, &err), &err);
    for (uint64_t i = 0; i < from->kv_count; i++)
        CHECK_OK(gguf_writer_copy(writer, &from->kv[i], &err), &err);
    for (uint64_t i = 0; i < from->tensor_count; i++)
        CHECK_OK(gguf_writer_tensor(writer, from->tensors[i].name,
                                    mixed->is_decoded ? DTYPE_F32 : mixed->dtype[i],
                                    from->tensors[i].ne, GGUF_DIMS_MAX, &err),
                 &err);
    CHECK_OK(gguf_writer_begin(writer, &err), &err);
    for (uint64_t i = 0; i < from->tensor_count; i++)
        put_tensor(mixed, i, writer);
    CHECK_OK(gguf_writer_commit(writer, &err), &err);
    gguf_writer_close(writer);
}

/* The logits of the 24 tokens; malloc. */
static float *evaluate(const char *path, size_t *size)
{
    struct weir_engine_options options;
    struct fixture fixture;
    uint32_t count;
    fixture_options(&options);
    fixture_open(&fixture, path, &options);
    int32_t *tokens = fixture_tokens(test_data("golden/tokens24.txt"), &count);
    float *logits = fixture_logits(&fixture, tokens, count, false);
    *size = (size_t)count * fixture.vocab * sizeof *logits;
    free(tokens);
    fixture_close(&fixture);
    return logits;
}

/* Returns the number of types that the file had. */
static uint32_t check_mixture(const char *model)
{
    struct weir_error err = {0};
    struct weir_synth_options synth;
    struct gguf *gguf;
    char from[512], path[512], decoded[512];
    snprintf(from, sizeof from, "%s", test_scratch("from.gguf"));
    snprintf(path, sizeof path, "%s", test_scratch("mixed.gguf"));
    snprintf(decoded, sizeof decoded, "%s", test_scratch("decoded.gguf"));
    weir_synth_options_init(&synth);
    synth.size = model;
    synth.type = "f32";
    CHECK_OK(weir_synth(from, &synth, &err), &err);
    CHECK_OK(gguf_open(&gguf, from, &err), &err);
    struct mixed mixed = {.from = gguf, .dtype = calloc(gguf->tensor_count, sizeof(enum dtype))};
    CHECK(mixed.dtype != NULL);
    choose_types(&mixed);
    write_mixed(&mixed, path);
    mixed.is_decoded = true;
    write_mixed(&mixed, decoded);
    size_t size;
    float *a = evaluate(path, &size), *b = evaluate(decoded, &size);
    CHECK(memcmp(a, b, size) == 0);
    uint32_t types = 0;
    for (int i = 0; i < DTYPE_COUNT; i++)
        types += mixed.types[i] > 0;
    free(a);
    free(b);
    free(mixed.dtype);
    gguf_close(gguf);
    return types;
}

TEST(mixture_of_all_types_computes_what_it_holds)
{
    test_skip_if_sanitized();
    uint32_t encodable = 0;
    for (int i = 0; i < DTYPE_COUNT; i++)
        encodable += encode_support((enum dtype)i) != ENCODE_NOT;
    CHECK_INT(check_mixture("tiny"), encodable);
    CHECK_INT(check_mixture("tinymoe"), encodable);
}
