/* SPDX-License-Identifier: MIT
 * A growing run of bytes. Knows nothing of what they say. */
#include "base/bytes.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

void bytes_release(struct bytes *bytes)
{
    mem_free(bytes->data);
    *bytes = (struct bytes){0};
}

void bytes_add(struct bytes *bytes, const void *data, size_t length)
{
    uint64_t needed; /* with the zero */
    if (bytes->has_failed)
        return; /* before there is memory again, whose end nobody would mark */
    if (!size_add(bytes->length, (uint64_t)length + 1, &needed) ||
        mem_grow(&bytes->data, &bytes->capacity, needed, 1, NULL) != WEIR_OK) {
        bytes->has_failed = true;
        return;
    }
    if (length > 0)
        memcpy(bytes->data + bytes->length, data, length);
    bytes->length += length;
    bytes->data[bytes->length] = 0;
}

void bytes_add_text(struct bytes *bytes, const char *text)
{
    bytes_add(bytes, text, strlen(text));
}

void bytes_sink(void *user, const char *text, size_t length)
{
    bytes_add(user, text, length);
}

void bytes_drop(struct bytes *bytes, uint64_t length)
{
    assert(length <= bytes->length);
    if (length == 0)
        return;
    bytes->length -= length;
    memmove(bytes->data, bytes->data + length, (size_t)bytes->length + 1);
}

void bytes_clear(struct bytes *bytes)
{
    bytes_drop(bytes, bytes->length);
}

enum weir_status bytes_check(const struct bytes *bytes, struct weir_error *err)
{
    if (!bytes->has_failed)
        return WEIR_OK;
    return err_set(err, WEIR_ERR_MEMORY, "out of memory: a text of more than %llu bytes",
                   (unsigned long long)bytes->length);
}
