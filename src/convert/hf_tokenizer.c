/* SPDX-License-Identifier: MIT
 * Reads tokenizer.json. What the tokenizer of this program would not do is refused. Knows no
 * model. */
#include "convert/hf_tokenizer.h"

#include <string.h>

#include "base/mem.h"

enum token_type {
    TOKEN_NONE = 0, /* not yet known: no type of GGUF files */
    TOKEN_NORMAL = 1,
    TOKEN_CONTROL = 3,
    TOKEN_USER_DEFINED = 4,
    TOKEN_UNUSED = 5,
};

enum { PADDING_BYTES = 24 }; /* "[PAD4294967295]" */

static enum weir_status unsupported(const char *path, const char *what, const char *expected,
                                    struct weir_error *err)
{
    return err_set(err, WEIR_ERR_UNSUPPORTED, "%s: %s, expected %s", path, what, expected);
}

/* ---- pre-tokenizer and normalizer ------------------------------------------------------------ */

/* The expression that splits a text, as tokenizer.json spells it. */
static const struct {
    const char *expression, *name;
} pretokenizers[] = {
    {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}|"
     " ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
     "qwen35"},
    {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|"
     " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
     "qwen2"},
};

static bool has_type(const json_t *object, const char *type)
{
    const char *found = json_string_value(json_object_get(object, "type"));
    return found != NULL && strcmp(found, type) == 0;
}

/* The element of that type of the pre-tokenizer, which may be a sequence; NULL if there is none. */
static const json_t *pretokenizer_part(const json_t *root, const char *type)
{
    const json_t *whole = json_object_get(root, "pre_tokenizer");
    if (has_type(whole, type))
        return whole;
    const json_t *list = json_object_get(whole, "pretokenizers");
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (has_type(json_array_get(list, i), type))
            return json_array_get(list, i);
    }
    return NULL;
}

static enum weir_status read_pretokenizer(struct hf_tokenizer *tokenizer, const json_t *root,
                                          const char *path, struct weir_error *err)
{
    const json_t *pattern = json_object_get(pretokenizer_part(root, "Split"), "pattern");
    const char *expression = json_string_value(json_object_get(pattern, "Regex"));
    if (expression == NULL || pretokenizer_part(root, "ByteLevel") == NULL)
        return unsupported(path, "\"pre_tokenizer\" is of another kind",
                           "Split by an expression, then ByteLevel", err);
    for (size_t i = 0; i < sizeof pretokenizers / sizeof pretokenizers[0]; i++) {
        if (strcmp(expression, pretokenizers[i].expression) == 0) {
            tokenizer->pretokenizer = pretokenizers[i].name;
            return WEIR_OK;
        }
    }
    return err_set(err, WEIR_ERR_UNSUPPORTED,
                   "%s: \"pre_tokenizer\" splits by \"%s\", expected the expression of Qwen2 or "
                   "Qwen3.5",
                   path, expression);
}

static enum weir_status check_normalizer(const json_t *root, const char *path,
                                         struct weir_error *err)
{
    const json_t *normalizer = json_object_get(root, "normalizer");
    if (normalizer == NULL || json_is_null(normalizer) || has_type(normalizer, "NFC"))
        return WEIR_OK;
    return unsupported(path, "\"normalizer\" is of another kind", "NFC or none", err);
}

/* Settings of BPE that would split words otherwise. */
static enum weir_status check_model(const json_t *model, const char *path, struct weir_error *err)
{
    static const char *const switches[] = {"byte_fallback", "ignore_merges"};
    static const char *const texts[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    if (!has_type(model, "BPE"))
        return unsupported(path, "\"model\" is of another type", "BPE", err);
    for (size_t i = 0; i < 2; i++) {
        if (json_is_true(json_object_get(model, switches[i])))
            return err_set(err, WEIR_ERR_UNSUPPORTED, "%s: \"%s\" is true, expected false", path,
                           switches[i]);
        if (json_string_length(json_object_get(model, texts[i])) > 0)
            return err_set(err, WEIR_ERR_UNSUPPORTED, "%s: \"%s\" is not empty", path, texts[i]);
    }
    return WEIR_OK;
}

/* ---- tokens ---------------------------------------------------------------------------------- */

static enum weir_status token_set(struct hf_tokenizer *tokenizer, const json_t *id,
                                  struct span text, enum token_type type, const char *path,
                                  struct weir_error *err)
{
    const int64_t number = json_is_integer(id) ? json_integer_value(id) : -1;
    if (number < 0 || number >= tokenizer->count)
        return err_set(err, WEIR_ERR_FORMAT,
                       "%s: token \"%.*s\" has no id below %u, the rows of the embedding", path,
                       (int)(text.length < 40 ? text.length : 40), (const char *)text.data,
                       tokenizer->count);
    struct span *token = &tokenizer->tokens[number];
    /* An added token may stand among the others too. */
    const bool is_taken = tokenizer->types[number] != TOKEN_NONE;
    const bool is_equal = is_taken && token->length == text.length &&
                          memcmp(token->data, text.data, text.length) == 0;
    if (is_taken && (type == TOKEN_NORMAL || !is_equal))
        return err_set(err, WEIR_ERR_FORMAT, "%s: two tokens have id %lld", path,
                       (long long)number);
    *token = text;
    tokenizer->types[number] = type;
    return WEIR_OK;
}

static enum weir_status read_vocabulary(struct hf_tokenizer *tokenizer, const json_t *model,
                                        const char *path, struct weir_error *err)
{
    json_t *vocabulary = json_object_get(model, "vocab");
    if (!json_is_object(vocabulary))
        return err_set(err, WEIR_ERR_FORMAT, "%s: \"vocab\" is not an object", path);
    const char *key;
    json_t *id;
    json_object_foreach(vocabulary, key, id)
    {
        const enum weir_status status =
            token_set(tokenizer, id, span_from(key), TOKEN_NORMAL, path, err);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

static enum weir_status read_added(struct hf_tokenizer *tokenizer, const json_t *root,
                                   const char *path, struct weir_error *err)
{
    static const char *const unusual[] = {"lstrip", "rstrip", "single_word"};
    const json_t *list = json_object_get(root, "added_tokens");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *added = json_array_get(list, i), *text = json_object_get(added, "content");
        const bool is_special = json_is_true(json_object_get(added, "special"));
        if (!json_is_string(text))
            return err_set(err, WEIR_ERR_FORMAT, "%s: entry %zu of \"added_tokens\" has no text",
                           path, i);
        const enum weir_status status =
            token_set(tokenizer, json_object_get(added, "id"), hf_json_text(text),
                      is_special ? TOKEN_CONTROL : TOKEN_USER_DEFINED, path, err);
        if (status != WEIR_OK)
            return status;
        for (size_t k = 0; k < sizeof unusual / sizeof unusual[0]; k++)
            tokenizer->unusual += json_is_true(json_object_get(added, unusual[k]));
    }
    return WEIR_OK;
}

/* ---- merges ---------------------------------------------------------------------------------- */

/* The parts of a merge, which is a text or a list of two. */
static bool merge_parts(const json_t *merge, struct span *left, struct span *right)
{
    if (json_is_array(merge)) {
        *left = hf_json_text(json_array_get(merge, 0));
        *right = hf_json_text(json_array_get(merge, 1));
        return json_array_size(merge) == 2;
    }
    const struct span text = hf_json_text(merge);
    const uint8_t *blank = text.length < 2 ? NULL : memchr(text.data + 1, ' ', text.length - 1);
    if (blank == NULL)
        return false;
    *left = (struct span){text.data, (size_t)(blank - text.data)};
    *right = (struct span){blank + 1, text.length - left->length - 1};
    return true;
}

/* A blank between two parts would be lost in GGUF files, which join them by one. */
static bool part_is_good(struct span part)
{
    return part.length > 0 && memchr(part.data, ' ', part.length) == NULL;
}

static enum weir_status read_merges(struct hf_tokenizer *tokenizer, const json_t *list, char *texts,
                                    const char *path, struct weir_error *err)
{
    for (size_t i = 0; i < tokenizer->merges_count; i++) {
        const json_t *merge = json_array_get(list, i);
        struct span left, right;
        if (!merge_parts(merge, &left, &right) || !part_is_good(left) || !part_is_good(right))
            return err_set(err, WEIR_ERR_FORMAT, "%s: entry %zu of \"merges\" is not two texts",
                           path, i);
        tokenizer->merges[i] = hf_json_text(merge);
        if (!json_is_array(merge))
            continue;
        tokenizer->merges[i] =
            (struct span){(const uint8_t *)texts, left.length + 1 + right.length};
        memcpy(texts, left.data, left.length);
        texts[left.length] = ' ';
        memcpy(texts + left.length + 1, right.data, right.length);
        texts += tokenizer->merges[i].length;
    }
    return WEIR_OK;
}

/* ---- the tokenizer --------------------------------------------------------------------------- */

/* Bytes that merges given as pairs take. */
static uint64_t pair_bytes(const json_t *merges)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < json_array_size(merges); i++) {
        const json_t *merge = json_array_get(merges, i);
        if (json_is_array(merge))
            bytes += json_string_length(json_array_get(merge, 0)) + 1 +
                     (uint64_t)json_string_length(json_array_get(merge, 1));
    }
    return bytes;
}

/* Ids that are left become padding, as the embedding has more rows than there are tokens. */
static void pad(struct hf_tokenizer *tokenizer, char *texts)
{
    for (uint32_t id = 0; id < tokenizer->count; id++) {
        if (tokenizer->types[id] != TOKEN_NONE)
            continue;
        const int length = snprintf(texts, PADDING_BYTES, "[PAD%u]", id);
        tokenizer->tokens[id] = (struct span){(const uint8_t *)texts, (size_t)length};
        tokenizer->types[id] = TOKEN_UNUSED;
        texts += PADDING_BYTES;
    }
}

static uint64_t unset_count(const struct hf_tokenizer *tokenizer)
{
    uint64_t count = 0;
    for (uint32_t id = 0; id < tokenizer->count; id++)
        count += tokenizer->types[id] == TOKEN_NONE;
    return count;
}

static enum weir_status read_all(struct hf_tokenizer *tokenizer, const json_t *root,
                                 const char *path, struct weir_error *err)
{
    const json_t *model = json_object_get(root, "model");
    const json_t *merges = json_object_get(model, "merges");
    enum weir_status status;
    TRY(check_model(model, path, err));
    TRY(check_normalizer(root, path, err));
    TRY(read_pretokenizer(tokenizer, root, path, err));
    if (json_array_size(merges) == 0)
        return err_set(err, WEIR_ERR_FORMAT, "%s: there are no \"merges\"", path);
    tokenizer->tokens = mem_alloc(tokenizer->count, sizeof *tokenizer->tokens, err);
    tokenizer->types = mem_alloc(tokenizer->count, sizeof *tokenizer->types, err);
    tokenizer->merges_count = json_array_size(merges);
    tokenizer->merges = mem_alloc(tokenizer->merges_count, sizeof *tokenizer->merges, err);
    if (tokenizer->tokens == NULL || tokenizer->types == NULL || tokenizer->merges == NULL)
        return WEIR_ERR_MEMORY;
    TRY(read_vocabulary(tokenizer, model, path, err));
    TRY(read_added(tokenizer, root, path, err));
    const uint64_t pairs = pair_bytes(merges);
    tokenizer->texts = mem_alloc(pairs + unset_count(tokenizer) * PADDING_BYTES, 1, err);
    if (tokenizer->texts == NULL)
        return WEIR_ERR_MEMORY;
    TRY(read_merges(tokenizer, merges, tokenizer->texts, path, err));
    pad(tokenizer, tokenizer->texts + pairs);
out:
    return status;
}

/* Takes over the JSON. */
static enum weir_status tokenizer_make(struct hf_tokenizer *out, json_t *json, uint32_t vocab,
                                       const char *path, struct weir_error *err)
{
    *out = (struct hf_tokenizer){.count = vocab, .json = json};
    const enum weir_status status = read_all(out, json, path, err);
    if (status != WEIR_OK)
        hf_tokenizer_release(out);
    return status;
}

enum weir_status hf_tokenizer_parse(struct hf_tokenizer *out, const uint8_t *data, size_t size,
                                    uint32_t vocab, const char *path, struct weir_error *err)
{
    json_t *json;
    const enum weir_status status = hf_json_parse(&json, data, size, path, err);
    return status == WEIR_OK ? tokenizer_make(out, json, vocab, path, err) : status;
}

enum weir_status hf_tokenizer_read(struct hf_tokenizer *out, const char *folder, uint32_t vocab,
                                   struct weir_error *err)
{
    static const char name[] = "tokenizer.json";
    json_t *json;
    char *path = hf_path(folder, name, err);
    if (path == NULL)
        return WEIR_ERR_MEMORY;
    enum weir_status status;
    TRY(hf_json_read(&json, folder, name, false, err));
    TRY(tokenizer_make(out, json, vocab, path, err));
out:
    mem_free(path);
    return status;
}

void hf_tokenizer_release(struct hf_tokenizer *tokenizer)
{
    mem_free(tokenizer->tokens);
    mem_free(tokenizer->types);
    mem_free(tokenizer->merges);
    mem_free(tokenizer->texts);
    json_decref(tokenizer->json);
    *tokenizer = (struct hf_tokenizer){0};
}

int64_t hf_tokenizer_find(const struct hf_tokenizer *tokenizer, struct span text)
{
    for (uint32_t id = 0; id < tokenizer->count; id++) {
        const struct span token = tokenizer->tokens[id];
        if (token.length == text.length && memcmp(token.data, text.data, text.length) == 0)
            return id;
    }
    return -1;
}

enum weir_status hf_tokenizer_write(const struct hf_tokenizer *tokenizer,
                                    struct gguf_writer *writer, struct weir_error *err)
{
    enum weir_status status;
    TRY(gguf_writer_text(writer, "tokenizer.ggml.model", "gpt2", err));
    TRY(gguf_writer_text(writer, "tokenizer.ggml.pre", tokenizer->pretokenizer, err));
    TRY(gguf_writer_texts(writer, "tokenizer.ggml.tokens", tokenizer->tokens, tokenizer->count,
                          err));
    TRY(gguf_writer_i32s(writer, "tokenizer.ggml.token_type", tokenizer->types, tokenizer->count,
                         err));
    TRY(gguf_writer_texts(writer, "tokenizer.ggml.merges", tokenizer->merges,
                          tokenizer->merges_count, err));
out:
    return status;
}
