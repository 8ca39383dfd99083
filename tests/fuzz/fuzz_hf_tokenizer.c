/* SPDX-License-Identifier: MIT
 * Fuzzes the reader of tokenizer.json: a byte that says how many rows the embedding has, then JSON.
 * Whatever is accepted has a text and a type for each id. */
#include "fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "convert/hf_tokenizer.h"

static void expect(bool condition)
{
    if (!condition)
        abort();
}

static void check_merge(struct span merge)
{
    const uint8_t *blank = memchr(merge.data, ' ', merge.length);
    expect(blank != NULL && blank > merge.data && blank + 1 < merge.data + merge.length);
    expect(memchr(blank + 1, ' ', (size_t)(merge.data + merge.length - blank - 1)) == NULL);
}

static void check_tokenizer(const struct hf_tokenizer *tokenizer, uint32_t vocab)
{
    expect(tokenizer->count == vocab && tokenizer->pretokenizer != NULL);
    for (uint32_t id = 0; id < vocab; id++) {
        const int32_t type = tokenizer->types[id];
        expect(type == 1 || (type >= 3 && type <= 5));
        const int64_t found = hf_tokenizer_find(tokenizer, tokenizer->tokens[id]);
        expect(found >= 0 && found <= id);
    }
    for (uint64_t i = 0; i < tokenizer->merges_count; i++)
        check_merge(tokenizer->merges[i]);
}

int fuzz_hf_tokenizer(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const uint32_t vocab = data[0];
    struct weir_error err = {0};
    struct hf_tokenizer tokenizer = {0};
    const enum weir_status status =
        hf_tokenizer_parse(&tokenizer, data + 1, size - 1, vocab, "input", &err);
    expect((status == WEIR_OK) == (err.text[0] == 0));
    if (status == WEIR_OK)
        check_tokenizer(&tokenizer, vocab);
    hf_tokenizer_release(&tokenizer);
    return 0;
}
