/* SPDX-License-Identifier: MIT
 * Names in marks of calls: which there can be, and any but those that are known. */
#ifndef GRAMMAR_CALL_NAMES_H
#define GRAMMAR_CALL_NAMES_H

#include "grammar/rules.h"
#include "json/json.h"

/* Whether chat/marks.c reads it as a name. */
bool call_name_can_be(struct json_text name);

/* Any name of up to 64 characters, none of `names`, which can all be names and which it sorts. */
enum weir_status call_name_other(struct rules_builder *builder, struct json_text *names,
                                 uint64_t count, uint32_t from, uint32_t to,
                                 struct weir_error *err);

#endif
