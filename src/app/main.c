/* SPDX-License-Identifier: MIT
 * The program weir: finds the command, reads its flags, runs it, and turns the outcome into an
 * exit status and at most one line of error. Knows not what the commands do. */
#include <string.h>

#include "app/command.h"
#include "app/help.h"
#include "app/interrupt.h"
#include "app/output.h"
#include "app/prompt.h"
#include "base/err.h"
#include "base/mem.h"

enum { EXIT_OK = 0, EXIT_ERROR = 1, EXIT_INTERRUPTED = 130 };

static const struct command commands[] = {
    {
        .name = "run",
        .id = COMMAND_RUN,
        .bare = {"--model"},
        .cache = WEIR_CACHE_F16,
        .run = command_run,
        .usage = "[[-m] FILE] -p TEXT [flags]",
        .summary = "continue a text",
        .details = "Prints a text and the model's continuation of it as it is generated. "
                   "Without a model it takes the small one that ships with weir.",
        .familiar_name = "llama-completion",
    },
    {
        .name = "chat",
        .id = COMMAND_CHAT,
        .bare = {"--model"},
        .cache = WEIR_CACHE_F16,
        .run = command_chat,
        .usage = "[[-m] FILE] [flags]",
        .summary = "talk with a model",
        .details = "Holds a conversation with a model: in a terminal with line editing "
                   "and commands (/help lists them), else with a message on each line of "
                   "standard input. Without a model it takes the small one that ships "
                   "with weir.",
        .familiar_name = "llama-cli",
    },
    {
        .name = "serve",
        .id = COMMAND_SERVE,
        .bare = {"--model"},
        .cache = WEIR_CACHE_F16,
        .run = command_serve,
        .usage = "[[-m] FILE] [flags]",
        .summary = "answer requests over HTTP",
        .details = "Loads a model and answers requests over HTTP: those of the APIs of "
                   "OpenAI, of Anthropic and of llama-server. Without a model it takes "
                   "the small one that ships with weir.",
        .familiar_name = "llama-server",
    },
    {
        .name = "inspect",
        .id = COMMAND_INSPECT,
        .bare = {"--model"},
        .cache = WEIR_CACHE_F16,
        .run = command_inspect,
        .usage = "[[-m] FILE] [--weights] [--plan] [--memory] [flags]",
        .summary = "show what a model file holds, computes and needs",
        .details = "Prints the metadata of a model, or what the flags ask for, without "
                   "loading it; of the small model that ships with weir if none is named.",
    },
    {
        .name = "tokenize",
        .id = COMMAND_TOKENIZE,
        .bare = {"--model"},
        .run = command_tokenize,
        .usage = "[[-m] FILE] (-p TEXT | -f FILE | --stdin) [flags]",
        .summary = "show the tokens of a text",
        .details = "Prints the tokens of a text, one a line: id and text. Without a model "
                   "they are those of the small one that ships with weir.",
        .familiar_name = "llama-tokenize",
    },
    {
        .name = "template",
        .id = COMMAND_TEMPLATE,
        .run = command_template,
        .usage = "[--template FILE | -m FILE] (--request FILE | --client-request FILE)\n"
                 "       weir template --parse FILE [--tools FILE] [--reasoning on|off] [flags]",
        .summary = "make the prompt of a chat, or take a reply apart",
        .details = "Prints the text that a chat template makes of a conversation, byte "
                   "for byte; or, as JSON, what a model's text is: reasoning, content and "
                   "calls of tools.",
    },
    {
        .name = "eval",
        .id = COMMAND_EVAL,
        .bare = {"--model"},
        .cache = WEIR_CACHE_F32,
        .run = command_eval,
        .usage = "[[-m] FILE] (-f TEXT | --tokens FILE [--logits FILE] | --kl FILE) [flags]",
        .summary = "measure perplexity, compare models, or write logits",
        .details = "Prints the perplexity of a text or of token ids, or how far a model "
                   "is from another, or writes the logits after each given token. Without "
                   "a model it takes the small one that ships with weir.",
        .familiar_name = "llama-perplexity",
    },
    {
        .name = "bench",
        .id = COMMAND_BENCH,
        .bare = {"--model", "--model", "--model", "--model"},
        .cache = WEIR_CACHE_F16,
        .run = command_bench,
        .usage = "[[-m] FILE...] [-p N,...] [-n N,...] [-d N,...] [flags]\n"
                 "       weir bench --probe",
        .summary = "measure the speed of models, or of the machine",
        .details = "Times prompts and generation, in all combinations of what the lists "
                   "say, and prints a row for each: tokens a second, mean and standard "
                   "deviation. Without a model it takes the small one that ships with "
                   "weir.",
        .familiar_name = "llama-bench",
    },
    {
        .name = "profile",
        .id = COMMAND_PROFILE,
        .bare = {"--model"},
        .cache = WEIR_CACHE_F16,
        .run = command_profile,
        .usage = "[[-m] FILE] [--mode MODE] [--ctx N,...] [flags]\n"
                 "       weir profile --size SIZE [--type TYPE] [--bandwidth X] [flags]\n"
                 "       weir profile --diff OLD NEW [--by X] [--tolerance PERCENT] [-o FORM]",
        .summary = "show where the bytes and the time of a step go",
        .details = "Runs steps of a model and prints, op by op summed up, the bytes that "
                   "they touch, the time that they take and what the machine could do; or "
                   "the bytes alone, of a model that need not be there. Without a model "
                   "it takes the small one that ships with weir.",
        .help = sizes_help,
    },
    {
        .name = "convert",
        .id = COMMAND_CONVERT,
        .bare = {"--model", "--outfile"},
        .run = command_convert,
        .usage = "DIR FILE [flags]",
        .summary = "make a GGUF file of a checkpoint",
        .details = "Makes a GGUF file of a checkpoint folder of Hugging Face.",
    },
    {
        .name = "imatrix",
        .id = COMMAND_IMATRIX,
        .bare = {"--model"},
        .cache = WEIR_CACHE_F32,
        .run = command_imatrix,
        .usage = "[-m] FILE -f TEXT -o FILE [flags]",
        .summary = "write the importance matrix of a text, for quantizing",
        .details = "Runs a text through a model and writes, for each column of each "
                   "matrix, the mean square of the numbers that met it: weir quantize "
                   "--imatrix reads it.",
        .familiar_name = "llama-imatrix",
    },
    {
        .name = "quantize",
        .id = COMMAND_QUANTIZE,
        .bare = {"--model", "--out", "--type", "--threads"},
        .run = command_quantize,
        .usage = "IN OUT TYPE [N] [flags]",
        .summary = "write a model with tensors of other types",
        .details = "Writes the model IN to OUT, its matrices in the types of the mixture "
                   "TYPE.",
        .familiar_name = "llama-quantize",
        .help = quantize_help,
    },
    {
        .name = "split",
        .id = COMMAND_SPLIT,
        .bare = {"--model", "--out"},
        .run = command_split,
        .usage = "[-m] FILE [-o] PREFIX [flags]",
        .summary = "cut a model file into several",
        .details = "Copies a model into the files PREFIX-00001-of-0000N.gguf and so on.",
        .familiar_name = "llama-gguf-split",
    },
    {
        .name = "merge",
        .id = COMMAND_MERGE,
        .bare = {"--model", "--out"},
        .run = command_merge,
        .usage = "[-m] FILE [-o] FILE [flags]",
        .summary = "make one model file of several",
        .details = "Copies a model, of which the first file is named, into one file.",
    },
    {
        .name = "synth",
        .id = COMMAND_SYNTH,
        .run = command_synth,
        .usage = "--size SIZE --type TYPE --out FILE [flags]",
        .summary = "write a made-up model at the shape of a real one",
        .details = "Writes a GGUF file with the shape of a public model and random "
                   "weights.",
        .help = sizes_help,
    },
};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

static const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

/* A link to the program under a familiar name is that command. */
static const struct command *command_of_link(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    for (size_t i = 0; i < COMMANDS; i++) {
        if (commands[i].familiar_name != NULL && strcmp(commands[i].familiar_name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

/* ---- what needs no model --------------------------------------------------------------------- */

enum topic { TOPIC_PROGRAM, TOPIC_COMMAND, TOPIC_VERSION, TOPIC_DEVICES };

static enum weir_status print_topic(enum topic topic, const struct command *command,
                                    struct weir_error *err)
{
    struct output output;
    const enum weir_status status = output_open(&output, NULL, err);
    if (status != WEIR_OK)
        return status;
    switch (topic) {
    case TOPIC_PROGRAM: help_print_program(&output, commands, COMMANDS); break;
    case TOPIC_COMMAND: help_print_command(&output, command); break;
    case TOPIC_VERSION:
        output_print(&output, "weir %s\n%s\n", weir_version(), weir_build_info());
        break;
    case TOPIC_DEVICES: output_print(&output, "Available devices:\n  (none)\n"); break;
    }
    return output_finish(&output, err);
}

static enum weir_status program_run(int argc, char **argv, struct weir_error *err)
{
    const char *word = argc > 1 ? argv[1] : "";
    const bool asks_help = strcmp(word, "help") == 0 || strcmp(word, "-h") == 0 ||
                           strcmp(word, "--help") == 0 || strcmp(word, "--usage") == 0;
    if (strcmp(word, "--version") == 0)
        return print_topic(TOPIC_VERSION, NULL, err);
    if (asks_help && argc == 2)
        return print_topic(TOPIC_PROGRAM, NULL, err);
    if (argc == 1)
        return err_set(err, WEIR_ERR_ARGUMENT, "no command; see weir --help");
    const struct command *command = asks_help ? command_find(argv[2]) : NULL;
    if (command != NULL && argc == 3)
        return print_topic(TOPIC_COMMAND, command, err);
    if (asks_help)
        return err_set(err, WEIR_ERR_ARGUMENT, "invalid argument: %s",
                       command == NULL ? argv[2] : argv[3]);
    if (word[0] == '-')
        return err_set(err, WEIR_ERR_ARGUMENT, "invalid argument: %s", word);
    return err_set(err, WEIR_ERR_ARGUMENT, "unknown command '%s'; see weir --help", word);
}

/* ---- commands -------------------------------------------------------------------------------- */

static void warn_of_ignored(struct log *log, const enum given *given)
{
    for (uint32_t i = 0; i < flag_count; i++) {
        if (given[i] && flag_table[i].kind == FLAG_IGNORED)
            log_print(log, WEIR_LOG_WARNING, "warning: %s has no effect: %s", flag_table[i].names,
                      flag_table[i].help);
    }
}

static enum weir_status command_start(const struct command *command, const struct call *call,
                                      struct weir_error *err)
{
    const struct options *options = call->options;
    if (options->help)
        return print_topic(TOPIC_COMMAND, command, err);
    if (options->version)
        return print_topic(TOPIC_VERSION, NULL, err);
    if (options->list_devices)
        return print_topic(TOPIC_DEVICES, NULL, err);
    enum weir_status status;
    TRY(prompt_check_target(options, options->log.file, err));
    TRY(log_open(call->log, &options->log, err));
    warn_of_ignored(call->log, call->given);
    status = command->run(call, err);
out:
    return status;
}

static enum weir_status command_call(const struct command *command, int argc, char **argv,
                                     struct log *log, int *exit_status, struct weir_error *err)
{
    enum weir_status status = WEIR_ERR_MEMORY;
    struct options options;
    options_init(&options);
    options.engine.cache_k = options.engine.cache_v = command->cache;
    enum given *given = mem_alloc(flag_count, sizeof *given, err);
    if (given == NULL)
        goto out;
    TRY(args_parse(&options, command->id, command->bare, argc, argv, given, err));
    const struct call call = {
        .options = &options, .given = given, .log = log, .exit_status = exit_status};
    TRY(command_start(command, &call, err));
out:
    mem_free(given);
    options_release(&options);
    return status;
}

int main(int argc, char **argv)
{
    struct weir_error err = {0};
    struct log log = {0};
    interrupt_install();
    const struct command *command = argc > 0 ? command_of_link(argv[0]) : NULL;
    int words_from = 1, exit_status = EXIT_OK;
    if (command == NULL && argc > 1) {
        command = command_find(argv[1]);
        words_from = 2;
    }
    const enum weir_status status =
        command == NULL
            ? program_run(argc, argv, &err)
            : command_call(command, argc - words_from, argv + words_from, &log, &exit_status, &err);
    const bool interrupted =
        status == WEIR_ERR_CANCELLED || (status != WEIR_OK && interrupt_requested());
    if (status != WEIR_OK && !interrupted)
        log_error(&log, err.text);
    log_close(&log);
    return status == WEIR_OK ? exit_status : interrupted ? EXIT_INTERRUPTED : EXIT_ERROR;
}
