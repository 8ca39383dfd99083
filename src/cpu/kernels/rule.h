/* SPDX-License-Identifier: MIT
 * The delta rule on the state of a head, token by token, as the kernel files share it. The state is
 * held in strips of 32 values, strip after strip, each key by key with its values side by side, so
 * that sums over the keys need no sum across a vector and a strip fills 16 KiB of the first cache
 * without gaps. Values that make no strip follow, key by key. */
#ifndef CPU_KERNELS_RULE_H
#define CPU_KERNELS_RULE_H

#include <math.h>

#include "cpu/kernels/kernel.h"

#if defined(LEVEL_ID)

enum { STRIP = RULE_STRIP, STRIP_VECTORS = STRIP / LANES };

/* One token of one head. */
struct token {
    const float *q, *k, *v;
    float *out;
    float decay, beta;
    float match; /* k . q */
};

/* What all tokens of a head share. */
struct head {
    float *state;
    uint32_t keys, values;
    float scale;
};

/* Sums in turn, that one addition need not wait for the other. */
enum { TURNS = LANES == 16 ? 2 : 1 };

/* sums[0] += S^T k and sums[1] += S^T q of one key. */
INLINE void read_key(const float *strip, const struct token *token, uint32_t key,
                     vf sums[2][STRIP_VECTORS])
{
    const vf k = vf_set(token->k[key]), q = vf_set(token->q[key]);
    for (uint32_t n = 0; n < STRIP_VECTORS; n++) {
        const vf row = vf_load(strip + key * STRIP + n * LANES);
        sums[0][n] = vf_fma(row, k, sums[0][n]);
        sums[1][n] = vf_fma(row, q, sums[1][n]);
    }
}

/* sums[0] = S^T k and sums[1] = S^T q of the values of the strip. */
static inline void read_strip(const float *strip, uint32_t keys, const struct token *token,
                              vf sums[2][STRIP_VECTORS])
{
    vf own[TURNS][2][STRIP_VECTORS];
    uint32_t key = 0;
    for (uint32_t n = 0; n < TURNS * STRIP_VECTORS; n++)
        own[n % TURNS][0][n / TURNS] = own[n % TURNS][1][n / TURNS] = vf_set(0.0f);
    for (; key + TURNS <= keys; key += TURNS) {
        for (uint32_t turn = 0; turn < TURNS; turn++)
            read_key(strip, token, key + turn, own[turn]);
    }
    for (; key < keys; key++)
        read_key(strip, token, key, own[0]);
    for (uint32_t n = 0; n < 2 * STRIP_VECTORS; n++) {
        vf *sum = &sums[n % 2][n / 2];
        *sum = own[0][n % 2][n / 2];
        for (uint32_t turn = 1; turn < TURNS; turn++)
            *sum = vf_add(*sum, own[turn][n % 2][n / 2]);
    }
}

static inline const float *next_strip(const struct head *head, uint32_t first)
{
    return head->state + (uint64_t)(first + STRIP) * head->keys;
}

/* What a token fetches of the strip behind: `step` floats a key from `from` on. */
struct ahead {
    const float *from;
    uint32_t step;
};

/* S = decay S + k delta^T. The next strip is fetched meanwhile: there the hardware, which stops at
 * the end of a page, would begin anew four times. */
static inline void write_strip(float *strip, uint32_t keys, const struct token *token,
                               const vf delta[STRIP_VECTORS], struct ahead ahead)
{
    const vf decay = vf_set(token->decay);
    for (uint32_t i = 0; i < keys; i++) {
        const vf k = vf_set(token->k[i]);
        float *row = strip + i * STRIP;
        __builtin_prefetch(ahead.from + i * ahead.step, 1);
        __builtin_prefetch(ahead.from + i * ahead.step + ahead.step / 2, 1);
        for (uint32_t n = 0; n < STRIP; n += LANES)
            vf_store(row + n, vf_fma(k, delta[n / LANES], vf_mul(decay, vf_load(row + n))));
    }
}

/* STRIP values from `first` on of one token, of which the strip knows nothing yet. With u = S^T k
 * and p = S^T q of the old state, delta = beta (v - decay u), and what is read of the new one is
 * decay p + (k . q) delta: Yang, Kautz and Hatamizadeh 2024 (arXiv 2412.06464), equation 10, in one
 * pass that reads and one that writes. */
static inline void read_token(const struct head *head, const float *strip,
                              const struct token *token, uint32_t first, vf delta[STRIP_VECTORS])
{
    vf sums[2][STRIP_VECTORS];
    const vf decay = vf_set(token->decay);
    read_strip(strip, head->keys, token, sums);
    for (uint32_t n = 0; n < STRIP_VECTORS; n++) {
        const vf v = vf_load(token->v + first + n * LANES);
        delta[n] = vf_mul(vf_set(token->beta), vf_sub(v, vf_mul(decay, sums[0][n])));
        const vf read = vf_fma(vf_set(token->match), delta[n], vf_mul(decay, sums[1][n]));
        vf_store(token->out + first + n * LANES, vf_mul(vf_set(head->scale), read));
    }
}

/* Value `at` by itself, where a head has no whole strip: `state` is its part of it, a number every
 * `pitch`. Returns what it gains of the key. */
static inline float rule_value(const struct head *head, const struct token *token, uint32_t at,
                               float *state, uint32_t pitch)
{
    const uint32_t keys = head->keys;
    float u = 0, p = 0;
    for (uint32_t i = 0; i < keys; i++) {
        u += state[(uint64_t)i * pitch] * token->k[i];
        p += state[(uint64_t)i * pitch] * token->q[i];
    }
    const float delta = token->beta * (token->v[at] - token->decay * u);
    token->out[at] = head->scale * (token->decay * p + token->match * delta);
    for (uint32_t i = 0; i < keys; i++)
        state[(uint64_t)i * pitch] =
            token->decay * state[(uint64_t)i * pitch] + token->k[i] * delta;
    return delta;
}

static inline void match_tokens(const struct head *head, struct token *tokens, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        tokens[i].match = dot_floats(tokens[i].k, tokens[i].q, head->keys);
}

/* Values from here on make no strip. */
static inline uint32_t whole_strips(const struct head *head)
{
    return head->values - head->values % STRIP;
}

/* ---- of a call ------------------------------------------------------------------------------- */

static inline void find_tokens(const struct cpu_call *call, uint64_t row, uint32_t head,
                               const struct host_operand *y, struct token *tokens, uint32_t count)
{
    const struct host_operand *k = &call->at[1], *v = &call->at[2];
    const uint32_t per_k = v->groups / k->groups;
    const uint32_t k_head =
        call->op->head_map == HEAD_MAP_GROUPED ? head / per_k : head % k->groups;
    for (uint32_t i = 0; i < count; i++)
        tokens[i] = (struct token){
            .q = host_group(&call->at[0], row + i, k_head),
            .k = host_group(k, row + i, k_head),
            .v = host_group(v, row + i, head),
            .out = host_group(y, row + i, head),
            .decay = expf(host_group(&call->at[3], row + i, 0)[head]),
            .beta = host_group(&call->at[4], row + i, 0)[head],
        };
}

static inline struct head head_of(const struct cpu_call *call, float *state)
{
    return (struct head){.state = state,
                         .keys = call->at[1].width,
                         .values = call->at[2].width,
                         .scale = call->op->scale};
}

static inline uint64_t head_floats(const struct cpu_call *call)
{
    return (uint64_t)call->at[2].width * call->at[1].width;
}

/* One head of one sequence through all its rows, cut where its positions are multiples of
 * CHUNK_ROWS: a step that ends there does not change what comes after it. */
void KERNEL(rule_head)(const struct cpu_call *call, const struct step_seq *seq, uint32_t number,
                       float *state, const struct host_operand *y);

#endif
#endif
