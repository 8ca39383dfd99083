/* SPDX-License-Identifier: MIT
 * The commands of a chat, a table. Knows not how conversations are held. */
#include "app/chat_commands.h"

#include <glob.h>
#include <string.h>

#include "app/args.h"
#include "app/chat_figures.h"
#include "app/chat_file.h"
#include "app/conversation.h"
#include "app/home_path.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/utf8.h"

static const uint64_t read_bytes_max = (uint64_t)64 << 20;

typedef enum weir_status chat_command_fn(struct conversation *conversation, const char *argument,
                                         struct weir_error *err);

struct chat_command {
    const char *name;
    const char *argument; /* what stands behind it; NULL: nothing */
    bool is_optional;     /* the argument */
    chat_command_fn *run;
    const char *help;
};

static const char *skip_blanks(const char *text)
{
    return text + strspn(text, " \t");
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool chat_command_is(const char *line, size_t length)
{
    size_t end = 1;
    if (length < 2 || line[0] != '/')
        return false;
    if (line[1] == '?')
        end = 2;
    while (end < length && is_letter(line[end]))
        end++;
    return end > 1 && (end == length || line[end] == ' ' || line[end] == '\t');
}

/* ---- the conversation ------------------------------------------------------------------------ */

static enum weir_status command_exit(struct conversation *c, const char *argument,
                                     struct weir_error *err)
{
    (void)argument;
    (void)err;
    c->is_over = true;
    return WEIR_OK;
}

static enum weir_status command_clear(struct conversation *c, const char *argument,
                                      struct weir_error *err)
{
    (void)argument;
    (void)err;
    weir_chat_clear(c->chat);
    chat_session_outdate(c);
    bytes_clear(&c->files);
    conversation_say(c, "All is forgotten but the system message.");
    return WEIR_OK;
}

static enum weir_status command_undo(struct conversation *c, const char *argument,
                                     struct weir_error *err)
{
    (void)argument;
    if (!weir_chat_undo(c->chat, "user"))
        return err_set(err, WEIR_ERR_ARGUMENT, "there is no message to take back");
    chat_session_outdate(c);
    conversation_say(c, "Taken back: your last message, and what followed it.");
    return WEIR_OK;
}

/* A message that was never answered, as after Ctrl+C, is answered. The old answer stays where there
 * is no other. */
static enum weir_status command_regen(struct conversation *c, const char *argument,
                                      struct weir_error *err)
{
    struct chat_state state = {0};
    struct bytes before = {0};
    enum weir_status status;
    (void)argument;
    TRY(chat_state_take(&state, c->chat, err));
    if (state.is_empty)
        TRY(err_set(err, WEIR_ERR_ARGUMENT, "there is no message to answer"));
    TRY(weir_chat_save(c->chat, bytes_sink, &before, err));
    TRY(bytes_check(&before, err));
    if (state.is_answered) {
        weir_chat_undo(c->chat, "assistant");
        chat_session_outdate(c);
    }
    status = conversation_answer(c, err);
    if (!c->is_answered)
        weir_chat_load(c->chat, before.data, (size_t)before.length, NULL);
out:
    chat_state_release(&state);
    bytes_release(&before);
    return status;
}

static enum weir_status show_system(struct conversation *c, struct weir_error *err)
{
    struct chat_state state = {0};
    const enum weir_status status = chat_state_take(&state, c->chat, err);
    if (status == WEIR_OK)
        conversation_say_text(c, state.system.length > 0 ? state.system.data
                                                         : "There is no system message.");
    chat_state_release(&state);
    return status;
}

static enum weir_status command_system(struct conversation *c, const char *argument,
                                       struct weir_error *err)
{
    if (argument[0] == 0)
        return show_system(c, err);
    const enum weir_status status = conversation_set_system(c, argument, err);
    if (status == WEIR_OK)
        conversation_say(c, "The system message is another one from now on.");
    return status;
}

/* ---- how it is held -------------------------------------------------------------------------- */

static enum weir_status set_reasoning(struct conversation *c, const char *word,
                                      struct weir_error *err)
{
    static const struct {
        const char *word;
        enum weir_switch value;
        const char *said;
    } words[] = {
        {"", WEIR_ON, "The model reasons before it answers."}, /* as opposed to /nothink */
        {"on", WEIR_ON, "The model reasons before it answers."},
        {"off", WEIR_OFF, "The model answers without reasoning."},
        {"auto", WEIR_AUTO, "The model reasons if its template says so."},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(words[i].word, word) != 0)
            continue;
        c->settings.reasoning = words[i].value;
        const enum weir_status status = conversation_set(c, err);
        if (status == WEIR_OK)
            conversation_say(c, "%s", words[i].said);
        return status;
    }
    return err_set(err, WEIR_ERR_ARGUMENT, "/think %s: not one of on, off and auto", word);
}

static enum weir_status command_nothink(struct conversation *c, const char *argument,
                                        struct weir_error *err)
{
    (void)argument;
    return set_reasoning(c, "off", err);
}

static enum weir_status command_tools(struct conversation *c, const char *argument,
                                      struct weir_error *err)
{
    if (argument[0] == 0) {
        conversation_say_text(c, c->settings.tools != NULL ? c->settings.tools
                                                           : "There are no tools.");
        return WEIR_OK;
    }
    const bool is_off = strcmp(argument, "off") == 0;
    const enum weir_status status = conversation_use_tools(c, is_off ? NULL : argument, err);
    if (status == WEIR_OK)
        conversation_say(c, is_off ? "There are no tools any more."
                                   : "The model knows these tools from now on.");
    return status;
}

/* ---- files ----------------------------------------------------------------------------------- */

static enum weir_status command_save(struct conversation *c, const char *argument,
                                     struct weir_error *err)
{
    const enum weir_status status = chat_session_export(c, argument, err);
    if (status == WEIR_OK)
        conversation_say(c, "The conversation is in %s.", argument);
    return status;
}

static enum weir_status command_load(struct conversation *c, const char *argument,
                                     struct weir_error *err)
{
    const enum weir_status status = chat_session_import(c, argument, err);
    if (status == WEIR_OK)
        conversation_say(c, "The conversation is that of %s.", argument);
    return status;
}

static enum weir_status check_text(const char *path, const uint8_t *text, size_t length,
                                   struct weir_error *err)
{
    for (size_t at = 0; at < length;) {
        const struct utf8_sequence sequence = utf8_sequence(text + at, length - at);
        if (sequence.state != UTF8_COMPLETE || text[at] == 0)
            return err_set(err, WEIR_ERR_FORMAT, "%s: no text: byte %zu is 0x%02x", path, at,
                           text[at]);
        at += sequence.length;
    }
    return WEIR_OK;
}

/* Under a line with its name, as llama-cli does it. */
static enum weir_status add_file(struct conversation *c, const char *path, struct weir_error *err)
{
    uint8_t *text;
    size_t length;
    enum weir_status status = file_read_all(path, read_bytes_max, &text, &length, err);
    if (status == WEIR_OK)
        status = check_text(path, text, length, err);
    if (status != WEIR_OK) {
        mem_free(text);
        return status;
    }
    bytes_add_text(&c->files, "--- File: ");
    bytes_add_text(&c->files, path);
    bytes_add_text(&c->files, " ---\n");
    bytes_add(&c->files, text, length);
    if (length > 0 && text[length - 1] != '\n')
        bytes_add_text(&c->files, "\n");
    mem_free(text);
    conversation_say(c, "%s: %zu byte%s, for the next message.", path, length,
                     length == 1 ? "" : "s");
    return bytes_check(&c->files, err);
}

static enum weir_status command_glob(struct conversation *c, const char *argument,
                                     struct weir_error *err)
{
    glob_t found = {0};
    enum weir_status status = WEIR_OK;
    const int result = glob(argument, GLOB_TILDE, NULL, &found);
    if (result != 0)
        status = err_set(err, result == GLOB_NOSPACE ? WEIR_ERR_MEMORY : WEIR_ERR_ARGUMENT,
                         "%s: no file has such a name", argument);
    for (size_t i = 0; i < found.gl_pathc && status == WEIR_OK; i++) {
        struct weir_error why = {0};
        status = add_file(c, found.gl_pathv[i], &why);
        if (status == WEIR_ERR_FORMAT)
            conversation_say(c, "Left out: %s", why.text);
        else if (status != WEIR_OK)
            err_set(err, status, "%s", why.text);
        status = status == WEIR_ERR_FORMAT ? WEIR_OK : status;
    }
    globfree(&found);
    return status;
}

/* ---- figures --------------------------------------------------------------------------------- */

static enum weir_status command_ctx(struct conversation *c, const char *argument,
                                    struct weir_error *err)
{
    (void)argument;
    (void)err;
    chat_figures_context(c);
    return WEIR_OK;
}

static enum weir_status command_stats(struct conversation *c, const char *argument,
                                      struct weir_error *err)
{
    (void)argument;
    (void)err;
    chat_figures_stats(c);
    return WEIR_OK;
}

/* ---- habits of ollama ------------------------------------------------------------------------ */

/* Its names of what flags set. */
static const struct {
    const char *name, *flag;
} parameters[] = {
    {"temperature", "--temp"},
    {"top_k", "--top-k"},
    {"top_p", "--top-p"},
    {"min_p", "--min-p"},
    {"typical_p", "--typical"},
    {"seed", "--seed"},
    {"num_predict", "--predict"},
    {"repeat_last_n", "--repeat-last-n"},
    {"repeat_penalty", "--repeat-penalty"},
    {"presence_penalty", "--presence-penalty"},
    {"frequency_penalty", "--frequency-penalty"},
    {"mirostat", "--mirostat"},
    {"mirostat_eta", "--mirostat-lr"},
    {"mirostat_tau", "--mirostat-ent"},
};

/* The flag of the parameter whose name the text begins with; NULL if there is none. */
static const char *parameter_flag(const char *text, size_t length)
{
    for (size_t i = 0; i < sizeof parameters / sizeof parameters[0]; i++) {
        if (strlen(parameters[i].name) == length && memcmp(parameters[i].name, text, length) == 0)
            return parameters[i].flag;
    }
    return NULL;
}

/* "temperature 0.7": as the flag would have set it. */
static enum weir_status set_parameter(struct conversation *c, const char *argument,
                                      struct weir_error *err)
{
    const struct weir_chat_options before = c->settings;
    struct options changed = *c->options; /* of which only what is chosen below is taken */
    const size_t length = strcspn(argument, " \t");
    const char *flag = parameter_flag(argument, length);
    char name[32];
    const char *value = skip_blanks(argument + length);
    enum weir_status status;
    if (flag == NULL)
        return err_set(err, WEIR_ERR_ARGUMENT, "/set parameter: '%.*s' is none that can be set",
                       (int)length, argument);
    if (value[0] == 0)
        return err_set(err, WEIR_ERR_ARGUMENT, "/set parameter %.*s: needs a value", (int)length,
                       argument);
    snprintf(name, sizeof name, "%.*s", (int)length, argument);
    changed.sampler = before.sampler;
    changed.predict = before.reply_tokens_max > 0 ? (int32_t)before.reply_tokens_max : -1;
    TRY(args_set(&changed, COMMAND_CHAT, flag, name, value, err));
    if (changed.predict == 0)
        return err_set(err, WEIR_ERR_ARGUMENT, "num_predict: an answer of 0 tokens is none");
    c->settings.sampler = changed.sampler;
    c->settings.reply_tokens_max = changed.predict < 0 ? 0 : (uint32_t)changed.predict;
    TRY(conversation_set(c, err));
    conversation_say(c, "%s is %s from now on.", name, value);
out:
    if (status != WEIR_OK)
        c->settings = before;
    return status;
}

static enum weir_status show_model(struct conversation *c, const char *argument,
                                   struct weir_error *err)
{
    (void)argument;
    (void)err;
    chat_figures_model(c);
    return WEIR_OK;
}

/* A command behind a command: its word, and what it needs behind that; NULL: nothing. */
struct subcommand {
    const char *word;
    const char *argument;
    chat_command_fn *run;
};

static void list_subcommands(struct conversation *c, const char *name,
                             const struct subcommand *commands, size_t count)
{
    for (size_t i = 0; i < count; i++)
        conversation_say(c, "  /%s %s%s%s", name, commands[i].word,
                         commands[i].argument != NULL ? " " : "",
                         commands[i].argument != NULL ? commands[i].argument : "");
}

static enum weir_status run_subcommand(struct conversation *c, const char *name,
                                       const struct subcommand *commands, size_t count,
                                       const char *text, struct weir_error *err)
{
    const size_t length = strcspn(text, " \t");
    const char *argument = skip_blanks(text + length);
    if (text[0] == 0) {
        list_subcommands(c, name, commands, count);
        return WEIR_OK;
    }
    for (size_t i = 0; i < count; i++) {
        const struct subcommand *command = &commands[i];
        if (strlen(command->word) != length || memcmp(command->word, text, length) != 0)
            continue;
        if (command->argument != NULL && argument[0] == 0)
            return err_set(err, WEIR_ERR_ARGUMENT, "/%s %s: needs %s", name, command->word,
                           command->argument);
        if (command->argument == NULL && argument[0] != 0)
            return err_set(err, WEIR_ERR_ARGUMENT, "/%s %s: nothing stands behind it", name,
                           command->word);
        return command->run(c, argument, err);
    }
    return err_set(err, WEIR_ERR_ARGUMENT,
                   "/%s: '%s' is nothing that it knows; /help lists what it does", name, text);
}

static enum weir_status command_set(struct conversation *c, const char *argument,
                                    struct weir_error *err)
{
    static const struct subcommand words[] = {
        {"parameter", "NAME VALUE", set_parameter},
        {"system", "TEXT", command_system},
        {"think", NULL, set_reasoning}, /* "" is on */
        {"nothink", NULL, command_nothink},
    };
    return run_subcommand(c, "set", words, sizeof words / sizeof words[0], argument, err);
}

static enum weir_status command_show(struct conversation *c, const char *argument,
                                     struct weir_error *err)
{
    static const struct subcommand words[] = {
        {"info", NULL, show_model},
        {"system", NULL, command_system}, /* without a text it shows it */
    };
    return run_subcommand(c, "show", words, sizeof words / sizeof words[0], argument, err);
}

/* ---- the table ------------------------------------------------------------------------------- */

static chat_command_fn command_help;

static const struct chat_command commands[] = {
    {"help", NULL, false, command_help, "this list"},
    {"?", NULL, false, command_help, NULL},
    {"exit", NULL, false, command_exit, "ends, as do /quit, /bye, Ctrl+D and an idle Ctrl+C"},
    {"quit", NULL, false, command_exit, NULL},
    {"bye", NULL, false, command_exit, NULL},
    {"regen", NULL, false, command_regen, "another answer to the last message"},
    {"undo", NULL, false, command_undo, "takes the last message and its answer back"},
    {"clear", NULL, false, command_clear, "forgets all but the system message"},
    {"system", "TEXT", true, command_system, "sets the system message, or shows it"},
    {"think", "on|off|auto", true, set_reasoning, "whether the model reasons before it answers"},
    {"nothink", NULL, false, command_nothink, "the same as /think off"},
    {"tools", "FILE|off", true, command_tools, "a JSON array of tools that the model may call"},
    {"read", "FILE", false, add_file, "puts a file before the next message"},
    {"glob", "PATTERN", false, command_glob, "the same with all files of such names"},
    {"save", "FILE", false, command_save, "writes the messages to a file"},
    {"load", "FILE", false, command_load, "goes on with the messages of a file"},
    {"stats", NULL, false, command_stats,
     "tokens, how fast they came, and the bytes that one moved"},
    {"ctx", NULL, false, command_ctx, "how much of the context is left"},
    {"set", "WHAT", true, command_set, "parameter NAME VALUE, system TEXT, think, nothink"},
    {"show", "WHAT", true, command_show, "info (of the model), system"},
};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

static enum weir_status command_help(struct conversation *c, const char *argument,
                                     struct weir_error *err)
{
    (void)argument;
    (void)err;
    for (size_t i = 0; i < COMMANDS; i++) {
        char name[32];
        const struct chat_command *command = &commands[i];
        snprintf(name, sizeof name, "/%s %s", command->name,
                 command->argument != NULL ? command->argument : "");
        if (command->help != NULL)
            conversation_say(c, "  %-20s %s", name, command->help);
    }
    conversation_say(c,
                     "\nLines that end in \\ go on, as does a text between \"\"\" and \"\"\".\n");
    return WEIR_OK;
}

static bool takes_file(const struct chat_command *command)
{
    return command->argument != NULL && strncmp(command->argument, "FILE", 4) == 0;
}

bool chat_command_complete(const char *line, size_t *begin, struct completion *out)
{
    const size_t length = strcspn(line, " \t");
    if (line[0] != '/')
        return false;
    if (line[length] != 0)
        *begin = (size_t)(skip_blanks(line + length) - line);
    for (size_t i = 0; i < COMMANDS; i++) {
        char name[32];
        const struct chat_command *command = &commands[i];
        snprintf(name, sizeof name, "/%s%s", command->name, command->argument != NULL ? " " : "");
        if (*begin == 0)
            completion_add(out, line, name);
        else if (strncmp(name, line, length + 1) == 0 && takes_file(command))
            completion_add_files(out, line + *begin);
    }
    return *begin == 0 || out->count > 0;
}

/* Paths begin with a tilde here as in a shell. */
static enum weir_status run_with_file(struct conversation *conversation,
                                      const struct chat_command *command, const char *argument,
                                      struct weir_error *err)
{
    struct bytes path = {0};
    enum weir_status status;
    home_path_add(&path, argument, strlen(argument));
    TRY(bytes_check(&path, err));
    status = command->run(conversation, path.length > 0 ? path.data : "", err);
out:
    bytes_release(&path);
    return status;
}

enum weir_status chat_command_run(struct conversation *conversation, const char *line,
                                  struct weir_error *err)
{
    const char *name = line + 1;
    const size_t length = strcspn(name, " \t");
    const char *argument = skip_blanks(name + length);
    for (size_t i = 0; i < COMMANDS; i++) {
        const struct chat_command *command = &commands[i];
        if (strlen(command->name) != length || memcmp(command->name, name, length) != 0)
            continue;
        if (command->argument == NULL && argument[0] != 0)
            return err_set(err, WEIR_ERR_ARGUMENT, "/%s: nothing stands behind it", command->name);
        if (command->argument != NULL && !command->is_optional && argument[0] == 0)
            return err_set(err, WEIR_ERR_ARGUMENT, "/%s: needs %s", command->name,
                           command->argument);
        return takes_file(command) ? run_with_file(conversation, command, argument, err)
                                   : command->run(conversation, argument, err);
    }
    return err_set(err, WEIR_ERR_ARGUMENT, "/%.*s: no such command; /help lists them", (int)length,
                   name);
}
