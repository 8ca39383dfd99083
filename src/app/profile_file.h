/* SPDX-License-Identifier: MIT
 * A file of the schema weir.profile/1 (weir-profile(1)), read with limits. Knows not what it is
 * compared with. */
#ifndef APP_PROFILE_FILE_H
#define APP_PROFILE_FILE_H

#include <jansson.h>

#include "base/err.h"

#define PROFILE_SCHEMA "weir.profile/1"

/* Beyond what any model and sweep has. */
enum { PROFILE_FILE_STEPS_MAX = 4096, PROFILE_FILE_NAME_MAX = 63, PROFILE_FILE_MODEL_MAX = 255 };
/* The range of fewer runs holds their median with a chance below 95%: it is no interval. */
enum { PROFILE_FILE_RUNS_MIN = 6 };
#define PROFILE_FILE_BYTES_MAX (UINT64_C(64) << 20)

/* What an op costs, several together, or a step. */
struct cost {
    uint64_t read, written;       /* bytes */
    uint64_t ns, ns_low, ns_high; /* the interval is that of the median; it may leave out `ns` */
    uint64_t instructions;
    bool has_times, has_interval, has_instructions; /* false: those are 0 */
};

/* Adds what an op costs to a sum, which has what all of its ops have: it begins with all. False if
 * 64 bits do not hold the result. */
bool cost_add(struct cost *sum, const struct cost *op);
struct cost cost_none(void); /* the sum of no ops */

enum { LAYER_BEFORE = -1, LAYER_BEHIND = -2 }; /* of an op of none: the embedding; the head */

struct file_op {
    const char *kind, *role; /* printable ASCII without blanks, quotes and commas */
    int32_t layer;
    uint32_t number; /* it is the n-th op of this kind, role and layer, from 1 on */
    struct cost cost;
};

struct file_step {
    const char *mode; /* NULL: the file does not say */
    uint32_t context;
    int64_t rows, sequences, threads; /* -1: the file does not say */
    struct cost cost;                 /* times of the step, all else the sums of its ops */
    struct file_op *ops;
    uint32_t op_count;
};

struct profile_file {
    const char *path, *model; /* the path is the caller's */
    struct file_step *steps;
    uint32_t step_count;
    json_t *root; /* what names point into */
};

/* Zeroed to begin; profile_file_close may follow a failure. WEIR_ERR_FORMAT for what is no such
 * file, with the step and op at fault; WEIR_ERR_UNSUPPORTED for another schema. */
enum weir_status profile_file_open(struct profile_file *file, const char *path,
                                   struct weir_error *err);
void profile_file_close(struct profile_file *file);

/* The same of bytes in memory; `path` is for messages. */
enum weir_status profile_file_parse(struct profile_file *file, const uint8_t *data, size_t size,
                                    const char *path, struct weir_error *err);

#endif
