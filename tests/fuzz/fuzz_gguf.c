/* SPDX-License-Identifier: MIT
 * Fuzzes the GGUF reader: parses the input, then uses everything that was parsed. */
#include "fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "format/gguf.h"

/* A failed expectation is a crash, which libFuzzer and the runner both see. */
static void expect(bool condition)
{
    if (!condition)
        abort();
}

/* Keeps the compiler from leaving out what `sum` was computed from. */
static void consume(uint64_t sum)
{
    __asm__ volatile("" : : "r"(sum));
}

/* Reads all that the entry says it has. */
static uint64_t use_kv(const struct gguf_kv *kv)
{
    uint64_t sum = 0, cursor = 0, texts = 0;
    struct span text;
    while (gguf_kv_next_text(kv, &cursor, &text)) {
        texts++;
        for (size_t i = 0; i < text.length; i++)
            sum += text.data[i];
    }
    expect(texts == 0 || texts == kv->count);
    for (uint64_t i = 0; i < kv->count; i++) {
        int64_t integer = 0;
        double real = 0;
        sum += gguf_kv_integer(kv, i, &integer) ? (uint64_t)integer : 0;
        sum += gguf_kv_float(kv, i, &real) && real > 0;
    }
    for (size_t i = 0; i < kv->key.length; i++)
        sum += kv->key.data[i];
    return sum;
}

static void use_typed_reads(const struct gguf *gguf, const struct gguf_kv *kv)
{
    char key[64];
    if (kv->key.length >= sizeof key)
        return;
    memcpy(key, kv->key.data, kv->key.length);
    key[kv->key.length] = 0;
    expect(gguf_find(gguf, key) == kv);
    struct weir_error err = {0};
    uint32_t number = 0;
    float real = 0;
    bool truth = false;
    struct span text = {0};
    const int accepted = (gguf_get_u32(gguf, key, &number, &err) == WEIR_OK) +
                         (gguf_get_f32(gguf, key, &real, &err) == WEIR_OK) +
                         (gguf_get_bool(gguf, key, &truth, &err) == WEIR_OK) +
                         (gguf_get_text(gguf, key, &text, &err) == WEIR_OK);
    expect(accepted <= 1);
    expect(err.text[0] != 0);
}

static uint64_t use_tensor(const struct gguf *gguf, const struct gguf_tensor *tensor)
{
    expect(gguf_find_tensor(gguf, tensor->name) == tensor);
    expect(tensor->bytes > 0);
    const uint8_t *data = gguf_tensor_data(gguf, tensor);
    return (uint64_t)data[0] + data[tensor->bytes - 1];
}

int fuzz_gguf(const uint8_t *data, size_t size)
{
    struct weir_error err = {0};
    struct gguf *gguf;
    const enum weir_status status = gguf_parse(&gguf, data, size, "input", &err);
    expect((status == WEIR_OK) == (gguf != NULL));
    expect((status == WEIR_OK) == (err.text[0] == 0));
    if (gguf == NULL)
        return 0;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < gguf->kv_count; i++) {
        sum += use_kv(&gguf->kv[i]);
        use_typed_reads(gguf, &gguf->kv[i]);
    }
    for (uint64_t i = 0; i < gguf->tensor_count; i++)
        sum += use_tensor(gguf, &gguf->tensors[i]);
    consume(sum);
    expect(gguf_override(gguf, "general.name=str:fuzz", &err) == WEIR_OK);
    expect(gguf_find(gguf, "general.name")->data.length == 4);
    gguf_close(gguf);
    return 0;
}
