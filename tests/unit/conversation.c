/* SPDX-License-Identifier: MIT
 * Conversations: what is read again and what is not, ways back, what is kept. Run alone:
 * build/tests/weir-test conversation_ */
#include "talk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const questions[] = {
    "Hello, my name is Nadia. I like yellow.",
    "Tell a story that begins on the mountain.",
    "What is my name?",
    "How do I get to Vovarola?",
    "Who are you?",
};
enum { QUESTIONS = sizeof questions / sizeof questions[0], SAID_MAX = 1024 };

/* Ways to draft, and none. */
static const enum weir_draft_kind kinds[] = {WEIR_DRAFT_NONE, WEIR_DRAFT_NGRAM, WEIR_DRAFT_MTP};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

static void choose_kind(struct talk *talk, enum weir_draft_kind kind)
{
    talk->options.speculator.kind = kind;
    talk->options.speculator.fixed = true;
    talk->options.speculator.ngram_size = 2;
}

static void keep_text(char out[SAID_MAX], const char *text)
{
    CHECK(strlen(text) < SAID_MAX);
    memcpy(out, text, strlen(text) + 1);
}

/* ---- what is read ---------------------------------------------------------------------------- */

/* The template repeats all that was said, so all tokens stay as they were sampled, the last of a
 * reply too, which is the first that is evaluated of the next prompt. */
TEST(conversation_reads_nothing_twice)
{
    static char first[QUESTIONS][SAID_MAX];
    for (int kind = 0; kind < KINDS; kind++) {
        static int32_t before[TALK_CONTEXT];
        struct talk talk;
        uint32_t held = 0;
        talk_init(&talk);
        talk.template_name = "chatml";
        choose_kind(&talk, kinds[kind]);
        talk_open(&talk);
        for (int i = 0; i < QUESTIONS; i++) {
            const char *said = talk_ask(&talk, questions[i]);
            CHECK_INT(talk.info.reused_tokens, held == 0 ? 0 : held - 1);
            CHECK(memcmp(before, weir_session_tokens(talk.session),
                         talk.info.reused_tokens * sizeof *before) == 0);
            CHECK(talk.info.reply_tokens > 0);
            held = talk.info.context_tokens;
            CHECK_INT(held, talk.info.prompt_tokens + talk.info.reply_tokens);
            CHECK_INT(weir_session_position(talk.session), held - 1);
            memcpy(before, weir_session_tokens(talk.session), (held - 1) * sizeof *before);
            if (kind == 0)
                keep_text(first[i], said);
            CHECK_TEXT(said, first[i]); /* with drafts as without */
        }
        CHECK((talk.info.rounds.drafts > 0) == (kinds[kind] != WEIR_DRAFT_NONE));
        talk_close(&talk);
    }
}

/* A reply that is cut behind the last byte of a character: with the token that the session does not
 * hold yet, its tokens are whole text. */
TEST(conversation_knows_the_last_token_of_a_reply)
{
    static const char clef[] = "root ::= \"\\U0001D11E\"";
    struct weir_grammar *grammar;
    struct weir_error err = {0};
    struct talk talk;
    CHECK_OK(weir_grammar_open_gbnf(&grammar, clef, strlen(clef), &err), &err);
    talk_init(&talk);
    talk.template_name = "chatml";
    talk.options.grammar = grammar;
    talk.options.reply_tokens_max = 4;
    talk_open(&talk);
    CHECK_TEXT(talk_ask(&talk, questions[0]), "\xf0\x9d\x84\x9e");
    CHECK_INT(talk.info.reply_tokens, 4); /* a byte each */
    const uint32_t held = talk.info.context_tokens;
    talk_ask(&talk, questions[1]);
    CHECK_INT(talk.info.reused_tokens, held - 1);
    talk_close(&talk);
    weir_grammar_close(grammar);
}

/* The model's own template leaves out what stood before the last reply: that is read anew from
 * there, and no more. */
TEST(conversation_reads_again_what_the_template_changed)
{
    struct talk talk;
    uint32_t reply = 0;
    talk_init(&talk);
    talk_open(&talk);
    for (int i = 0; i < QUESTIONS; i++) {
        talk_ask(&talk, questions[i]);
        CHECK_INT(talk.info.reused_tokens, reply);
        /* where it began: "<|im_start|>", "assistant", a newline and what thinking needs */
        reply = talk.info.prompt_tokens - 1;
        const int32_t begin =
            weir_tokenizer_find(talk.tokenizer, "<|im_start|>", strlen("<|im_start|>"));
        while (weir_session_tokens(talk.session)[reply] != begin)
            reply--;
    }
    talk_close(&talk);
}

/* Reasoning that a template repeats is not read again either, as it was sampled; one that drops it
 * begins again where the reply began. */
TEST(conversation_keeps_reasoning_where_the_template_does)
{
    static const struct {
        const char *name;
        bool is_kept;
    } templates[] = {{"vectors/chat/templates/qwen3.6.jinja", true},
                     {"vectors/chat/templates/qwen3.5.jinja", false}};
    for (size_t t = 0; t < sizeof templates / sizeof templates[0]; t++) {
        struct talk talk;
        uint32_t held = 1, before = 0;
        talk_init(&talk);
        talk.template_path = test_shared(templates[t].name);
        talk.options.reasoning = WEIR_ON;
        talk.options.reasoning_preserve = true;
        talk.options.reasoning_budget = 20;
        talk.options.reply_tokens_max = 80;
        talk_open(&talk);
        for (int i = 0; i < 3; i++) {
            talk_ask(&talk, questions[2 + i]);
            CHECK_INT(talk.info.end, WEIR_CHAT_STOP);
            CHECK(talk.reasoning.length > 0 && talk.said.length > 0);
            /* "<|im_start|>", "assistant", a newline, "<think>", a newline */
            CHECK_INT(talk.info.reused_tokens,
                      templates[t].is_kept || i == 0 ? held - 1 : before - 5);
            held = talk.info.context_tokens;
            before = talk.info.prompt_tokens;
        }
        talk_close(&talk);
    }
}

/* ---- back ------------------------------------------------------------------------------------ */

TEST(conversation_undo_and_the_same_question_is_the_same_reply)
{
    for (int kind = 0; kind < KINDS; kind++) {
        struct talk talk;
        char said[SAID_MAX];
        talk_init(&talk);
        choose_kind(&talk, kinds[kind]);
        talk_open(&talk);
        for (int i = 0; i < QUESTIONS; i++) {
            keep_text(said, talk_ask(&talk, questions[i]));
            const uint32_t evaluated = talk_evaluated(&talk);
            struct bytes messages = talk_messages(&talk);
            CHECK(weir_chat_undo(talk.chat, "user"));
            CHECK_TEXT(talk_ask(&talk, questions[i]), said);
            CHECK(talk_evaluated(&talk) <= evaluated);
            struct bytes again = talk_messages(&talk);
            CHECK_TEXT(again.data, messages.data);
            bytes_release(&again);
            bytes_release(&messages);
        }
        talk_close(&talk);
    }
}

/* Another question costs its own tokens and what begins the reply. */
TEST(conversation_undo_reads_the_new_question_alone)
{
    struct talk talk;
    talk_init(&talk);
    talk.options.system = "You are a friendly helper who lives in a small village by the weir, and "
                          "who knows all that there is to know about it.";
    talk_open(&talk);
    for (int i = 0; i < 3; i++)
        talk_ask(&talk, questions[i]);
    CHECK(weir_chat_undo(talk.chat, "user"));
    talk_ask(&talk, "Hi");
    CHECK(talk_evaluated(&talk) <= 16 + 16);
    for (int i = 0; i < 3; i++)
        CHECK(weir_chat_undo(talk.chat, "user"));
    CHECK(!weir_chat_undo(talk.chat, "user"));
    talk_ask(&talk, "Hi");
    CHECK(talk.info.reused_tokens > 20); /* the system message */
    CHECK(talk_evaluated(&talk) <= 16);
    talk_close(&talk);
}

/* Other settings that are refused cost nothing of what is known. */
TEST(conversation_refused_settings_keep_checkpoints)
{
    struct talk talk;
    struct weir_error err = {0};
    char said[SAID_MAX];
    talk_init(&talk);
    talk_open(&talk);
    talk_ask(&talk, questions[0]);
    keep_text(said, talk_ask(&talk, questions[1]));
    struct bytes messages = talk_messages(&talk);
    struct weir_chat_options options = talk.options;
    options.checkpoints_max = 0;
    options.system = "\xff";
    CHECK_INT(weir_chat_set(talk.chat, &options, &err), WEIR_ERR_ARGUMENT);
    struct bytes again = talk_messages(&talk);
    CHECK_TEXT(again.data, messages.data);
    CHECK(weir_chat_undo(talk.chat, "assistant"));
    CHECK_TEXT(talk_reply(&talk), said);
    CHECK(talk_evaluated(&talk) <= 16);
    bytes_release(&again);
    bytes_release(&messages);
    talk_close(&talk);
}

TEST(conversation_another_try_costs_the_beginning_of_a_reply)
{
    static char tries[2][4][SAID_MAX];
    for (int run = 0; run < 2; run++) {
        struct talk talk;
        bool differs = false;
        talk_init(&talk);
        talk.options.sampler.temperature = 2;
        talk.options.sampler.seed = 7;
        talk_open(&talk);
        talk_ask(&talk, questions[0]);
        CHECK_INT(talk.info.seed, 7);
        keep_text(tries[run][0], talk_ask(&talk, questions[1]));
        for (int i = 1; i < 4; i++) {
            CHECK(weir_chat_undo(talk.chat, "assistant"));
            keep_text(tries[run][i], talk_reply(&talk));
            CHECK(talk_evaluated(&talk) <= 16);
            differs |= strcmp(tries[run][i], tries[run][0]) != 0;
        }
        CHECK(differs);
        talk_close(&talk);
    }
    /* all of it can be repeated */
    CHECK(memcmp(tries[0], tries[1], sizeof tries[0]) == 0);
}

/* Of a long conversation there is something left to go back to everywhere, with few checkpoints:
 * what is read again grows with the way back, not with the conversation. */
TEST(conversation_checkpoints_get_rarer_with_the_distance)
{
    enum { TURNS = 24 };
    struct talk talk;
    uint32_t ends[TURNS];
    talk_init(&talk);
    talk.options.checkpoints_max = 6;
    talk.options.reply_tokens_max = 12;
    talk_open(&talk);
    for (int i = 0; i < TURNS; i++) {
        talk_ask(&talk, questions[i % QUESTIONS]);
        ends[i] = talk.info.context_tokens;
    }
    const uint32_t all = ends[TURNS - 1];
    for (int back = 1; back < TURNS / 2; back *= 2) {
        for (int i = 0; i < back; i++)
            CHECK(weir_chat_undo(talk.chat, "user"));
        talk_ask(&talk, "Hi");
        const uint32_t end = talk.info.prompt_tokens;
        CHECK(talk_evaluated(&talk) <= all - end + 64);
        for (int i = 0; i < back - 1; i++)
            talk_ask(&talk, questions[i % QUESTIONS]);
    }
    talk_close(&talk);
}

/* ---- kept ------------------------------------------------------------------------------------ */

/* Also with a template that changes what was said: the state is kept where that begins. */
TEST(conversation_goes_on_from_files)
{
    for (int kind = 0; kind < 2 * KINDS; kind++) {
        struct talk talk;
        struct weir_error err = {0};
        struct weir_session *session;
        struct weir_chat *chat, *old;
        char said[SAID_MAX];
        const char *path = test_scratch("conversation.state");
        talk_init(&talk);
        talk.template_name = kind < KINDS ? "chatml" : NULL;
        talk.options.system = "You are a friendly helper.";
        choose_kind(&talk, kinds[kind % KINDS]);
        talk_open(&talk);
        talk_ask(&talk, questions[0]);
        talk_ask(&talk, questions[1]);
        struct bytes messages = talk_messages(&talk);
        CHECK_OK(weir_chat_settle(talk.chat, &err), &err);
        CHECK(weir_session_position(talk.session) > 16);
        CHECK_OK(weir_session_save(talk.session, path, &err), &err);
        keep_text(said, talk_ask(&talk, questions[2]));
        const struct weir_chat_info info = talk.info;

        CHECK_OK(weir_session_open(&session, talk.engine, &err), &err);
        CHECK_OK(weir_session_load(session, path, &err), &err);
        talk.options.system = NULL;
        CHECK_OK(
            weir_chat_open(&chat, session, talk.tokenizer, talk.chat_template, &talk.options, &err),
            &err);
        CHECK_OK(weir_chat_load(chat, messages.data, messages.length, &err), &err);
        old = talk.chat;
        talk.chat = chat;
        CHECK_TEXT(talk_ask(&talk, questions[2]), said);
        CHECK_INT(talk.info.prompt_tokens, info.prompt_tokens);
        CHECK_INT(talk.info.reused_tokens, info.reused_tokens);
        talk.chat = old;
        weir_chat_close(chat);
        weir_session_close(session);
        bytes_release(&messages);
        talk_close(&talk);
    }
}

TEST(conversation_messages_come_back_as_they_were)
{
    static const char messages[] =
        "[{\"role\": \"system\", \"content\": \"Be kind.\"}, {\"role\": \"user\",\"content\":\"a "
        "\\u00e4\\n\","
        " \"name\": \"Ida\"},  {\"content\": \"x\", \"role\": \"assistant\", \"tool_calls\": []} ]";
    static const char expected[] =
        "[{\"role\": \"system\", \"content\": \"Be kind.\"}, {\"role\": \"user\",\"content\":\"a "
        "\\u00e4\\n\","
        " \"name\": \"Ida\"}, {\"content\": \"x\", \"role\": \"assistant\", \"tool_calls\": []}]";
    struct talk talk;
    struct weir_error err = {0};
    talk_init(&talk);
    talk_open(&talk);
    CHECK_OK(weir_chat_load(talk.chat, messages, strlen(messages), &err), &err);
    struct bytes again = talk_messages(&talk);
    CHECK_TEXT(again.data, expected);
    bytes_release(&again);
    CHECK(weir_chat_undo(talk.chat, "assistant"));
    talk.options.system = "Be \"brief\".";
    talk_set(&talk);
    talk_reply(&talk);
    weir_chat_clear(talk.chat);
    again = talk_messages(&talk);
    CHECK_TEXT(again.data, "[{\"role\": \"system\", \"content\": \"Be \\\"brief\\\".\"}]");
    bytes_release(&again);
    talk_close(&talk);
}
