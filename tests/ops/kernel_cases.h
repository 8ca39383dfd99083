/* SPDX-License-Identifier: MIT
 * What kernels are tried on: for each kind of op the shapes of its operands, and a table of cases,
 * the only one. Knows no kernel. */
#ifndef TESTS_OPS_KERNEL_CASES_H
#define TESTS_OPS_KERNEL_CASES_H

#include "plan/plan.h"

/* ---- operands -------------------------------------------------------------------------------- */

/* Shapes, in the numbers of a case: G groups, W width, and A and B, whose meaning is the op's.
 * T is a row of the step. */
enum operand_shape {
    SHAPE_NONE,
    SHAPE_ROWS,        /* T rows of G groups of W */
    SHAPE_ROWS_FLAT,   /* T rows of G W */
    SHAPE_ROWS_INPUT,  /* T rows of G groups of W, or of one group for all experts */
    SHAPE_ROWS_A,      /* T rows of A */
    SHAPE_ROWS_A_OF_W, /* T rows of A groups of W */
    SHAPE_ROWS_A_OF_B, /* T rows of A groups of B */
    SHAPE_ROWS_G_OF_A, /* T rows of G groups of A */
    SHAPE_ROWS_G,      /* T rows of G */
    SHAPE_ROWS_ONE,    /* T rows of one number */
    SHAPE_ROWS_JOINED, /* T rows of G W + A */
    SHAPE_OUTS,        /* W for each row whose logits are wanted */
    SHAPE_ROUTING_A,   /* T rows of A numbers of experts */
    SHAPE_ROUTING_G,   /* T rows of G numbers of B experts */
    SHAPE_VECTOR,      /* a weight of W */
    SHAPE_VECTOR_FLAT, /* a weight of G W */
    SHAPE_NUMBER,      /* a weight of one number */
    SHAPE_MATRIX,      /* A rows of W, of the case's types */
    SHAPE_TAPS,        /* W rows of A */
    SHAPE_EXPERTS,     /* B matrices of A rows of W, of the case's types */
    SHAPE_SCALES,      /* B numbers, one for each expert */
    SHAPE_FREQUENCIES, /* A constants */
    SHAPE_STATE,       /* A B rows of W: A heads of B values, each over W keys */
    SHAPE_STATE_COPY,  /* the same for each sequence of the step */
    SHAPE_RING,        /* A - 1 rows of W, and some more to go back */
    SHAPE_RECORDS,     /* of such a state, for each of twice STEP_REWIND tokens */
    SHAPE_CACHE,       /* a row of G groups of W for each position, of the case's types */
    SHAPE_SUMS,        /* W sums and a count */
    SHAPE_EXPERT_SUMS, /* the same for each of B experts */
};

/* What an operand begins with. */
enum operand_fill {
    FILL_NORMAL,
    FILL_BYTES, /* multiples of a power of two from -127 to 127: 8 bits hold them exactly */
    FILL_DECAY, /* below 0 */
    FILL_SHARE, /* between 0 and 1 */
    FILL_KEYS,  /* groups of length 1 */
};

struct operand_form {
    enum operand_shape shape;
    enum operand_fill fill;
};

/* As many as the op has operands; the first is SHAPE_NONE for a kind that is not in the table. */
const struct operand_form *kernel_forms(enum op_kind kind);

/* ---- steps ----------------------------------------------------------------------------------- */

enum { STEP_SEQS_MAX = 4, STEP_SLOTS = 5, STEP_REWIND = 16 };

/* Rows of sequences in a step. */
enum step_shape {
    STEP_ONE,       /* a token behind some */
    STEP_FAR,       /* a token behind many */
    STEP_LONG,      /* many behind so many that the chunks of attention grow on the way */
    STEP_FIVE,      /* a few */
    STEP_SEVENTEEN, /* one more than EXACT_ROWS, from position 0 on */
    STEP_MANY,      /* more than a tile, a ring and a block of keys */
    STEP_PANELS,    /* more than products take at a time */
    STEP_TOKENS,    /* one of each of several sequences */
    STEP_DRAFTS,    /* a few of several sequences, together more than a tile of VNNI */
    STEP_MIXED,     /* one, a few and many of several sequences, their slots in no order */
    STEP_CHAIN,     /* a token that is recorded behind others that are */
    STEP_VERIFY,    /* a few that are recorded, some settled */
    STEP_RECORDED,  /* as STEP_MIXED, but for the many recorded */
    STEP_SHAPES
};

struct step_shape_info {
    const char *name;
    uint32_t rows, seqs;
    struct step_seq seq[STEP_SEQS_MAX];
};

const struct step_shape_info *kernel_step(enum step_shape shape);

/* ---- cases ----------------------------------------------------------------------------------- */

/* Types that the case's matrices or caches have in turn. */
enum case_types {
    TYPES_F32,
    TYPES_WEIGHTS, /* all that a matrix can have */
    TYPES_COMMON,  /* the most usual of them */
    TYPES_FLOATS,
    TYPES_HALVES, /* a cache's F32 and F16 */
    TYPES_CACHES, /* all that a cache can have */
};

struct kernel_case {
    enum op_kind kind;
    const char *name; /* what has this shape */
    uint32_t G, W, A, B;
    enum step_shape step;
    enum case_types types;
    bool is_fine;           /* activations that neither 8 bits nor BF16 hold */
    uint32_t gap;           /* numbers between the groups of activations that are read: views */
    enum head_map head_map; /* of the delta rule */
    uint32_t rewind;        /* rows of a ring that are there to go back */
    bool shares_input;      /* experts: one row for all */
    uint32_t timed;         /* A while it is timed, if not A */
    const struct step_shape_info *drawn; /* rows in place of those of `step`; NULL: those */
};

const struct step_shape_info *kernel_case_step(const struct kernel_case *of);

extern const struct kernel_case kernel_cases[];
extern const uint32_t kernel_cases_count;

/* The number of types; a case for whose width none fits is an error of the table. */
uint32_t kernel_case_types(const struct kernel_case *of, enum dtype types[DTYPE_COUNT]);

/* The largest normalised mean squared error that the kind of op may have against the reference, by
 * the kernels of a level. */
double kernel_case_bound(const struct kernel_case *of, enum dtype dtype, const char *level);

#endif
