/* SPDX-License-Identifier: MIT
 * Writing a folder of files: filled under a temporary name, renamed when it is complete. */
#ifndef BASE_FOLDER_H
#define BASE_FOLDER_H

#include "base/file.h"

struct folder_writer {
    char *path;           /* as given, without slashes at its end */
    char *path_temporary; /* the folder that is filled */
};

/* Makes the folder that is to be filled. Nothing may stand at `path` yet. After a failed put or
 * commit the caller still abandons; nothing is left behind. */
enum weir_status folder_writer_open(struct folder_writer *folder, const char *path,
                                    struct weir_error *err);
/* Opens a file of the folder; its own commit comes before that of the folder. */
enum weir_status folder_writer_file(struct folder_writer *folder, const char *name,
                                    struct file_writer *file, struct weir_error *err);
enum weir_status folder_writer_commit(struct folder_writer *folder, struct weir_error *err);
/* Removes the files that were put there, and the folder. */
void folder_writer_abandon(struct folder_writer *folder);

#endif
