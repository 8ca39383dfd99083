/* SPDX-License-Identifier: MIT
 * Makes up small vocabularies. Writes the byte-to-Unicode spelling by its own means, so that it
 * checks the library's. */
#include "toy_vocab.h"

#include <stdio.h>
#include <string.h>

#include "base/rng.h"

static bool stands_for_itself(unsigned byte)
{
    return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

static void put(struct toy_vocab *vocab, unsigned byte)
{
    vocab->text[vocab->text_length++] = (uint8_t)byte;
}

static void put_spelled(struct toy_vocab *vocab, struct span raw)
{
    for (size_t i = 0; i < raw.length; i++) {
        unsigned code = raw.data[i];
        if (!stands_for_itself(code)) {
            code = 0x100;
            for (unsigned byte = 0; byte < raw.data[i]; byte++)
                code += !stands_for_itself(byte);
        }
        if (code < 0x80) {
            put(vocab, code);
            continue;
        }
        put(vocab, 0xc0 | code >> 6);
        put(vocab, 0x80 | (code & 0x3f));
    }
}

static struct span spell(struct toy_vocab *vocab, struct span raw)
{
    const uint8_t *start = vocab->text + vocab->text_length;
    put_spelled(vocab, raw);
    return (struct span){start, (size_t)(vocab->text + vocab->text_length - start)};
}

static bool has_room(const struct toy_vocab *vocab)
{
    return vocab->source.tokens_count < TOY_TOKENS_MAX &&
           vocab->source.merges_count < TOY_MERGES_MAX &&
           vocab->text_length + 8 * TOY_WORD_MAX < TOY_TEXT_BYTES;
}

static int32_t add_token(struct toy_vocab *vocab, struct span raw, struct span spelled,
                         enum token_type type)
{
    const uint32_t id = vocab->source.tokens_count++;
    vocab->tokens[id] = spelled;
    vocab->raw[id] = raw;
    vocab->types[id] = (int32_t)type;
    return (int32_t)id;
}

void toy_vocab_init(struct toy_vocab *vocab, enum pretokenizer pretokenizer)
{
    *vocab = (struct toy_vocab){.source = {.pretokenizer = pretokenizer,
                                           .tokens = vocab->tokens,
                                           .types = vocab->types,
                                           .merges = vocab->merges,
                                           .bos = -1,
                                           .eos = -1,
                                           .eot = -1,
                                           .eom = -1}};
    for (unsigned byte = 0; byte < 256; byte++) {
        const struct span raw = {vocab->text + vocab->text_length, 1};
        put(vocab, byte);
        add_token(vocab, raw, spell(vocab, raw), TOKEN_NORMAL);
    }
}

int32_t toy_vocab_add(struct toy_vocab *vocab, const char *text, enum token_type type)
{
    const struct span span = {(const uint8_t *)text, strlen(text)};
    return add_token(vocab, span, span, type);
}

static int32_t find_raw(const struct toy_vocab *vocab, struct span raw)
{
    for (uint32_t id = 0; id < vocab->source.tokens_count; id++) {
        if (vocab->raw[id].length == raw.length &&
            memcmp(vocab->raw[id].data, raw.data, raw.length) == 0)
            return (int32_t)id;
    }
    return -1;
}

int32_t toy_vocab_merge(struct toy_vocab *vocab, int32_t left, int32_t right)
{
    const struct span a = vocab->raw[left], b = vocab->raw[right];
    if (!has_room(vocab) || a.length + b.length > TOY_WORD_MAX)
        return -1;
    for (uint32_t i = 0; i < vocab->source.merges_count; i++) {
        if (vocab->pairs[i].left == left && vocab->pairs[i].right == right)
            return -1;
    }
    const struct span raw = {vocab->text + vocab->text_length, a.length + b.length};
    memcpy(vocab->text + vocab->text_length, a.data, a.length);
    memcpy(vocab->text + vocab->text_length + a.length, b.data, b.length);
    vocab->text_length += raw.length;
    int32_t product = find_raw(vocab, raw);
    if (product < 0)
        product = add_token(vocab, raw, spell(vocab, raw), TOKEN_NORMAL);
    struct span merge = spell(vocab, a);
    put(vocab, ' ');
    merge.length += 1 + spell(vocab, b).length;
    const uint32_t rank = vocab->source.merges_count++;
    vocab->merges[rank] = merge;
    vocab->pairs[rank] = (struct toy_merge){left, right, product};
    return product;
}

void toy_vocab_word(struct toy_vocab *vocab, const char *word)
{
    for (size_t end = 2; end <= strlen(word); end++) {
        const int32_t left = find_raw(vocab, (struct span){(const uint8_t *)word, end - 1});
        toy_vocab_merge(vocab, left, (uint8_t)word[end - 1]);
    }
}

void toy_vocab_random(struct toy_vocab *vocab, const char *alphabet, uint32_t count, uint64_t seed)
{
    int32_t pool[TOY_TOKENS_MAX];
    uint32_t pool_count = 0;
    for (const char *c = alphabet; *c != 0; c++)
        pool[pool_count++] = (uint8_t)*c;
    for (uint32_t i = 0; i < count && pool_count < TOY_TOKENS_MAX; i++) {
        const uint64_t bits = rng_bits(seed, 1, i);
        const int32_t product = toy_vocab_merge(vocab, pool[(uint32_t)bits % pool_count],
                                                pool[(bits >> 32) % pool_count]);
        if (product >= 0)
            pool[pool_count++] = product;
    }
}

void toy_vocab_usual(struct toy_vocab *vocab, enum pretokenizer pretokenizer)
{
    static const char *const words[] = {
        " the",         " of",     "ing", "tokens", "  ", "\n\n", "aa", "\xe4\xb8\xad\xe6\x96\x87",
        "\xef\xbf\xbd", "<|im_end"};
    static const struct {
        const char *text;
        enum token_type type;
    } specials[] = {
        {"<|endoftext|>", TOKEN_CONTROL},
        {"<|im_start|>", TOKEN_CONTROL},
        {"<|im_end|>", TOKEN_CONTROL},
        {"<think>", TOKEN_USER_DEFINED},
        {"</think>", TOKEN_USER_DEFINED},
        {"<|fim_pad|>", TOKEN_USER_DEFINED},
        {"<|fim_prefix|>", TOKEN_USER_DEFINED},
        {"<unk>", TOKEN_UNKNOWN},
        {"[PAD]", TOKEN_UNUSED},
        {"<0x4A>", TOKEN_BYTE},
    };
    toy_vocab_init(vocab, pretokenizer);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        toy_vocab_word(vocab, words[i]);
    toy_vocab_random(vocab, "ab <\n", 300, 7);
    for (size_t i = 0; i < sizeof specials / sizeof specials[0]; i++)
        toy_vocab_add(vocab, specials[i].text, specials[i].type);
}
