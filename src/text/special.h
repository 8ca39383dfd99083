/* SPDX-License-Identifier: MIT
 * Special tokens: those that are written out in text and never made by merging. */
#ifndef TEXT_SPECIAL_H
#define TEXT_SPECIAL_H

#include "text/vocabulary.h"

/* Longer texts are not looked for: the bound on the work at each byte of an encoded text. */
enum { SPECIAL_BYTES_MAX = 256 };

struct special {
    const uint8_t *text; /* borrowed from the vocabulary */
    uint32_t length;
    int32_t id;
    bool user_defined; /* recognised even where control tokens are not */
};

struct special_set {
    struct special *items; /* sorted by text, each text once */
    uint32_t count;
    uint32_t firsts[257]; /* by byte: the first item that begins with it or with a later one */
};

/* Collects the control, user-defined and unknown tokens of the vocabulary, which must outlive the
 * set. *skipped receives the number of those that are too long or not UTF-8. */
enum weir_status special_set_init(struct special_set *set, const struct vocabulary *vocabulary,
                                  uint32_t *skipped, struct weir_error *err);
void special_set_release(struct special_set *set);

/* The longest special token that `text` (at least 1 byte) begins with, or NULL. With `parse` false
 * only user-defined ones count. */
const struct special *special_match(const struct special_set *set, const uint8_t *text,
                                    size_t length, bool parse);

#endif
