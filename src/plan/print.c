/* SPDX-License-Identifier: MIT
 * A plan as text: one line an op, sums by class. Knows no backend. */
#include "plan/plan.h"

#include <stdio.h>

#include "plan/phases.h"

static uint64_t sum_classes(const uint64_t *bytes)
{
    uint64_t sum = 0;
    for (int class = 0; class < TRAFFIC_CLASSES; class ++)
        sum += bytes[class];
    return sum;
}

/* "32768" or, of a view, "8x256". */
static void format_shape(const struct buf *buf, const struct step *step, char *out, size_t size)
{
    if (buf->groups > 1)
        snprintf(out, size, "%llux%ux%u", (unsigned long long)buf_rows(buf, step), buf->groups,
                 buf->width);
    else
        snprintf(out, size, "%llux%u", (unsigned long long)buf_rows(buf, step), buf->width);
}

/* "w12:Q4_0[3584x1024]": letter, number, type unless F32, shape. */
static void print_operand(const struct plan *plan, const struct op *op, uint32_t i,
                          const struct step *step, struct printer printer)
{
    const struct buf *buf = plan_buf(plan, op->operand[i]);
    char shape[64];
    format_shape(buf, step, shape, sizeof shape);
    print(printer, " %c%u", op_info(op->kind)->operands[i], op->operand[i]);
    if (buf->base != op->operand[i])
        print(printer, "<%u+%u", buf->base, buf->offset);
    if (buf->dtype != DTYPE_F32)
        print(printer, ":%s", dtype_info(buf->dtype)->name);
    print(printer, "[%s]", shape);
}

static void print_op(const struct plan *plan, uint32_t number, const struct turn *turn,
                     const struct step *step, const struct plan_limits *limits, bool operand_bytes,
                     struct printer printer)
{
    const struct op *op = &plan->ops[number];
    struct traffic traffic = {0};
    op_traffic(plan, op, step, limits, &traffic);
    char layer[16] = "-";
    if (op->layer != LAYER_NONE)
        snprintf(layer, sizeof layer, "%u", op->layer);
    print(printer, "%4u %5s %-18s %-12s %5u %-7s %12llu %12llu", number, layer,
          op_info(op->kind)->name, plan->roles[op->role], turn->phase, share_name(turn->share),
          (unsigned long long)sum_classes(traffic.read),
          (unsigned long long)sum_classes(traffic.written));
    if (operand_bytes)
        print(printer, " %14llu", (unsigned long long)traffic.operand);
    print(printer, " ");
    for (uint32_t i = 0; i < op_operands(op); i++)
        print_operand(plan, op, i, step, printer);
    print(printer, "\n");
}

static void print_sums(const struct traffic *sum, struct printer printer)
{
    print(printer, "\nbytes touched %16s %16s\n", "read", "written");
    for (int class = 0; class < TRAFFIC_CLASSES; class ++)
        print(printer, "%-13s %16llu %16llu\n", traffic_class_name(class),
              (unsigned long long)sum->read[class], (unsigned long long)sum->written[class]);
    print(printer, "%-13s %16llu %16llu\n", "total", (unsigned long long)sum_classes(sum->read),
          (unsigned long long)sum_classes(sum->written));
}

void plan_print(const struct plan *plan, const struct turn *turns, const struct step *step,
                const struct plan_limits *limits, bool operand_bytes, struct printer printer)
{
    const uint32_t phases = plan->op_count == 0 ? 0 : turns[plan->op_count - 1].phase + 1u;
    print(printer, "%u ops in %u phases: %u new rows in %u sequences, %u rows of logits\n\n",
          plan->op_count, phases, step->rows, step->seqs, step->outs);
    print(printer, "%4s %5s %-18s %-12s %5s %-7s %12s %12s", "op", "layer", "kind", "role", "phase",
          "shared", "read", "written");
    if (operand_bytes)
        print(printer, " %14s", "operands");
    print(printer, "  operands: letter and number, <base+offset of a view, :type, [shape]\n");
    struct traffic sum = {0};
    for (uint32_t i = 0; i < plan->op_count; i++) {
        print_op(plan, i, &turns[i], step, limits, operand_bytes, printer);
        op_traffic(plan, &plan->ops[i], step, limits, &sum);
    }
    print_sums(&sum, printer);
}
