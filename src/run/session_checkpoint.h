/* SPDX-License-Identifier: MIT
 * What a checkpoint holds, for those who write it to a file or read it from one. Knows no file. */
#ifndef RUN_SESSION_CHECKPOINT_H
#define RUN_SESSION_CHECKPOINT_H

#include "run/engine.h"

struct weir_checkpoint {
    struct weir_session *session;
    struct weir_checkpoint *next; /* of the session's, in no order */
    uint8_t *kept;                /* the pieces of state_each_kept, one after the other */
    float *hidden;                /* [width]: of the last token; NULL without the MTP block */
    bool is_valid;
    bool has_hidden;
    uint32_t position;
    uint32_t pending; /* as in struct step_seq */
};

#endif
