/* SPDX-License-Identifier: MIT
 * What a server keeps of a text that it leaves: in the file of a slot, in the cache when another
 * text takes the slot, in a folder at the end. Run alone: build/tests/weir-test serve_kept */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rng.h"
#include "serve/crew.h"

/* ---- conversations that are drawn ------------------------------------------------------------ */

enum { TALK_MAX = CREW_CONTEXT - 32, ASKED = 24, SAID_MAX = 6 };

/* A prompt that ends where a reply begins, and what was said to it. */
struct talk {
    int32_t ids[TALK_MAX + CREW_SAID_MAX];
    uint32_t count;    /* of the prompt */
    uint32_t said;     /* tokens behind it */
    uint32_t question; /* where the last one begins */
};

struct dice {
    uint64_t stream, drawn;
};

static uint32_t roll(struct dice *dice, uint32_t sides)
{
    return (uint32_t)(rng_bits(test_seed(), dice->stream, dice->drawn++) % sides);
}

static void add_message(struct talk *talk, struct dice *dice, int32_t begin, uint32_t length)
{
    talk->ids[talk->count++] = begin;
    for (uint32_t i = 0; i < length; i++)
        talk->ids[talk->count++] = 300 + (int32_t)roll(dice, 500);
}

static void add_question(struct talk *talk, struct dice *dice, int32_t begin)
{
    talk->question = talk->count;
    add_message(talk, dice, begin, 3 + roll(dice, 30));
    add_message(talk, dice, begin, 3);
    talk->said = 0;
}

/* All have the same first message. */
static void begin_talk(struct talk *talk, struct dice *dice, int32_t begin)
{
    struct dice same = {.stream = 900};
    talk->count = 0;
    add_message(talk, &same, begin, 25);
    add_question(talk, dice, begin);
}

/* The prompt again, the next turn with what was said or without, another last question, another
 * conversation. */
static void go_on(struct talk *talk, struct dice *dice, int32_t begin)
{
    const uint32_t way = roll(dice, 6);
    if (way == 5 || talk->count == 0 || talk->count + talk->said + 100 > TALK_MAX) {
        begin_talk(talk, dice, begin);
    } else if (way == 4) {
        talk->count = talk->question;
        add_question(talk, dice, begin);
    } else if (way > 0) {
        talk->count += way == 1 ? 0 : talk->said;
        if (way == 1)
            add_message(talk, dice, begin, 5);
        add_question(talk, dice, begin);
    }
}

static struct heard ask(struct crew *crew, struct talk *talk, uint32_t tokens_max)
{
    struct job_options options;
    crew_job(&options, talk->ids, talk->count, tokens_max);
    return crew_run(crew, &options);
}

static void note_said(struct talk *talk, const struct heard *heard)
{
    talk->said = heard->count;
    memcpy(talk->ids + talk->count, heard->ids, heard->count * sizeof *heard->ids);
}

/* ---- files of slots -------------------------------------------------------------------------- */

static struct slot_outcome act(struct crew *crew, uint32_t slot, enum slot_action action,
                               const char *path)
{
    const struct slot_wish wish = {.slot = slot, .action = action, .path = path};
    struct slot_outcome outcome;
    struct weir_error err = {0};
    CHECK_OK(scheduler_slot_action(crew->scheduler, &wish, &outcome, &err), &err);
    return outcome;
}

static void open_with(struct crew *crew, uint64_t cache_bytes, const char *folder)
{
    crew_init(crew);
    crew->options.slots = 1;
    crew->options.cache_bytes_max = cache_bytes;
    crew->options.cache_dir = folder;
    crew->options.cache_dir_bytes_max = folder == NULL ? 0 : 64 << 20;
    crew_open(crew);
}

/* One slot and no cache. */
static void open_drafting(struct crew *crew, enum weir_draft_kind kind)
{
    crew_init(crew);
    crew->options.slots = 1;
    crew->options.cache_bytes_max = 0;
    crew->options.speculator.kind = kind;
    crew_open(crew);
}

/* Saved, left, restored: in the same server, emptied or with another text, or in the next one. */
static void leave_and_come_back(struct crew *crew, struct dice *dice, const char *path)
{
    struct dice other_dice = {.stream = 901};
    struct talk other = {.count = 0};
    const struct slot_outcome saved = act(crew, 0, SLOT_SAVE, path);
    const uint32_t way = roll(dice, 3);
    if (way == 0) {
        act(crew, 0, SLOT_ERASE, NULL);
    } else if (way == 1) {
        begin_talk(&other, &other_dice, crew->message_begin);
        struct heard heard = ask(crew, &other, 3);
        heard_release(&heard);
    } else {
        const enum weir_draft_kind kind = crew->options.speculator.kind;
        crew_close(crew);
        open_drafting(crew, kind);
    }
    const struct slot_outcome restored = act(crew, 0, SLOT_RESTORE, path);
    CHECK_INT(restored.tokens, saved.tokens);
    CHECK_INT(restored.bytes, saved.bytes);
}

/* A server whose slot is saved, left and restored now and then, beside one that stays: both say
 * the same, and have the same tokens held. */
TEST(serve_kept_in_a_file_is_as_never_left)
{
    char path[4096];                  /* many others are asked for meanwhile */
    static struct crew stays, leaves; /* large */
    snprintf(path, sizeof path, "%s", test_scratch("kept.slot"));
    for (uint64_t round = 0; round < 3; round++) {
        struct dice dice = {.stream = 10 + round};
        struct talk talk = {.count = 0};
        open_drafting(&stays, round < 2 ? WEIR_DRAFT_NONE : WEIR_DRAFT_MTP);
        open_drafting(&leaves, round < 2 ? WEIR_DRAFT_NONE : WEIR_DRAFT_MTP);
        for (int i = 0; i < ASKED; i++) {
            go_on(&talk, &dice, stays.message_begin);
            const uint32_t tokens_max = 1 + roll(&dice, SAID_MAX);
            struct heard a = ask(&stays, &talk, tokens_max), b = ask(&leaves, &talk, tokens_max);
            crew_check(&b, &a, "a slot that was restored");
            CHECK_INT(b.timings.cached_tokens, a.timings.cached_tokens);
            note_said(&talk, &a);
            heard_release(&a);
            heard_release(&b);
            if (roll(&dice, 2) == 0)
                leave_and_come_back(&leaves, &dice, path);
        }
        crew_close(&leaves);
        crew_close(&stays);
    }
}

/* A file that is none is one error, and the slot is gone on from as if nobody had asked. */
TEST(serve_kept_slot_outlives_a_damaged_file)
{
    const char *path = test_scratch("kept.damaged");
    struct slot_wish wish = {.slot = 0, .action = SLOT_RESTORE, .path = path};
    static struct crew crew;
    struct dice dice = {.stream = 20};
    struct talk talk = {.count = 0};
    struct slot_outcome outcome;
    size_t size;
    open_with(&crew, 0, NULL);
    begin_talk(&talk, &dice, crew.message_begin);
    struct heard heard = ask(&crew, &talk, SAID_MAX);
    note_said(&talk, &heard);
    heard_release(&heard);
    act(&crew, 0, SLOT_SAVE, path);
    uint8_t *bytes = test_read_file(path, &size);
    for (int i = 0; i < 8; i++) {
        struct weir_error err = {0};
        FILE *stream = fopen(path, "wb");
        CHECK(stream != NULL);
        const size_t at = rng_bits(test_seed(), 21, (uint64_t)i) % size;
        bytes[at] ^= 1;
        CHECK_INT(fwrite(bytes, 1, size, stream), size);
        CHECK_INT(fclose(stream), 0);
        bytes[at] ^= 1;
        CHECK(scheduler_slot_action(crew.scheduler, &wish, &outcome, &err) != WEIR_OK);
        CHECK(err.text[0] != 0);
    }
    free(bytes);
    const uint32_t held = talk.count + talk.said - 1;
    talk.count += talk.said;
    add_question(&talk, &dice, crew.message_begin);
    heard = ask(&crew, &talk, 2);
    CHECK_INT(heard.timings.cached_tokens, held);
    heard_release(&heard);
    crew_close(&crew);
}

/* ---- what a slot is left with ---------------------------------------------------------------- */

/* Asks and has a long reply: one letter, since a model may have nothing to say. */
static void have_said(struct crew *crew, struct talk *talk, uint64_t salt)
{
    const struct weir_logit_bias bias = {weir_tokenizer_find(crew->tokenizer, "l", 1), 100};
    struct job_options options;
    crew_job(&options, talk->ids, talk->count, 40);
    options.sampler.biases = &bias;
    options.sampler.biases_count = 1;
    options.salt = salt;
    struct heard heard = crew_run(crew, &options);
    CHECK_INT(heard.count, 40);
    note_said(talk, &heard);
    heard_release(&heard);
}

/* Asks the next question; returns the tokens that were held. */
static uint32_t ask_next(struct crew *crew, const struct talk *talk, uint64_t salt)
{
    struct dice dice = {.stream = 33};
    struct job_options options;
    struct talk next = *talk;
    next.count += next.said;
    add_question(&next, &dice, crew->message_begin);
    crew_job(&options, next.ids, next.count, 1);
    options.salt = salt;
    struct heard heard = crew_run(crew, &options);
    const uint32_t cached = heard.timings.cached_tokens;
    heard_release(&heard);
    return cached;
}

/* The next server with the same folder goes on from the end of the reply, for who has the salt. */
TEST(serve_kept_in_a_folder_when_the_server_ends)
{
    const char *folder = test_scratch("kept.folder");
    static struct crew crew;
    struct dice dice = {.stream = 30};
    struct talk talks[2] = {{.count = 0}};
    for (uint64_t salt = 0; salt < 2; salt++) {
        open_with(&crew, 0, folder);
        begin_talk(&talks[salt], &dice, crew.message_begin);
        have_said(&crew, &talks[salt], salt);
        crew_close(&crew);
    }
    for (uint64_t salt = 0; salt < 2; salt++) {
        const uint32_t held = talks[salt].count + talks[salt].said - 1;
        open_with(&crew, 0, folder);
        CHECK(ask_next(&crew, &talks[salt], 1 - salt) < held);
        CHECK_INT(ask_next(&crew, &talks[salt], salt), held);
        crew_close(&crew);
    }
}

/* Another conversation with the same beginning takes the slot, and gives it back. */
TEST(serve_kept_when_another_conversation_takes_the_slot)
{
    static struct crew crew;
    struct dice dice = {.stream = 40};
    struct talk talk = {.count = 0}, other = {.count = 0};
    open_with(&crew, 64 << 20, NULL);
    begin_talk(&talk, &dice, crew.message_begin);
    begin_talk(&other, &dice, crew.message_begin);
    have_said(&crew, &talk, 0);
    have_said(&crew, &other, 0);
    CHECK_INT(ask_next(&crew, &talk, 0), talk.count + talk.said - 1);
    CHECK_INT(ask_next(&crew, &other, 0), other.count + other.said - 1);
    crew_close(&crew);
}

/* A folder that was removed under a server: a line, once, and the texts are what they were. */
TEST(serve_kept_nowhere_when_the_folder_is_gone)
{
    static const char warning[] = "the prefix cache takes nothing";
    const char *folder = test_scratch("kept.gone");
    static struct crew crew;
    struct job_options options;
    struct dice dice = {.stream = 50};
    struct talk talk = {.count = 0};
    open_with(&crew, 0, folder);
    CHECK_INT(rmdir(folder), 0);
    for (int i = 0; i < 3; i++) {
        begin_talk(&talk, &dice, crew.message_begin);
        crew_job(&options, talk.ids, talk.count, 4);
        struct heard heard = crew_run(&crew, &options), expected = crew_expect(&crew, &options);
        crew_check(&heard, &expected, "without a folder");
        CHECK_INT(heard.timings.cached_tokens, i == 0 ? 0 : 27); /* what all begin with */
        heard_release(&heard);
        heard_release(&expected);
    }
    const char *first = strstr(crew.log, warning);
    CHECK(first != NULL && strstr(first + 1, warning) == NULL);
    crew_close(&crew);
}

/* ---- texts without messages ------------------------------------------------------------------ */

/* A prompt without messages has a state at the last multiple of 64 tokens that lies before its last
 * token; what goes on from a reply to it goes on from its end. */
TEST(serve_kept_of_a_plain_prompt)
{
    static const uint32_t counts[] = {5, 64, 65, 150};
    static struct crew crew;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct dice dice = {.stream = 60};
        struct talk talk = {.count = 0};
        open_with(&crew, 0, NULL);
        add_message(&talk, &dice, 300, counts[i] - 1);
        for (uint32_t again = 0; again < 2; again++) {
            struct heard heard = ask(&crew, &talk, SAID_MAX);
            CHECK_INT(heard.timings.cached_tokens, again * ((counts[i] - 1) / 64 * 64));
            note_said(&talk, &heard);
            heard_release(&heard);
        }
        const uint32_t held = talk.count + talk.said - 1;
        talk.count += talk.said;
        add_message(&talk, &dice, 300, 9);
        struct heard heard = ask(&crew, &talk, 1);
        CHECK_INT(heard.timings.cached_tokens, held);
        heard_release(&heard);
        crew_close(&crew);
    }
}
