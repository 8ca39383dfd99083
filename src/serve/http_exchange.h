/* SPDX-License-Identifier: MIT
 * What a server, its connections and their requests are within: for http.c, which the library
 * underneath tells what happens, http_request.c and http_response.c. */
#ifndef SERVE_HTTP_EXCHANGE_H
#define SERVE_HTTP_EXCHANGE_H

#include <stdatomic.h>

#include "serve/http.h"
#include "serve/http_access.h"
#include "serve/http_crowd.h"
#include "serve/http_socket.h"
#include "serve/http_target.h"
#include "serve/http_watch.h"

struct MHD_Connection;
struct MHD_Daemon;

struct http_server {
    struct http_options options;
    struct http_access access;
    struct http_socket listening;
    struct http_watch watch;
    struct http_crowd crowd;
    struct MHD_Daemon *daemon; /* NULL: none */
    /* Of a thread that looks for its own connection: a bool that becomes true if the one that it
     * tries is another thread's. NULL: it looks for none. See http_refuse.c. */
    pthread_key_t is_other_key;
    bool has_is_other_key;
    atomic_bool is_quiet;      /* no new connections; those that are there close behind an answer */
    atomic_bool is_closing;    /* streams are cut */
    atomic_uint_fast64_t held; /* bytes of the bodies of all requests */
};

/* Of the thread that serves it. */
struct http_connection {
    struct http_watched watched; /* first: from it the rest is found */
    struct http_peer peer;
    struct http_server *server;
    struct MHD_Connection *library; /* the same, underneath */
    struct http_exchange *exchange; /* NULL: between two requests */
};

/* The library's for request line, headers, cookies, arguments and what is read ahead: much above
 * our own limits, as it takes some of them apart. */
enum { CONNECTION_BYTES = 1 << 20 };

/* For a request on a connection that there is no room for: a client has it ready. */
enum { REFUSED_SECONDS = 5 };

/* Why HTTP itself answers, before a handler is asked; http_refuse.c says in which words. */
enum http_refusal {
    HTTP_ACCEPTED,
    HTTP_REFUSED_GARBAGE, /* 400: no HTTP */
    HTTP_REFUSED_PATH,    /* 400: the path is none */
    HTTP_REFUSED_FRAMING, /* 400: where the request ends can be read in several ways */
    HTTP_REFUSED_KEY,     /* 401 */
    HTTP_REFUSED_HOST,    /* 403: asked by a name that is none of the server's */
    HTTP_REFUSED_ORIGIN,  /* 403: a page from elsewhere */
    HTTP_REFUSED_PREFIX,  /* 404: not below the prefix */
    HTTP_REFUSED_LATE,    /* 408: it does not end */
    HTTP_REFUSED_BODY,    /* 413: too long */
    HTTP_REFUSED_LINE,    /* 414: the first line is too long */
    HTTP_REFUSED_HEADERS, /* 431: too many, or too long */
    HTTP_REFUSED_MEMORY,  /* 500 */
    HTTP_REFUSED_SILENCE, /* 500: the handler has not answered */
    HTTP_REFUSED_FAULT,   /* 500: the library cannot read it */
    HTTP_REFUSED_BODIES,  /* 503: those of others fill the room */
    HTTP_REFUSED_CROWD,   /* 503: too many connections */
    HTTP_REFUSED_ADDRESS, /* 503: of this address */
    HTTP_REFUSED_VERSION, /* 505 */
    HTTP_REFUSALS
};

struct http_field {
    char *name, *value;
};

struct http_exchange {
    struct http_server *server;
    struct http_connection *connection;
    struct MHD_Connection *library; /* the same, underneath */
    uint64_t began_ns;
    struct http_target target;
    uintptr_t target_begin, target_end; /* where the library has its text: see is_hidden */
    const char *path; /* of the target, without prefix; "": it is none, or not below the prefix */
    const char *method;
    bool is_outside; /* not below the prefix */
    bool is_head;    /* its method is told as GET */
    bool has_headers;
    bool is_coded; /* see http_is_coded */
    enum http_refusal refusal;
    struct bytes body;
    uint64_t held;    /* of server->held */
    uint64_t dropped; /* bytes of a body that is refused */

    struct http_field *fields; /* of the response */
    uint64_t fields_count, fields_capacity;
    unsigned status;           /* 0: not answered yet */
    bool was_gone;             /* its client, before it had the whole answer */
    atomic_bool is_gone;       /* its client, when somebody looked */
    bool is_queued;            /* the library has the response */
    struct http_source source; /* read NULL: the response is `pending` */
    struct bytes pending;      /* made, not sent */
    uint64_t pending_at;       /* of it, what was sent */
    enum http_more more;       /* what the source has said last */
    uint64_t sent;
};

enum { HTTP_CLIENT_NAME_MAX = 64 };

/* An address, or that it is a Unix socket. */
void http_client_name(struct MHD_Connection *library, char out[HTTP_CLIENT_NAME_MAX]);

/* A request's first line has come, of which this is what it asks for. NULL: there is no memory. */
struct http_exchange *http_exchange_open(struct http_connection *connection,
                                         struct MHD_Connection *library, const char *target);
/* Behind the response, or when the connection is gone. */
void http_exchange_close(struct http_exchange *exchange);

/* The headers are there. False: it is to be answered at once, as its body may not come. */
bool http_exchange_begin(struct http_exchange *exchange, const char *method, const char *version);
/* Whether it is answered without a key. */
bool http_exchange_is_public(const struct http_exchange *exchange);
/* More of the body. */
void http_exchange_take(struct http_exchange *exchange, const char *data, size_t length);
void http_exchange_drop_body(struct http_exchange *exchange);
/* The request is whole, or refused: asks the handler, or says why not. False: there is no answer,
 * and the connection is to be closed. */
bool http_exchange_answer(struct http_exchange *exchange);

#endif
