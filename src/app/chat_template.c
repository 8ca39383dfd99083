/* SPDX-License-Identifier: MIT
 * From a flag to a chat template. Knows no conversation. */
#include "app/chat_template.h"

#include <string.h>

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

static const uint64_t file_bytes_max = (uint64_t)16 << 20;

static enum weir_status open_file(struct weir_template **out, const char *path,
                                  struct weir_error *err)
{
    uint8_t *source = NULL;
    size_t length;
    enum weir_status status;
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
    return builtin != NULL ? weir_template_open(out, builtin, strlen(builtin), name, err)
                           : open_file(out, name, err);
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

/* ---- of chats -------------------------------------------------------------------------------- */

static const char usual_template[] = "chatml";

/* A file without a template gets the usual one. One with a template that is not understood is not
 * talked to in another form than it was made for, unless somebody says so. */
static enum weir_status open_own(struct weir_template **out, const struct weir_model *model,
                                 struct log *log, struct weir_error *err)
{
    const char *source = weir_template_builtin(usual_template);
    struct weir_error why = {0};
    const enum weir_status status = weir_template_open_model(out, model, &why);
    if (status == WEIR_OK)
        return WEIR_OK;
    if (status != WEIR_ERR_ARGUMENT)
        return err_set(err, status, "%s; --chat-template names another, as %s", why.text,
                       usual_template);
    log_print(log, WEIR_LOG_WARNING, "warning: %s: it is talked to as %s", why.text,
              usual_template);
    return weir_template_open(out, source, strlen(source), usual_template, err);
}

enum weir_status chat_template_choose(struct weir_template **out, const char *text,
                                      const char *file, const struct weir_model *model,
                                      struct log *log, struct weir_error *err)
{
    *out = NULL;
    if (text != NULL && file != NULL)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "only one of --chat-template and --chat-template-file may be given");
    if (file != NULL)
        return open_file(out, file, err);
    if (text == NULL)
        return open_own(out, model, log, err);
    if (weir_template_builtin(text) != NULL)
        return weir_template_open(out, weir_template_builtin(text),
                                  strlen(weir_template_builtin(text)), text, err);
    if (strchr(text, '{') == NULL) /* a constant would be no conversation */
        return err_set(err, WEIR_ERR_ARGUMENT, "--chat-template: '%s' is no template, nor is it %s",
                       text, usual_template);
    return weir_template_open(out, text, strlen(text), "--chat-template", err);
}
