/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "shim.h"

#include <stdatomic.h>
#include <string.h>

uint64_t tgo_thread(void)
{
    static atomic_uint_fast64_t last;
    static _Thread_local uint64_t number;

    if (number == 0)
        number = atomic_fetch_add(&last, 1) + 1;
    return number;
}

static struct tgo_done done(uintptr_t platform, int result)
{
    struct tgo_done done = {.result = result};

    if (result < 0)
        done.sentence = strdup(tg_platform_last_error((const tg_platform *)platform));
    return done;
}

struct tgo_done tgo_switch(uintptr_t platform, uintptr_t context, uintptr_t subprocess, uintptr_t event)
{
    ((tg_event *)event)->size = sizeof(tg_event);
    return done(platform, tg_context_switch((tg_context *)context, (tg_subprocess *)subprocess, (tg_event *)event));
}

struct tgo_done tgo_switch_or_submit(uintptr_t platform, uintptr_t context, uintptr_t subprocess, uintptr_t queue,
                                     uint64_t spin_ns, uintptr_t event)
{
    ((tg_event *)event)->size = sizeof(tg_event);
    return done(platform, tg_context_switch_or_submit((tg_context *)context, (tg_subprocess *)subprocess,
                                                      (tg_queue *)queue, spin_ns, (tg_event *)event));
}

struct tgo_done tgo_exchange(uintptr_t platform, uintptr_t context, uintptr_t subprocess, uint32_t what,
                             uintptr_t exchange)
{
    struct tgo_exchange *e = (struct tgo_exchange *)exchange;

    e->event.size = sizeof(e->event);
    e->regs.size = sizeof(e->regs);
    return done(platform,
                tg_context_exchange((tg_context *)context, (tg_subprocess *)subprocess, &e->regs, what, &e->event));
}

struct tgo_done tgo_set_return(uintptr_t platform, uintptr_t context, int64_t value)
{
    return done(platform, tg_context_set_return((tg_context *)context, value));
}

struct tgo_wait tgo_wait(uintptr_t platform, uintptr_t queue, uintptr_t events, size_t capacity, int64_t timeout_ns)
{
    struct tgo_wait wait = {.thread = tgo_thread()};
    size_t count = 0;

    ((tg_event *)events)->size = sizeof(tg_event);
    wait.done = done(platform, tg_queue_wait((tg_queue *)queue, (tg_event *)events, capacity, timeout_ns, &count));
    wait.count = count;
    return wait;
}

static int start(tg_queue *queue, const struct tgo_start *start)
{
    tg_context *context = (tg_context *)start->context;
    int result = start->with_value ? tg_context_set_return(context, start->value) : 0;

    return result ? result : tg_queue_submit(queue, context, (tg_subprocess *)start->subprocess);
}

struct tgo_wait tgo_turn(uintptr_t platform, uintptr_t queue, uintptr_t starts, size_t count, uintptr_t events,
                         size_t capacity, int64_t timeout_ns)
{
    struct tgo_start *all = (struct tgo_start *)starts;

    for (size_t i = 0; i < count; i++) {
        all[i].done = done(platform, start((tg_queue *)queue, &all[i]));
        if (all[i].done.result != 0)
            timeout_ns = 0;
    }
    return tgo_wait(platform, queue, events, capacity, timeout_ns);
}
