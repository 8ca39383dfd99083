/* SPDX-License-Identifier: MIT
 * The page at /, as it is built from web/ and kept in page.html, and the policy that it is to be
 * served with. The build makes both into C; nobody here knows what the page does. */
#ifndef SERVE_PAGE_H
#define SERVE_PAGE_H

#include <stddef.h>

/* text/html; charset=utf-8. A zero is behind each text, which its length does not count. */
extern const char web_page[];
extern const size_t web_page_length;

/* The value of Content-Security-Policy. It names the script and the style of this very page, by
 * their digests. */
extern const char web_page_policy[];
extern const size_t web_page_policy_length;

#endif
