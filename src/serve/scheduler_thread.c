/* SPDX-License-Identifier: MIT
 * The scheduler's thread: which of the jobs that wait begins in which slot, what others have asked
 * of those that run, and when there is nothing to do. Knows not what a step is made of. */

#include "base/clock.h"
#include "base/condition.h"
#include "serve/running.h"
#include "serve/slot_actions.h"

/* ---- the queue: under the lock --------------------------------------------------------------- */

static struct job *queue_take(struct scheduler *scheduler, struct job **link)
{
    struct job *job = *link;
    *link = job->next;
    job->next = NULL;
    scheduler->figures.waiting--;
    return job;
}

/* Jobs that nobody waits for any more, or that have waited too long. */
static void queue_sweep(struct scheduler *scheduler)
{
    const uint64_t now = clock_ns();
    for (struct job **link = &scheduler->waiting; *link != NULL;) {
        const struct job *job = *link;
        const bool is_late = job->options.deadline_ns != 0 && now >= job->options.deadline_ns;
        if (job->is_cancelled || is_late)
            running_refuse(scheduler, queue_take(scheduler, link),
                           job->is_cancelled ? JOB_CANCELLED : JOB_TIMEOUT);
        else
            link = &(*link)->next;
    }
}

/* Whether another job is about to read what this one begins with too: then the state that is kept
 * there serves both. */
static bool is_led(const struct scheduler *scheduler, const struct job *job)
{
    const struct job_options *options = &job->options;
    for (uint32_t i = 0; i < scheduler->options.slots; i++) {
        const struct slot *slot = &scheduler->slots[i];
        if (slot->phase != SLOT_PROMPT || options->no_cache || scheduler->cache == NULL ||
            slot->job->options.no_cache || slot->salt != options->salt)
            continue;
        const struct job_options *leader = &slot->job->options;
        const uint64_t same =
            tokens_alike(leader->ids, leader->count, options->ids, options->count - 1);
        const uint32_t position = weir_session_position(slot->session);
        for (uint32_t j = 0; j < slot->cuts.count; j++) {
            const uint32_t at = slot->cuts.at[j];
            if (at > position && at <= same && at >= slot->kept + SLOT_FEW)
                return true;
        }
    }
    return false;
}

/* The first job that can begin, and its slot; NULL: none. A job that wants a certain slot has it
 * reserved as soon as it is first. */
static struct job *queue_next(struct scheduler *scheduler, struct slot **slot)
{
    for (uint32_t i = 0; i < scheduler->options.slots; i++)
        scheduler->slots[i].is_reserved = false;
    for (struct job **link = &scheduler->waiting; *link != NULL; link = &(*link)->next) {
        const struct job *job = *link;
        if (job->options.slot >= 0) {
            *slot = &scheduler->slots[job->options.slot];
            const bool is_free = (*slot)->job == NULL && !(*slot)->is_reserved;
            (*slot)->is_reserved = true;
            if (is_free)
                return queue_take(scheduler, link);
            continue;
        }
        *slot = slots_choose(scheduler, job);
        if (*slot != NULL && !is_led(scheduler, job))
            return queue_take(scheduler, link);
    }
    return NULL;
}

/* The first request of which the slot is idle. */
static struct slot_request *request_next(struct scheduler *scheduler)
{
    for (struct slot_request **link = &scheduler->requests; *link != NULL; link = &(*link)->next) {
        struct slot_request *request = *link;
        if (scheduler->slots[request->wish->slot].job == NULL) {
            *link = request->next;
            return request;
        }
    }
    return NULL;
}

/* ---- the thread ------------------------------------------------------------------------------ */

/* One a turn: who generates does not wait for the files of many. */
static void do_request(struct scheduler *scheduler)
{
    pthread_mutex_lock(&scheduler->lock);
    struct slot_request *request = request_next(scheduler);
    if (request != NULL) {
        pthread_mutex_unlock(&scheduler->lock);
        slot_request_do(scheduler, request);
        pthread_mutex_lock(&scheduler->lock);
        request->is_done = true;
        pthread_cond_broadcast(&scheduler->idle);
        scheduler_wake(scheduler); /* there may be another */
    }
    pthread_mutex_unlock(&scheduler->lock);
}

static void begin_jobs(struct scheduler *scheduler)
{
    struct job *job;
    struct slot *slot;
    pthread_mutex_lock(&scheduler->lock);
    queue_sweep(scheduler);
    for (job = queue_next(scheduler, &slot); job != NULL; job = queue_next(scheduler, &slot)) {
        scheduler->figures.running++;
        pthread_mutex_unlock(&scheduler->lock);
        running_begin(scheduler, slot, job);
        pthread_mutex_lock(&scheduler->lock);
    }
    pthread_mutex_unlock(&scheduler->lock);
}

/* What others have asked of a running job since. */
struct wish {
    bool is_given_up, is_over, suffices, ends_reasoning;
};

static struct wish take_wish(struct scheduler *scheduler, struct slot *slot)
{
    struct job *job = slot->job;
    pthread_mutex_lock(&scheduler->lock);
    const struct wish wish = {job->is_cancelled, scheduler->is_cancelling, job->suffices,
                              job->ends_reasoning};
    job->ends_reasoning = job->ends_reasoning && slot->phase != SLOT_REPLY;
    slot->is_paused = job_events_room(&job->events) < job_events_wanted(job);
    pthread_mutex_unlock(&scheduler->lock);
    return wish;
}

static void heed_slot(struct scheduler *scheduler, struct slot *slot)
{
    struct job *job = slot->job;
    const uint64_t deadline = job->options.deadline_ns;
    const struct wish wish = take_wish(scheduler, slot);
    job->is_given_up = wish.is_given_up;
    if (wish.is_given_up || wish.is_over)
        running_end(scheduler, slot, JOB_CANCELLED, NULL);
    else if (wish.suffices)
        running_end(scheduler, slot, JOB_LENGTH, NULL);
    else if (deadline != 0 && clock_ns() >= deadline)
        running_end(scheduler, slot, JOB_TIMEOUT, NULL);
    else if (wish.ends_reasoning && slot->phase == SLOT_REPLY &&
             job_close_reasoning(job, &job->err) != WEIR_OK)
        running_end(scheduler, slot, JOB_FAILED, NULL);
}

static void heed_slots(struct scheduler *scheduler)
{
    for (uint32_t i = 0; i < scheduler->options.slots; i++) {
        if (scheduler->slots[i].job != NULL)
            heed_slot(scheduler, &scheduler->slots[i]);
    }
}

/* The next moment at which something ends by itself; 0: never. */
static uint64_t next_deadline(const struct scheduler *scheduler)
{
    uint64_t next = UINT64_MAX;
    for (const struct job *job = scheduler->waiting; job != NULL; job = job->next) {
        const uint64_t deadline = job->options.deadline_ns;
        next = deadline != 0 && deadline < next ? deadline : next;
    }
    for (uint32_t i = 0; i < scheduler->options.slots; i++) {
        const struct job *job = scheduler->slots[i].job;
        const uint64_t deadline = job == NULL ? 0 : job->options.deadline_ns;
        next = deadline != 0 && deadline < next ? deadline : next;
    }
    return next == UINT64_MAX ? 0 : next;
}

/* Nothing can go on: waits for news, or for a deadline. False when the scheduler is closed. */
static bool rest(struct scheduler *scheduler)
{
    pthread_mutex_lock(&scheduler->lock);
    const uint64_t deadline = next_deadline(scheduler);
    while (!scheduler->is_closing && !scheduler->has_news &&
           (deadline == 0 || clock_ns() < deadline)) {
        if (deadline == 0)
            pthread_cond_wait(&scheduler->work, &scheduler->lock);
        else
            condition_wait_until(&scheduler->work, &scheduler->lock, deadline);
    }
    scheduler->has_news = false;
    const bool goes_on = !scheduler->is_closing;
    pthread_mutex_unlock(&scheduler->lock);
    return goes_on;
}

void *scheduler_run(void *argument)
{
    struct scheduler *scheduler = argument;
    do {
        do {
            heed_slots(scheduler);
            do_request(scheduler);
            begin_jobs(scheduler);
        } while (turn_take(scheduler));
    } while (rest(scheduler));
    slots_leave(scheduler);
    return NULL;
}
