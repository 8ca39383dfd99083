/* SPDX-License-Identifier: MIT
 * weir profile --diff: two files of weir.profile/1, and whether the newer is worse. */
#include "app/command.h"

#include <string.h>

#include "app/profile_diff_report.h"
#include "base/err.h"

enum { EXIT_WORSE = 3 };

/* A flag that is given and of no use to a comparison, or NULL. Those that merging files takes too
 * are of messages. */
static const struct flag *find_idle(const struct call *call)
{
    static const char *const used[] = {"--diff", "--by", "-o, --output", "--tolerance"};
    for (uint32_t i = 0; i < flag_count; i++) {
        const struct flag *flag = &flag_table[i];
        bool is_used = call->given[i] != GIVEN_BY_WORD || (flag->commands & COMMAND_MERGE) != 0;
        for (size_t j = 0; j < sizeof used / sizeof used[0]; j++)
            is_used |= strcmp(flag->names, used[j]) == 0;
        if (!is_used)
            return flag;
    }
    return NULL;
}

static enum weir_status check_flags(const struct call *call, const struct profile_options *options,
                                    struct weir_error *err)
{
    const bool has_model = args_given(call->given, COMMAND_PROFILE, "--model") == GIVEN_BY_WORD;
    if (options->size != NULL || has_model)
        return err_set(err, WEIR_ERR_ARGUMENT, "--diff compares two files, and takes no model: %s",
                       has_model ? call->options->model : options->size);
    const struct flag *idle = find_idle(call);
    if (idle != NULL)
        return err_set(err, WEIR_ERR_ARGUMENT, "--diff compares two files, and has no use for %s",
                       idle->names);
    if (options->by.count > 1 ||
        (options->by.count == 1 && options->by.items[0] > PROFILE_BY_LAYER))
        return err_set(err, WEIR_ERR_ARGUMENT, "--diff goes --by kind, role or layer, one of them");
    if (options->form > PROFILE_CSV)
        return err_set(err, WEIR_ERR_ARGUMENT, "--diff is printed as table, json or csv");
    return WEIR_OK;
}

static void print(const struct profile_diff *diff, int32_t form, struct output *output)
{
    if (form == PROFILE_TABLE)
        profile_diff_table(diff, output);
    else if (form == PROFILE_JSON)
        profile_diff_json(diff, output);
    else
        profile_diff_csv(diff, output);
}

enum weir_status profile_compare_run(const struct call *call, struct weir_error *err)
{
    const struct profile_options *options = &call->options->profile;
    struct profile_file before = {.path = NULL}, after = {.path = NULL};
    struct profile_diff diff = {.before = NULL};
    struct output output = {.stream = NULL};
    enum weir_status status;
    TRY(check_flags(call, options, err));
    const enum profile_by by =
        options->by.count > 0 ? (enum profile_by)options->by.items[0] : PROFILE_BY_KIND;
    TRY(profile_file_open(&before, options->diff.items[0], err));
    TRY(profile_file_open(&after, options->diff.items[1], err));
    TRY(profile_diff_make(&diff, &before, &after, options->by.count > 0 ? &by : NULL,
                          (double)options->tolerance, err));
    TRY(output_open(&output, NULL, err));
    print(&diff, options->form, &output);
    TRY(output_finish(&output, err));
    if (diff.is_worse)
        *call->exit_status = EXIT_WORSE;
out:
    output_abandon(&output);
    profile_diff_release(&diff);
    profile_file_close(&before);
    profile_file_close(&after);
    return status;
}
