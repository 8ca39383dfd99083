/* SPDX-License-Identifier: MIT
 * The flags of the program: one table, from which the parser and the help derive. */
#ifndef APP_ARGS_H
#define APP_ARGS_H

#include "app/options.h"

enum command_id {
    COMMAND_RUN = 1,
    COMMAND_INSPECT = 2,
    COMMAND_TOKENIZE = 4,
    COMMAND_SYNTH = 8,
    COMMAND_EVAL = 16,
    COMMAND_IMATRIX = 32,
    COMMAND_QUANTIZE = 64,
    COMMAND_BENCH = 128,
    COMMAND_SPLIT = 256,
    COMMAND_MERGE = 512,
    COMMAND_CONVERT = 1024,
    COMMAND_PROFILE = 2048,
    COMMAND_TEMPLATE = 4096,
    COMMAND_CHAT = 8192,
    COMMAND_SERVE = 16384,
};

enum flag_kind {
    FLAG_SECTION, /* not a flag: a heading of the help */
    FLAG_SWITCH,  /* sets a field to `low`; to `high` if the value says no */
    FLAG_INTEGER, /* from `low` to `high` */
    FLAG_REAL,    /* from `low` to `high` */
    FLAG_TEXT,
    FLAG_CHOICE, /* sets a field to `low` + the place of the word in `value` ("f32|f16") */
    FLAG_LIST,   /* appends to a number_list: numbers from `low` to `high`; or, if `value` is words
                    ("f32|f16"), `low` + their places */
    FLAG_CALL,   /* `call` reads the value */
    FLAG_IGNORED,
    FLAG_REFUSED,
};

struct flag;
typedef enum weir_status flag_call_fn(struct options *options, const char *value,
                                      struct weir_error *err);

struct flag {
    enum flag_kind kind;
    const char *names;  /* "-t, --threads" */
    const char *value;  /* placeholder of the value; NULL if it takes none */
    unsigned commands;  /* enum command_id, combined */
    const char *env;    /* environment variable; NULL: none */
    size_t offset;      /* of the field in struct options */
    size_t size;        /* of the field; 0: none */
    double low, high;   /* see the kinds */
    flag_call_fn *call; /* of FLAG_CALL */
    const char *help;   /* one sentence; of an ignored or refused flag, why */
};

extern const struct flag flag_table[];
extern const uint32_t flag_count;

enum { BARE_MAX = 4 };

/* Where a flag's value comes from. */
enum given { GIVEN_NOT, GIVEN_BY_ENVIRONMENT, GIVEN_BY_WORD };

/* Sets `options` (after options_init) from the environment, then from the words, by the flags that
 * `command` knows. Every flag that was given is marked in given[flag_count]. The i-th word that is
 * no flag is the value of flag bare_flags[i]: at most BARE_MAX names of the command's
 * flags. */
enum weir_status args_parse(struct options *options, enum command_id command,
                            const char *const *bare_flags, int argc, char **argv, enum given *given,
                            struct weir_error *err);

/* Sets what the command's flag of this name does, which takes a value. Errors begin with `source`,
 * where the value comes from. */
enum weir_status args_set(struct options *options, enum command_id command, const char *name,
                          const char *source, const char *value, struct weir_error *err);

/* Where the value of the command's flag of this name comes from. */
enum given args_given(const enum given *given, enum command_id command, const char *name);

#endif
