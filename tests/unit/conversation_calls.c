/* SPDX-License-Identifier: MIT
 * Conversations whose calls are held to the tools. Run alone:
 * build/tests/weir-test conversation_calls_ */
#include "talk.h"

#include <string.h>

#include "json/json.h"

/* Values that end by themselves, so that a reply does whatever the model wants. */
static const char knobs[] =
    "[{\"name\": \"turn\", \"parameters\": {\"type\": \"object\", \"properties\": {\"knob\": "
    "{\"enum\": [\"left\", \"right\"]}, \"by\": {\"type\": \"integer\", \"minimum\": -9, "
    "\"maximum\": 9}, \"label\": {\"type\": \"string\", \"maxLength\": 5}}, \"required\": "
    "[\"knob\", \"by\"]}}, {\"name\": \"stop\"}]";

static bool is_complete_turn(const struct json *arguments)
{
    const struct json *knob = json_get(arguments, "knob"), *by = json_get(arguments, "by");
    return (json_is(knob, "left") || json_is(knob, "right")) && by != NULL &&
           by->kind == JSON_NUMBER && by->text.length <= 2;
}

/* All calls of the last message. */
static void check_calls(const struct talk *talk, const char *only)
{
    struct json_document *document;
    struct weir_error err = {0};
    struct bytes messages = talk_messages(talk);
    CHECK_OK(json_open(&document, messages.data, messages.length, "messages", &err), &err);
    const struct json *list = json_root(document);
    const struct json *calls = json_get(&list->items[list->count - 1], "tool_calls");
    CHECK(calls != NULL && calls->count > 0);
    CHECK_INT(calls->count, talk->calls);
    for (uint32_t i = 0; i < calls->count; i++) {
        const struct json *function = json_get(&calls->items[i], "function");
        const struct json *name = json_get(function, "name");
        const struct json *arguments = json_get(function, "arguments");
        const bool is_turn = json_is(name, "turn") && is_complete_turn(arguments);
        const bool is_stop = json_is(name, "stop") && arguments->count == 0;
        if (!(is_turn || is_stop) || (only != NULL && !json_is(name, only)))
            test_fail(__FILE__, __LINE__, "%s", messages.data);
    }
    json_close(document);
    bytes_release(&messages);
}

/* Draws from all tokens, nearly without regard to the model. */
static void init_wild(struct talk *talk, uint64_t seed, float temperature)
{
    talk_init(talk);
    talk->options.tools = knobs;
    talk->options.calls.required = true;
    talk->options.reply_tokens_max = 900;
    talk->options.sampler.temperature = temperature;
    talk->options.sampler.top_k = 0;
    talk->options.sampler.top_p = 1;
    talk->options.sampler.min_p = 0;
    talk->options.sampler.seed = seed;
}

TEST(conversation_calls_are_complete_whatever_the_draws)
{
    static const enum weir_draft_kind kinds[] = {WEIR_DRAFT_NONE, WEIR_DRAFT_MTP};
    static const float temperatures[] = {0, 1, 100};
    for (uint64_t i = 0; i < 12; i++) {
        struct talk talk;
        init_wild(&talk, 100 * test_seed() + i, temperatures[i % 3]);
        talk.options.speculator.kind = kinds[i / 3 % 2];
        talk.options.calls.single = i >= 6;
        talk.options.calls.only = i % 4 == 3 ? "turn" : NULL;
        talk_open(&talk);
        talk_ask(&talk, "Turn the knob.");
        CHECK_INT(talk.said.length, 0);
        CHECK_INT(talk.info.end, WEIR_CHAT_CALLS);
        CHECK(!talk.options.calls.single || talk.calls == 1);
        check_calls(&talk, talk.options.calls.only);
        talk_close(&talk);
    }
}

/* Nothing but calls is written, wherever a limit cuts them: half of a mark is no content. */
TEST(conversation_calls_that_are_cut_show_no_marks)
{
    struct talk talk;
    init_wild(&talk, 1, 1);
    talk_open(&talk);
    talk_ask(&talk, "Turn the knob.");
    const uint32_t all = talk.info.reply_tokens;
    for (uint32_t most = 1; most < all; most++) {
        talk.options.reply_tokens_max = most;
        talk_set(&talk);
        CHECK(weir_chat_undo(talk.chat, "assistant"));
        CHECK_TEXT(talk_reply(&talk), "");
        CHECK_INT(talk.info.end, WEIR_CHAT_LENGTH);
    }
    talk_close(&talk);
}

/* With drafts as without. */
TEST(conversation_calls_do_not_depend_on_drafts)
{
    struct bytes said[2];
    for (int drafts = 0; drafts < 2; drafts++) {
        struct talk talk;
        init_wild(&talk, 3, 1);
        talk.options.speculator.kind = drafts == 1 ? WEIR_DRAFT_MTP : WEIR_DRAFT_NONE;
        talk.options.speculator.fixed = true;
        talk_open(&talk);
        talk_ask(&talk, "Turn the knob.");
        said[drafts] = talk_messages(&talk);
        CHECK((talk.info.rounds.drafts > 0) == (drafts == 1));
        talk_close(&talk);
    }
    CHECK_TEXT(said[0].data, said[1].data);
    bytes_release(&said[0]);
    bytes_release(&said[1]);
}

TEST(conversation_calls_come_behind_reasoning)
{
    struct talk talk;
    init_wild(&talk, 1, 2);
    talk.options.reasoning = WEIR_ON;
    talk.options.reasoning_budget = 8;
    talk_open(&talk);
    talk_ask(&talk, "Turn the knob.");
    CHECK(talk.reasoning.length > 0);
    check_calls(&talk, NULL);
    talk_close(&talk);
}

/* Where nobody asks for a call, wild draws are content: a mark of a call is one token among all. */
TEST(conversation_calls_are_not_made_up)
{
    struct talk talk;
    init_wild(&talk, 1, 100);
    talk.options.calls.required = false;
    talk.options.reply_tokens_max = 30;
    talk_open(&talk);
    talk_ask(&talk, "Turn the knob.");
    CHECK(talk.said.length > 0);
    talk_close(&talk);
}

static enum weir_status try_open(struct talk *talk, struct weir_error *err)
{
    struct weir_chat *chat;
    const enum weir_status status = weir_chat_open(&chat, talk->session, talk->tokenizer,
                                                   talk->chat_template, &talk->options, err);
    weir_chat_close(chat);
    return status;
}

/* Tools of which no grammar can be made are free, unless a call is asked for. */
TEST(conversation_calls_that_cannot_be_held)
{
    static const char twice[] = "[{\"name\": \"stop\"}, {\"name\": \"stop\"}]";
    struct talk talk;
    struct weir_error err = {0};
    talk_init(&talk);
    talk_open(&talk);
    talk.options.tools = twice;
    CHECK_OK(try_open(&talk, &err), &err);
    talk.options.calls.required = true;
    CHECK_INT(try_open(&talk, &err), WEIR_ERR_ARGUMENT);
    CHECK_TEXT(err.text, "tools: two of them are called stop");
    talk.options.calls_free = true;
    err = (struct weir_error){0};
    CHECK_OK(try_open(&talk, &err), &err);
    talk.options.calls_free = false;
    talk.options.tools = knobs;
    talk.options.calls.only = "start";
    CHECK_INT(try_open(&talk, &err), WEIR_ERR_ARGUMENT);
    CHECK_TEXT(err.text, "tools: there is no start");
    talk.options.tools = " [ ] ";
    err = (struct weir_error){0};
    CHECK_INT(try_open(&talk, &err), WEIR_ERR_ARGUMENT);
    CHECK_TEXT(err.text, "a call is asked for, but there is no tool");
    talk_close(&talk);
}
