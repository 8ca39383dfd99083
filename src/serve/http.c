/* SPDX-License-Identifier: MIT
 * A server on libmicrohttpd: a thread for each connection, which may block. The library reads and
 * writes HTTP; limits of time, keys and answers are ours. Knows no API. */
#include "serve/http_exchange.h"

#include <microhttpd.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log_line.h"
#include "base/mem.h"
#include "serve/http_refuse.h"

enum {
    /* Clients keep connections for 4 or 5 s (undici, httpx): theirs shall end first, or a request
     * meets a connection that is just being closed. */
    IDLE_SECONDS = 15,
    /* For what is being sent when the server ends. */
    LAST_SECONDS = 1,
    /* Connections beyond the limits that are told so. */
    REFUSED_MAX = 64,
    /* Connections beyond ours that the library may count while they are being closed. */
    CLOSING_MAX = 64,
};

/* ---- what the library tells ------------------------------------------------------------------ */

static void tell_refused(struct http_server *server)
{
    const struct http_options *options = &server->options;
    const uint64_t refused = http_crowd_untold(&server->crowd, clock_ns());
    if (refused > 0)
        log_line(options->log, options->log_user, WEIR_LOG_WARNING,
                 "warning: connections refused: %llu, beyond %u of all or %u of an address of "
                 "another machine (--max-connections)",
                 (unsigned long long)refused, server->crowd.most, server->crowd.of_address_most);
}

/* Asked in the thread that accepts; whom nothing can be told is closed at once. */
static enum MHD_Result on_accept(void *user, const struct sockaddr *address, socklen_t length)
{
    struct http_server *server = user;
    (void)length;
    if (http_crowd_may_enter(&server->crowd, address))
        return MHD_YES;
    tell_refused(server);
    return MHD_NO;
}

static const struct sockaddr *address_of(struct MHD_Connection *library)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(library, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    return info == NULL ? NULL : info->client_addr;
}

static void begin_connection(struct http_server *server, struct MHD_Connection *library,
                             void **context)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(library, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct http_connection *connection = mem_alloc(1, sizeof *connection, NULL);
    *context = connection;
    if (connection == NULL)
        return; /* and no request will be taken */
    connection->server = server;
    connection->library = library;
    http_watch_add(&server->watch, &connection->watched, info->connect_fd);
    const bool is_served =
        http_crowd_enter(&server->crowd, &connection->peer, address_of(library)) == HTTP_ROOM;
    http_watch_idle(&server->watch, &connection->watched,
                    is_served ? server->options.read_timeout_s : REFUSED_SECONDS);
    if (!is_served)
        tell_refused(server);
}

static void on_connection(void *user, struct MHD_Connection *library, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http_server *server = user;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        begin_connection(server, library, context);
        return;
    }
    struct http_connection *connection = *context;
    if (connection != NULL) {
        http_crowd_leave(&server->crowd, &connection->peer);
        http_watch_remove(&server->watch, &connection->watched);
    }
    mem_free(connection);
    *context = NULL;
}

static struct http_connection *connection_of(struct MHD_Connection *library)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(library, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info == NULL ? NULL : info->socket_context;
}

/* What it returns is the request's context. */
static void *on_request_line(void *user, const char *uri, struct MHD_Connection *library)
{
    struct http_connection *connection = connection_of(library);
    (void)user;
    if (connection == NULL)
        return NULL;
    connection->exchange = http_exchange_open(connection, library, uri);
    return connection->exchange;
}

/* Called when the headers are there, for each part of the body, and behind it. */
static enum MHD_Result on_request(void *user, struct MHD_Connection *library, const char *path,
                                  const char *method, const char *version, const char *data,
                                  size_t *length, void **context)
{
    struct http_exchange *exchange = *context;
    (void)user;
    (void)library;
    (void)path; /* of the first line, which was read before */
    if (exchange == NULL)
        return MHD_NO;
    if (!exchange->has_headers && http_exchange_begin(exchange, method, version))
        return MHD_YES;
    if (*length > 0) {
        http_exchange_take(exchange, data, *length);
        *length = 0;
        return MHD_YES;
    }
    return http_exchange_answer(exchange) ? MHD_YES : MHD_NO;
}

static void on_end(void *user, struct MHD_Connection *library, void **context,
                   enum MHD_RequestTerminationCode code)
{
    struct http_server *server = user;
    struct http_exchange *exchange = *context;
    (void)library;
    (void)code;
    if (exchange == NULL)
        return;
    *context = NULL;
    struct http_connection *connection = exchange->connection;
    connection->exchange = NULL;
    http_exchange_close(exchange);
    http_watch_idle(&server->watch, &connection->watched, IDLE_SECONDS);
}

__attribute__((format(printf, 2, 0))) static void on_message(void *user, const char *format,
                                                             va_list arguments)
{
    struct http_server *server = user;
    char line[256];
    if (http_refuse_hears(server, format, arguments))
        return;
    vsnprintf(line, sizeof line, format, arguments);
    line[strcspn(line, "\n")] = 0;
    log_line(server->options.log, server->options.log_user, WEIR_LOG_TRACE, "libmicrohttpd: %s",
             line);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static enum weir_status start(struct http_server *server, struct weir_error *err)
{
    server->daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL |
            MHD_USE_ITC | MHD_USE_ERROR_LOG,
        0, on_accept, server, on_request, server, MHD_OPTION_EXTERNAL_LOGGER, on_message, server,
        MHD_OPTION_LISTEN_SOCKET, server->listening.fd, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)server->options.connections_max + REFUSED_MAX + CLOSING_MAX,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES, MHD_OPTION_STRICT_FOR_CLIENT,
        1, MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_NOTIFY_COMPLETED, on_end,
        server, MHD_OPTION_URI_LOG_CALLBACK, on_request_line, server, MHD_OPTION_END);
    if (server->daemon == NULL)
        return err_set(err, WEIR_ERR_IO, "the HTTP server does not start");
    return WEIR_OK;
}

enum weir_status http_open(struct http_server **out, const struct http_options *options,
                           struct weir_error *err)
{
    enum weir_status status = WEIR_ERR_MEMORY;
    struct http_server *server = mem_alloc(1, sizeof *server, err);
    *out = NULL;
    if (server == NULL)
        return status;
    server->options = *options;
    server->listening.fd = -1;
    http_crowd_open(&server->crowd, options->connections_max, REFUSED_MAX);
    TRY(http_access_init(&server->access, options, err));
    TRY(http_socket_open(&server->listening, options->host, options->port, options->reuse_port,
                         options->socket_mode, err));
    http_access_watch(&server->access, server->listening.is_loopback);
    server->has_is_other_key = pthread_key_create(&server->is_other_key, NULL) == 0;
    if (!server->has_is_other_key)
        TRY(err_set(err, WEIR_ERR_MEMORY, "no room for what threads keep"));
    TRY(http_watch_open(&server->watch, http_refuse_words, server, err));
    TRY(start(server, err));
    *out = server;
    return WEIR_OK;
out:
    http_close(server);
    return status;
}

uint64_t http_refused(struct http_server *server)
{
    return http_crowd_refused(&server->crowd);
}

uint16_t http_port(const struct http_server *server)
{
    return server->listening.port;
}

void http_quiesce(struct http_server *server)
{
    if (atomic_exchange(&server->is_quiet, true))
        return;
    MHD_quiesce_daemon(server->daemon);
    http_watch_quiet(&server->watch);
    http_socket_close(&server->listening);
}

void http_close(struct http_server *server)
{
    if (server == NULL)
        return;
    if (server->daemon != NULL) {
        http_quiesce(server);
        http_watch_wait(&server->watch, LAST_SECONDS);
        atomic_store(&server->is_closing, true);
        MHD_stop_daemon(server->daemon);
    }
    http_watch_close(&server->watch);
    http_crowd_close(&server->crowd);
    if (server->has_is_other_key)
        pthread_key_delete(server->is_other_key);
    http_socket_close(&server->listening);
    http_access_release(&server->access);
    mem_free(server);
}
