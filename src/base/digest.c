/* SPDX-License-Identifier: MIT
 * Digests by xxHash, of which only the header is used: nothing is linked. */
#include "base/digest.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static_assert(sizeof(XXH3_state_t) <= sizeof(struct digester) &&
                  alignof(XXH3_state_t) <= alignof(struct digester),
              "one is used as the other");

static XXH3_state_t *state_of(struct digester *digester)
{
    return (XXH3_state_t *)(void *)digester->state;
}

void digester_init(struct digester *digester)
{
    XXH3_INITSTATE(state_of(digester));
    XXH3_128bits_reset(state_of(digester));
}

void digester_put(struct digester *digester, const void *data, size_t bytes)
{
    XXH3_128bits_update(state_of(digester), data, bytes);
}

struct digest digester_digest(const struct digester *digester)
{
    const XXH3_state_t *state = (const XXH3_state_t *)(const void *)digester->state;
    XXH128_canonical_t canonical;
    struct digest digest;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
    static_assert(sizeof canonical == sizeof digest, "both have 128 bits");
    memcpy(&digest, &canonical, sizeof digest);
    return digest;
}

bool digest_equals(struct digest a, struct digest b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

void digest_print(struct digest digest, char text[DIGEST_TEXT_BYTES + 1])
{
    for (size_t i = 0; i < DIGEST_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", digest.bytes[i]);
}
