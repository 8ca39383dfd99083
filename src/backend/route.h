/* SPDX-License-Identifier: MIT
 * Which experts a row is given, and their shares: one definition, compiled with each backend's own
 * flags. Knows not where rows lie. */
#ifndef BACKEND_ROUTE_H
#define BACKEND_ROUTE_H

#include <math.h>
#include <stdint.h>

/* p = softmax(x); the sum in double. */
static inline void route_softmax(const float *x, float *p, uint32_t n)
{
    float largest = x[0];
    double sum = 0;
    for (uint32_t i = 1; i < n; i++)
        largest = fmaxf(x[i], largest);
    for (uint32_t i = 0; i < n; i++) {
        p[i] = expf(x[i] - largest);
        sum += (double)p[i];
    }
    for (uint32_t i = 0; i < n; i++)
        p[i] *= (float)(1.0 / sum);
}

/* Takes the largest out of p, of equal ones the first, and leaves -1 in its place. */
static inline int32_t route_take_largest(float *p, uint32_t n, float *value)
{
    uint32_t at = 0;
    for (uint32_t i = 1; i < n; i++)
        at = p[i] > p[at] ? i : at;
    *value = p[at];
    p[at] = -1;
    return (int32_t)at;
}

/* Writes the numbers of the `used` experts with the largest p = softmax(x[experts]), the largest
 * first, and what each has of their sum. p[experts] is scratch. */
static inline void route_row(const float *x, uint32_t experts, uint32_t used, float *p,
                             int32_t *taken, float *share)
{
    const float share_floor = 0x1p-14f; /* of a sum too small, as in the models' own code */
    double sum = 0;
    route_softmax(x, p, experts);
    for (uint32_t j = 0; j < used; j++) {
        taken[j] = route_take_largest(p, experts, &share[j]);
        sum += (double)share[j];
    }
    for (uint32_t j = 0; j < used; j++)
        share[j] /= fmaxf((float)sum, share_floor);
}

#endif
