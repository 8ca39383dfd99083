/* SPDX-License-Identifier: MIT
 * Importance matrices: for each weight and each of its input columns, how large the activations
 * were that met it. Read from GGUF files and from the older binary form, written as GGUF. Knows
 * nothing of what the importances are used for. */
#ifndef FORMAT_IMATRIX_H
#define FORMAT_IMATRIX_H

#include "base/names.h"
#include "format/gguf.h"

/* Of one weight. The older form has no matrices: all its columns are those of one. */
struct imatrix_entry {
    char name[GGUF_NAME_MAX + 1]; /* of the weight: "blk.3.ffn_up.weight" */
    uint64_t columns;             /* of each matrix */
    uint64_t matrices;            /* experts; 1 for an ordinary weight */
    float *sums;                  /* [matrices, columns] of squared activations */
    float *counts;                /* [matrices] tokens that went into them */
};

struct imatrix {
    struct imatrix_entry **entries; /* in the order of the file, or of adding */
    uint64_t count, capacity;
    char **datasets; /* names of the calibration files */
    uint64_t datasets_count, datasets_capacity;
    bool is_old;          /* read from the older form: counts are of chunks, not of tokens */
    uint32_t chunk_count; /* processed; 0: unknown */
    uint32_t chunk_size;  /* tokens; 0: unknown */
    struct names index;   /* name to place in entries */
};

/* Sets `imatrix` to nothing; what is in it belongs to imatrix_release. */
void imatrix_init(struct imatrix *imatrix);
void imatrix_release(struct imatrix *imatrix);

/* Reads a file of either form into `imatrix`. Every number is finite and not negative, every weight
 * has its counts; WEIR_ERR_FORMAT says where that is not so. On failure there is nothing to
 * release. */
enum weir_status imatrix_read(struct imatrix *imatrix, const char *path, struct weir_error *err);
/* The same for bytes in memory, as if they were the file `name`. */
enum weir_status imatrix_parse(struct imatrix *imatrix, const uint8_t *data, uint64_t size,
                               const char *name, struct weir_error *err);

/* Adds an entry whose numbers are 0, for the caller to fill. WEIR_ERR_ARGUMENT if there is one of
 * that name already, or the name is longer than a file can hold. */
enum weir_status imatrix_add(struct imatrix *imatrix, const char *name, uint64_t columns,
                             uint64_t matrices, struct imatrix_entry **out, struct weir_error *err);
enum weir_status imatrix_add_dataset(struct imatrix *imatrix, struct span name,
                                     struct weir_error *err);

/* The entry of a weight, or NULL. */
struct imatrix_entry *imatrix_find(const struct imatrix *imatrix, const char *name);

/* The importance of `count` columns from column `first` on, the columns of all matrices counted
 * through: the mean square of the activation, or 1 for a matrix that no token met. */
void imatrix_weights(const struct imatrix_entry *entry, uint64_t first, uint64_t count, float *out);

/* Writes a GGUF file, entries sorted by name. It appears when it is complete. */
enum weir_status imatrix_write(const struct imatrix *imatrix, const char *path,
                               struct weir_error *err);

#endif
