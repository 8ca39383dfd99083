/* SPDX-License-Identifier: MIT
 * What bodies of requests are read as, and what is said of those that cannot be. Run alone:
 * build/tests/weir-test requests_ */
#include "alloc.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/constraints.h"
#include "serve/prompts.h"
#include "serve/translate.h"

#define MODEL test_data("../../models/" WEIR_SHIPPED)

/* ---- reading --------------------------------------------------------------------------------- */

static struct request_defaults defaults;

static struct weir_tokenizer *open_tokenizer(void)
{
    struct weir_model *model;
    struct weir_tokenizer *tokenizer;
    struct weir_error err = {0};
    CHECK_OK(weir_model_open(&model, MODEL, NULL, &err), &err);
    CHECK_OK(weir_tokenizer_open(&tokenizer, model, &err), &err);
    weir_model_close(model);
    defaults = (struct request_defaults){.tokenizer = tokenizer, .tokens_max = -1, .slots = 2};
    weir_sampler_options_init(&defaults.sampler);
    return tokenizer;
}

static struct request read_body(const char *body, enum request_kind kind)
{
    struct request request;
    struct weir_error err = {0};
    CHECK_OK(request_read(&request, body, strlen(body), kind, &defaults, &err), &err);
    return request;
}

static void check_refused(const char *body, enum request_kind kind, const char *text)
{
    struct request request;
    struct weir_error err = {0};
    CHECK(request_read(&request, body, strlen(body), kind, &defaults, &err) != WEIR_OK);
    CHECK_TEXT(err.text, text);
}

/* ---- the table ------------------------------------------------------------------------------- */

enum kind { INTEGER, COUNT, REAL, TRUTH };
enum excess { REFUSED, CLAMPED };

static const struct row {
    const char *name;
    enum kind kind;
    size_t offset;
    double least, most;
    enum excess excess;
} rows[] = {
#define FIELD(name, kind, member, least, most, excess)                                             \
    {#name, kind, offsetof(struct request, member), least, most, excess},
#include "serve/api_fields.def"
#undef FIELD
};

static double value_of(const struct request *request, const struct row *row)
{
    const char *at = (const char *)request + row->offset;
    switch (row->kind) {
    case INTEGER: return *(const int32_t *)(const void *)at;
    case COUNT: return *(const uint32_t *)(const void *)at;
    case REAL: return *(const float *)(const void *)at;
    case TRUTH: break;
    }
    return *(const bool *)(const void *)at;
}

static void check_read(const struct row *row, const char *text, double expected)
{
    char body[128];
    snprintf(body, sizeof body, "{\"%s\":%s}", row->name, text);
    struct request request = read_body(body, REQUEST_NATIVE);
    if (value_of(&request, row) != (row->kind == REAL ? (float)expected : expected))
        test_fail(__FILE__, __LINE__, "%s: read as %g", body, value_of(&request, row));
    request_release(&request);
}

/* Beyond its range: at the end of it, or refused in the words of llama-server. */
static void check_beyond(const struct row *row, const char *text, double end)
{
    char body[128], expected[192];
    if (row->excess == CLAMPED) {
        check_read(row, text, end);
        return;
    }
    snprintf(body, sizeof body, "{\"%s\":%s}", row->name, text);
    snprintf(expected, sizeof expected,
             "Field '%s': Value must be between %.0f <= value <= %.0f, but got %s", row->name,
             row->least, row->most, text);
    check_refused(body, REQUEST_NATIVE, expected);
}

TEST(requests_have_each_field_of_the_table)
{
    struct weir_tokenizer *tokenizer = open_tokenizer();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *row = &rows[i];
        char body[128], expected[192], text[64];
        snprintf(body, sizeof body, "{\"%s\":\"x\"}", row->name);
        snprintf(expected, sizeof expected, "Field '%s': type must be %s, but is string", row->name,
                 row->kind == TRUTH ? "boolean" : "number");
        check_refused(body, REQUEST_NATIVE, expected);
        if (row->kind == TRUTH) {
            check_read(row, "true", 1);
            check_read(row, "false", 0);
            continue;
        }
        snprintf(text, sizeof text, "%.17g", row->least);
        check_read(row, text, row->least);
        snprintf(text, sizeof text, "%.17g", row->most);
        check_read(row, text, row->most);
        check_read(row, "1", 1);
        check_beyond(row, "-9e18", row->least);
        check_beyond(row, "9e18", row->most);
        check_beyond(row, "1e999", row->most);
    }
    weir_tokenizer_close(tokenizer);
}

/* Null is as if it were not there, and what nobody knows is no fault. */
TEST(requests_leave_out_what_is_null_or_unknown)
{
    struct weir_tokenizer *tokenizer = open_tokenizer();
    struct bytes body = {0};
    bytes_add_text(&body, "{\"unknown\":[{}]");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[64];
        snprintf(text, sizeof text, ",\"%s\":null", rows[i].name);
        bytes_add_text(&body, text);
    }
    bytes_add_text(&body, ",\"stop\":null,\"n\":null,\"seed\":null,\"tools\":null}");
    struct request request = read_body(body.data, REQUEST_CHAT), plain = read_body("{}", 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        CHECK(value_of(&request, &rows[i]) == value_of(&plain, &rows[i]));
    request_release(&plain);
    request_release(&request);
    bytes_release(&body);
    weir_tokenizer_close(tokenizer);
}

/* ---- other members --------------------------------------------------------------------------- */

TEST(requests_are_refused_with_a_reason)
{
    static const struct {
        enum request_kind kind;
        const char *body, *text;
    } cases[] = {
        {REQUEST_CHAT, "[]", "request: expected an object, found an array"},
        {REQUEST_CHAT, "{\"n\":3}", "Field 'n': Value must be between 1 <= value <= 2, but got 3"},
        {REQUEST_TEXT, "{\"best_of\":2}",
         "Field 'best_of': Value must be between 1 <= value <= 1, but got 2"},
        {REQUEST_NATIVE, "{\"id_slot\":2}",
         "Field 'id_slot': Value must be between -1 <= value <= 1, but got 2"},
        {REQUEST_CHAT, "{\"logprobs\":2}", "Field 'logprobs': type must be boolean, but is number"},
        {REQUEST_CHAT, "{\"top_logprobs\":2}", "top_logprobs requires logprobs to be set to true"},
        {REQUEST_TEXT, "{\"logprobs\":true}",
         "Field 'logprobs': type must be number, but is boolean"},
        {REQUEST_CHAT, "{\"stop\":7}", "Field 'stop': type must be string, but is number"},
        {REQUEST_CHAT, "{\"stop\":[\"a\",[]]}", "Field 'stop': type must be string, but is array"},
        {REQUEST_CHAT, "{\"stop\":\"a\\u0000b\"}", "Field 'stop': a text with a zero in it"},
        {REQUEST_CHAT, "{\"logit_bias\":3}",
         "Field 'logit_bias': type must be object or array, but is number"},
        {REQUEST_CHAT, "{\"logit_bias\":[[1]]}",
         "Field 'logit_bias': expected pairs of a token and a number"},
        {REQUEST_CHAT, "{\"logit_bias\":{\"1\":\"x\"}}",
         "Field 'logit_bias': type must be number, but is string"},
        {REQUEST_CHAT, "{\"samplers\":[1]}",
         "Field 'samplers': type must be string, but is number"},
        {REQUEST_NATIVE, "{\"response_fields\":[\"\"]}",
         "Field 'response_fields': a name that is empty or there twice"},
        {REQUEST_NATIVE, "{\"response_fields\":[\"prompt\",\"prompt\"]}",
         "Field 'response_fields': a name that is empty or there twice"},
        {REQUEST_NATIVE, "{\"response_fields\":[\"prompt\",\"prompt/\"]}",
         "Field 'response_fields': a name that is empty or there twice"},
        {REQUEST_CHAT, "{\"stream_options\":true}",
         "Field 'stream_options': type must be object, but is boolean"},
        {REQUEST_CHAT, "{\"reasoning_format\":\"x\"}", "Unknown reasoning format: x"},
        {REQUEST_TEXT, "{\"stop_token_ids\":7}",
         "Field 'stop_token_ids': type must be array, but is number"},
        {REQUEST_TEXT, "{\"stop_token_ids\":[2048]}",
         "Field 'stop_token_ids': token 2048, expected 0 to 2047"},
        {REQUEST_TEXT, "{\"min_tokens\":9,\"max_tokens\":8}",
         "Field 'min_tokens': 9, expected no more than the 8 of max_tokens"},
    };
    struct weir_tokenizer *tokenizer = open_tokenizer();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_refused(cases[i].body, cases[i].kind, cases[i].text);
    weir_tokenizer_close(tokenizer);
}

TEST(requests_for_calls_and_languages_are_refused_with_a_reason)
{
    static const struct {
        enum request_kind kind;
        const char *body, *text;
    } cases[] = {
        {REQUEST_CHAT, "{\"tools\":[{}],\"tool_choice\":\"x\"}", "Invalid tool_choice: x"},
        {REQUEST_CHAT, "{\"tool_choice\":\"required\"}",
         "tool_choice asks for a call, but there are no tools"},
        {REQUEST_CHAT,
         "{\"tools\":[{}],\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":\"none\"}}",
         "tool_choice: expected the mode auto or required of allowed_tools"},
        {REQUEST_CHAT,
         "{\"tools\":[{}],\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":\"auto\",\"tools\":"
         "[]}}",
         "tool_choice: expected a list of allowed_tools"},
        {REQUEST_CHAT,
         "{\"tools\":[{}],\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":\"auto\",\"tools\":"
         "[{\"name\":\"a\"},{\"type\":\"mcp\"}]}}",
         "tool_choice: tools[1] of allowed_tools is no function with a name"},
        {REQUEST_CHAT,
         "{\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":\"auto\",\"tools\":[{\"name\":"
         "\"a\"}]}}",
         "tool_choice asks for a call, but there are no tools"},
        {REQUEST_CHAT, "{\"tools\":[{}],\"tool_choice\":{}}",
         "Field 'tool_choice': expected the name of a function"},
        {REQUEST_CHAT, "{\"grammar\":\"x\",\"json_schema\":{}}",
         "Either \"json_schema\" or \"grammar\" can be specified, but not both"},
        {REQUEST_CHAT, "{\"grammar\":\"x\",\"tools\":[{}]}",
         "Cannot use custom grammar constraints with tools."},
        {REQUEST_CHAT, "{\"guided_regex\":\"x\",\"tools\":[{}]}",
         "Cannot use custom grammar constraints with tools."},
        {REQUEST_CHAT, "{\"guided_json\":{},\"structured_outputs\":{\"regex\":\"a\"}}",
         "Either \"guided_json\" or \"structured_outputs.regex\" can be specified, but not both"},
        {REQUEST_TEXT, "{\"guided_regex\":\"a\",\"guided_choice\":[\"a\"]}",
         "Either \"guided_choice\" or \"guided_regex\" can be specified, but not both"},
        {REQUEST_TEXT, "{\"structured_outputs\":{\"choices\":[\"yes\"]}}",
         "Field 'structured_outputs.choices' is not supported"},
        {REQUEST_TEXT, "{\"structured_outputs\":{\"choice\":[\"yes\"],\"\":1}}",
         "Field 'structured_outputs.' is not supported"},
        {REQUEST_TEXT, "{\"guided_choice\":\"a\"}",
         "Field 'guided_choice': type must be array, but is string"},
        {REQUEST_TEXT, "{\"guided_choice\":[]}",
         "Field 'guided_choice': there is nothing to choose from"},
        {REQUEST_TEXT, "{\"structured_outputs\":{\"choice\":[\"a\",1]}}",
         "Field 'structured_outputs.choice': type must be string, but is number"},
        {REQUEST_TEXT, "{\"structured_outputs\":\"a\"}",
         "Field 'structured_outputs': type must be object, but is string"},
        {REQUEST_TEXT, "{\"structured_outputs\":{\"structural_tag\":\"a\"}}",
         "Field 'structured_outputs.structural_tag' is not supported"},
        {REQUEST_TEXT, "{\"guided_whitespace_pattern\":\" \"}",
         "Field 'guided_whitespace_pattern' is not supported"},
        {REQUEST_TEXT, "{\"guided_regex\":[]}",
         "Field 'guided_regex': type must be string, but is array"},
        {REQUEST_CHAT, "{\"response_format\":{\"type\":\"json_schema\"}}",
         "response_format: json_schema.schema is missing"},
        {REQUEST_CHAT, "{\"response_format\":{\"type\":\"xml\"}}",
         "response_format type must be one of \"text\", \"json_object\" or \"json_schema\", but "
         "got: xml"},
    };
    struct weir_tokenizer *tokenizer = open_tokenizer();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_refused(cases[i].body, cases[i].kind, cases[i].text);
    weir_tokenizer_close(tokenizer);
}

TEST(requests_have_limits)
{
    struct weir_tokenizer *tokenizer = open_tokenizer();
    struct bytes body = {0};
    bytes_add_text(&body, "{\"stop\":[");
    for (int i = 0; i <= REQUEST_STOPS_MAX; i++)
        bytes_add_text(&body, i == 0 ? "\"a\"" : ",\"a\"");
    bytes_add_text(&body, "]}");
    check_refused(body.data, REQUEST_CHAT, "Field 'stop': more than 64 texts");
    bytes_clear(&body);
    bytes_add_text(&body, "{\"stop\":\"");
    for (int i = 0; i <= REQUEST_STOP_BYTES_MAX; i++)
        bytes_add_text(&body, "a");
    bytes_add_text(&body, "\"}");
    check_refused(body.data, REQUEST_CHAT, "Field 'stop': a text of 1025 bytes, at most 1024");
    bytes_clear(&body);
    bytes_add_text(&body, "{\"grammar\":\"");
    for (int i = 0; i <= REQUEST_GRAMMAR_BYTES_MAX; i++)
        bytes_add(&body, "a", 1);
    bytes_add_text(&body, "\"}");
    check_refused(body.data, REQUEST_CHAT, "Field 'grammar': 1048577 bytes, at most 1048576");
    bytes_clear(&body);
    bytes_add_text(&body, "{\"response_fields\":[");
    for (int i = 0; i <= REQUEST_RESPONSE_FIELDS_MAX; i++)
        bytes_add_text(&body, i == 0 ? "\"a\"" : ",\"a\"");
    bytes_add_text(&body, "]}");
    check_refused(body.data, REQUEST_NATIVE, "Field 'response_fields': more than 64 names");
    bytes_release(&body);
    weir_tokenizer_close(tokenizer);
}

static void check_alike(const char *a, const char *b)
{
    struct request one = read_body(a, REQUEST_CHAT), other = read_body(b, REQUEST_CHAT);
    CHECK_INT(one.biases_count, other.biases_count);
    for (uint64_t i = 0; i < one.biases_count; i++) {
        CHECK_INT(one.biases[i].id, other.biases[i].id);
        CHECK(one.biases[i].bias == other.biases[i].bias);
    }
    CHECK_INT(one.stops_count, other.stops_count);
    for (uint32_t i = 0; i < one.stops_count; i++)
        CHECK_TEXT(one.stops[i], other.stops[i]);
    CHECK_TEXT(one.sampler.chain, other.sampler.chain);
    CHECK_INT(one.tokens_max, other.tokens_max);
    CHECK_INT(one.calls, other.calls);
    CHECK((one.only == NULL) == (other.only == NULL));
    CHECK_INT(one.language, other.language);
    CHECK_INT(one.grammar.length, other.grammar.length);
    request_release(&other);
    request_release(&one);
}

TEST(requests_can_be_spelled_in_several_ways)
{
    static const char *const pairs[][2] = {
        {"{\"stop\":\"a\"}", "{\"stop\":[\"\",\"a\",\"\"]}"},
        {"{\"logit_bias\":{\"5\":1,\"the\":-2}}", "{\"logit_bias\":[[5,1],[\"the\",-2]]}"},
        {"{\"logit_bias\":{\"999999\":1}}", "{\"logit_bias\":[[-1,2]]}"},
        {"{\"logit_bias\":[[5.0,1],[1e1,2],[0,3]]}", "{\"logit_bias\":{\"5\":1,\"10\":2,\"0\":3}}"},
        {"{\"logit_bias\":[[5.5,1],[1e300,2],[-5e-1,3]]}", "{}"},
        {"{\"samplers\":\"kpt\"}",
         "{\"samplers\":[\"top_k\",\"no such\",\"top_p\",\"temperature\"]}"},
        {"{\"max_tokens\":7}", "{\"max_completion_tokens\":7,\"max_tokens\":9}"},
        {"{\"n_predict\":7,\"max_tokens\":1}", "{\"n_predict\":7,\"max_completion_tokens\":9}"},
        {"{\"tools\":[{}],\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}}}",
         "{\"functions\":[{}],\"function_call\":{\"name\":\"f\"}}"},
        {"{\"response_format\":{\"type\":\"json_object\"}}",
         "{\"json_schema\":{\"type\":\"object\"}}"},
        {"{\"response_format\":{\"type\":\"text\"}}", "{}"},
        {"{\"tools\":[]}", "{\"tools\":[{}],\"parse_tool_calls\":false}"},
        {"{\"guided_json\":{\"a\":1}}", "{\"json_schema\":{\"a\":1}}"},
        {"{\"structured_outputs\":{\"json_object\":true}}",
         "{\"response_format\":{\"type\":\"json_object\"}}"},
        {"{\"structured_outputs\":{\"json_object\":false,\"structural_tag\":null}}", "{}"},
        {"{\"structured_outputs\":{\"disable_fallback\":false,\"choices\":null}}", "{}"},
        {"{\"guided_choice\":[\"a\"]}", "{\"grammar\":\"root ::= \\\"a\\\"\"}"},
    };
    struct weir_tokenizer *tokenizer = open_tokenizer();
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        check_alike(pairs[i][0], pairs[i][1]);
    weir_tokenizer_close(tokenizer);
}

/* -1 and 2^32 - 1 are any seed; it is a number that can be told and given back. */
TEST(requests_have_a_seed_that_can_be_repeated)
{
    static const char *const random[] = {"{}", "{\"seed\":-1}", "{\"seed\":4294967295}"};
    struct weir_tokenizer *tokenizer = open_tokenizer();
    for (size_t i = 0; i < 3; i++) {
        struct request one = read_body(random[i], REQUEST_CHAT);
        struct request other = read_body(random[i], REQUEST_CHAT);
        CHECK(one.sampler.seed < 0x80000000 && one.sampler.seed != other.sampler.seed);
        request_release(&other);
        request_release(&one);
    }
    struct request large = read_body("{\"seed\":4611686018427387904}", REQUEST_CHAT);
    CHECK(large.sampler.seed == UINT64_C(1) << 62);
    request_release(&large);
    struct request negative = read_body("{\"seed\":-5}", REQUEST_CHAT);
    CHECK(negative.sampler.seed == UINT64_MAX - 4);
    request_release(&negative);
    struct request request = read_body("{\"seed\":77}", REQUEST_CHAT);
    CHECK_INT(request.sampler.seed, 77);
    request_release(&request);
    weir_tokenizer_close(tokenizer);
}

/* ---- translation ----------------------------------------------------------------------------- */

static void check_translated(enum weir_status (*translate)(struct bytes *, const char *, size_t,
                                                           struct weir_error *),
                             const char *body, const char *expected)
{
    struct bytes out = {0};
    struct weir_error err = {0};
    const enum weir_status status = translate(&out, body, strlen(body), &err);
    CHECK_TEXT(status == WEIR_OK ? out.data : err.text, expected);
    bytes_release(&out);
}

TEST(requests_have_a_limit_of_values)
{
    struct weir_tokenizer *tokenizer = open_tokenizer();
    struct bytes body = {0};
    bytes_add_text(&body, "{\"a\":[");
    for (int i = 0; i < REQUEST_VALUES_MAX; i++)
        bytes_add_text(&body, i == 0 ? "[]" : ",[]");
    bytes_add_text(&body, "]}");
    check_refused(body.data, REQUEST_CHAT, "request: more than 1048576 values");
    check_translated(translate_messages, body.data, "request: more than 1048576 values");
    bytes_clear(&body);
    bytes_add_text(&body, "{\"a\":\"\\\"");
    for (int i = 0; i < REQUEST_VALUES_MAX; i++)
        bytes_add_text(&body, ",[{:");
    bytes_add_text(&body, "\"}");
    struct request request = read_body(body.data, REQUEST_CHAT); // a text is one value
    request_release(&request);
    bytes_release(&body);
    weir_tokenizer_close(tokenizer);
}

TEST(requests_of_anthropic_are_those_of_chats)
{
    static const char *const pairs[][2] = {
        {"{\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"seed\":1.0}",
         "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"max_tokens\":5,\"seed\":1.0}"},
        {"{\"system\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}],"
         "\"messages\":[],\"stop_sequences\":[\"s\"]}",
         "{\"messages\":[{\"role\":\"system\",\"content\":\"ab\"}],\"stop\":[\"s\"],"
         "\"max_tokens\":4096}"},
        {"{\"system\":\"x-anthropic-billing-header: cch=abcde; b\",\"messages\":[],"
         "\"max_tokens\":1}",
         "{\"messages\":[{\"role\":\"system\",\"content\":\"x-anthropic-billing-header: cch=00000; "
         "b\"}],\"max_tokens\":1}"},
        {"{\"max_tokens\":1,\"messages\":[{\"role\":\"assistant\",\"content\":[{\"type\":"
         "\"thinking\",\"thinking\":\"t\"},{\"type\":\"text\",\"text\":\"c\"},{\"type\":"
         "\"tool_use\",\"id\":\"i\",\"name\":\"f\",\"input\":{\"a\": 1.0}}]},{\"role\":\"user\","
         "\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"i\",\"content\":\"r\"},"
         "{\"type\":\"text\",\"text\":\"go\"}]}]}",
         "{\"messages\":[{\"role\":\"assistant\",\"content\":\"c\",\"reasoning_content\":\"t\","
         "\"tool_calls\":[{\"id\":\"i\",\"type\":\"function\",\"function\":{\"name\":\"f\","
         "\"arguments\":\"{\\\"a\\\": 1.0}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"i\","
         "\"content\":\"r\"},{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"go\"}]}"
         "],\"max_tokens\":1}"},
        {"{\"max_tokens\":1,\"messages\":[],\"tools\":[{\"name\":\"f\",\"description\":\"d\","
         "\"input_schema\":{\"type\":\"object\"}},{\"type\":\"web_search\",\"name\":\"w\"}],"
         "\"tool_choice\":{\"type\":\"any\",\"disable_parallel_tool_use\":true}}",
         "{\"messages\":[],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\","
         "\"description\":\"d\",\"parameters\":{\"type\":\"object\"}}}],\"parallel_tool_calls\":"
         "false,\"tool_choice\":\"required\",\"max_tokens\":1}"},
        {"{\"max_tokens\":1,\"messages\":[],\"output_config\":{\"effort\":\"low\",\"format\":{"
         "\"type\":"
         "\"json_schema\",\"schema\":{\"type\": \"object\"}}}}",
         "{\"messages\":[],\"json_schema\":{\"type\": \"object\"},\"reasoning_effort\":\"low\","
         "\"max_tokens\":1}"},
        {"{\"max_tokens\":1,\"messages\":[],\"mcp_servers\":[],\"output_format\":{\"type\":"
         "\"json_schema\",\"schema\":{}}}",
         "{\"messages\":[],\"json_schema\":{},\"max_tokens\":1,\"mcp_servers\":[]}"},
        {"{\"max_tokens\":null,\"messages\":[],\"json_schema\":null,\"stop\":null,\"output_"
         "format\":{"
         "\"type\":\"json_schema\",\"schema\":{}},\"stop_sequences\":[\"s\"]}",
         "{\"messages\":[],\"json_schema\":{},\"stop\":[\"s\"],\"max_tokens\":4096}"},
        {"{\"messages\":[],\"output_format\":{\"type\":\"text\"}}",
         "output_format: expected the type json_schema, and a schema"},
        {"{\"messages\":[],\"output_config\":{\"format\":{\"type\":\"json_schema\"}}}",
         "output_config.format: expected the type json_schema, and a schema"},
        {"{\"messages\":[],\"output_config\":{\"format\":{}},\"output_format\":{}}",
         "Either output_config.format or output_format can be specified, not both"},
        {"{\"messages\":[],\"json_schema\":{},\"output_format\":{\"type\":\"json_schema\","
         "\"schema\":{}}}",
         "Either \"json_schema\" or an output format can be specified, but not both"},
        {"{\"messages\":[],\"output_config\":7}",
         "Field 'output_config': type must be object, but is number"},
        {"{\"messages\":[],\"mcp_servers\":[{}]}",
         "mcp_servers is not supported: no tool runs here"},
        {"{\"messages\":[],\"container\":\"c\"}", "container is not supported: no tool runs here"},
        {"{}", "'messages' is required"},
        {"{\"messages\":[],\"n\":2}", "Field 'n': there is one answer"},
        {"{\"messages\":[],\"n_cmpl\":2}", "Field 'n_cmpl': there is one answer"},
        {"{\"messages\":[],\"max_tokens\":0}", "Field 'max_tokens': at least 1"},
        {"{\"messages\":[],\"max_tokens\":-1}", "Field 'max_tokens': at least 1"},
        {"{\"messages\":[{\"role\":\"system\",\"content\":\"a\"}]}",
         "messages[0]: role: expected \"user\" or \"assistant\""},
        {"{\"messages\":[{\"role\":\"tool\",\"content\":[]}]}",
         "messages[0]: role: expected \"user\" or \"assistant\""},
        {"{\"messages\":[{\"role\":\"user\",\"content\":[]}]}",
         "messages[0]: there are no blocks in its content"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"video\"}]}]}",
         "messages[0]: a block that is no text, image or tool_result"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        check_translated(translate_messages, pairs[i][0], pairs[i][1]);
}

TEST(requests_of_responses_are_those_of_chats)
{
    static const char *const pairs[][2] = {
        {"{\"input\":\"a\",\"max_output_tokens\":5,\"seed\":1.0}",
         "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"max_completion_tokens\":5,"
         "\"seed\":1.0}"},
        {"{\"instructions\":\"i\",\"input\":[{\"role\":\"developer\",\"content\":\"d\"},"
         "{\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"u\"}]}]}",
         "{\"messages\":[{\"role\":\"system\",\"content\":\"i\\n\\nd\"},{\"role\":\"user\","
         "\"content\":[{\"type\":\"text\",\"text\":\"u\"}]}]}"},
        {"{\"input\":[{\"type\":\"reasoning\",\"content\":[{\"text\":\"r\"}]},{\"type\":"
         "\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":"
         "\"t\"}]},{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"f\",\"arguments\":"
         "\"{}\"},{\"type\":\"function_call_output\",\"call_id\":\"c\",\"output\":\"o\"}]}",
         "{\"messages\":[{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"t\"}],"
         "\"reasoning_content\":\"r\",\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\","
         "\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},{\"role\":\"tool\","
         "\"tool_call_id\":\"c\",\"content\":\"o\"}]}"},
        {"{\"input\":\"a\",\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"parameters\":{}},"
         "{\"type\":\"web_search\"}],\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":"
         "\"n\",\"schema\":{\"type\":\"object\"}}}}",
         "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"tools\":[{\"type\":\"function\","
         "\"function\":{\"name\":\"f\",\"parameters\":{}}}],\"response_format\":{\"type\":"
         "\"json_schema\",\"json_schema\":{\"schema\":{\"type\":\"object\"}}}}"},
        {"{\"input\":\"a\",\"max_output_tokens\":5,\"max_completion_tokens\":null,\"messages\":"
         "null}",
         "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"max_completion_tokens\":5}"},
        {"{\"input\":\"a\",\"previous_response_id\":\"r\"}",
         "previous_response_id is not supported: responses are not stored"},
        {"{\"input\":\"a\",\"conversation\":\"c\"}",
         "conversation is not supported: conversations are not stored: give what was said as "
         "input"},
        {"{\"prompt\":{\"id\":\"p\"}}",
         "prompt is not supported: prompts are not stored: give it as instructions and input"},
        {"{\"input\":\"a\",\"background\":true}",
         "background is not supported: responses are not stored"},
        {"{\"input\":\"a\",\"include\":[\"x\",\"message.output_text.logprobs\"]}",
         "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"logprobs\":true}"},
        {"{\"input\":\"a\",\"top_logprobs\":3}",
         "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"logprobs\":true,"
         "\"top_logprobs\":3}"},
        {"{\"input\":\"a\",\"include\":[],\"top_logprobs\":0}",
         "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"top_logprobs\":0}"},
        {"{\"input\":\"a\",\"include\":\"x\"}",
         "Field 'include': type must be array, but is string"},
        {"{}", "'input' is required"},
        {"{\"input\":\"a\",\"n\":2}", "Field 'n': there is one answer"},
        {"{\"input\":\"a\",\"n_cmpl\":2}", "Field 'n_cmpl': there is one answer"},
        {"{\"input\":[{\"type\":\"item_reference\"}]}",
         "input[0]: an item of a type that is not supported"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        check_translated(translate_responses, pairs[i][0], pairs[i][1]);
}

/* ---- want of memory -------------------------------------------------------------------------- */

static void read_all(void *argument)
{
    static const char body[] =
        "{\"stop\":[\"a\",\"b\"],\"logit_bias\":{\"5\":1,\"the\":-2},\"samplers\":[\"top_k\"],"
        "\"dry_sequence_breakers\":[\"x\"],\"stop_token_ids\":[5],\"guided_choice\":[\"a\"],"
        "\"prompt\":[[\"a\",7],\"b\"]}";
    struct request request;
    struct prompts prompts = {0};
    struct weir_error err = {0};
    (void)argument;
    enum weir_status status =
        request_read(&request, body, sizeof body - 1, REQUEST_NATIVE, &defaults, &err);
    if (status == WEIR_OK) {
        status = prompts_read(&prompts, request.root, defaults.tokenizer, &err);
        prompts_release(&prompts);
        request_release(&request);
    }
    CHECK_INT(status, alloc_failed() ? WEIR_ERR_MEMORY : WEIR_OK);
}

static void translate_all(void *argument)
{
    static const char anthropic[] =
        "{\"system\":\"s\",\"messages\":[{\"role\":\"assistant\",\"content\":[{\"type\":\"text\","
        "\"text\":\"c\"},{\"type\":\"tool_use\",\"id\":\"i\",\"name\":\"f\",\"input\":{}}]}]}";
    static const char responses[] =
        "{\"instructions\":\"i\",\"input\":[{\"type\":\"reasoning\",\"content\":[{\"text\":"
        "\"r\"}]},{\"role\":\"assistant\",\"content\":\"c\"},{\"role\":\"user\",\"content\":"
        "\"u\"}]}";
    struct bytes out = {0};
    (void)argument;
    enum weir_status status = translate_messages(&out, anthropic, sizeof anthropic - 1, NULL);
    bytes_release(&out);
    if (status == WEIR_OK)
        status = translate_responses(&out, responses, sizeof responses - 1, NULL);
    bytes_release(&out);
    CHECK_INT(status, alloc_failed() ? WEIR_ERR_MEMORY : WEIR_OK);
}

TEST(requests_survive_want_of_memory)
{
    struct weir_tokenizer *tokenizer = open_tokenizer();
    alloc_test(read_all, NULL);
    alloc_test(translate_all, NULL);
    weir_tokenizer_close(tokenizer);
}

/* ---- constraints ----------------------------------------------------------------------------- */

static const struct constraint_source one = {CONSTRAINT_GBNF, {"root ::= \"a\"", 12}, {0}};
static const struct constraint_source other = {CONSTRAINT_SCHEMA, {"{\"type\":\"null\"}", 15}, {0}};

TEST(requests_with_one_grammar_share_a_constraint)
{
    struct weir_tokenizer *tokenizer = open_tokenizer();
    struct constraints *constraints;
    struct weir_constraint *first, *second, *third;
    struct weir_error err = {0};
    CHECK_OK(constraints_open(&constraints, tokenizer, &err), &err);
    CHECK_OK(constraints_hold(constraints, &one, &first, &err), &err);
    CHECK_OK(constraints_hold(constraints, &other, &second, &err), &err);
    CHECK_OK(constraints_hold(constraints, &one, &third, &err), &err);
    CHECK(first == third && first != second);
    constraints_let_go(constraints, first);
    constraints_let_go(constraints, third);
    constraints_let_go(constraints, second);
    CHECK_OK(constraints_hold(constraints, &one, &third, &err), &err);
    CHECK(first == third);
    constraints_let_go(constraints, third);
    for (int i = 0; i < 40; i++) { // others come, and old ones go
        char text[64];
        snprintf(text, sizeof text, "root ::= \"%d\"", i);
        const struct constraint_source source = {CONSTRAINT_GBNF, {text, strlen(text)}, {0}};
        CHECK_OK(constraints_hold(constraints, &source, &third, &err), &err);
        constraints_let_go(constraints, third);
    }
    constraints_close(constraints);
    weir_tokenizer_close(tokenizer);
}

static void hold_both(void *argument)
{
    struct constraints *constraints;
    struct weir_constraint *first = NULL, *second = NULL;
    (void)argument;
    enum weir_status status = constraints_open(&constraints, defaults.tokenizer, NULL);
    if (status == WEIR_OK)
        status = constraints_hold(constraints, &one, &first, NULL);
    if (status == WEIR_OK)
        status = constraints_hold(constraints, &one, &second, NULL);
    if (constraints != NULL) {
        constraints_let_go(constraints, first);
        constraints_let_go(constraints, second);
    }
    constraints_close(constraints);
    CHECK_INT(status, alloc_failed() ? WEIR_ERR_MEMORY : WEIR_OK);
}

TEST(requests_survive_want_of_memory_for_constraints)
{
    struct weir_tokenizer *tokenizer = open_tokenizer();
    hold_both(NULL); /* the tree of the vocabulary stays with the tokenizer */
    alloc_test(hold_both, NULL);
    weir_tokenizer_close(tokenizer);
}
