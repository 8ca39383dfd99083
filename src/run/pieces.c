/* SPDX-License-Identifier: MIT
 * Makes a tree of a vocabulary, which takes some 40 ms of one of 248320 tokens: so it is made once
 * for a tokenizer. Knows no grammar. */
#include "run/pieces.h"

#include "base/bits.h"
#include "base/mem.h"
#include "base/once.h"
#include "text/tokenizer.h"

static void pieces_close(void *value)
{
    struct pieces *pieces = value;
    trie_release(&pieces->trie);
    mem_free(pieces->ends);
    mem_free(pieces);
}

static enum weir_status read_pieces(struct pieces *pieces, const struct weir_tokenizer *tokenizer,
                                    struct weir_error *err)
{
    struct span *texts = mem_alloc(pieces->tokens, sizeof *texts, err);
    if (texts == NULL)
        return WEIR_ERR_MEMORY;
    for (uint32_t i = 0; i < pieces->tokens; i++) {
        const int32_t id = (int32_t)i;
        if (weir_tokenizer_ends_generation(tokenizer, id)) {
            bits_set(pieces->ends, i);
            pieces->has_ends = true;
            continue;
        }
        texts[i].data =
            (const uint8_t *)weir_tokenizer_piece(tokenizer, id, false, &texts[i].length);
    }
    const enum weir_status status = trie_init(&pieces->trie, texts, pieces->tokens, err);
    mem_free(texts);
    return status;
}

static enum weir_status pieces_make(void **out, const void *source, struct weir_error *err)
{
    const struct weir_tokenizer *tokenizer = source;
    struct pieces *pieces = mem_alloc(1, sizeof *pieces, err);
    if (pieces == NULL)
        return WEIR_ERR_MEMORY;
    pieces->tokens = weir_tokenizer_size(tokenizer);
    pieces->words = pieces->tokens / 64 + 1;
    pieces->ends = mem_alloc(pieces->words, sizeof *pieces->ends, err);
    enum weir_status status = pieces->ends == NULL ? WEIR_ERR_MEMORY : WEIR_OK;
    if (status == WEIR_OK)
        status = read_pieces(pieces, tokenizer, err);
    if (status == WEIR_OK)
        *out = pieces;
    else
        pieces_close(pieces);
    return status;
}

enum weir_status pieces_of(const struct weir_tokenizer *tokenizer, const struct pieces **out,
                           struct weir_error *err)
{
    static const struct once_kind kind = {pieces_make, pieces_close};
    const void *value;
    const enum weir_status status =
        once_get(tokenizer_once(tokenizer), &kind, tokenizer, &value, err);
    *out = value;
    return status;
}
