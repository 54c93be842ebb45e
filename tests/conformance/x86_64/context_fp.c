/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * FP state that only a stub thread has, when the subprocess is destroyed while
 * the embedder is doing something with the context that asks for none of it.
 */
#include <stdatomic.h>
#include <string.h>

#include "../cases.h"
#include "arch.h"
#include "guests_x86_64.h"
#include "scale.h"
#include "threads.h"

#define ROUNDS       150
#define CALLS_BEFORE 20 /* then the site is patched, where there are any, and the state stays in the processor */
#define IN_AT        GUEST_DATA_AT
#define OUT_AT       (GUEST_DATA_AT + 4096)
#define SSE_BYTES    256

struct context_user {
    struct guest *guest;
    atomic_bool stop;
    atomic_uint turns;
};

static void run_to_call(tg_context *context, tg_subprocess *subprocess)
{
    tg_event event;

    run_context(context, subprocess, &event);
    CHECK_CALL(&event, GUEST_CALL);
}

/* The pattern is in the SSE registers. */
static void load_pattern(struct guest *guest, int byte)
{
    unsigned char pattern[SSE_BYTES];
    int i;

    memset(pattern, byte, sizeof(pattern));
    guest->subprocess = create_loaded_subprocess(guest->platform, GUEST_CODE(fp_load_once));
    CHECK_OK(tg_subprocess_write(guest->subprocess, IN_AT, pattern, sizeof(pattern), NULL));
    guest_restart(guest);
    arch_set_argument(guest->context, 0, IN_AT);
    arch_set_argument(guest->context, 1, OUT_AT);
    for (i = 0; i < CALLS_BEFORE; i++)
        run_to_call(guest->context, guest->subprocess);
}

static void check_pattern(tg_subprocess *subprocess, int byte)
{
    unsigned char expected[SSE_BYTES];
    unsigned char seen[SSE_BYTES];

    memset(expected, byte, sizeof(expected));
    CHECK_OK(tg_subprocess_read(subprocess, OUT_AT, seen, sizeof(seen), NULL));
    CHECK_BYTES(seen, expected, sizeof(seen));
}

static void *set_user_data(void *arg)
{
    struct context_user *user = arg;

    while (!atomic_load(&user->stop)) {
        CHECK_OK(tg_context_set_user_data(user->guest->context, 1));
        CHECK_OK(tg_context_set_tls(user->guest->context, 0));
        atomic_fetch_add(&user->turns, 1);
    }
    return NULL;
}

static void *switch_elsewhere(void *arg)
{
    struct context_user *user = arg;
    tg_subprocess *other = create_loaded_subprocess(user->guest->platform, GUEST_CODE(fp_load_once));

    atomic_store(&user->turns, 1);
    run_to_call(user->guest->context, other);
    check_pattern(other, (int)(intptr_t)user->guest->event.user_data);
    tg_subprocess_destroy(other);
    return NULL;
}

static void rounds(uint32_t backend, void *(*use)(void *))
{
    const int count = (int)scaled(ROUNDS);
    struct guest guest;
    int round;

    guest_open(&guest, backend, GUEST_CODE(fp_load_once));
    tg_subprocess_destroy(guest.subprocess);
    for (round = 1; round <= count; round++) {
        struct context_user user = {.guest = &guest};
        pthread_t thread;

        check_context("round %d", round);
        load_pattern(&guest, round);
        guest.event.user_data = (uint64_t)round;
        thread = start_thread(use, &user);
        while (!atomic_load(&user.turns))
            ;
        tg_subprocess_destroy(guest.subprocess);
        atomic_store(&user.stop, true);
        join_thread(thread);
        guest.subprocess = create_loaded_subprocess(guest.platform, GUEST_CODE(fp_load_once));
        run_to_call(guest.context, guest.subprocess);
        check_pattern(guest.subprocess, round);
        tg_subprocess_destroy(guest.subprocess);
    }
    guest.subprocess = NULL;
    guest_close(&guest);
}

static void used_meanwhile(uint32_t backend)
{
    rounds(backend, set_user_data);
}

static void leaves_meanwhile(uint32_t backend)
{
    rounds(backend, switch_elsewhere);
}

/* The thread that the state belongs to destroys the subprocess itself. */
static void of_one_thread(uint32_t backend)
{
    struct guest guest;

    guest_open(&guest, backend, GUEST_CODE(fp_load_once));
    tg_subprocess_destroy(guest.subprocess);
    CHECK_OK(tg_context_set_flags(guest.context, TG_CONTEXT_ONE_THREAD));
    load_pattern(&guest, 5);
    tg_subprocess_destroy(guest.subprocess);
    guest.subprocess = create_loaded_subprocess(guest.platform, GUEST_CODE(fp_load_once));
    run_to_call(guest.context, guest.subprocess);
    check_pattern(guest.subprocess, 5);
    guest_close(&guest);
}

const struct test_case context_fp_cases[] = {
    {"context.fp_used", "FP state outlives the subprocess though the context is being changed while that is destroyed",
     used_meanwhile},
    {"context.fp_moves", "The same for a context that another thread runs elsewhere in that moment", leaves_meanwhile},
    {"context.fp_one_thread", "FP state of a context of one thread outlives a subprocess that this thread destroys",
     of_one_thread},
    {0},
};
