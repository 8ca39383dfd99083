/* SPDX-License-Identifier: MIT
 * Which connections find room, by their addresses. Run alone: build/tests/weir-test http_crowd_ */
#include "test.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/rng.h"
#include "serve/http_crowd.h"

/* "": of no address. */
static const struct sockaddr *address_of(struct sockaddr_storage *out, const char *text)
{
    struct sockaddr_in *four = (struct sockaddr_in *)out;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)out;
    memset(out, 0, sizeof *out);
    if (text[0] == 0)
        return NULL;
    if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
    } else {
        CHECK_INT(inet_pton(AF_INET6, text, &six->sin6_addr), 1);
        six->sin6_family = AF_INET6;
    }
    return (const struct sockaddr *)out;
}

static enum http_room enter(struct http_crowd *crowd, struct http_peer *peer, const char *text)
{
    struct sockaddr_storage address;
    const struct sockaddr *from = address_of(&address, text);
    const bool may_enter = http_crowd_may_enter(crowd, from);
    const enum http_room room = http_crowd_enter(crowd, peer, from);
    CHECK(may_enter || room != HTTP_ROOM);
    return room;
}

/* Of 8 one of another machine has 2, by whichever family it comes; of this machine, all. */
TEST(http_crowd_has_room_by_address)
{
    static const struct {
        const char *texts[10];
        const char *rooms; /* r: room, a: none of the address, f: none at all */
    } cases[] = {
        {{"10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.2"}, "rrar"},
        {{"10.0.0.1", "::ffff:10.0.0.1", "10.0.0.1"}, "rra"},
        {{"fd00::1", "fd00::2", "fd00::1", "fd00::1", "fd00::2"}, "rrrar"},
        {{"127.0.0.1", "127.0.0.1", "127.0.0.1"}, "rrr"},
        {{"::1", "::1", "::1", "::ffff:127.0.0.1", "127.9.9.9", "::ffff:127.0.0.1"}, "rrrrrr"},
        {{"", "", "", "", "", "", "", "", "", "10.0.0.1"}, "rrrrrrrrff"},
        {{"128.0.0.1", "128.0.0.1", "128.0.0.1"}, "rra"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http_crowd crowd;
        struct http_peer peers[10];
        char rooms[11] = "";
        const size_t count = strlen(cases[i].rooms);
        http_crowd_open(&crowd, 8, 4);
        for (size_t p = 0; p < count; p++)
            rooms[p] = "rfa"[enter(&crowd, &peers[p], cases[i].texts[p])];
        CHECK_TEXT(rooms, cases[i].rooms);
        for (size_t p = 0; p < count; p++)
            http_crowd_leave(&crowd, &peers[p]);
        CHECK_INT(crowd.served + crowd.refused, 0);
        CHECK(crowd.first == NULL);
        http_crowd_close(&crowd);
    }
}

/* Whatever comes and goes, its counts are those of who is there. */
TEST(http_crowd_counts_who_is_there)
{
    enum { PEERS = 24, MOST = 8, REFUSED = 4 };
    static const char *const texts[] = {"10.0.0.1", "10.0.0.2", "127.0.0.1", ""};
    struct http_crowd crowd;
    struct http_peer peers[PEERS];
    bool is_there[PEERS] = {false};
    uint64_t refused = 0;
    http_crowd_open(&crowd, MOST, REFUSED);
    for (uint64_t step = 0; step < 20000; step++) {
        const uint64_t draw = rng_bits(test_seed(), 0, step);
        const size_t i = draw % PEERS;
        struct sockaddr_storage address;
        const struct sockaddr *from = address_of(&address, texts[draw / PEERS % 4]);
        if (is_there[i]) {
            http_crowd_leave(&crowd, &peers[i]);
            is_there[i] = false;
        } else if (http_crowd_may_enter(&crowd, from)) {
            refused += http_crowd_enter(&crowd, &peers[i], from) != HTTP_ROOM;
            is_there[i] = true;
        } else {
            refused++;
        }
        uint32_t served = 0, there = 0;
        for (size_t p = 0; p < PEERS; p++) {
            there += is_there[p];
            served += is_there[p] && peers[p].room == HTTP_ROOM;
        }
        CHECK_INT(crowd.served, served);
        CHECK_INT(crowd.refused, there - served);
        CHECK(served <= MOST && there - served <= REFUSED);
        CHECK_INT(http_crowd_refused(&crowd), refused);
    }
    CHECK(refused > 1000);
    for (size_t p = 0; p < PEERS; p++)
        if (is_there[p])
            http_crowd_leave(&crowd, &peers[p]);
    http_crowd_close(&crowd);
}

TEST(http_crowd_is_told_of_now_and_then)
{
    const uint64_t second = 1000000000;
    struct http_crowd crowd;
    http_crowd_open(&crowd, 1, 0);
    struct http_peer peer;
    CHECK_INT(enter(&crowd, &peer, ""), HTTP_ROOM);
    CHECK_INT(http_crowd_untold(&crowd, second), 0);
    CHECK(!http_crowd_may_enter(&crowd, NULL));
    CHECK_INT(http_crowd_untold(&crowd, second), 1);
    CHECK(!http_crowd_may_enter(&crowd, NULL) && !http_crowd_may_enter(&crowd, NULL));
    CHECK_INT(http_crowd_untold(&crowd, 2 * second), 0);
    CHECK_INT(http_crowd_untold(&crowd, 11 * second), 2);
    CHECK_INT(http_crowd_untold(&crowd, 99 * second), 0);
    http_crowd_leave(&crowd, &peer);
    http_crowd_close(&crowd);
}
