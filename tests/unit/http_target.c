/* SPDX-License-Identifier: MIT
 * What first lines of requests ask for. Run alone: build/tests/weir-test http_target */
#include "serve/http_target.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "http_client.h"
#include "http_host.h"

TEST(http_target_forms)
{
    static const struct {
        const char *text, *path, *authority; /* path NULL: it is none */
    } cases[] = {
        {"/", "/", NULL},
        {"/a/b?c=d", "/a/b", NULL},
        {"/?", "/", NULL},
        {"/%61%2Fb%3f", "/a/b?", NULL},
        {"//a", "//a", NULL},
        {"http://a", "/", "a"},
        {"http://a:80?b", "/", "a:80"},
        {"HTTPS://[::1]:8080/a%20b?c", "/a b", "[::1]:8080"},
        {"", NULL, NULL},
        {"a", NULL, NULL},
        {"*", NULL, NULL},
        {"a:80", NULL, NULL},
        {"ftp://a/b", NULL, NULL},
        {"http://", NULL, NULL},
        {"http:///a", NULL, NULL},
        {"http://u@a/b", NULL, NULL},
        {"http://a%2eb/c", NULL, NULL},
        {"/a%", NULL, NULL},
        {"/a%6", NULL, NULL},
        {"/a%6g", NULL, NULL},
        {"/a%00", NULL, NULL},
        {"/a?b=%00", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http_target target = {0};
        struct weir_error err = {0};
        CHECK_OK(http_target_read(&target, cases[i].text, &err), &err);
        CHECK(!target.is_long);
        if (target.is_bad != (cases[i].path == NULL))
            test_fail(__FILE__, __LINE__, "'%s'", cases[i].text);
        CHECK_TEXT(target.path, cases[i].path == NULL ? "" : cases[i].path);
        if (cases[i].authority != NULL)
            CHECK_TEXT(target.authority, cases[i].authority);
        else
            CHECK(target.is_bad || target.authority == NULL);
        http_target_release(&target);
    }
}

static void read_scenario(void *argument)
{
    struct http_target target = {0};
    const enum weir_status status = http_target_read(&target, argument, NULL);
    CHECK_INT(status, alloc_failed() ? WEIR_ERR_MEMORY : WEIR_OK);
    http_target_release(&target);
}

TEST(http_target_without_memory)
{
    char text[] = "http://a/b%20c";
    alloc_test(read_scenario, text);
}

/* ---- over a connection ----------------------------------------------------------------------- */

static void check_status(const struct http_host *host, const void *request, size_t length,
                         unsigned status)
{
    struct http_client client;
    struct http_response response;
    http_client_open(&client, host->port);
    CHECK(http_client_send(&client, request, length));
    CHECK(http_client_read(&client, &response, ""));
    if (response.status != status)
        test_fail(__FILE__, __LINE__, "%.40s...: %u, expected %u", (const char *)request,
                  response.status, status);
    http_response_release(&response);
    http_client_close(&client);
}

/* As a client of a proxy asks, which this server may be taken for. */
TEST(http_target_absolute)
{
    struct http_host host;
    http_host_init(&host);
    host.options.prefix = "/api";
    http_host_open(&host);
    struct http_response response = http_client_ask(
        host.port, "GET http://b/api/%65cho?q=1 HTTP/1.1\r\nHost: a\r\nX-Test: x\r\n\r\n");
    CHECK_INT(response.status, 200);
    CHECK_TEXT(response.body.data, "GET\n/echo\n1\nx\n");
    http_response_release(&response);
    http_host_close(&host);
}

#define REQUEST(text)                                                                              \
    {                                                                                              \
        text, sizeof text - 1                                                                      \
    }

/* What stands behind a zero is not seen by who reads texts. */
TEST(http_target_zeros)
{
    static const struct {
        const char *bytes;
        size_t length;
    } requests[] = {
        REQUEST("GET /open\0 HTTP/1.1\r\nHost: a\r\n\r\n"),
        REQUEST("GET /open\0/secret HTTP/1.1\r\nHost: a\r\n\r\n"),
        REQUEST("GET /open?q=1\0 HTTP/1.1\r\nHost: a\r\n\r\n"),
        REQUEST("GET\0X /open HTTP/1.1\r\nHost: a\r\n\r\n"),
        REQUEST("GET  /open HTTP/1.1\r\nHost: a\r\n\r\n"),
    };
    struct http_host host;
    http_host_init(&host);
    http_host_open(&host);
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++)
        check_status(&host, requests[i].bytes, requests[i].length, 400);
    CHECK_INT(atomic_load(&host.handled), 0);
    http_host_close(&host);
}

/* The limit is that of the target to the byte. */
TEST(http_target_limit)
{
    static const char before[] = "GET /open?x=", behind[] = " HTTP/1.1\r\nHost: a\r\n\r\n";
    static const size_t fixed = sizeof "/open?x=" - 1;
    static const struct {
        size_t length;
        unsigned status;
    } cases[] = {
        {HTTP_TARGET_MAX, 200},
        {HTTP_TARGET_MAX + 1, 414},
        {HTTP_TARGET_MAX + 1000000 - (64 << 10), 414},
    };
    struct http_host host;
    http_host_init(&host);
    http_host_open(&host);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const size_t filled = cases[i].length - fixed;
        char *request = malloc(cases[i].length + sizeof before + sizeof behind);
        CHECK(request != NULL);
        memcpy(request, before, sizeof before - 1);
        memset(request + sizeof before - 1, 'x', filled);
        memcpy(request + sizeof before - 1 + filled, behind, sizeof behind);
        check_status(&host, request, sizeof before - 1 + filled + sizeof behind - 1,
                     cases[i].status);
        free(request);
    }
    http_host_close(&host);
}
