/* SPDX-License-Identifier: MIT
 * A profile as a page for a browser: the records of JSON, and the script that draws them. Knows
 * nothing of either; profile_page.html says where they stand. */
#include "app/profile_page.h"

#include "app/profile_report.h"

static void put_lines(struct output *output, const char *const *lines)
{
    for (; *lines != NULL; lines++)
        output_print(output, "%s\n", *lines);
}

static void page_begin(struct profile_report *report)
{
    put_lines(report->output, profile_page_head);
    output_in_script(report->output, true);
    profile_json.begin(report);
}

static enum weir_status page_put(struct profile_report *report, const struct profile_result *result,
                                 struct weir_error *err)
{
    return profile_json.put(report, result, err);
}

static void page_end(struct profile_report *report)
{
    profile_json.end(report);
    output_in_script(report->output, false);
    put_lines(report->output, profile_page_tail);
}

const struct profile_writer profile_page = {page_begin, page_put, page_end};
