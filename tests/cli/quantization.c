/* SPDX-License-Identifier: MIT
 * weir quantize: its words and flags, and what it leaves behind.
 * Run alone: build/tests/weir-test quantization_ */
#include "cli/program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "format/imatrix.h"

#define MODEL test_data("golden/nano-f32.gguf")

/* Writes a made-up model that is large enough to be interrupted in. */
static const char *synthesize(const char *name, const char *size)
{
    struct weir_synth_options options;
    struct weir_error err = {0};
    const char *path = test_scratch(name);
    weir_synth_options_init(&options);
    options.size = size;
    options.type = "f32";
    CHECK_OK(weir_synth(path, &options, &err), &err);
    return path;
}

static void check_file_type(const char *path, const char *expected)
{
    char line[64];
    const struct program_result *result = RUN_PROGRAM("inspect", path);
    snprintf(line, sizeof line, "\ngeneral.file_type = %s\n", expected);
    CHECK_INT(result->status, 0);
    CHECK_HAS(result->out, line);
}

TEST(quantization_writes_a_model)
{
    const char *out = test_scratch("written.gguf");
    const struct program_result *result = RUN_PROGRAM("quantize", MODEL, out, "q8_0", "2");
    CHECK_INT(result->status, 0);
    CHECK_HAS(result->err, "written.gguf: 0.32 MiB, 8.72 bits per weight\n");
    CHECK_INT(result->out_size, 0);
    check_file_type(out, "7");
    CHECK_HAS(RUN_PROGRAM("inspect", "--weights", out)->out, "Q8_0");
    CHECK_INT(RUN_PROGRAM("run", out, "--tokens", test_data("golden/tokens24.txt"), "-n", "2",
                          "--temp", "0", "--ids")
                  ->status,
              0);
}

/* Words, flags and the recipe are forms of the same. */
TEST(quantization_names)
{
    char out[512]; /* the paths of test_scratch rotate */
    snprintf(out, sizeof out, "%s", test_scratch("named.gguf"));
    static const char *const forms[][6] = {
        {"Q4_0", NULL},          {"2", NULL},          {"Q4_0", "3"},
        {"--type", "q4_0"},      {"--recipe", "Q4_0"}, {"--pure", "Q4_0", "-t", "1"},
        {"--recipe=Q4_0", NULL},
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct program_call call = {.words = {"quantize", MODEL, out}};
        for (int j = 0; forms[i][j] != NULL; j++)
            call.words[3 + j] = forms[i][j];
        remove(out);
        CHECK_INT(run_program(&call)->status, 0);
        check_file_type(out, "2");
    }
    const struct program_call link = {.words = {MODEL, out, "F16"}, .name = "llama-quantize"};
    CHECK_INT(run_program(&link)->status, 0);
    check_file_type(out, "1");
}

/* llama-quantize makes up a name beside the input. */
TEST(quantization_without_output)
{
    char in[512];
    snprintf(in, sizeof in, "%s", synthesize("beside.gguf", "nano"));
    CHECK_INT(RUN_PROGRAM("quantize", in, "Q5_0", "2")->status, 0);
    check_file_type(test_scratch("ggml-model-Q5_0.gguf"), "8");
    CHECK_INT(RUN_PROGRAM("quantize", "--recipe", "Q4_K_H", in)->status, 0);
    check_file_type(test_scratch("ggml-model-Q4_K_H.gguf"), "15");
    CHECK_REFUSED(RUN_PROGRAM("quantize", in, "Q5_0", "many"),
                  "unknown type \"many\"; see weir help quantize");
}

/* A type is known by its aliases and its number too; the number behind it is one of threads. */
TEST(quantization_without_output_by_other_names)
{
    static const struct {
        const char *type, *threads, *name, *file_type;
    } cases[] = {
        {"Q4_K", "8", "Q4_K", "15"},
        {"15", "8", "Q4_K_M", "15"},
        {"q5_k", NULL, "Q5_K", "17"},
        {"2", NULL, "Q4_0", "2"},
    };
    char in[512], out[512], line[64];
    snprintf(in, sizeof in, "%s", synthesize("alias.gguf", "nano"));
    for (size_t i = 0; i < 2 * (sizeof cases / sizeof *cases); i++) {
        const size_t row = i / 2;
        struct program_call call = {.words = {"quantize", in, cases[row].type, cases[row].threads}};
        if (i % 2 == 1)
            call = (struct program_call){.words = {in, cases[row].type, cases[row].threads},
                                         .name = "llama-quantize"};
        snprintf(line, sizeof line, "ggml-model-%s.gguf", cases[row].name);
        snprintf(out, sizeof out, "%s", test_scratch(line));
        remove(out);
        CHECK_INT(run_program(&call)->status, 0);
        CHECK(access(cases[row].type, F_OK) != 0);
        check_file_type(out, cases[row].file_type);
    }
    CHECK_REFUSED(RUN_PROGRAM("quantize", in, "Q4_K", "8", "4"),
                  "the number of threads is named twice, as 8 and 4");
    CHECK_INT(RUN_PROGRAM("quantize", "--dry-run", in, "15")->status, 0);
}

TEST(quantization_bad_words)
{
    CHECK_REFUSED(RUN_PROGRAM("quantize"),
                  "no model: name a GGUF file with --model or as first argument");
    CHECK_REFUSED(RUN_PROGRAM("quantize", MODEL, "out.gguf"),
                  "no type: name one behind the files; see weir help quantize");
    CHECK_REFUSED(RUN_PROGRAM("quantize", "--dry-run"),
                  "no type: name one behind the files; see weir help quantize");
    CHECK_REFUSED(RUN_PROGRAM("quantize", MODEL, "out.gguf", "Q4_0", "--recipe", "Q8_0"),
                  "the type is named twice, as Q4_0 and by --recipe Q8_0");
    CHECK_REFUSED(RUN_PROGRAM("quantize", MODEL, "out.gguf", "Q4_0", "2", "x"),
                  "invalid argument: x");
    CHECK_REFUSED(RUN_PROGRAM("quantize", MODEL, "out.gguf", "Q4_0", "two"),
                  "-t, --threads: 'two' is not a whole number from -1 to 2147483647");
    CHECK_REFUSED(RUN_PROGRAM("quantize", "--keep-split", MODEL, "out.gguf", "Q4_0"),
                  "--keep-split: the output is one file");
    CHECK_HAS(RUN_PROGRAM("quantize", MODEL, "out.gguf", "Q4_7")->err,
              "error: unknown type \"Q4_7\", expected one of F32, ");
    CHECK(access("out.gguf", F_OK) != 0);
}

TEST(quantization_dry_run)
{
    const struct program_result *result =
        RUN_PROGRAM("quantize", "--dry-run", MODEL, "nowhere/out.gguf", "Q4_0");
    CHECK_INT(result->status, 0);
    CHECK_HAS(result->out, "F32 -> Q4_0");
    CHECK_HAS(result->out, " bits per weight\n");
    char *text = strdup(result->out);
    CHECK_TEXT(RUN_PROGRAM("quantize", "--dry-run", MODEL, "Q4_0")->out, text);
    CHECK_TEXT(RUN_PROGRAM("quantize", "--recipe", "Q4_0", "--dry-run", MODEL)->out, text);
    free(text);
    result = RUN_PROGRAM("quantize", "--recipe", "q4_k_h", "--dry-run");
    CHECK_INT(result->status, 0);
    CHECK_HAS(result->out, "Q4_K_H: ");
    CHECK_HAS(result->out, "as far as the bytes of Q4_K_M go:\n  Q8_0     ssm_alpha, ssm_beta");
    struct program_call full = {.words = {"quantize", "--recipe", "F16", "--dry-run"},
                                .out_path = program_full_device()};
    CHECK_REFUSED(run_program(&full), "standard output: cannot write: No space left on device");
}

/* Flags reach the plan. */
TEST(quantization_flags)
{
    static const struct {
        const char *words[4];
        const char *line; /* without blanks in a row */
    } cases[] = {
        {{"--output-tensor-type", "q8_0"}, "token_embd.weight [64, 1024] F32 -> Q8_0 "},
        {{"--token-embedding-type", "F16"}, "token_embd.weight [64, 1024] F32 -> F16 "},
        {{"--tensor-type", "blk\\.[12]\\.ffn=q5_1"}, "blk.1.ffn_up.weight [64, 128] F32 -> Q5_1 "},
        {{"--tensor-type", "attn_q=bf16", "--tensor-type", "x=q8_0"},
         "blk.0.attn_qkv.weight [64, 128] F32 -> BF16 "},
        {{"--pure"}, "token_embd.weight [64, 1024] F32 -> Q4_0 "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct program_call call = {.words = {"quantize", "--dry-run", MODEL, "Q4_0"}};
        for (int j = 0; j < 4; j++)
            call.words[4 + j] = cases[i].words[j];
        const struct program_result *result = run_program(&call);
        CHECK_INT(result->status, 0);
        char *out = result->out;
        size_t length = 0;
        for (size_t j = 0; j < result->out_size; j++) {
            if (out[j] != ' ' || length == 0 || out[length - 1] != ' ')
                out[length++] = out[j];
        }
        out[length] = 0;
        CHECK_HAS(out, cases[i].line);
    }
    const char *out = test_scratch("flags.gguf");
    CHECK_INT(RUN_PROGRAM("quantize", MODEL, out, "Q4_0", "--override-kv",
                          "general.name=str:other,a.b=int:5")
                  ->status,
              0);
    CHECK_HAS(RUN_PROGRAM("inspect", out)->out, "general.name = \"other\"");
    CHECK_REFUSED(RUN_PROGRAM("quantize", MODEL, out, "Q4_0", "--imatrix", "/nowhere/x"),
                  "/nowhere/x: cannot open: No such file or directory");
}

/* ---- what is left behind --------------------------------------------------------------------- */

TEST(quantization_failures_leave_nothing)
{
    const char *in = synthesize("large.gguf", "tiny"), *out = test_scratch("left.gguf");
    struct program_call call = {.words = {"quantize", in, out, "Q8_0"}, .file_bytes_max = 1 << 20};
    const struct program_result *result = run_program(&call);
    CHECK_INT(result->status, 1);
    CHECK_HAS(result->err, "left.gguf: cannot write: File too large");
    CHECK_INT(program_count_files(out), 0);
    call.file_bytes_max = 0;
    call.words[1] = MODEL;
    call.words[4] = "--imatrix";
    call.words[5] = MODEL;
    CHECK_HAS(run_program(&call)->err, "general.type is \"model\", expected \"imatrix\"");
    CHECK_INT(program_count_files(out), 0);
}

TEST(quantization_can_be_interrupted)
{
    const char *in = synthesize("interrupt.gguf", "tinymoe"), *out = test_scratch("cut.gguf");
    const struct program_call call = {.words = {"quantize", in, out, "Q4_K_M", "-t", "1"},
                                      .terminal = true,
                                      .interrupt_after = 1};
    const struct program_result *result = run_program(&call);
    CHECK_INT(result->status, 130);
    CHECK_HAS(result->err, "writing ");
    CHECK_INT(program_count_files(out), 0);
}

/* ---- documents ------------------------------------------------------------------------------- */

TEST(quantization_types_are_documented)
{
    size_t size;
    char *page = (char *)test_read_file("docs/man/weir-quantize.1", &size);
    char *help = strdup(RUN_PROGRAM("quantize", "--help")->out);
    for (const struct weir_quantize_type *type = weir_quantize_types(); type->name != NULL;
         type++) {
        const char *summary = type->summary + strspn(type->summary, " ");
        char line[256];
        snprintf(line, sizeof line, "\n  %-10s %s\n", type->name, type->summary);
        CHECK_HAS(help, line);
        snprintf(line, sizeof line, "\n.It %s\n%c%s.\n", type->name,
                 summary[0] >= 'a' ? summary[0] - 32 : summary[0], summary + 1);
        CHECK_HAS(page, line);
    }
    free(help);
    free(page);
}

TEST(quantization_keeps_its_importance_matrix)
{
    char path[512], line[600];
    struct weir_error err = {0};
    struct imatrix imatrix;
    struct imatrix_entry *entry;
    snprintf(path, sizeof path, "%s", test_scratch("kept.imatrix"));
    snprintf(line, sizeof line, "%s: is read from, so it cannot be written to", path);
    imatrix_init(&imatrix);
    CHECK_OK(imatrix_add(&imatrix, "blk.0.ffn_up.weight", 64, 1, &entry, &err), &err);
    CHECK_OK(imatrix_write(&imatrix, path, &err), &err);
    imatrix_release(&imatrix);
    const struct program_result *result =
        RUN_PROGRAM("quantize", MODEL, path, "q8_0", "--imatrix", path);
    CHECK_INT(result->status, 1);
    CHECK_HAS(result->err, line);
    CHECK_OK(imatrix_read(&imatrix, path, &err), &err);
    imatrix_release(&imatrix);
}
