/* SPDX-License-Identifier: MIT
 * The endpoints that continue a text. Knows neither how it is evaluated nor how it is told. */
#include "serve/generate.h"
#include "serve/translate.h"

#include <string.h>

typedef enum weir_status fill_prompts(struct prompts *out, const struct json *root,
                                      const struct weir_tokenizer *tokenizer,
                                      struct weir_error *err);

static enum weir_status fill(struct generation *generation, struct server *server,
                             enum request_kind kind, fill_prompts *read,
                             struct http_exchange *exchange, struct weir_error *err)
{
    const struct span body = http_body(exchange);
    struct request *request = generation_request(generation);
    enum weir_status status;
    TRY(request_read(request, (const char *)body.data, body.length, kind, &server->defaults, err));
    http_free_body(exchange);
    TRY(http_hold(exchange, json_bytes(request->document), err));
    if (kind == REQUEST_TEXT && request_member(request->root, "suffix") != NULL)
        TRY(err_set(err, WEIR_ERR_UNSUPPORTED, "suffix is not supported: see /infill"));
    generation_set_salt(generation, exchange);
    status = read(generation_prompts(generation), request->root, server->defaults.tokenizer, err);
out:
    return status;
}

static void serve_text(struct server *server, struct http_exchange *exchange,
                       const struct form *form, enum request_kind kind, fill_prompts *read)
{
    struct generation *generation = NULL;
    struct weir_error err = {0};
    enum weir_status status = generation_open(&generation, server, form, &err);
    if (status == WEIR_OK)
        status = fill(generation, server, kind, read, exchange, &err);
    if (status == WEIR_OK) {
        generation_run(generation, exchange);
        return;
    }
    refuse_status(exchange, form->shape, status, &err);
    generation_close(generation);
}

void serve_completion(struct server *server, struct http_exchange *exchange)
{
    serve_text(server, exchange, &form_completion, REQUEST_TEXT, prompts_read);
}

void serve_native(struct server *server, struct http_exchange *exchange)
{
    serve_text(server, exchange, &form_native, REQUEST_NATIVE, prompts_read);
}

/* ---- infill ---------------------------------------------------------------------------------- */

struct infill {
    struct prompt_tokens *prompt;
    const struct weir_tokenizer *tokenizer;
};

static enum weir_status add_mark(const struct infill *infill, const char *mark,
                                 struct weir_error *err)
{
    const int32_t id = weir_tokenizer_find(infill->tokenizer, mark, strlen(mark));
    if (id < 0)
        return err_set(err, WEIR_ERR_UNSUPPORTED, "Infill is not supported by this model: no %s",
                       mark);
    return prompt_add_id(infill->prompt, id, infill->tokenizer, err);
}

/* The text of a member behind a mark; the text is the client's, so no mark is recognised in it. */
static enum weir_status add_member(const struct infill *infill, const char *mark,
                                   const struct json *object, const char *name,
                                   struct weir_error *err)
{
    struct json_text text;
    enum weir_status status;
    if (mark != NULL)
        TRY(add_mark(infill, mark, err));
    TRY(request_text(object, name, &text, err));
    if (text.length > 0)
        TRY(prompt_add_text(infill->prompt, text.bytes, text.length, 0, infill->tokenizer, err));
out:
    return status;
}

static enum weir_status add_extra(const struct infill *infill, const struct json *extra,
                                  struct weir_error *err)
{
    static const char newline[] = "\n";
    if (extra == NULL)
        return WEIR_OK;
    if (extra->kind != JSON_ARRAY)
        return request_refuse_kind("input_extra", "array", extra, err);
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < extra->count; i++) {
        TRY(add_member(infill, "<|file_sep|>", &extra->items[i], "filename", err));
        TRY(prompt_add_text(infill->prompt, newline, 1, 0, infill->tokenizer, err));
        TRY(add_member(infill, NULL, &extra->items[i], "text", err));
    }
    if (extra->count > 0)
        TRY(add_mark(infill, "<|file_sep|>", err));
out:
    return status;
}

static enum weir_status read_infill(struct prompts *out, const struct json *root,
                                    const struct weir_tokenizer *tokenizer, struct weir_error *err)
{
    enum weir_status status;
    TRY(prompts_open(out, 1, err));
    const struct infill infill = {&out->items[0], tokenizer};
    TRY(add_extra(&infill, request_member(root, "input_extra"), err));
    TRY(add_member(&infill, "<|fim_prefix|>", root, "input_prefix", err));
    TRY(add_member(&infill, "<|fim_suffix|>", root, "input_suffix", err));
    TRY(add_member(&infill, "<|fim_middle|>", root, "prompt", err));
    status = bytes_check(&out->items[0].text, err);
out:
    return status;
}

void serve_infill(struct server *server, struct http_exchange *exchange)
{
    serve_text(server, exchange, &form_native, REQUEST_NATIVE, read_infill);
}
