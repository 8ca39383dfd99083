/* SPDX-License-Identifier: MIT
 * Prints the message of a reply. Knows nothing of how it was found. */
#include "app/message.h"

static void print_member(struct output *output, const char *begin, const struct bytes *text)
{
    output_print(output, "%s", begin);
    output_json_bytes(output, text->data, (size_t)text->length);
}

void message_print(const struct message *message, struct output *output)
{
    print_member(output, "{\"reasoning_content\": ", &message->reasoning);
    print_member(output, ", \"content\": ", &message->content);
    output_print(output, ", \"tool_calls\": [");
    for (uint64_t i = 0; i < message->calls_count; i++) {
        output_print(output, i == 0 ? "" : ", ");
        print_member(output, "{\"name\": ", &message->calls[i].name);
        print_member(output, ", \"arguments\": ", &message->calls[i].arguments);
        output_print(output, "}");
    }
    output_print(output, "]}\n");
}
