/* SPDX-License-Identifier: MIT
 * From flags to a loaded model. */
#ifndef APP_LOADED_H
#define APP_LOADED_H

#include "app/log.h"

/* Zeroed to begin; what is not opened is NULL. */
struct loaded {
    struct weir_model *model;
    struct weir_tokenizer *tokenizer;
    struct weir_engine *engine;
    struct weir_session *session;
};

/* What the flags say of opening a model. The overrides are borrowed. */
struct weir_model_options loaded_model_options(const struct options *options, struct log *log);

/* Refuses to write to a file of the model, later splits included. */
enum weir_status loaded_check_target(const struct loaded *loaded, const char *target,
                                     struct weir_error *err);

/* Opens the file of --model with the flags' overrides. Refuses flags that would write results to a
 * file that is read. */
enum weir_status loaded_open_model(struct loaded *loaded, const struct options *options,
                                   struct log *log, struct weir_error *err);

/* The engine's options by the flags, for at most `logits_rows` rows of logits in a step. */
struct weir_engine_options loaded_engine_options(const struct options *options,
                                                 uint32_t logits_rows, struct log *log);

/* Loads the weights. */
enum weir_status loaded_load_engine(struct loaded *loaded,
                                    const struct weir_engine_options *engine_options,
                                    struct log *log, struct weir_error *err);
/* The same, and opens the one session. */
enum weir_status loaded_open_engine(struct loaded *loaded,
                                    const struct weir_engine_options *engine_options,
                                    struct log *log, struct weir_error *err);

/* The model stays open, so that another engine can be opened on it. */
void loaded_close_engine(struct loaded *loaded);

void loaded_close(struct loaded *loaded);

#endif
