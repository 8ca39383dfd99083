/* SPDX-License-Identifier: MIT
 * Makes a value once, under a lock. Knows not what the value is. */
#include "base/once.h"

#include <pthread.h>

#include "base/mem.h"

struct once {
    pthread_mutex_t lock;
    void *value; /* NULL: not made yet */
    void (*release)(void *value);
};

enum weir_status once_open(struct once **out, struct weir_error *err)
{
    *out = mem_alloc(1, sizeof **out, err);
    if (*out == NULL)
        return WEIR_ERR_MEMORY;
    pthread_mutex_init(&(*out)->lock, NULL);
    return WEIR_OK;
}

void once_close(struct once *once)
{
    if (once == NULL)
        return;
    if (once->value != NULL)
        once->release(once->value);
    pthread_mutex_destroy(&once->lock);
    mem_free(once);
}

enum weir_status once_get(struct once *once, const struct once_kind *kind, const void *source,
                          const void **out, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    pthread_mutex_lock(&once->lock);
    if (once->value == NULL) {
        once->release = kind->release;
        status = kind->make(&once->value, source, err);
    }
    *out = once->value;
    pthread_mutex_unlock(&once->lock);
    return status;
}
