/* SPDX-License-Identifier: MIT
 * Tests of the table of tensor types. Run alone: build/tests/weir-test dtype_ */
#include "test.h"

#include <string.h>

#include "format/dtype.h"

TEST(dtype_ids_round_trip)
{
    for (unsigned i = 0; i < DTYPE_COUNT; i++) {
        const struct dtype_info *info = dtype_info((enum dtype)i);
        struct weir_error err = {0};
        enum dtype found = DTYPE_COUNT;
        CHECK_OK(dtype_from_gguf(&found, info->gguf_id, &err), &err);
        CHECK_INT(found, i);
    }
}

TEST(dtype_ids_without_a_type_say_why)
{
    static const struct {
        uint32_t gguf_id;
        const char *text;
    } cases[] = {
        {4, "tensor type 4 (Q4_2) was removed from ggml"},
        {5, "tensor type 5 (Q4_3) was removed from ggml"},
        {31, "tensor type 31 (Q4_0_4_4) was removed from ggml"},
        {32, "tensor type 32 (Q4_0_4_8) was removed from ggml"},
        {33, "tensor type 33 (Q4_0_8_8) was removed from ggml"},
        {36, "tensor type 36 (IQ4_NL_4_4) was removed from ggml, or is a type of the ik_llama.cpp "
             "fork"},
        {37, "tensor type 37 (IQ4_NL_4_8) was removed from ggml"},
        {38, "tensor type 38 (IQ4_NL_8_8) was removed from ggml"},
        {43, "unknown tensor type 43"},
        {96, "unknown tensor type 96"},
        {97, "unknown tensor type 97: an id of the ik_llama.cpp fork"},
        {158, "unknown tensor type 158: an id of the ik_llama.cpp fork"},
        {159, "unknown tensor type 159"},
        {399, "unknown tensor type 399: an id of the ik_llama.cpp fork"},
        {UINT32_MAX, "unknown tensor type 4294967295"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weir_error err = {0};
        enum dtype found = DTYPE_F64;
        CHECK_INT(dtype_from_gguf(&found, cases[i].gguf_id, &err), WEIR_ERR_FORMAT);
        CHECK_TEXT(err.text, cases[i].text);
        CHECK_INT(found, DTYPE_F64);
        CHECK_INT(dtype_from_gguf(&found, cases[i].gguf_id, NULL), WEIR_ERR_FORMAT);
    }
}

TEST(dtype_every_id_up_to_42_is_known_or_removed)
{
    for (uint32_t id = 0; id <= 42; id++) {
        struct weir_error err = {0};
        enum dtype found;
        if (dtype_from_gguf(&found, id, &err) != WEIR_OK)
            CHECK(strstr(err.text, "removed") != NULL);
    }
}

TEST(dtype_rows_have_sizes)
{
    CHECK_INT(dtype_row_bytes(DTYPE_F32, 3), 12);
    CHECK_INT(dtype_row_bytes(DTYPE_Q4_0, 64), 36);
    CHECK_INT(dtype_row_bytes(DTYPE_Q6_K, 1024), 840);
    CHECK_INT(dtype_row_bytes(DTYPE_NVFP4, 64), 36);
    CHECK_INT(dtype_row_bytes(DTYPE_I64, 0), 0);
    CHECK_INT(dtype_row_bytes(DTYPE_Q8_K, UINT64_C(1) << 40), (INT64_C(1) << 32) * 292);
}
