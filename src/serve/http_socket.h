/* SPDX-License-Identifier: MIT
 * The sockets that a server listens on: of a TCP address or of a path. */
#ifndef SERVE_HTTP_SOCKET_H
#define SERVE_HTTP_SOCKET_H

#include "base/err.h"

enum { HTTP_SOCKET_PATH_MAX = 108 }; /* of a Unix socket, as Linux has it */

/* Zeroed to begin; fd -1 when it is closed. */
struct http_socket {
    int fd;
    uint16_t port;                   /* 0: of a Unix socket */
    bool is_loopback;                /* none of one */
    char path[HTTP_SOCKET_PATH_MAX]; /* of a Unix socket, or "" */
    uint64_t device, inode;          /* of the path, which may be another's by now */
};

/* Listens. `host` is a name or an address, or, if it ends with ".sock", the path of a Unix socket,
 * of which `mode` are the permissions: who may write to it may connect. A path that a server left
 * behind is replaced, one where somebody listens is WEIR_ERR_ARGUMENT, and so is a file of another
 * kind. Errors name host and port. */
enum weir_status http_socket_open(struct http_socket *out, const char *host, uint16_t port,
                                  bool reuse_port, uint32_t mode, struct weir_error *err);
/* Removes the path. */
void http_socket_close(struct http_socket *listening);

#endif
