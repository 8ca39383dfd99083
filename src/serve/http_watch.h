/* SPDX-License-Identifier: MIT
 * Connections that take too long are cut. The library underneath counts from the last byte, so that
 * a byte now and then keeps a connection for ever, and counts the time in which an answer is being
 * made. Here each connection has a deadline, or none, by what it is about. */
#ifndef SERVE_HTTP_WATCH_H
#define SERVE_HTTP_WATCH_H

#include <pthread.h>

#include "base/bytes.h"

/* One connection; belongs to the caller. */
struct http_watched {
    struct http_watched *next, *previous;
    int fd;
    uint64_t deadline_ns; /* clock_ns; 0: none */
    unsigned reason;      /* of which is told before it is cut; 0: nothing is */
    const char *path;     /* of the request, if there is a reason */
    bool is_idle;         /* between two requests */
    bool is_cut;
};

/* What is said for a reason, one of the caller's numbers, to who asked for a path. */
typedef void http_watch_words(void *user, unsigned reason, const char *path, struct bytes *out);

struct http_watch {
    http_watch_words *words;
    void *user;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    pthread_t thread;
    struct http_watched *first;
    uint32_t count;
    uint64_t wakes_ns; /* when the thread looks again; 0: when it is told to */
    bool is_over, is_open;
    bool is_quiet; /* idle connections are cut */
};

/* Zeroed to begin. */
enum weir_status http_watch_open(struct http_watch *watch, http_watch_words *words, void *user,
                                 struct weir_error *err);
/* All connections are gone. */
void http_watch_close(struct http_watch *watch);

void http_watch_add(struct http_watch *watch, struct http_watched *watched, int fd);
/* Before the descriptor is closed. */
void http_watch_remove(struct http_watch *watch, struct http_watched *watched);
/* Calls for each; nothing here is asked meanwhile. */
void http_watch_each(struct http_watch *watch,
                     void (*call)(void *user, struct http_watched *watched), void *user);
/* Waits until there is none any more, at most so many seconds. */
void http_watch_wait(struct http_watch *watch, uint32_t seconds);

/* The deadline is so many seconds from now. If there is a reason to tell, the path stays until the
 * next call for this connection. */
void http_watch_set(struct http_watch *watch, struct http_watched *watched, uint32_t seconds,
                    unsigned reason, const char *path);
/* There is another reason to tell, until the next call; deadline and path stay. */
void http_watch_because(struct http_watch *watch, struct http_watched *watched, unsigned reason);
/* It may take as long as it does. False: it was cut, for the reason that is left in `watched`. */
bool http_watch_clear(struct http_watch *watch, struct http_watched *watched);
/* Says so, and nothing more; then it is cut as one that is late, without another reason. False: it
 * was cut before. */
bool http_watch_say(struct http_watch *watch, struct http_watched *watched, const char *words);
/* Nothing was asked since the last answer. */
void http_watch_idle(struct http_watch *watch, struct http_watched *watched, uint32_t seconds);
/* Idle connections are cut, now and from now on. */
void http_watch_quiet(struct http_watch *watch);

#endif
