/* SPDX-License-Identifier: MIT
 * Kernels of the gated delta rule: token by token where a sequence has few rows, in chunks where it
 * has many. */
#include "cpu/kernels/chunk.h"

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

static void rule_strip(const struct head *head, const struct token *token, uint32_t first,
                       struct ahead ahead)
{
    vf delta[STRIP_VECTORS];
    float *strip = head->state + (uint64_t)first * head->keys;
    read_token(head, strip, token, first, delta);
    write_strip(strip, head->keys, token, delta, ahead);
}

/* Strip by strip, so that each comes from memory once and goes back once. Each token fetches its
 * share of the next one: two strips fill the first cache, so all of it at once would drive out the
 * one that the other tokens still need. */
static void rule_tokens(const struct head *head, struct token *tokens, uint32_t count)
{
    const uint32_t whole = whole_strips(head);
    match_tokens(head, tokens, count);
    for (uint32_t first = 0; first < whole; first += STRIP) {
        struct ahead ahead = {next_strip(head, first), (STRIP + count - 1) / count};
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
    chunk->tiles = (uint8_t *)(chunk->deltas + CHUNK_ROWS * RULE_STRIP);
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
INLINE void solve_tile(const struct chunk *chunk, uint32_t first, uint32_t value, tile sums)
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

#if defined(HAS_TILES)
void KERNEL(solve_chunk)(const struct chunk *chunk, uint32_t value, const float *sums)
{
    for (uint32_t first = 0; first < chunk->rows; first += TILE_ROWS) {
        tile own;
        memcpy(own, sums + first * TILE_COLUMNS, sizeof own);
        solve_tile(chunk, first, value, own);
    }
}
#endif

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
    const bool has_tiles = chunk_has_tiles(head);
    const uint32_t unit = has_tiles ? 2 * LANES : LANES;
    chunk.rows = (count + unit - 1) / unit * unit;
    place_chunk(&chunk, head, scratch);
    gather_rows(&chunk, head->keys);
    if (has_tiles) {
        KERNEL(begin_chunk)(&chunk, head);
    } else {
        match_rows(&chunk, chunk.rows_k, head->keys, chunk.l);
        match_rows(&chunk, chunk.rows_q, head->keys, chunk.p);
    }
    fade_rows(&chunk);
    if (has_tiles) {
        KERNEL(end_chunk)(&chunk, head);
        return;
    }
    for (uint32_t value = 0; value < head->values; value += TILE_COLUMNS) {
        const uint32_t within = value % STRIP;
        float *strip = head->state + (uint64_t)(value - within) * head->keys + within;
        read_chunk(&chunk, head, strip, value);
        write_chunk(&chunk, head->keys, strip);
    }
}

/* ---- heads ----------------------------------------------------------------------------------- */

void KERNEL(rule_head)(const struct cpu_call *call, const struct step_seq *seq, uint32_t number,
                       float *state, const struct host_operand *y)
{
    const struct head head = head_of(call, state);
    const bool has_chunks = head.values % STRIP == 0 && head.keys % LANES == 0;
    struct token tokens[CHUNK_ROWS];
    for (uint32_t i = 0; i < seq->rows;) {
        const uint32_t position = (uint32_t)((seq->cached + (uint64_t)i) % CHUNK_ROWS);
        const uint32_t count = least_of(CHUNK_ROWS - position, seq->rows - i);
        find_tokens(call, seq->row_first + i, number, y, tokens, count);
        if (has_chunks && count > EXACT_ROWS)
            rule_chunk(&head, tokens, count, call->scratch);
        else
            rule_tokens(&head, tokens, count);
        i += count;
    }
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
            KERNEL(rule_head)(call, &call->step->seq[s], head, after, y);
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
            KERNEL(rule_head)(call, seq, head, state + head * head_floats(call), y);
    }
}
