/* SPDX-License-Identifier: MIT
 * Standard error. Knows no command. */
#include "app/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/interrupt.h"
#include "base/clock.h"
#include "base/err.h"

/* By enum weir_log_level: the letter of --log-prefix and the colour. */
static const struct {
    char letter;
    const char *color;
} level_marks[] = {
    {'O', ""}, {'E', "\033[31m"}, {'W', "\033[35m"}, {'I', ""}, {'T', "\033[2m"},
};

static const char *const stage_names[] = {
    [WEIR_STAGE_LOAD] = "loading",
    [WEIR_STAGE_PREFILL] = "prefill",
    [WEIR_STAGE_WRITE] = "writing",
};

enum weir_status log_open(struct log *log, const struct log_options *options,
                          struct weir_error *err)
{
    *log = (struct log){
        .options = *options,
        .start_ns = clock_ns(),
        .terminal = isatty(STDERR_FILENO) != 0,
    };
    if (log->options.disabled)
        log->options.level = 0;
    if (options->file == NULL)
        return WEIR_OK;
    log->file = fopen(options->file, "w");
    if (log->file == NULL)
        return err_set(err, WEIR_ERR_IO, "--log-file: %s: cannot create: %s", options->file,
                       strerror(errno));
    setvbuf(log->file, NULL, _IOLBF, BUFSIZ); /* who reads along wants whole lines, soon */
    return WEIR_OK;
}

void log_progress_end(struct log *log)
{
    if (log->progress[0] != 0)
        fputs("\r\033[K", stderr);
    log->progress[0] = 0;
}

void log_close(struct log *log)
{
    log_progress_end(log);
    if (log->file != NULL)
        fclose(log->file);
    log->file = NULL;
}

static void write_line(const struct log *log, FILE *stream, enum weir_log_level level, bool color,
                       const char *line)
{
    const bool marked = color && level_marks[level].color[0] != 0;
    if (marked)
        fputs(level_marks[level].color, stream);
    if (log->options.timestamps) {
        const uint64_t us = (clock_ns() - log->start_ns) / 1000;
        fprintf(stream, "%llu.%02llu.%03llu.%03llu ", (unsigned long long)(us / 60000000),
                (unsigned long long)(us / 1000000 % 60), (unsigned long long)(us / 1000 % 1000),
                (unsigned long long)(us % 1000));
    }
    if (log->options.prefix)
        fprintf(stream, "%c ", level_marks[level].letter);
    fprintf(stream, "%s%s\n", line, marked ? "\033[0m" : "");
}

static bool is_repeated(struct log *log, enum weir_log_level level, const char *line)
{
    if (level != WEIR_LOG_WARNING)
        return false;
    const bool result = strcmp(log->warning, line) == 0;
    snprintf(log->warning, sizeof log->warning, "%s", line);
    return result;
}

void log_sink(void *user, enum weir_log_level level, const char *line)
{
    struct log *log = user;
    if ((int)level > log->options.level || is_repeated(log, level, line))
        return;
    log_progress_end(log);
    const bool color =
        log->options.colors == WEIR_ON || (log->options.colors == WEIR_AUTO && log->terminal);
    if (!log->info_muted || level != WEIR_LOG_INFO)
        write_line(log, stderr, level, color, line);
    if (log->file != NULL)
        write_line(log, log->file, level, false, line);
}

void log_print(struct log *log, enum weir_log_level level, const char *format, ...)
{
    char line[LOG_LINE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    log_sink(log, level, line);
}

void log_error(struct log *log, const char *text)
{
    log_progress_end(log);
    fprintf(stderr, "error: %s\n", text);
    if (log->file != NULL)
        fprintf(log->file, "error: %s\n", text);
}

void log_progress_show(struct log *log, enum weir_stage stage, uint64_t done, uint64_t total)
{
    if (!log->terminal || log->options.level < WEIR_LOG_INFO || total == 0)
        return;
    char line[sizeof log->progress] = "";
    if (done < total && stage == WEIR_STAGE_PREFILL)
        snprintf(line, sizeof line, "%s %llu / %llu tokens", stage_names[stage],
                 (unsigned long long)done, (unsigned long long)total);
    else if (done < total)
        snprintf(line, sizeof line, "%s %.0f%%", stage_names[stage],
                 100.0 * (double)done / (double)total);
    if (strcmp(line, log->progress) == 0)
        return;
    log_progress_end(log);
    fputs(line, stderr);
    memcpy(log->progress, line, sizeof line);
}

bool log_progress(void *user, enum weir_stage stage, uint64_t done, uint64_t total)
{
    struct log *log = user;
    if (stage == WEIR_STAGE_PREFILL && log->prefill_total > 0) {
        done += log->prefill_done;
        total = log->prefill_total;
    }
    const bool is_uncut = stage == WEIR_STAGE_PREFILL && total <= log->uncut_max;
    /* The steps of generation are prefills of one token, and not worth a line. */
    if (!log->progress_muted && !is_uncut && !(stage == WEIR_STAGE_PREFILL && total <= 1))
        log_progress_show(log, stage, done, total);
    return is_uncut || !interrupt_requested();
}
