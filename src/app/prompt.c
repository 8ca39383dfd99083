/* SPDX-License-Identifier: MIT
 * Input of the commands. Knows no engine. */
#include "app/prompt.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "app/number.h"
#include "app/output.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

static const uint64_t text_bytes_max = 2147483647; /* weir_tokenizer_encode takes no more */

/* Reads the escape that begins behind a backslash. Returns its length, 0 if there is none. */
static size_t read_escape(const char *text, size_t length, char *out)
{
    static const char letters[] = "nrt'\"\\";
    static const char meanings[] = "\n\r\t'\"\\";
    if (length == 0)
        return 0;
    const char *letter = text[0] == 0 ? NULL : strchr(letters, text[0]);
    if (letter != NULL) {
        *out = meanings[letter - letters];
        return 1;
    }
    if (length < 3 || text[0] != 'x' || hex_value(text[1]) < 0 || hex_value(text[2]) < 0)
        return 0;
    *out = (char)(hex_value(text[1]) * 16 + hex_value(text[2]));
    return 3;
}

size_t prompt_unescape(char *text, size_t length)
{
    size_t out = 0;
    for (size_t in = 0; in < length; in++) {
        char c = text[in];
        if (c == '\\')
            in += read_escape(text + in + 1, length - in - 1, &c);
        text[out++] = c;
    }
    return out;
}

bool prompt_is_given(const struct options *options)
{
    return options->prompt != NULL || options->prompt_file != NULL ||
           options->prompt_binary != NULL || options->tokens != NULL || options->prompt_stdin;
}

enum weir_status prompt_check(const struct options *options, const char *possible,
                              struct weir_error *err)
{
    const struct {
        const char *name;
        bool is_given;
    } inputs[] = {
        {"--prompt", options->prompt != NULL},
        {"--file", options->prompt_file != NULL},
        {"--binary-file", options->prompt_binary != NULL},
        {"--tokens", options->tokens != NULL},
        {"--stdin", options->prompt_stdin},
    };
    const char *first = NULL;
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        if (inputs[i].is_given && first != NULL)
            return err_set(err, WEIR_ERR_ARGUMENT, "only one of %s may be given, not %s and %s",
                           possible, first, inputs[i].name);
        if (inputs[i].is_given)
            first = inputs[i].name;
    }
    if (first != NULL)
        return WEIR_OK;
    if (options->model != NULL && strchr(options->model, ' ') != NULL)
        return err_set(err, WEIR_ERR_ARGUMENT, "one of %s is needed: \"%s\" is taken for a model",
                       possible, options->model);
    return err_set(err, WEIR_ERR_ARGUMENT, "one of %s is needed", possible);
}

enum weir_status prompt_check_target(const struct options *options, const char *target,
                                     struct weir_error *err)
{
    const char *const inputs[] = {
        options->model,
        options->prompt_file,
        options->prompt_binary,
        options->tokens,
        options->kl,
        options->quantize.imatrix,
        options->parse,
        options->tools,
        options->request,
        options->chat_template,
        options->chat.system_file,
        options->chat.template_file,
        options->grammar_file,
        options->schema_file,
        options->spec.model,
    };
    enum weir_status status = WEIR_OK;
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0] && status == WEIR_OK; i++)
        status = output_check_target(target, inputs[i], err);
    const struct text_list *models = &options->bench.models;
    for (uint64_t i = 0; i < models->count && status == WEIR_OK; i++)
        status = output_check_target(target, models->items[i], err);
    return status;
}

enum weir_status prompt_read_text(const struct options *options, bool trim, char **text,
                                  size_t *length, struct weir_error *err)
{
    if (options->prompt != NULL) {
        *length = strlen(options->prompt);
        *text = mem_copy_text(options->prompt, *length, err);
        if (*text == NULL)
            return WEIR_ERR_MEMORY;
    } else {
        const char *path = options->prompt_stdin            ? "-"
                           : options->prompt_binary != NULL ? options->prompt_binary
                                                            : options->prompt_file;
        uint8_t *data;
        const enum weir_status status = file_read_all(path, text_bytes_max, &data, length, err);
        if (status != WEIR_OK)
            return status;
        *text = (char *)data;
    }
    if (trim && options->prompt_file != NULL && *length > 0 && (*text)[*length - 1] == '\n')
        *length -= 1;
    if (options->escape && options->prompt_binary == NULL)
        *length = prompt_unescape(*text, *length);
    return WEIR_OK;
}

enum weir_status ids_add(struct ids *ids, int32_t id, struct weir_error *err)
{
    const enum weir_status status =
        mem_grow(&ids->items, &ids->capacity, ids->count + 1, sizeof *ids->items, err);
    if (status == WEIR_OK)
        ids->items[ids->count++] = id;
    return status;
}

/* Adds the number that begins at `text` and returns the end of the word; NULL if it is none. */
static char *read_id(struct ids *ids, char *text, struct weir_error *err)
{
    char *end = text;
    while (*end != 0 && !isspace((unsigned char)*end))
        end++;
    const char after = *end;
    int64_t id;
    *end = 0;
    if (!number_read_integer(text, &id) || id < 0 || id > INT32_MAX) {
        err_set(err, WEIR_ERR_FORMAT, "'%.32s' is not a token id", text);
        return NULL;
    }
    *end = after;
    return ids_add(ids, (int32_t)id, err) == WEIR_OK ? end : NULL;
}

/* Behind a line. Of an empty one, `ends` has the end already. */
static enum weir_status end_line(const struct ids *ids, struct ids *ends, struct weir_error *err)
{
    const uint64_t before = ends->count > 0 ? (uint64_t)ends->items[ends->count - 1] : 0;
    return ids->count > before ? ids_add(ends, (int32_t)ids->count, err) : WEIR_OK;
}

enum weir_status prompt_read_token_lines(struct ids *ids, struct ids *ends, const char *path,
                                         struct weir_error *err)
{
    uint8_t *data;
    size_t size;
    enum weir_status status = file_read_all(path, text_bytes_max, &data, &size, err);
    if (status != WEIR_OK)
        return status;
    struct weir_error inner = {0};
    unsigned long line = 1;
    char *at = (char *)data;
    const char *end = at + size;
    while (at < end && at != NULL) {
        if (!isspace((unsigned char)*at)) {
            at = read_id(ids, at, &inner);
        } else if (*at++ == '\n') {
            line++;
            at = end_line(ids, ends, &inner) == WEIR_OK ? at : NULL;
        }
    }
    if (at == NULL || end_line(ids, ends, &inner) != WEIR_OK)
        status = err_set(err, inner.status, "%s: line %lu: %s", path, line, inner.text);
    else if (ids->count == 0)
        status = err_set(err, WEIR_ERR_FORMAT, "%s: holds no token ids", path);
    mem_free(data);
    return status;
}

enum weir_status prompt_read_tokens(struct ids *ids, const char *path, struct weir_error *err)
{
    struct ids ends = {0};
    const enum weir_status status = prompt_read_token_lines(ids, &ends, path, err);
    mem_free(ends.items);
    return status;
}

enum weir_status prompt_encode(struct ids *ids, const struct weir_tokenizer *tokenizer,
                               const char *text, size_t length, unsigned flags,
                               struct weir_error *err)
{
    /* Enough for valid UTF-8. Other bytes become U+FFFD, which may be more ids than bytes. */
    uint64_t wanted = (uint64_t)length + 2;
    size_t count = 0;
    do {
        enum weir_status status =
            mem_grow(&ids->items, &ids->capacity, wanted, sizeof *ids->items, err);
        if (status == WEIR_OK)
            status = weir_tokenizer_encode(tokenizer, text, length, flags, ids->items,
                                           (size_t)ids->capacity, &count, err);
        if (status != WEIR_OK)
            return status;
        wanted = count;
    } while (count > ids->capacity);
    ids->count = count;
    return WEIR_OK;
}
