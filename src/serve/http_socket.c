/* SPDX-License-Identifier: MIT
 * Sockets that listen. Knows nothing of HTTP. */
#include "serve/http_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "serve/http.h"

_Static_assert(sizeof((struct sockaddr_un *)NULL)->sun_path == HTTP_SOCKET_PATH_MAX,
               "a path that fits here fits there");

static bool is_path(const char *host)
{
    static const char ending[] = ".sock";
    const size_t length = strlen(host), ending_length = sizeof ending - 1;
    return length > ending_length && strcmp(host + length - ending_length, ending) == 0;
}

bool http_host_is_local(const char *host)
{
    struct in_addr four;
    struct in6_addr six;
    if (is_path(host) || strcmp(host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, host, &four) == 1)
        return ntohl(four.s_addr) >> 24 == IN_LOOPBACKNET;
    return inet_pton(AF_INET6, host, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

/* ---- Unix sockets ---------------------------------------------------------------------------- */

/* Whether nobody listens there: one who is busy, or lets us not ask, does. */
static bool is_left(const struct sockaddr_un *address)
{
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    const int result = connect(fd, (const struct sockaddr *)address, sizeof *address);
    const bool is_refused = result != 0 && errno == ECONNREFUSED;
    close(fd);
    return is_refused;
}

/* Removes what a server that was killed has left. */
static enum weir_status clear_path(const struct sockaddr_un *address, struct weir_error *err)
{
    struct stat info;
    const char *path = address->sun_path;
    if (lstat(path, &info) != 0)
        return WEIR_OK;
    if (!S_ISSOCK(info.st_mode))
        return err_set(err, WEIR_ERR_ARGUMENT, "%s: is there, and no socket", path);
    if (!is_left(address))
        return err_set(err, WEIR_ERR_ARGUMENT, "%s: another server listens there", path);
    unlink(path);
    return WEIR_OK;
}

/* The mode is the socket's own before it has a path, less what the umask takes, and the path's
 * behind: at no time may more connect than are to. False with errno set. */
static bool bind_with_mode(struct http_socket *listening, const struct sockaddr_un *address,
                           mode_t mode)
{
    struct stat info;
    if (fchmod(listening->fd, mode) != 0 ||
        bind(listening->fd, (const struct sockaddr *)address, sizeof *address) != 0)
        return false;
    if (lstat(address->sun_path, &info) == 0) { /* from here on http_socket_close removes it */
        listening->device = info.st_dev;
        listening->inode = info.st_ino;
    }
    return chmod(address->sun_path, mode) == 0;
}

static enum weir_status bind_path(struct http_socket *listening, mode_t mode,
                                  struct weir_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, listening->path, sizeof address.sun_path);
    const enum weir_status status = clear_path(&address, err);
    if (status != WEIR_OK)
        return status;
    listening->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listening->fd < 0 || !bind_with_mode(listening, &address, mode))
        return err_set(err, WEIR_ERR_IO, "%s: cannot listen: %s", listening->path, strerror(errno));
    return WEIR_OK;
}

/* ---- addresses ------------------------------------------------------------------------------- */

/* False with errno set. */
static bool bind_address(struct http_socket *listening, const struct addrinfo *address,
                         bool reuse_port)
{
    const int on = 1;
    listening->fd = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC, 0);
    if (listening->fd < 0)
        return false;
    setsockopt(listening->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (reuse_port)
        setsockopt(listening->fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (bind(listening->fd, address->ai_addr, address->ai_addrlen) == 0)
        return true;
    const int reason = errno;
    close(listening->fd);
    listening->fd = -1;
    errno = reason;
    return false;
}

/* The first address of the name that can be had. */
static enum weir_status bind_host(struct http_socket *listening, const char *host, uint16_t port,
                                  bool reuse_port, struct weir_error *err)
{
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM};
    struct addrinfo *addresses = NULL;
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    const int found = getaddrinfo(host, service, &hints, &addresses);
    if (found != 0)
        return err_set(err, WEIR_ERR_ARGUMENT, "%s: %s", host, gai_strerror(found));
    bool is_bound = false;
    for (const struct addrinfo *a = addresses; a != NULL && !is_bound; a = a->ai_next)
        is_bound = bind_address(listening, a, reuse_port);
    const int reason = errno;
    freeaddrinfo(addresses);
    if (!is_bound)
        return err_set(err, WEIR_ERR_IO, "%s, port %u: cannot listen: %s", host, port,
                       strerror(reason));
    return WEIR_OK;
}

/* What the system has made of host and port. */
static void note_address(struct http_socket *listening)
{
    struct sockaddr_storage address = {0};
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&address;
    const struct sockaddr_in *four = (const struct sockaddr_in *)&address;
    socklen_t length = sizeof address;
    if (getsockname(listening->fd, (struct sockaddr *)&address, &length) != 0)
        return;
    if (address.ss_family == AF_INET6) {
        listening->port = ntohs(six->sin6_port);
        listening->is_loopback = IN6_IS_ADDR_LOOPBACK(&six->sin6_addr);
    } else {
        listening->port = ntohs(four->sin_port);
        listening->is_loopback = ntohl(four->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    }
}

/* ---- the whole ------------------------------------------------------------------------------- */

enum weir_status http_socket_open(struct http_socket *out, const char *host, uint16_t port,
                                  bool reuse_port, uint32_t mode, struct weir_error *err)
{
    *out = (struct http_socket){.fd = -1};
    enum weir_status status;
    if (is_path(host)) {
        if (strlen(host) >= sizeof out->path)
            return err_set(err, WEIR_ERR_ARGUMENT, "%s: the path of a socket has at most %d bytes",
                           host, HTTP_SOCKET_PATH_MAX - 1);
        memcpy(out->path, host, strlen(host));
        status = bind_path(out, (mode_t)mode, err);
    } else {
        status = bind_host(out, host, port, reuse_port, err);
    }
    if (status == WEIR_OK && listen(out->fd, SOMAXCONN) != 0)
        status = err_set(err, WEIR_ERR_IO, "%s, port %u: cannot listen: %s", host, port,
                         strerror(errno));
    if (status != WEIR_OK) {
        http_socket_close(out);
        return status;
    }
    if (out->path[0] == 0)
        note_address(out);
    return WEIR_OK;
}

void http_socket_close(struct http_socket *listening)
{
    struct stat info;
    if (listening->fd < 0)
        return;
    close(listening->fd);
    listening->fd = -1;
    if (listening->path[0] != 0 && listening->inode != 0 && lstat(listening->path, &info) == 0 &&
        info.st_dev == listening->device && info.st_ino == listening->inode)
        unlink(listening->path);
}
