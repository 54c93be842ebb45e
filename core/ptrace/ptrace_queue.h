/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Many contexts for one waiting thread. That thread, the owner, is the tracer
 * of what it starts: it waits for the process group of the platform's stubs
 * and sees its own tracees only (__WNOTHREAD), never a child of the embedder's.
 *
 * A context waits in the incoming line, runs, or waits in the ready line. Only
 * the owner starts and stops contexts; others may add to incoming, and destroy
 * may make ready what has died.
 *
 * For the files that make up the queue; what others call is in ptrace_backend.h.
 */
#ifndef CORE_PTRACE_QUEUE_H
#define CORE_PTRACE_QUEUE_H

#include "core/ptrace/ptrace_backend.h"

#define RUNNING_MAX 64 /* stub threads that a queue keeps busy; more contexts take turns */
#define NEVER       INT64_MAX

static inline struct ptrace_context *context_of(struct list *node)
{
    return container_of(node, struct ptrace_context, of_queue);
}

/* ---- queue_turns.c: queue->lock is held for all ---- */

void ptrace_queue_init_turns(struct ptrace_queue *queue);
/* The context comes in, in no line yet. 0 or -ENOMEM. */
int ptrace_queue_join(struct ptrace_queue *queue, struct ptrace_context *context);
/* It goes. */
void ptrace_queue_part(struct ptrace_context *context);
/* NULL: the subprocess has no context in the queue. */
struct queue_party *ptrace_queue_find_party(struct ptrace_queue *queue, const struct ptrace_subprocess *subprocess);
/* From wherever it is. */
void ptrace_queue_line_up(struct ptrace_queue *queue, enum queue_line line, struct ptrace_context *context);
void ptrace_queue_leave_line(struct ptrace_context *context);
/* Whose turn it is; NULL: the line is empty. It stays there. */
struct ptrace_context *ptrace_queue_next(const struct ptrace_queue *queue, enum queue_line line);
/* Another subprocess is next. */
void ptrace_queue_pass_turn(struct ptrace_queue *queue, enum queue_line line, struct queue_turn *turn);
/* All in the incoming line; the visitor may take the context out. */
void ptrace_queue_for_each_waiting(struct ptrace_queue *queue,
                                   void (*visit)(struct ptrace_queue *queue, struct ptrace_context *context));
static inline bool ptrace_queue_line_empty(const struct ptrace_queue *queue, enum queue_line line)
{
    return list_empty(&queue->lines[line]);
}

/* ---- queue_lists.c ---- */

/* queue->lock is held for these four. */
void ptrace_queue_signal_fd(const struct ptrace_queue *queue);
void ptrace_queue_make_ready(struct ptrace_queue *queue, struct ptrace_context *context);
void ptrace_queue_make_running(struct ptrace_queue *queue, struct ptrace_context *context, struct stub_thread *thread);
/* It stays in the running list: the caller moves it. */
struct stub_thread *ptrace_queue_take_off_thread(struct ptrace_queue *queue, struct ptrace_context *context);

bool ptrace_queue_has_ready(struct ptrace_queue *queue);
bool ptrace_queue_anything_running(struct ptrace_queue *queue);
size_t ptrace_queue_hand_out(struct ptrace_queue *queue, char *events, size_t stride, size_t capacity);

/* ---- queue_run.c: for the owner ---- */

/* queue->lock is held for these four. */
int ptrace_queue_start_incoming(struct ptrace_queue *queue);
/* Those that were interrupted before their turn has come. */
void ptrace_queue_finish_interrupted(struct ptrace_queue *queue);
/* While they wait for their turn, an interrupt rings the bell. */
void ptrace_queue_arm_incoming(struct ptrace_queue *queue);
/* Back to the incoming list, or to the ready list when its stub is dead. */
void ptrace_queue_set_aside(struct ptrace_queue *queue, struct ptrace_context *context);

/* Handles one stop of a tracee; options as for waitpid(2). */
bool ptrace_queue_collect_one(struct ptrace_queue *queue, int options);
/* All stops that are there. */
void ptrace_queue_collect(struct ptrace_queue *queue);

/* ---- queue_wait.c: for the owner ---- */

int ptrace_queue_claim(struct ptrace_queue *queue, struct tracer *tracer);
/* queues_lock and queue->lock are held. */
void ptrace_queue_disown(struct ptrace_queue *queue);
/* What goes by the clock, whatever else there is to do: turns end, and what computes may go to other processors. */
void ptrace_queue_upkeep(struct ptrace_queue *queue);
/* Until a tracee stops; submit, interrupt and wake ring the bell. */
void ptrace_queue_sleep_once(struct ptrace_queue *queue, int64_t until_ns);
int ptrace_queue_wait_as_owner(struct ptrace_queue *queue, char *events, size_t stride, size_t capacity,
                               int64_t until_ns, size_t *n);

/* ---- queue_service.c ---- */

int ptrace_queue_wait_on_fd(struct ptrace_queue *queue, char *events, size_t stride, size_t capacity, int64_t until_ns,
                            size_t *n);

#endif
