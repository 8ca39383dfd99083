/* SPDX-License-Identifier: MIT
 * What a server says to clients that do not behave, one limit after the other. Run alone:
 * build/tests/weir-test http_limit */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/clock.h"
#include "http_client.h"
#include "http_host.h"
#include "serve/http_exchange.h"

static void pause_ms(uint32_t ms)
{
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

/* Checks an answer of HTTP itself: status, type of the error, and its shape. */
static void check_refusal(struct http_response *response, unsigned status, const char *type)
{
    char expected[64];
    CHECK_INT(response->status, status);
    snprintf(expected, sizeof expected, "\"type\":\"%s\",\"code\":%u}}", type, status);
    CHECK(strncmp(response->body.data, "{\"error\":{\"message\":\"", 21) == 0);
    CHECK(strstr(response->body.data, expected) != NULL);
    CHECK_TEXT(http_response_header(response, "Content-Type"), "application/json; charset=utf-8");
    http_response_release(response);
}

static void check_refused(struct http_client *client, unsigned status, const char *type)
{
    struct http_response response;
    CHECK(http_client_read(client, &response, ""));
    check_refusal(&response, status, type);
}

/* The server still answers others. */
static void check_alive(const struct http_host *host)
{
    struct http_response response =
        http_client_ask(host->port, "GET /open HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK_INT(response.status, 200);
    http_response_release(&response);
}

/* ---- bodies ---------------------------------------------------------------------------------- */

static void open_limited(struct http_host *host, uint64_t body_max)
{
    http_host_init(host);
    host->options.body_max = body_max;
    http_host_open(host);
}

TEST(http_limit_body_declared)
{
    struct http_host host;
    struct http_client client;
    char body[1025];
    memset(body, 'x', sizeof body);
    open_limited(&host, 1024);
    for (int excess = 0; excess < 2; excess++) {
        char head[128];
        http_client_open(&client, host.port);
        snprintf(head, sizeof head, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n",
                 1024 + excess);
        http_client_say(&client, head);
        CHECK(http_client_send(&client, body, 1024 + (size_t)excess));
        struct http_response response;
        CHECK(http_client_read(&client, &response, ""));
        if (excess == 0) {
            CHECK_INT(response.status, 200);
            http_response_release(&response);
        } else {
            check_refusal(&response, 413, "invalid_request_error");
        }
        http_client_close(&client);
    }
    CHECK_INT(atomic_load(&host.handled), 1);
    http_host_close(&host);
}

TEST(http_limit_body_in_chunks)
{
    struct http_host host;
    struct http_client client;
    open_limited(&host, 1024);
    http_client_open(&client, host.port);
    http_client_say(&client,
                    "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 3; i++) {
        char chunk[600];
        memset(chunk, 'y', sizeof chunk);
        memcpy(chunk, "200\r\n", 5); /* 512 bytes */
        memcpy(chunk + 5 + 512, "\r\n", 2);
        CHECK(http_client_send(&client, chunk, 5 + 512 + 2));
    }
    http_client_say(&client, "0\r\n\r\n");
    check_refused(&client, 413, "invalid_request_error");
    http_client_close(&client);
    CHECK_INT(atomic_load(&host.handled), 0);
    http_host_close(&host);
}

/* A client that asks first is told before it has sent anything. */
TEST(http_limit_body_expected)
{
    struct http_host host;
    struct http_client client;
    open_limited(&host, 1024);
    http_client_open(&client, host.port);
    http_client_say(&client, "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                             "Content-Length: 1025\r\n\r\n");
    check_refused(&client, 413, "invalid_request_error");
    CHECK(http_client_is_closed(&client, 5000));
    http_client_close(&client);
    http_host_close(&host);
}

/* What does not end is cut, and yet the answer can be read. */
TEST(http_limit_body_without_end)
{
    struct http_host host;
    struct http_client client;
    static char piece[65536];
    memset(piece, 'x', sizeof piece);
    open_limited(&host, 1024);
    http_client_open(&client, host.port);
    http_client_say(&client, "POST /echo HTTP/1.1\r\nHost: a\r\n"
                             "Content-Length: 9223372036854775807\r\n\r\n");
    uint64_t sent = 0;
    while (http_client_send(&client, piece, sizeof piece)) {
        sent += sizeof piece;
        CHECK(sent < (uint64_t)16 << 30);
        if (http_client_is_closed(&client, 0) || sent > (uint64_t)32 << 20)
            break;
    }
    check_refused(&client, 413, "invalid_request_error");
    http_client_close(&client);
    check_alive(&host);
    http_host_close(&host);
}

/* Bodies that wait for their last byte hold memory: of all together, eight times the longest. */
TEST(http_limit_bodies_together)
{
    enum { BODIES = 9, BYTES = 100000 };
    static const char head[] = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n";
    struct http_host host;
    struct http_client clients[BODIES];
    struct http_response response;
    static char body[BYTES];
    memset(body, 'x', sizeof body);
    open_limited(&host, BYTES);
    for (int i = 0; i < BODIES; i++) {
        http_client_open(&clients[i], host.port);
        http_client_say(&clients[i], head);
        if (i < BODIES - 1)
            CHECK(http_client_send(&clients[i], body, BYTES - 1));
    }
    while (atomic_load(&host.server->held) < (BODIES - 1) * (BYTES - 1))
        pause_ms(1);
    response = http_client_ask(host.port, "POST /echo HTTP/1.1\r\nHost: a\r\n"
                                          "Content-Length: 20\r\n\r\n12345678901234567890");
    CHECK_INT(response.status, 200); /* a small one gets through */
    http_response_release(&response);
    while (atomic_load(&host.server->held) > (BODIES - 1) * (BYTES - 1))
        pause_ms(1); /* it is answered before it is forgotten */
    for (int i = BODIES - 1; i >= 0; i--) {
        CHECK(http_client_send(&clients[i], body, i == BODIES - 1 ? BYTES : 1));
        if (i == BODIES - 1) {
            check_refused(&clients[i], 503, "unavailable_error");
        } else {
            CHECK(http_client_read(&clients[i], &response, ""));
            CHECK_INT(response.status, 200);
            http_response_release(&response);
        }
        http_client_close(&clients[i]);
    }
    http_host_wait(&host.log_lines, BODIES + 1);
    CHECK_INT(atomic_load(&host.server->held), 0);
    http_host_close(&host);
}

/* ---- headers --------------------------------------------------------------------------------- */

/* A request with so many fields of so many bytes. */
static struct bytes with_headers(uint32_t count, size_t bytes)
{
    struct bytes request = {0};
    bytes_add_text(&request, "GET /echo HTTP/1.1\r\nHost: a\r\n");
    for (uint32_t i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof name, "X-%06u: ", i);
        bytes_add_text(&request, name);
        for (size_t k = 0; k < bytes; k++)
            bytes_add(&request, "v", 1);
        bytes_add_text(&request, "\r\n");
    }
    bytes_add_text(&request, "\r\n");
    return request;
}

TEST(http_limit_headers)
{
    static const struct {
        uint32_t count;
        size_t bytes;
        bool is_fine, is_ours; /* ours: the answer is one of our own */
    } cases[] = {
        {1, 60000, true, false},  {90, 600, true, false},   {1, 66000, false, true},
        {120, 10, false, true},   {70, 1000, false, true},  {1, 400000, false, false},
        {5000, 50, false, false}, {20000, 1, false, false},
    };
    struct http_host host;
    struct http_client client;
    struct http_response response;
    http_host_init(&host);
    http_host_open(&host);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bytes request = with_headers(cases[i].count, cases[i].bytes);
        http_client_open(&client, host.port);
        const bool is_sent = http_client_send(&client, request.data, request.length);
        CHECK(is_sent || !cases[i].is_ours);
        const bool is_read = http_client_read(&client, &response, "");
        CHECK(is_read || (!cases[i].is_fine && !cases[i].is_ours));
        if (is_read && cases[i].is_ours) {
            check_refusal(&response, 431, "invalid_request_error");
        } else {
            if (is_read)
                CHECK_INT(response.status, cases[i].is_fine ? 200 : 431);
            http_response_release(&response);
        }
        http_client_close(&client);
        bytes_release(&request);
    }
    check_alive(&host);
    http_host_close(&host);
}

/* The library takes them apart, each into much more than its bytes. */
TEST(http_limit_cookies_and_arguments)
{
    struct http_host host;
    struct bytes request = {0};
    http_host_init(&host);
    http_host_open(&host);
    bytes_add_text(&request, "GET /open?q=1");
    for (int i = 0; i < 3000; i++)
        bytes_add_text(&request, "&a=b");
    bytes_add_text(&request, " HTTP/1.1\r\nHost: a\r\nCookie: a=b");
    for (int i = 0; i < 3000; i++)
        bytes_add_text(&request, "; a=b");
    bytes_add_text(&request, "\r\n\r\n");
    struct http_response response = http_client_ask(host.port, request.data);
    CHECK_INT(response.status, 200);
    http_response_release(&response);
    bytes_release(&request);
    http_host_close(&host);
}

/* Requests whose end two readers may see at two places, and other malformed ones. */
TEST(http_limit_framing)
{
    static const char *const requests[] = {
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
        "0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        "GET /echo HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length : 3\r\n\r\nabc",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: -3\r\n\r\nabc",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\nabc",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\nabc",
        "POST /echo HTTP/1.1\r\nHost: a\r\nb\x01: c\r\nContent-Length: 3\r\n\r\nabc",
        "GET /open%00/../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET open HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://a@b/open HTTP/1.1\r\nHost: a\r\n\r\n",
    };
    struct http_host host;
    struct http_client client;
    struct http_response response;
    http_host_init(&host);
    http_host_open(&host);
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        http_client_open(&client, host.port);
        http_client_say(&client, requests[i]);
        if (http_client_read(&client, &response, "") && response.status / 100 != 4)
            test_fail(__FILE__, __LINE__, "request %zu: status %u", i, response.status);
        http_response_release(&response);
        http_client_close(&client);
    }
    CHECK_INT(atomic_load(&host.handled), 0);
    check_alive(&host);
    http_host_close(&host);
}

/* ---- time ------------------------------------------------------------------------------------ */

/* A byte now and then does not keep a connection: in the first line, the headers, the body. */
TEST(http_limit_slow_requests)
{
    static const struct {
        const char *begin, *drip;
        bool is_told; /* why it ends */
    } cases[] = {
        {"", "G", false},
        {"", "\r\n", false},
        {"GET /echo HTTP/1.1\r\nHost: a\r\nX-Slow: ", "x", true},
        {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n", "x", true},
        {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n",
         true},
    };
    enum { CASES = sizeof cases / sizeof cases[0] };
    struct http_host host;
    struct http_client clients[CASES];
    http_host_init(&host);
    host.options.read_timeout_s = 1;
    http_host_open(&host);
    for (int i = 0; i < CASES; i++) {
        http_client_open(&clients[i], host.port);
        http_client_say(&clients[i], cases[i].begin);
    }
    const uint64_t start = clock_ns();
    for (int round = 0; round < 15; round++) {
        pause_ms(100);
        for (int i = 0; i < CASES; i++)
            http_client_send(&clients[i], cases[i].drip, strlen(cases[i].drip));
    }
    for (int i = 0; i < CASES; i++) {
        struct http_response response;
        const bool is_told = http_client_read(&clients[i], &response, "");
        CHECK_INT(is_told, cases[i].is_told);
        if (is_told)
            check_refusal(&response, 408, "invalid_request_error");
        else
            http_response_release(&response);
        CHECK(http_client_is_closed(&clients[i], 5000));
        http_client_close(&clients[i]);
    }
    CHECK(clock_ns() - start < 10000000000);
    CHECK_INT(atomic_load(&host.handled), 0);
    check_alive(&host);
    http_host_close(&host);
}

/* What is said in the middle of a request is for no page where origins are listed. */
TEST(http_limit_words_know_no_origin)
{
    static const char *const origins[] = {"*", "http://a.b"};
    for (int i = 0; i < 2; i++) {
        struct http_host host;
        struct http_client client;
        struct http_response response;
        http_host_init(&host);
        host.options.read_timeout_s = 1;
        host.options.cors_origins = origins[i];
        http_host_open(&host);
        http_client_open(&client, host.port);
        http_client_say(&client, "GET /echo HTTP/1.1\r\n");
        CHECK(http_client_read(&client, &response, ""));
        CHECK_INT(response.status, 408);
        const char *origin = http_response_header(&response, "Access-Control-Allow-Origin");
        CHECK_INT(origin != NULL, i == 0);
        http_response_release(&response);
        http_client_close(&client);
        http_host_close(&host);
    }
}

static void put_path(void *user, const char *path, const struct http_error *error,
                     struct bytes *out)
{
    char text[256];
    (void)user;
    snprintf(text, sizeof text, "%s: %u", path, error->status);
    bytes_add_text(out, text);
}

#define KEY(text) "Host: a\r\nX-Api-Key: k1\r\nContent-Length: " text "\r\n\r\n"

/* In the middle of a request too a refusal has the shape that clients of its path know, and is the
 * one that is due. */
TEST(http_limit_words_know_their_path)
{
    static const struct {
        const char *begin;
        size_t rest; /* bytes of a body */
        const char *expected;
    } cases[] = {
        {"POST /api/a?b HTTP/1.1\r\nHost: a\r\nX: ", 0, "/a: 408"},
        {"POST http://a/api/%61 HTTP/1.1\r\n" KEY("3"), 2, "/a: 408"},
        {"POST /b HTTP/1.1\r\n" KEY("3"), 2, ": 404"},
        {"POST /api/a HTTP/1.1\r\n" KEY("2000000"), 0, "/a: 413"},
        {"POST /api/a HTTP/1.1\r\n" KEY("99999999"), 9 << 20, "/a: 413"},
        {"POST /api/a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n", 2, "/a: 401"},
        {"POST /api/a HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n", 9 << 20, "/a: 401"},
        {"POST /api/a HTTP/1.1\r\nHost: a\r\nno field\r\n\r\n", 0, "/a: 400"},
    };
    struct http_host host;
    static char body[9 << 20];
    static const char *const keys[] = {"k1"};
    http_host_init(&host);
    host.options.keys = keys;
    host.options.keys_count = 1;
    host.options.read_timeout_s = 1;
    host.options.prefix = "/api";
    host.options.put_error = put_path;
    http_host_open(&host);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http_client client;
        struct http_response response;
        http_client_open(&client, host.port);
        http_client_say(&client, cases[i].begin);
        http_client_send(&client, body, cases[i].rest);
        CHECK(http_client_read(&client, &response, ""));
        CHECK_TEXT(response.body.data, cases[i].expected);
        CHECK(response.is_whole);
        CHECK_TEXT(http_response_header(&response, "Connection"), "close");
        http_response_release(&response);
        http_client_close(&client);
    }
    http_host_close(&host);
}

TEST(http_limit_silent_connections)
{
    struct http_host host;
    struct http_client client;
    http_host_init(&host);
    host.options.read_timeout_s = 1;
    http_host_open(&host);
    http_client_open(&client, host.port);
    const uint64_t start = clock_ns();
    CHECK(http_client_is_closed(&client, 10000));
    CHECK(clock_ns() - start > 900000000);
    http_client_close(&client);
    http_host_close(&host);
}

/* The time in which an answer is made does not count. */
TEST(http_limit_answers_may_take_long)
{
    struct http_host host;
    struct http_client client;
    struct http_response response;
    http_host_init(&host);
    host.options.read_timeout_s = 1;
    host.options.write_timeout_s = 1;
    http_host_open(&host);
    http_client_open(&client, host.port);
    http_client_say(&client, "GET /stream?n=80 HTTP/1.1\r\nHost: a\r\n\r\n"); /* 1.6 s */
    CHECK(http_client_read(&client, &response, ""));
    CHECK(response.is_whole);
    http_response_release(&response);
    http_client_close(&client);
    http_host_close(&host);
}

/* A client that takes nothing is cut, of a stream and of a whole answer; one that takes slowly is
 * not. */
TEST(http_limit_slow_readers)
{
    struct http_host host;
    struct http_client stalled, large, slow;
    http_host_init(&host);
    host.options.write_timeout_s = 1;
    http_host_open(&host);
    http_client_open(&stalled, host.port);
    http_client_open(&large, host.port);
    http_client_open(&slow, host.port);
    http_client_say(&stalled, "GET /bulk?n=100000 HTTP/1.1\r\nHost: a\r\n\r\n");
    http_client_say(&large, "GET /large?n=100000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    http_client_say(&slow, "GET /bulk?n=100000 HTTP/1.1\r\nHost: a\r\n\r\n");
    http_host_wait(&host.opened, 2);
    static char piece[1 << 20];
    const uint64_t start = clock_ns();
    while (clock_ns() - start < 3000000000) {
        const ssize_t length = recv(slow.fd, piece, sizeof piece, 0);
        CHECK(length > 0); /* it goes on */
        pause_ms(100);
    }
    CHECK_INT(atomic_load(&host.closed), 1);
    http_client_close(&slow);
    http_host_wait(&host.closed, 2);
    http_host_wait(&host.log_lines, 3); /* the whole answer is over too */
    http_client_close(&stalled);
    http_client_close(&large);
    http_host_close(&host);
}

/* ---- connections ----------------------------------------------------------------------------- */

enum { CONNECTIONS = 8, OF_ADDRESS = CONNECTIONS / 4, REFUSED = 64 /* as http.c has it */ };

/* The status of an answer; 0: the connection is closed instead. Who is refused must be told when to
 * try again. */
static unsigned ask(struct http_client *client)
{
    static const char request[] = "GET /open HTTP/1.1\r\nHost: a\r\n\r\n";
    struct http_response response;
    if (!http_client_send(client, request, sizeof request - 1))
        return 0;
    if (!http_client_read(client, &response, "")) {
        http_response_release(&response);
        return 0;
    }
    const unsigned status = response.status;
    if (status == 200) {
        http_response_release(&response);
        return status;
    }
    CHECK_TEXT(http_response_header(&response, "Retry-After"), "1");
    CHECK_TEXT(http_response_header(&response, "Connection"), "close");
    check_refusal(&response, 503, "unavailable_error");
    CHECK(http_client_is_closed(client, 5000));
    return status;
}

static bool is_served(struct http_client *client, const struct http_host *host)
{
    http_client_open(client, host->port);
    const unsigned status = ask(client);
    CHECK(status != 0);
    return status == 200;
}

/* Tries until those that were closed are forgotten. */
static void check_served_again(const struct http_host *host)
{
    const uint64_t start = clock_ns();
    unsigned status = 0;
    while (status != 200 && clock_ns() - start < 10000000000) {
        struct http_client client;
        http_client_open(&client, host->port);
        status = ask(&client);
        http_client_close(&client);
        if (status != 200)
            pause_ms(5);
    }
    CHECK_INT(status, 200);
}

/* All of them may be of one address, if that is of loopback. */
TEST(http_limit_connections)
{
    struct http_host host;
    struct http_client clients[CONNECTIONS], other;
    http_host_init(&host);
    host.options.connections_max = CONNECTIONS;
    http_host_open(&host);
    for (int i = 0; i < CONNECTIONS; i++)
        CHECK(is_served(&clients[i], &host));
    CHECK_INT(http_refused(host.server), 0);
    for (int i = 0; i < 3; i++) {
        CHECK(!is_served(&other, &host));
        http_client_close(&other);
    }
    CHECK_INT(http_refused(host.server), 3);
    CHECK_INT(atomic_load(&host.warned), 1);
    CHECK_INT(atomic_load(&host.handled), CONNECTIONS);
    http_client_close(&clients[3]);
    check_served_again(&host);
    for (int i = 0; i < CONNECTIONS; i++)
        http_client_close(&clients[i]);
    http_host_close(&host);
}

/* Those that wait to be told keep nobody out, and are bounded themselves. */
TEST(http_limit_connections_that_are_refused)
{
    struct http_host host;
    struct http_client clients[CONNECTIONS], silent[REFUSED], other;
    http_host_init(&host);
    host.options.connections_max = CONNECTIONS;
    http_host_open(&host);
    for (int i = 0; i < CONNECTIONS; i++)
        CHECK(is_served(&clients[i], &host));
    for (int i = 0; i < REFUSED; i++)
        http_client_open(&silent[i], host.port);
    http_client_open(&other, host.port);
    CHECK(http_client_is_closed(&other, 5000));
    http_client_close(&other);
    http_client_close(&clients[0]);
    check_served_again(&host);
    CHECK_INT(ask(&silent[0]), 503);
    CHECK(http_client_is_closed(&silent[1], 20000)); /* what asks nothing */
    CHECK(http_refused(host.server) > REFUSED);
    CHECK_INT(atomic_load(&host.warned), 1);
    for (int i = 0; i < REFUSED; i++)
        http_client_close(&silent[i]);
    for (int i = 1; i < CONNECTIONS; i++)
        http_client_close(&clients[i]);
    http_host_close(&host);
}

/* As many at once from one address as a test of load may be, with the limits of `weir serve`. */
TEST(http_limit_connections_of_loopback)
{
    enum { AT_ONCE = 200 };
    struct http_host host;
    struct http_client clients[AT_ONCE];
    http_host_init(&host);
    host.options.connections_max = 512;
    http_host_open(&host);
    for (int i = 0; i < AT_ONCE; i++)
        http_client_open(&clients[i], host.port);
    for (int i = 0; i < AT_ONCE; i++)
        CHECK_INT(ask(&clients[i]), 200);
    CHECK_INT(http_refused(host.server), 0);
    CHECK_INT(atomic_load(&host.warned), 0);
    for (int i = 0; i < AT_ONCE; i++)
        http_client_close(&clients[i]);
    http_host_close(&host);
}

/* By an address that could be another machine's. */
TEST(http_limit_connections_of_an_address)
{
    struct http_host host;
    struct http_client clients[OF_ADDRESS], other;
    http_host_init(&host);
    host.options.host = "0.0.0.0";
    host.options.connections_max = CONNECTIONS;
    http_host_open(&host);
    for (int i = 0; i < OF_ADDRESS; i++) {
        if (!http_client_open_far(&clients[i], host.port)) {
            http_host_close(&host);
            test_skip("this machine has no address but loopback");
        }
        CHECK_INT(ask(&clients[i]), 200);
    }
    CHECK(http_client_open_far(&other, host.port));
    CHECK_INT(ask(&other), 503);
    http_client_close(&other);
    CHECK(is_served(&other, &host));
    http_client_close(&other);
    CHECK_INT(http_refused(host.server), 1);
    CHECK_INT(atomic_load(&host.warned), 1);
    for (int i = 0; i < OF_ADDRESS; i++)
        http_client_close(&clients[i]);
    http_host_close(&host);
}

/* ---- what is not answered -------------------------------------------------------------------- */

TEST(http_limit_handler_says_nothing)
{
    struct http_host host;
    struct http_client client;
    http_host_init(&host);
    http_host_open(&host);
    http_client_open(&client, host.port);
    http_client_say(&client, "GET /silent HTTP/1.1\r\nHost: a\r\n\r\n");
    check_refused(&client, 500, "server_error");
    http_client_close(&client);
    http_host_close(&host);
}
