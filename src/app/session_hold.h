/* SPDX-License-Identifier: MIT
 * The file of --session while a command uses it. */
#ifndef APP_SESSION_HOLD_H
#define APP_SESSION_HOLD_H

#include "base/lock.h"

/* Holds the file, which need not be there, so that no other program goes on with the same session;
 * checks that it can be written, not in vain after an hour. `command` is the name of the one that
 * holds it, for others to read. */
enum weir_status session_hold(struct file_lock *lock, const char *path, const char *command,
                              struct weir_error *err);

#endif
