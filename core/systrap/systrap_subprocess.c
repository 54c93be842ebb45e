/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A guest address space: made by its mother's syscall thread, changed through its own, killed and reaped for real. */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/guest_parts.h"
#include "core/memory_calls.h"
#include "core/subprocess_life.h"
#include "core/systrap/child.h"
#include "core/systrap/death.h"
#include "core/systrap/keeper.h"
#include "core/systrap/lifetime.h"
#include "core/systrap/orders.h"
#include "core/systrap/patching/code_reader.h"
#include "core/systrap/patching/patches.h"
#include "core/systrap/patching/trampolines.h"
#include "core/systrap/queue_events.h"
#include "core/systrap/shared_futex.h"
#include "core/systrap/shared_words.h"
#include "core/systrap/slots.h"
#include "core/systrap/spin_grants.h"
#include "core/systrap/statistics.h"
#include "core/systrap/stub_copy.h"
#include "core/systrap/stub_filters.h"
#include "core/systrap/stub_memory.h"
#include "core/systrap/systrap_subprocess.h"
#include "core/systrap/watchdog.h"
#include "core/systrap/worker_answers.h"
#include "core/systrap/workers.h"

/* ---- life ---- */

int systrap_subprocess_adopt(struct systrap_subprocess *subprocess, pid_t pid)
{
    int err;

    child_set(subprocess, pid);
    err = keeper_watch(subprocess);
    if (err == 0)
        count(subprocess->base.platform, COUNTER_STUB_THREADS);
    return err;
}

/* Reaps a dead subprocess that nobody uses. False: the keeper does when it can, and has the caller's reference. */
static bool bury(struct systrap_subprocess *subprocess)
{
    if (subprocess->kill_refused)
        orders_leave(subprocess);
    if (keeper_bury(subprocess))
        return true;
    platform_fail(subprocess->base.platform, 0,
                  "destroy a subprocess: its process was killed and has not ended in ten seconds; thaw its cgroup, or "
                  "allow pidfd_send_signal(2) or kill(2)");
    return false;
}

static bool is_switched_to(struct systrap_subprocess *subprocess)
{
    bool found = false;

    pthread_mutex_lock(&subprocess->lock);
    for (uint32_t i = 0; i < subprocess->next_slot && !found; i++)
        found = subprocess->slot_contexts[i] && context_is_switching(&subprocess->slot_contexts[i]->base);
    pthread_mutex_unlock(&subprocess->lock);
    return found;
}

/* Waits for switches to return; none of them sleeps any more, for the subprocess is dead. Pairs with go_in(). */
static void wait_for_switches(struct systrap_subprocess *subprocess)
{
    for (unsigned int i = 0; is_switched_to(subprocess); i++)
        clock_pause_between_looks(i);
}

void systrap_subprocess_destroy(struct tg_subprocess *base)
{
    struct systrap_subprocess *subprocess = to_systrap_subprocess(base);
    uint32_t threads = atomic_load(&subprocess->worker_count) + 1;
    bool buried;

    subprocess_shut(base);
    spin_grants_give_back(subprocess);
    /* Its contexts stay usable in other subprocesses: fetches what workers hold of them while there are workers. */
    slots_rescue(subprocess);
    keeper_look_away(subprocess);
    systrap_subprocess_die(subprocess, TG_DEAD_DESTROYED, 0);
    systrap_queue_subprocess_dead(subprocess);
    subprocess_drain(base);
    wait_for_switches(subprocess);
    /* If bury() gives the keeper the caller's reference, the keeper may release it at once. */
    subprocess_hold(base);
    buried = bury(subprocess);
    statistics_keep(subprocess);
    while (threads--)
        uncount(base->platform, COUNTER_STUB_THREADS);
    subprocess_release(base);
    if (buried)
        subprocess_release(base);
}

/* Keeps the memory while contexts have slots in it, which can still be asked for their registers. */
void systrap_subprocess_forget(struct tg_subprocess *base, bool last)
{
    struct systrap_subprocess *subprocess = to_systrap_subprocess(base);

    stub_memory_forget(subprocess, last || atomic_load(&base->refs) == 1);
    if (subprocess->pidfd >= 0)
        close(subprocess->pidfd);
    subprocess->pidfd = -1;
}

void systrap_end_guests(struct tg_platform *platform)
{
    struct list *node;

    list_for_each(node, &platform->subprocesses)
    {
        struct tg_subprocess *base = container_of(node, struct tg_subprocess, node);

        systrap_subprocess_die(to_systrap_subprocess(base), TG_DEAD_DESTROYED, 0);
    }
}

/* ---- creation ---- */

static int create_failed(struct systrap_subprocess *child, const struct tg_subprocess *from, int err)
{
    struct tg_platform *platform = child->base.platform;

    switch (err) {
    case -EIO:
        return platform_fail(platform, err, "create a subprocess: its process has ended before its first reply%s",
                             subprocess_death_cause(child->base.death_reason, child->base.death_status));
    case -EFBIG:
        return platform_fail(platform, -EAGAIN,
                             "create a subprocess: RLIMIT_FSIZE is below the size of the memory shared with it");
    default:
        return subprocess_create_failed(platform, from, "", err);
    }
}

/*
 * The order: clone(2), then the calls by which the child maps its own memory.
 * The child's memory gets a copy of it, for the child reads on there once the
 * first of those calls has put its own memory in the place of its mother's.
 */
static int order_clone(struct systrap_subprocess *mother, struct systrap_subprocess *child, pid_t *pid)
{
    struct systrap_orders *orders = orders_of(mother);
    struct order_reply reply;
    size_t n;
    int err = mapping_table_copy(&child->base.mappings, &mother->base.mappings);

    patches_before_fork(mother);
    if (!err)
        err = patches_inherit(child, mother);
    if (err)
        return err;
    answers_inherit(child, mother);
    orders->calls[0] = (struct stub_call){
        .nr = tgi_arch.syscalls.clone,
        .args = {SYSTRAP_CLONE_PROCESS_FLAGS, 0,
                 systrap_platform(mother->base.platform)->region + SYSTRAP_CONTROL +
                     offsetof(struct systrap_control, born),
                 0, 0, (uint64_t)child->file},
    };
    n = 1 + stub_memory_calls(child, &orders->calls[1]);
    if (child->patches.table_mapped)
        orders->calls[n++] = trampolines_table_call(child);
    orders->calls[n++] = workers_call(child);
    memcpy(orders_of(child)->calls, orders->calls, n * sizeof(orders->calls[0]));
    err = orders_give(mother, n, &reply);
    if (err)
        return err;
    *pid = (pid_t)reply.result;
    return reply.result < 0 ? (int)reply.result : 0;
}

static void tell_child(struct systrap_subprocess *mother, uint32_t go)
{
    SHARED_SWAP(orders_of(mother)->go, go);
    shared_futex_wake(&orders_of(mother)->go);
}

/* If the mother is killed before she answers there may be a child nevertheless: it ends, and is reaped with her. */
static int give_birth(struct systrap_subprocess *child, struct systrap_subprocess *mother)
{
    pid_t pid = 0;
    int err;

    /* A dead mother's memory tells a child that she left behind to end, and has its number: both must stay there. */
    if (subprocess_is_dead(&mother->base))
        return -ESRCH;
    orders_of(mother)->go = mother->sequence;
    SHARED_STORE(control_of(mother)->born, 0);
    err = order_clone(mother, child, &pid);
    mother->lost_child = err == -ESRCH;
    if (!err)
        err = systrap_subprocess_adopt(child, pid);
    if (err)
        tell_child(mother, ORDERS_GO_AWAY);
    return err;
}

/* Lets the child map its own memory and make its first worker: what the host is short of shows here, or never. */
static int begin_life(struct systrap_subprocess *child, struct systrap_subprocess *mother)
{
    struct order_reply reply;
    int err;

    tell_child(mother, mother->sequence);
    err = orders_first_reply(child, &reply);
    if (!err)
        err = workers_note(child, &reply);
    if (!err)
        err = stub_memory_seal(child);
    for (uint32_t threads = err ? atomic_load(&child->worker_count) + 1 : 0; threads; threads--)
        uncount(child->base.platform, COUNTER_STUB_THREADS);
    /* -ESRCH would mean the mother to the caller, and she lives. */
    return err == -ESRCH && !subprocess_is_dead(&mother->base) ? -EIO : err;
}

/* mother's order_lock is held: until the child has memory of its own it reads its mother's orders. */
static int make_process(struct systrap_subprocess *child, struct systrap_subprocess *mother)
{
    int err = give_birth(child, mother);

    if (!err)
        err = begin_life(child, mother);
    if (err) {
        systrap_subprocess_die(child, TG_DEAD_DESTROYED, 0);
        /* The caller frees the handle, not the keeper: this reference is for what the keeper may release meanwhile. */
        subprocess_hold(&child->base);
        if (!bury(child))
            keeper_forget(child);
    }
    return err;
}

int systrap_subprocess_create(struct tg_subprocess *base, struct tg_subprocess *from)
{
    struct tg_platform *platform = base->platform;
    struct systrap_subprocess *child = to_systrap_subprocess(base);
    struct systrap_subprocess *mother = from ? to_systrap_subprocess(from) : systrap_platform(platform)->template;
    const char *call;
    int err;

    if (!subprocess_enter(&mother->base))
        return create_failed(child, from, -ESRCH);
    pthread_mutex_lock(&mother->order_lock);
    err = systrap_subprocess_init(child, &call);
    if (!err) {
        err = make_process(child, mother);
        if (err)
            systrap_subprocess_empty(base);
    }
    pthread_mutex_unlock(&mother->order_lock);
    subprocess_leave(&mother->base);
    return err ? create_failed(child, from, err) : 0;
}

/* ---- memory operations ---- */

/* *n: how many come before the first operation that must not be made. */
static int prepare_ops(struct systrap_subprocess *subprocess, const struct tg_mem_op *ops, size_t *n)
{
    for (size_t i = 0; i < *n; i++) {
        int err = patches_before_op(subprocess, &ops[i]);

        if (err) {
            *n = i;
            return err;
        }
    }
    return 0;
}

/* An order: operations, and behind them what patches code that they map. */
struct ops_order {
    size_t ops;
    struct mapped_files mapped;
    struct order_reply reply;
};

/* How many operations the stub has made, and its reply to the next one, or 0. */
static size_t note_ops(struct systrap_subprocess *subprocess, const struct tg_mem_op *ops, struct ops_order *order,
                       int64_t *result)
{
    const size_t made = order->ops + order->mapped.calls - order->reply.left;
    const size_t made_ops = made < order->ops ? made : order->ops;
    const int64_t failed = order->reply.left ? order->reply.result : 0;

    *result = made < order->ops ? failed : 0;
    memory_calls_made(&subprocess->base, ops, made_ops, *result);
    patches_after_ops(subprocess, ops, made_ops, *result, &order->mapped);
    patches_settle_calls(subprocess, &order->mapped, made - made_ops, failed);
    return made_ops;
}

static int give_ops(struct systrap_subprocess *subprocess, const struct tg_mem_op *ops, struct ops_order *order)
{
    int err;

    patches_add_calls(subprocess, ops, order->ops, &order->mapped);
    for (size_t i = 0; i < order->ops; i++)
        memory_call_fill(&orders_of(subprocess)->calls[i], &ops[i]);
    err = orders_give(subprocess, order->ops + order->mapped.calls, &order->reply);
    if (!err && order->reply.left > order->ops + order->mapped.calls) {
        systrap_subprocess_die(subprocess, TG_DEAD_CORRUPT, 0);
        err = -ESRCH;
    }
    if (err)
        patches_settle_calls(subprocess, &order->mapped, 0, err);
    return err;
}

static int apply_all(struct systrap_subprocess *subprocess, const struct tg_mem_op *ops, size_t n, size_t *done)
{
    int err = memory_calls_prepare(&subprocess->base, n);

    while (!err && *done < n) {
        struct ops_order order = {.ops = n - *done < ORDERS_MAX ? n - *done : ORDERS_MAX};
        const int refused = prepare_ops(subprocess, &ops[*done], &order.ops);
        int64_t result;

        err = give_ops(subprocess, &ops[*done], &order);
        if (err)
            return err;
        *done += note_ops(subprocess, &ops[*done], &order, &result);
        if (result || refused)
            return memory_call_failed(&subprocess->base, &ops[*done], *done, result ? result : refused);
    }
    return err;
}

int systrap_subprocess_apply(struct tg_subprocess *base, const struct tg_mem_op *ops, size_t n, size_t *done)
{
    struct systrap_subprocess *subprocess = to_systrap_subprocess(base);
    int err;

    pthread_mutex_lock(&subprocess->order_lock);
    err = apply_all(subprocess, ops, n, done);
    pthread_mutex_unlock(&subprocess->order_lock);
    if (err == -ESRCH)
        return platform_fail(base->platform, err, "memory operation: the stub process is dead%s",
                             subprocess_death_cause(base->death_reason, base->death_status));
    return err;
}

/* ---- copies ---- */

/* copied: of all parts, or -errno as to the first. What it is with what the guest wrote in the place of the jumps. */
static ssize_t read_original(struct tg_subprocess *base, const struct guest_parts *parts, ssize_t copied)
{
    ssize_t done = 0;

    for (size_t i = 0; i < parts->count && (i == 0 || done < copied); i++) {
        const size_t length = parts->guest[i].iov_len;
        const ssize_t left = copied - done;
        const ssize_t here = code_read_original(base, (uintptr_t)parts->guest[i].iov_base, parts->ours[i].iov_base,
                                                length, left < (ssize_t)length ? left : (ssize_t)length);

        if (here < (ssize_t)length)
            return here < 0 && done ? done : done + here;
        done += here;
    }
    return done;
}

ssize_t systrap_subprocess_copy(struct tg_subprocess *base, const struct guest_parts *parts)
{
    const ssize_t copied = stub_copy(base, parts);

    return parts->to_guest ? copied : read_original(base, parts, copied);
}
