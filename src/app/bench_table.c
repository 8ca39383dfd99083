/* SPDX-License-Identifier: MIT
 * The table in Markdown, and the choice of the form. Knows no flag. */
#include "app/bench_table.h"

#include <string.h>

#include "app/bench_records.h"
#include "base/cpu.h"

enum { CELL_MAX = 192 };

/* ---- cells ----------------------------------------------------------------------------------- */

typedef void cell_fn(const struct bench_table *table, const struct bench_result *result,
                     char cell[CELL_MAX]);

static void cell_size(const struct bench_table *table, const struct bench_result *result,
                      char cell[CELL_MAX])
{
    (void)table;
    const double mib = (double)result->test->model_bytes / (1 << 20);
    if (mib < 1024)
        snprintf(cell, CELL_MAX, "%.2f MiB", mib);
    else
        snprintf(cell, CELL_MAX, "%.2f GiB", mib / 1024);
}

static void cell_parameters(const struct bench_table *table, const struct bench_result *result,
                            char cell[CELL_MAX])
{
    (void)table;
    const double millions = (double)result->test->parameters / 1e6;
    if (millions < 1e3)
        snprintf(cell, CELL_MAX, "%.2f M", millions);
    else
        snprintf(cell, CELL_MAX, "%.2f B", millions / 1e3);
}

/* "pp512", "tg128" or "pp512+tg128", and " @ d1024". */
static void cell_test(const struct bench_table *table, const struct bench_result *result,
                      char cell[CELL_MAX])
{
    (void)table;
    const struct bench_test *test = result->test;
    char prompt[24] = "", generate[24] = "", depth[24] = "";
    if (test->prompt > 0)
        snprintf(prompt, sizeof prompt, "pp%u", test->prompt);
    if (test->generate > 0)
        snprintf(generate, sizeof generate, "%stg%u", test->prompt > 0 ? "+" : "", test->generate);
    if (test->depth > 0)
        snprintf(depth, sizeof depth, " @ d%u", test->depth);
    snprintf(cell, CELL_MAX, "%s%s%s", prompt, generate, depth);
}

static void cell_speed(const struct bench_table *table, const struct bench_result *result,
                       char cell[CELL_MAX])
{
    (void)table;
    const struct bench_mean speed = bench_mean_speed(result);
    snprintf(cell, CELL_MAX, "%.2f \xc2\xb1 %.2f", speed.mean, speed.deviation); /* plus-minus */
}

static void cell_gigabytes(const struct bench_table *table, const struct bench_result *result,
                           char cell[CELL_MAX])
{
    (void)table;
    snprintf(cell, CELL_MAX, "%.2f", bench_gigabytes(result));
}

static void cell_of_peak(const struct bench_table *table, const struct bench_result *result,
                         char cell[CELL_MAX])
{
    snprintf(cell, CELL_MAX, "%.1f%%", 100 * bench_gigabytes(result) / table->peak);
}

static void cell_drafts(const struct bench_table *table, const struct bench_result *result,
                        char cell[CELL_MAX])
{
    (void)table;
    const struct bench_test *test = result->test;
    if (test->drafts == BENCH_DRAFTS_AUTO)
        snprintf(cell, CELL_MAX, "%s auto", test->draft_kind);
    else
        snprintf(cell, CELL_MAX, "%s %d", test->drafts == 0 ? "none" : test->draft_kind,
                 (int)test->drafts);
}

static void cell_round(const struct bench_table *table, const struct bench_result *result,
                       char cell[CELL_MAX])
{
    (void)table;
    snprintf(cell, CELL_MAX, "%.2f", bench_round_tokens(result));
}

static void cell_places(const struct bench_table *table, const struct bench_result *result,
                        char cell[CELL_MAX])
{
    (void)table;
    snprintf(cell, CELL_MAX, "%s", result->places);
}

static void cell_megabytes(const struct bench_table *table, const struct bench_result *result,
                           char cell[CELL_MAX])
{
    (void)table;
    snprintf(cell, CELL_MAX, "%.2f", bench_token_bytes(result) / 1e6);
}

static void cell_draft_ms(const struct bench_table *table, const struct bench_result *result,
                          char cell[CELL_MAX])
{
    (void)table;
    snprintf(cell, CELL_MAX, "%.3f", bench_draft_ms(result));
}

static void cell_verify_ms(const struct bench_table *table, const struct bench_result *result,
                           char cell[CELL_MAX])
{
    (void)table;
    snprintf(cell, CELL_MAX, "%.3f", bench_verify_ms(result));
}

static void cell_packed(const struct bench_table *table, const struct bench_result *result,
                        char cell[CELL_MAX])
{
    (void)table;
    snprintf(cell, CELL_MAX, "%d", result->test->is_packed);
}

static void cell_bound(const struct bench_table *table, const struct bench_result *result,
                       char cell[CELL_MAX])
{
    (void)table;
    snprintf(cell, CELL_MAX, "%d", result->test->is_bound);
}

/* ---- columns --------------------------------------------------------------------------------- */

#define TEXT(field)   .text = offsetof(struct bench_test, field), .kind = CELL_TEXT
#define NUMBER(field) .number = offsetof(struct bench_test, field), .kind = CELL_NUMBER
#define CALL(fn)      .call = fn, .kind = CELL_CALL
#define SHOWN(field)  offsetof(struct bench_table, field)
#define ALWAYS        SIZE_MAX

static const struct column {
    const char *name;
    int width;    /* characters; below 0: to the left */
    size_t shown; /* where the table says whether it is; or ALWAYS */
    enum { CELL_TEXT, CELL_NUMBER, CELL_CALL } kind;
    size_t text, number; /* where the test has it: const char *, uint32_t */
    cell_fn *call;
} columns[] = {
    {"model", -30, ALWAYS, TEXT(model)},
    {"size", 10, ALWAYS, CALL(cell_size)},
    {"params", 10, ALWAYS, CALL(cell_parameters)},
    {"backend", -10, ALWAYS, TEXT(backend)},
    {"threads", 7, ALWAYS, NUMBER(threads)},
    {"n_batch", 7, SHOWN(columns.batch), NUMBER(batch)},
    {"n_ubatch", 8, SHOWN(columns.step_rows), NUMBER(step_rows)},
    {"type_k", 6, SHOWN(columns.cache_k), TEXT(cache_k)},
    {"type_v", 6, SHOWN(columns.cache_v), TEXT(cache_v)},
    {"lm", 10, SHOWN(columns.load), TEXT(load)},
    {"isa", 8, SHOWN(columns.isa), TEXT(isa)},
    {"repack", 6, SHOWN(columns.packed), CALL(cell_packed)},
    {"pin", 3, SHOWN(columns.bound), CALL(cell_bound)},
    {"test", 15, ALWAYS, CALL(cell_test)},
    {"drafts", -14, SHOWN(columns.drafts), CALL(cell_drafts)},
    {"t/s", 20, ALWAYS, CALL(cell_speed)},
    {"t/round", 7, SHOWN(columns.drafts), CALL(cell_round)},
    {"MB/token", 9, SHOWN(columns.drafts), CALL(cell_megabytes)},
    {"draft ms", 8, SHOWN(columns.drafts), CALL(cell_draft_ms)},
    {"verify ms", 9, SHOWN(columns.drafts), CALL(cell_verify_ms)},
    {"accepted by place, %", -20, SHOWN(columns.drafts), CALL(cell_places)},
    {"GB/s", 10, SHOWN(bytes), CALL(cell_gigabytes)},
    {"of peak", 10, SHOWN(bytes), CALL(cell_of_peak)},
};

enum { COLUMNS = sizeof columns / sizeof columns[0] };

static void fill_cell(const struct bench_table *table, const struct bench_result *result,
                      int column, char cell[CELL_MAX])
{
    const uint8_t *test = (const uint8_t *)result->test;
    const char *text;
    uint32_t number;
    switch (columns[column].kind) {
    case CELL_TEXT:
        memcpy(&text, test + columns[column].text, sizeof text);
        snprintf(cell, CELL_MAX, "%s", text);
        break;
    case CELL_NUMBER:
        memcpy(&number, test + columns[column].number, sizeof number);
        snprintf(cell, CELL_MAX, "%u", number);
        break;
    case CELL_CALL: columns[column].call(table, result, cell); break;
    }
}

static bool is_shown(const struct bench_table *table, int column)
{
    bool shown = true;
    if (columns[column].shown != ALWAYS)
        memcpy(&shown, (const uint8_t *)table + columns[column].shown, sizeof shown);
    return shown;
}

/* Characters of UTF-8. */
static int text_width(const char *text)
{
    int width = 0;
    for (; *text != 0; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

static void put_cell(const struct bench_table *table, int column, const char *text)
{
    const int width = columns[column].width, wanted = width < 0 ? -width : width;
    const int blanks = wanted > text_width(text) ? wanted - text_width(text) : 0;
    output_print(table->output, " %*s%s%*s |", width < 0 ? 0 : blanks, "", text,
                 width < 0 ? blanks : 0, "");
}

static void put_rule(const struct bench_table *table, int column)
{
    static const char dashes[] = "----------------------------------------";
    const int width = columns[column].width, wanted = width < 0 ? -width : width;
    output_print(table->output, " %.*s%s |", wanted - 1, dashes, width < 0 ? "-" : ":");
}

/* ---- Markdown -------------------------------------------------------------------------------- */

static void md_begin(struct bench_table *table)
{
    output_print(table->output, "|");
    for (int i = 0; i < COLUMNS; i++) {
        if (is_shown(table, i))
            put_cell(table, i, columns[i].name);
    }
    output_print(table->output, "\n|");
    for (int i = 0; i < COLUMNS; i++) {
        if (is_shown(table, i))
            put_rule(table, i);
    }
    output_print(table->output, "\n");
}

static void md_row(struct bench_table *table, const struct bench_result *result)
{
    char cell[CELL_MAX];
    output_print(table->output, "|");
    for (int i = 0; i < COLUMNS; i++) {
        if (!is_shown(table, i))
            continue;
        fill_cell(table, result, i, cell);
        put_cell(table, i, cell);
    }
    output_print(table->output, "\n");
}

static void md_end(struct bench_table *table)
{
    output_print(table->output, "\nbuild: %s (0)\n", table->commit);
}

/* ---- forms ----------------------------------------------------------------------------------- */

static const struct {
    void (*begin)(struct bench_table *table); /* NULL: nothing, as of `end` */
    void (*row)(struct bench_table *table, const struct bench_result *result);
    void (*end)(struct bench_table *table);
} forms[] = {
    [BENCH_NONE] = {NULL, NULL, NULL},
    [BENCH_CSV] = {bench_csv_begin, bench_csv_row, NULL},
    [BENCH_JSON] = {bench_json_begin, bench_json_row, bench_json_end},
    [BENCH_JSONL] = {NULL, bench_jsonl_row, NULL},
    [BENCH_MD] = {md_begin, md_row, md_end},
    [BENCH_SQL] = {bench_sql_begin, bench_sql_row, NULL},
};

/* "commit abc, gcc 12.2.0, ..." */
static void name_commit(char *out, size_t size)
{
    static const char before[] = "commit ";
    const char *info = weir_build_info();
    const bool is_known = strncmp(info, before, sizeof before - 1) == 0;
    const char *commit = is_known ? info + sizeof before - 1 : "unknown";
    snprintf(out, size, "%.*s", (int)strcspn(commit, ","), commit);
}

void bench_table_init(struct bench_table *table, struct output *output, enum bench_format format)
{
    *table = (struct bench_table){.output = output, .format = format};
    cpu_name(table->processor, sizeof table->processor);
    name_commit(table->commit, sizeof table->commit);
}

void bench_table_row(struct bench_table *table, const struct bench_result *result)
{
    if (table->rows == 0 && forms[table->format].begin != NULL)
        forms[table->format].begin(table);
    if (forms[table->format].row != NULL)
        forms[table->format].row(table, result);
    output_flush(table->output);
    table->rows++;
}

void bench_table_end(struct bench_table *table)
{
    if (forms[table->format].end != NULL)
        forms[table->format].end(table);
    output_flush(table->output);
}
