/* SPDX-License-Identifier: MIT
 * One thread that sleeps until the next deadline. Cuts by shutdown(2), which wakes the thread of
 * the connection; closing is for others. Knows nothing of HTTP. */
#include "serve/http_watch.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/condition.h"

/* What a client still sends is read for so long, as its system would drop our words with the
 * connection if that was closed before they are read. */
static const uint64_t linger_ns = 1000000000;

static void cut(struct http_watched *watched, const char *words)
{
    watched->is_cut = true;
    watched->path = NULL;
    watched->deadline_ns = 0;
    if (words == NULL) {
        shutdown(watched->fd, SHUT_RDWR);
        return;
    }
    const ssize_t sent = send(watched->fd, words, strlen(words), MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)sent; /* who takes nothing gets nothing */
    shutdown(watched->fd, SHUT_WR);
    watched->deadline_ns = clock_ns() + linger_ns;
}

/* One that was cut and still lingers is told nothing more. */
static void cut_late(struct http_watch *watch, struct http_watched *watched)
{
    struct bytes words = {0};
    if (watched->reason != 0 && !watched->is_cut)
        watch->words(watch->user, watched->reason, watched->path, &words);
    cut(watched, words.has_failed ? NULL : words.data);
    bytes_release(&words);
}

/* Cuts what is due; returns the next deadline, 0 if there is none. */
static uint64_t cut_due(struct http_watch *watch)
{
    const uint64_t now = clock_ns();
    uint64_t next = 0;
    for (struct http_watched *w = watch->first; w != NULL; w = w->next) {
        if (w->deadline_ns != 0 && w->deadline_ns <= now)
            cut_late(watch, w);
        if (w->deadline_ns != 0 && (next == 0 || w->deadline_ns < next))
            next = w->deadline_ns;
    }
    return next;
}

/* Until the condition is told, or to a moment of clock_ns; 0: there is none. */
static void wait_until(struct http_watch *watch, uint64_t until_ns)
{
    if (until_ns == 0)
        pthread_cond_wait(&watch->changed, &watch->mutex);
    else
        condition_wait_until(&watch->changed, &watch->mutex, until_ns);
}

static void *watch_run(void *user)
{
    struct http_watch *watch = user;
    pthread_mutex_lock(&watch->mutex);
    while (!watch->is_over) {
        watch->wakes_ns = cut_due(watch);
        wait_until(watch, watch->wakes_ns);
    }
    pthread_mutex_unlock(&watch->mutex);
    return NULL;
}

enum weir_status http_watch_open(struct http_watch *watch, http_watch_words *words, void *user,
                                 struct weir_error *err)
{
    watch->words = words;
    watch->user = user;
    if (!condition_open(&watch->changed))
        return err_set(err, WEIR_ERR_MEMORY, "no condition to wait for");
    pthread_mutex_init(&watch->mutex, NULL);
    const int result = pthread_create(&watch->thread, NULL, watch_run, watch);
    if (result == 0) {
        watch->is_open = true;
        return WEIR_OK;
    }
    pthread_cond_destroy(&watch->changed);
    pthread_mutex_destroy(&watch->mutex);
    return err_set(err, WEIR_ERR_MEMORY, "cannot start a thread: %s", strerror(result));
}

void http_watch_close(struct http_watch *watch)
{
    if (!watch->is_open)
        return;
    pthread_mutex_lock(&watch->mutex);
    watch->is_over = true;
    pthread_cond_broadcast(&watch->changed);
    pthread_mutex_unlock(&watch->mutex);
    pthread_join(watch->thread, NULL);
    pthread_cond_destroy(&watch->changed);
    pthread_mutex_destroy(&watch->mutex);
    watch->is_open = false;
}

void http_watch_add(struct http_watch *watch, struct http_watched *watched, int fd)
{
    pthread_mutex_lock(&watch->mutex);
    *watched = (struct http_watched){.fd = fd, .next = watch->first};
    if (watch->first != NULL)
        watch->first->previous = watched;
    watch->first = watched;
    watch->count++;
    pthread_mutex_unlock(&watch->mutex);
}

void http_watch_remove(struct http_watch *watch, struct http_watched *watched)
{
    pthread_mutex_lock(&watch->mutex);
    if (watched->previous != NULL)
        watched->previous->next = watched->next;
    else
        watch->first = watched->next;
    if (watched->next != NULL)
        watched->next->previous = watched->previous;
    if (--watch->count == 0)
        pthread_cond_broadcast(&watch->changed);
    pthread_mutex_unlock(&watch->mutex);
}

void http_watch_each(struct http_watch *watch,
                     void (*call)(void *user, struct http_watched *watched), void *user)
{
    pthread_mutex_lock(&watch->mutex);
    for (struct http_watched *w = watch->first; w != NULL; w = w->next)
        call(user, w);
    pthread_mutex_unlock(&watch->mutex);
}

void http_watch_wait(struct http_watch *watch, uint32_t seconds)
{
    const uint64_t until = clock_ns() + (uint64_t)seconds * 1000000000u;
    pthread_mutex_lock(&watch->mutex);
    while (watch->count > 0 && clock_ns() < until)
        wait_until(watch, until);
    pthread_mutex_unlock(&watch->mutex);
}

/* One that was cut stays so. */
static void set_deadline(struct http_watch *watch, struct http_watched *watched, uint32_t seconds,
                         unsigned reason, const char *path)
{
    if (watched->is_cut)
        return;
    watched->reason = reason;
    watched->path = path;
    watched->deadline_ns = clock_ns() + (uint64_t)seconds * 1000000000u;
    if (watch->wakes_ns == 0 || watched->deadline_ns < watch->wakes_ns)
        pthread_cond_broadcast(&watch->changed);
}

void http_watch_set(struct http_watch *watch, struct http_watched *watched, uint32_t seconds,
                    unsigned reason, const char *path)
{
    pthread_mutex_lock(&watch->mutex);
    set_deadline(watch, watched, seconds, reason, path);
    watched->is_idle = false;
    pthread_mutex_unlock(&watch->mutex);
}

void http_watch_because(struct http_watch *watch, struct http_watched *watched, unsigned reason)
{
    pthread_mutex_lock(&watch->mutex);
    if (!watched->is_cut)
        watched->reason = reason;
    pthread_mutex_unlock(&watch->mutex);
}

bool http_watch_clear(struct http_watch *watch, struct http_watched *watched)
{
    pthread_mutex_lock(&watch->mutex);
    const bool is_cut = watched->is_cut;
    if (!is_cut) {
        watched->deadline_ns = 0;
        watched->reason = 0;
        watched->path = NULL;
    }
    watched->is_idle = false;
    pthread_mutex_unlock(&watch->mutex);
    return !is_cut;
}

bool http_watch_say(struct http_watch *watch, struct http_watched *watched, const char *words)
{
    pthread_mutex_lock(&watch->mutex);
    const bool was_cut = watched->is_cut;
    if (!was_cut) {
        watched->reason = 0;
        cut(watched, words);
        pthread_cond_broadcast(&watch->changed); /* there is a deadline */
    }
    pthread_mutex_unlock(&watch->mutex);
    return !was_cut;
}

void http_watch_idle(struct http_watch *watch, struct http_watched *watched, uint32_t seconds)
{
    pthread_mutex_lock(&watch->mutex);
    watched->is_idle = true;
    set_deadline(watch, watched, watch->is_quiet ? 0 : seconds, 0, NULL);
    pthread_mutex_unlock(&watch->mutex);
}

void http_watch_quiet(struct http_watch *watch)
{
    pthread_mutex_lock(&watch->mutex);
    watch->is_quiet = true;
    for (struct http_watched *w = watch->first; w != NULL; w = w->next) {
        if (w->is_idle)
            set_deadline(watch, w, 0, 0, NULL);
    }
    pthread_mutex_unlock(&watch->mutex);
}
