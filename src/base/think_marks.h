/* SPDX-License-Identifier: MIT
 * What models write around their reasoning. */
#ifndef BASE_THINK_MARKS_H
#define BASE_THINK_MARKS_H

#define MARK_THINK     "<think>"
#define MARK_THINK_END "</think>"

/* With the newlines that belong to them. */
#define THINK_BEGIN MARK_THINK "\n"
#define THINK_END   "\n" MARK_THINK_END "\n\n"

#endif
