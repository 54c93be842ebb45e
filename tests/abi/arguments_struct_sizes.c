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
    size_t shortest; /* that any program has: up to the first field that says something */
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

static const struct sized_call sized_calls[] = {
    {"tg_probe", sizeof(tg_probe), offsetof(tg_probe, step), call_probe, true},
    {"tg_info", sizeof(tg_info), offsetof(tg_info, user_start), call_info, true},
    {"tg_stats", sizeof(tg_stats), offsetof(tg_stats, subprocesses), call_stats, true},
    {"tg_event of a switch", sizeof(tg_event), offsetof(tg_event, u), call_switch, true},
    {"tg_event of a wait", sizeof(tg_event), offsetof(tg_event, u), call_wait, true},
    {"tg_platform_options", sizeof(tg_platform_options), offsetof(tg_platform_options, backend), call_open, false},
    {"tg_mem_op", sizeof(tg_mem_op), offsetof(tg_mem_op, prot), call_apply, false},
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
        HOLDS(fixture, result == 0 || (result == -EINVAL && size < sized->shortest));
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
}
