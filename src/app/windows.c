/* SPDX-License-Identifier: MIT
 * Windows of a text. Knows not what is computed on them. */
#include "app/windows.h"

#include "base/err.h"
#include "base/mem.h"

/* The token that the model wants at the head of a text is the one that encoding adds to nothing,
 * if it then also leads the text. */
static enum weir_status put_heads(struct windows *windows, const struct weir_tokenizer *tokenizer,
                                  struct weir_error *err)
{
    int32_t added[2];
    size_t count;
    const enum weir_status status =
        weir_tokenizer_encode(tokenizer, "", 0, WEIR_ENCODE_ADD_SPECIAL, added, 2, &count, err);
    const bool leads = status == WEIR_OK && count > 0 && windows->ids.count > 0 &&
                       added[0] == windows->ids.items[0];
    for (uint32_t i = 0; leads && i < windows->count; i++)
        windows->ids.items[(uint64_t)i * windows->size] = added[0];
    return status;
}

/* How many windows there are, or are wanted. */
static enum weir_status count_windows(struct windows *windows, const struct options *options,
                                      uint32_t least, struct weir_error *err)
{
    const uint64_t filled = windows->ids.count / windows->size;
    const uint64_t wanted = options->chunks < 0 ? UINT32_MAX : (uint32_t)options->chunks;
    windows->count = (uint32_t)(wanted < filled ? wanted : filled);
    if (filled >= least)
        return WEIR_OK;
    return err_set(err, WEIR_ERR_ARGUMENT,
                   "%s: holds %llu tokens, expected at least %u windows of "
                   "--ctx-size %u",
                   options->prompt_file, (unsigned long long)windows->ids.count, least,
                   windows->size);
}

enum weir_status windows_open(struct windows *windows, const struct options *options,
                              struct loaded *loaded, uint32_t size, uint32_t least,
                              struct weir_error *err)
{
    char *text = NULL;
    size_t length;
    struct options exact = *options;
    exact.escape = false;
    *windows = (struct windows){.size = size};
    enum weir_status status;
    TRY(weir_tokenizer_open(&loaded->tokenizer, loaded->model, err));
    TRY(prompt_read_text(&exact, true, &text, &length, err));
    TRY(prompt_encode(&windows->ids, loaded->tokenizer, text, length, WEIR_ENCODE_ADD_SPECIAL,
                      err));
    TRY(count_windows(windows, options, least, err));
    TRY(put_heads(windows, loaded->tokenizer, err));
out:
    mem_free(text);
    return status;
}

const int32_t *windows_at(const struct windows *windows, uint32_t number)
{
    return windows->ids.items + (uint64_t)number * windows->size;
}
