/* SPDX-License-Identifier: MIT
 * From the tokens of a job to its text. Knows neither how tokens were chosen nor who hears of
 * them. */
#include "serve/job_text.h"

#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"

/* A text is cut where a stop text begins, which must be between characters. */
static enum weir_status check_stops(const char *const *stops, uint32_t count, size_t *longest,
                                    struct weir_error *err)
{
    *longest = 0;
    for (uint32_t i = 0; i < count; i++) {
        const size_t length = strlen(stops[i]);
        const bool is_text =
            length > 0 && utf8_sequence((const uint8_t *)stops[i], length).state == UTF8_COMPLETE;
        if (!is_text)
            return err_set(err, WEIR_ERR_ARGUMENT,
                           "text %u to stop at is empty or no UTF-8, expected some characters", i);
        *longest = length > *longest ? length : *longest;
    }
    return WEIR_OK;
}

/* Room for what is held back, and for any token behind it. */
static enum weir_status take_room(struct job_text *text, size_t piece_max, size_t longest,
                                  struct weir_error *err)
{
    uint64_t room;
    if (!size_mul(piece_max, 3, &room) || !size_add(room, 2 * WEIR_DETOKENIZER_SLACK, &room) ||
        !size_add(room, longest, &room))
        return err_set(err, WEIR_ERR_MEMORY, "the texts to stop at are too long");
    text->room = (size_t)room;
    text->bytes = mem_alloc(room, 1, err);
    return text->bytes != NULL ? WEIR_OK : WEIR_ERR_MEMORY;
}

enum weir_status job_text_open(struct job_text *text, const struct weir_tokenizer *tokenizer,
                               size_t piece_max, const char *const *stops, uint32_t stops_count,
                               const char *mark, struct weir_error *err)
{
    const bool has_mark = mark != NULL && mark[0] != 0;
    size_t longest;
    enum weir_status status;
    *text = (struct job_text){.tokenizer = tokenizer, .is_reasoning = has_mark};
    text->mark_texts[0] = mark;
    TRY(check_stops(stops, stops_count, &longest, err));
    TRY(stop_open(&text->stop, stops, stops_count, err));
    TRY(stop_open(&text->mark, text->mark_texts, has_mark ? 1 : 0, err));
    TRY(take_room(text, piece_max, longest, err));
out:
    return status;
}

void job_text_close(struct job_text *text)
{
    stop_close(&text->stop);
    stop_close(&text->mark);
    mem_free(text->bytes);
    text->bytes = NULL;
}

/* The text that was found, of those that the stream may end with. */
static const char *found_stop(const struct stop *stop)
{
    for (uint64_t i = 0; i < stop->count; i++) {
        if (stop->matched[i] == stop->found && stop->texts[i][stop->found] == 0)
            return stop->texts[i];
    }
    return NULL;
}

static void forget_said(struct job_text *text)
{
    memmove(text->bytes, text->bytes + text->said, text->held);
    text->said = 0;
}

struct job_said job_text_push(struct job_text *text, int32_t id, bool may_stop)
{
    size_t length, used;
    forget_said(text);
    const char *piece = weir_tokenizer_piece(text->tokenizer, id, false, &length);
    char *begin = text->bytes + text->held;
    const size_t ready = weir_detokenizer_push(&text->detokenizer, piece, length, begin);
    if (text->is_reasoning)
        text->is_reasoning = !stop_feed(&text->mark, begin, ready, &used);
    used = ready;
    const bool is_found = may_stop && stop_feed(&text->stop, begin, ready, &used);
    const size_t all = text->held + used;
    const size_t kept = is_found ? text->stop.found : stop_held(&text->stop);
    text->said = all - kept;
    text->held = is_found ? 0 : kept;
    if (is_found)
        text->detokenizer = (struct weir_detokenizer){.pending_length = 0};
    return (struct job_said){text->bytes, text->said, is_found ? found_stop(&text->stop) : NULL};
}

struct job_said job_text_finish(struct job_text *text)
{
    forget_said(text);
    text->said = text->held + weir_detokenizer_finish(&text->detokenizer, text->bytes + text->held);
    text->held = 0;
    return (struct job_said){text->bytes, text->said, NULL};
}
