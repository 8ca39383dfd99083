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
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/utf8.h"

enum {
    GLANCE_MS = 200,           /* between looks at signals and at the size of the terminal */
    PASTE_BYTES_MAX = 1 << 20, /* what is longer is for /read */
    NAMES_SHOWN = 60,          /* of those that a text can become */
};

static const char literal = '\1'; /* around what a prompt shows in no column */

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

static bool knows_pastes(void)
{
    const char *kind = getenv("TERM");
    return kind != NULL && strcmp(kind, "dumb") != 0;
}

/* Keys come as they are pressed, and what is pasted between two marks, if the terminal knows of
 * that. It may be otherwise than libedit knows. */
static void prepare(struct terminal *terminal)
{
    fputs(terminal->modes.to_edited, stdout);
    fflush(stdout);
    el_set(terminal->editor, EL_PREP_TERM, 0);
    el_set(terminal->editor, EL_PREP_TERM, 1);
}

/* Behind a stop the line is edited as before, and stands there again. */
static void look_at_stops(struct terminal *terminal)
{
    if (!interrupt_went_on())
        return;
    prepare(terminal);
    el_set(terminal->editor, EL_REFRESH);
}

/* False: a signal came before input did. It may have come to another thread, or between a look and
 * a wait: so waits are short. */
static bool wait_for_input(struct terminal *terminal)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    do {
        if (interrupt_requested())
            return false;
        look_at_stops(terminal);
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

/* ---- keys of ours ---------------------------------------------------------------------------- */

/* Of a paste the ends of lines as texts have them, and nothing else that steers a terminal. */
static void add_pasted(struct bytes *text, wchar_t character, wchar_t before)
{
    uint8_t bytes[4];
    if (text->length >= PASTE_BYTES_MAX || (character == L'\n' && before == L'\r'))
        return;
    if (character == L'\r')
        character = L'\n';
    if ((character >= L' ' && character != 0x7f) || character == L'\n' || character == L'\t')
        bytes_add(text, bytes, utf8_encode((uint32_t)character, bytes));
}

/* Up to the mark that ends it; false if a signal came first. */
static bool read_pasted(EditLine *editor, struct bytes *text)
{
    static const wchar_t end[] = L"\033[201~";
    enum { END = sizeof end / sizeof end[0] - 1 };
    wchar_t before = 0;
    for (uint32_t matched = 0; matched < END;) {
        wchar_t character;
        if (get_character(editor, &character) <= 0)
            return false;
        if (character == end[matched]) {
            matched++;
            continue;
        }
        for (uint32_t i = 1; i < matched; i++) /* no mark after all: text, but for its escape */
            add_pasted(text, end[i], 0);
        matched = character == end[0];
        if (matched == 0)
            add_pasted(text, character, before);
        before = character;
    }
    return true;
}

/* A text that is pasted is a part of the line, with the ends of its own lines. */
static unsigned char insert_pasted(EditLine *editor, int key)
{
    struct bytes text = {0};
    (void)key;
    const bool is_whole = read_pasted(editor, &text);
    if (text.length > 0 && text.data[text.length - 1] == '\n')
        text.data[text.length - 1] = 0;
    const bool is_in = text.length > 0 && bytes_check(&text, NULL) == WEIR_OK &&
                       el_insertstr(editor, text.data) == 0;
    bytes_release(&text);
    if (!is_whole)
        return CC_EOF;
    return is_in ? CC_REFRESH : CC_NORM;
}

/* Names of files may hold what steers a terminal. */
static void show_names(struct completion *completion)
{
    char *name = completion->names.data;
    fputs("\n", stdout);
    for (uint32_t i = 0; i < completion->count && i < NAMES_SHOWN; i++, name += strlen(name) + 1) {
        text_clean(name);
        fprintf(stdout, "%s%s", i > 0 ? "  " : "", name);
    }
    fputs(completion->count > NAMES_SHOWN ? "  ...\n" : "\n", stdout);
}

/* Goes on as far as all that is possible does the same; shows it if there is nothing to go on
 * with. Where nothing is to be completed a tab is a tab. */
static unsigned char complete(EditLine *editor, int key)
{
    struct terminal *terminal = NULL;
    struct completion found = {.count = 0};
    unsigned char result = CC_ERROR;
    size_t begin = 0;
    (void)key;
    el_get(editor, EL_CLIENTDATA, &terminal);
    const LineInfo *line = el_line(editor);
    char *text = mem_copy_text(line->buffer, (size_t)(line->cursor - line->buffer), NULL);
    if (text == NULL)
        return CC_ERROR;
    if (terminal->complete == NULL || !terminal->complete(text, &begin, &found)) {
        result = el_insertstr(editor, "\t") == 0 ? CC_REFRESH : CC_ERROR;
    } else if (found.count > 0 && bytes_check(&found.names, NULL) == WEIR_OK &&
               bytes_check(&found.common, NULL) == WEIR_OK) {
        const char *more = found.common.data + strlen(text + begin);
        if (more[0] != 0 && el_insertstr(editor, more) == 0) {
            result = CC_REFRESH;
        } else if (found.count > 1) {
            show_names(&found);
            result = CC_REDISPLAY;
        }
    }
    completion_release(&found);
    mem_free(text);
    return result;
}

/* What fingers know from elsewhere and libedit does not bind by itself. */
static void bind_keys(EditLine *editor)
{
    static const char *const keys[][2] = {
        {"^R", "em-inc-search-prev"}, {"\\e[1~", "ed-move-to-beg"},
        {"\\e[4~", "ed-move-to-end"}, {"\\e[H", "ed-move-to-beg"},
        {"\\e[F", "ed-move-to-end"},  {"\\e[3~", "ed-delete-next-char"},
        {"\\e[1;5C", "em-next-word"}, {"\\e[1;5D", "ed-prev-word"},
        {"^I", "weir-complete"},      {"\\e[200~", "weir-paste"},
    };
    /* the other el_set would copy the names, and lose the copies */
    el_wset(editor, EL_ADDFN, L"weir-complete", L"Completes a command or a path", complete);
    el_wset(editor, EL_ADDFN, L"weir-paste", L"Inserts what is pasted", insert_pasted);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        el_set(editor, EL_BIND, keys[i][0], keys[i][1], NULL);
}

/* Takes the terminal until it is closed: what is typed while an answer comes is for the next line,
 * and must not be echoed into the answer, nor cut at its ends of lines. */
static void hold(struct terminal *terminal)
{
    struct interrupt_terminal *modes = &terminal->modes;
    const bool has_marks = knows_pastes();
    modes->to_edited = has_marks ? "\033[?2004h" : "";
    modes->to_plain = has_marks ? "\033[?2004l" : "";
    prepare(terminal);
    tcgetattr(STDIN_FILENO, &modes->edited);
    interrupt_hold_terminal(modes);
}

static enum weir_status open_editor(struct terminal *terminal, struct weir_error *err)
{
    const enum weir_status status = line_history_open(&terminal->past, err);
    if (status != WEIR_OK)
        return status;
    tcgetattr(STDIN_FILENO, &terminal->modes.plain);
    terminal->editor = el_init("weir", stdin, stdout, stderr);
    if (terminal->editor == NULL)
        return err_set(err, WEIR_ERR_MEMORY, "no memory for the line editor");
    el_set(terminal->editor, EL_CLIENTDATA, terminal);
    el_set(terminal->editor, EL_PROMPT_ESC, get_prompt, literal);
    el_set(terminal->editor, EL_EDITOR, "emacs");
    el_set(terminal->editor, EL_HIST, history, terminal->past.lines);
    el_set(terminal->editor, EL_GETCFN, get_character);
    bind_keys(terminal->editor);
    el_source(terminal->editor, NULL);
    look_at_size(terminal);
    hold(terminal);
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
    if (terminal->editor != NULL) {
        interrupt_hold_terminal(NULL);
        el_end(terminal->editor);
        tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal->modes.plain);
        fputs(terminal->modes.to_plain, stdout);
        fflush(stdout);
    }
    line_history_close(&terminal->past);
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
    terminal->is_interrupted = terminal->had_text = false;
    set_prompt(terminal, prompt);
    if (interrupt_went_on())
        prepare(terminal);
    *line = el_gets(terminal->editor, &count);
    el_set(terminal->editor, EL_PREP_TERM, 1); /* libedit has left it as others have it */
    if (*line == NULL || terminal->is_interrupted) {
        fputs("\n", stdout);
        return end_of_line(terminal);
    }
    *length = strlen(*line);
    *length -= *length > 0 && (*line)[*length - 1] == '\n';
    char *text = mem_copy_text(*line, *length, NULL);
    if (text != NULL)
        line_history_add(&terminal->past, text);
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
