/* SPDX-License-Identifier: MIT
 * Sockets of a client. Knows the server's port, and nothing else of it. */
#include "http_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PATIENCE_S = 20 };

static void begin(struct http_client *client, int domain, const struct sockaddr *address,
                  socklen_t length)
{
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    *client = (struct http_client){.fd = socket(domain, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    CHECK(client->fd >= 0);
    setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(client->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    CHECK(connect(client->fd, address, length) == 0);
}

void http_client_open(struct http_client *client, uint16_t port)
{
    const struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    begin(client, AF_INET, (const struct sockaddr *)&to, sizeof to);
}

bool http_client_open_far(struct http_client *client, uint16_t port)
{
    struct ifaddrs *all;
    struct sockaddr_in to = {.sin_family = AF_UNSPEC};
    CHECK(getifaddrs(&all) == 0);
    for (const struct ifaddrs *one = all; one != NULL; one = one->ifa_next) {
        if (one->ifa_addr == NULL || one->ifa_addr->sa_family != AF_INET ||
            (one->ifa_flags & IFF_LOOPBACK) != 0 || (one->ifa_flags & IFF_UP) == 0)
            continue;
        memcpy(&to, one->ifa_addr, sizeof to);
        to.sin_port = htons(port);
    }
    freeifaddrs(all);
    if (to.sin_family == AF_INET)
        begin(client, AF_INET, (const struct sockaddr *)&to, sizeof to);
    return to.sin_family == AF_INET;
}

void http_client_open_path(struct http_client *client, const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    CHECK(strlen(path) < sizeof to.sun_path);
    memcpy(to.sun_path, path, strlen(path));
    begin(client, AF_UNIX, (const struct sockaddr *)&to, sizeof to);
}

void http_client_close(struct http_client *client)
{
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
    bytes_release(&client->in);
}

bool http_client_send(struct http_client *client, const void *data, size_t length)
{
    const char *at = data;
    while (length > 0) {
        const ssize_t sent = send(client->fd, at, length, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        at += sent;
        length -= (size_t)sent;
    }
    return true;
}

void http_client_say(struct http_client *client, const char *text)
{
    CHECK(http_client_send(client, text, strlen(text)));
}

/* Receives more; false at the end of the stream. */
static bool receive(struct http_client *client)
{
    char piece[16384];
    const ssize_t length = recv(client->fd, piece, sizeof piece, 0);
    if (length < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        test_fail(__FILE__, __LINE__, "no answer within %d s", PATIENCE_S);
    if (length <= 0)
        return false;
    bytes_add(&client->in, piece, (size_t)length);
    return true;
}

static const char *unread(const struct http_client *client)
{
    return client->in.data == NULL ? "" : client->in.data + client->at;
}

static bool take(struct http_client *client, struct bytes *out, uint64_t length)
{
    while (client->in.length - client->at < length) {
        if (!receive(client)) {
            bytes_add(out, unread(client), client->in.length - client->at);
            client->at = client->in.length;
            return false;
        }
    }
    bytes_add(out, unread(client), length);
    client->at += length;
    return true;
}

/* Up to the text and with it. */
static bool take_to(struct http_client *client, struct bytes *out, const char *end)
{
    for (;;) {
        const char *found = strstr(unread(client), end);
        if (found != NULL)
            return take(client, out, (uint64_t)(found - unread(client)) + strlen(end));
        if (!receive(client))
            return false;
    }
}

bool http_client_line(struct http_client *client, char *line, size_t size)
{
    struct bytes taken = {0};
    const bool result = take_to(client, &taken, "\n");
    if (result) {
        CHECK(taken.length < size);
        memcpy(line, taken.data, taken.length + 1);
        line[strcspn(line, "\r\n")] = 0;
    }
    bytes_release(&taken);
    return result;
}

static bool take_chunks(struct http_client *client, struct bytes *body)
{
    char line[64];
    for (;;) {
        if (!http_client_line(client, line, sizeof line))
            return false;
        const uint64_t length = strtoull(line, NULL, 16);
        struct bytes end = {0};
        const bool is_whole = take(client, body, length) && take(client, &end, 2);
        bytes_release(&end);
        if (!is_whole || length == 0)
            return is_whole;
    }
}

static bool take_rest(struct http_client *client, struct bytes *body)
{
    while (receive(client))
        continue;
    return take(client, body, client->in.length - client->at);
}

bool http_client_read(struct http_client *client, struct http_response *response,
                      const char *method)
{
    *response = (struct http_response){.status = 0};
    bytes_add_text(&response->body, "");
    if (!take_to(client, &response->head, "\r\n\r\n"))
        return false;
    CHECK(strncmp(response->head.data, "HTTP/1.", 7) == 0);
    response->status = (unsigned)strtoul(response->head.data + 9, NULL, 10);
    const char *length = http_response_header(response, "Content-Length");
    const char *coding = http_response_header(response, "Transfer-Encoding");
    if (strcmp(method, "HEAD") == 0 || response->status < 200)
        response->is_whole = true;
    else if (coding != NULL)
        response->is_whole = take_chunks(client, &response->body);
    else if (length != NULL)
        response->is_whole = take(client, &response->body, strtoull(length, NULL, 10));
    else
        response->is_whole = take_rest(client, &response->body);
    return true;
}

bool http_client_is_closed(struct http_client *client, int ms)
{
    struct pollfd poller = {.fd = client->fd, .events = POLLIN | POLLRDHUP};
    char byte;
    if (poll(&poller, 1, ms) <= 0)
        return false;
    return recv(client->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

const char *http_response_header(const struct http_response *response, const char *name)
{
    static _Thread_local char values[8][512];
    static _Thread_local unsigned next;
    const size_t length = strlen(name);
    const char *line = response->head.data;
    for (line = strstr(line, "\r\n"); line != NULL; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, length) != 0 || line[length] != ':')
            continue;
        const char *value = line + length + 1 + strspn(line + length + 1, " ");
        char *copy = values[next++ % 8];
        const size_t value_length = strcspn(value, "\r\n");
        CHECK(value_length < sizeof values[0]);
        memcpy(copy, value, value_length);
        copy[value_length] = 0;
        return copy;
    }
    return NULL;
}

void http_response_release(struct http_response *response)
{
    bytes_release(&response->head);
    bytes_release(&response->body);
}

struct http_response http_client_ask(uint16_t port, const char *request)
{
    struct http_client client;
    struct http_response response;
    http_client_open(&client, port);
    http_client_say(&client, request);
    CHECK(http_client_read(&client, &response, strncmp(request, "HEAD", 4) == 0 ? "HEAD" : ""));
    CHECK(response.is_whole);
    http_client_close(&client);
    return response;
}
