/* SPDX-License-Identifier: MIT
 * The endpoints of slots: what they do, and saving, restoring and erasing what they hold. The only
 * file that makes a path of what a client says. Knows nothing of sessions and caches. */
#include "serve/respond.h"
#include "serve/service.h"
#include "serve/translate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/mem.h"

/* ---- what they do ---------------------------------------------------------------------------- */

static void put_slot(struct bytes *out, const struct slot_info *slot, bool is_speculative)
{
    put_open(out, NULL, '{');
    put_integer(out, "id", slot->id);
    put_integer(out, "n_ctx", slot->context);
    put_bool(out, "speculative", is_speculative);
    put_bool(out, "is_processing", slot->is_busy);
    if (slot->job > 0) {
        put_integer(out, "id_task", (int64_t)slot->job);
        put_integer(out, "n_held", slot->held);
        put_timings(out, "timings", &slot->timings);
    }
    put_close(out, '}');
}

static void refuse_text(struct http_exchange *exchange, enum api_error error, const char *text)
{
    refuse(exchange, SHAPE_OPENAI, &(struct refusal){.error = error, .text = text});
}

void serve_slots(struct server *server, struct http_exchange *exchange)
{
    const uint32_t slots = scheduler_slots(server->scheduler);
    const bool is_speculative = server->options.scheduler.speculator.kind != WEIR_DRAFT_NONE;
    struct bytes body = {0};
    uint32_t busy = 0;
    if (!server->options.slots) {
        refuse_text(exchange, API_NOT_SUPPORTED,
                    "This server does not support slots endpoint. Start it with `--slots`");
        return;
    }
    put_open(&body, NULL, '[');
    for (uint32_t i = 0; i < slots; i++) {
        struct slot_info slot;
        scheduler_slot(server->scheduler, i, &slot);
        put_slot(&body, &slot, is_speculative);
        busy += slot.is_busy;
    }
    put_close(&body, ']');
    if (busy < slots || http_query(exchange, "fail_on_no_slot") == NULL) {
        reply_json(exchange, 200, &body);
        return;
    }
    refuse_text(exchange, API_UNAVAILABLE, "no slot available");
    bytes_release(&body);
}

/* ---- their files ----------------------------------------------------------------------------- */

/* A plain name: it leads nowhere but into the folder. */
static bool is_plain(struct json_text name)
{
    enum { NAME_BYTES_MAX = 200 }; // so that what a writer puts behind it still fits into 255
    if (name.length == 0 || name.length > NAME_BYTES_MAX || name.bytes[0] == '.')
        return false;
    for (size_t i = 0; i < name.length; i++) {
        const uint8_t c = (uint8_t)name.bytes[i];
        if (c < 0x20 || c == 0x7f || c == '/' || c == '\\' || c == ':')
            return false;
    }
    return memmem(name.bytes, name.length, "..", 2) == NULL;
}

/* The path of a file in the folder; it is regular or not there: no link leads out of the folder. */
static enum weir_status make_path(char **out, const char *folder, struct json_text name,
                                  struct weir_error *err)
{
    struct bytes path = {0};
    struct stat info;
    *out = NULL;
    if (name.bytes == NULL || !is_plain(name))
        return err_set(err, WEIR_ERR_ARGUMENT, "Invalid filename");
    bytes_add_text(&path, folder);
    bytes_add_text(&path, "/");
    bytes_add(&path, name.bytes, name.length);
    const enum weir_status status = bytes_check(&path, err);
    if (status != WEIR_OK) {
        bytes_release(&path);
        return status;
    }
    const bool is_there = lstat(path.data, &info) == 0;
    if ((is_there && !S_ISREG(info.st_mode)) || (!is_there && errno != ENOENT)) {
        bytes_release(&path);
        return err_set(err, WEIR_ERR_ARGUMENT, "Invalid filename");
    }
    *out = path.data;
    return WEIR_OK;
}

/* How llama-server calls an action and the figures of its response. */
static const struct action {
    const char *name;
    enum slot_action action;
    const char *tokens, *bytes, *time; /* NULL: not told */
} actions[] = {
    {"save", SLOT_SAVE, "n_saved", "n_written", "save_ms"},
    {"restore", SLOT_RESTORE, "n_restored", "n_read", "restore_ms"},
    {"erase", SLOT_ERASE, "n_erased", NULL, NULL},
};

static const struct action *find_action(const char *name)
{
    for (size_t i = 0; name != NULL && i < sizeof actions / sizeof actions[0]; i++)
        if (strcmp(actions[i].name, name) == 0)
            return &actions[i];
    return NULL;
}

static bool is_gone(void *exchange)
{
    return http_is_gone(exchange);
}

static enum weir_status act(struct bytes *out, struct server *server, struct slot_wish *wish,
                            const struct action *action, struct json_text name, uint32_t *retry_s,
                            struct weir_error *err)
{
    const uint64_t began_ns = clock_ns();
    struct slot_outcome outcome = {0};
    char *path = NULL;
    enum weir_status status = WEIR_OK;
    if (action->bytes != NULL)
        TRY(make_path(&path, server->options.slot_save_path, name, err));
    wish->action = action->action;
    wish->path = path;
    TRY(scheduler_slot_action(server->scheduler, wish, &outcome, err));
    put_open(out, NULL, '{');
    put_integer(out, "id_slot", wish->slot);
    if (action->bytes != NULL)
        put_string(out, "filename", name.bytes, name.length);
    put_integer(out, action->tokens, outcome.tokens);
    if (action->bytes != NULL) {
        put_integer(out, action->bytes, (int64_t)outcome.bytes);
        put_open(out, "timings", '{');
        put_number(out, action->time, (double)((clock_ns() - began_ns) / 1000) / 1000);
        put_close(out, '}');
    }
    put_close(out, '}');
out:
    *retry_s = outcome.retry_s;
    mem_free(path);
    return status;
}

/* "/slots/N": N. */
static const char *digits_of(const char *path)
{
    return path + sizeof "/slots/" - 1;
}

static bool is_slot(const char *path)
{
    const char *digits = digits_of(path);
    return digits[0] != 0 && digits[strspn(digits, "0123456789")] == 0;
}

/* False if there is no such slot. */
static bool read_slot(const struct server *server, const char *path, uint32_t *out)
{
    const char *digits = digits_of(path);
    if (strlen(digits) > 5)
        return false;
    *out = (uint32_t)strtoul(digits, NULL, 10);
    return *out < scheduler_slots(server->scheduler);
}

static enum weir_status read_name(struct json_document **document, struct json_text *name,
                                  struct span body, struct weir_error *err)
{
    *name = (struct json_text){NULL, 0};
    if (body.length == 0)
        return WEIR_OK;
    const enum weir_status status =
        translate_open(document, (const char *)body.data, body.length, err);
    if (status != WEIR_OK)
        return status;
    return request_text(json_root(*document), "filename", name, err);
}

/* Errors of files begin with their path, of which the folder is nobody's business. */
static void refuse_act(const struct server *server, struct http_exchange *exchange,
                       enum weir_status status, uint32_t retry_s, const struct weir_error *err)
{
    const char *folder = server->options.slot_save_path;
    const size_t length = strlen(folder);
    const bool has_folder = strncmp(err->text, folder, length) == 0 && err->text[length] == '/';
    refuse(exchange, SHAPE_OPENAI,
           &(struct refusal){.error = retry_s > 0 ? API_BUSY : api_error_from(status),
                             .text = has_folder ? err->text + length + 1 : err->text,
                             .retry_s = retry_s});
}

void serve_slot_action(struct server *server, struct http_exchange *exchange)
{
    const struct action *action = find_action(http_query(exchange, "action"));
    struct json_document *document = NULL;
    struct bytes body = {0};
    struct weir_error err = {0};
    struct json_text name;
    struct slot_wish wish = {.is_gone = is_gone, .user = exchange};
    uint32_t retry_s = 0;
    if (!is_slot(http_path(exchange))) {
        refuse_text(exchange, API_NOT_FOUND, "File Not Found");
        return;
    }
    if (server->options.slot_save_path == NULL) {
        refuse_text(exchange, API_NOT_SUPPORTED,
                    "This server does not support slots action. Start it with `--slot-save-path`");
        return;
    }
    if (!read_slot(server, http_path(exchange), &wish.slot)) {
        refuse_text(exchange, API_INVALID, "Invalid slot ID");
        return;
    }
    if (action == NULL) {
        refuse_text(exchange, API_INVALID, "Invalid action");
        return;
    }
    enum weir_status status = read_name(&document, &name, http_body(exchange), &err);
    if (status == WEIR_OK)
        status = act(&body, server, &wish, action, name, &retry_s, &err);
    if (status == WEIR_ERR_IO && action->action == SLOT_RESTORE)
        status = WEIR_ERR_ARGUMENT; // there is no such file
    if (status == WEIR_OK)
        reply_json(exchange, 200, &body);
    else
        refuse_act(server, exchange, status, retry_s, &err);
    bytes_release(&body);
    json_close(document);
}
