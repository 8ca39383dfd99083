/* SPDX-License-Identifier: MIT
 * Decodes the instructions of AMX and carries them out: the operations are those of the manual's
 * pages, and have their names. Knows no kernel. */
#include "ops/tile_machine.h"

#include <stddef.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>

/* What an instruction works on, decoded. */
struct operands {
    uint32_t dest, source1, source2; /* tiles: ModRM.reg, ModRM.rm, VEX.vvvv */
    uint8_t *address;                /* of memory; of rows, the first of them */
    uint64_t stride;                 /* of rows */
};

/* NULL, or the exception. */
typedef const char *operation_fn(struct tile_machine *machine, const struct operands *at);

/* ---- what the manual calls helpers ----------------------------------------------------------- */

static bool is_valid(const struct tile_machine *machine, uint32_t tile)
{
    return machine->config.palette != 0 && machine->config.rows[tile] != 0;
}

static void write_row_and_zero(struct tile_machine *machine, uint32_t tile, uint32_t row,
                               const uint8_t *data, uint32_t bytes)
{
    memcpy(machine->tile[tile][row], data, bytes);
    memset(machine->tile[tile][row] + bytes, 0, MACHINE_ROW_BYTES - bytes);
}

static void zero_upper_rows(struct tile_machine *machine, uint32_t tile, uint32_t from)
{
    for (uint32_t row = from; row < MACHINE_ROWS; row++)
        memset(machine->tile[tile][row], 0, MACHINE_ROW_BYTES);
}

static void zero_tilecfg_start(struct tile_machine *machine)
{
    machine->config.start_row = 0;
}

/* ---- configuration --------------------------------------------------------------------------- */

static bool is_zero(const void *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (((const uint8_t *)bytes)[i] != 0)
            return false;
    }
    return true;
}

/* Of palette 1, the only one that there is. */
static const char *config_fault(const struct cpu_tile_config *config)
{
    if (config->palette > 1)
        return "#GP: no such palette";
    if (!is_zero(config->reserved, sizeof config->reserved) ||
        !is_zero(config->row_bytes + MACHINE_TILES, MACHINE_TILES * sizeof *config->row_bytes) ||
        !is_zero(config->rows + MACHINE_TILES, MACHINE_TILES * sizeof *config->rows))
        return "#GP: reserved bytes of the configuration are not 0";
    for (uint32_t i = 0; i < MACHINE_TILES; i++) {
        if (config->rows[i] > MACHINE_ROWS || config->row_bytes[i] > MACHINE_ROW_BYTES)
            return "#GP: a tile is too large";
        if ((config->rows[i] == 0) != (config->row_bytes[i] == 0))
            return "#GP: a tile has rows without bytes or bytes without rows";
    }
    return NULL;
}

static const char *load_config(struct tile_machine *machine, const struct operands *at)
{
    struct cpu_tile_config config;
    memcpy(&config, at->address, sizeof config);
    const char *fault = config.palette == 0 ? NULL : config_fault(&config);
    if (fault != NULL)
        return fault;
    memset(machine, 0, sizeof *machine);
    if (config.palette != 0)
        machine->config = config;
    return NULL;
}

static const char *store_config(struct tile_machine *machine, const struct operands *at)
{
    memcpy(at->address, &machine->config, sizeof machine->config);
    return NULL;
}

static const char *release(struct tile_machine *machine, const struct operands *at)
{
    (void)at;
    memset(machine, 0, sizeof *machine);
    return NULL;
}

/* ---- rows ------------------------------------------------------------------------------------ */

static const char *zero(struct tile_machine *machine, const struct operands *at)
{
    if (!is_valid(machine, at->dest))
        return "#UD: the tile is not configured";
    zero_upper_rows(machine, at->dest, 0);
    zero_tilecfg_start(machine);
    return NULL;
}

static const char *load_rows(struct tile_machine *machine, const struct operands *at)
{
    if (!is_valid(machine, at->dest))
        return "#UD: the tile is not configured";
    const uint32_t rows = machine->config.rows[at->dest];
    for (uint32_t row = machine->config.start_row; row < rows; row++)
        write_row_and_zero(machine, at->dest, row, at->address + row * at->stride,
                           machine->config.row_bytes[at->dest]);
    zero_upper_rows(machine, at->dest, rows);
    zero_tilecfg_start(machine);
    return NULL;
}

static const char *store_rows(struct tile_machine *machine, const struct operands *at)
{
    if (!is_valid(machine, at->dest))
        return "#UD: the tile is not configured";
    for (uint32_t row = machine->config.start_row; row < machine->config.rows[at->dest]; row++)
        memcpy(at->address + row * at->stride, machine->tile[at->dest][row],
               machine->config.row_bytes[at->dest]);
    zero_tilecfg_start(machine);
    return NULL;
}

/* ---- products -------------------------------------------------------------------------------- */

/* Exception class AMX-E4. */
static const char *product_fault(const struct tile_machine *machine, const struct operands *at)
{
    const uint8_t *rows = machine->config.rows;
    const uint16_t *bytes = machine->config.row_bytes;
    const uint32_t c = at->dest, a = at->source1, b = at->source2;
    if (c == a || c == b || a == b)
        return "#UD: a tile has two parts in the product";
    if (!is_valid(machine, c) || !is_valid(machine, a) || !is_valid(machine, b))
        return "#UD: a tile is not configured";
    if ((bytes[c] | bytes[a] | bytes[b]) % 4 != 0)
        return "#UD: rows of a tile are no multiple of 4 bytes";
    if (rows[c] != rows[a] || bytes[a] / 4 != rows[b] || bytes[b] != bytes[c])
        return "#UD: the shapes do not fit";
    return NULL;
}

typedef int32_t extend_fn(uint8_t byte);

static int32_t sign_extend(uint8_t byte)
{
    return (int8_t)byte;
}

static int32_t zero_extend(uint8_t byte)
{
    return byte;
}

/* What does not fit 32 bits is cut off. */
static inline __attribute__((always_inline)) const char *dot_bytes(struct tile_machine *machine,
                                                                   const struct operands *at,
                                                                   extend_fn *extend1,
                                                                   extend_fn *extend2)
{
    const char *fault = product_fault(machine, at);
    if (fault != NULL)
        return fault;
    const uint32_t bytes = machine->config.row_bytes[at->dest];
    for (uint32_t m = 0; m < machine->config.rows[at->dest]; m++) {
        uint32_t sums[MACHINE_ROW_BYTES / 4];
        memcpy(sums, machine->tile[at->dest][m], sizeof sums);
        for (uint32_t k = 0; k < machine->config.row_bytes[at->source1]; k++) {
            const int32_t left = extend1(machine->tile[at->source1][m][k]);
            const uint8_t *right = machine->tile[at->source2][k / 4];
            for (uint32_t n = 0; n < bytes / 4; n++)
                sums[n] += (uint32_t)(left * extend2(right[4 * n + k % 4]));
        }
        write_row_and_zero(machine, at->dest, m, (const uint8_t *)sums, bytes);
    }
    zero_upper_rows(machine, at->dest, machine->config.rows[at->dest]);
    zero_tilecfg_start(machine);
    return NULL;
}

static const char *tdpbssd(struct tile_machine *machine, const struct operands *at)
{
    return dot_bytes(machine, at, sign_extend, sign_extend);
}

static const char *tdpbsud(struct tile_machine *machine, const struct operands *at)
{
    return dot_bytes(machine, at, sign_extend, zero_extend);
}

static const char *tdpbusd(struct tile_machine *machine, const struct operands *at)
{
    return dot_bytes(machine, at, zero_extend, sign_extend);
}

static const char *tdpbuud(struct tile_machine *machine, const struct operands *at)
{
    return dot_bytes(machine, at, zero_extend, zero_extend);
}

static inline float make_fp32(uint16_t half)
{
    const uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* One row of the sums. The first and the second numbers of the pairs are summed apart. All of the
 * row is computed, as what lies behind its bytes is 0. A function of its own, that no arithmetic
 * leaves it for where denormals count. */
static __attribute__((noinline, target("avx2,fma"))) void dot_row(
    const uint16_t left[2 * MACHINE_ROWS], const uint8_t (*right)[MACHINE_ROW_BYTES],
    uint32_t pairs, float sums[MACHINE_ROWS])
{
    float temp[2][MACHINE_ROWS] = {{0}};
    for (uint32_t k = 0; k < pairs; k++) {
        const float first = make_fp32(left[2 * k]), second = make_fp32(left[2 * k + 1]);
        uint16_t row[MACHINE_ROWS][2];
        memcpy(row, right[k], sizeof row);
        for (uint32_t n = 0; n < MACHINE_ROWS; n++) {
            temp[0][n] = __builtin_fmaf(first, make_fp32(row[n][0]), temp[0][n]);
            temp[1][n] = __builtin_fmaf(second, make_fp32(row[n][1]), temp[1][n]);
        }
    }
    for (uint32_t n = 0; n < MACHINE_ROWS; n++)
        sums[n] += temp[0][n] + temp[1][n];
}

/* FMA in F32, rounded to the nearest, ties to even; denormals are 0 before and behind, whatever
 * MXCSR says, and nothing is raised. */
static const char *tdpbf16ps(struct tile_machine *machine, const struct operands *at)
{
    enum { FLUSHED_MASKED_NEAREST = 0x9fc0 }; /* FTZ, DAZ, six masks; volume 1, 10.2.3 */
    const char *fault = product_fault(machine, at);
    if (fault != NULL)
        return fault;
    const uint32_t before = _mm_getcsr();
    _mm_setcsr(FLUSHED_MASKED_NEAREST);
    for (uint32_t m = 0; m < machine->config.rows[at->dest]; m++) {
        uint16_t left[2 * MACHINE_ROWS];
        float sums[MACHINE_ROWS];
        memcpy(left, machine->tile[at->source1][m], sizeof left);
        memcpy(sums, machine->tile[at->dest][m], sizeof sums);
        dot_row(left, machine->tile[at->source2], machine->config.row_bytes[at->source1] / 4, sums);
        write_row_and_zero(machine, at->dest, m, (const uint8_t *)sums,
                           machine->config.row_bytes[at->dest]);
    }
    _mm_setcsr(before);
    zero_upper_rows(machine, at->dest, machine->config.rows[at->dest]);
    zero_tilecfg_start(machine);
    return NULL;
}

/* ---- the instructions ------------------------------------------------------------------------ */

enum prefix { PREFIX_NONE, PREFIX_66, PREFIX_F3, PREFIX_F2 }; /* VEX.pp */

enum form {
    FORM_CONFIG,  /* !(11):000:bbb, 64 bytes of memory */
    FORM_NOTHING, /* 11:000:000 */
    FORM_TILE,    /* 11:rrr:000 */
    FORM_ROWS,    /* !(11):rrr:100, of the SIB byte's index times its scale the stride */
    FORM_PRODUCT, /* 11:rrr:bbb, and VEX.vvvv */
};

static const struct instruction {
    const char *name;
    uint8_t opcode; /* of the map 0F38 */
    enum prefix prefix;
    enum form form;
    operation_fn *run;
} instructions[] = {
    {"LDTILECFG", 0x49, PREFIX_NONE, FORM_CONFIG, load_config},
    {"STTILECFG", 0x49, PREFIX_66, FORM_CONFIG, store_config},
    {"TILERELEASE", 0x49, PREFIX_NONE, FORM_NOTHING, release},
    {"TILEZERO", 0x49, PREFIX_F2, FORM_TILE, zero},
    {"TILELOADD", 0x4b, PREFIX_F2, FORM_ROWS, load_rows},
    {"TILELOADDT1", 0x4b, PREFIX_66, FORM_ROWS, load_rows},
    {"TILESTORED", 0x4b, PREFIX_F3, FORM_ROWS, store_rows},
    {"TDPBF16PS", 0x5c, PREFIX_F3, FORM_PRODUCT, tdpbf16ps},
    {"TDPBSSD", 0x5e, PREFIX_F2, FORM_PRODUCT, tdpbssd},
    {"TDPBSUD", 0x5e, PREFIX_F3, FORM_PRODUCT, tdpbsud},
    {"TDPBUSD", 0x5e, PREFIX_66, FORM_PRODUCT, tdpbusd},
    {"TDPBUUD", 0x5e, PREFIX_NONE, FORM_PRODUCT, tdpbuud},
};

static bool has_memory(enum form form)
{
    return form == FORM_CONFIG || form == FORM_ROWS;
}

/* ---- decoding -------------------------------------------------------------------------------- */

/* The bytes behind the opcode, with the bits that the VEX prefix adds. */
struct modrm {
    uint32_t mod, reg, rm;
    bool has_index, is_behind; /* a SIB byte; the address counts from the next instruction */
    uint64_t base, scaled;     /* displacement included; index times scale */
};

static const uint8_t *displacement(const uint8_t *at, uint32_t bytes, uint64_t *out)
{
    int8_t small;
    int32_t large;
    if (bytes == sizeof small) {
        memcpy(&small, at, sizeof small);
        *out += (uint64_t)(int64_t)small;
    } else if (bytes == sizeof large) {
        memcpy(&large, at, sizeof large);
        *out += (uint64_t)(int64_t)large;
    }
    return at + bytes;
}

/* ModRM, SIB and displacement (volume 2, tables 2-2 and 2-3, and 2.2.1 for 64 bits); returns what
 * lies behind. `vex` is the prefix's second byte: R, X and B, inverted. */
static const uint8_t *decode_modrm(const uint8_t *at, uint8_t vex, const uint64_t *general,
                                   struct modrm *out)
{
    enum { NO_INDEX = 4, NO_BASE = 5, HAS_SIB = 4, HAS_RIP = 5 };
    const uint32_t reg_more = ~vex >> 4 & 8, index_more = ~vex >> 3 & 8, rm_more = ~vex >> 2 & 8;
    *out = (struct modrm){*at >> 6, (*at >> 3 & 7) | reg_more, *at & 7};
    at++;
    if (out->mod == 3) {
        out->rm |= rm_more;
        return at;
    }
    uint32_t bytes = out->mod == 1 ? 1 : out->mod == 2 ? 4 : 0;
    if (out->rm == HAS_SIB) {
        const uint8_t sib = *at++;
        const uint32_t base = sib & 7, index = (sib >> 3 & 7) | index_more;
        out->has_index = true;
        if (index != NO_INDEX)
            out->scaled = general[index] << (sib >> 6);
        if (base == NO_BASE && out->mod == 0)
            bytes = 4;
        else
            out->base = general[base | rm_more];
    } else if (out->rm == HAS_RIP && out->mod == 0) {
        out->is_behind = true;
        bytes = 4;
    } else {
        out->base = general[out->rm | rm_more];
    }
    return displacement(at, bytes, &out->base);
}

static const struct instruction *instruction_of(uint8_t opcode, enum prefix prefix, bool is_memory)
{
    for (size_t i = 0; i < sizeof instructions / sizeof instructions[0]; i++) {
        const struct instruction *instruction = &instructions[i];
        if (instruction->opcode == opcode && instruction->prefix == prefix &&
            has_memory(instruction->form) == is_memory)
            return instruction;
    }
    return NULL;
}

/* What the instruction's encoding may not have, whatever the tiles hold. `last` is the prefix's
 * third byte: W, vvvv inverted, L and pp. */
static const char *encoding_fault(const struct instruction *instruction, uint8_t last,
                                  const struct modrm *modrm)
{
    const uint32_t vvvv = ~last >> 3 & 15;
    const bool is_product = instruction->form == FORM_PRODUCT;
    if ((last & 0x84) != 0)
        return "#UD: VEX.W or VEX.L is not 0";
    if (!is_product && vvvv != 0)
        return "#UD: VEX.vvvv is not 1111";
    if ((instruction->form == FORM_CONFIG || instruction->form == FORM_NOTHING) && modrm->reg != 0)
        return "#UD: ModRM.reg is not 000";
    if ((instruction->form == FORM_NOTHING || instruction->form == FORM_TILE) && modrm->rm != 0)
        return "#UD: ModRM.rm is not 000";
    if (instruction->form == FORM_ROWS && !modrm->has_index)
        return "#UD: rows without a SIB byte";
    if (modrm->reg >= MACHINE_TILES ||
        (is_product && (modrm->rm >= MACHINE_TILES || vvvv >= MACHINE_TILES)))
        return "#UD: no such tile";
    return NULL;
}

struct tile_step tile_machine_run(struct tile_machine *machine, const uint8_t *code,
                                  const uint64_t general[GENERAL_REGISTERS])
{
    enum { VEX_3 = 0xc4, MAP_0F38 = 2 };
    struct modrm modrm;
    if (code[0] != VEX_3 || (code[1] & 31) != MAP_0F38)
        return (struct tile_step){0};
    const struct instruction *instruction =
        instruction_of(code[3], (enum prefix)(code[2] & 3), code[4] >> 6 != 3);
    if (instruction == NULL)
        return (struct tile_step){0};
    const uint8_t *end = decode_modrm(code + 4, code[1], general, &modrm);
    struct tile_step step = {instruction->name, NULL, (uint32_t)(end - code)};
    const bool is_config = instruction->form == FORM_CONFIG;
    const uint64_t address = modrm.base + (modrm.is_behind ? (uint64_t)(uintptr_t)end : 0) +
                             (is_config ? modrm.scaled : 0);
    const struct operands at = {modrm.reg, modrm.rm, ~code[2] >> 3 & 15,
                                (uint8_t *)(uintptr_t)address, modrm.scaled};
    step.fault = encoding_fault(instruction, code[2], &modrm);
    if (step.fault == NULL)
        step.fault = instruction->run(machine, &at);
    return step;
}

#else

struct tile_step tile_machine_run(struct tile_machine *machine, const uint8_t *code,
                                  const uint64_t general[GENERAL_REGISTERS])
{
    (void)machine, (void)code, (void)general;
    return (struct tile_step){0};
}

#endif
