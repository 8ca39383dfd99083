/* SPDX-License-Identifier: MIT
 * NaN in all memory of a sequence's place that no rule says to be read again. A kernel that reads
 * there after all can no longer give the right bits. For backends that compute in the host's
 * memory. */
#ifndef TESTS_GOLDEN_POISON_H
#define TESTS_GOLDEN_POISON_H

#include "run/engine.h"

/* Of an open session: caches behind its position and behind `kept`, which a checkpoint may return
 * to; rows of rings that no position from its mark on reaches, records that are not pending. */
void poison_session(const struct weir_session *session, uint32_t kept);

/* Places that no session has: everything. */
void poison_free(const struct weir_engine *engine);

#endif
