/* SPDX-License-Identifier: MIT
 * A made-up model as a checkpoint folder of Hugging Face, from which the converter makes the GGUF
 * file of the same model: the tensors (checkpoint), their names and orders (source), and the JSON
 * beside them (json). */
#ifndef QUANT_SYNTH_CHECKPOINT_H
#define QUANT_SYNTH_CHECKPOINT_H

#include "quant/synth.h"

enum { SYNTH_SOURCE_NAME_MAX = 127 };

enum synth_order {
    ORDER_SAME,
    ORDER_HEADS,        /* each row a value head */
    ORDER_HEAD_ROWS,    /* the last rows are value heads */
    ORDER_HEAD_COLUMNS, /* the columns are value heads */
    ORDER_GROUPS,       /* of Qwen3-Next: q, k, v, z of each key head */
    ORDER_HALVES,       /* of each expert: the rows of the first, then of the second */
    ORDER_EXPERT,       /* the rows of one expert */
};

enum synth_values { SOURCE_SAME, SOURCE_NORM, SOURCE_DECAY };

/* A tensor of the checkpoint. */
struct synth_source {
    char name[SYNTH_SOURCE_NAME_MAX + 1];
    const struct synth_tensor *tensors[2]; /* what it becomes; the second may be NULL */
    enum synth_order order;
    enum synth_values values;
    uint64_t expert;
    uint32_t dims;
    uint64_t shape[3]; /* slowest first */
    uint64_t rows, width;
    uint64_t bytes;
};

struct synth_sources {
    struct synth_source *list;
    uint64_t count, capacity;
};

enum weir_status synth_sources_open(struct synth_sources *out, const struct synth_model *model,
                                    struct weir_error *err);
void synth_sources_close(struct synth_sources *sources);

/* The bytes of row `row`; `scratch` has room for a row. Norms and decays are F32 in checkpoints of
 * this program, so that a norm weight comes back exactly if it is from 1/2 to 2 (w - 1 is exact
 * there, by Sterbenz), and a decay to within 3 units of the last place. */
void synth_source_row(const struct synth_model *model, const struct synth_source *source,
                      uint64_t row, uint8_t *out, uint8_t *scratch);

/* Text that grows. Set to zero to begin, `err` aside. */
struct synth_text {
    char *data;
    uint64_t length, capacity;
    enum weir_status status; /* of the first failure */
    struct weir_error *err;
};

void synth_text_print(struct synth_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What stands beside the tensors. */
void synth_json_config(struct synth_text *text, const struct synth_model *model);
void synth_json_tokenizer(struct synth_text *text, const struct synth_model *model,
                          const struct synth_vocabulary *vocabulary);
void synth_json_tokenizer_config(struct synth_text *text);
void synth_json_generation(struct synth_text *text, const struct synth_model *model);

#endif
