/* SPDX-License-Identifier: MIT
 * The rules that every plan keeps. */
#ifndef PLAN_VALIDATE_H
#define PLAN_VALIDATE_H

#include "plan/plan.h"

/* Checks that every operand is of the kind its letter asks for, that shapes agree, that an
 * activation is written once and before it is read, that each state, ring and cache has one
 * writer, and that views lie within their base. The error names op number, role and layer. */
enum weir_status plan_validate(const struct plan *plan, struct weir_error *err);

#endif
