/* SPDX-License-Identifier: MIT
 * What people call a model: its size and the mixture of its types. */
#ifndef RUN_MODEL_NAMES_H
#define RUN_MODEL_NAMES_H

#include "format/gguf.h"

/* The size of the public model that has this shape, "0.8B"; "?B" if none has. */
const char *model_size_name(const struct gguf *gguf);

/* The name of the file's type, or, if the file does not say it, of the type that most of its
 * tensors have; *guessed says which. */
const char *model_file_type_name(const struct gguf *gguf, bool *guessed);

#endif
