/* SPDX-License-Identifier: MIT
 * weir chat: messages in, answers out, until somebody has enough. Knows not how answers are made,
 * and no command by name. */
#include "app/command.h"

#include <string.h>

#include "app/chat_commands.h"
#include "app/chat_figures.h"
#include "app/conversation.h"
#include "app/interrupt.h"
#include "app/prompt.h"
#include "base/mem.h"

static const char prompt[] = "> ";

static void print_banner(struct conversation *c)
{
    if (!c->terminal.is_edited)
        return;
    conversation_say(c, "weir %s, %s", weir_version(), weir_build_info());
    chat_figures_model(c);
    if (c->options->model == c->shipped)
        conversation_say(c, "No model was named: this one ships with weir, and knows a small world "
                            "only.");
}

static void print_hint(struct conversation *c)
{
    if (c->terminal.is_edited)
        conversation_say(c, "\n/help lists commands. Ctrl+C stops an answer, Ctrl+D ends.\n");
}

/* The message of -p and its like, if there is one. */
static enum weir_status read_first(const struct options *options, char **text, size_t *length,
                                   struct weir_error *err)
{
    if (!prompt_is_given(options))
        return WEIR_OK;
    const enum weir_status status =
        prompt_check(options, "--prompt, --file and --binary-file", err);
    return status == WEIR_OK ? prompt_read_text(options, true, text, length, err) : status;
}

/* What fails is told to a person, who can try something else. Where nobody reads along, it ends
 * the program. */
static enum weir_status forgive(struct conversation *c, enum weir_status status,
                                struct weir_error *err)
{
    const bool is_final = status == WEIR_OK || status == WEIR_ERR_CANCELLED ||
                          status == WEIR_ERR_MEMORY || !c->terminal.is_edited ||
                          output_failed(&c->output, NULL) != WEIR_OK;
    if (is_final)
        return status;
    log_error(c->log, err->text);
    *err = (struct weir_error){0};
    return WEIR_OK;
}

/* A message that cannot be answered would stand before all later ones. One whose calls were
 * answered, and whose results cannot be, stays. */
static enum weir_status answer(struct conversation *c, const char *text, size_t length,
                               struct weir_error *err)
{
    const char *const taken_back =
        c->files.length > 0 ? "the message and the files before it are" : "the message is";
    struct weir_error why = {0};
    enum weir_status status = conversation_add(c, text, length, err);
    if (status != WEIR_OK)
        return status;
    status = chat_session_save(c, err); /* the program may be killed before there is an answer */
    if (status == WEIR_OK)
        status = conversation_answer(c, &why);
    const bool is_refused = status != WEIR_OK && status != WEIR_ERR_CANCELLED &&
                            output_failed(&c->output, NULL) == WEIR_OK;
    if (is_refused && !c->is_answered) {
        weir_chat_undo(c->chat, "user");
        chat_session_save(c, NULL); /* the first error is told */
        return err_set(err, status, "%s (%s taken back)", why.text, taken_back);
    }
    return why.status == WEIR_OK ? status : err_set(err, status, "%s", why.text);
}

static bool is_blank(const struct bytes *text)
{
    return text->length == 0 || strspn(text->data, " \t\r\n") == text->length;
}

static enum weir_status take_input(struct conversation *c, struct weir_error *err)
{
    const struct chat_input *input = &c->input;
    const struct bytes *text = &input->text;
    if (is_blank(text) && c->files.length == 0)
        return WEIR_OK;
    if (!input->is_quoted && chat_command_is(text->data, text->length))
        return chat_command_run(c, text->data, err);
    c->is_over = c->options->chat.single_turn;
    return answer(c, text->data, text->length, err);
}

static enum weir_status take_turns(struct conversation *c, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    while (!c->is_over && status == WEIR_OK) {
        enum terminal_event event;
        TRY(chat_input_read(&c->input, prompt, &event, err));
        switch (event) {
        case TERMINAL_LINE: status = forgive(c, take_input(c, err), err); break;
        case TERMINAL_END: c->is_over = true; break;
        case TERMINAL_DISCARDED: break;
        case TERMINAL_INTERRUPTED: status = WEIR_ERR_CANCELLED; break;
        }
    }
out:
    return status;
}

static enum weir_status begin(struct conversation *c, struct weir_error *err)
{
    char *text = NULL;
    size_t length = 0;
    enum weir_status status;
    TRY(read_first(c->options, &text, &length, err));
    print_banner(c);
    TRY(chat_session_tell(c, err));
    print_hint(c);
    if (text == NULL)
        goto out;
    if (c->options->show_prompt && c->terminal.is_edited)
        conversation_say(c, "%s%.*s", prompt, (int)length, text);
    c->is_over = c->options->chat.single_turn;
    status = forgive(c, answer(c, text, length, err), err);
out:
    mem_free(text);
    return status;
}

enum weir_status command_chat(const struct call *call, struct weir_error *err)
{
    struct conversation c = {.is_over = false};
    enum weir_status status;
    TRY(conversation_open(&c, call, err));
    TRY(begin(&c, err));
    TRY(take_turns(&c, err));
out:
    if (status == WEIR_OK || status == WEIR_ERR_CANCELLED) {
        const enum weir_status kept = chat_session_keep(&c, err);
        if (kept != WEIR_OK)
            status = kept;
    } else if (output_failed(&c.output, NULL) != WEIR_OK) {
        chat_session_keep(&c, NULL); /* the terminal has gone; the first error is told */
    }
    if (c.terminal.is_edited && c.chat != NULL)
        conversation_say(&c, "Exiting...");
    if (status == WEIR_OK)
        status = output_finish(&c.output, err);
    output_abandon(&c.output);
    conversation_close(&c);
    return status;
}
