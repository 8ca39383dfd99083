/* SPDX-License-Identifier: MIT
 * Models of any shape that the loader takes, drawn from a seed: architecture, widths, heads,
 * experts, layers and their kinds, and for each matrix a type. */
#ifndef TESTS_GOLDEN_DRAWN_MODEL_H
#define TESTS_GOLDEN_DRAWN_MODEL_H

#include "model/config.h"

enum { DRAWN_TEXT_MAX = 2048 };

/* A model is a function of seed and stream. */
struct drawn_model {
    uint64_t seed, stream, choices;
    struct config config;
    const char *architecture;
    char path[256];
    enum dtype narrow; /* all matrices that can have it do; DTYPE_COUNT: each has its own */
    bool is_exact;     /* all matrices are floats */
    bool has_mtp;
    uint32_t interval; /* of full attention; 0: the file lists its layers */
    bool types[DTYPE_COUNT];
    char text[DRAWN_TEXT_MAX]; /* what it is, for who has to find out why it failed */
};

/* Draws and writes it under that name in the scratch folder, which replaces one of the same name.
 * `model` is zero but for seed and stream. */
void drawn_model_write(struct drawn_model *model, const char *name);

/* 0 to count - 1, of the model's own random numbers. */
uint32_t drawn_below(struct drawn_model *model, uint32_t count);
uint32_t drawn_between(struct drawn_model *model, uint32_t least, uint32_t most);
/* True once in `count` times. */
bool drawn_once_in(struct drawn_model *model, uint32_t count);

#endif
