/* SPDX-License-Identifier: MIT
 * Lays out help. Knows no flag by name. */
#include "app/help.h"

#include <string.h>

enum { HELP_COLUMN = 36, HELP_WIDTH = 100, HELP_NAMES_MAX = 160 };

/* Prints `text` from column `at` on, its lines from column `left`, and a newline. */
static void print_wrapped(struct output *output, int left, int at, const char *text)
{
    const int width = output_columns(output, HELP_WIDTH);
    int column = at;
    while (*text != 0) {
        const int word = (int)strcspn(text, " ");
        if (column > left && column + 1 + word > width) {
            output_print(output, "\n");
            column = 0;
        }
        if (column < left) {
            output_print(output, "%*s", left - column, "");
            column = left;
        } else if (column > left) {
            output_print(output, " ");
            column++;
        }
        output_put(output, text, (size_t)word);
        column += word;
        text += word;
        text += strspn(text, " ");
    }
    output_print(output, "\n");
}

static void print_flag(struct output *output, const struct flag *flag)
{
    char names[HELP_NAMES_MAX];
    const int length =
        snprintf(names, sizeof names, "  %s%s%s", flag->names, flag->value == NULL ? "" : " ",
                 flag->value == NULL ? "" : flag->value);
    const bool own_line = length + 2 > HELP_COLUMN;
    output_print(output, "%s%s", names, own_line ? "\n" : "");
    char help[512];
    snprintf(help, sizeof help, "%s%s%s%s", flag->help, flag->env == NULL ? "" : " [",
             flag->env == NULL ? "" : flag->env, flag->env == NULL ? "" : "]");
    print_wrapped(output, HELP_COLUMN, own_line ? 0 : length, help);
}

void help_print_text(struct output *output, const char *text)
{
    print_wrapped(output, 0, 0, text);
}

void help_print_command(struct output *output, const struct command *command)
{
    output_print(output, "Usage: weir %s %s\n\n", command->name, command->usage);
    help_print_text(output, command->details);
    const struct flag *section = NULL;
    for (uint32_t i = 0; i < flag_count; i++) {
        const struct flag *flag = &flag_table[i];
        if (flag->kind == FLAG_SECTION)
            section = flag;
        if (!(flag->commands & command->id))
            continue;
        if (section != NULL)
            output_print(output, "\n%s:\n", section->help);
        section = NULL;
        print_flag(output, flag);
    }
    if (command->help != NULL)
        command->help(output);
}

void help_print_program(struct output *output, const struct command *commands, size_t count)
{
    output_print(output, "Usage: weir COMMAND [flags]\n"
                         "       weir help [COMMAND]\n"
                         "       weir --version\n\n");
    help_print_text(output, "Runs hybrid Gated-DeltaNet language models (Qwen3-Next, Qwen3.5, "
                            "Qwen3.6) from GGUF files, and makes such files.");
    output_print(output, "\nCommands:\n");
    for (size_t i = 0; i < count; i++)
        output_print(output, "  %-10s%s\n", commands[i].name, commands[i].summary);
    output_print(output, "\n\"weir COMMAND --help\" lists the flags of a command.\n");
    help_print_text(output, "Exit status: 0 success, 1 usage or load error, 3 worse than before "
                            "(profile --diff), 130 interrupted.");
}
