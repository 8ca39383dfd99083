/* SPDX-License-Identifier: MIT
 * Waits for the events of jobs and hands what they tell to the client, until one of the two is
 * gone. Knows no form of an API. */
#include "serve/generation.h"

#include "base/clock.h"

static const uint64_t second_ns = UINT64_C(1000000000);
static const uint64_t wait_ns = UINT64_C(500000000); /* how soon a client that is gone is noticed */

/* ---- events ---------------------------------------------------------------------------------- */

/* The next event of any job, whose choice is returned; NULL if none came until then. Each has its
 * turn, however much others say. */
static struct choice *next_event(struct generation *generation, uint64_t until_ns,
                                 struct job_event *event)
{
    const uint32_t count = generation->response.choices_count;
    generation->turn = (generation->turn + 1) % count;
    return jobs_wait(generation->jobs, count, &generation->turn, until_ns, event)
               ? &generation->response.choices[generation->turn]
               : NULL;
}

/* A limit of the time that an answer may take from its first token on. */
static void check_time(const struct generation *generation, const struct choice *choice)
{
    const int32_t most = generation->request.time_max_ms;
    if (most > 0 && choice->timings.reply_ns / 1000000 >= (uint64_t)most)
        job_suffice(generation->jobs[choice->index]);
}

static void take(struct generation *generation, struct choice *choice,
                 const struct job_event *event, struct bytes *out)
{
    struct response *response = &generation->response;
    response_take(response, choice, event, out);
    if (!response->has_failed && response_check(response, &response->err) != WEIR_OK) {
        response->has_failed = true;
        response->failure = API_INTERNAL;
    }
    if (event->kind == JOB_TEXT)
        check_time(generation, choice);
}

/* ---- as a stream ----------------------------------------------------------------------------- */

static void keep_alive(struct generation *generation, struct bytes *out)
{
    const int32_t ping_s = generation->request.ping_s;
    const uint64_t now = clock_ns();
    if (out->length > 0)
        generation->spoke_ns = now;
    else if (ping_s > 0 && now - generation->spoke_ns >= (uint64_t)ping_s * second_ns) {
        bytes_add_text(out, generation->response.form->ping);
        generation->spoke_ns = now;
    }
}

static enum http_more read_stream(void *user, struct bytes *out)
{
    struct generation *generation = user;
    struct response *response = &generation->response;
    struct job_event event;
    uint64_t until_ns = clock_ns() + wait_ns;
    out->has_failed |= generation->early.has_failed; // what lacks its beginning is not told
    if (generation->early.length > 0) {
        bytes_add(out, generation->early.data, generation->early.length);
        bytes_clear(&generation->early);
        until_ns = 0;
    }
    while (!response_is_over(response)) {
        struct choice *choice = next_event(generation, until_ns, &event);
        if (choice == NULL)
            break;
        take(generation, choice, &event, out);
        if (response->has_failed)
            response_put_failure(response, out);
        if (out->length > 0)
            until_ns = 0; // what is there already goes with it
    }
    keep_alive(generation, out);
    return response_is_over(response) ? HTTP_END : HTTP_MORE;
}

static void close_stream(void *user)
{
    generation_close(user);
}

/* Waits for the first event, so that what fails before has a status of its own; but no longer than
 * a client would be left without a sign. False: it was answered. */
static bool await_start(struct generation *generation, struct http_exchange *exchange)
{
    struct response *response = &generation->response;
    const int32_t ping_s = generation->request.ping_s;
    struct job_event event;
    while (!http_is_gone(exchange)) {
        struct choice *choice = next_event(generation, clock_ns() + wait_ns, &event);
        if (choice != NULL)
            take(generation, choice, &event, &generation->early);
        if (response->has_failed)
            break;
        const uint64_t waited_ns = clock_ns() - generation->spoke_ns;
        if (choice != NULL || (ping_s > 0 && waited_ns >= (uint64_t)ping_s * second_ns))
            return true;
    }
    return false;
}

/* ---- as a whole ------------------------------------------------------------------------------ */

/* False if the client is gone before the answer is over. */
static bool await_end(struct generation *generation, struct http_exchange *exchange)
{
    struct response *response = &generation->response;
    struct job_event event;
    uint64_t looked_ns = clock_ns();
    while (!response_is_over(response)) {
        struct choice *choice = next_event(generation, clock_ns() + wait_ns, &event);
        if (choice != NULL)
            take(generation, choice, &event, NULL);
        if (clock_ns() - looked_ns < wait_ns)
            continue; // each look is a call of the system
        looked_ns = clock_ns();
        if (http_is_gone(exchange))
            return false;
    }
    return true;
}

static void reply_failed(const struct generation *generation, struct http_exchange *exchange)
{
    const struct response *response = &generation->response;
    const bool is_told = response->has_failed;
    refuse(exchange, response->form->shape,
           &(struct refusal){.error = is_told ? response->failure : API_UNAVAILABLE,
                             .text = is_told ? response->err.text : "The client has gone away"});
}

static void reply_whole(struct generation *generation, struct http_exchange *exchange)
{
    struct response *response = &generation->response;
    struct bytes body = {0};
    response->form->whole(response, &body);
    reply_json(exchange, 200, &body);
}

void generation_tell(struct generation *generation, struct http_exchange *exchange)
{
    generation->spoke_ns = clock_ns();
    if (generation->request.is_streamed && await_start(generation, exchange)) {
        const struct http_source source = {read_stream, close_stream, generation};
        http_stream(exchange, 200, "text/event-stream", &source);
        return;
    }
    const bool is_whole = !generation->request.is_streamed && await_end(generation, exchange);
    if (is_whole && !generation->response.has_failed)
        reply_whole(generation, exchange);
    else
        reply_failed(generation, exchange);
    generation_close(generation);
}
