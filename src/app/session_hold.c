/* SPDX-License-Identifier: MIT
 * Holds the file of --session. Knows not what is in it. */
#include "app/session_hold.h"

#include <stdio.h>
#include <unistd.h>

#include "base/file.h"

enum weir_status session_hold(struct file_lock *lock, const char *path, const char *command,
                              struct weir_error *err)
{
    char who[64];
    struct file_writer writer;
    snprintf(who, sizeof who, "weir %s, process %ld", command, (long)getpid());
    enum weir_status status = file_lock_take(lock, path, who, err);
    if (status != WEIR_OK)
        return status;
    status = file_writer_open(&writer, path, err);
    file_writer_abandon(&writer);
    return status; /* the lock is released with what holds it */
}
