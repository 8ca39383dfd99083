/* SPDX-License-Identifier: MIT
 * Completes words and paths. Knows no terminal, and no command. */
#include "app/complete.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "app/home_path.h"

void completion_release(struct completion *completion)
{
    bytes_release(&completion->names);
    bytes_release(&completion->common);
    *completion = (struct completion){.count = 0};
}

static size_t common_length(const struct bytes *common, const char *name)
{
    size_t length = 0;
    while (length < common->length && common->data[length] == name[length])
        length++;
    return length;
}

void completion_add(struct completion *completion, const char *begin, const char *name)
{
    if (strncmp(name, begin, strlen(begin)) != 0)
        return;
    struct bytes *common = &completion->common;
    if (completion->count == 0) {
        bytes_add_text(common, name);
    } else if (common->length > 0) {
        common->length = common_length(common, name);
        common->data[common->length] = 0;
    }
    bytes_add(&completion->names, name, strlen(name) + 1);
    completion->count++;
}

static bool is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static bool leads_to_folder(const struct bytes *path)
{
    struct bytes whole = {0};
    home_path_add(&whole, path->data, path->length);
    const bool result = bytes_check(&whole, NULL) == WEIR_OK && is_folder(whole.data);
    bytes_release(&whole);
    return result;
}

static void add_file(struct completion *completion, const char *begin, size_t folder,
                     const char *name)
{
    const bool is_hidden = name[0] == '.' && begin[folder] != '.';
    const bool is_dots = strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
    struct bytes path = {0};
    if (is_hidden || is_dots)
        return;
    bytes_add(&path, begin, folder);
    bytes_add_text(&path, name);
    if (bytes_check(&path, NULL) == WEIR_OK && leads_to_folder(&path))
        bytes_add_text(&path, "/");
    if (bytes_check(&path, NULL) == WEIR_OK)
        completion_add(completion, begin, path.data);
    bytes_release(&path);
}

void completion_add_files(struct completion *completion, const char *begin)
{
    const char *slash = strrchr(begin, '/');
    const size_t length = slash != NULL ? (size_t)(slash - begin) + 1 : 0;
    struct bytes folder = {0};
    struct dirent **entries;
    home_path_add(&folder, begin, length);
    if (length == 0)
        bytes_add_text(&folder, ".");
    const int count = bytes_check(&folder, NULL) == WEIR_OK
                          ? scandir(folder.data, &entries, NULL, alphasort)
                          : -1;
    for (int i = 0; i < count; i++) {
        add_file(completion, begin, length, entries[i]->d_name);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    bytes_release(&folder);
}
