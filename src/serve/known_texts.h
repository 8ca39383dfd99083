/* SPDX-License-Identifier: MIT
 * The tokens of texts that are in slots, or lately were: what prompts are replayed from, and what
 * the cache should hold. Of other salts nothing is told. Knows nothing of locks: who uses it holds
 * the scheduler's. */
#ifndef SERVE_KNOWN_TEXTS_H
#define SERVE_KNOWN_TEXTS_H

#include "base/err.h"

enum { TEXT_KEPT_MAX = 16 };

struct known_text {
    uint64_t salt;
    int32_t *ids;
    uint64_t count, capacity;
    uint64_t used;                /* by known_texts.calls */
    bool is_live;                 /* a slot goes on with it */
    bool has_hole;                /* there was no memory: what came behind is not in it */
    uint32_t kept[TEXT_KEPT_MAX]; /* positions of which the cache was given the state */
    uint32_t kept_count;
};

struct known_texts {
    struct known_text *items;
    uint32_t count;
    uint64_t calls;
};

/* Room for so many texts. */
enum weir_status known_texts_open(struct known_texts *texts, uint32_t count,
                                  struct weir_error *err);
void known_texts_close(struct known_texts *texts);

/* A slot begins with a prompt, in place of the text that is not live and was not used for longest.
 * NULL if there is no memory, which the functions below take for a text that is not kept. */
struct known_text *known_texts_begin(struct known_texts *texts, uint64_t salt, const int32_t *ids,
                                     uint32_t count);
void known_text_add(struct known_text *text, int32_t id);
void known_text_keep(struct known_text *text, uint32_t position);
void known_text_end(struct known_text *text);
/* Forgets it. */
void known_text_drop(struct known_text *text);

/* The longest prefix of the prompt, shorter than it, of which the cache was given the state. */
uint32_t known_texts_kept(const struct known_texts *texts, uint64_t salt, const int32_t *ids,
                          uint32_t count);

/* The text that begins most like the tokens; NULL if none does. */
struct known_text *known_texts_find(struct known_texts *texts, uint64_t salt, const int32_t *ids,
                                    uint64_t count);

/* How many tokens two texts begin with alike. */
uint64_t tokens_alike(const int32_t *a, uint64_t a_count, const int32_t *b, uint64_t b_count);

#endif
