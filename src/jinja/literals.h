/* SPDX-License-Identifier: MIT
 * Values that are written down in a template. */
#ifndef JINJA_LITERALS_H
#define JINJA_LITERALS_H

#include "jinja/parser.h"

/* The value of the next token: a number, or strings side by side, which are one. */
enum weir_status parse_literal(struct parser *parser, struct value *out);

#endif
