/* SPDX-License-Identifier: MIT
 * UTF-8 as it is typed, byte by byte. Knows no terminal. */
#include "app/typed.h"

#include <string.h>

#include "base/utf8.h"

void typed_add(struct typed *typed, uint8_t byte)
{
    typed->bytes[typed->count++] = byte;
}

static void drop(struct typed *typed, uint32_t count)
{
    typed->count -= count;
    memmove(typed->bytes, typed->bytes + count, typed->count);
}

bool typed_take(struct typed *typed, uint32_t *code)
{
    if (typed->count == 0)
        return false;
    const struct utf8_sequence sequence = utf8_sequence(typed->bytes, typed->count);
    switch (sequence.state) {
    case UTF8_TRUNCATED: return false;
    case UTF8_MALFORMED:
        *code = 0xfffd;
        drop(typed, 1);
        break;
    case UTF8_COMPLETE:
        *code = utf8_decode(typed->bytes, sequence.length);
        drop(typed, sequence.length);
        break;
    }
    return true;
}
