/* SPDX-License-Identifier: MIT
 * Rounds of speculation give the text that there is without them: whatever is drafted, by whom, and
 * how much of it is right. Run alone: build/tests/weir-test rounds_ */
#include "run/speculate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "base/rng.h"
#include "golden/fixture.h"
#include "run/sampler.h"

enum { PROMPT = 20, TEXT_MAX = 1000, CONTEXT = 1088 };

static const char *const models[] = {"golden/nano-f32.gguf", "golden/nanomoe-f32.gguf"};
enum { MODELS = sizeof models / sizeof models[0] };

static void engine_options(struct weir_engine_options *options, const char *backend)
{
    fixture_options(options);
    options->backend = backend;
    options->context = CONTEXT;
    options->rewind_max = WEIR_REWIND_MAX;
    options->mtp = true;
}

/* ---- the text without drafts ----------------------------------------------------------------- */

/* A prompt and what follows it, up to an end or for `count` tokens. */
struct truth {
    int32_t tokens[PROMPT + TEXT_MAX];
    uint32_t count; /* the prompt included */
};

static void make_prompt(struct truth *truth, uint32_t vocab, uint64_t number)
{
    for (uint32_t i = 0; i < PROMPT; i++)
        truth->tokens[i] = (int32_t)(rng_bits(test_seed(), number, i) % vocab);
    truth->count = PROMPT;
}

static struct weir_sampler *open_sampler(const struct weir_sampler_options *options,
                                         const struct fixture *fixture)
{
    struct weir_sampler *sampler;
    struct weir_error err = {0};
    CHECK_OK(weir_sampler_open(&sampler, options, fixture->vocab, CONTEXT, NULL, &err), &err);
    return sampler;
}

static void generate(struct truth *truth, struct fixture *fixture,
                     const struct weir_sampler_options *options, uint32_t count)
{
    struct weir_sampler *sampler = open_sampler(options, fixture);
    struct weir_error err = {0};
    weir_session_reset(fixture->session);
    CHECK_OK(weir_session_eval(fixture->session, truth->tokens, PROMPT, WEIR_LOGITS_LAST, &err),
             &err);
    for (;;) {
        const int32_t id = weir_sampler_pick(sampler, weir_session_logits(fixture->session, 0));
        weir_sampler_accept(sampler, id);
        truth->tokens[truth->count++] = id;
        if (truth->count == PROMPT + count)
            break;
        CHECK_OK(weir_session_eval(fixture->session, &id, 1, WEIR_LOGITS_LAST, &err), &err);
    }
    weir_sampler_close(sampler);
}

static struct weir_sampler_options greedy(void)
{
    struct weir_sampler_options options;
    weir_sampler_options_init(&options);
    options.temperature = 0;
    return options;
}

/* Draws, and all that looks back at what was accepted. */
static struct weir_sampler_options warm(uint64_t seed)
{
    struct weir_sampler_options options;
    weir_sampler_options_init(&options);
    options.seed = seed;
    options.temperature = 1.5f;
    options.repeat_penalty = 1.2f;
    options.dry_multiplier = 0.8f;
    options.xtc_probability = 0.3f;
    return options;
}

/* ---- the same with them ---------------------------------------------------------------------- */

static void open_speculator(struct weir_speculator **out, struct fixture *fixture,
                            const struct weir_speculator_options *options)
{
    struct weir_error err = {0};
    CHECK_OK(weir_speculator_open(out, fixture->session, options, &err), &err);
}

/* From an empty session: every token must be that of the text. The last round may go further. */
static void check_text(struct weir_speculator *speculator, struct fixture *fixture,
                       const struct truth *truth, const struct weir_sampler_options *options)
{
    struct weir_sampler *sampler = open_sampler(options, fixture);
    struct weir_session *session = fixture->session;
    struct weir_error err = {0};
    int32_t out[WEIR_ROUND_TOKENS_MAX];
    uint32_t count = 1, at = PROMPT;
    weir_session_reset(session);
    CHECK_OK(weir_speculator_prompt(speculator, truth->tokens, PROMPT, WEIR_LOGITS_LAST, &err),
             &err);
    out[0] = weir_sampler_pick(sampler, weir_session_logits(session, 0));
    weir_sampler_accept(sampler, out[0]);
    for (;;) {
        for (uint32_t i = 0; i < count && at < truth->count; i++)
            CHECK_INT(out[i], truth->tokens[at++]);
        CHECK_INT(weir_session_position(session) + 1, at);
        if (at == truth->count)
            break;
        const uint32_t left = truth->count - at;
        CHECK_OK(
            weir_speculator_round(speculator, sampler, out[count - 1], left, out, &count, &err),
            &err);
        CHECK(count >= 1 && count <= left);
    }
    CHECK(memcmp(weir_session_tokens(session), truth->tokens, (at - 1) * sizeof *out) == 0);
    weir_sampler_close(sampler);
}

/* ---- drafts that are right or wrong on purpose ----------------------------------------------- */

/* Round by round one more draft is right of as many, then there is one more draft; from all of 0 to
 * all of 15. */
struct forced {
    const struct weir_session *session;
    const struct truth *truth;
    uint32_t drafts, right;
    uint64_t rounds;
};

static enum weir_status forced_draft(void *state, int32_t last, uint32_t wanted, int32_t *drafts,
                                     uint32_t *count, struct weir_error *err)
{
    struct forced *forced = state;
    const uint32_t at = weir_session_position(forced->session);
    (void)err;
    CHECK_INT(last, forced->truth->tokens[at]);
    *count = forced->drafts < wanted ? forced->drafts : wanted;
    for (uint32_t i = 0; i < *count; i++) {
        const int32_t right = forced->truth->tokens[(at + 1 + i) % forced->truth->count];
        drafts[i] = i < forced->right ? right : right ^ 1;
    }
    if (forced->right++ == forced->drafts) {
        forced->right = 0;
        forced->drafts = (forced->drafts + 1) % (WEIR_DRAFTS_MAX + 1);
    }
    forced->rounds++;
    return WEIR_OK;
}

static void forced_close(void *state)
{
    struct forced *forced = state;
    forced->session = NULL;
}

static const struct draft_source forced_source = {forced_draft, NULL, forced_close};

static void check_forced(const char *model, const char *backend,
                         const struct weir_sampler_options *sampling)
{
    struct weir_engine_options options;
    struct weir_speculator *speculator;
    struct weir_error err = {0};
    struct fixture fixture;
    struct truth truth;
    engine_options(&options, backend);
    fixture_open(&fixture, test_data(model), &options);
    make_prompt(&truth, fixture.vocab, 1);
    generate(&truth, &fixture, sampling, 850); /* 136 pairs give 816 tokens */
    struct forced forced = {.session = fixture.session, .truth = &truth};
    const struct weir_speculator_options speculation = {.drafts_max = WEIR_DRAFTS_MAX,
                                                        .fixed = true};
    CHECK_OK(
        speculator_open(&speculator, fixture.session, &speculation, &forced_source, &forced, &err),
        &err);
    check_text(speculator, &fixture, &truth, sampling);
    CHECK(forced.rounds >= 136);
    struct weir_speculator_info info;
    weir_speculator_info(speculator, &info);
    CHECK_INT(info.tokens, truth.count - PROMPT - 1);
    CHECK_INT(info.accepted + info.rounds, info.tokens);
    CHECK(info.rounds_of[0] > 0 && info.rounds_of[WEIR_DRAFTS_MAX] > 0);
    weir_speculator_close(speculator);
    CHECK(forced.session == NULL);
    fixture_close(&fixture);
}

TEST(rounds_any_draft_right_up_to_any_place)
{
    const struct weir_sampler_options cold = greedy(), hot = warm(5);
    check_forced(models[0], "cpu", &cold);
    check_forced(models[1], "cpu", &hot);
}

/* ---- drafts of every kind -------------------------------------------------------------------- */

static void check_kind(const char *model, const struct weir_speculator_options *speculation,
                       const struct weir_sampler_options *sampling, uint32_t step_rows,
                       struct weir_speculator_info *info)
{
    struct weir_engine_options options;
    struct weir_speculator *speculator;
    struct fixture fixture;
    struct truth truth;
    engine_options(&options, "cpu");
    options.step_rows_max = step_rows;
    options.logits_rows_max = step_rows < 16 ? step_rows : 16;
    fixture_open(&fixture, test_data(model), &options);
    make_prompt(&truth, fixture.vocab, 2);
    generate(&truth, &fixture, sampling, 250);
    open_speculator(&speculator, &fixture, speculation);
    check_text(speculator, &fixture, &truth, sampling);
    weir_speculator_info(speculator, info);
    check_text(speculator, &fixture, &truth, sampling); /* and behind a reset */
    weir_speculator_close(speculator);
    fixture_close(&fixture);
}

static struct weir_speculator_options of_kind(enum weir_draft_kind kind, uint32_t drafts)
{
    struct weir_speculator_options options;
    weir_speculator_options_init(&options);
    options.kind = kind;
    options.drafts_max = drafts;
    options.fixed = true;
    return options;
}

/* Weights at random: nearly all drafts are wrong. */
TEST(rounds_by_the_block)
{
    const struct weir_sampler_options cold = greedy(), hot = warm(6);
    struct weir_speculator_info info;
    for (uint32_t drafts = 1; drafts <= WEIR_DRAFTS_MAX; drafts += 7) {
        struct weir_speculator_options speculation = of_kind(WEIR_DRAFT_MTP, drafts);
        check_kind(models[drafts % 2], &speculation, drafts > 1 ? &cold : &hot, 64, &info);
        CHECK(info.made_at[drafts - 1] > 10);
        speculation.fixed = false;
        check_kind(models[drafts % 2], &speculation, &cold, drafts + 1, &info);
    }
    struct weir_speculator_options unsure = of_kind(WEIR_DRAFT_MTP, 3);
    unsure.p_min = 0.5f;
    check_kind(models[0], &unsure, &cold, 64, &info);
    CHECK(info.rounds_of[3] < info.rounds);
    unsure.p_min = 0;
    unsure.drafts_min = 3;
    check_kind(models[0], &unsure, &cold, 64, &info);
    CHECK_INT(info.rounds_of[1] + info.rounds_of[2], 0);
}

/* Of four tokens alone, which repeat. */
TEST(rounds_by_ngrams)
{
    static const struct weir_logit_bias few[] = {{10, 50}, {20, 50}, {30, 50}, {40, 50}};
    struct weir_sampler_options cold = greedy(), hot = warm(7);
    cold.biases = hot.biases = few;
    cold.biases_count = hot.biases_count = 4;
    struct weir_speculator_options speculation = of_kind(WEIR_DRAFT_NGRAM, WEIR_DRAFTS_MAX);
    struct weir_speculator_info info;
    speculation.ngram_size = 3;
    check_kind(models[0], &speculation, &cold, 64, &info);
    CHECK(info.accepted > 50 && info.rounds_of[0] > 0);
    speculation.ngram_size = 1;
    check_kind(models[1], &speculation, &hot, 64, &info);
    CHECK(info.drafts > info.accepted);
    speculation.fixed = false;
    check_kind(models[0], &speculation, &cold, 64, &info);
}

static void check_by_model(const char *model, const char *drafter, bool is_same)
{
    const struct weir_sampler_options cold = greedy();
    struct weir_engine_options options;
    struct weir_speculator *speculator;
    struct weir_speculator_info info;
    struct fixture fixture, other;
    struct truth truth;
    engine_options(&options, "cpu");
    fixture_open(&fixture, test_data(model), &options);
    options.mtp = false;
    fixture_open(&other, test_data(drafter), &options);
    make_prompt(&truth, fixture.vocab, 3);
    generate(&truth, &fixture, &cold, 150);
    struct weir_speculator_options speculation = of_kind(WEIR_DRAFT_MODEL, 5);
    speculation.draft_session = other.session;
    open_speculator(&speculator, &fixture, &speculation);
    check_text(speculator, &fixture, &truth, &cold);
    weir_speculator_info(speculator, &info);
    CHECK(info.drafts > 100 && (info.accepted == info.drafts) == is_same);
    check_text(speculator, &fixture, &truth, &cold);
    weir_speculator_close(speculator);
    fixture_close(&other);
    fixture_close(&fixture);
}

TEST(rounds_by_another_model)
{
    check_by_model(models[0], models[0], true);
    check_by_model(models[0], models[1], false);
}

/* Tokens that came past the speculator, and a session that went back to nothing. */
TEST(rounds_finds_out_what_it_was_not_told)
{
    const struct weir_sampler_options cold = greedy();
    const struct weir_speculator_options speculation = of_kind(WEIR_DRAFT_MTP, 3);
    struct weir_engine_options options;
    struct weir_speculator *speculator;
    struct weir_error err = {0};
    struct fixture fixture;
    struct truth truth;
    engine_options(&options, "cpu");
    fixture_open(&fixture, test_data(models[0]), &options);
    make_prompt(&truth, fixture.vocab, 4);
    generate(&truth, &fixture, &cold, 40);
    weir_session_reset(fixture.session);
    CHECK_OK(weir_session_eval(fixture.session, truth.tokens, PROMPT, WEIR_LOGITS_LAST, &err),
             &err);
    open_speculator(&speculator, &fixture, &speculation);
    struct weir_sampler *sampler = open_sampler(&cold, &fixture);
    for (uint32_t round = 0; round < 8; round++) {
        int32_t out[WEIR_ROUND_TOKENS_MAX];
        uint32_t count;
        const uint32_t at = weir_session_position(fixture.session);
        CHECK_OK(weir_speculator_round(speculator, sampler, truth.tokens[at], 2, out, &count, &err),
                 &err);
        for (uint32_t i = 0; i < count; i++)
            CHECK_INT(out[i], truth.tokens[at + 1 + i]);
        if (round % 3 == 2) {
            weir_session_unmark(fixture.session);
            CHECK_OK(weir_session_eval(fixture.session, &out[count - 1], 1, WEIR_LOGITS_LAST, &err),
                     &err);
        }
    }
    weir_sampler_close(sampler);
    weir_speculator_close(speculator);
    fixture_close(&fixture);
}

/* ---- ends ------------------------------------------------------------------------------------ */

/* Nothing behind a token that ends generation, wherever in a draft it comes. */
TEST(rounds_stops_at_an_end)
{
    struct weir_engine_options options;
    struct weir_speculator *speculator;
    struct weir_tokenizer *tokenizer;
    struct weir_error err = {0};
    struct fixture fixture;
    struct truth truth;
    uint32_t inside = 0;
    engine_options(&options, "cpu");
    fixture_open(&fixture, test_data(models[0]), &options);
    CHECK_OK(weir_tokenizer_open(&tokenizer, fixture.model, &err), &err);
    int32_t end = 0;
    while (!weir_tokenizer_ends_generation(tokenizer, end))
        end++;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct weir_sampler_options sampling = warm(seed);
        const struct weir_logit_bias bias = {end, 2.5f};
        sampling.biases = &bias;
        sampling.biases_count = 1;
        make_prompt(&truth, fixture.vocab, seed);
        generate(&truth, &fixture, &sampling, 60);
        uint32_t first = PROMPT;
        while (first < truth.count && truth.tokens[first] != end)
            first++;
        if (first == PROMPT || first == truth.count)
            continue;
        struct forced forced = {
            .session = fixture.session, .truth = &truth, .drafts = 9, .right = 9};
        const struct weir_speculator_options speculation = {
            .drafts_max = 9, .fixed = true, .tokenizer = tokenizer};
        CHECK_OK(speculator_open(&speculator, fixture.session, &speculation, &forced_source,
                                 &forced, &err),
                 &err);
        inside += (first - PROMPT) % 10 != 0;
        truth.count = first + 1;
        check_text(speculator, &fixture, &truth, &sampling);
        CHECK_INT(weir_session_position(fixture.session), first);
        weir_speculator_close(speculator);
    }
    CHECK(inside > 3);
    weir_tokenizer_close(tokenizer);
    fixture_close(&fixture);
}

/* A context of 64 is filled to the last token. */
TEST(rounds_fills_the_context)
{
    const struct weir_sampler_options cold = greedy();
    for (uint32_t drafts = 1; drafts <= WEIR_DRAFTS_MAX; drafts += 2) {
        const struct weir_speculator_options speculation = of_kind(WEIR_DRAFT_MTP, drafts);
        struct weir_engine_options options;
        struct weir_speculator *speculator;
        struct weir_error err = {0};
        struct fixture fixture;
        struct truth truth;
        engine_options(&options, "cpu");
        options.context = 64;
        fixture_open(&fixture, test_data(models[0]), &options);
        make_prompt(&truth, fixture.vocab, 5);
        generate(&truth, &fixture, &cold, 64 - PROMPT + 1);
        open_speculator(&speculator, &fixture, &speculation);
        check_text(speculator, &fixture, &truth, &cold);
        CHECK_INT(weir_session_position(fixture.session), 64);
        struct weir_sampler *sampler = open_sampler(&cold, &fixture);
        int32_t out[WEIR_ROUND_TOKENS_MAX];
        uint32_t count;
        CHECK_INT(weir_speculator_round(speculator, sampler, 1, 5, out, &count, &err),
                  WEIR_ERR_FULL);
        weir_sampler_close(sampler);
        weir_speculator_close(speculator);
        fixture_close(&fixture);
    }
}

/* A caller that says it has evaluated what it has not would spoil the drafts unseen. */
TEST(rounds_are_told_what_was_evaluated)
{
    const struct weir_speculator_options ngram = of_kind(WEIR_DRAFT_NGRAM, 4);
    const int32_t tokens[4] = {1, 2, 3, 4}, others[3] = {1, 2, 4};
    struct weir_engine_options options;
    struct weir_speculator *speculator;
    struct fixture fixture;
    struct weir_error err = {0};
    engine_options(&options, "cpu");
    fixture_open(&fixture, test_data(models[0]), &options);
    open_speculator(&speculator, &fixture, &ngram);
    CHECK_OK(weir_session_eval(fixture.session, tokens, 3, WEIR_LOGITS_LAST, &err), &err);
    CHECK_OK(weir_speculator_taken(speculator, tokens, 3, &err), &err);
    CHECK_INT(weir_speculator_taken(speculator, tokens, 2, &err), WEIR_ERR_ARGUMENT);
    CHECK_INT(weir_speculator_taken(speculator, tokens, 4, &err), WEIR_ERR_ARGUMENT);
    CHECK_INT(weir_speculator_taken(speculator, others, 3, &err), WEIR_ERR_ARGUMENT);
    CHECK_OK(weir_session_eval(fixture.session, tokens, 1, WEIR_LOGITS_LAST, &err), &err);
    CHECK_INT(weir_speculator_taken(speculator, tokens, 3, &err), WEIR_ERR_ARGUMENT);
    weir_speculator_close(speculator);
    fixture_close(&fixture);
}

/* As many drafts as were asked for, and as there is room for; and the text is the same. */
TEST(rounds_have_as_many_drafts_as_told)
{
    struct weir_speculator_options speculation = of_kind(WEIR_DRAFT_MTP, 4);
    const struct weir_sampler_options sampling = warm(5);
    struct weir_engine_options options;
    struct weir_speculator *speculator;
    struct weir_error err = {0};
    struct fixture fixture;
    static struct truth truth;
    engine_options(&options, "cpu");
    fixture_open(&fixture, test_data(models[1]), &options);
    speculation.drafts_min = 2; /* is for who chooses himself */
    make_prompt(&truth, fixture.vocab, 11);
    generate(&truth, &fixture, &sampling, TEXT_MAX);
    open_speculator(&speculator, &fixture, &speculation);
    struct weir_sampler *sampler = open_sampler(&sampling, &fixture);
    weir_session_reset(fixture.session);
    CHECK_OK(weir_speculator_prompt(speculator, truth.tokens, PROMPT - 1, WEIR_LOGITS_NONE, &err),
             &err);
    int32_t out[WEIR_ROUND_TOKENS_MAX] = {truth.tokens[PROMPT - 1]};
    uint32_t count = 1;
    for (uint32_t at = PROMPT, round = 0; at < truth.count; round++) {
        const uint32_t told = (uint32_t)(rng_bits(test_seed(), 12, round) % 7);
        const uint32_t room = CONTEXT - weir_session_position(fixture.session) - 1;
        const uint32_t most = told < 4 ? told : 4;
        const int32_t *tokens;
        uint32_t rows;
        CHECK_OK(
            weir_speculator_draft_exactly(speculator, out[count - 1], told, &tokens, &rows, &err),
            &err);
        CHECK_INT(rows, 1 + (most < room ? most : room));
        CHECK_OK(weir_session_eval(fixture.session, tokens, rows, WEIR_LOGITS_ALL, &err), &err);
        CHECK_OK(weir_speculator_accept(speculator, sampler, 0, out, &count, &err), &err);
        for (uint32_t i = 0; i < count && at < truth.count; i++)
            CHECK_INT(out[i], truth.tokens[at++]);
    }
    weir_sampler_close(sampler);
    weir_speculator_close(speculator);
    fixture_close(&fixture);
}

/* The block takes its first step when the first speculator of its engine is opened, and the session
 * is as it was. */
TEST(rounds_first_draft_is_no_first_step)
{
    const struct weir_speculator_options speculation = of_kind(WEIR_DRAFT_MTP, 3);
    struct weir_speculator *first, *second;
    struct weir_engine_options options;
    struct fixture fixture;
    engine_options(&options, "cpu");
    fixture_open(&fixture, test_data(models[0]), &options);
    CHECK_INT(fixture.engine->mtp_count, 0);
    open_speculator(&first, &fixture, &speculation);
    open_speculator(&second, &fixture, &speculation);
    CHECK_INT(fixture.engine->mtp_count, 1);
    CHECK_INT(weir_session_position(fixture.session), 0);
    CHECK_INT(weir_session_mtp_position(fixture.session), 0);
    weir_speculator_close(second);
    weir_speculator_close(first);
    fixture_close(&fixture);
}

/* ---- company --------------------------------------------------------------------------------- */

enum { SESSIONS = 3 };

/* Rounds of three sessions, each with drafts of another kind, in steps that they share. */
TEST(rounds_in_shared_steps)
{
    const struct weir_sampler_options sampling[SESSIONS] = {greedy(), warm(8), warm(9)};
    struct weir_speculator_options kinds[SESSIONS] = {
        of_kind(WEIR_DRAFT_MTP, 4), of_kind(WEIR_DRAFT_NGRAM, 6), of_kind(WEIR_DRAFT_MTP, 2)};
    struct weir_engine_options options;
    struct weir_speculator *speculators[SESSIONS];
    struct weir_session *sessions[SESSIONS];
    struct weir_sampler *samplers[SESSIONS];
    static struct truth truth[SESSIONS];
    struct weir_error err = {0};
    struct fixture fixture;
    kinds[1].ngram_size = 1;
    engine_options(&options, "cpu");
    options.sessions_max = SESSIONS;
    fixture_open(&fixture, test_data(models[1]), &options);
    int32_t last[SESSIONS];
    uint32_t at[SESSIONS];
    for (uint32_t s = 0; s < SESSIONS; s++) {
        make_prompt(&truth[s], fixture.vocab, 10 + s);
        generate(&truth[s], &fixture, &sampling[s], 120);
    }
    weir_session_reset(fixture.session);
    for (uint32_t s = 0; s < SESSIONS; s++) {
        sessions[s] = fixture.session;
        if (s > 0)
            CHECK_OK(weir_session_open(&sessions[s], fixture.engine, &err), &err);
        CHECK_OK(weir_speculator_open(&speculators[s], sessions[s], &kinds[s], &err), &err);
        samplers[s] = open_sampler(&sampling[s], &fixture);
        CHECK_OK(
            weir_speculator_prompt(speculators[s], truth[s].tokens, PROMPT, WEIR_LOGITS_LAST, &err),
            &err);
        last[s] = weir_sampler_pick(samplers[s], weir_session_logits(sessions[s], 0));
        weir_sampler_accept(samplers[s], last[s]);
        at[s] = PROMPT + 1;
    }
    for (;;) {
        struct weir_step_item items[SESSIONS];
        uint32_t owner[SESSIONS], count = 0;
        for (uint32_t s = 0; s < SESSIONS; s++) {
            struct weir_step_item *item = &items[count];
            if (at[s] == truth[s].count)
                continue;
            *item = (struct weir_step_item){.session = sessions[s], .logits = WEIR_LOGITS_ALL};
            CHECK_OK(weir_speculator_draft(speculators[s], last[s], truth[s].count - at[s],
                                           &item->tokens, &item->count, &err),
                     &err);
            owner[count++] = s;
        }
        if (count == 0)
            break;
        CHECK_OK(weir_engine_step(fixture.engine, items, count, &err), &err);
        for (uint32_t i = 0; i < count; i++) {
            const uint32_t s = owner[i];
            int32_t out[WEIR_ROUND_TOKENS_MAX];
            uint32_t tokens;
            CHECK_OK(weir_speculator_accept(speculators[s], samplers[s], 0, out, &tokens, &err),
                     &err);
            for (uint32_t k = 0; k < tokens; k++)
                CHECK_INT(out[k], truth[s].tokens[at[s]++]);
            last[s] = out[tokens - 1];
        }
    }
    for (uint32_t s = 0; s < SESSIONS; s++) {
        weir_speculator_close(speculators[s]);
        weir_sampler_close(samplers[s]);
        if (s > 0)
            weir_session_close(sessions[s]);
    }
    fixture_close(&fixture);
}

/* ---- the distribution ------------------------------------------------------------------------ */

enum { LIKELY = 4, DRAWS = 1000 };

/* How often tokens may be drawn, by the sampler's own filter. */
struct distribution {
    int32_t ids[LIKELY];
    double p[LIKELY];
    uint32_t count;
};

static void find_distribution(struct distribution *out, struct weir_sampler *sampler,
                              const float *logits)
{
    const struct candidates *set = sampler_filter(sampler, logits);
    const struct softmax softmax = candidates_softmax(set);
    CHECK(set->count <= LIKELY);
    out->count = set->count;
    for (uint32_t i = 0; i < set->count; i++) {
        out->ids[i] = set->ids[i];
        out->p[i] = softmax_p(softmax, set->logits[i]);
    }
}

/* Chi-square of what was drawn; far from its mean, the degrees of freedom, by 6 deviations is one
 * case in a hundred million, if the distribution is that. */
static void check_drawn(const struct distribution *expected, const uint32_t drawn[LIKELY],
                        uint32_t draws)
{
    double chi = 0;
    const double freedom = expected->count - 1.0;
    for (uint32_t i = 0; i < expected->count; i++) {
        const double mean = expected->p[i] * draws;
        chi += (drawn[i] - mean) * (drawn[i] - mean) / mean;
    }
    CHECK(chi <= freedom + 6 * sqrt(2 * freedom) + 6);
}

static uint32_t place_of(const struct distribution *distribution, int32_t id)
{
    uint32_t at = 0;
    while (at < distribution->count && distribution->ids[at] != id)
        at++;
    CHECK(at < distribution->count);
    return at;
}

/* Behind one text, with each of the likely tokens as draft in turn: the first token has the
 * sampler's distribution whatever is drafted, and behind an accepted draft so has the second. */
TEST(rounds_keeps_the_distribution)
{
    struct weir_engine_options options;
    struct weir_speculator *speculator;
    struct weir_error err = {0};
    struct fixture fixture;
    struct truth truth;
    struct weir_sampler_options sampling;
    struct distribution first, second;
    weir_sampler_options_init(&sampling);
    sampling.top_k = LIKELY;
    sampling.temperature = 2;
    sampling.top_p = 1;
    sampling.min_p = 0;
    sampling.seed = 1;
    engine_options(&options, "cpu");
    fixture_open(&fixture, test_data(models[0]), &options);
    make_prompt(&truth, fixture.vocab, 6);
    const struct weir_speculator_options speculation = {.drafts_max = 1, .fixed = true};
    struct forced forced = {.session = fixture.session, .truth = &truth};
    CHECK_OK(
        speculator_open(&speculator, fixture.session, &speculation, &forced_source, &forced, &err),
        &err);
    struct weir_sampler *sampler = open_sampler(&sampling, &fixture);
    weir_session_reset(fixture.session);
    CHECK_OK(weir_session_eval(fixture.session, truth.tokens, PROMPT, WEIR_LOGITS_LAST, &err),
             &err);
    find_distribution(&first, sampler, weir_session_logits(fixture.session, 0));
    for (uint32_t draft = 0; draft < first.count; draft++) {
        uint32_t drawn[LIKELY] = {0}, drawn_behind[LIKELY] = {0}, accepted = 0;
        weir_session_reset(fixture.session);
        CHECK_OK(weir_session_eval(fixture.session, truth.tokens, PROMPT, WEIR_LOGITS_NONE, &err),
                 &err);
        CHECK_OK(weir_session_eval(fixture.session, &first.ids[draft], 1, WEIR_LOGITS_LAST, &err),
                 &err);
        find_distribution(&second, sampler, weir_session_logits(fixture.session, 0));
        weir_session_reset(fixture.session);
        CHECK_OK(
            weir_session_eval(fixture.session, truth.tokens, PROMPT - 1, WEIR_LOGITS_NONE, &err),
            &err);
        truth.tokens[PROMPT] = first.ids[draft];
        truth.count = PROMPT + 1;
        for (uint32_t i = 0; i < DRAWS; i++) {
            int32_t out[WEIR_ROUND_TOKENS_MAX];
            uint32_t count;
            forced.drafts = forced.right = 1;
            CHECK_OK(weir_speculator_round(speculator, sampler, truth.tokens[PROMPT - 1], 2, out,
                                           &count, &err),
                     &err);
            drawn[place_of(&first, out[0])]++;
            CHECK_INT(count, out[0] == first.ids[draft] ? 2 : 1);
            accepted += count == 2;
            if (count == 2)
                drawn_behind[place_of(&second, out[1])]++;
            CHECK_OK(weir_session_rewind(fixture.session, PROMPT - 1, &err), &err);
        }
        check_drawn(&first, drawn, DRAWS);
        if (accepted > 200)
            check_drawn(&second, drawn_behind, accepted);
    }
    weir_sampler_close(sampler);
    weir_speculator_close(speculator);
    fixture_close(&fixture);
}

/* ---- failures -------------------------------------------------------------------------------- */

static bool cancel_when_told(void *user, enum weir_stage stage, uint64_t done, uint64_t total)
{
    int *calls_left = user;
    (void)done, (void)total;
    return stage != WEIR_STAGE_PREFILL || (*calls_left)-- > 0;
}

/* A round that is cut short leaves an empty session, which the speculator notices. */
TEST(rounds_goes_on_behind_a_cancelled_round)
{
    const struct weir_sampler_options cold = greedy();
    const struct weir_speculator_options speculation = of_kind(WEIR_DRAFT_MTP, 3);
    struct weir_engine_options options;
    struct weir_speculator *speculator;
    struct fixture fixture;
    struct truth truth;
    int calls_left = 1 << 30;
    engine_options(&options, "cpu");
    options.progress = cancel_when_told;
    options.progress_user = &calls_left;
    fixture_open(&fixture, test_data(models[0]), &options);
    make_prompt(&truth, fixture.vocab, 7);
    generate(&truth, &fixture, &cold, 40);
    open_speculator(&speculator, &fixture, &speculation);
    struct weir_sampler *sampler = open_sampler(&cold, &fixture);
    for (int calls = 0; calls < 12; calls += 5) {
        struct weir_error err = {0};
        int32_t out[WEIR_ROUND_TOKENS_MAX];
        uint32_t count;
        check_text(speculator, &fixture, &truth, &cold);
        calls_left = calls;
        CHECK_INT(weir_speculator_round(speculator, sampler, 1, 9, out, &count, &err),
                  WEIR_ERR_CANCELLED);
        CHECK_INT(weir_session_position(fixture.session), 0);
        calls_left = 1 << 30;
        err = (struct weir_error){0};
        CHECK_INT(weir_speculator_accept(speculator, sampler, 0, out, &count, &err),
                  WEIR_ERR_ARGUMENT);
    }
    weir_sampler_close(sampler);
    weir_speculator_close(speculator);
    fixture_close(&fixture);
}

struct opening {
    struct fixture *fixture;
    struct weir_speculator_options options;
};

static void open_and_close(void *argument)
{
    const struct opening *opening = argument;
    struct weir_speculator *speculator;
    struct weir_error err = {0};
    const enum weir_status status =
        weir_speculator_open(&speculator, opening->fixture->session, &opening->options, &err);
    CHECK_INT(status, alloc_failed() ? WEIR_ERR_MEMORY : WEIR_OK);
    CHECK((speculator == NULL) == (status != WEIR_OK));
    weir_speculator_close(speculator);
}

TEST(rounds_alloc_failures_leave_nothing)
{
    struct weir_engine_options options;
    struct fixture fixture, other;
    engine_options(&options, "cpu");
    fixture_open(&fixture, test_data(models[0]), &options);
    fixture_open(&other, test_data(models[0]), &options);
    for (int kind = WEIR_DRAFT_NONE; kind <= WEIR_DRAFT_MODEL; kind++) {
        struct opening opening = {&fixture, of_kind((enum weir_draft_kind)kind, 3)};
        opening.options.draft_session = other.session;
        alloc_test(open_and_close, &opening);
    }
    fixture_close(&other);
    fixture_close(&fixture);
}

TEST(rounds_alloc_none_in_rounds)
{
    struct weir_engine_options options;
    struct fixture fixture, other;
    const struct weir_sampler_options cold = greedy();
    engine_options(&options, "cpu");
    fixture_open(&fixture, test_data(models[0]), &options);
    fixture_open(&other, test_data(models[0]), &options);
    struct weir_sampler *sampler = open_sampler(&cold, &fixture);
    for (int kind = WEIR_DRAFT_NONE; kind <= WEIR_DRAFT_MODEL; kind++) {
        struct weir_speculator_options speculation = of_kind((enum weir_draft_kind)kind, 3);
        struct weir_speculator *speculator;
        struct weir_error err = {0};
        int32_t out[WEIR_ROUND_TOKENS_MAX] = {1};
        uint32_t count = 1;
        speculation.draft_session = other.session;
        speculation.ngram_size = 1;
        open_speculator(&speculator, &fixture, &speculation);
        weir_session_reset(fixture.session);
        CHECK_NO_ALLOC(
            CHECK_OK(weir_speculator_prompt(speculator, out, 1, WEIR_LOGITS_LAST, &err), &err));
        for (int round = 0; round < 20; round++)
            CHECK_NO_ALLOC(CHECK_OK(
                weir_speculator_round(speculator, sampler, out[count - 1], 9, out, &count, &err),
                &err));
        weir_speculator_close(speculator);
    }
    weir_sampler_close(sampler);
    fixture_close(&other);
    fixture_close(&fixture);
}

static void check_refused(struct fixture *fixture, const struct weir_speculator_options *options,
                          const char *part)
{
    struct weir_speculator *speculator;
    struct weir_error err = {0};
    CHECK_INT(weir_speculator_open(&speculator, fixture->session, options, &err),
              WEIR_ERR_ARGUMENT);
    fixture_check_says(&err, WEIR_ERR_ARGUMENT, part);
    CHECK(speculator == NULL);
}

TEST(rounds_refuses_what_cannot_be)
{
    struct weir_engine_options options;
    struct weir_speculator_options speculation = of_kind(WEIR_DRAFT_MTP, 3);
    struct fixture fixture, other;
    engine_options(&options, "cpu");
    options.mtp = false;
    options.rewind_max = 3;
    fixture_open(&fixture, test_data(models[0]), &options);
    fixture_open(&other, test_data(models[0]), &options);
    check_refused(&fixture, &speculation, "opened without the MTP block");
    speculation.kind = WEIR_DRAFT_NGRAM;
    check_refused(&fixture, &speculation,
                  "drafts of 3 tokens, but a round of this engine has room for 2");
    speculation.drafts_max = 0;
    check_refused(&fixture, &speculation, "drafts of 0 tokens, expected 1 to 15");
    speculation.drafts_max = 2;
    speculation.drafts_min = 3;
    check_refused(&fixture, &speculation, "drafts of at least 3 tokens, expected at most 2");
    speculation.drafts_min = 0;
    speculation.p_min = NAN;
    check_refused(&fixture, &speculation, "the least probability of a draft is nan");
    speculation.p_min = 0;
    speculation.ngram_size = 0;
    check_refused(&fixture, &speculation, "n-grams of 0 tokens");
    speculation.kind = WEIR_DRAFT_MODEL;
    speculation.draft_session = fixture.session;
    check_refused(&fixture, &speculation, "need a session of an engine of its own");
    speculation.draft_session = other.session;
    speculation.drafts_max = 4;
    check_refused(&fixture, &speculation, "drafts of 4 tokens need a draft model");
    struct weir_speculator *speculator;
    struct weir_error err = {0};
    const int32_t *tokens;
    uint32_t count;
    speculation = of_kind(WEIR_DRAFT_NONE, 3);
    open_speculator(&speculator, &fixture, &speculation);
    CHECK_INT(weir_speculator_draft(speculator, 1, 0, &tokens, &count, &err), WEIR_ERR_ARGUMENT);
    weir_speculator_close(speculator);
    fixture_close(&other);
    fixture_close(&fixture);
}
