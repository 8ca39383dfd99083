/* SPDX-License-Identifier: MIT
 * What was written, by a look at it. */
#include "app/written.h"

#include <dirent.h>
#include <sys/stat.h>

#include "weir.h"

static double mebibytes(uint64_t bytes)
{
    return (double)bytes / (1 << 20);
}

void written_model(const char *path, struct log *log)
{
    struct weir_model *model;
    struct weir_model_info info;
    if (weir_model_open(&model, path, NULL, NULL) != WEIR_OK)
        return;
    weir_model_info(model, &info);
    log_print(log, WEIR_LOG_INFO, "%s: %.2f MiB, %.2f bits per weight", path,
              mebibytes(info.file_bytes), 8 * (double)info.tensor_bytes / (double)info.parameters);
    weir_model_close(model);
}

void written_folder(const char *path, struct log *log)
{
    DIR *dir = opendir(path);
    uint64_t bytes = 0;
    unsigned files = 0;
    if (dir == NULL)
        return;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        struct stat status;
        if (fstatat(dirfd(dir), entry->d_name, &status, 0) != 0 || !S_ISREG(status.st_mode))
            continue;
        bytes += (uint64_t)status.st_size;
        files++;
    }
    closedir(dir);
    log_print(log, WEIR_LOG_INFO, "%s: %u files, %.2f MiB", path, files, mebibytes(bytes));
}
