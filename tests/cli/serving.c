/* SPDX-License-Identifier: MIT
 * The program as a server: what it says at the start, how it ends, and what it refuses.
 * Run alone: build/tests/weir-test serving_ */
#include "cli/program.h"

#include <signal.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "http_client.h"

enum { WORDS_MAX = 24 };

/* A server that runs. */
struct serving {
    pid_t process;
    const char *socket, *log; /* paths */
    char *said;               /* what the log holds, freed by the end */
    const char *notify;       /* of the service manager; NULL: none */
    int ignored;              /* a signal, as a shell in the background ignores it; 0: none */
    mode_t umask;
    struct rlimit files; /* that it may open; zeros: as many as the test */
};

static void pause_ms(uint32_t ms)
{
    const struct timespec time = {.tv_nsec = (long)ms * 1000000};
    nanosleep(&time, NULL);
}

static void serving_read_log(struct serving *serving)
{
    size_t size;
    free(serving->said);
    serving->said = (char *)test_read_file(serving->log, &size);
}

static int serving_reap(struct serving *serving)
{
    int status = 0;
    CHECK(waitpid(serving->process, &status, 0) == serving->process);
    serving_read_log(serving);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Starts `weir serve` with these words on a socket, and waits until it listens. */
static void serving_start(struct serving *serving, const char *const *words)
{
    char *arguments[WORDS_MAX + 8];
    size_t count = 0;
    const char *const usual[] = {test_program(),  "serve",      "--host",
                                 serving->socket, "--log-file", serving->log};
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++)
        arguments[count++] = strdup(usual[i]);
    for (size_t i = 0; words[i] != NULL && i < WORDS_MAX; i++)
        arguments[count++] = strdup(words[i]);
    arguments[count] = NULL;
    serving->process = fork();
    CHECK(serving->process >= 0);
    if (serving->process == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nobody behind */
        umask(serving->umask);
        if (serving->files.rlim_max > 0)
            setrlimit(RLIMIT_NOFILE, &serving->files);
        signal(SIGINT, SIG_DFL); /* a shell in the background has it ignored */
        signal(SIGHUP, SIG_DFL);
        if (serving->ignored != 0)
            signal(serving->ignored, SIG_IGN);
        if (serving->notify != NULL)
            setenv("NOTIFY_SOCKET", serving->notify, 1);
        dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
        execv(arguments[0], arguments);
        _exit(127);
    }
    for (size_t i = 0; i < count; i++)
        free(arguments[i]);
    const uint64_t start = clock_ns();
    for (;;) {
        struct stat info;
        if (stat(serving->log, &info) == 0 && info.st_size > 0)
            serving_read_log(serving);
        if (serving->said != NULL && strstr(serving->said, "listening on ") != NULL)
            return;
        if (waitpid(serving->process, NULL, WNOHANG) != 0)
            test_fail(__FILE__, __LINE__, "the server has ended: %s",
                      serving->said == NULL ? "" : serving->said);
        if (clock_ns() - start > 50000000000) {
            kill(serving->process, SIGKILL);
            test_fail(__FILE__, __LINE__, "the server does not listen");
        }
        pause_ms(5);
    }
}

#define SERVING_START(serving, ...)                                                                \
    serving_start(serving, (const char *const[WORDS_MAX]){__VA_ARGS__})

static int serving_stop(struct serving *serving)
{
    CHECK(kill(serving->process, SIGTERM) == 0);
    return serving_reap(serving);
}

static struct serving serving_at(const char *name)
{
    char log[64], path[64];
    snprintf(log, sizeof log, "%s.log", name);
    snprintf(path, sizeof path, "%s.sock", name);
    return (struct serving){.socket = test_scratch(path), .log = test_scratch(log), .umask = 022};
}

static struct http_response ask(const struct serving *serving, const char *method, const char *path,
                                const char *headers, const char *body)
{
    struct http_client client;
    struct http_response response;
    char request[1024];
    snprintf(request, sizeof request,
             "%s %s HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n%s\r\n%s", method, path,
             strlen(body), headers, body);
    http_client_open_path(&client, serving->socket);
    http_client_say(&client, request);
    CHECK(http_client_read(&client, &response, method));
    CHECK(response.is_whole);
    http_client_close(&client);
    return response;
}

static void check_status(const struct serving *serving, const char *method, const char *path,
                         const char *headers, unsigned status)
{
    struct http_response response = ask(serving, method, path, headers, "");
    if (response.status != status)
        test_fail(__FILE__, __LINE__, "%s: %u, expected %u", path, response.status, status);
    http_response_release(&response);
}

static const char question[] =
    "{\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}],\"max_tokens\":4,\"temperature\":0}";

/* ---- running --------------------------------------------------------------------------------- */

TEST(serving_answers_and_ends)
{
    struct serving serving = serving_at("answers");
    SERVING_START(&serving, "-lv", "4");
    CHECK_HAS(serving.said, "memory: weights ");
    CHECK_HAS(serving.said, "4 slots of 4096 tokens");
    CHECK_HAS(serving.said, "cache: ");
    check_status(&serving, "GET", "/health", "", 200);
    struct http_response response = ask(&serving, "POST", "/v1/chat/completions", "", question);
    CHECK_INT(response.status, 200);
    CHECK_HAS(response.body.data, "\"object\":\"chat.completion\"");
    CHECK_HAS(response.body.data, "\"completion_tokens\":4");
    http_response_release(&response);
    check_status(&serving, "GET", "/nowhere", "", 404);
    CHECK_INT(serving_stop(&serving), 0);
    CHECK_HAS(serving.said, "socket: GET /health: 200, 15 bytes in ");
    CHECK_HAS(serving.said, "socket: POST /v1/chat/completions: 200, ");
    CHECK_HAS(serving.said, "; answer of 4 tokens in ");
    CHECK_HAS(serving.said, "; it has the length that was asked for");
    CHECK_HAS(serving.said, "ending: ");
    struct stat info;
    CHECK(stat(serving.socket, &info) != 0);
    free(serving.said);
}

/* A line for each request, but those that probes ask all day; or none. */
TEST(serving_logs_requests)
{
    for (int is_silent = 0; is_silent < 2; is_silent++) {
        struct serving serving = serving_at("access");
        unlink(serving.log);
        if (is_silent)
            SERVING_START(&serving, "-np", "1", "--no-access-log");
        else
            SERVING_START(&serving, "-np", "1");
        CHECK_HAS(serving.said, "1 slot of 4096 tokens");
        check_status(&serving, "GET", "/health", "", 200);
        check_status(&serving, "GET", "/nowhere", "", 404);
        struct http_client client;
        struct http_response response;
        http_client_open_path(&client, serving.socket);
        http_client_say(&client, "GET / HTTP/3.3\r\n\r\n");
        CHECK(http_client_read(&client, &response, ""));
        CHECK_INT(response.status, 505);
        http_response_release(&response);
        http_client_close(&client);
        CHECK_INT(serving_stop(&serving), 0);
        CHECK(strstr(serving.said, "/health") == NULL);
        CHECK_INT(strstr(serving.said, "socket: GET /nowhere: 404, ") == NULL, is_silent);
        CHECK_INT(strstr(serving.said, "socket: no request of HTTP: 505") == NULL, is_silent);
        CHECK(strstr(serving.said, "<html>") == NULL);
        free(serving.said);
    }
}

/* Who may connect does not depend on how the server was started. */
TEST(serving_sockets_have_a_mode)
{
    static const struct {
        mode_t umask;
        const char *words[4];
        mode_t mode;
    } cases[] = {
        {0, {NULL}, 0660},
        {077, {NULL}, 0660},
        {077, {"--socket-mode", "0666"}, 0666},
        {0, {"--socket-mode", "600"}, 0600},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct serving serving = serving_at("mode");
        struct stat info;
        const char *words[WORDS_MAX] = {NULL};
        serving.umask = cases[i].umask;
        unlink(serving.log);
        memcpy(words, cases[i].words, sizeof cases[i].words);
        serving_start(&serving, words);
        CHECK(stat(serving.socket, &info) == 0);
        CHECK_INT(info.st_mode & 0777, cases[i].mode);
        CHECK_INT(serving_stop(&serving), 0);
        free(serving.said);
    }
}

/* What it told, as a text; waits for it. */
static void check_told(int manager, const char *state)
{
    char told[64] = "";
    const ssize_t length = recv(manager, told, sizeof told - 1, 0);
    CHECK(length > 0);
    CHECK_TEXT(told, state);
}

/* As systemd's Type=notify wants it, by a path and by a name without one. */
TEST(serving_tells_the_service_manager)
{
    char path[128], name[32];
    snprintf(path, sizeof path, "%s", test_scratch("manager.sock"));
    snprintf(name, sizeof name, "@weir-test-%d", (int)getpid());
    const char *const managers[] = {path, name};
    for (int i = 0; i < 2; i++) {
        const struct timeval patience = {.tv_sec = 20};
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        struct serving serving = serving_at("notify");
        const size_t length = strlen(managers[i]);
        memcpy(address.sun_path, managers[i], length);
        if (i == 1)
            address.sun_path[0] = 0;
        const int manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        CHECK(manager >= 0);
        setsockopt(manager, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        CHECK(bind(manager, (const struct sockaddr *)&address,
                   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) == 0);
        serving.notify = managers[i];
        unlink(serving.log);
        SERVING_START(&serving, "-np", "1");
        check_told(manager, "READY=1");
        check_status(&serving, "GET", "/health", "", 200);
        CHECK_INT(serving_stop(&serving), 0);
        check_told(manager, "STOPPING=1");
        close(manager);
        free(serving.said);
    }
}

TEST(serving_slots_share_the_context)
{
    struct serving serving = serving_at("share");
    SERVING_START(&serving, "-np", "2", "-c", "512", "-cram", "16");
    CHECK_HAS(serving.said, "2 slots of 256 tokens");
    CHECK_HAS(serving.said, "cache: 16 MiB of memory");
    CHECK_INT(serving_stop(&serving), 0);
    free(serving.said);
    serving = serving_at("each");
    SERVING_START(&serving, "-c", "512", "-cram", "0");
    CHECK_HAS(serving.said, "4 slots of 512 tokens");
    CHECK_HAS(serving.said, "cache: 0 MiB of memory");
    CHECK_INT(serving_stop(&serving), 0);
    free(serving.said);
}

TEST(serving_keys)
{
    static const char keys[] = "# keys of friends\n\n  first key \r\nkey-of-another\n";
    struct serving serving = serving_at("keys");
    const char *path = test_scratch("keys");
    FILE *file = fopen(path, "w");
    CHECK(file != NULL && fputs(keys, file) >= 0 && fclose(file) == 0);
    SERVING_START(&serving, "--api-key-file", path, "--api-key", "third, fourth");
    check_status(&serving, "GET", "/health", "", 200);
    check_status(&serving, "GET", "/props", "", 401);
    check_status(&serving, "GET", "/props", "Authorization: Bearer # keys of friends\r\n", 401);
    check_status(&serving, "GET", "/props", "Authorization: Bearer first key\r\n", 200);
    check_status(&serving, "GET", "/props", "Authorization: Bearer key-of-another\r\n", 200);
    check_status(&serving, "GET", "/props", "X-Api-Key: third\r\n", 200);
    check_status(&serving, "GET", "/props", "X-Api-Key: fourth\r\n", 200);
    CHECK_INT(serving_stop(&serving), 0);
    CHECK(strstr(serving.said, "key-of-another") == NULL); /* no key in a log */
    free(serving.said);
}

/* Asks for a stream, and reads up to its first event. */
static void begin_stream(struct http_client *client, const struct serving *serving,
                         const char *body)
{
    char request[512], line[4096];
    snprintf(request, sizeof request,
             "POST /completion HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n%s", strlen(body),
             body);
    http_client_open_path(client, serving->socket);
    http_client_say(client, request);
    do
        CHECK(http_client_line(client, line, sizeof line));
    while (strncmp(line, "data: ", 6) != 0);
}

/* In the log a client that has gone is none that was answered. */
TEST(serving_logs_who_has_gone)
{
    struct serving serving = serving_at("gone");
    SERVING_START(&serving, "--ignore-eos", "--backend", "ref", "-c", "1048576", "-np", "1");
    for (int is_stream = 0; is_stream < 2; is_stream++) {
        struct http_client client;
        char request[256], body[128], line[64];
        snprintf(body, sizeof body, "{\"prompt\":\"a\",\"n_predict\":1000000,\"stream\":%s}",
                 is_stream ? "true" : "false");
        if (is_stream) {
            begin_stream(&client, &serving, body);
        } else {
            snprintf(request, sizeof request,
                     "POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n%s",
                     strlen(body), body);
            http_client_open_path(&client, serving.socket);
            http_client_say(&client, request);
            pause_ms(100);
        }
        http_client_close(&client);
        snprintf(line, sizeof line, "POST %s: ", is_stream ? "/completion" : "/v1/completions");
        const uint64_t start = clock_ns();
        while (strstr(serving.said, line) == NULL) {
            CHECK(clock_ns() - start < 60000000000);
            pause_ms(5);
            serving_read_log(&serving);
        }
        strcat(line, "499, ");
        CHECK_HAS(serving.said, line);
    }
    CHECK_HAS(serving.said, "; nobody waits for it any more\n");
    CHECK(strstr(serving.said, "; the server ends\n") == NULL);
    CHECK_INT(serving_stop(&serving), 0);
    free(serving.said);
}

/* A stream that runs is brought to its end. */
TEST(serving_drains)
{
    struct serving serving = serving_at("drains");
    struct http_client client;
    char line[8192];
    SERVING_START(&serving, "--ignore-eos");
    begin_stream(&client, &serving, "{\"prompt\":\"a\",\"stream\":true,\"n_predict\":200}");
    CHECK(kill(serving.process, SIGTERM) == 0);
    bool is_whole = false;
    while (http_client_line(&client, line, sizeof line))
        is_whole |= strstr(line, "\"tokens_predicted\":200") != NULL;
    CHECK(is_whole);
    http_client_close(&client);
    CHECK_INT(serving_reap(&serving), 0);
    free(serving.said);
}

/* One that does not end is told so. */
TEST(serving_drains_for_some_seconds)
{
    struct serving serving = serving_at("seconds");
    struct http_client client;
    char line[8192];
    test_skip_if_sanitized();
    SERVING_START(&serving, "--ignore-eos", "--backend", "ref", "-c", "1048576", "-np", "1");
    begin_stream(&client, &serving, "{\"prompt\":\"a\",\"stream\":true,\"n_predict\":1000000}");
    const uint64_t start = clock_ns();
    CHECK(kill(serving.process, SIGTERM) == 0);
    bool is_told = false;
    while (http_client_line(&client, line, sizeof line))
        is_told |= strstr(line, "\"error\"") != NULL;
    CHECK(is_told);
    CHECK(clock_ns() - start > 4000000000);
    http_client_close(&client);
    CHECK_INT(serving_reap(&serving), 0);
    CHECK_HAS(serving.said, "; the server ends\n");
    free(serving.said);
}

static void check_second_signal(int first, int second)
{
    struct serving serving = serving_at("second");
    struct http_client client;
    unlink(serving.log);
    SERVING_START(&serving, "--ignore-eos", "--backend", "ref", "-c", "1048576", "-np", "1");
    begin_stream(&client, &serving, "{\"prompt\":\"a\",\"stream\":true,\"n_predict\":1000000}");
    const uint64_t start = clock_ns();
    CHECK(kill(serving.process, first) == 0);
    while (strstr(serving.said, "ending: ") == NULL) {
        CHECK(clock_ns() - start < 60000000000);
        pause_ms(5);
        serving_read_log(&serving);
    }
    CHECK(kill(serving.process, second) == 0);
    /* one that drains to its end ends with 0 */
    CHECK_INT(serving_reap(&serving), 128 + second);
    http_client_close(&client);
    free(serving.said);
}

/* Whichever it is. */
TEST(serving_ends_at_once_at_a_second_signal)
{
    check_second_signal(SIGTERM, SIGTERM);
    check_second_signal(SIGINT, SIGTERM);
    check_second_signal(SIGTERM, SIGINT);
}

/* What a shell in the background or nohup has switched off stays off, but for SIGTERM. */
TEST(serving_ignores_what_was_ignored)
{
    static const struct {
        int ignored;
        bool is_ignored;
    } cases[] = {{SIGINT, true}, {SIGHUP, true}, {SIGTERM, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct serving serving = serving_at("ignored");
        serving.ignored = cases[i].ignored;
        unlink(serving.log);
        SERVING_START(&serving, "-np", "1");
        CHECK(kill(serving.process, cases[i].ignored) == 0);
        if (cases[i].is_ignored) {
            pause_ms(300);
            check_status(&serving, "GET", "/health", "", 200);
            CHECK(kill(serving.process, SIGTERM) == 0);
        }
        CHECK_INT(serving_reap(&serving), 0);
        CHECK_HAS(serving.said, "ending: ");
        free(serving.said);
    }
}

/* Four slots of 4096 tokens are as long as the model was trained for, one of all is not. */
TEST(serving_plans_the_context_of_a_slot)
{
    struct serving serving = serving_at("context");
    unlink(serving.log);
    SERVING_START(&serving, "-np", "4", "-c", "16384");
    CHECK_HAS(serving.said, "4 slots of 4096 tokens");
    CHECK(strstr(serving.said, "was trained for") == NULL);
    CHECK(kill(serving.process, SIGTERM) == 0);
    CHECK_INT(serving_reap(&serving), 0);
    free(serving.said);
}

/* Only who is asked for a key, or is on this machine, is not warned of. */
TEST(serving_warns_of_open_doors)
{
    static const char warning[] = "whoever reaches this address can use the server";
    static const struct {
        const char *words[6];
        bool is_warned;
    } cases[] = {
        {{"--host", "0.0.0.0"}, true},
        {{"--host", "0.0.0.0", "--api-key", "k1"}, false},
        {{"--host", "127.0.0.1"}, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct serving serving = serving_at("doors");
        unlink(serving.log);
        const char *words[WORDS_MAX] = {"--port", "0"};
        memcpy(words + 2, cases[i].words, sizeof cases[i].words);
        serving_start(&serving, words);
        CHECK_INT(strstr(serving.said, warning) != NULL, cases[i].is_warned);
        CHECK_HAS(serving.said, "listening on http://");
        CHECK_INT(serving_stop(&serving), 0);
        free(serving.said);
    }
}

static rlim_t files_of(const struct serving *serving)
{
    struct rlimit limit;
    CHECK(prlimit(serving->process, RLIMIT_NOFILE, NULL, &limit) == 0);
    return limit.rlim_cur;
}

/* Where no file can be opened any more, a connection cannot be accepted, and would be offered for
 * ever. */
TEST(serving_has_files_for_its_connections)
{
    static const char told[] = "512: the limit of open files is 400";
    struct serving serving = serving_at("files");
    unlink(serving.log);
    serving.files = (struct rlimit){.rlim_cur = 100, .rlim_max = 1000};
    SERVING_START(&serving, "-np", "1");
    CHECK(strstr(serving.said, "the limit of open files") == NULL);
    CHECK(files_of(&serving) > 512);
    CHECK_INT(serving_stop(&serving), 0);
    free(serving.said);
    serving = serving_at("few-files");
    unlink(serving.log);
    serving.files = (struct rlimit){.rlim_cur = 100, .rlim_max = 400};
    SERVING_START(&serving, "-np", "1");
    CHECK_HAS(serving.said, told);
    CHECK_INT(files_of(&serving), 400);
    CHECK_INT(serving_stop(&serving), 0);
    free(serving.said);
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* The number behind a text. */
static double number_behind(const char *text, const char *before)
{
    double number;
    const char *at = strstr(text, before);
    if (at == NULL || sscanf(at + strlen(before), "%lf", &number) != 1)
        test_fail(__FILE__, __LINE__, "no number behind \"%s\" in: %s", before, text);
    return number;
}

static bool is_near(double a, double b, double most)
{
    return a - b <= most && b - a <= most;
}

/* What a server says of its slots is what `weir inspect` counts, and what it needs is more by the
 * needs of a model that drafts. Sizes are printed as whole MiB, states with a digit. */
TEST(serving_plans_memory_with_the_model_that_drafts)
{
    static const char model[] = "../../models/" WEIR_SHIPPED;
    static const char line[] = "memory of the model that drafts: weights ";
    double needed[2];
    for (int has_draft = 0; has_draft < 2; has_draft++) {
        struct serving serving = serving_at(has_draft ? "draft" : "alone");
        unlink(serving.log);
        if (has_draft)
            SERVING_START(&serving, "-m", test_data(model), "-np", "4", "-c", "8192", "--cache-ram",
                          "0", "--spec-type", "draft-simple", "-md", test_data(model));
        else
            SERVING_START(&serving, "-m", test_data(model), "-np", "4", "-c", "8192", "--cache-ram",
                          "0", "--spec-type", "none");
        CHECK_HAS(serving.said, "4 slots of 2048 tokens: 4 x (");
        CHECK_INT(strstr(serving.said, line) != NULL, has_draft);
        needed[has_draft] = number_behind(serving.said, "; needs ");
        if (has_draft) {
            const char *draft = strstr(serving.said, line);
            const double weights = number_behind(draft, line);
            const double slot =
                number_behind(draft, " x (") + number_behind(draft, "keys and values, ");
            const double buffers = number_behind(draft, "buffers ");
            CHECK(weights >= 3 && slot >= 2);
            /* eight sizes are rounded by half a MiB, and drafts take some of the own engine */
            CHECK(is_near(needed[1] - needed[0], weights + 4 * slot + buffers, 4 + 4));
        }
        const char *own = strstr(serving.said, "\nmemory: ");
        const struct program_result *result =
            RUN_PROGRAM("inspect", test_data(model), "--memory", "-np", "4", "-c", "2048");
        const double mib = 1 << 20;
        CHECK(own != NULL);
        CHECK(is_near(number_behind(own, "4 x ("),
                      number_behind(result->out, "\nkv cache") / 4 / mib, 0.51));
        CHECK_INT(serving_stop(&serving), 0);
        free(serving.said);
    }
    CHECK(needed[1] > needed[0] + 11);
}

/* ---- refusals -------------------------------------------------------------------------------- */

TEST(serving_refuses)
{
    static const struct {
        const char *flag, *value, *error;
    } cases[] = {
        {"--api-key", ",", "--api-key: holds no key"},
        {"--port", "65536", "--port: '65536' is not a whole number from 0 to 65535"},
        {"--chat-template-kwargs", "[]",
         "--chat-template-kwargs: expected an object, found an array"},
        {"--grammar", "x", "--grammar: requests say that: \"grammar\""},
        {"--path", "x", "--path: no files are served"},
        {"--ssl-key-file", "x", "--ssl-key-file: TLS is for a proxy before the server"},
        {"--cache-ram", "-2", "--cache-ram: '-2' is not a whole number from -1 to 2147483647"},
        {"--cache-size", "12",
         "--cache-size needs --cache-dir; --cache-ram bounds what is kept in memory"},
        {"--slot-save-path", "/nowhere", "--slot-save-path: /nowhere: No such file or directory"},
        {"--slot-save-path", "/dev/null", "--slot-save-path: /dev/null: not a folder"},
        {"-np", "0", "--parallel: 0 slots answer nobody"},
        {"--socket-mode", "rw", "--socket-mode: 'rw' is not a mode as 0660"},
        {"--socket-mode", "1777", "--socket-mode: '1777' is not a mode as 0660"},
        {"--api-prefix", "llm", "the prefix 'llm' does not begin with a slash"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        CHECK_REFUSED(RUN_PROGRAM("serve", "--log-disable", cases[i].flag, cases[i].value),
                      cases[i].error);
}

TEST(serving_refuses_a_file_without_keys)
{
    const char *path = test_scratch("no-keys");
    FILE *file = fopen(path, "w");
    char error[4200];
    CHECK(file != NULL && fputs("# none\n\n", file) >= 0 && fclose(file) == 0);
    snprintf(error, sizeof error, "--api-key-file: %s: holds no key", path);
    CHECK_REFUSED(RUN_PROGRAM("serve", "--api-key-file", path), error);
}

TEST(serving_refuses_what_memory_does_not_hold)
{
    const struct program_result *result =
        RUN_PROGRAM("serve", "-np", "256", "-c", "1073741824", "--log-disable");
    CHECK_INT(result->status, 1);
    CHECK_HAS(result->err, "error: 256 slots of 4194304 tokens need ");
    CHECK_HAS(result->err, "lower --ctx-size or --parallel");
}
