/* SPDX-License-Identifier: MIT
 * The fit of a block of IQ2 or IQ3: magnitudes are points of a grid, signs are kept apart, and
 * groups of 16 or 32 have scales. Knows no layout. */
#ifndef QUANT_ENCODE_GRID_BLOCK_H
#define QUANT_ENCODE_GRID_BLOCK_H

#include "quant/encode_blocks.h"
#include "quant/encode_grid.h"

enum { GRID_GROUP_MAX = 32, GRID_GROUPS_MAX = 16, GRID_POINTS_MAX = 8 };

/* Which points of a group are placed again with the scale that its trials found. */
enum grid_refinement {
    GRID_REFINE_OFF,    /* those that were off the grid */
    GRID_REFINE_IF_OFF, /* all, if one was off the grid */
    GRID_REFINE_ALL,
};

struct grid_format {
    struct grid grid;
    int group;            /* values of a group */
    int limit;            /* the largest code of a coordinate; code c stands for 2 c + 1 */
    bool signs_even;      /* the number of minus signs of 8 values must be even */
    bool positive_search; /* the range of the trials is found by search_positive */
    float tiny;           /* magnitudes below are a group of zeros */
    float energy;         /* with importance: factor of the mean square of the block in weights */
    float plain_energy;   /* the same without importance */
    int trials; /* k from -trials to trials: the range has 2 * limit + 1 + k * step steps */
    float step;
    enum grid_refinement refinement;
    float factor; /* of the scale of the block, when all is fitted: what came out best on average */
};

/* `positions` on the grid, one for 8 or 4 values; `signs`: bits of 8 values, set for minus. */
struct grid_group {
    float scale; /* >= 0 */
    uint8_t scale_code;
    uint16_t positions[GRID_POINTS_MAX];
    uint8_t signs[GRID_GROUP_MAX / 8];
};

struct grid_block {
    float d;
    struct grid_group groups[GRID_GROUPS_MAX];
};

/* False if all scales are 0: such a block is stored as zero bytes. */
bool grid_block_fit(struct grid_block *block, const struct grid_format *format,
                    const struct encode_source *source);

#endif
