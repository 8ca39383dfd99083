/* SPDX-License-Identifier: MIT
 * Tests of growing texts. Run alone: build/tests/weir-test bytes_ */
#include "alloc.h"
#include "test.h"

#include <string.h>

#include "base/bytes.h"

TEST(bytes_grow_and_shrink)
{
    struct bytes bytes = {0};
    struct weir_error err = {0};
    bytes_clear(&bytes);
    bytes_add(&bytes, "", 0);
    CHECK_TEXT(bytes.data, "");
    for (int i = 0; i < 1000; i++)
        bytes_add_text(&bytes, "abc");
    bytes_sink(&bytes, "d\0e", 3);
    CHECK_INT(bytes.length, 3003);
    CHECK(memcmp(bytes.data + 2997, "abcd\0e\0", 7) == 0);
    bytes_drop(&bytes, 2998);
    CHECK_INT(bytes.length, 5);
    CHECK(memcmp(bytes.data, "bcd\0e\0", 6) == 0);
    bytes_clear(&bytes);
    CHECK_TEXT(bytes.data, "");
    CHECK_OK(bytes_check(&bytes, &err), &err);
    bytes_release(&bytes);
    CHECK(bytes.data == NULL);
}

static void grow(void *argument)
{
    (void)argument;
    struct bytes bytes = {0};
    struct weir_error err = {0};
    for (int i = 0; i < 100; i++)
        bytes_add_text(&bytes, "0123456789");
    CHECK_INT(bytes_check(&bytes, &err), alloc_failed() ? WEIR_ERR_MEMORY : WEIR_OK);
    CHECK_INT(err.status, alloc_failed() ? WEIR_ERR_MEMORY : WEIR_OK);
    CHECK(bytes.length == 1000 || alloc_failed());
    bytes_release(&bytes);
}

TEST(bytes_keep_their_failure)
{
    alloc_test(grow, NULL);
}
