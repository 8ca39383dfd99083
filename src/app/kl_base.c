/* SPDX-License-Identifier: MIT
 * Writes and reads the file of a base run. Knows not what a record holds. */
#include "app/kl_base.h"

#include <string.h>

#include "app/logits_row.h"
#include "base/mem.h"

enum { MAGIC_BYTES = 8, HEAD_BYTES = 32, VERSION = 1, TOKEN_BYTES = 4 };

static const char magic[MAGIC_BYTES] = "weir-kl";

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are written as they lie");

uint32_t kl_shape_window_rows(const struct kl_shape *shape)
{
    return shape->window - 1 - shape->first;
}

uint64_t kl_shape_rows(const struct kl_shape *shape)
{
    return (uint64_t)shape->windows * kl_shape_window_rows(shape);
}

static uint64_t shape_tokens(const struct kl_shape *shape)
{
    return (uint64_t)shape->windows * shape->window;
}

bool kl_shape_bytes(const struct kl_shape *shape, uint64_t *out)
{
    uint64_t tokens, records, sum;
    return size_mul(shape_tokens(shape), TOKEN_BYTES, &tokens) &&
           size_mul(kl_shape_rows(shape), row_record_bytes(shape->vocab), &records) &&
           size_add(tokens, records, &sum) && size_add(sum, HEAD_BYTES, out);
}

/* ---- writing --------------------------------------------------------------------------------- */

enum weir_status kl_base_put_head(struct file_writer *writer, const struct kl_shape *shape,
                                  const int32_t *tokens, struct weir_error *err)
{
    const uint32_t numbers[] = {VERSION,       shape->vocab, shape->windows,
                                shape->window, shape->first, (uint32_t)shape->head};
    _Static_assert(MAGIC_BYTES + sizeof numbers == HEAD_BYTES, "the head is full");
    enum weir_status status;
    TRY(file_writer_put(writer, magic, MAGIC_BYTES, err));
    TRY(file_writer_put(writer, numbers, sizeof numbers, err));
    TRY(file_writer_put(writer, tokens, shape_tokens(shape) * TOKEN_BYTES, err));
out:
    return status;
}

/* ---- reading --------------------------------------------------------------------------------- */

static bool shape_is_valid(const struct kl_shape *shape)
{
    return shape->vocab >= 1 && shape->vocab <= INT32_MAX && shape->windows >= 1 &&
           shape->window >= 3 && shape->window <= INT32_MAX && shape->first >= 1 &&
           shape->first < shape->window - 1 && shape->head >= -1 &&
           shape->head < (int32_t)shape->vocab;
}

static enum weir_status parse_head(struct kl_base *base, const uint8_t *data, uint64_t size,
                                   const char *name, struct weir_error *err)
{
    uint32_t numbers[6];
    uint64_t expected;
    if (size < HEAD_BYTES || memcmp(data, magic, MAGIC_BYTES) != 0)
        return err_set(err, WEIR_ERR_FORMAT, "%s: is not a file of weir eval --save-logits", name);
    memcpy(numbers, data + MAGIC_BYTES, sizeof numbers);
    if (numbers[0] != VERSION)
        return err_set(err, WEIR_ERR_UNSUPPORTED, "%s: is of version %u, expected %d", name,
                       numbers[0], VERSION);
    base->shape = (struct kl_shape){
        .vocab = numbers[1],
        .windows = numbers[2],
        .window = numbers[3],
        .first = numbers[4],
        .head = (int32_t)numbers[5],
    };
    if (!shape_is_valid(&base->shape))
        return err_set(err, WEIR_ERR_FORMAT,
                       "%s: has an impossible shape: %u logits, %u windows of %u tokens, scored "
                       "from %u, head %d",
                       name, numbers[1], numbers[2], numbers[3], numbers[4], (int32_t)numbers[5]);
    if (!kl_shape_bytes(&base->shape, &expected) || expected != size)
        return err_set(
            err, WEIR_ERR_FORMAT,
            "%s: has %llu bytes, which do not hold %u windows of %u tokens and %u logits", name,
            (unsigned long long)size, base->shape.windows, base->shape.window, base->shape.vocab);
    return WEIR_OK;
}

enum weir_status kl_base_parse(struct kl_base *base, const uint8_t *data, uint64_t size,
                               const char *name, struct weir_error *err)
{
    const enum weir_status status = parse_head(base, data, size, name, err);
    if (status != WEIR_OK)
        return status;
    const uint64_t tokens = shape_tokens(&base->shape);
    base->tokens = data + HEAD_BYTES;
    base->records = base->tokens + tokens * TOKEN_BYTES;
    for (uint64_t i = 0; i < tokens; i++) {
        const int32_t id = kl_base_token(base, i);
        if (id < 0 || id >= (int32_t)base->shape.vocab)
            return err_set(err, WEIR_ERR_FORMAT, "%s: token %llu is %d, expected 0 to %u", name,
                           (unsigned long long)i, id, base->shape.vocab - 1);
    }
    return WEIR_OK;
}

enum weir_status kl_base_open(struct kl_base *base, const char *path, struct weir_error *err)
{
    const enum weir_status status = file_map_open(&base->map, path, err);
    return status == WEIR_OK ? kl_base_parse(base, base->map.data, base->map.size, path, err)
                             : status;
}

void kl_base_close(struct kl_base *base)
{
    file_map_close(&base->map);
    *base = (struct kl_base){.tokens = NULL};
}

int32_t kl_base_token(const struct kl_base *base, uint64_t i)
{
    int32_t id;
    memcpy(&id, base->tokens + i * TOKEN_BYTES, sizeof id);
    return id;
}

const uint8_t *kl_base_record(const struct kl_base *base, uint64_t row)
{
    return base->records + row * row_record_bytes(base->shape.vocab);
}
