/* SPDX-License-Identifier: MIT
 * Records. Knows no field but by bench_fields.def. */
#include "app/bench_records.h"

#include <string.h>

enum field_type { FIELD_TEXT, FIELD_INTEGER, FIELD_REAL, FIELD_BOOLEAN };

static const struct {
    const char *name;
    enum field_type type;
} fields[] = {
#define TEXT(name, value)    {#name, FIELD_TEXT},
#define INTEGER(name, value) {#name, FIELD_INTEGER},
#define REAL(name, value)    {#name, FIELD_REAL},
#define BOOLEAN(name, value) {#name, FIELD_BOOLEAN},
#include "app/bench_fields.def"
};

/* The last ones are of weir: some of bytes, then some of drafts. */
enum { FIELDS = sizeof fields / sizeof fields[0], FIELDS_OF_BYTES = 6, FIELDS_OF_DRAFTS = 10 };

static bool is_shown(const struct bench_table *table, int field)
{
    if (field < FIELDS - FIELDS_OF_DRAFTS - FIELDS_OF_BYTES)
        return true;
    return field < FIELDS - FIELDS_OF_DRAFTS ? table->bytes : table->columns.drafts;
}

/* ---- values ---------------------------------------------------------------------------------- */

struct value {
    const char *text; /* of FIELD_TEXT; else NULL */
    char number[40];  /* of the others, truth as 0 or 1 */
};

static struct value text_value(const char *text)
{
    return (struct value){.text = text};
}

static struct value integer_value(int64_t number)
{
    struct value value = {.text = NULL};
    snprintf(value.number, sizeof value.number, "%lld", (long long)number);
    return value;
}

static struct value real_value(double number)
{
    struct value value = {.text = NULL};
    snprintf(value.number, sizeof value.number, "%.6f", number);
    return value;
}

static void fill_values(const struct bench_table *table, const struct bench_result *result,
                        struct value values[FIELDS])
{
    const struct bench_test *test = result->test;
    const struct bench_mean ns = bench_mean_ns(result), speed = bench_mean_speed(result);
    int i = 0;
#define TEXT(name, value)    values[i++] = text_value(value);
#define INTEGER(name, value) values[i++] = integer_value((int64_t)(value));
#define REAL(name, value)    values[i++] = real_value(value);
#define BOOLEAN(name, value) values[i++] = integer_value(value);
#include "app/bench_fields.def"
}

static const char *value_text(const struct value *value)
{
    return value->text != NULL ? value->text : value->number;
}

/* Between two of `quote`, those within doubled. */
static void put_doubled(struct output *output, const char *text, char quote)
{
    output_put(output, &quote, 1);
    for (const char *c = text; *c != 0; c++) {
        if (*c == quote)
            output_put(output, &quote, 1);
        output_put(output, c, 1);
    }
    output_put(output, &quote, 1);
}

static void put_json_value(struct output *output, const struct value *value, enum field_type type)
{
    switch (type) {
    case FIELD_TEXT: output_json_text(output, value->text); break;
    case FIELD_INTEGER:
    case FIELD_REAL: output_print(output, "%s", value->number); break;
    case FIELD_BOOLEAN:
        output_print(output, "%s", value->number[0] == '0' ? "false" : "true");
        break;
    }
}

/* ---- csv ------------------------------------------------------------------------------------- */

static void put_names(const struct bench_table *table, const char *between)
{
    for (int i = 0; i < FIELDS; i++) {
        if (is_shown(table, i))
            output_print(table->output, "%s%s", i == 0 ? "" : between, fields[i].name);
    }
}

static void put_quoted_values(const struct bench_table *table, const struct bench_result *result,
                              char quote, const char *between)
{
    struct value values[FIELDS];
    fill_values(table, result, values);
    for (int i = 0; i < FIELDS; i++) {
        if (!is_shown(table, i))
            continue;
        output_print(table->output, "%s", i == 0 ? "" : between);
        put_doubled(table->output, value_text(&values[i]), quote);
    }
}

void bench_csv_begin(struct bench_table *table)
{
    put_names(table, ",");
    output_print(table->output, "\n");
}

void bench_csv_row(struct bench_table *table, const struct bench_result *result)
{
    put_quoted_values(table, result, '"', ",");
    output_print(table->output, "\n");
}

/* ---- json ------------------------------------------------------------------------------------ */

static void put_samples(struct output *output, const struct bench_result *result, bool as_speed)
{
    output_print(output, "[ ");
    for (uint32_t i = 0; i < result->samples; i++) {
        output_print(output, "%s", i == 0 ? "" : ", ");
        if (as_speed)
            output_print(output, "%g", bench_sample_speed(result, i));
        else
            output_print(output, "%llu", (unsigned long long)result->samples_ns[i]);
    }
    output_print(output, " ]");
}

static void put_json_fields(const struct bench_table *table, const struct bench_result *result,
                            const char *before, const char *behind)
{
    struct value values[FIELDS];
    fill_values(table, result, values);
    for (int i = 0; i < FIELDS; i++) {
        if (!is_shown(table, i))
            continue;
        output_print(table->output, "%s\"%s\": ", before, fields[i].name);
        put_json_value(table->output, &values[i], fields[i].type);
        output_print(table->output, "%s", behind);
    }
}

void bench_json_begin(struct bench_table *table)
{
    output_print(table->output, "[\n");
}

void bench_json_row(struct bench_table *table, const struct bench_result *result)
{
    output_print(table->output, "%s  {\n", table->rows == 0 ? "" : ",\n");
    put_json_fields(table, result, "    ", ",\n");
    output_print(table->output, "    \"samples_ns\": ");
    put_samples(table->output, result, false);
    output_print(table->output, ",\n    \"samples_ts\": ");
    put_samples(table->output, result, true);
    output_print(table->output, "\n  }");
}

void bench_json_end(struct bench_table *table)
{
    output_print(table->output, "\n]\n");
}

/* No blank before the last field: so does llama-bench. */
void bench_jsonl_row(struct bench_table *table, const struct bench_result *result)
{
    output_print(table->output, "{");
    put_json_fields(table, result, "", ", ");
    output_print(table->output, "\"samples_ns\": ");
    put_samples(table->output, result, false);
    output_print(table->output, ",\"samples_ts\": ");
    put_samples(table->output, result, true);
    output_print(table->output, "}\n");
}

/* ---- sql ------------------------------------------------------------------------------------- */

void bench_sql_begin(struct bench_table *table)
{
    static const char *const types[] = {
        [FIELD_TEXT] = "TEXT",
        [FIELD_INTEGER] = "INTEGER",
        [FIELD_REAL] = "REAL",
        [FIELD_BOOLEAN] = "INTEGER",
    };
    output_print(table->output, "CREATE TABLE IF NOT EXISTS llama_bench (\n");
    for (int i = 0; i < FIELDS; i++) {
        if (is_shown(table, i))
            output_print(table->output, "%s  %s %s", i == 0 ? "" : ",\n", fields[i].name,
                         types[fields[i].type]);
    }
    output_print(table->output, "\n);\n\n");
}

void bench_sql_row(struct bench_table *table, const struct bench_result *result)
{
    output_print(table->output, "INSERT INTO llama_bench (");
    put_names(table, ", ");
    output_print(table->output, ") VALUES (");
    put_quoted_values(table, result, '\'', ", ");
    output_print(table->output, ");\n");
}
