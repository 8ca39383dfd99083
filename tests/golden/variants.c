/* SPDX-License-Identifier: MIT
 * Other layouts of the recorded models. Written from the specification of the files, not from the
 * builder of plans that reads them. */
#include "golden/variants.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "format/codec.h"
#include "test.h"

/* n_k, n_v, value heads of a key head, width of a head, taps; of variant_tiled. */
enum { KEY_HEADS = 2, VALUE_HEADS = 6, SHARED = VALUE_HEADS / KEY_HEADS, STATE = 16, TAPS = 4 };
enum { WIDTH = 64, KEYS = KEY_HEADS * STATE, VALUES = VALUE_HEADS * STATE };
enum { CHANNELS = 2 * KEYS + VALUES };
enum { RECURRENT = 3 }; /* blocks 0, 1, 2 */

/* ---- a model of qwen35moe with more heads ---------------------------------------------------- */

/* A tensor of block `block` with normal random numbers around `mean`. */
static void put_random(struct edited_model *model, uint32_t block, const char *name, uint64_t ne0,
                       uint64_t ne1, double mean, double deviation)
{
    char full[GGUF_NAME_MAX + 1];
    snprintf(full, sizeof full, "blk.%u.%s", block, name);
    float *values = edited_floats(edited_put(model, full, ne0, ne1, 1));
    for (uint64_t i = 0; i < ne0 * ne1; i++)
        values[i] = (float)(mean + deviation * rng_normal(block + 1, (uint64_t)name[4], i));
}

/* The recurrent layers anew, of `key_heads` key heads and VALUE_HEADS value heads. */
static void put_recurrent(struct edited_model *model, uint32_t key_heads)
{
    const double matrix = 1 / sqrt(WIDTH);
    const uint32_t channels = 2 * key_heads * STATE + VALUES;
    for (uint32_t block = 0; block < RECURRENT; block++) {
        put_random(model, block, "attn_qkv.weight", WIDTH, channels, 0, matrix);
        put_random(model, block, "attn_gate.weight", WIDTH, VALUES, 0, matrix);
        put_random(model, block, "ssm_alpha.weight", WIDTH, VALUE_HEADS, 0, matrix);
        put_random(model, block, "ssm_beta.weight", WIDTH, VALUE_HEADS, 0, matrix);
        put_random(model, block, "ssm_conv1d.weight", TAPS, channels, 0, 0.5);
        put_random(model, block, "ssm_dt.bias", VALUE_HEADS, 1, -1.5, 1);
        put_random(model, block, "ssm_a", VALUE_HEADS, 1, -2, 0.5);
        put_random(model, block, "ssm_norm.weight", STATE, 1, 1, 0.1);
        put_random(model, block, "ssm_out.weight", VALUES, WIDTH, 0, 1 / sqrt(VALUES));
    }
}

const char *variant_tiled(void)
{
    struct edited_model *model = edited_open(test_data("golden/nanomoe-f32.gguf"));
    edited_set(model, "qwen35moe.ssm.group_count=int:2");
    edited_set(model, "qwen35moe.ssm.time_step_rank=int:6");
    edited_set(model, "qwen35moe.ssm.state_size=int:16");
    edited_set(model, "qwen35moe.ssm.inner_size=int:96");
    put_recurrent(model, KEY_HEADS);
    const char *path = edited_write(model, "tiled.gguf");
    edited_close(model);
    return path;
}

const char *variant_narrow_heads(void)
{
    struct edited_model *model = edited_open(test_data("golden/nano-f32.gguf"));
    edited_set(model, "qwen35.ssm.group_count=int:3");
    edited_set(model, "qwen35.ssm.time_step_rank=int:6");
    edited_set(model, "qwen35.ssm.state_size=int:16");
    edited_set(model, "qwen35.ssm.inner_size=int:96");
    put_recurrent(model, 3);
    for (uint32_t block = 0; block < RECURRENT; block++)
        edited_encode(edited_find(model, "blk.%u.ssm_out.weight", block), DTYPE_Q8_0);
    const char *path = edited_write(model, "narrow_heads.gguf");
    edited_close(model);
    return path;
}

/* ---- the same as qwen3next ------------------------------------------------------------------- */

/* Where qwen35moe has value head `head` of qwen3next: heads of one key head lie n_k apart there and
 * side by side here. */
static uint32_t tiled_head(uint32_t head, enum variant_layout layout)
{
    return layout == VARIANT_WRONG ? head : head % SHARED * KEY_HEADS + head / SHARED;
}

/* A copy of `rows` rows of `width` numbers, in which rows of value heads, `per_head` each from row
 * `first` on, stand in the order of qwen3next. */
static void permute_rows(struct edited_tensor *tensor, uint32_t width, uint32_t first,
                         uint32_t per_head, enum variant_layout layout)
{
    float *values = edited_floats(tensor);
    const size_t block = (size_t)per_head * width;
    float *old = malloc(VALUE_HEADS * block * sizeof *old);
    CHECK(old != NULL);
    memcpy(old, values + (size_t)first * width, VALUE_HEADS * block * sizeof *old);
    for (uint32_t head = 0; head < VALUE_HEADS; head++)
        memcpy(values + (size_t)first * width + head * block,
               old + tiled_head(head, layout) * block, block * sizeof *old);
    free(old);
}

static void permute_columns(struct edited_tensor *tensor, enum variant_layout layout)
{
    float *values = edited_floats(tensor);
    for (uint32_t row = 0; row < WIDTH; row++, values += VALUES) {
        float old[VALUES];
        memcpy(old, values, sizeof old);
        for (uint32_t head = 0; head < VALUE_HEADS; head++)
            memcpy(values + head * STATE, old + tiled_head(head, layout) * STATE,
                   STATE * sizeof *old);
    }
}

/* Row `from_row` of one matrix of width WIDTH to row `*row` of another, and on. */
static void append_rows(struct edited_tensor *to, uint32_t *row, struct edited_tensor *from,
                        uint32_t from_row, uint32_t count)
{
    memcpy(edited_floats(to) + (size_t)*row * WIDTH, edited_floats(from) + (size_t)from_row * WIDTH,
           (size_t)count * WIDTH * sizeof(float));
    *row += count;
}

/* ssm_ba of rows that are in their new order: for each key head its beta rows, then its alpha. */
static void join_gates(struct edited_model *model, uint32_t block)
{
    char name[GGUF_NAME_MAX + 1];
    uint32_t row = 0;
    snprintf(name, sizeof name, "blk.%u.ssm_ba.weight", block);
    struct edited_tensor *both = edited_put(model, name, WIDTH, 2 * VALUE_HEADS, 1);
    for (uint32_t key = 0; key < KEY_HEADS; key++) {
        append_rows(both, &row, edited_find(model, "blk.%u.ssm_beta.weight", block), key * SHARED,
                    SHARED);
        append_rows(both, &row, edited_find(model, "blk.%u.ssm_alpha.weight", block), key * SHARED,
                    SHARED);
    }
    CHECK_INT(row, 2 * VALUE_HEADS);
    snprintf(name, sizeof name, "blk.%u.ssm_beta.weight", block);
    edited_drop(model, name);
    snprintf(name, sizeof name, "blk.%u.ssm_alpha.weight", block);
    edited_drop(model, name);
}

/* ssm_in: for each key head q, k, and v and z of its value heads. */
static void join_inputs(struct edited_model *model, uint32_t block)
{
    char name[GGUF_NAME_MAX + 1];
    uint32_t row = 0;
    snprintf(name, sizeof name, "blk.%u.ssm_in.weight", block);
    struct edited_tensor *all = edited_put(model, name, WIDTH, CHANNELS + VALUES, 1);
    struct edited_tensor *qkv = edited_find(model, "blk.%u.attn_qkv.weight", block);
    struct edited_tensor *gate = edited_find(model, "blk.%u.attn_gate.weight", block);
    for (uint32_t key = 0; key < KEY_HEADS; key++) {
        append_rows(all, &row, qkv, key * STATE, STATE);
        append_rows(all, &row, qkv, KEYS + key * STATE, STATE);
        append_rows(all, &row, qkv, 2 * KEYS + key * SHARED * STATE, SHARED * STATE);
        append_rows(all, &row, gate, key * SHARED * STATE, SHARED * STATE);
    }
    CHECK_INT(row, CHANNELS + VALUES);
    snprintf(name, sizeof name, "blk.%u.attn_qkv.weight", block);
    edited_drop(model, name);
    snprintf(name, sizeof name, "blk.%u.attn_gate.weight", block);
    edited_drop(model, name);
}

const char *variant_next(enum variant_layout layout)
{
    static const char *const names[] = {"split.gguf", "legacy.gguf", "wrong.gguf"};
    struct edited_model *model = edited_open(variant_tiled());
    model->architecture = "qwen3next";
    edited_drop_key(model, "qwen35moe.rope.dimension_sections");
    for (uint32_t b = 0; b < RECURRENT; b++) {
        permute_rows(edited_find(model, "blk.%u.attn_qkv.weight", b), WIDTH, 2 * KEYS, STATE,
                     layout);
        permute_rows(edited_find(model, "blk.%u.attn_gate.weight", b), WIDTH, 0, STATE, layout);
        permute_rows(edited_find(model, "blk.%u.ssm_conv1d.weight", b), TAPS, 2 * KEYS, STATE,
                     layout);
        permute_rows(edited_find(model, "blk.%u.ssm_alpha.weight", b), WIDTH, 0, 1, layout);
        permute_rows(edited_find(model, "blk.%u.ssm_beta.weight", b), WIDTH, 0, 1, layout);
        permute_rows(edited_find(model, "blk.%u.ssm_a", b), 1, 0, 1, layout);
        permute_rows(edited_find(model, "blk.%u.ssm_dt.bias", b), 1, 0, 1, layout);
        permute_columns(edited_find(model, "blk.%u.ssm_out.weight", b), layout);
        join_gates(model, b);
        if (layout == VARIANT_LEGACY)
            join_inputs(model, b);
    }
    const char *path = edited_write(model, names[layout]);
    edited_close(model);
    return path;
}

/* ---- experts --------------------------------------------------------------------------------- */

const char *variant_gate_up(const char *path)
{
    struct edited_model *model = edited_open(path);
    char name[GGUF_NAME_MAX + 1], gate_name[GGUF_NAME_MAX + 1];
    for (uint32_t block = 0;; block++) {
        snprintf(gate_name, sizeof gate_name, "blk.%u.ffn_gate_exps.weight", block);
        if (!edited_has(model, gate_name))
            break;
        const struct edited_tensor shape = *edited_find(model, "%s", gate_name);
        const uint64_t matrix = shape.ne[0] * shape.ne[1];
        snprintf(name, sizeof name, "blk.%u.ffn_gate_up_exps.weight", block);
        float *both =
            edited_floats(edited_put(model, name, shape.ne[0], 2 * shape.ne[1], shape.ne[2]));
        const float *gate = edited_floats(edited_find(model, "%s", gate_name));
        const float *up = edited_floats(edited_find(model, "blk.%u.ffn_up_exps.weight", block));
        for (uint64_t expert = 0; expert < shape.ne[2]; expert++) {
            memcpy(both + 2 * expert * matrix, gate + expert * matrix, matrix * sizeof *both);
            memcpy(both + (2 * expert + 1) * matrix, up + expert * matrix, matrix * sizeof *both);
        }
        edited_drop(model, gate_name);
        snprintf(name, sizeof name, "blk.%u.ffn_up_exps.weight", block);
        edited_drop(model, name);
    }
    const char *written = edited_write(model, "gate_up.gguf");
    edited_close(model);
    return written;
}

/* ---- types and scales ------------------------------------------------------------------------ */

/* True for weights that are matrices, of experts or not. */
static bool is_matrix(const struct edited_tensor *tensor)
{
    return tensor->dims >= 2 && strstr(tensor->name, "ssm_conv1d") == NULL;
}

const char *variant_scaled(const char *path, enum dtype dtype)
{
    struct edited_model *model = edited_open(path);
    const uint32_t count = model->count;
    int exponent = 0; /* goes round -3 to 3 */
    for (uint32_t i = 0; i < count; i++) {
        struct edited_tensor *weight = &model->tensors[i];
        char name[GGUF_NAME_MAX + 1];
        if (!is_matrix(weight))
            continue;
        const int stem = (int)(strstr(weight->name, ".weight") - weight->name);
        snprintf(name, sizeof name, "%.*s.scale", stem, weight->name);
        const uint64_t experts = weight->ne[2], matrix = weight->ne[0] * weight->ne[1];
        float *values = edited_floats(weight);
        struct edited_tensor *scale = edited_put(model, name, experts, 1, 1);
        for (uint64_t e = 0; e < experts; e++) {
            exponent = exponent == 3 ? -3 : exponent + 1;
            edited_floats(scale)[e] = ldexpf(1, -exponent);
            for (uint64_t j = 0; j < matrix; j++)
                values[e * matrix + j] = ldexpf(values[e * matrix + j], exponent);
        }
        edited_convert(scale, dtype);
    }
    const char *written = edited_write(model, "scaled.gguf");
    edited_close(model);
    return written;
}

const char *variant_bf16(const char *path)
{
    struct edited_model *model = edited_open(path);
    for (uint32_t i = 0; i < model->count; i++)
        edited_convert(&model->tensors[i], DTYPE_BF16);
    const char *written = edited_write(model, "bf16.gguf");
    edited_close(model);
    return written;
}

const char *variant_decoded(const char *path)
{
    struct edited_model *model = edited_open(path);
    for (uint32_t i = 0; i < model->count; i++) {
        const struct edited_tensor old = model->tensors[i];
        const uint64_t elements = old.ne[0] * old.ne[1] * old.ne[2];
        model->tensors[i].data = NULL;
        struct edited_tensor *tensor = edited_put(model, old.name, old.ne[0], old.ne[1], old.ne[2]);
        codec_decode_row(old.dtype, old.data, edited_floats(tensor), elements);
        free(old.data);
    }
    const char *written = edited_write(model, "decoded.gguf");
    edited_close(model);
    return written;
}

/* ---- optional tensors of the MTP block ------------------------------------------------------- */

static void put_own_tables(struct edited_model *model)
{
    const bool is_tied = !edited_has(model, "output.weight");
    const struct edited_tensor shape = *edited_find(model, "token_embd.weight");
    const uint64_t width = shape.ne[0], rows = shape.ne[1];
    float *table =
        edited_floats(edited_put(model, "blk.4.nextn.embed_tokens.weight", width, rows, 1));
    float *head =
        edited_floats(edited_put(model, "blk.4.nextn.shared_head_head.weight", width, rows, 1));
    const float *old = edited_floats(edited_find(model, "token_embd.weight"));
    const float *old_head = is_tied ? old : edited_floats(edited_find(model, "output.weight"));
    for (uint64_t i = 0; i < rows; i++)
        memcpy(table + (i + 1) % rows * width, old + i * width, width * sizeof *table);
    for (uint64_t i = 0; i < rows * width; i++)
        head[i] = 2 * old_head[i];
}

const char *variant_mtp(const char *path, enum variant_mtp variant)
{
    static const char *const names[] = {"own_norm.gguf", "no_norm.gguf", "own_tables.gguf"};
    static const char norm[] = "blk.4.nextn.shared_head_norm.weight";
    struct edited_model *model = edited_open(path);
    struct edited_tensor *own = edited_find(model, norm);
    memcpy(own->data, edited_find(model, "output_norm.weight")->data, own->bytes);
    if (variant != VARIANT_OWN_NORM)
        edited_drop(model, norm);
    if (variant == VARIANT_OWN_TABLES)
        put_own_tables(model);
    const char *written = edited_write(model, names[variant]);
    edited_close(model);
    return written;
}
