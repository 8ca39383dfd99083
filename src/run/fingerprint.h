/* SPDX-License-Identifier: MIT
 * What decides the bits of a session, in one digest. */
#ifndef RUN_FINGERPRINT_H
#define RUN_FINGERPRINT_H

#include "run/engine.h"

/* The same for two engines only if the state of one can be used in the other: the same model by its
 * metadata, tensors, sizes of files and a sample of each weight; the same backend and level of
 * instructions, types of caches, rotary embedding, layout of the state. Reads some KiB of each
 * weight from the mapped file. */
struct digest fingerprint_make(const struct weir_engine *engine);

#endif
