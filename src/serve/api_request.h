/* SPDX-License-Identifier: MIT
 * What a client asks for: the members of a request's body as options. Knows neither how a prompt is
 * made of the rest of it nor how it is answered. */
#ifndef SERVE_API_REQUEST_H
#define SERVE_API_REQUEST_H

#include "base/bytes.h"
#include "json/json.h"

enum {
    REQUEST_STOPS_MAX = 64,
    REQUEST_STOP_BYTES_MAX = 1024,
    REQUEST_ENDS_MAX = 1024,
    REQUEST_LOGPROBS_MAX = 128,
    REQUEST_BIASES_MAX = 1 << 16,
    REQUEST_GRAMMAR_BYTES_MAX = 1 << 20,
    REQUEST_CHOICES_MAX = 128,
    REQUEST_VALUES_MAX = 1 << 20, /* of JSON: each takes a hundred bytes, whatever its text does */
    REQUEST_SCORES_MAX = 1 << 19, /* logprobs of prompts in an answer: some 50 MB of JSON */
    REQUEST_RESPONSE_FIELDS_MAX = 64,
};

/* How requests are read that say nothing else. */
struct request_defaults {
    const struct weir_tokenizer *tokenizer; /* borrowed by what is read too */
    struct weir_sampler_options sampler;
    int32_t tokens_max; /* -1: any number */
    int32_t reasoning_budget;
    enum weir_reasoning_format reasoning_format;
    uint32_t slots;
    int32_t ping_s; /* 0 or less: none */
    bool no_cache_prompt;
};

/* The ways in which requests differ. */
enum request_kind {
    REQUEST_CHAT,   /* "logprobs" is a truth, with "top_logprobs" */
    REQUEST_TEXT,   /* "logprobs" is a number */
    REQUEST_NATIVE, /* "n_probs" alone */
};

enum language { LANGUAGE_ANY, LANGUAGE_GBNF, LANGUAGE_SCHEMA, LANGUAGE_PATTERN };
enum call_choice { CALLS_AUTO, CALLS_REQUIRED, CALLS_NONE };

/* Set to zero to begin. */
struct request {
    struct json_document *document; /* what the texts below are borrowed from */
    const struct json *root;
    struct weir_sampler_options sampler; /* with a seed that is no longer random */
    struct weir_logit_bias *biases;
    uint64_t biases_count, biases_capacity;
    char **texts; /* zero-terminated copies, which sampler and stops point to */
    uint64_t texts_count, texts_capacity;
    const char *stops[REQUEST_STOPS_MAX];
    uint32_t stops_count;
    int32_t *ends; /* tokens that end the text */
    uint32_t ends_count;
    int32_t tokens_max;  /* -1: any number */
    int32_t time_max_ms; /* 0 or less: any */
    uint32_t choices;    /* "n" */
    bool is_streamed, wants_usage, wants_timings, wants_progress, wants_tokens, wants_echo;
    bool wants_logprobs;
    bool wants_chances; /* in place of the model's: see job_options */
    uint32_t logprobs;  /* likeliest tokens with each token */
    int32_t ping_s;     /* 0 or less: none */
    bool cache_prompt;
    int32_t slot; /* -1: any */
    enum weir_reasoning_format reasoning_format;
    int32_t reasoning_budget; /* -1: any number */
    bool reasoning_control;
    bool has_tools;
    enum call_choice calls;
    const char *only;           /* the tool to be called; NULL: any */
    const struct json *allowed; /* a list of tools with names, no others are; NULL: all */
    bool forbids_calls;         /* there are tools, and none is to be called */
    bool parallel_calls, parse_calls;
    enum language language;
    char language_of[64];               /* the member that says it */
    struct json_text grammar;           /* of the language */
    const struct json *response_fields; /* NULL: all */
    struct json_text salt;              /* "cache_salt"; of length 0: none */
};

/* Reads a body. WEIR_ERR_ARGUMENT names the member, with the words of llama-server; WEIR_ERR_FORMAT
 * is what is no JSON. On failure nothing needs to be released. */
enum weir_status request_read(struct request *out, const char *body, size_t length,
                              enum request_kind kind, const struct request_defaults *defaults,
                              struct weir_error *err);
void request_release(struct request *request);

/* "type must be number, but is string", of the member. */
enum weir_status request_refuse_kind(const char *name, const char *expected,
                                     const struct json *found, struct weir_error *err);
/* A member that must be a string if it is there; *out is of length 0 with NULL bytes if not. */
enum weir_status request_text(const struct json *object, const char *name, struct json_text *out,
                              struct weir_error *err);
/* A member that must be a truth if it is there; else *out stays. */
enum weir_status request_truth(const struct json *object, const char *name, bool *out,
                               struct weir_error *err);
/* A member, NULL too where it is null. */
const struct json *request_member(const struct json *object, const char *name);

#endif
