/* SPDX-License-Identifier: MIT
 * Finds marks at the beginning of a text. Knows nothing of what they mean. */
#include "chat/marks.h"

#include <string.h>

#include "json/json.h"

struct rest rest_from(struct rest rest, size_t at)
{
    return (struct rest){rest.text + at, rest.length - at, rest.is_final};
}

enum mark_match mark_at(struct rest rest, const char *mark)
{
    const size_t length = strlen(mark);
    const size_t compared = rest.length < length ? rest.length : length;
    if (memcmp(rest.text, mark, compared) != 0)
        return MARK_NOT;
    return compared == length ? MARK_WHOLE : MARK_MAYBE;
}

bool is_control_byte(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

enum mark_match mark_name(struct rest rest, size_t *length)
{
    for (size_t i = 0; i < rest.length && i <= MARK_NAME_MAX; i++) {
        const char c = rest.text[i];
        if (c == '>' && i > 0) {
            *length = i;
            return MARK_WHOLE;
        }
        if (c == '>' || c == '<' || is_control_byte(c))
            return MARK_NOT;
    }
    return rest.length > MARK_NAME_MAX ? MARK_NOT : MARK_MAYBE;
}

size_t mark_white(struct rest rest)
{
    size_t count = 0;
    while (count < rest.length && count < MARK_WHITE_MAX && json_is_white(rest.text[count]))
        count++;
    return count;
}

size_t mark_newlines(struct rest rest)
{
    size_t count = 0;
    while (count < rest.length && rest.text[count] == '\n')
        count++;
    return count;
}

size_t mark_plain(struct rest rest)
{
    size_t count = 0;
    while (count < rest.length && rest.text[count] != '\n' && rest.text[count] != '<')
        count++;
    return count;
}

enum mark_match mark_next_in_call(struct rest rest)
{
    static const char *const marks[] = {MARK_PARAMETER, MARK_FUNCTION_END, MARK_CALL_END};
    const struct rest behind = rest_from(rest, mark_white(rest));
    if (behind.length == 0)
        return MARK_MAYBE;
    enum mark_match best = MARK_NOT;
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        const enum mark_match match = mark_at(behind, marks[i]);
        best = match > best ? match : best;
    }
    return best == MARK_MAYBE && rest.is_final ? MARK_WHOLE : best;
}
