/* SPDX-License-Identifier: MIT
 * What something usually takes: the lower quartile of its last few times, since what disturbs a
 * time makes it longer. Knows not what is measured. */
#ifndef BASE_USUAL_H
#define BASE_USUAL_H

#include <stdint.h>

enum { USUAL_TIMES = 5 };

struct usual {
    double ns[USUAL_TIMES];
    uint32_t count; /* all that were given; ns[count % USUAL_TIMES] is the oldest */
};

void usual_add(struct usual *usual, double ns);
double usual_ns(const struct usual *usual); /* 0 if there is none */

/* That of `at` units of work, where usual[i] is that of i units, up to `last`. What was never
 * measured lies on the line through its neighbours, behind the last on that through the last two,
 * and takes no less than the one before. That of no units is known. */
double usual_ns_at(const struct usual *usual, uint32_t at, uint32_t last);
/* The shortest of all. */
double usual_ns_least(const struct usual *usual, uint32_t last);

#endif
