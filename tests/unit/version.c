/* SPDX-License-Identifier: MIT
 * What the library says of itself. Run alone: build/tests/weir-test version_ */
#include "test.h"

#include <string.h>

TEST(version_of_the_build_is_that_of_the_header)
{
    CHECK_TEXT(weir_version(), WEIR_VERSION);
}

TEST(version_names_the_compiler)
{
#if defined(__clang__)
    CHECK(strstr(weir_build_info(), "clang ") != NULL);
#else
    CHECK(strstr(weir_build_info(), "gcc " __VERSION__) != NULL);
#endif
}
