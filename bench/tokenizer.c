/* SPDX-License-Identifier: MIT
 * Micro benchmark of the tokenizer: the time to build it, and megabytes a second of encoding, for
 * files and for the shapes of text that are hard on byte pair encoding.
 *
 * bench-tokenizer VOCAB_FOLDER NAME [FILE...]      (NAME: qwen35 or qwen2)
 * Prints tab-separated: text, bytes, ids, milliseconds and MB/s, each the median of RUNS. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/sort.h"
#include "real_vocab.h"

enum { RUNS = 5, HARD_BYTES = 1000000 };

/* One character over and over. */
static const struct {
    const char *name, *character;
} hard_texts[] = {
    {"letters", "a"},   {"ideographs", "\xe7\x9a\x84"}, {"spaces", " "},
    {"newlines", "\n"}, {"combining", "\xcc\x81"},      {"angles", "<"},
    {"digits", "7"},
};

static uint64_t median(uint64_t *times)
{
    sort_u64(times, RUNS);
    return times[RUNS / 2];
}

static void report(const char *name, size_t bytes, size_t ids, uint64_t ns)
{
    printf("%s\t%zu\t%zu\t%.2f\t%.2f\n", name, bytes, ids, (double)ns * 1e-6,
           (double)bytes * 1e3 / (double)ns);
}

static void bench_encode(const struct weir_tokenizer *tokenizer, const char *name, const char *text,
                         size_t length)
{
    uint64_t times[RUNS];
    size_t count = 0;
    int32_t *ids = malloc((3 * length + 2) * sizeof *ids);
    if (ids == NULL)
        return;
    for (int run = 0; run < RUNS; run++) {
        const uint64_t start = clock_ns();
        weir_tokenizer_encode(tokenizer, text, length, WEIR_ENCODE_PARSE_SPECIAL, ids,
                              3 * length + 2, &count, NULL);
        times[run] = clock_ns() - start;
    }
    report(name, length, count, median(times));
    free(ids);
}

static void bench_hard_texts(const struct weir_tokenizer *tokenizer)
{
    char *text = malloc(HARD_BYTES + 8);
    for (size_t i = 0; text != NULL && i < sizeof hard_texts / sizeof hard_texts[0]; i++) {
        const size_t bytes = strlen(hard_texts[i].character);
        size_t length = 0;
        for (; length < HARD_BYTES; length += bytes)
            memcpy(text + length, hard_texts[i].character, bytes);
        bench_encode(tokenizer, hard_texts[i].name, text, length);
    }
    /* Ideographs that differ: pairs with and without a merge. */
    size_t length = 0;
    uint32_t state = 1;
    for (; text != NULL && length < HARD_BYTES; length += 3) {
        state = state * 1664525 + 1013904223;
        const uint32_t code = 0x4e00 + (state >> 16) % 2500;
        text[length] = (char)(0xe0 | code >> 12);
        text[length + 1] = (char)(0x80 | (code >> 6 & 0x3f));
        text[length + 2] = (char)(0x80 | (code & 0x3f));
    }
    if (text != NULL)
        bench_encode(tokenizer, "mixed-ideographs", text, length);
    free(text);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: %s VOCAB_FOLDER NAME [FILE...]\n", argv[0]);
        return 2;
    }
    struct real_vocab vocab;
    const char *problem = real_vocab_load(&vocab, argv[1], argv[2]);
    struct weir_error err = {0};
    struct weir_tokenizer *tokenizer = NULL;
    uint64_t times[RUNS];
    for (int run = 0; problem == NULL && run < RUNS; run++) {
        weir_tokenizer_close(tokenizer);
        const uint64_t start = clock_ns();
        if (tokenizer_open(&tokenizer, &vocab.source, &err) != WEIR_OK)
            problem = err.text;
        times[run] = clock_ns() - start;
    }
    if (problem != NULL) {
        fprintf(stderr, "%s: %s\n", argv[0], problem);
        return 1;
    }
    report("(open)", 0, vocab.source.tokens_count, median(times));
    bench_hard_texts(tokenizer);
    for (int i = 3; i < argc; i++) {
        uint8_t *data;
        size_t size;
        if (file_read_all(argv[i], UINT32_MAX, &data, &size, NULL) != WEIR_OK)
            continue;
        bench_encode(tokenizer, argv[i], (const char *)data, size);
        free(data);
    }
    weir_tokenizer_close(tokenizer);
    real_vocab_release(&vocab);
    return 0;
}
