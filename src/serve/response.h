/* SPDX-License-Identifier: MIT
 * What becomes of a request: its choices, built up from the events of their jobs, and told in the
 * form of an API, piece by piece or as a whole. Waits for nothing and sends nothing. */
#ifndef SERVE_RESPONSE_H
#define SERVE_RESPONSE_H

#include "base/reply_message.h"
#include "serve/api_error.h"
#include "serve/api_request.h"
#include "serve/reply_tokens.h"
#include "serve/scheduler.h"
#include "serve/token_lists.h"

/* What forms that tell blocks or items remember: see parts.h. */
enum part { PART_NONE, PART_REASONING, PART_CONTENT, PART_CALL };

struct parts {
    enum part open;
    uint32_t count; /* the open one too */
    uint64_t begin; /* bytes of reasoning or content that were said before it */
};

struct choice {
    struct response *response;
    uint32_t index;
    struct weir_reply *reply; /* takes the text apart; NULL: all is content */
    struct message said;      /* so far */
    struct bytes logprobs;    /* elements of a list: of all tokens, or not told in the stream yet */
    struct token_lists lists; /* the same as lists, of forms that tell those */
    struct bytes
        part_logprobs;   /* of all tokens of the open part, of forms that tell them by parts */
    struct bytes tokens; /* ids, likewise */
    const char *prompt;  /* its text, for forms that tell it; borrowed */
    size_t prompt_length;
    uint32_t slot;
    struct reply_tokens places; /* of the tokens so far */
    bool has_started, is_over;
    enum job_end end;
    struct bytes stop;          /* the text that it ended at */
    struct job_timings timings; /* so far */
    uint32_t done;              /* tokens of the prompt that are held, of the last PROGRESS */
    struct parts parts;
    struct bytes items; /* parts that are closed, as JSON */
};

struct response {
    const struct form *form;
    const struct request *request;
    const struct weir_tokenizer *tokenizer;
    const char *model; /* how it is called */
    uint64_t seed;     /* of ids */
    int64_t created;   /* seconds since 1970 */
    struct choice *choices;
    uint32_t choices_count;
    struct bytes unsent; /* takes the place of a stream that is not there */
    struct bytes *out;   /* while events are taken: where to, if it is streamed */
    uint32_t sequence;   /* events told, for forms that count them */
    bool has_failed;     /* it ends here, with an error */
    enum api_error failure;
    struct weir_error err; /* its text */
};

/* How an API tells an answer. All functions but the last write the stream, to response->out; what
 * is NULL is not told. */
struct form {
    enum api_shape shape; /* of errors */
    bool begins_late;     /* with what is known of the prompt, not when the job has its slot */
    bool tells_tokens;    /* by their ids */
    bool tells_lists;     /* choice->lists beside choice->logprobs */
    bool tells_text;      /* choice->logprobs has tokens of the text alone, not of reasoning */
    bool keeps_items;     /* choice->items, which the stream's functions write, are the whole */
    void (*begin)(struct response *response, struct choice *choice);
    void (*progress)(struct response *response, struct choice *choice); /* of the prompt */
    /* Text of a choice that is not taken apart. Of choice->logprobs and tokens it tells what is
     * there, and clears them and the lists. */
    void (*text)(struct response *response, struct choice *choice, const char *text, size_t length);
    void (*said)(struct response *response, struct choice *choice,
                 const struct weir_reply_event *event); /* of one that is: before choice->said */
    void (*over)(struct response *response, struct choice *choice);
    void (*end)(struct response *response); /* all choices are over */
    /* A stream that has failed, in place of the rest; NULL: as the body of an error. */
    void (*failed)(struct response *response, const struct refusal *refusal);
    void (*whole)(struct response *response, struct bytes *out);
    const char *ping; /* what is sent in silence */
};

extern const struct form form_chat, form_completion, form_native, form_messages, form_responses;

/* Takes memory for so many choices, which have nothing but their index. */
enum weir_status response_open(struct response *response, uint32_t choices, struct weir_error *err);
void response_release(struct response *response);

/* How the text of a chat is taken apart. */
struct chat_options {
    const char *tools; /* JSON, borrowed while it is; NULL: none */
    size_t tools_length;
    bool in_reasoning, may_reason; /* what the prompt says of it: see weir_reply_options */
};

/* The choice's text is taken apart from now on. */
enum weir_status response_parse(struct response *response, struct choice *choice,
                                const struct chat_options *chat, struct weir_error *err);

/* Takes an event of the choice's job. What is to be told of it is added to `out`; NULL: the answer
 * is told as a whole. */
void response_take(struct response *response, struct choice *choice, const struct job_event *event,
                   struct bytes *out);
bool response_is_over(const struct response *response);
/* Whether the tokens of prompts are told, with their logprobs. */
bool response_tells_prompts(const struct response *response);
/* WEIR_ERR_MEMORY if something of it could not be kept. */
enum weir_status response_check(const struct response *response, struct weir_error *err);
/* A stream that has failed: what is told in place of the rest. */
void response_put_failure(struct response *response, struct bytes *out);

/* ---- what forms share ------------------------------------------------------------------------ */

/* "data: " and the end of an event around JSON; with a name, "event: NAME" before it. */
void event_open(struct bytes *out, const char *name);
void event_close(struct bytes *out);

/* Whether its text is over, and by no will of the model or the request. */
bool choice_is_cut(const struct choice *choice);
/* "stop", "length", "tool_calls" */
const char *choice_finish(const struct choice *choice);
/* The object "timings" of llama-server, with the bytes that the reply has touched. */
void put_timings(struct bytes *out, const char *key, const struct job_timings *timings);
/* Sums over the choices, as /metrics has them. */
struct job_timings response_timings(const struct response *response);
/* Sums over the choices; prompts that are one and the same count once. */
struct usage {
    uint64_t prompt, cached, reply, reasoning;
};
struct usage response_usage(const struct response *response);
/* OpenAI's object "usage"; and what it ends with, where its members have other names. */
void put_usage(const struct response *response, struct bytes *out);
void put_usage_details(const struct usage *usage, const char *prompt, const char *reply,
                       struct bytes *out);
/* null, or why a choice has ended. */
void put_finish(const char *finish, struct bytes *out);
/* What chunks and answers of OpenAI's have behind their choices; the last one has sums too. */
void put_tail(const struct response *response, const char *object, const char *prefix, bool is_last,
              struct bytes *out);
/* "prompt_progress" */
void put_progress(const struct choice *choice, struct bytes *out);
/* The call's id, of letters and digits, the same whenever it is asked for. */
void put_call_id(const struct response *response, const struct choice *choice, uint64_t call,
                 const char *key, const char *prefix, struct bytes *out);

#endif
