/* SPDX-License-Identifier: MIT
 * What an engine would be, without building it: memory and plan. */
#include "run/blueprint.h"

#include "base/mem.h"
#include "plan/phases.h"

enum weir_status weir_memory_estimate(const struct weir_model *model,
                                      const struct weir_engine_options *options,
                                      struct weir_memory *out, struct weir_error *err)
{
    struct weir_engine_options defaults;
    struct blueprint blueprint;
    weir_engine_options_init(&defaults);
    const enum weir_status status =
        blueprint_open(&blueprint, model, options != NULL ? options : &defaults, err);
    if (status != WEIR_OK)
        return status;
    *out = blueprint.memory;
    blueprint_close(&blueprint);
    return WEIR_OK;
}

/* Bytes of the file that are in no weight that the plan reads, and bytes that holding a weight in a
 * smaller type saves. */
static void count_unread(const struct blueprint *blueprint, uint64_t file_bytes, uint64_t *unread,
                         uint64_t *saved)
{
    *unread = file_bytes;
    *saved = 0;
    for (uint32_t i = 0; i < blueprint->weights.count; i++) {
        const struct weight *weight = &blueprint->weights.list[i];
        if (!blueprint->used[i])
            continue;
        *unread -= weight->tensor->bytes;
        *saved += weight->tensor->bytes - weight->bytes;
    }
}

/* The weights that the plan reads against what the file holds. */
static void print_weight_bytes(const struct weir_model *model, const struct blueprint *blueprint,
                               struct printer printer)
{
    struct weir_model_info info;
    uint64_t unread, saved;
    weir_model_info(model, &info);
    count_unread(blueprint, info.tensor_bytes, &unread, &saved);
    print(printer, "\nweight bytes of the plan   %16llu\ntensor bytes of the file   %16llu\n",
          (unsigned long long)weights_bytes(&blueprint->weights, blueprint->used),
          (unsigned long long)info.tensor_bytes);
    if (unread > 0)
        print(printer, "of which no plan reads     %16llu (MTP block, input scales)\n",
              (unsigned long long)unread);
    if (saved > 0)
        print(printer, "saved: F32 held as BF16    %16llu (the same numbers)\n",
              (unsigned long long)saved);
}

/* A step of the asked shape: tokens and rows of logits are counted, not named. */
static enum weir_status shape_step(const struct weir_plan_shape *shape,
                                   const struct plan_limits *limits, struct step *step,
                                   struct step_seq *seq, struct weir_error *err)
{
    if ((uint64_t)shape->cached + shape->rows > limits->context)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "%u cached and %u new tokens, expected at most the context of %u",
                       shape->cached, shape->rows, limits->context);
    for (uint32_t i = 0; i < shape->sequences; i++)
        seq[i] = (struct step_seq){
            .slot = i, .cached = shape->cached, .row_first = i * shape->rows, .rows = shape->rows};
    *step = (struct step){.rows = shape->rows * shape->sequences,
                          .seqs = shape->sequences,
                          .seq = seq,
                          .outs = shape->sequences};
    return WEIR_OK;
}

/* With the phases in which a backend runs it whose threads wait between them. */
static enum weir_status print_plan(const struct blueprint *blueprint, const struct plan *plan,
                                   const struct step *step, bool operand_bytes,
                                   struct printer printer, struct weir_error *err)
{
    struct turn *turns = mem_alloc(plan->op_count, sizeof *turns, err);
    if (turns == NULL)
        return WEIR_ERR_MEMORY;
    plan_phases(plan, step->rows <= PHASES_REPEAT_ROWS, turns);
    plan_print(plan, turns, step, &blueprint->limits, operand_bytes, printer);
    mem_free(turns);
    return WEIR_OK;
}

enum weir_status weir_model_print_plan(const struct weir_model *model,
                                       const struct weir_engine_options *options,
                                       const struct weir_plan_shape *shape, weir_write_fn *write,
                                       void *user, struct weir_error *err)
{
    struct weir_engine_options sized;
    struct blueprint blueprint = {0};
    struct step_seq *seq = NULL;
    struct step step;
    enum weir_status status;
    if (shape->rows == 0 || shape->sequences == 0 ||
        (uint64_t)shape->rows * shape->sequences > UINT32_MAX)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "a plan of %u rows in %u sequences, expected both "
                       "at least 1 and a product below 2^32",
                       shape->rows, shape->sequences);
    weir_engine_options_init(&sized);
    if (options != NULL)
        sized = *options;
    sized.sessions_max = shape->sequences;
    TRY(blueprint_open(&blueprint, model, &sized, err));
    seq = mem_alloc(shape->sequences, sizeof *seq, err);
    if (seq == NULL) {
        status = WEIR_ERR_MEMORY;
        goto out;
    }
    TRY(shape_step(shape, &blueprint.limits, &step, seq, err));
    const struct printer printer = {write, user};
    TRY(print_plan(&blueprint, blueprint.plan, &step, shape->operand_bytes, printer, err));
    if (blueprint.mtp != NULL) {
        print(printer, "\nthe block of multi-token prediction: ");
        TRY(print_plan(&blueprint, blueprint.mtp, &step, shape->operand_bytes, printer, err));
    }
    print_weight_bytes(model, &blueprint, printer);
out:
    mem_free(seq);
    blueprint_close(&blueprint);
    return status;
}
