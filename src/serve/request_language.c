/* SPDX-License-Identifier: MIT
 * Reads the language that an answer is held to, in each of the spellings that clients have: those
 * of OpenAI, of llama-server and of vLLM. Knows no grammar. */
#include <stdio.h>
#include <string.h>

#include "serve/request_lists.h"

static enum weir_status set_language(struct request *request, enum language language,
                                     struct json_text grammar, const char *member,
                                     struct weir_error *err)
{
    if (request->language != LANGUAGE_ANY)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "Either \"%s\" or \"%s\" can be specified, but not both",
                       request->language_of, member);
    if (grammar.length > REQUEST_GRAMMAR_BYTES_MAX)
        return err_set(err, WEIR_ERR_ARGUMENT, "Field '%s': %zu bytes, at most %d", member,
                       grammar.length, REQUEST_GRAMMAR_BYTES_MAX);
    snprintf(request->language_of, sizeof request->language_of, "%s", member);
    request->language = language;
    request->grammar = grammar;
    return WEIR_OK;
}

/* ---- response_format ------------------------------------------------------------------------- */

static const char any_object[] = "{\"type\":\"object\"}";

static enum weir_status read_format(struct request *request, struct weir_error *err)
{
    const struct json *format = request_member(request->root, "response_format");
    if (format == NULL)
        return WEIR_OK;
    if (format->kind != JSON_OBJECT)
        return request_refuse_kind("response_format", "object", format, err);
    struct json_text type;
    const enum weir_status status = request_text(format, "type", &type, err);
    if (status != WEIR_OK || type.bytes == NULL || json_text_equals(type, "text"))
        return status;
    const bool is_object = json_text_equals(type, "json_object");
    if (!is_object && !json_text_equals(type, "json_schema"))
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "response_format type must be one of \"text\", \"json_object\" or "
                       "\"json_schema\", but got: %.*s",
                       (int)(type.length < 64 ? type.length : 64), type.bytes);
    const struct json *holder = is_object ? format : request_member(format, "json_schema");
    const struct json *schema = request_member(holder, "schema");
    if (schema == NULL && !is_object)
        return err_set(err, WEIR_ERR_ARGUMENT, "response_format: json_schema.schema is missing");
    return set_language(request, LANGUAGE_SCHEMA,
                        schema != NULL ? schema->source
                                       : (struct json_text){any_object, sizeof any_object - 1},
                        "response_format", err);
}

/* ---- vLLM's spellings ------------------------------------------------------------------------ */

/* What a member of vLLM's holds. */
enum guided {
    GUIDED_JSON,    /* a schema, or its text */
    GUIDED_OBJECT,  /* whether any object is wanted */
    GUIDED_CHOICE,  /* texts, of which the answer is one */
    GUIDED_REGEX,   /* that matches the whole answer */
    GUIDED_GRAMMAR, /* GBNF */
    GUIDED_MET,     /* that there is no other way when this one fails: there never is */
    GUIDED_NONE,    /* how that is written: it cannot be wished for here */
};

struct guided_member {
    const char *name; /* of "structured_outputs", and behind "guided_" */
    enum guided kind;
};

static const struct guided_member guided_members[] = {
    {"json", GUIDED_JSON},
    {"json_object", GUIDED_OBJECT},
    {"choice", GUIDED_CHOICE},
    {"regex", GUIDED_REGEX},
    {"grammar", GUIDED_GRAMMAR},
    {"structural_tag", GUIDED_NONE},
    {"disable_fallback", GUIDED_MET},
    {"whitespace_pattern", GUIDED_NONE},
    {"disable_any_whitespace", GUIDED_NONE},
    {"disable_additional_properties", GUIDED_NONE},
};

/* A text as a literal of GBNF. */
static void add_literal(struct bytes *out, struct json_text text)
{
    bytes_add_text(out, "\"");
    for (size_t i = 0; i < text.length; i++) {
        const char c = text.bytes[i];
        char escape[8];
        snprintf(escape, sizeof escape, "\\x%02x", (uint8_t)c);
        if (c == '"' || c == '\\' || (uint8_t)c < ' ')
            bytes_add_text(out, escape);
        else
            bytes_add(out, &c, 1);
    }
    bytes_add_text(out, "\"");
}

static enum weir_status set_choice(struct request *request, const struct json *texts,
                                   const char *member, struct weir_error *err)
{
    struct bytes grammar = {0};
    const char *kept = NULL;
    enum weir_status status;
    if (texts->kind != JSON_ARRAY)
        return request_refuse_kind(member, "array", texts, err);
    if (texts->count == 0)
        return err_set(err, WEIR_ERR_ARGUMENT, "Field '%s': there is nothing to choose from",
                       member);
    bytes_add_text(&grammar, "root ::= ");
    for (uint32_t i = 0; i < texts->count; i++) {
        if (texts->items[i].kind != JSON_STRING)
            TRY(request_refuse_kind(member, "string", &texts->items[i], err));
        bytes_add_text(&grammar, i > 0 ? " | " : "");
        add_literal(&grammar, texts->items[i].text);
    }
    TRY(bytes_check(&grammar, err));
    const struct json_text text = {grammar.data, (size_t)grammar.length};
    TRY(request_keep_text(request, member, text, &kept, err));
    TRY(set_language(request, LANGUAGE_GBNF, (struct json_text){kept, text.length}, member, err));
out:
    bytes_release(&grammar);
    return status;
}

static enum weir_status set_text(struct request *request, enum language language,
                                 const struct json *text, const char *member,
                                 struct weir_error *err)
{
    if (text->kind != JSON_STRING)
        return request_refuse_kind(member, "string", text, err);
    return set_language(request, language, text->text, member, err);
}

/* Of those that can be false, false is as if they were not there. */
static enum weir_status set_guided(struct request *request, enum guided kind,
                                   const struct json *value, const char *member,
                                   struct weir_error *err)
{
    const struct json_text object = {any_object, sizeof any_object - 1};
    const struct json_text schema = value->kind == JSON_STRING ? value->text : value->source;
    switch (kind) {
    case GUIDED_JSON: return set_language(request, LANGUAGE_SCHEMA, schema, member, err);
    case GUIDED_CHOICE: return set_choice(request, value, member, err);
    case GUIDED_REGEX: return set_text(request, LANGUAGE_PATTERN, value, member, err);
    case GUIDED_GRAMMAR: return set_text(request, LANGUAGE_GBNF, value, member, err);
    case GUIDED_OBJECT:
        if (value->kind == JSON_FALSE)
            return WEIR_OK;
        if (value->kind != JSON_TRUE)
            return request_refuse_kind(member, "boolean", value, err);
        return set_language(request, LANGUAGE_SCHEMA, object, member, err);
    case GUIDED_MET: return WEIR_OK;
    case GUIDED_NONE: break;
    }
    if (value->kind == JSON_FALSE)
        return WEIR_OK;
    return err_set(err, WEIR_ERR_ARGUMENT, "Field '%s' is not supported", member);
}

static const char outer[] = "structured_outputs";
enum { GUIDED_MEMBERS = sizeof guided_members / sizeof guided_members[0] };

static bool is_guided_member(struct json_text name)
{
    for (size_t i = 0; i < GUIDED_MEMBERS; i++) {
        if (json_text_equals(name, guided_members[i].name))
            return true;
    }
    return false;
}

/* An answer that is free for the sake of a slip of the pen helps nobody. */
static enum weir_status refuse_unknown(const struct json *outputs, struct weir_error *err)
{
    for (uint32_t i = 0; i < outputs->count; i++) {
        const struct json_text name = outputs->keys[i];
        if (outputs->items[i].kind != JSON_NULL && !is_guided_member(name))
            return err_set(err, WEIR_ERR_ARGUMENT, "Field '%s.%.*s' is not supported", outer,
                           (int)(name.length < 64 ? name.length : 64), name.bytes);
    }
    return WEIR_OK;
}

static enum weir_status read_guided(struct request *request, struct weir_error *err)
{
    const struct json *outputs = request_member(request->root, outer);
    enum weir_status status = WEIR_OK;
    if (outputs != NULL && outputs->kind != JSON_OBJECT)
        return request_refuse_kind(outer, "object", outputs, err);
    if (outputs != NULL)
        TRY(refuse_unknown(outputs, err));
    for (size_t i = 0; i < GUIDED_MEMBERS; i++) {
        const struct guided_member *member = &guided_members[i];
        char name[64];
        snprintf(name, sizeof name, "guided_%s", member->name);
        const struct json *flat = request_member(request->root, name);
        const struct json *inner = request_member(outputs, member->name);
        if (flat != NULL)
            TRY(set_guided(request, member->kind, flat, name, err));
        snprintf(name, sizeof name, "%s.%s", outer, member->name);
        if (inner != NULL)
            TRY(set_guided(request, member->kind, inner, name, err));
    }
out:
    return status;
}

/* ---- all spellings --------------------------------------------------------------------------- */

enum weir_status request_read_language(struct request *request, struct weir_error *err)
{
    const struct json *schema = request_member(request->root, "json_schema");
    struct json_text grammar;
    enum weir_status status;
    TRY(read_format(request, err));
    if (schema != NULL)
        TRY(set_language(request, LANGUAGE_SCHEMA, schema->source, "json_schema", err));
    TRY(request_text(request->root, "grammar", &grammar, err));
    if (grammar.length > 0)
        TRY(set_language(request, LANGUAGE_GBNF, grammar, "grammar", err));
    TRY(read_guided(request, err));
    const bool is_schema = request->language == LANGUAGE_SCHEMA;
    if (request->language != LANGUAGE_ANY && !is_schema && request->calls != CALLS_NONE)
        TRY(err_set(err, WEIR_ERR_ARGUMENT, "Cannot use custom grammar constraints with tools."));
out:
    return status;
}
