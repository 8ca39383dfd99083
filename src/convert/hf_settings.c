/* SPDX-License-Identifier: MIT
 * Reads tokenizer_config.json, chat_template.jinja and generation_config.json. Knows no tensor. */
#include "convert/hf_settings.h"

#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/names.h"

enum { KEY_MAX = 256 };

/* ---- sampling -------------------------------------------------------------------------------- */

static enum weir_status write_sampling(const struct hf_source *source, struct gguf_writer *writer,
                                       struct weir_error *err)
{
    static const struct {
        const char *name, *key;
        double high;
    } reals[] = {
        {"temperature", "general.sampling.temp", 1e6},
        {"top_p", "general.sampling.top_p", 1},
        {"min_p", "general.sampling.min_p", 1},
        {"repetition_penalty", "general.sampling.penalty_repeat", 1e6},
    };
    int64_t top_k = -1;
    enum weir_status status;
    TRY(hf_get_integer(source, "top_k", 0, INT32_MAX, &top_k, err));
    if (top_k >= 0)
        TRY(gguf_writer_i32(writer, "general.sampling.top_k", (int32_t)top_k, err));
    for (size_t i = 0; i < sizeof reals / sizeof reals[0]; i++) {
        double value = -1;
        TRY(hf_get_real(source, reals[i].name, 0, reals[i].high, &value, err));
        if (value >= 0)
            TRY(gguf_writer_f32(writer, reals[i].key, (float)value, err));
    }
out:
    return status;
}

enum weir_status hf_settings_sampling(const char *folder, struct gguf_writer *writer,
                                      struct weir_error *err)
{
    static const char name[] = "generation_config.json";
    json_t *root = NULL;
    bool samples = true;
    char *path = hf_path(folder, name, err);
    if (path == NULL)
        return WEIR_ERR_MEMORY;
    enum weir_status status;
    TRY(hf_json_read(&root, folder, name, true, err));
    const struct hf_source source = {root, NULL, path};
    TRY(hf_get_bool(&source, "do_sample", &samples, err));
    if (samples) /* otherwise the other values have no meaning */
        TRY(write_sampling(&source, writer, err));
out:
    json_decref(root);
    mem_free(path);
    return status;
}

/* ---- special tokens -------------------------------------------------------------------------- */

/* The id of the token that tokenizer_config.json names under `key`, a text or an object with
 * "content"; otherwise `fallback`. */
static enum weir_status token_id(const struct hf_source *source,
                                 const struct hf_tokenizer *tokenizer, const char *key,
                                 int64_t fallback, int64_t *out, struct weir_error *err)
{
    const json_t *value = hf_find(source, key);
    if (json_is_object(value))
        value = json_object_get(value, "content");
    *out = fallback;
    if (value == NULL)
        return WEIR_OK;
    if (json_is_string(value))
        *out = hf_tokenizer_find(tokenizer, hf_json_text(value));
    if (!json_is_string(value) || *out < 0)
        return err_set(err, WEIR_ERR_FORMAT, "%s: \"%s\" is no token of tokenizer.json",
                       source->path, key);
    return WEIR_OK;
}

static enum weir_status write_ids(const struct hf_source *source, const struct hf_config *config,
                                  const struct hf_tokenizer *tokenizer, struct gguf_writer *writer,
                                  struct weir_error *err)
{
    const struct {
        const char *name, *key;
        int64_t fallback;
    } ids[] = {
        {"bos_token", "tokenizer.ggml.bos_token_id", config->bos},
        {"eos_token", "tokenizer.ggml.eos_token_id", config->eos},
        {"pad_token", "tokenizer.ggml.padding_token_id", config->pad},
    };
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        int64_t id;
        enum weir_status status =
            token_id(source, tokenizer, ids[i].name, ids[i].fallback, &id, err);
        if (status == WEIR_OK && id >= 0)
            status = gguf_writer_u32(writer, ids[i].key, (uint32_t)id, err);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

static enum weir_status write_switch(const struct hf_source *source, const char *name,
                                     const char *key, struct gguf_writer *writer,
                                     struct weir_error *err)
{
    bool value = false;
    const enum weir_status status = hf_get_bool(source, name, &value, err);
    if (status != WEIR_OK || hf_find(source, name) == NULL)
        return status;
    return gguf_writer_bool(writer, key, value, err);
}

/* ---- chat templates -------------------------------------------------------------------------- */

static enum weir_status bad_template(const char *path, struct weir_error *err)
{
    return err_set(err, WEIR_ERR_FORMAT,
                   "%s: \"chat_template\" is neither a text nor a list of names and templates",
                   path);
}

/* A list on its way to the writer. */
struct templates {
    const char *path;
    struct span *names; /* but for the default one */
    uint64_t count;
    struct names seen;
};

/* The default one goes under the plain key, others go under their names. */
static enum weir_status write_named(struct templates *templates, const json_t *entry,
                                    struct gguf_writer *writer, struct weir_error *err)
{
    const json_t *value = json_object_get(entry, "name");
    const char *name = json_string_value(value);
    const char *text = json_string_value(json_object_get(entry, "template"));
    char key[KEY_MAX];
    bool added = false;
    enum weir_status status;
    if (name == NULL || text == NULL)
        return bad_template(templates->path, err);
    TRY(names_add(&templates->seen, hf_json_text(value), 0, &added, err));
    if (!added)
        return err_set(err, WEIR_ERR_FORMAT,
                       "%s: \"chat_template\" has two templates named \"%.60s\", expected one",
                       templates->path, name);
    if (strcmp(name, "default") == 0)
        return gguf_writer_text(writer, "tokenizer.chat_template", text, err);
    if ((size_t)snprintf(key, sizeof key, "tokenizer.chat_template.%s", name) >= sizeof key)
        return bad_template(templates->path, err);
    templates->names[templates->count++] = hf_json_text(value);
    status = gguf_writer_text(writer, key, text, err);
out:
    return status;
}

static enum weir_status write_list(const json_t *list, const char *path, struct gguf_writer *writer,
                                   struct weir_error *err)
{
    struct templates templates = {.path = path};
    templates.names = mem_alloc(json_array_size(list), sizeof *templates.names, err);
    if (templates.names == NULL)
        return WEIR_ERR_MEMORY;
    enum weir_status status = WEIR_OK;
    for (size_t i = 0; i < json_array_size(list); i++)
        TRY(write_named(&templates, json_array_get(list, i), writer, err));
    if (templates.count > 0)
        TRY(gguf_writer_texts(writer, "tokenizer.chat_templates", templates.names, templates.count,
                              err));
out:
    names_release(&templates.seen);
    mem_free(templates.names);
    return status;
}

/* A file of its own takes the place of what tokenizer_config.json says. */
static enum weir_status write_template(const char *folder, const struct hf_source *source,
                                       struct gguf_writer *writer, struct weir_error *err)
{
    const json_t *value = hf_find(source, "chat_template");
    uint8_t *text = NULL;
    size_t size;
    char *path = hf_path(folder, "chat_template.jinja", err);
    if (path == NULL)
        return WEIR_ERR_MEMORY;
    enum weir_status status = WEIR_OK;
    if (file_exists(path)) {
        TRY(file_read_all(path, HF_JSON_BYTES_MAX, &text, &size, err));
        const size_t length = strlen((const char *)text);
        if (length < size)
            status =
                err_set(err, WEIR_ERR_FORMAT, "%s: byte %zu is 0, expected a text", path, length);
        else
            status = gguf_writer_text(writer, "tokenizer.chat_template", (const char *)text, err);
    } else if (json_is_string(value)) {
        status = gguf_writer_text(writer, "tokenizer.chat_template", json_string_value(value), err);
    } else if (json_is_array(value)) {
        status = write_list(value, source->path, writer, err);
    } else if (value != NULL) {
        status = bad_template(source->path, err);
    }
out:
    mem_free(text);
    mem_free(path);
    return status;
}

enum weir_status hf_settings_tokens(const char *folder, const struct hf_config *config,
                                    const struct hf_tokenizer *tokenizer,
                                    struct gguf_writer *writer, struct weir_error *err)
{
    static const char name[] = "tokenizer_config.json";
    json_t *root = NULL;
    char *path = hf_path(folder, name, err);
    if (path == NULL)
        return WEIR_ERR_MEMORY;
    enum weir_status status;
    TRY(hf_json_read(&root, folder, name, true, err));
    const struct hf_source source = {root, NULL, path};
    TRY(write_ids(&source, config, tokenizer, writer, err));
    TRY(write_switch(&source, "add_bos_token", "tokenizer.ggml.add_bos_token", writer, err));
    TRY(write_switch(&source, "add_eos_token", "tokenizer.ggml.add_eos_token", writer, err));
    TRY(write_template(folder, &source, writer, err));
out:
    json_decref(root);
    mem_free(path);
    return status;
}
