/* SPDX-License-Identifier: MIT
 * A name that one program at a time may write to. */
#ifndef BASE_LOCK_H
#define BASE_LOCK_H

#include <sys/stat.h>

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

/* A file that is its own lock. */
enum file_locked {
    FILE_LOCKED,   /* closing it ends the lock */
    FILE_HELD,     /* by somebody else, all the time; it is open all the same */
    FILE_UNOPENED, /* errno says why */
};

/* Opens the file and locks it for this program, trying so long. It is the one that has the name
 * now: who held it before may have put another one in its place, or removed it. */
enum file_locked file_open_locked(const char *path, int flags, mode_t mode, uint32_t wait_ms,
                                  int *fd);

/* WEIR_ERR_IO, as above, if somebody holds the name now. Leaves no file. */
enum weir_status file_lock_check(const char *path, struct weir_error *err);

#endif
