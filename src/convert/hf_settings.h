/* SPDX-License-Identifier: MIT
 * What stands beside the vocabulary: special tokens and chat templates of tokenizer_config.json,
 * and the sampling that generation_config.json recommends. Each file may be missing. */
#ifndef CONVERT_HF_SETTINGS_H
#define CONVERT_HF_SETTINGS_H

#include "convert/hf_config.h"
#include "convert/hf_tokenizer.h"

/* Gives the writer general.sampling.*. */
enum weir_status hf_settings_sampling(const char *folder, struct gguf_writer *writer,
                                      struct weir_error *err);

/* Gives the writer the ids of special tokens (those of config.json where tokenizer_config.json
 * names none), whether they are added to texts, and the chat templates. */
enum weir_status hf_settings_tokens(const char *folder, const struct hf_config *config,
                                    const struct hf_tokenizer *tokenizer,
                                    struct gguf_writer *writer, struct weir_error *err);

#endif
