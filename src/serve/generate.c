/* SPDX-License-Identifier: MIT
 * Makes jobs of a request's prompts. Knows neither how requests are written nor how answers are
 * told. */
#include "serve/generation.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/condition.h"
#include "base/digest.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/think_marks.h"
#include "serve/request_lists.h"

/* ---- opening and closing --------------------------------------------------------------------- */

enum weir_status generation_open(struct generation **out, struct server *server,
                                 const struct form *form, struct weir_error *err)
{
    struct generation *generation = mem_alloc(1, sizeof *generation, err);
    *out = generation;
    if (generation == NULL)
        return WEIR_ERR_MEMORY;
    generation->server = server;
    generation->response = (struct response){
        .form = form,
        .request = &generation->request,
        .tokenizer = server->defaults.tokenizer,
        .model = server->name,
        .seed = rng_system_seed(),
        .created = (int64_t)time(NULL),
    };
    id_print(generation->id, generation->response.seed, 0);
    return WEIR_OK;
}

static void unlist(struct generation *generation)
{
    struct server *server = generation->server;
    if (!generation->is_listed)
        return;
    pthread_mutex_lock(&server->mutex);
    struct generation **at = &server->running;
    while (*at != generation)
        at = &(*at)->next;
    *at = generation->next;
    pthread_mutex_unlock(&server->mutex);
}

void generation_close(struct generation *generation)
{
    if (generation == NULL)
        return;
    unlist(generation);
    for (uint32_t i = 0; generation->jobs != NULL && i < generation->response.choices_count; i++)
        job_close(generation->jobs[i]);
    mem_free(generation->jobs);
    if (generation->has_ready)
        pthread_cond_destroy(&generation->ready);
    if (generation->constraint != NULL)
        constraints_let_go(generation->server->constraints, generation->constraint);
    response_release(&generation->response);
    weir_prompt_close(generation->prompt);
    prompts_release(&generation->prompts);
    request_release(&generation->request);
    bytes_release(&generation->early);
    mem_free(generation);
}

struct request *generation_request(struct generation *generation)
{
    return &generation->request;
}

struct prompts *generation_prompts(struct generation *generation)
{
    return &generation->prompts;
}

void generation_set_chat(struct generation *generation, const struct chat_options *options,
                         struct weir_prompt *prompt)
{
    generation->is_chat = true;
    generation->chat = *options;
    generation->prompt = prompt;
}

static void list(struct generation *generation)
{
    struct server *server = generation->server;
    pthread_mutex_lock(&server->mutex);
    generation->next = server->running;
    server->running = generation;
    generation->is_listed = true;
    pthread_mutex_unlock(&server->mutex);
}

bool generation_end_reasoning(struct server *server, struct json_text id)
{
    static const char prefix[] = "chatcmpl-";
    bool is_found = false;
    if (id.length != sizeof prefix - 1 + ID_LENGTH ||
        memcmp(id.bytes, prefix, sizeof prefix - 1) != 0)
        return false;
    pthread_mutex_lock(&server->mutex);
    for (struct generation *at = server->running; at != NULL; at = at->next) {
        if (memcmp(id.bytes + sizeof prefix - 1, at->id, ID_LENGTH) != 0)
            continue;
        for (uint32_t i = 0; i < at->response.choices_count; i++)
            job_end_reasoning(at->jobs[i]);
        is_found = true;
    }
    pthread_mutex_unlock(&server->mutex);
    return is_found;
}

/* ---- the language of the answers ------------------------------------------------------------- */

static enum weir_status hold_calls(struct generation *generation, struct weir_error *err)
{
    const struct request *request = &generation->request;
    const bool is_auto = request->calls == CALLS_AUTO;
    const bool has_schema = is_auto && request->language == LANGUAGE_SCHEMA;
    const bool is_free = is_auto && !has_schema && request->allowed == NULL;
    struct json_text tools = {generation->chat.tools, generation->chat.tools_length};
    struct bytes allowed = {0};
    enum weir_status status;
    if (request->allowed != NULL) {
        TRY(request_allowed_tools(request, tools.bytes, tools.length, &allowed, err));
        tools = (struct json_text){allowed.data, (size_t)allowed.length};
    }
    const struct constraint_source source = {
        .kind = CONSTRAINT_CALLS,
        .text = tools,
        .calls = {.required = request->calls == CALLS_REQUIRED,
                  .single = !request->parallel_calls,
                  .only = request->only,
                  .content = has_schema ? request->grammar.bytes : NULL,
                  .content_length = has_schema ? request->grammar.length : 0},
    };
    status = constraints_hold(generation->server->constraints, &source, &generation->constraint,
                              is_free ? NULL : err);
    // Tools of which no grammar can be made may still be called, if they need not be.
    status = is_free && status != WEIR_ERR_MEMORY ? WEIR_OK : status;
out:
    bytes_release(&allowed);
    return status;
}

static enum weir_status hold_constraint(struct generation *generation, struct weir_error *err)
{
    const struct request *request = &generation->request;
    if (generation->chat.tools != NULL && request->calls != CALLS_NONE)
        return hold_calls(generation, err);
    struct constraint_source source = {.text = request->grammar};
    switch (request->language) {
    case LANGUAGE_ANY: return WEIR_OK;
    case LANGUAGE_GBNF: source.kind = CONSTRAINT_GBNF; break;
    case LANGUAGE_SCHEMA: source.kind = CONSTRAINT_SCHEMA; break;
    case LANGUAGE_PATTERN: source.kind = CONSTRAINT_PATTERN; break;
    }
    return constraints_hold(generation->server->constraints, &source, &generation->constraint, err);
}

/* ---- jobs ------------------------------------------------------------------------------------ */

/* Texts of another salt are not looked at, neither for their tokens nor for the time they save. Who
 * stands before the server can keep its clients apart by a header: what they say themselves parts
 * them further, and leads nobody to the texts of another. */
static uint64_t make_salt(struct json_text outer, struct json_text own)
{
    struct digester digester;
    uint64_t salt;
    digester_init(&digester);
    digester_put(&digester, outer.bytes, outer.length);
    if (outer.length > 0 && own.length > 0)
        digester_put(&digester, "", 1); // no header has such a byte
    digester_put(&digester, own.bytes, own.length);
    const struct digest digest = digester_digest(&digester);
    memcpy(&salt, digest.bytes, sizeof salt);
    return salt == 0 ? 1 : salt;
}

void generation_set_salt(struct generation *generation, struct http_exchange *exchange)
{
    const char *header = http_header(exchange, "x-cache-salt");
    const struct json_text outer = {header, header != NULL ? strlen(header) : 0};
    const struct json_text own = generation->request.salt;
    if (outer.length + own.length > 0)
        generation->salt = make_salt(outer, own);
}

uint64_t generation_salt(const struct generation *generation)
{
    return generation->salt;
}

static struct job_options job_options(struct generation *generation)
{
    const struct request *request = &generation->request;
    const struct server *server = generation->server;
    const bool in_reasoning = generation->is_chat && generation->chat.in_reasoning;
    return (struct job_options){
        .tokens_max = request->tokens_max < 0 ? UINT32_MAX : (uint32_t)request->tokens_max,
        .sampler = request->sampler,
        .constraint = generation->constraint,
        .constraint_behind = in_reasoning ? MARK_THINK_END : NULL,
        .reasoning_budget = in_reasoning ? request->reasoning_budget : -1,
        .reasoning_mark = in_reasoning ? MARK_THINK_END : NULL,
        .reasoning_closing = in_reasoning ? server->closing : NULL,
        .stops = request->stops,
        .stops_count = request->stops_count,
        .ends = request->ends,
        .ends_count = request->ends_count,
        .logprobs = request->logprobs,
        .wants_logprobs = request->wants_logprobs,
        .wants_prompt = response_tells_prompts(&generation->response),
        .wants_chances = request->wants_logprobs && request->wants_chances,
        .salt = generation->salt,
        .slot = request->slot,
        .no_cache = !request->cache_prompt,
        .wants_progress = request->wants_progress || generation->response.form->begins_late,
        .deadline_ns = generation->deadline_ns,
        .ready = &generation->ready,
    };
}

/* Several of one prompt differ by their seed. The last number of all is none: it would be drawn. */
static uint64_t seed_of(uint64_t first, uint32_t choice)
{
    const uint64_t seed = first + choice;
    return seed < first || seed == WEIR_SEED_RANDOM ? seed + 1 : seed;
}

static enum weir_status open_jobs(struct generation *generation, uint32_t *retry_s,
                                  struct weir_error *err)
{
    struct response *response = &generation->response;
    const uint32_t each = generation->request.choices;
    struct job_options options = job_options(generation);
    struct chat_options chat = generation->chat;
    enum weir_status status = WEIR_OK;
    if (generation->request.calls == CALLS_NONE)
        chat.tools = NULL;
    generation->jobs = mem_alloc(response->choices_count, sizeof *generation->jobs, err);
    if (generation->jobs == NULL)
        return WEIR_ERR_MEMORY;
    generation->has_ready = condition_open(&generation->ready);
    if (!generation->has_ready)
        return err_set(err, WEIR_ERR_MEMORY, "no condition to wait for");
    for (uint32_t i = 0; i < response->choices_count; i++) {
        struct choice *choice = &response->choices[i];
        const struct prompt_tokens *prompt = &generation->prompts.items[i / each];
        options.ids = prompt->ids;
        options.count = (uint32_t)prompt->count;
        options.sampler.seed = seed_of(generation->request.sampler.seed, i % each);
        choice->prompt = prompt->text.data;
        choice->prompt_length = prompt->text.length;
        if (generation->is_chat)
            TRY(response_parse(response, choice, &chat, err));
        TRY(job_open(&generation->jobs[i], generation->server->scheduler, &options, retry_s, err));
    }
out:
    return status;
}

/* ---- running --------------------------------------------------------------------------------- */

/* True if a prompt does not fit, and the client was told so. */
static bool refuse_context(const struct generation *generation, struct http_exchange *exchange)
{
    const uint32_t context = weir_engine_context(scheduler_engine(generation->server->scheduler));
    for (uint32_t i = 0; i < generation->prompts.count; i++) {
        const uint64_t count = generation->prompts.items[i].count;
        if (count < context)
            continue;
        char text[160];
        snprintf(text, sizeof text,
                 "request (%llu tokens) exceeds the available context size (%u tokens), try "
                 "increasing it",
                 (unsigned long long)count, context);
        refuse(exchange, generation->response.form->shape,
               &(struct refusal){.error = API_CONTEXT,
                                 .text = text,
                                 .prompt_tokens = (uint32_t)count,
                                 .context = context});
        return true;
    }
    return false;
}

/* What is told of prompts is bounded: each token has some hundred bytes, and each of the likeliest
 * ones beside it. */
static enum weir_status check_scores(const struct generation *generation, struct weir_error *err)
{
    const struct request *request = &generation->request;
    uint64_t tokens = 0;
    if (!response_tells_prompts(&generation->response))
        return WEIR_OK;
    if (request->wants_chances)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "post_sampling_probs cannot be told with echo: a prompt is not drawn");
    for (uint32_t i = 0; i < generation->prompts.count; i++)
        tokens += generation->prompts.items[i].count;
    const uint64_t scores = tokens * request->choices * (1ull + request->logprobs);
    if (scores <= REQUEST_SCORES_MAX)
        return WEIR_OK;
    return err_set(err, WEIR_ERR_ARGUMENT,
                   "echo with logprobs: %llu logprobs of prompts, at most %d",
                   (unsigned long long)scores, REQUEST_SCORES_MAX);
}

static enum weir_status start(struct generation *generation, uint32_t *retry_s,
                              struct weir_error *err)
{
    const struct server *server = generation->server;
    const uint64_t choices =
        (uint64_t)generation->prompts.count * (uint64_t)generation->request.choices;
    enum weir_status status;
    if (choices > REQUEST_CHOICES_MAX)
        return err_set(err, WEIR_ERR_ARGUMENT, "%llu answers, at most %d",
                       (unsigned long long)choices, REQUEST_CHOICES_MAX);
    const uint64_t room =
        (uint64_t)server->options.scheduler.slots + server->options.scheduler.queue_max;
    if (choices > room)
        return err_set(err, WEIR_ERR_ARGUMENT, "%llu answers, but only %llu run or wait at once",
                       (unsigned long long)choices, (unsigned long long)room);
    TRY(check_scores(generation, err));
    if (server->options.timeout_s > 0)
        generation->deadline_ns = clock_ns() + server->options.timeout_s * UINT64_C(1000000000);
    TRY(hold_constraint(generation, err));
    TRY(response_open(&generation->response, (uint32_t)choices, err));
    TRY(open_jobs(generation, retry_s, err));
    if (generation->request.reasoning_control)
        list(generation);
out:
    return status;
}

void generation_run(struct generation *generation, struct http_exchange *exchange)
{
    struct weir_error err = {0};
    uint32_t retry_s = 0;
    if (refuse_context(generation, exchange)) {
        generation_close(generation);
        return;
    }
    const enum weir_status status = start(generation, &retry_s, &err);
    if (status != WEIR_OK) {
        refuse(exchange, generation->response.form->shape,
               &(struct refusal){.error = retry_s > 0 ? API_BUSY : api_error_from(status),
                                 .text = err.text,
                                 .retry_s = retry_s});
        generation_close(generation);
        return;
    }
    generation_tell(generation, exchange);
}
