/* SPDX-License-Identifier: MIT
 * The samplers: what each does to the candidates, and the table of them. Knows neither where logits
 * come from nor how the token is drawn in the end. */
#include "run/sampler.h"

#include <float.h>
#include <string.h>

#include "base/rng.h"

static uint32_t min_keep(const struct weir_sampler *sampler)
{
    return sampler->options.min_keep > 1 ? sampler->options.min_keep : 1;
}

/* ---- by what was said before ----------------------------------------------------------------- */

/* The new logit of a candidate with the mark `mark`, which is not 0. */
typedef float adjust_fn(const struct weir_sampler_options *options, float logit, uint32_t mark);

/* Adjusts each marked candidate once and clears the marks. Only tokens of `text` are marked. */
static void adjust_marked(struct weir_sampler *sampler, struct token_history_tail text,
                          adjust_fn *adjust)
{
    struct candidates *set = &sampler->set;
    uint32_t *marks = sampler->marks;
    candidates_unsort(set);
    if (!candidates_by_id(set)) {
        for (uint32_t i = 0; i < set->count; i++) {
            const uint32_t mark = marks[set->ids[i]];
            if (mark != 0)
                set->logits[i] = adjust(&sampler->options, set->logits[i], mark);
        }
        for (uint32_t i = 0; i < text.count; i++)
            marks[text.ids[i]] = 0;
        return;
    }
    for (uint32_t i = 0; i < text.count; i++) {
        const int32_t id = text.ids[i];
        if (marks[id] == 0)
            continue;
        set->logits[id] = adjust(&sampler->options, set->logits[id], marks[id]);
        marks[id] = 0;
    }
}

static float penalize(const struct weir_sampler_options *options, float logit, uint32_t count)
{
    const float r = options->repeat_penalty;
    const float scaled = logit <= 0 ? logit * r : logit / r;
    return logit_clean(
        scaled - ((double)count * options->frequency_penalty + (double)options->presence_penalty));
}

static void step_penalties(struct weir_sampler *sampler)
{
    const struct token_history_tail text =
        token_history_tail(&sampler->history, sampler->penalty_window);
    for (uint32_t i = 0; i < text.count; i++)
        sampler->marks[text.ids[i]]++;
    if (text.count > 0)
        adjust_marked(sampler, text, penalize);
}

static float break_repetition(const struct weir_sampler_options *options, float logit,
                              uint32_t excess)
{
    const double exponent_max = log(FLT_MAX) / log(options->dry_base); /* inf for a base of 1 */
    const double exponent = fmin(excess - 1, exponent_max);
    return logit_clean(logit - options->dry_multiplier * pow(options->dry_base, exponent));
}

static void step_dry(struct weir_sampler *sampler)
{
    const struct token_history_tail text =
        token_history_tail(&sampler->history, sampler->dry_window);
    dry_find(sampler->marks, sampler->dry_lengths, &sampler->breakers, text,
             (uint32_t)sampler->options.dry_allowed_length);
    if (text.count > 0)
        adjust_marked(sampler, text, break_repetition);
}

/* ---- filters --------------------------------------------------------------------------------- */

static void step_top_k(struct weir_sampler *sampler)
{
    if (sampler->options.top_k > 0)
        candidates_keep_best(&sampler->set, (uint32_t)sampler->options.top_k);
}

static void step_top_p(struct weir_sampler *sampler)
{
    struct candidates *set = &sampler->set;
    const float top_p = sampler->options.top_p;
    if (top_p >= 1)
        return;
    const struct softmax softmax = candidates_softmax(set);
    const double wanted = top_p * softmax.sum;
    const uint32_t least = min_keep(sampler);
    uint32_t kept = 0;
    for (double mass = 0; kept < set->count && (kept < least || mass < wanted);) {
        candidates_sort(set, kept + 1);
        mass += softmax_weight(softmax, set->logits[kept++]);
    }
    candidates_keep_best(set, kept);
}

static void step_min_p(struct weir_sampler *sampler)
{
    struct candidates *set = &sampler->set;
    if (sampler->options.min_p <= 0)
        return;
    const float max = set->logits[candidates_best(set)];
    candidates_keep_above(set, max + logf(sampler->options.min_p), min_keep(sampler));
}

static void step_top_n_sigma(struct weir_sampler *sampler)
{
    struct candidates *set = &sampler->set;
    const double n = sampler->options.top_n_sigma;
    if (n <= 0)
        return;
    double sum = 0, squares = 0;
    uint32_t finite = 0;
    for (uint32_t i = 0; i < set->count; i++) {
        if (!isfinite(set->logits[i]))
            continue;
        sum += set->logits[i];
        finite++;
    }
    if (finite == 0)
        return;
    const double mean = sum / finite;
    for (uint32_t i = 0; i < set->count; i++) {
        const double deviation = set->logits[i] - mean;
        if (isfinite(deviation))
            squares += deviation * deviation;
    }
    const double limit = set->logits[candidates_best(set)] - n * sqrt(squares / finite);
    for (uint32_t i = 0; i < set->count; i++) {
        if (set->logits[i] < limit)
            set->logits[i] = -INFINITY;
    }
}

/* Sorts candidates by how far their surprise is from the expected one, the entropy, and keeps the
 * nearest. The set's own order stays. */
static void step_typical_p(struct weir_sampler *sampler)
{
    struct candidates *set = &sampler->set, *scores = &sampler->scores;
    const float typical_p = sampler->options.typical_p;
    if (typical_p >= 1)
        return;
    const struct softmax softmax = candidates_softmax(set);
    const double entropy = candidates_entropy(set, softmax);
    scores->count = set->count;
    scores->sorted = 0;
    for (uint32_t i = 0; i < set->count; i++) {
        const double surprise = -softmax_log_p(softmax, set->logits[i]);
        scores->logits[i] = (float)-fabs(surprise - entropy);
        scores->ids[i] = (int32_t)i;
    }
    const double wanted = typical_p * softmax.sum;
    const uint32_t least = min_keep(sampler);
    uint32_t kept = 0;
    for (double mass = 0; kept < set->count && (kept < least || mass <= wanted);) {
        candidates_sort(scores, kept + 1);
        mass += softmax_weight(softmax, set->logits[scores->ids[kept++]]);
    }
    candidates_keep_best(scores, kept);
    candidates_unsort(scores);
    candidates_keep_indices(set, scores->ids, kept);
}

/* Excludes top choices: of the candidates that reach the threshold all but the last. */
static void step_xtc(struct weir_sampler *sampler)
{
    struct candidates *set = &sampler->set;
    const struct weir_sampler_options *options = &sampler->options;
    if (options->xtc_probability <= 0 || options->xtc_threshold > 0.5f || set->count < 2)
        return;
    if (rng_uniform(sampler->seed, SAMPLER_STREAM_XTC, sampler->drawn) > options->xtc_probability)
        return;
    const struct softmax softmax = candidates_softmax(set);
    uint32_t reach = 0;
    for (; reach < set->count; reach++) {
        candidates_sort(set, reach + 1);
        if (softmax_p(softmax, set->logits[reach]) < options->xtc_threshold)
            break;
    }
    if (reach > 1 && set->count - (reach - 1) >= options->min_keep)
        candidates_drop_best(set, reach - 1);
}

/* ---- temperature ----------------------------------------------------------------------------- */

/* Between temperature - range and temperature + range, by how flat the distribution is. */
static float dynamic_temperature(const struct weir_sampler *sampler)
{
    const struct weir_sampler_options *options = &sampler->options;
    const struct candidates *set = &sampler->set;
    const double low = fmax(0, (double)options->temperature - options->dynatemp_range);
    const double high = (double)options->temperature + options->dynatemp_range;
    const double entropy = candidates_entropy(set, candidates_softmax(set));
    const double flatness = fmax(0, entropy / log(set->count));
    const double temperature = low + (high - low) * pow(flatness, options->dynatemp_exponent);
    return (float)fmin(temperature, FLT_MAX);
}

static void step_temperature(struct weir_sampler *sampler)
{
    struct candidates *set = &sampler->set;
    float temperature = sampler->options.temperature;
    if (sampler->options.dynatemp_range > 0 && set->count > 1)
        temperature = dynamic_temperature(sampler);
    if (temperature < SAMPLER_TEMPERATURE_MIN) {
        candidates_keep_best(set, 1);
        return;
    }
    for (uint32_t i = 0; i < set->count; i++)
        set->logits[i] /= temperature;
}

/* ---- mirostat: Basu and others 2021, arXiv 2007.14966, algorithms 1 and 2 -------------------- */

enum { ZIPF_TOKENS = 100 };

/* The exponent of Zipf's law that fits the best candidates, by least squares. */
static double zipf_exponent(const struct candidates *set)
{
    double products = 0, squares = 0;
    for (uint32_t i = 0; i + 1 < ZIPF_TOKENS && i + 1 < set->count; i++) {
        if (set->logits[i + 1] == -INFINITY)
            break;
        const double t = log((i + 2.0) / (i + 1.0));
        const double b = (double)set->logits[i] - set->logits[i + 1];
        products += t * b;
        squares += t * t;
    }
    return products / squares;
}

void sampler_step_mirostat_1(struct weir_sampler *sampler)
{
    struct candidates *set = &sampler->set;
    candidates_sort(set, ZIPF_TOKENS);
    const double s = zipf_exponent(set);
    const double e = s - 1;
    const double log_n = log(set->vocab);
    const double ratio = e == 0 ? 1 / log_n : e / -expm1(-e * log_n); /* e / (1 - N^-e) */
    const double kept = floor(pow(ratio * exp2(sampler->mirostat_mu), 1 / s));
    if (kept >= set->count)
        return;
    candidates_keep_best(set, kept >= 1 ? (uint32_t)kept : 1); /* a NaN keeps one */
}

void sampler_step_mirostat_2(struct weir_sampler *sampler)
{
    const struct softmax softmax = candidates_softmax(&sampler->set);
    const double limit = softmax.max + softmax.log_sum - sampler->mirostat_mu * M_LN2;
    candidates_keep_above(&sampler->set, (float)limit, 1);
}

/* ---- the table ------------------------------------------------------------------------------- */

static const struct sampler_kind kinds[] = {
    {'e', "penalties", step_penalties, true},
    {'d', "dry", step_dry, true},
    {'s', "top_n_sigma top-n-sigma", step_top_n_sigma, false},
    {'k', "top_k top-k", step_top_k, false},
    {'y', "typ_p typical_p typical-p typical typ-p typ", step_typical_p, false},
    {'p', "top_p top-p nucleus", step_top_p, false},
    {'m', "min_p min-p", step_min_p, false},
    {'x', "xtc", step_xtc, false},
    {'t', "temperature temp", step_temperature, false},
};

const struct sampler_kind *sampler_kind_of_letter(char letter)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (kinds[i].letter == letter)
            return &kinds[i];
    }
    return NULL;
}

static bool names_contain(const char *names, const char *name, size_t length)
{
    while (*names != 0) {
        const size_t word = strcspn(names, " ");
        if (word == length && memcmp(names, name, length) == 0)
            return true;
        names += word;
        names += *names == ' ';
    }
    return false;
}

const struct sampler_kind *sampler_kind_of_name(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (names_contain(kinds[i].names, name, length))
            return &kinds[i];
    }
    return NULL;
}
