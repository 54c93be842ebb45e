/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The operations table of a backend. */
#ifndef CORE_BACKEND_H
#define CORE_BACKEND_H

#include "core/backend_list.h"
#include "core/handles.h"
#include "core/open_report.h"

typedef void *thread_main(void *arg);

struct bring_piece;
struct vdso_clock;
struct bring_table;
struct guest_parts;

struct backend_ops {
    uint32_t backend; /* TG_BACKEND_* */
    const char *name;
    size_t subprocess_size; /* of the backend's structs, which start with the common ones */
    size_t context_size;
    size_t queue_size;
    /* System calls that the backend makes in the embedder's process, besides those of embedder_filter.c: SCMP_SYS(). */
    const int *host_calls;
    size_t host_call_count;
    bool needs_trial; /* opening alone does not show whether guests can run: trial.h */

    /* False: its part of the architecture contract is absent, and nothing else here is called. */
    bool (*is_ported)(void);
    /*
     * Fills platform->backend and the part of platform->info that is its own: user_end, reserved ranges, FP state,
     * capabilities of the backend alone. On an error everything is undone and the report filled.
     */
    int (*open)(struct tg_platform *platform, const struct tg_platform_options *options, struct open_report *report);
    /*
     * In a process that was forked from the opener's, whose threads may have been in the middle of anything: gives
     * back the descriptors and the memory that are copies of the opener's and that no thread changes. No lock, no
     * list, nothing from malloc(3), which another thread may have been about to free. More than once does no harm.
     * last: no handle of the platform will be used any more. Each NULL: there is nothing.
     */
    void (*subprocess_forget)(struct tg_subprocess *subprocess, bool last);
    void (*forget)(struct tg_platform *platform);

    /* Closing has begun: what guests do and have is of no use any more. NULL: there is nothing to be gained by that. */
    void (*end_guests)(struct tg_platform *platform);

    void (*close)(struct tg_platform *platform);
    /* As tg_platform_options.spin_ns, any thread. NULL: nobody spins. */
    void (*set_spin)(struct tg_platform *platform, uint64_t ns);
    /* Adds what living stubs say of themselves; NULL: nothing. */
    void (*add_stub_numbers)(const struct tg_platform *platform, uint64_t numbers[COUNTERS]);

    int (*subprocess_create)(struct tg_subprocess *subprocess, struct tg_subprocess *from);
    /* Kills and reaps, and releases the struct: subprocess_life.h. */
    void (*subprocess_destroy)(struct tg_subprocess *subprocess);
    /* Nobody refers to it any more: gives back what the backend has in it. */
    void (*subprocess_empty)(struct tg_subprocess *subprocess);
    /*
     * As if it had just been made, with its process: what the backend has in it of guests goes, and the guest's memory
     * by these operations, which are all there is of it. The caller went in alone. 0, -EBUSY or another error: then it
     * is as it was, or dead.
     */
    int (*subprocess_reset)(struct tg_subprocess *subprocess, const struct tg_mem_op *unmaps, size_t n);
    int (*subprocess_apply)(struct tg_subprocess *subprocess, const struct tg_mem_op *ops, size_t n, size_t *done);
    /*
     * Copies parts of guest memory, one after another, as the guest has written them: without what the library has put
     * into its code. How many bytes in all, or -errno; 0 is no access to the first of them either; it need not be more
     * than some of the first part. The caller is inside. Where guests are processes: process_copy.h.
     */
    ssize_t (*subprocess_copy)(struct tg_subprocess *subprocess, const struct guest_parts *parts);

    /*
     * Calls of this number that need not become events, TG_ANSWER_*; the caller is inside. And the word of a context
     * that is such an answer: any thread, whatever the context does. Both NULL: all calls become events.
     */
    void (*subprocess_answer)(struct tg_subprocess *subprocess, uint32_t nr, uint32_t kind, uint64_t value);
    void (*context_set_word)(struct tg_context *context, uint32_t index, uint64_t value);

    /* Its page of clocks (stub/vdso_clocks.h), which guests can read: where vdso_kind is TG_VDSO_OWN. NULL: it never
     * is. */
    struct vdso_clock *(*subprocess_clocks)(struct tg_subprocess *subprocess);

    /*
     * As host_transfer() for a context that the caller has taken, and that may have run there last: perhaps its place
     * in the subprocess is the shorter way, in both directions at once. NULL: there is none.
     */
    ssize_t (*context_transfer)(struct tg_context *context, struct tg_subprocess *subprocess,
                                struct tg_transfer *pieces, size_t n);

    /*
     * What calls bring along is what the table says now: whoever runs contexts may bring it with their events
     * (tg_context.is_brought). By one thread at a time. NULL: nobody does.
     */
    void (*subprocess_brings)(struct tg_subprocess *subprocess, const struct bring_table *table);
    /*
     * That piece of the context's last event, wanted bytes or a string's with its 0: how many there are in the buffer
     * now. 0: it was not brought, or is not there any more. The caller has taken the context. NULL: nothing is brought.
     */
    size_t (*context_bring)(struct tg_context *context, struct tg_subprocess *subprocess,
                            const struct bring_piece *piece, size_t wanted, uint8_t *buffer);

    /* Once, before anybody else knows the context; then context_reset(). NULL: nothing to be done. */
    void (*context_create)(struct tg_context *context);
    /* The FP state of a new context. tg_context_interrupt() may come at the same time. */
    void (*context_reset)(struct tg_context *context);
    /* For backends that leave registers where they are (tg_context.regs_place); both NULL where none does. */
    void (*context_pull_regs)(struct tg_context *context);
    void (*context_set_return)(struct tg_context *context, int64_t value);

    /* Makes context->fp current; -EBUSY when another thread holds it. */
    int (*context_pull_fp)(struct tg_context *context);
    /* 0 or -EINVAL: an image that the processor would refuse. */
    int (*fp_check)(const struct tg_platform *platform, const void *image);
    /* context->fp is about to change: from here on nothing else writes to it. */
    void (*context_fp_changes)(struct tg_context *context);
    void (*context_destroy)(struct tg_context *context);
    /* Goes through the subprocess's door itself: a shut one is a DEAD event. */
    int (*context_switch)(struct tg_context *context, struct tg_subprocess *subprocess, struct tg_event *event);
    /*
     * The same for a queue's context, for spin_ns at most: 1 is that the context is submitted, and not the caller's
     * any more. NULL: whoever switches cannot leave a context to another thread, and submits it at once.
     */
    int (*context_switch_or_submit)(struct tg_context *context, struct tg_subprocess *subprocess,
                                    struct tg_queue *queue, int64_t spin_ns, struct tg_event *event);

    int (*queue_create)(struct tg_queue *queue);
    int (*queue_submit)(struct tg_queue *queue, struct tg_context *context, struct tg_subprocess *subprocess);
    /* By one thread at a time, while there is no descriptor. stride: bytes from one event to the next. */
    int (*queue_wait)(struct tg_queue *queue, void *events, size_t stride, size_t capacity, int64_t timeout_ns,
                      size_t *count);
    /* Whoever sleeps for the queue, in queue_wait() or queue_serve(), looks again. Any thread, any signal handler. */
    void (*queue_rouse)(struct tg_queue *queue);

    /* For the descriptor, queue_outlet.h. Whoever waited last must not start anything any more; NULL: it does not. */
    int (*queue_hand_over)(struct tg_queue *queue);
    /* Makes the service: 0 or -errno. */
    int (*queue_thread)(pthread_t *thread, thread_main *main, void *arg);
    /* What it does, until stopping is set. */
    void (*queue_serve)(struct tg_queue *queue);
    bool (*queue_has_ready)(struct tg_queue *queue);
    /* Takes what is ready, how many; if that was all, the descriptor is cleared. */
    size_t (*queue_hand_out)(struct tg_queue *queue, void *events, size_t stride, size_t capacity);
    /* The service has ended. */
    void (*queue_destroy)(struct tg_queue *queue);
};

#define DECLARE_BACKEND(name) extern const struct backend_ops name##_backend;
BACKENDS(DECLARE_BACKEND)

/*
 * For the end of a sentence about a stub that has died of this: "" or ": " and the cause, where one is known that
 * lies with the embedder.
 */
const char *subprocess_death_cause(int32_t reason, int32_t status);

/*
 * The sentence for a subprocess that could not be made, and what the embedder gets. from: NULL for a copy of the
 * template; where: what failed, in front of errors that have no sentence of their own.
 */
int subprocess_create_failed(struct tg_platform *platform, const struct tg_subprocess *from, const char *where,
                             int err);

#endif
