/* SPDX-License-Identifier: MIT
 * Options of the sampler: defaults, checks, the chain written as text. Knows not what they do. */
#include "run/sampler.h"

#include <float.h>
#include <string.h>

void weir_sampler_options_init(struct weir_sampler_options *options)
{
    *options = (struct weir_sampler_options){
        .seed = WEIR_SEED_RANDOM,
        .chain = "edskypmxt",
        .temperature = 0.8f,
        .dynatemp_exponent = 1,
        .top_k = 40,
        .top_p = 0.95f,
        .min_p = 0.05f,
        .typical_p = 1,
        .top_n_sigma = -1,
        .xtc_threshold = 0.1f,
        .repeat_last_n = 64,
        .repeat_penalty = 1,
        .dry_base = 1.75f,
        .dry_allowed_length = 2,
        .dry_penalty_last_n = 64,
        .dry_breakers = {"\n", ":", "\"", "*"},
        .dry_breakers_count = 4,
        .mirostat_tau = 5,
        .mirostat_eta = 0.1f,
    };
}

/* ---- checks ---------------------------------------------------------------------------------- */

struct number_rule {
    const char *name;
    size_t offset;
    double low, high;
    const char *expected;
};

#define RULE(field, low, high, expected)                                                           \
    {                                                                                              \
#field, offsetof(struct weir_sampler_options, field), low, high, expected                  \
    }

static const struct number_rule float_rules[] = {
    RULE(temperature, -FLT_MAX, FLT_MAX, "a finite number"),
    RULE(dynatemp_range, 0, FLT_MAX, "finite and 0 or more"),
    RULE(dynatemp_exponent, 0, FLT_MAX, "finite and 0 or more"),
    RULE(top_p, 0, 1, "from 0 to 1"),
    RULE(min_p, 0, 1, "from 0 to 1"),
    RULE(typical_p, 0, 1, "from 0 to 1"),
    RULE(top_n_sigma, -FLT_MAX, FLT_MAX, "a finite number"),
    RULE(xtc_probability, 0, 1, "from 0 to 1"),
    RULE(xtc_threshold, 0, 1, "from 0 to 1"),
    RULE(repeat_penalty, FLT_MIN, FLT_MAX, "finite and more than 0"),
    RULE(frequency_penalty, -FLT_MAX, FLT_MAX, "a finite number"),
    RULE(presence_penalty, -FLT_MAX, FLT_MAX, "a finite number"),
    RULE(dry_multiplier, 0, FLT_MAX, "finite and 0 or more"),
    RULE(dry_base, 1, FLT_MAX, "finite and 1 or more"),
    RULE(mirostat_tau, 0, FLT_MAX, "finite and 0 or more"),
    RULE(mirostat_eta, 0, FLT_MAX, "finite and 0 or more"),
};

static const struct number_rule int_rules[] = {
    RULE(repeat_last_n, -1, INT32_MAX, "-1 (the whole context), 0 (off) or more"),
    RULE(dry_penalty_last_n, -1, INT32_MAX, "-1 (the whole context), 0 (off) or more"),
    RULE(dry_allowed_length, 0, INT32_MAX, "0 or more"),
    RULE(mirostat, 0, 2, "0 (off), 1 or 2"), /* unsigned; what is no int32_t is negative here */
};

#undef RULE

#define COUNT(table) (sizeof(table) / sizeof *(table))

static enum weir_status check_number(const struct number_rule *rule, double value,
                                     struct weir_error *err)
{
    if (value >= rule->low && value <= rule->high)
        return WEIR_OK;
    return err_set(err, WEIR_ERR_ARGUMENT, "%s must be %s, not %g", rule->name, rule->expected,
                   value);
}

static enum weir_status check_numbers(const struct weir_sampler_options *options,
                                      struct weir_error *err)
{
    const char *base = (const char *)options;
    enum weir_status status = WEIR_OK;
    for (size_t i = 0; i < COUNT(float_rules) && status == WEIR_OK; i++) {
        float value;
        memcpy(&value, base + float_rules[i].offset, sizeof value);
        status = check_number(&float_rules[i], value, err);
    }
    for (size_t i = 0; i < COUNT(int_rules) && status == WEIR_OK; i++) {
        int32_t value;
        memcpy(&value, base + int_rules[i].offset, sizeof value);
        status = check_number(&int_rules[i], value, err);
    }
    return status;
}

static enum weir_status check_chain(const struct weir_sampler_options *options,
                                    struct weir_error *err)
{
    const char *end = memchr(options->chain, 0, sizeof options->chain);
    if (end == NULL)
        return err_set(err, WEIR_ERR_ARGUMENT, "the sampler chain has more than %d letters",
                       WEIR_SAMPLER_CHAIN_MAX - 1);
    for (const char *letter = options->chain; letter < end; letter++) {
        if (sampler_kind_of_letter(*letter) == NULL)
            return err_set(err, WEIR_ERR_ARGUMENT, "sampler chain \"%s\": there is no sampler '%c'",
                           options->chain, *letter);
    }
    return WEIR_OK;
}

enum { BREAKER_BYTES_MAX = 40 };

static enum weir_status check_breakers(const struct weir_sampler_options *options,
                                       struct weir_error *err)
{
    if (options->dry_breakers_count > WEIR_DRY_BREAKERS_MAX)
        return err_set(err, WEIR_ERR_ARGUMENT, "%u DRY sequence breakers, at most %d are allowed",
                       options->dry_breakers_count, WEIR_DRY_BREAKERS_MAX);
    for (uint32_t i = 0; i < options->dry_breakers_count; i++) {
        const char *text = options->dry_breakers[i];
        const size_t length = text == NULL ? 0 : strlen(text);
        if (length < 1 || length > BREAKER_BYTES_MAX)
            return err_set(err, WEIR_ERR_ARGUMENT,
                           "DRY sequence breaker %u must have 1 to %d bytes, not %zu", i + 1,
                           BREAKER_BYTES_MAX, length);
    }
    return WEIR_OK;
}

enum weir_status sampler_options_check(const struct weir_sampler_options *options,
                                       struct weir_error *err)
{
    enum weir_status status;
    TRY(check_numbers(options, err));
    TRY(check_chain(options, err));
    TRY(check_breakers(options, err));
    for (uint32_t i = 0; i < options->biases_count; i++) {
        const struct weir_logit_bias bias = options->biases[i];
        if (isnan(bias.bias) || bias.bias == INFINITY)
            return err_set(err, WEIR_ERR_ARGUMENT,
                           "logit bias of token %d must be finite or -inf, not %g", bias.id,
                           (double)bias.bias);
    }
out:
    return status;
}

/* ---- what is in force ------------------------------------------------------------------------ */

bool sampler_chain_has(const struct weir_sampler_options *options, char letter)
{
    return options->mirostat == 0 && strchr(options->chain, letter) != NULL;
}

static uint32_t window(int32_t last_n, uint32_t context)
{
    return last_n < 0 || (uint32_t)last_n > context ? context : (uint32_t)last_n;
}

uint32_t sampler_penalty_window(const struct weir_sampler_options *options, uint32_t context)
{
    const bool off = options->repeat_penalty == 1 && options->frequency_penalty == 0 &&
                     options->presence_penalty == 0;
    if (off || !sampler_chain_has(options, 'e'))
        return 0;
    return window(options->repeat_last_n, context);
}

uint32_t sampler_dry_window(const struct weir_sampler_options *options, uint32_t context)
{
    if (options->dry_multiplier == 0 || !sampler_chain_has(options, 'd'))
        return 0;
    return window(options->dry_penalty_last_n, context);
}

/* ---- the chain as text ----------------------------------------------------------------------- */

/* A list of names has semicolons, or is one name; anything else is letters. */
static bool is_list_of_names(const char *text)
{
    return strchr(text, ';') != NULL || sampler_kind_of_name(text, strlen(text)) != NULL;
}

/* The kind that `*text` begins with; moves *text behind it and its separator. */
static const struct sampler_kind *next_kind(const char **text, bool names)
{
    if (!names)
        return sampler_kind_of_letter(*(*text)++);
    const size_t length = strcspn(*text, ";");
    const struct sampler_kind *kind = sampler_kind_of_name(*text, length);
    *text += length;
    *text += **text == ';';
    return kind;
}

enum weir_status weir_sampler_chain_parse(struct weir_sampler_options *options, const char *text,
                                          struct weir_error *err)
{
    const bool names = is_list_of_names(text);
    char chain[WEIR_SAMPLER_CHAIN_MAX] = "";
    size_t length = 0;
    for (const char *at = text; *at != 0;) {
        const char *unknown = at;
        const struct sampler_kind *kind = next_kind(&at, names);
        if (kind == NULL)
            return err_set(err, WEIR_ERR_ARGUMENT, "samplers \"%.80s\": there is no sampler '%.*s'",
                           text, names ? (int)strcspn(unknown, ";") : 1, unknown);
        if (length == sizeof chain - 1)
            return err_set(err, WEIR_ERR_ARGUMENT, "samplers \"%.80s\": more than %zu", text,
                           sizeof chain - 1);
        chain[length++] = kind->letter;
    }
    memcpy(options->chain, chain, sizeof chain);
    return WEIR_OK;
}
