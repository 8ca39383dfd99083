/* SPDX-License-Identifier: MIT
 * A name that one program at a time may write to. */
#ifndef BASE_LOCK_H
#define BASE_LOCK_H

#include "base/err.h"

/* Set to zero, it may be released. */
struct file_lock {
    char *path; /* of the lock: NAME.lock; NULL: nothing is held */
    int fd;
};

/* Locks the name of a file, which need not be there, for this program, by a file beside it: so that
 * the file itself may be replaced. WEIR_ERR_IO says who holds it by what that one gave as `who`, a
 * few words. The lock ends with the program at the latest; a file that is left then locks nothing.
 * Where a file system knows no locks all goes on without. */
enum weir_status file_lock_take(struct file_lock *lock, const char *path, const char *who,
                                struct weir_error *err);
void file_lock_release(struct file_lock *lock);

/* Whether it is of the file of this name. */
bool file_lock_is(const struct file_lock *lock, const char *path);

/* WEIR_ERR_IO, as above, if somebody holds the name now. Leaves no file. */
enum weir_status file_lock_check(const char *path, struct weir_error *err);

#endif
