/* SPDX-License-Identifier: MIT
 * Where the reading of a prompt is cut: at the beginnings of messages, so that a later prompt that
 * goes on otherwise can begin there, and where a step ends. All follows from the tokens before the
 * cut, so a text has the same bits wherever its reading began and whoever else is in the steps. */
#ifndef SERVE_PROMPT_CUTS_H
#define SERVE_PROMPT_CUTS_H

#include <stdbool.h>
#include <stdint.h>

enum {
    CUT_ALIGNMENT = 64, /* a text that is cut at its multiples has the bits of one that is not */
    CUT_ROWS_FEW = 16,  /* of a sequence in a step: more may be computed in another way, so few give
                           the bits of one after the other */
    CUT_ROWS_MIN = 128, /* with as many at least, some part of any prompt fits into a step */
};

/* Behind the first message begin at or behind `from`, or where a long text has its next cut, or
 * `count`. A message begins with the token `message_begin`, -1 if there is none; of what role it is
 * is not looked at. */
uint32_t cuts_next(const int32_t *ids, uint32_t count, uint32_t from, int32_t message_begin);

/* The end of a step that begins at `from`, of a part that ends at `cut`, with up to `rows` tokens:
 * `cut`, or a multiple of CUT_ALIGNMENT with more than CUT_ROWS_FEW tokens before and behind it;
 * `from` if there is none. */
uint32_t cuts_step_end(uint32_t from, uint32_t cut, uint32_t rows);

/* Positions of a prompt whose state is worth keeping, in their order, all smaller than `count`. */
enum { CUTS_KEPT_MAX = 3 };

struct cuts_kept {
    uint32_t at[CUTS_KEPT_MAX];
    uint32_t count;
};

/* Of messages: behind the first one, which others share; where the last but one begins, which may
 * be edited; where the reply begins. Of another text: near its end. */
struct cuts_kept cuts_kept(const int32_t *ids, uint32_t count, int32_t message_begin);

/* Whether the state at that position is to be kept: one of these, or one of a long text's cuts. */
bool cuts_keep(const struct cuts_kept *kept, uint32_t position);

#endif
