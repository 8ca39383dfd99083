/* SPDX-License-Identifier: MIT
 * Draws models and writes them. Names and shapes are those of the weight table, which other tests
 * compare with the specification; what is drawn is what a config can be. */
#include "golden/drawn_model.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "format/codec.h"
#include "quant/encode.h"
#include "test.h"

/* ---- choices --------------------------------------------------------------------------------- */

uint32_t drawn_below(struct drawn_model *model, uint32_t count)
{
    return (uint32_t)(rng_bits(model->seed, model->stream, model->choices++) % count);
}

uint32_t drawn_between(struct drawn_model *model, uint32_t least, uint32_t most)
{
    return least + drawn_below(model, most - least + 1);
}

bool drawn_once_in(struct drawn_model *model, uint32_t count)
{
    return drawn_below(model, count) == 0;
}

static void say(struct drawn_model *model, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say(struct drawn_model *model, const char *format, ...)
{
    const size_t length = strlen(model->text);
    va_list args;
    va_start(args, format);
    vsnprintf(model->text + length, DRAWN_TEXT_MAX - length, format, args);
    va_end(args);
}

/* A width up to `most`: mostly whole blocks of some types, sometimes any number. Small ones are as
 * likely as large ones: its logarithm is uniform. */
static uint32_t draw_width(struct drawn_model *model, uint32_t most)
{
    static const uint32_t units[] = {256, 256, 128, 64, 64, 32, 32, 32, 16, 1};
    uint32_t unit = units[drawn_below(model, sizeof units / sizeof units[0])];
    unit = unit > most ? 32 : unit;
    const double log_most = log(most / unit + 1);
    const double share = drawn_below(model, 1 << 16) / 65536.0;
    const uint32_t count = (uint32_t)exp(log_most * share);
    return unit * (count > 0 ? count : 1);
}

/* ---- configs --------------------------------------------------------------------------------- */

enum { LAYERS_MAX = 6, EXPERTS_USUAL = 96, PARAMETERS_MAX = 1500000, USUAL_MAX = 400000 };

static const struct {
    const char *name;
    bool has_experts;
    enum head_map head_map;
} architectures[] = {
    {"qwen35", false, HEAD_MAP_TILED},
    {"qwen35moe", true, HEAD_MAP_TILED},
    {"qwen3next", true, HEAD_MAP_GROUPED},
};

static void draw_layers(struct drawn_model *model)
{
    struct config *c = &model->config;
    const uint32_t interval = drawn_between(model, 1, 5);
    const bool is_list = drawn_once_in(model, 3);
    model->interval = is_list ? 0 : interval;
    c->layers = drawn_between(model, 1, LAYERS_MAX);
    model->has_mtp = drawn_once_in(model, 3);
    c->blocks = c->layers + model->has_mtp;
    for (uint32_t i = 0; i < c->layers; i++)
        c->recurrent[i] = is_list ? !drawn_once_in(model, 3) : (i + 1) % interval != 0;
}

static void draw_heads(struct drawn_model *model)
{
    static const uint32_t head_widths[] = {32, 64, 64, 96, 128, 256, 16, 20, 2};
    static const uint32_t states[] = {16, 32, 32, 64, 64, 128, 96, 8, 48};
    struct config *c = &model->config;
    c->kv_heads = drawn_between(model, 1, 3);
    c->heads = c->kv_heads * drawn_between(model, 1, 6);
    c->head_width = drawn_once_in(model, 8)
                        ? drawn_between(model, 2, 80)
                        : head_widths[drawn_below(model, sizeof head_widths / sizeof(uint32_t))];
    c->rope.width = 2 * drawn_between(model, 1, c->head_width / 2);
    if (drawn_once_in(model, 2) && c->head_width % 8 == 0)
        c->rope.width = c->head_width / 4;
    c->k_heads = drawn_between(model, 1, 4);
    c->v_heads = c->k_heads * drawn_between(model, 1, 4);
    c->state_width = drawn_once_in(model, 8)
                         ? drawn_between(model, 1, 70)
                         : states[drawn_below(model, sizeof states / sizeof(uint32_t))];
    c->conv_taps = drawn_once_in(model, 2) ? 4 : drawn_between(model, 2, 9);
    if (drawn_once_in(model, 16))
        c->conv_taps = drawn_between(model, 2, CONV_TAPS_MAX);
    if (drawn_once_in(model, 16))
        c->state_width = draw_width(model, 400);
    if (drawn_once_in(model, 16))
        c->heads = c->kv_heads * drawn_between(model, 1, 40);
    c->conv_width = (2 * c->k_heads + c->v_heads) * c->state_width;
}

static void draw_experts(struct drawn_model *model, bool has_experts)
{
    struct config *c = &model->config;
    c->ff_width = has_experts ? 0 : draw_width(model, drawn_once_in(model, 6) ? 4096 : 1024);
    if (!has_experts)
        return;
    const uint32_t most_experts = drawn_once_in(model, 8) ? 4 * EXPERTS_USUAL : EXPERTS_USUAL;
    c->experts = drawn_once_in(model, 3) ? drawn_between(model, 1, 8)
                                         : drawn_between(model, 2, most_experts);
    const uint32_t most = c->experts < 10 || drawn_once_in(model, 8) ? c->experts : 10;
    c->experts_used = drawn_once_in(model, 4) ? most : drawn_between(model, 1, most);
    c->expert_width = draw_width(model, 256);
    c->shared_width = draw_width(model, 512);
}

/* Roughly, of all blocks and the tables. */
static uint64_t parameters(const struct config *c)
{
    const uint64_t width = c->width;
    const uint64_t rule = c->conv_width + 2 * (uint64_t)c->v_heads * c->state_width;
    const uint64_t attention = (3 * (uint64_t)c->heads + 2 * c->kv_heads) * c->head_width;
    const uint64_t ffn =
        c->experts > 0 ? (uint64_t)c->experts * c->expert_width + c->shared_width : c->ff_width;
    return width * (c->blocks * ((rule + attention) / 2 + 3 * ffn) + 2 * c->vocab);
}

static void draw_config(struct drawn_model *model)
{
    struct config *c = &model->config;
    const uint32_t which = drawn_below(model, sizeof architectures / sizeof architectures[0]);
    const uint64_t most = drawn_once_in(model, 4) ? PARAMETERS_MAX : USUAL_MAX;
    do {
        *c = (struct config){.head_map = architectures[which].head_map, .context = 4096};
        model->architecture = architectures[which].name;
        draw_layers(model);
        c->width = draw_width(model, drawn_once_in(model, 6) ? 4096 : 1024);
        c->vocab =
            drawn_once_in(model, 3) ? drawn_between(model, 2, 40) : drawn_between(model, 33, 600);
        draw_heads(model);
        draw_experts(model, architectures[which].has_experts);
    } while (parameters(c) > most);
    c->eps = drawn_once_in(model, 2) ? 1e-6f : 1e-5f;
    c->rope.base = drawn_once_in(model, 2) ? 1e7 : 1e4;
}

static void say_config(struct drawn_model *model)
{
    const struct config *c = &model->config;
    say(model, "%s, layers ", model->architecture);
    for (uint32_t i = 0; i < c->layers; i++)
        say(model, "%c", c->recurrent[i] ? 'R' : 'A');
    say(model, "%s, width %u, vocabulary %u, %u/%u heads of %u, %u turned, ",
        model->has_mtp ? "+MTP" : "", c->width, c->vocab, c->heads, c->kv_heads, c->head_width,
        c->rope.width);
    say(model, "rule %u/%u heads of %u, %u taps, ", c->v_heads, c->k_heads, c->state_width,
        c->conv_taps);
    if (c->experts > 0)
        say(model, "%u of %u experts of %u, shared %u", c->experts_used, c->experts,
            c->expert_width, c->shared_width);
    else
        say(model, "ffn %u", c->ff_width);
}

/* ---- metadata -------------------------------------------------------------------------------- */

static void put_u32(struct gguf_writer *writer, const struct drawn_model *model, const char *name,
                    uint32_t value)
{
    struct weir_error err = {0};
    char key[128];
    snprintf(key, sizeof key, "%s.%s", model->architecture, name);
    CHECK_OK(gguf_writer_u32(writer, key, value, &err), &err);
}

static void put_f32(struct gguf_writer *writer, const struct drawn_model *model, const char *name,
                    double value)
{
    struct weir_error err = {0};
    char key[128];
    snprintf(key, sizeof key, "%s.%s", model->architecture, name);
    CHECK_OK(gguf_writer_f32(writer, key, (float)value, &err), &err);
}

static void put_i32s(struct gguf_writer *writer, const struct drawn_model *model, const char *name,
                     const int32_t *values, uint32_t count)
{
    struct weir_error err = {0};
    char key[128];
    snprintf(key, sizeof key, "%s.%s", model->architecture, name);
    CHECK_OK(gguf_writer_i32s(writer, key, values, count, &err), &err);
}

static void put_numbers(struct gguf_writer *writer, const struct drawn_model *model)
{
    const struct config *c = &model->config;
    const struct {
        const char *name;
        uint32_t value;
    } numbers[] = {
        {"block_count", c->blocks},
        {"context_length", c->context},
        {"embedding_length", c->width},
        {"feed_forward_length", c->ff_width},
        {"attention.head_count", c->heads},
        {"attention.head_count_kv", c->kv_heads},
        {"attention.key_length", c->head_width},
        {"attention.value_length", c->head_width},
        {"rope.dimension_count", c->rope.width},
        {"ssm.conv_kernel", c->conv_taps},
        {"ssm.state_size", c->state_width},
        {"ssm.group_count", c->k_heads},
        {"ssm.time_step_rank", c->v_heads},
        {"ssm.inner_size", c->v_heads * c->state_width},
        {"expert_count", c->experts},
        {"expert_used_count", c->experts_used},
        {"expert_feed_forward_length", c->expert_width},
        {"expert_shared_feed_forward_length", c->shared_width},
        {"nextn_predict_layers", c->blocks - c->layers},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (numbers[i].value != 0)
            put_u32(writer, model, numbers[i].name, numbers[i].value);
    }
}

static void put_metadata(struct gguf_writer *writer, struct drawn_model *model)
{
    const struct config *c = &model->config;
    struct weir_error err = {0};
    int32_t recurrent[LAYERS_MAX];
    const int32_t third = (int32_t)c->rope.width / 6 + 1;
    const int32_t sections[] = {third, third, third, 0};
    CHECK_OK(gguf_writer_text(writer, "general.architecture", model->architecture, &err), &err);
    put_numbers(writer, model);
    put_f32(writer, model, "attention.layer_norm_rms_epsilon", (double)c->eps);
    put_f32(writer, model, "rope.freq_base", c->rope.base);
    if (c->head_map == HEAD_MAP_TILED || strcmp(model->architecture, "qwen35") == 0)
        put_i32s(writer, model, "rope.dimension_sections", sections, 4);
    if (drawn_once_in(model, 4)) {
        char key[64];
        snprintf(key, sizeof key, "%s.rope.scaling.type", model->architecture);
        CHECK_OK(gguf_writer_text(writer, key, drawn_once_in(model, 2) ? "yarn" : "linear", &err),
                 &err);
        put_f32(writer, model, "rope.scaling.factor", 2);
    }
    for (uint32_t i = 0; i < c->layers; i++)
        recurrent[i] = c->recurrent[i];
    if (model->interval > 0)
        put_u32(writer, model, "full_attention_interval", model->interval);
    else
        put_i32s(writer, model, "attention.recurrent_layers", recurrent, c->layers);
}

/* ---- tensors --------------------------------------------------------------------------------- */

enum where { MODEL, BLOCK, GDN, GDN_TILED, GDN_GROUPED, ATTN, FFN, MOE, MTP };
enum need { REQUIRED, OPTIONAL, INSTEAD };
enum form { MATRIX, EXPERTS, VECTOR };
#define UNLESS(role) INSTEAD

struct rule {
    const char *name;
    enum where where;
    enum need need;
    enum form form;
    uint64_t width, rows;
};

enum { TENSORS_MAX = 400 };

struct drawn_tensor {
    char name[GGUF_NAME_MAX + 1];
    enum form form;
    enum dtype dtype;
    uint64_t ne[3];
};

struct drawn_tensors {
    struct drawn_tensor list[TENSORS_MAX];
    uint32_t count;
};

static bool occurs(const struct drawn_model *model, enum where where, uint32_t block)
{
    const struct config *c = &model->config;
    const bool is_model = block == c->blocks;
    const bool is_mtp = block >= c->layers && !is_model;
    const bool is_gdn = !is_model && !is_mtp && c->recurrent[block];
    switch (where) {
    case MODEL: return is_model;
    case BLOCK: return !is_model;
    case GDN: return is_gdn;
    case GDN_TILED: return is_gdn && c->head_map == HEAD_MAP_TILED;
    case GDN_GROUPED: return is_gdn && c->head_map == HEAD_MAP_GROUPED;
    case ATTN: return !is_model && !is_gdn;
    case FFN: return !is_model && c->experts == 0;
    case MOE: return !is_model && c->experts > 0;
    case MTP: return is_mtp;
    }
    return false;
}

/* Types of matrices of that width, each as likely. */
static enum dtype draw_dtype(struct drawn_model *model, uint64_t width)
{
    if (model->narrow != DTYPE_COUNT && width % dtype_info(model->narrow)->block == 0)
        return model->narrow;
    enum dtype dtype;
    do
        dtype = (enum dtype)drawn_below(model, DTYPE_COUNT);
    while (encode_support(dtype) == ENCODE_NOT || width % dtype_info(dtype)->block != 0 ||
           (model->is_exact && !dtype_is_float(dtype)));
    return dtype;
}

static struct drawn_tensor *add_tensor(struct drawn_tensors *tensors, const char *name,
                                       enum form form, uint64_t width, uint64_t rows,
                                       uint64_t experts)
{
    CHECK(tensors->count < TENSORS_MAX);
    struct drawn_tensor *tensor = &tensors->list[tensors->count++];
    snprintf(tensor->name, sizeof tensor->name, "%s", name);
    tensor->form = form;
    tensor->dtype = DTYPE_F32;
    tensor->ne[0] = width;
    tensor->ne[1] = rows;
    tensor->ne[2] = experts;
    return tensor;
}

/* One of the table, and now and then a factor of its products beside it. */
static void add_weight(struct drawn_model *model, struct drawn_tensors *tensors,
                       const struct rule *rule, uint32_t block)
{
    const bool is_model = rule->where == MODEL;
    const uint64_t experts = rule->form == EXPERTS ? model->config.experts : 1;
    const char *suffix = strrchr(rule->name, '.');
    char name[GGUF_NAME_MAX + 1], prefix[16] = "";
    if (!is_model)
        snprintf(prefix, sizeof prefix, "blk.%u.", block);
    snprintf(name, sizeof name, "%s%s", prefix, rule->name);
    struct drawn_tensor *tensor =
        add_tensor(tensors, name, rule->form, rule->width, rule->rows, experts);
    if (rule->form != VECTOR)
        tensor->dtype = draw_dtype(model, rule->width);
    else if (drawn_once_in(model, 8))
        tensor->dtype = drawn_once_in(model, 2) ? DTYPE_F16 : DTYPE_BF16;
    model->types[tensor->dtype] |= rule->form != VECTOR;
    if (rule->form == VECTOR || suffix == NULL || strcmp(suffix, ".weight") != 0 ||
        !drawn_once_in(model, 16))
        return;
    snprintf(name, sizeof name, "%s%.*s.scale", prefix, (int)(suffix - rule->name), rule->name);
    add_tensor(tensors, name, VECTOR, experts, 1, 1);
}

/* Those that replace each other: one matrix for gate and up of experts, one for what goes into the
 * mixer. */
struct joined {
    bool gate_up, in;
};

static bool is_there(struct drawn_model *model, const struct joined *joined,
                     const struct rule *rule)
{
    const bool is_moe = rule->where == MOE;
    const bool is_joined = is_moe ? joined->gate_up : joined->in;
    const bool is_choice = rule->need == INSTEAD || strcmp(rule->name, "ssm_in.weight") == 0 ||
                           strcmp(rule->name, "ffn_gate_up_exps.weight") == 0;
    if (rule->need == REQUIRED)
        return true;
    if (is_choice)
        return (rule->need == OPTIONAL) == is_joined;
    return drawn_once_in(model, 2);
}

static void add_weights(struct drawn_model *model, struct drawn_tensors *tensors, uint32_t block)
{
    const struct config *c = &model->config;
    const bool is_grouped = c->head_map == HEAD_MAP_GROUPED;
    const struct joined joined = {drawn_once_in(model, 3), drawn_once_in(model, 3) && is_grouped};
    const struct rule rules[] = {
#define WEIGHT(role, name, where, need, form, width, rows)                                         \
    {name, where, need, form, (width), (rows)},
#include "model/weights.def"
    };
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        if (occurs(model, rules[i].where, block) && is_there(model, &joined, &rules[i]))
            add_weight(model, tensors, &rules[i], block);
    }
}

/* ---- numbers --------------------------------------------------------------------------------- */

enum { NORMALS = 4093, BLOCKS = 61 };

/* Made once for all models: normal numbers, and blocks of each type of numbers as a matrix of width
 * 256 has. */
static struct {
    bool is_made;
    float normals[NORMALS];
    uint8_t *blocks[DTYPE_COUNT];
} pool;

static void make_blocks(enum dtype dtype)
{
    const struct dtype_info *info = dtype_info(dtype);
    float values[256], ones[256];
    CHECK(info->block <= 256);
    pool.blocks[dtype] = malloc(BLOCKS * info->block_bytes);
    CHECK(pool.blocks[dtype] != NULL);
    for (uint32_t i = 0; i < BLOCKS; i++) {
        for (uint32_t j = 0; j < info->block; j++) {
            values[j] = (float)(rng_normal(1, (uint64_t)dtype, i * 256 + j) / 16);
            ones[j] = 1;
        }
        encode_row(dtype, values, ones, pool.blocks[dtype] + i * info->block_bytes, info->block);
    }
}

static void make_pool(void)
{
    for (uint32_t i = 0; i < NORMALS && !pool.is_made; i++)
        pool.normals[i] = (float)rng_normal(1, DTYPE_COUNT, i);
    for (int i = 0; i < DTYPE_COUNT && !pool.is_made; i++) {
        if (!dtype_is_float((enum dtype)i) && encode_support((enum dtype)i) != ENCODE_NOT)
            make_blocks((enum dtype)i);
    }
    pool.is_made = true;
}

struct values {
    bool is_uniform;
    double a, b; /* from a to b, or mean and deviation */
};

static struct values values_of(const struct drawn_tensor *tensor)
{
    const char *name = tensor->name;
    if (strstr(name, ".scale") != NULL)
        return (struct values){true, 0.5, 1.5};
    if (strstr(name, "norm") != NULL)
        return (struct values){false, 1, 0.1};
    if (strstr(name, "conv1d") != NULL)
        return (struct values){false, 0, 0.5};
    if (strstr(name, "ssm_dt") != NULL)
        return (struct values){true, -4, 1};
    if (strstr(name, "ssm_a") != NULL && tensor->form == VECTOR)
        return (struct values){true, -4, -0.02};
    return (struct values){false, 0, 1 / sqrt((double)tensor->ne[0])};
}

static void fill_floats(const struct values *values, uint64_t key, uint64_t first, uint64_t count,
                        float *out)
{
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t bits = rng_at(key, first + i);
        const double unit = (double)(bits >> 11) * 0x1p-53;
        out[i] = (float)(values->a + (values->is_uniform
                                          ? (values->b - values->a) * unit
                                          : values->b * (double)pool.normals[bits % NORMALS]));
    }
}

/* Now and then F32 whose numbers BF16 could hold. */
static void put_tensor(struct drawn_model *model, struct gguf_writer *writer,
                       const struct drawn_tensor *tensor, uint64_t number)
{
    enum { PART = 4096 };
    const struct dtype_info *info = dtype_info(tensor->dtype);
    const struct values values = values_of(tensor);
    const uint64_t key = rng_key(rng_bits(model->seed, model->stream, 1 << 20), number);
    const uint64_t blocks = tensor->ne[0] * tensor->ne[1] * tensor->ne[2] / info->block;
    const bool is_short = drawn_once_in(model, 3);
    struct weir_error err = {0};
    float floats[PART];
    uint8_t bytes[PART * sizeof(float)];
    for (uint64_t first = 0, count; first < blocks; first += count) {
        count = blocks - first < PART / info->block ? blocks - first : PART / info->block;
        if (dtype_is_float(tensor->dtype)) {
            fill_floats(&values, key, first, count, floats);
            for (uint64_t i = 0; i < count && is_short; i++)
                floats[i] = codec_from_bf16(codec_to_bf16(floats[i]));
            codec_encode_floats(tensor->dtype, floats, bytes, count);
        } else {
            for (uint64_t i = 0; i < count; i++)
                memcpy(bytes + i * info->block_bytes,
                       pool.blocks[tensor->dtype] +
                           rng_at(key, first + i) % BLOCKS * info->block_bytes,
                       info->block_bytes);
        }
        CHECK_OK(gguf_writer_put(writer, bytes, count * info->block_bytes, &err), &err);
    }
}

static void say_types(struct drawn_model *model, const struct drawn_tensors *tensors)
{
    say(model, ";");
    for (uint32_t i = 0; i < tensors->count; i++) {
        const struct drawn_tensor *tensor = &tensors->list[i];
        if (tensor->form != VECTOR && tensor->ne[1] > 1)
            say(model, " %s=%s", tensor->name, dtype_info(tensor->dtype)->name);
    }
}

void drawn_model_write(struct drawn_model *model, const char *name)
{
    struct drawn_tensors *tensors = calloc(1, sizeof *tensors);
    struct gguf_writer *writer;
    struct weir_error err = {0};
    CHECK(tensors != NULL);
    make_pool();
    draw_config(model);
    say_config(model);
    model->is_exact = drawn_once_in(model, 4);
    model->narrow = DTYPE_COUNT;
    if (drawn_once_in(model, 4))
        model->narrow = draw_dtype(model, 256);
    for (uint32_t block = 0; block <= model->config.blocks; block++)
        add_weights(model, tensors, block);
    say_types(model, tensors);
    snprintf(model->path, sizeof model->path, "%s", test_scratch(name));
    CHECK_OK(gguf_writer_open(&writer, model->path, &err), &err);
    put_metadata(writer, model);
    for (uint32_t i = 0; i < tensors->count; i++) {
        const struct drawn_tensor *tensor = &tensors->list[i];
        const uint32_t dims = tensor->form == EXPERTS ? 3 : tensor->ne[1] > 1 ? 2 : 1;
        const uint64_t ne[GGUF_DIMS_MAX] = {tensor->ne[0], tensor->ne[1], tensor->ne[2], 1};
        CHECK_OK(gguf_writer_tensor(writer, tensor->name, tensor->dtype, ne, dims, &err), &err);
    }
    CHECK_OK(gguf_writer_begin(writer, &err), &err);
    for (uint32_t i = 0; i < tensors->count; i++)
        put_tensor(model, writer, &tensors->list[i], i);
    CHECK_OK(gguf_writer_commit(writer, &err), &err);
    gguf_writer_close(writer);
    free(tensors);
}
