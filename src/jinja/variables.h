/* SPDX-License-Identifier: MIT
 * What a template finds: the variables of a request. */
#ifndef JINJA_VARIABLES_H
#define JINJA_VARIABLES_H

#include "jinja/interpreter.h"
#include "jinja/jinja.h"

/* Defines them all in `scope`; strings point into the request. */
enum weir_status variables_define(struct run *run, const struct jinja_input *input,
                                  struct scope *scope);

/* A value of JSON. What it points to must last as long as the run. */
enum weir_status variable_value(struct run *run, const struct json *json, struct value *out);

/* The value of a text of JSON, which counts as the request's. */
enum weir_status variable_parse(struct run *run, struct string text, struct value *out);
/* Lets go of all texts that were read. */
void variables_release(struct run *run);

#endif
