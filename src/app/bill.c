/* SPDX-License-Identifier: MIT
 * The arithmetic of bytes and time that run, bench and profile share. Knows no op. */
#include "app/bill.h"

#include "app/machine.h"
#include "app/profile_sums.h"
#include "base/cpu.h"
#include "base/err.h"

uint64_t bill_bytes(const struct weir_traffic *traffic)
{
    return profile_sum_classes(traffic->read) + profile_sum_classes(traffic->written);
}

double bill_rate(uint64_t bytes, double ns)
{
    return (double)bytes / ns;
}

static void divide(struct weir_traffic *sum, uint64_t tokens)
{
    for (int class = 0; class < WEIR_TRAFFIC_CLASSES; class ++) {
        sum->read[class] /= tokens;
        sum->written[class] /= tokens;
    }
}

enum weir_status bill_make(struct bill *bill, const struct round_makers *makers, uint32_t cached,
                           const struct weir_speculator_info *rounds, double ns,
                           struct weir_error *err)
{
    struct probe probe;
    *bill =
        (struct bill){.cached = cached, .ns = ns, .threads = weir_engine_threads(makers->engine)};
    if (machine_kept(&probe, cpu_cores()))
        bill->peak = probe_read_rate(&probe, bill->threads);
    const enum weir_status status = round_bytes_add(&bill->traffic, makers, cached, rounds, err);
    divide(&bill->traffic, rounds->tokens);
    return status;
}

/* "weights 4730.3, embedding 0.0, ...": in MB with so many digits. */
static void list_classes(const struct weir_traffic *traffic, int digits, char *out, size_t size)
{
    size_t used = 0;
    for (int class = 0; class < WEIR_TRAFFIC_CLASSES && used < size; class ++)
        used += (size_t)snprintf(out + used, size - used, "%s%s %.*f", class == 0 ? "" : ", ",
                                 weir_traffic_class_name((enum weir_traffic_class) class), digits,
                                 (double)(traffic->read[class] + traffic->written[class]) / 1e6);
}

/* Laid out as the times that weir run prints before it. */
void bill_print(const struct bill *bill, struct log *log)
{
    const uint64_t bytes = bill_bytes(&bill->traffic);
    const int digits = bytes < 100000000 ? 3 : 1;
    const double rate = bill_rate(bytes, bill->ns);
    char classes[256];
    list_classes(&bill->traffic, digits, classes, sizeof classes);
    log_print(log, WEIR_LOG_INFO,
              "weir:      token bytes = %10.*f MB read and written, behind %u tokens (the mean)",
              digits, (double)bytes / 1e6, bill->cached);
    log_print(log, WEIR_LOG_INFO, "weir:                    %s", classes);
    if (bill->peak == 0) {
        log_print(log, WEIR_LOG_INFO,
                  "weir:       token rate = %10.2f GB/s (`weir bench --probe` measures what memory "
                  "can give)",
                  rate);
        return;
    }
    log_print(log, WEIR_LOG_INFO,
              "weir:       token rate = %10.2f GB/s, %.1f%% of the %.2f GB/s that %u thread%s can "
              "read from memory",
              rate, 100 * rate / bill->peak, bill->peak, bill->threads,
              bill->threads == 1 ? "" : "s");
    const double floor_ms = profile_floor_ms(bytes, bill->peak);
    log_print(
        log, WEIR_LOG_INFO,
        "weir:      token floor = %10.2f ms at that rate; a token took %.2f times as long%s%s",
        floor_ms, bill->ns / 1e6 / floor_ms, rate > bill->peak ? ": " : "",
        rate > bill->peak ? profile_beyond(true) : "");
}
