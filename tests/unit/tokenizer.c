/* SPDX-License-Identifier: MIT
 * Tests of the tokenizer on made-up vocabularies. Run alone: build/tests/weir-test tokenizer_ */
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "base/rng.h"
#include "base/utf8.h"
#include "toy_vocab.h"

enum { TEXT_MAX = 4096, IDS_MAX = 3 * TEXT_MAX + 2 };

/* Warnings, one after the other. */
static void keep_line(void *user, enum weir_log_level level, const char *line)
{
    char *lines = user;
    CHECK_INT(level, WEIR_LOG_WARNING);
    CHECK(strlen(lines) + strlen(line) + 2 < TEXT_MAX);
    strcat(strcat(lines, line), "\n");
}

static struct weir_tokenizer *open_source(const struct tokenizer_source *source)
{
    struct weir_error err = {0};
    struct weir_tokenizer *tokenizer;
    CHECK_OK(tokenizer_open(&tokenizer, source, &err), &err);
    return tokenizer;
}

static struct weir_tokenizer *open_usual(struct toy_vocab *toy, enum pretokenizer pretokenizer)
{
    toy_vocab_usual(toy, pretokenizer);
    return open_source(&toy->source);
}

static size_t encode(const struct weir_tokenizer *tokenizer, const char *text, size_t length,
                     unsigned flags, int32_t *ids)
{
    struct weir_error err = {0};
    size_t count;
    CHECK_OK(weir_tokenizer_encode(tokenizer, text, length, flags, ids, IDS_MAX, &count, &err),
             &err);
    CHECK(count <= IDS_MAX);
    return count;
}

static size_t decode(const struct weir_tokenizer *tokenizer, const int32_t *ids, size_t count,
                     char *out)
{
    size_t written = 0;
    for (size_t i = 0; i < count; i++) {
        size_t length;
        const char *piece = weir_tokenizer_piece(tokenizer, ids[i], true, &length);
        CHECK(written + length <= IDS_MAX);
        memcpy(out + written, piece, length);
        written += length;
    }
    return written;
}

/* Random text of words, special tokens and characters; its length. */
static size_t random_text(uint64_t key, char *text)
{
    static const char *const parts[] = {
        "the",
        " the",
        "tokens",
        "a",
        "ab",
        "b",
        " ",
        "   ",
        "\n",
        "\r\n\n",
        "\t",
        "<",
        "<|im_end|>",
        "<|im_end",
        "<|im_start|>",
        "<think>",
        "</think>",
        "<|fim_pad|>",
        "<unk>",
        "<thin",
        "'s",
        "'LL",
        "1",
        "23",
        "!?",
        "caf\xc3\xa9",
        "e\xcc\x81",
        "\xe4\xb8\xad\xe6\x96\x87",
        "\xe0\xb8\x97\xe0\xb8\xb5",
        "\xf0\x9f\x99\x82",
        "\xef\xbf\xbd",
        "[PAD]",
        "<0x4A>",
        ");\n",
        "\xc2\xa0",
    };
    size_t length = 0;
    const uint64_t count = rng_bits(key, 0, 0) % 60;
    for (uint64_t i = 0; i < count; i++) {
        const char *part = parts[rng_bits(key, 1, i) % (sizeof parts / sizeof parts[0])];
        memcpy(text + length, part, strlen(part));
        length += strlen(part);
    }
    if (count % 5 == 0)
        text[length++] = 0;
    return length;
}

TEST(tokenizer_round_trip)
{
    static struct toy_vocab toy;
    for (uint64_t round = 0; round < 2000; round++) {
        static struct weir_tokenizer *tokenizer;
        if (round % 1000 == 0) {
            weir_tokenizer_close(tokenizer);
            tokenizer = open_usual(&toy, round == 0 ? PRETOKENIZER_QWEN2 : PRETOKENIZER_QWEN35);
        }
        char text[TEXT_MAX], back[IDS_MAX];
        int32_t ids[IDS_MAX];
        const size_t length = random_text(rng_bits(test_seed(), 1, round), text);
        const unsigned flags = round % 2 == 0 ? 0 : WEIR_ENCODE_PARSE_SPECIAL;
        const size_t count = encode(tokenizer, text, length, flags, ids);
        CHECK(count <= length);
        CHECK_INT(decode(tokenizer, ids, count, back), length);
        CHECK(memcmp(back, text, length) == 0);
        if (round == 1999) {
            weir_tokenizer_close(tokenizer);
            tokenizer = NULL;
        }
    }
}

/* A special token cuts the text: what is on one side does not change the other. */
TEST(tokenizer_special_tokens_cut_text)
{
    static struct toy_vocab toy;
    static const char *const specials[] = {"<|im_end|>", "<|im_start|>", "<think>", "<|fim_pad|>",
                                           "<unk>"};
    struct weir_tokenizer *tokenizer = open_usual(&toy, PRETOKENIZER_QWEN35);
    for (uint64_t round = 0; round < 1000; round++) {
        char text[TEXT_MAX];
        int32_t expected[IDS_MAX], ids[IDS_MAX];
        const char *special = specials[round % (sizeof specials / sizeof specials[0])];
        const size_t before = random_text(rng_bits(test_seed(), 2, round), text);
        size_t count = encode(tokenizer, text, before, WEIR_ENCODE_PARSE_SPECIAL, expected);
        memcpy(text + before, special, strlen(special));
        const size_t middle = before + strlen(special);
        expected[count++] = weir_tokenizer_find(tokenizer, special, strlen(special));
        const size_t after = random_text(rng_bits(test_seed(), 3, round), text + middle);
        count +=
            encode(tokenizer, text + middle, after, WEIR_ENCODE_PARSE_SPECIAL, expected + count);
        CHECK_INT(encode(tokenizer, text, middle + after, WEIR_ENCODE_PARSE_SPECIAL, ids), count);
        CHECK(memcmp(ids, expected, count * sizeof *ids) == 0);
    }
    weir_tokenizer_close(tokenizer);
}

static bool encodes_to_itself(const struct weir_tokenizer *tokenizer, const char *text,
                              unsigned flags)
{
    int32_t ids[IDS_MAX];
    const size_t count = encode(tokenizer, text, strlen(text), flags, ids);
    return count == 1 && ids[0] == weir_tokenizer_find(tokenizer, text, strlen(text));
}

/* Control tokens only where asked for, user-defined ones always, unused ones never. The tokens of
 * fill-in-the-middle are control tokens though the source calls them user-defined. */
TEST(tokenizer_parse_special)
{
    static struct toy_vocab toy;
    struct weir_tokenizer *tokenizer = open_usual(&toy, PRETOKENIZER_QWEN35);
    static const struct {
        const char *text;
        bool plain, parsed;
    } cases[] = {
        {"<|im_end|>", false, true},     {"<think>", true, true},      {"<unk>", false, true},
        {"<|fim_prefix|>", false, true}, {"<|fim_pad|>", false, true}, {"[PAD]", false, false},
        {"<0x4A>", false, false},        {"tokens", true, true}, /* by merges */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_INT(encodes_to_itself(tokenizer, cases[i].text, 0), cases[i].plain);
        CHECK_INT(encodes_to_itself(tokenizer, cases[i].text, WEIR_ENCODE_PARSE_SPECIAL),
                  cases[i].parsed);
    }
    weir_tokenizer_close(tokenizer);
}

TEST(tokenizer_longest_special_token_wins)
{
    static struct toy_vocab toy;
    toy_vocab_init(&toy, PRETOKENIZER_QWEN35);
    toy_vocab_add(&toy, "<a>", TOKEN_CONTROL);
    const int32_t longer = toy_vocab_add(&toy, "<a><b>", TOKEN_CONTROL);
    const int32_t user = toy_vocab_add(&toy, "<a", TOKEN_USER_DEFINED);
    const int32_t twice = toy_vocab_add(&toy, "z", TOKEN_CONTROL);
    toy_vocab_add(&toy, "z", TOKEN_CONTROL);
    toy_vocab_add(&toy, "", TOKEN_CONTROL);
    struct weir_tokenizer *tokenizer = open_source(&toy.source);
    int32_t ids[IDS_MAX];
    CHECK_INT(encode(tokenizer, "<a><b>", 6, WEIR_ENCODE_PARSE_SPECIAL, ids), 1);
    CHECK_INT(ids[0], longer);
    CHECK_INT(encode(tokenizer, "<a><b", 5, 0, ids), 4);
    CHECK_INT(ids[0], user);
    CHECK_INT(encode(tokenizer, "zz", 2, WEIR_ENCODE_PARSE_SPECIAL, ids), 2);
    CHECK_INT(ids[0], twice);
    weir_tokenizer_close(tokenizer);
}

TEST(tokenizer_adds_bos_and_eos_where_asked)
{
    static struct toy_vocab toy;
    toy_vocab_usual(&toy, PRETOKENIZER_QWEN35);
    toy.source.bos = 300;
    toy.source.eos = 301;
    int32_t ids[IDS_MAX];
    struct weir_tokenizer *tokenizer = open_source(&toy.source);
    CHECK_INT(encode(tokenizer, "ab", 2, WEIR_ENCODE_ADD_SPECIAL, ids),
              encode(tokenizer, "ab", 2, 0, ids));
    weir_tokenizer_close(tokenizer);
    toy.source.add_bos = toy.source.add_eos = true;
    tokenizer = open_source(&toy.source);
    CHECK_INT(encode(tokenizer, "", 0, 0, ids), 0);
    CHECK_INT(encode(tokenizer, NULL, 0, WEIR_ENCODE_ADD_SPECIAL, ids), 2);
    CHECK_INT(ids[0], 300);
    CHECK_INT(ids[1], 301);
    weir_tokenizer_close(tokenizer);
    toy.source.bos = toy.source.eos = -1; /* none: not some other token */
    tokenizer = open_source(&toy.source);
    CHECK_INT(encode(tokenizer, "", 0, WEIR_ENCODE_ADD_SPECIAL, ids), 0);
    weir_tokenizer_close(tokenizer);
}

TEST(tokenizer_measures_and_cuts)
{
    static struct toy_vocab toy;
    struct weir_tokenizer *tokenizer = open_usual(&toy, PRETOKENIZER_QWEN35);
    struct weir_error err = {0};
    char text[TEXT_MAX];
    int32_t whole[IDS_MAX], part[IDS_MAX];
    const size_t length = random_text(rng_bits(5, 5, 5), text);
    const size_t count = encode(tokenizer, text, length, 0, whole);
    CHECK(count > 3);
    for (size_t max = 0; max <= count + 1; max++) {
        size_t measured;
        memset(part, 0xff, sizeof part);
        CHECK_OK(weir_tokenizer_encode(tokenizer, text, length, 0, max == 0 ? NULL : part, max,
                                       &measured, &err),
                 &err);
        CHECK_INT(measured, count);
        CHECK(memcmp(part, whole, (max < count ? max : count) * sizeof *part) == 0);
        CHECK_INT(part[max], -1);
    }
    weir_tokenizer_close(tokenizer);
}

TEST(tokenizer_refuses_two_gibibytes)
{
    static struct toy_vocab toy;
    struct weir_tokenizer *tokenizer = open_usual(&toy, PRETOKENIZER_QWEN35);
    struct weir_error err = {0};
    size_t count = 1;
    CHECK_INT(weir_tokenizer_encode(tokenizer, "", (size_t)1 << 31, 0, NULL, 0, &count, &err),
              WEIR_ERR_ARGUMENT);
    CHECK_INT(count, 0);
    CHECK(strstr(err.text, "2147483648") != NULL);
    weir_tokenizer_close(tokenizer);
}

TEST(tokenizer_invalid_utf8_is_replaced)
{
    static struct toy_vocab toy;
    struct weir_tokenizer *tokenizer = open_usual(&toy, PRETOKENIZER_QWEN35);
    for (uint64_t round = 0; round < 1000; round++) {
        static const uint8_t bytes[] = {'a',  ' ',  '<',  0x80, 0xbf, 0xc3,
                                        0xe4, 0xed, 0xa0, 0xf0, 0x9f, 0xff};
        char text[64], repaired[192], back[IDS_MAX];
        int32_t ids[IDS_MAX];
        const size_t length = rng_bits(test_seed(), round, 0) % sizeof text;
        for (size_t i = 0; i < length; i++)
            text[i] = (char)bytes[rng_bits(test_seed(), round, i + 1) % sizeof bytes];
        const size_t expected = utf8_repaired_length((const uint8_t *)text, length);
        utf8_repair((const uint8_t *)text, length, (uint8_t *)repaired);
        const size_t count = encode(tokenizer, text, length, 0, ids);
        CHECK_INT(decode(tokenizer, ids, count, back), expected);
        CHECK(memcmp(back, repaired, expected) == 0);
    }
    weir_tokenizer_close(tokenizer);
}

static void check_piece(const struct weir_tokenizer *tokenizer, int32_t id, const char *plain,
                        const char *special)
{
    for (int i = 0; i < 2; i++) {
        const char *expected = i == 0 ? plain : special;
        size_t length;
        const char *piece = weir_tokenizer_piece(tokenizer, id, i == 1, &length);
        CHECK_INT(length, strlen(expected));
        CHECK(memcmp(piece, expected, length) == 0);
    }
}

TEST(tokenizer_pieces_depend_on_the_type)
{
    static struct toy_vocab toy;
    toy_vocab_init(&toy, PRETOKENIZER_QWEN35);
    const int32_t first = toy_vocab_add(&toy, "<|im_end|>", TOKEN_CONTROL);
    toy_vocab_add(&toy, "<think>", TOKEN_USER_DEFINED);
    toy_vocab_add(&toy, "<unk>", TOKEN_UNKNOWN);
    toy_vocab_add(&toy, "[PAD]", TOKEN_UNUSED);
    toy_vocab_add(&toy, "<0x4a>", TOKEN_BYTE);
    toy_vocab_add(&toy, "<0x4g>", TOKEN_BYTE);
    toy_vocab_add(&toy, "\xc4\xa0word", TOKEN_NORMAL);         /* spelled */
    toy_vocab_add(&toy, "\xe4\xb8\xad\xc4\xa0", TOKEN_NORMAL); /* not in the spelling: as it is */
    toy_vocab_add(&toy, "\xc3\xa9", TOKEN_USER_DEFINED);       /* never spelled */
    toy_vocab_add(&toy, "\xc1\xa1", TOKEN_NORMAL);             /* malformed: as it is */
    toy_vocab_add(&toy, "word", (enum token_type)99);          /* normal */
    struct weir_tokenizer *tokenizer = open_source(&toy.source);
    static const char *const pieces[][2] = {
        {"", "<|im_end|>"},
        {"<think>", "<think>"},
        {"", "<unk>"},
        {"", ""},
        {"J", "J"},
        {"", ""},
        {" word", " word"},
        {"\xe4\xb8\xad\xc4\xa0", "\xe4\xb8\xad\xc4\xa0"},
        {"\xc3\xa9", "\xc3\xa9"},
        {"\xc1\xa1", "\xc1\xa1"},
        {"word", "word"},
    };
    const int32_t count = (int32_t)(sizeof pieces / sizeof pieces[0]);
    for (int32_t i = 0; i < count; i++)
        check_piece(tokenizer, first + i, pieces[i][0], pieces[i][1]);
    check_piece(tokenizer, -1, "", "");
    check_piece(tokenizer, first + count, "", "");
    CHECK_INT(weir_tokenizer_size(tokenizer), first + count);
    for (int32_t byte = 1; byte < 256; byte++) {
        const char text[2] = {(char)byte, 0};
        check_piece(tokenizer, byte, text, text);
        CHECK_INT(weir_tokenizer_find(tokenizer, text, 1), byte);
    }
    CHECK_INT(weir_tokenizer_find(tokenizer, " word", 5), first + 6);
    CHECK_INT(weir_tokenizer_find(tokenizer, " wor", 4), -1);
    CHECK_INT(weir_tokenizer_find(tokenizer, "", 0), -1);
    weir_tokenizer_close(tokenizer);
}

TEST(tokenizer_ends_of_generation)
{
    static struct toy_vocab toy;
    toy_vocab_usual(&toy, PRETOKENIZER_QWEN35);
    toy.source.eos = 300;
    toy.source.eot = 301;
    toy.source.eom = 5000; /* out of range */
    static char lines[TEXT_MAX];
    lines[0] = 0;
    toy.source.log = keep_line;
    toy.source.log_user = lines;
    struct weir_tokenizer *tokenizer = open_source(&toy.source);
    CHECK(strstr(lines, "EOM token 5000 ignored") != NULL);
    static const char *const texts[] = {"<|endoftext|>", "<|im_end|>", "<|fim_pad|>"};
    unsigned ends = 0;
    for (int32_t id = -1; id <= (int32_t)weir_tokenizer_size(tokenizer); id++)
        ends += weir_tokenizer_ends_generation(tokenizer, id);
    CHECK_INT(ends, 5);
    CHECK(weir_tokenizer_ends_generation(tokenizer, 300));
    CHECK(weir_tokenizer_ends_generation(tokenizer, 301));
    for (size_t i = 0; i < 3; i++)
        CHECK(weir_tokenizer_ends_generation(
            tokenizer, weir_tokenizer_find(tokenizer, texts[i], strlen(texts[i]))));
    weir_tokenizer_close(tokenizer);
}

TEST(tokenizer_duplicate_texts_give_the_lowest_id)
{
    static struct toy_vocab toy;
    toy_vocab_init(&toy, PRETOKENIZER_QWEN35);
    const int32_t ab = toy_vocab_merge(&toy, 'a', 'b');
    toy_vocab_add(&toy, "ab", TOKEN_NORMAL);
    toy_vocab_add(&toy, "a", TOKEN_NORMAL);
    struct weir_tokenizer *tokenizer = open_source(&toy.source);
    int32_t ids[IDS_MAX];
    CHECK_INT(encode(tokenizer, "ab", 2, 0, ids), 1);
    CHECK_INT(ids[0], ab);
    CHECK_INT(weir_tokenizer_find(tokenizer, "a", 1), 'a');
    weir_tokenizer_close(tokenizer);
}

#define SPAN(text)                                                                                 \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }

/* Each flaw is left out, counted in one warning, and the rest works. */
TEST(tokenizer_flawed_merges_are_skipped)
{
    static const struct span flawed[] = {
        SPAN("a b"), SPAN(""),     SPAN(" "),   SPAN("a"),     SPAN(" a"),  SPAN("a "),
        SPAN("  "),  SPAN("xy z"), SPAN("a c"), SPAN("a b c"), SPAN("a b"), SPAN("\xff \xfe"),
    };
    static struct toy_vocab toy;
    static char lines[TEXT_MAX];
    lines[0] = 0;
    toy_vocab_init(&toy, PRETOKENIZER_QWEN35);
    const int32_t ab = toy_vocab_add(&toy, "ab", TOKEN_NORMAL);
    toy.source.merges = flawed;
    toy.source.merges_count = sizeof flawed / sizeof flawed[0];
    toy.source.log = keep_line;
    toy.source.log_user = lines;
    struct weir_tokenizer *tokenizer = open_source(&toy.source);
    CHECK_TEXT(lines, "10 of 12 merges skipped: their parts or product are no tokens\n");
    int32_t ids[IDS_MAX];
    CHECK_INT(encode(tokenizer, "abc", 3, 0, ids), 2);
    CHECK_INT(ids[0], ab);
    weir_tokenizer_close(tokenizer);
}

TEST(tokenizer_flawed_vocabularies)
{
    struct weir_error err = {0};
    struct weir_tokenizer *tokenizer = NULL;
    struct tokenizer_source source = {.bos = -1, .eos = 7, .eot = -9, .eom = INT32_MAX};
    CHECK_INT(tokenizer_open(&tokenizer, &source, &err), WEIR_ERR_FORMAT);
    CHECK(tokenizer == NULL);
    CHECK(strstr(err.text, "vocabulary of 0 tokens") != NULL);

    static char lines[TEXT_MAX];
    lines[0] = 0;
    static char longest[1000];
    memset(longest, 'a', sizeof longest);
    const struct span tokens[] = {SPAN(""), SPAN("a"), {(const uint8_t *)longest, sizeof longest}};
    const int32_t types[] = {TOKEN_CONTROL, -5, TOKEN_CONTROL};
    source.tokens = tokens;
    source.types = types;
    source.tokens_count = 3;
    source.log = keep_line;
    source.log_user = lines;
    tokenizer = open_source(&source);
    CHECK_TEXT(lines,
               "EOS token 7 ignored: the vocabulary has 3 tokens\n"
               "EOM token 2147483647 ignored: the vocabulary has 3 tokens\n"
               "255 of 256 byte values have no token: text loses them\n"
               "1 special tokens are never recognised: longer than 256 bytes, or not UTF-8\n");
    int32_t ids[IDS_MAX];
    CHECK_INT(encode(tokenizer, longest, sizeof longest, WEIR_ENCODE_PARSE_SPECIAL, ids), 1000);
    CHECK_INT(encode(tokenizer, "bcd\xff", 4, 0, ids), 0);
    weir_tokenizer_close(tokenizer);
    weir_tokenizer_close(NULL);
}

/* A file may have a special token that is a part of a character, which would cut one in two. */
TEST(tokenizer_special_tokens_are_whole_characters)
{
    static const char *const parts[] = {"\xc3",  "\xa9",  "\xf0\x9f",
                                        "f\xc3", "\x82!", "\xed\xa0\x80"};
    static const char *const texts[] = {"\xc3\xa9", "\xf0\x9f\x99\x82", "caf\xc3\xa9",
                                        "\xf0\x9f\x99\x82!"};
    static struct toy_vocab toy;
    toy_vocab_usual(&toy, PRETOKENIZER_QWEN35);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        toy_vocab_add(&toy, parts[i], i % 2 == 0 ? TOKEN_USER_DEFINED : TOKEN_CONTROL);
    struct weir_tokenizer *tokenizer = open_source(&toy.source);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const size_t length = strlen(texts[i]);
        char *text = malloc(length), back[IDS_MAX]; /* behind it is nothing to be read */
        int32_t ids[IDS_MAX];
        CHECK(text != NULL);
        memcpy(text, texts[i], length);
        const size_t count = encode(tokenizer, text, length, WEIR_ENCODE_PARSE_SPECIAL, ids);
        CHECK_INT(decode(tokenizer, ids, count, back), length);
        CHECK(memcmp(back, text, length) == 0);
        free(text);
    }
    weir_tokenizer_close(tokenizer);
}

/* Any cost that grows with the square of the text does not end here. */
TEST(tokenizer_hard_texts_end)
{
    static struct toy_vocab toy;
    struct weir_tokenizer *tokenizer = open_usual(&toy, PRETOKENIZER_QWEN35);
    static const char *const characters[] = {
        "a", " ", "\n", "<", "\xcc\x81", "\xe4\xb8\xad", "\xff", "\n ", "<|im_end|", "'",
    };
    const size_t size = 1 << 20;
    char *text = malloc(size);
    CHECK(text != NULL);
    for (size_t i = 0; i < sizeof characters / sizeof characters[0]; i++) {
        const size_t bytes = strlen(characters[i]);
        size_t length = 0, count;
        for (; length + bytes <= size; length += bytes)
            memcpy(text + length, characters[i], bytes);
        struct weir_error err = {0};
        CHECK_OK(weir_tokenizer_encode(tokenizer, text, length, WEIR_ENCODE_PARSE_SPECIAL, NULL, 0,
                                       &count, &err),
                 &err);
        CHECK(count > 0 && count <= length);
    }
    free(text);
    weir_tokenizer_close(tokenizer);
}

/* ---- threads --------------------------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 200 };

struct shared_work {
    const struct weir_tokenizer *tokenizer;
    uint64_t seed;
    uint64_t sums[THREADS];
};

static void encode_in_thread(void *job, uint32_t thread)
{
    struct shared_work *work = job;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        char text[TEXT_MAX];
        int32_t ids[IDS_MAX];
        size_t count = 0;
        const size_t length = random_text(rng_bits(work->seed, 4, round), text);
        weir_tokenizer_encode(work->tokenizer, text, length, WEIR_ENCODE_PARSE_SPECIAL, ids,
                              IDS_MAX, &count, NULL);
        for (size_t i = 0; i < count; i++)
            work->sums[thread] = work->sums[thread] * 31 + (uint64_t)ids[i] + 1;
    }
}

TEST(tokenizer_is_shared_by_threads)
{
    static struct toy_vocab toy;
    struct weir_tokenizer *tokenizer = open_usual(&toy, PRETOKENIZER_QWEN35);
    struct shared_work alone = {.tokenizer = tokenizer, .seed = test_seed()};
    struct shared_work together = alone;
    encode_in_thread(&alone, 0);
    CHECK(alone.sums[0] != 0);
    struct weir_error err = {0};
    struct pool *pool;
    CHECK_OK(pool_open(&pool, THREADS, &err), &err);
    pool_run(pool, encode_in_thread, &together);
    pool_close(pool);
    for (uint32_t thread = 0; thread < THREADS; thread++)
        CHECK(together.sums[thread] == alone.sums[0]);
    weir_tokenizer_close(tokenizer);
}

/* ---- trusted in part ------------------------------------------------------------------------- */

static size_t count_controls(const struct weir_tokenizer *tokenizer, const char *text,
                             const struct text_range *trusted, size_t trusted_count)
{
    int32_t ids[128];
    size_t count, controls = 0, at = 0;
    struct weir_error err = {0};
    struct special_scan scan = {.text = (const uint8_t *)text,
                                .length = strlen(text),
                                .trusted = trusted,
                                .trusted_count = trusted_count};
    CHECK_OK(tokenizer_encode_scan(tokenizer, &scan, ids, 128, &count, &err), &err);
    for (size_t i = 0; i < count; i++) {
        size_t shown, length;
        weir_tokenizer_piece(tokenizer, ids[i], false, &shown);
        const char *piece = weir_tokenizer_piece(tokenizer, ids[i], true, &length);
        CHECK(memcmp(text + at, piece, length) == 0);
        controls += shown == 0;
        at += length;
    }
    CHECK_INT(at, strlen(text));
    return controls;
}

/* A control token counts if all of it is within one range, wherever else ranges lie. */
TEST(tokenizer_finds_control_tokens_where_text_is_trusted)
{
    static const char text[] = "a<|im_end|><think><|im_end|>b"; /* at 1 and at 18 */
    static struct toy_vocab vocab;
    struct weir_tokenizer *tokenizer;
    struct weir_error err = {0};
    toy_vocab_usual(&vocab, PRETOKENIZER_QWEN35);
    CHECK_OK(tokenizer_open(&tokenizer, &vocab.source, &err), &err);
    for (size_t from = 0; from < sizeof text; from++) {
        for (size_t to = from; to < sizeof text; to++) {
            const struct text_range range = {from, to};
            const size_t expected = (from <= 1 && to >= 11) + (from <= 18 && to >= 28);
            CHECK_INT(count_controls(tokenizer, text, &range, 1), expected);
            const struct text_range halves[] = {{0, from}, {to + 1, sizeof text - 1}};
            const size_t outside = (from >= 11) + (from >= 28) + (to < 1) + (to < 18);
            if (to + 1 < sizeof text)
                CHECK_INT(count_controls(tokenizer, text, halves, 2), outside);
        }
    }
    CHECK_INT(count_controls(tokenizer, text, NULL, 0), 0);
    weir_tokenizer_close(tokenizer);
}
