/* SPDX-License-Identifier: MIT
 * Reads prompts that are text or tokens. Knows no endpoint. */
#include "serve/prompts.h"

#include <stdlib.h>

#include "base/mem.h"

enum weir_status token_read(const struct json *value, const char *name,
                            const struct weir_tokenizer *tokenizer, int32_t *out,
                            struct weir_error *err)
{
    if (value->kind != JSON_NUMBER)
        return request_refuse_kind(name, "number", value, err);
    const double id = strtod(value->text.bytes, NULL);
    const uint32_t size = weir_tokenizer_size(tokenizer);
    if (!(id >= 0 && id < size))
        return err_set(err, WEIR_ERR_ARGUMENT, "Field '%s': token %.0f, expected 0 to %u", name, id,
                       size - 1);
    *out = (int32_t)id;
    return WEIR_OK;
}

enum weir_status prompt_add_id(struct prompt_tokens *prompt, int32_t id,
                               const struct weir_tokenizer *tokenizer, struct weir_error *err)
{
    size_t length;
    const enum weir_status status =
        mem_grow(&prompt->ids, &prompt->capacity, prompt->count + 1, sizeof *prompt->ids, err);
    if (status != WEIR_OK)
        return status;
    prompt->ids[prompt->count++] = id;
    const char *piece = weir_tokenizer_piece(tokenizer, id, true, &length);
    if (length > 0)
        bytes_add(&prompt->text, piece, length);
    return WEIR_OK;
}

enum weir_status prompt_add_text(struct prompt_tokens *prompt, const char *text, size_t length,
                                 unsigned flags, const struct weir_tokenizer *tokenizer,
                                 struct weir_error *err)
{
    size_t count;
    enum weir_status status;
    TRY(weir_tokenizer_encode(tokenizer, text, length, flags, NULL, 0, &count, err));
    if (count > 0) {
        TRY(mem_grow(&prompt->ids, &prompt->capacity, prompt->count + count, sizeof *prompt->ids,
                     err));
        TRY(weir_tokenizer_encode(tokenizer, text, length, flags, prompt->ids + prompt->count,
                                  count, &count, err));
        prompt->count += count;
    }
    if (length > 0)
        bytes_add(&prompt->text, text, length);
out:
    return status;
}

/* A text, or a list of texts and ids. */
static enum weir_status read_prompt(struct prompt_tokens *prompt, const struct json *value,
                                    const struct weir_tokenizer *tokenizer, struct weir_error *err)
{
    unsigned flags = WEIR_ENCODE_ADD_SPECIAL | WEIR_ENCODE_PARSE_SPECIAL;
    const bool is_list = value->kind == JSON_ARRAY;
    const uint32_t count = is_list ? value->count : 1;
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < count; i++) {
        const struct json *item = is_list ? &value->items[i] : value;
        int32_t id = 0;
        if (item->kind == JSON_STRING) {
            TRY(prompt_add_text(prompt, item->text.bytes, item->text.length, flags, tokenizer,
                                err));
        } else {
            TRY(token_read(item, "prompt", tokenizer, &id, err));
            TRY(prompt_add_id(prompt, id, tokenizer, err));
        }
        flags = WEIR_ENCODE_PARSE_SPECIAL; // what a text begins with stands at the beginning
    }
    if (prompt->count == 0)
        TRY(err_set(err, WEIR_ERR_ARGUMENT, "Field 'prompt': there are no tokens in it"));
    status = bytes_check(&prompt->text, err);
out:
    return status;
}

/* A list is one prompt if there is an id in it. */
static bool is_one(const struct json *prompt)
{
    if (prompt->kind != JSON_ARRAY)
        return true;
    for (uint32_t i = 0; i < prompt->count; i++)
        if (prompt->items[i].kind == JSON_NUMBER)
            return true;
    return prompt->count == 0;
}

enum weir_status prompts_open(struct prompts *out, uint32_t count, struct weir_error *err)
{
    *out = (struct prompts){0};
    out->items = mem_alloc(count, sizeof *out->items, err);
    if (out->items == NULL)
        return WEIR_ERR_MEMORY;
    out->count = count;
    return WEIR_OK;
}

enum weir_status prompts_read(struct prompts *out, const struct json *root,
                              const struct weir_tokenizer *tokenizer, struct weir_error *err)
{
    const struct json *prompt = request_member(root, "prompt");
    *out = (struct prompts){0};
    if (prompt != NULL && prompt->kind == JSON_OBJECT)
        prompt = request_member(prompt, "prompt_string");
    if (prompt == NULL)
        return err_set(err, WEIR_ERR_ARGUMENT, "'prompt' is required");
    if (prompt->kind != JSON_STRING && prompt->kind != JSON_ARRAY)
        return request_refuse_kind("prompt", "string or array", prompt, err);
    const bool is_single = is_one(prompt);
    if (!is_single && prompt->count > REQUEST_CHOICES_MAX)
        return err_set(err, WEIR_ERR_ARGUMENT, "Field 'prompt': %u prompts, at most %d",
                       prompt->count, REQUEST_CHOICES_MAX);
    enum weir_status status = prompts_open(out, is_single ? 1 : prompt->count, err);
    for (uint32_t i = 0; i < out->count && status == WEIR_OK; i++)
        status =
            read_prompt(&out->items[i], is_single ? prompt : &prompt->items[i], tokenizer, err);
    if (status != WEIR_OK)
        prompts_release(out);
    return status;
}

void prompts_release(struct prompts *prompts)
{
    for (uint32_t i = 0; i < prompts->count; i++) {
        mem_free(prompts->items[i].ids);
        bytes_release(&prompts->items[i].text);
    }
    mem_free(prompts->items);
    *prompts = (struct prompts){0};
}
