/* SPDX-License-Identifier: MIT
 * The model that ships with weir. Knows where it may lie, and nothing of models. */
#ifndef APP_SHIPPED_H
#define APP_SHIPPED_H

#include "weir.h"

enum { SHIPPED_PATH_MAX = 4096 };

/* The file's own name. */
extern const char shipped_name[];

/* Where the file is: installed, or in the checkout that the program was built in. The error says
 * where it was looked for. */
enum weir_status shipped_find(char path[SHIPPED_PATH_MAX], struct weir_error *err);

#endif
