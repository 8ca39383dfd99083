/* SPDX-License-Identifier: MIT
 * Errors as values: a status, and one line of text that the first failure writes. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "weir.h"

/* Runs a call that returns enum weir_status; on failure leaves through the label `out`, where the
 * caller's variable `status` says why. */
#define TRY(call)                                                                                  \
    do {                                                                                           \
        status = (call);                                                                           \
        if (status != WEIR_OK)                                                                     \
            goto out;                                                                              \
    } while (0)

/* Fills `err` (may be NULL) unless it already holds an error, and returns `status`, so that a
 * refusal is one line: return err_set(err, WEIR_ERR_FORMAT, "%s: ...", path). Control characters
 * of the result are replaced by '?', since names from files end up in it. */
enum weir_status err_set(struct weir_error *err, enum weir_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
