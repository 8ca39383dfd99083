/* SPDX-License-Identifier: MIT
 * Applies the rows of recipes.def. Knows how rules are looked up, and no mixture. */
#include "quant/recipe.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

/* ---- the tables ------------------------------------------------------------------------------ */

enum kind {
#define KIND(id, where, text) KIND_##id,
#include "quant/recipes.def"
    KIND_COUNT
};

/* Sets of kinds: of one, and those that rules name. */
enum {
#define KIND(id, where, text) id = 1 << KIND_##id,
#include "quant/recipes.def"
    ALL = (1 << KIND_COUNT) - 1,
    VALUE_FULL = V | KV_B,
    VALUE = VALUE_FULL | QKV,
    KEY = K,
    QUERY = Q,
    OUT = O,
    FF_UP = UP | UP_SHARED,
    FF_GATE = GATE | GATE_SHARED,
    FF_DOWN = DOWN | DOWN_SHARED,
    SHARED = UP_SHARED | GATE_SHARED | DOWN_SHARED,
    MIXER_IN = QKV | Z | Q,
    SSM_GATES = SSM_ALPHA | SSM_BETA | SSM_BA,
};

enum { IS, HAS };

static const struct {
    int where;
    const char *text;
} kinds[] = {
#define KIND(id, where, text) {where, text},
#include "quant/recipes.def"
};

enum condition {
#define CONDITION(id, text) CONDITION_##id,
#include "quant/recipes.def"
    CONDITION_COUNT
};

/* Sets of conditions. */
enum {
#define CONDITION(id, text) id = 1 << CONDITION_##id,
#include "quant/recipes.def"
    ALWAYS = 0,
};

static const char *const condition_texts[] = {
#define CONDITION(id, text) text,
#include "quant/recipes.def"
};

static const char *const excluded[] = {
#define EXCLUDED(text) text,
#include "quant/recipes.def"
};

enum recipe_id {
#define RECIPE(id, file_type, type, summary) RECIPE_##id,
#include "quant/recipes.def"
    RECIPE_COUNT
};

static const struct recipe recipes[] = {
#define RECIPE(id, file_type, type, summary) {#id, file_type, DTYPE_##type, summary},
#include "quant/recipes.def"
};

static const struct alias {
    const char *name;
    enum recipe_id id;
} aliases[] = {
#define ALIAS(name, id) {name, RECIPE_##id},
#include "quant/recipes.def"
};

_Static_assert(RECIPE_COUNT <= 64, "sets of recipes have 64 bits");

/* Sets of recipes. */
#define R(id) (UINT64_C(1) << RECIPE_##id)
#define ANY   UINT64_MAX

/* The recipe's own type, in a rule. */
#define DTYPE_DEFAULT DTYPE_COUNT

static const struct rule {
    uint64_t recipes;
    uint32_t kinds, conditions;
    enum dtype dtype;
} rules[] = {
#define RULE(recipes, kinds, conditions, type) {recipes, kinds, conditions, DTYPE_##type},
#include "quant/recipes.def"
};

static const struct {
    enum dtype dtype, other;
} fallbacks[] = {
#define FALLBACK(type, other) {DTYPE_##type, DTYPE_##other},
#include "quant/recipes.def"
};

static const struct {
    enum recipe_id id, other;
} budgets[] = {
#define BUDGET(recipe, other) {RECIPE_##recipe, RECIPE_##other},
#include "quant/recipes.def"
};

static const struct raise {
    uint64_t recipes;
    uint32_t kinds;
    enum dtype dtype;
} raises[] = {
#define RAISE(recipe, kinds, type) {R(recipe), kinds, DTYPE_##type},
#include "quant/recipes.def"
};

static const struct {
    uint64_t recipes;
    enum dtype dtype;
} importances[] = {
#define IMPORTANCE(recipes, type) {recipes, DTYPE_##type},
#include "quant/recipes.def"
};

#define LENGTH(table) (sizeof(table) / sizeof *(table))

static uint64_t recipe_bit(const struct recipe *recipe)
{
    return UINT64_C(1) << (recipe - recipes);
}

/* The recipe whose bytes are the limit, or NULL. */
static const struct recipe *recipe_budget(const struct recipe *recipe)
{
    for (size_t i = 0; i < LENGTH(budgets); i++) {
        if (&recipes[budgets[i].id] == recipe)
            return &recipes[budgets[i].other];
    }
    return NULL;
}

const struct recipe *recipe_list(size_t *count)
{
    *count = RECIPE_COUNT;
    return recipes;
}

static const struct alias *alias_find(const char *name)
{
    for (size_t i = 0; i < LENGTH(aliases); i++) {
        if (strcasecmp(aliases[i].name, name) == 0)
            return &aliases[i];
    }
    return NULL;
}

const struct recipe *recipe_find(const char *name)
{
    const struct alias *alias = alias_find(name);
    if (alias != NULL)
        return &recipes[alias->id];
    for (size_t i = 0; i < RECIPE_COUNT; i++) {
        char number[24];
        snprintf(number, sizeof number, "%lld", (long long)recipes[i].file_type);
        const bool is_number = recipes[i].file_type >= 0 && strcmp(number, name) == 0;
        if (is_number || strcasecmp(recipes[i].name, name) == 0)
            return &recipes[i];
    }
    return NULL;
}

const struct weir_quantize_type *weir_quantize_types(void)
{
    static const struct weir_quantize_type types[] = {
#define RECIPE(id, file_type, type, summary) {#id, summary},
#include "quant/recipes.def"
        {NULL, NULL},
    };
    return types;
}

const char *weir_quantize_type_name(const char *word)
{
    const struct alias *alias = alias_find(word);
    const struct recipe *recipe = recipe_find(word);
    return alias != NULL ? alias->name : recipe != NULL ? recipe->name : NULL;
}

/* ---- tensors --------------------------------------------------------------------------------- */

/* gguf.md 4.2. */
static bool tensor_eligible(const struct gguf_tensor *tensor)
{
    static const char ending[] = "weight";
    const size_t length = strlen(tensor->name), ending_length = sizeof ending - 1;
    const bool is_matrix = tensor->ne[1] > 1 || tensor->ne[2] > 1 || tensor->ne[3] > 1;
    if (!is_matrix || length < ending_length ||
        strcmp(tensor->name + length - ending_length, ending) != 0)
        return false;
    for (size_t i = 0; i < LENGTH(excluded); i++) {
        if (strstr(tensor->name, excluded[i]) != NULL)
            return false;
    }
    return true;
}

static enum kind kind_of(const char *name)
{
    enum kind kind = KIND_HEAD;
    while (kinds[kind].where == IS ? strcmp(name, kinds[kind].text) != 0
                                   : strstr(name, kinds[kind].text) == NULL)
        kind++;
    return kind;
}

static int32_t layer_of(const char *name)
{
    static const char prefix[] = "blk.";
    const char *digits = name + sizeof prefix - 1;
    if (strncmp(name, prefix, sizeof prefix - 1) != 0)
        return -1;
    const size_t length = strspn(digits, "0123456789");
    return length > 0 && length < 9 && digits[length] == '.' ? (int32_t)strtol(digits, NULL, 10)
                                                             : -1;
}

static int compare_items(const void *a, const void *b)
{
    const struct recipe_item *first = a, *second = b;
    if (first->layer != second->layer)
        return first->layer < second->layer ? -1 : 1;
    return strcmp(first->tensor->name, second->tensor->name);
}

void recipe_items(struct recipe_item *items, const struct gguf_tensor *tensors, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        items[i] = (struct recipe_item){
            .tensor = &tensors[i],
            .dtype = tensors[i].dtype,
            .stays = !tensor_eligible(&tensors[i]),
            .kind = (uint8_t)kind_of(tensors[i].name),
            .layer = layer_of(tensors[i].name),
        };
    qsort(items, (size_t)count, sizeof *items, compare_items);
}

/* Without an output.weight, the embedding is the head. */
static void kinds_tie(struct recipe_item *items, uint64_t count)
{
    bool has_head = false;
    for (uint64_t i = 0; i < count; i++)
        has_head |= items[i].kind == KIND_HEAD;
    for (uint64_t i = 0; i < count; i++) {
        if (items[i].kind == KIND_EMBEDDING && !has_head)
            items[i].kind = KIND_HEAD;
    }
}

static bool item_is(const struct recipe_item *item, uint32_t set)
{
    return (UINT32_C(1) << item->kind & set) != 0;
}

/* ---- conditions ------------------------------------------------------------------------------ */

/* A choice on its way through the tensors. */
struct chooser {
    const struct recipe_request *request;
    const struct recipe *recipe;
    uint32_t values;                                        /* tensors of VALUE in the model */
    uint32_t values_seen, downs_seen, ups_seen, gates_seen; /* chosen by rules so far */
};

/* Layers that a mixture gives more bits: the outer eighths, and every third between. */
static bool layer_more(int64_t i, int64_t n)
{
    return i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2;
}

/* The number that conditions on layers ask for: among the tensors of VALUE; of a layer of a model
 * with experts, which has several of a kind; else among its kind, which is the layer too. */
static int64_t item_number(const struct chooser *chooser, const struct recipe_item *item)
{
    if (item_is(item, VALUE))
        return chooser->values_seen;
    if (chooser->request->experts > 1)
        return item->layer;
    return item_is(item, FF_DOWN) ? chooser->downs_seen
           : item_is(item, FF_UP) ? chooser->ups_seen
                                  : chooser->gates_seen;
}

static uint32_t conditions_of(const struct chooser *chooser, const struct recipe_item *item)
{
    const struct recipe_request *request = chooser->request;
    const int64_t n = request->blocks, i = item_number(chooser, item);
    const int64_t more_of = item_is(item, VALUE) ? chooser->values : n;
    const uint32_t block = dtype_info(chooser->recipe->dtype)->block;
    const bool holds[CONDITION_COUNT] = {
        [CONDITION_GQA_4] = request->gqa >= 4,
        [CONDITION_EXPERTS_4] = request->experts >= 4,
        [CONDITION_EXPERTS_8] = request->experts == 8,
        [CONDITION_EXPERTS_NOT_8] = request->experts != 8,
        [CONDITION_MORE] = layer_more(i, more_of),
        [CONDITION_EIGHTH] = i < n / 8,
        [CONDITION_SIXTEENTH] = i < n / 16,
        [CONDITION_MIDDLE] = i >= n / 8 && i < 7 * n / 8,
        [CONDITION_COUNT_EIGHTH] = chooser->downs_seen < n / 8,
        [CONDITION_FIRST_2] = i < 2,
        [CONDITION_FIRST_4] = (i < 4),
        [CONDITION_IMATRIX] = request->imatrix,
        [CONDITION_NO_IMATRIX] = !request->imatrix,
        [CONDITION_STACKED] = (item->tensor->ne[2] > 1),
        [CONDITION_MISFIT] = item->tensor->ne[0] % block != 0,
    };
    uint32_t set = 0;
    for (uint32_t condition = 0; condition < CONDITION_COUNT; condition++)
        set |= (uint32_t)holds[condition] << condition;
    return set;
}

static enum dtype choose_by_rules(struct chooser *chooser, const struct recipe_item *item)
{
    const uint32_t conditions = conditions_of(chooser, item);
    const uint64_t bit = recipe_bit(chooser->recipe);
    enum dtype dtype = DTYPE_DEFAULT;
    for (size_t i = 0; i < LENGTH(rules); i++) {
        const struct rule *rule = &rules[i];
        if ((rule->recipes & bit) != 0 && item_is(item, rule->kinds) &&
            (rule->conditions & ~conditions) == 0) {
            dtype = rule->dtype;
            break;
        }
    }
    chooser->values_seen += item_is(item, VALUE);
    chooser->downs_seen += item_is(item, FF_DOWN);
    chooser->ups_seen += item_is(item, FF_UP);
    chooser->gates_seen += item_is(item, FF_GATE);
    return dtype == DTYPE_DEFAULT ? chooser->recipe->dtype : dtype;
}

/* ---- choices --------------------------------------------------------------------------------- */

static bool dtype_fits(enum dtype dtype, const struct gguf_tensor *tensor)
{
    return tensor->ne[0] % dtype_info(dtype)->block == 0;
}

/* The type that stands in for one that does not fit; DTYPE_COUNT: none does. */
static enum dtype dtype_fitting(enum dtype dtype, const struct gguf_tensor *tensor)
{
    if (dtype_fits(dtype, tensor))
        return dtype;
    for (size_t i = 0; i < LENGTH(fallbacks); i++) {
        if (fallbacks[i].dtype == dtype)
            return dtype_fits(fallbacks[i].other, tensor) ? fallbacks[i].other : DTYPE_F16;
    }
    return DTYPE_COUNT;
}

static enum weir_status item_refuse(const struct recipe_item *item, enum dtype dtype,
                                    struct weir_error *err)
{
    const struct dtype_info *info = dtype_info(dtype);
    return err_set(err, WEIR_ERR_UNSUPPORTED,
                   "tensor %s: rows of %llu elements are not a multiple of the block of %s, %u",
                   item->tensor->name, (unsigned long long)item->tensor->ne[0], info->name,
                   info->block);
}

static bool recipe_is_float(const struct recipe *recipe)
{
    return dtype_info(recipe->dtype)->family == DTYPE_FAMILY_FLOAT;
}

/* The type that an option names for this very tensor; DTYPE_COUNT: none does. */
static enum dtype option_type(const struct recipe_request *request, const struct recipe_item *item)
{
    const bool is_embedding = strcmp(item->tensor->name, "token_embd.weight") == 0;
    if (is_embedding && request->embedding_type != DTYPE_COUNT)
        return request->embedding_type;
    return item->kind == KIND_HEAD ? request->output_type : DTYPE_COUNT;
}

static enum dtype override_type(const struct recipe_request *request,
                                const struct recipe_item *item)
{
    if (request->pure || recipe_is_float(request->recipe))
        return DTYPE_COUNT;
    for (uint64_t i = 0; i < request->overrides_count; i++) {
        if (regexec(&request->overrides[i].pattern, item->tensor->name, 0, NULL, 0) == 0)
            return request->overrides[i].dtype;
    }
    return DTYPE_COUNT;
}

static enum weir_status item_choose(struct chooser *chooser, struct recipe_item *item,
                                    struct weir_error *err)
{
    const struct recipe_request *request = chooser->request;
    enum dtype wanted = option_type(request, item);
    if (wanted != DTYPE_COUNT) {
        item->dtype = wanted;
        return dtype_fits(wanted, item->tensor) ? WEIR_OK : item_refuse(item, wanted, err);
    }
    wanted = override_type(request, item);
    if (wanted == DTYPE_COUNT && (request->pure || recipe_is_float(chooser->recipe))) {
        wanted = chooser->recipe->dtype;
    } else if (wanted == DTYPE_COUNT) {
        wanted = choose_by_rules(chooser, item);
        item->by_rule = true;
    }
    item->dtype = dtype_fitting(wanted, item->tensor);
    item->replaced = item->dtype != wanted;
    return item->dtype == DTYPE_COUNT ? item_refuse(item, wanted, err) : WEIR_OK;
}

static enum weir_status choose_all(const struct recipe_request *request,
                                   const struct recipe *recipe, struct recipe_item *items,
                                   uint64_t count, struct weir_error *err)
{
    struct chooser chooser = {.request = request, .recipe = recipe};
    for (uint64_t i = 0; i < count; i++)
        chooser.values += item_is(&items[i], VALUE);
    for (uint64_t i = 0; i < count; i++) {
        if (items[i].stays)
            continue;
        const enum weir_status status = item_choose(&chooser, &items[i], err);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

/* ---- budgets --------------------------------------------------------------------------------- */

/* Bytes in a file, of a type that fits. The tensor lies in a file, as 1.125 bits an element or
 * more: the product is far from an overflow. */
static uint64_t item_bytes(const struct recipe_item *item, enum dtype dtype)
{
    const struct gguf_tensor *tensor = item->tensor;
    const uint64_t rows = tensor->ne[1] * tensor->ne[2] * tensor->ne[3];
    return size_align(dtype_row_bytes(dtype, tensor->ne[0]) * rows, 32);
}

static uint64_t items_bytes(const struct recipe_item *items, uint64_t count)
{
    uint64_t bytes = 0;
    for (uint64_t i = 0; i < count; i++)
        bytes += item_bytes(&items[i], items[i].dtype);
    return bytes;
}

/* Spends up to `*left` bytes on one tensor. */
static void item_raise(struct recipe_item *item, enum dtype wanted, uint64_t *left)
{
    const enum dtype dtype = dtype_fitting(wanted, item->tensor);
    if (dtype == DTYPE_COUNT)
        return;
    const uint64_t before = item_bytes(item, item->dtype), after = item_bytes(item, dtype);
    if (after <= before || after - before > *left)
        return;
    *left -= after - before;
    item->dtype = dtype;
    item->replaced = dtype != wanted;
}

static void raise_kinds(const struct raise *raise, const struct recipe_request *request,
                        struct recipe_item *items, uint64_t count, uint64_t *left)
{
    for (int turn = 0; turn < 2; turn++) {
        for (uint64_t i = 0; i < count; i++) {
            const bool is_first = layer_more(items[i].layer, request->blocks);
            if (items[i].by_rule && item_is(&items[i], raise->kinds) && is_first == (turn == 0))
                item_raise(&items[i], raise->dtype, left);
        }
    }
}

enum weir_status recipe_choose(const struct recipe_request *request, struct recipe_item *items,
                               uint64_t count, struct weir_error *err)
{
    const struct recipe *recipe = request->recipe, *limit = recipe_budget(recipe);
    uint64_t budget = 0;
    enum weir_status status = WEIR_OK;
    for (uint64_t i = 0; i < count; i++)
        items[i].stays |=
            recipe->dtype == DTYPE_COUNT || (request->keep_output && items[i].kind == KIND_HEAD);
    kinds_tie(items, count);
    if (recipe->dtype == DTYPE_COUNT)
        return WEIR_OK;
    if (limit != NULL) {
        TRY(choose_all(request, limit, items, count, err));
        budget = items_bytes(items, count);
    }
    TRY(choose_all(request, recipe, items, count, err));
    const uint64_t used = items_bytes(items, count);
    uint64_t left = budget > used ? budget - used : 0;
    for (size_t i = 0; i < LENGTH(raises); i++) {
        if ((raises[i].recipes & recipe_bit(recipe)) != 0)
            raise_kinds(&raises[i], request, items, count, &left);
    }
out:
    return status;
}

bool recipe_needs_importance(const struct recipe *recipe, const struct recipe_item *item)
{
    if (item_is(item, EMBEDDING | HEAD))
        return false;
    for (size_t i = 0; i < LENGTH(importances); i++) {
        if (importances[i].dtype == item->dtype &&
            (importances[i].recipes & recipe_bit(recipe)) != 0)
            return true;
    }
    return false;
}

/* ---- printing -------------------------------------------------------------------------------- */

/* "attn_v, attn_k", or what stands for all. */
static void print_set(struct printer printer, uint32_t set, const char *all)
{
    const char *separator = "";
    if (set == ALL) {
        print(printer, "%s", all);
        return;
    }
    for (uint32_t kind = 0; kind < KIND_COUNT; kind++) {
        if ((set & UINT32_C(1) << kind) == 0)
            continue;
        const char *text = kinds[kind].text, *ending = strstr(text, ".weight");
        const size_t length = ending != NULL ? (size_t)(ending - text) : strlen(text);
        print(printer, "%s%.*s", separator, (int)length, text);
        separator = ", ";
    }
}

static void print_conditions(struct printer printer, uint32_t conditions)
{
    const char *separator = ": ";
    for (uint32_t i = 0; i < CONDITION_COUNT; i++) {
        if ((conditions & UINT32_C(1) << i) == 0)
            continue;
        print(printer, "%s%s", separator, condition_texts[i]);
        separator = ", ";
    }
}

/* Of each rule only what those before leave to it. */
static void print_rules(const struct recipe *recipe, struct printer printer)
{
    uint32_t decided = 0;
    for (size_t i = 0; i < LENGTH(rules); i++) {
        const struct rule *rule = &rules[i];
        const uint32_t set = rule->kinds & ~decided;
        if ((rule->recipes & recipe_bit(recipe)) == 0 || set == 0)
            continue;
        if (rule->conditions == ALWAYS)
            decided |= set;
        const enum dtype dtype = rule->dtype == DTYPE_DEFAULT ? recipe->dtype : rule->dtype;
        print(printer, "  %-8s ", dtype_info(dtype)->name);
        print_set(printer, rule->kinds == ALL ? ALL : set, "all others");
        print_conditions(printer, rule->conditions);
        print(printer, "\n");
    }
    if (decided != ALL)
        print(printer, "  %-8s all others\n", dtype_info(recipe->dtype)->name);
}

static void print_raises(const struct recipe *recipe, struct printer printer)
{
    print(printer, "Then, from first to last, as far as the bytes of %s go:\n",
          recipe_budget(recipe)->name);
    for (size_t i = 0; i < LENGTH(raises); i++) {
        if ((raises[i].recipes & recipe_bit(recipe)) == 0)
            continue;
        print(printer, "  %-8s ", dtype_info(raises[i].dtype)->name);
        print_set(printer, raises[i].kinds, "all");
        print(printer, "\n");
    }
}

static void print_fallbacks(struct printer printer)
{
    print(printer, "Where rows are not a multiple of the block of a type:\n");
    for (size_t i = 0; i < LENGTH(fallbacks); i++)
        print(printer, "  %-8s in place of %s\n", dtype_info(fallbacks[i].other)->name,
              dtype_info(fallbacks[i].dtype)->name);
    print(printer, "  F16      where that does not fit either\n");
}

void recipe_print(const struct recipe *recipe, struct printer printer)
{
    const char *summary = recipe->summary + strspn(recipe->summary, " ");
    print(printer, "%s: %s\n", recipe->name, summary);
    if (recipe->dtype == DTYPE_COUNT)
        return;
    print(printer,
          "general.file_type %lld. Matrices, but for the router; the first line that fits:\n",
          (long long)recipe->file_type);
    if (recipe_is_float(recipe)) {
        print(printer, "  %-8s all\n", dtype_info(recipe->dtype)->name);
        return;
    }
    print_rules(recipe, printer);
    if (recipe_budget(recipe) != NULL)
        print_raises(recipe, printer);
    print_fallbacks(printer);
}
