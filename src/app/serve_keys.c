/* SPDX-License-Identifier: MIT
 * Keys from a flag and from a file. Knows not who is asked for them. */
#include "app/serve_keys.h"

#include <string.h>

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

enum { FILE_BYTES_MAX = 1 << 20 };

static const char blanks[] = " \t\r";

/* Adds the pieces of a text between separators, without blanks around them; those that begin with
 * `comment` are none. */
static enum weir_status add_keys(struct text_list *list, const char *text, const char *separator,
                                 char comment, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    for (const char *at = text; status == WEIR_OK; at++) {
        const size_t piece = strcspn(at, separator);
        const size_t before = strspn(at, blanks);
        size_t end = piece;
        while (end > before && strchr(blanks, at[end - 1]) != NULL)
            end--;
        if (end > before && at[before] != comment)
            status = text_list_add(list, at + before, end - before, err);
        at += piece;
        if (*at == 0)
            break;
    }
    return status;
}

static enum weir_status add_file(struct text_list *list, const char *path, struct weir_error *err)
{
    uint8_t *text = NULL;
    size_t length;
    const uint64_t before = list->count;
    enum weir_status status;
    TRY(file_read_all(path, FILE_BYTES_MAX, &text, &length, err));
    if (strlen((const char *)text) != length)
        TRY(err_set(err, WEIR_ERR_FORMAT, "%s: no text: it holds a zero", path));
    TRY(add_keys(list, (const char *)text, "\n", '#', err));
    if (list->count == before)
        TRY(err_set(err, WEIR_ERR_ARGUMENT, "%s: holds no key", path));
out:
    mem_free(text);
    return status;
}

enum weir_status serve_keys_read(struct options *options, struct weir_error *err)
{
    struct serve_options *serve = &options->serve;
    struct weir_error inner = {0};
    enum weir_status status = WEIR_OK;
    if (serve->keys != NULL)
        status = add_keys(&serve->key_list, serve->keys, ",", 0, err);
    if (status == WEIR_OK && serve->keys != NULL && serve->key_list.count == 0)
        return err_set(err, WEIR_ERR_ARGUMENT, "--api-key: holds no key");
    if (status != WEIR_OK || serve->key_file == NULL)
        return status;
    status = add_file(&serve->key_list, serve->key_file, &inner);
    return status == WEIR_OK ? status : err_set(err, status, "--api-key-file: %s", inner.text);
}
