/* SPDX-License-Identifier: MIT
 * The endpoints that turn text into tokens and back. Knows neither models nor what is generated. */
#include "serve/prompts.h"
#include "serve/respond.h"
#include "serve/service.h"
#include "serve/translate.h"

#include "base/mem.h"
#include "base/utf8.h"

/* ---- tokenize -------------------------------------------------------------------------------- */

struct tokenizing {
    struct json_text content;
    bool add_special, parse_special, with_pieces;
};

static enum weir_status read_tokenizing(struct tokenizing *out, const struct json *root,
                                        struct weir_error *err)
{
    enum weir_status status;
    *out = (struct tokenizing){.parse_special = true};
    TRY(request_text(root, "content", &out->content, err));
    TRY(request_truth(root, "add_special", &out->add_special, err));
    TRY(request_truth(root, "parse_special", &out->parse_special, err));
    TRY(request_truth(root, "with_pieces", &out->with_pieces, err));
out:
    return status;
}

/* A piece that is no text by itself is told as its bytes. */
static void put_piece(struct bytes *out, const struct weir_tokenizer *tokenizer, int32_t id)
{
    size_t length = 0;
    const char *piece = weir_tokenizer_piece(tokenizer, id, true, &length);
    put_open(out, NULL, '{');
    put_integer(out, "id", id);
    if (utf8_repaired_length((const uint8_t *)piece, length) == length) {
        put_string(out, "piece", piece, length);
    } else {
        put_open(out, "piece", '[');
        for (size_t i = 0; i < length; i++)
            put_integer(out, NULL, (uint8_t)piece[i]);
        put_close(out, ']');
    }
    put_close(out, '}');
}

static void put_tokens(struct bytes *out, const struct prompt_tokens *tokens, bool with_pieces,
                       const struct weir_tokenizer *tokenizer)
{
    put_open(out, NULL, '{');
    put_open(out, "tokens", '[');
    for (uint64_t i = 0; i < tokens->count; i++) {
        if (with_pieces)
            put_piece(out, tokenizer, tokens->ids[i]);
        else
            put_integer(out, NULL, tokens->ids[i]);
    }
    put_close(out, ']');
    put_close(out, '}');
}

static enum weir_status tokenize(struct bytes *out, const struct json *root,
                                 const struct weir_tokenizer *tokenizer, struct weir_error *err)
{
    struct prompts prompts = {0};
    struct tokenizing options;
    enum weir_status status;
    TRY(read_tokenizing(&options, root, err));
    TRY(prompts_open(&prompts, 1, err));
    const unsigned flags = (options.add_special ? WEIR_ENCODE_ADD_SPECIAL : 0) |
                           (options.parse_special ? WEIR_ENCODE_PARSE_SPECIAL : 0);
    if (options.content.bytes != NULL)
        TRY(prompt_add_text(&prompts.items[0], options.content.bytes, options.content.length, flags,
                            tokenizer, err));
    put_tokens(out, &prompts.items[0], options.with_pieces, tokenizer);
out:
    prompts_release(&prompts);
    return status;
}

/* ---- detokenize ------------------------------------------------------------------------------ */

static enum weir_status detokenize(struct bytes *out, const struct json *root,
                                   const struct weir_tokenizer *tokenizer, struct weir_error *err)
{
    const struct json *tokens = request_member(root, "tokens");
    struct prompts prompts = {0};
    enum weir_status status;
    if (tokens != NULL && tokens->kind != JSON_ARRAY)
        return request_refuse_kind("tokens", "array", tokens, err);
    TRY(prompts_open(&prompts, 1, err));
    for (uint32_t i = 0; tokens != NULL && i < tokens->count; i++) {
        int32_t id = 0;
        TRY(token_read(&tokens->items[i], "tokens", tokenizer, &id, err));
        TRY(prompt_add_id(&prompts.items[0], id, tokenizer, err));
    }
    const struct bytes *text = &prompts.items[0].text;
    TRY(bytes_check(text, err));
    put_open(out, NULL, '{');
    put_string(out, "content", text->data, text->length);
    put_close(out, '}');
out:
    prompts_release(&prompts);
    return status;
}

/* ---- endpoints ------------------------------------------------------------------------------- */

static void answer(struct server *server, struct http_exchange *exchange,
                   enum weir_status (*make)(struct bytes *, const struct json *,
                                            const struct weir_tokenizer *, struct weir_error *))
{
    const struct span span = http_body(exchange);
    struct json_document *document = NULL;
    struct bytes body = {0};
    struct weir_error err = {0};
    enum weir_status status;
    TRY(translate_open(&document, (const char *)span.data, span.length, &err));
    TRY(make(&body, json_root(document), server->defaults.tokenizer, &err));
    reply_json(exchange, 200, &body);
out:
    if (status != WEIR_OK)
        refuse_status(exchange, SHAPE_OPENAI, status, &err);
    bytes_release(&body);
    json_close(document);
}

void serve_tokenize(struct server *server, struct http_exchange *exchange)
{
    answer(server, exchange, tokenize);
}

void serve_detokenize(struct server *server, struct http_exchange *exchange)
{
    answer(server, exchange, detokenize);
}
