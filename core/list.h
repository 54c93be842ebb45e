/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A circular doubly linked list whose nodes are members of what they link. At
 * each moment of a change who follows next from the head comes to the head
 * again, over nodes that are or were linked: a process that is forked in the
 * middle has no more than that.
 */
#ifndef CORE_LIST_H
#define CORE_LIST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next;
    struct list *prev;
};

#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

#define list_for_each(node, head) for ((node) = (head)->next; (node) != (head); (node) = (node)->next)

/* The node may be removed in the body. */
#define list_for_each_safe(node, after, head)                                                                          \
    for ((node) = (head)->next, (after) = (node)->next; (node) != (head); (node) = (after), (after) = (node)->next)

static inline void list_init(struct list *list)
{
    list->next = list;
    list->prev = list;
}

static inline bool list_empty(const struct list *list)
{
    return list->next == list;
}

static inline void list_add_first(struct list *head, struct list *node)
{
    node->next = head->next;
    node->prev = head;
    head->next->prev = node;
    atomic_signal_fence(memory_order_seq_cst);
    head->next = node;
}

static inline void list_add_last(struct list *head, struct list *node)
{
    list_add_first(head->prev, node);
}

/* Leaves the node as a list of its own, so that removing twice does no harm. */
static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    atomic_signal_fence(memory_order_seq_cst);
    list_init(node);
}

#endif
