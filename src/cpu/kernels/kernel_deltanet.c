/* SPDX-License-Identifier: MIT
 * Kernels of the gated delta rule: token by token where a sequence has few rows, in chunks where it
 * has many. The state of a head is held in strips of 32 values, strip after strip, each key by key
 * with its values side by side, so that sums over the keys need no sum across a vector and a strip
 * fills 16 KiB of the first cache without gaps. Values that make no strip follow, key by key. */
#include "cpu/kernels/kernel.h"

#include <math.h>

/* ---- state in and out ------------------------------------------------------------------------ */

/* All sequences, by one thread. */
void KERNEL(state_load)(const struct cpu_call *call, const struct part *part)
{
    const struct host_operand *state = &call->at[0];
    const uint64_t bytes = state->rows * state->pitch;
    (void)part;
    for (uint32_t s = 0; s < call->step->seqs; s++)
        memcpy(call->at[1].data + s * bytes, host_slot_row(state, call->step->seq[s].slot, 0),
               (size_t)bytes);
}

void KERNEL(state_store)(const struct cpu_call *call, const struct part *part)
{
    const struct host_operand *state = &call->at[1];
    const uint64_t bytes = state->rows * state->pitch;
    (void)part;
    for (uint32_t s = 0; s < call->step->seqs; s++)
        memcpy(host_slot_row(state, call->step->seq[s].slot, 0), call->at[0].data + s * bytes,
               (size_t)bytes);
}

/* ---- token by token -------------------------------------------------------------------------- */

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
static void read_strip(const float *strip, uint32_t keys, const struct token *token,
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

/* What a token fetches of the strip behind: `step` floats a key from `from` on. */
struct ahead {
    const float *from;
    uint32_t step;
};

/* S = decay S + k delta^T. The next strip is fetched meanwhile: there the hardware, which stops at
 * the end of a page, would begin anew four times. */
static void write_strip(float *strip, uint32_t keys, const struct token *token,
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
static void read_token(const struct head *head, const float *strip, const struct token *token,
                       uint32_t first, vf delta[STRIP_VECTORS])
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

static void rule_strip(const struct head *head, const struct token *token, uint32_t first,
                       struct ahead ahead)
{
    vf delta[STRIP_VECTORS];
    float *strip = head->state + (uint64_t)first * head->keys;
    read_token(head, strip, token, first, delta);
    write_strip(strip, head->keys, token, delta, ahead);
}

/* Value `at` by itself, where a head has no whole strip: `state` is its part of it, a number every
 * `pitch`. Returns what it gains of the key. */
static float rule_value(const struct head *head, const struct token *token, uint32_t at,
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

static void match_tokens(const struct head *head, struct token *tokens, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        tokens[i].match = dot_floats(tokens[i].k, tokens[i].q, head->keys);
}

/* Values from here on make no strip. */
static uint32_t whole_strips(const struct head *head)
{
    return head->values - head->values % STRIP;
}

/* Strip by strip, so that each comes from memory once and goes back once. Each token fetches its
 * share of the next one: two strips fill the first cache, so all of it at once would drive out the
 * one that the other tokens still need. */
static void rule_tokens(const struct head *head, struct token *tokens, uint32_t count)
{
    const uint32_t whole = whole_strips(head);
    match_tokens(head, tokens, count);
    for (uint32_t first = 0; first < whole; first += STRIP) {
        struct ahead ahead = {head->state + (uint64_t)(first + STRIP) * head->keys,
                              (STRIP + count - 1) / count};
        for (uint32_t i = 0; i < count; i++) {
            rule_strip(head, &tokens[i], first, ahead);
            ahead.from += ahead.step * head->keys;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t at = whole; at < head->values; at++)
            rule_value(head, &tokens[i], at,
                       head->state + (uint64_t)whole * head->keys + (at - whole),
                       head->values - whole);
    }
}

/* ---- with records ---------------------------------------------------------------------------- */

/* What a token does to the state of a head. */
struct record {
    float *k, *delta, *decay;
};

/* The records of a sequence for one head. */
struct recorder {
    const struct host_operand *ring;
    const struct step_seq *seq;
    uint32_t number; /* of the head */
};

static struct record record_at(const struct recorder *recorder, const struct head *head,
                               uint64_t position)
{
    const struct host_operand *ring = recorder->ring;
    uint8_t *row = host_slot_row(ring, recorder->seq->slot, position % ring->rows);
    float *k = (float *)(void *)row + (uint64_t)recorder->number * ring->stride;
    return (struct record){k, k + head->keys, k + head->keys + head->values};
}

/* Records of tokens that are pending: settled first. */
struct pending {
    struct record at[EXACT_ROWS];
    uint32_t count, settled;
};

static void find_pending(const struct recorder *recorder, const struct head *head,
                         struct pending *pending)
{
    const struct step_seq *seq = recorder->seq;
    pending->count = seq->pending;
    pending->settled = seq->settle;
    for (uint32_t i = 0; i < seq->pending; i++)
        pending->at[i] = record_at(recorder, head, (uint64_t)seq->cached - seq->pending + i);
}

/* Records [from, to) on one key of the strip: what write_strip does for each of these tokens. */
INLINE void replay_key(const struct pending *pending, uint32_t from, uint32_t to, uint32_t first,
                       uint32_t key, vf row[STRIP_VECTORS])
{
    for (uint32_t r = from; r < to; r++) {
        const struct record *record = &pending->at[r];
        const vf k = vf_set(record->k[key]), decay = vf_set(*record->decay);
        for (uint32_t n = 0; n < STRIP_VECTORS; n++)
            row[n] = vf_fma(k, vf_load(record->delta + first + n * LANES), vf_mul(decay, row[n]));
    }
}

/* The strip of values from `first` on through what is pending, into `work`; what is settled stays
 * in the strip. The next strip is fetched meanwhile. */
static void replay_strip(const struct head *head, const struct pending *pending, uint32_t first,
                         float *work)
{
    float *strip = head->state + (uint64_t)first * head->keys;
    const float *ahead = strip + (uint64_t)STRIP * head->keys;
    for (uint32_t key = 0; key < head->keys; key++) {
        vf row[STRIP_VECTORS];
        __builtin_prefetch(ahead + key * STRIP, 1);
        __builtin_prefetch(ahead + key * STRIP + STRIP / 2, 1);
        for (uint32_t n = 0; n < STRIP_VECTORS; n++)
            row[n] = vf_load(strip + key * STRIP + n * LANES);
        replay_key(pending, 0, pending->settled, first, key, row);
        for (uint32_t n = 0; n < STRIP_VECTORS && pending->settled > 0; n++)
            vf_store(strip + key * STRIP + n * LANES, row[n]);
        replay_key(pending, pending->settled, pending->count, first, key, row);
        for (uint32_t n = 0; n < STRIP_VECTORS; n++)
            vf_store(work + key * STRIP + n * LANES, row[n]);
    }
}

/* The same of a value by itself: `state` is its part of the state, a number every `pitch`. */
static void replay_value(const struct head *head, const struct pending *pending, uint32_t at,
                         float *state, uint32_t pitch, float *work)
{
    for (uint32_t key = 0; key < head->keys; key++) {
        float s = state[(uint64_t)key * pitch];
        for (uint32_t r = 0; r < pending->count; r++) {
            const struct record *record = &pending->at[r];
            s = *record->decay * s + record->k[key] * record->delta[at];
            if (r + 1 == pending->settled)
                state[(uint64_t)key * pitch] = s;
        }
        work[key] = s;
    }
}

static void record_strip(const struct head *head, const struct token *tokens,
                         const struct record *records, uint32_t count, uint32_t first, float *work)
{
    const struct ahead nothing = {work, 0};
    for (uint32_t i = 0; i < count; i++) {
        vf delta[STRIP_VECTORS];
        read_token(head, work, &tokens[i], first, delta);
        for (uint32_t n = 0; n < STRIP_VECTORS; n++)
            vf_store(records[i].delta + first + n * LANES, delta[n]);
        if (i + 1 < count)
            write_strip(work, head->keys, &tokens[i], delta, nothing);
    }
}

/* Tokens that may be taken back: the state is read once, and written, if at all, as it was before
 * them. `work` has room for a strip. */
static void record_tokens(const struct head *head, const struct recorder *recorder,
                          struct token *tokens, uint32_t count, float *work)
{
    const uint32_t whole = whole_strips(head);
    struct pending pending;
    struct record records[EXACT_ROWS];
    find_pending(recorder, head, &pending);
    for (uint32_t i = 0; i < count; i++) {
        records[i] = record_at(recorder, head, (uint64_t)recorder->seq->cached + i);
        memcpy(records[i].k, tokens[i].k, head->keys * sizeof(float));
        *records[i].decay = tokens[i].decay;
    }
    match_tokens(head, tokens, count);
    for (uint32_t first = 0; first < whole; first += STRIP) {
        replay_strip(head, &pending, first, work);
        record_strip(head, tokens, records, count, first, work);
    }
    for (uint32_t at = whole; at < head->values; at++) {
        replay_value(head, &pending, at, head->state + (uint64_t)whole * head->keys + (at - whole),
                     head->values - whole, work);
        for (uint32_t i = 0; i < count; i++)
            records[i].delta[at] = rule_value(head, &tokens[i], at, work, 1);
    }
}

/* Brings the stored state up to the tokens that the sequence holds. */
static void settle_head(const struct head *head, const struct recorder *recorder, float *work)
{
    const uint32_t whole = whole_strips(head);
    struct pending pending;
    find_pending(recorder, head, &pending);
    for (uint32_t first = 0; first < whole; first += STRIP)
        replay_strip(head, &pending, first, work);
    for (uint32_t at = whole; at < head->values; at++)
        replay_value(head, &pending, at, head->state + (uint64_t)whole * head->keys + (at - whole),
                     head->values - whole, work);
}

/* ---- tiles ----------------------------------------------------------------------------------- */

/* Rows of a product whose sums stay in registers, and their columns. */
enum {
    TILE_ROWS = LANES == 16 ? 8 : 4,
    TILE_VECTORS = 2,
    TILE_COLUMNS = TILE_VECTORS * LANES,
};

typedef vf tile[TILE_ROWS][TILE_VECTORS];

/* Row r of the tile += the sum over i < depth of a[r * a_row + i * a_step] * row i of b. */
INLINE void tile_add(tile sums, const float *a, uint64_t a_row, uint64_t a_step, const float *b,
                     uint64_t b_step, uint32_t depth)
{
    tile own;
    memcpy(own, sums, sizeof own);
    for (uint64_t i = 0; i < depth; i++) {
        vf y[TILE_VECTORS];
        for (uint32_t n = 0; n < TILE_VECTORS; n++)
            y[n] = vf_load(b + i * b_step + n * LANES);
        for (uint32_t r = 0; r < TILE_ROWS; r++) {
            const vf x = vf_set(a[r * a_row + i * a_step]);
            for (uint32_t n = 0; n < TILE_VECTORS; n++)
                own[r][n] = vf_fma(x, y[n], own[r][n]);
        }
    }
    memcpy(sums, own, sizeof own);
}

/* Row r of the tile times by[r * step]. */
INLINE void tile_scale(tile sums, const float *by, uint32_t step)
{
    for (uint32_t r = 0; r < TILE_ROWS; r++) {
        for (uint32_t n = 0; n < TILE_VECTORS; n++)
            sums[r][n] = vf_mul(sums[r][n], vf_set(by[r * step]));
    }
}

INLINE void tile_zero(tile sums)
{
    for (uint32_t r = 0; r < TILE_ROWS; r++) {
        for (uint32_t n = 0; n < TILE_VECTORS; n++)
            sums[r][n] = vf_set(0.0f);
    }
}

INLINE void tile_store(tile sums, float *to, uint64_t pitch, uint32_t rows)
{
    for (uint32_t r = 0; r < rows; r++) {
        for (uint32_t n = 0; n < TILE_VECTORS; n++)
            vf_store(to + r * pitch + n * LANES, sums[r][n]);
    }
}

/* ---- in chunks ------------------------------------------------------------------------------- */

/* The rows of a chunk of one head, filled with zeros to a multiple of LANES: a row of zeros with
 * decay 1 changes nothing. With the state S at the chunk's begin, decays a, g_i = a_0 .. a_i, and
 * f_ij = a_(j+1) .. a_i for j <= i:
 *
 *     (I + L) D = diag(beta) (V - diag(g) K S)    L_ij = beta_i f_ij k_i . k_j for j < i
 *     O = diag(g) Q S + P D                       P_ij = f_ij q_i . k_j for j <= i
 *     S' = g_last S + K^T diag(f_last) D
 *
 * Yang, Wang, Zhang, Shen and Kim 2024 (arXiv 2406.06484), section 3, with the decays of Yang,
 * Kautz and Hatamizadeh 2024. Products of decays are made by multiplying, not as exponentials of
 * differences of sums: nothing overflows, and after a strong decay nothing is lost. */
struct chunk {
    const struct token *tokens;
    uint32_t count, rows;   /* tokens, and with the zeros */
    float *rows_k, *rows_q; /* [rows][keys] */
    float *columns_k;       /* [keys][CHUNK_ROWS] */
    float *l, *p;           /* [rows][CHUNK_ROWS] */
    float *deltas;          /* [rows][TILE_COLUMNS] */
    float beta[CHUNK_ROWS], from_begin[CHUNK_ROWS], to_end[CHUNK_ROWS]; /* g, f_last */
};

/* Numbers below are made 0, as f and g underflow: 1e-30 is lost beside any number above 1e-22, and
 * arithmetic with subnormal numbers is slow. */
static const float least_fade = 1e-30f;

static void place_chunk(struct chunk *chunk, const struct head *head, float *scratch)
{
    const uint64_t floats = (uint64_t)CHUNK_ROWS * head->keys;
    chunk->rows_k = scratch;
    chunk->rows_q = chunk->rows_k + floats;
    chunk->columns_k = chunk->rows_q + floats;
    chunk->l = chunk->columns_k + floats;
    chunk->p = chunk->l + CHUNK_ROWS * CHUNK_ROWS;
    chunk->deltas = chunk->p + CHUNK_ROWS * CHUNK_ROWS;
}

/* Side by side: in the step rows lie so far apart that a cache has few places for them. */
static void gather_rows(struct chunk *chunk, uint32_t keys)
{
    for (uint32_t i = 0; i < chunk->count; i++) {
        memcpy(chunk->rows_k + (uint64_t)i * keys, chunk->tokens[i].k, keys * sizeof(float));
        memcpy(chunk->rows_q + (uint64_t)i * keys, chunk->tokens[i].q, keys * sizeof(float));
    }
    const uint64_t at = (uint64_t)chunk->count * keys;
    const uint64_t rest = (uint64_t)chunk->rows * keys - at;
    memset(chunk->rows_k + at, 0, rest * sizeof(float));
    memset(chunk->rows_q + at, 0, rest * sizeof(float));
    for (uint32_t i = 0; i < chunk->rows; i += LANES) {
        for (uint32_t key = 0; key < keys; key += 4) {
            vf columns[4];
            vf_load_columns(chunk->rows_k + (uint64_t)i * keys + key, keys, columns);
            for (uint32_t n = 0; n < 4; n++)
                vf_store(chunk->columns_k + (uint64_t)(key + n) * CHUNK_ROWS + i, columns[n]);
        }
    }
}

/* to[i][j] = x_i . k_j, for j up to i at least. */
static void match_rows(const struct chunk *chunk, const float *x, uint32_t keys, float *to)
{
    for (uint32_t first = 0; first < chunk->rows; first += TILE_ROWS) {
        for (uint32_t j = 0; j < first + TILE_ROWS && j < chunk->rows; j += TILE_COLUMNS) {
            tile sums;
            tile_zero(sums);
            tile_add(sums, x + (uint64_t)first * keys, keys, 1, chunk->columns_k + j, CHUNK_ROWS,
                     keys);
            tile_store(sums, to + first * CHUNK_ROWS + j, CHUNK_ROWS, TILE_ROWS);
        }
    }
}

/* k_i . k_j becomes L, q_i . k_j becomes P, row by row with f_i made of f_(i-1). */
static void fade_rows(struct chunk *chunk)
{
    const vf least = vf_set(-least_fade), zero = vf_set(0.0f);
    float *fade = chunk->to_end, begin = 1.0f;
    memset(fade, 0, sizeof chunk->to_end);
    for (uint32_t i = 0; i < chunk->rows; i++) {
        const float decay = i < chunk->count ? chunk->tokens[i].decay : 1.0f;
        chunk->beta[i] = i < chunk->count ? chunk->tokens[i].beta : 0.0f;
        begin = begin * decay - least_fade;
        begin = begin < 0.0f ? 0.0f : begin;
        chunk->from_begin[i] = begin;
        for (uint32_t j = 0; j < i; j += LANES)
            vf_store(fade + j, vf_max(zero, vf_fma(vf_load(fade + j), vf_set(decay), least)));
        fade[i] = 1.0f;
        float *l = chunk->l + i * CHUNK_ROWS, *p = chunk->p + i * CHUNK_ROWS;
        for (uint32_t j = 0; j <= i; j += LANES) {
            const vf f = vf_load(fade + j);
            vf_store(l + j, vf_mul(vf_mul(vf_load(l + j), f), vf_set(chunk->beta[i])));
            vf_store(p + j, vf_mul(vf_load(p + j), f));
        }
    }
}

/* Values from `value` on of TILE_ROWS tokens from `first` on; zeros where there is none. */
INLINE void load_values(const struct chunk *chunk, uint32_t first, uint32_t value, tile v)
{
    tile_zero(v);
    for (uint32_t r = 0; r < TILE_ROWS && first + r < chunk->count; r++) {
        for (uint32_t n = 0; n < TILE_VECTORS; n++)
            v[r][n] = vf_load(chunk->tokens[first + r].v + value + n * LANES);
    }
}

/* D of TILE_ROWS rows, those before it being known: what they add is taken off, then the rows are
 * solved one after the other. */
static void solve_tile(const struct chunk *chunk, uint32_t first, uint32_t value, tile sums)
{
    const float *l = chunk->l + first * CHUNK_ROWS;
    tile deltas;
    load_values(chunk, first, value, deltas);
    tile_scale(sums, chunk->from_begin + first, 1);
    for (uint32_t r = 0; r < TILE_ROWS; r++) {
        for (uint32_t n = 0; n < TILE_VECTORS; n++)
            deltas[r][n] = vf_mul(vf_sub(deltas[r][n], sums[r][n]), vf_set(chunk->beta[first + r]));
    }
    tile_zero(sums);
    tile_add(sums, l, CHUNK_ROWS, 1, chunk->deltas, TILE_COLUMNS, first);
    for (uint32_t r = 0; r < TILE_ROWS; r++) {
        for (uint32_t n = 0; n < TILE_VECTORS; n++) {
            vf sum = sums[r][n];
            for (uint32_t i = 0; i < r; i++)
                sum = vf_fma(vf_set(l[r * CHUNK_ROWS + first + i]), deltas[i][n], sum);
            deltas[r][n] = vf_sub(deltas[r][n], sum);
        }
    }
    tile_store(deltas, chunk->deltas + first * TILE_COLUMNS, TILE_COLUMNS, TILE_ROWS);
}

/* D and O of TILE_COLUMNS values, whose part of the state begins at `strip`. */
static void read_chunk(const struct chunk *chunk, const struct head *head, const float *strip,
                       uint32_t value)
{
    const uint32_t keys = head->keys;
    for (uint32_t first = 0; first < chunk->rows; first += TILE_ROWS) {
        tile sums;
        tile_zero(sums);
        tile_add(sums, chunk->rows_k + (uint64_t)first * keys, keys, 1, strip, STRIP, keys);
        solve_tile(chunk, first, value, sums);
        tile_zero(sums);
        tile_add(sums, chunk->rows_q + (uint64_t)first * keys, keys, 1, strip, STRIP, keys);
        tile_scale(sums, chunk->from_begin + first, 1);
        tile_add(sums, chunk->p + first * CHUNK_ROWS, CHUNK_ROWS, 1, chunk->deltas, TILE_COLUMNS,
                 first + TILE_ROWS);
        tile_scale(sums, &head->scale, 0);
        for (uint32_t r = 0; r < TILE_ROWS && first + r < chunk->count; r++)
            tile_store(sums + r, chunk->tokens[first + r].out + value, 0, 1);
    }
}

/* S' = g_last S + K^T diag(f_last) D. */
static void write_chunk(const struct chunk *chunk, uint32_t keys, float *strip)
{
    for (uint32_t i = 0; i < chunk->rows; i++) {
        float *row = chunk->deltas + i * TILE_COLUMNS;
        for (uint32_t n = 0; n < TILE_VECTORS; n++)
            vf_store(row + n * LANES, vf_mul(vf_load(row + n * LANES), vf_set(chunk->to_end[i])));
    }
    for (uint32_t key = 0; key < keys; key += TILE_ROWS) {
        tile sums;
        for (uint32_t r = 0; r < TILE_ROWS; r++) {
            for (uint32_t n = 0; n < TILE_VECTORS; n++)
                sums[r][n] = vf_load(strip + (key + r) * STRIP + n * LANES);
        }
        tile_scale(sums, chunk->from_begin + chunk->rows - 1, 0);
        tile_add(sums, chunk->rows_k + key, 1, keys, chunk->deltas, TILE_COLUMNS, chunk->rows);
        tile_store(sums, strip + key * STRIP, STRIP, TILE_ROWS);
    }
}

static void rule_chunk(const struct head *head, const struct token *tokens, uint32_t count,
                       float *scratch)
{
    struct chunk chunk = {.tokens = tokens, .count = count};
    chunk.rows = (count + LANES - 1) / LANES * LANES;
    place_chunk(&chunk, head, scratch);
    gather_rows(&chunk, head->keys);
    match_rows(&chunk, chunk.rows_k, head->keys, chunk.l);
    match_rows(&chunk, chunk.rows_q, head->keys, chunk.p);
    fade_rows(&chunk);
    for (uint32_t value = 0; value < head->values; value += TILE_COLUMNS) {
        const uint32_t within = value % STRIP;
        float *strip = head->state + (uint64_t)(value - within) * head->keys + within;
        read_chunk(&chunk, head, strip, value);
        write_chunk(&chunk, head->keys, strip);
    }
}

/* ---- heads ----------------------------------------------------------------------------------- */

static void find_tokens(const struct cpu_call *call, uint64_t row, uint32_t head,
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

static struct head head_of(const struct cpu_call *call, float *state)
{
    return (struct head){.state = state,
                         .keys = call->at[1].width,
                         .values = call->at[2].width,
                         .scale = call->op->scale};
}

/* One head of one sequence through all its rows, cut where its positions are multiples of
 * CHUNK_ROWS: a step that ends there does not change what comes after it. */
static void rule_head(const struct cpu_call *call, const struct step_seq *seq, uint32_t number,
                      float *state, const struct host_operand *y)
{
    const struct head head = head_of(call, state);
    const bool has_tiles = head.values % STRIP == 0 && head.keys % LANES == 0;
    struct token tokens[CHUNK_ROWS];
    for (uint32_t i = 0; i < seq->rows;) {
        const uint32_t position = (uint32_t)((seq->cached + (uint64_t)i) % CHUNK_ROWS);
        const uint32_t count = least_of(CHUNK_ROWS - position, seq->rows - i);
        find_tokens(call, seq->row_first + i, number, y, tokens, count);
        if (has_tiles && count > EXACT_ROWS)
            rule_chunk(&head, tokens, count, call->scratch);
        else
            rule_tokens(&head, tokens, count);
        i += count;
    }
}

static uint64_t head_floats(const struct cpu_call *call)
{
    return (uint64_t)call->at[2].width * call->at[1].width;
}

void KERNEL(delta_rule)(const struct cpu_call *call, const struct part *part)
{
    const uint32_t heads = call->at[2].groups;
    const uint64_t floats = head_floats(call);
    const struct host_operand *y = &call->at[7];
    for (uint32_t s = 0; s < call->step->seqs; s++) {
        for (uint32_t head = part->column / y->width; head < part->column_end / y->width; head++) {
            const uint64_t at = ((uint64_t)s * heads + head) * floats;
            float *after = (float *)(void *)call->at[6].data + at;
            memcpy(after, (const float *)(const void *)call->at[5].data + at,
                   floats * sizeof(float));
            rule_head(call, &call->step->seq[s], head, after, y);
        }
    }
}

void KERNEL(delta_rule_inplace)(const struct cpu_call *call, const struct part *part)
{
    const struct host_operand *y = &call->at[6];
    for (uint32_t s = 0; s < call->step->seqs; s++) {
        const struct step_seq *seq = &call->step->seq[s];
        float *state = (float *)(void *)host_slot_row(&call->at[5], seq->slot, 0);
        for (uint32_t head = part->column / y->width; head < part->column_end / y->width; head++)
            rule_head(call, seq, head, state + head * head_floats(call), y);
    }
}

/* One head of one sequence. */
static void recorded_head(const struct cpu_call *call, const struct step_seq *seq, uint32_t number,
                          float *state)
{
    const struct head head = head_of(call, state);
    const struct recorder recorder = {&call->at[6], seq, number};
    const struct host_operand *y = &call->at[7];
    struct token tokens[EXACT_ROWS];
    if (!seq->is_recorded) {
        if (seq->pending > 0)
            settle_head(&head, &recorder, call->scratch);
        rule_head(call, seq, number, state, y);
        return;
    }
    find_tokens(call, seq->row_first, number, y, tokens, seq->rows);
    record_tokens(&head, &recorder, tokens, seq->rows, call->scratch);
}

void KERNEL(delta_rule_recorded)(const struct cpu_call *call, const struct part *part)
{
    const struct host_operand *y = &call->at[7];
    for (uint32_t s = 0; s < call->step->seqs; s++) {
        const struct step_seq *seq = &call->step->seq[s];
        float *state = (float *)(void *)host_slot_row(&call->at[5], seq->slot, 0);
        for (uint32_t head = part->column / y->width; head < part->column_end / y->width; head++)
            recorded_head(call, seq, head, state + head * head_floats(call));
    }
}
