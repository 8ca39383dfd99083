/* SPDX-License-Identifier: MIT
 * Turns: what goes into a step of the engine and what comes out. Who generates has its tokens in
 * each step; prompts share what room there is, a part at a time. Runs on the scheduler's thread.
 * Knows neither where jobs come from nor how slots are filled. */

#include "base/clock.h"
#include "base/floats.h"
#include "serve/picks.h"
#include "serve/running.h"

/* Of prompts in a step that others wait for: it takes them about as long as some of their own. */
enum { ROWS_BESIDE = CUT_ROWS_MIN };
static const double step_ns_aim = 5e8; /* within which a job can be cancelled */

/* ---- what goes into a step ------------------------------------------------------------------- */

/* Drafts that are of use to the slot. */
static uint32_t drafts_most(const struct scheduler *scheduler, const struct slot *slot)
{
    const struct job *job = slot->job;
    const uint32_t most = scheduler->options.speculator.drafts_max;
    const uint32_t left = job->options.tokens_max - job->timings.tokens;
    if (slot->speculator == NULL || job->options.wants_chances)
        return 0;
    return left - 1 < most ? left - 1 : most;
}

/* A token of the reply, and drafts: of a slot that is alone as many as its speculator likes, else
 * slot->drafts. */
static bool begin_round(struct scheduler *scheduler, struct slot *slot, bool is_alone)
{
    const struct job *job = slot->job;
    const uint32_t most = drafts_most(scheduler, slot);
    struct weir_error err = {0};
    enum weir_status status = WEIR_OK;
    slot->is_round = is_alone ? most > 0 : slot->drafts > 0;
    slot->tokens = &job->last;
    slot->rows = 1;
    if (!slot->is_round)
        weir_session_unmark(slot->session);
    else if (is_alone)
        status = weir_speculator_draft(slot->speculator, job->last, 1 + most, &slot->tokens,
                                       &slot->rows, &err);
    else
        status = weir_speculator_draft_exactly(slot->speculator, job->last, slot->drafts,
                                               &slot->tokens, &slot->rows, &err);
    if (status != WEIR_OK)
        running_fail(scheduler, slot, &err);
    return status == WEIR_OK;
}

/* What a step has room for: tokens of prompts, and of them such that are scored. */
struct room {
    uint32_t rows, scored;
};

/* Where a part of a prompt ends of which each row is wanted: they are few in any case, so it has
 * the same bits wherever it is cut. Its owner may be slower than the steps. */
static uint32_t scored_end(const struct slot *slot, uint32_t from, const struct room *room)
{
    const uint32_t rows = room->rows < room->scored ? room->rows : room->scored;
    if (slot->is_paused)
        return from;
    return slot->end - from < rows ? slot->end : from + rows;
}

static uint32_t part_end(const struct scheduler *scheduler, const struct slot *slot, uint32_t from,
                         const struct room *room)
{
    const struct job_options *options = &slot->job->options;
    if (options->wants_prompt)
        return scored_end(slot, from, room);
    uint32_t cut = cuts_next(options->ids, slot->end, from, scheduler->message_begin);
    for (uint32_t i = 0; i < slot->cuts.count; i++)
        cut = slot->cuts.at[i] > from && slot->cuts.at[i] < cut ? slot->cuts.at[i] : cut;
    return cuts_step_end(from, cut, room->rows);
}

/* A part of the prompt, as far as there is room. */
static bool begin_part(const struct scheduler *scheduler, struct slot *slot, struct room *room)
{
    const struct job_options *options = &slot->job->options;
    const uint32_t from = weir_session_position(slot->session);
    const uint32_t end = part_end(scheduler, slot, from, room);
    weir_session_unmark(slot->session);
    slot->tokens = options->ids + from;
    slot->rows = end - from;
    slot->is_last = end == slot->end;
    room->rows -= slot->rows;
    room->scored -= options->wants_prompt ? slot->rows : 0;
    return slot->rows > 0;
}

/* Of which rows of the step the slot wants logits. */
static enum weir_logits logits_of(const struct slot *slot)
{
    const struct job_options *options = &slot->job->options;
    if (slot->phase == SLOT_REPLY || options->wants_prompt)
        return WEIR_LOGITS_ALL;
    return slot->is_last && options->tokens_max > 0 ? WEIR_LOGITS_LAST : WEIR_LOGITS_NONE;
}

static uint32_t add_item(struct scheduler *scheduler, const struct slot *slot, uint32_t count)
{
    scheduler->items[count] = (struct weir_step_item){
        .session = slot->session,
        .tokens = slot->tokens,
        .count = slot->rows,
        .logits = logits_of(slot),
    };
    return count + 1;
}

/* Tokens of prompts in the step: what takes about step_ns_aim, if nobody waits for more. */
static uint32_t part_rows(const struct scheduler *scheduler, bool is_beside)
{
    if (is_beside)
        return ROWS_BESIDE;
    const double aim = scheduler->row_ns > 0 ? step_ns_aim / scheduler->row_ns : 0;
    if (aim == 0 || aim >= scheduler->rows_max)
        return scheduler->rows_max;
    return aim > CUT_ROWS_MIN ? (uint32_t)aim : CUT_ROWS_MIN;
}

/* What goes into a step. */
struct gathered {
    uint32_t items;
    uint32_t rounds;   /* of them, those of slots that generate */
    uint32_t ready;    /* slots that do */
    uint32_t drafts;   /* in company */
    uint64_t draft_ns; /* that these took */
    bool is_alone;     /* one slot has a job */
    bool is_choice;    /* nobody has a job but these: they share the step as they like */
    struct company_way way;
};

static bool is_ready(const struct slot *slot)
{
    return slot->phase == SLOT_REPLY && !slot->is_paused;
}

/* Who generates, and in which company. */
static void count_ready(struct scheduler *scheduler, struct gathered *gathered)
{
    uint32_t busy = 0;
    for (uint32_t i = 0; i < scheduler->options.slots; i++) {
        struct slot *slot = &scheduler->slots[i];
        slot->rows = 0;
        slot->drafts = 0;
        busy += slot->job != NULL;
        gathered->ready += is_ready(slot);
    }
    gathered->is_choice = busy == gathered->ready;
    gathered->is_alone = gathered->is_choice && busy == 1;
}

/* How they share the step. With prompts beside them there are no drafts. */
static void choose_way(struct scheduler *scheduler, struct gathered *gathered)
{
    struct company_seat seats[COMPANY_FEW];
    struct slot *seated[COMPANY_FEW];
    uint32_t count = 0;
    gathered->way = (struct company_way){.slots = gathered->ready};
    if (!gathered->is_choice)
        return;
    for (uint32_t i = 0; i < scheduler->options.slots && count < COMPANY_FEW; i++) {
        struct slot *slot = &scheduler->slots[i];
        if (!is_ready(slot))
            continue;
        seats[count] = (struct company_seat){&slot->member, drafts_most(scheduler, slot), 0};
        seated[count++] = slot;
    }
    gathered->way = company_choose(&scheduler->company, gathered->ready, seats);
    for (uint32_t i = 0; i < count; i++)
        seated[i]->drafts = seats[i].drafts;
}

/* Those that generate, so many of them in turn. */
static void gather_rounds(struct scheduler *scheduler, struct gathered *gathered)
{
    const uint32_t slots = scheduler->options.slots, first = scheduler->round;
    count_ready(scheduler, gathered);
    choose_way(scheduler, gathered);
    const uint64_t begin = clock_ns();
    for (uint32_t i = 0; i < slots && gathered->items < gathered->way.slots; i++) {
        struct slot *slot = &scheduler->slots[(first + i) % slots];
        if (!is_ready(slot) || !begin_round(scheduler, slot, gathered->is_alone))
            continue;
        gathered->items = add_item(scheduler, slot, gathered->items);
        gathered->drafts += slot->rows - 1;
        scheduler->round = (slot->id + 1) % slots;
    }
    if (gathered->way.drafts > 0)
        gathered->draft_ns = clock_ns() - begin;
    gathered->rounds = gathered->items;
}

/* Of prompts, the one whose turn it is goes first. */
static void gather_parts(struct scheduler *scheduler, struct gathered *gathered)
{
    const uint32_t slots = scheduler->options.slots;
    struct room room = {part_rows(scheduler, gathered->rounds > 0), CUT_ROWS_FEW};
    uint32_t next = scheduler->turn;
    for (uint32_t i = 0; i < slots; i++) {
        struct slot *slot = &scheduler->slots[(scheduler->turn + i) % slots];
        if (slot->phase != SLOT_PROMPT || !begin_part(scheduler, slot, &room))
            continue;
        if (next == scheduler->turn)
            next = (slot->id + 1) % slots;
        gathered->items = add_item(scheduler, slot, gathered->items);
    }
    scheduler->turn = next;
}

/* ---- the step -------------------------------------------------------------------------------- */

/* Of a step that has failed: whether the slot has what it should nevertheless, because only the
 * logits of others are no numbers. */
static bool is_sound(const struct scheduler *scheduler, const struct slot *slot)
{
    const uint32_t vocab = weir_engine_vocab(scheduler->engine);
    const enum weir_logits logits = logits_of(slot);
    const uint32_t rows = logits == WEIR_LOGITS_ALL ? slot->rows : logits == WEIR_LOGITS_LAST;
    for (uint32_t row = 0; row < rows; row++) {
        const float *numbers = weir_session_logits(slot->session, row);
        if (numbers == NULL || !floats_are_finite(numbers, vocab))
            return false;
    }
    return true;
}

static void fail_slots(struct scheduler *scheduler, enum weir_status status,
                       const struct weir_error *err)
{
    for (uint32_t i = 0; i < scheduler->options.slots; i++) {
        struct slot *slot = &scheduler->slots[i];
        if (slot->rows > 0 && (status != WEIR_ERR_FORMAT || !is_sound(scheduler, slot)))
            running_fail(scheduler, slot, err);
    }
}

/* What the step took, for the sizes of the next ones and for those who ask. */
static void count_step(struct scheduler *scheduler, uint64_t ns)
{
    const double share = 0.25; /* of the newest step in the mean */
    struct weir_traffic traffic = {.read = {0}};
    uint32_t rows = 0, parts = 0, busy = 0;
    weir_engine_step_traffic(scheduler->engine, &traffic);
    for (uint32_t i = 0; i < scheduler->options.slots; i++) {
        const struct slot *slot = &scheduler->slots[i];
        rows += slot->rows;
        parts += slot->phase == SLOT_PROMPT ? slot->rows : 0;
        busy += slot->rows > 0;
    }
    if (parts >= CUT_ALIGNMENT)
        scheduler->row_ns +=
            (scheduler->row_ns == 0 ? 1 : share) * ((double)ns / (double)rows - scheduler->row_ns);
    pthread_mutex_lock(&scheduler->lock);
    for (uint32_t i = 0; i < scheduler->options.slots; i++) {
        const struct slot *slot = &scheduler->slots[i];
        if (slot->phase != SLOT_REPLY || slot->rows == 0)
            continue;
        figures_share(slot->job->timings.bytes, &traffic, slot->rows, rows);
        figures_share(scheduler->figures.reply_bytes, &traffic, slot->rows, rows);
    }
    scheduler->figures.steps++;
    if (scheduler->cache != NULL)
        weir_cache_stats(scheduler->cache, &scheduler->figures.cache);
    scheduler->figures.busy_slots += busy;
    scheduler->figures.step_ns += ns;
    figures_share(scheduler->figures.bytes, &traffic, 1, 1);
    pthread_mutex_unlock(&scheduler->lock);
}

/* Hands each slot what it has of the step; returns the tokens of replies. */
static uint32_t take_results(struct scheduler *scheduler, uint64_t alone_ns)
{
    uint64_t before, after;
    picks_take(scheduler);
    pthread_mutex_lock(&scheduler->lock);
    before = scheduler->figures.tokens;
    pthread_mutex_unlock(&scheduler->lock);
    for (uint32_t i = 0; i < scheduler->options.slots; i++) {
        struct slot *slot = &scheduler->slots[i];
        if (slot->rows == 0)
            continue;
        if (slot->phase == SLOT_REPLY)
            running_take_round(scheduler, slot, alone_ns);
        else
            running_take_part(scheduler, slot);
    }
    pthread_mutex_lock(&scheduler->lock);
    after = scheduler->figures.tokens;
    pthread_mutex_unlock(&scheduler->lock);
    return (uint32_t)(after - before);
}

bool turn_take(struct scheduler *scheduler)
{
    struct weir_error err = {0};
    struct gathered gathered = {.items = 0};
    const uint64_t begin = clock_ns();
    gather_rounds(scheduler, &gathered);
    gather_parts(scheduler, &gathered);
    if (gathered.items == 0)
        return false;
    const uint64_t step_begin = clock_ns();
    const enum weir_status status =
        weir_engine_step(scheduler->engine, scheduler->items, gathered.items, &err);
    const uint64_t ns = clock_ns() - step_begin;
    if (status != WEIR_OK)
        fail_slots(scheduler, status, &err);
    else
        count_step(scheduler, ns);
    const uint32_t tokens = take_results(scheduler, gathered.is_alone ? ns : 0);
    if (gathered.is_choice)
        company_learn(&scheduler->company, &gathered.way,
                      &(struct company_turn){.slots = gathered.ready,
                                             .drafts = gathered.drafts,
                                             .tokens = tokens,
                                             .ns = clock_ns() - begin,
                                             .draft_ns = gathered.draft_ns});
    return true;
}
