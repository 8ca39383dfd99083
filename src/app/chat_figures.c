/* SPDX-License-Identifier: MIT
 * Lays figures of a conversation out. Takes none itself. */
#include "app/chat_figures.h"

#include "app/bill.h"
#include "app/conversation.h"
#include "app/profile_sums.h"

enum { COLUMNS = 80 };

static const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

void chat_figures_model(struct conversation *c)
{
    struct weir_model_info info;
    const struct weir_engine *engine = c->loaded.engine;
    weir_model_info(c->loaded.model, &info);
    conversation_say(c, "%s, %s %s, %.2f M parameters", info.name[0] != 0 ? info.name : info.path,
                     info.architecture, info.file_type, (double)info.parameters / 1e6);
    conversation_say(c, "backend %s %s, %u threads, context %u", weir_engine_backend(engine),
                     weir_engine_isa(engine), weir_engine_threads(engine),
                     weir_engine_context(engine));
}

void chat_figures_context(struct conversation *c)
{
    conversation_say(c, "Context:    %u of %u tokens are left behind what was read and said.",
                     conversation_context_left(c), weir_engine_context(c->loaded.engine));
}

/* "            weights 4.730, kv 0.012", in MB; as many lines as it takes. */
static void show_classes(struct conversation *c, const struct weir_traffic *traffic, int digits)
{
    char line[2 * COLUMNS] = "";
    size_t used = 0;
    for (int class = 0; class < WEIR_TRAFFIC_CLASSES; class ++) {
        char part[COLUMNS];
        const uint64_t bytes = traffic->read[class] + traffic->written[class];
        const int length = snprintf(part, sizeof part, "%s %.*f",
                                    weir_traffic_class_name((enum weir_traffic_class) class),
                                    digits, (double)bytes / 1e6);
        if (used > 0 && used + 2 + (size_t)length + 1 > COLUMNS) {
            conversation_say(c, "%s,", line);
            used = 0;
        }
        used += (size_t)snprintf(line + used, sizeof line - used, "%s%s",
                                 used == 0 ? "            " : ", ", part);
    }
    conversation_say(c, "%s", line);
}

/* Of the token in the middle of the last answer. What the plan says of a token that was evaluated
 * cannot fail. */
static void show_bill(struct conversation *c)
{
    const struct weir_chat_info *last = &c->last;
    const struct round_makers makers = {.engine = c->loaded.engine,
                                        .kind = c->speculation.options.kind,
                                        .drafter = c->speculation.draft.engine};
    struct bill bill;
    if (last->reply_tokens < 2 || last->rounds.rounds == 0)
        return;
    const double ns = (double)last->reply_ns / (last->reply_tokens - 1);
    const uint32_t cached = last->context_tokens - last->reply_tokens / 2 - 1;
    if (bill_make(&bill, &makers, cached, &last->rounds, ns, NULL) != WEIR_OK)
        return;
    const uint64_t bytes = bill_bytes(&bill.traffic);
    const int digits = bytes < 100000000 ? 3 : 1;
    const double rate = bill_rate(bytes, bill.ns);
    conversation_say(c, "A token:    %.*f MB read and written, behind %u tokens (the mean)", digits,
                     (double)bytes / 1e6, cached);
    show_classes(c, &bill.traffic, digits);
    if (bill.peak == 0) {
        conversation_say(c, "            %.2f GB/s (weir bench --probe measures what can be)",
                         rate);
        return;
    }
    const double floor_ms = profile_floor_ms(bytes, bill.peak);
    conversation_say(c, "            %.2f GB/s, %.1f%% of the %.2f GB/s that %u thread%s can read",
                     rate, 100 * rate / bill.peak, bill.peak, bill.threads, plural(bill.threads));
    conversation_say(c, "            %.2f ms at that rate; it took %.2f times as long%s", floor_ms,
                     bill.ns / 1e6 / floor_ms, rate > bill.peak ? ":" : "");
    if (rate > bill.peak)
        conversation_say(c, "            %s", profile_beyond(true));
}

void chat_figures_stats(struct conversation *c)
{
    const struct conversation_totals *totals = &c->totals;
    const struct weir_speculator_info *rounds = &c->last.rounds;
    const uint64_t read = totals->prompt_tokens - totals->reused_tokens;
    conversation_say(c, "Answers:    %u", totals->replies);
    conversation_say(c, "Prompts:    %llu token%s: %llu held already, %llu read, %.1f t/s",
                     (unsigned long long)totals->prompt_tokens, plural(totals->prompt_tokens),
                     (unsigned long long)totals->reused_tokens, (unsigned long long)read,
                     conversation_rate(read, totals->prompt_ns));
    conversation_say(c, "Generation: %llu token%s, %.1f t/s",
                     (unsigned long long)totals->reply_tokens, plural(totals->reply_tokens),
                     conversation_rate(totals->reply_tokens, totals->reply_ns));
    if (rounds->drafts > 0)
        conversation_say(c, "Drafts:     %llu, of which %llu were right",
                         (unsigned long long)rounds->drafts, (unsigned long long)rounds->accepted);
    chat_figures_context(c);
    show_bill(c);
}
