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

static enum weir_status estimate(const struct scheduler_options *scheduler,
                                 struct weir_memory *memory, struct weir_error *err)
{
    const struct weir_engine_options engine = scheduler_engine_options(scheduler);
    return weir_memory_estimate(scheduler->model, &engine, memory, err);
}

static bool fits(const struct weir_memory *memory)
{
    return memory->available == 0 || memory->needed <= memory->available;
}

/* Of 4, 3, 2 slots the most that have room at the context that was asked for, or else at one that
 * is as useful as that of a single slot. */
static enum weir_status choose_slots(struct scheduler_options *scheduler, struct weir_error *err)
{
    struct weir_memory single, several;
    enum weir_status status;
    scheduler->slots = 1;
    TRY(estimate(scheduler, &single, err));
    const uint32_t useful = single.context < CONTEXT_USEFUL ? single.context : CONTEXT_USEFUL;
    for (uint32_t slots = SLOTS_USUAL; slots > 1; slots--) {
        scheduler->slots = slots;
        TRY(estimate(scheduler, &several, err));
        if (fits(&several) && several.context >= useful)
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

/* A context that nobody asked for leaves room for a cache, without which a conversation is read
 * anew at each turn: as much as was wanted, at most a quarter of what is free. */
static void leave_room(struct scheduler_options *scheduler, const struct weir_memory *memory,
                       uint64_t wanted)
{
    const uint64_t free = memory->available - memory->needed;
    const uint64_t room = wanted < memory->available / SHARE ? wanted : memory->available / SHARE;
    const uint64_t token = memory->kv_per_token * scheduler->slots;
    scheduler->engine.context = memory->context;
    if (free >= room || token == 0 || memory->context <= CONTEXT_LEAST)
        return;
    const uint64_t less = (room - free + token - 1) / token;
    const uint64_t spare = memory->context - CONTEXT_LEAST;
    scheduler->engine.context -= (uint32_t)(less < spare ? less : spare);
}

static void choose_cache(struct scheduler_options *scheduler, const struct weir_memory *memory,
                         uint64_t wanted)
{
    const bool is_known = memory->available > 0;
    const uint64_t free = is_known ? memory->available - memory->needed : cache_usual;
    const uint64_t most = is_known ? free - free / SHARE : free;
    scheduler->cache_bytes_max = wanted < most ? wanted : most;
}

static double mib(uint64_t bytes)
{
    return (double)bytes / (1 << 20);
}

static void tell(const struct scheduler_options *scheduler, const struct weir_memory *memory,
                 struct log *log)
{
    const uint32_t slots = scheduler->slots;
    log_print(log, WEIR_LOG_INFO,
              "memory: weights %.0f MiB (%.0f MiB stay in the file), %u slot%s of %u tokens: %u x "
              "(%.0f MiB of keys and values, %.1f MiB of state), buffers %.0f MiB; needs %.0f of "
              "%.0f MiB that are free",
              mib(memory->weights), mib(memory->mapped), slots, slots == 1 ? "" : "s",
              memory->context, slots, mib(memory->kv / slots), mib(memory->state / slots),
              mib(memory->activations + memory->logits + memory->scratch), mib(memory->needed),
              mib(memory->available));
    if (scheduler->cache_dir != NULL)
        log_print(log, WEIR_LOG_INFO, "cache: %.0f MiB of memory, %.0f MiB in %s",
                  mib(scheduler->cache_bytes_max), mib(scheduler->cache_dir_bytes_max),
                  scheduler->cache_dir);
    else
        log_print(log, WEIR_LOG_INFO, "cache: %.0f MiB of memory", mib(scheduler->cache_bytes_max));
}

enum weir_status serve_plan(struct scheduler_options *scheduler, const struct options *options,
                            struct log *log, struct weir_error *err)
{
    struct weir_memory memory;
    const bool is_free = scheduler->engine.context == 0;
    enum weir_status status;
    if (options->serve.slots < 0)
        TRY(choose_slots(scheduler, err));
    TRY(estimate(scheduler, &memory, err));
    if (!fits(&memory))
        TRY(err_set(err, WEIR_ERR_MEMORY,
                    "%u slots of %u tokens need %.0f MiB of memory, of which %.0f MiB are free: "
                    "lower --ctx-size or --parallel",
                    scheduler->slots, memory.context, mib(memory.needed), mib(memory.available)));
    if (is_free && memory.available > 0)
        leave_room(scheduler, &memory, options->serve.cache_ram);
    TRY(estimate(scheduler, &memory, err));
    choose_cache(scheduler, &memory, options->serve.cache_ram);
    tell(scheduler, &memory, log);
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
