/* SPDX-License-Identifier: MIT
 * weir run: what it prints, where it ends, and what it leaves behind.
 * Run alone: build/tests/weir-test completion_ */
#include "cli/program.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "golden/fixture.h"

#define MODEL  test_data("golden/nano-f32.gguf")
#define TOKENS test_data("golden/tokens24.txt")

enum { LONG_PROMPT = 20000 };

static void write_file(const char *path, const void *data, size_t size)
{
    FILE *stream = fopen(path, "wb");
    CHECK(stream != NULL);
    CHECK_INT(fwrite(data, 1, size, stream), size);
    CHECK_INT(fclose(stream), 0);
}

static int32_t best(const float *logits, uint32_t vocab)
{
    uint32_t at = 0;
    for (uint32_t i = 1; i < vocab; i++)
        at = logits[i] > logits[at] ? i : at;
    return (int32_t)at;
}

/* The greedy continuation of tokens24 by the library, "94\n461\n..."; the first id is that of the
 * recorded logits. */
static void greedy_ids(char *out, size_t size, int count)
{
    struct weir_engine_options options;
    struct weir_error err = {0};
    struct fixture fixture;
    uint32_t tokens_count;
    size_t floats;
    fixture_options(&options);
    fixture_open(&fixture, MODEL, &options);
    int32_t *tokens = fixture_tokens(TOKENS, &tokens_count);
    float *recorded = fixture_floats(test_data("golden/nano-f32.logits.f32"), &floats);
    int32_t id = best(recorded + floats - fixture.vocab, fixture.vocab);
    CHECK_OK(weir_session_eval(fixture.session, tokens, tokens_count, WEIR_LOGITS_NONE, &err),
             &err);
    size_t length = 0;
    for (int i = 0; i < count; i++) {
        length += (size_t)snprintf(out + length, size - length, "%d\n", (int)id);
        CHECK_OK(weir_session_eval(fixture.session, &id, 1, WEIR_LOGITS_LAST, &err), &err);
        id = best(weir_session_logits(fixture.session, 0), fixture.vocab);
    }
    free(tokens);
    free(recorded);
    fixture_close(&fixture);
}

TEST(completion_greedy_ids_are_those_of_the_library)
{
    char expected[512];
    greedy_ids(expected, sizeof expected, 12);
    const struct program_result *result =
        RUN_PROGRAM("run", MODEL, "--tokens", TOKENS, "--ids", "-n", "12", "--temp", "0", "-ctk",
                    "f32", "-ctv", "f32", "-c", "512");
    CHECK_INT(result->status, 0);
    CHECK_TEXT(result->out, expected);
    result = RUN_PROGRAM("run", "-m", MODEL, "--tokens", TOKENS, "--ids", "-n", "12", "--top-k",
                         "1", "-ctk", "f32", "-ctv", "f32", "-ub", "5", "-t", "1", "--no-mmap",
                         "--no-warmup", "--fuse", "off", "--fused-gdn", "off");
    CHECK_TEXT(result->out, expected);
}

TEST(completion_prompt_is_printed_first)
{
    CHECK_TEXT(RUN_PROGRAM("run", MODEL, "-p", "ab\\tc\\x21", "-n", "0")->out, "ab\tc!\n");
    CHECK_TEXT(RUN_PROGRAM("run", MODEL, "-p", "ab\\tc", "-n", "0", "--no-escape")->out,
               "ab\\tc\n");
    CHECK_TEXT(RUN_PROGRAM("run", MODEL, "-p", "ab", "-n", "0", "--no-display-prompt")->out, "");
    CHECK_TEXT(RUN_PROGRAM("run", MODEL, "-p", "<|im_end|>", "-n", "0")->out, "");
    CHECK_TEXT(RUN_PROGRAM("run", MODEL, "-p", "<|im_end|>", "-n", "0", "--special")->out,
               "<|im_end|>\n");
    const char *path = test_scratch("prompt.txt");
    write_file(path, "x\\ny\n\n", 6);
    CHECK_TEXT(RUN_PROGRAM("run", MODEL, "-f", path, "-n", "0")->out, "x\ny\n");
    CHECK_TEXT(RUN_PROGRAM("run", MODEL, "-bf", path, "-n", "0")->out, "x\\ny\n\n");
    const struct program_call call = {.words = {"run", MODEL, "-f", "-", "-n", "0"},
                                      .input = "from a pipe"};
    CHECK_TEXT(run_program(&call)->out, "from a pipe\n");
}

/* The text of a greedy run that nothing ends, without the prompt; free. */
static char *plain_text(void)
{
    const struct program_result *result =
        RUN_PROGRAM("run", MODEL, "--tokens", TOKENS, "-n", "40", "--temp", "0", "--ignore-eos",
                    "--no-display-prompt");
    CHECK_INT(result->status, 0);
    return strdup(result->out);
}

TEST(completion_stops_behind_a_reverse_prompt)
{
    char *text = plain_text();
    const size_t length = strlen(text);
    CHECK(length > 24);
    char stop[8], expected[256];
    snprintf(stop, sizeof stop, "%.5s", text + length / 2);
    const char *found = strstr(text, stop);
    snprintf(expected, sizeof expected, "%.*s%s", (int)(found - text), text, stop);
    if (stop[4] != '\n')
        strcat(expected, "\n");
    const struct program_result *result =
        RUN_PROGRAM("run", MODEL, "--tokens", TOKENS, "-n", "40", "--temp", "0", "--ignore-eos",
                    "--no-display-prompt", "-r", "not in the text", "-r", stop);
    CHECK_INT(result->status, 0);
    CHECK_TEXT(result->out, expected);
    free(text);
}

TEST(completion_ids_and_text_agree)
{
    char *text = plain_text();
    const struct program_result *result = RUN_PROGRAM("run", MODEL, "--tokens", TOKENS, "-n", "40",
                                                      "--temp", "0", "--ignore-eos", "--ids");
    struct weir_model *model;
    struct weir_tokenizer *tokenizer;
    struct weir_error err = {0};
    CHECK_OK(weir_model_open(&model, MODEL, NULL, &err), &err);
    CHECK_OK(weir_tokenizer_open(&tokenizer, model, &err), &err);
    struct weir_detokenizer detokenizer = {0};
    char joined[4096];
    size_t length = 0, piece_length;
    int count = 0;
    for (char *at = result->out; *at != 0; at = strchr(at, '\n') + 1, count++) {
        const char *piece =
            weir_tokenizer_piece(tokenizer, (int32_t)strtol(at, NULL, 10), false, &piece_length);
        length += weir_detokenizer_push(&detokenizer, piece, piece_length, joined + length);
    }
    length += weir_detokenizer_finish(&detokenizer, joined + length);
    if (length == 0 || joined[length - 1] != '\n')
        joined[length++] = '\n';
    joined[length] = 0;
    CHECK_INT(count, 40);
    CHECK_TEXT(joined, text);
    weir_tokenizer_close(tokenizer);
    weir_model_close(model);
    free(text);
}

/* A bias that no logit outweighs makes the model end at once. */
TEST(completion_ends_at_an_end_token)
{
    const struct program_result *result = RUN_PROGRAM("run", MODEL, "--tokens", TOKENS, "--ids",
                                                      "--temp", "0", "-l", "1019+1000", "-n", "5");
    CHECK_TEXT(result->out, "1019\n");
    result = RUN_PROGRAM("run", MODEL, "-p", "x", "--temp", "0", "-l", "1019+1000", "-n", "5");
    CHECK_TEXT(result->out, "x\n");
    result = RUN_PROGRAM("run", MODEL, "--tokens", TOKENS, "--ids", "--temp", "0", "-l",
                         "1019+1000", "-n", "5", "--ignore-eos");
    CHECK(strstr(result->out, "1019") == NULL);
}

TEST(completion_equal_seeds_give_equal_text)
{
    char *texts[3];
    const char *const seeds[] = {"7", "7", "8"};
    for (int i = 0; i < 3; i++)
        texts[i] = strdup(RUN_PROGRAM("run", MODEL, "--tokens", TOKENS, "--ids", "-n", "20",
                                      "--temp", "1.5", "--seed", seeds[i])
                              ->out);
    CHECK_TEXT(texts[1], texts[0]);
    CHECK(strcmp(texts[2], texts[0]) != 0);
    for (int i = 0; i < 3; i++)
        free(texts[i]);
}

TEST(completion_ends_with_the_context)
{
    /* 24 tokens in a context of 26: two more are evaluated, and the third is the last known. */
    const struct program_result *result = RUN_PROGRAM("run", MODEL, "--tokens", TOKENS, "--ids",
                                                      "--temp", "0", "--ignore-eos", "-c", "26");
    CHECK_INT(result->status, 0);
    int lines = 0;
    for (const char *at = result->out; *at != 0; at++)
        lines += *at == '\n';
    CHECK_INT(lines, 3);
    CHECK_HAS(result->err, "the text ends with the context, which holds 26 tokens (see --ctx-size");
    result = RUN_PROGRAM("run", MODEL, "--tokens", TOKENS, "--ids", "--temp", "0", "--ignore-eos",
                         "-c", "26", "-n", "3");
    CHECK(strstr(result->err, "ends with the context") == NULL);
    result = RUN_PROGRAM("run", MODEL, "--tokens", TOKENS, "-c", "23", "--log-disable");
    CHECK_REFUSED(result, "the prompt has 24 tokens, but the context holds 23 (see --ctx-size)");
}

TEST(completion_times_have_the_known_wording)
{
    const struct program_result *result =
        RUN_PROGRAM("run", MODEL, "--tokens", TOKENS, "--ids", "-n", "4", "--ignore-eos");
    CHECK_HAS(result->err, "        load time = ");
    CHECK_HAS(result->err, " prompt eval time = ");
    CHECK_HAS(result->err, " ms /    24 tokens (");
    CHECK_HAS(result->err, "        eval time = ");
    CHECK_HAS(result->err, " ms /     3 runs   (");
    CHECK_HAS(result->err, " ms per token, ");
    CHECK_HAS(result->err, " tokens per second)\n");
    CHECK_HAS(result->err, "       total time = ");
    result = RUN_PROGRAM("run", MODEL, "--tokens", TOKENS, "--ids", "-n", "4", "--no-show-timings");
    CHECK(strstr(result->err, "eval time") == NULL);
    CHECK_INT(RUN_PROGRAM("run", MODEL, "--tokens", TOKENS, "-n", "4", "--log-disable")->err_size,
              0);
}

TEST(completion_too_many_threads_are_refused_by_the_library)
{
    const struct program_result *result =
        RUN_PROGRAM("run", MODEL, "-p", "x", "-t", "4096", "--log-disable");
    CHECK_INT(result->status, 1);
    CHECK_HAS(result->err, "error: the number of threads");
    CHECK_HAS(result->err, "4096");
}

/* Each takes memory of its own, and more of them than processors only make a step longer. */
TEST(completion_more_threads_than_processors_are_told)
{
    static const char told[] = " processors: threads that wait for each other take turns";
    char most[16], more[16];
    snprintf(most, sizeof most, "%u", cpu_count());
    snprintf(more, sizeof more, "%u", cpu_count() + 1);
    const struct program_result *result =
        RUN_PROGRAM("run", MODEL, "--tokens", TOKENS, "-n", "1", "-t", most);
    CHECK(strstr(result->err, told) == NULL);
    result = RUN_PROGRAM("run", MODEL, "--tokens", TOKENS, "-n", "1", "-t", more);
    CHECK_INT(result->status, 0);
    CHECK_HAS(result->err, told);
}

TEST(completion_bad_token_files_are_refused)
{
    const char *path = test_scratch("ids.txt");
    char expected[4200];
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"1 2\n3 x4\n", "line 2: 'x4' is not a token id"},
        {"1 -2", "line 1: '-2' is not a token id"},
        {"1 4294967296", "line 1: '4294967296' is not a token id"},
        {" \n", "holds no token ids"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_file(path, cases[i].text, strlen(cases[i].text));
        snprintf(expected, sizeof expected, "%s: %s", path, cases[i].error);
        CHECK_REFUSED(RUN_PROGRAM("run", MODEL, "--tokens", path, "--ids"), expected);
    }
    write_file(path, "1 1024", 6);
    CHECK_INT(RUN_PROGRAM("run", MODEL, "--tokens", path, "--ids")->status, 1);
    CHECK_REFUSED(RUN_PROGRAM("run", MODEL, "-p", ""), "the prompt is empty");
}

TEST(completion_interrupt_keeps_what_was_printed)
{
    const struct program_call call = {
        .words = {"run", MODEL, "--tokens", TOKENS, "--ids", "--ignore-eos"},
        .interrupt_after = 1000,
    };
    const struct program_result *result = run_program(&call);
    CHECK_INT(result->status, 130);
    CHECK(result->out_size > 0 && result->out[result->out_size - 1] == '\n');
    CHECK_HAS(result->err, "        eval time = ");
    CHECK(strstr(result->err, "error:") == NULL);
}

/* Only what the session holds is counted: finished steps, or nothing if one was cut short. */
TEST(completion_interrupted_prompt_is_counted_so_far)
{
    const char *tokens = test_scratch("long.txt");
    FILE *stream = fopen(tokens, "w");
    CHECK(stream != NULL);
    for (int i = 0; i < LONG_PROMPT; i++)
        fprintf(stream, "%d ", i % 1000);
    CHECK_INT(fclose(stream), 0);
    char context[16];
    snprintf(context, sizeof context, "%d", LONG_PROMPT);
    const struct program_call call = {
        .words = {"run", MODEL, "--tokens", tokens, "--ids", "-c", context, "-ub", "8",
                  "--no-warmup"},
        .interrupt_after = 1,
    };
    const struct program_result *result = run_program(&call);
    CHECK_INT(result->status, 130);
    CHECK_INT(result->out_size, 0);
    const char *line = strstr(result->err, " prompt eval time = ");
    int count = -1;
    CHECK(line != NULL && sscanf(line, " prompt eval time = %*f ms / %d tokens", &count) == 1);
    CHECK(count >= 0 && count < LONG_PROMPT && count % 8 == 0);
    const char *total = strstr(result->err, " total time = ");
    int total_count = -1;
    CHECK(total != NULL && sscanf(total, " total time = %*f ms / %d tokens", &total_count) == 1);
    CHECK_INT(total_count, count);
}

TEST(completion_progress_is_shown_on_a_terminal)
{
    struct program_call call = {
        .words = {"run", MODEL, "--tokens", test_data("golden/tokens300.txt"), "-n", "0", "-ub",
                  "20", "--no-mmap"},
        .terminal = true,
    };
    const struct program_result *result = run_program(&call);
    CHECK_INT(result->status, 0);
    CHECK_HAS(result->err, "prefill 20 / 300 tokens\r\033[K");
    CHECK_HAS(result->err, "prefill 40 / 300 tokens\r\033[K");
    call.terminal = false;
    CHECK(strstr(run_program(&call)->err, "prefill") == NULL);
}

TEST(completion_output_can_be_a_file)
{
    const char *path = test_scratch("output.txt");
    const struct program_result *result =
        RUN_PROGRAM("run", MODEL, "-p", "ab", "-n", "0", "-o", path);
    CHECK_INT(result->status, 0);
    CHECK_INT(result->out_size, 0);
    CHECK_INT(program_count_files(path), 1);
    size_t size;
    char *text = (char *)test_read_file(path, &size);
    CHECK_TEXT(text, "ab\n");
    free(text);
}

TEST(completion_interrupted_file_never_appears)
{
    const char *path = test_scratch("interrupted.txt");
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        const struct program_call call = {
            .words = {"run", MODEL, "--tokens", TOKENS, "--ids", "--ignore-eos", "-o", path},
            .interrupt_after = 1,
            .interrupt_signal = signals[i],
        };
        const struct program_result *result = run_program(&call);
        CHECK_INT(result->status, 130);
        CHECK_INT(result->out_size, 0);
        CHECK(strstr(result->err, "error:") == NULL);
        CHECK_INT(program_count_files(path), 0);
    }
}

TEST(completion_ignored_hangup_stays_ignored)
{
    const struct program_call call = {
        .words = {"run", MODEL, "--tokens", TOKENS, "--ids", "--ignore-eos", "-n", "40"},
        .interrupt_after = 1,
        .interrupt_signal = SIGHUP,
        .hangup_ignored = true,
    };
    CHECK_INT(run_program(&call)->status, 0);
}

TEST(completion_limit_of_file_size_is_an_error)
{
    const char *path = test_scratch("limited.txt");
    const struct program_call call = {
        .words = {"run", MODEL, "--tokens", TOKENS, "--ids", "--ignore-eos", "-n", "40", "-o", path,
                  "--log-disable"},
        .file_bytes_max = 16,
    };
    char expected[4200];
    snprintf(expected, sizeof expected, "%s: cannot write: File too large", path);
    CHECK_REFUSED(run_program(&call), expected);
    CHECK_INT(program_count_files(path), 0);
}

TEST(completion_unwritable_output_is_an_error)
{
    struct program_call call = {
        .words = {"run", MODEL, "--tokens", TOKENS, "-n", "3", "--log-disable"},
        .out_path = program_full_device(),
    };
    CHECK_REFUSED(run_program(&call), "standard output: cannot write: No space left on device");
    const struct program_result *result = RUN_PROGRAM("run", MODEL, "--tokens", TOKENS, "-n", "3",
                                                      "--log-disable", "-o", "/nowhere/text");
    CHECK_INT(result->status, 1);
    CHECK(strncmp(result->err, "error: /nowhere/text", 20) == 0);
}

TEST(completion_truncated_model_is_one_line)
{
    size_t size;
    uint8_t *data = test_read_file(MODEL, &size);
    const char *path = test_scratch("truncated.gguf");
    char begin[4200];
    snprintf(begin, sizeof begin, "error: --model: %s: ", path);
    for (int part = 0; part < 4; part++) {
        write_file(path, data, size / 4 * (size_t)part + 3);
        const struct program_result *result = RUN_PROGRAM("run", path, "-p", "x");
        CHECK_INT(result->status, 1);
        CHECK_INT(result->out_size, 0);
        CHECK_HAS(result->err, begin);
        CHECK(strchr(result->err, '\n') == result->err + result->err_size - 1);
    }
    free(data);
}
