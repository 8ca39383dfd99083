/* SPDX-License-Identifier: MIT
 * weir run with drafts of every kind: the same text, and what it refuses. Run alone:
 * build/tests/weir-test speculating_ */
#include "cli/program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODEL  test_data("golden/nano-f32.gguf")
#define TOKENS test_data("golden/tokens24.txt")

/* Ids of 60 tokens behind the prompt; free. */
static char *ids_of(const char *temperature, const char *flag, const char *value)
{
    const struct program_result *result =
        RUN_PROGRAM("run", MODEL, "--tokens", TOKENS, "--ids", "-n", "60", "--ignore-eos", "--temp",
                    temperature, "--seed", "7", "--repeat-penalty", "1.1", flag, value);
    CHECK_INT(result->status, 0);
    return strdup(result->out);
}

TEST(speculating_changes_no_token)
{
    const char *const flags[][2] = {
        {"--spec-type", "draft-mtp"},
        {"--spec-type", "ngram-simple"},
        {"-md", MODEL},
        {"-md", test_data("golden/nanomoe-f32.gguf")},
        {"--spec-draft-n-max", "15"},
        {"--spec-draft-n-min", "2"},
        {"--spec-draft-p-min", "0.3"},
        {"--spec-draft-vocab", "100"},
        {"-ub", "2"},
    };
    static const char *const temperatures[] = {"0", "1.2"};
    for (int t = 0; t < 2; t++) {
        char *plain = ids_of(temperatures[t], "--spec-type", "none");
        for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
            char *ids = ids_of(temperatures[t], flags[i][0], flags[i][1]);
            CHECK_TEXT(ids, plain);
            free(ids);
        }
        free(plain);
    }
}

/* A number of tokens is kept to, and a text to stop at, wherever they fall in a round. */
TEST(speculating_stops_where_it_should)
{
    const char *model = test_data("../../models/" WEIR_SHIPPED);
    char *plain = strdup(RUN_PROGRAM("run", model, "-p", "Once", "-n", "24", "--temp", "0",
                                     "--spec-type", "none", "--no-display-prompt")
                             ->out);
    for (int n = 17; n <= 24; n++) {
        char number[8], text[512];
        snprintf(number, sizeof number, "%d", n);
        const struct program_result *result =
            RUN_PROGRAM("run", model, "-p", "Once", "-n", number, "--temp", "0", "--spec-type",
                        "none", "--ids");
        snprintf(text, sizeof text, "%s", result->out);
        result = RUN_PROGRAM("run", model, "-p", "Once", "-n", number, "--temp", "0", "--ids");
        CHECK_TEXT(result->out, text);
    }
    for (size_t at = strlen(plain) / 2; at + 4 < strlen(plain); at += 3) {
        char stop[4], text[512];
        snprintf(stop, sizeof stop, "%.3s", plain + at);
        if (strchr(stop, '\n') != NULL)
            continue;
        const struct program_result *result =
            RUN_PROGRAM("run", model, "-p", "Once", "-n", "24", "--temp", "0", "-r", stop,
                        "--spec-type", "none", "--no-display-prompt");
        snprintf(text, sizeof text, "%s", result->out);
        result = RUN_PROGRAM("run", model, "-p", "Once", "-n", "24", "--temp", "0", "-r", stop,
                             "--no-display-prompt");
        CHECK_TEXT(result->out, text);
    }
    free(plain);
}

/* By default where the model has the block, unless that is in the way of what was asked for. */
TEST(speculating_is_told)
{
    static const char told[] = "weir: draft acceptance = ";
    CHECK_HAS(
        RUN_PROGRAM("run", MODEL, "--tokens", TOKENS, "--ids", "-n", "20", "--ignore-eos")->err,
        told);
    static const char *const off[][2] = {
        {"--spec-type", "none"}, {"--spec-draft-n-max", "0"}, {"--fused-gdn", "off"}, {"-ub", "1"}};
    for (size_t i = 0; i < sizeof off / sizeof *off; i++) {
        const struct program_result *result =
            RUN_PROGRAM("run", MODEL, "--tokens", TOKENS, "--ids", "-n", "20", "--ignore-eos",
                        off[i][0], off[i][1]);
        CHECK_INT(result->status, 0);
        CHECK(strstr(result->err, told) == NULL);
    }
}

/* What is wrong is told, and not what follows from it. */
TEST(speculating_tells_what_is_wrong)
{
    const struct program_result *result =
        RUN_PROGRAM("run", MODEL, "-p", "a", "--backend", "none-such");
    CHECK_INT(result->status, 1);
    CHECK_HAS(result->err, "error: backend \"none-such\" is not in this build");
    CHECK(strstr(result->err, "no drafts") == NULL);
}

TEST(speculating_refuses)
{
    const char *model = MODEL, *without = test_data("golden/nano-q4_0.gguf");
    CHECK_REFUSED(
        RUN_PROGRAM("run", model, "-p", "a", "--log-disable", "--spec-type", "draft-simple"),
        "--spec-type draft-simple needs a model: name it with --model-draft");
    CHECK_REFUSED(RUN_PROGRAM("run", model, "-p", "a", "--log-disable", "--spec-type",
                              "ngram-simple", "-md", model),
                  "--model-draft drafts as --spec-type draft-simple does, not as others");
    CHECK_REFUSED(RUN_PROGRAM("run", model, "-p", "a", "--log-disable", "--draft-max", "3"),
                  "--draft-max: replaced by --spec-draft-n-max");
    CHECK_REFUSED(RUN_PROGRAM("run", model, "-p", "a", "--log-disable", "--draft-min", "3"),
                  "--draft-min: replaced by --spec-draft-n-min");
    CHECK_REFUSED(RUN_PROGRAM("run", model, "-p", "a", "--log-disable", "--spec-draft-n-max", "16"),
                  "--spec-draft-n-max: '16' is not a whole number from 0 to 15");
    CHECK_REFUSED(RUN_PROGRAM("run", model, "-p", "a", "--log-disable", "--spec-draft-n-max", "2",
                              "--spec-draft-n-min", "3"),
                  "drafts of at least 3 tokens, expected at most 2");
    CHECK_REFUSED(RUN_PROGRAM("run", model, "-p", "a", "--log-disable", "-ub", "2",
                              "--spec-draft-n-max", "3"),
                  "drafts of 3 tokens, but a round of this engine has room for 1");
    CHECK_REFUSED(RUN_PROGRAM("run", model, "-p", "a", "--log-disable", "-md",
                              test_data("../../models/" WEIR_SHIPPED)),
                  "the draft model has logits of 2048 tokens, expected 1024 as the model has");
    const struct program_result *result =
        RUN_PROGRAM("run", without, "-p", "a", "--log-disable", "--spec-type", "draft-mtp");
    CHECK_INT(result->status, 1);
    CHECK_HAS(result->err, "has no block of multi-token prediction");
    result = RUN_PROGRAM("run", model, "-p", "a", "--log-disable", "-md", "/nowhere/draft.gguf");
    CHECK_INT(result->status, 1);
    CHECK_HAS(result->err, "error: --model-draft: /nowhere/draft.gguf");
}
