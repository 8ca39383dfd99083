/* SPDX-License-Identifier: MIT
 * Grammars and schemas of the command line. Knows not what they mean. */
#include "app/constrained.h"

#include <string.h>

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

enum { GRAMMAR_BYTES_MAX = 16 << 20 };

typedef enum weir_status open_fn(struct weir_grammar **out, const char *text, size_t length,
                                 struct weir_error *err);

struct source {
    const char *text, *path; /* one of them, or none */
    open_fn *open;
};

static enum weir_status open_source(const struct source *source, struct weir_grammar **out,
                                    struct weir_error *err)
{
    if (source->text != NULL)
        return source->open(out, source->text, strlen(source->text), err);
    uint8_t *data;
    size_t size;
    enum weir_status status = file_read_all(source->path, GRAMMAR_BYTES_MAX, &data, &size, err);
    if (status != WEIR_OK)
        return status;
    status = source->open(out, (const char *)data, size, err);
    mem_free(data);
    return status;
}

bool constrained_is_given(const struct options *options)
{
    return options->grammar != NULL || options->grammar_file != NULL || options->schema != NULL ||
           options->schema_file != NULL;
}

enum weir_status constrained_open_grammar(struct weir_grammar **out, const struct options *options,
                                          struct weir_error *err)
{
    const struct source sources[] = {
        {options->grammar, NULL, weir_grammar_open_gbnf},
        {NULL, options->grammar_file, weir_grammar_open_gbnf},
        {options->schema, NULL, weir_grammar_open_schema},
        {NULL, options->schema_file, weir_grammar_open_schema},
    };
    const struct source *given = NULL;
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        if (sources[i].text == NULL && sources[i].path == NULL)
            continue;
        if (given != NULL)
            return err_set(err, WEIR_ERR_ARGUMENT,
                           "give only one of --grammar, --grammar-file, --json-schema and "
                           "--json-schema-file");
        given = &sources[i];
    }
    return given == NULL ? WEIR_OK : open_source(given, out, err);
}

enum weir_status constrained_open(struct constrained *constrained, const struct options *options,
                                  const struct weir_tokenizer *tokenizer, struct weir_error *err)
{
    enum weir_status status;
    TRY(constrained_open_grammar(&constrained->grammar, options, err));
    if (constrained->grammar == NULL)
        return WEIR_OK;
    if (tokenizer == NULL)
        return err_set(err, WEIR_ERR_ARGUMENT, "a grammar needs the model's tokenizer");
    TRY(weir_constraint_open(&constrained->constraint, constrained->grammar, tokenizer, err));
out:
    return status;
}

void constrained_close(struct constrained *constrained)
{
    weir_constraint_close(constrained->constraint);
    weir_grammar_close(constrained->grammar);
    *constrained = (struct constrained){0};
}

enum weir_status constrained_begin(struct constrained *constrained, struct weir_sampler *sampler,
                                   struct weir_error *err)
{
    if (constrained->constraint == NULL)
        return WEIR_OK;
    return weir_sampler_constrain(sampler, constrained->constraint, NULL, err);
}

enum weir_status constrained_check(const struct constrained *constrained,
                                   const struct weir_sampler *sampler, struct log *log,
                                   struct weir_error *err)
{
    if (weir_sampler_is_cut(sampler))
        return err_set(err, WEIR_ERR_UNSUPPORTED,
                       "the grammar became too ambiguous: the text ends before it is complete");
    if (constrained->constraint != NULL && weir_constraint_is_narrow(constrained->constraint))
        log_print(log, WEIR_LOG_WARNING,
                  "the grammar is very ambiguous: some tokens that it may allow were not");
    return WEIR_OK;
}
