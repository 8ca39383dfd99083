/* SPDX-License-Identifier: MIT
 * The choice of the draft length on made-up machines, whose times and acceptances are given: what
 * it may cost, what it must find, and what must not mislead it. Run alone:
 * build/tests/weir-test draft_length_ */
#include "run/draft_length.h"

#include "base/rng.h"
#include "test.h"

enum { MOST = 5, SEEDS = 20 };

/* Times in ns: a step of one row, what each further row adds, one draft. The first step is cold. */
struct machine {
    double plain, row, draft;
    double jitter; /* a time is up to so much longer */
    uint64_t slow_round;
    double slow; /* how many times as long that round takes, which does not count; 0: none */
};

static const double rows[] = {0.02, 0.1, 0.3, 0.7, 1.2}, drafts[] = {0, 0.05, 0.2, 0.5};
enum { ROWS = sizeof rows / sizeof *rows, DRAFTS = sizeof drafts / sizeof *drafts, COLD = 5 };

/* How likely a draft is accepted if those before it were, behind so many tokens. */
typedef double accept_fn(uint64_t tokens);

static double accept_none(uint64_t tokens)
{
    return 0 * (double)tokens;
}

static double accept_some(uint64_t tokens)
{
    return 0.3 + 0 * (double)tokens;
}

static double accept_most(uint64_t tokens)
{
    return 0.85 + 0 * (double)tokens;
}

static double accept_later(uint64_t tokens)
{
    return tokens < 2000 ? 0 : 0.9;
}

static double accept_in_turns(uint64_t tokens)
{
    return tokens / 200 % 2 == 0 ? 0.9 : 0.05;
}

struct run {
    const struct machine *machine;
    accept_fn *accept;
    int32_t fixed; /* drafts of each round; -1: by choice */
    uint64_t seed, draws;
    struct draft_length length;
    double spent, plain; /* ns: with drafts, and one by one */
    uint64_t tokens, rounds;
    uint64_t drafted;   /* rounds with drafts */
    bool is_in_company; /* nothing is measured */
};

static uint32_t count_accepted(struct run *run, uint32_t count)
{
    uint32_t accepted = 0;
    while (accepted < count &&
           rng_uniform(run->seed, 0, run->draws++) < run->accept(run->tokens + accepted))
        accepted++;
    return accepted;
}

static void run_round(struct run *run)
{
    const struct machine *machine = run->machine;
    const uint32_t wanted =
        run->fixed < 0 ? draft_length_choose(&run->length, MOST) : (uint32_t)run->fixed;
    const uint32_t accepted = count_accepted(run, wanted);
    double slower = 1 + machine->jitter * rng_uniform(run->seed, 1, run->rounds);
    slower *= run->rounds == 0 ? COLD : 1;
    const bool is_slow = machine->slow > 0 && run->rounds == machine->slow_round;
    slower *= is_slow ? machine->slow : 1;
    const double step = machine->plain * (1 + machine->row * wanted) * slower;
    const double draft = machine->plain * machine->draft * wanted;
    const struct draft_round round = {wanted, accepted, run->is_in_company ? 0 : (uint64_t)step,
                                      (uint64_t)draft};
    CHECK(wanted <= MOST);
    draft_length_learn(&run->length, wanted, &round);
    run->spent += is_slow ? 0 : step + draft;
    run->plain += is_slow ? 0 : machine->plain * (accepted + slower);
    run->tokens += accepted + 1;
    run->drafted += wanted > 0;
    run->rounds++;
}

static struct run run_tokens(const struct machine *machine, accept_fn *accept, int32_t fixed,
                             uint64_t tokens, uint64_t seed)
{
    struct run run = {.machine = machine, .accept = accept, .fixed = fixed, .seed = seed};
    draft_length_init(&run.length);
    while (run.tokens < tokens)
        run_round(&run);
    return run;
}

/* What began in company, where no step is measured, is measured as soon as it is alone. */
TEST(draft_length_is_found_behind_company)
{
    const struct machine machine = {1e6, 0.3, 0.2, 0.1, 0, 0};
    for (uint64_t first = 1; first < 40; first += 3) {
        struct run run = {.machine = &machine, .accept = accept_none, .fixed = -1, .seed = first};
        draft_length_init(&run.length);
        run.is_in_company = true;
        while (run.rounds < first)
            run_round(&run);
        run.is_in_company = false;
        run.spent = run.plain = 0;
        run.drafted = 0;
        for (uint32_t i = 0; i < 200; i++)
            run_round(&run);
        CHECK(run.spent < 1.05 * run.plain);
        run.accept = accept_most;
        run.drafted = 0;
        for (uint32_t i = 0; i < 2000; i++)
            run_round(&run);
        CHECK(run.drafted > 500);
    }
}

/* How many times as fast as one by one: the mean over seeds. */
static double speed(const struct machine *machine, accept_fn *accept, int32_t fixed,
                    uint64_t tokens)
{
    double sum = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        const struct run run = run_tokens(machine, accept, fixed, tokens, seed);
        sum += run.plain / run.spent / SEEDS;
    }
    return sum;
}

static double best_fixed_speed(const struct machine *machine, accept_fn *accept, uint64_t tokens)
{
    double best = 0;
    for (int32_t fixed = 0; fixed <= MOST; fixed++) {
        const double now = speed(machine, accept, fixed, tokens);
        best = now > best ? now : best;
    }
    return best;
}

static struct machine machine_at(int row, int draft)
{
    return (struct machine){.plain = 1e7, .row = rows[row], .draft = drafts[draft]};
}

/* ---- what it may cost ------------------------------------------------------------------------ */

TEST(draft_length_refused_drafts_cost_under_three_percent)
{
    test_skip_if_sanitized();
    for (int i = 0; i < ROWS * DRAFTS; i++) {
        struct machine machine = machine_at(i / DRAFTS, i % DRAFTS);
        for (int noisy = 0; noisy < 2; noisy++) {
            machine.jitter = 0.2 * noisy;
            for (uint64_t seed = 1; seed <= SEEDS; seed++) {
                const struct run few = run_tokens(&machine, accept_none, -1, 256, seed);
                const struct run many = run_tokens(&machine, accept_none, -1, 2048, seed);
                CHECK(few.spent <= 1.03 * few.plain);
                CHECK(many.spent <= 1.01 * many.plain);
                CHECK(many.drafted > 0); /* it went on trying */
            }
        }
    }
}

/* What adversaries can do: accept most, until much is drafted, then nothing. At no moment is more
 * lost than the account allows; half a step is for the first loss, which is booked before it is
 * known what a step takes that is not cold. */
TEST(draft_length_account_is_never_overdrawn)
{
    const struct machine machine = {.plain = 1e7, .row = 0.1, .draft = 0.05};
    for (uint32_t mean = 1; mean <= MOST; mean++) {
        struct run run = {.machine = &machine, .fixed = -1};
        draft_length_init(&run.length);
        while (run.tokens < 3000) {
            const uint32_t next = draft_length_choose(&run.length, MOST);
            run.accept = next >= mean ? accept_none : accept_most;
            run_round(&run);
            const double steps = (run.spent - run.plain) / machine.plain;
            CHECK(steps <= 2.5 + 0.01 * (double)run.tokens);
        }
    }
}

/* ---- what it must find ----------------------------------------------------------------------- */

TEST(draft_length_is_near_the_best_fixed_one)
{
    test_skip_if_sanitized();
    for (int i = 0; i < ROWS * DRAFTS; i++) {
        struct machine machine = machine_at(i / DRAFTS, i % DRAFTS);
        machine.jitter = 0.1 * (i % 2);
        const double best = best_fixed_speed(&machine, accept_most, 1024);
        CHECK(speed(&machine, accept_most, -1, 1024) >= 0.92 * best);
        CHECK(speed(&machine, accept_some, -1, 1024) >= 0.98);
    }
}

TEST(draft_length_follows_the_text)
{
    const struct machine machine = {.plain = 1e7, .row = 0.1, .draft = 0.05};
    const double best = best_fixed_speed(&machine, accept_in_turns, 4000);
    CHECK(speed(&machine, accept_in_turns, -1, 4000) >= 0.95 * best);
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        const struct run before = run_tokens(&machine, accept_later, -1, 2600, seed);
        const struct run after = run_tokens(&machine, accept_later, -1, 3600, seed);
        CHECK(after.spent - before.spent <= 0.6 * (after.plain - before.plain));
    }
}

/* ---- what must not mislead it ---------------------------------------------------------------- */

/* One round of the first that takes 20 times as long: drafts are found worth it all the same. */
TEST(draft_length_outlives_a_slow_round)
{
    struct machine machine = {.plain = 1e7, .row = 0.1, .draft = 0.05};
    const double best = best_fixed_speed(&machine, accept_most, 1024);
    for (machine.slow_round = 0; machine.slow_round < 40; machine.slow_round++) {
        machine.slow = 20;
        const struct run run = run_tokens(&machine, accept_most, -1, 1024, 1);
        CHECK(run.plain / run.spent >= 0.8 * best);
    }
}

TEST(draft_length_keeps_to_its_limits)
{
    struct draft_length length;
    draft_length_init(&length);
    for (uint32_t round = 0; round < 100; round++) {
        CHECK_INT(draft_length_choose(&length, 0), 0);
        CHECK(draft_length_choose(&length, 1) <= 1);
        CHECK(draft_length_choose(&length, 1000) <= WEIR_DRAFTS_MAX);
        draft_length_learn(&length, 2, &(struct draft_round){2, 2, 1000 + round % 7, 10});
    }
    /* without times there is nothing to choose by */
    draft_length_init(&length);
    for (uint32_t round = 0; round < 10; round++)
        draft_length_learn(&length, 1, &(struct draft_round){1, 0, 0, 0});
    CHECK_INT(draft_length_choose(&length, 4), 4);
}
