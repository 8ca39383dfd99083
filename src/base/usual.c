/* SPDX-License-Identifier: MIT
 * Usual times, and those of what lies between. */
#include "base/usual.h"

void usual_add(struct usual *usual, double ns)
{
    usual->ns[usual->count++ % USUAL_TIMES] = ns;
}

double usual_ns(const struct usual *usual)
{
    double sorted[USUAL_TIMES] = {0};
    const uint32_t count = usual->count < USUAL_TIMES ? usual->count : USUAL_TIMES;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = i;
        for (; at > 0 && sorted[at - 1] > usual->ns[i]; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = usual->ns[i];
    }
    return count == 0 ? 0 : sorted[(count - 1) / 4];
}

double usual_ns_at(const struct usual *usual, uint32_t at, uint32_t last)
{
    uint32_t low = 0, before = 0, high = at;
    for (uint32_t i = 1; i <= at; i++) {
        if (usual[i].count > 0) {
            before = low;
            low = i;
        }
    }
    const double low_ns = usual_ns(&usual[low]);
    if (low == at)
        return low_ns;
    while (high < last && usual[high].count == 0)
        high++;
    const uint32_t other = usual[high].count > 0 ? high : before;
    if (other == low)
        return low_ns;
    const double slope = (usual_ns(&usual[other]) - low_ns) / ((double)other - low);
    return slope > 0 ? low_ns + slope * (at - low) : low_ns;
}

double usual_ns_least(const struct usual *usual, uint32_t last)
{
    double shortest = usual_ns(&usual[0]);
    for (uint32_t i = 1; i <= last; i++) {
        const double ns = usual_ns(&usual[i]);
        shortest = ns > 0 && ns < shortest ? ns : shortest;
    }
    return shortest;
}
