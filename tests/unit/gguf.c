/* SPDX-License-Identifier: MIT
 * Tests of the GGUF reader and writer. Run alone: build/tests/weir-test gguf_
 *
 * The table of cases has at least one for every condition of the container that the project's
 * notes on the format number V1 to V37; the later ones concern models and the values of weights. */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/gguf.h"

/* ---- files by hand --------------------------------------------------------------------------- */

enum { IMAGE_MAX = 1 << 16 };

/* A file in memory, sized exactly, so that a sanitizer sees each read behind its end. */
struct image {
    uint8_t *data;
    size_t size;
};

static void image_integer(struct image *image, unsigned long long value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        image->data[image->size++] = (uint8_t)(value >> (8 * i));
}

static void image_raw(struct image *image, const char *text, size_t length)
{
    memcpy(image->data + image->size, text, length);
    image->size += length;
}

/* Makes a file from words separated by blanks:
 *   4:7    the integer 7 (or -7) in four bytes, little endian
 *   'abc'  a string: its length in eight bytes, then its bytes
 *   =abc   the bytes abc
 *   *5     five zero bytes
 *   /32    zero bytes up to a multiple of 32 */
static struct image image_make(const char *words)
{
    struct image image = {calloc(1, IMAGE_MAX), 0};
    CHECK(image.data != NULL);
    while (*words != 0) {
        const size_t length = strcspn(words, " ");
        CHECK(image.size + length + 64 < IMAGE_MAX);
        if (words[0] == '\'') {
            image_integer(&image, length - 2, 8);
            image_raw(&image, words + 1, length - 2);
        } else if (words[0] == '=') {
            image_raw(&image, words + 1, length - 1);
        } else if (words[0] == '*') {
            image.size += strtoull(words + 1, NULL, 10);
        } else if (words[0] == '/') {
            const size_t unit = strtoull(words + 1, NULL, 10);
            image.size = (image.size + unit - 1) / unit * unit;
        } else {
            const char *value = strchr(words, ':') + 1;
            image_integer(&image,
                          *value == '-' ? (unsigned long long)strtoll(value, NULL, 10)
                                        : strtoull(value, NULL, 10),
                          atoi(words));
        }
        words += length + strspn(words + length, " ");
    }
    image.data = realloc(image.data, image.size > 0 ? image.size : 1);
    return image;
}

/* Words for image_make. */
#define HEAD(tensors, kvs)          "=GGUF 4:3 8:" #tensors " 8:" #kvs " "
#define U32(key, value)             "'" key "' 4:4 4:" #value " "
#define F32_TENSOR(name, n, offset) "'" name "' 4:1 8:" #n " 4:0 8:" #offset " "

/* A tensor name as long as can be. */
#define NAME63 "a23456789012345678901234567890123456789012345678901234567890123"

static struct gguf *parse_words(const char *words, struct image *image)
{
    struct weir_error err = {0};
    struct gguf *gguf;
    *image = image_make(words);
    CHECK_OK(gguf_parse(&gguf, image->data, image->size, "hand", &err), &err);
    return gguf;
}

/* ---- the validation table -------------------------------------------------------------------- */

static const struct {
    const char *number;
    const char *words;
    const char *refusal; /* part of the message; NULL: the file is accepted */
} cases[] = {
    {"V1", "", "hand: truncated header: 0 of 24 bytes"},
    {"V1", "=GGU", "truncated header: 3 of 24"},
    {"V1", "=GGUF 4:3 8:0 4:0", "truncated header: 20 of 24"},
    {"V2", "=GGML *20", "not a GGUF file (magic 47 47 4D 4C)"},
    {"V2", "=lmgg", "not a GGUF file (magic 6C 6D 67 67)"},
    {"V3", "=GGUF 4:0 8:0 8:0", "unsupported GGUF version 0"},
    {"V3", "=GGUF 4:1 8:0 8:0", "unsupported GGUF version 1"},
    {"V3", "=GGUF 4:2 8:0 8:0", NULL},
    {"V3", "=GGUF 4:4 8:0 8:0", "unsupported GGUF version 4"},
    {"V4", "=GGUF 4:50331648 8:0 8:0", "file is big endian"},
    {"V5", HEAD(-1, 0), "header says -1 tensors, at most 0 are possible in 24 bytes"},
    {"V5", HEAD(2, 0) "*47", "header says 2 tensors, at most 1 are possible"},
    {"V5", HEAD(4611686018427387904, 0) "*99", "4611686018427387904 tensors"},
    {"V6", HEAD(0, -5) "*99", "header says -5 key-value pairs"},
    {"V6", HEAD(0, 2) "*27", "header says 2 key-value pairs, at most 1 are possible"},
    {"V7", HEAD(0, 1) "8:30 *6", "KV 0: truncated: needs 30 bytes at 32, the file has 38"},
    {"V7", HEAD(0, 1) "'abc' 4:4 2:1", "KV 0 (abc): truncated"},
    {"V7", HEAD(0, 2) U32("a", 1) "*13", "KV 1: empty name"},
    {"V7", HEAD(1, 0) "'t' 4:4 8:1 8:1", "tensor info 0 (t): truncated"},
    {"V8", HEAD(0, 1) "'a' 4:8 8:1073741825 *9", "string of 1073741825 bytes, at most 1073741824"},
    {"V8", HEAD(0, 1) "'a' 4:8 8:10 *9", "KV 0 (a): truncated: needs 10 bytes"},
    {"V8", HEAD(0, 1) "'a' 4:8 8:-1 *9", "string of 18446744073709551615 bytes"},
    {"V8", HEAD(0, 1) "8:65536 *30000 *30000 *5600", "name of 65536 bytes, at most 65535"},
    {"V9", HEAD(0, 1) "'' 4:4 4:1", "KV 0: empty name"},
    {"V10", HEAD(0, 2) U32("same", 1) U32("same", 2), "KV 1 (same): duplicate key"},
    {"V11", HEAD(0, 1) "8:3 =a 1:0 =b 4:4 4:1", "name with a zero byte"},
    {"V12", HEAD(0, 1) "'a' 4:13 8:1", "KV 0 (a): unknown value type 13"},
    {"V12", HEAD(0, 1) "'a' 4:-1 8:1", "unknown value type 4294967295"},
    {"V12", HEAD(0, 1) "'a' 4:9 4:13 8:1 8:1", "unknown value type 13"},
    {"V13", HEAD(0, 1) "'a' 4:9 4:9 8:1 4:4 8:1 4:1", "KV 0 (a): nested array not supported"},
    {"V14", HEAD(0, 1) "'a' 4:9 4:0 8:1073741825 *9", "array of 1073741825 elements (u8)"},
    {"V14", HEAD(0, 1) "'a' 4:9 4:12 8:2 *15", "array of 2 elements (f64) in the 15 bytes"},
    {"V14", HEAD(0, 1) "'a' 4:9 4:8 8:2 *15", "array of 2 elements (string) in the 15 bytes"},
    {"V14", HEAD(0, 1) "'a' 4:9 4:12 8:2305843009213693953 *16", "2305843009213693953 elements"},
    {"V14", HEAD(0, 1) "'a' 4:9 4:8 8:2 'xyz' 8:4 *3", "KV 0 (a): truncated: needs 4 bytes"},
    {"V15", HEAD(0, 2) "'a' 4:9 4:5 8:0 'b' 4:9 4:8 8:0", NULL},
    {"V16", HEAD(0, 1) "'a' 4:7 1:2", NULL},
    {"V17", HEAD(0, 1) "'general.alignment' 4:10 8:32", "general.alignment has type u64"},
    {"V17", HEAD(0, 1) "'general.alignment' 4:8 '32'", "has type string, expected u32"},
    {"V18", HEAD(0, 1) U32("general.alignment", 0), "general.alignment is 0, expected a power"},
    {"V18", HEAD(0, 1) U32("general.alignment", 48), "general.alignment is 48, expected a power"},
    {"V18", HEAD(0, 1) U32("general.alignment", 2147483648), NULL},
    {"V18", HEAD(2, 1) U32("general.alignment", 1) F32_TENSOR("a", 1, 0) F32_TENSOR("b", 1, 4) "*8",
     NULL},
    {"V19", HEAD(1, 0) F32_TENSOR(NAME63 "4", 1, 0) "/32 *4", "name of 64 bytes, at most 63"},
    {"V19", HEAD(1, 0) F32_TENSOR(NAME63, 1, 0) "/32 *4", NULL},
    {"V20", HEAD(1, 0) F32_TENSOR("", 1, 0) "/32 *4", "tensor info 0: empty name"},
    {"V20", HEAD(1, 0) "8:2 =t 1:0 4:1 8:1 4:0 8:0 /32 *4", "tensor info 0: name with a zero"},
    {"V21", HEAD(2, 0) F32_TENSOR("t", 1, 0) F32_TENSOR("t", 1, 32) "/32 *64",
     "duplicate tensor t, number 1"},
    {"V22", HEAD(1, 0) "'t' 4:5 8:1 8:1 8:1 8:1 8:1 4:0 8:0 /32 *4", "5 dimensions, at most 4"},
    {"V23", HEAD(1, 0) "'t' 4:1 8:-2 4:0 8:0 /32 *4", "negative dimension ne[0] = -2"},
    {"V24", HEAD(1, 0) "'t' 4:1 8:0 4:0 8:0 /32 *4", "tensor info 0 (t): zero dimension ne[0]"},
    {"V25", HEAD(1, 0) "'t' 4:2 8:4 8:0 4:0 8:0 /32 *4", "zero dimension ne[1]"},
    {"V25", HEAD(1, 0) "'t' 4:4 8:4 8:1 8:1 8:0 4:0 8:0 /32 *4", "zero dimension ne[3]"},
    {"V26", HEAD(1, 0) "'t' 4:2 8:4294967296 8:4294967296 4:0 8:0 /32", "too many elements"},
    {"V26", HEAD(1, 0) "'t' 4:1 8:9223372036854775807 4:24 8:0 /32", "too many elements"},
    {"V26", HEAD(1, 0) "'t' 4:3 8:4294967296 8:4294967296 8:4294967296 4:0 8:0 /32", "too many"},
    {"V27", HEAD(1, 0) F32_TENSOR("t", 4611686018427387904, 0) "/32", "of 4 bytes are too large"},
    {"V28", HEAD(1, 0) "'t' 4:1 8:32 4:43 8:0 /32 *4", "unknown tensor type 43"},
    {"V28", HEAD(1, 0) "'t' 4:1 8:32 4:-1 8:0 /32 *4", "(t): unknown tensor type 4294967295"},
    {"V29", HEAD(1, 0) "'t' 4:1 8:32 4:4 8:0 /32 *99", "removed"},
    {"V29", HEAD(1, 0) "'t' 4:1 8:32 4:36 8:0 /32 *99", "tensor type 36"},
    {"V30", HEAD(1, 0) "'t' 4:1 8:48 4:2 8:0 /32 *99",
     "rows of 48 elements are not a multiple of the block of Q4_0, 32"},
    {"V31", HEAD(1, 0) F32_TENSOR("t", 1, 4) "/32 *36", "offset 4 is not a multiple of the alignm"},
    {"V32", HEAD(2, 0) F32_TENSOR("a", 4, 64) F32_TENSOR("b", 4, 0) "/32 *80", NULL},
    {"V33", HEAD(2, 0) F32_TENSOR("a", 9, 0) F32_TENSOR("b", 4, 32) "/32 *48",
     "tensors a and b overlap: 36 bytes at 96, the other at 128"},
    {"V33", HEAD(2, 0) F32_TENSOR("a", 4, 64) F32_TENSOR("b", 17, 0) "/32 *80", "b and a overlap"},
    {"V33", HEAD(2, 0) F32_TENSOR("a", 4, 0) F32_TENSOR("b", 4, 0) "/32 *80", "overlap"},
    {"V34", HEAD(1, 0) F32_TENSOR("t", 4, 0) "/32 *15",
     "tensor t: data ends at 80, the file has 79 bytes"},
    {"V34", HEAD(1, 0) F32_TENSOR("t", 4, 18446744073709551584) "/32 *16", "tensor t: offset"},
    {"V34", HEAD(1, 0) F32_TENSOR("t", 4, 9223372036854775808) "/32 *16", "tensor t: data ends at"},
    {"V35", HEAD(1, 0) F32_TENSOR("t", 4, 0), "truncated: data starts at 64, the file has 57"},
    {"V36", HEAD(1, 0) F32_TENSOR("t", 4, 0) "/32 *16 *100", NULL},
    {"V41", HEAD(1, 0) "'t' 4:1 8:3 4:28 8:0 /32 *24", NULL},
    {"no tensors", HEAD(0, 1) U32("a", 1), NULL},
    {"no dimensions", HEAD(1, 0) "'t' 4:0 4:0 8:0 /32 *4", NULL},
    {"a split", HEAD(0, 3) "'split.no' 4:2 2:0 'split.count' 4:2 2:2 'split.tensors.count' 4:5 4:0",
     "hand: is the first of 2 splits"},
};

TEST(gguf_validation_table)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct image image = image_make(cases[i].words);
        struct weir_error err = {0};
        struct gguf *gguf;
        const enum weir_status status = gguf_parse(&gguf, image.data, image.size, "hand", &err);
        gguf_close(gguf);
        free(image.data);
        const bool expected = (status == WEIR_OK) == (cases[i].refusal == NULL);
        if (!expected || (status != WEIR_OK && strstr(err.text, cases[i].refusal) == NULL))
            test_fail(__FILE__, __LINE__, "%s: %s\n  gave \"%s\"\n  not \"%s\"", cases[i].number,
                      cases[i].words, err.text, cases[i].refusal ? cases[i].refusal : "success");
        CHECK((gguf == NULL) == (status != WEIR_OK));
    }
}

/* ---- values ---------------------------------------------------------------------------------- */

/* One of each type; the floats are 1.5, 2.5 and 1e300. */
#define ALL_TYPES                                                                                  \
    HEAD(1, 17)                                                                                    \
    "'u8' 4:0 1:200 'i8' 4:1 1:-3 'u16' 4:2 2:60000 'i16' 4:3 2:-300 'u32' 4:4 4:4000000000 "      \
    "'i32' 4:5 4:-70000 'f32' 4:6 4:1069547520 'bool' 4:7 1:2 'text' 4:8 'hello' "                 \
    "'u64' 4:10 8:18446744073709551615 'i64' 4:11 8:77 'f64' 4:12 8:4612811918334230528 "          \
    "'huge' 4:12 8:9094988921128908188 'a.i16' 4:9 4:3 8:2 2:5 2:-6 "                              \
    "'a.text' 4:9 4:8 8:3 'x' '' 'long' 'a.bool' 4:9 4:7 8:2 1:0 1:9 'none' 4:9 4:8 8:0 "          \
    "'t' 4:2 8:32 8:2 4:2 8:0 /32 *36"

TEST(gguf_reads_each_type)
{
    struct image image;
    struct gguf *gguf = parse_words(ALL_TYPES, &image);
    CHECK_INT(gguf->version, 3);
    CHECK_INT(gguf->kv_count, 17);
    static const struct {
        const char *key;
        int64_t value;
    } integers[] = {{"u8", 200},         {"i8", -3},      {"u16", 60000}, {"i16", -300},
                    {"u32", 4000000000}, {"i32", -70000}, {"i64", 77},    {"bool", 1}};
    for (size_t i = 0; i < sizeof integers / sizeof *integers; i++) {
        int64_t value = 0;
        CHECK(gguf_kv_integer(gguf_find(gguf, integers[i].key), 0, &value));
        CHECK_INT(value, integers[i].value);
    }
    int64_t integer;
    double real;
    CHECK(!gguf_kv_integer(gguf_find(gguf, "u64"), 0, &integer));
    CHECK(!gguf_kv_integer(gguf_find(gguf, "f32"), 0, &integer));
    CHECK(!gguf_kv_integer(gguf_find(gguf, "a.text"), 0, &integer));
    CHECK(!gguf_kv_float(gguf_find(gguf, "u8"), 0, &real));
    CHECK(gguf_kv_float(gguf_find(gguf, "f32"), 0, &real) && real == 1.5);
    CHECK(gguf_kv_float(gguf_find(gguf, "f64"), 0, &real) && real == 2.5);
    CHECK(gguf_kv_integer(gguf_find(gguf, "a.i16"), 1, &integer) && integer == -6);
    CHECK(gguf_kv_integer(gguf_find(gguf, "a.bool"), 1, &integer) && integer == 1);
    CHECK(gguf_find(gguf, "absent") == NULL);
    CHECK(gguf_find(gguf, "u") == NULL);
    gguf_close(gguf);
    free(image.data);
}

TEST(gguf_walks_arrays_of_strings)
{
    struct image image;
    struct gguf *gguf = parse_words(ALL_TYPES, &image);
    static const char *const expected[] = {"x", "", "long"};
    const struct gguf_kv *kv = gguf_find(gguf, "a.text");
    uint64_t cursor = 0, count = 0;
    struct span text;
    while (gguf_kv_next_text(kv, &cursor, &text)) {
        CHECK(count < 3);
        CHECK(span_equals(text, expected[count++]));
    }
    CHECK_INT(count, kv->count);
    cursor = 0;
    CHECK(!gguf_kv_next_text(gguf_find(gguf, "none"), &cursor, &text));
    CHECK(!gguf_kv_next_text(gguf_find(gguf, "a.i16"), &cursor, &text));
    gguf_close(gguf);
    free(image.data);
}

TEST(gguf_typed_reads_accept_what_fits)
{
    struct image image;
    struct gguf *gguf = parse_words(ALL_TYPES, &image);
    struct weir_error err = {0};
    uint32_t number = 5;
    float real = 5;
    bool truth = false;
    struct span text = {0};
    CHECK_OK(gguf_get_u32(gguf, "absent", &number, &err), &err);
    CHECK_INT(number, 5);
    CHECK_OK(gguf_get_u32(gguf, "u8", &number, &err), &err);
    CHECK_INT(number, 200);
    CHECK_OK(gguf_get_u32(gguf, "i64", &number, &err), &err);
    CHECK_INT(number, 77);
    CHECK_OK(gguf_get_f32(gguf, "absent", &real, &err), &err);
    CHECK(real == 5);
    CHECK_OK(gguf_get_f32(gguf, "f64", &real, &err), &err);
    CHECK(real == 2.5f);
    CHECK_OK(gguf_get_bool(gguf, "bool", &truth, &err), &err);
    CHECK(truth);
    CHECK_OK(gguf_get_text(gguf, "text", &text, &err), &err);
    CHECK(span_equals(text, "hello"));
    gguf_close(gguf);
    free(image.data);
}

static void check_refusal(struct weir_error *err, enum weir_status status, const char *text)
{
    CHECK_INT(status, WEIR_ERR_FORMAT);
    CHECK_TEXT(err->text, text);
    *err = (struct weir_error){0};
}

TEST(gguf_typed_reads_name_what_they_found)
{
    struct image image;
    struct gguf *gguf = parse_words(ALL_TYPES, &image);
    struct weir_error err = {0};
    uint32_t number;
    float real;
    bool truth;
    struct span text;
    check_refusal(&err, gguf_get_u32(gguf, "f32", &number, &err),
                  "hand: key f32 has type f32, expected an integer");
    check_refusal(&err, gguf_get_u32(gguf, "a.i16", &number, &err),
                  "hand: key a.i16 has type array of i16, expected an integer");
    check_refusal(&err, gguf_get_u32(gguf, "i8", &number, &err),
                  "hand: key i8 is -3, expected 0 to 4294967295");
    check_refusal(&err, gguf_get_u32(gguf, "u64", &number, &err),
                  "hand: key u64 is 9223372036854775807, expected 0 to 4294967295");
    check_refusal(&err, gguf_get_f32(gguf, "u32", &real, &err),
                  "hand: key u32 has type u32, expected a float");
    check_refusal(&err, gguf_get_f32(gguf, "huge", &real, &err),
                  "hand: key huge is 1e+300, out of the range of f32");
    check_refusal(&err, gguf_get_bool(gguf, "u8", &truth, &err),
                  "hand: key u8 has type u8, expected bool");
    check_refusal(&err, gguf_get_text(gguf, "bool", &text, &err),
                  "hand: key bool has type bool, expected string");
    gguf_close(gguf);
    free(image.data);
}

TEST(gguf_truncated_anywhere)
{
    struct image whole = image_make(ALL_TYPES " *28 *9");
    const size_t needed = whole.size - 28 - 9; /* padding and what follows are not required */
    for (size_t size = 0; size <= whole.size; size++) {
        uint8_t *part = malloc(size > 0 ? size : 1);
        memcpy(part, whole.data, size);
        struct weir_error err = {0};
        struct gguf *gguf;
        const enum weir_status status = gguf_parse(&gguf, part, size, "part", &err);
        if ((status == WEIR_OK) != (size >= needed))
            test_fail(__FILE__, __LINE__, "%zu of %zu bytes: \"%s\"", size, whole.size, err.text);
        gguf_close(gguf);
        free(part);
    }
    free(whole.data);
}

TEST(gguf_places_tensors)
{
    struct image image;
    struct gguf *gguf =
        parse_words("=GGUF 4:2 8:3 8:1 " U32("general.alignment", 64) F32_TENSOR("a", 4, 64)
                        F32_TENSOR("b", 4, 0) "'c' 4:0 4:28 8:192 /64 *64 =abcd *12 /64 *64 *8",
                    &image);
    CHECK_INT(gguf->version, 2);
    CHECK_INT(gguf->tensor_count, 3);
    const struct gguf_tensor *a = gguf_find_tensor(gguf, "a"), *c = gguf_find_tensor(gguf, "c");
    CHECK(a == &gguf->tensors[0]);
    CHECK(memcmp(gguf_tensor_data(gguf, a), "abcd", 4) == 0);
    CHECK_INT(a->bytes, 16);
    CHECK_INT(a->dims, 1);
    CHECK(a->ne[0] == 4 && a->ne[1] == 1 && a->ne[2] == 1 && a->ne[3] == 1);
    CHECK_INT(a->offset, gguf->splits[0].data_start + 64);
    CHECK_INT(c->dims, 0);
    CHECK_INT(c->ne[0], 1);
    CHECK_INT(c->bytes, 8);
    CHECK_INT(dtype_info(c->dtype)->gguf_id, 28);
    CHECK(gguf_find_tensor(gguf, "absent") == NULL);
    CHECK_TEXT(gguf_path(gguf), "hand");
    gguf_close(gguf);
    free(image.data);
}

/* ---- overrides ------------------------------------------------------------------------------- */

TEST(gguf_override_replaces_and_adds)
{
    struct image image;
    struct gguf *gguf = parse_words(HEAD(0, 2) U32("a", 1) "'name' 4:8 'old'", &image);
    static const char *const overrides[] = {"a=int:42",    "name=str:new=1:2", "f=float:-2.5e-1",
                                            "b=bool:true", "a=int:43",         "b=bool:false",
                                            "empty=str:"};
    struct weir_error err = {0};
    for (size_t i = 0; i < sizeof overrides / sizeof *overrides; i++)
        CHECK_OK(gguf_override(gguf, overrides[i], &err), &err);
    CHECK_INT(gguf->kv_count, 5);
    CHECK(span_equals(gguf->kv[0].key, "a"));
    uint32_t number = 0;
    float real = 0;
    bool truth = true;
    struct span text = {0};
    CHECK_OK(gguf_get_u32(gguf, "a", &number, &err), &err);
    CHECK_INT(number, 43);
    CHECK_OK(gguf_get_text(gguf, "name", &text, &err), &err);
    CHECK(span_equals(text, "new=1:2"));
    CHECK_OK(gguf_get_text(gguf, "empty", &text, &err), &err);
    CHECK_INT(text.length, 0);
    CHECK_OK(gguf_get_f32(gguf, "f", &real, &err), &err);
    CHECK(real == -0.25f);
    CHECK_OK(gguf_get_bool(gguf, "b", &truth, &err), &err);
    CHECK(!truth);
    gguf_close(gguf);
    free(image.data);
}

TEST(gguf_override_many)
{
    struct image image;
    struct gguf *gguf = parse_words(HEAD(0, 0), &image);
    struct weir_error err = {0};
    char text[64];
    for (int i = 0; i < 500; i++) {
        snprintf(text, sizeof text, "key.%d=int:%d", i, -i);
        CHECK_OK(gguf_override(gguf, text, &err), &err);
    }
    for (int i = 0; i < 500; i++) {
        snprintf(text, sizeof text, "key.%d", i);
        int64_t value;
        CHECK(gguf_kv_integer(gguf_find(gguf, text), 0, &value));
        CHECK_INT(value, -i);
    }
    gguf_close(gguf);
    free(image.data);
}

TEST(gguf_override_refuses)
{
    struct image image;
    struct gguf *gguf = parse_words(HEAD(0, 1) U32("a", 1), &image);
    static const char *const bad[] = {"",
                                      "a",
                                      "=int:1",
                                      "a=",
                                      "a=int",
                                      "a=int:",
                                      "a=int:1x",
                                      "a=int:99999999999999999999",
                                      "a=float:",
                                      "a=float:1,5",
                                      "a=float:nan",
                                      "a=float:1e999",
                                      "a=bool:1",
                                      "a=u32:1",
                                      "general.alignment=int:64",
                                      "split.count=int:1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct weir_error err = {0};
        if (gguf_override(gguf, bad[i], &err) != WEIR_ERR_ARGUMENT)
            test_fail(__FILE__, __LINE__, "\"%s\" is accepted", bad[i]);
        CHECK(strstr(err.text, bad[i]) != NULL);
    }
    CHECK_INT(gguf->kv_count, 1);
    gguf_close(gguf);
    free(image.data);
}

/* ---- many ------------------------------------------------------------------------------------ */

TEST(gguf_many_tensors_in_any_order)
{
    enum { COUNT = 20000 };
    /* Offsets run backwards: the last tensor of the list lies first in the file. */
    struct image image = {calloc(1, (size_t)COUNT * 128), 0};
    CHECK(image.data != NULL);
    image_raw(&image, "GGUF", 4);
    image_integer(&image, 3, 4);
    image_integer(&image, COUNT, 8);
    image_integer(&image, 0, 8);
    for (int i = 0; i < COUNT; i++) {
        char name[32];
        const int length = snprintf(name, sizeof name, "blk.%d.weight", i);
        image_integer(&image, (unsigned)length, 8);
        image_raw(&image, name, (size_t)length);
        image_integer(&image, 1, 4);
        image_integer(&image, 8, 8);
        image_integer(&image, 0, 4);
        image_integer(&image, (unsigned)(COUNT - 1 - i) * 32, 8);
    }
    image.size = (image.size + 31) / 32 * 32 + COUNT * 32;
    struct weir_error err = {0};
    struct gguf *gguf;
    CHECK_OK(gguf_parse(&gguf, image.data, image.size, "many", &err), &err);
    CHECK(gguf_find_tensor(gguf, "blk.12345.weight") == &gguf->tensors[12345]);
    gguf_close(gguf);
    free(image.data);
}

TEST(gguf_shapes_as_text)
{
    const uint64_t ne[] = {4096, 1, 12288, 1}, long_ne[] = {UINT64_MAX, UINT64_MAX, 1, 1};
    char text[96], small[8];
    CHECK_INT(gguf_shape_dims(ne, 4), 3);
    CHECK_INT(gguf_shape_dims((uint64_t[]){1, 1}, 2), 1);
    gguf_format_shape(ne, 3, text, sizeof text);
    CHECK_TEXT(text, "[4096, 1, 12288]");
    gguf_format_shape(ne, 0, text, sizeof text);
    CHECK_TEXT(text, "[]");
    gguf_format_shape(long_ne, 4, small, sizeof small);
    CHECK_TEXT(small, "[184467");
    const struct span key = span_from("split.no");
    CHECK(span_begins(key, "split.") && span_begins(key, "") && span_begins(key, "split.no"));
    CHECK(!span_begins(key, "split.no.") && !span_begins(key, "plit"));
}
