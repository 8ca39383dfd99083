/* SPDX-License-Identifier: MIT
 * How many connections there are, and of which addresses: which of them find room. Knows no socket
 * and nothing of HTTP. */
#ifndef SERVE_HTTP_CROWD_H
#define SERVE_HTTP_CROWD_H

#include <pthread.h>

#include "base/err.h"

struct sockaddr;

enum http_room {
    HTTP_ROOM,
    HTTP_ROOM_FULL,       /* there are as many as may be */
    HTTP_ROOM_OF_ADDRESS, /* of this address */
};

/* One connection; belongs to the caller. */
struct http_peer {
    struct http_peer *next, *previous;
    uint8_t address[16]; /* IPv6, or IPv4 as IPv6 has it */
    bool is_near;        /* of this machine */
    enum http_room room;
};

struct http_crowd {
    pthread_mutex_t mutex;
    uint32_t most, of_address_most, refused_most;
    struct http_peer *first;
    uint32_t served, refused; /* of those that are there */
    uint64_t refused_ever;
    uint64_t told, told_ns; /* of these, and when */
};

/* There is room for `most`; of an address of another machine for a quarter of them. What is of this
 * machine is a proxy, or a test of load: behind it there are many clients, or nobody else. As well
 * room for so many that are told that there is none. */
void http_crowd_open(struct http_crowd *crowd, uint32_t most, uint32_t refused_most);
void http_crowd_close(struct http_crowd *crowd);

/* Whether one more from there can be served, or at least told that it is not; else it counts as
 * refused. An address of NULL: it has none. */
bool http_crowd_may_enter(struct http_crowd *crowd, const struct sockaddr *address);
/* A connection is there. */
enum http_room http_crowd_enter(struct http_crowd *crowd, struct http_peer *peer,
                                const struct sockaddr *address);
void http_crowd_leave(struct http_crowd *crowd, struct http_peer *peer);

/* All that found no room. */
uint64_t http_crowd_refused(struct http_crowd *crowd);
/* Of those, how many were not told yet; 0: none, or so soon behind the last time that it can wait,
 * so that a log grows no faster than the clock. */
uint64_t http_crowd_untold(struct http_crowd *crowd, uint64_t now_ns);

#endif
