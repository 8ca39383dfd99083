/* SPDX-License-Identifier: MIT
 * What the library underneath refuses by itself, as no HTTP: it would send a page of HTML, and of
 * some the head twice. Here its message is heard before, the refusal is said as all others are, and
 * what the library sends meets a closed socket. Knows no API. */
#include "serve/http_refuse.h"

#include <microhttpd.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log_line.h"

/* ---- whose message it is --------------------------------------------------------------------- */

/* The library tells no connection with a message, but each connection has a thread, and only in
 * that thread it takes a response; in another it complains. So each connection is tried, and those
 * of others are told by the complaint. In the state that it is in the own one takes none either. */
struct search {
    struct http_server *server;
    struct MHD_Response *response;
    struct http_connection *found;
    unsigned count;
};

static void try_connection(void *user, struct http_watched *watched)
{
    struct search *search = user;
    struct http_connection *connection = (struct http_connection *)watched;
    bool is_other = false;
    pthread_setspecific(search->server->is_other_key, &is_other);
    MHD_queue_response(connection->library, MHD_HTTP_INTERNAL_SERVER_ERROR, search->response);
    pthread_setspecific(search->server->is_other_key, NULL);
    if (is_other)
        return;
    search->found = connection;
    search->count++;
}

/* NULL: it cannot be told. */
static struct http_connection *connection_here(struct http_server *server)
{
    struct search search = {.server = server};
    search.response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    if (search.response == NULL)
        return NULL;
    http_watch_each(&server->watch, try_connection, &search);
    MHD_destroy_response(search.response);
    return search.count == 1 ? search.found : NULL;
}

/* ---- what is said ---------------------------------------------------------------------------- */

static const char *message_of(unsigned status)
{
    static const struct {
        unsigned status;
        const char *message;
    } messages[] = {
        {413, "The request body is too large"},
        {414, "The request line is too long"},
        {431, "The request headers are too large"},
        {500, "The request cannot be read"},
        {505, "Only HTTP/1.1 and HTTP/1.0 are spoken here"},
    };
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        if (messages[i].status == status)
            return messages[i].message;
    }
    return "The request is no HTTP";
}

/* Reads on, until the client has closed or the watch has cut the connection: what lies unread when
 * a socket is closed would take our words with it. */
static void drain(int fd)
{
    char piece[4096];
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    while (poll(&poller, 1, -1) > 0 && recv(fd, piece, sizeof piece, 0) > 0)
        continue;
}

/* Of a first line that is none there is no exchange which could tell. */
static void tell(const struct http_connection *connection, unsigned status)
{
    const struct http_options *options = &connection->server->options;
    char name[HTTP_CLIENT_NAME_MAX];
    http_client_name(connection->library, name);
    log_line(options->log, options->log_user, options->access_log ? WEIR_LOG_INFO : WEIR_LOG_TRACE,
             "%s: no request of HTTP: %u", name, status);
}

static void refuse(struct http_connection *connection, unsigned status)
{
    struct http_server *server = connection->server;
    struct http_exchange *exchange = connection->exchange;
    const char *path = exchange != NULL ? exchange->path : "";
    const struct http_error error = {
        status, status == 500 ? "server_error" : "invalid_request_error", message_of(status)};
    struct bytes body = {0};
    char words[768];
    if (exchange != NULL && exchange->is_queued)
        return; /* an answer is on its way */
    server->options.put_error(server->options.user, path, &error, &body);
    const char *text = body.has_failed ? "" : body.data;
    const int length = (int)strlen(text);
    snprintf(words, sizeof words,
             "HTTP/1.1 %u %s\r\nConnection: close\r\n%s"
             "Content-Type: application/json; charset=utf-8\r\nContent-Length: %d\r\n\r\n%s",
             status, MHD_get_reason_phrase_for(status),
             strcmp(server->access.origins, "*") == 0 ? "Access-Control-Allow-Origin: *\r\n" : "",
             length, text);
    bytes_release(&body);
    if (!http_watch_say(&server->watch, &connection->watched, words))
        return;
    if (exchange == NULL) {
        tell(connection, status);
    } else {
        exchange->status = status;
        exchange->sent = (uint64_t)length;
    }
    drain(connection->watched.fd);
}

/* The message says the status first. A library that words it otherwise sends its page again, which
 * the tests notice. */
static bool is_refusal(const char *format)
{
    static const char words[] = "HTTP response code is %u";
    const char *at = strstr(format, words), *first = strchr(format, '%');
    return at != NULL && first == at + sizeof words - 3;
}

bool http_refuse_hears(struct http_server *server, const char *format, va_list arguments)
{
    bool *is_other = pthread_getspecific(server->is_other_key);
    if (is_other != NULL) {
        *is_other = true;
        return true;
    }
    if (!is_refusal(format))
        return false;
    va_list copy;
    va_copy(copy, arguments);
    const unsigned status = va_arg(copy, unsigned);
    va_end(copy);
    struct http_connection *connection = connection_here(server);
    if (connection != NULL)
        refuse(connection, status);
    return connection != NULL;
}
