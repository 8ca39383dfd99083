/* SPDX-License-Identifier: MIT
 * Drafts in company: what they give decides, and what a trial may cost is little. Also what is
 * counted, and where prompts are cut. Run alone: build/tests/weir-test serve_company */
#include "serve/company.h"

#include <string.h>

#include "base/rng.h"
#include "serve/figures.h"
#include "serve/prompt_cuts.h"
#include "test.h"

/* ---- few slots on made-up machines ----------------------------------------------------------- */

enum { MOST = 3, SEEDS = 10 };

/* Times in turns without drafts: what each further row adds, one draft; how much longer a time may
 * be; a search; and how likely a draft of each slot is accepted, if those before it were. */
struct machine {
    double row, draft, jitter;
    double search; /* where no draft is ever found; else 0 */
    double share[COMPANY_FEW];
};

struct run {
    const struct machine *machine;
    uint32_t slots, most;
    struct company company;
    struct company_member members[COMPANY_FEW];
    uint64_t seed, draws, turns;
    double spent, plain; /* turns without drafts that it took, and would have */
    uint64_t tokens, drafts, turns_with_drafts, of[COMPANY_FEW];
};

static const double row_costs[] = {0.01, 0.05, 0.15, 0.4}, draft_costs[] = {0, 0.05, 0.2, 0.5};
enum {
    ROWS = sizeof row_costs / sizeof *row_costs,
    DRAFTS = sizeof draft_costs / sizeof *draft_costs,
};

static void run_begin(struct run *run, const struct machine *machine, uint32_t slots, uint64_t seed)
{
    *run = (struct run){.machine = machine, .slots = slots, .most = MOST, .seed = seed};
    company_init(&run->company);
}

static double draw(struct run *run)
{
    return rng_uniform(run->seed, 0, run->draws++);
}

/* The tokens of a slot's round. */
static uint32_t run_round(struct run *run, uint32_t slot, uint32_t count)
{
    uint32_t accepted = 0;
    while (accepted < count && draw(run) < run->machine->share[slot])
        accepted++;
    company_hear(&run->company, &run->members[slot], count, accepted);
    run->of[slot] += count;
    return 1 + accepted;
}

static void run_turn(struct run *run)
{
    const struct machine *machine = run->machine;
    const double unit = 1e6;
    struct company_seat seats[COMPANY_FEW];
    struct company_turn turn = {.slots = run->slots};
    uint32_t wanted = 0;
    for (uint32_t i = 0; i < run->slots; i++)
        seats[i] = (struct company_seat){&run->members[i], run->most, 77};
    const struct company_way way = company_choose(&run->company, run->slots, seats);
    for (uint32_t i = 0; i < run->slots; i++) {
        CHECK(seats[i].drafts <= run->most);
        wanted += seats[i].drafts;
        turn.tokens += run_round(run, i, machine->search > 0 ? 0 : seats[i].drafts);
    }
    turn.drafts = machine->search > 0 ? 0 : wanted;
    CHECK_INT(way.slots, run->slots);
    CHECK_INT(way.drafts, wanted);
    CHECK(run->slots + way.drafts <= COMPANY_ROWS);
    const double slower = 1 + machine->jitter * draw(run);
    const double draft = machine->draft * turn.drafts + (wanted > 0 ? machine->search : 0);
    const double all = (1 + machine->row * turn.drafts) * slower + draft;
    turn.draft_ns = (uint64_t)(draft * unit);
    turn.ns = (uint64_t)(all * unit);
    company_learn(&run->company, &way, &turn);
    run->turns++;
    run->spent += all;
    run->plain += (double)turn.tokens / run->slots * slower;
    run->tokens += turn.tokens;
    run->drafts += turn.drafts;
    run->turns_with_drafts += wanted > 0;
}

static void run_turns(struct run *run, uint32_t turns)
{
    for (uint32_t i = 0; i < turns; i++)
        run_turn(run);
}

static struct machine machine_of(int number, double share)
{
    struct machine machine = {.row = row_costs[number / DRAFTS],
                              .draft = draft_costs[number % DRAFTS]};
    for (uint32_t i = 0; i < COMPANY_FEW; i++)
        machine.share[i] = share;
    return machine;
}

/* How many times as fast as without drafts: the mean over seeds. */
static double speed(const struct machine *machine, uint32_t slots, uint32_t most, uint32_t turns)
{
    double sum = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct run run;
        run_begin(&run, machine, slots, seed);
        run.most = most;
        run_turns(&run, turns);
        sum += run.plain / run.spent / SEEDS;
    }
    return sum;
}

/* The account: at no moment is more lost than it allows. A turn is for the first loss, which is
 * booked before it is known what a draft takes. */
TEST(serve_company_refused_drafts_cost_little)
{
    for (int i = 0; i < ROWS * DRAFTS; i++) {
        struct machine machine = machine_of(i, 0);
        for (uint32_t slots = 2; slots <= COMPANY_FEW; slots++) {
            for (uint64_t seed = 1; seed <= SEEDS; seed++) {
                struct run run;
                machine.jitter = 0.1 * (double)(seed % 2);
                run_begin(&run, &machine, slots, seed);
                for (uint32_t turn = 0; turn < 2000; turn++) {
                    run_turn(&run);
                    CHECK(run.spent - run.plain <= 2 + 0.012 * turn);
                }
                CHECK(run.turns_with_drafts >= 10); /* it goes on trying */
                if (machine.row + machine.draft > 0.1)
                    CHECK(run.drafts <= 2000 / 64 + 16);
            }
        }
    }
}

/* What takes turns is made twice to be measured; after that the account holds to the turn, and yet
 * it goes on trying. */
TEST(serve_company_expensive_drafts_cost_little)
{
    const struct {
        uint32_t slots;
        struct machine machine;
    } cases[] = {
        {2, {.draft = 3}}, {2, {.draft = 5}},  {2, {.draft = 30}}, {8, {.row = 1}},
        {8, {.row = 2}},   {2, {.search = 3}}, {8, {.search = 3}}, {8, {.search = 30}},
    };
    enum { TURNS = 10000 };
    for (size_t i = 0; i < 2 * (sizeof cases / sizeof cases[0]); i++) {
        struct machine machine = cases[i / 2].machine;
        struct run run;
        for (uint32_t slot = 0; slot < COMPANY_FEW; slot++)
            machine.share[slot] = i % 2 == 0 ? 0 : 0.5;
        run_begin(&run, &machine, cases[i / 2].slots, 1);
        const double one = machine.row + machine.draft + machine.search;
        const double beyond = one > 16 ? one - 16 : 0;
        for (uint32_t turn = 1; turn <= TURNS; turn++) {
            run_turn(&run);
            CHECK(run.spent - run.plain <= 1.1 + 2 * one + beyond + 0.01 * turn);
        }
        CHECK(run.turns_with_drafts >= TURNS * 0.005 / one);
    }
}

/* Of 64 turns, which is what a short answer has. */
TEST(serve_company_short_answers_lose_under_three_percent)
{
    for (int i = 0; i < ROWS * DRAFTS; i++) {
        const struct machine machine = machine_of(i, 0);
        for (uint32_t slots = 2; slots <= COMPANY_FEW; slots++) {
            struct run run;
            run_begin(&run, &machine, slots, 1);
            run_turns(&run, 64);
            CHECK(run.spent <= 1.03 * run.plain);
            if (machine.row + machine.draft > 0.1)
                CHECK(run.drafts <= 8);
        }
    }
}

/* The same drafts for each slot in each turn, by their number: the best. */
static double best_even(const struct machine *machine, uint32_t slots, uint32_t most)
{
    double best = 1;
    for (uint32_t each = 1; each <= most && slots * (each + 1) <= COMPANY_ROWS; each++) {
        double tokens = 1, all = 1;
        for (uint32_t i = 0; i < each; i++) {
            all *= machine->share[0];
            tokens += all;
        }
        const double now = tokens / (1 + slots * each * (machine->row + machine->draft));
        best = now > best ? now : best;
    }
    return best;
}

TEST(serve_company_is_near_the_best)
{
    for (int i = 0; i < ROWS * DRAFTS; i++) {
        const struct machine machine = machine_of(i, 0.85);
        for (uint32_t slots = 2; slots <= COMPANY_FEW; slots++)
            CHECK(speed(&machine, slots, MOST, 1000) >= 0.9 * best_even(&machine, slots, MOST));
    }
}

/* Drafts that are right may still take longer than the tokens that they save. */
TEST(serve_company_right_drafts_are_no_loss)
{
    const double shares[] = {0.3, 0.6, 1};
    for (int i = 0; i < ROWS * DRAFTS * 3; i++) {
        const struct machine machine = machine_of(i / 3, shares[i % 3]);
        for (uint32_t slots = 2; slots <= COMPANY_FEW; slots++)
            CHECK(speed(&machine, slots, MOST, 200) >= 0.98);
    }
}

/* Drafts go to who has use for them, wherever he sits and since when. */
TEST(serve_company_gives_drafts_to_who_uses_them)
{
    for (uint32_t slots = 2; slots <= COMPANY_FEW; slots++) {
        for (uint32_t lucky = 0; lucky < slots; lucky++) {
            struct machine machine = machine_of(1, 0);
            struct run run;
            run_begin(&run, &machine, slots, 1);
            run_turns(&run, 200);
            machine.share[lucky] = 0.95;
            run_turns(&run, 192 * slots + 200); /* found, as it is tried in turn */
            memset(run.of, 0, sizeof run.of);
            run_turns(&run, 300);
            CHECK(run.of[lucky] >= 250);
            for (uint32_t i = 0; i < slots; i++)
                CHECK(i == lucky || run.of[i] <= 12);
        }
    }
}

/* A new text begins with what is known of others: with drafts at once, or without. */
TEST(serve_company_new_texts_begin_as_their_fellows)
{
    for (int good = 0; good < 2; good++) {
        const struct machine machine = machine_of(5, good ? 0.9 : 0);
        struct run run;
        run_begin(&run, &machine, 4, 1);
        run_turns(&run, 400);
        run.members[2] = (struct company_member){.tried = 0};
        memset(run.of, 0, sizeof run.of);
        run_turns(&run, 10);
        CHECK(good ? run.of[2] >= 8 : run.of[2] <= 1);
    }
}

/* Who may have none has none: near its end, or if its chances are asked for. */
TEST(serve_company_keeps_to_its_limits)
{
    const struct machine machine = machine_of(0, 1);
    struct run run;
    run_begin(&run, &machine, 3, 1);
    run.most = 0;
    run_turns(&run, 300);
    CHECK_INT(run.drafts, 0);
}

/* A first draft that takes 50 times as long forbids none for long. */
TEST(serve_company_outlives_a_slow_turn)
{
    for (uint64_t slow = 0; slow < 20; slow++) {
        struct machine machine = machine_of(1, 0.9);
        struct run run;
        run_begin(&run, &machine, 4, 1);
        run_turns(&run, (uint32_t)slow);
        machine.draft = 50;
        run_turn(&run);
        machine.draft = draft_costs[1];
        run_turns(&run, 300);
        run.turns_with_drafts = 0;
        run_turns(&run, 100);
        CHECK(run.turns_with_drafts >= 90);
    }
}

/* ---- many ------------------------------------------------------------------------------------ */

/* Tokens a turn of 1000 ns in the mean, where one in groups takes `slowness` times as long and
 * gives `gain` times as many. */
static double rate_with(uint32_t slots, double slowness, double gain)
{
    struct company company;
    double tokens = 0, ns = 0;
    company_init(&company);
    for (uint32_t at = 0; at < 20000; at++) {
        const struct company_way way = company_choose(&company, slots, NULL);
        const bool is_split = way.slots < slots;
        const struct company_turn turn = {.slots = slots,
                                          .tokens = is_split ? (uint32_t)(100 * gain) : 100,
                                          .ns = is_split ? (uint64_t)(1000 * slowness) : 1000};
        CHECK(way.slots == slots || way.slots == COMPANY_FEW);
        CHECK_INT(way.drafts, 0);
        company_learn(&company, &way, &turn);
        tokens += turn.tokens;
        ns += (double)turn.ns;
    }
    return 10 * tokens / ns;
}

TEST(serve_company_crowds_take_the_better_way)
{
    for (uint32_t slots = COMPANY_FEW + 1; slots <= COMPANY_MAX + 2; slots++) {
        CHECK(rate_with(slots, 1.5, 1) > 0.97);
        CHECK(rate_with(slots, 1.5, 3) > 1.9);
    }
}

/* ---- what is counted, and cuts --------------------------------------------------------------- */

TEST(serve_company_histogram_counts_once)
{
    struct histogram histogram;
    uint64_t sum = 0;
    memset(&histogram, 0, sizeof histogram);
    histogram_add(&histogram, 1000000, 2); /* the first bound is not passed */
    histogram_add(&histogram, 1000001, 1);
    histogram_add(&histogram, 1000000000000, 4);
    CHECK_INT(histogram.counts[0], 2);
    CHECK_INT(histogram.counts[1], 1);
    CHECK_INT(histogram.counts[HISTOGRAM_BOUNDS], 4);
    for (int i = 0; i <= HISTOGRAM_BOUNDS; i++)
        sum += histogram.counts[i];
    CHECK_INT(sum, histogram.count);
}

/* A part always goes on if there is room for CUT_ROWS_MIN, and never leaves few rows. */
TEST(serve_company_parts_of_prompts)
{
    for (uint32_t from = 0; from < 200; from++) {
        for (uint32_t cut = from + 1; cut < from + 700; cut++) {
            for (uint32_t rows = 1; rows <= 512; rows += 37) {
                const uint32_t end = cuts_step_end(from, cut, rows);
                CHECK(end >= from && end <= cut && end - from <= rows);
                CHECK(end > from || rows < CUT_ROWS_MIN);
                if (end > from && end < cut)
                    CHECK(end % CUT_ALIGNMENT == 0 && end - from > CUT_ROWS_FEW &&
                          cut - end > CUT_ROWS_FEW);
            }
        }
    }
}

/* Cuts follow from what is before them: a longer prompt has those of its beginning. */
TEST(serve_company_cuts_of_a_beginning)
{
    enum { COUNT = 20000, BEGIN = 3 };
    static int32_t ids[COUNT];
    for (uint32_t i = 0; i < COUNT; i++)
        ids[i] = i * i % 1009 == 1 ? BEGIN : 7;
    for (uint32_t shorter = 1; shorter < COUNT; shorter += 997) {
        for (uint32_t from = 0, a, b; from < shorter; from = a) {
            a = cuts_next(ids, shorter, from, BEGIN);
            b = cuts_next(ids, COUNT, from, BEGIN);
            CHECK(a > from && (a == b || (a == shorter && b > a)));
        }
    }
}
