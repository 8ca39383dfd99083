/* SPDX-License-Identifier: MIT
 * Usage of the program: help, versions, flags and what is wrong with them.
 * Run alone: build/tests/weir-test usage_ */
#include "cli/program.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const command_names[] = {"run",     "chat",    "inspect", "tokenize", "eval",
                                            "bench",   "synth",   "split",   "merge",    "quantize",
                                            "imatrix", "convert", "profile", "template", "serve"};

enum { COMMANDS = sizeof command_names / sizeof *command_names };

TEST(usage_names_processors)
{
    static const char *const values[][2] = {
        {"-C", ""},     {"-C", "0"},   {"-C", "0x"},      {"-C", "0x00"},   {"-C", "g"},
        {"-C", "-1"},   {"-C", "1 "},  {"-Cr", ""},       {"-Cr", "1"},     {"-Cr", "1-"},
        {"-Cr", "2-1"}, {"-Cr", "-1"}, {"-Cr", "0-1024"}, {"-Cr", "0-1-2"}, {"-Cr", "a-b"},
    };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char text[128];
        const bool is_mask = strcmp(values[i][0], "-C") == 0;
        snprintf(text, sizeof text, "%s: '%s' is not %s", values[i][0], values[i][1],
                 is_mask ? "a hexadecimal number of up to 1024 bits that are not all 0"
                         : "FIRST-LAST, two numbers of processors below 1024");
        CHECK_REFUSED(RUN_PROGRAM("run", values[i][0], values[i][1]), text);
    }
}

TEST(usage_unknown_words_are_refused)
{
    CHECK_REFUSED(RUN_PROGRAM("run", "--bogus"), "invalid argument: --bogus");
    CHECK_REFUSED(RUN_PROGRAM("run", "--bogus=1"), "invalid argument: --bogus=1");
    CHECK_REFUSED(RUN_PROGRAM("synth", "a.gguf"), "invalid argument: a.gguf");
    CHECK_REFUSED(RUN_PROGRAM("tokenize", "--temp", "1"), "invalid argument: --temp");
    CHECK_REFUSED(RUN_PROGRAM("--bogus"), "invalid argument: --bogus");
    CHECK_REFUSED(RUN_PROGRAM("bogus"), "unknown command 'bogus'; see weir --help");
    CHECK_REFUSED(RUN_PROGRAM("help", "bogus"), "invalid argument: bogus");
    CHECK_REFUSED(RUN_PROGRAM(NULL), "no command; see weir --help");
}

TEST(usage_model_is_named_once)
{
    static const char two[] = "-m, --model may be given once, not as a.gguf and b.gguf";
    CHECK_REFUSED(RUN_PROGRAM("run", "a.gguf", "b.gguf"), two);
    CHECK_REFUSED(RUN_PROGRAM("run", "-m", "a.gguf", "b.gguf"), two);
    CHECK_REFUSED(RUN_PROGRAM("inspect", "b.gguf", "-m", "a.gguf"), two);
    CHECK_REFUSED(RUN_PROGRAM("inspect", ""), "an argument is empty");
    CHECK_REFUSED(RUN_PROGRAM("inspect", "-m", ""), "-m: the name of the file is empty");
}

/* What is written as a whole is no stream, and no file is called so by mistake. */
TEST(usage_files_are_not_standard_output)
{
    static const char *const words[][8] = {
        {"quantize", "/nowhere/a.gguf", "-", "q4_0"}, {"imatrix", "-m", "a", "-f", "b", "-o", "-"},
        {"convert", "/nowhere/folder", "-"},          {"merge", "/nowhere/a.gguf", "-"},
        {"synth", "--size", "nano", "-o", "-"},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        struct program_call call = {.words = {NULL}};
        memcpy(call.words, words[i], sizeof words[i]);
        CHECK_REFUSED(run_program(&call), "-: this cannot be written to standard output; name a "
                                          "file (./- is one)");
    }
}

TEST(usage_bad_values_are_refused)
{
    static const struct {
        const char *flag, *value, *error;
    } cases[] = {
        {"-c", "12x", "-c: '12x' is not a whole number from 0 to 2147483647"},
        {"-c", "-5", "-c: '-5' is not a whole number from 0 to 2147483647"},
        {"-c", "99999999999999999999",
         "-c: '99999999999999999999' is not a whole number from 0 to 2147483647"},
        {"-c", " 1", "-c: ' 1' is not a whole number from 0 to 2147483647"},
        {"-n", "-2", "-n: '-2' is not a whole number from -1 to 2147483647"},
        {"--top-p", "1.5", "--top-p: '1.5' is not a number from 0 to 1"},
        {"--top-p", "nan", "--top-p: 'nan' is not a number from 0 to 1"},
        {"--top-p", "0x1", "--top-p: '0x1' is not a number from 0 to 1"},
        {"--top-p", "", "--top-p: '' is not a number from 0 to 1"},
        {"-ctk", "q3_k", "-ctk: 'q3_k' is not one of f32|f16|bf16|q8_0|q5_1|q5_0|q4_1|q4_0"},
        {"--fuse", "o", "--fuse: 'o' is not one of auto|on|off"},
        {"--load-mode", "dio", "--load-mode: 'dio' is not one of none|mmap|mlock|mmap+mlock"},
        {"-l", "12", "-l: '12' is not a token id, a sign and a number"},
        {"-l", "12+inf", "-l: '12+inf' is not a token id, a sign and a number"},
        {"-r", "", "-r: the text is empty"},
        {"--seed", "-2", "--seed: '-2' is not a number from -1 up"},
        {"-t", "1.5", "-t: '1.5' is not a whole number from -1 to 2147483647"},
        {"-m", "", "-m: the name of the file is empty"},
        {"--tokens", "", "--tokens: the name of the file is empty"},
        {"-o", "", "-o: the name of the file is empty"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        CHECK_REFUSED(RUN_PROGRAM("run", cases[i].flag, cases[i].value), cases[i].error);
    CHECK_REFUSED(RUN_PROGRAM("run", "--predict"), "--predict: needs a value: N");
    CHECK_REFUSED(RUN_PROGRAM("run", "--mmap=maybe"), "--mmap: 'maybe' is neither on nor off");
}

/* Both forms, underscores, negative values and abbreviations reach the flag: what is refused then
 * is the missing file. */
TEST(usage_forms_of_flags_are_equal)
{
    static const char file[] = "/nowhere/x.gguf";
    static const char no_file[] =
        "--model: /nowhere/x.gguf: cannot open: No such file or directory";
    CHECK_REFUSED(RUN_PROGRAM("run", file, "--prompt", "-x", "--top-k", "-1"), no_file);
    CHECK_REFUSED(RUN_PROGRAM("run", file, "--prompt=--x=y", "--top_k=3", "-n=-1"), no_file);
    CHECK_REFUSED(RUN_PROGRAM("run", file, "-p", "", "--mmap=off", "--no_escape"), no_file);
    CHECK_REFUSED(RUN_PROGRAM("run", file, "-p", "x", "-l", "5-inf", "-l", "6+0.5"), no_file);
}

TEST(usage_flags_without_function_say_so)
{
    const struct program_result *result =
        RUN_PROGRAM("run", "-p", "x", "-fa", "on", "-fa", "off", "-m", "/nowhere/x.gguf");
    CHECK_INT(result->status, 1);
    CHECK_HAS(result->err, "-fa, --flash-attn has no effect: ");
    const char *first = strstr(result->err, "has no effect");
    CHECK(strstr(first + 1, "has no effect") == NULL);
    CHECK_HAS(result->err, "\nerror: --model: /nowhere/x.gguf: ");
    result = RUN_PROGRAM("run", "-p", "x", "-fa", "on", "--log-disable", "-m", "/nowhere/x.gguf");
    CHECK(strncmp(result->err, "error: --model: ", 16) == 0);
    CHECK_REFUSED(RUN_PROGRAM("run", "--draft", "3"), "--draft: replaced by --spec-draft-n-max");
    CHECK_REFUSED(RUN_PROGRAM("eval", "-hf", "a/b"),
                  "-hf: download the file first, then give it with -m");
}

TEST(usage_environment_is_read_and_overruled)
{
    struct program_call call = {
        .words = {"run", "-p", "x"},
        .environment = "LLAMA_ARG_THREADS=many",
    };
    CHECK_REFUSED(run_program(&call),
                  "LLAMA_ARG_THREADS: 'many' is not a whole number from -1 to 2147483647");
    call.environment = "LLAMA_ARG_MODEL=/nowhere/a.gguf";
    CHECK_HAS(run_program(&call)->err, "error: --model: /nowhere/a.gguf: ");
    call.words[3] = "/nowhere/b.gguf";
    CHECK_HAS(run_program(&call)->err, "error: --model: /nowhere/b.gguf: ");
    call.environment = "LLAMA_ARG_NO_MMAP=whatever";
    CHECK_HAS(run_program(&call)->err, "error: --model: /nowhere/b.gguf: ");
    call.environment = "LLAMA_ARG_MMAP=whatever";
    CHECK_REFUSED(run_program(&call), "LLAMA_ARG_MMAP: 'whatever' is neither on nor off");
}

TEST(usage_empty_variables_are_not_set)
{
    static const char *const variables[] = {
        "LLAMA_ARG_MODEL=", "LLAMA_ARG_THREADS=", "LLAMA_ARG_MMAP=", "LLAMA_ARG_NO_MMAP=",
        "LLAMA_ARG_LOG_FILE="};
    struct program_call call = {.words = {"run", "-p", "x", "/nowhere/b.gguf"}};
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        call.environment = variables[i];
        CHECK_HAS(run_program(&call)->err, "error: --model: /nowhere/b.gguf: ");
    }
    /* Nobody is let in because the key is missing. */
    const struct program_call serve = {.words = {"serve", "/nowhere/b.gguf"},
                                       .environment = "LLAMA_API_KEY="};
    CHECK_REFUSED(run_program(&serve), "--api-key: holds no key");
}

TEST(usage_inputs_are_named_once)
{
    static const char run_inputs[] =
        "one of --prompt, --file, --binary-file and --tokens is needed";
    CHECK_REFUSED(RUN_PROGRAM("run", "x"), run_inputs);
    CHECK_REFUSED(RUN_PROGRAM("run", "x", "-p", "a", "-f", "b"),
                  "only one of --prompt, --file, --binary-file and --tokens may be given, not "
                  "--prompt and --file");
    CHECK_REFUSED(RUN_PROGRAM("tokenize", "x"), "one of --prompt, --file and --stdin is needed");
    CHECK_REFUSED(
        RUN_PROGRAM("tokenize", "x", "--stdin", "-p", "a"),
        "only one of --prompt, --file and --stdin may be given, not --prompt and --stdin");
    CHECK_REFUSED(RUN_PROGRAM("eval", "x", "-f", "a", "--tokens", "b", "--logits", "c"),
                  "only one of --file and --tokens may be given, not --file and --tokens");
    CHECK_REFUSED(RUN_PROGRAM("eval", "x"), "one of --file and --tokens is needed");
    CHECK_REFUSED(RUN_PROGRAM("eval", "x", "-f", "a", "--logits", "c"), "--logits needs --tokens");
    CHECK_REFUSED(RUN_PROGRAM("eval", "x", "-f", "a", "-c", "3"),
                  "--ctx-size: a window needs 4 tokens or more");
}

TEST(usage_help_goes_to_standard_output)
{
    char *texts[2];
    CHECK_INT(RUN_PROGRAM("help")->status, 0);
    CHECK_HAS(RUN_PROGRAM("--help")->out, "Usage: weir COMMAND");
    for (int i = 0; i < COMMANDS; i++) {
        const struct program_result *result = RUN_PROGRAM(command_names[i], "--help");
        CHECK_INT(result->status, 0);
        CHECK_INT(result->err_size, 0);
        texts[0] = strdup(result->out);
        texts[1] = strdup(RUN_PROGRAM("help", command_names[i])->out);
        CHECK_TEXT(texts[1], texts[0]);
        CHECK_TEXT(RUN_PROGRAM(command_names[i], "--usage")->out, texts[0]);
        free(texts[0]);
        free(texts[1]);
    }
}

TEST(usage_version_names_the_build)
{
    const struct program_result *result = RUN_PROGRAM("--version");
    CHECK_INT(result->status, 0);
    CHECK(strncmp(result->out, "weir " WEIR_VERSION, strlen("weir " WEIR_VERSION)) == 0);
    CHECK_HAS(result->out, weir_build_info());
    CHECK_TEXT(RUN_PROGRAM("run", "--version")->out, result->out);
}

TEST(usage_familiar_names_are_commands)
{
    const struct program_call call = {.words = {"--help"}, .name = "/usr/bin/llama-tokenize"};
    CHECK_HAS(run_program(&call)->out, "Usage: weir tokenize");
    const struct program_call server = {.words = {"--help"}, .name = "llama-server"};
    CHECK_HAS(run_program(&server)->out, "Usage: weir serve");
}

/* ---- help and manual pages ------------------------------------------------------------------- */

enum { NAMES_MAX = 512, NAME_BYTES = 48 };

struct names {
    char items[NAMES_MAX][NAME_BYTES];
    int count;
};

static void names_add(struct names *names, const char *prefix, const char *text, size_t length)
{
    CHECK(names->count < NAMES_MAX && length + strlen(prefix) < NAME_BYTES);
    snprintf(names->items[names->count++], NAME_BYTES, "%s%.*s", prefix, (int)length, text);
}

static bool names_have(const struct names *names, const char *name)
{
    for (int i = 0; i < names->count; i++) {
        if (strcmp(names->items[i], name) == 0)
            return true;
    }
    return false;
}

/* "  -t, --threads N   text": the words that begin with a dash, up to the first that does not. */
static void names_of_help(struct names *names, const char *help)
{
    for (const char *line = help; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, "  -", 3) != 0)
            continue;
        for (const char *word = line + 2; *word == '-';) {
            const size_t length = strcspn(word, ", \n");
            names_add(names, "", word, length);
            word += length;
            word += word[0] == ',' ? 2 : 0;
        }
    }
}

/* ".It Fl t , Fl -threads Ar N". */
static void names_of_page(struct names *names, const char *page)
{
    for (const char *line = page; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        const char *end = strchr(line, '\n');
        if (strncmp(line, ".It Fl ", 7) != 0 || end == NULL)
            continue;
        for (const char *word = strstr(line, "Fl "); word != NULL && word < end;
             word = strstr(word, "Fl ")) {
            word += 3;
            names_add(names, "-", word, strcspn(word, " \n"));
        }
    }
}

TEST(usage_manual_pages_and_help_name_the_same_flags)
{
    for (int i = 0; i < COMMANDS; i++) {
        static struct names help, page;
        help.count = page.count = 0;
        names_of_help(&help, RUN_PROGRAM("help", command_names[i])->out);
        char path[64];
        snprintf(path, sizeof path, "docs/man/weir-%s.1", command_names[i]);
        size_t size;
        char *text = (char *)test_read_file(path, &size);
        names_of_page(&page, text);
        free(text);
        CHECK(help.count > 10);
        for (int j = 0; j < help.count; j++) {
            if (!names_have(&page, help.items[j]))
                test_fail(__FILE__, __LINE__, "%s has no %s", path, help.items[j]);
        }
        for (int j = 0; j < page.count; j++) {
            if (!names_have(&help, page.items[j]))
                test_fail(__FILE__, __LINE__, "%s has %s, which weir %s does not know", path,
                          page.items[j], command_names[i]);
        }
    }
}

/* As wide as a line of the sources: terminals are. A usage is a line of its own. */
TEST(usage_help_is_at_most_so_wide)
{
    enum { WIDTH = 100 };
    for (int i = 0; i < COMMANDS; i++) {
        const char *line = RUN_PROGRAM("help", command_names[i])->out;
        while (*line != 0) {
            const size_t length = strcspn(line, "\n");
            if (length > WIDTH)
                test_fail(__FILE__, __LINE__, "%s: %.*s", command_names[i], (int)length, line);
            line += length + (line[length] == '\n');
        }
    }
}

/* ---- output that cannot be written ----------------------------------------------------------- */

TEST(usage_full_standard_output_is_an_error)
{
    static const char full[] = "standard output: cannot write: No space left on device";
    struct program_call call = {.words = {"--version"}, .out_path = program_full_device()};
    CHECK_REFUSED(run_program(&call), full);
    call.words[0] = "run";
    call.words[1] = "--help";
    CHECK_REFUSED(run_program(&call), full);
}

/* As behind `| head`. */
TEST(usage_reader_that_has_gone_away_is_no_error)
{
    static const struct program_call call = {.words = {"run", "--help"}, .out_unread = true};
    const struct program_result *result = run_program(&call);
    CHECK_INT(result->status, 130);
    CHECK_INT(result->err_size, 0);
}
