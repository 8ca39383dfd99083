/* SPDX-License-Identifier: MIT
 * The endpoints that say what is served: health, models, properties. Knows nothing of requests that
 * run. */
#include "serve/generation_settings.h"
#include "serve/page.h"
#include "serve/respond.h"
#include "serve/service.h"
#include "serve/template_caps.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

static void refuse_text(struct http_exchange *exchange, enum api_error error, const char *text)
{
    refuse(exchange, SHAPE_OPENAI, &(struct refusal){.error = error, .text = text});
}

void serve_health(struct server *server, struct http_exchange *exchange)
{
    struct bytes body = {0};
    (void)server;
    put_open(&body, NULL, '{');
    put_text(&body, "status", "ok");
    put_close(&body, '}');
    reply_json(exchange, 200, &body);
}

void serve_embeddings(struct server *server, struct http_exchange *exchange)
{
    (void)server;
    refuse_text(exchange, API_NOT_SUPPORTED, "This server does not support embeddings.");
}

/* ---- models ---------------------------------------------------------------------------------- */

static void put_empty_texts(struct bytes *out, const char *const *keys, size_t count)
{
    for (size_t i = 0; i < count; i++)
        put_text(out, keys[i], "");
}

/* A list of one text. */
static void put_one(struct bytes *out, const char *key, const char *text)
{
    put_open(out, key, '[');
    put_text(out, NULL, text);
    put_close(out, ']');
}

/* "0.8B" of the public model of this shape; of another, as many parameters as it has: "4.9M". */
static void put_size(struct bytes *out, const struct weir_model_info *model)
{
    static const struct {
        double scale;
        char letter;
    } units[] = {{1e9, 'B'}, {1e6, 'M'}, {1e3, 'K'}};
    const double parameters = (double)model->parameters;
    size_t unit = 0;
    char text[32];
    while (unit + 1 < sizeof units / sizeof units[0] && parameters < units[unit].scale)
        unit++;
    snprintf(text, sizeof text, "%.1f%c", parameters / units[unit].scale, units[unit].letter);
    put_text(out, "parameter_size", model->size[0] == '?' ? text : model->size);
}

/* As ollama has it: its clients look for the names alone. */
static void put_ollama_model(struct bytes *out, const struct server *server)
{
    static const char *const empty[] = {"modified_at", "size", "digest"};
    put_open(out, NULL, '{');
    put_text(out, "name", server->name);
    put_text(out, "model", server->name);
    put_empty_texts(out, empty, sizeof empty / sizeof empty[0]);
    put_text(out, "type", "model");
    put_text(out, "description", "");
    put_one(out, "tags", "");
    put_one(out, "capabilities", "completion");
    put_text(out, "parameters", "");
    put_open(out, "details", '{');
    put_text(out, "parent_model", "");
    put_text(out, "format", "gguf");
    put_text(out, "family", server->model.architecture);
    put_one(out, "families", server->model.architecture);
    put_size(out, &server->model);
    put_text(out, "quantization_level", server->model.file_type);
    put_close(out, '}');
    put_close(out, '}');
}

static void put_meta(struct bytes *out, const struct server *server)
{
    const struct weir_engine *engine = scheduler_engine(server->scheduler);
    put_open(out, "meta", '{');
    put_integer(out, "vocab_type", 2); // of llama.cpp: BPE
    put_integer(out, "n_vocab", weir_engine_vocab(engine));
    put_integer(out, "n_ctx", weir_engine_context(engine));
    put_integer(out, "n_ctx_train", server->model.context_trained);
    put_integer(out, "n_embd", weir_engine_width(engine));
    put_integer(out, "n_params", (int64_t)server->model.parameters);
    put_integer(out, "size", (int64_t)server->model.tensor_bytes);
    put_text(out, "ftype", server->model.file_type);
    put_close(out, '}');
}

static void put_model(struct bytes *out, const struct server *server)
{
    put_open(out, NULL, '{');
    put_text(out, "id", server->name);
    put_one(out, "aliases", server->name);
    put_open(out, "tags", '[');
    put_close(out, ']');
    put_text(out, "object", "model");
    put_integer(out, "created", server->started);
    put_text(out, "owned_by", "weir");
    put_meta(out, server);
    put_close(out, '}');
}

void serve_models(struct server *server, struct http_exchange *exchange)
{
    struct bytes body = {0};
    put_open(&body, NULL, '{');
    put_open(&body, "models", '[');
    put_ollama_model(&body, server);
    put_close(&body, ']');
    put_text(&body, "object", "list");
    put_open(&body, "data", '[');
    put_model(&body, server);
    put_close(&body, ']');
    put_close(&body, '}');
    reply_json(exchange, 200, &body);
}

/* A name may have slashes in it: it is all that stands behind "/models/". */
void serve_model(struct server *server, struct http_exchange *exchange)
{
    static const char before[] = "/models/";
    const char *name = strstr(http_path(exchange), before) + sizeof before - 1;
    struct bytes body = {0};
    if (strcmp(name, server->name) != 0) {
        char text[160];
        snprintf(text, sizeof text, "The model '%.64s' does not exist: see /v1/models", name);
        refuse_text(exchange, API_NOT_FOUND, text);
        return;
    }
    put_model(&body, server);
    reply_json(exchange, 200, &body);
}

/* ---- properties ------------------------------------------------------------------------------ */

/* The options of a request that says nothing. */
static enum weir_status put_defaults(struct bytes *out, const struct server *server,
                                     struct weir_error *err)
{
    struct request request;
    const enum weir_status status =
        request_read(&request, "{}", 2, REQUEST_NATIVE, &server->defaults, err);
    if (status != WEIR_OK)
        return status;
    request.sampler.seed = server->defaults.sampler.seed;
    put_open(out, "default_generation_settings", '{');
    put_settings(out, "params", &request, false);
    put_integer(out, "n_ctx", weir_engine_context(scheduler_engine(server->scheduler)));
    put_close(out, '}');
    request_release(&request);
    return WEIR_OK;
}

static void put_modalities(struct bytes *out)
{
    static const char *const kinds[] = {"vision", "video", "audio"};
    put_open(out, "modalities", '{');
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        put_bool(out, kinds[i], false);
    put_close(out, '}');
}

/* The token that a text begins with; empty if there is none. */
static void put_bos(struct bytes *out, const struct weir_tokenizer *tokenizer)
{
    int32_t id = -1;
    size_t count = 0, length = 0;
    const enum weir_status status =
        weir_tokenizer_encode(tokenizer, "", 0, WEIR_ENCODE_ADD_SPECIAL, &id, 1, &count, NULL);
    const char *piece =
        status == WEIR_OK && count > 0 ? weir_tokenizer_piece(tokenizer, id, true, &length) : "";
    put_string(out, "bos_token", piece, length);
}

/* The token that ends a message: of those that end generation, the one that chats have. */
static void put_eos(struct bytes *out, const struct weir_tokenizer *tokenizer)
{
    static const char usual[] = "<|im_end|>";
    const int32_t size = (int32_t)weir_tokenizer_size(tokenizer);
    int32_t id = weir_tokenizer_find(tokenizer, usual, sizeof usual - 1);
    size_t length = 0;
    for (int32_t i = 0; (id < 0 || !weir_tokenizer_ends_generation(tokenizer, id)) && i < size; i++)
        id = i;
    const bool is_end = id >= 0 && weir_tokenizer_ends_generation(tokenizer, id);
    const char *piece = is_end ? weir_tokenizer_piece(tokenizer, id, true, &length) : "";
    put_string(out, "eos_token", piece, length);
}

static enum weir_status put_props(struct bytes *out, const struct server *server,
                                  struct weir_error *err)
{
    const char *source = server->options.template_source;
    put_open(out, NULL, '{');
    const enum weir_status status = put_defaults(out, server, err);
    put_integer(out, "total_slots", scheduler_slots(server->scheduler));
    put_text(out, "model_alias", server->name);
    put_text(out, "model_ftype", server->model.file_type);
    put_text(out, "model_path", server->file);
    put_modalities(out);
    put_bool(out, "endpoint_slots", server->options.slots);
    put_bool(out, "endpoint_props", server->options.props);
    put_bool(out, "endpoint_metrics", server->options.metrics);
    put_bool(out, "ui", server->options.page);
    put_text(out, "chat_template", source != NULL ? source : "");
    put_template_caps(out, &server->template_caps);
    put_bos(out, server->defaults.tokenizer);
    put_eos(out, server->defaults.tokenizer);
    put_text(out, "build_info", weir_build_info());
    put_bool(out, "is_sleeping", false);
    put_close(out, '}');
    return status;
}

void serve_props(struct server *server, struct http_exchange *exchange)
{
    struct bytes body = {0};
    struct weir_error err = {0};
    const enum weir_status status = put_props(&body, server, &err);
    if (status == WEIR_OK) {
        reply_json(exchange, 200, &body);
        return;
    }
    refuse_status(exchange, SHAPE_OPENAI, status, &err);
    bytes_release(&body);
}

/* There is nothing to set: llama-server has none either. */
void serve_set_props(struct server *server, struct http_exchange *exchange)
{
    struct bytes body = {0};
    if (!server->options.props) {
        refuse_text(
            exchange, API_NOT_SUPPORTED,
            "This server does not support changing global properties. Start it with `--props`");
        return;
    }
    put_open(&body, NULL, '{');
    put_bool(&body, "success", true);
    put_close(&body, '}');
    reply_json(exchange, 200, &body);
}

void serve_page(struct server *server, struct http_exchange *exchange)
{
    if (!server->options.page) {
        refuse_text(exchange, API_NOT_FOUND, "File Not Found");
        return;
    }
    http_add_header(exchange, "Content-Security-Policy", web_page_policy);
    http_add_header(exchange, "X-Content-Type-Options", "nosniff");
    http_reply(exchange, 200, "text/html; charset=utf-8", web_page, web_page_length);
}
