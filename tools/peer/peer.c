/* SPDX-License-Identifier: MIT
 * Times llama.cpp as llama-bench does: llama_decode of a prompt of random tokens, and of single
 * tokens one after the other. Linked with the libraries of an npm package, which come without
 * headers and without llama-bench; the bindings for JavaScript would time a promise and a sampler
 * with each token.
 *
 * peer FOLDER MODEL THREADS PROMPT GENERATE DEPTH      (FOLDER: of the libraries)
 * prints "pp NANOSECONDS" and "tg NANOSECONDS", each after a run that does not count, and behind
 * DEPTH tokens that do not count either. With PROMPT 0, "tg" alone.
 * peer FOLDER MODEL THREADS TEXT
 * evaluates a text at once, as a first request does, and prints the likeliest token: for timing the
 * process from its start.
 * peer --process COMMAND...
 * runs any program, and prints to standard error "process NANOSECONDS BYTES": from its start to its
 * end, and the most memory that it had resident. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A parameter structure of unknown size. The platform's calling convention passes and returns large
 * structures in memory, so one that is larger than the library's own serves as well; its beginning,
 * which is written to, is checked. */
struct parameters {
    union {
        uint64_t words[128];
        struct {
            uint32_t context, batch, step_rows;
        };
    };
};

void llama_backend_init(void);
void llama_log_set(void (*log)(int level, const char *text, void *user), void *user);
void ggml_backend_load_all_from_path(const char *folder);
struct parameters llama_model_default_params(void);
struct parameters llama_context_default_params(void);
void *llama_model_load_from_file(const char *path, struct parameters parameters);
void *llama_init_from_model(void *model, struct parameters parameters);
const void *llama_model_get_vocab(const void *model);
int32_t llama_vocab_n_tokens(const void *vocab);
void llama_set_n_threads(void *context, int32_t threads, int32_t threads_batch);
int32_t llama_tokenize(const void *vocab, const char *text, int32_t length, int32_t *tokens,
                       int32_t tokens_max, bool add_special, bool parse_special);
float *llama_get_logits_ith(void *context, int32_t row);
struct parameters llama_batch_get_one(int32_t *tokens, int32_t count);
int32_t llama_decode(void *context, struct parameters batch);
void llama_synchronize(void *context);
void *llama_get_memory(const void *context);
void llama_memory_clear(void *memory, bool data);
uint32_t llama_n_ctx(const void *context);
void llama_free(void *context);
void llama_model_free(void *model);

static void fail(const char *what)
{
    fprintf(stderr, "error: peer: %s\n", what);
    exit(1);
}

static void log_errors(int level, const char *text, void *user)
{
    enum { LEVEL_ERROR = 4 };
    (void)user;
    if (level == LEVEL_ERROR)
        fputs(text, stderr);
}

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int32_t parse_number(const char *text, int32_t low)
{
    char *end;
    const long number = strtol(text, &end, 10);
    if (*text == 0 || *end != 0 || number < low || number > 1 << 20)
        fail("usage: peer FOLDER MODEL THREADS PROMPT GENERATE DEPTH");
    return (int32_t)number;
}

static void *open_context(void *model, int32_t threads, int32_t tokens)
{
    enum { CONTEXT = 512, BATCH = 2048, STEP_ROWS = 512 }; /* the defaults of llama.cpp */
    struct parameters parameters = llama_context_default_params();
    if (parameters.context != CONTEXT || parameters.batch != BATCH ||
        parameters.step_rows != STEP_ROWS)
        fail("the parameters of this version begin otherwise");
    parameters.context = (uint32_t)tokens;
    void *context = llama_init_from_model(model, parameters);
    if (context == NULL || llama_n_ctx(context) < (uint32_t)tokens)
        fail("no context");
    llama_set_n_threads(context, threads, threads);
    return context;
}

/* The time of `count` tokens in evaluations of at most `piece`. */
static uint64_t time_tokens(void *context, int32_t *tokens, int32_t count, int32_t piece)
{
    const uint64_t start = clock_ns();
    for (int32_t done = 0; done < count;) {
        const int32_t part = count - done < piece ? count - done : piece;
        if (llama_decode(context, llama_batch_get_one(tokens + done, part)) != 0)
            fail("an evaluation failed");
        llama_synchronize(context);
        done += part;
    }
    return clock_ns() - start;
}

static void *open_model(const char *folder, const char *path)
{
    llama_log_set(log_errors, NULL);
    ggml_backend_load_all_from_path(folder);
    llama_backend_init();
    void *model = llama_model_load_from_file(path, llama_model_default_params());
    if (model == NULL)
        fail("cannot load the model");
    return model;
}

static void run_first(void *model, int32_t threads, const char *text)
{
    enum { CONTEXT = 512 };
    int32_t tokens[CONTEXT];
    const void *vocab = llama_model_get_vocab(model);
    const int32_t count =
        llama_tokenize(vocab, text, (int32_t)strlen(text), tokens, CONTEXT, true, true);
    if (count < 1)
        fail("no tokens");
    void *context = open_context(model, threads, CONTEXT);
    if (llama_decode(context, llama_batch_get_one(tokens, count)) != 0)
        fail("an evaluation failed");
    const float *logits = llama_get_logits_ith(context, -1);
    int32_t best = 0;
    for (int32_t i = 1; i < llama_vocab_n_tokens(vocab); i++)
        best = logits[i] > logits[best] ? i : best;
    printf("first %d of %d\n", best, count);
    llama_free(context);
}

static int32_t *make_tokens(const void *model, int32_t count)
{
    const int32_t vocab = llama_vocab_n_tokens(llama_model_get_vocab(model));
    int32_t *tokens = malloc((size_t)count * sizeof *tokens);
    if (tokens == NULL || vocab < 1)
        fail("no tokens");
    uint32_t state = 1;
    for (int32_t i = 0; i < count; i++) {
        state = state * 1664525 + 1013904223;
        tokens[i] = (int32_t)((state >> 8) % (uint32_t)vocab);
    }
    return tokens;
}

static int32_t larger(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

static void run_tests(void *model, int32_t threads, int32_t prompt, int32_t generate, int32_t depth)
{
    enum { BATCH = 2048 };
    const int32_t most = larger(prompt, generate);
    int32_t *tokens = make_tokens(model, larger(most, depth));
    void *context = open_context(model, threads, depth + most + 1);
    void *memory = llama_get_memory(context);
    if (prompt > 0) {
        time_tokens(context, tokens, prompt, BATCH);
        llama_memory_clear(memory, false);
        time_tokens(context, tokens, depth, BATCH);
        printf("pp %llu\n", (unsigned long long)time_tokens(context, tokens, prompt, BATCH));
        llama_memory_clear(memory, false);
    }
    time_tokens(context, tokens, depth, BATCH);
    time_tokens(context, tokens, 1, 1);
    printf("tg %llu\n", (unsigned long long)time_tokens(context, tokens, generate, 1));
    llama_free(context);
    free(tokens);
}

static int run_process(char **command)
{
    const uint64_t start = clock_ns();
    const pid_t child = fork();
    if (child == 0) {
        execvp(command[0], command);
        _exit(127);
    }
    int status;
    struct rusage usage;
    if (child < 0 || wait4(child, &status, 0, &usage) != child)
        fail("cannot run the command");
    fprintf(stderr, "process %llu %llu\n", (unsigned long long)(clock_ns() - start),
            (unsigned long long)usage.ru_maxrss * 1024);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "--process") == 0)
        return run_process(argv + 2);
    if (argc != 5 && argc != 7)
        fail("usage: peer FOLDER MODEL THREADS PROMPT GENERATE DEPTH, or TEXT in place of three");
    const int32_t threads = parse_number(argv[3], 1);
    const int32_t prompt = argc == 7 ? parse_number(argv[4], 0) : 0;
    const int32_t generate = argc == 7 ? parse_number(argv[5], 1) : 0;
    const int32_t depth = argc == 7 ? parse_number(argv[6], 0) : 0;
    void *model = open_model(argv[1], argv[2]);
    if (argc == 7)
        run_tests(model, threads, prompt, generate, depth);
    else
        run_first(model, threads, argv[4]);
    llama_model_free(model);
    return 0;
}
