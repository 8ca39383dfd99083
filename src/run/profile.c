/* SPDX-License-Identifier: MIT
 * What an evaluation costs, op by op: bytes by the plan, times by the clocks of steps that ran.
 * Knows no op: bytes come from plan/traffic.c, times from whoever walks the plan. */
#include "run/profile.h"

#include "base/clock.h"
#include "base/interval.h"
#include "base/mem.h"
#include "plan/work.h"

/* The confidence interval of an op's median over all runs. */
struct op_spread {
    uint64_t low, high; /* ns */
};

/* Found when they are first asked for after a run: reading a profile changes nothing else. */
struct spreads {
    uint32_t runs;         /* that they are of; 0: not found yet */
    struct op_spread *ops; /* [op_count] */
    uint64_t *sorted;      /* [runs_max]: room for the times of an op */
};

/* What an op touches in one step. */
struct op_bytes {
    uint64_t read, written;
};

/* When a step of the plan began and ended, on the clock of the ops; behind the run in nanoseconds,
 * as the ops. */
struct step_span {
    uint64_t begin, end;
};

struct weir_profile {
    struct weir_profile_shape shape;
    const struct weir_engine *engine; /* that it was opened for; NULL: times are unknown */
    uint32_t threads;
    uint32_t op_count, steps;
    uint32_t runs, runs_max;
    struct weir_profile_op *ops; /* [op_count], without times */
    uint32_t steps_max;          /* of a run, wherever its session stands */
    uint32_t steps_done;         /* of the run under way, or of the last one */
    struct step_span *spans;     /* [steps_max], of that run */
    struct op_clock *clocks;     /* [steps_max][threads][op_count], the same */
    struct op_bytes *bytes;      /* [steps_max][op_count], of the shape, with an engine */
    struct op_time *times;       /* [runs_max][op_count] */
    uint64_t *ns;                /* [runs_max] */
    uint32_t *order;             /* [runs]: runs from the shortest to the longest */
    struct spreads *spreads;     /* NULL without an engine */

    /* Whether the clocks of steps are read in ticks. Their rate is measured from the opening of the
     * profile on: over a run alone it would be less certain. */
    bool has_ticks;
    struct clock_moment opened;

    /* When the run under way, or the last one, began, and what all of it took. */
    uint64_t eval_begin, eval_ns;
};

/* ---- bytes ----------------------------------------------------------------------------------- */

_Static_assert((int)WEIR_TRAFFIC_WEIGHTS == TRAFFIC_WEIGHTS &&
                   (int)WEIR_TRAFFIC_EMBEDDING == TRAFFIC_EMBEDDING &&
                   (int)WEIR_TRAFFIC_KV == TRAFFIC_KV && (int)WEIR_TRAFFIC_STATE == TRAFFIC_STATE &&
                   (int)WEIR_TRAFFIC_CONV == TRAFFIC_CONV &&
                   (int)WEIR_TRAFFIC_ACTIVATIONS == TRAFFIC_ACTIVATIONS &&
                   (int)WEIR_TRAFFIC_LOGITS == TRAFFIC_LOGITS &&
                   (int)WEIR_TRAFFIC_CLASSES == TRAFFIC_CLASSES,
               "one is converted to the other");

const char *weir_traffic_class_name(enum weir_traffic_class class)
{
    return traffic_class_name((enum traffic_class) class);
}

/* Told what op `op` touches in one step of the evaluation, and its arithmetic. */
typedef void op_fn(void *user, uint32_t step, uint32_t op, const struct traffic *touched,
                   uint64_t flops);

static void visit_step(const struct plan *plan, uint32_t number, const struct step *step,
                       const struct plan_limits *limits, op_fn *fn, void *user)
{
    for (uint32_t i = 0; i < plan->op_count; i++) {
        struct traffic touched = {0};
        op_traffic(plan, &plan->ops[i], step, limits, &touched);
        fn(user, number, i, &touched, op_work(plan, &plan->ops[i], step));
    }
}

/* The sequences of a step one behind the other, each with so many tokens and rows. Of a round, the
 * tokens of the one before it are pending. */
static void fill_seqs(struct step_seq *seq, const struct weir_profile_shape *shape, uint32_t cached,
                      uint32_t rows)
{
    const uint32_t pending = !shape->is_marked ? 0 : cached < rows ? cached : rows;
    for (uint32_t i = 0; i < shape->sequences; i++)
        seq[i] = (struct step_seq){.slot = i,
                                   .cached = cached,
                                   .row_first = i * rows,
                                   .rows = rows,
                                   .pending = pending,
                                   .settle = pending,
                                   .is_recorded = shape->is_marked};
}

/* All ops of all steps that the evaluation takes; returns the number of steps. `seq` is room for
 * the shape's sequences. The sizes of whole operands are those of these sequences, each as long as
 * it is behind the evaluation. */
static uint32_t visit_ops(const struct blueprint *blueprint, const struct weir_profile_shape *shape,
                          struct step_seq *seq, op_fn *fn, void *user)
{
    uint32_t steps = 0;
    struct plan_limits limits = blueprint->limits;
    limits.slots = shape->sequences;
    for (uint32_t done = 0; done < shape->rows; steps++) {
        const uint32_t cached = shape->cached + done;
        const uint32_t rows = session_step_rows(&blueprint->limits, cached, shape->rows - done);
        const uint32_t outs = done + rows == shape->rows ? engine_outs(shape->logits, rows) : 0;
        limits.context = cached + rows;
        fill_seqs(seq, shape, cached, rows);
        const struct step step = {.rows = shape->sequences * rows,
                                  .seqs = shape->sequences,
                                  .seq = seq,
                                  .outs = shape->sequences * outs};
        visit_step(blueprint->plan, steps, &step, &limits, fn, user);
        done += rows;
    }
    return steps;
}

static enum weir_status check_shape(const struct blueprint *blueprint,
                                    const struct weir_profile_shape *shape, struct weir_error *err)
{
    const struct plan_limits *limits = &blueprint->limits;
    const uint64_t sequences = shape->sequences;
    enum weir_status status;
    if ((unsigned)shape->logits > WEIR_LOGITS_ALL)
        return err_set(err, WEIR_ERR_ARGUMENT, "no such choice of logits: %d", (int)shape->logits);
    TRY(engine_check_logits_rows(limits, shape->rows, shape->logits, err));
    TRY(engine_check_count(limits, shape->cached, shape->rows, err));
    if (shape->is_marked && shape->rows > blueprint->rewind)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "%u tokens behind the mark of a session, expected at most %u", shape->rows,
                       blueprint->rewind);
    if (sequences > 1) /* one may take several steps */
        TRY(engine_check_step(limits, shape->sequences, sequences * shape->rows,
                              sequences * engine_outs(shape->logits, shape->rows), err));
out:
    return status;
}

static void add_classes(struct weir_traffic *sum, const struct traffic *touched)
{
    for (int class = 0; class < TRAFFIC_CLASSES; class ++) {
        sum->read[class] += touched->read[class];
        sum->written[class] += touched->written[class];
    }
}

static void add_to_sum(void *user, uint32_t step, uint32_t op, const struct traffic *touched,
                       uint64_t flops)
{
    (void)step, (void)op, (void)flops;
    add_classes(user, touched);
}

enum weir_status weir_engine_traffic(const struct weir_engine *engine, uint32_t cached,
                                     uint32_t count, enum weir_logits logits,
                                     struct weir_traffic *sum, struct weir_error *err)
{
    const struct weir_profile_shape shape = {
        .cached = cached, .rows = count, .logits = logits, .sequences = 1};
    struct step_seq seq;
    const enum weir_status status = check_shape(&engine->blueprint, &shape, err);
    if (status == WEIR_OK)
        visit_ops(&engine->blueprint, &shape, &seq, add_to_sum, sum);
    return status;
}

void weir_engine_step_traffic(const struct weir_engine *engine, struct weir_traffic *sum)
{
    visit_step(engine->blueprint.plan, 0, &engine->last, &engine->blueprint.limits, add_to_sum,
               sum);
}

enum weir_status weir_engine_mtp_traffic(const struct weir_engine *engine, uint32_t cached,
                                         uint32_t count, enum weir_logits logits,
                                         struct weir_traffic *sum, struct weir_error *err)
{
    const struct plan_limits *limits = &engine->blueprint.limits;
    const struct step_seq seq = {.cached = cached, .rows = count};
    enum weir_status status;
    TRY(engine_check_mtp(engine, count, logits, err));
    TRY(engine_check_count(limits, cached, count, err));
    const struct step step = {
        .rows = count, .seqs = 1, .seq = &seq, .outs = engine_outs(logits, count)};
    visit_step(engine->blueprint.mtp, 0, &step, limits, add_to_sum, sum);
out:
    return status;
}

static void add_bytes(struct op_bytes *sum, const struct traffic *touched)
{
    for (int class = 0; class < TRAFFIC_CLASSES; class ++) {
        sum->read += touched->read[class];
        sum->written += touched->written[class];
    }
}

/* A step in which an op has no rows is no call of it. */
static void add_to_op(void *user, uint32_t step, uint32_t op, const struct traffic *touched,
                      uint64_t flops)
{
    const struct weir_profile *profile = user;
    struct weir_profile_op *sum = &profile->ops[op];
    if (profile->engine != NULL)
        add_bytes(&profile->bytes[(uint64_t)step * profile->op_count + op], touched);
    add_classes(&sum->traffic, touched);
    sum->operand_bytes += touched->operand;
    sum->flops += flops;
    sum->calls += touched->operand > 0;
}

/* ---- opening --------------------------------------------------------------------------------- */

static void name_ops(struct weir_profile *profile, const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->op_count; i++) {
        const struct op *op = &plan->ops[i];
        profile->ops[i].kind = op_info(op->kind)->name;
        profile->ops[i].role = plan->roles[op->role];
        profile->ops[i].layer = op->layer == LAYER_NONE ? -1 : op->layer;
    }
}

static enum weir_status count_bytes(struct weir_profile *profile, const struct blueprint *blueprint,
                                    struct weir_error *err)
{
    struct step_seq *seq = mem_alloc(profile->shape.sequences, sizeof *seq, err);
    profile->ops = mem_alloc(profile->op_count, sizeof *profile->ops, err);
    profile->bytes =
        mem_alloc((uint64_t)profile->steps_max * profile->op_count, sizeof *profile->bytes, err);
    const bool has_room = seq != NULL && profile->ops != NULL && profile->bytes != NULL;
    if (has_room) {
        name_ops(profile, blueprint->plan);
        profile->steps = visit_ops(blueprint, &profile->shape, seq, add_to_op, profile);
    }
    mem_free(seq);
    return has_room ? WEIR_OK : WEIR_ERR_MEMORY;
}

/* Without room for times. The engine is NULL if nothing is to run; then the bytes of each step are
 * not kept, since nobody asks for them. */
static enum weir_status profile_create(struct weir_profile **out, const struct blueprint *blueprint,
                                       const struct weir_engine *engine,
                                       const struct weir_profile_shape *shape,
                                       struct weir_error *err)
{
    struct weir_profile_shape whole = *shape;
    whole.sequences += whole.sequences == 0;
    enum weir_status status = check_shape(blueprint, &whole, err);
    if (status != WEIR_OK)
        return status;
    struct weir_profile *profile = mem_alloc(1, sizeof *profile, err);
    if (profile == NULL)
        return WEIR_ERR_MEMORY;
    profile->shape = whole;
    profile->op_count = blueprint->plan->op_count;
    profile->engine = engine;
    if (engine != NULL) {
        profile->threads = blueprint->threads;
        profile->steps_max = session_steps_max(&blueprint->limits, whole.rows);
    }
    status = count_bytes(profile, blueprint, err);
    if (status != WEIR_OK) {
        weir_profile_close(profile);
        return status;
    }
    *out = profile;
    return WEIR_OK;
}

enum weir_status weir_profile_open(struct weir_profile **out, const struct weir_model *model,
                                   const struct weir_engine_options *options,
                                   const struct weir_profile_shape *shape, struct weir_error *err)
{
    struct weir_engine_options defaults;
    struct blueprint blueprint;
    *out = NULL;
    weir_engine_options_init(&defaults);
    enum weir_status status =
        blueprint_open(&blueprint, model, options != NULL ? options : &defaults, err);
    if (status != WEIR_OK)
        return status;
    status = profile_create(out, &blueprint, NULL, shape, err);
    blueprint_close(&blueprint);
    return status;
}

static enum weir_status make_spreads(struct weir_profile *profile, uint32_t runs,
                                     struct weir_error *err)
{
    struct spreads *spreads = mem_alloc(1, sizeof *spreads, err);
    profile->spreads = spreads;
    if (spreads == NULL)
        return WEIR_ERR_MEMORY;
    spreads->ops = mem_alloc(profile->op_count, sizeof *spreads->ops, err);
    spreads->sorted = mem_alloc(runs, sizeof *spreads->sorted, err);
    return spreads->ops != NULL && spreads->sorted != NULL ? WEIR_OK : WEIR_ERR_MEMORY;
}

static void free_spreads(struct spreads *spreads)
{
    if (spreads == NULL)
        return;
    mem_free(spreads->ops);
    mem_free(spreads->sorted);
    mem_free(spreads);
}

static enum weir_status make_room(struct weir_profile *profile, uint32_t runs,
                                  struct weir_error *err)
{
    const uint64_t times = (uint64_t)runs * profile->op_count;
    uint64_t clocks;
    if (!size_mul((uint64_t)profile->steps_max * profile->op_count, profile->threads, &clocks))
        return err_set(err, WEIR_ERR_MEMORY, "spans of %u steps do not fit in 64 bits",
                       profile->steps_max);
    profile->spans = mem_alloc(profile->steps_max, sizeof *profile->spans, err);
    profile->clocks = mem_alloc(clocks, sizeof *profile->clocks, err);
    profile->times = mem_alloc(times, sizeof *profile->times, err);
    profile->ns = mem_alloc(runs, sizeof *profile->ns, err);
    profile->order = mem_alloc(runs, sizeof *profile->order, err);
    profile->runs_max = runs;
    profile->has_ticks = clock_has_ticks();
    if (profile->has_ticks)
        profile->opened = clock_moment();
    const bool is_complete = profile->spans != NULL && profile->clocks != NULL &&
                             profile->times != NULL && profile->ns != NULL &&
                             profile->order != NULL;
    return is_complete ? make_spreads(profile, runs, err) : WEIR_ERR_MEMORY;
}

enum weir_status weir_profile_open_engine(struct weir_profile **out,
                                          const struct weir_engine *engine,
                                          const struct weir_profile_shape *shape, uint32_t runs,
                                          struct weir_error *err)
{
    *out = NULL;
    if (runs == 0)
        return err_set(err, WEIR_ERR_ARGUMENT, "a profile of 0 runs, expected at least 1");
    struct weir_profile *profile = NULL;
    enum weir_status status = profile_create(&profile, &engine->blueprint, engine, shape, err);
    if (status != WEIR_OK)
        return status;
    status = make_room(profile, runs, err);
    if (status != WEIR_OK) {
        weir_profile_close(profile);
        return status;
    }
    *out = profile;
    return WEIR_OK;
}

void weir_profile_close(struct weir_profile *profile)
{
    if (profile == NULL)
        return;
    mem_free(profile->ops);
    mem_free(profile->spans);
    mem_free(profile->clocks);
    mem_free(profile->bytes);
    mem_free(profile->times);
    mem_free(profile->ns);
    mem_free(profile->order);
    free_spreads(profile->spreads);
    mem_free(profile);
}

/* ---- times ----------------------------------------------------------------------------------- */

/* The clocks of one step. */
struct step_clocks {
    const struct op_clock *all; /* [threads][ops] */
    uint32_t threads, ops;
    uint64_t end; /* of the step */
};

static const struct op_clock *clock_at(const struct step_clocks *clocks, uint32_t thread,
                                       uint32_t op)
{
    return &clocks->all[(uint64_t)thread * clocks->ops + op];
}

/* The thread that ended op `op` last: the others waited for it, if they waited. */
static uint32_t last_thread(const struct step_clocks *clocks, uint32_t op)
{
    uint32_t last = 0;
    for (uint32_t thread = 1; thread < clocks->threads; thread++) {
        if (clock_at(clocks, thread, op)->end > clock_at(clocks, last, op)->end)
            last = thread;
    }
    return last;
}

/* When the first thread began the op behind `op`. */
static uint64_t next_begin(const struct step_clocks *clocks, uint32_t op)
{
    uint64_t first = clocks->end;
    for (uint32_t thread = 0; thread < clocks->threads && op + 1 < clocks->ops; thread++) {
        const uint64_t begin = clock_at(clocks, thread, op + 1)->begin;
        first = begin < first ? begin : first;
    }
    return first;
}

/* How long all threads together waited behind an op. */
static uint64_t wait_behind(const struct step_clocks *clocks, uint32_t op)
{
    uint64_t wait = 0;
    for (uint32_t thread = 0; thread < clocks->threads; thread++) {
        const bool is_last = op + 1 == clocks->ops;
        wait += (is_last ? clocks->end : clock_at(clocks, thread, op + 1)->begin) -
                clock_at(clocks, thread, op)->end;
    }
    return wait;
}

/* Ops [first, last] between two barriers, the second of which ends at `to`. */
static void charge_phase(const struct step_clocks *clocks, uint32_t first, uint32_t last,
                         uint64_t from, uint64_t to, struct op_time *times)
{
    const uint32_t thread = last_thread(clocks, last);
    for (uint32_t i = first; i <= last; i++) {
        const struct op_clock *clock = clock_at(clocks, thread, i);
        const uint64_t next = i == last ? to : clock_at(clocks, thread, i + 1)->begin;
        times[i].ns += next - from;
        times[i].gap_ns += next - from - (clock->end - clock->begin);
        from = next;
    }
}

void profile_charge(const struct op_clock *all, uint32_t threads, uint32_t ops, uint64_t begin,
                    uint64_t end, struct op_time *times)
{
    const struct step_clocks clocks = {all, threads, ops, end};
    for (uint32_t i = 0, first = 0; i < ops; i++) {
        const uint64_t next = next_begin(&clocks, i);
        times[i].wait_ns += wait_behind(&clocks, i);
        if (next < clock_at(&clocks, last_thread(&clocks, i), i)->end)
            continue; /* no barrier behind it: a thread went on before all had ended */
        charge_phase(&clocks, first, i, begin, next, times);
        first = i + 1;
        begin = next;
    }
}

/* The clocks of a step of the run under way or the last one. */
static struct op_clock *clocks_of(const struct weir_profile *profile, uint32_t step)
{
    return profile->clocks + (uint64_t)step * profile->threads * profile->op_count;
}

enum weir_status profile_run_step(struct weir_profile *profile, struct weir_engine *engine,
                                  struct step *step, struct weir_error *err)
{
    struct step_span *span = &profile->spans[profile->steps_done];
    step->clocks = clocks_of(profile, profile->steps_done++);
    step->clock = profile->has_ticks ? clock_ticks : clock_ns;
    span->begin = step->clock();
    const enum weir_status status = engine->blueprint.backend->run(engine->exec, step, err);
    span->end = step->clock();
    return status;
}

/* Makes nanoseconds of the ticks of all steps of the run. */
static void convert_run(struct weir_profile *profile)
{
    const struct clock_moment now = clock_moment();
    const uint64_t clocks = (uint64_t)profile->steps_done * profile->threads * profile->op_count;
    for (uint32_t step = 0; step < profile->steps_done; step++) {
        struct step_span *span = &profile->spans[step];
        span->begin = clock_since(&profile->opened, &now, span->begin);
        span->end = clock_since(&profile->opened, &now, span->end);
    }
    for (uint64_t i = 0; i < clocks; i++) {
        struct op_clock *clock = &profile->clocks[i];
        clock->begin = clock_since(&profile->opened, &now, clock->begin);
        clock->end = clock_since(&profile->opened, &now, clock->end);
    }
}

/* What all steps of the run took. */
static void charge_run(struct weir_profile *profile)
{
    struct op_time *times = profile->times + (uint64_t)profile->runs * profile->op_count;
    for (uint32_t step = 0; step < profile->steps_done; step++) {
        const struct step_span *span = &profile->spans[step];
        profile_charge(clocks_of(profile, step), profile->threads, profile->op_count, span->begin,
                       span->end, times);
        profile->ns[profile->runs] += span->end - span->begin;
    }
}

/* From here on the engine's steps belong to a new run. */
static void begin_run(struct weir_profile *profile, struct weir_engine *engine)
{
    profile->steps_done = 0;
    profile->eval_ns = 0;
    engine->profile = profile;
    profile->eval_begin = clock_ns();
}

static void sort_in_run(struct weir_profile *profile)
{
    uint32_t place = profile->runs;
    for (; place > 0 && profile->ns[profile->order[place - 1]] > profile->ns[profile->runs];
         place--)
        profile->order[place] = profile->order[place - 1];
    profile->order[place] = profile->runs++;
}

/* A run that was cut short is not kept. */
static void end_run(struct weir_profile *profile, struct weir_engine *engine,
                    enum weir_status status)
{
    const uint64_t end = clock_ns();
    engine->profile = NULL;
    if (status != WEIR_OK) {
        profile->steps_done = 0;
        return;
    }
    profile->eval_ns = end - profile->eval_begin;
    if (profile->has_ticks)
        convert_run(profile);
    charge_run(profile);
    sort_in_run(profile);
}

/* That the profile can be told of a run of this engine. */
static enum weir_status check_engine(const struct weir_profile *profile,
                                     const struct weir_engine *engine, struct weir_error *err)
{
    const bool is_same = profile->engine == engine && /* or one at the address of a closed one */
                         profile->threads == engine->blueprint.threads &&
                         profile->op_count == engine->blueprint.plan->op_count;
    if (!is_same)
        return err_set(err, WEIR_ERR_ARGUMENT, "a profile that was not opened for this engine");
    if (profile->runs == profile->runs_max)
        return err_set(err, WEIR_ERR_FULL, "the profile is full: it has room for %u runs",
                       profile->runs_max);
    return WEIR_OK;
}

enum weir_status weir_profile_run(struct weir_profile *profile, struct weir_session *session,
                                  const int32_t *tokens, struct weir_error *err)
{
    struct weir_engine *engine = session->engine;
    enum weir_status status;
    TRY(check_engine(profile, engine, err));
    if (profile->shape.sequences > 1)
        return err_set(err, WEIR_ERR_ARGUMENT, "a profile of %u sequences is run with one",
                       profile->shape.sequences);
    begin_run(profile, engine);
    status = weir_session_eval(session, tokens, profile->shape.rows, profile->shape.logits, err);
    end_run(profile, engine, status);
out:
    return status;
}

static enum weir_status check_items(const struct weir_profile *profile,
                                    const struct weir_step_item *items, uint32_t count,
                                    struct weir_error *err)
{
    const struct weir_profile_shape *shape = &profile->shape;
    if (count != shape->sequences)
        return err_set(err, WEIR_ERR_ARGUMENT, "a profile of %u sequences is run with %u",
                       shape->sequences, count);
    for (uint32_t i = 0; i < count; i++) {
        if (items[i].count != shape->rows || items[i].logits != shape->logits)
            return err_set(err, WEIR_ERR_ARGUMENT,
                           "item %u of the step has %u tokens and logits %d, expected %u and %d as "
                           "the profile",
                           i, items[i].count, (int)items[i].logits, shape->rows,
                           (int)shape->logits);
    }
    return WEIR_OK;
}

enum weir_status weir_profile_run_step(struct weir_profile *profile,
                                       const struct weir_step_item *items, uint32_t items_count,
                                       struct weir_error *err)
{
    enum weir_status status;
    TRY(check_items(profile, items, items_count, err));
    struct weir_engine *engine = items[0].session->engine;
    TRY(check_engine(profile, engine, err));
    begin_run(profile, engine);
    status = weir_engine_step(engine, items, items_count, err);
    end_run(profile, engine, status);
out:
    return status;
}

/* ---- what is known --------------------------------------------------------------------------- */

/* The median run; of an even number the shorter of the two. */
static uint32_t median_run(const struct weir_profile *profile)
{
    return profile->order[(profile->runs - 1) / 2];
}

static const struct op_spread *spread_of(const struct weir_profile *profile, uint32_t op)
{
    struct spreads *spreads = profile->spreads;
    for (uint32_t i = 0; spreads->runs != profile->runs && i < profile->op_count; i++) {
        for (uint32_t run = 0; run < profile->runs; run++)
            spreads->sorted[run] = profile->times[(uint64_t)run * profile->op_count + i].ns;
        interval_of_median(spreads->sorted, profile->runs, &spreads->ops[i].low,
                           &spreads->ops[i].high);
    }
    spreads->runs = profile->runs;
    return &spreads->ops[op];
}

void weir_profile_info(const struct weir_profile *profile, struct weir_profile_info *out)
{
    *out = (struct weir_profile_info){.shape = profile->shape,
                                      .ops = profile->op_count,
                                      .steps = profile->steps,
                                      .threads = profile->threads,
                                      .runs = profile->runs,
                                      .eval_ns = profile->eval_ns,
                                      .span_steps = profile->steps_done};
    if (profile->runs == 0)
        return;
    out->ns = profile->ns[median_run(profile)];
    out->ns_min = profile->ns[profile->order[0]];
    out->ns_max = profile->ns[profile->order[profile->runs - 1]];
    const uint32_t rank = interval_rank(profile->runs), outer = rank == 0 ? 0 : rank - 1;
    out->ns_low = profile->ns[profile->order[outer]];
    out->ns_high = profile->ns[profile->order[profile->runs - 1 - outer]];
}

void weir_profile_op(const struct weir_profile *profile, uint32_t op, struct weir_profile_op *out)
{
    *out = profile->ops[op];
    if (profile->runs == 0)
        return;
    const struct op_time *time =
        &profile->times[(uint64_t)median_run(profile) * profile->op_count + op];
    out->ns = time->ns;
    out->wait_ns = time->wait_ns;
    const struct op_spread *spread = spread_of(profile, op);
    out->ns_low = spread->low;
    out->ns_high = spread->high;
    out->gap_ns = time->gap_ns;
}

void weir_profile_step_span(const struct weir_profile *profile, uint32_t step,
                            struct weir_profile_span *out)
{
    const struct step_span *span = &profile->spans[step];
    const uint64_t begin = profile->spans[0].begin;
    *out = (struct weir_profile_span){.begin = span->begin - begin, .end = span->end - begin};
    for (uint32_t op = 0; op < profile->op_count; op++) {
        const struct op_bytes *bytes = &profile->bytes[(uint64_t)step * profile->op_count + op];
        out->read += bytes->read;
        out->written += bytes->written;
    }
}

void weir_profile_op_span(const struct weir_profile *profile, uint32_t step, uint32_t thread,
                          uint32_t op, struct weir_profile_span *out)
{
    const struct op_bytes *bytes = &profile->bytes[(uint64_t)step * profile->op_count + op];
    const uint64_t begin = profile->spans[0].begin;
    const struct op_clock *clock =
        clocks_of(profile, step) + (uint64_t)thread * profile->op_count + op;
    *out = (struct weir_profile_span){.begin = clock->begin - begin,
                                      .end = clock->end - begin,
                                      .read = bytes->read,
                                      .written = bytes->written};
}
