/* SPDX-License-Identifier: MIT
 * weir chat through pipes: messages, commands, files and what is refused; with the model that
 * ships with weir. What needs a terminal is in tests/terminal.
 * Run alone: build/tests/weir-test chatting_ */
#include "cli/program.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/lock.h"

#define RUN_CHAT(text, ...)                                                                        \
    run_program(&(struct program_call){.words = {"chat", __VA_ARGS__}, .input = text})

/* One thread: several would wait for each other hundreds of times a token, and beside many other
 * programs each time for long. */
#define CHAT(text, ...) RUN_CHAT(text, "--temp", "0", "-t", "1", __VA_ARGS__)

static void check_ended(const char *file, int line, const struct program_result *result, int status)
{
    if (result->status != status)
        test_fail(file, line, "status %d: %s", result->status, result->err);
}
#define CHECK_ENDED(result, status) check_ended(__FILE__, __LINE__, result, status)

static void write_text(const char *path, const char *text)
{
    FILE *stream = fopen(path, "wb");
    CHECK(stream != NULL);
    fputs(text, stream);
    CHECK_INT(fclose(stream), 0);
}

static char *read_text(const char *path)
{
    size_t size;
    char *data = (char *)test_read_file(path, &size);
    char *text = strndup(data, size);
    CHECK(text != NULL);
    free(data);
    return text;
}

static char *copy_of(const char *text)
{
    char *copy = strdup(text);
    CHECK(copy != NULL);
    return copy;
}

/* Nothing but answers, each with a newline: no prompt, no colour, no figures. */
TEST(chatting_prints_answers_alone)
{
    const struct program_result *result = CHAT("What is red?\n", "--reasoning", "off");
    CHECK_ENDED(result, 0);
    char *first = copy_of(result->out);
    CHECK(strlen(first) > 1 && strchr(first, '\n') == first + strlen(first) - 1);
    CHECK(strchr(first, '>') == NULL && strchr(first, '[') == NULL && strchr(first, 27) == NULL);
    /* by a flag, and the last line without an end */
    CHECK_TEXT(CHAT("", "--reasoning", "off", "-p", "What is red?", "-st")->out, first);
    CHECK_TEXT(CHAT("What is red?", "--reasoning", "off")->out, first);
    /* the second message is answered behind the first */
    result = CHAT("\n  \nWhat is red?\nWho is there?\n", "--reasoning", "off");
    CHECK_ENDED(result, 0);
    CHECK(strncmp(result->out, first, strlen(first)) == 0 && strlen(result->out) > strlen(first));
    /* one turn leaves the rest unread */
    CHECK_TEXT(CHAT("What is red?\nWho is there?\n", "--reasoning", "off", "-st")->out, first);
    free(first);
}

TEST(chatting_tells_reasoning_apart)
{
    const struct program_result *result = CHAT("Hello\n", "--reasoning", "on");
    CHECK_ENDED(result, 0);
    CHECK(strncmp(result->out, "[Start thinking]\n", 17) == 0);
    CHECK_HAS(result->out, "\n[End thinking]\n\n");
    CHECK(strchr(result->out, 27) == NULL);
    result = CHAT("Hello\n", "--reasoning", "on", "--color", "on");
    CHECK(strncmp(result->out, "\033[2m[Start thinking]\n", 21) == 0);
    CHECK_HAS(result->out, "\n[End thinking]\033[0m\n\n");
    /* as by a command */
    CHECK_HAS(CHAT("/think\nHello\n", "--reasoning", "off")->out, "[End thinking]\n");
    CHECK(strstr(CHAT("/nothink\nHello\n", "--reasoning", "on")->out, "[") == NULL);
    CHECK(strstr(CHAT("Hello\n", "--reasoning-format", "none", "-rea", "on")->out, "[End") == NULL);
    /* ended by its budget */
    result = CHAT("Hello\n", "--reasoning", "on", "--reasoning-budget", "1",
                  "--reasoning-budget-message", "Enough.");
    CHECK_ENDED(result, 0);
    CHECK_HAS(result->out, "Enough.\n[End thinking]\n\n");
}

/* Behind a template that says nothing of reasoning the model opens and closes it by itself. */
TEST(chatting_tells_reasoning_apart_that_the_template_does_not_open)
{
    const struct program_call call = {
        .words = {"chat", test_data("../../models/" WEIR_SHIPPED), "--chat-template", "chatml",
                  "--temp", "0", "-st", "-n", "24"},
        .input = "Tell me a story.\n",
    };
    const struct program_result *result = run_program(&call);
    CHECK_ENDED(result, 0);
    CHECK(strlen(result->out) > 16 && strchr(result->out, '<') == NULL);
}

/* The user's messages of the file, separated by bars. */
static void check_users(const char *path, const char *expected)
{
    static const char user[] = "{\"role\": \"user\", \"content\": \"";
    char found[1024] = "";
    char *text = read_text(path);
    CHECK(strncmp(text, "{\"format\": \"weir.chat/1\", \"messages\": [", 38) == 0);
    for (char *at = strstr(text, user); at != NULL; at = strstr(at, user)) {
        at += sizeof user - 1;
        char *end = strstr(at, "\"}");
        CHECK(end != NULL && strlen(found) + (size_t)(end - at) + 2 < sizeof found);
        strncat(found, at, (size_t)(end - at));
        strcat(found, "|");
    }
    CHECK_TEXT(found, expected);
    free(text);
}

TEST(chatting_messages_of_several_lines)
{
    static const struct {
        const char *input, *users;
        bool is_other; /* with --multiline-input */
    } cases[] = {
        {"a\\\nb\n", "a\\nb|", false},
        {"a\\\n", "a\\n|", false},
        {"\"\"\"\na\n /help\\\n\"\"\"\nb\n", "a\\n /help\\\\\\n|b|", false},
        {"\"\"\"a\nb\"\"\"\n", "a\\nb|", false},
        {"\"\"\"/help\"\"\"\n", "/help|", false},
        {"\"\"\"\na\n", "a\\n|", false},
        {"a\nb\\\nc\\\n", "a\\nb|c|", true},
        {"/ctx\na\nb", "a\\nb\\n|", true},
        {"/usr/bin is a folder\n", "/usr/bin is a folder|", false},
        {"\303\251\377\n", "\303\251\357\277\275|", false},
    };
    const char *path = test_scratch("chatting.lines.json");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unlink(path);
        const struct program_result *result =
            CHAT(cases[i].input, "-n", "1", "--session", path, cases[i].is_other ? "-mli" : NULL);
        CHECK_ENDED(result, 0);
        check_users(path, cases[i].users);
    }
}

TEST(chatting_commands_go_back)
{
    const char *path = test_scratch("chatting.saved.json");
    char input[512];
    snprintf(input, sizeof input, "What is red?\nWho is there?\n/undo\n/regen\n/save %s\n/clear\n",
             path);
    const struct program_result *result = CHAT(input, "-rea", "off");
    CHECK_ENDED(result, 0);
    check_users(path, "What is red?|");
    /* greedy: the answer to the first question, made anew, is the same */
    const char *last = strrchr(result->out, '\n');
    CHECK(last != NULL);
    char *out = copy_of(result->out);
    const size_t length = strcspn(out, "\n") + 1;
    CHECK(strlen(out) > 2 * length);
    CHECK(strncmp(out + strlen(out) - length, out, length) == 0);
    free(out);
    /* goes on from the file as if nothing had been in between */
    result = CHAT("What is red?\nWhere is Ida?\n", "-rea", "off");
    char *whole = copy_of(result->out);
    snprintf(input, sizeof input, "/load %s\nWhere is Ida?\n", path);
    result = CHAT(input, "-rea", "off");
    CHECK_ENDED(result, 0);
    CHECK_TEXT(result->out, whole + length);
    free(whole);
}

/* A session goes on with the next program, which reads little of it again. */
TEST(chatting_a_session_goes_on)
{
    const char *path = test_scratch("chatting.json"), *state = test_scratch("chatting.json.state");
    const char *const system = "You answer questions about a small world, and you are very brief.";
    unsigned held = 0, all = 0;
    unlink(path);
    unlink(state);
    CHECK_ENDED(CHAT("What is red?\nWho is there?\n", "-sys", system, "--session", path), 0);
    char *saved = read_text(path);
    CHECK_HAS(saved, system);
    const struct program_result *result =
        CHAT("What is red?\nWho is there?\nAnd who is not?\n", "-sys", system);
    char *whole = copy_of(result->out);
    result = CHAT("And who is not?\n/stats\n/system\n", "--session", path);
    CHECK_ENDED(result, 0);
    CHECK(strlen(whole) > strlen(result->out));
    CHECK_TEXT(result->out, whole + strlen(whole) - strlen(result->out));
    CHECK_HAS(result->err, system);
    const char *line = strstr(result->err, "Prompts: ");
    CHECK(line != NULL);
    CHECK_INT(sscanf(line, "Prompts: %u tokens: %u held", &all, &held), 2);
    CHECK(held > all / 2);
    /* without the state, or with another one, the same is read again, and it is said */
    for (int i = 0; i < 2; i++) {
        write_text(path, saved);
        if (i == 0)
            unlink(state);
        else
            write_text(state, "none");
        result = CHAT("And who is not?\n", "--session", path);
        CHECK_ENDED(result, 0);
        CHECK_TEXT(result->out, whole + strlen(whole) - strlen(result->out));
        CHECK_HAS(result->err, i == 0 ? " messages, to be read again."
                                      : "The conversation will be read again: ");
    }
    free(saved);
    free(whole);
}

/* What was taken back is on no disk any more, neither as text nor as tokens. */
TEST(chatting_a_session_forgets)
{
    const char *path = test_scratch("forgets.json"), *state = test_scratch("forgets.json.state");
    const char *other = test_scratch("forgets.other.json");
    const char *const told = "Ida lives in the old house.\n";
    char load[4400], held[128];
    unlink(path);
    unlink(state);
    write_text(other, "{\"format\": \"weir.chat/1\", \"messages\": []}");
    snprintf(load, sizeof load, "/load %s\n", other);
    CHECK_ENDED(CHAT("What is red?\n", "--session", path), 0);
    const struct program_result *result = CHAT("", "--session", path);
    const char *line = strstr(result->err, " goes on: ");
    CHECK(line != NULL);
    snprintf(held, sizeof held, "%.*s", (int)strcspn(line, "\n"), line);
    const char *const inputs[] = {"/clear\n", "/undo\n", load};
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        char input[4500];
        unlink(path);
        CHECK_ENDED(CHAT(told, "--session", path), 0);
        CHECK_INT(access(state, F_OK), 0);
        CHECK_ENDED(CHAT(inputs[i], "--session", path), 0);
        CHECK(access(state, F_OK) != 0);
        result = CHAT("", "--session", path);
        CHECK_HAS(result->err, " goes on: 0 messages.");
        CHECK(strstr(result->err, "read again") == NULL);
        /* what is said behind it is held, and it alone */
        CHECK_ENDED(CHAT(told, "--session", path), 0);
        snprintf(input, sizeof input, "%sWhat is red?\n", inputs[i]);
        CHECK_ENDED(CHAT(input, "--session", path), 0);
        result = CHAT("", "--session", path);
        CHECK_HAS(result->err, held);
    }
}

/* The state is of no use, or cannot be written: the messages are kept all the same. */
TEST(chatting_a_session_without_state)
{
    const char *path = test_scratch("stateless.json"),
               *state = test_scratch("stateless.json.state");
    unlink(path);
    unlink(state);
    CHECK_ENDED(CHAT("", "--session", path), 0);
    CHECK_ENDED(CHAT("What is red?\n/clear\n", "--session", path), 0);
    unlink(path);
    unlink(state);
    CHECK(mkdir(state, 0700) == 0);
    const struct program_result *result = CHAT("What is red?\n", "--session", path);
    CHECK_ENDED(result, 0);
    CHECK_HAS(result->err, "warning: the conversation will have to be read again: ");
    char *saved = read_text(path);
    CHECK_HAS(saved, "What is red?");
    free(saved);
}

/* The later of two would win: there is one. */
TEST(chatting_a_session_alone)
{
    const char *path = test_scratch("chatting.held.json");
    const char *other = test_scratch("chatting.other.json");
    struct file_lock lock;
    struct weir_error err = {0};
    char text[4400], input[4400];
    unlink(path);
    CHECK_ENDED(CHAT("What is red?\n", "--session", path), 0);
    char *before = read_text(path);
    CHECK_OK(file_lock_take(&lock, path, "a test", &err), &err);
    snprintf(text, sizeof text, "%s: in use by a test", path);
    CHECK_REFUSED(CHAT("What is blue?\n", "--session", path), text);
    snprintf(input, sizeof input, "/save %s\n", path);
    CHECK_REFUSED(CHAT(input, "--log-disable"), text);
    snprintf(input, sizeof input, "/load %s\n", path);
    CHECK_REFUSED(CHAT(input, "--log-disable"), text);
    file_lock_release(&lock);
    char *after = read_text(path);
    CHECK_TEXT(after, before);
    /* one's own may be saved to and loaded from */
    snprintf(input, sizeof input, "/save %s\n/load %s\n/save %s\n", path, path, other);
    unlink(other);
    CHECK_ENDED(CHAT(input, "--session", path), 0);
    CHECK_INT(program_count_files(other), 1);
    CHECK_INT(program_count_files(path), 2); /* it and the state */
    free(before);
    free(after);
}

static void check_unchanged(const char *path, const char *text)
{
    char *after = read_text(path);
    CHECK_TEXT(after, text);
    free(after);
}

/* What is no conversation is not written over, and what is read is not written to. */
TEST(chatting_spares_files_of_others)
{
    const char *path = test_scratch("chatting.spared"), *folder = test_scratch("chatting.folder");
    const char *state = test_scratch("spared.state"), *session = test_scratch("spared");
    static const char *const flags[] = {"--tools",        "-sysf", "--chat-template-file",
                                        "--grammar-file", "-jf",   "-md"};
    char input[4400], text[4400];
    write_text(path, "{\"messages\": []}");
    mkdir(folder, 0700);
    snprintf(input, sizeof input, "/save %s\n", path);
    snprintf(text, sizeof text, "%s: not written over: it holds no conversation", path);
    CHECK_REFUSED(CHAT(input, "--log-disable"), text);
    check_unchanged(path, "{\"messages\": []}");
    snprintf(input, sizeof input, "/save %s\n", folder);
    snprintf(text, sizeof text, "%s: not a regular file", folder);
    CHECK_REFUSED(CHAT(input, "--log-disable"), text);
    unlink(session);
    write_text(state, "[]");
    snprintf(text, sizeof text, "%s: is read from, so it cannot be written to", state);
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        CHECK_REFUSED(CHAT("", "--session", session, flags[i], state), text);
    CHECK_REFUSED(CHAT("", "--session", session, "-m", state), text);
    CHECK_REFUSED(CHAT("", "--session", session, "-f", state), text);
    check_unchanged(state, "[]");
}

TEST(chatting_reads_files)
{
    const char *path = test_scratch("chatting.note.txt");
    const char *session = test_scratch("chatting.read.json");
    char input[512], expected[512];
    write_text(path, "Ida is a baker.");
    unlink(session);
    snprintf(input, sizeof input, "/read %s\n/glob %.*s*.txt\nWho is Ida?\n", path,
             (int)strlen(path) - 4, path);
    CHECK_ENDED(CHAT(input, "-n", "2", "--session", session), 0);
    snprintf(expected, sizeof expected,
             "--- File: %s ---\\nIda is a baker.\\n--- File: %s ---\\nIda is a baker.\\n"
             "Who is Ida?|",
             path, path);
    check_users(session, expected);
}

TEST(chatting_reads_no_other_files)
{
    static const struct {
        const char *text;
        size_t length;
        const char *why;
    } files[] = {
        {"a\0b", 3, "byte 1 is 0x00"},
        {"ab\377", 3, "byte 2 is 0xff"},
        {"\303", 1, "byte 0 is 0xc3"},
    };
    const char *path = test_scratch("chatting.binary.bin");
    const char *session = test_scratch("chatting.binary.json");
    char input[512], expected[512];
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        FILE *stream = fopen(path, "wb");
        CHECK(stream != NULL && fwrite(files[i].text, files[i].length, 1, stream) == 1);
        fclose(stream);
        snprintf(input, sizeof input, "/read %s\n", path);
        snprintf(expected, sizeof expected, "%s: no text: %s", path, files[i].why);
        CHECK_REFUSED(CHAT(input, "--log-disable"), expected);
    }
    write_text(test_scratch("chatting.binary.txt"), "Ida");
    unlink(session);
    snprintf(input, sizeof input, "/glob %.*s[bt]*\nWho?\n", (int)strlen(path) - 3, path);
    const struct program_result *result = CHAT(input, "-n", "1", "--session", session);
    CHECK_ENDED(result, 0);
    CHECK_HAS(result->err, "Left out: ");
    snprintf(expected, sizeof expected, "--- File: %.*stxt ---\\nIda\\nWho?|",
             (int)strlen(path) - 3, path);
    check_users(session, expected);
}

/* As the flags do it. */
TEST(chatting_sets_as_ollama)
{
    static const char *const others[] = {"--top-k", "--seed", "--predict"};
    static const char *const sets[] = {"top_k 1", "seed 7", "num_predict 5"};
    char input[512];
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        const char *value = strchr(sets[i], ' ') + 1;
        const struct program_result *result =
            RUN_CHAT("Tell me a story.\n", "-rea", "off", "-n", "16", "-s", "3", others[i], value);
        CHECK_ENDED(result, 0);
        char *expected = copy_of(result->out);
        snprintf(input, sizeof input, "/set parameter %s\nTell me a story.\n", sets[i]);
        result = RUN_CHAT(input, "-rea", "off", "-n", "16", "-s", "3");
        CHECK_ENDED(result, 0);
        CHECK_TEXT(result->out, expected);
        free(expected);
    }
    const struct program_result *result = CHAT("/set system You are brief.\n/show system\n"
                                               "/show info\n/set nothink\n/set think\n",
                                               NULL);
    CHECK_ENDED(result, 0);
    CHECK_HAS(result->err, "\nYou are brief.\n");
    CHECK_HAS(result->err, "weir-5M, qwen35 Q5_K - Medium, ");
    CHECK_HAS(result->err, "The model answers without reasoning.");
    CHECK_REFUSED(CHAT("/set parameter top_k many\n", "--log-disable"),
                  "top_k: 'many' is not a whole number from -1 to 2147483647");
    CHECK_REFUSED(CHAT("/set parameter num_ctx 7\n", "--log-disable"),
                  "/set parameter: 'num_ctx' is none that can be set");
    CHECK_REFUSED(CHAT("/set parameter top_k\n", "--log-disable"),
                  "/set parameter top_k: needs a value");
    CHECK_REFUSED(CHAT("/set parameter num_predict 0\n", "--log-disable"),
                  "num_predict: an answer of 0 tokens is none");
    CHECK_REFUSED(CHAT("/set verbose\n", "--log-disable"),
                  "/set: 'verbose' is nothing that it knows; /help lists what it does");
}

/* On a terminal of 80 columns each is one line. */
TEST(chatting_figures_are_narrow)
{
    const struct program_result *result = CHAT("Who is there?\n/stats\n", NULL);
    CHECK_ENDED(result, 0);
    const char *line = strstr(result->err, "Answers:    1\n");
    CHECK(line != NULL);
    CHECK_HAS(line, "\nA token:    ");
    for (; *line != 0; line += strcspn(line, "\n") + 1)
        CHECK(strcspn(line, "\n") <= 80);
}

static const char tools[] =
    "[{\"type\": \"function\", \"function\": {\"name\": \"get_weather\", \"description\": "
    "\"Weather of a place\", \"parameters\": {\"type\": \"object\", \"properties\": {\"place\": "
    "{\"type\": \"string\"}}, \"required\": [\"place\"]}}}]\n";

/* A call is a line, the next line its result, and the answer follows. */
TEST(chatting_calls_tools)
{
    const char *path = test_scratch("chatting.tools.json");
    write_text(path, tools);
    const struct program_result *result =
        CHAT("What is the weather in the garden?\n{\"sky\": \"rainy\", \"degrees\": 7}\n", "-rea",
             "off", "--tools", path);
    CHECK_ENDED(result, 0);
    CHECK(strncmp(result->out, "[call get_weather {\"place\":\"", 28) == 0);
    const char *answer = strstr(result->out, "}]\n");
    CHECK(answer != NULL && strlen(answer) > 10);
    CHECK_HAS(answer, "7");
}

/* One that is asked for is asked for again with each message, but not when its result is there. A
 * model of random weights writes complete calls too. */
TEST(chatting_chooses_tools)
{
    const char *path = test_scratch("chatting.choice.json");
    write_text(path,
               "[{\"name\":\"on\"},{\"name\":\"off\",\"parameters\":{\"properties\":{\"at\":"
               "{\"type\":\"integer\",\"minimum\":1,\"maximum\":5}},\"required\":[\"at\"]}}]");
    for (int i = 0; i < 4; i++) {
        const char seed[] = {(char)('1' + i), 0};
        const struct program_result *result =
            CHAT("a\n", test_data("golden/nano-f32.gguf"), "-c", "1024", "--tools", path,
                 "--tool-choice", "required", "--no-parallel-tool-calls", "--temp",
                 i % 2 == 0 ? "0" : "3", "--seed", seed);
        CHECK_ENDED(result, 0);
        const bool is_on = strcmp(result->out, "[call on {}]\n") == 0;
        const bool is_off = strncmp(result->out, "[call off {\"at\":", 16) == 0 &&
                            strcmp(result->out + 17, "}]\n") == 0;
        CHECK(is_on || is_off);
    }
    const struct program_result *result =
        CHAT("Hello\nok\nHello\nok\n", "-rea", "off", "--tools", path, "--tool-choice", "on",
             "--no-parallel-tool-calls", "-n", "60");
    CHECK_ENDED(result, 0);
    const char *first = strstr(result->out, "[call on {}]\n");
    CHECK(first == result->out);
    CHECK(strncmp(first + 13, "[call", 5) != 0);
    result = CHAT("Hello\n", "-rea", "off", "--tools", path, "--tool-choice", "none");
    CHECK_ENDED(result, 0);
    CHECK(strstr(result->out, "[call") == NULL);
    CHECK_REFUSED(CHAT("Hello\n", "--tools", path, "--tool-choice", "of", "--log-disable"),
                  "tools: there is no of");
    write_text(path, "[{\"name\":\"on\"},{\"name\":\"on\"}]");
    result = CHAT("Hello\n", "-rea", "off", "--tools", path, "-n", "4");
    CHECK_ENDED(result, 0);
    CHECK_HAS(result->err, "warning: calls are not held to the tools: tools: two of them are "
                           "called on");
    result = CHAT("Hello\n", "-rea", "off", "--tools", path, "-n", "4", "--no-tool-grammar");
    CHECK_ENDED(result, 0);
    CHECK(strstr(result->err, "not held to") == NULL);
}

TEST(chatting_keeps_to_a_schema)
{
    static const char schema[] =
        "{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\"}},\"required\":[\"n\"]}";
    const struct program_result *result = CHAT("Hello\n", "-rea", "on", "-j", schema);
    CHECK_ENDED(result, 0);
    CHECK_HAS(result->out, "[End thinking]\n\n{\"n\":");
}

TEST(chatting_stops_where_it_should)
{
    const struct program_result *result = CHAT("What is red?\n", "-rea", "off");
    char *whole = copy_of(result->out), *space = strchr(whole, ' ');
    CHECK(space != NULL);
    char stop[32];
    CHECK_INT(sscanf(space, "%31s", stop), 1);
    result = CHAT("What is red?\n", "-rea", "off", "-r", stop);
    CHECK_ENDED(result, 0);
    CHECK(strncmp(result->out, whole, (size_t)(space - whole)) == 0);
    CHECK(strstr(result->out, stop) == NULL);
    free(whole);
    /* an interrupted program ends, with what it has said */
    const struct program_call call = {
        .words = {"chat", "-t", "1", "--ignore-eos", "-p", "Tell me a story."},
        .interrupt_after = 1000,
    };
    CHECK_INT(run_program(&call)->status, 130);
}

TEST(chatting_takes_templates)
{
    const char *path = test_scratch("chatting.jinja");
    CHECK_ENDED(CHAT("Hello\n", "--chat-template", "chatml", "-n", "4"), 0);
    write_text(path, "{% for m in messages %}{{ m.content }}{% endfor %}{{ tail }}\n");
    CHECK_ENDED(CHAT("Once upon a time\n", "--chat-template-file", path, "--chat-template-kwargs",
                     "{\"tail\": \" there\"}", "-n", "4"),
                0);
    CHECK_REFUSED(CHAT("Hello\n", "--chat-template-kwargs", "{\"messages\": []}", "--log-disable"),
                  "variables of the template: 'messages' is a part of the conversation, expected "
                  "further variables");
    /* a model without one, as made-up ones are, has the usual one */
    const struct program_result *result =
        CHAT("a\n", test_data("golden/nano-f32.gguf"), "-c", "512", "-n", "1");
    CHECK_HAS(result->err, "key tokenizer.chat_template is missing: it is talked to as chatml");
    CHECK_REFUSED(CHAT("Hello\n", "--chat-template", "chatlm", "--log-disable"),
                  "--chat-template: 'chatlm' is no template, nor is it chatml");
    CHECK_HAS(CHAT("Tell me a story.\n", "-c", "64")->err,
              "warning: an answer was cut off: the context is full");
    CHECK_HAS(CHAT("Hello\n", "--override-kv", "tokenizer.chat_template=str:{% nothing %}",
                   "--log-disable")
                  ->err,
              "; --chat-template names another, as chatml");
    write_text(path, "{{ raise_exception('No such turns.') }}");
    CHECK_REFUSED(CHAT("Hello\n", "--chat-template-file", path, "--log-disable"),
                  "No such turns. (the message is taken back)");
}

/* With the same seed a conversation says the same, be it of one program or of two. */
TEST(chatting_draws_go_on)
{
    const char *path = test_scratch("chatting.draws.json");
    static const char *const input = "What is red?\nWho is there?\nWhere is Ida?\n";
    unlink(path);
    const struct program_result *result =
        RUN_CHAT(input, "-t", "1", "--temp", "1", "--seed", "7", "-rea", "off");
    char *whole = copy_of(result->out);
    result = RUN_CHAT("What is red?\nWho is there?\n", "-t", "1", "--temp", "1", "--seed", "7",
                      "-rea", "off", "--session", path);
    char *first = copy_of(result->out);
    result = RUN_CHAT("Where is Ida?\n", "-t", "1", "--temp", "1", "--seed", "7", "-rea", "off",
                      "--session", path);
    CHECK_ENDED(result, 0);
    const size_t length = strlen(first);
    CHECK(length > 0 && strncmp(whole, first, length) == 0);
    CHECK_TEXT(result->out, whole + length);
    free(first);
    free(whole);
}

/* The lines of /ctx, of which there are so many. */
static void read_left(const struct program_result *result, unsigned *left, size_t count)
{
    const char *at = result->err;
    CHECK_ENDED(result, 0);
    for (size_t i = 0; i < count; i++) {
        at = strstr(at, "Context:    ");
        CHECK(at != NULL && sscanf(at, "Context: %u of", &left[i]) == 1);
        at++;
    }
}

/* What is left of the context is told of the messages that there are. */
TEST(chatting_figures_of_what_is_taken_back)
{
    const char *path = test_scratch("chatting.left.json");
    unsigned left[5], again[1];
    unlink(path);
    read_left(CHAT("/ctx\nWhat is red?\n/ctx\nWho is there?\n/ctx\n/undo\n/ctx\n/clear\n/ctx\n",
                   "-rea", "off"),
              left, 5);
    CHECK_INT(left[0], 4096);
    CHECK(left[1] < left[0] && left[2] < left[1]);
    CHECK_INT(left[3], left[1]);
    CHECK_INT(left[4], left[0]);
    CHECK_ENDED(CHAT("What is red?\n", "-rea", "off", "--session", path), 0);
    read_left(CHAT("/ctx\n", "--session", path), again, 1);
    CHECK(again[0] < left[0] && again[0] + 2 >= left[1]); /* but for the last token or two */
}

/* A program that is killed while it answers has kept the question. */
TEST(chatting_killed_in_an_answer)
{
    const char *path = test_scratch("chatting.killed.json");
    const struct program_call call = {
        .words = {"chat", "-t", "1", "--temp", "0", "-rea", "off", "--ignore-eos", "-c", "32768",
                  "--session", path},
        .input = "What is red?\n",
        .interrupt_after = 400,
        .interrupt_signal = SIGKILL,
    };
    unlink(path);
    CHECK_INT(run_program(&call)->status, 128 + SIGKILL);
    check_users(path, "What is red?|");
}

TEST(chatting_names_files_that_are_none)
{
    const char *path = test_scratch("chatting.none.json");
    char input[512], expected[512];
    write_text(path, "[");
    snprintf(input, sizeof input, "/tools %s\n", path);
    snprintf(expected, sizeof expected, "%s: line 1, column 2: ", path);
    const struct program_result *result = CHAT(input, "--log-disable");
    CHECK_ENDED(result, 1);
    CHECK_HAS(result->err, expected);
    write_text(path, "{\"format\": \"weir.chat/1\", \"messages\": [{\"role\": \"x\", \"content\": "
                     "5}]}");
    snprintf(expected, sizeof expected,
             "%s: the content of message 0 is a number, expected a text or an array\n", path);
    result = CHAT("Hello\n", "--session", path, "--log-disable");
    CHECK_ENDED(result, 1);
    CHECK_HAS(result->err, expected);
}

TEST(chatting_refuses)
{
    const struct program_result *result;
    CHECK_REFUSED(CHAT("/regen\n", "--log-disable"), "there is no message to answer");
    CHECK_REFUSED(CHAT("/regen\n", "--log-disable", "-sys", "a"), "there is no message to answer");
    CHECK_REFUSED(CHAT("", "-j", "{}", "--tool-choice", "required"),
                  "--tool-choice required: an answer cannot be a call and keep to a grammar or "
                  "schema; give only one of both");
    CHECK_REFUSED(CHAT("", "--tool-choice", "f"),
                  "--tool-choice f asks for a call, but there are no tools: name a file of them "
                  "with --tools");
    CHECK_REFUSED(CHAT("/foo\n", "--log-disable"), "/foo: no such command; /help lists them");
    CHECK_REFUSED(CHAT("/load\n", "--log-disable"), "/load: needs FILE");
    CHECK_REFUSED(CHAT("/undo\n", "--log-disable"), "there is no message to take back");
    CHECK_REFUSED(CHAT("/think maybe\n", "--log-disable"),
                  "/think maybe: not one of on, off and auto");
    CHECK_REFUSED(CHAT("", "-sys", "a", "-sysf", "b"),
                  "only one of --system-prompt and --system-prompt-file may be given");
    CHECK_REFUSED(CHAT("", "-n", "0"), "--predict: an answer of 0 tokens is none");
    CHECK_REFUSED(CHAT("", "-no-cnv"), "-no-cnv: weir run continues plain text");
    result = CHAT("/load /nowhere/at/all\n", NULL);
    CHECK_ENDED(result, 1);
    CHECK_HAS(result->err, "error: /nowhere/at/all: cannot open");
    const char *path = test_scratch("chatting.bad.json");
    write_text(path, "{\"messages\": []}");
    result = CHAT("Hello\n", "--session", path);
    CHECK_ENDED(result, 1);
    CHECK_HAS(result->err,
              "no conversation of weir chat: an object with \"format\": \"weir.chat/1\"");
    CHECK_TEXT(result->out, "");
}

/* What the messages that cannot be answered were is forgotten, and the context they need told. */
TEST(chatting_a_message_that_is_too_long)
{
    char text[4000];
    memset(text, 'x', sizeof text - 2);
    memcpy(text + sizeof text - 2, "\n", 2);
    const struct program_result *result = CHAT(text, "-c", "256");
    CHECK_ENDED(result, 1);
    CHECK_HAS(result->err, "but the context holds 256");
}

TEST(chatting_as_llama_cli)
{
    const struct program_call call = {.words = {"--help"}, .name = "/usr/bin/llama-cli"};
    CHECK_HAS(run_program(&call)->out, "Usage: weir chat");
}
