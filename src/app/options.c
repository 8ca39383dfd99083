/* SPDX-License-Identifier: MIT
 * Defaults and memory of the options. Knows no flag and no command. */
#include "app/options.h"

#include "app/bench_table.h"
#include "base/mem.h"

/* Most of a draft's time goes by how many tokens there are to choose from. In the vocabulary of
 * Qwen3.5 those of English and code stand before this, and those of Chinese: of such texts 98% and
 * more of the tokens, of German 90%, of Russian 64%. */
enum { DRAFT_VOCAB = 131072 };

void options_init(struct options *options)
{
    *options = (struct options){
        .batch = 2048,
        .escape = true,
        .predict = -1,
        .cache_bytes = (uint64_t)4096 << 20,
        .show_prompt = true,
        .show_timings = true,
        .add_special = true,
        .parse_special = true,
        .shape = {.rows = 1, .sequences = 1},
        .chunks = -1,
        .mtp_chain = -1,
        .spec = {.drafts_max = -1, .vocab = DRAFT_VOCAB, .ngram_size = 12, .ngram_drafts = 48},
        .chat = {.reasoning_budget = -1, .tool_choice = "auto"},
        .serve = {.host = "127.0.0.1",
                  .port = 8080,
                  .socket_mode = 0660,
                  .slots = -1,
                  .cors_origins = "*",
                  .cors_credentials = true,
                  .cache_ram = (uint64_t)8192 << 20,
                  .ping_s = 30,
                  .timeout_s = 60,
                  .drain_s = 5,
                  .body_mib = 100,
                  .connections_max = 512,
                  .queue_max = 256,
                  .slots_shown = true,
                  .page = true,
                  .access_log = true,
                  .cache_prompt = true,
                  .prefill_assistant = true},
        .bench = {.repetitions = 5, .format = BENCH_MD, .format_errors = BENCH_NONE},
        .reasoning_format = FORMAT_AUTO,
        .profile = {.tolerance = 5},
        .log = {.level = WEIR_LOG_INFO},
    };
    weir_engine_options_init(&options->engine);
    weir_sampler_options_init(&options->sampler);
    weir_synth_options_init(&options->synth);
    weir_quantize_options_init(&options->quantize);
    weir_convert_options_init(&options->convert);
}

static void text_list_release(struct text_list *list)
{
    for (uint64_t i = 0; i < list->count; i++)
        mem_free(list->items[i]);
    mem_free(list->items);
}

static void bench_release(struct bench_options *bench)
{
    const struct number_list *const lists[] = {
        &bench->prompts,   &bench->generations, &bench->depths,  &bench->pairs,   &bench->batches,
        &bench->step_rows, &bench->threads,     &bench->cache_k, &bench->cache_v, &bench->loads,
    };
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        mem_free(lists[i]->items);
    text_list_release(&bench->models);
}

static void profile_release(struct profile_options *profile)
{
    const struct number_list *const lists[] = {
        &profile->modes,  &profile->contexts, &profile->sequences, &profile->prompts,
        &profile->drafts, &profile->threads,  &profile->by,
    };
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        mem_free(lists[i]->items);
    text_list_release(&profile->diff);
}

void options_release(struct options *options)
{
    text_list_release(&options->overrides);
    text_list_release(&options->stops);
    text_list_release(&options->in_files);
    text_list_release(&options->breakers);
    text_list_release(&options->tensor_types);
    text_list_release(&options->include_weights);
    text_list_release(&options->exclude_weights);
    text_list_release(&options->serve.key_list);
    bench_release(&options->bench);
    profile_release(&options->profile);
    mem_free(options->biases.items);
}

enum weir_status text_list_add(struct text_list *list, const char *text, size_t length,
                               struct weir_error *err)
{
    const enum weir_status status =
        mem_grow(&list->items, &list->capacity, list->count + 1, sizeof *list->items, err);
    if (status != WEIR_OK)
        return status;
    char *copy = mem_copy_text(text, length, err);
    if (copy == NULL)
        return WEIR_ERR_MEMORY;
    list->items[list->count++] = copy;
    return WEIR_OK;
}

enum weir_reasoning_format options_reasoning_format(const struct options *options)
{
    static const enum weir_reasoning_format formats[] = {
        [FORMAT_NONE] = WEIR_REASONING_NONE,
        [FORMAT_DEEPSEEK] = WEIR_REASONING_APART,
        [FORMAT_DEEPSEEK_LEGACY] = WEIR_REASONING_BOTH,
        [FORMAT_AUTO] = WEIR_REASONING_APART,
    };
    return formats[options->reasoning_format];
}
