/* SPDX-License-Identifier: MIT
 * Files and large memory, on POSIX. Knows nothing of file formats. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cgroup.h"
#include "base/mem.h"
#include "base/rng.h"

enum {
    HUGE_PAGE_BYTES = 2 << 20,
    LINKS_MAX = 40, /* as the kernel follows */
};

/* ---- reading --------------------------------------------------------------------------------- */

static enum weir_status file_open_regular(const char *path, int *fd, struct stat *info,
                                          struct weir_error *err)
{
    /* not to wait for the writer of a pipe, which is refused below */
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0)
        return err_set(err, WEIR_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    if (fstat(*fd, info) != 0 || !S_ISREG(info->st_mode)) {
        close(*fd);
        *fd = -1;
        return err_set(err, WEIR_ERR_IO, "%s: not a regular file", path);
    }
    return WEIR_OK;
}

enum weir_status file_map_open(struct file_map *out, const char *path, struct weir_error *err)
{
    *out = (struct file_map){0};
    int fd;
    struct stat info;
    const enum weir_status status = file_open_regular(path, &fd, &info, err);
    if (status != WEIR_OK)
        return status;
    const uint64_t size = (uint64_t)info.st_size;
    void *data = NULL;
    if (size > 0)
        data = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (data == MAP_FAILED)
        return err_set(err, WEIR_ERR_IO, "%s: cannot map %llu bytes: %s", path,
                       (unsigned long long)size, strerror(errno));
    *out = (struct file_map){data, size, (uint64_t)info.st_dev, (uint64_t)info.st_ino};
    return WEIR_OK;
}

void file_map_close(struct file_map *map)
{
    if (map->data != NULL)
        munmap((void *)(uintptr_t)map->data, (size_t)map->size);
    *map = (struct file_map){0};
}

void file_map_populate(const void *data, uint64_t size)
{
    const uintptr_t first = (uintptr_t)data & ~(uintptr_t)4095, end = (uintptr_t)data + size;
    if (madvise((void *)first, (size_t)(end - first), MADV_POPULATE_READ) == 0)
        return;
    for (uintptr_t page = first; page < end; page += 4096) /* before Linux 5.14 */
        (void)*(const volatile uint8_t *)(page < (uintptr_t)data ? (uintptr_t)data : page);
}

void file_map_forget(const void *data, uint64_t size)
{
    const uintptr_t first = ((uintptr_t)data + 4095) & ~(uintptr_t)4095;
    const uintptr_t end = ((uintptr_t)data + size) & ~(uintptr_t)4095;
    if (first < end)
        madvise((void *)first, (size_t)(end - first), MADV_DONTNEED);
}

static enum weir_status stream_read_all(FILE *stream, const char *path, uint64_t size_max,
                                        uint8_t **out, size_t *size, struct weir_error *err)
{
    uint64_t capacity = 0, used = 0;
    for (;;) {
        const enum weir_status status = mem_grow(out, &capacity, used + 65536 + 1, 1, err);
        if (status != WEIR_OK)
            return status;
        const size_t got = fread(*out + used, 1, 65536, stream);
        used += got;
        if (used > size_max)
            return err_set(err, WEIR_ERR_IO, "%s: larger than %llu bytes", path,
                           (unsigned long long)size_max);
        if (got == 0)
            break;
    }
    if (ferror(stream))
        return err_set(err, WEIR_ERR_IO, "%s: cannot read: %s", path, strerror(errno));
    (*out)[used] = 0;
    *size = (size_t)used;
    return WEIR_OK;
}

enum weir_status file_read_all(const char *path, uint64_t size_max, uint8_t **out, size_t *size,
                               struct weir_error *err)
{
    *out = NULL;
    const bool is_stdin = strcmp(path, "-") == 0;
    FILE *stream = is_stdin ? stdin : fopen(path, "rb");
    if (stream == NULL)
        return err_set(err, WEIR_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    const enum weir_status status = stream_read_all(stream, path, size_max, out, size, err);
    if (!is_stdin)
        fclose(stream);
    if (status != WEIR_OK) {
        mem_free(*out);
        *out = NULL;
    }
    return status;
}

static enum weir_status fd_read_at(int fd, const char *path, uint64_t offset, uint8_t *out,
                                   uint64_t size, struct weir_error *err)
{
    while (size > 0) {
        const size_t part = size < (1u << 30) ? (size_t)size : 1u << 30;
        const ssize_t got = pread(fd, out, part, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return err_set(err, WEIR_ERR_IO, "%s: cannot read %llu bytes at %llu: %s", path,
                           (unsigned long long)size, (unsigned long long)offset,
                           got < 0 ? strerror(errno) : "end of file");
        out += got;
        offset += (uint64_t)got;
        size -= (uint64_t)got;
    }
    return WEIR_OK;
}

/* A file that is mapped keeps its number, also when its name is another's. */
enum weir_status file_map_read(const struct file_map *map, const char *path, uint64_t offset,
                               void *out, uint64_t size, struct weir_error *err)
{
    int fd;
    struct stat info;
    enum weir_status status = file_open_regular(path, &fd, &info, err);
    if (status != WEIR_OK)
        return status;
    if (info.st_dev == map->device && info.st_ino == map->number)
        status = fd_read_at(fd, path, offset, out, size, err);
    else
        status = err_set(err, WEIR_ERR_IO, "%s: is another file by now than the one opened", path);
    close(fd);
    return status;
}

enum weir_status file_reader_open(struct file_reader *reader, const char *path,
                                  struct weir_error *err)
{
    *reader = (struct file_reader){0};
    char *copy = mem_copy_text(path, strlen(path), err);
    if (copy == NULL)
        return WEIR_ERR_MEMORY;
    struct stat info;
    const enum weir_status status = file_open_regular(path, &reader->fd, &info, err);
    if (status == WEIR_OK) {
        reader->path = copy;
        reader->size = (uint64_t)info.st_size;
    } else {
        mem_free(copy);
    }
    return status;
}

enum weir_status file_reader_at(const struct file_reader *reader, uint64_t offset, void *out,
                                uint64_t size, struct weir_error *err)
{
    return fd_read_at(reader->fd, reader->path, offset, out, size, err);
}

void file_reader_close(struct file_reader *reader)
{
    if (reader->path != NULL)
        close(reader->fd);
    mem_free(reader->path);
    *reader = (struct file_reader){0};
}

/* ---- writing --------------------------------------------------------------------------------- */

/* The path that the link at `path` holds, from where the path is from; false if it is no link. */
static bool follow_link(char path[PATH_MAX])
{
    char link[PATH_MAX], folder[PATH_MAX];
    const ssize_t length = readlink(path, link, sizeof link - 1);
    if (length <= 0)
        return false;
    link[length] = 0;
    const char *slash = link[0] == '/' ? NULL : strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash == NULL ? 0 : (int)(slash + 1 - path), path);
    return (size_t)snprintf(path, PATH_MAX, "%s%s", folder, link) < PATH_MAX;
}

char *file_target(const char *path, struct weir_error *err)
{
    char current[PATH_MAX], real[PATH_MAX], folder[PATH_MAX];
    struct bytes out = {0};
    bool is_link = (size_t)snprintf(current, sizeof current, "%s", path) < sizeof current;
    for (int i = 0; is_link && i < LINKS_MAX; i++) {
        if (realpath(current, real) != NULL)
            return mem_copy_text(real, strlen(real), err);
        is_link = follow_link(current);
    }
    const char *slash = strrchr(current, '/'), *name = slash != NULL ? slash + 1 : current;
    snprintf(folder, sizeof folder, "%.*s", (int)(name - current), current);
    if (is_link || realpath(slash != NULL ? folder : ".", real) == NULL)
        return mem_copy_text(path, strlen(path), err); /* no such folder, or links in a circle */
    bytes_add_text(&out, real);
    bytes_add_text(&out, "/");
    bytes_add_text(&out, name);
    if (bytes_check(&out, err) == WEIR_OK)
        return out.data;
    bytes_release(&out);
    return NULL;
}

/* "TARGET.tmp" and a number that no other writer has, be it of another container that has the same
 * process numbers; zero-terminated, NULL for want of memory. */
static char *temporary_name(const char *target, struct weir_error *err)
{
    const size_t size = strlen(target) + 32;
    char *name = mem_alloc(size, 1, err);
    if (name != NULL)
        snprintf(name, size, "%s.tmp%016llx", target, (unsigned long long)rng_system_seed());
    return name;
}

static enum weir_status writer_begin(struct file_writer *writer, struct weir_error *err)
{
    struct stat info;
    const bool exists = stat(writer->path_target, &info) == 0;
    const bool is_direct = exists && !S_ISREG(info.st_mode);
    if (!is_direct) {
        writer->path_temporary = temporary_name(writer->path_target, err);
        if (writer->path_temporary == NULL)
            return WEIR_ERR_MEMORY;
    }
    writer->stream =
        is_direct ? fopen(writer->path_target, "wb") : fopen(writer->path_temporary, "wbx");
    if (writer->stream == NULL)
        return err_set(err, WEIR_ERR_IO, "%s: cannot create%s: %s", writer->path,
                       is_direct ? "" : " a file beside it", strerror(errno));
    writer->is_new = !exists;
    if (exists && !is_direct)
        fchmod(fileno(writer->stream), info.st_mode & 07777);
    return WEIR_OK;
}

void file_writer_make_private(const struct file_writer *writer)
{
    if (writer->is_new)
        fchmod(fileno(writer->stream), S_IRUSR | S_IWUSR);
}

enum weir_status file_writer_open(struct file_writer *writer, const char *path,
                                  struct weir_error *err)
{
    *writer = (struct file_writer){0};
    enum weir_status status = WEIR_ERR_MEMORY;
    writer->path = mem_copy_text(path, strlen(path), err);
    writer->path_target = file_target(path, err);
    if (writer->path == NULL || writer->path_target == NULL)
        goto out;
    TRY(writer_begin(writer, err));
    return WEIR_OK;
out:
    file_writer_abandon(writer);
    return status;
}

enum weir_status file_writer_put(struct file_writer *writer, const void *data, uint64_t size,
                                 struct weir_error *err)
{
    if (size > 0 && fwrite(data, 1, (size_t)size, writer->stream) != size)
        return err_set(err, WEIR_ERR_IO, "%s: cannot write: %s", writer->path, strerror(errno));
    return WEIR_OK;
}

static void writer_release(struct file_writer *writer)
{
    mem_free(writer->path);
    mem_free(writer->path_target);
    mem_free(writer->path_temporary);
    *writer = (struct file_writer){0};
}

static enum weir_status writer_failed(const struct file_writer *writer, struct weir_error *err)
{
    return err_set(err, WEIR_ERR_IO, "%s: cannot write: %s", writer->path, strerror(errno));
}

enum weir_status file_writer_finish(struct file_writer *writer, struct weir_error *err)
{
    const bool is_synced = writer->path_temporary != NULL && !writer->is_unsynced;
    if (fflush(writer->stream) != 0 || (is_synced && fsync(fileno(writer->stream)) != 0))
        return writer_failed(writer, err);
    fclose(writer->stream);
    writer->stream = NULL;
    writer->is_finished = true;
    return WEIR_OK;
}

enum weir_status file_writer_publish(struct file_writer *writer, struct weir_error *err)
{
    const bool is_direct = writer->path_temporary == NULL;
    if (!is_direct && rename(writer->path_temporary, writer->path_target) != 0)
        return writer_failed(writer, err);
    writer_release(writer);
    return WEIR_OK;
}

enum weir_status file_writer_commit(struct file_writer *writer, struct weir_error *err)
{
    const enum weir_status status = file_writer_finish(writer, err);
    return status == WEIR_OK ? file_writer_publish(writer, err) : status;
}

void file_writer_abandon(struct file_writer *writer)
{
    const bool is_begun = writer->stream != NULL || writer->is_finished;
    if (writer->stream != NULL)
        fclose(writer->stream);
    if (is_begun && writer->path_temporary != NULL)
        remove(writer->path_temporary);
    writer_release(writer);
}

bool file_exists(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0;
}

bool file_is_same(const char *path, const char *other)
{
    struct stat info, other_info;
    return stat(path, &info) == 0 && stat(other, &other_info) == 0 && S_ISREG(info.st_mode) &&
           info.st_dev == other_info.st_dev && info.st_ino == other_info.st_ino;
}

/* Where a writer puts its temporary file: the folder of the file that a link leads to. */
static bool target_folder(const char *path, char folder[PATH_MAX])
{
    if (realpath(path, folder) == NULL)
        snprintf(folder, PATH_MAX, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash == NULL)
        snprintf(folder, PATH_MAX, ".");
    else
        slash[1] = 0;
    return strlen(path) < PATH_MAX;
}

uint64_t file_space(const char *path)
{
    char folder[PATH_MAX];
    struct stat info;
    struct statvfs space;
    const bool is_direct = stat(path, &info) == 0 && !S_ISREG(info.st_mode);
    if (is_direct || !target_folder(path, folder) || statvfs(folder, &space) != 0)
        return UINT64_MAX;
    return (uint64_t)space.f_bavail * space.f_frsize;
}

enum weir_status file_check_space(const char *path, uint64_t bytes, struct weir_error *err)
{
    const uint64_t space = file_space(path);
    if (bytes <= space)
        return WEIR_OK;
    return err_set(err, WEIR_ERR_IO, "%s: needs %llu bytes, the disk has %llu free", path,
                   (unsigned long long)bytes, (unsigned long long)space);
}

enum weir_status file_report_progress(const char *path, weir_progress_fn *progress, void *user,
                                      uint64_t done, uint64_t total, struct weir_error *err)
{
    if (progress == NULL || progress(user, WEIR_STAGE_WRITE, done, total))
        return WEIR_OK;
    return err_set(err, WEIR_ERR_CANCELLED, "%s: cancelled after %llu of %llu bytes", path,
                   (unsigned long long)done, (unsigned long long)total);
}

/* ---- large memory ---------------------------------------------------------------------------- */

void *pages_alloc(uint64_t size, struct weir_error *err)
{
    /* mmap aligns to 4 KiB: take one huge page more and give back what stands out. */
    uint64_t reserved;
    if (!size_add(size, (uint64_t)HUGE_PAGE_BYTES * 2, &reserved) || reserved > PTRDIFF_MAX) {
        err_set(err, WEIR_ERR_MEMORY, "cannot allocate %llu bytes", (unsigned long long)size);
        return NULL;
    }
    const uint64_t used = size_align(size == 0 ? 1 : size, HUGE_PAGE_BYTES);
    reserved = used + HUGE_PAGE_BYTES;
    uint8_t *start = mmap(NULL, (size_t)reserved, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED) {
        err_set(err, WEIR_ERR_MEMORY, "out of memory: %llu bytes", (unsigned long long)size);
        return NULL;
    }
    const uint64_t before = size_align((uintptr_t)start, HUGE_PAGE_BYTES) - (uintptr_t)start;
    if (before > 0)
        munmap(start, (size_t)before);
    uint8_t *memory = start + before;
    munmap(memory + used, (size_t)(reserved - before - used));
    madvise(memory, (size_t)used, MADV_HUGEPAGE);
    return memory;
}

void pages_free(void *memory, uint64_t size)
{
    if (memory != NULL)
        munmap(memory, (size_t)size_align(size == 0 ? 1 : size, HUGE_PAGE_BYTES));
}

enum weir_status pages_lock(const void *memory, uint64_t size, struct weir_error *err)
{
    if (size > 0 && mlock(memory, (size_t)size) != 0)
        return err_set(err, WEIR_ERR_MEMORY, "cannot lock %llu bytes in RAM: %s (see ulimit -l)",
                       (unsigned long long)size, strerror(errno));
    return WEIR_OK;
}

uint64_t pages_available(void)
{
    FILE *stream = fopen("/proc/meminfo", "r");
    if (stream == NULL)
        return 0;
    char line[256];
    unsigned long long kib = 0;
    while (fgets(line, sizeof line, stream) != NULL) {
        if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
            break;
    }
    fclose(stream);
    const uint64_t free_here = cgroup_memory_free("");
    const uint64_t least = kib * 1024 < free_here ? kib * 1024 : free_here;
    return kib > 0 && least == 0 ? 1 : least; /* 0 is unknown */
}
