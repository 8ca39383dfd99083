/* SPDX-License-Identifier: MIT
 * The texts of the tokens as raw bytes, by id and by text. Knows nothing of merging. */
#include "text/vocabulary.h"

#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "text/tokenizer.h"

/* ---- the byte-to-Unicode spelling ------------------------------------------------------------ */

/* The 188 printable bytes of Latin-1 are spelled as themselves; the other 68, in increasing order,
 * as U+0100 to U+0143. Returns the byte that a code point spells, or -1. */
static int spelled_byte(uint32_t code)
{
    if (code <= 0xff)
        return (code >= 0x21 && code <= 0x7e) || (code >= 0xa1 && code != 0xad) ? (int)code : -1;
    if (code <= 0x120)
        return (int)(code - 0x100);
    if (code <= 0x142)
        return (int)(code - 0x121 + 0x7f);
    return code == 0x143 ? 0xad : -1;
}

size_t vocabulary_unspell(struct span spelled, uint8_t *out)
{
    size_t length = 0;
    for (size_t at = 0; at < spelled.length; at++) {
        uint32_t code = spelled.data[at];
        if (code >= 0x80) { /* two bytes, or else no code point of the spelling */
            const uint8_t next = at + 1 < spelled.length ? spelled.data[at + 1] : 0;
            code = (code & 0xe0) == 0xc0 && (next & 0xc0) == 0x80
                       ? (code & 0x1f) << 6 | (next & 0x3f)
                       : UINT32_MAX;
            at++;
            if (code < 0x80) /* overlong */
                code = UINT32_MAX;
        }
        const int byte = spelled_byte(code);
        if (byte < 0) {
            memcpy(out, spelled.data, spelled.length);
            return spelled.length;
        }
        out[length++] = (uint8_t)byte;
    }
    return length;
}

/* ---- hash ------------------------------------------------------------------------------------ */

static uint64_t hash_step(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u; /* 2^64 over the golden ratio, odd */
    return hash ^ (hash >> 29);
}

/* Up to 8 bytes as a word, by loads that overlap; distinct for distinct bytes of one length. */
static uint64_t load_word(const uint8_t *bytes, size_t length)
{
    uint64_t word = 0;
    uint32_t first, last;
    if (length >= 8) {
        memcpy(&word, bytes, 8);
        return word;
    }
    if (length >= 4) {
        memcpy(&first, bytes, 4);
        memcpy(&last, bytes + length - 4, 4);
        return (uint64_t)last << 32 | first;
    }
    if (length > 0)
        word = bytes[0] | (uint32_t)bytes[length / 2] << 8 | (uint32_t)bytes[length - 1] << 16;
    return word;
}

uint64_t bytes_hash(const uint8_t *bytes, size_t length, uint64_t seed)
{
    uint64_t hash = seed ^ length;
    for (; length > 8; bytes += 8, length -= 8)
        hash = hash_step(hash, load_word(bytes, 8));
    return hash_step(hash_step(hash, load_word(bytes, length)), seed >> 32);
}

/* ---- look-up --------------------------------------------------------------------------------- */

struct span vocabulary_text(const struct vocabulary *vocabulary, int32_t id)
{
    const uint32_t begin = vocabulary->offsets[id];
    return (struct span){vocabulary->bytes + begin, vocabulary->offsets[id + 1] - begin};
}

/* The slot that holds the text, or the empty one where it would be. */
static struct vocabulary_slot *find_slot(const struct vocabulary *vocabulary, const uint8_t *text,
                                         size_t length, uint64_t hash)
{
    for (uint64_t at = hash;; at++) {
        struct vocabulary_slot *slot = &vocabulary->slots[at & vocabulary->slots_mask];
        if (slot->id_plus_1 == 0)
            return slot;
        if (slot->tag != (uint32_t)(hash >> 32))
            continue;
        const struct span other = vocabulary_text(vocabulary, (int32_t)(slot->id_plus_1 - 1));
        if (other.length == length && memcmp(other.data, text, length) == 0)
            return slot;
    }
}

int32_t vocabulary_find(const struct vocabulary *vocabulary, const uint8_t *text, size_t length)
{
    const uint64_t hash = bytes_hash(text, length, vocabulary->seed);
    return (int32_t)find_slot(vocabulary, text, length, hash)->id_plus_1 - 1;
}

int32_t vocabulary_find_near(const struct vocabulary *vocabulary, const uint8_t *text,
                             size_t length, uint32_t guess)
{
    if (guess < vocabulary->count && length > 0 && !vocabulary->has_twins) {
        const struct span other = vocabulary_text(vocabulary, (int32_t)guess);
        if (other.length == length && memcmp(other.data, text, length) == 0)
            return (int32_t)guess;
    }
    return vocabulary_find(vocabulary, text, length);
}

static uint64_t hash_of(const struct vocabulary *vocabulary, uint32_t id)
{
    const struct span text = vocabulary_text(vocabulary, (int32_t)id);
    return bytes_hash(text.data, text.length, vocabulary->seed);
}

static void vocabulary_add(struct vocabulary *vocabulary, uint32_t id, uint64_t hash)
{
    const struct span text = vocabulary_text(vocabulary, (int32_t)id);
    if (text.length == 0)
        return;
    struct vocabulary_slot *slot = find_slot(vocabulary, text.data, text.length, hash);
    if (slot->id_plus_1 == 0)
        *slot = (struct vocabulary_slot){id + 1, (uint32_t)(hash >> 32)};
    else
        vocabulary->has_twins = true;
}

/* Slots are asked for some tokens before they are needed: nearly every one is a line, and many a
 * page, that nobody has touched. */
static void index_texts(struct vocabulary *vocabulary)
{
    enum { AHEAD = 16 };
    uint64_t hashes[AHEAD];
    for (uint32_t id = 0; id < vocabulary->count + AHEAD; id++) {
        if (id >= AHEAD)
            vocabulary_add(vocabulary, id - AHEAD, hashes[id % AHEAD]);
        if (id >= vocabulary->count)
            continue;
        hashes[id % AHEAD] = hash_of(vocabulary, id);
        __builtin_prefetch(&vocabulary->slots[hashes[id % AHEAD] & vocabulary->slots_mask], 1);
    }
}

/* ---- building -------------------------------------------------------------------------------- */

static enum token_type token_type_of(const int32_t *types, uint32_t id)
{
    const int32_t type = types == NULL ? TOKEN_NORMAL : types[id];
    return type > TOKEN_UNDEFINED && type <= TOKEN_BYTE ? (enum token_type)type : TOKEN_NORMAL;
}

static enum weir_status vocabulary_alloc(struct vocabulary *vocabulary, const struct span *tokens,
                                         uint32_t count, struct weir_error *err)
{
    if (count == 0 || count > INT32_MAX)
        return err_set(err, WEIR_ERR_FORMAT, "vocabulary of %u tokens: expected 1 to %d", count,
                       INT32_MAX);
    uint64_t bytes = 0;
    for (uint32_t id = 0; id < count; id++) {
        if (!size_add(bytes, tokens[id].length, &bytes) || bytes > UINT32_MAX)
            return err_set(err, WEIR_ERR_UNSUPPORTED, "vocabulary texts exceed 4 GiB at token %u",
                           id);
    }
    uint64_t slots = 16;
    while (slots < (uint64_t)count * 2)
        slots *= 2;
    vocabulary->count = count;
    vocabulary->slots_mask = slots - 1;
    vocabulary->bytes = mem_alloc(bytes, 1, err);
    vocabulary->offsets = mem_alloc((uint64_t)count + 1, sizeof *vocabulary->offsets, err);
    vocabulary->types = mem_alloc(count, 1, err);
    vocabulary->slots = mem_alloc(slots, sizeof *vocabulary->slots, err);
    const bool complete = vocabulary->bytes != NULL && vocabulary->offsets != NULL &&
                          vocabulary->types != NULL && vocabulary->slots != NULL;
    return complete ? WEIR_OK : WEIR_ERR_MEMORY;
}

enum weir_status vocabulary_init(struct vocabulary *vocabulary, const struct span *tokens,
                                 const int32_t *types, uint32_t count, struct weir_error *err)
{
    *vocabulary = (struct vocabulary){.seed = rng_system_seed()};
    const enum weir_status status = vocabulary_alloc(vocabulary, tokens, count, err);
    if (status != WEIR_OK) {
        vocabulary_release(vocabulary);
        return status;
    }
    uint32_t end = 0;
    for (uint32_t id = 0; id < count; id++) {
        const enum token_type type = token_type_of(types, id);
        uint8_t *text = vocabulary->bytes + end;
        size_t length = tokens[id].length;
        if (type == TOKEN_NORMAL)
            length = vocabulary_unspell(tokens[id], text);
        else if (length > 0)
            memcpy(text, tokens[id].data, length);
        end += (uint32_t)length;
        vocabulary->types[id] = (uint8_t)type;
        vocabulary->offsets[id + 1] = end;
    }
    index_texts(vocabulary);
    return WEIR_OK;
}

void vocabulary_release(struct vocabulary *vocabulary)
{
    mem_free(vocabulary->bytes);
    mem_free(vocabulary->offsets);
    mem_free(vocabulary->types);
    mem_free(vocabulary->slots);
    *vocabulary = (struct vocabulary){0};
}
