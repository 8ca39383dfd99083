/* SPDX-License-Identifier: MIT
 * Bytes that nobody thought of, on real connections: the server ends each of them, and answers the
 * next client. Run alone: build/tests/weir-test http_garbage */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/rng.h"
#include "http_client.h"
#include "http_host.h"
#include "json/json.h"

enum { CASES = 600, BYTES_MAX = 4096 };

static const char *const requests[] = {
    "GET /echo?q=1 HTTP/1.1\r\nHost: a\r\nX-Test: b\r\n\r\n",
    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
     "5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\nTrailer: x\r\n\r\n"),
    "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok",
    "OPTIONS /echo HTTP/1.1\r\nHost: a\r\nOrigin: http://a.b\r\n\r\n",
    "HEAD /open HTTP/1.0\r\nAuthorization: Bearer k1\r\nConnection: keep-alive\r\n\r\n",
    "GET /stream?n=1 HTTP/1.1\r\nHost: a\r\n\r\nGET /large?n=9 HTTP/1.1\r\nHost: a\r\n\r\n",
};

/* Pieces that mean something to a parser. */
static const char *const words[] = {
    "\r\n",
    "\n",
    "\r",
    "\r\n\r\n",
    ":",
    " ",
    "\t",
    "%",
    "%00",
    "0",
    "ffffffffffffffff",
    "-1",
    "chunked",
    ", ",
    "HTTP/1.1",
    "Content-Length: 4\r\n",
    "Transfer-Encoding: chunked\r\n",
    "GET ",
    "?&=&",
};

enum { REQUESTS = sizeof requests / sizeof requests[0], WORDS = sizeof words / sizeof words[0] };

struct garbage {
    uint8_t bytes[BYTES_MAX];
    size_t length;
};

struct draws {
    uint64_t key, next;
};

static uint32_t draw(struct draws *draws, uint32_t below)
{
    return (uint32_t)(rng_at(draws->key, draws->next++) % below);
}

/* Puts `length` bytes in place of `removed` ones. */
static void splice(struct garbage *g, size_t at, size_t removed, const void *bytes, size_t length)
{
    if (removed > g->length - at)
        removed = g->length - at;
    if (g->length - removed + length > BYTES_MAX)
        return;
    memmove(g->bytes + at + length, g->bytes + at + removed, g->length - at - removed);
    memcpy(g->bytes + at, bytes, length);
    g->length += length - removed;
}

static void mutate(struct garbage *g, struct draws *draws)
{
    const size_t at = draw(draws, (uint32_t)g->length + 1);
    const char *word = words[draw(draws, WORDS)];
    const uint8_t byte = (uint8_t)draw(draws, 256);
    uint8_t copy[64];
    const size_t left = g->length - at < sizeof copy ? g->length - at : sizeof copy;
    memcpy(copy, g->bytes + at, left);
    switch (draw(draws, 5)) {
    case 0: splice(g, at, 1, &byte, 1); break;
    case 1: splice(g, at, draw(draws, 8), "", 0); break;
    case 2: splice(g, at, 0, word, strlen(word)); break;
    case 3: splice(g, at, draw(draws, 8), word, strlen(word)); break;
    case 4: splice(g, at, 0, copy, left); break;
    }
}

static void make(struct garbage *g, struct draws *draws)
{
    g->length = 0;
    if (draw(draws, 8) == 0) {
        g->length = draw(draws, BYTES_MAX);
        for (size_t i = 0; i < g->length; i++)
            g->bytes[i] = (uint8_t)draw(draws, 256);
        return;
    }
    const char *request = requests[draw(draws, REQUESTS)];
    splice(g, 0, 0, request, strlen(request));
    for (uint32_t i = 1 + draw(draws, 6); i > 0; i--)
        mutate(g, draws);
    if (draw(draws, 4) == 0)
        g->length = draw(draws, (uint32_t)g->length + 1);
}

/* ---- what comes back ------------------------------------------------------------------------- */

/* The body of a response by its head, or NULL if its end is missing. The requests are of any
 * method by now, so a head alone may be the whole: of HEAD, or an interim one. */
static const char *body_end(const struct http_response *response, const char *body)
{
    const char *length = http_response_header(response, "Content-Length");
    const char *coding = http_response_header(response, "Transfer-Encoding");
    if (*body == 0 || strncmp(body, "HTTP/1.1 ", 9) == 0)
        return body;
    if (coding != NULL) {
        const char *last = strstr(body, "0\r\n\r\n");
        return last == NULL ? NULL : last + 5;
    }
    CHECK(length != NULL);
    const uint64_t bytes = strtoull(length, NULL, 10);
    return strlen(body) < bytes ? NULL : body + bytes;
}

/* A refusal of ours is an object of JSON; what the handler says is text. */
static void check_body(const struct http_response *response, const char *body, const char *end)
{
    struct json_document *document;
    struct weir_error err = {0};
    const char *type = http_response_header(response, "Content-Type");
    if (response->status == 100 || end == body)
        return;
    CHECK(type != NULL);
    if (response->status == 404 && strcmp(type, "text/plain") == 0)
        return;
    CHECK(strcmp(type, "application/json; charset=utf-8") == 0);
    CHECK_OK(json_open(&document, body, (size_t)(end - body), "a refusal", &err), &err);
    CHECK(json_root(document)->kind == JSON_OBJECT);
    json_close(document);
}

/* All that came is responses, one behind the other; the last may end early, where the client was
 * gone before. */
static void check_answers(const char *at)
{
    while (*at != 0) {
        struct http_response response = {.status = 0};
        const char *head = strstr(at, "\r\n\r\n");
        if (head == NULL)
            return;
        bytes_add(&response.head, at, (uint64_t)(head - at) + 4);
        CHECK(strncmp(at, "HTTP/1.1 ", 9) == 0);
        response.status = (unsigned)strtoul(at + 9, NULL, 10);
        const char *end = body_end(&response, head + 4);
        if (end != NULL && response.status != 200)
            check_body(&response, head + 4, end);
        bytes_release(&response.head);
        at = end == NULL ? "" : end;
    }
}

/* In two parts, so that the server meets an end within anything; then the connection ends. */
static void meet(const struct http_host *host, const struct garbage *g, struct draws *draws)
{
    struct http_client client;
    struct bytes said = {0};
    char piece[4096];
    ssize_t length;
    const size_t cut = draw(draws, (uint32_t)g->length + 1);
    http_client_open(&client, host->port);
    if (http_client_send(&client, g->bytes, cut))
        http_client_send(&client, g->bytes + cut, g->length - cut);
    shutdown(client.fd, SHUT_WR);
    bytes_add_text(&said, "");
    while ((length = recv(client.fd, piece, sizeof piece, 0)) > 0)
        bytes_add(&said, piece, (size_t)length);
    CHECK(length == 0 || (errno != EAGAIN && errno != EWOULDBLOCK)); /* it did not hang */
    CHECK(!said.has_failed);
    for (uint64_t i = 0; i < said.length; i++)
        said.data[i] = said.data[i] == 0 ? '0' : said.data[i]; /* what was echoed */
    check_answers(said.data);
    bytes_release(&said);
    http_client_close(&client);
}

TEST(http_garbage)
{
    struct http_host host;
    struct draws draws = {.key = rng_key(test_seed(), 0)};
    struct garbage garbage;
    http_host_init(&host);
    host.options.body_max = 1024;
    http_host_open(&host);
    for (int i = 0; i < CASES; i++) {
        make(&garbage, &draws);
        meet(&host, &garbage, &draws);
        if (i % 50 != 0)
            continue;
        struct http_response response =
            http_client_ask(host.port, "GET /open HTTP/1.1\r\nHost: a\r\n\r\n");
        CHECK_INT(response.status, 200);
        http_response_release(&response);
    }
    http_host_close(&host);
}
