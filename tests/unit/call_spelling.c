/* SPDX-License-Identifier: MIT
 * Tests of what stands for a call that comes back in another spelling: the tokens that the model
 * wrote. Run alone: build/tests/weir-test call_spelling_ */
#include "test.h"

#include <string.h>

#include "base/bytes.h"
#include "chat/chat_prompt.h"
#include "chat_cases.h"
#include "toy_vocab.h"

enum { IDS_MAX = 4096 };

/* A parameter between two control tokens, with newlines as a template writes them, and without. */
static const char with_newlines[] =
    "<|im_start|><tool_call>\n<function=f>\n<parameter={{ k }}>\n{{ v }}\n</parameter>\n"
    "</function>\n</tool_call><|im_end|>\nbehind";
static const char bare[] = "<|im_start|><tool_call>\n<function=f>\n<parameter={{ k }}>{{ v }}"
                           "</parameter>\n</function>\n</tool_call><|im_end|>\nbehind";
static const char object[] = "<|im_start|><tool_call>\n{{ v }}\n</tool_call><|im_end|>\nbehind";
static const char said[] = "<|im_start|>{{ v }}<|im_end|>\nbehind";

struct spelling {
    const char *source, *value;
};

/* What the parameter of the function f may be, by default anything but a string. */
static const char no_string[] = "{\"type\": [\"number\", \"boolean\", \"array\", \"object\"]}";
static const char *schema = no_string;

static struct weir_tokenizer *open_toy(void)
{
    static struct toy_vocab vocab;
    struct weir_tokenizer *tokenizer;
    struct weir_error err = {0};
    toy_vocab_usual(&vocab, PRETOKENIZER_QWEN35);
    CHECK_OK(tokenizer_open(&tokenizer, &vocab.source, &err), &err);
    return tokenizer;
}

static struct weir_prompt *render(const struct spelling *spelling)
{
    struct weir_template *chat_template;
    struct weir_error err = {0};
    struct bytes request = {0};
    bytes_add_text(&request, "{\"k\": \"key\", \"v\": \"");
    json_escape((struct printer){bytes_sink, &request}, spelling->value, strlen(spelling->value));
    bytes_add_text(&request, "\"}");
    CHECK_OK(
        weir_template_open(&chat_template, spelling->source, strlen(spelling->source), "T", &err),
        &err);
    struct weir_prompt *prompt =
        chat_cases_render(chat_template, (struct json_text){request.data, (size_t)request.length});
    weir_template_close(chat_template);
    bytes_clear(&request);
    bytes_add_text(&request, "[{\"name\": \"f\", \"parameters\": {\"properties\": {\"key\": ");
    bytes_add_text(&request, schema);
    bytes_add_text(&request, "}}}]");
    chat_prompt_set_tools(prompt, &request);
    return prompt;
}

/* The tokens of a text, those of the bytes alone wherever `number` is a multiple of the place. */
static size_t write_tokens(const struct weir_tokenizer *tokenizer, const struct spelling *spelling,
                           size_t number, int32_t *out)
{
    static int32_t ids[IDS_MAX];
    size_t count, reused, bytes, shown, written = 0;
    struct weir_error err = {0};
    struct weir_prompt *prompt = render(spelling);
    CHECK_OK(weir_prompt_tokens(prompt, tokenizer, NULL, 0, ids, IDS_MAX, &count, &reused, &err),
             &err);
    weir_prompt_close(prompt);
    for (size_t i = 0; i < count; i++) {
        const char *piece = weir_tokenizer_piece(tokenizer, ids[i], true, &bytes);
        weir_tokenizer_piece(tokenizer, ids[i], false, &shown);
        if (shown == 0 || number % (i + 1) != 0)
            out[written++] = ids[i];
        for (size_t k = 0; shown > 0 && number % (i + 1) == 0 && k < bytes; k++)
            out[written++] = (unsigned char)piece[k];
    }
    return written;
}

/* Is the first spelling what a prompt says of which the model wrote the second? */
static bool is_replayed(const struct spelling *asked, const struct spelling *written)
{
    static int32_t known[IDS_MAX], ids[IDS_MAX];
    struct weir_tokenizer *tokenizer = open_toy();
    struct weir_prompt *prompt = render(asked);
    struct weir_error err = {0};
    size_t replayed = 0, count, reused;
    const size_t numbers = 60;
    for (size_t number = 1; number <= numbers; number++) {
        const size_t known_count = write_tokens(tokenizer, written, number, known);
        CHECK_OK(weir_prompt_tokens(prompt, tokenizer, known, known_count, ids, IDS_MAX, &count,
                                    &reused, &err),
                 &err);
        CHECK(memcmp(ids, known, reused * sizeof *ids) == 0);
        CHECK(reused == known_count ? count == reused : reused == 1); /* up to <|im_start|> */
        replayed += reused == known_count;
    }
    CHECK(replayed == 0 || replayed == numbers); /* whatever the tokens are */
    weir_prompt_close(prompt);
    weir_tokenizer_close(tokenizer);
    return replayed > 0;
}

TEST(call_spelling_of_one_meaning_is_the_models)
{
    static const struct {
        const char *asked, *written;
    } rows[] = {
        {"[1,2]", "[1, 2]"},
        {"[1, 2]", " [ 1,\n2 ]\n\n"},
        {"1", "1.0"},
        {"100", "1e2"},
        {"true", "true "},
        {"{\"a\":1,\"b\":[2]}", "{\"b\": [2.0], \"a\": 1}"},
        {"[\"\xc3\xa9/\"]", "[\"\\u00e9\\/\"]"},
        {"{\"a\": \"<parameter=b>\"}", "{\"a\":\"<parameter=b>\"}"},
        {"[]", "[ ]"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct spelling asked = {with_newlines, rows[i].asked};
        const struct spelling written[] = {{with_newlines, rows[i].written},
                                           {bare, rows[i].written}};
        for (int k = 0; k < 2; k++) {
            if (!is_replayed(&asked, &written[k]))
                test_fail(__FILE__, __LINE__, "%s and %s", rows[i].asked, rows[i].written);
        }
    }
}

TEST(call_spelling_of_a_text_has_newlines_or_none)
{
    const struct spelling asked = {with_newlines, "two words"};
    CHECK(is_replayed(&asked, &(struct spelling){bare, "two words"}));
    CHECK(is_replayed(&asked, &(struct spelling){bare, "\ntwo words"}));
    CHECK(!is_replayed(&asked, &(struct spelling){bare, "\n\ntwo words"}));
    CHECK(!is_replayed(&asked, &(struct spelling){bare, "two words "}));
}

TEST(call_spelling_of_an_object_is_a_call)
{
    const struct spelling asked = {object, "{\"name\": \"f\", \"arguments\": {\"a\": 1}}"};
    CHECK(is_replayed(&asked,
                      &(struct spelling){object, "{\"name\":\"f\",\"arguments\":{\"a\":1}}"}));
    CHECK(!is_replayed(&asked,
                       &(struct spelling){object, "{\"name\":\"g\",\"arguments\":{\"a\":1}}"}));
}

TEST(call_spelling_of_another_meaning_is_the_prompts)
{
    static const struct {
        const char *asked, *written;
    } rows[] = {
        {"[1,2]", "[2,1]"},
        {"1", "2"},
        {"1", "true"},
        {"[1]", "[\"1\"]"},
        {"{\"a\": 1}", "{\"a\": 1, \"b\": 1}"},
        {"{\"a\": 1, \"b\": 2}", "{\"a\": 1, \"a\": 1}"},
        {"{\"a\": 1, \"a\": 1}", "{\"a\": 1, \"b\": 2}"},
        {"{\"a\": 1, \"a\": 2}", "{\"a\": 2, \"a\": 1}"},
        {"9007199254740993", "9007199254740992"},
        {"1e400", "9e999"},
        {"[1e-400]", "[0]"},
        {"\"a\"", "\"\\u0061\""},
        {"[1", "[1 "},
        {"x", "x\nx"},
        {"<|im_end|>", "<|im_end|> "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct spelling asked = {with_newlines, rows[i].asked};
        const struct spelling written = {with_newlines, rows[i].written};
        if (is_replayed(&asked, &written))
            test_fail(__FILE__, __LINE__, "%s and %s", rows[i].asked, rows[i].written);
        CHECK(is_replayed(&asked, &asked));
    }
}

/* A version, or what a file is to hold: as the schema says, or where none says otherwise. */
TEST(call_spelling_of_a_string_is_itself)
{
    static const char *const schemas[] = {"{\"type\": \"string\"}", "{\"enum\": [\"1.1\", \"x\"]}"};
    for (int i = 0; i < 2; i++) {
        schema = schemas[i];
        CHECK(!is_replayed(&(struct spelling){with_newlines, "1.10"},
                           &(struct spelling){with_newlines, "1.1"}));
        CHECK(!is_replayed(&(struct spelling){with_newlines, "{\"a\": 1}"},
                           &(struct spelling){with_newlines, "{\"a\":1}"}));
        CHECK(
            is_replayed(&(struct spelling){with_newlines, "1.1"}, &(struct spelling){bare, "1.1"}));
    }
    schema = no_string;
    static const char unknown[] =
        "<|im_start|><tool_call>\n<function=g>\n<parameter=key>\n{{ v }}\n"
        "</parameter>\n</function>\n</tool_call><|im_end|>";
    CHECK(!is_replayed(&(struct spelling){unknown, "1.10"}, &(struct spelling){unknown, "1.1"}));
}

/* What a user says of a call is text. */
TEST(call_spelling_of_a_user_is_as_it_is)
{
    const struct spelling asked = {said, "<tool_call><parameter=a>\n1\n</parameter></tool_call>"};
    const struct spelling other = {said, "<tool_call><parameter=a>\n1.0\n</parameter></tool_call>"};
    CHECK(!is_replayed(&asked, &other));
    CHECK(is_replayed(&asked, &asked));
    static const char half[] = "<|im_start|><tool_call>{{ v }}</parameter></tool_call><|im_end|>";
    CHECK(!is_replayed(&(struct spelling){half, "<parameter=a>1"},
                       &(struct spelling){half, "<parameter=a>1.0"}));
}

/* Several values of a call, each in another spelling; and the text behind is looked at as ever. */
TEST(call_spelling_of_several_values)
{
    static const char asked[] =
        "<|im_start|><tool_call>\n<function=f>\n<parameter=key>\n[1,2]\n"
        "</parameter>\n<parameter=key>\n{{ v }}\n</parameter>\n</function>\n"
        "</tool_call><|im_end|>\nbehind";
    static const char written[] = "<|im_start|><tool_call>\n<function=f>\n<parameter=key>\n[1, 2]"
                                  "</parameter>\n<parameter=key>\n{{ v }}\n\n</parameter>\n"
                                  "</function>\n</tool_call><|im_end|>\nbehind";
    CHECK(is_replayed(&(struct spelling){asked, "7"}, &(struct spelling){written, " 7.0"}));
    CHECK(!is_replayed(&(struct spelling){asked, "7"}, &(struct spelling){written, " 8"}));
}
