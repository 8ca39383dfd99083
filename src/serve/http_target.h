/* SPDX-License-Identifier: MIT
 * What the first line of a request asks for: a path, and of a proxy's form also whom. */
#ifndef SERVE_HTTP_TARGET_H
#define SERVE_HTTP_TARGET_H

#include "base/err.h"

enum { HTTP_TARGET_MAX = 64 << 10 }; /* bytes */

struct http_target {
    char *path;      /* decoded, without the query; "" if the target is none */
    char *authority; /* of the absolute form: stands for the header Host; NULL: there is none */
    bool is_bad;     /* neither form, or a path that holds a zero or what is no %-escape */
    bool is_long;    /* more than HTTP_TARGET_MAX */
};

/* Zeroed to begin. A failure is of memory alone; after it the target still is released. */
enum weir_status http_target_read(struct http_target *target, const char *text,
                                  struct weir_error *err);
void http_target_release(struct http_target *target);

#endif
