/* SPDX-License-Identifier: MIT
 * From a flag to a chat template. Knows no conversation. */
#include "app/chat_template.h"

#include <string.h>

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

static const uint64_t file_bytes_max = (uint64_t)16 << 20;

enum weir_status chat_template_open_file(struct weir_template **out, const char *path,
                                         struct weir_error *err)
{
    uint8_t *source = NULL;
    size_t length;
    enum weir_status status;
    *out = NULL;
    TRY(file_read_all(path, file_bytes_max, &source, &length, err));
    TRY(weir_template_open(out, (const char *)source, length, path, err));
out:
    mem_free(source);
    return status;
}

static enum weir_status open_named(struct weir_template **out, const char *name,
                                   struct weir_error *err)
{
    const char *builtin = weir_template_builtin(name);
    if (builtin != NULL)
        return weir_template_open(out, builtin, strlen(builtin), name, err);
    return chat_template_open_file(out, name, err);
}

enum weir_status chat_template_open(struct weir_template **out, const char *name,
                                    const struct weir_model *model, struct weir_error *err)
{
    struct weir_error inner = {0};
    *out = NULL;
    const enum weir_status status =
        name != NULL ? open_named(out, name, &inner) : weir_template_open_model(out, model, &inner);
    if (status == WEIR_OK)
        return WEIR_OK;
    return err_set(err, status, "%s: %s", name != NULL ? "--template" : "--model", inner.text);
}
