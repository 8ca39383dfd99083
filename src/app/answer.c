/* SPDX-License-Identifier: MIT
 * What parts of a reply look like. Knows not where they come from. */
#include "app/answer.h"

#include <string.h>

static const char dim[] = "\033[2m", normal[] = "\033[0m";

static void put(struct answer *answer, const char *text, size_t length)
{
    output_put(answer->output, text, length);
    if (length > 0)
        answer->last = text[length - 1];
}

static void put_text(struct answer *answer, const char *text)
{
    put(answer, text, strlen(text));
}

static void put_style(struct answer *answer, const char *style)
{
    if (answer->has_colors)
        output_print(answer->output, "%s", style);
}

/* Bytes of the control character that the text begins with: of those of C0 that are no layout, and
 * those of C1, which are two bytes. */
static size_t control_bytes(const char *text, size_t length)
{
    const uint8_t first = (uint8_t)text[0];
    if ((first < 0x20 && first != '\n' && first != '\t') || first == 0x7f)
        return 1;
    const bool is_c1 = first == 0xc2 && length > 1 && (uint8_t)text[1] < 0xa0;
    return is_c1 ? 2 : 0;
}

/* A model may write what would move the cursor, or worse. */
static void put_cleaned(struct answer *answer, const char *text, size_t length)
{
    size_t begin = 0;
    for (size_t i = 0; i < length;) {
        const size_t control = control_bytes(text + i, length - i);
        if (control > 0) {
            put(answer, text + begin, i - begin);
            put_text(answer, "?");
            begin = i + control;
        }
        i += control > 0 ? control : 1;
    }
    put(answer, text + begin, length - begin);
}

static void put_model_text(struct answer *answer, const char *text, size_t length)
{
    if (answer->is_cleaned)
        put_cleaned(answer, text, length);
    else
        put(answer, text, length);
}

static void end_line(struct answer *answer)
{
    if (answer->last != 0 && answer->last != '\n')
        put_text(answer, "\n");
}

static void leave_part(struct answer *answer, bool is_last)
{
    switch (answer->part) {
    case ANSWER_NOTHING: break;
    case ANSWER_REASONING:
        end_line(answer);
        put_text(answer, "[End thinking]");
        put_style(answer, normal);
        put_text(answer, is_last ? "\n" : "\n\n");
        break;
    case ANSWER_CONTENT: end_line(answer); break;
    case ANSWER_CALL:
        put_text(answer, answer->is_call_open ? " ... cut off]" : "]");
        put_style(answer, normal);
        put_text(answer, "\n");
        answer->tools.length = answer->tools_whole; /* nobody is asked for what was cut off */
        answer->is_call_open = false;
        break;
    }
}

static void enter_part(struct answer *answer, enum answer_part part)
{
    if (answer->part != ANSWER_NOTHING)
        leave_part(answer, false);
    answer->part = part;
    switch (part) {
    case ANSWER_NOTHING:
    case ANSWER_CONTENT: break;
    case ANSWER_REASONING:
        put_style(answer, dim);
        put_text(answer, "[Start thinking]\n");
        break;
    case ANSWER_CALL:
        put_style(answer, dim);
        put_text(answer, "[call ");
        break;
    }
}

void answer_release(struct answer *answer)
{
    bytes_release(&answer->tools);
}

void answer_begin(struct answer *answer)
{
    answer->part = ANSWER_NOTHING;
    answer->last = 0;
    answer->is_call_open = false;
    answer->tools_whole = 0;
    bytes_clear(&answer->tools);
}

void answer_event(void *user, const struct weir_reply_event *event)
{
    struct answer *answer = user;
    switch (event->kind) {
    case WEIR_REPLY_REASONING:
        if (answer->part != ANSWER_REASONING)
            enter_part(answer, ANSWER_REASONING);
        put_model_text(answer, event->text, event->length);
        break;
    case WEIR_REPLY_CONTENT:
        if (answer->part != ANSWER_CONTENT)
            enter_part(answer, ANSWER_CONTENT);
        put_model_text(answer, event->text, event->length);
        break;
    case WEIR_REPLY_CALL:
        enter_part(answer, ANSWER_CALL);
        put_model_text(answer, event->text, event->length);
        put_text(answer, " ");
        bytes_add(&answer->tools, event->text, event->length);
        bytes_add(&answer->tools, "", 1);
        answer->is_call_open = true;
        break;
    case WEIR_REPLY_ARGUMENTS: put_model_text(answer, event->text, event->length); break;
    case WEIR_REPLY_CALL_END:
        answer->is_call_open = false;
        answer->tools_whole = answer->tools.length;
        break;
    }
    output_flush(answer->output);
}

enum weir_status answer_end(struct answer *answer, struct weir_error *err)
{
    leave_part(answer, true);
    answer->part = ANSWER_NOTHING;
    output_flush(answer->output);
    const enum weir_status status = output_failed(answer->output, err);
    return status == WEIR_OK ? bytes_check(&answer->tools, err) : status;
}
