/* SPDX-License-Identifier: MIT
 * Writes the options of a generation, in the order of llama-server. Knows not who asks. */
#include "serve/generation_settings.h"

#include "serve/respond.h"

static void put_sampling(struct bytes *out, const struct weir_sampler_options *sampler)
{
    put_integer(out, "seed",
                sampler->seed == WEIR_SEED_RANDOM ? INT64_C(4294967295) : (int64_t)sampler->seed);
    put_float(out, "temperature", sampler->temperature);
    put_float(out, "dynatemp_range", sampler->dynatemp_range);
    put_float(out, "dynatemp_exponent", sampler->dynatemp_exponent);
    put_integer(out, "top_k", sampler->top_k);
    put_float(out, "top_p", sampler->top_p);
    put_float(out, "min_p", sampler->min_p);
    put_float(out, "top_n_sigma", sampler->top_n_sigma);
    put_float(out, "xtc_probability", sampler->xtc_probability);
    put_float(out, "xtc_threshold", sampler->xtc_threshold);
    put_float(out, "typical_p", sampler->typical_p);
    put_integer(out, "repeat_last_n", sampler->repeat_last_n);
    put_float(out, "repeat_penalty", sampler->repeat_penalty);
    put_float(out, "presence_penalty", sampler->presence_penalty);
    put_float(out, "frequency_penalty", sampler->frequency_penalty);
    put_float(out, "dry_multiplier", sampler->dry_multiplier);
    put_float(out, "dry_base", sampler->dry_base);
    put_integer(out, "dry_allowed_length", sampler->dry_allowed_length);
    put_integer(out, "dry_penalty_last_n", sampler->dry_penalty_last_n);
}

static void put_texts(struct bytes *out, const char *key, const char *const *texts, uint32_t count)
{
    put_open(out, key, '[');
    for (uint32_t i = 0; i < count; i++)
        put_text(out, NULL, texts[i]);
    put_close(out, ']');
}

static void put_mirostat(struct bytes *out, const struct weir_sampler_options *sampler)
{
    put_integer(out, "mirostat", sampler->mirostat);
    put_float(out, "mirostat_tau", sampler->mirostat_tau);
    put_float(out, "mirostat_eta", sampler->mirostat_eta);
}

static void put_length(struct bytes *out, const struct request *request)
{
    put_integer(out, "max_tokens", request->tokens_max);
    put_integer(out, "n_predict", request->tokens_max);
    put_integer(out, "n_keep", 0);
    put_integer(out, "n_discard", 0);
    put_bool(out, "ignore_eos", request->sampler.ignore_eos);
    put_bool(out, "stream", request->is_streamed);
}

static void put_biases(struct bytes *out, const struct request *request)
{
    put_open(out, "logit_bias", '[');
    for (uint64_t i = 0; i < request->biases_count; i++) {
        put_open(out, NULL, '{');
        put_float(out, "bias", request->biases[i].bias);
        put_integer(out, "token", request->biases[i].id);
        put_close(out, '}');
    }
    put_close(out, ']');
}

static void put_grammar(struct bytes *out, const struct request *request)
{
    const bool is_gbnf = request->language == LANGUAGE_GBNF;
    put_string(out, "grammar", is_gbnf ? request->grammar.bytes : "",
               is_gbnf ? request->grammar.length : 0);
    put_bool(out, "grammar_lazy", false);
    put_texts(out, "grammar_triggers", NULL, 0);
    put_texts(out, "preserved_tokens", NULL, 0);
}

static const char *format_name(enum weir_reasoning_format format)
{
    switch (format) {
    case WEIR_REASONING_NONE: return "none";
    case WEIR_REASONING_BOTH: return "deepseek-legacy";
    case WEIR_REASONING_APART: break;
    }
    return "deepseek";
}

/* What the letter of a sampler in a chain is called. */
static void put_samplers(struct bytes *out, const char *chain)
{
    static const struct {
        char letter;
        const char *name;
    } names[] = {{'e', "penalties"}, {'d', "dry"},   {'s', "top_n_sigma"},
                 {'k', "top_k"},     {'y', "typ_p"}, {'p', "top_p"},
                 {'m', "min_p"},     {'x', "xtc"},   {'t', "temperature"}};
    put_open(out, "samplers", '[');
    for (; *chain != 0; chain++)
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
            if (names[i].letter == *chain)
                put_text(out, NULL, names[i].name);
    put_close(out, ']');
}

void put_settings(struct bytes *out, const char *key, const struct request *request, bool is_whole)
{
    const struct weir_sampler_options *sampler = &request->sampler;
    put_open(out, key, '{');
    put_sampling(out, sampler);
    if (is_whole)
        put_texts(out, "dry_sequence_breakers", sampler->dry_breakers, sampler->dry_breakers_count);
    put_mirostat(out, sampler);
    if (is_whole)
        put_texts(out, "stop", request->stops, request->stops_count);
    put_length(out, request);
    if (is_whole)
        put_biases(out, request);
    put_integer(out, "n_probs", request->wants_logprobs ? request->logprobs : 0);
    put_integer(out, "min_keep", sampler->min_keep);
    if (is_whole)
        put_grammar(out, request);
    put_text(out, "reasoning_format", format_name(request->reasoning_format));
    put_samplers(out, sampler->chain);
    put_bool(out, "timings_per_token", request->wants_timings);
    put_bool(out, "post_sampling_probs", request->wants_chances);
    put_close(out, '}');
}
