/* SPDX-License-Identifier: MIT
 * A profile summed up by kinds, roles, layers or classes of tensors. Knows no form of output. */
#ifndef APP_PROFILE_SUMS_H
#define APP_PROFILE_SUMS_H

#include "app/options.h"

/* Some ops together; or a class of tensors, with the ops that touch it as calls and as much of
 * their times as of their bytes. */
struct profile_sum {
    char name[64];
    uint64_t calls;
    uint64_t read, written, operand; /* bytes; a class has no operand: what is not touched of one
                                        belongs to none */
    uint64_t ns, wait_ns;
    uint64_t usual_ns; /* of each op no more than the interval of its median holds: what else the
                          machine did in the run that is shown is no loss of the op's */
};

struct profile_sums {
    struct profile_sum *rows; /* layers in the order of the plan, others the costliest first */
    uint32_t count;
    struct profile_sum all;
};

/* Free with mem_free(sums->rows). */
enum weir_status profile_sum_by(struct profile_sums *sums, const struct weir_profile *profile,
                                enum profile_by by, struct weir_error *err);

/* The ops of one kind and role that usually lose most time against `peak` GB/s; without times or a
 * peak, those that touch most bytes. */
enum weir_status profile_sum_worst(struct profile_sum *out, const struct weir_profile *profile,
                                   double peak, struct weir_error *err);

/* "decode", "prefill", "verify"; static. */
const char *profile_mode_name(enum profile_mode mode);

/* What ops of no layer are called, before the layers or behind them: "embedding", "head". */
const char *profile_no_layer_name(bool is_behind);

/* Room for the name of a layer. */
enum { PROFILE_LAYER_MAX = 16 };

/* What the layer of op `number` is called: "embedding", "L00 la", "L03 fa", ..., "head". */
void profile_layer_name(const struct weir_profile *profile, uint32_t number, char *out,
                        size_t size);

/* Of all classes: bytes that are read, or bytes that are written. */
uint64_t profile_sum_classes(const uint64_t bytes[WEIR_TRAFFIC_CLASSES]);

/* Bytes by class, and all ops together. */
struct weir_traffic profile_traffic(const struct weir_profile *profile);
struct profile_sum profile_sum_all(const struct weir_profile *profile);

/* Tokens behind which caches cost as much as weights: each adds the same bytes to a step, so the
 * length follows from one. 0 for a prompt, which may be several, and without caches. */
uint64_t profile_crossing(const struct weir_profile *profile, enum profile_mode mode);

/* Bytes of a sum, and the ms that they take at `peak` GB/s. */
uint64_t profile_sum_bytes(const struct profile_sum *sum);
double profile_floor_ms(uint64_t bytes, double peak);

/* Why something can take less than its floor, of a peak that was measured or of one that is given:
 * the words of all commands, and in profile_page.js. */
const char *profile_beyond(bool is_measured);

/* As tables write them: nanoseconds in ms, bytes in MB. */
double profile_ms(uint64_t ns);
double profile_mb(uint64_t bytes);

#endif
