/* SPDX-License-Identifier: MIT
 * What a chat tells of itself in figures, in lines of 80 columns. */
#ifndef APP_CHAT_FIGURES_H
#define APP_CHAT_FIGURES_H

struct conversation;

/* The model, and what computes it. */
void chat_figures_model(struct conversation *conversation);
/* How much of the context is left. */
void chat_figures_context(struct conversation *conversation);
/* Of all answers, and the bytes of a token of the last one. */
void chat_figures_stats(struct conversation *conversation);

#endif
