/* SPDX-License-Identifier: MIT
 * Events as perf_event_open(2) has them, and as the kernel describes those of memory controllers
 * below /sys/bus/event_source/devices (ABI/testing/sysfs-bus-event_source-devices-*). */
#include "base/counters.h"

#include <dirent.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DEVICES "/sys/bus/event_source/devices"

enum { PATH_BYTES = 4096, TEXT_BYTES = 256, LINE_BYTES = 64, CPUS_MAX = 4096 };

/* ---- the system ------------------------------------------------------------------------------ */

static int system_open(uint32_t type, uint64_t config, int cpu)
{
    struct perf_event_attr attr = {
        .type = type,
        .size = sizeof attr,
        .config = config,
        .read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING,
        .disabled = 1,
        .inherit = cpu < 0,
        .exclude_kernel = cpu < 0, /* what is left to programs without privileges */
        .exclude_hv = cpu < 0,
    };
    const long fd =
        syscall(SYS_perf_event_open, &attr, cpu < 0 ? 0 : -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
    return fd < 0 ? -errno : (int)fd;
}

static bool system_control(int fd, bool is_on)
{
    return ioctl(fd, is_on ? PERF_EVENT_IOC_ENABLE : PERF_EVENT_IOC_DISABLE, 0) == 0;
}

static bool system_read(int fd, uint64_t values[3])
{
    const ssize_t size = 3 * sizeof *values;
    return read(fd, values, (size_t)size) == size;
}

static void system_close(int fd)
{
    close(fd);
}

static const struct counters_calls system_calls = {system_open, system_control, system_read,
                                                   system_close};

/* ---- descriptions ---------------------------------------------------------------------------- */

/* The first line of a file of a device; false if it is missing or too long. */
static bool read_line(const char *root, const char *device, const char *name, char text[TEXT_BYTES])
{
    char path[PATH_BYTES];
    const int length = snprintf(path, sizeof path, "%s" DEVICES "/%s/%s", root, device, name);
    FILE *stream = length < (int)sizeof path ? fopen(path, "r") : NULL;
    if (stream == NULL)
        return false;
    const bool is_read = fgets(text, TEXT_BYTES, stream) != NULL;
    fclose(stream);
    const size_t end = is_read ? strcspn(text, "\n") : 0;
    const bool is_whole = is_read && end < TEXT_BYTES - 1;
    if (is_whole)
        text[end] = 0;
    return is_whole;
}

/* Where a term stands: "config:8-15" or "config:8" gives 8. */
static bool find_bit(const char *root, const char *device, const char *term, unsigned *bit)
{
    char name[TEXT_BYTES], text[TEXT_BYTES];
    snprintf(name, sizeof name, "format/%.64s", term);
    return read_line(root, device, name, text) && sscanf(text, "config:%u", bit) == 1 && *bit < 64;
}

/* An event "event=0x04,umask=0x03" as the number that perf_event_open takes. */
static bool find_config(const char *root, const char *device, const char *event, uint64_t *config)
{
    char name[TEXT_BYTES], text[TEXT_BYTES], *rest = text;
    snprintf(name, sizeof name, "events/%s", event);
    *config = 0;
    if (!read_line(root, device, name, text))
        return false;
    for (char *term = strsep(&rest, ","); term != NULL; term = strsep(&rest, ",")) {
        unsigned bit;
        char *value = strchr(term, '='), *end = value;
        if (value == NULL)
            return false;
        *value++ = 0;
        const uint64_t number = strtoull(value, &end, 0);
        if (end == value || *end != 0 || !find_bit(root, device, term, &bit))
            return false;
        *config |= number << bit;
    }
    return true;
}

/* Of an event with "6.103515625e-5" as scale and "MiB" as unit; a line where nothing is said. */
static double find_bytes(const char *root, const char *device, const char *event)
{
    char name[TEXT_BYTES], text[TEXT_BYTES];
    snprintf(name, sizeof name, "events/%s.scale", event);
    const double scale = read_line(root, device, name, text) ? strtod(text, NULL) : 0;
    snprintf(name, sizeof name, "events/%s.unit", event);
    const bool is_mebi = read_line(root, device, name, text) && strcmp(text, "MiB") == 0;
    return is_mebi && scale > 0 && scale < 1 ? scale * (1 << 20) : LINE_BYTES;
}

/* ---- memory controllers ---------------------------------------------------------------------- */

static void close_all(struct counters *counters)
{
    for (uint32_t i = 0; i < counters->count; i++)
        counters->calls->close(counters->items[i].fd);
    counters->count = 0;
    counters->source = COUNTERS_NONE;
}

static bool add(struct counters *counters, uint32_t type, uint64_t config, int cpu,
                const struct counter *counter)
{
    if (counters->count == COUNTERS_MAX) {
        snprintf(counters->why, sizeof counters->why, "more than %d counters", COUNTERS_MAX);
        return false;
    }
    const int fd = counters->calls->open(type, config, cpu);
    if (fd < 0) {
        snprintf(counters->why, sizeof counters->why, "perf_event_open: %s", strerror(-fd));
        return false;
    }
    counters->items[counters->count] = *counter;
    counters->items[counters->count++].fd = fd;
    return true;
}

/* On each processor of a mask "0,28" or "0-1", one for each socket. */
static bool add_on(struct counters *counters, uint32_t type, uint64_t config, const char *mask,
                   const struct counter *counter)
{
    unsigned first, last;
    int used;
    for (const char *at = mask; *at != 0; at += *at == ',') {
        if (sscanf(at, "%u%n", &first, &used) != 1)
            return false;
        at += used;
        last = first;
        if (*at == '-' && sscanf(at, "-%u%n", &last, &used) == 1)
            at += used;
        if ((*at != 0 && *at != ',') || last >= CPUS_MAX)
            return false;
        for (unsigned cpu = first; cpu <= last; cpu++) {
            if (!add(counters, type, config, (int)cpu, counter))
                return false;
        }
    }
    return true;
}

static bool has_event(const char *root, const char *device, const char *event)
{
    char path[PATH_BYTES];
    const int length =
        snprintf(path, sizeof path, "%s" DEVICES "/%s/events/%s", root, device, event);
    return length < (int)sizeof path && access(path, F_OK) == 0;
}

/* Both events of a device. One that has neither counts nothing, which is no failure; one that is
 * described in another way than is known here would be left out of the sum, which is one. */
static bool add_device(struct counters *counters, const char *root, const char *device,
                       const char *const events[2])
{
    char type[TEXT_BYTES], mask[TEXT_BYTES];
    uint64_t config[2];
    if (!has_event(root, device, events[0]) && !has_event(root, device, events[1]))
        return true;
    if (!read_line(root, device, "type", type) || !read_line(root, device, "cpumask", mask) ||
        !find_config(root, device, events[0], &config[0]) ||
        !find_config(root, device, events[1], &config[1])) {
        snprintf(counters->why, sizeof counters->why, "%.64s is described in an unknown way",
                 device);
        return false;
    }
    for (int i = 0; i < 2; i++) {
        const struct counter counter = {.is_write = i == 1,
                                        .bytes = find_bytes(root, device, events[i])};
        if (!add_on(counters, (uint32_t)strtoul(type, NULL, 10), config[i], mask, &counter))
            return false;
    }
    return true;
}

static bool add_devices(struct counters *counters, const char *root, const char *const events[2])
{
    char path[PATH_BYTES];
    bool is_complete = true;
    snprintf(path, sizeof path, "%s" DEVICES, root);
    DIR *folder = opendir(path);
    if (folder == NULL)
        return false;
    for (struct dirent *entry = readdir(folder); entry != NULL && is_complete;
         entry = readdir(folder)) {
        if (strncmp(entry->d_name, "uncore_imc", strlen("uncore_imc")) == 0)
            is_complete = add_device(counters, root, entry->d_name, events);
    }
    closedir(folder);
    return is_complete && counters->count > 0;
}

/* All controllers, or none: a part would be no answer. Servers have the first pair of names; others
 * the second, or the third where the counters are always on. */
static bool open_controllers(struct counters *counters, const char *root)
{
    static const char *const names[][2] = {{"cas_count_read", "cas_count_write"},
                                           {"data_reads", "data_writes"},
                                           {"data_read", "data_write"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (add_devices(counters, root, names[i])) {
            counters->source = COUNTERS_CONTROLLERS;
            return true;
        }
        close_all(counters);
    }
    return false;
}

static bool open_misses(struct counters *counters)
{
    const struct counter misses = {.bytes = LINE_BYTES};
    if (!add(counters, PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES, -1, &misses))
        return false;
    counters->source = COUNTERS_MISSES;
    return true;
}

/* ---- using them ------------------------------------------------------------------------------ */

void counters_open(struct counters *counters, const struct counters_calls *calls, const char *root)
{
    counters->source = COUNTERS_NONE;
    counters->calls = calls == NULL ? &system_calls : calls;
    counters->count = 0;
    counters->why[0] = 0;
    if (open_controllers(counters, root) || open_misses(counters))
        counters->why[0] = 0;
}

void counters_close(struct counters *counters)
{
    if (counters->calls != NULL)
        close_all(counters);
}

static bool control_all(const struct counters *counters, bool is_on)
{
    bool is_done = true;
    for (uint32_t i = 0; i < counters->count; i++)
        is_done &= counters->calls->control(counters->items[i].fd, is_on);
    return is_done;
}

bool counters_start(const struct counters *counters)
{
    return control_all(counters, true);
}

bool counters_stop(const struct counters *counters)
{
    return control_all(counters, false);
}

bool counters_read(const struct counters *counters, uint64_t *read, uint64_t *written)
{
    double bytes[2] = {0, 0};
    for (uint32_t i = 0; i < counters->count; i++) {
        const struct counter *counter = &counters->items[i];
        uint64_t values[3];
        if (!counters->calls->read(counter->fd, values) || (values[1] > 0 && values[2] == 0))
            return false;
        if (values[2] > 0) /* else it was never on */
            bytes[counter->is_write] +=
                (double)values[0] * counter->bytes * ((double)values[1] / (double)values[2]);
    }
    *read = (uint64_t)bytes[0];
    *written = (uint64_t)bytes[1];
    return counters->count > 0;
}

const char *counters_name(enum counters_source source)
{
    switch (source) {
    case COUNTERS_NONE: break;
    case COUNTERS_CONTROLLERS: return "memory controllers of the whole machine";
    case COUNTERS_MISSES: return "misses of the last cache";
    }
    return "nothing";
}
