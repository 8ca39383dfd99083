/* SPDX-License-Identifier: MIT
 * The tokenizer: special tokens, pre-tokens and merges put together. Knows no file format, and
 * nothing of its own changes after it is built, so threads may share it. */
#include "text/tokenizer.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "base/log_line.h"
#include "base/mem.h"
#include "base/once.h"
#include "base/utf8.h"
#include "text/bpe.h"
#include "text/pretokenizer.h"
#include "text/special.h"
#include "text/vocabulary.h"

enum { ENDS_MAX = 16 };

struct weir_tokenizer {
    struct vocabulary vocabulary;
    struct bpe bpe;
    struct special_set specials;
    enum pretokenizer pretokenizer;
    int32_t bos, eos;       /* what ADD_SPECIAL adds; -1: nothing */
    int32_t ends[ENDS_MAX]; /* the ids that end generation, each once */
    uint32_t ends_count;
    int32_t *suppressed; /* ids never to be sampled */
    uint32_t suppressed_count;
    struct once *once; /* for others */
};

/* ---- building -------------------------------------------------------------------------------- */

/* Tokens that mean the same in every file that has them, whatever their type says there. */
struct known_token {
    const char *text;
    bool control; /* becomes a control token */
    bool ends;    /* ends generation */
};

static const struct known_token known_tokens[] = {
    {"<|im_end|>", false, true},     {"<|endoftext|>", false, true},
    {"<|eot_id|>", false, true},     {"<|end_of_text|>", false, true},
    {"</s>", false, true},           {"<|fim_pad|>", true, true},
    {"<|repo_name|>", true, true},   {"<|file_sep|>", true, true},
    {"<|fim_prefix|>", true, false}, {"<|fim_suffix|>", true, false},
    {"<|fim_middle|>", true, false},
};

static void warn(const struct tokenizer_source *source, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void warn(const struct tokenizer_source *source, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_line_args(source->log, source->log_user, WEIR_LOG_WARNING, format, args);
    va_end(args);
}

static void add_end(struct weir_tokenizer *tokenizer, int32_t id)
{
    if (id >= 0 && !weir_tokenizer_ends_generation(tokenizer, id))
        tokenizer->ends[tokenizer->ends_count++] = id;
}

static void apply_known_tokens(struct weir_tokenizer *tokenizer)
{
    static_assert(sizeof known_tokens / sizeof known_tokens[0] + 3 <= ENDS_MAX, "");
    for (size_t i = 0; i < sizeof known_tokens / sizeof known_tokens[0]; i++) {
        const struct known_token *known = &known_tokens[i];
        const int32_t id = weir_tokenizer_find(tokenizer, known->text, strlen(known->text));
        if (id >= 0 && known->control)
            tokenizer->vocabulary.types[id] = TOKEN_CONTROL;
        if (known->ends)
            add_end(tokenizer, id);
    }
}

/* `id` as the file gives it, or -1 if it is absent or no token. */
static int32_t checked_id(const struct tokenizer_source *source, const char *name, int32_t id)
{
    if (id >= 0 && (uint32_t)id >= source->tokens_count) {
        warn(source, "%s token %d ignored: the vocabulary has %u tokens", name, id,
             source->tokens_count);
        return -1;
    }
    return id < 0 ? -1 : id;
}

static void apply_named_ids(struct weir_tokenizer *tokenizer, const struct tokenizer_source *source)
{
    const int32_t bos = checked_id(source, "BOS", source->bos);
    const int32_t eos = checked_id(source, "EOS", source->eos);
    tokenizer->bos = source->add_bos ? bos : -1;
    tokenizer->eos = source->add_eos ? eos : -1;
    add_end(tokenizer, eos);
    add_end(tokenizer, checked_id(source, "EOT", source->eot));
    add_end(tokenizer, checked_id(source, "EOM", source->eom));
}

static void warn_of_flaws(const struct weir_tokenizer *tokenizer,
                          const struct tokenizer_source *source, uint32_t merges_skipped,
                          uint32_t specials_skipped)
{
    uint32_t bytes_missing = 0;
    for (int byte = 0; byte < 256; byte++)
        bytes_missing += tokenizer->bpe.byte_ids[byte] < 0;
    if (bytes_missing > 0)
        warn(source, "%u of 256 byte values have no token: text loses them", bytes_missing);
    if (merges_skipped > 0)
        warn(source, "%u of %u merges skipped: their parts or product are no tokens",
             merges_skipped, source->merges_count);
    if (specials_skipped > 0)
        warn(source, "%u special tokens are never recognised: longer than %d bytes, or not UTF-8",
             specials_skipped, SPECIAL_BYTES_MAX);
}

static enum weir_status copy_suppressed(struct weir_tokenizer *tokenizer,
                                        const struct tokenizer_source *source,
                                        struct weir_error *err)
{
    tokenizer->suppressed = mem_alloc(source->suppressed_count, sizeof *tokenizer->suppressed, err);
    if (tokenizer->suppressed == NULL)
        return WEIR_ERR_MEMORY;
    for (uint32_t i = 0; i < source->suppressed_count; i++) {
        const int32_t id = source->suppressed[i];
        if (id >= 0 && (uint32_t)id < tokenizer->vocabulary.count)
            tokenizer->suppressed[tokenizer->suppressed_count++] = id;
    }
    return WEIR_OK;
}

enum weir_status tokenizer_open(struct weir_tokenizer **out, const struct tokenizer_source *source,
                                struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    uint32_t merges_skipped = 0, specials_skipped = 0;
    *out = NULL;
    struct weir_tokenizer *tokenizer = mem_alloc(1, sizeof *tokenizer, err);
    if (tokenizer == NULL)
        return WEIR_ERR_MEMORY;
    tokenizer->pretokenizer = source->pretokenizer;
    TRY(once_open(&tokenizer->once, err));
    TRY(vocabulary_init(&tokenizer->vocabulary, source->tokens, source->types, source->tokens_count,
                        err));
    TRY(copy_suppressed(tokenizer, source, err));
    apply_named_ids(tokenizer, source);
    apply_known_tokens(tokenizer);
    TRY(bpe_init(&tokenizer->bpe, &tokenizer->vocabulary, source->merges, source->merges_count,
                 &merges_skipped, err));
    TRY(special_set_init(&tokenizer->specials, &tokenizer->vocabulary, &specials_skipped, err));
    warn_of_flaws(tokenizer, source, merges_skipped, specials_skipped);
    *out = tokenizer;
out:
    if (status != WEIR_OK)
        weir_tokenizer_close(tokenizer);
    return status;
}

void weir_tokenizer_close(struct weir_tokenizer *tokenizer)
{
    if (tokenizer == NULL)
        return;
    once_close(tokenizer->once);
    special_set_release(&tokenizer->specials);
    bpe_release(&tokenizer->bpe);
    vocabulary_release(&tokenizer->vocabulary);
    mem_free(tokenizer->suppressed);
    mem_free(tokenizer);
}

/* ---- encoding -------------------------------------------------------------------------------- */

enum {
    MEMO_KEY_BYTES = 22,
    MEMO_IDS = 10,
    MEMO_COUNT_MAX = 1 << 14, /* 1 MiB: stays in a second-level cache */
    MEMO_TEXT_BYTES = 16,     /* bytes of text for one memo */
};

/* A finished pre-token, remembered for the rest of the text: words repeat. */
struct memo {
    uint8_t length; /* 0: empty */
    uint8_t count;
    uint8_t key[MEMO_KEY_BYTES];
    int32_t ids[MEMO_IDS];
};

static_assert(sizeof(struct memo) == 64, "one cache line");

/* One call that encodes. */
struct encoder {
    const struct weir_tokenizer *tokenizer;
    struct memo *memos;
    uint64_t memos_mask;
    struct bpe_scratch scratch;
    struct id_list out;
};

static enum weir_status encode_pretoken(struct encoder *encoder, const uint8_t *text, size_t length,
                                        struct weir_error *err)
{
    const struct bpe *bpe = &encoder->tokenizer->bpe;
    if (length > MEMO_KEY_BYTES)
        return bpe_encode(bpe, &encoder->scratch, text, length, &encoder->out, err);
    const uint64_t hash = bytes_hash(text, length, 0);
    struct memo *memo = &encoder->memos[hash & encoder->memos_mask];
    if (memo->length != length || memcmp(memo->key, text, length) != 0) {
        int32_t ids[MEMO_KEY_BYTES];
        struct id_list list = {.ids = ids, .max = MEMO_KEY_BYTES};
        bpe_encode_scan(bpe, text, length, &list);
        if (list.count > MEMO_IDS) {
            for (size_t i = 0; i < list.count; i++)
                id_list_add(&encoder->out, ids[i]);
            return WEIR_OK;
        }
        memo->length = (uint8_t)length;
        memo->count = (uint8_t)list.count;
        memcpy(memo->key, text, length);
        memcpy(memo->ids, ids, list.count * sizeof ids[0]);
    }
    for (size_t i = 0; i < memo->count; i++)
        id_list_add(&encoder->out, memo->ids[i]);
    return WEIR_OK;
}

/* Text without special tokens. */
static enum weir_status encode_plain(struct encoder *encoder, const uint8_t *text, size_t length,
                                     struct weir_error *err)
{
    for (size_t at = 0; at < length;) {
        const size_t bytes =
            pretoken_length(encoder->tokenizer->pretokenizer, text + at, length - at);
        const enum weir_status status = encode_pretoken(encoder, text + at, bytes, err);
        if (status != WEIR_OK)
            return status;
        at += bytes;
    }
    return WEIR_OK;
}

/* The special token at `at`, where control tokens count that end by `trusted_to`: the longest. */
static const struct special *special_at(const struct special_set *set,
                                        const struct special_scan *scan, size_t at,
                                        size_t trusted_to)
{
    const uint8_t *text = scan->text + at;
    if (trusted_to == scan->length)
        return special_match(set, text, scan->length - at, true);
    const struct special *own = special_match(set, text, scan->length - at, false);
    const struct special *any =
        trusted_to > at ? special_match(set, text, trusted_to - at, true) : NULL;
    return any == NULL || (own != NULL && own->length > any->length) ? own : any;
}

const struct special *tokenizer_scan(const struct weir_tokenizer *tokenizer,
                                     struct special_scan *scan)
{
    while (scan->at < scan->length) {
        while (scan->trusted_count > 0 && scan->trusted->to <= scan->at) {
            scan->trusted++;
            scan->trusted_count--;
        }
        const bool is_trusted = scan->trusted_count > 0 && scan->trusted->from <= scan->at;
        const struct special *special =
            special_at(&tokenizer->specials, scan, scan->at, is_trusted ? scan->trusted->to : 0);
        scan->at += special == NULL ? 1 : special->length;
        if (special != NULL)
            return special;
    }
    return NULL;
}

static enum weir_status encode_text(struct encoder *encoder, struct special_scan *scan,
                                    struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    while (status == WEIR_OK && scan->at < scan->length) {
        const size_t plain = scan->at; /* where the text begins that is not encoded yet */
        const struct special *special = tokenizer_scan(encoder->tokenizer, scan);
        const size_t plain_to = special == NULL ? scan->length : scan->at - special->length;
        status = encode_plain(encoder, scan->text + plain, plain_to - plain, err);
        if (status == WEIR_OK && special != NULL)
            id_list_add(&encoder->out, special->id);
    }
    return status;
}

static enum weir_status encoder_init(struct encoder *encoder, size_t length, struct weir_error *err)
{
    uint64_t memos = 1;
    while (memos < MEMO_COUNT_MAX && memos * MEMO_TEXT_BYTES < length)
        memos *= 2;
    encoder->memos_mask = memos - 1;
    encoder->memos = mem_alloc(memos, sizeof *encoder->memos, err);
    return encoder->memos == NULL ? WEIR_ERR_MEMORY : WEIR_OK;
}

/* Gives the text as valid UTF-8: itself, or else a repaired copy, which *copy owns. */
static enum weir_status valid_text(struct span *text, uint8_t **copy, struct weir_error *err)
{
    *copy = NULL;
    uint64_t repaired = text->length;
    if (repaired <= INT32_MAX)
        repaired = utf8_repaired_length(text->data, text->length);
    if (repaired > INT32_MAX)
        return err_set(err, WEIR_ERR_ARGUMENT, "text of %llu bytes: expected less than 2 GiB",
                       (unsigned long long)repaired);
    if (repaired == text->length)
        return WEIR_OK;
    *copy = mem_alloc(repaired, 1, err);
    if (*copy == NULL)
        return WEIR_ERR_MEMORY;
    utf8_repair(text->data, text->length, *copy);
    *text = (struct span){*copy, (size_t)repaired};
    return WEIR_OK;
}

enum weir_status weir_tokenizer_encode(const struct weir_tokenizer *tokenizer, const char *text,
                                       size_t length, unsigned flags, int32_t *ids, size_t ids_max,
                                       size_t *ids_count, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    const bool add_special = (flags & WEIR_ENCODE_ADD_SPECIAL) != 0;
    struct span valid = {(const uint8_t *)(length == 0 ? "" : text), length};
    uint8_t *copy = NULL;
    struct encoder encoder = {
        .tokenizer = tokenizer,
        .out = {.ids = ids, .max = ids_max},
    };
    *ids_count = 0;
    TRY(valid_text(&valid, &copy, err));
    TRY(encoder_init(&encoder, valid.length, err));
    if (add_special && tokenizer->bos >= 0)
        id_list_add(&encoder.out, tokenizer->bos);
    const struct text_range all = {0, valid.length};
    struct special_scan scan = {.text = valid.data,
                                .length = valid.length,
                                .trusted = &all,
                                .trusted_count = (flags & WEIR_ENCODE_PARSE_SPECIAL) != 0 ? 1 : 0};
    TRY(encode_text(&encoder, &scan, err));
    if (add_special && tokenizer->eos >= 0)
        id_list_add(&encoder.out, tokenizer->eos);
    *ids_count = encoder.out.count;
out:
    bpe_scratch_release(&encoder.scratch);
    mem_free(encoder.memos);
    mem_free(copy);
    return status;
}

enum weir_status tokenizer_encode_scan(const struct weir_tokenizer *tokenizer,
                                       struct special_scan *scan, int32_t *ids, size_t ids_max,
                                       size_t *ids_count, struct weir_error *err)
{
    struct encoder encoder = {.tokenizer = tokenizer, .out = {.ids = ids, .max = ids_max}};
    enum weir_status status;
    *ids_count = 0;
    TRY(encoder_init(&encoder, scan->length - scan->at, err));
    TRY(encode_text(&encoder, scan, err));
    *ids_count = encoder.out.count;
out:
    bpe_scratch_release(&encoder.scratch);
    mem_free(encoder.memos);
    return status;
}

/* ---- looking up ------------------------------------------------------------------------------ */

/* The byte that a text "<0x4A>" names, in a table of all bytes; nothing if it is not such. */
static struct span named_byte(struct span text)
{
#define ROW4(n)  n, n + 1, n + 2, n + 3
#define ROW16(n) ROW4(n), ROW4(n + 4), ROW4(n + 8), ROW4(n + 12)
#define ROW64(n) ROW16(n), ROW16(n + 16), ROW16(n + 32), ROW16(n + 48)
    static const uint8_t bytes[256] = {ROW64(0), ROW64(64), ROW64(128), ROW64(192)};
#undef ROW4
#undef ROW16
#undef ROW64
    if (text.length != 6 || memcmp(text.data, "<0x", 3) != 0 || text.data[5] != '>')
        return (struct span){0};
    const int high = hex_value((char)text.data[3]), low = hex_value((char)text.data[4]);
    if (high < 0 || low < 0)
        return (struct span){0};
    return (struct span){&bytes[high * 16 + low], 1};
}

static struct span piece_of(const struct vocabulary *vocabulary, int32_t id, bool special)
{
    const struct span text = vocabulary_text(vocabulary, id), nothing = {0};
    switch ((enum token_type)vocabulary->types[id]) {
    case TOKEN_NORMAL:
    case TOKEN_USER_DEFINED: return text;
    case TOKEN_UNKNOWN:
    case TOKEN_CONTROL: return special ? text : nothing;
    case TOKEN_BYTE: return named_byte(text);
    case TOKEN_UNDEFINED:
    case TOKEN_UNUSED: return nothing;
    }
    return nothing;
}

const char *weir_tokenizer_piece(const struct weir_tokenizer *tokenizer, int32_t id, bool special,
                                 size_t *length)
{
    struct span piece = {0};
    if (id >= 0 && (uint32_t)id < tokenizer->vocabulary.count)
        piece = piece_of(&tokenizer->vocabulary, id, special);
    *length = piece.length;
    return piece.length == 0 ? "" : (const char *)piece.data;
}

uint32_t weir_tokenizer_size(const struct weir_tokenizer *tokenizer)
{
    return tokenizer->vocabulary.count;
}

size_t weir_tokenizer_piece_max(const struct weir_tokenizer *tokenizer)
{
    const struct vocabulary *vocabulary = &tokenizer->vocabulary;
    size_t longest = 0;
    for (uint32_t id = 0; id < vocabulary->count; id++) {
        const size_t length = piece_of(vocabulary, (int32_t)id, false).length;
        longest = length > longest ? length : longest;
    }
    return longest;
}

bool weir_tokenizer_ends_generation(const struct weir_tokenizer *tokenizer, int32_t id)
{
    for (uint32_t i = 0; i < tokenizer->ends_count; i++) {
        if (tokenizer->ends[i] == id)
            return true;
    }
    return false;
}

uint32_t weir_tokenizer_suppressed(const struct weir_tokenizer *tokenizer, const int32_t **ids)
{
    *ids = tokenizer->suppressed;
    return tokenizer->suppressed_count;
}

int32_t weir_tokenizer_find(const struct weir_tokenizer *tokenizer, const char *text, size_t length)
{
    return vocabulary_find(&tokenizer->vocabulary, (const uint8_t *)text, length);
}

struct once *tokenizer_once(const struct weir_tokenizer *tokenizer)
{
    return tokenizer->once;
}
