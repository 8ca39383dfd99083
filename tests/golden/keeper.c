/* SPDX-License-Identifier: MIT
 * The snapshots of a crowd, and what they should hold. */
#include "golden/keeper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "folder.h"
#include "golden/crowd.h"
#include "golden/poison.h"
#include "run/cache_folder.h"
#include "run/snapshot.h"

enum {
    TAIL_MAX = 20,       /* tokens behind what somebody had */
    OTHERS_BYTES = 2048, /* of a snapshot: its head, digests and tokens */
};

/* What one session was when it was kept. */
struct kept_life {
    struct kept_life *next;
    struct digest link;  /* by which caches tell apart what has the same tokens */
    struct digest whole; /* of all bytes that the session was */
    unsigned stores;     /* that it was put into */
    uint32_t owner;      /* the place that it is of */
    struct life life;
};

/* ---- caches ---------------------------------------------------------------------------------- */

/* Where each cache keeps what it has: a bit for its own memory, and one for the folder. */
enum { FOLDER = 1 << KEEPER_CACHES };
static const unsigned stores_of[KEEPER_CACHES] = {1 << 0, 1 << 1 | FOLDER, FOLDER};

static void note_warning(void *user, enum weir_log_level level, const char *line)
{
    struct keeper *keeper = user;
    if (level != WEIR_LOG_WARNING)
        return;
    keeper->warnings++;
    printf("    %s\n", line);
}

/* Room for all, or for a few, of which long ones may be too large. */
static uint64_t draw_bytes(struct crowd *crowd)
{
    const struct snapshot_shape shape = snapshot_shape_make(crowd->engine);
    const uint64_t row_bytes = shape.row_bytes + shape.mtp_row_bytes;
    const uint64_t bytes = OTHERS_BYTES + shape.kept_bytes + LIFE_MAX / 2 * row_bytes;
    return crowd->keeper.is_roomy ? 1 << 30 : bytes * crowd_draw_between(crowd, 1, 6);
}

void keeper_open(struct crowd *crowd)
{
    struct keeper *keeper = &crowd->keeper;
    const char *dir = folder_fresh("keeper");
    struct weir_error err = {0};
    keeper->is_roomy = crowd_draw(crowd, 2) == 0;
    const uint64_t dir_bytes_max = draw_bytes(crowd);
    for (uint32_t i = 0; i < KEEPER_CACHES; i++) {
        const bool has_folder = (stores_of[i] & FOLDER) != 0;
        const bool has_memory = (stores_of[i] & ~(unsigned)FOLDER) != 0;
        const struct weir_cache_options options = {.bytes_max = has_memory ? draw_bytes(crowd) : 0,
                                                   .dir = has_folder ? dir : NULL,
                                                   .dir_bytes_max = dir_bytes_max,
                                                   .log = note_warning,
                                                   .log_user = keeper};
        CHECK_OK(weir_cache_open(&keeper->caches[i], crowd->engine, &options, &err), &err);
    }
}

static void kept_close(struct kept_life *kept)
{
    if (kept != NULL)
        free(kept->life.hidden);
    free(kept);
}

void keeper_close(struct keeper *keeper)
{
    for (struct kept_life *kept = keeper->lives, *next; kept != NULL; kept = next) {
        next = kept->next;
        kept_close(kept);
    }
    for (uint32_t i = 0; i < KEEPER_FILES; i++)
        kept_close(keeper->files[i]);
    for (uint32_t i = 0; i < KEEPER_CACHES; i++)
        weir_cache_close(keeper->caches[i]);
    *keeper = (struct keeper){.lives = NULL};
}

/* ---- what was kept --------------------------------------------------------------------------- */

/* Of a session, in one piece. */
static struct digest digest_of(const struct weir_session *session)
{
    const struct snapshot_shape shape = snapshot_shape_make(session->engine);
    const struct snapshot_head head =
        snapshot_head_make(session, &shape, (struct origin){.position = 0});
    const uint64_t bytes = snapshot_bytes(&head, &shape);
    uint8_t *data = malloc(bytes);
    struct digest link;
    struct digester digester;
    struct weir_error err = {0};
    CHECK(data != NULL);
    CHECK_OK(snapshot_write(session, &head, (struct snapshot_sink){.memory = data}, &link, &err),
             &err);
    digester_init(&digester);
    digester_put(&digester, data, bytes);
    free(data);
    return digester_digest(&digester);
}

static struct kept_life *kept_open(const struct crowd *crowd, const struct place *place)
{
    struct kept_life *kept = calloc(1, sizeof *kept);
    CHECK(kept != NULL);
    const size_t drafted = place->life.is_drafted_apart ? 0 : place->life.drafted;
    kept->life.hidden = malloc((drafted * crowd->width + 1) * sizeof(float));
    CHECK(kept->life.hidden != NULL);
    kept->owner = crowd_number(crowd, place);
    kept->whole = digest_of(place->session);
    life_copy(&kept->life, &place->life, crowd->width);
    if (kept->life.drafted > kept->life.length)
        kept->life.drafted = kept->life.length; /* what the block has ahead of the text is left */
    return kept;
}

static struct kept_life *find_link(const struct keeper *keeper, struct digest link)
{
    struct kept_life *kept = keeper->lives;
    while (kept != NULL && !digest_equals(kept->link, link))
        kept = kept->next;
    return kept;
}

static bool begins_with(const int32_t *tokens, uint32_t count, const struct life *life)
{
    for (uint32_t i = 0; i < life->length; i++) {
        if (i == count || tokens[i] != life->tokens[i].id)
            return false;
    }
    return true;
}

/* The longest of what was ever put into one of these stores, of fewer than `count` tokens. */
static uint32_t longest(const struct keeper *keeper, unsigned stores, const int32_t *tokens,
                        uint32_t count)
{
    uint32_t most = 0;
    for (const struct kept_life *kept = keeper->lives; kept != NULL; kept = kept->next) {
        const uint32_t length = kept->life.length;
        if ((kept->stores & stores) != 0 && length > most && length < count &&
            begins_with(tokens, count, &kept->life))
            most = length;
    }
    return most;
}

/* ---- the folder ------------------------------------------------------------------------------ */

/* Of a file. */
static void read_links(const struct crowd *crowd, const struct cache_folder *folder,
                       const struct cache_file *file, struct digest *link, struct origin *parent)
{
    const struct snapshot_shape shape = snapshot_shape_make(crowd->engine);
    struct snapshot_head head;
    struct file_reader reader;
    struct weir_error err = {0};
    char *path = cache_folder_path(folder, &file->key, &err);
    CHECK(path != NULL);
    CHECK_OK(file_reader_open(&reader, path, &err), &err);
    const struct snapshot_source source = {.file = &reader, .size = reader.size, .name = path};
    CHECK_OK(snapshot_source_head(&source, &shape, &head, &err), &err);
    CHECK_OK(snapshot_source_read(&source, snapshot_link_offset(&head, &shape), link, sizeof *link,
                                  &err),
             &err);
    *parent = head.parent;
    file_reader_close(&reader);
    mem_free(path);
}

/* However many had to go, nothing lost what it stands on. */
static void check_folder(const struct crowd *crowd)
{
    enum { FILES = 512 };
    struct cache_folder folder;
    struct cache_file *files;
    struct digest links[FILES];
    struct origin parents[FILES];
    uint64_t count;
    struct weir_error err = {0};
    CHECK_OK(cache_folder_open(&folder, test_scratch("keeper"), 0, &err), &err);
    CHECK_OK(cache_folder_list(&folder, &files, &count, &err), &err);
    CHECK(count <= FILES);
    for (uint64_t i = 0; i < count; i++)
        read_links(crowd, &folder, &files[i], &links[i], &parents[i]);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t at = 0;
        while (at < count && parents[i].position != 0 && !digest_equals(links[at], parents[i].link))
            at++;
        if (at == count)
            crowd_fail(crowd, "the folder has %u tokens of a text, but not the %u before them",
                       files[i].key.position, parents[i].position);
    }
    mem_free(files);
    cache_folder_close(&folder);
}

/* ---- keeping --------------------------------------------------------------------------------- */

void keeper_put(struct crowd *crowd, struct place *place)
{
    struct keeper *keeper = &crowd->keeper;
    const uint32_t number = crowd_draw(crowd, KEEPER_CACHES);
    const struct origin *origin = &place->session->origin;
    struct weir_error err = {0};
    crowd_say(crowd, " of %u tokens into cache %u", place->life.length, number);
    crowd_expect_ok(crowd, weir_cache_put(keeper->caches[number], place->session, 0, &err), &err);
    crowd_check_place(crowd, place);
    check_folder(crowd);
    if (place->life.length == 0 || origin->position != place->life.length)
        return; /* there already, from another way to the same tokens, or too large */
    struct kept_life *kept = find_link(keeper, origin->link);
    if (kept == NULL) {
        kept = kept_open(crowd, place);
        kept->link = origin->link;
        kept->next = keeper->lives;
        keeper->lives = kept;
    }
    kept->stores |= stores_of[number];
}

static const char *file_path(uint32_t number)
{
    char name[32];
    snprintf(name, sizeof name, "keeper-%u.session", number);
    return test_scratch(name);
}

void keeper_save(struct crowd *crowd, struct place *place)
{
    struct keeper *keeper = &crowd->keeper;
    const uint32_t number = crowd_draw(crowd, KEEPER_FILES);
    struct weir_error err = {0};
    const enum weir_status status = weir_session_save(place->session, file_path(number), &err);
    if (place->life.length == 0) {
        if (status != WEIR_ERR_ARGUMENT)
            crowd_fail(crowd, "status %d of a session without tokens", (int)status);
        return;
    }
    crowd_expect_ok(crowd, status, &err);
    kept_close(keeper->files[number]);
    keeper->files[number] = kept_open(crowd, place);
}

/* ---- getting --------------------------------------------------------------------------------- */

/* Makes the session empty, or a new one, in whichever place is free; nothing that anyone left there
 * is of use. */
static void give_up(struct crowd *crowd, struct place *place)
{
    if (place->speaker.speculator == NULL && crowd_draw(crowd, 2) == 0) {
        crowd_close_session(place);
        poison_free(crowd->engine);
        crowd_open_session(crowd, place);
    } else {
        weir_session_reset(place->session);
        crowd_forget_kept(crowd, place);
    }
    place_empty(place);
    poison_session(place->session, 0);
}

/* A mark on nothing does not outlast what the session then becomes. */
static void mark_nothing(struct crowd *crowd, struct place *place)
{
    struct weir_error err = {0};
    if (crowd->options.rewind_max > 0 && crowd_draw(crowd, 4) == 0)
        crowd_expect_ok(crowd, weir_session_mark(place->session, &err), &err);
}

static void check_no_mark(const struct crowd *crowd, struct place *place)
{
    struct weir_error err = {0};
    if (weir_session_rewind(place->session, place->life.length - 1, &err) != WEIR_ERR_ARGUMENT)
        crowd_fail(crowd, "session %u can go back without a mark", crowd_number(crowd, place));
}

/* The session is as it was kept: rows of logits are gone, the last hidden state may be there. */
static void become(struct crowd *crowd, struct place *place, const struct kept_life *kept)
{
    const float *hidden = weir_session_hidden(place->session, 0);
    const uint32_t end = kept->life.length;
    life_copy(&place->life, &kept->life, crowd->width);
    crowd_check_place(crowd, place);
    if (!digest_equals(digest_of(place->session), kept->whole))
        crowd_fail(crowd, "session %u is not what was kept of session %u",
                   crowd_number(crowd, place), kept->owner);
    if (weir_session_logits(place->session, 0) != NULL ||
        weir_session_mtp_logits(place->session, 0) != NULL)
        crowd_fail(crowd, "session %u has logits of nobody", crowd_number(crowd, place));
    if (hidden != NULL) {
        oracle_follow(&place->oracle, &place->life);
        crowd_check_bits(crowd, place, hidden, oracle_hidden(&place->oracle, end - 1), crowd->width,
                         "the kept hidden state", end - 1);
    }
    check_no_mark(crowd, place);
    if (crowd_draw(crowd, 2) == 0)
        poison_session(place->session, 0);
}

/* What somebody had or has, or the beginning of it, and more. */
static uint32_t draw_text(struct crowd *crowd, int32_t *text)
{
    const struct place *other = &crowd->places[crowd_draw(crowd, crowd->count)];
    const struct life *life = &other->life;
    uint32_t number = crowd_draw(crowd, 8);
    for (const struct kept_life *kept = crowd->keeper.lives; kept != NULL; kept = kept->next) {
        if (number-- == 0)
            life = &kept->life;
    }
    uint32_t count = crowd_draw(crowd, 4) == 0 ? crowd_draw(crowd, life->length + 1) : life->length;
    for (uint32_t i = 0; i < count; i++)
        text[i] = life->tokens[i].id;
    const uint32_t end = count + crowd_draw_between(crowd, 1, TAIL_MAX);
    while (count < LIFE_MAX && count < end)
        text[count++] = (int32_t)crowd_draw(crowd, crowd->vocab);
    return count;
}

static void check_held(const struct crowd *crowd, uint32_t number, const int32_t *text,
                       uint32_t count, uint32_t held)
{
    const struct keeper *keeper = &crowd->keeper;
    const uint32_t most = longest(keeper, stores_of[number], text, count);
    if (held > most || (keeper->is_roomy && held < most))
        crowd_fail(crowd, "cache %u has %u tokens of the text, expected %u", number, held, most);
    if (keeper->warnings != 0)
        crowd_fail(crowd, "cache %u warns", number);
}

uint32_t keeper_get(struct crowd *crowd, struct place *place, int32_t *rest)
{
    const struct keeper *keeper = &crowd->keeper;
    const uint32_t number = crowd_draw(crowd, KEEPER_CACHES);
    int32_t text[LIFE_MAX];
    uint32_t held;
    struct weir_error err = {0};
    const uint32_t count = draw_text(crowd, text);
    give_up(crowd, place);
    mark_nothing(crowd, place);
    crowd_expect_ok(
        crowd, weir_cache_get(keeper->caches[number], place->session, 0, text, count, &held, &err),
        &err);
    crowd_say(crowd, " %u of %u tokens from cache %u", held, count, number);
    check_held(crowd, number, text, count, held);
    crowd->deeds->hits += held != 0;
    crowd->deeds->misses += held == 0;
    check_folder(crowd);
    if (held == 0)
        weir_session_unmark(place->session);
    if (held != 0) {
        const struct kept_life *kept = find_link(keeper, place->session->origin.link);
        if (kept == NULL || kept->life.length != held || !begins_with(text, count, &kept->life))
            crowd_fail(crowd, "cache %u gave %u tokens that nobody put there", number, held);
        become(crowd, place, kept);
        crowd->deeds->adopted += kept->owner != crowd_number(crowd, place);
    }
    crowd_check_place(crowd, place);
    place->next = text[held];
    memcpy(rest, text + held, (count - held) * sizeof *rest);
    return count - held;
}

void keeper_load(struct crowd *crowd, struct place *place)
{
    const uint32_t number = crowd_draw(crowd, KEEPER_FILES);
    const struct kept_life *kept = crowd->keeper.files[number];
    struct weir_error err = {0};
    if (kept == NULL)
        return;
    give_up(crowd, place);
    mark_nothing(crowd, place);
    crowd_expect_ok(crowd, weir_session_load(place->session, file_path(number), &err), &err);
    crowd_say(crowd, " %u tokens of %u", kept->life.length, kept->owner);
    become(crowd, place, kept);
    crowd->deeds->loads++;
}
