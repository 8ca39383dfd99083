/* SPDX-License-Identifier: MIT
 * Drafts of several slots, counted: where they are refused there are few, whatever the times are
 * that the machine of the test takes. Run alone: build/tests/weir-test serve_drafts */
#include "serve/crew.h"

enum { SLOTS = 4, BATCHES = 3, SAID = 60, PROMPT = 24 };

/* A text that nothing can foretell: each token is one of 40. */
static void wild_job(struct job_options *options, const int32_t *ids, uint64_t seed)
{
    crew_job(options, ids, PROMPT, SAID);
    options->sampler.temperature = 1000;
    options->sampler.top_k = 40;
    options->sampler.top_p = 1;
    options->sampler.min_p = 0;
    options->sampler.seed = seed;
    options->sampler.ignore_eos = true;
}

static void run_batch(struct crew *crew, const int32_t *ids, uint64_t seed)
{
    struct job *jobs[SLOTS];
    for (uint32_t i = 0; i < SLOTS; i++) {
        struct job_options options;
        wild_job(&options, ids, seed + i);
        jobs[i] = crew_start(crew, &options);
    }
    for (uint32_t i = 0; i < SLOTS; i++) {
        struct heard heard = crew_finish(jobs[i]);
        CHECK_INT(heard.count, SAID);
        heard_release(&heard);
    }
}

/* Each refusal makes the next draft less likely: 16 of them, and what is thought of a slot is below
 * what any draft is worth, however little it seems to take. Then there are trials, which get rarer.
 * A slot that was alone for a while, as the first and the last are, asks its own speculator. */
TEST(serve_drafts_are_few_where_they_are_refused)
{
    static struct crew crew; /* large */
    static int32_t ids[PROMPT];
    struct scheduler_figures figures;
    for (int32_t i = 0; i < PROMPT; i++)
        ids[i] = 600 + i;
    crew_init(&crew);
    crew.options.slots = SLOTS;
    crew.options.speculator.kind = WEIR_DRAFT_MTP;
    crew_open(&crew);
    for (uint64_t batch = 0; batch < BATCHES; batch++)
        run_batch(&crew, ids, 100 * batch);
    scheduler_figures(crew.scheduler, &figures);
    CHECK_INT(figures.tokens, BATCHES * SLOTS * SAID);
    CHECK(figures.accepted <= figures.drafts);
    CHECK(figures.drafts >= 1);
    CHECK(figures.drafts <= 2 * SLOTS * 16 + BATCHES * SAID / 2);
    crew_close(&crew);
}
