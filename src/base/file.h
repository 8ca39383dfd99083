/* SPDX-License-Identifier: MIT
 * Files: whole-file maps, reads at a position, atomic writing, and large anonymous memory in huge
 * pages. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdio.h>

#include "base/err.h"

/* A file mapped read-only. `data` is NULL for an empty file. */
struct file_map {
    const uint8_t *data;
    uint64_t size;
    uint64_t device, number; /* which file it is, whatever its name leads to by now */
};

/* Opens, maps and closes. The size is that at open: a file that shrinks later raises SIGBUS when
 * its end is touched, so metadata is copied out early. */
enum weir_status file_map_open(struct file_map *out, const char *path, struct weir_error *err);
void file_map_close(struct file_map *map);
/* Brings a range of a map into memory now: reads it ahead and enters its pages. */
void file_map_populate(const void *data, uint64_t size);
/* Gives the memory of the whole pages in a range of a map back, so that reading a large file once
 * takes little. What is read again comes from the file. Not for other memory: that would lose its
 * content. */
void file_map_forget(const void *data, uint64_t size);

/* Reads exactly `size` bytes at `offset` of the file that is mapped, past the map. `path` is its
 * name; where that leads to another file by now, and of a short one, WEIR_ERR_IO. */
enum weir_status file_map_read(const struct file_map *map, const char *path, uint64_t offset,
                               void *out, uint64_t size, struct weir_error *err);

/* Reads the whole file into memory that the caller frees with mem_free; a zero follows the last
 * byte. `path` "-" is standard input. Refuses files of more than `size_max` bytes. */
enum weir_status file_read_all(const char *path, uint64_t size_max, uint8_t **out, size_t *size,
                               struct weir_error *err);

/* A file kept open for reads at a position. Set to zero, it may be closed. */
struct file_reader {
    char *path; /* NULL: not open */
    int fd;
    uint64_t size; /* at open */
};

enum weir_status file_reader_open(struct file_reader *reader, const char *path,
                                  struct weir_error *err);
/* Reads exactly `size` bytes at `offset`; a short file is WEIR_ERR_IO. */
enum weir_status file_reader_at(const struct file_reader *reader, uint64_t offset, void *out,
                                uint64_t size, struct weir_error *err);
void file_reader_close(struct file_reader *reader);

/* A file being written under a temporary name beside its target. What is there already and is no
 * regular file (a device, a pipe) is written directly: it cannot be replaced. */
struct file_writer {
    FILE *stream;
    char *path;           /* as given, for messages */
    char *path_target;    /* file_target */
    char *path_temporary; /* NULL if written directly */
    bool is_new;          /* replaces nothing */
    bool is_finished;     /* complete and closed, not renamed yet */
    bool is_unsynced;     /* set by the caller behind open: what is written may be lost, or be in
                             pieces, if the machine loses its power */
};

/* Begin, then write through file_writer_put, then commit or abandon. Commit is finish (flush, sync,
 * close) and publish (rename); several files that shall appear together are all finished before the
 * first is published. After a failure the caller still abandons; nothing is left behind. A file
 * that is replaced hands on its permissions. */
enum weir_status file_writer_open(struct file_writer *writer, const char *path,
                                  struct weir_error *err);
/* A file that is new can be read by its owner alone. */
void file_writer_make_private(const struct file_writer *writer);
enum weir_status file_writer_put(struct file_writer *writer, const void *data, uint64_t size,
                                 struct weir_error *err);
enum weir_status file_writer_finish(struct file_writer *writer, struct weir_error *err);
enum weir_status file_writer_publish(struct file_writer *writer, struct weir_error *err);
enum weir_status file_writer_commit(struct file_writer *writer, struct weir_error *err);
void file_writer_abandon(struct file_writer *writer);

/* The file that a path leads to, whatever links lead there, be it there or not yet; the path itself
 * where no folder is. Freed with mem_free; NULL for want of memory. */
char *file_target(const char *path, struct weir_error *err);

/* True if there is anything of that name, be it a link that leads nowhere. */
bool file_exists(const char *path);

/* Do both paths lead to one and the same regular file? A device can be read and written. */
bool file_is_same(const char *path, const char *other);

/* Free bytes of the file system on which a file_writer would fill `path`: that of the file that a
 * link leads to. UINT64_MAX if unknown, and for what is written directly. */
uint64_t file_space(const char *path);
/* Refuses a file of so many bytes if they are not free. */
enum weir_status file_check_space(const char *path, uint64_t bytes, struct weir_error *err);

/* Tells how far the writing of `path` is; `progress` may be NULL. Its wish to end it is
 * WEIR_ERR_CANCELLED. */
enum weir_status file_report_progress(const char *path, weir_progress_fn *progress, void *user,
                                      uint64_t done, uint64_t total, struct weir_error *err);

/* Zeroed anonymous memory aligned to 2 MiB, in huge pages where the system grants them. NULL with
 * `err` set on failure. Release with the same size. */
void *pages_alloc(uint64_t size, struct weir_error *err);
void pages_free(void *memory, uint64_t size);
/* Keeps the range in RAM; a refusal (RLIMIT_MEMLOCK) is WEIR_ERR_MEMORY. */
enum weir_status pages_lock(const void *memory, uint64_t size, struct weir_error *err);
/* Free RAM in bytes, as the kernel estimates it for new programs, and no more than a limit of the
 * process's control group leaves; 0 if unknown. */
uint64_t pages_available(void);

#endif
