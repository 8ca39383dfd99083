/* SPDX-License-Identifier: MIT
 * Opening a model and describing it. Knows the container and the weight table, no backend. */
#include "run/model_file.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/log_line.h"
#include "base/mem.h"
#include "model/weights.h"
#include "run/model_names.h"

void model_log(const struct weir_model *model, enum weir_log_level level, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_line_args(model->log, model->log_user, level, format, args);
    va_end(args);
}

/* A copy of a text entry, fit for one line, or of "" if it is absent or no text. */
static char *copy_entry(const struct gguf *gguf, const char *key, struct weir_error *err)
{
    const struct gguf_kv *kv = gguf_find(gguf, key);
    const bool is_text = kv != NULL && kv->type == GGUF_STRING;
    char *copy = is_text ? mem_copy_text((const char *)kv->data.data, kv->data.length, err)
                         : mem_copy_text("", 0, err);
    if (copy != NULL)
        text_clean(copy);
    return copy;
}

/* What a model is made of; `header` NULL: the file `name`. */
struct source {
    const char *name;
    const void *header;
    size_t length;
};

static enum weir_status source_open(struct gguf **out, const struct source *source,
                                    struct weir_error *err)
{
    if (source->header == NULL)
        return gguf_open(out, source->name, err);
    return gguf_parse_header(out, source->header, source->length, source->name, err);
}

static enum weir_status model_fill(struct weir_model *model, const struct source *source,
                                   const struct weir_model_options *options, struct weir_error *err)
{
    enum weir_status status;
    TRY(source_open(&model->gguf, source, err));
    for (uint32_t i = 0; i < options->overrides_count; i++)
        TRY(gguf_override(model->gguf, options->overrides[i], err));
    model->architecture = copy_entry(model->gguf, "general.architecture", err);
    model->name = copy_entry(model->gguf, "general.name", err);
    if (model->architecture == NULL || model->name == NULL)
        status = WEIR_ERR_MEMORY;
out:
    return status;
}

static enum weir_status model_open(struct weir_model **out, const struct source *source,
                                   const struct weir_model_options *options, struct weir_error *err)
{
    const struct weir_model_options none = {0};
    *out = NULL;
    struct weir_model *model = mem_alloc(1, sizeof *model, err);
    if (model == NULL)
        return WEIR_ERR_MEMORY;
    if (options == NULL)
        options = &none;
    model->log = options->log;
    model->log_user = options->log_user;
    const enum weir_status status = model_fill(model, source, options, err);
    if (status != WEIR_OK) {
        weir_model_close(model);
        return status;
    }
    *out = model;
    return WEIR_OK;
}

enum weir_status weir_model_open(struct weir_model **out, const char *path,
                                 const struct weir_model_options *options, struct weir_error *err)
{
    return model_open(out, &(struct source){.name = path}, options, err);
}

enum weir_status weir_model_open_header(struct weir_model **out, const void *header, size_t length,
                                        const char *name, const struct weir_model_options *options,
                                        struct weir_error *err)
{
    const struct source source = {.name = name, .header = header, .length = length};
    *out = NULL;
    if (header == NULL)
        return err_set(err, WEIR_ERR_ARGUMENT, "%s: no header", name);
    return model_open(out, &source, options, err);
}

void weir_model_close(struct weir_model *model)
{
    if (model == NULL)
        return;
    gguf_close(model->gguf);
    mem_free(model->architecture);
    mem_free(model->name);
    mem_free(model);
}

static uint64_t tensor_elements(const struct gguf_tensor *tensor)
{
    return tensor->ne[0] * tensor->ne[1] * tensor->ne[2] * tensor->ne[3];
}

/* Tokens; 0 of a file that does not say, as one that is no model. */
static uint32_t context_of(const struct gguf *gguf)
{
    struct config config;
    return config_read(&config, gguf, NULL) == WEIR_OK ? config.context : 0;
}

void weir_model_info(const struct weir_model *model, struct weir_model_info *out)
{
    const struct gguf *gguf = model->gguf;
    *out = (struct weir_model_info){.path = gguf_path(gguf),
                                    .architecture = model->architecture,
                                    .name = model->name,
                                    .splits = gguf->split_count,
                                    .tensor_count = gguf->tensor_count,
                                    .metadata_count = gguf->kv_count,
                                    .size = model_size_name(gguf),
                                    .context_trained = context_of(gguf)};
    out->file_type = model_file_type_name(gguf, &out->is_type_guessed);
    for (uint32_t i = 0; i < gguf->split_count; i++)
        out->file_bytes += gguf->splits[i].map.size;
    for (uint64_t i = 0; i < gguf->tensor_count; i++) {
        out->tensor_bytes += gguf->tensors[i].bytes;
        out->parameters += tensor_elements(&gguf->tensors[i]);
    }
}

const char *weir_model_file(const struct weir_model *model, uint32_t number)
{
    return number < model->gguf->split_count ? model->gguf->splits[number].path : NULL;
}

enum weir_status weir_model_has_mtp(const struct weir_model *model, bool *out,
                                    struct weir_error *err)
{
    struct config config;
    *out = false;
    const enum weir_status status = config_read(&config, model->gguf, err);
    if (status == WEIR_OK)
        *out = config.blocks > config.layers;
    return status;
}

/* ---- metadata -------------------------------------------------------------------------------- */

enum { TEXT_SHOWN = 120, ELEMENTS_SHOWN = 8 };

/* U+0080 to U+009F, which some terminals obey as they do the short ones. */
static bool is_long_control(struct span text, size_t at)
{
    return text.length - at > 1 && text.data[at] == 0xc2 && text.data[at + 1] >= 0x80 &&
           text.data[at + 1] < 0xa0;
}

/* Control characters, quotes and backslashes escaped, shortened. */
static void print_escaped(struct printer printer, struct span text)
{
    const size_t shown = text.length < TEXT_SHOWN ? text.length : TEXT_SHOWN;
    for (size_t i = 0; i < shown; i++) {
        const uint8_t byte = text.data[i];
        if (byte == '\n')
            print(printer, "\\n");
        else if (byte < 0x20 || byte == 0x7f)
            print(printer, "\\x%02x", byte);
        else if (is_long_control(text, i))
            print(printer, "\\x%02x\\x%02x", byte, text.data[++i]);
        else if (byte == '"' || byte == '\\')
            print(printer, "\\%c", byte);
        else
            print(printer, "%c", byte);
    }
    if (shown < text.length)
        print(printer, "... (%zu bytes)", text.length);
}

static void print_text(struct printer printer, struct span text)
{
    print(printer, "\"");
    print_escaped(printer, text);
    print(printer, "\"");
}

static void print_number(struct printer printer, const struct gguf_kv *kv, uint64_t i)
{
    int64_t integer;
    uint64_t large;
    double real;
    if (kv->element == GGUF_BOOL && gguf_kv_integer(kv, i, &integer))
        print(printer, integer ? "true" : "false");
    else if (gguf_kv_integer(kv, i, &integer))
        print(printer, "%lld", (long long)integer);
    else if (gguf_kv_float(kv, i, &real))
        print(printer, "%g", real);
    else if (gguf_kv_unsigned(kv, i, &large))
        print(printer, "%llu", (unsigned long long)large);
}

static void print_array(struct printer printer, const struct gguf_kv *kv)
{
    uint64_t cursor = 0;
    print(printer, "[");
    for (uint64_t i = 0; i < kv->count && i < ELEMENTS_SHOWN; i++) {
        struct span text;
        print(printer, i == 0 ? "" : ", ");
        if (kv->element != GGUF_STRING)
            print_number(printer, kv, i);
        else if (gguf_kv_next_text(kv, &cursor, &text))
            print_text(printer, text);
    }
    print(printer, kv->count > ELEMENTS_SHOWN ? ", ...] (%llu of %s)" : "]",
          (unsigned long long)kv->count, gguf_type_name(kv->element));
}

enum weir_status weir_model_print_metadata(const struct weir_model *model, weir_write_fn *write,
                                           void *user, struct weir_error *err)
{
    (void)err;
    const struct printer printer = {write, user};
    const struct gguf *gguf = model->gguf;
    for (uint64_t i = 0; i < gguf->kv_count; i++) {
        const struct gguf_kv *kv = &gguf->kv[i];
        print_escaped(printer, kv->key);
        print(printer, " = ");
        if (kv->type == GGUF_ARRAY)
            print_array(printer, kv);
        else if (kv->type == GGUF_STRING)
            print_text(printer, kv->data);
        else
            print_number(printer, kv, 0);
        print(printer, "\n");
    }
    return WEIR_OK;
}

/* ---- weights --------------------------------------------------------------------------------- */

static void print_weight(struct printer printer, const struct weight *weight, uint32_t blocks)
{
    const struct gguf_tensor *tensor = weight->tensor;
    char layer[16] = "-", shape[48];
    if (weight->layer < blocks)
        snprintf(layer, sizeof layer, "%u", weight->layer);
    if (weight->experts > 1)
        snprintf(shape, sizeof shape, "{%u, %u, %u}", weight->width, weight->rows, weight->experts);
    else
        snprintf(shape, sizeof shape, "{%u, %u}", weight->width, weight->rows);
    print(printer, "%5s %-17s %-40s %-7s %-18s %14llu", layer, weight_role_name(weight->role),
          tensor->name, dtype_info(tensor->dtype)->name, shape, (unsigned long long)tensor->bytes);
    if (weight->dtype != tensor->dtype)
        print(printer, "  held as %s, the same numbers", dtype_info(weight->dtype)->name);
    print(printer, "\n");
}

/* Bytes by type, then the total. */
static void print_weight_sums(struct printer printer, const struct weights *weights)
{
    uint64_t bytes[DTYPE_COUNT] = {0}, total = 0, held = 0;
    for (uint32_t i = 0; i < weights->count; i++) {
        bytes[weights->list[i].tensor->dtype] += weights->list[i].tensor->bytes;
        held += weights->list[i].bytes;
    }
    print(printer, "\n");
    for (int dtype = 0; dtype < DTYPE_COUNT; dtype++) {
        if (bytes[dtype] > 0)
            print(printer, "%-7s %16llu bytes\n", dtype_info((enum dtype)dtype)->name,
                  (unsigned long long)bytes[dtype]);
        total += bytes[dtype];
    }
    print(printer, "%-7s %16llu bytes in %u tensors\n", "total", (unsigned long long)total,
          weights->count);
    if (held < total)
        print(printer, "%-7s %16llu bytes in memory\n", "held", (unsigned long long)held);
}

enum weir_status weir_model_print_weights(const struct weir_model *model, weir_write_fn *write,
                                          void *user, struct weir_error *err)
{
    const struct printer printer = {write, user};
    struct config config;
    struct weights weights = {0};
    enum weir_status status;
    TRY(config_read(&config, model->gguf, err));
    TRY(weights_open(&weights, &config, model->gguf, err));
    weights_narrow(&weights, model->gguf);
    print(printer, "%5s %-17s %-40s %-7s %-18s %14s\n", "layer", "role", "tensor", "type", "shape",
          "bytes");
    for (uint32_t i = 0; i < weights.count; i++)
        print_weight(printer, &weights.list[i], config.blocks);
    print_weight_sums(printer, &weights);
out:
    weights_close(&weights);
    return status;
}
