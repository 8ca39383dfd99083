/* SPDX-License-Identifier: MIT
 * What a chat template makes use of. */
#ifndef SERVE_TEMPLATE_CAPS_H
#define SERVE_TEMPLATE_CAPS_H

#include "base/bytes.h"

enum { TEMPLATE_CAPS = 8 };

struct template_caps {
    bool has_template, has[TEMPLATE_CAPS];
};

/* Renders a conversation for each. A template of NULL is none, and no failure. */
enum weir_status template_caps_find(struct template_caps *out,
                                    const struct weir_template *chat_template,
                                    struct weir_error *err);
/* llama-server's object "chat_template_caps"; {} without a template. */
void put_template_caps(struct bytes *out, const struct template_caps *found);

#endif
