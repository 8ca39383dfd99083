/* SPDX-License-Identifier: MIT
 * Reads the members of a request that are lists or objects. Knows no endpoint. */
#include "serve/request_lists.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "serve/prompts.h"

/* ---- texts ----------------------------------------------------------------------------------- */

enum weir_status request_keep_text(struct request *request, const char *name, struct json_text text,
                                   const char **out, struct weir_error *err)
{
    if (memchr(text.bytes, 0, text.length) != NULL)
        return err_set(err, WEIR_ERR_ARGUMENT, "Field '%s': a text with a zero in it", name);
    enum weir_status status;
    TRY(mem_grow(&request->texts, &request->texts_capacity, request->texts_count + 1,
                 sizeof *request->texts, err));
    char *copy = mem_copy_text(text.bytes, text.length, err);
    if (copy == NULL)
        return WEIR_ERR_MEMORY;
    request->texts[request->texts_count++] = copy;
    *out = copy;
out:
    return status;
}

/* ---- stop ------------------------------------------------------------------------------------ */

static enum weir_status add_stop(struct request *request, const struct json *value,
                                 struct weir_error *err)
{
    if (value->kind != JSON_STRING)
        return request_refuse_kind("stop", "string", value, err);
    if (value->text.length == 0)
        return WEIR_OK; // would stop at once
    if (value->text.length > REQUEST_STOP_BYTES_MAX)
        return err_set(err, WEIR_ERR_ARGUMENT, "Field 'stop': a text of %zu bytes, at most %d",
                       value->text.length, REQUEST_STOP_BYTES_MAX);
    if (request->stops_count == REQUEST_STOPS_MAX)
        return err_set(err, WEIR_ERR_ARGUMENT, "Field 'stop': more than %d texts",
                       REQUEST_STOPS_MAX);
    return request_keep_text(request, "stop", value->text, &request->stops[request->stops_count++],
                             err);
}

enum weir_status request_read_stops(struct request *request, struct weir_error *err)
{
    const struct json *stop = request_member(request->root, "stop");
    if (stop == NULL)
        return WEIR_OK;
    if (stop->kind != JSON_ARRAY)
        return add_stop(request, stop, err);
    for (uint32_t i = 0; i < stop->count; i++) {
        const enum weir_status status = add_stop(request, &stop->items[i], err);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

/* ---- tokens that end the text ---------------------------------------------------------------- */

enum weir_status request_read_ends(struct request *request, const struct weir_tokenizer *tokenizer,
                                   struct weir_error *err)
{
    static const char name[] = "stop_token_ids";
    const struct json *ends = request_member(request->root, name);
    enum weir_status status = WEIR_OK;
    if (ends == NULL)
        return WEIR_OK;
    if (ends->kind != JSON_ARRAY)
        return request_refuse_kind(name, "array", ends, err);
    if (ends->count > REQUEST_ENDS_MAX)
        return err_set(err, WEIR_ERR_ARGUMENT, "Field '%s': %u tokens, at most %d", name,
                       ends->count, REQUEST_ENDS_MAX);
    request->ends = mem_alloc(ends->count, sizeof *request->ends, err);
    if (request->ends == NULL)
        return WEIR_ERR_MEMORY;
    for (uint32_t i = 0; i < ends->count && status == WEIR_OK; i++)
        status = token_read(&ends->items[i], name, tokenizer, &request->ends[i], err);
    request->ends_count = ends->count;
    return status;
}

/* ---- biases ---------------------------------------------------------------------------------- */

static enum weir_status add_bias(struct request *request, int32_t id, float bias,
                                 struct weir_error *err)
{
    if (request->biases_count == REQUEST_BIASES_MAX)
        return err_set(err, WEIR_ERR_ARGUMENT, "Field 'logit_bias': more than %d tokens",
                       REQUEST_BIASES_MAX);
    const enum weir_status status =
        mem_grow(&request->biases, &request->biases_capacity, request->biases_count + 1,
                 sizeof *request->biases, err);
    if (status == WEIR_OK)
        request->biases[request->biases_count++] = (struct weir_logit_bias){id, bias};
    return status;
}

/* Each token of the text. */
static enum weir_status add_text_bias(struct request *request, struct json_text text, float bias,
                                      const struct weir_tokenizer *tokenizer,
                                      struct weir_error *err)
{
    int32_t ids[256];
    size_t count;
    enum weir_status status;
    TRY(weir_tokenizer_encode(tokenizer, text.bytes, text.length, WEIR_ENCODE_PARSE_SPECIAL, ids,
                              sizeof ids / sizeof ids[0], &count, err));
    if (count > sizeof ids / sizeof ids[0])
        TRY(err_set(err, WEIR_ERR_ARGUMENT, "Field 'logit_bias': a text of %zu tokens", count));
    for (size_t i = 0; i < count; i++)
        TRY(add_bias(request, ids[i], bias, err));
out:
    return status;
}

/* A token, by its number or by text. Numbers of no token have no effect. */
static enum weir_status add_biased(struct request *request, struct json_text token, float bias,
                                   const struct weir_tokenizer *tokenizer, struct weir_error *err)
{
    uint64_t id = 0;
    size_t digits = 0;
    while (digits < token.length && digits < 10 && token.bytes[digits] >= '0' &&
           token.bytes[digits] <= '9')
        id = 10 * id + (uint64_t)(token.bytes[digits++] - '0');
    if (digits == 0 || digits < token.length)
        return add_text_bias(request, token, bias, tokenizer, err);
    if (id >= weir_tokenizer_size(tokenizer))
        return WEIR_OK;
    return add_bias(request, (int32_t)id, bias, err);
}

/* A number to add, or false: never. */
static enum weir_status read_bias(const struct json *value, float *out, struct weir_error *err)
{
    *out = -INFINITY;
    if (value->kind == JSON_FALSE)
        return WEIR_OK;
    if (value->kind != JSON_NUMBER)
        return request_refuse_kind("logit_bias", "number", value, err);
    const double bias = strtod(value->text.bytes, NULL);
    *out = bias > 1e6 ? 1e6f : (float)bias;
    return WEIR_OK;
}

/* [id or text, bias]. Numbers of no token have no effect; the others are one however written. */
static enum weir_status add_pair(struct request *request, const struct json *pair,
                                 const struct weir_tokenizer *tokenizer, struct weir_error *err)
{
    if (pair->kind != JSON_ARRAY || pair->count != 2)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "Field 'logit_bias': expected pairs of a token and a number");
    const struct json *token = &pair->items[0];
    if (token->kind != JSON_STRING && token->kind != JSON_NUMBER)
        return request_refuse_kind("logit_bias", "number or string", token, err);
    float bias;
    const enum weir_status status = read_bias(&pair->items[1], &bias, err);
    if (status != WEIR_OK)
        return status;
    if (token->kind == JSON_STRING)
        return add_biased(request, token->text, bias, tokenizer, err);
    const double id = strtod(token->text.bytes, NULL);
    const bool is_token = id >= 0 && id < weir_tokenizer_size(tokenizer) && id == floor(id);
    return is_token ? add_bias(request, (int32_t)id, bias, err) : WEIR_OK;
}

enum weir_status request_read_biases(struct request *request,
                                     const struct weir_tokenizer *tokenizer, struct weir_error *err)
{
    const struct json *list = request_member(request->root, "logit_bias");
    if (list == NULL)
        return WEIR_OK;
    if (list->kind != JSON_ARRAY && list->kind != JSON_OBJECT)
        return request_refuse_kind("logit_bias", "object or array", list, err);
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < list->count; i++) {
        float bias = 0;
        if (list->kind == JSON_ARRAY) {
            TRY(add_pair(request, &list->items[i], tokenizer, err));
            continue;
        }
        TRY(read_bias(&list->items[i], &bias, err));
        TRY(add_biased(request, list->keys[i], bias, tokenizer, err));
    }
    request->sampler.biases = request->biases;
    request->sampler.biases_count = (uint32_t)request->biases_count;
out:
    return status;
}

/* ---- samplers -------------------------------------------------------------------------------- */

/* The letters of a list of names; names of no sampler are left out, as llama-server does. */
static enum weir_status read_names(struct request *request, const struct json *names,
                                   struct weir_error *err)
{
    char chain[WEIR_SAMPLER_CHAIN_MAX] = "";
    size_t count = 0;
    for (uint32_t i = 0; i < names->count; i++) {
        const struct json *name = &names->items[i];
        const char *text = NULL;
        if (name->kind != JSON_STRING)
            return request_refuse_kind("samplers", "string", name, err);
        const enum weir_status status =
            request_keep_text(request, "samplers", name->text, &text, err);
        if (status != WEIR_OK)
            return status;
        struct weir_sampler_options one = request->sampler;
        if (weir_sampler_chain_parse(&one, text, NULL) != WEIR_OK)
            continue;
        const size_t length = strlen(one.chain);
        if (count + length >= sizeof chain)
            return err_set(err, WEIR_ERR_ARGUMENT, "Field 'samplers': more than %zu",
                           sizeof chain - 1);
        memcpy(chain + count, one.chain, length);
        count += length;
    }
    memcpy(request->sampler.chain, chain, sizeof chain);
    return WEIR_OK;
}

enum weir_status request_read_samplers(struct request *request, struct weir_error *err)
{
    const struct json *samplers = request_member(request->root, "samplers");
    if (samplers == NULL)
        return WEIR_OK;
    if (samplers->kind == JSON_ARRAY)
        return read_names(request, samplers, err);
    if (samplers->kind != JSON_STRING)
        return request_refuse_kind("samplers", "array or string", samplers, err);
    const char *text = NULL;
    const enum weir_status status =
        request_keep_text(request, "samplers", samplers->text, &text, err);
    if (status != WEIR_OK)
        return status;
    return weir_sampler_chain_parse(&request->sampler, text, err);
}

enum weir_status request_read_breakers(struct request *request, struct weir_error *err)
{
    static const char name[] = "dry_sequence_breakers";
    const struct json *breakers = request_member(request->root, name);
    if (breakers == NULL)
        return WEIR_OK;
    if (breakers->kind != JSON_ARRAY)
        return request_refuse_kind(name, "array", breakers, err);
    if (breakers->count > WEIR_DRY_BREAKERS_MAX)
        return err_set(err, WEIR_ERR_ARGUMENT, "Field '%s': %u texts, at most %d", name,
                       breakers->count, WEIR_DRY_BREAKERS_MAX);
    for (uint32_t i = 0; i < breakers->count; i++) {
        if (breakers->items[i].kind != JSON_STRING)
            return request_refuse_kind(name, "string", &breakers->items[i], err);
        const enum weir_status status = request_keep_text(request, name, breakers->items[i].text,
                                                          &request->sampler.dry_breakers[i], err);
        if (status != WEIR_OK)
            return status;
    }
    request->sampler.dry_breakers_count = breakers->count;
    return WEIR_OK;
}

/* ---- what is told ---------------------------------------------------------------------------- */

/* Each stands for a part of the answer, which may be long: a prompt of megabytes is told once. */
static bool is_new_field(const struct json *names, uint32_t at)
{
    const struct json_text name = names->items[at].text;
    if (name.length == 0 || name.bytes[name.length - 1] == '/')
        return false; // the whole, or a part under a second name
    for (uint32_t i = 0; i < at; i++)
        if (json_text_compare(names->items[i].text, name) == 0)
            return false;
    return true;
}

enum weir_status request_read_response_fields(struct request *request, struct weir_error *err)
{
    const struct json *names = request_member(request->root, "response_fields");
    if (names == NULL)
        return WEIR_OK;
    if (names->kind != JSON_ARRAY)
        return request_refuse_kind("response_fields", "array", names, err);
    if (names->count > REQUEST_RESPONSE_FIELDS_MAX)
        return err_set(err, WEIR_ERR_ARGUMENT, "Field 'response_fields': more than %d names",
                       REQUEST_RESPONSE_FIELDS_MAX);
    for (uint32_t i = 0; i < names->count; i++) {
        const struct json *name = &names->items[i];
        if (name->kind != JSON_STRING)
            return request_refuse_kind("response_fields", "string", name, err);
        if (!is_new_field(names, i))
            return err_set(err, WEIR_ERR_ARGUMENT,
                           "Field 'response_fields': a name that is empty or there twice");
    }
    request->response_fields = names->count > 0 ? names : NULL;
    return WEIR_OK;
}
