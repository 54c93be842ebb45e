/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "core/systrap/watchdog.h"
#include "core/systrap/child.h"
#include "core/systrap/events.h"
#include "core/systrap/lost_threads.h"
#include "core/systrap/seats.h"
#include "core/systrap/shared_futex.h"
#include "core/systrap/shared_words.h"
#include "core/systrap/workers.h"

#define LOOK_NS     (WATCHDOG_ROUND_NS / 2) /* between looks: time for a stub that one has woken to get a processor */
#define PATIENCE_NS (5 * WATCHDOG_ROUND_NS)
#define ANSWER_NS   (2 * WATCHDOG_ROUND_NS)
/* The limit for any reason: a guest can make its ring seem to move each time that somebody looks. */
#define OVERDUE_NS  (300 * WATCHDOG_ROUND_NS)

/* ---- looking at a stub ---- */

/*
 * Has the host given the stub a processor since the last look? The last look has
 * woken the syscall thread, which runs to see that there is no order, whatever
 * the guests do. False also when the host does not say.
 */
static bool has_run(struct systrap_subprocess *subprocess)
{
    int64_t before = subprocess->watch.run_ns;

    return child_run_time(subprocess, &subprocess->watch.run_ns) && subprocess->watch.run_ns != before;
}

/* Called with `looking` set. Time in which nobody looked counts as one round at most. */
static void take_look(struct systrap_subprocess *subprocess, int64_t now_ns)
{
    struct systrap_watch *watch = &subprocess->watch;
    int64_t passed = now_ns - watch->looked_at;
    bool ran;

    if (passed < LOOK_NS)
        return;
    if (passed > WATCHDOG_ROUND_NS)
        passed = WATCHDOG_ROUND_NS;
    watch->looked_at = now_ns;
    ran = has_run(subprocess);
    atomic_fetch_add(ran && !child_is_stopped(subprocess) ? &watch->lived : &watch->held_up, passed);
    shared_futex_wake(&orders_of(subprocess)->request);
}

/*
 * Whoever comes first in half a round looks for all. False: another thread is
 * looking, and counts time before this call too, so that the caller must not
 * begin to measure now.
 */
static bool look(struct systrap_subprocess *subprocess, int64_t now_ns)
{
    if (atomic_exchange(&subprocess->watch.looking, true))
        return false;
    take_look(subprocess, now_ns);
    atomic_store(&subprocess->watch.looking, false);
    return true;
}

/* What the looks have said so far. */
static struct watchdog_times times_of(const struct systrap_subprocess *subprocess)
{
    return (struct watchdog_times){
        .lived = atomic_load(&subprocess->watch.lived),
        .held_up = atomic_load(&subprocess->watch.held_up),
    };
}

bool watchdog_waits_in_vain(struct systrap_subprocess *subprocess, struct watchdog_wait *wait, int64_t held_up_ns)
{
    int64_t now = clock_monotonic_ns();
    bool is_new = wait->look_at == 0;
    struct watchdog_times times;

    if (now < wait->look_at)
        return false;
    wait->look_at = now + LOOK_NS;
    /* Not at the first call: most waits end within microseconds. */
    if (is_new)
        return false;
    if (!look(subprocess, now) && !wait->begun)
        return false;
    times = times_of(subprocess);
    if (!wait->begun)
        wait->since = times;
    wait->begun = true;
    return times.lived - wait->since.lived >= ANSWER_NS || times.held_up - wait->since.held_up >= held_up_ns;
}

/* ---- contexts in flight ---- */

/* Should a worker have done something about it long ago? */
static bool is_stuck(const struct systrap_context *context, int64_t now_ns)
{
    struct systrap_subprocess *subprocess = context->bound;
    int64_t moved;

    switch (SHARED_LOAD(context->slot->state)) {
    case SLOT_RUNNING:
    case SLOT_ATTACHED: /* in the guest, or on the way: a page that is written to may have to come from a slow file */
        return interrupt_pending(&context->base.interrupt);
    case SLOT_READY:
        /* While workers take contexts out of the run ring this one only has to wait its turn. */
        moved = atomic_load(&subprocess->backlog_moved);
        return !workers_backlog(subprocess) || (moved && now_ns - moved >= WATCHDOG_ROUND_NS);
    case SLOT_HELD:
    case SLOT_ASLEEP:
    case SLOT_EVENT:
    case SLOT_DROP:
    case SLOT_GONE:
        return false;
    default:
        return true;
    }
}

/* What is done to all workers, once for all contexts: a guest can make each context seem stuck. */
struct rousing {
    bool wake;
    bool kick;
};

static void ask_to_rouse(struct systrap_context *context, struct rousing *rousing)
{
    rousing->wake = true;
    if (interrupt_pending(&context->base.interrupt)) {
        SHARED_SWAP(context->slot->kick, 1);
        rousing->kick = true;
    }
}

/* Wakes or kicks every worker, in case that an earlier wake-up or kick went to the wrong one. */
static void rouse(struct systrap_subprocess *subprocess, const struct rousing *rousing)
{
    uint32_t n = rousing->wake ? atomic_load(&subprocess->worker_count) : 0;

    for (uint32_t i = 0; i < n; i++) {
        worker_wake(subprocess, i);
        if (rousing->kick)
            worker_kick(subprocess, i);
    }
}

/* False: all is well with the context, and earlier trouble is forgotten. */
static bool is_in_trouble(struct systrap_context *context, int64_t now_ns, bool *stuck)
{
    bool has_event = state_has_event(SHARED_LOAD(context->slot->state));

    *stuck = is_stuck(context, now_ns);
    if (!*stuck)
        context->stuck_since = 0;
    if (*stuck || (!has_event && interrupt_pending(&context->base.interrupt)))
        return true;
    context->overdue_since = 0;
    return false;
}

/* True: the context has been in trouble for too long, by the times after a look. */
static bool is_hopeless(struct systrap_context *context, int64_t now_ns, const struct watchdog_times *times,
                        struct rousing *rousing)
{
    bool stuck;

    if (!is_in_trouble(context, now_ns, &stuck))
        return false;
    if (!context->overdue_since)
        context->overdue_since = times->lived;
    if (stuck) {
        if (!context->stuck_since)
            context->stuck_since = times->lived;
        ask_to_rouse(context, rousing);
    }
    return (stuck && times->lived - context->stuck_since >= PATIENCE_NS) ||
           times->lived - context->overdue_since >= OVERDUE_NS;
}

bool watchdog_gives_up(struct systrap_context *context, int64_t now_ns)
{
    struct rousing rousing = {0};
    struct watchdog_times times;
    bool hopeless;
    bool stuck;

    if (lost_threads_look(context->bound, now_ns))
        return true;
    if (!is_in_trouble(context, now_ns, &stuck) || !look(context->bound, now_ns))
        return false;
    times = times_of(context->bound);
    hopeless = is_hopeless(context, now_ns, &times, &rousing);
    rouse(context->bound, &rousing);
    return hopeless;
}

/* Is a queue's context there hopeless, by these times? times NULL: is one in trouble? */
static bool is_any_queued(struct systrap_subprocess *subprocess, int64_t now_ns, const struct watchdog_times *times)
{
    struct rousing rousing = {0};
    bool found = false;

    pthread_mutex_lock(&subprocess->lock);
    for (uint32_t i = 0; i < subprocess->next_slot; i++) {
        struct systrap_context *context = subprocess->slot_contexts[i];
        bool stuck;

        if (context && atomic_load(&context->flight))
            found |= times ? is_hopeless(context, now_ns, times, &rousing) : is_in_trouble(context, now_ns, &stuck);
    }
    pthread_mutex_unlock(&subprocess->lock);
    rouse(subprocess, &rousing);
    return found;
}

bool watchdog_gives_up_queued(struct systrap_subprocess *subprocess, int64_t now_ns)
{
    struct watchdog_times times;

    if (lost_threads_look(subprocess, now_ns))
        return true;
    if (!is_any_queued(subprocess, now_ns, NULL) || !look(subprocess, now_ns))
        return false;
    times = times_of(subprocess);
    return is_any_queued(subprocess, now_ns, &times);
}
