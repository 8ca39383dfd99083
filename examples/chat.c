/* SPDX-License-Identifier: MIT
 * A conversation in a terminal: chat MODEL.gguf, then a line for each message.
 *     cc -o chat chat.c $(pkg-config --cflags --libs weir) */
#include <stdio.h>
#include <string.h>
#include <weir.h>

struct parts {
    struct weir_model *model;
    struct weir_tokenizer *tokenizer;
    struct weir_engine *engine;
    struct weir_session *session;
    struct weir_template *chat_template;
    struct weir_chat *chat;
};

static void print_content(void *user, const struct weir_reply_event *event)
{
    (void)user;
    if (event->kind == WEIR_REPLY_CONTENT)
        printf("%.*s", (int)event->length, event->text);
    fflush(stdout);
}

static int open_parts(struct parts *p, const char *path, struct weir_error *err)
{
    struct weir_chat_options options;
    weir_chat_options_init(&options);
    options.event = print_content;
    return weir_model_open(&p->model, path, NULL, err) != WEIR_OK ||
           weir_tokenizer_open(&p->tokenizer, p->model, err) != WEIR_OK ||
           weir_template_open_model(&p->chat_template, p->model, err) != WEIR_OK ||
           weir_engine_open(&p->engine, p->model, NULL, err) != WEIR_OK ||
           weir_session_open(&p->session, p->engine, err) != WEIR_OK ||
           weir_chat_open(&p->chat, p->session, p->tokenizer, p->chat_template, &options, err);
}

int main(int argc, char **argv)
{
    struct parts p = {NULL};
    struct weir_error err = {0};
    struct weir_chat_info info;
    char line[4096];
    int failed = open_parts(&p, argc == 2 ? argv[1] : "", &err);
    while (!failed && fgets(line, sizeof line, stdin) != NULL) {
        failed = weir_chat_add(p.chat, "user", line, strcspn(line, "\n"), &err) != WEIR_OK ||
                 weir_chat_reply(p.chat, &info, &err) != WEIR_OK;
        printf("\n");
    }
    if (failed)
        fprintf(stderr, "%s\n", err.text);
    weir_chat_close(p.chat);
    weir_template_close(p.chat_template);
    weir_session_close(p.session);
    weir_engine_close(p.engine);
    weir_tokenizer_close(p.tokenizer);
    weir_model_close(p.model);
    return failed;
}
