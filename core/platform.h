/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What both backends share of a platform: identity, facts, counters, and the list of its handles. */
#ifndef CORE_PLATFORM_H
#define CORE_PLATFORM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <trapgate/trapgate.h>

#include "arch/arch_cpu.h"
#include "core/counters.h"
#include "core/list.h"

struct backend_ops;

struct tg_platform {
    /* Never change once the platform is open. */
    const struct backend_ops *ops;
    void *backend;  /* the backend's own part */
    uint64_t id;    /* never used again, so that a stale pointer cannot pass for this one */
    pid_t embedder; /* the process that opened it; a forked child must not touch the stubs */
    struct tg_info info;
    struct arch_user_space user_space;
    uint64_t host_vdso;       /* where this process has the vDSO that guests are to get; 0: they get none */
    bool own_vdso;            /* guests are to get the library's own, unless the host's is there */
    bool counter_readable;    /* guest_clocks.c: for this process */
    bool counter_steady;      /* the same: it can be relied on */
    bool guests_read_counter; /* the same: for guests too */
    bool measures_latency;    /* TG_OPEN_LATENCY */
    const uint32_t *opener;   /* not 0; a page that a process forked from the opener's finds wiped */
    bool wipes_opener;        /* the host said that it does that */

    /* Atomic, any thread. */
    _Atomic bool copies_forbidden; /* process_vm_readv(2) and process_vm_writev(2) were refused once */
    /* Of the stub that ended last without being destroyed, TG_DEAD_*: for the sentence when opening fails. */
    _Atomic int32_t last_reason;
    _Atomic int32_t last_status;
    _Atomic uint64_t counters[COUNTERS];

    /* lock: platform_lock() takes it. A closing platform needs none. */
    pthread_mutex_t lock;
    struct list subprocesses;
    struct list contexts;
    struct list queues;

    /* Guards the clocks of all subprocesses' pages. Taken while nothing else is locked. */
    pthread_mutex_t clocks_lock;
};

static inline void count_many(struct tg_platform *platform, uint32_t counter, uint64_t n)
{
    atomic_fetch_add_explicit(&platform->counters[counter], n, memory_order_relaxed);
}

static inline void count(struct tg_platform *platform, enum counter counter)
{
    count_many(platform, counter, 1);
}

/* histogram: its first bucket. */
static inline void count_latency(struct tg_platform *platform, enum counter histogram, uint64_t ns)
{
    uint32_t bucket = 63 - (uint32_t)__builtin_clzll(ns | 1);

    count_many(platform, histogram + (bucket < TG_LATENCY_BUCKETS ? bucket : TG_LATENCY_BUCKETS - 1), 1);
}

static inline void uncount(struct tg_platform *platform, enum counter counter)
{
    atomic_fetch_sub_explicit(&platform->counters[counter], 1, memory_order_relaxed);
}

/* A number of the header's, or of a backend that this library was built with. */
bool platform_knows(uint32_t backend);
int platform_open(const struct tg_platform_options *options, struct tg_platform **out);
int platform_probe(uint32_t backend, struct tg_probe *out);
void platform_close(struct tg_platform *platform);
/* As tg_platform_options.spin_ns. 0, or -EPERM in a process that was forked. */
int platform_set_spin(struct tg_platform *platform, uint64_t ns);

#endif
