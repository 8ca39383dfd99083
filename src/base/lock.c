/* SPDX-License-Identifier: MIT
 * Locks of names, by flock on a file beside them. Knows not what the files hold. */
#include "base/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/mem.h"

enum {
    WHO_MAX = 128, /* bytes */
    WAIT_MS = 2,
    LOOKED_AT_MS = 5000, /* one who only looks holds a lock for less, be it stopped meanwhile */
    TRIES_MAX = 1000,    /* a file system that gives a file a new number each time has no more */
};

/* "NAME.lock" of the file that the path leads to, so that all ways to a file lead to one lock.
 * Freed with mem_free; NULL for want of memory. */
static char *lock_path(const char *path, struct weir_error *err)
{
    char *target = file_target(path, err);
    struct bytes out = {0};
    if (target == NULL)
        return NULL;
    bytes_add_text(&out, target);
    bytes_add_text(&out, ".lock");
    mem_free(target);
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

/* False if somebody else holds it. *is_held is false as well where there are no locks. */
static bool try_lock(int fd, int kind, bool *is_held)
{
    int result;
    do
        result = flock(fd, kind | LOCK_NB);
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

/* Those who hold what another may share only look, and have gone in a moment. */
static bool is_looked_at(int fd)
{
    bool is_held;
    return try_lock(fd, LOCK_SH, &is_held) && is_held;
}

enum file_locked file_open_locked(const char *path, int flags, mode_t mode, uint32_t wait_ms,
                                  int *fd)
{
    bool is_held = true;
    for (uint32_t waited_ms = 0, tries = 0;; tries++) {
        *fd = open(path, flags | O_CLOEXEC, mode);
        if (*fd < 0)
            return FILE_UNOPENED;
        const bool is_mine = try_lock(*fd, LOCK_EX, &is_held);
        if (is_mine && (!is_held || is_current(*fd, path) || tries == TRIES_MAX))
            return FILE_LOCKED;
        if (!is_mine && waited_ms >= (is_looked_at(*fd) ? LOOKED_AT_MS : wait_ms))
            return FILE_HELD;
        close(*fd);
        if (is_mine)
            continue;
        nanosleep(&(struct timespec){.tv_nsec = WAIT_MS * 1000000}, NULL);
        waited_ms += WAIT_MS;
    }
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

static enum weir_status take(struct file_lock *lock, const char *path, struct weir_error *err)
{
    const mode_t mode = S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH;
    if (lock->path == NULL)
        return WEIR_ERR_MEMORY;
    switch (file_open_locked(lock->path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, mode, 0,
                             &lock->fd)) {
    case FILE_LOCKED: return WEIR_OK;
    case FILE_HELD: return refuse(lock->fd, path, err);
    case FILE_UNOPENED: break;
    }
    return err_set(err, WEIR_ERR_IO, "%s: cannot create %s: %s", path, lock->path, strerror(errno));
}

enum weir_status file_lock_take(struct file_lock *lock, const char *path, const char *who,
                                struct weir_error *err)
{
    *lock = (struct file_lock){.path = lock_path(path, err), .fd = -1};
    const enum weir_status status = take(lock, path, err);
    if (status == WEIR_OK) {
        write_who(lock->fd, who);
        return WEIR_OK;
    }
    if (lock->fd >= 0)
        close(lock->fd);
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
    if (fd >= 0 && !try_lock(fd, LOCK_SH, &is_held))
        status = refuse(fd, path, err);
    if (fd >= 0)
        close(fd); /* which ends the lock, if there was one */
    mem_free(name);
    return status;
}
