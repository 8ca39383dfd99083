/* SPDX-License-Identifier: MIT
 * The handler of SIGILL that stands for the tiles. Knows Linux and what it saves of registers; what
 * an instruction means, tile_machine.c alone does. */
#include "ops/tile_traps.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>

#include "ops/tile_machine.h"

/* The thread sanitizer calls handlers when it thinks best. With that of addresses all this takes
 * 15 s more, and there the level `emulated` has each access looked at. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED
#elif defined(__has_feature) /* clang's way to tell */
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define IS_SANITIZED
#endif
#endif
#if defined(__x86_64__) && defined(__linux__) && !defined(IS_SANITIZED)

enum { NAMES = 16, FAULT_BYTES = 128 };

static _Thread_local struct {
    struct tile_machine machine;
    struct {
        const char *name;
        uint64_t count;
    } done[NAMES]; /* in the order of their first time */
    struct tile_step invalid;
    uint64_t invalid_at;
    char line[FAULT_BYTES];
} own;

/* Where the system saves the registers, in the order of their numbers. */
static const int saved[GENERAL_REGISTERS] = {
    REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
    REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
};

static void count(const char *name)
{
    uint32_t i = 0;
    while (i < NAMES - 1 && own.done[i].name != NULL && own.done[i].name != name)
        i++;
    own.done[i].name = name;
    own.done[i].count++;
}

/* The arithmetic of the handler touches no register of the program's: the system has saved all. */
static void on_illegal(int number, siginfo_t *info, void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    uint64_t general[GENERAL_REGISTERS];
    (void)info;
    for (uint32_t i = 0; i < GENERAL_REGISTERS; i++)
        general[i] = (uint64_t)registers[saved[i]];
    const uint64_t at = (uint64_t)registers[REG_RIP];
    const struct tile_step step =
        tile_machine_run(&own.machine, (const uint8_t *)(uintptr_t)at, general);
    if (step.name == NULL) {
        signal(number, SIG_DFL); /* it comes again, and ends the program as it should */
        return;
    }
    if (step.fault != NULL && own.invalid.fault == NULL) {
        own.invalid = step;
        own.invalid_at = at;
    }
    count(step.name);
    registers[REG_RIP] += step.bytes;
}

bool tile_traps_open(void)
{
    struct sigaction action = {.sa_sigaction = on_illegal, .sa_flags = SA_SIGINFO};
    const uint32_t features = cpu_features();
    if ((features & CPU_FMA) == 0 || (features & (CPU_AMX_BF16 | CPU_AMX_INT8)) != 0)
        return false;
    sigemptyset(&action.sa_mask);
    return sigaction(SIGILL, &action, NULL) == 0;
}

const char *tile_traps_fault(void)
{
    if (own.invalid.fault == NULL)
        return NULL;
    snprintf(own.line, sizeof own.line, "%s at %#llx: %s", own.invalid.name,
             (unsigned long long)own.invalid_at, own.invalid.fault);
    own.invalid.fault = NULL;
    return own.line;
}

uint64_t tile_traps_count(const char *name)
{
    for (uint32_t i = 0; i < NAMES && own.done[i].name != NULL; i++) {
        if (strcmp(own.done[i].name, name) == 0)
            return own.done[i].count;
    }
    return 0;
}

#else

bool tile_traps_open(void)
{
    return false;
}

const char *tile_traps_fault(void)
{
    return NULL;
}

uint64_t tile_traps_count(const char *name)
{
    (void)name;
    return 0;
}

#endif
