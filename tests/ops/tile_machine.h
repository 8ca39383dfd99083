/* SPDX-License-Identifier: MIT
 * The tiles of AMX as Intel's manual defines them (Intel 64 and IA-32 Architectures Software
 * Developer's Manual, volume 2, the pages of the instructions; volume 1, chapter 18): what a thread
 * has of them and what each instruction does to it. Knows nothing of src/cpu/kernels/tile.h, which
 * it is there to test, and nothing of signals. */
#ifndef TESTS_OPS_TILE_MACHINE_H
#define TESTS_OPS_TILE_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cpu.h"

enum { MACHINE_TILES = 8, MACHINE_ROWS = 16, MACHINE_ROW_BYTES = 64, GENERAL_REGISTERS = 16 };

/* Zeros: no tiles are configured. */
struct tile_machine {
    struct cpu_tile_config config; /* as STTILECFG writes it */
    uint8_t tile[MACHINE_TILES][MACHINE_ROWS][MACHINE_ROW_BYTES];
};

/* What became of an instruction. */
struct tile_step {
    const char *name;  /* NULL: it is none of AMX */
    const char *fault; /* the exception that it raises, and why; NULL: it was carried out */
    uint32_t bytes;    /* of the instruction */
};

/* Carries out the instruction at `code`, where `general` are rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi
 * and r8 to r15. What lies at an address that the process does not have is a fault of this
 * function's, as it would be of the instruction. The processor has CPU_FMA. */
struct tile_step tile_machine_run(struct tile_machine *machine, const uint8_t *code,
                                  const uint64_t general[GENERAL_REGISTERS]);

#endif
