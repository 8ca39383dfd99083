/* SPDX-License-Identifier: MIT
 * Reads vocabularies from text files. Knows nothing of the tokenizer but what it is built from. */
#include "real_vocab.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { PATH_BYTES = 4096, PADDING_BYTES = 24 };

/* The decompressed file, allocated with malloc; NULL if it or xz is missing. */
static uint8_t *read_xz(const char *folder, const char *name, const char *what, size_t *size)
{
    char command[PATH_BYTES];
    snprintf(command, sizeof command, "xz -dc '%s/%s.%s.txt.xz' 2>/dev/null", folder, name, what);
    FILE *stream = popen(command, "r");
    if (stream == NULL)
        return NULL;
    size_t capacity = 1 << 23;
    uint8_t *data = malloc(capacity);
    *size = 0;
    while (data != NULL) {
        const size_t got = fread(data + *size, 1, capacity - *size, stream);
        *size += got;
        if (got == 0)
            break;
        if (*size == capacity)
            data = realloc(data, capacity *= 2);
    }
    if (pclose(stream) == 0 && data != NULL)
        return data;
    free(data);
    return NULL;
}

/* The lines of the text, in an array with room for `extra` more. */
static struct span *split_lines(const uint8_t *text, size_t size, uint32_t extra, uint32_t *count)
{
    uint32_t lines = 0;
    for (size_t i = 0; i < size; i++)
        lines += text[i] == '\n';
    struct span *spans = calloc((size_t)lines + extra, sizeof *spans);
    *count = 0;
    for (size_t at = 0; spans != NULL && *count < lines;) {
        const uint8_t *end = memchr(text + at, '\n', size - at);
        spans[(*count)++] = (struct span){text + at, (size_t)(end - (text + at))};
        at = (size_t)(end - text) + 1;
    }
    return spans;
}

static int32_t integer(const json_t *object, const char *key)
{
    return (int32_t)json_integer_value(json_object_get(object, key));
}

/* Adds the tokens behind the base vocabulary; their texts are kept in `padding`. */
static void add_special(struct real_vocab *vocab, const json_t *special, uint32_t base)
{
    struct tokenizer_source *source = &vocab->source;
    for (uint32_t id = 0; id < source->tokens_count; id++)
        vocab->types[id] = id < base ? TOKEN_NORMAL : TOKEN_UNUSED;
    for (uint32_t id = base; id < source->tokens_count; id++) {
        char *text = vocab->padding + (size_t)(id - base) * PADDING_BYTES;
        const int length = snprintf(text, PADDING_BYTES, "[PAD%u]", id);
        vocab->tokens[id] = (struct span){(const uint8_t *)text, (size_t)length};
    }
    size_t i;
    json_t *token;
    json_array_foreach(json_object_get(special, "added"), i, token)
    {
        const int32_t id = integer(token, "id");
        const json_t *text = json_object_get(token, "text");
        char *copy = vocab->padding + (size_t)(id - (int32_t)base) * PADDING_BYTES;
        snprintf(copy, PADDING_BYTES, "%s", json_string_value(text));
        vocab->tokens[id].length = strlen(copy);
        vocab->types[id] =
            json_is_true(json_object_get(token, "special")) ? TOKEN_CONTROL : TOKEN_USER_DEFINED;
    }
    json_array_foreach(json_object_get(special, "placeholder_ids"), i, token)
    {
        vocab->types[json_integer_value(token)] = TOKEN_UNUSED;
    }
    source->eos = integer(special, "eos");
}

const char *real_vocab_load(struct real_vocab *out, const char *folder, const char *name)
{
    *out = (struct real_vocab){0};
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s.special.json", folder, name);
    json_t *special = json_load_file(path, 0, NULL);
    if (special == NULL)
        return "no list of special tokens";
    struct tokenizer_source *source = &out->source;
    size_t tokens_size = 0, merges_size = 0;
    out->tokens_text = read_xz(folder, name, "tokens", &tokens_size);
    out->merges_text = read_xz(folder, name, "merges", &merges_size);
    const char *problem = "no memory, no xz or no file";
    if (out->tokens_text == NULL || out->merges_text == NULL)
        goto out;
    const uint32_t count = (uint32_t)integer(special, "n_vocab");
    uint32_t base;
    out->tokens = split_lines(out->tokens_text, tokens_size, count, &base);
    out->merges = split_lines(out->merges_text, merges_size, 1, &source->merges_count);
    out->types = calloc(count, sizeof *out->types);
    out->padding = calloc(count - base, PADDING_BYTES);
    if (out->tokens == NULL || out->merges == NULL || out->types == NULL || out->padding == NULL)
        goto out;
    *source = (struct tokenizer_source){
        .pretokenizer = strcmp(name, "qwen2") == 0 ? PRETOKENIZER_QWEN2 : PRETOKENIZER_QWEN35,
        .tokens = out->tokens,
        .types = out->types,
        .tokens_count = count,
        .merges = out->merges,
        .merges_count = source->merges_count,
        .bos = -1,
        .eot = -1,
        .eom = -1,
    };
    add_special(out, special, base);
    problem = NULL;
out:
    json_decref(special);
    if (problem != NULL)
        real_vocab_release(out);
    return problem;
}

void real_vocab_release(struct real_vocab *vocab)
{
    free(vocab->tokens_text);
    free(vocab->merges_text);
    free(vocab->tokens);
    free(vocab->merges);
    free(vocab->types);
    free(vocab->padding);
    *vocab = (struct real_vocab){0};
}
