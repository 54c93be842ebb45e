/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Subprocess, context and queue as both backends see them. A backend's own struct starts with one of these. */
#ifndef CORE_HANDLES_H
#define CORE_HANDLES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "arch/arch_cpu.h"
#include "core/failure.h"
#include "core/interrupt.h"
#include "core/list.h"
#include "core/mapping_table.h"
#include "core/opener.h"
#include "core/platform.h"

/*
 * Over the fields of a struct stands the rule that guards them; what differs
 * has its own at its side. What is stored without a lock, and who looks at it:
 * docs/memory-order.md.
 */

enum subprocess_death {
    SUBPROCESS_ALIVE,
    SUBPROCESS_DYING, /* somebody is writing down why */
    SUBPROCESS_DEAD,
};

/* Fields stay where they are: which of them share a cache line is part of what a switch costs. */
struct tg_subprocess {
    struct tg_platform *platform; /* never changes */
    struct list node;             /* platform->lock */

    /* Atomic, any thread. */
    _Atomic pid_t pid;    /* of the stub process; 0 from when it is reaped, for then it may be another's */
    _Atomic uint32_t use; /* see subprocess_enter() */

    /* Its own lock. */
    struct mapping_table mappings; /* written by the backend, which knows in which order the host makes them */

    /* Atomic, any thread: subprocess_life.c. */
    _Atomic uint32_t refs;  /* the handle, and what the backend has that must find it */
    _Atomic uint32_t death; /* enum subprocess_death */

    /* Whoever has made death SUBPROCESS_DYING writes them; read when it is SUBPROCESS_DEAD. */
    int32_t death_reason; /* TG_DEAD_* */
    int32_t death_status;

    /* Atomic, any thread: brought.c. Odd while what calls bring is declared anew; the table stays once it is there. */
    _Atomic uint32_t bring_generation;
    struct bring_table *_Atomic brings;
};

/* In tg_subprocess.use: */
#define SUBPROCESS_SHUT  (1u << 31) /* nobody comes in any more */
#define SUBPROCESS_ALONE (1u << 30) /* who comes waits until this is over */

enum context_state {
    CONTEXT_IDLE,
    CONTEXT_RUNNING,   /* somebody has taken it, for a queue or to change it */
    CONTEXT_SWITCHING, /* a thread is in tg_context_switch() or its like with it */
    CONTEXT_READ,      /* somebody has taken it to read its FP state: its registers stay as they are */
};

/* Where a context's general registers are up to date. */
enum regs_place {
    REGS_HERE,       /* tg_context.regs */
    REGS_BACKEND,    /* context_pull_regs() brings them */
    REGS_ON_THE_WAY, /* one of several readers is bringing them: context_regs() */
    REGS_BOTH,
};

/* What every switch counts: in the context, for a platform's word would go from processor to processor. */
enum context_counter { CONTEXT_SWITCHES, CONTEXT_SYSCALLS, CONTEXT_COUNTERS };

/* Of the platform, in the order above. */
static const enum counter context_counters[CONTEXT_COUNTERS] = {COUNTER_SWITCHES, COUNTER_SYSCALLS};

/* Fields stay where they are: which of them share a cache line is part of what a switch costs. */
struct tg_context {
    struct tg_platform *platform; /* never changes */
    struct list node;             /* platform->lock */
    _Atomic uint32_t state;       /* enum context_state; atomic, any thread */

    /* Whoever has taken the context, but for what says otherwise. */
    uint32_t flags; /* TG_CONTEXT_* */
    uint64_t user_data;
    _Atomic uint64_t counted[CONTEXT_COUNTERS]; /* read by any thread */
    int64_t started_ns;                         /* TG_OPEN_LATENCY, while it runs; else 0 */
    struct interrupt interrupt;                 /* atomic, any thread and any signal handler: interrupt.h */
    bool in_syscall;                            /* the last event was a SYSCALL, kept in syscall */
    bool is_brought;                            /* somebody has what that call brings: backend_ops.context_bring */
    uint8_t attached_state;                     /* enum attached_state */
    struct arch_syscall syscall;
    uint8_t *fp; /* image of info.fpstate_size bytes; never moves */

    /*
     * Whoever has taken the context, or answers its call: tg_context_set_return() and tg_context_regs_mut() take
     * nothing. Of several readers the one that has made regs_place REGS_ON_THE_WAY.
     */
    _Atomic uint32_t regs_place; /* enum regs_place; regs is written before what says that it is up to date */
    tg_regs regs;

    /* Whoever has taken the context; NULL until they are used. */
    struct brought *brought;
    struct attached *attached;
};

enum queue_use {
    QUEUE_FREE,
    QUEUE_WAITED_ON,
    QUEUE_OPENED, /* a thread is in tg_queue_fd() and makes the service */
};

struct tg_queue {
    struct tg_platform *platform; /* never changes */
    struct list node;             /* platform->lock */

    /*
     * Atomic, any thread: queue_outlet.c. fd is an eventfd, -1 before tg_queue_fd(): stored when the thread that writes
     * to it runs, and closed when no thread uses the queue any more. Who has something to say stores that first and
     * then looks at fd; who stores fd then looks at that: queue_outlet_notify(), start_service().
     */
    _Atomic int fd;
    _Atomic uint32_t use; /* enum queue_use */
    _Atomic bool woken;
    _Atomic bool stopping;

    /* Who has made use QUEUE_OPENED writes it; who destroys the queue reads it. */
    pthread_t service;
};

/*
 * Operations count themselves in, so that destroy can wait for them. Enter
 * fails once destroy has begun.
 */
bool subprocess_enter(struct tg_subprocess *subprocess);
void subprocess_leave(struct tg_subprocess *subprocess);
/* Goes in if nobody is inside: 0, -EBUSY, or -ESRCH where the door is shut. */
int subprocess_enter_alone(struct tg_subprocess *subprocess);
/* By whoever went in alone, as long as nobody has come after him, else false: who comes waits until he leaves. */
bool subprocess_stay_alone(struct tg_subprocess *subprocess);
/* Leaves, whether or not he has stayed alone. */
void subprocess_leave_alone(struct tg_subprocess *subprocess);
/* Closes the door. Pairs with subprocess_enter(). */
void subprocess_shut(struct tg_subprocess *subprocess);
static inline bool subprocess_is_shut(const struct tg_subprocess *subprocess)
{
    return atomic_load(&subprocess->use) & SUBPROCESS_SHUT;
}

/* Waits until nobody is inside. */
void subprocess_drain(struct tg_subprocess *subprocess);

/* What every switch does is inlined: each call in between is nanoseconds of some hundred. */
static inline bool context_take_as(struct tg_context *context, enum context_state state)
{
    uint32_t idle = CONTEXT_IDLE;

    return atomic_compare_exchange_strong(&context->state, &idle, state);
}

/* Takes the context for running; false when it runs already. */
static inline bool context_take(struct tg_context *context)
{
    return context_take_as(context, CONTEXT_RUNNING);
}

static inline bool context_take_to_switch(struct tg_context *context)
{
    return context_take_as(context, CONTEXT_SWITCHING);
}

static inline bool context_is_switching(const struct tg_context *context)
{
    return atomic_load(&context->state) == CONTEXT_SWITCHING;
}

static inline bool context_is_running(const struct tg_context *context)
{
    return atomic_load(&context->state) != CONTEXT_IDLE;
}

/* Nobody changes its registers now, nor can a guest. */
static inline bool context_is_readable(const struct tg_context *context)
{
    uint32_t state = atomic_load(&context->state);

    return state == CONTEXT_IDLE || state == CONTEXT_READ;
}

static inline enum regs_place context_regs_place(const struct tg_context *context)
{
    return (enum regs_place)atomic_load_explicit(&context->regs_place, memory_order_acquire);
}

/* By whoever has the context, or brings its registers. Pairs with the look of context_regs(). */
static inline void context_place_regs(struct tg_context *context, enum regs_place place)
{
    atomic_store_explicit(&context->regs_place, place, memory_order_release);
}

void context_read_clock(struct tg_context *context);
void context_stop_clock(struct tg_context *context);

/* The time until it is given back counts as a switch's. */
static inline void context_start_clock(struct tg_context *context)
{
    if (context->platform->measures_latency)
        context_read_clock(context);
}

static inline void context_give_back(struct tg_context *context)
{
    if (context->started_ns)
        context_stop_clock(context);
    atomic_store_explicit(&context->state, CONTEXT_IDLE, memory_order_release);
}

/* By whoever has taken the context. */
static inline void context_count(struct tg_context *context, enum context_counter counter)
{
    _Atomic uint64_t *counted = &context->counted[counter];

    atomic_store_explicit(counted, atomic_load_explicit(counted, memory_order_relaxed) + 1, memory_order_relaxed);
}

static inline uint64_t context_counted(const struct tg_context *context, enum context_counter counter)
{
    return atomic_load_explicit(&context->counted[counter], memory_order_relaxed);
}

/* Life of the handles: create checks nothing but memory, destroy accepts NULL. */
int subprocess_create(struct tg_platform *platform, struct tg_subprocess *from, struct tg_subprocess **out);
int subprocess_reset(struct tg_subprocess *subprocess);
void subprocess_destroy(struct tg_subprocess *subprocess);
int context_create(struct tg_platform *platform, struct tg_context **out);
void context_start(struct tg_context *context, uint64_t ip, uint64_t sp);
int context_copy(struct tg_context *to, struct tg_context *from);
/* The registers, brought here if they are elsewhere; for several readers at once. */
const tg_regs *context_regs(struct tg_context *context);
/* The same; from now on these are the ones that count. */
tg_regs *context_regs_mut(struct tg_context *context);
/* By whoever has taken the context: the registers, and other ones for them. */
const tg_regs *context_bring_regs(struct tg_context *context);
void context_set_regs(struct tg_context *context, const tg_regs *regs);
/* The same asks whether the processor takes them; if not, the sentence says so of what was to be done. */
int context_check_own_regs(struct tg_context *context, const char *what);
/* Inlined: where a call was only answered they are elsewhere, and were checked. */
static inline int context_check_regs(struct tg_context *context, const char *what)
{
    return context_regs_place(context) == REGS_HERE ? context_check_own_regs(context, what) : 0;
}
int context_set_return(struct tg_context *context, int64_t value);
/* The same, whatever the last event was. */
void context_answer(struct tg_context *context, int64_t value);
int context_get_fpstate(struct tg_context *context, void *buffer);
int context_set_fpstate(struct tg_context *context, const void *image);
int context_restart_syscall(struct tg_context *context);
/* Its last event, which nobody will hear of: a call is made again by the next run, an interrupt answered by it. */
void context_take_back(struct tg_context *context, const struct tg_event *event);
void context_destroy(struct tg_context *context);
/* Whatever it does: for the closing platform, when nothing runs any more. */
void context_free(struct tg_context *context);
int queue_create(struct tg_platform *platform, struct tg_queue **out);
void queue_destroy(struct tg_queue *queue);
/* What destroying is in a process that was forked from the opener's: backend.h. */
void queue_forget(struct tg_queue *queue);
void subprocess_forget(struct tg_subprocess *subprocess, bool last);

/* Calls that need not become events: answers.c. The arguments were checked. */
int subprocess_answer(struct tg_subprocess *subprocess, uint32_t nr, uint32_t kind, uint64_t value);
int context_set_word(struct tg_context *context, uint32_t index, uint64_t value);

/* Memory of a guest. */
int subprocess_check_ops(struct tg_subprocess *subprocess, const struct tg_mem_op *ops, size_t n);
int subprocess_apply(struct tg_subprocess *subprocess, const struct tg_mem_op *ops, size_t n, size_t *done);
int subprocess_read(struct tg_subprocess *subprocess, uint64_t addr, void *buffer, size_t length, size_t *done);
int subprocess_write(struct tg_subprocess *subprocess, uint64_t addr, const void *buffer, size_t length, size_t *done);

static inline struct tg_transfer transfer_piece(uint32_t kind, uint64_t addr, void *buffer, size_t length)
{
    return (struct tg_transfer){
        .size = sizeof(struct tg_transfer), .kind = kind, .addr = addr, .buffer = buffer, .length = length};
}

/*
 * Moves pieces, one after another, until all are over or one cannot be: those
 * behind it have done 0. They are the library's own: of a string that is over
 * length is what done is. By way of the context, which the caller has taken and
 * which may have run there last; NULL: of none.
 */
int context_transfer(struct tg_context *context, struct tg_subprocess *subprocess, struct tg_transfer *pieces,
                     size_t n);
/* The same for a caller who is inside. */
int subprocess_transfer_inside(struct tg_subprocess *subprocess, struct tg_transfer *pieces, size_t n);

#endif
