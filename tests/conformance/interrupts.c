/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Interrupts: sticky, coalesced, never lost, never in the way of another event. */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "arch.h"
#include "cases.h"
#include "guest.h"
#include "guests.h"
#include "scale.h"
#include "threads.h"

static void during_the_switch(uint32_t backend)
{
    struct guest guest;
    uint64_t words[ARCH_MAX_WORDS];
    int i;

    guest_open(&guest, backend, GUEST_CODE(spin_registers));
    for (i = 0; i < 20; i++) {
        pthread_t thread = start_thread(guest_run_thread, &guest);

        if (i % 2)
            nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
        CHECK_OK(tg_context_interrupt(guest.context));
        join_thread(thread);
        CHECK_KIND(&guest.event, TG_EVENT_INTERRUPTED);
        CHECK(arch_ip(guest.context) - GUEST_CODE_AT < 64);
        arch_register_words(guest.context, false, words);
        /* The first two words are the guest's counters. */
        CHECK(words[0] + words[1] <= 1);
    }
    guest_close(&guest);
}

static void all_registers_survive(uint32_t backend)
{
    struct guest guest;
    uint64_t before[ARCH_MAX_WORDS];
    uint64_t after[ARCH_MAX_WORDS];
    unsigned int count;
    uint64_t round;

    guest_open(&guest, backend, GUEST_CODE(spin));
    for (round = 0; round < 20; round++) {
        pthread_t thread;

        arch_fill_registers(guest.context, round);
        count = arch_register_words(guest.context, false, before);
        thread = start_thread(guest_run_thread, &guest);
        nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
        CHECK_OK(tg_context_interrupt(guest.context));
        join_thread(thread);
        CHECK_KIND(&guest.event, TG_EVENT_INTERRUPTED);
        CHECK_EQ(arch_register_words(guest.context, false, after), count);
        CHECK_BYTES(after, before, count * sizeof(before[0]));
    }
    guest_close(&guest);
}

struct interrupter {
    tg_context *context;
    atomic_bool stop;
    atomic_ulong sent;
};

static void *interrupt_until_told(void *argument)
{
    struct interrupter *interrupter = argument;

    while (!atomic_load(&interrupter->stop)) {
        CHECK_OK(tg_context_interrupt(interrupter->context));
        atomic_fetch_add(&interrupter->sent, 1);
        nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
    }
    return NULL;
}

/* Switches until an interrupt was delivered; every call on the way must be the next number. */
static void switch_to_interrupt(struct guest *guest, uint64_t *calls)
{
    do {
        guest_run(guest);
        if (guest->event.kind == TG_EVENT_SYSCALL) {
            (*calls)++;
            CHECK_EQ(guest->event.u.syscall.args[0], *calls);
        } else {
            CHECK_KIND(&guest->event, TG_EVENT_INTERRUPTED);
        }
    } while (guest->event.kind != TG_EVENT_INTERRUPTED);
}

static void races_with_calls(uint32_t backend)
{
    struct guest guest;
    struct interrupter interrupter = {0};
    pthread_t thread;
    uint64_t calls = 0;
    int i;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    interrupter.context = guest.context;
    thread = start_thread(interrupt_until_told, &interrupter);
    for (i = 0; i < 1000; i++)
        switch_to_interrupt(&guest, &calls);
    atomic_store(&interrupter.stop, true);
    join_thread(thread);
    CHECK(atomic_load(&interrupter.sent) >= 1000);
    /* One may be left over; then the next event is the next call. */
    guest_run(&guest);
    if (guest.event.kind == TG_EVENT_INTERRUPTED)
        guest_run(&guest);
    CHECK_CALL(&guest.event, GUEST_CALL);
    CHECK_EQ(guest.event.u.syscall.args[0], calls + 1);
    guest_close(&guest);
}

/* Each interrupt is sent once and must be answered before the next: a lost one hangs the case. */
static void none_is_lost(uint32_t backend)
{
    const size_t rounds = scaled(1000);
    struct guest guest;
    struct timespec pause = {0};
    unsigned int seed = 1;
    uint64_t pending = 0;
    size_t i;

    guest_open(&guest, backend, GUEST_CODE(spin));
    for (i = 0; i < rounds; i++) {
        pthread_t thread = start_thread(guest_run_thread, &guest);

        pause.tv_nsec = rand_r(&seed) % 150000;
        nanosleep(&pause, NULL);
        CHECK_OK(tg_context_interrupt(guest.context));
        join_thread(thread);
        CHECK_KIND(&guest.event, TG_EVENT_INTERRUPTED);
        pending += (guest.event.flags & TG_FLAG_INTERRUPT_PENDING) != 0;
    }
    CHECK_EQ(pending, 0);
    guest_close(&guest);
}

/* The flag promises an INTERRUPTED; without the flag and without a new interrupt there is none. */
static void pending_flag_keeps_its_word(uint32_t backend)
{
    struct guest guest;
    struct interrupter interrupter = {0};
    pthread_t thread;
    int met = 0;
    int i;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    interrupter.context = guest.context;
    thread = start_thread(interrupt_until_told, &interrupter);
    for (i = 0; i < 3000; i++) {
        bool promised = guest.event.kind != TG_EVENT_INTERRUPTED && (guest.event.flags & TG_FLAG_INTERRUPT_PENDING);

        guest_run(&guest);
        if (promised) {
            CHECK_KIND(&guest.event, TG_EVENT_INTERRUPTED);
            met++;
        }
    }
    atomic_store(&interrupter.stop, true);
    join_thread(thread);
    printf("an interrupt met a call %d times\n", met);
    guest_run(&guest);
    guest_run(&guest);
    for (i = 0; i < 100; i++) {
        GUEST_RUN_TO_CALL(&guest);
        CHECK_EQ(guest.event.flags & TG_FLAG_INTERRUPT_PENDING, 0);
    }
    guest_close(&guest);
}

static void storm(uint32_t backend)
{
    enum { THREADS = 4 };
    struct guest guest;
    struct interrupter interrupters[THREADS];
    pthread_t threads[THREADS];
    uint64_t calls = 0;
    int i;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    memset(interrupters, 0, sizeof(interrupters));
    for (i = 0; i < THREADS; i++) {
        interrupters[i].context = guest.context;
        threads[i] = start_thread(interrupt_until_told, &interrupters[i]);
    }
    for (i = 0; i < 500; i++)
        switch_to_interrupt(&guest, &calls);
    for (i = 0; i < THREADS; i++)
        atomic_store(&interrupters[i].stop, true);
    for (i = 0; i < THREADS; i++)
        join_thread(threads[i]);
    guest_run(&guest);
    if (guest.event.kind == TG_EVENT_INTERRUPTED)
        guest_run(&guest);
    CHECK_CALL(&guest.event, GUEST_CALL);
    CHECK_EQ(guest.event.u.syscall.args[0], calls + 1);
    guest_close(&guest);
}

static tg_context *context_of_handler;
static atomic_int handler_result = 1;

static void interrupt_in_handler(int signo)
{
    (void)signo;
    atomic_store(&handler_result, tg_context_interrupt(context_of_handler));
}

/* The handler runs on the very thread that sleeps in the switch. */
static void from_a_signal_handler(uint32_t backend)
{
    struct sigaction action = {.sa_handler = interrupt_in_handler};
    struct guest guest;
    pthread_t thread;

    guest_open(&guest, backend, GUEST_CODE(spin_counting));
    arch_set_argument(guest.context, 0, GUEST_DATA_AT);
    context_of_handler = guest.context;
    CHECK_SYSTEM(sigaction(SIGUSR1, &action, NULL));
    thread = start_thread(guest_run_thread, &guest);
    guest_wait_change(guest.subprocess, GUEST_DATA_AT, 0);
    CHECK_EQ(pthread_kill(thread, SIGUSR1), 0);
    join_thread(thread);
    CHECK_EQ(atomic_load(&handler_result), 0);
    CHECK_KIND(&guest.event, TG_EVENT_INTERRUPTED);
    guest_close(&guest);
}

static atomic_ulong signals_seen;

static void count_signal(int signo)
{
    (void)signo;
    atomic_fetch_add(&signals_seen, 1);
}

/* Signals to the embedder's thread, with and without SA_RESTART, are none of the guest's business. */
static void embedder_signals_do_not_show(uint32_t backend)
{
    struct sigaction action = {.sa_handler = count_signal};
    struct guest guest;
    pthread_t thread;
    int i;

    guest_open(&guest, backend, GUEST_CODE(wait_for_word));
    arch_set_argument(guest.context, 0, GUEST_DATA_AT);
    CHECK_SYSTEM(sigaction(SIGUSR1, &action, NULL));
    thread = start_thread(guest_run_thread, &guest);
    for (i = 1; i <= 50; i++) {
        CHECK_EQ(pthread_kill(thread, SIGUSR1), 0);
        while (atomic_load(&signals_seen) < (unsigned long)i)
            nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    }
    guest_store(guest.subprocess, GUEST_DATA_AT, 1);
    join_thread(thread);
    CHECK_CALL(&guest.event, GUEST_CALL);
    guest_close(&guest);
}

static void belongs_to_its_context(uint32_t backend)
{
    struct guest guest;
    tg_context *other;
    tg_event event;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    other = create_started_context(guest.platform);
    CHECK_OK(tg_context_interrupt(other));
    GUEST_RUN_TO_CALL(&guest);
    CHECK_EQ(guest.event.flags & TG_FLAG_INTERRUPT_PENDING, 0);
    GUEST_RUN_TO_CALL(&guest);
    run_context(other, guest.subprocess, &event);
    CHECK_KIND(&event, TG_EVENT_INTERRUPTED);
    run_context(other, guest.subprocess, &event);
    CHECK_CALL(&event, GUEST_CALL);
    tg_context_destroy(other);
    guest_close(&guest);
}

/* Bounce: interrupt, resume, interrupt, in different subprocesses. */
static void follows_the_context(uint32_t backend)
{
    struct guest guest;
    tg_subprocess *other;
    int i;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    other = create_loaded_subprocess(guest.platform, GUEST_CODE(counting_calls));
    for (i = 1; i <= 50; i++) {
        tg_subprocess *subprocess = i % 2 ? guest.subprocess : other;

        CHECK_OK(tg_context_interrupt(guest.context));
        run_context(guest.context, subprocess, &guest.event);
        CHECK_KIND(&guest.event, TG_EVENT_INTERRUPTED);
        run_context(guest.context, subprocess, &guest.event);
        CHECK_CALL(&guest.event, GUEST_CALL);
        CHECK_EQ(guest.event.u.syscall.args[0], i);
    }
    tg_subprocess_destroy(other);
    guest_close(&guest);
}

const struct test_case interrupt_cases[] = {
    {"interrupt.during", "An interrupt stops a guest that spins, and it goes on where it was", during_the_switch},
    {"interrupt.registers", "Every general register survives an interrupt", all_registers_survive},
    {"interrupt.race_with_calls", "Interrupts and calls race: every call arrives once and in order", races_with_calls},
    {"interrupt.none_lost", "A thousand single interrupts at random moments: each is answered", none_is_lost},
    {"interrupt.pending_flag", "The pending flag promises the next event, and nothing comes without a cause",
     pending_flag_keeps_its_word},
    {"interrupt.storm", "Four threads interrupt as fast as they can: calls stay in order", storm},
    {"interrupt.signal_handler", "An interrupt may come from a signal handler on the switching thread",
     from_a_signal_handler},
    {"interrupt.embedder_signals", "Signals to the embedder's thread do not become events",
     embedder_signals_do_not_show},
    {"interrupt.own_context", "An interrupt of one context does not show in another", belongs_to_its_context},
    {"interrupt.bounce", "Interrupt and resume while the context changes subprocess each time", follows_the_context},
    {0},
};
