/* SPDX-License-Identifier: MIT
 * Strings that grow, each byte with its origin. */
#ifndef JINJA_BUILDER_H
#define JINJA_BUILDER_H

#include "jinja/value.h"

/* Lies in the arena of the rendering. Set to zero to begin. */
struct builder {
    char *bytes;
    uint8_t *origins;
    uint32_t length, capacity;
    uint64_t length_max; /* 0: as much as there is memory */
};

enum weir_status builder_add(struct run *run, struct builder *builder, struct string string);
/* Makes room for so many bytes in all. */
enum weir_status builder_reserve(struct run *run, struct builder *builder, uint64_t length);
/* Bytes of the template. */
enum weir_status builder_put(struct run *run, struct builder *builder, const char *text);
/* The whole; the builder may not grow any more. */
struct string builder_string(const struct builder *builder);

/* What {{ value }} prints: Python's str. */
enum weir_status builder_add_value(struct run *run, struct builder *builder,
                                   const struct value *value);
/* Python's repr. */
enum weir_status builder_add_repr(struct run *run, struct builder *builder,
                                  const struct value *value);
/* JSON; `indent` below 0: on one line. Keys keep their order, numbers of the request their form. */
enum weir_status builder_add_json(struct run *run, struct builder *builder,
                                  const struct value *value, int32_t indent);

/* Python's str of a value as a string. */
enum weir_status value_show(struct run *run, const struct value *value, struct string *out);

#endif
