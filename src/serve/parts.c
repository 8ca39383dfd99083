/* SPDX-License-Identifier: MIT
 * Finds where parts of an answer begin and end. Knows no form of an API. */
#include "serve/parts.h"

static struct json_text text_from(const struct bytes *bytes, uint64_t begin)
{
    if (bytes->length <= begin)
        return (struct json_text){"", 0};
    return (struct json_text){bytes->data + begin, bytes->length - begin};
}

static struct part_end end_of(const struct choice *choice)
{
    const struct message *said = &choice->said;
    const struct parts *parts = &choice->parts;
    struct part_end end = {.text = {"", 0}, .name = {"", 0}, .is_whole = true};
    switch (parts->open) {
    case PART_NONE: break;
    case PART_REASONING: end.text = text_from(&said->reasoning, parts->begin); break;
    case PART_CONTENT: end.text = text_from(&said->content, parts->begin); break;
    case PART_CALL:
        if (said->calls_count == 0)
            break; // for want of memory, which response_check tells
        end.call = said->calls_count - 1;
        end.text = text_from(&said->calls[end.call].arguments, 0);
        end.name = text_from(&said->calls[end.call].name, 0);
        end.is_whole = said->calls[end.call].is_complete;
        break;
    }
    return end;
}

static void close_part(struct response *response, struct choice *choice,
                       const struct part_form *form)
{
    if (choice->parts.open == PART_NONE)
        return;
    const struct part_end end = end_of(choice);
    form->close(response, choice, &end);
    choice->parts.open = PART_NONE;
}

static void open_part(struct response *response, struct choice *choice, enum part part,
                      struct json_text name, const struct part_form *form)
{
    close_part(response, choice, form);
    choice->parts.open = part;
    choice->parts.begin =
        part == PART_REASONING ? choice->said.reasoning.length : choice->said.content.length;
    choice->parts.count++;
    form->open(response, choice, name);
}

static void more_of(struct response *response, struct choice *choice, enum part part,
                    struct json_text text, const struct part_form *form)
{
    if (choice->parts.open != part)
        open_part(response, choice, part, (struct json_text){"", 0}, form);
    form->more(response, choice, text);
}

void parts_take(struct response *response, struct choice *choice,
                const struct weir_reply_event *event, const struct part_form *form)
{
    const struct json_text text = {event->text, event->length};
    switch (event->kind) {
    case WEIR_REPLY_REASONING: more_of(response, choice, PART_REASONING, text, form); break;
    case WEIR_REPLY_CONTENT: more_of(response, choice, PART_CONTENT, text, form); break;
    case WEIR_REPLY_CALL: open_part(response, choice, PART_CALL, text, form); break;
    case WEIR_REPLY_ARGUMENTS: form->more(response, choice, text); break;
    case WEIR_REPLY_CALL_END: break; // the next part, or the end, closes it
    }
}

void parts_end(struct response *response, struct choice *choice, const struct part_form *form)
{
    close_part(response, choice, form);
}
