/* SPDX-License-Identifier: MIT
 * Runs the program under test as a user does: words, standard input, and what came back. */
#ifndef TESTS_CLI_PROGRAM_H
#define TESTS_CLI_PROGRAM_H

#include "test.h"

enum { PROGRAM_WORDS_MAX = 24 };

struct program_result {
    int status; /* exit status; 128 + signal if a signal ended it */
    char *out;  /* standard output, a zero behind it */
    size_t out_size;
    char *err; /* standard error, likewise */
    size_t err_size;
};

struct program_call {
    const char *words[PROGRAM_WORDS_MAX]; /* without the program's own name; NULL ends them */
    const char *input;                    /* standard input; NULL: empty */
    const char *environment;              /* "NAME=VALUE" added to the environment, or NULL */
    const char *out_path;                 /* standard output goes there instead; NULL: captured */
    bool out_unread;                      /* standard output is a pipe that nobody reads */
    const char *name;                     /* argv[0]; NULL: the program's path */
    bool terminal;                        /* standard error is a terminal */
    size_t interrupt_after; /* a signal once so many bytes came of both outputs; 0: never */
    int interrupt_signal;   /* 0: SIGINT */
    bool hangup_ignored;    /* as nohup does */
    size_t file_bytes_max;  /* limit of the size of its files; 0: as inherited */
};

/* Runs to the end, at most a minute. The result is in static memory until the next call. */
const struct program_result *run_program(const struct program_call *call);

#define RUN_PROGRAM(...) run_program(&(struct program_call){.words = {__VA_ARGS__}})

/* The program refused: status 1, nothing on standard output, and on standard error exactly the
 * line "error: TEXT". */
#define CHECK_REFUSED(result, text) program_check_refused(__FILE__, __LINE__, result, text)
void program_check_refused(const char *file, int line, const struct program_result *result,
                           const char *text);

/* Fails unless `text` stands in `where`. */
#define CHECK_HAS(where, text) program_check_has(__FILE__, __LINE__, where, text)
void program_check_has(const char *file, int line, const char *where, const char *text);

/* A device that takes no byte, for out_path alone: the program itself must never open it, since
 * then a flaw could replace it. Skips the test where it is not that device. */
const char *program_full_device(void);

/* How many entries of the folder of `path` have a name that begins with that of `path`. */
int program_count_files(const char *path);

#endif
