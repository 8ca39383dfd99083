/* SPDX-License-Identifier: MIT
 * Results of weir bench as records of named fields: csv, json, jsonl, sql. */
#ifndef APP_BENCH_RECORDS_H
#define APP_BENCH_RECORDS_H

#include "app/bench_table.h"

void bench_csv_begin(struct bench_table *table);
void bench_csv_row(struct bench_table *table, const struct bench_result *result);

void bench_json_begin(struct bench_table *table);
void bench_json_row(struct bench_table *table, const struct bench_result *result);
void bench_json_end(struct bench_table *table);

void bench_jsonl_row(struct bench_table *table, const struct bench_result *result);

void bench_sql_begin(struct bench_table *table);
void bench_sql_row(struct bench_table *table, const struct bench_result *result);

#endif
