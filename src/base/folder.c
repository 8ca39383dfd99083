/* SPDX-License-Identifier: MIT
 * Writes folders of files, on POSIX. Knows nothing of what the files hold. */
#include "base/folder.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/rng.h"

/* "FOLDER/NAME"; NULL for want of memory. */
static char *path_join(const char *folder, const char *name, struct weir_error *err)
{
    const size_t size = strlen(folder) + strlen(name) + 2;
    char *path = mem_alloc(size, 1, err);
    if (path != NULL)
        snprintf(path, size, "%s/%s", folder, name);
    return path;
}

static void writer_release(struct folder_writer *folder)
{
    mem_free(folder->path);
    mem_free(folder->path_temporary);
    *folder = (struct folder_writer){0};
}

static enum weir_status writer_begin(struct folder_writer *folder, struct weir_error *err)
{
    const size_t size = strlen(folder->path) + 32;
    if (file_exists(folder->path))
        return err_set(err, WEIR_ERR_IO, "%s: exists already", folder->path);
    folder->path_temporary = mem_alloc(size, 1, err);
    if (folder->path_temporary == NULL)
        return WEIR_ERR_MEMORY;
    /* no process number: of a container that was killed, the next one may have the same */
    snprintf(folder->path_temporary, size, "%s.tmp%016llx", folder->path,
             (unsigned long long)rng_system_seed());
    if (mkdir(folder->path_temporary, 0777) == 0)
        return WEIR_OK;
    const int reason = errno;
    mem_free(folder->path_temporary); /* it is not ours to remove */
    folder->path_temporary = NULL;
    return err_set(err, WEIR_ERR_IO, "%s: cannot create a folder beside it: %s", folder->path,
                   strerror(reason));
}

enum weir_status folder_writer_open(struct folder_writer *folder, const char *path,
                                    struct weir_error *err)
{
    *folder = (struct folder_writer){0};
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    folder->path = mem_copy_text(path, length, err);
    if (folder->path == NULL)
        return WEIR_ERR_MEMORY;
    const enum weir_status status = writer_begin(folder, err);
    if (status != WEIR_OK)
        folder_writer_abandon(folder);
    return status;
}

enum weir_status folder_writer_file(struct folder_writer *folder, const char *name,
                                    struct file_writer *file, struct weir_error *err)
{
    char *path = path_join(folder->path_temporary, name, err);
    if (path == NULL)
        return WEIR_ERR_MEMORY;
    const enum weir_status status = file_writer_open(file, path, err);
    mem_free(path);
    return status;
}

enum weir_status folder_writer_commit(struct folder_writer *folder, struct weir_error *err)
{
    if (rename(folder->path_temporary, folder->path) != 0)
        return err_set(err, WEIR_ERR_IO, "%s: cannot create: %s", folder->path, strerror(errno));
    writer_release(folder);
    return WEIR_OK;
}

static void files_remove(const char *path)
{
    DIR *entries = opendir(path);
    if (entries == NULL)
        return;
    const int at = dirfd(entries);
    for (const struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries))
        unlinkat(at, entry->d_name, 0); /* leaves "." and ".." alone: they are folders */
    closedir(entries);
}

void folder_writer_abandon(struct folder_writer *folder)
{
    if (folder->path_temporary != NULL) {
        files_remove(folder->path_temporary);
        rmdir(folder->path_temporary);
    }
    writer_release(folder);
}
