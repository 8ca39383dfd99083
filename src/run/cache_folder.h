/* SPDX-License-Identifier: MIT
 * A folder of snapshots, one a file, that several programs may use at once: names, ages, room.
 * Knows no session.
 *
 * A file's name says whose it is: MODEL-POSITION-ID.snap, hexadecimal, with the first half of the
 * fingerprint, the number of tokens, and their digest. Files appear whole, by renaming, and may
 * vanish at any moment. How long a file was of no use is the time since it was last touched. */
#ifndef RUN_CACHE_FOLDER_H
#define RUN_CACHE_FOLDER_H

#include "base/digest.h"
#include "base/file.h"

struct cache_folder {
    char *path; /* NULL: there is none */
    uint64_t bytes_max;
};

/* What a name says. */
struct cache_key {
    struct digest model; /* the second half is zero */
    uint32_t position;
    struct digest id;
};

struct cache_file {
    struct cache_key key;
    uint64_t bytes;
    int64_t used_ns; /* since 1970 */
};

/* Makes the folder if it is not there, readable by its owner alone, and removes what an ended
 * program left unfinished an hour ago or earlier. WEIR_ERR_IO if files cannot be made there. */
enum weir_status cache_folder_open(struct cache_folder *folder, const char *path,
                                   uint64_t bytes_max, struct weir_error *err);
void cache_folder_close(struct cache_folder *folder);

/* The file of a key, to be freed with mem_free; NULL for want of memory. */
char *cache_folder_path(const struct cache_folder *folder, const struct cache_key *key,
                        struct weir_error *err);

/* All files whose names say something; the caller frees *out. */
enum weir_status cache_folder_list(const struct cache_folder *folder, struct cache_file **out,
                                   uint64_t *count, struct weir_error *err);

/* Nanoseconds since 1970. What is touched in one call gets one time. Returns the time that the file
 * then has: file systems may round it down, some to seconds. */
int64_t cache_folder_now(void);
int64_t cache_folder_touch(const char *path, int64_t now);

/* Makes room for `bytes` more, within bytes_max and on the disk: removes those not used for
 * longest, of those that were as long the one with the most tokens first, since others may need the
 * one with fewer. Files used at `fresh` or later stay; *has_room says whether that sufficed. */
enum weir_status cache_folder_make_room(const struct cache_folder *folder, uint64_t bytes,
                                        int64_t fresh, bool *has_room, struct weir_error *err);

/* Removes as much, in that order, as the folder holds too much; says what it held and holds. */
enum weir_status cache_folder_shrink(const struct cache_folder *folder, uint64_t *before,
                                     uint64_t *after, struct weir_error *err);

#endif
