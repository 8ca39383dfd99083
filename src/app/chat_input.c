/* SPDX-License-Identifier: MIT
 * Where a message goes on, and where it ends. Knows no command by name. */
#include "app/chat_input.h"

#include <string.h>

#include "app/chat_commands.h"
#include "app/interrupt.h"

static const char quote[] = "\"\"\"";
enum { QUOTE = sizeof quote - 1 };
static const char more_prompt[] = "... ";

static bool begins_quoted(const char *line, size_t length)
{
    return length >= QUOTE && memcmp(line, quote, QUOTE) == 0;
}

static bool ends_quoted(const char *line, size_t length)
{
    return length >= QUOTE && memcmp(line + length - QUOTE, quote, QUOTE) == 0;
}

/* Adds a line of what is quoted; true if it is the last one. */
static bool add_quoted(struct chat_input *input, const char *line, size_t length)
{
    const bool is_last = ends_quoted(line, length);
    bytes_add(&input->text, line, is_last ? length - QUOTE : length);
    if (!is_last)
        bytes_add_text(&input->text, "\n");
    return is_last;
}

/* Likewise of any other message. */
static bool add_line(struct chat_input *input, const char *line, size_t length)
{
    const bool has_backslash = length > 0 && line[length - 1] == '\\';
    const bool is_last = has_backslash == input->is_multiline;
    bytes_add(&input->text, line, has_backslash ? length - 1 : length);
    if (!is_last)
        bytes_add_text(&input->text, "\n");
    return is_last;
}

static bool add_first(struct chat_input *input, const char *line, size_t length)
{
    if (chat_command_is(line, length)) {
        bytes_add(&input->text, line, length);
        return true;
    }
    input->is_quoted = begins_quoted(line, length);
    if (!input->is_quoted)
        return add_line(input, line, length);
    /* a line of quotes alone begins, and adds no line of its own */
    const size_t begin = QUOTE + (length > QUOTE && line[QUOTE] == '\n');
    return length > begin && add_quoted(input, line + begin, length - begin);
}

void chat_input_release(struct chat_input *input)
{
    bytes_release(&input->text);
}

enum weir_status chat_input_read(struct chat_input *input, const char *prompt,
                                 enum terminal_event *event, struct weir_error *err)
{
    const char *line = NULL;
    size_t length = 0;
    bytes_clear(&input->text);
    input->is_quoted = false;
    *event = terminal_read(input->terminal, prompt, &line, &length);
    if (*event != TERMINAL_LINE)
        return WEIR_OK;
    bool is_whole = add_first(input, line, length);
    while (!is_whole) {
        const enum terminal_event next =
            terminal_read(input->terminal, more_prompt, &line, &length);
        if (next == TERMINAL_END)
            break; /* the next read finds it again */
        /* an empty line of a message that has others: there is something to drop */
        const bool is_dropped =
            next == TERMINAL_INTERRUPTED && input->terminal->is_edited && interrupt_forgive();
        *event = is_dropped ? TERMINAL_DISCARDED : next;
        if (next != TERMINAL_LINE)
            return WEIR_OK;
        is_whole =
            input->is_quoted ? add_quoted(input, line, length) : add_line(input, line, length);
    }
    return bytes_check(&input->text, err);
}
