/* SPDX-License-Identifier: MIT
 * Reads flags from the environment and the command line into the options. Knows what flags.def
 * says, and nothing of what the commands do. */
#include "app/args.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/bench_table.h"
#include "app/flag_value.h"
#include "app/number.h"
#include "app/prompt.h"
#include "base/mem.h"

/* ---- flags whose value needs its own reading ------------------------------------------------- */

/* Commas separate, except between double quotes, which are dropped. */
static enum weir_status add_overrides(struct options *options, const char *value,
                                      struct weir_error *err)
{
    char *item = mem_alloc((uint64_t)strlen(value) + 1, 1, err);
    if (item == NULL)
        return WEIR_ERR_MEMORY;
    enum weir_status status = WEIR_OK;
    size_t length = 0;
    bool quoted = false;
    for (const char *c = value; status == WEIR_OK; c++) {
        if (*c == 0 || (*c == ',' && !quoted)) {
            status = text_list_add(&options->overrides, item, length, err);
            length = 0;
        } else if (*c == '"') {
            quoted = !quoted;
        } else {
            item[length++] = *c;
        }
        if (*c == 0)
            break;
    }
    mem_free(item);
    return status;
}

static enum weir_status add_unescaped(struct text_list *list, const char *value,
                                      struct weir_error *err)
{
    const enum weir_status status = text_list_add(list, value, strlen(value), err);
    if (status != WEIR_OK)
        return status;
    char *text = list->items[list->count - 1];
    text[prompt_unescape(text, strlen(text))] = 0;
    if (text[0] == 0)
        return err_set(err, WEIR_ERR_ARGUMENT, "the text is empty");
    return WEIR_OK;
}

static enum weir_status add_stop(struct options *options, const char *value, struct weir_error *err)
{
    return add_unescaped(&options->stops, value, err);
}

static enum weir_status add_in_file(struct options *options, const char *value,
                                    struct weir_error *err)
{
    return text_list_add(&options->in_files, value, strlen(value), err);
}

static enum weir_status add_tensor_type(struct options *options, const char *value,
                                        struct weir_error *err)
{
    return text_list_add(&options->tensor_types, value, strlen(value), err);
}

static enum weir_status add_include(struct options *options, const char *value,
                                    struct weir_error *err)
{
    return text_list_add(&options->include_weights, value, strlen(value), err);
}

static enum weir_status add_exclude(struct options *options, const char *value,
                                    struct weir_error *err)
{
    return text_list_add(&options->exclude_weights, value, strlen(value), err);
}

static enum weir_status add_breaker(struct options *options, const char *value,
                                    struct weir_error *err)
{
    options->breakers_given = true;
    if (strcmp(value, "none") == 0)
        return WEIR_OK;
    if (options->breakers.count == WEIR_DRY_BREAKERS_MAX)
        return err_set(err, WEIR_ERR_ARGUMENT, "given more than %d times", WEIR_DRY_BREAKERS_MAX);
    return add_unescaped(&options->breakers, value, err);
}

static enum weir_status add_bias(struct options *options, const char *value, struct weir_error *err)
{
    char id_text[16] = "";
    int64_t id;
    double bias = -INFINITY;
    const size_t digits = strspn(value, "0123456789");
    const char *rest = value + digits;
    if (digits > 0 && digits < sizeof id_text)
        memcpy(id_text, value, digits);
    const bool has_id = number_read_integer(id_text, &id) && id <= INT32_MAX;
    const bool has_bias = (*rest == '+' || *rest == '-') &&
                          (strcmp(rest, "-inf") == 0 || number_read_real(rest, &bias));
    if (!has_id || !has_bias)
        return err_set(err, WEIR_ERR_ARGUMENT, "'%s' is not a token id, a sign and a number",
                       value);
    struct bias_list *list = &options->biases;
    const enum weir_status status =
        mem_grow(&list->items, &list->capacity, list->count + 1, sizeof *list->items, err);
    if (status == WEIR_OK)
        list->items[list->count++] =
            (struct weir_logit_bias){.id = (int32_t)id, .bias = (float)bias};
    return status;
}

static enum weir_status set_chain(struct options *options, const char *value,
                                  struct weir_error *err)
{
    return weir_sampler_chain_parse(&options->sampler, value, err);
}

static enum weir_status set_seed(struct options *options, const char *value, struct weir_error *err)
{
    int64_t seed;
    if (!number_read_integer(value, &seed) || seed < -1)
        return err_set(err, WEIR_ERR_ARGUMENT, "'%s' is not a number from -1 up", value);
    options->sampler.seed = seed == -1 || seed == UINT32_MAX ? WEIR_SEED_RANDOM : (uint64_t)seed;
    return WEIR_OK;
}

/* How many are too many is for the library to say. */
static enum weir_status set_threads(struct options *options, const char *value,
                                    struct weir_error *err)
{
    int64_t threads;
    if (!number_read_integer(value, &threads) || threads < -1 || threads > INT32_MAX)
        return err_set(err, WEIR_ERR_ARGUMENT, "'%s' is not a whole number from -1 to %d", value,
                       INT32_MAX);
    options->engine.threads = threads < 0 ? 0 : (uint32_t)threads;
    return WEIR_OK;
}

/* Replaces what the environment, or a flag before, has said. */
static enum weir_status set_thread_list(struct options *options, const char *value,
                                        struct weir_error *err)
{
    struct number_list *threads = &options->profile.threads;
    threads->count = 0;
    if (strcmp(value, "-1") == 0)
        return number_list_add(threads, 0, err);
    return number_list_read(threads, value, 1, INT32_MAX, err);
}

static void allow_cpu(struct options *options, uint32_t cpu)
{
    options->engine.cpus[cpu / 64] |= UINT64_C(1) << cpu % 64;
}

static int digit_value(char digit)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = digit == 0 ? NULL : strchr(digits, digit | 0x20);
    return at == NULL ? -1 : (int)(at - digits);
}

/* Hexadecimal, the lowest bit processor 0. */
static enum weir_status add_cpu_mask(struct options *options, const char *value,
                                     struct weir_error *err)
{
    const char *digits = strncmp(value, "0x", 2) == 0 ? value + 2 : value;
    const size_t count = strlen(digits);
    bool is_valid = count <= WEIR_CPUS_MAX / 4 && strspn(digits, "0") < count;
    for (size_t i = 0; i < count && is_valid; i++)
        is_valid = digit_value(digits[i]) >= 0;
    if (!is_valid)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "'%s' is not a hexadecimal number of up to %d bits that are not all 0",
                       value, WEIR_CPUS_MAX);
    for (uint32_t cpu = 0; cpu < 4 * count; cpu++) {
        if (digit_value(digits[count - 1 - cpu / 4]) >> cpu % 4 & 1)
            allow_cpu(options, cpu);
    }
    return WEIR_OK;
}

static enum weir_status add_cpu_range(struct options *options, const char *value,
                                      struct weir_error *err)
{
    unsigned first = 0, last = 0;
    int used = 0;
    const bool is_plain = strspn(value, "0123456789-") == strlen(value) && value[0] != '-' &&
                          strlen(value) <= 9 && sscanf(value, "%u-%u%n", &first, &last, &used) == 2;
    if (!is_plain || value[used] != 0 || first > last || last >= WEIR_CPUS_MAX)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "'%s' is not FIRST-LAST, two numbers of processors below %d", value,
                       WEIR_CPUS_MAX);
    for (uint32_t cpu = first; cpu <= last; cpu++)
        allow_cpu(options, cpu);
    return WEIR_OK;
}

static enum weir_status set_load_mode(struct options *options, const char *value,
                                      struct weir_error *err)
{
    static const struct {
        const char *name;
        enum weir_load load;
        bool lock;
    } modes[] = {
        {"none", WEIR_LOAD_READ, false},
        {"mmap", WEIR_LOAD_MAP, false},
        {"mlock", WEIR_LOAD_READ, true},
        {"mmap+mlock", WEIR_LOAD_MAP, true},
    };
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (strcmp(modes[i].name, value) == 0) {
            options->engine.load = modes[i].load;
            options->engine.lock = modes[i].lock;
            return WEIR_OK;
        }
    }
    return err_set(err, WEIR_ERR_ARGUMENT, "'%s' is not one of none|mmap|mlock|mmap+mlock", value);
}

/* "300M" or "2G", units of a thousand as llama-gguf-split has them. */
static enum weir_status set_split_size(struct options *options, const char *value,
                                       struct weir_error *err)
{
    char number[16] = "";
    int64_t units;
    const size_t digits = strspn(value, "0123456789");
    const bool is_whole = strcmp(value + digits, "M") == 0 || strcmp(value + digits, "G") == 0;
    if (is_whole && digits < sizeof number)
        memcpy(number, value, digits);
    if (!number_read_integer(number, &units) || units < 1 || units > INT32_MAX)
        return err_set(err, WEIR_ERR_ARGUMENT, "'%s' is not a number from 1 to %d and M or G",
                       value, INT32_MAX);
    options->split.bytes_max = (uint64_t)units * (value[digits] == 'M' ? 1000000 : 1000000000);
    return WEIR_OK;
}

/* "4096", "4096M" or "4G", in binary units. */
static enum weir_status set_cache_size(struct options *options, const char *value,
                                       struct weir_error *err)
{
    char number[16] = "";
    int64_t units = 0;
    const size_t digits = strspn(value, "0123456789");
    if (digits < sizeof number && value[digits + (value[digits] != 0)] == 0)
        memcpy(number, value, digits);
    if (strchr("MG", value[digits]) == NULL || !number_read_integer(number, &units) || units < 1 ||
        units > INT32_MAX)
        return err_set(err, WEIR_ERR_ARGUMENT, "'%s' is not a number of MiB, as 4096, 4096M or 4G",
                       value);
    options->cache_bytes = (uint64_t)units << (value[digits] == 'G' ? 30 : 20);
    return WEIR_OK;
}

/* MiB of memory; -1 is all that is free. */
static enum weir_status set_cache_ram(struct options *options, const char *value,
                                      struct weir_error *err)
{
    int64_t units;
    if (!number_read_integer(value, &units) || units < -1 || units > INT32_MAX)
        return err_set(err, WEIR_ERR_ARGUMENT, "'%s' is not a whole number from -1 to %d", value,
                       INT32_MAX);
    options->serve.cache_ram = units < 0 ? UINT64_MAX : (uint64_t)units << 20;
    return WEIR_OK;
}

/* Three octal digits, as chmod takes them, with a zero before them or not. */
static enum weir_status set_socket_mode(struct options *options, const char *value,
                                        struct weir_error *err)
{
    const size_t length = strlen(value), digits = strspn(value, "01234567");
    const long mode = strtol(value, NULL, 8);
    if (length < 3 || length > 4 || digits != length || mode > 0777)
        return err_set(err, WEIR_ERR_ARGUMENT, "'%s' is not a mode as 0660", value);
    options->serve.socket_mode = (int32_t)mode;
    return WEIR_OK;
}

/* "410", "410GB/s" or "3.35TB/s". */
static enum weir_status set_bandwidth(struct options *options, const char *value,
                                      struct weir_error *err)
{
    static const struct {
        const char *unit;
        double gigabytes;
    } units[] = {{"", 1}, {"GB/s", 1}, {"TB/s", 1000}};
    char number[32] = "";
    double rate = 0;
    const size_t length = strspn(value, "0123456789.");
    if (length < sizeof number)
        memcpy(number, value, length);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(value + length, units[i].unit) == 0 && number_read_real(number, &rate))
            rate *= units[i].gigabytes;
    }
    if (rate < 0.001 || rate > 1e6)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "'%s' is not a number of GB/s, as 410, 410GB/s or 3.35TB/s", value);
    options->profile.bandwidth = rate;
    return WEIR_OK;
}

static enum weir_status add_diff(struct options *options, const char *value, struct weir_error *err)
{
    if (value[0] == 0)
        return err_set(err, WEIR_ERR_ARGUMENT, "the name of the file is empty");
    if (options->profile.diff.count == 2)
        return err_set(err, WEIR_ERR_ARGUMENT, "compares two files, and may be given once");
    return text_list_add(&options->profile.diff, value, strlen(value), err);
}

static enum weir_status add_model(struct options *options, const char *value,
                                  struct weir_error *err)
{
    if (value[0] == 0)
        return err_set(err, WEIR_ERR_ARGUMENT, "the name of the file is empty");
    return text_list_add(&options->bench.models, value, strlen(value), err);
}

/* "512,128": a prompt and a generation. */
static enum weir_status add_pair(struct options *options, const char *value, struct weir_error *err)
{
    struct number_list pair = {0};
    const bool is_list = number_list_read(&pair, value, 0, INT32_MAX, NULL) == WEIR_OK;
    const bool is_pair = is_list && pair.count == 2 && strchr(value, '-') == NULL &&
                         pair.items[0] + pair.items[1] > 0;
    enum weir_status status;
    if (is_pair) {
        TRY(number_list_add(&options->bench.pairs, pair.items[0], err));
        TRY(number_list_add(&options->bench.pairs, pair.items[1], err));
    } else {
        status = err_set(err, WEIR_ERR_ARGUMENT,
                         "'%s' is not a pair of numbers that are not both 0, as 512,128", value);
    }
out:
    mem_free(pair.items);
    return status;
}

static enum weir_status set_rope_frequency_scale(struct options *options, const char *value,
                                                 struct weir_error *err)
{
    double scale;
    if (!number_read_real(value, &scale) || scale < 1e-6 || scale > 1e6)
        return err_set(err, WEIR_ERR_ARGUMENT, "'%s' is not a number from 1e-06 to 1e+06", value);
    options->engine.rope_factor = (float)(1 / scale);
    return WEIR_OK;
}

/* ---- the table ------------------------------------------------------------------------------- */

enum {
    RUN = COMMAND_RUN,
    CHAT = COMMAND_CHAT,
    INSPECT = COMMAND_INSPECT,
    TOKENIZE = COMMAND_TOKENIZE,
    SYNTH = COMMAND_SYNTH,
    EVAL = COMMAND_EVAL,
    IMATRIX = COMMAND_IMATRIX,
    SPLIT = COMMAND_SPLIT,
    MERGE = COMMAND_MERGE,
    CONVERT = COMMAND_CONVERT,
    QUANTIZE = COMMAND_QUANTIZE,
    BENCH = COMMAND_BENCH,
    PROFILE = COMMAND_PROFILE,
    TEMPLATE = COMMAND_TEMPLATE,
    SERVE = COMMAND_SERVE,
    GENERATE = RUN | CHAT,
    SAMPLE = GENERATE | SERVE,
    ENGINE = SAMPLE | INSPECT | EVAL | IMATRIX, /* with the flags of llama.cpp */
    ENGINES = ENGINE | PROFILE,
    MODEL = ENGINE | TOKENIZE,
    ALL = MODEL | PROFILE | SYNTH | SPLIT | MERGE | QUANTIZE | CONVERT | BENCH | TEMPLATE,
};

#define FIELD(field)                                                                               \
    .offset = offsetof(struct options, field), .size = sizeof(((struct options *)0)->field)
#define ROW(k, n, v, c, e, h, ...)                                                                 \
    {.kind = k, .names = n, .value = v, .commands = c, .env = e, .help = h, __VA_ARGS__},

#define SECTION(title) ROW(FLAG_SECTION, "", NULL, 0, NULL, title, .size = 0)
#define SWITCH(n, c, e, f, on, off, h)                                                             \
    ROW(FLAG_SWITCH, n, NULL, c, e, h, FIELD(f), .low = on, .high = off)
#define INTEGER(n, v, c, e, f, lowest, highest, h)                                                 \
    ROW(FLAG_INTEGER, n, v, c, e, h, FIELD(f), .low = lowest, .high = highest)
#define REAL(n, v, c, e, f, lowest, highest, h)                                                    \
    ROW(FLAG_REAL, n, v, c, e, h, FIELD(f), .low = lowest, .high = highest)
#define TEXT(n, v, c, e, f, h)          ROW(FLAG_TEXT, n, v, c, e, h, FIELD(f))
#define CHOICE(n, v, c, e, f, first, h) ROW(FLAG_CHOICE, n, v, c, e, h, FIELD(f), .low = first)
#define LIST(n, v, c, f, lowest, highest, h)                                                       \
    ROW(FLAG_LIST, n, v, c, NULL, h, FIELD(f), .low = lowest, .high = highest)
#define CALL(n, v, c, e, f, function, h) ROW(FLAG_CALL, n, v, c, e, h, FIELD(f), .call = function)
#define IGNORED(n, v, c, h)              ROW(FLAG_IGNORED, n, v, c, NULL, h, .size = 0)
#define REFUSED(n, v, c, h)              ROW(FLAG_REFUSED, n, v, c, NULL, h, .size = 0)

const struct flag flag_table[] = {
#include "app/flags.def"
};
const uint32_t flag_count = sizeof flag_table / sizeof flag_table[0];

/* ---- words ----------------------------------------------------------------------------------- */

/* Compares one spelling with a word; "--top_k" is also "--top-k". */
static bool name_equals(const char *name, size_t name_length, const char *word, size_t word_length)
{
    if (name_length != word_length)
        return false;
    const bool is_long = word_length > 2 && word[0] == '-' && word[1] == '-';
    for (size_t i = 0; i < word_length; i++) {
        const char c = is_long && word[i] == '_' ? '-' : word[i];
        if (c != name[i])
            return false;
    }
    return true;
}

static bool flag_has_name(const struct flag *flag, const char *word, size_t length)
{
    const char *name = flag->names;
    while (*name != 0) {
        const size_t name_length = strcspn(name, ",");
        if (name_equals(name, name_length, word, length))
            return true;
        name += name_length;
        name += strspn(name, ", ");
    }
    return false;
}

static const struct flag *flag_find(enum command_id command, const char *word, size_t length)
{
    for (uint32_t i = 0; i < flag_count; i++) {
        if ((flag_table[i].commands & command) && flag_has_name(&flag_table[i], word, length))
            return &flag_table[i];
    }
    return NULL;
}

/* What is not set is often written as an empty variable. But a list that is empty says something:
 * there is no key, no page may ask. */
static bool is_unset(const struct flag *flag, const char *value)
{
    const bool is_list = flag->kind == FLAG_TEXT &&
                         (strcmp(flag->value, "LIST") == 0 || strstr(flag->value, ",...") != NULL);
    return value == NULL || (value[0] == 0 && !is_list);
}

static enum weir_status parse_environment(struct options *options, enum command_id command,
                                          enum given *given, struct weir_error *err)
{
    static const char negative[] = "LLAMA_ARG_NO_";
    for (uint32_t i = 0; i < flag_count; i++) {
        const struct flag *flag = &flag_table[i];
        const bool known = flag->env != NULL && (flag->commands & command) != 0;
        const char *value = known ? getenv(flag->env) : NULL;
        if (is_unset(flag, value))
            continue;
        if (strncmp(flag->env, negative, sizeof negative - 1) == 0)
            value = NULL;
        const enum weir_status status = flag_apply(options, flag, flag->env, value, err);
        if (status != WEIR_OK)
            return status;
        given[i] = GIVEN_BY_ENVIRONMENT;
    }
    return WEIR_OK;
}

struct words {
    char **next;
    char **end;
};

/* Reads the flag `word`, and its value from the same or the next word. */
static enum weir_status parse_flag(struct options *options, enum command_id command,
                                   const char *word, struct words *words, enum given *given,
                                   struct weir_error *err)
{
    const char *value = NULL;
    size_t name_length = strlen(word);
    const struct flag *flag = flag_find(command, word, name_length);
    const char *equals = strchr(word, '=');
    if (flag == NULL && equals != NULL) {
        name_length = (size_t)(equals - word);
        flag = flag_find(command, word, name_length);
        value = equals + 1;
    }
    if (flag == NULL)
        return err_set(err, WEIR_ERR_ARGUMENT, "invalid argument: %s", word);
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)name_length, word);
    if (flag->value == NULL && value != NULL && flag->kind != FLAG_SWITCH)
        return err_set(err, WEIR_ERR_ARGUMENT, "%s: takes no value", name);
    const bool needs_value = flag->value != NULL && value == NULL && flag->kind != FLAG_REFUSED;
    if (needs_value && words->next == words->end)
        return err_set(err, WEIR_ERR_ARGUMENT, "%s: needs a value: %s", name, flag->value);
    if (needs_value)
        value = *words->next++;
    given[flag - flag_table] = GIVEN_BY_WORD;
    const enum weir_status status = flag_apply(options, flag, name, value, err);
    if (status != WEIR_OK || flag->value == NULL || strchr(flag->value, ' ') == NULL)
        return status;
    if (words->next == words->end) /* a placeholder of two words: two values */
        return err_set(err, WEIR_ERR_ARGUMENT, "%s: needs two values: %s", name, flag->value);
    return flag_apply(options, flag, name, *words->next++, err);
}

/* The text that the flag has set, or the environment for it; NULL if there is none. */
static const char *text_of(const struct options *options, const struct flag *flag)
{
    const char *text = NULL;
    if (flag->kind == FLAG_TEXT)
        memcpy(&text, (const uint8_t *)options + flag->offset, sizeof text);
    return text;
}

/* The words that stand without a flag, each in the place of the flag that it belongs to. */
struct bare {
    const struct flag *flag[BARE_MAX];
    const char *inherited[BARE_MAX]; /* what the environment says, which a word overrules */
    const char *word[BARE_MAX];
    uint32_t places, count;
};

static enum weir_status bare_add(struct bare *bare, const char *word, struct weir_error *err)
{
    if (word[0] == 0)
        return err_set(err, WEIR_ERR_ARGUMENT, "an argument is empty");
    if (bare->count == bare->places && bare->places == 1)
        return err_set(err, WEIR_ERR_ARGUMENT, "%s may be given once, not as %s and %s",
                       bare->flag[0]->names, bare->word[0], word);
    if (bare->count == bare->places)
        return err_set(err, WEIR_ERR_ARGUMENT, "invalid argument: %s", word);
    bare->word[bare->count++] = word;
    return WEIR_OK;
}

static enum weir_status bare_apply(const struct bare *bare, struct options *options,
                                   enum given *given, struct weir_error *err)
{
    for (uint32_t i = 0; i < bare->count; i++) {
        const struct flag *flag = bare->flag[i];
        const char *already = text_of(options, flag);
        if (already != bare->inherited[i])
            return err_set(err, WEIR_ERR_ARGUMENT, "%s may be given once, not as %s and %s",
                           flag->names, already, bare->word[i]);
        given[flag - flag_table] = GIVEN_BY_WORD;
        const enum weir_status status = flag_apply(options, flag, flag->names, bare->word[i], err);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

enum weir_status args_parse(struct options *options, enum command_id command,
                            const char *const *bare_flags, int argc, char **argv, enum given *given,
                            struct weir_error *err)
{
    enum weir_status status = parse_environment(options, command, given, err);
    struct words words = {.next = argv, .end = argv + argc};
    struct bare bare = {.places = 0};
    for (; bare.places < BARE_MAX && bare_flags[bare.places] != NULL; bare.places++) {
        const char *name = bare_flags[bare.places];
        bare.flag[bare.places] = flag_find(command, name, strlen(name));
        bare.inherited[bare.places] = text_of(options, bare.flag[bare.places]);
    }
    while (status == WEIR_OK && words.next < words.end) {
        const char *word = *words.next++;
        if (word[0] == '-' && word[1] != 0)
            status = parse_flag(options, command, word, &words, given, err);
        else
            status = bare_add(&bare, word, err);
    }
    return status == WEIR_OK ? bare_apply(&bare, options, given, err) : status;
}

enum given args_given(const enum given *given, enum command_id command, const char *name)
{
    const struct flag *flag = flag_find(command, name, strlen(name));
    return flag == NULL ? GIVEN_NOT : given[flag - flag_table];
}

enum weir_status args_set(struct options *options, enum command_id command, const char *name,
                          const char *source, const char *value, struct weir_error *err)
{
    const struct flag *flag = flag_find(command, name, strlen(name));
    assert(flag != NULL && flag->value != NULL);
    return flag_apply(options, flag, source, value, err);
}
