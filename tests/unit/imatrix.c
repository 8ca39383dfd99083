/* SPDX-License-Identifier: MIT
 * Tests of importance matrices. Run alone: build/tests/weir-test imatrix_ */
#include "format/imatrix.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "test.h"

/* ---- made by hand ---------------------------------------------------------------------------- */

static struct imatrix_entry *add(struct imatrix *imatrix, const char *name, uint64_t columns,
                                 uint64_t matrices, float count)
{
    struct weir_error err = {0};
    struct imatrix_entry *entry;
    CHECK_OK(imatrix_add(imatrix, name, columns, matrices, &entry, &err), &err);
    for (uint64_t i = 0; i < columns * matrices; i++)
        entry->sums[i] = (float)(i + 1);
    for (uint64_t i = 0; i < matrices; i++)
        entry->counts[i] = count * (float)i;
    entry->counts[0] = count;
    return entry;
}

static void make(struct imatrix *imatrix)
{
    struct weir_error err = {0};
    imatrix_init(imatrix);
    imatrix->chunk_count = 7;
    imatrix->chunk_size = 512;
    CHECK_OK(imatrix_add_dataset(imatrix, span_from("calibration.txt"), &err), &err);
    CHECK_OK(imatrix_add_dataset(imatrix, span_from(""), &err), &err);
    add(imatrix, "blk.1.ffn_up_exps.weight", 8, 3, 4);
    add(imatrix, "blk.0.attn_q.weight", 5, 1, 3);
    add(imatrix, "output.weight", 2, 1, 0);
}

static const char *write_made(const char *name)
{
    const char *path = test_scratch(name);
    struct weir_error err = {0};
    struct imatrix imatrix;
    make(&imatrix);
    CHECK_OK(imatrix_write(&imatrix, path, &err), &err);
    imatrix_release(&imatrix);
    return path;
}

TEST(imatrix_file_is_sorted_and_complete)
{
    struct weir_error err = {0};
    struct gguf *gguf;
    CHECK_OK(gguf_open(&gguf, write_made("sorted.imatrix"), &err), &err);
    static const struct {
        const char *name;
        uint64_t columns, rows;
    } tensors[] = {
        {"blk.0.attn_q.weight.in_sum2", 5, 1},
        {"blk.0.attn_q.weight.counts", 1, 1},
        {"blk.1.ffn_up_exps.weight.in_sum2", 8, 3},
        {"blk.1.ffn_up_exps.weight.counts", 1, 3},
        {"output.weight.in_sum2", 2, 1},
        {"output.weight.counts", 1, 1},
    };
    static const char *const keys[] = {"general.type", "imatrix.datasets", "imatrix.chunk_count",
                                       "imatrix.chunk_size"};
    CHECK_INT(gguf->kv_count, 4);
    for (int i = 0; i < 4; i++)
        CHECK(span_equals(gguf->kv[i].key, keys[i]));
    CHECK_INT(gguf->tensor_count, 6);
    for (int i = 0; i < 6; i++) {
        CHECK_TEXT(gguf->tensors[i].name, tensors[i].name);
        CHECK_INT(gguf->tensors[i].ne[0], tensors[i].columns);
        CHECK_INT(gguf->tensors[i].ne[1], tensors[i].rows);
        CHECK_INT(gguf->tensors[i].dtype, DTYPE_F32);
    }
    gguf_close(gguf);
}

static void check_equal(const struct imatrix *read, const struct imatrix *made)
{
    CHECK_INT(read->count, made->count);
    CHECK_INT(read->chunk_count, made->chunk_count);
    CHECK_INT(read->chunk_size, made->chunk_size);
    CHECK_INT(read->datasets_count, made->datasets_count);
    for (uint64_t i = 0; i < made->datasets_count; i++)
        CHECK_TEXT(read->datasets[i], made->datasets[i]);
    for (uint64_t i = 0; i < made->count; i++) {
        const struct imatrix_entry *expected = made->entries[i];
        const struct imatrix_entry *entry = imatrix_find(read, expected->name);
        CHECK(entry != NULL);
        CHECK_INT(entry->columns, expected->columns);
        CHECK_INT(entry->matrices, expected->matrices);
        CHECK(memcmp(entry->sums, expected->sums, entry->columns * entry->matrices * 4) == 0);
        CHECK(memcmp(entry->counts, expected->counts, entry->matrices * 4) == 0);
    }
}

TEST(imatrix_reads_what_it_writes)
{
    struct weir_error err = {0};
    struct imatrix read, made;
    make(&made);
    CHECK_OK(imatrix_read(&read, write_made("again.imatrix"), &err), &err);
    check_equal(&read, &made);
    CHECK(imatrix_find(&read, "blk.2.attn_q.weight") == NULL);
    imatrix_release(&read);
    imatrix_release(&made);
}

/* Counts are rounded first; a matrix that no token met weighs all columns alike. */
TEST(imatrix_weights_are_means)
{
    struct imatrix imatrix;
    float weights[6];
    imatrix_init(&imatrix);
    struct imatrix_entry *entry = add(&imatrix, "w", 2, 3, 1);
    entry->counts[0] = 2.6f;
    entry->counts[1] = 0.4f;
    entry->counts[2] = 7;
    imatrix_weights(entry, 0, 6, weights);
    const float expected[6] = {1.0f / 3, 2.0f / 3, 1, 1, 5.0f / 7, 6.0f / 7};
    CHECK(memcmp(weights, expected, sizeof expected) == 0);
    imatrix_weights(entry, 3, 2, weights);
    CHECK(memcmp(weights, expected + 3, 2 * sizeof *weights) == 0);
    imatrix_release(&imatrix);
}

TEST(imatrix_entries_are_checked)
{
    struct weir_error err = {0};
    struct imatrix imatrix;
    struct imatrix_entry *entry;
    imatrix_init(&imatrix);
    add(&imatrix, "w", 2, 1, 1);
    CHECK_INT(imatrix_add(&imatrix, "w", 2, 1, &entry, &err), WEIR_ERR_ARGUMENT);
    CHECK_TEXT(err.text, "two entries are named w");
    CHECK_INT(imatrix_add(&imatrix, "", 2, 1, &entry, NULL), WEIR_ERR_ARGUMENT);
    CHECK_INT(imatrix_add(&imatrix, "v", 0, 1, &entry, NULL), WEIR_ERR_ARGUMENT);
    CHECK_INT(imatrix_add(&imatrix, "v", UINT64_MAX / 2, 4, &entry, NULL), WEIR_ERR_ARGUMENT);
    CHECK_INT(imatrix.count, 1);
    imatrix_release(&imatrix);
}

/* ---- the older form -------------------------------------------------------------------------- */

/* A file in memory. */
struct image {
    uint8_t data[1024];
    size_t size;
};

static void put(struct image *image, const void *data, size_t size)
{
    CHECK(image->size + size <= sizeof image->data);
    memcpy(image->data + image->size, data, size);
    image->size += size;
}

static void put_i32(struct image *image, int32_t value)
{
    put(image, &value, sizeof value);
}

static void put_text(struct image *image, const char *text)
{
    put_i32(image, (int32_t)strlen(text));
    put(image, text, strlen(text));
}

static void put_entry(struct image *image, const char *name, int32_t calls, int32_t values,
                      float first)
{
    put_text(image, name);
    put_i32(image, calls);
    put_i32(image, values);
    for (int32_t i = 0; i < values; i++) {
        const float value = first + (float)i;
        put(image, &value, sizeof value);
    }
}

static struct image old_file(void)
{
    struct image image = {.size = 0};
    put_i32(&image, 2);
    put_entry(&image, "blk.0.ffn_down.weight", 4, 6, 1);
    put_entry(&image, "blk.0.ffn_up.weight", 0, 3, 5);
    put_i32(&image, 123);
    put_text(&image, "wiki.train.raw");
    return image;
}

TEST(imatrix_reads_the_older_form)
{
    struct weir_error err = {0};
    const struct image image = old_file();
    struct imatrix imatrix;
    float weights[6];
    CHECK_OK(imatrix_parse(&imatrix, image.data, image.size, "old", &err), &err);
    CHECK_INT(imatrix.count, 2);
    CHECK_INT(imatrix.chunk_count, 123);
    CHECK_INT(imatrix.datasets_count, 1);
    CHECK_TEXT(imatrix.datasets[0], "wiki.train.raw");
    imatrix_weights(imatrix_find(&imatrix, "blk.0.ffn_down.weight"), 0, 6, weights);
    for (int i = 0; i < 6; i++)
        CHECK(weights[i] == (float)(i + 1) / 4);
    imatrix_weights(imatrix_find(&imatrix, "blk.0.ffn_up.weight"), 0, 3, weights);
    for (int i = 0; i < 3; i++)
        CHECK(weights[i] == (float)(i + 5));
    imatrix_release(&imatrix);
    /* what stands behind the entries may be missing */
    CHECK_OK(imatrix_parse(&imatrix, image.data, image.size - 22, "old", &err), &err);
    CHECK_INT(imatrix.datasets_count, 0);
    imatrix_release(&imatrix);
}

TEST(imatrix_cut_anywhere_is_refused)
{
    const struct image image = old_file();
    for (size_t size = 0; size < image.size; size++) {
        struct weir_error err = {0};
        struct imatrix imatrix;
        uint8_t *exact = malloc(size > 0 ? size : 1);
        memcpy(exact, image.data, size);
        if (size != image.size - 22)
            CHECK_INT(imatrix_parse(&imatrix, exact, size, "old", &err), WEIR_ERR_FORMAT);
        free(exact);
    }
}

static void check_refused(const struct image *image, const char *text)
{
    struct weir_error err = {0};
    struct imatrix imatrix;
    CHECK_INT(imatrix_parse(&imatrix, image->data, image->size, "old", &err), WEIR_ERR_FORMAT);
    CHECK_TEXT(err.text, text);
}

TEST(imatrix_older_form_is_checked)
{
    struct image image = {.size = 0};
    put_i32(&image, 1);
    put_entry(&image, "w", 1, 2, NAN);
    check_refused(&image, "old: entry w: a number is infinite, NaN or negative, expected sums of "
                          "squares");
    image.size = 0;
    put_i32(&image, 2);
    put_entry(&image, "w", 1, 2, 1);
    put_entry(&image, "w", 1, 2, 1);
    check_refused(&image, "old: two entries are named w");
    image.size = 0;
    put_i32(&image, 1);
    put_text(&image, "");
    check_refused(&image, "old: importance matrix: entry 0 has no name of 1 to 63 bytes");
    image.size = 0;
    put_i32(&image, 0);
    check_refused(&image, "old: no importance matrix: neither a GGUF file nor one that begins with "
                          "the number of its entries");
}

/* ---- faults of the GGUF form ----------------------------------------------------------------- */

struct fault {
    const char *missing; /* key that is left out; NULL: none */
    const char *type;
    const char *sums, *counts; /* names of tensors; NULL: left out */
    enum dtype dtype;          /* of the counts */
    uint64_t counted;          /* matrices that have a count */
    float value;
    const char *refusal;
};

static bool has(const struct fault *fault, const char *key)
{
    return fault->missing == NULL || strcmp(fault->missing, key) != 0;
}

static void put_tensors(struct gguf_writer *writer, const struct fault *fault)
{
    struct weir_error err = {0};
    const uint64_t sums[] = {2, 2}, counts[] = {1, fault->counted};
    const float values[] = {1, 2, 3, fault->value};
    const float numbers[] = {1, 1, 1, 1};
    const uint64_t bytes = fault->counted * dtype_info(fault->dtype)->block_bytes;
    if (fault->sums != NULL)
        CHECK_OK(gguf_writer_tensor(writer, fault->sums, DTYPE_F32, sums, 2, &err), &err);
    if (fault->counts != NULL)
        CHECK_OK(gguf_writer_tensor(writer, fault->counts, fault->dtype, counts, 2, &err), &err);
    CHECK_OK(gguf_writer_begin(writer, &err), &err);
    if (fault->sums != NULL)
        CHECK_OK(gguf_writer_put(writer, values, sizeof values, &err), &err);
    if (fault->counts != NULL)
        CHECK_OK(gguf_writer_put(writer, numbers, bytes, &err), &err);
}

static const char *write_fault(const struct fault *fault)
{
    struct weir_error err = {0};
    struct gguf_writer *writer;
    const char *path = test_scratch("fault.imatrix");
    const struct span dataset = span_from("d");
    CHECK_OK(gguf_writer_open(&writer, path, &err), &err);
    if (has(fault, "general.type"))
        CHECK_OK(gguf_writer_text(writer, "general.type", fault->type, &err), &err);
    if (has(fault, "imatrix.datasets"))
        CHECK_OK(gguf_writer_texts(writer, "imatrix.datasets", &dataset, 1, &err), &err);
    if (has(fault, "imatrix.chunk_count"))
        CHECK_OK(gguf_writer_u32(writer, "imatrix.chunk_count", 1, &err), &err);
    if (has(fault, "imatrix.chunk_size"))
        CHECK_OK(gguf_writer_u32(writer, "imatrix.chunk_size", 1, &err), &err);
    put_tensors(writer, fault);
    CHECK_OK(gguf_writer_commit(writer, &err), &err);
    gguf_writer_close(writer);
    return path;
}

static const struct fault faults[] = {
    {NULL, "imatrix", "w.in_sum2", "w.counts", DTYPE_F32, 2, 4, NULL},
    {"general.type", "imatrix", "w.in_sum2", "w.counts", DTYPE_F32, 2, 4, NULL},
    {NULL, "model", "w.in_sum2", "w.counts", DTYPE_F32, 2, 4,
     "general.type is \"model\", expected \"imatrix\""},
    {"imatrix.datasets", "imatrix", "w.in_sum2", "w.counts", DTYPE_F32, 2, 4,
     "no importance matrix: key imatrix.datasets is missing"},
    {"imatrix.chunk_count", "imatrix", "w.in_sum2", "w.counts", DTYPE_F32, 2, 4,
     "key imatrix.chunk_count is missing"},
    {"imatrix.chunk_size", "imatrix", "w.in_sum2", "w.counts", DTYPE_F32, 2, 4,
     "key imatrix.chunk_size is missing"},
    {NULL, "imatrix", "w.in_sum2", NULL, DTYPE_F32, 2, 4, "w.in_sum2 has no w.counts"},
    {NULL, "imatrix", NULL, "w.counts", DTYPE_F32, 2, 4, "w.counts has no w.in_sum2"},
    {NULL, "imatrix", NULL, NULL, DTYPE_F32, 2, 4, "importance matrix without entries"},
    {NULL, "imatrix", "w.in_sum2", "w.counts", DTYPE_F32, 3, 4,
     "entry w has 2 matrices and 3 counts"},
    {NULL, "imatrix", "w.in_sum2", "w.counts", DTYPE_F16, 2, 4,
     "entry w has types F32 and F16, expected F32"},
    {NULL, "imatrix", "w.in_sum2", "w.counts", DTYPE_F32, 2, INFINITY,
     "entry w: a number is infinite, NaN or negative"},
    {NULL, "imatrix", "w.in_sum2", "w.counts", DTYPE_F32, 2, -1,
     "entry w: a number is infinite, NaN or negative"},
};

TEST(imatrix_faults_are_named)
{
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        struct weir_error err = {0};
        struct imatrix imatrix;
        const enum weir_status status = imatrix_read(&imatrix, write_fault(&faults[i]), &err);
        imatrix_release(&imatrix);
        CHECK_INT(status, faults[i].refusal == NULL ? WEIR_OK : WEIR_ERR_FORMAT);
        if (faults[i].refusal != NULL && strstr(err.text, faults[i].refusal) == NULL)
            test_fail(__FILE__, __LINE__, "\"%s\" is not \"%s\"", err.text, faults[i].refusal);
    }
}

TEST(imatrix_absent_file_is_named)
{
    struct weir_error err = {0};
    struct imatrix imatrix;
    CHECK_INT(imatrix_read(&imatrix, "/nowhere/x", &err), WEIR_ERR_IO);
    CHECK(strncmp(err.text, "/nowhere/x: cannot open", 23) == 0);
}

/* ---- allocations ----------------------------------------------------------------------------- */

static void read_scenario(void *path)
{
    struct imatrix imatrix;
    const enum weir_status status = imatrix_read(&imatrix, path, NULL);
    CHECK(status == WEIR_OK || alloc_failed());
    imatrix_release(&imatrix);
}

static void write_scenario(void *argument)
{
    const struct imatrix *imatrix = argument;
    const enum weir_status status = imatrix_write(imatrix, test_scratch("alloc.imatrix"), NULL);
    CHECK(status == WEIR_OK || alloc_failed());
}

TEST(imatrix_failed_allocations)
{
    char path[4096];
    struct imatrix imatrix;
    strcpy(path, write_made("alloc.imatrix"));
    alloc_test(read_scenario, path);
    make(&imatrix);
    alloc_test(write_scenario, &imatrix);
    imatrix_release(&imatrix);
}
