/* SPDX-License-Identifier: MIT
 * Joins the bytes of tokens into text that never ends within a character. Knows nothing of
 * vocabularies. */
#include <string.h>

#include "base/utf8.h"
#include "weir.h"

/* Moves what is decided out of the pending bytes; at most a truncated character stays. */
static size_t flush(struct weir_detokenizer *detokenizer, char *out)
{
    size_t written = 0;
    while (detokenizer->pending_length > 0) {
        const struct utf8_sequence sequence =
            utf8_sequence(detokenizer->pending, detokenizer->pending_length);
        if (sequence.state == UTF8_TRUNCATED)
            break;
        const bool complete = sequence.state == UTF8_COMPLETE;
        const size_t bytes = complete ? sequence.length : UTF8_REPLACEMENT_BYTES;
        memcpy(out + written, complete ? detokenizer->pending : utf8_replacement, bytes);
        written += bytes;
        detokenizer->pending_length -= sequence.length;
        memmove(detokenizer->pending, detokenizer->pending + sequence.length,
                detokenizer->pending_length);
    }
    return written;
}

size_t weir_detokenizer_push(struct weir_detokenizer *detokenizer, const char *piece, size_t length,
                             char *out)
{
    size_t written = 0;
    for (size_t i = 0; i < length; i++) {
        detokenizer->pending[detokenizer->pending_length++] = (uint8_t)piece[i];
        written += flush(detokenizer, out + written);
    }
    return written;
}

size_t weir_detokenizer_finish(struct weir_detokenizer *detokenizer, char *out)
{
    const size_t written = detokenizer->pending_length > 0 ? UTF8_REPLACEMENT_BYTES : 0;
    memcpy(out, utf8_replacement, written);
    detokenizer->pending_length = 0;
    return written;
}
