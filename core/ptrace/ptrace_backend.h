/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The ptrace backend's data, from the bottom up.
 *
 * A host thread that runs guests is a tracer. For each subprocess that it
 * uses it has a seat: the stub threads there that it traces and that are idle
 * now. The kernel lets only the tracer itself touch its stub threads, so a
 * tracer's own members need no lock; what other threads may look at is in
 * ptrace_subprocess and says so.
 *
 * Locks, outermost first: ptrace_subprocess.order_lock, tracer.lock,
 * tg_platform.lock, ptrace_platform.queues_lock, ptrace_queue.lock,
 * ptrace_subprocess.lock, ptrace_platform.fp_lock. The last ones,
 * ptrace_platform.tracers_lock and bell_lock, are held while nothing else is
 * called. No lock is shared by platforms.
 */
#ifndef CORE_PTRACE_BACKEND_H
#define CORE_PTRACE_BACKEND_H

#include <pthread.h>
#include <sched.h>

#include "core/backend.h"

#define BELL_SLOTS 255

struct tracer;

/* ---- subprocess ---- */

enum death {
    ALIVE,
    DYING, /* somebody is writing down why */
    DEAD,
};

struct ptrace_subprocess {
    struct tg_subprocess base;
    uint64_t id;           /* of the platform's counter: never used again */
    _Atomic uint32_t refs; /* the handle and every seat */
    _Atomic uint32_t death;
    int32_t death_reason; /* TG_DEAD_* */
    int32_t death_status;
    pthread_mutex_t lock;
    struct list threads;        /* all stub threads: stub_thread.of_subprocess */
    struct list parked;         /* those that tracers have handed back: stub_thread.waiting */
    pthread_mutex_t order_lock; /* the batch page; operations and births, in the order in which they are made */
};

/* ---- stub thread ---- */

struct stub_thread {
    struct ptrace_subprocess *subprocess;
    pid_t tid;
    struct list of_subprocess;
    struct list waiting; /* in subprocess->parked, or in its seat's idle list */
    struct list of_tid;  /* tracer->by_tid */
    /* NULL while parked. Its tracer writes it; others only compare it with their own, which nobody else writes. */
    _Atomic(struct tracer *) tracer;
    int cpu;             /* where it was placed, -1: free to go anywhere */
    bool long_run;       /* the last run took so long that placing would only hurt */
    _Atomic bool reaped; /* its id may be another's. By whoever has waited for its end: tracer or destroyer */
    bool first;          /* its process: reaped last, so it runs nothing but clone(2) */
    uint64_t fp_version; /* of the FP state that it holds, 0: nobody's; its tracer's */
    _Atomic(struct ptrace_context *) fp_owner; /* whose only current FP state it holds, or NULL: fp_ownership.c */
};

/* ---- tracer ---- */

#define SEAT_BUCKETS 64
#define TID_BUCKETS  256

struct seat {
    struct list node; /* tracer->seats bucket */
    struct ptrace_subprocess *subprocess;
    struct list idle;
};

struct bell {
    struct stub_thread *thread; /* of the template; NULL before the first use */
    uint32_t slot;              /* its timespec in the template's batch page; 0: none */
    bool asleep;                /* else stopped */
    int64_t until_ns;           /* when it rings by itself; INT64_MAX: never */
};

struct tracer {
    /* Never change. The platform is there until the tracer has ended. */
    struct tg_platform *platform;
    uint64_t platform_id;
    pid_t process;
    uint64_t serial;

    _Atomic uint32_t refs;   /* its thread's and its platform's */
    pthread_mutex_t lock;    /* who ends it: its thread, or the platform's close */
    _Atomic bool ended;      /* written with the lock; its own thread may look without */
    struct list of_platform; /* ptrace_platform.tracers; ptrace_platform.tracers_lock */

    /* Of its thread, and with the lock of whoever ends it. */
    struct list of_thread; /* thread_record.tracers */
    uint64_t fp_counter;
    uint32_t yield_misses; /* waits in a row for which yielding the processor was no use */
    struct bell bell;
    struct list seats[SEAT_BUCKETS];
    struct list by_tid[TID_BUCKETS];
    struct list queues; /* ptrace_queue.of_owner: queues whose contexts it runs */
};

/* ---- platform ---- */

struct stub_template {
    pthread_t keeper;      /* parent of all stubs; exists so that they outlive the opener */
    _Atomic uint32_t keep; /* 1 until closing */
    struct ptrace_subprocess *subprocess;
    pid_t group; /* its process id, which is the process group of all stubs */
};

struct ptrace_platform {
    uint64_t cookie;
    uint64_t stub_start;
    uint64_t batch; /* address of the batch page */
    uint64_t stub_end;
    struct stub_template template;
    void *fp_initial;
    _Atomic bool placement;
    cpu_set_t allowed_cpus;
    _Atomic uint64_t next_id;
    pthread_mutex_t fp_lock;
    pthread_mutex_t tracers_lock;
    struct list tracers;         /* tracers_lock */
    pthread_mutex_t queues_lock; /* tracer.queues */
    pthread_mutex_t bell_lock;
    bool bell_slots[BELL_SLOTS + 1];
};

static inline struct ptrace_platform *ptrace_platform(const struct tg_platform *platform)
{
    return platform->backend;
}

/* ---- context ---- */

struct ptrace_context {
    struct tg_context base;
    /* Of whoever has taken the context: */
    uint64_t fp_version;                     /* changes whenever the FP state may have */
    pid_t last_thread;                       /* a hint: where the FP state may still be */
    _Atomic(struct stub_thread *) fp_holder; /* holds the only current FP state; NULL: base.fp is current */
    /* While submitted to a queue: */
    struct list of_queue;      /* ptrace_queue.running, or in its turn */
    struct queue_party *party; /* those of its subprocess in this queue */
    struct queue_turn *turn;   /* in which it waits, NULL: it runs */
    struct ptrace_queue *queue;
    struct ptrace_subprocess *subprocess;
    struct stub_thread *thread;
    int64_t started_ns;
    bool preempt;
    struct tg_event event;
};

/* ---- queue ---- */

enum queue_line {
    LINE_INCOMING, /* submitted, not started */
    LINE_READY,    /* its event is written */
    QUEUE_LINES
};

/* What one subprocess has in a line. */
struct queue_turn {
    struct list of_line;  /* ptrace_queue.lines; in none while it is empty */
    struct list contexts; /* ptrace_context.of_queue */
};

/* The contexts of one subprocess in a queue; there as long as there are any. */
struct queue_party {
    struct list of_bucket; /* ptrace_queue.parties */
    uint64_t subprocess_id;
    uint32_t contexts;
    struct queue_turn turns[QUEUE_LINES];
};

#define PARTY_BUCKETS 64

struct ptrace_queue {
    struct tg_queue base;

    pthread_mutex_t lock; /* of these: */
    struct list lines[QUEUE_LINES];
    struct list parties[PARTY_BUCKETS];
    struct list running;
    uint32_t running_count;
    bool starved;         /* the host has refused another stub thread: one that runs may stop, or the host give way */
    struct tracer *owner; /* traces what runs; changes with queues_lock too */
    struct list of_owner; /* tracer->queues; queues_lock too */
    bool waiting;
    pthread_t service; /* after tg_queue_fd() */

    int64_t upkeep_at; /* of the owner's thread */

    /*
     * Any thread may look. Who has something for the waiter stores it and then looks for a bell or a descriptor;
     * a waiter shows its bell and then looks for something, and tg_queue_fd() the descriptor.
     */
    _Atomic pid_t bell; /* thread of the template that wakes the waiter, 0: none */
    _Atomic bool woken;
    _Atomic int fd; /* eventfd; -1 until there is a service that uses it, and from then on the same until destroy */
    _Atomic bool stopping;
};

static inline struct ptrace_subprocess *to_ptrace_subprocess(struct tg_subprocess *subprocess)
{
    return container_of(subprocess, struct ptrace_subprocess, base);
}

static inline struct ptrace_context *to_ptrace_context(struct tg_context *context)
{
    return container_of(context, struct ptrace_context, base);
}

static inline struct ptrace_queue *to_ptrace_queue(struct tg_queue *queue)
{
    return container_of(queue, struct ptrace_queue, base);
}

/* ---- stub_filter.c ---- */

struct sock_fprog;

/* The stub's seccomp program, to be freed with free(program->filter). 0 or -errno. */
int stub_filter_build(uint64_t cookie, struct sock_fprog *program);

/* ---- stub_template.c: the first stub process, which the others are made from ---- */

int stub_template_start(struct tg_platform *platform, const struct tg_platform_options *options,
                        struct open_report *report);
void stub_template_stop(struct tg_platform *platform);

/* ---- ptrace_subprocess.c ---- */

/* A record for a stub process whose first thread is pid. It holds the handle's reference. */
int ptrace_subprocess_adopt(struct ptrace_subprocess *subprocess, pid_t pid);
int ptrace_subprocess_create(struct tg_subprocess *subprocess, struct tg_subprocess *from);
void ptrace_subprocess_destroy(struct tg_subprocess *subprocess);
/* The template, and whatever else is in the stubs' process group, of which it is the leader. */
void ptrace_subprocess_destroy_group(struct ptrace_subprocess *leader, pid_t group);
int ptrace_subprocess_apply(struct tg_subprocess *subprocess, const struct tg_mem_op *ops, size_t n, size_t *done);

/* ---- life.c ---- */

/* Where a filter refuses kill(2) in another way. The process has not been reaped. */
void life_kill(pid_t pid);
/* Kills the process and remembers why, the first time it is called. */
void ptrace_subprocess_die(struct ptrace_subprocess *subprocess, int32_t reason, int32_t status);
void ptrace_subprocess_release(struct ptrace_subprocess *subprocess);

/* ---- guest_memory.c ---- */

/* /proc/THREAD/mem. The descriptor or -errno. */
int guest_memory_open(pid_t thread, int flags);
ssize_t ptrace_subprocess_copy(struct tg_subprocess *subprocess, bool to_guest, uint64_t addr, void *buffer,
                               size_t length);
/* How many bytes of it can be read. */
size_t ptrace_read_guest(struct ptrace_subprocess *subprocess, uint64_t addr, void *buffer, size_t length);
/* The thread has no address space any more: it has ended. */
bool guest_memory_is_gone(pid_t thread);

/* ---- stub_wait.c ---- */

bool stub_status_is_death(int status);
/* It may not have been reaped yet. */
bool stub_thread_is_dead(const struct stub_thread *thread);
/* A wait has returned its end: from now on its id may be another's. */
void stub_thread_reaped(struct stub_thread *thread);
/* The same, and writes down the death that the wait reported. */
void stub_thread_died(struct stub_thread *thread, int status);
/* For its next stop, with options as for waitpid(2), which says what it returns. Not for first threads. */
pid_t stub_thread_wait_stop(struct stub_thread *thread, int *status, int options);
/* Waits for a subprocess's first thread. 0: it is dead, and cannot be reaped while siblings of its are there. */
pid_t stub_thread_wait_first(struct stub_thread *thread, int *status);
/* For either, as long as it takes. */
pid_t stub_thread_wait(struct stub_thread *thread, int *status);

/* ---- stub_thread.c: the ptrace(2) calls ---- */

/* All return 0 or -errno; -ESRCH when the stub is dead, which is then on record. */
int stub_thread_attach(struct tracer *tracer, struct stub_thread *thread);
int stub_thread_park(struct stub_thread *thread);
int stub_thread_get_regs(struct stub_thread *thread, tg_regs *regs);
int stub_thread_set_regs(struct stub_thread *thread, const tg_regs *regs);
int stub_thread_get_fp(struct stub_thread *thread, void *image, size_t size);
int stub_thread_set_fp(struct stub_thread *thread, const void *image, size_t size);
int stub_thread_resume_guest(struct stub_thread *thread, bool single_step);
int stub_thread_siginfo(struct stub_thread *thread, siginfo_t *info);
/* Reads the whole FP state to learn how long it is. */
int stub_thread_fp_size(struct stub_thread *thread, void *image, size_t capacity, size_t *size);
/* Runs the park loop as if it were a guest up to its system call. */
int stub_thread_try_sysemu(struct stub_thread *thread);
/* How the guest entered the kernel; the stop must be a system call stop. */
int stub_thread_syscall(struct stub_thread *thread, struct arch_syscall *out);
/* Lets it run stub code without waiting. */
int stub_thread_continue(struct stub_thread *thread);
/*
 * Stops a thread that runs; what it was doing can go on with stub_thread_continue(). The status is that of a stop which
 * nobody has waited for, if there was one.
 */
int stub_thread_stop(struct stub_thread *thread, int *status);
int stub_thread_poke(struct stub_thread *thread, uint64_t addr, const uint64_t *words, size_t n);
/* Runs a job to its end; result in *result. */
int stub_thread_inject(struct stub_thread *thread, const struct arch_stub_request *request, tg_regs *after);
struct stub_thread *stub_thread_new(struct ptrace_subprocess *subprocess, pid_t tid);

/* ---- placement.c ---- */

/* Puts the thread on the caller's processor unless it computes. */
void placement_before_run(struct stub_thread *thread);
/* Lets it go anywhere. */
void placement_set_free(struct stub_thread *thread);
/* Waits for the thread's next stop: first by yielding, then by sleeping. 0 or -errno. */
int placement_wait(struct stub_thread *thread, int *status);
/* Its run has ended: was it short enough to place it again? */
void placement_note_run(struct stub_thread *thread, int64_t started_ns);
/* One attempt to give way to placed threads; false when it is time to sleep. */
bool placement_yield(struct tracer *tracer, int64_t started_ns);

/* ---- tracer_thread.c: which tracers a host thread has ---- */

/* One for each platform that it uses, and those of closed platforms until it needs another one. */
struct thread_record {
    struct list tracers; /* tracer.of_thread; only the thread itself looks at it */
};

/* Before any other; ends() is called in each thread that ends and has a record, which it frees. */
void tracers_init(void (*ends)(void *record));
/* The calling thread's tracer of the platform; made on first use. NULL: no memory. */
struct tracer *tracer_current(struct tg_platform *platform);
/* The same without making one. */
struct tracer *tracer_find(const struct tg_platform *platform);
/* Of the calling thread; and lets go of its reference. */
void tracer_leave_thread(struct tracer *tracer);
void tracer_unref(struct tracer *tracer);

/* ---- tracer.c: its stub threads ---- */

/* A stub thread of the subprocess that the tracer traces, idle until now. context: a hint, may be NULL. */
int tracer_acquire(struct tracer *tracer, struct ptrace_subprocess *subprocess, const struct ptrace_context *context,
                   struct stub_thread **out);
/* Back to its seat; a dead one is forgotten. */
void tracer_release(struct stub_thread *thread);
/* The FP states that only the calling thread's idle stub threads there hold come home. */
void tracer_save_fp(struct ptrace_subprocess *subprocess);
struct stub_thread *tracer_by_tid(struct tracer *tracer, pid_t tid);
/* All stub threads go back to their subprocesses, parked. Only in the tracer's own thread, for only that may detach. */
void tracer_hand_back(struct tracer *tracer);
/* All seats go; nothing is detached. */
void tracer_forget_seats(struct tracer *tracer);

/* ---- tracer_end.c ---- */

/* For tracers_init(). */
void tracers_thread_ends(void *record);
/* Ends the tracers of a closing platform. */
void tracers_close(struct tg_platform *platform);

/* ---- run.c: a context on a stub thread ---- */

enum run_outcome {
    RUN_EVENT, /* the event is written, the context is at rest */
    RUN_AGAIN, /* nobody's business; the thread runs again */
};

/* 0: it runs. 1: it does not, the event is written (an interrupt, or death). <0: an error, nothing changed. */
int run_start(struct ptrace_context *context, struct stub_thread *thread, struct tg_event *event);
enum run_outcome run_stopped(struct ptrace_context *context, struct stub_thread *thread, int status,
                             struct tg_event *event);
/* Takes a stopped context off its thread without an event: the next start goes on where it was. */
int run_set_aside(struct ptrace_context *context, struct stub_thread *thread);
void run_event_dead(struct ptrace_context *context, struct ptrace_subprocess *subprocess, struct tg_event *event);

void ptrace_context_reset(struct tg_context *context);
int ptrace_context_pull_fp(struct tg_context *context);
void ptrace_context_fp_changes(struct tg_context *context);
void ptrace_context_destroy(struct tg_context *context);
int ptrace_context_switch(struct tg_context *context, struct tg_subprocess *subprocess, struct tg_event *event);

/* fp_ownership.c */
int fp_load(struct ptrace_context *context, struct stub_thread *thread);
int fp_after_run(struct ptrace_context *context, struct stub_thread *thread);
/* Saves what only this thread holds. */
int fp_evict(struct stub_thread *thread);
/* The thread is gone; its owner falls back to the state it saved last. */
void fp_forget_thread(struct stub_thread *thread);

/* ---- bell.c: wakes a tracer that sleeps in wait4(2) ---- */

/* Both fail when there is no bell to be had: no thread, no slot, or the template is dead. */
int bell_prepare(struct tracer *tracer);
/* Lets it sleep until then at the latest. -EAGAIN also when it has rung already: look for work again. */
int bell_arm(struct tracer *tracer, int64_t until_ns);
/* A wait reported the bell's thread. */
void bell_rang(struct tracer *tracer, int status);
void bell_close(struct tracer *tracer);
/* Any thread, any signal handler. */
void bell_ring(const struct tg_platform *platform, pid_t bell);

/* ---- the queue: ptrace_queue.c; what its files share is in ptrace_queue.h ---- */

int ptrace_queue_create(struct tg_queue *queue);
int ptrace_queue_submit(struct tg_queue *queue, struct tg_context *context, struct tg_subprocess *subprocess);
int ptrace_queue_wait(struct tg_queue *queue, void *events, size_t stride, size_t capacity, int64_t timeout_ns,
                      size_t *count);
int ptrace_queue_wake(struct tg_queue *queue);

/* ---- queue_service.c ---- */

int ptrace_queue_fd(struct tg_queue *queue);

/* ---- queue_ends.c ---- */

void ptrace_queue_destroy(struct tg_queue *queue);
/* The subprocess was killed by destroy: hands out the DEAD events of what ran in it. */
void ptrace_queue_subprocess_dead(struct ptrace_subprocess *subprocess);
/* The owner's thread ends: what runs goes back to the incoming list. */
void ptrace_queue_owner_ends(struct tracer *tracer);

/* ---- embedder_filter.c ---- */

int ptrace_add_seccomp_rules(const struct tg_platform *platform, void *filter);

#endif
