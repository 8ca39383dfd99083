/* SPDX-License-Identifier: MIT
 * Lists of numbers as flags write them: "1,2,4", "1-8", "1-9+2", "1-64*2", and words that stand for
 * numbers. */
#ifndef APP_NUMBER_LIST_H
#define APP_NUMBER_LIST_H

#include "weir.h"

enum { NUMBER_LIST_MAX = 4096 };

/* Zeroed to begin; items are freed with mem_free. */
struct number_list {
    int64_t *items;
    uint64_t count;
    uint64_t capacity;
};

enum weir_status number_list_add(struct number_list *list, int64_t number, struct weir_error *err);

/* Appends the numbers of a text, each from `low`, at least 0, to `high`: numbers and ranges between
 * commas. A range is FIRST-LAST, FIRST-LAST+STEP or FIRST-LAST*FACTOR; LAST itself is in it if a
 * step meets it. WEIR_ERR_ARGUMENT for anything else, and for a list of more than NUMBER_LIST_MAX
 * numbers; then some may have been appended. */
enum weir_status number_list_read(struct number_list *list, const char *text, int64_t low,
                                  int64_t high, struct weir_error *err);

/* Appends for each word between commas `first` + its place in `words`, as in "f32|f16". */
enum weir_status number_list_read_words(struct number_list *list, const char *text,
                                        const char *words, int64_t first, struct weir_error *err);

#endif
