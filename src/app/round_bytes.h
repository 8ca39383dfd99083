/* SPDX-License-Identifier: MIT
 * The bytes that rounds of speculation touch: their steps, records of the state, and drafts. Knows
 * no op and no flag. */
#ifndef APP_ROUND_BYTES_H
#define APP_ROUND_BYTES_H

#include "weir.h"

/* Who makes the rounds. */
struct round_makers {
    const struct weir_engine *engine;
    enum weir_draft_kind kind;
    const struct weir_engine *drafter; /* of kind MODEL; borrowed */
};

/* Adds to *sum what all rounds touch, as if each stood behind `cached` tokens, or as many as leave
 * it room, gave as many tokens as the mean one, and followed one like it whose tokens all stayed.
 * There must have been a round. Errors as in weir_engine_traffic. */
enum weir_status round_bytes_add(struct weir_traffic *sum, const struct round_makers *makers,
                                 uint32_t cached, const struct weir_speculator_info *rounds,
                                 struct weir_error *err);

#endif
