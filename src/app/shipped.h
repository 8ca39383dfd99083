/* SPDX-License-Identifier: MIT
 * The model that ships with weir. Knows where it may lie, and nothing of models. */
#ifndef APP_SHIPPED_H
#define APP_SHIPPED_H

#include "app/log.h"

enum { SHIPPED_PATH_MAX = 4096 };

/* Where the file is: installed, or in the checkout of which the program's folder is the build
 * folder. The error says where it was looked for. */
enum weir_status shipped_find(char path[SHIPPED_PATH_MAX], struct weir_error *err);

/* Where the flags name no model, options->model becomes the shipped one, and a line says so. `path`
 * is borrowed. */
enum weir_status shipped_choose(char path[SHIPPED_PATH_MAX], struct options *options,
                                struct log *log, struct weir_error *err);

#endif
