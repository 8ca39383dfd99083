/* SPDX-License-Identifier: MIT
 * From a model's metadata to its chat template. Knows the keys, not the language. */
#include <stdio.h>

#include "chat/template.h"
#include "run/model_file.h"

enum { NAME_BYTES_MAX = 300 };

/* The text of the token that the key numbers; without data if there is none. */
static enum weir_status get_token(const struct gguf *gguf, const char *key, struct span *out,
                                  struct weir_error *err)
{
    const struct gguf_kv *tokens = gguf_find(gguf, "tokenizer.ggml.tokens");
    uint32_t id = UINT32_MAX;
    uint64_t cursor = 0;
    *out = (struct span){0};
    const enum weir_status status = gguf_get_u32(gguf, key, &id, err);
    const bool is_list =
        tokens != NULL && tokens->type == GGUF_ARRAY && tokens->element == GGUF_STRING;
    if (status != WEIR_OK || !is_list || id >= tokens->count)
        return status;
    for (uint64_t i = 0; i <= id; i++) {
        if (!gguf_kv_next_text(tokens, &cursor, out))
            *out = (struct span){0};
    }
    return WEIR_OK;
}

enum weir_status weir_template_open_model(struct weir_template **out,
                                          const struct weir_model *model, struct weir_error *err)
{
    const struct gguf *gguf = model->gguf;
    struct span source = {0};
    struct template_tokens tokens = {0};
    char path[NAME_BYTES_MAX], name[NAME_BYTES_MAX + 32];
    enum weir_status status;
    *out = NULL;
    TRY(gguf_get_text(gguf, "tokenizer.chat_template", &source, err));
    if (source.data == NULL)
        return err_set(err, WEIR_ERR_ARGUMENT, "%s: key tokenizer.chat_template is missing",
                       gguf_path(gguf));
    TRY(get_token(gguf, "tokenizer.ggml.bos_token_id", &tokens.bos, err));
    TRY(get_token(gguf, "tokenizer.ggml.eos_token_id", &tokens.eos, err));
    text_fit(gguf_path(gguf), path, sizeof path);
    snprintf(name, sizeof name, "%s: chat template", path);
    TRY(template_open(out, source, name, &tokens, err));
out:
    return status;
}
