/* SPDX-License-Identifier: MIT
 * Puts what an answer begins with behind a prompt. Knows no template but by how its prompt ends:
 * with an open block of reasoning, with an empty one, or with none. */
#include "chat/continuation.h"

#include <string.h>

#include "base/mem.h"
#include "base/think_marks.h"
#include "chat/request_calls.h"
#include "chat/request_messages.h"

static const char block_begin[] = THINK_BEGIN, block_end[] = THINK_END;

/* ---- reading --------------------------------------------------------------------------------- */

static struct json_text skip_newlines(struct json_text text)
{
    while (text.length > 0 && text.bytes[0] == '\n') {
        text.bytes++;
        text.length--;
    }
    return text;
}

static struct json_text cut_newlines(struct json_text text)
{
    while (text.length > 0 && text.bytes[text.length - 1] == '\n')
        text.length--;
    return text;
}

/* Behind the mark that opens a block of reasoning, if the text begins with it. */
static struct json_text skip_opening(struct json_text text, bool *has_opening)
{
    static const size_t opening = sizeof MARK_THINK - 1;
    size_t at = 0;
    while (at < text.length && json_is_white(text.bytes[at]))
        at++;
    *has_opening = text.length - at >= opening && memcmp(text.bytes + at, MARK_THINK, opening) == 0;
    if (!*has_opening)
        return text;
    return (struct json_text){text.bytes + at + opening, text.length - at - opening};
}

/* Text that begins with a block of reasoning, which may be open, is taken apart, as templates do
 * with messages of the past. */
static void split_inline(struct continuation *c, struct json_text text, bool has_reasoning)
{
    static const size_t closing = sizeof MARK_THINK_END - 1;
    bool has_opening;
    struct json_text reasoning = skip_opening(text, &has_opening);
    const char *end = memmem(reasoning.bytes, reasoning.length, MARK_THINK_END, closing);
    if (!has_opening && (end == NULL || !has_reasoning)) {
        bytes_add(&c->content, text.bytes, text.length);
        return;
    }
    struct json_text content = {reasoning.bytes, 0};
    if (end != NULL) {
        content.bytes = end + closing;
        content.length = reasoning.length - (size_t)(content.bytes - reasoning.bytes);
        reasoning.length = (size_t)(end - reasoning.bytes);
    }
    content = skip_newlines(content);
    c->is_closed = end != NULL;
    bytes_add(&c->reasoning, reasoning.bytes, reasoning.length);
    bytes_add(&c->content, content.bytes, content.length);
}

enum weir_status continuation_read(struct continuation *out, const struct json *message,
                                   bool has_reasoning, struct weir_error *err)
{
    const struct json *reasoning;
    struct bytes content = {0};
    bool has_calls;
    enum weir_status status = request_has_calls(message, &has_calls, err);
    if (status != WEIR_OK)
        return status;
    if (has_calls)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "a message with calls of tools cannot be continued, expected their results");
    TRY(request_content_read(message, &content, err));
    TRY(request_reasoning_read(message, &reasoning, err));
    if (reasoning != NULL && reasoning->text.length > 0) {
        bytes_add(&out->reasoning, reasoning->text.bytes, reasoning->text.length);
        bytes_add(&out->content, content.data, (size_t)content.length);
    } else if (content.length > 0) {
        split_inline(out, (struct json_text){content.data, (size_t)content.length}, has_reasoning);
    }
    TRY(bytes_check(&out->reasoning, err));
    TRY(bytes_check(&out->content, err));
out:
    bytes_release(&content);
    return status;
}

void continuation_release(struct continuation *continuation)
{
    bytes_release(&continuation->reasoning);
    bytes_release(&continuation->content);
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Does the prompt's text up to `end` end with this, written by the template? */
static bool ends_with(const struct jinja_output *output, size_t end, const char *mark)
{
    const size_t length = strlen(mark);
    if (end < length || memcmp(output->bytes + end - length, mark, length) != 0)
        return false;
    for (size_t i = end - length; i < end; i++) {
        if (output->origins[i] != JINJA_OF_TEMPLATE)
            return false;
    }
    return true;
}

static size_t before_newlines(const struct jinja_output *output, size_t end)
{
    return cut_newlines((struct json_text){output->bytes, end}).length;
}

enum block { BLOCK_NONE, BLOCK_OPEN, BLOCK_EMPTY };

/* The block of reasoning that the prompt ends with, and where its inside begins. */
static enum block find_block(const struct jinja_output *output, size_t *inside)
{
    const size_t end = before_newlines(output, output->length);
    *inside = output->length;
    if (ends_with(output, end, MARK_THINK))
        return BLOCK_OPEN;
    if (!ends_with(output, end, MARK_THINK_END))
        return BLOCK_NONE;
    const size_t closing = end - (sizeof MARK_THINK_END - 1);
    const size_t opening = before_newlines(output, closing);
    *inside = opening + (closing > opening); /* and its newline */
    return ends_with(output, opening, MARK_THINK) ? BLOCK_EMPTY : BLOCK_NONE;
}

struct piece {
    struct json_text text;
    enum jinja_origin origin;
};

enum { PIECES_MAX = 4 };

/* What is left of the output, and the pieces behind it. */
static enum weir_status append(struct jinja_output *output, size_t kept,
                               const struct piece pieces[PIECES_MAX], struct weir_error *err)
{
    struct jinja_output whole = {.length = kept};
    uint64_t length = kept;
    for (size_t i = 0; i < PIECES_MAX; i++) {
        if (!size_add(length, pieces[i].text.length, &length) || length > INT32_MAX)
            return err_set(err, WEIR_ERR_FULL, "a prompt of 2 GiB or more");
    }
    whole.bytes = mem_alloc(length + 1, 1, err);
    whole.origins = mem_alloc(length, 1, err);
    if (whole.bytes == NULL || whole.origins == NULL) {
        jinja_output_release(&whole);
        return WEIR_ERR_MEMORY;
    }
    memcpy(whole.bytes, output->bytes, kept);
    memcpy(whole.origins, output->origins, kept);
    for (size_t i = 0; i < PIECES_MAX; i++) {
        const struct json_text text = pieces[i].text;
        if (text.length == 0)
            continue;
        memcpy(whole.bytes + whole.length, text.bytes, text.length);
        memset(whole.origins + whole.length, pieces[i].origin, text.length);
        whole.length += text.length;
    }
    jinja_output_release(output);
    *output = whole;
    return WEIR_OK;
}

static struct json_text whole_of(const struct bytes *bytes)
{
    return (struct json_text){bytes->data, (size_t)bytes->length};
}

enum weir_status continuation_write(const struct continuation *continuation, bool has_reasoning,
                                    struct jinja_output *output, bool *in_reasoning,
                                    struct weir_error *err)
{
    struct json_text reasoning = skip_newlines(whole_of(&continuation->reasoning));
    const struct json_text content = whole_of(&continuation->content);
    struct piece pieces[PIECES_MAX] = {{.origin = JINJA_OF_TEMPLATE}};
    size_t inside, kept = output->length;
    enum block block = find_block(output, &inside);
    const bool is_closed = continuation->is_closed || content.length > 0;
    if (block == BLOCK_NONE && has_reasoning && (reasoning.length > 0 || is_closed)) {
        pieces[0].text = (struct json_text){block_begin, sizeof block_begin - 1};
        block = BLOCK_OPEN;
    }
    if (block == BLOCK_EMPTY && reasoning.length > 0) {
        kept = inside;
        block = BLOCK_OPEN;
    }
    if (block == BLOCK_OPEN && is_closed) {
        reasoning = cut_newlines(reasoning);
        pieces[2] = (struct piece){{block_end, sizeof block_end - 1}, JINJA_OF_TEMPLATE};
    }
    if (block == BLOCK_OPEN)
        pieces[1] = (struct piece){reasoning, JINJA_OF_INPUT};
    pieces[3] = (struct piece){content, JINJA_OF_INPUT};
    *in_reasoning =
        block == BLOCK_OPEN && !is_closed &&
        (reasoning.length == 0 || memmem(reasoning.bytes, reasoning.length, MARK_THINK_END,
                                         sizeof MARK_THINK_END - 1) == NULL);
    return append(output, kept, pieces, err);
}
