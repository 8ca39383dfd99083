/* SPDX-License-Identifier: MIT
 * HTTP: connections, limits, keys, CORS, streams. The only file that knows the library underneath;
 * knows no API. */
#ifndef SERVE_HTTP_H
#define SERVE_HTTP_H

#include "base/bytes.h"
#include "base/text.h"

struct http_server;
struct http_exchange; /* a request and its response, in a thread of its connection */

/* Answers an exchange: by http_reply or http_stream, exactly once. May block. */
typedef void http_handler(void *user, struct http_exchange *exchange);

/* What HTTP itself refuses. The type is one of OpenAI's. */
struct http_error {
    unsigned status;
    const char *type, *message;
};

struct http_options {
    const char *host; /* "127.0.0.1"; what ends with ".sock": a Unix socket */
    uint16_t port;    /* 0: one that is free */
    bool reuse_port;
    uint32_t socket_mode;    /* permissions of a Unix socket, as 0660 */
    const char *prefix;      /* before all paths; "": none */
    const char *const *keys; /* any of them opens the paths that are not public; borrowed */
    uint32_t keys_count;     /* 0: all are open */
    /* Names with commas by which requests may call the server, or "*": all. NULL: all, but on
     * loopback without keys none besides its host and those of origins. */
    const char *allowed_hosts;
    const char *cors_origins; /* "*", or a list with commas */
    const char *cors_methods, *cors_headers;
    bool cors_credentials;
    uint64_t body_max; /* bytes of a request; beyond: 413. Of all at once: eight times */
    /* Beyond: 503, or closed. Of one address of another machine a quarter at most. */
    uint32_t connections_max;
    uint32_t read_timeout_s;  /* for a request to arrive whole */
    uint32_t write_timeout_s; /* for a client to take what is sent */
    http_handler *handler;
    bool (*is_public)(void *user, const char *method, const char *path); /* no key needed */
    /* The body of an error, JSON, as clients of the path know it; of a path that could not be read
     * it is "". Called in any thread. */
    void (*put_error)(void *user, const char *path, const struct http_error *error,
                      struct bytes *out);
    void *user;
    bool access_log; /* a line for each request whose path is not public */
    weir_log_fn *log;
    void *log_user;
};

/* Whether nobody on another machine reaches this host: an address of loopback, or a path. */
bool http_host_is_local(const char *host);

enum weir_status http_open(struct http_server **out, const struct http_options *options,
                           struct weir_error *err);
uint16_t http_port(const struct http_server *server);
/* Connections beyond connections_max, so far. */
uint64_t http_refused(struct http_server *server);
/* No new connections; those in flight go on. */
void http_quiesce(struct http_server *server);
/* Waits for all handlers; streams that do not end within a second are cut. */
void http_close(struct http_server *server);

/* ---- the request ----------------------------------------------------------------------------- */

const char *http_method(const struct http_exchange *exchange); /* HEAD is told as GET */
const char *http_path(const struct http_exchange *exchange); /* decoded, without prefix and query */
const char *http_query(struct http_exchange *exchange, const char *name);  /* NULL: not there */
const char *http_header(struct http_exchange *exchange, const char *name); /* NULL: not there */
/* Whether the body is in a coding: the bytes of http_body are then those of the coding. */
bool http_is_coded(const struct http_exchange *exchange);
/* Without a mark of UTF-8 before it, which is no part of JSON, but of some programs' files. */
struct span http_body(const struct http_exchange *exchange);
/* It is not needed any more. Until the exchange ends it counts among those that are held: for what
 * was made of it. */
void http_free_body(struct http_exchange *exchange);
/* So many bytes more are held for it, until the exchange ends. WEIR_ERR_CANCELLED: together with
 * those of others they are too many. */
enum weir_status http_hold(struct http_exchange *exchange, uint64_t bytes, struct weir_error *err);
/* Whether the client has closed the connection; costs a system call. */
bool http_is_gone(struct http_exchange *exchange);

/* ---- the response ---------------------------------------------------------------------------- */

/* Before the response; both are copied. */
void http_add_header(struct http_exchange *exchange, const char *name, const char *value);
/* A whole response; the body is copied. */
void http_reply(struct http_exchange *exchange, unsigned status, const char *type, const char *body,
                size_t length);

enum http_more { HTTP_MORE, HTTP_END, HTTP_ABORT };

/* What makes the body of a stream, piece by piece, in the connection's thread. */
struct http_source {
    /* Blocks until there is something to send, for at most half a second, and appends it, or
     * nothing, to `out`. END: this was all. ABORT: the connection is closed. */
    enum http_more (*read)(void *user, struct bytes *out);
    void (*close)(void *user); /* always called, once; also when the client is gone */
    void *user;
};

/* A response in chunks: its head is sent at once, and each piece as it comes. */
void http_stream(struct http_exchange *exchange, unsigned status, const char *type,
                 const struct http_source *source);

#endif
