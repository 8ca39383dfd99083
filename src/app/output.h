/* SPDX-License-Identifier: MIT
 * Where results go: standard output, or a file that appears only when it is whole. */
#ifndef APP_OUTPUT_H
#define APP_OUTPUT_H

#include "base/file.h"

/* The first failure is kept, later writes do nothing; output_finish and output_failed report it. */
struct output {
    struct file_writer writer; /* of a file */
    FILE *stream;
    bool is_file;
    bool is_script; /* what is put is JSON within a page */
    struct weir_error err;
};

/* Refuses to write to a file that is read from, also by way of a link: it would be replaced when
 * all is done. NULL and "-" are no files. */
enum weir_status output_check_target(const char *target, const char *input, struct weir_error *err);

/* Refuses "-" where what is written appears as a file when it is whole, and so cannot be standard
 * output. NULL is no name yet. */
enum weir_status output_check_file(const char *path, struct weir_error *err);

/* `path` NULL or "-" is standard output. */
enum weir_status output_open(struct output *output, const char *path, struct weir_error *err);
/* Standard error. */
void output_open_errors(struct output *output);
/* Until it is called with false, all that is put is JSON in a <script> of HTML: "<", which JSON has
 * in texts alone, is put as an escape, so that no text can end the script. */
void output_in_script(struct output *output, bool is_script);
/* Columns of the terminal that the output goes to, at most `most`; `most` if it is none. */
int output_columns(const struct output *output, int most);
void output_put(struct output *output, const void *data, size_t size);
void output_print(struct output *output, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* As a string of JSON, with its quotes. A byte that is of no character of UTF-8, as paths may have
 * them, is put as U+FFFD. */
void output_json_text(struct output *output, const char *text);
void output_json_bytes(struct output *output, const char *text, size_t length);
/* A weir_write_fn; `user` is the output. */
void output_sink(void *user, const char *text, size_t length);
/* Hands on what is buffered, so that the reader sees it now. */
void output_flush(struct output *output);
/* The failure so far, also copied to `err`. */
enum weir_status output_failed(const struct output *output, struct weir_error *err);

/* Ends writing: makes the file appear, or flushes standard output. On failure the file is gone.
 * output_abandon instead leaves no file; it may follow either. */
enum weir_status output_finish(struct output *output, struct weir_error *err);
void output_abandon(struct output *output);

#endif
