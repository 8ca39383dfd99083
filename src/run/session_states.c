/* SPDX-License-Identifier: MIT
 * Finds and checks the states of a session's file. Knows not what is read of them. */
#include "run/session_states.h"

#include "base/mem.h"

/* What stands on nothing is the first, and each other one stands on the one before it. */
static enum weir_status check_parent(const struct session_states *states,
                                     const struct snapshot_head *head, const char *name,
                                     struct weir_error *err)
{
    const struct origin *parent = &head->parent;
    if (states->count == 0 && parent->position != 0)
        return err_set(err, WEIR_ERR_FORMAT,
                       "%s: a part of a cache, which has the first %u tokens elsewhere", name,
                       parent->position);
    if (states->count == 0)
        return WEIR_OK;
    const struct snapshot_head *before = &states->items[states->count - 1].head;
    if (parent->position == before->position && parent->mtp_position == before->mtp_position)
        return WEIR_OK;
    return err_set(err, WEIR_ERR_FORMAT,
                   "%s: a state stands on the first %u tokens, expected those %u of the one "
                   "before it",
                   name, parent->position, before->position);
}

/* Whether another one follows is said in the head: a file that was cut between two is damaged. */
static enum weir_status check_end(const struct snapshot_source *rest,
                                  const struct snapshot_head *head, struct weir_error *err)
{
    if (head->goes_on == (rest->size > 0))
        return WEIR_OK;
    return err_set(err, WEIR_ERR_FORMAT, "%s: %llu bytes behind the first %llu, expected %s",
                   rest->name, (unsigned long long)rest->size, (unsigned long long)rest->begin,
                   head->goes_on ? "another state" : "none");
}

enum weir_status session_states_find(struct session_states *states,
                                     const struct snapshot_source *source,
                                     const struct snapshot_shape *shape, struct weir_error *err)
{
    struct snapshot_source rest = *source;
    enum weir_status status = WEIR_OK;
    *states = (struct session_states){.items = NULL};
    do {
        struct session_state state = {.source = rest};
        TRY(snapshot_source_first(&state.source, shape, &state.head, err));
        TRY(check_parent(states, &state.head, source->name, err));
        TRY(mem_grow(&states->items, &states->capacity, states->count + 1, sizeof *states->items,
                     err));
        states->items[states->count++] = state;
        rest.begin += state.source.size;
        rest.size -= state.source.size;
        TRY(check_end(&rest, &state.head, err));
    } while (rest.size > 0);
out:
    if (status != WEIR_OK)
        session_states_release(states);
    return status;
}

void session_states_release(struct session_states *states)
{
    mem_free(states->items);
    *states = (struct session_states){.items = NULL};
}

enum weir_status session_states_check_links(const struct session_states *states,
                                            struct weir_error *err)
{
    for (uint64_t i = 1; i < states->count; i++) {
        const struct session_state *state = &states->items[i];
        if (!digest_equals(state->head.parent.link, state[-1].link))
            return err_set(err, WEIR_ERR_FORMAT,
                           "%s: the state of %u tokens does not stand on the one of %u",
                           state->source.name, state->head.position, state[-1].head.position);
    }
    return WEIR_OK;
}

enum weir_status session_states_check(struct session_states *states,
                                      const struct weir_session *session,
                                      const struct snapshot_shape *shape, struct weir_error *err)
{
    const uint64_t last = states->count - 1;
    enum weir_status status = WEIR_OK;
    int32_t *tokens = mem_alloc(states->items[last].head.position, sizeof *tokens, err);
    if (tokens == NULL)
        return WEIR_ERR_MEMORY;
    /* the last has all tokens, with which the others are compared */
    for (uint64_t i = states->count; i-- > 0;) {
        struct session_state *state = &states->items[i];
        TRY(snapshot_check(session, shape, &state->source, i == last ? SNAPSHOT_ALL : SNAPSHOT_LEAF,
                           tokens, &state->head, &state->link, err));
    }
    status = session_states_check_links(states, err);
out:
    mem_free(tokens);
    return status;
}
