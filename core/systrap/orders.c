/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Calls that a stub's syscall thread makes for the library.
 *
 * The order is in memory that the stub can only read. The reply is the offset
 * of the subprocess's file: lseek(2) takes it from a register, and no filter of
 * a thread that runs guests lets lseek pass, so nobody but the syscall thread
 * can give one. The word that says that there is a reply is a hint that the
 * guest can write; a hint without a reply is a guest that forges.
 */
#include <errno.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/subprocess_life.h"
#include "core/systrap/death.h"
#include "core/systrap/lost_threads.h"
#include "core/systrap/order_place.h"
#include "core/systrap/order_spinning.h"
#include "core/systrap/orders.h"
#include "core/systrap/seats.h"
#include "core/systrap/shared_futex.h"
#include "core/systrap/shared_words.h"
#include "core/systrap/watchdog.h"

#define FIRST    1
#define LEFT_MAX 0x7f
#define HINT_NS  (NS_PER_SECOND / 500) /* between looks at the reply, each a system call; most come long before */
#define LOOK_NS  (WATCHDOG_ROUND_NS / 10)

static bool is_replied(const struct systrap_subprocess *subprocess, uint32_t sequence)
{
    off_t offset = lseek(subprocess->file, 0, SEEK_CUR);

    return offset >= 0 && (uint64_t)offset >> REPLY_SEQUENCE_SHIFT == (sequence & REPLY_SEQUENCE_MASK);
}

/* A filter may have ended the syscall thread at a call that it made. Then nobody would ever reply. */
static void look_for_thread(struct systrap_subprocess *subprocess, int64_t *look_at)
{
    int64_t now = clock_monotonic_ns();

    if (now < *look_at)
        return;
    *look_at = now + LOOK_NS;
    lost_threads_look(subprocess, now);
}

/* A guest can spoil the hint: once in a while the reply itself is looked at. */
static int wait_for_reply(struct systrap_subprocess *subprocess, uint32_t sequence)
{
    struct systrap_control *control = control_of(subprocess);
    int64_t look_at = 0;

    if (order_spin_for_reply(subprocess, sequence))
        return 0;
    /* Pairs with the syscall thread, which stores reply and then looks at this: "reply" in its entry code. */
    SHARED_SWAP(control->reply_waiting, 1);
    for (;;) {
        /* Read before the look at death: pairs with wake_everybody(), which changes it after that. */
        uint32_t reply = SHARED_LOOK(control->reply);

        if (subprocess_is_dead(&subprocess->base) || reply == sequence)
            break;
        count(subprocess->base.platform, COUNTER_FUTEX_SLEEPS);
        shared_futex_wait(&control->reply, reply, clock_monotonic_ns() + HINT_NS);
        if (is_replied(subprocess, sequence))
            break;
        look_for_thread(subprocess, &look_at);
    }
    SHARED_SWAP(control->reply_waiting, 0);
    return subprocess_is_dead(&subprocess->base) ? -ESRCH : 0;
}

static int read_reply(struct systrap_subprocess *subprocess, uint32_t sequence, struct order_reply *reply)
{
    int err = wait_for_reply(subprocess, sequence);
    off_t offset;

    if (err)
        return err;
    offset = lseek(subprocess->file, 0, SEEK_CUR);
    if (offset < 0 || ((uint64_t)offset >> REPLY_SEQUENCE_SHIFT) != (sequence & REPLY_SEQUENCE_MASK)) {
        systrap_subprocess_die(subprocess, TG_DEAD_CORRUPT, 0);
        return -ESRCH;
    }
    reply->result = (int32_t)(uint32_t)offset;
    reply->left = (uint32_t)((uint64_t)offset >> REPLY_LEFT_SHIFT) & LEFT_MAX;
    return 0;
}

/* The number of the next order, by which its reply is known. */
static uint32_t next_sequence(struct systrap_subprocess *subprocess)
{
    subprocess->sequence++;
    if (subprocess->sequence == ORDERS_GO_AWAY)
        subprocess->sequence++;
    return subprocess->sequence;
}

int orders_give(struct systrap_subprocess *subprocess, size_t n, struct order_reply *reply)
{
    struct systrap_orders *orders = orders_of(subprocess);
    const uint32_t sequence = next_sequence(subprocess);
    int err;

    if (subprocess_is_dead(&subprocess->base))
        return -ESRCH;
    count(subprocess->base.platform, COUNTER_INJECTIONS);
    orders->count = (uint32_t)n;
    orders->pauses = order_pauses(subprocess);
    order_place(subprocess, orders->pauses);
    SHARED_SWAP(orders->request, sequence);
    count(subprocess->base.platform, COUNTER_FUTEX_WAKES);
    shared_futex_wake(&orders->request);
    err = read_reply(subprocess, sequence, reply);
    order_replied(subprocess);
    return err;
}

int orders_first_reply(struct systrap_subprocess *subprocess, struct order_reply *reply)
{
    return read_reply(subprocess, FIRST, reply);
}

void orders_leave(struct systrap_subprocess *subprocess)
{
    struct systrap_orders *orders = orders_of(subprocess);

    pthread_mutex_lock(&subprocess->order_lock);
    orders->calls[0] = (struct stub_call){.nr = tgi_arch.syscalls.exit_group};
    orders->count = 1;
    SHARED_SWAP(orders->request, next_sequence(subprocess));
    shared_futex_wake(&orders->request);
    pthread_mutex_unlock(&subprocess->order_lock);
}
