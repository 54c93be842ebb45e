/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The first tg_queue_fd() beside a wake, a wait and another first one: moments
 * that no test through the ABI can choose. The thread that is to write to the
 * descriptor is made here, and the others come meanwhile. The backend is a toy.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "core/backend.h"
#include "core/queue_outlet.h"

static const uint32_t opener = 1;

static struct {
    struct backend_ops ops;
    struct tg_platform platform;
    struct tg_queue queue;
    int next;      /* the number that the descriptor is going to have */
    int result;    /* of making the thread */
    int hand_over; /* what handing over gives */
    bool ready;    /* an event is */
    bool wakes;    /* while the thread is made */
    bool notified_early;
    pthread_t other; /* comes while the thread is made */
    void *(*other_main)(void *arg);
    int others_result;
    uint32_t threads;
    uint32_t roused;
} world;

static bool is_readable(int fd)
{
    uint64_t count = 0;

    return read(fd, &count, sizeof(count)) == sizeof(count);
}

/* ---- the toy backend ---- */

static int make_thread(pthread_t *thread, void *(*main)(void *arg), void *arg)
{
    (void)thread;
    (void)main;
    (void)arg;
    world.threads++;
    if (world.wakes)
        queue_wake(&world.queue);
    if (world.other_main)
        pthread_create(&world.other, NULL, world.other_main, NULL);
    world.notified_early = is_readable(world.next);
    return world.result;
}

static int hand_over(struct tg_queue *queue)
{
    (void)queue;
    return world.hand_over;
}

static void rouse(struct tg_queue *queue)
{
    (void)queue;
    world.roused++;
}

static bool has_ready(struct tg_queue *queue)
{
    (void)queue;
    return world.ready;
}

static size_t hand_out(struct tg_queue *queue, void *events, size_t stride, size_t capacity)
{
    const size_t n = world.ready;

    (void)events;
    (void)stride;
    (void)capacity;
    world.ready = false;
    queue_outlet_clear(queue);
    return n;
}

/* The next thread that waits or opens finds one that waits. */
static int wait_and_ask(struct tg_queue *queue, void *events, size_t stride, size_t capacity, int64_t timeout_ns,
                        size_t *count)
{
    (void)events;
    (void)stride;
    (void)capacity;
    (void)timeout_ns;
    *count = 0;
    world.others_result = queue_fd(queue);
    return 0;
}

/* ---- tests ---- */

static int begin(void **state)
{
    (void)state;
    memset(&world, 0, sizeof(world));
    world.ops.queue_thread = make_thread;
    world.ops.queue_hand_over = hand_over;
    world.ops.queue_rouse = rouse;
    world.ops.queue_has_ready = has_ready;
    world.ops.queue_hand_out = hand_out;
    world.ops.queue_wait = wait_and_ask;
    world.platform.ops = &world.ops;
    world.platform.embedder = getpid();
    world.platform.opener = &opener;
    world.queue.platform = &world.platform;
    world.next = fcntl(STDERR_FILENO, F_DUPFD, 3);
    close(world.next);
    queue_outlet_init(&world.queue);
    return 0;
}

static int end(void **state)
{
    (void)state;
    queue_outlet_close(&world.queue);
    return 0;
}

/* Who has seen the number of a descriptor that goes again writes into whatever has the number next. */
static void no_number_without_a_thread(void **state)
{
    (void)state;
    world.wakes = true;
    world.result = -EAGAIN;
    assert_int_equal(queue_fd(&world.queue), -EAGAIN);
    assert_false(world.notified_early);
    assert_int_equal(fcntl(world.next, F_GETFD), -1);
    assert_false(queue_has_fd(&world.queue));
    assert_int_equal(atomic_load(&world.queue.use), QUEUE_FREE);
}

/* The wake has found no descriptor: it is seen all the same, and once. */
static void no_wake_is_lost(void **state)
{
    (void)state;
    size_t count = 1;

    world.wakes = true;
    assert_int_equal(queue_fd(&world.queue), world.next);
    assert_false(world.notified_early);
    assert_int_equal(world.roused, 1);
    assert_int_equal(queue_wait(&world.queue, NULL, 0, 1, -1, &count), 0);
    assert_int_equal(count, 0);
    assert_false(is_readable(world.next));
    assert_int_equal(queue_wait(&world.queue, NULL, 0, 1, 0, &count), 0);
}

static void what_was_ready_before_makes_it_readable(void **state)
{
    (void)state;
    size_t count = 0;

    world.ready = true;
    assert_int_equal(queue_fd(&world.queue), world.next);
    assert_int_equal(queue_wait(&world.queue, NULL, 0, 1, -1, &count), 0);
    assert_int_equal(count, 1);
    assert_false(is_readable(world.next));
}

static void a_backend_may_refuse(void **state)
{
    (void)state;
    world.hand_over = -EBUSY;
    assert_int_equal(queue_fd(&world.queue), -EBUSY);
    assert_int_equal(world.threads, 0);
    assert_int_equal(atomic_load(&world.queue.use), QUEUE_FREE);
}

static void who_waits_keeps_it_closed(void **state)
{
    (void)state;
    size_t count;

    assert_int_equal(queue_wait(&world.queue, NULL, 0, 1, -1, &count), 0);
    assert_int_equal(world.others_result, -EBUSY);
    assert_int_equal(queue_fd(&world.queue), world.next);
}

static void *ask_too(void *arg)
{
    world.others_result = queue_fd(&world.queue);
    return arg;
}

/* It waits until the first has opened it, and makes no second thread. */
static void two_at_once_get_the_same(void **state)
{
    (void)state;
    world.other_main = ask_too;
    assert_int_equal(queue_fd(&world.queue), world.next);
    pthread_join(world.other, NULL);
    assert_int_equal(world.others_result, world.next);
    assert_int_equal(world.threads, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_number_without_a_thread, begin, end),
        cmocka_unit_test_setup_teardown(no_wake_is_lost, begin, end),
        cmocka_unit_test_setup_teardown(what_was_ready_before_makes_it_readable, begin, end),
        cmocka_unit_test_setup_teardown(a_backend_may_refuse, begin, end),
        cmocka_unit_test_setup_teardown(who_waits_keeps_it_closed, begin, end),
        cmocka_unit_test_setup_teardown(two_at_once_get_the_same, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
