/* SPDX-License-Identifier: MIT
 * The vocabulary of a made-up model, which encodes any text. Knows no file format. */
#include "quant/synth.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "base/mem.h"

enum { LETTERS = 26, TOKEN_BYTES_MAX = 16 };

enum token_type { TOKEN_NORMAL = 1, TOKEN_CONTROL = 3, TOKEN_USER_DEFINED = 4 };

static_assert(SYNTH_MERGES == LETTERS * LETTERS + LETTERS, "pairs, and letters after a blank");

static const struct {
    const char *text;
    enum token_type type;
} special_tokens[] = {
    {"<|endoftext|>", TOKEN_CONTROL},     {"<|im_start|>", TOKEN_CONTROL},
    {"<|im_end|>", TOKEN_CONTROL},        {"<think>", TOKEN_USER_DEFINED},
    {"</think>", TOKEN_USER_DEFINED},     {"<tool_call>", TOKEN_USER_DEFINED},
    {"</tool_call>", TOKEN_USER_DEFINED},
};

static_assert(SYNTH_SPECIAL == sizeof special_tokens / sizeof *special_tokens, "the list above");

__attribute__((format(printf, 2, 3))) static struct span text_print(
    struct synth_vocabulary *vocabulary, const char *format, ...)
{
    char *text = vocabulary->texts + vocabulary->used;
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(text, TOKEN_BYTES_MAX, format, args);
    va_end(args);
    assert(length > 0 && length < TOKEN_BYTES_MAX);
    vocabulary->used += (size_t)length + 1;
    return (struct span){(const uint8_t *)text, (size_t)length};
}

static void token_add(struct synth_vocabulary *vocabulary, struct span text, enum token_type type)
{
    assert(vocabulary->count < vocabulary->count_max);
    vocabulary->tokens[vocabulary->count] = text;
    vocabulary->types[vocabulary->count++] = type;
}

/* The character that stands for a byte in token texts, as GPT-2 has it: printable bytes for
 * themselves, the 68 others from U+0100 on. */
static void byte_symbol(char out[3], uint32_t byte)
{
    uint32_t code = byte;
    if (byte <= 32)
        code = 256 + byte;
    else if (byte >= 127 && byte <= 160)
        code = 256 + 33 + (byte - 127);
    else if (byte == 173)
        code = 256 + 67;
    if (code < 128) {
        out[0] = (char)code;
        out[1] = 0;
        return;
    }
    out[0] = (char)(0xc0 | code >> 6);
    out[1] = (char)(0x80 | (code & 0x3f));
    out[2] = 0;
}

/* Every byte, every pair of letters, every letter after a blank; then "~0", "~1", ... to fill up,
 * which nothing merges to; the special tokens last. */
static void vocabulary_fill(struct synth_vocabulary *vocabulary)
{
    char symbol[3], blank[3];
    byte_symbol(blank, ' ');
    for (uint32_t byte = 0; byte < 256; byte++) {
        byte_symbol(symbol, byte);
        token_add(vocabulary, text_print(vocabulary, "%s", symbol), TOKEN_NORMAL);
    }
    for (int i = 0; i < LETTERS * LETTERS; i++) {
        const int a = 'a' + i / LETTERS, b = 'a' + i % LETTERS;
        token_add(vocabulary, text_print(vocabulary, "%c%c", a, b), TOKEN_NORMAL);
        vocabulary->merges[vocabulary->merges_count++] = text_print(vocabulary, "%c %c", a, b);
    }
    for (int a = 'a'; a <= 'z'; a++) {
        token_add(vocabulary, text_print(vocabulary, "%s%c", blank, a), TOKEN_NORMAL);
        vocabulary->merges[vocabulary->merges_count++] = text_print(vocabulary, "%s %c", blank, a);
    }
    for (uint32_t i = 0; vocabulary->count + SYNTH_SPECIAL < vocabulary->count_max; i++)
        token_add(vocabulary, text_print(vocabulary, "~%u", i), TOKEN_NORMAL);
    for (size_t i = 0; i < SYNTH_SPECIAL; i++)
        token_add(vocabulary, text_print(vocabulary, "%s", special_tokens[i].text),
                  special_tokens[i].type);
    assert(vocabulary->count == vocabulary->count_max);
}

enum weir_status synth_vocabulary_init(struct synth_vocabulary *vocabulary, uint32_t count,
                                       struct weir_error *err)
{
    *vocabulary = (struct synth_vocabulary){.count_max = count};
    vocabulary->texts = mem_alloc((uint64_t)count + SYNTH_MERGES, TOKEN_BYTES_MAX, err);
    vocabulary->tokens = mem_alloc(count, sizeof *vocabulary->tokens, err);
    vocabulary->types = mem_alloc(count, sizeof *vocabulary->types, err);
    if (vocabulary->texts == NULL || vocabulary->tokens == NULL || vocabulary->types == NULL) {
        synth_vocabulary_release(vocabulary);
        return WEIR_ERR_MEMORY;
    }
    vocabulary_fill(vocabulary);
    return WEIR_OK;
}

void synth_vocabulary_release(struct synth_vocabulary *vocabulary)
{
    mem_free(vocabulary->texts);
    mem_free(vocabulary->tokens);
    mem_free(vocabulary->types);
    *vocabulary = (struct synth_vocabulary){0};
}
