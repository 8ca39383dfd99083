/* SPDX-License-Identifier: MIT
 * A server for tests of HTTP, with a handler that answers, streams, waits and says nothing. */
#ifndef TESTS_HTTP_HOST_H
#define TESTS_HTTP_HOST_H

#include <stdatomic.h>

#include "serve/http.h"
#include "test.h"

/* Paths of the handler:
 *   /echo           method, path, ?q, the header X-Test and the body, a line each
 *   /open           the same; needs no key
 *   /large?n=N      N bytes 'x'
 *   /stream?n=N     N pieces "piece I\n", 20 ms apart
 *   /bulk?n=N       a stream of N pieces of 64 KiB, at once
 *   /break          a stream that is broken off behind its first piece
 *   /wait           a stream of nothing, until it is cut
 *   /busy           answers when the client is gone, or after 10 s
 *   /silent         nothing
 *   others          404 */
struct http_host {
    struct http_options options;
    struct http_server *server;
    uint16_t port;
    atomic_uint handled;   /* requests that came to the handler */
    atomic_uint opened;    /* streams */
    atomic_uint closed;    /* of them, those whose close was called */
    atomic_uint noticed;   /* clients that were seen to be gone */
    atomic_uint log_lines; /* of requests */
    atomic_uint told;      /* of them, those that all see */
    atomic_uint warned;    /* lines that warn */
};

/* Usual options: a free port of loopback, no keys, generous limits. */
void http_host_init(struct http_host *host);
void http_host_open(struct http_host *host);
void http_host_close(struct http_host *host);

/* Waits until a number is reached; fails the test if that takes too long. */
void http_host_wait(const atomic_uint *number, unsigned value);

#endif
