/* SPDX-License-Identifier: MIT
 * Encoders of IQ3_XXS and IQ3_S: how a fit becomes bytes. Formulas: gguf.md 2.9 and 2.10.6.
 *
 * ggml writes the groups of IQ3_S that lie behind a group of zeros, in a block that is not all
 * zeros, to the wrong place; here each is written to its own. */
#include "quant/encode_grid_block.h"

static const struct grid_format format_iq3_xxs = {
    .grid = {&code_grid_iq3_xxs, 2},
    .group = 32,
    .limit = 7,
    .signs_even = true,
    .tiny = 1e-8f,
    .energy = 2.0f,
    .trials = 15,
    .step = 0.2f,
    .refinement = GRID_REFINE_OFF,
    .factor = 1.0125f,
};

static const struct grid_format format_iq3_s = {
    .grid = {&code_grid_iq3_s, 3},
    .group = 32,
    .limit = 7,
    .tiny = 0.0f,
    .energy = 2.0f,
    .trials = 9,
    .step = 0.2f,
    .refinement = GRID_REFINE_IF_OFF,
    .factor = 1.033f,
};

void encode_IQ3_XXS(const struct encode_source *source, void *block)
{
    struct block_IQ3_XXS *out = block;
    struct grid_block fit;
    memset(out, 0, sizeof *out);
    if (!grid_block_fit(&fit, &format_iq3_xxs, source))
        return;
    block_put_f16(out->d, fit.d);
    for (int g = 0; g < 8; g++) {
        const struct grid_group *group = &fit.groups[g];
        uint32_t word = (uint32_t)group->scale_code << 28;
        for (int l = 0; l < 4; l++)
            word |= (group->signs[l] & 127u) << 7 * l;
        memcpy(out->signs + 4 * g, &word, sizeof word);
        for (int k = 0; k < 8; k++)
            out->qs[8 * g + k] = (uint8_t)group->positions[k];
    }
}

void encode_IQ3_S(const struct encode_source *source, void *block)
{
    struct block_IQ3_S *out = block;
    struct grid_block fit;
    memset(out, 0, sizeof *out);
    if (!grid_block_fit(&fit, &format_iq3_s, source))
        return;
    block_put_f16(out->d, fit.d);
    for (int g = 0; g < 8; g++) {
        const struct grid_group *group = &fit.groups[g];
        for (int k = 0; k < 8; k++) {
            out->qs[8 * g + k] = (uint8_t)group->positions[k];
            out->qh[g] |= (uint8_t)((group->positions[k] >> 8) << k);
        }
        memcpy(out->signs + 4 * g, group->signs, 4);
        out->scales[g / 2] |= (uint8_t)(group->scale_code << 4 * (g % 2));
    }
}
