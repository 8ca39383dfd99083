/* SPDX-License-Identifier: MIT
 * Looks for the shipped model beside the program first, so that an installation can be moved, then
 * where the build was told to install it. WEIR_DATA and WEIR_SHIPPED come from the build. */
#include "app/shipped.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"

static const char shipped_name[] = WEIR_SHIPPED;

/* From the program's folder: of an installation, and of a build folder in a checkout. */
static const char *const beside[] = {"../share/weir", "../models"};

enum { BESIDE = sizeof beside / sizeof beside[0] };

/* The folder that the program is in; empty if the system does not say. */
static void program_folder(char *folder, size_t size)
{
    const ssize_t length = readlink("/proc/self/exe", folder, size - 1);
    folder[length > 0 ? length : 0] = 0;
    char *slash = strrchr(folder, '/');
    if (slash != NULL)
        *slash = 0;
}

static bool is_there(char path[SHIPPED_PATH_MAX], const char *folder, const char *below)
{
    const int length = snprintf(path, SHIPPED_PATH_MAX, "%s/%s/%s", folder, below, shipped_name);
    return length < SHIPPED_PATH_MAX && file_exists(path);
}

enum weir_status shipped_find(char path[SHIPPED_PATH_MAX], struct weir_error *err)
{
    char folder[SHIPPED_PATH_MAX];
    program_folder(folder, sizeof folder);
    for (size_t i = 0; i < BESIDE && folder[0] != 0; i++) {
        if (is_there(path, folder, beside[i]))
            return WEIR_OK;
    }
    if (is_there(path, WEIR_DATA, "."))
        return WEIR_OK;
    return err_set(err, WEIR_ERR_IO,
                   "no model: name a GGUF file with --model or as first argument; %s, which ships "
                   "with weir, is not in %s or %s from %s, nor in " WEIR_DATA,
                   shipped_name, beside[0], beside[1], folder);
}

enum weir_status shipped_choose(char path[SHIPPED_PATH_MAX], struct options *options,
                                struct log *log, struct weir_error *err)
{
    if (options->model != NULL)
        return WEIR_OK;
    const enum weir_status status = shipped_find(path, err);
    if (status != WEIR_OK)
        return status;
    options->model = path;
    log_print(log, WEIR_LOG_INFO,
              "no model is named: this is %s, which ships with weir and knows a small world only",
              path);
    return WEIR_OK;
}
