/* SPDX-License-Identifier: MIT
 * A scheduler under test and the session that it is compared with. */
#include "serve/crew.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "serve/likeliest.h"
#include "serve/prompt_cuts.h"

#define MODEL test_data("../../models/" WEIR_SHIPPED)

static const uint64_t patience_ns = 120000000000; /* with sanitizers on a busy machine */

/* ---- open and close -------------------------------------------------------------------------- */

static void take_line(void *user, enum weir_log_level level, const char *line)
{
    struct crew *crew = user;
    (void)level;
    const size_t length = strlen(line);
    if (crew->log_length + length + 2 > sizeof crew->log)
        return;
    memcpy(crew->log + crew->log_length, line, length);
    crew->log_length += length;
    crew->log[crew->log_length++] = '\n';
}

void crew_init(struct crew *crew)
{
    *crew = (struct crew){.options = {.slots = 2, .queue_max = 64, .cache_bytes_max = 64 << 20}};
    weir_engine_options_init(&crew->options.engine);
    crew->options.engine.backend = "cpu";
    crew->options.engine.context = CREW_CONTEXT;
    crew->options.engine.threads = 2;
    crew->options.engine.bind = WEIR_OFF;
    crew->options.log = take_line;
    crew->options.log_user = crew;
    weir_speculator_options_init(&crew->options.speculator);
}

static void open_lone(struct crew *crew)
{
    struct weir_engine_options options = crew->options.engine;
    struct weir_error err = {0};
    options.threads = 1;
    options.step_rows_max = 512;
    CHECK_OK(weir_engine_open(&crew->lone_engine, crew->model, &options, &err), &err);
    CHECK_OK(weir_session_open(&crew->lone, crew->lone_engine, &err), &err);
}

void crew_open(struct crew *crew)
{
    struct weir_error err = {0};
    CHECK_OK(weir_model_open(&crew->model, MODEL, NULL, &err), &err);
    CHECK_OK(weir_tokenizer_open(&crew->tokenizer, crew->model, &err), &err);
    crew->message_begin = weir_tokenizer_find(crew->tokenizer, "<|im_start|>", 12);
    CHECK(crew->message_begin >= 0);
    crew->options.model = crew->model;
    crew->options.tokenizer = crew->tokenizer;
    CHECK_OK(scheduler_open(&crew->scheduler, &crew->options, &err), &err);
    CHECK_INT(weir_engine_vocab(scheduler_engine(crew->scheduler)), CREW_VOCAB);
    open_lone(crew);
}

void crew_close(struct crew *crew)
{
    scheduler_close(crew->scheduler);
    weir_session_close(crew->lone);
    weir_engine_close(crew->lone_engine);
    weir_tokenizer_close(crew->tokenizer);
    weir_model_close(crew->model);
}

int32_t *crew_tokens(const struct crew *crew, const char *text, uint32_t *count)
{
    const size_t length = strlen(text);
    struct weir_error err = {0};
    size_t ids_count;
    int32_t *ids = malloc((length + 2) * sizeof *ids);
    CHECK(ids != NULL);
    CHECK_OK(weir_tokenizer_encode(crew->tokenizer, text, length, WEIR_ENCODE_PARSE_SPECIAL, ids,
                                   length + 2, &ids_count, &err),
             &err);
    *count = (uint32_t)ids_count;
    return ids;
}

/* ---- what a job tells ------------------------------------------------------------------------ */

void crew_job(struct job_options *options, const int32_t *ids, uint32_t count, uint32_t tokens_max)
{
    *options = (struct job_options){
        .ids = ids, .count = count, .tokens_max = tokens_max, .slot = -1, .reasoning_budget = -1};
    weir_sampler_options_init(&options->sampler);
    options->sampler.temperature = 0;
    options->sampler.seed = 1;
}

void heard_release(struct heard *heard)
{
    bytes_release(&heard->text);
}

bool heard_take(struct heard *heard, struct job *job, uint64_t until_ns)
{
    struct job_event event;
    if (heard->is_over || !job_wait(job, until_ns, &event))
        return false;
    bytes_add(&heard->text, event.text, event.length);
    heard->timings = event.timings;
    heard->slot = event.slot;
    switch (event.kind) {
    case JOB_STARTED: heard->started++; break;
    case JOB_PROMPT:
        CHECK_INT(event.done, heard->prompt_count);
        CHECK(heard->prompt_count < CREW_CONTEXT);
        heard->prompt[heard->prompt_count++] = event.logprob;
        break;
    case JOB_PROGRESS: heard->progress++; break;
    case JOB_TEXT:
        CHECK(heard->count < CREW_SAID_MAX);
        heard->logprobs[heard->count] = event.logprob;
        heard->ids[heard->count++] = event.id;
        break;
    case JOB_END:
        heard->is_over = true;
        heard->end = event.end;
        snprintf(heard->stop, sizeof heard->stop, "%s", event.stop == NULL ? "" : event.stop);
        snprintf(heard->error, sizeof heard->error, "%s", event.error == NULL ? "" : event.error);
        break;
    }
    return true;
}

struct job *crew_start(struct crew *crew, const struct job_options *options)
{
    struct job *job;
    uint32_t retry_s;
    struct weir_error err = {0};
    CHECK_OK(job_open(&job, crew->scheduler, options, &retry_s, &err), &err);
    return job;
}

struct heard crew_finish(struct job *job)
{
    struct heard heard = {.count = 0};
    while (heard_take(&heard, job, clock_ns() + patience_ns))
        ;
    CHECK(heard.is_over);
    job_close(job);
    return heard;
}

struct heard crew_run(struct crew *crew, const struct job_options *options)
{
    return crew_finish(crew_start(crew, options));
}

/* ---- what it should -------------------------------------------------------------------------- */

/* One after the other, each of which tells how likely the next one was. */
static void read_scored(struct crew *crew, const struct job_options *options, struct heard *heard)
{
    struct weir_error err = {0};
    weir_session_reset(crew->lone);
    heard->prompt[heard->prompt_count++] = NAN;
    for (uint32_t i = 0; i < options->count; i++) {
        CHECK_OK(weir_session_eval(crew->lone, options->ids + i, 1, WEIR_LOGITS_LAST, &err), &err);
        if (i + 1 == options->count)
            break;
        likeliest_find(weir_session_logits(crew->lone, 0), CREW_VOCAB, options->ids[i + 1],
                       &heard->prompt[heard->prompt_count++], NULL, 0);
    }
}

static void read_prompt(struct crew *crew, const struct job_options *options)
{
    struct weir_error err = {0};
    weir_session_reset(crew->lone);
    for (uint32_t from = 0, cut; from < options->count; from = cut) {
        cut = cuts_next(options->ids, options->count, from, crew->message_begin);
        CHECK_OK(
            weir_session_eval(crew->lone, options->ids + from, cut - from, WEIR_LOGITS_LAST, &err),
            &err);
    }
}

/* The text of all tokens, decoded anew, up to where the first of the texts to stop at ends. */
static bool read_text(const struct crew *crew, const struct job_options *options,
                      struct heard *heard)
{
    struct weir_detokenizer detokenizer = {.pending_length = 0};
    const char *first = NULL, *first_end = NULL;
    char out[1024];
    bytes_clear(&heard->text);
    for (uint32_t i = 0; i < heard->count; i++) {
        size_t length;
        const char *piece = weir_tokenizer_piece(crew->tokenizer, heard->ids[i], false, &length);
        CHECK(3 * length + WEIR_DETOKENIZER_SLACK <= sizeof out);
        if (!weir_tokenizer_ends_generation(crew->tokenizer, heard->ids[i]))
            bytes_add(&heard->text, out, weir_detokenizer_push(&detokenizer, piece, length, out));
    }
    for (uint32_t i = 0; i < options->stops_count && heard->text.data != NULL; i++) {
        const char *at = strstr(heard->text.data, options->stops[i]);
        const char *end = at == NULL ? NULL : at + strlen(options->stops[i]);
        if (at == NULL || (first_end != NULL && end >= first_end))
            continue;
        first = at;
        first_end = end;
        snprintf(heard->stop, sizeof heard->stop, "%s", options->stops[i]);
    }
    if (first != NULL) {
        heard->text.length = (uint64_t)(first - heard->text.data);
        return true;
    }
    bytes_add(&heard->text, out, weir_detokenizer_finish(&detokenizer, out));
    return false;
}

static bool is_end(const struct crew *crew, const struct job_options *options, struct heard *heard)
{
    const bool is_stopped = read_text(crew, options, heard);
    if (weir_tokenizer_ends_generation(crew->tokenizer, heard->ids[heard->count - 1]))
        heard->end = JOB_STOP_TOKEN;
    else if (is_stopped)
        heard->end = JOB_STOP_TEXT;
    else if (heard->count == options->tokens_max)
        heard->end = JOB_LENGTH;
    else if (weir_session_position(crew->lone) == weir_engine_context(crew->lone_engine))
        heard->end = JOB_FULL;
    else
        return false;
    return true;
}

struct heard crew_expect(struct crew *crew, const struct job_options *options)
{
    struct heard heard = {.is_over = true, .end = JOB_LENGTH};
    struct weir_sampler *sampler;
    struct weir_error err = {0};
    if (options->wants_prompt)
        read_scored(crew, options, &heard);
    if (options->tokens_max == 0)
        return heard;
    if (!options->wants_prompt)
        read_prompt(crew, options);
    CHECK_OK(weir_sampler_open(&sampler, &options->sampler, CREW_VOCAB, CREW_CONTEXT,
                               crew->tokenizer, &err),
             &err);
    for (uint32_t i = 0; i < options->count; i++)
        weir_sampler_accept(sampler, options->ids[i]);
    for (;;) {
        const int32_t id = weir_sampler_pick(sampler, weir_session_logits(crew->lone, 0));
        weir_sampler_accept(sampler, id);
        CHECK(heard.count < CREW_SAID_MAX);
        heard.ids[heard.count++] = id;
        if (is_end(crew, options, &heard))
            break;
        CHECK_OK(weir_session_eval(crew->lone, &id, 1, WEIR_LOGITS_LAST, &err), &err);
    }
    weir_sampler_close(sampler);
    return heard;
}

static void check_prompt(const struct heard *heard, const struct heard *expected, bool is_part,
                         const char *what)
{
    const size_t bytes = heard->prompt_count * sizeof *heard->prompt;
    if (heard->prompt_count > expected->prompt_count ||
        (heard->prompt_count < expected->prompt_count && !is_part) ||
        (bytes > 0 && memcmp(heard->prompt, expected->prompt, bytes) != 0))
        test_fail(__FILE__, __LINE__, "%s: %u tokens of the prompt, or how likely they are", what,
                  heard->prompt_count);
}

/* One that was cancelled has said a part of it. */
void crew_check(const struct heard *heard, const struct heard *expected, const char *what)
{
    const bool is_part = heard->end == JOB_CANCELLED || heard->end == JOB_TIMEOUT;
    check_prompt(heard, expected, is_part, what);
    for (uint32_t i = 0; i < heard->count && i < expected->count; i++) {
        if (heard->ids[i] != expected->ids[i])
            test_fail(__FILE__, __LINE__, "%s: token %u is %d, expected %d", what, i,
                      (int)heard->ids[i], (int)expected->ids[i]);
    }
    if (is_part && heard->count <= expected->count)
        return;
    if (heard->count != expected->count || heard->end != expected->end)
        test_fail(__FILE__, __LINE__, "%s: %u tokens, end %d (%s), expected %u and %d", what,
                  heard->count, (int)heard->end, heard->error, expected->count, (int)expected->end);
    if (heard->text.length != expected->text.length ||
        (heard->text.length > 0 &&
         memcmp(heard->text.data, expected->text.data, heard->text.length) != 0))
        test_fail(__FILE__, __LINE__, "%s: says \"%.*s\", expected \"%.*s\"", what,
                  (int)heard->text.length, heard->text.data, (int)expected->text.length,
                  expected->text.data);
    if (strcmp(heard->stop, expected->stop) != 0)
        test_fail(__FILE__, __LINE__, "%s: stops at \"%s\", expected \"%s\"", what, heard->stop,
                  expected->stop);
}
