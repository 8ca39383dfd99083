/* SPDX-License-Identifier: MIT
 * The input of a command: text from a flag, a file or standard input, or token ids from a file. */
#ifndef APP_PROMPT_H
#define APP_PROMPT_H

#include "app/options.h"

/* Token ids; zeroed to begin, items freed with mem_free. */
struct ids {
    int32_t *items;
    uint64_t count;
    uint64_t capacity;
};

enum weir_status ids_add(struct ids *ids, int32_t id, struct weir_error *err);

/* Replaces \n \r \t \' \" \\ and \xHH in place; other backslashes stay. Returns the new length. */
size_t prompt_unescape(char *text, size_t length);

/* Whether flags name an input. */
bool prompt_is_given(const struct options *options);
/* Refuses flags that name no input, or more than one. `possible` lists those of the command. */
enum weir_status prompt_check(const struct options *options, const char *possible,
                              struct weir_error *err);

/* Refuses to write to a file that the flags name to be read. */
enum weir_status prompt_check_target(const struct options *options, const char *target,
                                     struct weir_error *err);

/* The text that the flags name, escapes replaced; freed with mem_free. `trim` drops the newline
 * that ends the file of --file. */
enum weir_status prompt_read_text(const struct options *options, bool trim, char **text,
                                  size_t *length, struct weir_error *err);

/* Reads "1 2 3". */
enum weir_status prompt_read_tokens(struct ids *ids, const char *path, struct weir_error *err);

/* Likewise; `ends` receives for each line that has ids how many there are up to its end. */
enum weir_status prompt_read_token_lines(struct ids *ids, struct ids *ends, const char *path,
                                         struct weir_error *err);

enum weir_status prompt_encode(struct ids *ids, const struct weir_tokenizer *tokenizer,
                               const char *text, size_t length, unsigned flags,
                               struct weir_error *err);

#endif
