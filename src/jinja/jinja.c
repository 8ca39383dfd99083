/* SPDX-License-Identifier: MIT
 * From a source to a rendering: what comes in, how far it may go, what comes out. Knows nothing of
 * chats. */
#include "jinja/jinja.h"

#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "jinja/interpreter.h"
#include "jinja/variables.h"

enum { SOURCE_BYTES_MAX = 1 << 20 };

struct jinja {
    struct source source;
    struct arena arena; /* of the nodes */
    const struct node *statements;
    char *bytes, *name; /* what `source` points to */
};

/* A copy whose lines end with "\n" alone, without the last newline. */
static enum weir_status copy_source(struct jinja *jinja, const char *source, size_t length,
                                    struct weir_error *err)
{
    uint32_t kept = 0;
    jinja->bytes = mem_alloc((uint64_t)length + 1, 1, err);
    if (jinja->bytes == NULL)
        return WEIR_ERR_MEMORY;
    for (size_t i = 0; i < length; i++) {
        const bool is_return = source[i] == '\r';
        const bool has_newline = is_return && i + 1 < length && source[i + 1] == '\n';
        jinja->bytes[kept++] = is_return ? '\n' : source[i];
        i += has_newline;
    }
    if (kept > 0 && jinja->bytes[kept - 1] == '\n')
        kept--;
    jinja->source = (struct source){jinja->name, jinja->bytes, kept};
    return WEIR_OK;
}

enum weir_status jinja_open(struct jinja **out, const char *source, size_t length, const char *name,
                            struct weir_error *err)
{
    enum weir_status status;
    *out = NULL;
    if (length > SOURCE_BYTES_MAX)
        return err_set(err, WEIR_ERR_UNSUPPORTED,
                       "%s: a template of %zu bytes, expected at most %d", name, length,
                       SOURCE_BYTES_MAX);
    if (utf8_repaired_length((const uint8_t *)source, length) != length)
        return err_set(err, WEIR_ERR_FORMAT, "%s: a template is UTF-8, this is not", name);
    struct jinja *jinja = mem_alloc(1, sizeof *jinja, err);
    if (jinja == NULL)
        return WEIR_ERR_MEMORY;
    jinja->name = mem_copy_text(name, strlen(name), err);
    status = jinja->name == NULL ? WEIR_ERR_MEMORY : WEIR_OK;
    if (status != WEIR_OK)
        goto out;
    TRY(copy_source(jinja, source, length, err));
    TRY(parse_template(&jinja->source, &jinja->arena, &jinja->statements, err));
    *out = jinja;
out:
    if (status != WEIR_OK)
        jinja_close(jinja);
    return status;
}

void jinja_close(struct jinja *jinja)
{
    if (jinja == NULL)
        return;
    arena_release(&jinja->arena);
    mem_free(jinja->bytes);
    mem_free(jinja->name);
    mem_free(jinja);
}

static enum weir_status copy_output(const struct builder *builder, struct jinja_output *out,
                                    struct weir_error *err)
{
    const struct string text = builder_string(builder);
    out->bytes = mem_copy_text(text.bytes, text.length, err);
    out->origins = mem_alloc(text.length, 1, err);
    if (out->bytes == NULL || out->origins == NULL) {
        jinja_output_release(out);
        return WEIR_ERR_MEMORY;
    }
    if (text.origins != NULL)
        memcpy(out->origins, text.origins, text.length);
    out->length = text.length;
    return WEIR_OK;
}

static enum weir_status render(struct run *run, const struct jinja *jinja,
                               const struct jinja_input *input, struct builder *builder)
{
    struct scope root = {0};
    enum weir_status status;
    TRY(variables_define(run, input, &root));
    run->globals = &root;
    struct scope own = {.parent = &root};
    run->scope = &own;
    run->output = builder;
    TRY(execute(run, jinja->statements));
out:
    return status;
}

enum weir_status jinja_render(const struct jinja *jinja, const struct jinja_input *input,
                              struct jinja_output *out, struct weir_error *err)
{
    const uint64_t input_bytes = input->variables == NULL ? 0 : input->variables->source.length;
    struct builder builder = {.length_max = input_bytes + OUTPUT_MORE_MAX};
    struct run run = {.source = &jinja->source,
                      .now = input->now,
                      .arena = {.taken_max = MEMORY_MAX + MEMORY_FACTOR * input_bytes}};
    *out = (struct jinja_output){0};
    enum weir_status status = render(&run, jinja, input, &builder);
    if (status != WEIR_OK)
        err_set(err, status, "%s", run.err.text);
    else
        status = copy_output(&builder, out, err);
    variables_release(&run);
    arena_release(&run.arena);
    return status;
}

void jinja_output_release(struct jinja_output *output)
{
    mem_free(output->bytes);
    mem_free(output->origins);
    *output = (struct jinja_output){0};
}
