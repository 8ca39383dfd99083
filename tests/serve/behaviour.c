/* SPDX-License-Identifier: MIT
 * How the server behaves: queues, silence, clients that go away, an end that comes, texts that must
 * not meet, names of files. Run alone: build/tests/weir-test served_ */
#include "serve/api_error.h"
#include "serve/served.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "json/json.h"

/* Of more seconds than a test waits for anything. */
static const char long_stream[] =
    "{\"prompt\":\"Once\",\"max_tokens\":60000,\"ignore_eos\":true,\"stream\":true}";

/* ---- asking ---------------------------------------------------------------------------------- */

static void send_post(struct http_client *client, const struct served *served, const char *path,
                      const char *body)
{
    char head[256];
    http_client_open(client, served->port);
    snprintf(
        head, sizeof head,
        "POST %s HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer k1\r\nContent-Length: %zu\r\n\r\n",
        path, strlen(body));
    http_client_say(client, head);
    http_client_say(client, body);
}

/* The first line of a stream that begins so; false if it ends before. */
static bool find_line(struct http_client *client, const char *begin, char *line, size_t size)
{
    while (http_client_line(client, line, size))
        if (strncmp(line, begin, strlen(begin)) == 0)
            return true;
    return false;
}

/* The number that a body tells behind a key, as "cached_tokens":. */
static long number_of(const struct http_response *response, const char *key)
{
    const char *at = strstr(response->body.data, key);
    if (at == NULL)
        test_fail(__FILE__, __LINE__, "no %s in %s", key, response->body.data);
    return strtol(at + strlen(key), NULL, 10);
}

/* Waits until /metrics tells that value of a gauge. */
static void await_gauge(const struct served *served, const char *gauge, long value)
{
    for (int tries = 0; tries < 500; tries++) {
        struct http_response response = served_ask(served, "GET", "/metrics", NULL, NULL);
        char line[128];
        snprintf(line, sizeof line, "\n%s %ld\n", gauge, value);
        const bool is_there = strstr(response.body.data, line) != NULL;
        http_response_release(&response);
        if (is_there)
            return;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    test_fail(__FILE__, __LINE__, "%s is not %ld", gauge, value);
}

static const char running[] = "llamacpp:requests_processing";
static const char waiting[] = "llamacpp:requests_deferred";

static void open_small(struct served *served)
{
    served_init(served);
    served->options.scheduler.slots = 1;
    served->options.scheduler.queue_max = 1;
    served->options.scheduler.engine.context = 65536;
}

/* ---- the queue ------------------------------------------------------------------------------- */

/* Six digits of a sum of weeks would stand still for minutes. */
static void check_seconds(const struct served *served, const char *name)
{
    struct http_response response = served_ask(served, "GET", "/metrics", NULL, NULL);
    const char *at = strstr(response.body.data, name);
    if (at == NULL)
        test_fail(__FILE__, __LINE__, "no %s", name);
    at = strchr(at + strlen(name), '.');
    CHECK(at != NULL && strspn(at + 1, "0123456789") == 9);
    http_response_release(&response);
}

TEST(served_a_full_queue_says_when_to_come_again)
{
    struct served served;
    struct http_client first, second;
    open_small(&served);
    served_open(&served);
    send_post(&first, &served, "/v1/completions", long_stream);
    await_gauge(&served, running, 1);
    send_post(&second, &served, "/v1/completions", long_stream);
    await_gauge(&served, waiting, 1);
    CHECK_INT(api_error_from(WEIR_ERR_FULL), API_INVALID); // any other limit is no queue's
    struct http_response many = served_post(
        &served, "/completion", "{\"prompt\":[\"a\",\"b\",\"c\"],\"n_predict\":1}", 400);
    CHECK(strstr(many.body.data, "3 answers, but only 2 run or wait at once") != NULL);
    http_response_release(&many);
    struct http_response third = served_ask(&served, "POST", "/completion", NULL, long_stream);
    CHECK_INT(third.status, 429);
    CHECK(strtol(http_response_header(&third, "Retry-After"), NULL, 10) >= 1);
    CHECK(strstr(third.body.data, "\"type\":\"rate_limit_error\"") != NULL);
    http_response_release(&third);
    http_client_close(&first);
    http_client_close(&second);
    await_gauge(&served, waiting, 0); // also one that waits is dropped when its client is gone
    await_gauge(&served, running, 0);
    check_seconds(&served, "\nllamacpp:prompt_seconds_total ");
    check_seconds(&served, "\nllamacpp:tokens_predicted_seconds_total ");
    check_seconds(&served, "\nweir:step_seconds_total ");
    check_seconds(&served, "\nweir:time_to_first_token_seconds_sum ");
    served_close(&served);
}

/* Not what was sent counts, but what was made of it. */
TEST(served_values_are_held_together)
{
    struct served served;
    struct http_client first;
    struct bytes body = {0};
    char line[512];
    served_init(&served);
    served.options.scheduler.engine.context = 65536;
    served_open(&served);
    bytes_add_text(&body, "{\"prompt\":\"Once\",\"max_tokens\":60000,\"ignore_eos\":true,"
                          "\"stream\":true,\"x\":[[]");
    for (int i = 0; i < 40000; i++)
        bytes_add_text(&body, ",[]");
    bytes_add_text(&body, "]}");
    send_post(&first, &served, "/v1/completions", body.data);
    CHECK(find_line(&first, "data: {", line, sizeof line));
    struct http_response response = served_post(&served, "/v1/completions", body.data, 503);
    CHECK(strstr(response.body.data, "Too many large requests at once") != NULL);
    http_response_release(&response);
    response = served_post(&served, "/completion", "{\"prompt\":\"a\",\"n_predict\":1}", 200);
    http_response_release(&response);
    http_client_close(&first);
    bytes_release(&body);
    served_close(&served);
}

TEST(served_silence_is_broken_by_pings)
{
    struct served served;
    struct http_client first, second;
    char line[512];
    open_small(&served);
    served.options.ping_s = 1;
    served_open(&served);
    send_post(&first, &served, "/v1/completions", long_stream);
    await_gauge(&served, running, 1);
    send_post(&second, &served, "/v1/completions", long_stream);
    CHECK(find_line(&second, "HTTP/1.1 200", line, sizeof line));
    CHECK(find_line(&second, ":", line, sizeof line));
    http_client_close(&first);
    CHECK(find_line(&second, "data: ", line, sizeof line));
    http_client_close(&second);
    served_close(&served);
}

TEST(served_a_client_that_is_gone_frees_its_slot)
{
    struct served served;
    struct http_client client;
    open_small(&served);
    served_open(&served);
    send_post(&client, &served, "/completion",
              "{\"prompt\":\"Once\",\"n_predict\":60000,\"ignore_eos\":true}");
    await_gauge(&served, running, 1);
    http_client_close(&client);
    await_gauge(&served, running, 0);
    struct http_response response = served_ask(&served, "GET", "/metrics", NULL, NULL);
    CHECK(strstr(response.body.data, "{end=\"cancelled\"} 1\n") != NULL);
    http_response_release(&response);
    served_close(&served);
}

/* ---- the beginning --------------------------------------------------------------------------- */

static void *open_in_thread(void *user)
{
    struct served *served = user;
    server_open(&served->server, &served->options, NULL);
    return NULL;
}

/* The path is there before somebody listens. */
static bool is_listening(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path));
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool result = connect(fd, (const struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return result;
}

/* From the moment that somebody listens there is an answer: not yet, and then yes. */
TEST(served_while_it_loads_it_says_so)
{
    struct served served;
    pthread_t thread;
    char path[256];
    unsigned status = 0;
    snprintf(path, sizeof path, "%s", test_scratch("loading.sock"));
    served_init(&served);
    served.options.http.host = path;
    served_load(&served);
    CHECK_INT(pthread_create(&thread, NULL, open_in_thread, &served), 0);
    while (!is_listening(path))
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    while (status != 200) {
        struct http_client client;
        struct http_response response;
        http_client_open_path(&client, path);
        http_client_say(&client, "GET /health HTTP/1.1\r\nHost: t\r\n\r\n");
        CHECK(http_client_read(&client, &response, "GET"));
        status = response.status;
        CHECK(status == 200 || status == 503);
        CHECK(status == 200 || strstr(response.body.data, "\"message\":\"Loading model\"") != NULL);
        http_response_release(&response);
        http_client_close(&client);
    }
    CHECK_INT(pthread_join(thread, NULL), 0);
    CHECK(served.server != NULL);
    served_close(&served);
}

/* ---- the end --------------------------------------------------------------------------------- */

TEST(served_what_runs_is_told_that_the_server_ends)
{
    struct served served;
    struct http_client client;
    char line[512];
    open_small(&served);
    served_open(&served);
    send_post(&client, &served, "/v1/completions", long_stream);
    CHECK(find_line(&client, "data: {", line, sizeof line));
    server_drain(served.server, 0);
    CHECK(find_line(&client, "data: {\"error\":", line, sizeof line));
    CHECK(strstr(line, "\"type\":\"unavailable_error\"") != NULL);
    CHECK(!find_line(&client, "data: [DONE]", line, sizeof line));
    http_client_close(&client);
    served_close(&served);
}

/* The events of a response have their number and their type, the last one too. */
TEST(served_a_response_that_fails_ends_in_an_event)
{
    struct served served;
    struct http_client client;
    char line[512], last[512] = "", begin[128];
    int number = 0, before = 0;
    open_small(&served);
    served_open(&served);
    send_post(&client, &served, "/v1/responses",
              "{\"input\":\"Hi\",\"stream\":true,\"ignore_eos\":true}");
    CHECK(find_line(&client, "data: {\"type\":\"response.output_item.added\"", line, sizeof line));
    server_drain(served.server, 0);
    while (find_line(&client, "data: {\"type\":", line, sizeof line)) {
        before = number;
        CHECK_INT(sscanf(strstr(line, "\"sequence_number\":"), "\"sequence_number\":%d", &number),
                  1);
        CHECK(before == 0 || number == before + 1);
        snprintf(last, sizeof last, "%s", line);
    }
    snprintf(begin, sizeof begin, "data: {\"type\":\"error\",\"sequence_number\":%d,", number);
    CHECK(strncmp(last, begin, strlen(begin)) == 0);
    CHECK(strstr(last, "\"code\":\"unavailable_error\",\"message\":") != NULL);
    http_client_close(&client);
    served_close(&served);
}

/* The time that a request gives its answer is a length; that of the server is an error, and told as
 * one: with a status where nothing was told yet, else by an event. */
TEST(served_an_answer_ends_when_its_time_is_up)
{
    static const struct {
        const char *path, *body, *error;
    } cases[] = {
        {"/completion", "{\"prompt\":\"Once\",\"ignore_eos\":true}",
         "{\"error\":{\"code\":504,\"message\":\"The request takes longer than this server "
         "allows\",\"type\":\"timeout_error\"}}"},
        {"/v1/messages",
         "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"max_tokens\":60000,"
         "\"ignore_eos\":true}",
         "{\"type\":\"error\",\"error\":{\"type\":\"timeout_error\",\"message\":\"The request "
         "takes longer than this server allows\"}}"},
    };
    struct served served;
    open_small(&served);
    served.options.timeout_s = 1;
    served_open(&served);
    for (size_t i = 0; i < 2; i++) {
        struct http_response response = served_post(&served, cases[i].path, cases[i].body, 504);
        CHECK_TEXT(response.body.data, cases[i].error);
        http_response_release(&response);
    }
    struct http_response response = served_ask(&served, "GET", "/metrics", NULL, NULL);
    CHECK(strstr(response.body.data, "{end=\"timeout\"} 2\n") != NULL);
    http_response_release(&response);
    response =
        served_post(&served, "/completion",
                    "{\"prompt\":\"Once\",\"ignore_eos\":true,\"t_max_predict_ms\":100}", 200);
    CHECK(strstr(response.body.data, "\"stop_type\":\"limit\"") != NULL);
    CHECK(strstr(response.body.data, "\"truncated\":false") != NULL);
    CHECK(number_of(&response, "\"tokens_predicted\":") < 60000);
    http_response_release(&response);
    served_close(&served);
}

TEST(served_a_stream_says_that_its_time_is_up)
{
    static const char *const paths[] = {"/v1/completions", "/completion"};
    struct served served;
    char line[512];
    open_small(&served);
    served.options.timeout_s = 1;
    served_open(&served);
    for (size_t i = 0; i < 2; i++) {
        struct http_client client;
        send_post(&client, &served, paths[i], long_stream);
        CHECK(find_line(&client, "HTTP/1.1 200", line, sizeof line));
        CHECK(find_line(&client, "data: {\"error\":", line, sizeof line));
        CHECK(strstr(line, "\"type\":\"timeout_error\"") != NULL);
        CHECK(!find_line(&client, "data: ", line, sizeof line));
        http_client_close(&client);
    }
    served_close(&served);
}

/* ---- prompts that were read ------------------------------------------------------------------ */

static long cached_of(const struct served *served, const char *path, const char *headers,
                      const char *body, const char *key)
{
    struct http_response response = served_ask(served, "POST", path, headers, body);
    CHECK_INT(response.status, 200);
    const long cached = number_of(&response, key);
    http_response_release(&response);
    return cached;
}

/* By header, by member, by both, and neither. */
TEST(served_salts_keep_texts_apart)
{
    static const char path[] = "/v1/chat/completions", key[] = "\"cached_tokens\":";
    static const char plain[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"The boat and the "
                                "wind\"}],\"max_tokens\":1}";
    static const char salted[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"The boat and the "
                                 "wind\"}],\"max_tokens\":1,\"cache_salt\":\"a\"}";
    static const char header[] = "Authorization: Bearer k1\r\nx-cache-salt: a\r\n";
    static const char other[] = "Authorization: Bearer k1\r\nx-cache-salt: b\r\n";
    struct served served;
    served_init(&served);
    served_open(&served);
    CHECK_INT(cached_of(&served, path, NULL, plain, key), 0);
    CHECK_INT(cached_of(&served, path, header, plain, key), 0);
    CHECK_INT(cached_of(&served, path, other, plain, key), 0);
    CHECK_INT(cached_of(&served, path, other, salted, key), 0); /* of "b", whatever it says */
    CHECK(cached_of(&served, path, NULL, salted, key) > 0);
    CHECK(cached_of(&served, path, other, plain, key) > 0);
    CHECK(cached_of(&served, path, NULL, plain, key) > 0);
    served_close(&served);
}

/* The checksum in the first line of a client's system text does not make it another text. */
TEST(served_a_checksum_does_not_hide_a_prompt)
{
    static const char body[] =
        "{\"system\":\"x-anthropic-billing-header: v=1; cch=%s; You are kind, and you know a lot "
        "about the boats of the village and the wind on the sea.\",\"max_tokens\":1,"
        "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}";
    static const char key[] = "\"cache_read_input_tokens\":";
    struct served served;
    char text[512];
    served_init(&served);
    served_open(&served);
    snprintf(text, sizeof text, body, "1a2b3");
    CHECK_INT(cached_of(&served, "/v1/messages", NULL, text, key), 0);
    const long again = cached_of(&served, "/v1/messages", NULL, text, key);
    snprintf(text, sizeof text, body, "fffff");
    CHECK_INT(cached_of(&served, "/v1/messages", NULL, text, key), again);
    CHECK(again > 40);
    served_close(&served);
}

static void check_prompt(const struct served *served, const char *extra, const char *end)
{
    char body[512];
    snprintf(body, sizeof body,
             "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\","
             "\"content\":\"b\"}]%s}",
             extra);
    struct http_response response = served_post(served, "/apply-template", body, 200);
    const size_t length = response.body.length, tail = strlen(end);
    if (length < tail || strcmp(response.body.data + length - tail, end) != 0)
        test_fail(__FILE__, __LINE__, "%s: %s", extra, response.body.data);
    http_response_release(&response);
}

/* A last message of the assistant is continued, or a message of its own. */
TEST(served_a_last_message_is_continued_or_not)
{
    static const char begins[] = ",\"add_generation_prompt\":true";
    static const char begun[] = "<|im_start|>assistant\\n<think>\\n\\n</think>\\n\\n\"}";
    static const char continues[] = ",\"continue_final_message\":true";
    for (int i = 0; i < 2; i++) {
        struct served served;
        served_init(&served);
        served.options.no_prefill_assistant = i == 1;
        served_open(&served);
        check_prompt(&served, "", i == 0 ? "b\"}" : begun);
        check_prompt(&served, begins, begun);
        check_prompt(&served, continues, "b\"}");
        served_close(&served);
    }
}

TEST(served_nothing_is_said_if_nothing_is_asked_for)
{
    struct served served;
    served_init(&served);
    served_open(&served);
    struct http_response response = served_post(
        &served, "/completion", "{\"prompt\":\"Once upon a time\",\"n_predict\":0}", 200);
    CHECK_INT(number_of(&response, "\"tokens_predicted\":"), 0);
    CHECK(strstr(response.body.data, "\"content\":\"\"") != NULL);
    http_response_release(&response);
    /* Nor is anything read, which only usage counts. */
    response = served_post(&served, "/v1/completions",
                           "{\"prompt\":\"Once upon a time\",\"max_tokens\":0}", 200);
    CHECK(number_of(&response, "\"prompt_tokens\":") > 0);
    CHECK_INT(number_of(&response, "\"cache_n\":"), 0);
    CHECK_INT(number_of(&response, "\"prompt_n\":"), 0);
    CHECK(strstr(response.body.data, "\"prompt_per_token_ms\":null") != NULL);
    http_response_release(&response);
    served_close(&served);
}

/* Its vocabulary has none of the marks. */
TEST(served_infill_needs_a_model_that_knows_it)
{
    struct served served;
    served_init(&served);
    served_open(&served);
    struct http_response response =
        served_post(&served, "/infill", "{\"input_prefix\":\"a\",\"input_suffix\":\"b\"}", 400);
    CHECK(strstr(response.body.data, "Infill is not supported by this model: no <|fim_prefix|>") !=
          NULL);
    http_response_release(&response);
    served_close(&served);
}

/* ---- reasoning ------------------------------------------------------------------------------- */

static const char thoughtful[] =
    "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"chat_template_kwargs\":"
    "{\"enable_thinking\":true},\"temperature\":0,\"max_tokens\":100";

/* By each of the names that it has; all answers are the same. */
TEST(served_reasoning_has_a_budget)
{
    static const char *const spellings[] = {
        "\"reasoning_budget_tokens\":3", "\"thinking_budget_tokens\":3", "\"reasoning_budget\":3",
        "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":3}"};
    struct served served;
    char body[512], first[256] = "";
    served_init(&served);
    served.options.reasoning_closing = "That will do.";
    served_open(&served);
    for (size_t i = 0; i < sizeof spellings / sizeof spellings[0]; i++) {
        snprintf(body, sizeof body, "{%s,%s}", thoughtful, spellings[i]);
        struct http_response response = served_post(&served, "/v1/chat/completions", body, 200);
        const char *reasoning = strstr(response.body.data, "\"reasoning_content\":");
        CHECK(reasoning != NULL && strstr(reasoning, "That will do.\"") != NULL);
        CHECK(number_of(&response, "\"reasoning_tokens\":") < 40);
        if (i == 0)
            snprintf(first, sizeof first, "%.200s", reasoning);
        CHECK(strncmp(reasoning, first, strcspn(first, "}")) == 0);
        http_response_release(&response);
    }
    served_close(&served);
}

TEST(served_reasoning_is_ended_on_request)
{
    struct served served;
    struct http_client client;
    char body[512], line[1024], id[64] = "";
    served_init(&served);
    served.options.reasoning_closing = "That will do.";
    served_open(&served);
    snprintf(body, sizeof body, "{%s,\"stream\":true,\"reasoning_control\":true}", thoughtful);
    send_post(&client, &served, "/v1/chat/completions", body);
    CHECK(find_line(&client, "data: {", line, sizeof line));
    const char *at = strstr(line, "\"id\":\"");
    CHECK(at != NULL);
    snprintf(id, sizeof id, "%.41s", at + 6); // "chatcmpl-" and 32 letters
    snprintf(body, sizeof body, "{\"id\":\"%s\",\"action\":\"reasoning_end\"}", id);
    struct http_response response = served_post(&served, "/v1/chat/completions/control", body, 200);
    CHECK_TEXT(response.body.data, "{\"success\":true}");
    http_response_release(&response);
    bool is_said = false;
    while (find_line(&client, "data: ", line, sizeof line) && strcmp(line, "data: [DONE]") != 0)
        is_said = is_said || strstr(line, "{\"content\":\"") != NULL;
    CHECK(is_said);
    http_client_close(&client);
    await_gauge(&served, running, 0);
    for (bool is_found = true; is_found;) { // it is let go soon behind its last event
        response = served_post(&served, "/v1/chat/completions/control", body, 200);
        is_found = strcmp(response.body.data, "{\"success\":true}") == 0;
        http_response_release(&response);
    }
    served_close(&served);
}

/* ---- files ----------------------------------------------------------------------------------- */

static void save(const struct served *served, const char *name, unsigned status)
{
    char body[256];
    snprintf(body, sizeof body, "{\"filename\":%s}", name);
    struct http_response response = served_post(served, "/slots/0?action=save", body, status);
    http_response_release(&response);
}

TEST(served_files_of_slots_stay_in_their_folder)
{
    static const char *const names[] = {
        "\"../a\"",     "\"a/b\"",   "\"/etc/passwd\"", "\"..\"", "\".\"", "\"\"", "\"a\\\\b\"",
        "\"a\\u0000\"", "\"a\\nb\"", "\".hidden\"",     "null",   "7",     "[]",
    };
    struct served served;
    char folder[256], outside[256], path[512];
    snprintf(folder, sizeof folder, "%s", test_scratch("served.slots"));
    snprintf(outside, sizeof outside, "%s", test_scratch("served.outside"));
    CHECK_INT(mkdir(folder, 0700), 0);
    served_init(&served);
    served.options.slot_save_path = folder;
    served_open(&served);
    struct http_response response = served_post(
        &served, "/completion", "{\"prompt\":\"Once\",\"n_predict\":2,\"id_slot\":0}", 200);
    http_response_release(&response);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        save(&served, names[i], 400);
    snprintf(path, sizeof path, "%s/link", folder);
    CHECK_INT(symlink(outside, path), 0);
    save(&served, "\"link\"", 400);
    CHECK(access(outside, F_OK) != 0);
    save(&served, "\"inside\"", 200);
    static const char *const paths[] = {"/slots//x/0?action=erase", "/slots/x?action=erase",
                                        "/slots/-1?action=erase", "/slots/0/?action=erase"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        response = served_post(&served, paths[i], "", 404);
        http_response_release(&response);
    }
    snprintf(path, sizeof path, "%s/inside", folder);
    CHECK_INT(access(path, F_OK), 0);
    served_close(&served);
}

/* ---- the page -------------------------------------------------------------------------------- */

/* Also what HTTP itself refuses is told as clients of the path know it. */
TEST(served_refusals_of_http_have_the_shape_of_the_path)
{
    static const char key[] = "Authorization: Bearer wrong\r\n";
    struct served served;
    served_init(&served);
    served_open(&served);
    struct http_response response = served_ask(&served, "POST", "/v1/messages", key, "{}");
    CHECK_INT(response.status, 401);
    CHECK_TEXT(response.body.data,
               "{\"type\":\"error\",\"error\":{\"type\":\"authentication_error\","
               "\"message\":\"Invalid API Key\"}}");
    http_response_release(&response);
    response = served_ask(&served, "POST", "/v1/chat/completions", key, "{}");
    CHECK_INT(response.status, 401);
    CHECK_TEXT(response.body.data, "{\"error\":{\"message\":\"Invalid API Key\",\"type\":"
                                   "\"authentication_error\",\"code\":401}}");
    http_response_release(&response);
    served_close(&served);
}

/* A picker brings no key, and is answered if it is allowed to. */
TEST(served_metrics_may_be_public)
{
    for (int is_public = 0; is_public < 2; is_public++) {
        struct served served;
        served_init(&served);
        served.options.metrics = true;
        served.options.metrics_public = is_public == 1;
        served_open(&served);
        struct http_response response = served_ask(&served, "GET", "/metrics", "", NULL);
        CHECK_INT(response.status, is_public == 1 ? 200 : 401);
        CHECK((strstr(response.body.data, "\nweir:kv_cache_usage_ratio 0\n") != NULL) ==
              (is_public == 1));
        http_response_release(&response);
        served_close(&served);
    }
}

/* Of all objects "bytes" in a text, and how many there are. */
static uint64_t sum_bytes(const char *text, uint32_t *count)
{
    uint64_t sum = 0;
    *count = 0;
    for (const char *at = strstr(text, "\"bytes\":{"); at != NULL; at = strstr(at, "\"bytes\":{")) {
        const char *end = strchr(at, '}');
        at = strchr(at, '{');
        for (at = strchr(at, ':'); at != NULL && at < end; at = strchr(at + 1, ':'))
            sum += strtoull(at + 1, NULL, 10);
        at = end;
        ++*count;
    }
    return sum;
}

static uint64_t sum_metric(const struct served *served, const char *name)
{
    struct http_response response = served_ask(served, "GET", "/metrics", NULL, NULL);
    uint64_t sum = 0;
    for (const char *at = strstr(response.body.data, name); at != NULL; at = strstr(at, name)) {
        at = strchr(at, '}') + 2;
        sum += strtoull(at, NULL, 10);
    }
    http_response_release(&response);
    return sum;
}

/* What each of several answers says that it touched, what all of them do, and what the server has
 * counted are one number; with the steps of prompts it is more. */
TEST(served_bytes_of_answers_add_up)
{
    static const struct {
        const char *path;
        uint32_t objects;
    } cases[] = {{"/completion", 2}, {"/v1/completions", 1}};
    struct served served;
    uint64_t before = 0;
    served_init(&served);
    served.options.metrics = true;
    served_open(&served);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http_response response =
            served_post(&served, cases[i].path,
                        "{\"prompt\":\"a b c\",\"n\":2,\"max_tokens\":9,\"n_predict\":9}", 200);
        uint32_t objects;
        const uint64_t said = sum_bytes(response.body.data, &objects);
        const uint64_t counted = sum_metric(&served, "\nweir:reply_touched_bytes_total{");
        CHECK_INT(objects, cases[i].objects);
        CHECK(said > 0);
        CHECK_INT(said, counted - before);
        CHECK(counted < sum_metric(&served, "\nweir:touched_bytes_total{"));
        before = counted;
        http_response_release(&response);
    }
    served_close(&served);
}

TEST(served_page_has_a_policy_and_needs_no_key)
{
    struct served served;
    for (int i = 0; i < 2; i++) {
        served_init(&served);
        served.options.page = i == 0;
        served_open(&served);
        struct http_response response = served_ask(&served, "GET", "/", "", NULL);
        CHECK_INT(response.status, i == 0 ? 200 : 404);
        const char *policy = http_response_header(&response, "Content-Security-Policy");
        CHECK((policy != NULL) == (i == 0));
        CHECK(i == 1 || strstr(policy, "default-src 'none'") != NULL);
        http_response_release(&response);
        served_close(&served);
    }
}
