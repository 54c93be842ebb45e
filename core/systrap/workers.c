/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The stub threads that run guests: making them, waking them, signalling them. */
#include <errno.h>

#include "core/systrap/child.h"
#include "core/systrap/orders.h"
#include "core/systrap/seats.h"
#include "core/systrap/shared_futex.h"
#include "core/systrap/shared_words.h"
#include "core/systrap/spin_grants.h"
#include "core/systrap/stub_filters.h"
#include "core/systrap/workers.h"
#include "stub/systrap_run_ring.h"

void worker_wake(struct systrap_subprocess *subprocess, uint32_t index)
{
    struct systrap_worker *worker = worker_of(subprocess, index);

    spin_grants_ask(subprocess);
    count(subprocess->base.platform, COUNTER_FUTEX_WAKES);
    /* Pairs with sleep_until_woken() and rest(), which read it before they look. */
    SHARED_ADD(worker->wake, 1);
    shared_futex_wake(&worker->wake);
}

bool workers_wake_a_sleeper(struct systrap_subprocess *subprocess)
{
    uint32_t n = atomic_load(&subprocess->worker_count);

    for (uint32_t i = 0; i < n; i++) {
        if (SHARED_LOOK(worker_of(subprocess, i)->asleep)) {
            worker_wake(subprocess, i);
            return true;
        }
    }
    return false;
}

void workers_wake_one(struct systrap_subprocess *subprocess)
{
    const struct systrap_control *control = control_of(subprocess);
    uint32_t usual = systrap_platform(subprocess->base.platform)->workers_usual;

    /*
     * A worker that spins will find the entry. Without one, wakes no more workers than processors, less the one that
     * the caller needs. Pairs with sleep_until_woken() of the worker.
     */
    if (!SHARED_LOOK(control->spinning) && SHARED_LOOK(control->awake) < usual)
        workers_wake_a_sleeper(subprocess);
}

bool workers_backlog(const struct systrap_subprocess *subprocess)
{
    struct systrap_control *control = control_of(subprocess);

    return run_ring_waits(control, 0) || run_ring_waits(control, 1);
}

struct stub_call workers_call(struct systrap_subprocess *subprocess)
{
    uint32_t index = atomic_load(&subprocess->worker_count);

    worker_of(subprocess, index)->index = index;
    return (struct stub_call){
        .nr = tgi_arch.syscalls.clone,
        .args = {SYSTRAP_CLONE_WORKER_FLAGS, 0, 0, 0, 0, index},
    };
}

int workers_note(struct systrap_subprocess *subprocess, const struct order_reply *reply)
{
    uint32_t index = atomic_load(&subprocess->worker_count);

    if (reply->left || reply->result <= 0)
        return reply->result < 0 ? (int)reply->result : -EIO;
    subprocess->workers[index] = (pid_t)reply->result;
    atomic_store(&subprocess->worker_count, index + 1);
    count(subprocess->base.platform, COUNTER_STUB_THREADS);
    return 0;
}

/* order_lock is held. Has the syscall thread make one more worker. 0 or -errno. */
static int make_worker(struct systrap_subprocess *subprocess)
{
    struct order_reply reply;
    int err;

    orders_of(subprocess)->calls[0] = workers_call(subprocess);
    err = orders_give(subprocess, 1, &reply);
    return err ? err : workers_note(subprocess, &reply);
}

/*
 * No worker sleeps. Is there one without a context, such as one that was just
 * made and has not begun yet? It is about to take what waits. A guest that writes
 * so falsely gets no more workers made for itself.
 */
static bool one_is_coming(const struct systrap_subprocess *subprocess)
{
    uint32_t n = atomic_load(&subprocess->worker_count);

    for (uint32_t i = 0; i < n; i++) {
        if (!SHARED_LOAD(worker_of(subprocess, i)->running))
            return true;
    }
    return false;
}

/*
 * Called by a thread that waits for events, perhaps of other stubs, and with a
 * time limit of its own: it is kept waiting neither by a stub that is stopped nor
 * by a thread that holds order_lock.
 */
bool workers_add(struct systrap_subprocess *subprocess)
{
    uint32_t max = systrap_platform(subprocess->base.platform)->workers_max;
    bool added;

    if (workers_wake_a_sleeper(subprocess))
        return true;
    if (atomic_load(&subprocess->worker_count) >= max || one_is_coming(subprocess))
        return false;
    /* A worker takes a context out of the ring before it has one: what waits still is none that they all have by now.
     */
    if (!workers_backlog(subprocess))
        return false;
    if (pthread_mutex_trylock(&subprocess->order_lock))
        return false;
    added =
        atomic_load(&subprocess->worker_count) < max && !child_is_stopped(subprocess) && make_worker(subprocess) == 0;
    pthread_mutex_unlock(&subprocess->order_lock);
    return added;
}

void worker_kick(struct systrap_subprocess *subprocess, uint32_t index)
{
    if (index < atomic_load(&subprocess->worker_count))
        child_kick(subprocess, subprocess->workers[index]);
}
