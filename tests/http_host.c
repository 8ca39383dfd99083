/* SPDX-License-Identifier: MIT
 * The handler of tests. */
#include "http_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "serve/api_error.h"

static void put_error(void *user, const char *path, const struct http_error *error,
                      struct bytes *out)
{
    (void)user;
    (void)path;
    put_http_error(out, SHAPE_OPENAI, error);
}

static const uint64_t patience_ns = 20000000000;

static void pause_ms(uint32_t ms)
{
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

void http_host_wait(const atomic_uint *number, unsigned value)
{
    const uint64_t until = clock_ns() + patience_ns;
    while (atomic_load(number) < value) {
        CHECK(clock_ns() < until);
        pause_ms(1);
    }
}

/* ---- streams --------------------------------------------------------------------------------- */

enum stream_kind { STREAM_LINES, STREAM_BULK, STREAM_BREAK, STREAM_WAIT };

struct stream {
    struct http_host *host;
    enum stream_kind kind;
    uint32_t at, count;
};

static enum http_more read_line(struct stream *stream, struct bytes *out)
{
    char line[32];
    if (stream->at > 0)
        pause_ms(20);
    const int length = snprintf(line, sizeof line, "piece %u\n", stream->at++);
    bytes_add(out, line, (size_t)length);
    return stream->at < stream->count ? HTTP_MORE : HTTP_END;
}

static enum http_more read_bulk(struct stream *stream, struct bytes *out)
{
    static const char piece[65536];
    if (stream->at++ == stream->count)
        return HTTP_END;
    bytes_add(out, piece, sizeof piece);
    return HTTP_MORE;
}

static enum http_more read_stream(void *user, struct bytes *out)
{
    struct stream *stream = user;
    switch (stream->kind) {
    case STREAM_LINES: return read_line(stream, out);
    case STREAM_BULK: return read_bulk(stream, out);
    case STREAM_BREAK: read_line(stream, out); return HTTP_ABORT;
    case STREAM_WAIT: pause_ms(10); return HTTP_MORE;
    }
    return HTTP_ABORT;
}

static void close_stream(void *user)
{
    struct stream *stream = user;
    atomic_fetch_add(&stream->host->closed, 1);
    free(stream);
}

static void answer_stream(struct http_host *host, struct http_exchange *exchange,
                          enum stream_kind kind, uint32_t count)
{
    struct stream *stream = malloc(sizeof *stream);
    if (stream == NULL)
        return;
    *stream = (struct stream){.host = host, .kind = kind, .count = count};
    atomic_fetch_add(&host->opened, 1);
    const struct http_source source = {.read = read_stream, .close = close_stream, .user = stream};
    http_stream(exchange, 200, "text/event-stream", &source);
}

/* ---- whole answers --------------------------------------------------------------------------- */

static void answer_echo(struct http_exchange *exchange)
{
    char head[512];
    struct bytes text = {0};
    const char *query = http_query(exchange, "q"), *header = http_header(exchange, "X-Test");
    const struct span body = http_body(exchange);
    const int length =
        snprintf(head, sizeof head, "%s\n%s\n%s\n%s\n", http_method(exchange), http_path(exchange),
                 query == NULL ? "-" : query, header == NULL ? "-" : header);
    bytes_add(&text, head, (size_t)length);
    bytes_add(&text, body.data, body.length);
    http_add_header(exchange, "X-Answer", "yes");
    http_reply(exchange, 200, "text/plain", text.data, text.length);
    bytes_release(&text);
}

static void answer_large(struct http_exchange *exchange, uint32_t count)
{
    char *text = malloc((size_t)count + 1);
    if (text == NULL)
        return;
    memset(text, 'x', count);
    http_reply(exchange, 200, "text/plain", text, count);
    free(text);
}

static void answer_busy(struct http_host *host, struct http_exchange *exchange)
{
    for (uint32_t i = 0; i < 1000; i++) {
        if (http_is_gone(exchange)) {
            atomic_fetch_add(&host->noticed, 1);
            break;
        }
        pause_ms(10);
    }
    http_reply(exchange, 200, "text/plain", "late", 4);
}

static void handle(void *user, struct http_exchange *exchange)
{
    struct http_host *host = user;
    const char *path = http_path(exchange), *number = http_query(exchange, "n");
    const uint32_t count = number == NULL ? 0 : (uint32_t)strtoul(number, NULL, 10);
    atomic_fetch_add(&host->handled, 1);
    if (strcmp(path, "/echo") == 0 || strcmp(path, "/open") == 0)
        answer_echo(exchange);
    else if (strcmp(path, "/large") == 0)
        answer_large(exchange, count);
    else if (strcmp(path, "/stream") == 0)
        answer_stream(host, exchange, STREAM_LINES, count);
    else if (strcmp(path, "/bulk") == 0)
        answer_stream(host, exchange, STREAM_BULK, count);
    else if (strcmp(path, "/break") == 0)
        answer_stream(host, exchange, STREAM_BREAK, 2);
    else if (strcmp(path, "/wait") == 0)
        answer_stream(host, exchange, STREAM_WAIT, 0);
    else if (strcmp(path, "/busy") == 0)
        answer_busy(host, exchange);
    else if (strcmp(path, "/silent") != 0)
        http_reply(exchange, 404, "text/plain", "none", 4);
}

static bool is_public(void *user, const char *method, const char *path)
{
    (void)user;
    return strcmp(method, "GET") == 0 && strcmp(path, "/open") == 0;
}

static void count_line(void *user, enum weir_log_level level, const char *line)
{
    struct http_host *host = user;
    if (level == WEIR_LOG_WARNING)
        atomic_fetch_add(&host->warned, 1);
    if (strstr(line, " ms") == NULL)
        return;
    if (level <= WEIR_LOG_INFO)
        atomic_fetch_add(&host->told, 1);
    atomic_fetch_add(&host->log_lines, 1);
}

/* ---- the whole ------------------------------------------------------------------------------- */

void http_host_init(struct http_host *host)
{
    *host = (struct http_host){
        .options =
            {
                .host = "127.0.0.1",
                .socket_mode = 0600,
                .prefix = "",
                .allowed_hosts = "*",
                .cors_origins = "*",
                .body_max = 1 << 20,
                .connections_max = 64,
                .read_timeout_s = 10,
                .write_timeout_s = 10,
                .handler = handle,
                .put_error = put_error,
                .is_public = is_public,
                .user = host,
                .log = count_line,
                .log_user = host,
            },
    };
}

void http_host_open(struct http_host *host)
{
    struct weir_error err = {0};
    CHECK_OK(http_open(&host->server, &host->options, &err), &err);
    host->port = http_port(host->server);
}

void http_host_close(struct http_host *host)
{
    http_close(host->server);
    host->server = NULL;
    CHECK_INT(atomic_load(&host->closed), atomic_load(&host->opened));
}
