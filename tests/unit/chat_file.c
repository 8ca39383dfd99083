/* SPDX-License-Identifier: MIT
 * Tests of conversations in files, as far as they need no model: what is one, and what a command is
 * told of its messages. Run alone: build/tests/weir-test chat_file_ */
#include "app/chat_file.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "test.h"

static const char messages[] = "[{\"role\": \"system\", \"content\": \"You are \\u00e9.\"}, "
                               "{\"role\": \"user\", \"content\": \"a\"}, "
                               "{\"role\": \"assistant\", \"content\": \"b\"}]";

static void write_text(const char *path, const char *text)
{
    FILE *stream = fopen(path, "wb");
    CHECK(stream != NULL);
    fputs(text, stream);
    CHECK_INT(fclose(stream), 0);
}

TEST(chat_file_states)
{
    static const struct {
        const char *text, *system;
        uint32_t messages;
        bool is_answered;
    } cases[] = {
        {messages, "You are \303\251.", 3, true},
        {"[]", NULL, 0, false},
        {"[{\"role\": \"assistant\", \"content\": \"a\"}]", NULL, 1, true},
        {"[{\"role\": \"system\", \"content\": [\"a\"]}]", NULL, 1, false},
        {"[{\"content\": \"a\"}]", NULL, 1, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct chat_state state = {.messages = 0};
        struct weir_error err = {0};
        CHECK_OK(chat_state_read(&state, cases[i].text, strlen(cases[i].text), &err), &err);
        CHECK_INT(state.messages, cases[i].messages);
        CHECK(state.is_answered == cases[i].is_answered);
        CHECK((cases[i].system != NULL) == (state.system.length > 0));
        if (cases[i].system != NULL)
            CHECK_TEXT(state.system.data, cases[i].system);
        chat_state_release(&state);
    }
}

/* What may be written over. */
TEST(chat_file_checks)
{
    static const struct {
        const char *text;
        enum weir_status status;
    } cases[] = {
        {"{\"messages\": [], \"more\": 1, \"format\": \"weir.chat/1\"}", WEIR_OK},
        {"{\"format\": \"weir.chat/1\"}", WEIR_ERR_FORMAT},
        {"{\"format\": \"weir.chat/2\", \"messages\": []}", WEIR_ERR_FORMAT},
        {"[]", WEIR_ERR_FORMAT},
        {"Dear diary", WEIR_ERR_FORMAT},
        {"", WEIR_ERR_FORMAT},
    };
    const char *path = test_scratch("checked.json"), *pipe = test_scratch("checked.pipe");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_text(path, cases[i].text);
        CHECK_INT(chat_file_check(path, NULL), cases[i].status);
    }
    unlink(path);
    CHECK_INT(chat_file_check(path, NULL), WEIR_OK);
    CHECK(mkfifo(pipe, 0600) == 0); /* is not waited for */
    CHECK_INT(chat_file_check(pipe, NULL), WEIR_ERR_IO);
    CHECK_INT(chat_file_check("/", NULL), WEIR_ERR_IO);
}

static void check_and_read(void *path)
{
    struct chat_state state = {.messages = 0};
    enum weir_status status = chat_file_check(path, NULL);
    CHECK(status == WEIR_OK || alloc_failed());
    if (status == WEIR_OK)
        status = chat_state_read(&state, messages, sizeof messages - 1, NULL);
    CHECK(status == WEIR_OK || alloc_failed());
    CHECK(status != WEIR_OK || (state.is_answered && state.system.length > 0));
    chat_state_release(&state);
}

TEST(chat_file_allocations)
{
    char path[4200];
    snprintf(path, sizeof path, "%s", test_scratch("checked.alloc.json"));
    write_text(path, "{\"format\": \"weir.chat/1\", \"messages\": []}");
    alloc_test(check_and_read, path);
}
