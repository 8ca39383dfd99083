/* SPDX-License-Identifier: MIT
 * Who may ask for what: keys, the prefix of paths, origins of web pages. */
#ifndef SERVE_HTTP_ACCESS_H
#define SERVE_HTTP_ACCESS_H

#include "serve/http.h"

enum { HTTP_KEY_MAX = 255 }; /* bytes of a key */

struct http_access {
    uint8_t (*keys)[HTTP_KEY_MAX + 1]; /* [keys_count], zeros behind each */
    uint32_t keys_count;
    char *prefix; /* "/api", or "" */
    char *hosts;  /* names by which it may be asked, with commas, "*": all; NULL: nobody has said */
    char *own;    /* the host that it listens on */
    bool is_watched; /* it is asked by these names, those of origins and addresses alone */
    char *origins, *methods, *headers;
    bool credentials;
};

/* Zeroed to begin. WEIR_ERR_ARGUMENT for a key that is empty or too long, and a prefix that does
 * not begin with a slash. After a failure it still is released. */
enum weir_status http_access_init(struct http_access *access, const struct http_options *options,
                                  struct weir_error *err);
void http_access_release(struct http_access *access);

/* Once it is known where the server listens. What has loopback alone for a door, and no keys, is
 * asked by names that are its own: a page of elsewhere may have its name resolve to loopback, and
 * is then of the same origin for its browser. */
void http_access_watch(struct http_access *access, bool is_loopback);

/* Whether a request calls the server by a name that is none of its own, with or without a port.
 * NULL: it names none, which no browser does. */
bool http_access_is_strange(const struct http_access *access, const char *host);

/* Whether one of the two headers of a request holds a key, or there are none. NULL: not there. The
 * time that it takes does not depend on how much of a key is right, nor of which. */
bool http_access_allows(const struct http_access *access, const char *authorization,
                        const char *api_key);

/* A path without the prefix; NULL if it does not begin with it. Borrowed from `path`. */
const char *http_access_path(const struct http_access *access, const char *path);

/* Whether a page asks that is neither of the list nor of this server, which `host` names (NULL: the
 * request names none). A browser lets any page send, and only then looks whether it may read. */
bool http_access_is_foreign(const struct http_access *access, const char *origin, const char *host);

/* What Access-Control-Allow-Origin says to a page of this origin (NULL: the request names none);
 * NULL: nothing. Borrowed. */
const char *http_access_origin(const struct http_access *access, const char *origin);

#endif
