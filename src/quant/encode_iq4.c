/* SPDX-License-Identifier: MIT
 * Encoders of IQ4_NL and IQ4_XS: codes into the code book of 16 values that lie denser around zero.
 * Formulas: gguf.md 2.10.5; every operation rounds once, in the order written. */
#include "quant/encode_blocks.h"

#include "format/code_books.h"
#include "quant/encode_lanes.h"
#include "quant/encode_search.h"

enum {
    GROUP = 32,
    TRIALS = 16, /* a scale that takes the largest magnitude to the end of the code book, then 15
                    with -7 to 7 steps more */
};

/* Half-way between code k - 1 and code k. The nearest value to x has as many of these below or at
 * it as its code says: differences of x to its neighbours are exact where they are about equal. */
static float border(int k)
{
    return 0.5f * (float)(code_book_iq4[k - 1] + code_book_iq4[k]);
}

static void code_values(const float *x, float inverse, uint8_t codes[GROUP])
{
    for (int i = 0; i < GROUP; i += LANES) {
        const lanes_f32 at = inverse * (lanes_f32){x[i], x[i + 1], x[i + 2], x[i + 3]};
        lanes_i32 code = {0};
        for (int k = 1; k < 16; k++)
            code -= at >= border(k);
        for (int lane = 0; lane < LANES; lane++)
            codes[i + lane] = (uint8_t)code[lane];
    }
}

/* The value of the code book nearest to each `at`. */
static lanes_f32 nearest_values(lanes_f32 at)
{
    lanes_f32 value = lanes_all(code_book_iq4[0]);
    for (int k = 1; k < 16; k++) {
        const float step = (float)(code_book_iq4[k] - code_book_iq4[k - 1]);
        value += lanes_where(at >= border(k), lanes_all(step));
    }
    return value;
}

/* Of all trials: A and B of encode_search.h. */
struct trials {
    lanes_f32 inverse[TRIALS / LANES];
    lanes_f32 xq[TRIALS / LANES], qq[TRIALS / LANES];
};

static void sum_trials(struct trials *trials, const float *x, const float *w)
{
    for (int v = 0; v < TRIALS / LANES; v++) {
        lanes_f32 xq = lanes_all(0.0f), qq = lanes_all(0.0f);
        for (int i = 0; i < GROUP; i++) {
            const lanes_f32 q = nearest_values(trials->inverse[v] * x[i]);
            xq += w[i] * q * x[i];
            qq += w[i] * q * q;
        }
        trials->xq[v] = xq;
        trials->qq[v] = qq;
    }
}

/* The scale of a group: of all trials, that with the largest A^2 / B. */
static float fit_group(const float *x, const float *w)
{
    const float extreme = block_extreme(x, GROUP);
    struct trials trials;
    if (fabsf(extreme) < SEARCH_TINY)
        return 0.0f;
    for (int t = 1; t < TRIALS; t++)
        trials.inverse[t / LANES][t % LANES] = (float)(t - 8 - 127) / extreme;
    trials.inverse[0][0] = 1.0f / (extreme / 127.0f);
    sum_trials(&trials, x, w);
    float scale = trials.qq[0][0] > 0.0f ? trials.xq[0][0] / trials.qq[0][0] : 0.0f;
    float best = scale * trials.xq[0][0];
    for (int t = 1; t < TRIALS; t++) {
        const float xq = trials.xq[t / LANES][t % LANES], qq = trials.qq[t / LANES][t % LANES];
        if (qq > 0.0f && xq * xq > best * qq) {
            scale = xq / qq;
            best = scale * xq;
        }
    }
    return scale;
}

/* Group g of a block of `count` values. */
static float fit_group_of(const struct encode_source *source, int g, float mean)
{
    const float *x = source->values + GROUP * g;
    float w[GROUP];
    if (source->importance != NULL) {
        search_weights(x, source->importance + GROUP * g, mean, GROUP, w);
    } else {
        for (int i = 0; i < GROUP; i++)
            w[i] = x[i] * x[i];
    }
    return fit_group(x, w);
}

void encode_IQ4_NL(const struct encode_source *source, void *block)
{
    struct block_IQ4_NL *b = block;
    uint8_t codes[GROUP];
    const float mean = search_energy(source->values, GROUP) * (2.0f / (float)GROUP);
    const float scale = fit_group_of(source, 0, mean);
    block_put_f16(b->d, scale);
    code_values(source->values, block_inverse(scale), codes);
    block_put_nibbles(codes, b->qs);
}

void encode_IQ4_XS(const struct encode_source *source, void *block)
{
    struct block_IQ4_XS *b = block;
    const float mean = search_energy(source->values, 256) * (2.0f / 256.0f);
    float scales[8];
    for (int g = 0; g < 8; g++)
        scales[g] = fit_group_of(source, g, mean);
    const float d = -block_extreme(scales, 8) / 32.0f;
    const float id = block_inverse(d);
    memset(b, 0, sizeof *b);
    block_put_f16(b->d, d);
    uint32_t high = 0;
    for (int g = 0; g < 8; g++) {
        const int l = search_clamp(search_round(id * scales[g]), -32, 31);
        const uint32_t code = (uint32_t)(l + 32);
        uint8_t codes[GROUP];
        code_values(source->values + GROUP * g, block_inverse(d * (float)l), codes);
        block_put_nibbles(codes, b->qs + 16 * g);
        b->scales_l[g / 2] |= (uint8_t)((code & 15) << 4 * (g % 2));
        high |= code >> 4 << 2 * g;
    }
    memcpy(b->scales_h, &high, sizeof b->scales_h);
}
