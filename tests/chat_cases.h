/* SPDX-License-Identifier: MIT
 * Files of recorded prompts: {"cases": [{"name", "request", "expected"}]}. For tests of templates
 * and of prompts. */
#ifndef TESTS_CHAT_CASES_H
#define TESTS_CHAT_CASES_H

#include "json/json.h"

/* Reads a file of JSON; fails the test if it is none. Closed with json_close. */
struct json_document *chat_cases_read(const char *path);

/* Opens a template from a file; fails the test if it does not. */
struct weir_template *chat_cases_template(const char *path);
/* That of tools/train, which the shipped model has, too. */
struct weir_template *chat_cases_own_template(void);

/* Renders a request that must succeed. */
struct weir_prompt *chat_cases_render(const struct weir_template *chat_template,
                                      struct json_text request);

#endif
