/* SPDX-License-Identifier: MIT
 * Where the session of a conversation stands, and where it can go back to: what of a prompt is
 * evaluated is what the session and its checkpoints do not hold. */
#ifndef RUN_CHAT_PLACE_H
#define RUN_CHAT_PLACE_H

#include "run/engine.h"

struct chat_place {
    struct weir_session *session;
    struct weir_checkpoint **checkpoints; /* [count] */
    uint32_t count;
    int32_t message_begin;        /* the token that every message begins with; -1: there is none */
    struct weir_checkpoint *step; /* one of them: of the steps of a prompt; NULL: of none */
    uint32_t step_end;            /* where the evaluation of these steps ends */
    int32_t last; /* sampled behind the session's tokens, which do not hold it; -1: none */
};

void chat_place_init(struct chat_place *place, struct weir_session *session,
                     const struct weir_tokenizer *tokenizer);
void chat_place_release(struct chat_place *place);
/* Makes room for so many checkpoints; those that are cheap to do without are closed. On failure all
 * is as before. */
enum weir_status chat_place_resize(struct chat_place *place, uint32_t checkpoints,
                                   struct weir_error *err);

/* The tokens that can be returned to or gone on from, borrowed until the session gets others. */
const int32_t *chat_place_tokens(const struct chat_place *place, uint32_t *count);

/* Stands at the last position up to `most` that can be come to. */
void chat_place_seek(struct chat_place *place, uint32_t most);

/* Makes the session one that holds ids[count], of which the first `same` are those of
 * chat_place_tokens, with logits of the last. Of them *reused were not evaluated. The cuts of the
 * evaluation follow from where it begins and from the tokens, so its bits do not depend on whether
 * somebody went back to there. When it is cancelled the session stands behind its last whole step,
 * and the next one goes on from there. */
enum weir_status chat_place_go(struct chat_place *place, struct weir_speculator *speculator,
                               const int32_t *ids, uint32_t count, uint32_t same, uint32_t *reused,
                               struct weir_error *err);

/* Behind a reply: the session holds the first `position` tokens of it and the prompt, taken back if
 * they were more, and `last` is the one behind. */
void chat_place_end(struct chat_place *place, uint32_t position, int32_t last);

#endif
