/* SPDX-License-Identifier: MIT
 * Fuzzes the tokenizer: the input adds tokens and merges to a small vocabulary and gives the text.
 *
 * Input: a byte of flags (enum flag), the number of tokens and of merges to add (a byte each), for
 * each token its type and length (a byte each) and its bytes, for each merge its length and bytes;
 * the rest is the text. What is missing at the end is empty. */
#include "fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "text/tokenizer.h"

enum flag { QWEN2 = 1, PARSE_SPECIAL = 2, ADD_SPECIAL = 4, NO_BYTES = 8 };

enum { ADDED_MAX = 255, FIXED_MAX = 16, TOKENS_MAX = 256 + FIXED_MAX + ADDED_MAX };

struct input {
    const uint8_t *data;
    size_t size;
};

struct vocab {
    struct span tokens[TOKENS_MAX], merges[FIXED_MAX + ADDED_MAX];
    int32_t types[TOKENS_MAX];
    uint8_t spelled[256][2];
    uint32_t tokens_count, merges_count;
    bool exact; /* every token decodes to the bytes it was encoded from */
};

static void expect(bool condition)
{
    if (!condition)
        abort();
}

static uint8_t take_byte(struct input *input)
{
    if (input->size == 0)
        return 0;
    input->size--;
    return *input->data++;
}

static struct span take_span(struct input *input)
{
    const size_t wanted = take_byte(input);
    const struct span span = {input->data, wanted < input->size ? wanted : input->size};
    input->data += span.length;
    input->size -= span.length;
    return span;
}

static void add_token(struct vocab *vocab, struct span text, int32_t type)
{
    vocab->tokens[vocab->tokens_count] = text;
    vocab->types[vocab->tokens_count++] = type;
}

static struct span span_of(const char *text)
{
    return (struct span){(const uint8_t *)text, strlen(text)};
}

/* The 256 bytes, spelled, in the order of the public vocabularies. */
static void add_bytes(struct vocab *vocab)
{
    unsigned other = 0x100;
    for (unsigned byte = 0; byte < 256; byte++) {
        const bool itself =
            (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
        const unsigned code = itself ? byte : other++;
        uint8_t *text = vocab->spelled[byte];
        text[0] = (uint8_t)(code < 0x80 ? code : 0xc0 | code >> 6);
        text[1] = (uint8_t)(0x80 | (code & 0x3f));
        add_token(vocab, (struct span){text, code < 0x80 ? 1 : 2}, TOKEN_NORMAL);
    }
}

static void add_fixed(struct vocab *vocab)
{
    static const char *const products[] = {"aa", "ab", "aab", "aaa", "\xc4\xa0\x61", "<a"};
    static const char *const merges[] = {"a b", "a a", "a ab", "aa b", "aa a", "\xc4\xa0 a", "< a"};
    static const char *const specials[] = {"<|im_end|>", "<|fim_pad|>", "<unk>"};
    for (size_t i = 0; i < sizeof products / sizeof products[0]; i++)
        add_token(vocab, span_of(products[i]), TOKEN_NORMAL);
    for (size_t i = 0; i < sizeof specials / sizeof specials[0]; i++)
        add_token(vocab, span_of(specials[i]), TOKEN_CONTROL);
    add_token(vocab, span_of("<think>"), TOKEN_USER_DEFINED);
    for (size_t i = 0; i < sizeof merges / sizeof merges[0]; i++)
        vocab->merges[vocab->merges_count++] = span_of(merges[i]);
}

static void add_from_input(struct vocab *vocab, struct input *input)
{
    const unsigned tokens = take_byte(input), merges = take_byte(input);
    for (unsigned i = 0; i < tokens; i++) {
        const int32_t type =
            take_byte(input) % (TOKEN_BYTE + 2) - 1; /* out of range on both sides */
        vocab->exact = vocab->exact && type != TOKEN_UNUSED && type != TOKEN_BYTE;
        add_token(vocab, take_span(input), type);
    }
    for (unsigned i = 0; i < merges; i++)
        vocab->merges[vocab->merges_count++] = take_span(input);
}

/* The text without its malformed bytes, from the pieces of the ids. */
static void check_round_trip(const struct weir_tokenizer *tokenizer, struct input text,
                             const int32_t *ids, size_t count)
{
    const size_t length = utf8_repaired_length(text.data, text.size);
    uint8_t *repaired = malloc(length + 1);
    char *pushed = malloc(3 * length + 2 * WEIR_DETOKENIZER_SLACK);
    expect(repaired != NULL && pushed != NULL);
    utf8_repair(text.data, text.size, repaired);
    struct weir_detokenizer detokenizer = {0};
    size_t at = 0, written = 0;
    for (size_t i = 0; i < count; i++) {
        size_t bytes;
        const char *piece = weir_tokenizer_piece(tokenizer, ids[i], true, &bytes);
        expect(bytes <= length - at && memcmp(piece, repaired + at, bytes) == 0);
        at += bytes;
        const size_t got = weir_detokenizer_push(&detokenizer, piece, bytes, pushed + written);
        expect(utf8_repaired_length((const uint8_t *)pushed + written, got) == got);
        written += got;
    }
    written += weir_detokenizer_finish(&detokenizer, pushed + written);
    expect(at == length && written == length && memcmp(pushed, repaired, length) == 0);
    free(pushed);
    free(repaired);
}

static void check_encode(const struct weir_tokenizer *tokenizer, struct input text, unsigned flags,
                         bool exact)
{
    const size_t max = 3 * text.size + 2;
    int32_t *ids = malloc((max + 1) * sizeof *ids);
    expect(ids != NULL);
    memset(ids, 0xff, (max + 1) * sizeof *ids);
    size_t count, measured;
    const char *data = (const char *)text.data;
    expect(weir_tokenizer_encode(tokenizer, data, text.size, flags, NULL, 0, &measured, NULL) ==
           WEIR_OK);
    expect(weir_tokenizer_encode(tokenizer, data, text.size, flags, ids, max, &count, NULL) ==
           WEIR_OK);
    expect(count == measured && count <= max && ids[max] == -1);
    for (size_t i = 0; i < count; i++)
        expect(ids[i] >= 0 && (uint32_t)ids[i] < weir_tokenizer_size(tokenizer));
    if (exact)
        check_round_trip(tokenizer, text, ids, count);
    free(ids);
}

/* Every piece can be read and is found again, if not by its own id then by a lower one. */
static void check_tokens(const struct weir_tokenizer *tokenizer)
{
    for (int32_t id = -1; id <= (int32_t)weir_tokenizer_size(tokenizer); id++) {
        size_t plain, special;
        weir_tokenizer_piece(tokenizer, id, false, &plain);
        const char *text = weir_tokenizer_piece(tokenizer, id, true, &special);
        expect(plain == 0 || plain == special);
        const int32_t found = weir_tokenizer_find(tokenizer, text, special);
        expect(special > 1 ? found >= 0 && found <= id : found < 256 || found <= id);
        weir_tokenizer_ends_generation(tokenizer, id);
    }
}

int fuzz_tokenizer(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct vocab vocab = {.exact = true};
    const uint8_t flags = take_byte(&input);
    if ((flags & NO_BYTES) == 0)
        add_bytes(&vocab);
    add_fixed(&vocab);
    add_from_input(&vocab, &input);
    const struct tokenizer_source source = {
        .pretokenizer = (flags & QWEN2) != 0 ? PRETOKENIZER_QWEN2 : PRETOKENIZER_QWEN35,
        .tokens = vocab.tokens,
        .types = vocab.types,
        .tokens_count = vocab.tokens_count,
        .merges = vocab.merges,
        .merges_count = vocab.merges_count,
        .bos = flags,
        .eos = 3 * (int32_t)flags,
        .eot = -1,
        .eom = -1,
        .add_bos = true,
        .add_eos = true,
    };
    struct weir_tokenizer *tokenizer;
    expect(tokenizer_open(&tokenizer, &source, NULL) == WEIR_OK);
    check_tokens(tokenizer);
    const unsigned encode_flags = ((flags & PARSE_SPECIAL) != 0 ? WEIR_ENCODE_PARSE_SPECIAL : 0) |
                                  ((flags & ADD_SPECIAL) != 0 ? WEIR_ENCODE_ADD_SPECIAL : 0);
    const bool exact = vocab.exact && (flags & (NO_BYTES | ADD_SPECIAL)) == 0;
    check_encode(tokenizer, input, encode_flags, exact);
    weir_tokenizer_close(tokenizer);
    return 0;
}
