/* SPDX-License-Identifier: MIT
 * The entry that libFuzzer calls, for fuzz_http_target. */
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_http_target(data, size);
}
