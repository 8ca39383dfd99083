/* SPDX-License-Identifier: MIT
 * A comparison as a table for a terminal, and as records for programs. Knows nothing of how it was
 * made. */
#include "app/profile_diff_report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = 160 };

/* ---- names ----------------------------------------------------------------------------------- */

/* "L03 MATMUL ffn.gate", "EMBED embed", with " #2" for the second of that name; or of a group
 * "MATMUL", "ffn.gate", "L03". */
static void name_row(const struct diff_row *row, char *out, size_t size)
{
    char layer[16] = "", number[16] = "";
    const bool is_layer = row->kind[0] == 0 && row->role[0] == 0;
    if (row->layer >= 0)
        snprintf(layer, sizeof layer, "L%02d%s", (int)row->layer, is_layer ? "" : " ");
    if (row->number > 1)
        snprintf(number, sizeof number, " #%u", row->number);
    snprintf(out, size, "%s%s%s%s%s", layer, row->kind,
             row->kind[0] == 0 || row->role[0] == 0 ? "" : " ", row->role, number);
}

static void put_count(struct output *output, int64_t count, const char *what)
{
    if (count >= 0)
        output_print(output, ", %lld %s%s", (long long)count, what, count == 1 ? "" : "s");
}

/* "decode behind 256, 1 token, 1 sequence, 2 threads": what the file says of it. */
static void put_step(struct output *output, const struct file_step *step)
{
    output_print(output, "%s behind %u", step->mode == NULL ? "evaluation" : step->mode,
                 step->context);
    put_count(output, step->rows, "token");
    put_count(output, step->sequences, "sequence");
    put_count(output, step->threads, "thread");
}

/* ---- table ----------------------------------------------------------------------------------- */

/* Nanoseconds as milliseconds, or millions of instructions or bytes. */
static double shown(uint64_t cost)
{
    return (double)cost / 1e6;
}

static void put_heads(struct output *output, enum diff_measure measure)
{
    static const char *const names[] = {
        [DIFF_TIME] = "ms", [DIFF_INSTRUCTIONS] = "Minstr", [DIFF_BYTES] = "MB"};
    if (measure != DIFF_BYTES)
        output_print(output, "%-34s %7s %-6s %7s %-6s %10s%s", "", "old", names[measure], "new",
                     names[measure], "change", measure == DIFF_TIME ? "      90% interval" : "");
    else
        output_print(output, "%-34s", "");
    output_print(output, " %11s %11s %9s\n", "old MB", "new MB", "change");
}

static void put_number(struct output *output, bool is_there, int width, double number)
{
    if (is_there)
        output_print(output, " %*.4f", width, number);
    else
        output_print(output, " %*s", width, "-");
}

static void put_percent(struct output *output, bool is_known, double percent)
{
    if (is_known)
        output_print(output, " %+8.2f%%", percent);
    else
        output_print(output, " %9s", "-");
}

static void put_interval(struct output *output, const struct diff_change *change)
{
    char text[48] = "-";
    if (change->is_known && change->has_interval && isfinite(change->high))
        snprintf(text, sizeof text, "%+.1f to %+.1f", change->low, change->high);
    else if (change->is_known && change->has_interval)
        snprintf(text, sizeof text, "%+.1f and more", change->low);
    output_print(output, " %17s", text);
}

static void put_measured(struct output *output, const struct diff_row *row,
                         enum diff_measure measure)
{
    const struct diff_change change = diff_row_change(row, measure);
    const int width = measure == DIFF_BYTES ? 11 : 14;
    put_number(output, row->in_old, width, shown(cost_by(&row->before, measure)));
    put_number(output, row->in_new, width, shown(cost_by(&row->after, measure)));
    output_print(output, measure == DIFF_BYTES ? "" : " ");
    put_percent(output, change.is_known, change.percent);
    if (measure == DIFF_TIME)
        put_interval(output, &change);
}

static void put_row(struct output *output, const struct diff_row *row, enum diff_measure measure)
{
    char name[NAME_BYTES];
    name_row(row, name, sizeof name);
    output_print(output, "%-34s", name);
    if (measure != DIFF_BYTES)
        put_measured(output, row, measure);
    put_measured(output, row, DIFF_BYTES);
    output_print(output, "%s%s\n", row->worse != 0 ? "  worse" : "",
                 !row->in_new   ? "  only in old"
                 : !row->in_old ? "  only in new"
                                : "");
}

static bool is_unchanged(const struct diff_row *row, enum diff_measure measure)
{
    return row->in_old && row->in_new && row->worse == 0 &&
           cost_by(&row->before, measure) == cost_by(&row->after, measure) &&
           row->before.read == row->after.read && row->before.written == row->after.written;
}

static void put_table(struct output *output, const struct diff_step *step)
{
    uint32_t unchanged = 0;
    output_print(output, "\n");
    put_step(output, step->after);
    output_print(output, "\n");
    put_heads(output, step->measure);
    for (uint32_t i = 0; i < step->row_count; i++) {
        if (is_unchanged(&step->rows[i], step->measure))
            unchanged++;
        else
            put_row(output, &step->rows[i], step->measure);
    }
    if (unchanged > 0)
        output_print(output, "(%u unchanged)\n", unchanged);
    const uint32_t exempt = diff_step_exempt(step);
    if (exempt > 0)
        output_print(output, "(%u of %u below %g%% of the step: not judged by themselves)\n",
                     exempt, step->row_count, 100 * DIFF_SHARE_MIN);
    put_row(output, &step->all, step->measure);
}

static void put_only(struct output *output, const char *which, const struct file_step *step)
{
    output_print(output, "\nonly in %s: ", which);
    put_step(output, step);
    output_print(output, "\n");
}

static bool is_common(const struct profile_diff *diff, const struct file_step *step)
{
    for (uint32_t i = 0; i < diff->step_count; i++) {
        if (diff->steps[i].before == step)
            return true;
    }
    return false;
}

static void put_worse(struct output *output, const struct diff_row *row,
                      const struct diff_step *step)
{
    static const char *const words[] = {"takes more time", "takes more instructions",
                                        "touches more bytes"};
    char name[NAME_BYTES];
    name_row(row, name, sizeof name);
    for (int i = 0; i < 3; i++) {
        if (row->worse >> i & 1) {
            output_print(output, "worse: %s %s: ", name, words[i]);
            put_step(output, step->after);
            output_print(output, "\n");
        }
    }
}

static void put_verdict(const struct profile_diff *diff, struct output *output)
{
    output_print(output, "\n");
    for (uint32_t i = 0; i < diff->step_count; i++) {
        const struct diff_step *step = &diff->steps[i];
        for (uint32_t row = 0; row < step->row_count; row++)
            put_worse(output, &step->rows[row], step);
        put_worse(output, &step->all, step);
        if (step->measure == DIFF_TIME &&
            !(step->all.before.has_interval && step->all.after.has_interval))
            output_print(output, "times without intervals are not judged\n");
        if (step->measure == DIFF_BYTES &&
            step->all.before.has_instructions != step->all.after.has_instructions)
            output_print(output, "instructions of one file alone are not judged\n");
    }
    output_print(output, "%s than before, beyond %g%%\n",
                 diff->is_worse ? "worse" : "nothing is worse", diff->tolerance);
}

void profile_diff_table(const struct profile_diff *diff, struct output *output)
{
    output_print(output, "old: %s (%s)\nnew: %s (%s)\n", diff->before->path, diff->before->model,
                 diff->after->path, diff->after->model);
    if (strcmp(diff->before->model, diff->after->model) != 0)
        output_print(output, "these are different models\n");
    for (uint32_t i = 0; i < diff->step_count; i++)
        put_table(output, &diff->steps[i]);
    for (uint32_t i = 0; i < diff->before->step_count; i++) {
        if (!is_common(diff, &diff->before->steps[i]))
            put_only(output, "old", &diff->before->steps[i]);
    }
    for (uint32_t i = 0; i < diff->after->step_count; i++) {
        if (!diff->is_matched[i])
            put_only(output, "new", &diff->after->steps[i]);
    }
    put_verdict(diff, output);
}

/* ---- fields ---------------------------------------------------------------------------------- */

/* How null is written. */
struct form {
    struct output *output;
    const char *none;
};

static void field_integer(const struct form *form, bool is_known, uint64_t number)
{
    if (is_known)
        output_print(form->output, "%llu", (unsigned long long)number);
    else
        output_print(form->output, "%s", form->none);
}

static void field_ms(const struct form *form, bool is_known, uint64_t ns)
{
    if (is_known)
        output_print(form->output, "%.6f", (double)ns / 1e6);
    else
        output_print(form->output, "%s", form->none);
}

static void field_percent(const struct form *form, bool is_known, double percent)
{
    if (is_known && isfinite(percent))
        output_print(form->output, "%.4f", percent);
    else
        output_print(form->output, "%s", form->none);
}

static const char *where(const struct diff_row *row)
{
    return !row->in_old ? "new" : row->in_new ? "both" : "old";
}

/* The words of what is worse, with blanks between them. */
static void field_worse(const struct form *form, unsigned worse)
{
    static const char *const words[] = {"ms", "instructions", "bytes"};
    const char *between = "";
    for (int i = 0; i < 3; i++) {
        if (worse >> i & 1) {
            output_print(form->output, "%s%s", between, words[i]);
            between = " ";
        }
    }
}

/* ---- json ------------------------------------------------------------------------------------ */

static void json_name(struct output *output, const char *key, const char *name)
{
    output_print(output, "\"%s\": %s%s%s, ", key, name[0] == 0 ? "" : "\"",
                 name[0] == 0 ? "null" : name, name[0] == 0 ? "" : "\"");
}

static void json_cost(const struct form *form, const char *key, const struct cost *cost,
                      bool is_there)
{
    const struct {
        const char *name;
        uint64_t ns;
        bool is_known;
    } times[] = {{"ms", cost->ns, cost->has_times},
                 {"ms_low", cost->ns_low, cost->has_interval},
                 {"ms_high", cost->ns_high, cost->has_interval}};
    output_print(form->output, "\"%s\": %s", key, is_there ? "{" : form->none);
    for (size_t i = 0; is_there && i < sizeof times / sizeof times[0]; i++) {
        output_print(form->output, "\"%s\": ", times[i].name);
        field_ms(form, times[i].is_known, times[i].ns);
        output_print(form->output, ", ");
    }
    if (is_there) {
        output_print(form->output, "\"instructions\": ");
        field_integer(form, cost->has_instructions, cost->instructions);
        output_print(form->output, ", \"read_bytes\": %llu, \"write_bytes\": %llu}",
                     (unsigned long long)cost->read, (unsigned long long)cost->written);
    }
    output_print(form->output, ", ");
}

static void json_row(const struct form *form, const struct diff_row *row, enum diff_measure measure)
{
    const struct diff_change change = diff_row_change(row, measure);
    output_print(form->output, "{");
    json_name(form->output, "kind", row->kind);
    json_name(form->output, "role", row->role);
    output_print(form->output, "\"layer\": ");
    field_integer(form, row->layer >= 0, (uint64_t)(row->layer >= 0 ? row->layer : 0));
    output_print(form->output, ", \"number\": ");
    field_integer(form, row->number > 0, row->number);
    output_print(form->output, ", \"in\": \"%s\", ", where(row));
    json_cost(form, "old", &row->before, row->in_old);
    json_cost(form, "new", &row->after, row->in_new);
    output_print(form->output, "\"change_percent\": ");
    field_percent(form, change.is_known, change.percent);
    output_print(form->output, ", \"low_percent\": ");
    field_percent(form, change.is_known && change.has_interval, change.low);
    output_print(form->output, ", \"high_percent\": ");
    field_percent(form, change.is_known && change.has_interval, change.high);
    output_print(form->output, ", \"worse\": \"");
    field_worse(form, row->worse);
    output_print(form->output, "\"}");
}

static void json_step(const struct form *form, const struct file_step *step)
{
    output_print(form->output, "{\"context\": %u, ", step->context);
    json_name(form->output, "mode", step->mode == NULL ? "" : step->mode);
    output_print(form->output, "\"rows\": ");
    field_integer(form, step->rows >= 0, (uint64_t)step->rows);
    output_print(form->output, ", \"sequences\": ");
    field_integer(form, step->sequences >= 0, (uint64_t)step->sequences);
    output_print(form->output, ", \"threads\": ");
    field_integer(form, step->threads >= 0, (uint64_t)step->threads);
}

static void json_steps(const struct profile_diff *diff, const struct form *form)
{
    for (uint32_t i = 0; i < diff->step_count; i++) {
        const struct diff_step *step = &diff->steps[i];
        output_print(form->output, "%s\n    ", i == 0 ? "" : ",");
        json_step(form, step->after);
        output_print(form->output, ",\n     \"all\": ");
        json_row(form, &step->all, step->measure);
        output_print(form->output, ",\n     \"ops\": [");
        for (uint32_t row = 0; row < step->row_count; row++) {
            output_print(form->output, "%s\n      ", row == 0 ? "" : ",");
            json_row(form, &step->rows[row], step->measure);
        }
        output_print(form->output, "]}");
    }
}

static void json_only(const struct profile_diff *diff, const struct form *form, bool is_new)
{
    const struct profile_file *file = is_new ? diff->after : diff->before;
    const char *between = "";
    for (uint32_t i = 0; i < file->step_count; i++) {
        if (is_new ? diff->is_matched[i] : is_common(diff, &file->steps[i]))
            continue;
        output_print(form->output, "%s", between);
        json_step(form, &file->steps[i]);
        output_print(form->output, "}");
        between = ", ";
    }
}

static void json_file(struct output *output, const char *key, const struct profile_file *file)
{
    output_print(output, "  \"%s\": {\"path\": ", key);
    output_json_text(output, file->path);
    output_print(output, ", \"model\": ");
    output_json_text(output, file->model);
    output_print(output, "},\n");
}

void profile_diff_json(const struct profile_diff *diff, struct output *output)
{
    const struct form form = {output, "null"};
    output_print(output, "{\n  \"schema\": \"weir.profile-diff/1\",\n");
    json_file(output, "old", diff->before);
    json_file(output, "new", diff->after);
    output_print(output, "  \"tolerance_percent\": %g,\n  \"worse\": %s,\n  \"steps\": [",
                 diff->tolerance, diff->is_worse ? "true" : "false");
    json_steps(diff, &form);
    output_print(output, "\n  ],\n  \"only_in_old\": [");
    json_only(diff, &form, false);
    output_print(output, "],\n  \"only_in_new\": [");
    json_only(diff, &form, true);
    output_print(output, "]\n}\n");
}

/* ---- csv ------------------------------------------------------------------------------------- */

static void csv_row(const struct form *form, const struct file_step *step,
                    const struct diff_row *row, enum diff_measure measure)
{
    const struct diff_change change = diff_row_change(row, measure);
    const struct cost *costs[] = {&row->before, &row->after};
    const bool is_there[] = {row->in_old, row->in_new};
    const int64_t numbers[] = {step->rows, step->sequences, step->threads};
    output_print(form->output, "%u,%s,", step->context, step->mode == NULL ? "" : step->mode);
    for (int i = 0; i < 3; i++) {
        field_integer(form, numbers[i] >= 0, (uint64_t)numbers[i]);
        output_print(form->output, ",");
    }
    output_print(form->output, "%s,%s,", row->kind, row->role);
    field_integer(form, row->layer >= 0, (uint64_t)(row->layer >= 0 ? row->layer : 0));
    output_print(form->output, ",");
    field_integer(form, row->number > 0, row->number);
    output_print(form->output, ",%s,", where(row));
    for (int i = 0; i < 2; i++) {
        field_ms(form, is_there[i] && costs[i]->has_times, costs[i]->ns);
        output_print(form->output, ",");
        field_integer(form, is_there[i] && costs[i]->has_instructions, costs[i]->instructions);
        output_print(form->output, ",");
        field_integer(form, is_there[i], costs[i]->read);
        output_print(form->output, ",");
        field_integer(form, is_there[i], costs[i]->written);
        output_print(form->output, ",");
    }
    field_percent(form, change.is_known, change.percent);
    output_print(form->output, ",");
    field_percent(form, change.is_known && change.has_interval, change.low);
    output_print(form->output, ",");
    field_percent(form, change.is_known && change.has_interval, change.high);
    output_print(form->output, ",");
    field_worse(form, row->worse);
    output_print(form->output, "\n");
}

void profile_diff_csv(const struct profile_diff *diff, struct output *output)
{
    const struct form form = {output, ""};
    output_print(output, "context,mode,rows,sequences,threads,kind,role,layer,number,in,"
                         "old_ms,old_instructions,old_read_bytes,old_write_bytes,"
                         "new_ms,new_instructions,new_read_bytes,new_write_bytes,"
                         "change_percent,low_percent,high_percent,worse\n");
    for (uint32_t i = 0; i < diff->step_count; i++) {
        const struct diff_step *step = &diff->steps[i];
        for (uint32_t row = 0; row < step->row_count; row++)
            csv_row(&form, step->after, &step->rows[row], step->measure);
        csv_row(&form, step->after, &step->all, step->measure);
    }
}
