/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Programs built against an older header pass shorter structs, those built
 * against a newer one longer structs: the first are served as far as they go,
 * the second unless they ask for something new.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arguments.h"

#define TAIL      16
#define UNTOUCHED 0xa5

/* Every struct that goes through the size rule, with a call that passes it. */
struct sized_call {
    const char *name;
    size_t size;
    size_t shortest; /* that works: the size alone, or for an operation what says where and how much */
    int (*call)(struct fixture *, void *);
    bool is_output;
};

static int call_probe(struct fixture *fixture, void *memory)
{
    return tg_platform_probe(fixture->backend, memory);
}

static int call_info(struct fixture *fixture, void *memory)
{
    return tg_platform_info(fixture->platform, memory);
}

static int call_stats(struct fixture *fixture, void *memory)
{
    return tg_platform_stats(fixture->platform, memory);
}

static int call_switch(struct fixture *fixture, void *memory)
{
    return tg_context_switch(fixture->context, fixture->subprocess, memory);
}

static int call_exchange(struct fixture *fixture, void *memory)
{
    tg_event event = {.size = sizeof(event)};
    return tg_context_exchange(fixture->context, fixture->subprocess, memory, TG_EXCHANGE_NOTHING, &event);
}

static int call_exchange_event(struct fixture *fixture, void *memory)
{
    tg_regs regs = {.size = sizeof(regs)};
    return tg_context_exchange(fixture->context, fixture->subprocess, &regs, TG_EXCHANGE_NOTHING, memory);
}

/* There is always an event to wait for: that of this call or of one that was refused. */
static int call_wait(struct fixture *fixture, void *memory)
{
    size_t count = 0;
    int submitted = tg_queue_submit(fixture->queue, fixture->queued, fixture->subprocess);
    if (submitted != 0 && submitted != -EBUSY)
        return submitted;
    return tg_queue_wait(fixture->queue, memory, 1, -1, &count);
}

static int call_open(struct fixture *fixture, void *memory)
{
    tg_platform *platform = NULL;
    (void)fixture;
    int result = tg_platform_open(memory, &platform);
    tg_platform_close(platform);
    return result;
}

static int call_apply(struct fixture *fixture, void *memory)
{
    tg_mem_op *op = memory;
    op->kind = TG_MEM_UNMAP;
    op->addr = 0x40000000;
    op->length = PAGE(fixture);
    return tg_subprocess_apply(fixture->subprocess, op, 1, NULL);
}

static int call_set_brings(struct fixture *fixture, void *memory)
{
    tg_bring *piece = memory;
    piece->kind = TG_BRING_BYTES;
    piece->nr = 1;
    piece->max = 8;
    return tg_subprocess_set_brings(fixture->subprocess, piece, 1);
}

static int call_follow(struct fixture *fixture, void *memory)
{
    tg_host_clock host = {.size = sizeof(host)};
    return tg_platform_follow_clock(fixture->platform, &host, memory);
}

static int call_follow_on(struct fixture *fixture, void *memory)
{
    tg_clock clock = {.size = sizeof(clock)};
    return tg_platform_follow_clock(fixture->platform, memory, &clock);
}

static int call_transfer(struct fixture *fixture, void *memory)
{
    tg_transfer *piece = memory;
    piece->kind = TG_TRANSFER_READ;
    return tg_context_transfer(fixture->context, fixture->subprocess, piece, 1);
}

static const struct sized_call sized_calls[] = {
    {"tg_probe", sizeof(tg_probe), sizeof(uint32_t), call_probe, true},
    {"tg_info", sizeof(tg_info), sizeof(uint32_t), call_info, true},
    {"tg_stats", sizeof(tg_stats), sizeof(uint32_t), call_stats, true},
    {"tg_clock", sizeof(tg_clock), sizeof(uint32_t), call_follow, true},
    {"tg_host_clock", sizeof(tg_host_clock), sizeof(uint32_t), call_follow_on, true},
    {"tg_event of a switch", sizeof(tg_event), offsetof(tg_event, u), call_switch, true},
    {"tg_event of an exchange", sizeof(tg_event), offsetof(tg_event, u), call_exchange_event, true},
    {"tg_regs of an exchange", sizeof(tg_regs), sizeof(uint32_t), call_exchange, true},
    {"tg_event of a wait", sizeof(tg_event), offsetof(tg_event, u), call_wait, true},
    {"tg_platform_options", sizeof(tg_platform_options), sizeof(uint32_t), call_open, false},
    {"tg_bring", sizeof(tg_bring), offsetof(tg_bring, max) + sizeof(uint32_t), call_set_brings, false},
    {"tg_transfer", sizeof(tg_transfer), offsetof(tg_transfer, kind) + sizeof(uint32_t), call_transfer, false},
    {"tg_mem_op", sizeof(tg_mem_op), offsetof(tg_mem_op, length) + sizeof(uint32_t), call_apply, false},
};

static void set_size(unsigned char *memory, uint32_t size)
{
    memcpy(memory, &size, sizeof(size));
}

static void say(const struct sized_call *sized, const char *what)
{
    printf("%s: %s\n", sized->name, what);
}

/* Zeros behind what the library knows are a newer program that asks for nothing new. */
static void longer(struct fixture *fixture, const struct sized_call *sized, unsigned char *memory)
{
    memset(memory, 0, sized->size + TAIL);
    set_size(memory, (uint32_t)sized->size + TAIL);
    HOLDS(fixture, sized->call(fixture, memory) == 0);

    static const size_t places[] = {0, TAIL / 2, TAIL - 1};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        memset(memory, 0, sized->size + TAIL);
        set_size(memory, (uint32_t)sized->size + TAIL);
        memory[sized->size + places[i]] = 1;
        REFUSED_MUTE(fixture, -E2BIG, sized->call(fixture, memory));
    }
}

/* One call with that size; nothing behind it may be written: that memory is something else of the caller's. */
static int call_with_size(struct fixture *fixture, const struct sized_call *sized, unsigned char *memory, size_t size,
                          bool *intact)
{
    memset(memory, 0, sized->size);
    memset(memory + size, sized->is_output ? UNTOUCHED : 0, sized->size + TAIL - size);
    set_size(memory, (uint32_t)size);
    const int result = sized->call(fixture, memory);
    *intact = true;
    for (size_t i = size; sized->is_output && i < sized->size + TAIL; i++)
        *intact = *intact && memory[i] == UNTOUCHED;
    return result;
}

static void shorter(struct fixture *fixture, const struct sized_call *sized, unsigned char *memory)
{
    for (size_t size = sizeof(uint32_t); size < sized->size; size += 4) {
        bool intact;
        const int result = call_with_size(fixture, sized, memory, size, &intact);
        HOLDS(fixture, intact);
        HOLDS(fixture, result == (size < sized->shortest ? -EINVAL : 0));
    }
}

/* Sizes that do not even hold the size. */
static void too_short(struct fixture *fixture, const struct sized_call *sized, unsigned char *memory)
{
    for (uint32_t size = 0; size < sizeof(uint32_t); size++) {
        memset(memory, 0, sized->size);
        set_size(memory, size);
        REFUSED_MUTE(fixture, -EINVAL, sized->call(fixture, memory));
    }
}

/* Refused unread: no program has a struct of that size. */
static void absurd(struct fixture *fixture, const struct sized_call *sized, unsigned char *memory)
{
    memset(memory, 0, sized->size);
    set_size(memory, UINT32_MAX);
    CHECK_REFUSED(fixture, -EINVAL, -E2BIG, false, sized->call(fixture, memory));
}

/* Both contexts make a call; their events go to an array whose elements are of that size. */
static void events_of_size(struct fixture *fixture, uint32_t size)
{
    unsigned char memory[2 * (sizeof(tg_event) + TAIL) + TAIL];
    tg_event first, second;
    size_t got = 0, count = 0;
    memset(memory, 0, sizeof(memory));
    memset(memory + 2 * size, UNTOUCHED, sizeof(memory) - 2 * size);
    HOLDS(fixture, tg_queue_submit(fixture->queue, fixture->context, fixture->subprocess) == 0);
    HOLDS(fixture, tg_queue_submit(fixture->queue, fixture->queued, fixture->subprocess) == 0);
    for (; got < 2; got += count) {
        set_size(memory + got * size, size);
        set_size(memory + size, size);
        const int result = tg_queue_wait(fixture->queue, (void *)(memory + got * size), 2 - got, -1, &count);
        HOLDS(fixture, result == 0);
        if (result != 0)
            return;
    }
    memcpy(&first, memory, size < sizeof(first) ? size : sizeof(first));
    memcpy(&second, memory + size, size < sizeof(second) ? size : sizeof(second));
    HOLDS(fixture, first.size == size && second.size == size);
    HOLDS(fixture, first.kind == TG_EVENT_SYSCALL && second.kind == TG_EVENT_SYSCALL);
    HOLDS(fixture, (first.context == fixture->context && second.context == fixture->queued) ||
                       (first.context == fixture->queued && second.context == fixture->context));
    for (size_t i = 2 * size; i < sizeof(memory); i++)
        HOLDS(fixture, memory[i] == UNTOUCHED);
}

static void arrays_of_events(struct fixture *fixture)
{
    static const uint32_t sizes[] = {offsetof(tg_event, u), sizeof(tg_event) - 8, sizeof(tg_event),
                                     sizeof(tg_event) + TAIL};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        events_of_size(fixture, sizes[i]);
}

void arguments_of_struct_sizes(struct fixture *fixture)
{
    for (size_t i = 0; i < sizeof(sized_calls) / sizeof(sized_calls[0]); i++) {
        const struct sized_call *sized = &sized_calls[i];
        const unsigned failures = fixture->failures;
        unsigned char *memory = malloc(sized->size + TAIL);
        HOLDS(fixture, memory != NULL);
        longer(fixture, sized, memory);
        too_short(fixture, sized, memory);
        absurd(fixture, sized, memory);
        shorter(fixture, sized, memory);
        free(memory);
        if (fixture->failures != failures)
            say(sized, "breaks the size rule");
    }
    arrays_of_events(fixture);
}
