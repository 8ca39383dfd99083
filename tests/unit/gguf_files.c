/* SPDX-License-Identifier: MIT
 * Tests of GGUF files on disk: the writer, split models, files that are not what they say. Run
 * alone: build/tests/weir-test gguf_ */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "format/gguf.h"

static const char name64[] = "a234567890123456789012345678901234567890123456789012345678901234";

/* ---- writing --------------------------------------------------------------------------------- */

static struct gguf_writer *writer_open(const char *path)
{
    struct weir_error err = {0};
    struct gguf_writer *writer;
    CHECK_OK(gguf_writer_open(&writer, path, &err), &err);
    return writer;
}

static void write_rest(struct gguf_writer *writer, uint64_t bytes)
{
    struct weir_error err = {0};
    uint8_t *data = calloc(1, bytes + 1);
    CHECK(data != NULL);
    for (uint64_t i = 0; i < bytes; i++)
        data[i] = (uint8_t)(i * 7);
    CHECK_OK(gguf_writer_begin(writer, &err), &err);
    CHECK_OK(gguf_writer_put(writer, data, bytes / 3, &err), &err);
    CHECK_OK(gguf_writer_put(writer, data + bytes / 3, bytes - bytes / 3, &err), &err);
    CHECK_OK(gguf_writer_commit(writer, &err), &err);
    gguf_writer_close(writer);
    free(data);
}

TEST(gguf_written_reads_back)
{
    const char *path = test_scratch("written.gguf");
    struct gguf_writer *writer = writer_open(path);
    struct weir_error err = {0};
    const int32_t integers[] = {1, -2, 3};
    const struct span texts[] = {{(const uint8_t *)"a\0b", 3}, {(const uint8_t *)"", 0}};
    CHECK_OK(gguf_writer_u32(writer, "u", 4000000000u, &err), &err);
    CHECK_OK(gguf_writer_f32(writer, "f", -1.25f, &err), &err);
    CHECK_OK(gguf_writer_bool(writer, "b", true, &err), &err);
    CHECK_OK(gguf_writer_text(writer, "t", "text", &err), &err);
    CHECK_OK(gguf_writer_i32s(writer, "i", integers, 3, &err), &err);
    CHECK_OK(gguf_writer_texts(writer, "ts", texts, 2, &err), &err);
    CHECK_OK(gguf_writer_tensor(writer, "x", DTYPE_F32, (uint64_t[]){3}, 1, &err), &err);
    CHECK_OK(gguf_writer_tensor(writer, "y", DTYPE_Q4_0, (uint64_t[]){64, 3, 1}, 3, &err), &err);
    const uint64_t size = gguf_writer_size(writer);
    write_rest(writer, 12 + 3 * 36);

    struct gguf *gguf;
    CHECK_OK(gguf_open(&gguf, path, &err), &err);
    CHECK_INT(gguf->splits[0].map.size, size);
    CHECK_INT(size % 32, 0);
    uint32_t u = 0;
    float f = 0;
    bool b = false;
    struct span t = {0};
    CHECK_OK(gguf_get_u32(gguf, "u", &u, &err), &err);
    CHECK_OK(gguf_get_f32(gguf, "f", &f, &err), &err);
    CHECK_OK(gguf_get_bool(gguf, "b", &b, &err), &err);
    CHECK_OK(gguf_get_text(gguf, "t", &t, &err), &err);
    CHECK(u == 4000000000u && f == -1.25f && b && span_equals(t, "text"));
    int64_t integer;
    CHECK(gguf_kv_integer(gguf_find(gguf, "i"), 1, &integer) && integer == -2);
    uint64_t cursor = 0;
    CHECK(gguf_kv_next_text(gguf_find(gguf, "ts"), &cursor, &t));
    CHECK(t.length == 3 && memcmp(t.data, "a\0b", 3) == 0);
    const struct gguf_tensor *x = gguf_find_tensor(gguf, "x"), *y = gguf_find_tensor(gguf, "y");
    CHECK_INT(y->offset - x->offset, 32);
    CHECK_INT(y->dims, 2); /* without trailing ones */
    CHECK_INT(y->bytes, 108);
    const uint8_t *data = gguf_tensor_data(gguf, y);
    for (int i = 0; i < 108; i++)
        CHECK_INT(data[i], (uint8_t)((12 + i) * 7));
    for (int i = 12; i < 32; i++)
        CHECK_INT(((const uint8_t *)gguf_tensor_data(gguf, x))[i], 0);
    gguf_close(gguf);
}

/* Entries of each type, copied to a second file, are the same entries. */
TEST(gguf_writer_copies_entries)
{
    const char *path = test_scratch("entries.gguf"), *copied = test_scratch("copied.gguf");
    struct weir_error err = {0};
    const int32_t integers[] = {7, -7};
    const struct span texts[] = {span_from("one"), span_from("")};
    struct gguf_writer *writer = writer_open(path);
    CHECK_OK(gguf_writer_u16(writer, "u16", 65535, &err), &err);
    CHECK_OK(gguf_writer_i32(writer, "i32", -5, &err), &err);
    CHECK_OK(gguf_writer_f32(writer, "f32", 0.5f, &err), &err);
    CHECK_OK(gguf_writer_bool(writer, "bool", true, &err), &err);
    CHECK_OK(gguf_writer_text(writer, "text", "", &err), &err);
    CHECK_OK(gguf_writer_i32s(writer, "i32s", integers, 2, &err), &err);
    CHECK_OK(gguf_writer_texts(writer, "texts", texts, 2, &err), &err);
    write_rest(writer, 0);
    struct gguf *gguf, *copy;
    CHECK_OK(gguf_open(&gguf, path, &err), &err);
    writer = writer_open(copied);
    for (uint64_t i = 0; i < gguf->kv_count; i++)
        CHECK_OK(gguf_writer_copy(writer, &gguf->kv[i], &err), &err);
    write_rest(writer, 0);
    CHECK_OK(gguf_open(&copy, copied, &err), &err);
    int64_t integer;
    CHECK(gguf_find(copy, "u16")->type == GGUF_U16 && gguf_find(copy, "i32")->type == GGUF_I32);
    CHECK(gguf_kv_integer(gguf_find(copy, "u16"), 0, &integer) && integer == 65535);
    CHECK(gguf_kv_integer(gguf_find(copy, "i32"), 0, &integer) && integer == -5);
    CHECK_INT(copy->splits[0].map.size, gguf->splits[0].map.size);
    CHECK(memcmp(copy->splits[0].map.data, gguf->splits[0].map.data, gguf->splits[0].map.size) ==
          0);
    gguf_close(copy);
    gguf_close(gguf);
}

TEST(gguf_writer_refuses)
{
    const char *path = test_scratch("refused.gguf");
    struct gguf_writer *writer = writer_open(path);
    struct weir_error err = {0}, none = {0};
    const uint64_t ne[] = {48, 2}, empty[] = {32, 0};
    CHECK_OK(gguf_writer_u32(writer, "key", 1, &err), &err);
    CHECK_INT(gguf_writer_u32(writer, "key", 1, &err), WEIR_ERR_ARGUMENT);
    CHECK(strncmp(err.text, path, strlen(path)) == 0);
    CHECK_TEXT(err.text + strlen(path), ": key is to be written twice");
    err = (struct weir_error){0};
    CHECK_INT(gguf_writer_u32(writer, "", 1, NULL), WEIR_ERR_ARGUMENT);
    gguf_writer_close(writer);
    writer = writer_open(path);
    CHECK_INT(gguf_writer_tensor(writer, "t", DTYPE_Q4_0, ne, 2, &err), WEIR_ERR_ARGUMENT);
    CHECK_TEXT(err.text,
               "tensor t: rows of 48 elements are not a multiple of the block of Q4_0, 32");
    CHECK_INT(gguf_writer_tensor(writer, "t", DTYPE_Q4_0, empty, 2, NULL), WEIR_ERR_ARGUMENT);
    CHECK_INT(gguf_writer_tensor(writer, name64, DTYPE_F32, ne, 2, NULL), WEIR_ERR_ARGUMENT);
    CHECK_OK(gguf_writer_tensor(writer, name64 + 1, DTYPE_F32, ne, 2, &none), &none);
    CHECK_INT(gguf_writer_tensor(writer, name64 + 1, DTYPE_F32, ne, 2, NULL), WEIR_ERR_ARGUMENT);
    gguf_writer_close(writer);
    CHECK(access(path, F_OK) != 0);
}

TEST(gguf_writer_counts_bytes)
{
    const char *path = test_scratch("counted.gguf");
    struct gguf_writer *writer = writer_open(path);
    struct weir_error err = {0};
    const uint8_t data[40] = {0};
    CHECK_OK(gguf_writer_tensor(writer, "t", DTYPE_F32, (uint64_t[]){9}, 1, &err), &err);
    CHECK_OK(gguf_writer_begin(writer, &err), &err);
    CHECK_OK(gguf_writer_put(writer, data, 35, &err), &err);
    CHECK_INT(gguf_writer_commit(writer, NULL), WEIR_ERR_ARGUMENT);
    CHECK_INT(gguf_writer_put(writer, data, 2, NULL), WEIR_ERR_ARGUMENT);
    gguf_writer_close(writer);
    CHECK(access(path, F_OK) != 0);
}

TEST(gguf_writer_without_a_path_tells_the_size)
{
    const char *path = test_scratch("sized.gguf");
    struct weir_error err = {0};
    uint64_t sizes[2];
    for (int i = 0; i < 2; i++) {
        struct gguf_writer *writer;
        CHECK_OK(gguf_writer_open(&writer, i == 0 ? NULL : path, &err), &err);
        CHECK_OK(gguf_writer_text(writer, "name", "of some length", &err), &err);
        CHECK_OK(gguf_writer_tensor(writer, "t", DTYPE_F32, (uint64_t[]){9, 5}, 2, &err), &err);
        sizes[i] = gguf_writer_size(writer);
        if (i == 1)
            write_rest(writer, sizeof(float) * 45);
        else
            gguf_writer_close(writer);
    }
    size_t size;
    free(test_read_file(path, &size));
    CHECK_INT(sizes[0], size);
    CHECK_INT(sizes[1], size);
}

TEST(gguf_writer_finishes_before_it_publishes)
{
    const char *path = test_scratch("later-seen.gguf");
    struct weir_error err = {0};
    struct gguf_writer *writer = writer_open(path);
    CHECK_OK(gguf_writer_begin(writer, &err), &err);
    CHECK_OK(gguf_writer_finish(writer, &err), &err);
    CHECK(access(path, F_OK) != 0);
    CHECK_OK(gguf_writer_publish(writer, &err), &err);
    gguf_writer_close(writer);
    CHECK(access(path, F_OK) == 0);
}

/* ---- files on disk --------------------------------------------------------------------------- */

TEST(gguf_metadata_outlives_the_file)
{
    const char *path = test_scratch("shrinks.gguf");
    struct gguf_writer *writer = writer_open(path);
    struct weir_error err = {0};
    CHECK_OK(gguf_writer_text(writer, "name", "still here", &err), &err);
    write_rest(writer, 0);
    struct gguf *gguf;
    CHECK_OK(gguf_open(&gguf, path, &err), &err);
    CHECK_INT(truncate(path, 0), 0);
    struct span text = {0};
    CHECK_OK(gguf_get_text(gguf, "name", &text, &err), &err);
    CHECK(span_equals(text, "still here"));
    gguf_close(gguf);
}

TEST(gguf_metadata_has_a_bound)
{
    const char *path = test_scratch("sparse.gguf");
    /* One array of 2^30 bytes. */
    static const char header[] = "GGUF\3\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0"
                                 "\1\0\0\0\0\0\0\0a\11\0\0\0\0\0\0\0\0\0\0\100\0\0\0";
    FILE *stream = fopen(path, "wb");
    CHECK(stream != NULL);
    CHECK_INT(fwrite(header, 1, sizeof header, stream), sizeof header);
    fclose(stream);
    CHECK_INT(truncate(path, (1L << 30) + 4096), 0);
    struct weir_error err = {0};
    struct gguf *gguf;
    CHECK_INT(gguf_open(&gguf, path, &err), WEIR_ERR_UNSUPPORTED);
    CHECK(strstr(err.text, "metadata of 1073741873 bytes, at most 1073741824") != NULL);
    CHECK_INT(remove(path), 0);
}

TEST(gguf_open_needs_a_file)
{
    struct weir_error err = {0};
    struct gguf *gguf;
    CHECK_INT(gguf_open(&gguf, test_scratch("absent.gguf"), &err), WEIR_ERR_IO);
    CHECK(gguf == NULL);
    CHECK(strstr(err.text, "absent.gguf: cannot open") != NULL);
    gguf_close(NULL);
}

/* A file of another writer. */
TEST(gguf_golden_opens)
{
    struct weir_error err = {0};
    struct gguf *gguf;
    CHECK_OK(gguf_open(&gguf, test_data("golden/nano-f32.gguf"), &err), &err);
    uint32_t blocks = 0;
    float epsilon = 0;
    CHECK_OK(gguf_get_u32(gguf, "qwen35.block_count", &blocks, &err), &err);
    CHECK_OK(gguf_get_f32(gguf, "qwen35.attention.layer_norm_rms_epsilon", &epsilon, &err), &err);
    CHECK_INT(blocks, 5);
    CHECK(epsilon == 1e-6f);
    CHECK_INT(gguf->kv_count, 32);
    const struct gguf_tensor *embedding = gguf_find_tensor(gguf, "token_embd.weight");
    CHECK(embedding == &gguf->tensors[0]);
    CHECK(embedding->ne[0] == 64 && embedding->ne[1] == 1024 && embedding->dtype == DTYPE_F32);
    const struct gguf_tensor *last = &gguf->tensors[gguf->tensor_count - 1];
    CHECK_TEXT(last->name, "blk.4.nextn.shared_head_norm.weight");
    CHECK_INT(last->offset + last->bytes, gguf->splits[0].map.size);
    uint64_t cursor = 0, count = 0;
    struct span token;
    while (gguf_kv_next_text(gguf_find(gguf, "tokenizer.ggml.tokens"), &cursor, &token))
        count++;
    CHECK_INT(count, 1024);
    gguf_close(gguf);
}

/* ---- splits ---------------------------------------------------------------------------------- */

/* What a split says of itself; NONE leaves the key out. */
enum { NONE = -1, FILES = 3 };

struct split {
    int no, count, tensors;
    const char *names[2]; /* of its tensors */
};

static const struct split splits_good[FILES] = {
    {0, 3, 3, {NULL}},
    {1, 3, 3, {"a", "b"}},
    {2, 3, NONE, {"c"}},
};

static const char *split_name(const char *prefix, int no)
{
    char name[64];
    snprintf(name, sizeof name, "%s-%05d-of-%05d.gguf", prefix, no + 1, FILES);
    return test_scratch(name);
}

static void write_split(const char *path, const struct split *split)
{
    struct gguf_writer *writer = writer_open(path);
    struct weir_error err = {0};
    const struct {
        const char *key;
        int value;
    } keys[] = {{"split.no", split->no},
                {"split.count", split->count},
                {"split.tensors.count", split->tensors}};
    for (int i = 0; i < 3; i++) {
        if (keys[i].value != NONE)
            CHECK_OK(gguf_writer_u32(writer, keys[i].key, (uint32_t)keys[i].value, &err), &err);
    }
    if (split->no == 0)
        CHECK_OK(gguf_writer_text(writer, "general.name", "in three", &err), &err);
    uint64_t bytes = 0;
    for (int i = 0; i < 2 && split->names[i] != NULL; i++) {
        const uint64_t ne = (uint64_t)(8 * (i + 1));
        CHECK_OK(gguf_writer_tensor(writer, split->names[i], DTYPE_F32, &ne, 1, &err), &err);
        bytes += 4 * ne;
    }
    write_rest(writer, bytes);
}

static void write_splits(const char *prefix, const struct split *splits)
{
    for (int no = 0; no < FILES; no++)
        write_split(split_name(prefix, no), &splits[no]);
}

TEST(gguf_splits_open_as_one)
{
    write_splits("good", splits_good);
    struct weir_error err = {0};
    struct gguf *gguf;
    CHECK_OK(gguf_open(&gguf, split_name("good", 0), &err), &err);
    CHECK_INT(gguf->split_count, 3);
    CHECK_INT(gguf->tensor_count, 3);
    struct span name = {0};
    CHECK_OK(gguf_get_text(gguf, "general.name", &name, &err), &err);
    CHECK(span_equals(name, "in three"));
    const struct gguf_tensor *b = gguf_find_tensor(gguf, "b"), *c = gguf_find_tensor(gguf, "c");
    CHECK_INT(b->split, 1);
    CHECK_INT(c->split, 2);
    const uint8_t *data = gguf_tensor_data(gguf, b);
    CHECK_INT(data[0], (uint8_t)(32 * 7));
    CHECK_INT(((const uint8_t *)gguf_tensor_data(gguf, c))[1], 7);
    CHECK_TEXT(gguf_path(gguf), split_name("good", 0));
    gguf_close(gguf);
}

TEST(gguf_splits_start_at_the_first)
{
    write_splits("later", splits_good);
    struct weir_error err = {0};
    struct gguf *gguf;
    CHECK_INT(gguf_open(&gguf, split_name("later", 1), &err), WEIR_ERR_ARGUMENT);
    CHECK(strstr(err.text, "is split 2 of 3: open the first instead, ") != NULL);
    CHECK(strstr(err.text, split_name("later", 0)) != NULL);
    err = (struct weir_error){0};
    const char *renamed = test_scratch("renamed.gguf");
    CHECK_INT(rename(split_name("later", 1), renamed), 0);
    CHECK_INT(gguf_open(&gguf, renamed, &err), WEIR_ERR_ARGUMENT);
    CHECK(strstr(err.text, "is split 2 of 3: open the first instead") != NULL);
    err = (struct weir_error){0};
    CHECK_INT(gguf_open(&gguf, split_name("later", 0), &err), WEIR_ERR_IO);
    CHECK(strstr(err.text, split_name("later", 1)) != NULL);
    err = (struct weir_error){0};
    CHECK_INT(rename(split_name("later", 0), renamed), 0);
    CHECK_INT(gguf_open(&gguf, renamed, &err), WEIR_ERR_ARGUMENT);
    CHECK(strstr(err.text, "whose name must end in -00001-of-00003.gguf") != NULL);
}

TEST(gguf_splits_are_checked)
{
    static const struct {
        int altered; /* the file that is replaced by `split` */
        struct split split;
        const char *refusal;
    } wrong[] = {
        {0, {0, 3, 4, {NULL}}, "split.tensors.count is 3, expected 4 as in the first"},
        {0, {0, 3, NONE, {NULL}}, "key split.tensors.count is missing in a file of 3 splits"},
        {0, {NONE, 3, 3, {NULL}}, "key split.no is missing in a file of 3 splits"},
        {0, {3, 3, 3, {NULL}}, "split.no is 3, expected less than split.count, 3"},
        {0, {0, 1001, 3, {NULL}}, "split.count is 1001, at most 1000"},
        {0, {0, 2, 3, {NULL}}, "whose name must end in -00001-of-00002.gguf"},
        {1, {2, 3, 3, {"a", "b"}}, "00002-of-00003.gguf: split.no is 2, expected 1"},
        {1, {NONE, 3, 3, {"a", "b"}}, "00002-of-00003.gguf: key split.no is missing"},
        {1, {1, 4, 3, {"a", "b"}}, "split.count is 4, expected 3 as in the first"},
        {1, {1, NONE, 3, {"a", "b"}}, "split.count is 0, expected 3 as in the first"},
        {1, {1, 3, 5, {"a", "b"}}, "split.tensors.count is 5, expected 3 as in the first"},
        {1, {1, 3, 3, {"a"}}, "split.tensors.count is 3, but the 3 files have 2 tensors"},
        {2, {2, 3, 3, {"b"}}, "00003-of-00003.gguf: duplicate tensor b"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        write_splits("wrong", splits_good);
        write_split(split_name("wrong", wrong[i].altered), &wrong[i].split);
        struct weir_error err = {0};
        struct gguf *gguf;
        const char *expected = wrong[i].refusal;
        if (gguf_open(&gguf, split_name("wrong", 0), &err) == WEIR_OK ||
            strstr(err.text, expected) == NULL)
            test_fail(__FILE__, __LINE__, "case %zu gave \"%s\", not \"%s\"", i, err.text,
                      expected);
    }
}

TEST(gguf_split_of_one_is_plain)
{
    const char *path = test_scratch("one.gguf");
    write_split(path, &(struct split){0, 1, 1, {"a"}});
    struct weir_error err = {0};
    struct gguf *gguf;
    CHECK_OK(gguf_open(&gguf, path, &err), &err);
    CHECK_INT(gguf->split_count, 1);
    gguf_close(gguf);
}
