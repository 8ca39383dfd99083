/* SPDX-License-Identifier: MIT
 * Slots, context, caches and connections by what is free. Knows not how they are used. */
#include "app/serve_plan.h"

#include <sys/resource.h>

#include "base/err.h"

enum {
    SLOTS_USUAL = 4,        /* that of llama-server */
    CONTEXT_USEFUL = 32768, /* tokens: a shorter context is not worth another slot */
    CONTEXT_LEAST = 4096,   /* nor is it worth a cache; llama.cpp's -fit goes as low */
    SHARE = 4,              /* a cache may leave this part of the free memory free */
    FILES_OTHER = 224,      /* models, logs, snapshots, connections that are refused or closed */
};

static const uint64_t cache_usual = (uint64_t)8192 << 20;

/* What is to be had, and for whom. */
struct plan {
    struct scheduler_options *scheduler;
    const struct serve_draft *draft;
};

struct need {
    struct weir_memory own, draft; /* `draft` zeros: no model drafts */
};

static enum weir_status estimate(const struct plan *plan, struct need *need, struct weir_error *err)
{
    const struct weir_engine_options own = scheduler_engine_options(plan->scheduler);
    struct weir_engine_options draft = plan->draft->engine;
    struct weir_error inner = {0};
    *need = (struct need){0};
    enum weir_status status = weir_memory_estimate(plan->scheduler->model, &own, &need->own, err);
    if (status != WEIR_OK || plan->draft->model == NULL)
        return status;
    draft.context = need->own.context;
    draft.sessions_max = own.sessions_max;
    status = weir_memory_estimate(plan->draft->model, &draft, &need->draft, &inner);
    return status == WEIR_OK ? status : err_set(err, status, "--model-draft: %s", inner.text);
}

static uint64_t needed(const struct need *need)
{
    return need->own.needed + need->draft.needed;
}

static bool fits(const struct need *need)
{
    return need->own.available == 0 || needed(need) <= need->own.available;
}

/* Of 4, 3, 2 slots the most that have room at the context that was asked for, or else at one that
 * is as useful as that of a single slot. */
static enum weir_status choose_slots(const struct plan *plan, struct weir_error *err)
{
    struct scheduler_options *scheduler = plan->scheduler;
    struct need single, several;
    enum weir_status status;
    scheduler->slots = 1;
    TRY(estimate(plan, &single, err));
    const uint32_t longest = single.own.context;
    const uint32_t useful = longest < CONTEXT_USEFUL ? longest : CONTEXT_USEFUL;
    for (uint32_t slots = SLOTS_USUAL; slots > 1; slots--) {
        scheduler->slots = slots;
        TRY(estimate(plan, &several, err));
        if (fits(&several) && several.own.context >= useful)
            return WEIR_OK;
    }
    scheduler->slots = 1;
out:
    return status;
}

enum weir_status serve_plan_divide(struct weir_engine_options *engine,
                                   const struct options *options, struct weir_error *err)
{
    if (options->serve.slots < 0)
        return WEIR_OK;
    const uint32_t slots = (uint32_t)options->serve.slots;
    if (slots == 0)
        return err_set(err, WEIR_ERR_ARGUMENT, "--parallel: 0 slots answer nobody");
    if (engine->context > 0 && engine->context < slots)
        return err_set(err, WEIR_ERR_ARGUMENT, "--ctx-size: %u tokens are too few for %u slots",
                       engine->context, slots);
    engine->sessions_max = slots;
    engine->context /= slots;
    return WEIR_OK;
}

/* A context that nobody asked for leaves room for a model that drafts, and for a cache, without
 * which a conversation is read anew at each turn: as much as was wanted, at most a quarter of what
 * is free. */
static void leave_room(struct scheduler_options *scheduler, const struct need *need,
                       uint64_t wanted)
{
    const uint64_t available = need->own.available;
    const uint64_t room = wanted < available / SHARE ? wanted : available / SHARE;
    const uint64_t token = (need->own.kv_per_token + need->draft.kv_per_token) * scheduler->slots;
    scheduler->engine.context = need->own.context;
    if (needed(need) + room <= available || token == 0 || need->own.context <= CONTEXT_LEAST)
        return;
    const uint64_t less = (needed(need) + room - available + token - 1) / token;
    const uint64_t spare = need->own.context - CONTEXT_LEAST;
    scheduler->engine.context -= (uint32_t)(less < spare ? less : spare);
}

static void choose_cache(struct scheduler_options *scheduler, const struct need *need,
                         uint64_t wanted)
{
    const bool is_known = need->own.available > 0;
    const uint64_t free = is_known ? need->own.available - needed(need) : cache_usual;
    const uint64_t most = is_known ? free - free / SHARE : free;
    scheduler->cache_bytes_max = wanted < most ? wanted : most;
}

static double mib(uint64_t bytes)
{
    return (double)bytes / (1 << 20);
}

static uint64_t buffers(const struct weir_memory *memory)
{
    return memory->activations + memory->logits + memory->scratch;
}

static void tell(const struct scheduler_options *scheduler, const struct need *need,
                 struct log *log)
{
    const uint32_t slots = scheduler->slots;
    const struct weir_memory *own = &need->own, *draft = &need->draft;
    if (draft->weights > 0)
        log_print(log, WEIR_LOG_INFO,
                  "memory of the model that drafts: weights %.0f MiB (%.0f MiB stay in the file), "
                  "%u x (%.0f MiB of keys and values, %.1f MiB of state), buffers %.0f MiB",
                  mib(draft->weights), mib(draft->mapped), slots, mib(draft->kv / slots),
                  mib(draft->state / slots), mib(buffers(draft)));
    log_print(log, WEIR_LOG_INFO,
              "memory: weights %.0f MiB (%.0f MiB stay in the file), %u slot%s of %u tokens: %u x "
              "(%.0f MiB of keys and values, %.1f MiB of state), buffers %.0f MiB; needs %.0f of "
              "%.0f MiB that are free%s",
              mib(own->weights), mib(own->mapped), slots, slots == 1 ? "" : "s", own->context,
              slots, mib(own->kv / slots), mib(own->state / slots), mib(buffers(own)),
              mib(needed(need)), mib(own->available),
              draft->weights > 0 ? ", with the model that drafts" : "");
    if (scheduler->cache_dir != NULL)
        log_print(log, WEIR_LOG_INFO, "cache: %.0f MiB of memory, %.0f MiB in %s",
                  mib(scheduler->cache_bytes_max), mib(scheduler->cache_dir_bytes_max),
                  scheduler->cache_dir);
    else
        log_print(log, WEIR_LOG_INFO, "cache: %.0f MiB of memory", mib(scheduler->cache_bytes_max));
}

enum weir_status serve_plan(struct scheduler_options *scheduler, const struct serve_draft *draft,
                            const struct options *options, struct log *log, struct weir_error *err)
{
    const struct plan plan = {scheduler, draft};
    struct need need;
    const bool is_free = scheduler->engine.context == 0;
    enum weir_status status;
    if (options->serve.slots < 0)
        TRY(choose_slots(&plan, err));
    TRY(estimate(&plan, &need, err));
    if (is_free && need.own.available > 0) {
        leave_room(scheduler, &need, options->serve.cache_ram);
        TRY(estimate(&plan, &need, err));
    }
    if (!fits(&need))
        TRY(err_set(err, WEIR_ERR_MEMORY,
                    "%u slots of %u tokens need %.0f MiB of memory, of which %.0f MiB are free: "
                    "lower --ctx-size or --parallel",
                    scheduler->slots, need.own.context, mib(needed(&need)),
                    mib(need.own.available)));
    choose_cache(scheduler, &need, options->serve.cache_ram);
    tell(scheduler, &need, log);
out:
    return status;
}

/* A server that may open no further file can accept nobody, and is asked again at once. */
uint32_t serve_plan_connections(uint32_t wanted, struct log *log)
{
    const rlim_t needed = (rlim_t)wanted + FILES_OTHER;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed)
        return wanted;
    const struct rlimit raised = {
        .rlim_cur = needed < limit.rlim_max ? needed : limit.rlim_max,
        .rlim_max = limit.rlim_max,
    };
    const rlim_t files = setrlimit(RLIMIT_NOFILE, &raised) == 0 ? raised.rlim_cur : limit.rlim_cur;
    if (files >= needed)
        return wanted;
    const uint32_t room =
        files > 2 * FILES_OTHER ? (uint32_t)files - FILES_OTHER : (uint32_t)files / 2;
    const uint32_t connections = room > 0 ? room : 1;
    log_print(log, WEIR_LOG_WARNING,
              "warning: %u connections at most, not %u: the limit of open files is %llu",
              connections, wanted, (unsigned long long)files);
    return connections;
}
