/* SPDX-License-Identifier: MIT
 * A GGUF file that a test takes apart, changes and writes again under another name. Every failure
 * fails the test. */
#ifndef TESTS_EDITED_MODEL_H
#define TESTS_EDITED_MODEL_H

#include "format/gguf.h"

struct edited_tensor {
    char name[GGUF_NAME_MAX + 1];
    enum dtype dtype;
    uint64_t ne[GGUF_DIMS_MAX];
    uint32_t dims;
    uint8_t *data; /* malloc */
    uint64_t bytes;
};

enum { EDITED_TENSORS_MAX = 512, EDITED_DROPS_MAX = 8 };

struct edited_model {
    struct gguf *gguf; /* the metadata */
    struct edited_tensor tensors[EDITED_TENSORS_MAX];
    uint32_t count;
    const char *architecture; /* takes the place of the file's, also in keys; NULL: as it is */
    const char *dropped_keys[EDITED_DROPS_MAX]; /* under their old names */
    uint32_t dropped_count;
};

/* malloc: it is large. */
struct edited_model *edited_open(const char *path);
void edited_close(struct edited_model *model);
/* Writes to the scratch folder; returns the path. */
const char *edited_write(const struct edited_model *model, const char *name);

/* "KEY=TYPE:VALUE"; under the file's old architecture. */
void edited_set(struct edited_model *model, const char *entry);
void edited_drop_key(struct edited_model *model, const char *key);

/* The tensor of that name, as printf makes it; it must be there. Valid until one is dropped. */
struct edited_tensor *edited_find(struct edited_model *model, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool edited_has(const struct edited_model *model, const char *name);
/* The numbers of an F32 tensor. */
float *edited_floats(struct edited_tensor *tensor);
/* A new F32 tensor of zeros, {ne0, ne1, ne2} without trailing dimensions of 1; replaces one of the
 * same name. */
struct edited_tensor *edited_put(struct edited_model *model, const char *name, uint64_t ne0,
                                 uint64_t ne1, uint64_t ne2);
void edited_drop(struct edited_model *model, const char *name);
void edited_rename(struct edited_model *model, const char *from, const char *to);
/* To one of the float types. */
void edited_convert(struct edited_tensor *tensor, enum dtype dtype);
/* A matrix to any type that is made without importance. */
void edited_encode(struct edited_tensor *tensor, enum dtype dtype);

#endif
