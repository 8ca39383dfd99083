/* SPDX-License-Identifier: MIT
 * Tests of texts by number, against looking through a list, and of notations that have many names.
 * Run alone: build/tests/weir-test text_set_ */
#include "alloc.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/rng.h"
#include "grammar/text_set.h"

enum { TEXTS = 3000, LENGTH_MAX = 5 };

/* Few different bytes, so that equal texts and beginnings of others are frequent. */
static struct span random_text(uint8_t *buffer, uint64_t number)
{
    static const uint8_t bytes[] = {0, 1, 0x7f, 0x80, 0xff};
    const uint64_t bits = rng_bits(test_seed(), 1, number);
    const size_t length = bits % (LENGTH_MAX + 1);
    for (size_t i = 0; i < length; i++)
        buffer[i] = bytes[(bits >> (8 + 8 * i)) % sizeof bytes];
    return (struct span){buffer, length};
}

static uint32_t look_through(const struct span *texts, uint32_t count, struct span text)
{
    for (uint32_t i = 0; i < count; i++) {
        if (texts[i].length == text.length &&
            (text.length == 0 || memcmp(texts[i].data, text.data, text.length) == 0))
            return i;
    }
    return TEXT_SET_NONE;
}

TEST(text_set_is_a_list_without_doubles)
{
    static uint8_t buffers[TEXTS][LENGTH_MAX];
    static struct span list[TEXTS];
    struct text_set set = {0};
    struct weir_error err = {0};
    uint32_t count = 0;
    for (uint32_t i = 0; i < TEXTS; i++) {
        const struct span text = random_text(buffers[i], i);
        const uint32_t known = look_through(list, count, text);
        uint32_t number;
        CHECK_INT(text_set_find(&set, text), known);
        CHECK_OK(text_set_add(&set, text, &number, &err), &err);
        CHECK_INT(number, known == TEXT_SET_NONE ? count : known);
        if (known == TEXT_SET_NONE)
            list[count++] = text;
        CHECK_INT(set.count, count);
        CHECK_INT(text_set_find(&set, text), number);
    }
    CHECK(count > TEXTS / 10 && count < TEXTS);
    for (uint32_t i = 0; i < count; i++)
        CHECK(set.texts[i].data == list[i].data);
    text_set_release(&set);
}

static void alloc_set(void *argument)
{
    (void)argument;
    static const char text[] = "abcdefghijklmnopqrstuvwxyz";
    struct text_set set = {0};
    struct weir_error err = {0};
    enum weir_status status = WEIR_OK;
    uint32_t number;
    for (size_t i = 0; i < sizeof text && status == WEIR_OK; i++) {
        const uint64_t before = set.count;
        status = text_set_add(&set, (struct span){(const uint8_t *)text, i}, &number, &err);
        CHECK_INT(set.count - before, status == WEIR_OK);
    }
    CHECK_INT(status, alloc_failed() ? WEIR_ERR_MEMORY : WEIR_OK);
    text_set_release(&set);
}

TEST(text_set_alloc)
{
    alloc_test(alloc_set, NULL);
}

/* ---- notations with many names --------------------------------------------------------------- */

/* Each of the rest takes many seconds if names are looked through one by one. */
enum { MANY = 150000 };

static void add_list(struct bytes *text, const char *separator, const char *format, int count)
{
    char item[64];
    for (int i = 0; i < count; i++) {
        if (i > 0)
            bytes_add_text(text, separator);
        const int length = snprintf(item, sizeof item, format, i, i);
        bytes_add(text, item, (size_t)length);
    }
}

static void check_matches(struct weir_grammar *grammar, const char *right, const char *wrong)
{
    enum weir_match result;
    struct weir_error err = {0};
    CHECK_OK(weir_grammar_match(grammar, right, strlen(right), &result, &err), &err);
    CHECK(result != WEIR_MATCH_NOT);
    CHECK_OK(weir_grammar_match(grammar, wrong, strlen(wrong), &result, &err), &err);
    CHECK_INT(result, WEIR_MATCH_NOT);
    weir_grammar_close(grammar);
}

static void check_schema(struct bytes *text, const char *right, const char *wrong)
{
    struct weir_grammar *grammar;
    struct weir_error err = {0};
    CHECK_OK(weir_grammar_open_schema(&grammar, text->data, text->length, &err), &err);
    check_matches(grammar, right, wrong);
    bytes_release(text);
}

TEST(text_set_of_many_rules)
{
    struct bytes text = {0};
    struct weir_grammar *grammar;
    struct weir_error err = {0};
    enum { RULES = MANY / 2 };
    bytes_add_text(&text, "root ::= r777 z\nz ::= \"z\"\n");
    add_list(&text, "\n", "r%d ::= \"x\"", RULES);
    CHECK_OK(weir_grammar_open_gbnf(&grammar, text.data, text.length, &err), &err);
    check_matches(grammar, "xz", "xx");
    bytes_release(&text);
}

TEST(text_set_of_many_properties)
{
    struct bytes text = {0};
    enum { PROPERTIES = MANY / 5 };
    bytes_add_text(&text, "{\"properties\":{");
    add_list(&text, ",", "\"p%d\":{}", PROPERTIES);
    bytes_add_text(&text, "},\"required\":[");
    add_list(&text, ",", "\"p%d\"", PROPERTIES);
    bytes_add_text(&text, "]}");
    check_schema(&text, "{\"p0\":0,\"p1\":1,\"p2\":2", "{\"p0\":0,\"p2\":2");
}

TEST(text_set_of_enums_that_all_apply)
{
    struct bytes text = {0};
    enum { VALUES = MANY / 2 };
    bytes_add_text(&text, "{\"allOf\":[{\"enum\":[");
    add_list(&text, ",", "%d", VALUES);
    bytes_add_text(&text, "]},{\"enum\":[");
    add_list(&text, ",", "\"%d\",-%d", VALUES);
    bytes_add_text(&text, ",4321]}]}");
    check_schema(&text, "4321", "4322");
}

TEST(text_set_of_keywords_nobody_knows)
{
    struct bytes text = {0};
    enum { ALTERNATIVES = 8000 };
    bytes_add_text(&text, "{");
    add_list(&text, ",", "\"key%d\":1", MANY);
    bytes_add_text(&text, ",\"anyOf\":[");
    add_list(&text, ",", "{\"const\":%d}", ALTERNATIVES);
    bytes_add_text(&text, "]}");
    check_schema(&text, "4321", "8000");
}

TEST(text_set_of_objects_that_all_apply)
{
    struct bytes text = {0};
    enum { OBJECTS = 1000, PROPERTIES = 30 };
    bytes_add_text(&text, "{\"allOf\":[");
    for (int i = 0; i < OBJECTS; i++) {
        char format[32];
        snprintf(format, sizeof format, "\"%d_%%d\":{\"type\":\"null\"}", i % 200);
        bytes_add_text(&text, i == 0 ? "{\"properties\":{" : ",{\"properties\":{");
        add_list(&text, ",", format, PROPERTIES);
        bytes_add_text(&text, "}}");
    }
    bytes_add_text(&text, "]}");
    check_schema(&text, "{\"0_0\":null,\"199_29\":null}", "{\"0_0\":1}");
}
