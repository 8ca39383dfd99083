/* SPDX-License-Identifier: MIT
 * The program's standard error: lines with a level, and a progress line on a terminal. */
#ifndef APP_LOG_H
#define APP_LOG_H

#include <stdio.h>

#include "app/options.h"

enum { LOG_LINE_MAX = 1024 };

struct log {
    struct log_options options;
    FILE *file; /* NULL: none */
    uint64_t start_ns;
    bool terminal;              /* standard error is one */
    bool progress_muted;        /* the command shows its own progress */
    bool info_muted;            /* information goes to the log's file alone */
    uint64_t uncut_max;         /* evaluations of up to so many tokens are not cut short, for what
                                   a session holds then stays; nor are they worth a line */
    uint64_t prefill_done;      /* tokens that other evaluations of a prompt have seen, of ... */
    uint64_t prefill_total;     /* ... so many; 0: the prompt is one evaluation */
    char progress[80];          /* the line that stands on the terminal now, or "" */
    char warning[LOG_LINE_MAX]; /* the last one, as far as it fits */
};

enum weir_status log_open(struct log *log, const struct log_options *options,
                          struct weir_error *err);
void log_close(struct log *log);

/* One line, without newline. */
void log_print(struct log *log, enum weir_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same as a weir_log_fn; `user` is the log. A warning that repeats the last one, as each step
 * of a sweep may, is not written again. */
void log_sink(void *user, enum weir_log_level level, const char *line);

/* The program's last word: "error: TEXT", whatever the level. */
void log_error(struct log *log, const char *text);

/* Shows how far a stage is, where that helps; as a weir_progress_fn, `user` is the log. The
 * answer is false once the user has interrupted, but for a step that is to be finished. */
bool log_progress(void *user, enum weir_stage stage, uint64_t done, uint64_t total);
void log_progress_show(struct log *log, enum weir_stage stage, uint64_t done, uint64_t total);
/* Takes the line away, where a stage ends before its time. */
void log_progress_end(struct log *log);

#endif
