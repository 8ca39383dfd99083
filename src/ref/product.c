/* SPDX-License-Identifier: MIT
 * Reference matrix product: each row of the weight is decoded exactly to F32 once, then multiplied
 * with every row of the step. A unit is a row of the weight. */
#include "ref/ref.h"

#include "format/codec.h"

enum { DOT_LANES = 16 };

float ref_dot(const float *a, const float *b, uint32_t n)
{
    float lane[DOT_LANES] = {0};
    const uint32_t whole = n - n % DOT_LANES;
    for (uint32_t i = 0; i < whole; i += DOT_LANES) {
        for (uint32_t l = 0; l < DOT_LANES; l++)
            lane[l] += a[i + l] * b[i + l];
    }
    for (uint32_t i = whole; i < n; i++)
        lane[i - whole] += a[i] * b[i];
    for (uint32_t half = DOT_LANES / 2; half > 0; half /= 2) {
        for (uint32_t l = 0; l < half; l++)
            lane[l] += lane[l + half];
    }
    return lane[0];
}

void ref_matmul(const struct ref_call *call, uint64_t first, uint64_t last)
{
    const struct host_operand *w = &call->at[0], *x = &call->at[1], *y = &call->at[2];
    for (uint64_t out = first; out < last; out++) {
        codec_decode_row(w->dtype, w->data + out * w->pitch, call->scratch, w->width);
        for (uint64_t row = 0; row < call->rows; row++)
            host_group(y, row, 0)[out] = ref_dot(call->scratch, host_group(x, row, 0), w->width);
    }
}
