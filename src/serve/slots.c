/* SPDX-License-Identifier: MIT
 * Which slot a job gets and what it holds of the prompt. */
#include "serve/slots.h"

#include "base/mem.h"
#include "serve/scheduler_room.h"

enum { WORTH_LEAVING = 16 }; /* tokens that are lost if a slot is left without a copy */

/* ---- open and close -------------------------------------------------------------------------- */

static enum weir_status open_speculator(struct scheduler *scheduler, struct slot *slot,
                                        struct weir_error *err)
{
    struct weir_speculator_options options = scheduler->options.speculator;
    enum weir_status status = WEIR_OK;
    if (options.kind == WEIR_DRAFT_NONE)
        return WEIR_OK;
    options.tokenizer = scheduler->options.tokenizer;
    if (options.kind == WEIR_DRAFT_MODEL && scheduler->options.draft_engine != NULL) {
        TRY(weir_session_open(&slot->draft_session, scheduler->options.draft_engine, err));
        options.draft_session = slot->draft_session;
    } else if (options.kind == WEIR_DRAFT_MODEL && slot->id > 0) {
        return WEIR_OK; /* one session of a drafter follows one slot */
    }
    TRY(weir_speculator_open(&slot->speculator, slot->session, &options, err));
out:
    return status;
}

static enum weir_status open_slot(struct scheduler *scheduler, struct slot *slot,
                                  struct weir_error *err)
{
    enum weir_status status;
    TRY(weir_session_open(&slot->session, scheduler->engine, err));
    for (int i = 0; i < SLOT_CHECKPOINTS; i++)
        TRY(weir_checkpoint_open(&slot->checkpoints[i], slot->session, err));
    TRY(open_speculator(scheduler, slot, err));
out:
    return status;
}

enum weir_status slots_open(struct scheduler *scheduler, struct weir_error *err)
{
    const uint32_t count = scheduler->options.slots;
    enum weir_status status = WEIR_OK;
    scheduler->slots = mem_alloc(count, sizeof *scheduler->slots, err);
    if (scheduler->slots == NULL)
        return WEIR_ERR_MEMORY;
    for (uint32_t i = 0; i < count && status == WEIR_OK; i++) {
        scheduler->slots[i].id = i;
        status = open_slot(scheduler, &scheduler->slots[i], err);
    }
    return status;
}

void slots_close(struct scheduler *scheduler)
{
    for (uint32_t i = 0; i < scheduler->options.slots && scheduler->slots != NULL; i++) {
        struct slot *slot = &scheduler->slots[i];
        weir_speculator_close(slot->speculator);
        weir_session_close(slot->draft_session);
        for (int j = 0; j < SLOT_CHECKPOINTS; j++)
            weir_checkpoint_close(slot->checkpoints[j]);
        weir_session_close(slot->session);
    }
    mem_free(scheduler->slots);
    scheduler->slots = NULL;
}

/* ---- what a slot holds ----------------------------------------------------------------------- */

uint32_t slot_resume(const struct slot *slot, const struct job *job,
                     struct weir_checkpoint **checkpoint)
{
    const struct job_options *options = &job->options;
    const uint32_t position = weir_session_position(slot->session);
    int64_t best = 0;
    *checkpoint = NULL;
    if (options->no_cache || slot->salt != options->salt)
        return 0;
    const uint64_t same = tokens_alike(weir_session_tokens(slot->session), position, options->ids,
                                       options->count - 1);
    if (same == position)
        return position;
    for (int i = 0; i < SLOT_CHECKPOINTS; i++) {
        const int64_t at = weir_checkpoint_position(slot->checkpoints[i]);
        if (at > best && (uint64_t)at <= same) {
            best = at;
            *checkpoint = slot->checkpoints[i];
        }
    }
    return (uint32_t)best;
}

struct weir_checkpoint *slot_last_checkpoint(const struct slot *slot)
{
    const int64_t position = weir_session_position(slot->session);
    struct weir_checkpoint *last = NULL;
    int64_t best = 0;
    for (int i = 0; i < SLOT_CHECKPOINTS; i++) {
        const int64_t at = weir_checkpoint_position(slot->checkpoints[i]);
        if (at > best && at <= position) {
            last = slot->checkpoints[i];
            best = at;
        }
    }
    return last;
}

static bool is_free(const struct slot *slot)
{
    return slot->job == NULL && !slot->is_reserved;
}

/* The free one that was not used for longest, but not this one; NULL: there is none. */
static struct slot *oldest_free(const struct scheduler *scheduler, const struct slot *but)
{
    struct slot *oldest = NULL;
    for (uint32_t i = 0; i < scheduler->options.slots; i++) {
        struct slot *slot = &scheduler->slots[i];
        if (is_free(slot) && slot != but && (oldest == NULL || slot->used < oldest->used))
            oldest = slot;
    }
    return oldest;
}

struct slot *slots_choose(const struct scheduler *scheduler, const struct job *job)
{
    struct slot *best = NULL;
    uint32_t most = 0;
    for (uint32_t i = 0; i < scheduler->options.slots; i++) {
        struct slot *slot = &scheduler->slots[i];
        struct weir_checkpoint *checkpoint;
        const uint32_t held = is_free(slot) ? slot_resume(slot, job, &checkpoint) : 0;
        if (held > most) {
            best = slot;
            most = held;
        }
    }
    return best != NULL ? best : oldest_free(scheduler, NULL);
}

/* ---- there ----------------------------------------------------------------------------------- */

static void put(struct scheduler *scheduler, struct slot *slot)
{
    struct weir_error err = {0};
    const uint32_t position = weir_session_position(slot->session);
    if (weir_cache_put(scheduler->cache, slot->session, slot->salt, &err) == WEIR_OK) {
        slot->kept = position;
        pthread_mutex_lock(&scheduler->lock);
        known_text_keep(slot->text, position);
        pthread_mutex_unlock(&scheduler->lock);
    } else if (!scheduler->has_warned) { /* a full disk stays full: one word is enough */
        scheduler_say(scheduler, WEIR_LOG_WARNING, "the prefix cache takes nothing: %s", err.text);
        scheduler->has_warned = true;
    }
}

void slot_leave(struct scheduler *scheduler, struct slot *slot)
{
    const uint32_t position = weir_session_position(slot->session);
    if (scheduler->cache != NULL && position >= slot->kept + WORTH_LEAVING)
        put(scheduler, slot);
}

/* The way back behind a position that comes first; NULL: there is none. */
static const struct weir_checkpoint *way_behind(const struct slot *slot, int64_t position)
{
    const struct weir_checkpoint *first = NULL;
    for (int i = 0; i < SLOT_CHECKPOINTS; i++) {
        const struct weir_checkpoint *way = slot->checkpoints[i];
        const int64_t at = weir_checkpoint_position(way);
        if (at > position && (first == NULL || at < weir_checkpoint_position(first)))
            first = way;
    }
    return first;
}

void slot_give_ways(struct scheduler *scheduler, struct slot *slot)
{
    struct weir_checkpoint *here = NULL;
    if (scheduler->cache == NULL || way_behind(slot, 0) == NULL ||
        weir_checkpoint_open(&here, slot->session, NULL) != WEIR_OK)
        return; /* what was read elsewhere is then read again by who else wants it */
    const uint32_t position = weir_session_position(slot->session);
    weir_checkpoint_take(here);
    for (const struct weir_checkpoint *way = way_behind(slot, 0);
         way != NULL && weir_checkpoint_position(way) < position;
         way = way_behind(slot, weir_checkpoint_position(way))) {
        weir_checkpoint_return(way, NULL); /* cannot fail, as below: nothing is written meanwhile */
        put(scheduler, slot);
    }
    weir_checkpoint_return(here, NULL);
    weir_checkpoint_close(here);
}

void slots_leave(struct scheduler *scheduler)
{
    if (scheduler->options.cache_dir == NULL)
        return;
    for (uint32_t i = 0; i < scheduler->options.slots; i++)
        slot_leave(scheduler, &scheduler->slots[i]);
}

void slot_clear(struct scheduler *scheduler, struct slot *slot)
{
    weir_session_reset(slot->session);
    pthread_mutex_lock(&scheduler->lock);
    known_text_end(slot->text);
    pthread_mutex_unlock(&scheduler->lock);
    slot->text = NULL;
    slot->kept = 0;
    slot->salt = 0;
}

/* Checkpoints end with the first token that is written behind a reset; until then a slot of no
 * tokens resumes nothing, whatever its salt. */
static void empty_for(struct scheduler *scheduler, struct slot *slot, uint64_t salt)
{
    slot_leave(scheduler, slot);
    slot_clear(scheduler, slot);
    slot->salt = salt;
}

/* Reads into an empty slot what the cache has of the prompt. */
static uint32_t get(struct scheduler *scheduler, struct slot *slot, const struct job *job)
{
    struct weir_error err = {0};
    uint32_t held = 0;
    if (weir_cache_get(scheduler->cache, slot->session, job->options.salt, job->options.ids,
                       job->options.count, &held, &err) == WEIR_OK)
        return held;
    scheduler_say(scheduler, WEIR_LOG_WARNING, "the prefix cache: %s: the prompt is read anew",
                  err.text);
    weir_session_reset(slot->session);
    return 0;
}

/* Whether the cache should be asked, where the slot holds so much. A state of the cache is a copy
 * of all rows before it, so for a few tokens it is not. */
static bool is_cache_better(struct scheduler *scheduler, const struct job *job, uint32_t held,
                            bool may_guess)
{
    const struct job_options *options = &job->options;
    if (scheduler->cache == NULL || options->no_cache || held + SLOT_FEW >= options->count)
        return false;
    pthread_mutex_lock(&scheduler->lock);
    const uint32_t kept =
        known_texts_kept(&scheduler->texts, options->salt, options->ids, options->count);
    pthread_mutex_unlock(&scheduler->lock);
    /* a folder may have what nobody here knows of */
    return kept > held + SLOT_FEW || (may_guess && held < options->count / 2);
}

/* What lies behind the last way back is a reply, which another try or the next turn replaces; what
 * lies behind an earlier one is of a text that this one parts from, and may be gone on with. */
static struct slot *use_held(struct scheduler *scheduler, struct slot *slot, uint32_t held,
                             struct weir_checkpoint *checkpoint)
{
    slot->source = checkpoint == NULL ? FROM_SLOT : FROM_CHECKPOINT;
    if (checkpoint != NULL && checkpoint != slot_last_checkpoint(slot))
        slot_leave(scheduler, slot);
    if (checkpoint != NULL)
        weir_checkpoint_return(checkpoint, NULL); /* cannot fail: it is valid */
    slot->kept = slot->kept < held ? slot->kept : held;
    return slot;
}

struct slot *slot_prepare(struct scheduler *scheduler, struct slot *slot, const struct job *job)
{
    struct weir_checkpoint *checkpoint;
    const uint32_t held = slot_resume(slot, job, &checkpoint);
    /* into another slot, so that what this one holds is not lost if the cache has less */
    struct slot *other = held > 0 && job->options.slot < 0 ? oldest_free(scheduler, slot) : NULL;
    struct slot *target = other != NULL ? other : slot;
    /* what no cache has is not given up for a guess */
    const bool may_guess = target != slot || held <= slot->kept + SLOT_FEW;
    if (!is_cache_better(scheduler, job, held, may_guess)) {
        if (held > 0)
            return use_held(scheduler, slot, held, checkpoint);
        empty_for(scheduler, slot, job->options.salt);
        slot->source = FROM_NOTHING;
        return slot;
    }
    empty_for(scheduler, target, job->options.salt);
    const uint32_t found = get(scheduler, target, job);
    if (target != slot && found <= held) {
        slot_clear(scheduler, target);
        return use_held(scheduler, slot, held, checkpoint);
    }
    target->kept = found;
    target->source = found > 0 ? FROM_CACHE : FROM_NOTHING;
    return target;
}

/* ---- keeping --------------------------------------------------------------------------------- */

/* The checkpoint that is of no use, or lies before all others; NULL: one is there already. */
static struct weir_checkpoint *first_checkpoint(const struct slot *slot)
{
    const int64_t position = weir_session_position(slot->session);
    struct weir_checkpoint *first = slot->checkpoints[0];
    for (int i = 0; i < SLOT_CHECKPOINTS; i++) {
        const int64_t at = weir_checkpoint_position(slot->checkpoints[i]);
        if (at == position)
            return NULL;
        first = at < weir_checkpoint_position(first) ? slot->checkpoints[i] : first;
    }
    return first;
}

void slot_keep(struct scheduler *scheduler, struct slot *slot)
{
    const uint32_t position = weir_session_position(slot->session);
    struct weir_checkpoint *checkpoint = first_checkpoint(slot);
    if (checkpoint != NULL)
        weir_checkpoint_take(checkpoint);
    if (scheduler->cache != NULL && position >= slot->kept + SLOT_FEW)
        put(scheduler, slot);
}

void slot_return(struct slot *slot)
{
    const struct weir_checkpoint *last = slot_last_checkpoint(slot);
    if (last != NULL)
        weir_checkpoint_return(last, NULL); /* cannot fail: it is valid */
    else
        weir_session_reset(slot->session);
    const uint32_t position = weir_session_position(slot->session);
    slot->kept = slot->kept < position ? slot->kept : position;
}

const char *slot_source_name(enum slot_source source)
{
    static const char *const names[] = {
        [FROM_NOTHING] = "nothing",
        [FROM_SLOT] = "the slot",
        [FROM_CHECKPOINT] = "a checkpoint of the slot",
        [FROM_CACHE] = "the cache",
    };
    return names[source];
}
