/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * FP state that the embedder sets while a stub thread is about to save its own:
 * what is submitted just before makes that thread give the context up.
 */
#include <stdlib.h>
#include <string.h>

#include "../cases.h"
#include "../queue_drive.h"
#include "arch.h"
#include "guests_x86_64.h"
#include "scale.h"

#define CONTEXTS   6
/* It takes luck, and where its threads run is a part of that. ptrace has none that saves by itself. */
#define GUESTS     30
#define ROUNDS     1000
#define LINGER_MAX 256
#define OUT_BYTES  4096
#define LEGACY_XMM 160
#define SSE_BYTES  256
#define HEADER_BV  512
#define BV_SSE     2

struct fp_guest {
    tg_context *context;
    uint64_t out; /* where it stores what it has */
};

static void set_pattern(const struct fp_guest *fp, unsigned char *state, size_t length, int byte)
{
    memset(state + LEGACY_XMM, byte, SSE_BYTES);
    CHECK_OK(tg_context_set_fpstate(fp->context, state, length));
}

static void check_pattern(const struct guest *guest, const struct fp_guest *fp, int byte)
{
    unsigned char expected[SSE_BYTES];
    unsigned char seen[SSE_BYTES];

    memset(expected, byte, sizeof(expected));
    CHECK_OK(tg_subprocess_read(guest->subprocess, fp->out, seen, sizeof(seen), NULL));
    CHECK_BYTES(seen, expected, sizeof(seen));
}

/* A state in which the SSE registers count as set. */
static unsigned char *sse_state(tg_context *context, size_t length)
{
    unsigned char *state = calloc(1, length);

    CHECK(state != NULL);
    CHECK_OK(tg_context_get_fpstate(context, state, length));
    if (length > HEADER_BV)
        state[HEADER_BV] |= BV_SSE;
    return state;
}

/* A stub thread takes some time until it saves, and that is not always the same. */
static void linger(int turns)
{
    for (volatile int i = 0; i < turns; i++)
        ;
}

static int pattern_of(int round, size_t index)
{
    return 1 + (round * CONTEXTS + (int)index) % 251;
}

static void one_round(struct guest *guest, tg_queue *queue, const struct fp_guest all[CONTEXTS], unsigned char *state,
                      size_t length, int round)
{
    for (size_t i = 0; i < CONTEXTS; i++)
        set_pattern(&all[i], state, length, pattern_of(round, i));
    for (size_t i = 0; i < CONTEXTS; i++) {
        CHECK_OK(tg_queue_submit(queue, all[(i + (size_t)round) % CONTEXTS].context, guest->subprocess));
        linger(round % LINGER_MAX);
    }
    for (size_t i = 0; i < CONTEXTS; i++) {
        const tg_event event = wait_one(queue);

        CHECK_CALL(&event, GUEST_CALL);
        check_pattern(guest, &all[event.user_data], pattern_of(round, event.user_data));
    }
}

static void set_beside_giving_up(uint32_t backend)
{
    const size_t guests = backend == TG_BACKEND_PTRACE ? 1 : scaled(GUESTS);

    for (size_t i = 0; i < guests; i++) {
        struct fp_guest all[CONTEXTS];
        struct guest guest;
        tg_queue *queue;
        size_t length;
        unsigned char *state;

        guest_open(&guest, backend, GUEST_CODE(fp_look));
        queue = create_queue(guest.platform);
        length = platform_info(guest.platform).fpstate_size;
        state = sse_state(guest.context, length);
        for (size_t j = 0; j < CONTEXTS; j++) {
            all[j] = (struct fp_guest){create_counter(guest.platform, j), GUEST_DATA_AT + j * OUT_BYTES};
            arch_set_argument(all[j].context, 1, all[j].out);
        }
        for (int round = 0; round < ROUNDS; round++) {
            check_context("guest %zu, round %d", i, round);
            one_round(&guest, queue, all, state, length, round);
        }
        free(state);
        tg_queue_destroy(queue);
        for (size_t j = 0; j < CONTEXTS; j++)
            tg_context_destroy(all[j].context);
        guest_close(&guest);
    }
}

const struct test_case queue_fp_cases[] = {
    {"queue.fp_set_before_submit",
     "FP state set before a submit is what the guest has, also while its stub thread saves the old one to run others",
     set_beside_giving_up},
    {0},
};
