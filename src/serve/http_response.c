/* SPDX-License-Identifier: MIT
 * Responses, in the thread of their connection: whole ones, streams, and what HTTP itself says, of
 * which put_error of the options writes the body. Knows no API. */
#include "serve/http_exchange.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log_line.h"
#include "base/mem.h"
#include "serve/http_refuse.h"

enum { PIECE_BYTES = 32 << 10 }; /* that a client must take within the write time-out */

static const char json_type[] = "application/json; charset=utf-8";

/* ---- the response ---------------------------------------------------------------------------- */

void http_add_header(struct http_exchange *exchange, const char *name, const char *value)
{
    const struct http_field field = {
        .name = mem_copy_text(name, strlen(name), NULL),
        .value = mem_copy_text(value, strlen(value), NULL),
    };
    const bool has_all = field.name != NULL && field.value != NULL &&
                         mem_grow(&exchange->fields, &exchange->fields_capacity,
                                  exchange->fields_count + 1, sizeof field, NULL) == WEIR_OK;
    if (has_all) {
        exchange->fields[exchange->fields_count++] = field;
        return;
    }
    mem_free(field.name);
    mem_free(field.value);
}

static void add_cors(struct http_exchange *exchange, struct MHD_Response *response)
{
    const struct http_access *access = &exchange->server->access;
    const char *asking = http_header(exchange, "Origin");
    const char *origin = http_access_origin(access, asking);
    if (origin != NULL)
        MHD_add_response_header(response, "Access-Control-Allow-Origin", origin);
    if (origin != NULL && origin == asking && access->credentials)
        MHD_add_response_header(response, "Access-Control-Allow-Credentials", "true");
    if (strcmp(access->origins, "*") != 0 || (origin != NULL && origin == asking))
        MHD_add_response_header(response, "Vary", "Origin");
}

/* The library has it from here on, or nobody. */
static void queue(struct http_exchange *exchange, unsigned status, struct MHD_Response *response)
{
    struct http_server *server = exchange->server;
    exchange->status = status;
    exchange->was_gone = atomic_load(&exchange->is_gone);
    if (response == NULL)
        return;
    add_cors(exchange, response);
    for (uint64_t i = 0; i < exchange->fields_count; i++)
        MHD_add_response_header(response, exchange->fields[i].name, exchange->fields[i].value);
    if (atomic_load(&server->is_quiet))
        MHD_add_response_header(response, "Connection", "close");
    exchange->is_queued = MHD_queue_response(exchange->library, status, response) == MHD_YES;
    MHD_destroy_response(response);
    http_watch_set(&server->watch, &exchange->connection->watched, server->options.write_timeout_s,
                   0, NULL);
}

/* Takes the next piece from the source. The library polls a source that has nothing, so this waits
 * until there is something, or nobody to get it. */
static void fill(struct http_exchange *exchange)
{
    struct http_source *source = &exchange->source;
    bytes_clear(&exchange->pending);
    exchange->pending_at = 0;
    while (source->read != NULL && exchange->more == HTTP_MORE && exchange->pending.length == 0) {
        exchange->more =
            http_is_gone(exchange) ? HTTP_ABORT : source->read(source->user, &exchange->pending);
        if (exchange->pending.has_failed)
            exchange->more = HTTP_ABORT;
    }
}

/* Called by the library when all before is with the system: so what this returns is what the client
 * must take within the write time-out. */
static ssize_t read_piece(void *user, uint64_t at, char *out, size_t room)
{
    struct http_exchange *exchange = user;
    struct http_server *server = exchange->server;
    (void)at;
    http_watch_clear(&server->watch, &exchange->connection->watched);
    if (exchange->pending_at == exchange->pending.length)
        fill(exchange);
    const uint64_t left = exchange->pending.length - exchange->pending_at;
    if (left == 0 && exchange->more == HTTP_ABORT)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    http_watch_set(&server->watch, &exchange->connection->watched, server->options.write_timeout_s,
                   0, NULL);
    if (left == 0)
        return MHD_CONTENT_READER_END_OF_STREAM;
    const size_t length = left < room ? left : room;
    memcpy(out, exchange->pending.data + exchange->pending_at, length);
    exchange->pending_at += length;
    exchange->sent += length;
    return (ssize_t)length;
}

void http_reply(struct http_exchange *exchange, unsigned status, const char *type, const char *body,
                size_t length)
{
    if (exchange->status != 0)
        return;
    exchange->more = HTTP_END;
    bytes_add(&exchange->pending, body, length);
    http_add_header(exchange, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    struct MHD_Response *response =
        exchange->pending.has_failed
            ? NULL
            : MHD_create_response_from_callback(length, PIECE_BYTES, read_piece, exchange, NULL);
    queue(exchange, status, response);
}

void http_stream(struct http_exchange *exchange, unsigned status, const char *type,
                 const struct http_source *source)
{
    if (exchange->status != 0) {
        source->close(source->user);
        return;
    }
    exchange->source = *source;
    exchange->more = HTTP_MORE;
    http_add_header(exchange, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    http_add_header(exchange, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
    http_add_header(exchange, "X-Accel-Buffering", "no"); /* else nginx collects pieces */
    if (exchange->is_head) /* the library ends what it has not begun: a last chunk */
        http_add_header(exchange, MHD_HTTP_HEADER_CONNECTION, "close");
    queue(exchange, status,
          MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE_BYTES, read_piece, exchange,
                                            NULL));
}

/* ---- answers --------------------------------------------------------------------------------- */

static void refuse(struct http_exchange *exchange, enum http_refusal refusal)
{
    const struct http_options *options = &exchange->server->options;
    const struct http_error *error = http_refuse_error(refusal);
    struct bytes body = {0};
    options->put_error(options->user, exchange->path, error, &body);
    if (refusal == HTTP_REFUSED_KEY)
        http_add_header(exchange, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
    if (error->status == MHD_HTTP_SERVICE_UNAVAILABLE)
        http_add_header(exchange, MHD_HTTP_HEADER_RETRY_AFTER, "1");
    if (exchange->connection->peer.room != HTTP_ROOM)
        http_add_header(exchange, MHD_HTTP_HEADER_CONNECTION, "close");
    http_reply(exchange, error->status, json_type, body.has_failed ? "" : body.data,
               body.has_failed ? 0 : body.length);
    bytes_release(&body);
}

/* A browser asks this before a page may ask the rest, and sends no key. */
static void answer_preflight(struct http_exchange *exchange)
{
    /* "*" is never Authorization, and with credentials it is no more than itself */
    static const char any_header[] = "*, Authorization, Content-Type, X-Api-Key, X-Cache-Salt";
    const struct http_access *access = &exchange->server->access;
    http_add_header(exchange, "Access-Control-Allow-Methods", access->methods);
    http_add_header(exchange, "Access-Control-Allow-Headers",
                    strcmp(access->headers, "*") == 0 ? any_header : access->headers);
    http_reply(exchange, 200, "text/html", "", 0);
}

bool http_exchange_answer(struct http_exchange *exchange)
{
    struct http_server *server = exchange->server;
    if (!http_watch_clear(&server->watch, &exchange->connection->watched))
        return false; /* it came too late, and was told so */
    if (exchange->refusal != HTTP_ACCEPTED)
        refuse(exchange, exchange->refusal);
    else if (strcmp(exchange->method, "OPTIONS") == 0)
        answer_preflight(exchange);
    else
        server->options.handler(server->options.user, exchange);
    if (exchange->status == 0)
        refuse(exchange, HTTP_REFUSED_SILENCE);
    return exchange->is_queued;
}

void http_client_name(struct MHD_Connection *library, char out[HTTP_CLIENT_NAME_MAX])
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(library, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *address = info == NULL ? NULL : info->client_addr;
    const char *name = NULL;
    if (address != NULL && address->sa_family == AF_INET)
        name = inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, out,
                         HTTP_CLIENT_NAME_MAX);
    else if (address != NULL && address->sa_family == AF_INET6)
        name = inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)address)->sin6_addr, out,
                         HTTP_CLIENT_NAME_MAX);
    if (name == NULL)
        snprintf(out, HTTP_CLIENT_NAME_MAX, "socket");
}

/* What anybody may ask at any time, as probes do, would fill a log with nothing. */
static enum weir_log_level log_level(const struct http_exchange *exchange)
{
    const struct http_options *options = &exchange->server->options;
    const bool is_fine = exchange->status > 0 && exchange->status < 400;
    if (!options->access_log)
        return WEIR_LOG_TRACE;
    return is_fine && http_exchange_is_public(exchange) ? WEIR_LOG_TRACE : WEIR_LOG_INFO;
}

/* As nginx tells a client that has closed before it was answered; what it was told went nowhere. */
enum { STATUS_GONE = 499 };

/* Whether its client has closed before the whole answer was made and taken: who makes it looks now
 * and then, or a write fails before. */
static bool is_abandoned(struct http_exchange *exchange)
{
    const bool is_whole =
        exchange->more == HTTP_END && exchange->pending_at == exchange->pending.length;
    if (!exchange->is_queued || exchange->is_head || is_whole)
        return false;
    http_is_gone(exchange);
    return atomic_load(&exchange->is_gone);
}

static void log_request(const struct http_exchange *exchange)
{
    const struct http_options *options = &exchange->server->options;
    char name[HTTP_CLIENT_NAME_MAX], status[24] = "no answer";
    const bool is_known = exchange->has_headers;
    if (exchange->status != 0)
        snprintf(status, sizeof status, "%u", exchange->was_gone ? STATUS_GONE : exchange->status);
    http_client_name(exchange->library, name);
    log_line(options->log, options->log_user, log_level(exchange),
             "%s: %s%s%.256s: %s, %llu bytes in %.1f ms", name,
             is_known ? exchange->method : "half a request", is_known ? " " : "",
             is_known ? exchange->path : "", status, (unsigned long long)exchange->sent,
             (double)(clock_ns() - exchange->began_ns) / 1e6);
}

void http_exchange_close(struct http_exchange *exchange)
{
    struct http_watched *watched = &exchange->connection->watched;
    if (http_watch_clear(&exchange->server->watch, watched))
        exchange->was_gone |= is_abandoned(exchange);
    else if (watched->reason != 0)
        exchange->status = http_refuse_error(watched->reason)->status;
    if (exchange->source.close != NULL)
        exchange->source.close(exchange->source.user);
    log_request(exchange);
    for (uint64_t i = 0; i < exchange->fields_count; i++) {
        mem_free(exchange->fields[i].name);
        mem_free(exchange->fields[i].value);
    }
    mem_free(exchange->fields);
    http_exchange_drop_body(exchange);
    bytes_release(&exchange->pending);
    http_target_release(&exchange->target);
    mem_free(exchange);
}
