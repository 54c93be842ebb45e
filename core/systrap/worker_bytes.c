/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <string.h>

#include "core/attached.h"
#include "core/brought.h"
#include "core/systrap/patching/code_reader.h"
#include "core/systrap/shared_words.h"
#include "core/systrap/slots.h"
#include "core/systrap/worker_bytes.h"
#include "core/systrap/worker_place.h"

#define PART 64 /* a cache line: no more of a string is fetched than there is */

_Static_assert(BRING_NUMBERS == TG_BRING_CALLS && BRING_PIECES == TG_BRING_PIECES, "one table");
_Static_assert(BRING_BYTES == TG_BRING_BYTES && BRING_COUNTED == TG_BRING_COUNTED && BRING_STRING == TG_BRING_STRING,
               "the same kinds");
_Static_assert(BROUGHT_SIZE <= WORKER_BROUGHT_END - WORKER_BROUGHT, "what is brought fits");
_Static_assert(TG_ATTACH_MAX <= COPY_MAX && TG_ATTACH_PIECES <= COPY_PIECES, "what is attached fits");

/* ---- brought ---- */

static struct systrap_bring stub_piece(struct bring_piece piece)
{
    return (struct systrap_bring){
        .kind = piece.kind,
        .arg = piece.arg,
        .length_arg = piece.length_arg,
        .max = piece.max,
        .at = piece.at,
    };
}

void systrap_subprocess_brings(struct tg_subprocess *base, const struct bring_table *table)
{
    struct systrap_subprocess *subprocess = to_systrap_subprocess(base);
    struct systrap_bring *to = (struct systrap_bring *)(subprocess->memory + SYSTRAP_BRINGS);
    struct systrap_config *config = (struct systrap_config *)(subprocess->memory + SYSTRAP_CONFIG);
    bool any = false;

    for (uint64_t nr = 0; nr < BRING_NUMBERS; nr++) {
        for (uint32_t i = 0; i < BRING_PIECES; i++) {
            const struct systrap_bring piece = stub_piece(bring_table_piece(table, nr, i));

            any |= piece.kind != 0;
            to[nr * BRING_PIECES + i] = piece;
        }
    }
    SHARED_STORE(config->brings, any);
}

/*
 * A guest may write there meanwhile, and so may the worker, for another
 * context: what counts is what is in our buffer, and whoever looks at the
 * context's state next sees whether the worker has gone on. Pairs with
 * give_up_held() of the worker.
 */
static void fetch(uint8_t *buffer, const uint8_t *shared, size_t length)
{
    size_t i = 0;

    for (; i + sizeof(uint64_t) <= length; i += sizeof(uint64_t)) {
        const uint64_t word = SHARED_LOAD(*(const uint64_t *)(shared + i));

        memcpy(buffer + i, &word, sizeof(word));
    }
    for (; i < length; i++)
        buffer[i] = SHARED_LOAD(shared[i]);
}

/* How many with the 0 byte, or all. */
static size_t fetch_string(uint8_t *buffer, const uint8_t *shared, size_t max)
{
    for (size_t done = 0; done < max; done += PART) {
        const size_t length = max - done < PART ? max - done : PART;
        const uint8_t *end;

        fetch(buffer + done, shared + done, length);
        end = memchr(buffer + done, 0, length);
        if (end)
            return (size_t)(end - buffer) + 1;
    }
    return max;
}

static bool is_in_reach(const struct tg_platform *platform, uint64_t addr, size_t length)
{
    return addr < platform->info.user_end && length <= platform->info.user_end - addr;
}

/* Declared otherwise than when the context was started, or that at this moment. */
static bool is_declared_anew(const struct systrap_context *context)
{
    const uint32_t generation = atomic_load(&context->bound->base.bring_generation);

    return generation % 2 || generation != context->brings_at_start;
}

static bool is_held_still(const struct systrap_context *context)
{
    const uint32_t state = SHARED_LOAD(context->slot->state);

    return state == SLOT_HELD || state == SLOT_ASLEEP;
}

/* What was patched reads as the guest wrote it; the 0 byte of a string may have been none of the guest's. */
static bool make_original(const struct systrap_context *context, uint64_t addr, uint8_t *buffer, size_t length,
                          bool ends_with_0)
{
    struct tg_subprocess *subprocess = &context->bound->base;
    bool made;

    if (!patched_pages_maybe(&context->bound->patches.sites.pages, addr, length))
        return true;
    /* That asks the host for memory of the stub, by a number which is another's once it is destroyed. */
    if (!subprocess_enter(subprocess))
        return false;
    made = code_read_original(subprocess, addr, buffer, length, (ssize_t)length) == (ssize_t)length &&
           (!ends_with_0 || !buffer[length - 1]);
    subprocess_leave(subprocess);
    return made;
}

size_t systrap_context_bring(struct tg_context *base, struct tg_subprocess *subprocess, const struct bring_piece *piece,
                             size_t wanted, uint8_t *buffer)
{
    const struct systrap_context *context = to_systrap_context(base);
    const uint32_t index = context->held_by;
    const uint64_t addr = base->syscall.args[piece->arg];
    const uint8_t *shared;
    size_t length = wanted;

    if (!context->bound || &context->bound->base != subprocess || is_declared_anew(context) ||
        index >= atomic_load_explicit(&context->bound->worker_count, memory_order_relaxed))
        return 0;
    shared = worker_place(context->bound, index, WORKER_BROUGHT) + piece->at;
    if (piece->kind == TG_BRING_STRING)
        length = fetch_string(buffer, shared, wanted);
    else
        fetch(buffer, shared, wanted);
    if (!is_held_still(context) || !is_in_reach(base->platform, addr, length) ||
        !make_original(context, addr, buffer, length, length < wanted))
        return 0;
    count(base->platform, COUNTER_WORKER_COPIES);
    return length;
}

/* ---- attached ---- */

static bool all_in_reach(const struct tg_context *base)
{
    const struct attached *attached = base->attached;

    for (uint32_t i = 0; i < attached->count; i++) {
        if (!is_in_reach(base->platform, attached->pieces[i].addr, attached->pieces[i].length))
            return false;
    }
    return true;
}

int systrap_attached_before_start(struct systrap_context *context)
{
    struct tg_context *base = &context->base;

    if (base->attached_state == ATTACHED_GIVEN)
        context_drop_attached(base);
    if (base->attached_state == ATTACHED_NONE)
        return 0;
    if (worker_waits_for_answer(context) && all_in_reach(base) && !interrupt_pending(&base->interrupt))
        return 0;
    return context_write_attached(base, &context->bound->base);
}

static void put_pieces(uint8_t *place, const struct attached *attached)
{
    struct systrap_piece *to = (struct systrap_piece *)place;

    for (uint32_t i = 0; i < attached->count; i++) {
        const struct attached_piece *piece = &attached->pieces[i];
        const struct systrap_piece header = {
            .addr = piece->addr,
            .length = (uint16_t)piece->length,
            .kind = COPY_WRITE,
            .more = i + 1 < attached->count,
        };

        to = worker_place_put(to, &header, attached->bytes + piece->at);
    }
}

/* Once it has them the context runs, and may be another thread's. Pairs with next_slot() of the worker. */
static bool give_to_worker(struct systrap_context *context)
{
    struct systrap_subprocess *subprocess = context->bound;
    struct tg_platform *platform = context->base.platform;
    uint32_t index;
    bool given;

    if (!worker_place_take(context, &index))
        return false;
    put_pieces(worker_place(subprocess, index, WORKER_COPY), context->base.attached);
    context->base.attached_state = ATTACHED_GIVEN;
    given = shared_change(&context->slot->state, SLOT_HELD, SLOT_ATTACHED);
    if (!given)
        context->base.attached_state = ATTACHED_WAITS;
    worker_place_give_back(subprocess, index);
    if (given)
        count(platform, COUNTER_WORKER_COPIES);
    return given;
}

bool systrap_attached_hand_over(struct systrap_context *context)
{
    if (give_to_worker(context))
        return true;
    context_settle_attached(&context->base, &context->bound->base);
    /* The result may be another now. */
    slot_push_state(context);
    return false;
}

void systrap_attached_expect(const struct systrap_context *context)
{
    const struct attached *last = context->base.attached;
    size_t length;

    if (context->base.attached_state != ATTACHED_GIVEN)
        return;
    length = last->size + last->count * sizeof(struct systrap_piece);
    tgi_arch_systrap->fetch_to_write(worker_place(context->bound, context->held_by, WORKER_COPY), length);
}

bool systrap_attached_settle(struct systrap_context *context)
{
    if (context->base.attached_state != ATTACHED_GIVEN)
        return false;
    context_settle_attached(&context->base, &context->bound->base);
    return true;
}
