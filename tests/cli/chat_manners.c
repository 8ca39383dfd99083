/* SPDX-License-Identifier: MIT
 * weir chat through pipes: what somebody tries who comes from another program, and what is said of
 * it. Run alone: build/tests/weir-test chat_manners_ */
#include "cli/program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHAT(text, ...)                                                                            \
    run_program(&(struct program_call){                                                            \
        .words = {"chat", "--temp", "0", "-t", "1", "--log-disable", __VA_ARGS__}, .input = text})
/* What is said about the conversation too. */
#define TOLD(text, ...)                                                                            \
    run_program(&(struct program_call){.words = {"chat", "--temp", "0", "-t", "1", __VA_ARGS__},   \
                                       .input = text})

static char *read_text(const char *path)
{
    size_t size;
    char *data = (char *)test_read_file(path, &size);
    char *text = strndup(data, size);
    CHECK(text != NULL);
    free(data);
    return text;
}

static void write_text(const char *path, const char *text)
{
    FILE *stream = fopen(path, "wb");
    CHECK(stream != NULL);
    fputs(text, stream);
    CHECK_INT(fclose(stream), 0);
}

/* Two streams of the same text would be shown through each other. */
TEST(chat_manners_of_reasoning_formats)
{
    static const char *const formats[] = {"auto", "deepseek", "deepseek-legacy"};
    const char *path = test_scratch("manners.json");
    char *shown = NULL, *kept = NULL;
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        unlink(path);
        const struct program_result *result =
            CHAT("Tell me a story.\n", "--reasoning", "on", "--session", path, "--reasoning-format",
                 formats[i]);
        CHECK_INT(result->status, 0);
        char *saved = read_text(path);
        if (shown == NULL) {
            shown = strdup(result->out);
            kept = saved;
            CHECK_HAS(shown, "[End thinking]\n");
            continue;
        }
        CHECK_TEXT(result->out, shown);
        CHECK_TEXT(saved, kept);
        free(saved);
    }
    free(shown);
    free(kept);
}

TEST(chat_manners_of_commands)
{
    const struct program_result *result = TOLD("/?\n/show\n/set\n", NULL);
    CHECK_INT(result->status, 0);
    CHECK_HAS(result->err, "\n  /help                this list\n");
    CHECK_HAS(result->err, "\n  /show info\n  /show system\n");
    CHECK_HAS(result->err, "\n  /set parameter NAME VALUE\n  /set system TEXT\n  /set think\n");
    CHECK_REFUSED(CHAT("/set parameter\n", NULL), "/set parameter: needs NAME VALUE");
    CHECK_REFUSED(CHAT("/set parameter seed\n", NULL), "/set parameter seed: needs a value");
    CHECK_REFUSED(CHAT("/set system\n", NULL), "/set system: needs TEXT");
    CHECK_REFUSED(CHAT("/show info all\n", NULL), "/show info: nothing stands behind it");
    CHECK_REFUSED(CHAT("/show all\n", NULL),
                  "/show: 'all' is nothing that it knows; /help lists what it does");
}

/* The tests' HOME is where they write: a path behind a tilde is one from there. */
TEST(chat_manners_of_paths)
{
    const char *path = test_scratch("manners.txt"), *home = getenv("HOME");
    char input[4400], expected[4400];
    CHECK(home != NULL);
    write_text(path, "I");
    snprintf(input, sizeof input, "/read %s\n/save ~/no/such/folder\n", path);
    snprintf(expected, sizeof expected, "error: %s/no/such/folder", home);
    const struct program_result *result = TOLD(input, NULL);
    CHECK_INT(result->status, 1);
    CHECK_HAS(result->err, "manners.txt: 1 byte, for the next message.\n");
    CHECK_HAS(result->err, expected);
}

/* A file of another kind is told as such; one that is damaged, where. */
TEST(chat_manners_of_other_files)
{
    const char *path = test_scratch("manners.other");
    char load[4400], text[4400];
    snprintf(load, sizeof load, "/load %s\n", path);
    static const char *const others[] = {"a-host\n", "", "\177ELF", "[]"};
    snprintf(text, sizeof text, "%s: no conversation of weir chat", path);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        write_text(path, others[i]);
        CHECK_REFUSED(CHAT(load, NULL), text);
        CHECK_REFUSED(CHAT("Hello\n", "--session", path), text);
    }
    write_text(path, "{\"format\": \"weir.chat/1\", \"messages\": [}");
    snprintf(text, sizeof text, "%s: line 1, column 40: no value", path);
    CHECK_REFUSED(CHAT(load, NULL), text);
}

TEST(chat_manners_of_what_is_too_long)
{
    static const char end[] = " (the message is taken back)\n",
                      ends[] = " (the message and the files before it are taken back)\n";
    const char *path = test_scratch("manners.long.txt");
    char text[4000], input[4400];
    memset(text, 'x', sizeof text - 2);
    memcpy(text + sizeof text - 2, "\n", 2);
    write_text(path, text);
    snprintf(input, sizeof input, "/read %s\nWhat is it?\n", path);
    const struct program_result *result = CHAT(text, "-c", "256");
    CHECK_INT(result->status, 1);
    CHECK_HAS(result->err, "but the context holds 256");
    CHECK_HAS(result->err, end);
    CHECK_HAS(CHAT(input, "-c", "256")->err, ends);
}
