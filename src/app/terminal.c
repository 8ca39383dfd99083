/* SPDX-License-Identifier: MIT
 * The line editor is libedit. Knows nothing of chats and models. */
#include "app/terminal.h"

#include <errno.h>
#include <histedit.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/interrupt.h"
#include "base/file.h"
#include "base/mem.h"

enum {
    HISTORY_LINES = 1000,
    HISTORY_LINE_MAX = 4096, /* bytes: what is longer was pasted, and is not asked for again */
    GLANCE_MS = 200,         /* between looks at signals and at the size of the terminal */
};

static const char literal = '\1'; /* around what a prompt shows in no column */

/* ---- the history's file ---------------------------------------------------------------------- */

/* Makes the folders that a path leads through, as private as XDG wants them. */
static void make_folders(const char *path)
{
    char folder[4096];
    for (const char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        const size_t length = (size_t)(slash - path);
        if (length >= sizeof folder)
            return;
        memcpy(folder, path, length);
        folder[length] = 0;
        mkdir(folder, 0700);
    }
}

/* $XDG_STATE_HOME/weir/history, or below ~/.local/state; NULL if neither is a path. */
static enum weir_status find_history(char **out, struct weir_error *err)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    const bool has_state = state != NULL && state[0] == '/'; /* others are to be ignored */
    struct bytes path = {0};
    *out = NULL;
    if (!has_state && (home == NULL || home[0] != '/'))
        return WEIR_OK;
    bytes_add_text(&path, has_state ? state : home);
    bytes_add_text(&path, has_state ? "/weir/history" : "/.local/state/weir/history");
    const enum weir_status status = bytes_check(&path, err);
    if (status == WEIR_OK)
        *out = path.data;
    else
        bytes_release(&path);
    return status;
}

static enum weir_status open_history(struct terminal *terminal, struct weir_error *err)
{
    HistEvent event;
    terminal->history = history_init();
    if (terminal->history == NULL)
        return err_set(err, WEIR_ERR_MEMORY, "no memory for the history");
    history(terminal->history, &event, H_SETSIZE, HISTORY_LINES);
    history(terminal->history, &event, H_SETUNIQUE, 1);
    const enum weir_status status = find_history(&terminal->history_path, err);
    if (status == WEIR_OK && terminal->history_path != NULL)
        history(terminal->history, &event, H_LOAD, terminal->history_path);
    return status;
}

static void save_history(const struct terminal *terminal)
{
    struct file_writer writer;
    HistEvent event;
    if (terminal->history == NULL || terminal->history_path == NULL)
        return;
    make_folders(terminal->history_path);
    if (file_writer_open(&writer, terminal->history_path, NULL) == WEIR_OK) {
        file_writer_make_private(&writer);
        writer.is_unsynced = true; /* not worth the time of a slow disk */
        if (history(terminal->history, &event, H_SAVE_FP, writer.stream) != -1)
            file_writer_commit(&writer, NULL);
    }
    file_writer_abandon(&writer);
}

/* ---- the editor ------------------------------------------------------------------------------ */

/* The terminal may have got another size, of which no signal tells here. */
static void look_at_size(struct terminal *terminal)
{
    struct winsize size = {0};
    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) != 0)
        return;
    const bool is_other = size.ws_col != terminal->columns || size.ws_row != terminal->rows;
    const bool was_known = terminal->columns > 0;
    terminal->columns = size.ws_col;
    terminal->rows = size.ws_row;
    if (is_other && was_known)
        el_resize(terminal->editor);
}

/* False: a signal came before input did. It may have come to another thread, or between a look and
 * a wait: so waits are short. */
static bool wait_for_input(struct terminal *terminal)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    do {
        if (interrupt_requested())
            return false;
        look_at_size(terminal);
    } while (poll(&input, 1, GLANCE_MS) <= 0);
    return !interrupt_requested();
}

static int end_by_signal(struct terminal *terminal)
{
    const LineInfo *line = el_line(terminal->editor);
    terminal->is_interrupted = true;
    terminal->had_text = line->lastchar > line->buffer;
    return -1;
}

/* The editor's source of characters, which libedit itself would have wait through signals. */
static int get_character(EditLine *editor, wchar_t *out)
{
    struct terminal *terminal = NULL;
    uint32_t code;
    el_get(editor, EL_CLIENTDATA, &terminal);
    while (!typed_take(&terminal->typed, &code)) {
        uint8_t byte;
        if (!wait_for_input(terminal))
            return end_by_signal(terminal);
        const ssize_t got = read(STDIN_FILENO, &byte, 1);
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (got <= 0)
            return (int)got;
        typed_add(&terminal->typed, byte);
    }
    *out = (wchar_t)code;
    return 1;
}

static char *get_prompt(EditLine *editor)
{
    struct terminal *terminal = NULL;
    el_get(editor, EL_CLIENTDATA, &terminal);
    return terminal->prompt;
}

/* What fingers know from elsewhere and libedit does not bind by itself. */
static void bind_keys(EditLine *editor)
{
    static const char *const keys[][2] = {
        {"^R", "em-inc-search-prev"}, {"\\e[1~", "ed-move-to-beg"},
        {"\\e[4~", "ed-move-to-end"}, {"\\e[H", "ed-move-to-beg"},
        {"\\e[F", "ed-move-to-end"},  {"\\e[3~", "ed-delete-next-char"},
        {"\\e[1;5C", "em-next-word"}, {"\\e[1;5D", "ed-prev-word"},
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        el_set(editor, EL_BIND, keys[i][0], keys[i][1], NULL);
}

static enum weir_status open_editor(struct terminal *terminal, struct weir_error *err)
{
    const enum weir_status status = open_history(terminal, err);
    if (status != WEIR_OK)
        return status;
    terminal->editor = el_init("weir", stdin, stdout, stderr);
    if (terminal->editor == NULL)
        return err_set(err, WEIR_ERR_MEMORY, "no memory for the line editor");
    el_set(terminal->editor, EL_CLIENTDATA, terminal);
    el_set(terminal->editor, EL_PROMPT_ESC, get_prompt, literal);
    el_set(terminal->editor, EL_EDITOR, "emacs");
    el_set(terminal->editor, EL_HIST, history, terminal->history);
    el_set(terminal->editor, EL_GETCFN, get_character);
    bind_keys(terminal->editor);
    el_source(terminal->editor, NULL);
    look_at_size(terminal);
    return WEIR_OK;
}

/* Text is UTF-8 here, whatever the environment says of other programs. Numbers stay as they are. */
static void choose_characters(void)
{
    if (setlocale(LC_CTYPE, "") == NULL || strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        setlocale(LC_CTYPE, "C.UTF-8");
}

static bool wants_colors(enum weir_switch colors, bool is_terminal)
{
    const char *refused = getenv("NO_COLOR"), *kind = getenv("TERM");
    if (colors != WEIR_AUTO)
        return colors == WEIR_ON;
    return is_terminal && (refused == NULL || refused[0] == 0) &&
           (kind == NULL || strcmp(kind, "dumb") != 0);
}

enum weir_status terminal_open(struct terminal *terminal, enum weir_switch colors,
                               struct weir_error *err)
{
    const bool is_terminal = isatty(STDOUT_FILENO) != 0;
    terminal->has_colors = wants_colors(colors, is_terminal);
    terminal->is_edited = is_terminal && isatty(STDIN_FILENO) != 0;
    if (!terminal->is_edited)
        return WEIR_OK;
    choose_characters();
    return open_editor(terminal, err);
}

void terminal_close(struct terminal *terminal)
{
    save_history(terminal);
    if (terminal->editor != NULL)
        el_end(terminal->editor);
    if (terminal->history != NULL)
        history_end(terminal->history);
    mem_free(terminal->history_path);
    free(terminal->line);
    *terminal = (struct terminal){.is_edited = false};
}

/* ---- reading --------------------------------------------------------------------------------- */

static void set_prompt(struct terminal *terminal, const char *prompt)
{
    const char *const bold = terminal->has_colors ? "\1\033[1m\1" : "";
    const char *const plain = terminal->has_colors ? "\1\033[0m\1" : "";
    snprintf(terminal->prompt, sizeof terminal->prompt, "%s%s%s", bold, prompt, plain);
}

static enum terminal_event end_of_line(const struct terminal *terminal)
{
    if (!terminal->is_interrupted)
        return TERMINAL_END;
    return terminal->had_text && interrupt_forgive() ? TERMINAL_DISCARDED : TERMINAL_INTERRUPTED;
}

static enum terminal_event read_edited(struct terminal *terminal, const char *prompt,
                                       const char **line, size_t *length)
{
    int count = 0;
    HistEvent event;
    terminal->is_interrupted = terminal->had_text = false;
    set_prompt(terminal, prompt);
    *line = el_gets(terminal->editor, &count);
    if (*line == NULL || terminal->is_interrupted) {
        fputs("\n", stdout);
        return end_of_line(terminal);
    }
    *length = strcspn(*line, "\n");
    char *text = mem_copy_text(*line, *length, NULL);
    if (text != NULL && *length > 0 && *length <= HISTORY_LINE_MAX)
        history(terminal->history, &event, H_ENTER, text);
    mem_free(text);
    return TERMINAL_LINE;
}

static enum terminal_event read_plain(struct terminal *terminal, const char **line, size_t *length)
{
    const ssize_t count = getline(&terminal->line, &terminal->line_capacity, stdin);
    if (interrupt_requested())
        return TERMINAL_INTERRUPTED;
    if (count < 0)
        return TERMINAL_END;
    *line = terminal->line;
    *length = (size_t)count - (terminal->line[count - 1] == '\n');
    return TERMINAL_LINE;
}

enum terminal_event terminal_read(struct terminal *terminal, const char *prompt, const char **line,
                                  size_t *length)
{
    return terminal->editor != NULL ? read_edited(terminal, prompt, line, length)
                                    : read_plain(terminal, line, length);
}
