/* SPDX-License-Identifier: MIT
 * Reads the value of a flag by its kind. Knows no flag by name, and not where values come from. */
#include "app/flag_value.h"

#include <string.h>

#include "app/number.h"
#include "base/err.h"

static void field_set_integer(struct options *options, const struct flag *flag, int64_t value)
{
    uint8_t *field = (uint8_t *)options + flag->offset;
    const int32_t value32 = (int32_t)value;
    if (flag->size == sizeof(bool))
        *(bool *)field = value != 0;
    else if (flag->size == sizeof value32)
        memcpy(field, &value32, sizeof value32);
    else
        memcpy(field, &value, sizeof value);
}

/* "on" and its like give 1, "off" and its like 0, anything else -1. */
static int read_yes_no(const char *text)
{
    static const char *const words[2][4] = {{"false", "0", "off", "disabled"},
                                            {"true", "1", "on", "enabled"}};
    for (int yes = 0; yes < 2; yes++) {
        for (int i = 0; i < 4; i++) {
            if (strcmp(text, words[yes][i]) == 0)
                return yes;
        }
    }
    return -1;
}

static enum weir_status set_switch(struct options *options, const struct flag *flag,
                                   const char *value, struct weir_error *err)
{
    const int yes = value == NULL ? 1 : read_yes_no(value);
    if (yes < 0)
        return err_set(err, WEIR_ERR_ARGUMENT, "'%s' is neither on nor off", value);
    field_set_integer(options, flag, (int64_t)(yes ? flag->low : flag->high));
    return WEIR_OK;
}

static enum weir_status set_integer(struct options *options, const struct flag *flag,
                                    const char *value, struct weir_error *err)
{
    int64_t number;
    const int64_t low = (int64_t)flag->low, high = (int64_t)flag->high;
    if (!number_read_integer(value, &number) || number < low || number > high)
        return err_set(err, WEIR_ERR_ARGUMENT, "'%s' is not a whole number from %lld to %lld",
                       value, (long long)low, (long long)high);
    field_set_integer(options, flag, number);
    return WEIR_OK;
}

static enum weir_status set_real(struct options *options, const struct flag *flag,
                                 const char *value, struct weir_error *err)
{
    double number;
    if (!number_read_real(value, &number) || number < flag->low || number > flag->high)
        return err_set(err, WEIR_ERR_ARGUMENT, "'%s' is not a number from %g to %g", value,
                       flag->low, flag->high);
    const float real = (float)number;
    memcpy((uint8_t *)options + flag->offset, &real, sizeof real);
    return WEIR_OK;
}

static enum weir_status set_choice(struct options *options, const struct flag *flag,
                                   const char *value, struct weir_error *err)
{
    const size_t length = strlen(value);
    int64_t index = 0;
    for (const char *word = flag->value; *word != 0; index++) {
        const size_t word_length = strcspn(word, "|");
        if (word_length == length && memcmp(word, value, length) == 0) {
            field_set_integer(options, flag, (int64_t)flag->low + index);
            return WEIR_OK;
        }
        word += word_length + (word[word_length] == '|');
    }
    return err_set(err, WEIR_ERR_ARGUMENT, "'%s' is not one of %s", value, flag->value);
}

static enum weir_status add_to_list(struct options *options, const struct flag *flag,
                                    const char *value, struct weir_error *err)
{
    struct number_list *list = (void *)((uint8_t *)options + flag->offset);
    const int64_t low = (int64_t)flag->low, high = (int64_t)flag->high;
    if (strchr(flag->value, '|') != NULL)
        return number_list_read_words(list, value, flag->value, low, err);
    return number_list_read(list, value, low, high, err);
}

static enum weir_status set_text(struct options *options, const struct flag *flag,
                                 const char *value, struct weir_error *err)
{
    const bool is_file = strcmp(flag->value, "FILE") == 0;
    const bool is_folder = strcmp(flag->value, "DIR") == 0;
    if ((is_file || is_folder) && value[0] == 0)
        return err_set(err, WEIR_ERR_ARGUMENT, "the name of the %s is empty",
                       is_file ? "file" : "folder");
    memcpy((uint8_t *)options + flag->offset, &value, sizeof value);
    return WEIR_OK;
}

static enum weir_status apply(struct options *options, const struct flag *flag, const char *value,
                              struct weir_error *err)
{
    switch (flag->kind) {
    case FLAG_SWITCH: return set_switch(options, flag, value, err);
    case FLAG_INTEGER: return set_integer(options, flag, value, err);
    case FLAG_REAL: return set_real(options, flag, value, err);
    case FLAG_CHOICE: return set_choice(options, flag, value, err);
    case FLAG_LIST: return add_to_list(options, flag, value, err);
    case FLAG_TEXT: return set_text(options, flag, value, err);
    case FLAG_CALL: return flag->call(options, value, err);
    case FLAG_REFUSED: return err_set(err, WEIR_ERR_UNSUPPORTED, "%s", flag->help);
    case FLAG_IGNORED:
    case FLAG_SECTION: break;
    }
    return WEIR_OK;
}

enum weir_status flag_apply(struct options *options, const struct flag *flag, const char *source,
                            const char *value, struct weir_error *err)
{
    struct weir_error inner = {0};
    const enum weir_status status = apply(options, flag, value, &inner);
    if (status != WEIR_OK)
        err_set(err, status, "%s: %s", source, inner.text);
    return status;
}
