/* SPDX-License-Identifier: MIT
 * Templates of chats: the variables that they find, and the prompt of a request. Knows no language
 * but JSON, and no model file. */
#include "chat/template.h"

#include <assert.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/think_marks.h"
#include "base/utf8.h"
#include "chat/chat_prompt.h"

enum { TOKENS_MAX = 2 };

struct weir_template {
    struct jinja *jinja;
    char *source;
    struct json_document *defaults;
    struct jinja_variable tokens[TOKENS_MAX];
    uint32_t tokens_count;
    char *texts[TOKENS_MAX]; /* of `tokens` */
    struct template_traits traits;
};

/* ---- built-in templates ---------------------------------------------------------------------- */

/* The form that the family's templates have in common, without tools and reasoning. */
static const char chatml[] =
    "{%- for message in messages -%}\n"
    "{{ '<|im_start|>' + message.role + '\\n' }}\n"
    "{%- if message.content is string %}\n"
    "{{- message.content }}\n"
    "{%- elif message.content %}\n"
    "{%- for part in message.content %}{{ part.text }}{% endfor %}\n"
    "{%- endif %}\n"
    "{{- '<|im_end|>\\n' }}\n"
    "{%- endfor %}\n"
    "{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}\n";

static const struct {
    const char *name, *source;
} builtins[] = {{"chatml", chatml}};

const char *weir_template_builtin(const char *name)
{
    for (size_t i = 0; i < sizeof builtins / sizeof builtins[0]; i++) {
        if (strcmp(builtins[i].name, name) == 0)
            return builtins[i].source;
    }
    return NULL;
}

const char *const *weir_template_builtins(void)
{
    static const char *const names[] = {"chatml", NULL};
    static_assert(sizeof names / sizeof names[0] == sizeof builtins / sizeof builtins[0] + 1,
                  "each built-in template is listed");
    return names;
}

/* ---- templates ------------------------------------------------------------------------------- */

/* A file may have any bytes there, and a prompt is valid UTF-8. */
static enum weir_status add_token(struct weir_template *chat_template, const char *name,
                                  struct span text, struct weir_error *err)
{
    if (text.data == NULL)
        return WEIR_OK;
    const uint64_t length = utf8_repaired_length(text.data, text.length);
    char *copy = mem_alloc(length + 1, 1, err);
    if (copy == NULL)
        return WEIR_ERR_MEMORY;
    utf8_repair(text.data, text.length, (uint8_t *)copy);
    const uint32_t place = chat_template->tokens_count++;
    chat_template->texts[place] = copy;
    chat_template->tokens[place] = (struct jinja_variable){name, copy, (size_t)length};
    return WEIR_OK;
}

static bool mentions(struct span source, const char *word)
{
    return memmem(source.data, source.length, word, strlen(word)) != NULL;
}

enum weir_status template_open(struct weir_template **out, struct span source, const char *name,
                               const struct template_tokens *tokens, struct weir_error *err)
{
    static const char defaults[] = "{\"tools\": null, \"add_generation_prompt\": true}";
    enum weir_status status;
    *out = NULL;
    struct weir_template *chat_template = mem_alloc(1, sizeof *chat_template, err);
    if (chat_template == NULL)
        return WEIR_ERR_MEMORY;
    chat_template->source = mem_copy_text((const char *)source.data, source.length, err);
    if (chat_template->source == NULL)
        TRY(WEIR_ERR_MEMORY);
    TRY(jinja_open(&chat_template->jinja, (const char *)source.data, source.length, name, err));
    TRY(json_open(&chat_template->defaults, defaults, sizeof defaults - 1, "defaults", err));
    TRY(add_token(chat_template, "bos_token", tokens->bos, err));
    TRY(add_token(chat_template, "eos_token", tokens->eos, err));
    chat_template->traits = (struct template_traits){
        .has_developer = mentions(source, "developer"),
        .has_reasoning = mentions(source, MARK_THINK),
    };
    *out = chat_template;
out:
    if (status != WEIR_OK)
        weir_template_close(chat_template);
    return status;
}

enum weir_status weir_template_open(struct weir_template **out, const char *source, size_t length,
                                    const char *name, struct weir_error *err)
{
    const struct span span = {(const uint8_t *)source, length};
    return template_open(out, span, name, &(struct template_tokens){0}, err);
}

void weir_template_close(struct weir_template *chat_template)
{
    if (chat_template == NULL)
        return;
    jinja_close(chat_template->jinja);
    json_close(chat_template->defaults);
    mem_free(chat_template->source);
    for (uint32_t i = 0; i < TOKENS_MAX; i++)
        mem_free(chat_template->texts[i]);
    mem_free(chat_template);
}

const char *weir_template_source(const struct weir_template *chat_template)
{
    return chat_template->source;
}

/* ---- rendering ------------------------------------------------------------------------------- */

struct template_traits template_traits(const struct weir_template *chat_template)
{
    return chat_template->traits;
}

enum weir_status template_read_request(struct json_document **out, const char *request,
                                       size_t length, struct weir_error *err)
{
    return json_open_kind(out, JSON_OBJECT, request, length, "request", err);
}

enum weir_status template_render(const struct weir_template *chat_template,
                                 const struct json *request, struct jinja_output *out,
                                 struct weir_error *err)
{
    const struct jinja_input input = {
        .variables = request,
        .defaults = json_root(chat_template->defaults),
        .texts = chat_template->tokens,
        .texts_count = chat_template->tokens_count,
        .now = (int64_t)time(NULL),
    };
    return jinja_render(chat_template->jinja, &input, out, err);
}

enum weir_status weir_template_render(const struct weir_template *chat_template,
                                      struct weir_prompt **out, const char *request, size_t length,
                                      struct weir_error *err)
{
    struct json_document *document;
    struct jinja_output output = {0};
    enum weir_status status;
    *out = NULL;
    TRY(template_read_request(&document, request, length, err));
    TRY(template_render(chat_template, json_root(document), &output, err));
    TRY(chat_prompt_open(out, &output, err));
out:
    json_close(document);
    return status;
}
