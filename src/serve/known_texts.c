/* SPDX-License-Identifier: MIT
 * A table of texts; the least recently used one makes room. */
#include "serve/known_texts.h"

#include <string.h>

#include "base/mem.h"

enum weir_status known_texts_open(struct known_texts *texts, uint32_t count, struct weir_error *err)
{
    *texts = (struct known_texts){.items = mem_alloc(count, sizeof *texts->items, err)};
    if (texts->items == NULL)
        return WEIR_ERR_MEMORY;
    texts->count = count;
    return WEIR_OK;
}

void known_texts_close(struct known_texts *texts)
{
    for (uint32_t i = 0; i < texts->count; i++)
        mem_free(texts->items[i].ids);
    mem_free(texts->items);
    *texts = (struct known_texts){.items = NULL};
}

uint64_t tokens_alike(const int32_t *a, uint64_t a_count, const int32_t *b, uint64_t b_count)
{
    const uint64_t most = a_count < b_count ? a_count : b_count;
    uint64_t same = 0;
    while (same < most && a[same] == b[same])
        same++;
    return same;
}

static struct known_text *oldest(const struct known_texts *texts)
{
    struct known_text *oldest = NULL;
    for (uint32_t i = 0; i < texts->count; i++) {
        struct known_text *text = &texts->items[i];
        if (!text->is_live && (oldest == NULL || text->used < oldest->used))
            oldest = text;
    }
    return oldest;
}

struct known_text *known_texts_begin(struct known_texts *texts, uint64_t salt, const int32_t *ids,
                                     uint32_t count)
{
    struct known_text *text = oldest(texts);
    if (text == NULL)
        return NULL;
    known_text_drop(text);
    if (mem_grow(&text->ids, &text->capacity, count, sizeof *text->ids, NULL) != WEIR_OK)
        return NULL;
    memcpy(text->ids, ids, count * sizeof *ids);
    text->count = count;
    text->salt = salt;
    text->used = ++texts->calls;
    text->is_live = true;
    return text;
}

void known_text_add(struct known_text *text, int32_t id)
{
    if (text == NULL || text->has_hole)
        return;
    text->has_hole =
        mem_grow(&text->ids, &text->capacity, text->count + 1, sizeof *text->ids, NULL) != WEIR_OK;
    if (!text->has_hole)
        text->ids[text->count++] = id;
}

/* In their order; where there are too many, every second goes. */
void known_text_keep(struct known_text *text, uint32_t position)
{
    if (text == NULL || (text->kept_count > 0 && text->kept[text->kept_count - 1] >= position))
        return;
    if (text->kept_count == TEXT_KEPT_MAX) {
        text->kept_count /= 2;
        for (uint32_t i = 0; i < text->kept_count; i++)
            text->kept[i] = text->kept[2 * i + 1];
    }
    text->kept[text->kept_count++] = position;
}

void known_text_end(struct known_text *text)
{
    if (text != NULL)
        text->is_live = false;
}

void known_text_drop(struct known_text *text)
{
    if (text == NULL)
        return;
    mem_free(text->ids);
    *text = (struct known_text){.ids = NULL};
}

uint32_t known_texts_kept(const struct known_texts *texts, uint64_t salt, const int32_t *ids,
                          uint32_t count)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < texts->count; i++) {
        const struct known_text *text = &texts->items[i];
        if (text->salt != salt || text->kept_count == 0 || text->kept[text->kept_count - 1] <= most)
            continue;
        const uint64_t same = tokens_alike(text->ids, text->count, ids, count - 1);
        for (uint32_t j = 0; j < text->kept_count; j++)
            most = text->kept[j] <= same && text->kept[j] > most ? text->kept[j] : most;
    }
    return most;
}

struct known_text *known_texts_find(struct known_texts *texts, uint64_t salt, const int32_t *ids,
                                    uint64_t count)
{
    struct known_text *best = NULL;
    uint64_t most = 0;
    for (uint32_t i = 0; i < texts->count; i++) {
        struct known_text *text = &texts->items[i];
        const uint64_t same =
            text->salt == salt ? tokens_alike(text->ids, text->count, ids, count) : 0;
        if (same > most || (same == most && best != NULL && text->used > best->used)) {
            best = text;
            most = same;
        }
    }
    if (best != NULL)
        best->used = ++texts->calls;
    return best;
}
