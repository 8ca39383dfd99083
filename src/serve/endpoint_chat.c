/* SPDX-License-Identifier: MIT
 * The endpoints of chats: from a body in any of three APIs to a prompt and its tokens. Knows
 * neither how they are evaluated nor how answers are told. */
#include "serve/generate.h"
#include "serve/respond.h"
#include "serve/translate.h"

#include "base/mem.h"

/* What the three APIs differ by. */
struct chat_api {
    const struct form *form;
    /* The body as a request of chat completions; NULL: it is one. */
    enum weir_status (*translate)(struct bytes *out, const char *body, size_t length,
                                  struct weir_error *err);
    const char *counted; /* "object" of a response that counts tokens; NULL: none */
};

static const struct chat_api chat_api = {&form_chat, NULL, "response.input_tokens"};
static const struct chat_api messages_api = {&form_messages, translate_messages, NULL};
static const struct chat_api responses_api = {&form_responses, translate_responses,
                                              "response.input_tokens"};

/* ---- the prompt ------------------------------------------------------------------------------ */

/* The body, translated if need be; borrowed from the exchange or `own`. */
static enum weir_status get_body(const struct chat_api *api, struct http_exchange *exchange,
                                 struct bytes *own, struct json_text *out, struct weir_error *err)
{
    const struct span body = http_body(exchange);
    *out = (struct json_text){(const char *)body.data, body.length};
    if (api->translate == NULL)
        return WEIR_OK;
    const enum weir_status status = api->translate(own, out->bytes, out->length, err);
    *out = (struct json_text){own->data, own->length};
    return status;
}

/* The request with the member that makes a last message of the assistant one that is complete. */
static void complete_last(struct bytes *out, const struct json *root)
{
    static const char *const others[] = {"add_generation_prompt", NULL};
    put_open(out, NULL, '{');
    translate_rest(out, root, others);
    put_bool(out, others[0], true);
    put_close(out, '}');
}

/* True if the server takes a last message of the assistant as complete, and the request says
 * nothing else. */
static bool is_completed(const struct server *server, const struct json *root)
{
    return server->options.no_prefill_assistant && root->kind == JSON_OBJECT &&
           request_member(root, "add_generation_prompt") == NULL &&
           request_member(root, "continue_final_message") == NULL;
}

static enum weir_status render(const struct server *server, const struct json *root,
                               struct weir_prompt **out, struct weir_error *err)
{
    struct json_text body = root->source;
    struct bytes own = {0};
    enum weir_status status;
    if (is_completed(server, root)) {
        complete_last(&own, root);
        body = (struct json_text){own.data, own.length};
    }
    TRY(bytes_check(&own, err));
    TRY(weir_template_render_request(server->options.chat_template, out, body.bytes, body.length,
                                     &server->options.request, err));
out:
    bytes_release(&own);
    return status;
}

/* The prompt's tokens, as far as they are known as they were generated, and its text. */
static enum weir_status get_tokens(struct generation *generation, struct server *server,
                                   const struct weir_prompt *prompt, struct weir_error *err)
{
    struct prompts *prompts = generation_prompts(generation);
    uint32_t count;
    size_t length;
    enum weir_status status;
    TRY(prompts_open(prompts, 1, err));
    struct prompt_tokens *tokens = &prompts->items[0];
    TRY(scheduler_tokens(server->scheduler, prompt, generation_salt(generation), &tokens->ids,
                         &count, err));
    tokens->count = count;
    if (count == 0)
        TRY(err_set(err, WEIR_ERR_ARGUMENT, "The prompt has no tokens"));
    const char *text = weir_prompt_text(prompt, &length);
    bytes_add(&tokens->text, text, length);
    status = bytes_check(&tokens->text, err);
out:
    return status;
}

/* Fills a generation from a body. */
static enum weir_status fill(struct generation *generation, struct server *server,
                             const struct chat_api *api, struct http_exchange *exchange,
                             struct weir_error *err)
{
    struct request *request = generation_request(generation);
    struct weir_prompt *prompt = NULL;
    struct chat_options options = {0};
    struct bytes own = {0};
    struct json_text body;
    enum weir_status status;
    TRY(get_body(api, exchange, &own, &body, err));
    TRY(request_read(request, body.bytes, body.length, REQUEST_CHAT, &server->defaults, err));
    http_free_body(exchange);
    TRY(http_hold(exchange, json_bytes(request->document), err));
    if (api != &chat_api) // parts of them are told apart, never by marks in a text
        request->reasoning_format = WEIR_REASONING_APART;
    if (api == &messages_api) { // which have no form for them
        request->wants_logprobs = false;
        request->logprobs = 0;
    }
    generation_set_salt(generation, exchange);
    TRY(render(server, request->root, &prompt, err));
    options.tools = weir_prompt_tools(prompt, &options.tools_length);
    options.in_reasoning = weir_prompt_in_reasoning(prompt);
    options.may_reason = weir_prompt_may_reason(prompt);
    generation_set_chat(generation, &options, prompt);
    status = get_tokens(generation, server, prompt, err);
out:
    bytes_release(&own);
    return status;
}

/* ---- endpoints ------------------------------------------------------------------------------- */

/* False if there is no template, and the client was told so. */
static bool has_template(const struct server *server, const struct chat_api *api,
                         struct http_exchange *exchange)
{
    if (server->options.chat_template != NULL)
        return true;
    refuse(exchange, api->form->shape,
           &(struct refusal){.error = API_NOT_SUPPORTED,
                             .text = "This model has no chat template. Start the server with "
                                     "`--chat-template`"});
    return false;
}

static struct generation *open_filled(struct server *server, struct http_exchange *exchange,
                                      const struct chat_api *api)
{
    struct generation *generation = NULL;
    struct weir_error err = {0};
    if (!has_template(server, api, exchange))
        return NULL;
    enum weir_status status = generation_open(&generation, server, api->form, &err);
    if (status == WEIR_OK)
        status = fill(generation, server, api, exchange, &err);
    if (status == WEIR_OK)
        return generation;
    refuse_status(exchange, api->form->shape, status, &err);
    generation_close(generation);
    return NULL;
}

static void serve_with(struct server *server, struct http_exchange *exchange,
                       const struct chat_api *api)
{
    struct generation *generation = open_filled(server, exchange, api);
    if (generation != NULL)
        generation_run(generation, exchange);
}

static void count_with(struct server *server, struct http_exchange *exchange,
                       const struct chat_api *api)
{
    struct generation *generation = open_filled(server, exchange, api);
    struct bytes body = {0};
    if (generation == NULL)
        return;
    put_open(&body, NULL, '{');
    put_integer(&body, "input_tokens", (int64_t)generation_prompts(generation)->items[0].count);
    if (api->counted != NULL)
        put_text(&body, "object", api->counted);
    put_close(&body, '}');
    generation_close(generation);
    reply_json(exchange, 200, &body);
}

void serve_chat(struct server *server, struct http_exchange *exchange)
{
    serve_with(server, exchange, &chat_api);
}

void serve_chat_tokens(struct server *server, struct http_exchange *exchange)
{
    count_with(server, exchange, &chat_api);
}

void serve_messages(struct server *server, struct http_exchange *exchange)
{
    serve_with(server, exchange, &messages_api);
}

void serve_messages_tokens(struct server *server, struct http_exchange *exchange)
{
    count_with(server, exchange, &messages_api);
}

void serve_responses(struct server *server, struct http_exchange *exchange)
{
    serve_with(server, exchange, &responses_api);
}

void serve_responses_tokens(struct server *server, struct http_exchange *exchange)
{
    count_with(server, exchange, &responses_api);
}

void serve_apply_template(struct server *server, struct http_exchange *exchange)
{
    const struct span span = http_body(exchange);
    struct json_document *document = NULL;
    struct weir_prompt *prompt = NULL;
    struct weir_error err = {0};
    struct bytes body = {0};
    enum weir_status status;
    size_t length;
    if (!has_template(server, &chat_api, exchange))
        return;
    TRY(translate_open(&document, (const char *)span.data, span.length, &err));
    TRY(render(server, json_root(document), &prompt, &err));
    const char *text = weir_prompt_text(prompt, &length);
    put_open(&body, NULL, '{');
    put_string(&body, "prompt", text, length);
    put_close(&body, '}');
    reply_json(exchange, 200, &body);
out:
    if (status != WEIR_OK)
        refuse_status(exchange, SHAPE_OPENAI, status, &err);
    weir_prompt_close(prompt);
    json_close(document);
}

static enum weir_status read_control(struct json_text *id, const struct json *root,
                                     struct weir_error *err)
{
    struct json_text action;
    enum weir_status status;
    TRY(request_text(root, "id", id, err));
    TRY(request_text(root, "action", &action, err));
    if (action.bytes == NULL || !json_text_equals(action, "reasoning_end"))
        TRY(err_set(err, WEIR_ERR_ARGUMENT, "Invalid action"));
    if (id->bytes == NULL)
        TRY(err_set(err, WEIR_ERR_ARGUMENT, "'id' is required"));
out:
    return status;
}

void serve_control(struct server *server, struct http_exchange *exchange)
{
    const struct span span = http_body(exchange);
    struct json_document *document = NULL;
    struct weir_error err = {0};
    struct json_text id;
    enum weir_status status;
    TRY(translate_open(&document, (const char *)span.data, span.length, &err));
    TRY(read_control(&id, json_root(document), &err));
    struct bytes body = {0};
    put_open(&body, NULL, '{');
    put_bool(&body, "success", generation_end_reasoning(server, id));
    put_close(&body, '}');
    reply_json(exchange, 200, &body);
out:
    if (status != WEIR_OK)
        refuse_status(exchange, SHAPE_OPENAI, status, &err);
    json_close(document);
}
