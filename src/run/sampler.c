/* SPDX-License-Identifier: MIT
 * The sampler: opened, fed with tokens, asked for the next one. Knows not what the samplers of its
 * chain do. */
#include "run/sampler.h"

#include "base/mem.h"
#include "base/rng.h"

/* ---- open and close -------------------------------------------------------------------------- */

static void add_step(struct weir_sampler *sampler, sampler_step_fn *step)
{
    sampler->steps[sampler->steps_count++] = step;
}

/* Without a range to vary it in, a temperature of 0 means the best token, whatever the chain is:
 * filters could only remove it, so only the samplers that adjust logits remain. */
static bool is_greedy(const struct weir_sampler_options *options)
{
    return options->temperature < SAMPLER_TEMPERATURE_MIN && options->dynatemp_range == 0;
}

/* Looks at what the steps begin with: those that adjust logits, or are off, and then the best
 * few. */
static void find_best_count(struct weir_sampler *sampler, const char *chain, bool greedy)
{
    const struct weir_sampler_options *options = &sampler->options;
    if (greedy) {
        sampler->adjusting_count = sampler->steps_count - 1;
        sampler->best_count = 1;
        return;
    }
    const char *letter = chain;
    while (*letter != 0 && (sampler_kind_of_letter(*letter)->adjusts ||
                            (*letter == 's' && !(options->top_n_sigma > 0))))
        letter++;
    sampler->adjusting_count = (uint32_t)(letter - chain);
    sampler->best_count = *letter == 'k' && options->top_k > 0 ? (uint32_t)options->top_k : 0;
}

static void choose_steps(struct weir_sampler *sampler)
{
    const struct weir_sampler_options *options = &sampler->options;
    const bool greedy = is_greedy(options);
    const char *chain = options->mirostat == 0 ? options->chain : "t";
    for (const char *letter = chain; *letter != 0; letter++) {
        const struct sampler_kind *kind = sampler_kind_of_letter(*letter);
        if (kind->adjusts || !greedy)
            add_step(sampler, kind->step);
    }
    if (greedy)
        add_step(sampler, sampler_kind_of_letter('t')->step);
    find_best_count(sampler, chain, greedy);
    if (options->mirostat == 1)
        add_step(sampler, sampler_step_mirostat_1);
    if (options->mirostat == 2)
        add_step(sampler, sampler_step_mirostat_2);
}

/* The given biases, then the banned tokens. */
static enum weir_status copy_biases(struct weir_sampler *sampler,
                                    const struct sampler_tokens *tokens, struct weir_error *err)
{
    const uint64_t given = sampler->options.biases_count;
    sampler->biases_count = given + tokens->banned_count;
    sampler->biases = mem_alloc(sampler->biases_count, sizeof *sampler->biases, err);
    if (sampler->biases == NULL)
        return WEIR_ERR_MEMORY;
    for (uint64_t i = 0; i < given; i++) {
        const struct weir_logit_bias bias = sampler->options.biases[i];
        if (bias.id < 0 || (uint32_t)bias.id >= sampler->set.vocab)
            return err_set(err, WEIR_ERR_ARGUMENT,
                           "logit bias of token %d: the vocabulary has %u tokens", bias.id,
                           sampler->set.vocab);
        sampler->biases[i] = bias;
    }
    for (uint64_t i = 0; i < tokens->banned_count; i++)
        sampler->biases[given + i] = (struct weir_logit_bias){tokens->banned[i], -INFINITY};
    return WEIR_OK;
}

static enum weir_status take_memory(struct weir_sampler *sampler, uint32_t vocab, uint32_t context,
                                    struct weir_error *err)
{
    const struct weir_sampler_options *options = &sampler->options;
    enum weir_status status;
    sampler->penalty_window = sampler_penalty_window(options, context);
    sampler->dry_window = sampler_dry_window(options, context);
    const uint32_t window = sampler->penalty_window > sampler->dry_window ? sampler->penalty_window
                                                                          : sampler->dry_window;
    TRY(candidates_init(&sampler->set, vocab, err));
    if (options->typical_p < 1 && sampler_chain_has(options, 'y'))
        TRY(candidates_init(&sampler->scores, vocab, err));
    TRY(token_history_init(&sampler->history, window, err));
    sampler->marks = mem_alloc(vocab, sizeof *sampler->marks, err);
    sampler->dry_lengths = mem_alloc(sampler->dry_window, sizeof *sampler->dry_lengths, err);
    if (sampler->marks == NULL || sampler->dry_lengths == NULL)
        status = WEIR_ERR_MEMORY;
out:
    return status;
}

/* A seed that fits where people will copy it to: positive, and neither -1 nor 2^32 - 1, which mean
 * "random" elsewhere. */
static uint64_t random_seed(void)
{
    return rng_system_seed() >> 33;
}

enum weir_status sampler_open(struct weir_sampler **out, const struct weir_sampler_options *options,
                              uint32_t vocab, uint32_t context, struct sampler_tokens *tokens,
                              struct weir_error *err)
{
    *out = NULL;
    enum weir_status status = sampler_options_check(options, err);
    if (status != WEIR_OK)
        return status;
    if (vocab < 1 || vocab > INT32_MAX)
        return err_set(err, WEIR_ERR_ARGUMENT, "a vocabulary of %u tokens", vocab);
    struct weir_sampler *sampler = mem_alloc(1, sizeof *sampler, err);
    if (sampler == NULL)
        return WEIR_ERR_MEMORY;
    sampler->options = *options;
    sampler->seed = options->seed == WEIR_SEED_RANDOM ? random_seed() : options->seed;
    sampler->mirostat_mu = 2.0 * options->mirostat_tau;
    choose_steps(sampler);
    TRY(take_memory(sampler, vocab, context, err));
    TRY(copy_biases(sampler, tokens, err));
    sampler->breakers = tokens->breakers;
    tokens->breakers = (struct dry_breakers){0};
    sampler->ends = tokens->ends;
    sampler->ends_count = tokens->ends_count;
    tokens->ends = NULL;
    *out = sampler;
out:
    if (status != WEIR_OK)
        weir_sampler_close(sampler);
    return status;
}

void weir_sampler_close(struct weir_sampler *sampler)
{
    if (sampler == NULL)
        return;
    mem_free(sampler->biases);
    mem_free(sampler->ends);
    mem_free(sampler->marks);
    mem_free(sampler->dry_lengths);
    dry_breakers_release(&sampler->breakers);
    token_history_release(&sampler->history);
    guard_release(&sampler->guard);
    candidates_release(&sampler->scores);
    candidates_release(&sampler->set);
    mem_free(sampler);
}

uint64_t weir_sampler_seed(const struct weir_sampler *sampler)
{
    return sampler->seed;
}

/* ---- one token ------------------------------------------------------------------------------- */

void weir_sampler_accept(struct weir_sampler *sampler, int32_t id)
{
    if (id >= 0 && (uint32_t)id < sampler->set.vocab)
        token_history_push(&sampler->history, id);
    guard_accept(&sampler->guard, id);
}

/* Leaves what the guard allows. If that is just as many as are to be kept, they are put in order:
 * keep_best_allowed might have found them, and a draw goes by their order. */
static void keep_allowed(struct weir_sampler *sampler)
{
    struct candidates *set = &sampler->set;
    uint32_t tokens;
    const uint64_t *mask = guard_mask(&sampler->guard, &tokens);
    if (mask == NULL)
        return;
    candidates_keep_bits(set, mask, tokens);
    if (set->count == sampler->best_count)
        candidates_sort(set, set->count);
}

/* Leaves the best that the guard allows, by asking for one after the other: a mask of a state that
 * allows almost all is dear, and where a string may have so many characters each is another state.
 * False if that takes too long; then logits are changed, but no token is gone. */
static bool keep_best_allowed(struct weir_sampler *sampler)
{
    enum { ASKED_MAX = 512 };
    struct candidates *set = &sampler->set;
    struct constraint_cursor *cursor = guard_unmasked(&sampler->guard);
    int32_t kept[ASKED_MAX];
    uint32_t kept_count = 0;
    if (cursor == NULL || sampler->best_count == 0 || sampler->best_count > ASKED_MAX / 2)
        return false;
    for (uint32_t i = 0; i < ASKED_MAX && i < set->count; i++) {
        candidates_sort(set, i + 1);
        if (constraint_allows(cursor, set->ids[i]))
            kept[kept_count++] = (int32_t)i;
        if (kept_count < sampler->best_count)
            continue;
        candidates_keep_indices(set, kept, kept_count);
        return true;
    }
    candidates_unsort(set);
    return false;
}

/* The mask is applied before all else that takes tokens away. What adjusts logits does so to each
 * by itself, whatever others there are. */
const struct candidates *sampler_filter(struct weir_sampler *sampler, const float *logits)
{
    struct candidates *set = &sampler->set;
    struct guard *guard = &sampler->guard;
    candidates_fill(set, logits);
    for (uint64_t i = 0; i < sampler->biases_count; i++) {
        const struct weir_logit_bias bias = sampler->biases[i];
        set->logits[bias.id] = logit_clean((double)set->logits[bias.id] + bias.bias);
    }
    for (uint32_t i = 0; i < guard->banned_count; i++)
        set->logits[guard->banned[i]] = -INFINITY;
    for (uint64_t i = 0; i < sampler->ends_count && sampler->drawn < sampler->options.tokens_min;
         i++)
        set->logits[sampler->ends[i]] = -INFINITY;
    for (uint32_t i = 0; i < sampler->adjusting_count; i++)
        sampler->steps[i](sampler);
    if (!keep_best_allowed(sampler))
        keep_allowed(sampler);
    for (uint32_t i = sampler->adjusting_count; i < sampler->steps_count; i++)
        sampler->steps[i](sampler);
    return set;
}

static int32_t draw(struct weir_sampler *sampler, const float *logits, double *surprise)
{
    const struct candidates *set = sampler_filter(sampler, logits);
    *surprise = 0;
    if (set->count == 1)
        return set->ids[0];
    const struct softmax softmax = candidates_softmax(set);
    const double u = rng_uniform(sampler->seed, SAMPLER_STREAM_DRAW, sampler->drawn);
    const uint32_t index = candidates_draw(set, softmax, u);
    *surprise = -softmax_log_p(softmax, set->logits[index]) / M_LN2;
    return set->ids[index];
}

int32_t weir_sampler_pick(struct weir_sampler *sampler, const float *logits)
{
    double surprise; /* in bits */
    const int32_t forced = guard_forced(&sampler->guard);
    if (forced >= 0) {
        sampler->drawn++;
        return forced;
    }
    int32_t id = draw(sampler, logits, &surprise);
    while (!guard_takes(&sampler->guard, id))
        id = draw(sampler, logits, &surprise);
    sampler->drawn++;
    const struct weir_sampler_options *options = &sampler->options;
    sampler->mirostat_mu -= options->mirostat_eta * (surprise - options->mirostat_tau);
    return id;
}

enum weir_status weir_sampler_constrain(struct weir_sampler *sampler,
                                        struct weir_constraint *constraint, const char *behind,
                                        struct weir_error *err)
{
    const uint32_t tokens = constraint == NULL ? 0 : constraint_tokens(constraint);
    if (tokens > sampler->set.vocab)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "a constraint of %u tokens: the sampler chooses among %u", tokens,
                       sampler->set.vocab);
    return guard_constrain(&sampler->guard, constraint, behind, err);
}

bool weir_sampler_is_cut(const struct weir_sampler *sampler)
{
    return sampler->guard.cursor.is_cut;
}

enum weir_status weir_sampler_limit_reasoning(struct weir_sampler *sampler, uint32_t budget,
                                              const char *mark, const char *closing,
                                              struct weir_error *err)
{
    return guard_limit_reasoning(&sampler->guard, budget, mark, closing, err);
}
