/* SPDX-License-Identifier: MIT
 * A forward pass as data: a flat array of op records over numbered buffers. No pointer, no size
 * that depends on a step, no knowledge of a model or a backend.
 *
 * A plan is built straight down (plan_open, plan_weight ... plan_op), closed by plan_finish, which
 * validates it and finds lifetimes, perhaps rewritten by plan_fuse, and immutable from then on. */
#ifndef PLAN_PLAN_H
#define PLAN_PLAN_H

#include "base/err.h"
#include "base/text.h"
#include "format/dtype.h"

enum op_kind {
#define OP(id, function, operands, shares, meaning) OP_##id,
#include "plan/ops.def"
    OP_COUNT
};

struct op_info {
    const char *name;     /* "MATMUL" */
    const char *operands; /* letters of ops.def */
    const char *shares;   /* letters of ops.def */
    const char *meaning;
};

const struct op_info *op_info(enum op_kind kind);
/* True if an operand of that letter is written, be it also read. */
bool letter_writes(char letter);

enum {
    OP_OPERANDS_MAX = 8,
    PLAN_ROLES_MAX = 64,
    PLAN_BUFS_MAX = 65535,
    HEAD_WIDTH_MAX = 1024, /* elements of a head: backends keep one on the stack */
    CONV_TAPS_MAX = 64,    /* of a channel: likewise */
    LAYER_NONE = 0xffff,   /* an op of no layer: embedding, head */
    BUF_NONE = 0xffff,
};

/* How v-heads share k-heads in the delta rule. */
enum head_map {
    HEAD_MAP_TILED,   /* k-head = v-head mod n_k: qwen35, qwen35moe */
    HEAD_MAP_GROUPED, /* k-head = v-head div (n_v / n_k): qwen3next */
};

/* One record. Attributes that a kind does not use are 0. */
struct op {
    uint8_t kind;     /* enum op_kind */
    uint8_t role;     /* index into plan.roles */
    uint8_t head_map; /* enum head_map */
    uint8_t reserved;
    uint16_t layer;
    uint16_t reserved2;
    uint16_t operand[OP_OPERANDS_MAX]; /* buffer numbers, as many as the kind has letters */
    float eps;
    float scale;
};
_Static_assert(sizeof(struct op) == 32, "an op record is 32 bytes");

enum buf_kind {
    BUF_WEIGHT, /* a tensor of the model */
    BUF_CONST,  /* numbers of the plan itself */
    BUF_ACT,    /* lives within a step */
    BUF_INPUT,  /* rows that come with the step: hidden states */
    BUF_HIDDEN, /* an activation that outlives the step: the hidden states that its rows end in */
    BUF_LOGITS, /* an activation that outlives the step: its result */
    BUF_STATE,  /* recurrent state of a sequence */
    BUF_RING,   /* the last rows of a sequence; row of position p at index p mod rows */
    BUF_RECORD, /* likewise, what its last tokens do to a state: see struct step_seq */
    BUF_KV,     /* one row for each position of a sequence */
    BUF_SUM,    /* sums over the rows of all steps, of all sequences */
};

/* What a buffer's rows are counted in: `rows` of it for each ... */
enum extent {
    EXTENT_ONE,     /* plan: the number of rows is fixed */
    EXTENT_ROWS,    /* row of the step (T) */
    EXTENT_OUTS,    /* row of the step whose logits are wanted (O) */
    EXTENT_SEQS,    /* sequence of the step (N) */
    EXTENT_SLOT,    /* place for a sequence, whether in the step or not */
    EXTENT_CONTEXT, /* token that a place for a sequence can hold */
};

/* A row-major matrix. A row is `groups` groups (heads) of `width` elements, a group every `stride`
 * elements; unless it is a view, stride = width. A view shows columns of its base, another buffer
 * that is no view, and has the base's rows. */
struct buf {
    uint8_t kind;   /* enum buf_kind */
    uint8_t dtype;  /* enum dtype */
    uint8_t extent; /* enum extent */
    uint8_t role;   /* of the weight, state or cache; of the writing op for activations */
    uint16_t layer;
    uint16_t base;   /* itself, unless a view */
    uint32_t rows;   /* times the extent */
    uint32_t groups; /* of a row */
    uint32_t width;  /* elements of a group */
    uint32_t stride; /* elements from group to group */
    uint32_t offset; /* view: element of the base's row where it begins */
    uint32_t stack;  /* weight: matrices of rows / stack rows each, one for each expert; or 1. sums:
                        likewise */
    uint32_t reach;  /* ring: rows before a position that are read there */
    uint32_t source; /* weight: index into the model's weights, and of sums the weight that they are
                        about; constant: index into plan.consts */
    uint16_t first;  /* op that first uses it or a view of it; set by plan_finish */
    uint16_t last;   /* op that last does */
};

struct plan {
    struct op *ops;
    uint32_t op_count;
    struct buf *bufs;
    uint32_t buf_count;
    double *consts;
    uint32_t const_count;
    const char *roles[PLAN_ROLES_MAX]; /* static strings: "gdn.rule" */
    uint32_t role_count;
    uint16_t logits;         /* the result: [O, vocab] */
    uint16_t hidden;         /* the rows' hidden states: [T, width], or BUF_NONE */
    enum weir_status status; /* of building: the first failure makes all later calls do nothing */
    struct weir_error error;
    uint64_t op_capacity, buf_capacity, const_capacity;
};

/* ---- building (plan.c) ----------------------------------------------------------------------- */

enum weir_status plan_open(struct plan **out, struct weir_error *err);
void plan_close(struct plan *plan);

/* The builder's calls return buffer numbers, or BUF_NONE once building has failed; plan_finish
 * reports the failure, so the builder need not look. `role` is a static string. */
uint16_t plan_weight(struct plan *plan, const char *role, uint16_t layer, enum dtype dtype,
                     uint32_t rows, uint32_t width, uint32_t source);
/* `experts` matrices of `rows` rows. */
uint16_t plan_experts(struct plan *plan, const char *role, uint16_t layer, enum dtype dtype,
                      uint32_t experts, uint32_t rows, uint32_t width, uint32_t source);
uint16_t plan_const(struct plan *plan, const double *values, uint32_t count);
uint16_t plan_act(struct plan *plan, enum extent extent, uint32_t groups, uint32_t width);
/* Expert numbers, `count` for each row. */
uint16_t plan_routing(struct plan *plan, enum extent extent, uint32_t count);
uint16_t plan_input(struct plan *plan, uint32_t width);
uint16_t plan_hidden(struct plan *plan, uint32_t width);
uint16_t plan_logits(struct plan *plan, uint32_t width);
/* An activation of the shape of a state, for each sequence of the step. */
uint16_t plan_state_copy(struct plan *plan, uint16_t state);
uint16_t plan_state(struct plan *plan, const char *role, uint16_t layer, uint32_t rows,
                    uint32_t width);
/* A ring whose ops look `reach` rows back, also from up to `rewind` positions before the last. */
uint16_t plan_ring(struct plan *plan, const char *role, uint16_t layer, uint32_t reach,
                   uint32_t rewind, uint32_t width);
/* Records of a state of `heads` matrices of `keys` x `values`, of up to `rewind` tokens that are
 * pending and as many new ones. Of a token and head: the key, what each value gains of it, and the
 * decay. */
uint16_t plan_records(struct plan *plan, const char *role, uint16_t layer, uint32_t rewind,
                      uint32_t heads, uint32_t keys, uint32_t values);
uint16_t plan_kv(struct plan *plan, const char *role, uint16_t layer, enum dtype dtype,
                 uint32_t groups, uint32_t width);
/* Sums about what meets the weight `source`: for each of `experts` matrices (1) a row of `columns`,
 * and one more for the number of rows that met it. */
uint16_t plan_sum(struct plan *plan, const char *role, uint16_t layer, uint32_t experts,
                  uint32_t columns, uint32_t source);
/* Columns offset + [0, groups) * stride + [0, width) of `base`. */
uint16_t plan_view(struct plan *plan, uint16_t base, uint32_t offset, uint32_t groups,
                   uint32_t width, uint32_t stride);

struct op_spec {
    enum op_kind kind;
    const char *role;
    uint16_t layer;
    uint16_t operand[OP_OPERANDS_MAX];
    float eps, scale;
    enum head_map head_map;
};
void plan_op(struct plan *plan, const struct op_spec *spec);

/* Validates (validate.c) and finds first and last uses. `err` gets the failure of any call since
 * plan_open. */
enum weir_status plan_finish(struct plan *plan, struct weir_error *err);

const struct buf *plan_buf(const struct plan *plan, uint16_t number);
/* Elements of a row, views and groups counted: groups * width. */
uint32_t buf_columns(const struct buf *buf);
/* True for what has rows of the step: all but weights, constants and what is kept. */
bool buf_is_activation(const struct buf *buf);
uint32_t op_operands(const struct op *op);
/* True if the op reads weights as matrices, row by row; others read them as vectors of floats. */
bool op_reads_matrices(const struct op *op);

/* ---- rewriting (fuse.c) ---------------------------------------------------------------------- */

enum fuse_set {
    FUSE_DELTA_RULE = 1, /* state updated in place instead of gathered and copied back */
    FUSE_OTHERS = 2,
};

/* Applies all rewrites of the sets until none applies. Before plan_finish. */
void plan_fuse(struct plan *plan, unsigned sets);

/* ---- a step ---------------------------------------------------------------------------------- */

/* The rows of one sequence in a step: row_first .. row_first + rows - 1, at positions cached,
 * cached + 1, ...
 *
 * A recurrent state cannot forget, so a sequence that may go back stores its state as it was there,
 * and what each token since then does to it as a record. The state of the last token is the stored
 * one with the `pending` newest records applied in order: the same operations that a token does to
 * a state at once, so the same bits. Going back is to forget records. */
struct step_seq {
    uint32_t slot;   /* place of the sequence's state */
    uint32_t cached; /* tokens it holds already */
    uint32_t row_first;
    uint32_t rows;    /* at least 1 */
    uint32_t pending; /* of the tokens it holds, the last that are not in the stored state */
    uint32_t settle;  /* of these, the first that the step applies to it for good: all, unless... */
    bool is_recorded; /* the step's own tokens become records and are not applied */
};

/* When a thread began and ended an op. What lies between the end of an op and the begin of the next
 * is waiting for other threads, be the wait used for something or not. */
struct op_clock {
    uint64_t begin, end;
};

/* All that changes between two runs of a plan. Borrowed arrays. */
struct step {
    uint32_t rows;        /* T, the sum of the sequences' rows */
    const int32_t *token; /* [T]; NULL if only the shape matters */
    const float *hidden;  /* [T, width], for plans with BUF_INPUT; otherwise unused */
    uint32_t seqs;        /* N, each slot at most once */
    const struct step_seq *seq;
    uint32_t outs;           /* O */
    const uint32_t *out_row; /* [O], ascending; NULL if only the shape matters */
    /* how many experts of each layer the rows are routed to, by layer; NULL: not known, and what
       uniform routing makes likely is counted */
    const uint32_t *experts;
    bool (*proceed)(void *user); /* asked between ops by one thread; NULL: always. After a false the
                                    step ends, and the state of its sequences is undefined */
    void *proceed_user;
    struct op_clock *clocks; /* [threads][ops] of the plan, filled in by whoever runs it; NULL:
                                nobody asks */
    uint64_t (*clock)(void); /* that they are read from; unused without them */
};

/* The sequence of the step that row `row` belongs to, and the row's position in it. */
const struct step_seq *step_seq_of_row(const struct step *step, uint64_t row);
uint64_t step_position_of_row(const struct step *step, uint64_t row);

/* The largest step that memory is planned for, and how many sequences there are. */
struct plan_limits {
    uint32_t rows, outs, seqs;
    uint32_t slots;
    uint32_t context; /* tokens of a slot */
};

/* ---- sizes (place.c, traffic.c) -------------------------------------------------------------- */

/* Rows that a buffer has in this step (ONE, ROWS, OUTS, SEQS extents). */
uint64_t buf_rows(const struct buf *buf, const struct step *step);
/* Bytes of one row of the buffer, or of what a view shows of it. */
uint64_t buf_row_bytes(const struct buf *buf);

struct turn;

/* What a backend may ask of the placing of activations; all zeros: nothing. */
struct placing {
    const struct turn *turns; /* lifetimes last whole phases (phases.h); NULL: ops */
    const uint32_t *extra;    /* bytes for each row of a buffer, behind all its rows; NULL: none */
    const bool *only;         /* which buffers are placed; NULL: all */
};

/* Offsets of activations in one block of memory, by lifetime: offsets[number] for BUF_ACT,
 * BUF_HIDDEN and BUF_LOGITS that are no views. WEIR_ERR_MEMORY if a size does not fit in 64 bits,
 * or there is no memory to find out. */
enum weir_status plan_place(const struct plan *plan, const struct plan_limits *limits,
                            const struct placing *placing, uint64_t *offsets, uint64_t *total,
                            struct weir_error *err);

/* Where the extra bytes of a buffer begin, from its first byte. */
uint64_t plan_place_extra(const struct buf *buf, const struct plan_limits *limits);

/* Offsets of STATE, RING and KV buffers of slot 0 in one block of memory, slot after slot within
 * each buffer; slot_bytes[number] is the distance. SUM buffers are there once. */
bool plan_place_state(const struct plan *plan, const struct plan_limits *limits, uint64_t *offsets,
                      uint64_t *slot_bytes, uint64_t *total);

enum traffic_class {
    TRAFFIC_WEIGHTS,
    TRAFFIC_EMBEDDING,
    TRAFFIC_KV,
    TRAFFIC_STATE,
    TRAFFIC_CONV,
    TRAFFIC_ACTIVATIONS,
    TRAFFIC_LOGITS,
    TRAFFIC_CLASSES
};

const char *traffic_class_name(enum traffic_class class);

/* Bytes touched: each byte counts once an operand, however often an op looks at it. */
struct traffic {
    uint64_t read[TRAFFIC_CLASSES];
    uint64_t written[TRAFFIC_CLASSES];
    uint64_t operand; /* sizes of the whole operands, as other tools count */
};

struct operand_traffic {
    enum traffic_class class;
    uint64_t read, written;
    uint64_t operand;
};

/* Of operand `i` of the op in this step. `context` is the slots' size in tokens. */
struct operand_traffic op_operand_traffic(const struct plan *plan, const struct op *op, uint32_t i,
                                          const struct step *step,
                                          const struct plan_limits *limits);
void op_traffic(const struct plan *plan, const struct op *op, const struct step *step,
                const struct plan_limits *limits, struct traffic *sum);

/* Bytes of all distinct weights of the plan. */
uint64_t plan_weight_bytes(const struct plan *plan);

/* ---- printing (print.c) ---------------------------------------------------------------------- */

/* One line an op, then sums. `turns` are those of plan_phases. */
void plan_print(const struct plan *plan, const struct turn *turns, const struct step *step,
                const struct plan_limits *limits, bool operand_bytes, struct printer printer);

#endif
