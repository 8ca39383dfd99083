/* SPDX-License-Identifier: MIT
 * What happens to a tensor of a checkpoint on its way into a GGUF file: where each row and column
 * comes from, and what becomes of the values. Knows no names.
 *
 * A linear layer has n_k key heads and n_v = r n_k value heads of S elements each. Checkpoints
 * group the value heads by their key head: g r + j belongs to key head g. Files of qwen35 and
 * qwen35moe have them tiled: j n_k + g; files of qwen3next keep the groups. */
#ifndef CONVERT_TRANSFORM_H
#define CONVERT_TRANSFORM_H

#include "convert/hf_config.h"

enum transform_map {
    MAP_SAME,
    MAP_HEADS,        /* a row for each value head: tiled */
    MAP_HEAD_ROWS,    /* the last n_v S rows are value heads: tiled; rows before them stay */
    MAP_HEAD_COLUMNS, /* the n_v S columns are value heads: tiled */
    /* Rows of in_proj_qkvz, which holds for each key head: q (S rows), k (S), v (r S), z (r S). */
    MAP_NEXT_QKV, /* all q, then all k, then all v */
    MAP_NEXT_Z,   /* all z */
    MAP_FIRST_HALF,
    MAP_SECOND_HALF,
};

enum transform_values { VALUES_SAME, VALUES_NORM, VALUES_DECAY };

/* Rows that lie together in the source. */
struct transform_run {
    uint64_t row, count;
};

/* Rows that the source has for a result of `rows` rows. */
uint64_t transform_source_rows(const struct hf_config *config, enum transform_map map,
                               uint64_t rows);

/* Where row `row` of a result of `rows` rows comes from, and how many rows follow it there as they
 * do in the result. */
struct transform_run transform_row(const struct hf_config *config, enum transform_map map,
                                   uint64_t rows, uint64_t row);

/* The columns of a row of MAP_HEAD_COLUMNS. */
void transform_columns(const struct hf_config *config, const float *from, float *to);

void transform_apply(enum transform_values values, float *numbers, uint64_t count);

#endif
