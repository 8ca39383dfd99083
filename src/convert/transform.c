/* SPDX-License-Identifier: MIT
 * Where rows and columns come from, and what becomes of values. Knows neither names nor files. */
#include "convert/transform.h"

#include <math.h>
#include <string.h>

/* The grouped number of the value head that has number `head` in the file. */
static uint64_t head_source(const struct hf_config *config, uint64_t head)
{
    const uint64_t n_k = config->heads_k, r = config->heads_v / n_k;
    return config->is_next ? head : head % n_k * r + head / n_k;
}

/* The last rows are value heads of `size` rows each. */
static struct transform_run head_rows(const struct hf_config *config, uint64_t size, uint64_t rows,
                                      uint64_t row)
{
    const uint64_t before = rows - config->heads_v * size;
    if (row < before)
        return (struct transform_run){row, before - row};
    const uint64_t head = (row - before) / size, within = (row - before) % size;
    return (struct transform_run){before + head_source(config, head) * size + within,
                                  size - within};
}

/* A part of each key head's rows in in_proj_qkvz: `size` rows from `begin` on. */
static struct transform_run next_part(const struct hf_config *config, uint64_t begin, uint64_t size,
                                      uint64_t row)
{
    const uint64_t n_k = config->heads_k, r = config->heads_v / n_k;
    const uint64_t group_rows = 2 * (1 + r) * config->state;
    const uint64_t group = row / size, within = row % size;
    return (struct transform_run){group * group_rows + begin + within, size - within};
}

static struct transform_run next_qkv(const struct hf_config *config, uint64_t row)
{
    const uint64_t S = config->state, keys = config->heads_k * S;
    if (row < keys)
        return next_part(config, 0, S, row);
    if (row < 2 * keys)
        return next_part(config, S, S, row - keys);
    return next_part(config, 2 * S, config->heads_v / config->heads_k * S, row - 2 * keys);
}

static struct transform_run next_z(const struct hf_config *config, uint64_t row)
{
    const uint64_t S = config->state, r = config->heads_v / config->heads_k;
    return next_part(config, (2 + r) * S, r * S, row);
}

uint64_t transform_source_rows(const struct hf_config *config, enum transform_map map,
                               uint64_t rows)
{
    switch (map) {
    case MAP_NEXT_QKV:
    case MAP_NEXT_Z: return 2 * ((uint64_t)config->heads_k + config->heads_v) * config->state;
    case MAP_FIRST_HALF:
    case MAP_SECOND_HALF: return 2 * rows;
    case MAP_SAME:
    case MAP_HEADS:
    case MAP_HEAD_ROWS:
    case MAP_HEAD_COLUMNS: break;
    }
    return rows;
}

struct transform_run transform_row(const struct hf_config *config, enum transform_map map,
                                   uint64_t rows, uint64_t row)
{
    switch (map) {
    case MAP_HEADS: return head_rows(config, 1, rows, row);
    case MAP_HEAD_ROWS: return head_rows(config, config->state, rows, row);
    case MAP_NEXT_QKV: return next_qkv(config, row);
    case MAP_NEXT_Z: return next_z(config, row);
    case MAP_SECOND_HALF: return (struct transform_run){rows + row, rows - row};
    case MAP_FIRST_HALF:
    case MAP_SAME:
    case MAP_HEAD_COLUMNS: break;
    }
    return (struct transform_run){row, rows - row};
}

void transform_columns(const struct hf_config *config, const float *from, float *to)
{
    const uint64_t S = config->state;
    for (uint64_t head = 0; head < config->heads_v; head++)
        memcpy(to + head * S, from + head_source(config, head) * S, S * sizeof *to);
}

void transform_apply(enum transform_values values, float *numbers, uint64_t count)
{
    switch (values) {
    case VALUES_SAME: return;
    case VALUES_NORM:
        for (uint64_t i = 0; i < count; i++)
            numbers[i] += 1;
        return;
    case VALUES_DECAY:
        for (uint64_t i = 0; i < count; i++)
            numbers[i] = (float)-exp((double)numbers[i]);
        return;
    }
}
