/* SPDX-License-Identifier: MIT
 * weir serve: from flags to a server, and its end. Knows neither HTTP nor any API. */
#include "app/command.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "app/chat_template.h"
#include "app/interrupt.h"
#include "app/keep.h"
#include "app/loaded.h"
#include "app/notify.h"
#include "app/sampling.h"
#include "app/serve_keys.h"
#include "app/serve_plan.h"
#include "app/shipped.h"
#include "app/speculation.h"
#include "base/err.h"
#include "json/json.h"
#include "serve/server.h"

enum {
    LARGE_BLOCK_BYTES = 1 << 20,
};

struct serve {
    struct options *options;
    struct log *log;
    pthread_mutex_t log_mutex; /* threads of a server tell at any time */
    char shipped[SHIPPED_PATH_MAX];
    struct loaded loaded; /* model and tokenizer */
    struct speculation speculation;
    struct weir_template *chat_template;
    struct server_options settings;
    struct server *server;
};

/* ---- telling --------------------------------------------------------------------------------- */

static void tell(void *user, enum weir_log_level level, const char *line)
{
    struct serve *serve = user;
    pthread_mutex_lock(&serve->log_mutex);
    log_sink(serve->log, level, line);
    pthread_mutex_unlock(&serve->log_mutex);
}

/* Only loading is shown, and ended by a signal: a step that is cut short would take with it what
 * all slots hold. */
static bool progress(void *user, enum weir_stage stage, uint64_t done, uint64_t total)
{
    struct serve *serve = user;
    return stage != WEIR_STAGE_LOAD || log_progress(serve->log, stage, done, total);
}

/* ---- opening --------------------------------------------------------------------------------- */

static enum weir_status check_variables(const char *variables, struct weir_error *err)
{
    struct json_document *document = NULL;
    enum weir_status status = WEIR_OK;
    if (variables == NULL)
        return WEIR_OK;
    TRY(json_open(&document, variables, strlen(variables), "--chat-template-kwargs", err));
    if (json_root(document)->kind != JSON_OBJECT)
        TRY(err_set(err, WEIR_ERR_ARGUMENT, "--chat-template-kwargs: expected an object, found %s",
                    json_kind_name(json_root(document)->kind)));
out:
    json_close(document);
    return status;
}

/* A folder that a client's first save would fail in is found at the start. */
static enum weir_status check_slot_folder(const char *path, struct weir_error *err)
{
    struct stat info;
    if (path == NULL)
        return WEIR_OK;
    if (stat(path, &info) != 0)
        return err_set(err, WEIR_ERR_IO, "--slot-save-path: %s: %s", path, strerror(errno));
    if (!S_ISDIR(info.st_mode))
        return err_set(err, WEIR_ERR_IO, "--slot-save-path: %s: not a folder", path);
    if (access(path, R_OK | W_OK | X_OK) != 0)
        return err_set(err, WEIR_ERR_IO, "--slot-save-path: %s: cannot write there: %s", path,
                       strerror(errno));
    return WEIR_OK;
}

static void settle_scheduler(struct serve *serve, const struct weir_engine_options *engine)
{
    const struct options *options = serve->options;
    struct scheduler_options *scheduler = &serve->settings.scheduler;
    scheduler->model = serve->loaded.model;
    scheduler->tokenizer = serve->loaded.tokenizer;
    scheduler->engine = *engine;
    scheduler->slots = engine->sessions_max;
    scheduler->engine.progress = progress;
    scheduler->engine.progress_user = serve;
    scheduler->queue_max = (uint32_t)options->serve.queue_max;
    scheduler->speculator = serve->speculation.options;
    scheduler->cache_dir = options->cache_dir;
    scheduler->cache_dir_bytes_max = options->cache_dir == NULL ? 0 : options->cache_bytes;
    scheduler->log = tell;
    scheduler->log_user = serve;
}

/* Slots and memory are planned before any of it is taken, that of a model that drafts too. */
static enum weir_status plan(struct serve *serve, const struct call *call, struct weir_error *err)
{
    struct scheduler_options *scheduler = &serve->settings.scheduler;
    struct speculation *speculation = &serve->speculation;
    struct weir_engine_options engine = loaded_engine_options(call->options, 1, call->log);
    enum weir_status status;
    TRY(serve_plan_divide(&engine, call->options, err));
    TRY(speculation_choose(speculation, call, serve->loaded.model, &engine, err));
    settle_scheduler(serve, &engine);
    TRY(speculation_open_draft(speculation, call, &serve->loaded, err));
    const struct serve_draft draft = {speculation->draft.model,
                                      speculation_draft_engine(speculation, call, 0, 1)};
    TRY(serve_plan(scheduler, &draft, call->options, call->log, err));
    TRY(speculation_prepare_slots(speculation, call, &serve->loaded, scheduler->engine.context,
                                  scheduler->slots, err));
    scheduler->speculator = speculation->options;
    scheduler->draft_engine = speculation->draft.engine;
out:
    return status;
}

static void settle_http(struct http_options *http, const struct serve_options *serve)
{
    *http = (struct http_options){
        .host = serve->host,
        .port = (uint16_t)serve->port,
        .reuse_port = serve->reuse_port,
        .socket_mode = (uint32_t)serve->socket_mode,
        .access_log = serve->access_log,
        .prefix = serve->prefix == NULL ? "" : serve->prefix,
        .keys = (const char *const *)serve->key_list.items,
        .keys_count = (uint32_t)serve->key_list.count,
        .allowed_hosts = serve->allowed_hosts,
        .cors_origins = serve->cors_origins,
        .cors_methods = serve->cors_methods,
        .cors_headers = serve->cors_headers,
        .cors_credentials = serve->cors_credentials,
        .body_max = (uint64_t)serve->body_mib << 20,
        .read_timeout_s = (uint32_t)serve->timeout_s,
        .write_timeout_s = (uint32_t)serve->timeout_s,
    };
}

static void settle(struct serve *serve)
{
    const struct options *options = serve->options;
    const struct serve_options *flags = &options->serve;
    struct server_options *settings = &serve->settings;
    settle_http(&settings->http, flags);
    settings->http.connections_max =
        serve_plan_connections((uint32_t)flags->connections_max, serve->log);
    settings->chat_template = serve->chat_template;
    settings->template_source = weir_template_source(serve->chat_template);
    settings->alias = flags->alias;
    settings->request = (struct weir_request_options){
        .reasoning = (enum weir_switch)options->reasoning,
        .reasoning_preserve = options->chat.reasoning_preserve,
        .variables = options->chat.variables,
    };
    settings->reasoning_format = options_reasoning_format(options);
    settings->reasoning_budget = options->chat.reasoning_budget;
    settings->reasoning_closing = options->chat.reasoning_closing;
    settings->sampler = options->sampler;
    settings->tokens_max = options->predict;
    settings->metrics = flags->metrics || flags->metrics_public;
    settings->metrics_public = flags->metrics_public;
    settings->props = flags->props;
    settings->slots = flags->slots_shown;
    settings->page = flags->page;
    settings->no_cache_prompt = !flags->cache_prompt;
    settings->no_prefill_assistant = !flags->prefill_assistant;
    settings->slot_save_path = flags->slot_save_path;
    settings->ping_s = flags->ping_s > 0 ? (uint32_t)flags->ping_s : 0;
    settings->timeout_s = (uint32_t)flags->request_s;
    settings->log = tell;
    settings->log_user = serve;
}

static void tell_model(const struct serve *serve)
{
    struct weir_model_info info;
    weir_model_info(serve->loaded.model, &info);
    log_print(serve->log, WEIR_LOG_INFO, "model: %s %s, %s, %.2f M parameters, %.2f MiB",
              info.architecture, info.name[0] != 0 ? info.name : "without a name", info.file_type,
              (double)info.parameters / 1e6, (double)info.tensor_bytes / (1 << 20));
}

static enum weir_status serve_open(struct serve *serve, const struct call *call,
                                   struct weir_error *err)
{
    struct options *options = call->options;
    struct loaded *loaded = &serve->loaded;
    enum weir_status status;
    TRY(serve_keys_read(options, err));
    TRY(check_variables(options->chat.variables, err));
    TRY(keep_check_size(call, COMMAND_SERVE, err));
    TRY(check_slot_folder(options->serve.slot_save_path, err));
    TRY(shipped_choose(serve->shipped, options, call->log, err));
    TRY(loaded_open_model(loaded, options, call->log, err));
    tell_model(serve);
    TRY(weir_tokenizer_open(&loaded->tokenizer, loaded->model, err));
    TRY(chat_template_choose(&serve->chat_template, options->chat.template_text,
                             options->chat.template_file, loaded->model, call->log, err));
    TRY(plan(serve, call, err));
    sampling_choose(options, call->given, loaded->model);
    settle(serve);
    TRY(server_open(&serve->server, &serve->settings, err));
out:
    return status;
}

/* ---- serving --------------------------------------------------------------------------------- */

static void tell_address(struct serve *serve)
{
    const struct http_options *http = &serve->settings.http;
    const uint16_t port = server_port(serve->server);
    const bool is_six = strchr(http->host, ':') != NULL;
    char line[LOG_LINE_MAX];
    if (!http_host_is_local(http->host) && http->keys_count == 0)
        tell(serve, WEIR_LOG_WARNING,
             "warning: whoever reaches this address can use the server: --api-key-file asks for "
             "keys");
    if (port == 0)
        snprintf(line, sizeof line, "listening on %s", http->host);
    else
        snprintf(line, sizeof line, "listening on http://%s%s%s:%u%s", is_six ? "[" : "",
                 http->host, is_six ? "]" : "", port, http->prefix);
    tell(serve, WEIR_LOG_INFO, line);
}

/* The signal may come to any thread. */
static void wait_for_signal(void)
{
    const struct timespec moment = {.tv_nsec = 100000000};
    while (!interrupt_requested())
        nanosleep(&moment, NULL);
}

/* A constraint takes some 10 MB of zeros and touches a part of them. As soon as one was freed,
 * glibc would hold such blocks in the heaps of all threads, and write their zeros anew; if it is
 * told what a large block is, the system has them back at once. */
static void give_large_blocks_back(void)
{
#ifdef M_MMAP_THRESHOLD
    mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES);
#endif
}

enum weir_status command_serve(const struct call *call, struct weir_error *err)
{
    struct serve serve = {
        .options = call->options,
        .log = call->log,
        .log_mutex = PTHREAD_MUTEX_INITIALIZER,
    };
    enum weir_status status;
    give_large_blocks_back();
    TRY(serve_open(&serve, call, err));
    tell_address(&serve);
    notify_manager("READY=1");
    wait_for_signal();
    notify_manager("STOPPING=1");
    const uint32_t drain_s = (uint32_t)serve.options->serve.drain_s;
    char line[96];
    snprintf(line, sizeof line, "ending: requests have %u s to complete; a second signal ends now",
             drain_s);
    tell(&serve, WEIR_LOG_INFO, line);
    server_drain(serve.server, drain_s);
out:
    server_close(serve.server);
    weir_template_close(serve.chat_template);
    speculation_close(&serve.speculation);
    loaded_close(&serve.loaded);
    pthread_mutex_destroy(&serve.log_mutex);
    return status;
}
