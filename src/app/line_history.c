/* SPDX-License-Identifier: MIT
 * The history's list is libedit's, and so is the form of its file: a line that says which, and one
 * for each that was typed. Knows no editor. */
#include "app/line_history.h"

#include <fcntl.h>
#include <histedit.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/lock.h"
#include "base/mem.h"

enum {
    LINES_MAX = 1000,          /* that are remembered */
    LINE_BYTES_MAX = 4096,     /* bytes: what is longer was pasted, and is not asked for again */
    FILE_BYTES_MAX = 1 << 20,  /* then all but the newest lines go */
    FILE_BYTES_KEPT = 1 << 19, /* at most; no line takes more than 4 times LINE_BYTES_MAX */
    LOCK_WAIT_MS = 500,
};

/* Makes the folders that a path leads through, as private as XDG wants them. */
static void make_folders(const char *path)
{
    char folder[4096];
    for (const char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        const size_t length = (size_t)(slash - path);
        if (length >= sizeof folder)
            return;
        memcpy(folder, path, length);
        folder[length] = 0;
        mkdir(folder, 0700);
    }
}

/* $XDG_STATE_HOME/weir/history, or below ~/.local/state; NULL if neither is a path. */
static enum weir_status find_file(char **out, struct weir_error *err)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    const bool has_state = state != NULL && state[0] == '/'; /* others are to be ignored */
    struct bytes path = {0};
    *out = NULL;
    if (!has_state && (home == NULL || home[0] != '/'))
        return WEIR_OK;
    bytes_add_text(&path, has_state ? state : home);
    bytes_add_text(&path, has_state ? "/weir/history" : "/.local/state/weir/history");
    const enum weir_status status = bytes_check(&path, err);
    if (status == WEIR_OK)
        *out = path.data;
    else
        bytes_release(&path);
    return status;
}

/* Nobody writes to it for long. The file, or NULL. */
static FILE *open_alone(const char *path)
{
    int fd;
    const enum file_locked locked =
        file_open_locked(path, O_RDWR | O_CREAT | O_APPEND, S_IRUSR | S_IWUSR, LOCK_WAIT_MS, &fd);
    FILE *stream = locked == FILE_LOCKED ? fdopen(fd, "a+") : NULL;
    if (stream != NULL && fseek(stream, 0, SEEK_END) == 0)
        return stream;
    if (stream != NULL)
        fclose(stream);
    else if (locked != FILE_UNOPENED)
        close(fd);
    return NULL;
}

/* Where the newest lines begin that fit into both limits. */
static size_t newest(const char *text, size_t length)
{
    size_t begin = length, lines = 0;
    for (size_t at = length; at > 0 && length - at < FILE_BYTES_KEPT; at--) {
        if (text[at - 1] != '\n')
            continue;
        begin = at;
        if (lines++ == LINES_MAX)
            break;
    }
    return begin;
}

/* Puts the newest lines in the place of the file, under the first line that it had. */
static void cut(const char *path)
{
    uint8_t *data;
    size_t size;
    struct file_writer writer;
    if (file_read_all(path, 2 * FILE_BYTES_MAX, &data, &size, NULL) != WEIR_OK)
        return;
    const char *text = (const char *)data;
    const size_t begin = newest(text, size), head = strcspn(text, "\n") + 1;
    if (begin > head && file_writer_open(&writer, path, NULL) == WEIR_OK) {
        writer.is_unsynced = true; /* not worth the time of a slow disk */
        if (file_writer_put(&writer, data, head, NULL) == WEIR_OK &&
            file_writer_put(&writer, data + begin, size - begin, NULL) == WEIR_OK)
            file_writer_commit(&writer, NULL);
        file_writer_abandon(&writer);
    }
    mem_free(data);
}

/* By a list of this line alone, which libedit writes in the form of its files. */
static void append(const char *path, const char *line)
{
    HistEvent event;
    History *alone = history_init();
    FILE *stream = alone != NULL ? open_alone(path) : NULL;
    if (stream != NULL) {
        history(alone, &event, H_SETSIZE, 1);
        history(alone, &event, H_ENTER, line);
        history(alone, &event, H_SAVE_FP, stream);
        const bool is_long = fflush(stream) == 0 && ftell(stream) > FILE_BYTES_MAX;
        if (is_long)
            cut(path);
        fclose(stream); /* and with it the lock */
    }
    if (alone != NULL)
        history_end(alone);
}

enum weir_status line_history_open(struct line_history *past, struct weir_error *err)
{
    HistEvent event;
    past->lines = history_init();
    if (past->lines == NULL)
        return err_set(err, WEIR_ERR_MEMORY, "no memory for the history");
    history(past->lines, &event, H_SETSIZE, LINES_MAX);
    history(past->lines, &event, H_SETUNIQUE, 1);
    const enum weir_status status = find_file(&past->path, err);
    if (status == WEIR_OK && past->path != NULL)
        history(past->lines, &event, H_LOAD, past->path);
    return status;
}

void line_history_add(const struct line_history *past, const char *line)
{
    HistEvent event;
    const size_t length = strlen(line);
    if (length == 0 || length > LINE_BYTES_MAX)
        return;
    const bool is_new = history(past->lines, &event, H_ENTER, line) > 0;
    if (!is_new || past->path == NULL)
        return;
    make_folders(past->path);
    append(past->path, line);
}

void line_history_close(struct line_history *past)
{
    if (past->lines != NULL)
        history_end(past->lines);
    mem_free(past->path);
    *past = (struct line_history){0};
}
