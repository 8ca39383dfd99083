/* SPDX-License-Identifier: MIT
 * What stands for AMX in the tests, on cases that were computed by hand from Intel's manual;
 * encodings are GNU as's. Run alone: build/tests/weir-test tiles_ */
#include <math.h>
#include <pthread.h>
#include <string.h>

#include "ops/kernel_trial.h"
#include "ops/tile_machine.h"
#include "ops/tile_traps.h"
#include "test.h"

#if defined(__x86_64__)
#include <immintrin.h>

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15, NO = -1 };
enum { PITCH = 96, CODE_BYTES = 16 };

static void skip_without_fma(void)
{
    if ((cpu_features() & CPU_FMA) == 0)
        test_skip("this processor has no FMA");
}

static const char *text_of(const char *fault)
{
    return fault == NULL ? "no fault" : fault;
}

/* ---- a machine and its instructions ---------------------------------------------------------- */

/* Registers that no address is made of. */
static void fill_general(uint64_t general[GENERAL_REGISTERS])
{
    for (uint64_t i = 0; i < GENERAL_REGISTERS; i++)
        general[i] = 0xdead000000000000 + i;
}

/* Runs what must be valid. */
static void run(struct tile_machine *machine, const char *code, const void *rdi, uint64_t rcx)
{
    uint64_t general[GENERAL_REGISTERS];
    fill_general(general);
    general[RDI] = (uint64_t)(uintptr_t)rdi;
    general[RCX] = rcx;
    const struct tile_step step = tile_machine_run(machine, (const uint8_t *)code, general);
    CHECK(step.name != NULL);
    CHECK_TEXT(text_of(step.fault), "no fault");
}

#define LDTILECFG_RDI "\xc4\xe2\x78\x49\x07"
#define STTILECFG_RDI "\xc4\xe2\x79\x49\x07"
#define TILERELEASE   "\xc4\xe2\x78\x49\xc0"
#define TILEZERO_3    "\xc4\xe2\x7b\x49\xd8"
/* tileloadd (%rdi,%rcx,1) to tiles 1 to 3, tilestored of 1 to the same */
#define LOAD_1  "\xc4\xe2\x7b\x4b\x0c\x0f"
#define LOAD_2  "\xc4\xe2\x7b\x4b\x14\x0f"
#define LOAD_3  "\xc4\xe2\x7b\x4b\x1c\x0f"
#define STORE_1 "\xc4\xe2\x7a\x4b\x0c\x0f"
/* of tiles 2 and 3, to tile 1 */
#define TDPBF16PS "\xc4\xe2\x62\x5c\xca"
#define TDPBSSD   "\xc4\xe2\x63\x5e\xca"
#define TDPBSUD   "\xc4\xe2\x62\x5e\xca"
#define TDPBUSD   "\xc4\xe2\x61\x5e\xca"
#define TDPBUUD   "\xc4\xe2\x60\x5e\xca"

struct shape {
    uint8_t rows, row_bytes;
};

static void configure(struct tile_machine *machine, struct shape one, struct shape two,
                      struct shape three)
{
    struct cpu_tile_config config = {
        .palette = 1,
        .row_bytes = {0, one.row_bytes, two.row_bytes, three.row_bytes},
        .rows = {0, one.rows, two.rows, three.rows},
    };
    memset(machine, 0, sizeof *machine);
    run(machine, LDTILECFG_RDI, &config, 0);
}

/* ---- addresses ------------------------------------------------------------------------------- */

static const struct {
    const char *text;
    uint8_t code[CODE_BYTES];
    uint32_t bytes, tile;
    int base, index;
    uint64_t scale;
    int64_t displacement;
} loads[] = {
    {"(%rdi)", "\xc4\xe2\x7b\x4b\x0c\x27", 6, 1, RDI, NO, 0, 0},
    {"(%rax,%rcx,1)", "\xc4\xe2\x7b\x4b\x04\x08", 6, 0, RAX, RCX, 1, 0},
    {"(%r8,%r9,4)", "\xc4\x82\x7b\x4b\x2c\x88", 6, 5, R8, R9, 4, 0},
    {"(%rbp,%r12,1)", "\xc4\xa2\x7b\x4b\x6c\x25\x00", 7, 5, RBP, R12, 1, 0},
    {"(%r12,%rbp,8)", "\xc4\xc2\x7b\x4b\x34\xec", 6, 6, R12, RBP, 8, 0},
    {"(%r13,%rdx,2)", "\xc4\xc2\x7b\x4b\x74\x55\x00", 7, 6, R13, RDX, 2, 0},
    {"-0x40(%rsp,%r15,1)", "\xc4\xa2\x7b\x4b\x7c\x3c\xc0", 7, 7, RSP, R15, 1, -0x40},
    {"0x1000(%rsp)", "\xc4\xe2\x7b\x4b\xbc\x24\x00\x10\x00\x00", 10, 7, RSP, NO, 0, 0x1000},
    {"T1 -0x12345678(%rsi,%rdx,4)", "\xc4\xe2\x79\x4b\xa4\x96\x88\xa9\xcb\xed", 10, 4, RSI, RDX, 4,
     -0x12345678},
};

/* Base, index, scale and displacement of each way to say where rows are. */
TEST(tiles_addresses)
{
    uint8_t memory[2][PITCH];
    skip_without_fma();
    for (uint32_t i = 0; i < sizeof memory; i++)
        memory[i / PITCH][i % PITCH] = (uint8_t)(i + 1);
    for (uint32_t i = 0; i < sizeof loads / sizeof loads[0]; i++) {
        struct cpu_tile_config config = {.palette = 1};
        struct tile_machine machine = {0};
        uint64_t general[GENERAL_REGISTERS];
        config.rows[loads[i].tile] = 2;
        config.row_bytes[loads[i].tile] = 3;
        run(&machine, LDTILECFG_RDI, &config, 0);
        fill_general(general);
        general[loads[i].base] = (uint64_t)(uintptr_t)memory - (uint64_t)loads[i].displacement;
        if (loads[i].index != NO)
            general[loads[i].index] = PITCH / loads[i].scale;
        const struct tile_step step = tile_machine_run(&machine, loads[i].code, general);
        const uint8_t *second = loads[i].index == NO ? memory[0] : memory[1];
        if (step.fault != NULL || step.bytes != loads[i].bytes ||
            memcmp(machine.tile[loads[i].tile][0], memory[0], 3) != 0 ||
            memcmp(machine.tile[loads[i].tile][1], second, 3) != 0)
            test_fail(__FILE__, __LINE__, "TILELOADD %s is not decoded so", loads[i].text);
    }
}

/* Of no base register, 0x1000(,%rbx,2), rows lie in the first 2 GiB, where there is nothing: so
 * none is loaded, since all were before. */
TEST(tiles_address_without_a_base)
{
    struct tile_machine machine;
    uint64_t general[GENERAL_REGISTERS];
    skip_without_fma();
    configure(&machine, (struct shape){2, 4}, (struct shape){2, 4}, (struct shape){2, 4});
    machine.config.start_row = 2;
    fill_general(general);
    const struct tile_step step = tile_machine_run(
        &machine, (const uint8_t *)"\xc4\xe2\x7b\x4b\x14\x5d\x00\x10\x00\x00", general);
    CHECK_TEXT(step.name, "TILELOADD");
    CHECK_TEXT(text_of(step.fault), "no fault");
    CHECK_INT(step.bytes, 10);
    CHECK_INT(machine.config.start_row, 0);
}

/* ldtilecfg 0x40(%rip) counts from behind itself; sttilecfg (%rcx,%rdx,2) adds up. */
TEST(tiles_addresses_of_configurations)
{
    enum { BYTES = 9, AWAY = 0x40 };
    const struct cpu_tile_config config = {.palette = 1, .row_bytes = {[5] = 8}, .rows = {[5] = 8}};
    uint8_t text[BYTES + AWAY + sizeof config] = "\xc4\xe2\x78\x49\x05\x40";
    struct cpu_tile_config back;
    struct tile_machine machine = {0};
    uint64_t general[GENERAL_REGISTERS];
    skip_without_fma();
    memcpy(text + BYTES + AWAY, &config, sizeof config);
    fill_general(general);
    struct tile_step step = tile_machine_run(&machine, text, general);
    CHECK_TEXT(text_of(step.fault), "no fault");
    CHECK_INT(step.bytes, BYTES);
    general[RCX] = (uint64_t)(uintptr_t)&back - 34;
    general[RDX] = 17;
    step = tile_machine_run(&machine, (const uint8_t *)"\xc4\xe2\x79\x49\x04\x51", general);
    CHECK_TEXT(text_of(step.fault), "no fault");
    CHECK(memcmp(&back, &config, sizeof back) == 0);
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* What a tile does not have of its register is 0 behind a load, and stays as it was in memory
 * behind a store. */
TEST(tiles_rows_of_a_part)
{
    const struct shape part = {3, 5};
    uint8_t from[16][8], to[16][8];
    struct tile_machine machine;
    skip_without_fma();
    configure(&machine, part, part, part);
    memset(from, 7, sizeof from);
    memset(to, 9, sizeof to);
    memset(machine.tile[1], 1, sizeof machine.tile[1]);
    run(&machine, LOAD_1, from, sizeof from[0]);
    run(&machine, STORE_1, to, sizeof to[0]);
    for (uint32_t i = 0; i < 16 * 64; i++)
        CHECK_INT(machine.tile[1][i / 64][i % 64], i / 64 < 3 && i % 64 < 5 ? 7 : 0);
    for (uint32_t i = 0; i < 16 * 8; i++)
        CHECK_INT(to[i / 8][i % 8], i / 8 < 3 && i % 8 < 5 ? 7 : 9);
}

/* A load that was interrupted goes on at the row that it had come to. */
TEST(tiles_rows_from_the_start_row)
{
    const struct shape part = {3, 4};
    const uint8_t from[3][4] = {{1, 1, 1, 1}, {2, 2, 2, 2}, {3, 3, 3, 3}};
    struct tile_machine machine;
    skip_without_fma();
    configure(&machine, part, part, part);
    machine.config.start_row = 2;
    run(&machine, LOAD_1, from, sizeof from[0]);
    CHECK_INT(machine.tile[1][1][0], 0);
    CHECK_INT(machine.tile[1][2][0], 3);
    CHECK_INT(machine.config.start_row, 0);
}

TEST(tiles_zero_and_release)
{
    const struct shape part = {3, 4};
    struct tile_machine machine;
    struct cpu_tile_config back;
    uint8_t zeros[sizeof back] = {0};
    skip_without_fma();
    configure(&machine, part, part, part);
    memset(machine.tile, 1, sizeof machine.tile);
    run(&machine, TILEZERO_3, NULL, 0);
    for (uint32_t i = 0; i < 16 * 64; i++)
        CHECK(machine.tile[3][i / 64][i % 64] == 0 && machine.tile[2][i / 64][i % 64] == 1);
    run(&machine, TILERELEASE, NULL, 0);
    CHECK_INT(machine.tile[2][0][0], 0);
    run(&machine, STTILECFG_RDI, &back, 0);
    CHECK(memcmp(&back, zeros, sizeof back) == 0);
}

/* ---- products -------------------------------------------------------------------------------- */

/* One row of four bytes with one column of them, by each pair of signs. */
TEST(tiles_products_of_bytes)
{
    static const uint8_t left[] = {255, 2, 128, 127}, right[] = {200, 3, 255, 1};
    static const struct {
        const char *code;
        int32_t sum;
    } products[] = {
        {TDPBSSD, -1 * -56 + 2 * 3 + -128 * -1 + 127 * 1},
        {TDPBSUD, -1 * 200 + 2 * 3 + -128 * 255 + 127 * 1},
        {TDPBUSD, 255 * -56 + 2 * 3 + 128 * -1 + 127 * 1},
        {TDPBUUD, 255 * 200 + 2 * 3 + 128 * 255 + 127 * 1},
    };
    const struct shape one = {1, 4};
    skip_without_fma();
    for (uint32_t i = 0; i < sizeof products / sizeof products[0]; i++) {
        struct tile_machine machine;
        const int32_t before = 1000;
        int32_t sum = 0;
        configure(&machine, one, one, one);
        run(&machine, LOAD_1, &before, 4);
        run(&machine, LOAD_2, left, 4);
        run(&machine, LOAD_3, right, 4);
        run(&machine, products[i].code, NULL, 0);
        run(&machine, STORE_1, &sum, 4);
        CHECK_INT(sum, before + products[i].sum);
    }
}

/* Two rows of A of eight bytes, three columns of B: c[m][n] = the sum of a[m][k] b[k][n]; and sums
 * do not saturate. */
TEST(tiles_products_of_bytes_by_place)
{
    const int8_t a[2][8] = {{1, 0, 0, 0, 0, 0, 0, 10}, {0, 0, 2, 0, 1, 0, 0, 0}};
    uint8_t b[2][12]; /* b[k][n] at b[k / 4][4 n + k mod 4] */
    int32_t c[2][3] = {{INT32_MAX, 0, 0}, {0, 0, 0}};
    struct tile_machine machine;
    skip_without_fma();
    for (uint8_t i = 0; i < 24; i++)
        b[i / 12][i % 12] = i;
    configure(&machine, (struct shape){2, 12}, (struct shape){2, 8}, (struct shape){2, 12});
    run(&machine, LOAD_1, c, sizeof c[0]);
    run(&machine, LOAD_2, a, sizeof a[0]);
    run(&machine, LOAD_3, b, sizeof b[0]);
    run(&machine, TDPBSUD, NULL, 0);
    run(&machine, STORE_1, c, sizeof c[0]);
    CHECK_INT(c[0][0], INT32_MIN + 149); /* 2^31 - 1 + 0 + 10 * 15 */
    CHECK_INT(c[0][1], 4 + 10 * 19);
    CHECK_INT(c[0][2], 8 + 10 * 23);
    CHECK_INT(c[1][0], 2 * 2 + 12);
    CHECK_INT(c[1][1], 2 * 6 + 16);
    CHECK_INT(c[1][2], 2 * 10 + 20);
}

/* A sum of up to two pairs of BF16 and what was there before, all by their bits. */
static const struct {
    const char *what;
    uint16_t left[4], right[4];
    uint32_t before, after;
} dots[] = {
    /* 10 + 1 * 2 + 3 * 4 + 5 * 6 + 7 * 8 = 110 */
    {"whole numbers",
     {0x3f80, 0x4040, 0x40a0, 0x40e0},
     {0x4000, 0x4080, 0x40c0, 0x4100},
     0x41200000,
     0x42dc0000},
    /* 2^24 and 1 + 1: the odd ones have a sum of their own, else 1 would be lost twice */
    {"two sums", {0x4b80, 0x3f80, 0, 0x3f80}, {0x3f80, 0x3f80, 0, 0x3f80}, 0, 0x4b800001},
    /* 2^24 + 2 + 1 is halfway, and 2^24 + 4 is even; what was there comes last */
    {"even", {0x4b80, 0x3f80, 0, 0x3f80}, {0x3f80, 0x3f80, 0, 0x3f80}, 0x3f800000, 0x4b800002},
    /* -2^127 + 2^127 * 2: the product alone is beyond F32 */
    {"rounded once", {0xff00, 0, 0x7f00, 0}, {0x3f80, 0, 0x4000, 0}, 0, 0x7f000000},
    /* 2^-133 * 2^127 */
    {"denormal operand", {0x0001, 0, 0, 0}, {0x7f00, 0, 0, 0}, 0, 0},
    /* 2^-126 / 2 */
    {"denormal product", {0x0080, 0, 0, 0}, {0x3f00, 0, 0, 0}, 0, 0},
    {"denormal sum", {0, 0, 0, 0}, {0, 0, 0, 0}, 0x00400000, 0},
    /* 2^-126 - 1.5 * 2^-126, of normal numbers: 0 with its sign */
    {"denormal behind", {0x80c0, 0, 0, 0}, {0x3f80, 0, 0, 0}, 0x00800000, 0x80000000},
    {"infinity", {0x7f80, 0, 0, 0}, {0xbf80, 0, 0, 0}, 0x3f800000, 0xff800000},
    /* what the processor makes of infinity times 0: the quiet NaN with its sign */
    {"invalid", {0x7f80, 0, 0, 0}, {0, 0, 0, 0}, 0x3f800000, 0xffc00000},
};

TEST(tiles_products_of_bf16)
{
    enum { UPWARDS_UNMASKED_NOT = 0x5f80 };
    skip_without_fma();
    for (uint32_t i = 0; i < sizeof dots / sizeof dots[0]; i++) {
        const uint32_t before = _mm_getcsr();
        struct tile_machine machine;
        uint32_t sum = 0;
        configure(&machine, (struct shape){1, 4}, (struct shape){1, 8}, (struct shape){2, 4});
        run(&machine, LOAD_1, &dots[i].before, 4);
        run(&machine, LOAD_2, dots[i].left, 8);
        run(&machine, LOAD_3, dots[i].right, 4);
        _mm_setcsr(UPWARDS_UNMASKED_NOT); /* is neither asked nor changed */
        run(&machine, TDPBF16PS, NULL, 0);
        const uint32_t behind = _mm_getcsr();
        _mm_setcsr(before);
        run(&machine, STORE_1, &sum, 4);
        CHECK_INT(behind, UPWARDS_UNMASKED_NOT);
        if (sum != dots[i].after)
            test_fail(__FILE__, __LINE__, "%s: %08x, expected %08x", dots[i].what, sum,
                      dots[i].after);
    }
}

/* ---- what is not valid ----------------------------------------------------------------------- */

static const struct {
    const char *fault;
    struct cpu_tile_config config;
} configs[] = {
    {"no fault", {.palette = 0, .rows = {255}}},
    {"#GP: no such palette", {.palette = 2}},
    {"#GP: reserved bytes of the configuration are not 0", {.palette = 1, .reserved = {[13] = 1}}},
    {"#GP: reserved bytes of the configuration are not 0",
     {.palette = 1, .row_bytes = {[8] = 64}, .rows = {[8] = 16}}},
    {"#GP: a tile is too large", {.palette = 1, .row_bytes = {64}, .rows = {17}}},
    {"#GP: a tile is too large", {.palette = 1, .row_bytes = {65}, .rows = {16}}},
    {"#GP: a tile has rows without bytes or bytes without rows", {.palette = 1, .rows = {16}}},
    {"#GP: a tile has rows without bytes or bytes without rows", {.palette = 1, .row_bytes = {4}}},
};

TEST(tiles_configurations_that_are_refused)
{
    const struct shape some = {2, 4};
    skip_without_fma();
    for (uint32_t i = 0; i < sizeof configs / sizeof configs[0]; i++) {
        struct tile_machine machine, before;
        uint64_t general[GENERAL_REGISTERS];
        configure(&machine, some, some, some);
        before = machine;
        fill_general(general);
        general[RDI] = (uint64_t)(uintptr_t)&configs[i].config;
        const struct tile_step step =
            tile_machine_run(&machine, (const uint8_t *)LDTILECFG_RDI, general);
        CHECK_TEXT(text_of(step.fault), configs[i].fault);
        CHECK(step.fault == NULL || memcmp(&machine, &before, sizeof machine) == 0);
        CHECK(step.fault != NULL || machine.config.palette == 0);
    }
}

/* Of a product: the shapes of C, A and B, then its fault. */
static const struct {
    struct shape c, a, b;
    const char *fault;
} shapes[] = {
    {{16, 64}, {16, 64}, {16, 64}, "no fault"},
    {{3, 8}, {3, 20}, {5, 8}, "no fault"},
    {{3, 8}, {4, 20}, {5, 8}, "#UD: the shapes do not fit"},
    {{3, 8}, {3, 16}, {5, 8}, "#UD: the shapes do not fit"},
    {{3, 8}, {3, 20}, {5, 12}, "#UD: the shapes do not fit"},
    {{3, 8}, {3, 22}, {5, 8}, "#UD: rows of a tile are no multiple of 4 bytes"},
    {{0, 0}, {3, 20}, {5, 8}, "#UD: a tile is not configured"},
    {{3, 8}, {0, 0}, {5, 8}, "#UD: a tile is not configured"},
    {{3, 8}, {3, 20}, {0, 0}, "#UD: a tile is not configured"},
};

TEST(tiles_shapes_that_do_not_fit)
{
    static const char *const products[] = {TDPBF16PS, TDPBSSD, TDPBSUD, TDPBUSD, TDPBUUD};
    uint64_t general[GENERAL_REGISTERS];
    skip_without_fma();
    fill_general(general);
    for (uint32_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        for (uint32_t product = 0; product < 5; product++) {
            struct tile_machine machine;
            configure(&machine, shapes[i].c, shapes[i].a, shapes[i].b);
            const struct tile_step step =
                tile_machine_run(&machine, (const uint8_t *)products[product], general);
            CHECK_TEXT(text_of(step.fault), shapes[i].fault);
        }
    }
}

/* Encodings, where tiles 1 to 3 are configured; NULL: no instruction of AMX. */
static const struct {
    const char *code, *fault;
} encodings[] = {
    {"\xc4\xe2\xe2\x5c\xca", "#UD: VEX.W or VEX.L is not 0"},             /* W */
    {"\xc4\xe2\x66\x5c\xca", "#UD: VEX.W or VEX.L is not 0"},             /* L */
    {"\xc4\xe2\x6a\x5c\xca", "#UD: a tile has two parts in the product"}, /* 1, 2, 2 */
    {"\xc4\xe2\x62\x5c\xc9", "#UD: a tile has two parts in the product"}, /* 1, 1, 3 */
    {"\xc4\xe2\x72\x5c\xca", "#UD: a tile has two parts in the product"}, /* 1, 2, 1 */
    {"\xc4\x62\x62\x5c\xca", "#UD: no such tile"},                        /* R */
    {"\xc4\xc2\x62\x5c\xca", "#UD: no such tile"},                        /* B */
    {"\xc4\xe2\x22\x5c\xca", "#UD: no such tile"},                        /* vvvv */
    {"\xc4\xe2\x7b\x49\xc0", "#UD: the tile is not configured"},          /* tilezero 0 */
    {"\xc4\xe2\x7b\x49\xd9", "#UD: ModRM.rm is not 000"},                 /* tilezero */
    {"\xc4\xe2\x73\x49\xd8", "#UD: VEX.vvvv is not 1111"},                /* tilezero */
    {"\xc4\xe2\x78\x49\xc8", "#UD: ModRM.reg is not 000"},                /* tilerelease */
    {"\xc4\xe2\x78\x49\x0f", "#UD: ModRM.reg is not 000"},                /* ldtilecfg */
    {"\xc4\xe2\x7b\x4b\x0f", "#UD: rows without a SIB byte"},             /* tileloadd */
    {"\xc4\xe2\x7b\x4b\x04\x0f", "#UD: the tile is not configured"},      /* tileloadd 0 */
    {"\xc4\xe2\x7a\x4b\x04\x0f", "#UD: the tile is not configured"},      /* tilestored 0 */
    {"\xc4\xe2\x63\x5c\xca", NULL},
    {"\xc4\xe2\x7a\x49\xd8", NULL},
    {"\xc4\xe2\x78\x4b\x0c\x0f", NULL},
    {"\xc4\xe3\x62\x5c\xca", NULL},
    {"\x0f\x0b", NULL},
    {"\xc5\xf8\x77", NULL},
};

TEST(tiles_encodings_that_are_refused)
{
    const struct shape some = {4, 16};
    skip_without_fma();
    for (uint32_t i = 0; i < sizeof encodings / sizeof encodings[0]; i++) {
        struct tile_machine machine, before;
        uint64_t general[GENERAL_REGISTERS];
        configure(&machine, some, some, some);
        before = machine;
        fill_general(general);
        const struct tile_step step =
            tile_machine_run(&machine, (const uint8_t *)encodings[i].code, general);
        CHECK((step.name == NULL) == (encodings[i].fault == NULL));
        CHECK(memcmp(&machine, &before, sizeof machine) == 0);
        if (encodings[i].fault != NULL)
            CHECK_TEXT(text_of(step.fault), encodings[i].fault);
    }
}

/* ---- traps ----------------------------------------------------------------------------------- */

static void skip_without_traps(void)
{
    if (!tile_traps_open())
        test_skip("this processor has tiles, or their instructions cannot be trapped");
}

/* Of two that are invalid the first is told, once, and the thread goes on. */
TEST(tiles_traps_tell_what_is_invalid)
{
    skip_without_traps();
    __asm__ volatile(".byte 0xc4, 0xe2, 0x78, 0x49, 0xc0"); /* tilerelease */
    CHECK(tile_traps_fault() == NULL);
    __asm__ volatile(".byte 0xc4, 0xe2, 0x7b, 0x49, 0xd8"); /* tilezero %tmm3 */
    __asm__ volatile(".byte 0xc4, 0xe2, 0x62, 0x5c, 0xca"); /* tdpbf16ps */
    const char *fault = tile_traps_fault();
    CHECK(fault != NULL && strncmp(fault, "TILEZERO at 0x", 14) == 0);
    CHECK(strstr(fault, "#UD: the tile is not configured") != NULL);
    CHECK(tile_traps_fault() == NULL);
}

static void *configuration_of(void *config)
{
    __asm__ volatile(".byte 0xc4, 0xe2, 0x79, 0x49, 0x07" ::"D"(config) : "memory");
    return NULL;
}

/* Each thread has tiles of its own. */
TEST(tiles_traps_by_thread)
{
    struct cpu_tile_config config = {.palette = 1, .row_bytes = {64}, .rows = {16}}, mine, other;
    pthread_t thread;
    skip_without_traps();
    __asm__ volatile(".byte 0xc4, 0xe2, 0x78, 0x49, 0x07" ::"D"(&config), "m"(config));
    CHECK_INT(pthread_create(&thread, NULL, configuration_of, &other), 0);
    CHECK_INT(pthread_join(thread, NULL), 0);
    configuration_of(&mine);
    __asm__ volatile(".byte 0xc4, 0xe2, 0x78, 0x49, 0xc0"); /* tilerelease */
    CHECK_INT(mine.palette, 1);
    CHECK_INT(mine.rows[0], 16);
    CHECK_INT(other.palette, 0);
    CHECK(tile_traps_fault() == NULL);
}

static const struct kernel_case *case_named(enum op_kind kind, const char *name)
{
    uint32_t i = 0;
    while (i < kernel_cases_count &&
           (kernel_cases[i].kind != kind || strcmp(kernel_cases[i].name, name) != 0))
        i++;
    CHECK(i < kernel_cases_count);
    return &kernel_cases[i];
}

/* A comparison that never came to the tiles would pass. Of 256 columns, 70 rows with 67 take 3
 * times 3 times 8 rounds of four products; the case is run several times. */
TEST(tiles_traps_carry_out_the_level)
{
    enum { PRODUCTS = 3 * 3 * 8 * 4 };
    const struct kernels *kernels;
    enum level_presence presence;
    struct trial_result result;
    kernels = trial_level(0, &presence);
    if (presence != LEVEL_TRAPPED)
        test_skip("this processor lacks more than tiles, or nothing");
    CHECK_TEXT(kernels->level, "amx");
    const uint64_t floats = tile_traps_count("TDPBF16PS"), bytes = tile_traps_count("TDPBSUD");
    struct trial *many =
        trial_open(case_named(OP_MATMUL, "many rows"), DTYPE_Q8_0, test_seed(), false);
    trial_check(many, kernels, &result);
    trial_close(many);
    CHECK(tile_traps_count("TDPBF16PS") >= floats + PRODUCTS);
    CHECK_INT(tile_traps_count("TDPBSUD"), bytes);
    struct trial *few =
        trial_open(case_named(OP_MATMUL, "4B down"), DTYPE_Q8_0, test_seed(), false);
    trial_check(few, kernels, &result);
    trial_close(few);
    CHECK(tile_traps_count("TDPBSUD") > bytes);
}

#endif
