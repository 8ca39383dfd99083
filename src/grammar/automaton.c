/* SPDX-License-Identifier: MIT
 * Stacks and sets of stacks, each kept once. Knows neither notations nor tokens. */
#include "grammar/automaton.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* ---- open and close -------------------------------------------------------------------------- */

/* Cell 0 is the empty stack; states 0 and 1 have no stacks, and all symbols lead to themselves. */
static void begin(struct automaton *automaton)
{
    automaton->cells_count = 1;
    automaton->states_count = 2;
    automaton->members_count = 0;
    for (uint32_t class = 0; class < automaton->grammar->classes_count; class ++) {
        automaton->next[class] = AUTOMATON_DEAD + 1;
        automaton->next[automaton->grammar->classes_count + class] = AUTOMATON_CUT + 1;
    }
}

enum weir_status automaton_open(struct automaton **out, const struct weir_grammar *grammar,
                                struct automaton_size size, struct weir_error *err)
{
    struct automaton *automaton = mem_alloc(1, sizeof *automaton, err);
    *out = NULL;
    if (automaton == NULL)
        return WEIR_ERR_MEMORY;
    *automaton = (struct automaton){
        .grammar = grammar,
        .size = size,
        .cells = mem_alloc(size.cells, sizeof *automaton->cells, err),
        .states = mem_alloc(size.states, sizeof *automaton->states, err),
        .members = mem_alloc(size.members, sizeof *automaton->members, err),
        .next = mem_alloc((uint64_t)size.states * grammar->classes_count, sizeof(uint32_t), err),
        .cell_slots = mem_alloc(2ull * size.cells, sizeof *automaton->cell_slots, err),
        .state_slots = mem_alloc(2ull * size.states, sizeof *automaton->state_slots, err),
        .seen = mem_alloc(size.cells, sizeof *automaton->seen, err),
        .found = mem_alloc(FOUND_MAX, sizeof *automaton->found, err),
    };
    if (automaton->cells == NULL || automaton->states == NULL || automaton->members == NULL ||
        automaton->next == NULL || automaton->cell_slots == NULL ||
        automaton->state_slots == NULL || automaton->seen == NULL || automaton->found == NULL) {
        automaton_close(automaton);
        return WEIR_ERR_MEMORY;
    }
    begin(automaton);
    *out = automaton;
    return WEIR_OK;
}

void automaton_close(struct automaton *automaton)
{
    if (automaton == NULL)
        return;
    mem_free(automaton->cells);
    mem_free(automaton->states);
    mem_free(automaton->members);
    mem_free(automaton->next);
    mem_free(automaton->cell_slots);
    mem_free(automaton->state_slots);
    mem_free(automaton->seen);
    mem_free(automaton->found);
    mem_free(automaton);
}

/* ---- cells ----------------------------------------------------------------------------------- */

/* The multiplier is 2^64 divided by the golden ratio (Knuth, The Art of Computer Programming 3,
 * 6.4). */
static uint32_t hash_add(uint32_t hash, uint32_t value)
{
    return (uint32_t)(((uint64_t)hash << 32 | value) * 0x9e3779b97f4a7c15u >> 29);
}

static void insert_cell(struct automaton *automaton, uint32_t cell)
{
    const uint32_t mask = 2 * automaton->size.cells - 1;
    const struct automaton_cell *content = &automaton->cells[cell];
    uint32_t slot = hash_add(content->node, content->below) & mask;
    while (automaton->cell_slots[slot] != 0)
        slot = (slot + 1) & mask;
    automaton->cell_slots[slot] = cell;
}

/* The cell of a node on top of `below`; AUTOMATON_FULL if there is none and no room. */
static uint32_t find_cell(struct automaton *automaton, uint32_t node, uint32_t below)
{
    const uint32_t mask = 2 * automaton->size.cells - 1;
    uint32_t slot = hash_add(node, below) & mask;
    for (; automaton->cell_slots[slot] != 0; slot = (slot + 1) & mask) {
        const struct automaton_cell *cell = &automaton->cells[automaton->cell_slots[slot]];
        if (cell->node == node && cell->below == below)
            return automaton->cell_slots[slot];
    }
    if (automaton->cells_count == automaton->size.cells)
        return AUTOMATON_FULL;
    const uint32_t cell = automaton->cells_count++;
    automaton->cells[cell] = (struct automaton_cell){node, below};
    automaton->seen[cell] = 0;
    automaton->cell_slots[slot] = cell;
    return cell;
}

/* ---- states ---------------------------------------------------------------------------------- */

static const uint32_t *members_of(const struct automaton *automaton, uint32_t state)
{
    return automaton->members + automaton->states[state].first;
}

static uint32_t hash_cells(const uint32_t *cells, uint32_t count)
{
    uint32_t hash = count;
    for (uint32_t i = 0; i < count; i++)
        hash = hash_add(hash, cells[i]);
    return hash;
}

/* The state of so many ascending cells, which is made if it is new. */
static uint32_t find_state(struct automaton *automaton, const uint32_t *cells, uint32_t count)
{
    const uint32_t mask = 2 * automaton->size.states - 1;
    uint32_t slot = hash_cells(cells, count) & mask;
    if (count == 0)
        return AUTOMATON_DEAD;
    for (; automaton->state_slots[slot] != 0; slot = (slot + 1) & mask) {
        const uint32_t state = automaton->state_slots[slot];
        if (automaton->states[state].count == count &&
            memcmp(members_of(automaton, state), cells, count * sizeof *cells) == 0)
            return state;
    }
    if (automaton->states_count == automaton->size.states ||
        count > automaton->size.members - automaton->members_count)
        return AUTOMATON_FULL;
    const uint32_t state = automaton->states_count++;
    automaton->states[state] =
        (struct automaton_state){automaton->members_count, count, cells[0] == 0};
    memmove(automaton->members + automaton->members_count, cells, count * sizeof *cells);
    automaton->members_count += count;
    automaton->state_slots[slot] = state;
    return state;
}

/* ---- searches -------------------------------------------------------------------------------- */

static void begin_search(struct automaton *automaton)
{
    automaton->found_count = 0;
    automaton->is_too_ambiguous = false;
    if (++automaton->search == 0) {
        memset(automaton->seen, 0, automaton->size.cells * sizeof *automaton->seen);
        automaton->search = 1;
    }
}

/* Adds a stack to those found. False if there is no room, for the cell or among those found. */
static bool add_found(struct automaton *automaton, uint32_t cell)
{
    if (cell == AUTOMATON_FULL)
        return false;
    if (automaton->seen[cell] == automaton->search)
        return true;
    if (automaton->found_count == FOUND_MAX) {
        automaton->is_too_ambiguous = true;
        return false;
    }
    automaton->seen[cell] = automaton->search;
    automaton->found[automaton->found_count++] = cell;
    return true;
}

/* Adds the stack that an edge makes of one whose top it leaves and whose rest is `below`. */
static bool follow(struct automaton *automaton, const struct rules_edge *edge, uint32_t below)
{
    const uint32_t rest =
        edge->push == RULES_NONE ? below : find_cell(automaton, edge->push, below);
    return rest != AUTOMATON_FULL && add_found(automaton, find_cell(automaton, edge->target, rest));
}

/* Adds all that the stacks found become before anything is read. */
static bool follow_free(struct automaton *automaton)
{
    for (uint32_t i = 0; i < automaton->found_count; i++) {
        const struct automaton_cell cell = automaton->cells[automaton->found[i]];
        const struct rules_node *node = &automaton->grammar->nodes[cell.node];
        const struct rules_edge *edges = automaton->grammar->edges + node->edges;
        if (node->ends && !add_found(automaton, cell.below))
            return false;
        for (uint32_t e = 0; e < node->free_count; e++) {
            if (!follow(automaton, &edges[node->symbols_count + e], cell.below))
                return false;
        }
    }
    return true;
}

static int compare_cells(const void *a_pointer, const void *b_pointer)
{
    const uint32_t a = *(const uint32_t *)a_pointer, b = *(const uint32_t *)b_pointer;
    return a < b ? -1 : a > b;
}

/* What is left of a search that found more than there is room for. */
static uint32_t fail_search(const struct automaton *automaton)
{
    return automaton->is_too_ambiguous ? AUTOMATON_CUT : AUTOMATON_FULL;
}

/* The state of the stacks found, of which those matter that can read, and the empty one. */
static uint32_t end_search(struct automaton *automaton)
{
    uint32_t kept = 0;
    if (!follow_free(automaton))
        return fail_search(automaton);
    for (uint32_t i = 0; i < automaton->found_count; i++) {
        const uint32_t cell = automaton->found[i];
        const uint32_t node = automaton->cells[cell].node;
        if (cell == 0 || automaton->grammar->nodes[node].symbols_count > 0)
            automaton->found[kept++] = cell;
    }
    if (kept > STACKS_MAX)
        return AUTOMATON_CUT;
    if (kept > 1)
        qsort(automaton->found, kept, sizeof *automaton->found, compare_cells);
    return find_state(automaton, automaton->found, kept);
}

uint32_t automaton_start(struct automaton *automaton, uint32_t node)
{
    begin_search(automaton);
    return add_found(automaton, find_cell(automaton, node, 0)) ? end_search(automaton)
                                                               : AUTOMATON_FULL;
}

/* The first edge of the node that may read the symbol. */
static uint32_t first_edge(const struct rules_node *node, const struct rules_edge *edges,
                           uint32_t symbol)
{
    uint32_t begin = 0, end = node->is_ordered ? node->symbols_count : 0;
    while (begin < end) {
        const uint32_t middle = begin + (end - begin) / 2;
        if (edges[middle].last < symbol)
            begin = middle + 1;
        else
            end = middle;
    }
    return begin;
}

/* Adds what the symbol makes of one stack. */
static bool read_symbol(struct automaton *automaton, uint32_t cell_number, uint32_t symbol)
{
    const struct automaton_cell cell = automaton->cells[cell_number];
    const struct rules_node *node = &automaton->grammar->nodes[cell.node];
    const struct rules_edge *edges = automaton->grammar->edges + node->edges;
    for (uint32_t e = first_edge(node, edges, symbol); e < node->symbols_count; e++) {
        if (node->is_ordered && edges[e].first > symbol)
            break;
        if (symbol >= edges[e].first && symbol <= edges[e].last &&
            !follow(automaton, &edges[e], cell.below))
            return false;
    }
    return true;
}

uint32_t automaton_find_step(struct automaton *automaton, uint32_t state, uint32_t symbol)
{
    const struct automaton_state from = automaton->states[state];
    bool fits = true;
    begin_search(automaton);
    for (uint32_t i = 0; i < from.count && fits; i++)
        fits = read_symbol(automaton, automaton->members[from.first + i], symbol);
    const uint32_t next = fits ? end_search(automaton) : fail_search(automaton);
    if (next != AUTOMATON_FULL) {
        const struct weir_grammar *grammar = automaton->grammar;
        automaton->next[(size_t)state * grammar->classes_count + grammar->classes[symbol]] =
            next + 1;
    }
    return next;
}

uint32_t automaton_join(struct automaton *automaton, uint32_t a, uint32_t b)
{
    if (a <= AUTOMATON_CUT || b <= AUTOMATON_CUT || a == b)
        return a > b ? a : b;
    const uint32_t both[2] = {a, b};
    bool fits = true;
    begin_search(automaton);
    for (uint32_t i = 0; i < 2; i++) {
        const struct automaton_state state = automaton->states[both[i]];
        for (uint32_t m = 0; m < state.count && fits; m++)
            fits = add_found(automaton, automaton->members[state.first + m]);
    }
    return fits ? end_search(automaton) : fail_search(automaton);
}

static bool knows_step(const struct automaton *automaton, uint32_t state, uint32_t symbol)
{
    const struct weir_grammar *grammar = automaton->grammar;
    return automaton->next[(size_t)state * grammar->classes_count + grammar->classes[symbol]] != 0;
}

/* States are numbered as they are found, so this goes in width. */
bool automaton_is_soon_cut(struct automaton *automaton)
{
    enum { STATES = 64, READS_MAX = 1 << 20 };
    const uint32_t symbols = RULES_SYMBOL_TOKEN + (uint32_t)automaton->grammar->tokens_count;
    uint64_t reads = 0;
    for (uint32_t state = AUTOMATON_CUT + 1;
         state < STATES && state < automaton->states_count && reads < READS_MAX; state++) {
        for (uint32_t symbol = 0, next; symbol < symbols && reads < READS_MAX; symbol++) {
            if (knows_step(automaton, state, symbol))
                continue;
            next = automaton_find_step(automaton, state, symbol);
            if (next == AUTOMATON_CUT || next == AUTOMATON_FULL)
                return next == AUTOMATON_CUT;
            reads += automaton->states[state].count;
        }
    }
    return false;
}

/* ---- forgetting ------------------------------------------------------------------------------ */

/* Marks the cells of a state and all below them with the number of the search. */
static void mark_cells(struct automaton *automaton, uint32_t state)
{
    const struct automaton_state *marked = &automaton->states[state];
    for (uint32_t i = 0; i < marked->count; i++) {
        uint32_t cell = automaton->members[marked->first + i];
        while (automaton->seen[cell] != automaton->search) {
            automaton->seen[cell] = automaton->search;
            cell = automaton->cells[cell].below;
        }
    }
}

/* Moves the marked cells together, in order, so that each still lies behind those below it.
 * `seen` becomes the new number of each. */
static uint32_t move_cells(struct automaton *automaton)
{
    uint32_t count = 1;
    automaton->seen[0] = 0;
    for (uint32_t cell = 1; cell < automaton->cells_count; cell++) {
        if (automaton->seen[cell] != automaton->search)
            continue;
        const struct automaton_cell old = automaton->cells[cell];
        automaton->cells[count] = (struct automaton_cell){old.node, automaton->seen[old.below]};
        automaton->seen[cell] = count++;
    }
    return count;
}

/* Orders states by number, so that their members can be moved to the front. */
static int compare_states(const void *a_pointer, const void *b_pointer)
{
    const uint32_t a = **(uint32_t *const *)a_pointer, b = **(uint32_t *const *)b_pointer;
    return a < b ? -1 : a > b;
}

/* The state anew, of its members' new numbers. A state's members lie behind those of states with
 * lower numbers, so nothing is overwritten that is still needed. */
static uint32_t renew_state(struct automaton *automaton, const struct automaton_state *old)
{
    uint32_t *members = automaton->members + old->first;
    for (uint32_t i = 0; i < old->count; i++)
        members[i] = automaton->seen[members[i]];
    return find_state(automaton, members, old->count);
}

static void clear(struct automaton *automaton)
{
    const size_t classes = automaton->grammar->classes_count;
    memset(automaton->cell_slots, 0, 2 * (size_t)automaton->size.cells * sizeof(uint32_t));
    memset(automaton->state_slots, 0, 2 * (size_t)automaton->size.states * sizeof(uint32_t));
    memset(automaton->next, 0, automaton->states_count * classes * sizeof *automaton->next);
    begin(automaton);
}

bool automaton_forget(struct automaton *automaton, uint32_t **states, uint32_t count)
{
    begin_search(automaton);
    for (uint32_t i = 0; i < count; i++)
        mark_cells(automaton, *states[i]);
    const uint32_t cells = move_cells(automaton);
    clear(automaton);
    automaton->cells_count = cells;
    for (uint32_t cell = 1; cell < cells; cell++)
        insert_cell(automaton, cell);
    if (count > 1)
        qsort(states, count, sizeof *states, compare_states);
    uint32_t old = AUTOMATON_DEAD, renewed = AUTOMATON_DEAD;
    for (uint32_t i = 0; i < count; i++) {
        if (*states[i] != old) {
            old = *states[i];
            const struct automaton_state content = automaton->states[old];
            renewed = old == AUTOMATON_CUT ? old : renew_state(automaton, &content);
        }
        *states[i] = renewed;
    }
    memset(automaton->seen, 0, automaton->size.cells * sizeof *automaton->seen);
    automaton->search = 0;
    return automaton->cells_count <= automaton->size.cells / 4 * 3 &&
           automaton->states_count <= automaton->size.states / 4 * 3 &&
           automaton->members_count <= automaton->size.members / 4 * 3;
}
