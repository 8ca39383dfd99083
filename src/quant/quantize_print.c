/* SPDX-License-Identifier: MIT
 * What the quantizer would do, as text. */
#include "quant/quantize_plan.h"

static void print_row(const struct quantize_row *row, struct printer printer)
{
    const struct gguf_tensor *tensor = row->tensor;
    char shape[96], types[32];
    gguf_format_shape(tensor->ne, gguf_shape_dims(tensor->ne, GGUF_DIMS_MAX), shape, sizeof shape);
    const char *from = dtype_info(tensor->dtype)->name, *to = dtype_info(row->dtype)->name;
    if (row->dtype == tensor->dtype)
        snprintf(types, sizeof types, "%s", to);
    else
        snprintf(types, sizeof types, "%s -> %s", from, to);
    print(printer, "%-36s %-20s %-16s %14llu%s\n", tensor->name, shape, types,
          (unsigned long long)row->bytes, row->importance == NULL ? "" : "  imatrix");
}

static void print_totals(const struct quantize_plan *plan, struct printer printer)
{
    uint64_t before = 0;
    for (uint64_t i = 0; i < plan->count; i++)
        before += plan->rows[i].tensor->bytes;
    const double elements = plan->elements == 0 ? 1 : (double)plan->elements;
    print(printer, "\n%-36s %14llu bytes, %.2f bits per weight\n", "tensors now",
          (unsigned long long)before, 8 * (double)before / elements);
    print(printer, "%-36s %14llu bytes, %.2f bits per weight\n", plan->recipe->name,
          (unsigned long long)plan->bytes, 8 * (double)plan->bytes / elements);
    print(printer, "%-36s %14llu bytes, %u threads\n", "memory of the run",
          (unsigned long long)plan->memory, plan->threads);
}

enum weir_status weir_quantize_print(const char *in, const char *type,
                                     const struct weir_quantize_options *options,
                                     weir_write_fn *write, void *user, struct weir_error *err)
{
    const struct printer printer = {write, user};
    struct weir_quantize_options defaults;
    struct quantize_plan plan;
    weir_quantize_options_init(&defaults);
    const enum weir_status status =
        quantize_plan_open(&plan, in, type, options != NULL ? options : &defaults, err);
    if (status != WEIR_OK)
        return status;
    for (uint64_t i = 0; i < plan.count; i++)
        print_row(&plan.rows[i], printer);
    print_totals(&plan, printer);
    quantize_plan_close(&plan);
    return WEIR_OK;
}

enum weir_status weir_quantize_print_rules(const char *type, weir_write_fn *write, void *user,
                                           struct weir_error *err)
{
    const struct recipe *recipe;
    const enum weir_status status = quantize_find_recipe(&recipe, type, err);
    if (status == WEIR_OK)
        recipe_print(recipe, (struct printer){write, user});
    return status;
}
