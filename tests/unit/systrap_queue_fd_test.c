/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The first tg_queue_fd() beside a wake: moments that no test through the ABI
 * can choose. The thread that is to ring the descriptor is made here, and the
 * wake comes meanwhile.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "core/quiet_thread.h"
#include "core/systrap/queue_events.h"
#include "core/systrap/queue_outlet.h"
#include "core/systrap/seats.h"
#include "core/systrap/shared_futex.h"
#include "core/systrap/systrap_queue.h"
#include "core/systrap/systrap_queue_wait.h"

static const uint32_t opener = 1;

static struct {
    struct systrap_platform systrap;
    struct tg_platform platform;
    struct systrap_queue queue;
    int next; /* the number that the descriptor is going to have */
    int result;
    bool rang_early;
} world;

/* ---- what the file calls ---- */

static bool is_readable(int fd)
{
    uint64_t rings = 0;

    return read(fd, &rings, sizeof(rings)) == sizeof(rings);
}

int quiet_thread_create(pthread_t *thread, void *(*main)(void *arg), void *arg)
{
    (void)thread;
    (void)main;
    (void)arg;
    systrap_queue_wake(&world.queue.base);
    world.rang_early = is_readable(world.next);
    return world.result;
}

/* ---- tests ---- */

static int begin(void **state)
{
    (void)state;
    memset(&world, 0, sizeof(world));
    world.platform.backend = &world.systrap;
    world.platform.owner = getpid();
    world.platform.opener = &opener;
    world.queue.base.platform = &world.platform;
    world.next = fcntl(STDERR_FILENO, F_DUPFD, 3);
    close(world.next);
    return systrap_queue_create(&world.queue.base);
}

/* Who has seen the number of a descriptor that goes again writes into whatever has the number next. */
static void no_number_without_a_thread(void **state)
{
    (void)state;
    world.result = -EAGAIN;
    assert_int_equal(systrap_queue_fd(&world.queue.base), -EAGAIN);
    assert_false(world.rang_early);
    assert_int_equal(fcntl(world.next, F_GETFD), -1);
    assert_int_equal(atomic_load(&world.queue.fd), -1);
    assert_false(world.queue.served);
    assert_false(atomic_load(&world.queue.waiting));
}

/* The wake has found no descriptor: it is seen all the same. */
static void no_wake_is_lost(void **state)
{
    (void)state;
    assert_int_equal(systrap_queue_fd(&world.queue.base), world.next);
    assert_false(world.rang_early);
    assert_true(is_readable(world.next));
    close(world.next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(no_number_without_a_thread, begin),
        cmocka_unit_test_setup(no_wake_is_lost, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
