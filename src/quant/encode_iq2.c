/* SPDX-License-Identifier: MIT
 * Encoders of IQ2_XXS, IQ2_XS and IQ2_S: how a fit becomes bytes. Formulas: gguf.md 2.9 and
 * 2.10.6. */
#include "quant/encode_grid_block.h"

static const struct grid_format format_iq2_xxs = {
    .grid = {&code_grid_iq2_xxs, 2},
    .group = 32,
    .limit = 2,
    .signs_even = true,
    .positive_search = true,
    .tiny = 1e-15f,
    .energy = 1.0f,
    .trials = 6,
    .step = 0.1f,
    .refinement = GRID_REFINE_ALL,
    .factor = 1.0f,
};

static const struct grid_format format_iq2_xs = {
    .grid = {&code_grid_iq2_xs, 2},
    .group = 16,
    .limit = 2,
    .signs_even = true,
    .tiny = 1e-15f,
    .energy = 1.0f,
    .trials = 9,
    .step = 0.1f,
    .refinement = GRID_REFINE_OFF,
    .factor = 1.0f,
};

static const struct grid_format format_iq2_s = {
    .grid = {&code_grid_iq2_s, 1},
    .group = 16,
    .limit = 2,
    .tiny = 1e-8f,
    .energy = 2.0f,
    .plain_energy = 0.25f,
    .trials = 9,
    .step = 0.1f,
    .refinement = GRID_REFINE_OFF,
    .factor = 0.9875f,
};

void encode_IQ2_XXS(const struct encode_source *source, void *block)
{
    struct block_IQ2_XXS *out = block;
    struct grid_block fit;
    memset(out, 0, sizeof *out);
    if (!grid_block_fit(&fit, &format_iq2_xxs, source))
        return;
    block_put_f16(out->d, fit.d);
    for (int g = 0; g < 8; g++) {
        const struct grid_group *group = &fit.groups[g];
        uint32_t word = (uint32_t)group->scale_code << 28;
        for (int l = 0; l < 4; l++) {
            out->groups[g].index[l] = (uint8_t)group->positions[l];
            word |= (group->signs[l] & 127u) << 7 * l;
        }
        memcpy(out->groups[g].signs, &word, sizeof word);
    }
}

void encode_IQ2_XS(const struct encode_source *source, void *block)
{
    struct block_IQ2_XS *out = block;
    struct grid_block fit;
    memset(out, 0, sizeof *out);
    if (!grid_block_fit(&fit, &format_iq2_xs, source))
        return;
    block_put_f16(out->d, fit.d);
    for (int k = 0; k < 32; k++) {
        const struct grid_group *group = &fit.groups[k / 2];
        const uint16_t code =
            (uint16_t)(group->positions[k % 2] | (group->signs[k % 2] & 127) << 9);
        memcpy(out->qs + 2 * k, &code, sizeof code);
    }
    for (int g = 0; g < 16; g++)
        out->scales[g / 2] |= (uint8_t)(fit.groups[g].scale_code << 4 * (g % 2));
}

void encode_IQ2_S(const struct encode_source *source, void *block)
{
    struct block_IQ2_S *out = block;
    struct grid_block fit;
    memset(out, 0, sizeof *out);
    if (!grid_block_fit(&fit, &format_iq2_s, source))
        return;
    block_put_f16(out->d, fit.d);
    for (int k = 0; k < 32; k++) {
        const struct grid_group *group = &fit.groups[k / 2];
        const int position = group->positions[k % 2];
        out->qs[k] = (uint8_t)position;
        out->qh[k / 4] |= (uint8_t)((position >> 8) << 2 * (k % 4));
        out->signs[k] = group->signs[k % 2];
    }
    for (int g = 0; g < 16; g++)
        out->scales[g / 2] |= (uint8_t)(fit.groups[g].scale_code << 4 * (g % 2));
}
