/* SPDX-License-Identifier: MIT
 * Reads the members of a request: those that are a number or a truth by one table, the others by a
 * function each. Knows no endpoint. */
#include "serve/api_request.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "serve/request_lists.h"

/* ---- members by the table -------------------------------------------------------------------- */

enum field_kind { INTEGER, COUNT, REAL, TRUTH };
enum field_excess { REFUSED, CLAMPED };

struct field {
    const char *name;
    enum field_kind kind;
    size_t offset; /* in struct request */
    double least, most;
    enum field_excess excess;
};

static const struct field fields[] = {
#define FIELD(name, kind, member, least, most, excess)                                             \
    {#name, kind, offsetof(struct request, member), least, most, excess},
#include "serve/api_fields.def"
#undef FIELD
};

/* As the reader of llama-server calls kinds. */
static const char *kind_name(const struct json *value)
{
    switch (value->kind) {
    case JSON_NULL: return "null";
    case JSON_FALSE:
    case JSON_TRUE: return "boolean";
    case JSON_NUMBER: return "number";
    case JSON_STRING: return "string";
    case JSON_ARRAY: return "array";
    case JSON_OBJECT: break;
    }
    return "object";
}

enum weir_status request_refuse_kind(const char *name, const char *expected,
                                     const struct json *found, struct weir_error *err)
{
    return err_set(err, WEIR_ERR_ARGUMENT, "Field '%s': type must be %s, but is %s", name, expected,
                   kind_name(found));
}

const struct json *request_member(const struct json *object, const char *name)
{
    const struct json *value = json_get(object, name);
    return value == NULL || value->kind == JSON_NULL ? NULL : value;
}

enum weir_status request_text(const struct json *object, const char *name, struct json_text *out,
                              struct weir_error *err)
{
    const struct json *value = request_member(object, name);
    *out = (struct json_text){NULL, 0};
    if (value == NULL)
        return WEIR_OK;
    if (value->kind != JSON_STRING)
        return request_refuse_kind(name, "string", value, err);
    *out = value->text;
    return WEIR_OK;
}

static bool is_truth(const struct json *value)
{
    return value->kind == JSON_TRUE || value->kind == JSON_FALSE;
}

enum weir_status request_truth(const struct json *object, const char *name, bool *out,
                               struct weir_error *err)
{
    const struct json *value = request_member(object, name);
    if (value == NULL)
        return WEIR_OK;
    if (!is_truth(value))
        return request_refuse_kind(name, "boolean", value, err);
    *out = value->kind == JSON_TRUE;
    return WEIR_OK;
}

/* A number within a range, infinite beyond that of double. */
static enum weir_status read_number(const char *name, const struct json *value, double least,
                                    double most, enum field_excess excess, double *out,
                                    struct weir_error *err)
{
    if (value->kind != JSON_NUMBER)
        return request_refuse_kind(name, "number", value, err);
    char *end;
    const double number = strtod(value->text.bytes, &end); // the text goes on, with no digit
    if (excess == REFUSED && !(number >= least && number <= most))
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "Field '%s': Value must be between %.0f <= value <= %.0f, but got %.*s",
                       name, least, most, (int)(value->text.length < 32 ? value->text.length : 32),
                       value->text.bytes);
    *out = number < least ? least : number > most ? most : number;
    return WEIR_OK;
}

static enum weir_status read_field(struct request *request, const struct field *field,
                                   const struct json *value, struct weir_error *err)
{
    char *const to = (char *)request + field->offset;
    if (field->kind == TRUTH) {
        if (!is_truth(value))
            return request_refuse_kind(field->name, "boolean", value, err);
        *(bool *)(void *)to = value->kind == JSON_TRUE;
        return WEIR_OK;
    }
    double number = 0;
    const enum weir_status status =
        read_number(field->name, value, field->least, field->most, field->excess, &number, err);
    if (status != WEIR_OK)
        return status;
    switch (field->kind) {
    case INTEGER: *(int32_t *)(void *)to = (int32_t)number; break;
    case COUNT: *(uint32_t *)(void *)to = (uint32_t)number; break;
    case REAL: *(float *)(void *)to = (float)number; break;
    case TRUTH: break;
    }
    return WEIR_OK;
}

static enum weir_status read_fields(struct request *request, struct weir_error *err)
{
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        const struct json *value = request_member(request->root, fields[i].name);
        if (value == NULL)
            continue;
        const enum weir_status status = read_field(request, &fields[i], value, err);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

/* ---- members whose range depends on the server ----------------------------------------------- */

static enum weir_status read_count(const struct request *request, const char *name, double least,
                                   double most, double *out, struct weir_error *err)
{
    const struct json *value = request_member(request->root, name);
    if (value == NULL)
        return WEIR_OK;
    return read_number(name, value, least, most, REFUSED, out, err);
}

static enum weir_status read_choices(struct request *request, uint32_t slots,
                                     struct weir_error *err)
{
    const uint32_t most = slots < REQUEST_CHOICES_MAX ? slots : REQUEST_CHOICES_MAX;
    double choices = 1, best_of = 1, slot = -1;
    enum weir_status status;
    TRY(read_count(request, "n_cmpl", 1, most, &choices, err));
    TRY(read_count(request, "n", 1, most, &choices, err));
    TRY(read_count(request, "best_of", 1, choices, &best_of, err));
    TRY(read_count(request, "id_slot", -1, (double)slots - 1, &slot, err));
    request->choices = (uint32_t)choices;
    request->slot = (int32_t)slot;
out:
    return status;
}

/* -1 and 2^32 - 1, which llama-server writes for it, are a random seed. One of 32 bits is taken
 * then, so that clients can give back the one that they are told. Others are integers of 64 bits,
 * which beyond 2^53 are as near as doubles are. */
static enum weir_status read_seed(struct request *request, uint64_t fallback,
                                  struct weir_error *err)
{
    const double random = 4294967295.0;
    double seed = fallback == WEIR_SEED_RANDOM ? random : (double)fallback;
    const bool is_own = request_member(request->root, "seed") == NULL;
    const enum weir_status status =
        read_count(request, "seed", -9223372036854775808.0, 9223372036854774784.0, &seed, err);
    const bool is_random = seed == -1 || seed == random;
    request->sampler.seed = is_random ? rng_system_seed() & 0x7fffffff
                            : is_own  ? fallback
                                      : (uint64_t)(int64_t)seed;
    return status;
}

static enum weir_status read_chat_logprobs(struct request *request, struct weir_error *err)
{
    double likeliest = 0;
    enum weir_status status;
    TRY(request_truth(request->root, "logprobs", &request->wants_logprobs, err));
    TRY(read_count(request, "top_logprobs", 0, REQUEST_LOGPROBS_MAX, &likeliest, err));
    if (likeliest > 0 && !request->wants_logprobs)
        TRY(err_set(err, WEIR_ERR_ARGUMENT, "top_logprobs requires logprobs to be set to true"));
    request->logprobs = (uint32_t)likeliest;
out:
    return status;
}

static enum weir_status read_logprobs(struct request *request, enum request_kind kind,
                                      struct weir_error *err)
{
    double likeliest = 0, probs = 0;
    enum weir_status status = WEIR_OK;
    if (kind == REQUEST_CHAT)
        TRY(read_chat_logprobs(request, err));
    if (kind == REQUEST_TEXT) {
        TRY(read_count(request, "logprobs", 0, REQUEST_LOGPROBS_MAX, &likeliest, err));
        request->wants_logprobs = request_member(request->root, "logprobs") != NULL;
        request->logprobs = (uint32_t)likeliest;
    }
    TRY(read_count(request, "n_probs", 0, REQUEST_LOGPROBS_MAX, &probs, err));
    if (probs > 0) {
        request->wants_logprobs = true;
        request->logprobs = (uint32_t)probs;
    }
out:
    return status;
}

/* ---- reasoning ------------------------------------------------------------------------------- */

static enum weir_status read_reasoning_format(struct request *request, struct weir_error *err)
{
    static const struct {
        const char *name;
        enum weir_reasoning_format format;
    } formats[] = {
        {"auto", WEIR_REASONING_APART},
        {"deepseek", WEIR_REASONING_APART},
        {"none", WEIR_REASONING_NONE},
        {"deepseek-legacy", WEIR_REASONING_BOTH},
    };
    struct json_text text;
    const enum weir_status status = request_text(request->root, "reasoning_format", &text, err);
    if (status != WEIR_OK || text.bytes == NULL)
        return status;
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (json_text_equals(text, formats[i].name)) {
            request->reasoning_format = formats[i].format;
            return WEIR_OK;
        }
    }
    return err_set(err, WEIR_ERR_ARGUMENT, "Unknown reasoning format: %.*s",
                   (int)(text.length < 64 ? text.length : 64), text.bytes);
}

/* "thinking": {"type": ..., "budget_tokens": N}, as Anthropic has it. */
static enum weir_status read_thinking(struct request *request, struct weir_error *err)
{
    const struct json *thinking = request_member(request->root, "thinking");
    if (thinking == NULL || thinking->kind != JSON_OBJECT)
        return WEIR_OK; // what else it may be is the template's
    const struct json *budget = request_member(thinking, "budget_tokens");
    if (budget == NULL || json_is(request_member(thinking, "type"), "disabled"))
        return WEIR_OK;
    double tokens = 0;
    const enum weir_status status =
        read_number("thinking.budget_tokens", budget, -1, INT32_MAX, REFUSED, &tokens, err);
    request->reasoning_budget = (int32_t)tokens;
    return status;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void set_defaults(struct request *request, const struct request_defaults *defaults)
{
    request->sampler = defaults->sampler;
    request->tokens_max = defaults->tokens_max;
    request->ping_s = defaults->ping_s;
    request->cache_prompt = !defaults->no_cache_prompt;
    request->reasoning_format = defaults->reasoning_format;
    request->reasoning_budget = defaults->reasoning_budget;
    request->parallel_calls = true;
    request->parse_calls = true;
}

static enum weir_status read_stream_options(struct request *request, struct weir_error *err)
{
    const struct json *options = request_member(request->root, "stream_options");
    if (options == NULL)
        return WEIR_OK;
    if (options->kind != JSON_OBJECT)
        return request_refuse_kind("stream_options", "object", options, err);
    return request_truth(options, "include_usage", &request->wants_usage, err);
}

static enum weir_status check_least(const struct request *request, struct weir_error *err)
{
    const uint32_t least = request->sampler.tokens_min;
    if (request->tokens_max < 0 || least <= (uint32_t)request->tokens_max)
        return WEIR_OK;
    return err_set(err, WEIR_ERR_ARGUMENT,
                   "Field 'min_tokens': %u, expected no more than the %d of max_tokens", least,
                   (int)request->tokens_max);
}

static enum weir_status read_members(struct request *request, enum request_kind kind,
                                     const struct request_defaults *defaults,
                                     struct weir_error *err)
{
    enum weir_status status;
    TRY(read_fields(request, err));
    TRY(read_choices(request, defaults->slots, err));
    TRY(read_seed(request, defaults->sampler.seed, err));
    TRY(read_logprobs(request, kind, err));
    TRY(read_stream_options(request, err));
    TRY(read_reasoning_format(request, err));
    TRY(read_thinking(request, err));
    TRY(request_read_stops(request, err));
    TRY(request_read_ends(request, defaults->tokenizer, err));
    TRY(check_least(request, err));
    TRY(request_read_biases(request, defaults->tokenizer, err));
    TRY(request_read_samplers(request, err));
    TRY(request_read_breakers(request, err));
    TRY(request_read_tools(request, err));
    TRY(request_read_language(request, err));
    if (kind == REQUEST_CHAT)
        TRY(request_forbid_calls(request, defaults->tokenizer, err));
    TRY(request_read_response_fields(request, err));
    TRY(request_text(request->root, "cache_salt", &request->salt, err));
out:
    return status;
}

enum weir_status request_read(struct request *out, const char *body, size_t length,
                              enum request_kind kind, const struct request_defaults *defaults,
                              struct weir_error *err)
{
    enum weir_status status;
    *out = (struct request){0};
    TRY(json_open_few(&out->document, body, length, REQUEST_VALUES_MAX, "request", err));
    out->root = json_root(out->document);
    if (out->root->kind != JSON_OBJECT)
        TRY(err_set(err, WEIR_ERR_ARGUMENT, "request: expected an object, found %s",
                    json_kind_name(out->root->kind)));
    set_defaults(out, defaults);
    TRY(read_members(out, kind, defaults, err));
out:
    if (status != WEIR_OK)
        request_release(out);
    return status;
}

void request_release(struct request *request)
{
    for (uint64_t i = 0; i < request->texts_count; i++)
        mem_free(request->texts[i]);
    mem_free(request->texts);
    mem_free(request->ends);
    mem_free(request->biases);
    json_close(request->document);
    *request = (struct request){0};
}
