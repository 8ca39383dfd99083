/* SPDX-License-Identifier: MIT
 * Runs the program under test. Knows none of its commands. */
#include "cli/program.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PROGRAM_SECONDS_MAX = 60, READ_BYTES = 65536 };

struct capture {
    int fd;
    char *data;
    size_t size;
    size_t capacity;
};

static void capture_begin(struct capture *capture, int fd)
{
    capture->fd = fd;
    capture->size = 0;
    if (capture->data == NULL) {
        capture->capacity = READ_BYTES + 1;
        capture->data = malloc(capture->capacity);
    }
    if (capture->data == NULL)
        test_fail(__FILE__, __LINE__, "out of memory");
    capture->data[0] = 0;
}

/* Reads what is there; closes at the end of the stream. */
static void capture_read(struct capture *capture)
{
    if (capture->size + READ_BYTES + 1 > capture->capacity) {
        capture->capacity = 2 * capture->capacity + READ_BYTES;
        capture->data = realloc(capture->data, capture->capacity);
        if (capture->data == NULL)
            test_fail(__FILE__, __LINE__, "out of memory");
    }
    const ssize_t got = read(capture->fd, capture->data + capture->size, READ_BYTES);
    if (got > 0) {
        capture->size += (size_t)got;
    } else {
        close(capture->fd);
        capture->fd = -1;
    }
    capture->data[capture->size] = 0;
}

static void open_pipe(int ends[2])
{
    if (pipe2(ends, O_CLOEXEC) != 0)
        test_fail(__FILE__, __LINE__, "no pipe");
}

static _Noreturn void become_program(const struct program_call *call, int in, int out, int err)
{
    char *argv[PROGRAM_WORDS_MAX + 2] = {NULL};
    argv[0] = strdup(call->name != NULL ? call->name : test_program());
    for (int i = 0; i < PROGRAM_WORDS_MAX && call->words[i] != NULL; i++)
        argv[i + 1] = strdup(call->words[i]);
    if (call->environment != NULL)
        putenv(strdup(call->environment));
    if (call->out_path != NULL)
        out = open(call->out_path, O_WRONLY);
    if (call->out_unread) {
        int ends[2];
        open_pipe(ends);
        close(ends[0]);
        out = ends[1];
    }
    if (call->file_bytes_max > 0) {
        const struct rlimit limit = {call->file_bytes_max, call->file_bytes_max};
        setrlimit(RLIMIT_FSIZE, &limit);
    }
    /* They may be ignored here, as in the background of a shell, and that would be handed on. */
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, call->hangup_ignored ? SIG_IGN : SIG_DFL);
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    alarm(PROGRAM_SECONDS_MAX);
    execv(test_program(), argv);
    _exit(127);
}

/* An unnamed file that holds the input, since a pipe could fill up. */
static int open_input(const char *text)
{
    FILE *file = tmpfile();
    if (file == NULL || (text != NULL && fputs(text, file) < 0) || fflush(file) != 0)
        test_fail(__FILE__, __LINE__, "cannot write the input");
    const int fd = dup(fileno(file));
    fclose(file);
    lseek(fd, 0, SEEK_SET);
    return fd;
}

/* Both ends of a terminal. */
static void open_terminal(int ends[2])
{
    ends[0] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (ends[0] < 0 || grantpt(ends[0]) != 0 || unlockpt(ends[0]) != 0)
        test_skip("no terminal can be made here");
    ends[1] = open(ptsname(ends[0]), O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (ends[1] < 0)
        test_skip("no terminal can be opened here");
}

static int run_and_capture(const struct program_call *call, struct capture *out,
                           struct capture *err)
{
    int out_pipe[2], err_pipe[2];
    const int in = open_input(call->input);
    open_pipe(out_pipe);
    if (call->terminal)
        open_terminal(err_pipe);
    else
        open_pipe(err_pipe);
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0)
        become_program(call, in, out_pipe[1], err_pipe[1]);
    close(in);
    close(out_pipe[1]);
    close(err_pipe[1]);
    capture_begin(out, out_pipe[0]);
    capture_begin(err, err_pipe[0]);
    bool interrupted = call->interrupt_after == 0;
    while (out->fd >= 0 || err->fd >= 0) {
        struct pollfd polls[2] = {{out->fd, POLLIN, 0}, {err->fd, POLLIN, 0}};
        poll(polls, 2, -1);
        if (polls[0].revents != 0)
            capture_read(out);
        if (polls[1].revents != 0)
            capture_read(err);
        if (!interrupted && out->size + err->size >= call->interrupt_after) {
            kill(child, call->interrupt_signal != 0 ? call->interrupt_signal : SIGINT);
            interrupted = true;
        }
    }
    int status;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

const struct program_result *run_program(const struct program_call *call)
{
    static struct capture out, err;
    static struct program_result result;
    if (access(test_program(), X_OK) != 0)
        test_fail(__FILE__, __LINE__, "%s is not a program", test_program());
    const int status = run_and_capture(call, &out, &err);
    result = (struct program_result){
        .status = status,
        .out = out.data,
        .out_size = out.size,
        .err = err.data,
        .err_size = err.size,
    };
    return &result;
}

void program_check_refused(const char *file, int line, const struct program_result *result,
                           const char *text)
{
    char expected[1024];
    snprintf(expected, sizeof expected, "error: %s\n", text);
    if (strcmp(result->err, expected) != 0)
        test_fail(file, line, "standard error is\n  %sexpected\n  %s", result->err, expected);
    if (result->status != 1 || result->out_size != 0)
        test_fail(file, line, "status %d with %zu bytes of output", result->status,
                  result->out_size);
}

void program_check_has(const char *file, int line, const char *where, const char *text)
{
    if (strstr(where, text) == NULL)
        test_fail(file, line, "\"%s\" is not in\n%s", text, where);
}

const char *program_full_device(void)
{
    static const char path[] = "/dev/full";
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISCHR(info.st_mode))
        test_skip("%s is not a device here", path);
    return path;
}

int program_count_files(const char *path)
{
    char folder[4096];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    const char *name = path + (slash - folder) + 1;
    *slash = 0;
    DIR *dir = opendir(folder);
    if (dir == NULL)
        return 0;
    int count = 0;
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
        count += strncmp(entry->d_name, name, strlen(name)) == 0;
    closedir(dir);
    return count;
}
