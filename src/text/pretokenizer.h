/* SPDX-License-Identifier: MIT
 * Pre-tokenization: cuts text into the pieces inside which byte pairs are merged. */
#ifndef TEXT_PRETOKENIZER_H
#define TEXT_PRETOKENIZER_H

#include <stddef.h>
#include <stdint.h>

#include "text/tokenizer.h"

/* The number of bytes of the pre-token that valid UTF-8 text begins with; `length` is at least 1.
 * Depends on nothing before `text`. Reads at most to the end of the run of white space, word or
 * punctuation that it is in, so cutting a whole text takes linear time. */
size_t pretoken_length(enum pretokenizer rules, const uint8_t *text, size_t length);

#endif
