/* SPDX-License-Identifier: MIT
 * The commands of the program: each a function that does its work on parsed options. */
#ifndef APP_COMMAND_H
#define APP_COMMAND_H

#include "app/args.h"
#include "app/log.h"
#include "app/output.h"

struct call {
    struct options *options;
    const enum given *given; /* which flags, by their place in flag_table */
    struct log *log;
    int *exit_status; /* of the program if all goes well: 0, unless the command sets another */
};

typedef enum weir_status command_fn(const struct call *call, struct weir_error *err);

struct command {
    const char *name;
    enum command_id id;
    /* the flags that words without a flag are values of, in order; NULL behind the last */
    const char *bare[BARE_MAX + 1];
    enum weir_cache_type cache; /* by default: F32 where a model is measured, not used */
    command_fn *run;
    const char *usage;         /* behind the name */
    const char *summary;       /* one line */
    const char *details;       /* of the help */
    const char *familiar_name; /* of the program elsewhere whose flags it takes; NULL: none */
    void (*help)(struct output *output); /* prints what the help ends with; NULL: nothing */
};

command_fn command_run, command_chat, command_inspect, command_tokenize, command_synth,
    command_eval;
command_fn command_imatrix, command_split, command_merge, command_quantize;
command_fn command_convert, command_bench, command_profile, command_template, command_serve;

/* The types that weir quantize knows. */
void quantize_help(struct output *output);
void sizes_help(struct output *output); /* of public models: of synth and profile */

/* For command_eval: the perplexity of a text or of token ids, saved to options->kl_base if that is
 * given; the comparison with a base that was saved so. */
command_fn perplexity_run, kl_compare_run;

/* For command_profile: compares two files. Sets the exit status to 3 if the newer is worse. */
command_fn profile_compare_run;

#endif
