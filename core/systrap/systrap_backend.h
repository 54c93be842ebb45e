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
 * systrap_platform.watch_lock, systrap_subprocess.lock.
 */
#ifndef CORE_SYSTRAP_BACKEND_H
#define CORE_SYSTRAP_BACKEND_H

#include <pthread.h>

#include "core/backend.h"
#include "core/clock.h"
#include "core/systrap/patched_pages.h"
#include "stub/systrap_protocol.h"

struct systrap_context;
struct systrap_queue;

/* ---- subprocess ---- */

enum systrap_death {
    SYSTRAP_ALIVE,
    SYSTRAP_DYING, /* somebody is writing down why */
    SYSTRAP_DEAD,
};

/* How often a site has called; the map is small, two sites may take turns in a place. */
#define PATCH_HEATS 256

struct systrap_heat {
    uint64_t ip;
    uint32_t calls;
    uint32_t wanted; /* calls that make it worth a look */
};

struct patched_site {
    struct arch_patch patch;
    bool undone;    /* its bytes are the original ones, or somebody else's */
    uint32_t older; /* the next one of those that start in the same page; NO_SITE */
};

struct systrap_patches {
    pthread_mutex_t lock; /* taken after order_lock */
    _Atomic bool off;
    bool table_mapped; /* order_lock */
    struct patched_pages pages;
    struct patched_site *sites;           /* by number of their trampoline */
    _Atomic uint64_t *_Atomic return_ips; /* the same: behind the original instructions */
    uint32_t count;
    uint32_t capacity;
    uint32_t dead;           /* sites that are undone */
    _Atomic uint32_t undone; /* how often some were */
    uint32_t changes;        /* how often pages were away for a moment */
    struct systrap_heat heat[PATCH_HEATS];
    uint64_t first_heat; /* all that were ever counted are from there to last_heat */
    uint64_t last_heat;
};

/* watchdog.c: what looks at a stub have said, each at least half a round after the one before. */
struct systrap_watch {
    _Atomic int64_t lost_at; /* when a thread was first seen to have ended alone; 0: none has */
    _Atomic bool looking;    /* somebody does; what follows is his */
    int64_t looked_at;
    int64_t run_ns;        /* that its threads had run then */
    _Atomic int64_t lived; /* these: struct watchdog_times */
    _Atomic int64_t held_up;
};

struct systrap_subprocess {
    struct tg_subprocess base;
    uint64_t id;           /* never used again */
    _Atomic uint32_t refs; /* the handle and every context that has a slot */
    _Atomic uint32_t death;
    int32_t death_reason; /* TG_DEAD_* */
    int32_t death_status;
    /* child.c: the process's number until it is reaped, 0 then; how many are where they use it. */
    _Atomic pid_t child;
    _Atomic uint32_t child_users;
    bool kill_refused; /* by the host; written before death is SYSTRAP_DEAD */
    bool lost_child;   /* order_lock: it died while it made another one */
    bool left_behind;  /* watch_lock: destroyed, and its process has not ended yet: the keeper's */
    int file;          /* memory of the stub; its offset is the syscall thread's answer */
    int pidfd;         /* watch_lock */
    uint8_t *memory;   /* the whole file, with room for all slots; beyond its size nobody may touch it */
    /* order_lock: what copies of guest memory go through when the stub makes them itself; -1 and NULL before */
    int window_file;
    uint8_t *window;
    struct list watched; /* systrap_platform.watched */

    pthread_mutex_t order_lock; /* one batch at a time; recursive, for reading memory before it is changed */
    uint32_t sequence;

    struct systrap_patches patches;
    struct systrap_watch watch;

    /* Added to under order_lock, worker_count last; read by any thread. */
    pid_t workers[SYSTRAP_WORKERS_MAX];
    _Atomic uint32_t worker_count;

    /* lock */
    pthread_mutex_t lock;
    struct systrap_context **owners; /* by slot */
    uint32_t owners_size;
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

struct systrap_context {
    struct tg_context base;
    struct systrap_subprocess *bound; /* where its slot is; NULL: none */
    struct systrap_slot *slot;        /* while bound is set */
    uint32_t number;                  /* of the slot */
    enum fp_place fp_place;
    _Atomic bool kicked; /* the slot's word for it must be cleared */
    bool queued;         /* what the slot says */
    /* The result of a call, kept here until the start: a worker that spins would take the line away in between. */
    bool return_set;
    int64_t return_value;
    struct seat *seat;        /* in the queue that it was submitted to last, while it has its slot */
    uint32_t undone_at_start; /* systrap_patches.undone, when it was given to the stub last */
    uint32_t changes_met;     /* since it was started: what patches_changes() said when it last trapped for that; 0 */
    uint32_t ran_on;          /* since it was started: how often it ran on after a stop that was nobody's business */
    bool met_hidden_base;     /* since it was started: patches were turned off for it */
    int64_t overdue_since;    /* watchdog.c, by its subprocess's clock; 0: it is not */
    uint32_t futile_spins;    /* waits in a row for which spinning was too short */
    int64_t stuck_since;      /* the same */
    /* While submitted to a queue: */
    struct list of_queue;
    struct systrap_queue *_Atomic queue; /* written by whoever has claimed it; others only compare it */
    _Atomic uint32_t flight;             /* enum flight; claimed under the subprocess's lock */
    struct tg_event event;               /* while it is in the ready list */
    uint64_t given_at;                   /* statistics.c: ticks when it was given to the stub */
};

/* ---- platform ---- */

struct systrap_platform {
    uint64_t region;
    uint64_t text_size;
    uint64_t slot_size;
    uint64_t slots;       /* where they start in the file: behind the code pages, so that it grows with them */
    uint64_t aside_pages; /* in the region: pages of guest code that are set aside */
    uint32_t slots_max;
    uint32_t workers_max;
    uint32_t workers_usual; /* awake in a subprocess while a thread of the embedder is too */
    int64_t spin_ns;        /* 0: one processor, nobody spins */
    uint32_t spinners_max;  /* threads of the embedder that may spin at once */
    _Atomic uint32_t spinners;
    struct systrap_config config;
    struct systrap_subprocess *template;
    pid_t group; /* of all stubs: the template's number */
    void *fp_initial;
    _Atomic uint64_t next_id;
    /* keeper.c */
    pthread_t keeper;
    bool keeper_runs;
    _Atomic bool stopping;
    int watch;                  /* epoll */
    int stop;                   /* eventfd */
    pthread_mutex_t watch_lock; /* the list */
    struct list watched;
    uint64_t tick_ns; /* statistics.c: how long a tick takes, in 2^-32 ns; 0: handoffs are not measured */
};

/* ---- queue ---- */

/* upkeep.c: when the collecting thread is to look again. */
struct systrap_upkeep {
    uint32_t rounds;    /* that find something until it reads the clock */
    int64_t read_at;    /* the clock, then */
    int64_t workers_at; /* whether contexts find workers */
    int64_t sweep_at;   /* for events that no ring names, and contexts that are stuck; 0: not yet */
};

/* A subprocess in which contexts of a queue run. */
struct seat {
    struct seat *_Atomic next; /* systrap_queue.seats */

    /* Never change. */
    struct systrap_subprocess *subprocess;
    uint64_t queue_id;

    /* Atomic, any thread. */
    _Atomic uint32_t refs;    /* the queue's list and contexts */
    _Atomic uint32_t running; /* contexts that were submitted and whose events nobody has fetched */

    /* systrap_queue.lock */
    struct list ready;    /* systrap_context.of_queue: events that are written already */
    struct list in_ready; /* systrap_queue.ready, while there are any */
};

struct systrap_queue {
    struct tg_queue base;
    uint64_t id; /* never changes, and is never used again */

    /* lock */
    pthread_mutex_t lock;
    struct list ready; /* seat.in_ready: each in turn */

    /* Added to under lock; removed from, and walked along without lock, by the collecting thread. */
    struct seat *_Atomic seats;

    /* Atomic, any thread. */
    _Atomic uint32_t ready_count; /* changed under lock */
    uint32_t word;                /* changes to end a wait; a futex */
    _Atomic uint32_t sleeping;
    _Atomic bool woken;
    _Atomic bool waiting; /* a thread is in tg_queue_wait() or tg_queue_fd() */
    _Atomic bool stopping;
    /*
     * eventfd, -1 before tg_queue_fd(). Stored when the thread that rings it
     * runs, and closed when no thread uses the queue any more. Who has
     * something to say stores that first and then looks at this; who stores
     * this then looks at that: systrap_queue_ring_fd(), start_service().
     */
    _Atomic int fd;

    /* The collecting thread: the one that has set waiting, or the service, which begins after what is here. */
    bool served;       /* it is the service */
    struct seat *turn; /* where it begins to collect; NULL: at the first */
    uint32_t busy;     /* seats that had events when it collected last */
    bool ready_first;
    uint32_t futile_spins;
    struct systrap_upkeep upkeep;

    pthread_t service; /* after tg_queue_fd(): who destroys the queue */
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

static inline struct systrap_queue *to_systrap_queue(struct tg_queue *queue)
{
    return container_of(queue, struct systrap_queue, base);
}

static inline struct systrap_orders *orders_of(const struct systrap_subprocess *subprocess)
{
    return (struct systrap_orders *)(subprocess->memory + SYSTRAP_ORDERS);
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

/* An event is in the slot; at most the FP state is elsewhere still. */
static inline bool state_has_event(uint32_t state)
{
    return state == SLOT_HELD || state == SLOT_ASLEEP || state == SLOT_EVENT || state == SLOT_DROP;
}

static inline bool systrap_is_dead(const struct systrap_subprocess *subprocess)
{
    return atomic_load(&subprocess->death) == SYSTRAP_DEAD;
}

/* Words of shared memory. */
#define SHARED_LOAD(field)         __atomic_load_n(&(field), __ATOMIC_ACQUIRE)
#define SHARED_STORE(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELEASE)
#define SHARED_SWAP(field, value)  __atomic_exchange_n(&(field), (value), __ATOMIC_SEQ_CST)
#define SHARED_ADD(field, value)   __atomic_fetch_add(&(field), (value), __ATOMIC_SEQ_CST)

static inline bool shared_change(uint32_t *word, uint32_t from, uint32_t to)
{
    return __atomic_compare_exchange_n(word, &from, to, false, __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE);
}

/*
 * Takes a slot from the worker that holds it, which may fall asleep or wake up
 * meanwhile. What its state was: HELD or ASLEEP, or another, and then it is
 * unchanged.
 */
static inline uint32_t shared_take_held(uint32_t *state, uint32_t to)
{
    for (;;) {
        uint32_t before = SHARED_LOAD(*state);

        if ((before != SLOT_HELD && before != SLOT_ASLEEP) || shared_change(state, before, to))
            return before;
    }
}

/* ---- shared_futex.c: words of shared memory; until_ns: CLOCK_MONOTONIC, INT64_MAX: no end ---- */

void shared_futex_wait(uint32_t *word, uint32_t expected, int64_t until_ns);
void shared_futex_wake(uint32_t *word);

/* ---- stub_memory.c ---- */

#define STUB_WINDOW_SIZE 0x40000
/* In the file: pages that come into the place of guest code (patched_pages.h). The stub sees slots at that offset. */
#define STUB_CODE_PAGES  SYSTRAP_SLOTS

/* The file and its mapping. 0 or -errno, and then *call names what failed. */
int stub_memory_create(struct systrap_subprocess *subprocess, const char **call);
/* The stub has mapped its parts: nobody else can write, whoever holds the descriptor. 0 or -errno. */
int stub_memory_seal(const struct systrap_subprocess *subprocess);
/* Room for that many slots. lock is held. 0 or -errno. */
int stub_memory_reach(struct systrap_subprocess *subprocess, uint32_t slots);
/* Makes window and window_file, if there are none. order_lock is held. 0 or -errno. */
int stub_memory_make_window(struct systrap_subprocess *subprocess);
void stub_memory_destroy(struct systrap_subprocess *subprocess);
/* In a process that was forked from the opener's: the descriptors, and if unmap is set the mapping too. */
void stub_memory_forget(struct systrap_subprocess *subprocess, bool unmap);
/* The calls that map the file in a stub; how many. */
size_t stub_memory_calls(const struct systrap_subprocess *subprocess, struct stub_call *calls);

/* ---- systrap_template.c: the first stub process ---- */

int systrap_template_start(struct tg_platform *platform, const struct tg_platform_options *options,
                           struct open_report *report);
void systrap_template_stop(struct tg_platform *platform);

/* ---- keeper.c: the parent of all stubs; notices when one dies ---- */

/* Runs make(arg) in the keeper's thread when that starts, and returns what it returned. */
int keeper_start(struct systrap_platform *sp, int (*make)(void *arg), void *arg, struct open_report *report);
void keeper_stop(struct systrap_platform *sp);
/* In a process that was forked from the opener's: its copies of the descriptors. */
void keeper_close_copies(struct systrap_platform *sp);
/* After an error too the keeper has it, until it is buried. */
int keeper_watch(struct systrap_subprocess *subprocess);
/*
 * It was killed, and nobody uses it any more: reaps it. False: it has not ended
 * in WATCHDOG_TEARDOWN; then the keeper reaps it when it does, and has the
 * caller's reference.
 */
bool keeper_bury(struct systrap_subprocess *subprocess);
/* Nobody reaps it. */
void keeper_forget(struct systrap_subprocess *subprocess);

/* ---- orders.c: calls by the syscall thread ---- */

struct answer {
    int64_t result; /* of the last call made */
    uint32_t left;  /* calls that were not made or failed */
};

/* order_lock is held. 0 or -ESRCH. */
int orders_give(struct systrap_subprocess *subprocess, size_t n, struct answer *answer);
/* Waits for the answer to the subprocess's first order, which it was made with. */
int orders_first_answer(struct systrap_subprocess *subprocess, struct answer *answer);
/* The stub, which is dead for everybody else, is to end by itself: the host lets nobody kill it. */
void orders_leave(struct systrap_subprocess *subprocess);

/* ---- systrap_subprocess.c ---- */

/* 0 or -errno, and then *call names what failed. */
int systrap_subprocess_init(struct systrap_subprocess *subprocess, const char **call);
void systrap_subprocess_release(struct systrap_subprocess *subprocess);
/* The process exists: watches over it. */
int systrap_subprocess_adopt(struct systrap_subprocess *subprocess, pid_t pid);
int systrap_subprocess_create(struct tg_subprocess *subprocess, struct tg_subprocess *from);
void systrap_subprocess_destroy(struct tg_subprocess *subprocess);
void systrap_subprocess_forget(struct tg_subprocess *subprocess, bool last);
/* Kills all, so that closing waits for nothing that their workers have. */
void systrap_end_guests(struct tg_platform *platform);
int systrap_subprocess_apply(struct tg_subprocess *subprocess, const struct tg_mem_op *ops, size_t n, size_t *done);
ssize_t systrap_subprocess_copy(struct tg_subprocess *subprocess, bool to_guest, uint64_t addr, void *buffer,
                                size_t length);
/* Kills the process and remembers why, the first time it is called; wakes everybody who waits for it. */
void systrap_subprocess_die(struct systrap_subprocess *subprocess, int32_t reason, int32_t status);

/* ---- workers.c ---- */

/* Somebody is to run what was put into the run ring. */
void workers_wake_one(struct systrap_subprocess *subprocess);
void worker_wake(struct systrap_subprocess *subprocess, uint32_t index);
/* Something has waited in the run ring for too long: wakes or makes another worker. True: there is one more. */
bool workers_add(struct systrap_subprocess *subprocess);
/* True: one slept. */
bool workers_wake_a_sleeper(struct systrap_subprocess *subprocess);
bool workers_backlog(const struct systrap_subprocess *subprocess);
/* The call that makes the next one, and what it gave. order_lock is held, or nobody else knows the subprocess. */
struct stub_call workers_call(struct systrap_subprocess *subprocess);
int workers_note(struct systrap_subprocess *subprocess, const struct answer *answer);
void worker_kick(struct systrap_subprocess *subprocess, uint32_t index);

/* ---- patches.c ---- */

void patches_init(struct systrap_subprocess *subprocess);
static inline uint32_t patches_undone(const struct systrap_patches *patches)
{
    return atomic_load_explicit(&patches->undone, memory_order_relaxed);
}

/* By the number of a trampoline, which a guest may have made up: 0, or an address behind a call. */
uint64_t patches_return_ip(const struct systrap_patches *patches, uint32_t number);
void patches_destroy(struct systrap_patches *patches);
/* An unpatched call: if its site makes many, it is changed. */
void patches_note_call(struct systrap_subprocess *subprocess, const struct arch_syscall *syscall);
/* 0, or an error: the operation must not be made. */
int patches_before_op(struct systrap_subprocess *subprocess, const struct tg_mem_op *op);
/* It was made (0), or refused with this error. */
void patches_after_op(struct systrap_subprocess *subprocess, const struct tg_mem_op *op, int64_t result);
/* Undoes all and makes no more. */
void patches_turn_off(struct systrap_subprocess *subprocess);
int patches_inherit(struct systrap_subprocess *child, struct systrap_subprocess *mother);
/* The call that maps the table of pointers. */
struct stub_call patches_table_call(const struct systrap_subprocess *subprocess);
/* Registers of a thread in a trampoline become those of the original code. True: they were changed. */
bool patches_original_ip(struct systrap_subprocess *subprocess, tg_regs *regs);
/* What a thread wanted that got a signal. */
enum arch_patch_meaning patches_explain(struct systrap_subprocess *subprocess, tg_regs *regs, struct arch_syscall *out);
/* May there be code around addr, or have been, that is not the guest's? A quick look. */
bool patches_were_near(const struct systrap_subprocess *subprocess, uint64_t addr);
/* How often code has changed; waits for whoever is changing some. Never 0. */
uint32_t patches_changes(struct systrap_subprocess *subprocess);

/* ---- slots.c: a context's place in a subprocess ---- */

/* The context gets a slot there; what another subprocess has of its state comes along. 0 or -errno. */
int slot_move(struct systrap_context *context, struct systrap_subprocess *subprocess);
static inline int slot_bind(struct systrap_context *context, struct systrap_subprocess *subprocess)
{
    return context->bound == subprocess ? 0 : slot_move(context, subprocess);
}

/* All state is in the handle, the slot is given back. */
void slot_unbind(struct systrap_context *context);
/* Copies the registers to the handle, which are in the slot alone. */
void slot_pull_regs(struct systrap_context *context);
/*
 * 0; -ESRCH: the stub is dead, and what was left of the state is there; -EIO:
 * the worker does not answer, or the stub was stopped for so long (watchdog.h).
 */
int slot_pull_fp(struct systrap_context *context, int64_t stopped_ns);
/*
 * The subprocess is about to be killed, its door is shut: the FP states that
 * workers hold come into the slots, as many as come in ten seconds. Takes no
 * context: whoever has one may go on.
 */
void slots_rescue(struct systrap_subprocess *subprocess);
/* Puts the handle's state where the context will run. The context is bound and at rest. */
void slot_push_state(struct systrap_context *context);

/* ---- events.c ---- */

/* Is there something in the slot? */
static inline bool systrap_left_something(const struct systrap_context *context)
{
    return state_has_event(SHARED_LOAD(context->slot->state));
}

/* Something is in the slot: makes an event of it. False: it is nobody's business, and the context is to run again. */
bool systrap_collect(struct systrap_context *context, struct tg_event *event);
/* The subprocess died under it. */
void systrap_lost(struct systrap_context *context, struct tg_event *event);
void systrap_event_dead(struct systrap_context *context, struct tg_event *event);
void systrap_event_interrupted(struct systrap_context *context, struct tg_event *event);

/* ---- run.c ---- */

/* 0: it runs. 1: the event is written. <0: an error, nothing has changed. */
int systrap_start(struct systrap_context *context, struct systrap_subprocess *subprocess, bool queued,
                  struct tg_event *event);
/* Lets a context go on that left the guest for nothing. */
void systrap_run_again(struct systrap_context *context);
int systrap_context_switch(struct tg_context *context, struct tg_subprocess *subprocess, struct tg_event *event);
void systrap_context_create(struct tg_context *context);
void systrap_context_reset(struct tg_context *context);
int systrap_context_pull_fp(struct tg_context *context);
void systrap_context_pull_regs(struct tg_context *context);
void systrap_context_set_return(struct tg_context *context, int64_t value);
void systrap_context_fp_changes(struct tg_context *context);
void systrap_context_destroy(struct tg_context *context);
/* Before it sleeps, a waiter sees to it that the guests can go on; until when it may sleep. */
int64_t systrap_before_sleep(struct systrap_subprocess *subprocess);
/* The same for who wants nothing but that they stop: without a new worker, which a stopped stub would not make. */
void systrap_make_way(struct systrap_subprocess *subprocess);

/* ---- the queue: systrap_queue.c; what its files share is in systrap_queue.h ---- */

int systrap_queue_create(struct tg_queue *queue);
int systrap_queue_submit(struct tg_queue *queue, struct tg_context *context, struct tg_subprocess *subprocess);
int systrap_queue_wait(struct tg_queue *queue, void *events, size_t stride, size_t capacity, int64_t timeout_ns,
                       size_t *count);
int systrap_queue_wake(struct tg_queue *queue);
int systrap_queue_fd(struct tg_queue *queue);
void systrap_queue_destroy(struct tg_queue *queue);
void systrap_queue_forget(struct tg_queue *queue);
void systrap_queue_subprocess_dead(struct systrap_subprocess *subprocess);
/* Before the context loses its slot. */
void systrap_queue_leave_seat(struct systrap_context *context);

/* ---- statistics.c: how long handoffs take, and what workers say of themselves ---- */

/* With TG_OPEN_LATENCY: before and after the rest of opening, which is long enough to see how long a tick takes. */
struct clock_pair {
    int64_t ns;
    uint64_t ticks;
};

struct clock_pair statistics_read_clocks(void);
void statistics_learn_ticks(struct systrap_platform *sp, const struct clock_pair *before);

void statistics_note_given(struct systrap_context *context);
void statistics_count_handoffs(struct systrap_context *context);

/* The context is about to be given to the stub. */
static inline void statistics_given(struct systrap_context *context)
{
    if (__builtin_expect(context->base.platform->measures_latency, 0))
        statistics_note_given(context);
}

/* It is back, with something in its slot. */
static inline void statistics_back(struct systrap_context *context)
{
    if (__builtin_expect(context->base.platform->measures_latency, 0))
        statistics_count_handoffs(context);
}

void systrap_add_stub_numbers(const struct tg_platform *platform, uint64_t *spins, uint64_t *sleeps);
/* The subprocess is about to go: its numbers become the platform's. */
void statistics_keep(struct systrap_subprocess *subprocess);

#endif
