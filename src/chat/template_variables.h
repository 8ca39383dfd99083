/* SPDX-License-Identifier: MIT
 * Variables of templates that users name, written as members of a template's request. */
#ifndef CHAT_TEMPLATE_VARIABLES_H
#define CHAT_TEMPLATE_VARIABLES_H

#include "base/bytes.h"
#include "json/json.h"

#define VARIABLE_THINKING "enable_thinking"
#define VARIABLE_PRESERVE "preserve_thinking"

/* Refuses what is no object, and members that are no variables but the conversation itself, which
 * they would replace unseen. `what` begins the error. */
enum weir_status template_variables_check(const char *text, size_t length, const char *what,
                                          struct weir_error *err);
/* The same for one that was read. */
enum weir_status template_variables_check_names(const struct json *object, const char *what,
                                                struct weir_error *err);

/* Each of these writes members with a comma behind. What is written later wins. */

/* Those of an object that was checked. */
void template_variables_write(const char *text, size_t length, struct bytes *request);
/* Nothing for AUTO. */
void template_variables_write_switch(const char *name, enum weir_switch value,
                                     struct bytes *request);

#endif
