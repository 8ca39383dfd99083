/* SPDX-License-Identifier: MIT
 * What another reader says of a text: jansson, whose names are those of our own. */
#ifndef TESTS_JSON_PEER_H
#define TESTS_JSON_PEER_H

#include <stdbool.h>
#include <stddef.h>

/* Whether it is JSON. False in *is_sure where the two need not agree: numbers that jansson has no
 * type for, and what only one of them finds too deep. */
bool json_peer_reads(const char *text, size_t length, bool *is_sure);

#endif
