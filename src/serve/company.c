/* SPDX-License-Identifier: MIT
 * Who of those that generate has drafts, and how many; of a crowd, who has a turn.
 *
 * A turn of n slots with d drafts takes the step and what is beside it, and d drafts, and gives n
 * tokens and those drafts that are accepted: of a slot's second as many as of its first, if that
 * was. So drafts are given out one by one, each where it is likeliest to be accepted, and the
 * number is taken with which most tokens come a second.
 *
 * What is not tried is not known, so now and then a draft goes to who had none for longest. What
 * turns with drafts took more than their tokens would have without is kept as an account, by usual
 * times: no turn begins that could overdraw it. So the whole is slower than without drafts by no
 * more than loss_share of it and loss_turns turns, and by what cannot be known before: what a
 * draft, a search without one, or a turn of so many slots and drafts takes the first two times,
 * since one time alone may have been disturbed, and what one trial takes beyond gain_turns. */
#include "serve/company.h"

#include <stddef.h>

static const double worth = 1.02; /* times as many tokens are worth another way */

/* ---- what is known --------------------------------------------------------------------------- */

static const double accepted_at_first = 0.7;   /* before the first draft was verified */
static const double accepted_weight = 1.0 / 8; /* of one draft, once many were seen */
static const double fellows_weight = 1.0 / 32; /* likewise of one in those of all */
static const double together = 1.25;           /* times as long as one by one takes no step */

/* The account, in plain turns: how much may be lost, and how much gain is kept for bad times. */
static const double loss_turns = 1, loss_share = 0.01, gain_turns = 16;

enum {
    INTERVAL_FIRST = 2, /* turns */
    INTERVAL_LAST = 64,
};

void company_init(struct company *company)
{
    *company = (struct company){.interval = INTERVAL_FIRST, .fellows = {accepted_at_first, 0, 0}};
}

static double share_of(const struct company *company, const struct company_member *member)
{
    return member->tried > 0 ? member->share : company->fellows.share;
}

static double least(double a, double b)
{
    return a < b ? a : b;
}

/* A turn without drafts, which takes no longer than one with drafts; 0: not known. */
static double plain_ns(const struct company *company, uint32_t slots)
{
    return usual_ns_least(company->kinds[slots].turn, COMPANY_DRAFTS);
}

/* A draft takes about as long as all else, as far as nobody knows. */
static double draft_ns(const struct company *company, double plain)
{
    return company->draft.count == 0 ? plain : least(usual_ns(&company->draft), plain);
}

/* A whole turn. A time is not believed if rows took longer together than one by one, or a draft
 * longer than a turn: it would forbid to measure it again. */
static double turn_ns(const struct company *company, uint32_t slots, uint32_t drafts)
{
    const double plain = plain_ns(company, slots);
    const double alone = together * plain * (slots + drafts) / slots;
    const double turn = usual_ns_at(company->kinds[slots].turn, drafts, COMPANY_DRAFTS);
    return least(turn, alone) + drafts * draft_ns(company, plain);
}

/* ---- few: the account ------------------------------------------------------------------------ */

/* What was measured twice is booked as it is, however long; else as far as it is believed. */
static double booked_ns(const struct usual *usual, double believed)
{
    return usual->count > 1 ? usual_ns(usual) : believed;
}

/* A whole turn, as turn_ns. */
static double booked_turn_ns(const struct company *company, uint32_t slots, uint32_t drafts)
{
    const double draft = draft_ns(company, plain_ns(company, slots));
    const double believed = turn_ns(company, slots, drafts) - drafts * draft;
    return booked_ns(&company->kinds[slots].turn[drafts], believed) +
           drafts * booked_ns(&company->draft, draft);
}

/* A search for drafts that finds none. */
static double booked_search_ns(const struct company *company, double plain)
{
    return booked_ns(&company->search, least(usual_ns(&company->search), plain));
}

/* Whether all of so many drafts could be refused, or not be found, without overdrawing the account.
 * What takes more than it can ever hold is tried when it is full. */
static bool is_covered(const struct company *company, uint32_t slots, uint32_t drafts)
{
    const double plain = plain_ns(company, slots);
    const double refused = booked_turn_ns(company, slots, drafts) - plain;
    const double missing = booked_search_ns(company, plain);
    const double more = least(refused > missing ? refused : missing, gain_turns * plain);
    return company->lost + more <= loss_turns * plain;
}

/* ---- few: the choice ------------------------------------------------------------------------- */

/* Rows that there is room for; of what was never measured no more than twice the most that was. */
static uint32_t drafts_room(const struct company *company, uint32_t slots)
{
    const struct company_kind *kind = &company->kinds[slots];
    const uint32_t room = COMPANY_ROWS - slots;
    uint32_t measured = COMPANY_DRAFTS;
    while (measured > 0 && kind->turn[measured].count == 0)
        measured--;
    const uint32_t near = measured == 0 ? 1 : 2 * measured;
    return near < room ? near : room;
}

static double power(double base, uint32_t exponent)
{
    double product = 1;
    for (uint32_t i = 0; i < exponent; i++)
        product *= base;
    return product;
}

/* The seat whose next draft is likeliest to be accepted, and how likely; NULL: none has room. */
static struct company_seat *likeliest(const struct company *company, uint32_t slots,
                                      struct company_seat *seats, double *chance)
{
    struct company_seat *best = NULL;
    *chance = -1;
    for (uint32_t i = 0; i < slots; i++) {
        const double now = power(share_of(company, seats[i].member), seats[i].drafts + 1);
        if (seats[i].drafts < seats[i].most && now > *chance) {
            best = &seats[i];
            *chance = now;
        }
    }
    return best;
}

/* Gives out so many drafts, or as many as there are seats for; returns the number of them with
 * which most tokens come a second. */
static uint32_t give_out(const struct company *company, uint32_t slots, struct company_seat *seats,
                         uint32_t drafts)
{
    double tokens = slots, best_rate = worth * tokens / plain_ns(company, slots), chance;
    uint32_t best = 0;
    for (uint32_t i = 0; i < slots; i++)
        seats[i].drafts = 0;
    for (uint32_t count = 1; count <= drafts && is_covered(company, slots, count); count++) {
        struct company_seat *seat = likeliest(company, slots, seats, &chance);
        if (seat == NULL)
            break;
        seat->drafts++;
        tokens += chance;
        const double rate = tokens / turn_ns(company, slots, count);
        if (rate > best_rate) {
            best_rate = rate;
            best = count;
        }
    }
    return best;
}

static bool is_longer_without(const struct company_seat *a, const struct company_seat *b)
{
    if ((a->drafts > 0) != (b->drafts > 0))
        return a->drafts == 0;
    return a->member->drafted < b->member->drafted;
}

/* One more for who had none for longest; false if nobody can have it. */
static bool add_trial(uint32_t slots, struct company_seat *seats)
{
    struct company_seat *best = NULL;
    for (uint32_t i = 0; i < slots; i++) {
        if (seats[i].drafts < seats[i].most && (best == NULL || is_longer_without(&seats[i], best)))
            best = &seats[i];
    }
    if (best != NULL)
        best->drafts++;
    return best != NULL;
}

static bool is_trial_due(const struct company *company)
{
    return company->waited >= company->interval;
}

static struct company_way choose_few(const struct company *company, uint32_t slots,
                                     struct company_seat *seats)
{
    struct company_way way = {.slots = slots};
    for (uint32_t i = 0; i < slots; i++)
        seats[i].drafts = 0;
    if (company->kinds[slots].turn[0].count == 0)
        return way; /* all is compared with that */
    const uint32_t best = give_out(company, slots, seats, drafts_room(company, slots));
    way.is_trial = is_trial_due(company);
    /* where drafts are given out, every other trial is a turn without */
    way.drafts = way.is_trial && best > 0 && company->trials % 2 == 0 ? 0 : best;
    give_out(company, slots, seats, way.drafts);
    if (way.is_trial && way.drafts == best && slots + best < COMPANY_ROWS &&
        is_covered(company, slots, best + 1))
        way.drafts += add_trial(slots, seats);
    return way;
}

/* ---- few: learning --------------------------------------------------------------------------- */

static void hear(struct company_member *member, double share, double weight, bool is_accepted)
{
    const double first = 1.0 / (member->tried + 3);
    member->share = share + (first > weight ? first : weight) * (is_accepted - share);
    member->tried++;
}

void company_hear(struct company *company, struct company_member *member, uint32_t drafts,
                  uint32_t accepted)
{
    for (uint32_t i = 0; i < drafts && i <= accepted; i++) {
        hear(member, share_of(company, member), accepted_weight, i < accepted);
        hear(&company->fellows, company->fellows.share, fellows_weight, i < accepted);
    }
    if (drafts > 0)
        member->drafted = accepted == drafts ? 0 : company->turns + 1;
}

/* By the usual times: a disturbed turn is no loss that drafts are to blame for. */
static void learn_loss(struct company *company, const struct company_way *way,
                       const struct company_turn *turn)
{
    const double plain = plain_ns(company, turn->slots);
    if (turn->drafts > 0)
        company->lost +=
            booked_turn_ns(company, turn->slots, turn->drafts) - plain * turn->tokens / turn->slots;
    else if (way->drafts > 0)
        company->lost += booked_search_ns(company, plain);
    company->lost -= loss_share * plain;
    if (company->lost < -gain_turns * plain)
        company->lost = -gain_turns * plain;
}

static bool is_gain(const struct company *company, const struct company_turn *turn)
{
    const double plain = plain_ns(company, turn->slots) * turn->tokens / turn->slots;
    return plain > worth * turn_ns(company, turn->slots, turn->drafts);
}

/* Trials get rarer. Behind one that was a gain comes another at once: the text may have changed. */
static void learn_trial(struct company *company, const struct company_way *way,
                        const struct company_turn *turn)
{
    if (way->drafts > 0 && turn->drafts == 0)
        return; /* nothing could be drafted: still due */
    company->trials++;
    if (turn->drafts > 0 && is_gain(company, turn))
        return;
    company->waited = 0;
    if (company->interval < INTERVAL_LAST)
        company->interval *= 2;
}

/* Drafts that stop being worth it may have had a run of bad luck: the next trials come soon. */
static void learn_choice(struct company *company, const struct company_way *way)
{
    if (company->is_drafting && way->drafts == 0) {
        company->interval = INTERVAL_FIRST;
        company->waited = 0;
    }
    company->is_drafting = way->drafts > 0;
}

static void learn_few(struct company *company, const struct company_way *way,
                      const struct company_turn *turn)
{
    struct company_kind *kind = &company->kinds[turn->slots];
    usual_add(&kind->turn[turn->drafts], (double)(turn->ns - turn->draft_ns));
    if (turn->drafts > 0)
        usual_add(&company->draft, (double)turn->draft_ns / turn->drafts);
    else if (way->drafts > 0)
        usual_add(&company->search, (double)turn->draft_ns);
    learn_loss(company, way, turn);
    company->turns++;
    company->waited++;
    if (way->is_trial)
        learn_trial(company, way, turn);
    else
        learn_choice(company, way);
}

/* ---- a crowd --------------------------------------------------------------------------------- */

/* Turns are taken in blocks of one way. The better one is taken, and the other now and then. */
enum {
    BLOCK = 8,        /* turns */
    TRIAL_EVERY = 32, /* blocks: what a bad way can cost is a part of this share */
};
static const double newest = 0.5; /* weight of the newest block in a rate */

static uint32_t crowd_of(uint32_t slots)
{
    return slots < COMPANY_MAX ? slots : COMPANY_MAX;
}

static bool is_grouped(const struct company_crowd *crowd)
{
    if (crowd->rate[0] == 0 || crowd->rate[1] == 0)
        return crowd->rate[0] != 0; /* first all together, then groups */
    const bool is_better = crowd->rate[1] > worth * crowd->rate[0];
    return crowd->blocks % TRIAL_EVERY == TRIAL_EVERY - 1 ? !is_better : is_better;
}

static void learn_crowd(struct company_crowd *crowd, const struct company_turn *turn)
{
    double *rate = &crowd->rate[is_grouped(crowd)];
    crowd->tokens += turn->tokens;
    crowd->ns += (double)turn->ns;
    if (++crowd->turns < BLOCK)
        return;
    *rate += (*rate == 0 ? 1 : newest) * (crowd->tokens / crowd->ns - *rate);
    crowd->tokens = crowd->ns = 0;
    crowd->turns = 0;
    crowd->blocks++;
}

/* ---- both ------------------------------------------------------------------------------------ */

struct company_way company_choose(const struct company *company, uint32_t slots,
                                  struct company_seat *seats)
{
    if (slots <= 1)
        return (struct company_way){.slots = slots};
    if (slots <= COMPANY_FEW)
        return choose_few(company, slots, seats);
    const bool is_split = is_grouped(&company->crowds[crowd_of(slots)]);
    return (struct company_way){.slots = is_split ? COMPANY_FEW : slots};
}

void company_learn(struct company *company, const struct company_way *way,
                   const struct company_turn *turn)
{
    if (turn->slots <= 1 || turn->ns <= turn->draft_ns)
        return;
    if (turn->slots <= COMPANY_FEW)
        learn_few(company, way, turn);
    else
        learn_crowd(&company->crowds[crowd_of(turn->slots)], turn);
}
