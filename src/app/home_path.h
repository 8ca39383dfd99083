/* SPDX-License-Identifier: MIT
 * Paths as people type them in a shell. */
#ifndef APP_HOME_PATH_H
#define APP_HOME_PATH_H

#include "base/bytes.h"

/* Adds the first `length` bytes of the path, with the user's folder for a "~" that stands before a
 * slash or alone, if the environment names one. */
void home_path_add(struct bytes *out, const char *path, size_t length);

#endif
