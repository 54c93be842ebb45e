/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "tasks/timer_heap.h"

#include <errno.h>
#include <stdlib.h>

/* A timer knows its place, counted from one, so that it can be taken out from the middle. */
static void put(struct timer_heap *heap, size_t i, struct timer *timer)
{
    heap->timers[i] = timer;
    timer->slot = i + 1;
}

static int64_t deadline_at(const struct timer_heap *heap, size_t i)
{
    return heap->timers[i]->deadline;
}

static void move_up(struct timer_heap *heap, size_t i)
{
    struct timer *timer = heap->timers[i];

    while (i > 0 && deadline_at(heap, (i - 1) / 2) > timer->deadline) {
        put(heap, i, heap->timers[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    put(heap, i, timer);
}

static void move_down(struct timer_heap *heap, size_t i)
{
    struct timer *timer = heap->timers[i];

    for (size_t child = 2 * i + 1; child < heap->count; child = 2 * i + 1) {
        if (child + 1 < heap->count && deadline_at(heap, child + 1) < deadline_at(heap, child))
            child++;
        if (deadline_at(heap, child) >= timer->deadline)
            break;
        put(heap, i, heap->timers[child]);
        i = child;
    }
    put(heap, i, timer);
}

int timer_heap_add(struct timer_heap *heap, struct timer *timer, int64_t deadline)
{
    if (heap->count == heap->capacity) {
        size_t capacity = heap->capacity ? 2 * heap->capacity : 16;
        struct timer **timers = reallocarray(heap->timers, capacity, sizeof(*timers));
        if (!timers)
            return -ENOMEM;
        heap->timers = timers;
        heap->capacity = capacity;
    }
    timer->deadline = deadline;
    heap->timers[heap->count] = timer;
    move_up(heap, heap->count++);
    return 0;
}

void timer_heap_remove(struct timer_heap *heap, struct timer *timer)
{
    size_t i = timer->slot;

    if (i == 0)
        return;
    timer->slot = 0;
    heap->count--;
    if (--i == heap->count)
        return;
    put(heap, i, heap->timers[heap->count]);
    timer = heap->timers[i];
    move_up(heap, i);
    move_down(heap, timer->slot - 1);
}

struct timer *timer_heap_first(const struct timer_heap *heap)
{
    return heap->count ? heap->timers[0] : NULL;
}

void timer_heap_free(struct timer_heap *heap)
{
    free(heap->timers);
    *heap = (struct timer_heap){0};
}
