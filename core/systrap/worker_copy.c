/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <string.h>

#include "core/clock.h"
#include "core/host_transfer.h"
#include "core/no_cancel.h"
#include "core/subprocess_life.h"
#include "core/systrap/death.h"
#include "core/systrap/patching/code_reader.h"
#include "core/systrap/shared_words.h"
#include "core/systrap/spinning.h"
#include "core/systrap/watchdog.h"
#include "core/systrap/worker_copy.h"
#include "core/systrap/worker_place.h"

_Static_assert(COPY_READ == TG_TRANSFER_READ && COPY_WRITE == TG_TRANSFER_WRITE && COPY_STRING == TG_TRANSFER_STRING,
               "the same kinds");

#define STRING_LOOK  512 /* bytes at first: most strings end before */
#define LOOKS_MAX    64  /* as long as a copy by the host takes, or less */
#define FUTILE_MAX   4   /* so many in a row that no worker took up, and only each ... */
#define RETRY_EACH   32  /* ... of these is tried */
#define MEASURE_EACH 64  /* copies of a context; every other time ... */
#define TRIAL        4   /* ... so many go the way that seemed dearer: the first ones find nothing in the caches */
#define COST_WEIGHT  8   /* of what was known so far, less one */
#define COST_GROWTH  4   /* a time may be so many times as long: whoever had no processor says nothing of the way */

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

/* ---- what a worker is asked for ---- */

struct request {
    struct tg_transfer *pieces[COPY_PIECES];
    uint16_t lengths[COPY_PIECES]; /* of each, what is asked for */
    size_t count;
    size_t size;  /* bytes, with headers: as many go there or back */
    size_t calls; /* of the host for the same */
};

static bool add(struct request *request, const struct tg_platform *platform, struct tg_transfer *piece)
{
    const bool is_string = piece->kind == TG_TRANSFER_STRING;
    const size_t part = transfer_part(platform, piece);
    const size_t length = is_string && !piece->done && part > STRING_LOOK ? STRING_LOOK : part;
    const size_t i = request->count;

    if (i == COPY_PIECES || length > COPY_MAX || !part || (!is_string && part < piece->length - piece->done))
        return false;
    if (i == 0 || (piece->kind == TG_TRANSFER_WRITE) != (request->pieces[i - 1]->kind == TG_TRANSFER_WRITE))
        request->calls++;
    request->pieces[i] = piece;
    request->lengths[i] = (uint16_t)length;
    request->size += length + (i ? sizeof(struct systrap_piece) : 0);
    request->count++;
    return true;
}

/* False: a worker cannot take them all at once. */
static bool gather(struct request *request, const struct tg_platform *platform, struct tg_transfer *pieces, size_t n)
{
    request->count = request->size = request->calls = 0;
    for (size_t i = 0; i < n; i++) {
        if (!transfer_is_over(&pieces[i]) && !add(request, platform, &pieces[i]))
            return false;
    }
    return request->size <= COPY_MAX;
}

static void put(const struct request *request, struct systrap_piece *to)
{
    for (size_t i = 0; i < request->count; i++) {
        const struct tg_transfer *piece = request->pieces[i];
        const struct systrap_piece header = {
            .addr = piece->addr + piece->done,
            .length = request->lengths[i],
            .left = request->lengths[i],
            .kind = (uint8_t)piece->kind,
            .more = i + 1 < request->count,
        };

        to = worker_place_put(to, &header, (const char *)piece->buffer + piece->done);
    }
}

/* How many bytes of it the worker has moved; it says so where a guest can write. */
static size_t take_piece(struct systrap_context *context, struct tg_transfer *piece, const struct systrap_piece *from,
                         size_t length)
{
    const size_t left = SHARED_LOAD(from->left);
    char *buffer = (char *)piece->buffer + piece->done;
    size_t moved = left < length ? length - left : 0;

    if (moved && piece->kind != TG_TRANSFER_WRITE) {
        ssize_t original;

        memcpy(buffer, from->bytes, moved);
        original = code_read_original(&context->bound->base, piece->addr + piece->done, buffer, length, (ssize_t)moved);
        moved = original > 0 ? (size_t)original : 0;
    }
    transfer_advance(piece, moved);
    return moved;
}

/* Up to the first piece that is not over: a worker goes no further either. */
static size_t take(struct systrap_context *context, const struct request *request, struct systrap_piece *from)
{
    size_t moved = 0;

    for (size_t i = 0; i < request->count; i++) {
        moved += take_piece(context, request->pieces[i], from, request->lengths[i]);
        if (!transfer_is_over(request->pieces[i]))
            break;
        from = systrap_piece_behind(from, request->lengths[i]);
    }
    return moved;
}

/* How many bytes the worker has moved. Pairs with copy_for_library() of the worker. */
static size_t ask(struct systrap_context *context, const struct request *request, struct systrap_piece *place)
{
    put(request, place);
    if (!shared_change(&context->slot->state, SLOT_HELD, SLOT_COPY))
        return 0;
    if (!wait_for_copy(context)) {
        context->futile_copies++;
        return 0;
    }
    context->futile_copies = 0;
    return take(context, request, place);
}

/* ---- which way ---- */

static struct copy_cost *cost_of(const struct systrap_context *context, size_t length)
{
    struct copy_cost *costs = systrap_platform(context->base.platform)->copy_costs;

    return &costs[length <= COPY_SHORT ? 0 : length <= COPY_MEDIUM ? 1 : 2];
}

/*
 * By measuring: what a cache line costs differs by a factor of three, and so
 * does a copy by the host, of which it takes one for each change of direction.
 */
static enum copy_way choose_way(struct systrap_context *context, const struct copy_cost *cost, size_t calls,
                                bool *measured)
{
    const uint32_t turn = context->copies++;
    const uint32_t worker_ns = atomic_load_explicit(&cost->ns[COPY_BY_WORKER], memory_order_relaxed);
    const uint32_t host_ns = atomic_load_explicit(&cost->ns[COPY_BY_HOST], memory_order_relaxed);
    const bool host_is_better = host_ns * calls < worker_ns;

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

static size_t copy_by_worker(struct systrap_context *context, const struct request *request)
{
    struct systrap_subprocess *subprocess = context->bound;
    uint32_t index;
    size_t moved;

    if (!worker_place_take(context, &index))
        return 0;
    moved = ask(context, request, (struct systrap_piece *)worker_place(subprocess, index, WORKER_COPY));
    worker_place_give_back(subprocess, index);
    if (moved)
        count(context->base.platform, COUNTER_WORKER_COPIES);
    return moved;
}

/* *way is COPY_WAYS where the worker was to do it and did not. */
static ssize_t copy_this_way(struct systrap_context *context, enum copy_way *way, const struct request *request,
                             struct tg_transfer *pieces, size_t n)
{
    size_t moved = 0;

    if (*way == COPY_BY_WORKER && is_tried(context))
        moved = copy_by_worker(context, request);
    if (moved)
        return (ssize_t)moved;
    if (*way == COPY_BY_WORKER)
        *way = COPY_WAYS;
    return host_transfer(&context->bound->base, pieces, n);
}

static bool all_are_over(const struct request *request)
{
    for (size_t i = 0; i < request->count; i++) {
        if (!transfer_is_over(request->pieces[i]))
            return false;
    }
    return true;
}

/* One of several calls of the host stands for each of them. */
static bool says_what_it_costs(const struct request *request, enum copy_way way, ssize_t moved)
{
    return way == COPY_BY_HOST && request->calls > 1 ? moved > 0 : way != COPY_WAYS && all_are_over(request);
}

static ssize_t copy_measured(struct systrap_context *context, struct copy_cost *cost, enum copy_way way,
                             const struct request *request, struct tg_transfer *pieces, size_t n)
{
    const int64_t start = clock_monotonic_ns();
    const ssize_t moved = copy_this_way(context, &way, request, pieces, n);

    if (says_what_it_costs(request, way, moved))
        note_cost(cost, way, clock_monotonic_ns() - start);
    return moved;
}

ssize_t systrap_context_transfer(struct tg_context *base, struct tg_subprocess *subprocess, struct tg_transfer *pieces,
                                 size_t n)
{
    NO_CANCELLATION;
    struct systrap_context *context = to_systrap_context(base);
    struct request request;
    struct copy_cost *cost;
    enum copy_way way;
    bool measured;

    if (context->bound != to_systrap_subprocess(subprocess) || !worker_waits_for_answer(context) ||
        !gather(&request, base->platform, pieces, n))
        return host_transfer(subprocess, pieces, n);
    cost = cost_of(context, request.size);
    way = choose_way(context, cost, request.calls, &measured);
    if (measured)
        return copy_measured(context, cost, way, &request, pieces, n);
    return copy_this_way(context, &way, &request, pieces, n);
}
