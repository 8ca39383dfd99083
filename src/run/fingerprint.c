/* SPDX-License-Identifier: MIT
 * Digests a model and an engine. Knows what changes bits, not what is kept of them. */
#include "run/fingerprint.h"

#include <string.h>

/* Counted up when a state of the same layout means something else, or has other bits. */
enum { STATE_VERSION = 2 };

/* Bytes looked at at the beginning, in the middle and at the end of a tensor. */
enum { SAMPLE_BYTES = 1024 };

static void put_number(struct digester *digester, uint64_t number)
{
    uint8_t bytes[sizeof number];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(number >> 8 * i);
    digester_put(digester, bytes, sizeof bytes);
}

/* With its length, so that what follows is not taken for its end. */
static void put_bytes(struct digester *digester, const void *data, size_t length)
{
    put_number(digester, length);
    digester_put(digester, data, length);
}

static void put_text(struct digester *digester, const char *text)
{
    put_bytes(digester, text, strlen(text));
}

static void put_metadata(struct digester *digester, const struct gguf *gguf)
{
    put_number(digester, gguf->kv_count);
    for (uint64_t i = 0; i < gguf->kv_count; i++) {
        const struct gguf_kv *kv = &gguf->kv[i];
        put_bytes(digester, kv->key.data, kv->key.length);
        put_number(digester, kv->type);
        put_number(digester, kv->element);
        put_bytes(digester, kv->data.data, kv->data.length);
    }
}

static void put_sample(struct digester *digester, const uint8_t *data, uint64_t bytes)
{
    const uint64_t part = bytes < SAMPLE_BYTES ? bytes : SAMPLE_BYTES;
    digester_put(digester, data, (size_t)part);
    digester_put(digester, data + (bytes - part) / 2, (size_t)part);
    digester_put(digester, data + (bytes - part), (size_t)part);
}

static void put_tensors(struct digester *digester, const struct gguf *gguf)
{
    put_number(digester, gguf->tensor_count);
    for (uint64_t i = 0; i < gguf->tensor_count; i++) {
        const struct gguf_tensor *tensor = &gguf->tensors[i];
        put_text(digester, tensor->name);
        put_number(digester, tensor->dtype);
        for (uint32_t dim = 0; dim < GGUF_DIMS_MAX; dim++)
            put_number(digester, tensor->ne[dim]);
        put_sample(digester, gguf_tensor_data(gguf, tensor), tensor->bytes);
    }
    for (uint32_t i = 0; i < gguf->split_count; i++)
        put_number(digester, gguf->splits[i].map.size);
}

/* The shapes of what outlives a step. */
static void put_plan(struct digester *digester, const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->buf_count; i++) {
        const struct buf *buf = &plan->bufs[i];
        if (buf->kind != BUF_STATE && buf->kind != BUF_RING && buf->kind != BUF_KV)
            continue;
        put_number(digester, buf->kind);
        put_number(digester, buf->dtype);
        put_number(digester, buf->kind == BUF_RING ? buf->reach : buf->rows);
        put_number(digester, buf->groups);
        put_number(digester, buf->width);
    }
}

/* What metadata and options make of the rotary embedding. */
static void put_rope(struct digester *digester, const struct rope_config *rope)
{
    float magnitude;
    double frequencies[HEAD_WIDTH_MAX / 2];
    rope_frequencies(rope, frequencies, &magnitude);
    put_bytes(digester, frequencies, rope->width / 2 * sizeof *frequencies);
    put_bytes(digester, &magnitude, sizeof magnitude);
}

struct digest fingerprint_make(const struct weir_engine *engine)
{
    const struct blueprint *blueprint = &engine->blueprint;
    struct digester digester;
    digester_init(&digester);
    put_number(&digester, STATE_VERSION);
    put_metadata(&digester, engine->gguf);
    put_tensors(&digester, engine->gguf);
    put_text(&digester, blueprint->backend->name);
    put_text(&digester, weir_engine_isa(engine));
    put_number(&digester, engine->options.no_repack); /* floats are summed in another order */
    put_rope(&digester, &blueprint->config.rope);
    put_plan(&digester, blueprint->plan);
    return digester_digest(&digester);
}
