/* SPDX-License-Identifier: MIT
 * The guard of a sampler: marks in the text, the budget of reasoning, the constraint. Knows neither
 * logits nor how a constraint finds out what it allows. */
#include "run/guard.h"

#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "chat/marks.h"

/* ---- marks ----------------------------------------------------------------------------------- */

static enum weir_status mark_init(struct mark *mark, const char *text, struct weir_error *err)
{
    const size_t length = strlen(text);
    *mark = (struct mark){0};
    if (length == 0 || length > MARK_BYTES_MAX)
        return err_set(err, WEIR_ERR_ARGUMENT, "a mark of %zu bytes, expected 1 to %d", length,
                       MARK_BYTES_MAX);
    memcpy(mark->text, text, length);
    mark->length = (uint32_t)length;
    for (uint32_t i = 1, matched = 0; i < length; i++) {
        while (matched > 0 && text[i] != text[matched])
            matched = mark->back[matched];
        matched += text[i] == text[matched];
        mark->back[i + 1] = (uint8_t)matched;
    }
    return WEIR_OK;
}

/* Reads a piece up to the end of the first mark. Returns the bytes behind that, or SIZE_MAX if the
 * mark is not complete. */
static size_t mark_read(struct mark *mark, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        while (mark->matched > 0 && text[i] != mark->text[mark->matched])
            mark->matched = mark->back[mark->matched];
        mark->matched += text[i] == mark->text[mark->matched];
        if (mark->matched == mark->length)
            return length - i - 1;
    }
    return SIZE_MAX;
}

static const char *piece_of(const struct weir_tokenizer *tokenizer, int32_t id, size_t *length)
{
    *length = 0;
    return tokenizer == NULL ? "" : weir_tokenizer_piece(tokenizer, id, true, length);
}

/* ---- constraint ------------------------------------------------------------------------------ */

void guard_release(struct guard *guard)
{
    constraint_detach(&guard->cursor);
    mem_free(guard->closing);
    *guard = (struct guard){0};
}

enum weir_status guard_constrain(struct guard *guard, struct weir_constraint *constraint,
                                 const char *behind, struct weir_error *err)
{
    struct mark mark = {0};
    enum weir_status status = WEIR_OK;
    constraint_detach(&guard->cursor);
    guard->behind = (struct mark){0};
    guard->banned_count = 0;
    if (constraint == NULL)
        return status;
    if (behind != NULL) {
        if (guard->tokenizer == NULL)
            return err_set(err, WEIR_ERR_ARGUMENT,
                           "a constraint behind \"%s\": the sampler has no tokenizer", behind);
        TRY(mark_init(&mark, behind, err));
    }
    TRY(constraint_attach(constraint, &guard->cursor, behind != NULL, err));
    guard->behind = mark;
out:
    return status;
}

const uint64_t *guard_mask(struct guard *guard, uint32_t *tokens)
{
    if (guard->cursor.constraint == NULL || guard->behind.length > 0)
        return NULL;
    return constraint_mask(&guard->cursor, tokens);
}

struct constraint_cursor *guard_unmasked(struct guard *guard)
{
    if (guard->cursor.constraint == NULL || guard->behind.length > 0 ||
        constraint_knows_mask(&guard->cursor))
        return NULL;
    return &guard->cursor;
}

bool guard_takes(struct guard *guard, int32_t id)
{
    size_t length;
    if (guard->cursor.constraint == NULL || guard->behind.length == 0 ||
        guard->banned_count == GUARD_BANNED_MAX)
        return true;
    struct mark mark = guard->behind;
    const char *text = piece_of(guard->tokenizer, id, &length);
    const size_t left = mark_read(&mark, text, length);
    struct constraint_cursor *cursor = &guard->cursor;
    if (left == SIZE_MAX || constraint_can_read(cursor, text + length - left, left))
        return true;
    guard->banned[guard->banned_count++] = id;
    return false;
}

static void accept_constrained(struct guard *guard, int32_t id)
{
    size_t length;
    guard->banned_count = 0;
    if (guard->cursor.constraint == NULL) {
        guard->behind = (struct mark){0}; /* of a constraint that was closed */
        return;
    }
    if (guard->behind.length == 0) {
        constraint_accept(&guard->cursor, id);
        return;
    }
    const char *text = piece_of(guard->tokenizer, id, &length);
    const size_t left = mark_read(&guard->behind, text, length);
    if (left == SIZE_MAX)
        return;
    guard->behind = (struct mark){0};
    constraint_read(&guard->cursor, text + length - left, left);
}

/* ---- reasoning ------------------------------------------------------------------------------- */

static enum weir_status encode_closing(struct guard *guard, const char *closing,
                                       struct weir_error *err)
{
    const size_t length = strlen(closing);
    size_t count;
    int32_t *ids = mem_alloc(3 * (uint64_t)length + 2, sizeof *ids, err);
    if (ids == NULL)
        return WEIR_ERR_MEMORY;
    const enum weir_status status =
        weir_tokenizer_encode(guard->tokenizer, closing, length, WEIR_ENCODE_PARSE_SPECIAL, ids,
                              3 * length + 2, &count, err);
    if (status != WEIR_OK) {
        mem_free(ids);
        return status;
    }
    mem_free(guard->closing);
    guard->closing = ids;
    guard->closing_count = (uint32_t)count;
    return WEIR_OK;
}

enum weir_status guard_limit_reasoning(struct guard *guard, uint32_t budget, const char *mark,
                                       const char *closing, struct weir_error *err)
{
    enum weir_status status;
    guard->is_closing = false;
    guard->reasoning = (struct mark){0};
    if (guard->tokenizer == NULL)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "a budget of reasoning: the sampler has no tokenizer");
    TRY(encode_closing(guard, closing, err));
    TRY(mark_init(&guard->call, MARK_CALL, err));
    TRY(mark_init(&guard->reasoning, mark, err));
    guard->budget = budget;
    guard->character_length = 0;
    guard->closing_next = 0;
    guard->is_closing = budget == 0 && guard->closing_count > 0;
out:
    return status;
}

int32_t guard_forced(const struct guard *guard)
{
    return guard->is_closing ? guard->closing[guard->closing_next] : -1;
}

/* Keeps what a piece leaves of a character that is not complete. */
static void watch_characters(struct guard *guard, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        guard->character[guard->character_length++] = (uint8_t)text[i];
        while (guard->character_length > 0) {
            const struct utf8_sequence sequence =
                utf8_sequence(guard->character, guard->character_length);
            if (sequence.state == UTF8_TRUNCATED)
                break;
            guard->character_length -= sequence.length;
            memmove(guard->character, guard->character + sequence.length, guard->character_length);
        }
    }
}

static void accept_closing(struct guard *guard)
{
    guard->closing_next++;
    if (guard->closing_next < guard->closing_count)
        return;
    guard->is_closing = false;
    guard->reasoning = (struct mark){0};
}

static void accept_reasoning(struct guard *guard, int32_t id)
{
    size_t length;
    if (guard->reasoning.length == 0)
        return;
    if (guard->is_closing) {
        accept_closing(guard);
        return;
    }
    const char *text = piece_of(guard->tokenizer, id, &length);
    if (mark_read(&guard->reasoning, text, length) != SIZE_MAX ||
        mark_read(&guard->call, text, length) != SIZE_MAX) {
        guard->reasoning = (struct mark){0};
        return;
    }
    watch_characters(guard, text, length);
    guard->budget -= guard->budget > 0;
    guard->is_closing =
        guard->budget == 0 && guard->character_length == 0 && guard->closing_count > 0;
}

void guard_accept(struct guard *guard, int32_t id)
{
    accept_constrained(guard, id);
    accept_reasoning(guard, id);
}
