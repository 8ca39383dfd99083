/* SPDX-License-Identifier: MIT
 * What a chat template makes use of. */
#ifndef SERVE_TEMPLATE_CAPS_H
#define SERVE_TEMPLATE_CAPS_H

#include "base/bytes.h"

/* llama-server's object "chat_template_caps"; {} without a template. */
void put_template_caps(struct bytes *out, const struct weir_template *chat_template);

#endif
