/* SPDX-License-Identifier: MIT
 * Locks of names, by flock on a file beside them. Knows not what the files hold. */
#include "base/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/mem.h"

enum { WHO_MAX = 128 }; /* bytes */

/* "FOLDER/NAME.lock" of the file that a link leads to, or of the name in its folder, so that all
 * ways to a file lead to one lock. Freed with mem_free; NULL for want of memory. */
static char *lock_path(const char *path, struct weir_error *err)
{
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    char real[PATH_MAX], folder[PATH_MAX];
    struct bytes out = {0};
    snprintf(folder, sizeof folder, "%.*s", (int)(name - path), path);
    if (realpath(path, real) != NULL) {
        bytes_add_text(&out, real);
    } else if (realpath(slash != NULL ? folder : ".", real) != NULL) { /* it is not there yet */
        bytes_add_text(&out, real);
        bytes_add_text(&out, "/");
        bytes_add_text(&out, name);
    } else {
        bytes_add_text(&out, path);
    }
    bytes_add_text(&out, ".lock");
    if (bytes_check(&out, err) == WEIR_OK)
        return out.data;
    bytes_release(&out);
    return NULL;
}

/* What stands there may be anybody's: one line, and no more. */
static enum weir_status refuse(int fd, const char *path, struct weir_error *err)
{
    char who[WHO_MAX];
    const ssize_t length = pread(fd, who, sizeof who - 1, 0);
    who[length > 0 ? length : 0] = 0;
    who[strcspn(who, "\n")] = 0;
    return err_set(err, WEIR_ERR_IO, "%s: in use by %s", path,
                   who[0] != 0 ? who : "another program");
}

/* False if somebody else holds it. */
static bool try_lock(int fd, bool *is_held)
{
    int result;
    do
        result = flock(fd, LOCK_EX | LOCK_NB);
    while (result != 0 && errno == EINTR);
    *is_held = result == 0;
    return result == 0 || errno != EWOULDBLOCK;
}

/* Its last holder may have removed the file between open and lock: then a newer one may be there,
 * which others lock. */
static bool is_current(int fd, const char *path)
{
    struct stat mine, current;
    return fstat(fd, &mine) == 0 && stat(path, &current) == 0 && mine.st_dev == current.st_dev &&
           mine.st_ino == current.st_ino;
}

/* What cannot be written is not told, and locks all the same. */
static void write_who(int fd, const char *who)
{
    char line[WHO_MAX];
    snprintf(line, sizeof line - 1, "%s", who);
    const size_t length = strlen(line);
    line[length] = '\n';
    const ssize_t written = ftruncate(fd, 0) == 0 ? pwrite(fd, line, length + 1, 0) : 0;
    (void)written;
}

/* *is_locked is false if the file was no longer the current one. */
static enum weir_status open_locked(struct file_lock *lock, const char *path, bool *is_locked,
                                    struct weir_error *err)
{
    bool is_held;
    lock->fd = open(lock->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
                    S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH);
    if (lock->fd < 0)
        return err_set(err, WEIR_ERR_IO, "%s: cannot create %s: %s", path, lock->path,
                       strerror(errno));
    if (!try_lock(lock->fd, &is_held))
        return refuse(lock->fd, path, err);
    *is_locked = !is_held || is_current(lock->fd, lock->path);
    return WEIR_OK;
}

enum weir_status file_lock_take(struct file_lock *lock, const char *path, const char *who,
                                struct weir_error *err)
{
    bool is_locked = false;
    *lock = (struct file_lock){.path = lock_path(path, err), .fd = -1};
    enum weir_status status = lock->path != NULL ? WEIR_OK : WEIR_ERR_MEMORY;
    while (status == WEIR_OK && !is_locked) {
        status = open_locked(lock, path, &is_locked, err);
        if (!is_locked && lock->fd >= 0)
            close(lock->fd);
    }
    if (status == WEIR_OK) {
        write_who(lock->fd, who);
        return WEIR_OK;
    }
    mem_free(lock->path);
    *lock = (struct file_lock){.fd = -1};
    return status;
}

void file_lock_release(struct file_lock *lock)
{
    if (lock->path != NULL) {
        unlink(lock->path); /* while it is held: nobody else's */
        close(lock->fd);
    }
    mem_free(lock->path);
    *lock = (struct file_lock){.fd = -1};
}

bool file_lock_is(const struct file_lock *lock, const char *path)
{
    char *other = lock->path != NULL ? lock_path(path, NULL) : NULL;
    const bool is_same = other != NULL && strcmp(lock->path, other) == 0;
    mem_free(other);
    return is_same;
}

enum weir_status file_lock_check(const char *path, struct weir_error *err)
{
    char *name = lock_path(path, err);
    enum weir_status status = WEIR_OK;
    bool is_held;
    if (name == NULL)
        return WEIR_ERR_MEMORY;
    const int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd >= 0 && !try_lock(fd, &is_held))
        status = refuse(fd, path, err);
    if (fd >= 0)
        close(fd); /* which ends the lock, if there was one */
    mem_free(name);
    return status;
}
