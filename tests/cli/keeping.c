/* SPDX-License-Identifier: MIT
 * weir run with --cache-dir and --session: the same text, cold, warm and without; conversations in
 * parts; what it says of files that cannot be used. Run alone: build/tests/weir-test keeping_ */
#include "cli/program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/lock.h"
#include "folder.h"

/* A conversation long enough for snapshots at messages. */
static const char *write_chat(const char *name, const char *question)
{
    const char *path = test_scratch(name);
    FILE *stream = fopen(path, "wb");
    CHECK(stream != NULL);
    fputs("<|im_start|>system\nYou answer questions about a small world.<|im_end|>\n", stream);
    for (int i = 0; i < 20; i++)
        fprintf(stream,
                "<|im_start|>user\nWho lives in the house next to the river, and what do they like "
                "to eat on day %d?<|im_end|>\n<|im_start|>assistant\nI do not know.<|im_end|>\n",
                i);
    fprintf(stream, "<|im_start|>user\n%s<|im_end|>\n<|im_start|>assistant\n", question);
    CHECK_INT(fclose(stream), 0);
    return path;
}

/* The answer of the model that ships with weir; the caller frees it. */
static char *answer(const char *chat, const char *flag, const char *value,
                    const struct program_result **result)
{
    *result = RUN_PROGRAM("run", "-f", chat, "-n", "24", "--temp", "0", "--no-display-prompt", "-t",
                          "2", flag, value);
    if ((*result)->status != 0)
        test_fail(__FILE__, __LINE__, "status %d: %s", (*result)->status, (*result)->err);
    char *text = strdup((*result)->out);
    CHECK(text != NULL);
    return text;
}

/* One that begins as an earlier one did says what it would have said alone. */
TEST(keeping_a_cache_changes_no_text)
{
    const char *dir = folder_fresh("keeping.cache");
    const char *chats[2] = {write_chat("keeping.red", "What is red?"),
                            write_chat("keeping.blue", "What is blue?")};
    const struct program_result *result;
    char *plain[2], *text;
    for (int i = 0; i < 2; i++) {
        plain[i] = answer(chats[i], "--top-k", "40", &result);
        CHECK(strstr(result->err, "restore time") == NULL);
    }
    text = answer(chats[0], "--cache-dir", dir, &result);
    CHECK_TEXT(text, plain[0]);
    CHECK(strstr(result->err, "restore time") == NULL);
    free(text);
    const int files = folder_files(dir);
    CHECK(files >= 3);
    for (int i = 0; i < 2; i++) {
        text = answer(chats[i], "--cache-dir", dir, &result);
        CHECK_TEXT(text, plain[i]);
        CHECK_HAS(result->err, "restore time");
        CHECK_HAS(result->err, "of the prompt, from ");
        free(text);
    }
    CHECK_INT(folder_files(dir), files + 1); /* the end of the other answer */
    free(plain[0]);
    free(plain[1]);
}

static void write_text(const char *path, const char *text)
{
    FILE *stream = fopen(path, "wb");
    CHECK(stream != NULL);
    fputs(text, stream);
    CHECK_INT(fclose(stream), 0);
}

/* Its tokens up to the interruption are in the file: what follows them is what would have. */
TEST(keeping_a_session_that_is_interrupted)
{
    const char *path = test_scratch("interrupted.session"), *prompt = test_scratch("next.tokens");
    const struct program_call call = {
        .words = {"run", "-p", "The cat is", "--temp", "0", "--ids", "--ignore-eos", "--session",
                  path},
        .interrupt_after = 1000, /* of both outputs: well within the answer */
    };
    unlink(path);
    const struct program_result *result = run_program(&call);
    CHECK_INT(result->status, 130);
    char *begun = strdup(result->out), all[16], next[32];
    const size_t length = strlen(begun);
    int count = 0;
    for (size_t i = 0; i < length; i++)
        count += begun[i] == '\n';
    snprintf(all, sizeof all, "%d", count + 15);
    result =
        RUN_PROGRAM("run", "-p", "The cat is", "--temp", "0", "--ids", "--ignore-eos", "-n", all);
    CHECK(strncmp(result->out, begun, length) == 0);
    char *whole = strdup(result->out);
    CHECK_INT(sscanf(whole + length, "%31s", next), 1);
    write_text(prompt, next);
    result = RUN_PROGRAM("run", "--tokens", prompt, "-n", "14", "--temp", "0", "--ids",
                         "--ignore-eos", "--session", path);
    CHECK_INT(result->status, 0);
    CHECK_HAS(result->err, "restore time");
    CHECK_TEXT(result->out, whole + length + strlen(next) + 1);
    free(whole);
    free(begun);
}

/* In two parts, the second from the file, as in one; penalties see all of it. */
TEST(keeping_a_session_goes_on)
{
    const char *path = test_scratch("keeping.session");
    const char *const words = "1.3";
    const struct program_result *result =
        RUN_PROGRAM("run", "-p", "The cat is", "-n", "24", "--temp", "0", "--repeat-penalty", words,
                    "--repeat-last-n", "-1", "--ids", "--ignore-eos");
    CHECK_INT(result->status, 0);
    char *whole = strdup(result->out);
    CHECK(whole != NULL);
    unlink(path);
    result =
        RUN_PROGRAM("run", "-p", "The cat is", "-n", "9", "--temp", "0", "--repeat-penalty", words,
                    "--repeat-last-n", "-1", "--ids", "--ignore-eos", "--session", path);
    CHECK_INT(result->status, 0);
    const size_t length = strlen(result->out);
    CHECK(strncmp(whole, result->out, length) == 0);
    /* the tenth token, given as a prompt: what follows is what followed it */
    char tenth[32];
    CHECK_INT(sscanf(whole + length, "%31s", tenth), 1);
    const char *prompt = test_scratch("keeping.tokens");
    write_text(prompt, tenth);
    result =
        RUN_PROGRAM("run", "--tokens", prompt, "-n", "14", "--temp", "0", "--repeat-penalty", words,
                    "--repeat-last-n", "-1", "--ids", "--ignore-eos", "--session", path);
    CHECK_INT(result->status, 0);
    CHECK_HAS(result->err, "restore time");
    CHECK_TEXT(result->out, whole + length + strlen(tenth) + 1);
    free(whole);
}

/* The context ends within the answer: what has a place is kept, and goes on without the block. */
TEST(keeping_a_session_that_fills_the_context)
{
    const char *path = test_scratch("keeping.context");
    unlink(path);
    const struct program_result *result =
        RUN_PROGRAM("run", "-p", "The cat is", "-n", "-1", "-c", "64", "--temp", "0", "--ids",
                    "--ignore-eos", "--session", path);
    CHECK_INT(result->status, 0);
    result = RUN_PROGRAM("run", "-p", " The", "-n", "4", "-c", "128", "--temp", "0", "--ids",
                         "--ignore-eos", "--session", path, "--spec-type", "none");
    CHECK_TEXT(strstr(result->err, "error") == NULL ? "" : result->err, "");
    CHECK_INT(result->status, 0);
    CHECK_HAS(result->err, "64 tokens of");
}

TEST(keeping_refuses_files_of_others)
{
    const char *path = test_scratch("keeping.other");
    size_t before_size, after_size;
    const struct program_result *result =
        RUN_PROGRAM("run", "-p", "The cat", "-n", "2", "--session", path);
    CHECK_INT(result->status, 0);
    uint8_t *before = test_read_file(path, &before_size);
    result = RUN_PROGRAM("run", test_data("golden/nano-q4_0.gguf"), "-p", "a", "-n", "2",
                         "--session", path);
    CHECK_INT(result->status, 1);
    CHECK_HAS(result->err, "a session of another model");
    CHECK_TEXT(result->out, "");
    uint8_t *after = test_read_file(path, &after_size);
    CHECK(before_size == after_size && memcmp(before, after, after_size) == 0);
    free(before);
    free(after);
    result = RUN_PROGRAM("run", "-p", "The cat", "-n", "2", "--session", "/nowhere/at/all");
    CHECK_INT(result->status, 1);
    CHECK_HAS(result->err, "/nowhere/at/all: cannot create");
    CHECK_TEXT(result->out, "");
}

/* Without a text it goes on where it ended, as a prompt of all its tokens does, which are printed
 * too; with one as before. */
TEST(keeping_a_session_without_a_prompt)
{
    const char *path = test_scratch("keeping.alone"), *tokens = test_scratch("alone.tokens");
    unlink(path);
    CHECK_REFUSED(RUN_PROGRAM("run", "--session", path),
                  "one of --prompt, --file, --binary-file and --tokens is needed");
    const struct program_result *result =
        RUN_PROGRAM("run", "-p", "The cat is", "-n", "9", "--temp", "0", "--session", path);
    CHECK_INT(result->status, 0);
    char *begun = strdup(result->out);
    const size_t length = strlen(begun) - 1; /* the newline at the end is none of the text's */
    result = RUN_PROGRAM("run", "-n", "6", "--temp", "0", "--session", path);
    CHECK_INT(result->status, 0);
    CHECK(strlen(result->out) > length + 1 && strncmp(result->out, begun, length) == 0);
    char *whole = strdup(result->out);
    result = RUN_PROGRAM("run", "-p", "The cat is", "-n", "15", "--temp", "0");
    CHECK_TEXT(whole, result->out);
    /* once more, and it is held as any other */
    result = RUN_PROGRAM("run", "--session", path, "-n", "0", "--temp", "0");
    CHECK_INT(result->status, 0);
    CHECK_TEXT(result->out, whole);
    write_text(tokens, "5");
    result = RUN_PROGRAM("run", "--session", path, "--tokens", tokens, "-n", "1", "--ids");
    CHECK_INT(result->status, 0);
    CHECK_HAS(result->err, "tokens of ");
    free(begun);
    free(whole);
}

/* Nobody else goes on with it meanwhile, and nothing is read that is written over. */
TEST(keeping_a_session_for_itself)
{
    const char *path = test_scratch("keeping.held");
    struct file_lock lock;
    struct weir_error err = {0};
    char text[4400];
    unlink(path);
    CHECK_OK(file_lock_take(&lock, path, "a test", &err), &err);
    snprintf(text, sizeof text, "%s: in use by a test", path);
    CHECK_REFUSED(RUN_PROGRAM("run", "-p", "The cat", "-n", "2", "--session", path), text);
    file_lock_release(&lock);
    CHECK_INT(RUN_PROGRAM("run", "-p", "The cat", "-n", "2", "--session", path)->status, 0);
    CHECK_INT(program_count_files(path), 1);
    snprintf(text, sizeof text, "%s: is read from, so it cannot be written to", path);
    CHECK_REFUSED(RUN_PROGRAM("run", "-f", path, "-n", "2", "--session", path), text);
}

TEST(keeping_goes_on_without_a_cache)
{
    const char *const bad = "/nowhere/at/all";
    const struct program_result *result =
        RUN_PROGRAM("run", "-p", "The cat", "-n", "4", "--temp", "0");
    char *plain = strdup(result->out);
    CHECK(plain != NULL);
    result = RUN_PROGRAM("run", "-p", "The cat", "-n", "4", "--temp", "0", "--cache-dir", bad);
    CHECK_INT(result->status, 0);
    CHECK_TEXT(result->out, plain);
    CHECK_HAS(result->err, "warning: no cache: /nowhere/at/all: cannot make the folder");
    const char *dir = folder_fresh("keeping.full");
    result = run_program(&(struct program_call){
        .words = {"run", "-p", "The cat", "-n", "4", "--temp", "0", "--cache-dir", dir},
        .file_bytes_max = 1000});
    CHECK_INT(result->status, 0);
    CHECK_TEXT(result->out, plain);
    CHECK_HAS(result->err, "warning: no more snapshots: ");
    CHECK_INT(folder_files(dir), 0);
    free(plain);
    CHECK_REFUSED(RUN_PROGRAM("run", "-p", "a", "--cache-size", "12K"),
                  "--cache-size: '12K' is not a number of MiB, as 4096, 4096M or 4G");
    CHECK_REFUSED(RUN_PROGRAM("run", "-p", "a", "--cache-size", "12"),
                  "--cache-size needs --cache-dir");
    CHECK_REFUSED(RUN_PROGRAM("run", "-p", "a", "--prompt-cache", "F"),
                  "--prompt-cache: replaced by --cache-dir, and --session to go on");
}

/* Kept with drafts of the block and taken up without, and the other way round. */
TEST(keeping_does_not_ask_for_drafts)
{
    static const char *const kinds[][2] = {{"draft-mtp", "none"}, {"none", "draft-mtp"}};
    const char *model = test_data("golden/nanomoe-f32.gguf");
    const char *tokens = test_data("golden/tokens24.txt"), *path = test_scratch("keeping.kinds");
    char *texts[2];
    for (int i = 0; i < 2; i++) {
        unlink(path);
        for (int turn = 0; turn < 2; turn++) {
            const struct program_result *result =
                RUN_PROGRAM("run", model, "--tokens", tokens, "-n", "20", "--temp", "0", "--ids",
                            "-c", "256", "--session", path, "--spec-type", kinds[i][turn]);
            if (result->status != 0)
                test_fail(__FILE__, __LINE__, "%s: %s", kinds[i][turn], result->err);
            CHECK(turn == 0 || strstr(result->err, "44 tokens of") != NULL);
            texts[i] = strdup(result->out);
            CHECK(texts[i] != NULL);
            if (turn == 0)
                free(texts[i]);
        }
    }
    CHECK_TEXT(texts[1], texts[0]);
    free(texts[0]);
    free(texts[1]);
}
