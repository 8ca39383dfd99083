/* SPDX-License-Identifier: MIT
 * Lets the object code of the level `amx` run on x86-64 processors without AMX: its instructions
 * trap there, and tile_machine.c carries them out, thread by thread. */
#ifndef TESTS_OPS_TILE_TRAPS_H
#define TESTS_OPS_TILE_TRAPS_H

#include <stdbool.h>
#include <stdint.h>

/* From now on they are carried out, in this process. False where that cannot be, and on processors
 * that have some of AMX: there the system decides. Any number of calls. */
bool tile_traps_open(void);

/* What the calling thread's first invalid instruction since the last call was, as a line; NULL:
 * there was none. An invalid instruction does nothing else. */
const char *tile_traps_fault(void);

/* Instructions that the calling thread had carried out, by name, as "TDPBF16PS". */
uint64_t tile_traps_count(const char *name);

#endif
