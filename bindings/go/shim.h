/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What Go calls where calling the library directly would cost a check of pointers, or one call each for things that go
 * together. Handles come as integers: they are the library's memory, and nothing in them concerns Go's collector.
 */
#ifndef TRAPGATE_GO_SHIM_H
#define TRAPGATE_GO_SHIM_H

#include <stdlib.h>

#include <trapgate/trapgate.h>

#if TG_ABI_VERSION != 1
#error "this package is for version 1 of Trapgate's ABI"
#endif

/* A number that no other thread has or had. */
uint64_t tgo_thread(void);

/*
 * What a call came to. The sentence of one that failed is its thread's, and the
 * goroutine may be on another one when it looks: here it is a copy, to be freed.
 */
struct tgo_done {
    char *sentence; /* NULL: it did not fail */
    int32_t result;
    uint32_t pad;
};

struct tgo_done tgo_switch(uintptr_t platform, uintptr_t context, uintptr_t subprocess, uintptr_t event);

/* Result 1: the event comes out of the queue. */
struct tgo_done tgo_switch_or_submit(uintptr_t platform, uintptr_t context, uintptr_t subprocess, uintptr_t queue,
                                     uint64_t spin_ns, uintptr_t event);

/* What goes in and comes out of an exchange: memory of C, so that no pointer of Go's has to be looked at. */
struct tgo_exchange {
    tg_event event;
    tg_regs regs;
};

struct tgo_done tgo_exchange(uintptr_t platform, uintptr_t context, uintptr_t subprocess, uint32_t what,
                             uintptr_t exchange);

struct tgo_done tgo_set_return(uintptr_t platform, uintptr_t context, int64_t value);

struct tgo_wait {
    uint64_t count;
    uint64_t thread; /* that waited */
    struct tgo_done done;
};

struct tgo_wait tgo_wait(uintptr_t platform, uintptr_t queue, uintptr_t events, size_t capacity, int64_t timeout_ns);

/* A context that a runner starts. */
struct tgo_start {
    uintptr_t context;
    uintptr_t subprocess;
    int64_t value;       /* what the system call returns, */
    uint32_t with_value; /* if this is set */
    uint32_t pad;
    struct tgo_done done; /* out */
};

/* Starts contexts and waits for events, in one call. Only looks when a start failed, so that the failure gets out. */
struct tgo_wait tgo_turn(uintptr_t platform, uintptr_t queue, uintptr_t starts, size_t count, uintptr_t events,
                         size_t capacity, int64_t timeout_ns);

#endif
