/* SPDX-License-Identifier: MIT
 * What is said of counted bytes: a made-up counter counts, the text is compared.
 * Run alone: build/tests/weir-test counted_ */
#include "app/profile_counted.h"

#include <stdlib.h>
#include <string.h>

#include "test.h"

enum { FD = 7 };

/* Of a counter of misses; reads of it. */
static uint64_t count;
static bool is_broken, is_idle;

static int fake_open(uint32_t type, uint64_t config, int cpu)
{
    (void)type, (void)config, (void)cpu;
    return FD;
}

static bool fake_control(int fd, bool is_on)
{
    CHECK_INT(fd, FD);
    count += is_on ? 1000 : 0; /* a run */
    return !is_broken;
}

static bool fake_read(int fd, uint64_t values[3])
{
    CHECK_INT(fd, FD);
    values[0] = count;
    values[1] = 5;
    values[2] = is_idle ? 0 : 5;
    return true;
}

static void fake_close(int fd)
{
    CHECK_INT(fd, FD);
}

static const struct counters_calls fake = {fake_open, fake_control, fake_read, fake_close};

static const char *text_of(const struct profile_counted *counted, bool is_json)
{
    static char text[512];
    const char *path = test_scratch("counted.txt");
    struct output output;
    struct weir_error err = {0};
    size_t size;
    CHECK_OK(output_open(&output, path, &err), &err);
    if (is_json)
        profile_counted_json(counted, &output);
    else
        profile_counted_print(counted, 100000, 4000000, &output);
    CHECK_OK(output_finish(&output, &err), &err);
    uint8_t *data = test_read_file(path, &size);
    CHECK(size < sizeof text);
    memcpy(text, data, size);
    text[size] = 0;
    free(data);
    return text;
}

TEST(counted_is_the_mean_of_the_runs)
{
    static struct counters counters;
    struct profile_counting counting;
    counters_open(&counters, &fake, test_scratch("no-machine"));
    CHECK_INT(counters.source, COUNTERS_MISSES);
    count = 12345; /* of what ran before */
    is_broken = false;
    profile_counting_begin(&counting, &counters);
    for (int run = 0; run < 4; run++) {
        profile_counting_start(&counting);
        profile_counting_stop(&counting);
    }
    struct profile_counted counted = profile_counting_end(&counting, 4);
    CHECK_INT(counted.source, COUNTERS_MISSES);
    CHECK_INT(counted.read, 64000);
    CHECK_INT(counted.written, 0);
    is_broken = true;
    profile_counting_begin(&counting, &counters);
    profile_counting_start(&counting);
    is_broken = false;
    profile_counting_stop(&counting);
    counted = profile_counting_end(&counting, 1);
    CHECK_INT(counted.source, COUNTERS_NONE);
    CHECK_TEXT(text_of(&counted, false),
               "counters counted nothing: the system refused to start them\n");
    CHECK_TEXT(text_of(&counted, true), "null");
    profile_counting_begin(&counting, &counters);
    profile_counting_start(&counting);
    is_broken = true;
    profile_counting_stop(&counting);
    counted = profile_counting_end(&counting, 1);
    CHECK_TEXT(text_of(&counted, false),
               "counters counted nothing: the system refused to stop them\n");
    is_broken = false;
    profile_counting_begin(&counting, &counters);
    is_idle = true; /* other events had the counters all the time */
    counted = profile_counting_end(&counting, 1);
    is_idle = false;
    CHECK_TEXT(text_of(&counted, false),
               "counters counted nothing: the system refused to read them, or gave them no time\n");
    counters_close(&counters);
}

TEST(counted_of_nothing_is_nothing)
{
    struct profile_counting counting;
    profile_counting_begin(&counting, NULL);
    profile_counting_start(&counting);
    profile_counting_stop(&counting);
    const struct profile_counted counted = profile_counting_end(&counting, 3);
    CHECK_INT(counted.source, COUNTERS_NONE);
    CHECK_TEXT(text_of(&counted, false), "");
    CHECK_TEXT(text_of(&counted, true), "null");
}

TEST(counted_stands_beside_touched)
{
    const struct profile_counted misses = {COUNTERS_MISSES, 125000, 0, NULL};
    const struct profile_counted both = {COUNTERS_CONTROLLERS, 95000, 5000000, NULL};
    CHECK_TEXT(text_of(&misses, false), "counted by misses of the last cache: 0.125 MB read "
                                        "(+25.0%); touched: 0.100 MB read, 4.000 MB written\n");
    CHECK_TEXT(
        text_of(&both, false),
        "counted by memory controllers of the whole machine: 0.095 MB read (-5.0%), 5.000 MB "
        "written (+25.0%); touched: 0.100 MB read, 4.000 MB written\n");
    CHECK_TEXT(text_of(&misses, true),
               "{\"source\": \"misses\", \"read_bytes\": 125000, \"write_bytes\": null}");
    CHECK_TEXT(text_of(&both, true),
               "{\"source\": \"controllers\", \"read_bytes\": 95000, \"write_bytes\": 5000000}");
}
