/* SPDX-License-Identifier: MIT
 * Rows of logits and their compact form. Knows no file and no model. */
#include "app/logits_row.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

enum { CODE_MAX = UINT16_MAX, CODES_PER_NAT = 2048, SURPRISE_BYTES = 8, HEAD_BYTES = 12 };

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "records are written as they lie");

uint32_t row_top(const float *logits, uint32_t vocab)
{
    uint32_t top = 0;
    for (uint32_t i = 1; i < vocab; i++)
        top = logits[i] > logits[top] ? i : top;
    return top;
}

/* Sums exp(logit - max). Float exponentials are off by 2^-24 at most, and so is the sum. */
static double exponential_sum(const float *logits, uint32_t vocab, float max)
{
    double sum = 0;
    for (uint32_t i = 0; i < vocab; i++)
        sum += (double)expf(logits[i] - max);
    return sum;
}

static double surprise(double max, double sum, double logit)
{
    return max + log(sum) - logit;
}

double row_surprise(const float *logits, uint32_t vocab, int32_t id)
{
    const float max = logits[row_top(logits, vocab)];
    return surprise((double)max, exponential_sum(logits, vocab, max), (double)logits[id]);
}

uint64_t row_record_bytes(uint32_t vocab)
{
    return HEAD_BYTES + (uint64_t)vocab * sizeof(uint16_t);
}

double row_encode(const float *logits, uint32_t vocab, int32_t next, uint8_t *record)
{
    const uint32_t top = row_top(logits, vocab);
    const float max = logits[top];
    const double came =
        surprise((double)max, exponential_sum(logits, vocab, max), (double)logits[next]);
    memcpy(record, &came, sizeof came);
    memcpy(record + SURPRISE_BYTES, &top, sizeof top);
    uint8_t *codes = record + HEAD_BYTES;
    for (uint32_t i = 0; i < vocab; i++) {
        const float steps = (max - logits[i]) * CODES_PER_NAT + 0.5f;
        const uint16_t code = steps < CODE_MAX ? (uint16_t)steps : CODE_MAX;
        memcpy(codes + 2 * (size_t)i, &code, sizeof code);
    }
    return came;
}

void row_powers_init(struct row_powers *powers)
{
    for (int i = 0; i < 256; i++) {
        powers->high[i] = exp(-256.0 * i / CODES_PER_NAT);
        powers->low[i] = exp(-1.0 * i / CODES_PER_NAT);
    }
}

static uint32_t code_at(const uint8_t *codes, uint32_t i)
{
    uint16_t code;
    memcpy(&code, codes + 2 * (size_t)i, sizeof code);
    return code;
}

static double code_power(const struct row_powers *powers, uint32_t code)
{
    return code == CODE_MAX ? 0 : powers->high[code >> 8] * powers->low[code & 255];
}

/* With p = exp(-d) / P of the record and q = exp(-y) / Q of the logits,
 * sum p ln(p / q) = ln Q - ln P + sum p (y - d). */
bool row_compare(const uint8_t *record, const float *logits, uint32_t vocab, int32_t next,
                 const struct row_powers *powers, struct row_distance *out)
{
    const uint8_t *codes = record + HEAD_BYTES;
    double surprise_base;
    uint32_t top_base;
    memcpy(&surprise_base, record, sizeof surprise_base);
    memcpy(&top_base, record + SURPRISE_BYTES, sizeof top_base);
    const bool is_record = isfinite(surprise_base) && surprise_base >= 0 && top_base < vocab &&
                           code_at(codes, top_base) == 0;
    if (!is_record)
        return false;
    const uint32_t top = row_top(logits, vocab);
    const double max = (double)logits[top];
    double p_sum = 0, q_sum = 0, gap = 0;
    for (uint32_t i = 0; i < vocab; i++) {
        const uint32_t code = code_at(codes, i);
        const double p = code_power(powers, code);
        const double y = max - (double)logits[i];
        p_sum += p;
        q_sum += (double)expf((float)-y);
        gap += p * (y - (double)code / CODES_PER_NAT);
    }
    const double kl = log(q_sum) - log(p_sum) + gap / p_sum;
    *out = (struct row_distance){
        .kl = kl > 0 ? kl : 0, /* not less but by rounding */
        .surprise = surprise(max, q_sum, (double)logits[next]),
        .surprise_base = surprise_base,
        .same_top = top == top_base,
    };
    return true;
}
