/* SPDX-License-Identifier: MIT
 * Programs in the part of the language Jinja that chat templates use: parsed once, then rendered
 * within limits of steps, depth, memory and output. */
#ifndef JINJA_JINJA_H
#define JINJA_JINJA_H

#include "json/json.h"

struct jinja;

/* WEIR_ERR_FORMAT for what is no template, WEIR_ERR_UNSUPPORTED for what of the language is not
 * known here; the line says "NAME:LINE:COLUMN". Borrows nothing. */
enum weir_status jinja_open(struct jinja **out, const char *source, size_t length, const char *name,
                            struct weir_error *err);
void jinja_close(struct jinja *jinja);

/* A variable that is not the request's: its bytes count as the template's. */
struct jinja_variable {
    const char *name;
    const char *text;
    size_t length;
};

struct jinja_input {
    const struct json *variables; /* an object; may be NULL */
    const struct json *defaults;  /* for what of it is not there; may be NULL */
    const struct jinja_variable *texts;
    uint32_t texts_count;
    int64_t now; /* seconds since 1970, for strftime_now */
};

/* Where a byte of the output comes from. What a template only shows or hides by the request, it has
 * written itself. */
enum jinja_origin { JINJA_OF_TEMPLATE, JINJA_OF_INPUT };

struct jinja_output {
    char *bytes;      /* UTF-8, a zero behind it */
    uint8_t *origins; /* enum jinja_origin of each byte */
    size_t length;
};

/* WEIR_ERR_ARGUMENT: an exception that the template raises, the line is its text alone.
 * WEIR_ERR_FORMAT: an operation that does not fit its values, WEIR_ERR_UNSUPPORTED: one that is not
 * known here, each with "NAME:LINE:COLUMN". WEIR_ERR_FULL: a limit. The output is the caller's:
 * jinja_output_release. */
enum weir_status jinja_render(const struct jinja *jinja, const struct jinja_input *input,
                              struct jinja_output *out, struct weir_error *err);
void jinja_output_release(struct jinja_output *output);

#endif
