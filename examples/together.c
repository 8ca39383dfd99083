/* SPDX-License-Identifier: MIT
 * Two texts continued together: together MODEL.gguf TEXT TEXT. Each step reads the weights once,
 * for both, and each text becomes what it would have become alone.
 *     cc -o together together.c $(pkg-config --cflags --libs weir) */
#include <stdio.h>
#include <string.h>
#include <weir.h>

enum { TEXTS = 2, PROMPT_MAX = 100, STEPS = 24 };

struct parts {
    struct weir_model *model;
    struct weir_tokenizer *tokenizer;
    struct weir_engine *engine;
    struct weir_session *sessions[TEXTS];
    int32_t tokens[TEXTS][PROMPT_MAX + STEPS];
    size_t counts[TEXTS];
};

/* Of a text of more tokens, the first ones. */
static int open_session(struct parts *p, int i, const char *text, struct weir_error *err)
{
    if (weir_session_open(&p->sessions[i], p->engine, err) != WEIR_OK ||
        weir_tokenizer_encode(p->tokenizer, text, strlen(text), 0, p->tokens[i], PROMPT_MAX,
                              &p->counts[i], err) != WEIR_OK)
        return 1;
    if (p->counts[i] > PROMPT_MAX)
        p->counts[i] = PROMPT_MAX;
    return 0;
}

static int open_parts(struct parts *p, char **words, struct weir_error *err)
{
    struct weir_engine_options options;
    weir_engine_options_init(&options);
    options.sessions_max = TEXTS;
    options.context = PROMPT_MAX + STEPS;
    int failed = weir_model_open(&p->model, words[0], NULL, err) != WEIR_OK ||
                 weir_tokenizer_open(&p->tokenizer, p->model, err) != WEIR_OK ||
                 weir_engine_open(&p->engine, p->model, &options, err) != WEIR_OK;
    for (int i = 0; i < TEXTS && !failed; i++)
        failed = open_session(p, i, words[i + 1], err);
    return failed;
}

static int32_t likeliest(const float *logits, uint32_t count)
{
    uint32_t best = 0;
    for (uint32_t id = 1; id < count; id++)
        best = logits[id] > logits[best] ? id : best;
    return (int32_t)best;
}

/* One step: what each session has not seen yet, then a token for each from its row of logits. */
static int take_step(struct parts *p, struct weir_error *err)
{
    struct weir_step_item items[TEXTS];
    for (int i = 0; i < TEXTS; i++) {
        const uint32_t seen = weir_session_position(p->sessions[i]);
        items[i] = (struct weir_step_item){p->sessions[i], p->tokens[i] + seen,
                                           (uint32_t)p->counts[i] - seen, WEIR_LOGITS_LAST};
    }
    if (weir_engine_step(p->engine, items, TEXTS, err) != WEIR_OK)
        return 1;
    for (int i = 0; i < TEXTS; i++)
        p->tokens[i][p->counts[i]++] =
            likeliest(weir_session_logits(p->sessions[i], 0), weir_engine_vocab(p->engine));
    return 0;
}

/* Until the model says that it ends. */
static void print_text(const struct parts *p, int i)
{
    for (size_t k = 0; k < p->counts[i]; k++) {
        const int32_t token = p->tokens[i][k];
        size_t length;
        const char *piece = weir_tokenizer_piece(p->tokenizer, token, false, &length);
        if (weir_tokenizer_ends_generation(p->tokenizer, token))
            break;
        fwrite(piece, 1, length, stdout);
    }
    printf("\n");
}

int main(int argc, char **argv)
{
    struct parts p = {NULL};
    struct weir_error err = {0};
    int failed = argc != TEXTS + 2 || open_parts(&p, argv + 1, &err);
    for (int step = 0; step < STEPS && !failed; step++)
        failed = take_step(&p, &err);
    for (int i = 0; i < TEXTS && !failed; i++)
        print_text(&p, i);
    if (failed)
        fprintf(stderr, "%s\n", argc == TEXTS + 2 ? err.text : "together MODEL.gguf TEXT TEXT");
    for (int i = 0; i < TEXTS; i++)
        weir_session_close(p.sessions[i]);
    weir_engine_close(p.engine);
    weir_tokenizer_close(p.tokenizer);
    weir_model_close(p.model);
    return failed;
}
