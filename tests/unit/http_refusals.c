/* SPDX-License-Identifier: MIT
 * What is no HTTP, and refused by the library underneath: each answer is one response, of JSON, for
 * the one who asked. Run alone: build/tests/weir-test http_refusals */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "http_client.h"
#include "http_host.h"

#define CHUNKED           "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
#define WITH_LENGTH(text) "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: " text "\r\n\r\nabc"

static const struct refused {
    const char *request;
    unsigned status; /* 0: closed without a word */
} refused[] = {
    {"GET /echo HTTP/2.0\r\nHost: a\r\n\r\n", 505},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
    {"GET /echo HTTP/0.9\r\n\r\n", 505},
    {"GET /echo\r\n\r\n", 400},
    {"good morning\r\n\r\n", 400},
    {"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 0},
    {"hello\r\n\r\n", 0},
    {"\x16\x03\x01\x02\r\n\r\n", 0},
    {"GET /echo HTTP/1.1\r\n\r\n", 400},
    {"GET /echo HTTP/1.1\r\nHost a\r\n\r\n", 400},
    {"GET /echo HTTP/1.1\r\nHost: a\r\nno field\r\n\r\n", 400},
    {"GET /echo HTTP/1.1\r\nHost: a\r\nno field\r\nX: y\r\n\r\n", 400},
    {WITH_LENGTH("x"), 400},
    {WITH_LENGTH("-3"), 400},
    {WITH_LENGTH("99999999999999999999999"), 413},
    {CHUNKED "zz\r\nabc", 400},
    {CHUNKED "3\r\nabcde\r\n", 400},
    {CHUNKED "ffffffffffffffffff\r\nabc", 413},
    {CHUNKED "3\r\nabc\r\n0\r\nno field\r\n\r\n", 400},
};

enum { REFUSED = sizeof refused / sizeof refused[0] };

/* The client has asked; it gets one response, whole, with nothing behind. */
static void check_one(struct http_client *client, const struct refused *expected)
{
    struct http_response response;
    char part[64];
    if (expected->status == 0) {
        CHECK(http_client_is_closed(client, 5000));
        return;
    }
    CHECK(http_client_read(client, &response, ""));
    if (response.status != expected->status)
        test_fail(__FILE__, __LINE__, "%s: status %u, expected %u", expected->request,
                  response.status, expected->status);
    CHECK(response.is_whole);
    CHECK(http_response_header(&response, "Content-Length") != NULL);
    CHECK_TEXT(http_response_header(&response, "Connection"), "close");
    CHECK_TEXT(http_response_header(&response, "Content-Type"), "application/json; charset=utf-8");
    CHECK_TEXT(http_response_header(&response, "Access-Control-Allow-Origin"), "*");
    snprintf(part, sizeof part, "\"type\":\"invalid_request_error\",\"code\":%u}}",
             expected->status);
    CHECK(strncmp(response.body.data, "{\"error\":{\"message\":\"", 21) == 0);
    CHECK(strstr(response.body.data, part) != NULL);
    http_response_release(&response);
    CHECK(http_client_is_closed(client, 5000));
}

static void check_refused(const struct http_host *host, const struct refused *expected)
{
    struct http_client client;
    http_client_open(&client, host->port);
    http_client_say(&client, expected->request);
    check_one(&client, expected);
    http_client_close(&client);
}

TEST(http_refusals_are_json)
{
    struct http_host host;
    http_host_init(&host);
    http_host_open(&host);
    for (size_t i = 0; i < REFUSED; i++)
        check_refused(&host, &refused[i]);
    CHECK_INT(atomic_load(&host.handled), 0);
    http_host_close(&host);
}

/* Behind a request that was answered, on the same connection. */
TEST(http_refusals_behind_a_request)
{
    struct http_host host;
    struct http_client client;
    struct http_response response;
    http_host_init(&host);
    http_host_open(&host);
    for (size_t i = 0; i < REFUSED; i++) {
        http_client_open(&client, host.port);
        http_client_say(&client, "GET /open HTTP/1.1\r\nHost: a\r\n\r\n");
        CHECK(http_client_read(&client, &response, ""));
        CHECK_INT(response.status, 200);
        http_response_release(&response);
        http_client_say(&client, refused[i].request);
        check_one(&client, &refused[i]);
        http_client_close(&client);
    }
    http_host_close(&host);
}

/* What the client still sends does not take the answer with it. */
TEST(http_refusals_reach_who_still_sends)
{
    static char rest[200000];
    struct http_host host;
    struct http_client client;
    const struct refused expected = {"GET /echo HTTP/2.0\r\nHost: a\r\n\r\n", 505};
    memset(rest, 'x', sizeof rest);
    http_host_init(&host);
    http_host_open(&host);
    for (int i = 0; i < 20; i++) {
        http_client_open(&client, host.port);
        http_client_say(&client, expected.request);
        http_client_send(&client, rest, sizeof rest);
        check_one(&client, &expected);
        http_client_close(&client);
    }
    http_host_close(&host);
}

TEST(http_refusals_of_what_is_too_long)
{
    static const struct {
        const char *begin;
        struct refused expected;
    } cases[] = {
        {"GET /", {"a line", 414}},
        {"GET / HTTP/1.1\r\nHost: a\r\nX: ", {"a header", 431}},
    };
    static char rest[3 << 20];
    struct http_host host;
    struct http_client client;
    memset(rest, 'x', sizeof rest);
    http_host_init(&host);
    http_host_open(&host);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        http_client_open(&client, host.port);
        http_client_say(&client, cases[i].begin);
        http_client_send(&client, rest, sizeof rest);
        check_one(&client, &cases[i].expected);
        http_client_close(&client);
    }
    http_host_close(&host);
}

/* ---- beside others --------------------------------------------------------------------------- */

enum { BESIDE = 8, ROUNDS = 5 };

struct beside {
    const struct http_host *host;
    unsigned number;
};

static void *ask_beside(void *user)
{
    const struct beside *beside = user;
    for (unsigned i = 0; i < ROUNDS * REFUSED; i++)
        check_refused(beside->host, &refused[(i + beside->number) % REFUSED]);
    return NULL;
}

/* Those that have said nothing yet, or half a line, are neither answered nor cut. */
TEST(http_refusals_are_for_who_asked)
{
    static const char *const begins[] = {"", "G", "GET /op", "GET /open HTTP/1.1\r\nHo"};
    enum { WAITING = sizeof begins / sizeof begins[0] };
    static const char request[] = "GET /open HTTP/1.1\r\nHost: a\r\n\r\n";
    struct http_host host;
    struct http_client waiting[WAITING];
    struct beside besides[BESIDE];
    pthread_t threads[BESIDE];
    http_host_init(&host);
    host.options.connections_max = 512;
    host.options.read_timeout_s = 300;
    http_host_open(&host);
    for (size_t i = 0; i < WAITING; i++) {
        http_client_open(&waiting[i], host.port);
        http_client_say(&waiting[i], begins[i]);
    }
    for (unsigned i = 0; i < BESIDE; i++) {
        besides[i] = (struct beside){.host = &host, .number = i};
        CHECK_INT(pthread_create(&threads[i], NULL, ask_beside, &besides[i]), 0);
    }
    for (unsigned i = 0; i < BESIDE; i++)
        CHECK_INT(pthread_join(threads[i], NULL), 0);
    for (size_t i = 0; i < WAITING; i++) {
        struct http_response response;
        http_client_say(&waiting[i], request + strlen(begins[i]));
        CHECK(http_client_read(&waiting[i], &response, ""));
        CHECK_INT(response.status, 200);
        http_response_release(&response);
        http_client_close(&waiting[i]);
    }
    http_host_close(&host);
}
