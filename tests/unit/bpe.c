/* SPDX-License-Identifier: MIT
 * Tests of byte pair encoding, against the definition. Run alone: build/tests/weir-test bpe_ */
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "text/bpe.h"
#include "toy_vocab.h"

enum { LENGTH_MAX = 600 };

struct fixture {
    struct toy_vocab toy;
    struct vocabulary vocabulary;
    struct bpe bpe;
    struct bpe_scratch scratch;
};

static void fixture_init(struct fixture *fixture, const char *alphabet, uint32_t merges,
                         uint64_t seed)
{
    struct weir_error err = {0};
    toy_vocab_init(&fixture->toy, PRETOKENIZER_QWEN35);
    toy_vocab_random(&fixture->toy, alphabet, merges, seed);
    const struct tokenizer_source *source = &fixture->toy.source;
    CHECK_OK(vocabulary_init(&fixture->vocabulary, source->tokens, source->types,
                             source->tokens_count, &err),
             &err);
    uint32_t skipped;
    CHECK_OK(bpe_init(&fixture->bpe, &fixture->vocabulary, source->merges, source->merges_count,
                      &skipped, &err),
             &err);
    CHECK_INT(skipped, 0);
    fixture->scratch = (struct bpe_scratch){0};
}

static void fixture_release(struct fixture *fixture)
{
    bpe_scratch_release(&fixture->scratch);
    bpe_release(&fixture->bpe);
    vocabulary_release(&fixture->vocabulary);
}

/* The rank of a pair in the list of merges, or its length. */
static uint32_t rank_of(const struct toy_vocab *toy, int32_t left, int32_t right)
{
    uint32_t rank = 0;
    while (rank < toy->source.merges_count &&
           (toy->pairs[rank].left != left || toy->pairs[rank].right != right))
        rank++;
    return rank;
}

/* The definition, word for word. */
static size_t encode_naive(const struct toy_vocab *toy, const uint8_t *bytes, size_t length,
                           int32_t *ids)
{
    size_t count = length;
    for (size_t i = 0; i < length; i++)
        ids[i] = bytes[i];
    for (;;) {
        uint32_t best = toy->source.merges_count;
        size_t best_at = 0;
        for (size_t i = 0; i + 1 < count; i++) {
            const uint32_t rank = rank_of(toy, ids[i], ids[i + 1]);
            if (rank < best) {
                best = rank;
                best_at = i;
            }
        }
        if (best == toy->source.merges_count)
            return count;
        ids[best_at] = toy->pairs[best].product;
        count--;
        memmove(ids + best_at + 1, ids + best_at + 2, (count - best_at - 1) * sizeof *ids);
    }
}

static void check_all_ways(struct fixture *fixture, const uint8_t *bytes, size_t length)
{
    int32_t expected[LENGTH_MAX], ids[LENGTH_MAX];
    struct weir_error err = {0};
    const size_t count = encode_naive(&fixture->toy, bytes, length, expected);
    struct id_list list = {.ids = ids, .max = LENGTH_MAX};
    CHECK_OK(bpe_encode_heap(&fixture->bpe, &fixture->scratch, bytes, length, &list, &err), &err);
    CHECK_INT(list.count, count);
    CHECK(memcmp(ids, expected, count * sizeof *ids) == 0);
    if (length > BPE_SCAN_MAX)
        return;
    list.count = 0;
    bpe_encode_scan(&fixture->bpe, bytes, length, &list);
    CHECK_INT(list.count, count);
    CHECK(memcmp(ids, expected, count * sizeof *ids) == 0);
}

static void check_random(const char *alphabet, uint32_t merges, size_t length_max, uint64_t stream)
{
    static struct fixture fixture;
    const size_t letters = strlen(alphabet);
    fixture_init(&fixture, alphabet, merges, rng_bits(test_seed(), stream, 0));
    for (uint64_t round = 1; round <= 40; round++) {
        uint8_t text[LENGTH_MAX];
        const uint64_t key = rng_bits(test_seed(), stream, round);
        const size_t length = 1 + key % length_max;
        for (size_t i = 0; i < length; i++)
            text[i] = (uint8_t)alphabet[rng_bits(key, 0, i) % letters];
        check_all_ways(&fixture, text, length);
    }
    fixture_release(&fixture);
}

/* Few letters and many merges make many ways to merge, and ranks in any order: a product may go on
 * to merge at a lower rank than its own. */
TEST(bpe_scan_and_heap_follow_the_definition)
{
    for (uint64_t stream = 0; stream < 30; stream++) {
        check_random("ab", 60, BPE_SCAN_MAX, 4 * stream);
        check_random("abc", 200, BPE_SCAN_MAX, 4 * stream + 1);
        check_random("abc", 100, 200, 4 * stream + 2);
        check_random("a", 12, LENGTH_MAX, 4 * stream + 3);
    }
}

TEST(bpe_missing_bytes_are_left_out)
{
    static const struct span tokens[] = {{(const uint8_t *)"a", 1}, {(const uint8_t *)"aa", 2}};
    static const struct span merges[] = {{(const uint8_t *)"a a", 3}};
    struct vocabulary vocabulary;
    struct bpe bpe;
    struct bpe_scratch scratch = {0};
    struct weir_error err = {0};
    uint32_t skipped;
    CHECK_OK(vocabulary_init(&vocabulary, tokens, NULL, 2, &err), &err);
    CHECK_OK(bpe_init(&bpe, &vocabulary, merges, 1, &skipped, &err), &err);
    int32_t ids[8];
    struct id_list list = {.ids = ids, .max = 8};
    bpe_encode_scan(&bpe, (const uint8_t *)"aabba", 5, &list);
    CHECK_OK(bpe_encode_heap(&bpe, &scratch, (const uint8_t *)"aabba", 5, &list, &err), &err);
    CHECK_INT(list.count, 4);
    for (size_t i = 0; i < 4; i++)
        CHECK_INT(ids[i], i % 2 == 0 ? 1 : 0);
    bpe_scratch_release(&scratch);
    bpe_release(&bpe);
    vocabulary_release(&vocabulary);
}

/* An algorithm that is not near linear does not end here. */
TEST(bpe_a_megabyte_of_one_letter_ends)
{
    static struct fixture fixture;
    struct weir_error err = {0};
    fixture_init(&fixture, "a", 4, 1);
    const size_t length = 1 << 20;
    uint8_t *text = malloc(length);
    CHECK(text != NULL);
    memset(text, 'a', length);
    struct id_list list = {0};
    CHECK_OK(bpe_encode(&fixture.bpe, &fixture.scratch, text, length, &list, &err), &err);
    CHECK(list.count > 0 && list.count <= length / 2);
    free(text);
    fixture_release(&fixture);
}
