/* SPDX-License-Identifier: MIT
 * Prompts: the text that a template made, as tokens. Knows no template, and nothing of who holds
 * the tokens that are used again. */
#include "chat/chat_prompt.h"

#include <string.h>

#include "base/mem.h"
#include "base/think_marks.h"
#include "chat/call_spelling.h"
#include "chat/value_types.h"
#include "text/special.h"
#include "text/tokenizer.h"

/* Values that are replayed in another spelling: each is looked for at some length. */
enum { RESPELLED_MAX = 1024 };

struct weir_prompt {
    char *text; /* valid UTF-8 */
    size_t length;
    struct text_range *trusted; /* what the template has written: sorted, apart */
    size_t trusted_count;
    struct bytes tools; /* empty: none */
    bool in_reasoning, may_reason;
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

/* What of the end of the text the template has written. */
static struct text_range own_end(const struct weir_prompt *prompt)
{
    const struct text_range none = {prompt->length, prompt->length};
    if (prompt->trusted_count == 0)
        return none;
    const struct text_range last = prompt->trusted[prompt->trusted_count - 1];
    return last.to == prompt->length ? last : none;
}

/* Does the text end with the mark and newlines, in bytes of the template alone? */
static bool ends_with(const struct weir_prompt *prompt, const char *mark, size_t newlines_min)
{
    const struct text_range own = own_end(prompt);
    const size_t length = strlen(mark);
    size_t end = own.to;
    while (end > own.from && prompt->text[end - 1] == '\n')
        end--;
    return own.to - end >= newlines_min && end - own.from >= length &&
           memcmp(prompt->text + end - length, mark, length) == 0;
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
    prompt->in_reasoning = ends_with(prompt, MARK_THINK, 1);
    prompt->may_reason = own_end(prompt).from < prompt->length && !prompt->in_reasoning &&
                         !ends_with(prompt, MARK_THINK_END, 0);
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

bool weir_prompt_may_reason(const struct weir_prompt *prompt)
{
    return prompt->may_reason;
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

/* Known tokens that are gone through beside a prompt. */
struct walk {
    const struct weir_prompt *prompt;
    const struct weir_tokenizer *tokenizer;
    const int32_t *known;
    size_t known_count;
    struct special_scan scan;
    struct text_range control; /* the next one of the prompt */
    struct reuse reuse;
    size_t alike_from;           /* from here on prompt and tokens have the same bytes */
    struct json_text function;   /* the last that the template calls before that */
    struct json_document *tools; /* NULL: not read yet, or there are none */
    uint32_t respelled;          /* values */
};

static const char *known_piece(const struct walk *walk, size_t token, size_t *length)
{
    return weir_tokenizer_piece(walk->tokenizer, walk->known[token], true, length);
}

/* Has the template written the byte? */
static bool is_of_template(const struct weir_prompt *prompt, size_t at)
{
    size_t begin = 0, end = prompt->trusted_count; /* what lies before ends at or before the byte */
    while (begin < end) {
        const size_t middle = begin + (end - begin) / 2;
        if (prompt->trusted[middle].to <= at)
            begin = middle + 1;
        else
            end = middle;
    }
    return begin < prompt->trusted_count && prompt->trusted[begin].from <= at;
}

/* The value as the known tokens have it: up to `at` as the prompt, then what is left of the next
 * token behind its first `same` bytes, and the tokens behind it. False if it does not end. */
static bool read_spelling(const struct walk *walk, const struct call_value *value, size_t at,
                          size_t same, struct bytes *out)
{
    const size_t close = strlen(value->close);
    bytes_add(out, walk->prompt->text + value->from, at - value->from);
    for (size_t token = walk->reuse.tokens; token < walk->known_count; token++) {
        size_t length;
        const char *piece = known_piece(walk, token, &length);
        const uint64_t searched = out->length < close ? 0 : out->length - close;
        if (length == 0 || is_control(walk->tokenizer, walk->known[token]))
            break;
        bytes_add(out, piece + same, length - same);
        same = 0;
        if (out->has_failed || out->length > CALL_VALUE_BYTES_MAX)
            break;
        const char *end =
            memmem(out->data + searched, (size_t)(out->length - searched), value->close, close);
        if (end != NULL) {
            out->length = (uint64_t)(end - out->data);
            return true;
        }
    }
    return false;
}

/* Goes on `bytes` behind where the known tokens are, and at `to` in the prompt. What the token
 * there has behind that must be what the prompt has. */
static bool walk_on(struct walk *walk, size_t bytes, size_t to)
{
    size_t token = walk->reuse.tokens, length;
    const char *piece = known_piece(walk, token, &length);
    while (length <= bytes) {
        bytes -= length;
        piece = known_piece(walk, ++token, &length);
    }
    const size_t rest = length - bytes;
    if (rest > walk->control.from - to || memcmp(walk->prompt->text + to, piece + bytes, rest) != 0)
        return false;
    walk->reuse.tokens = token + 1;
    walk->reuse.bytes = to + rest;
    walk->alike_from = to;
    return true;
}

/* What a parameter's text may be by the tool that is called; of an unknown one it is a string. */
static unsigned types_of(struct walk *walk, struct json_text text, const struct call_value *value)
{
    const struct weir_prompt *prompt = walk->prompt;
    struct weir_error err = {0};
    struct json_text name;
    size_t mark;
    if (call_function_at(text, walk->alike_from, value->mark, &name, &mark) &&
        is_of_template(prompt, mark))
        walk->function = name;
    if (walk->tools == NULL && prompt->tools.length > 0 &&
        json_open(&walk->tools, prompt->tools.data, (size_t)prompt->tools.length, "tools", &err) !=
            WEIR_OK)
        return VALUE_STRING;
    if (walk->tools == NULL || walk->function.bytes == NULL || value->name.bytes == NULL)
        return VALUE_STRING;
    const struct json *parameters = tools_parameters(json_root(walk->tools), walk->function);
    return value_types(parameters, value->name, NULL);
}

/* The next known token, a text, is not what stands here. If they part within a value of a call, and
 * in its spelling alone, goes on behind it: what the model wrote says the same. The marks around it
 * must be the template's, or a user's text would be taken for a call. */
static bool walk_spelling(struct walk *walk, const char *piece, size_t length)
{
    const struct weir_prompt *prompt = walk->prompt;
    const size_t from = walk->reuse.bytes;
    struct bytes spelling = {0};
    size_t same = 0;
    while (same < length && from + same < prompt->length &&
           piece[same] == prompt->text[from + same])
        same++;
    const struct json_text text = {prompt->text, walk->control.from};
    if (from + same > text.length || walk->respelled++ == RESPELLED_MAX)
        return false;
    const struct call_value value = call_value_at(text, walk->alike_from, from + same);
    if (value.close == NULL || !is_of_template(prompt, value.mark) ||
        !is_of_template(prompt, value.to))
        return false;
    const bool is_read = read_spelling(walk, &value, from + same, same, &spelling);
    const struct json_text asked = {prompt->text + value.from, value.to - value.from};
    const struct json_text known = {spelling.data, (size_t)spelling.length};
    const bool is_alike = is_read && value.from + known.length >= from + same &&
                          call_value_alike(&value, types_of(walk, text, &value), asked, known);
    const size_t bytes = value.from + known.length - from;
    bytes_release(&spelling);
    return is_alike && walk_on(walk, bytes, value.to);
}

/* Goes on behind a token that is what stands in the prompt: text where text is, and a control token
 * where the template has written it. */
static bool walk_token(struct walk *walk)
{
    size_t length;
    struct reuse *reuse = &walk->reuse;
    const char *piece = known_piece(walk, reuse->tokens, &length);
    const size_t end = reuse->bytes + length;
    const bool is_here = length > 0 && length <= walk->prompt->length - reuse->bytes &&
                         memcmp(walk->prompt->text + reuse->bytes, piece, length) == 0;
    if (!is_control(walk->tokenizer, walk->known[reuse->tokens])) {
        if (!is_here)
            return length > 0 && walk_spelling(walk, piece, length);
        if (end > walk->control.from)
            return false;
        reuse->tokens++;
        reuse->bytes = end;
        return true;
    }
    if (!is_here || walk->control.from != reuse->bytes || walk->control.to != end)
        return false;
    reuse->control_tokens = ++reuse->tokens;
    reuse->bytes = reuse->control_bytes = end;
    walk->control = next_control(walk->tokenizer, &walk->scan);
    return true;
}

static struct reuse match_known(const struct weir_prompt *prompt,
                                const struct weir_tokenizer *tokenizer, const int32_t *known,
                                size_t known_count)
{
    struct walk walk = {.prompt = prompt,
                        .tokenizer = tokenizer,
                        .known = known,
                        .known_count = known_count,
                        .scan = scan_prompt(prompt)};
    walk.control = next_control(tokenizer, &walk.scan);
    while (walk.reuse.tokens < known_count && walk_token(&walk))
        ;
    json_close(walk.tools);
    return walk.reuse;
}

/* Has the template written all from one byte to another? */
static bool is_all_of_template(const struct weir_prompt *prompt, size_t from, size_t to)
{
    while (from < to && is_of_template(prompt, from))
        from++;
    return from == to;
}

/* What of the known tokens is used: all of them, or those before the difference up to a place where
 * the text is cut in any case. */
static struct reuse find_reuse(const struct weir_prompt *prompt,
                               const struct weir_tokenizer *tokenizer, const int32_t *known,
                               size_t known_count, bool *is_own)
{
    struct reuse reuse = match_known(prompt, tokenizer, known, known_count);
    const bool in_character =
        reuse.bytes < prompt->length && ((unsigned char)prompt->text[reuse.bytes] & 0xc0) == 0x80;
    const bool is_apart = reuse.tokens < known_count || in_character;
    *is_own = !is_apart && reuse.control_bytes < reuse.bytes && reuse.bytes < prompt->length &&
              is_all_of_template(prompt, reuse.control_bytes, reuse.bytes);
    if (is_apart || *is_own) {
        reuse.tokens = reuse.control_tokens;
        reuse.bytes = reuse.control_bytes;
    }
    return reuse;
}

/* Tokens that end within the template's own words, as the beginning of another answer does, are not
 * taken from there on: nothing of that was sampled, and with the words that follow it may be cut
 * otherwise than in a prompt of which nothing is known. How many are the same nevertheless. */
static enum weir_status count_own(const struct weir_prompt *prompt,
                                  const struct weir_tokenizer *tokenizer, struct reuse reuse,
                                  const int32_t *known, size_t known_count, size_t *same,
                                  struct weir_error *err)
{
    enum { MOST = 64 };
    int32_t ids[MOST];
    size_t count = 0;
    struct special_scan scan = scan_prompt(prompt);
    scan.at = reuse.bytes;
    const enum weir_status status = tokenizer_encode_scan(tokenizer, &scan, ids, MOST, &count, err);
    count = count < MOST ? count : MOST;
    *same = 0;
    while (status == WEIR_OK && *same < count && reuse.tokens + *same < known_count &&
           ids[*same] == known[reuse.tokens + *same])
        ++*same;
    return status;
}

enum weir_status weir_prompt_tokens(const struct weir_prompt *prompt,
                                    const struct weir_tokenizer *tokenizer, const int32_t *known,
                                    size_t known_count, int32_t *ids, size_t ids_max,
                                    size_t *ids_count, size_t *reused, struct weir_error *err)
{
    bool is_own;
    const struct reuse reuse = find_reuse(prompt, tokenizer, known, known_count, &is_own);
    const size_t kept = reuse.tokens < ids_max ? reuse.tokens : ids_max;
    struct special_scan scan = scan_prompt(prompt);
    size_t more = 0, same = 0;
    enum weir_status status = WEIR_OK;
    scan.at = reuse.bytes;
    if (is_own)
        TRY(count_own(prompt, tokenizer, reuse, known, known_count, &same, err));
    status = tokenizer_encode_scan(tokenizer, &scan, kept < ids_max ? ids + kept : NULL,
                                   ids_max - kept, &more, err);
    if (kept > 0)
        memmove(ids, known, kept * sizeof *ids);
    *reused = reuse.tokens + same;
    *ids_count = reuse.tokens + more;
out:
    return status;
}
