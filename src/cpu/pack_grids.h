/* SPDX-License-Identifier: MIT
 * Blocks whose codes are points of grids, as the words of cpu/pack.h: for each 32 columns of a row
 * one or two words of indices, then one of signs. Knows no lines. */
#ifndef CPU_PACK_GRIDS_H
#define CPU_PACK_GRIDS_H

#include <stddef.h>

#include "format/blocks.h"

/* Bit k of four goes to byte k: the factor puts a copy 7 bits further each time. Of words, and of
 * vectors of words. */
#define SPREAD_BITS(four) ((four)*0x00204081 & 0x01010101)

/* Bit 4 j + k to bit j of byte k, and back. */
static inline uint32_t turn_signs(uint32_t signs)
{
    uint32_t turned = 0;
    for (int j = 0; j < 8; j++)
        turned |= SPREAD_BITS(signs >> 4 * j & 15) << j;
    return turned;
}

static inline uint32_t turn_back(uint32_t turned)
{
    uint32_t signs = 0;
    for (int i = 0; i < 32; i++)
        signs |= (turned >> (8 * (i % 4) + i / 4) & 1) << i;
    return signs;
}

/* Four times 7 signs, and 4 bits that take the places of the eighths. */
static inline uint32_t turn_sevens(uint32_t sevens, uint32_t others)
{
    uint32_t signs = 0;
    for (int l = 0; l < 4; l++)
        signs |= ((sevens >> 7 * l & 127) | (others >> l & 1) << 7) << 8 * l;
    return turn_signs(signs);
}

static inline uint32_t sevens_back(uint32_t turned, uint32_t *others)
{
    const uint32_t signs = turn_back(turned);
    uint32_t sevens = 0;
    *others = 0;
    for (int l = 0; l < 4; l++) {
        sevens |= (signs >> 8 * l & 127) << 7 * l;
        *others |= (signs >> (8 * l + 7) & 1) << l;
    }
    return sevens;
}

static inline void put_u32(uint8_t *to, uint32_t value)
{
    memcpy(to, &value, sizeof value);
}

static inline void get_words_IQ2_XXS(const uint8_t *block, uint32_t *words)
{
    const struct block_IQ2_XXS *b = (const void *)block;
    for (int i = 0; i < 8; i++) {
        const uint32_t signs = block_u32(b->groups[i].signs);
        words[2 * i] = block_u32(b->groups[i].index);
        words[2 * i + 1] = turn_sevens(signs, signs >> 28);
    }
}

static inline void put_words_IQ2_XXS(uint8_t *block, const uint32_t *words)
{
    struct block_IQ2_XXS *b = (void *)block;
    for (int i = 0; i < 8; i++) {
        uint32_t scale;
        const uint32_t sevens = sevens_back(words[2 * i + 1], &scale);
        put_u32(b->groups[i].index, words[2 * i]);
        put_u32(b->groups[i].signs, sevens | scale << 28);
    }
}

/* The ninth bits of the indices stand where the eighth signs would. */
static inline void get_words_IQ2_XS(const uint8_t *block, uint32_t *words)
{
    const struct block_IQ2_XS *b = (const void *)block;
    for (int i = 0; i < 8; i++) {
        uint32_t low = 0, signs = 0;
        for (int l = 0; l < 4; l++) {
            const uint32_t code = block_u16(b->qs + 8 * i + 2 * l);
            low |= (code & 255) << 8 * l;
            signs |= (code >> 9 | (code >> 8 & 1) << 7) << 8 * l;
        }
        words[2 * i] = low;
        words[2 * i + 1] = turn_signs(signs);
    }
}

static inline void put_words_IQ2_XS(uint8_t *block, const uint32_t *words)
{
    struct block_IQ2_XS *b = (void *)block;
    for (int i = 0; i < 32; i++) {
        const uint32_t low = words[i / 4 * 2] >> 8 * (i % 4) & 255;
        const uint32_t signs = turn_back(words[i / 4 * 2 + 1]) >> 8 * (i % 4) & 255;
        const uint16_t code = (uint16_t)(low | (signs >> 7) << 8 | (signs & 127) << 9);
        memcpy(b->qs + 2 * i, &code, sizeof code);
    }
}

static inline void get_words_IQ2_S(const uint8_t *block, uint32_t *words)
{
    const struct block_IQ2_S *b = (const void *)block;
    for (int i = 0; i < 8; i++) {
        words[2 * i] = block_u32(b->qs + 4 * i);
        words[2 * i + 1] = turn_signs(block_u32(b->signs + 4 * i));
    }
}

static inline void put_words_IQ2_S(uint8_t *block, const uint32_t *words)
{
    struct block_IQ2_S *b = (void *)block;
    for (int i = 0; i < 8; i++) {
        put_u32(b->qs + 4 * i, words[2 * i]);
        put_u32(b->signs + 4 * i, turn_back(words[2 * i + 1]));
    }
}

static inline void get_words_IQ3_XXS(const uint8_t *block, uint32_t *words)
{
    const struct block_IQ3_XXS *b = (const void *)block;
    for (int i = 0; i < 8; i++) {
        const uint32_t signs = block_u32(b->signs + 4 * i);
        words[3 * i] = block_u32(b->qs + 8 * i);
        words[3 * i + 1] = block_u32(b->qs + 8 * i + 4);
        words[3 * i + 2] = turn_sevens(signs, signs >> 28);
    }
}

static inline void put_words_IQ3_XXS(uint8_t *block, const uint32_t *words)
{
    struct block_IQ3_XXS *b = (void *)block;
    for (int i = 0; i < 8; i++) {
        uint32_t scale;
        const uint32_t sevens = sevens_back(words[3 * i + 2], &scale);
        put_u32(b->qs + 8 * i, words[3 * i]);
        put_u32(b->qs + 8 * i + 4, words[3 * i + 1]);
        put_u32(b->signs + 4 * i, sevens | scale << 28);
    }
}

static inline void get_words_IQ3_S(const uint8_t *block, uint32_t *words)
{
    const struct block_IQ3_S *b = (const void *)block;
    for (int i = 0; i < 8; i++) {
        words[3 * i] = block_u32(b->qs + 8 * i);
        words[3 * i + 1] = block_u32(b->qs + 8 * i + 4);
        words[3 * i + 2] = turn_signs(block_u32(b->signs + 4 * i));
    }
}

static inline void put_words_IQ3_S(uint8_t *block, const uint32_t *words)
{
    struct block_IQ3_S *b = (void *)block;
    for (int i = 0; i < 8; i++) {
        put_u32(b->qs + 8 * i, words[3 * i]);
        put_u32(b->qs + 8 * i + 4, words[3 * i + 1]);
        put_u32(b->signs + 4 * i, turn_back(words[3 * i + 2]));
    }
}

#define INDICES(id)                                                                                \
    static inline void get_words_##id(const uint8_t *block, uint32_t *words)                       \
    {                                                                                              \
        memcpy(words, block + offsetof(struct block_##id, qs), 32);                                \
    }                                                                                              \
    static inline void put_words_##id(uint8_t *block, const uint32_t *words)                       \
    {                                                                                              \
        memcpy(block + offsetof(struct block_##id, qs), words, 32);                                \
    }
INDICES(IQ1_S)
INDICES(IQ1_M)
#undef INDICES

#endif
