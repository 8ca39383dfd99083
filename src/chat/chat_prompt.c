/* SPDX-License-Identifier: MIT
 * Prompts: the text that a template made, as tokens. Knows no template, and nothing of who holds
 * the tokens that are used again. */
#include "chat/chat_prompt.h"

#include <string.h>

#include "base/mem.h"
#include "base/think_marks.h"
#include "text/special.h"
#include "text/tokenizer.h"

struct weir_prompt {
    char *text; /* valid UTF-8 */
    size_t length;
    struct text_range *trusted; /* what the template has written: sorted, apart */
    size_t trusted_count;
    struct bytes tools; /* empty: none */
    bool in_reasoning;
};

/* ---- text ------------------------------------------------------------------------------------ */

/* The ranges of the template's bytes, to `ranges` unless it is NULL; returns their number. */
static size_t find_trusted(const struct jinja_output *output, struct text_range *ranges)
{
    size_t count = 0;
    for (size_t i = 0; i < output->length; i++) {
        const bool is_trusted = output->origins[i] == JINJA_OF_TEMPLATE;
        const bool was_trusted = i > 0 && output->origins[i - 1] == JINJA_OF_TEMPLATE;
        if (!is_trusted)
            continue;
        count += !was_trusted;
        if (ranges != NULL && !was_trusted)
            ranges[count - 1].from = i;
        if (ranges != NULL)
            ranges[count - 1].to = i + 1;
    }
    return count;
}

/* Does the text end with what opens a block of reasoning, in bytes of the template alone? */
static bool ends_in_reasoning(const struct weir_prompt *prompt)
{
    static const char opening[] = MARK_THINK;
    size_t end = prompt->length;
    while (end > 0 && prompt->text[end - 1] == '\n')
        end--;
    if (end == prompt->length || end < sizeof opening - 1 || prompt->trusted_count == 0)
        return false;
    const size_t from = end - (sizeof opening - 1);
    const struct text_range last = prompt->trusted[prompt->trusted_count - 1];
    return memcmp(prompt->text + from, opening, sizeof opening - 1) == 0 && last.from <= from &&
           last.to == prompt->length;
}

enum weir_status chat_prompt_open(struct weir_prompt **out, struct jinja_output *output,
                                  struct weir_error *err)
{
    const size_t count = find_trusted(output, NULL);
    struct weir_prompt *prompt = mem_alloc(1, sizeof *prompt, err);
    struct text_range *trusted = mem_alloc(count, sizeof *trusted, err);
    *out = NULL;
    if (prompt == NULL || trusted == NULL) {
        mem_free(prompt);
        mem_free(trusted);
        jinja_output_release(output);
        return WEIR_ERR_MEMORY;
    }
    find_trusted(output, trusted);
    *prompt = (struct weir_prompt){.text = output->bytes,
                                   .length = output->length,
                                   .trusted = trusted,
                                   .trusted_count = count};
    prompt->in_reasoning = ends_in_reasoning(prompt);
    output->bytes = NULL;
    jinja_output_release(output);
    *out = prompt;
    return WEIR_OK;
}

void weir_prompt_close(struct weir_prompt *prompt)
{
    if (prompt == NULL)
        return;
    mem_free(prompt->text);
    mem_free(prompt->trusted);
    bytes_release(&prompt->tools);
    mem_free(prompt);
}

void chat_prompt_set_tools(struct weir_prompt *prompt, struct bytes *tools)
{
    bytes_release(&prompt->tools);
    prompt->tools = *tools;
    *tools = (struct bytes){0};
}

void chat_prompt_set_in_reasoning(struct weir_prompt *prompt, bool in_reasoning)
{
    prompt->in_reasoning = in_reasoning;
}

const char *weir_prompt_text(const struct weir_prompt *prompt, size_t *length)
{
    *length = prompt->length;
    return prompt->text;
}

const char *weir_prompt_tools(const struct weir_prompt *prompt, size_t *length)
{
    *length = (size_t)prompt->tools.length;
    return prompt->tools.data;
}

bool weir_prompt_in_reasoning(const struct weir_prompt *prompt)
{
    return prompt->in_reasoning;
}

/* ---- tokens ---------------------------------------------------------------------------------- */

/* How far known tokens say what the prompt says. */
struct reuse {
    size_t tokens, bytes;                 /* so far */
    size_t control_tokens, control_bytes; /* up to and including the last control token */
};

static struct special_scan scan_prompt(const struct weir_prompt *prompt)
{
    return (struct special_scan){.text = (const uint8_t *)prompt->text,
                                 .length = prompt->length,
                                 .trusted = prompt->trusted,
                                 .trusted_count = prompt->trusted_count};
}

/* The place of the next control token; at the end of the prompt if there is none. */
static struct text_range next_control(const struct weir_tokenizer *tokenizer,
                                      struct special_scan *scan)
{
    const struct special *special;
    do {
        special = tokenizer_scan(tokenizer, scan);
    } while (special != NULL && special->user_defined);
    if (special == NULL)
        return (struct text_range){scan->length, scan->length};
    return (struct text_range){scan->at - special->length, scan->at};
}

static bool is_control(const struct weir_tokenizer *tokenizer, int32_t id)
{
    size_t shown, length;
    weir_tokenizer_piece(tokenizer, id, false, &shown);
    weir_tokenizer_piece(tokenizer, id, true, &length);
    return shown == 0 && length > 0;
}

/* Goes through the known tokens while they are what stands in the prompt: text where text is, and a
 * control token where the template has written it. */
static struct reuse match_known(const struct weir_prompt *prompt,
                                const struct weir_tokenizer *tokenizer, const int32_t *known,
                                size_t known_count)
{
    struct special_scan scan = scan_prompt(prompt);
    struct text_range control = next_control(tokenizer, &scan);
    struct reuse reuse = {0};
    for (; reuse.tokens < known_count; reuse.tokens++) {
        size_t length;
        const char *piece = weir_tokenizer_piece(tokenizer, known[reuse.tokens], true, &length);
        const bool is_here = length > 0 && length <= prompt->length - reuse.bytes &&
                             memcmp(prompt->text + reuse.bytes, piece, length) == 0;
        const size_t end = reuse.bytes + length;
        if (!is_here)
            break;
        if (!is_control(tokenizer, known[reuse.tokens])) {
            if (end > control.from)
                break;
            reuse.bytes = end;
            continue;
        }
        if (control.from != reuse.bytes || control.to != end)
            break;
        reuse.bytes = reuse.control_bytes = end;
        reuse.control_tokens = reuse.tokens + 1;
        control = next_control(tokenizer, &scan);
    }
    return reuse;
}

/* What of the known tokens is used: all of them, or those before the difference up to a place where
 * the text is cut in any case. */
static struct reuse find_reuse(const struct weir_prompt *prompt,
                               const struct weir_tokenizer *tokenizer, const int32_t *known,
                               size_t known_count)
{
    struct reuse reuse = match_known(prompt, tokenizer, known, known_count);
    const bool in_character =
        reuse.bytes < prompt->length && ((unsigned char)prompt->text[reuse.bytes] & 0xc0) == 0x80;
    if (reuse.tokens < known_count || in_character) {
        reuse.tokens = reuse.control_tokens;
        reuse.bytes = reuse.control_bytes;
    }
    return reuse;
}

enum weir_status weir_prompt_tokens(const struct weir_prompt *prompt,
                                    const struct weir_tokenizer *tokenizer, const int32_t *known,
                                    size_t known_count, int32_t *ids, size_t ids_max,
                                    size_t *ids_count, size_t *reused, struct weir_error *err)
{
    const struct reuse reuse = find_reuse(prompt, tokenizer, known, known_count);
    const size_t kept = reuse.tokens < ids_max ? reuse.tokens : ids_max;
    struct special_scan scan = scan_prompt(prompt);
    size_t more = 0;
    scan.at = reuse.bytes;
    const enum weir_status status = tokenizer_encode_scan(
        tokenizer, &scan, kept < ids_max ? ids + kept : NULL, ids_max - kept, &more, err);
    if (kept > 0)
        memmove(ids, known, kept * sizeof *ids);
    *reused = reuse.tokens;
    *ids_count = reuse.tokens + more;
    return status;
}
