/* SPDX-License-Identifier: MIT
 * Keeps the constraints that were used last. Knows no request. */
#include "serve/constraints.h"

#include <pthread.h>
#include <string.h>

#include "base/bytes.h"
#include "base/mem.h"

enum { KEPT = 8 }; /* that nobody holds */

struct entry {
    struct entry *next; /* the one used before it */
    struct bytes key;   /* all that it is made of */
    struct weir_grammar *grammar;
    struct weir_constraint *constraint;
    uint32_t holders;
};

struct constraints {
    const struct weir_tokenizer *tokenizer;
    pthread_mutex_t mutex;
    struct entry *newest;
};

static void entry_close(struct entry *entry)
{
    if (entry == NULL)
        return;
    weir_constraint_close(entry->constraint);
    weir_grammar_close(entry->grammar);
    bytes_release(&entry->key);
    mem_free(entry);
}

/* Two sources are one if their keys are. */
static void add_key(struct bytes *key, const struct constraint_source *source)
{
    const char head[] = {(char)('0' + source->kind), source->calls.required ? 'r' : '-',
                         source->calls.single ? 's' : '-'};
    const char *only = source->calls.only != NULL ? source->calls.only : "";
    bytes_add(key, head, sizeof head);
    bytes_add(key, only, strlen(only) + 1);
    if (source->calls.content != NULL)
        bytes_add(key, source->calls.content, source->calls.content_length);
    bytes_add(key, "", 1); // no JSON has such a byte
    bytes_add(key, source->text.bytes, source->text.length);
}

static enum weir_status open_grammar(struct weir_grammar **out,
                                     const struct constraint_source *source, struct weir_error *err)
{
    const struct json_text text = source->text;
    switch (source->kind) {
    case CONSTRAINT_GBNF: return weir_grammar_open_gbnf(out, text.bytes, text.length, err);
    case CONSTRAINT_SCHEMA: return weir_grammar_open_schema(out, text.bytes, text.length, err);
    case CONSTRAINT_PATTERN: return weir_grammar_open_pattern(out, text.bytes, text.length, err);
    case CONSTRAINT_CALLS: break;
    }
    return weir_grammar_open_calls(out, text.bytes, text.length, &source->calls, err);
}

static enum weir_status entry_open(struct entry **out, const struct constraint_source *source,
                                   const struct weir_tokenizer *tokenizer, struct weir_error *err)
{
    struct entry *entry = mem_alloc(1, sizeof *entry, err);
    enum weir_status status;
    *out = NULL;
    if (entry == NULL)
        return WEIR_ERR_MEMORY;
    add_key(&entry->key, source);
    TRY(bytes_check(&entry->key, err));
    TRY(open_grammar(&entry->grammar, source, err));
    TRY(weir_constraint_open(&entry->constraint, entry->grammar, tokenizer, err));
    *out = entry;
    return WEIR_OK;
out:
    entry_close(entry);
    return status;
}

/* Takes the entry of the key out of the list; NULL if there is none. */
static struct entry *take(struct constraints *constraints, const struct bytes *key)
{
    for (struct entry **at = &constraints->newest; *at != NULL; at = &(*at)->next) {
        struct entry *entry = *at;
        if (entry->key.length == key->length &&
            memcmp(entry->key.data, key->data, key->length) == 0) {
            *at = entry->next;
            return entry;
        }
    }
    return NULL;
}

/* Takes those out that nobody holds, behind the first ones; they are the caller's. */
static struct entry *take_old(struct constraints *constraints)
{
    struct entry *old = NULL;
    uint32_t idle = 0;
    for (struct entry **at = &constraints->newest; *at != NULL;) {
        struct entry *entry = *at;
        idle += entry->holders == 0;
        if (entry->holders > 0 || idle <= KEPT) {
            at = &entry->next;
            continue;
        }
        *at = entry->next;
        entry->next = old;
        old = entry;
    }
    return old;
}

static void close_all(struct entry *entry)
{
    while (entry != NULL) {
        struct entry *next = entry->next;
        entry_close(entry);
        entry = next;
    }
}

/* The entry of the key becomes the newest, held once more: the one that is there, or `made`. */
static struct weir_constraint *hold(struct constraints *constraints, const struct bytes *key,
                                    struct entry **made)
{
    pthread_mutex_lock(&constraints->mutex);
    struct entry *entry = take(constraints, key);
    if (entry == NULL) {
        entry = *made;
        *made = NULL;
    }
    if (entry != NULL) {
        entry->holders++;
        entry->next = constraints->newest;
        constraints->newest = entry;
    }
    pthread_mutex_unlock(&constraints->mutex);
    return entry != NULL ? entry->constraint : NULL;
}

/* Made outside of the lock, since a large grammar takes its time; who comes second takes the
 * first's. */
enum weir_status constraints_hold(struct constraints *constraints,
                                  const struct constraint_source *source,
                                  struct weir_constraint **out, struct weir_error *err)
{
    struct bytes key = {0};
    struct entry *made = NULL;
    enum weir_status status;
    *out = NULL;
    add_key(&key, source);
    TRY(bytes_check(&key, err));
    *out = hold(constraints, &key, &made);
    if (*out == NULL) {
        TRY(entry_open(&made, source, constraints->tokenizer, err));
        *out = hold(constraints, &key, &made);
    }
out:
    entry_close(made);
    bytes_release(&key);
    return status;
}

void constraints_let_go(struct constraints *constraints, struct weir_constraint *constraint)
{
    if (constraint == NULL)
        return;
    pthread_mutex_lock(&constraints->mutex);
    for (struct entry *entry = constraints->newest; entry != NULL; entry = entry->next)
        entry->holders -= entry->constraint == constraint;
    struct entry *old = take_old(constraints);
    pthread_mutex_unlock(&constraints->mutex);
    close_all(old);
}

enum weir_status constraints_open(struct constraints **out, const struct weir_tokenizer *tokenizer,
                                  struct weir_error *err)
{
    struct constraints *constraints = mem_alloc(1, sizeof *constraints, err);
    *out = constraints;
    if (constraints == NULL)
        return WEIR_ERR_MEMORY;
    constraints->tokenizer = tokenizer;
    pthread_mutex_init(&constraints->mutex, NULL);
    return WEIR_OK;
}

void constraints_close(struct constraints *constraints)
{
    if (constraints == NULL)
        return;
    close_all(constraints->newest);
    pthread_mutex_destroy(&constraints->mutex);
    mem_free(constraints);
}
