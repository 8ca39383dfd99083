/* SPDX-License-Identifier: MIT
 * struct weir_model: an opened GGUF file and where its messages go. */
#ifndef RUN_MODEL_FILE_H
#define RUN_MODEL_FILE_H

#include "format/gguf.h"

struct weir_model {
    struct gguf *gguf;
    weir_log_fn *log; /* may be NULL */
    void *log_user;
    char *architecture; /* copies: borrowed by weir_model_info */
    char *name;
};

/* One message to the model's log, if it has one. */
void model_log(const struct weir_model *model, enum weir_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
