/* SPDX-License-Identifier: MIT
 * All that the flags of the program can set. Knows no flag and no command. */
#ifndef APP_OPTIONS_H
#define APP_OPTIONS_H

#include "app/number_list.h"
#include "weir.h"

/* Texts that belong to the list. */
struct text_list {
    char **items;
    uint64_t count;
    uint64_t capacity;
};

struct bias_list {
    struct weir_logit_bias *items;
    uint64_t count;
    uint64_t capacity;
};

/* Lists that are empty have their default. */
struct bench_options {
    struct text_list models;
    struct number_list prompts, generations, depths;
    struct number_list pairs; /* prompt, generation, prompt, generation, ... */
    struct number_list batches, step_rows, threads;
    struct number_list cache_k, cache_v; /* enum weir_cache_type */
    struct number_list loads;            /* places in "none|mmap|mlock|mmap+mlock" */
    int32_t repetitions;
    int32_t delay;         /* seconds between tests */
    int32_t format;        /* enum bench_format, on standard output */
    int32_t format_errors; /* the same, on standard error */
    bool progress;
    bool bytes;
    bool probe;
    bool no_warmup;
};

enum profile_mode { PROFILE_DECODE, PROFILE_PREFILL, PROFILE_VERIFY };
enum profile_by {
    PROFILE_BY_KIND,
    PROFILE_BY_ROLE,
    PROFILE_BY_LAYER,
    PROFILE_BY_CLASS,
    PROFILE_BY_TOTAL,
};
enum profile_form {
    PROFILE_TABLE,
    PROFILE_JSON,
    PROFILE_CSV,
    PROFILE_HTML,
    PROFILE_TRACE,
    PROFILE_FOLDED,
};

/* Lists that are empty have their default. */
struct profile_options {
    const char *size;         /* of a public model that is not there; NULL: the model is a file */
    const char *type;         /* of its matrices; NULL: as weir_synth_options_init says */
    const char *output_type;  /* of its head and a tied embedding; NULL: the same */
    struct number_list modes; /* enum profile_mode */
    struct number_list contexts;  /* tokens that stand before */
    struct number_list sequences; /* of a step */
    struct number_list prompts;   /* tokens of a prefill */
    struct number_list drafts;    /* that a verification checks */
    struct number_list threads;   /* 0: one for each core */
    int32_t repetitions;          /* 0: by the mode */
    int32_t form;                 /* enum profile_form */
    struct number_list by;        /* enum profile_by */
    double bandwidth;             /* GB/s that replaces what is measured; 0: not given */
    struct text_list diff;        /* none, or two files to compare: an older and a newer one */
    float tolerance;              /* percent by which the newer may be worse */
    bool check;
    bool operand_bytes;
};

struct chat_options {
    const char *system, *system_file; /* at most one; NULL: none */
    const char *template_text, *template_file;
    const char *variables;    /* a JSON object; NULL: none */
    int32_t reasoning_budget; /* tokens; -1: any number */
    const char *reasoning_closing;
    bool reasoning_preserve;
    bool single_turn;
    bool multiline;          /* a message goes on until a line ends in a backslash */
    const char *tool_choice; /* "auto", "required", "none" or a tool's name */
    bool tools_single;       /* one call an answer at most */
    bool tools_free;         /* calls are not held to the tools */
    enum weir_switch color;
};

struct serve_options {
    const char *host, *prefix, *alias;
    int32_t port;
    bool reuse_port;
    int32_t socket_mode;       /* of a Unix socket */
    const char *keys;          /* with commas; NULL: none */
    const char *key_file;      /* one a line; NULL: none */
    struct text_list key_list; /* of both, by the command */
    const char *allowed_hosts; /* NULL: see serve/http.h */
    const char *cors_origins, *cors_methods, *cors_headers;
    bool cors_credentials;
    int32_t slots;      /* -1: as many as fit, up to a few */
    uint64_t cache_ram; /* bytes; UINT64_MAX: all that is free */
    int32_t ping_s;     /* 0 and less: none */
    int32_t timeout_s;  /* for a request to arrive, for a client to take what is sent */
    int32_t request_s;  /* for an answer to be complete; 0: any time */
    int32_t drain_s;    /* the same when the program is ended */
    int32_t body_mib, connections_max, queue_max;
    bool metrics, metrics_public, props, slots_shown, page, access_log;
    bool cache_prompt, prefill_assistant;
    const char *slot_save_path; /* a folder; NULL: none */
};

struct log_options {
    int32_t level; /* 0: nothing; else the highest enum weir_log_level that is shown */
    bool disabled;
    bool prefix;
    bool timestamps;
    enum weir_switch colors;
    const char *file; /* also write there; NULL: nowhere */
};

struct spec_options {
    int32_t kind;       /* enum weir_draft_kind */
    int32_t drafts_max; /* -1: by the kind */
    int32_t drafts_min;
    float p_min;
    int32_t ngram_size, ngram_drafts;
    int32_t vocab;     /* tokens that the block of multi-token prediction drafts; 0: all */
    const char *model; /* that drafts; NULL: none */
};

/* How requests name the formats of reasoning. */
enum reasoning_word { FORMAT_NONE, FORMAT_DEEPSEEK, FORMAT_DEEPSEEK_LEGACY, FORMAT_AUTO };

/* Texts point into argv or the environment unless a list owns them. */
struct options {
    bool help;
    bool version;
    bool list_devices;

    /* model and engine */
    const char *model;
    struct text_list overrides;
    struct weir_engine_options engine;
    uint32_t batch; /* the logical batch of llama.cpp: bounds engine.step_rows_max */

    /* input: at most one of the five is set */
    const char *prompt;
    const char *prompt_file;
    const char *prompt_binary;
    const char *tokens;
    bool prompt_stdin;
    bool escape;

    /* run; predict of eval too */
    bool warmup;
    int32_t predict; /* -1: until generation ends */
    bool ids;        /* tokenize too */
    bool special;
    bool show_prompt;
    bool show_timings;
    const char *cache_dir; /* NULL: none */
    uint64_t cache_bytes;
    const char *session; /* a file; NULL: none */
    struct text_list stops;
    const char *grammar, *grammar_file, *schema, *schema_file; /* at most one */
    struct weir_sampler_options sampler;
    struct text_list breakers; /* replace the sampler's, if breakers_given */
    bool breakers_given;
    struct bias_list biases;
    struct spec_options spec;
    struct chat_options chat; /* which also has the input, predict, show_prompt, show_timings,
                                 session, stops, sampling and drafts of run */

    struct serve_options
        serve; /* which also has cache_dir, predict, sampling and drafts of run, and
                                   of chat the template and reasoning */

    /* tokenize */
    bool add_special;
    bool parse_special;
    bool show_count;

    /* template */
    const char *request;        /* a file with a conversation; NULL: none */
    const char *client_request; /* the same as a client writes it */
    const char *chat_template;  /* a file or a built-in name; NULL: the model's own */
    const char *parse;          /* a file with a reply */
    const char *tools;          /* a file with the tools of a request; NULL: none */
    int32_t reasoning;          /* enum weir_switch */
    int32_t reasoning_format;   /* enum reasoning_word */

    /* inspect */
    bool weights;
    bool plan;
    bool memory;
    struct weir_plan_shape shape;

    /* eval */
    const char *logits;
    const char *kl_base; /* written; read if kl_divergence */
    bool kl_divergence;
    const char *kl; /* read */
    bool step;
    int32_t chunks;     /* of imatrix too; -1: all */
    int32_t mtp_chain;  /* drafts behind the logits of the MTP block; -1: the model's logits */
    int32_t mtp_drafts; /* of a chain whose acceptance is counted; 0: not asked for */

    /* imatrix */
    struct text_list in_files;
    bool process_output;

    /* run, synth, imatrix, quantize, convert, split, merge; dry_run also profile */
    const char *output;
    const char *checkpoint; /* a folder */
    struct weir_synth_options synth;
    struct weir_split_options split; /* tensors_max 0: not given */
    bool merge;
    bool dry_run;

    /* quantize: the lists are not yet in its options */
    struct weir_quantize_options quantize;
    struct text_list tensor_types;
    struct text_list include_weights;
    struct text_list exclude_weights;
    const char *type;
    const char *recipe; /* another name for the type */
    struct weir_convert_options convert;

    struct bench_options bench;
    struct profile_options profile;

    struct log_options log;
};

void options_init(struct options *options);
void options_release(struct options *options);

enum weir_reasoning_format options_reasoning_format(const struct options *options);

/* Appends a copy of the text. */
enum weir_status text_list_add(struct text_list *list, const char *text, size_t length,
                               struct weir_error *err);

#endif
