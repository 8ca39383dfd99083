/* SPDX-License-Identifier: MIT
 * Tests of the safetensors container. Run alone: build/tests/weir-test safetensors_ */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "convert/safetensors.h"

static enum weir_status parse(struct safetensors *file, const char *header, uint64_t data_bytes,
                              struct weir_error *err)
{
    return safetensors_parse(file, (const uint8_t *)header, strlen(header), data_bytes, "x", err);
}

static const char two_tensors[] =
    "{\"__metadata__\": {\"format\": \"pt\"},"
    " \"b\": {\"dtype\": \"BF16\", \"shape\": [3, 1, 2], \"data_offsets\": [16, 28]},"
    " \"a\": {\"dtype\": \"F32\", \"shape\": [4], \"data_offsets\": [0, 16]}}  ";

TEST(safetensors_lists_by_offset)
{
    struct weir_error err = {0};
    struct safetensors file;
    CHECK_OK(parse(&file, two_tensors, 28, &err), &err);
    CHECK_INT(file.count, 2);
    const struct safetensors_tensor *a = &file.tensors[0], *b = &file.tensors[1];
    CHECK_TEXT(a->name, "a");
    CHECK_INT(a->dtype, DTYPE_F32);
    CHECK_INT(a->offset, 8 + sizeof two_tensors - 1);
    CHECK_INT(a->bytes, 16);
    CHECK_TEXT(b->name, "b");
    CHECK_TEXT(b->dtype_name, "BF16");
    CHECK_INT(b->dims, 3);
    CHECK(b->shape[0] == 3 && b->shape[1] == 1 && b->shape[2] == 2);
    CHECK_INT(b->offset, a->offset + 16);
    safetensors_release(&file);
}

TEST(safetensors_takes_what_nobody_reads)
{
    struct weir_error err = {0};
    struct safetensors file;
    CHECK_OK(parse(&file,
                   "{\"f8\": {\"dtype\": \"F8_E4M3\", \"shape\": [2], \"data_offsets\": [0, 2]},"
                   " \"none\": {\"dtype\": \"F32\", \"shape\": [0, 7], \"data_offsets\": [2, 2]},"
                   " \"one\": {\"dtype\": \"F16\", \"shape\": [], \"data_offsets\": [2, 4]},"
                   " \"new\": {\"dtype\": \"Q3\", \"shape\": [9], \"data_offsets\": [4, 8]}}",
                   8, &err),
             &err);
    CHECK_INT(file.count, 4);
    CHECK_INT(file.tensors[0].dtype, DTYPE_COUNT);
    CHECK_TEXT(file.tensors[3].dtype_name, "Q3");
    safetensors_release(&file);
}

TEST(safetensors_refuses_headers)
{
    static const struct {
        const char *header, *text;
    } bad[] = {
        {"[]", "x: expected a JSON object"},
        {"{\"a\": ", "x: line 1, column 6: not JSON: "},
        {"{\"a\": {}, \"a\": {}}", "not JSON: duplicate object key"},
        {"{\"a\": 1}", "x: tensor a: \"dtype\" is not the name of a type"},
        {"{\"a\": {\"dtype\": \"\"}}", "\"dtype\" is not the name of a type"},
        {"{\"a\": {\"dtype\": \"A_VERY_LONG_NAME_OF_A_TYPE\"}}", "\"dtype\" is not the name of"},
        {"{\"a\": {\"dtype\": \"F32\"}}", "\"shape\" is not a list of at most 8 sizes"},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": [1,1,1,1,1,1,1,1,1]}}", "at most 8 sizes"},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": [-1]}}", "something that is no size"},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": [4294967296, 4294967296]}}", "too large"},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": [1]}}", "not a list of two numbers"},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [0, 4.0]}}",
         "two numbers"},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [8, 4]}}",
         "x: tensor a: its data is at 8 to 4, the file has 16 bytes of it"},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [16, 20]}}",
         "at 16 to 20"},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": [0, 4]}}",
         "x: tensor a: the shape takes 8 bytes of F32, the data has 4"},
        {"{\"a\": {\"dtype\": \"F4\", \"shape\": [1], \"data_offsets\": [0, 0]}}",
         "the data has 0"},
        {"{\"a\": {\"dtype\": \"U8\", \"shape\": [8], \"data_offsets\": [0, 8]},"
         " \"b\": {\"dtype\": \"U8\", \"shape\": [8], \"data_offsets\": [7, 15]}}",
         "x: tensors a and b overlap"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct weir_error err = {0};
        struct safetensors file;
        CHECK_INT(parse(&file, bad[i].header, 16, &err), WEIR_ERR_FORMAT);
        if (strstr(err.text, bad[i].text) == NULL)
            test_fail(__FILE__, __LINE__, "\"%s\" is not \"%s\"", err.text, bad[i].text);
    }
}

static void write_file(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL);
    CHECK_INT(fwrite(data, 1, size, file), size);
    CHECK_INT(fclose(file), 0);
}

TEST(safetensors_refuses_files)
{
    static const struct {
        uint8_t bytes[16];
        size_t size;
        const char *text;
    } bad[] = {
        {"\2\0\0", 3, "3 bytes are no safetensors file"},
        {"\3\0\0\0\0\0\0\0{}", 10, "the header has 3 bytes, expected at most 2"},
        {"\2\0\0\0\0\0\0\200{}", 10, "the header has 9223372036854775810 bytes"},
        {"\0\0\0\0\0\0\0\0", 8, "not JSON"},
    };
    const char *path = test_scratch("bad.safetensors");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_file(path, bad[i].bytes, bad[i].size);
        struct weir_error err = {0};
        struct file_reader reader;
        struct safetensors file;
        CHECK_OK(file_reader_open(&reader, path, &err), &err);
        CHECK_INT(safetensors_read(&file, &reader, &err), WEIR_ERR_FORMAT);
        CHECK(strstr(err.text, bad[i].text) != NULL);
        file_reader_close(&reader);
    }
}

static void scenario_parse(void *argument)
{
    struct safetensors file;
    CHECK_INT(parse(&file, argument, 28, NULL), alloc_failed() ? WEIR_ERR_MEMORY : WEIR_OK);
    if (!alloc_failed())
        safetensors_release(&file);
}

TEST(safetensors_survives_failed_allocations)
{
    char header[sizeof two_tensors];
    memcpy(header, two_tensors, sizeof header);
    alloc_test(scenario_parse, header);
}
