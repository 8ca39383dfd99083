/* SPDX-License-Identifier: MIT
 * Fuzzes the header of safetensors files: two bytes that say how much data there is, then JSON.
 * Whatever is accepted must lie within the data, without overlaps. */
#include "fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "convert/safetensors.h"

static void expect(bool condition)
{
    if (!condition)
        abort();
}

static void check_tensor(const struct safetensors *file, uint64_t i, uint64_t begin, uint64_t end)
{
    const struct safetensors_tensor *tensor = &file->tensors[i];
    const uint64_t from = i == 0 ? begin : tensor[-1].offset + tensor[-1].bytes;
    expect(tensor->offset >= from && tensor->bytes <= end - tensor->offset);
    expect(tensor->dims <= SAFETENSORS_DIMS_MAX && strlen(tensor->dtype_name) > 0);
    expect(strlen(tensor->name) < end);
    if (tensor->dtype == DTYPE_COUNT)
        return;
    uint64_t bytes = dtype_info(tensor->dtype)->block_bytes;
    for (uint32_t d = 0; d < tensor->dims; d++)
        bytes *= tensor->shape[d];
    expect(bytes == tensor->bytes);
}

int fuzz_safetensors(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const uint64_t data_bytes = (uint64_t)data[0] << 8 | data[1];
    const uint64_t begin = 8 + (uint64_t)size - 2;
    struct weir_error err = {0};
    struct safetensors file = {0};
    const enum weir_status status =
        safetensors_parse(&file, data + 2, size - 2, data_bytes, "input", &err);
    expect((status == WEIR_OK) == (err.text[0] == 0));
    for (uint64_t i = 0; i < file.count; i++)
        check_tensor(&file, i, begin, begin + data_bytes);
    safetensors_release(&file);
    return 0;
}
