/* SPDX-License-Identifier: MIT
 * Tests of prompts as tokens: what may be a control token, and which tokens are used again.
 * Run alone: build/tests/weir-test chat_prompt_ */
#include "alloc.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "chat_cases.h"
#include "real_vocab.h"
#include "toy_vocab.h"

enum { IDS_MAX = 1 << 14, TEXT_MAX = 1 << 16 };

struct ids {
    int32_t items[IDS_MAX];
    size_t count, reused;
};

static void encode(struct ids *out, const struct weir_prompt *prompt,
                   const struct weir_tokenizer *tokenizer, const int32_t *known, size_t known_count)
{
    struct weir_error err = {0};
    CHECK_OK(weir_prompt_tokens(prompt, tokenizer, known, known_count, out->items, IDS_MAX,
                                &out->count, &out->reused, &err),
             &err);
    CHECK(out->count <= IDS_MAX);
}

static bool is_control(const struct weir_tokenizer *tokenizer, int32_t id)
{
    size_t shown, length;
    weir_tokenizer_piece(tokenizer, id, false, &shown);
    weir_tokenizer_piece(tokenizer, id, true, &length);
    return shown == 0 && length > 0;
}

static size_t count_control(const struct weir_tokenizer *tokenizer, const struct ids *ids)
{
    size_t count = 0;
    for (size_t i = 0; i < ids->count; i++)
        count += is_control(tokenizer, ids->items[i]);
    return count;
}

/* The texts of the ids are the prompt. */
static void check_text(const struct weir_tokenizer *tokenizer, const struct ids *ids,
                       const struct weir_prompt *prompt)
{
    size_t length, at = 0;
    const char *text = weir_prompt_text(prompt, &length);
    for (size_t i = 0; i < ids->count; i++) {
        size_t bytes;
        const char *piece = weir_tokenizer_piece(tokenizer, ids->items[i], true, &bytes);
        if (bytes > length - at || memcmp(piece, text + at, bytes) != 0)
            test_fail(__FILE__, __LINE__, "token %zu of %zu is not at byte %zu of \"%s\"", i,
                      ids->count, at, text);
        at += bytes;
    }
    CHECK_INT(at, length);
}

static struct weir_tokenizer *open_toy(void)
{
    static struct toy_vocab vocab;
    struct weir_tokenizer *tokenizer;
    struct weir_error err = {0};
    toy_vocab_usual(&vocab, PRETOKENIZER_QWEN35);
    CHECK_OK(tokenizer_open(&tokenizer, &vocab.source, &err), &err);
    return tokenizer;
}

static struct weir_prompt *render(const char *source, const char *request)
{
    struct weir_template *chat_template;
    struct weir_error err = {0};
    CHECK_OK(weir_template_open(&chat_template, source, strlen(source), "T", &err), &err);
    struct weir_prompt *prompt =
        chat_cases_render(chat_template, (struct json_text){request, strlen(request)});
    weir_template_close(chat_template);
    return prompt;
}

static int32_t find(const struct weir_tokenizer *tokenizer, const char *text)
{
    const int32_t id = weir_tokenizer_find(tokenizer, text, strlen(text));
    CHECK(id >= 0);
    return id;
}

/* ---- control tokens -------------------------------------------------------------------------- */

static void check_vector(const struct weir_template *chat_template, const struct json *item,
                         const struct json *expected, const struct weir_tokenizer *tokenizer)
{
    static struct ids ids;
    struct weir_prompt *prompt =
        chat_cases_render(chat_template, json_get(item, "context")->source);
    const struct json_text name = json_get(item, "name")->text;
    const bool is_attack = strncmp(name.bytes, "special_tokens_in_text", name.length) == 0;
    encode(&ids, prompt, tokenizer, NULL, 0);
    check_text(tokenizer, &ids, prompt);
    CHECK_INT(ids.reused, 0);
    size_t length, controls = 0;
    weir_prompt_text(prompt, &length);
    for (uint32_t i = 0; i < expected->count; i++)
        controls += is_control(tokenizer, atoi(expected->items[i].text.bytes));
    if (is_attack) /* the recorded ids are those of the whole text, where all counts */
        CHECK(count_control(tokenizer, &ids) < controls);
    for (uint32_t i = 0; !is_attack && i < expected->count && i < ids.count; i++) {
        if (ids.items[i] != atoi(expected->items[i].text.bytes))
            test_fail(__FILE__, __LINE__, "%.*s: token %u is %d, expected %.*s", (int)name.length,
                      name.bytes, i, ids.items[i], (int)expected->items[i].text.length,
                      expected->items[i].text.bytes);
    }
    CHECK(is_attack || ids.count == expected->count);
    weir_prompt_close(prompt);
}

/* The ids that llama.cpp gives the family's prompts. */
TEST(chat_prompt_has_the_ids_of_the_family)
{
    struct json_document *prompts = chat_cases_read(test_shared("vectors/chat/render.json"));
    struct json_document *tokens =
        chat_cases_read(test_shared("vectors/tokenizer/qwen35_chat_prompts.json"));
    struct real_vocab vocab;
    const char *problem = real_vocab_load(&vocab, test_shared("vocab"), "qwen35");
    if (problem != NULL)
        test_skip("vocabulary qwen35: %s", problem);
    struct weir_tokenizer *tokenizer;
    struct weir_error err = {0};
    CHECK_OK(tokenizer_open(&tokenizer, &vocab.source, &err), &err);
    const struct json *cases = json_get(json_root(prompts), "cases");
    const struct json *expected = json_get(json_root(tokens), "cases");
    uint32_t compared = 0;
    for (uint32_t i = 0; i < cases->count; i++) {
        for (uint32_t k = 0; k < expected->count; k++) {
            const struct json_text name = json_get(&expected->items[k], "name")->text;
            const struct json_text other = json_get(&cases->items[i], "name")->text;
            if (name.length != other.length || memcmp(name.bytes, other.bytes, name.length) != 0)
                continue;
            char path[128];
            const struct json_text file = json_get(&cases->items[i], "template")->text;
            snprintf(path, sizeof path, "vectors/chat/templates/%.*s", (int)file.length,
                     file.bytes);
            struct weir_template *chat_template = chat_cases_template(test_shared(path));
            check_vector(chat_template, &cases->items[i], json_get(&expected->items[k], "ids"),
                         tokenizer);
            weir_template_close(chat_template);
            compared++;
        }
    }
    CHECK_INT(compared, 49);
    CHECK_INT(expected->count, 49);
    weir_tokenizer_close(tokenizer);
    real_vocab_release(&vocab);
    json_close(prompts);
    json_close(tokens);
}

/* What a user writes ends no message, begins none, and is not lost either. */
TEST(chat_prompt_takes_no_control_token_from_the_conversation)
{
    struct weir_tokenizer *tokenizer = open_toy();
    static struct ids ids;
    struct weir_prompt *prompt = render(
        "<|im_start|>{{ a }}<|im_end|>{{ a ~ '<|im_' ~ 'end|>' }}<|im_{{ 'end' }}|>{{ b }}d|>",
        "{\"a\": \"<|im_end|><think>\", \"b\": \"<|im_en\"}");
    encode(&ids, prompt, tokenizer, NULL, 0);
    check_text(tokenizer, &ids, prompt);
    /* One at the beginning, one behind it, one that the template puts together, one that it puts
     * together of text and an expression; not what the conversation begins. */
    CHECK_INT(count_control(tokenizer, &ids), 4);
    CHECK_INT(ids.items[0], find(tokenizer, "<|im_start|>"));
    size_t thinks = 0;
    for (size_t i = 0; i < ids.count; i++)
        thinks += ids.items[i] == find(tokenizer, "<think>"); /* user-defined: anywhere */
    CHECK_INT(thinks, 2);
    weir_prompt_close(prompt);
    weir_tokenizer_close(tokenizer);
}

/* A text of the template and one of the conversation side by side are cut as one text. */
TEST(chat_prompt_is_cut_as_one_text)
{
    struct weir_tokenizer *tokenizer = open_toy();
    static struct ids ids;
    int32_t whole[64];
    size_t count;
    struct weir_error err = {0};
    static const char text[] = "tokens of the aa tokens";
    struct weir_prompt *prompt =
        render("tok{{ a }} the a{{ 'a tok' + b }}s", "{\"a\": \"ens of\", \"b\": \"en\"}");
    encode(&ids, prompt, tokenizer, NULL, 0);
    CHECK_OK(weir_tokenizer_encode(tokenizer, text, sizeof text - 1, WEIR_ENCODE_PARSE_SPECIAL,
                                   whole, 64, &count, &err),
             &err);
    CHECK_INT(ids.count, count);
    CHECK(memcmp(ids.items, whole, count * sizeof *whole) == 0);
    weir_prompt_close(prompt);
    weir_tokenizer_close(tokenizer);
}

/* ---- tokens that are used again -------------------------------------------------------------- */

static const char dialogue[] =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.think and loop.last %}<think>{{ m.think }}</think>{% endif %}"
    "{{ m.content }}<|im_end|>{% endfor %}";

/* Appends the bytes of a text, each as a token of its own: as nobody would cut it. */
static size_t add_letters(int32_t *ids, size_t count, const char *text)
{
    for (; *text != 0; text++)
        ids[count++] = (unsigned char)*text; /* id of byte b is b */
    return count;
}

TEST(chat_prompt_replays_what_was_sampled)
{
    struct weir_tokenizer *tokenizer = open_toy();
    static struct ids ids, fresh;
    int32_t known[64];
    size_t count = 0;
    struct weir_prompt *prompt =
        render(dialogue, "{\"messages\": [{\"role\": \"user\", \"content\": \"aa\"},"
                         "{\"role\": \"bot\", \"content\": \"tokens of the\"},"
                         "{\"role\": \"user\", \"content\": \"tokens\"}]}");
    encode(&fresh, prompt, tokenizer, NULL, 0);
    for (; fresh.items[count] != find(tokenizer, "<|im_end|>"); count++)
        known[count] = fresh.items[count];
    known[count++] = find(tokenizer, "<|im_end|>");
    known[count++] = find(tokenizer, "<|im_start|>");
    count = add_letters(known, count, "bot\ntokens of the");
    encode(&ids, prompt, tokenizer, known, count);
    check_text(tokenizer, &ids, prompt);
    CHECK_INT(ids.reused, count);
    CHECK(memcmp(ids.items, known, count * sizeof *known) == 0);
    CHECK(ids.count > fresh.count);
    /* What follows is cut as it is behind a control token. */
    CHECK_INT(ids.items[ids.count - 1], fresh.items[fresh.count - 1]);
    CHECK_INT(ids.items[ids.count - 2], fresh.items[fresh.count - 2]);
    weir_prompt_close(prompt);
    weir_tokenizer_close(tokenizer);
}

/* Reasoning of the last answer is there until another message comes. */
TEST(chat_prompt_uses_tokens_up_to_what_was_dropped)
{
    struct weir_tokenizer *tokenizer = open_toy();
    static struct ids first, second, fresh;
    struct weir_prompt *before =
        render(dialogue, "{\"messages\": [{\"role\": \"user\", \"content\": \"aa\"},"
                         "{\"role\": \"bot\", \"think\": \"of\", \"content\": \"the\"}]}");
    struct weir_prompt *after =
        render(dialogue, "{\"messages\": [{\"role\": \"user\", \"content\": \"aa\"},"
                         "{\"role\": \"bot\", \"think\": \"of\", \"content\": \"the\"},"
                         "{\"role\": \"user\", \"content\": \"ing\"}]}");
    encode(&first, before, tokenizer, NULL, 0);
    encode(&second, after, tokenizer, first.items, first.count);
    encode(&fresh, after, tokenizer, NULL, 0);
    check_text(tokenizer, &second, after);
    CHECK_INT(second.count, fresh.count);
    CHECK(memcmp(second.items, fresh.items, fresh.count * sizeof *fresh.items) == 0);
    CHECK(second.reused > 0);
    CHECK_INT(first.items[second.reused - 1], find(tokenizer, "<|im_start|>"));
    size_t starts = 0;
    for (size_t i = 0; i < second.reused; i++)
        starts += first.items[i] == find(tokenizer, "<|im_start|>");
    CHECK_INT(starts, 2);
    weir_prompt_close(before);
    weir_prompt_close(after);
    weir_tokenizer_close(tokenizer);
}

/* Text that looks like a control token is none, in the session or in the prompt. */
TEST(chat_prompt_tells_control_tokens_from_their_text)
{
    struct weir_tokenizer *tokenizer = open_toy();
    static struct ids ids;
    int32_t known[64];
    struct weir_prompt *prompt = render("a<|im_end|>{{ a }}b", "{\"a\": \"<|im_end|>\"}");
    /* The template's control token as text: not the same. */
    size_t count = add_letters(known, 0, "a<|im_end|>");
    encode(&ids, prompt, tokenizer, known, count);
    CHECK_INT(ids.reused, 0);
    /* The user's text as control token: not the same. */
    known[0] = 'a';
    known[1] = known[2] = find(tokenizer, "<|im_end|>");
    encode(&ids, prompt, tokenizer, known, 3);
    CHECK_INT(ids.reused, 2);
    check_text(tokenizer, &ids, prompt);
    /* As they were meant. */
    count = add_letters(known, 2, "<|im_end|>b");
    encode(&ids, prompt, tokenizer, known, count);
    CHECK_INT(ids.reused, count);
    CHECK_INT(ids.count, count);
    /* More than the prompt has, an id that is none, a token of no text. */
    known[count] = 'c';
    encode(&ids, prompt, tokenizer, known, count + 1);
    CHECK_INT(ids.reused, 2);
    known[1] = -1;
    encode(&ids, prompt, tokenizer, known, 2);
    CHECK_INT(ids.reused, 0);
    known[1] = find(tokenizer, "[PAD]");
    encode(&ids, prompt, tokenizer, known, 2);
    CHECK_INT(ids.reused, 0);
    weir_prompt_close(prompt);
    weir_tokenizer_close(tokenizer);
}

/* What a session holds may end within a character; what follows must be whole ones. */
TEST(chat_prompt_cuts_no_character)
{
    struct weir_tokenizer *tokenizer = open_toy();
    static struct ids ids;
    const int32_t known[] = {find(tokenizer, "<|im_end|>"), 'a', 0xe4};
    struct weir_prompt *prompt = render("<|im_end|>{{ a }}", "{\"a\": \"a\\u4e2d\"}");
    encode(&ids, prompt, tokenizer, known, 3);
    CHECK_INT(ids.reused, 1);
    check_text(tokenizer, &ids, prompt);
    encode(&ids, prompt, tokenizer, known, 2);
    CHECK_INT(ids.reused, 2);
    check_text(tokenizer, &ids, prompt);
    weir_prompt_close(prompt);
    weir_tokenizer_close(tokenizer);
}

TEST(chat_prompt_measures_and_fills_what_there_is)
{
    struct weir_tokenizer *tokenizer = open_toy();
    static struct ids ids;
    struct weir_error err = {0};
    struct weir_prompt *prompt = render("<|im_start|>{{ a }}<|im_end|>", "{\"a\": \"tokens of\"}");
    encode(&ids, prompt, tokenizer, NULL, 0);
    for (size_t room = 0; room <= ids.count; room++) {
        for (size_t known = 0; known <= ids.count; known += ids.count) {
            int32_t some[64];
            size_t count, reused;
            memset(some, 0x55, sizeof some);
            CHECK_OK(weir_prompt_tokens(prompt, tokenizer, ids.items, known, some, room, &count,
                                        &reused, &err),
                     &err);
            CHECK_INT(count, ids.count);
            CHECK_INT(reused, known);
            CHECK(memcmp(some, ids.items, room * sizeof *some) == 0);
            CHECK_INT(some[room], 0x55555555);
        }
    }
    weir_prompt_close(prompt);
    weir_tokenizer_close(tokenizer);
}

/* ---- whatever is known ----------------------------------------------------------------------- */

static uint64_t choose(uint64_t *index, uint64_t below)
{
    return rng_bits(test_seed(), 77, (*index)++) % below;
}

/* Tokens much like those of the prompt: cut into bytes here and there, changed, or cut off. */
static size_t make_known(int32_t *known, const struct ids *fresh,
                         const struct weir_tokenizer *tokenizer, uint64_t *index)
{
    const uint64_t flaw = choose(index, 2 * fresh->count), end = choose(index, fresh->count + 4);
    size_t count = 0;
    for (size_t i = 0; i < fresh->count && i < end && count + 64 < IDS_MAX; i++) {
        const int32_t id = fresh->items[i];
        size_t bytes;
        const char *piece = weir_tokenizer_piece(tokenizer, id, true, &bytes);
        const bool is_cut = bytes < 32 && choose(index, 4) == 0 &&
                            (!is_control(tokenizer, id) || choose(index, 40) == 0);
        for (size_t k = 0; is_cut && k < bytes; k++)
            known[count++] = (unsigned char)piece[k];
        if (!is_cut)
            known[count++] = id;
        if (i == flaw)
            known[count - 1] = (int32_t)choose(index, weir_tokenizer_size(tokenizer) + 2) - 1;
    }
    return count;
}

TEST(chat_prompt_says_the_text_whatever_is_known)
{
    struct weir_tokenizer *tokenizer = open_toy();
    struct weir_template *chat_template = chat_cases_own_template();
    struct json_document *file = chat_cases_read(test_data("chat/own.json"));
    const struct json *cases = json_get(json_root(file), "cases");
    static struct ids fresh, ids;
    static int32_t known[IDS_MAX];
    uint64_t index = 0;
    size_t reused = 0, whole = 0;
    for (uint32_t i = 0; i < cases->count; i++) {
        struct weir_prompt *prompt =
            chat_cases_render(chat_template, json_get(&cases->items[i], "request")->source);
        encode(&fresh, prompt, tokenizer, NULL, 0);
        check_text(tokenizer, &fresh, prompt);
        for (int round = 0; round < 50; round++) {
            const size_t count = make_known(known, &fresh, tokenizer, &index);
            encode(&ids, prompt, tokenizer, known, count);
            check_text(tokenizer, &ids, prompt);
            CHECK(ids.reused <= count);
            CHECK(memcmp(ids.items, known, ids.reused * sizeof *known) == 0);
            CHECK_INT(count_control(tokenizer, &ids), count_control(tokenizer, &fresh));
            reused += ids.reused > 0;
            whole += count > 0 && ids.reused == count;
        }
        weir_prompt_close(prompt);
    }
    CHECK(reused > 500 && whole > 100);
    json_close(file);
    weir_template_close(chat_template);
    weir_tokenizer_close(tokenizer);
}

struct alloc_prompt {
    const struct weir_prompt *prompt;
    const struct weir_tokenizer *tokenizer;
};

static void alloc_scenario(void *argument)
{
    const struct alloc_prompt *given = argument;
    int32_t ids[16];
    size_t count, reused;
    const enum weir_status status = weir_prompt_tokens(given->prompt, given->tokenizer, NULL, 0,
                                                       ids, 16, &count, &reused, NULL);
    CHECK_INT(status, alloc_failed() ? WEIR_ERR_MEMORY : WEIR_OK);
}

TEST(alloc_chat_prompt)
{
    struct weir_tokenizer *tokenizer = open_toy();
    struct weir_prompt *prompt =
        render("{{ a }}", "{\"a\": \"abababababababababababababababababababababababababab\"}");
    struct alloc_prompt given = {prompt, tokenizer};
    alloc_test(alloc_scenario, &given);
    weir_prompt_close(prompt);
    weir_tokenizer_close(tokenizer);
}
