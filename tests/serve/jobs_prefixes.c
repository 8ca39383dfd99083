/* SPDX-License-Identifier: MIT
 * What of a prompt is not read again: conversations, edits, copies, slots in files. Run alone:
 * build/tests/weir-test serve_prefix */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "base/clock.h"
#include "base/mem.h"
#include "serve/crew.h"
#include "serve/known_texts.h"

#define SYSTEM                                                                                     \
    "<|im_start|>system\nYou answer in one short sentence, and you never say more than you know. " \
    "Somebody who asks for the weather is told to look out of the window.<|im_end|>\n"
#define USER(text) "<|im_start|>user\n" text "<|im_end|>\n"
#define SAID(text) "<|im_start|>assistant\n" text "<|im_end|>\n"
#define REPLY      "<|im_start|>assistant\n<think>\n"
enum { REPLY_TOKENS = 4 }; /* behind the first of REPLY: where a prompt is cut */

/* Where the n-th message from the end begins: behind its first token. */
static uint32_t begin_of(const struct crew *crew, const char *text, uint32_t from_end)
{
    uint32_t count;
    int32_t *ids = crew_tokens(crew, text, &count);
    for (; count > 0 && from_end > 0; count--)
        from_end -= ids[count - 1] == crew->message_begin;
    free(ids);
    return count + 1;
}

/* Says a few tokens to the text, which must be those of a session of its own. */
static struct heard ask_with(struct crew *crew, const char *text, struct job_options options)
{
    uint32_t count;
    int32_t *ids = crew_tokens(crew, text, &count);
    options.ids = ids;
    options.count = count;
    struct heard heard = crew_run(crew, &options), expected = crew_expect(crew, &options);
    crew_check(&heard, &expected, text);
    CHECK_INT(heard.timings.prompt_tokens, count);
    heard_release(&heard);
    heard_release(&expected);
    free(ids);
    return heard;
}

/* Returns the tokens that were not read. */
static uint32_t ask(struct crew *crew, const char *text)
{
    struct job_options options;
    crew_job(&options, NULL, 0, 5);
    return ask_with(crew, text, options).timings.cached_tokens;
}

static void open_with(struct crew *crew, uint32_t slots, uint64_t cache_bytes)
{
    crew_init(crew);
    crew->options.slots = slots;
    crew->options.cache_bytes_max = cache_bytes;
    crew_open(crew);
}

/* The table of other servers' figures, with as few tokens read. */
static void check_conversation(uint32_t slots, uint64_t cache_bytes)
{
    static const char first[] = SYSTEM USER("Who are you?") REPLY;
    static const char second[] = SYSTEM USER("Who are you?") SAID("A model.") USER("Why?") REPLY;
    static const char third[] = SYSTEM USER("Who are you?") SAID("A model.") USER("Why?")
        SAID("Somebody made me.") USER("When was that?") REPLY;
    static const char edited[] = SYSTEM USER("Who are you?") SAID("A model.") USER("Why?")
        SAID("Somebody made me.") USER("Where was that?") REPLY;
    struct crew crew;
    open_with(&crew, slots, cache_bytes);
    CHECK_INT(ask(&crew, first), 0);
    CHECK_INT(ask(&crew, first), begin_of(&crew, first, 1));
    CHECK_INT(ask(&crew, second), begin_of(&crew, first, 1));
    CHECK_INT(ask(&crew, third), begin_of(&crew, second, 1));
    CHECK_INT(ask(&crew, edited), begin_of(&crew, edited, 2));
    CHECK_INT(ask(&crew, edited), begin_of(&crew, edited, 1));
    crew_close(&crew);
}

TEST(serve_prefix_conversation)
{
    check_conversation(1, 64 << 20);
    check_conversation(3, 64 << 20);
}

TEST(serve_prefix_checkpoints_alone)
{
    check_conversation(1, 0);
}

TEST(serve_prefix_two_conversations_on_one_slot)
{
    static const char a[] = SYSTEM USER("What is a tree?") REPLY;
    static const char b[] = SYSTEM USER("What is a river, and where does it go?") REPLY;
    static const char a2[] =
        SYSTEM USER("What is a tree?") SAID("A plant.") USER("How tall is it?") REPLY;
    static const char b2[] = SYSTEM USER("What is a river, and where does it go?")
        SAID("Water that goes to the sea.") USER("How long is it?") REPLY;
    struct crew crew;
    open_with(&crew, 1, 64 << 20);
    CHECK_INT(ask(&crew, a), 0);
    CHECK_INT(ask(&crew, b), begin_of(&crew, a, 2)); /* what stands before both questions */
    CHECK_INT(ask(&crew, a2), begin_of(&crew, a, 1));
    CHECK_INT(ask(&crew, b2), begin_of(&crew, b, 1));
    CHECK_INT(ask(&crew, a2), begin_of(&crew, a2, 1));
    CHECK_INT(ask(&crew, b2), begin_of(&crew, b2, 1));
    crew_close(&crew);
}

TEST(serve_prefix_is_read_once_for_copies)
{
    static const char text[] = SYSTEM USER("What is a tree?") REPLY;
    struct crew crew;
    struct job_options options;
    uint32_t count;
    open_with(&crew, 3, 64 << 20);
    int32_t *ids = crew_tokens(&crew, text, &count);
    struct job *jobs[3];
    crew_job(&options, ids, count, 5);
    for (int i = 0; i < 3; i++)
        jobs[i] = crew_start(&crew, &options);
    uint32_t cached = 0;
    for (int i = 0; i < 3; i++) {
        struct heard heard = crew_finish(jobs[i]);
        CHECK(heard.timings.cached_tokens == 0 ||
              heard.timings.cached_tokens == count - REPLY_TOKENS);
        cached += heard.timings.cached_tokens;
        heard_release(&heard);
    }
    CHECK_INT(cached, 2 * (count - REPLY_TOKENS));
    free(ids);
    crew_close(&crew);
}

TEST(serve_prefix_of_a_prompt_that_is_only_read)
{
    static const char text[] = SYSTEM USER("What is a tree?") REPLY;
    struct crew crew;
    struct job_options options;
    open_with(&crew, 1, 0);
    crew_job(&options, NULL, 0, 0);
    ask_with(&crew, text, options);
    CHECK_INT(ask(&crew, text), begin_of(&crew, text, 1));
    crew_close(&crew);
}

/* A text of so many tokens, without messages. */
static int32_t *plain_ids(uint32_t count)
{
    int32_t *ids = malloc(count * sizeof *ids);
    CHECK(ids != NULL);
    for (uint32_t i = 0; i < count; i++)
        ids[i] = 300 + (int32_t)(i * 7 % 500);
    return ids;
}

TEST(serve_prefix_of_a_cancelled_prompt)
{
    enum { LONG = 600 };
    struct crew crew;
    struct job_options options;
    struct heard heard = {.count = 0};
    crew_init(&crew);
    crew.options.slots = 1;
    crew.options.engine.step_rows_max = 128;
    crew_open(&crew);
    int32_t *ids = plain_ids(LONG);
    crew_job(&options, ids, LONG, 3);
    options.wants_progress = true;
    struct job *job = crew_start(&crew, &options);
    while (heard.progress == 0)
        CHECK(heard_take(&heard, job, UINT64_MAX / 2));
    job_close(job);
    heard_release(&heard);
    heard = crew_run(&crew, &options);
    CHECK(heard.timings.cached_tokens >= 128 && heard.timings.cached_tokens % 64 == 0);
    struct heard expected = crew_expect(&crew, &options);
    crew_check(&heard, &expected, "behind a cancelled prompt");
    heard_release(&heard);
    heard_release(&expected);
    free(ids);
    crew_close(&crew);
}

TEST(serve_prefix_is_of_one_salt)
{
    static const char text[] = SYSTEM USER("What is a tree?") REPLY;
    struct crew crew;
    struct job_options options;
    for (uint32_t slots = 1; slots <= 2; slots++) {
        open_with(&crew, slots, 64 << 20);
        crew_job(&options, NULL, 0, 5);
        for (options.salt = 0; options.salt < 3; options.salt++)
            CHECK_INT(ask_with(&crew, text, options).timings.cached_tokens, 0);
        for (options.salt = 0; options.salt < 3; options.salt++)
            CHECK_INT(ask_with(&crew, text, options).timings.cached_tokens,
                      begin_of(&crew, text, 1));
        options.no_cache = true;
        CHECK_INT(ask_with(&crew, text, options).timings.cached_tokens, 0);
        crew_close(&crew);
    }
}

static struct slot_outcome act_on(struct crew *crew, uint32_t slot, enum slot_action action,
                                  const char *path, enum weir_status expected)
{
    const struct slot_wish wish = {.slot = slot, .action = action, .path = path};
    struct slot_outcome outcome;
    struct weir_error err = {0};
    const enum weir_status status = scheduler_slot_action(crew->scheduler, &wish, &outcome, &err);
    if (status != expected)
        test_fail(__FILE__, __LINE__, "slot %u: status %d: %s", slot, status, err.text);
    return outcome;
}

TEST(serve_prefix_in_a_file_of_a_slot)
{
    static const char text[] = SYSTEM USER("What is a tree?") REPLY;
    const char *path = test_scratch("slot.bin");
    struct crew crew;
    open_with(&crew, 1, 0);
    ask(&crew, text);
    const struct slot_outcome saved = act_on(&crew, 0, SLOT_SAVE, path, WEIR_OK);
    const uint32_t begin = begin_of(&crew, text, 1);
    CHECK(saved.tokens > begin); /* to its end, and where the reply began is in it too */
    act_on(&crew, 0, SLOT_ERASE, NULL, WEIR_OK);
    CHECK_INT(ask(&crew, text), 0);
    crew_close(&crew);
    open_with(&crew, 2, 0);
    const struct slot_outcome restored = act_on(&crew, 1, SLOT_RESTORE, path, WEIR_OK);
    CHECK_INT(restored.tokens, saved.tokens);
    CHECK_INT(restored.bytes, saved.bytes);
    CHECK_INT(ask(&crew, text), begin);
    act_on(&crew, 2, SLOT_ERASE, NULL, WEIR_ERR_ARGUMENT);
    act_on(&crew, 0, SLOT_RESTORE, test_scratch("none.bin"), WEIR_ERR_IO);
    CHECK_INT(ask(&crew, text), begin);
    crew_close(&crew);
}

static void add_scenario(void *argument)
{
    static const int32_t first = 0;
    struct known_texts texts;
    struct weir_error err = {0};
    (void)argument;
    if (known_texts_open(&texts, 1, &err) != WEIR_OK) {
        CHECK(alloc_failed());
        return;
    }
    struct known_text *text = known_texts_begin(&texts, 0, &first, 1);
    for (int32_t id = 1; id < 200; id++)
        known_text_add(text, id);
    CHECK(alloc_failed() || text->count == 200);
    for (uint64_t i = 0; text != NULL && i < text->count; i++)
        CHECK_INT(text->ids[i], (int32_t)i);
    known_texts_close(&texts);
}

TEST(serve_prefix_texts_have_no_hole)
{
    alloc_test(add_scenario, NULL);
}

/* A file has no salt: who restored it would let anybody find the text. */
TEST(serve_prefix_of_a_salt_is_not_saved)
{
    static const char text[] = SYSTEM USER("What is a tree?") REPLY;
    struct crew crew;
    struct job_options options;
    uint32_t count;
    open_with(&crew, 1, 0);
    int32_t *ids = crew_tokens(&crew, text, &count);
    crew_job(&options, ids, count, 1);
    options.salt = 7;
    struct heard heard = crew_run(&crew, &options);
    heard_release(&heard);
    act_on(&crew, 0, SLOT_SAVE, test_scratch("salted.bin"), WEIR_ERR_ARGUMENT);
    act_on(&crew, 0, SLOT_ERASE, NULL, WEIR_OK);
    ask(&crew, text);
    act_on(&crew, 0, SLOT_SAVE, test_scratch("salted.bin"), WEIR_OK);
    free(ids);
    crew_close(&crew);
}

TEST(serve_prefix_in_a_folder)
{
    static const char text[] = SYSTEM USER("What is a tree?") REPLY;
    const char *folder = test_scratch("serve-cache");
    struct crew crew;
    for (int i = 0; i < 2; i++) {
        crew_init(&crew);
        crew.options.cache_bytes_max = 0;
        crew.options.cache_dir = folder;
        crew.options.cache_dir_bytes_max = 64 << 20;
        crew_open(&crew);
        CHECK_INT(ask(&crew, text), i == 0 ? 0 : begin_of(&crew, text, 1));
        crew_close(&crew);
    }
}

/* A cache that can take nothing is a warning. */
TEST(serve_prefix_without_room_in_the_folder)
{
    static const char text[] = SYSTEM USER("What is a tree?") REPLY;
    struct crew crew;
    crew_init(&crew);
    crew.options.cache_bytes_max = 1;
    crew_open(&crew);
    CHECK_INT(ask(&crew, text), 0);
    CHECK_INT(ask(&crew, text), begin_of(&crew, text, 1));
    CHECK(strstr(crew.log, "a checkpoint of the slot") != NULL);
    crew_close(&crew);
}

/* ---- tokens that were said ------------------------------------------------------------------- */

static struct weir_prompt *render(const struct weir_template *chat, const char *said)
{
    char request[1024];
    struct weir_prompt *prompt;
    struct weir_error err = {0};
    snprintf(request, sizeof request,
             "{\"messages\": [{\"role\": \"user\", \"content\": \"Tell me of the sea.\"}, "
             "{\"role\": \"assistant\", \"content\": %s}, "
             "{\"role\": \"user\", \"content\": \"And of trees.\"}]}",
             said);
    CHECK_OK(weir_template_render(chat, &prompt, request, strlen(request), &err), &err);
    return prompt;
}

/* What was said in single bytes comes back so, for who has the salt. */
TEST(serve_prefix_tokens_are_replayed)
{
    static const char begin[] = "<|im_start|>user\nTell me of the sea.<|im_end|>\n"
                                "<|im_start|>assistant\n";
    static const char source[] =
        "{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' + message.content "
        "+ '<|im_end|>\\n' }}{%- endfor %}{{- '<|im_start|>assistant\\n' }}";
    struct crew crew;
    struct weir_template *chat;
    struct job_options options;
    struct weir_error err = {0};
    uint32_t count, tokens;
    int32_t *found, letter;
    open_with(&crew, 1, 64 << 20);
    CHECK_OK(weir_template_open(&chat, source, strlen(source), "test", &err), &err);
    int32_t *ids = crew_tokens(&crew, begin, &count);
    letter = weir_tokenizer_find(crew.tokenizer, "l", 1);
    const struct weir_logit_bias bias = {letter, 100};
    crew_job(&options, ids, count, 6);
    options.salt = 5;
    options.sampler.biases = &bias;
    options.sampler.biases_count = 1;
    struct heard heard = crew_run(&crew, &options);
    for (uint32_t i = 0; i < heard.count; i++)
        CHECK_INT(heard.ids[i], letter);
    struct weir_prompt *prompt = render(chat, "\"llllll\"");
    for (uint64_t salt = 4; salt <= 5; salt++) {
        uint32_t letters = 0;
        CHECK_OK(scheduler_tokens(crew.scheduler, prompt, salt, &found, &tokens, &err), &err);
        CHECK(tokens > count && memcmp(found, ids, count * sizeof *ids) == 0);
        while (letters < 6 && found[count + letters] == letter)
            letters++;
        CHECK(salt == 5 ? letters == 6 : letters < 6);
        mem_free(found);
    }
    heard_release(&heard);
    weir_prompt_close(prompt);
    weir_template_close(chat);
    free(ids);
    crew_close(&crew);
}
