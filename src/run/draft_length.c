/* SPDX-License-Identifier: MIT
 * The choice of the draft length.
 *
 * A round of n drafts takes a step of n + 1 rows and n drafts, and gives on average
 * 1 + a1 + a1 a2 + ... tokens, with a_i the share of i-th drafts that are accepted if those before
 * them were. The length with the most tokens a second is taken. Times are lower quartiles of the
 * last few, so that one that something else disturbed decides nothing.
 *
 * What is not tried is not known, so now and then another length is: the fewer drafts help, the
 * more rarely. What all rounds with drafts took more than plain decoding would have is kept as an
 * account, and no round begins that could overdraw it: so the whole can never be slower than plain
 * decoding by more than loss_share of it and loss_steps steps, whatever is drafted. */
#include "run/draft_length.h"

static const double accepted_at_first = 0.7;    /* before the first draft was verified */
static const double accepted_unknown = 0.8;     /* at most, of places that were never reached */
static const double accepted_weight = 1.0 / 16; /* of one draft, once many were seen */
static const double together = 1.25;            /* times as long as one by one takes no step */
static const double worth = 1.02; /* times as fast as plain decoding is worth drafting */

/* The account, in plain steps: how much may be lost, and how much gain is kept for bad times. */
static const double loss_steps = 2, loss_share = 0.01, gain_steps = 16;

enum {
    INTERVAL_FIRST = 8, /* rounds */
    INTERVAL_LAST = 256,
};

/* The first rounds, for the times that everything is compared with: the first step of all may be
 * cold, and so may the first draft. */
static const uint32_t first_lengths[] = {0, 1, 0, 1};
enum { FIRST_LENGTHS = sizeof first_lengths / sizeof first_lengths[0] };

void draft_length_init(struct draft_length *length)
{
    *length = (struct draft_length){.interval = INTERVAL_FIRST};
    for (uint32_t i = 0; i < WEIR_DRAFTS_MAX; i++)
        length->accepted[i] = accepted_at_first;
}

/* ---- times ----------------------------------------------------------------------------------- */

/* Of a step without drafts, which takes no longer than one with drafts. */
static double plain_ns(const struct draft_length *length)
{
    return usual_ns_least(length->step, WEIR_DRAFTS_MAX);
}

static double least(double a, double b)
{
    return a < b ? a : b;
}

/* Of a whole round. A time is not believed if rows took longer together than one by one, or a draft
 * longer than a step: it would forbid to measure it again. */
static double round_ns(const struct draft_length *length, uint32_t drafts)
{
    const double plain = plain_ns(length);
    const double step =
        least(usual_ns_at(length->step, drafts, WEIR_DRAFTS_MAX), together * plain * (drafts + 1));
    return step + drafts * least(usual_ns(&length->draft), plain);
}

/* ---- the choice ------------------------------------------------------------------------------ */

static double share_accepted(const struct draft_length *length, uint32_t place)
{
    double share = length->accepted[place];
    for (uint32_t at = place; at > 0 && length->tried[at] == 0; at--)
        share = length->accepted[at - 1] < accepted_unknown ? length->accepted[at - 1]
                                                            : accepted_unknown;
    return share;
}

/* Tokens of a round, on average. */
static double round_tokens(const struct draft_length *length, uint32_t drafts)
{
    double sum = 1, all = 1;
    for (uint32_t i = 0; i < drafts; i++) {
        all *= share_accepted(length, i);
        sum += all;
    }
    return sum;
}

/* Whether a round of so many drafts could be refused whole without overdrawing the account. */
static bool is_covered(const struct draft_length *length, uint32_t drafts)
{
    const double plain = plain_ns(length);
    const double may_lose = plain * (loss_steps + loss_share * (double)length->tokens);
    return length->lost + round_ns(length, drafts) - plain <= may_lose;
}

static uint32_t best_length(const struct draft_length *length, uint32_t most)
{
    uint32_t best = 0;
    double best_rate = worth / plain_ns(length);
    for (uint32_t drafts = 1; drafts <= most && is_covered(length, drafts); drafts++) {
        const double rate = round_tokens(length, drafts) / round_ns(length, drafts);
        if (rate > best_rate) {
            best_rate = rate;
            best = drafts;
        }
    }
    return best;
}

static bool is_gain(const struct draft_length *length, uint32_t drafts, uint32_t accepted)
{
    return (accepted + 1) * plain_ns(length) > worth * round_ns(length, drafts);
}

/* What to try where nothing is drafted: as few drafts as are a gain if all are accepted. Where no
 * number is, as it seems, one draft in one of four trials, to measure again. */
static uint32_t trial_of_drafts(const struct draft_length *length, uint32_t most)
{
    uint32_t drafts = 1;
    while (drafts < most && !is_gain(length, drafts, drafts))
        drafts++;
    const bool is_hopeless = !is_gain(length, drafts, drafts);
    if (is_hopeless)
        drafts = length->trials % 4 == 0;
    return drafts <= most && is_covered(length, drafts) ? drafts : 0;
}

/* What to try in place of `best`: its neighbours, and a plain step. */
static uint32_t trial(const struct draft_length *length, uint32_t best, uint32_t most)
{
    if (best == 0)
        return trial_of_drafts(length, most);
    const uint32_t others[] = {0, best + 1, 0, best - 1};
    const uint32_t other = others[length->trials % 4];
    return other <= most && is_covered(length, other) ? other : 0;
}

static bool is_trial_due(const struct draft_length *length)
{
    return length->waited >= length->interval;
}

uint32_t draft_length_choose(const struct draft_length *length, uint32_t most)
{
    if (most > WEIR_DRAFTS_MAX)
        most = WEIR_DRAFTS_MAX;
    if (length->rounds < FIRST_LENGTHS) {
        const uint32_t first = first_lengths[length->rounds];
        return first < most ? first : most;
    }
    /* who measures nothing compares by himself; who begins to, begins with plain steps */
    if (length->step[0].count == 0)
        return length->is_timed ? 0 : most;
    const uint32_t best = best_length(length, most);
    return is_trial_due(length) ? trial(length, best, most) : best;
}

/* ---- learning -------------------------------------------------------------------------------- */

static void learn_acceptance(struct draft_length *length, const struct draft_round *round)
{
    for (uint32_t i = 0; i < round->drafts && i <= round->accepted; i++) {
        const double first = 1.0 / (length->tried[i] + 2);
        const double weight = first > accepted_weight ? first : accepted_weight;
        const double share = share_accepted(length, i);
        length->accepted[i] = share + weight * ((i < round->accepted) - share);
        length->tried[i]++;
    }
}

/* By the usual times: a disturbed round is no loss that drafts are to blame for. Drafts that were
 * given up cost their time alone. */
static void learn_loss(struct draft_length *length, const struct draft_round *round)
{
    const double plain = plain_ns(length);
    length->tokens += round->accepted + 1;
    if (round->drafts > 0)
        length->lost += round_ns(length, round->drafts) - plain * (round->accepted + 1);
    else
        length->lost += least((double)round->draft_ns, plain);
    if (length->lost < -gain_steps * plain)
        length->lost = -gain_steps * plain;
}

/* Trials get rarer. Behind one that was a gain comes another at once: the text may have changed. */
static void learn_trial(struct draft_length *length, uint32_t wanted,
                        const struct draft_round *round)
{
    if (wanted > 0 && round->drafts == 0)
        return; /* nothing could be drafted: still due */
    length->trials++;
    if (round->drafts > 0 && is_gain(length, round->drafts, round->accepted))
        return;
    length->waited = 0;
    if (length->interval < INTERVAL_LAST)
        length->interval *= 2;
}

/* Drafts that stop being worth it may have had a run of bad luck: the next trials come soon. */
static void learn_choice(struct draft_length *length, uint32_t wanted)
{
    if (length->is_drafting && wanted == 0) {
        length->interval = INTERVAL_FIRST;
        length->waited = 0;
    }
    length->is_drafting = wanted > 0;
}

/* The first time of its kind may have been disturbed, as the second tells: then it was booked too
 * high. */
static void learn_times(struct draft_length *length, const struct draft_round *round)
{
    struct usual *step = &length->step[round->drafts];
    const double before = round_ns(length, round->drafts);
    const bool is_second = round->drafts > 0 && step->count == 1;
    length->is_timed = round->step_ns > 0;
    if (length->is_timed)
        usual_add(step, (double)round->step_ns);
    if (round->drafts > 0)
        usual_add(&length->draft, (double)round->draft_ns / round->drafts);
    const double now = round_ns(length, round->drafts);
    if (is_second && now < before)
        length->lost -= before - now;
}

void draft_length_learn(struct draft_length *length, uint32_t wanted,
                        const struct draft_round *round)
{
    const bool was_trial = length->rounds >= FIRST_LENGTHS && is_trial_due(length);
    learn_times(length, round);
    learn_acceptance(length, round);
    learn_loss(length, round);
    length->rounds++;
    length->waited++;
    if (was_trial)
        learn_trial(length, wanted, round);
    else
        learn_choice(length, wanted);
}
