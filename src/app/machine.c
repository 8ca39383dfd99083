/* SPDX-License-Identifier: MIT
 * The machine's peaks and their file:
 *     weir-probe 2
 *     processor NAME
 *     threads N
 *     read THREADS WAY MEDIAN SPREAD         GB/s, a line for each number of threads
 *     peak TYPE NAME MEDIAN SPREAD           10^9 operations a second, a line for each
 *     end
 * $XDG_CACHE_HOME/weir/probe-HASH.txt, or ~/.cache/weir: the hash, of processor and threads, lets
 * machines share a home. */
#include "app/machine.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "app/interrupt.h"
#include "app/other_work.h"
#include "base/cpu.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"

_Static_assert(PROBE_NAME_MAX == 24, "as parse_peak and parse_read read names");

enum { PATH_BYTES = 4096, FILE_BYTES_MAX = 16384, PROCESSOR_BYTES = 128 };

struct machine {
    char processor[PROCESSOR_BYTES];
    uint32_t threads;
    char folder[PATH_BYTES];       /* "" if there is none to keep files in */
    char path[MACHINE_PATH_BYTES]; /* of the file */
};

/* ---- the file's place ------------------------------------------------------------------------ */

static void name_folder(struct machine *machine)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    const bool has_cache = cache != NULL && cache[0] == '/'; /* others are to be ignored */
    int length = 0;
    if (has_cache)
        length = snprintf(machine->folder, PATH_BYTES, "%s/weir", cache);
    else if (home != NULL && home[0] == '/')
        length = snprintf(machine->folder, PATH_BYTES, "%s/.cache/weir", home);
    if (length <= 0 || length >= PATH_BYTES)
        machine->folder[0] = 0;
}

static void name_machine(struct machine *machine, uint32_t threads)
{
    *machine = (struct machine){.threads = threads};
    cpu_name(machine->processor, sizeof machine->processor);
    uint64_t hash = threads;
    for (const char *c = machine->processor; *c != 0; c++)
        hash = rng_mix(hash ^ (uint8_t)*c);
    name_folder(machine);
    snprintf(machine->path, sizeof machine->path, "%s/probe-%08x.txt", machine->folder,
             (unsigned)(hash >> 32));
}

/* ---- reading --------------------------------------------------------------------------------- */

static bool is_rate(const struct probe_rate *rate)
{
    return isfinite(rate->median) && rate->median > 0 && rate->median < 1e9 &&
           isfinite(rate->spread) && rate->spread >= 0;
}

static bool parse_way(const char *name, enum probe_way *out)
{
    for (int way = 0; way < PROBE_WAYS; way++) {
        *out = (enum probe_way)way;
        if (strcmp(name, probe_way_name(*out)) == 0)
            return true;
    }
    return false;
}

/* Behind "read ". The numbers of threads ascend. */
static bool parse_read(struct probe *probe, const char *text)
{
    struct probe_read read;
    char way[PROBE_NAME_MAX];
    int used = 0;
    const uint32_t before =
        probe->reads_count == 0 ? 0 : probe->reads[probe->reads_count - 1].threads;
    if (probe->reads_count == PROBE_READS_MAX)
        return false;
    if (sscanf(text, "%u %23s %lf %lf%n", &read.threads, way, &read.rate.median, &read.rate.spread,
               &used) != 4 ||
        text[used] != 0 || !parse_way(way, &read.way))
        return false;
    probe->reads[probe->reads_count++] = read;
    return read.threads > before && read.threads <= probe->threads && is_rate(&read.rate);
}

static bool parse_peak(struct probe *probe, const char *text)
{
    struct probe_peak peak;
    int used = 0;
    if (probe->peaks_count == PROBE_PEAKS_MAX)
        return false;
    if (sscanf(text, "%23s %23s %lf %lf%n", peak.type, peak.name, &peak.rate.median,
               &peak.rate.spread, &used) != 4 ||
        text[used] != 0)
        return false;
    probe->peaks[probe->peaks_count++] = peak;
    return is_rate(&peak.rate);
}

/* Passes the line that *text begins with and ends it with a zero; NULL if no newline ends it. */
static char *next_line(char **text)
{
    char *line = *text, *end = strchr(line, '\n');
    if (end == NULL)
        return NULL;
    *end = 0;
    *text = end + 1;
    return line;
}

/* The first lines: they name this machine. */
static bool parse_head(const struct machine *machine, char **text)
{
    char head[3][PROCESSOR_BYTES + 16];
    snprintf(head[0], sizeof head[0], "weir-probe 2");
    snprintf(head[1], sizeof head[1], "processor %s", machine->processor);
    snprintf(head[2], sizeof head[2], "threads %u", machine->threads);
    for (int i = 0; i < 3; i++) {
        const char *line = next_line(text);
        if (line == NULL || strcmp(line, head[i]) != 0)
            return false;
    }
    return true;
}

/* False unless the text is a whole file of this machine. */
static bool parse_probe(const struct machine *machine, struct probe *probe, char *text)
{
    *probe = (struct probe){.threads = machine->threads};
    if (!parse_head(machine, &text))
        return false;
    for (;;) {
        const char *line = next_line(&text);
        if (line == NULL)
            return false;
        if (strcmp(line, "end") == 0)
            return *text == 0 && probe->reads_count > 0 && probe->peaks_count > 0;
        const bool is_read = strncmp(line, "read ", 5) == 0 && parse_read(probe, line + 5);
        const bool is_peak = strncmp(line, "peak ", 5) == 0 && parse_peak(probe, line + 5);
        if (!is_read && !is_peak)
            return false;
    }
}

static bool read_kept(const struct machine *machine, struct probe *probe)
{
    uint8_t *data;
    size_t size;
    if (machine->folder[0] == 0 ||
        file_read_all(machine->path, FILE_BYTES_MAX, &data, &size, NULL) != WEIR_OK)
        return false;
    const bool is_whole = strlen((char *)data) == size && parse_probe(machine, probe, (char *)data);
    mem_free(data);
    return is_whole;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* The folder and the one that it stands in, as far as they are missing. */
static enum weir_status make_folder(const struct machine *machine, struct weir_error *err)
{
    char parent[PATH_BYTES];
    snprintf(parent, sizeof parent, "%s", machine->folder);
    *strrchr(parent, '/') = 0;
    mkdir(parent, 0700);
    if (mkdir(machine->folder, 0700) != 0 && errno != EEXIST)
        return err_set(err, WEIR_ERR_IO, "%s: cannot create: %s", machine->folder, strerror(errno));
    return WEIR_OK;
}

static void format_probe(const struct machine *machine, const struct probe *probe, FILE *stream)
{
    fprintf(stream, "weir-probe 2\nprocessor %s\nthreads %u\n", machine->processor,
            machine->threads);
    for (uint32_t i = 0; i < probe->reads_count; i++) {
        const struct probe_read *read = &probe->reads[i];
        fprintf(stream, "read %u %s %.4f %.2f\n", read->threads, probe_way_name(read->way),
                read->rate.median, read->rate.spread);
    }
    for (uint32_t i = 0; i < probe->peaks_count; i++) {
        const struct probe_peak *peak = &probe->peaks[i];
        fprintf(stream, "peak %s %s %.4f %.2f\n", peak->type, peak->name, peak->rate.median,
                peak->rate.spread);
    }
    fprintf(stream, "end\n");
}

static enum weir_status keep(const struct machine *machine, const struct probe *probe,
                             struct weir_error *err)
{
    struct file_writer writer = {0};
    enum weir_status status;
    if (machine->folder[0] == 0)
        return err_set(err, WEIR_ERR_IO, "neither XDG_CACHE_HOME nor HOME names a folder");
    TRY(make_folder(machine, err));
    TRY(file_writer_open(&writer, machine->path, err));
    format_probe(machine, probe, writer.stream);
    if (ferror(writer.stream))
        TRY(err_set(err, WEIR_ERR_IO, "%s: cannot write", machine->path));
    TRY(file_writer_commit(&writer, err));
out:
    file_writer_abandon(&writer);
    return status;
}

/* ---- the whole ------------------------------------------------------------------------------- */

bool machine_kept(struct probe *out, uint32_t threads)
{
    struct machine machine;
    name_machine(&machine, threads);
    return read_kept(&machine, out);
}

static bool proceed(void)
{
    return !interrupt_requested();
}

static void warn_of_others(const struct machine_measured *measured, struct log *log)
{
    log_print(log, WEIR_LOG_WARNING,
              "warning: other work took %.0f%% of the processors' time while the machine was "
              "measured, so its peaks come out too low: measure again, by weir bench --probe, when "
              "it is idle",
              100 * measured->others);
}

enum weir_status machine_measure(struct machine_measured *out, uint32_t threads, struct log *log,
                                 struct weir_error *err)
{
    struct machine machine;
    struct weir_error inner = {0};
    *out = (struct machine_measured){.is_kept = false};
    name_machine(&machine, threads);
    snprintf(out->path, sizeof out->path, "%s", machine.path);
    out->has_before = read_kept(&machine, &out->before);
    log_print(log, WEIR_LOG_INFO, "measuring the machine, which takes some seconds");
    const struct other_work start = other_work_start();
    const enum weir_status status = probe_measure(&out->now, threads, proceed, err);
    if (status != WEIR_OK)
        return status;
    out->others = other_work_since(&start);
    out->is_busy = out->others > MACHINE_IDLE_PERCENT / 100.0;
    if (out->is_busy)
        warn_of_others(out, log);
    if (out->is_busy && out->has_before)
        return WEIR_OK;
    out->is_kept = keep(&machine, &out->now, &inner) == WEIR_OK;
    if (!out->is_kept)
        log_print(log, WEIR_LOG_WARNING, "warning: the machine's peaks are not kept: %s",
                  inner.text);
    return WEIR_OK;
}

enum weir_status machine_probe(struct probe *out, uint32_t threads, struct log *log,
                               struct weir_error *err)
{
    struct machine_measured measured;
    if (machine_kept(out, threads))
        return WEIR_OK;
    const enum weir_status status = machine_measure(&measured, threads, log, err);
    if (status == WEIR_OK)
        *out = measured.now;
    return status;
}
