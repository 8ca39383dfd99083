/* SPDX-License-Identifier: MIT
 * From a model's metadata to its tokenizer and its sampling defaults. Knows the keys, not how
 * tokens are found or chosen. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "run/model_file.h"
#include "text/tokenizer.h"

/* ---- tokenizer ------------------------------------------------------------------------------- */

/* The strings of an array, as spans that the caller frees; NULL and 0 if the key is absent. */
static enum weir_status get_texts(const struct gguf *gguf, const char *key, struct span **out,
                                  uint32_t *count, struct weir_error *err)
{
    const struct gguf_kv *kv = gguf_find(gguf, key);
    *out = NULL;
    *count = 0;
    if (kv == NULL)
        return WEIR_OK;
    if (kv->type != GGUF_ARRAY || kv->element != GGUF_STRING || kv->count > INT32_MAX)
        return err_set(err, WEIR_ERR_FORMAT, "%s: key %s: expected an array of strings",
                       gguf_path(gguf), key);
    struct span *texts = mem_alloc(kv->count, sizeof *texts, err);
    if (texts == NULL)
        return WEIR_ERR_MEMORY;
    uint64_t cursor = 0;
    while (*count < kv->count && gguf_kv_next_text(kv, &cursor, &texts[*count]))
        (*count)++;
    *out = texts;
    return WEIR_OK;
}

/* The integers of an array, which the caller frees; NULL and 0 if the key is absent. Values that do
 * not fit become -1, which is no id and no type. */
static enum weir_status get_integers(const struct gguf *gguf, const char *key, int32_t **out,
                                     uint32_t *count, struct weir_error *err)
{
    const struct gguf_kv *kv = gguf_find(gguf, key);
    *out = NULL;
    *count = 0;
    if (kv == NULL)
        return WEIR_OK;
    int64_t value = 0;
    const bool is_list = kv->type == GGUF_ARRAY && kv->count <= INT32_MAX &&
                         (kv->count == 0 || gguf_kv_integer(kv, 0, &value));
    if (!is_list)
        return err_set(err, WEIR_ERR_FORMAT, "%s: key %s: expected an array of integers",
                       gguf_path(gguf), key);
    int32_t *values = mem_alloc(kv->count, sizeof *values, err);
    if (values == NULL)
        return WEIR_ERR_MEMORY;
    for (; *count < kv->count && gguf_kv_integer(kv, *count, &value); (*count)++)
        values[*count] = value >= 0 && value <= INT32_MAX ? (int32_t)value : -1;
    *out = values;
    return WEIR_OK;
}

/* The type of each of `tokens` tokens; an unknown one counts as undefined. */
static enum weir_status get_types(const struct gguf *gguf, uint32_t tokens, int32_t **out,
                                  struct weir_error *err)
{
    const char *key = "tokenizer.ggml.token_type";
    uint32_t count;
    const enum weir_status status = get_integers(gguf, key, out, &count, err);
    if (status != WEIR_OK || *out == NULL)
        return status;
    if (count < tokens)
        return err_set(err, WEIR_ERR_FORMAT, "%s: key %s has %u entries, expected %u",
                       gguf_path(gguf), key, count, tokens);
    for (uint32_t i = 0; i < tokens; i++) {
        if ((*out)[i] < TOKEN_UNDEFINED || (*out)[i] > TOKEN_BYTE)
            (*out)[i] = TOKEN_UNDEFINED;
    }
    return WEIR_OK;
}

/* A token id; -1 if absent or out of range. */
static enum weir_status get_id(const struct weir_model *model, const char *key, uint32_t tokens,
                               int32_t *out, struct weir_error *err)
{
    uint32_t id = UINT32_MAX;
    const enum weir_status status = gguf_get_u32(model->gguf, key, &id, err);
    if (status != WEIR_OK)
        return status;
    if (id != UINT32_MAX && id >= tokens)
        model_log(model, WEIR_LOG_WARNING, "key %s is %u, out of the %u tokens: ignored", key, id,
                  tokens);
    *out = id < tokens ? (int32_t)id : -1;
    return WEIR_OK;
}

/* The rule set by its name; an unknown one is guessed from the architecture. */
static enum weir_status get_pretokenizer(const struct weir_model *model, enum pretokenizer *out,
                                         struct weir_error *err)
{
    static const struct {
        const char *name;
        enum pretokenizer value;
    } names[] = {
        {"qwen35", PRETOKENIZER_QWEN35},
        {"qwen2", PRETOKENIZER_QWEN2},
        {"deepseek-r1-qwen", PRETOKENIZER_QWEN2},
        {"megrez", PRETOKENIZER_QWEN2},
        {"kormo", PRETOKENIZER_QWEN2},
    };
    struct span name = {0};
    const enum weir_status status = gguf_get_text(model->gguf, "tokenizer.ggml.pre", &name, err);
    if (status != WEIR_OK)
        return status;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (span_equals(name, names[i].name)) {
            *out = names[i].value;
            return WEIR_OK;
        }
    }
    const bool is_qwen35 = strncmp(model->architecture, "qwen35", 6) == 0;
    *out = is_qwen35 ? PRETOKENIZER_QWEN35 : PRETOKENIZER_QWEN2;
    model_log(model, WEIR_LOG_WARNING, "pre-tokenizer \"%.*s\" is unknown, using %s",
              (int)(name.length < 40 ? name.length : 40), (const char *)name.data,
              is_qwen35 ? "qwen35" : "qwen2");
    return WEIR_OK;
}

static enum weir_status check_kind(const struct gguf *gguf, struct weir_error *err)
{
    struct span kind = {0};
    const enum weir_status status = gguf_get_text(gguf, "tokenizer.ggml.model", &kind, err);
    if (status != WEIR_OK)
        return status;
    if (kind.data == NULL)
        return err_set(err, WEIR_ERR_FORMAT, "%s: key tokenizer.ggml.model is missing",
                       gguf_path(gguf));
    if (!span_equals(kind, "gpt2"))
        return err_set(err, WEIR_ERR_UNSUPPORTED,
                       "%s: tokenizer \"%.*s\" is not supported, expected gpt2 (byte-level BPE)",
                       gguf_path(gguf), (int)(kind.length < 40 ? kind.length : 40),
                       (const char *)kind.data);
    return WEIR_OK;
}

/* Fills everything of `source` but the arrays. */
static enum weir_status get_settings(const struct weir_model *model,
                                     struct tokenizer_source *source, struct weir_error *err)
{
    const uint32_t count = source->tokens_count;
    enum weir_status status;
    TRY(get_pretokenizer(model, &source->pretokenizer, err));
    TRY(get_id(model, "tokenizer.ggml.bos_token_id", count, &source->bos, err));
    TRY(get_id(model, "tokenizer.ggml.eos_token_id", count, &source->eos, err));
    TRY(get_id(model, "tokenizer.ggml.eot_token_id", count, &source->eot, err));
    TRY(get_id(model, "tokenizer.ggml.eom_token_id", count, &source->eom, err));
    TRY(gguf_get_bool(model->gguf, "tokenizer.ggml.add_bos_token", &source->add_bos, err));
    TRY(gguf_get_bool(model->gguf, "tokenizer.ggml.add_eos_token", &source->add_eos, err));
    source->log = model->log;
    source->log_user = model->log_user;
out:
    return status;
}

enum weir_status weir_tokenizer_open(struct weir_tokenizer **out, const struct weir_model *model,
                                     struct weir_error *err)
{
    const struct gguf *gguf = model->gguf;
    struct tokenizer_source source = {0};
    struct span *tokens = NULL, *merges = NULL;
    int32_t *types = NULL, *suppressed = NULL;
    enum weir_status status;
    *out = NULL;
    TRY(check_kind(gguf, err));
    TRY(get_texts(gguf, "tokenizer.ggml.tokens", &tokens, &source.tokens_count, err));
    TRY(get_texts(gguf, "tokenizer.ggml.merges", &merges, &source.merges_count, err));
    if (tokens == NULL || merges == NULL) {
        status = err_set(err, WEIR_ERR_FORMAT, "%s: key tokenizer.ggml.%s is missing",
                         gguf_path(gguf), tokens == NULL ? "tokens" : "merges");
        goto out;
    }
    TRY(get_types(gguf, source.tokens_count, &types, err));
    TRY(get_integers(gguf, "tokenizer.ggml.suppress_tokens", &suppressed, &source.suppressed_count,
                     err));
    TRY(get_settings(model, &source, err));
    source.tokens = tokens;
    source.merges = merges;
    source.types = types;
    source.suppressed = suppressed;
    TRY(tokenizer_open(out, &source, err));
out:
    mem_free(tokens);
    mem_free(merges);
    mem_free(types);
    mem_free(suppressed);
    return status;
}

/* ---- sampling defaults ----------------------------------------------------------------------- */

static void take_float(const struct gguf *gguf, const char *key, float *out)
{
    gguf_get_f32(gguf, key, out, NULL); /* of a wrong type: as if absent */
}

static void take_integer(const struct gguf *gguf, const char *key, int32_t *out)
{
    const struct gguf_kv *kv = gguf_find(gguf, key);
    int64_t value;
    if (kv != NULL && kv->type != GGUF_ARRAY && gguf_kv_integer(kv, 0, &value) &&
        value >= INT32_MIN && value <= INT32_MAX)
        *out = (int32_t)value;
}

void weir_sampler_options_from_model(struct weir_sampler_options *options,
                                     const struct weir_model *model)
{
    const struct gguf *gguf = model->gguf;
    struct span sequence = {0};
    char letters[WEIR_SAMPLER_CHAIN_MAX];
    int32_t mirostat = (int32_t)options->mirostat;
    take_integer(gguf, "general.sampling.top_k", &options->top_k);
    take_float(gguf, "general.sampling.top_p", &options->top_p);
    take_float(gguf, "general.sampling.min_p", &options->min_p);
    take_float(gguf, "general.sampling.xtc_probability", &options->xtc_probability);
    take_float(gguf, "general.sampling.xtc_threshold", &options->xtc_threshold);
    take_float(gguf, "general.sampling.temp", &options->temperature);
    take_integer(gguf, "general.sampling.penalty_last_n", &options->repeat_last_n);
    take_float(gguf, "general.sampling.penalty_repeat", &options->repeat_penalty);
    take_integer(gguf, "general.sampling.mirostat", &mirostat);
    take_float(gguf, "general.sampling.mirostat_tau", &options->mirostat_tau);
    take_float(gguf, "general.sampling.mirostat_eta", &options->mirostat_eta);
    options->mirostat = mirostat == 1 || mirostat == 2 ? (uint32_t)mirostat : 0;
    gguf_get_text(gguf, "general.sampling.sequence", &sequence, NULL);
    if (sequence.data == NULL || sequence.length >= sizeof letters)
        return;
    snprintf(letters, sizeof letters, "%.*s", (int)sequence.length, (const char *)sequence.data);
    weir_sampler_chain_parse(options, letters, NULL);
}
