/* SPDX-License-Identifier: MIT
 * Tests of the quantizer, from file to file. Run alone: build/tests/weir-test quantize_ */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "cli/program.h"
#include "format/codec.h"
#include "format/imatrix.h"
#include "quant/encode.h"
#include "quant/recipe.h"
#include "test.h"

enum { ROWS = 16, COLUMNS = 512 }; /* of the vectors */

/* A path that stays: those of test_scratch rotate. */
struct path {
    char text[512];
};

static struct path keep(const char *path)
{
    struct path kept;
    CHECK(strlen(path) < sizeof kept.text);
    snprintf(kept.text, sizeof kept.text, "%s", path);
    return kept;
}

/* ---- files by hand --------------------------------------------------------------------------- */

struct tensor {
    const char *name;
    enum dtype dtype;
    uint64_t ne[3]; /* 0 behind the last */
    const void *data;
};

/* Where a file stands among splits; count 0: alone. */
struct place {
    uint16_t no, count;
    int32_t tensors;
};

static uint32_t dims_of(const struct tensor *tensor)
{
    uint32_t dims = 1;
    while (dims < 3 && tensor->ne[dims] > 0)
        dims++;
    return dims;
}

static uint64_t bytes_of(const struct tensor *tensor)
{
    uint64_t rows = 1;
    for (uint32_t i = 1; i < dims_of(tensor); i++)
        rows *= tensor->ne[i];
    return dtype_row_bytes(tensor->dtype, tensor->ne[0]) * rows;
}

static void put_keys(struct gguf_writer *writer, struct weir_error *err)
{
    CHECK_OK(gguf_writer_text(writer, "general.architecture", "qwen35moe", err), err);
    CHECK_OK(gguf_writer_u32(writer, "general.file_type", 0, err), err);
    CHECK_OK(gguf_writer_text(writer, "general.name", "hand", err), err);
    CHECK_OK(gguf_writer_u32(writer, "general.alignment", 32, err), err);
    CHECK_OK(gguf_writer_u32(writer, "qwen35moe.block_count", 4, err), err);
    CHECK_OK(gguf_writer_u32(writer, "qwen35moe.attention.head_count", 8, err), err);
}

static void write_part(const char *path, const struct place *place, const struct tensor *tensors,
                       int count)
{
    struct weir_error err = {0};
    struct gguf_writer *writer;
    CHECK_OK(gguf_writer_open(&writer, path, &err), &err);
    if (place->no == 0)
        put_keys(writer, &err);
    if (place->count > 0) {
        CHECK_OK(gguf_writer_u16(writer, "split.no", place->no, &err), &err);
        CHECK_OK(gguf_writer_u16(writer, "split.count", place->count, &err), &err);
        CHECK_OK(gguf_writer_i32(writer, "split.tensors.count", place->tensors, &err), &err);
    }
    for (int i = 0; i < count; i++)
        CHECK_OK(gguf_writer_tensor(writer, tensors[i].name, tensors[i].dtype, tensors[i].ne,
                                    dims_of(&tensors[i]), &err),
                 &err);
    CHECK_OK(gguf_writer_begin(writer, &err), &err);
    for (int i = 0; i < count; i++)
        CHECK_OK(gguf_writer_put(writer, tensors[i].data, bytes_of(&tensors[i]), &err), &err);
    CHECK_OK(gguf_writer_commit(writer, &err), &err);
    gguf_writer_close(writer);
}

static const char *write_model(const char *name, const struct tensor *tensors, int count)
{
    const struct place alone = {0, 0, 0};
    const char *path = test_scratch(name);
    write_part(path, &alone, tensors, count);
    return path;
}

static float *vectors(void)
{
    size_t size;
    float *values = (float *)test_read_file(test_data("quant/input.f32.bin"), &size);
    CHECK_INT(size, ROWS * COLUMNS * sizeof *values);
    return values;
}

/* A model of one matrix, the rows of the vectors. */
static const char *write_vectors(const char *file, const char *name)
{
    float *values = vectors();
    const struct tensor tensor = {name, DTYPE_F32, {COLUMNS, ROWS}, values};
    const char *path = write_model(file, &tensor, 1);
    free(values);
    return path;
}

/* The importance of the vectors as a file: sums of `counts` tokens whose mean it is. */
static const char *write_importance_of(const char *file, const char *name, const char *dataset)
{
    size_t size;
    struct weir_error err = {0};
    struct imatrix imatrix;
    struct imatrix_entry *entry;
    float *values = (float *)test_read_file(test_data("quant/imatrix.f32.bin"), &size);
    imatrix_init(&imatrix);
    imatrix.chunk_count = 3;
    CHECK_OK(imatrix_add_dataset(&imatrix, span_from(dataset), &err), &err);
    CHECK_OK(imatrix_add(&imatrix, name, COLUMNS, 1, &entry, &err), &err);
    entry->counts[0] = 4;
    for (int i = 0; i < COLUMNS; i++)
        entry->sums[i] = 4 * values[i]; /* exact, and so is the mean */
    const char *path = test_scratch(file);
    CHECK_OK(imatrix_write(&imatrix, path, &err), &err);
    imatrix_release(&imatrix);
    free(values);
    return path;
}

static const char *write_importance(const char *file, const char *name)
{
    return write_importance_of(file, name, "words.txt");
}

static struct weir_quantize_options defaults(void)
{
    struct weir_quantize_options options;
    weir_quantize_options_init(&options);
    options.threads = 2;
    return options;
}

static struct gguf *quantize_to(const char *out, const char *in, const char *type,
                                const struct weir_quantize_options *options)
{
    struct weir_error err = {0};
    struct gguf *gguf;
    CHECK_OK(weir_quantize(in, out, type, options, &err), &err);
    CHECK_OK(gguf_open(&gguf, out, &err), &err);
    return gguf;
}

static struct gguf *quantize(const char *in, const char *type,
                             const struct weir_quantize_options *options)
{
    return quantize_to(test_scratch("out.gguf"), in, type, options);
}

static void check_refused(const char *in, const char *type,
                          const struct weir_quantize_options *options, const char *text)
{
    const char *out = test_scratch("refused.gguf");
    struct weir_error err = {0};
    CHECK(weir_quantize(in, out, type, options, &err) != WEIR_OK);
    if (strstr(err.text, text) == NULL)
        test_fail(__FILE__, __LINE__, "\"%s\" is not in \"%s\"", text, err.text);
    CHECK_INT(program_count_files(out), 0);
}

/* ---- the vectors, through a file ------------------------------------------------------------- */

/* Where the reference itself errs; see encode.c. */
static bool row_is_misplaced(enum dtype dtype, int row)
{
    return dtype == DTYPE_IQ3_S && row == 10;
}

static void check_vector_bytes(const struct gguf *gguf, const char *name, enum dtype dtype,
                               const char *folder)
{
    char path[64];
    size_t size;
    const size_t row_bytes = dtype_row_bytes(dtype, COLUMNS);
    snprintf(path, sizeof path, "quant/%s/%s.bin", folder, dtype_info(dtype)->name);
    uint8_t *expected = test_read_file(test_data(path), &size);
    const struct gguf_tensor *tensor = gguf_find_tensor(gguf, name);
    CHECK(tensor != NULL);
    CHECK_TEXT(dtype_info(tensor->dtype)->name, dtype_info(dtype)->name);
    CHECK_INT(tensor->bytes, size);
    const uint8_t *data = gguf_tensor_data(gguf, tensor);
    for (int row = 0; row < ROWS; row++) {
        const size_t at = row * row_bytes;
        if (!row_is_misplaced(dtype, row) && memcmp(data + at, expected + at, row_bytes) != 0)
            test_fail(__FILE__, __LINE__, "%s %s: row %d differs", folder, dtype_info(dtype)->name,
                      row);
    }
    free(expected);
}

static bool has_vectors(const char *folder, enum dtype dtype)
{
    char path[64];
    snprintf(path, sizeof path, "quant/%s/%s.bin", folder, dtype_info(dtype)->name);
    return access(test_data(path), R_OK) == 0;
}

/* A mixture whose own type it is, or NULL. */
static const char *pure_recipe(enum dtype dtype)
{
    size_t count;
    const struct recipe *recipes = recipe_list(&count);
    for (size_t i = 0; i < count; i++) {
        if (recipes[i].dtype == dtype)
            return recipes[i].name;
    }
    return NULL;
}

/* Each type that a mixture is made of, or else by a pattern. */
static struct gguf *quantize_purely(const char *in, enum dtype dtype,
                                    struct weir_quantize_options options)
{
    static char pattern[64];
    static const char *const patterns[] = {pattern};
    const char *recipe = pure_recipe(dtype);
    options.pure = recipe != NULL;
    if (recipe == NULL) {
        snprintf(pattern, sizeof pattern, ".*=%s", dtype_info(dtype)->name);
        options.tensor_types = patterns;
        options.tensor_types_count = 1;
    }
    return quantize(in, recipe != NULL ? recipe : "Q8_0", &options);
}

TEST(quantize_vectors_plain)
{
    /* the types that ask for importance everywhere else do not for the embedding */
    static const char name[] = "token_embd.weight";
    const struct path in = keep(write_vectors("plain.gguf", name));
    int types = 0;
    for (int i = 0; i < DTYPE_COUNT; i++) {
        const enum dtype dtype = (enum dtype)i;
        if (encode_support(dtype) != ENCODE_PLAIN || dtype == DTYPE_F32 || !has_vectors("q", dtype))
            continue;
        struct gguf *gguf = quantize_purely(in.text, dtype, defaults());
        check_vector_bytes(gguf, name, dtype, "q");
        gguf_close(gguf);
        types++;
    }
    CHECK(types >= 18);
}

TEST(quantize_vectors_weighted)
{
    static const char name[] = "blk.0.ffn_up.weight";
    const struct path in = keep(write_vectors("weighted.gguf", name));
    const struct path importance = keep(write_importance("weighted.imatrix", name));
    struct weir_quantize_options options = defaults();
    options.imatrix = importance.text;
    int types = 0;
    for (int i = 0; i < DTYPE_COUNT; i++) {
        const enum dtype dtype = (enum dtype)i;
        if (encode_support(dtype) == ENCODE_NOT || !has_vectors("qi", dtype))
            continue;
        struct gguf *gguf = quantize_purely(in.text, dtype, options);
        check_vector_bytes(gguf, name, dtype, "qi");
        gguf_close(gguf);
        types++;
    }
    CHECK(types >= 11);
}

/* Importance can be left out for some tensors, by parts of their names. */
TEST(quantize_selects_importance)
{
    static const char name[] = "blk.0.ffn_up.weight";
    static const char *const other[] = {"attn_", "output"}, *const same[] = {"attn_", "ffn_up"};
    const struct path in = keep(write_vectors("selected.gguf", name));
    const struct path importance = keep(write_importance("selected.imatrix", name));
    struct weir_quantize_options options = defaults();
    options.pure = true;
    options.imatrix = importance.text;
    for (int i = 0; i < 4; i++) {
        const char *const *parts = i % 2 == 0 ? other : same;
        options.include_weights = i < 2 ? parts : NULL;
        options.include_weights_count = i < 2 ? 2 : 0;
        options.exclude_weights = i < 2 ? NULL : parts;
        options.exclude_weights_count = i < 2 ? 0 : 2;
        const bool used = i == 1 || i == 2;
        struct gguf *gguf = quantize(in.text, "Q4_0", &options);
        check_vector_bytes(gguf, name, DTYPE_Q4_0, used ? "qi" : "q");
        uint32_t entries = 99;
        gguf_get_u32(gguf, "quantize.imatrix.entries_count", &entries, NULL);
        CHECK_INT(entries, used);
        gguf_close(gguf);
    }
    options.include_weights = same;
    options.include_weights_count = 1;
    check_refused(in.text, "Q4_0", &options, "can be included or excluded, not both");
    options.imatrix = NULL;
    options.exclude_weights_count = 0;
    check_refused(in.text, "Q4_0", &options, "included or excluded without an importance matrix");
}

TEST(quantize_importance_of_another_shape)
{
    struct weir_quantize_options options = defaults();
    float *values = calloc(256 * 2, sizeof *values);
    struct tensor tensor = {"blk.0.ffn_up.weight", DTYPE_F32, {256, 2}, values};
    options.pure = true;
    options.imatrix = write_importance("shape.imatrix", tensor.name);
    check_refused(write_model("shape.gguf", &tensor, 1), "Q4_0", &options,
                  "entry blk.0.ffn_up.weight has 512 values, expected 256");
    tensor.name = "token_embd.weight"; /* whose entry is of no use */
    options.imatrix = write_importance("shape.imatrix", tensor.name);
    gguf_close(quantize(write_model("shape.gguf", &tensor, 1), "Q4_0", &options));
    free(values);
}

TEST(quantize_importance_that_is_needed)
{
    const struct path in = keep(write_vectors("needed.gguf", "blk.0.ffn_up.weight"));
    const struct weir_quantize_options options = defaults();
    check_refused(in.text, "IQ2_M", &options,
                  "tensor blk.0.ffn_up.weight: type IQ2_S needs an importance matrix");
    check_refused(in.text, "IQ3_XXS", &options, "type IQ3_XXS needs an importance matrix");
    check_refused(in.text, "Q2_K_S", &options, "type Q2_K needs an importance matrix");
    gguf_close(quantize(in.text, "Q2_K", &options));
}

/* ---- other inputs ---------------------------------------------------------------------------- */

/* The same numbers give the same blocks, whatever type they come in. */
TEST(quantize_from_16_bits)
{
    static const enum dtype types[] = {DTYPE_F16, DTYPE_BF16};
    float *values = vectors(), *rounded = malloc(ROWS * COLUMNS * sizeof *rounded);
    uint16_t *halves = malloc(ROWS * COLUMNS * sizeof *halves);
    CHECK(rounded != NULL && halves != NULL);
    for (int i = 0; i < 2; i++) {
        codec_encode_floats(types[i], values, halves, ROWS * COLUMNS);
        codec_decode_row(types[i], halves, rounded, ROWS * COLUMNS);
        struct tensor tensor = {"blk.0.ffn_up.weight", types[i], {COLUMNS, ROWS}, halves};
        struct gguf *from_halves =
            quantize_to(test_scratch("a.gguf"), write_model("h.gguf", &tensor, 1), "Q4_K_M", NULL);
        tensor = (struct tensor){tensor.name, DTYPE_F32, {COLUMNS, ROWS}, rounded};
        struct gguf *from_floats =
            quantize_to(test_scratch("b.gguf"), write_model("f.gguf", &tensor, 1), "Q4_K_M", NULL);
        CHECK_INT(from_halves->tensors[0].dtype, DTYPE_Q4_K);
        CHECK(memcmp(gguf_tensor_data(from_halves, &from_halves->tensors[0]),
                     gguf_tensor_data(from_floats, &from_floats->tensors[0]),
                     from_floats->tensors[0].bytes) == 0);
        gguf_close(from_halves);
        gguf_close(from_floats);
    }
    free(halves);
    free(rounded);
    free(values);
}

enum { EXPERTS = 3, EXPERT_ROWS = 4 };

/* Each expert is met by other tokens: its rows go with its own part of the entry. */
TEST(quantize_experts_by_slices)
{
    static const char name[] = "blk.0.ffn_down_exps.weight";
    struct weir_error err = {0};
    struct weir_quantize_options options = defaults();
    struct imatrix imatrix;
    struct imatrix_entry *entry;
    float *values = vectors();
    imatrix_init(&imatrix);
    CHECK_OK(imatrix_add(&imatrix, name, COLUMNS, EXPERTS, &entry, &err), &err);
    for (int i = 0; i < COLUMNS * EXPERTS; i++)
        entry->sums[i] = (float)(1 + i * 7919 % 101);
    for (int expert = 0; expert < EXPERTS; expert++)
        entry->counts[expert] = (float)(expert * 3); /* the first was met by none */
    const char *imatrix_path = test_scratch("experts.imatrix");
    CHECK_OK(imatrix_write(&imatrix, imatrix_path, &err), &err);
    const struct tensor tensor = {name, DTYPE_F32, {COLUMNS, EXPERT_ROWS, EXPERTS}, values};
    options.pure = true;
    options.imatrix = imatrix_path;
    struct gguf *gguf = quantize(write_model("experts.gguf", &tensor, 1), "Q4_K_M", &options);
    const uint8_t *data = gguf_tensor_data(gguf, &gguf->tensors[0]);
    const size_t row_bytes = dtype_row_bytes(DTYPE_Q4_K, COLUMNS);
    CHECK_INT(gguf->tensors[0].ne[2], EXPERTS);
    for (int row = 0; row < EXPERTS * EXPERT_ROWS; row++) {
        uint8_t expected[2 * 144];
        float importance[COLUMNS];
        imatrix_weights(entry, (uint64_t)(row / EXPERT_ROWS) * COLUMNS, COLUMNS, importance);
        encode_row(DTYPE_Q4_K, values + row * COLUMNS, importance, expected, COLUMNS);
        CHECK(memcmp(data + row * row_bytes, expected, row_bytes) == 0);
    }
    gguf_close(gguf);
    imatrix_release(&imatrix);
    free(values);
}

/* Writes the vectors as two matrices in two splits; returns the first, and the whole in *whole. */
static const char *write_splits(const char **whole)
{
    const char *first = test_scratch("split-00001-of-00002.gguf");
    float *values = vectors();
    const struct tensor tensors[] = {
        {"blk.1.ffn_down.weight", DTYPE_F32, {COLUMNS, ROWS / 2}, values},
        {"blk.0.ffn_down.weight", DTYPE_F32, {COLUMNS, ROWS / 2}, values + ROWS / 2 * COLUMNS},
    };
    const struct place places[] = {{0, 2, 2}, {1, 2, 2}};
    write_part(first, &places[0], &tensors[0], 1);
    write_part(test_scratch("split-00002-of-00002.gguf"), &places[1], &tensors[1], 1);
    *whole = write_model("whole.gguf", tensors, 2);
    free(values);
    return first;
}

static void check_files_equal(const char *path, const char *other)
{
    size_t size, other_size;
    uint8_t *data = test_read_file(path, &size), *other_data = test_read_file(other, &other_size);
    CHECK_INT(size, other_size);
    CHECK(memcmp(data, other_data, size) == 0);
    free(data);
    free(other_data);
}

TEST(quantize_joins_splits)
{
    const char *whole, *first = write_splits(&whole);
    const struct path out = keep(test_scratch("joined.gguf"));
    const struct path other = keep(test_scratch("unsplit.gguf"));
    struct gguf *gguf = quantize_to(out.text, first, "Q4_K_M", NULL);
    CHECK_INT(gguf->tensor_count, 2);
    CHECK_TEXT(gguf->tensors[0].name, "blk.0.ffn_down.weight");
    CHECK(gguf_find(gguf, "split.count") == NULL);
    gguf_close(gguf);
    gguf_close(quantize_to(other.text, whole, "Q4_K_M", NULL));
    check_files_equal(out.text, other.text);
    struct weir_error err = {0};
    CHECK_INT(weir_quantize(first, test_scratch("split-00002-of-00002.gguf"), "Q4_0", NULL, &err),
              WEIR_ERR_ARGUMENT);
    CHECK(strstr(err.text, "is read from, so it cannot be written to") != NULL);
}

/* ---- whole models ---------------------------------------------------------------------------- */

static const char *synthesize(const char *file, const char *size, const char *type)
{
    struct weir_synth_options options;
    struct weir_error err = {0};
    const char *path = test_scratch(file);
    weir_synth_options_init(&options);
    options.size = size;
    options.type = type;
    options.mtp = true;
    CHECK_OK(weir_synth(path, &options, &err), &err);
    return path;
}

TEST(quantize_threads_do_not_show)
{
    const struct path in = keep(synthesize("threads.gguf", "tiny", "f32"));
    const struct path one = keep(test_scratch("one.gguf")), four = keep(test_scratch("four.gguf"));
    struct weir_quantize_options options = defaults();
    static const char *const types[] = {"Q4_K_M", "Q4_K_H", "Q8_0", "BF16"};
    for (int i = 0; i < 4; i++) {
        options.threads = 1;
        gguf_close(quantize_to(one.text, in.text, types[i], &options));
        options.threads = 4;
        gguf_close(quantize_to(four.text, in.text, types[i], &options));
        check_files_equal(one.text, four.text);
    }
}

static void print_nothing(void *user, const char *text, size_t length)
{
    (void)user, (void)text, (void)length;
}

TEST(quantize_models_can_be_opened)
{
    static const struct {
        const char *size, *type;
    } cases[] = {{"tiny", "Q4_K_M"},    {"tiny", "Q4_K_H"},    {"nano", "Q4_0"},
                 {"nano", "Q5_K_S"},    {"nano", "IQ4_XS"},    {"nanomoe", "Q4_K_M"},
                 {"nanomoe", "Q4_K_H"}, {"nanomoe", "IQ4_XS"}, {"tinymoe", "MXFP4_MOE"},
                 {"tinymoe", "Q5_1"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weir_error err = {0};
        struct weir_model *model;
        const char *in = synthesize("model.gguf", cases[i].size, "f32");
        struct gguf *gguf = quantize(in, cases[i].type, NULL);
        CHECK_INT(gguf->version, 3);
        gguf_close(gguf);
        CHECK_OK(weir_model_open(&model, test_scratch("out.gguf"), NULL, &err), &err);
        CHECK_OK(weir_model_print_weights(model, print_nothing, NULL, &err), &err);
        weir_model_close(model);
    }
}

TEST(quantize_copy_changes_nothing)
{
    const struct path in = keep(synthesize("copy.gguf", "tiny", "q4_k"));
    struct gguf *gguf = quantize(in.text, "COPY", NULL), *original;
    struct weir_error err = {0};
    CHECK_OK(gguf_open(&original, in.text, &err), &err);
    CHECK_INT(gguf->kv_count, original->kv_count);
    CHECK_INT(gguf->tensor_count, original->tensor_count);
    for (uint64_t i = 0; i < original->tensor_count; i++) {
        const struct gguf_tensor *expected = &original->tensors[i];
        const struct gguf_tensor *tensor = gguf_find_tensor(gguf, expected->name);
        CHECK_INT(tensor->dtype, expected->dtype);
        CHECK(memcmp(gguf_tensor_data(gguf, tensor), gguf_tensor_data(original, expected),
                     expected->bytes) == 0);
    }
    gguf_close(gguf);
    gguf_close(original);
}

TEST(quantize_once_more_must_be_allowed)
{
    const struct path in = keep(synthesize("again.gguf", "tiny", "q8_0"));
    struct weir_quantize_options options = defaults();
    check_refused(in.text, "Q4_0", &options, "is quantized already, as Q8_0");
    gguf_close(quantize(in.text, "COPY", &options));
    options.allow_requantize = true;
    struct gguf *gguf = quantize(in.text, "Q4_0", &options);
    CHECK_INT(gguf_find_tensor(gguf, "blk.0.ffn_up.weight")->dtype, DTYPE_Q4_0);
    gguf_close(gguf);
    gguf = quantize(in.text, "F16", &options);
    CHECK_INT(gguf_find_tensor(gguf, "blk.0.ffn_up.weight")->dtype, DTYPE_F16);
    gguf_close(gguf);
}

/* ---- metadata -------------------------------------------------------------------------------- */

static void check_keys(const struct gguf *gguf, const char *const *keys)
{
    uint64_t count = 0;
    for (; keys[count] != NULL; count++) {
        CHECK(count < gguf->kv_count);
        if (!span_equals(gguf->kv[count].key, keys[count]))
            test_fail(__FILE__, __LINE__, "key %d is %.*s, not %s", (int)count,
                      (int)gguf->kv[count].key.length, (const char *)gguf->kv[count].key.data,
                      keys[count]);
    }
    CHECK_INT(gguf->kv_count, count);
}

static void check_u32(const struct gguf *gguf, const char *key, uint32_t expected)
{
    const struct gguf_kv *kv = gguf_find(gguf, key);
    uint32_t value = 0;
    CHECK(kv != NULL);
    CHECK_INT(kv->type, GGUF_U32);
    CHECK_OK(gguf_get_u32(gguf, key, &value, NULL), (&(struct weir_error){0}));
    CHECK_INT(value, expected);
}

static void check_text(const struct gguf *gguf, const char *key, const char *expected)
{
    struct span text = {0};
    CHECK_OK(gguf_get_text(gguf, key, &text, NULL), (&(struct weir_error){0}));
    CHECK(span_equals(text, expected));
}

TEST(quantize_metadata_in_order)
{
    static const char name[] = "blk.0.ffn_up.weight";
    static const char *const plain[] = {"general.architecture",
                                        "general.name",
                                        "qwen35moe.block_count",
                                        "qwen35moe.attention.head_count",
                                        "general.quantization_version",
                                        "general.file_type",
                                        NULL};
    static const char *const full[] = {"general.architecture",
                                       "qwen35moe.block_count",
                                       "general.quantization_version",
                                       "qwen35moe.attention.head_count",
                                       "general.name",
                                       "general.file_type",
                                       "hand.real",
                                       "hand.low",
                                       "quantize.imatrix.file",
                                       "quantize.imatrix.dataset",
                                       "quantize.imatrix.entries_count",
                                       "quantize.imatrix.chunks_count",
                                       NULL};
    static const char *const overrides[] = {"qwen35moe.attention.head_count=int:16",
                                            "general.name=str:a",
                                            "general.file_type=int:9",
                                            "hand.real=float:0.5",
                                            "hand.low=int:-3",
                                            "general.name=str:b"};
    const struct path in = keep(write_vectors("keys.gguf", name));
    struct weir_quantize_options options = defaults();
    struct gguf *gguf = quantize(in.text, "Q5_K_M", &options);
    check_keys(gguf, plain);
    check_u32(gguf, "general.quantization_version", 2);
    check_u32(gguf, "general.file_type", 17);
    gguf_close(gguf);
    options.overrides = overrides;
    options.overrides_count = 6;
    const struct path importance = keep(write_importance("keys.imatrix", name));
    options.imatrix = importance.text;
    gguf = quantize(in.text, "Q4_K_H", &options);
    check_keys(gguf, full);
    check_u32(gguf, "qwen35moe.attention.head_count", 16);
    check_u32(gguf, "general.file_type", 9);
    check_text(gguf, "general.name", "b");
    CHECK_INT(gguf_find(gguf, "hand.real")->type, GGUF_F32);
    CHECK_INT(gguf_find(gguf, "hand.low")->type, GGUF_I32);
    check_text(gguf, "quantize.imatrix.file", options.imatrix);
    check_text(gguf, "quantize.imatrix.dataset", "words.txt");
    check_u32(gguf, "quantize.imatrix.entries_count", 1);
    check_u32(gguf, "quantize.imatrix.chunks_count", 3);
    gguf_close(gguf);
    options.overrides = (const char *const[]){
        "quantize.imatrix.file=str:mine", "quantize.imatrix.dataset=str:x",
        "quantize.imatrix.entries_count=int:7", "quantize.imatrix.chunks_count=int:8"};
    options.overrides_count = 4;
    gguf = quantize(in.text, "Q4_0", &options);
    check_text(gguf, "quantize.imatrix.file", "mine");
    check_text(gguf, "quantize.imatrix.dataset", "x");
    check_u32(gguf, "quantize.imatrix.entries_count", 7);
    check_u32(gguf, "quantize.imatrix.chunks_count", 8);
    gguf_close(gguf);
    options.overrides = (const char *const[]){"a=int:5000000000"};
    options.overrides_count = 1;
    check_refused(in.text, "Q4_0", &options, "override of a: 5000000000 does not fit 32 bits");
    options.overrides = (const char *const[]){"a=float:-1e39"};
    check_refused(in.text, "Q4_0", &options, "override of a: -1e+39 does not fit 32 bits");
}

/* At most 127 bytes, and no part of a character. */
TEST(quantize_cuts_texts_between_characters)
{
    static const char name[] = "blk.0.ffn_up.weight";
    const struct path in = keep(write_vectors("texts.gguf", name));
    struct weir_quantize_options options = defaults();
    for (size_t before = 0; before < 3; before++) {
        char dataset[200] = "";
        memset(dataset, 'a', before);
        while (strlen(dataset) < 150)
            strcat(dataset, "\xe4\xb8\xad");
        const struct path importance = keep(write_importance_of("texts.imatrix", name, dataset));
        options.imatrix = importance.text;
        struct gguf *gguf = quantize(in.text, "Q4_0", &options);
        dataset[before + (127 - before) / 3 * 3] = 0;
        check_text(gguf, "quantize.imatrix.dataset", dataset);
        gguf_close(gguf);
    }
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void write_other_kind(const char *path, const char *architecture, const char *kind)
{
    struct weir_error err = {0};
    struct gguf_writer *writer;
    CHECK_OK(gguf_writer_open(&writer, path, &err), &err);
    CHECK_OK(gguf_writer_text(writer, "general.architecture", architecture, &err), &err);
    CHECK_OK(gguf_writer_text(writer, "general.type", kind, &err), &err);
    CHECK_OK(gguf_writer_begin(writer, &err), &err);
    CHECK_OK(gguf_writer_commit(writer, &err), &err);
    gguf_writer_close(writer);
}

TEST(quantize_refuses_what_is_no_model)
{
    const char *path = test_scratch("kind.gguf");
    write_other_kind(path, "clip", "mmproj");
    check_refused(path, "Q4_0", NULL, "general.type is \"mmproj\", expected model");
    write_other_kind(path, "llama", "model");
    check_refused(path, "Q4_0", NULL,
                  "architecture \"llama\" is not supported, expected qwen35, qwen35moe or");
    write_other_kind(path, "qwen35", "model");
    check_refused(path, "Q4_0", NULL, "key qwen35.block_count is missing, or 0");
    check_refused("/nowhere/x.gguf", "Q4_0", NULL, "/nowhere/x.gguf: cannot open");
}

TEST(quantize_refuses_bad_options)
{
    const struct path in = keep(write_vectors("options.gguf", "blk.0.ffn_up.weight"));
    struct weir_quantize_options options = defaults();
    check_refused(in.text, "Q9", &options, "unknown type \"Q9\", expected one of F32, F16, ");
    options.threads = 5000;
    check_refused(in.text, "Q4_0", &options, "the number of threads is 5000, expected 0 to 1024");
    options = defaults();
    options.output_type = "Q4_K_M";
    check_refused(in.text, "Q4_0", &options,
                  "unknown tensor type \"Q4_K_M\", expected one of F32, ");
    options = defaults();
    options.imatrix = in.text;
    check_refused(in.text, "Q4_0", &options,
                  "no importance matrix: key imatrix.datasets is missing");
    static const struct {
        const char *text, *refusal;
    } patterns[] = {
        {"ffn_up", "tensor type \"ffn_up\": expected PATTERN=TYPE"},
        {"=Q8_0", "tensor type \"=Q8_0\": expected PATTERN=TYPE"},
        {"ffn_up=", "unknown tensor type \"\""},
        {"ffn_(=Q8_0", "tensor type \"ffn_(=Q8_0\": no regular expression: "},
    };
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        options = defaults();
        options.tensor_types = &patterns[i].text;
        options.tensor_types_count = 1;
        check_refused(in.text, "Q4_0", &options, patterns[i].refusal);
    }
}

TEST(quantize_refuses_its_own_input)
{
    const struct path in = keep(write_vectors("own.gguf", "blk.0.ffn_up.weight"));
    const char *link_path = test_scratch("link.gguf");
    size_t size;
    CHECK_INT(symlink(in.text, link_path), 0);
    struct weir_error err = {0};
    CHECK_INT(weir_quantize(in.text, in.text, "Q4_0", NULL, &err), WEIR_ERR_ARGUMENT);
    CHECK_INT(weir_quantize(in.text, link_path, "Q4_0", NULL, NULL), WEIR_ERR_ARGUMENT);
    CHECK(strstr(err.text, "is read from, so it cannot be written to") != NULL);
    free(test_read_file(in.text, &size));
    CHECK(size > ROWS * COLUMNS * 4);
}

/* A number that is none ends the run, wherever it stands and whatever becomes of it. */
TEST(quantize_refuses_bad_numbers)
{
    static const char *const names[] = {"blk.0.ffn_up.weight", "blk.0.attn_norm.weight"};
    static const uint32_t bad[] = {0x7f800000, 0x7fc00000, 0xff800001};
    float *values = vectors();
    for (int i = 0; i < 6; i++) {
        float *changed = malloc(ROWS * COLUMNS * sizeof *changed);
        char text[128];
        memcpy(changed, values, ROWS * COLUMNS * sizeof *changed);
        memcpy(&changed[5 * COLUMNS + 77], &bad[i % 3], sizeof *changed);
        const struct tensor tensor = {names[i / 3], DTYPE_F32, {COLUMNS, ROWS}, changed};
        snprintf(text, sizeof text, "tensor %s: holds Inf, NaN or an invalid scale", names[i / 3]);
        check_refused(write_model("bad.gguf", &tensor, 1), "Q4_K_M", NULL, text);
        free(changed);
    }
    values[3] = 1e30f;
    const struct tensor tensor = {names[0], DTYPE_F32, {COLUMNS, ROWS}, values};
    check_refused(write_model("bad.gguf", &tensor, 1), "Q8_0", NULL,
                  "tensor blk.0.ffn_up.weight: holds numbers too large for the scales of Q8_0");
    free(values);
}

static bool stop_later(void *user, enum weir_stage stage, uint64_t done, uint64_t total)
{
    uint64_t *calls = user;
    CHECK_INT(stage, WEIR_STAGE_WRITE);
    CHECK(done <= total);
    return (*calls)-- > 0;
}

TEST(quantize_can_be_cancelled)
{
    const struct path in = keep(synthesize("cancel.gguf", "nano", "f32"));
    struct weir_quantize_options options = defaults();
    options.progress = stop_later;
    for (uint64_t allowed = 0; allowed < 10; allowed += 3) {
        uint64_t calls = allowed;
        options.progress_user = &calls;
        check_refused(in.text, "Q4_0", &options, "refused.gguf: cancelled after ");
    }
}

struct lines {
    char text[2048];
};

static void keep_line(void *user, enum weir_log_level level, const char *line)
{
    struct lines *lines = user;
    CHECK_INT(level, WEIR_LOG_WARNING);
    const size_t used = strlen(lines->text);
    snprintf(lines->text + used, sizeof lines->text - used, "%s\n", line);
}

TEST(quantize_warns)
{
    struct lines lines = {""};
    struct weir_quantize_options options = defaults();
    options.log = keep_line;
    options.log_user = &lines;
    gguf_close(quantize(synthesize("warn.gguf", "tiny", "f32"), "Q4_K_M", &options));
    CHECK_TEXT(lines.text, "");
    options.tensor_types = (const char *const[]){"ffn=Q8_0"};
    options.tensor_types_count = 1;
    gguf_close(quantize(synthesize("warn.gguf", "nano", "f32"), "F16", &options));
    CHECK_TEXT(lines.text, "warning: patterns have no effect where one type is for all\n");
    lines.text[0] = 0;
    options.tensor_types = (const char *const[]){"ffn_up=Q8_0", "fnn_up=Q8_0"};
    options.tensor_types_count = 2;
    gguf_close(quantize(synthesize("warn.gguf", "tiny", "f32"), "Q4_K_M", &options));
    CHECK_TEXT(lines.text, "warning: no tensor has a name as in the pattern fnn_up=Q8_0\n");
    options.tensor_types_count = 0;
    options.imatrix = write_importance("warn.imatrix", "blk.0.other.weight");
    gguf_close(quantize(synthesize("warn.gguf", "nano", "f32"), "Q4_K_S", &options));
    CHECK(strstr(lines.text, "get a type with smaller blocks, since their rows do not fit") !=
          NULL);
    CHECK(strstr(lines.text, "warning: 39 tensors have no entry in the importance") != NULL);
}

/* ---- printing -------------------------------------------------------------------------------- */

struct text {
    char data[16384];
    size_t length;
};

static void keep_text(void *user, const char *data, size_t length)
{
    struct text *text = user;
    CHECK(text->length + length < sizeof text->data);
    memcpy(text->data + text->length, data, length);
    text->length += length;
}

TEST(quantize_prints_the_plan)
{
    struct text text = {.length = 0};
    struct weir_error err = {0};
    const struct path in = keep(synthesize("print.gguf", "tiny", "bf16"));
    CHECK_OK(weir_quantize_print(in.text, "Q4_K_M", NULL, keep_text, &text, &err), &err);
    CHECK(strstr(text.data, "\nblk.0.ffn_up.weight                  [256, 512]           "
                            "BF16 -> Q4_K              73728\n") != NULL);
    CHECK(strstr(text.data, "\nblk.0.attn_norm.weight               [256]                "
                            "F32                        1024\n") != NULL);
    struct gguf *gguf = quantize(in.text, "Q4_K_M", NULL);
    uint64_t bytes = 0;
    for (uint64_t i = 0; i < gguf->tensor_count; i++)
        bytes += gguf->tensors[i].bytes;
    gguf_close(gguf);
    char total[64];
    snprintf(total, sizeof total, "\nQ4_K_M                               %14llu bytes, ",
             (unsigned long long)bytes);
    CHECK(strstr(text.data, total) != NULL);
    memset(&text, 0, sizeof text);
    CHECK_OK(weir_quantize_print_rules("Q4_K_H", keep_text, &text, &err), &err);
    CHECK(strncmp(text.data, "Q4_K_H: ", 8) == 0);
    CHECK_INT(weir_quantize_print_rules("x", keep_text, &text, &err), WEIR_ERR_ARGUMENT);
}

/* ---- allocations ----------------------------------------------------------------------------- */

struct scenario {
    const char *in, *imatrix;
};

static void quantize_scenario(void *argument)
{
    const struct scenario *scenario = argument;
    static const char *const patterns[] = {"ffn_up=Q8_0"}, *const overrides[] = {"a=int:1"};
    struct weir_quantize_options options = defaults();
    options.imatrix = scenario->imatrix;
    options.tensor_types = patterns;
    options.overrides = overrides;
    options.tensor_types_count = options.overrides_count = 1;
    const char *out = test_scratch("alloc-out.gguf");
    const enum weir_status status = weir_quantize(scenario->in, out, "Q4_K_H", &options, NULL);
    if (!alloc_failed())
        CHECK_INT(status, WEIR_OK);
    else if (status != WEIR_OK)
        CHECK_INT(program_count_files(out), 0);
    remove(out);
}

TEST(quantize_failed_allocations)
{
    const struct path in = keep(write_vectors("alloc.gguf", "blk.0.ffn_down.weight"));
    const struct path imatrix = keep(write_importance("alloc-in.imatrix", "blk.0.ffn_down.weight"));
    struct scenario scenario = {in.text, imatrix.text};
    alloc_test(quantize_scenario, &scenario);
}
