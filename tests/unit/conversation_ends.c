/* SPDX-License-Identifier: MIT
 * Conversations: how replies end, reasoning, grammars, and what fails. Run alone:
 * build/tests/weir-test conversation_ends_ */
#include "talk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"

enum { SAID_MAX = 1024 };

static const char question[] = "Hello, my name is Nadia. I like yellow.";

/* ---- ends ------------------------------------------------------------------------------------ */

/* Every part of a few letters, wherever tokens begin and end: the reply is the text before it. */
static void stop_everywhere(enum weir_draft_kind kind)
{
    struct talk talk;
    char whole[SAID_MAX], part[8], expected[SAID_MAX];
    talk_init(&talk);
    talk.options.speculator.kind = kind;
    talk.options.speculator.ngram_size = 2;
    talk_open(&talk);
    snprintf(whole, sizeof whole, "%s", talk_ask(&talk, question));
    CHECK(strlen(whole) > 20);
    const char *const stops[] = {"never said", part};
    talk.options.stops = stops;
    talk.options.stops_count = 2;
    for (size_t at = 0; at + 1 < strlen(whole); at += 3) {
        snprintf(part, sizeof part, "%.*s", (int)(1 + at % 7), whole + at);
        const char *found = strstr(whole, part);
        snprintf(expected, sizeof expected, "%.*s", (int)(found - whole), whole);
        talk_set(&talk);
        CHECK(weir_chat_undo(talk.chat, "assistant"));
        CHECK_TEXT(talk_reply(&talk), expected);
        CHECK_INT(talk.info.end, WEIR_CHAT_STOP);
        CHECK_INT(weir_session_position(talk.session), talk.info.context_tokens - 1);
    }
    talk_close(&talk);
}

TEST(conversation_ends_at_a_text_in_any_place)
{
    stop_everywhere(WEIR_DRAFT_NONE);
    stop_everywhere(WEIR_DRAFT_MTP);
}

/* A reply that was cut is kept as far as it came, and the conversation goes on behind it. */
TEST(conversation_ends_after_so_many_tokens)
{
    struct talk talk;
    char whole[SAID_MAX];
    talk_init(&talk);
    talk.options.speculator.kind = WEIR_DRAFT_NGRAM;
    talk.options.speculator.ngram_size = 1;
    talk_open(&talk);
    snprintf(whole, sizeof whole, "%s", talk_ask(&talk, question));
    CHECK_INT(talk.info.end, WEIR_CHAT_STOP);
    const uint32_t all = talk.info.reply_tokens;
    for (uint32_t most = 1; most < all; most++) {
        talk.options.reply_tokens_max = most;
        talk_set(&talk);
        CHECK(weir_chat_undo(talk.chat, "assistant"));
        const char *said = talk_reply(&talk);
        CHECK_INT(talk.info.end, WEIR_CHAT_LENGTH);
        CHECK_INT(talk.info.reply_tokens, most);
        CHECK(strncmp(said, whole, strlen(said)) == 0);
    }
    talk_ask(&talk, "Who are you?");
    talk_close(&talk);
}

TEST(conversation_ends_where_the_context_is_full)
{
    struct talk talk;
    struct weir_error err = {0};
    talk_init(&talk);
    talk.engine_options.context = 48;
    talk.options.reply_tokens_max = 0;
    talk.options.sampler.ignore_eos = true;
    talk_open(&talk);
    talk_ask(&talk, question);
    CHECK_INT(talk.info.end, WEIR_CHAT_LENGTH);
    CHECK_INT(weir_session_position(talk.session), 48);
    struct bytes before = talk_messages(&talk);
    CHECK_OK(weir_chat_add(talk.chat, "user", "Hi", 2, &err), &err);
    CHECK_INT(talk_try(&talk, &err), WEIR_ERR_FULL);
    CHECK(strstr(err.text, "the context holds 48") != NULL);
    CHECK(weir_chat_undo(talk.chat, "user"));
    struct bytes after = talk_messages(&talk);
    CHECK_TEXT(after.data, before.data);
    bytes_release(&before);
    bytes_release(&after);
    talk_close(&talk);
}

TEST(conversation_ends_when_somebody_wants_no_more)
{
    struct talk talk;
    char whole[SAID_MAX];
    talk_init(&talk);
    talk_open(&talk);
    snprintf(whole, sizeof whole, "%s", talk_ask(&talk, question));
    CHECK(weir_chat_undo(talk.chat, "assistant"));
    talk.stop_after = 3;
    const char *said = talk_reply(&talk);
    CHECK_INT(talk.info.end, WEIR_CHAT_STOPPED);
    CHECK_INT(talk.info.reply_tokens, 3);
    CHECK(strlen(said) < strlen(whole) && strncmp(said, whole, strlen(said)) == 0);
    talk.stop_after = 0;
    talk_ask(&talk, "Who are you?");
    talk_close(&talk);
}

/* ---- reasoning, tools, grammars -------------------------------------------------------------- */

TEST(conversation_ends_reasoning_within_the_budget)
{
    struct talk talk;
    char thought[SAID_MAX];
    talk_init(&talk);
    talk.options.reasoning = WEIR_ON;
    talk.options.reasoning_closing = " That is all.";
    talk_open(&talk);
    talk_ask(&talk, "How do I get to Vovarola?");
    snprintf(thought, sizeof thought, "%s", talk.reasoning.data);
    CHECK(strlen(thought) > 10 && talk.said.length > 0);
    struct bytes messages = talk_messages(&talk);
    CHECK(strstr(messages.data, "\"reasoning_content\": \"") != NULL);
    bytes_release(&messages);
    for (int32_t budget = 0; budget < 4; budget++) {
        talk.options.reasoning_budget = budget;
        talk_set(&talk);
        CHECK(weir_chat_undo(talk.chat, "assistant"));
        talk_reply(&talk);
        const char *end = strstr(talk.reasoning.data, " That is all.");
        CHECK(end != NULL && end[strlen(" That is all.")] == 0);
        CHECK((budget > 0) == (end > talk.reasoning.data));
        CHECK(strncmp(thought, talk.reasoning.data, (size_t)(end - talk.reasoning.data)) == 0);
        CHECK(talk.said.length > 0);
    }
    talk.options.reasoning = WEIR_OFF;
    talk_set(&talk);
    CHECK(weir_chat_undo(talk.chat, "assistant"));
    talk_reply(&talk);
    CHECK_INT(talk.reasoning.length, 0);
    talk_close(&talk);
}

static const char lamp[] =
    "[{\"type\": \"function\", \"function\": {\"name\": \"set_lamp\", \"description\": \"Sets the "
    "colour of a lamp\", \"parameters\": {\"type\": \"object\", \"properties\": {\"place\": "
    "{\"type\": \"string\"}, \"colour\": {\"type\": \"string\"}}, \"required\": [\"place\", "
    "\"colour\"]}}}]";

/* The answer of a tool is part of the same turn: the template repeats the call, and nothing is read
 * again. */
TEST(conversation_ends_with_calls_that_are_answered)
{
    struct talk talk;
    struct weir_error err = {0};
    talk_init(&talk);
    talk.options.system = "You are a helper in a small village.";
    talk.options.tools = lamp;
    talk_open(&talk);
    talk_ask(&talk, "Make the lamp in the church grey.");
    CHECK_INT(talk.info.end, WEIR_CHAT_CALLS);
    CHECK_INT(talk.calls, 1);
    const uint32_t held = talk.info.context_tokens - 1;
    struct bytes messages = talk_messages(&talk);
    CHECK(strstr(messages.data, "{\"role\": \"assistant\", \"content\": \"\", \"tool_calls\": "
                                "[{\"type\": \"function\", \"function\": {\"name\": \"set_lamp\", "
                                "\"arguments\": {\"place\":") != NULL);
    bytes_release(&messages);
    CHECK_OK(weir_chat_add(talk.chat, "tool", "ok", 2, &err), &err);
    talk_reply(&talk);
    CHECK_INT(talk.info.end, WEIR_CHAT_STOP);
    CHECK_INT(talk.info.reused_tokens, held);
    CHECK(talk.said.length > 0);
    talk_close(&talk);
}

TEST(conversation_ends_as_the_grammar_says)
{
    static const char text[] = "root ::= \"{\" (\"yes\" | \"no\") \"!\" \"}\"";
    struct weir_grammar *grammar;
    struct weir_error err = {0};
    struct talk talk;
    CHECK_OK(weir_grammar_open_gbnf(&grammar, text, strlen(text), &err), &err);
    talk_init(&talk);
    talk.options.grammar = grammar;
    talk_open(&talk);
    const char *said = talk_ask(&talk, question);
    CHECK(strcmp(said, "{yes!}") == 0 || strcmp(said, "{no!}") == 0);
    CHECK_INT(talk.info.end, WEIR_CHAT_STOP);
    talk.options.reasoning = WEIR_ON;
    talk.options.reasoning_budget = 8;
    talk.options.speculator.kind = WEIR_DRAFT_MTP;
    talk_set(&talk);
    said = talk_ask(&talk, question);
    CHECK(strcmp(said, "{yes!}") == 0 || strcmp(said, "{no!}") == 0);
    CHECK(talk.reasoning.length > 0);
    talk_close(&talk);
    weir_grammar_close(grammar);
}

/* ---- failures -------------------------------------------------------------------------------- */

/* A text that could not be completed is no reply. */
TEST(conversation_ends_where_the_grammar_is_too_ambiguous)
{
    static const char text[] = "root ::= \"x\"{70} p\n"
                               "p ::= \"aaaaaaaaaaaaaaaaaaaaaaaa\" | \"a\" p \"b\" | \"a\" p \"c\"";
    struct weir_grammar *grammar;
    struct weir_error err = {0};
    struct talk talk;
    CHECK_OK(weir_grammar_open_gbnf(&grammar, text, strlen(text), &err), &err);
    talk_init(&talk);
    talk.options.reply_tokens_max = 200;
    talk_open(&talk);
    CHECK_OK(weir_chat_add(talk.chat, "user", question, strlen(question), &err), &err);
    char said[SAID_MAX];
    snprintf(said, sizeof said, "%s", talk_reply(&talk));
    CHECK(weir_chat_undo(talk.chat, "assistant"));
    struct bytes before = talk_messages(&talk);
    talk.options.grammar = grammar;
    talk_set(&talk);
    CHECK_INT(talk_try(&talk, &err), WEIR_ERR_UNSUPPORTED);
    CHECK(strstr(err.text, "the grammar became too ambiguous after ") == err.text);
    struct bytes after = talk_messages(&talk);
    CHECK_TEXT(after.data, before.data);
    talk.options.grammar = NULL;
    talk_set(&talk);
    CHECK_TEXT(talk_reply(&talk), said);
    bytes_release(&after);
    bytes_release(&before);
    talk_close(&talk);
    weir_grammar_close(grammar);
}

/* Wherever the evaluation is cut short, the messages stay, and the next try says what there was to
 * say; an emptied session goes on from a checkpoint. */
TEST(conversation_ends_in_failure_and_nothing_is_lost)
{
    struct talk talk;
    char said[SAID_MAX];
    talk_init(&talk);
    talk_open(&talk);
    talk_ask(&talk, "Tell a story that begins on the mountain.");
    snprintf(said, sizeof said, "%s", talk_ask(&talk, question));
    const uint32_t evaluated = talk_evaluated(&talk);
    CHECK(weir_chat_undo(talk.chat, "assistant"));
    struct bytes before = talk_messages(&talk);
    for (uint32_t calls = 1; calls < 400; calls += 57) {
        struct weir_error err = {0};
        talk.calls_left = calls;
        CHECK_INT(talk_try(&talk, &err), WEIR_ERR_CANCELLED);
        talk.calls_left = 0;
        struct bytes after = talk_messages(&talk);
        CHECK_TEXT(after.data, before.data);
        bytes_release(&after);
        CHECK_TEXT(talk_reply(&talk), said);
        CHECK(talk_evaluated(&talk) <= evaluated);
        CHECK(weir_chat_undo(talk.chat, "assistant"));
    }
    bytes_release(&before);
    talk_close(&talk);
}

/* A prompt of many steps, each try of which is cut short: none is computed twice, and in the end it
 * says what it says in one go. */
TEST(conversation_ends_between_steps_and_goes_on)
{
    enum { CALLS = 1 << 20 };
    static const enum weir_draft_kind kinds[] = {WEIR_DRAFT_NONE, WEIR_DRAFT_MTP};
    for (size_t kind = 0; kind < sizeof kinds / sizeof kinds[0]; kind++) {
        struct bytes text = {0};
        struct talk talk;
        char said[SAID_MAX];
        talk_init(&talk);
        talk.engine_options.step_rows_max = 64;
        talk.options.speculator.kind = kinds[kind];
        talk.options.reply_tokens_max = 8;
        talk_open(&talk);
        for (int i = 0; i < 40; i++)
            bytes_add_text(&text, "Ida lives in the old house and likes rice. ");
        bytes_add_text(&text, question);
        talk.calls_left = CALLS;
        snprintf(said, sizeof said, "%s", talk_ask(&talk, text.data));
        const uint32_t tokens = talk.info.prompt_tokens, calls = CALLS - talk.calls_left;
        CHECK(tokens > 5 * 64);
        weir_chat_clear(talk.chat);
        talk.calls_left = 0;
        talk_ask(&talk, "Who are you?"); /* from where the long one begins nothing is left */
        weir_chat_clear(talk.chat);
        struct weir_error err = {0};
        CHECK_OK(weir_chat_add(talk.chat, "user", text.data, text.length, &err), &err);
        for (uint32_t position = 0; position < tokens - 3 * 64;) {
            err = (struct weir_error){0};
            talk.calls_left = 3 * calls / (tokens / 64) / 2; /* a step and a part of another */
            CHECK_INT(talk_try(&talk, &err), WEIR_ERR_CANCELLED);
            CHECK(weir_session_position(talk.session) > position);
            position = weir_session_position(talk.session);
        }
        const uint32_t position = weir_session_position(talk.session);
        talk.calls_left = 0;
        talk_reply(&talk);
        CHECK_INT(talk.info.reused_tokens, position);
        CHECK_TEXT(talk.said.data, said);
        bytes_release(&text);
        talk_close(&talk);
    }
}

TEST(conversation_ends_in_refusals)
{
    struct talk talk;
    struct weir_error err = {0};
    talk_init(&talk);
    talk_open(&talk);
    CHECK_INT(talk_try(&talk, &err), WEIR_ERR_ARGUMENT);
    CHECK_TEXT(err.text, "there is no message to reply to");
    err = (struct weir_error){0};
    CHECK_INT(weir_chat_add(talk.chat, "user", "\xc3", 1, &err), WEIR_ERR_ARGUMENT);
    talk_ask(&talk, question);
    err = (struct weir_error){0};
    CHECK_INT(talk_try(&talk, &err), WEIR_ERR_ARGUMENT);
    err = (struct weir_error){0};
    CHECK_OK(weir_chat_add(talk.chat, "narrator", "Once", 4, &err), &err);
    CHECK_INT(talk_try(&talk, &err), WEIR_ERR_ARGUMENT);
    CHECK(strstr(err.text, "Unknown role: narrator") != NULL);
    CHECK(weir_chat_undo(talk.chat, "narrator"));
    static const char *const broken[] = {
        "", "{}", "[1]", "[{}]", "[{\"role\": 1}]", "[{\"role\": "};
    struct bytes before = talk_messages(&talk);
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        err = (struct weir_error){0};
        CHECK_INT(weir_chat_load(talk.chat, broken[i], strlen(broken[i]), &err), WEIR_ERR_ARGUMENT);
    }
    struct bytes after = talk_messages(&talk);
    CHECK_TEXT(after.data, before.data);
    bytes_release(&before);
    bytes_release(&after);
    talk_close(&talk);
}

/* Each makes one option wrong. */
static void wrong_tools(struct weir_chat_options *options)
{
    options->tools = "{}";
}
static void wrong_variables(struct weir_chat_options *options)
{
    options->variables = "[1]";
}
static void wrong_json(struct weir_chat_options *options)
{
    options->variables = "{\"a\": }";
}
static void wrong_name(struct weir_chat_options *options)
{
    options->variables = "{\"messages\": []}";
}
static void wrong_system(struct weir_chat_options *options)
{
    options->system = "\xff";
}
static void wrong_budget(struct weir_chat_options *options)
{
    options->reasoning_budget = -2;
}
static void wrong_sampler(struct weir_chat_options *options)
{
    options->sampler.top_p = 2;
}
static void wrong_drafts(struct weir_chat_options *options)
{
    options->speculator.kind = WEIR_DRAFT_NGRAM;
    options->speculator.drafts_max = 9;
}
static void wrong_stop(struct weir_chat_options *options)
{
    static const char *const stops[] = {"a", ""};
    options->stops = stops;
    options->stops_count = 2;
}

TEST(conversation_ends_before_wrong_options)
{
    static void (*const wrongs[])(struct weir_chat_options * options) = {
        wrong_tools,  wrong_variables, wrong_json,   wrong_name, wrong_system,
        wrong_budget, wrong_sampler,   wrong_drafts, wrong_stop,
    };
    struct talk talk;
    char said[SAID_MAX];
    talk_init(&talk);
    talk_open(&talk);
    snprintf(said, sizeof said, "%s", talk_ask(&talk, question));
    for (size_t i = 0; i < sizeof wrongs / sizeof wrongs[0]; i++) {
        struct weir_chat_options options = talk.options;
        struct weir_error err = {0};
        struct weir_chat *chat;
        wrongs[i](&options);
        CHECK_INT(weir_chat_set(talk.chat, &options, &err), WEIR_ERR_ARGUMENT);
        CHECK(err.text[0] != 0);
        CHECK_INT(
            weir_chat_open(&chat, talk.session, talk.tokenizer, talk.chat_template, &options, NULL),
            WEIR_ERR_ARGUMENT);
        CHECK(chat == NULL);
    }
    CHECK(weir_chat_undo(talk.chat, "assistant"));
    CHECK_TEXT(talk_reply(&talk), said);
    talk_close(&talk);
}

/* Variables of the template are there, and options win. */
TEST(conversation_ends_thinking_by_variables_or_options)
{
    struct talk talk;
    talk_init(&talk);
    talk.options.variables = " { \"enable_thinking\": true } ";
    talk_open(&talk);
    talk_ask(&talk, "How do I get to Vovarola?");
    CHECK(talk.reasoning.length > 0);
    talk.options.reasoning = WEIR_OFF;
    talk_set(&talk);
    talk_ask(&talk, "How do I get to Vovarola?");
    CHECK_INT(talk.reasoning.length, 0);
    talk.options.reasoning = WEIR_AUTO;
    talk.options.variables = "{}";
    talk_set(&talk);
    talk_ask(&talk, "How do I get to Vovarola?");
    CHECK_INT(talk.reasoning.length, 0);
    talk_close(&talk);
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* One conversation from its beginning to its end on a session that is there already. */
static void converse(void *argument)
{
    struct talk *talk = argument;
    struct weir_chat *chat = NULL;
    struct weir_chat_info info;
    struct bytes json = {0};
    struct weir_error err = {0};
    weir_session_reset(talk->session);
    enum weir_status status = weir_chat_open(&chat, talk->session, talk->tokenizer,
                                             talk->chat_template, &talk->options, &err);
    if (status == WEIR_OK)
        status = weir_chat_add(chat, "user", question, strlen(question), &err);
    if (status == WEIR_OK)
        status = weir_chat_reply(chat, &info, &err);
    if (status == WEIR_OK)
        status = weir_chat_settle(chat, &err);
    if (status == WEIR_OK)
        status = weir_chat_save(chat, bytes_sink, &json, &err);
    if (status == WEIR_OK)
        status = bytes_check(&json, &err);
    if (status == WEIR_OK)
        status = weir_chat_load(chat, json.data, json.length, &err);
    if (status == WEIR_OK)
        status = weir_chat_set(chat, &talk->options, &err);
    weir_chat_close(chat);
    bytes_release(&json);
    CHECK_INT(status, alloc_failed() ? WEIR_ERR_MEMORY : WEIR_OK);
}

TEST(conversation_ends_and_gives_back_its_memory)
{
    static const char *const stops[] = {"never said", "nor this"};
    struct talk talk;
    test_skip_if_sanitized();
    talk_init(&talk);
    talk.options.system = "Be kind.";
    talk.options.tools = lamp;
    talk.options.variables = "{\"a\": 1}";
    talk.options.stops = stops;
    talk.options.stops_count = 2;
    talk.options.reply_tokens_max = 2;
    talk.options.checkpoints_max = 2;
    talk.options.reasoning_budget = 1;
    talk.options.reasoning = WEIR_ON;
    talk.options.speculator.kind = WEIR_DRAFT_MTP;
    talk.options.event = NULL; /* whose own allocations are the test's */
    talk_open(&talk);
    weir_chat_close(talk.chat);
    talk.chat = NULL;
    alloc_test(converse, &talk);
    talk_close(&talk);
}

static uint64_t allocations_of_reply(struct talk *talk, uint32_t tokens)
{
    talk->options.reply_tokens_max = tokens;
    talk_set(talk);
    weir_chat_undo(talk->chat, "assistant");
    const uint64_t before = alloc_count();
    talk_reply(talk);
    CHECK_INT(talk->info.reply_tokens, tokens);
    return alloc_count() - before;
}

/* In the token loop only texts grow, by doubling: what was said, and what of it is not decided. */
TEST(conversation_ends_without_allocations_for_each_token)
{
    struct talk talk;
    struct weir_error err = {0};
    talk_init(&talk);
    talk.options.event = NULL;
    talk.options.sampler.ignore_eos = true;
    talk.options.speculator.kind = WEIR_DRAFT_NGRAM;
    talk_open(&talk);
    CHECK_OK(weir_chat_add(talk.chat, "user", question, strlen(question), &err), &err);
    allocations_of_reply(&talk, 8);
    const uint64_t few = allocations_of_reply(&talk, 8), many = allocations_of_reply(&talk, 512);
    CHECK(many - few <= 16);
    talk_close(&talk);
}
