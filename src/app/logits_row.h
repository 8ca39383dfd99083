/* SPDX-License-Identifier: MIT
 * A row of logits as a distribution over the next token: how much a token surprises it, its compact
 * form, and how far another row is from that.
 *
 * The compact form, a record, is little-endian:
 *     float64         surprise at the token that came
 *     uint32          the most likely token (the first, if several are)
 *     uint16[vocab]   how far each logit lies below the largest, in steps of 1/2048; 65535 is
 *                     anything from there on, and read as probability 0
 * Read as a distribution (exponentials divided by their sum) it is almost the row's own: rounding
 * shifts a logit by h = 1/4096 at most, which makes a KL divergence of at most h^2 / 2 = 3e-8, and
 * the zeros lose at most vocab * e^-32, which is 3e-9 at 248320 tokens. */
#ifndef APP_LOGITS_ROW_H
#define APP_LOGITS_ROW_H

#include <stdbool.h>
#include <stdint.h>

/* The most likely token, the first if several are. */
uint32_t row_top(const float *logits, uint32_t vocab);

/* -ln of the probability that softmax(logits) gives to `id`; not negative. */
double row_surprise(const float *logits, uint32_t vocab, int32_t id);

/* Bytes of a record. */
uint64_t row_record_bytes(uint32_t vocab);

/* Writes the record of a row behind which the token `next` came. Returns its surprise. */
double row_encode(const float *logits, uint32_t vocab, int32_t next, uint8_t *record);

/* Exponentials of codes: of code c, high[c >> 8] * low[c & 255]. */
struct row_powers {
    double high[256], low[256];
};

void row_powers_init(struct row_powers *powers);

struct row_distance {
    double kl; /* from the record's distribution to that of the logits, in nats; not negative */
    double surprise, surprise_base; /* of the logits and of the record, at the token that came */
    bool same_top;
};

/* Compares logits with a record from outside. False if that is no record. */
bool row_compare(const uint8_t *record, const float *logits, uint32_t vocab, int32_t next,
                 const struct row_powers *powers, struct row_distance *out);

#endif
