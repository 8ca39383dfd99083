/* SPDX-License-Identifier: MIT
 * Tests of the sampler: its options, each step of the chain, draws against exact probabilities,
 * hostile logits. Run alone: build/tests/weir-test sampler_ */
#include "test.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "run/sampler.h"

enum { CONTEXT = 4096 };

/* Everything off: what is left of the chain is a draw at temperature 1. */
static struct weir_sampler_options neutral(const char *chain)
{
    struct weir_sampler_options options;
    weir_sampler_options_init(&options);
    memset(options.chain, 0, sizeof options.chain);
    snprintf(options.chain, sizeof options.chain, "%s", chain);
    options.seed = test_seed();
    options.temperature = 1;
    options.top_k = 0;
    options.top_p = 1;
    options.min_p = 0;
    return options;
}

static struct weir_sampler *open_sampler(const struct weir_sampler_options *options, uint32_t vocab)
{
    struct weir_sampler *sampler;
    struct sampler_tokens none = {0};
    struct weir_error err = {0};
    CHECK_OK(sampler_open(&sampler, options, vocab, CONTEXT, &none, &err), &err);
    return sampler;
}

/* ---- options --------------------------------------------------------------------------------- */

TEST(sampler_chain_reads_letters_and_names)
{
    static const char *const cases[][2] = {
        {"edskypmxt", "edskypmxt"},
        {"kt", "kt"},
        {"", ""},
        {"kkk", "kkk"},
        {"top_k", "k"},
        {"temperature", "t"},
        {"xtc", "x"},
        {"penalties;dry;top_n_sigma;top_k;typ_p;top_p;min_p;xtc;temperature", "edskypmxt"},
        {"top_k;temperature", "kt"},
        {"typical_p;", "y"},
        {"temp;top-p", "tp"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weir_sampler_options options = neutral("e");
        struct weir_error err = {0};
        CHECK_OK(weir_sampler_chain_parse(&options, cases[i][0], &err), &err);
        CHECK_TEXT(options.chain, cases[i][1]);
    }
}

TEST(sampler_chain_refuses_the_unknown)
{
    static const char *const cases[][2] = {
        {"kz", "samplers \"kz\": there is no sampler 'z'"},
        {"top_k;topp", "samplers \"top_k;topp\": there is no sampler 'topp'"},
        {"top_k;;temp", "samplers \"top_k;;temp\": there is no sampler ''"},
        {"k t", "samplers \"k t\": there is no sampler ' '"},
        {"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk",
         "samplers \"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk\": more than 31"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weir_sampler_options options = neutral("e");
        struct weir_error err = {0};
        CHECK_INT(weir_sampler_chain_parse(&options, cases[i][0], &err), WEIR_ERR_ARGUMENT);
        CHECK_TEXT(err.text, cases[i][1]);
        CHECK_TEXT(options.chain, "e");
    }
}

static void check_refused(const struct weir_sampler_options *options, const char *expected)
{
    struct weir_sampler *sampler;
    struct sampler_tokens none = {0};
    struct weir_error err = {0};
    CHECK_INT(sampler_open(&sampler, options, 10, CONTEXT, &none, &err), WEIR_ERR_ARGUMENT);
    CHECK(sampler == NULL);
    CHECK_TEXT(err.text, expected);
}

#define REFUSED(field, value, text)                                                                \
    do {                                                                                           \
        struct weir_sampler_options options_ = neutral("k");                                       \
        options_.field = value;                                                                    \
        check_refused(&options_, text);                                                            \
    } while (0)

TEST(sampler_options_are_checked)
{
    REFUSED(temperature, NAN, "temperature must be a finite number, not nan");
    REFUSED(temperature, INFINITY, "temperature must be a finite number, not inf");
    REFUSED(dynatemp_range, -1, "dynatemp_range must be finite and 0 or more, not -1");
    REFUSED(dynatemp_exponent, -1, "dynatemp_exponent must be finite and 0 or more, not -1");
    REFUSED(top_p, 1.5f, "top_p must be from 0 to 1, not 1.5");
    REFUSED(min_p, -0.5f, "min_p must be from 0 to 1, not -0.5");
    REFUSED(typical_p, NAN, "typical_p must be from 0 to 1, not nan");
    REFUSED(top_n_sigma, -INFINITY, "top_n_sigma must be a finite number, not -inf");
    REFUSED(xtc_probability, 2, "xtc_probability must be from 0 to 1, not 2");
    REFUSED(xtc_threshold, -1, "xtc_threshold must be from 0 to 1, not -1");
    REFUSED(repeat_penalty, 0, "repeat_penalty must be finite and more than 0, not 0");
    REFUSED(frequency_penalty, NAN, "frequency_penalty must be a finite number, not nan");
    REFUSED(presence_penalty, INFINITY, "presence_penalty must be a finite number, not inf");
    REFUSED(repeat_last_n, -2,
            "repeat_last_n must be -1 (the whole context), 0 (off) or more, not -2");
    REFUSED(dry_multiplier, -1, "dry_multiplier must be finite and 0 or more, not -1");
    REFUSED(dry_base, 0.5f, "dry_base must be finite and 1 or more, not 0.5");
    REFUSED(dry_allowed_length, -1, "dry_allowed_length must be 0 or more, not -1");
    REFUSED(dry_penalty_last_n, -2,
            "dry_penalty_last_n must be -1 (the whole context), 0 (off) or more, not -2");
    REFUSED(mirostat, 3, "mirostat must be 0 (off), 1 or 2, not 3");
    REFUSED(mirostat_tau, -1, "mirostat_tau must be finite and 0 or more, not -1");
    REFUSED(mirostat_eta, INFINITY, "mirostat_eta must be finite and 0 or more, not inf");
    REFUSED(chain[0], '?', "sampler chain \"?\": there is no sampler '?'");
    REFUSED(dry_breakers_count, 17, "17 DRY sequence breakers, at most 16 are allowed");
    REFUSED(dry_breakers_count, 5, "DRY sequence breaker 5 must have 1 to 40 bytes, not 0");
    REFUSED(dry_breakers[1], "", "DRY sequence breaker 2 must have 1 to 40 bytes, not 0");
    REFUSED(dry_breakers[0], "12345678901234567890123456789012345678901",
            "DRY sequence breaker 1 must have 1 to 40 bytes, not 41");
}

TEST(sampler_chain_without_end_is_refused)
{
    struct weir_sampler_options options = neutral("");
    memset(options.chain, 'k', sizeof options.chain);
    check_refused(&options, "the sampler chain has more than 31 letters");
}

TEST(sampler_biases_are_checked)
{
    struct weir_logit_bias bias = {10, 1};
    struct weir_sampler_options options = neutral("");
    options.biases = &bias;
    options.biases_count = 1;
    check_refused(&options, "logit bias of token 10: the vocabulary has 10 tokens");
    bias.id = -1;
    check_refused(&options, "logit bias of token -1: the vocabulary has 10 tokens");
    bias = (struct weir_logit_bias){3, NAN};
    check_refused(&options, "logit bias of token 3 must be finite or -inf, not nan");
    bias.bias = INFINITY;
    check_refused(&options, "logit bias of token 3 must be finite or -inf, not inf");
}

/* ---- each sampler ---------------------------------------------------------------------------- */

enum { SMALL = 12 };

static const float small_logits[SMALL] = {2, 1, 0.5f, 0, -0.5f, -1, -2, 3, 2.5f, -4, 0.25f, 1.75f};

TEST(sampler_is_off_by_default)
{
    for (const char *letter = "edskypmxt"; *letter != 0; letter++) {
        const char chain[2] = {*letter, 0};
        const struct weir_sampler_options options = neutral(chain);
        struct weir_sampler *sampler = open_sampler(&options, SMALL);
        for (int32_t i = 0; i < 40; i++)
            weir_sampler_accept(sampler, i % 3);
        const struct candidates *set = sampler_filter(sampler, small_logits);
        CHECK_INT(set->count, SMALL);
        for (uint32_t i = 0; i < SMALL; i++) {
            CHECK_INT(set->ids[i], i);
            CHECK(set->logits[i] == small_logits[i]);
        }
        weir_sampler_close(sampler);
    }
}

/* -1 looks at the whole context, and no further. */
TEST(sampler_penalty_window_is_the_context)
{
    struct weir_sampler_options options = neutral("e");
    options.repeat_last_n = -1;
    options.presence_penalty = 1;
    struct weir_sampler *sampler = open_sampler(&options, SMALL);
    weir_sampler_accept(sampler, 4);
    weir_sampler_accept(sampler, 3);
    weir_sampler_accept(sampler, -1); /* neither is a token */
    weir_sampler_accept(sampler, SMALL);
    for (uint32_t i = 0; i < CONTEXT - 1; i++)
        weir_sampler_accept(sampler, 5);
    const struct candidates *set = sampler_filter(sampler, small_logits);
    for (uint32_t i = 0; i < SMALL; i++)
        CHECK(set->logits[i] == small_logits[i] - (float)(i == 3 || i == 5));
    weir_sampler_close(sampler);
}

/* Penalties on a set that was already cut and sorted: the same values, and an order that the next
 * filter can rely on. */
TEST(sampler_penalties_may_follow_filters)
{
    struct weir_sampler_options options = neutral("kep");
    options.top_k = 6;
    options.top_p = 0.999f;
    options.presence_penalty = 1;
    struct weir_sampler *sampler = open_sampler(&options, SMALL);
    weir_sampler_accept(sampler, 0);
    weir_sampler_accept(sampler, 9); /* cut by top_k */
    weir_sampler_accept(sampler, 7);
    const struct candidates *set = sampler_filter(sampler, small_logits);
    static const int32_t ids[] = {8, 7, 11, 0, 1, 2};
    static const float logits[] = {2.5f, 2, 1.75f, 1, 1, 0.5f};
    CHECK_INT(set->count, 6);
    for (uint32_t i = 0; i < 6; i++) {
        CHECK_INT(set->ids[i], ids[i]);
        CHECK(set->logits[i] == logits[i]);
    }
    weir_sampler_close(sampler);
}

/* One of two equal candidates has p = 0.5: enough for top_p, which wants at least that, not for
 * typical_p, which wants more. */
TEST(sampler_mass_limits_differ_at_equality)
{
    const float logits[2] = {1, 1};
    for (uint32_t kept = 1; kept <= 2; kept++) {
        struct weir_sampler_options options = neutral(kept == 1 ? "p" : "y");
        options.top_p = 0.5f;
        options.typical_p = 0.5f;
        struct weir_sampler *sampler = open_sampler(&options, 2);
        CHECK_INT(sampler_filter(sampler, logits)->count, kept);
        weir_sampler_close(sampler);
    }
}

TEST(sampler_biases_add_up)
{
    const struct weir_logit_bias biases[] = {{2, 1}, {2, 0.5f}, {7, -INFINITY}, {7, 5}};
    struct weir_sampler_options options = neutral("");
    options.biases = biases;
    options.biases_count = 4;
    struct weir_sampler *sampler = open_sampler(&options, SMALL);
    float logits[SMALL];
    memcpy(logits, small_logits, sizeof logits);
    logits[7] = INFINITY; /* a ban is a ban */
    const struct candidates *set = sampler_filter(sampler, logits);
    CHECK(set->logits[2] == 2);
    CHECK(set->logits[7] == -INFINITY);
    CHECK(logits[2] == 0.5f);
    weir_sampler_close(sampler);
}

TEST(sampler_never_picks_banned_tokens)
{
    int32_t banned[] = {7, 8};
    for (int greedy = 0; greedy < 2; greedy++) {
        struct weir_sampler_options options = neutral("kpt");
        options.temperature = greedy ? 0 : 1;
        struct sampler_tokens tokens = {.banned = banned, .banned_count = 2};
        struct weir_sampler *sampler;
        struct weir_error err = {0};
        CHECK_OK(sampler_open(&sampler, &options, SMALL, CONTEXT, &tokens, &err), &err);
        for (uint32_t i = 0; i < 1000; i++) {
            const int32_t id = weir_sampler_pick(sampler, small_logits);
            CHECK(id != 7 && id != 8);
            CHECK(!greedy || id == 0);
        }
        weir_sampler_close(sampler);
    }
}

/* What ends a text is banned for as many tokens as there are to be, and then is not. */
TEST(sampler_ends_no_text_before_its_least_length)
{
    static const int32_t ends[] = {7, 8};
    for (int greedy = 0; greedy < 2; greedy++) {
        struct weir_sampler_options options = neutral("kpt");
        struct weir_sampler *sampler;
        struct weir_error err = {0};
        bool is_ended = false;
        options.temperature = greedy ? 0 : 1;
        options.ends = ends;
        options.ends_count = 2;
        options.tokens_min = 100;
        CHECK_OK(weir_sampler_open(&sampler, &options, SMALL, CONTEXT, NULL, &err), &err);
        for (uint32_t i = 0; i < 200; i++) {
            const int32_t id = weir_sampler_pick(sampler, small_logits);
            CHECK(i >= options.tokens_min || (id != 7 && id != 8));
            is_ended = is_ended || id == 7 || id == 8;
        }
        CHECK(is_ended);
        weir_sampler_close(sampler);
    }
}

TEST(sampler_ends_are_of_its_vocabulary)
{
    for (int32_t id = -1; id <= SMALL; id += SMALL + 1) {
        struct weir_sampler_options options = neutral("kpt");
        struct weir_sampler *sampler;
        struct weir_error err = {0};
        options.ends = &id;
        options.ends_count = 1;
        CHECK_INT(weir_sampler_open(&sampler, &options, SMALL, CONTEXT, NULL, &err),
                  WEIR_ERR_ARGUMENT);
        CHECK(sampler == NULL && strstr(err.text, "a text that ends at token ") != NULL);
    }
}

/* ---- greedy ---------------------------------------------------------------------------------- */

/* At temperature 0 the chain's filters cannot take the best token away: XTC and typical_p would. */
TEST(sampler_greedy_is_exact)
{
    struct weir_sampler_options options = neutral("edskypmx");
    options.temperature = 0;
    options.xtc_probability = 1;
    options.typical_p = 0.1f;
    struct weir_sampler *sampler = open_sampler(&options, SMALL);
    float logits[SMALL];
    for (uint32_t i = 0; i < 200; i++) {
        int32_t best = 0;
        for (int32_t id = 0; id < SMALL; id++) {
            logits[id] = (float)floor(2 * rng_normal(test_seed(), i, (uint64_t)id));
            best = logits[id] > logits[best] ? id : best;
        }
        CHECK_INT(weir_sampler_pick(sampler, logits), best);
    }
    weir_sampler_close(sampler);
}

TEST(sampler_greedy_heeds_penalties)
{
    struct weir_sampler_options options = neutral("e");
    options.temperature = 0;
    options.presence_penalty = 2;
    struct weir_sampler *sampler = open_sampler(&options, SMALL);
    CHECK_INT(weir_sampler_pick(sampler, small_logits), 7);
    weir_sampler_accept(sampler, 7);
    CHECK_INT(weir_sampler_pick(sampler, small_logits), 8);
    weir_sampler_close(sampler);
}

/* ---- draws ----------------------------------------------------------------------------------- */

/* Pearson's statistic of `draws` picks against the probabilities of softmax(logits / temperature).
 * With 11 degrees of freedom it exceeds 50 with probability 6e-7. */
static double chi_square(struct weir_sampler *sampler, uint32_t draws, double temperature)
{
    uint32_t counts[SMALL] = {0};
    double sum = 0, statistic = 0;
    for (uint32_t i = 0; i < draws; i++)
        counts[weir_sampler_pick(sampler, small_logits)]++;
    for (uint32_t i = 0; i < SMALL; i++)
        sum += exp(small_logits[i] / temperature);
    for (uint32_t i = 0; i < SMALL; i++) {
        const double expected = draws * exp(small_logits[i] / temperature) / sum;
        statistic += (counts[i] - expected) * (counts[i] - expected) / expected;
    }
    return statistic;
}

TEST(sampler_draws_follow_the_probabilities)
{
    static const char *const chains[] = {"t", "pt"}; /* in the order of ids; best first */
    for (size_t i = 0; i < 2; i++) {
        struct weir_sampler_options options = neutral(chains[i]);
        options.temperature = 1.5f;
        options.top_p = 1 - FLT_EPSILON; /* sorts, and leaves all */
        struct weir_sampler *sampler = open_sampler(&options, SMALL);
        CHECK(chi_square(sampler, 50000, 1.5) < 50);
        CHECK_INT(sampler->set.sorted, i * SMALL);
        CHECK_INT(sampler->set.count, SMALL);
        weir_sampler_close(sampler);
    }
}

static void pick_some(const struct weir_sampler_options *options, int32_t *ids, uint32_t count)
{
    struct weir_sampler *sampler = open_sampler(options, SMALL);
    for (uint32_t i = 0; i < count; i++)
        ids[i] = weir_sampler_pick(sampler, small_logits);
    weir_sampler_close(sampler);
}

TEST(sampler_seed_determines_the_tokens)
{
    enum { COUNT = 200 };
    struct weir_sampler_options options = neutral("kt");
    int32_t first[COUNT], again[COUNT], other[COUNT];
    pick_some(&options, first, COUNT);
    pick_some(&options, again, COUNT);
    CHECK(memcmp(first, again, sizeof first) == 0);
    options.seed++;
    pick_some(&options, other, COUNT);
    CHECK(memcmp(first, other, sizeof first) != 0);
}

/* The random seed that was taken can be read and used again, and is small enough to be copied. */
TEST(sampler_random_seed_can_be_repeated)
{
    enum { COUNT = 200 };
    struct weir_sampler_options options = neutral("kt");
    options.seed = WEIR_SEED_RANDOM;
    struct weir_sampler *sampler = open_sampler(&options, SMALL);
    int32_t first[COUNT], again[COUNT];
    for (uint32_t i = 0; i < COUNT; i++)
        first[i] = weir_sampler_pick(sampler, small_logits);
    options.seed = weir_sampler_seed(sampler);
    CHECK(options.seed < UINT32_MAX);
    weir_sampler_close(sampler);
    pick_some(&options, again, COUNT);
    CHECK(memcmp(first, again, sizeof first) == 0);
}

/* Token 0 is taken away with probability P, and otherwise drawn with its own: 0.6 (1 - P). The
 * deviation allowed is five standard deviations. */
TEST(sampler_xtc_acts_with_its_probability)
{
    enum { DRAWS = 20000 };
    const float logits[3] = {logf(0.6f), logf(0.35f), logf(0.05f)};
    struct weir_sampler_options options = neutral("x");
    options.xtc_probability = 0.3f;
    struct weir_sampler *sampler = open_sampler(&options, 3);
    uint32_t count = 0;
    for (uint32_t i = 0; i < DRAWS; i++)
        count += weir_sampler_pick(sampler, logits) == 0;
    const double p = 0.6 * 0.7;
    CHECK(fabs(count - DRAWS * p) < 5 * sqrt(DRAWS * p * (1 - p)));
    weir_sampler_close(sampler);
}

/* ---- mirostat -------------------------------------------------------------------------------- */

enum { ZIPF = 2000, MIROSTAT_DRAWS = 4000 };

/* The mean surprise, in bits, of the second half of the draws from Zipf's law. */
static double mean_surprise(uint32_t version, float tau)
{
    static float logits[ZIPF];
    for (uint32_t i = 0; i < ZIPF; i++)
        logits[i] = -1.1f * logf((float)i + 1);
    struct weir_sampler_options options = neutral("k");
    options.mirostat = version;
    options.mirostat_tau = tau;
    struct weir_sampler *sampler = open_sampler(&options, ZIPF);
    double sum = 0;
    for (uint32_t i = 0; i < MIROSTAT_DRAWS; i++) {
        const int32_t id = weir_sampler_pick(sampler, logits);
        const struct softmax softmax = candidates_softmax(&sampler->set);
        if (i >= MIROSTAT_DRAWS / 2)
            sum += -softmax_log_p(softmax, logits[id]) / log(2);
    }
    weir_sampler_close(sampler);
    return sum / (MIROSTAT_DRAWS / 2);
}

/* mu moves by eta times each error, so the mean error is the way of mu over eta times the number of
 * draws: mu stays within some 10 bits, 10 / (0.1 * 2000) = 0.05. */
TEST(sampler_mirostat_converges_to_tau)
{
    for (uint32_t version = 1; version <= 2; version++) {
        for (float tau = 2; tau <= 5; tau++)
            CHECK(fabs(mean_surprise(version, tau) - tau) < 0.05);
    }
}

/* ---- broken models --------------------------------------------------------------------------- */

enum { HOSTILE = 150, PATTERNS = 8 };

static void draw_hostile(float *logits, uint32_t count, uint32_t pattern)
{
    static const float values[] = {NAN, INFINITY, -INFINITY, FLT_MAX, -FLT_MAX, 0, 1, -1};
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t random = (uint32_t)(rng_bits(test_seed(), pattern, i) % 8);
        logits[i] = pattern < 5 ? values[pattern] : values[pattern == 5 ? random : random % 3];
    }
    if (pattern == PATTERNS - 1)
        logits[count / 2] = 1;
}

static void check_hostile(const struct weir_sampler_options *options)
{
    static const uint32_t vocabs[] = {1, 2, 65, HOSTILE};
    float logits[HOSTILE];
    for (uint32_t v = 0; v < 4; v++) {
        struct weir_sampler *sampler = open_sampler(options, vocabs[v]);
        for (uint32_t i = 0; i < 10 * PATTERNS; i++) {
            draw_hostile(logits, vocabs[v], i % PATTERNS);
            const int32_t id = weir_sampler_pick(sampler, logits);
            CHECK(id >= 0 && (uint32_t)id < vocabs[v]);
            CHECK(sampler->set.count >= 1);
            for (uint32_t k = 0; k < sampler->set.count; k++)
                CHECK(!isnan(sampler->set.logits[k]));
            weir_sampler_accept(sampler, id);
        }
        weir_sampler_close(sampler);
    }
}

static struct weir_sampler_options all_on(const char *chain)
{
    struct weir_sampler_options options = neutral(chain);
    options.top_k = 30;
    options.top_p = 0.9f;
    options.min_p = 0.01f;
    options.typical_p = 0.9f;
    options.top_n_sigma = 1;
    options.xtc_probability = 1;
    options.xtc_threshold = 0;
    options.presence_penalty = -FLT_MAX;
    options.frequency_penalty = FLT_MAX;
    options.repeat_penalty = FLT_MIN;
    options.dry_multiplier = FLT_MAX;
    options.dry_base = FLT_MAX;
    options.dry_allowed_length = 0;
    return options;
}

TEST(sampler_survives_hostile_logits)
{
    static const float temperatures[] = {0, 1e-38f, 1, FLT_MAX};
    static const char *const chains[] = {
        "", "e", "d", "s", "k", "y", "p", "m", "x", "t", "edskypmxt", "txmpyksde", "kedyexpst",
    };
    for (size_t t = 0; t < 4; t++) {
        for (size_t c = 0; c < sizeof chains / sizeof *chains; c++) {
            struct weir_sampler_options options = all_on(chains[c]);
            options.temperature = temperatures[t];
            check_hostile(&options);
            options.dynatemp_range = FLT_MAX;
            check_hostile(&options);
        }
        for (uint32_t version = 1; version <= 2; version++) {
            struct weir_sampler_options options = all_on("");
            options.mirostat = version;
            options.temperature = temperatures[t];
            check_hostile(&options);
            options.mirostat_tau = FLT_MAX;
            options.mirostat_eta = FLT_MAX;
            check_hostile(&options);
        }
    }
}

/* Whatever the filters are, on ordinary logits something of the best is left. */
TEST(sampler_filters_never_empty_the_set)
{
    static const char *const chains[] = {"k", "p", "m", "y", "s", "x", "skypmxt", "xmpyks"};
    for (size_t c = 0; c < sizeof chains / sizeof *chains; c++) {
        struct weir_sampler_options options = neutral(chains[c]);
        options.top_k = 1;
        options.top_p = 0;
        options.min_p = 1;
        options.typical_p = 0;
        options.top_n_sigma = FLT_MIN;
        options.xtc_probability = 1;
        options.xtc_threshold = 0;
        struct weir_sampler *sampler = open_sampler(&options, SMALL);
        const struct candidates *set = sampler_filter(sampler, small_logits);
        CHECK(set->count >= 1);
        CHECK(set->logits[candidates_best(set)] > -INFINITY);
        weir_sampler_close(sampler);
    }
}

/* ---- what was left --------------------------------------------------------------------------- */

/* Probabilities of the draw: by the logits at the temperature, of what the chain has left. Those of
 * all add up to 1 as far as float goes: 64 roundings of half an ulp. */
TEST(sampler_chances_are_those_of_the_draw)
{
    enum { VOCAB = 64, KEPT = 12 };
    struct weir_sampler_options options = neutral("kt");
    float logits[VOCAB], own;
    struct weir_chance chances[VOCAB];
    options.top_k = KEPT;
    options.temperature = 0.7f;
    struct weir_sampler *sampler = open_sampler(&options, VOCAB);
    for (uint64_t round = 0; round < 50; round++) {
        for (uint32_t i = 0; i < VOCAB; i++)
            logits[i] = (float)(8 * rng_uniform(test_seed() + round, 9, i));
        const int32_t id = weir_sampler_pick(sampler, logits);
        CHECK_INT(weir_sampler_chances(sampler, id, &own, chances, VOCAB), KEPT);
        double sum = 0;
        bool is_there = false;
        for (uint32_t i = 0; i < KEPT; i++) {
            const double far = (logits[chances[i].id] - logits[chances[0].id]) / 0.7;
            sum += chances[i].probability;
            CHECK(i == 0 || chances[i].probability <= chances[i - 1].probability);
            CHECK(fabs(chances[i].probability / chances[0].probability - exp(far)) < 2e-6);
            is_there = is_there || (chances[i].id == id && chances[i].probability == own);
        }
        CHECK(is_there && fabs(sum - 1) < 64 * (double)FLT_EPSILON / 2);
        CHECK_INT(weir_sampler_chances(sampler, id, NULL, chances, 2), 2);
        CHECK_INT(weir_sampler_chances(sampler, id, NULL, NULL, 0), 0);
        weir_sampler_accept(sampler, id);
    }
    weir_sampler_close(sampler);
}

TEST(sampler_chances_of_the_best_are_one)
{
    static const float logits[] = {1, 3, 2};
    struct weir_sampler_options options = neutral("kt");
    struct weir_chance chances[3];
    float own;
    options.temperature = 0;
    struct weir_sampler *sampler = open_sampler(&options, 3);
    CHECK_INT(weir_sampler_pick(sampler, logits), 1);
    CHECK_INT(weir_sampler_chances(sampler, 1, &own, chances, 3), 1);
    CHECK(chances[0].id == 1 && chances[0].probability == 1 && own == 1);
    weir_sampler_close(sampler);
}
