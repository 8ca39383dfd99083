/* SPDX-License-Identifier: MIT
 * weir tokenize: prints the tokens of a text in the format of llama-tokenize. */
#include "app/command.h"

#include "app/loaded.h"
#include "app/output.h"
#include "app/prompt.h"
#include "app/shipped.h"
#include "base/err.h"
#include "base/mem.h"

static void print_ids(struct output *output, const struct ids *ids)
{
    output_print(output, "[");
    for (uint64_t i = 0; i < ids->count; i++)
        output_print(output, "%s%d", i == 0 ? "" : ", ", (int)ids->items[i]);
    output_print(output, "]\n");
}

static void print_pieces(struct output *output, const struct ids *ids,
                         const struct weir_tokenizer *tokenizer)
{
    for (uint64_t i = 0; i < ids->count; i++) {
        size_t length;
        const char *piece = weir_tokenizer_piece(tokenizer, ids->items[i], true, &length);
        output_print(output, "%6d -> '", (int)ids->items[i]);
        output_put(output, piece, length);
        output_print(output, "'\n");
    }
}

static enum weir_status print_tokens(const struct options *options, const struct ids *ids,
                                     const struct weir_tokenizer *tokenizer, struct weir_error *err)
{
    struct output output;
    const enum weir_status status = output_open(&output, NULL, err);
    if (status != WEIR_OK)
        return status;
    if (options->ids)
        print_ids(&output, ids);
    else
        print_pieces(&output, ids, tokenizer);
    if (options->show_count)
        output_print(&output, "Total number of tokens: %llu\n", (unsigned long long)ids->count);
    return output_finish(&output, err);
}

enum weir_status command_tokenize(const struct call *call, struct weir_error *err)
{
    const struct options *options = call->options;
    const unsigned flags = (options->add_special ? WEIR_ENCODE_ADD_SPECIAL : 0) |
                           (options->parse_special ? WEIR_ENCODE_PARSE_SPECIAL : 0);
    struct loaded loaded = {0};
    struct ids ids = {0};
    char *text = NULL, shipped[SHIPPED_PATH_MAX];
    size_t length;
    enum weir_status status;
    TRY(prompt_check(options, "--prompt, --file and --stdin", err));
    TRY(shipped_choose(shipped, call->options, call->log, err));
    TRY(loaded_open_model(&loaded, options, call->log, err));
    TRY(weir_tokenizer_open(&loaded.tokenizer, loaded.model, err));
    TRY(prompt_read_text(options, false, &text, &length, err));
    TRY(prompt_encode(&ids, loaded.tokenizer, text, length, flags, err));
    TRY(print_tokens(options, &ids, loaded.tokenizer, err));
out:
    mem_free(text);
    mem_free(ids.items);
    loaded_close(&loaded);
    return status;
}
