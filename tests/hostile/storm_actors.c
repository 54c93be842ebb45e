/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Those who live in a spoilt subprocess: one thread switches, one waits on a queue, one runs the guest that spoils. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "arch.h"
#include "guests.h"
#include "soak.h"
#include "storm.h"

#define CORRUPT_CODE_AT (GUEST_CODE_AT + GUEST_CODE_SIZE)
#define SCRATCH_AT      GUEST_HOLE_AT
#define SCRATCH_SIZE    16384
#define SHORT_WAIT_NS   20000000
#define LONG_WAIT_NS    1000000000
#define SPIN_NS         20000 /* for which a thread looks before it leaves its context to the queue */

void check_documented(struct check_place place, const char *what, int result)
{
    static const int documented[] = {0,       -EINVAL, -ENOMEM, -EAGAIN, -EMFILE, -ESRCH,
                                     -EFAULT, -EPERM,  -EACCES, -EEXIST, -EIO};
    for (size_t i = 0; i < ARRAY_SIZE(documented); i++)
        if (result == documented[i])
            return;
    check_failed(place, "%s: returned %d (%s)", what, result, tg_strerror(result));
}

#define DOCUMENTED(actor, call)                                                                                        \
    __extension__({                                                                                                    \
        const int documented_result = BOUNDED((actor)->bounded, call);                                                 \
        check_documented(CHECK_HERE, #call, documented_result);                                                        \
        documented_result;                                                                                             \
    })

static bool over(const struct actor *actor)
{
    return atomic_load(&actor->life->over);
}

static bool one_in(struct actor *actor, uint64_t count)
{
    return next_number(&actor->random) % count == 0;
}

/* ---- contexts ---- */

static void restart(const struct actor *actor, tg_context *context)
{
    const bool corrupter = actor->role == CORRUPTER;
    CHECK_OK(tg_context_start(context, corrupter ? CORRUPT_CODE_AT : GUEST_CODE_AT, GUEST_STACK_TOP));
}

void actor_open(struct actor *actor, struct life *life, enum role role)
{
    *actor = (struct actor){
        .life = life,
        .role = role,
        .bounded = life->storm->bounded[role],
        .random = life->seed * 4 + role,
        .context_count = role == QUEUER ? QUEUED : 1,
    };
    for (size_t i = 0; i < actor->context_count; i++) {
        actor->contexts[i] = create_context(life->storm->platform);
        CHECK_OK(tg_context_set_user_data(actor->contexts[i], i));
        restart(actor, actor->contexts[i]);
    }
    if (role == QUEUER)
        CHECK_OK(tg_queue_create(life->storm->platform, &actor->queue));
}

void actor_interrupt(struct actor *actor)
{
    for (size_t i = 0; i < actor->context_count; i++)
        CHECK_OK(tg_context_interrupt(actor->contexts[i]));
}

void actor_close(struct actor *actor)
{
    struct bounded *referee = actor->life->storm->bounded[REFEREE];
    for (size_t i = 0; i < QUEUED; i++)
        bounded_end(actor->life->storm->flight[i]);
    BOUNDED_VOID(referee, tg_queue_destroy(actor->queue));
    for (size_t i = 0; i < actor->context_count; i++)
        BOUNDED_VOID(referee, tg_context_destroy(actor->contexts[i]));
}

/* ---- what the embedder does with a context between switches ---- */

static void move_fpstate(struct actor *actor, tg_context *context, bool back)
{
    const size_t size = actor->life->storm->region.fp_size;
    void *state = malloc(size);
    CHECK(state != NULL);
    if (DOCUMENTED(actor, tg_context_get_fpstate(context, state, size)) == 0 && back)
        DOCUMENTED(actor, tg_context_set_fpstate(context, state, size));
    free(state);
}

static void copy_context(struct actor *actor, tg_context *context)
{
    tg_context *copy = create_context(actor->life->storm->platform);
    DOCUMENTED(actor, tg_context_copy(copy, context));
    BOUNDED_VOID(actor->bounded, tg_context_destroy(copy));
}

static void touch_registers(struct actor *actor, tg_context *context)
{
    uint64_t tls;
    if (DOCUMENTED(actor, tg_context_get_tls(context, &tls)) == 0)
        DOCUMENTED(actor, tg_context_set_tls(context, tls));
    CHECK(tg_context_regs(context) != NULL);
    CHECK(tg_context_regs_mut(context) != NULL);
}

static void change_memory(struct actor *actor)
{
    tg_subprocess *subprocess = actor->life->subprocess;
    uint64_t word = 0;
    DOCUMENTED(actor, tg_subprocess_map(subprocess, SCRATCH_AT, SCRATCH_SIZE, PROT_RW, 0, -1, 0));
    DOCUMENTED(actor, tg_subprocess_write(subprocess, SCRATCH_AT, &word, sizeof(word), NULL));
    DOCUMENTED(actor, tg_subprocess_read(subprocess, SCRATCH_AT, &word, sizeof(word), NULL));
    DOCUMENTED(actor, tg_subprocess_unmap(subprocess, SCRATCH_AT, SCRATCH_SIZE));
}

/* A copy has words of its own that nobody has spoilt: a context runs there as if nothing had been. */
static void run_in_copy(struct actor *actor)
{
    tg_subprocess *copy = NULL;
    tg_event event = new_event();
    if (DOCUMENTED(actor, tg_subprocess_fork(actor->life->subprocess, &copy)) != 0) {
        CHECK(copy == NULL);
        return;
    }
    tg_context *context = create_started_context(actor->life->storm->platform);
    CHECK_OK(BOUNDED(actor->bounded, tg_context_switch(context, copy, &event)));
    CHECK_KIND(&event, TG_EVENT_SYSCALL);
    BOUNDED_VOID(actor->bounded, tg_subprocess_destroy(copy));
    BOUNDED_VOID(actor->bounded, tg_context_destroy(context));
}

static void meddle(struct actor *actor, tg_context *context)
{
    atomic_fetch_add(&actor->life->storm->meddled, 1);
    switch (next_number(&actor->random) % 8) {
    case 0:
        move_fpstate(actor, context, false);
        break;
    case 1:
        move_fpstate(actor, context, true);
        break;
    case 2:
        copy_context(actor, context);
        break;
    case 3:
        touch_registers(actor, context);
        break;
    case 4:
        DOCUMENTED(actor, tg_context_restart_syscall(context));
        break;
    case 5:
        CHECK_OK(tg_context_interrupt(context));
        break;
    case 6:
        change_memory(actor);
        break;
    default:
        if (one_in(actor, 8))
            run_in_copy(actor);
        break;
    }
}

/* Numbers that an embedder may use as an index: whatever the guest has made of them, they are of the header's kinds. */
static void check_signal(const tg_event *event)
{
    static const int raised[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
    const int signo = event->kind == TG_EVENT_FAULT ? event->u.fault.signo : event->u.exception.signo;
    if (event->kind == TG_EVENT_FAULT)
        CHECK(event->u.fault.access <= (TG_ACCESS_READ | TG_ACCESS_WRITE | TG_ACCESS_EXEC));
    for (size_t i = 0; i < ARRAY_SIZE(raised); i++)
        if (signo == raised[i])
            return;
    check_failed(CHECK_HERE, "event of kind %u with signal %d, which no processor raises", event->kind, signo);
}

/* False: the subprocess is dead. */
static bool answer(struct actor *actor, tg_context *context, const tg_event *event)
{
    struct storm *storm = actor->life->storm;
    CHECK(event->kind >= TG_EVENT_SYSCALL && event->kind <= TG_EVENT_DEAD);
    CHECK(event->context == context);
    if (event->kind == TG_EVENT_DEAD) {
        CHECK(event->u.dead.reason == TG_DEAD_KILLED || event->u.dead.reason == TG_DEAD_CORRUPT ||
              event->u.dead.reason == TG_DEAD_EXITED);
        atomic_store(&actor->life->over, true);
        return false;
    }
    if (event->kind == TG_EVENT_FAULT || event->kind == TG_EVENT_EXCEPTION)
        check_signal(event);
    atomic_fetch_add(event->kind == TG_EVENT_SYSCALL ? &storm->calls : &storm->others, 1);
    if (event->kind != TG_EVENT_SYSCALL && event->kind != TG_EVENT_INTERRUPTED)
        restart(actor, context);
    else if (event->kind == TG_EVENT_SYSCALL && one_in(actor, 2))
        DOCUMENTED(actor, tg_context_set_return(context, (int64_t)actor->random));
    if (one_in(actor, 16))
        meddle(actor, context);
    return true;
}

/* ---- by switching ---- */

/* False: the subprocess is dead. */
static bool run_once(struct actor *actor)
{
    tg_context *context = actor->contexts[0];
    tg_event event = new_event();
    if (DOCUMENTED(actor, tg_context_switch(context, actor->life->subprocess, &event)) == 0)
        return answer(actor, context, &event);
    atomic_fetch_add(&actor->life->storm->errors, 1);
    restart(actor, context);
    return true;
}

static void run_switcher(struct actor *actor)
{
    while (!over(actor) && run_once(actor))
        ;
}

/* ---- by a queue ---- */

static void is_in_flight(struct actor *actor, size_t index)
{
    actor->submitted[index] = true;
    bounded_begin(actor->life->storm->flight[index], "a queue");
}

static void submit(struct actor *actor, size_t index)
{
    tg_context *context = actor->contexts[index];
    CHECK(!actor->submitted[index]);
    if (DOCUMENTED(actor, tg_queue_submit(actor->queue, context, actor->life->subprocess)) == 0) {
        is_in_flight(actor, index);
        return;
    }
    atomic_fetch_add(&actor->life->storm->errors, 1);
    restart(actor, context);
}

static void switch_or_submit(struct actor *actor, size_t index)
{
    tg_context *context = actor->contexts[index];
    tg_event event = new_event();
    CHECK(!actor->submitted[index]);
    const int result = BOUNDED(
        actor->bounded, tg_context_switch_or_submit(context, actor->life->subprocess, actor->queue, SPIN_NS, &event));
    if (result == 1) {
        is_in_flight(actor, index);
        return;
    }
    check_documented(CHECK_HERE, "tg_context_switch_or_submit", result);
    if (result == 0) {
        answer(actor, context, &event);
        return;
    }
    atomic_fetch_add(&actor->life->storm->errors, 1);
    restart(actor, context);
}

static void start_those_at_rest(struct actor *actor)
{
    for (size_t i = 0; i < QUEUED; i++) {
        if (actor->submitted[i])
            continue;
        if (one_in(actor, 3))
            switch_or_submit(actor, i);
        else
            submit(actor, i);
    }
}

static size_t take_events(struct actor *actor)
{
    tg_event events[QUEUED];
    size_t count = 0;
    for (size_t i = 0; i < QUEUED; i++)
        events[i] = new_event();
    /* Short waits are a case of their own (forged.c). */
    const int64_t wait_ns = actor->life->storm->answered ? LONG_WAIT_NS : SHORT_WAIT_NS;
    CHECK_OK(BOUNDED(actor->bounded, tg_queue_wait(actor->queue, events, QUEUED, wait_ns, &count)));
    CHECK(count <= QUEUED);
    for (size_t i = 0; i < count; i++) {
        const uint64_t index = events[i].user_data;
        CHECK(index < QUEUED);
        CHECK(actor->submitted[index]);
        actor->submitted[index] = false;
        bounded_end(actor->life->storm->flight[index]);
        answer(actor, actor->contexts[index], &events[i]);
    }
    return count;
}

static bool all_back(const struct actor *actor)
{
    for (size_t i = 0; i < QUEUED; i++)
        if (actor->submitted[i])
            return false;
    return true;
}

/* One event for each submit, whatever the rings say. */
static void drain(struct actor *actor)
{
    if (one_in(actor, 4))
        return; /* tg_queue_destroy() stops them */
    while (!all_back(actor)) {
        actor_interrupt(actor);
        take_events(actor);
    }
}

static void run_queuer(struct actor *actor)
{
    while (!over(actor)) {
        start_those_at_rest(actor);
        take_events(actor);
    }
    drain(actor);
}

/* ---- the corrupter ---- */

static void fill_plan(struct actor *actor)
{
    const struct storm *storm = actor->life->storm;
    const char *name = "";
    /* Short ones, that are over before anything notices, and long ones, that go on while it does. */
    actor->plan_size = 1 + next_number(&actor->random) % (one_in(actor, 3) ? CORRUPTIONS_MAX : CORRUPTIONS_FEW);
    for (size_t i = 0; i < actor->plan_size; i++) {
        struct corruption *corruption = &storm->plan->corruptions[i];
        corruption->addr = region_pick_word(&storm->region, storm->names, &actor->random, &name);
        corruption->value = region_pick_value(&storm->region, &actor->random);
        /* Most words have 4 bytes, others 8; a few in a row spoil what belongs together. */
        corruption->words = one_in(actor, 3) ? 2 : one_in(actor, 8) ? 16 : 1;
        corruption->pauses = (uint32_t)(next_number(&actor->random) % (one_in(actor, 8) ? 4000 : 40));
        corruption->repeats = one_in(actor, 4) ? 1 + (uint32_t)(next_number(&actor->random) % 2000) : 1;
    }
    bounded_note("HOSTILE_SEED=%llu subprocess %llu, last spoilt: %s", (unsigned long long)storm->seed,
                 (unsigned long long)atomic_load(&storm->lives), name);
}

static void start_plan(struct actor *actor)
{
    tg_context *context = actor->contexts[0];
    restart(actor, context);
    arch_set_argument(context, 0, GUEST_DATA_AT + offsetof(struct plan, corruptions));
    arch_set_argument(context, 1, actor->plan_size);
    arch_set_argument(context, 2, GUEST_DATA_AT + offsetof(struct plan, done));
}

static void run_corrupter(struct actor *actor)
{
    const size_t plans = 1 + next_number(&actor->random) % 24;
    for (size_t i = 0; i < plans && !over(actor); i++) {
        fill_plan(actor);
        start_plan(actor);
        if (!run_once(actor))
            return;
    }
    atomic_store(&actor->life->over, true);
}

void *actor_run(void *argument)
{
    struct actor *actor = argument;
    switch (actor->role) {
    case SWITCHER:
        run_switcher(actor);
        break;
    case QUEUER:
        run_queuer(actor);
        break;
    default:
        run_corrupter(actor);
        break;
    }
    atomic_fetch_sub(&actor->life->running, 1);
    return NULL;
}
