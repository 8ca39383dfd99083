/* SPDX-License-Identifier: MIT
 * The tilde, which elsewhere a shell takes away. Opens no file. */
#include "app/home_path.h"

#include <stdlib.h>

void home_path_add(struct bytes *out, const char *path, size_t length)
{
    const char *home = getenv("HOME");
    const bool has_tilde = length > 0 && path[0] == '~' && (length == 1 || path[1] == '/');
    const size_t left_out = has_tilde && home != NULL;
    if (left_out > 0)
        bytes_add_text(out, home);
    bytes_add(out, path + left_out, length - left_out);
}
