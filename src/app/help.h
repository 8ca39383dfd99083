/* SPDX-License-Identifier: MIT
 * Help texts, made from the table of commands and the table of flags. */
#ifndef APP_HELP_H
#define APP_HELP_H

#include "app/command.h"
#include "app/output.h"

/* A paragraph, in lines of the width of a help. */
void help_print_text(struct output *output, const char *text);
void help_print_command(struct output *output, const struct command *command);
void help_print_program(struct output *output, const struct command *commands, size_t count);

#endif
