/* SPDX-License-Identifier: MIT
 * A client of HTTP for tests: sends bytes as they are, and reads responses. What takes longer than
 * some seconds fails the test. */
#ifndef TESTS_HTTP_CLIENT_H
#define TESTS_HTTP_CLIENT_H

#include "base/bytes.h"
#include "test.h"

struct http_client {
    int fd;
    struct bytes in; /* received */
    uint64_t at;     /* of it, what was read */
};

struct http_response {
    unsigned status;
    struct bytes head; /* zero-terminated, as the body */
    struct bytes body; /* without the lengths of chunks */
    bool is_whole;     /* else the connection ended within it */
};

void http_client_open(struct http_client *client, uint16_t port);
/* By an address of this machine that is none of loopback; false: there is none. */
bool http_client_open_far(struct http_client *client, uint16_t port);
void http_client_open_path(struct http_client *client, const char *path);
void http_client_close(struct http_client *client);

/* False if the other side has closed. */
bool http_client_send(struct http_client *client, const void *data, size_t length);
void http_client_say(struct http_client *client, const char *text);

/* The next response; false if the connection is closed instead. Interim ones (100) are responses
 * too. `method` HEAD has no body. */
bool http_client_read(struct http_client *client, struct http_response *response,
                      const char *method);
/* Everything up to the end of the next line, without its end; false at the end of the stream. */
bool http_client_line(struct http_client *client, char *line, size_t size);
/* Whether the other side has closed, within so many milliseconds. */
bool http_client_is_closed(struct http_client *client, int ms);

/* The value of a header of the response, in one of eight rotating buffers; NULL: not there. */
const char *http_response_header(const struct http_response *response, const char *name);
void http_response_release(struct http_response *response);

/* One request on a connection of its own: status and body, which must be told whole. */
struct http_response http_client_ask(uint16_t port, const char *request);

#endif
