/* SPDX-License-Identifier: MIT
 * Tests of the language of templates: recorded renderings of jinja2, refusals, origins of bytes,
 * limits. Run alone: build/tests/weir-test jinja_ */
#include "alloc.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "jinja/jinja.h"

/* A template with a request, rendered; the error if that fails. */
static enum weir_status render(const char *source, size_t length, const char *request,
                               struct jinja_output *out, struct weir_error *err)
{
    struct jinja *jinja = NULL;
    struct json_document *document = NULL;
    enum weir_status status;
    *out = (struct jinja_output){0};
    TRY(jinja_open(&jinja, source, length, "T", err));
    TRY(json_open(&document, request, strlen(request), "request", err));
    const struct jinja_input input = {.variables = json_root(document), .now = 86400};
    TRY(jinja_render(jinja, &input, out, err));
out:
    json_close(document);
    jinja_close(jinja);
    return status;
}

static void check_rendering(const char *source, const char *request, const char *expected)
{
    struct jinja_output output;
    struct weir_error err = {0};
    CHECK_OK(render(source, strlen(source), request, &output, &err), &err);
    CHECK_TEXT(output.bytes, expected);
    CHECK_INT(output.length, strlen(expected));
    jinja_output_release(&output);
}

static void check_refusal(const char *source, const char *request, enum weir_status status,
                          const char *expected)
{
    struct jinja_output output;
    struct weir_error err = {0};
    CHECK_INT(render(source, strlen(source), request, &output, &err), status);
    CHECK_TEXT(err.text, expected);
    CHECK(output.bytes == NULL && output.origins == NULL);
}

/* ---- the language ---------------------------------------------------------------------------- */

TEST(jinja_renders_as_jinja2)
{
    size_t size, expected_count = 0;
    struct json_document *file;
    struct weir_error file_err = {0};
    char *text = (char *)test_read_file(test_data("jinja/cases.json"), &size);
    CHECK_OK(json_open(&file, text, size, "cases.json", &file_err), &file_err);
    const struct json *cases = json_get(json_root(file), "cases");
    const struct json_text variables = json_get(json_root(file), "variables")->source;
    char *request = strndup(variables.bytes, variables.length);
    for (uint32_t i = 0; i < cases->count; i++) {
        const struct json_text source = json_get(&cases->items[i], "template")->text;
        const struct json *expected = json_get(&cases->items[i], "expected");
        const struct json *refused = json_get(&cases->items[i], "refused");
        struct jinja_output output;
        struct weir_error err = {0};
        const bool renders = render(source.bytes, source.length, request, &output, &err) == WEIR_OK;
        const struct json_text actual = {renders ? output.bytes : err.text,
                                         renders ? output.length : strlen(err.text)};
        const struct json_text wanted = (expected != NULL ? expected : refused)->text;
        if (renders != (expected != NULL) || actual.length != wanted.length ||
            memcmp(actual.bytes, wanted.bytes, wanted.length) != 0)
            test_fail(__FILE__, __LINE__, "%.*s\n    gives:    %.*s\n    expected: %.*s",
                      (int)source.length, source.bytes, (int)actual.length, actual.bytes,
                      (int)wanted.length, wanted.bytes);
        expected_count += expected != NULL;
        jinja_output_release(&output);
    }
    CHECK(cases->count >= 120 && expected_count >= 90);
    free(request);
    json_close(file);
    free(text);
}

TEST(jinja_ends_lines_as_jinja2)
{
    check_rendering("a\r\n{% if true %}\r\nb\r{% endif %}\r\nc\n", "{}", "a\nb\nc");
    check_rendering("a\n\n", "{}", "a\n");
    check_rendering("", "{}", "");
    check_rendering("\n", "{}", "");
}

/* Numbers of the request stay as they were written in JSON, and are Python's elsewhere. */
TEST(jinja_keeps_numbers_as_written)
{
    const char *request = "{\"v\": [1.0, 1.50, 1e2, 12345678901234567890, -0, 1E-7, 0.1]}";
    check_rendering("{{ v|tojson }}", request,
                    "[1.0, 1.50, 1e2, 12345678901234567890, -0, 1E-7, 0.1]");
    check_rendering("{{ v|join(' ') }}", request, "1.0 1.5 100.0 12345678901234567890 0 1e-07 0.1");
    check_rendering("{{ v[0] + v[1] }} {{ v[3] is integer }} {{ (v[1] * 2)|tojson }}", request,
                    "2.5 True 3.0");
    check_refusal("{{ v[3] + 1 }}", request, WEIR_ERR_UNSUPPORTED,
                  "T:1:9: a number is too large to compute with");
    check_refusal("{{ 9223372036854775807 + 1 }}", request, WEIR_ERR_UNSUPPORTED,
                  "T:1:24: a number is too large to compute with");
    check_refusal("{{ -9223372036854775807 - 2 }}", request, WEIR_ERR_UNSUPPORTED,
                  "T:1:25: a number is too large to compute with");
    check_rendering("{{ (-9223372036854775807 - 1) % -1 }} {{ (-1) ** 9000000000000000001 }}", "{}",
                    "0 -1");
    check_refusal("{{ (-9223372036854775807 - 1) // -1 }}", "{}", WEIR_ERR_UNSUPPORTED,
                  "T:1:31: a number is too large to compute with");
}

/* What is gone through is counted, not what is left of it. */
TEST(jinja_splits_long_texts)
{
    check_rendering(
        "{% set t = 'ab-' * 100000 %}{{ t.rsplit('-')|length }} {{ t.split('-')|length }}"
        " {{ t.rsplit('-', 1)|map('length')|list }}",
        "{}", "100001 100001 [299999, 0]");
}

/* None of them becomes 0 because it is too large. */
TEST(jinja_makes_integers_of_large_numbers)
{
    const char *request = "{\"v\": 12345678901234567890, \"m\": \"9223372036854775807\"}";
    check_rendering("{{ v|int }} {{ v|round }} {{ m|int }} {{ ('-' ~ m)|int - 1 }} "
                    "{{ 9223372036854774784.0|int }}",
                    request,
                    "12345678901234567890 12345678901234567890 9223372036854775807 "
                    "-9223372036854775808 9223372036854774784");
    check_refusal("{{ '9223372036854775808'|int }}", "{}", WEIR_ERR_UNSUPPORTED,
                  "T:1:25: a number is too large to compute with");
    check_refusal("{{ 1e19|int(7) }}", "{}", WEIR_ERR_UNSUPPORTED,
                  "T:1:8: a number is too large to compute with");
}

/* As many as there are, where a count is negative, however far. */
TEST(jinja_takes_negative_counts)
{
    check_rendering("{% set least = -9223372036854775807 - 1 %}{{ 'a b c'.split(none, least) }}"
                    "{{ 'a b c'.split(' ', least) }}{{ 'a b c'.rsplit(' ', least) }}"
                    "{{ 'aaa'.replace('a', 'b', least) }}{{ 'aa'.replace('', '-', least) }}",
                    "{}", "['a', 'b', 'c']['a', 'b', 'c']['a', 'b', 'c']bbb-a-a-");
}

/* As jinja2 escapes texts, but the result is a text as well. */
TEST(jinja_escapes)
{
    check_rendering("{{ x|e }} {{ 7|escape }} {{ ''|e }} {{ '&'|e|e }} {{ '&'|safe|e }}",
                    "{\"x\": \"<a href=\\\"b\\\">'\u00e9&amp;\"}",
                    "&lt;a href=&#34;b&#34;&gt;&#39;\xc3\xa9&amp;amp; 7  &amp;amp; &amp;");
}

TEST(jinja_knows_what_is_not_of_jinja2)
{
    check_rendering("{% generation %}{{ x }}{% endgeneration %}", "{\"x\": 1}", "1");
    check_rendering("{{ strftime_now('%Y-%m') }}", "{}", "1970-01");
    check_rendering("{% set v = s|from_json %}{{ v.a[1] }}{{ v|tojson }}",
                    "{\"s\": \"{\\\"a\\\": [1.0, \\\"x\\\"]}\"}", "x{\"a\": [1.0, \"x\"]}");
    check_rendering("{{ d.items }} {{ d.items()|list|length }}", "{\"d\": {\"items\": 7}}", "7 1");
}

/* An exception's line is its text alone, since clients see it. */
TEST(jinja_raises_exceptions)
{
    check_refusal("{{ raise_exception('No ' + what) }}", "{\"what\": \"way: 5% \\u00e9\"}",
                  WEIR_ERR_ARGUMENT, "No way: 5% \xc3\xa9");
    check_refusal("a\n  {{ raise_exception() }}", "{}", WEIR_ERR_FORMAT,
                  "T:2:21: raise_exception needs an argument 'message'");
}

TEST(jinja_refuses_with_the_place)
{
    static const struct {
        const char *source;
        enum weir_status status;
        const char *text;
    } cases[] = {
        {"a\nb{% extends 'x' %}", WEIR_ERR_UNSUPPORTED,
         "T:2:5: the tag 'extends' is not known here"},
        {"{% for a in b recursive %}{% endfor %}", WEIR_ERR_UNSUPPORTED,
         "T:1:15: recursive loops are not supported"},
        {"{{ f(*a) }}", WEIR_ERR_UNSUPPORTED, "T:1:6: arguments with stars are not supported"},
        {"{% break %}", WEIR_ERR_FORMAT, "T:1:4: this is in no loop"},
        {"{% for a in [1] %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}", WEIR_ERR_FORMAT,
         "T:1:37: this is in no loop"},
        {"{% raw %}", WEIR_ERR_FORMAT, "T:1:1: raw has no endraw"},
        {"{{ 'a\\xg' }}", WEIR_ERR_FORMAT, "T:1:4: a \\ in this string needs 2 digits behind it"},
        {"{{ '\\ud800' }}", WEIR_ERR_FORMAT, "T:1:4: a \\ in this string makes no character"},
        {"{{ f(a=1, 2) }}", WEIR_ERR_FORMAT, "T:1:11: expected an argument with a name, found '2'"},
        {"{{ a ! b }}", WEIR_ERR_FORMAT, "T:1:6: unexpected character '!'"},
        {"{{ 99999999999999999999 }}", WEIR_ERR_UNSUPPORTED, "T:1:4: this number is too large"},
        {"{% call 5 %}{% endcall %}", WEIR_ERR_FORMAT, "T:1:4: expected the call of a macro"},
        {"{{ 'a'|tojson(sort_keys=true) }}", WEIR_ERR_UNSUPPORTED,
         "T:1:7: tojson with 'sort_keys' is not known here"},
        {"{{ 'a'|replace('b') }}", WEIR_ERR_FORMAT, "T:1:7: replace needs an argument 'new'"},
        {"{{ 'a'|trim(1, 2) }}", WEIR_ERR_FORMAT, "T:1:7: trim takes 1 arguments at most, found 2"},
        {"{{ 'a'|join(q=2) }}", WEIR_ERR_FORMAT, "T:1:7: join has no parameter 'q'"},
        {"{{ [1]|map('nofilter')|list }}", WEIR_ERR_UNSUPPORTED,
         "T:1:7: the filter 'nofilter' is not known here"},
        {"{{ range(2 ** 20) }}", WEIR_ERR_FULL, "T:1:9: a range has more than 100000 numbers"},
        {"{{ 'a'.split('') }}", WEIR_ERR_FORMAT, "T:1:13: the separator of split is empty"},
        {"{{ '[1'|from_json }}", WEIR_ERR_FORMAT,
         "T:1:8: from_json: line 1, column 3: the text ends here: no comma and no ] behind an "
         "element"},
        {"{{ [1][::0] }}", WEIR_ERR_FORMAT, "T:1:7: this step of a slice leads nowhere"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_refusal(cases[i].source, "{}", cases[i].status, cases[i].text);
    struct jinja *jinja;
    struct weir_error err = {0};
    CHECK_INT(jinja_open(&jinja, "a\xff", 2, "T", &err), WEIR_ERR_FORMAT);
    CHECK_TEXT(err.text, "T: a template is UTF-8, this is not");
}

/* ---- origins --------------------------------------------------------------------------------- */

/* Renders {"u": "user", "l": ["x", "y"], "d": {"k": "v\n"}} and checks the origin of each byte: "u"
 * for the request's, "." for the template's. */
static void check_origins(const char *source, const char *expected, const char *origins)
{
    struct jinja_output output;
    struct weir_error err = {0};
    CHECK_OK(
        render(source, strlen(source),
               "{\"u\": \"user\", \"l\": [\"x\", \"y\"], \"d\": {\"k\": \"v\\n\"}, \"n\": 1.0}",
               &output, &err),
        &err);
    CHECK_TEXT(output.bytes, expected);
    CHECK_INT(output.length, strlen(origins));
    for (size_t i = 0; i < output.length; i++) {
        const char origin = output.origins[i] == JINJA_OF_INPUT ? 'u' : '.';
        if (origin != origins[i])
            test_fail(__FILE__, __LINE__, "%s: byte %zu of \"%s\" is '%c', expected '%c'", source,
                      i, expected, origin, origins[i]);
    }
    jinja_output_release(&output);
}

TEST(jinja_knows_where_bytes_come_from)
{
    check_origins("a{{ u }}b", "auserb", ".uuuu.");
    check_origins("{{ '<' + u + '>' }}{{ u ~ 1 }}", "<user>user1", ".uuuu.uuuu.");
    check_origins("{{ u[1:3] }}{{ u|upper }}{{ u.strip('u') }}", "seUSERser", "uuuuuuuuu");
    check_origins("{{ (' ' ~ u ~ ' ')|trim }}{{ ('a' ~ u)[:3] }}", "useraus", "uuuu.uu");
    check_origins("{{ u.replace('s', '-') }}{{ 'abc'.replace('b', u) }}", "u-erauserc",
                  "u.uu.uuuu.");
    check_origins("{{ l|join(', ') }}{{ u.split('s')|join }}", "x, yuer", "u..uuuu");
    check_origins("{{ d|tojson }}{{ d }}", "{\"k\": \"v\\n\"}{'k': 'v\\n'}",
                  "..u....uuu....u....uuu..");
    check_origins("{{ n }}{{ n|tojson }}", "1.01.0", "...uuu");
    check_origins("{% for k, v in d|items %}{{ k }}={{ v }}{% endfor %}", "k=v\n", "u.uu");
    check_origins("{% set q %}<{{ u }}>{% endset %}{{ q }}{{ q|length }}", "<user>6", ".uuuu..");
    check_origins("{% macro m(a) %}[{{ a }}]{% endmacro %}{{ m(u) }}", "[user]", ".uuuu.");
    check_origins("{{ '%s!'|format(u) }}{{ u|reverse }}{{ u|first }}", "user!resuu", "uuuu.uuuuu");
    check_origins("{% for c in u %}{{ c }}-{% endfor %}", "u-s-e-r-", "u.u.u.u.");
    check_origins("{{ (d.k ~ u ~ '\\r\\nb')|indent(1) }}", "v\n user\n b", "uu.uuuu...");
    check_origins("{{ '[\"a\"]'|from_json|first }}{{ ('\"' ~ u ~ '\"')|from_json }}", "auser",
                  "uuuuu");
    check_origins("{{ strftime_now('%Y' ~ u) }}{{ strftime_now('%Y') }}", "1970user1970",
                  "uuuuuuuu....");
    check_origins("{{ 'yes' if u == 'user' }}{{ u if false }}", "yes", "...");
}

/* ---- limits ---------------------------------------------------------------------------------- */

TEST(jinja_is_bounded)
{
    check_refusal("{% set l = range(9999) %}"
                  "{% for a in l %}{% for b in l %}{% endfor %}{% endfor %}",
                  "{}", WEIR_ERR_FULL, "T:1:54: the template takes more than 10000000 steps");
    check_refusal("{{ ('b' * 20000).strip('a' * 100000 ~ 'b') }}", "{}", WEIR_ERR_FULL,
                  "T:1:23: the template takes more than 10000000 steps");
    check_refusal("{% set s = ' ' * 1000000 %}{% for i in range(400) %}{{ s|int }}{% endfor %}",
                  "{}", WEIR_ERR_FULL, "T:1:57: the template takes more than 10000000 steps");
    check_refusal("{% for a in range(99999) %}0123456789abcdef{% endfor %}", "{}", WEIR_ERR_FULL,
                  "T:1:28: the template writes more than 1048578 bytes");
    check_refusal("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "{}", WEIR_ERR_FULL,
                  "T:1:19: the template goes more than 1000 levels deep");
    check_refusal("{% set l = [] %}{{ l.append(l) }}{{ l }}", "{}", WEIR_ERR_FULL,
                  "T:1:34: the template goes more than 1000 levels deep");
    check_refusal("{% set l = [] %}{{ l.append(l) }}{{ l == [l] }}", "{}", WEIR_ERR_FULL,
                  "T:1:42: the template goes more than 1000 levels deep");
    check_refusal("{{ 'abcdefghijklmnop' * 100000000 }}", "{}", WEIR_ERR_FULL,
                  "T:1:23: the template takes more than 134218240 bytes of memory");
    check_refusal("{% set ns = namespace(s='abc') %}"
                  "{% for a in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
                  "{}", WEIR_ERR_FULL,
                  "T:1:77: the template takes more than 134218240 bytes of memory");
}

/* A source of one text many times. */
static struct bytes repeated(const char *begin, const char *text, uint32_t times, const char *end)
{
    struct bytes source = {0};
    bytes_add_text(&source, begin);
    for (uint32_t i = 0; i < times; i++)
        bytes_add_text(&source, text);
    bytes_add_text(&source, end);
    return source;
}

/* Nesting is refused where it is read; what is long but flat is not nested. */
TEST(jinja_nests_so_deep_only)
{
    static const struct {
        const char *begin, *text, *end;
    } deep[] = {
        {"{{ ", "(", ""},
        {"{{ ", "[", ""},
        {"{{ ", "not ", "x }}"},
        {"{{ ", "- ", "x }}"},
        {"", "{% if x %}", ""},
        {"{{ ", "{1:", ""},
        {"{{ ", "a if b else ", "c }}"},
        {"{{ x", "[x", ""},
        {"{% set ", "(", ""},
    };
    for (size_t i = 0; i < sizeof deep / sizeof deep[0]; i++) {
        struct bytes source = repeated(deep[i].begin, deep[i].text, 100000, deep[i].end);
        struct jinja *jinja;
        struct weir_error err = {0};
        CHECK_INT(jinja_open(&jinja, source.data, source.length, "T", &err), WEIR_ERR_UNSUPPORTED);
        CHECK(strstr(err.text, "nested more than 200 deep") != NULL ||
              strstr(err.text, "expected at most 1048576") != NULL);
        bytes_release(&source);
    }
    struct bytes chain = repeated("{% if x %}", "{% elif y %}a", 5000, "{% else %}b{% endif %}");
    struct jinja_output output;
    struct weir_error err = {0};
    CHECK_OK(render(chain.data, chain.length, "{}", &output, &err), &err);
    CHECK_TEXT(output.bytes, "b");
    jinja_output_release(&output);
    bytes_release(&chain);
    struct bytes sum = repeated("{{ 0", " + 1", 900, " }}");
    CHECK_OK(render(sum.data, sum.length, "{}", &output, &err), &err);
    CHECK_TEXT(output.bytes, "900");
    jinja_output_release(&output);
    bytes_release(&sum);
}

/* Looking a name up costs what is compared on the way. */
TEST(jinja_counts_what_names_are_compared_with)
{
    struct bytes source = {0};
    char text[64];
    for (int i = 0; i < 10000; i++) {
        snprintf(text, sizeof text, "{%% set a%d = 0 %%}", i);
        bytes_add_text(&source, text);
    }
    bytes_add_text(&source, "\n{% for i in range(99999) %}{% if a0 %}{% endif %}{% endfor %}");
    struct jinja_output output;
    struct weir_error err = {0};
    CHECK_INT(render(source.data, source.length, "{}", &output, &err), WEIR_ERR_FULL);
    CHECK_TEXT(err.text, "T:2:34: the template takes more than 10000000 steps");
    bytes_release(&source);
}

/* So does looking a key up, and looking for characters among those to be stripped. */
TEST(jinja_counts_what_is_compared)
{
    check_refusal("{% set long = 'a' * 100000 %}{% set d = {} %}"
                  "{% for i in range(10, 60) %}{{ d.update({long ~ i: i}) }}{% endfor %}"
                  "{% for i in range(99999) %}{% if d[long ~ '59'] %}{% endif %}{% endfor %}",
                  "{}", WEIR_ERR_FULL, "T:1:149: the template takes more than 10000000 steps");
    check_refusal("{% set set = 'b' * 100000 ~ 'a' %}{{ ('a' * 10000).strip(set) }}", "{}",
                  WEIR_ERR_FULL, "T:1:57: the template takes more than 10000000 steps");
    check_refusal("{% set part = 'a' * 100000 %}{{ ('b' ~ part).rsplit(part ~ 'c', 1) }}"
                  "{{ (part * 2).rsplit('a' * 99999 ~ 'b') }}",
                  "{}", WEIR_ERR_FULL, "T:1:90: the template takes more than 10000000 steps");
}

/* A filter that calls a filter is nested as well, where the arguments name them. */
TEST(jinja_calls_filters_so_deep_only)
{
    struct bytes source = repeated("{{ 'a'|map('map'", ",'map'", 60000, ",'upper')|list|length }}");
    struct jinja_output output;
    struct weir_error err = {0};
    CHECK_INT(render(source.data, source.length, "{}", &output, &err), WEIR_ERR_FULL);
    CHECK_TEXT(err.text, "T:1:7: the template goes more than 1000 levels deep");
    bytes_release(&source);
    check_rendering("{{ ['ab']|map('map', 'upper')|map('join')|join }}", "{}", "AB");
}

static void alloc_scenario(void *argument)
{
    (void)argument;
    static const char source[] =
        "{% macro m(a) %}{{ a|upper }}{% endmacro %}{% set ns = namespace(q=[1, {'a': 2}]) %}"
        "{% for k, v in d|dictsort %}{{ m(k) }}{{ v|tojson }}{{ loop.index }}{% endfor %}"
        "{{ 'x' * 9000 }}{{ ('[1, {}]'|from_json)[0] }}";
    struct jinja_output output;
    const enum weir_status status = render(
        source, sizeof source - 1, "{\"d\": {\"b\": 1.5, \"a\": [null, true]}}", &output, NULL);
    CHECK_INT(status, alloc_failed() ? WEIR_ERR_MEMORY : WEIR_OK);
    CHECK(alloc_failed() || strncmp(output.bytes, "A[null, true]1B1.52x", 20) == 0);
    jinja_output_release(&output);
}

TEST(alloc_jinja)
{
    alloc_test(alloc_scenario, NULL);
}
