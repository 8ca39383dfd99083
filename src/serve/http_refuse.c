/* SPDX-License-Identifier: MIT
 * In which words HTTP itself refuses. What the library underneath refuses, as no HTTP, would be a
 * page of HTML, and of some the head twice: here its message is heard before, the refusal is said
 * as all others are, and what the library sends meets a closed socket. Knows no API. */
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

static const struct http_error errors[HTTP_REFUSALS] = {
    [HTTP_REFUSED_GARBAGE] = {400, "invalid_request_error", "The request is no HTTP"},
    [HTTP_REFUSED_PATH] = {400, "invalid_request_error", "Invalid path"},
    [HTTP_REFUSED_FRAMING] = {400, "invalid_request_error", "Malformed headers"},
    [HTTP_REFUSED_KEY] = {401, "authentication_error", "Invalid API Key"},
    [HTTP_REFUSED_HOST] = {403, "permission_error",
                           "The name in Host is none of this server: --allowed-hosts allows it"},
    [HTTP_REFUSED_ORIGIN] = {403, "permission_error", "Pages of this origin may not ask"},
    [HTTP_REFUSED_PREFIX] = {404, "not_found_error", "File Not Found"},
    [HTTP_REFUSED_LATE] = {408, "invalid_request_error", "The request took too long to arrive"},
    [HTTP_REFUSED_BODY] = {413, "invalid_request_error", "The request body is too large"},
    [HTTP_REFUSED_LINE] = {414, "invalid_request_error", "The request line is too long"},
    [HTTP_REFUSED_HEADERS] = {431, "invalid_request_error", "The request headers are too large"},
    [HTTP_REFUSED_MEMORY] = {500, "server_error", "Out of memory"},
    [HTTP_REFUSED_SILENCE] = {500, "server_error", "The request was not answered"},
    [HTTP_REFUSED_FAULT] = {500, "server_error", "The request cannot be read"},
    [HTTP_REFUSED_BODIES] = {503, "unavailable_error", "Too many large requests at once"},
    [HTTP_REFUSED_CROWD] = {503, "unavailable_error", "Too many connections"},
    [HTTP_REFUSED_ADDRESS] = {503, "unavailable_error", "Too many connections of one address"},
    [HTTP_REFUSED_VERSION] = {505, "invalid_request_error",
                              "Only HTTP/1.1 and HTTP/1.0 are spoken here"},
};

const struct http_error *http_refuse_error(enum http_refusal refusal)
{
    return &errors[refusal];
}

/* What the library means by a status. */
static enum http_refusal refusal_of(unsigned status)
{
    static const enum http_refusal refusals[] = {HTTP_REFUSED_BODY, HTTP_REFUSED_LINE,
                                                 HTTP_REFUSED_HEADERS, HTTP_REFUSED_FAULT,
                                                 HTTP_REFUSED_VERSION};
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        if (errors[refusals[i]].status == status)
            return refusals[i];
    }
    return HTTP_REFUSED_GARBAGE;
}

/* A whole response, where the library takes none. Of an origin nothing is known yet, so pages get
 * to read it only where all may. Returns the bytes of its body. */
static uint64_t put_response(const struct http_server *server, const struct http_error *error,
                             const char *path, struct bytes *out)
{
    struct bytes body = {0};
    char head[256];
    server->options.put_error(server->options.user, path, error, &body);
    const uint64_t length = body.length;
    snprintf(head, sizeof head,
             "HTTP/1.1 %u %s\r\nConnection: close\r\n%s%s"
             "Content-Type: application/json; charset=utf-8\r\nContent-Length: %llu\r\n\r\n",
             error->status, MHD_get_reason_phrase_for(error->status),
             error->status == MHD_HTTP_SERVICE_UNAVAILABLE ? "Retry-After: 1\r\n" : "",
             strcmp(server->access.origins, "*") == 0 ? "Access-Control-Allow-Origin: *\r\n" : "",
             (unsigned long long)length);
    bytes_add_text(out, head);
    bytes_add(out, body.data, body.length);
    out->has_failed |= body.has_failed;
    bytes_release(&body);
    return length;
}

void http_refuse_words(void *user, unsigned reason, const char *path, struct bytes *out)
{
    put_response(user, &errors[reason], path, out);
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
    struct bytes words = {0};
    if (exchange != NULL && exchange->is_queued)
        return; /* an answer is on its way */
    const struct http_error *error = &errors[refusal_of(status)];
    const uint64_t length = put_response(server, error, path, &words);
    const bool is_said =
        !words.has_failed && http_watch_say(&server->watch, &connection->watched, words.data);
    bytes_release(&words);
    if (!is_said)
        return;
    if (exchange == NULL) {
        tell(connection, status);
    } else {
        exchange->status = error->status;
        exchange->sent = length;
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
