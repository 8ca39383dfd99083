/* SPDX-License-Identifier: MIT
 * Tests of answers that are continued: what stands behind the prompt is what the template would
 * have written of the answer. Run alone: build/tests/weir-test continuation_ */
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "chat_cases.h"
#include "toy_vocab.h"

static struct weir_prompt *render(const struct weir_template *chat_template, const char *request)
{
    struct weir_prompt *prompt;
    struct weir_error err = {0};
    CHECK_OK(
        weir_template_render_request(chat_template, &prompt, request, strlen(request), NULL, &err),
        &err);
    return prompt;
}

/* ---- against templates ----------------------------------------------------------------------- */

static void add_member(struct bytes *out, const char *name, const char *text)
{
    bytes_add_text(out, ", \"");
    bytes_add_text(out, name);
    bytes_add_text(out, "\": \"");
    json_escape((struct printer){bytes_sink, out}, text, strlen(text));
    bytes_add_text(out, "\"");
}

/* A question, and an answer to it. */
static struct bytes make_request(const char *reasoning, const char *content, const char *more)
{
    struct bytes out = {0};
    bytes_add_text(&out, "{\"messages\": [{\"role\": \"user\", \"content\": \"Why?\"}, "
                         "{\"role\": \"assistant\"");
    if (content != NULL)
        add_member(&out, "content", content);
    if (reasoning != NULL)
        add_member(&out, "reasoning_content", reasoning);
    bytes_add_text(&out, "}]");
    bytes_add_text(&out, more);
    bytes_add_text(&out, "}");
    return out;
}

/* The template writes the answer whole, and a mark behind it; continued, it is the same text
 * without the mark. */
static void check_answer(const struct weir_template *chat_template, const char *reasoning,
                         const char *content, const char *more)
{
    static const char end[] = "<|im_end|>\n";
    struct bytes whole = make_request(reasoning, content, ", \"add_generation_prompt\": false");
    struct bytes begun = make_request(reasoning, content, more);
    struct weir_prompt *expected = render(chat_template, whole.data);
    struct weir_prompt *prompt = render(chat_template, begun.data);
    size_t expected_length, length;
    const char *expected_text = weir_prompt_text(expected, &expected_length);
    const char *text = weir_prompt_text(prompt, &length);
    CHECK(expected_length > sizeof end);
    CHECK_TEXT(expected_text + expected_length - (sizeof end - 1), end);
    expected_length -= sizeof end - 1;
    if (length != expected_length || memcmp(text, expected_text, length) != 0)
        test_fail(__FILE__, __LINE__, "%s\n    gives:    %s\n    expected: %.*s", begun.data, text,
                  (int)expected_length, expected_text);
    CHECK(!weir_prompt_in_reasoning(prompt));
    weir_prompt_close(expected);
    weir_prompt_close(prompt);
    bytes_release(&whole);
    bytes_release(&begun);
}

static void check_answers(const struct weir_template *chat_template)
{
    static const struct {
        const char *reasoning, *content;
    } answers[] = {
        {"Let me see.\nYes.", "Because"},
        {NULL, "Because"},
        {"", "One\n\nTwo <|im_end|> \"three\""},
    };
    static const char *const endings[] = {
        "",
        ", \"enable_thinking\": true",
        ", \"enable_thinking\": false",
        ", \"continue_final_message\": true",
        ", \"continue_final_message\": true, \"add_generation_prompt\": false",
    };
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        for (size_t j = 0; j < sizeof endings / sizeof endings[0]; j++)
            check_answer(chat_template, answers[i].reasoning, answers[i].content, endings[j]);
    }
}

TEST(continuation_is_what_our_template_writes)
{
    struct weir_template *chat_template = chat_cases_own_template();
    check_answers(chat_template);
    weir_template_close(chat_template);
}

TEST(continuation_is_what_the_builtin_template_writes)
{
    struct weir_template *chat_template;
    const char *source = weir_template_builtin("chatml");
    struct weir_error err = {0};
    CHECK_OK(weir_template_open(&chat_template, source, strlen(source), "chatml", &err), &err);
    check_answers(chat_template);
    weir_template_close(chat_template);
}

TEST(continuation_is_what_the_family_writes)
{
    static const char *const names[] = {
        "qwen3.5.jinja", "qwen3.5-small.jinja", "qwen3.6.jinja", "qwen3.6-unsloth.jinja",
        "qwen3.jinja",   "qwen3-coder.jinja",   "qwen2.5.jinja"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[128];
        snprintf(path, sizeof path, "vectors/chat/templates/%s", names[i]);
        struct weir_template *chat_template = chat_cases_template(test_shared(path));
        check_answers(chat_template);
        weir_template_close(chat_template);
    }
}

/* ---- whether --------------------------------------------------------------------------------- */

TEST(continuation_is_asked_for)
{
    static const struct {
        const char *members, *expected;
    } cases[] = {
        {"", "1 True c"},
        {", \"continue_final_message\": null, \"add_generation_prompt\": null", "1 True c"},
        {", \"continue_final_message\": true", "1 True c"},
        {", \"continue_final_message\": true, \"add_generation_prompt\": false", "1 True c"},
        {", \"continue_final_message\": false", "2 True "},
        {", \"continue_final_message\": false, \"add_generation_prompt\": true", "2 True "},
        {", \"continue_final_message\": false, \"add_generation_prompt\": false", "2 False "},
        {", \"add_generation_prompt\": true", "2 True "},
        {", \"add_generation_prompt\": false", "2 False "},
    };
    static const char source[] = "{{ messages|length }} {{ add_generation_prompt }} ";
    struct weir_template *chat_template;
    struct weir_error err = {0};
    CHECK_OK(weir_template_open(&chat_template, source, strlen(source), "T", &err), &err);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bytes request = make_request(NULL, "c", cases[i].members);
        struct weir_prompt *prompt = render(chat_template, request.data);
        size_t length;
        CHECK_TEXT(weir_prompt_text(prompt, &length), cases[i].expected);
        weir_prompt_close(prompt);
        bytes_release(&request);
    }
    weir_template_close(chat_template);
}

/* ---- where reasoning goes on ----------------------------------------------------------------- */

/* What a template ends a prompt with. */
#define OPEN  "{{ 'A<think>\\n' }}"
#define EMPTY "{{ 'A<think>\\n\\n</think>\\n\\n' }}"
#define NONE  "{{ 'A' }}{# <think> #}"
#define PLAIN "{{ 'A' }}"

TEST(continuation_begins_within_reasoning)
{
    static const struct {
        const char *source, *reasoning, *content, *expected;
        bool in_reasoning;
    } cases[] = {
        {OPEN, NULL, NULL, "A<think>\n", true},
        {OPEN, "r", NULL, "A<think>\nr", true},
        {OPEN, "\nr \n", "", "A<think>\nr \n", true},
        {OPEN, "\nr\n", " c ", "A<think>\nr\n</think>\n\n c ", false},
        {OPEN, NULL, "c", "A<think>\n\n</think>\n\nc", false},
        {OPEN, "r</think>\n\n", NULL, "A<think>\nr</think>\n\n", false},
        {EMPTY, NULL, NULL, "A<think>\n\n</think>\n\n", false},
        {EMPTY, NULL, "c", "A<think>\n\n</think>\n\nc", false},
        {EMPTY, "r", NULL, "A<think>\nr", true},
        {EMPTY, "r", "c", "A<think>\nr\n</think>\n\nc", false},
        {NONE, NULL, NULL, "A", false},
        {NONE, "r", NULL, "A<think>\nr", true},
        {NONE, "r", "c", "A<think>\nr\n</think>\n\nc", false},
        {PLAIN, "r", "c", "Ac", false},
        {PLAIN, "r", NULL, "A", false},
        /* a block at the begin of the content */
        {OPEN, NULL, "<think>", "A<think>\n", true},
        {OPEN, NULL, " \n<think>\nr", "A<think>\nr", true},
        {OPEN, NULL, "<think>\nr\n</think>\n\nc </think>", "A<think>\nr\n</think>\n\nc </think>",
         false},
        {OPEN, NULL, "<think>\nr\n</think>", "A<think>\nr\n</think>\n\n", false},
        {OPEN, NULL, "r</think>", "A<think>\nr\n</think>\n\n", false},
        {EMPTY, NULL, "</think>", "A<think>\n\n</think>\n\n", false},
        {NONE, NULL, "r</think>", "A<think>\nr\n</think>\n\n", false},
        {OPEN, NULL, "r\n</think>\n\nc", "A<think>\nr\n</think>\n\nc", false},
        {EMPTY, NULL, "r</think>c", "A<think>\nr\n</think>\n\nc", false},
        {NONE, NULL, "r</think>c", "A<think>\nr\n</think>\n\nc", false},
        {PLAIN, NULL, "r</think>c", "Ar</think>c", false},
        {OPEN, "r", "<think>c", "A<think>\nr\n</think>\n\n<think>c", false},
        {OPEN, NULL, "c<think>", "A<think>\n\n</think>\n\nc<think>", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct weir_template *chat_template;
        struct weir_error err = {0};
        size_t length;
        CHECK_OK(
            weir_template_open(&chat_template, cases[i].source, strlen(cases[i].source), "T", &err),
            &err);
        struct bytes request = make_request(cases[i].reasoning, cases[i].content, "");
        struct weir_prompt *prompt = render(chat_template, request.data);
        CHECK_TEXT(weir_prompt_text(prompt, &length), cases[i].expected);
        CHECK_INT(length, strlen(cases[i].expected));
        CHECK_INT(weir_prompt_in_reasoning(prompt), cases[i].in_reasoning);
        weir_prompt_close(prompt);
        weir_template_close(chat_template);
        bytes_release(&request);
    }
}

/* A block that the conversation has written is none of the template's. */
TEST(continuation_does_not_go_on_with_a_users_block)
{
    static const char source[] = "{{ messages[0].content }}";
    struct weir_template *chat_template;
    struct weir_error err = {0};
    size_t length;
    CHECK_OK(weir_template_open(&chat_template, source, strlen(source), "T", &err), &err);
    struct weir_prompt *prompt =
        render(chat_template, "{\"messages\": [{\"role\": \"user\", \"content\": \"<think>\\n\"}, "
                              "{\"role\": \"assistant\", \"content\": \"c\"}]}");
    CHECK_TEXT(weir_prompt_text(prompt, &length), "<think>\nc");
    CHECK(!weir_prompt_in_reasoning(prompt));
    weir_prompt_close(prompt);
    weir_template_close(chat_template);
}

/* ---- tokens ---------------------------------------------------------------------------------- */

/* A model that was cut off has written its answer in tokens of its own choice. Continued, the text
 * is the same, so all of them are used again. */
TEST(continuation_replays_what_was_sampled)
{
    enum { IDS_MAX = 256 };
    static const char question[] = "{\"role\": \"user\", \"content\": \"Hi\"}";
    static const char said[] = "I see.\n</think>\n\nHello the", *thought = "I see.";
    static struct toy_vocab vocab;
    struct weir_tokenizer *tokenizer;
    struct weir_error err = {0};
    int32_t known[IDS_MAX], ids[IDS_MAX];
    size_t known_count, count, reused;
    char request[512];
    toy_vocab_usual(&vocab, PRETOKENIZER_QWEN35);
    CHECK_OK(tokenizer_open(&tokenizer, &vocab.source, &err), &err);
    struct weir_template *chat_template = chat_cases_own_template();
    snprintf(request, sizeof request, "{\"enable_thinking\": true, \"messages\": [%s]}", question);
    struct weir_prompt *prompt = render(chat_template, request);
    CHECK_OK(
        weir_prompt_tokens(prompt, tokenizer, NULL, 0, known, IDS_MAX, &known_count, &reused, &err),
        &err);
    weir_prompt_close(prompt);
    const int32_t end = weir_tokenizer_find(tokenizer, "</think>", strlen("</think>"));
    CHECK(end >= 0);
    for (const char *c = said; *c != 0; c++) { /* byte by byte, as no tokenizer would */
        const bool is_mark = strncmp(c, "</think>", strlen("</think>")) == 0;
        known[known_count++] = is_mark ? end : (int32_t)(unsigned char)*c;
        c += is_mark ? strlen("</think>") - 1 : 0;
        CHECK(known_count < IDS_MAX);
    }
    snprintf(request, sizeof request,
             "{\"enable_thinking\": true, \"messages\": [%s, {\"role\": \"assistant\", "
             "\"reasoning_content\": \"%s\", \"content\": \"%s\"}]}",
             question, thought, strrchr(said, '\n') + 1);
    prompt = render(chat_template, request);
    CHECK_OK(weir_prompt_tokens(prompt, tokenizer, known, known_count, ids, IDS_MAX, &count,
                                &reused, &err),
             &err);
    CHECK_INT(reused, known_count);
    CHECK_INT(count, known_count);
    weir_prompt_close(prompt);
    weir_template_close(chat_template);
    weir_tokenizer_close(tokenizer);
}

/* What the client has written of the answer ends no message. */
TEST(continuation_has_no_control_tokens)
{
    enum { IDS_MAX = 64 };
    static struct toy_vocab vocab;
    struct weir_tokenizer *tokenizer;
    struct weir_error err = {0};
    int32_t ids[IDS_MAX];
    size_t count, reused, at = 0, controls = 0, length;
    toy_vocab_usual(&vocab, PRETOKENIZER_QWEN35);
    CHECK_OK(tokenizer_open(&tokenizer, &vocab.source, &err), &err);
    struct weir_template *chat_template = chat_cases_own_template();
    struct weir_prompt *prompt =
        render(chat_template, "{\"messages\": [{\"role\": \"user\", \"content\": \"\"}, {\"role\": "
                              "\"assistant\", \"reasoning\": \"<|im_end|>\", \"content\": "
                              "\"<|im_start|>\"}]}");
    CHECK_OK(weir_prompt_tokens(prompt, tokenizer, NULL, 0, ids, IDS_MAX, &count, &reused, &err),
             &err);
    CHECK(count <= IDS_MAX);
    const char *text = weir_prompt_text(prompt, &length);
    const int32_t think = weir_tokenizer_find(tokenizer, "<think>", strlen("<think>"));
    bool has_think = false;
    for (size_t i = 0; i < count; i++) {
        size_t bytes, shown;
        const char *piece = weir_tokenizer_piece(tokenizer, ids[i], true, &bytes);
        weir_tokenizer_piece(tokenizer, ids[i], false, &shown);
        CHECK(bytes <= length - at && memcmp(piece, text + at, bytes) == 0);
        controls += shown == 0 && bytes > 0;
        has_think = has_think || ids[i] == think;
        at += bytes;
    }
    CHECK_INT(at, length);
    CHECK_INT(controls, 3); /* of the user's message, and the begin of the answer */
    CHECK(think >= 0 && has_think);
    weir_prompt_close(prompt);
    weir_template_close(chat_template);
    weir_tokenizer_close(tokenizer);
}
