/* SPDX-License-Identifier: MIT
 * Connections as a list, which is gone through for each new one of another machine: that costs
 * less than its thread. */
#include "serve/http_crowd.h"

#include <netinet/in.h>
#include <string.h>

/* Between two lines of a log. */
static const uint64_t tells_every_ns = UINT64_C(10000000000);

void http_crowd_open(struct http_crowd *crowd, uint32_t most, uint32_t refused_most)
{
    *crowd = (struct http_crowd){
        .most = most,
        .of_address_most = most / 4 > 0 ? most / 4 : 1,
        .refused_most = refused_most,
    };
    pthread_mutex_init(&crowd->mutex, NULL);
}

void http_crowd_close(struct http_crowd *crowd)
{
    pthread_mutex_destroy(&crowd->mutex);
}

/* ---- addresses ------------------------------------------------------------------------------- */

static void read_address(struct http_peer *peer, const struct sockaddr *address)
{
    static const struct in6_addr loopback = IN6ADDR_LOOPBACK_INIT;
    struct in6_addr whole = {.s6_addr = {[10] = 0xff, [11] = 0xff}};
    const sa_family_t family = address == NULL ? AF_UNIX : address->sa_family;
    peer->is_near = family != AF_INET && family != AF_INET6;
    if (peer->is_near)
        return;
    if (family == AF_INET)
        memcpy(whole.s6_addr + 12, &((const struct sockaddr_in *)(const void *)address)->sin_addr,
               4);
    else
        whole = ((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    memcpy(peer->address, whole.s6_addr, sizeof peer->address);
    peer->is_near = memcmp(&whole, &loopback, sizeof whole) == 0 ||
                    (IN6_IS_ADDR_V4MAPPED(&whole) && whole.s6_addr[12] == 127);
}

static uint32_t count_served_of(const struct http_crowd *crowd, const struct http_peer *peer)
{
    uint32_t count = 0;
    for (const struct http_peer *p = crowd->first; p != NULL; p = p->next)
        count += p->room == HTTP_ROOM && !p->is_near &&
                 memcmp(p->address, peer->address, sizeof p->address) == 0;
    return count;
}

/* ---- coming and going ------------------------------------------------------------------------ */

static enum http_room find_room(const struct http_crowd *crowd, const struct http_peer *peer)
{
    if (crowd->served >= crowd->most)
        return HTTP_ROOM_FULL;
    const bool is_over = !peer->is_near && count_served_of(crowd, peer) >= crowd->of_address_most;
    return is_over ? HTTP_ROOM_OF_ADDRESS : HTTP_ROOM;
}

bool http_crowd_may_enter(struct http_crowd *crowd, const struct sockaddr *address)
{
    struct http_peer peer;
    read_address(&peer, address);
    pthread_mutex_lock(&crowd->mutex);
    const bool may_enter =
        find_room(crowd, &peer) == HTTP_ROOM || crowd->refused < crowd->refused_most;
    crowd->refused_ever += !may_enter;
    pthread_mutex_unlock(&crowd->mutex);
    return may_enter;
}

enum http_room http_crowd_enter(struct http_crowd *crowd, struct http_peer *peer,
                                const struct sockaddr *address)
{
    *peer = (struct http_peer){.room = HTTP_ROOM};
    read_address(peer, address);
    pthread_mutex_lock(&crowd->mutex);
    peer->room = find_room(crowd, peer);
    crowd->served += peer->room == HTTP_ROOM;
    crowd->refused += peer->room != HTTP_ROOM;
    crowd->refused_ever += peer->room != HTTP_ROOM;
    peer->next = crowd->first;
    if (crowd->first != NULL)
        crowd->first->previous = peer;
    crowd->first = peer;
    pthread_mutex_unlock(&crowd->mutex);
    return peer->room;
}

void http_crowd_leave(struct http_crowd *crowd, struct http_peer *peer)
{
    pthread_mutex_lock(&crowd->mutex);
    if (peer->previous != NULL)
        peer->previous->next = peer->next;
    else
        crowd->first = peer->next;
    if (peer->next != NULL)
        peer->next->previous = peer->previous;
    crowd->served -= peer->room == HTTP_ROOM;
    crowd->refused -= peer->room != HTTP_ROOM;
    pthread_mutex_unlock(&crowd->mutex);
}

/* ---- what is told ---------------------------------------------------------------------------- */

uint64_t http_crowd_refused(struct http_crowd *crowd)
{
    pthread_mutex_lock(&crowd->mutex);
    const uint64_t refused = crowd->refused_ever;
    pthread_mutex_unlock(&crowd->mutex);
    return refused;
}

uint64_t http_crowd_untold(struct http_crowd *crowd, uint64_t now_ns)
{
    pthread_mutex_lock(&crowd->mutex);
    uint64_t untold = crowd->refused_ever - crowd->told;
    if (crowd->told > 0 && now_ns - crowd->told_ns < tells_every_ns)
        untold = 0;
    if (untold > 0) {
        crowd->told = crowd->refused_ever;
        crowd->told_ns = now_ns;
    }
    pthread_mutex_unlock(&crowd->mutex);
    return untold;
}
