/* SPDX-License-Identifier: MIT
 * The line that a command ends with which wrote files: which, and how many bytes. Knows not how it
 * wrote them. */
#ifndef APP_WRITTEN_H
#define APP_WRITTEN_H

#include "app/log.h"

/* "PATH: 0.32 MiB, 8.72 bits per weight"; nothing of a device or a pipe. */
void written_model(const char *path, struct log *log);

/* "FOLDER: 8 files, 0.32 MiB". */
void written_folder(const char *path, struct log *log);

#endif
