/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Who comes next in a queue. The contexts of one subprocess wait behind each
 * other, and the subprocesses that have some take turns: one with many
 * contexts takes from the others no more than its share.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/ptrace/queue_turns.h"

static struct list *bucket_of(struct ptrace_queue *queue, uint64_t subprocess_id)
{
    return &queue->parties[subprocess_id % PARTY_BUCKETS];
}

void ptrace_queue_init_turns(struct ptrace_queue *queue)
{
    for (size_t i = 0; i < QUEUE_LINES; i++)
        list_init(&queue->lines[i]);
    for (size_t i = 0; i < PARTY_BUCKETS; i++)
        list_init(&queue->parties[i]);
}

struct queue_party *ptrace_queue_find_party(struct ptrace_queue *queue, const struct ptrace_subprocess *subprocess)
{
    struct list *bucket = bucket_of(queue, subprocess->id);
    struct list *node;

    list_for_each(node, bucket)
    {
        struct queue_party *party = container_of(node, struct queue_party, of_bucket);

        if (party->subprocess_id == subprocess->id)
            return party;
    }
    return NULL;
}

static struct queue_party *new_party(struct ptrace_queue *queue, const struct ptrace_subprocess *subprocess)
{
    struct queue_party *party = calloc(1, sizeof(*party));

    if (!party)
        return NULL;
    party->subprocess_id = subprocess->id;
    for (size_t i = 0; i < QUEUE_LINES; i++) {
        list_init(&party->turns[i].of_line);
        list_init(&party->turns[i].contexts);
    }
    list_add_first(bucket_of(queue, subprocess->id), &party->of_bucket);
    return party;
}

int ptrace_queue_join(struct ptrace_queue *queue, struct ptrace_context *context)
{
    struct queue_party *party = ptrace_queue_find_party(queue, context->subprocess);

    if (!party)
        party = new_party(queue, context->subprocess);
    if (!party)
        return -ENOMEM;
    party->contexts++;
    context->party = party;
    context->turn = NULL;
    list_init(&context->of_queue);
    return 0;
}

void ptrace_queue_part(struct ptrace_context *context)
{
    struct queue_party *party = context->party;

    ptrace_queue_leave_line(context);
    context->party = NULL;
    if (--party->contexts)
        return;
    list_remove(&party->of_bucket);
    free(party);
}

void ptrace_queue_line_up(struct ptrace_queue *queue, enum queue_line line, struct ptrace_context *context)
{
    struct queue_turn *turn = &context->party->turns[line];

    ptrace_queue_leave_line(context);
    if (list_empty(&turn->contexts))
        list_add_last(&queue->lines[line], &turn->of_line);
    list_add_last(&turn->contexts, &context->of_queue);
    context->turn = turn;
}

void ptrace_queue_leave_line(struct ptrace_context *context)
{
    struct queue_turn *turn = context->turn;

    list_remove(&context->of_queue);
    if (turn && list_empty(&turn->contexts))
        list_remove(&turn->of_line);
    context->turn = NULL;
}

struct ptrace_context *ptrace_queue_next(const struct ptrace_queue *queue, enum queue_line line)
{
    const struct list *head = &queue->lines[line];

    if (list_empty(head))
        return NULL;
    return context_of(container_of(head->next, struct queue_turn, of_line)->contexts.next);
}

void ptrace_queue_pass_turn(struct ptrace_queue *queue, enum queue_line line, struct queue_turn *turn)
{
    if (list_empty(&turn->contexts))
        return;
    list_remove(&turn->of_line);
    list_add_last(&queue->lines[line], &turn->of_line);
}

void ptrace_queue_for_each_waiting(struct ptrace_queue *queue,
                                   void (*visit)(struct ptrace_queue *queue, struct ptrace_context *context))
{
    struct list *turn;
    struct list *next_turn;

    list_for_each_safe(turn, next_turn, &queue->lines[LINE_INCOMING])
    {
        struct list *contexts = &container_of(turn, struct queue_turn, of_line)->contexts;
        struct list *node;
        struct list *after;

        list_for_each_safe(node, after, contexts) visit(queue, context_of(node));
    }
}
