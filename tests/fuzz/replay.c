/* SPDX-License-Identifier: MIT
 * Runs the fuzz targets over their corpora and over seeded mutations of them, without libFuzzer.
 * Run alone: build/tests/weir-test fuzz_ */
#include "fuzz/fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "test.h"

enum { MUTANTS = 1000, EDITS_MAX = 5, WORD_MAX = 16 };

/* One target: the function, its corpus, and what its inputs turn on. */
struct target {
    int (*run)(const uint8_t *data, size_t size);
    const char *corpus;
    uint64_t files_min;
    const char *const *words;
    uint64_t words_count;
};

/* A counter-based stream of choices. */
struct choices {
    uint64_t seed, stream, index;
};

static uint64_t choose(struct choices *choices, uint64_t below)
{
    return rng_bits(choices->seed, choices->stream, choices->index++) % below;
}

static size_t insert(uint8_t *data, size_t size, size_t at, const char *word)
{
    const size_t bytes = strlen(word);
    memmove(data + at + bytes, data + at, size - at);
    memcpy(data + at, word, bytes);
    return size + bytes;
}

/* One edit: a bit, an integer at a limit put anywhere, a copied run, a run taken out, a cut, a word
 * put in. Grows the input by WORD_MAX bytes at most. */
static size_t mutate(const struct target *target, struct choices *choices, uint8_t *data,
                     size_t size)
{
    static const uint64_t limits[] = {0,          1,          0x7f,       0xff,       0xffff,
                                      1u << 30,   0x7fffffff, 0xffffffff, UINT64_MAX, INT64_MAX,
                                      1ull << 62, 8,          9,          13,         32};
    if (size == 0)
        return size;
    const size_t at = choose(choices, size);
    const size_t bytes = 1 + choose(choices, size - at < 8 ? size - at : 8);
    const uint64_t kinds = target->words_count > 0 ? 8 : 5;
    switch (choose(choices, kinds)) {
    case 0: data[at] ^= (uint8_t)(1 << choose(choices, 8)); return size;
    case 1:
        memcpy(data + at, &limits[choose(choices, sizeof limits / sizeof *limits)], bytes);
        return size;
    case 2: memmove(data + at, data + choose(choices, size - bytes + 1), bytes); return size;
    case 3: memmove(data + at, data + at + bytes, size - at - bytes); return size - bytes;
    case 4: return choose(choices, 4) == 0 ? at : size;
    default: return insert(data, size, at, target->words[choose(choices, target->words_count)]);
    }
}

/* Runs the target on an allocation of exactly the input's size, as libFuzzer does. */
static void run_exact(const struct target *target, const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size > 0 ? size : 1);
    CHECK(exact != NULL);
    memcpy(exact, data, size);
    target->run(exact, size);
    free(exact);
}

static void replay_file(const struct target *target, const char *path, uint64_t stream)
{
    size_t size;
    uint8_t *seed = test_read_file(path, &size);
    uint8_t *mutant = malloc(size + EDITS_MAX * WORD_MAX);
    CHECK(mutant != NULL);
    run_exact(target, seed, size);
    struct choices choices = {.seed = test_seed(), .stream = stream};
    for (int i = 0; i < MUTANTS; i++) {
        memcpy(mutant, seed, size);
        size_t mutant_size = size;
        for (uint64_t edits = 1 + choose(&choices, EDITS_MAX); edits > 0; edits--)
            mutant_size = mutate(target, &choices, mutant, mutant_size);
        run_exact(target, mutant, mutant_size);
    }
    free(mutant);
    free(seed);
}

/* Every file of the corpus, in the order of their names, so that a seed means the same anywhere. */
static void replay(const struct target *target)
{
    const char *folder = test_data(target->corpus);
    struct dirent **entries;
    uint64_t files = 0;
    const int count = scandir(folder, &entries, NULL, alphasort);
    CHECK(count >= 0);
    for (int i = 0; i < count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.')
            replay_file(target, path, files++);
        free(entries[i]);
    }
    free(entries);
    CHECK(files >= target->files_min);
}

TEST(fuzz_replay_chat_file)
{
    static const char *const words[] = {
        "\"role\":",
        "\"system\"",
        "\"assistant\"",
        "\"content\":",
        "\"weir.chat/1\"",
        "\"format\":",
        "\\u0000",
        "{",
        "}",
        "[",
        "]",
        ",",
        "null",
        "\"a\"",
    };
    replay(&(struct target){fuzz_chat_file, "../fuzz/corpus/chat_file", 4, words,
                            sizeof words / sizeof words[0]});
}

TEST(fuzz_replay_gguf)
{
    replay(&(struct target){fuzz_gguf, "../fuzz/corpus/gguf", 7, NULL, 0});
}

TEST(fuzz_replay_imatrix)
{
    replay(&(struct target){fuzz_imatrix, "../fuzz/corpus/imatrix", 4, NULL, 0});
}

TEST(fuzz_replay_kl_base)
{
    replay(&(struct target){fuzz_kl_base, "../fuzz/corpus/kl_base", 3, NULL, 0});
}

TEST(fuzz_replay_profile)
{
    static const char *const words[] = {
        "\"ms\":", "\"layer\":", "\"kind\":", "\"ops\":", "[",  "]",  "{",    "}",
        "\"",      ",",          "7",         "-",        "e9", ".5", "null", "9223372036",
    };
    replay(&(struct target){fuzz_profile, "../fuzz/corpus/profile", 5, words,
                            sizeof words / sizeof words[0]});
}

TEST(fuzz_replay_reply)
{
    static const char *const words[] = {
        "<think>",       "</think>",      "<tool_call>", "</tool_call>", "<function=",
        "</function>",   "<parameter=",   ">",           "\n",           "{\"name\":",
        "\"arguments\"", "\n</parameter", "7",           "\"",           "</parameter>\n",
    };
    replay(&(struct target){fuzz_reply, "../fuzz/corpus/reply", 6, words,
                            sizeof words / sizeof words[0]});
}

TEST(fuzz_replay_hf_tokenizer)
{
    static const char *const words[] = {
        "\"vocab\":", "\"merges\":", "\"id\":", "\"a b\"", "[", "]", "{", "}", "\"", ",", "7", " ",
    };
    replay(&(struct target){fuzz_hf_tokenizer, "../fuzz/corpus/hf_tokenizer", 3, words,
                            sizeof words / sizeof words[0]});
}

TEST(fuzz_replay_json)
{
    static const char *const words[] = {
        "\"a\":", "\\u00e9", "\\ud83d", "\\ude00", "\\",   "[",    "]",   "{",  "}",
        "\"",     ",",       ":",       "-",       "true", "null", "1e9", ".5", "\xff",
    };
    replay(&(struct target){fuzz_json, "../fuzz/corpus/json", 4, words,
                            sizeof words / sizeof words[0]});
}

TEST(fuzz_replay_jinja)
{
    static const char *const words[] = {
        "{{ ",   " }}",     "{% if a %}", "{% endif %}", "{%- for b in ", " %}", "{% endfor %}",
        "{#-",   "-#}",     "|tojson",    "|trim",       "[1:-1]",        "(",   ")",
        "'",     ".split(", "{% set ",    " ~ ",         "namespace(",    "[",   "]",
        "loop.", "is not ", "-",          "a",           "messages",      "@",   "**",
    };
    replay(&(struct target){fuzz_jinja, "../fuzz/corpus/jinja", 6, words,
                            sizeof words / sizeof words[0]});
}

TEST(fuzz_replay_request)
{
    static const char *const words[] = {
        "{",        "}",         "[",     "]",        ",",         ":",         "null",
        "true",     "\"role\":", "\"a\"", "\"user\"", "\"name\":", "\"type\":", "<think>",
        "</think>", "\\n",       "1.0",   "\"text\"", "tools",     "reasoning",
    };
    replay(&(struct target){fuzz_request, "../fuzz/corpus/request", 6, words,
                            sizeof words / sizeof words[0]});
}

TEST(fuzz_replay_body)
{
    static const char *const words[] = {
        "{",           "}",         "[",          "]",
        ",",           ":",         "null",       "true",
        "-1",          "1e9",       "\"a\"",      "\"n\":",
        "\"stop\":",   "\"role\":", "\"type\"",   "\"content\":",
        "\"prompt\":", "\"text\":", "4294967295",
    };
    replay(&(struct target){fuzz_body, "../fuzz/corpus/body", 5, words,
                            sizeof words / sizeof words[0]});
}

TEST(fuzz_replay_http_target)
{
    static const char *const words[] = {"http://", "https://", "/", "?", "%", "%2", "%61",
                                        "%00",     "[::1]",    ":", "@", ".", "a"};
    replay(&(struct target){fuzz_http_target, "../fuzz/corpus/http_target", 5, words,
                            sizeof words / sizeof words[0]});
}

TEST(fuzz_replay_gbnf)
{
    static const char *const words[] = {
        "root", "::=", "\"a\"", "[^b]",  "(",  ")",     "|",  "*",
        "+",    "?",   "{2,3}", "\\x41", "\n", "<[1]>", "a ",
    };
    replay(&(struct target){fuzz_gbnf, "../fuzz/corpus/gbnf", 6, words,
                            sizeof words / sizeof words[0]});
}

TEST(fuzz_replay_schema)
{
    static const char *const words[] = {
        "\"type\":", "\"anyOf\":", "\"$ref\":", "\"#\"", "\"items\":", "\"minimum\":",
        "true",      "false",      "{",         "}",     "[",          "]",
        ",",         "\"a\"",      "9",         "-1.5",
    };
    replay(&(struct target){fuzz_schema, "../fuzz/corpus/schema", 8, words,
                            sizeof words / sizeof words[0]});
}

TEST(fuzz_replay_calls)
{
    static const char *const words[] = {
        "<tool_call>",
        "</tool_call>",
        "<function=",
        "</function>",
        "<parameter=",
        "</parameter>",
        ">\n",
        "\n</parameter>\n",
        "\"type\":",
        "\"anyOf\":",
        "\"required\":",
        "\"minLength\":",
        "true",
        "{",
        "}",
        "[",
        "]",
        "\"",
        "7",
        "f",
    };
    replay(&(struct target){fuzz_calls, "../fuzz/corpus/calls", 5, words,
                            sizeof words / sizeof words[0]});
}

TEST(fuzz_replay_safetensors)
{
    static const char *const words[] = {
        "\"F32\"", "\"shape\":", "[", "]", "{", "}", "\"", ",", "0", "9", "-", "\"a\":", "null",
    };
    replay(&(struct target){fuzz_safetensors, "../fuzz/corpus/safetensors", 3, words,
                            sizeof words / sizeof words[0]});
}

TEST(fuzz_replay_snapshot)
{
    replay(&(struct target){fuzz_snapshot, "../fuzz/corpus/snapshot", 4, NULL, 0});
}

TEST(fuzz_replay_tokenizer)
{
    static const char *const words[] = {
        "<|im_end|>", "<think>", "<unk>",        "<",        "a",        "aab",
        " ",          "\n",      "'s",           "1",        "\xcc\x81", "\xe4\xb8\xad",
        "\xe4\xb8",   "\xff",    "\xed\xa0\x80", "\xc4\xa0", "a b",
    };
    replay(&(struct target){fuzz_tokenizer, "../fuzz/corpus/tokenizer", 8, words,
                            sizeof words / sizeof words[0]});
}
