/* SPDX-License-Identifier: MIT
 * Digests of 128 bits, by which contents are named and checked: XXH3. Against accidents: who wants
 * two contents with one digest can make them. */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DIGEST_BYTES = 16, DIGEST_TEXT_BYTES = 2 * DIGEST_BYTES };

struct digest {
    uint8_t bytes[DIGEST_BYTES]; /* the same on every machine */
};

/* The digest of what is put into it; on the stack, for its alignment. */
struct digester {
    alignas(64) uint8_t state[576];
};

void digester_init(struct digester *digester);
void digester_put(struct digester *digester, const void *data, size_t bytes);
/* Of all that was put so far; more may follow. */
struct digest digester_digest(const struct digester *digester);

bool digest_equals(struct digest a, struct digest b);
/* 32 hexadecimal digits and a zero. */
void digest_print(struct digest digest, char text[DIGEST_TEXT_BYTES + 1]);

#endif
