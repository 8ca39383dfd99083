/* SPDX-License-Identifier: MIT
 * What a text that is being typed can become. */
#ifndef APP_COMPLETE_H
#define APP_COMPLETE_H

#include "base/bytes.h"

/* Set to zero to begin. */
struct completion {
    struct bytes names;  /* each with a zero behind it */
    struct bytes common; /* what all of them begin with */
    uint32_t count;
};

void completion_release(struct completion *completion);

/* Adds a name if it begins with the text. */
void completion_add(struct completion *completion, const char *begin, const char *name);

/* Adds the paths of files that begin with the text; a slash stands behind a folder. Hidden ones
 * only if their dot is there. */
void completion_add_files(struct completion *completion, const char *begin);

#endif
