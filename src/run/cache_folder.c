/* SPDX-License-Identifier: MIT
 * The folder of snapshots, on POSIX. Never believes that what it listed is still there. */
#include "run/cache_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

enum {
    NAME_MAX_BYTES = 80,
    MODEL_BYTES = DIGEST_BYTES / 2,
    LEFT_OVER_SECONDS = 3600, /* a file that is being written is touched all the time */
};

/* ---- names ----------------------------------------------------------------------------------- */

static void key_print(const struct cache_key *key, char name[NAME_MAX_BYTES])
{
    char model[DIGEST_TEXT_BYTES + 1], id[DIGEST_TEXT_BYTES + 1];
    digest_print(key->model, model);
    digest_print(key->id, id);
    model[2 * MODEL_BYTES] = 0;
    snprintf(name, NAME_MAX_BYTES, "%s-%08x-%s.snap", model, key->position, id);
}

/* Reads `count` bytes in hexadecimal. */
static bool read_hex(const char **at, uint8_t *out, size_t count)
{
    for (size_t i = 0; i < count; i++, *at += 2) {
        const char pair[3] = {(*at)[0], (*at)[0] == 0 ? 0 : (*at)[1], 0};
        if (strspn(pair, "0123456789abcdef") != 2)
            return false;
        out[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return true;
}

/* What follows a key in the name; NULL if it does not begin with one. */
static const char *key_read(struct cache_key *key, const char *name)
{
    uint8_t position[4];
    *key = (struct cache_key){.position = 0};
    if (!read_hex(&name, key->model.bytes, MODEL_BYTES) || *name++ != '-')
        return NULL;
    if (!read_hex(&name, position, sizeof position) || *name++ != '-')
        return NULL;
    if (!read_hex(&name, key->id.bytes, DIGEST_BYTES) || strncmp(name, ".snap", 5) != 0)
        return NULL;
    for (size_t i = 0; i < sizeof position; i++)
        key->position = key->position << 8 | position[i];
    return name + 5;
}

char *cache_folder_path(const struct cache_folder *folder, const struct cache_key *key,
                        struct weir_error *err)
{
    char name[NAME_MAX_BYTES];
    const size_t size = strlen(folder->path) + NAME_MAX_BYTES + 1;
    char *path = mem_alloc(size, 1, err);
    key_print(key, name);
    if (path != NULL)
        snprintf(path, size, "%s/%s", folder->path, name);
    return path;
}

/* ---- ages ------------------------------------------------------------------------------------ */

static int64_t nanoseconds(struct timespec time)
{
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

int64_t cache_folder_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return nanoseconds(now);
}

int64_t cache_folder_touch(const char *path, int64_t now)
{
    const struct timespec time = {.tv_sec = now / 1000000000, .tv_nsec = now % 1000000000};
    const struct timespec times[2] = {time, time};
    struct stat info;
    utimensat(AT_FDCWD, path, times, 0);
    return stat(path, &info) == 0 ? nanoseconds(info.st_mtim) : now;
}

/* ---- the folder ------------------------------------------------------------------------------ */

/* Removes what a writer that was killed left: KEY.snap.tmpPID. */
static void remove_left_overs(const struct cache_folder *folder)
{
    DIR *entries = opendir(folder->path);
    const int64_t old = cache_folder_now() - (int64_t)LEFT_OVER_SECONDS * 1000000000;
    if (entries == NULL)
        return;
    const int at = dirfd(entries);
    for (const struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries)) {
        struct cache_key key;
        struct stat info;
        const char *rest = key_read(&key, entry->d_name);
        const bool is_left = rest != NULL && strncmp(rest, ".tmp", 4) == 0 &&
                             fstatat(at, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
                             nanoseconds(info.st_mtim) < old;
        if (is_left)
            unlinkat(at, entry->d_name, 0);
    }
    closedir(entries);
}

enum weir_status cache_folder_open(struct cache_folder *folder, const char *path,
                                   uint64_t bytes_max, struct weir_error *err)
{
    struct stat info;
    *folder = (struct cache_folder){.bytes_max = bytes_max};
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return err_set(err, WEIR_ERR_IO, "%s: cannot make the folder: %s", path, strerror(errno));
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode))
        return err_set(err, WEIR_ERR_IO, "%s: not a folder", path);
    if (access(path, R_OK | W_OK | X_OK) != 0)
        return err_set(err, WEIR_ERR_IO, "%s: cannot write there: %s", path, strerror(errno));
    folder->path = mem_copy_text(path, strlen(path), err);
    if (folder->path == NULL)
        return WEIR_ERR_MEMORY;
    remove_left_overs(folder);
    return WEIR_OK;
}

void cache_folder_close(struct cache_folder *folder)
{
    mem_free(folder->path);
    *folder = (struct cache_folder){.path = NULL};
}

static bool file_look_at(int folder, const char *name, struct cache_file *file)
{
    struct stat info;
    const char *rest = key_read(&file->key, name);
    if (rest == NULL || *rest != 0 || fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISREG(info.st_mode))
        return false;
    file->bytes = (uint64_t)info.st_size;
    file->used_ns = nanoseconds(info.st_mtim);
    return true;
}

enum weir_status cache_folder_list(const struct cache_folder *folder, struct cache_file **out,
                                   uint64_t *count, struct weir_error *err)
{
    uint64_t capacity = 0;
    enum weir_status status = WEIR_OK;
    *out = NULL;
    *count = 0;
    DIR *entries = opendir(folder->path);
    if (entries == NULL)
        return err_set(err, WEIR_ERR_IO, "%s: cannot read: %s", folder->path, strerror(errno));
    for (const struct dirent *entry = readdir(entries); entry != NULL && status == WEIR_OK;
         entry = readdir(entries)) {
        struct cache_file file;
        if (!file_look_at(dirfd(entries), entry->d_name, &file))
            continue;
        status = mem_grow(out, &capacity, *count + 1, sizeof **out, err);
        if (status == WEIR_OK)
            (*out)[(*count)++] = file;
    }
    closedir(entries);
    if (status != WEIR_OK) {
        mem_free(*out);
        *out = NULL;
    }
    return status;
}

/* ---- room ------------------------------------------------------------------------------------ */

/* Those to be removed first come first. */
static int compare_files(const void *a, const void *b)
{
    const struct cache_file *x = a, *y = b;
    if (x->used_ns != y->used_ns)
        return x->used_ns < y->used_ns ? -1 : 1;
    if (x->key.position != y->key.position)
        return x->key.position > y->key.position ? -1 : 1;
    return memcmp(&x->key.id, &y->key.id, sizeof x->key.id);
}

static enum weir_status file_remove(const struct cache_folder *folder,
                                    const struct cache_file *file, struct weir_error *err)
{
    char *path = cache_folder_path(folder, &file->key, err);
    if (path == NULL)
        return WEIR_ERR_MEMORY;
    unlink(path); /* somebody else may have been faster */
    mem_free(path);
    return WEIR_OK;
}

/* What the folder held and holds, and may hold. */
struct amounts {
    uint64_t before, after, most;
};

/* No more than its files take and the disk has free. */
static uint64_t most_of(const struct cache_folder *folder, uint64_t held)
{
    struct statvfs space;
    if (statvfs(folder->path, &space) != 0)
        return folder->bytes_max;
    const uint64_t all = held + (uint64_t)space.f_bavail * space.f_frsize;
    return all < folder->bytes_max ? all : folder->bytes_max;
}

/* Removes until there is room for `bytes` more; nothing if that cannot be. */
static enum weir_status remove_oldest(const struct cache_folder *folder, uint64_t bytes,
                                      int64_t fresh, struct amounts *amounts,
                                      struct weir_error *err)
{
    struct cache_file *files;
    uint64_t count, left = 0;
    *amounts = (struct amounts){0};
    enum weir_status status = cache_folder_list(folder, &files, &count, err);
    if (status != WEIR_OK)
        return status;
    for (uint64_t i = 0; i < count; i++)
        left += files[i].bytes;
    *amounts = (struct amounts){left, left, most_of(folder, left)};
    if (count > 0)
        qsort(files, count, sizeof *files, compare_files);
    const bool may_fit = bytes <= amounts->most;
    for (uint64_t i = 0; may_fit && left > amounts->most - bytes && i < count; i++) {
        if (files[i].used_ns >= fresh)
            break;
        TRY(file_remove(folder, &files[i], err));
        left -= files[i].bytes;
    }
out:
    amounts->after = left;
    mem_free(files);
    return status;
}

enum weir_status cache_folder_make_room(const struct cache_folder *folder, uint64_t bytes,
                                        int64_t fresh, bool *has_room, struct weir_error *err)
{
    struct amounts amounts;
    const enum weir_status status = remove_oldest(folder, bytes, fresh, &amounts, err);
    *has_room = status == WEIR_OK && bytes <= amounts.most && amounts.after <= amounts.most - bytes;
    return status;
}

enum weir_status cache_folder_shrink(const struct cache_folder *folder, uint64_t *before,
                                     uint64_t *after, struct weir_error *err)
{
    struct amounts amounts;
    const enum weir_status status = remove_oldest(folder, 0, INT64_MAX, &amounts, err);
    *before = amounts.before;
    *after = amounts.after;
    return status;
}
