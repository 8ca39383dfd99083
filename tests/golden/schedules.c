/* SPDX-License-Identifier: MIT
 * Random schedules of several sessions in one engine: they come and go, decode, speculate, prefill
 * beside each other, go back, are kept in caches and files, begin with what others had, are reset,
 * cancelled and refused, and what no rule says to be clear is full of NaN. Each row of logits is
 * compared, to the bit, with an oracle that knows one sequence alone. Every choice is a function of
 * the seed, the schedule and the number of the choice. Run alone: build/tests/weir-test schedules_;
 * longer: make long. */
#include "golden/crowd.h"

#include <stdlib.h>
#include <string.h>

#include "golden/drawn_model.h"
#include "golden/poison.h"
#include "run/engine.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { ACTIONS = 40, TRY_ALL = 0, DRAWN_SCHEDULES = 2, DRAWN_ACTIONS = 20 };
#else
enum {
    ACTIONS = 400,
    DRAWN_SCHEDULES = 8,
    DRAWN_ACTIONS = 100,
    TRY_ALL = 1
}; /* so many try all that there is, whatever the seed */
#endif
enum {
    PART_MAX = 48,    /* rows of a part of a prompt in a step with others */
    PROMPT_MAX = 150, /* tokens of a prompt that is evaluated alone */
};

/* ---- coming, going, going back --------------------------------------------------------------- */

static void act_open(struct crowd *crowd, struct place *place)
{
    crowd_open_session(crowd, place);
    place_empty(place);
}

static void act_close(struct crowd *crowd, struct place *place)
{
    (void)crowd;
    speaker_close(place);
    crowd_close_session(place);
}

static void act_reset(struct crowd *crowd, struct place *place)
{
    (void)crowd;
    weir_session_reset(place->session);
    place_empty(place);
}

static void act_silence(struct crowd *crowd, struct place *place)
{
    (void)crowd;
    speaker_close(place);
}

static void act_mark(struct crowd *crowd, struct place *place)
{
    struct weir_error err = {0};
    const enum weir_status status = weir_session_mark(place->session, &err);
    if ((status == WEIR_OK) != (crowd->options.rewind_max != 0))
        crowd_fail(crowd, "status %d of a mark", (int)status);
    place->is_marked = status == WEIR_OK;
    place->mark = place->life.length;
}

static void act_unmark(struct crowd *crowd, struct place *place)
{
    (void)crowd;
    weir_session_unmark(place->session);
    place->is_marked = false;
}

static void act_rewind(struct crowd *crowd, struct place *place)
{
    struct weir_error err = {0};
    const uint32_t length = place->life.length;
    const uint32_t least = place->is_marked ? place->mark : length;
    const uint32_t position = crowd_draw_between(crowd, least, length);
    crowd_say(crowd, " to %u", position);
    crowd_expect_ok(crowd, weir_session_rewind(place->session, position, &err), &err);
    life_cut(&place->life, position);
}

static void act_keep(struct crowd *crowd, struct place *place)
{
    struct kept *kept = &place->kept[crowd_draw(crowd, CROWD_KEPT)];
    weir_checkpoint_take(kept->checkpoint);
    kept->is_valid = true;
    kept->length = place->life.length;
    memcpy(kept->tokens, place->life.tokens, sizeof kept->tokens);
}

static void act_return(struct crowd *crowd, struct place *place)
{
    struct weir_error err = {0};
    const struct kept *kept = &place->kept[crowd_draw(crowd, CROWD_KEPT)];
    const enum weir_status status = weir_checkpoint_return(kept->checkpoint, &err);
    if (!kept->is_valid && status == WEIR_ERR_ARGUMENT)
        return;
    crowd_expect_ok(crowd, status, &err);
    crowd_say(crowd, " to %u", kept->length);
    place_empty(place);
    place->life.length = kept->length;
    memcpy(place->life.tokens, kept->tokens, sizeof kept->tokens);
    crowd_check_hidden(crowd, place);
}

/* ---- steps ----------------------------------------------------------------------------------- */

/* Tokens of a step for one place. */
struct turn_of {
    struct place *place;
    uint32_t rows, outs;
    int32_t tokens[LIFE_MAX];
    enum weir_logits logits;
    bool is_round; /* of speculation */
};

/* Tokens that the session may get at once, one at least; 0: none. */
static uint32_t room_of(const struct crowd *crowd, const struct place *place)
{
    const uint32_t room = LIFE_MAX - place->life.length;
    if (!place->is_marked)
        return room;
    const uint32_t left = crowd->options.rewind_max - (place->life.length - place->mark);
    return left < room ? left : room;
}

/* Nobody waits long for a session that can take nothing more. */
static void make_room(struct crowd *crowd, struct place *place)
{
    if (room_of(crowd, place) != 0 || crowd_draw(crowd, 3) == 0)
        return;
    crowd_say(crowd, place->life.length == LIFE_MAX ? " %u empty" : " %u marked",
              crowd_number(crowd, place));
    if (place->life.length == LIFE_MAX)
        act_reset(crowd, place);
    else
        act_mark(crowd, place);
}

static void draw_tokens(struct crowd *crowd, struct turn_of *turn)
{
    for (uint32_t i = 0; i < turn->rows; i++)
        turn->tokens[i] = (int32_t)crowd_draw(crowd, crowd->vocab);
    if (crowd_draw(crowd, 4) != 0)
        turn->tokens[0] = turn->place->next;
}

/* One token, a few, or a part of a prompt, of at most `most`; so many rows of logits. */
static void draw_plain(struct crowd *crowd, struct turn_of *turn, uint32_t most, uint32_t outs_most)
{
    static const uint32_t kinds[] = {1, 1, 2, 4, LIFE_EXACT, LIFE_EXACT, PART_MAX};
    const uint32_t kind = kinds[crowd_draw(crowd, sizeof kinds / sizeof kinds[0])];
    turn->rows = crowd_draw_between(crowd, 1, kind < most ? kind : most);
    turn->logits = (enum weir_logits)crowd_draw(crowd, WEIR_LOGITS_ALL + 1);
    if (engine_outs(turn->logits, turn->rows) > outs_most)
        turn->logits = WEIR_LOGITS_NONE;
    turn->outs = engine_outs(turn->logits, turn->rows);
    draw_tokens(crowd, turn);
}

/* A round of the place's speculator. */
static void draw_round(struct crowd *crowd, struct turn_of *turn, uint32_t most)
{
    const uint32_t wanted = crowd_draw_between(crowd, 1, WEIR_ROUND_TOKENS_MAX);
    turn->rows = speaker_draft(crowd, turn->place, wanted < most ? wanted : most, turn->tokens);
    turn->outs = turn->rows;
    turn->logits = WEIR_LOGITS_ALL;
}

/* Behind a step of the turn. A round that is not ended leaves all its tokens in the session. */
static void take_turn(struct crowd *crowd, const struct turn_of *turn)
{
    if (turn->is_round && crowd_draw(crowd, 16) != 0) {
        speaker_accept(crowd, turn->place, turn->tokens, turn->rows);
        return;
    }
    life_add(&turn->place->life, turn->tokens, turn->rows, turn->logits);
    crowd_check_rows(crowd, turn->place, turn->rows, turn->outs);
}

/* Draws a turn for the place; false if it can take nothing. */
static bool draw_turn(struct crowd *crowd, struct turn_of *turn, struct place *place, uint32_t rows,
                      uint32_t outs)
{
    const bool is_round = place->speaker.speculator != NULL && crowd_draw(crowd, 4) != 0;
    if (!is_round)
        make_room(crowd, place);
    const uint32_t room = is_round ? LIFE_MAX - place->life.length : room_of(crowd, place);
    uint32_t most = room < rows ? room : rows;
    most = is_round && outs < most ? outs : most;
    if (most == 0)
        return false;
    *turn = (struct turn_of){.place = place, .is_round = is_round};
    if (is_round)
        draw_round(crowd, turn, most);
    else
        draw_plain(crowd, turn, most, outs);
    crowd_say(crowd, is_round ? " %u*%u" : " %u+%u", crowd_number(crowd, place), turn->rows);
    return true;
}

/* Some of the sessions, in any order. */
static uint32_t draw_turns(struct crowd *crowd, struct turn_of turns[CROWD_PLACES])
{
    uint32_t count = 0, rows = crowd->options.step_rows_max, outs = crowd->options.logits_rows_max;
    const uint32_t first = crowd_draw(crowd, crowd->count);
    for (uint32_t i = 0; i < crowd->count; i++) {
        struct place *place = &crowd->places[(first + i) % crowd->count];
        if (place->session == NULL || crowd_draw(crowd, 4) == 0)
            continue;
        if (!draw_turn(crowd, &turns[count], place, rows, outs))
            continue;
        rows -= turns[count].rows;
        outs -= turns[count++].outs;
    }
    return count;
}

static enum weir_status run_turns(struct crowd *crowd, const struct turn_of *turns, uint32_t count,
                                  struct weir_error *err)
{
    struct weir_step_item items[CROWD_PLACES];
    for (uint32_t i = 0; i < count; i++)
        items[i] = (struct weir_step_item){.session = turns[i].place->session,
                                           .tokens = turns[i].tokens,
                                           .count = turns[i].rows,
                                           .logits = turns[i].logits};
    return weir_engine_step(crowd->engine, items, count, err);
}

/* Now and then the progress will end what comes. */
static bool draw_cancel(struct crowd *crowd, uint32_t calls)
{
    const bool is_cancelled = crowd_draw(crowd, 16) == 0;
    crowd->calls_left = is_cancelled ? crowd_draw_between(crowd, 1, calls) : 0;
    return is_cancelled;
}

/* Behind one that was cut short. */
static void lose_turn(const struct crowd *crowd, const struct turn_of *turn)
{
    place_empty(turn->place);
    if (turn->is_round)
        speaker_accept_nothing(crowd, turn->place);
}

static void act_step(struct crowd *crowd, struct place *place)
{
    (void)place;
    static struct turn_of turns[CROWD_PLACES];
    struct weir_error err = {0};
    const uint32_t count = draw_turns(crowd, turns);
    if (count == 0)
        return;
    const bool is_cancelled = draw_cancel(crowd, 60);
    const enum weir_status status = run_turns(crowd, turns, count, &err);
    const bool was_cut = is_cancelled && status == WEIR_ERR_CANCELLED;
    if (!was_cut)
        crowd_expect_ok(crowd, status, &err);
    crowd_say(crowd, "%s", was_cut ? ", cut short" : "");
    crowd->calls_left = 0;
    for (uint32_t i = 0; i < count; i++) {
        crowd_overwrite(turns[i].place);
        if (was_cut)
            lose_turn(crowd, &turns[i]);
        else
            take_turn(crowd, &turns[i]);
    }
}

/* Adds the steps in which an evaluation takes its tokens, up to `rows`. */
static void add_steps(const struct crowd *crowd, const struct turn_of *turn, uint32_t rows)
{
    const struct plan_limits *limits = &crowd->engine->blueprint.limits;
    struct life *life = &turn->place->life;
    for (uint32_t done = 0, now; done < rows; done += now) {
        now = session_step_rows(limits, life->length, turn->rows - done);
        CHECK(now <= rows - done);
        life_add(life, turn->tokens + done, now,
                 done + now == turn->rows ? turn->logits : WEIR_LOGITS_NONE);
    }
}

/* All tokens of the turn, in as many steps as needed: by the speculator, if there is one, or past
 * it. When it is cancelled between two, the first stay. */
static void eval_turn(struct crowd *crowd, const struct turn_of *turn)
{
    struct place *place = turn->place;
    struct weir_error err = {0};
    const uint32_t begin = place->life.length;
    const bool is_cancelled = draw_cancel(crowd, 200);
    enum weir_status status;
    if (place->speaker.speculator != NULL && crowd_draw(crowd, 4) != 0) {
        place->is_marked = false;
        status = weir_speculator_prompt(place->speaker.speculator, turn->tokens, turn->rows,
                                        turn->logits, &err);
    } else {
        status = weir_session_eval(place->session, turn->tokens, turn->rows, turn->logits, &err);
    }
    const bool was_cut = is_cancelled && status == WEIR_ERR_CANCELLED;
    if (!was_cut)
        crowd_expect_ok(crowd, status, &err);
    crowd->calls_left = 0;
    crowd_overwrite(place);
    const uint32_t position = weir_session_position(place->session);
    crowd_say(crowd, " of %u: %u to %u", turn->rows, begin, position);
    if (position < begin + turn->rows && !was_cut)
        crowd_fail(crowd, "session %u holds %u tokens", crowd_number(crowd, place), position);
    if (position <= begin) {
        place_empty(place);
        crowd_check_place(crowd, place);
        return;
    }
    add_steps(crowd, turn, position - begin);
    crowd_check_place(crowd, place);
    if (position == begin + turn->rows)
        crowd_check_rows(crowd, place, 0, turn->outs);
}

static void act_eval(struct crowd *crowd, struct place *place)
{
    static struct turn_of turn;
    const uint32_t room = room_of(crowd, place);
    if (room == 0)
        return;
    turn = (struct turn_of){.place = place};
    turn.rows = crowd_draw_between(crowd, 1, room < PROMPT_MAX ? room : PROMPT_MAX);
    turn.logits = crowd_draw(crowd, 3) == 0 ? WEIR_LOGITS_NONE : WEIR_LOGITS_LAST;
    turn.outs = engine_outs(turn.logits, turn.rows);
    draw_tokens(crowd, &turn);
    eval_turn(crowd, &turn);
}

/* ---- snapshots ------------------------------------------------------------------------------- */

/* Goes on with the text that it was got for, mostly to its end. */
static void act_get(struct crowd *crowd, struct place *place)
{
    static struct turn_of turn;
    turn = (struct turn_of){.place = place, .logits = WEIR_LOGITS_LAST, .outs = 1};
    turn.rows = keeper_get(crowd, place, turn.tokens);
    if (crowd_draw(crowd, 4) != 0)
        eval_turn(crowd, &turn);
}

/* ---- the block of multi-token prediction ----------------------------------------------------- */

static void act_draft_rewind(struct crowd *crowd, struct place *place)
{
    struct weir_error err = {0};
    const uint32_t most = place->life.is_drafted_apart ? 0 : place->life.drafted;
    const uint32_t position = crowd_draw_between(crowd, 0, most);
    crowd_say(crowd, " to %u", position);
    crowd_expect_ok(crowd, weir_session_mtp_rewind(place->session, position, &err), &err);
    place->life.drafted = position;
    place->life.is_drafted_apart = false;
}

/* Tokens behind the hidden states of the last step, or one more of a chain. */
static void act_draft(struct crowd *crowd, struct place *place)
{
    struct weir_error err = {0};
    int32_t tokens[LIFE_EXACT];
    uint32_t count = 0, most;
    if (place->life.is_drafted_apart)
        act_draft_rewind(crowd, place); /* what follows must be known */
    most = LIFE_MAX - place->life.drafted;
    const float *hidden = weir_session_mtp_hidden(place->session, 0);
    if (hidden == NULL || crowd_draw(crowd, 3) == 0)
        hidden = weir_session_hidden(place->session, 0);
    if (hidden == NULL || most == 0)
        return;
    const bool is_chain = hidden == weir_session_mtp_hidden(place->session, 0);
    while (count < most && count < LIFE_EXACT && (count == 0 || !is_chain) &&
           (is_chain || weir_session_hidden(place->session, count) != NULL))
        tokens[count++] = (int32_t)crowd_draw(crowd, crowd->vocab);
    crowd_say(crowd, " %u %s", count, is_chain ? "of a chain" : "behind a step");
    life_draft(&place->life, tokens, hidden, count, crowd->width);
    const enum weir_status status =
        weir_session_mtp_eval(place->session, tokens, hidden, count, WEIR_LOGITS_ALL, &err);
    crowd_expect_ok(crowd, status, &err);
    crowd_check_drafts(crowd, place, count);
}

/* ---- what is refused ------------------------------------------------------------------------- */

/* Makes one of the turns impossible. */
static void spoil(struct crowd *crowd, struct turn_of *turns, uint32_t count)
{
    struct turn_of *turn = &turns[crowd_draw(crowd, count)];
    switch (crowd_draw(crowd, 5)) {
    case 0: turn->tokens[0] = (int32_t)crowd->vocab; break;
    case 1: turn->tokens[turn->rows - 1] = -1; break;
    case 2: turn->rows = 0; break;
    case 3: turn->rows = room_of(crowd, turn->place) + 1; break;
    case 4: turns[0].place = turns[count - 1].place; break; /* twice in a step */
    }
    if (count == 1)
        turn->rows = 0;
}

/* A step that cannot be changes none of its sessions. */
static void act_refused(struct crowd *crowd, struct place *place)
{
    (void)place;
    static struct turn_of turns[CROWD_PLACES];
    struct weir_error err = {0};
    const uint32_t count = draw_turns(crowd, turns);
    if (count == 0)
        return;
    spoil(crowd, turns, count);
    const enum weir_status status = run_turns(crowd, turns, count, &err);
    if (status != WEIR_ERR_ARGUMENT && status != WEIR_ERR_FULL)
        crowd_fail(crowd, "status %d of a step that cannot be", (int)status);
    for (uint32_t i = 0; i < count; i++)
        crowd_check_place(crowd, turns[i].place);
}

static void act_poison(struct crowd *crowd, struct place *place)
{
    (void)place;
    for (uint32_t i = 0; i < crowd->count; i++) {
        const struct place *each = &crowd->places[i];
        uint32_t kept = 0;
        for (uint32_t j = 0; j < CROWD_KEPT; j++) {
            if (each->kept[j].is_valid && each->kept[j].length > kept)
                kept = each->kept[j].length;
        }
        if (each->session != NULL)
            poison_session(each->session, kept);
    }
    poison_free(crowd->engine);
}

/* ---- schedules ------------------------------------------------------------------------------- */

/* What an action needs of the place that it is drawn for. */
enum need { NEED_NONE, NEED_FREE, NEED_OPEN, NEED_MTP };

static const struct {
    const char *name;
    void (*act)(struct crowd *crowd, struct place *place);
    uint32_t weight;
    enum need need;
} actions[] = {
    {"step of", act_step, 38, NEED_NONE},
    {"refused:", act_refused, 3, NEED_NONE},
    {"evaluation", act_eval, 7, NEED_OPEN},
    {"open", act_open, 10, NEED_FREE},
    {"close", act_close, 2, NEED_OPEN},
    {"reset", act_reset, 2, NEED_OPEN},
    {"mark", act_mark, 20, NEED_OPEN},
    {"unmark", act_unmark, 4, NEED_OPEN},
    {"rewind", act_rewind, 16, NEED_OPEN},
    {"checkpoint of", act_keep, 8, NEED_OPEN},
    {"return of", act_return, 8, NEED_OPEN},
    {"draft", act_draft, 12, NEED_MTP},
    {"draft rewind", act_draft_rewind, 3, NEED_MTP},
    {"speak", speaker_open, 12, NEED_OPEN},
    {"be silent", act_silence, 2, NEED_OPEN},
    {"put", keeper_put, 20, NEED_OPEN},
    {"get", act_get, 12, NEED_OPEN},
    {"save", keeper_save, 3, NEED_OPEN},
    {"load", keeper_load, 3, NEED_OPEN},
    {"poison", act_poison, 10, NEED_NONE},
};
enum { ACTION_KINDS = sizeof actions / sizeof actions[0] };

static bool is_met(const struct crowd *crowd, const struct place *place, enum need need)
{
    switch (need) {
    case NEED_NONE: return true;
    case NEED_FREE: return place->session == NULL;
    case NEED_OPEN: return place->session != NULL;
    case NEED_MTP: return place->session != NULL && crowd->options.mtp;
    }
    return false;
}

static uint32_t draw_action(struct crowd *crowd)
{
    uint32_t sum = 0, kind = 0;
    for (uint32_t i = 0; i < ACTION_KINDS; i++)
        sum += actions[i].weight;
    for (uint32_t at = crowd_draw(crowd, sum); at >= actions[kind].weight; kind++)
        at -= actions[kind].weight;
    return kind;
}

static void act(struct crowd *crowd)
{
    struct place *place = &crowd->places[crowd_draw(crowd, crowd->count)];
    const uint32_t kind = draw_action(crowd);
    crowd_begin(crowd);
    if (!is_met(crowd, place, actions[kind].need))
        return;
    crowd_say(crowd, " %s", actions[kind].name);
    if (actions[kind].need != NEED_NONE)
        crowd_say(crowd, " %u", crowd_number(crowd, place));
    actions[kind].act(crowd, place);
    if (place->session != NULL)
        crowd_check_place(crowd, place);
}

/* False if the level of instructions is not here. */
static bool run_schedule(const struct crowd_model *model, uint32_t engine, uint64_t stream,
                         uint32_t length, struct deeds *deeds)
{
    struct crowd *crowd = calloc(1, sizeof *crowd);
    CHECK(crowd != NULL);
    crowd->stream = stream;
    crowd->deeds = deeds;
    const bool is_open = crowd_open(crowd, model, engine);
    while (is_open && crowd->actions < length)
        act(crowd);
    if (is_open)
        crowd_close(crowd);
    free(crowd);
    return is_open;
}

/* Dense and with experts, without and with an MTP block. */
static const struct crowd_model models[] = {
    {"golden/nano-q4_0.gguf", false, false, "golden/nano-f32.gguf", NULL},
    {"golden/nanomoe-q4_0.gguf", false, false, "golden/nanomoe-f32.gguf", NULL},
    {"golden/nano-f32.gguf", true, false, "golden/nano-q4_0.gguf", NULL},
    {"golden/nanomoe-f32.gguf", true, false, "golden/nanomoe-q4_0.gguf", NULL},
};
enum { MODELS = sizeof models / sizeof models[0] };

TEST(schedules_give_each_session_what_it_gets_alone)
{
    struct deeds deeds = {.rounds = 0};
    for (uint32_t i = 0; i < crowd_engines() * MODELS; i++) {
        struct crowd_model model = models[i % MODELS];
        model.path = test_data(model.path);
        model.other = test_data(model.other);
        run_schedule(&model, i / MODELS, i, ACTIONS, &deeds);
    }
    if (!TRY_ALL)
        return;
    CHECK(deeds.accepted > 0 && deeds.refused > 0);
    CHECK(deeds.adopted > 0 && deeds.hits > deeds.adopted && deeds.misses > 0 && deeds.loads > 0);
}

/* Streams behind those of the recorded models. */
TEST(schedules_of_models_of_any_shape)
{
    struct deeds deeds = {.rounds = 0};
    for (uint32_t i = 0, tried = 0; tried < DRAWN_SCHEDULES; i++) {
        struct drawn_model drawn = {.seed = test_seed(), .stream = 1000 + i};
        drawn_model_write(&drawn, "scheduled.gguf");
        const struct crowd_model model = {.path = drawn.path,
                                          .has_mtp = drawn.has_mtp,
                                          .has_odd_heads = drawn.config.head_width % 32 != 0,
                                          .other = drawn.path,
                                          .text = drawn.text};
        const uint32_t engine = drawn_below(&drawn, crowd_engines());
        tried += run_schedule(&model, engine, 1000 + i, DRAWN_ACTIONS, &deeds);
    }
}
