/* SPDX-License-Identifier: MIT
 * Replies drawn from the grammar of calls, against what the parser of replies makes of them: all
 * that is meant as a call is one, is read back as it was written, and is what its schema allows,
 * which a small validator of our own decides. Run alone: build/tests/weir-test calls_drawn_ */
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "grammar/automaton.h"
#include "grammars.h"
#include "said.h"

enum { TEXT_MAX = 3000, DRAWN_MAX = 400, TEXTS = 400 };

static const char tools[] =
    "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\","
    "\"properties\":{"
    "\"s\":{\"type\":\"string\"},"
    "\"n\":{\"type\":\"integer\",\"minimum\":3,\"maximum\":400},"
    "\"l\":{\"type\":\"string\",\"minLength\":2,\"maxLength\":30},"
    "\"m\":{\"type\":\"string\",\"minLength\":1},"
    "\"e\":{\"enum\":[\"a\",\"ab\",\"true\",7,true]},"
    "\"u\":{\"type\":[\"string\",\"null\"]},"
    "\"w\":{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"integer\",\"minimum\":100}]},"
    "\"v\":{\"anyOf\":[{\"type\":\"string\"},{\"const\":false},{\"type\":\"array\",\"items\":"
    "{\"type\":\"string\"}}]},"
    "\"b\":{\"type\":[\"boolean\",\"number\"]},"
    "\"t\":{\"anyOf\":[{\"type\":\"string\",\"minLength\":2},{\"$ref\":\"#/$defs/t\"}]},"
    "\"o\":{\"$ref\":\"#/$defs/t\"},"
    "\"a\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"maxLength\":20},\"minItems\":1},"
    "\"x\":{}},"
    "\"required\":[\"n\",\"s\",\"e\"],"
    "\"$defs\":{\"t\":{\"type\":\"object\",\"properties\":{\"k\":{\"type\":\"string\"},"
    "\"t\":{\"$ref\":\"#/$defs/t\"}},\"required\":[\"k\"]}}}}},"
    "{\"name\":\"fg\",\"parameters\":{\"properties\":{\"q\":{\"type\":\"object\"},"
    "\"d\":{\"format\":\"date\",\"type\":\"string\"},\"p\":{\"type\":\"string\","
    "\"pattern\":\"^<[^>]*>.?$\"}},\"required\":[\"q\",\"r\"]}},"
    "{\"name\":\"now\"}]";

/* ---- validation ------------------------------------------------------------------------------ */

static bool has_type(const struct json *value, const struct json *type)
{
    static const struct {
        const char *name;
        enum json_kind kind, other;
    } rows[] = {
        {"null", JSON_NULL, JSON_NULL},       {"boolean", JSON_TRUE, JSON_FALSE},
        {"string", JSON_STRING, JSON_STRING}, {"number", JSON_NUMBER, JSON_NUMBER},
        {"array", JSON_ARRAY, JSON_ARRAY},    {"object", JSON_OBJECT, JSON_OBJECT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (json_is(type, rows[i].name))
            return value->kind == rows[i].kind || value->kind == rows[i].other;
    }
    CHECK(json_is(type, "integer"));
    return value->kind == JSON_NUMBER &&
           strtod(value->text.bytes, NULL) == (double)strtoll(value->text.bytes, NULL, 10);
}

static bool has_types(const struct json *value, const struct json *types)
{
    if (types->kind == JSON_STRING)
        return has_type(value, types);
    for (uint32_t i = 0; i < types->count; i++) {
        if (has_type(value, &types->items[i]))
            return true;
    }
    return false;
}

static bool same(const struct json *a, const struct json *b)
{
    return a->kind == b->kind && a->text.length == b->text.length &&
           (a->text.length == 0 || memcmp(a->text.bytes, b->text.bytes, a->text.length) == 0);
}

static uint32_t characters(struct json_text text)
{
    uint32_t count = 0;
    for (size_t i = 0; i < text.length; i++)
        count += (text.bytes[i] & 0xc0) != 0x80;
    return count;
}

static double limit(const struct json *schema, const char *keyword, double otherwise)
{
    const struct json *value = json_get(schema, keyword);
    return value == NULL ? otherwise : strtod(value->text.bytes, NULL);
}

static bool keeps_limits(const struct json *schema, const struct json *value)
{
    double least = 0, most = 0, is = 0;
    if (value->kind == JSON_NUMBER) {
        is = strtod(value->text.bytes, NULL);
        least = limit(schema, "minimum", is);
        most = limit(schema, "maximum", is);
    } else if (value->kind == JSON_STRING) {
        is = characters(value->text);
        least = limit(schema, "minLength", is);
        most = limit(schema, "maxLength", is);
    } else if (value->kind == JSON_ARRAY) {
        is = value->count;
        least = limit(schema, "minItems", is);
        most = limit(schema, "maxItems", is);
    }
    return least <= is && is <= most;
}

static bool is_valid(const struct json *root, const struct json *schema, const struct json *value);

static bool are_members_valid(const struct json *root, const struct json *schema,
                              const struct json *value)
{
    const struct json *properties = json_get(schema, "properties");
    const struct json *required = json_get(schema, "required"), *items = json_get(schema, "items");
    for (uint32_t i = 0; value->kind == JSON_OBJECT && i < value->count && properties; i++) {
        const struct json *member = json_find(properties, value->keys[i]);
        if (member != NULL && !is_valid(root, member, &value->items[i]))
            return false;
        for (uint32_t k = 0; k < i; k++)
            CHECK(value->keys[k].length != value->keys[i].length ||
                  memcmp(value->keys[k].bytes, value->keys[i].bytes, value->keys[i].length) != 0);
    }
    for (uint32_t i = 0; value->kind == JSON_OBJECT && required && i < required->count; i++) {
        if (json_find(value, required->items[i].text) == NULL)
            return false;
    }
    for (uint32_t i = 0; value->kind == JSON_ARRAY && items && i < value->count; i++) {
        if (!is_valid(root, items, &value->items[i]))
            return false;
    }
    return true;
}

/* "2024-02-30" is a date to the grammar, which knows no calendar. */
static bool is_date(struct json_text text)
{
    static const char form[] = "dddd-dd-dd";
    if (text.length != sizeof form - 1)
        return false;
    for (size_t i = 0; i < text.length; i++) {
        const bool is_digit = text.bytes[i] >= '0' && text.bytes[i] <= '9';
        if (form[i] == 'd' ? !is_digit : text.bytes[i] != form[i])
            return false;
    }
    const int month = (text.bytes[5] - '0') * 10 + text.bytes[6] - '0';
    const int day = (text.bytes[8] - '0') * 10 + text.bytes[9] - '0';
    return month >= 1 && month <= 12 && day >= 1 && day <= 31;
}

/* The one pattern above, "^<[^>]*>.?$". */
static bool has_pattern(struct json_text text)
{
    const char *end = memchr(text.bytes, '>', text.length);
    if (end == NULL || text.bytes[0] != '<')
        return false;
    const struct json_text rest = {end + 1, (size_t)(text.bytes + text.length - end - 1)};
    return characters(rest) <= 1 && memchr(rest.bytes, '\n', rest.length) == NULL;
}

static bool keeps_form(const struct json *schema, const struct json *value)
{
    const struct json *format = json_get(schema, "format"), *pattern = json_get(schema, "pattern");
    if (value->kind != JSON_STRING)
        return true;
    CHECK(format == NULL || json_is(format, "date"));
    CHECK(pattern == NULL || json_is(pattern, "^<[^>]*>.?$"));
    return (format == NULL || is_date(value->text)) &&
           (pattern == NULL || has_pattern(value->text));
}

static const struct json *resolved(const struct json *root, const struct json *schema)
{
    const struct json *reference = json_get(schema, "$ref");
    const struct json *found = reference == NULL ? schema : json_resolve(root, reference->text);
    CHECK(found != NULL);
    return found;
}

/* The schemas above have no circles but those that the value ends. */
static bool is_valid(const struct json *root, const struct json *schema, const struct json *value)
{
    schema = resolved(root, schema);
    const struct json *type = json_get(schema, "type"), *any = json_get(schema, "anyOf");
    const struct json *listed = json_get(schema, "enum"), *only = json_get(schema, "const");
    bool found = any == NULL;
    if (type != NULL && !has_types(value, type))
        return false;
    if (only != NULL && !same(only, value))
        return false;
    for (uint32_t i = 0; any != NULL && i < any->count; i++)
        found |= is_valid(root, &any->items[i], value);
    bool is_listed = listed == NULL;
    for (uint32_t i = 0; listed != NULL && i < listed->count; i++)
        is_listed |= same(&listed->items[i], value);
    return found && is_listed && keeps_limits(schema, value) && keeps_form(schema, value) &&
           are_members_valid(root, schema, value);
}

/* ---- drawing --------------------------------------------------------------------------------- */

static struct weir_grammar *grammar;
static struct automaton *automaton;
static uint64_t stream, drawn_index;

static uint32_t draw(uint32_t below)
{
    return (uint32_t)(rng_bits(test_seed(), stream, drawn_index++) % below);
}

static uint32_t step_all(uint32_t state, const char *text, size_t length)
{
    for (size_t i = 0; i < length && state > AUTOMATON_CUT; i++) {
        state = automaton_step(automaton, state, (uint8_t)text[i]);
        CHECK(state != AUTOMATON_FULL);
    }
    return state;
}

/* What may turn a text somewhere else, and what ends things. */
static const char *const pieces[] = {
    "<tool_call>",
    "\n<function=",
    "<function=",
    "f",
    "fg",
    "now",
    ">\n",
    "<",
    "<parameter=",
    "</parameter>",
    "\n",
    " ",
    "null",
    "true",
    "false",
    "123",
    "[",
    "\"",
    "{\"k\":",
    "]",
    "}",
    ",",
    "\xc3\xa9",
    "</tool_call>",
    "</function>",
    "\n</parameter>\n",
    "\n</parameter>\n<parameter=",
    "s>\n",
    "n>\n",
    "{\"a\":",
    "\"t\":",
    "e>\n",
    "x>\n",
    "\\",
    "v>\n",
    "w>\n",
    "t>\n",
    "12",
    "2024-0",
    "a",
    "</",
    "\t",
};
static const char *const endings[] = {
    "\n</parameter>\n",
    "</function>\n</tool_call>",
    "\"",
    "}",
    "]",
    "a",
    "1",
    ">\n",
    "a>",
    "\"k\":",
    "f>\n",
    "<parameter=",
    "n>\n",
    "s>\n",
    "e>\n",
    "q>\n",
    "r>\n",
    "{",
    "\n",
    "-",
};
enum { PIECES = sizeof pieces / sizeof pieces[0], ENDINGS = sizeof endings / sizeof endings[0] };

struct text {
    char bytes[TEXT_MAX];
    size_t length;
    uint32_t state;
};

static bool add(struct text *text, const char *piece, size_t length)
{
    const uint32_t next = step_all(text->state, piece, length);
    if (next <= AUTOMATON_CUT || text->length + length > TEXT_MAX)
        return false;
    memcpy(text->bytes + text->length, piece, length);
    text->length += length;
    text->state = next;
    return true;
}

static void add_any_byte(struct text *text)
{
    const uint32_t first = draw(256);
    for (uint32_t i = 0; i < 256; i++) {
        const char byte = (char)((first + i) % 256);
        if (add(text, &byte, 1))
            return;
    }
}

/* False if the text was not complete in time. */
static bool draw_text(struct text *text, uint32_t start)
{
    const size_t most = draw(DRAWN_MAX);
    text->length = 0;
    text->state = start;
    while (text->length < most) {
        const char *piece = pieces[draw(PIECES)];
        if (draw(40) == 0)
            add_any_byte(text);
        else
            add(text, piece, strlen(piece));
    }
    for (int i = 0; i < 200 && !automaton_is_whole(automaton, text->state); i++) {
        bool is_added = false;
        for (uint32_t e = 0; e < ENDINGS && !is_added; e++)
            is_added = add(text, endings[e], strlen(endings[e]));
        if (!is_added)
            add_any_byte(text);
    }
    return automaton_is_whole(automaton, text->state);
}

/* ---- the test -------------------------------------------------------------------------------- */

/* The call as a template prints it, with strings as they are and all else as it is written. */
static void write_call(struct bytes *out, const struct message_call *call,
                       const struct json *arguments, const char *text, size_t at)
{
    bytes_add_text(out, "<function=");
    bytes_add(out, call->name.data, call->name.length);
    bytes_add_text(out, ">\n");
    for (uint32_t i = 0; i < arguments->count; i++) {
        const struct json *value = &arguments->items[i];
        bytes_add_text(out, "<parameter=");
        bytes_add(out, arguments->keys[i].bytes, arguments->keys[i].length);
        bytes_add_text(out, ">\n");
        const char *written = text + at + out->length;
        const bool is_text = value->kind == JSON_STRING &&
                             (value->text.length == 0 ||
                              memcmp(written, value->text.bytes, value->text.length) == 0);
        const struct json_text source = is_text ? value->text : value->source;
        if (source.length == 0 && strncmp(written, "</parameter>", 12) == 0)
            bytes_add_text(out, "</parameter>\n"); /* an empty value needs no line */
        else {
            bytes_add(out, source.bytes, source.length);
            bytes_add_text(out, "\n</parameter>\n");
        }
    }
    bytes_add_text(out, "</function>\n</tool_call>");
}

static void check_call(const struct json *list, const struct message_call *call,
                       const struct text *text, size_t *at)
{
    struct json_document *document;
    struct weir_error err = {0};
    const struct json *schema = NULL;
    struct bytes written = {0};
    CHECK(call->is_complete);
    CHECK_OK(json_open(&document, call->arguments.data, call->arguments.length, "call", &err),
             &err);
    bool is_known = false;
    for (uint32_t i = 0; i < list->count; i++) {
        const struct json *function = json_get(&list->items[i], "function");
        function = function == NULL ? &list->items[i] : function;
        if (!json_is(json_get(function, "name"), call->name.data))
            continue;
        is_known = true;
        schema = json_get(function, "parameters");
    }
    CHECK(is_known);
    if (schema != NULL && !is_valid(schema, schema, json_root(document)))
        test_fail(__FILE__, __LINE__, "%s of\n%.*s", call->arguments.data, (int)text->length,
                  text->bytes);
    while (strncmp(text->bytes + *at, "<function=", 10) != 0)
        (*at)++;
    write_call(&written, call, json_root(document), text->bytes, *at);
    if (memcmp(text->bytes + *at, written.data, written.length) != 0)
        test_fail(__FILE__, __LINE__, "%s\nof\n%.*s", written.data, (int)text->length, text->bytes);
    *at += written.length;
    bytes_release(&written);
    json_close(document);
}

static void check_text(const struct json *list, struct text *text, bool required, uint64_t *calls)
{
    const struct said_options options = {.tools = tools, .piece = SAID_RANDOM, .stream = stream};
    struct message message;
    struct weir_error err = {0};
    size_t at = 0;
    text->bytes[text->length < TEXT_MAX ? text->length : TEXT_MAX - 1] = 0;
    CHECK_OK(said_message(&message, text->bytes, text->length, &options, &err), &err);
    if (required)
        CHECK(message.content.length == 0 && message.calls_count > 0);
    for (uint64_t i = 0; i < message.calls_count; i++)
        check_call(list, &message.calls[i], text, &at);
    /* nothing that was meant as a call is content */
    const size_t rest = text->length - at;
    CHECK(message.calls_count == 0 || rest == 0 || (rest == 1 && text->bytes[at] == '\n'));
    if (message.content.length > 0) {
        CHECK(strstr(message.content.data, "<tool_call>") == NULL);
        CHECK(strstr(message.content.data, "<function=") == NULL);
    }
    *calls += message.calls_count;
    message_release(&message);
}

static void draw_texts(bool required)
{
    static const struct automaton_size size = {1 << 18, 1 << 14, 1 << 19};
    static struct text text;
    const struct weir_calls_options options = {.required = required};
    struct json_document *document;
    struct weir_error err = {0};
    uint64_t calls = 0, complete = 0;
    grammar = grammars_open_calls(tools, &options);
    CHECK_OK(json_open(&document, tools, strlen(tools), "tools", &err), &err);
    for (uint32_t i = 0; i < TEXTS; i++) {
        stream = 2 * i + required;
        drawn_index = 0;
        CHECK_OK(automaton_open(&automaton, grammar, size, &err), &err);
        if (draw_text(&text, automaton_start(automaton, grammar->start))) {
            check_text(json_root(document), &text, required, &calls);
            complete++;
        }
        automaton_close(automaton);
    }
    CHECK(complete > TEXTS / 2 && calls > TEXTS / 4);
    json_close(document);
    weir_grammar_close(grammar);
}

TEST(calls_drawn_are_read_back)
{
    draw_texts(true);
}

TEST(calls_drawn_behind_content_are_read_back)
{
    draw_texts(false);
}
