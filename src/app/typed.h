/* SPDX-License-Identifier: MIT
 * Characters of the bytes that keys send. */
#ifndef APP_TYPED_H
#define APP_TYPED_H

#include <stdbool.h>
#include <stdint.h>

/* Set to zero to begin. */
struct typed {
    uint8_t bytes[4]; /* that are no character yet */
    uint32_t count;
};

/* There is room while typed_take has just returned false. */
void typed_add(struct typed *typed, uint8_t byte);

/* Takes the next character; false if more bytes must come first. Each byte that is part of none is
 * U+FFFD, and what comes behind it is not lost. */
bool typed_take(struct typed *typed, uint32_t *code);

#endif
