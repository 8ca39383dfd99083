/* SPDX-License-Identifier: MIT
 * What tests of whole models share: an engine with one session, token lists, reference arrays. */
#ifndef TESTS_GOLDEN_FIXTURE_H
#define TESTS_GOLDEN_FIXTURE_H

#include "plan/plan.h"
#include "test.h"

struct fixture {
    struct weir_model *model;
    struct weir_engine *engine;
    struct weir_session *session;
    uint32_t vocab;
};

/* Defaults for tests: F32 caches, context 512, 64 rows of logits, two threads. */
void fixture_options(struct weir_engine_options *options);

/* Opens all three; fails the test otherwise. */
void fixture_open(struct fixture *fixture, const char *path,
                  const struct weir_engine_options *options);
void fixture_close(struct fixture *fixture);

/* A file of decimal ids; malloc. */
int32_t *fixture_tokens(const char *path, uint32_t *count);

/* A file of float32; malloc. */
float *fixture_floats(const char *path, size_t *count);

/* Logits of every token from an empty session, malloc [count, vocab]: in one step or many. */
float *fixture_logits(struct fixture *fixture, const int32_t *tokens, uint32_t count,
                      bool one_by_one);

/* Writes a model of that size with the tool of shared/, as the vectors there were made, and returns
 * its path; skips the test where the tool, python3 or numpy is missing. */
const char *fixture_synth(const char *size, const char *type);

/* Bytes of weir_synth_header as they come; zeroed to begin, freed by the caller. */
struct fixture_header {
    uint8_t *data;
    size_t size;
};

void fixture_header_put(void *header, const char *text, size_t length);

/* A model of which only the header is there. */
struct weir_model *fixture_shape(const struct weir_synth_options *synth);

/* Fails unless the error has that status and says `part`. */
void fixture_check_says(const struct weir_error *err, enum weir_status status, const char *part);

/* Fails unless no engine can be opened on the model, and the reason names the file and says `part`.
 * `options` may be NULL. */
void fixture_check_refused(const char *path, const char *const *overrides, uint32_t overrides_count,
                           const struct weir_engine_options *options, enum weir_status status,
                           const char *part);

/* A step of all tokens of a file in slot 0, with the logits of each: to run a plan op by op. */
struct fixture_step {
    struct step step;
    struct step_seq seq;
    uint32_t out_row[64];
    int32_t *tokens;
};

void fixture_step_open(struct fixture_step *step, const char *tokens_path);
void fixture_step_close(struct fixture_step *step);

#endif
