/* SPDX-License-Identifier: MIT
 * A text cut into windows of tokens, each of which is evaluated from an empty session. */
#ifndef APP_WINDOWS_H
#define APP_WINDOWS_H

#include "app/loaded.h"
#include "app/prompt.h"

struct windows {
    struct ids ids;
    uint32_t size;  /* tokens of each */
    uint32_t count; /* tokens behind the last whole one are left out */
};

/* Reads the text that the flags name, as it is, with the tokenizer of loaded->model (opened here),
 * and cuts it into windows of `size` tokens: as many as it fills, or --chunks. If the model wants a
 * token at the head of a text, each window begins with it in place of its own first one. A text of
 * fewer than `least` windows is WEIR_ERR_ARGUMENT. windows->ids.items is the caller's to free. */
enum weir_status windows_open(struct windows *windows, const struct options *options,
                              struct loaded *loaded, uint32_t size, uint32_t least,
                              struct weir_error *err);

const int32_t *windows_at(const struct windows *windows, uint32_t number);

#endif
