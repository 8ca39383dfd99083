/* SPDX-License-Identifier: MIT
 * Takes apart what a model says while it comes: reasoning, content, calls. Knows nothing of models
 * and of requests. */
#include "weir.h"

#include <string.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "chat/call.h"
#include "chat/call_object.h"
#include "chat/call_opening.h"
#include "chat/marks.h"
#include "chat/value_types.h"

/* What the text at `at` belongs to. */
enum phase {
    PHASE_BEGIN, /* reasoning, if its mark is the first that comes */
    PHASE_REASONING,
    PHASE_BEHIND_REASONING, /* newlines here belong to the mark */
    PHASE_CONTENT,
    PHASE_CALL,
    PHASE_BEHIND_FUNCTION, /* "</tool_call>" may follow */
    PHASE_BEHIND_CALL,     /* white space here is dropped, if a call or nothing follows */
};

/* Reasoning or content: newlines are told when more of its text follows. */
struct part {
    enum weir_reply_kind kind;
    bool is_told;  /* by the format of reasoning; else its text is dropped */
    bool is_begun; /* there was text */
    uint64_t newlines;
};

struct weir_reply {
    struct weir_reply_options options;
    struct json_document *tools; /* NULL: without tools */
    struct bytes held;           /* text that is not decided yet */
    size_t at;                   /* of it, so much is, within a push */
    bool is_final, is_broken;    /* finished; failed */
    enum phase phase;
    bool is_in_content;    /* reasoning is told as content too */
    bool has_begun;        /* something was pushed */
    bool has_think;        /* the reasoning began with a mark */
    bool is_think_missing; /* a call came before the end of the reasoning was marked */
    bool has_answered;     /* there was content that is no reasoning */
    struct part reasoning, content;
    struct call call;
    struct object_scan scan; /* of an object that may be a call */
    uint32_t calls;
    struct bytes told; /* text of the next event */
    enum weir_reply_kind told_kind;
};

/* ---- telling --------------------------------------------------------------------------------- */

static void emit(struct weir_reply *reply, enum weir_reply_kind kind, struct json_text text)
{
    const bool is_of_call = kind == WEIR_REPLY_ARGUMENTS || kind == WEIR_REPLY_CALL_END;
    const struct weir_reply_event event = {
        .kind = kind,
        .call = reply->calls - is_of_call,
        .text = text.bytes,
        .length = text.length,
    };
    reply->options.event(reply->options.event_user, &event);
}

static void flush(struct weir_reply *reply)
{
    if (reply->told.length > 0 && !reply->told.has_failed)
        emit(reply, reply->told_kind,
             (struct json_text){reply->told.data, (size_t)reply->told.length});
    bytes_clear(&reply->told);
}

/* Texts of one kind become one event, as far as they come with one push. */
static struct bytes *telling(struct weir_reply *reply, enum weir_reply_kind kind)
{
    if (reply->told_kind != kind)
        flush(reply);
    reply->told_kind = kind;
    return &reply->told;
}

static void part_text(struct weir_reply *reply, struct part *part, const char *text, size_t length)
{
    static const char newlines[] = "\n\n\n\n\n\n\n\n";
    while (part->is_told && part->newlines > 0) {
        const size_t most = sizeof newlines - 1;
        const size_t count = part->newlines < most ? (size_t)part->newlines : most;
        bytes_add(telling(reply, part->kind), newlines, count);
        part->newlines -= count;
    }
    part->newlines = 0;
    part->is_begun = true;
    if (part->is_told)
        bytes_add(telling(reply, part->kind), text, length);
}

static void reasoning_text(struct weir_reply *reply, const char *text, size_t length)
{
    part_text(reply, &reply->reasoning, text, length);
    if (reply->is_in_content)
        part_text(reply, &reply->content, text, length);
}

/* Newlines or a mark that belong to no part: they are told only where all is told. */
static void bounds_text(struct weir_reply *reply, const char *text, size_t length)
{
    if (reply->is_in_content && length > 0)
        part_text(reply, &reply->content, text, length);
}

static void bounds_newlines(struct weir_reply *reply, size_t count)
{
    reply->content.newlines += reply->is_in_content ? count : 0;
}

/* Newlines before a call belong to it. */
static void tell_call(struct weir_reply *reply, const char *name, size_t length)
{
    reply->reasoning.newlines = 0;
    reply->content.newlines = 0;
    bytes_add(telling(reply, WEIR_REPLY_CALL), name, length);
    flush(reply);
    reply->calls++;
}

static void tell_call_end(struct weir_reply *reply)
{
    flush(reply);
    emit(reply, WEIR_REPLY_CALL_END, (struct json_text){"", 0});
    reply->phase = PHASE_BEHIND_FUNCTION;
}

/* ---- where calls begin ----------------------------------------------------------------------- */

/* What became of the text that a step looks at. */
enum step { STEP_NONE, STEP_WAITS, STEP_TAKEN };

static enum weir_status take_object(struct weir_reply *reply, struct rest object, bool *is_call,
                                    struct weir_error *err)
{
    struct bytes name = {0}, arguments = {0};
    enum weir_status status;
    TRY(call_object_read(object.text, object.length, is_call, &name, &arguments, err));
    TRY(bytes_check(&name, err));
    TRY(bytes_check(&arguments, err));
    if (*is_call) {
        tell_call(reply, name.data, (size_t)name.length);
        bytes_add(telling(reply, WEIR_REPLY_ARGUMENTS), arguments.data, (size_t)arguments.length);
        tell_call_end(reply);
    }
out:
    bytes_release(&arguments);
    bytes_release(&name);
    return status;
}

static enum weir_status step_object(struct weir_reply *reply, struct rest object, enum step *step,
                                    size_t *consumed, struct weir_error *err)
{
    bool is_call = false;
    const enum mark_match match = object_scan_on(&reply->scan, object);
    *step = match == MARK_MAYBE ? STEP_WAITS : STEP_NONE;
    if (match == MARK_MAYBE)
        return WEIR_OK;
    const size_t length = reply->scan.at;
    reply->scan = (struct object_scan){0};
    if (match == MARK_NOT)
        return WEIR_OK;
    const struct rest whole = {object.text, length, true};
    const enum weir_status status = take_object(reply, whole, &is_call, err);
    *step = is_call ? STEP_TAKEN : STEP_NONE;
    *consumed = length;
    return status;
}

/* At an angle bracket. *consumed if a call is taken. */
static enum weir_status step_opening(struct weir_reply *reply, struct rest rest, bool may_be_bare,
                                     enum step *step, size_t *consumed, struct weir_error *err)
{
    const struct call_opening opening = call_opening_find(rest, may_be_bare);
    enum weir_status status = WEIR_OK;
    *step = STEP_NONE;
    switch (opening.kind) {
    case CALL_OPENING_NONE: break;
    case CALL_OPENING_UNDECIDED: *step = STEP_WAITS; break;
    case CALL_OPENING_FUNCTION:
        tell_call(reply, opening.name.bytes, opening.name.length);
        call_begin(&reply->call, tools_parameters(json_root(reply->tools), opening.name),
                   telling(reply, WEIR_REPLY_ARGUMENTS));
        reply->phase = PHASE_CALL;
        *consumed = opening.length;
        *step = STEP_TAKEN;
        break;
    case CALL_OPENING_OBJECT:
        status = step_object(reply, rest_from(rest, opening.length), step, consumed, err);
        *consumed += opening.length;
        break;
    }
    return status;
}

/* ---- steps by phase -------------------------------------------------------------------------- */

static enum step step_begin(struct weir_reply *reply, struct rest rest, size_t *consumed)
{
    const size_t white = mark_white(rest);
    const enum mark_match match = mark_at(rest_from(rest, white), MARK_THINK);
    if (match == MARK_MAYBE && !rest.is_final)
        return STEP_WAITS;
    reply->has_think = match == MARK_WHOLE;
    reply->phase = reply->has_think ? PHASE_REASONING : PHASE_CONTENT;
    *consumed = reply->has_think ? white + strlen(MARK_THINK) : 0;
    bounds_text(reply, rest.text, *consumed);
    return STEP_TAKEN;
}

static enum step step_think(struct weir_reply *reply, struct rest rest, size_t *consumed)
{
    const bool may_begin = !reply->reasoning.is_begun && !reply->has_think;
    const enum mark_match begin = may_begin ? mark_at(rest, MARK_THINK) : MARK_NOT;
    const enum mark_match end = mark_at(rest, MARK_THINK_END);
    if (begin == MARK_WHOLE) {
        reply->has_think = true;
        *consumed = strlen(MARK_THINK);
    }
    if (end == MARK_WHOLE) {
        reply->reasoning.newlines = 0;
        reply->phase = PHASE_BEHIND_REASONING;
        *consumed = strlen(MARK_THINK_END);
    }
    if (*consumed > 0) {
        bounds_text(reply, rest.text, *consumed);
        return STEP_TAKEN;
    }
    const bool may_follow = begin == MARK_MAYBE || end == MARK_MAYBE;
    return may_follow && !rest.is_final ? STEP_WAITS : STEP_NONE;
}

static enum weir_status step_reasoning(struct weir_reply *reply, struct rest rest, enum step *step,
                                       size_t *consumed, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    const size_t newlines = mark_newlines(rest), plain = mark_plain(rest);
    *step = STEP_TAKEN;
    *consumed = newlines;
    if (newlines > 0) {
        reply->reasoning.newlines += reply->reasoning.is_begun ? newlines : 0;
        bounds_newlines(reply, newlines);
        return WEIR_OK;
    }
    if (plain == 0) {
        *step = step_think(reply, rest, consumed);
        if (*step != STEP_NONE)
            return WEIR_OK;
        if (reply->tools != NULL)
            status = step_opening(reply, rest, false, step, consumed, err);
        reply->is_think_missing = *step == STEP_TAKEN;
        if (status != WEIR_OK || *step != STEP_NONE)
            return status;
    }
    *step = STEP_TAKEN;
    *consumed = plain > 0 ? plain : 1;
    reasoning_text(reply, rest.text, *consumed);
    return WEIR_OK;
}

static void step_behind_reasoning(struct weir_reply *reply, struct rest rest, size_t *consumed)
{
    *consumed = mark_newlines(rest);
    bounds_newlines(reply, *consumed);
    if (*consumed < rest.length)
        reply->phase = PHASE_CONTENT;
}

static enum weir_status step_content(struct weir_reply *reply, struct rest rest, enum step *step,
                                     size_t *consumed, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    const bool has_calls =
        reply->tools != NULL && !(reply->options.calls_first && reply->has_answered);
    const size_t newlines = has_calls ? mark_newlines(rest) : 0;
    const size_t plain = has_calls ? mark_plain(rest) : rest.length;
    *step = STEP_TAKEN;
    *consumed = newlines;
    reply->content.newlines += newlines;
    if (newlines > 0)
        return WEIR_OK;
    if (plain == 0)
        status = step_opening(reply, rest, true, step, consumed, err);
    if (status != WEIR_OK || (plain == 0 && *step != STEP_NONE))
        return status;
    *step = STEP_TAKEN;
    *consumed = plain > 0 ? plain : 1;
    reply->has_answered = true;
    part_text(reply, &reply->content, rest.text, *consumed);
    return WEIR_OK;
}

static enum step step_call(struct weir_reply *reply, struct rest rest, size_t *consumed)
{
    telling(reply, WEIR_REPLY_ARGUMENTS);
    switch (call_read(&reply->call, rest, consumed)) {
    case CALL_WAITS: return STEP_WAITS;
    case CALL_GOES_ON: break;
    case CALL_ENDS: tell_call_end(reply); break;
    case CALL_BREAKS: reply->phase = PHASE_CONTENT; break;
    }
    return STEP_TAKEN;
}

static enum step step_behind_function(struct weir_reply *reply, struct rest rest, size_t *consumed)
{
    const size_t white = mark_white(rest);
    const enum mark_match match = mark_at(rest_from(rest, white), MARK_CALL_END);
    if (match == MARK_MAYBE && !rest.is_final)
        return STEP_WAITS;
    if (match == MARK_WHOLE)
        *consumed = white + strlen(MARK_CALL_END);
    reply->phase = PHASE_BEHIND_CALL;
    return STEP_TAKEN;
}

/* Behind a call within the reasoning, the mark of its end may still come. */
static enum step step_late_think_end(struct weir_reply *reply, struct rest rest, size_t white,
                                     size_t *consumed)
{
    const enum mark_match match = mark_at(rest_from(rest, white), MARK_THINK_END);
    if (match == MARK_MAYBE && !rest.is_final)
        return STEP_WAITS;
    if (match != MARK_WHOLE)
        return STEP_NONE;
    *consumed = white + strlen(MARK_THINK_END);
    bounds_text(reply, rest.text, *consumed);
    reply->is_think_missing = false;
    reply->phase = PHASE_BEHIND_REASONING;
    return STEP_TAKEN;
}

static enum weir_status step_behind_call(struct weir_reply *reply, struct rest rest,
                                         enum step *step, size_t *consumed, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    const size_t white = mark_white(rest);
    const struct rest behind = rest_from(rest, white);
    *step = STEP_NONE;
    if (behind.length == 0) {
        *step = rest.is_final ? STEP_TAKEN : STEP_WAITS;
        *consumed = white;
        return WEIR_OK;
    }
    if (reply->is_think_missing)
        *step = step_late_think_end(reply, rest, white, consumed);
    if (*step != STEP_NONE)
        return WEIR_OK;
    status = step_opening(reply, behind, true, step, consumed, err);
    *consumed += white;
    if (status != WEIR_OK || *step != STEP_NONE)
        return status;
    *step = STEP_TAKEN;
    *consumed = reply->content.is_begun ? 0 : mark_newlines(rest);
    reply->phase = PHASE_CONTENT;
    return WEIR_OK;
}

static enum weir_status take_step(struct weir_reply *reply, struct rest rest, enum step *step,
                                  size_t *consumed, struct weir_error *err)
{
    *step = STEP_TAKEN;
    switch (reply->phase) {
    case PHASE_BEGIN: *step = step_begin(reply, rest, consumed); break;
    case PHASE_REASONING: return step_reasoning(reply, rest, step, consumed, err);
    case PHASE_BEHIND_REASONING: step_behind_reasoning(reply, rest, consumed); break;
    case PHASE_CONTENT: return step_content(reply, rest, step, consumed, err);
    case PHASE_CALL: *step = step_call(reply, rest, consumed); break;
    case PHASE_BEHIND_FUNCTION: *step = step_behind_function(reply, rest, consumed); break;
    case PHASE_BEHIND_CALL: return step_behind_call(reply, rest, step, consumed, err);
    }
    return WEIR_OK;
}

/* ---- pushing --------------------------------------------------------------------------------- */

/* The prompt ends with the mark that begins the reasoning. */
static void begin(struct weir_reply *reply)
{
    if (!reply->has_begun && reply->phase == PHASE_REASONING) {
        bounds_text(reply, MARK_THINK, strlen(MARK_THINK));
        bounds_newlines(reply, 1);
    }
    reply->has_begun = true;
}

/* Each step consumes text, or leads to a phase that does. */
static enum weir_status take_steps(struct weir_reply *reply, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    enum step step = STEP_TAKEN;
    reply->at = 0;
    while (status == WEIR_OK && step != STEP_WAITS && reply->at < reply->held.length) {
        const struct rest rest = {reply->held.data + reply->at,
                                  (size_t)reply->held.length - reply->at, reply->is_final};
        size_t consumed = 0;
        status = take_step(reply, rest, &step, &consumed, err);
        reply->at += step == STEP_TAKEN ? consumed : 0;
    }
    bytes_drop(&reply->held, reply->at);
    return status;
}

static enum weir_status check(struct weir_reply *reply, enum weir_status status,
                              struct weir_error *err)
{
    if (status == WEIR_OK)
        status = bytes_check(&reply->held, err);
    if (status == WEIR_OK)
        status = bytes_check(&reply->call.value, err);
    if (status == WEIR_OK)
        status = bytes_check(&reply->told, err);
    reply->is_broken = status != WEIR_OK;
    return status;
}

static enum weir_status refuse_ended(const struct weir_reply *reply, struct weir_error *err)
{
    if (!reply->is_final && !reply->is_broken)
        return WEIR_OK;
    return err_set(err, WEIR_ERR_ARGUMENT, "the reply has %s before",
                   reply->is_broken ? "failed" : "ended");
}

enum weir_status weir_reply_push(struct weir_reply *reply, const char *text, size_t length,
                                 struct weir_error *err)
{
    enum weir_status status;
    TRY(refuse_ended(reply, err));
    begin(reply);
    bytes_add(&reply->held, text, length);
    status = take_steps(reply, err);
    flush(reply);
    status = check(reply, status, err);
out:
    return status;
}

static enum weir_status end(struct weir_reply *reply, struct weir_error *err)
{
    reply->is_final = true;
    enum weir_status status = take_steps(reply, err);
    if (reply->phase == PHASE_CALL) {
        telling(reply, WEIR_REPLY_ARGUMENTS);
        call_cut(&reply->call);
    }
    if (reply->content.newlines > 0)
        part_text(reply, &reply->content, "", 0);
    flush(reply);
    return check(reply, status, err);
}

enum weir_status weir_reply_finish(struct weir_reply *reply, struct weir_error *err)
{
    const enum weir_status status = refuse_ended(reply, err);
    if (status != WEIR_OK)
        return status;
    begin(reply);
    return end(reply, err);
}

/* What is held back may be the beginning of a mark or of a call; newlines before it are its own. */
enum weir_status weir_reply_cut(struct weir_reply *reply, struct weir_error *err)
{
    const enum weir_status status = refuse_ended(reply, err);
    if (status != WEIR_OK)
        return status;
    begin(reply);
    reply->content.newlines = 0;
    bytes_clear(&reply->held);
    return end(reply, err);
}

/* ---- opening --------------------------------------------------------------------------------- */

void weir_reply_options_init(struct weir_reply_options *options)
{
    *options = (struct weir_reply_options){0};
}

/* No tools, null or an empty list of them, are NULL. */
static enum weir_status open_tools(struct weir_reply *reply, struct weir_error *err)
{
    const struct weir_reply_options *options = &reply->options;
    struct weir_error reason = {0};
    if (options->tools == NULL)
        return WEIR_OK;
    enum weir_status status =
        json_open(&reply->tools, options->tools, options->tools_length, "tools", &reason);
    const bool is_null = status == WEIR_OK && json_root(reply->tools)->kind == JSON_NULL;
    if (status == WEIR_OK && !is_null)
        status = tools_check(json_root(reply->tools), &reason);
    if (status != WEIR_OK)
        return err_set(err, status == WEIR_ERR_MEMORY ? status : WEIR_ERR_ARGUMENT, "%s",
                       reason.text);
    if (json_root(reply->tools)->count == 0) {
        json_close(reply->tools);
        reply->tools = NULL;
    }
    return WEIR_OK;
}

enum weir_status weir_reply_open(struct weir_reply **out, const struct weir_reply_options *options,
                                 struct weir_error *err)
{
    *out = NULL;
    struct weir_reply *reply = mem_alloc(1, sizeof *reply, err);
    if (reply == NULL)
        return WEIR_ERR_MEMORY;
    reply->options = *options;
    reply->phase = options->may_reason ? PHASE_BEGIN : PHASE_CONTENT;
    if (options->in_reasoning)
        reply->phase = PHASE_REASONING;
    reply->is_in_content = options->format != WEIR_REASONING_APART;
    reply->reasoning.kind = WEIR_REPLY_REASONING;
    reply->reasoning.is_told = options->format != WEIR_REASONING_NONE;
    reply->content.kind = WEIR_REPLY_CONTENT;
    reply->content.is_told = true;
    const enum weir_status status = open_tools(reply, err);
    if (status == WEIR_OK)
        *out = reply;
    else
        weir_reply_close(reply);
    return status;
}

void weir_reply_close(struct weir_reply *reply)
{
    if (reply == NULL)
        return;
    json_close(reply->tools);
    call_release(&reply->call);
    bytes_release(&reply->held);
    bytes_release(&reply->told);
    mem_free(reply);
}
