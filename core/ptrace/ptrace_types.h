/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The ptrace backend's data, from the bottom up.
 *
 * A host thread that runs guests is a tracer. For each subprocess that it
 * uses it has a pool: the stub threads there that it traces and that are idle
 * now. The kernel lets only the tracer itself touch its stub threads, so a
 * tracer's own members need no lock; what other threads may look at is in
 * ptrace_subprocess and says so.
 *
 * Locks, outermost first: ptrace_subprocess.memory_lock, tracer.lock,
 * tg_platform.lock, ptrace_platform.queues_lock, ptrace_queue.lock,
 * ptrace_subprocess.lock, ptrace_platform.fp_lock. The last ones,
 * ptrace_platform.tracers_lock and bell_lock, are held while nothing else is
 * called, and mapping_table.lock while nothing else is locked. No lock is shared
 * by platforms.
 *
 * Over the fields of a struct stands the rule that guards them; what differs
 * has its own at its side. What is stored without a lock, and who looks at it:
 * docs/memory-order.md.
 */
#ifndef CORE_PTRACE_TYPES_H
#define CORE_PTRACE_TYPES_H

#include <pthread.h>
#include <sched.h>

#include "arch/arch_ptrace.h"
#include "core/backend.h"

#define BELL_LIMITS 255

struct tracer;

/* ---- subprocess ---- */

/* Besides the handle, every pool refers to it. */
struct ptrace_subprocess {
    struct tg_subprocess base;
    uint64_t id; /* never changes: of the platform's counter, and never used again */

    /* lock; without it whoever makes or destroys it, and nobody is inside */
    pthread_mutex_t lock;
    struct list threads; /* all stub threads: stub_thread.of_subprocess */
    struct list parked;  /* those that tracers have handed back: stub_thread.waiting */

    /* Guards the batch page; and operations and births, in the order in which they are made. */
    pthread_mutex_t memory_lock;
    size_t batched; /* memory_lock; before it is known, its maker: calls that may be in the batch page */

    /* Never changes: clock_memory.c; NULL: there is none. What is in it: tg_platform.clocks_lock. */
    struct vdso_clock *clocks;
};

/* ---- stub thread ---- */

struct stub_thread {
    /* Never change. */
    struct ptrace_subprocess *subprocess;
    pid_t tid;

    /* subprocess->lock */
    struct list of_subprocess;

    /* Its tracer; in subprocess->parked that one's lock. */
    struct list waiting; /* in subprocess->parked, or in the idle list of its tracer's pool */
    struct list of_tid;  /* tracer->by_tid */

    /* NULL while parked. Its tracer writes it; others only compare it with their own, which nobody else writes. */
    _Atomic(struct tracer *) tracer;

    /* Its tracer, but for what says otherwise. */
    int cpu;             /* where it was placed, -1: free to go anywhere */
    bool long_run;       /* the last run took so long that placing would only hurt */
    _Atomic bool reaped; /* its id may be another's. By whoever has waited for its end: tracer or destroyer */
    bool first;          /* never changes: its process, reaped last, so it runs nothing but clone(2) */
    bool at_call;        /* it has not left the stop of a call that the kernel was told not to make */
    uint64_t fp_version; /* of the FP state that it holds, 0: nobody's */

    /* Changed with ptrace_platform.fp_lock; whoever runs on it may look without whether there is one. */
    _Atomic(struct ptrace_context *) fp_context; /* whose only current FP state it holds, or NULL: lazy_fp.c */
};

/* ---- tracer ---- */

#define POOL_BUCKETS 64
#define TID_BUCKETS  256

struct tracer_pool {
    /* Its tracer's thread; the platform's close with tracer.lock. */
    struct list node;                     /* tracer->pools bucket */
    struct ptrace_subprocess *subprocess; /* never changes */
    struct list idle;                     /* stub_thread.waiting */
};

struct bell {
    /* The tracer's thread. Others know it by ptrace_queue.bell alone. */
    struct stub_thread *thread; /* of the template; NULL before the first use */
    uint32_t limit;             /* its timespec in the template's batch page; 0: none */
    bool asleep;                /* else stopped */
    int64_t until_ns;           /* when its sleep ends by itself; INT64_MAX: never */
};

struct tracer {
    /* Never change. The platform is there until the tracer has ended. */
    struct tg_platform *platform;
    uint64_t platform_id;
    pid_t process;
    uint64_t serial;

    /* Atomic, any thread. */
    _Atomic uint32_t refs; /* its thread's and its platform's */

    /* lock */
    pthread_mutex_t lock; /* who ends it: its thread, or the platform's close */
    _Atomic bool ended;   /* written with the lock; its own thread may look without */

    /* ptrace_platform.tracers_lock */
    struct list of_platform; /* ptrace_platform.tracers */

    /* Its thread. */
    struct list of_thread; /* thread_record.tracers */
    uint64_t fp_counter;
    uint32_t yield_misses; /* waits in a row for which yielding the processor was no use */
    struct bell bell;

    /* Its thread; the platform's close with the lock. */
    struct list pools[POOL_BUCKETS];
    struct list by_tid[TID_BUCKETS];

    /* ptrace_platform.queues_lock: whoever destroys a queue, or asks for its descriptor, takes it out. */
    struct list queues; /* ptrace_queue.of_owner: queues whose contexts it runs */
};

/* ---- platform ---- */

struct stub_template {
    /* Never change once the platform is open, but for keep. */
    pthread_t keeper;      /* parent of all stubs; exists so that they outlive the opener */
    _Atomic uint32_t keep; /* atomic: 1 until closing; the keeper sleeps on it */
    struct ptrace_subprocess *subprocess;
    pid_t group; /* its process id, which is the process group of all stubs */
};

struct ptrace_platform {
    /* Never change once the platform is open, but for placement. */
    uint64_t cookie;
    uint64_t stub_start;
    uint64_t batch; /* address of the batch page */
    uint64_t vdso_room;
    uint64_t stub_end;
    struct stub_template template;
    void *fp_initial;
    _Atomic bool placement; /* atomic, any thread; never true again */
    cpu_set_t allowed_cpus;

    /* Atomic, any thread. */
    _Atomic uint64_t next_id;

    /* Guards ptrace_context.fp_holder and stub_thread.fp_context. */
    pthread_mutex_t fp_lock;

    /* tracers_lock */
    pthread_mutex_t tracers_lock;
    struct list tracers; /* tracer.of_platform */

    /* Guards tracer.queues, and changes of ptrace_queue.owner. */
    pthread_mutex_t queues_lock;

    /* bell_lock */
    pthread_mutex_t bell_lock;
    bool bell_limits[BELL_LIMITS + 1];
};

static inline struct ptrace_platform *ptrace_platform(const struct tg_platform *platform)
{
    return platform->backend;
}

/* ---- context ---- */

struct ptrace_queue;
struct queue_party;
struct queue_turn;

struct ptrace_context {
    struct tg_context base;

    /* Whoever has taken the context; in a queue the thread that starts or stops it, with the queue's lock. */
    uint64_t fp_version; /* changes whenever the FP state may have */
    pid_t last_thread;   /* a hint: where the FP state may still be */

    /* Set by whoever runs the context, cleared by whoever comes first: with ptrace_platform.fp_lock. */
    _Atomic(struct stub_thread *) fp_holder; /* holds the only current FP state; NULL: base.fp is current */

    /* ptrace_queue.lock, while submitted to that queue; before and after that whoever has taken the context. */
    struct list of_queue;      /* ptrace_queue.running, or in its turn */
    struct queue_party *party; /* those of its subprocess in this queue */
    struct queue_turn *turn;   /* in which it waits, NULL: it runs */
    struct ptrace_queue *queue;
    struct ptrace_subprocess *subprocess; /* NULL: it is destroyed, and its visit there has ended */
    struct stub_thread *thread;
    int64_t started_ns;
    bool preempt;
    struct tg_event event;
};

static inline struct ptrace_subprocess *to_ptrace_subprocess(struct tg_subprocess *subprocess)
{
    return container_of(subprocess, struct ptrace_subprocess, base);
}

static inline struct ptrace_context *to_ptrace_context(struct tg_context *context)
{
    return container_of(context, struct ptrace_context, base);
}

#endif
