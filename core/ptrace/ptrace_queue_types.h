/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Many contexts for one waiting thread. That thread, the owner, is the tracer
 * of what it starts: it waits for the process group of the platform's stubs
 * and sees its own tracees only (__WNOTHREAD), never a child of the embedder's.
 *
 * A context waits in the incoming line, runs, or waits in the ready line. Only
 * the owner starts and stops contexts; others may add to incoming, and destroy
 * may make ready what has died.
 */
#ifndef CORE_PTRACE_QUEUE_TYPES_H
#define CORE_PTRACE_QUEUE_TYPES_H

#include "core/ptrace/ptrace_types.h"

#define RUNNING_MAX 64 /* stub threads that a queue keeps busy; more contexts take turns */
#define NEVER       INT64_MAX

enum queue_line {
    LINE_INCOMING, /* submitted, not started */
    LINE_READY,    /* its event is written */
    QUEUE_LINES
};

/* What one subprocess has in a line. */
struct queue_turn {
    /* ptrace_queue.lock */
    struct list of_line;  /* ptrace_queue.lines; in none while it is empty */
    struct list contexts; /* ptrace_context.of_queue */
};

/* The contexts of one subprocess in a queue; there as long as there are any. */
struct queue_party {
    /* ptrace_queue.lock; the number never changes. */
    struct list of_bucket; /* ptrace_queue.parties */
    uint64_t subprocess_id;
    uint32_t contexts;
    struct queue_turn turns[QUEUE_LINES];
};

#define PARTY_BUCKETS 64

struct ptrace_queue {
    struct tg_queue base;

    /* lock */
    pthread_mutex_t lock;
    struct list lines[QUEUE_LINES];
    struct list parties[PARTY_BUCKETS];
    struct list running;
    uint32_t running_count;
    bool starved;         /* the host has refused another stub thread: one that runs may stop, or the host give way */
    struct tracer *owner; /* traces what runs; changes with queues_lock too; its own thread may look without */
    struct list of_owner; /* tracer->queues; queues_lock too */

    /* The owner's thread. */
    int64_t upkeep_at;
    bool served; /* it is the service */

    /*
     * Atomic, any thread. docs/memory-order.md. Thread of the template that wakes the waiter, 0: none. Who has
     * something for the waiter stores it and then looks at this; a waiter shows its bell and then looks for something.
     */
    _Atomic pid_t bell;
};

static inline struct ptrace_queue *to_ptrace_queue(struct tg_queue *queue)
{
    return container_of(queue, struct ptrace_queue, base);
}

static inline struct ptrace_context *context_of(struct list *node)
{
    return container_of(node, struct ptrace_context, of_queue);
}

#endif
