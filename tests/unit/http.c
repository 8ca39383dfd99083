/* SPDX-License-Identifier: MIT
 * What a server says to clients that behave. Run alone: build/tests/weir-test http_ */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "alloc.h"
#include "base/clock.h"
#include "http_client.h"
#include "http_host.h"

static void check_echo(struct http_client *client, const char *request, const char *expected)
{
    struct http_response response;
    http_client_say(client, request);
    CHECK(http_client_read(client, &response, ""));
    CHECK_INT(response.status, 200);
    CHECK_TEXT(response.body.data, expected);
    CHECK_TEXT(http_response_header(&response, "X-Answer"), "yes");
    CHECK_TEXT(http_response_header(&response, "Content-Type"), "text/plain");
    http_response_release(&response);
}

/* All on one connection: which is kept. */
TEST(http_requests)
{
    static const struct {
        const char *request, *expected;
    } cases[] = {
        {"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n", "GET\n/echo\n-\n-\n"},
        {"GET /echo?q=a%20b+c%26&r=1 HTTP/1.1\r\nHost: a\r\nx-test: 1\r\n\r\n",
         "GET\n/echo\na b c&\n1\n"},
        {"POST /%65cho HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
         "POST\n/echo\n-\n-\nhello"},
        {"PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "PUT\n/echo\n-\n-\n"},
        {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
         "5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\n\r\n",
         "POST\n/echo\n-\n-\nhello, world"},
        {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         "POST\n/echo\n-\n-\n"},
    };
    struct http_host host;
    struct http_client client;
    http_host_init(&host);
    http_host_open(&host);
    http_client_open(&client, host.port);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_echo(&client, cases[i].request, cases[i].expected);
    http_client_close(&client);
    http_host_wait(&host.log_lines, sizeof cases / sizeof cases[0]);
    http_host_close(&host);
}

/* Two requests in one packet, a request in pieces. */
TEST(http_pieces)
{
    struct http_host host;
    struct http_client client;
    struct http_response response;
    http_host_init(&host);
    http_host_open(&host);
    http_client_open(&client, host.port);
    http_client_say(&client, "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n"
                             "GET /open HTTP/1.1\r\nHost: a\r\n\r\n");
    for (int i = 0; i < 2; i++) {
        CHECK(http_client_read(&client, &response, ""));
        CHECK_TEXT(response.body.data, i == 0 ? "GET\n/echo\n-\n-\n" : "GET\n/open\n-\n-\n");
        http_response_release(&response);
    }
    static const char request[] =
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    for (size_t i = 0; i < sizeof request - 1; i++)
        CHECK(http_client_send(&client, request + i, 1));
    CHECK(http_client_read(&client, &response, ""));
    CHECK_TEXT(response.body.data, "POST\n/echo\n-\n-\nabcde");
    http_response_release(&response);
    http_client_close(&client);
    http_host_close(&host);
}

TEST(http_head_has_no_body)
{
    struct http_host host;
    struct http_client client;
    struct http_response response;
    http_host_init(&host);
    http_host_open(&host);
    http_client_open(&client, host.port);
    http_client_say(&client, "HEAD /echo HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(http_client_read(&client, &response, "HEAD"));
    CHECK_INT(response.status, 200);
    CHECK_TEXT(http_response_header(&response, "Content-Length"), "14");
    http_response_release(&response);
    check_echo(&client, "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n", "GET\n/echo\n-\n-\n");
    http_client_say(&client, "HEAD /stream?n=3 HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(http_client_read(&client, &response, "HEAD"));
    CHECK_INT(response.status, 200);
    CHECK_TEXT(http_response_header(&response, "Connection"), "close");
    http_response_release(&response);
    http_host_wait(&host.closed, 1);
    http_client_close(&client);
    http_host_close(&host);
}

/* A client that asks before it sends a body is told to go on. */
TEST(http_expect_continue)
{
    struct http_host host;
    struct http_client client;
    struct http_response response;
    http_host_init(&host);
    http_host_open(&host);
    http_client_open(&client, host.port);
    http_client_say(&client, "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                             "Content-Length: 2\r\n\r\n");
    CHECK(http_client_read(&client, &response, ""));
    CHECK_INT(response.status, 100);
    http_response_release(&response);
    check_echo(&client, "ok", "POST\n/echo\n-\n-\nok");
    http_client_close(&client);
    http_host_close(&host);
}

TEST(http_large_bodies_both_ways)
{
    enum { BYTES = 1 << 20 };
    struct http_host host;
    struct http_client client;
    struct http_response response;
    http_host_init(&host);
    http_host_open(&host);
    http_client_open(&client, host.port);
    char *body = malloc(BYTES);
    CHECK(body != NULL);
    for (size_t i = 0; i < BYTES; i++)
        body[i] = (char)('a' + i % 23);
    http_client_say(&client, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1048576\r\n\r\n");
    CHECK(http_client_send(&client, body, BYTES));
    CHECK(http_client_read(&client, &response, ""));
    CHECK(response.is_whole);
    CHECK_INT(response.body.length, BYTES + 15);
    CHECK(memcmp(response.body.data + 15, body, BYTES) == 0);
    http_response_release(&response);
    free(body);
    http_client_close(&client);
    http_host_close(&host);
}

/* ---- streams --------------------------------------------------------------------------------- */

TEST(http_stream_comes_piece_by_piece)
{
    struct http_host host;
    struct http_client client;
    struct http_response response;
    http_host_init(&host);
    http_host_open(&host);
    http_client_open(&client, host.port);
    for (int round = 0; round < 2; round++) {
        http_client_say(&client, "GET /stream?n=5 HTTP/1.1\r\nHost: a\r\n\r\n");
        CHECK(http_client_read(&client, &response, ""));
        CHECK_INT(response.status, 200);
        CHECK(response.is_whole);
        CHECK_TEXT(response.body.data, "piece 0\npiece 1\npiece 2\npiece 3\npiece 4\n");
        CHECK_TEXT(http_response_header(&response, "Content-Type"), "text/event-stream");
        CHECK_TEXT(http_response_header(&response, "X-Accel-Buffering"), "no");
        http_response_release(&response);
    }
    http_client_close(&client);
    http_host_close(&host);
}

/* Until the head of a stream without pieces is there. */
static uint64_t head_ms(const struct http_host *host)
{
    struct http_client client;
    char line[256];
    http_client_open(&client, host->port);
    const uint64_t start = clock_ns();
    http_client_say(&client, "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
    do
        CHECK(http_client_line(&client, line, sizeof line));
    while (line[0] != 0);
    const uint64_t ms = (clock_ns() - start) / 1000000;
    http_client_close(&client);
    return ms;
}

/* The head comes before there is a first piece. Linux holds back for 200 ms what is marked as more
 * to come; a busy machine is slow now and then. */
TEST(http_stream_head_comes_at_once)
{
    struct http_host host;
    uint64_t best = UINT64_MAX;
    http_host_init(&host);
    http_host_open(&host);
    for (unsigned i = 0; i < 5 && best >= 150; i++) {
        const uint64_t ms = head_ms(&host);
        best = ms < best ? ms : best;
        http_host_wait(&host.closed, i + 1);
    }
    CHECK(best < 150);
    http_host_close(&host);
}

TEST(http_stream_that_breaks_is_not_whole)
{
    struct http_host host;
    struct http_client client;
    struct http_response response;
    http_host_init(&host);
    http_host_open(&host);
    http_client_open(&client, host.port);
    http_client_say(&client, "GET /break HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(http_client_read(&client, &response, ""));
    CHECK(!response.is_whole);
    CHECK_TEXT(response.body.data, "piece 0\n");
    http_response_release(&response);
    http_client_close(&client);
    http_host_close(&host);
}

/* ---- clients that go ------------------------------------------------------------------------- */

TEST(http_client_that_goes_is_noticed)
{
    struct http_host host;
    struct http_client client;
    http_host_init(&host);
    http_host_open(&host);
    http_client_open(&client, host.port);
    http_client_say(&client, "GET /busy HTTP/1.1\r\nHost: a\r\n\r\n");
    http_host_wait(&host.handled, 1);
    http_client_close(&client);
    http_host_wait(&host.noticed, 1);
    /* also behind a request that was sent ahead */
    http_client_open(&client, host.port);
    http_client_say(&client, "GET /busy HTTP/1.1\r\nHost: a\r\n\r\nGET /echo HTTP/1.1\r\n");
    http_host_wait(&host.handled, 2);
    http_client_close(&client);
    http_host_wait(&host.noticed, 2);
    /* within a stream, whose source is closed, with a reset too */
    const struct linger reset = {.l_onoff = 1};
    for (unsigned i = 1; i <= 4; i++) {
        http_client_open(&client, host.port);
        http_client_say(&client, i % 2 == 0 ? "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n"
                                            : "GET /bulk?n=1000000 HTTP/1.1\r\nHost: a\r\n\r\n");
        http_host_wait(&host.opened, i);
        if (i > 2)
            setsockopt(client.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        http_client_close(&client);
        http_host_wait(&host.closed, i);
    }
    http_host_close(&host);
}

/* ---- the end of a server --------------------------------------------------------------------- */

TEST(http_quiesce_lets_requests_end)
{
    struct http_host host;
    struct http_client streaming, idle, late;
    struct http_response response;
    http_host_init(&host);
    http_host_open(&host);
    http_client_open(&idle, host.port);
    check_echo(&idle, "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n", "GET\n/echo\n-\n-\n");
    http_client_open(&streaming, host.port);
    http_client_say(&streaming, "GET /stream?n=10 HTTP/1.1\r\nHost: a\r\n\r\n");
    http_host_wait(&host.opened, 1);
    http_quiesce(host.server);
    CHECK(http_client_is_closed(&idle, 5000));
    http_client_close(&idle);
    CHECK(http_client_read(&streaming, &response, ""));
    CHECK(response.is_whole);
    http_response_release(&response);
    CHECK(http_client_is_closed(&streaming, 5000));
    http_client_close(&streaming);
    http_host_close(&host);
    /* the port is free: another server has it at once */
    http_host_init(&host);
    http_host_open(&host);
    http_client_open(&late, host.port);
    check_echo(&late, "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n", "GET\n/echo\n-\n-\n");
    http_client_close(&late);
    http_host_close(&host);
}

TEST(http_close_cuts_streams)
{
    struct http_host host;
    struct http_client waiting, bulk;
    http_host_init(&host);
    http_host_open(&host);
    http_client_open(&waiting, host.port);
    http_client_say(&waiting, "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
    http_client_open(&bulk, host.port);
    http_client_say(&bulk, "GET /bulk?n=1000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    http_host_wait(&host.opened, 2);
    const uint64_t start = clock_ns();
    http_host_close(&host);
    CHECK(clock_ns() - start < 5000000000);
    http_client_close(&waiting);
    http_client_close(&bulk);
}

/* ---- where a server listens ------------------------------------------------------------------ */

TEST(http_unix_socket)
{
    struct http_host host, other;
    struct http_client client;
    struct weir_error err = {0};
    struct stat info;
    http_host_init(&host);
    host.options.host = test_scratch("a.sock");
    http_host_open(&host);
    CHECK_INT(host.port, 0);
    http_client_open_path(&client, host.options.host);
    check_echo(&client, "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n", "GET\n/echo\n-\n-\n");
    http_client_close(&client);
    http_host_init(&other);
    other.options.host = host.options.host;
    CHECK_INT(http_open(&other.server, &other.options, &err), WEIR_ERR_ARGUMENT);
    CHECK(strstr(err.text, "another server") != NULL);
    http_host_close(&host);
    CHECK(lstat(other.options.host, &info) != 0);
    /* what a server that was killed has left is replaced, anything else is not */
    http_host_open(&other);
    const char *kept = test_scratch("b.sock");
    CHECK(rename(other.options.host, kept) == 0);
    http_host_close(&other);
    http_host_init(&other);
    other.options.host = kept;
    http_host_open(&other);
    http_host_close(&other);
    FILE *file = fopen(kept, "w");
    CHECK(file != NULL && fclose(file) == 0);
    err = (struct weir_error){0};
    CHECK_INT(http_open(&other.server, &other.options, &err), WEIR_ERR_ARGUMENT);
    CHECK(lstat(kept, &info) == 0);
}

/* A server that is too busy to take more is one, and is not replaced. */
TEST(http_unix_socket_of_a_busy_server)
{
    struct http_host host;
    struct weir_error err = {0};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = test_scratch("busy.sock");
    int asking = 0;
    memcpy(address.sun_path, path, strlen(path));
    const int busy = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(bind(busy, (const struct sockaddr *)&address, sizeof address) == 0);
    CHECK(listen(busy, 0) == 0);
    int clients[8];
    for (bool is_taken = true; is_taken; asking++) {
        CHECK(asking < 8);
        clients[asking] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        is_taken = connect(clients[asking], (const struct sockaddr *)&address, sizeof address) == 0;
    }
    http_host_init(&host);
    host.options.host = path;
    CHECK_INT(http_open(&host.server, &host.options, &err), WEIR_ERR_ARGUMENT);
    CHECK(strstr(err.text, "another server listens there") != NULL);
    while (asking > 0)
        close(clients[--asking]);
    close(busy);
}

/* In the thread that calls it, chmod is refused from here on; fchmod is not. False: this system
 * cannot do so. */
static bool forbid_chmod(void)
{
    static struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
#ifdef __NR_chmod
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_chmod, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
#endif
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_fchmodat, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {sizeof steps / sizeof steps[0], steps};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

struct forbidden {
    struct http_host host;
    struct weir_error err;
    bool is_forbidden;
    enum weir_status status;
};

static void *open_forbidden(void *argument)
{
    struct forbidden *forbidden = argument;
    forbidden->is_forbidden = forbid_chmod();
    if (forbidden->is_forbidden)
        forbidden->status =
            http_open(&forbidden->host.server, &forbidden->host.options, &forbidden->err);
    return NULL;
}

/* Where the path's mode cannot be set, no path is left. */
TEST(http_unix_socket_without_its_mode)
{
    struct forbidden forbidden = {0};
    struct stat info;
    pthread_t thread;
    http_host_init(&forbidden.host);
    forbidden.host.options.host = test_scratch("forbidden.sock");
    CHECK(pthread_create(&thread, NULL, open_forbidden, &forbidden) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    if (!forbidden.is_forbidden)
        test_skip("no filter of system calls here");
    CHECK_INT(forbidden.status, WEIR_ERR_IO);
    CHECK(strstr(forbidden.err.text, "cannot listen: ") != NULL);
    CHECK(lstat(forbidden.host.options.host, &info) != 0);
}

TEST(http_addresses_that_cannot_be_had)
{
    static const struct {
        const char *host;
        enum weir_status status;
    } cases[] = {
        {"999.1.1.1", WEIR_ERR_ARGUMENT},
        {"203.0.113.1", WEIR_ERR_IO}, /* of nobody: RFC 5737 */
        {"/nowhere/at/all/a.sock", WEIR_ERR_IO},
    };
    struct http_host host, other;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct weir_error err = {0};
        http_host_init(&host);
        host.options.host = cases[i].host;
        CHECK_INT(http_open(&host.server, &host.options, &err), cases[i].status);
        CHECK(host.server == NULL);
        CHECK(strstr(err.text, cases[i].host) != NULL);
    }
    struct weir_error err = {0};
    http_host_init(&host);
    http_host_open(&host);
    http_host_init(&other);
    other.options.port = host.port;
    CHECK_INT(http_open(&other.server, &other.options, &err), WEIR_ERR_IO);
    other.options.reuse_port = true;
    CHECK_INT(http_open(&other.server, &other.options, NULL), WEIR_ERR_IO);
    http_host_close(&host);
    host.options.reuse_port = true;
    http_host_open(&host);
    other.options.port = host.port;
    http_host_open(&other);
    CHECK_INT(other.port, host.port);
    http_host_close(&other);
    http_host_close(&host);
}

static void open_scenario(void *argument)
{
    struct http_host *host = argument;
    struct weir_error err = {0};
    const enum weir_status status = http_open(&host->server, &host->options, &err);
    CHECK_INT(status, alloc_failed() ? WEIR_ERR_MEMORY : WEIR_OK);
    CHECK_INT(err.status, status);
    http_close(host->server);
}

TEST(http_open_without_memory)
{
    static const char *const keys[] = {"one", "two"};
    struct http_host host;
    http_host_init(&host);
    host.options.keys = keys;
    host.options.keys_count = 2;
    host.options.prefix = "/api";
    alloc_test(open_scenario, &host);
}

/* ---- without memory -------------------------------------------------------------------------- */

/* Asks, and reads up to the end of the connection. Takes no memory itself. */
static void ask_raw(uint16_t port, const char *request, char *answer, size_t size)
{
    struct http_client client;
    size_t length = 0;
    ssize_t more = 1;
    http_client_open(&client, port);
    http_client_send(&client, request, strlen(request)); /* may be closed already */
    while (more > 0 && length < size - 1) {
        more = recv(client.fd, answer + length, size - 1 - length, 0);
        length += more > 0 ? (size_t)more : 0;
    }
    answer[length] = 0;
    http_client_close(&client);
}

/* A request that there is no memory for ends with an error, or its connection does; the server goes
 * on. */
static void request_scenario(void *argument)
{
    struct http_host host;
    struct weir_error err = {0};
    char answer[2048];
    http_host_init(&host);
    if (http_open(&host.server, &host.options, &err) != WEIR_OK) {
        CHECK(alloc_failed());
        return;
    }
    ask_raw(http_port(host.server), argument, answer, sizeof answer);
    const bool is_fine = strncmp(answer, "HTTP/1.1 200 ", 13) == 0;
    CHECK(is_fine || alloc_failed());
    CHECK(is_fine || answer[0] == 0 || strncmp(answer, "HTTP/1.1 500 ", 13) == 0);
    if (alloc_failed()) {
        ask_raw(http_port(host.server), argument, answer, sizeof answer);
        CHECK(strncmp(answer, "HTTP/1.1 200 ", 13) == 0);
    }
    http_host_close(&host);
}

TEST(http_requests_without_memory)
{
    static char requests[][128] = {
        "POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
        "GET /stream?n=2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++)
        alloc_test(request_scenario, requests[i]);
}
