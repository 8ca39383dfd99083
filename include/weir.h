/* SPDX-License-Identifier: MIT
 * The one public header of weir: from model files to conversations.
 *
 * Opaque nouns:
 *   weir_model      a GGUF file (all its splits), opened and checked; no weight has been read yet
 *   weir_tokenizer  text to token ids and back, immutable, usable from several threads at once
 *   weir_engine     a model with its weights in memory, a backend, and room for sequences
 *   weir_session    one mutable timeline of tokens in an engine: state, KV cache, position
 *   weir_profile    what an evaluation costs, op by op: bytes touched, and time
 *   weir_sampler    the choice of the next token from a row of logits
 *   weir_template   the text of a conversation, by the program that a model file carries for it
 *   weir_prompt     such a text, and its tokens
 *   weir_reply      what a model says, taken apart: reasoning, content, calls of tools
 *   weir_grammar    a language that a text must belong to: GBNF or a JSON schema
 *   weir_constraint a grammar over a tokenizer: which tokens may come next
 *   weir_checkpoint a state of a session to go back to
 *   weir_chat       a conversation in a session
 *   weir_speculator drafts of the next tokens, which one step of a session then verifies
 *
 * Rules that hold everywhere:
 *   - A function that can fail returns enum weir_status; WEIR_OK is 0. `err` may be NULL; otherwise
 *     set it to zero before the first use: it receives one line that says what was wrong, where,
 *     and what was expected, and keeps the first such line until it is set to zero again.
 *   - x_open creates what x_close destroys; closing NULL is allowed. On failure nothing is created
 *     and *out is NULL.
 *   - What is opened from another object borrows it: close sessions before their engine, and
 *     tokenizers and engines before their model.
 *   - No pointer may be NULL unless its comment says so; options may, for their defaults.
 *   - Text is UTF-8 given as pointer and length in bytes; token ids are int32_t; sizes are bytes.
 *   - Except for the tokenizer, objects may be used by one thread at a time (an engine and its
 *     sessions count as one object).
 *   - The library prints nothing, exits never and installs no signal handler.
 */
#ifndef WEIR_H
#define WEIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_VERSION "0.1.0"

#if defined(__GNUC__)
#define WEIR_API __attribute__((visibility("default")))
#else
#define WEIR_API
#endif

/* ---- errors ---------------------------------------------------------------------------------- */

enum weir_status {
    WEIR_OK = 0,
    WEIR_ERR_ARGUMENT,    /* an option or argument has no meaning */
    WEIR_ERR_IO,          /* a file cannot be opened, read, written or mapped */
    WEIR_ERR_FORMAT,      /* a file is malformed or truncated */
    WEIR_ERR_UNSUPPORTED, /* well-formed, but not something this build can do */
    WEIR_ERR_MEMORY,      /* an allocation failed, or would not fit */
    WEIR_ERR_FULL,        /* the context or the table of sequences is full */
    WEIR_ERR_CANCELLED,   /* a progress callback asked to stop */
};

enum { WEIR_ERROR_TEXT_MAX = 512 };

struct weir_error {
    enum weir_status status;
    char text[WEIR_ERROR_TEXT_MAX]; /* one line, zero-terminated, no newline */
};

/* ---- versions and messages ------------------------------------------------------------------- */

/* "0.1.0" and, where the build knew it, the commit and the compiler; static. */
WEIR_API const char *weir_version(void);
WEIR_API const char *weir_build_info(void);

enum weir_log_level { WEIR_LOG_ERROR = 1, WEIR_LOG_WARNING, WEIR_LOG_INFO, WEIR_LOG_TRACE };

/* One message, one line, without newline. */
typedef void weir_log_fn(void *user, enum weir_log_level level, const char *line);

enum weir_stage { WEIR_STAGE_LOAD, WEIR_STAGE_PREFILL, WEIR_STAGE_WRITE };

/* `done` of `total` (bytes while loading and writing, tokens while prefilling). Called often, also
 * with unchanged numbers. Return false to cancel. */
typedef bool weir_progress_fn(void *user, enum weir_stage stage, uint64_t done, uint64_t total);

/* Receives a piece of text that a describing function prints. */
typedef void weir_write_fn(void *user, const char *text, size_t length);

/* ---- model ----------------------------------------------------------------------------------- */

struct weir_model;

struct weir_model_options {
    /* "KEY=TYPE:VALUE" with TYPE int, float, bool or str: metadata that overrides the file's. */
    const char *const *overrides;
    uint32_t overrides_count;
    weir_log_fn *log; /* may be NULL */
    void *log_user;
};

/* Opens `path`, the only file or the first split of a GGUF model, and checks all that can be
 * checked without reading weights: container, metadata, and that every split is there.
 * `options` may be NULL. The architecture is checked only by the functions that need it, so a
 * vocabulary-only file can be opened too. */
WEIR_API enum weir_status weir_model_open(struct weir_model **out, const char *path,
                                          const struct weir_model_options *options,
                                          struct weir_error *err);
/* Opens a model of which there is only the beginning of its one file, up to the first weight. All
 * works that looks at a model without reading weights; weir_engine_open is WEIR_ERR_UNSUPPORTED.
 * `name` stands for the path; the bytes are not borrowed. */
WEIR_API enum weir_status weir_model_open_header(struct weir_model **out, const void *header,
                                                 size_t length, const char *name,
                                                 const struct weir_model_options *options,
                                                 struct weir_error *err);
WEIR_API void weir_model_close(struct weir_model *model);

struct weir_model_info {
    const char *path;         /* as given to weir_model_open; borrowed */
    const char *architecture; /* "qwen35"; borrowed from the model, as the other strings */
    const char *name;         /* general.name, or "" */
    uint32_t splits;          /* number of files */
    uint64_t file_bytes;      /* of all splits */
    uint64_t tensor_count;
    uint64_t tensor_bytes; /* of all tensors, without padding */
    uint64_t parameters;   /* elements of all tensors */
    uint64_t metadata_count;
    const char *size;      /* "0.8B": of the public model of this shape, else "?B"; static */
    const char *file_type; /* "Q4_K - Medium": what general.file_type says, as llama.cpp writes it;
                              static */
    bool is_type_guessed;  /* the file does not say; the type of most tensors was taken */
    uint32_t context_trained; /* tokens; 0: the file does not say */
};

WEIR_API void weir_model_info(const struct weir_model *model, struct weir_model_info *out);

/* The file of split `number`, borrowed from the model; NULL behind the last. */
WEIR_API const char *weir_model_file(const struct weir_model *model, uint32_t number);

/* Whether the model has a block of multi-token prediction. WEIR_ERR_FORMAT or WEIR_ERR_UNSUPPORTED
 * for a file that is no model that an engine could open. */
WEIR_API enum weir_status weir_model_has_mtp(const struct weir_model *model, bool *out,
                                             struct weir_error *err);

/* Prints all metadata, one "key = value" a line; long arrays and strings are shortened. */
WEIR_API enum weir_status weir_model_print_metadata(const struct weir_model *model,
                                                    weir_write_fn *write, void *user,
                                                    struct weir_error *err);

/* Prints all tensors against the architecture's table of weights: role, name, type, shape, bytes,
 * and totals. WEIR_ERR_FORMAT as for weir_engine_open when a weight is missing or misshapen. */
WEIR_API enum weir_status weir_model_print_weights(const struct weir_model *model,
                                                   weir_write_fn *write, void *user,
                                                   struct weir_error *err);

/* ---- tokenizer ------------------------------------------------------------------------------- */

struct weir_tokenizer;

/* Builds the tokenizer of `model`. Warnings (skipped merges, an unknown pre-tokenizer) go to the
 * model's log. The tokenizer keeps no reference to the model. */
WEIR_API enum weir_status weir_tokenizer_open(struct weir_tokenizer **out,
                                              const struct weir_model *model,
                                              struct weir_error *err);
WEIR_API void weir_tokenizer_close(struct weir_tokenizer *tokenizer);

enum weir_encode_flags {
    WEIR_ENCODE_ADD_SPECIAL = 1,   /* add BOS and EOS where the file asks for them */
    WEIR_ENCODE_PARSE_SPECIAL = 2, /* recognise control tokens written in the text */
};

/* Encodes `length` bytes of `text`. Writes at most `ids_max` ids to `ids` (may be NULL if 0) and
 * the number of ids of the whole text to *ids_count, so a call with ids_max = 0 measures; `length`
 * + 2 ids suffice for valid UTF-8, 3 * `length` + 2 for any bytes: each byte that is not part of a
 * character encodes as U+FFFD. Fails only for want of memory or for a text of 2 GiB or more. */
WEIR_API enum weir_status weir_tokenizer_encode(const struct weir_tokenizer *tokenizer,
                                                const char *text, size_t length, unsigned flags,
                                                int32_t *ids, size_t ids_max, size_t *ids_count,
                                                struct weir_error *err);

/* The bytes that token `id` stands for, borrowed; not always whole characters. Control tokens give
 * their text if `special`, else nothing; an id out of range gives nothing. */
WEIR_API const char *weir_tokenizer_piece(const struct weir_tokenizer *tokenizer, int32_t id,
                                          bool special, size_t *length);

/* The bytes of the longest piece of any token, without `special`; looks at all of them. */
WEIR_API size_t weir_tokenizer_piece_max(const struct weir_tokenizer *tokenizer);

WEIR_API uint32_t weir_tokenizer_size(const struct weir_tokenizer *tokenizer);
WEIR_API bool weir_tokenizer_ends_generation(const struct weir_tokenizer *tokenizer, int32_t id);
/* The ids that the model's file bans from sampling, borrowed; returns their number. A sampler that
 * is opened with the tokenizer bans them. */
WEIR_API uint32_t weir_tokenizer_suppressed(const struct weir_tokenizer *tokenizer,
                                            const int32_t **ids);
/* The id of the token whose text is exactly `text`, or -1. */
WEIR_API int32_t weir_tokenizer_find(const struct weir_tokenizer *tokenizer, const char *text,
                                     size_t length);

/* Joins token pieces into text that never ends within a character. Set to zero to begin. */
struct weir_detokenizer {
    uint8_t pending[4];
    uint32_t pending_length;
};

enum { WEIR_DETOKENIZER_SLACK = 12 };

/* Appends a piece and writes the text that is now complete to `out`, which has room for length +
 * WEIR_DETOKENIZER_SLACK bytes (an invalid byte becomes the three bytes of U+FFFD, so give 3 *
 * length + WEIR_DETOKENIZER_SLACK for arbitrary bytes). Returns the number of bytes written. */
WEIR_API size_t weir_detokenizer_push(struct weir_detokenizer *detokenizer, const char *piece,
                                      size_t length, char *out);
/* What is left at the end, malformed sequences as U+FFFD; at most WEIR_DETOKENIZER_SLACK bytes. */
WEIR_API size_t weir_detokenizer_finish(struct weir_detokenizer *detokenizer, char *out);

/* ---- engine ---------------------------------------------------------------------------------- */

struct weir_engine;

enum weir_load { WEIR_LOAD_MAP, WEIR_LOAD_READ };
enum weir_switch { WEIR_AUTO, WEIR_ON, WEIR_OFF };
enum weir_cache_type {
    WEIR_CACHE_F32,
    WEIR_CACHE_F16,
    WEIR_CACHE_BF16,
    WEIR_CACHE_Q8_0, /* from here on: blocks of 32, which must divide the width of a head */
    WEIR_CACHE_Q5_1,
    WEIR_CACHE_Q5_0,
    WEIR_CACHE_Q4_1,
    WEIR_CACHE_Q4_0,
};
/* Whether sums for an importance matrix are kept: of the matrices of the layers, or also of the
 * head, for the tokens whose logits were asked for. */
enum weir_collect { WEIR_COLLECT_NOTHING, WEIR_COLLECT_BLOCKS, WEIR_COLLECT_ALL };
enum weir_rope_scaling {
    WEIR_ROPE_SCALING_MODEL, /* as the file says */
    WEIR_ROPE_SCALING_NONE,
    WEIR_ROPE_SCALING_LINEAR,
    WEIR_ROPE_SCALING_YARN,
};

/* Where threads run. Each has a processor to itself, on physical cores of their own first, if there
 * are as many as threads; processors are those that the calling thread may run on. The caller of
 * weir_session_eval and weir_engine_step is one of the threads: it is moved to its place, but its
 * affinity stays as it was, then and afterwards. */
enum { WEIR_CPUS_MAX = 1024 };

enum { WEIR_REWIND_MAX = 16 }; /* what a kernel of few rows takes in one step */

struct weir_engine_options {
    const char *backend;   /* "cpu", "ref"; NULL is the best one of this build */
    const char *isa;       /* "v2" to "amx", "neon"... (weir-run(1)): no better; NULL: any */
    bool no_repack;        /* weights stay as they lie in the file: slow */
    bool repack_late;      /* they do for the first step: see weir_engine_repack */
    uint32_t threads;      /* 0: physical cores */
    enum weir_switch bind; /* threads to processors, see WEIR_CPUS_MAX; off: the system's */
    uint64_t cpus[WEIR_CPUS_MAX / 64]; /* bit by processor: those to bind to; all 0: any */
    uint32_t context;                  /* tokens a session can hold; 0: as trained, or what fits */
    uint32_t sessions_max;             /* sessions open at once, at least 1 */
    uint32_t step_rows_max;            /* tokens of one step (micro-batch), at least 1 */
    uint32_t logits_rows_max;          /* rows of logits of one step, 1 to step_rows_max */
    enum weir_cache_type cache_k;      /* type of the cached keys */
    enum weir_cache_type cache_v;      /* type of the cached values */
    enum weir_load load;               /* map the file, or read it into huge pages */
    bool lock;                         /* keep the weights in RAM (mlock) */
    bool check_tensors;                /* refuse Inf, NaN and invalid scales in the weights */
    bool mtp;                          /* also load the block of multi-token prediction */
    uint32_t mtp_vocab;                /* tokens that it can draft, see weir_engine_mtp_vocab */
    uint32_t rewind_max;               /* tokens that a session can go back, to WEIR_REWIND_MAX */
    enum weir_collect collect;         /* for weir_imatrix_take */
    enum weir_switch fused_gdn;        /* delta rule in place, or state gathered and copied back */
    enum weir_switch fuse;             /* all other rewrites of the plan */
    enum weir_rope_scaling rope_scaling;
    float rope_factor;          /* > 0: context extension factor (1 / frequency scale) */
    float rope_base;            /* > 0: frequency base */
    uint32_t rope_original;     /* > 0: context length that YaRN extends */
    weir_progress_fn *progress; /* may be NULL */
    void *progress_user;
};

/* The defaults: every field as its comment's first choice, context 0, sessions_max 1,
 * step_rows_max 512, logits_rows_max 16, caches F16, no progress. */
WEIR_API void weir_engine_options_init(struct weir_engine_options *options);

/* Loads the weights of `model`. The model must outlive the engine. Errors name the file, the
 * tensor or key, and what was expected. */
WEIR_API enum weir_status weir_engine_open(struct weir_engine **out, struct weir_model *model,
                                           const struct weir_engine_options *options,
                                           struct weir_error *err);
WEIR_API void weir_engine_close(struct weir_engine *engine);

/* The backend holds matrices in a layout of its own, and bringing all of them into it takes longer
 * than a step. An engine opened with options->repack_late leaves them in the mapped file for its
 * first step, if that is all of an evaluation, with the same results. This call moves them; the
 * step that needs them elsewhere does so first. Reports to options->progress; when that ends it
 * (WEIR_ERR_CANCELLED), the engine can be used as before. */
WEIR_API enum weir_status weir_engine_repack(struct weir_engine *engine, struct weir_error *err);

WEIR_API uint32_t weir_engine_vocab(const struct weir_engine *engine); /* floats of a logits row */
WEIR_API uint32_t weir_engine_width(const struct weir_engine *engine); /* of a hidden state */
WEIR_API uint32_t weir_engine_context(const struct weir_engine *engine); /* tokens of a session */
WEIR_API const char *weir_engine_backend(const struct weir_engine *engine);
/* The level of instructions in use ("v4"); "" if the backend knows none. */
WEIR_API const char *weir_engine_isa(const struct weir_engine *engine);
WEIR_API uint32_t weir_engine_threads(const struct weir_engine *engine);

/* What weir_engine_open would allocate or map with these options, in bytes; told also when it does
 * not fit. NULL options are the defaults, here as there. */
struct weir_memory {
    uint64_t weights;       /* mapped, read, or held in the backend's own layout */
    uint64_t mapped;        /* of them, those that stay in the mapped file */
    uint64_t kv;            /* key and value caches of all sessions */
    uint64_t kv_per_token;  /* of one session */
    uint64_t state;         /* recurrent and conv state of all sessions */
    uint64_t state_session; /* of one session */
    uint64_t activations;   /* buffers between ops, at step_rows_max rows */
    uint64_t logits;        /* logits_rows_max rows */
    uint64_t scratch;       /* private to the backend's threads */
    uint64_t total;
    uint64_t needed;    /* RAM that must be free: all but what stays mapped */
    uint64_t available; /* RAM that is free now, for this process's group too; 0 if unknown */
    uint32_t context;   /* tokens a session will hold (options->context resolved) */
};

WEIR_API enum weir_status weir_memory_estimate(const struct weir_model *model,
                                               const struct weir_engine_options *options,
                                               struct weir_memory *out, struct weir_error *err);

/* Prints the plan of one step: `rows` new tokens in each of `sequences` sequences that already hold
 * `cached` tokens, logits of the last row of each: one line an op, its buffers, bytes touched. */
struct weir_plan_shape {
    uint32_t rows;
    uint32_t sequences;
    uint32_t cached;
    bool operand_bytes; /* also print the sizes of whole operands */
};

WEIR_API enum weir_status weir_model_print_plan(const struct weir_model *model,
                                                const struct weir_engine_options *options,
                                                const struct weir_plan_shape *shape,
                                                weir_write_fn *write, void *user,
                                                struct weir_error *err);

/* ---- session --------------------------------------------------------------------------------- */

struct weir_session;

/* Takes one of the engine's places; WEIR_ERR_FULL when none is free. Starts empty. */
WEIR_API enum weir_status weir_session_open(struct weir_session **out, struct weir_engine *engine,
                                            struct weir_error *err);
WEIR_API void weir_session_close(struct weir_session *session);

WEIR_API uint32_t weir_session_position(const struct weir_session *session); /* tokens it holds */
WEIR_API void weir_session_reset(struct weir_session *session);              /* back to empty */

/* The tokens that it holds, weir_session_position of them; borrowed. */
WEIR_API const int32_t *weir_session_tokens(const struct weir_session *session);

/* A recurrent state cannot forget, so a session that is to take tokens back must say so before it
 * gets them: from its mark on it holds up to options->rewind_max tokens that it can forget at no
 * cost, for records of about 1/64 of the state each. What it computes is the same to the bit. A
 * later mark replaces the earlier; without one steps are as large as ever. Behind a mark,
 * weir_session_eval and weir_engine_step are WEIR_ERR_ARGUMENT for more tokens than fit. Marks are
 * WEIR_ERR_ARGUMENT for an engine with rewind_max 0. */
WEIR_API enum weir_status weir_session_mark(struct weir_session *session, struct weir_error *err);
WEIR_API void weir_session_unmark(struct weir_session *session);
/* Back to `position`: between the mark and weir_session_position, else WEIR_ERR_ARGUMENT. The block
 * of multi-token prediction goes with it. Rows of logits can still be read. */
WEIR_API enum weir_status weir_session_rewind(struct weir_session *session, uint32_t position,
                                              struct weir_error *err);

/* A position of a session to go back to, any number of tokens later: a copy of what forgets, the
 * recurrent state (at most weir_memory.state_session and, with the block of multi-token prediction,
 * a hidden state). Caches and tokens stay where they are, so it is valid until one of those before
 * its position is written over: by what is evaluated or loaded behind a way back. Until then even a
 * session that was reset, or that a step that was cut short has left empty, can return. */
struct weir_checkpoint;

/* Takes the memory of a checkpoint, which holds nothing yet. Close it before the session. */
WEIR_API enum weir_status weir_checkpoint_open(struct weir_checkpoint **out,
                                               struct weir_session *session,
                                               struct weir_error *err);
WEIR_API void weir_checkpoint_close(struct weir_checkpoint *checkpoint);
/* Replaces what it held. A mark of the session is no part of it. */
WEIR_API void weir_checkpoint_take(struct weir_checkpoint *checkpoint);
/* Where it can go back to; -1 if it holds nothing or is no longer valid. */
WEIR_API int64_t weir_checkpoint_position(const struct weir_checkpoint *checkpoint);
/* The session is as it was, without a mark: what follows is the same to the bit as if it had never
 * been left. Rows of logits are gone, and the block of multi-token prediction begins anew; row 0 of
 * weir_session_hidden is that of the last token, if it was there when the checkpoint was taken.
 * WEIR_ERR_ARGUMENT if there is nothing to go back to. */
WEIR_API enum weir_status weir_checkpoint_return(const struct weir_checkpoint *checkpoint,
                                                 struct weir_error *err);

/* Writes all that a session is into one file, which appears when it is complete. Loading it into an
 * empty session is as if that session had never been left: what follows is the same to the bit.
 * WEIR_ERR_FORMAT for a file that is damaged, or of another model, backend, level of instructions,
 * types of caches or rotary embedding; WEIR_ERR_UNSUPPORTED for one with rows of the MTP block or
 * with records, and an engine without; WEIR_ERR_FULL if it is too long. The session stays empty. */
WEIR_API enum weir_status weir_session_save(const struct weir_session *session, const char *path,
                                            struct weir_error *err);
WEIR_API enum weir_status weir_session_load(struct weir_session *session, const char *path,
                                            struct weir_error *err);

/* The same of a session and its ways back: those of so many checkpoints of it that are valid, each
 * at a position of its own up to the session's, are in the file too, and rows of caches once.
 * Loading replaces what the session holds, and gives the checkpoints the newest ways of the file;
 * those that it has none for hold nothing. No checkpoint may be among them twice; `ways` may be
 * NULL if there are none. weir_session_load reads such a file as well, and a file
 * of weir_session_save is one without a way. All of a file is checked before the session is
 * touched; what fails behind that, a file that has changed meanwhile or want of memory, leaves it
 * empty. */
WEIR_API enum weir_status weir_session_save_ways(const struct weir_session *session,
                                                 struct weir_checkpoint *const *ways,
                                                 uint32_t count, const char *path,
                                                 struct weir_error *err);
WEIR_API enum weir_status weir_session_load_ways(struct weir_session *session,
                                                 struct weir_checkpoint *const *ways,
                                                 uint32_t count, const char *path,
                                                 struct weir_error *err);

enum weir_logits { WEIR_LOGITS_NONE, WEIR_LOGITS_LAST, WEIR_LOGITS_ALL };

/* Appends `count` tokens, in as many steps as needed; logits of the last token if `logits` is LAST.
 * ALL keeps a row for each token and then needs count <= logits_rows_max. WEIR_ERR_ARGUMENT for no
 * tokens or an id out of range and WEIR_ERR_FULL change nothing. After WEIR_ERR_CANCELLED the
 * session holds the tokens of the finished steps or, if a step was cut short, none: see
 * weir_session_position. WEIR_ERR_FORMAT says that logits are not finite. */
WEIR_API enum weir_status weir_session_eval(struct weir_session *session, const int32_t *tokens,
                                            uint32_t count, enum weir_logits logits,
                                            struct weir_error *err);

/* One step of several sessions. */
struct weir_step_item {
    struct weir_session *session; /* each session at most once in a step */
    const int32_t *tokens;
    uint32_t count; /* at least 1 */
    enum weir_logits logits;
};

/* Runs all items in one step: the counts must sum to at most step_rows_max, the rows of logits to
 * at most logits_rows_max, else WEIR_ERR_ARGUMENT and nothing has changed. After
 * WEIR_ERR_CANCELLED the sessions of the step are empty, since a state cannot go back, or as before
 * if the step was still waiting for weights (weir_engine_repack): see weir_session_position.
 * WEIR_ERR_FORMAT says that logits are not finite, as weights with Inf or NaN make them. */
WEIR_API enum weir_status weir_engine_step(struct weir_engine *engine,
                                           const struct weir_step_item *items, uint32_t items_count,
                                           struct weir_error *err);

/* Row `row` of the logits that the session's last eval or step kept (LAST keeps row 0):
 * weir_engine_vocab floats, borrowed, valid until the engine's next step; NULL if there is none.
 * May be called by several threads at once while no step runs. */
WEIR_API const float *weir_session_logits(const struct weir_session *session, uint32_t row);

enum weir_traffic_class {
    WEIR_TRAFFIC_WEIGHTS,
    WEIR_TRAFFIC_EMBEDDING, /* the looked-up rows */
    WEIR_TRAFFIC_KV,
    WEIR_TRAFFIC_STATE,
    WEIR_TRAFFIC_CONV,
    WEIR_TRAFFIC_ACTIVATIONS,
    WEIR_TRAFFIC_LOGITS,
    WEIR_TRAFFIC_CLASSES
};

/* Bytes touched: each byte counts once for each operand of each op. */
struct weir_traffic {
    uint64_t read[WEIR_TRAFFIC_CLASSES];
    uint64_t written[WEIR_TRAFFIC_CLASSES];
};

/* Adds to *sum what a weir_session_eval of `count` tokens touches in a session that holds `cached`
 * tokens, over all steps that it takes: for one step the sums of weir_model_print_plan. Of experts,
 * those that uniform routing makes likely are counted. Evaluates nothing. Errors as in
 * weir_session_eval. */
WEIR_API enum weir_status weir_engine_traffic(const struct weir_engine *engine, uint32_t cached,
                                              uint32_t count, enum weir_logits logits,
                                              struct weir_traffic *sum, struct weir_error *err);

/* Adds what the engine's last step has touched, whatever it was: of one of the evaluation in
 * several, of several sessions, of a round. */
WEIR_API void weir_engine_step_traffic(const struct weir_engine *engine, struct weir_traffic *sum);

/* "weights", ..., "logits"; static. */
WEIR_API const char *weir_traffic_class_name(enum weir_traffic_class kind);

/* ---- profile --------------------------------------------------------------------------------- */

/* What an evaluation costs, op by op: the bytes that it touches, which the plan tells, and the
 * times of evaluations that ran. Of the model's layers; its block of multi-token prediction is a
 * plan of its own and has no profile. */
struct weir_profile;

/* A weir_session_eval of `rows` tokens in a session that holds `cached`; or, of several sequences,
 * one weir_engine_step in which each of so many sessions that hold `cached` gets `rows` tokens. */
struct weir_profile_shape {
    uint32_t cached;
    uint32_t rows;           /* of each sequence */
    enum weir_logits logits; /* of each sequence */
    uint32_t sequences;      /* 0 counts as 1 */
    bool is_marked;          /* sessions were marked just before and hold the records of a step like
                                it, all of whose tokens stayed: a round of speculation */
};

/* The bytes alone, without loading anything. NULL options are the defaults. Errors as in
 * weir_engine_open, except for memory that is not free, and as in weir_session_eval or, of several
 * sequences, weir_engine_step. */
WEIR_API enum weir_status weir_profile_open(struct weir_profile **out,
                                            const struct weir_model *model,
                                            const struct weir_engine_options *options,
                                            const struct weir_profile_shape *shape,
                                            struct weir_error *err);
/* The same of an engine, with room for the times of `runs` evaluations, 24 bytes an op, and for one
 * of them by step: of each op the span on each thread and the bytes, 16 bytes each. Running
 * allocates nothing. After the engine is closed the profile can still be read. */
WEIR_API enum weir_status weir_profile_open_engine(struct weir_profile **out,
                                                   const struct weir_engine *engine,
                                                   const struct weir_profile_shape *shape,
                                                   uint32_t runs, struct weir_error *err);
WEIR_API void weir_profile_close(struct weir_profile *profile);

/* Evaluates the shape's tokens[rows] in a session of the engine and keeps the times of all ops.
 * The session should hold the shape's tokens, or a few more: bytes stay those of the shape. Errors
 * as in weir_session_eval, WEIR_ERR_ARGUMENT also for a shape of several sequences, WEIR_ERR_FULL
 * also for more runs than there is room for; then nothing is kept. */
WEIR_API enum weir_status weir_profile_run(struct weir_profile *profile,
                                           struct weir_session *session, const int32_t *tokens,
                                           struct weir_error *err);

/* The same of a step: an item for each sequence of the shape, each with its rows and logits, else
 * WEIR_ERR_ARGUMENT. Errors as in weir_engine_step, of the profile as above. */
WEIR_API enum weir_status weir_profile_run_step(struct weir_profile *profile,
                                                const struct weir_step_item *items,
                                                uint32_t items_count, struct weir_error *err);

/* Times are those of one run, the median by its whole time (of an even number, the shorter of the
 * two): so the times of the ops add up to `ns`, to the nanosecond, and were all taken together.
 * Medians of each op would not add up, and belong to a run that never was.
 *
 * ns_low to ns_high is the 95% confidence interval of a median over all runs, of the step's time or
 * of the op's own: from the k-th shortest to the k-th longest, by order statistics, however the
 * times are distributed. Of fewer than 6 runs it is their whole range, and less sure. The time
 * of an op in the median run may lie outside of it. */
struct weir_profile_info {
    struct weir_profile_shape shape;
    uint32_t ops;                /* for weir_profile_op */
    uint32_t steps;              /* that the evaluation takes */
    uint32_t threads;            /* 0 without an engine */
    uint32_t runs;               /* kept; 0: there are no times */
    uint64_t ns, ns_min, ns_max; /* the median, shortest and longest run of the plan's steps */
    uint64_t ns_low, ns_high;
    uint64_t eval_ns;    /* the last run from outside: what is around its steps too */
    uint32_t span_steps; /* that the last run took, for their spans; 0: none is kept */
};

struct weir_profile_op {
    const char *kind; /* "MATMUL"; static */
    const char *role; /* "ffn.gate"; static */
    int32_t layer;    /* -1: of none, as the embedding and the head */
    uint32_t calls;   /* steps in which it has rows */
    struct weir_traffic traffic;
    uint64_t operand_bytes; /* whole operands, as other tools count; caches as long as they are
                               filled */
    uint64_t flops;   /* operations on floats that its definition takes, a multiply-add counting 2:
                         src/plan/work.c has the formulas */
    uint64_t ns;      /* until the next op begins, on the thread that is last at the barrier */
    uint64_t wait_ns; /* all threads together: from their end of the op to their next */
    uint64_t ns_low, ns_high; /* of the median of the op's times, not of the run that `ns` is of */
    uint64_t gap_ns;          /* of `ns`: in which that thread waited around the op */
};

WEIR_API void weir_profile_info(const struct weir_profile *profile, struct weir_profile_info *out);
/* In the order of the plan, op < info.ops. */
WEIR_API void weir_profile_op(const struct weir_profile *profile, uint32_t op,
                              struct weir_profile_op *out);

/* When something began and ended, in ns since the first step of its run began, and what it touched
 * between, all threads together, by the shape. */
struct weir_profile_span {
    uint64_t begin, end;
    uint64_t read, written; /* bytes */
};

/* The last run, be it the median or not, thread by thread: a step < info.span_steps, and the ops of
 * each thread in it, thread < info.threads. Ops of a thread follow each other. What lies between
 * the end of one and the start of the next, or of the step, is waiting: for the threads to wake
 * before the first op, at a barrier or for memory asked for in advance behind each. An op that has
 * no rows in a step has a span too, a short one. Nothing is kept of a run that failed. */
WEIR_API void weir_profile_step_span(const struct weir_profile *profile, uint32_t step,
                                     struct weir_profile_span *out);
WEIR_API void weir_profile_op_span(const struct weir_profile *profile, uint32_t step,
                                   uint32_t thread, uint32_t op, struct weir_profile_span *out);

/* ---- prefix cache ---------------------------------------------------------------------------- */

/* Snapshots of sessions, found by their tokens: a prompt that begins as an earlier one did begins
 * where that one had a snapshot. A recurrent state exists only where it was kept, so the caller
 * says where: at the boundaries of messages, now and then in a long text, at the end of an answer.
 * Rows of KV caches that several snapshots of a text have are held once.
 *
 * In memory and in a folder, those not used for longest go first when there is no more room; what a
 * snapshot stands on counts as used with it. A folder may be shared by several programs and
 * models. Its files are checked before they are used: one that is damaged is removed, with a
 * warning, as if it had never been there. It may hold parts of all texts that were evaluated: its
 * files, and the folder where it is made, can be read by their owner alone. */
struct weir_cache;

struct weir_cache_options {
    uint64_t bytes_max;     /* in memory; 0: nothing */
    const char *dir;        /* NULL: nothing in files; made if its parent is there */
    uint64_t dir_bytes_max; /* in files */
    weir_log_fn *log;       /* may be NULL */
    void *log_user;
};

/* WEIR_ERR_IO if the folder is none that can be written to. One that holds more than dir_bytes_max
 * is brought down to that, and a budget that is too small for any snapshot is warned of. Close it
 * before the engine. */
WEIR_API enum weir_status weir_cache_open(struct weir_cache **out, const struct weir_engine *engine,
                                          const struct weir_cache_options *options,
                                          struct weir_error *err);
WEIR_API void weir_cache_close(struct weir_cache *cache);

/* Keeps the session as it is now, unless its tokens are there already or it is too large. Behind a
 * failure, as of a full disk (WEIR_ERR_IO), session and cache can be used as before. What was kept
 * with a salt is found with it alone, for those who must not learn from times what others wrote; 0
 * is none. */
WEIR_API enum weir_status weir_cache_put(struct weir_cache *cache, struct weir_session *session,
                                         uint64_t salt, struct weir_error *err);

/* Makes an empty session one that holds the first *held of `count` tokens, the most that a
 * snapshot has, and fewer than `count`, so that at least one is left to get logits from. It goes
 * on to the same bits as the session that was kept. *held is 0, and the session empty, if there is
 * none. With the MTP block, row 0 of weir_session_hidden is then that of the last token held, if it
 * was there when the snapshot was made, else NULL. */
WEIR_API enum weir_status weir_cache_get(struct weir_cache *cache, struct weir_session *session,
                                         uint64_t salt, const int32_t *tokens, uint32_t count,
                                         uint32_t *held, struct weir_error *err);

struct weir_cache_stats {
    uint64_t lookups, hits; /* calls of weir_cache_get, and those that held something */
    uint64_t tokens_wanted, tokens_held; /* of these calls */
    uint64_t snapshots, bytes;           /* in memory */
};

WEIR_API void weir_cache_stats(const struct weir_cache *cache, struct weir_cache_stats *out);

/* ---- multi-token prediction ------------------------------------------------------------------ */

/* The block that many of these models have behind their layers (MTP, NextN). From a token and the
 * hidden state of the token before it (zeros for the first), it predicts the token that follows,
 * as the model would, at a small part of the cost. It keeps a cache of its own, so a session has a
 * second position, which may go back. The engine must have been opened with options->mtp, for which
 * WEIR_ERR_UNSUPPORTED says that the model has no such block. */

/* Floats of a row of the block's logits; 0 without the block. With options->mtp_vocab they are
 * those of the first so many tokens alone, rounded up to a multiple of 32 or to the vocabulary, and
 * in steps of up to 16 tokens the same to the bit: most of a draft's bytes are those of the head,
 * and the ids of a tokenizer made by merges begin with the frequent tokens. The other tokens are
 * then never drafted; the model itself chooses among all. */
WEIR_API uint32_t weir_engine_mtp_vocab(const struct weir_engine *engine);

/* Adds to *sum what a weir_session_mtp_eval of `count` tokens touches where the block holds
 * `cached`: a draft is one token with LAST. As weir_engine_traffic; errors as in
 * weir_session_mtp_eval. */
WEIR_API enum weir_status weir_engine_mtp_traffic(const struct weir_engine *engine, uint32_t cached,
                                                  uint32_t count, enum weir_logits logits,
                                                  struct weir_traffic *sum, struct weir_error *err);

/* The hidden state behind token `row` of the session's last step: weir_engine_width floats,
 * borrowed, valid until the engine's next step; NULL if there is none. Of a session that was
 * loaded or begun from a cache, row 0 is that of its last token. */
WEIR_API const float *weir_session_hidden(const struct weir_session *session, uint32_t row);

/* Appends `count` tokens, at most step_rows_max, to the block's cache: hidden[count][width] is the
 * state before each, which may be a row of the functions below and above. Errors as in
 * weir_session_eval; they change nothing. */
WEIR_API enum weir_status weir_session_mtp_eval(struct weir_session *session, const int32_t *tokens,
                                                const float *hidden, uint32_t count,
                                                enum weir_logits logits, struct weir_error *err);

WEIR_API uint32_t weir_session_mtp_position(const struct weir_session *session);
/* Forgets the tokens from `position` on; WEIR_ERR_ARGUMENT if it holds fewer. */
WEIR_API enum weir_status weir_session_mtp_rewind(struct weir_session *session, uint32_t position,
                                                  struct weir_error *err);

/* Rows of the session's last weir_session_mtp_eval, borrowed, valid until the engine's next one;
 * NULL if there is none: logits as they were asked for, weir_engine_mtp_vocab floats, and for each
 * token the hidden state that the next token of a chain begins with. */
WEIR_API const float *weir_session_mtp_logits(const struct weir_session *session, uint32_t row);
WEIR_API const float *weir_session_mtp_hidden(const struct weir_session *session, uint32_t row);

/* ---- importance matrices --------------------------------------------------------------------- */

/* For each matrix of a model and each of its columns, the mean square of the numbers that met it: a
 * quantizer then spends its bits where they matter. */
struct weir_imatrix;

/* After a failure of weir_imatrix_load or weir_imatrix_take the sums are of no use. */
WEIR_API enum weir_status weir_imatrix_open(struct weir_imatrix **out, struct weir_error *err);
WEIR_API void weir_imatrix_close(struct weir_imatrix *imatrix);

/* Adds what a file holds. WEIR_ERR_UNSUPPORTED for the older binary form, which counts chunks where
 * the sums of an engine count tokens. */
WEIR_API enum weir_status weir_imatrix_load(struct weir_imatrix *imatrix, const char *path,
                                            struct weir_error *err);
/* Adds the sums over all tokens that went through the engine, and through its block of multi-token
 * prediction, since the last time; it must have been opened with options->collect. Counts one more
 * chunk of `tokens` tokens. WEIR_ERR_FORMAT if a sum is not finite. */
WEIR_API enum weir_status weir_imatrix_take(struct weir_imatrix *imatrix,
                                            struct weir_engine *engine, uint32_t tokens,
                                            struct weir_error *err);

struct weir_imatrix_info {
    uint32_t matrices;      /* that have sums; those of the experts of a layer count as one */
    uint32_t experts_unmet; /* in all stacked matrices: experts that no token was routed to */
    uint32_t chunks;
    uint32_t chunk_size; /* tokens */
};
WEIR_API void weir_imatrix_info(const struct weir_imatrix *imatrix, struct weir_imatrix_info *out);

/* Writes a GGUF file, with `dataset` (may be NULL) as name of the text behind those of files that
 * were loaded. Written under a temporary name and renamed. */
WEIR_API enum weir_status weir_imatrix_save(const struct weir_imatrix *imatrix, const char *path,
                                            const char *dataset, struct weir_error *err);

/* ---- sampler --------------------------------------------------------------------------------- */

struct weir_sampler;
struct weir_constraint; /* see grammars */

struct weir_logit_bias {
    int32_t id;
    float bias; /* added to the logit; -INFINITY bans the token */
};

enum { WEIR_DRY_BREAKERS_MAX = 16, WEIR_SAMPLER_CHAIN_MAX = 32 };

struct weir_sampler_options {
    uint64_t seed;                      /* WEIR_SEED_RANDOM: taken from the system */
    char chain[WEIR_SAMPLER_CHAIN_MAX]; /* letters, in order; see weir_sampler_chain_parse */
    float temperature;                  /* 0.8; 0 is greedy */
    float dynatemp_range;               /* 0: off */
    float dynatemp_exponent;            /* 1 */
    int32_t top_k;                      /* 40; 0: off */
    float top_p;                        /* 0.95; 1: off */
    float min_p;                        /* 0.05; 0: off */
    float typical_p;                    /* 1: off */
    float top_n_sigma;                  /* -1: off */
    float xtc_probability;              /* 0: off */
    float xtc_threshold;                /* 0.1 */
    uint32_t min_keep;                  /* 0 */
    int32_t repeat_last_n;              /* 64 tokens; 0: off; -1: the whole context */
    float repeat_penalty;               /* 1: off */
    float frequency_penalty;            /* 0: off */
    float presence_penalty;             /* 0: off */
    float dry_multiplier;               /* 0: off */
    float dry_base;                     /* 1.75 */
    int32_t dry_allowed_length;         /* 2 */
    int32_t dry_penalty_last_n;         /* 64 tokens; 0: off; -1: the whole context */
    const char *dry_breakers[WEIR_DRY_BREAKERS_MAX]; /* newline, colon, double quote, star */
    uint32_t dry_breakers_count;
    uint32_t mirostat;                    /* 0: off, 1, 2 */
    float mirostat_tau;                   /* 5 */
    float mirostat_eta;                   /* 0.1 */
    const struct weir_logit_bias *biases; /* read at open only */
    uint32_t biases_count;
    bool ignore_eos;     /* ban every token that ends generation */
    uint32_t tokens_min; /* the same, for so many tokens; and `ends` with them */
    const int32_t *ends; /* tokens that the caller ends a text at; read at open only */
    uint32_t ends_count;
};

#define WEIR_SEED_RANDOM UINT64_MAX

/* The defaults given in the comments, chain "edskypmxt". */
WEIR_API void weir_sampler_options_init(struct weir_sampler_options *options);

/* Replaces defaults by the model's own recommendation (general.sampling.*), where it has one. */
WEIR_API void weir_sampler_options_from_model(struct weir_sampler_options *options,
                                              const struct weir_model *model);

/* Reads names separated by semicolons ("top_k;temperature") or letters ("kt") into
 * options->chain. An unknown name is WEIR_ERR_ARGUMENT. */
WEIR_API enum weir_status weir_sampler_chain_parse(struct weir_sampler_options *options,
                                                   const char *text, struct weir_error *err);

/* `tokenizer` may be NULL: then DRY has no breakers and nothing ends generation. `context` bounds
 * the history that penalties look at. All memory is taken here. */
WEIR_API enum weir_status weir_sampler_open(struct weir_sampler **out,
                                            const struct weir_sampler_options *options,
                                            uint32_t vocab, uint32_t context,
                                            const struct weir_tokenizer *tokenizer,
                                            struct weir_error *err);
WEIR_API void weir_sampler_close(struct weir_sampler *sampler);

/* Remembers a token, of the prompt or generated, for penalties. */
WEIR_API void weir_sampler_accept(struct weir_sampler *sampler, int32_t id);

/* Chooses from `vocab` logits, which it does not change. Reproducible: the choice depends on the
 * options, the seed, the accepted tokens, and how many tokens were drawn before. */
WEIR_API int32_t weir_sampler_pick(struct weir_sampler *sampler, const float *logits);

/* What the last pick chose from, until that token is accepted: the tokens that biases, constraint
 * and chain had left, likeliest first, of equals in no order, at most `most`. The probability of
 * the token itself is *own, which may be NULL; one that was forced had no other beside it. Returns
 * how many were written. */
struct weir_chance {
    int32_t id;
    float probability;
};
WEIR_API uint32_t weir_sampler_chances(struct weir_sampler *sampler, int32_t picked, float *own,
                                       struct weir_chance *chances, uint32_t most);

WEIR_API uint64_t weir_sampler_seed(const struct weir_sampler *sampler); /* the one in use */

/* From now on the sampler chooses only tokens with which the generated text stays within the
 * constraint's language; a token that ends generation, when the text is complete. If `behind` is
 * not NULL, the constraint begins behind the first text of that kind ("</think>" and what newlines
 * follow it). NULL ends a constraint. The constraint is borrowed. */
WEIR_API enum weir_status weir_sampler_constrain(struct weir_sampler *sampler,
                                                 struct weir_constraint *constraint,
                                                 const char *behind, struct weir_error *err);
/* Whether under its constraint it was allowed to end a text that is not complete, because that can
 * go on in more ways than there is room for. */
WEIR_API bool weir_sampler_is_cut(const struct weir_sampler *sampler);

/* Reasoning, open from now on, is ended after `budget` tokens: at the next whole character the
 * tokens of `closing` are what the sampler chooses, one by one, whatever the logits are. A natural
 * `mark` or "<tool_call>" ends the watch. Needs a tokenizer; closing should contain the mark. */
WEIR_API enum weir_status weir_sampler_limit_reasoning(struct weir_sampler *sampler,
                                                       uint32_t budget, const char *mark,
                                                       const char *closing, struct weir_error *err);

/* ---- chat templates -------------------------------------------------------------------------- */

/* A template makes the text of a conversation that a model continues. It is a program in the
 * language Jinja, which model files carry; a template is immutable. */
struct weir_template;

/* `name` stands for the source in errors, which say line and column; the source is not borrowed.
 * WEIR_ERR_FORMAT for what is no Jinja, WEIR_ERR_UNSUPPORTED for what of it is not known here. */
WEIR_API enum weir_status weir_template_open(struct weir_template **out, const char *source,
                                             size_t length, const char *name,
                                             struct weir_error *err);
/* The model's own; WEIR_ERR_ARGUMENT if its file has none. */
WEIR_API enum weir_status weir_template_open_model(struct weir_template **out,
                                                   const struct weir_model *model,
                                                   struct weir_error *err);
WEIR_API void weir_template_close(struct weir_template *chat_template);
/* What it was opened from, zero-terminated; borrowed. */
WEIR_API const char *weir_template_source(const struct weir_template *chat_template);

/* The source of a built-in template ("chatml"), NULL if there is none of that name; and all names,
 * the list ends with NULL; static. */
WEIR_API const char *weir_template_builtin(const char *name);
WEIR_API const char *const *weir_template_builtins(void);

/* What a template made of a conversation: text, of which it is known which bytes came from the
 * conversation. Only the template's own bytes can be control tokens: what a user writes as
 * "<|im_end|>" ends no message. */
struct weir_prompt;

/* `request` is a JSON object: "messages", "tools", "add_generation_prompt" (true if it is not
 * there) and any other variables of the template. WEIR_ERR_ARGUMENT for what is no such object and
 * for an exception that the template raises, whose text is that of the error; WEIR_ERR_FORMAT for
 * an error of the template on the way, WEIR_ERR_FULL beyond the limits of steps and output. */
WEIR_API enum weir_status weir_template_render(const struct weir_template *chat_template,
                                               struct weir_prompt **out, const char *request,
                                               size_t length, struct weir_error *err);
WEIR_API void weir_prompt_close(struct weir_prompt *prompt);

/* What a server adds to the requests of its clients. */
struct weir_request_options {
    enum weir_switch reasoning; /* of a request that does not say; AUTO: the template decides */
    bool reasoning_preserve;    /* "preserve_thinking", unless the request says */
    const char *variables;      /* JSON object: variables of the template, unless the request has
                                   them; NULL: none */
};

/* The prompt of a request as clients of OpenAI's chat completions write it: roles, parts of
 * contents, calls with arguments as text, tools, "chat_template_kwargs", the spellings of reasoning
 * that weir-template(1) names, a last message of the assistant that is to be continued. Members
 * that are no input of a template are no variables. `options` may be NULL. Errors as above, but
 * ARGUMENT names the message; WEIR_ERR_UNSUPPORTED for parts that are no text, such as images. */
WEIR_API enum weir_status weir_template_render_request(const struct weir_template *chat_template,
                                                       struct weir_prompt **out,
                                                       const char *request, size_t length,
                                                       const struct weir_request_options *options,
                                                       struct weir_error *err);
/* The tools of such a request, as the template was given them: a JSON array for weir_reply_open and
 * weir_grammar_open_calls; borrowed from the prompt. NULL: none. */
WEIR_API const char *weir_prompt_tools(const struct weir_prompt *prompt, size_t *length);

/* Borrowed from the prompt, not zero-terminated. */
WEIR_API const char *weir_prompt_text(const struct weir_prompt *prompt, size_t *length);
/* Whether the text ends within reasoning: its own "<think>", or that of a continued message. */
WEIR_API bool weir_prompt_in_reasoning(const struct weir_prompt *prompt);
/* Whether it leaves it to the reply to begin with reasoning: the text ends with words of the
 * template that neither open a block of it nor close one. */
WEIR_API bool weir_prompt_may_reason(const struct weir_prompt *prompt);

/* The prompt as tokens: writes at most `ids_max` and the number of all to *ids_count. known[] are
 * the tokens of a session, or none: as far as they say what the prompt says they are taken as they
 * are, so what was sampled is not cut into other tokens, nor a call's value spelled otherwise;
 * *reused is how many. If they part, or end in words of the template, a control token ends them. */
WEIR_API enum weir_status weir_prompt_tokens(const struct weir_prompt *prompt,
                                             const struct weir_tokenizer *tokenizer,
                                             const int32_t *known, size_t known_count, int32_t *ids,
                                             size_t ids_max, size_t *ids_count, size_t *reused,
                                             struct weir_error *err);

/* ---- replies --------------------------------------------------------------------------------- */

/* What a model says, taken apart while it comes: reasoning, content, and calls of tools. Any split
 * of the text into pushes gives the same events but for where their texts are cut.
 *
 * No text is lost but marks and the newlines around them, and white space before a "<think>" that
 * the text begins with. What turns out to be no call stays what it stands in, reasoning or content.
 * Once a call is told, what is neither a parameter nor the end of the call breaks it off: it gets
 * no CALL_END, and what stands there and behind it is content, in which other calls may begin. A
 * text that ends within a call leaves it without CALL_END too.
 *
 * Text is told when nothing that may follow makes a mark of it. A value that may be something else
 * than a string is told at its end, and so is a call that is written as a JSON object; more than 4
 * MiB of it are a string, or text. */
struct weir_reply;

enum weir_reply_kind {
    WEIR_REPLY_REASONING, /* more text of the reasoning */
    WEIR_REPLY_CONTENT,   /* more text of the content */
    WEIR_REPLY_CALL,      /* a call begins; the text is the name of the tool */
    WEIR_REPLY_ARGUMENTS, /* more text of its arguments: with CALL_END, a JSON object */
    WEIR_REPLY_CALL_END,  /* it is complete; a call without it was cut off */
};

struct weir_reply_event {
    enum weir_reply_kind kind;
    uint32_t call;    /* of a call, the calls before it; else those so far */
    const char *text; /* borrowed while the event is told */
    size_t length;
};

typedef void weir_reply_fn(void *user, const struct weir_reply_event *event);

enum weir_reasoning_format {
    WEIR_REASONING_APART, /* "deepseek", "auto": reasoning is told apart */
    WEIR_REASONING_NONE,  /* all is content, the marks too */
    WEIR_REASONING_BOTH,  /* "deepseek-legacy": apart, and in the content with its marks */
};

struct weir_reply_options {
    const char *tools; /* the JSON array of the request; NULL, null or an empty one: no tools, so
                          marks of calls are text */
    size_t tools_length;
    bool in_reasoning; /* weir_prompt_in_reasoning of the prompt */
    bool may_reason;   /* weir_prompt_may_reason: "<think>" opens reasoning if the text begins so */
    bool calls_first;  /* behind other content, marks of calls are text of it */
    enum weir_reasoning_format format;
    weir_reply_fn *event;
    void *event_user;
};

WEIR_API void weir_reply_options_init(struct weir_reply_options *options);

/* WEIR_ERR_ARGUMENT for tools that are no array of tools. */
WEIR_API enum weir_status weir_reply_open(struct weir_reply **out,
                                          const struct weir_reply_options *options,
                                          struct weir_error *err);
WEIR_API void weir_reply_close(struct weir_reply *reply);
/* More text: whole characters, as weir_detokenizer_push gives them. Behind a failure, which only
 * want of memory is, the reply is of no more use. */
WEIR_API enum weir_status weir_reply_push(struct weir_reply *reply, const char *text, size_t length,
                                          struct weir_error *err);
/* The text has ended: what was held back is told. Nothing may be pushed behind it. */
WEIR_API enum weir_status weir_reply_finish(struct weir_reply *reply, struct weir_error *err);
/* The same of a text that was cut off by a limit: what was held back is dropped, half a mark or a
 * call that no argument is told of yet. What is told of reasoning and content is then the beginning
 * of what more of the text would tell. */
WEIR_API enum weir_status weir_reply_cut(struct weir_reply *reply, struct weir_error *err);

/* ---- grammars -------------------------------------------------------------------------------- */

/* A language that a text must belong to, immutable. */
struct weir_grammar;

/* GBNF, the notation of llama.cpp; its start is the rule root. WEIR_ERR_ARGUMENT says line and
 * column. */
WEIR_API enum weir_status weir_grammar_open_gbnf(struct weir_grammar **out, const char *text,
                                                 size_t length, struct weir_error *err);
/* The JSON texts that a JSON schema allows. WEIR_ERR_ARGUMENT for what is no schema or allows
 * nothing, WEIR_ERR_UNSUPPORTED for keywords that cannot be kept, each with the place. */
WEIR_API enum weir_status weir_grammar_open_schema(struct weir_grammar **out, const char *schema,
                                                   size_t length, struct weir_error *err);

/* The texts that a regular expression matches from their beginning to their end, of what `pattern`
 * of a schema may be. WEIR_ERR_UNSUPPORTED says which byte is none of that, WEIR_ERR_ARGUMENT that
 * there is no such text. */
WEIR_API enum weir_status weir_grammar_open_pattern(struct weir_grammar **out, const char *pattern,
                                                    size_t length, struct weir_error *err);

struct weir_calls_options {
    bool required;       /* the reply begins with a call; else it may be content alone */
    bool single;         /* one call at most */
    const char *only;    /* name of the tool that may be called; NULL: all */
    const char *content; /* a JSON schema: without `required`, the reply is a call or more, or one
                            such text and no call; NULL: content is free. Borrowed by the call */
    size_t content_length;
};

/* Replies with calls of tools, as weir_reply takes them apart: content, then calls, of each of
 * which the name is that of a tool, and the arguments are what its schema allows. Required
 * parameters come first; up to 8 of a kind in any order. Nothing follows the last call. A parameter
 * whose schema is not supported may be any text or JSON of its types. WEIR_ERR_ARGUMENT for tools
 * that are none, are called alike or have names that no call can hold, and for an `only` not among
 * them; WEIR_ERR_UNSUPPORTED for too many parameters or places. Of options->content as of
 * weir_grammar_open_schema; weir_reply takes such a reply apart with calls_first. `options` may be
 * NULL. */
WEIR_API enum weir_status weir_grammar_open_calls(struct weir_grammar **out, const char *tools,
                                                  size_t length,
                                                  const struct weir_calls_options *options,
                                                  struct weir_error *err);
WEIR_API void weir_grammar_close(struct weir_grammar *grammar);

enum weir_match { WEIR_MATCH_NOT, WEIR_MATCH_PREFIX, WEIR_MATCH_WHOLE };

/* Whether a text belongs to the language, or could with more text behind it. */
WEIR_API enum weir_status weir_grammar_match(const struct weir_grammar *grammar, const char *text,
                                             size_t length, enum weir_match *out,
                                             struct weir_error *err);

/* A grammar and a tokenizer: which tokens may come next. Keeps what it has found out, so several
 * samplers should share one, in one thread at a time. Borrows both. */
struct weir_constraint;

WEIR_API enum weir_status weir_constraint_open(struct weir_constraint **out,
                                               const struct weir_grammar *grammar,
                                               const struct weir_tokenizer *tokenizer,
                                               struct weir_error *err);
WEIR_API void weir_constraint_close(struct weir_constraint *constraint);
/* Whether, since the first of the samplers that now use it was constrained, a token was refused
 * that the grammar may allow, because texts can go on in more ways than there is room for. They are
 * still the grammar's, but not all could be chosen. True if one of them was cut. */
WEIR_API bool weir_constraint_is_narrow(const struct weir_constraint *constraint);

/* ---- speculation ----------------------------------------------------------------------------- */

/* A step of a few tokens takes little longer than a step of one. So drafts of the next tokens are
 * made by something cheap, and one step verifies them all: of the rows of logits behind them, the
 * sampler chooses token by token, as long as it chooses what was drafted. Every token is chosen
 * from the logits behind the tokens before it, which are the same to the bit, by the same draws: so
 * the text is the one that there is without drafts, at any temperature.
 *
 * A round is a draft, the caller's step, and what the sampler accepts of it; weir_speculator_round
 * does all three. A step may hold rounds of several sessions. */
struct weir_speculator;

enum weir_draft_kind {
    WEIR_DRAFT_NONE,  /* rounds of one token */
    WEIR_DRAFT_MTP,   /* by the engine's block of multi-token prediction */
    WEIR_DRAFT_NGRAM, /* what followed when the newest tokens stood in the text before */
    WEIR_DRAFT_MODEL, /* by another model with the same vocabulary */
};

enum { WEIR_DRAFTS_MAX = 15, WEIR_ROUND_TOKENS_MAX = 1 + WEIR_DRAFTS_MAX };

struct weir_speculator_options {
    enum weir_draft_kind kind;
    uint32_t drafts_max; /* of a round, 1 to WEIR_DRAFTS_MAX: the engine's rewind_max, step_rows_max
                            and logits_rows_max must be larger */
    uint32_t drafts_min; /* fewer are not verified; 0 */
    float p_min;         /* drafting stops before a token that is less likely among the ten most
                            likely ones; 0: never. Not for n-grams */
    bool fixed;          /* always drafts_max, for measurements. Else how many is found from the
                            times of steps and drafts and from what was accepted; none, where drafts
                            do not help */
    uint32_t ngram_size; /* newest tokens that are looked for, 12 */
    struct weir_session *draft_session;     /* for MODEL: of an engine with rewind_max at least
                                           drafts_max; borrowed, for this alone */
    const struct weir_tokenizer *tokenizer; /* whose tokens end generation, borrowed; NULL: none */
    const struct weir_tokenizer *draft_tokenizer; /* for MODEL: must have the same tokens; NULL: not
                                                     checked. Read at open only */
};

/* The defaults: kind NONE, drafts_max 3, and those of the comments. */
WEIR_API void weir_speculator_options_init(struct weir_speculator_options *options);

/* Drafts for `session`, which must outlive it. The session may hold tokens already. */
WEIR_API enum weir_status weir_speculator_open(struct weir_speculator **out,
                                               struct weir_session *session,
                                               const struct weir_speculator_options *options,
                                               struct weir_error *err);
WEIR_API void weir_speculator_close(struct weir_speculator *speculator);

/* weir_session_eval, which the drafts learn from. What else evaluates tokens is found out, but
 * takes drafts from the next round. */
WEIR_API enum weir_status weir_speculator_prompt(struct weir_speculator *speculator,
                                                 const int32_t *tokens, uint32_t count,
                                                 enum weir_logits logits, struct weir_error *err);

/* The same for tokens that a weir_engine_step of the caller's has evaluated in the session, before
 * the engine's next step; else WEIR_ERR_ARGUMENT. */
WEIR_API enum weir_status weir_speculator_taken(struct weir_speculator *speculator,
                                                const int32_t *tokens, uint32_t count,
                                                struct weir_error *err);

/* Begins a round behind `last`, the newest token, which the session does not hold yet: *tokens are
 * *count tokens for its next step, `last` and the drafts, borrowed until the next draft. Of the
 * round, at most `most` tokens are wanted, at least 1. Marks the session if there are drafts. */
WEIR_API enum weir_status weir_speculator_draft(struct weir_speculator *speculator, int32_t last,
                                                uint32_t most, const int32_t **tokens,
                                                uint32_t *count, struct weir_error *err);

/* The same with so many drafts, or as many as there are and room is for: for who steps several
 * sessions together, and so knows better what a draft takes and is worth there. The speculator's
 * own choices take no notice of such a round. */
WEIR_API enum weir_status weir_speculator_draft_exactly(struct weir_speculator *speculator,
                                                        int32_t last, uint32_t drafts,
                                                        const int32_t **tokens, uint32_t *count,
                                                        struct weir_error *err);

/* Ends the round behind a step of its tokens with WEIR_LOGITS_ALL and before any other step of the
 * engine: chooses *count tokens for out[WEIR_ROUND_TOKENS_MAX], which the sampler accepts; the last
 * is the `last` of the next round, and the session holds all before it. One that ends generation is
 * the last. `step_ns` is what the step took if it held this session alone; 0: not known. If never,
 * as many tokens are drafted as may be. WEIR_ERR_ARGUMENT without such a step. */
WEIR_API enum weir_status weir_speculator_accept(struct weir_speculator *speculator,
                                                 struct weir_sampler *sampler, uint64_t step_ns,
                                                 int32_t *out, uint32_t *count,
                                                 struct weir_error *err);

/* A whole round. */
WEIR_API enum weir_status weir_speculator_round(struct weir_speculator *speculator,
                                                struct weir_sampler *sampler, int32_t last,
                                                uint32_t most, int32_t *out, uint32_t *count,
                                                struct weir_error *err);

/* Of all rounds since it was opened. */
struct weir_speculator_info {
    uint64_t rounds;
    uint64_t tokens;           /* that they gave */
    uint64_t drafts, accepted; /* drafts that were verified, and of them those that were chosen */
    uint64_t made_at[WEIR_DRAFTS_MAX], accepted_at[WEIR_DRAFTS_MAX]; /* the same by place */
    uint64_t rounds_of[WEIR_ROUND_TOKENS_MAX];                       /* by drafts, none first */
    uint64_t draft_ns, step_ns; /* that drafts took, and steps as far as accept was told */
};

WEIR_API void weir_speculator_info(const struct weir_speculator *speculator,
                                   struct weir_speculator_info *out);

/* ---- conversations --------------------------------------------------------------------------- */

/* A conversation in one session: messages in, a reply out, event by event. Of each prompt only what
 * the session does not hold yet is evaluated: what was said is not read again, as far as the
 * template repeats it, and behind a message that is taken back the conversation goes on from a
 * checkpoint. Of these there are two for a reply, where the question begins and where the reply
 * does; when room is wanted, those go that save least: near to another, or far back. */
struct weir_chat;

struct weir_chat_options {
    const char *system;         /* message; NULL: none, or as it is (weir_chat_set) */
    const char *tools;          /* JSON array of tools; NULL: none */
    const char *variables;      /* JSON object: further variables of the template; NULL: none */
    enum weir_switch reasoning; /* "enable_thinking"; AUTO: the template decides */
    bool reasoning_preserve;    /* "preserve_thinking": old reasoning stays in the prompt */
    enum weir_reasoning_format reasoning_format;
    int32_t reasoning_budget;      /* tokens; -1: any number */
    const char *reasoning_closing; /* said before the mark that ends reasoning; NULL: nothing */
    const struct weir_grammar *grammar; /* of the content; NULL: free. Borrowed */
    bool calls_free; /* else, with tools alone, that of weir_grammar_open_calls, if they make one */
    struct weir_calls_options calls;           /* `only` is copied */
    struct weir_sampler_options sampler;       /* each reply has draws of its own: see info.seed */
    struct weir_speculator_options speculator; /* the tokenizer is filled in */
    uint32_t reply_tokens_max;                 /* 0: any number */
    uint32_t checkpoints_max; /* weir_checkpoints to go back to, 8; none: all is read again */
    const char *const *stops; /* texts that end a reply and are not part of it */
    uint32_t stops_count;
    weir_reply_fn *event;        /* may be NULL */
    bool (*proceed)(void *user); /* asked between rounds: false ends the reply; may be NULL */
    void *user;                  /* of both */
};

/* The defaults: no limits, checkpoints_max 8, those of sampler and speculator, and NULL. */
WEIR_API void weir_chat_options_init(struct weir_chat_options *options);

/* Texts and lists of the options are copied. A session that is not empty should hold what
 * weir_chat_load is given: what it holds else is forgotten. Session, tokenizer and template are
 * borrowed, the session for this alone, and a grammar and a draft session of the options too.
 * WEIR_ERR_ARGUMENT for tools that are no JSON array, variables that are no object, and what the
 * sampler or the speculator refuse. */
WEIR_API enum weir_status weir_chat_open(struct weir_chat **out, struct weir_session *session,
                                         const struct weir_tokenizer *tokenizer,
                                         const struct weir_template *chat_template,
                                         const struct weir_chat_options *options,
                                         struct weir_error *err);
WEIR_API void weir_chat_close(struct weir_chat *chat);

/* Adds a message of "user", "tool" or another role that the template knows. WEIR_ERR_ARGUMENT for
 * what is no UTF-8. */
WEIR_API enum weir_status weir_chat_add(struct weir_chat *chat, const char *role, const char *text,
                                        size_t length, struct weir_error *err);

enum weir_chat_end {
    WEIR_CHAT_STOP,    /* the model, or a text to stop at, ended the reply */
    WEIR_CHAT_CALLS,   /* the same, with calls of tools: answer each with a message of "tool" */
    WEIR_CHAT_LENGTH,  /* reply_tokens_max, or the context is full */
    WEIR_CHAT_STOPPED, /* proceed said so */
};

struct weir_chat_info {
    enum weir_chat_end end;
    uint32_t prompt_tokens;  /* of the whole prompt */
    uint32_t reused_tokens;  /* of them, those that were not evaluated */
    uint32_t reply_tokens;   /* sampled; one that ends the reply too */
    uint32_t context_tokens; /* of prompt and reply, of weir_engine_context */
    uint64_t prompt_ns, reply_ns;
    uint64_t seed; /* of the sampler: for the first reply that of the options, then made of it and
                      the number of replies before, or random */
    struct weir_speculator_info rounds; /* of all replies under these options */
};

/* Generates the reply to the messages so far, and adds it to them: content, reasoning_content if
 * there was any, and the calls of tools that are complete. On failure, which may also be one of
 * weir_template_render, the messages are as before; WEIR_ERR_FULL says that they do not fit into
 * the context, WEIR_ERR_CANCELLED that the engine's progress ended the evaluation, and
 * WEIR_ERR_ARGUMENT that the last message is a reply already, or there is none. A reply that was
 * cut off is kept as far as it came. */
WEIR_API enum weir_status weir_chat_reply(struct weir_chat *chat, struct weir_chat_info *out,
                                          struct weir_error *err);

/* Forgets the messages from the last one of the role on; false if there is none. With "assistant"
 * the next reply is another try, with "user" the last question was never asked. */
WEIR_API bool weir_chat_undo(struct weir_chat *chat, const char *role);
WEIR_API void weir_chat_clear(struct weir_chat *chat); /* but for the system message */
/* Takes the session back to where any next prompt goes on from, for weir_session_save: with a
 * template that does not repeat what the model was told or has reasoned, that is before the last
 * reply, and checkpoints are no part of a file. */
WEIR_API enum weir_status weir_chat_settle(struct weir_chat *chat, struct weir_error *err);
/* Other options from the next reply on; events too. On failure all is as before. */
WEIR_API enum weir_status weir_chat_set(struct weir_chat *chat,
                                        const struct weir_chat_options *options,
                                        struct weir_error *err);

/* The messages as a JSON array, the system message first, and back. Loading replaces all messages,
 * that one too, and draws go on behind their replies; WEIR_ERR_ARGUMENT for what is no array of
 * objects with a role. Members that a reply has not, as "name", are kept and given to templates. */
WEIR_API enum weir_status weir_chat_save(const struct weir_chat *chat, weir_write_fn *write,
                                         void *user, struct weir_error *err);
WEIR_API enum weir_status weir_chat_load(struct weir_chat *chat, const char *json, size_t length,
                                         struct weir_error *err);

/* ---- synthetic models ------------------------------------------------------------------------ */

struct weir_synth_options {
    const char *size;        /* "0.8B", ...: weir_synth_sizes */
    const char *type;        /* "q4_0", ...: type of the matrices; or a mixture of weir_quantize */
    const char *output_type; /* of the head and a tied embedding; NULL: type, or the mixture's */
    uint64_t seed;
    uint32_t layers;            /* trunk layers, a multiple of 4; 0: as the public model */
    uint32_t vocab;             /* 0: as the public model */
    bool mtp;                   /* one MTP block at the end */
    bool f32_gates;             /* ssm_alpha and ssm_beta as F32 */
    weir_progress_fn *progress; /* may be NULL */
    void *progress_user;
};

WEIR_API void weir_synth_options_init(struct weir_synth_options *options);
/* The known sizes and types, zero-terminated names, the lists end with NULL; static. */
WEIR_API const char *const *weir_synth_sizes(void);
WEIR_API const char *const *weir_synth_types(void);

/* Writes a GGUF file of made-up weights at the shape of a public model. The same options give the
 * same bytes. Written under a temporary name and renamed; nothing is left behind on failure. */
WEIR_API enum weir_status weir_synth(const char *path, const struct weir_synth_options *options,
                                     struct weir_error *err);

/* Hands the bytes that such a file begins with, up to the first weight, to `write`: what
 * weir_model_open_header takes. No weight is made, so it may also be of a type of which weir_synth
 * makes none: any that weights can have, by its name in small letters. */
WEIR_API enum weir_status weir_synth_header(const struct weir_synth_options *options,
                                            weir_write_fn *write, void *user,
                                            struct weir_error *err);

/* Writes a checkpoint folder of Hugging Face, which must not exist yet, with the model that
 * weir_synth writes as GGUF file: the one converts to the other. Of type f32, f16 or bf16; NULL
 * options are the defaults, but for type bf16. */
WEIR_API enum weir_status weir_synth_checkpoint(const char *path,
                                                const struct weir_synth_options *options,
                                                struct weir_error *err);

/* ---- splitting and merging ------------------------------------------------------------------- */

struct weir_split_options {
    uint32_t tensors_max; /* tensors of one file, 128; 0: any number */
    uint64_t bytes_max;   /* bytes of one file's tensors, each rounded up to 32; 0: any number */
    bool bare_first;      /* the first file holds the metadata alone */
    weir_progress_fn *progress; /* may be NULL */
    void *progress_user;
};

WEIR_API void weir_split_options_init(struct weir_split_options *options);

/* Copies the model `path` (a file, or the first of its splits) into the files
 * "PREFIX-00001-of-0000N.gguf" and so on, which together are that model. The metadata stand in the
 * first. Nothing is replaced: a file of such a name is WEIR_ERR_ARGUMENT. All files are written
 * under temporary names and renamed at the end; on failure none is there, or the error names what
 * could not be taken back. */
WEIR_API enum weir_status weir_split(const char *path, const char *prefix,
                                     const struct weir_split_options *options,
                                     struct weir_error *err);

/* Prints what weir_split would write, without looking at what is there: a line for each file, with
 * its tensors and bytes, and the sums. */
WEIR_API enum weir_status weir_split_print(const char *path, const char *prefix,
                                           const struct weir_split_options *options,
                                           weir_write_fn *write, void *user,
                                           struct weir_error *err);

struct weir_merge_options {
    weir_progress_fn *progress; /* may be NULL */
    void *progress_user;
};

/* Copies the model whose first split is `path` into the one file `target`, which must not be there
 * yet. A model that is not split is WEIR_ERR_ARGUMENT. */
WEIR_API enum weir_status weir_merge(const char *path, const char *target,
                                     const struct weir_merge_options *options,
                                     struct weir_error *err);

/* ---- quantizing ------------------------------------------------------------------------------ */

/* What weir_quantize can make: a mixture of tensor types, known by the name of its file type. */
struct weir_quantize_type {
    const char *name;    /* "Q4_K_M" */
    const char *summary; /* bits per weight of a 9B model, and what it is for */
};

/* All of them; the list ends with a name that is NULL; static. */
WEIR_API const struct weir_quantize_type *weir_quantize_types(void);

/* What a word says as `type` below, a name in any case of letters, an alias of one or the number of
 * its file type: the name or alias as it is written; NULL if it says none; static. */
WEIR_API const char *weir_quantize_type_name(const char *word);

struct weir_quantize_options {
    uint32_t threads;           /* 0: physical cores; the bytes do not depend on it */
    bool allow_requantize;      /* also quantize what is quantized already */
    bool keep_output;           /* output.weight stays as it is */
    bool pure;                  /* one type for all matrices, not a mixture */
    const char *output_type;    /* "Q8_0": of the head, or a tied embedding; NULL: by the mixture */
    const char *embedding_type; /* of token_embd.weight; NULL: by the mixture */
    /* "PATTERN=TYPE": a tensor whose name the extended regular expression is found in gets the
     * type; the first that is found decides. Without effect on float types and with `pure`. */
    const char *const *tensor_types;
    uint32_t tensor_types_count;
    const char *imatrix; /* file of an importance matrix; NULL: none */
    /* parts of names: the matrix is used only for tensors with one of them, or not for these */
    const char *const *include_weights;
    uint32_t include_weights_count;
    const char *const *exclude_weights;
    uint32_t exclude_weights_count;
    const char *const *overrides; /* "KEY=TYPE:VALUE", as for weir_model_open */
    uint32_t overrides_count;
    weir_log_fn *log; /* may be NULL */
    void *log_user;
    weir_progress_fn *progress; /* may be NULL */
    void *progress_user;
};

/* The defaults: every field 0. */
WEIR_API void weir_quantize_options_init(struct weir_quantize_options *options);

/* Writes the model `in` (a GGUF file, or the first of its splits) to the single file `out` with
 * tensors of other types. `type` is a word for one of weir_quantize_types. Everything that can be
 * checked without reading weights is checked before anything is written. Written under a temporary
 * name and renamed; nothing is left behind on failure. Takes the memory of some rows, not of a
 * tensor. */
WEIR_API enum weir_status weir_quantize(const char *in, const char *out, const char *type,
                                        const struct weir_quantize_options *options,
                                        struct weir_error *err);

/* Prints what weir_quantize would do: a line for each tensor, then totals. Checks the same. */
WEIR_API enum weir_status weir_quantize_print(const char *in, const char *type,
                                              const struct weir_quantize_options *options,
                                              weir_write_fn *write, void *user,
                                              struct weir_error *err);

/* Prints the rules by which a mixture chooses. */
WEIR_API enum weir_status weir_quantize_print_rules(const char *type, weir_write_fn *write,
                                                    void *user, struct weir_error *err);

/* ---- converting checkpoints ------------------------------------------------------------------ */

enum weir_convert_type { WEIR_CONVERT_AUTO, WEIR_CONVERT_F32, WEIR_CONVERT_F16, WEIR_CONVERT_BF16 };

struct weir_convert_options {
    enum weir_convert_type type; /* of the matrices; AUTO: each as in the checkpoint */
    bool mtp;                    /* also the block of multi-token prediction, if there is one */
    const char *name;            /* of the model, in the file; NULL: that of the folder */
    weir_log_fn *log;            /* may be NULL */
    void *log_user;
    weir_progress_fn *progress; /* may be NULL */
    void *progress_user;
};

/* The defaults: AUTO, with MTP, no name, no callbacks. */
WEIR_API void weir_convert_options_init(struct weir_convert_options *options);

/* Writes the GGUF file `path` from a checkpoint folder of Hugging Face: config.json,
 * tokenizer.json, and model.safetensors or its shards. Models of type qwen3_5, qwen3_5_moe and
 * qwen3_next, their text part alone; others are WEIR_ERR_UNSUPPORTED. Needs little memory, whatever
 * the size of the model. Written under a temporary name and renamed; nothing is left behind on
 * failure. `options` may be NULL. */
WEIR_API enum weir_status weir_convert(const char *folder, const char *path,
                                       const struct weir_convert_options *options,
                                       struct weir_error *err);

#ifdef __cplusplus
}
#endif

#endif
