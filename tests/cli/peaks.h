/* SPDX-License-Identifier: MIT
 * Users for whom this machine was measured already, with a result of the test's choice. */
#ifndef TESTS_CLI_PEAKS_H
#define TESTS_CLI_PEAKS_H

/* An environment in which this machine was measured and reads so many GB/s with any number of
 * threads; 0: in which nobody has measured it. Static, until the next call. */
const char *peaks_environment(const char *name, double peak);

/* The file that is kept in the last one. Static, likewise. */
const char *peaks_path(void);

#endif
