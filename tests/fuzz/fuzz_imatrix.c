/* SPDX-License-Identifier: MIT
 * Fuzzes the reader of importance matrices, both forms: parses the input, then uses all of it. */
#include "fuzz/fuzz.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "format/imatrix.h"

static void expect(bool condition)
{
    if (!condition)
        abort();
}

static void use_entry(const struct imatrix *imatrix, const struct imatrix_entry *entry)
{
    enum { PART = 64 };
    float weights[PART];
    const uint64_t values = entry->columns * entry->matrices;
    expect(imatrix_find(imatrix, entry->name) == entry);
    expect(entry->name[0] != 0);
    for (uint64_t first = 0; first < values; first += PART) {
        const uint64_t count = values - first < PART ? values - first : PART;
        imatrix_weights(entry, first, count, weights);
        for (uint64_t i = 0; i < count; i++)
            expect(isfinite(weights[i]) && weights[i] >= 0);
    }
}

int fuzz_imatrix(const uint8_t *data, size_t size)
{
    struct weir_error err = {0};
    struct imatrix imatrix;
    const enum weir_status status = imatrix_parse(&imatrix, data, size, "input", &err);
    expect((status == WEIR_OK) == (err.text[0] == 0));
    expect((status == WEIR_OK) == (imatrix.count > 0));
    for (uint64_t i = 0; i < imatrix.count; i++)
        use_entry(&imatrix, imatrix.entries[i]);
    for (uint64_t i = 0; i < imatrix.datasets_count; i++)
        expect(strlen(imatrix.datasets[i]) <= size);
    imatrix_release(&imatrix);
    return 0;
}
