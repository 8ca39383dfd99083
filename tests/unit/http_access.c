/* SPDX-License-Identifier: MIT
 * Keys, prefixes and origins. Run alone: build/tests/weir-test http_access */
#include "serve/http_access.h"

#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "http_client.h"
#include "http_host.h"

static const char *const keys[] = {"k1", "another-key", "k1-longer"};

static void open_access(struct http_access *access, const struct http_options *options)
{
    struct weir_error err = {0};
    *access = (struct http_access){.keys = NULL};
    CHECK_OK(http_access_init(access, options, &err), &err);
}

TEST(http_access_keys)
{
    char longest[HTTP_KEY_MAX + 1], too_long[HTTP_KEY_MAX + 2];
    memset(longest, 'k', sizeof longest - 1);
    memset(too_long, 'k', sizeof too_long - 1);
    longest[sizeof longest - 1] = too_long[sizeof too_long - 1] = 0;
    const char *const all[] = {keys[0], keys[1], keys[2], longest};
    const struct {
        const char *authorization, *api_key;
        bool is_allowed;
    } cases[] = {
        {NULL, NULL, false},
        {"", "", false},
        {"Bearer", NULL, false},
        {"Bearer ", NULL, false},
        {"Bearer k1", NULL, true},
        {"bearer   k1", NULL, true},
        {"k1", NULL, true},
        {"Basic k1", NULL, false},
        {"Bearer k", NULL, false},
        {"Bearer k2", NULL, false},
        {"Bearer k1 ", NULL, false},
        {"Bearer K1", NULL, false},
        {"Bearer k1-longe", NULL, false},
        {"Bearer k1-longer", NULL, true},
        {NULL, "another-key", true},
        {NULL, "Bearer another-key", false},
        {"Bearer wrong", "k1", true},
        {"Bearer k1", "wrong", true},
        {NULL, longest, true},
        {NULL, too_long, false},
        {too_long, NULL, false},
    };
    struct http_access access;
    open_access(&access, &(struct http_options){.keys = all, .keys_count = 4});
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (http_access_allows(&access, cases[i].authorization, cases[i].api_key) !=
            cases[i].is_allowed)
            test_fail(__FILE__, __LINE__, "case %zu", i);
    }
    http_access_release(&access);
    open_access(&access, &(struct http_options){.keys_count = 0});
    CHECK(http_access_allows(&access, NULL, NULL));
    CHECK(http_access_allows(&access, "Bearer any", "any"));
    http_access_release(&access);
}

TEST(http_access_options_that_are_none)
{
    char too_long[HTTP_KEY_MAX + 2] = "";
    memset(too_long, 'k', sizeof too_long - 1);
    const char *const empty[] = {"k1", ""}, *const large[] = {too_long};
    const struct http_options cases[] = {
        {.keys = empty, .keys_count = 2},
        {.keys = large, .keys_count = 1},
        {.prefix = "api"},
        {.cors_origins = "http://a\r\nX: y"},
        {.cors_methods = "GET\n"},
        {.cors_headers = "a\rb"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http_access access = {.keys = NULL};
        CHECK_INT(http_access_init(&access, &cases[i], NULL), WEIR_ERR_ARGUMENT);
        http_access_release(&access);
    }
}

TEST(http_access_prefix)
{
    static const struct {
        const char *prefix, *path, *expected;
    } cases[] = {
        {NULL, "/a", "/a"},       {"", "/a/b", "/a/b"},    {"/", "/a", "/a"},
        {"/api", "/api/a", "/a"}, {"/api/", "/api/", "/"}, {"/api", "/api", "/"},
        {"/api", "/apia", NULL},  {"/api", "/a", NULL},    {"/api", "/API/a", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http_access access;
        open_access(&access, &(struct http_options){.prefix = cases[i].prefix});
        const char *path = http_access_path(&access, cases[i].path);
        CHECK((path == NULL) == (cases[i].expected == NULL));
        if (path != NULL)
            CHECK_TEXT(path, cases[i].expected);
        http_access_release(&access);
    }
}

TEST(http_access_origins)
{
    static const struct {
        const char *list;
        bool credentials;
        const char *origin, *expected;
    } cases[] = {
        {NULL, false, "http://a.b", "*"},
        {"*", false, NULL, "*"},
        {"*", true, "http://a.b", "http://a.b"},
        {"*", true, NULL, "*"},
        {"http://a.b", false, "http://a.b", "http://a.b"},
        {"http://c.d, http://a.b", true, "http://A.b", "http://A.b"},
        {"http://a.b", false, NULL, NULL},
        {"http://a.b", false, "http://a.b.c", NULL},
        {"http://a.b", false, "http://a", NULL},
        {"http://a.b:8080", false, "http://a.b", NULL},
        {"http://a.b", false, "null", NULL},
        {"http://a.b,,", false, "", NULL},
        {"", false, "http://a.b", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http_access access;
        open_access(&access, &(struct http_options){.cors_origins = cases[i].list,
                                                    .cors_credentials = cases[i].credentials});
        const char *origin = http_access_origin(&access, cases[i].origin);
        CHECK((origin == NULL) == (cases[i].expected == NULL));
        if (origin != NULL)
            CHECK_TEXT(origin, cases[i].expected);
        http_access_release(&access);
    }
}

TEST(http_access_local_hosts)
{
    static const struct {
        const char *host;
        bool is_local;
    } cases[] = {
        {"127.0.0.1", true},
        {"127.1.2.3", true},
        {"localhost", true},
        {"::1", true},
        {"/run/a.sock", true},
        {"0.0.0.0", false},
        {"::", false},
        {"192.168.1.1", false},
        {"128.0.0.1", false},
        {"example.org", false},
        {"localhost.example.org", false},
        {".sock", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (http_host_is_local(cases[i].host) != cases[i].is_local)
            test_fail(__FILE__, __LINE__, "%s", cases[i].host);
    }
}

/* By which names a server without keys may be asked. */
TEST(http_access_hosts)
{
    static const struct {
        const char *hosts, *origins, *host; /* of the list, of pages, of the request */
        bool is_strange;
    } cases[] = {
        {NULL, "*", "localhost", false},
        {NULL, "*", "LocalHost.:8080", false},
        {NULL, "*", "a.localhost:80", false},
        {NULL, "*", "127.0.0.1:8080", false},
        {NULL, "*", "127.9.9.9", false},
        {NULL, "*", "[::1]:8080", false},
        {NULL, "*", "192.168.1.2:8080", false}, /* of a forwarder: no name resolves to it */
        {NULL, "*", "weir.test:8080", false},   /* that of --host */
        {NULL, "*", NULL, false},
        {NULL, "*", "evil.example:8080", true},
        {NULL, "*", "evil.example", true},
        {NULL, "*", "", true},
        {NULL, "*", ":80", true},
        {NULL, "*", "localhost.evil.example", true},
        {NULL, "*", "evillocalhost", true},
        {NULL, "*", ".localhost", true},
        {NULL, "*", "127.0.0.1.evil.example", true},
        {NULL, "*", "[127.0.0.1]", true},
        {NULL, "*", "[::1", true},
        {NULL, "*", "[]", true},
        {NULL, "*", "[::1]a", true},
        {NULL, "*", "[a.localhost", true},
        {NULL, "*", "::1", true},
        {NULL, "https://a.b:90, http://c", "A.B", false},
        {NULL, "https://a.b:90, http://c", "c:8080", false},
        {NULL, "https://a.b:90, http://c", "b", true},
        {"a.b, c:80", "*", "c", false},
        {"a.b, c:80", "*", "a.b.", false},
        {"a.b, c:80", "*", "a", true},
        {"", "*", "localhost", false},
        {"", "*", "a", true},
        {"*", "http://c", "evil.example", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http_access access;
        open_access(&access, &(struct http_options){.host = "weir.test",
                                                    .allowed_hosts = cases[i].hosts,
                                                    .cors_origins = cases[i].origins});
        http_access_watch(&access, true);
        if (http_access_is_strange(&access, cases[i].host) != cases[i].is_strange)
            test_fail(__FILE__, __LINE__, "case %zu: %s", i, cases[i].host);
        http_access_release(&access);
    }
}

/* Who has a key, or is another machine, may call it as it likes, unless names are listed. */
TEST(http_access_hosts_by_doors)
{
    static const struct {
        const char *hosts;
        uint32_t keys_count;
        bool is_loopback, is_strange;
    } cases[] = {
        {NULL, 0, true, true}, {NULL, 1, true, false}, {NULL, 0, false, false},
        {"b", 1, false, true}, {"*", 0, true, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http_access access;
        open_access(&access, &(struct http_options){.allowed_hosts = cases[i].hosts,
                                                    .keys = keys,
                                                    .keys_count = cases[i].keys_count});
        http_access_watch(&access, cases[i].is_loopback);
        CHECK_INT(http_access_is_strange(&access, "a"), cases[i].is_strange);
        http_access_release(&access);
    }
}

static void init_scenario(void *argument)
{
    struct http_access access = {.keys = NULL};
    struct weir_error err = {0};
    const enum weir_status status = http_access_init(&access, argument, &err);
    CHECK_INT(status, alloc_failed() ? WEIR_ERR_MEMORY : WEIR_OK);
    http_access_release(&access);
}

TEST(http_access_without_memory)
{
    struct http_options options = {
        .keys = keys, .keys_count = 3, .prefix = "/api", .allowed_hosts = "a"};
    alloc_test(init_scenario, &options);
}

/* ---- over a connection ----------------------------------------------------------------------- */

static void check_status(uint16_t port, const char *request, unsigned status)
{
    struct http_response response = http_client_ask(port, request);
    if (response.status != status)
        test_fail(__FILE__, __LINE__, "%.60s...: %u, expected %u", request, response.status,
                  status);
    if (status == 401) {
        CHECK_TEXT(response.body.data, "{\"error\":{\"message\":\"Invalid API Key\",\"type\":"
                                       "\"authentication_error\",\"code\":401}}");
        CHECK_TEXT(http_response_header(&response, "WWW-Authenticate"), "Bearer");
    }
    http_response_release(&response);
}

TEST(http_access_of_requests)
{
    static const struct {
        const char *request;
        unsigned status;
    } cases[] = {
        {"GET /api/open HTTP/1.1\r\nHost: a\r\n\r\n", 200},
        {"HEAD /api/open HTTP/1.1\r\nHost: a\r\n\r\n", 200},
        {"POST /api/open HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", 401},
        {"GET /api/echo HTTP/1.1\r\nHost: a\r\n\r\n", 401},
        {"GET /api/echo HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer k2\r\n\r\n", 401},
        {"GET /api/echo HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer k1\r\n\r\n", 200},
        {"GET /api/echo HTTP/1.1\r\nHost: a\r\nx-api-key: another-key\r\n\r\n", 200},
        {"GET /open HTTP/1.1\r\nHost: a\r\n\r\n", 401},
        {"GET /open HTTP/1.1\r\nHost: a\r\nX-Api-Key: k1\r\n\r\n", 404},
        {"POST /api/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", 401},
        {"POST /api/echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
         "Content-Length: 5\r\n\r\n",
         401},
        {"OPTIONS /api/echo HTTP/1.1\r\nHost: a\r\n\r\n", 200},
    };
    struct http_host host;
    http_host_init(&host);
    host.options.keys = keys;
    host.options.keys_count = 3;
    host.options.prefix = "/api";
    http_host_open(&host);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_status(host.port, cases[i].request, cases[i].status);
    CHECK_INT(atomic_load(&host.handled), 4);
    http_host_close(&host);
}

TEST(http_access_preflight)
{
    struct http_host host;
    http_host_init(&host);
    host.options.keys = keys;
    host.options.keys_count = 1;
    host.options.cors_origins = "http://a.b";
    host.options.cors_methods = "GET, POST";
    host.options.cors_headers = "X-A, X-B";
    host.options.cors_credentials = true;
    http_host_open(&host);
    struct http_response response =
        http_client_ask(host.port, "OPTIONS /echo HTTP/1.1\r\nHost: a\r\nOrigin: http://a.b\r\n"
                                   "Access-Control-Request-Method: POST\r\n\r\n");
    CHECK_INT(response.status, 200);
    CHECK_INT(response.body.length, 0);
    CHECK_TEXT(http_response_header(&response, "Access-Control-Allow-Origin"), "http://a.b");
    CHECK_TEXT(http_response_header(&response, "Access-Control-Allow-Credentials"), "true");
    CHECK_TEXT(http_response_header(&response, "Access-Control-Allow-Methods"), "GET, POST");
    CHECK_TEXT(http_response_header(&response, "Access-Control-Allow-Headers"), "X-A, X-B");
    CHECK_TEXT(http_response_header(&response, "Vary"), "Origin");
    http_response_release(&response);
    response =
        http_client_ask(host.port, "GET /open HTTP/1.1\r\nHost: a\r\nOrigin: http://c\r\n\r\n");
    CHECK_INT(response.status, 403);
    CHECK(http_response_header(&response, "Access-Control-Allow-Origin") == NULL);
    http_response_release(&response);
    http_host_close(&host);
}

/* What needs no key is told only if it fails; a preflight needs none. */
TEST(http_access_log)
{
    static const struct {
        const char *request;
        unsigned status, told;
    } cases[] = {
        {"GET /echo HTTP/1.1\r\nHost: a\r\nX-Api-Key: k1\r\n\r\n", 200, 1},
        {"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n", 401, 1},
        {"GET /open HTTP/1.1\r\nHost: a\r\n\r\n", 200, 0},
        {"OPTIONS /echo HTTP/1.1\r\nHost: a\r\n\r\n", 200, 0},
        {"OPTIONS /echo HTTP/1.1\r\nHost: a\r\nOrigin: http://c\r\n\r\n", 403, 1},
    };
    struct http_host host;
    http_host_init(&host);
    host.options.keys = keys;
    host.options.keys_count = 1;
    host.options.cors_origins = "http://a.b";
    host.options.access_log = true;
    http_host_open(&host);
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        atomic_store(&host.told, 0);
        check_status(host.port, cases[i].request, cases[i].status);
        http_host_wait(&host.log_lines, i + 1);
        CHECK_INT(atomic_load(&host.told), cases[i].told);
    }
    http_host_close(&host);
}

/* What a page of elsewhere sends is refused, not only kept from it: no handler sees it. */
TEST(http_access_of_pages)
{
    static const struct {
        const char *origin;
        unsigned status;
    } cases[] = {
        {"http://a.b", 200}, {"http://own:80", 200}, {"https://OWN:80", 200},
        {"http://own", 403}, {"http://c", 403},      {"null", 403},
    };
    struct http_host host;
    http_host_init(&host);
    host.options.cors_origins = "http://a.b";
    http_host_open(&host);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char request[256];
        snprintf(request, sizeof request,
                 "POST /open HTTP/1.1\r\nHost: own:80\r\nOrigin: %s\r\nContent-Length: 1\r\n\r\nx",
                 cases[i].origin);
        check_status(host.port, request, cases[i].status);
    }
    CHECK_INT(atomic_load(&host.handled), 3);
    http_host_close(&host);
    http_host_init(&host); /* all origins: none is foreign */
    http_host_open(&host);
    struct http_response response =
        http_client_ask(host.port, "OPTIONS /open HTTP/1.1\r\nHost: a\r\nOrigin: http://c\r\n\r\n");
    CHECK_INT(response.status, 200);
    CHECK(strstr(http_response_header(&response, "Access-Control-Allow-Headers"),
                 "Authorization") != NULL);
    http_response_release(&response);
    http_host_close(&host);
}

/* A page whose name resolves to loopback is of its own origin for a browser, and asks by that name;
 * a proxy's form says it in the first line. */
TEST(http_access_of_rebound_pages)
{
    static const struct {
        const char *request;
        unsigned status;
    } cases[] = {
        {"GET /open HTTP/1.1\r\nHost: localhost:80\r\n\r\n", 200},
        {"GET /open HTTP/1.1\r\nHost: own.example\r\n\r\n", 200},
        {"GET /open HTTP/1.0\r\n\r\n", 200},
        {"GET /open HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403},
        {"POST /echo HTTP/1.1\r\nHost: evil.example\r\nOrigin: http://evil.example\r\n"
         "Content-Length: 1\r\n\r\nx",
         403},
        {"OPTIONS /echo HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403},
        {"GET http://evil.example/open HTTP/1.1\r\nHost: localhost\r\n\r\n", 403},
        {"GET http://localhost/open HTTP/1.1\r\nHost: evil.example\r\n\r\n", 200},
    };
    struct http_host host;
    http_host_init(&host);
    host.options.allowed_hosts = NULL;
    host.options.cors_origins = "https://own.example";
    http_host_open(&host);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_status(host.port, cases[i].request, cases[i].status);
    CHECK_INT(atomic_load(&host.handled), 4);
    struct http_response response = http_client_ask(host.port, cases[3].request);
    CHECK(strstr(response.body.data, "--allowed-hosts") != NULL);
    http_response_release(&response);
    http_host_close(&host);
}
