/* SPDX-License-Identifier: MIT
 * Counters of hardware: those of a made-up machine, which count what the test says, and whatever
 * this one has. Run alone: build/tests/weir-test counters_ */
#include "base/counters.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "alloc.h"
#include "test.h"

#define DEVICES "/sys/bus/event_source/devices/"

enum { PATH_BYTES = 4096, FD_FIRST = 1000, FDS = COUNTERS_MAX };

/* ---- a machine ------------------------------------------------------------------------------- */

/* What was opened, and what it counts. Each call of control(true) is a second that counts. */
static struct {
    uint32_t types[FDS], opened, closed, on;
    uint64_t configs[FDS], counts[FDS];
    int cpus[FDS];
    int refused_from; /* the opening that is the first to be refused; -1: none */
    uint64_t share;   /* percent of the time that they really count */
    bool is_broken;
} machine;

static void machine_reset(void)
{
    memset(&machine, 0, sizeof machine);
    machine.refused_from = -1;
    machine.share = 100;
}

static int fake_open(uint32_t type, uint64_t config, int cpu)
{
    const uint32_t number = machine.opened;
    if (machine.refused_from >= 0 && (int)number >= machine.refused_from)
        return cpu < 0 ? -ENOENT : -EACCES;
    CHECK(number < FDS);
    machine.types[number] = type;
    machine.configs[number] = config;
    machine.cpus[number] = cpu;
    machine.opened++;
    return FD_FIRST + (int)number;
}

static bool fake_control(int fd, bool is_on)
{
    CHECK(fd >= FD_FIRST && fd < FD_FIRST + (int)machine.opened);
    machine.on += is_on;
    return !machine.is_broken;
}

static bool fake_read(int fd, uint64_t values[3])
{
    CHECK(fd >= FD_FIRST && fd < FD_FIRST + (int)machine.opened);
    values[0] = machine.counts[fd - FD_FIRST];
    values[1] = machine.on == 0 ? 0 : 1000000;
    values[2] = machine.on == 0 ? 0 : 10000 * machine.share;
    return !machine.is_broken;
}

static void fake_close(int fd)
{
    CHECK(fd >= FD_FIRST && fd < FD_FIRST + (int)machine.opened);
    machine.closed++;
}

static const struct counters_calls fake = {fake_open, fake_control, fake_read, fake_close};

static void put(const char *root, const char *device, const char *name, const char *text)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s" DEVICES "%s/%s", root, device, name);
    for (char *slash = strchr(path + strlen(root) + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *stream = fopen(path, "w");
    CHECK(stream != NULL && fputs(text, stream) >= 0 && fclose(stream) == 0);
}

/* As the kernel describes controllers of a server with two sockets. */
static void put_controller(const char *root, const char *device, const char *type)
{
    put(root, device, "type", type);
    put(root, device, "cpumask", "0,28\n");
    put(root, device, "format/event", "config:0-7\n");
    put(root, device, "format/umask", "config:8-15\n");
    put(root, device, "events/cas_count_read", "event=0x04,umask=0x03\n");
    put(root, device, "events/cas_count_read.scale", "6.103515625e-5\n");
    put(root, device, "events/cas_count_read.unit", "MiB\n");
    put(root, device, "events/cas_count_write", "event=0x04,umask=0x0c\n");
    put(root, device, "events/cas_count_write.scale", "6.103515625e-5\n");
    put(root, device, "events/cas_count_write.unit", "MiB\n");
}

static const char *tree(const char *name)
{
    const char *root = test_scratch(name);
    mkdir(root, 0700);
    return root;
}

/* ---- controllers ----------------------------------------------------------------------------- */

TEST(counters_of_controllers_add_up)
{
    static struct counters counters;
    const char *root = tree("controllers");
    uint64_t read, written, reads = 0, writes = 0;
    machine_reset();
    put_controller(root, "uncore_imc_0", "17\n");
    put_controller(root, "uncore_imc_1", "18\n");
    put(root, "uncore_imc_free_running", "type", "19\n"); /* has other events */
    put(root, "cpu", "type", "4\n");
    counters_open(&counters, &fake, root);
    CHECK_INT(counters.source, COUNTERS_CONTROLLERS);
    CHECK_INT(counters.count, 8); /* two devices, two events, two sockets */
    CHECK_TEXT(counters.why, "");
    for (uint32_t i = 0; i < 8; i++) {
        const bool is_write = machine.configs[i] == 0x0c04;
        CHECK(is_write || machine.configs[i] == 0x0304);
        CHECK(machine.types[i] == 17 || machine.types[i] == 18);
        CHECK(machine.cpus[i] == 0 || machine.cpus[i] == 28);
        machine.counts[i] = UINT64_C(1000) << i;
        *(is_write ? &writes : &reads) += machine.counts[i];
    }
    CHECK(counters_read(&counters, &read, &written)); /* never on */
    CHECK(read == 0 && written == 0);
    CHECK(counters_start(&counters));
    CHECK(counters_stop(&counters));
    CHECK_INT(machine.on, 8);
    CHECK(counters_read(&counters, &read, &written));
    CHECK_INT(read, reads * 64);
    CHECK_INT(written, writes * 64);
    machine.share = 25; /* of the time; the rest is taken to be alike */
    CHECK(counters_read(&counters, &read, &written));
    CHECK_INT(read, 4 * reads * 64);
    machine.share = 0;
    CHECK(!counters_read(&counters, &read, &written));
    counters_close(&counters);
    CHECK_INT(machine.closed, 8);
}

TEST(counters_of_clients_have_other_names)
{
    static struct counters counters;
    const char *root = tree("client");
    machine_reset();
    put(root, "uncore_imc", "type", "11\n");
    put(root, "uncore_imc", "cpumask", "0-2\n");
    put(root, "uncore_imc", "format/event", "config:0-7\n");
    put(root, "uncore_imc", "events/data_reads", "event=0x1\n");
    put(root, "uncore_imc", "events/data_writes", "event=0x2\n");
    counters_open(&counters, &fake, root);
    CHECK_INT(counters.source, COUNTERS_CONTROLLERS);
    CHECK_INT(counters.count, 6);
    CHECK_INT(machine.configs[0], 1);
    CHECK_INT(machine.configs[5], 2);
    CHECK_INT(machine.cpus[4], 1);
    CHECK(counters.items[0].bytes == 64);
    counters_close(&counters);
    CHECK_INT(machine.closed, machine.opened);
}

/* ---- less than that -------------------------------------------------------------------------- */

/* Some controllers alone would be no answer: what was opened is closed. */
TEST(counters_that_are_not_all_there_give_way_to_misses)
{
    static struct counters counters;
    uint64_t read, written;
    const char *root = tree("forbidden");
    machine_reset();
    put_controller(root, "uncore_imc_0", "17\n");
    put(root, "uncore_imc_0", "cpumask", "0,9999\n"); /* a mask that means nothing */
    counters_open(&counters, &fake, root);
    CHECK_INT(counters.source, COUNTERS_MISSES);
    CHECK_INT(machine.closed, machine.opened - 1);
    CHECK_INT(counters.count, 1);
    CHECK_INT(machine.cpus[machine.opened - 1], -1);
    CHECK_INT(machine.configs[machine.opened - 1], 3); /* PERF_COUNT_HW_CACHE_MISSES */
    machine.counts[machine.opened - 1] = 7;
    CHECK(counters_start(&counters) && counters_stop(&counters));
    CHECK(counters_read(&counters, &read, &written));
    CHECK_INT(read, 7 * 64);
    CHECK_INT(written, 0);
    machine.is_broken = true;
    CHECK(!counters_start(&counters) && !counters_stop(&counters));
    CHECK(!counters_read(&counters, &read, &written));
    counters_close(&counters);
    CHECK_INT(machine.closed, machine.opened);
}

TEST(counters_that_are_refused_say_why)
{
    static struct counters counters;
    uint64_t read, written;
    const char *root = tree("refused");
    put_controller(root, "uncore_imc_0", "17\n");
    for (int from = 0; from < 4; from++) {
        machine_reset();
        machine.refused_from = from;
        counters_open(&counters, &fake, root);
        CHECK_INT(machine.closed, machine.opened);
        /* closed ones are opened again by nobody: the machine refuses from then on */
        CHECK_INT(counters.source, COUNTERS_NONE);
        CHECK_TEXT(counters.why, "perf_event_open: No such file or directory");
        CHECK(!counters_read(&counters, &read, &written));
        counters_close(&counters);
    }
}

TEST(counters_that_are_too_many_are_refused)
{
    static struct counters counters;
    const char *root = tree("many");
    machine_reset();
    machine.refused_from = COUNTERS_MAX;
    put_controller(root, "uncore_imc_0", "17\n");
    put(root, "uncore_imc_0", "cpumask", "0-199\n");
    counters_open(&counters, &fake, root);
    CHECK_INT(counters.source, COUNTERS_NONE); /* nor is there one for misses */
    CHECK_INT(machine.closed, machine.opened);
    counters_close(&counters);
}

TEST(counters_described_wrongly_count_nothing)
{
    static const char *const faults[][2] = {
        {"events/cas_count_read", "event\n"},
        {"events/cas_count_read", "event=x\n"},
        {"events/cas_count_write", "event=0x04 \n"},
        {"events/cas_count_write", "other=1\n"},
        {"format/umask", "config1:0\n"},
        {"format/event", "config:64\n"},
        {"cpumask", ""},
    };
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        static struct counters counters;
        char name[32];
        snprintf(name, sizeof name, "wrong%zu", i);
        const char *root = tree(name);
        machine_reset();
        put_controller(root, "uncore_imc_0", "17\n");
        put(root, "uncore_imc_0", faults[i][0], faults[i][1]);
        counters_open(&counters, &fake, root);
        CHECK_INT(counters.source, COUNTERS_MISSES);
        CHECK_INT(machine.opened, 1);
        counters_close(&counters);
        put_controller(root, "uncore_imc_1", "18\n"); /* it alone would be a part of the answer */
        counters_open(&counters, &fake, root);
        CHECK_INT(counters.source, COUNTERS_MISSES);
        counters_close(&counters);
        CHECK_INT(machine.closed, machine.opened);
    }
}

/* ---- this machine ---------------------------------------------------------------------------- */

TEST(counters_of_this_machine_count_or_say_why)
{
    static struct counters counters;
    static volatile uint8_t memory[1 << 20];
    uint64_t read, written;
    const struct alloc_live before = alloc_live();
    counters_open(&counters, NULL, "");
    CHECK((counters.source == COUNTERS_NONE) == (counters.why[0] != 0));
    CHECK((counters.source == COUNTERS_NONE) == (counters.count == 0));
    CHECK(counters_start(&counters));
    for (size_t i = 0; i < sizeof memory; i++)
        memory[i] = (uint8_t)i;
    CHECK(counters_stop(&counters));
    if (counters.source == COUNTERS_NONE)
        CHECK(!counters_read(&counters, &read, &written));
    counters_close(&counters);
    CHECK_INT(alloc_live().files, before.files);
}
