/* SPDX-License-Identifier: MIT
 * What tests of whole models share. */
#include "golden/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void fixture_options(struct weir_engine_options *options)
{
    weir_engine_options_init(options);
    options->cache_k = options->cache_v = WEIR_CACHE_F32;
    options->context = 512;
    options->logits_rows_max = 64;
    options->threads = 2;
    options->backend = "ref"; /* the definition */
}

void fixture_open(struct fixture *fixture, const char *path,
                  const struct weir_engine_options *options)
{
    struct weir_error err = {0};
    *fixture = (struct fixture){0};
    CHECK_OK(weir_model_open(&fixture->model, path, NULL, &err), &err);
    CHECK_OK(weir_engine_open(&fixture->engine, fixture->model, options, &err), &err);
    CHECK_OK(weir_session_open(&fixture->session, fixture->engine, &err), &err);
    fixture->vocab = weir_engine_vocab(fixture->engine);
}

void fixture_close(struct fixture *fixture)
{
    weir_session_close(fixture->session);
    weir_engine_close(fixture->engine);
    weir_model_close(fixture->model);
}

int32_t *fixture_tokens(const char *path, uint32_t *count)
{
    size_t size;
    char *text = (char *)test_read_file(path, &size);
    int32_t *tokens = malloc(size * sizeof *tokens);
    CHECK(tokens != NULL);
    *count = 0;
    for (char *at = text, *end; *at != 0; at = end) {
        const long id = strtol(at, &end, 10);
        if (end == at)
            break;
        tokens[(*count)++] = (int32_t)id;
    }
    free(text);
    return tokens;
}

float *fixture_floats(const char *path, size_t *count)
{
    size_t size;
    float *floats = (float *)(void *)test_read_file(path, &size);
    *count = size / sizeof *floats;
    return floats;
}

float *fixture_logits(struct fixture *fixture, const int32_t *tokens, uint32_t count,
                      bool one_by_one)
{
    struct weir_error err = {0};
    const size_t row = fixture->vocab * sizeof(float);
    float *logits = malloc(count * row);
    CHECK(logits != NULL);
    weir_session_reset(fixture->session);
    if (!one_by_one) {
        CHECK_OK(weir_session_eval(fixture->session, tokens, count, WEIR_LOGITS_ALL, &err), &err);
        memcpy(logits, weir_session_logits(fixture->session, 0), count * row);
        return logits;
    }
    for (uint32_t i = 0; i < count; i++) {
        CHECK_OK(weir_session_eval(fixture->session, tokens + i, 1, WEIR_LOGITS_LAST, &err), &err);
        memcpy((char *)logits + i * row, weir_session_logits(fixture->session, 0), row);
    }
    return logits;
}

static const char *python_with_numpy(void)
{
    if (system("python3 -c 'import numpy' 2>/dev/null") == 0)
        return "python3";
    if (system("/usr/bin/python3 -c 'import numpy' 2>/dev/null") == 0)
        return "/usr/bin/python3";
    test_skip("python3 with numpy is not here");
}

/* The files behind the vectors: all of `tiny` and the F32 one of `tinymoe` have an MTP block. */
const char *fixture_synth(const char *size, const char *type)
{
    char command[16384], name[64];
    const char *tool = test_shared("tools/synth_model.py");
    const bool has_mtp = strcmp(size, "tiny") == 0 || strcmp(type, "f32") == 0;
    snprintf(name, sizeof name, "%s-%s.gguf", size, type);
    const char *path = test_scratch(name);
    if (access(path, R_OK) == 0)
        return path;
    snprintf(command, sizeof command, "%s %s --size %s --type %s --mtp %d --seed 1 --out %s",
             python_with_numpy(), tool, size, type, has_mtp, path);
    CHECK_INT(system(command), 0);
    return path;
}

void fixture_header_put(void *user, const char *text, size_t length)
{
    struct fixture_header *header = user;
    header->data = realloc(header->data, header->size + length);
    CHECK(header->data != NULL);
    memcpy(header->data + header->size, text, length);
    header->size += length;
}

struct weir_model *fixture_shape(const struct weir_synth_options *synth)
{
    struct fixture_header header = {NULL, 0};
    struct weir_model *model;
    struct weir_error err = {0};
    CHECK_OK(weir_synth_header(synth, fixture_header_put, &header, &err), &err);
    CHECK_OK(weir_model_open_header(&model, header.data, header.size, synth->size, NULL, &err),
             &err);
    free(header.data);
    return model;
}

void fixture_check_says(const struct weir_error *err, enum weir_status status, const char *part)
{
    if (err->status != status || strstr(err->text, part) == NULL)
        test_fail(__FILE__, __LINE__, "status %d \"%s\", expected %d and \"%s\"", (int)err->status,
                  err->text, (int)status, part);
}

void fixture_check_refused(const char *path, const char *const *overrides, uint32_t overrides_count,
                           const struct weir_engine_options *options, enum weir_status status,
                           const char *part)
{
    const struct weir_model_options model_options = {.overrides = overrides,
                                                     .overrides_count = overrides_count};
    struct weir_engine_options defaults;
    struct weir_error err = {0};
    struct weir_model *model;
    struct weir_engine *engine;
    fixture_options(&defaults);
    CHECK_OK(weir_model_open(&model, path, &model_options, &err), &err);
    CHECK(weir_engine_open(&engine, model, options != NULL ? options : &defaults, &err) != WEIR_OK);
    CHECK(engine == NULL);
    fixture_check_says(&err, status, part);
    fixture_check_says(&err, status, path);
    weir_model_close(model);
}

void fixture_step_open(struct fixture_step *step, const char *tokens_path)
{
    uint32_t count;
    *step = (struct fixture_step){.tokens = fixture_tokens(tokens_path, &count)};
    CHECK(count <= sizeof step->out_row / sizeof step->out_row[0]);
    for (uint32_t i = 0; i < count; i++)
        step->out_row[i] = i;
    step->seq.rows = count;
    step->step = (struct step){.rows = count,
                               .token = step->tokens,
                               .seqs = 1,
                               .seq = &step->seq,
                               .outs = count,
                               .out_row = step->out_row};
}

void fixture_step_close(struct fixture_step *step)
{
    free(step->tokens);
}
