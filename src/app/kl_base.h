/* SPDX-License-Identifier: MIT
 * The file of a base run: the tokens that it read in windows, and a record (logits_row.h) of each
 * row that it scored. All numbers are little-endian:
 *     8 bytes                  "weir-kl" and a zero
 *     uint32                   version, 1
 *     uint32                   vocab: logits of a row
 *     uint32                   windows
 *     uint32                   window: tokens of one
 *     uint32                   first: the rows behind tokens first to window - 2 are scored
 *     int32                    head: the token that stands first in each window, in place of its
 *                              own; -1 if none does
 *     int32[windows * window]  the tokens
 *     a record for each scored row, window after window */
#ifndef APP_KL_BASE_H
#define APP_KL_BASE_H

#include "base/file.h"

struct kl_shape {
    uint32_t vocab, windows, window, first;
    int32_t head;
};

/* Scored rows of a window, and of all. */
uint32_t kl_shape_window_rows(const struct kl_shape *shape);
uint64_t kl_shape_rows(const struct kl_shape *shape);

/* Bytes of the whole file; false if 64 bits do not hold their number. */
bool kl_shape_bytes(const struct kl_shape *shape, uint64_t *out);

/* Puts all that stands before the records, which the caller puts next. */
enum weir_status kl_base_put_head(struct file_writer *writer, const struct kl_shape *shape,
                                  const int32_t *tokens, struct weir_error *err);

/* A file that is read. Its records are checked as they are used. */
struct kl_base {
    struct kl_shape shape;
    struct file_map map;
    const uint8_t *tokens, *records;
};

/* Zeroed to begin; kl_base_close may follow a failure. */
enum weir_status kl_base_open(struct kl_base *base, const char *path, struct weir_error *err);
void kl_base_close(struct kl_base *base);

/* The same of bytes in memory, which stay the caller's; `name` is for messages. */
enum weir_status kl_base_parse(struct kl_base *base, const uint8_t *data, uint64_t size,
                               const char *name, struct weir_error *err);

int32_t kl_base_token(const struct kl_base *base, uint64_t i);
const uint8_t *kl_base_record(const struct kl_base *base, uint64_t row);

#endif
