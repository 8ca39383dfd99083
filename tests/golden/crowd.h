/* SPDX-License-Identifier: MIT
 * Several sessions in one engine, each with an oracle that says what it should compute. What is
 * drawn is a function of the seed, the crowd's stream and the number of the choice. */
#ifndef TESTS_GOLDEN_CROWD_H
#define TESTS_GOLDEN_CROWD_H

#include "golden/keeper.h"
#include "golden/oracle.h"
#include "golden/speaker.h"

enum {
    CROWD_PLACES = 5,     /* sessions at once, at most */
    CROWD_KEPT = 2,       /* checkpoints of a session */
    CROWD_LINES = 24,     /* actions that a failure tells */
    CROWD_LINE_MAX = 160, /* characters */
};

/* A checkpoint of a place's session, and the tokens that it stands for. */
struct kept {
    struct weir_checkpoint *checkpoint;
    bool is_valid;
    uint32_t length;
    struct life_token tokens[LIFE_MAX];
};

/* A place for a session: what it should hold, and who knows what it should compute. */
struct place {
    struct weir_session *session; /* NULL: none is open */
    struct life life;
    struct oracle oracle;
    uint32_t mark;
    bool is_marked;
    int32_t next; /* the token that it would choose, or any */
    struct kept kept[CROWD_KEPT];
    struct speaker speaker;
};

/* What happened, for who has to know that a schedule tried all. */
struct deeds {
    uint64_t rounds, accepted, refused; /* drafts of rounds */
    uint64_t hits, misses, loads;       /* of snapshots */
    uint64_t adopted;                   /* hits on what another session had kept */
};

struct crowd {
    uint64_t stream, choices; /* of random numbers: how many were drawn */
    const char *text;         /* what the model is */
    struct weir_engine_options options;
    struct weir_model *model;
    struct weir_engine *engine;
    struct fixture drafter; /* another model, for drafts */
    struct keeper keeper;
    struct place places[CROWD_PLACES];
    uint32_t count; /* places */
    struct deeds *deeds;
    uint32_t vocab, width;
    uint32_t calls_left; /* of the progress until it cancels; 0: it never does */
    uint32_t actions;    /* begun */
    char lines[CROWD_LINES][CROWD_LINE_MAX];
};

/* What computes. */
uint32_t crowd_engines(void);

struct crowd_model {
    const char *path;
    bool has_mtp;
    bool has_odd_heads; /* of a width that no blocks of a cache fit */
    const char *other;  /* a model of the same vocabulary */
    const char *text;   /* what it is, for failures; NULL: its path says it */
};

/* Opens an engine for 2 to CROWD_PLACES sessions, its options drawn, their oracles and caches.
 * `crowd` has its stream and deeds, and is zero otherwise. False, with nothing open, if the
 * processor has not that level of instructions. */
bool crowd_open(struct crowd *crowd, const struct crowd_model *model, uint32_t engine);
void crowd_close(struct crowd *crowd);

/* 0 to count - 1. */
uint32_t crowd_draw(struct crowd *crowd, uint32_t count);
uint32_t crowd_draw_between(struct crowd *crowd, uint32_t least, uint32_t most);

uint32_t crowd_number(const struct crowd *crowd, const struct place *place);

/* The session of a place, with its checkpoints. */
void crowd_open_session(struct crowd *crowd, struct place *place);
void crowd_close_session(struct place *place);
/* Nothing is left of what its checkpoints stood on. */
void crowd_forget_kept(struct crowd *crowd, struct place *place);
/* Before something is written behind the tokens of a place. */
void crowd_overwrite(struct place *place);

/* Begins an action. */
void crowd_begin(struct crowd *crowd);
/* Adds to the line of the action under way, for who has to find out why it failed. */
void crowd_say(struct crowd *crowd, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Ends the test with the last lines. */
_Noreturn void crowd_fail(const struct crowd *crowd, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Fails unless that is WEIR_OK. */
void crowd_expect_ok(const struct crowd *crowd, enum weir_status status,
                     const struct weir_error *err);

/* The place's session is empty from now on. */
void place_empty(struct place *place);

/* Fails unless actual[count] is expected[count] to the bit: "what behind token `position`". */
void crowd_check_bits(const struct crowd *crowd, const struct place *place, const float *actual,
                      const float *expected, uint32_t count, const char *what, uint32_t position);
/* The session of the place holds what it should. */
void crowd_check_place(const struct crowd *crowd, const struct place *place);
/* So it does, and the `rows` hidden states and `outs` rows of logits of its last step are those of
 * the oracle. */
void crowd_check_rows(const struct crowd *crowd, struct place *place, uint32_t rows, uint32_t outs);
/* If the hidden state of its last token is there, it is the oracle's. */
void crowd_check_hidden(const struct crowd *crowd, struct place *place);
/* Likewise the logits of its last `count` tokens of the MTP block. */
void crowd_check_drafts(const struct crowd *crowd, struct place *place, uint32_t count);

#endif
