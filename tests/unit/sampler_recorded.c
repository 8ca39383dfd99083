/* SPDX-License-Identifier: MIT
 * The sampler's chain against 60 recorded distributions (llama.cpp's sampler API). Run alone:
 * build/tests/weir-test sampler_chain_equals */
#include "test.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "run/sampler.h"

enum { CONTEXT = 4096 };

static double number(const json_t *object, const char *key, double otherwise)
{
    const json_t *value = json_object_get(object, key);
    return value == NULL ? otherwise : json_number_value(value);
}

struct option_key {
    const char *type, *key;
    size_t offset;
    bool is_int;
};

#define FLOAT_KEY(type, key, field)                                                                \
    {                                                                                              \
        type, key, offsetof(struct weir_sampler_options, field), false                             \
    }
#define INT_KEY(type, key, field)                                                                  \
    {                                                                                              \
        type, key, offsetof(struct weir_sampler_options, field), true                              \
    }

static const struct option_key option_keys[] = {
    INT_KEY("top_k", "k", top_k),
    FLOAT_KEY("top_p", "p", top_p),
    FLOAT_KEY("min_p", "p", min_p),
    FLOAT_KEY("typical", "p", typical_p),
    FLOAT_KEY("temperature", "t", temperature),
    FLOAT_KEY("temperature", "range", dynatemp_range),
    FLOAT_KEY("temperature", "exponent", dynatemp_exponent),
    FLOAT_KEY("top_n_sigma", "n", top_n_sigma),
    FLOAT_KEY("xtc", "probability", xtc_probability),
    FLOAT_KEY("xtc", "threshold", xtc_threshold),
    INT_KEY("penalties", "last_n", repeat_last_n),
    FLOAT_KEY("penalties", "repeat", repeat_penalty),
    FLOAT_KEY("penalties", "frequency", frequency_penalty),
    FLOAT_KEY("penalties", "presence", presence_penalty),
    FLOAT_KEY("dry", "multiplier", dry_multiplier),
    FLOAT_KEY("dry", "base", dry_base),
    INT_KEY("dry", "allowed_length", dry_allowed_length),
    INT_KEY("dry", "last_n", dry_penalty_last_n),
};

static void read_step_options(struct weir_sampler_options *options, const json_t *step,
                              const char *type)
{
    for (size_t i = 0; i < sizeof option_keys / sizeof *option_keys; i++) {
        const struct option_key *key = &option_keys[i];
        const json_t *value = json_object_get(step, key->key);
        if (value == NULL || strcmp(key->type, type) != 0)
            continue;
        const float as_float = (float)json_number_value(value);
        const int32_t as_int = (int32_t)as_float;
        memcpy((char *)options + key->offset, key->is_int ? (const void *)&as_int : &as_float, 4);
    }
    options->min_keep = (uint32_t)number(step, "min_keep", options->min_keep);
}

struct recorded {
    struct weir_sampler_options options;
    struct weir_logit_bias biases[8];
    struct dry_breakers breakers;
    float logits[256];
};

enum { NEWLINE = 198, RECORDED_VOCAB = 256 };

/* Everything off, no chain. */
static void recorded_init(struct recorded *recorded)
{
    *recorded = (struct recorded){0};
    weir_sampler_options_init(&recorded->options);
    memset(recorded->options.chain, 0, sizeof recorded->options.chain);
    recorded->options.seed = test_seed();
    recorded->options.top_k = 0;
    recorded->options.top_p = 1;
    recorded->options.min_p = 0;
    recorded->options.temperature = 1;
}

static void read_step(struct recorded *recorded, const json_t *step)
{
    struct weir_sampler_options *options = &recorded->options;
    struct weir_error err = {0};
    const char *type = json_string_value(json_object_get(step, "type"));
    const json_t *biases = json_object_get(step, "bias");
    for (size_t i = 0; i < json_array_size(biases); i++) {
        const json_t *pair = json_array_get(biases, i), *bias = json_array_get(pair, 1);
        recorded->biases[i] = (struct weir_logit_bias){
            (int32_t)json_integer_value(json_array_get(pair, 0)),
            json_is_null(bias) ? -INFINITY : (float)json_number_value(bias)};
    }
    options->biases = recorded->biases;
    options->biases_count += (uint32_t)json_array_size(biases);
    if (biases != NULL)
        return;
    read_step_options(options, step, type);
    const struct sampler_kind *kind = sampler_kind_of_name(type, strlen(type));
    CHECK(kind != NULL);
    const size_t length = strlen(options->chain);
    options->chain[length] = kind->letter;
    options->chain[length + 1] = 0;
    if (json_object_get(step, "breakers") != NULL) /* the only one in the cases */
        CHECK_OK(dry_breakers_add(&recorded->breakers, NEWLINE, NULL, 0, &err), &err);
}

static const json_t *entry_of(const json_t *result, int32_t id)
{
    for (size_t i = 0; i < json_array_size(result); i++) {
        const json_t *entry = json_array_get(result, i);
        if (json_integer_value(json_object_get(entry, "id")) == id)
            return entry;
    }
    return NULL;
}

/* The recorded entry for a candidate: its own, or, where a filter cut between equal logits, that of
 * another token with the same logit (the order of equal logits is not recorded). */
static const json_t *matching_entry(const json_t *result, int32_t id, float logit)
{
    const json_t *own = entry_of(result, id);
    for (size_t i = 0; i < json_array_size(result) && own == NULL; i++) {
        const json_t *entry = json_array_get(result, i);
        if ((float)number(entry, "logit", 0) == logit)
            own = entry;
    }
    return own;
}

/* Tolerance: the recorded values are of float arithmetic, a few roundings of 6e-8 relative each on
 * logits of at most 8 (4e-7 each), softmax sums of 12 floats (12 * 6e-8), and printed to 9
 * decimals. All that is below 3e-6 in a logit or a probability. */
static void check_result(const char *name, const struct candidates *set, const json_t *result)
{
    const double tolerance = 1e-5;
    const struct softmax softmax = candidates_softmax(set);
    uint32_t possible = 0, expected = 0;
    for (size_t i = 0; i < json_array_size(result); i++)
        expected += number(json_array_get(result, i), "p", 0) > 0;
    for (uint32_t i = 0; i < set->count; i++) {
        if (set->logits[i] == -INFINITY)
            continue;
        const json_t *entry = matching_entry(result, set->ids[i], set->logits[i]);
        const double p = softmax_p(softmax, set->logits[i]);
        if (entry == NULL || fabs(number(entry, "p", 0) - p) > tolerance ||
            fabs(number(entry, "logit", 0) - set->logits[i]) > tolerance)
            test_fail(__FILE__, __LINE__, "%s: token %d: logit %g, p %.9f", name, set->ids[i],
                      (double)set->logits[i], p);
        possible++;
    }
    if (possible != expected)
        test_fail(__FILE__, __LINE__, "%s: %u candidates, expected %u", name, possible, expected);
}

static void check_case(const json_t *item)
{
    struct recorded recorded;
    recorded_init(&recorded);
    const char *name = json_string_value(json_object_get(item, "name"));
    const json_t *chain = json_object_get(item, "chain");
    for (size_t i = 0; i < json_array_size(chain); i++)
        read_step(&recorded, json_array_get(chain, i));
    const json_t *logits = json_object_get(item, "logits");
    for (size_t i = 0; i < RECORDED_VOCAB; i++)
        recorded.logits[i] = i < json_array_size(logits)
                                 ? (float)json_number_value(json_array_get(logits, i))
                                 : -INFINITY;
    /* Token 198 is in some histories, but has no logit: those cases get a larger vocabulary, in
     * which it is impossible. */
    const uint32_t vocab =
        recorded.breakers.count > 0 ? RECORDED_VOCAB : (uint32_t)json_array_size(logits);
    struct sampler_tokens tokens = {.breakers = recorded.breakers};
    struct weir_sampler *sampler;
    struct weir_error err = {0};
    CHECK_OK(sampler_open(&sampler, &recorded.options, vocab, CONTEXT, &tokens, &err), &err);
    const json_t *history = json_object_get(item, "history");
    for (size_t i = 0; i < json_array_size(history); i++)
        weir_sampler_accept(sampler, (int32_t)json_integer_value(json_array_get(history, i)));
    check_result(name, sampler_filter(sampler, recorded.logits), json_object_get(item, "result"));
    weir_sampler_close(sampler);
}

TEST(sampler_chain_equals_recorded_distributions)
{
    json_error_t error;
    json_t *root = json_load_file(test_data("sampling/samplers.json"), 0, &error);
    CHECK(root != NULL);
    const json_t *cases = json_object_get(root, "cases");
    CHECK_INT(json_array_size(cases), 60);
    for (size_t i = 0; i < json_array_size(cases); i++)
        check_case(json_array_get(cases, i));
    json_decref(root);
}
