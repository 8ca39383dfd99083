/* SPDX-License-Identifier: MIT
 * Fuzzes the reader of saved rows: parses the input, then compares every row that it has. */
#include "fuzz/fuzz.h"

#include <math.h>
#include <stdlib.h>

#include "app/kl_base.h"
#include "app/logits_row.h"

/* A failed expectation is a crash, which libFuzzer and the runner both see. */
static void expect(bool condition)
{
    if (!condition)
        abort();
}

/* The file's size bounds the vocabulary and the number of rows. */
static void use_rows(const struct kl_base *base)
{
    const uint32_t vocab = base->shape.vocab;
    struct row_powers powers;
    row_powers_init(&powers);
    float *logits = malloc(vocab * sizeof *logits);
    expect(logits != NULL);
    for (uint32_t i = 0; i < vocab; i++)
        logits[i] = (float)(i % 7) - 3;
    for (uint64_t row = 0; row < kl_shape_rows(&base->shape); row++) {
        const int32_t next = kl_base_token(base, row % base->shape.window);
        struct row_distance distance;
        if (!row_compare(kl_base_record(base, row), logits, vocab, next, &powers, &distance))
            continue;
        expect(isfinite(distance.kl) && distance.kl >= 0);
        expect(isfinite(distance.surprise) && distance.surprise >= 0);
        expect(isfinite(distance.surprise_base) && distance.surprise_base >= 0);
    }
    free(logits);
}

int fuzz_kl_base(const uint8_t *data, size_t size)
{
    struct weir_error err = {0};
    struct kl_base base = {.tokens = NULL};
    const enum weir_status status = kl_base_parse(&base, data, size, "input", &err);
    expect((status == WEIR_OK) == (err.text[0] == 0));
    if (status == WEIR_OK)
        use_rows(&base);
    return 0;
}
