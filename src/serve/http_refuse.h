/* SPDX-License-Identifier: MIT
 * What the library underneath refuses by itself. */
#ifndef SERVE_HTTP_REFUSE_H
#define SERVE_HTTP_REFUSE_H

#include <stdarg.h>

#include "serve/http_exchange.h"

/* Told each message of the library, in the thread that it is about. True: that is
 * all that is to be said of it. */
bool http_refuse_hears(struct http_server *server, const char *format, va_list arguments);

#endif
