/* SPDX-License-Identifier: MIT
 * Puts texts between the marks that models of code know. Knows neither how the prompt is evaluated
 * nor how the answer is told. */
#include "serve/infill.h"

#include <string.h>

struct infill {
    struct prompt_tokens *prompt;
    const struct weir_tokenizer *tokenizer;
};

/* The text is the client's, so no mark is recognised in it. */
static enum weir_status add_text(const struct infill *infill, const char *text, size_t length,
                                 struct weir_error *err)
{
    return length == 0 ? WEIR_OK
                       : prompt_add_text(infill->prompt, text, length, 0, infill->tokenizer, err);
}

static enum weir_status add_mark(const struct infill *infill, const char *mark,
                                 struct weir_error *err)
{
    const int32_t id = weir_tokenizer_find(infill->tokenizer, mark, strlen(mark));
    if (id < 0)
        return err_set(err, WEIR_ERR_UNSUPPORTED, "Infill is not supported by this model: no %s",
                       mark);
    return prompt_add_id(infill->prompt, id, infill->tokenizer, err);
}

/* The text of a member behind a mark. */
static enum weir_status add_member(const struct infill *infill, const char *mark,
                                   const struct json *object, const char *name,
                                   struct weir_error *err)
{
    struct json_text text;
    enum weir_status status;
    TRY(add_mark(infill, mark, err));
    TRY(request_text(object, name, &text, err));
    TRY(add_text(infill, text.bytes, text.length, err));
out:
    return status;
}

/* ---- files ----------------------------------------------------------------------------------- */

/* A name and the end of its line, behind a mark that the vocabulary may lack. */
static enum weir_status add_name(const struct infill *infill, const char *mark,
                                 struct json_text name, struct weir_error *err)
{
    const bool has_mark = weir_tokenizer_find(infill->tokenizer, mark, strlen(mark)) >= 0;
    struct bytes line = {0};
    enum weir_status status = WEIR_OK;
    if (!has_mark)
        return WEIR_OK;
    bytes_add(&line, name.bytes, name.length);
    bytes_add_text(&line, "\n");
    TRY(bytes_check(&line, err));
    TRY(add_mark(infill, mark, err));
    TRY(add_text(infill, line.data, line.length, err));
out:
    bytes_release(&line);
    return status;
}

static const char mark_file[] = "<|file_sep|>";

static enum weir_status add_extra(const struct infill *infill, const struct json *extra,
                                  struct weir_error *err)
{
    struct json_text name, text;
    enum weir_status status;
    TRY(request_text(extra, "filename", &name, err));
    TRY(request_text(extra, "text", &text, err));
    TRY(add_name(infill, mark_file, name.bytes != NULL ? name : (struct json_text){"tmp", 3}, err));
    TRY(add_text(infill, text.bytes, text.length, err));
out:
    return status;
}

/* Requests name neither their project nor their file: these are llama-server's names. */
static enum weir_status add_files(const struct infill *infill, const struct json *extras,
                                  struct weir_error *err)
{
    static const struct json_text project = {"myproject", 9}, file = {"filename", 8};
    enum weir_status status;
    if (extras != NULL && extras->kind != JSON_ARRAY)
        return request_refuse_kind("input_extra", "array", extras, err);
    TRY(add_name(infill, "<|repo_name|>", project, err));
    for (uint32_t i = 0; extras != NULL && i < extras->count; i++)
        TRY(add_extra(infill, &extras->items[i], err));
    TRY(add_name(infill, mark_file, file, err));
out:
    return status;
}

enum weir_status infill_read(struct prompts *out, const struct json *root,
                             const struct weir_tokenizer *tokenizer, struct weir_error *err)
{
    enum weir_status status;
    TRY(prompts_open(out, 1, err));
    const struct infill infill = {&out->items[0], tokenizer};
    struct json_text line;
    TRY(add_files(&infill, request_member(root, "input_extra"), err));
    TRY(add_member(&infill, "<|fim_prefix|>", root, "input_prefix", err));
    TRY(request_text(root, "prompt", &line, err));
    TRY(add_text(&infill, line.bytes, line.length, err));
    TRY(add_member(&infill, "<|fim_suffix|>", root, "input_suffix", err));
    TRY(add_mark(&infill, "<|fim_middle|>", err));
    TRY(bytes_check(&out->items[0].text, err));
out:
    return status;
}
