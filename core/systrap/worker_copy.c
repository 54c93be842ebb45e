/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <string.h>

#include "core/clock.h"
#include "core/no_cancel.h"
#include "core/subprocess_life.h"
#include "core/systrap/death.h"
#include "core/systrap/patching/code_reader.h"
#include "core/systrap/shared_words.h"
#include "core/systrap/spinning.h"
#include "core/systrap/systrap_subprocess.h"
#include "core/systrap/watchdog.h"
#include "core/systrap/worker_copy.h"
#include "core/systrap/worker_place.h"

#define LOOKS_MAX    64 /* as long as a copy by the host takes, or less */
#define FUTILE_MAX   4  /* so many in a row that no worker took up, and only each ... */
#define RETRY_EACH   32 /* ... of these is tried */
#define MEASURE_EACH 64 /* copies of a context; every other time ... */
#define TRIAL        4  /* ... so many go the way that seemed dearer: the first ones find nothing in the caches */
#define COST_WEIGHT  8  /* of what was known so far, less one */
#define COST_GROWTH  4  /* a time may be so many times as long: whoever had no processor says nothing of the way */

static bool is_worth_it(const struct systrap_context *context, size_t length)
{
    return length <= COPY_MAX && worker_waits_for_answer(context);
}

static bool is_tried(struct systrap_context *context)
{
    return context->futile_copies < FUTILE_MAX || context->futile_copies++ % RETRY_EACH == 0;
}

/* True: the worker is done, or another thread has taken the context from it. */
static bool look_for_end(const struct systrap_slot *slot)
{
    for (int i = 0; i < LOOKS_MAX; i++) {
        if (!state_is_copying(SHARED_LOAD(slot->state)))
            return true;
        tgi_arch_systrap->between_looks();
    }
    return false;
}

/* The worker copies already, and is done when the host has brought the pages: a guest can make that last for ever. */
static void wait_for_end(struct systrap_context *context)
{
    struct systrap_subprocess *subprocess = context->bound;
    struct watchdog_wait wait = {.look_at = 0};

    if (look_for_end(context->slot))
        return;
    for (unsigned int i = 0; SHARED_LOAD(context->slot->state) == SLOT_COPYING; i++) {
        if (subprocess_is_dead(&subprocess->base))
            return;
        if (watchdog_waits_in_vain(subprocess, &wait, WATCHDOG_OPERATION))
            systrap_subprocess_die(subprocess, TG_DEAD_CORRUPT, 0);
        clock_pause_between_looks(i);
    }
}

/* False: no worker has taken it up, and now none will. */
static bool wait_for_copy(struct systrap_context *context)
{
    if (look_for_end(context->slot))
        return true;
    if (shared_change(&context->slot->state, SLOT_COPY, SLOT_HELD))
        return false;
    wait_for_end(context);
    return true;
}

/* How many bytes the worker has copied. Pairs with copy_for_library() of the worker. */
static size_t ask(struct systrap_context *context, struct systrap_copy *copy, bool to_guest, uint64_t addr,
                  void *buffer, size_t length)
{
    uint32_t left;

    copy->addr = addr;
    copy->length = (uint32_t)length;
    copy->to_guest = to_guest;
    if (to_guest)
        memcpy(copy->bytes, buffer, length);
    if (!shared_change(&context->slot->state, SLOT_HELD, SLOT_COPY))
        return 0;
    if (!wait_for_copy(context)) {
        context->futile_copies++;
        return 0;
    }
    context->futile_copies = 0;
    left = SHARED_LOAD(copy->left);
    if (left >= length)
        return 0;
    if (!to_guest)
        memcpy(buffer, copy->bytes, length - left);
    return length - left;
}

/* ---- which way ---- */

static struct copy_cost *cost_of(const struct systrap_context *context, size_t length)
{
    struct copy_cost *costs = systrap_platform(context->base.platform)->copy_costs;

    return &costs[length <= COPY_SHORT ? 0 : length <= COPY_MEDIUM ? 1 : 2];
}

/* By measuring: what a cache line costs differs by a factor of three, and so does a copy by the host. */
static enum copy_way choose_way(struct systrap_context *context, const struct copy_cost *cost, bool *measured)
{
    const uint32_t turn = context->copies++;
    const uint32_t worker_ns = atomic_load_explicit(&cost->ns[COPY_BY_WORKER], memory_order_relaxed);
    const uint32_t host_ns = atomic_load_explicit(&cost->ns[COPY_BY_HOST], memory_order_relaxed);
    const bool host_is_better = host_ns < worker_ns;

    /* Contexts may be gone after a few copies: what is not known yet is measured at once. */
    *measured = !worker_ns || !host_ns || turn % MEASURE_EACH == TRIAL - 1;
    if (!worker_ns || !host_ns)
        return turn % 2 ? COPY_BY_HOST : COPY_BY_WORKER;
    if (turn % (2 * MEASURE_EACH) < TRIAL)
        return host_is_better ? COPY_BY_WORKER : COPY_BY_HOST;
    return host_is_better ? COPY_BY_HOST : COPY_BY_WORKER;
}

/* Two threads may note costs at once: one of the two is lost, which does no harm. */
static void note_cost(struct copy_cost *cost, enum copy_way way, int64_t ns)
{
    const int64_t known = atomic_load_explicit(&cost->ns[way], memory_order_relaxed);

    if (known && ns > COST_GROWTH * known)
        ns = COST_GROWTH * known;
    if (!known && ns > UINT16_MAX)
        return;
    atomic_store_explicit(&cost->ns[way], (uint32_t)(known ? (known * (COST_WEIGHT - 1) + ns) / COST_WEIGHT : ns),
                          memory_order_relaxed);
}

/* ---- one copy ---- */

static size_t copy_by_worker(struct systrap_context *context, bool to_guest, uint64_t addr, void *buffer, size_t length)
{
    struct systrap_subprocess *subprocess = context->bound;
    struct systrap_copy *copy;
    uint32_t index;
    size_t copied;

    if (!worker_place_take(context, &index))
        return 0;
    copy = (struct systrap_copy *)worker_place(subprocess, index, WORKER_COPY);
    copied = ask(context, copy, to_guest, addr, buffer, length);
    worker_place_give_back(subprocess, index);
    if (copied)
        count(context->base.platform, COUNTER_WORKER_COPIES);
    return copied;
}

static ssize_t copy_this_way(struct systrap_context *context, enum copy_way *way, bool to_guest, uint64_t addr,
                             void *buffer, size_t length)
{
    struct tg_subprocess *subprocess = &context->bound->base;
    size_t copied = 0;

    if (*way == COPY_BY_WORKER && is_tried(context))
        copied = copy_by_worker(context, to_guest, addr, buffer, length);
    if (copied)
        return to_guest ? (ssize_t)copied : code_read_original(subprocess, addr, buffer, length, (ssize_t)copied);
    if (*way == COPY_BY_WORKER)
        *way = COPY_WAYS;
    return systrap_subprocess_copy(subprocess, to_guest, addr, buffer, length);
}

static ssize_t copy_measured(struct systrap_context *context, struct copy_cost *cost, enum copy_way way, bool to_guest,
                             uint64_t addr, void *buffer, size_t length)
{
    const int64_t start = clock_monotonic_ns();
    const ssize_t copied = copy_this_way(context, &way, to_guest, addr, buffer, length);

    if (copied == (ssize_t)length && way != COPY_WAYS)
        note_cost(cost, way, clock_monotonic_ns() - start);
    return copied;
}

ssize_t systrap_context_copy(struct tg_context *base, struct tg_subprocess *subprocess, bool to_guest, uint64_t addr,
                             void *buffer, size_t length)
{
    NO_CANCELLATION;
    struct systrap_context *context = to_systrap_context(base);
    struct copy_cost *cost = cost_of(context, length);
    enum copy_way way;
    bool measured;

    if (context->bound != to_systrap_subprocess(subprocess) || !is_worth_it(context, length))
        return systrap_subprocess_copy(subprocess, to_guest, addr, buffer, length);
    way = choose_way(context, cost, &measured);
    if (measured)
        return copy_measured(context, cost, way, to_guest, addr, buffer, length);
    return copy_this_way(context, &way, to_guest, addr, buffer, length);
}
