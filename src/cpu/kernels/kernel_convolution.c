/* SPDX-License-Identifier: MIT
 * Kernels of the causal depthwise convolution. Channels lie side by side in vectors, and a vector
 * of channels goes through several rows at once, so that each input is loaded once for them. */
#include "cpu/kernels/kernel.h"

enum { ROWS = 4, USUAL_TAPS = 4 };

/* Up to ROWS rows of a sequence. */
struct window {
    const float *input[CONV_TAPS_MAX - 1 + ROWS]; /* of the first row's oldest tap, and on */
    float *out[ROWS];
    const float *taps; /* [tap][CONV_BLOCK], oldest first, from the first channel on */
};

/* LANES channels or fewer from `channel` on, which is the block's number `at`. `taps` and `rows`
 * are constants where this is compiled for them. */
INLINE void conv_vector(const struct window *window, uint32_t channel, uint32_t at, uint32_t count,
                        uint32_t taps, uint32_t rows, bool with_silu)
{
    vf sum[ROWS];
    for (uint32_t row = 0; row < rows; row++)
        sum[row] = vf_set(0.0f);
    for (uint32_t i = 0; i < taps + rows - 1; i++) {
        const vf x = vf_load_some(window->input[i] + channel, count);
        for (uint32_t row = 0; row < rows; row++) {
            if (i >= row && i - row < taps)
                sum[row] = vf_fma(vf_load(window->taps + (i - row) * CONV_BLOCK + at), x, sum[row]);
        }
    }
    for (uint32_t row = 0; row < rows; row++)
        vf_store_some(window->out[row] + channel, with_silu ? vf_silu(sum[row]) : sum[row], count);
}

INLINE void conv_window(const struct window *window, uint32_t first, uint32_t last, uint32_t taps,
                        uint32_t rows, bool with_silu)
{
    uint32_t channel = first;
    for (; channel + LANES <= last; channel += LANES)
        conv_vector(window, channel, channel - first, LANES, taps, rows, with_silu);
    if (channel < last)
        conv_vector(window, channel, channel - first, last - channel, taps, rows, with_silu);
}

/* Channels [first, last), at most CONV_BLOCK. */
INLINE void conv_rows(const struct window *window, uint32_t first, uint32_t last, uint32_t taps,
                      uint32_t rows, bool with_silu)
{
    if (taps == USUAL_TAPS && rows == ROWS)
        conv_window(window, first, last, USUAL_TAPS, ROWS, with_silu);
    else if (taps == USUAL_TAPS && rows == 1)
        conv_window(window, first, last, USUAL_TAPS, 1, with_silu);
    else
        conv_window(window, first, last, taps, rows, with_silu);
}

/* ---- a sequence ------------------------------------------------------------------------------ */

/* The input of row `i` of the sequence, which may lie before it: in the step, or in the ring, where
 * the row of position p lies at index p mod its rows. */
static const float *input_row(const struct cpu_call *call, const struct step_seq *seq, int64_t i)
{
    const struct host_operand *ring = &call->at[2];
    if (i >= 0)
        return host_group(&call->at[0], seq->row_first + (uint64_t)i, 0);
    const uint64_t index = ((uint64_t)seq->cached + ring->rows - (uint64_t)-i) % ring->rows;
    return (const float *)(const void *)host_slot_row(ring, seq->slot, index);
}

INLINE void conv_sequence(const struct cpu_call *call, const struct step_seq *seq, uint32_t first,
                          uint32_t last, bool with_silu)
{
    const uint32_t reach = call->at[1].width - 1;
    struct window window = {.taps = call->scratch};
    for (uint32_t i = 0; i < seq->rows;) {
        const uint32_t rows = seq->rows - i >= ROWS ? ROWS : 1;
        for (uint32_t n = 0; n < reach + rows; n++)
            window.input[n] = input_row(call, seq, (int64_t)i + n - reach);
        for (uint32_t row = 0; row < rows; row++)
            window.out[row] = host_group(&call->at[3], seq->row_first + i + row, 0);
        conv_rows(&window, first, last, reach + 1, rows, with_silu);
        i += rows;
    }
}

/* The step's last rows, as many as the ring has. */
static void keep_rows(const struct cpu_call *call, const struct step_seq *seq, uint32_t channel,
                      uint32_t count)
{
    const struct host_operand *ring = &call->at[2];
    const uint32_t kept = (uint32_t)ring->rows;
    for (uint32_t i = seq->rows - least_of(seq->rows, kept); i < seq->rows; i++) {
        uint8_t *row = host_slot_row(ring, seq->slot, ((uint64_t)seq->cached + i) % kept);
        memcpy((float *)(void *)row + channel,
               host_group(&call->at[0], seq->row_first + i, 0) + channel, count * sizeof(float));
    }
}

/* ---- parts ----------------------------------------------------------------------------------- */

/* The taps of channels [first, last), which a file has channel after channel, tap after tap. */
static void turn_taps(const struct cpu_call *call, uint32_t first, uint32_t last)
{
    const struct host_operand *w = &call->at[1];
    const uint32_t taps = w->width, fours = taps - taps % 4;
    const uint64_t pitch = w->pitch / sizeof(float);
    float *to = call->scratch;
    uint32_t at = 0;
    for (; first + at + LANES <= last; at += LANES) {
        const float *from = host_group(w, first + at, 0);
        for (uint32_t tap = 0; tap < fours; tap += 4) {
            vf columns[4];
            vf_load_columns(from + tap, pitch, columns);
            for (uint32_t i = 0; i < 4; i++)
                vf_store(to + (uint64_t)(tap + i) * CONV_BLOCK + at, columns[i]);
        }
        for (uint32_t i = 0; i < LANES; i++) {
            for (uint32_t tap = fours; tap < taps; tap++)
                to[(uint64_t)tap * CONV_BLOCK + at + i] = from[i * pitch + tap];
        }
    }
    for (uint32_t tap = 0; tap < taps && first + at < last; tap++) {
        memset(to + (uint64_t)tap * CONV_BLOCK + at, 0, LANES * sizeof *to);
        for (uint32_t i = at; first + i < last; i++)
            to[(uint64_t)tap * CONV_BLOCK + i] = host_group(w, first + i, 0)[tap];
    }
}

INLINE void conv_part(const struct cpu_call *call, const struct part *part, bool with_silu)
{
    for (uint32_t first = part->column; first < part->column_end; first += CONV_BLOCK) {
        const uint32_t last = least_of(first + CONV_BLOCK, part->column_end);
        turn_taps(call, first, last);
        for (uint32_t s = 0; s < call->step->seqs; s++) {
            conv_sequence(call, &call->step->seq[s], first, last, with_silu);
            keep_rows(call, &call->step->seq[s], first, last - first);
        }
    }
}

void KERNEL(conv)(const struct cpu_call *call, const struct part *part)
{
    conv_part(call, part, false);
}

void KERNEL(conv_silu)(const struct cpu_call *call, const struct part *part)
{
    conv_part(call, part, true);
}
