/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The systrap backend's data, from the bottom up.
 *
 * A stub process has a syscall thread, which makes calls for the library, and
 * workers, which run guests. Registers cross in slots of memory that the guest
 * can write too (stub/systrap_protocol.h): whatever is read from there is read
 * once and checked, and nothing that the library must rely on is kept there.
 *
 * Locks, outermost first: tg_platform.lock, systrap_queue.lock,
 * systrap_subprocess.order_lock, systrap_patches.lock,
 * systrap_platform.keeper_lock, systrap_subprocess.lock. mapping_table.lock and
 * site_memory.lock are held while nothing else is locked. Nothing is locked while systrap_platform.grants_lock is held.
 *
 * Over the fields of a struct stands the rule that guards them; what differs
 * from the rule above it has its own at its side, where fields must not move.
 * What is stored without a lock, and who looks at it: docs/memory-order.md.
 */
#ifndef CORE_SYSTRAP_TYPES_H
#define CORE_SYSTRAP_TYPES_H

#include <pthread.h>
#include <sched.h>

#include "arch/arch_patching.h"
#include "arch/arch_systrap.h"
#include "core/backend.h"
#include "core/systrap/patching/patch_types.h"
#include "core/systrap/patching/site_memory.h"
#include "stub/systrap_protocol.h"

struct systrap_context;
struct systrap_queue;

/* ---- subprocess ---- */

/* watchdog.c: what looks at a stub have said, each at least half a round after the one before. */
struct systrap_watch {
    /* Atomic, any thread. */
    _Atomic int64_t lost_at; /* when a thread was first seen to have ended alone; 0: none has */
    _Atomic bool looking;    /* a thread looks just now */

    /* Whoever has set looking. */
    int64_t looked_at;
    int64_t run_ns; /* that its threads had run then */

    /* Added to by whoever has set looking; read by any thread. */
    _Atomic int64_t lived; /* these: struct watchdog_times */
    _Atomic int64_t held_up;
};

/* order_spinning.c */
struct systrap_order_spins {
    uint32_t row;          /* orders that came right after the one before */
    uint32_t futile;       /* waits for a reply in a row for which spinning was too short, or not worth a try */
    bool granted;          /* the syscall thread spins after the last order, or has done so */
    bool meets_spinner;    /* it does when that order comes */
    int64_t replied_at;    /* when the last reply came */
    int64_t claimed_until; /* systrap_platform.order_spin_until as it was left there for this subprocess */
};

/*
 * Besides the handle, every context that has a slot and every seat of a queue refers to it. Fields stay where they are:
 * which of them share a cache line is part of what a switch costs.
 */
struct systrap_subprocess {
    struct tg_subprocess base;
    uint64_t id; /* never changes, and is never used again */

    /* Atomic, any thread. child.c: the process's number until it is reaped, 0 then; how many threads are using it. */
    _Atomic pid_t child;
    _Atomic uint32_t child_users;

    /* Each has its own rule. */
    bool kill_refused; /* as base.death_reason: by the host */
    bool lost_child;   /* order_lock, or whoever buries it: it died while it made another one */
    bool left_behind;  /* keeper_lock: destroyed, and its process has not ended yet: the keeper's */
    int file;          /* never changes: memory of the stub; its offset is the syscall thread's reply */
    /* Changed with keeper_lock. Read without by who makes it SUBPROCESS_DEAD and by who buries it: it is closed after.
     */
    int pidfd;
    uint8_t *memory; /* never changes: the whole file, with room for all slots; beyond its size nobody may touch it */

    /* order_lock: what copies of guest memory go through when the stub makes them itself; -1 and NULL before */
    int window_file;
    uint8_t *window;

    /* keeper_lock */
    struct list kept; /* systrap_platform.kept */

    /* order_lock; before the handle is there, its maker, who has the mother's. */
    pthread_mutex_t order_lock; /* one order at a time; recursive, for reading memory before it is changed */
    uint32_t sequence;
    int placed; /* order_place.c */

    /* These have rules of their own. */
    struct systrap_patches patches;
    struct systrap_watch watch;

    /* Added to under order_lock, worker_count last; read by any thread. */
    pid_t workers[SYSTRAP_WORKERS_MAX];
    _Atomic uint32_t worker_count;

    /* lock */
    pthread_mutex_t lock;                   /* also: who claims a context in flight */
    struct systrap_context **slot_contexts; /* by slot */
    uint32_t slot_contexts_size;
    uint32_t *free_slots;
    uint32_t free_count;
    uint32_t next_slot;    /* none above was ever used */
    uint32_t slots_held;   /* that the file has room for */
    uint32_t backlog_head; /* as it was when somebody looked first */
    int64_t backlog_since;

    /* Atomic, any thread. */
    _Atomic int64_t backlog_moved;     /* when the run ring was seen to move last; changed under lock */
    _Atomic uint32_t done_head[RINGS]; /* changed under lock */
    _Atomic uint32_t run_tail[RINGS];
    _Atomic uint64_t copying; /* a bit for each worker whose WORKER_COPY a thread of the embedder has */
    _Atomic bool words_used;  /* a context with words has had a slot; never false again, but by a reset */

    uint32_t sleepers; /* lock: threads that sleep for queues with a seat here, as the stub's word for it says */

    struct systrap_order_spins order_spins; /* order_lock */

    int64_t made_at; /* never changes: by the monotonic clock */

    /* As the first ones of patches. */
    struct code_files code_files;

    /* spin_grants.c: systrap_platform.grants_lock. */
    struct list grant_node;       /* grant_holders, while it has some */
    int64_t granted_at;           /* the newest one */
    _Atomic uint32_t spin_grants; /* changed with the lock, read without */
};

/* ---- context ---- */

enum fp_place {
    FP_BASE, /* tg_context.fp */
    FP_SLOT, /* in the slot, or with the worker that holds it */
};

/* Who may hand out the event of a context. */
enum flight {
    NOT_IN_FLIGHT, /* whoever has its handle */
    STARTING,      /* nobody yet: what its slot shows may be the event before */
    IN_FLIGHT,     /* whoever claims it: only one can */
    ASKED_FOR,     /* as STARTING, and somebody has come for it meanwhile */
};

#define HELD_BY_NONE UINT8_MAX /* no number of a worker */

/* worker_answers.c: lock. The slot changes only while place is NULL. */
struct systrap_context_words {
    pthread_mutex_t lock; /* taken while nothing else is locked */
    struct systrap_words own;
    bool set;                    /* some are not zero, or were not */
    struct systrap_words *place; /* where its worker finds them, while it has a slot */
};

/* Fields stay where they are: which of them share a cache line is part of what a switch costs. */
struct systrap_context {
    struct tg_context base;

    /* Whoever has taken the context, or claimed its event, but for what says otherwise. */
    /* The first three change with the subprocess's lock too. kick() reads them in any thread while it is armed. */
    struct systrap_subprocess *bound; /* where its slot is; NULL: none */
    struct systrap_slot *slot;        /* while bound is set */
    uint32_t number;                  /* of the slot */
    enum fp_place fp_place;
    _Atomic bool kicked; /* atomic, any thread: the slot's word for it must be cleared */
    bool queued;         /* what the slot says */
    /* The result of a call, kept here until the start: a worker that spins would take the line away in between. */
    bool return_set;
    int64_t return_value;
    struct queue_seat *seat;    /* in the queue that it was submitted to last, while it has its slot */
    uint32_t undoings_at_start; /* systrap_patches.undoings, when it was given to the stub last */
    uint32_t gaps_met;          /* since it was started: what patches_gaps() was when it last faulted in a gap; 0 */
    uint32_t ran_on;            /* since it was started: how often it ran on after a stop that was nobody's business */
    uint32_t brings_at_start;   /* tg_subprocess.bring_generation, when it was given to the stub last */
    uint8_t held_by;            /* the worker that left its last event, a patched call; else HELD_BY_NONE */
    bool met_hidden_base;       /* since it was started: patches were turned off for it */
    int64_t overdue_since;      /* watchdog.c, by its subprocess's clock; 0: it is not. While in flight: lock of that */
    uint32_t futile_spins;      /* waits in a row for which spinning was too short */
    int64_t stuck_since;        /* as overdue_since: since when it has been stuck */

    uint32_t futile_copies; /* worker_copy.c: in a row that no worker took up, and then those not tried too */
    uint32_t copies;        /* worker_copy.c: for which there was a choice of two ways */

    /* While submitted to a queue: */
    struct list of_queue;                /* systrap_queue.lock */
    struct systrap_queue *_Atomic queue; /* written by whoever has taken or claimed it; others only compare it */
    _Atomic uint32_t flight;             /* enum flight; claimed under the subprocess's lock */
    struct tg_event event;               /* whoever has claimed it; systrap_queue.lock while it is in the ready list */

    /* Whoever has taken the context, or claimed its event. */
    uint64_t given_at; /* statistics.c: ticks when it was given to the stub */

    struct systrap_context_words words; /* has a rule of its own */
};

/* ---- platform ---- */

enum copy_way {
    COPY_BY_WORKER,
    COPY_BY_HOST,
    COPY_WAYS,
};

#define COPY_SHORT   64 /* bytes */
#define COPY_MEDIUM  512
#define COPY_CLASSES 3

/* What copies of guest memory of about the same length have cost; 0: not known yet. */
struct copy_cost {
    _Atomic uint32_t ns[COPY_WAYS];
};

struct systrap_platform {
    /* Never change once the platform is open, but for what says otherwise. */
    uint64_t region;
    uint64_t text_size;
    uint64_t slot_size;
    uint64_t slots;       /* where they start in the file: behind the code pages, so that it grows with them */
    uint64_t aside_pages; /* in the region: pages of guest code that are set aside */
    uint32_t slots_max;
    uint32_t workers_max;
    uint32_t workers_usual; /* awake in a subprocess while a thread of the embedder is too */
    cpu_set_t allowed_cpus;
    uint32_t spinners_max;     /* threads of the embedder that may spin at once */
    uint32_t grants_max;       /* the same of workers */
    _Atomic int64_t spin_ns;   /* atomic, any thread; 0: nobody spins, as on one processor */
    _Atomic uint32_t spinners; /* the same */
    struct systrap_config config;
    struct systrap_subprocess *template;
    pid_t group; /* of all stubs: the template's number */
    void *fp_initial;

    /* Atomic, any thread. */
    _Atomic uint64_t next_id;
    _Atomic bool places;              /* syscall threads: order_place.c; false for good once the host has refused */
    _Atomic int64_t order_spin_until; /* order_spinning.c: until when a syscall thread may spin */
    struct copy_cost copy_costs[COPY_CLASSES]; /* worker_copy.c: the newest of several threads counts */

    /* keeper.c: who opens and closes the platform. */
    pthread_t keeper;
    bool keeper_runs;
    _Atomic bool stopping; /* read by the keeper */
    int keeper_epoll;      /* never changes while the keeper runs */
    int stop;              /* the same: eventfd */

    /* keeper_lock: also pidfd and left_behind of those in the list */
    pthread_mutex_t keeper_lock;
    struct list kept;

    /* Never changes once the platform is open. */
    uint64_t tick_ns; /* statistics.c: how long a tick takes, in 2^-32 ns; 0: handoffs are not measured */

    struct site_memory site_memory; /* its own lock */

    /* spin_time.c: never changes once the platform is open. What so many pauses take; 0: one processor. */
    int64_t pauses_ns;

    /* grants_lock: taken last */
    pthread_mutex_t grants_lock;
    struct list grant_holders; /* who has had its newest grant for longest comes first */
    uint32_t grants_given;
    _Atomic uint32_t spin_pauses; /* read without: how often a worker pauses before it sleeps */
};

static inline struct systrap_platform *systrap_platform(const struct tg_platform *platform)
{
    return platform->backend;
}

static inline struct systrap_subprocess *to_systrap_subprocess(struct tg_subprocess *subprocess)
{
    return container_of(subprocess, struct systrap_subprocess, base);
}

static inline struct systrap_context *to_systrap_context(struct tg_context *context)
{
    return container_of(context, struct systrap_context, base);
}

static inline struct systrap_orders *orders_of(const struct systrap_subprocess *subprocess)
{
    return (struct systrap_orders *)(subprocess->memory + SYSTRAP_ORDERS);
}

static inline struct systrap_config *config_of(const struct systrap_subprocess *subprocess)
{
    return (struct systrap_config *)(subprocess->memory + SYSTRAP_CONFIG);
}

static inline struct systrap_control *control_of(const struct systrap_subprocess *subprocess)
{
    return (struct systrap_control *)(subprocess->memory + SYSTRAP_CONTROL);
}

static inline struct systrap_worker *worker_of(const struct systrap_subprocess *subprocess, uint32_t index)
{
    return (struct systrap_worker *)(subprocess->memory + SYSTRAP_WORKERS + (size_t)(index + 1) * SYSTRAP_WORKER_SIZE -
                                     WORKER_STRUCT_SIZE);
}

static inline struct systrap_slot *slot_of(const struct systrap_subprocess *subprocess, uint32_t number)
{
    const struct systrap_platform *sp = systrap_platform(subprocess->base.platform);

    return (struct systrap_slot *)(subprocess->memory + sp->slots + number * sp->slot_size);
}

/* The library's thread that asked for it has the context, and its event. */
static inline bool state_is_copying(uint32_t state)
{
    return state == SLOT_COPY || state == SLOT_COPYING;
}

/* An event is in the slot; at most the FP state is elsewhere still. */
static inline bool state_has_event(uint32_t state)
{
    return state == SLOT_HELD || state == SLOT_ASLEEP || state == SLOT_EVENT || state == SLOT_DROP;
}

/* Who waits for the slot has waited long enough. */
static inline bool state_ends_wait(uint32_t state)
{
    return state_has_event(state) || state == SLOT_GONE;
}

#endif
