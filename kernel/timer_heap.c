/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "timer_heap.h"

#include <errno.h>
#include <stdlib.h>

#include "task.h"

/* A task knows its place, counted from one, so that it can be taken out from the middle. */
static void put(struct timer_heap *heap, size_t i, struct task *task)
{
    heap->tasks[i] = task;
    task->wait.timer_slot = i + 1;
}

static int64_t deadline_at(const struct timer_heap *heap, size_t i)
{
    return heap->tasks[i]->wait.deadline;
}

static void move_up(struct timer_heap *heap, size_t i)
{
    struct task *task = heap->tasks[i];

    while (i > 0 && deadline_at(heap, (i - 1) / 2) > task->wait.deadline) {
        put(heap, i, heap->tasks[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    put(heap, i, task);
}

static void move_down(struct timer_heap *heap, size_t i)
{
    struct task *task = heap->tasks[i];

    for (size_t child = 2 * i + 1; child < heap->count; child = 2 * i + 1) {
        if (child + 1 < heap->count && deadline_at(heap, child + 1) < deadline_at(heap, child))
            child++;
        if (deadline_at(heap, child) >= task->wait.deadline)
            break;
        put(heap, i, heap->tasks[child]);
        i = child;
    }
    put(heap, i, task);
}

int timer_heap_add(struct timer_heap *heap, struct task *task)
{
    if (heap->count == heap->capacity) {
        size_t capacity = heap->capacity ? 2 * heap->capacity : 16;
        struct task **tasks = reallocarray(heap->tasks, capacity, sizeof(*tasks));
        if (!tasks)
            return -ENOMEM;
        heap->tasks = tasks;
        heap->capacity = capacity;
    }
    heap->tasks[heap->count] = task;
    move_up(heap, heap->count++);
    return 0;
}

void timer_heap_remove(struct timer_heap *heap, struct task *task)
{
    size_t i = task->wait.timer_slot;

    if (i == 0)
        return;
    task->wait.timer_slot = 0;
    heap->count--;
    if (--i == heap->count)
        return;
    put(heap, i, heap->tasks[heap->count]);
    move_up(heap, i);
    move_down(heap, heap->tasks[i]->wait.timer_slot - 1);
}

struct task *timer_heap_first(const struct timer_heap *heap)
{
    return heap->count ? heap->tasks[0] : NULL;
}

void timer_heap_free(struct timer_heap *heap)
{
    free(heap->tasks);
    *heap = (struct timer_heap){0};
}
