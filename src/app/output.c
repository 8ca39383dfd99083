/* SPDX-License-Identifier: MIT
 * Results. Knows no command. */
#include "app/output.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/utf8.h"

enum { OUTPUT_LINE_MAX = 1024 };

enum weir_status output_check_target(const char *target, const char *input, struct weir_error *err)
{
    const bool is_file = target != NULL && strcmp(target, "-") != 0;
    if (!is_file || input == NULL || strcmp(input, "-") == 0 || !file_is_same(target, input))
        return WEIR_OK;
    return err_set(err, WEIR_ERR_ARGUMENT, "%s: is read from, so it cannot be written to", target);
}

enum weir_status output_check_file(const char *path, struct weir_error *err)
{
    if (path == NULL || strcmp(path, "-") != 0)
        return WEIR_OK;
    return err_set(err, WEIR_ERR_ARGUMENT,
                   "-: this cannot be written to standard output; name a file (./- is one)");
}

enum weir_status output_open(struct output *output, const char *path, struct weir_error *err)
{
    *output = (struct output){.stream = stdout};
    if (path == NULL || strcmp(path, "-") == 0)
        return WEIR_OK;
    output->stream = NULL;
    const enum weir_status status = file_writer_open(&output->writer, path, err);
    if (status != WEIR_OK)
        return status;
    output->is_file = true;
    output->stream = output->writer.stream;
    return WEIR_OK;
}

void output_open_errors(struct output *output)
{
    *output = (struct output){.stream = stderr};
}

/* A reader that has gone away, as behind `| head`, wants no more: that is no error to tell of. */
static void fail(struct output *output)
{
    if (errno == EPIPE && !output->is_file) {
        err_set(&output->err, WEIR_ERR_CANCELLED, "the reader has gone away");
        return;
    }
    err_set(&output->err, WEIR_ERR_IO, "%s: cannot write: %s",
            output->is_file            ? output->writer.path
            : output->stream == stderr ? "standard error"
                                       : "standard output",
            strerror(errno));
}

void output_in_script(struct output *output, bool is_script)
{
    output->is_script = is_script;
}

static void put_bytes(struct output *output, const char *data, size_t size)
{
    if (output->err.status != WEIR_OK || size == 0)
        return;
    if (fwrite(data, 1, size, output->stream) != size)
        fail(output);
}

static void put_script(struct output *output, const char *data, size_t size)
{
    size_t begin = 0;
    for (size_t i = 0; i < size; i++) {
        if (data[i] != '<')
            continue;
        put_bytes(output, data + begin, i - begin);
        put_bytes(output, "\\u003c", 6);
        begin = i + 1;
    }
    put_bytes(output, data + begin, size - begin);
}

int output_columns(const struct output *output, int most)
{
    struct winsize size;
    const int file = output->is_file ? -1 : fileno(output->stream);
    if (file < 0 || isatty(file) == 0 || ioctl(file, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return most;
    return size.ws_col < most ? size.ws_col : most;
}

void output_put(struct output *output, const void *data, size_t size)
{
    if (output->is_script)
        put_script(output, data, size);
    else
        put_bytes(output, data, size);
}

void output_sink(void *user, const char *text, size_t length)
{
    output_put(user, text, length);
}

void output_print(struct output *output, const char *format, ...)
{
    char line[OUTPUT_LINE_MAX];
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (length > 0)
        output_put(output, line, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
}

/* Writes the character that the text begins with; returns its bytes. */
static size_t put_json_character(struct output *output, const char *text, size_t length)
{
    static const char letters[] = "btnfr\"\\", bytes[] = "\b\t\n\f\r\"\\";
    const char *const known = *text == 0 ? NULL : strchr(bytes, *text);
    const struct utf8_sequence sequence = utf8_sequence((const uint8_t *)text, length);
    if (known != NULL)
        output_print(output, "\\%c", letters[known - bytes]);
    else if ((unsigned char)*text < 0x20)
        output_print(output, "\\u%04x", *text);
    else if (sequence.state != UTF8_COMPLETE)
        output_print(output, "\\ufffd");
    else
        output_put(output, text, sequence.length);
    return sequence.state == UTF8_COMPLETE ? sequence.length : 1;
}

void output_json_bytes(struct output *output, const char *text, size_t length)
{
    output_print(output, "\"");
    for (size_t at = 0; at < length;)
        at += put_json_character(output, text + at, length - at);
    output_print(output, "\"");
}

void output_json_text(struct output *output, const char *text)
{
    output_json_bytes(output, text, strlen(text));
}

void output_flush(struct output *output)
{
    if (output->err.status == WEIR_OK && fflush(output->stream) != 0)
        fail(output);
}

enum weir_status output_failed(const struct output *output, struct weir_error *err)
{
    if (output->err.status != WEIR_OK)
        err_set(err, output->err.status, "%s", output->err.text);
    return output->err.status;
}

enum weir_status output_finish(struct output *output, struct weir_error *err)
{
    output_flush(output);
    enum weir_status status = output_failed(output, err);
    if (status == WEIR_OK && output->is_file)
        status = file_writer_commit(&output->writer, err);
    output_abandon(output);
    return status;
}

void output_abandon(struct output *output)
{
    if (output->is_file)
        file_writer_abandon(&output->writer);
    output->is_file = false;
    output->stream = NULL;
}
