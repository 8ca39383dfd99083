/* SPDX-License-Identifier: MIT
 * weir eval --mtp-acceptance: its counts against chains drafted one by one from fresh sessions, and
 * what it refuses. Run alone: build/tests/weir-test drafts_ */
#include "cli/program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "golden/fixture.h"

enum { PROMPTS = 5, PROMPT_MAX = 6, PREDICT = 30, CHAIN = 3, TEXT_MAX = PROMPT_MAX + PREDICT };

/* Of different lengths; the rest is zero, which is no id of them. */
static const int32_t prompts[PROMPTS][PROMPT_MAX] = {
    {5, 6, 7, 8}, {100}, {300, 301, 302, 303, 304, 305}, {9, 9, 9}, {1000, 20},
};

static uint32_t prompt_length(const int32_t *prompt)
{
    uint32_t length = 0;
    while (length < PROMPT_MAX && prompt[length] != 0)
        length++;
    return length;
}

static int32_t largest(const float *logits, uint32_t count)
{
    uint32_t at = 0;
    for (uint32_t i = 1; i < count; i++)
        at = logits[i] > logits[at] ? i : at;
    return (int32_t)at;
}

/* From an empty session: the model's choice behind `count` tokens, and the chain that begins with
 * the last of them. */
static int32_t draft(struct fixture *fixture, const int32_t *tokens, uint32_t count,
                     int32_t chain[CHAIN])
{
    struct weir_session *session = fixture->session;
    struct weir_error err = {0};
    const uint32_t width = weir_engine_width(fixture->engine);
    float *before = calloc(count, width * sizeof *before);
    CHECK(before != NULL);
    weir_session_reset(session);
    CHECK_OK(weir_session_eval(session, tokens, count, WEIR_LOGITS_LAST, &err), &err);
    for (uint32_t row = 1; row < count; row++)
        memcpy(before + row * width, weir_session_hidden(session, row - 1), width * sizeof *before);
    const int32_t choice = largest(weir_session_logits(session, 0), fixture->vocab);
    CHECK_OK(weir_session_mtp_eval(session, tokens, before, count, WEIR_LOGITS_LAST, &err), &err);
    const float *hidden = weir_session_mtp_hidden(session, count - 1);
    for (uint32_t i = 0; i < CHAIN; i++) {
        chain[i] = largest(weir_session_mtp_logits(session, 0), fixture->vocab);
        CHECK_OK(weir_session_mtp_eval(session, &chain[i], hidden, 1, WEIR_LOGITS_LAST, &err),
                 &err);
        hidden = weir_session_mtp_hidden(session, 0);
    }
    free(before);
    return choice;
}

struct counts {
    uint32_t generated, tried[CHAIN], accepted[CHAIN], rounds, committed;
};

/* Chains behind tokens [first, count), of which the last has none. */
static void count_text(struct counts *counts, const int32_t *text, uint32_t first, uint32_t count,
                       int32_t chains[][CHAIN])
{
    uint32_t round_at = first;
    for (uint32_t at = first; at + 1 < count; at++) {
        uint32_t good = 0;
        while (good < CHAIN && at + 1 + good < count && chains[at][good] == text[at + 1 + good])
            good++;
        for (uint32_t i = 0; i < CHAIN && at + 1 + i < count; i++) {
            counts->tried[i]++;
            counts->accepted[i] += i < good;
        }
        if (at == round_at) {
            counts->rounds++;
            counts->committed += good + 1;
            round_at += good + 1;
        }
    }
    counts->generated += count - first;
}

static void count_prompt(struct counts *counts, struct fixture *fixture, const int32_t *prompt)
{
    int32_t text[TEXT_MAX], chains[TEXT_MAX][CHAIN];
    const uint32_t first = prompt_length(prompt);
    memcpy(text, prompt, first * sizeof *text);
    uint32_t count = first;
    while (count < first + PREDICT) {
        const int32_t token = draft(fixture, text, count, chains[count - 1]);
        text[count++] = token;
    }
    count_text(counts, text, first, count, chains);
}

static const char *write_prompts(void)
{
    const char *path = test_scratch("prompts.txt");
    FILE *stream = fopen(path, "w");
    CHECK(stream != NULL);
    for (uint32_t i = 0; i < PROMPTS; i++) {
        for (uint32_t k = 0; k < prompt_length(prompts[i]); k++)
            fprintf(stream, "%d ", prompts[i][k]);
        fputs(i % 2 == 0 ? "\n" : "\n\n", stream); /* empty lines are no prompts */
    }
    fclose(stream);
    return path;
}

TEST(drafts_counts_are_those_of_chains_from_fresh_sessions)
{
    const char *model = test_data("golden/nano-f32.gguf");
    struct weir_engine_options options;
    fixture_options(&options);
    options.mtp = true;
    struct fixture fixture;
    fixture_open(&fixture, model, &options);
    struct counts counts = {0};
    for (uint32_t i = 0; i < PROMPTS; i++)
        count_prompt(&counts, &fixture, prompts[i]);
    fixture_close(&fixture);

    char expected[512];
    int at = snprintf(expected, sizeof expected, "%d prompts, %u tokens generated\n", PROMPTS,
                      counts.generated);
    for (uint32_t i = 0; i < CHAIN; i++)
        at += snprintf(expected + at, sizeof expected - (size_t)at,
                       "draft %u: %u of %u accepted, %.1f%%\n", i + 1, counts.accepted[i],
                       counts.tried[i], 100.0 * counts.accepted[i] / counts.tried[i]);
    snprintf(expected + at, sizeof expected - (size_t)at,
             "a round of %d drafts commits %.2f tokens\n", CHAIN,
             (double)counts.committed / counts.rounds);
    const struct program_result *result =
        RUN_PROGRAM("eval", model, "--tokens", write_prompts(), "--mtp-acceptance", "3", "-n", "30",
                    "-ctk", "f32", "-ctv", "f32", "-c", "128");
    CHECK_INT(result->status, 0);
    CHECK_TEXT(result->out, expected);
}

TEST(drafts_end_with_the_context)
{
    /* A prompt of 6 tokens and a chain of 3 in a context of 16: the last chain begins at 12. */
    const char *path = test_scratch("one.txt");
    FILE *stream = fopen(path, "w");
    CHECK(stream != NULL);
    fputs("300 301 302 303 304 305", stream);
    fclose(stream);
    const struct program_result *result =
        RUN_PROGRAM("eval", test_data("golden/nano-f32.gguf"), "--tokens", path, "--mtp-acceptance",
                    "3", "-c", "16");
    CHECK_INT(result->status, 0);
    CHECK_HAS(result->out, "1 prompts, 8 tokens generated\n");
    CHECK_HAS(result->out, " of 7 accepted");
}

TEST(drafts_need_a_block_and_ids)
{
    static const char needs[] = "--mtp-acceptance needs --tokens, and no --file";
    const char *model = test_data("golden/nano-q4_0.gguf"), *ids = test_data("golden/tokens24.txt");
    CHECK_REFUSED(RUN_PROGRAM("eval", model, "--mtp-acceptance", "3", "--log-disable"), needs);
    CHECK_REFUSED(RUN_PROGRAM("eval", model, "--mtp-acceptance", "3", "-f", ids, "--log-disable"),
                  needs);
    CHECK_REFUSED(RUN_PROGRAM("eval", model, "--mtp-acceptance", "3", "--tokens", ids, "--logits",
                              "-", "--log-disable"),
                  "only one of --mtp-acceptance, --logits and --kl-divergence-base may be given");
    CHECK_REFUSED(RUN_PROGRAM("eval", model, "--mtp-acceptance", "17", "--tokens", ids),
                  "--mtp-acceptance: '17' is not a whole number from 1 to 16");
}
