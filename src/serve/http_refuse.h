/* SPDX-License-Identifier: MIT
 * What HTTP itself refuses: in which words, and what the library underneath refuses by itself. */
#ifndef SERVE_HTTP_REFUSE_H
#define SERVE_HTTP_REFUSE_H

#include <stdarg.h>

#include "serve/http_exchange.h"

/* Static. */
const struct http_error *http_refuse_error(enum http_refusal refusal);
/* A whole response for who has to be cut; a http_watch_words, `user` is the server, `reason` an
 * enum http_refusal. */
void http_refuse_words(void *user, unsigned reason, const char *path, struct bytes *out);

/* Told each message of the library, in the thread that it is about. True: that is
 * all that is to be said of it. */
bool http_refuse_hears(struct http_server *server, const char *format, va_list arguments);

#endif
