/* SPDX-License-Identifier: MIT
 * Requests, in the thread of their connection: what of them is refused, and what a handler may ask.
 * Knows no API. */
#include "serve/http_exchange.h"

#include <microhttpd.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

enum {
    HEADER_BYTES_MAX = 64 << 10,
    HEADERS_MAX = 100,
    BODIES_MAX = 8,         /* of the longest, that all requests together may have in memory */
    SMALL_BYTES = 64 << 10, /* of a body for which there always is room */
    SMALL_HELD = 64 * SMALL_BYTES, /* what is made of such a body is no more */
    DROPPED_MAX = 8 << 20, /* of a refused body, so that a client reads the answer behind it */
};

/* ---- the request ----------------------------------------------------------------------------- */

struct http_exchange *http_exchange_open(struct http_connection *connection,
                                         struct MHD_Connection *library, const char *target)
{
    struct http_server *server = connection->server;
    struct http_exchange *exchange = mem_alloc(1, sizeof *exchange, NULL);
    if (exchange == NULL)
        return NULL;
    if (http_target_read(&exchange->target, target, NULL) != WEIR_OK) {
        http_target_release(&exchange->target);
        mem_free(exchange);
        return NULL;
    }
    exchange->server = server;
    exchange->connection = connection;
    exchange->library = library;
    exchange->began_ns = clock_ns();
    exchange->method = "?";
    exchange->target_begin = (uintptr_t)target;
    exchange->target_end = (uintptr_t)target + strlen(target);
    exchange->path = http_access_path(&server->access, exchange->target.path);
    exchange->is_outside = exchange->path == NULL;
    if (exchange->is_outside)
        exchange->path = "";
    http_watch_set(&server->watch, &connection->watched,
                   connection->peer.room == HTTP_ROOM ? server->options.read_timeout_s
                                                      : REFUSED_SECONDS,
                   HTTP_REFUSED_LATE, exchange->path);
    return exchange;
}

const char *http_method(const struct http_exchange *exchange)
{
    return exchange->method;
}

const char *http_path(const struct http_exchange *exchange)
{
    return exchange->path;
}

const char *http_query(struct http_exchange *exchange, const char *name)
{
    return MHD_lookup_connection_value(exchange->library, MHD_GET_ARGUMENT_KIND, name);
}

const char *http_header(struct http_exchange *exchange, const char *name)
{
    return MHD_lookup_connection_value(exchange->library, MHD_HEADER_KIND, name);
}

bool http_is_coded(const struct http_exchange *exchange)
{
    return exchange->is_coded;
}

struct span http_body(const struct http_exchange *exchange)
{
    static const char mark[] = "\xef\xbb\xbf";
    const size_t length = sizeof mark - 1;
    const struct bytes *body = &exchange->body;
    if (body->length >= length && memcmp(body->data, mark, length) == 0)
        return (struct span){(const uint8_t *)body->data + length, body->length - length};
    return (struct span){(const uint8_t *)body->data, body->length};
}

void http_free_body(struct http_exchange *exchange)
{
    bytes_release(&exchange->body);
}

enum weir_status http_hold(struct http_exchange *exchange, uint64_t bytes, struct weir_error *err)
{
    struct http_server *server = exchange->server;
    exchange->held += bytes;
    const uint64_t all = atomic_fetch_add(&server->held, bytes) + bytes;
    if (bytes <= SMALL_HELD || all <= BODIES_MAX * server->options.body_max)
        return WEIR_OK;
    return err_set(err, WEIR_ERR_CANCELLED, "Too many large requests at once");
}

bool http_is_gone(struct http_exchange *exchange)
{
    struct pollfd poller = {.fd = exchange->connection->watched.fd, .events = POLLRDHUP};
    if (atomic_load(&exchange->server->is_closing))
        return true;
    /* the end of the stream shows also behind a request that waits to be read */
    if (poll(&poller, 1, 0) <= 0 || (poller.revents & (POLLRDHUP | POLLHUP | POLLERR)) == 0)
        return false;
    atomic_store(&exchange->is_gone, true);
    return true;
}

/* ---- what a request may be ------------------------------------------------------------------- */

struct header_sums {
    uint64_t bytes;
    uint32_t count;
    uint32_t lengths, codings, hosts; /* Content-Length, Transfer-Encoding, Host */
    bool is_malformed;
    bool is_coded; /* by a Content-Encoding, which may come twice */
};

/* What RFC 9110 5.6.2 calls a token. */
static bool is_token(const char *text, size_t length)
{
    static const char others[] = "!#$%&'*+-.^_`|~0123456789"
                                 "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    return length > 0 && strlen(text) == length && strspn(text, others) == length;
}

static enum MHD_Result sum_header(void *user, enum MHD_ValueKind kind, const char *name,
                                  size_t name_length, const char *value, size_t value_length)
{
    struct header_sums *sums = user;
    (void)kind; /* of the value the library tells what is before a zero */
    static const char between[] = ": \r\n";
    sums->bytes += name_length + value_length + sizeof between - 1;
    sums->count++;
    sums->lengths += strcasecmp(name, "Content-Length") == 0;
    sums->codings += strcasecmp(name, "Transfer-Encoding") == 0;
    sums->hosts += strcasecmp(name, "Host") == 0;
    sums->is_malformed |= !is_token(name, name_length);
    sums->is_coded |= strcasecmp(name, "Content-Encoding") == 0 && value_length > 0 &&
                      strcasecmp(value, "identity") != 0;
    return MHD_YES;
}

/* Where proxy and server read different ends of a request, one can be hidden in another. */
static enum http_refusal check_headers(struct http_exchange *exchange)
{
    struct header_sums sums = {0};
    MHD_get_connection_values_n(exchange->library, MHD_HEADER_KIND, sum_header, &sums);
    exchange->is_coded = sums.is_coded;
    const char *coding = http_header(exchange, "Transfer-Encoding");
    const bool is_chunked = coding != NULL && strcasecmp(coding, "chunked") == 0;
    if (sums.bytes > HEADER_BYTES_MAX || sums.count > HEADERS_MAX)
        return HTTP_REFUSED_HEADERS;
    if (sums.is_malformed || sums.lengths + sums.codings > 1 || sums.hosts > 1 ||
        (coding != NULL && !is_chunked))
        return HTTP_REFUSED_FRAMING;
    return HTTP_ACCEPTED;
}

static bool is_too_long(struct http_exchange *exchange)
{
    const char *length = http_header(exchange, "Content-Length");
    return length != NULL && strtoull(length, NULL, 10) > exchange->server->options.body_max;
}

/* A preflight is of any path: browsers send no key with it. */
bool http_exchange_is_public(const struct http_exchange *exchange)
{
    const struct http_options *options = &exchange->server->options;
    return strcmp(exchange->method, "OPTIONS") == 0 ||
           (options->is_public != NULL && exchange->path[0] != 0 &&
            options->is_public(options->user, exchange->method, exchange->path));
}

static bool is_allowed(struct http_exchange *exchange)
{
    return http_exchange_is_public(exchange) ||
           http_access_allows(&exchange->server->access, http_header(exchange, "Authorization"),
                              http_header(exchange, "X-Api-Key"));
}

/* The library ends method, target and version by zeros where blanks stood, and may be sent zeros.
 * Whether between the end of a text and what it has found behind, there is more than that one. */
static bool is_hidden(uintptr_t end, uintptr_t next)
{
    const uintptr_t gap = next - end; /* of texts that lie elsewhere it would be anything */
    return gap > 1 && gap <= CONNECTION_BYTES;
}

static enum http_refusal check_line(const struct http_exchange *exchange, const char *method,
                                    const char *version)
{
    if (exchange->target.is_long)
        return HTTP_REFUSED_LINE;
    if (exchange->target.is_bad ||
        is_hidden((uintptr_t)method + strlen(method), exchange->target_begin) ||
        is_hidden(exchange->target_end, (uintptr_t)version))
        return HTTP_REFUSED_PATH;
    return HTTP_ACCEPTED;
}

static enum http_refusal check_room(const struct http_exchange *exchange)
{
    switch (exchange->connection->peer.room) {
    case HTTP_ROOM: break;
    case HTTP_ROOM_FULL: return HTTP_REFUSED_CROWD;
    case HTTP_ROOM_OF_ADDRESS: return HTTP_REFUSED_ADDRESS;
    }
    return HTTP_ACCEPTED;
}

static enum http_refusal check_access(struct http_exchange *exchange)
{
    const struct http_access *access = &exchange->server->access;
    const char *authority = exchange->target.authority;
    const char *host = authority != NULL ? authority : http_header(exchange, "Host");
    if (http_access_is_strange(access, host))
        return HTTP_REFUSED_HOST;
    if (http_access_is_foreign(access, http_header(exchange, "Origin"), host))
        return HTTP_REFUSED_ORIGIN;
    if (!is_allowed(exchange))
        return HTTP_REFUSED_KEY;
    return exchange->is_outside ? HTTP_REFUSED_PREFIX : HTTP_ACCEPTED;
}

bool http_exchange_begin(struct http_exchange *exchange, const char *method, const char *version)
{
    exchange->has_headers = true;
    exchange->is_head = strcmp(method, "HEAD") == 0;
    exchange->method = exchange->is_head ? "GET" : method;
    const enum http_refusal of_headers = check_headers(exchange);
    enum http_refusal refusal = check_line(exchange, method, version);
    if (refusal == HTTP_ACCEPTED)
        refusal = of_headers;
    if (refusal == HTTP_ACCEPTED)
        refusal = check_room(exchange);
    if (refusal == HTTP_ACCEPTED)
        refusal = check_access(exchange);
    if (refusal == HTTP_ACCEPTED && is_too_long(exchange))
        refusal = HTTP_REFUSED_BODY;
    exchange->refusal = refusal;
    if (refusal != HTTP_ACCEPTED) /* a client may wait for that before it sends the body */
        http_watch_because(&exchange->server->watch, &exchange->connection->watched, refusal);
    const bool is_asked = http_header(exchange, "Expect") != NULL;
    return refusal == HTTP_ACCEPTED || (of_headers != HTTP_REFUSED_FRAMING && !is_asked);
}

/* A client that is still sending might not read an answer, so what is refused is read on. */
static void drop(struct http_exchange *exchange, size_t length)
{
    struct http_server *server = exchange->server;
    const bool was_short = exchange->dropped <= DROPPED_MAX;
    exchange->dropped += length;
    if (was_short && exchange->dropped > DROPPED_MAX)
        http_watch_set(&server->watch, &exchange->connection->watched, 0, exchange->refusal,
                       exchange->path);
}

void http_exchange_drop_body(struct http_exchange *exchange)
{
    bytes_release(&exchange->body);
    atomic_fetch_sub(&exchange->server->held, exchange->held);
    exchange->held = 0;
}

/* Whether there is room for so much more in the request, and in those of all together. */
static enum http_refusal hold(struct http_exchange *exchange, size_t length)
{
    struct http_server *server = exchange->server;
    const uint64_t body_max = server->options.body_max;
    if (length > body_max - exchange->body.length)
        return HTTP_REFUSED_BODY;
    exchange->held += length;
    const uint64_t all = atomic_fetch_add(&server->held, length) + length;
    const bool is_small = exchange->body.length + length <= SMALL_BYTES;
    return !is_small && all > BODIES_MAX * body_max ? HTTP_REFUSED_BODIES : HTTP_ACCEPTED;
}

void http_exchange_take(struct http_exchange *exchange, const char *data, size_t length)
{
    struct bytes *body = &exchange->body;
    if (exchange->refusal == HTTP_ACCEPTED)
        exchange->refusal = hold(exchange, length);
    if (exchange->refusal == HTTP_ACCEPTED)
        bytes_add(body, data, length);
    if (exchange->refusal == HTTP_ACCEPTED && body->has_failed)
        exchange->refusal = HTTP_REFUSED_MEMORY;
    if (exchange->refusal == HTTP_ACCEPTED)
        return;
    http_exchange_drop_body(exchange);
    drop(exchange, length);
}
