/* SPDX-License-Identifier: MIT
 * From flags to a speculator: which drafts, for how many tokens, by which model. */
#ifndef APP_SPECULATION_H
#define APP_SPECULATION_H

#include "app/command.h"
#include "app/loaded.h"

/* Zeroed to begin. */
struct speculation {
    struct weir_speculator_options options; /* kind NONE: rounds of one token */
    struct loaded draft;                    /* with -md */
    struct weir_speculator *speculator;
};

/* What the flags say of all kinds of drafts: all but the kind. */
void speculation_options(struct weir_speculator_options *options, const struct spec_options *spec);
/* Of options with a kind: how many tokens a round drafts, and no kind if that is none. */
void speculation_count(struct weir_speculator_options *options, const struct spec_options *spec,
                       uint32_t step_rows);
/* Gives an engine what rounds with such options need. */
void speculation_size_engine(const struct weir_speculator_options *options,
                             const struct spec_options *spec, struct weir_engine_options *engine);

/* What the flags say, and without them drafts by the block of multi-token prediction where the
 * model has it. Gives the engine what rounds need. */
enum weir_status speculation_choose(struct speculation *speculation, const struct call *call,
                                    const struct weir_model *model,
                                    struct weir_engine_options *engine, struct weir_error *err);

/* Opens the draft model, if there is one and it is not open: its file, of which nothing is loaded.
 */
enum weir_status speculation_open_draft(struct speculation *speculation, const struct call *call,
                                        const struct loaded *loaded, struct weir_error *err);
/* What it is loaded with: the flags of the model, and as many tokens. */
struct weir_engine_options speculation_draft_engine(const struct speculation *speculation,
                                                    const struct call *call, uint32_t context,
                                                    uint32_t sessions);
/* Loads the draft model, if there is one, which completes the options. */
enum weir_status speculation_prepare(struct speculation *speculation, const struct call *call,
                                     const struct loaded *loaded, struct weir_error *err);
/* The same for several sequences of so many tokens, each of which opens a session of
 * draft.engine. */
enum weir_status speculation_prepare_slots(struct speculation *speculation, const struct call *call,
                                           const struct loaded *loaded, uint32_t context,
                                           uint32_t slots, struct weir_error *err);
/* Like speculation_prepare, and the speculator of the loaded session. */
enum weir_status speculation_open(struct speculation *speculation, const struct call *call,
                                  const struct loaded *loaded, struct weir_error *err);
void speculation_close(struct speculation *speculation);

/* A line of drafts and how many were accepted; none without drafts. */
void speculation_print(const struct speculation *speculation, struct log *log);

#endif
