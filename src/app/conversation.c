/* SPDX-License-Identifier: MIT
 * Opens what a conversation needs, and takes turns. Knows no command by name, and no template. */
#include "app/conversation.h"

#include <stdarg.h>
#include <string.h>

#include "app/chat_commands.h"
#include "app/chat_file.h"
#include "app/chat_template.h"
#include "app/constrained.h"
#include "app/interrupt.h"
#include "app/prompt.h"
#include "app/sampling.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/utf8.h"

static const uint64_t text_bytes_max = (uint64_t)64 << 20; /* of tools and systems */

/* ---- telling --------------------------------------------------------------------------------- */

void conversation_say_text(struct conversation *c, const char *text)
{
    if (!c->terminal.is_edited) {
        log_print(c->log, WEIR_LOG_INFO, "%s", text);
        return;
    }
    output_put(&c->output, text, strlen(text));
    output_put(&c->output, "\n", 1);
    output_flush(&c->output);
}

void conversation_say(struct conversation *c, const char *format, ...)
{
    char line[LOG_LINE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    conversation_say_text(c, line);
}

/* ---- opening --------------------------------------------------------------------------------- */

/* A text of a file, without the newline that ends it; freed with mem_free. */
static enum weir_status read_text(const char *path, char **out, struct weir_error *err)
{
    uint8_t *data;
    size_t length;
    const enum weir_status status = file_read_all(path, text_bytes_max, &data, &length, err);
    if (status != WEIR_OK)
        return status;
    *out = (char *)data;
    if (strlen(*out) != length) {
        mem_free(data);
        *out = NULL;
        return err_set(err, WEIR_ERR_FORMAT, "%s: no text: it holds a zero", path);
    }
    if (length > 0 && data[length - 1] == '\n')
        data[length - 1] = 0;
    return WEIR_OK;
}

static bool wants_call(const struct chat_options *chat)
{
    return strcmp(chat->tool_choice, "auto") != 0 && strcmp(chat->tool_choice, "none") != 0;
}

static enum weir_status check_options(const struct options *options, struct weir_error *err)
{
    const struct chat_options *chat = &options->chat;
    if (chat->system != NULL && chat->system_file != NULL)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "only one of --system-prompt and --system-prompt-file may be given");
    if (options->predict == 0)
        return err_set(err, WEIR_ERR_ARGUMENT, "--predict: an answer of 0 tokens is none");
    if (wants_call(chat) && constrained_is_given(options))
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "--tool-choice %s: an answer cannot be a call and keep to a grammar or "
                       "schema; give only one of both",
                       chat->tool_choice);
    if (wants_call(chat) && options->tools == NULL)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "--tool-choice %s asks for a call, but there are no tools: name a file of "
                       "them with --tools",
                       chat->tool_choice);
    return WEIR_OK;
}

static enum weir_status open_engine(struct conversation *c, const struct call *call,
                                    struct weir_error *err)
{
    struct weir_engine_options engine = loaded_engine_options(call->options, 1, c->log);
    enum weir_status status;
    TRY(speculation_choose(&c->speculation, call, c->loaded.model, &engine, err));
    TRY(loaded_open_engine(&c->loaded, &engine, c->log, err));
    TRY(speculation_prepare(&c->speculation, call, &c->loaded, err));
out:
    return status;
}

static void on_event(void *user, const struct weir_reply_event *event)
{
    struct conversation *c = user;
    answer_event(&c->answer, event);
}

/* Nobody reads on behind a failure of the output. */
static bool may_proceed(void *user)
{
    struct conversation *c = user;
    if (!c->stops.has_begun)
        c->stops = (struct conversation_stops){c->stops.asked_ns, interrupt_stopped_ns(), true};
    return !interrupt_requested() && output_failed(&c->output, NULL) == WEIR_OK;
}

/* A reader, and a file, need nothing twice, as clients of a server may. */
static enum weir_reasoning_format reasoning_format(const struct options *options)
{
    const enum weir_reasoning_format format = options_reasoning_format(options);
    return format == WEIR_REASONING_BOTH ? WEIR_REASONING_APART : format;
}

static void settle_options(struct conversation *c)
{
    const struct options *options = c->options;
    struct weir_chat_options *settings = &c->settings;
    weir_chat_options_init(settings);
    settings->variables = options->chat.variables;
    settings->reasoning = (enum weir_switch)options->reasoning;
    settings->reasoning_preserve = options->chat.reasoning_preserve;
    settings->reasoning_format = reasoning_format(options);
    settings->reasoning_budget = options->chat.reasoning_budget;
    settings->reasoning_closing = options->chat.reasoning_closing;
    settings->grammar = c->grammar;
    settings->calls_free = options->chat.tools_free;
    settings->calls.single = options->chat.tools_single;
    settings->sampler = options->sampler;
    settings->speculator = c->speculation.options;
    settings->reply_tokens_max = options->predict < 0 ? 0 : (uint32_t)options->predict;
    settings->stops = (const char *const *)options->stops.items;
    settings->stops_count = (uint32_t)options->stops.count;
    settings->event = on_event;
    settings->proceed = may_proceed;
    settings->user = c;
}

/* --tool-choice, as far as there are tools. */
static void choose_tools(struct conversation *c)
{
    const char *choice = c->options->chat.tool_choice;
    struct weir_calls_options *calls = &c->settings.calls;
    const bool is_none = strcmp(choice, "none") == 0;
    c->settings.tools = is_none ? NULL : c->tools;
    const bool is_asked_for = wants_call(&c->options->chat) && c->settings.tools != NULL;
    calls->required = c->is_call_wanted = is_asked_for;
    calls->only = is_asked_for && strcmp(choice, "required") != 0 ? choice : NULL;
}

/* The library would not know the name of the file. */
static enum weir_status check_array(const char *text, const char *path, struct weir_error *err)
{
    struct json_document *document;
    const enum weir_status status =
        json_open_kind(&document, JSON_ARRAY, text, strlen(text), path, err);
    json_close(document);
    return status;
}

static enum weir_status read_tools(struct conversation *c, const char *path, struct weir_error *err)
{
    char *text = NULL;
    enum weir_status status = path == NULL ? WEIR_OK : read_text(path, &text, err);
    if (status == WEIR_OK && text != NULL)
        status = check_array(text, path, err);
    if (status != WEIR_OK) {
        mem_free(text);
        return status;
    }
    mem_free(c->tools);
    c->tools = text;
    choose_tools(c);
    return WEIR_OK;
}

/* A conversation goes on with tools of which no grammar can be made, but somebody should know. */
static void warn_of_free_calls(const struct conversation *c)
{
    const struct weir_chat_options *settings = &c->settings;
    struct weir_grammar *grammar = NULL;
    struct weir_error why = {0};
    if (settings->tools == NULL || settings->grammar != NULL || settings->calls_free)
        return;
    if (weir_grammar_open_calls(&grammar, settings->tools, strlen(settings->tools),
                                &settings->calls, &why) != WEIR_OK)
        log_print(c->log, WEIR_LOG_WARNING, "warning: calls are not held to the tools: %s",
                  why.text);
    weir_grammar_close(grammar);
}

static enum weir_status open_chat(struct conversation *c, struct weir_error *err)
{
    const struct chat_options *chat = &c->options->chat;
    char *system = NULL;
    enum weir_status status;
    settle_options(c);
    TRY(read_tools(c, c->options->tools, err));
    if (chat->system_file != NULL)
        TRY(read_text(chat->system_file, &system, err));
    c->settings.system = system != NULL ? system : chat->system;
    chat_session_load_state(c);
    TRY(weir_chat_open(&c->chat, c->loaded.session, c->loaded.tokenizer, c->chat_template,
                       &c->settings, err));
    TRY(chat_session_load(c, err));
    TRY(conversation_place(c, weir_session_position(c->loaded.session), err));
    if (c->session.goes_on && c->settings.system != NULL)
        TRY(conversation_set_system(c, c->settings.system, err));
    warn_of_free_calls(c);
out:
    c->settings.system = NULL;
    mem_free(system);
    return status;
}

enum weir_status conversation_open(struct conversation *c, const struct call *call,
                                   struct weir_error *err)
{
    struct options *options = call->options;
    enum weir_status status;
    c->options = options;
    c->log = call->log;
    TRY(check_options(options, err));
    TRY(chat_session_open(c, err));
    TRY(output_open(&c->output, NULL, err));
    TRY(terminal_open(&c->terminal, options->chat.color, err));
    c->terminal.complete = chat_command_complete;
    c->input =
        (struct chat_input){.terminal = &c->terminal, .is_multiline = options->chat.multiline};
    c->answer = (struct answer){.output = &c->output,
                                .has_colors = c->terminal.has_colors,
                                .is_cleaned = c->terminal.is_edited};
    /* a person is told in a banner what a log would say, unless all was asked for */
    c->log->info_muted = c->terminal.is_edited && c->log->options.level <= WEIR_LOG_INFO;
    TRY(shipped_choose(c->shipped, options, c->log, err));
    TRY(loaded_open_model(&c->loaded, options, c->log, err));
    TRY(chat_session_check(c, err));
    TRY(weir_tokenizer_open(&c->loaded.tokenizer, c->loaded.model, err));
    TRY(chat_template_choose(&c->chat_template, options->chat.template_text,
                             options->chat.template_file, c->loaded.model, c->log, err));
    TRY(constrained_open_grammar(&c->grammar, options, err));
    TRY(open_engine(c, call, err));
    sampling_choose(options, call->given, c->loaded.model);
    c->log->uncut_max = WEIR_ROUND_TOKENS_MAX;
    TRY(open_chat(c, err));
out:
    return status;
}

void conversation_close(struct conversation *c)
{
    weir_chat_close(c->chat);
    weir_grammar_close(c->grammar);
    weir_template_close(c->chat_template);
    speculation_close(&c->speculation);
    loaded_close(&c->loaded);
    terminal_close(&c->terminal);
    chat_session_close(&c->session);
    chat_input_release(&c->input);
    answer_release(&c->answer);
    bytes_release(&c->files);
    mem_free(c->places);
    mem_free(c->tools);
}

/* ---- settings -------------------------------------------------------------------------------- */

enum weir_status conversation_set(struct conversation *c, struct weir_error *err)
{
    return weir_chat_set(c->chat, &c->settings, err);
}

enum weir_status conversation_set_system(struct conversation *c, const char *text,
                                         struct weir_error *err)
{
    c->settings.system = text;
    const enum weir_status status = conversation_set(c, err);
    c->settings.system = NULL;
    if (status == WEIR_OK)
        chat_session_outdate(c);
    return status;
}

enum weir_status conversation_use_tools(struct conversation *c, const char *path,
                                        struct weir_error *err)
{
    char *before = c->tools;
    c->tools = NULL;
    enum weir_status status = read_tools(c, path, err);
    if (status == WEIR_OK)
        status = conversation_set(c, err);
    if (status == WEIR_OK) {
        mem_free(before);
        warn_of_free_calls(c);
        return WEIR_OK;
    }
    mem_free(c->tools);
    c->tools = before;
    choose_tools(c);
    return status;
}

/* ---- turns ----------------------------------------------------------------------------------- */

/* Pipes and files may hold what is no UTF-8. */
static enum weir_status add_repaired(struct conversation *c, const char *role,
                                     const struct bytes *text, struct weir_error *err)
{
    const uint8_t *bytes = text->length > 0 ? (const uint8_t *)text->data : (const uint8_t *)"";
    const uint64_t length = utf8_repaired_length(bytes, text->length);
    uint8_t *repaired = mem_alloc(length + 1, 1, err);
    if (repaired == NULL)
        return WEIR_ERR_MEMORY;
    utf8_repair(bytes, text->length, repaired);
    const enum weir_status status =
        weir_chat_add(c->chat, role, (const char *)repaired, length, err);
    mem_free(repaired);
    return status;
}

enum weir_status conversation_add(struct conversation *c, const char *text, size_t length,
                                  struct weir_error *err)
{
    enum weir_status status;
    bytes_add(&c->files, text, length);
    TRY(bytes_check(&c->files, err));
    TRY(add_repaired(c, "user", &c->files, err));
out:
    bytes_clear(&c->files);
    return status;
}

double conversation_rate(uint64_t tokens, uint64_t ns)
{
    return ns > 0 ? (double)tokens * 1e9 / (double)ns : 0;
}

uint32_t conversation_context_left(const struct conversation *c)
{
    const uint32_t context = weir_engine_context(c->loaded.engine);
    struct chat_state state = {0};
    uint32_t used = 0;
    if (chat_state_take(&state, c->chat, NULL) != WEIR_OK)
        state.messages = UINT32_MAX;
    for (uint64_t i = 0; i < c->places_count && c->places[i].messages <= state.messages; i++)
        used = c->places[i].context_tokens;
    chat_state_release(&state);
    return used < context ? context - used : 0;
}

enum weir_status conversation_place(struct conversation *c, uint32_t context_tokens,
                                    struct weir_error *err)
{
    struct chat_state state = {0};
    enum weir_status status;
    TRY(chat_state_take(&state, c->chat, err));
    while (c->places_count > 0 && c->places[c->places_count - 1].messages >= state.messages)
        c->places_count--;
    TRY(mem_grow(&c->places, &c->places_capacity, c->places_count + 1, sizeof *c->places, err));
    c->places[c->places_count++] = (struct conversation_place){state.messages, context_tokens};
out:
    chat_state_release(&state);
    return status;
}

/* Behind an answer, for a person; others are told only what they did not ask for. The first two
 * figures are worded as llama-cli does. */
static void show_status(struct conversation *c)
{
    const struct weir_chat_info *last = &c->last;
    const uint32_t context = weir_engine_context(c->loaded.engine);
    const bool has_colors = c->terminal.has_colors;
    static const char full[] = "the context is full";
    if (!c->terminal.is_edited) {
        if (last->end == WEIR_CHAT_LENGTH && last->context_tokens >= context)
            log_print(c->log, WEIR_LOG_WARNING, "warning: an answer was cut off: %s", full);
        return;
    }
    if (last->end == WEIR_CHAT_STOPPED)
        conversation_say(c, "[stopped]");
    if (last->end == WEIR_CHAT_LENGTH)
        conversation_say(c, "[cut off: %s]",
                         last->context_tokens < context ? "as long as --predict allows" : full);
    if (c->options->show_timings)
        conversation_say(
            c,
            "\n%s[ Prompt: %.1f t/s | Generation: %.1f t/s | Context: %u of %u left "
            "]%s",
            has_colors ? "\033[2m" : "",
            conversation_rate(last->prompt_tokens - last->reused_tokens, last->prompt_ns),
            conversation_rate(last->reply_tokens, last->reply_ns), conversation_context_left(c),
            context, has_colors ? "\033[0m" : "");
    conversation_say(c, "%s", "");
}

static void count_reply(struct conversation *c)
{
    struct conversation_totals *totals = &c->totals;
    totals->replies++;
    totals->prompt_tokens += c->last.prompt_tokens;
    totals->reused_tokens += c->last.reused_tokens;
    totals->reply_tokens += c->last.reply_tokens;
    totals->prompt_ns += c->last.prompt_ns;
    totals->reply_ns += c->last.reply_ns;
}

/* True if only the answer was to end, and a person can go on. */
static bool forgive(const struct conversation *c)
{
    return c->terminal.is_edited && interrupt_forgive();
}

/* Time that Ctrl+Z took was neither reading nor writing. */
static void leave_stops_out(const struct conversation *c, struct weir_chat_info *info)
{
    const uint64_t end_ns = interrupt_stopped_ns();
    const uint64_t begun_ns = c->stops.has_begun ? c->stops.begun_ns : end_ns;
    const uint64_t of_prompt = begun_ns - c->stops.asked_ns, of_reply = end_ns - begun_ns;
    info->prompt_ns -= of_prompt < info->prompt_ns ? of_prompt : 0;
    info->reply_ns -= of_reply < info->reply_ns ? of_reply : 0;
}

static enum weir_status answer_once(struct conversation *c, struct weir_error *err)
{
    struct weir_error inner = {0};
    answer_begin(&c->answer);
    c->stops = (struct conversation_stops){.asked_ns = interrupt_stopped_ns()};
    struct weir_chat_info info;
    enum weir_status status = weir_chat_reply(c->chat, &info, &inner);
    const enum weir_status end = answer_end(&c->answer, err);
    log_progress_end(c->log);
    if (end != WEIR_OK)
        return end;
    if (status == WEIR_ERR_CANCELLED && forgive(c)) {
        c->last.end = WEIR_CHAT_STOPPED;
        conversation_say(c, "[stopped before it began; /regen goes on, /undo takes back]\n");
        return conversation_place(c, weir_session_position(c->loaded.session), err);
    }
    if (status != WEIR_OK)
        return err_set(err, status, "%s", inner.text);
    c->is_answered = true;
    leave_stops_out(c, &info);
    c->last = info;
    count_reply(c);
    status = conversation_place(c, info.context_tokens, err);
    if (status == WEIR_OK)
        status = chat_session_save(c, err);
    /* what came too late to stop an answer must not end the program */
    if (!forgive(c) && c->last.end == WEIR_CHAT_STOPPED)
        return WEIR_ERR_CANCELLED;
    show_status(c);
    return status;
}

/* Asks for the result of each call. */
static enum weir_status ask_results(struct conversation *c, bool *is_answered,
                                    struct weir_error *err)
{
    const struct answer *answer = &c->answer;
    enum weir_status status = WEIR_OK;
    *is_answered = false;
    for (uint64_t at = 0; at < answer->tools_whole; at += strlen(answer->tools.data + at) + 1) {
        char prompt[TERMINAL_PROMPT_MAX / 2];
        enum terminal_event event;
        snprintf(prompt, sizeof prompt, "%.40s> ", answer->tools.data + at);
        TRY(chat_input_read(&c->input, prompt, &event, err));
        if (event != TERMINAL_LINE) {
            c->is_over = event == TERMINAL_END;
            return event == TERMINAL_INTERRUPTED ? WEIR_ERR_CANCELLED : WEIR_OK;
        }
        TRY(add_repaired(c, "tool", &c->input.text, err));
    }
    *is_answered = true;
    TRY(chat_session_save(c, err));
out:
    return status;
}

/* What is wanted of --tool-choice is wanted of the answer to a person, not of that to results. */
static enum weir_status want_call(struct conversation *c, bool is_wanted, struct weir_error *err)
{
    bool *required = &c->settings.calls.required;
    if (*required == (is_wanted && c->is_call_wanted))
        return WEIR_OK;
    *required = !*required;
    const enum weir_status status = conversation_set(c, err);
    if (status != WEIR_OK)
        *required = !*required; /* as the chat has it still */
    return status;
}

enum weir_status conversation_answer(struct conversation *c, struct weir_error *err)
{
    bool goes_on = true;
    enum weir_status status = WEIR_OK;
    c->is_answered = false;
    TRY(want_call(c, true, err));
    while (goes_on && status == WEIR_OK) {
        if (c->terminal.is_edited)
            conversation_say(c, "%s", "");
        goes_on = false;
        TRY(answer_once(c, err));
        if (c->last.end == WEIR_CHAT_CALLS)
            TRY(ask_results(c, &goes_on, err));
        if (goes_on)
            TRY(want_call(c, false, err));
    }
out:
    return status;
}
