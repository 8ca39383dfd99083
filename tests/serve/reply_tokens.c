/* SPDX-License-Identifier: MIT
 * Where tokens stand in a reply, however its text is cut into them. Run alone:
 * build/tests/weir-test reply_tokens_ */
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "base/rng.h"
#include "serve/reply_tokens.h"

/* A letter for each piece: of reasoning, of the mark, of the text. Pieces end with a bar. */
static void check_places(const char *pieces, bool may_open, const char *expected,
                         uint32_t reasoning)
{
    struct reply_tokens tokens;
    struct weir_error err = {0};
    char places[64] = "";
    size_t count = 0;
    CHECK_OK(reply_tokens_open(&tokens, may_open, &err), &err);
    for (const char *end; (end = strchr(pieces, '|')) != NULL; pieces = end + 1) {
        CHECK(count + 1 < sizeof places);
        places[count++] = "rmt"[reply_tokens_take(&tokens, pieces, (size_t)(end - pieces))];
    }
    CHECK_TEXT(places, expected);
    CHECK_INT(tokens.reasoning, reasoning);
    reply_tokens_close(&tokens);
}

TEST(reply_tokens_have_places)
{
    check_places("why|\n|</think>|\n\n|well|.|", false, "rrmmtt", 1);
    check_places("why|\n\n|not|\n|</think>|\n\n|well|", false, "rrrrmmt", 3);
    check_places("\n|</think>|\n\n|", false, "rmm", 0);
    check_places("</think>|\n|\n|a|\n|b|", false, "mmmttt", 0);
    check_places("a|</|think|>|\n\nwell|\n|", false, "rrrmtt", 3);
    check_places("a</think>\n\nwell|.||", false, "ttm", 0);
    check_places("a|</think>||", false, "rmm", 1);
    check_places("a|</thin|king|", false, "rrr", 3);
}

TEST(reply_tokens_know_reasoning_that_opens_itself)
{
    check_places("<think>|\n|why|\n|</think>|\n\n|well|.|", true, "mrrrmmtt", 2);
    check_places("<think>|\n\n|</think>|\n\n|well|", true, "mrmmt", 0);
    check_places("\n |<think>|why|</think>|well|", true, "tmrmt", 1);
    check_places("<th|ink>why|</think>well|", true, "trt", 1);
    check_places("<think>|</think>well|", false, "rt", 1);
    check_places("a|<think>|b|", true, "ttt", 0);
    check_places("<th|<think>|b|", true, "ttt", 0);
    check_places("<thin|", true, "t", 0);
}

/* The text of the tokens that are of the text is what stands behind the mark and its newlines, but
 * for a token that both are in. */
TEST(reply_tokens_are_of_one_place_however_they_are_cut)
{
    static const char text[] = "so\n\nit is\n</think>\n\nThat\nis </think> it.\n";
    const char *behind = strstr(text, "That");
    for (uint64_t round = 0; round < 200; round++) {
        struct reply_tokens tokens;
        struct weir_error err = {0};
        size_t first = sizeof text;
        CHECK_OK(reply_tokens_open(&tokens, false, &err), &err);
        for (size_t at = 0, piece = 0; at < sizeof text - 1;) {
            size_t length = 1 + rng_bits(test_seed() + round, 1, piece++) % 6;
            length = length < sizeof text - 1 - at ? length : sizeof text - 1 - at;
            const enum token_place place = reply_tokens_take(&tokens, text + at, length);
            if (place == TOKEN_TEXT && first == sizeof text)
                first = at + length;
            CHECK((place == TOKEN_TEXT) == (at + length > (size_t)(behind - text)));
            at += length;
        }
        CHECK(first <= (size_t)(behind - text) + 6);
        reply_tokens_close(&tokens);
    }
}

TEST(reply_tokens_end_with_a_call)
{
    struct reply_tokens tokens;
    struct weir_error err = {0};
    CHECK_OK(reply_tokens_open(&tokens, false, &err), &err);
    CHECK_INT(reply_tokens_take(&tokens, "a", 1), TOKEN_REASONING);
    reply_tokens_end_reasoning(&tokens);
    CHECK_INT(reply_tokens_take(&tokens, "b", 1), TOKEN_TEXT);
    CHECK_INT(tokens.reasoning, 1);
    reply_tokens_close(&tokens);
}

static void open_places(void *argument)
{
    struct reply_tokens tokens;
    (void)argument;
    const enum weir_status status = reply_tokens_open(&tokens, false, NULL);
    CHECK_INT(status, alloc_failed() ? WEIR_ERR_MEMORY : WEIR_OK);
    reply_tokens_close(&tokens);
}

TEST(reply_tokens_survive_want_of_memory)
{
    alloc_test(open_places, NULL);
}
