/* SPDX-License-Identifier: MIT
 * Fuzzes the bodies of requests to the server: a byte that chooses the endpoint, a body. Options
 * that are read are within their ranges, and what is translated for chats is JSON. */
#include "fuzz/fuzz.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "serve/infill.h"
#include "serve/prompts.h"
#include "serve/request_lists.h"
#include "serve/translate.h"
#include "text/tokenizer.h"

enum { BODY_MAX = 1 << 12, TOKENS = 6 };

static void expect(bool condition)
{
    if (!condition)
        abort();
}

/* Two letters and some marks: bytes that are none have no ids. */
static struct weir_tokenizer *open_tokenizer(void)
{
    static const struct span tokens[] = {
        {(const uint8_t *)"a", 1},
        {(const uint8_t *)"b", 1},
        {(const uint8_t *)"<|im_end|>", 10},
        {(const uint8_t *)"<|fim_prefix|>", 14},
        {(const uint8_t *)"<|fim_suffix|>", 14},
        {(const uint8_t *)"<|fim_middle|>", 14},
    };
    static const int32_t types[TOKENS] = {TOKEN_NORMAL,  TOKEN_NORMAL,  TOKEN_CONTROL,
                                          TOKEN_CONTROL, TOKEN_CONTROL, TOKEN_CONTROL};
    const struct tokenizer_source source = {
        .tokens = tokens,
        .types = types,
        .tokens_count = TOKENS,
        .pretokenizer = PRETOKENIZER_QWEN35,
        .bos = -1,
        .eos = -1,
    };
    struct weir_tokenizer *tokenizer;
    expect(tokenizer_open(&tokenizer, &source, NULL) == WEIR_OK);
    return tokenizer;
}

static void check_sampler(const struct weir_sampler_options *sampler)
{
    struct weir_sampler *opened;
    expect(sampler->temperature >= 0 && isfinite(sampler->temperature));
    expect(sampler->top_p >= 0 && sampler->top_p <= 1 && sampler->top_k >= 0);
    expect(strlen(sampler->chain) < WEIR_SAMPLER_CHAIN_MAX);
    expect(sampler->seed != WEIR_SEED_RANDOM);
    // What was read may still be refused, as a breaker of DRY that is too long; it is no accident.
    if (weir_sampler_open(&opened, sampler, TOKENS, 64, NULL, NULL) == WEIR_OK)
        weir_sampler_close(opened);
}

/* Of the tools that there are, those with the names; each name is that of one, or is refused. */
static void check_allowed(const struct request *request)
{
    static const char tools[] = "[{\"function\":{\"name\":\"a\"}},{\"name\":\"b\"}]";
    struct bytes out = {0};
    const enum weir_status status =
        request_allowed_tools(request, tools, sizeof tools - 1, &out, NULL);
    expect(status == WEIR_ERR_ARGUMENT ||
           (status == WEIR_OK && json_check(out.data, (size_t)out.length, NULL)));
    bytes_release(&out);
}

static void check_request(const struct request *request, uint32_t slots)
{
    check_sampler(&request->sampler);
    expect(request->choices >= 1 && request->choices <= slots);
    expect(request->slot >= -1 && request->slot < (int32_t)slots);
    expect(request->tokens_max >= -1 && request->logprobs <= REQUEST_LOGPROBS_MAX);
    expect(request->stops_count <= REQUEST_STOPS_MAX);
    for (uint32_t i = 0; i < request->stops_count; i++)
        expect(request->stops[i][0] != 0 && strlen(request->stops[i]) <= REQUEST_STOP_BYTES_MAX);
    for (uint64_t i = 0; i < request->biases_count; i++)
        expect(request->biases[i].id >= 0 && request->biases[i].id < TOKENS);
    expect(request->calls == CALLS_NONE || request->has_tools);
    expect(request->language == LANGUAGE_ANY || request->grammar.bytes != NULL);
    for (uint32_t i = 0; i < request->ends_count; i++)
        expect(request->ends[i] >= 0 && request->ends[i] < TOKENS);
    if (request->allowed != NULL)
        check_allowed(request);
}

static void check_prompts(const struct request *request, const struct weir_tokenizer *tokenizer)
{
    struct prompts prompts;
    if (prompts_read(&prompts, request->root, tokenizer, NULL) != WEIR_OK)
        return;
    expect(prompts.count >= 1 && prompts.count <= REQUEST_CHOICES_MAX);
    for (uint32_t i = 0; i < prompts.count; i++)
        expect(prompts.items[i].count > 0);
    prompts_release(&prompts);
}

/* Three marks, and what texts stand between them. */
static void check_infill(const struct request *request, const struct weir_tokenizer *tokenizer)
{
    struct prompts prompts = {0};
    if (infill_read(&prompts, request->root, tokenizer, NULL) == WEIR_OK)
        expect(prompts.count == 1 && prompts.items[0].count >= 3);
    prompts_release(&prompts);
}

static void read_request(const char *body, size_t length, enum request_kind kind,
                         const struct weir_tokenizer *tokenizer)
{
    const uint32_t slots = 1 + (uint32_t)(length % 4);
    struct request_defaults defaults = {.tokenizer = tokenizer, .tokens_max = -1, .slots = slots};
    struct request request;
    struct weir_error err = {0};
    weir_sampler_options_init(&defaults.sampler);
    const enum weir_status status = request_read(&request, body, length, kind, &defaults, &err);
    expect(status == err.status && status != WEIR_ERR_MEMORY);
    if (status != WEIR_OK)
        return;
    check_request(&request, slots);
    check_prompts(&request, tokenizer);
    check_infill(&request, tokenizer);
    request_release(&request);
}

int fuzz_body(const uint8_t *data, size_t size)
{
    static enum weir_status (*const translations[])(struct bytes *, const char *, size_t,
                                                    struct weir_error *) = {
        NULL, NULL, NULL, translate_messages, translate_responses};
    static const enum request_kind kinds[] = {REQUEST_CHAT, REQUEST_TEXT, REQUEST_NATIVE,
                                              REQUEST_CHAT, REQUEST_CHAT};
    enum { ENDPOINTS = sizeof kinds / sizeof kinds[0] };
    if (size < 1 || size > BODY_MAX)
        return 0;
    const unsigned endpoint = data[0] % ENDPOINTS;
    const char *body = (const char *)data + 1;
    struct weir_tokenizer *tokenizer = open_tokenizer();
    struct bytes own = {0};
    struct weir_error err = {0};
    if (translations[endpoint] == NULL) {
        read_request(body, size - 1, kinds[endpoint], tokenizer);
    } else if (translations[endpoint](&own, body, size - 1, &err) == WEIR_OK) {
        // One level deeper than the body, it may be too deep.
        expect(json_check(own.data, own.length, NULL) || !json_check_part(body, size - 1, NULL));
        read_request(own.data, own.length, kinds[endpoint], tokenizer);
    } else {
        expect(err.text[0] != 0);
    }
    bytes_release(&own);
    weir_tokenizer_close(tokenizer);
    return 0;
}
