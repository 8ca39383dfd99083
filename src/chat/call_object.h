/* SPDX-License-Identifier: MIT
 * The older form of a call: {"name": NAME, "arguments": {...}}. */
#ifndef CHAT_CALL_OBJECT_H
#define CHAT_CALL_OBJECT_H

#include "base/bytes.h"
#include "chat/marks.h"

/* How far the end of an object has been looked for. Set to zero to begin. */
struct object_scan {
    size_t at;
    uint32_t depth;
    bool is_in_string, is_escaped;
};

/* Looks for the end of the object that the text begins with, from where it was looked for before,
 * so that each byte is looked at once. MAYBE: more text is needed; WHOLE: it is the scan->at bytes;
 * NOT: no object is so long, or begins so. */
enum mark_match object_scan_on(struct object_scan *scan, struct rest rest);

/* Reads the object as a call: its name, and its arguments put together as those of other calls, the
 * values as they are written. *is_call is false if it is none, or if it has other members, which
 * would be lost. */
enum weir_status call_object_read(const char *text, size_t length, bool *is_call,
                                  struct bytes *name, struct bytes *arguments,
                                  struct weir_error *err);

#endif
